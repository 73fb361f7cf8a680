/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the POST and debug text ports. */

#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "post",
		.ranges = {
			{ .mmio = false, .base = 0x80, .size = 0x1 },
			{ .mmio = false, .base = 0x402, .size = 0x1 },
		},
	};

	return device_fuzz_run(&fuzz, data, size);
}
