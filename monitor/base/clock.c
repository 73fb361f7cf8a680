/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine clock and its timers.
 *
 * While the clock runs, its time is the host's CLOCK_MONOTONIC less an origin; while it is paused,
 * a frozen value. Readers take no lock: a sequence counter tells them to look again when a pause or
 * a resume came between. The writer reads the host's clock inside its odd phase, so a time that a
 * reader has returned is never later than the value at which the clock is then frozen.
 *
 * Timers lie in a pairing heap (linked through the timers, so that arming one cannot fail) under
 * the clock's lock, and one timerfd in the loop stands for the earliest.
 * Lock order: a timer's own lock comes before the clock's lock (a device arms its timers with its
 * lock held). The dispatcher, which finds a timer under the clock's lock, therefore lets that go
 * before it takes the timer's, and looks again whether the timer is still due. What it works on is
 * noted in clock->dispatching, for which timer_finish() waits.
 */

#include "base/clock.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * A guest can arm timers that are always due; after so many callbacks the loop serves its
 * descriptors.
 */
#define CALLBACKS_PER_TURN 128

struct machine_clock {
	_Atomic uint32_t sequence; /* odd while the three below change */
	_Atomic bool running;
	_Atomic int64_t origin_ns; /* the host's time at the clock's 0, had it always run */
	_Atomic uint64_t frozen_ns;

	bool manual;
	struct event_loop *loop;
	int timer_fd;
	struct event_source *source;

	pthread_mutex_t lock; /* guards what follows, and serialises writers of the above */
	pthread_cond_t dispatched;
	struct timer *dispatching;
	bool in_turn;
	uint64_t programmed_ns; /* what the timerfd waits for, TIMER_NEVER for nothing */
	struct timer *first;	/* root of the heap: the earliest timer */
};

static int64_t host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
}

uint64_t machine_clock_now(struct machine_clock *clock)
{
	for (;;) {
		uint32_t before = atomic_load_explicit(&clock->sequence, memory_order_acquire);
		uint64_t now;

		if (before & 1) {
			sched_yield();
			continue;
		}
		if (atomic_load_explicit(&clock->running, memory_order_acquire)) {
			now = (uint64_t)(host_now() - atomic_load_explicit(&clock->origin_ns,
									   memory_order_acquire));
		} else {
			now = atomic_load_explicit(&clock->frozen_ns, memory_order_acquire);
		}
		if (atomic_load_explicit(&clock->sequence, memory_order_acquire) == before) {
			return now;
		}
	}
}

/* Set the clock to @now_ns (TIMER_NEVER: to what it shows), running or not. */
static void write_time_locked(struct machine_clock *clock, bool running, uint64_t now_ns)
{
	int64_t host;

	atomic_fetch_add(&clock->sequence, 1);
	host = host_now();
	if (now_ns == TIMER_NEVER) {
		now_ns = clock->running ? (uint64_t)(host - clock->origin_ns) : clock->frozen_ns;
	}
	atomic_store(&clock->frozen_ns, now_ns);
	atomic_store(&clock->origin_ns, host - (int64_t)now_ns);
	atomic_store(&clock->running, running);
	atomic_fetch_add(&clock->sequence, 1);
}

/* ---- the heap ---- */

static struct timer *heap_merge(struct timer *a, struct timer *b)
{
	if (a == NULL || b == NULL) {
		return a != NULL ? a : b;
	}
	if (b->deadline_ns < a->deadline_ns) {
		struct timer *t = a;

		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next != NULL) {
		b->next->prev = b;
	}
	a->child = b;
	return a;
}

/*
 * Merge a row of siblings into one heap: in pairs from the left, then the results from the right.
 */
static struct timer *heap_merge_row(struct timer *first)
{
	struct timer *pairs = NULL;
	struct timer *heap = NULL;

	while (first != NULL) {
		struct timer *second = first->next;
		struct timer *rest = second != NULL ? second->next : NULL;
		struct timer *pair = heap_merge(first, second);

		pair->next = pairs;
		pairs = pair;
		first = rest;
	}
	while (pairs != NULL) {
		struct timer *rest = pairs->next;

		heap = heap_merge(heap, pairs);
		pairs = rest;
	}
	if (heap != NULL) {
		heap->next = NULL;
		heap->prev = NULL;
	}
	return heap;
}

static void heap_insert(struct machine_clock *clock, struct timer *timer)
{
	timer->child = NULL;
	timer->next = NULL;
	timer->prev = NULL;
	timer->queued = true;
	clock->first = heap_merge(clock->first, timer);
}

