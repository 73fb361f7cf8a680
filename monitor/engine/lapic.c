/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's registers and priorities: what its own CPU reads and writes, in xAPIC mode
 * through the page and in x2APIC mode through MSRs, and the way of an interrupt from IRR over
 * ISR to its EOI. Intel SDM vol. 3, 11.4 to 11.9 and 11.12.
 *
 * An interrupt arrives by setting a bit of IRR atomically and calling the CPU's signal(); there
 * is no lock on that way. ISR changes only on the CPU's own thread.
 *
 * The APIC ID is fixed, as on current processors. There is no CMCI entry and no APIC-internal
 * source of the thermal and performance entries, so these two are registers and no more; SMIs
 * are passed to the CPU, which ignores them.
 */

#include "engine/lapic.h"

#include "engine/lapic_internal.h"

/* Bits of each LVT entry that can be written, SDM vol. 3, figure 11-8. */
const uint32_t lapic_lvt_bits[LVT_COUNT] = {
	[LVT_TIMER] = 0x600ff | LVT_MASKED,
	[LVT_THERMAL] = 0x7ff | LVT_MASKED,
	[LVT_PERF] = 0x7ff | LVT_MASKED,
	[LVT_LINT0] = 0xa7ff | LVT_MASKED,
	[LVT_LINT1] = 0xa7ff | LVT_MASKED,
	[LVT_ERROR] = 0xff | LVT_MASKED,
};

int lapic_highest(_Atomic uint32_t *words)
{
	for (int i = LAPIC_WORDS - 1; i >= 0; i--) {
		uint32_t word = atomic_load_explicit(&words[i], memory_order_acquire);

		if (word) {
			return i * 32 + 31 - __builtin_clz(word);
		}
	}
	return -1;
}

static void vector_set(_Atomic uint32_t *words, uint8_t vector)
{
	atomic_fetch_or(&words[vector / 32], 1U << (vector % 32));
}

static void vector_clear(_Atomic uint32_t *words, uint8_t vector)
{
	atomic_fetch_and(&words[vector / 32], ~(1U << (vector % 32)));
}

static bool vector_test(_Atomic uint32_t *words, uint8_t vector)
{
	return atomic_load(&words[vector / 32]) & (1U << (vector % 32));
}

uint32_t lapic_ppr(struct lapic *lapic)
{
	uint32_t tpr = atomic_load_explicit(&lapic->tpr, memory_order_relaxed);
	int in_service = lapic_highest(lapic->isr);

	if (in_service < 0 || (tpr & 0xf0) >= ((uint32_t)in_service & 0xf0)) {
		return tpr;
	}
	return (uint32_t)in_service & 0xf0;
}

int lapic_pending(struct lapic *lapic)
{
	int vector = lapic_highest(lapic->irr);

	/* What has arrived stays deliverable when SVR.8 is cleared (SDM vol. 3, 11.4.7.2). */
	if (vector < 0 || !lapic_enabled(lapic) ||
	    ((uint32_t)vector & 0xf0) <= (lapic_ppr(lapic) & 0xf0)) {
		return -1;
	}
	return vector;
}

void lapic_accept(struct lapic *lapic, uint8_t vector)
{
	/* ISR first: a sender that computes this CPU's priority must not see it as idle. */
	vector_set(lapic->isr, vector);
	vector_clear(lapic->irr, vector);
}

void lapic_raise(struct lapic *lapic, uint8_t vector, bool level)
{
	if (!lapic_software_enabled(lapic)) {
		return;
	}
	if (vector < 16) {
		lapic_error(lapic, ESR_RECEIVE_ILLEGAL);
		return;
	}
	if (level) {
		vector_set(lapic->tmr, vector);
	} else {
		vector_clear(lapic->tmr, vector);
	}
	vector_set(lapic->irr, vector);
	lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_INTERRUPT, 0);
}

void lapic_error(struct lapic *lapic, uint32_t bit)
{
	uint32_t before = atomic_fetch_or(&lapic->esr_pending, bit);
	uint32_t lvt = atomic_load(&lapic->lvt[LVT_ERROR]);

	/* An illegal vector in the error entry itself would raise the next error, and so on. */
	if (!(before & bit) && LAPIC_VECTOR(lvt) >= 16) {
		lapic_lvt_deliver(lapic, LVT_ERROR);
	}
}

