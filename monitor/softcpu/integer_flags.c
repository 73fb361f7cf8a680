/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on single flags: CLC, STC, CMC, CLD, STD, LAHF, SAHF and SALC. CLI and STI are among
 * the system instructions, PUSHF and POPF with the stack.
 */

#include "softcpu/integer.h"

#define LAHF_FLAGS (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF)

static void clc(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->flag_low &= (uint8_t)~FLAG_CF;
	soft_next(cpu, op);
}

static void stc(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->flag_low |= FLAG_CF;
	soft_next(cpu, op);
}

static void cmc(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->flag_low ^= FLAG_CF;
	soft_next(cpu, op);
}

/* The direction flag is none of the arithmetic ones, so rflags has it at all times. */
static void cld(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->rflags &= ~(uint64_t)FLAG_DF;
	soft_next(cpu, op);
}

static void std(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->rflags |= FLAG_DF;
	soft_next(cpu, op);
}

static void lahf(struct softcpu *cpu, const struct soft_op *op)
{
	soft_set(cpu, CPU_RAX * 8 + 1, (cpu->flag_low & LAHF_FLAGS) | 2, 1);
	soft_next(cpu, op);
}

static void sahf(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->flag_low = (uint8_t)soft_get(cpu, CPU_RAX * 8 + 1, 1) & LAHF_FLAGS;
	soft_next(cpu, op);
}

static void salc(struct softcpu *cpu, const struct soft_op *op)
{
	soft_set(cpu, CPU_RAX * 8, cpu->flag_low & FLAG_CF ? 0xff : 0, 1);
	soft_next(cpu, op);
}

static bool has_lahf(const struct softcpu *cpu)
{
	return cpu->mode != SOFT_MODE_64 || cpu_model_has(cpu->model, 0x80000001, 0, 2, 0);
}

bool soft_bind_arith_flags(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_CLC: return soft_bind_threaded(op, clc);
	case ZYDIS_MNEMONIC_STC: return soft_bind_threaded(op, stc);
	case ZYDIS_MNEMONIC_CMC: return soft_bind_threaded(op, cmc);
	case ZYDIS_MNEMONIC_CLD: return soft_bind_threaded(op, cld);
	case ZYDIS_MNEMONIC_STD: return soft_bind_threaded(op, std);
	case ZYDIS_MNEMONIC_LAHF: return has_lahf(cpu) && soft_bind_threaded(op, lahf);
	case ZYDIS_MNEMONIC_SAHF: return has_lahf(cpu) && soft_bind_threaded(op, sahf);
	case ZYDIS_MNEMONIC_SALC: return soft_bind_threaded(op, salc);
	default: return false;
	}
}
