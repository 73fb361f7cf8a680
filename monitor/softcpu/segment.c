/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment registers and what follows from them: the mode in which code runs and its privilege
 * level. Intel SDM vol. 3, 3.4 and 5.5 to 5.8; the instruction pages of MOV and LLDT.
 *
 * CPL is kept as the DPL of SS, as VT-x does (SDM vol. 3, 25.4.1): it stays right when CS is
 * conforming, when SS is null in 64-bit mode, and between MOV CR0 and the first far jump.
 *
 * In real mode a load changes selector and base and leaves the limit ("unreal mode" depends on it).
 */

#include "softcpu/system.h"

#include "softcpu/mmu.h"

void soft_update_mode(struct softcpu *cpu)
{
	uint32_t cs = cpu->seg[CPU_CS].attr;

	cpu->protected_mode = cpu->cr0 & CR0_PE;
	cpu->v8086 = cpu->protected_mode && (cpu->rflags & FLAG_VM);
	cpu->long_mode = cpu->efer & EFER_LMA;
	if (!cpu->protected_mode) {
		cpu->cpl = 0;
	} else if (cpu->v8086) {
		cpu->cpl = 3;
	} else {
		cpu->cpl = (uint8_t)soft_dpl(cpu->seg[CPU_SS].attr);
	}
	if (cpu->long_mode && (cs & CPU_SEG_L)) {
		cpu->mode = SOFT_MODE_64;
	} else {
		cpu->mode = cs & CPU_SEG_DB ? SOFT_MODE_32 : SOFT_MODE_16;
	}
	soft_select_tlb(cpu);
}

struct cpu_segment soft_null_segment(uint16_t selector, unsigned int dpl)
{
	return (struct cpu_segment){
		.attr = (uint32_t)CPU_SEG_UNUSABLE | dpl << 5,
		.selector = selector,
	};
}

void soft_real_segment(struct softcpu *cpu, enum cpu_seg seg, uint16_t selector)
{
	struct cpu_segment *s = &cpu->seg[seg];

	if (cpu->v8086) {
		s->limit = 0xffff;
		s->attr = 0xf3;
	} else {
		if (s->attr & CPU_SEG_UNUSABLE) {
			s->limit = 0xffff;
			s->attr = 0;
		}
		s->attr = (s->attr & (CPU_SEG_DB | CPU_SEG_G)) | (seg == CPU_CS ? 0x9b : 0x93);
	}
	s->selector = selector;
	s->base = (uint32_t)selector << 4;
}

void soft_set_cpl(struct softcpu *cpu, unsigned int cpl)
{
	struct cpu_segment *ss = &cpu->seg[CPU_SS];

	ss->attr = (ss->attr & ~UINT32_C(0x60)) | cpl << 5;
}

void soft_set_code(struct softcpu *cpu, const struct cpu_segment *cs, unsigned int cpl)
{
	cpu->seg[CPU_CS] = *cs;
	cpu->seg[CPU_CS].selector = (uint16_t)((cs->selector & ~3u) | cpl);
	soft_set_cpl(cpu, cpl);
	soft_update_mode(cpu);
}

void soft_check_target(struct softcpu *cpu, const struct cpu_segment *cs, uint64_t offset)
{
	bool wide = cpu->long_mode && (cs->attr & CPU_SEG_L);

	if (wide ? !soft_canonical(offset) : offset > cs->limit) {
		soft_raise_gp(cpu);
	}
}

static void load_stack_segment(struct softcpu *cpu, uint16_t selector)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		if (!soft_in_64bit(cpu) || cpu->cpl == 3 || SELECTOR_RPL(selector) != cpu->cpl) {
			soft_raise_gp(cpu);
		}
		cpu->seg[CPU_SS] = soft_null_segment(selector, cpu->cpl);
		return;
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, &desc);
	if (SELECTOR_RPL(selector) != cpu->cpl || soft_dpl(desc.attr) != cpu->cpl ||
	    !soft_is_writable_data(desc.attr)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_SS, selector);
	}
	soft_mark_accessed(cpu, &desc);
	cpu->seg[CPU_SS] = soft_segment(&desc, selector);
}

static void load_data_segment(struct softcpu *cpu, enum cpu_seg seg, uint16_t selector)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		cpu->seg[seg] = soft_null_segment(selector, 0);
		return;
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, &desc);
	if (!soft_is_data_or_readable(desc.attr) ||
	    (!soft_is_conforming(desc.attr) &&
	     MAX(SELECTOR_RPL(selector), (unsigned int)cpu->cpl) > soft_dpl(desc.attr))) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	soft_mark_accessed(cpu, &desc);
	cpu->seg[seg] = soft_segment(&desc, selector);
}

void soft_load_segment(struct softcpu *cpu, enum cpu_seg seg, uint16_t selector)
{
	if (!cpu->protected_mode || cpu->v8086) {
		soft_real_segment(cpu, seg, selector);
	} else if (seg == CPU_SS) {
		load_stack_segment(cpu, selector);
	} else {
		load_data_segment(cpu, seg, selector);
	}
}

void soft_drop_inner_segments(struct softcpu *cpu)
{
	static const enum cpu_seg data[] = { CPU_ES, CPU_DS, CPU_FS, CPU_GS };

	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
		struct cpu_segment *seg = &cpu->seg[data[i]];

		if (!(seg->attr & CPU_SEG_UNUSABLE) && !soft_is_conforming(seg->attr) &&
		    soft_dpl(seg->attr) < cpu->cpl) {
			*seg = soft_null_segment(0, 0);
		}
	}
}

void soft_load_ldt(struct softcpu *cpu, uint16_t selector, enum soft_vector vector)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		cpu->ldt = soft_null_segment(selector, 0);
		return;
	}
	if (selector & SELECTOR_TI) {
		soft_raise_selector(cpu, vector, selector);
	}
	soft_fetch_descriptor(cpu, selector, vector, &desc);
	if ((desc.attr & (CPU_SEG_S | 0xf)) != TYPE_LDT) {
		soft_raise_selector(cpu, vector, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		/* LLDT: #NP; a task switch: #TS, as for everything that is wrong with an LDT. */
		soft_raise_selector(cpu, vector == SOFT_TS ? SOFT_TS : SOFT_NP, selector);
	}
	if (!soft_extend_descriptor(cpu, &desc)) {
		soft_raise_selector(cpu, vector, selector);
	}
	cpu->ldt = soft_segment(&desc, selector);
}
