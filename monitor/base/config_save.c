/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree as machine.yaml: nested mappings in the order of the paths, numbered things as a
 * sequence where the numbers run from 0 without a gap, and as a mapping with the numbers for keys
 * where they do not. File names inside the file's own folder are written relative to it, so that a
 * machine's folder can be moved.
 */

#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "base/config_priv.h"
#include "base/file_replace.h"

struct saver {
	yaml_emitter_t emitter;
	const struct config_value *values;
	char *folder; /* absolute, or NULL */
	int fd;
};

static int write_handler(void *opaque, unsigned char *buffer, size_t size)
{
	struct saver *saver = opaque;

	while (size > 0) {
		ssize_t n = write(saver->fd, buffer, size);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return 0;
		}
		buffer += n;
		size -= (size_t)n;
	}
	return 1;
}

static bool emit_scalar(struct saver *saver, const char *text, size_t size)
{
	yaml_event_t event;

	return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
					    (int)size, 1, 1, YAML_ANY_SCALAR_STYLE) &&
	       yaml_emitter_emit(&saver->emitter, &event);
}

static bool emit_value(struct saver *saver, const struct config_value *value)
{
	const char *text = value->text;

	if (value->key->type == CONFIG_PATH && saver->folder != NULL) {
		size_t n = strlen(saver->folder);

		if (strncmp(text, saver->folder, n) == 0 && text[n] == '/' && text[n + 1] != '\0') {
			text += n + 1;
		}
	}
	return emit_scalar(saver, text, strlen(text));
}

/* How many values from @first on lie in the same child of the group at @offset. */
static size_t child_size(struct saver *saver, size_t first, size_t end, size_t offset)
{
	const char *name = saver->values[first].path + offset;
	size_t n = strcspn(name, ".");
	size_t i = first + 1;

	while (i < end && strncmp(saver->values[i].path + offset, name, n) == 0 &&
	       (saver->values[i].path[offset + n] == '.' ||
		saver->values[i].path[offset + n] == '\0')) {
		i++;
	}
	return i - first;
}

static bool is_sequence(struct saver *saver, size_t first, size_t end, size_t offset)
{
	int next = 0;

	while (first < end) {
		const char *name = saver->values[first].path + offset;
		size_t n = strcspn(name, ".");
		size_t count = child_size(saver, first, end, offset);

		if (config_index(name, n) != next++ || (name[n] == '\0' && count > 1)) {
			return false;
		}
		first += count;
	}
	return true;
}

static bool emit_group(struct saver *saver, size_t first, size_t end, size_t offset);

/* One child of a group: a value, a group, or a value with a group of the same name ("engine" and
 * "engine.x"), which YAML can only say with dots in the keys. */
static bool emit_child(struct saver *saver, size_t first, size_t end, size_t offset)
{
	size_t n = strcspn(saver->values[first].path + offset, ".");
	bool good = true;

	if (saver->values[first].path[offset + n] == '.') {
		return emit_group(saver, first, end, offset + n + 1);
	}
	good = emit_value(saver, &saver->values[first]);
	for (size_t i = first + 1; good && i < end; i++) {
		const char *name = saver->values[i].path + offset;

		good = emit_scalar(saver, name, strlen(name)) &&
		       emit_value(saver, &saver->values[i]);
	}
	return good;
}

static bool emit_start(struct saver *saver, bool sequence)
{
	yaml_event_t event;
	int good;

	if (sequence) {
		good = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
							    YAML_BLOCK_SEQUENCE_STYLE);
	} else {
		good = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
							   YAML_BLOCK_MAPPING_STYLE);
	}
	return good && yaml_emitter_emit(&saver->emitter, &event);
}

static bool emit_end(struct saver *saver, bool sequence)
{
	yaml_event_t event;
	int good;

	if (sequence) {
		good = yaml_sequence_end_event_initialize(&event);
	} else {
		good = yaml_mapping_end_event_initialize(&event);
	}
	return good && yaml_emitter_emit(&saver->emitter, &event);
}

/* Values @first to @end, whose paths have all been written up to @offset. It calls itself as often
 * as a path has components. */
static bool emit_group(struct saver *saver, size_t first, size_t end, size_t offset)
{
	bool sequence = first < end && is_sequence(saver, first, end, offset);
	bool good = emit_start(saver, sequence);

	while (good && first < end) {
		const char *name = saver->values[first].path + offset;
		size_t count = child_size(saver, first, end, offset);

		good = (sequence || emit_scalar(saver, name, strcspn(name, "."))) &&
		       emit_child(saver, first, first + count, offset);
		first += count;
	}
	return good && emit_end(saver, sequence);
}

static bool emit_tree(struct saver *saver, size_t count)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(&saver->emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(&saver->emitter, &event) && emit_group(saver, 0, count, 0) &&
	       yaml_document_end_event_initialize(&event, 1) &&
	       yaml_emitter_emit(&saver->emitter, &event) &&
	       yaml_stream_end_event_initialize(&event) &&
	       yaml_emitter_emit(&saver->emitter, &event);
}

int config_save_yaml(struct config_tree *tree, const char *file, struct error *err)
{
	struct saver saver = { .values = tree->values };
	struct file_replace output;
	char *copy;
	int r;

	r = file_replace_begin(&output, file, 0666, err);
	if (r < 0) {
		return r;
	}
	saver.fd = output.fd;
	copy = strdup(file);
	saver.folder = copy != NULL ? realpath(dirname(copy), NULL) : NULL;
	free(copy);
	if (!yaml_emitter_initialize(&saver.emitter)) {
		r = error_set(err, ENOMEM, "out of memory");
		goto out_abort;
	}
	yaml_emitter_set_output(&saver.emitter, write_handler, &saver);
	yaml_emitter_set_unicode(&saver.emitter, 1);
	yaml_emitter_set_width(&saver.emitter, -1);
	if (!emit_tree(&saver, tree->value_count)) {
		r = error_set(err, EIO, "%s: cannot write", file);
	}
	yaml_emitter_delete(&saver.emitter);
	if (r == 0) {
		r = file_replace_commit(&output, err);
	}
out_abort:
	file_replace_abort(&output);
	free(saver.folder);
	return r;
}
