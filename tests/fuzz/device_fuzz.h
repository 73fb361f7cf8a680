/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_DEVICE_FUZZ_H
#define LIMEN_TESTS_DEVICE_FUZZ_H

/*
 * The generic fuzz target of a device: the input is a list of steps, each an access to one of the
 * device's ranges, a step of time, an event from outside, a reset, or a load of its own saved
 * state, whole or with a byte changed. Nothing may crash, and what was saved must load again.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "device/fake_machine.h"

#define DEVICE_FUZZ_RANGES 8

/** struct device_fuzz_range - addresses that are the device's. */
struct device_fuzz_range {
	bool mmio;
	uint64_t base;
	uint32_t size;
};

/**
 * struct device_fuzz - what to run
 * @kind, @tweak: for fake_machine_create_device()
 * @prepare: after creation; optional
 * @event: something from outside with two bytes of the input; optional
 */
struct device_fuzz {
	const char *kind;
	fake_tweak_fn tweak;
	struct device_fuzz_range ranges[DEVICE_FUZZ_RANGES];
	void (*prepare)(struct fake_machine *fm, struct device *dev);
	void (*event)(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b);
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

static inline void device_fuzz_access(const struct device_fuzz *fuzz, struct fake_machine *fm,
				      struct device_fuzz_input *in, bool write)
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

static inline int device_fuzz_run(const struct device_fuzz *fuzz, const uint8_t *data, size_t size)
{
	struct device_fuzz_input in = { data, MIN(size, (size_t)4096) };
	struct fake_machine *fm = fake_machine_create();
	struct device *dev = fake_machine_create_device(fm, fuzz->kind, fuzz->tweak);

	if (fuzz->prepare) {
		fuzz->prepare(fm, dev);
	}
	while (in.size > 0) {
		uint8_t step = device_fuzz_byte(&in) % 16;
		uint8_t a, b;

		switch (step) {
		case 0:
			device_fuzz_state(dev, &in, device_fuzz_byte(&in) & 1);
			break;
		case 1:
			device_reset(dev, RESET_COLD);
			break;
		case 2:
		case 3:
			device_fuzz_time(fm, &in);
			break;
		case 4:
		case 5:
		case 6:
			a = device_fuzz_byte(&in);
			b = device_fuzz_byte(&in);
			if (fuzz->event) {
				fuzz->event(fm, dev, a, b);
			}
			break;
		default:
			device_fuzz_access(fuzz, fm, &in, step >= 10);
			break;
		}
	}
	fake_machine_destroy(fm);
	return 0;
}

#endif
