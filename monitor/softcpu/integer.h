/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_INTEGER_H
#define LIMEN_SOFTCPU_INTEGER_H

/*
 * The general-purpose instructions are spread over a file for each kind; soft_bind_integer() asks
 * them in turn. Most functions are made by macros from one inline function over the operand's
 * form and size, so that each combination is a function of its own without a test in it.
 */

#include "softcpu/alu.h"
#include "softcpu/insn.h"

/* Where the operands of an instruction are. The flat forms are those of SOFT_KEY_FLAT blocks. */
enum soft_form {
	SOFT_FORM_RR, /* register, register */
	SOFT_FORM_RI, /* register, immediate */
	SOFT_FORM_RM, /* register, memory; flat */
	SOFT_FORM_MR, /* memory, register; flat */
	SOFT_FORM_MI, /* memory, immediate; flat */
	SOFT_FORM_RM_SEG,
	SOFT_FORM_MR_SEG,
	SOFT_FORM_MI_SEG,
	SOFT_FORM_COUNT,
};

/* All sizes and forms of an op, in the order of the tables that soft_pick() looks into. */
#define SOFT_FOR_FORMS(X, name, size)                                                             \
	X(name, size, RR)                                                                         \
	X(name, size, RI)                                                                         \
	X(name, size, RM_SEG)                                                                     \
	X(name, size, MR_SEG)                                                                     \
	X(name, size, MI_SEG)                                                                     \
	X(name, size, RM)                                                                         \
	X(name, size, MR)                                                                         \
	X(name, size, MI)
#define SOFT_FOR_SIZES_AND_FORMS(X, name)                                                         \
	SOFT_FOR_FORMS(X, name, 1)                                                                \
	SOFT_FOR_FORMS(X, name, 2)                                                                \
	SOFT_FOR_FORMS(X, name, 4)                                                                \
	SOFT_FOR_FORMS(X, name, 8)

/* The function of the same name that serves where a flat one gives up. */
#define SOFT_TWIN_RR(prefix)	 soft_next
#define SOFT_TWIN_RI(prefix)	 soft_next
#define SOFT_TWIN_RM_SEG(prefix) soft_next
#define SOFT_TWIN_MR_SEG(prefix) soft_next
#define SOFT_TWIN_MI_SEG(prefix) soft_next
#define SOFT_TWIN_RM(prefix)	 prefix##_RM_SEG
#define SOFT_TWIN_MR(prefix)	 prefix##_MR_SEG
#define SOFT_TWIN_MI(prefix)	 prefix##_MI_SEG

/**
 * SOFT_DEFINE_FORM() - a threaded function
 * @prefix: of its name, to which _@form is added
 * @done: an expression that executes it; false when a flat form has to leave it to its twin
 */
#define SOFT_DEFINE_FORM(prefix, form, done)                                                      \
	static void prefix##_##form(struct softcpu *cpu, const struct soft_op *op)                \
	{                                                                                         \
		if (done) {                                                                       \
			soft_next(cpu, op);                                                       \
		} else {                                                                          \
			SOFT_TWIN_##form(prefix)(cpu, op);                                        \
		}                                                                                 \
	}

/** soft_size_index() - 0-3 for sizes 1, 2, 4, 8: the row of a table of functions. */
static inline unsigned int soft_size_index(unsigned int size)
{
	return (unsigned int)__builtin_ctz(size);
}

/** soft_insn_form() - the form of an instruction's first two operands; SOFT_FORM_COUNT if none. */
enum soft_form soft_insn_form(struct softcpu *cpu, const struct soft_insn *insn,
			      const struct soft_op *op);

/** soft_is_flat() - whether the memory operand's segment does nothing; sets op->address_mask. */
bool soft_is_flat(const struct softcpu *cpu, struct soft_op *op);

/** soft_insn_segment() - of an operand that is not visible: DS, or what a prefix says. */
uint8_t soft_insn_segment(const struct soft_insn *insn);

/** soft_use_byte_registers() - for functions of byte size: see soft_byte_register(). */
void soft_use_byte_registers(struct soft_op *op);

/** soft_bind_threaded() - op->fn = @fn, which goes on by itself. Return: true. */
bool soft_bind_threaded(struct soft_op *op, soft_fn fn);

/** soft_bind_plain()/full() - the other kinds. Return: true. */
bool soft_bind_plain(struct soft_op *op, soft_fn fn);
bool soft_bind_full(struct soft_op *op, soft_fn fn);

/* The stack, for functions that have set cpu->op; sizes 2, 4, 8. */

/** soft_stack_size() - bytes of the stack pointer that count. */
unsigned int soft_stack_size(const struct softcpu *cpu);
/** soft_push_value() - write and move the stack pointer. */
void soft_push_value(struct softcpu *cpu, uint64_t value, unsigned int size);
/** soft_peek_value() - read @displacement bytes above the stack pointer. */
uint64_t soft_peek_value(struct softcpu *cpu, uint64_t displacement, unsigned int size);
void soft_add_sp(struct softcpu *cpu, uint64_t bytes);

bool soft_bind_alu(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_move(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_shift(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_stack(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_multiply(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_bits(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_exchange(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_decimal(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_arith_flags(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_misc(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_io(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);

#endif
