/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BLOCK_BLOCK_H
#define LIMEN_BLOCK_BLOCK_H

/*
 * Disk images, as storage devices see them: a struct block_device takes requests from any thread
 * and completes each exactly once. Behind it stands a format driver (raw; later qcow2 and others)
 * over a file.
 */

#include <sys/uio.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/list.h"
#include "base/types.h"
#include "base/worker_pool.h"

struct block_device;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,	    /* what was completed before is on stable storage afterwards */
	BLOCK_DISCARD,	    /* contents no longer needed; holes are punched */
	BLOCK_WRITE_ZEROES, /* @unmap allowed */
};

/**
 * struct block_request - one request, embedded in its owner; untouched by it until done() runs
 * @offset, @size: bytes; multiples of 512 within the device (checked: else -EINVAL)
 * @iov, @iov_count: for reads and writes: host memory, @size bytes in all
 * @unmap: for BLOCK_WRITE_ZEROES
 * @done: called once, on the block device's I/O thread, no lock held; @result 0 or -errno
 */
struct block_request {
	enum block_op op;
	uint64_t offset;
	uint64_t size;
	struct iovec *iov;
	unsigned int iov_count;
	bool unmap;
	void (*done)(struct block_request *request, int result);
	void *opaque;
	/* private to the block layer */
	struct list node;
	struct worker_job job;
	struct block_device *device;
	int result;
};

/**
 * struct block_options - how an image is opened
 * @format: "raw"; NULL probes, for formats with a signature only
 * @snapshot: writes go to a temporary overlay that is dropped at the end
 * @discard: whether BLOCK_DISCARD reaches the file (default) or is ignored
 */
struct block_options {
	const char *file;
	const char *format;
	bool readonly;
	bool snapshot;
	bool ignore_discard;
};

/**
 * block_open() - open and lock an image
 * @loop: loop of the I/O thread that completes its requests
 *
 * The image is locked (open file description locks) against a second writer; the error then says
 * so. A directory, a device without permission, a size that is not a multiple of 512: one clear
 * line each. A raw image's tail beyond the last whole sector reads as zeroes and is refused for
 * writing.
 */
int block_open(const struct block_options *options, struct event_loop *loop,
	       struct block_device **ret_device, struct error *err);

/** block_close() - complete what is in flight, then close. Main thread. NULL is allowed. */
void block_close(struct block_device *device);

/** block_size() - bytes. block_readonly() - whether writes fail with -EROFS. */
uint64_t block_size(const struct block_device *device);
bool block_readonly(const struct block_device *device);
const char *block_file(const struct block_device *device);

/** block_submit() - any thread; errors too arrive by done(), which may run before this returns only
 *  when called on the I/O thread. */
void block_submit(struct block_device *device, struct block_request *request);

/** block_drain() - wait until nothing is in flight; not on the I/O thread. */
void block_drain(struct block_device *device);

/**
 * block_set_media() - put another file into a removable drive, or NULL to empty it; drains first
 */
int block_set_media(struct block_device *device, const struct block_options *options,
		    struct error *err);
bool block_has_media(const struct block_device *device);

/** block_media_generation() - raised by each block_set_media(); any thread. */
uint32_t block_media_generation(const struct block_device *device);

/** struct block_stats - since opening; any thread. */
struct block_stats {
	uint64_t reads, writes, flushes, discards;
	uint64_t read_bytes, written_bytes;
	uint64_t errors;
};
void block_get_stats(const struct block_device *device, struct block_stats *ret_stats);

/** block_create_raw() - make a sparse raw image of @size bytes; refuses an existing file. */
int block_create_raw(const char *file, uint64_t size, struct error *err);

#endif
