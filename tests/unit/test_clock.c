/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine clock: order of timers, pausing, a time that never goes back, the final word of a
 * cancellation under the owner's lock, and a guest that arms a timer which is always due.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"
#include "base/thread.h"

struct probe {
	struct timer timer;
	struct machine_clock *clock;
	uint64_t fired_at;
	unsigned int fired;
	uint64_t period; /* armed again by itself */
};

static void on_probe(void *opaque)
{
	struct probe *probe = opaque;

	probe->fired++;
	probe->fired_at = machine_clock_now(probe->clock);
	if (probe->period != 0) {
		timer_arm(&probe->timer, probe->fired_at + probe->period);
	}
}

static void probe_init(struct probe *probe, struct machine_clock *clock)
{
	*probe = (struct probe){ .clock = clock };
	timer_init(&probe->timer, clock, NULL, on_probe, probe);
}

static void test_manual(void **state)
{
	struct machine_clock *clock;
	struct probe a;
	struct probe b;

	(void)state;
	assert_int_equal(machine_clock_create(NULL, &clock, NULL), 0);
	assert_int_equal(machine_clock_now(clock), 0);
	probe_init(&a, clock);
	probe_init(&b, clock);
	assert_true(timer_deadline(&a.timer) == TIMER_NEVER);
	timer_arm(&a.timer, 300);
	timer_arm(&b.timer, 200);
	timer_arm(&a.timer, 100);
	assert_int_equal(timer_deadline(&a.timer), 100);
	machine_clock_advance(clock, 99);
	assert_int_equal(a.fired, 0);
	machine_clock_advance(clock, 1);
	assert_int_equal(a.fired, 1);
	assert_int_equal(a.fired_at, 100);
	assert_true(timer_deadline(&a.timer) == TIMER_NEVER);
	timer_cancel(&b.timer);
	machine_clock_advance(clock, 1000);
	assert_int_equal(b.fired, 0);
	assert_int_equal(machine_clock_now(clock), 1100);
	/* One that is past already fires at the next step, at the time that it is then. */
	timer_arm(&a.timer, 5);
	machine_clock_advance(clock, 0);
	assert_int_equal(a.fired_at, 1100);
	timer_finish(&a.timer);
	timer_finish(&b.timer);
	machine_clock_destroy(clock);
	machine_clock_destroy(NULL);
}

static void test_periodic(void **state)
{
	struct machine_clock *clock;
	struct probe probe;

	(void)state;
	assert_int_equal(machine_clock_create(NULL, &clock, NULL), 0);
	probe_init(&probe, clock);
	probe.period = 10;
	timer_arm(&probe.timer, 10);
	machine_clock_advance(clock, 1005);
	assert_int_equal(probe.fired, 100);
	assert_int_equal(probe.fired_at, 1000);
	assert_int_equal(timer_deadline(&probe.timer), 1010);
	timer_finish(&probe.timer);
	machine_clock_destroy(clock);
}

#define MANY 500

struct ordered {
	struct timer timer;
	uint64_t deadline;
	uint64_t *last;
	unsigned int *count;
};

static void on_ordered(void *opaque)
{
	struct ordered *ordered = opaque;

	assert_true(ordered->deadline >= *ordered->last);
	*ordered->last = ordered->deadline;
	(*ordered->count)++;
}

static void shuffle(struct ordered *timers)
{
	unsigned int seed = 1;

	for (size_t i = 0; i < 20 * MANY; i++) {
		struct ordered *ordered = &timers[(size_t)rand_r(&seed) % MANY];

		if (rand_r(&seed) % 4 == 0) {
			timer_cancel(&ordered->timer);
		} else {
			ordered->deadline = (uint64_t)rand_r(&seed) % 10000;
			timer_arm(&ordered->timer, ordered->deadline);
		}
	}
}

/* Random arming, re-arming and cancelling: what fires, fires in order, and nothing is lost. */
static void test_order(void **state)
{
	struct ordered *timers = test_calloc(MANY, sizeof(*timers));
	struct machine_clock *clock;
	unsigned int expected = 0;
	unsigned int count = 0;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(machine_clock_create(NULL, &clock, NULL), 0);
	for (size_t i = 0; i < MANY; i++) {
		timers[i].last = &last;
		timers[i].count = &count;
		timer_init(&timers[i].timer, clock, NULL, on_ordered, &timers[i]);
	}
	shuffle(timers);
	for (size_t i = 0; i < MANY; i++) {
		expected += timer_deadline(&timers[i].timer) != TIMER_NEVER;
	}
	machine_clock_advance(clock, 10000);
	assert_int_equal(count, expected);
	assert_in_range(count, MANY / 2, MANY);
	for (size_t i = 0; i < MANY; i++) {
		timer_finish(&timers[i].timer);
	}
	machine_clock_destroy(clock);
	test_free(timers);
}

