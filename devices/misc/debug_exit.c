/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The debug-exit ports F4h-F7h: a guest program ends the run by writing V, and the monitor exits
 * with status (V << 1) | 1, which no other end of a run gives. The convention is that of QEMU's
 * isa-debug-exit, so that kvm-unit-tests and other bare-metal programs find it. Only there with
 * --test-device. A read gives 0. There is no state.
 */

#include "bus/chipset.h"

#include <assert.h>

#define PORT 0xf4

struct debug_exit {
	struct device dev;
	struct io_region region;
};

static const struct device_ops debug_exit_ops;

static struct debug_exit *debug_exit_from_device(struct device *dev)
{
	assert(dev->ops == &debug_exit_ops);
	return container_of(dev, struct debug_exit, dev);
}

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned int size)
{
	return 0;
}

/* A process can only report eight bits of it. */
static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct debug_exit *debug = opaque;
	struct power_sink *power = debug->dev.env.power;

	power->exit_status(power, (int)((value << 1 | 1) & 0xff));
}

static const struct io_ops debug_exit_io = {
	.read = debug_exit_read,
	.write = debug_exit_write,
	.max_size = 4,
	.unaligned = true,
};

static int debug_exit_create(struct device *dev, struct error *err)
{
	struct debug_exit *debug = debug_exit_from_device(dev);
	int rc;

	io_region_init(&debug->region, "debug-exit", &debug_exit_io, debug, &dev->lock, 4);
	rc = io_region_map(&debug->region, dev->env.ports, PORT);
	return rc < 0 ? error_set(err, -rc, "cannot map the debug-exit ports") : 0;
}

static void debug_exit_destroy(struct device *dev)
{
	io_region_unmap(&debug_exit_from_device(dev)->region);
}

static void debug_exit_reset(struct device *dev, enum reset_kind kind)
{
}

/* Empty: the device is a wire. */
static const struct state_field debug_exit_fields[] = {
	STATE_FIELDS_END,
};

static const struct state_table debug_exit_state = {
	.version = 1,
	.fields = debug_exit_fields,
};

static const struct device_ops debug_exit_ops = {
	.name = "debug-exit",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct debug_exit),
	.state = &debug_exit_state,
	.create = debug_exit_create,
	.destroy = debug_exit_destroy,
	.reset = debug_exit_reset,
};
DEVICE_REGISTER(debug_exit_ops);
