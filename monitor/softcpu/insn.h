/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_INSN_H
#define LIMEN_SOFTCPU_INSN_H

/*
 * A decoded instruction as the binding functions see it; apart from softcpu.h so that only they
 * need Zydis.
 */

#include <Zydis/Zydis.h>

#include "softcpu/softcpu.h"

/**
 * struct soft_insn - an instruction as Zydis decodes it
 * @operands: the visible ones (operand_count_visible)
 * @rip: its address; @mode: of the code segment
 */
struct soft_insn {
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *bytes;
	uint64_t rip;
	enum soft_mode mode;
};

/** soft_insn_gpr() - our number of a Zydis general register (16-19: AH, CH, DH, BH), SOFT_REG_NONE
 *  if not one. */
uint8_t soft_insn_gpr(ZydisRegister reg);

#endif
