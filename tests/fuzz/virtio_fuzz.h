/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_VIRTIO_FUZZ_H
#define LIMEN_TESTS_VIRTIO_FUZZ_H

/*
 * The generic fuzz target of a virtio device: the input is a list of steps of a driver that has set
 * the queues up as it should and then does what it likes: descriptors, available entries, bytes
 * anywhere in the rings and buffers, notifications, registers, configuration space, resets, saved
 * states. Nothing may crash or hang; and whatever happened, after a reset the device must come up
 * again.
 */

#include "device/fake_virtio_driver.h"
#include "fuzz/device_fuzz.h"

#define VIRTIO_FUZZ_QUEUE_SIZE 8

/**
 * struct virtio_fuzz - what to run
 * @kind, @tweak: for fake_machine_create_device()
 * @features: to agree on
 * @queues: how many to set up
 * @event: something from outside; optional
 * @loop: where the device runs, if not the machine's; optional
 */
struct virtio_fuzz {
	const char *kind;
	fake_tweak_fn tweak;
	uint64_t features;
	unsigned int queues;
	void (*event)(struct fake_machine *fm, uint8_t a, uint8_t b);
	struct event_loop *loop;
};

/** virtio_fuzz_settle() - run the loop until it is idle and nothing is in flight. */
static inline void virtio_fuzz_settle(const struct virtio_fuzz *fuzz, struct fake_machine *fm,
				      struct device *dev)
{
	struct event_loop *loop = fuzz->loop ? fuzz->loop : fm->loop;
	struct virtio_device *vdev = virtio_device_from_device(dev);

	for (unsigned int i = 0; i < 1000; i++) {
		bool busy = false;

		while (event_loop_iterate(loop, 0)) {
		}
		for (unsigned int n = 0; n < vdev->queue_count; n++) {
			busy = busy || vdev->queues[n].in_flight > 0;
		}
		if (!busy) {
			return;
		}
		event_loop_iterate(loop, 10);
	}
	assert(!"a chain is never given back");
}

static inline void virtio_fuzz_start(const struct virtio_fuzz *fuzz, struct virtio_driver *drv,
				     struct fake_machine *fm, struct device *dev)
{
	virtio_fuzz_settle(fuzz, fm, dev);
	device_reset(dev, RESET_COLD);
	virtio_driver_init(drv, fm, dev, fuzz->features);
	for (unsigned int i = 0; i < fuzz->queues; i++) {
		virtio_driver_setup_queue(drv, i, VIRTIO_FUZZ_QUEUE_SIZE);
	}
	virtio_driver_start(drv);
	assert(virtio_driver_status(drv) == 15);
}

/** virtio_fuzz_address() - mostly buffers of a page each, now and then something else. */
static inline uint64_t virtio_fuzz_address(struct device_fuzz_input *in)
{
	uint8_t choice = device_fuzz_byte(in);

	switch (choice) {
	case 255: return device_fuzz_word(in, 8);
	case 254: return FAKE_RAM_SIZE - device_fuzz_byte(in);
	case 253: return FAKE_ECAM_BASE;
	case 252: return DRIVER_MEMORY_BASE + device_fuzz_word(in, 2);
	default: return MIB(2) + ((uint64_t)choice << 12);
	}
}

/** virtio_fuzz_descriptor() - one entry, in a queue or in a page that may be an indirect table. */
static inline void virtio_fuzz_descriptor(struct virtio_driver *drv, unsigned int n,
					  struct device_fuzz_input *in)
{
	const struct driver_queue *q = &drv->queues[n];
	uint8_t place = device_fuzz_byte(in);
	gpa_t at = place & 0x80 ? MIB(2) + ((uint64_t)(place & 0x70) << 8) + 16 * (place & 15) :
				  q->desc + 16 * (place % VIRTIO_FUZZ_QUEUE_SIZE);
	uint8_t *desc = fake_ram(drv->fm, at, 16);
	uint64_t address = virtio_fuzz_address(in);
	uint32_t size = device_fuzz_word(in, 2);
	uint16_t flags = device_fuzz_byte(in);
	uint16_t other = device_fuzz_byte(in);

	store_le64(desc, address);
	store_le32(desc + 8, size);
	/* Split: flags, next. Packed: ID, flags, of which the top one is used. */
	store_le16(desc + 12, drv->packed ? other : flags & 7);
	store_le16(desc + 14, drv->packed ? (flags & 0x87) | ((flags & 8) << 12) : other);
}

