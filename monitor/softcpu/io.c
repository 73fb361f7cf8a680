/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IN and OUT. Whether the port may be used is soft_check_io()'s to say; a port's handler may change
 * anything (memory slots, interrupt lines, the machine's power), so they end their block.
 */

#include "softcpu/integer.h"

static uint16_t port_of(const struct softcpu *cpu, const struct soft_op *op)
{
	return op->aux_value ? (uint16_t)cpu->gpr[CPU_RDX] : (uint8_t)op->imm;
}

static void in(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t port = port_of(cpu, op);
	uint64_t value;

	soft_check_io(cpu, port, op->opsize);
	value = io_read(cpu->env->ports, port, op->opsize);
	soft_set(cpu, CPU_RAX, value, op->opsize); /* AL's place is RAX's in either numbering */
}

static void out(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t port = port_of(cpu, op);
	uint64_t value = cpu->gpr[CPU_RAX];

	soft_check_io(cpu, port, op->opsize);
	io_write(cpu->env->ports, port, value & (BIT(op->opsize * 8) - 1), op->opsize);
}

bool soft_bind_io(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	bool is_in = insn->zydis.mnemonic == ZYDIS_MNEMONIC_IN;

	if (!is_in && insn->zydis.mnemonic != ZYDIS_MNEMONIC_OUT) {
		return false;
	}
	/* The port is DX unless it is an immediate byte. */
	op->aux_value = insn->operands[is_in].type == ZYDIS_OPERAND_TYPE_REGISTER;
	if (op->opsize == 8) {
		op->opsize = 4;
	}
	op->ends_block = true;
	return soft_bind_full(op, is_in ? in : out);
}
