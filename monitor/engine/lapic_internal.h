/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_LAPIC_INTERNAL_H
#define LIMEN_ENGINE_LAPIC_INTERNAL_H

/*
 * What the files of the local APIC share: lapic.c (registers, priorities), lapic_bus.c
 * (messages between APICs), lapic_timer.c, lapic_state.c (reset, modes, saved state).
 *
 * Members that another thread may read or change (a sender that matches a message, the clock's
 * thread) are _Atomic; the rest belongs to the vCPU's thread. timer_lock guards the timer's
 * members.
 */

#include <pthread.h>

#include "engine/lapic.h"
#include "engine/msr.h"

/* Register offsets in the xAPIC page, SDM vol. 3, table 11-1. */
enum lapic_reg {
	REG_ID = 0x20,
	REG_VERSION = 0x30,
	REG_TPR = 0x80,
	REG_APR = 0x90,
	REG_PPR = 0xa0,
	REG_EOI = 0xb0,
	REG_RRD = 0xc0,
	REG_LDR = 0xd0,
	REG_DFR = 0xe0,
	REG_SVR = 0xf0,
	REG_ISR = 0x100, /* 8 registers each */
	REG_TMR = 0x180,
	REG_IRR = 0x200,
	REG_ESR = 0x280,
	REG_ICR_LOW = 0x300,
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_THERMAL = 0x330,
	REG_LVT_PERF = 0x340,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
	REG_SELF_IPI = 0x3f0,
};

enum lapic_lvt {
	LVT_TIMER,
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT,
};

enum lapic_delivery {
	DELIVERY_FIXED,
	DELIVERY_LOWEST,
	DELIVERY_SMI,
	DELIVERY_RESERVED,
	DELIVERY_NMI,
	DELIVERY_INIT,
	DELIVERY_SIPI,
	DELIVERY_EXTINT,
};

/* Fields that the ICR, the LVT and messages have in common, SDM vol. 3, figures 11-8 and 11-12. */
#define LAPIC_VECTOR(value) ((value) & 0xff)
#define LAPIC_DELIVERY(value) (((value) >> 8) & 7)
#define ICR_LOGICAL BIT(11)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define LVT_REMOTE_IRR BIT(14)
#define LVT_LEVEL BIT(15)
#define LVT_MASKED BIT(16)
#define LVT_TIMER_MODE(value) (((value) >> 17) & 3)

enum lapic_timer_mode {
	TIMER_ONE_SHOT,
	TIMER_PERIODIC,
	TIMER_TSC_DEADLINE,
};

/* ESR, SDM vol. 3, figure 11-9. */
#define ESR_SEND_ILLEGAL BIT(5)
#define ESR_RECEIVE_ILLEGAL BIT(6)
#define ESR_ILLEGAL_REGISTER BIT(7)

#define SVR_ENABLE BIT(8)
#define SVR_FOCUS BIT(9)
#define SVR_NO_EOI_BROADCAST BIT(12)

/* Integrated APIC, 6 LVT entries, directed EOI. */
#define LAPIC_VERSION (0x14 | (LVT_COUNT - 1) << 16 | BIT(24))

#define LAPIC_VECTORS 256
#define LAPIC_WORDS (LAPIC_VECTORS / 32)

/**
 * struct lapic - one CPU's
 * @base: IA32_APIC_BASE
 * @extint: level of the PIC's output at LINT0; only the BSP's is wired
 * @extint_message: an ExtINT message has come and was not acknowledged yet
 * @esr_pending: errors since the ESR was last written; @esr: what it reads as
 * @timer_shot: TIMER_ONE_SHOT and PERIODIC: when the running count reaches 0, TIMER_NEVER if idle
 */
