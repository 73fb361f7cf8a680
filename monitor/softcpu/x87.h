/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_X87_H
#define LIMEN_SOFTCPU_X87_H

/*
 * What the files of the x87 instructions share.
 */

#include "softcpu/fpu.h"

/** x87_note_pointers() - FOP, FIP and FDP after a non-control instruction; op->imm holds the
 * opcode. @fsw: of the result, as some processors note them only with an unmasked exception. */
void x87_note_pointers(struct softcpu *cpu, const struct soft_op *op, uint64_t ea, uint16_t fsw);

/** x87_raised() - FERR# when an instruction left an unmasked exception and CR0.NE is clear. */
void x87_raised(struct softcpu *cpu);

/** x87_tags() - the full tag word, two bits for each register. */
uint16_t x87_tags(const struct soft_fpu *fpu);

/** x87_bind_control() - control instructions (x87_control.c); false: not one of them. */
bool x87_bind_control(const struct soft_insn *insn, struct soft_op *op);

/** x87_execute() - the complete way: op->aux is the thunk. */
void x87_execute(struct softcpu *cpu, const struct soft_op *op);

#endif
