/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Near transfers of control: JMP, Jcc, CALL, RET, LOOP and JCXZ. Far ones, interrupts and system
 * calls belong to the system instructions.
 *
 * A block whose successor is known when it is decoded keeps a link to it, so that a loop runs
 * without any look-up. Targets outside of the code segment's limit, and in 64-bit code those
 * that are not canonical, raise #GP in the instruction itself, before anything is pushed.
 *
 * In 64-bit code a 66 prefix on near branches is ignored on Intel's processors and shortens the
 * target on AMD's; Zydis decodes as the vendor of the CPU model does.
 */

#include "softcpu/integer.h"

/*
 * How an op of this file uses its fields: @disp the target relative to the block's first RIP, @imm
 * the offset of what follows, @aux and @link the links to both, @scale and @rm whether they lie in
 * the block's page.
 */

SOFT_INLINE uint64_t truncate_rip(uint64_t rip, unsigned int size)
{
	return size == 8 ? rip : size == 4 ? (uint32_t)rip : (uint16_t)rip;
}

static void raise_target(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->op = op;
	soft_raise_error(cpu, SOFT_GP, 0);
}

SOFT_INLINE bool is_target_valid(const struct softcpu *cpu, uint64_t rip, unsigned int size)
{
	if (size == 8) {
		return (uint64_t)((int64_t)(rip << 16) >> 16) == rip;
	}
	return cpu->mode == SOFT_MODE_64 || rip <= cpu->seg[CPU_CS].limit;
}

/* ------- direct ------- */

SOFT_INLINE uint64_t target_of(const struct softcpu *cpu, const struct soft_op *op,
			       unsigned int size)
{
	return truncate_rip(cpu->gpr[SOFT_REG_BLOCK] + op->disp, size);
}

SOFT_INLINE void take(struct softcpu *cpu, const struct soft_op *op, unsigned int size)
{
	uint64_t rip = target_of(cpu, op, size);

	if (LIMEN_UNLIKELY(!is_target_valid(cpu, rip, size))) {
		raise_target(cpu, op);
		return;
	}
	soft_goto(cpu, rip, (void **)&op->aux, op->scale);
}

/* To what follows: that is a 64-bit address by the mode, not by the operand size. */
SOFT_INLINE void pass(struct softcpu *cpu, const struct soft_op *op, bool wide)
{
	uint64_t rip = cpu->gpr[SOFT_REG_BLOCK] + op->imm;

	soft_goto(cpu, wide ? rip : (uint32_t)rip, (void **)&op->link, op->rm);
}

#define DEFINE_JUMP(size)                                                                         \
	static void jmp_##size(struct softcpu *cpu, const struct soft_op *op)                     \
	{                                                                                         \
		take(cpu, op, size);                                                              \
	}

DEFINE_JUMP(2)
DEFINE_JUMP(4)
DEFINE_JUMP(8)

#define FOR_CONDITIONS(X, size)                                                                   \
	X(O, size) X(NO, size) X(B, size) X(NB, size) X(Z, size) X(NZ, size) X(BE, size)          \
	X(NBE, size) X(S, size) X(NS, size) X(P, size) X(NP, size) X(L, size) X(NL, size)         \
	X(LE, size) X(NLE, size)

