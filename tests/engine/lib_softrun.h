/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_SOFTRUN_H
#define LIMEN_TESTS_LIB_SOFTRUN_H

/*
 * Runs user-mode code on the software CPU as hostrun() does on the host: 64-bit mode, CPL 3, and a
 * small address space that lies at the same addresses in both.
 */

#include "lib_hostrun.h"
#include "softcpu/softcpu.h"

#define RUN_CODE 0x10000000
#define RUN_CODE_SIZE 0x4000
#define RUN_DATA 0x10010000
#define RUN_DATA_SIZE 0x4000 /* nothing is mapped before and after it */

struct softrun;

struct softrun *softrun_create(void);
void softrun_destroy(struct softrun *run);

/** softrun_cpu() - the CPU, for what a test wants to set beside the registers. */
struct softcpu *softrun_cpu(struct softrun *run);

/** softrun_set_code() - what the guest sees at RUN_CODE. */
void softrun_set_code(struct softrun *run, const uint8_t *code, size_t size);

/** softrun_data() - host address of what the guest sees at RUN_DATA. */
uint8_t *softrun_data(struct softrun *run);

/** softrun_set_compatibility() - run in a 32-bit code segment from now on, or not. */
void softrun_set_compatibility(struct softrun *run, bool on);

/** softrun() - see hostrun(). */
void softrun(struct softrun *run, struct hostrun_state *state, struct hostrun_exit *ret_exit);

#endif
