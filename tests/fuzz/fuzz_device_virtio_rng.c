/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: virtio-rng. */

#include "fuzz/virtio_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_fuzz fuzz = {
		.kind = "virtio-rng",
		.features = ~BIT(VIRTIO_F_RING_PACKED),
		.queues = 1,
	};

	return virtio_fuzz_run(&fuzz, data, size);
}
