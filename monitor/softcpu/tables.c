/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on descriptor tables and descriptors: LGDT, LIDT, LLDT, LTR and their stores;
 * LAR, LSL, VERR, VERW, ARPL. Intel SDM vol. 2, their pages; vol. 3, 2.4, 5.10 and, for UMIP,
 * 2.5.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

void soft_check_umip(struct softcpu *cpu)
{
	if ((cpu->cr4 & CR4_UMIP) && cpu->cpl > 0) {
		soft_raise_gp(cpu);
	}
}

/* These know only protected mode's meaning of a selector. */
static void require_selectors(struct softcpu *cpu)
{
	if (!cpu->protected_mode || cpu->v8086) {
		soft_raise(cpu, SOFT_UD);
	}
}

static uint16_t read_rm16(struct softcpu *cpu, const struct soft_op *op, uint8_t reg)
{
	return op->has_mem ? soft_read_u16(cpu, op->seg, soft_ea(cpu, op)) :
			     (uint16_t)cpu->gpr[reg];
}

/* ------- GDTR and IDTR ------- */

static void op_store_table(struct softcpu *cpu, const struct soft_op *op)
{
	const struct cpu_table *table = op->aux_value ? &cpu->idt : &cpu->gdt;
	uint8_t bytes[10];

	soft_check_umip(cpu);
	store_le16(bytes, table->limit);
	store_le64(bytes + 2, table->base);
	soft_write_bytes(cpu, op->seg, soft_ea(cpu, op), bytes, soft_in_64bit(cpu) ? 10 : 6);
}

static void op_load_table(struct softcpu *cpu, const struct soft_op *op)
{
	struct cpu_table *table = op->aux_value ? &cpu->idt : &cpu->gdt;
	uint8_t bytes[10];
	uint64_t base;

	soft_require_cpl0(cpu);
	soft_read_bytes(cpu, op->seg, soft_ea(cpu, op), bytes, soft_in_64bit(cpu) ? 10 : 6);
	if (soft_in_64bit(cpu)) {
		base = load_le64(bytes + 2);
		if (!soft_canonical(base)) {
			soft_raise_gp(cpu);
		}
	} else {
		base = load_le32(bytes + 2);
		if (op->opsize == 2) {
			base &= 0xffffff;
		}
	}
	table->limit = load_le16(bytes);
	table->base = base;
}

/* ------- LDTR and TR ------- */

static void op_store_selector(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = op->aux_value ? cpu->tr.selector : cpu->ldt.selector;

	require_selectors(cpu);
	soft_check_umip(cpu);
	if (op->has_mem) {
		soft_write_u16(cpu, op->seg, soft_ea(cpu, op), selector);
	} else {
		cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], selector, op->opsize);
	}
}

static void op_lldt(struct softcpu *cpu, const struct soft_op *op)
{
	require_selectors(cpu);
	soft_require_cpl0(cpu);
	soft_load_ldt(cpu, read_rm16(cpu, op, op->reg), SOFT_GP);
}

static void op_ltr(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_descriptor desc;
	unsigned int type;
	uint16_t selector;

	require_selectors(cpu);
	soft_require_cpl0(cpu);
	selector = read_rm16(cpu, op, op->reg);
	if (SELECTOR_NULL(selector)) {
		soft_raise_gp(cpu);
	}
	if (selector & SELECTOR_TI) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, &desc);
	type = desc.attr & (CPU_SEG_S | 0xf);
	if (type != TYPE_TSS32 && (cpu->long_mode || type != TYPE_TSS16)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	if (!soft_extend_descriptor(cpu, &desc)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	soft_set_busy(cpu, &desc, true);
	cpu->tr = soft_segment(&desc, selector);
}

/* ------- questions about a selector: answered in ZF ------- */

/* Bit n: LAR and LSL know system type n. */
#define LAR_TYPES (BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(9) | BIT(11) | BIT(12))
#define LAR_TYPES_LONG (BIT(2) | BIT(9) | BIT(11) | BIT(12))
#define LSL_TYPES (BIT(1) | BIT(2) | BIT(3) | BIT(9) | BIT(11))
#define LSL_TYPES_LONG (BIT(2) | BIT(9) | BIT(11))

/* Whether @selector names something visible from here; @types: system types that count. */
static bool visible(struct softcpu *cpu, uint16_t selector, uint64_t types,
		    struct soft_descriptor *ret)
{
	if (SELECTOR_NULL(selector) || !soft_find_descriptor(cpu, selector, ret)) {
		return false;
	}
	if (!(ret->attr & CPU_SEG_S) && !(types & BIT(ret->attr & 0xf))) {
		return false;
	}
	if ((ret->attr & CPU_SEG_S) && soft_is_conforming(ret->attr)) {
		return true;
	}
	return soft_dpl(ret->attr) >= cpu->cpl && soft_dpl(ret->attr) >= SELECTOR_RPL(selector);
}

static void set_zf(struct softcpu *cpu, bool on)
{
	cpu->rflags = on ? cpu->rflags | FLAG_ZF : cpu->rflags & ~(uint64_t)FLAG_ZF;
}

static void op_lar(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_descriptor desc;
	uint16_t selector;
	bool found;

	require_selectors(cpu);
	selector = read_rm16(cpu, op, op->rm);
	found = visible(cpu, selector, cpu->long_mode ? LAR_TYPES_LONG : LAR_TYPES, &desc);
	if (found) {
		cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], (desc.raw >> 32) & 0x00f0ff00,
					       op->opsize);
	}
	set_zf(cpu, found);
}

