/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PUSH, POP, PUSHA, POPA, ENTER, LEAVE, PUSHF and POPF. The stack pointer has 64 bits in 64-bit
 * code and else as many as SS.B says; the operand size decides what is pushed.
 *
 * PUSHF and POPF follow the tables in the SDM's description of POPF, with the virtual-8086 mode
 * extensions (CR4.VME). PUSH and POP of segment registers belong to the segment instructions.
 */

#include "softcpu/integer.h"

#define CR4_VME BIT(0)

/* ------- any stack ------- */

unsigned int soft_stack_size(const struct softcpu *cpu)
{
	if (cpu->mode == SOFT_MODE_64) {
		return 8;
	}
	return cpu->seg[CPU_SS].attr & CPU_SEG_DB ? 4 : 2;
}

static uint64_t stack_offset(const struct softcpu *cpu, uint64_t value)
{
	switch (soft_stack_size(cpu)) {
	case 8: return value;
	case 4: return (uint32_t)value;
	default: return (uint16_t)value;
	}
}

static void write_stack(struct softcpu *cpu, uint64_t offset, uint64_t value, unsigned int size)
{
	switch (size) {
	case 2: soft_write_u16(cpu, CPU_SS, offset, (uint16_t)value); break;
	case 4: soft_write_u32(cpu, CPU_SS, offset, (uint32_t)value); break;
	default: soft_write_u64(cpu, CPU_SS, offset, value); break;
	}
}

static uint64_t read_stack(struct softcpu *cpu, uint64_t offset, unsigned int size)
{
	switch (size) {
	case 2: return soft_read_u16(cpu, CPU_SS, offset);
	case 4: return soft_read_u32(cpu, CPU_SS, offset);
	default: return soft_read_u64(cpu, CPU_SS, offset);
	}
}

void soft_push_value(struct softcpu *cpu, uint64_t value, unsigned int size)
{
	uint64_t sp = stack_offset(cpu, cpu->gpr[CPU_RSP] - size);

	write_stack(cpu, sp, value, size);
	soft_set(cpu, CPU_RSP, sp, soft_stack_size(cpu));
}

uint64_t soft_peek_value(struct softcpu *cpu, uint64_t displacement, unsigned int size)
{
	return read_stack(cpu, stack_offset(cpu, cpu->gpr[CPU_RSP] + displacement), size);
}

void soft_add_sp(struct softcpu *cpu, uint64_t bytes)
{
	soft_set(cpu, CPU_RSP, cpu->gpr[CPU_RSP] + bytes, soft_stack_size(cpu));
}

/* ------- PUSH ------- */

static void push_register(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->op = op;
	soft_push_value(cpu, cpu->gpr[op->reg], op->opsize);
	soft_next(cpu, op);
}

static void push_immediate(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->op = op;
	soft_push_value(cpu, op->imm, op->opsize);
	soft_next(cpu, op);
}

static void push_memory(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, false);

	soft_push_value(cpu, soft_load(cpu, op, address, op->opsize), op->opsize);
	soft_next(cpu, op);
}

/* A flat stack of @size bytes. */
SOFT_INLINE bool try_push(struct softcpu *cpu, uint64_t value, unsigned int size)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - size;

	if (size == 4) {
		sp = (uint32_t)sp;
	}
	if (!soft_try_store(cpu, sp, value, size)) {
		return false;
	}
	cpu->gpr[CPU_RSP] = sp;
	return true;
}

#define DEFINE_PUSH(name, value, size)                                                            \
	static void name##_##size(struct softcpu *cpu, const struct soft_op *op)                  \
	{                                                                                         \
		if (LIMEN_LIKELY(try_push(cpu, value, size))) {                                   \
			soft_next(cpu, op);                                                       \
		} else {                                                                          \
			name(cpu, op);                                                            \
		}                                                                                 \
	}

DEFINE_PUSH(push_register, cpu->gpr[op->reg], 4)
DEFINE_PUSH(push_register, cpu->gpr[op->reg], 8)
DEFINE_PUSH(push_immediate, op->imm, 4)
DEFINE_PUSH(push_immediate, op->imm, 8)

/* ------- POP ------- */

/* POP SP leaves the value popped, so it is set after the pointer has moved. */
static void pop_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value;

	cpu->op = op;
	value = soft_peek_value(cpu, 0, op->opsize);
	soft_add_sp(cpu, op->opsize);
	if (op->opsize == 2) {
		soft_set(cpu, op->reg, value, 2);
	} else {
		cpu->gpr[op->reg] = value;
	}
	soft_next(cpu, op);
}

