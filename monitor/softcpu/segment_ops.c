/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOV, PUSH and POP of segment registers, RDFSBASE and its kin, SWAPGS. Intel SDM vol. 2, their
 * pages.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

static uint8_t segment_number(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_ES && reg <= ZYDIS_REGISTER_GS ?
		       (uint8_t)(reg - ZYDIS_REGISTER_ES) :
		       SOFT_SEG_NONE;
}

static void after_load(struct softcpu *cpu, unsigned int seg)
{
	if (seg == CPU_SS) {
		/* The next instruction is to load SP: nothing comes between (SDM vol. 3, 6.8.3). */
		cpu->interrupt_shadow = true;
	}
}

static void op_mov_from_segment(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = cpu->seg[op->aux_value].selector;

	if (op->has_mem) {
		soft_write_u16(cpu, op->seg, soft_ea(cpu, op), selector);
	} else {
		cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], selector, op->opsize);
	}
}

static void op_mov_to_segment(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = op->has_mem ? soft_read_u16(cpu, op->seg, soft_ea(cpu, op)) :
					  (uint16_t)cpu->gpr[op->reg];

	soft_load_segment(cpu, (enum cpu_seg)op->aux_value, selector);
	after_load(cpu, (unsigned int)op->aux_value);
}

/* With 32-bit operands only the selector's word is written, as current processors do. */
static void op_push_segment(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_stack stack = soft_stack_current(cpu);
	uint64_t sp = (stack.sp - op->opsize) & stack.mask;
	uint16_t selector = cpu->seg[op->aux_value].selector;

	if (op->opsize == 8) {
		soft_write_u64(cpu, CPU_SS, sp, selector);
	} else {
		soft_write_u16(cpu, CPU_SS, sp, selector);
	}
	stack.sp = sp;
	soft_stack_commit(&stack);
}

static void op_pop_segment(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_stack stack = soft_stack_current(cpu);
	uint16_t selector = soft_read_u16(cpu, CPU_SS, stack.sp & stack.mask);

	soft_load_segment(cpu, (enum cpu_seg)op->aux_value, selector);
	stack.sp += op->opsize;
	/* SP moves by the width that the stack had before a POP SS. */
	soft_stack_commit(&stack);
	after_load(cpu, (unsigned int)op->aux_value);
}

static void require_fsgsbase(struct softcpu *cpu)
{
	if (!(cpu->cr4 & CR4_FSGSBASE) || !soft_in_64bit(cpu)) {
		soft_raise(cpu, SOFT_UD);
	}
}

static void op_read_base(struct softcpu *cpu, const struct soft_op *op)
{
	require_fsgsbase(cpu);
	cpu->gpr[op->reg] = soft_merge(0, cpu->seg[op->aux_value].base, op->opsize);
}

static void op_write_base(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t base = soft_merge(0, cpu->gpr[op->reg], op->opsize);

	require_fsgsbase(cpu);
	if (!soft_canonical(base)) {
		soft_raise_gp(cpu);
	}
	cpu->seg[op->aux_value].base = base;
}

static void op_swapgs(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t base = cpu->seg[CPU_GS].base;

	(void)op;
	if (!soft_in_64bit(cpu)) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_require_cpl0(cpu);
	cpu->seg[CPU_GS].base = cpu->kernel_gs_base;
	cpu->kernel_gs_base = base;
}

static bool bind_mov(const struct soft_insn *insn, struct soft_op *op)
{
	uint8_t to = SOFT_SEG_NONE;
	uint8_t from = SOFT_SEG_NONE;

	if (insn->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		to = segment_number(insn->operands[0].reg.value);
	}
	if (insn->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		from = segment_number(insn->operands[1].reg.value);
	}
	if (to != SOFT_SEG_NONE && to != CPU_CS) {
		op->aux_value = to;
		op->fn = op_mov_to_segment;
		op->reg = op->has_mem ? SOFT_REG_NONE :
					soft_insn_gpr(insn->operands[1].reg.value);
		op->ends_block = true;
		return true;
	}
	if (from != SOFT_SEG_NONE) {
		op->aux_value = from;
		op->fn = op_mov_from_segment;
		op->reg = op->has_mem ? SOFT_REG_NONE :
					soft_insn_gpr(insn->operands[0].reg.value);
		if (!op->has_mem) {
			op->opsize = (uint8_t)(insn->operands[0].size / 8);
		}
		return true;
	}
	return false;
}

static bool bind_push_pop(const struct soft_insn *insn, struct soft_op *op)
{
	uint8_t seg = SOFT_SEG_NONE;

	if (insn->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		seg = segment_number(insn->operands[0].reg.value);
	}
	if (seg == SOFT_SEG_NONE) {
		return false;
	}
	op->aux_value = seg;
	op->opsize = (uint8_t)(insn->zydis.operand_width / 8);
	if (insn->zydis.mnemonic == ZYDIS_MNEMONIC_PUSH) {
		op->fn = op_push_segment;
	} else {
		op->fn = op_pop_segment;
		op->ends_block = true;
	}
	return true;
}

static void bind_base(struct soft_op *op, soft_fn fn, enum cpu_seg seg)
{
	op->fn = fn;
	op->aux_value = seg;
	op->ends_block = fn == op_write_base;
}

bool soft_bind_segment(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_MOV: return bind_mov(insn, op);
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP: return bind_push_pop(insn, op);
	case ZYDIS_MNEMONIC_RDFSBASE: bind_base(op, op_read_base, CPU_FS); break;
	case ZYDIS_MNEMONIC_RDGSBASE: bind_base(op, op_read_base, CPU_GS); break;
	case ZYDIS_MNEMONIC_WRFSBASE: bind_base(op, op_write_base, CPU_FS); break;
	case ZYDIS_MNEMONIC_WRGSBASE: bind_base(op, op_write_base, CPU_GS); break;
	case ZYDIS_MNEMONIC_SWAPGS:
		op->fn = op_swapgs;
		op->ends_block = true;
		return soft_has(cpu, 0x80000001, 3, 29);
	default: return false;
	}
	return soft_has(cpu, 7, 1, 0);
}
