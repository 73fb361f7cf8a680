/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_STATE_STATE_FORMAT_H
#define LIMEN_STATE_STATE_FORMAT_H

/*
 * The format of a saved state (docs/state-format.md), shared by writer and reader. All numbers are
 * little-endian; nothing is aligned.
 */

#include "base/error.h"
#include "base/state_table.h"
#include "base/types.h"

#define STATE_MAGIC "LIMENSAV"
#define STATE_MAGIC_SIZE 8
#define STATE_FORMAT_VERSION 1
#define STATE_HEADER_SIZE 16 /* magic, u32 format version, u32 zero */

/*
 * A record: u8 kind, u8 size of its name, u16 layer, u32 version, u64 size; its name; its payload.
 */
#define STATE_RECORD_SIZE 16
#define STATE_RECORDS_MAX 4096
#define STATE_PAYLOAD_MAX MIB(256) /* of a section or a configuration value */
#define STATE_MEMORY_MAX GIB(1024)

enum state_record_kind {
	STATE_RECORD_CONFIG = 'C',  /* name: the key; payload: the value */
	STATE_RECORD_SECTION = 'S', /* name: the path; payload: fields */
	STATE_RECORD_MEMORY = 'M',  /* size: of the region; payload: chunks up to one of size 0 */
	STATE_RECORD_END = 'E',	    /* payload: CRC-32 of all bytes of the file before it */
};

/* A chunk of memory: u64 offset, u32 size, u32 size compressed; one zstd frame. */
#define STATE_CHUNK_SIZE 16
#define STATE_CHUNK_MAX MIB(1)

/*
 * A field: u8 type, u8 size of its name, u16 zero, u32 count, u64 size of one; its name; its data.
 * Of a STATE_STRUCT the data is: u32 version of its table, then for each of the count its fields
 * and an end (a field of type 0 with no name).
 */
#define STATE_FIELD_SIZE 16

/**
 * struct state_buffer - bytes of a section as they grow
 */
struct state_buffer {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

int state_buffer_append(struct state_buffer *buffer, const void *data, size_t size);

/** state_encode() - append the fields of the struct at @base to @buffer. */
int state_encode(struct state_buffer *buffer, const struct state_table *table, void *base,
		 struct error *err);

/**
 * state_decode() - check the @size bytes at @data against @table, load them into the struct at
 * @base, let its post_load judge them, arm its timers. The text of an error names the field.
 */
int state_decode(const uint8_t *data, size_t size, const struct state_table *table, void *base,
		 struct error *err);

/** state_is_zero() - whether the @size bytes at @data are zero. */
bool state_is_zero(const void *data, size_t size);

#endif
