/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_LAPIC_H
#define LIMEN_ENGINE_LAPIC_H

/*
 * The local APIC of engines that have none of their own (soft, driver): registers in xAPIC and
 * x2APIC mode, priorities, IPIs, LVT, timer (one-shot, periodic, TSC deadline). Intel SDM vol. 3,
 * chapter 11.
 *
 * A struct lapic_bus joins the APICs of a machine; messages are matched against each. Interrupt
 * arrival is lock-free (atomic IRR) and calls wake(); everything else is the vCPU's own thread's.
 */

#include <stdatomic.h>

#include "base/clock.h"
#include "base/state_table.h"
#include "bus/irq.h"
#include "engine/cpu_state.h"

struct lapic;
struct lapic_bus;

enum lapic_signal {
	LAPIC_SIGNAL_INTERRUPT, /* something may be deliverable: re-evaluate */
	LAPIC_SIGNAL_INIT,
	LAPIC_SIGNAL_SIPI,
	LAPIC_SIGNAL_NMI,
	LAPIC_SIGNAL_SMI,
	LAPIC_SIGNAL_EXTINT, /* LINT0 in ExtINT mode changed level */
};

/**
 * struct lapic_ops - what an APIC asks of its CPU
 * @signal: any thread, no lock held but the sender's; @arg: the SIPI's vector. Must only note it
 *          and wake.
 * @eoi: a level-triggered vector was ended: tell the IOAPIC; the vCPU's thread
 */
struct lapic_ops {
	void (*signal)(void *opaque, enum lapic_signal signal, unsigned int arg);
	void (*eoi)(void *opaque, uint8_t vector);
};

int lapic_bus_create(unsigned int cpus, struct machine_clock *clock, uint64_t tsc_hz,
		     struct lapic_bus **ret_bus, struct error *err);
void lapic_bus_destroy(struct lapic_bus *bus);

/** lapic_bus_attach() - the APIC of CPU @index, reset; owned by the bus. */
struct lapic *lapic_bus_attach(struct lapic_bus *bus, unsigned int index,
			       const struct lapic_ops *ops, void *opaque);

/** lapic_bus_detach() - destroy the APIC of CPU @index; no timer or message can reach it then. Main
 *  thread, while the CPU does not run. */
void lapic_bus_detach(struct lapic_bus *bus, unsigned int index);

/** lapic_bus_set_tsc_hz() - another TSC frequency, before any state is loaded. */
void lapic_bus_set_tsc_hz(struct lapic_bus *bus, uint64_t tsc_hz);

/** lapic_bus_message() - deliver an MSI or IOAPIC message; any thread. */
void lapic_bus_message(struct lapic_bus *bus, const struct msi_message *msg);

/** lapic_bus_set_extint() - level of the PIC's output at the BSP's LINT0; any thread. */
void lapic_bus_set_extint(struct lapic_bus *bus, bool level);

/* ------- by the CPU that owns it, on its thread ------- */

/** lapic_reset() - as by INIT or power-on; the BSP flag stays. */
void lapic_reset(struct lapic *lapic);

/** lapic_base()/set_base() - IA32_APIC_BASE. set_base returns false for what must fault with
 *  #GP. */
uint64_t lapic_base(struct lapic *lapic);
bool lapic_set_base(struct lapic *lapic, uint64_t value);

/** lapic_read()/write() - the 4 KiB page at the APIC base in xAPIC mode; @offset 0-0xfff. */
uint32_t lapic_read(struct lapic *lapic, unsigned int offset);
void lapic_write(struct lapic *lapic, unsigned int offset, uint32_t value);

/** lapic_read_msr()/write_msr() - x2APIC MSRs 0x800-0x8ff; false: #GP. */
bool lapic_read_msr(struct lapic *lapic, uint32_t msr, uint64_t *ret_value);
bool lapic_write_msr(struct lapic *lapic, uint32_t msr, uint64_t value);

/** lapic_tsc_deadline()/set_() - IA32_TSC_DEADLINE in guest TSC units; @tsc_now: the guest's TSC
 *  now. */
uint64_t lapic_tsc_deadline(struct lapic *lapic);
void lapic_set_tsc_deadline(struct lapic *lapic, uint64_t deadline, uint64_t tsc_now);

/** lapic_tpr()/set_tpr() - task priority, as CR8 sees it (bits 7:4). */
uint8_t lapic_cr8(struct lapic *lapic);
void lapic_set_cr8(struct lapic *lapic, uint8_t cr8);

/** lapic_pending() - the vector that would be taken now (above PPR), or -1; a few loads. */
int lapic_pending(struct lapic *lapic);

/** lapic_extint_pending() - whether the PIC's request passes LINT0 (or the APIC is off) on this
 *  CPU. */
bool lapic_extint_pending(struct lapic *lapic);

/** lapic_accept() - the CPU takes @vector: IRR to ISR. */
void lapic_accept(struct lapic *lapic, uint8_t vector);

/** lapic_extint_accept() - the CPU has run an acknowledge cycle for the PIC's request: ends one
 *  that came as a message. */
void lapic_extint_accept(struct lapic *lapic);

/**
 * lapic_save()/load() - to and from the neutral state's lapic, lapic_timer_deadline_ns and
 * apic_base
 *
 * In x2APIC mode the page's ID register holds the 32-bit ID (KVM: X2APIC_API_USE_32BIT_IDS). A page
 * whose version register is 0 means an APIC just reset. A running TSC deadline is set afterwards by
 * lapic_set_tsc_deadline().
 */
void lapic_save(struct lapic *lapic, struct cpu_state *state);
int lapic_load(struct lapic *lapic, const struct cpu_state *state, struct error *err);

#endif