struct lapic {
	struct lapic_bus *bus;
	const struct lapic_ops *ops;
	void *opaque;
	unsigned int index;
	_Atomic uint64_t base;
	_Atomic uint32_t irr[LAPIC_WORDS];
	_Atomic uint32_t tmr[LAPIC_WORDS];
	_Atomic uint32_t isr[LAPIC_WORDS];
	_Atomic uint32_t tpr;
	_Atomic uint32_t ldr;
	_Atomic uint32_t dfr;
	_Atomic uint32_t svr;
	_Atomic uint32_t lvt[LVT_COUNT];
	_Atomic uint32_t esr_pending;
	_Atomic bool extint;
	_Atomic bool extint_message;
	uint32_t esr;
	uint32_t icr[2];
	pthread_mutex_t timer_lock;
	struct timer timer;
	uint32_t timer_initial;
	uint32_t timer_divide;
	uint64_t timer_shot;
	_Atomic uint64_t tsc_deadline;
};

/**
 * struct lapic_bus - what joins the APICs
 * @next_lowest: where the search for a lowest-priority target starts, so that equals take turns
 */
struct lapic_bus {
	struct machine_clock *clock;
	uint64_t tsc_hz;
	unsigned int cpus;
	_Atomic unsigned int next_lowest;
	struct lapic **lapics;
};

/** struct lapic_message - a message, whoever sent it; @wide: 32-bit x2APIC destination. */
struct lapic_message {
	uint32_t destination;
	uint8_t vector;
	uint8_t delivery; /* enum lapic_delivery */
	bool logical;
	bool wide;
	bool level;
	bool assert;
};

static inline bool lapic_enabled(struct lapic *lapic)
{
	return atomic_load_explicit(&lapic->base, memory_order_relaxed) & APIC_BASE_ENABLE;
}

static inline bool lapic_is_x2apic(struct lapic *lapic)
{
	return atomic_load_explicit(&lapic->base, memory_order_relaxed) & APIC_BASE_X2APIC;
}

/** lapic_software_enabled() - whether it takes fixed interrupts: APIC_BASE.EN and SVR.8. */
static inline bool lapic_software_enabled(struct lapic *lapic)
{
	return lapic_enabled(lapic) &&
	       (atomic_load_explicit(&lapic->svr, memory_order_relaxed) & SVR_ENABLE);
}

/* lapic.c */

/** lapic_lvt_bits - bits of each LVT entry that can be written. */
extern const uint32_t lapic_lvt_bits[LVT_COUNT];

/** lapic_highest() - the highest vector set in a 256-bit register, or -1. */
int lapic_highest(_Atomic uint32_t *words);
/** lapic_ppr() - processor priority, SDM vol. 3, 11.8.3.1. */
uint32_t lapic_ppr(struct lapic *lapic);
/** lapic_raise() - a fixed interrupt arrives; any thread. */
void lapic_raise(struct lapic *lapic, uint8_t vector, bool level);
/** lapic_error() - note an error and raise the error interrupt; any thread. */
void lapic_error(struct lapic *lapic, uint32_t bit);
/** lapic_lvt_deliver() - a local source fires; any thread. */
void lapic_lvt_deliver(struct lapic *lapic, enum lapic_lvt entry);
/** lapic_set_lint0() - the level of LINT0 changed; any thread. */
void lapic_set_lint0(struct lapic *lapic, bool level);
uint32_t lapic_ldr(struct lapic *lapic);

/* lapic_bus.c */

/** lapic_send_ipi() - what a write of the ICR does; @destination as the mode has it. */
void lapic_send_ipi(struct lapic *lapic, uint32_t icr_low, uint32_t destination);

/* lapic_timer.c */
void lapic_timer_init(struct lapic *lapic);
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_set_initial(struct lapic *lapic, uint32_t count);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t divide);
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value);
uint32_t lapic_timer_current(struct lapic *lapic);
/** lapic_timer_load() - go on with a saved timer; @current: the saved count. */
void lapic_timer_load(struct lapic *lapic, uint64_t deadline_ns, uint32_t current);

#endif