#define DEFINE_JCC(cond, size)                                                                    \
	static void j_##cond##_##size(struct softcpu *cpu, const struct soft_op *op)              \
	{                                                                                         \
		if (soft_condition(cpu, SOFT_COND_##cond)) {                                      \
			take(cpu, op, size);                                                      \
		} else {                                                                          \
			pass(cpu, op, size == 8 || cpu->mode == SOFT_MODE_64);                    \
		}                                                                                 \
	}

FOR_CONDITIONS(DEFINE_JCC, 2)
FOR_CONDITIONS(DEFINE_JCC, 4)
FOR_CONDITIONS(DEFINE_JCC, 8)

#define JCC_ENTRY(cond, size) [SOFT_COND_##cond] = j_##cond##_##size,

static const soft_fn jcc_functions[3][16] = {
	{ FOR_CONDITIONS(JCC_ENTRY, 2) },
	{ FOR_CONDITIONS(JCC_ENTRY, 4) },
	{ FOR_CONDITIONS(JCC_ENTRY, 8) },
};

/* ------- LOOP, LOOPE, LOOPNE, JCXZ: by the address size's counter ------- */

enum {
	COUNT_LOOP,
	COUNT_LOOPE,
	COUNT_LOOPNE,
	COUNT_JCXZ,
};

static void jump_by_count(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t mask = op->addrsize == 8 ? UINT64_MAX : BIT(op->addrsize * 8) - 1;
	uint64_t count = cpu->gpr[CPU_RCX] & mask;
	uint64_t rip = target_of(cpu, op, op->opsize);
	bool taken;

	if (op->reg == COUNT_JCXZ) {
		taken = count == 0;
	} else {
		count = (count - 1) & mask;
		taken = count != 0;
		if (op->reg != COUNT_LOOP) {
			taken &= soft_condition(cpu, SOFT_COND_Z) == (op->reg == COUNT_LOOPE);
		}
	}
	if (taken && !is_target_valid(cpu, rip, op->opsize)) {
		raise_target(cpu, op);
		return;
	}
	if (op->reg != COUNT_JCXZ) {
		soft_set(cpu, CPU_RCX, count, op->addrsize);
	}
	if (taken) {
		soft_goto(cpu, rip, (void **)&op->aux, op->scale);
	} else {
		pass(cpu, op, cpu->mode == SOFT_MODE_64);
	}
}

/* ------- the stack ------- */

/* Push of a return address on a flat stack of @size bytes; false: not in the TLB. */
SOFT_INLINE bool try_push(struct softcpu *cpu, uint64_t value, unsigned int size)
{
	uint64_t sp = truncate_rip(cpu->gpr[CPU_RSP] - size, size);

	if (!soft_try_store(cpu, sp, value, size)) {
		return false;
	}
	cpu->gpr[CPU_RSP] = sp;
	return true;
}

static uint64_t return_address(const struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t rip = cpu->gpr[SOFT_REG_BLOCK] + op->imm;

	return cpu->mode == SOFT_MODE_64 ? rip : (uint32_t)rip;
}

/* ------- CALL ------- */

static void call_any(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t rip = target_of(cpu, op, op->opsize);

	cpu->op = op;
	if (!is_target_valid(cpu, rip, op->opsize)) {
		raise_target(cpu, op);
		return;
	}
	soft_push_value(cpu, return_address(cpu, op), op->opsize);
	soft_goto(cpu, rip, (void **)&op->aux, op->scale);
}

#define DEFINE_CALL(size)                                                                         \
	static void call_##size(struct softcpu *cpu, const struct soft_op *op)                    \
	{                                                                                         \
		uint64_t rip = target_of(cpu, op, size);                                          \
                                                                                                  \
		if (LIMEN_LIKELY(is_target_valid(cpu, rip, size) &&                               \
				 try_push(cpu, cpu->gpr[SOFT_REG_BLOCK] + op->imm, size))) {      \
			soft_goto(cpu, rip, (void **)&op->aux, op->scale);                        \
		} else {                                                                          \
			call_any(cpu, op);                                                        \
		}                                                                                 \
	}

DEFINE_CALL(4)
DEFINE_CALL(8)

/* Targets in a register or in memory. */
static uint64_t indirect_target(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t rip;

	if (op->has_mem) {
		rip = soft_load(cpu, op, soft_operand_address(cpu, op, op->opsize, false),
				op->opsize);
	} else {
		rip = cpu->gpr[op->reg];
	}
	rip = truncate_rip(rip, op->opsize);
	if (!is_target_valid(cpu, rip, op->opsize)) {
		raise_target(cpu, op);
	}
	return rip;
}

static void call_indirect(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t rip;

	cpu->op = op;
	rip = indirect_target(cpu, op);
	soft_push_value(cpu, soft_op_rip(cpu, op) + op->length, op->opsize);
	soft_goto_any(cpu, rip);
}

static void jmp_indirect(struct softcpu *cpu, const struct soft_op *op)
{
	soft_goto_any(cpu, indirect_target(cpu, op));
}

/* A flat operand in the TLB. */
SOFT_INLINE bool try_target(struct softcpu *cpu, const struct soft_op *op, unsigned int size,
			    bool memory, uint64_t *ret_rip)
{
	if (!memory) {
		*ret_rip = truncate_rip(cpu->gpr[op->reg], size);
	} else if (!soft_try_load(cpu, soft_flat_address(cpu, op), size, ret_rip)) {
		return false;
	}
	return is_target_valid(cpu, *ret_rip, size);
}

#define DEFINE_INDIRECT(name, size, memory)                                                       \
	static void call_##name##_##size(struct softcpu *cpu, const struct soft_op *op)           \
	{                                                                                         \
		uint64_t rip;                                                                     \
                                                                                                  \
		if (LIMEN_LIKELY(try_target(cpu, op, size, memory, &rip) &&                       \
				 try_push(cpu, soft_op_rip(cpu, op) + op->length, size))) {       \
			soft_goto_any(cpu, rip);                                                  \
		} else {                                                                          \
			call_indirect(cpu, op);                                                   \
		}                                                                                 \
	}                                                                                         \
                                                                                                  \
	static void jmp_##name##_##size(struct softcpu *cpu, const struct soft_op *op)            \
	{                                                                                         \
		uint64_t rip;                                                                     \
                                                                                                  \
		if (LIMEN_LIKELY(try_target(cpu, op, size, memory, &rip))) {                      \
			soft_goto_any(cpu, rip);                                                  \
		} else {                                                                          \
			jmp_indirect(cpu, op);                                                    \
		}                                                                                 \
	}

DEFINE_INDIRECT(register, 4, false)
DEFINE_INDIRECT(register, 8, false)
DEFINE_INDIRECT(memory, 4, true)
DEFINE_INDIRECT(memory, 8, true)

/* By operand size, operand (register, memory) and instruction (JMP, CALL). */
static const soft_fn indirect_functions[2][2][2] = {
	{ { jmp_register_4, call_register_4 }, { jmp_memory_4, call_memory_4 } },
	{ { jmp_register_8, call_register_8 }, { jmp_memory_8, call_memory_8 } },
};

/* ------- RET ------- */

static void ret_any(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t rip;

	cpu->op = op;
	rip = truncate_rip(soft_peek_value(cpu, 0, op->opsize), op->opsize);
	if (!is_target_valid(cpu, rip, op->opsize)) {
		raise_target(cpu, op);
		return;
	}
	soft_add_sp(cpu, op->opsize + (uint16_t)op->imm);
	soft_goto_any(cpu, rip);
}

#define DEFINE_RET(size)                                                                          \
	static void ret_##size(struct softcpu *cpu, const struct soft_op *op)                     \
	{                                                                                         \
		uint64_t sp = truncate_rip(cpu->gpr[CPU_RSP], size);                              \
		uint64_t rip;                                                                     \
                                                                                                  \
		if (LIMEN_LIKELY(soft_try_load(cpu, sp, size, &rip) &&                            \
				 is_target_valid(cpu, rip, size))) {                              \
			cpu->gpr[CPU_RSP] = truncate_rip(sp + size + (uint16_t)op->imm, size);    \
			soft_goto_any(cpu, rip);                                                  \
		} else {                                                                          \
			ret_any(cpu, op);                                                         \
		}                                                                                 \
	}

DEFINE_RET(4)
DEFINE_RET(8)

/* ------- binding ------- */

static void fill_direct(const struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	uint64_t next = op->offset + op->length;
	gva_t block = soft_code_address(cpu, insn->rip - op->offset);
	gva_t target;
	uint64_t rip;

	op->disp = next + op->imm;
	op->imm = next;
	op->aux = NULL;
	op->link = NULL;
	rip = truncate_rip(insn->rip - op->offset + op->disp, op->opsize);
	target = soft_code_address(cpu, rip);
	/* With another base or a narrower IP, the same bytes can lead elsewhere next time. */
	if ((cpu->block_key & SOFT_KEY_FLAT) && op->opsize >= 4) {
		op->scale = (target ^ block) < GUEST_PAGE_SIZE;
		op->rm = ((block & GUEST_PAGE_MASK) + next) < GUEST_PAGE_SIZE;
	} else {
		op->scale = false;
		op->rm = false;
	}
}

static bool bind_count(const struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_LOOP: op->reg = COUNT_LOOP; break;
	case ZYDIS_MNEMONIC_LOOPE: op->reg = COUNT_LOOPE; break;
	case ZYDIS_MNEMONIC_LOOPNE: op->reg = COUNT_LOOPNE; break;
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JRCXZ: op->reg = COUNT_JCXZ; break;
	default: return false;
	}
	fill_direct(cpu, insn, op);
	op->ends_block = true;
	return soft_bind_threaded(op, jump_by_count);
}

