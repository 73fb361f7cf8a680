/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target of the saved state. The first byte picks whether the rest is a file as it is, or the
 * payload of a file whose header, checksum and end are made right, so that the fuzzer gets past the
 * checksum; the section decoder is also fed directly.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "state/state.h"
#include "state/state_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sub {
	uint16_t a;
	bool b;
};

struct part {
	uint32_t number;
	uint8_t bytes[4];
	struct sub subs[2];
	uint8_t blob[8];
	size_t blob_size;
};

static const struct state_table sub_table = {
	.version = 1,
	.fields = (const struct state_field[]){ STATE_FIELD(struct sub, a),
						STATE_FIELD_BOOL(struct sub, b), STATE_FIELDS_END },
};

static int save_blob(void *base, void **ret_data, size_t *ret_size)
{
	(void)base;
	(void)ret_data;
	(void)ret_size;
	return -EIO;
}

static int load_blob(void *base, const void *data, size_t size, struct error *err)
{
	struct part *part = base;

	(void)err;
	memcpy(part->blob, data, size);
	part->blob_size = size;
	return 0;
}

static const struct state_table part_table = {
	.version = 1,
	.fields =
		(const struct state_field[]){
			STATE_FIELD(struct part, number),
			STATE_FIELD_BYTES(struct part, bytes),
			STATE_FIELD_STRUCT(struct part, subs, 2, &sub_table),
			{ .name = "blob",
			  .type = STATE_BLOB,
			  .save_blob = save_blob,
			  .load_blob = load_blob,
			  .max_size = 8 },
			STATE_FIELDS_END,
		},
};

static int on_config(void *opaque, const char *key, const char *value)
{
	*(size_t *)opaque += strlen(key) + strlen(value);
	return 0;
}

static void load_file(const char *file)
{
	static uint8_t memory[4 * GUEST_PAGE_SIZE];
	struct state_reader *reader;
	struct part part = { 0 };
	size_t total = 0;
	struct error err;

	if (state_reader_open(file, &reader, &err) < 0) {
		return;
	}
	state_reader_for_each_config(reader, on_config, &total, &err);
	state_read_section(reader, "p", 0, &part_table, &part, &err);
	state_read_memory(reader, "m", memory, sizeof(memory), -1, &err);
	state_reader_finish(reader, &err);
	state_reader_close(reader);
}

static void put(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size) {
		abort();
	}
}

static void put_framed(int fd, const uint8_t *data, size_t size)
{
	uint8_t header[STATE_HEADER_SIZE] = STATE_MAGIC;
	uint8_t end[STATE_RECORD_SIZE + 4] = { STATE_RECORD_END };
	uLong crc;

	store_le32(header + STATE_MAGIC_SIZE, STATE_FORMAT_VERSION);
	store_le64(end + 8, 4);
	crc = crc32_z(crc32_z(0, NULL, 0), header, sizeof(header));
	crc = crc32_z(crc, data, size);
	crc = crc32_z(crc, end, STATE_RECORD_SIZE);
	store_le32(end + STATE_RECORD_SIZE, (uint32_t)crc);
	put(fd, header, sizeof(header));
	put(fd, data, size);
	put(fd, end, sizeof(end));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct part part = { 0 };
	struct error err;
	char file[64];
	int fd;

	if (size == 0) {
		return 0;
	}
	if (data[0] % 3 == 0) {
		state_decode(data + 1, size - 1, &part_table, &part, &err);
		return 0;
	}
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0) {
		return 0;
	}
	if (data[0] % 3 == 1) {
		put(fd, data + 1, size - 1);
	} else {
		put_framed(fd, data + 1, size - 1);
	}
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	load_file(file);
	close(fd);
	return 0;
}
