/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_CONFIG_PRIV_H
#define LIMEN_BASE_CONFIG_PRIV_H

/*
 * What the files of the configuration tree share. Nothing else includes this.
 */

#include "base/config.h"

#define CONFIG_PATH_MAX	 128 /* of a dotted path, with its end */
#define CONFIG_INDEX_MAX 255

/** struct config_value - one key that is set */
struct config_value {
	char *path;
	char *text; /* as written; a CONFIG_PATH made absolute */
	const struct config_key *key;
};

struct config_declaration {
	char *pattern;
	const struct config_key *keys;
};

struct config_tree {
	struct config_declaration *declarations;
	size_t declaration_count;
	struct config_value *values;
	size_t value_count;
	size_t value_capacity;
};

/**
 * config_value_prepare() - check @text for the key at @path and make the entry for it; @folder is
 * what a relative file name counts from (NULL: the working directory). -ENOENT, -EINVAL, -ENOMEM.
 */
int config_value_prepare(struct config_tree *tree, const char *path, const char *text,
			 const char *folder, struct config_value *ret_value, struct error *err);
void config_value_finish(struct config_value *value);

/** config_reserve() - room for @count more values, so that config_commit() cannot fail. */
int config_reserve(struct config_tree *tree, size_t count, struct error *err);

/** config_commit() - put @value into the tree, which owns it from now on. */
void config_commit(struct config_tree *tree, struct config_value *value);

/** config_find_key() - the declaration of the key at @path, or NULL. */
const struct config_key *config_find_key(struct config_tree *tree, const char *path);

/** config_is_group() - whether some declared key lies under @path. */
bool config_is_group(struct config_tree *tree, const char *path);

/** config_unknown() - the error of an unknown key, which names the nearest known one. */
int config_unknown(struct config_tree *tree, const char *path, struct error *err);

/* The values' texts (config_value.c). */
union config_parsed {
	bool boolean;
	int64_t integer;
	uint64_t size;
	uint8_t mac[6];
};

/**
 * config_parse() - read @text as a value of @key's type. Strings need no reading. Return: 0 or
 * -EINVAL.
 */
int config_parse(const struct config_key *key, const char *text, union config_parsed *ret_parsed,
		 struct error *err);

/** config_is_choice() - whether @text is one of "a|b|c". */
bool config_is_choice(const char *choices, const char *text);

/** config_index() - the number that the @size bytes at @text are as an index, or -1. */
int config_index(const char *text, size_t size);

/** config_match() - whether @path is the key @name at a place that matches @pattern. */
bool config_match(const char *pattern, const char *name, const char *path);

#endif