/* Whether the stack is flat and as wide as the operand: what the quick functions are for. */
static bool is_quick(const struct softcpu *cpu, const struct soft_op *op)
{
	if (cpu->mode == SOFT_MODE_64) {
		return op->opsize == 8;
	}
	return (cpu->block_key & SOFT_KEY_FLAT) && op->opsize == 4;
}

static bool bind_direct(const struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op,
			bool is_call)
{
	fill_direct(cpu, insn, op);
	if (is_call) {
		return soft_bind_threaded(op, !is_quick(cpu, op) ? call_any
					      : op->opsize == 8	 ? call_8
								 : call_4);
	}
	return soft_bind_threaded(op, op->opsize == 8	? jmp_8
				      : op->opsize == 4 ? jmp_4
							: jmp_2);
}

static bool bind_jump_or_call(const struct softcpu *cpu, const struct soft_insn *insn,
			      struct soft_op *op)
{
	bool is_call = insn->zydis.mnemonic == ZYDIS_MNEMONIC_CALL;

	if (insn->zydis.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
		return false;
	}
	op->ends_block = true;
	if (insn->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		return bind_direct(cpu, insn, op, is_call);
	}
	if (is_quick(cpu, op) && (!op->has_mem || soft_is_flat(cpu, op))) {
		return soft_bind_threaded(
			op, indirect_functions[op->opsize == 8][op->has_mem][is_call]);
	}
	return soft_bind_threaded(op, is_call ? call_indirect : jmp_indirect);
}

bool soft_bind_control(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		return bind_jump_or_call(cpu, insn, op);
	case ZYDIS_MNEMONIC_RET:
		if (insn->zydis.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
			return false;
		}
		op->ends_block = true;
		return soft_bind_threaded(op, !is_quick(cpu, op) ? ret_any
					      : op->opsize == 8	 ? ret_8
								 : ret_4);
	default:
		break;
	}
	if (bind_count(cpu, insn, op)) {
		return true;
	}
	if (insn->zydis.meta.category != ZYDIS_CATEGORY_COND_BR ||
	    insn->operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		return false;
	}
	fill_direct(cpu, insn, op);
	op->ends_block = true;
	return soft_bind_threaded(
		op, jcc_functions[soft_size_index(op->opsize) - 1][insn->zydis.opcode & 15]);
}
