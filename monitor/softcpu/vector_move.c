/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vector instructions that are most of what programs execute, in C and without a thunk:
 * whole-register moves, moves of four and eight bytes, the logic operations between registers; and
 * those that touch the state itself: EMMS, VZEROUPPER, VZEROALL, LDMXCSR, STMXCSR. MOVNTI,
 * prefetches and fences are here too, as no thunk would do anything for them. Non-temporal moves
 * are plain ones.
 *
 * op->aux_value names the registers: bits 7:0 the one in ModRM.reg, 15:8 the one in ModRM.rm.
 */

#include "softcpu/fpu.h"

static inline unsigned int reg_of(const struct soft_op *op)
{
	return op->aux_value & 0xff;
}

static inline unsigned int rm_of(const struct soft_op *op)
{
	return (op->aux_value >> 8) & 0xff;
}

static inline uint8_t *xmm_reg(struct softcpu *cpu, const struct soft_op *op)
{
	return soft_fpu(cpu)->xmm[reg_of(op)];
}

static inline uint8_t *xmm_rm(struct softcpu *cpu, const struct soft_op *op)
{
	return soft_fpu(cpu)->xmm[rm_of(op)];
}

/* Nothing of a register may change before all of the operand was read. */
static inline void load16(struct softcpu *cpu, const struct soft_op *op, uint64_t ea, uint8_t *dst)
{
	uint8_t value[16];

	soft_read_bytes(cpu, op->seg, ea, value, 16);
	memcpy(dst, value, 16);
}

/* ------- 16 bytes ------- */

static void sse_copy(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	memmove(xmm_reg(cpu, op), xmm_rm(cpu, op), 16);
}

static void sse_copy_reverse(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	memmove(xmm_rm(cpu, op), xmm_reg(cpu, op), 16);
}

static void sse_load(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	load16(cpu, op, soft_ea(cpu, op), xmm_reg(cpu, op));
}

static void sse_load_aligned(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);

	soft_check_sse(cpu);
	soft_check_aligned(cpu, op, ea, 16);
	load16(cpu, op, ea, xmm_reg(cpu, op));
}

static void sse_store(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	soft_write_bytes(cpu, op->seg, soft_ea(cpu, op), xmm_reg(cpu, op), 16);
}

static void sse_store_aligned(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);

	soft_check_sse(cpu);
	soft_check_aligned(cpu, op, ea, 16);
	soft_write_bytes(cpu, op->seg, ea, xmm_reg(cpu, op), 16);
}

/* ------- 4 and 8 bytes ------- */

static inline void set_low(uint8_t *xmm, uint64_t value)
{
	store_le64(xmm, value);
	store_le64(xmm + 8, 0);
}

static void sse_load8(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	set_low(xmm_reg(cpu, op), soft_read_u64(cpu, op->seg, soft_ea(cpu, op)));
}

static void sse_load4(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	set_low(xmm_reg(cpu, op), soft_read_u32(cpu, op->seg, soft_ea(cpu, op)));
}

static void sse_store8(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	soft_write_u64(cpu, op->seg, soft_ea(cpu, op), load_le64(xmm_reg(cpu, op)));
}

static void sse_store4(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	soft_write_u32(cpu, op->seg, soft_ea(cpu, op), load_le32(xmm_reg(cpu, op)));
}

/* MOVLPS, MOVLPD, MOVHPS, MOVHPD: the other half stays. */
static void sse_load_low(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	store_le64(xmm_reg(cpu, op), soft_read_u64(cpu, op->seg, soft_ea(cpu, op)));
}

static void sse_load_high(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	store_le64(xmm_reg(cpu, op) + 8, soft_read_u64(cpu, op->seg, soft_ea(cpu, op)));
}

static void sse_store_high(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	soft_write_u64(cpu, op->seg, soft_ea(cpu, op), load_le64(xmm_reg(cpu, op) + 8));
}

static void sse_copy_low(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	set_low(xmm_reg(cpu, op), load_le64(xmm_rm(cpu, op)));
}

static void sse_copy_low_reverse(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	set_low(xmm_rm(cpu, op), load_le64(xmm_reg(cpu, op)));
}

