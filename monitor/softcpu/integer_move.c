/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving data between general registers and memory: MOV, MOVZX, MOVSX, MOVSXD, LEA, CMOVcc, SETcc,
 * BSWAP, MOVBE, XLAT and the sign extensions CBW to CQO. MOV to and from segment, control and
 * debug registers belongs to the system instructions.
 */

#include "softcpu/integer.h"

/* ------- MOV ------- */

SOFT_INLINE bool mov_form(struct softcpu *cpu, const struct soft_op *op, unsigned int size,
			  enum soft_form form)
{
	uint64_t value;

	switch (form) {
	case SOFT_FORM_RR:
		soft_set(cpu, op->reg, soft_get(cpu, op->rm, size), size);
		return true;
	case SOFT_FORM_RI:
		soft_set(cpu, op->reg, op->imm, size);
		return true;
	case SOFT_FORM_RM_SEG:
		value = soft_load(cpu, op, soft_operand_address(cpu, op, size, false), size);
		soft_set(cpu, op->reg, value, size);
		return true;
	case SOFT_FORM_RM:
		if (!soft_try_load(cpu, soft_flat_address(cpu, op), size, &value)) {
			return false;
		}
		soft_set(cpu, op->reg, value, size);
		return true;
	case SOFT_FORM_MR_SEG:
		soft_store(cpu, op, soft_operand_address(cpu, op, size, true),
			   soft_get(cpu, op->reg, size), size);
		return true;
	case SOFT_FORM_MI_SEG:
		soft_store(cpu, op, soft_operand_address(cpu, op, size, true), op->imm, size);
		return true;
	case SOFT_FORM_MR:
		return soft_try_store(cpu, soft_flat_address(cpu, op),
				      soft_get(cpu, op->reg, size), size);
	default:
		return soft_try_store(cpu, soft_flat_address(cpu, op), op->imm, size);
	}
}

#define DEFINE_MOV(name, size, form)                                                              \
	SOFT_DEFINE_FORM(name##_##size, form, mov_form(cpu, op, size, SOFT_FORM_##form))

SOFT_FOR_SIZES_AND_FORMS(DEFINE_MOV, mov)

#define FORM_ENTRY(name, size, form) [SOFT_FORM_##form] = name##_##size##_##form,

static const soft_fn mov_functions[4][SOFT_FORM_COUNT] = {
	{ SOFT_FOR_FORMS(FORM_ENTRY, mov, 1) },
	{ SOFT_FOR_FORMS(FORM_ENTRY, mov, 2) },
	{ SOFT_FOR_FORMS(FORM_ENTRY, mov, 4) },
	{ SOFT_FOR_FORMS(FORM_ENTRY, mov, 8) },
};

static bool bind_mov(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	for (unsigned int i = 0; i < insn->zydis.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &insn->operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    soft_insn_gpr(operand->reg.value) == SOFT_REG_NONE) {
			return false;
		}
	}
	if (op->opsize == 1) {
		soft_use_byte_registers(op);
	}
	return soft_bind_threaded(
		op, mov_functions[soft_size_index(op->opsize)][soft_insn_form(cpu, insn, op)]);
}

/* ------- MOVZX, MOVSX, MOVSXD: @from bytes to @to bytes ------- */

SOFT_INLINE uint64_t extend(uint64_t value, unsigned int from, bool is_signed)
{
	if (!is_signed) {
		return value;
	}
	switch (from) {
	case 1: return (uint64_t)(int8_t)value;
	case 2: return (uint64_t)(int16_t)value;
	default: return (uint64_t)(int32_t)value;
	}
}

SOFT_INLINE bool extend_form(struct softcpu *cpu, const struct soft_op *op, bool is_signed,
			     unsigned int from, unsigned int to, enum soft_form form)
{
	uint64_t value;

	switch (form) {
	case SOFT_FORM_RR:
		value = soft_get(cpu, op->rm, from);
		break;
	case SOFT_FORM_RM_SEG:
		value = soft_load(cpu, op, soft_operand_address(cpu, op, from, false), from);
		break;
	default:
		if (!soft_try_load(cpu, soft_flat_address(cpu, op), from, &value)) {
			return false;
		}
		break;
	}
	soft_set(cpu, op->reg, extend(value, from, is_signed), to);
	return true;
}

