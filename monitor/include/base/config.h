/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_CONFIG_H
#define LIMEN_BASE_CONFIG_H

/*
 * The machine's configuration tree. machine.yaml, the command line (--set and the options, which
 * are shorthands for keys) and the control socket all write this one tree; everything that is built
 * reads it.
 *
 * Keys are dotted paths ("memory", "boot.kernel", "disk.0.file", "disk.0.cache"). Which keys exist
 * is declared in tables: by the machine for its own, by each device for its instances. A
 * declaration is made for a pattern in which "*" stands for one index from 0 to 255 ("disk.*"). A
 * key that nobody declared is an error that names the nearest declared one. The tree has no lock:
 * it belongs to the main loop's thread.
 */

#include "base/error.h"
#include "base/types.h"

enum config_type {
	CONFIG_BOOL, /* on/off, true/false, yes/no, 1/0 */
	CONFIG_INT,  /* decimal or 0x; checked against min and max */
	CONFIG_SIZE, /* bytes; suffixes K M G T; a bare number counts key.unit (default 1) */
	CONFIG_STRING,
	CONFIG_PATH, /* a file name; relative to its YAML file's folder or the working directory */
	CONFIG_ENUM, /* one of key.choices */
	CONFIG_MAC,  /* aa:bb:cc:dd:ee:ff */
};

/**
 * struct config_key - one declared key
 * @name: last component; "*" for a list of plain values ("forward.0", "forward.1")
 * @def: default as text; NULL for "not set"
 * @help: one line for help texts and forms
 * @choices: "a|b|c" for CONFIG_ENUM; for CONFIG_PATH, words that stand for themselves and are
 *           no file names
 * @min, @max: for CONFIG_INT and CONFIG_SIZE; both 0: no limits
 * @unit: for CONFIG_SIZE, what a bare number counts (MIB(1) for memory); 0 is 1
 */
struct config_key {
	const char *name;
	enum config_type type;
	const char *def;
	const char *help;
	const char *choices;
	int64_t min;
	int64_t max;
	uint64_t unit;
};

struct config_tree;

/** struct config_view - a place in the tree from which a part reads its own keys; copied freely. */
struct config_view {
	struct config_tree *tree;
	char prefix[96]; /* "disk.0", or "" for the root */
};

int config_tree_create(struct config_tree **ret_tree, struct error *err);
void config_tree_destroy(struct config_tree *tree);

/**
 * config_declare() - say which keys exist under @pattern
 * @pattern: "", "boot", "disk.*" ...
 * @keys: ended by a NULL name; must outlive the tree. Several declarations for one pattern add up.
 */
int config_declare(struct config_tree *tree, const char *pattern, const struct config_key *keys,
		   struct error *err);

/**
 * config_set() - set a key from text
 *
 * Checks that it is declared and that the value is of its type and within its range. Return: 0,
 * -ENOENT for an unknown key (the text names the nearest), -EINVAL for a bad value; the tree is
 * then unchanged.
 */
int config_set(struct config_tree *tree, const char *path, const char *value, struct error *err);

/** config_set_assignment() - config_set() of "KEY=VALUE", as --set takes it. */
int config_set_assignment(struct config_tree *tree, const char *assignment, struct error *err);

/** config_load_yaml() - set every key of a YAML file (mappings are path components, sequences
 *  indexes). On failure the text has file, line and key, and no key has changed. */
int config_load_yaml(struct config_tree *tree, const char *file, struct error *err);

/**
 * config_load_yaml_text() - the same from memory
 * @name: stands in errors
 * @folder: what relative file names count from
 */
int config_load_yaml_text(struct config_tree *tree, const char *text, size_t size, const char *name,
			  const char *folder, struct error *err);

/** config_save_yaml() - write all keys that are set, atomically (new file, rename). */
int config_save_yaml(struct config_tree *tree, const char *file, struct error *err);

/** config_view_at() - the view of "@prefix" in @tree. */
struct config_view config_view_at(struct config_tree *tree, const char *prefix);

/** config_is_set() - whether somebody has set the key (a default does not count). */
bool config_is_set(const struct config_view *view, const char *name);

/* Typed reads. Reading a key that is not declared, or as another type, is a programming error
 * (assert). A key without value or default reads as false, 0 or NULL. Strings live until the key is
 * set again. */
bool config_get_bool(const struct config_view *view, const char *name);
int64_t config_get_int(const struct config_view *view, const char *name);
uint64_t config_get_size(const struct config_view *view, const char *name);
const char *config_get_string(const struct config_view *view, const char *name);
bool config_get_mac(const struct config_view *view, const char *name, uint8_t ret_mac[6]);

/** config_get_text() - the text of any key's value or default, NULL for neither; -ENOENT. */
int config_get_text(struct config_tree *tree, const char *path, const char **ret_text,
		    struct error *err);

/** config_for_each_value() - visit every key that is set, in the order of the paths. */
void config_for_each_value(struct config_tree *tree,
			   void (*fn)(void *opaque, const char *path, const char *text),
			   void *opaque);

/**
 * config_index_count() - one more than the highest index N for which a key under "@prefix.N." is
 * set
 */
unsigned int config_index_count(struct config_tree *tree, const char *prefix);

/** config_for_each_key() - visit every declared pattern and key, for help texts and forms. */
void config_for_each_key(struct config_tree *tree,
			 void (*fn)(void *opaque, const char *pattern,
				    const struct config_key *key),
			 void *opaque);

#endif
