/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the floppy controller, with its DMA controller and a disk that comes and goes. */

#include "base/log.h"
#include "device/fake_block.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_1440 1474560

static struct fake_disk disk;

static void wire(struct fake_machine *fm, struct device_env *env)
{
	env->peer[0] = fake_machine_create_device(fm, "isa-dma", NULL);
	env->drives[0] = disk.block;
}

static void prepare(struct fake_machine *fm, struct device *dev)
{
	(void)dev;
	fake_outb(fm, 0x3f2, 0x1c);
	fake_outb(fm, 0x3f7, 0);
}

static void settle(struct fake_machine *fm, struct device *dev)
{
	(void)fm;
	(void)dev;
	fake_disk_wait(&disk);
}

static void change(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	static const size_t sizes[] = { 0, 737280, SIZE_1440, 100 * 512 };

	(void)fm;
	(void)dev;
	fake_disk_change(&disk, sizes[a & 3], b & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "floppy",
		.tweak = wire,
		.prepare = prepare,
		.event = change,
		.settle = settle,
		.memory = 0x1000,
		.ranges = {
			{ .base = 0x3f5, .size = 1 },
			{ .base = 0x3f0, .size = 8 },
			{ .base = 0x00, .size = 16 },
			{ .base = 0x80, .size = 8 },
		},
	};

	log_set_levels("error", NULL);
	if (!disk.thread) {
		fake_disk_open(&disk, SIZE_1440, false);
	} else {
		fake_disk_change(&disk, SIZE_1440, false);
	}
	return device_fuzz_run(&fuzz, data, size);
}
