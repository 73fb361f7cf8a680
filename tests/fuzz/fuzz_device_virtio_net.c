/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: virtio-net, with frames from a back end of its own. */

#include "fuzz/virtio_fuzz.h"
#include "net/net.h"

static void wire_send(struct net_backend *backend, const struct iovec *iov, unsigned int count)
{
	uint8_t frame[NET_FRAME_MAX];
	size_t size = iov_to_buf(iov, count, 0, frame, sizeof(frame));

	assert(size >= 14);
}

static void wire_ready(struct net_backend *backend)
{
}

static const struct net_backend_ops wire_ops = {
	.name = "fuzz",
	.send = wire_send,
	.ready = wire_ready,
};

static struct net_backend wire = { .ops = &wire_ops, .client_lock = PTHREAD_MUTEX_INITIALIZER };

static void plug_net(struct fake_machine *fm, struct device_env *env)
{
	env->net = &wire;
}

static void wire_event(struct fake_machine *fm, uint8_t a, uint8_t b)
{
	uint8_t frame[16 * 256];

	memset(frame, b, sizeof(frame));
	wire.client.receive(wire.client.opaque, frame, 16 * a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_fuzz fuzz = {
		.kind = "virtio-net",
		.tweak = plug_net,
		.features = size & 1 ? ~UINT64_C(0) : ~BIT(VIRTIO_F_RING_PACKED),
		.queues = 3,
		.event = wire_event,
	};

	return virtio_fuzz_run(&fuzz, data, size);
}
