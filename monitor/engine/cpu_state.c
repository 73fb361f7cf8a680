/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The neutral CPU state: how it is saved, and what it is after power-on.
 *
 * Power-on values: Intel SDM vol. 3, 10.1.1 and table 10-1. The local APIC's: 11.4.7.1; but the
 * BSP's LINT0 is in ExtINT mode and LINT1 in NMI mode, the "virtual wire" that the MultiProcessor
 * Specification (3.6.2) has the board's firmware set up: machines that boot a kernel directly
 * have no firmware that could.
 *
 * A loaded state is checked for what engines rely on; whether a register's value makes sense is the
 * engine's to find out, which refuses what its CPU would.
 */

#include "engine/cpu_state.h"

#include "base/clock.h"
#include "engine/msr.h"

/* Offsets within the local APIC's page, SDM vol. 3, table 11-1. */
enum {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_DFR = 0xe0,
	LAPIC_SVR = 0xf0,
	LAPIC_LVT_CMCI = 0x2f0,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
};

#define LAPIC_VERSION_VALUE 0x00050014 /* integrated APIC with six LVT entries */
#define LAPIC_LVT_MASKED 0x10000
#define LAPIC_LVT_NMI 0x400
#define LAPIC_LVT_EXTINT 0x700

/* Offsets within the XSAVE image, SDM vol. 1, tables 10-2 and 13-1. */
enum {
	XSAVE_FCW = 0,
	XSAVE_FTW = 4,
	XSAVE_MXCSR = 24,
	XSAVE_XSTATE_BV = 512,
};

/* SDM vol. 1, 13.4.1: bits that a loaded image may set are those of XCR0; x87 is always enabled. */
#define XCR0_X87 BIT(0)

static const struct state_field segment_fields[] = {
	STATE_FIELD(struct cpu_segment, base),
	STATE_FIELD(struct cpu_segment, limit),
	STATE_FIELD(struct cpu_segment, attr),
	STATE_FIELD(struct cpu_segment, selector),
	STATE_FIELDS_END,
};

static const struct state_table segment_table = { .version = 1, .fields = segment_fields };

static const struct state_field table_fields[] = {
	STATE_FIELD(struct cpu_table, base),
	STATE_FIELD(struct cpu_table, limit),
	STATE_FIELDS_END,
};

static const struct state_table table_table = { .version = 1, .fields = table_fields };

static const struct state_field msr_fields[] = {
	STATE_FIELD(struct cpu_msr, index),
	STATE_FIELD(struct cpu_msr, value),
	STATE_FIELDS_END,
};

static const struct state_table msr_table = { .version = 1, .fields = msr_fields };

static int cpu_state_post_load(void *base, struct error *err)
{
	struct cpu_state *state = base;

	if (state->msr_count > CPU_MSR_MAX) {
		return error_set(err, EINVAL, "msr_count is %u, at most %d", state->msr_count,
				 CPU_MSR_MAX);
	}
	if (state->mp_state > CPU_MP_WAIT_SIPI) {
		return error_set(err, EINVAL, "mp_state is %u", state->mp_state);
	}
	if (state->exception_pending && state->exception_vector > 31) {
		return error_set(err, EINVAL, "exception_vector is %u", state->exception_vector);
	}
	if (!(state->rflags & BIT(1))) {
		return error_set(err, EINVAL, "rflags is 0x%llx without its constant bit",
				 (unsigned long long)state->rflags);
	}
	if (!(state->xcr0 & XCR0_X87)) {
		return error_set(err, EINVAL, "xcr0 is 0x%llx without x87",
				 (unsigned long long)state->xcr0);
	}
	return 0;
}

