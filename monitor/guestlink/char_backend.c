/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character streams between the host and the guest: which kind a specification asks for, and the
 * kind that goes nowhere. The others are in files of their own.
 */

#include "guestlink/char_backend.h"

#include <stdlib.h>

#include "guestlink/char_stream.h"

static size_t none_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	return size;
}

static void none_ready(struct char_backend *backend)
{
}

static void none_destroy(struct char_backend *backend)
{
	free(backend);
}

static const struct char_backend_ops none_ops = {
	.name = "none",
	.destroy = none_destroy,
	.write = none_write,
	.ready = none_ready,
};

static int none_create(struct char_backend **ret_backend, struct error *err)
{
	struct char_backend *backend = calloc(1, sizeof(*backend));

	if (!backend) {
		return error_set(err, ENOMEM, "not enough memory for a serial port");
	}
	backend->ops = &none_ops;
	*ret_backend = backend;
	return 0;
}

int char_backend_create(const char *spec, struct event_loop *loop, void (*on_quit)(void *opaque),
			void *opaque, struct char_backend **ret_backend, struct error *err)
{
	if (strcmp(spec, "stdio") == 0) {
		return char_stdio_create(loop, on_quit, opaque, ret_backend, err);
	}
	if (strcmp(spec, "none") == 0) {
		return none_create(ret_backend, err);
	}
	if (strncmp(spec, "file:", 5) == 0 && spec[5]) {
		return char_file_create(spec + 5, loop, ret_backend, err);
	}
	if (strncmp(spec, "unix:", 5) == 0 && spec[5]) {
		return char_unix_create(spec + 5, loop, ret_backend, err);
	}
	return error_set(err, EINVAL, "'%s' is not one of stdio, none, file:PATH, unix:PATH", spec);
}

void char_backend_destroy(struct char_backend *backend)
{
	if (backend) {
		backend->ops->destroy(backend);
	}
}

void char_backend_set_client(struct char_backend *backend, const struct char_client *client)
{
	backend->client = *client;
	if (backend->ops->attached) {
		backend->ops->attached(backend);
	}
	/* What has arrived already can now be taken. */
	backend->ops->ready(backend);
}

size_t char_backend_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	return backend->ops->write(backend, data, size);
}

void char_backend_ready(struct char_backend *backend)
{
	backend->ops->ready(backend);
}