SOFT_INLINE bool try_pop(struct softcpu *cpu, const struct soft_op *op, unsigned int size)
{
	uint64_t sp = cpu->gpr[CPU_RSP];
	uint64_t value;

	if (!soft_try_load(cpu, size == 4 ? (uint32_t)sp : sp, size, &value)) {
		return false;
	}
	cpu->gpr[CPU_RSP] = size == 4 ? (uint32_t)(sp + size) : sp + size;
	cpu->gpr[op->reg] = value;
	return true;
}

static void pop_register_4(struct softcpu *cpu, const struct soft_op *op)
{
	if (LIMEN_LIKELY(try_pop(cpu, op, 4))) {
		soft_next(cpu, op);
	} else {
		pop_register(cpu, op);
	}
}

static void pop_register_8(struct softcpu *cpu, const struct soft_op *op)
{
	if (LIMEN_LIKELY(try_pop(cpu, op, 8))) {
		soft_next(cpu, op);
	} else {
		pop_register(cpu, op);
	}
}

/* The address is computed with the stack pointer already moved (SDM, POP). */
static void pop_memory(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t sp = cpu->gpr[CPU_RSP];
	uint64_t offset;
	uint64_t value = soft_peek_value(cpu, 0, op->opsize);

	soft_add_sp(cpu, op->opsize);
	offset = soft_ea(cpu, op);
	cpu->gpr[CPU_RSP] = sp;
	switch (op->opsize) {
	case 2: soft_write_u16(cpu, op->seg, offset, (uint16_t)value); break;
	case 4: soft_write_u32(cpu, op->seg, offset, (uint32_t)value); break;
	default: soft_write_u64(cpu, op->seg, offset, value); break;
	}
	soft_add_sp(cpu, op->opsize);
}

/* ------- all registers ------- */

static void pusha(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t sp = cpu->gpr[CPU_RSP];
	unsigned int size = op->opsize;

	/* What cannot be written faults before anything is; a piece at a time, as limits see it. */
	for (unsigned int i = 0; i < 8; i++) {
		soft_check_write(cpu, CPU_SS, stack_offset(cpu, sp - (i + 1) * size), size);
	}
	for (unsigned int i = 0; i < 8; i++) {
		write_stack(cpu, stack_offset(cpu, sp - (i + 1) * size), cpu->gpr[i], size);
	}
	soft_set(cpu, CPU_RSP, sp - (uint64_t)8 * size, soft_stack_size(cpu));
}

static void popa(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t values[8];

	for (unsigned int i = 0; i < 8; i++) {
		values[i] = soft_peek_value(cpu, (uint64_t)i * op->opsize, op->opsize);
	}
	soft_add_sp(cpu, (uint64_t)8 * op->opsize);
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int reg = 7 - i;

		if (reg != CPU_RSP) {
			soft_set(cpu, (uint8_t)reg, values[i], op->opsize);
		}
	}
}

/* ------- stack frames ------- */

static void leave(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t frame = stack_offset(cpu, cpu->gpr[CPU_RBP]);
	uint64_t value;

	cpu->op = op;
	value = read_stack(cpu, frame, op->opsize);
	soft_set(cpu, CPU_RSP, frame + op->opsize, soft_stack_size(cpu));
	soft_set(cpu, CPU_RBP, value, op->opsize);
	soft_next(cpu, op);
}

static void enter(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int level = op->aux_value & 31;
	unsigned int size = op->opsize;
	uint64_t sp = cpu->gpr[CPU_RSP];
	uint64_t bp = cpu->gpr[CPU_RBP];
	uint64_t frame;

	sp = stack_offset(cpu, sp - size);
	write_stack(cpu, sp, bp, size);
	frame = sp;
	for (unsigned int i = 1; i < level; i++) {
		uint64_t value;

		bp = stack_offset(cpu, bp - size);
		value = read_stack(cpu, bp, size);
		sp = stack_offset(cpu, sp - size);
		write_stack(cpu, sp, value, size);
	}
	if (level > 0) {
		sp = stack_offset(cpu, sp - size);
		write_stack(cpu, sp, frame, size);
	}
	sp = stack_offset(cpu, sp - (uint16_t)op->imm);
	/* The new top must be writable: the fault belongs to this instruction. */
	soft_check_write(cpu, CPU_SS, sp, 1);
	soft_set(cpu, CPU_RSP, sp, soft_stack_size(cpu));
	soft_set(cpu, CPU_RBP, frame, size);
}

