/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * machine.yaml into the tree, through libyaml's event parser (YAML 1.1). Of YAML the file uses
 * mappings, sequences and scalars; aliases, which can make a small file unfold into a huge one, and
 * several documents are refused. Everything is checked before anything is set.
 */

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "base/config_priv.h"

#define FILE_SIZE_MAX MIB(1)
#define DEPTH_MAX     8
#define VALUES_MAX    4096

struct loader {
	struct config_tree *tree;
	yaml_parser_t parser;
	const char *name;   /* of the file, for errors */
	const char *folder; /* that relative file names count from */
	struct config_value *values;
	size_t count;
	struct error *err;
};

static int fail(struct loader *loader, size_t line, const char *text)
{
	return error_set(loader->err, EINVAL, "%s:%zu: %s", loader->name, line + 1, text);
}

static int next_event(struct loader *loader, yaml_event_t *ret_event)
{
	if (!yaml_parser_parse(&loader->parser, ret_event)) {
		const char *problem = loader->parser.problem;

		return fail(loader, loader->parser.problem_mark.line,
			    problem != NULL ? problem : "cannot be read as YAML");
	}
	return 0;
}

static int append_value(struct loader *loader, const char *path, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct config_value *values;
	int r;

	for (size_t i = 0; i < loader->count; i++) {
		if (strcmp(loader->values[i].path, path) == 0) {
			return error_set(loader->err, EINVAL, "%s:%zu: %s is set twice",
					 loader->name, event->start_mark.line + 1, path);
		}
	}
	if (loader->count >= VALUES_MAX) {
		return fail(loader, event->start_mark.line, "too many keys");
	}
	values = realloc(loader->values, (loader->count + 1) * sizeof(values[0]));
	if (values == NULL) {
		return error_set(loader->err, ENOMEM, "out of memory");
	}
	loader->values = values;
	r = config_value_prepare(loader->tree, path, text, loader->folder, &values[loader->count],
				 loader->err);
	if (r < 0) {
		error_prefix(loader->err, "%s:%zu", loader->name, event->start_mark.line + 1);
		return r;
	}
	loader->count++;
	return 0;
}

static int load_scalar(struct loader *loader, const char *path, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (strlen(text) != event->data.scalar.length) {
		return fail(loader, event->start_mark.line, "a value contains a zero byte");
	}
	if (plain && config_is_choice("|~|null", text)) {
		/*
		 * "boot:" with nothing after it: the key, or all that might stand below it, is not
		 * set.
		 */
		if (config_find_key(loader->tree, path) != NULL ||
		    config_is_group(loader->tree, path)) {
			return 0;
		}
	}
	return append_value(loader, path, event);
}

static int load_node(struct loader *loader, const yaml_event_t *event, const char *path,
		     unsigned int depth);

static int load_child(struct loader *loader, const char *path, const char *name, size_t line,
		      const yaml_event_t *event, unsigned int depth)
{
	char child[CONFIG_PATH_MAX];
	int n = snprintf(child, sizeof(child), "%s%s%s", path, path[0] != '\0' ? "." : "", name);

	if (n >= (int)sizeof(child)) {
		return fail(loader, line, "the key is too long");
	}
	return load_node(loader, event, child, depth);
}

static int load_mapping(struct loader *loader, const char *path, unsigned int depth)
{
	for (;;) {
		yaml_event_t name;
		yaml_event_t event;
		int r;

		r = next_event(loader, &name);
		if (r < 0) {
			return r;
		}
		if (name.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&name);
			return 0;
		}
		if (name.type != YAML_SCALAR_EVENT ||
		    strlen((const char *)name.data.scalar.value) != name.data.scalar.length) {
			r = fail(loader, name.start_mark.line, "a key must be a word");
			goto out_name;
		}
		r = next_event(loader, &event);
		if (r < 0) {
			goto out_name;
		}
		r = load_child(loader, path, (const char *)name.data.scalar.value,
			       name.start_mark.line, &event, depth);
		yaml_event_delete(&event);
out_name:
		yaml_event_delete(&name);
		if (r < 0) {
			return r;
		}
	}
}

static int load_sequence(struct loader *loader, const char *path, unsigned int depth)
{
	for (unsigned int index = 0;; index++) {
		char name[16];
		yaml_event_t event;
		int r;

		r = next_event(loader, &event);
		if (r < 0) {
			return r;
		}
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		snprintf(name, sizeof(name), "%u", index);
		r = load_child(loader, path, name, event.start_mark.line, &event, depth);
		yaml_event_delete(&event);
		if (r < 0) {
			return r;
		}
	}
}

