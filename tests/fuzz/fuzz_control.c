/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target of the control socket: arbitrary bytes from a client that has negotiated, in pieces,
 * to a machine that accepts everything.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *status(void *opaque)
{
	(void)opaque;
	return "running";
}

static int accept_call(void *opaque, struct error *err)
{
	(void)opaque;
	(void)err;
	return 0;
}

static void ignore(void *opaque)
{
	(void)opaque;
}

static int accept_file(void *opaque, const char *file, struct error *err)
{
	(void)opaque;
	return strlen(file) > 5 ? error_set(err, EINVAL, "%s: too long", file) : 0;
}

static int accept_set(void *opaque, const char *key, const char *value, struct error *err)
{
	(void)opaque;
	return error_set(err, EINVAL, "%s: %s", key, value);
}

static void ignore_key(void *opaque, unsigned int code, bool down)
{
	(void)opaque;
	(void)code;
	(void)down;
}

static void ignore_button(void *opaque, enum input_button button, bool down)
{
	(void)opaque;
	(void)button;
	(void)down;
}

static void ignore_relative(void *opaque, int dx, int dy)
{
	(void)opaque;
	(void)dx;
	(void)dy;
}

static void ignore_absolute(void *opaque, unsigned int x, unsigned int y)
{
	(void)opaque;
	(void)x;
	(void)y;
}

static const struct control_target_ops ops = {
	.status = status,
	.pause = accept_call,
	.resume = accept_call,
	.reset = accept_call,
	.powerdown = accept_call,
	.quit = ignore,
	.screendump = accept_file,
	.save_state = accept_file,
	.set_config = accept_set,
	.key = ignore_key,
	.button = ignore_button,
	.relative = ignore_relative,
	.absolute = ignore_absolute,
	.sync = ignore,
};

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void converse(struct event_loop *loop, int fd, const uint8_t *data, size_t size)
{
	static const char greeting[] = "{\"execute\":\"qmp_capabilities\"}";
	char reply[65536];

	(void)!write(fd, greeting, sizeof(greeting) - 1);
	while (size > 0) {
		size_t n = MIN(size, (size_t)data[0] + 1);

		(void)!send(fd, data, n, MSG_NOSIGNAL);
		while (event_loop_iterate(loop, 0)) {
		}
		(void)!read(fd, reply, sizeof(reply));
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_target target = { .ops = &ops, .name = "fuzz" };
	struct control_server *server;
	struct event_loop *loop;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/limen-fuzz-control-%d", (int)getpid());
	log_set_levels("error", NULL);
	if (event_loop_create(&loop, NULL) < 0) {
		return 0;
	}
	if (control_server_create(path, loop, &target, &server, NULL) == 0) {
		fd = connect_to(path);
		if (fd >= 0) {
			converse(loop, fd, data, size);
			close(fd);
		}
		control_server_destroy(server);
	}
	event_loop_destroy(loop);
	log_set_levels("warn", NULL);
	return 0;
}