/* ------- flags ------- */

static unsigned int iopl(const struct softcpu *cpu)
{
	return (unsigned int)(cpu->rflags >> 12) & 3;
}

static bool is_v8086_restricted(const struct softcpu *cpu)
{
	return cpu->v8086 && iopl(cpu) < 3;
}

static void pushf_any(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t flags = cpu->rflags & ~(uint64_t)(FLAG_VM | FLAG_RF);

	if (is_v8086_restricted(cpu)) {
		if (!(cpu->cr4 & CR4_VME) || op->opsize != 2) {
			soft_raise_error(cpu, SOFT_GP, 0);
		}
		flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL |
			(flags & FLAG_VIF ? FLAG_IF : 0);
	}
	soft_push_value(cpu, flags, op->opsize);
}

/* POPF in virtual-8086 mode with VME: IF stands for VIF. */
static void popf_v8086(struct softcpu *cpu, uint64_t value, uint64_t mask)
{
	if (!(cpu->cr4 & CR4_VME) || (value & FLAG_TF) ||
	    ((value & FLAG_IF) && (cpu->rflags & FLAG_VIP))) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	mask &= ~(uint64_t)(FLAG_IF | FLAG_IOPL);
	cpu->rflags = (cpu->rflags & ~(mask | FLAG_VIF)) | (value & mask) |
		      (value & FLAG_IF ? FLAG_VIF : 0);
}

static void popf_any(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
	uint64_t value;

	if (is_v8086_restricted(cpu) && op->opsize != 2) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	value = soft_peek_value(cpu, 0, op->opsize);
	if (op->opsize != 2) {
		mask |= FLAG_AC | FLAG_ID;
	}
	if (cpu->cpl == 0) {
		mask |= FLAG_IOPL;
	}
	if (cpu->cpl <= iopl(cpu)) {
		mask |= FLAG_IF;
	}
	if (is_v8086_restricted(cpu)) {
		popf_v8086(cpu, value, mask);
	} else {
		cpu->rflags = (cpu->rflags & ~mask) | (value & mask);
	}
	if (op->opsize != 2) {
		cpu->rflags &= ~(uint64_t)FLAG_RF;
	}
	soft_add_sp(cpu, op->opsize);
}

/* ------- binding ------- */

static bool is_general(const struct soft_insn *insn)
{
	return insn->operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	       soft_insn_gpr(insn->operands[0].reg.value) != SOFT_REG_NONE;
}

/* The size of a flat stack that the quick functions know, or 0. */
static unsigned int flat_stack(const struct softcpu *cpu)
{
	if (cpu->mode == SOFT_MODE_64) {
		return 8;
	}
	return (cpu->block_key & SOFT_KEY_FLAT) ? 4 : 0;
}

static bool bind_push(const struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	bool quick = op->opsize == flat_stack(cpu);

	if (!is_general(insn)) {
		return false;
	}
	if (op->has_mem) {
		return soft_bind_threaded(op, push_memory);
	}
	if (op->reg == SOFT_REG_NONE) {
		return soft_bind_threaded(op, !quick		? push_immediate
					      : op->opsize == 8 ? push_immediate_8
								: push_immediate_4);
	}
	return soft_bind_threaded(op, !quick		? push_register
				      : op->opsize == 8 ? push_register_8
							: push_register_4);
}

static bool bind_pop(const struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	bool quick = op->opsize == flat_stack(cpu);

	if (!is_general(insn)) {
		return false;
	}
	if (op->has_mem) {
		return soft_bind_plain(op, pop_memory);
	}
	return soft_bind_threaded(op, !quick		? pop_register
				      : op->opsize == 8 ? pop_register_8
							: pop_register_4);
}

bool soft_bind_stack(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		return bind_push(cpu, insn, op);
	case ZYDIS_MNEMONIC_POP:
		return bind_pop(cpu, insn, op);
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
		return soft_bind_plain(op, pusha);
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		return soft_bind_plain(op, popa);
	case ZYDIS_MNEMONIC_LEAVE:
		return soft_bind_threaded(op, leave);
	case ZYDIS_MNEMONIC_ENTER:
		op->aux_value = insn->operands[1].imm.value.u;
		return soft_bind_plain(op, enter);
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		return soft_bind_full(op, pushf_any);
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		op->ends_block = true;
		return soft_bind_full(op, popf_any);
	default:
		return false;
	}
}
