/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk images: opening with every check that saves a user's data, and the way of a request from any
 * thread to the ring or a worker and back to the device on its I/O thread.
 *
 * An image that is open for writing is locked with an open-file-description lock, so a second
 * machine, or this one twice, is refused instead of corrupting it.
 */

#include "block/block_impl.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static int lock_image(int fd, const char *file, bool readonly, struct error *err)
{
	struct flock lock = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
		return 0;
	}
	if (errno == EAGAIN || errno == EACCES) {
		return error_set(err, EBUSY,
				 "'%s' is in use by another machine; stop that one, or open the "
				 "image with readonly in both",
				 file);
	}
	return error_set(err, errno, "cannot lock '%s': %s", file, strerror(errno));
}

/* Size in bytes of a regular file or block device. */
static int image_size(int fd, const char *file, uint64_t *ret_size, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		return error_set(err, errno, "cannot examine '%s': %s", file, strerror(errno));
	}
	if (S_ISREG(st.st_mode)) {
		*ret_size = (uint64_t)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, ret_size) == 0) {
		return 0;
	}
	return error_set(err, EINVAL, "'%s' is %s, not a disk image", file,
			 S_ISDIR(st.st_mode) ? "a directory" : "neither a file nor a block device");
}

static int open_image(struct block_device *device, const struct block_options *options,
		      struct error *err)
{
	bool write = !options->readonly && !options->snapshot;
	uint64_t size;
	int fd, ret;

	if (options->format && strcmp(options->format, "raw")) {
		return error_set(err, ENOTSUP, "'%s': the disk format '%s' is not known; use raw",
				 options->file, options->format);
	}
	fd = open(options->file, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && errno == EISDIR) {
		return error_set(err, EISDIR, "'%s' is a directory, not a disk image",
				 options->file);
	}
	if (fd < 0) {
		return error_set(err, errno, "cannot open '%s'%s: %s", options->file,
				 write ? " for writing" : "", strerror(errno));
	}
	ret = image_size(fd, options->file, &size, err);
	if (ret == 0) {
		ret = lock_image(fd, options->file, !write, err);
	}
	if (ret == 0 && write && size % BLOCK_SECTOR) {
		ret = error_set(err, EINVAL,
				"'%s' has %llu bytes, which is no multiple of 512; it can only be "
				"opened with readonly",
				options->file, (unsigned long long)size);
	}
	device->file = ret == 0 ? strdup(options->file) : NULL;
	if (ret == 0 && !device->file) {
		ret = error_set(err, ENOMEM, "no memory for '%s'", options->file);
	}
	device->file_size = size;
	device->size = ALIGN_UP(size, (uint64_t)BLOCK_SECTOR);
	device->readonly = options->readonly;
	device->ignore_discard = options->ignore_discard;
	if (ret == 0 && options->snapshot) {
		ret = overlay_create(fd, device->size, &device->overlay, err);
	}
	if (ret < 0) {
		free(device->file);
		device->file = NULL;
		close(fd);
		return ret;
	}
	device->fd = fd;
	return 0;
}

static void close_image(struct block_device *device)
{
	if (device->fd < 0) {
		return;
	}
	overlay_destroy(device->overlay);
	device->overlay = NULL;
	close(device->fd);
	device->fd = -1;
	free(device->file);
	device->file = NULL;
	device->size = 0;
}

int block_open(const struct block_options *options, struct event_loop *loop,
	       struct block_device **ret_device, struct error *err)
{
	struct block_device *device = calloc(1, sizeof(*device));
	int ret;

	if (!device) {
		return error_set(err, ENOMEM, "no memory for a disk");
	}
	device->loop = loop;
	device->fd = -1;
	pthread_mutex_init(&device->lock, NULL);
	pthread_cond_init(&device->idle, NULL);
	ret = worker_pool_create("disk", BLOCK_WORKERS, &device->workers, err);
	if (ret == 0 && options->file) {
		ret = open_image(device, options, err);
	}
	if (ret < 0) {
		block_close(device);
		return ret;
	}
	ret = block_ring_create(device, &device->ring);
	if (ret < 0) {
		log_info(LOG_AREA_BLOCK, "io_uring is not available (%s); disks use threads",
			 strerror(-ret));
	}
	*ret_device = device;
	return 0;
}