static int load_node(struct loader *loader, const yaml_event_t *event, const char *path,
		     unsigned int depth)
{
	if (depth >= DEPTH_MAX) {
		return fail(loader, event->start_mark.line, "nested too deeply");
	}
	switch (event->type) {
	case YAML_SCALAR_EVENT: return load_scalar(loader, path, event);
	case YAML_MAPPING_START_EVENT: return load_mapping(loader, path, depth + 1);
	case YAML_SEQUENCE_START_EVENT: return load_sequence(loader, path, depth + 1);
	case YAML_ALIAS_EVENT:
		return fail(loader, event->start_mark.line, "aliases (*name) are not supported");
	default: return fail(loader, event->start_mark.line, "a value was expected");
	}
}

static int load_document(struct loader *loader)
{
	yaml_event_t event;
	int r;

	r = next_event(loader, &event);
	if (r < 0) {
		return r;
	}
	if (event.type == YAML_MAPPING_START_EVENT) {
		r = load_mapping(loader, "", 0);
	} else if (event.type != YAML_SCALAR_EVENT || event.data.scalar.length != 0) {
		/* A file of nothing but comments is one empty scalar. */
		r = fail(loader, event.start_mark.line,
			 "the file must consist of 'key: value' lines");
	}
	yaml_event_delete(&event);
	return r;
}

static int load_stream(struct loader *loader)
{
	unsigned int documents = 0;

	for (;;) {
		yaml_event_type_t type;
		yaml_event_t event;
		size_t line;
		int r;

		r = next_event(loader, &event);
		if (r < 0) {
			return r;
		}
		type = event.type;
		line = event.start_mark.line;
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT) {
			return 0;
		}
		if (type == YAML_DOCUMENT_START_EVENT) {
			if (documents++ > 0) {
				return fail(loader, line, "the file has more than one document");
			}
			r = load_document(loader);
			if (r < 0) {
				return r;
			}
		}
	}
}

int config_load_yaml_text(struct config_tree *tree, const char *text, size_t size, const char *name,
			  const char *folder, struct error *err)
{
	struct loader loader = { .tree = tree, .name = name, .folder = folder, .err = err };
	int r;

	if (!yaml_parser_initialize(&loader.parser)) {
		return error_set(err, ENOMEM, "out of memory");
	}
	yaml_parser_set_input_string(&loader.parser, (const unsigned char *)text, size);
	r = load_stream(&loader);
	if (r == 0) {
		r = config_reserve(tree, loader.count, err);
	}
	for (size_t i = 0; i < loader.count; i++) {
		if (r == 0) {
			config_commit(tree, &loader.values[i]);
		} else {
			config_value_finish(&loader.values[i]);
		}
	}
	free(loader.values);
	yaml_parser_delete(&loader.parser);
	return r;
}

static int read_file(const char *file, char **ret_text, size_t *ret_size, struct error *err)
{
	size_t size = 0;
	char *text;
	ssize_t n;
	int fd;
	int r = 0;

	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return error_set(err, errno, "%s: cannot open: %s", file, strerror(errno));
	}
	text = malloc(FILE_SIZE_MAX + 1);
	if (text == NULL) {
		close(fd);
		return error_set(err, ENOMEM, "out of memory");
	}
	do {
		n = read(fd, text + size, FILE_SIZE_MAX + 1 - size);
		size += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		r = error_set(err, errno, "%s: cannot read: %s", file, strerror(errno));
	} else if (size > FILE_SIZE_MAX) {
		r = error_set(err, EFBIG,
			      "%s: larger than a machine's configuration can be (1 MiB)", file);
	}
	close(fd);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}

int config_load_yaml(struct config_tree *tree, const char *file, struct error *err)
{
	char *folder_buffer;
	size_t size = 0;
	char *text = NULL;
	int r;

	r = read_file(file, &text, &size, err);
	if (r < 0) {
		return r;
	}
	folder_buffer = strdup(file);
	if (folder_buffer == NULL) {
		r = error_set(err, ENOMEM, "out of memory");
	} else {
		r = config_load_yaml_text(tree, text, size, file, dirname(folder_buffer), err);
	}
	free(folder_buffer);
	free(text);
	return r;
}
