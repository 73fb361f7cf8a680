/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_DEVICE_FUZZ_H
#define LIMEN_TESTS_DEVICE_FUZZ_H

/*
 * The generic fuzz target of a device: the input is a list of steps, each an access to one of the
 * device's ranges, bytes into the memory where it does DMA, a step of time, an event from outside,
 * a reset, or a load of its own saved state, whole or with a byte changed. Nothing may crash, and
 * what was saved must load again.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "device/fake_machine.h"

#define DEVICE_FUZZ_RANGES 8

/** struct device_fuzz_range - addresses that are the device's; @config: of its configuration
 *  space. */
struct device_fuzz_range {
	bool mmio;
	bool config;
	uint64_t base;
	uint32_t size;
};

/**
 * struct device_fuzz - what to run
 * @kind, @tweak: for fake_machine_create_device()
 * @configure: sets keys before it; optional
 * @prepare: after creation; optional
 * @event: something from outside with two bytes of the input; optional
 * @settle: waits until its back ends have nothing in flight; optional
 * @memory: bytes of RAM, from 0 on, that the input fills
 */
struct device_fuzz {
	const char *kind;
	fake_tweak_fn tweak;
	void (*configure)(struct fake_machine *fm);
	struct device_fuzz_range ranges[DEVICE_FUZZ_RANGES];
	void (*prepare)(struct fake_machine *fm, struct device *dev);
	void (*event)(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b);
	void (*settle)(struct fake_machine *fm, struct device *dev);
	uint32_t memory;
};

struct device_fuzz_input {
	const uint8_t *data;
	size_t size;
};

static inline uint8_t device_fuzz_byte(struct device_fuzz_input *in)
{
	if (in->size == 0) {
		return 0;
	}
	in->size--;
	return *in->data++;
}

static inline uint64_t device_fuzz_word(struct device_fuzz_input *in, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		value |= (uint64_t)device_fuzz_byte(in) << (8 * i);
	}
	return value;
}

static inline void device_fuzz_config(struct fake_machine *fm, struct device *dev,
				      struct device_fuzz_input *in, bool write)
{
	unsigned int size = 1u << (device_fuzz_byte(in) % 3);
	unsigned int offset = ALIGN_DOWN((unsigned int)device_fuzz_byte(in), size);

	if (write) {
		fake_pci_write(fm, dev, offset, (uint32_t)device_fuzz_word(in, size), size);
	} else {
		fake_pci_read(fm, dev, offset, size);
	}
}

static inline void device_fuzz_access(const struct device_fuzz *fuzz, struct fake_machine *fm,
				      struct device *dev, struct device_fuzz_input *in, bool write)
{
	unsigned int count = 0;
	const struct device_fuzz_range *range;
	struct io_space *space;
	unsigned int size;
	uint64_t address;

	while (count < DEVICE_FUZZ_RANGES && fuzz->ranges[count].size) {
		count++;
	}
	range = &fuzz->ranges[device_fuzz_byte(in) % count];
	if (range->config) {
		device_fuzz_config(fm, dev, in, write);
		return;
	}
	space = range->mmio ? fm->mmio : fm->ports;
	size = 1u << (device_fuzz_byte(in) % (range->mmio ? 4 : 3));
	address = range->base;
	address += device_fuzz_word(in, range->size > 256 ? 2 : 1) % range->size;
	if (write) {
		io_write(space, address, device_fuzz_word(in, size), size);
	} else {
		io_read(space, address, size);
	}
}

/* One register over and over, as by REP INS and REP OUTS. */
static inline void device_fuzz_repeat(const struct device_fuzz *fuzz, struct fake_machine *fm,
				      struct device_fuzz_input *in)
{
	const struct device_fuzz_range *range = &fuzz->ranges[0];
	struct io_space *space = range->mmio ? fm->mmio : fm->ports;
	uint64_t address = range->base + device_fuzz_byte(in) % range->size;
	unsigned int count = (unsigned int)device_fuzz_word(in, 2) % 4096;
	bool write = device_fuzz_byte(in) & 1;

	for (unsigned int i = 0; i < count; i++) {
		if (write) {
			io_write(space, address, i, 2);
		} else {
			io_read(space, address, 2);
		}
	}
}

