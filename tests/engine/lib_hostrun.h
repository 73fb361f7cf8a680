/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_HOSTRUN_H
#define LIMEN_TESTS_LIB_HOSTRUN_H

/*
 * Runs user-mode machine code on the host CPU with every register given, and takes every register
 * out again: what the engines are compared with.
 *
 * Entry and exit go through signals: a breakpoint enters, its handler puts the registers into its
 * frame; another breakpoint, or the fault that the code raises, leaves. One run at a time in a
 * process; the signal handlers are installed only while one is under way.
 */

#include "base/types.h"

#define HOSTRUN_FPU_SIZE 832

/**
 * struct hostrun_state - registers of 64-bit user mode
 * @gpr: in the order of enum cpu_gpr
 * @fpu: XSAVE image in standard format: x87, SSE and, where the host has it, AVX
 */
struct hostrun_state {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags;
	uint8_t fpu[HOSTRUN_FPU_SIZE] __attribute__((aligned(64)));
};

/** struct hostrun_exit - why it ended: @vector 3 is the breakpoint behind the code. */
struct hostrun_exit {
	unsigned int vector;
	uint64_t error_code;
	uint64_t address; /* CR2 of a page fault */
};

/**
 * hostrun() - run from state->rip until the code raises an exception
 * @state: in and out; rip is then the faulting instruction, or the one after the breakpoint
 *
 * The code must raise one, at the latest by an INT3 behind it, and must not call the system.
 */
void hostrun(struct hostrun_state *state, struct hostrun_exit *ret_exit);

/** hostrun_set_compatibility() - the runs to come are of 32-bit code. */
void hostrun_set_compatibility(bool on);

#endif
