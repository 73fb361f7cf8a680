/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character stream "file:PATH": what the guest writes goes to a file, which is created, or
 * emptied if it is there. PATH may also be a named pipe that has a reader, or a terminal device.
 * The guest reads nothing from it.
 */

#include "guestlink/char_stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct char_file {
	struct char_backend backend;
	struct char_output out;
	int fd;
};

static size_t file_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	return char_output_write(&container_of(backend, struct char_file, backend)->out, data,
				 size);
}

static void file_ready(struct char_backend *backend)
{
}

static void file_destroy(struct char_backend *backend)
{
	struct char_file *file = container_of(backend, struct char_file, backend);

	char_output_finish(&file->out);
	close(file->fd);
	free(file);
}

static const struct char_backend_ops file_ops = {
	.name = "file",
	.destroy = file_destroy,
	.write = file_write,
	.ready = file_ready,
};

int char_file_create(const char *path, struct event_loop *loop, struct char_backend **ret_backend,
		     struct error *err)
{
	struct char_file *file = calloc(1, sizeof(*file));
	int rc = -ENOMEM;

	if (!file) {
		goto out;
	}
	file->backend.ops = &file_ops;
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			0666);
	if (file->fd < 0) {
		rc = -errno;
		goto out_free;
	}
	rc = char_output_init(&file->out, loop, 0);
	if (rc < 0) {
		goto out_close;
	}
	char_output_set_fd(&file->out, file->fd, false);
	*ret_backend = &file->backend;
	return 0;

out_close:
	close(file->fd);
out_free:
	free(file);
out:
	return error_set(err, -rc, "cannot write to '%s': %s", path, strerror(-rc));
}
