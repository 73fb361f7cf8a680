/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomic replacement of a file: temporary name, fsync, rename, fsync of the folder (without the
 * last, the old name could come back after a power failure).
 */

#include "base/file_replace.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_target(const char *path, char **ret_target, struct error *err)
{
	struct stat st;
	char *target;

	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode)) {
			return error_set(err, EINVAL, "%s: exists and is not a regular file", path);
		}
		target = realpath(path, NULL);
	} else {
		target = strdup(path);
	}
	if (target == NULL) {
		return error_set(err, errno, "%s: %s", path, strerror(errno));
	}
	*ret_target = target;
	return 0;
}

int file_replace_begin(struct file_replace *file, const char *path, mode_t mode, struct error *err)
{
	mode_t mask;
	int r;

	*file = (struct file_replace){ .fd = -1 };
	r = check_target(path, &file->path, err);
	if (r < 0) {
		return r;
	}
	if (asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
		file->temporary = NULL;
		r = error_set(err, ENOMEM, "out of memory");
		goto out_abort;
	}
	file->fd = mkostemp(file->temporary, O_CLOEXEC);
	if (file->fd < 0) {
		r = error_set(err, errno, "%s: cannot create: %s", path, strerror(errno));
		free(file->temporary);
		file->temporary = NULL;
		goto out_abort;
	}
	mask = umask(0);
	umask(mask);
	fchmod(file->fd, mode & ~mask);
	return 0;

out_abort:
	file_replace_abort(file);
	return r;
}

static void sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (copy == NULL) {
		return;
	}
	/*
	 * The file is in place already; a folder that cannot be synced is no reason to say
	 * otherwise.
	 */
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(copy);
}

int file_replace_commit(struct file_replace *file, struct error *err)
{
	int r = 0;

	if (fsync(file->fd) < 0 || rename(file->temporary, file->path) < 0) {
		r = error_set(err, errno, "%s: cannot write: %s", file->path, strerror(errno));
	} else {
		sync_folder(file->path);
		free(file->temporary);
		file->temporary = NULL;
	}
	file_replace_abort(file);
	return r;
}

void file_replace_abort(struct file_replace *file)
{
	if (file->fd >= 0) {
		close(file->fd);
		file->fd = -1;
	}
	if (file->temporary != NULL) {
		unlink(file->temporary);
	}
	free(file->temporary);
	free(file->path);
	file->temporary = NULL;
	file->path = NULL;
}
