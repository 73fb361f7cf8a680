/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: ISA DMA. */

#include "bus/chipset.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	static const uint8_t channels[7] = { 0, 1, 2, 3, 5, 6, 7 };
	uint8_t data[512] = { 0 };
	unsigned int channel = channels[a % 7];

	(void)fm;
	isa_dma_request(dev, channel, b & 1);
	if (b & 2) {
		isa_dma_to_guest(dev, channel, data, 2u * b, NULL);
	} else {
		isa_dma_from_guest(dev, channel, data, 2u * b, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "isa-dma",
		.ranges = {
			{ .mmio = false, .base = 0x0, .size = 0x10 },
			{ .mmio = false, .base = 0x80, .size = 0x10 },
			{ .mmio = false, .base = 0xc0, .size = 0x20 },
		},
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
