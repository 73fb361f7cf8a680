/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fields into structs. A section is gone through three times by the same walk: to check that it is
 * exactly what the table declares, to load the values, and, when the post_loads have accepted them,
 * to arm the timers. So nothing of a section that does not fit is ever written into a device.
 */

#include <stdlib.h>

#include "state_format.h"

enum walk_pass {
	WALK_CHECK,
	WALK_LOAD,
	WALK_ARM,
};

struct walk {
	const uint8_t *data;
	size_t size;
	size_t offset;
	enum walk_pass pass;
	struct error *err;
};

/* Take @size bytes, or NULL when there are fewer. */
static const uint8_t *take(struct walk *walk, uint64_t size)
{
	const uint8_t *data = walk->data + walk->offset;

	if (size > walk->size - walk->offset) {
		return NULL;
	}
	walk->offset += (size_t)size;
	return data;
}

static bool has_field(const struct state_table *table, const char *name, size_t size)
{
	for (const struct state_field *field = table->fields; field->type != STATE_END; field++) {
		if (strlen(field->name) == size && memcmp(field->name, name, size) == 0) {
			return true;
		}
	}
	return false;
}

/* The stream has another name where @field was expected. */
static int misplaced(struct walk *walk, const struct state_table *table,
		     const struct state_field *field, const char *name, size_t size)
{
	if (has_field(table, name, size)) {
		return error_set(walk->err, EINVAL, "field '%s' is missing", field->name);
	}
	return error_set(walk->err, EINVAL, "field '%.*s' is unknown", (int)size, name);
}

/*
 * Take the head and name of a field, which must be those of @field; *@ret_size: size of one
 * element.
 */
static int take_head(struct walk *walk, const struct state_table *table,
		     const struct state_field *field, uint64_t *ret_size)
{
	const uint8_t *head = take(walk, STATE_FIELD_SIZE);
	const char *name = head != NULL ? (const char *)take(walk, head[1]) : NULL;
	uint64_t size;

	if (name == NULL) {
		return error_set(walk->err, EINVAL, "field '%s' is missing", field->name);
	}
	if (head[1] != strlen(field->name) || memcmp(name, field->name, head[1]) != 0) {
		return misplaced(walk, table, field, name, head[1]);
	}
	if (head[0] != field->type || load_le16(head + 2) != 0) {
		return error_set(walk->err, EINVAL, "field '%s' has another type", field->name);
	}
	if (load_le32(head + 4) != (field->type == STATE_BLOB ? 1 : field->count)) {
		return error_set(walk->err, EINVAL, "field '%s' has %u elements, not %zu",
				 field->name, load_le32(head + 4), field->count);
	}
	size = load_le64(head + 8);
	if (field->type == STATE_BLOB ? size > field->max_size
				      : size != (field->type == STATE_TIMER    ? sizeof(uint64_t)
						 : field->type == STATE_STRUCT ? 0
									       : field->size)) {
		return error_set(walk->err, EINVAL, "field '%s' has a wrong size", field->name);
	}
	*ret_size = size;
	return 0;
}

static int walk_fields(struct walk *walk, const struct state_table *table, void *base);

static int walk_element(struct walk *walk, const struct state_table *table, void *base)
{
	static const uint8_t end[STATE_FIELD_SIZE] = { 0 };
	const uint8_t *data;
	int r;

	r = walk_fields(walk, table, base);
	if (r < 0) {
		return r;
	}
	data = take(walk, sizeof(end));
	if (data == NULL || memcmp(data, end, sizeof(end)) != 0) {
		return error_set(walk->err, EINVAL, "it has an unknown field");
	}
	return 0;
}

static int walk_struct(struct walk *walk, const struct state_field *field, char *place)
{
	const uint8_t *version = take(walk, sizeof(uint32_t));
	int r = 0;

	if (version == NULL || load_le32(version) != field->sub->version) {
		return error_set(walk->err, EINVAL, "field '%s' is of another version",
				 field->name);
	}
	/* Tables are ours and nest a few levels; the stream cannot add one. */
	for (size_t i = 0; r == 0 && i < field->count; i++) {
		r = walk_element(walk, field->sub, place + i * field->size);
	}
	if (r < 0) {
		error_prefix(walk->err, "in '%s'", field->name);
	}
	return r;
}

static int walk_timers(struct walk *walk, const struct state_field *field, const uint8_t *data,
		       char *place)
{
	for (size_t i = 0; i < field->count; i++) {
		struct timer *timer = (struct timer *)(place + i * field->size);
		uint64_t deadline = load_le64(data + i * sizeof(uint64_t));

		if (deadline != TIMER_NEVER && deadline > INT64_MAX) {
			return error_set(walk->err, EINVAL,
					 "field '%s' has a deadline that cannot be", field->name);
		}
		if (walk->pass == WALK_LOAD) {
			timer_cancel(timer);
		} else if (walk->pass == WALK_ARM) {
			timer_arm(timer, deadline);
		}
	}
	return 0;
}

static int walk_blob(struct walk *walk, const struct state_field *field, const uint8_t *data,
		     size_t size, void *base)
{
	int r;

	if (walk->pass != WALK_LOAD) {
		return 0;
	}
	r = field->load_blob(base, data, size, walk->err);
	if (r < 0) {
		error_prefix(walk->err, "field '%s'", field->name);
	}
	return r;
}

static int walk_plain(struct walk *walk, const struct state_field *field, const uint8_t *data,
		      char *place)
{
	size_t size = field->count * field->size;

	if (field->type == STATE_BOOL) {
		for (size_t i = 0; i < size; i++) {
			if (data[i] > 1) {
				return error_set(walk->err, EINVAL, "field '%s' is neither 0 nor 1",
						 field->name);
			}
		}
	}
	if (walk->pass == WALK_LOAD) {
		memcpy(place, data, size);
	}
	return 0;
}

static int walk_field(struct walk *walk, const struct state_table *table,
		      const struct state_field *field, void *base)
{
	char *place = (char *)base + field->offset;
	const uint8_t *data;
	uint64_t size = 0;
	int r;

	r = take_head(walk, table, field, &size);
	if (r < 0) {
		return r;
	}
	if (field->type == STATE_STRUCT) {
		return walk_struct(walk, field, place);
	}
	data = take(walk, field->type == STATE_BLOB ? size : field->count * size);
	if (data == NULL) {
		return error_set(walk->err, EINVAL, "field '%s' is cut off", field->name);
	}
	switch (field->type) {
	case STATE_TIMER: return walk_timers(walk, field, data, place);
	case STATE_BLOB: return walk_blob(walk, field, data, (size_t)size, base);
	default: return walk_plain(walk, field, data, place);
	}
}

static int walk_fields(struct walk *walk, const struct state_table *table, void *base)
{
	int r = 0;

	for (const struct state_field *field = table->fields; r == 0 && field->type != STATE_END;
	     field++) {
		r = walk_field(walk, table, field, base);
	}
	if (r == 0 && walk->pass == WALK_LOAD && table->post_load != NULL) {
		r = table->post_load(base, walk->err);
	}
	return r;
}

int state_decode(const uint8_t *data, size_t size, const struct state_table *table, void *base,
		 struct error *err)
{
	int r = 0;

	for (enum walk_pass pass = WALK_CHECK; r == 0 && pass <= WALK_ARM; pass++) {
		struct walk walk = { .data = data, .size = size, .pass = pass, .err = err };

		r = walk_fields(&walk, table, base);
		if (r == 0 && walk.offset != size) {
			r = error_set(err, EINVAL, "it has an unknown field");
		}
	}
	return r;
}
