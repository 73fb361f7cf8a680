/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the HPET. */

#include "bus/chipset.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	struct irq_line line = hpet_legacy_input(dev, a % 2);

	(void)fm;
	irq_set(&line, b & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "hpet",
		.ranges = {
			{ .mmio = true, .base = 0xfed00000, .size = 0x180 },
			{ .mmio = true, .base = 0xfed00000, .size = 0x400 },
		},
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
