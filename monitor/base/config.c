/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration tree. It is kept as what it is used as: a list of the keys that are set, sorted
 * by path, beside the list of declarations that say which may be. A machine has some dozens of
 * keys, so a linear look-up through the declarations costs nothing that matters, and nothing is
 * read from here while the machine runs but by the control socket.
 *
 * A "*" in a pattern stands for an index (0 to 255): everything that a machine has several of is
 * numbered.
 */

#include "base/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/config_priv.h"

int config_tree_create(struct config_tree **ret_tree, struct error *err)
{
	struct config_tree *tree = calloc(1, sizeof(*tree));

	if (tree == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	*ret_tree = tree;
	return 0;
}

void config_tree_destroy(struct config_tree *tree)
{
	if (tree == NULL) {
		return;
	}
	for (size_t i = 0; i < tree->declaration_count; i++) {
		free(tree->declarations[i].pattern);
	}
	for (size_t i = 0; i < tree->value_count; i++) {
		config_value_finish(&tree->values[i]);
	}
	free(tree->declarations);
	free(tree->values);
	free(tree);
}

/* ---- declarations ---- */

/* Take one component off @pattern and @path each and compare them. */
static bool match_component(const char **pattern, const char **path)
{
	size_t pattern_size = strcspn(*pattern, ".");
	size_t path_size = strcspn(*path, ".");
	bool same;

	if (pattern_size == 1 && **pattern == '*') {
		same = config_index(*path, path_size) >= 0;
	} else {
		same = pattern_size == path_size && memcmp(*pattern, *path, path_size) == 0;
	}
	*pattern += pattern_size + ((*pattern)[pattern_size] == '.');
	*path += path_size + ((*path)[path_size] == '.');
	return same;
}

bool config_match(const char *pattern, const char *name, const char *path)
{
	while (*pattern != '\0') {
		if (*path == '\0' || !match_component(&pattern, &path)) {
			return false;
		}
	}
	return strchr(path, '.') == NULL && match_component(&name, &path);
}

const struct config_key *config_find_key(struct config_tree *tree, const char *path)
{
	for (size_t i = 0; i < tree->declaration_count; i++) {
		const struct config_declaration *declaration = &tree->declarations[i];

		for (const struct config_key *key = declaration->keys; key->name != NULL; key++) {
			if (config_match(declaration->pattern, key->name, path)) {
				return key;
			}
		}
	}
	return NULL;
}

bool config_is_group(struct config_tree *tree, const char *path)
{
	for (size_t i = 0; i < tree->declaration_count; i++) {
		const char *pattern = tree->declarations[i].pattern;
		const char *rest = path;
		bool same = true;

		while (same && *pattern != '\0' && *rest != '\0') {
			same = match_component(&pattern, &rest);
		}
		if (same && *rest == '\0') {
			return true;
		}
	}
	return false;
}

int config_declare(struct config_tree *tree, const char *pattern, const struct config_key *keys,
		   struct error *err)
{
	struct config_declaration *list;
	char *copy;

	list = realloc(tree->declarations, (tree->declaration_count + 1) * sizeof(list[0]));
	if (list == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	tree->declarations = list;
	copy = strdup(pattern);
	if (copy == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	list[tree->declaration_count++] =
		(struct config_declaration){ .pattern = copy, .keys = keys };
	return 0;
}

void config_for_each_key(struct config_tree *tree,
			 void (*fn)(void *opaque, const char *pattern,
				    const struct config_key *key),
			 void *opaque)
{
	for (size_t i = 0; i < tree->declaration_count; i++) {
		for (const struct config_key *key = tree->declarations[i].keys; key->name != NULL;
		     key++) {
			fn(opaque, tree->declarations[i].pattern, key);
		}
	}
}

/* ---- values ---- */

/*
 * Order of paths by components, indexes by number, so that a saved file reads in the natural order.
 */
static int compare_paths(const char *a, const char *b)
{
	for (;;) {
		size_t a_size = strcspn(a, ".");
		size_t b_size = strcspn(b, ".");
		int a_index = config_index(a, a_size);
		int b_index = config_index(b, b_size);
		int order = memcmp(a, b, MIN(a_size, b_size));

		if (a_index >= 0 && b_index >= 0) {
			order = a_index - b_index;
		} else if (order == 0) {
			order = (int)a_size - (int)b_size;
		}
		if (order != 0 || a[a_size] == '\0' || b[b_size] == '\0') {
			return order != 0 ? order : (a[a_size] != '\0') - (b[b_size] != '\0');
		}
		a += a_size + 1;
		b += b_size + 1;
	}
}

/* Where @path is, or would be put. */
static size_t find_slot(struct config_tree *tree, const char *path, bool *ret_found)
{
	size_t low = 0;
	size_t high = tree->value_count;

	*ret_found = false;
	while (low < high && !*ret_found) {
		size_t middle = (low + high) / 2;
		int order = compare_paths(path, tree->values[middle].path);

		if (order == 0) {
			*ret_found = true;
			low = middle;
		} else if (order < 0) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

static const struct config_value *find_value(struct config_tree *tree, const char *path)
{
	bool found;
	size_t slot = find_slot(tree, path, &found);

	return found ? &tree->values[slot] : NULL;
}

void config_value_finish(struct config_value *value)
{
	free(value->path);
	free(value->text);
}

/* The text of a file name that holds wherever the process goes. */
static char *absolute_path(const char *text, const char *folder)
{
	char *cwd = NULL;
	char *path = NULL;

	if (text[0] == '/') {
		return strdup(text);
	}
	if (folder == NULL || folder[0] != '/') {
		cwd = getcwd(NULL, 0);
		if (cwd == NULL) {
			return NULL;
		}
	}
	if (folder == NULL || strcmp(folder, ".") == 0) {
		folder = "";
	}
	if (asprintf(&path, "%s%s%s%s%s", cwd != NULL ? cwd : "",
		     cwd != NULL && *folder != '\0' ? "/" : "", folder, "/", text) < 0) {
		path = NULL;
	}
	free(cwd);
	return path;
}

int config_value_prepare(struct config_tree *tree, const char *path, const char *text,
			 const char *folder, struct config_value *ret_value, struct error *err)
{
	const struct config_key *key = config_find_key(tree, path);
	struct config_value value = { .key = key };
	union config_parsed parsed;
	int r;

	if (key == NULL || strlen(path) >= CONFIG_PATH_MAX) {
		return config_unknown(tree, path, err);
	}
	r = config_parse(key, text, &parsed, err);
	if (r < 0) {
		error_prefix(err, "%s", path);
		return r;
	}
	value.path = strdup(path);
	if (key->type == CONFIG_PATH && !config_is_choice(key->choices, text)) {
		value.text = absolute_path(text, folder);
	} else {
		value.text = strdup(text);
	}
	if (value.path == NULL || value.text == NULL) {
		config_value_finish(&value);
		return error_set(err, ENOMEM, "%s: out of memory", path);
	}
	*ret_value = value;
	return 0;
}

int config_reserve(struct config_tree *tree, size_t count, struct error *err)
{
	size_t wanted = tree->value_count + count;
	struct config_value *values;

	if (wanted <= tree->value_capacity) {
		return 0;
	}
	wanted = MAX(wanted, 2 * tree->value_capacity);
	values = realloc(tree->values, wanted * sizeof(values[0]));
	if (values == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	tree->values = values;
	tree->value_capacity = wanted;
	return 0;
}

void config_commit(struct config_tree *tree, struct config_value *value)
{
	bool found;
	size_t slot = find_slot(tree, value->path, &found);

	if (found) {
		config_value_finish(&tree->values[slot]);
	} else {
		assert(tree->value_count < tree->value_capacity);
		memmove(&tree->values[slot + 1], &tree->values[slot],
			(tree->value_count - slot) * sizeof(tree->values[0]));
		tree->value_count++;
	}
	tree->values[slot] = *value;
}

int config_set(struct config_tree *tree, const char *path, const char *value, struct error *err)
{
	struct config_value entry;
	int r;

	r = config_reserve(tree, 1, err);
	if (r < 0) {
		return r;
	}
	r = config_value_prepare(tree, path, value, NULL, &entry, err);
	if (r < 0) {
		return r;
	}
	config_commit(tree, &entry);
	return 0;
}

int config_set_assignment(struct config_tree *tree, const char *assignment, struct error *err)
{
	const char *equals = strchr(assignment, '=');
	char path[CONFIG_PATH_MAX];

	if (equals == NULL || equals == assignment) {
		return error_set(err, EINVAL, "'%s' is not of the form KEY=VALUE", assignment);
	}
	if ((size_t)(equals - assignment) >= sizeof(path)) {
		return error_set(err, ENOENT, "'%.40s...' is too long for a key", assignment);
	}
	memcpy(path, assignment, (size_t)(equals - assignment));
	path[equals - assignment] = '\0';
	return config_set(tree, path, equals + 1, err);
}

/* ---- reading ---- */

struct config_view config_view_at(struct config_tree *tree, const char *prefix)
{
	struct config_view view = { .tree = tree };

	assert(strlen(prefix) < sizeof(view.prefix));
	memcpy(view.prefix, prefix, strlen(prefix) + 1);
	return view;
}

static void view_path(const struct config_view *view, const char *name, char path[CONFIG_PATH_MAX])
{
	int n = snprintf(path, CONFIG_PATH_MAX, "%s%s%s", view->prefix,
			 view->prefix[0] != '\0' ? "." : "", name);

	assert(n < CONFIG_PATH_MAX);
	(void)n;
}

bool config_is_set(const struct config_view *view, const char *name)
{
	char path[CONFIG_PATH_MAX];

	view_path(view, name, path);
	return find_value(view->tree, path) != NULL;
}

/* The text that @name has by being set or by default, or NULL. */
static const char *read_text(const struct config_view *view, const char *name,
			     const struct config_key **ret_key)
{
	const struct config_value *value;
	const struct config_key *key;
	char path[CONFIG_PATH_MAX];

	view_path(view, name, path);
	key = config_find_key(view->tree, path);
	assert(key != NULL);
	*ret_key = key;
	value = find_value(view->tree, path);
	return value != NULL ? value->text : key->def;
}

/* Return: whether there is a value. */
static bool read_parsed(const struct config_view *view, const char *name, enum config_type type,
			union config_parsed *ret_parsed)
{
	const struct config_key *key;
	const char *text = read_text(view, name, &key);
	int r;

	assert(key->type == type);
	(void)type;
	*ret_parsed = (union config_parsed){ 0 };
	if (text == NULL) {
		return false;
	}
	/* It was checked when it was set; a default that cannot be read is our own mistake. */
	r = config_parse(key, text, ret_parsed, NULL);
	assert(r == 0);
	return r == 0;
}

bool config_get_bool(const struct config_view *view, const char *name)
{
	union config_parsed parsed;

	return read_parsed(view, name, CONFIG_BOOL, &parsed) && parsed.boolean;
}

int64_t config_get_int(const struct config_view *view, const char *name)
{
	union config_parsed parsed;

	return read_parsed(view, name, CONFIG_INT, &parsed) ? parsed.integer : 0;
}

uint64_t config_get_size(const struct config_view *view, const char *name)
{
	union config_parsed parsed;

	return read_parsed(view, name, CONFIG_SIZE, &parsed) ? parsed.size : 0;
}

const char *config_get_string(const struct config_view *view, const char *name)
{
	const struct config_key *key;
	const char *text = read_text(view, name, &key);

	assert(key->type == CONFIG_STRING || key->type == CONFIG_PATH || key->type == CONFIG_ENUM);
	return text;
}

bool config_get_mac(const struct config_view *view, const char *name, uint8_t ret_mac[6])
{
	union config_parsed parsed;

	if (!read_parsed(view, name, CONFIG_MAC, &parsed)) {
		return false;
	}
	memcpy(ret_mac, parsed.mac, sizeof(parsed.mac));
	return true;
}

int config_get_text(struct config_tree *tree, const char *path, const char **ret_text,
		    struct error *err)
{
	const struct config_key *key = config_find_key(tree, path);
	const struct config_value *value;

	if (key == NULL) {
		return config_unknown(tree, path, err);
	}
	value = find_value(tree, path);
	*ret_text = value != NULL ? value->text : key->def;
	return 0;
}

void config_for_each_value(struct config_tree *tree,
			   void (*fn)(void *opaque, const char *path, const char *text),
			   void *opaque)
{
	for (size_t i = 0; i < tree->value_count; i++) {
		fn(opaque, tree->values[i].path, tree->values[i].text);
	}
}

unsigned int config_index_count(struct config_tree *tree, const char *prefix)
{
	size_t prefix_size = strlen(prefix);
	unsigned int count = 0;

	for (size_t i = 0; i < tree->value_count; i++) {
		const char *path = tree->values[i].path;
		int index;

		if (strncmp(path, prefix, prefix_size) != 0 || path[prefix_size] != '.') {
			continue;
		}
		path += prefix_size + 1;
		index = config_index(path, strcspn(path, "."));
		if (index >= 0) {
			count = MAX(count, (unsigned int)index + 1);
		}
	}
	return count;
}
