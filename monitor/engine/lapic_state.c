/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reset, modes and saved state of the local APIC: Intel SDM vol. 3, 11.4.3 to 11.4.7 and 11.12.5.
 *
 * One thing differs from the manual, as it does with KVM: the boot processor's LINT0 comes out
 * of reset unmasked and in ExtINT mode. Firmware sets it so anyway, and kernels that are
 * entered without firmware and know no APIC then get the PIC's interrupts.
 *
 * The saved form is the register page, so that it can go to an APIC in the kernel too. A loaded
 * page may hold anything: reserved bits are dropped as a write would, an ID that is not the
 * CPU's own is refused.
 */

#include "engine/lapic_internal.h"

_Static_assert(sizeof(((struct cpu_state *)0)->lapic) == 0x400, "the page's used part is 1 KiB");

static void reset_vectors(_Atomic uint32_t *words)
{
	for (unsigned int i = 0; i < LAPIC_WORDS; i++) {
		atomic_store(&words[i], 0);
	}
}

void lapic_reset(struct lapic *lapic)
{
	lapic_timer_reset(lapic);
	reset_vectors(lapic->irr);
	reset_vectors(lapic->isr);
	reset_vectors(lapic->tmr);
	atomic_store(&lapic->tpr, 0);
	atomic_store(&lapic->ldr, 0);
	atomic_store(&lapic->dfr, UINT32_MAX);
	atomic_store(&lapic->svr, 0xff);
	for (unsigned int i = 0; i < LVT_COUNT; i++) {
		atomic_store(&lapic->lvt[i], LVT_MASKED);
	}
	if (atomic_load(&lapic->base) & APIC_BASE_BSP) {
		atomic_store(&lapic->lvt[LVT_LINT0], DELIVERY_EXTINT << 8);
	}
	atomic_store(&lapic->esr_pending, 0);
	atomic_store(&lapic->extint_message, false);
	lapic->esr = 0;
	lapic->icr[0] = 0;
	lapic->icr[1] = 0;
}

uint64_t lapic_base(struct lapic *lapic)
{
	return atomic_load(&lapic->base);
}

#define MODE_BITS (APIC_BASE_ENABLE | APIC_BASE_X2APIC)

/* The transitions that exist: SDM vol. 3, 11.12.5 and figure 11-27. */
static bool transition_allowed(uint64_t before, uint64_t after)
{
	uint64_t to = after & MODE_BITS;

	if (to == APIC_BASE_X2APIC) {
		return false;
	}
	switch (before & MODE_BITS) {
	case 0: return to != MODE_BITS;
	case MODE_BITS: return to != APIC_BASE_ENABLE;
	default: return true;
	}
}

bool lapic_set_base(struct lapic *lapic, uint64_t value)
{
	uint64_t before = atomic_load(&lapic->base);
	uint64_t reserved = ~(0x000ffffffffff000 | MODE_BITS | APIC_BASE_BSP);

	if ((value & reserved) || !transition_allowed(before, value)) {
		return false;
	}
	/* Which CPU is the boot processor is not the guest's to say. */
	value = (value & ~APIC_BASE_BSP) | (before & APIC_BASE_BSP);
	if (!(before & APIC_BASE_ENABLE) && (value & APIC_BASE_ENABLE)) {
		lapic_reset(lapic);
	}
	if ((value & APIC_BASE_X2APIC) && !(before & APIC_BASE_X2APIC)) {
		/* ICR high becomes the upper half of a 64-bit register; all else is kept. */
		lapic->icr[1] = 0;
	}
	atomic_store(&lapic->base, value);
	lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_EXTINT, 0);
	return true;
}

static void put(struct cpu_state *state, unsigned int reg, uint32_t value)
{
	store_le32(state->lapic + reg, value);
}

static uint32_t get(const struct cpu_state *state, unsigned int reg)
{
	return load_le32(state->lapic + reg);
}

