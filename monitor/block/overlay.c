/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A temporary snapshot: writes go to an unlinked sparse file beside a bitmap of the clusters it
 * holds, reads come from there or from the image, and all of it is gone when the machine ends. A
 * cluster that is first written in part is copied up whole.
 *
 * Executed by worker threads under one lock: a throw-away run is for trying things, not for speed.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/block_impl.h"

#define CLUSTER_SIZE KIB(64)

struct block_overlay {
	pthread_mutex_t lock;
	int base;
	int fd;
	uint64_t size;
	uint8_t *present; /* a bit a cluster */
};

int overlay_create(int base, uint64_t size, struct block_overlay **ret_overlay, struct error *err)
{
	const char *folder = getenv("TMPDIR");
	struct block_overlay *overlay = calloc(1, sizeof(*overlay));
	uint64_t clusters = size / CLUSTER_SIZE + 1;

	if (!overlay) {
		return error_set(err, ENOMEM, "no memory for a snapshot");
	}
	folder = folder ? folder : "/var/tmp";
	overlay->present = calloc(1, clusters / 8 + 1);
	overlay->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (!overlay->present || overlay->fd < 0) {
		int ret = error_set(err, overlay->present ? errno : ENOMEM,
				    "cannot make a temporary file in '%s' for the snapshot: %s",
				    folder, strerror(overlay->present ? errno : ENOMEM));

		free(overlay->present);
		free(overlay);
		return ret;
	}
	pthread_mutex_init(&overlay->lock, NULL);
	overlay->base = base;
	overlay->size = size;
	*ret_overlay = overlay;
	return 0;
}

void overlay_destroy(struct block_overlay *overlay)
{
	if (!overlay) {
		return;
	}
	close(overlay->fd);
	free(overlay->present);
	pthread_mutex_destroy(&overlay->lock);
	free(overlay);
}

static bool is_present(const struct block_overlay *overlay, uint64_t cluster)
{
	return overlay->present[cluster / 8] >> (cluster % 8) & 1;
}

/* Make the cluster at @offset the overlay's; @whole: all of it is about to be written. */
static int copy_up(struct block_overlay *overlay, uint64_t offset, bool whole)
{
	uint64_t cluster = offset / CLUSTER_SIZE;
	uint64_t start = cluster * CLUSTER_SIZE;
	uint64_t length = MIN(CLUSTER_SIZE, overlay->size - start);
	uint8_t *buf;
	int ret = 0;

	if (is_present(overlay, cluster)) {
		return 0;
	}
	if (!whole) {
		struct iovec iov = { malloc(length), length };

		buf = iov.iov_base;
		if (!buf) {
			return -ENOMEM;
		}
		ret = sync_read(overlay->base, &iov, 1, 0, start, length);
		if (ret == 0) {
			ret = sync_write(overlay->fd, &iov, 1, 0, start, length);
		}
		free(buf);
	}
	if (ret == 0) {
		overlay->present[cluster / 8] |= (uint8_t)(1U << (cluster % 8));
	}
	return ret;
}

/* One piece of a request that lies within a cluster. */
static int execute_piece(struct block_overlay *overlay, struct block_request *request, size_t skip,
			 uint64_t offset, uint64_t size)
{
	bool present = is_present(overlay, offset / CLUSTER_SIZE);
	int ret;

	if (request->op == BLOCK_READ) {
		return sync_read(present ? overlay->fd : overlay->base, request->iov,
				 request->iov_count, skip, offset, size);
	}
	ret = copy_up(overlay, offset, size == CLUSTER_SIZE);
	if (ret < 0) {
		return ret;
	}
	if (request->op == BLOCK_WRITE) {
		return sync_write(overlay->fd, request->iov, request->iov_count, skip, offset,
				  size);
	}
	return sync_write_zeroes(overlay->fd, offset, size, true);
}

int overlay_execute(struct block_overlay *overlay, struct block_request *request)
{
	uint64_t done = 0;
	int ret = 0;

	if (request->op == BLOCK_FLUSH || request->op == BLOCK_DISCARD) {
		return 0;
	}
	pthread_mutex_lock(&overlay->lock);
	while (ret == 0 && done < request->size) {
		uint64_t offset = request->offset + done;
		uint64_t piece = MIN(CLUSTER_SIZE - offset % CLUSTER_SIZE, request->size - done);

		ret = execute_piece(overlay, request, done, offset, piece);
		done += piece;
	}
	pthread_mutex_unlock(&overlay->lock);
	return ret;
}
