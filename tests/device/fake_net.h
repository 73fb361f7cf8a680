/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_FAKE_NET_H
#define LIMEN_TESTS_FAKE_NET_H

/*
 * A network back end for tests of adapters: it records what is sent and how often the adapter said
 * that it has room again.
 */

#include "net/net.h"

#define FAKE_NET_FRAMES 64

/** struct fake_net - @sent frames, of which the last FAKE_NET_FRAMES are kept; @ready calls. */
struct fake_net {
	struct net_backend base;
	unsigned int sent;
	unsigned int ready;
	struct {
		size_t size;
		uint8_t data[NET_FRAME_MAX];
	} frames[FAKE_NET_FRAMES];
};

void fake_net_init(struct fake_net *net);
void fake_net_finish(struct fake_net *net);

/** fake_net_arrive() - hand the adapter a frame; what its receive callback answers. */
bool fake_net_arrive(struct fake_net *net, const void *frame, size_t size);

#endif
