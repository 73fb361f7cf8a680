/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_GUESTLINK_CHAR_BACKEND_H
#define LIMEN_GUESTLINK_CHAR_BACKEND_H

/*
 * Byte streams between the host and a guest's serial ports and consoles: a terminal, a file, a UNIX
 * socket.
 */

#include "base/error.h"
#include "base/event_loop.h"
#include "base/types.h"

struct char_backend;

/**
 * struct char_client - the device at the guest's end; called on the loop's thread, no lock held
 * @can_receive: how many bytes receive() takes now; 0 stops reading the host until
 *               char_backend_ready()
 * @receive: bytes from the host; at most what can_receive() said
 * @hangup: the other side came (@open) or went; optional
 */
struct char_client {
	size_t (*can_receive)(void *opaque);
	void (*receive)(void *opaque, const uint8_t *data, size_t size);
	void (*hangup)(void *opaque, bool open);
	void *opaque;
};

/**
 * struct char_backend_ops - a kind of stream; see the functions below
 * @attached: a client was set: tell it whether somebody is there now; optional, absent where there
 *            always is
 */
struct char_backend_ops {
	const char *name;
	void (*destroy)(struct char_backend *backend);
	size_t (*write)(struct char_backend *backend, const uint8_t *data, size_t size);
	void (*ready)(struct char_backend *backend);
	void (*attached)(struct char_backend *backend);
};

/** struct char_backend - base of every stream, first member of its struct. */
struct char_backend {
	const struct char_backend_ops *ops;
	struct char_client client;
};

/**
 * char_backend_create() - open a stream
 * @spec: "stdio", "none", "file:PATH", "unix:PATH"
 * @on_quit: called on the loop's thread when the user typed Ctrl-A X (stdio)
 */
int char_backend_create(const char *spec, struct event_loop *loop, void (*on_quit)(void *opaque),
			void *opaque, struct char_backend **ret_backend, struct error *err);
void char_backend_destroy(struct char_backend *backend);
void char_backend_set_client(struct char_backend *backend, const struct char_client *client);

/**
 * char_backend_write() - bytes from the guest; any thread; never blocks
 *
 * Return: how many were taken. A reader that does not read has a bounded buffer; past it bytes are
 * dropped for sockets and waited for by nobody: a guest's console output must never stop the guest.
 */
size_t char_backend_write(struct char_backend *backend, const uint8_t *data, size_t size);

/** char_backend_ready() - the client can receive again; any thread. */
void char_backend_ready(struct char_backend *backend);

#endif
