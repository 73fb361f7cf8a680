/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_ERROR_H
#define LIMEN_BASE_ERROR_H

/*
 * Errors that a person will read. Functions return a negative errno; those whose failure reaches a
 * user (configuration, opening an image, the control socket) also fill a struct error with one line
 * that names the thing and the remedy. Library code never prints: whoever consumes the error
 * reports it, once.
 */

#include "base/types.h"

/**
 * struct error - what went wrong, for a person
 * @code: positive errno value, 0 while nothing is wrong
 * @text: one line, no full stop, no newline
 */
struct error {
	int code;
	char text[512];
};

/**
 * error_set() - describe a failure
 * @err: receives the text; may be NULL (the text is then dropped)
 * @code: positive errno value
 * @fmt: printf format of one line
 *
 * Return: -@code, so that `return error_set(err, EINVAL, ...)` reads well.
 */
int error_set(struct error *err, int code, const char *fmt, ...) LIMEN_PRINTF(3, 4);

/**
 * error_prefix() - put "@fmt: " in front of a text already set
 * @err: may be NULL
 */
void error_prefix(struct error *err, const char *fmt, ...) LIMEN_PRINTF(2, 3);

#endif
