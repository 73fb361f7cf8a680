/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: readiness, removal at the worst moments, hangups, tasks from the loop and from
 * other threads, and the thread that runs a loop.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/event_loop.h"

struct watch {
	int fds[2];
	struct event_source *source;
	struct event_source *victim; /* removed by the callback */
	unsigned int calls;
	unsigned int events;
};

static void on_ready(void *opaque, int fd, unsigned int events)
{
	struct watch *watch = opaque;
	char byte;

	watch->calls++;
	watch->events = events;
	if (events & EVENT_READ) {
		(void)!read(fd, &byte, 1);
	}
	event_source_remove(watch->victim);
	watch->victim = NULL;
}

static void watch_init(struct watch *watch, struct event_loop *loop)
{
	memset(watch, 0, sizeof(*watch));
	assert_int_equal(pipe(watch->fds), 0);
	assert_int_equal(
		event_loop_add_fd(loop, watch->fds[0], EVENT_READ, on_ready, watch, &watch->source),
		0);
}

static void watch_feed(struct watch *watch)
{
	assert_int_equal(write(watch->fds[1], "x", 1), 1);
}

static void watch_finish(struct watch *watch)
{
	close(watch->fds[0]);
	close(watch->fds[1]);
}

static void test_readiness(void **state)
{
	struct event_loop *loop;
	struct watch watch;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	watch_init(&watch, loop);
	assert_false(event_loop_iterate(loop, 0));
	watch_feed(&watch);
	assert_true(event_loop_iterate(loop, 0));
	assert_int_equal(watch.calls, 1);
	assert_int_equal(watch.events, EVENT_READ);
	assert_false(event_loop_iterate(loop, 0));

	assert_int_equal(event_source_set_events(watch.source, 0), 0);
	watch_feed(&watch);
	assert_false(event_loop_iterate(loop, 0));
	assert_int_equal(event_source_set_events(watch.source, EVENT_READ), 0);
	assert_true(event_loop_iterate(loop, 0));
	assert_int_equal(watch.calls, 2);
	event_source_remove(watch.source);
	watch_feed(&watch);
	assert_false(event_loop_iterate(loop, 0));
	event_source_remove(NULL);
	watch_finish(&watch);
	event_loop_destroy(loop);
	event_loop_destroy(NULL);
}

static void test_hangup(void **state)
{
	struct event_loop *loop;
	struct watch watch;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	watch_init(&watch, loop);
	close(watch.fds[1]);
	assert_true(event_loop_iterate(loop, 0));
	assert_int_equal(watch.events, EVENT_READ | EVENT_HANGUP);
	/* A silenced source does not report its hangup for ever. */
	assert_int_equal(event_source_set_events(watch.source, 0), 0);
	assert_false(event_loop_iterate(loop, 0));
	close(watch.fds[0]);
	event_loop_destroy(loop);
}

/* Two sources ready in one turn, whichever comes first removes the other. */
static void test_remove_other(void **state)
{
	struct event_loop *loop;
	struct watch a;
	struct watch b;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	watch_init(&a, loop);
	watch_init(&b, loop);
	a.victim = b.source;
	b.victim = a.source;
	watch_feed(&a);
	watch_feed(&b);
	assert_true(event_loop_iterate(loop, 0));
	assert_int_equal(a.calls + b.calls, 1);
	assert_false(event_loop_iterate(loop, 0));
	watch_finish(&a);
	watch_finish(&b);
	event_loop_destroy(loop);
}

static void test_remove_self(void **state)
{
	struct event_loop *loop;
	struct watch watch;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	watch_init(&watch, loop);
	watch.victim = watch.source;
	watch_feed(&watch);
	watch_feed(&watch);
	assert_true(event_loop_iterate(loop, 0));
	assert_false(event_loop_iterate(loop, 0));
	assert_int_equal(watch.calls, 1);
	watch_finish(&watch);
	event_loop_destroy(loop);
}

static void test_bad_fd(void **state)
{
	struct event_source *source = NULL;
	struct event_loop *loop;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	assert_int_equal(event_loop_add_fd(loop, -1, EVENT_READ, on_ready, NULL, &source), -EBADF);
	assert_null(source);
	event_loop_destroy(loop);
}

struct chain {
	struct event_loop *loop;
	struct event_task task;
	unsigned int runs;
};