void lapic_lvt_deliver(struct lapic *lapic, enum lapic_lvt entry)
{
	uint32_t lvt = atomic_load(&lapic->lvt[entry]);
	bool lint = entry == LVT_LINT0 || entry == LVT_LINT1;

	if ((lvt & LVT_MASKED) || !lapic_enabled(lapic)) {
		return;
	}
	/* The timer's and the error entry have no delivery mode: fixed. */
	switch (entry == LVT_TIMER || entry == LVT_ERROR ? DELIVERY_FIXED : LAPIC_DELIVERY(lvt)) {
	case DELIVERY_FIXED:
		if (lint && (lvt & LVT_LEVEL)) {
			atomic_fetch_or(&lapic->lvt[entry], LVT_REMOTE_IRR);
		}
		lapic_raise(lapic, LAPIC_VECTOR(lvt), lint && (lvt & LVT_LEVEL));
		break;
	case DELIVERY_SMI:
		lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_SMI, 0);
		break;
	case DELIVERY_NMI:
		lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_NMI, 0);
		break;
	case DELIVERY_INIT:
		lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_INIT, 0);
		break;
	default:
		break;
	}
}

static bool lint0_is_extint(struct lapic *lapic)
{
	uint32_t lvt = atomic_load(&lapic->lvt[LVT_LINT0]);

	/* With the APIC off, LINT0 is the INTR pin: SDM vol. 3, 11.4.3. */
	return !lapic_enabled(lapic) ||
	       (!(lvt & LVT_MASKED) && LAPIC_DELIVERY(lvt) == DELIVERY_EXTINT);
}

void lapic_set_lint0(struct lapic *lapic, bool level)
{
	bool before = atomic_exchange(&lapic->extint, level);

	if (level && !before && !lint0_is_extint(lapic)) {
		lapic_lvt_deliver(lapic, LVT_LINT0);
	} else if (level != before) {
		lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_EXTINT, 0);
	}
}

bool lapic_extint_pending(struct lapic *lapic)
{
	return atomic_load(&lapic->extint_message) ||
	       (atomic_load(&lapic->extint) && lint0_is_extint(lapic));
}

void lapic_extint_accept(struct lapic *lapic)
{
	atomic_store(&lapic->extint_message, false);
}

/* Something that may have held an interrupt back was changed by the CPU itself. */
static void reevaluate(struct lapic *lapic)
{
	if (lapic_pending(lapic) >= 0) {
		lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_INTERRUPT, 0);
	}
	if (lapic_extint_pending(lapic)) {
		lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_EXTINT, 0);
	}
}

uint8_t lapic_cr8(struct lapic *lapic)
{
	return atomic_load_explicit(&lapic->tpr, memory_order_relaxed) >> 4 & 0xf;
}

void lapic_set_cr8(struct lapic *lapic, uint8_t cr8)
{
	atomic_store(&lapic->tpr, (cr8 & 0xfu) << 4);
	reevaluate(lapic);
}

static void lvt_level_eoi(struct lapic *lapic, enum lapic_lvt entry, uint8_t vector)
{
	uint32_t lvt = atomic_load(&lapic->lvt[entry]);

	if ((lvt & LVT_REMOTE_IRR) && LAPIC_VECTOR(lvt) == vector) {
		atomic_fetch_and(&lapic->lvt[entry], ~(uint32_t)LVT_REMOTE_IRR);
		if (entry == LVT_LINT0 && atomic_load(&lapic->extint)) {
			lapic_lvt_deliver(lapic, entry);
		}
	}
}

/* SDM vol. 3, 11.8.5. */
static void end_of_interrupt(struct lapic *lapic)
{
	int vector = lapic_highest(lapic->isr);

	if (vector < 0) {
		return;
	}
	vector_clear(lapic->isr, (uint8_t)vector);
	if (vector_test(lapic->tmr, (uint8_t)vector)) {
		lvt_level_eoi(lapic, LVT_LINT0, (uint8_t)vector);
		lvt_level_eoi(lapic, LVT_LINT1, (uint8_t)vector);
		if (!(atomic_load(&lapic->svr) & SVR_NO_EOI_BROADCAST) && lapic->ops->eoi) {
			lapic->ops->eoi(lapic->opaque, (uint8_t)vector);
		}
	}
	reevaluate(lapic);
}

/* Clearing SVR.8 masks every LVT entry, SDM vol. 3, 11.4.7.2. */
static void write_svr(struct lapic *lapic, uint32_t value)
{
	atomic_store(&lapic->svr, value & (0xff | SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST));
	if (!(value & SVR_ENABLE)) {
		for (unsigned int i = 0; i < LVT_COUNT; i++) {
			atomic_fetch_or(&lapic->lvt[i], LVT_MASKED);
		}
	}
	reevaluate(lapic);
}

