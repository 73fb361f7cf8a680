/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input of a character stream, at the speed of the client: no more is read than it has room for,
 * and while it has none the descriptor is not watched, so the sender is held back by the host's own
 * flow control. Descriptors that epoll refuses (a file, /dev/null) are read whenever the client has
 * room, a piece for each turn of the loop.
 */

#include "guestlink/char_stream.h"

#include <unistd.h>

#define PIECE 4096

static size_t client_room(const struct char_input *in)
{
	const struct char_client *client = &in->backend->client;

	return client->can_receive ? client->can_receive(client->opaque) : 0;
}

static void end(struct char_input *in)
{
	char_input_stop(in);
	if (in->ended) {
		in->ended(in->opaque);
	}
}

/* Read one piece; whether it is worth coming back soon. */
static bool pump(struct char_input *in)
{
	const struct char_client *client = &in->backend->client;
	size_t room = client_room(in);
	uint8_t data[PIECE];
	ssize_t n;

	if (in->source) {
		event_source_set_events(in->source, room ? EVENT_READ : 0);
	}
	if (room == 0) {
		return false;
	}
	n = read(in->fd, data, MIN(room, sizeof(data)));
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return false;
	}
	if (n <= 0) {
		end(in);
		return false;
	}
	if (in->filter) {
		n = (ssize_t)in->filter(in->opaque, data, (size_t)n);
	}
	if (n > 0) {
		client->receive(client->opaque, data, (size_t)n);
	}
	return true;
}

static void on_readable(void *opaque, int fd, unsigned int events)
{
	struct char_input *in = opaque;

	if (events & EVENT_HANGUP) {
		/* It would be reported again and again; what is still unread can be read as from a
		 * file. */
		event_source_remove(in->source);
		in->source = NULL;
		char_input_ready(in);
		return;
	}
	pump(in);
}

static void on_ready(void *opaque)
{
	struct char_input *in = opaque;

	if (in->fd < 0) {
		return;
	}
	if (in->source) {
		event_source_set_events(in->source, EVENT_READ);
	} else if (pump(in)) {
		event_loop_post(in->loop, &in->task);
	}
}

void char_input_init(struct char_input *in, struct event_loop *loop, struct char_backend *backend)
{
	*in = (struct char_input){
		.loop = loop,
		.backend = backend,
		.task = { .fn = on_ready, .opaque = in },
		.fd = -1,
	};
}

int char_input_start(struct char_input *in, int fd)
{
	int rc = event_loop_add_fd(in->loop, fd, EVENT_READ, on_readable, in, &in->source);

	if (rc < 0 && rc != -EPERM) {
		return rc;
	}
	in->fd = fd;
	char_input_ready(in);
	return 0;
}

void char_input_stop(struct char_input *in)
{
	if (in->loop) {
		event_loop_cancel(in->loop, &in->task);
	}
	event_source_remove(in->source);
	in->source = NULL;
	in->fd = -1;
}

void char_input_ready(struct char_input *in)
{
	event_loop_post(in->loop, &in->task);
}
