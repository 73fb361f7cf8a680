/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hardware task switches between 16- and 32-bit task state segments. Intel SDM vol. 3, chapter 8;
 * long mode has none.
 *
 * Until the new task register is loaded a fault is the old task's and nothing has changed but words
 * in the old TSS, which the next attempt writes again. From there on faults belong to the new task:
 * its registers are in place and rip is its EIP (8.3, table 8-1 and what follows it).
 */

#include "softcpu/system.h"

#include "softcpu/mmu.h"

/* SDM vol. 3, figures 8-2 and 8-10; registers follow each other in the order of cpu_gpr. */
struct tss_layout {
	uint8_t rip;
	uint8_t flags;
	uint8_t gpr;
	uint8_t seg;
	uint8_t ldt;
	uint8_t size; /* of a field */
	uint8_t segs;
	uint8_t seg_step;
	uint8_t min_limit;
};

static const struct tss_layout layout16 = {
	.rip = 0x0e, .flags = 0x10, .gpr = 0x12, .seg = 0x22, .ldt = 0x2a,
	.size = 2, .segs = 4, .seg_step = 2, .min_limit = 0x2b,
};

static const struct tss_layout layout32 = {
	.rip = 0x20, .flags = 0x24, .gpr = 0x28, .seg = 0x48, .ldt = 0x60,
	.size = 4, .segs = 6, .seg_step = 4, .min_limit = 0x67,
};

#define TSS32_CR3 0x1c
#define TSS32_TRAP 0x64
#define TSS_GPRS 8

/** struct tss_image - what is loaded of a TSS. */
struct tss_image {
	uint64_t rip;
	uint64_t flags;
	uint64_t gpr[TSS_GPRS];
	uint64_t cr3;
	uint16_t seg[CPU_SEG_COUNT];
	uint16_t ldt;
	bool trap;
};

static const struct tss_layout *layout_of(uint32_t attr)
{
	return attr & 8 ? &layout32 : &layout16;
}

static uint64_t read_field(struct softcpu *cpu, gva_t base, unsigned int offset, unsigned int size)
{
	return soft_linear_read(cpu, (uint32_t)(base + offset), size);
}

static void write_field(struct softcpu *cpu, gva_t base, unsigned int offset, uint64_t value,
			unsigned int size)
{
	soft_linear_write(cpu, (uint32_t)(base + offset), value, size);
}

static void read_image(struct softcpu *cpu, gva_t base, const struct tss_layout *layout,
		       struct tss_image *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->rip = read_field(cpu, base, layout->rip, layout->size);
	ret->flags = read_field(cpu, base, layout->flags, layout->size);
	for (unsigned int i = 0; i < TSS_GPRS; i++) {
		ret->gpr[i] = read_field(cpu, base, layout->gpr + i * layout->size, layout->size);
	}
	for (unsigned int i = 0; i < layout->segs; i++) {
		unsigned int offset = layout->seg + i * layout->seg_step;

		ret->seg[i] = (uint16_t)read_field(cpu, base, offset, 2);
	}
	ret->ldt = (uint16_t)read_field(cpu, base, layout->ldt, 2);
	if (layout == &layout32) {
		ret->cr3 = read_field(cpu, base, TSS32_CR3, 4);
		ret->trap = read_field(cpu, base, TSS32_TRAP, 1) & 1;
	}
}

static void save_old(struct softcpu *cpu, enum soft_task_reason reason)
{
	const struct tss_layout *layout = layout_of(cpu->tr.attr);
	uint64_t flags = cpu->rflags;
	gva_t base = cpu->tr.base;

	if (reason == TASK_IRET) {
		flags &= ~(uint64_t)FLAG_NT;
	}
	write_field(cpu, base, layout->rip, cpu->next_rip, layout->size);
	write_field(cpu, base, layout->flags, flags, layout->size);
	for (unsigned int i = 0; i < TSS_GPRS; i++) {
		write_field(cpu, base, layout->gpr + i * layout->size, cpu->gpr[i], layout->size);
	}
	for (unsigned int i = 0; i < layout->segs; i++) {
		write_field(cpu, base, layout->seg + i * layout->seg_step, cpu->seg[i].selector, 2);
	}
}

static void fetch_tss(struct softcpu *cpu, uint16_t selector, enum soft_task_reason reason,
		      struct soft_descriptor *ret)
{
	enum soft_vector fault = reason == TASK_IRET ? SOFT_TS : SOFT_GP;
	uint32_t busy = reason == TASK_IRET ? TYPE_BUSY : 0;