static inline void virtio_fuzz_available(struct virtio_driver *drv, unsigned int n,
					 struct device_fuzz_input *in)
{
	struct driver_queue *q = &drv->queues[n];
	uint8_t head = device_fuzz_byte(in);
	uint8_t *driver = fake_ram(drv->fm, q->driver, 4);

	if (drv->packed) {
		store_le16(driver + 2, head & 3);
		store_le16(driver, device_fuzz_word(in, 2));
		return;
	}
	store_le16(driver + 4 + 2 * (q->next % q->size), head % (VIRTIO_FUZZ_QUEUE_SIZE + 1));
	q->next++;
	store_le16(driver + 2, q->next);
}

static inline void virtio_fuzz_bytes(struct virtio_driver *drv, unsigned int n,
				     struct device_fuzz_input *in)
{
	const struct driver_queue *q = &drv->queues[n];
	const gpa_t bases[] = { q->desc, q->driver, q->device, MIB(2) };
	uint8_t where = device_fuzz_byte(in);
	gpa_t at = bases[where & 3] + device_fuzz_byte(in) +
		   ((where & 3) == 3 ? (gpa_t)(where >> 2) << 12 : 0);
	unsigned int size = 1 + device_fuzz_byte(in) % 16;
	uint8_t *bytes = fake_ram(drv->fm, at, size);

	for (unsigned int i = 0; i < size; i++) {
		bytes[i] = device_fuzz_byte(in);
	}
}

static inline void virtio_fuzz_register(struct virtio_driver *drv, struct device_fuzz_input *in,
					bool write)
{
	const uint64_t bases[] = { drv->common, drv->config, drv->isr, drv->notify };
	uint64_t at = bases[device_fuzz_byte(in) & 3] + device_fuzz_byte(in) % 128;
	unsigned int size = 1u << (device_fuzz_byte(in) & 3);

	if (write) {
		fake_mmio_write(drv->fm, at, device_fuzz_word(in, size), size);
	} else {
		fake_mmio_read(drv->fm, at, size);
	}
}

static inline void virtio_fuzz_step(const struct virtio_fuzz *fuzz, struct virtio_driver *drv,
				    struct device_fuzz_input *in)
{
	uint8_t step = device_fuzz_byte(in);
	unsigned int n = (step >> 4) % fuzz->queues;
	uint8_t a;

	switch (step & 15) {
	case 0:
	case 1:
	case 2:
	case 3: virtio_fuzz_descriptor(drv, n, in); break;
	case 4:
	case 5: virtio_fuzz_available(drv, n, in); break;
	case 6:
	case 7:
		virtio_driver_notify(drv, n);
		if (fuzz->loop) {
			event_loop_iterate(fuzz->loop, 0);
		}
		break;
	case 8:
	case 9: virtio_fuzz_bytes(drv, n, in); break;
	case 10: virtio_fuzz_register(drv, in, device_fuzz_byte(in) & 1); break;
	case 11:
		a = device_fuzz_byte(in);
		fake_pci_write(drv->fm, drv->dev, a & 0xfc, device_fuzz_word(in, 4), 4);
		break;
	case 12:
	case 13:
		a = device_fuzz_byte(in);
		if (fuzz->event) {
			fuzz->event(drv->fm, a, device_fuzz_byte(in));
		}
		break;
	case 14:
		device_fuzz_time(drv->fm, in);
		virtio_fuzz_settle(fuzz, drv->fm, drv->dev);
		break;
	default:
		virtio_fuzz_settle(fuzz, drv->fm, drv->dev);
		if (n == 0) {
			virtio_fuzz_start(fuzz, drv, drv->fm, drv->dev);
		} else {
			device_fuzz_state(drv->dev, in, n & 1);
		}
		break;
	}
}

static inline int virtio_fuzz_run(const struct virtio_fuzz *fuzz, const uint8_t *data, size_t size)
{
	struct device_fuzz_input in = { data, MIN(size, (size_t)4096) };
	struct fake_machine *fm = fake_machine_create();
	struct virtio_driver drv;
	struct device *dev;

	if (fuzz->features & BIT(VIRTIO_F_RING_PACKED)) {
		fake_machine_set(fm, fuzz->kind, fuzz->kind, "packed", "on");
	}
	dev = fake_machine_create_device(fm, fuzz->kind, fuzz->tweak);
	virtio_fuzz_start(fuzz, &drv, fm, dev);
	while (in.size > 0) {
		virtio_fuzz_step(fuzz, &drv, &in);
	}
	virtio_fuzz_start(fuzz, &drv, fm, dev);
	fake_machine_destroy(fm);
	return 0;
}

#endif
