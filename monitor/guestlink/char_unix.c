/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character stream "unix:PATH": a listening UNIX socket that serves one client at a time; a
 * second one is turned away at once, and when a client goes the next may come. What the guest wrote
 * while nobody was there is kept, up to KEEP bytes, for the next one. The socket file is readable
 * by its owner alone; one that a dead process left behind is replaced, one that is in use is not.
 */

#include "guestlink/char_stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define KEEP ((size_t)64 << 10)

struct char_unix {
	struct char_backend backend;
	struct char_output out;
	struct char_input in;
	struct event_loop *loop;
	struct event_source *listen_source;
	int listen_fd;
	int client_fd;
	int write_fd; /* the same, for the output to watch */
	struct sockaddr_un address;
};

static void tell_client(struct char_unix *un, bool open)
{
	const struct char_client *client = &un->backend.client;

	if (client->hangup) {
		client->hangup(client->opaque, open);
	}
}

static void close_client(void *opaque)
{
	struct char_unix *un = opaque;

	char_input_stop(&un->in);
	char_output_set_fd(&un->out, -1, true);
	close(un->write_fd);
	close(un->client_fd);
	un->write_fd = -1;
	un->client_fd = -1;
	tell_client(un, false);
}

static void on_connect(void *opaque, int fd, unsigned int events)
{
	struct char_unix *un = opaque;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client < 0) {
		return;
	}
	if (un->client_fd >= 0) {
		close(client);
		return;
	}
	un->client_fd = client;
	un->write_fd = fcntl(client, F_DUPFD_CLOEXEC, 3);
	char_output_set_fd(&un->out, un->write_fd, true);
	if (char_input_start(&un->in, client) < 0) {
		close_client(un);
		return;
	}
	tell_client(un, true);
}

static size_t unix_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	return char_output_write(&container_of(backend, struct char_unix, backend)->out, data,
				 size);
}

static void unix_ready(struct char_backend *backend)
{
	char_input_ready(&container_of(backend, struct char_unix, backend)->in);
}

static void unix_attached(struct char_backend *backend)
{
	struct char_unix *un = container_of(backend, struct char_unix, backend);

	tell_client(un, un->client_fd >= 0);
}

static void unix_destroy(struct char_backend *backend)
{
	struct char_unix *un = container_of(backend, struct char_unix, backend);

	char_input_stop(&un->in);
	char_output_finish(&un->out);
	event_source_remove(un->listen_source);
	if (un->client_fd >= 0) {
		close(un->write_fd);
		close(un->client_fd);
	}
	if (un->listen_fd >= 0) {
		unlink(un->address.sun_path);
		close(un->listen_fd);
	}
	free(un);
}

static const struct char_backend_ops unix_ops = {
	.name = "unix",
	.destroy = unix_destroy,
	.write = unix_write,
	.ready = unix_ready,
	.attached = unix_attached,
};

/* Take a socket file away that nobody listens on any more. */
static void remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		return;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return;
	}
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	    errno == ECONNREFUSED) {
		unlink(address->sun_path);
	}
	close(fd);
}

static int listen_on(const struct sockaddr_un *address, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0) {
		return -errno;
	}
	remove_stale(address);
	/* Before it has a name nobody can connect, so the mode is right from the start. */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		rc = -errno;
		goto out_close;
	}
	if (listen(fd, 4) < 0) {
		rc = -errno;
		unlink(address->sun_path);
		goto out_close;
	}
	*ret_fd = fd;
	return 0;

out_close:
	close(fd);
	return rc;
}

int char_unix_create(const char *path, struct event_loop *loop, struct char_backend **ret_backend,
		     struct error *err)
{
	struct char_unix *un;
	int rc;

	if (strlen(path) >= sizeof(un->address.sun_path)) {
		return error_set(err, ENAMETOOLONG, "socket name '%s' is longer than %zu bytes",
				 path, sizeof(un->address.sun_path) - 1);
	}
	un = calloc(1, sizeof(*un));
	if (!un) {
		return error_set(err, ENOMEM, "not enough memory for socket '%s'", path);
	}
	un->backend.ops = &unix_ops;
	un->loop = loop;
	un->listen_fd = -1;
	un->client_fd = -1;
	un->write_fd = -1;
	un->address.sun_family = AF_UNIX;
	memcpy(un->address.sun_path, path, strlen(path));
	char_input_init(&un->in, loop, &un->backend);
	un->in.ended = close_client;
	un->in.opaque = un;
	rc = char_output_init(&un->out, loop, KEEP);
	if (rc == 0) {
		rc = listen_on(&un->address, &un->listen_fd);
	}
	if (rc == 0) {
		rc = event_loop_add_fd(loop, un->listen_fd, EVENT_READ, on_connect, un,
				       &un->listen_source);
	}
	if (rc < 0) {
		unix_destroy(&un->backend);
		return error_set(err, -rc, "cannot listen on '%s': %s", path, strerror(-rc));
	}
	*ret_backend = &un->backend;
	return 0;
}
