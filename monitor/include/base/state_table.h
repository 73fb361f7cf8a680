/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_STATE_TABLE_H
#define LIMEN_BASE_STATE_TABLE_H

/*
 * Saved state is declared: each device (and each bus, engine, vCPU) has a table of the fields that
 * make up its state. The stream (state/state.h) writes each field with its name, type and length,
 * and on loading checks every one: an unknown section, a missing or unknown field, another length
 * or a short stream is an error with the device's path and the field's name. A stream is as hostile
 * as a guest, so post_load must check whatever later code relies on (indexes, counts, enums).
 */

#include "base/clock.h"
#include "base/error.h"
#include "base/types.h"

enum state_type {
	STATE_END,
	STATE_U8,
	STATE_U16,
	STATE_U32,
	STATE_U64,
	STATE_BOOL,
	STATE_BYTES,	/* @size bytes, as they are */
	STATE_TIMER,	/* struct timer: its deadline; armed again after the load */
	STATE_STRUCT,	/* an embedded struct described by @sub; @count of them, @size apart */
	STATE_BLOB,	/* variable length through save_blob/load_blob */
};

struct state_table;

/**
 * struct state_field - one field
 * @name: unique within its table; letters, digits, '_'
 * @offset: of the field within its struct
 * @size: of one element in bytes
 * @count: number of elements (1 for a scalar)
 * @sub: for STATE_STRUCT
 * @save_blob: for STATE_BLOB: *@ret_data (malloc'd, freed by the caller) and its length
 * @load_blob: for STATE_BLOB
 * @max_size: for STATE_BLOB: a longer one is refused before anything is allocated
 */
struct state_field {
	const char *name;
	enum state_type type;
	size_t offset;
	size_t size;
	size_t count;
	const struct state_table *sub;
	int (*save_blob)(void *base, void **ret_data, size_t *ret_size);
	int (*load_blob)(void *base, const void *data, size_t size, struct error *err);
	size_t max_size;
};

/**
 * struct state_table - what is saved of one struct
 * @version: raised when the meaning of the fields changes; another version is refused with a clear
 *           error
 * @fields: ended by STATE_END
 * @pre_save: brings cached values up to date; optional
 * @post_load: checks the values and rebuilds what derives from them; optional. Timers are armed
 *             after it.
 */
struct state_table {
	uint32_t version;
	const struct state_field *fields;
	void (*pre_save)(void *base);
	int (*post_load)(void *base, struct error *err);
};

/* "type_" is the struct's type; the name keeps clear of the member .type. */
#define STATE_FIELD_(kind, type_, member, n)                                                       \
	{                                                                                          \
		.name = #member, .type = (kind), .offset = offsetof(type_, member),                \
		.size = sizeof(((type_ *)0)->member) / (n), .count = (n)                           \
	}
#define STATE_KIND_OF_SIZE_(bytes)                                                                 \
	((bytes) == 1 ? STATE_U8 : (bytes) == 2 ? STATE_U16 : (bytes) == 4 ? STATE_U32 : STATE_U64)

/** STATE_FIELD() - an integer member; its size selects the type. */
#define STATE_FIELD(type_, member)                                                                 \
	STATE_FIELD_(STATE_KIND_OF_SIZE_(sizeof(((type_ *)0)->member)), type_, member, 1)
#define STATE_FIELD_BOOL(type_, member) STATE_FIELD_(STATE_BOOL, type_, member, 1)
/** STATE_FIELD_BYTES() - an array of uint8_t. */
#define STATE_FIELD_BYTES(type_, member) STATE_FIELD_(STATE_BYTES, type_, member, 1)
#define STATE_FIELD_TIMER(type_, member) STATE_FIELD_(STATE_TIMER, type_, member, 1)
/** STATE_FIELD_ARRAY() - an array of integers. */
#define STATE_FIELD_ARRAY(type_, member)                                                           \
	STATE_FIELD_(STATE_KIND_OF_SIZE_(sizeof(((type_ *)0)->member[0])), type_, member,          \
		     ARRAY_SIZE(((type_ *)0)->member))
/** STATE_FIELD_STRUCT() - an embedded struct, or an array of @n of them, described by @table. */
#define STATE_FIELD_STRUCT(type_, member, n, table)                                                \
	{                                                                                          \
		.name = #member, .type = STATE_STRUCT, .offset = offsetof(type_, member),          \
		.size = sizeof(((type_ *)0)->member) / (n), .count = (n), .sub = (table)           \
	}
#define STATE_FIELDS_END                                                                           \
	{                                                                                          \
		.type = STATE_END                                                                  \
	}

#endif
