/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Saved state as bytes in memory, walking a device's tables as the saved-state stream does: each
 * field with its label, so that a difference can be named.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "device/fake_machine.h"

static void append(struct fake_image *image, const void *data, size_t size)
{
	if (image->size + size > image->capacity) {
		image->capacity = 2 * (image->size + size);
		image->data = realloc(image->data, image->capacity);
		if (!image->data) {
			fail_msg("no memory");
		}
	}
	if (size > 0) {
		memcpy(image->data + image->size, data, size);
		image->size += size;
	}
}

static void label(struct fake_image *image, const char *prefix, const char *name)
{
	struct fake_label *added;

	image->labels = realloc(image->labels, (image->label_count + 1) * sizeof(*image->labels));
	if (!image->labels) {
		fail_msg("no memory");
		return;
	}
	added = &image->labels[image->label_count++];
	snprintf(added->name, sizeof(added->name), "%s%s", prefix, name);
	added->offset = image->size;
}

static void save_table(struct fake_image *image, const char *prefix,
		       const struct state_table *table, void *base);

static void save_structs(struct fake_image *image, const char *prefix,
			 const struct state_field *field, char *at)
{
	char inner[64];

	for (size_t i = 0; i < field->count; i++) {
		if (field->count > 1) {
			snprintf(inner, sizeof(inner), "%s%s[%zu].", prefix, field->name, i);
		} else {
			snprintf(inner, sizeof(inner), "%s%s.", prefix, field->name);
		}
		save_table(image, inner, field->sub, at + i * field->size);
	}
}

static void save_blob(struct fake_image *image, const struct state_field *field, void *base)
{
	void *data = NULL;
	size_t size = 0;
	uint64_t length;
	int ret = field->save_blob(base, &data, &size);

	if (ret < 0) {
		fail_msg("field '%s' does not save: %d", field->name, ret);
	}
	if (size > field->max_size) {
		fail_msg("field '%s' saves more than it would load", field->name);
	}
	length = size;
	append(image, &length, sizeof(length));
	append(image, data, size);
	free(data);
}

static void save_table(struct fake_image *image, const char *prefix,
		       const struct state_table *table, void *base)
{
	if (table->pre_save) {
		table->pre_save(base);
	}
	for (const struct state_field *field = table->fields; field->type != STATE_END; field++) {
		char *at = (char *)base + field->offset;
		uint64_t deadline;

		if (field->type == STATE_STRUCT) {
			save_structs(image, prefix, field, at);
			continue;
		}
		label(image, prefix, field->name);
		if (field->type == STATE_TIMER) {
			deadline = timer_deadline((struct timer *)at);
			append(image, &deadline, sizeof(deadline));
		} else if (field->type == STATE_BLOB) {
			save_blob(image, field, base);
		} else {
			append(image, at, field->size * field->count);
		}
	}
}

void fake_state_save(struct device *dev, struct fake_image *ret_image)
{
	const struct state_table *tables[DEVICE_STATE_TABLES_MAX];
	unsigned int count = device_state_tables(dev, tables);

	memset(ret_image, 0, sizeof(*ret_image));
	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = 0; i < count; i++) {
		save_table(ret_image, "", tables[i], dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

void fake_image_finish(struct fake_image *image)
{
	free(image->data);
	free(image->labels);
}

uint8_t *fake_image_field(struct fake_image *image, const char *name)
{
	for (size_t i = 0; i < image->label_count; i++) {
		if (strcmp(image->labels[i].name, name) == 0) {
			return image->data + image->labels[i].offset;
		}
	}
	fail_msg("no field '%s' is saved", name);
	return NULL;
}

/** struct fake_reader - a place in an image that is being loaded. */
struct fake_reader {
	const struct fake_image *image;
	size_t at;
};

static int take(struct fake_reader *reader, void *to, size_t size)
{
	if (size > reader->image->size - reader->at) {
		return -EINVAL;
	}
	memcpy(to, reader->image->data + reader->at, size);
	reader->at += size;
	return 0;
}

static int load_blob(struct fake_reader *reader, const struct state_field *field, void *base,
		     struct error *err)
{
	uint64_t size;
	int ret = take(reader, &size, sizeof(size));

	if (ret < 0 || size > field->max_size || size > reader->image->size - reader->at) {
		return -EINVAL;
	}
	ret = field->load_blob(base, reader->image->data + reader->at, size, err);
	reader->at += size;
	return ret;
}

/* As the stream: a bool is 0 or 1. */
static int take_bools(struct fake_reader *reader, void *to, size_t count)
{
	for (size_t i = 0; i < MIN(count, reader->image->size - reader->at); i++) {
		if (reader->image->data[reader->at + i] > 1) {
			return -EINVAL;
		}
	}
	return take(reader, to, count);
}

static int load_table(struct fake_reader *reader, const struct state_table *table, void *base,
		      struct error *err);

static int load_field(struct fake_reader *reader, const struct state_field *field, void *base,
		      struct error *err)
{
	char *at = (char *)base + field->offset;
	int ret = 0;

	switch (field->type) {
	case STATE_STRUCT:
		for (size_t i = 0; i < field->count && ret == 0; i++) {
			ret = load_table(reader, field->sub, at + i * field->size, err);
		}
		return ret;
	case STATE_TIMER:
		/* Armed after the post_load, as the stream does. */
		return take(reader, &((struct timer *)at)->deadline_ns, sizeof(uint64_t));
	case STATE_BLOB:
		return load_blob(reader, field, base, err);
	case STATE_BOOL:
		return take_bools(reader, at, field->size * field->count);
	default:
		return take(reader, at, field->size * field->count);
	}
}

static int load_table(struct fake_reader *reader, const struct state_table *table, void *base,
		      struct error *err)
{
	int ret = 0;

	for (const struct state_field *field = table->fields; field->type != STATE_END; field++) {
		if (field->type == STATE_TIMER) {
			timer_cancel((struct timer *)((char *)base + field->offset));
		}
		ret = load_field(reader, field, base, err);
		if (ret < 0) {
			return ret;
		}
	}
	ret = table->post_load ? table->post_load(base, err) : 0;
	for (const struct state_field *field = table->fields; field->type != STATE_END; field++) {
		struct timer *timer = (struct timer *)((char *)base + field->offset);

		if (field->type == STATE_TIMER && timer->deadline_ns != TIMER_NEVER) {
			timer_arm(timer, timer->deadline_ns);
		}
	}
	return ret;
}

int fake_state_load(struct device *dev, const struct fake_image *image, struct error *err)
{
	const struct state_table *tables[DEVICE_STATE_TABLES_MAX];
	unsigned int count = device_state_tables(dev, tables);
	struct fake_reader reader = { image, 0 };
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = 0; i < count && ret == 0; i++) {
		ret = load_table(&reader, tables[i], dev, err);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret < 0 ? ret : reader.at == image->size ? 0 : -EINVAL;
}
