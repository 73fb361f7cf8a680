/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer, Intel SDM vol. 3, 11.5.4: one-shot, periodic and TSC-deadline mode,
 * on the machine's clock. Its input clock is 1 GHz, one tick a nanosecond of machine time,
 * before the divider; guests measure that, as they must on hardware.
 *
 * The timer's callback runs on the clock's thread and only makes an interrupt arrive, so all
 * its members are under timer_lock, which is held for no longer than a few loads.
 *
 * A periodic timer that falls behind (the host was busy) skips what it missed, and no period is
 * shorter than 100 us: a guest that programs less would only keep the host's CPU from running
 * the guest.
 */

#include "engine/lapic_internal.h"

#define TIMER_MIN_PERIOD_NS UINT64_C(100000)

static unsigned int timer_mode(struct lapic *lapic)
{
	return LVT_TIMER_MODE(atomic_load(&lapic->lvt[LVT_TIMER]));
}

/* SDM vol. 3, figure 11-10: bits 3, 1 and 0 are log2(divisor) - 1, modulo 8. */
static unsigned int divide_shift(uint32_t divide)
{
	return (((divide & 3) | ((divide >> 1) & 4)) + 1) & 7;
}

static uint64_t ticks_to_ns(struct lapic *lapic, uint32_t ticks)
{
	return (uint64_t)ticks << divide_shift(lapic->timer_divide);
}

static uint32_t current_locked(struct lapic *lapic)
{
	uint64_t now = machine_clock_now(lapic->bus->clock);

	if (lapic->timer_shot == TIMER_NEVER || now >= lapic->timer_shot) {
		return 0;
	}
	return (uint32_t)((lapic->timer_shot - now) >> divide_shift(lapic->timer_divide));
}

static void arm_locked(struct lapic *lapic, uint64_t deadline_ns)
{
	lapic->timer_shot = deadline_ns;
	if (deadline_ns == TIMER_NEVER) {
		timer_cancel(&lapic->timer);
	} else {
		timer_arm(&lapic->timer, deadline_ns);
	}
}

static void start_locked(struct lapic *lapic, uint32_t count)
{
	if (count == 0 || timer_mode(lapic) == TIMER_TSC_DEADLINE) {
		arm_locked(lapic, TIMER_NEVER);
	} else {
		arm_locked(lapic, machine_clock_now(lapic->bus->clock) + ticks_to_ns(lapic, count));
	}
}

/* The next shot of a periodic timer, after the present. */
static uint64_t next_period_locked(struct lapic *lapic)
{
	uint64_t period = ticks_to_ns(lapic, lapic->timer_initial);
	uint64_t now = machine_clock_now(lapic->bus->clock);
	uint64_t next;

	period = MAX(period, TIMER_MIN_PERIOD_NS);
	next = lapic->timer_shot + period;
	if (next <= now) {
		next += (now - next) / period * period + period;
	}
	return next;
}

static void timer_fired(void *opaque)
{
	struct lapic *lapic = opaque;
	unsigned int mode = timer_mode(lapic);

	if (mode == TIMER_TSC_DEADLINE) {
		atomic_store(&lapic->tsc_deadline, 0);
		lapic->timer_shot = TIMER_NEVER;
	} else if (mode == TIMER_PERIODIC && lapic->timer_initial) {
		arm_locked(lapic, next_period_locked(lapic));
	} else {
		lapic->timer_shot = TIMER_NEVER;
	}
	lapic_lvt_deliver(lapic, LVT_TIMER);
}

void lapic_timer_init(struct lapic *lapic)
{
	pthread_mutex_init(&lapic->timer_lock, NULL);
	timer_init(&lapic->timer, lapic->bus->clock, &lapic->timer_lock, timer_fired, lapic);
	lapic->timer_shot = TIMER_NEVER;
}

void lapic_timer_reset(struct lapic *lapic)
{
	pthread_mutex_lock(&lapic->timer_lock);
	lapic->timer_initial = 0;
	lapic->timer_divide = 0;
	atomic_store(&lapic->tsc_deadline, 0);
	arm_locked(lapic, TIMER_NEVER);
	pthread_mutex_unlock(&lapic->timer_lock);
}

