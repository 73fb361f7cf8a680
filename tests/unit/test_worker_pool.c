/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker pool: every job runs once, its completion on its loop's thread, jobs run at the same
 * time up to the number of threads, and destroying the pool finishes what is queued.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/worker_pool.h"

#define JOBS 200

struct test_job {
	struct worker_job job;
	struct event_loop *loop;
	pthread_t worker;
	_Atomic unsigned int worked;
	unsigned int done;
	bool done_on_loop;
	pthread_barrier_t *barrier;
};

static void job_work(struct worker_job *job)
{
	struct test_job *test = container_of(job, struct test_job, job);

	test->worker = pthread_self();
	test->worked++;
	if (test->barrier != NULL) {
		pthread_barrier_wait(test->barrier);
	}
}

static void job_done(struct worker_job *job)
{
	struct test_job *test = container_of(job, struct test_job, job);

	test->done++;
	test->done_on_loop = event_loop_is_current(test->loop);
}

static unsigned int count_done(const struct test_job *jobs)
{
	unsigned int done = 0;

	for (size_t i = 0; i < JOBS; i++) {
		done += jobs[i].done;
	}
	return done;
}

static void test_all_complete(void **state)
{
	struct test_job *jobs = test_calloc(JOBS, sizeof(*jobs));
	struct worker_pool *pool;
	struct event_loop *loop;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	assert_int_equal(worker_pool_create("test", 3, &pool, NULL), 0);
	for (size_t i = 0; i < JOBS; i++) {
		jobs[i].loop = loop;
		jobs[i].job.work = job_work;
		jobs[i].job.done = job_done;
		jobs[i].job.loop = loop;
		worker_pool_submit(pool, &jobs[i].job);
	}
	while (count_done(jobs) < JOBS) {
		event_loop_iterate(loop, 1000);
	}
	for (size_t i = 0; i < JOBS; i++) {
		assert_int_equal(jobs[i].worked, 1);
		assert_int_equal(jobs[i].done, 1);
		assert_true(jobs[i].done_on_loop);
		assert_false(pthread_equal(jobs[i].worker, pthread_self()));
	}
	worker_pool_destroy(pool);
	event_loop_destroy(loop);
	test_free(jobs);
}

/* Three jobs that wait for one another can only end when three threads serve them. */
static void test_parallel(void **state)
{
	struct test_job jobs[3] = { 0 };
	pthread_barrier_t barrier;
	struct worker_pool *pool;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 3);
	assert_int_equal(worker_pool_create("test", 3, &pool, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i].barrier = &barrier;
		jobs[i].job.work = job_work;
		worker_pool_submit(pool, &jobs[i].job);
	}
	worker_pool_destroy(pool);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		assert_int_equal(jobs[i].worked, 1);
	}
	pthread_barrier_destroy(&barrier);
}

static void test_unused(void **state)
{
	struct worker_pool *pool;

	(void)state;
	assert_int_equal(worker_pool_create("a name that is too long", 2, &pool, NULL), 0);
	worker_pool_destroy(pool);
	worker_pool_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_complete),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_unused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
