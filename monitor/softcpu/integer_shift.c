/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shifts and rotates: ROL, ROR, RCL, RCR, SHL, SHR, SAR by a constant or CL, and SHLD, SHRD. The
 * host does them with the guest's flags in place, so flags that a count leaves alone (all of
 * them for 0) stay, and undefined ones come out as the processor's.
 */

#include "softcpu/integer.h"

/* ------- a register, by a constant or by CL ------- */

#define FOR_SHIFTS(X, size)                                                                       \
	X(ROL, size) X(ROR, size) X(RCL, size) X(RCR, size) X(SHL, size) X(SHR, size) X(SAR, size)

#define DEFINE_SHIFT(name, size)                                                                  \
	static void name##_##size##_imm(struct softcpu *cpu, const struct soft_op *op)            \
	{                                                                                         \
		uint64_t value = soft_get(cpu, op->reg, size);                                    \
                                                                                                  \
		soft_set(cpu, op->reg, soft_do_##name##_##size(cpu, value, op->imm), size);   \
		soft_next(cpu, op);                                                               \
	}                                                                                         \
                                                                                                  \
	static void name##_##size##_cl(struct softcpu *cpu, const struct soft_op *op)             \
	{                                                                                         \
		uint64_t value = soft_get(cpu, op->reg, size);                                    \
                                                                                                  \
		value = soft_do_##name##_##size(cpu, value, cpu->gpr[CPU_RCX]);               \
		soft_set(cpu, op->reg, value, size);                                              \
		soft_next(cpu, op);                                                               \
	}

FOR_SHIFTS(DEFINE_SHIFT, 1)
FOR_SHIFTS(DEFINE_SHIFT, 2)
FOR_SHIFTS(DEFINE_SHIFT, 4)
FOR_SHIFTS(DEFINE_SHIFT, 8)

#define SHIFT_ENTRY(name, size)                                                                   \
	[SOFT_##name - SOFT_ROL] = { name##_##size##_imm, name##_##size##_cl },

static const soft_fn shift_functions[4][7][2] = {
	{ FOR_SHIFTS(SHIFT_ENTRY, 1) },
	{ FOR_SHIFTS(SHIFT_ENTRY, 2) },
	{ FOR_SHIFTS(SHIFT_ENTRY, 4) },
	{ FOR_SHIFTS(SHIFT_ENTRY, 8) },
};

/* ------- memory ------- */

#define SHIFT_CASE(name, size)                                                                    \
	case SOFT_##name:                                                                         \
		return soft_do_##name##_##size(cpu, value, count);

#define DEFINE_SHIFT_ANY(size)                                                                    \
	static uint64_t shift_any_##size(struct softcpu *cpu, enum soft_alu alu, uint64_t value,  \
					 uint8_t count)                                           \
	{                                                                                         \
		switch (alu) {                                                                    \
			FOR_SHIFTS(SHIFT_CASE, size)                                              \
		default:                                                                          \
			return value;                                                             \
		}                                                                                 \
	}

DEFINE_SHIFT_ANY(1)
DEFINE_SHIFT_ANY(2)
DEFINE_SHIFT_ANY(4)
DEFINE_SHIFT_ANY(8)

static uint64_t shift_any(struct softcpu *cpu, const struct soft_op *op, uint64_t value,
			  uint8_t count)
{
	enum soft_alu alu = (enum soft_alu)op->aux_value;

	switch (op->opsize) {
	case 1: return shift_any_1(cpu, alu, value, count);
	case 2: return shift_any_2(cpu, alu, value, count);
	case 4: return shift_any_4(cpu, alu, value, count);
	default: return shift_any_8(cpu, alu, value, count);
	}
}

static void shift_memory(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, true);
	uint8_t count = (uint8_t)(op->reg == SOFT_REG_NONE ? op->imm : cpu->gpr[CPU_RCX]);
	void *host = soft_begin_rmw(cpu, op, address, op->opsize);
	uint64_t value;

	if (host) {
		value = shift_any(cpu, op, soft_host_load(host, op->opsize), count);
		soft_host_store(host, value, op->opsize);
	} else {
		value = shift_any(cpu, op, soft_load_slow(cpu, op, address, op->opsize), count);
		soft_store_slow(cpu, op, address, value, op->opsize);
	}
	soft_next(cpu, op);
}

/* ------- SHLD, SHRD ------- */

