/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System control port A, port 92h: ICH9 datasheet, section 13.7.3. Bit 0 resets the CPU, which on
 * this board is a reset of the machine; bit 1 is the fast A20 gate, which only remembers (A20 is
 * never masked, bus/chipset.h). The bits in which PS/2 machines kept other things read back as
 * zero.
 */

#include "bus/chipset.h"

#include <assert.h>

#define FAST_RESET BIT(0)
#define A20 BIT(1)

struct port92 {
	struct device dev;
	uint8_t value;
	struct io_region region;
};

static const struct device_ops port92_ops;

static struct port92 *port92_from_device(struct device *dev)
{
	assert(dev->ops == &port92_ops);
	return container_of(dev, struct port92, dev);
}

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct port92 *port = opaque;

	return port->value;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct port92 *port = opaque;
	struct power_sink *power = port->dev.env.power;
	bool reset = value & FAST_RESET && !(port->value & FAST_RESET);

	port->value = value & (FAST_RESET | A20);
	if (reset) {
		power->reset(power);
	}
}

static const struct io_ops port92_io = {
	.read = port92_read,
	.write = port92_write,
	.max_size = 1,
};

static int port92_create(struct device *dev, struct error *err)
{
	struct port92 *port = port92_from_device(dev);
	int rc;

	io_region_init(&port->region, "port92", &port92_io, port, &dev->lock, 1);
	rc = io_region_map(&port->region, dev->env.ports, 0x92);
	return rc < 0 ? error_set(err, -rc, "cannot map port 92h") : 0;
}

static void port92_destroy(struct device *dev)
{
	io_region_unmap(&port92_from_device(dev)->region);
}

static void port92_reset(struct device *dev, enum reset_kind kind)
{
	port92_from_device(dev)->value = A20;
}

static int port92_post_load(void *base, struct error *err)
{
	struct port92 *port = base;

	if (port->value & ~(FAST_RESET | A20)) {
		return error_set(err, EINVAL, "port 92h has reserved bits set");
	}
	return 0;
}

static const struct state_field port92_fields[] = {
	STATE_FIELD(struct port92, value),
	STATE_FIELDS_END,
};

static const struct state_table port92_state = {
	.version = 1,
	.fields = port92_fields,
	.post_load = port92_post_load,
};

static const struct device_ops port92_ops = {
	.name = "port92",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct port92),
	.state = &port92_state,
	.create = port92_create,
	.destroy = port92_destroy,
	.reset = port92_reset,
};
DEVICE_REGISTER(port92_ops);
