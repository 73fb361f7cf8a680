/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the keyboard controller, keyboard and mouse. */

#include "display/input.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct input_router *router;

static void wire(struct fake_machine *fm, struct device_env *env)
{
	(void)fm;
	if (!router && input_router_create(&router, NULL) < 0) {
		return;
	}
	env->input = router;
}

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	(void)fm;
	(void)dev;
	switch (a & 3) {
	case 0:
		input_relative(router, (int8_t)b * 1000, (int8_t)a * 100);
		input_sync(router);
		break;
	case 1:
		input_button(router, b % INPUT_BUTTON_COUNT, a & 4);
		input_sync(router);
		break;
	default:
		input_key(router, b | (a & 8 ? 0x100 : 0), a & 4);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "i8042",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0x60, .size = 0x1 },
			{ .mmio = false, .base = 0x64, .size = 0x1 },
		},
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
