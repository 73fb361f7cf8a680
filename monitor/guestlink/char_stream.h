/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_GUESTLINK_CHAR_STREAM_H
#define LIMEN_GUESTLINK_CHAR_STREAM_H

/*
 * What the kinds of character streams share: buffered output to a descriptor that must not block
 * anybody, and input from one at the speed of the client. Private to guestlink.
 */

#include <pthread.h>

#include "base/event_loop.h"
#include "guestlink/char_backend.h"

/**
 * struct char_output - bytes on their way to a descriptor
 *
 * Appended by any thread, written by the loop's. What does not fit into the buffer is dropped.
 * @lock: guards the ring; never held while writing
 * @keep: while there is no descriptor, keep the last so many bytes for the one to come
 */
struct char_output {
	struct event_loop *loop;
	struct event_task flush;
	struct event_source *source;
	int fd;
	bool is_socket;
	pthread_mutex_t lock;
	uint8_t *ring;
	size_t start;
	size_t used;
	size_t keep;
};

/** char_output_init() - no descriptor yet. Return: 0 or -ENOMEM. */
int char_output_init(struct char_output *out, struct event_loop *loop, size_t keep);

/** char_output_set_fd() - where bytes go from now on, -1 for nowhere; loop thread. The descriptor
 *  stays the caller's, should be non-blocking, and is not the one that an input reads. */
void char_output_set_fd(struct char_output *out, int fd, bool is_socket);

size_t char_output_write(struct char_output *out, const uint8_t *data, size_t size);

/** char_output_finish() - write what is left, for at most a second, and free. */
void char_output_finish(struct char_output *out);

/**
 * struct char_input - bytes from a descriptor to the client
 * @filter: takes out what is not for the client, in place; returns how many bytes are left; may be
 *          NULL
 * @ended: end of file or an error; the input has stopped; may be NULL
 * @source: NULL where epoll does not take the descriptor (files, /dev/null) or it has hung up
 */
struct char_input {
	struct event_loop *loop;
	struct char_backend *backend;
	size_t (*filter)(void *opaque, uint8_t *data, size_t size);
	void (*ended)(void *opaque);
	void *opaque;
	struct event_source *source;
	struct event_task task;
	int fd;
};

/** char_input_init() - no descriptor yet; the callbacks may be set afterwards. */
void char_input_init(struct char_input *in, struct event_loop *loop, struct char_backend *backend);

/** char_input_start() - read from @fd; loop thread. */
int char_input_start(struct char_input *in, int fd);
void char_input_stop(struct char_input *in);

/** char_input_ready() - the client has room; any thread. */
void char_input_ready(struct char_input *in);

/* ------- the kinds ------- */

int char_stdio_create(struct event_loop *loop, void (*on_quit)(void *opaque), void *opaque,
		      struct char_backend **ret_backend, struct error *err);
int char_file_create(const char *path, struct event_loop *loop, struct char_backend **ret_backend,
		     struct error *err);
int char_unix_create(const char *path, struct event_loop *loop, struct char_backend **ret_backend,
		     struct error *err);

/** char_terminal_enter() - put the terminal on descriptor @fd into raw mode; restored by
 *  char_terminal_leave(), at exit, and when a fatal signal ends the process. Main thread. */
int char_terminal_enter(int fd);
void char_terminal_leave(void);

#endif
