/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test device that kvm-unit-tests' x86 programs expect (QEMU's pc-testdev); only there with
 * --test-device:
 *
 *   ports E0h-E3h      a 32-bit register, accessed with any size
 *   ports E4h-E7h      a 32-bit write of a page's address makes the page's mapping go stale, so
 *                      that the engine has to find it again
 *   ports E8h-EBh      the register of E0h, accessed bytewise whatever the guest's size
 *   ports 2000h-2017h  level of interrupt line 0-23
 *   FF000000h, 64 KiB  memory that is I/O
 *
 * The flush maps the slot that holds the page anew, in its own place, which tells the engines to
 * drop what they know of it.
 */

#include "bus/chipset.h"

#include <assert.h>

#define IOMEM_BASE UINT64_C(0xff000000)
#define IOMEM_SIZE 0x10000
#define IRQS 24

enum {
	REGION_REGISTER,
	REGION_FLUSH,
	REGION_BYTES,
	REGION_IRQS,
	REGION_IOMEM,
	REGIONS,
};

struct pc_testdev {
	struct device dev;
	uint8_t data[4];
	uint8_t iomem[IOMEM_SIZE];
	struct io_region regions[REGIONS];
};

static const struct device_ops pc_testdev_ops;

static struct pc_testdev *pc_testdev_from_device(struct device *dev)
{
	assert(dev->ops == &pc_testdev_ops);
	return container_of(dev, struct pc_testdev, dev);
}

static uint64_t load(const uint8_t *bytes, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size);
	return value;
}

static uint64_t register_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pc_testdev *test = opaque;

	return load(test->data + offset, size);
}

static void register_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pc_testdev *test = opaque;

	memcpy(test->data + offset, &value, size);
}

static uint64_t zero_read(void *opaque, uint64_t offset, unsigned int size)
{
	return 0;
}

static void flush_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pc_testdev *test = opaque;
	struct guest_memory *memory = test->dev.env.memory;
	gpa_t page = ALIGN_DOWN(value, GUEST_PAGE_SIZE);
	struct mem_slot slot;

	if (!guest_memory_find(memory, page, &slot)) {
		device_guest_error(&test->dev, "flush of 0x%llx, which is no memory",
				   (unsigned long long)page);
		return;
	}
	if (guest_memory_map(memory, slot.gpa, slot.region, slot.offset, slot.size,
			     slot.readonly) < 0) {
		device_guest_error(&test->dev, "flush of 0x%llx lost its memory",
				   (unsigned long long)page);
	}
}

static void irqs_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pc_testdev *test = opaque;

	irq_set(&test->dev.env.irqs[offset], value != 0);
}

static uint64_t iomem_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pc_testdev *test = opaque;

	return load(test->iomem + offset, size);
}

static void iomem_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pc_testdev *test = opaque;

	memcpy(test->iomem + offset, &value, size);
}

static const struct io_ops register_io = { .read = register_read, .write = register_write };
static const struct io_ops bytes_io = {
	.read = register_read,
	.write = register_write,
	.max_size = 1,
};
static const struct io_ops flush_io = {
	.read = zero_read,
	.write = flush_write,
	.min_size = 4,
	.max_size = 4,
};
static const struct io_ops irqs_io = { .read = zero_read, .write = irqs_write, .max_size = 1 };
static const struct io_ops iomem_io = {
	.read = iomem_read,
	.write = iomem_write,
	.max_size = 8,
	.unaligned = true,
};

static void pc_testdev_destroy(struct device *dev)
{
	struct pc_testdev *test = pc_testdev_from_device(dev);

	for (unsigned int i = 0; i < REGIONS; i++) {
		io_region_unmap(&test->regions[i]);
	}
}

static int pc_testdev_create(struct device *dev, struct error *err)
{
	static const struct {
		const char *name;
		const struct io_ops *ops;
		uint64_t base;
		uint64_t size;
	} places[REGIONS] = {
		[REGION_REGISTER] = { "testdev-register", &register_io, 0xe0, 4 },
		[REGION_FLUSH] = { "testdev-flush", &flush_io, 0xe4, 4 },
		[REGION_BYTES] = { "testdev-bytes", &bytes_io, 0xe8, 4 },
		[REGION_IRQS] = { "testdev-irqs", &irqs_io, 0x2000, IRQS },
		[REGION_IOMEM] = { "testdev-iomem", &iomem_io, IOMEM_BASE, IOMEM_SIZE },
	};
	struct pc_testdev *test = pc_testdev_from_device(dev);

	for (unsigned int i = 0; i < REGIONS; i++) {
		struct io_space *space = i == REGION_IOMEM ? dev->env.mmio : dev->env.ports;
		int rc;

		/* The flush touches no state of the device, and calls the engines. */
		io_region_init(&test->regions[i], places[i].name, places[i].ops, test,
			       i == REGION_FLUSH ? NULL : &dev->lock, places[i].size);
		rc = io_region_map(&test->regions[i], space, places[i].base);
		if (rc < 0) {
			pc_testdev_destroy(dev);
			return error_set(err, -rc, "cannot map %s", places[i].name);
		}
	}
	return 0;
}

static void pc_testdev_reset(struct device *dev, enum reset_kind kind)
{
	struct pc_testdev *test = pc_testdev_from_device(dev);

	memset(test->data, 0, sizeof(test->data));
	memset(test->iomem, 0, sizeof(test->iomem));
	for (unsigned int n = 0; n < IRQS; n++) {
		irq_set(&dev->env.irqs[n], false);
	}
}

static const struct state_field pc_testdev_fields[] = {
	STATE_FIELD_BYTES(struct pc_testdev, data),
	STATE_FIELD_BYTES(struct pc_testdev, iomem),
	STATE_FIELDS_END,
};

static const struct state_table pc_testdev_state = {
	.version = 1,
	.fields = pc_testdev_fields,
};

static const struct device_ops pc_testdev_ops = {
	.name = "pc-testdev",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct pc_testdev),
	.state = &pc_testdev_state,
	.create = pc_testdev_create,
	.destroy = pc_testdev_destroy,
	.reset = pc_testdev_reset,
};
DEVICE_REGISTER(pc_testdev_ops);
