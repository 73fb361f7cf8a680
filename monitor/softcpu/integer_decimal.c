/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decimal adjustments: AAA, AAS, AAD, AAM, DAA and DAS. They do not exist in 64-bit code, so the
 * host cannot be asked; they follow the pseudocode of Intel SDM vol. 2. Flags that it leaves
 * undefined are those of the addition or subtraction that the adjustment consists of, as AMD's
 * processors set them: 16 bits wide for AAA and AAS, 8 bits for the others.
 */

#include "softcpu/integer.h"

static uint8_t get_al(const struct softcpu *cpu)
{
	return (uint8_t)cpu->gpr[CPU_RAX];
}

static void set_ax(struct softcpu *cpu, unsigned int ah, unsigned int al)
{
	soft_set(cpu, CPU_RAX, (ah & 0xff) << 8 | (al & 0xff), 2);
}

/* AF and CF; the others stay as the addition or subtraction before has left them. */
static void set_carries(struct softcpu *cpu, bool af, bool cf)
{
	cpu->flag_low &= (uint8_t)~(FLAG_AF | FLAG_CF);
	cpu->flag_low |= (uint8_t)((af ? FLAG_AF : 0) | (cf ? FLAG_CF : 0));
}

static bool half_needs_adjusting(const struct softcpu *cpu)
{
	return (get_al(cpu) & 15) > 9 || (cpu->flag_low & FLAG_AF);
}

static void aaa(struct softcpu *cpu, const struct soft_op *op)
{
	bool adjust = half_needs_adjusting(cpu);
	uint16_t ax = soft_add_w(cpu, (uint16_t)cpu->gpr[CPU_RAX], adjust ? 0x106 : 0);

	set_carries(cpu, adjust, adjust);
	soft_set(cpu, CPU_RAX, ax & 0xff0f, 2);
	soft_next(cpu, op);
}

static void aas(struct softcpu *cpu, const struct soft_op *op)
{
	bool adjust = half_needs_adjusting(cpu);
	uint16_t ax = soft_sub_w(cpu, (uint16_t)cpu->gpr[CPU_RAX], adjust ? 0x106 : 0);

	set_carries(cpu, adjust, adjust);
	soft_set(cpu, CPU_RAX, ax & 0xff0f, 2);
	soft_next(cpu, op);
}

static void aam(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t base = (uint8_t)op->imm;
	uint8_t al = get_al(cpu);

	if (base == 0) {
		cpu->op = op;
		soft_raise(cpu, SOFT_DE);
	}
	set_ax(cpu, al / base, al % base);
	soft_add_b(cpu, al % base, 0);
	soft_next(cpu, op);
}

static void aad(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t ah = (uint8_t)(cpu->gpr[CPU_RAX] >> 8);

	set_ax(cpu, 0, soft_add_b(cpu, get_al(cpu), (uint8_t)(ah * (uint8_t)op->imm)));
	soft_next(cpu, op);
}

/* What DAA adds and DAS subtracts. */
static uint8_t adjustment(bool low, bool high)
{
	return (uint8_t)((low ? 6 : 0) + (high ? 0x60 : 0));
}

static void daa(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t old = get_al(cpu);
	bool high = old > 0x99 || (cpu->flag_low & FLAG_CF);
	bool low = half_needs_adjusting(cpu);

	soft_set(cpu, CPU_RAX * 8, soft_add_b(cpu, old, adjustment(low, high)), 1);
	set_carries(cpu, low, high);
	soft_next(cpu, op);
}

static void das(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t old = get_al(cpu);
	bool high = old > 0x99 || (cpu->flag_low & FLAG_CF);
	bool low = half_needs_adjusting(cpu);

	soft_set(cpu, CPU_RAX * 8, soft_sub_b(cpu, old, adjustment(low, high)), 1);
	/* The borrow of the first subtraction counts too. */
	set_carries(cpu, low, high || (low && old < 6));
	soft_next(cpu, op);
}

bool soft_bind_decimal(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_AAA: return soft_bind_threaded(op, aaa);
	case ZYDIS_MNEMONIC_AAS: return soft_bind_threaded(op, aas);
	case ZYDIS_MNEMONIC_AAM: return soft_bind_threaded(op, aam);
	case ZYDIS_MNEMONIC_AAD: return soft_bind_threaded(op, aad);
	case ZYDIS_MNEMONIC_DAA: return soft_bind_threaded(op, daa);
	case ZYDIS_MNEMONIC_DAS: return soft_bind_threaded(op, das);
	default: return false;
	}
}
