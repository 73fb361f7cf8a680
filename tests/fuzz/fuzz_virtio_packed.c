/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: packed rings, with the queues of virtio-console. */

#include "fuzz/virtio_console_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_fuzz fuzz = {
		.kind = "virtio-console",
		.tweak = plug_stream,
		/* MULTIPORT not: the data queues then need no control messages. */
		.features = BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) |
			    BIT(VIRTIO_F_RING_PACKED),
		.queues = 2,
		.event = stream_event,
	};

	return virtio_fuzz_run(&fuzz, data, size);
}
