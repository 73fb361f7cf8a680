/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as one line of text. Arguments may come from files and guests, so control characters are
 * replaced: an error is always one line on the terminal of whoever reads it.
 */

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static void flatten(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f) {
			*text = '?';
		}
	}
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (err != NULL) {
		char text[sizeof(err->text)];

		/* By way of a copy: the arguments may quote the text that is being replaced. */
		va_start(args, fmt);
		vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
		flatten(text);
		memcpy(err->text, text, sizeof(text));
		err->code = code;
	}
	return -code;
}

static void append(char *text, size_t size, const char *tail)
{
	size_t used = strlen(text);
	size_t n = MIN(strlen(tail), size - 1 - used);

	memcpy(text + used, tail, n);
	text[used + n] = '\0';
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	if (err == NULL) {
		return;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* What does not fit is cut off at the end: the place is worth more than the detail. */
	append(text, sizeof(text), ": ");
	append(text, sizeof(text), err->text);
	flatten(text);
	memcpy(err->text, text, sizeof(text));
}