static void heap_remove(struct machine_clock *clock, struct timer *timer)
{
	struct timer *orphans = heap_merge_row(timer->child);

	timer->queued = false;
	if (timer == clock->first) {
		clock->first = orphans;
		return;
	}
	/* The first of a row has its parent for a predecessor. */
	if (timer->prev->child == timer) {
		timer->prev->child = timer->next;
	} else {
		timer->prev->next = timer->next;
	}
	if (timer->next != NULL) {
		timer->next->prev = timer->prev;
	}
	clock->first = heap_merge(clock->first, orphans);
}

/* ---- the timerfd ---- */

static void program_locked(struct machine_clock *clock, uint64_t deadline_ns)
{
	struct itimerspec spec = { 0 };

	if (deadline_ns != TIMER_NEVER) {
		int64_t host;

		if (__builtin_add_overflow((int64_t)MIN(deadline_ns, (uint64_t)INT64_MAX),
					   atomic_load(&clock->origin_ns), &host)) {
			host = INT64_MAX;
		}
		/* An all-zero time would disarm the timerfd. */
		host = MAX(host, 1);
		spec.it_value.tv_sec = host / (int64_t)NS_PER_S;
		spec.it_value.tv_nsec = host % (int64_t)NS_PER_S;
	}
	timerfd_settime(clock->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	clock->programmed_ns = deadline_ns;
}

/* Make the timerfd wait for the earliest timer, or for nothing while the clock stands. */
static void reprogram_locked(struct machine_clock *clock)
{
	uint64_t deadline_ns = TIMER_NEVER;

	if (clock->manual) {
		return;
	}
	if (atomic_load(&clock->running) && clock->first != NULL) {
		deadline_ns = clock->first->deadline_ns;
	}
	if (deadline_ns != clock->programmed_ns) {
		program_locked(clock, deadline_ns);
	}
}

/* ---- dispatching ---- */

/*
 * Run @timer's callback if it is still due at @now_ns. Called, and returns, with the clock's lock
 * held.
 */
static void dispatch_one_locked(struct machine_clock *clock, struct timer *timer, uint64_t now_ns)
{
	pthread_mutex_t *own_lock = timer->lock;
	bool due;

	clock->dispatching = timer;
	if (own_lock != NULL) {
		pthread_mutex_unlock(&clock->lock);
		pthread_mutex_lock(own_lock);
		pthread_mutex_lock(&clock->lock);
	}
	due = timer->queued && timer->deadline_ns <= now_ns;
	if (due) {
		heap_remove(clock, timer);
	}
	pthread_mutex_unlock(&clock->lock);
	if (due) {
		timer->fn(timer->opaque);
	}
	if (own_lock != NULL) {
		pthread_mutex_unlock(own_lock);
	}
	pthread_mutex_lock(&clock->lock);
	clock->dispatching = NULL;
	pthread_cond_broadcast(&clock->dispatched);
}

static void on_timer_fd(void *opaque, int fd, unsigned int events)
{
	struct machine_clock *clock = opaque;
	uint64_t expirations;
	ssize_t n;

	(void)events;
	do {
		n = read(fd, &expirations, sizeof(expirations));
	} while (n < 0 && errno == EINTR);
	pthread_mutex_lock(&clock->lock);
	clock->in_turn = true;
	for (unsigned int i = 0; i < CALLBACKS_PER_TURN; i++) {
		uint64_t now_ns = machine_clock_now(clock);

		if (!atomic_load(&clock->running) || clock->first == NULL ||
		    clock->first->deadline_ns > now_ns) {
			break;
		}
		dispatch_one_locked(clock, clock->first, now_ns);
	}
	clock->in_turn = false;
	/* It has expired: whatever the earliest deadline is now, it must be programmed again. */
	clock->programmed_ns = TIMER_NEVER;
	reprogram_locked(clock);
	pthread_mutex_unlock(&clock->lock);
}

void machine_clock_advance(struct machine_clock *clock, uint64_t ns)
{
	uint64_t end_ns;

	pthread_mutex_lock(&clock->lock);
	end_ns = atomic_load(&clock->frozen_ns) + ns;
	while (clock->first != NULL && clock->first->deadline_ns <= end_ns) {
		uint64_t now_ns = MAX(clock->first->deadline_ns, atomic_load(&clock->frozen_ns));

		write_time_locked(clock, false, now_ns);
		dispatch_one_locked(clock, clock->first, now_ns);
	}
	write_time_locked(clock, false, end_ns);
	pthread_mutex_unlock(&clock->lock);
}

/* ---- the clock ---- */

int machine_clock_create(struct event_loop *loop, struct machine_clock **ret_clock,
			 struct error *err)
{
	struct machine_clock *clock = calloc(1, sizeof(*clock));
	int r;

	if (clock == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	clock->manual = loop == NULL;
	clock->loop = loop;
	clock->timer_fd = -1;
	clock->programmed_ns = TIMER_NEVER;
	pthread_mutex_init(&clock->lock, NULL);
	pthread_cond_init(&clock->dispatched, NULL);
	if (clock->manual) {
		*ret_clock = clock;
		return 0;
	}
	clock->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (clock->timer_fd < 0) {
		r = error_set(err, errno, "cannot create a timerfd: %s", strerror(errno));
		goto out_destroy;
	}
	r = event_loop_add_fd(loop, clock->timer_fd, EVENT_READ, on_timer_fd, clock,
			      &clock->source);
	if (r < 0) {
		error_set(err, -r, "cannot watch a timerfd: %s", strerror(-r));
		goto out_destroy;
	}
	*ret_clock = clock;
	return 0;

out_destroy:
	machine_clock_destroy(clock);
	return r;
}

void machine_clock_destroy(struct machine_clock *clock)
{
	if (clock == NULL) {
		return;
	}
	event_source_remove(clock->source);
	if (clock->timer_fd >= 0) {
		close(clock->timer_fd);
	}
	pthread_cond_destroy(&clock->dispatched);
	pthread_mutex_destroy(&clock->lock);
	free(clock);
}

static void set_running(struct machine_clock *clock, bool running)
{
	pthread_mutex_lock(&clock->lock);
	if (!clock->manual && atomic_load(&clock->running) != running) {
		write_time_locked(clock, running, TIMER_NEVER);
		/* The origin has moved, so an equal deadline is another host time. */
		clock->programmed_ns = running ? TIMER_NEVER : 0;
		reprogram_locked(clock);
	}
	pthread_mutex_unlock(&clock->lock);
}

void machine_clock_pause(struct machine_clock *clock)
{
	set_running(clock, false);
}

void machine_clock_resume(struct machine_clock *clock)
{
	set_running(clock, true);
}

void machine_clock_set(struct machine_clock *clock, uint64_t now_ns)
{
	pthread_mutex_lock(&clock->lock);
	/* A loaded state is not trusted to leave room for the sums made with it. */
	write_time_locked(clock, false, MIN(now_ns, (uint64_t)INT64_MAX / 2));
	pthread_mutex_unlock(&clock->lock);
}

/* ---- timers ---- */

void timer_init(struct timer *timer, struct machine_clock *clock, pthread_mutex_t *lock,
		timer_fn fn, void *opaque)
{
	*timer = (struct timer){
		.clock = clock,
		.lock = lock,
		.fn = fn,
		.opaque = opaque,
		.deadline_ns = TIMER_NEVER,
	};
}

void timer_finish(struct timer *timer)
{
	struct machine_clock *clock = timer->clock;

	/*
	 * A part that failed while it was built finishes timers that it never came to initialise.
	 */
	if (clock == NULL) {
		return;
	}
	pthread_mutex_lock(&clock->lock);
	if (timer->queued) {
		heap_remove(clock, timer);
	}
	while (clock->dispatching == timer) {
		pthread_cond_wait(&clock->dispatched, &clock->lock);
	}
	/* The callback that was waited for may have armed it again. */
	if (timer->queued) {
		heap_remove(clock, timer);
	}
	pthread_mutex_unlock(&clock->lock);
	timer->clock = NULL;
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	struct machine_clock *clock = timer->clock;

	pthread_mutex_lock(&clock->lock);
	if (timer->queued) {
		heap_remove(clock, timer);
	}
	timer->deadline_ns = deadline_ns;
	if (deadline_ns != TIMER_NEVER) {
		heap_insert(clock, timer);
		/*
		 * A later deadline than the programmed one costs nothing now: the timerfd then
		 * expires once in vain. During a turn the dispatcher programs it anyway.
		 */
		if (!clock->manual && !clock->in_turn && atomic_load(&clock->running) &&
		    deadline_ns < clock->programmed_ns) {
			program_locked(clock, deadline_ns);
		}
	}
	pthread_mutex_unlock(&clock->lock);
}

void timer_cancel(struct timer *timer)
{
	timer_arm(timer, TIMER_NEVER);
}

uint64_t timer_deadline(struct timer *timer)
{
	uint64_t deadline_ns;

	pthread_mutex_lock(&timer->clock->lock);
	deadline_ns = timer->queued ? timer->deadline_ns : TIMER_NEVER;
	pthread_mutex_unlock(&timer->clock->lock);
	return deadline_ns;
}
