/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_VIRTIO_CONSOLE_FUZZ_H
#define LIMEN_TESTS_VIRTIO_CONSOLE_FUZZ_H

/* A stream for fuzz targets of virtio-console, whose four queues suit tests of the rings too. */

#include "fuzz/virtio_fuzz.h"
#include "guestlink/char_backend.h"

static size_t stream_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	uint8_t copy[65536];

	/* Reads all of it, so that the sanitizer sees it. */
	memcpy(copy, data, MIN(size, sizeof(copy)));
	return size;
}

static void stream_ready(struct char_backend *backend)
{
}

static const struct char_backend_ops stream_ops = {
	.name = "fuzz",
	.write = stream_write,
	.ready = stream_ready,
};

static struct char_backend stream = { .ops = &stream_ops };

static void plug_stream(struct fake_machine *fm, struct device_env *env)
{
	env->chr = &stream;
}

static void stream_event(struct fake_machine *fm, uint8_t a, uint8_t b)
{
	const struct char_client *client = &stream.client;
	uint8_t bytes[256];

	memset(bytes, b, sizeof(bytes));
	if (a == 0) {
		client->hangup(client->opaque, b & 1);
	} else {
		size_t room = client->can_receive(client->opaque);

		client->receive(client->opaque, bytes, MIN(room, (size_t)a));
	}
}

#endif
