/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a saved state. Opening walks through the whole file once, which proves its structure and
 * its checksum and leaves an index of the records; what is read afterwards is read by that index,
 * and still with every length checked, because the file could change in between.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "state/state.h"
#include "state_format.h"

struct state_record {
	enum state_record_kind kind;
	bool used;
	uint16_t layer;
	uint32_t version;
	uint64_t size;	 /* of the payload; of a memory, the region's */
	uint64_t offset; /* of the payload in the file */
	char *name;
};

struct state_reader {
	char *file;
	int fd;
	uint64_t file_size;
	uint64_t offset; /* while the file is walked through */
	uint32_t crc;
	struct state_record *records;
	size_t record_count;
	size_t record_capacity;
};

static int damaged(struct state_reader *reader, const char *what, struct error *err)
{
	return error_set(err, EINVAL, "%s: the saved state is damaged at byte %llu: %s",
			 reader->file, (unsigned long long)reader->offset, what);
}

static int read_at(struct state_reader *reader, uint64_t offset, void *data, size_t size,
		   struct error *err)
{
	uint8_t *bytes = data;

	while (size > 0) {
		ssize_t n = pread(reader->fd, bytes, size, (off_t)offset);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return error_set(err, errno, "%s: cannot read: %s", reader->file,
					 strerror(errno));
		}
		if (n == 0) {
			return error_set(err, EINVAL,
					 "%s: the saved state is cut off after %llu bytes",
					 reader->file, (unsigned long long)offset);
		}
		bytes += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* ---- the first walk ---- */

static int next(struct state_reader *reader, void *data, size_t size, struct error *err)
{
	int r = read_at(reader, reader->offset, data, size, err);

	if (r == 0) {
		reader->crc = (uint32_t)crc32_z(reader->crc, data, size);
		reader->offset += size;
	}
	return r;
}

static int skip(struct state_reader *reader, uint64_t size, struct error *err)
{
	uint8_t buffer[65536];
	int r = 0;

	if (size > reader->file_size - MIN(reader->offset, reader->file_size)) {
		return error_set(err, EINVAL, "%s: the saved state is cut off after %llu bytes",
				 reader->file, (unsigned long long)reader->file_size);
	}
	while (r == 0 && size > 0) {
		size_t n = (size_t)MIN(size, (uint64_t)sizeof(buffer));

		r = next(reader, buffer, n, err);
		size -= n;
	}
	return r;
}

static bool valid_name(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (name[i] <= ' ' || name[i] > '~') {
			return false;
		}
	}
	return size > 0;
}

static struct state_record *find_record(struct state_reader *reader, enum state_record_kind kind,
					const char *name, unsigned int layer)
{
	for (size_t i = 0; i < reader->record_count; i++) {
		struct state_record *record = &reader->records[i];

		if (record->kind == kind && record->layer == layer &&
		    strcmp(record->name, name) == 0) {
			return record;
		}
	}
	return NULL;
}

static int add_record(struct state_reader *reader, const uint8_t *head, const char *name,
		      struct error *err)
{
	struct state_record *record;

	if (reader->record_count >= STATE_RECORDS_MAX) {
		return damaged(reader, "it has too many records", err);
	}
	if (find_record(reader, head[0], name, load_le16(head + 2)) != NULL) {
		return damaged(reader, "a record is there twice", err);
	}
	if (reader->record_count == reader->record_capacity) {
		size_t capacity = 2 * reader->record_capacity + 64;
		struct state_record *records =
			realloc(reader->records, capacity * sizeof(records[0]));

		if (records == NULL) {
			return error_set(err, ENOMEM, "out of memory");
		}
		reader->records = records;
		reader->record_capacity = capacity;
	}
	record = &reader->records[reader->record_count];
	*record = (struct state_record){
		.kind = head[0],
		.layer = load_le16(head + 2),
		.version = load_le32(head + 4),
		.size = load_le64(head + 8),
		.offset = reader->offset,
		.name = strdup(name),
	};
	if (record->name == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	reader->record_count++;
	return 0;
}

/* The head of a memory's chunk. Chunks lie in ascending order and do not overlap. */
struct chunk {
	uint64_t offset;
	uint32_t size;
	uint32_t compressed;
};

static bool parse_chunk(const uint8_t head[STATE_CHUNK_SIZE], uint64_t least, uint64_t region_size,
			struct chunk *ret_chunk)
{
	struct chunk chunk = { load_le64(head), load_le32(head + 8), load_le32(head + 12) };

