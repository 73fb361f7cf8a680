/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the IDE controller with a disk, a CD-ROM drive and an empty place. */

#include "base/log.h"
#include "device/fake_block.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_disk disk, disc;

static void wire(struct fake_machine *fm, struct device_env *env)
{
	(void)fm;
	env->drives[0] = disk.block;
	env->drives[1] = disc.block;
	env->cdroms = 2;
}

static void settle(struct fake_machine *fm, struct device *dev)
{
	(void)fm;
	(void)dev;
	fake_disk_wait(&disk);
	fake_disk_wait(&disc);
}

/* The bus master's table at 0, 16 regions where the input writes too. */
static void prepare(struct fake_machine *fm, struct device *dev)
{
	fake_pci_enable(fm, dev);
	for (unsigned int i = 0; i < 16; i++) {
		store_le32(fake_ram(fm, 8 * i, 4), 0x1000 * (i + 1));
		store_le32(fake_ram(fm, 8 * i + 4, 4), 0x800);
	}
}

/* Whole commands, which single bytes would take long to find; and another disc. */
static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	if (a == 0xff) {
		settle(fm, dev);
		fake_disk_change(&disc, b & 1 ? 64 * 2048 : 0, true);
		return;
	}
	fake_outb(fm, 0x1f6, (uint8_t)(0xe0 | (b & 0x1f)));
	fake_outb(fm, 0x1f1, b >> 5);
	fake_outb(fm, 0x1f7, a);
	if (b & 0x20) {
		fake_outb(fm, 0xc100, 9);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "ide",
		.tweak = wire,
		.prepare = prepare,
		.event = event,
		.settle = settle,
		.memory = 0x400,
		.ranges = {
			{ .base = 0x1f0, .size = 8 },
			{ .base = 0x3f6, .size = 1 },
			{ .base = 0xc100, .size = 16 },
			{ .config = true, .size = 256 },
		},
	};

	log_set_levels("error", NULL);
	if (!disk.thread) {
		fake_disk_open(&disk, 4096 * 512, false);
		fake_disk_open(&disc, 64 * 2048, true);
	}
	return device_fuzz_run(&fuzz, data, size);
}
