/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A network back end for tests of adapters; see fake_net.h.
 */

#include "device/fake_net.h"

static void destroy(struct net_backend *backend)
{
	(void)backend;
}

static void send(struct net_backend *backend, const struct iovec *iov, unsigned int count)
{
	struct fake_net *net = (struct fake_net *)backend;
	unsigned int n = net->sent++ % FAKE_NET_FRAMES;
	size_t size = 0;

	for (unsigned int i = 0; i < count; i++) {
		size_t piece = MIN(iov[i].iov_len, NET_FRAME_MAX - size);

		memcpy(net->frames[n].data + size, iov[i].iov_base, piece);
		size += piece;
	}
	net->frames[n].size = size;
}

static void ready(struct net_backend *backend)
{
	((struct fake_net *)backend)->ready++;
}

static const struct net_backend_ops fake_net_ops = {
	.name = "fake",
	.destroy = destroy,
	.send = send,
	.ready = ready,
};

void fake_net_init(struct fake_net *net)
{
	memset(net, 0, sizeof(*net));
	net->base.ops = &fake_net_ops;
	pthread_mutex_init(&net->base.client_lock, NULL);
}

void fake_net_finish(struct fake_net *net)
{
	pthread_mutex_destroy(&net->base.client_lock);
}

bool fake_net_arrive(struct fake_net *net, const void *frame, size_t size)
{
	return net->base.client.receive(net->base.client.opaque, frame, size);
}