void lapic_timer_set_initial(struct lapic *lapic, uint32_t count)
{
	/* In TSC-deadline mode writes are ignored (11.5.4.1). */
	if (timer_mode(lapic) == TIMER_TSC_DEADLINE) {
		return;
	}
	pthread_mutex_lock(&lapic->timer_lock);
	lapic->timer_initial = count;
	start_locked(lapic, count);
	pthread_mutex_unlock(&lapic->timer_lock);
}

void lapic_timer_set_divide(struct lapic *lapic, uint32_t divide)
{
	uint32_t current;

	pthread_mutex_lock(&lapic->timer_lock);
	current = current_locked(lapic);
	lapic->timer_divide = divide;
	if (timer_mode(lapic) != TIMER_TSC_DEADLINE && lapic->timer_shot != TIMER_NEVER) {
		start_locked(lapic, MAX(current, 1U));
	}
	pthread_mutex_unlock(&lapic->timer_lock);
}

/* Going into or out of TSC-deadline mode disarms the timer (11.5.4.1). */
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value)
{
	bool was_deadline;
	bool is_deadline;

	pthread_mutex_lock(&lapic->timer_lock);
	was_deadline = timer_mode(lapic) == TIMER_TSC_DEADLINE;
	atomic_store(&lapic->lvt[LVT_TIMER], value);
	is_deadline = timer_mode(lapic) == TIMER_TSC_DEADLINE;
	if (was_deadline != is_deadline) {
		lapic->timer_initial = 0;
		atomic_store(&lapic->tsc_deadline, 0);
		arm_locked(lapic, TIMER_NEVER);
	}
	pthread_mutex_unlock(&lapic->timer_lock);
}

uint32_t lapic_timer_current(struct lapic *lapic)
{
	uint32_t current = 0;

	pthread_mutex_lock(&lapic->timer_lock);
	if (timer_mode(lapic) != TIMER_TSC_DEADLINE) {
		current = current_locked(lapic);
		/* The clock's thread has not seen the shot yet: the next period runs already. */
		if (current == 0 && lapic->timer_shot != TIMER_NEVER && lapic->timer_initial &&
		    timer_mode(lapic) == TIMER_PERIODIC) {
			current = lapic->timer_initial;
		}
		/* A period below the shortest one takes longer than it counts. */
		current = MIN(current, lapic->timer_initial);
	}
	pthread_mutex_unlock(&lapic->timer_lock);
	return current;
}

uint64_t lapic_tsc_deadline(struct lapic *lapic)
{
	return atomic_load(&lapic->tsc_deadline);
}

void lapic_set_tsc_deadline(struct lapic *lapic, uint64_t deadline, uint64_t tsc_now)
{
	struct lapic_bus *bus = lapic->bus;
	uint64_t now = machine_clock_now(bus->clock);
	uint64_t delay = 0;

	if (timer_mode(lapic) != TIMER_TSC_DEADLINE) {
		return;
	}
	if (deadline > tsc_now) {
		unsigned __int128 ns =
			(unsigned __int128)(deadline - tsc_now) * NS_PER_S / bus->tsc_hz;

		/* Rounded up, so that a guest that reads the TSC in its handler finds it past. */
		ns += 1;
		delay = ns > UINT64_MAX - 1 - now ? UINT64_MAX - 1 - now : (uint64_t)ns;
	}
	pthread_mutex_lock(&lapic->timer_lock);
	atomic_store(&lapic->tsc_deadline, deadline);
	arm_locked(lapic, deadline ? now + delay : TIMER_NEVER);
	pthread_mutex_unlock(&lapic->timer_lock);
}

void lapic_timer_load(struct lapic *lapic, uint64_t deadline_ns, uint32_t current)
{
	pthread_mutex_lock(&lapic->timer_lock);
	if (timer_mode(lapic) == TIMER_TSC_DEADLINE) {
		arm_locked(lapic, deadline_ns);
	} else if (deadline_ns != TIMER_NEVER) {
		arm_locked(lapic, deadline_ns);
	} else {
		start_locked(lapic, current);
	}
	pthread_mutex_unlock(&lapic->timer_lock);
}
