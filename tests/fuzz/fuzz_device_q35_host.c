/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the Q35 host bridge. */

#include "bus/chipset.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire(struct fake_machine *fm, struct device_env *env)
{
	(void)fm;
	env->devfn = 0;
}

static void prepare(struct fake_machine *fm, struct device *dev)
{
	struct mem_region *bios;

	if (guest_memory_add_region(fm->memory, "bios", KIB(128), MEM_REGION_ROM, &bios, NULL) ==
	    0) {
		q35_host_set_memory(dev, fm->ram, bios);
	}
}

/* The interesting registers are few among many. */
static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	fake_pci_write(fm, dev, a & 8 ? 0x60 + (a & 7) : 0x90 + (a & 7), b, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "q35-host",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0xcf8, .size = 0x4 },
			{ .mmio = false, .base = 0xcfc, .size = 0x4 },
			{ .mmio = true, .base = 0xc0000, .size = 0x8000 },
			{ .mmio = true, .base = 0xf0000, .size = 0x8000 },
		},
		.prepare = prepare,
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
