/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control registers: what may be set in them, and what follows. Intel SDM vol. 3, 2.5, 4.1.2
 * and 9.8; vol. 2, MOV CR, LMSW, SMSW, CLTS.
 *
 * CR4 bits of features that the model lacks are reserved. PCIDs are accepted where the model has
 * them, but the TLB does not keep them apart: each load of CR3 flushes, which the manual allows.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

#include "softcpu/mmu.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
#define CR3_NO_FLUSH BIT(63)

bool soft_has(const struct softcpu *cpu, uint32_t leaf, unsigned int reg, unsigned int bit)
{
	return cpu_model_has(cpu->model, leaf, 0, reg, bit);
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

static bool cr0_allowed(const struct softcpu *cpu, uint64_t value)
{
	bool enables_paging = (value & CR0_PG) && !(cpu->cr0 & CR0_PG);
	bool disables_paging = !(value & CR0_PG) && (cpu->cr0 & CR0_PG);

	if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
	    ((value & CR0_NW) && !(value & CR0_CD))) {
		return false;
	}
	if (enables_paging && (cpu->efer & EFER_LME) &&
	    (!(cpu->cr4 & CR4_PAE) || (cpu->seg[CPU_CS].attr & CPU_SEG_L))) {
		return false;
	}
	return !disables_paging || (!soft_in_64bit(cpu) && !(cpu->cr4 & CR4_PCIDE));
}

void soft_set_cr0(struct softcpu *cpu, uint64_t value)
{
	uint64_t changed;
	uint64_t efer = cpu->efer;

	if (!cr0_allowed(cpu, value)) {
		soft_raise_gp(cpu);
	}
	value = (value & CR0_DEFINED) | CR0_ET;
	changed = cpu->cr0 ^ value;
	if (efer & EFER_LME) {
		efer = value & CR0_PG ? efer | EFER_LMA : efer & ~EFER_LMA;
	}
	if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && pae_paging(value, cpu->cr4, efer) &&
	    !soft_load_pdptes(cpu, cpu->cr3)) {
		soft_raise_gp(cpu);
	}
	cpu->cr0 = value;
	cpu->efer = efer;
	if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
		soft_flush_tlb(cpu, true);
	}
	soft_update_mode(cpu);
}

void soft_set_cr3(struct softcpu *cpu, uint64_t value)
{
	if (cpu->long_mode) {
		uint64_t reserved = ~(BIT(cpu->model->phys_bits) - 1);

		if (cpu->cr4 & CR4_PCIDE) {
			value &= ~CR3_NO_FLUSH;
		}
		if (value & reserved) {
			soft_raise_gp(cpu);
		}
	} else {
		value = (uint32_t)value;
	}
	soft_flush_tlb(cpu, false);
	if (pae_paging(cpu->cr0, cpu->cr4, cpu->efer) && !soft_load_pdptes(cpu, value)) {
		soft_raise_gp(cpu);
	}
	cpu->cr3 = value;
}

/* Which bits of CR4 exist depends on features: register 1 is EBX, 2 ECX, 3 EDX. */
uint64_t soft_cr4_bits(const struct softcpu *cpu)
{
	static const struct {
		uint64_t bit;
		uint32_t leaf;
		uint8_t reg;
		uint8_t feature;
	} table[] = {
		{ CR4_VME | CR4_PVI, 1, 3, 1 }, { CR4_DE, 1, 3, 2 },
		{ CR4_PSE, 1, 3, 3 },		{ CR4_TSD, 1, 3, 4 },
		{ CR4_PAE, 1, 3, 6 },		{ CR4_MCE, 1, 3, 7 },
		{ CR4_PGE, 1, 3, 13 },		{ CR4_OSFXSR, 1, 3, 24 },
		{ CR4_OSXMMEXCPT, 1, 3, 25 },	{ CR4_UMIP, 7, 2, 2 },
		{ CR4_FSGSBASE, 7, 1, 0 },	{ CR4_PCIDE, 1, 2, 17 },
		{ CR4_OSXSAVE, 1, 2, 26 },	{ CR4_SMEP, 7, 1, 7 },
		{ CR4_SMAP, 7, 1, 20 },
	};
	uint64_t bits = CR4_PCE;

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		if (soft_has(cpu, table[i].leaf, table[i].reg, table[i].feature)) {
			bits |= table[i].bit;
		}
	}
	return bits;
}

void soft_set_cr4(struct softcpu *cpu, uint64_t value)
{
	uint64_t changed = cpu->cr4 ^ value;
	uint64_t flushing = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP;

	if ((value & ~soft_cr4_bits(cpu)) || (cpu->long_mode && !(value & CR4_PAE)) ||
	    ((changed & value & CR4_PCIDE) && (!cpu->long_mode || (cpu->cr3 & 0xfff)))) {
		soft_raise_gp(cpu);
	}
	if ((changed & flushing) && pae_paging(cpu->cr0, value, cpu->efer) &&
	    !soft_load_pdptes(cpu, cpu->cr3)) {
		soft_raise_gp(cpu);
	}
	cpu->cr4 = value;
	if ((changed & flushing) || (changed & ~value & CR4_PCIDE)) {
		soft_flush_tlb(cpu, true);
	}
	soft_update_mode(cpu);
}

