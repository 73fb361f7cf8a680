/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_ALU_H
#define LIMEN_SOFTCPU_ALU_H

/*
 * Arithmetic with its flags, done by the host's own instructions: so all flags come out as this
 * processor's, those too that the manuals leave undefined. LAHF and SETO read them, which is
 * quicker than PUSHF and keeps the two apart as struct softcpu does.
 *
 * Each operation is one inline function over the four sizes; with a constant size only one
 * instruction of it remains.
 */

#include "softcpu/threaded.h"

enum soft_alu {
	SOFT_ADD, SOFT_OR, SOFT_ADC, SOFT_SBB, SOFT_AND, SOFT_SUB, SOFT_XOR, SOFT_CMP,
	SOFT_TEST,
	SOFT_INC, SOFT_DEC, SOFT_NEG, SOFT_NOT,
	SOFT_ROL, SOFT_ROR, SOFT_RCL, SOFT_RCR, SOFT_SHL, SOFT_SHR, SOFT_SAR,
};

/* AX after LAHF holds SF, ZF, AF, PF and CF in AH. */
#define SOFT_READ_FLAGS "\n\tlahf\n\tseto %[of]"
/* Puts the guest's flags in place first: OF by an addition that overflows if it was set. */
#define SOFT_WRITE_FLAGS "addb $0x7f, %[of]\n\tsahf\n\t"
#define SOFT_WRITE_CARRY "btl $0, %[low]\n\t"

/* @insn on destination and source, not looking at flags. */
#define SOFT_DEFINE_BINARY(name, insn, sfx, type, reg)                                            \
	SOFT_INLINE type soft_##name##_##sfx(struct softcpu *cpu, type a, type b)                 \
	{                                                                                         \
		uint32_t flags;                                                                   \
                                                                                                  \
		__asm__(insn #sfx " %[b], %[a]" SOFT_READ_FLAGS                                   \
			: [a] "+" reg(a), "=&a"(flags), [of] "=m"(cpu->flag_of)                   \
			: [b] reg(b)                                                              \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		return a;                                                                         \
	}

/* @insn that adds the carry. */
#define SOFT_DEFINE_CARRY(name, insn, sfx, type, reg)                                             \
	SOFT_INLINE type soft_##name##_##sfx(struct softcpu *cpu, type a, type b)                 \
	{                                                                                         \
		uint32_t low = cpu->flag_low;                                                     \
		uint32_t flags;                                                                   \
                                                                                                  \
		__asm__(SOFT_WRITE_CARRY insn #sfx " %[b], %[a]" SOFT_READ_FLAGS                  \
			: [a] "+" reg(a), "=&a"(flags), [of] "=m"(cpu->flag_of)                   \
			: [b] reg(b), [low] "r"(low)                                              \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		return a;                                                                         \
	}

/* @insn with one operand; the carry is kept by INC and DEC, and does not matter to NEG. */
#define SOFT_DEFINE_UNARY(name, insn, sfx, type, reg)                                             \
	SOFT_INLINE type soft_##name##_##sfx(struct softcpu *cpu, type a)                         \
	{                                                                                         \
		uint32_t low = cpu->flag_low;                                                     \
		uint32_t flags;                                                                   \
                                                                                                  \
		__asm__(SOFT_WRITE_CARRY insn #sfx " %[a]" SOFT_READ_FLAGS                        \
			: [a] "+" reg(a), "=&a"(flags), [of] "=m"(cpu->flag_of)                   \
			: [low] "r"(low)                                                          \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		return a;                                                                         \
	}

/* Shifts and rotates by CL; what they leave alone or undefined is as it was before. */
#define SOFT_DEFINE_SHIFT(name, insn, sfx, type, reg)                                             \
	SOFT_INLINE type soft_##name##_##sfx(struct softcpu *cpu, type a, uint8_t count)          \
	{                                                                                         \
		uint8_t of = cpu->flag_of;                                                        \
		uint32_t flags = (uint32_t)cpu->flag_low << 8;                                    \
                                                                                                  \
		__asm__(SOFT_WRITE_FLAGS insn #sfx " %%cl, %[a]" SOFT_READ_FLAGS                  \
			: [a] "+" reg(a), "+a"(flags), [of] "+q"(of)                              \
			: "c"(count)                                                              \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
		return a;                                                                         \
	}

#define SOFT_DEFINE_SIZES(define, name, insn)                                                     \
	define(name, insn, b, uint8_t, "q")                                                       \
	define(name, insn, w, uint16_t, "r")                                                      \
	define(name, insn, l, uint32_t, "r")                                                      \
	define(name, insn, q, uint64_t, "r")

SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, add, "add")
SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, or, "or")
SOFT_DEFINE_SIZES(SOFT_DEFINE_CARRY, adc, "adc")
SOFT_DEFINE_SIZES(SOFT_DEFINE_CARRY, sbb, "sbb")
SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, and, "and")
SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, sub, "sub")
SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, xor, "xor")
SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, cmp, "cmp")
SOFT_DEFINE_SIZES(SOFT_DEFINE_BINARY, test, "test")
SOFT_DEFINE_SIZES(SOFT_DEFINE_UNARY, inc, "inc")
SOFT_DEFINE_SIZES(SOFT_DEFINE_UNARY, dec, "dec")
SOFT_DEFINE_SIZES(SOFT_DEFINE_UNARY, neg, "neg")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, rol, "rol")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, ror, "ror")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, rcl, "rcl")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, rcr, "rcr")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, shl, "shl")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, shr, "shr")
SOFT_DEFINE_SIZES(SOFT_DEFINE_SHIFT, sar, "sar")

