/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the 16550A. */

#include "fuzz/device_fuzz.h"
#include "guestlink/char_backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t line_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	(void)backend;
	(void)data;
	return size;
}

static void line_ready(struct char_backend *backend)
{
	(void)backend;
}

static const struct char_backend_ops line_ops = {
	.name = "fuzz",
	.write = line_write,
	.ready = line_ready,
};

static struct char_backend line = { .ops = &line_ops };

static void wire(struct fake_machine *fm, struct device_env *env)
{
	(void)fm;
	env->chr = &line;
}

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	const uint8_t bytes[16] = { a, b };
	size_t room = line.client.can_receive(line.client.opaque);

	(void)fm;
	(void)dev;
	if (a == 0) {
		line.client.hangup(line.client.opaque, b & 1);
	} else {
		line.client.receive(line.client.opaque, bytes, MIN(room, b % sizeof(bytes)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "uart",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0x3f8, .size = 0x8 },
		},
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
