/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event loop over epoll(7), with an eventfd to wake it from other threads.
 *
 * The difficulty is removal: epoll_wait() may already have returned a source that a callback or
 * another thread then removes. A removed source is therefore taken out of epoll at once, marked
 * dead, and kept in a list of dead ones until the batch of events in which it may still occur has
 * been gone through.
 *
 * Tasks are run after the descriptors of each turn, as many as were queued when the turn began, so
 * that tasks that post one another cannot starve the descriptors.
 */

#include "base/event_loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_TURN 32

struct event_source {
	struct event_loop *loop;
	int fd;
	event_fn fn;
	void *opaque;
	unsigned int events; /* loop thread only, after creation */
	bool in_epoll;
	_Atomic bool dead;
	struct list node; /* in loop->sources or loop->dead; under loop->lock */
};

struct event_loop {
	int epoll_fd;
	int wake_fd;
	_Atomic bool quit;
	_Atomic pthread_t thread;
	pthread_mutex_t lock; /* guards the lists and tasks; no callback runs under it */
	struct list sources;
	struct list dead;
	struct list tasks;
	size_t task_count;
	struct event_source *calling; /* whose callback runs now; under lock */
	pthread_cond_t called;	      /* it has returned */
};

static void wake(struct event_loop *loop)
{
	uint64_t one = 1;
	ssize_t n;

	/* EAGAIN means that the counter is already at its end: the loop is awake. */
	do {
		n = write(loop->wake_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

int event_loop_create(struct event_loop **ret_loop, struct error *err)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	if (loop == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		r = error_set(err, errno, "cannot create an epoll instance: %s", strerror(errno));
		goto out_free;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		r = error_set(err, errno, "cannot create an eventfd: %s", strerror(errno));
		goto out_close_epoll;
	}
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
		r = error_set(err, errno, "cannot watch an eventfd: %s", strerror(errno));
		goto out_close_wake;
	}
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	atomic_store(&loop->thread, pthread_self());
	list_init(&loop->sources);
	list_init(&loop->dead);
	list_init(&loop->tasks);
	*ret_loop = loop;
	return 0;

out_close_wake:
	close(loop->wake_fd);
out_close_epoll:
	close(loop->epoll_fd);
out_free:
	free(loop);
	return r;
}

static void free_sources(struct list *head)
{
	list_for_each(node, head)
	{
		list_remove(node);
		free(container_of(node, struct event_source, node));
	}
}

void event_loop_destroy(struct event_loop *loop)
{
	if (loop == NULL) {
		return;
	}
	free_sources(&loop->sources);
	free_sources(&loop->dead);
	list_for_each(node, &loop->tasks)
	{
		list_remove(node);
		container_of(node, struct event_task, node)->queued = false;
	}
	close(loop->wake_fd);
	close(loop->epoll_fd);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

static uint32_t epoll_events_of(unsigned int events)
{
	return ((events & EVENT_READ) ? EPOLLIN : 0u) | ((events & EVENT_WRITE) ? EPOLLOUT : 0u);
}

static int update_epoll(struct event_source *source, unsigned int events)
{
	struct epoll_event event = { .events = epoll_events_of(events), .data.ptr = source };
	int op = source->in_epoll ? (events != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_DEL) : EPOLL_CTL_ADD;

	if (events == 0 && !source->in_epoll) {
		return 0;
	}
	if (epoll_ctl(source->loop->epoll_fd, op, source->fd, &event) < 0) {
		return -errno;
	}
	/*
	 * A silent source is out of epoll altogether, which would still report a hangup, over and
	 * over.
	 */
	source->in_epoll = events != 0;
	return 0;
}

int event_loop_add_fd(struct event_loop *loop, int fd, unsigned int events, event_fn fn,
		      void *opaque, struct event_source **ret_source)
{
	struct event_source *source = calloc(1, sizeof(*source));
	int r;

	if (source == NULL) {
		return -ENOMEM;
	}
	source->loop = loop;
	source->fd = fd;
	source->fn = fn;
	source->opaque = opaque;
	source->events = events;
	pthread_mutex_lock(&loop->lock);
	r = update_epoll(source, events);
	if (r == 0) {
		list_append(&loop->sources, &source->node);
		/* Before the lock goes: the callback may use it at once on the loop's thread. */
		*ret_source = source;
	}
	pthread_mutex_unlock(&loop->lock);
	if (r < 0) {
		free(source);
	}
	return r;
}

int event_source_set_events(struct event_source *source, unsigned int events)
{
	int r;

	if (source->events == events) {
		return 0;
	}
	pthread_mutex_lock(&source->loop->lock);
	r = update_epoll(source, events);
	if (r == 0) {
		source->events = events;
	}
	pthread_mutex_unlock(&source->loop->lock);
	return r;
}

static void remove_locked(struct event_source *source)
{
	update_epoll(source, 0);
	atomic_store(&source->dead, true);
	list_remove(&source->node);
	list_append(&source->loop->dead, &source->node);
}

void event_source_remove(struct event_source *source)
{
	struct event_loop *loop;

	if (source == NULL) {
		return;
	}
	loop = source->loop;
	pthread_mutex_lock(&loop->lock);
	remove_locked(source);
	pthread_mutex_unlock(&loop->lock);
}

void event_source_remove_wait(struct event_source *source)
{
	struct event_loop *loop;

	if (source == NULL) {
		return;
	}
	loop = source->loop;
	pthread_mutex_lock(&loop->lock);
	remove_locked(source);
	/* The source may be freed while this waits: it is only compared. */
	while (loop->calling == source && !event_loop_is_current(loop)) {
		pthread_cond_wait(&loop->called, &loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void drain_wake(struct event_loop *loop)
{
	uint64_t count;

	while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR) {
	}
}

/** begin_call() - false for a source that an earlier callback of this turn, or another thread, has
 *  removed or silenced. */
static bool begin_call(struct event_source *source)
{
	struct event_loop *loop = source->loop;
	bool alive;

	pthread_mutex_lock(&loop->lock);
	alive = !atomic_load(&source->dead) && source->events != 0;
	if (alive) {
		loop->calling = source;
	}
	pthread_mutex_unlock(&loop->lock);
	return alive;
}

static void end_call(struct event_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->calling = NULL;
	pthread_cond_broadcast(&loop->called);
	pthread_mutex_unlock(&loop->lock);
}

static void dispatch_source(struct event_source *source, uint32_t revents)
{
	struct event_loop *loop = source->loop;
	unsigned int events = 0;

	if (!begin_call(source)) {
		return;
	}
	events |= (revents & EPOLLIN) ? EVENT_READ : 0;
	events |= (revents & EPOLLOUT) ? EVENT_WRITE : 0;
	if (revents & (EPOLLERR | EPOLLHUP)) {
		/*
		 * Also as what was asked for: the read or write that follows then tells the reason.
		 */
		events |= EVENT_HANGUP | source->events;
	}
	source->fn(source->opaque, source->fd, events);
	end_call(loop);
}

static bool run_tasks(struct event_loop *loop)
{
	bool any = false;
	size_t left;

	pthread_mutex_lock(&loop->lock);
	for (left = loop->task_count; left > 0 && !list_empty(&loop->tasks); left--) {
		struct event_task *task =
			container_of(list_first(&loop->tasks), struct event_task, node);
		void (*fn)(void *opaque) = task->fn;
		void *opaque = task->opaque;

		list_remove(&task->node);
		task->queued = false;
		loop->task_count--;
		pthread_mutex_unlock(&loop->lock);
		/* The task's owner may be gone from here on: only the copies are used. */
		fn(opaque);
		any = true;
		pthread_mutex_lock(&loop->lock);
	}
	if (!list_empty(&loop->tasks)) {
		wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	return any;
}

static int run_turn(struct event_loop *loop, int timeout_ms, bool *ret_any)
{
	struct epoll_event events[EVENTS_PER_TURN];
	bool any = false;
	int n;

	n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
	if (n < 0) {
		*ret_any = false;
		return errno == EINTR ? 0 : -errno;
	}
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL) {
			drain_wake(loop);
		} else {
			dispatch_source(events[i].data.ptr, events[i].events);
			any = true;
		}
	}
	any |= run_tasks(loop);
	pthread_mutex_lock(&loop->lock);
	free_sources(&loop->dead);
	pthread_mutex_unlock(&loop->lock);
	*ret_any = any;
	return 0;
}

bool event_loop_iterate(struct event_loop *loop, int timeout_ms)
{
	bool any;

	atomic_store(&loop->thread, pthread_self());
	run_turn(loop, timeout_ms, &any);
	return any;
}

int event_loop_run(struct event_loop *loop)
{
	bool any;
	int r = 0;

	atomic_store(&loop->thread, pthread_self());
	while (r == 0 && !atomic_load(&loop->quit)) {
		r = run_turn(loop, -1, &any);
	}
	atomic_store(&loop->quit, false);
	return r;
}

void event_loop_quit(struct event_loop *loop)
{
	int saved_errno = errno;

	atomic_store(&loop->quit, true);
	wake(loop);
	errno = saved_errno;
}

void event_loop_post(struct event_loop *loop, struct event_task *task)
{
	pthread_mutex_lock(&loop->lock);
	if (!task->queued) {
		bool first = list_empty(&loop->tasks);

		task->queued = true;
		list_append(&loop->tasks, &task->node);
		loop->task_count++;
		if (first) {
			wake(loop);
		}
	}
	pthread_mutex_unlock(&loop->lock);
}

void event_loop_cancel(struct event_loop *loop, struct event_task *task)
{
	pthread_mutex_lock(&loop->lock);
	if (task->queued) {
		list_remove(&task->node);
		task->queued = false;
		loop->task_count--;
	}
	pthread_mutex_unlock(&loop->lock);
}

bool event_loop_is_current(struct event_loop *loop)
{
	return pthread_equal(atomic_load(&loop->thread), pthread_self());
}
