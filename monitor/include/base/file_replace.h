/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_FILE_REPLACE_H
#define LIMEN_BASE_FILE_REPLACE_H

/*
 * Writing a file so that it is there whole or not at all: into a new file in the same folder, which
 * takes the name only when it is complete and on the disk.
 */

#include "base/error.h"
#include "base/types.h"

/**
 * struct file_replace - a file being written; a failed or finished one holds nothing
 * @fd: where the caller writes
 */
struct file_replace {
	int fd;
	char *path;
	char *temporary;
};

/**
 * file_replace_begin() - open the new file
 * @path: what it is to become; where something else than a regular file bears that name, -EINVAL. A
 *        symbolic link stays, and what it points to is replaced.
 * @mode: permission bits, less the umask
 */
int file_replace_begin(struct file_replace *file, const char *path, mode_t mode, struct error *err);

/** file_replace_commit() - make it durable and give it its name. On failure nothing has changed. */
int file_replace_commit(struct file_replace *file, struct error *err);

/** file_replace_abort() - throw it away. After a begin that failed or a commit it does nothing. */
void file_replace_abort(struct file_replace *file);

#endif