static void sleep_us(long us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

static void wait_fired(struct event_loop *loop, struct probe *probe, unsigned int count)
{
	while (probe->fired < count) {
		event_loop_iterate(loop, 1000);
	}
}

static void test_pause(void **state)
{
	struct machine_clock *clock;
	struct event_loop *loop;
	struct probe probe;
	uint64_t now;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	assert_int_equal(machine_clock_create(loop, &clock, NULL), 0);
	probe_init(&probe, clock);
	timer_arm(&probe.timer, 2 * NS_PER_MS);
	sleep_us(4000);
	assert_int_equal(machine_clock_now(clock), 0);
	assert_false(event_loop_iterate(loop, 0));
	machine_clock_resume(clock);
	machine_clock_resume(clock);
	wait_fired(loop, &probe, 1);
	assert_true(probe.fired_at >= 2 * NS_PER_MS);

	machine_clock_pause(clock);
	machine_clock_pause(clock);
	now = machine_clock_now(clock);
	timer_arm(&probe.timer, now + 1);
	sleep_us(2000);
	assert_int_equal(machine_clock_now(clock), now);
	assert_false(event_loop_iterate(loop, 0));

	machine_clock_set(clock, 1000 * NS_PER_S);
	assert_int_equal(machine_clock_now(clock), 1000 * NS_PER_S);
	timer_arm(&probe.timer, 1000 * NS_PER_S + NS_PER_MS);
	machine_clock_resume(clock);
	wait_fired(loop, &probe, 2);
	assert_true(probe.fired_at >= 1000 * NS_PER_S + NS_PER_MS);
	assert_true(probe.fired_at < 1060 * NS_PER_S);
	timer_finish(&probe.timer);
	machine_clock_destroy(clock);
	event_loop_destroy(loop);
}

/* A timer that is always due again must not keep the loop from its other work. */
static void test_storm(void **state)
{
	struct machine_clock *clock;
	struct event_loop *loop;
	struct probe storm;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	assert_int_equal(machine_clock_create(loop, &clock, NULL), 0);
	probe_init(&storm, clock);
	storm.period = 1;
	timer_arm(&storm.timer, 1);
	machine_clock_resume(clock);
	for (unsigned int i = 0; i < 10; i++) {
		event_loop_iterate(loop, 1000);
	}
	assert_true(storm.fired >= 10);
	timer_finish(&storm.timer);
	machine_clock_destroy(clock);
	event_loop_destroy(loop);
}

struct monotony {
	struct machine_clock *clock;
	_Atomic bool stop;
	bool went_back;
};

static void *read_clock(void *opaque)
{
	struct monotony *monotony = opaque;
	uint64_t last = 0;

	while (!monotony->stop) {
		uint64_t now = machine_clock_now(monotony->clock);

		monotony->went_back |= now < last;
		last = now;
	}
	return NULL;
}

static void test_never_back(void **state)
{
	struct monotony monotony = { 0 };
	struct event_loop *loop;
	pthread_t thread;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	assert_int_equal(machine_clock_create(loop, &monotony.clock, NULL), 0);
	assert_int_equal(thread_start("reader", read_clock, &monotony, &thread), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		machine_clock_resume(monotony.clock);
		machine_clock_pause(monotony.clock);
	}
	monotony.stop = true;
	pthread_join(thread, NULL);
	assert_false(monotony.went_back);
	machine_clock_destroy(monotony.clock);
	event_loop_destroy(loop);
}

struct owner {
	pthread_mutex_t lock;
	struct timer timer;
	bool allowed; /* under the lock */
	_Atomic bool wrong;
	unsigned int fired;
};

static void on_owner(void *opaque)
{
	struct owner *owner = opaque;

	owner->wrong = owner->wrong || !owner->allowed;
	owner->fired++;
}

static void arm_and_cancel(struct owner *owner, struct machine_clock *clock, unsigned int spin)
{
	pthread_mutex_lock(&owner->lock);
	owner->allowed = true;
	timer_arm(&owner->timer, machine_clock_now(clock) + spin * 15);
	pthread_mutex_unlock(&owner->lock);
	for (volatile unsigned int i = 0; i < spin; i++) {
	}
	if (spin == 0) {
		sleep_us(200);
	}
	pthread_mutex_lock(&owner->lock);
	timer_cancel(&owner->timer);
	owner->allowed = false;
	pthread_mutex_unlock(&owner->lock);
}

struct destruction {
	struct machine_clock *clock;
	sem_t done;
};

static void run_destruction(void *opaque)
{
	struct destruction *destruction = opaque;

	machine_clock_destroy(destruction->clock);
	sem_post(&destruction->done);
}

static void destroy_on_loop(struct event_loop *loop, struct machine_clock *clock)
{
	struct destruction destruction = { .clock = clock };
	struct event_task task = { .fn = run_destruction, .opaque = &destruction };

	sem_init(&destruction.done, 0, 0);
	event_loop_post(loop, &task);
	while (sem_wait(&destruction.done) < 0) {
	}
	sem_destroy(&destruction.done);
}

/* From another thread than the loop's: a timer cancelled under its lock never fires afterwards, and
 * one that is finished is not touched again. */
static void test_cancel_is_final(void **state)
{
	struct machine_clock *clock;
	struct io_thread *thread;
	unsigned int fired = 0;

	(void)state;
	assert_int_equal(io_thread_create("timers", &thread, NULL), 0);
	assert_int_equal(machine_clock_create(io_thread_loop(thread), &clock, NULL), 0);
	machine_clock_resume(clock);
	for (unsigned int i = 0; i < 300; i++) {
		struct owner *owner = test_calloc(1, sizeof(*owner));

		pthread_mutex_init(&owner->lock, NULL);
		timer_init(&owner->timer, clock, &owner->lock, on_owner, owner);
		for (unsigned int j = 0; j < 10; j++) {
			arm_and_cancel(owner, clock, 200 * j);
		}
		assert_false(owner->wrong);
		timer_arm(&owner->timer, 0);
		timer_finish(&owner->timer);
		fired += owner->fired;
		pthread_mutex_destroy(&owner->lock);
		test_free(owner);
	}
	assert_true(fired > 0);
	destroy_on_loop(io_thread_loop(thread), clock);
	io_thread_destroy(thread);
}

static void test_finish_unused(void **state)
{
	struct timer timer = { 0 };

	(void)state;
	timer_finish(&timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual),		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_order),		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_storm),		cmocka_unit_test(test_never_back),
		cmocka_unit_test(test_cancel_is_final), cmocka_unit_test(test_finish_unused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
