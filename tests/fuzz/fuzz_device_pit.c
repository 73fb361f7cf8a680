/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the 8254 and port 61h. */

#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire(struct fake_machine *fm, struct device_env *env)
{
	env->output = fm->irqs[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "pit",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0x40, .size = 0x4 },
			{ .mmio = false, .base = 0x61, .size = 0x1 },
		},
	};

	return device_fuzz_run(&fuzz, data, size);
}
