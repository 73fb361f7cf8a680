/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_EVENT_LOOP_H
#define LIMEN_BASE_EVENT_LOOP_H

/*
 * A thread's event loop over epoll. The monitor's main thread runs one (timers, sockets, control);
 * an I/O thread runs another. Callbacks run on the loop's thread with no lock held.
 */

#include "base/error.h"
#include "base/list.h"
#include "base/types.h"

struct event_loop;
struct event_source;

enum {
	EVENT_READ = 1 << 0,
	EVENT_WRITE = 1 << 1,
	/* The other side has gone, or an error waits. Never asked for; reported together with what
	 * was asked for, so that the read or write that follows tells which. */
	EVENT_HANGUP = 1 << 2,
};

/** Called when @fd is ready; @events is a set of EVENT_*. May remove any source, its own too. */
typedef void (*event_fn)(void *opaque, int fd, unsigned int events);

/** event_loop_create() - a loop that no thread runs yet. Return: 0 or -errno. */
int event_loop_create(struct event_loop **ret_loop, struct error *err);

/** event_loop_destroy() - free a loop that is not running; removes its sources. NULL is allowed. */
void event_loop_destroy(struct event_loop *loop);

/** event_loop_run() - dispatch until event_loop_quit(). Return: 0, or -errno when epoll fails. */
int event_loop_run(struct event_loop *loop);

/**
 * event_loop_iterate() - dispatch once
 * @timeout_ms: how long to wait for the first event; -1 for ever, 0 not at all
 *
 * Return: whether anything was dispatched. For tests and for draining.
 */
bool event_loop_iterate(struct event_loop *loop, int timeout_ms);

/** event_loop_quit() - make event_loop_run() return soon; any thread, async-signal-safe. */
void event_loop_quit(struct event_loop *loop);

/**
 * event_loop_add_fd() - watch a descriptor
 * @events: set of EVENT_READ and EVENT_WRITE
 *
 * Any thread. The descriptor stays the caller's and must outlive the source. Return: 0 or -errno;
 * -EPERM for a regular file or /dev/null, which are always ready and cannot be watched, -EEXIST
 * when it is being watched already.
 */
int event_loop_add_fd(struct event_loop *loop, int fd, unsigned int events, event_fn fn,
		      void *opaque, struct event_source **ret_source);

/** event_source_set_events() - change what is asked for; 0 silences the source. Loop thread
 *  only. */
int event_source_set_events(struct event_source *source, unsigned int events);

/** event_source_remove() - stop watching and free; NULL is allowed. On return on the loop's thread
 *  the callback will not run again; from another thread a call under way may still be finishing. */
void event_source_remove(struct event_source *source);

/** event_source_remove_wait() - the same, and from another thread wait for a call under way: on
 *  return none runs nor will. Not with a lock held that the callback takes. */
void event_source_remove_wait(struct event_source *source);

/**
 * struct event_task - work to be done on the loop's thread, embedded in its owner (no allocation)
 * @fn: what to call
 * @opaque: its argument
 */
struct event_task {
	void (*fn)(void *opaque);
	void *opaque;
	struct list node;
	bool queued;
};

/** event_loop_post() - run @task->fn once on the loop's thread, soon. Any thread. Posting a task
 *  that is still queued does nothing. */
void event_loop_post(struct event_loop *loop, struct event_task *task);

/** event_loop_cancel() - take @task back if it has not started. Any thread. */
void event_loop_cancel(struct event_loop *loop, struct event_task *task);

/** event_loop_is_current() - whether the caller runs on the loop's thread. */
bool event_loop_is_current(struct event_loop *loop);

/**
 * struct io_thread - a named thread that runs a loop of its own
 */
struct io_thread;
int io_thread_create(const char *name, struct io_thread **ret_thread, struct error *err);
struct event_loop *io_thread_loop(struct io_thread *thread);
void io_thread_destroy(struct io_thread *thread);

#endif
