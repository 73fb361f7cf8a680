/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: virtio-console with its control queues. */

#include "fuzz/virtio_console_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_fuzz fuzz = {
		.kind = "virtio-console",
		.tweak = plug_stream,
		.features = ~BIT(VIRTIO_F_RING_PACKED),
		.queues = 4,
		.event = stream_event,
	};

	return virtio_fuzz_run(&fuzz, data, size);
}