static inline void device_fuzz_memory(const struct device_fuzz *fuzz, struct fake_machine *fm,
				      struct device_fuzz_input *in)
{
	gpa_t gpa = device_fuzz_word(in, 2) % fuzz->memory;
	unsigned int count = device_fuzz_byte(in);

	for (unsigned int i = 0; i < count && in->size; i++) {
		uint8_t byte = device_fuzz_byte(in);

		guest_mem_write(fm->memory, gpa + i, &byte, 1);
	}
}

static inline void device_fuzz_settle(const struct device_fuzz *fuzz, struct fake_machine *fm,
				      struct device *dev)
{
	if (fuzz->settle) {
		fuzz->settle(fm, dev);
	}
	fake_machine_run(fm);
}

/* Steps of 1 ns to some minutes: an exponent and a fraction. */
static inline void device_fuzz_time(struct fake_machine *fm, struct device_fuzz_input *in)
{
	unsigned int exponent = device_fuzz_byte(in) % 28;
	uint64_t fraction = device_fuzz_byte(in);

	fake_machine_advance(fm, (fraction + 1) << exponent);
}

static inline void device_fuzz_state(struct device *dev, struct device_fuzz_input *in, bool forge)
{
	struct fake_image image;
	struct error err = { 0 };

	fake_state_save(dev, &image);
	if (forge && image.size) {
		size_t at = device_fuzz_word(in, 2) % image.size;
		uint8_t old = image.data[at];

		image.data[at] = device_fuzz_byte(in);
		if (fake_state_load(dev, &image, &err) == 0) {
			fake_image_finish(&image);
			return;
		}
		/* A machine whose load was refused does not run; go on with the good one. */
		image.data[at] = old;
	}
	assert(fake_state_load(dev, &image, &err) == 0);
	fake_image_finish(&image);
}

/* A device whose back ends are at work has no state to save until they have finished. */
static inline void device_fuzz_rest(const struct device_fuzz *fuzz, struct fake_machine *fm,
				    struct device *dev, struct device_fuzz_input *in)
{
	bool paused;

	device_fuzz_settle(fuzz, fm, dev);
	paused = device_pause(dev) == 0;
	device_fuzz_state(dev, in, device_fuzz_byte(in) & 1);
	if (paused) {
		device_resume(dev);
	}
}

static inline void device_fuzz_step(const struct device_fuzz *fuzz, struct fake_machine *fm,
				    struct device *dev, struct device_fuzz_input *in)
{
	uint8_t step = device_fuzz_byte(in) % 16;
	uint8_t a, b;

	switch (step) {
	case 0:
		device_fuzz_rest(fuzz, fm, dev, in);
		break;
	case 1:
		device_fuzz_settle(fuzz, fm, dev);
		device_reset(dev, RESET_COLD);
		break;
	case 2:
	case 3:
		device_fuzz_time(fm, in);
		break;
	case 4:
	case 5:
	case 6:
		a = device_fuzz_byte(in);
		b = device_fuzz_byte(in);
		if (fuzz->event) {
			fuzz->event(fm, dev, a, b);
		}
		break;
	case 7:
		if (fuzz->memory) {
			device_fuzz_memory(fuzz, fm, in);
			break;
		}
		device_fuzz_access(fuzz, fm, dev, in, false);
		break;
	case 8:
		if (fuzz->settle) {
			device_fuzz_repeat(fuzz, fm, in);
			device_fuzz_settle(fuzz, fm, dev);
			break;
		}
		device_fuzz_access(fuzz, fm, dev, in, false);
		break;
	default:
		device_fuzz_access(fuzz, fm, dev, in, step >= 10);
		break;
	}
}

static inline int device_fuzz_run(const struct device_fuzz *fuzz, const uint8_t *data, size_t size)
{
	struct device_fuzz_input in = { data, MIN(size, (size_t)4096) };
	struct fake_machine *fm = fake_machine_create();
	struct device *dev;

	if (fuzz->configure) {
		fuzz->configure(fm);
	}
	dev = fake_machine_create_device(fm, fuzz->kind, fuzz->tweak);
	if (fuzz->prepare) {
		fuzz->prepare(fm, dev);
	}
	while (in.size > 0) {
		device_fuzz_step(fuzz, fm, dev, &in);
	}
	device_fuzz_settle(fuzz, fm, dev);
	fake_machine_destroy(fm);
	return 0;
}

#endif
