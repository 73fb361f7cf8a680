/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug registers: MOV DR with general detect, and breakpoints on I/O. Intel SDM vol. 3,
 * chapter 17 (17.2 registers, 17.3.1 conditions). Breakpoints on code are matched between
 * instructions (run.c), those on data with the access (mmu.c).
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

#include "softcpu/mmu.h"

#define DR7_ENABLED(dr7, n) ((dr7) >> (2 * (n)) & 3)
#define DR7_TYPE(dr7, n) ((dr7) >> (16 + 4 * (n)) & 3)
#define DR7_LENGTH(dr7, n) ((dr7) >> (18 + 4 * (n)) & 3)

#define TYPE_IO 2

void soft_debug_trap(struct softcpu *cpu, uint64_t bits)
{
	cpu->pending_db |= bits;
}

bool soft_steps_branches(const struct softcpu *cpu)
{
	const uint64_t *debugctl = soft_msr_slot((struct softcpu *)cpu, MSR_DEBUGCTL);

	return debugctl && (*debugctl & DEBUGCTL_BTF);
}

void soft_check_io_breakpoints(struct softcpu *cpu, uint16_t port, unsigned int size)
{
	static const uint8_t lengths[4] = { 1, 2, 8, 4 };
	uint64_t dr7 = cpu->dr7;

	if (!(cpu->cr4 & CR4_DE) || !(dr7 & 0xff)) {
		return;
	}
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t length = lengths[DR7_LENGTH(dr7, i)];
		uint64_t first = cpu->dr[i] & ~(length - 1);

		if (DR7_ENABLED(dr7, i) && DR7_TYPE(dr7, i) == TYPE_IO && first < port + size &&
		    port < first + length) {
			soft_debug_trap(cpu, BIT(i));
		}
	}
}

/* The register that the encoding means: DR4 and DR5 are DR6 and DR7 unless CR4.DE is set. */
static unsigned int check_access(struct softcpu *cpu, unsigned int n)
{
	if (n > 7 || ((n == 4 || n == 5) && (cpu->cr4 & CR4_DE))) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_require_cpl0(cpu);
	if (cpu->dr7 & DR7_GD) {
		/* A fault, so RF is pushed set; taking it clears GD. */
		cpu->dr6 |= DR6_BD;
		cpu->rflags |= FLAG_RF;
		soft_raise(cpu, SOFT_DB);
	}
	return n == 4 || n == 5 ? n + 2 : n;
}

static void op_read_dr(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int n = check_access(cpu, (unsigned int)op->aux_value);
	uint64_t value = n == 6 ? cpu->dr6 : n == 7 ? cpu->dr7 : cpu->dr[n];

	cpu->gpr[op->reg] = soft_in_64bit(cpu) ? value : (uint32_t)value;
}

static void op_write_dr(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int n = check_access(cpu, (unsigned int)op->aux_value);
	uint64_t value = cpu->gpr[op->reg];

	if (!soft_in_64bit(cpu)) {
		value = (uint32_t)value;
	}
	if (n >= 6 && value >> 32) {
		soft_raise_gp(cpu);
	}
	if (n == 6) {
		cpu->dr6 = (value & DR6_WRITABLE) | DR6_FIXED;
	} else if (n == 7) {
		cpu->dr7 = (value & DR7_WRITABLE) | DR7_FIXED;
		soft_select_tlb(cpu);
	} else {
		cpu->dr[n] = value;
	}
}

bool soft_bind_debug(const struct soft_insn *insn, struct soft_op *op)
{
	ZydisRegister to = insn->operands[0].reg.value;
	ZydisRegister from = insn->operands[1].reg.value;

	if (insn->zydis.mnemonic != ZYDIS_MNEMONIC_MOV ||
	    insn->operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    insn->operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return false;
	}
	if (to >= ZYDIS_REGISTER_DR0 && to <= ZYDIS_REGISTER_DR15) {
		op->aux_value = to - ZYDIS_REGISTER_DR0;
		op->reg = soft_insn_gpr(from);
		op->fn = op_write_dr;
	} else if (from >= ZYDIS_REGISTER_DR0 && from <= ZYDIS_REGISTER_DR15) {
		op->aux_value = from - ZYDIS_REGISTER_DR0;
		op->reg = soft_insn_gpr(to);
		op->fn = op_read_dr;
	} else {
		return false;
	}
	op->ends_block = true;
	return true;
}
