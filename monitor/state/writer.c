/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing a saved state. Everything passes through one buffer, which also feeds the checksum.
 * Memory goes out in chunks of up to 1 MiB, each a zstd frame of its own, so that neither side
 * holds more than one.
 */

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file_replace.h"
#include "state/state.h"
#include "state_format.h"

/* The lowest level keeps up with a disk; a saved state is short-lived. */
#define COMPRESSION_LEVEL 1

struct state_writer {
	struct file_replace file;
	char *name; /* for errors */
	uint32_t crc;
	struct state_buffer section; /* reused */
	uint8_t *compressed;
	size_t compressed_capacity;
	ZSTD_CCtx *zstd;
	size_t used;
	uint8_t buffer[65536];
};

bool state_is_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static int write_fully(struct state_writer *writer, const uint8_t *data, size_t size,
		       struct error *err)
{
	while (size > 0) {
		ssize_t n = write(writer->file.fd, data, size);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return error_set(err, n < 0 ? errno : EIO, "%s: cannot write: %s",
					 writer->name, strerror(n < 0 ? errno : EIO));
		}
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int flush_buffer(struct state_writer *writer, struct error *err)
{
	size_t used = writer->used;

	writer->used = 0;
	return write_fully(writer, writer->buffer, used, err);
}

static int put(struct state_writer *writer, const void *data, size_t size, struct error *err)
{
	int r;

	writer->crc = (uint32_t)crc32_z(writer->crc, data, size);
	if (size > sizeof(writer->buffer) - writer->used) {
		r = flush_buffer(writer, err);
		if (r < 0) {
			return r;
		}
	}
	if (size > sizeof(writer->buffer)) {
		return write_fully(writer, data, size, err);
	}
	memcpy(writer->buffer + writer->used, data, size);
	writer->used += size;
	return 0;
}

static int put_record(struct state_writer *writer, enum state_record_kind kind, const char *name,
		      unsigned int layer, uint32_t version, uint64_t size, struct error *err)
{
	uint8_t head[STATE_RECORD_SIZE];
	size_t name_size = strlen(name);
	int r;

	if (name_size > UINT8_MAX || layer > UINT16_MAX) {
		return error_set(err, EINVAL, "%s: '%s' is too long for a name", writer->name,
				 name);
	}
	head[0] = (uint8_t)kind;
	head[1] = (uint8_t)name_size;
	store_le16(head + 2, (uint16_t)layer);
	store_le32(head + 4, version);
	store_le64(head + 8, size);
	r = put(writer, head, sizeof(head), err);
	return r < 0 ? r : put(writer, name, name_size, err);
}

int state_writer_create(const char *file, struct state_writer **ret_writer, struct error *err)
{
	struct state_writer *writer = calloc(1, sizeof(*writer));
	uint8_t header[STATE_HEADER_SIZE] = STATE_MAGIC;
	int r = -ENOMEM;

	if (writer == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	writer->file.fd = -1;
	writer->crc = (uint32_t)crc32_z(0, NULL, 0);
	writer->name = strdup(file);
	writer->zstd = ZSTD_createCCtx();
	writer->compressed_capacity = ZSTD_compressBound(STATE_CHUNK_MAX);
	writer->compressed = malloc(writer->compressed_capacity);
	if (writer->name == NULL || writer->zstd == NULL || writer->compressed == NULL) {
		error_set(err, ENOMEM, "out of memory");
		goto out_abort;
	}
	r = file_replace_begin(&writer->file, file, 0600, err);
	if (r < 0) {
		goto out_abort;
	}
	store_le32(header + STATE_MAGIC_SIZE, STATE_FORMAT_VERSION);
	store_le32(header + STATE_MAGIC_SIZE + 4, 0);
	r = put(writer, header, sizeof(header), err);
	if (r < 0) {
		goto out_abort;
	}
	*ret_writer = writer;
	return 0;

out_abort:
	state_writer_abort(writer);
	return r;
}

void state_writer_abort(struct state_writer *writer)
{
	if (writer == NULL) {
		return;
	}
	file_replace_abort(&writer->file);
	ZSTD_freeCCtx(writer->zstd);
	free(writer->compressed);
	free(writer->section.data);
	free(writer->name);
	free(writer);
}

int state_writer_commit(struct state_writer *writer, struct error *err)
{
	uint8_t crc[4];
	int r;

	r = put_record(writer, STATE_RECORD_END, "", 0, 0, sizeof(crc), err);
	if (r == 0) {
		store_le32(crc, writer->crc);
		r = put(writer, crc, sizeof(crc), err);
	}
	r = r < 0 ? r : flush_buffer(writer, err);
	r = r < 0 ? r : file_replace_commit(&writer->file, err);
	state_writer_abort(writer);
	return r;
}

int state_write_config(struct state_writer *writer, const char *key, const char *value,
		       struct error *err)
{
	int r = put_record(writer, STATE_RECORD_CONFIG, key, 0, 0, strlen(value), err);

	return r < 0 ? r : put(writer, value, strlen(value), err);
}

int state_write_section(struct state_writer *writer, const char *path, unsigned int layer,
			const struct state_table *table, void *base, struct error *err)
{
	int r;

	writer->section.size = 0;
	r = state_encode(&writer->section, table, base, err);
	if (r == 0 && writer->section.size > STATE_PAYLOAD_MAX) {
		r = error_set(err, EOVERFLOW, "its state is too large");
	}
	if (r < 0) {
		error_prefix(err, "%s: %s", writer->name, path);
		return r;
	}
	r = put_record(writer, STATE_RECORD_SECTION, path, layer, table->version,
		       writer->section.size, err);
	return r < 0 ? r : put(writer, writer->section.data, writer->section.size, err);
}

static int put_chunk(struct state_writer *writer, uint64_t offset, const uint8_t *data, size_t size,
		     struct error *err)
{
	uint8_t head[STATE_CHUNK_SIZE];
	size_t n = 0;
	int r;

	if (size > 0) {
		n = ZSTD_compressCCtx(writer->zstd, writer->compressed, writer->compressed_capacity,
				      data, size, COMPRESSION_LEVEL);
		if (ZSTD_isError(n)) {
			return error_set(err, EIO, "%s: cannot compress: %s", writer->name,
					 ZSTD_getErrorName(n));
		}
	}
	store_le64(head, offset);
	store_le32(head + 8, (uint32_t)size);
	store_le32(head + 12, (uint32_t)n);
	r = put(writer, head, sizeof(head), err);
	return r < 0 ? r : put(writer, writer->compressed, n, err);
}

/* Write what is not zero of [@offset, @end). */
static int put_range(struct state_writer *writer, const uint8_t *host, uint64_t offset,
		     uint64_t end, struct error *err)
{
	int r = 0;

	while (r == 0 && offset < end) {
		uint64_t start;

		while (offset < end && state_is_zero(host + offset, GUEST_PAGE_SIZE)) {
			offset += GUEST_PAGE_SIZE;
		}
		start = offset;
		while (offset < end && offset - start < STATE_CHUNK_MAX &&
		       !state_is_zero(host + offset, GUEST_PAGE_SIZE)) {
			offset += GUEST_PAGE_SIZE;
		}
		if (offset > start) {
			r = put_chunk(writer, start, host + start, (size_t)(offset - start), err);
		}
	}
	return r;
}

/* The next piece of the memfd at or after *@offset that has pages at all; false: none. */
static bool next_data(int fd, uint64_t size, uint64_t *offset, uint64_t *ret_end)
{
	off_t start;
	off_t end;

	*ret_end = size;
	if (fd < 0) {
		return *offset < size;
	}
	start = lseek(fd, (off_t)*offset, SEEK_DATA);
	if (start < 0) {
		/* ENXIO: nothing but a hole follows. Anything else: look at every page. */
		return errno != ENXIO && *offset < size;
	}
	*offset = ALIGN_DOWN((uint64_t)start, GUEST_PAGE_SIZE);
	end = lseek(fd, start, SEEK_HOLE);
	if (end > start) {
		*ret_end = MIN(ALIGN_UP((uint64_t)end, GUEST_PAGE_SIZE), size);
	}
	return *offset < size;
}

int state_write_memory(struct state_writer *writer, const char *name, const void *host,
		       uint64_t size, int fd, struct error *err)
{
	uint64_t offset = 0;
	uint64_t end;
	int r;

	if (size % GUEST_PAGE_SIZE != 0 || size > STATE_MEMORY_MAX) {
		return error_set(err, EINVAL, "%s: memory '%s' has a size that cannot be saved",
				 writer->name, name);
	}
	r = put_record(writer, STATE_RECORD_MEMORY, name, 0, 0, size, err);
	while (r == 0 && next_data(fd, size, &offset, &end)) {
		r = put_range(writer, host, offset, end, err);
		offset = end;
	}
	return r < 0 ? r : put_chunk(writer, size, NULL, 0, err);
}
