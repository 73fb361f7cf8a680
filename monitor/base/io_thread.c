/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that runs an event loop. The loop is made on the thread itself, so that
 * event_loop_is_current() is right from the first moment; the creator waits for it.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/event_loop.h"
#include "base/thread.h"

struct io_thread {
	pthread_t thread;
	struct event_loop *loop;
	sem_t ready;
	struct error error;
};

static void *io_thread_main(void *opaque)
{
	struct io_thread *thread = opaque;
	int r = event_loop_create(&thread->loop, &thread->error);

	sem_post(&thread->ready);
	if (r == 0) {
		event_loop_run(thread->loop);
	}
	return NULL;
}

int io_thread_create(const char *name, struct io_thread **ret_thread, struct error *err)
{
	struct io_thread *thread = calloc(1, sizeof(*thread));
	int r;

	if (thread == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	sem_init(&thread->ready, 0, 0);
	r = thread_start(name, io_thread_main, thread, &thread->thread);
	if (r < 0) {
		error_set(err, -r, "cannot start thread '%s': %s", name, strerror(-r));
		goto out_free;
	}
	while (sem_wait(&thread->ready) < 0 && errno == EINTR) {
	}
	if (thread->loop == NULL) {
		pthread_join(thread->thread, NULL);
		r = error_set(err, thread->error.code, "%s", thread->error.text);
		goto out_free;
	}
	*ret_thread = thread;
	return 0;

out_free:
	sem_destroy(&thread->ready);
	free(thread);
	return r;
}

struct event_loop *io_thread_loop(struct io_thread *thread)
{
	return thread->loop;
}

void io_thread_destroy(struct io_thread *thread)
{
	if (thread == NULL) {
		return;
	}
	event_loop_quit(thread->loop);
	pthread_join(thread->thread, NULL);
	event_loop_destroy(thread->loop);
	sem_destroy(&thread->ready);
	free(thread);
}
