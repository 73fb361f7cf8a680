/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firmware says while it starts: POST codes at port 80h, and text at port 402h, the debug port
 * that Bochs invented and SeaBIOS and OVMF look for (a read gives E9h where it is present). Text
 * goes to the log line by line at level debug, POST codes at level trace.
 *
 * The line buffer is not part of the machine's state: half a line of log is nobody's memory.
 */

#include "bus/chipset.h"

#include <assert.h>

#define PORT_POST 0x80
#define PORT_TEXT 0x402
#define TEXT_PRESENT 0xe9
#define LINE_MAX 160

struct post {
	struct device dev;
	uint8_t code;
	unsigned int used;
	char line[LINE_MAX];
	struct io_region regions[2];
};

static const struct device_ops post_ops;

static struct post *post_from_device(struct device *dev)
{
	assert(dev->ops == &post_ops);
	return container_of(dev, struct post, dev);
}

static void flush_line(struct post *post)
{
	if (post->used) {
		log_debug(LOG_AREA_DEVICE, "firmware: %.*s", (int)post->used, post->line);
	}
	post->used = 0;
}

static uint64_t code_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct post *post = opaque;

	return post->code;
}

static void code_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct post *post = opaque;

	post->code = (uint8_t)value;
	log_trace(LOG_AREA_DEVICE, "firmware: POST code 0x%02x", post->code);
}

static uint64_t text_read(void *opaque, uint64_t offset, unsigned int size)
{
	return TEXT_PRESENT;
}

/* The log is a terminal's: what could command it becomes a dot. */
static void text_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct post *post = opaque;
	char c = (char)value;

	if (!log_enabled(LOG_AREA_DEVICE, LOG_LEVEL_DEBUG)) {
		return;
	}
	if (c == '\n' || post->used == LINE_MAX) {
		flush_line(post);
	}
	if (c != '\n' && c != '\r') {
		post->line[post->used++] = c == '\t' ? ' ' : c < ' ' || c > '~' ? '.' : c;
	}
}

static const struct io_ops code_io = { .read = code_read, .write = code_write, .max_size = 1 };
static const struct io_ops text_io = { .read = text_read, .write = text_write, .max_size = 1 };

static void post_destroy(struct device *dev)
{
	struct post *post = post_from_device(dev);

	io_region_unmap(&post->regions[0]);
	io_region_unmap(&post->regions[1]);
	flush_line(post);
}

static int post_create(struct device *dev, struct error *err)
{
	struct post *post = post_from_device(dev);
	int rc;

	io_region_init(&post->regions[0], "post-code", &code_io, post, &dev->lock, 1);
	io_region_init(&post->regions[1], "firmware-text", &text_io, post, &dev->lock, 1);
	/* The DMA page registers around 80h belong to another device. */
	post->regions[0].priority = 1;
	rc = io_region_map(&post->regions[0], dev->env.ports, PORT_POST);
	if (rc == 0) {
		rc = io_region_map(&post->regions[1], dev->env.ports, PORT_TEXT);
	}
	if (rc < 0) {
		post_destroy(dev);
		return error_set(err, -rc, "cannot map the firmware's debug ports");
	}
	return 0;
}

static void post_reset(struct device *dev, enum reset_kind kind)
{
	struct post *post = post_from_device(dev);

	flush_line(post);
	post->code = 0;
}

static const struct state_field post_fields[] = {
	STATE_FIELD(struct post, code),
	STATE_FIELDS_END,
};

static const struct state_table post_state = {
	.version = 1,
	.fields = post_fields,
};

static const struct device_ops post_ops = {
	.name = "post",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct post),
	.state = &post_state,
	.create = post_create,
	.destroy = post_destroy,
	.reset = post_reset,
};
DEVICE_REGISTER(post_ops);
