/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the two 8259A. */

#include "bus/chipset.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire(struct fake_machine *fm, struct device_env *env)
{
	env->output = fm->irqs[20];
}

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	struct irq_line line = pic_input(dev, a % 16);

	(void)fm;
	irq_set(&line, b & 1);
	if (b & 2) {
		pic_intack(dev);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "pic",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0x20, .size = 0x2 },
			{ .mmio = false, .base = 0xa0, .size = 0x2 },
			{ .mmio = false, .base = 0x4d0, .size = 0x2 },
		},
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