#define DEFINE_DOUBLE_SHIFT(name, insn, sfx, type)                                                \
	static type name##_##sfx(struct softcpu *cpu, type a, type b, uint8_t count)              \
	{                                                                                         \
		uint8_t of = cpu->flag_of;                                                        \
		uint32_t flags = (uint32_t)cpu->flag_low << 8;                                    \
                                                                                                  \
		__asm__(SOFT_WRITE_FLAGS insn #sfx " %%cl, %[b], %[a]" SOFT_READ_FLAGS            \
			: [a] "+r"(a), "+a"(flags), [of] "+q"(of)                                 \
			: [b] "r"(b), "c"(count)                                                  \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
		return a;                                                                         \
	}

DEFINE_DOUBLE_SHIFT(shld, "shld", w, uint16_t)
DEFINE_DOUBLE_SHIFT(shld, "shld", l, uint32_t)
DEFINE_DOUBLE_SHIFT(shld, "shld", q, uint64_t)
DEFINE_DOUBLE_SHIFT(shrd, "shrd", w, uint16_t)
DEFINE_DOUBLE_SHIFT(shrd, "shrd", l, uint32_t)
DEFINE_DOUBLE_SHIFT(shrd, "shrd", q, uint64_t)

static uint64_t double_shift(struct softcpu *cpu, const struct soft_op *op, uint64_t a, uint64_t b)
{
	bool is_left = op->mnemonic == ZYDIS_MNEMONIC_SHLD;
	uint8_t count = (uint8_t)(op->aux_value ? cpu->gpr[CPU_RCX] : op->imm);

	switch (op->opsize) {
	case 2:
		return is_left ? shld_w(cpu, (uint16_t)a, (uint16_t)b, count)
			       : shrd_w(cpu, (uint16_t)a, (uint16_t)b, count);
	case 4:
		return is_left ? shld_l(cpu, (uint32_t)a, (uint32_t)b, count)
			       : shrd_l(cpu, (uint32_t)a, (uint32_t)b, count);
	default:
		return is_left ? shld_q(cpu, a, b, count) : shrd_q(cpu, a, b, count);
	}
}

static void double_shift_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = double_shift(cpu, op, cpu->gpr[op->reg], cpu->gpr[op->rm]);

	if (op->opsize == 2) {
		soft_set(cpu, op->reg, value, 2);
	} else {
		cpu->gpr[op->reg] = value;
	}
	soft_next(cpu, op);
}

static void double_shift_memory(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, true);
	uint64_t value;

	soft_check_rmw(cpu, op, address, op->opsize);
	value = soft_load_slow(cpu, op, address, op->opsize);
	value = double_shift(cpu, op, value, cpu->gpr[op->reg]);
	soft_store_slow(cpu, op, address, value, op->opsize);
	soft_next(cpu, op);
}

/* ------- binding ------- */

static int find_shift(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ROL: return SOFT_ROL;
	case ZYDIS_MNEMONIC_ROR: return SOFT_ROR;
	case ZYDIS_MNEMONIC_RCL: return SOFT_RCL;
	case ZYDIS_MNEMONIC_RCR: return SOFT_RCR;
	case ZYDIS_MNEMONIC_SHL: return SOFT_SHL;
	case ZYDIS_MNEMONIC_SHR: return SOFT_SHR;
	case ZYDIS_MNEMONIC_SAR: return SOFT_SAR;
	default: return -1;
	}
}

bool soft_bind_shift(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	int alu = find_shift(insn->zydis.mnemonic);
	bool by_cl;

	if (insn->zydis.mnemonic == ZYDIS_MNEMONIC_SHLD ||
	    insn->zydis.mnemonic == ZYDIS_MNEMONIC_SHRD) {
		op->aux_value = insn->operands[2].type == ZYDIS_OPERAND_TYPE_REGISTER;
		return soft_bind_threaded(op, op->has_mem ? double_shift_memory
							  : double_shift_register);
	}
	if (alu < 0) {
		return false;
	}
	if (op->has_mem) {
		op->aux_value = (uint64_t)alu;
		return soft_bind_threaded(op, shift_memory);
	}
	by_cl = insn->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
	if (op->opsize == 1) {
		soft_use_byte_registers(op);
	}
	return soft_bind_threaded(
		op, shift_functions[soft_size_index(op->opsize)][alu - SOFT_ROL][by_cl]);
}
