/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BLOCK_BLOCK_IMPL_H
#define LIMEN_BLOCK_BLOCK_IMPL_H

/*
 * The block layer from inside: block.c (devices and requests), uring.c (asynchronous raw I/O),
 * sync_io.c (the same by system calls that wait), overlay.c (temporary snapshots).
 *
 * A request goes to the ring when the image is plain and io_uring works; otherwise a worker
 * executes it with sync_execute() or overlay_execute(), and its completion is posted to the I/O
 * loop.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "block/block.h"

#define BLOCK_SECTOR 512
#define BLOCK_WORKERS 4

struct block_ring;
struct block_overlay;

/**
 * struct block_device - an open image, or an empty drive
 * @fd: the image; -1: no medium
 * @file_size: bytes that the file really has; @size is rounded up to whole sectors
 * @lock: guards @in_flight and the ring's submission side
 * @idle: signalled when @in_flight becomes 0
 */
struct block_device {
	struct event_loop *loop;
	char *file;
	int fd;
	uint64_t size;
	uint64_t file_size;
	bool readonly;
	bool ignore_discard;
	struct block_ring *ring;
	struct block_overlay *overlay;
	struct worker_pool *workers;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned int in_flight;
	_Atomic uint64_t ops[BLOCK_WRITE_ZEROES + 1];
	_Atomic uint64_t bytes[BLOCK_WRITE_ZEROES + 1];
	_Atomic uint64_t errors;
	_Atomic uint32_t media_generation;
};

/** block_complete() - on the I/O thread: account for @request and call its done(). */
void block_complete(struct block_request *request, int result);

/** block_ring_create() - -errno where the kernel (or a container's filter) has no io_uring. */
int block_ring_create(struct block_device *device, struct block_ring **ret_ring);
void block_ring_destroy(struct block_ring *ring);

/** block_ring_submit() - any thread; device->lock held. */
void block_ring_submit_locked(struct block_ring *ring, struct block_request *request);

/** sync_read()/write() - @size bytes at @offset through @iov skipping its first @skip bytes;
 * what lies  past the end of the file reads as zeroes. */
int sync_read(int fd, const struct iovec *iov, unsigned int count, size_t skip, uint64_t offset,
	      uint64_t size);
int sync_write(int fd, const struct iovec *iov, unsigned int count, size_t skip, uint64_t offset,
	       uint64_t size);

/** sync_write_zeroes() - by the file system where it can, else by writing. */
int sync_write_zeroes(int fd, uint64_t offset, uint64_t size, bool unmap);

/** sync_execute() - a whole request on the device's file. Return: 0 or -errno. */
int sync_execute(struct block_device *device, struct block_request *request);

/** overlay_create() - a temporary file over @base; @size: bytes of the device. */
int overlay_create(int base, uint64_t size, struct block_overlay **ret_overlay, struct error *err);
void overlay_destroy(struct block_overlay *overlay);
int overlay_execute(struct block_overlay *overlay, struct block_request *request);

#endif
