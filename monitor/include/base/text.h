/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_TEXT_H
#define LIMEN_BASE_TEXT_H

/*
 * Small helpers for text that a person wrote.
 */

#include "base/types.h"

/**
 * text_distance() - how many letters to insert, remove, replace or exchange with their neighbour
 * make @b of @a
 *
 * For "did you mean". Only the first 128 letters of each count.
 */
unsigned int text_distance(const char *a, const char *b);

#endif
