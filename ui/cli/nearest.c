/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The name that was probably meant: by the number of letters to insert, remove or replace
 * (Levenshtein).
 */

#include <string.h>

#include "cli.h"

#define NAME_MAX_LENGTH 40

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t a_size = strnlen(a, NAME_MAX_LENGTH);
	size_t b_size = strnlen(b, NAME_MAX_LENGTH);
	size_t row[NAME_MAX_LENGTH + 1];

	for (size_t j = 0; j <= b_size; j++) {
		row[j] = j;
	}
	for (size_t i = 1; i <= a_size; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t above = row[j];

			row[j] = least(diagonal + (a[i - 1] != b[j - 1]),
				       least(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[b_size];
}

const char *cli_nearest(const char *name, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	size_t length = strlen(name);
	/* Two slips, or a third of the letters, still look like the name that was meant. */
	size_t nearest_distance = (length > 6 ? length / 3 : 2) + 1;

	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(name, names[i]);

		if (distance < nearest_distance) {
			nearest = names[i];
			nearest_distance = distance;
		}
	}
	return nearest;
}
