/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of general-purpose instructions share: who is asked for which instruction, and the
 * choice of a function by operand form. Intel SDM vol. 2 is the specification of them all.
 */

#include "softcpu/integer.h"

bool soft_bind_integer(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	return soft_bind_move(cpu, insn, op) || soft_bind_alu(cpu, insn, op) ||
	       soft_bind_stack(cpu, insn, op) || soft_bind_shift(cpu, insn, op) ||
	       soft_bind_exchange(cpu, insn, op) || soft_bind_bits(cpu, insn, op) ||
	       soft_bind_multiply(cpu, insn, op) || soft_bind_arith_flags(cpu, insn, op) ||
	       soft_bind_misc(cpu, insn, op) || soft_bind_decimal(cpu, insn, op) ||
	       soft_bind_io(cpu, insn, op);
}

bool soft_is_flat(const struct softcpu *cpu, struct soft_op *op)
{
	op->address_mask = op->addrsize == 8 ? UINT64_MAX : BIT(op->addrsize * 8) - 1;
	if (!(cpu->block_key & SOFT_KEY_FLAT) || op->seg >= CPU_FS) {
		return false;
	}
	/* Outside of 64-bit code CS may be read-only and execute-only: let the checks see it. */
	return op->seg != CPU_CS || cpu->mode == SOFT_MODE_64;
}

enum soft_form soft_insn_form(struct softcpu *cpu, const struct soft_insn *insn,
			      const struct soft_op *op)
{
	const ZydisDecodedOperand *first = &insn->operands[0];
	const ZydisDecodedOperand *second = &insn->operands[1];

	if (insn->zydis.operand_count_visible < 2) {
		return SOFT_FORM_COUNT;
	}
	if (first->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		bool flat = soft_is_flat(cpu, (struct soft_op *)op);

		if (second->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			return flat ? SOFT_FORM_MI : SOFT_FORM_MI_SEG;
		}
		return flat ? SOFT_FORM_MR : SOFT_FORM_MR_SEG;
	}
	if (second->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		return soft_is_flat(cpu, (struct soft_op *)op) ? SOFT_FORM_RM : SOFT_FORM_RM_SEG;
	}
	return second->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? SOFT_FORM_RI : SOFT_FORM_RR;
}

uint8_t soft_insn_segment(const struct soft_insn *insn)
{
	switch (insn->zydis.attributes & ZYDIS_ATTRIB_HAS_SEGMENT) {
	case ZYDIS_ATTRIB_HAS_SEGMENT_CS: return CPU_CS;
	case ZYDIS_ATTRIB_HAS_SEGMENT_SS: return CPU_SS;
	case ZYDIS_ATTRIB_HAS_SEGMENT_ES: return CPU_ES;
	case ZYDIS_ATTRIB_HAS_SEGMENT_FS: return CPU_FS;
	case ZYDIS_ATTRIB_HAS_SEGMENT_GS: return CPU_GS;
	default: return CPU_DS;
	}
}

void soft_use_byte_registers(struct soft_op *op)
{
	if (op->reg != SOFT_REG_NONE) {
		op->reg = soft_byte_register(op->reg);
	}
	if (op->rm != SOFT_REG_NONE) {
		op->rm = soft_byte_register(op->rm);
	}
}

bool soft_bind_threaded(struct soft_op *op, soft_fn fn)
{
	op->fn = fn;
	op->kind = SOFT_CALL_THREADED;
	return true;
}

bool soft_bind_plain(struct soft_op *op, soft_fn fn)
{
	op->fn = fn;
	op->kind = SOFT_CALL_PLAIN;
	return true;
}

bool soft_bind_full(struct soft_op *op, soft_fn fn)
{
	op->fn = fn;
	op->kind = SOFT_CALL_FULL;
	return true;
}

/* An operand in a segment that matters: offset, segment checks, linear address. */
gva_t soft_operand_address(struct softcpu *cpu, const struct soft_op *op, unsigned int size,
			   bool write)
{
	const struct cpu_segment *segment = &cpu->seg[op->seg];
	uint64_t offset = soft_ea(cpu, op);

	cpu->op = op;
	/* Most segments are data that grows up and may be written; the rest asks in detail. */
	if (cpu->mode != SOFT_MODE_64 &&
	    (segment->attr & (CPU_SEG_UNUSABLE | 0xe)) == 2 &&
	    offset + size - 1 <= segment->limit) {
		return (uint32_t)(segment->base + offset);
	}
	return soft_linear(cpu, op->seg, offset, size, write);
}
