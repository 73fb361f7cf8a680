/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw image I/O by system calls that wait: executed by worker threads where io_uring is not to be
 * had, for the rest of a short transfer, and under an overlay.
 */

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "block/block_impl.h"

#define SEGMENTS_MAX 64
#define ZEROES_SIZE 65536

/* Fill @ret with the segments of @iov between @skip and @skip + @size, at most SEGMENTS_MAX. */
static unsigned int slice_iov(const struct iovec *iov, unsigned int count, size_t skip, size_t size,
			      struct iovec *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count && size && n < SEGMENTS_MAX; i++) {
		size_t length;

		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		length = MIN(iov[i].iov_len - skip, size);
		ret[n++] = (struct iovec){ (uint8_t *)iov[i].iov_base + skip, length };
		size -= length;
		skip = 0;
	}
	return n;
}

static void zero_iov(const struct iovec *iov, unsigned int count, size_t skip, size_t size)
{
	while (size) {
		struct iovec slice[SEGMENTS_MAX];
		unsigned int n = slice_iov(iov, count, skip, size, slice);

		if (!n) {
			return;
		}
		for (unsigned int i = 0; i < n; i++) {
			memset(slice[i].iov_base, 0, slice[i].iov_len);
			skip += slice[i].iov_len;
			size -= slice[i].iov_len;
		}
	}
}

static int transfer(int fd, bool write, const struct iovec *iov, unsigned int count, size_t skip,
		    uint64_t offset, uint64_t size)
{
	while (size) {
		struct iovec slice[SEGMENTS_MAX];
		int n = (int)slice_iov(iov, count, skip, size, slice);
		ssize_t done = write ? pwritev(fd, slice, n, (off_t)offset)
				     : preadv(fd, slice, n, (off_t)offset);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return -errno;
		}
		if (done == 0) {
			if (write) {
				return -ENOSPC;
			}
			zero_iov(iov, count, skip, size);
			return 0;
		}
		skip += (size_t)done;
		offset += (uint64_t)done;
		size -= (uint64_t)done;
	}
	return 0;
}

int sync_read(int fd, const struct iovec *iov, unsigned int count, size_t skip, uint64_t offset,
	      uint64_t size)
{
	return transfer(fd, false, iov, count, skip, offset, size);
}

int sync_write(int fd, const struct iovec *iov, unsigned int count, size_t skip, uint64_t offset,
	       uint64_t size)
{
	return transfer(fd, true, iov, count, skip, offset, size);
}

int sync_write_zeroes(int fd, uint64_t offset, uint64_t size, bool unmap)
{
	static const uint8_t zeroes[ZEROES_SIZE];
	int mode = FALLOC_FL_KEEP_SIZE | (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	if (fallocate(fd, mode, (off_t)offset, (off_t)size) == 0) {
		return 0;
	}
	while (size) {
		struct iovec iov = { (void *)(uintptr_t)zeroes, MIN(size, (uint64_t)ZEROES_SIZE) };
		int ret = sync_write(fd, &iov, 1, 0, offset, iov.iov_len);

		if (ret < 0) {
			return ret;
		}
		offset += iov.iov_len;
		size -= iov.iov_len;
	}
	return 0;
}

static int discard(int fd, uint64_t offset, uint64_t size)
{
	int mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

	if (fallocate(fd, mode, (off_t)offset, (off_t)size) == 0 || errno == EOPNOTSUPP) {
		return 0;
	}
	return -errno;
}

int sync_execute(struct block_device *device, struct block_request *request)
{
	switch (request->op) {
	case BLOCK_READ:
		return sync_read(device->fd, request->iov, request->iov_count, 0, request->offset,
				 request->size);
	case BLOCK_WRITE:
		return sync_write(device->fd, request->iov, request->iov_count, 0, request->offset,
				  request->size);
	case BLOCK_FLUSH: return fdatasync(device->fd) < 0 ? -errno : 0;
	case BLOCK_DISCARD:
		return device->ignore_discard || !request->size
			       ? 0
			       : discard(device->fd, request->offset, request->size);
	case BLOCK_WRITE_ZEROES:
		return sync_write_zeroes(device->fd, request->offset, request->size,
					 request->unmap && !device->ignore_discard);
	}
	return -EINVAL;
}
