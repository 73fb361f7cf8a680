/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Structs into fields, as their tables declare. Each field carries its name, type, count and size,
 * so that a stream can be checked against another build's tables and read without any.
 */

#include <assert.h>
#include <stdlib.h>

#include "state_format.h"

int state_buffer_append(struct state_buffer *buffer, const void *data, size_t size)
{
	if (size > buffer->capacity - buffer->size) {
		size_t capacity = MAX(2 * buffer->capacity, buffer->size + size + 1024);
		uint8_t *grown = realloc(buffer->data, capacity);

		if (grown == NULL) {
			return -ENOMEM;
		}
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	if (size > 0) {
		memcpy(buffer->data + buffer->size, data, size);
	}
	buffer->size += size;
	return 0;
}

static int append_field(struct state_buffer *buffer, const struct state_field *field,
			uint64_t count, uint64_t size)
{
	const char *name = field->type == STATE_END ? "" : field->name;
	uint8_t head[STATE_FIELD_SIZE] = { 0 };
	int r;

	head[0] = (uint8_t)field->type;
	head[1] = (uint8_t)strlen(name);
	store_le32(head + 4, (uint32_t)count);
	store_le64(head + 8, size);
	r = state_buffer_append(buffer, head, sizeof(head));
	return r < 0 ? r : state_buffer_append(buffer, name, strlen(name));
}

static int encode_fields(struct state_buffer *buffer, const struct state_table *table, void *base);

static int encode_struct(struct state_buffer *buffer, const struct state_field *field, char *place)
{
	static const struct state_field end = STATE_FIELDS_END;
	uint8_t version[4];
	int r;

	r = append_field(buffer, field, field->count, 0);
	store_le32(version, field->sub->version);
	r = r < 0 ? r : state_buffer_append(buffer, version, sizeof(version));
	for (size_t i = 0; r == 0 && i < field->count; i++) {
		r = encode_fields(buffer, field->sub, place + i * field->size);
		r = r < 0 ? r : append_field(buffer, &end, 0, 0);
	}
	return r;
}

static int encode_timers(struct state_buffer *buffer, const struct state_field *field, char *place)
{
	int r = append_field(buffer, field, field->count, sizeof(uint64_t));

	for (size_t i = 0; r == 0 && i < field->count; i++) {
		uint8_t deadline[8];

		store_le64(deadline, timer_deadline((struct timer *)(place + i * field->size)));
		r = state_buffer_append(buffer, deadline, sizeof(deadline));
	}
	return r;
}

static int encode_blob(struct state_buffer *buffer, const struct state_field *field, void *base)
{
	void *data = NULL;
	size_t size = 0;
	int r;

	r = field->save_blob(base, &data, &size);
	if (r < 0) {
		return r;
	}
	/* What could not be loaded again must not be saved. */
	r = size > field->max_size ? -EOVERFLOW : append_field(buffer, field, 1, size);
	r = r < 0 ? r : state_buffer_append(buffer, data, size);
	free(data);
	return r;
}

static int encode_field(struct state_buffer *buffer, const struct state_field *field, void *base)
{
	char *place = (char *)base + field->offset;
	int r;

	switch (field->type) {
	case STATE_STRUCT: return encode_struct(buffer, field, place);
	case STATE_TIMER: return encode_timers(buffer, field, place);
	case STATE_BLOB: return encode_blob(buffer, field, base);
	default:
		r = append_field(buffer, field, field->count, field->size);
		return r < 0 ? r : state_buffer_append(buffer, place, field->count * field->size);
	}
}

static int encode_fields(struct state_buffer *buffer, const struct state_table *table, void *base)
{
	int r = 0;

	if (table->pre_save != NULL) {
		table->pre_save(base);
	}
	for (const struct state_field *field = table->fields; r == 0 && field->type != STATE_END;
	     field++) {
		assert(strlen(field->name) <= UINT8_MAX && field->count <= UINT32_MAX);
		r = encode_field(buffer, field, base);
	}
	return r;
}

int state_encode(struct state_buffer *buffer, const struct state_table *table, void *base,
		 struct error *err)
{
	int r = encode_fields(buffer, table, base);

	return r < 0 ? error_set(err, -r, "cannot be saved: %s", strerror(-r)) : 0;
}