	*ret_chunk = chunk;
	if (chunk.size == 0) {
		return chunk.offset == region_size && chunk.compressed == 0;
	}
	return chunk.size <= STATE_CHUNK_MAX && chunk.size % GUEST_PAGE_SIZE == 0 &&
	       chunk.offset % GUEST_PAGE_SIZE == 0 && chunk.offset >= least &&
	       chunk.offset <= region_size && chunk.size <= region_size - chunk.offset &&
	       chunk.compressed > 0 && chunk.compressed <= ZSTD_COMPRESSBOUND(STATE_CHUNK_MAX);
}

static int walk_memory(struct state_reader *reader, uint64_t region_size, struct error *err)
{
	struct chunk chunk = { .size = 1 };
	uint64_t least = 0;

	if (region_size % GUEST_PAGE_SIZE != 0 || region_size > STATE_MEMORY_MAX) {
		return damaged(reader, "a memory has a size that cannot be", err);
	}
	while (chunk.size != 0) {
		uint8_t head[STATE_CHUNK_SIZE];
		int r = next(reader, head, sizeof(head), err);

		if (r < 0) {
			return r;
		}
		if (!parse_chunk(head, least, region_size, &chunk)) {
			return damaged(reader, "a piece of memory lies where it cannot", err);
		}
		r = skip(reader, chunk.compressed, err);
		if (r < 0) {
			return r;
		}
		least = chunk.offset + chunk.size;
	}
	return 0;
}

static int walk_end(struct state_reader *reader, uint64_t size, struct error *err)
{
	uint32_t crc = reader->crc;
	uint8_t saved[4];
	int r;

	if (size != sizeof(saved)) {
		return damaged(reader, "its end is not one", err);
	}
	r = next(reader, saved, sizeof(saved), err);
	if (r < 0) {
		return r;
	}
	if (load_le32(saved) != crc) {
		return error_set(err, EINVAL,
				 "%s: the saved state is damaged: its checksum is wrong",
				 reader->file);
	}
	if (reader->offset != reader->file_size) {
		return damaged(reader, "something follows its end", err);
	}
	return 0;
}

/* One record. Return: 1 when it was the end, 0, or -errno. */
static int walk_record(struct state_reader *reader, struct error *err)
{
	uint8_t head[STATE_RECORD_SIZE];
	char name[256];
	uint64_t size;
	int r;

	r = next(reader, head, sizeof(head), err);
	if (r < 0) {
		return r;
	}
	r = next(reader, name, head[1], err);
	if (r < 0) {
		return r;
	}
	name[head[1]] = '\0';
	size = load_le64(head + 8);
	if (head[0] == STATE_RECORD_END) {
		r = walk_end(reader, size, err);
		return r < 0 ? r : 1;
	}
	if (!valid_name(name, head[1])) {
		return damaged(reader, "a record has no proper name", err);
	}
	r = add_record(reader, head, name, err);
	if (r < 0) {
		return r;
	}
	switch (head[0]) {
	case STATE_RECORD_CONFIG:
	case STATE_RECORD_SECTION:
		return size > STATE_PAYLOAD_MAX ? damaged(reader, "a record is too long", err)
						: skip(reader, size, err);
	case STATE_RECORD_MEMORY: return walk_memory(reader, size, err);
	default: return damaged(reader, "a record is of an unknown kind", err);
	}
}

static int walk_file(struct state_reader *reader, struct error *err)
{
	uint8_t header[STATE_HEADER_SIZE];
	int r;

	if (reader->file_size < STATE_HEADER_SIZE) {
		return error_set(err, EINVAL, "%s: this is not a saved state", reader->file);
	}
	r = next(reader, header, sizeof(header), err);
	if (r < 0) {
		return r;
	}
	if (memcmp(header, STATE_MAGIC, STATE_MAGIC_SIZE) != 0) {
		return error_set(err, EINVAL, "%s: this is not a saved state", reader->file);
	}
	if (load_le32(header + STATE_MAGIC_SIZE) != STATE_FORMAT_VERSION ||
	    load_le32(header + STATE_MAGIC_SIZE + 4) != 0) {
		return error_set(
			err, EINVAL, "%s: a saved state of format %u, but this program reads %u",
			reader->file, load_le32(header + STATE_MAGIC_SIZE), STATE_FORMAT_VERSION);
	}
	do {
		r = walk_record(reader, err);
	} while (r == 0);
	return r < 0 ? r : 0;
}

int state_reader_open(const char *file, struct state_reader **ret_reader, struct error *err)
{
	struct state_reader *reader = calloc(1, sizeof(*reader));
	struct stat st;
	int r;

	if (reader == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	reader->crc = (uint32_t)crc32_z(0, NULL, 0);
	/* Not blocking: the name may be that of a FIFO. */
	reader->fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (reader->fd < 0) {
		r = error_set(err, errno, "%s: cannot open: %s", file, strerror(errno));
		goto out_close;
	}
	reader->file = strdup(file);
	if (reader->file == NULL) {
		r = error_set(err, ENOMEM, "out of memory");
		goto out_close;
	}
	if (fstat(reader->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		r = error_set(err, EINVAL, "%s: this is not a regular file", file);
		goto out_close;
	}
	reader->file_size = (uint64_t)st.st_size;
	r = walk_file(reader, err);
	if (r < 0) {
		goto out_close;
	}
	*ret_reader = reader;
	return 0;

out_close:
	state_reader_close(reader);
	return r;
}

void state_reader_close(struct state_reader *reader)
{
	if (reader == NULL) {
		return;
	}
	for (size_t i = 0; i < reader->record_count; i++) {
		free(reader->records[i].name);
	}
	free(reader->records);
	if (reader->fd >= 0) {
		close(reader->fd);
	}
	free(reader->file);
	free(reader);
}

/* ---- records ---- */

/* The payload of @record with a zero byte after it; freed by the caller. */
static int read_payload(struct state_reader *reader, struct state_record *record,
			uint8_t **ret_data, struct error *err)
{
	uint8_t *data = malloc((size_t)record->size + 1);
	int r;

	if (data == NULL) {
		return error_set(err, ENOMEM, "%s: out of memory", reader->file);
	}
	r = read_at(reader, record->offset, data, (size_t)record->size, err);
	if (r < 0) {
		free(data);
		return r;
	}
	data[record->size] = '\0';
	*ret_data = data;
	return 0;
}

int state_reader_for_each_config(struct state_reader *reader,
				 int (*fn)(void *opaque, const char *key, const char *value),
				 void *opaque, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < reader->record_count; i++) {
		struct state_record *record = &reader->records[i];
		uint8_t *value;

		if (record->kind != STATE_RECORD_CONFIG) {
			continue;
		}
		r = read_payload(reader, record, &value, err);
		if (r == 0) {
			r = fn(opaque, record->name, (const char *)value);
			free(value);
		}
	}
	return r < 0 ? r : 0;
}

bool state_reader_has_section(struct state_reader *reader, const char *path, unsigned int layer)
{
	return find_record(reader, STATE_RECORD_SECTION, path, layer) != NULL;
}

int state_read_section(struct state_reader *reader, const char *path, unsigned int layer,
		       const struct state_table *table, void *base, struct error *err)
{
	struct state_record *record = find_record(reader, STATE_RECORD_SECTION, path, layer);
	uint8_t *data;
	int r;

	if (record == NULL) {
		return error_set(err, ENOENT, "%s: section '%s' is missing", reader->file, path);
	}
	record->used = true;
	if (record->version != table->version) {
		return error_set(
			err, EINVAL,
			"%s: section '%s' is of version %u, but this program has version %u",
			reader->file, path, record->version, table->version);
	}
	r = read_payload(reader, record, &data, err);
	if (r < 0) {
		return r;
	}
	r = state_decode(data, (size_t)record->size, table, base, err);
	if (r < 0) {
		error_prefix(err, "%s: section '%s'", reader->file, path);
	}
	free(data);
	return r;
}

/* ---- memory ---- */

/* Zeroes without touching pages that are zero, or not there, already. */
static void clear_range(uint8_t *host, uint64_t offset, uint64_t end, int fd)
{
	if (offset >= end) {
		return;
	}
	if (fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
				 (off_t)(end - offset)) == 0) {
		return;
	}
	for (; offset < end; offset += GUEST_PAGE_SIZE) {
		if (!state_is_zero(host + offset, GUEST_PAGE_SIZE)) {
			memset(host + offset, 0, GUEST_PAGE_SIZE);
		}
	}
}

static int load_chunks(struct state_reader *reader, struct state_record *record, uint8_t *host,
		       int fd, uint8_t *compressed, struct error *err)
{
	uint64_t offset = record->offset;
	struct chunk chunk = { .size = 1 };
	uint64_t least = 0;

	while (chunk.size != 0) {
		uint8_t head[STATE_CHUNK_SIZE];
		int r = read_at(reader, offset, head, sizeof(head), err);
		size_t n;

		if (r < 0) {
			return r;
		}
		if (!parse_chunk(head, least, record->size, &chunk)) {
			return error_set(err, EINVAL, "a piece of it lies where it cannot");
		}
		clear_range(host, least, chunk.offset, fd);
		if (chunk.size == 0) {
			break;
		}
		r = read_at(reader, offset + sizeof(head), compressed, chunk.compressed, err);
		if (r < 0) {
			return r;
		}
		n = ZSTD_decompress(host + chunk.offset, chunk.size, compressed, chunk.compressed);
		if (ZSTD_isError(n) || n != chunk.size) {
			return error_set(err, EINVAL, "a piece of it cannot be decompressed");
		}
		offset += sizeof(head) + chunk.compressed;
		least = chunk.offset + chunk.size;
	}
	return 0;
}

int state_read_memory(struct state_reader *reader, const char *name, void *host, uint64_t size,
		      int fd, struct error *err)
{
	struct state_record *record = find_record(reader, STATE_RECORD_MEMORY, name, 0);
	uint8_t *compressed;
	int r;

	if (record == NULL) {
		return error_set(err, ENOENT, "%s: memory '%s' is missing", reader->file, name);
	}
	record->used = true;
	if (record->size != size) {
		return error_set(err, EINVAL,
				 "%s: memory '%s' was of %llu KiB, but is of %llu KiB now",
				 reader->file, name, (unsigned long long)record->size / 1024,
				 (unsigned long long)size / 1024);
	}
	compressed = malloc(ZSTD_COMPRESSBOUND(STATE_CHUNK_MAX));
	if (compressed == NULL) {
		return error_set(err, ENOMEM, "%s: out of memory", reader->file);
	}
	r = load_chunks(reader, record, host, fd, compressed, err);
	if (r < 0) {
		error_prefix(err, "%s: memory '%s'", reader->file, name);
	}
	free(compressed);
	return r;
}

int state_reader_finish(struct state_reader *reader, struct error *err)
{
	for (size_t i = 0; i < reader->record_count; i++) {
		const struct state_record *record = &reader->records[i];

		if (!record->used && record->kind != STATE_RECORD_CONFIG) {
			return error_set(err, EINVAL,
					 "%s: %s '%s' belongs to nothing in this machine",
					 reader->file,
					 record->kind == STATE_RECORD_MEMORY ? "memory" : "section",
					 record->name);
		}
	}
	return 0;
}
