/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MUL, IMUL, DIV and IDIV. A quotient that does not fit raises #DE; that is found by arithmetic
 * beforehand, so the host's own division, which is done for its flags, cannot fault.
 *
 * The host runs each instruction on its own RAX and RDX with the guest's flags in place: what a
 * product or a quotient leaves undefined is this processor's.
 */

#include "softcpu/integer.h"

__extension__ typedef unsigned __int128 soft_u128;
__extension__ typedef __int128 soft_s128;

enum {
	PAIR_MUL,
	PAIR_IMUL,
	PAIR_DIV,
	PAIR_IDIV,
};

/* AH carries flags in and out around @insn, while RAX waits in a register of its own. */
#define DEFINE_PAIR(name, insn, sfx, type, reg)                                                   \
	SOFT_INLINE void name##_##sfx(struct softcpu *cpu, uint64_t *rax, uint64_t *rdx,          \
				      uint64_t value)                                             \
	{                                                                                         \
		uint64_t flags = (uint64_t)cpu->flag_low << 8;                                    \
		uint8_t of = cpu->flag_of;                                                        \
		uint64_t high = *rdx;                                                             \
		uint64_t low = *rax;                                                              \
                                                                                                  \
		__asm__("addb $0x7f, %[of]\n\tsahf\n\t"                                           \
			"movq %[low], %%rax\n\t" insn #sfx " %[value]\n\t"                        \
			"movq %%rax, %[low]" SOFT_READ_FLAGS                                      \
			: [low] "+&r"(low), "+&d"(high), "+&a"(flags), [of] "+&q"(of)             \
			: [value] reg((type)value)                                                \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
		*rax = low;                                                                       \
		*rdx = high;                                                                      \
	}

#define DEFINE_PAIR_SIZES(name, insn)                                                             \
	DEFINE_PAIR(name, insn, b, uint8_t, "q")                                                  \
	DEFINE_PAIR(name, insn, w, uint16_t, "r")                                                 \
	DEFINE_PAIR(name, insn, l, uint32_t, "r")                                                 \
	DEFINE_PAIR(name, insn, q, uint64_t, "r")

DEFINE_PAIR_SIZES(mul, "mul")
DEFINE_PAIR_SIZES(imul, "imul")
DEFINE_PAIR_SIZES(div, "div")
DEFINE_PAIR_SIZES(idiv, "idiv")

#define RUN_PAIR(name)                                                                            \
	do {                                                                                      \
		switch (size) {                                                                   \
		case 1: name##_b(cpu, rax, rdx, value); break;                                    \
		case 2: name##_w(cpu, rax, rdx, value); break;                                    \
		case 4: name##_l(cpu, rax, rdx, value); break;                                    \
		default: name##_q(cpu, rax, rdx, value); break;                                   \
		}                                                                                 \
	} while (0)

/* The instruction itself, on the guest's RAX and RDX; byte sizes leave RDX alone. */
static void run_pair(struct softcpu *cpu, unsigned int pair, unsigned int size, uint64_t value)
{
	uint64_t *rax = &cpu->gpr[CPU_RAX];
	uint64_t *rdx = &cpu->gpr[CPU_RDX];

	switch (pair) {
	case PAIR_MUL: RUN_PAIR(mul); break;
	case PAIR_IMUL: RUN_PAIR(imul); break;
	case PAIR_DIV: RUN_PAIR(div); break;
	default: RUN_PAIR(idiv); break;
	}
}

static uint64_t operand(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->op = op;
	if (op->has_mem) {
		gva_t address = soft_operand_address(cpu, op, op->opsize, false);

		return soft_load(cpu, op, address, op->opsize);
	}
	return op->opsize == 1 ? ((const uint8_t *)cpu->gpr)[op->reg] : cpu->gpr[op->reg];
}

/* ------- products ------- */

static void multiply(struct softcpu *cpu, const struct soft_op *op)
{
	run_pair(cpu, (unsigned int)op->aux_value, op->opsize, operand(cpu, op));
	soft_next(cpu, op);
}

#define DEFINE_PRODUCT(sfx, type)                                                                 \
	SOFT_INLINE type product_##sfx(struct softcpu *cpu, type a, type b)                       \
	{                                                                                         \
		uint32_t flags = (uint32_t)cpu->flag_low << 8;                                    \
		uint8_t of = cpu->flag_of;                                                        \
                                                                                                  \
		__asm__(SOFT_WRITE_FLAGS "imul" #sfx " %[b], %[a]" SOFT_READ_FLAGS                \
			: [a] "+r"(a), "+a"(flags), [of] "+q"(of)                                 \
			: [b] "r"(b)                                                              \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
		return a;                                                                         \
	}

DEFINE_PRODUCT(w, uint16_t)
DEFINE_PRODUCT(l, uint32_t)
DEFINE_PRODUCT(q, uint64_t)

SOFT_INLINE void set_product(struct softcpu *cpu, const struct soft_op *op, uint64_t a, uint64_t b)
{
	switch (op->opsize) {
	case 2: soft_set(cpu, op->reg, product_w(cpu, (uint16_t)a, (uint16_t)b), 2); break;
	case 4: cpu->gpr[op->reg] = product_l(cpu, (uint32_t)a, (uint32_t)b); break;
	default: cpu->gpr[op->reg] = product_q(cpu, a, b); break;
	}
}

/* r = r * r, r * m, r * imm, m * imm */
static void product_rr(struct softcpu *cpu, const struct soft_op *op)
{
	set_product(cpu, op, cpu->gpr[op->reg], cpu->gpr[op->rm]);
	soft_next(cpu, op);
}

static void product_rm(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, false);

	set_product(cpu, op, cpu->gpr[op->reg], soft_load(cpu, op, address, op->opsize));
	soft_next(cpu, op);
}

static void product_rri(struct softcpu *cpu, const struct soft_op *op)
{
	set_product(cpu, op, cpu->gpr[op->rm], op->imm);
	soft_next(cpu, op);
}

static void product_rmi(struct softcpu *cpu, const struct soft_op *op)
{
	gva_t address = soft_operand_address(cpu, op, op->opsize, false);

	set_product(cpu, op, soft_load(cpu, op, address, op->opsize), op->imm);
	soft_next(cpu, op);
}

/* ------- quotients ------- */

/* The dividend: AX, DX:AX, EDX:EAX or RDX:RAX. */
static soft_u128 dividend(const struct softcpu *cpu, unsigned int size)
{
	uint64_t rax = cpu->gpr[CPU_RAX];
	uint64_t rdx = cpu->gpr[CPU_RDX];

	switch (size) {
	case 1: return (uint16_t)rax;
	case 2: return (uint32_t)((rdx & 0xffff) << 16 | (rax & 0xffff));
	case 4: return rdx << 32 | (rax & 0xffffffff);
	default: return (soft_u128)rdx << 64 | rax;
	}
}

static bool fits_unsigned(const struct softcpu *cpu, unsigned int size, uint64_t value)
{
	value &= size == 8 ? UINT64_MAX : BIT(size * 8) - 1;
	/* The quotient fits if the dividend's upper half is below the divisor. */
	return value != 0 && dividend(cpu, size) >> size * 8 < value;
}

static soft_s128 sign_extend(soft_u128 value, unsigned int bits)
{
	return (soft_s128)(value << (128 - bits)) >> (128 - bits);
}

static bool fits_signed(const struct softcpu *cpu, unsigned int size, uint64_t value)
{
	unsigned int bits = size * 8;
	soft_s128 divisor = sign_extend(value, bits);
	soft_s128 number = sign_extend(dividend(cpu, size), bits * 2);
	soft_s128 quotient;

	if (divisor == 0) {
		return false;
	}
	if (divisor == -1) { /* the one quotient that 128 bits may not hold */
		return number >= -((soft_s128)1 << (bits - 1)) + 1 &&
		       number <= (soft_s128)1 << (bits - 1);
	}
	quotient = number / divisor;
	return quotient == sign_extend((soft_u128)quotient, bits);
}

static void divide(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = operand(cpu, op);

	if (!fits_unsigned(cpu, op->opsize, value)) {
		soft_raise(cpu, SOFT_DE);
	}
	run_pair(cpu, PAIR_DIV, op->opsize, value);
	soft_next(cpu, op);
}

static void divide_signed(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = operand(cpu, op);

	if (!fits_signed(cpu, op->opsize, value)) {
		soft_raise(cpu, SOFT_DE);
	}
	run_pair(cpu, PAIR_IDIV, op->opsize, value);
	soft_next(cpu, op);
}

/* ------- binding ------- */

static bool bind_imul(const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.operand_count_visible) {
	case 3:
		return soft_bind_threaded(op, op->has_mem ? product_rmi : product_rri);
	case 2:
		return soft_bind_threaded(op, op->has_mem ? product_rm : product_rr);
	default:
		op->aux_value = PAIR_IMUL;
		return soft_bind_threaded(op, multiply);
	}
}

bool soft_bind_multiply(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	soft_fn fn;

	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_MUL:
		op->aux_value = PAIR_MUL;
		fn = multiply;
		break;
	case ZYDIS_MNEMONIC_IMUL:
		bind_imul(insn, op);
		fn = op->fn;
		break;
	case ZYDIS_MNEMONIC_DIV:
		fn = divide;
		break;
	case ZYDIS_MNEMONIC_IDIV:
		fn = divide_signed;
		break;
	default:
		return false;
	}
	if (op->opsize == 1) {
		soft_use_byte_registers(op);
	}
	return soft_bind_threaded(op, fn);
}
