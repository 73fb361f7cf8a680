/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions that change the vector state as a whole or touch none of it: EMMS, VZEROUPPER,
 * VZEROALL, LDMXCSR, STMXCSR and their VEX forms; MOVNTI, a plain store here; prefetches, which do
 * nothing and never fault; fences.
 */

#include "softcpu/fpu.h"

static void emms(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_check_mmx(cpu);
	soft_mmx_enter(cpu);
	soft_fpu(cpu)->ftw = 0;
}

static void zero_upper(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_avx(cpu);
	memset(soft_fpu(cpu)->ymm_hi, 0, op->aux_value * 16);
}

static void zero_all(struct softcpu *cpu, const struct soft_op *op)
{
	zero_upper(cpu, op);
	memset(soft_fpu(cpu)->xmm, 0, op->aux_value * 16);
}

static void load_mxcsr(struct softcpu *cpu, const struct soft_op *op)
{
	uint32_t value = soft_read_u32(cpu, op->seg, soft_ea(cpu, op));

	if (value & ~soft_mxcsr_mask(cpu)) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	soft_fpu(cpu)->mxcsr = value;
}

static void ldmxcsr(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	load_mxcsr(cpu, op);
}

static void vldmxcsr(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_avx(cpu);
	load_mxcsr(cpu, op);
}

static void stmxcsr(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_sse(cpu);
	soft_write_u32(cpu, op->seg, soft_ea(cpu, op), soft_fpu(cpu)->mxcsr);
}

static void vstmxcsr(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_avx(cpu);
	soft_write_u32(cpu, op->seg, soft_ea(cpu, op), soft_fpu(cpu)->mxcsr);
}

static void movnti(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = cpu->gpr[op->aux_value & 15];

	if (op->aux_value & 16) {
		soft_write_u64(cpu, op->seg, soft_ea(cpu, op), value);
	} else {
		soft_write_u32(cpu, op->seg, soft_ea(cpu, op), (uint32_t)value);
	}
}

static void prefetch(struct softcpu *cpu, const struct soft_op *op)
{
	(void)cpu;
	(void)op;
}

static void fence(struct softcpu *cpu, const struct soft_op *op)
{
	(void)cpu;
	(void)op;
	atomic_thread_fence(memory_order_seq_cst);
}

static soft_fn find_function(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_EMMS: return emms;
	case ZYDIS_MNEMONIC_VZEROUPPER: return zero_upper;
	case ZYDIS_MNEMONIC_VZEROALL: return zero_all;
	case ZYDIS_MNEMONIC_LDMXCSR: return ldmxcsr;
	case ZYDIS_MNEMONIC_VLDMXCSR: return vldmxcsr;
	case ZYDIS_MNEMONIC_STMXCSR: return stmxcsr;
	case ZYDIS_MNEMONIC_VSTMXCSR: return vstmxcsr;
	case ZYDIS_MNEMONIC_MOVNTI: return movnti;
	case ZYDIS_MNEMONIC_PREFETCH:
	case ZYDIS_MNEMONIC_PREFETCHW:
	case ZYDIS_MNEMONIC_PREFETCHNTA:
	case ZYDIS_MNEMONIC_PREFETCHT0:
	case ZYDIS_MNEMONIC_PREFETCHT1:
	case ZYDIS_MNEMONIC_PREFETCHT2: return prefetch;
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
	case ZYDIS_MNEMONIC_MFENCE: return fence;
	default: return NULL;
	}
}

bool soft_bind_vector_state(const struct soft_insn *insn, struct soft_op *op)
{
	soft_fn fn = find_function(insn->zydis.mnemonic);

	if (!fn) {
		return false;
	}
	op->fn = fn;
	op->kind = SOFT_CALL_PLAIN;
	if (fn == movnti) {
		op->aux_value = soft_insn_gpr(insn->operands[1].reg.value) |
				(insn->operands[0].size == 64 ? 16 : 0);
	} else {
		/* Outside 64-bit mode the eight upper registers do not exist. */
		op->aux_value = insn->mode == SOFT_MODE_64 ? 16 : 8;
	}
	return true;
}