static void write_lvt(struct lapic *lapic, enum lapic_lvt entry, uint32_t value)
{
	value &= lapic_lvt_bits[entry];
	if (!(atomic_load(&lapic->svr) & SVR_ENABLE)) {
		value |= LVT_MASKED;
	}
	if (entry == LVT_TIMER) {
		lapic_timer_set_lvt(lapic, value);
		return;
	}
	if ((value & LVT_LEVEL) && LAPIC_DELIVERY(value) == DELIVERY_FIXED) {
		value |= atomic_load(&lapic->lvt[entry]) & LVT_REMOTE_IRR;
	}
	atomic_store(&lapic->lvt[entry], value);
	if (entry == LVT_LINT0) {
		reevaluate(lapic);
	}
}

static void write_esr(struct lapic *lapic)
{
	lapic->esr = atomic_exchange(&lapic->esr_pending, 0);
}

/* x2APIC: the logical ID follows from the ID, SDM vol. 3, 11.12.10.2. */
uint32_t lapic_ldr(struct lapic *lapic)
{
	if (lapic_is_x2apic(lapic)) {
		return (lapic->index >> 4) << 16 | 1U << (lapic->index & 0xf);
	}
	return atomic_load(&lapic->ldr);
}

/* APR, SDM vol. 3, 11.6.2.4: what lowest-priority arbitration compares. */
static uint32_t arbitration_priority(struct lapic *lapic)
{
	uint32_t tpr = atomic_load(&lapic->tpr);
	int irr = lapic_highest(lapic->irr);
	int isr = lapic_highest(lapic->isr);
	int highest = MAX(irr, isr);
	uint32_t busy = highest < 0 ? 0 : (uint32_t)highest & 0xf0;

	return (tpr & 0xf0) >= busy ? tpr : busy;
}

/* Registers that read the same in both modes; false for one that does not exist. */
static bool read_register(struct lapic *lapic, unsigned int reg, uint32_t *ret_value)
{
	switch (reg) {
	case REG_ID:
		*ret_value = lapic_is_x2apic(lapic) ? lapic->index : lapic->index << 24;
		return true;
	case REG_VERSION: *ret_value = LAPIC_VERSION; return true;
	case REG_TPR: *ret_value = atomic_load(&lapic->tpr); return true;
	case REG_APR: *ret_value = arbitration_priority(lapic); return true;
	case REG_PPR: *ret_value = lapic_ppr(lapic); return true;
	case REG_LDR: *ret_value = lapic_ldr(lapic); return true;
	case REG_DFR: *ret_value = atomic_load(&lapic->dfr); return true;
	case REG_SVR: *ret_value = atomic_load(&lapic->svr); return true;
	case REG_ISR ... REG_ISR + 0x70: *ret_value = lapic->isr[(reg - REG_ISR) / 16]; return true;
	case REG_TMR ... REG_TMR + 0x70: *ret_value = lapic->tmr[(reg - REG_TMR) / 16]; return true;
	case REG_IRR ... REG_IRR + 0x70: *ret_value = lapic->irr[(reg - REG_IRR) / 16]; return true;
	case REG_ESR: *ret_value = lapic->esr; return true;
	case REG_ICR_LOW: *ret_value = lapic->icr[0]; return true;
	case REG_ICR_HIGH: *ret_value = lapic->icr[1]; return true;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		*ret_value = atomic_load(&lapic->lvt[(reg - REG_LVT_TIMER) / 16]);
		return true;
	case REG_TIMER_INITIAL: *ret_value = lapic->timer_initial; return true;
	case REG_TIMER_CURRENT: *ret_value = lapic_timer_current(lapic); return true;
	case REG_TIMER_DIVIDE: *ret_value = lapic->timer_divide; return true;
	/* Write-only, and the remote read that no processor has. */
	case REG_EOI:
	case REG_RRD: *ret_value = 0; return true;
	default: return false;
	}
}

