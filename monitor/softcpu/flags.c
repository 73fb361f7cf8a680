/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system flags of RFLAGS: CLI and STI with virtual interrupts, STAC and CLAC, and what follows
 * when such a flag changes. Intel SDM vol. 3, 2.3, 6.8.1, 21.3 and 21.4.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

#include "softcpu/mmu.h"

void soft_set_rflags(struct softcpu *cpu, uint64_t value)
{
	uint64_t changed = cpu->rflags ^ value;

	cpu->rflags = value;
	if (changed & (FLAG_AC | FLAG_VM)) {
		soft_update_mode(cpu);
	}
}

void soft_check_virtual_interrupt(struct softcpu *cpu)
{
	uint64_t both = FLAG_VIF | FLAG_VIP;
	bool enabled = cpu->v8086 ? cpu->cr4 & CR4_VME : cpu->cpl == 3 && (cpu->cr4 & CR4_PVI);

	if (enabled && (cpu->rflags & both) == both) {
		/* The fault is that of the next instruction (SDM vol. 3, 21.3.3.2). */
		cpu->rip = cpu->next_rip;
		soft_raise_gp(cpu);
	}
}

/* Whether CLI and STI act on VIF here; raises #GP where they act on neither. */
static bool uses_virtual_flag(struct softcpu *cpu)
{
	if (!cpu->protected_mode || soft_iopl(cpu) >= cpu->cpl) {
		return false;
	}
	if (cpu->v8086 ? !(cpu->cr4 & CR4_VME) : cpu->cpl != 3 || !(cpu->cr4 & CR4_PVI)) {
		soft_raise_gp(cpu);
	}
	return true;
}

static void op_cli(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	cpu->rflags &= ~(uint64_t)(uses_virtual_flag(cpu) ? FLAG_VIF : FLAG_IF);
}

static void op_sti(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	if (uses_virtual_flag(cpu)) {
		if (cpu->rflags & FLAG_VIP) {
			soft_raise_gp(cpu);
		}
		cpu->rflags |= FLAG_VIF;
	} else if (!(cpu->rflags & FLAG_IF)) {
		cpu->rflags |= FLAG_IF;
		cpu->interrupt_shadow = true;
	}
}

/* SDM vol. 2, CLAC and STAC: #UD above CPL 0 and without SMAP. */
static void op_clac_stac(struct softcpu *cpu, const struct soft_op *op)
{
	if (cpu->cpl != 0 || !cpu->protected_mode) {
		soft_raise(cpu, SOFT_UD);
	}
	if (op->aux_value) {
		soft_set_rflags(cpu, cpu->rflags | FLAG_AC);
	} else {
		soft_set_rflags(cpu, cpu->rflags & ~(uint64_t)FLAG_AC);
	}
}

bool soft_bind_flags(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_CLI: op->fn = op_cli; break;
	case ZYDIS_MNEMONIC_STI: op->fn = op_sti; break;
	case ZYDIS_MNEMONIC_CLAC:
	case ZYDIS_MNEMONIC_STAC:
		if (!soft_has(cpu, 7, 1, 20)) {
			return false;
		}
		op->aux_value = insn->zydis.mnemonic == ZYDIS_MNEMONIC_STAC;
		op->fn = op_clac_stac;
		break;
	default:
		return false;
	}
	op->ends_block = true;
	return true;
}