void block_close(struct block_device *device)
{
	if (!device) {
		return;
	}
	block_drain(device);
	worker_pool_destroy(device->workers);
	block_ring_destroy(device->ring);
	close_image(device);
	pthread_cond_destroy(&device->idle);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

void block_drain(struct block_device *device)
{
	pthread_mutex_lock(&device->lock);
	while (device->in_flight) {
		pthread_cond_wait(&device->idle, &device->lock);
	}
	pthread_mutex_unlock(&device->lock);
}

void block_complete(struct block_request *request, int result)
{
	struct block_device *device = request->device;

	if (result < 0) {
		atomic_fetch_add_explicit(&device->errors, 1, memory_order_relaxed);
	}
	request->done(request, result);
	pthread_mutex_lock(&device->lock);
	if (--device->in_flight == 0) {
		pthread_cond_broadcast(&device->idle);
	}
	pthread_mutex_unlock(&device->lock);
}

static void work(struct worker_job *job)
{
	struct block_request *request = container_of(job, struct block_request, job);
	struct block_device *device = request->device;

	if (request->result < 0) {
		return;
	}
	request->result = device->overlay ? overlay_execute(device->overlay, request)
					  : sync_execute(device, request);
}

static void work_done(struct worker_job *job)
{
	struct block_request *request = container_of(job, struct block_request, job);

	block_complete(request, request->result);
}

static size_t iov_size(const struct block_request *request)
{
	size_t size = 0;

	for (unsigned int i = 0; i < request->iov_count; i++) {
		size += request->iov[i].iov_len;
	}
	return size;
}

/* What a request asks for against what the device is. */
static int check_request(const struct block_device *device, const struct block_request *request)
{
	bool transfer = request->op == BLOCK_READ || request->op == BLOCK_WRITE;

	if (device->fd < 0) {
		return -ENOMEDIUM;
	}
	if (request->op == BLOCK_FLUSH) {
		return 0;
	}
	if (request->op != BLOCK_READ && device->readonly) {
		return -EROFS;
	}
	if (request->offset % BLOCK_SECTOR || request->size % BLOCK_SECTOR ||
	    request->offset > device->size || request->size > device->size - request->offset) {
		return -EINVAL;
	}
	return transfer && iov_size(request) != request->size ? -EINVAL : 0;
}

void block_submit(struct block_device *device, struct block_request *request)
{
	request->device = device;
	request->result = check_request(device, request);
	request->job = (struct worker_job){ .work = work, .done = work_done, .loop = device->loop };
	atomic_fetch_add_explicit(&device->ops[request->op], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&device->bytes[request->op], request->size, memory_order_relaxed);
	pthread_mutex_lock(&device->lock);
	device->in_flight++;
	if (request->result == 0 && device->ring && !device->overlay) {
		block_ring_submit_locked(device->ring, request);
		pthread_mutex_unlock(&device->lock);
		return;
	}
	pthread_mutex_unlock(&device->lock);
	worker_pool_submit(device->workers, &request->job);
}

int block_set_media(struct block_device *device, const struct block_options *options,
		    struct error *err)
{
	block_drain(device);
	close_image(device);
	atomic_fetch_add(&device->media_generation, 1);
	return options && options->file ? open_image(device, options, err) : 0;
}

bool block_has_media(const struct block_device *device)
{
	return device->fd >= 0;
}

uint32_t block_media_generation(const struct block_device *device)
{
	return atomic_load(&device->media_generation);
}

uint64_t block_size(const struct block_device *device)
{
	return device->size;
}

bool block_readonly(const struct block_device *device)
{
	return device->readonly;
}

const char *block_file(const struct block_device *device)
{
	return device->file;
}

void block_get_stats(const struct block_device *device, struct block_stats *ret_stats)
{
	*ret_stats = (struct block_stats){
		.reads = atomic_load(&device->ops[BLOCK_READ]),
		.writes = atomic_load(&device->ops[BLOCK_WRITE]),
		.flushes = atomic_load(&device->ops[BLOCK_FLUSH]),
		.discards = atomic_load(&device->ops[BLOCK_DISCARD]),
		.read_bytes = atomic_load(&device->bytes[BLOCK_READ]),
		.written_bytes = atomic_load(&device->bytes[BLOCK_WRITE]),
		.errors = atomic_load(&device->errors),
	};
}

int block_create_raw(const char *file, uint64_t size, struct error *err)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int ret = 0;

	if (fd < 0) {
		return error_set(err, errno, "cannot create '%s': %s", file, strerror(errno));
	}
	if (ftruncate(fd, (off_t)ALIGN_UP(size, (uint64_t)BLOCK_SECTOR)) < 0) {
		ret = error_set(err, errno, "cannot give '%s' %llu bytes: %s", file,
				(unsigned long long)size, strerror(errno));
		unlink(file);
	}
	close(fd);
	return ret;
}
