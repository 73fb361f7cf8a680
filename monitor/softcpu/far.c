/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far JMP and CALL: direct, through call gates of 16, 32 and 64 bits with their stack switch,
 * and to tasks. Intel SDM vol. 3, 5.8; vol. 2, CALL and JMP.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

/* A direct transfer to a code segment does not change CPL: SDM vol. 3, 5.8.1. */
static void check_direct(struct softcpu *cpu, const struct soft_descriptor *code)
{
	uint16_t selector = code->selector;

	if (soft_is_conforming(code->attr) ?
		    soft_dpl(code->attr) > cpu->cpl :
		    (SELECTOR_RPL(selector) > cpu->cpl || soft_dpl(code->attr) != cpu->cpl)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (cpu->long_mode && (code->attr & CPU_SEG_L) && (code->attr & CPU_SEG_DB)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(code->attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
}

static void enter_code(struct softcpu *cpu, struct soft_descriptor *code, unsigned int cpl,
		       uint64_t rip)
{
	struct cpu_segment cs;

	soft_mark_accessed(cpu, code);
	cs = soft_segment(code, code->selector);
	soft_set_code(cpu, &cs, cpl);
	cpu->next_rip = rip;
}

static void transfer_direct(struct softcpu *cpu, struct soft_descriptor *code, uint64_t rip,
			    unsigned int size, bool call)
{
	struct soft_stack stack = soft_stack_current(cpu);
	struct cpu_segment cs = soft_segment(code, code->selector);

	check_direct(cpu, code);
	if (call) {
		soft_push(&stack, cpu->seg[CPU_CS].selector, size);
		soft_push(&stack, cpu->next_rip, size);
	}
	soft_check_target(cpu, &cs, rip);
	if (call) {
		soft_stack_commit(&stack);
	}
	enter_code(cpu, code, cpu->cpl, rip);
}

/* The code segment that a call gate leads to; SDM vol. 3, 5.8.4, table 5-1. */
static void fetch_gate_target(struct softcpu *cpu, uint16_t selector, bool call,
			      struct soft_descriptor *ret)
{
	if (SELECTOR_NULL(selector)) {
		soft_raise_gp(cpu);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, ret);
	if (!soft_is_code(ret->attr) || soft_dpl(ret->attr) > cpu->cpl ||
	    (!call && !soft_is_conforming(ret->attr) && soft_dpl(ret->attr) != cpu->cpl) ||
	    (cpu->long_mode && (ret->attr & (CPU_SEG_L | CPU_SEG_DB)) != CPU_SEG_L)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(ret->attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
}

static void copy_parameters(struct softcpu *cpu, struct soft_stack *to, unsigned int count,
			    unsigned int size)
{
	struct soft_stack from = soft_stack_current(cpu);

	for (unsigned int i = count; i-- > 0;) {
		struct soft_stack word = from;

		word.sp += i * size;
		soft_push(to, soft_pop(&word, size), size);
	}
}

static void call_inner(struct softcpu *cpu, const struct soft_gate *gate,
		       struct soft_descriptor *code, unsigned int size)
{
	unsigned int cpl = soft_dpl(code->attr);
	struct cpu_segment cs = soft_segment(code, code->selector);
	struct soft_stack stack = cpu->long_mode ? soft_inner_stack64(cpu, cpl, 0) :
						   soft_inner_stack(cpu, cpl);

	soft_push(&stack, cpu->seg[CPU_SS].selector, size);
	soft_push(&stack, cpu->gpr[CPU_RSP], size);
	if (!cpu->long_mode) {
		copy_parameters(cpu, &stack, gate->count, size);
	}
	soft_push(&stack, cpu->seg[CPU_CS].selector, size);
	soft_push(&stack, cpu->next_rip, size);
	soft_check_target(cpu, &cs, gate->offset);
	soft_stack_commit(&stack);
	enter_code(cpu, code, cpl, gate->offset);
}

static void through_call_gate(struct softcpu *cpu, const struct soft_descriptor *desc, bool call)
{
	unsigned int size = cpu->long_mode ? 8 : desc->attr & 8 ? 4 : 2;
	struct soft_descriptor code;
	struct soft_stack stack;
	struct cpu_segment cs;
	struct soft_gate gate;

	if (!soft_decode_gate(cpu, desc, cpu->long_mode, &gate)) {
		soft_raise_selector(cpu, SOFT_GP, desc->selector);
	}
	fetch_gate_target(cpu, gate.selector, call, &code);
	if (call && !soft_is_conforming(code.attr) && soft_dpl(code.attr) < cpu->cpl) {
		call_inner(cpu, &gate, &code, size);
		return;
	}
	cs = soft_segment(&code, code.selector);
	stack = cpu->long_mode ? soft_stack_wide(cpu) : soft_stack_current(cpu);
	if (call) {
		soft_push(&stack, cpu->seg[CPU_CS].selector, size);
		soft_push(&stack, cpu->next_rip, size);
	}
	soft_check_target(cpu, &cs, gate.offset);
	if (call) {
		soft_stack_commit(&stack);
	}
	enter_code(cpu, &code, cpu->cpl, gate.offset);
}

static void transfer_system(struct softcpu *cpu, const struct soft_descriptor *desc, bool call)
{
	enum soft_task_reason reason = call ? TASK_CALL : TASK_JMP;
	uint16_t selector = desc->selector;
	unsigned int type = desc->attr & 0xf;
	bool valid = cpu->long_mode ? type == TYPE_CALL32 :
				      type == TYPE_CALL32 || type == TYPE_CALL16 ||
					      type == TYPE_TASK_GATE || type == TYPE_TSS16 ||
					      type == TYPE_TSS32;

	if (!valid || soft_dpl(desc->attr) < cpu->cpl ||
	    soft_dpl(desc->attr) < SELECTOR_RPL(selector)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (type == TYPE_TSS16 || type == TYPE_TSS32) {
		soft_task_switch(cpu, selector, reason);
		return;
	}
	if (!(desc->attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	if (type == TYPE_TASK_GATE) {
		soft_task_gate(cpu, desc, reason);
	} else {
		through_call_gate(cpu, desc, call);
	}
}

static void transfer_protected(struct softcpu *cpu, uint16_t selector, uint64_t rip,
			       unsigned int size, bool call)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		soft_raise_gp(cpu);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, &desc);
	if (soft_is_code(desc.attr)) {
		transfer_direct(cpu, &desc, rip, size, call);
	} else if (desc.attr & CPU_SEG_S) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	} else {
		transfer_system(cpu, &desc, call);
	}
}

static void transfer_real(struct softcpu *cpu, uint16_t selector, uint64_t rip, unsigned int size,
			  bool call)
{
	struct soft_stack stack = soft_stack_current(cpu);

	if (call) {
		soft_push(&stack, cpu->seg[CPU_CS].selector, size);
		soft_push(&stack, cpu->next_rip, size);
	}
	soft_check_target(cpu, &cpu->seg[CPU_CS], rip);
	if (call) {
		soft_stack_commit(&stack);
	}
	soft_real_segment(cpu, CPU_CS, selector);
	soft_update_mode(cpu);
	cpu->next_rip = rip;
}

static void transfer(struct softcpu *cpu, uint16_t selector, uint64_t rip, unsigned int size,
		     bool call)
{
	if (cpu->protected_mode && !cpu->v8086) {
		transfer_protected(cpu, selector, rip, size, call);
	} else {
		transfer_real(cpu, selector, rip, size, call);
	}
}

/* Direct: selector in aux_value, offset in imm. */
static void op_jmp_direct(struct softcpu *cpu, const struct soft_op *op)
{
	transfer(cpu, (uint16_t)op->aux_value, op->imm, op->opsize, false);
}

static void op_call_direct(struct softcpu *cpu, const struct soft_op *op)
{
	transfer(cpu, (uint16_t)op->aux_value, op->imm, op->opsize, true);
}

/* m16:16, m16:32, m16:64: the offset comes first. */
static void read_far_pointer(struct softcpu *cpu, const struct soft_op *op, uint16_t *ret_selector,
			     uint64_t *ret_offset)
{
	uint8_t bytes[10] = { 0 };

	soft_read_bytes(cpu, op->seg, soft_ea(cpu, op), bytes, op->opsize + 2u);
	*ret_selector = load_le16(bytes + op->opsize);
	switch (op->opsize) {
	case 2: *ret_offset = load_le16(bytes); break;
	case 4: *ret_offset = load_le32(bytes); break;
	default: *ret_offset = load_le64(bytes); break;
	}
}

static void op_jmp_indirect(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector;
	uint64_t offset;

	read_far_pointer(cpu, op, &selector, &offset);
	transfer(cpu, selector, offset, op->opsize, false);
}

static void op_call_indirect(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector;
	uint64_t offset;

	read_far_pointer(cpu, op, &selector, &offset);
	transfer(cpu, selector, offset, op->opsize, true);
}

/* LDS, LES, LFS, LGS, LSS: the segment first, since it may fault. */
static void op_load_pointer(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector;
	uint64_t offset;

	read_far_pointer(cpu, op, &selector, &offset);
	soft_load_segment(cpu, (enum cpu_seg)op->aux_value, selector);
	if (op->aux_value == CPU_SS) {
		soft_update_mode(cpu);
	}
	cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], offset, op->opsize);
}

static bool bind_load_pointer(const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_LDS: op->aux_value = CPU_DS; break;
	case ZYDIS_MNEMONIC_LES: op->aux_value = CPU_ES; break;
	case ZYDIS_MNEMONIC_LFS: op->aux_value = CPU_FS; break;
	case ZYDIS_MNEMONIC_LGS: op->aux_value = CPU_GS; break;
	case ZYDIS_MNEMONIC_LSS: op->aux_value = CPU_SS; break;
	default: return false;
	}
	op->opsize = (uint8_t)(insn->zydis.operand_width / 8);
	op->fn = op_load_pointer;
	op->ends_block = true;
	return true;
}

bool soft_bind_far(const struct soft_insn *insn, struct soft_op *op)
{
	bool call = insn->zydis.mnemonic == ZYDIS_MNEMONIC_CALL;

	if ((!call && insn->zydis.mnemonic != ZYDIS_MNEMONIC_JMP) ||
	    insn->zydis.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
		return bind_load_pointer(insn, op);
	}
	op->opsize = (uint8_t)(insn->zydis.operand_width / 8);
	op->ends_block = true;
	if (insn->operands[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
		op->aux_value = insn->operands[0].ptr.segment;
		op->imm = insn->operands[0].ptr.offset;
		if (op->opsize == 2) {
			op->imm &= 0xffff;
		}
		op->fn = call ? op_call_direct : op_jmp_direct;
	} else {
		op->fn = call ? op_call_indirect : op_jmp_indirect;
	}
	return true;
}