#define DEFINE_EXTEND_FORM(name, is_signed, from, to, form)                                       \
	SOFT_DEFINE_FORM(name##_##from##_##to, form,                                              \
			 extend_form(cpu, op, is_signed, from, to, SOFT_FORM_##form))
#define DEFINE_EXTEND(name, is_signed, from, to)                                                  \
	DEFINE_EXTEND_FORM(name, is_signed, from, to, RR)                                         \
	DEFINE_EXTEND_FORM(name, is_signed, from, to, RM_SEG)                                     \
	DEFINE_EXTEND_FORM(name, is_signed, from, to, RM)

DEFINE_EXTEND(movzx, false, 1, 2)
DEFINE_EXTEND(movzx, false, 1, 4)
DEFINE_EXTEND(movzx, false, 1, 8)
DEFINE_EXTEND(movzx, false, 2, 4)
DEFINE_EXTEND(movzx, false, 2, 8)
DEFINE_EXTEND(movsx, true, 1, 2)
DEFINE_EXTEND(movsx, true, 1, 4)
DEFINE_EXTEND(movsx, true, 1, 8)
DEFINE_EXTEND(movsx, true, 2, 4)
DEFINE_EXTEND(movsx, true, 2, 8)
DEFINE_EXTEND(movsx, true, 4, 8)

#define EXTEND_ROW(name, from, to)                                                                \
	{                                                                                         \
		[SOFT_FORM_RR] = name##_##from##_##to##_RR,                                       \
		[SOFT_FORM_RM] = name##_##from##_##to##_RM,                                       \
		[SOFT_FORM_RM_SEG] = name##_##from##_##to##_RM_SEG,                               \
	}

/* By signedness, log2 of the source's size and of the destination's. */
static const soft_fn extend_functions[2][3][4][SOFT_FORM_COUNT] = {
	{
		{
			[1] = EXTEND_ROW(movzx, 1, 2),
			[2] = EXTEND_ROW(movzx, 1, 4),
			[3] = EXTEND_ROW(movzx, 1, 8),
		},
		{ [2] = EXTEND_ROW(movzx, 2, 4), [3] = EXTEND_ROW(movzx, 2, 8) },
	},
	{
		{
			[1] = EXTEND_ROW(movsx, 1, 2),
			[2] = EXTEND_ROW(movsx, 1, 4),
			[3] = EXTEND_ROW(movsx, 1, 8),
		},
		{ [2] = EXTEND_ROW(movsx, 2, 4), [3] = EXTEND_ROW(movsx, 2, 8) },
		{ [3] = EXTEND_ROW(movsx, 4, 8) },
	},
};

static bool bind_extend(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	bool is_signed = insn->zydis.mnemonic != ZYDIS_MNEMONIC_MOVZX;
	unsigned int from = insn->operands[1].size / 8;
	enum soft_form form = soft_insn_form(cpu, insn, op);
	soft_fn fn = NULL;

	if (from < op->opsize) {
		fn = extend_functions[is_signed][soft_size_index(from)]
				     [soft_size_index(op->opsize)][form];
	}
	if (!fn) { /* nothing to extend: MOVSXD or MOVZX between equal sizes */
		return soft_bind_threaded(op,
					  mov_functions[soft_size_index(op->opsize)][form]);
	}
	if (from == 1 && op->rm != SOFT_REG_NONE) {
		op->rm = soft_byte_register(op->rm);
	}
	return soft_bind_threaded(op, fn);
}

/* ------- LEA ------- */

SOFT_INLINE void lea(struct softcpu *cpu, const struct soft_op *op, unsigned int size)
{
	soft_set(cpu, op->reg, soft_flat_address(cpu, op), size);
	soft_next(cpu, op);
}

static void lea_2(struct softcpu *cpu, const struct soft_op *op)
{
	lea(cpu, op, 2);
}

static void lea_4(struct softcpu *cpu, const struct soft_op *op)
{
	lea(cpu, op, 4);
}

static void lea_8(struct softcpu *cpu, const struct soft_op *op)
{
	lea(cpu, op, 8);
}

static bool bind_lea(struct softcpu *cpu, struct soft_op *op)
{
	soft_is_flat(cpu, op); /* for the address mask alone */
	return soft_bind_threaded(op, op->opsize == 8 ? lea_8 : op->opsize == 4 ? lea_4 : lea_2);
}

/* ------- CMOVcc and SETcc ------- */

#define FOR_CONDITIONS(X)                                                                         \
	X(O) X(NO) X(B) X(NB) X(Z) X(NZ) X(BE) X(NBE) X(S) X(NS) X(P) X(NP) X(L) X(NL) X(LE) X(NLE)

/* A 32-bit CMOV clears the upper half whether the condition holds or not. */
SOFT_INLINE void cmov(struct softcpu *cpu, const struct soft_op *op, bool holds, uint64_t value)
{
	uint64_t old = cpu->gpr[op->reg];

	switch (op->opsize) {
	case 8:
		cpu->gpr[op->reg] = holds ? value : old;
		break;
	case 4:
		cpu->gpr[op->reg] = (uint32_t)(holds ? value : old);
		break;
	default:
		soft_set(cpu, op->reg, holds ? value : old, 2);
		break;
	}
}

/* The source is read, and may fault, even if the condition does not hold. */
static uint64_t cmov_load(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, false);

	return soft_load(cpu, op, address, op->opsize);
}

#define DEFINE_CONDITIONAL(cond)                                                                  \
	static void cmov_##cond##_r(struct softcpu *cpu, const struct soft_op *op)                \
	{                                                                                         \
		cmov(cpu, op, soft_condition(cpu, SOFT_COND_##cond), cpu->gpr[op->rm]);           \
		soft_next(cpu, op);                                                               \
	}                                                                                         \
                                                                                                  \
	static void cmov_##cond##_m(struct softcpu *cpu, const struct soft_op *op)                \
	{                                                                                         \
		cmov(cpu, op, soft_condition(cpu, SOFT_COND_##cond), cmov_load(cpu, op));         \
		soft_next(cpu, op);                                                               \
	}                                                                                         \
                                                                                                  \
	static void set_##cond##_r(struct softcpu *cpu, const struct soft_op *op)                 \
	{                                                                                         \
		soft_set(cpu, op->reg, soft_condition(cpu, SOFT_COND_##cond), 1);                 \
		soft_next(cpu, op);                                                               \
	}                                                                                         \
                                                                                                  \
	static void set_##cond##_m(struct softcpu *cpu, const struct soft_op *op)                 \
	{                                                                                         \
		soft_store(cpu, op, soft_operand_address(cpu, op, 1, true),                       \
			   soft_condition(cpu, SOFT_COND_##cond), 1);                             \
		soft_next(cpu, op);                                                               \
	}

FOR_CONDITIONS(DEFINE_CONDITIONAL)

#define CONDITIONAL_ENTRY(cond)                                                                   \
	[SOFT_COND_##cond] = { cmov_##cond##_r, cmov_##cond##_m, set_##cond##_r, set_##cond##_m },

static const soft_fn conditional_functions[16][4] = { FOR_CONDITIONS(CONDITIONAL_ENTRY) };

static bool bind_conditional(const struct soft_insn *insn, struct soft_op *op)
{
	const soft_fn *functions = conditional_functions[insn->zydis.opcode & 15];

	if (insn->zydis.opcode_map != ZYDIS_OPCODE_MAP_0F) {
		return false;
	}
	switch (insn->zydis.opcode & 0xf0) {
	case 0x40:
		return soft_bind_threaded(op, functions[op->has_mem]);
	case 0x90:
		soft_use_byte_registers(op);
		return soft_bind_threaded(op, functions[2 + op->has_mem]);
	default:
		return false;
	}
}

/* ------- sign extension within RAX and RDX ------- */

static void cbw(struct softcpu *cpu, const struct soft_op *op)
{
	soft_set(cpu, CPU_RAX, (uint64_t)(int8_t)cpu->gpr[CPU_RAX], 2);
	soft_next(cpu, op);
}

static void cwde(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->gpr[CPU_RAX] = (uint32_t)(int16_t)cpu->gpr[CPU_RAX];
	soft_next(cpu, op);
}

static void cdqe(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->gpr[CPU_RAX] = (uint64_t)(int32_t)cpu->gpr[CPU_RAX];
	soft_next(cpu, op);
}

static void cwd(struct softcpu *cpu, const struct soft_op *op)
{
	soft_set(cpu, CPU_RDX, (int16_t)cpu->gpr[CPU_RAX] < 0 ? UINT64_MAX : 0, 2);
	soft_next(cpu, op);
}

static void cdq(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->gpr[CPU_RDX] = (int32_t)cpu->gpr[CPU_RAX] < 0 ? UINT32_MAX : 0;
	soft_next(cpu, op);
}

static void cqo(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->gpr[CPU_RDX] = (int64_t)cpu->gpr[CPU_RAX] < 0 ? UINT64_MAX : 0;
	soft_next(cpu, op);
}

/* ------- byte order, tables ------- */

static uint64_t swap_bytes(uint64_t value, unsigned int size)
{
	switch (size) {
	case 2: return __builtin_bswap16((uint16_t)value);
	case 4: return __builtin_bswap32((uint32_t)value);
	default: return __builtin_bswap64(value);
	}
}

/* With a 16-bit operand undefined; processors clear the register's low half. */
static void bswap(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = cpu->gpr[op->reg];

	if (op->opsize == 2) {
		soft_set(cpu, op->reg, 0, 2);
	} else {
		cpu->gpr[op->reg] = swap_bytes(value, op->opsize);
	}
	soft_next(cpu, op);
}

static void movbe_load(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, false);
	uint64_t value = soft_load_slow(cpu, op, address, op->opsize);

	value = swap_bytes(value, op->opsize);
	if (op->opsize == 2) {
		soft_set(cpu, op->reg, value, 2);
	} else {
		cpu->gpr[op->reg] = value;
	}
	soft_next(cpu, op);
}

static void movbe_store(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, true);

	soft_store_slow(cpu, op, address, swap_bytes(cpu->gpr[op->reg], op->opsize), op->opsize);
	soft_next(cpu, op);
}

static void xlat(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t offset = cpu->gpr[CPU_RBX] + (uint8_t)cpu->gpr[CPU_RAX];

	offset &= op->addrsize == 8 ? UINT64_MAX : BIT(op->addrsize * 8) - 1;
	soft_set(cpu, CPU_RAX * 8, soft_read_u8(cpu, op->seg, offset), 1);
}

static bool bind_movbe(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	if (!cpu_model_has(cpu->model, 1, 0, 2, 22)) {
		return false;
	}
	return soft_bind_threaded(op, insn->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY
					      ? movbe_store
					      : movbe_load);
}

static bool bind_xlat(const struct soft_insn *insn, struct soft_op *op)
{
	op->seg = soft_insn_segment(insn);
	return soft_bind_plain(op, xlat);
}

bool soft_bind_move(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_MOV: return bind_mov(cpu, insn, op);
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD: return bind_extend(cpu, insn, op);
	case ZYDIS_MNEMONIC_LEA: return bind_lea(cpu, op);
	case ZYDIS_MNEMONIC_CBW: return soft_bind_threaded(op, cbw);
	case ZYDIS_MNEMONIC_CWDE: return soft_bind_threaded(op, cwde);
	case ZYDIS_MNEMONIC_CDQE: return soft_bind_threaded(op, cdqe);
	case ZYDIS_MNEMONIC_CWD: return soft_bind_threaded(op, cwd);
	case ZYDIS_MNEMONIC_CDQ: return soft_bind_threaded(op, cdq);
	case ZYDIS_MNEMONIC_CQO: return soft_bind_threaded(op, cqo);
	case ZYDIS_MNEMONIC_BSWAP: return soft_bind_threaded(op, bswap);
	case ZYDIS_MNEMONIC_MOVBE: return bind_movbe(cpu, insn, op);
	case ZYDIS_MNEMONIC_XLAT: return bind_xlat(insn, op);
	default:
		break;
	}
	if (insn->zydis.meta.category == ZYDIS_CATEGORY_CMOV ||
	    insn->zydis.meta.category == ZYDIS_CATEGORY_SETCC) {
		return bind_conditional(insn, op);
	}
	return false;
}
