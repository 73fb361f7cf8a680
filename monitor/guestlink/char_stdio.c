/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character stream "stdio": the terminal, or whatever standard input and output are (pipes,
 * files, nothing). Ctrl-A is its escape: Ctrl-A X ends the run, Ctrl-A Ctrl-A sends one Ctrl-A,
 * Ctrl-A H says so, any other key after it is dropped.
 *
 * Standard output is shared with the shell and with children, so it is not set non-blocking; a
 * terminal or pipe is opened a second time for that. End of input only ends the input.
 */

#include "guestlink/char_stream.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CTRL_A 1

/**
 * struct char_stdio - the stream
 * @own_fd: standard output opened again, or -1
 * @escaped: the last byte was Ctrl-A
 */
struct char_stdio {
	struct char_backend backend;
	struct char_output out;
	struct char_input in;
	int own_fd;
	bool escaped;
	bool quitting;
	void (*on_quit)(void *opaque);
	void *opaque;
};

/* There is one standard input in a process. */
static _Atomic bool stdio_taken;

static void say_help(struct char_stdio *stdio)
{
	static const char help[] = "\r\nCtrl-A X  end the run\r\n"
				   "Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

	char_output_write(&stdio->out, (const uint8_t *)help, sizeof(help) - 1);
}

/* Whether @byte, which follows a Ctrl-A, is for the guest. */
static bool escape_command(struct char_stdio *stdio, uint8_t byte)
{
	switch (byte) {
	case CTRL_A:
		return true;
	case 'x':
	case 'X':
		if (!stdio->quitting && stdio->on_quit) {
			stdio->quitting = true;
			stdio->on_quit(stdio->opaque);
		}
		return false;
	case 'h':
	case 'H':
	case '?':
		say_help(stdio);
		return false;
	default:
		return false;
	}
}

static size_t filter_escapes(void *opaque, uint8_t *data, size_t size)
{
	struct char_stdio *stdio = opaque;
	size_t kept = 0;

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = data[i];

		if (stdio->escaped) {
			stdio->escaped = false;
			if (escape_command(stdio, byte)) {
				data[kept++] = byte;
			}
		} else if (byte == CTRL_A) {
			stdio->escaped = true;
		} else {
			data[kept++] = byte;
		}
	}
	return kept;
}

static size_t stdio_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	return char_output_write(&container_of(backend, struct char_stdio, backend)->out, data,
				 size);
}

static void stdio_ready(struct char_backend *backend)
{
	char_input_ready(&container_of(backend, struct char_stdio, backend)->in);
}

static void stdio_destroy(struct char_backend *backend)
{
	struct char_stdio *stdio = container_of(backend, struct char_stdio, backend);

	char_input_stop(&stdio->in);
	char_output_finish(&stdio->out);
	char_terminal_leave();
	if (stdio->own_fd >= 0) {
		close(stdio->own_fd);
	}
	free(stdio);
	atomic_store(&stdio_taken, false);
}

static const struct char_backend_ops stdio_ops = {
	.name = "stdio",
	.destroy = stdio_destroy,
	.write = stdio_write,
	.ready = stdio_ready,
};

static void start_output(struct char_stdio *stdio)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0) {
		return; /* closed: output goes nowhere */
	}
	if (S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)) {
		stdio->own_fd = open("/proc/self/fd/1",
				     O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	char_output_set_fd(&stdio->out, stdio->own_fd >= 0 ? stdio->own_fd : STDOUT_FILENO,
			   S_ISSOCK(st.st_mode));
}

/* A job in the background may neither read the terminal nor change it. */
static int start_input(struct char_stdio *stdio)
{
	if (fcntl(STDIN_FILENO, F_GETFD) < 0) {
		return 0;
	}
	if (isatty(STDIN_FILENO)) {
		int rc;

		if (tcgetpgrp(STDIN_FILENO) != getpgrp()) {
			return 0;
		}
		rc = char_terminal_enter(STDIN_FILENO);
		if (rc < 0) {
			return rc;
		}
	}
	return char_input_start(&stdio->in, STDIN_FILENO);
}

int char_stdio_create(struct event_loop *loop, void (*on_quit)(void *opaque), void *opaque,
		      struct char_backend **ret_backend, struct error *err)
{
	struct char_stdio *stdio;
	int rc = -ENOMEM;

	if (atomic_exchange(&stdio_taken, true)) {
		return error_set(err, EBUSY,
				 "stdio is taken by another serial port or console; use file: or "
				 "unix:");
	}
	stdio = calloc(1, sizeof(*stdio));
	if (!stdio) {
		goto out_release;
	}
	stdio->backend.ops = &stdio_ops;
	stdio->own_fd = -1;
	stdio->on_quit = on_quit;
	stdio->opaque = opaque;
	char_input_init(&stdio->in, loop, &stdio->backend);
	stdio->in.filter = filter_escapes;
	stdio->in.opaque = stdio;
	rc = char_output_init(&stdio->out, loop, 0);
	if (rc < 0) {
		goto out_free;
	}
	start_output(stdio);
	rc = start_input(stdio);
	if (rc < 0) {
		stdio_destroy(&stdio->backend);
		return error_set(err, -rc, "cannot use standard input: %s", strerror(-rc));
	}
	*ret_backend = &stdio->backend;
	return 0;

out_free:
	free(stdio);
out_release:
	atomic_store(&stdio_taken, false);
	return error_set(err, -rc, "cannot use standard input and output: %s", strerror(-rc));
}
