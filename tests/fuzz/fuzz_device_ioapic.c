/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the I/O APIC. */

#include "bus/chipset.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire(struct fake_machine *fm, struct device_env *env)
{
	env->msi = &fm->msi.sink;
}

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	struct irq_line line = ioapic_input(dev, a % 24);

	(void)fm;
	irq_set(&line, b & 1);
	if (b & 2) {
		ioapic_eoi(dev, a);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "ioapic",
		.tweak = wire,
		.ranges = {
			{ .mmio = true, .base = 0xfec00000, .size = 0x50 },
		},
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