static void run_chain(void *opaque)
{
	struct chain *chain = opaque;

	chain->runs++;
	event_loop_post(chain->loop, &chain->task);
}

static void test_tasks(void **state)
{
	struct chain chain = { 0 };

	(void)state;
	assert_int_equal(event_loop_create(&chain.loop, NULL), 0);
	chain.task = (struct event_task){ .fn = run_chain, .opaque = &chain };
	event_loop_post(chain.loop, &chain.task);
	event_loop_post(chain.loop, &chain.task);
	assert_true(event_loop_iterate(chain.loop, 0));
	/* Posted twice, run once; posted again by itself, run in the next turn. */
	assert_int_equal(chain.runs, 1);
	assert_true(event_loop_iterate(chain.loop, -1));
	assert_int_equal(chain.runs, 2);
	event_loop_cancel(chain.loop, &chain.task);
	event_loop_iterate(chain.loop, 0);
	assert_int_equal(chain.runs, 2);
	event_loop_cancel(chain.loop, &chain.task);
	event_loop_destroy(chain.loop);
}

static void quit_loop(void *opaque)
{
	event_loop_quit(opaque);
}

static void test_quit(void **state)
{
	struct event_task task = { .fn = quit_loop };
	struct event_loop *loop;

	(void)state;
	assert_int_equal(event_loop_create(&loop, NULL), 0);
	task.opaque = loop;
	event_loop_post(loop, &task);
	assert_int_equal(event_loop_run(loop), 0);
	/* Asked for before it runs, it still counts, once. */
	event_loop_quit(loop);
	assert_int_equal(event_loop_run(loop), 0);
	event_loop_destroy(loop);
}

struct crossing {
	struct event_loop *loop;
	struct event_task task;
	sem_t done;
	bool on_loop;
	_Atomic unsigned int runs;
};

static void run_crossing(void *opaque)
{
	struct crossing *crossing = opaque;

	crossing->on_loop = event_loop_is_current(crossing->loop);
	crossing->runs++;
	sem_post(&crossing->done);
}

static void crossing_init(struct crossing *crossing, struct event_loop *loop)
{
	memset(crossing, 0, sizeof(*crossing));
	crossing->loop = loop;
	crossing->task = (struct event_task){ .fn = run_crossing, .opaque = crossing };
	sem_init(&crossing->done, 0, 0);
}

/* Let the loop's thread pass a turn. */
static void crossing_turn(struct crossing *crossing)
{
	event_loop_post(crossing->loop, &crossing->task);
	while (sem_wait(&crossing->done) < 0) {
	}
}

static void test_io_thread(void **state)
{
	struct crossing crossing;
	struct io_thread *thread;

	(void)state;
	assert_int_equal(io_thread_create("test", &thread, NULL), 0);
	crossing_init(&crossing, io_thread_loop(thread));
	assert_false(event_loop_is_current(crossing.loop));
	for (unsigned int i = 0; i < 1000; i++) {
		crossing_turn(&crossing);
	}
	assert_true(crossing.on_loop);
	assert_int_equal(crossing.runs, 1000);
	io_thread_destroy(thread);
	io_thread_destroy(NULL);
	sem_destroy(&crossing.done);
}

/* Sources come and go from here while the loop's thread dispatches them. */
static void test_remove_across(void **state)
{
	struct crossing crossing;
	struct io_thread *thread;

	(void)state;
	assert_int_equal(io_thread_create("test", &thread, NULL), 0);
	crossing_init(&crossing, io_thread_loop(thread));
	for (unsigned int i = 0; i < 300; i++) {
		struct watch *watch = test_calloc(1, sizeof(*watch));

		watch_init(watch, crossing.loop);
		watch_feed(watch);
		event_source_remove(watch->source);
		/* A call under way may still be finishing. */
		crossing_turn(&crossing);
		watch_finish(watch);
		test_free(watch);
	}
	io_thread_destroy(thread);
	sem_destroy(&crossing.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readiness),     cmocka_unit_test(test_hangup),
		cmocka_unit_test(test_remove_other),  cmocka_unit_test(test_remove_self),
		cmocka_unit_test(test_bad_fd),	      cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_quit),	      cmocka_unit_test(test_io_thread),
		cmocka_unit_test(test_remove_across),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