/*
 * soft_do_NAME_SIZE() - @a OP @b (a shift: by the count @b) with flags, for SIZE 1, 2, 4, 8. A
 * function each, and no switch over all of them: that would be expanded anew wherever it is
 * inlined.
 */
typedef uint64_t (*soft_alu_fn)(struct softcpu *cpu, uint64_t a, uint64_t b);

#define SOFT_DEFINE_DO(upper, size, expression)                                                   \
	SOFT_INLINE uint64_t soft_do_##upper##_##size(struct softcpu *cpu, uint64_t a,            \
						      uint64_t b)                                 \
	{                                                                                         \
		(void)b;                                                                          \
		return expression;                                                                \
	}
#define SOFT_DEFINE_DO_BINARY(upper, name)                                                        \
	SOFT_DEFINE_DO(upper, 1, soft_##name##_b(cpu, (uint8_t)a, (uint8_t)b))                    \
	SOFT_DEFINE_DO(upper, 2, soft_##name##_w(cpu, (uint16_t)a, (uint16_t)b))                  \
	SOFT_DEFINE_DO(upper, 4, soft_##name##_l(cpu, (uint32_t)a, (uint32_t)b))                  \
	SOFT_DEFINE_DO(upper, 8, soft_##name##_q(cpu, a, b))
#define SOFT_DEFINE_DO_UNARY(upper, name)                                                         \
	SOFT_DEFINE_DO(upper, 1, soft_##name##_b(cpu, (uint8_t)a))                                \
	SOFT_DEFINE_DO(upper, 2, soft_##name##_w(cpu, (uint16_t)a))                               \
	SOFT_DEFINE_DO(upper, 4, soft_##name##_l(cpu, (uint32_t)a))                               \
	SOFT_DEFINE_DO(upper, 8, soft_##name##_q(cpu, a))
#define SOFT_DEFINE_DO_SHIFT(upper, name)                                                         \
	SOFT_DEFINE_DO(upper, 1, soft_##name##_b(cpu, (uint8_t)a, (uint8_t)b))                    \
	SOFT_DEFINE_DO(upper, 2, soft_##name##_w(cpu, (uint16_t)a, (uint8_t)b))                   \
	SOFT_DEFINE_DO(upper, 4, soft_##name##_l(cpu, (uint32_t)a, (uint8_t)b))                   \
	SOFT_DEFINE_DO(upper, 8, soft_##name##_q(cpu, a, (uint8_t)b))

SOFT_DEFINE_DO_BINARY(ADD, add)
SOFT_DEFINE_DO_BINARY(OR, or)
SOFT_DEFINE_DO_BINARY(ADC, adc)
SOFT_DEFINE_DO_BINARY(SBB, sbb)
SOFT_DEFINE_DO_BINARY(AND, and)
SOFT_DEFINE_DO_BINARY(SUB, sub)
SOFT_DEFINE_DO_BINARY(XOR, xor)
SOFT_DEFINE_DO_BINARY(CMP, cmp)
SOFT_DEFINE_DO_BINARY(TEST, test)
SOFT_DEFINE_DO_UNARY(INC, inc)
SOFT_DEFINE_DO_UNARY(DEC, dec)
SOFT_DEFINE_DO_UNARY(NEG, neg)
SOFT_DEFINE_DO(NOT, 1, ~a)
SOFT_DEFINE_DO(NOT, 2, ~a)
SOFT_DEFINE_DO(NOT, 4, ~a)
SOFT_DEFINE_DO(NOT, 8, ~a)
SOFT_DEFINE_DO_SHIFT(ROL, rol)
SOFT_DEFINE_DO_SHIFT(ROR, ror)
SOFT_DEFINE_DO_SHIFT(RCL, rcl)
SOFT_DEFINE_DO_SHIFT(RCR, rcr)
SOFT_DEFINE_DO_SHIFT(SHL, shl)
SOFT_DEFINE_DO_SHIFT(SHR, shr)
SOFT_DEFINE_DO_SHIFT(SAR, sar)

/* ------- conditions, SDM vol. 1, appendix B ------- */

enum {
	SOFT_COND_O, SOFT_COND_NO, SOFT_COND_B, SOFT_COND_NB, SOFT_COND_Z, SOFT_COND_NZ,
	SOFT_COND_BE, SOFT_COND_NBE, SOFT_COND_S, SOFT_COND_NS, SOFT_COND_P, SOFT_COND_NP,
	SOFT_COND_L, SOFT_COND_NL, SOFT_COND_LE, SOFT_COND_NLE,
};

SOFT_INLINE bool soft_condition(const struct softcpu *cpu, unsigned int condition)
{
	uint8_t low = cpu->flag_low;
	bool holds;

	switch (condition >> 1) {
	case 0: holds = cpu->flag_of; break;
	case 1: holds = low & FLAG_CF; break;
	case 2: holds = low & FLAG_ZF; break;
	case 3: holds = low & (FLAG_CF | FLAG_ZF); break;
	case 4: holds = low & FLAG_SF; break;
	case 5: holds = low & FLAG_PF; break;
	case 6: holds = (low >> 7) != cpu->flag_of; break;
	default: holds = (low & FLAG_ZF) || (low >> 7) != cpu->flag_of; break;
	}
	return holds != (condition & 1);
}

#endif
