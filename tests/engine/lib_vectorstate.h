/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_VECTORSTATE_H
#define LIMEN_TESTS_LIB_VECTORSTATE_H

/*
 * Random register states with the values that matter to arithmetic (zeros, infinities, NaNs,
 * denormals, limits), and a comparison that says in which register two states differ.
 */

#include <stdio.h>

#include "lib_hostrun.h"

/** struct random - xorshift64*: repeatable, and good enough. */
struct random {
	uint64_t state;
};

uint64_t random_next(struct random *random);

/** random_below() - 0 to @limit - 1. */
unsigned int random_below(struct random *random, unsigned int limit);

/** random_lane() - 8 bytes: a number of either format, or any bits. */
uint64_t random_lane(struct random *random);

/** random_fpu() - fill an XSAVE image; @unmasked: exceptions may be unmasked, and none is pending.
 */
void random_fpu(struct random *random, uint8_t *fpu, bool unmasked);

/** random_gprs() - all of them, with small and large numbers. */
void random_gprs(struct random *random, uint64_t *gpr);

/**
 * state_differs() - compare what a guest can see
 *
 * The x87 pointers count only while an exception is pending: else this host does not save them.
 * Return: true after having written to @out where they differ.
 */
bool state_differs(const struct hostrun_state *a, const struct hostrun_state *b, FILE *out);

#endif
