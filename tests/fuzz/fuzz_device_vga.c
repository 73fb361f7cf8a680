/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the VGA through ports, window and memory registers, drawing what comes out. */

#include "base/log.h"
#include "display/display.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MMIO 0xe0900000 /* BAR 2 of the first slot, behind the 1 MiB of BAR 0 */

static struct display *display;

/* A small memory has its end nearer. */
static void configure(struct fake_machine *fm)
{
	fake_machine_set(fm, "vga", "vga", "memory", "1M");
	fake_machine_set(fm, "vga", "vga", "rom", "/nonexistent");
}

static void wire(struct fake_machine *fm, struct device_env *env)
{
	(void)fm;
	env->display = display;
}

/* A text mode with colours, whose screen is on. */
static void prepare(struct fake_machine *fm, struct device *dev)
{
	fake_pci_enable(fm, dev);
	fake_outb(fm, 0x3c2, 0x63);
	fake_outw(fm, 0x3d4, 0x4f01);
	fake_outw(fm, 0x3d4, 0x2813);
	fake_outw(fm, 0x3d4, 0xc812);
	fake_outw(fm, 0x3d4, 0x0f09);
	fake_inb(fm, 0x3da);
	fake_outb(fm, 0x3c0, 0x20);
}

/* Draw; or set one of the index registers' values, which two accesses would take. */
static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	(void)dev;
	switch (a >> 5) {
	case 0: fake_outw(fm, 0x3d4, (uint16_t)(b << 8 | (a & 31))); break;
	case 1: fake_outw(fm, 0x3ce, (uint16_t)(b << 8 | (a & 15))); break;
	case 2: fake_outw(fm, 0x3c4, (uint16_t)(b << 8 | (a & 7))); break;
	case 3:
		fake_outw(fm, 0x1ce, a & 15);
		fake_outw(fm, 0x1cf, (uint16_t)(b << 4));
		break;
	case 4:
		fake_outw(fm, 0x1ce, 4);
		fake_outw(fm, 0x1cf, b);
		break;
	default: display_update(display); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "vga",
		.tweak = wire,
		.configure = configure,
		.prepare = prepare,
		.event = event,
		.ranges = {
			{ .base = 0x3b0, .size = 0x30 },
			{ .base = 0x1ce, .size = 4 },
			{ .mmio = true, .base = 0xa0000, .size = 0x20000 },
			{ .mmio = true, .base = MMIO + 0x400, .size = 0x200 },
			{ .config = true, .size = 256 },
		},
	};
	struct error err;

	log_set_levels("error", NULL);
	if (display_create(&display, &err) < 0) {
		return 0;
	}
	device_fuzz_run(&fuzz, data, size);
	display_destroy(display);
	return 0;
}