	if (selector & SELECTOR_TI) {
		soft_raise_selector(cpu, fault, selector);
	}
	soft_fetch_descriptor(cpu, selector, fault, ret);
	/* Types 1, 3, 9 and 11 with the busy bit as it must be. */
	if ((ret->attr & (CPU_SEG_S | 5)) != 1 || (ret->attr & TYPE_BUSY) != busy ||
	    SELECTOR_NULL(selector)) {
		soft_raise_selector(cpu, fault, selector);
	}
	if (!(ret->attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	if (ret->limit < layout_of(ret->attr)->min_limit) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
}

static void load_code(struct softcpu *cpu, uint16_t selector)
{
	unsigned int rpl = SELECTOR_RPL(selector);
	struct soft_descriptor desc;
	struct cpu_segment cs;

	if (SELECTOR_NULL(selector)) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_TS, &desc);
	if (!soft_is_code(desc.attr) || (soft_is_conforming(desc.attr) ?
						 soft_dpl(desc.attr) > rpl :
						 soft_dpl(desc.attr) != rpl)) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	soft_mark_accessed(cpu, &desc);
	cs = soft_segment(&desc, selector);
	soft_set_code(cpu, &cs, rpl);
}

static void load_stack(struct softcpu *cpu, uint16_t selector)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_TS, &desc);
	if (SELECTOR_RPL(selector) != cpu->cpl || soft_dpl(desc.attr) != cpu->cpl ||
	    !soft_is_writable_data(desc.attr)) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_SS, selector);
	}
	soft_mark_accessed(cpu, &desc);
	cpu->seg[CPU_SS] = soft_segment(&desc, selector);
}

static void load_data(struct softcpu *cpu, enum cpu_seg seg, uint16_t selector)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		return;
	}
	soft_fetch_descriptor(cpu, selector, SOFT_TS, &desc);
	if (!soft_is_data_or_readable(desc.attr) ||
	    (!soft_is_conforming(desc.attr) && (soft_dpl(desc.attr) < SELECTOR_RPL(selector) ||
						soft_dpl(desc.attr) < cpu->cpl))) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	soft_mark_accessed(cpu, &desc);
	cpu->seg[seg] = soft_segment(&desc, selector);
}

/* The descriptors of the new task, which is current already. */
static void load_segments(struct softcpu *cpu, const struct tss_image *image)
{
	cpu->ldt = soft_null_segment(image->ldt, 0);
	soft_load_ldt(cpu, image->ldt, SOFT_TS);
	if (cpu->v8086) {
		for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
			soft_real_segment(cpu, (enum cpu_seg)i, image->seg[i]);
		}
		soft_update_mode(cpu);
		return;
	}
	load_code(cpu, image->seg[CPU_CS]);
	load_stack(cpu, image->seg[CPU_SS]);
	load_data(cpu, CPU_ES, image->seg[CPU_ES]);
	load_data(cpu, CPU_DS, image->seg[CPU_DS]);
	load_data(cpu, CPU_FS, image->seg[CPU_FS]);
	load_data(cpu, CPU_GS, image->seg[CPU_GS]);
}

static void load_registers(struct softcpu *cpu, const struct tss_image *image, bool nested)
{
	unsigned int cpl = SELECTOR_RPL(image->seg[CPU_CS]);

	cpu->cr0 |= CR0_TS;
	cpu->dr7 &= ~(uint64_t)DR7_LOCAL;
	cpu->rip = image->rip;
	cpu->next_rip = image->rip;
	soft_set_rflags(cpu, (image->flags & FLAGS_DEFINED) | 2 | (nested ? FLAG_NT : 0));
	for (unsigned int i = 0; i < TSS_GPRS; i++) {
		cpu->gpr[i] = image->gpr[i];
	}
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		cpu->seg[i] = soft_null_segment(image->seg[i], cpl);
	}
	soft_update_mode(cpu);
}

static void switch_task(struct softcpu *cpu, struct soft_descriptor *tss,
			enum soft_task_reason reason)
{
	const struct tss_layout *layout = layout_of(tss->attr);
	bool nested = reason == TASK_CALL || reason == TASK_INTERRUPT;
	struct soft_descriptor old;
	struct tss_image image;

	read_image(cpu, tss->base, layout, &image);
	save_old(cpu, reason);
	if (nested) {
		write_field(cpu, tss->base, 0, cpu->tr.selector, 2);
	} else if (soft_find_descriptor(cpu, cpu->tr.selector, &old)) {
		soft_set_busy(cpu, &old, false);
	}
	if (reason != TASK_IRET) {
		soft_set_busy(cpu, tss, true);
	}

	cpu->tr = soft_segment(tss, tss->selector);
	cpu->tr.attr |= TYPE_BUSY;
	load_registers(cpu, &image, nested);
	if (layout == &layout32 && (cpu->cr0 & CR0_PG)) {
		soft_set_cr3(cpu, image.cr3);
	}
	load_segments(cpu, &image);
	soft_check_target(cpu, &cpu->seg[CPU_CS], image.rip);
	if (image.trap) {
		soft_debug_trap(cpu, DR6_BT);
	}
	soft_check_virtual_interrupt(cpu);
}

void soft_task_switch(struct softcpu *cpu, uint16_t selector, enum soft_task_reason reason)
{
	struct soft_descriptor tss;

	fetch_tss(cpu, selector, reason, &tss);
	switch_task(cpu, &tss, reason);
}

void soft_task_gate(struct softcpu *cpu, const struct soft_descriptor *gate,
		    enum soft_task_reason reason)
{
	soft_task_switch(cpu, (uint16_t)(gate->raw >> 16), reason);
}
