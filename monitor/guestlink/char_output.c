/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output of a character stream. A guest's console must never wait for a person, so bytes go into a
 * ring and the loop's thread writes them out; a reader that stays away for a whole ring loses the
 * newest bytes. A burst of single bytes, which is how UARTs write, becomes few system calls.
 *
 * A stream whose reader comes and goes (a socket) keeps the last bytes of the time without one.
 */

#include "guestlink/char_stream.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RING_SIZE ((size_t)1 << 20)
#define FINISH_MS 1000

/* The first bytes of the ring that lie in a row. */
static size_t first_piece(struct char_output *out, const uint8_t **ret_data)
{
	size_t size;

	pthread_mutex_lock(&out->lock);
	size = MIN(out->used, RING_SIZE - out->start);
	*ret_data = out->ring + out->start;
	pthread_mutex_unlock(&out->lock);
	return size;
}

static void consume_locked(struct char_output *out, size_t size)
{
	out->start = (out->start + size) % RING_SIZE;
	out->used -= size;
}

static ssize_t write_piece(struct char_output *out, const uint8_t *data, size_t size)
{
	if (out->is_socket) {
		return send(out->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	return write(out->fd, data, size);
}

/* Write until nothing is left (0) or the descriptor takes no more (-EAGAIN, another error). */
static int write_all(struct char_output *out)
{
	const uint8_t *data;
	size_t size;

	while ((size = first_piece(out, &data)) > 0) {
		ssize_t n = write_piece(out, data, size);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		pthread_mutex_lock(&out->lock);
		consume_locked(out, (size_t)n);
		pthread_mutex_unlock(&out->lock);
	}
	return 0;
}

static void drop_all(struct char_output *out)
{
	pthread_mutex_lock(&out->lock);
	out->used = 0;
	pthread_mutex_unlock(&out->lock);
}

static void on_writable(void *opaque, int fd, unsigned int events)
{
	struct char_output *out = opaque;

	/* Watched only while it is full: one whose reader has gone reports that for ever. */
	event_source_remove(out->source);
	out->source = NULL;
	out->flush.fn(out);
}

static void flush(void *opaque)
{
	struct char_output *out = opaque;
	int rc;

	if (out->fd < 0 || out->source) {
		return;
	}
	rc = write_all(out);
	if (rc == -EAGAIN) {
		rc = event_loop_add_fd(out->loop, out->fd, EVENT_WRITE, on_writable, out,
				       &out->source);
	}
	if (rc < 0) {
		/* The other end is gone for good, or the disk is full: this must not stop the
		 * guest. */
		drop_all(out);
	}
}

/* A pipe whose reader has gone must not end the run. */
static void ignore_broken_pipes(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
		signal(SIGPIPE, SIG_IGN);
	}
}

int char_output_init(struct char_output *out, struct event_loop *loop, size_t keep)
{
	*out = (struct char_output){
		.loop = loop,
		.flush = { .fn = flush, .opaque = out },
		.fd = -1,
		.keep = keep,
	};
	out->ring = malloc(RING_SIZE);
	if (!out->ring) {
		return -ENOMEM;
	}
	pthread_mutex_init(&out->lock, NULL);
	ignore_broken_pipes();
	return 0;
}

void char_output_set_fd(struct char_output *out, int fd, bool is_socket)
{
	event_source_remove(out->source);
	out->source = NULL;
	pthread_mutex_lock(&out->lock);
	out->fd = fd;
	out->is_socket = is_socket;
	if (fd < 0 && out->used > out->keep) {
		consume_locked(out, out->used - out->keep);
	}
	pthread_mutex_unlock(&out->lock);
	if (fd >= 0) {
		event_loop_post(out->loop, &out->flush);
	}
}

size_t char_output_write(struct char_output *out, const uint8_t *data, size_t size)
{
	size_t end;
	size_t first;
	bool has_reader;

	pthread_mutex_lock(&out->lock);
	has_reader = out->fd >= 0;
	if (!has_reader) {
		size = MIN(size, out->keep);
		if (out->used + size > out->keep) {
			consume_locked(out, out->used + size - out->keep);
		}
	}
	size = MIN(size, RING_SIZE - out->used);
	end = (out->start + out->used) % RING_SIZE;
	first = MIN(size, RING_SIZE - end);
	memcpy(out->ring + end, data, first);
	memcpy(out->ring, data + first, size - first);
	out->used += size;
	pthread_mutex_unlock(&out->lock);
	if (has_reader && size) {
		event_loop_post(out->loop, &out->flush);
	}
	return size;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void char_output_finish(struct char_output *out)
{
	int64_t deadline = now_ms() + FINISH_MS;

	if (!out->ring) {
		return;
	}
	event_loop_cancel(out->loop, &out->flush);
	event_source_remove(out->source);
	out->source = NULL;
	while (out->fd >= 0 && write_all(out) == -EAGAIN && now_ms() < deadline) {
		struct pollfd pfd = { .fd = out->fd, .events = POLLOUT };

		poll(&pfd, 1, (int)MAX(deadline - now_ms(), (int64_t)0));
	}
	pthread_mutex_destroy(&out->lock);
	free(out->ring);
	out->ring = NULL;
}
