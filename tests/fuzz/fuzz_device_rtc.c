/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the real-time clock. */

#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire(struct fake_machine *fm, struct device_env *env)
{
	env->output = fm->irqs[8];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "rtc",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0x70, .size = 0x4 },
		},
	};

	return device_fuzz_run(&fuzz, data, size);
}
