/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_THUNK_H
#define LIMEN_SOFTCPU_THUNK_H

/*
 * Small machine-code routines, each of which executes one guest instruction on the host: it loads
 * the guest registers that the instruction reads, executes the instruction with its memory operand
 * at [rsi], and stores what it wrote. One cache for each software CPU, looked up by what makes a
 * thunk: the instruction's bytes in normal form and the numbers of its general registers.
 */

#include "softcpu/insn.h"
#include "softcpu/softcpu.h"

#define THUNK_MAX_BYTES 15
#define THUNK_GPR_SLOTS 3
#define THUNK_X87_IMAGE 64 /* x87 thunks save the state that many bytes above RSI, by FXSAVE64 */

enum thunk_flags {
	THUNK_READS = 1 << 0, /* its memory operand */
	THUNK_WRITES = 1 << 1,
	THUNK_FP = 1 << 2, /* depends on MXCSR, sets its flags */
	THUNK_VEX = 1 << 3,
	THUNK_XMM = 1 << 4, /* XMM or YMM registers */
	THUNK_MMX = 1 << 5,
	THUNK_X87 = 1 << 6,
	THUNK_MISALIGN_OK = 1 << 7, /* with MXCSR.MM */
};

/**
 * struct thunk_key - what a thunk executes
 * @bytes, @length: the instruction in 64-bit form: operand in memory at [rsi], explicit general
 * registers renamed (ModRM.reg: RAX, VEX.vvvv: RCX, ModRM.rm: RDX)
 * @gpr: the guest's registers behind RAX, RCX and RDX, SOFT_REG_NONE where there is none
 */
struct thunk_key {
	uint8_t length;
	uint8_t bytes[THUNK_MAX_BYTES];
	uint8_t gpr[THUNK_GPR_SLOTS];
	uint8_t pad[5];
};

/**
 * struct thunk_plan - what surrounds the instruction; a function of the key and so not part of it
 * @load, @store: bit masks of XMM (or YMM) registers; @mmx_load, @mmx_store: of MMX registers
 * @gpr_load, @gpr_store: bit masks of the slots
 * @flags_in, @flags_out: RFLAGS bits read and written
 */
struct thunk_plan {
	uint16_t load;
	uint16_t store;
	uint8_t mmx_load;
	uint8_t mmx_store;
	uint8_t gpr_load;
	uint8_t gpr_store;
	uint32_t flags_in;
	uint32_t flags_out;
	uint32_t flags; /* enum thunk_flags */
	uint16_t mem_size;
	uint8_t align_mask;
};

/** struct soft_thunk - @code executes it: x87 and MXCSR are as the caller set them. */
struct soft_thunk {
	void (*code)(struct softcpu *cpu, void *mem);
	uint32_t flags;
	uint16_t mem_size; /* bytes */
	uint8_t align_mask;
	struct thunk_key key;
	uint32_t next;
};

/** soft_thunk_plan() - the normal form of a decoded instruction, and the plan for it (normalise.c);
 * false when it has operands of a kind that thunks do not know. */
bool soft_thunk_plan(const struct soft_insn *insn, struct thunk_key *ret_key,
		     struct thunk_plan *ret_plan);

/**
 * soft_thunk_bind() - give @op its thunk, in op->aux
 *
 * When the cache is full, op->aux is NULL and @op is bound to a function that empties the cache,
 * drops all blocks and has the instruction decoded again.
 *
 * Return: false when there is no executable memory.
 */
bool soft_thunk_bind(struct softcpu *cpu, const struct thunk_key *key,
		     const struct thunk_plan *plan, struct soft_op *op);

#endif
