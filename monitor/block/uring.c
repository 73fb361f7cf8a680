/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous raw I/O through io_uring: one ring per image. Any thread submits under the device's
 * lock; completions ring an eventfd that the I/O thread's loop watches.
 *
 * A short read or write is finished with system calls on the I/O thread: it happens at the end of a
 * file or on a full disk, not in normal running.
 */

#include <liburing.h>
#include <linux/falloc.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/block_impl.h"

#define REAP_BATCH 32
#define RING_ENTRIES 128

/**
 * struct block_ring - one ring
 * @waiting: requests for which the submission queue had no room; device->lock
 */
struct block_ring {
	struct block_device *device;
	struct io_uring uring;
	int event_fd;
	struct event_source *source;
	struct list waiting;
};

static void prepare(struct block_device *device, struct block_request *request,
		    struct io_uring_sqe *sqe)
{
	int zero_mode = FALLOC_FL_KEEP_SIZE |
			(request->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
	int punch = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

	switch (request->op) {
	case BLOCK_READ:
		io_uring_prep_readv(sqe, device->fd, request->iov, request->iov_count,
				    request->offset);
		break;
	case BLOCK_WRITE:
		io_uring_prep_writev(sqe, device->fd, request->iov, request->iov_count,
				     request->offset);
		break;
	case BLOCK_FLUSH: io_uring_prep_fsync(sqe, device->fd, IORING_FSYNC_DATASYNC); break;
	case BLOCK_DISCARD:
		if (device->ignore_discard || !request->size) {
			io_uring_prep_nop(sqe);
			break;
		}
		io_uring_prep_fallocate(sqe, device->fd, punch, (off_t)request->offset,
					(off_t)request->size);
		break;
	case BLOCK_WRITE_ZEROES:
		io_uring_prep_fallocate(sqe, device->fd, zero_mode, (off_t)request->offset,
					(off_t)request->size);
		break;
	}
	io_uring_sqe_set_data(sqe, request);
}

void block_ring_submit_locked(struct block_ring *ring, struct block_request *request)
{
	struct io_uring_sqe *sqe =
		list_empty(&ring->waiting) ? io_uring_get_sqe(&ring->uring) : NULL;

	if (!sqe) {
		list_append(&ring->waiting, &request->node);
		return;
	}
	prepare(ring->device, request, sqe);
	io_uring_submit(&ring->uring);
}

static void submit_waiting(struct block_ring *ring)
{
	struct io_uring_sqe *sqe;

	pthread_mutex_lock(&ring->device->lock);
	while (!list_empty(&ring->waiting) && (sqe = io_uring_get_sqe(&ring->uring))) {
		struct list *node = list_first(&ring->waiting);

		list_remove(node);
		prepare(ring->device, container_of(node, struct block_request, node), sqe);
	}
	io_uring_submit(&ring->uring);
	pthread_mutex_unlock(&ring->device->lock);
}

/* The outcome of @request, whose system call said @res. */
static int finish(struct block_device *device, struct block_request *request, int res)
{
	bool transfer = request->op == BLOCK_READ || request->op == BLOCK_WRITE;

	if (transfer && res == -EAGAIN) {
		res = 0;
	}
	if (transfer && res >= 0 && (uint64_t)res < request->size) {
		uint64_t done = (uint64_t)res;

		return (request->op == BLOCK_READ ? sync_read : sync_write)(
			device->fd, request->iov, request->iov_count, done, request->offset + done,
			request->size - done);
	}
	if (res == -EOPNOTSUPP || res == -EINVAL) {
		return request->op == BLOCK_DISCARD || request->op == BLOCK_WRITE_ZEROES
			       ? sync_execute(device, request)
			       : res;
	}
	return MIN(res, 0);
}

/*
 * Completions that are there now. Requests are submitted under the lock, so what is seen under it
 * was written by a submitter that has let go of it.
 */
static unsigned int take_completions(struct block_ring *ring, struct io_uring_cqe **ret_cqes)
{
	unsigned int count;

	pthread_mutex_lock(&ring->device->lock);
	count = io_uring_peek_batch_cqe(&ring->uring, ret_cqes, REAP_BATCH);
	pthread_mutex_unlock(&ring->device->lock);
	return count;
}

static void reap(void *opaque, int fd, unsigned int events)
{
	struct block_ring *ring = opaque;
	struct io_uring_cqe *cqes[REAP_BATCH];
	unsigned int count;
	eventfd_t rung;

	(void)events;
	eventfd_read(fd, &rung);
	while ((count = take_completions(ring, cqes)) > 0) {
		for (unsigned int i = 0; i < count; i++) {
			struct block_request *request = io_uring_cqe_get_data(cqes[i]);
			int res = cqes[i]->res;

			io_uring_cqe_seen(&ring->uring, cqes[i]);
			block_complete(request, finish(ring->device, request, res));
		}
	}
	submit_waiting(ring);
}

int block_ring_create(struct block_device *device, struct block_ring **ret_ring)
{
	struct block_ring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring) {
		return -ENOMEM;
	}
	ring->device = device;
	list_init(&ring->waiting);
	ret = io_uring_queue_init(RING_ENTRIES, &ring->uring, 0);
	if (ret < 0) {
		goto out_free;
	}
	ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = ring->event_fd < 0 ? -errno : io_uring_register_eventfd(&ring->uring, ring->event_fd);
	if (ret == 0) {
		ret = event_loop_add_fd(device->loop, ring->event_fd, EVENT_READ, reap, ring,
					&ring->source);
	}
	if (ret < 0) {
		goto out_exit;
	}
	*ret_ring = ring;
	return 0;
out_exit:
	if (ring->event_fd >= 0) {
		close(ring->event_fd);
	}
	io_uring_queue_exit(&ring->uring);
out_free:
	free(ring);
	return ret;
}

void block_ring_destroy(struct block_ring *ring)
{
	if (!ring) {
		return;
	}
	event_source_remove_wait(ring->source);
	io_uring_queue_exit(&ring->uring);
	close(ring->event_fd);
	free(ring);
}