uint64_t soft_efer_bits(const struct softcpu *cpu)
{
	uint64_t allowed = 0;

	allowed |= soft_has(cpu, 0x80000001, 3, 11) ? EFER_SCE : 0;
	allowed |= soft_has(cpu, 0x80000001, 3, 29) ? EFER_LME | EFER_LMA : 0;
	allowed |= soft_has(cpu, 0x80000001, 3, 20) ? EFER_NXE : 0;
	allowed |= soft_has(cpu, 0x80000001, 3, 25) ? EFER_FFXSR : 0;
	return allowed;
}

bool soft_set_efer(struct softcpu *cpu, uint64_t value)
{
	if ((value & ~soft_efer_bits(cpu)) ||
	    (((value ^ cpu->efer) & EFER_LME) && (cpu->cr0 & CR0_PG))) {
		return false;
	}
	/* LMA is the processor's; writes of it are ignored. */
	value = (value & ~EFER_LMA) | (cpu->efer & EFER_LMA);
	if ((value ^ cpu->efer) & EFER_NXE) {
		soft_flush_tlb(cpu, true);
	}
	cpu->efer = value;
	return true;
}

/* ------- instructions ------- */

static unsigned int width(const struct softcpu *cpu)
{
	return soft_in_64bit(cpu) ? 8 : 4;
}

static void op_read_cr(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = 0;

	soft_require_cpl0(cpu);
	switch (op->aux_value) {
	case 0: value = cpu->cr0; break;
	case 2: value = cpu->cr2; break;
	case 3: value = cpu->cr3; break;
	case 4: value = cpu->cr4; break;
	case 8: value = lapic_cr8(cpu->lapic); break;
	default: soft_raise(cpu, SOFT_UD);
	}
	cpu->gpr[op->reg] = soft_merge(0, value, width(cpu));
}

static void op_write_cr(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = soft_merge(0, cpu->gpr[op->reg], width(cpu));

	soft_require_cpl0(cpu);
	switch (op->aux_value) {
	case 0: soft_set_cr0(cpu, value); break;
	case 2: cpu->cr2 = value; break;
	case 3: soft_set_cr3(cpu, value); break;
	case 4: soft_set_cr4(cpu, value); break;
	case 8:
		if (value > 0xf) {
			soft_raise_gp(cpu);
		}
		lapic_set_cr8(cpu->lapic, (uint8_t)value);
		break;
	default: soft_raise(cpu, SOFT_UD);
	}
}

/* PE can be set but not cleared; only the low four bits are loaded. */
static void op_lmsw(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value;

	soft_require_cpl0(cpu);
	value = op->has_mem ? soft_read_u16(cpu, op->seg, soft_ea(cpu, op)) : cpu->gpr[op->reg];
	soft_set_cr0(cpu, (cpu->cr0 & ~UINT64_C(0xe)) | (value & 0xf));
}

static void op_smsw(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_umip(cpu);
	if (op->has_mem) {
		soft_write_u16(cpu, op->seg, soft_ea(cpu, op), (uint16_t)cpu->cr0);
	} else {
		cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], cpu->cr0, op->opsize);
	}
}

static void op_clts(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_require_cpl0(cpu);
	cpu->cr0 &= ~CR0_TS;
}

static bool bind_mov_cr(const struct soft_insn *insn, struct soft_op *op)
{
	ZydisRegister to = insn->operands[0].reg.value;
	ZydisRegister from = insn->operands[1].reg.value;

	if (insn->zydis.operand_count_visible != 2 ||
	    insn->operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    insn->operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return false;
	}
	if (to >= ZYDIS_REGISTER_CR0 && to <= ZYDIS_REGISTER_CR15) {
		op->aux_value = to - ZYDIS_REGISTER_CR0;
		op->reg = soft_insn_gpr(from);
		op->fn = op_write_cr;
	} else if (from >= ZYDIS_REGISTER_CR0 && from <= ZYDIS_REGISTER_CR15) {
		op->aux_value = from - ZYDIS_REGISTER_CR0;
		op->reg = soft_insn_gpr(to);
		op->fn = op_read_cr;
	} else {
		return false;
	}
	return true;
}

bool soft_bind_control_regs(const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (!bind_mov_cr(insn, op)) {
			return false;
		}
		break;
	case ZYDIS_MNEMONIC_LMSW: op->fn = op_lmsw; break;
	case ZYDIS_MNEMONIC_SMSW: op->fn = op_smsw; break;
	case ZYDIS_MNEMONIC_CLTS: op->fn = op_clts; break;
	default: return false;
	}
	op->ends_block = true;
	return true;
}
