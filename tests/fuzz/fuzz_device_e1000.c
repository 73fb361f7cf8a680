/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the Gigabit adapter, its rings where the input fills memory, and frames arriving. */

#include <stdlib.h>

#include "base/log.h"
#include "device/fake_net.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BAR 0xe0800000 /* where fake_pci_enable() puts the first slot's */

static struct fake_net *net;

static void wire(struct fake_machine *fm, struct device_env *env)
{
	(void)fm;
	env->net = &net->base;
}

static void configure(struct fake_machine *fm)
{
	fake_machine_set(fm, "e1000", "e1000", "rom", "none");
}

static void set(struct fake_machine *fm, uint32_t reg, uint32_t value)
{
	fake_mmio_write(fm, BAR + reg, value, 4);
}

/* Rings of 16 where the input can write them, both sides on. */
static void prepare(struct fake_machine *fm, struct device *dev)
{
	fake_pci_enable(fm, dev);
	set(fm, 0x2808, 0x100);
	set(fm, 0x3800, 0x100);
	set(fm, 0x3808, 0x100);
	set(fm, 0x2818, 15);
	set(fm, 0x0100, 0x801a);
	set(fm, 0x0400, 0x0a);
	set(fm, 0x00d0, 0xffff);
}

static void arrive(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	static uint8_t frame[32768];

	(void)dev;
	guest_mem_read(fm->memory, 0x200, frame, 64);
	fake_net_arrive(net, frame, ((a & 0x7f) << 8) | b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "e1000",
		.tweak = wire,
		.configure = configure,
		.prepare = prepare,
		.event = arrive,
		.memory = 0x400,
		.ranges = {
			{ .mmio = true, .base = BAR + 0x3800, .size = 32 },
			{ .mmio = true, .base = BAR + 0x2800, .size = 32 },
			{ .mmio = true, .base = BAR, .size = 0x200 },
			{ .mmio = true, .base = BAR + 0x400, .size = 4 },
			{ .mmio = true, .base = BAR, .size = 0x6000 },
			{ .config = true, .size = 256 },
		},
	};

	log_set_levels("error", NULL);
	if (!net) {
		net = malloc(sizeof(*net));
		fake_net_init(net);
	}
	return net ? device_fuzz_run(&fuzz, data, size) : 0;
}