static void op_lsl(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_descriptor desc;
	uint16_t selector;
	bool found;

	require_selectors(cpu);
	selector = read_rm16(cpu, op, op->rm);
	found = visible(cpu, selector, cpu->long_mode ? LSL_TYPES_LONG : LSL_TYPES, &desc);
	if (found) {
		cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], desc.limit, op->opsize);
	}
	set_zf(cpu, found);
}

static void op_verr(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_descriptor desc;

	require_selectors(cpu);
	set_zf(cpu, visible(cpu, read_rm16(cpu, op, op->reg), 0, &desc) &&
			    soft_is_data_or_readable(desc.attr));
}

static void op_verw(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_descriptor desc;

	require_selectors(cpu);
	set_zf(cpu, visible(cpu, read_rm16(cpu, op, op->reg), 0, &desc) &&
			    soft_is_writable_data(desc.attr));
}

/* The register operand is the second one, so rm where the first is a register too. */
static void op_arpl(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = op->has_mem ? soft_ea(cpu, op) : 0;
	uint16_t rpl = cpu->gpr[op->has_mem ? op->reg : op->rm] & 3;
	uint16_t selector;
	bool raise;

	require_selectors(cpu);
	if (op->has_mem) {
		soft_check_write(cpu, op->seg, ea, 2);
	}
	selector = read_rm16(cpu, op, op->reg);
	raise = SELECTOR_RPL(selector) < rpl;
	if (raise) {
		selector = (uint16_t)((selector & ~3u) | rpl);
		if (op->has_mem) {
			soft_write_u16(cpu, op->seg, ea, selector);
		} else {
			cpu->gpr[op->reg] = soft_merge(cpu->gpr[op->reg], selector, 2);
		}
	}
	set_zf(cpu, raise);
}

bool soft_bind_tables(const struct soft_insn *insn, struct soft_op *op)
{
	op->ends_block = true;
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_SGDT:
	case ZYDIS_MNEMONIC_SIDT:
		op->aux_value = insn->zydis.mnemonic == ZYDIS_MNEMONIC_SIDT;
		op->fn = op_store_table;
		return true;
	case ZYDIS_MNEMONIC_LGDT:
	case ZYDIS_MNEMONIC_LIDT:
		op->aux_value = insn->zydis.mnemonic == ZYDIS_MNEMONIC_LIDT;
		op->fn = op_load_table;
		return true;
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_STR:
		op->aux_value = insn->zydis.mnemonic == ZYDIS_MNEMONIC_STR;
		op->fn = op_store_selector;
		return true;
	case ZYDIS_MNEMONIC_LLDT: op->fn = op_lldt; return true;
	case ZYDIS_MNEMONIC_LTR: op->fn = op_ltr; return true;
	case ZYDIS_MNEMONIC_LAR: op->fn = op_lar; return true;
	case ZYDIS_MNEMONIC_LSL: op->fn = op_lsl; return true;
	case ZYDIS_MNEMONIC_VERR: op->fn = op_verr; return true;
	case ZYDIS_MNEMONIC_VERW: op->fn = op_verw; return true;
	case ZYDIS_MNEMONIC_ARPL: op->fn = op_arpl; return true;
	default:
		op->ends_block = false;
		return false;
	}
}
