/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: kvm-unit-tests' device. */

#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "pc-testdev",
		.ranges = {
			{ .mmio = false, .base = 0xe0, .size = 0xc },
			{ .mmio = false, .base = 0x2000, .size = 0x18 },
			{ .mmio = true, .base = 0xff000000, .size = 0x10000 },
		},
	};

	return device_fuzz_run(&fuzz, data, size);
}
