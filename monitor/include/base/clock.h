/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_CLOCK_H
#define LIMEN_BASE_CLOCK_H

/*
 * The machine's clock and its timers. The clock counts nanoseconds since the machine was created,
 * stands still while the machine is paused, and is part of its saved state; every guest-visible
 * counter (TSC, PIT, HPET, PM timer, APIC timer) derives from it, so they can never disagree.
 */

#include <pthread.h>

#include "base/event_loop.h"
#include "base/types.h"

struct machine_clock;

/**
 * machine_clock_create() - a paused clock at 0
 * @loop: the loop whose thread runs timer callbacks (one timerfd); NULL for a manual clock (tests),
 *        which moves only by machine_clock_advance()
 */
int machine_clock_create(struct event_loop *loop, struct machine_clock **ret_clock,
			 struct error *err);

/** machine_clock_destroy() - on the loop's thread, or when nothing runs the loop any more. */
void machine_clock_destroy(struct machine_clock *clock);

/** machine_clock_now() - nanoseconds; any thread, lock-free, never goes back. */
uint64_t machine_clock_now(struct machine_clock *clock);

/** machine_clock_pause()/resume() - stop and start; idempotent; any thread. */
void machine_clock_pause(struct machine_clock *clock);
void machine_clock_resume(struct machine_clock *clock);

/** machine_clock_set() - set a paused clock, on loading a state. Timers are armed anew by their
 *  owners. */
void machine_clock_set(struct machine_clock *clock, uint64_t now_ns);

/** machine_clock_advance() - move a manual clock on by @ns, running the callbacks that fall due, in
 *  order. */
void machine_clock_advance(struct machine_clock *clock, uint64_t ns);

typedef void (*timer_fn)(void *opaque);

#define TIMER_NEVER UINT64_MAX

/**
 * struct timer - one deadline; embedded in its owner; all members private
 */
struct timer {
	struct machine_clock *clock;
	pthread_mutex_t *lock;
	timer_fn fn;
	void *opaque;
	uint64_t deadline_ns;
	struct timer *child; /* the heap's links */
	struct timer *next;
	struct timer *prev;
	bool queued;
};

/**
 * timer_init() - prepare a timer that is not armed
 * @lock: held around each callback (usually the device's); NULL for none. Because the callback
 *        checks after taking it that the timer is still due, timer_cancel() called with @lock held
 *        is final.
 * @fn: runs on the clock's loop thread; may arm the timer again
 */
void timer_init(struct timer *timer, struct machine_clock *clock, pthread_mutex_t *lock,
		timer_fn fn, void *opaque);

/** timer_finish() - cancel for good. Call without @lock held and off the callback. */
void timer_finish(struct timer *timer);

/** timer_arm() - fire once at @deadline_ns (a past one: soon); replaces an earlier deadline. Any
 *  thread. */
void timer_arm(struct timer *timer, uint64_t deadline_ns);

/** timer_cancel() - do not fire; any thread. */
void timer_cancel(struct timer *timer);

/** timer_deadline() - when it will fire, or TIMER_NEVER. */
uint64_t timer_deadline(struct timer *timer);

#endif