void lapic_save(struct lapic *lapic, struct cpu_state *state)
{
	memset(state->lapic, 0, sizeof(state->lapic));
	put(state, REG_ID, lapic_is_x2apic(lapic) ? lapic->index : lapic->index << 24);
	put(state, REG_VERSION, LAPIC_VERSION);
	put(state, REG_TPR, atomic_load(&lapic->tpr));
	put(state, REG_PPR, lapic_ppr(lapic));
	put(state, REG_LDR, lapic_ldr(lapic));
	put(state, REG_DFR, atomic_load(&lapic->dfr));
	put(state, REG_SVR, atomic_load(&lapic->svr));
	for (unsigned int i = 0; i < LAPIC_WORDS; i++) {
		put(state, REG_ISR + 16 * i, atomic_load(&lapic->isr[i]));
		put(state, REG_TMR + 16 * i, atomic_load(&lapic->tmr[i]));
		put(state, REG_IRR + 16 * i, atomic_load(&lapic->irr[i]));
	}
	put(state, REG_ESR, lapic->esr);
	put(state, REG_ICR_LOW, lapic->icr[0]);
	put(state, REG_ICR_HIGH, lapic->icr[1]);
	for (unsigned int i = 0; i < LVT_COUNT; i++) {
		put(state, REG_LVT_TIMER + 16 * i, atomic_load(&lapic->lvt[i]));
	}
	put(state, REG_TIMER_CURRENT, lapic_timer_current(lapic));
	put(state, REG_TIMER_INITIAL, lapic->timer_initial);
	put(state, REG_TIMER_DIVIDE, lapic->timer_divide);
	pthread_mutex_lock(&lapic->timer_lock);
	state->lapic_timer_deadline_ns = lapic->timer_shot;
	pthread_mutex_unlock(&lapic->timer_lock);
	state->apic_base = lapic_base(lapic);
}

static int check_state(struct lapic *lapic, const struct cpu_state *state, struct error *err)
{
	uint64_t mode = state->apic_base & MODE_BITS;
	bool blank = get(state, REG_VERSION) == 0;
	uint32_t id = get(state, REG_ID);

	if (mode == APIC_BASE_X2APIC || (state->apic_base & ~(0x000ffffffffff000 | MODE_BITS |
							     APIC_BASE_BSP))) {
		return error_set(err, EINVAL, "CPU %u: 0x%llx is no local APIC base", lapic->index,
				 (unsigned long long)state->apic_base);
	}
	if (!blank && id != (mode == MODE_BITS ? lapic->index : lapic->index << 24)) {
		return error_set(err, EINVAL, "CPU %u: its local APIC's ID is 0x%x", lapic->index,
				 id);
	}
	return 0;
}

static void load_page(struct lapic *lapic, const struct cpu_state *state)
{
	atomic_store(&lapic->tpr, get(state, REG_TPR) & 0xff);
	atomic_store(&lapic->ldr, get(state, REG_LDR) & 0xff000000);
	atomic_store(&lapic->dfr, get(state, REG_DFR) | 0x0fffffff);
	atomic_store(&lapic->svr, get(state, REG_SVR) &
					  (0xff | SVR_ENABLE | SVR_FOCUS | SVR_NO_EOI_BROADCAST));
	for (unsigned int i = 0; i < LAPIC_WORDS; i++) {
		/* Vectors below 16 cannot be there. */
		uint32_t legal = i == 0 ? 0xffff0000 : UINT32_MAX;

		atomic_store(&lapic->isr[i], get(state, REG_ISR + 16 * i) & legal);
		atomic_store(&lapic->tmr[i], get(state, REG_TMR + 16 * i) & legal);
		atomic_store(&lapic->irr[i], get(state, REG_IRR + 16 * i) & legal);
	}
	lapic->esr = get(state, REG_ESR) & 0xff;
	lapic->icr[0] = get(state, REG_ICR_LOW) & 0x000ccfff;
	lapic->icr[1] = get(state, REG_ICR_HIGH);
	for (unsigned int i = 0; i < LVT_COUNT; i++) {
		atomic_store(&lapic->lvt[i], get(state, REG_LVT_TIMER + 16 * i) &
						     (lapic_lvt_bits[i] | LVT_REMOTE_IRR));
	}
	lapic->timer_initial = get(state, REG_TIMER_INITIAL);
	lapic->timer_divide = get(state, REG_TIMER_DIVIDE) & 0xb;
	lapic_timer_load(lapic, state->lapic_timer_deadline_ns, get(state, REG_TIMER_CURRENT));
}

int lapic_load(struct lapic *lapic, const struct cpu_state *state, struct error *err)
{
	uint64_t bsp = lapic->index == 0 ? APIC_BASE_BSP : 0;
	int ret = check_state(lapic, state, err);

	if (ret < 0) {
		return ret;
	}
	lapic_reset(lapic);
	atomic_store(&lapic->base, (state->apic_base & ~APIC_BASE_BSP) | bsp);
	if (get(state, REG_VERSION) != 0) {
		load_page(lapic, state);
	}
	lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_INTERRUPT, 0);
	lapic->ops->signal(lapic->opaque, LAPIC_SIGNAL_EXTINT, 0);
	return 0;
}