/* Registers that are written the same way in both modes; false for one that does not exist. */
static bool write_register(struct lapic *lapic, unsigned int reg, uint32_t value)
{
	switch (reg) {
	case REG_TPR:
		atomic_store(&lapic->tpr, value & 0xff);
		reevaluate(lapic);
		return true;
	case REG_EOI: end_of_interrupt(lapic); return true;
	case REG_LDR: atomic_store(&lapic->ldr, value & 0xff000000); return true;
	case REG_DFR: atomic_store(&lapic->dfr, value | 0x0fffffff); return true;
	case REG_SVR: write_svr(lapic, value); return true;
	case REG_ESR: write_esr(lapic); return true;
	case REG_ICR_LOW:
		lapic->icr[0] = value & 0x000ccfff;
		lapic_send_ipi(lapic, lapic->icr[0], lapic->icr[1] >> 24);
		return true;
	case REG_ICR_HIGH: lapic->icr[1] = value & 0xff000000; return true;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		write_lvt(lapic, (reg - REG_LVT_TIMER) / 16, value);
		return true;
	case REG_TIMER_INITIAL: lapic_timer_set_initial(lapic, value); return true;
	case REG_TIMER_DIVIDE: lapic_timer_set_divide(lapic, value & 0xb); return true;
	/* Read-only ones: such writes do nothing. */
	case REG_ID:
	case REG_VERSION:
	case REG_APR:
	case REG_PPR:
	case REG_RRD:
	case REG_ISR ... REG_ISR + 0x70:
	case REG_TMR ... REG_TMR + 0x70:
	case REG_IRR ... REG_IRR + 0x70:
	case REG_TIMER_CURRENT: return true;
	default: return false;
	}
}

uint32_t lapic_read(struct lapic *lapic, unsigned int offset)
{
	unsigned int byte = offset & 0xf;
	uint32_t value = 0;

	/* Registers are 32 bits at 16-byte steps; the bytes between them are undefined (11.4.1). */
	if (byte > 3) {
		return 0;
	}
	if (!read_register(lapic, offset & 0xff0, &value)) {
		lapic_error(lapic, ESR_ILLEGAL_REGISTER);
	}
	return value >> (byte * 8);
}

void lapic_write(struct lapic *lapic, unsigned int offset, uint32_t value)
{
	if ((offset & 0xf) == 0 && !write_register(lapic, offset & 0xff0, value)) {
		lapic_error(lapic, ESR_ILLEGAL_REGISTER);
	}
}

bool lapic_read_msr(struct lapic *lapic, uint32_t msr, uint64_t *ret_value)
{
	unsigned int reg = (msr - MSR_X2APIC_FIRST) << 4;
	uint32_t value = 0;

	if (!lapic_is_x2apic(lapic) || msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST) {
		return false;
	}
	switch (reg) {
	case REG_APR:
	case REG_EOI:
	case REG_RRD:
	case REG_DFR:
	case REG_ICR_HIGH:
		return false;
	case REG_ICR_LOW:
		*ret_value = (uint64_t)lapic->icr[1] << 32 | lapic->icr[0];
		return true;
	default:
		break;
	}
	if (!read_register(lapic, reg, &value)) {
		return false;
	}
	*ret_value = value;
	return true;
}

/*
 * Bits that a WRMSR may have set, SDM vol. 3, 11.12.1.3: others raise #GP; none where only 0 may be
 * written.
 */
static bool x2apic_writable(unsigned int reg, uint64_t *ret_bits)
{
	switch (reg) {
	case REG_TPR: *ret_bits = 0xff; return true;
	case REG_EOI:
	case REG_ESR: *ret_bits = 0; return true;
	case REG_SVR: *ret_bits = 0xff | SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST; return true;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		/* Delivery status and remote IRR are read-only, not reserved. */
		*ret_bits = lapic_lvt_bits[(reg - REG_LVT_TIMER) / 16] | BIT(12) | LVT_REMOTE_IRR;
		return true;
	case REG_TIMER_INITIAL: *ret_bits = UINT32_MAX; return true;
	case REG_TIMER_DIVIDE: *ret_bits = 0xb; return true;
	default: return false;
	}
}

bool lapic_write_msr(struct lapic *lapic, uint32_t msr, uint64_t value)
{
	unsigned int reg = (msr - MSR_X2APIC_FIRST) << 4;
	uint64_t allowed;

	if (!lapic_is_x2apic(lapic) || msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST) {
		return false;
	}
	if (reg == REG_ICR_LOW) {
		if ((uint32_t)value & ~UINT32_C(0x000cdfff)) {
			return false;
		}
		lapic->icr[0] = (uint32_t)value & 0x000ccfff;
		lapic->icr[1] = value >> 32;
		lapic_send_ipi(lapic, lapic->icr[0], lapic->icr[1]);
		return true;
	}
	if (reg == REG_SELF_IPI) {
		if (value > 0xff) {
			return false;
		}
		lapic_send_ipi(lapic, (uint32_t)value | ICR_ASSERT | 1 << 18, 0);
		return true;
	}
	if (!x2apic_writable(reg, &allowed) || (value & ~allowed)) {
		return false;
	}
	return write_register(lapic, reg, (uint32_t)value);
}