static void sse_from_gpr64(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	set_low(xmm_reg(cpu, op), cpu->gpr[rm_of(op)]);
}

static void sse_from_gpr32(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	set_low(xmm_reg(cpu, op), (uint32_t)cpu->gpr[rm_of(op)]);
}

static void sse_to_gpr64(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	cpu->gpr[rm_of(op)] = load_le64(xmm_reg(cpu, op));
}

static void sse_to_gpr32(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	cpu->gpr[rm_of(op)] = load_le32(xmm_reg(cpu, op));
}

/* ------- logic between registers ------- */

#define DEFINE_LOGIC(name, expression)                                  \
	static void name(struct softcpu *cpu, const struct soft_op *op) \
	{                                                               \
		uint8_t *dst;                                           \
		const uint8_t *src;                                     \
                                                                        \
		soft_check_sse(cpu);                                    \
		dst = xmm_reg(cpu, op);                                 \
		src = xmm_rm(cpu, op);                                  \
		for (unsigned int i = 0; i < 16; i += 8) {              \
			uint64_t a = load_le64(dst + i);                \
			uint64_t b = load_le64(src + i);                \
                                                                        \
			store_le64(dst + i, expression);                \
		}                                                       \
	}

DEFINE_LOGIC(sse_xor, a ^ b)
DEFINE_LOGIC(sse_and, a &b)
DEFINE_LOGIC(sse_andn, ~a &b)
DEFINE_LOGIC(sse_or, a | b)

/* ------- AVX ------- */

static inline void avx_set(struct softcpu *cpu, unsigned int n, const uint8_t *value, size_t size)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	memcpy(fpu->xmm[n], value, 16);
	if (size == 32) {
		memcpy(fpu->ymm_hi[n], value + 16, 16);
	} else {
		memset(fpu->ymm_hi[n], 0, 16);
	}
}

static inline void avx_get(struct softcpu *cpu, unsigned int n, uint8_t *value)
{
	memcpy(value, soft_fpu(cpu)->xmm[n], 16);
	memcpy(value + 16, soft_fpu(cpu)->ymm_hi[n], 16);
}

#define DEFINE_AVX_MOVES(size)                                                             \
	static void avx_copy##size(struct softcpu *cpu, const struct soft_op *op)          \
	{                                                                                  \
		uint8_t value[32];                                                         \
                                                                                           \
		soft_check_avx(cpu);                                                       \
		avx_get(cpu, rm_of(op), value);                                            \
		avx_set(cpu, reg_of(op), value, size);                                     \
	}                                                                                  \
                                                                                           \
	static void avx_copy_reverse##size(struct softcpu *cpu, const struct soft_op *op)  \
	{                                                                                  \
		uint8_t value[32];                                                         \
                                                                                           \
		soft_check_avx(cpu);                                                       \
		avx_get(cpu, reg_of(op), value);                                           \
		avx_set(cpu, rm_of(op), value, size);                                      \
	}                                                                                  \
                                                                                           \
	static void avx_load##size(struct softcpu *cpu, const struct soft_op *op)          \
	{                                                                                  \
		uint8_t value[32];                                                         \
                                                                                           \
		soft_check_avx(cpu);                                                       \
		soft_read_bytes(cpu, op->seg, soft_ea(cpu, op), value, size);              \
		avx_set(cpu, reg_of(op), value, size);                                     \
	}                                                                                  \
                                                                                           \
	static void avx_load_aligned##size(struct softcpu *cpu, const struct soft_op *op)  \
	{                                                                                  \
		soft_check_avx(cpu);                                                       \
		soft_check_aligned(cpu, op, soft_ea(cpu, op), size);                       \
		avx_load##size(cpu, op);                                                   \
	}                                                                                  \
                                                                                           \
	static void avx_store##size(struct softcpu *cpu, const struct soft_op *op)         \
	{                                                                                  \
		uint8_t value[32];                                                         \
                                                                                           \
		soft_check_avx(cpu);                                                       \
		avx_get(cpu, reg_of(op), value);                                           \
		soft_write_bytes(cpu, op->seg, soft_ea(cpu, op), value, size);             \
	}                                                                                  \
                                                                                           \
	static void avx_store_aligned##size(struct softcpu *cpu, const struct soft_op *op) \
	{                                                                                  \
		soft_check_avx(cpu);                                                       \
		soft_check_aligned(cpu, op, soft_ea(cpu, op), size);                       \
		avx_store##size(cpu, op);                                                  \
	}

