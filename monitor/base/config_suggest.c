/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answer to an unknown key: the nearest known one, by the number of letters to insert, remove,
 * replace or exchange with their neighbour (the optimal string alignment distance). Indexes do not
 * count: for "disk.3.fiel" the nearest is "disk.3.file".
 */

#include <stdio.h>

#include "base/config_priv.h"
#include "base/text.h"

unsigned int text_distance(const char *a, const char *b)
{
	unsigned int rows[3][CONFIG_PATH_MAX + 1];
	size_t a_size = strnlen(a, CONFIG_PATH_MAX);
	size_t b_size = strnlen(b, CONFIG_PATH_MAX);

	for (size_t j = 0; j <= b_size; j++) {
		rows[0][j] = (unsigned int)j;
	}
	for (size_t i = 1; i <= a_size; i++) {
		unsigned int *row = rows[i % 3];
		const unsigned int *above = rows[(i - 1) % 3];
		const unsigned int *above2 = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_size; j++) {
			unsigned int best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, above[j] + 1);
			best = MIN(best, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
				best = MIN(best, above2[j - 2] + 1);
			}
			row[j] = best;
		}
	}
	return rows[a_size % 3][b_size];
}

/*
 * "@pattern.@name" with the indexes of @path in the places of its stars, as far as there are any.
 */
static void fill_pattern(const char *pattern, const char *name, const char *path, char *text,
			 size_t size)
{
	char full[CONFIG_PATH_MAX];
	const char *p = full;
	size_t used = 0;

	snprintf(full, sizeof(full), "%s%s%s", pattern, *pattern != '\0' ? "." : "", name);
	while (*p != '\0' && used + 5 < size) {
		size_t n = strcspn(path, ".");

		if (*p != '*') {
			text[used++] = *p++;
			continue;
		}
		while (*path != '\0' && config_index(path, n) < 0) {
			path += n + (path[n] == '.');
			n = strcspn(path, ".");
		}
		if (*path == '\0') {
			text[used++] = '0';
		} else {
			memcpy(text + used, path, n);
			used += n;
			path += n + (path[n] == '.');
		}
		p++;
	}
	text[used] = '\0';
}

int config_unknown(struct config_tree *tree, const char *path, struct error *err)
{
	char nearest[CONFIG_PATH_MAX] = "";
	unsigned int nearest_distance = 0;

	for (size_t i = 0; i < tree->declaration_count; i++) {
		const struct config_declaration *declaration = &tree->declarations[i];

		for (const struct config_key *key = declaration->keys; key->name != NULL; key++) {
			char candidate[CONFIG_PATH_MAX];
			unsigned int distance;

			fill_pattern(declaration->pattern, key->name, path, candidate,
				     sizeof(candidate));
			distance = text_distance(path, candidate);
			if (nearest[0] == '\0' || distance < nearest_distance) {
				memcpy(nearest, candidate, sizeof(nearest));
				nearest_distance = distance;
			}
		}
	}
	if (nearest[0] == '\0') {
		return error_set(err, ENOENT, "there is no key '%.*s'", CONFIG_PATH_MAX, path);
	}
	return error_set(err, ENOENT, "there is no key '%.*s'; the nearest is '%s'",
			 CONFIG_PATH_MAX, path, nearest);
}