static const struct state_field cpu_state_fields[] = {
	STATE_FIELD_ARRAY(struct cpu_state, gpr),
	STATE_FIELD(struct cpu_state, rip),
	STATE_FIELD(struct cpu_state, rflags),
	STATE_FIELD_STRUCT(struct cpu_state, seg, CPU_SEG_COUNT, &segment_table),
	STATE_FIELD_STRUCT(struct cpu_state, ldt, 1, &segment_table),
	STATE_FIELD_STRUCT(struct cpu_state, tr, 1, &segment_table),
	STATE_FIELD_STRUCT(struct cpu_state, gdt, 1, &table_table),
	STATE_FIELD_STRUCT(struct cpu_state, idt, 1, &table_table),
	STATE_FIELD(struct cpu_state, cr0),
	STATE_FIELD(struct cpu_state, cr2),
	STATE_FIELD(struct cpu_state, cr3),
	STATE_FIELD(struct cpu_state, cr4),
	STATE_FIELD(struct cpu_state, cr8),
	STATE_FIELD(struct cpu_state, efer),
	STATE_FIELD(struct cpu_state, xcr0),
	STATE_FIELD_ARRAY(struct cpu_state, dr),
	STATE_FIELD(struct cpu_state, dr6),
	STATE_FIELD(struct cpu_state, dr7),
	STATE_FIELD(struct cpu_state, apic_base),
	STATE_FIELD(struct cpu_state, tsc),
	STATE_FIELD_BYTES(struct cpu_state, xsave),
	STATE_FIELD_STRUCT(struct cpu_state, msrs, CPU_MSR_MAX, &msr_table),
	STATE_FIELD(struct cpu_state, msr_count),
	STATE_FIELD(struct cpu_state, mp_state),
	STATE_FIELD(struct cpu_state, sipi_vector),
	STATE_FIELD_BOOL(struct cpu_state, exception_pending),
	STATE_FIELD(struct cpu_state, exception_vector),
	STATE_FIELD_BOOL(struct cpu_state, exception_has_error),
	STATE_FIELD(struct cpu_state, exception_error),
	STATE_FIELD_BOOL(struct cpu_state, interrupt_pending),
	STATE_FIELD(struct cpu_state, interrupt_vector),
	STATE_FIELD_BOOL(struct cpu_state, nmi_pending),
	STATE_FIELD_BOOL(struct cpu_state, nmi_masked),
	STATE_FIELD_BOOL(struct cpu_state, interrupt_shadow),
	STATE_FIELD_BYTES(struct cpu_state, lapic),
	STATE_FIELD(struct cpu_state, lapic_timer_deadline_ns),
	STATE_FIELDS_END,
};

const struct state_table cpu_state_table = {
	.version = 1,
	.fields = cpu_state_fields,
	.post_load = cpu_state_post_load,
};

static void reset_segments(struct cpu_state *state)
{
	/* Present, writable (CS: readable code), accessed; 64 KiB. */
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		state->seg[i] = (struct cpu_segment){ .limit = 0xffff, .attr = 0x93 };
	}
	state->seg[CPU_CS] = (struct cpu_segment){
		.base = 0xffff0000,
		.limit = 0xffff,
		.attr = 0x9b,
		.selector = 0xf000,
	};
	state->ldt = (struct cpu_segment){ .limit = 0xffff, .attr = 0x82 };
	state->tr = (struct cpu_segment){ .limit = 0xffff, .attr = 0x8b };
	state->gdt.limit = 0xffff;
	state->idt.limit = 0xffff;
}

static void reset_lapic(struct cpu_state *state, unsigned int index)
{
	uint8_t *page = state->lapic;

	store_le32(page + LAPIC_ID, index << 24);
	store_le32(page + LAPIC_VERSION, LAPIC_VERSION_VALUE);
	store_le32(page + LAPIC_DFR, 0xffffffff);
	store_le32(page + LAPIC_SVR, 0xff);
	for (unsigned int lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10) {
		store_le32(page + lvt, LAPIC_LVT_MASKED);
	}
	store_le32(page + LAPIC_LVT_CMCI, LAPIC_LVT_MASKED);
	if (index == 0) {
		store_le32(page + LAPIC_LVT_LINT0, LAPIC_LVT_EXTINT);
		store_le32(page + LAPIC_LVT_LINT1, LAPIC_LVT_NMI);
	}
	state->lapic_timer_deadline_ns = TIMER_NEVER;
	state->apic_base = APIC_BASE_RESET | APIC_BASE_ENABLE | (index == 0 ? APIC_BASE_BSP : 0);
}

void cpu_state_reset(struct cpu_state *state, unsigned int index, uint32_t family_model_stepping)
{
	memset(state, 0, sizeof(*state));
	state->gpr[CPU_RDX] = family_model_stepping;
	state->rip = 0xfff0;
	state->rflags = BIT(1);
	state->cr0 = 0x60000010;
	state->xcr0 = XCR0_X87;
	state->dr6 = 0xffff0ff0;
	state->dr7 = 0x400;
	reset_segments(state);

	store_le16(state->xsave + XSAVE_FCW, 0x40);
	state->xsave[XSAVE_FTW] = 0xff;
	store_le32(state->xsave + XSAVE_MXCSR, 0x1f80);
	store_le64(state->xsave + XSAVE_XSTATE_BV, 3);

	for (size_t i = 0; i < msr_saved_count; i++) {
		state->msrs[i].index = msr_saved[i].index;
		state->msrs[i].value = msr_saved[i].reset;
	}
	state->msr_count = (uint32_t)msr_saved_count;
	state->mp_state = index == 0 ? CPU_MP_RUNNING : CPU_MP_WAIT_INIT;
	reset_lapic(state, index);
}