DEFINE_AVX_MOVES(16)
DEFINE_AVX_MOVES(32)

/* ------- binding ------- */

enum move_form {
	FORM_COPY,    /* reg <- rm */
	FORM_REVERSE, /* rm <- reg */
	FORM_LOAD,
	FORM_STORE,
	FORM_COUNT,
};

struct move_entry {
	ZydisMnemonic mnemonic;
	soft_fn fn[FORM_COUNT];
};

static const struct move_entry sse_moves[] = {
	{ ZYDIS_MNEMONIC_MOVAPS,
	  { sse_copy, sse_copy_reverse, sse_load_aligned, sse_store_aligned } },
	{ ZYDIS_MNEMONIC_MOVAPD,
	  { sse_copy, sse_copy_reverse, sse_load_aligned, sse_store_aligned } },
	{ ZYDIS_MNEMONIC_MOVDQA,
	  { sse_copy, sse_copy_reverse, sse_load_aligned, sse_store_aligned } },
	{ ZYDIS_MNEMONIC_MOVUPS, { sse_copy, sse_copy_reverse, sse_load, sse_store } },
	{ ZYDIS_MNEMONIC_MOVUPD, { sse_copy, sse_copy_reverse, sse_load, sse_store } },
	{ ZYDIS_MNEMONIC_MOVDQU, { sse_copy, sse_copy_reverse, sse_load, sse_store } },
	{ ZYDIS_MNEMONIC_LDDQU, { NULL, NULL, sse_load, NULL } },
	{ ZYDIS_MNEMONIC_MOVNTPS, { NULL, NULL, NULL, sse_store_aligned } },
	{ ZYDIS_MNEMONIC_MOVNTPD, { NULL, NULL, NULL, sse_store_aligned } },
	{ ZYDIS_MNEMONIC_MOVNTDQ, { NULL, NULL, NULL, sse_store_aligned } },
	{ ZYDIS_MNEMONIC_MOVNTDQA, { NULL, NULL, sse_load_aligned, NULL } },
	{ ZYDIS_MNEMONIC_MOVQ, { sse_copy_low, sse_copy_low_reverse, sse_load8, sse_store8 } },
	{ ZYDIS_MNEMONIC_MOVSD, { NULL, NULL, sse_load8, sse_store8 } },
	{ ZYDIS_MNEMONIC_MOVD, { NULL, NULL, sse_load4, sse_store4 } },
	{ ZYDIS_MNEMONIC_MOVSS, { NULL, NULL, sse_load4, sse_store4 } },
	{ ZYDIS_MNEMONIC_MOVLPS, { NULL, NULL, sse_load_low, sse_store8 } },
	{ ZYDIS_MNEMONIC_MOVLPD, { NULL, NULL, sse_load_low, sse_store8 } },
	{ ZYDIS_MNEMONIC_MOVHPS, { NULL, NULL, sse_load_high, sse_store_high } },
	{ ZYDIS_MNEMONIC_MOVHPD, { NULL, NULL, sse_load_high, sse_store_high } },
	{ ZYDIS_MNEMONIC_PXOR, { sse_xor, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_XORPS, { sse_xor, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_XORPD, { sse_xor, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_PAND, { sse_and, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_ANDPS, { sse_and, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_ANDPD, { sse_and, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_PANDN, { sse_andn, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_ANDNPS, { sse_andn, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_ANDNPD, { sse_andn, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_POR, { sse_or, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_ORPS, { sse_or, NULL, NULL, NULL } },
	{ ZYDIS_MNEMONIC_ORPD, { sse_or, NULL, NULL, NULL } },
};

/* By operand size: [0] 16 bytes, [1] 32. */
static const struct {
	ZydisMnemonic mnemonic;
	bool aligned;
} avx_moves[] = {
	{ ZYDIS_MNEMONIC_VMOVAPS, true },  { ZYDIS_MNEMONIC_VMOVAPD, true },
	{ ZYDIS_MNEMONIC_VMOVDQA, true },  { ZYDIS_MNEMONIC_VMOVUPS, false },
	{ ZYDIS_MNEMONIC_VMOVUPD, false }, { ZYDIS_MNEMONIC_VMOVDQU, false },
};

static soft_fn avx_function(bool wide, bool aligned, enum move_form form)
{
	static const soft_fn table[2][2][FORM_COUNT] = {
		{ { avx_copy16, avx_copy_reverse16, avx_load16, avx_store16 },
		  { avx_copy16, avx_copy_reverse16, avx_load_aligned16, avx_store_aligned16 } },
		{ { avx_copy32, avx_copy_reverse32, avx_load32, avx_store32 },
		  { avx_copy32, avx_copy_reverse32, avx_load_aligned32, avx_store_aligned32 } },
	};

	return table[wide][aligned][form];
}

static bool is_vector(const ZydisDecodedOperand *operand)
{
	ZydisRegisterClass class;

	if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return false;
	}
	class = ZydisRegisterGetClass(operand->reg.value);
	return class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM;
}

/* MOVD and MOVQ between XMM and general registers; all other operands are XMM, YMM or memory. */
static soft_fn gpr_move(const struct soft_insn *insn, unsigned int reg_operand, uint8_t gpr)
{
	bool to_xmm = reg_operand == 0;

	if (insn->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || gpr >= CPU_GPR_COUNT ||
	    (insn->zydis.mnemonic != ZYDIS_MNEMONIC_MOVD &&
	     insn->zydis.mnemonic != ZYDIS_MNEMONIC_MOVQ)) {
		return NULL;
	}
	if (insn->operands[1 - reg_operand].size == 64) {
		return to_xmm ? sse_from_gpr64 : sse_to_gpr64;
	}
	return to_xmm ? sse_from_gpr32 : sse_to_gpr32;
}

static soft_fn find_move(const struct soft_insn *insn, enum move_form form, bool wide)
{
	ZydisMnemonic mnemonic = insn->zydis.mnemonic;

	if (insn->zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
		for (unsigned int i = 0; i < ARRAY_SIZE(avx_moves); i++) {
			if (avx_moves[i].mnemonic == mnemonic) {
				return avx_function(wide, avx_moves[i].aligned, form);
			}
		}
		return NULL;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(sse_moves); i++) {
		if (sse_moves[i].mnemonic == mnemonic) {
			return sse_moves[i].fn[form];
		}
	}
	return NULL;
}

bool soft_bind_vector_move(const struct soft_insn *insn, struct soft_op *op)
{
	const ZydisDecodedOperand *first = &insn->operands[0];
	const ZydisDecodedOperand *second = &insn->operands[1];
	unsigned int reg_operand;
	const ZydisDecodedOperand *reg;
	const ZydisDecodedOperand *rm;
	uint64_t rm_number = 0;
	soft_fn fn;

	if (insn->zydis.operand_count != 2) {
		return false;
	}
	reg_operand = first->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ? 0 : 1;
	reg = reg_operand == 0 ? first : second;
	rm = reg_operand == 0 ? second : first;
	if (reg->encoding != ZYDIS_OPERAND_ENCODING_MODRM_REG || !is_vector(reg) ||
	    rm->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM) {
		return false;
	}
	if (rm->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		fn = find_move(insn, reg_operand == 0 ? FORM_LOAD : FORM_STORE, rm->size == 256);
	} else if (is_vector(rm)) {
		rm_number = (uint64_t)ZydisRegisterGetId(rm->reg.value);
		fn = find_move(insn, reg_operand == 0 ? FORM_COPY : FORM_REVERSE, rm->size == 256);
	} else {
		rm_number = soft_insn_gpr(rm->reg.value);
		fn = gpr_move(insn, reg_operand, (uint8_t)rm_number);
	}
	if (!fn) {
		return false;
	}
	op->fn = fn;
	op->kind = SOFT_CALL_PLAIN;
	op->aux_value = (uint64_t)ZydisRegisterGetId(reg->reg.value) | rm_number << 8;
	return true;
}
