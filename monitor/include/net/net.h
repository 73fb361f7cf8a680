/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_NET_NET_H
#define LIMEN_NET_NET_H

/*
 * Network back ends, as network devices see them: frames out, frames in. Behind a struct
 * net_backend stands NAT (libslirp) or a TAP interface.
 */

#include <pthread.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/types.h"

#define NET_FRAME_MAX 65550

struct net_backend;

/**
 * struct net_client - the device that the back end is plugged into; called on the back end's loop
 * thread, no lock held
 * @receive: take a frame (Ethernet header, no FCS). Return false when the guest has no room: the
 *           back end keeps the frame and stops until net_backend_ready() is called
 */
struct net_client {
	bool (*receive)(void *opaque, const uint8_t *frame, size_t size);
	void *opaque;
};

/**
 * struct net_backend_ops - a kind of back end
 * @send: transmit a frame; any thread; must not block (drops when it cannot, counting it)
 * @ready: the client has room again; any thread
 */
struct net_backend_ops {
	const char *name;
	void (*destroy)(struct net_backend *backend);
	void (*send)(struct net_backend *backend, const struct iovec *iov, unsigned int count);
	void (*ready)(struct net_backend *backend);
};

struct net_stats {
	_Atomic uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes, dropped;
};

/**
 * struct net_backend - base of every back end, first member of its struct
 * @client_lock: held around the client's callbacks and while it is changed
 */
struct net_backend {
	const struct net_backend_ops *ops;
	pthread_mutex_t client_lock;
	struct net_client client;
	struct net_stats stats;
};

/**
 * net_backend_create() - from the keys of @config ("net.N": backend, tap, forward.N ...)
 * @loop: the loop that runs it (the main loop for NAT)
 *
 * Return: 0, or -errno with a line that names the key, the port already in use, the missing
 * interface ...
 */
int net_backend_create(const struct config_view *config, struct event_loop *loop,
		       struct net_backend **ret_backend, struct error *err);
void net_backend_destroy(struct net_backend *backend);

/** net_backend_set_client() - plug a device in (NULL callbacks: pull it out). Any thread, but not
 *  from a callback, nor with a lock held that a callback takes. */
void net_backend_set_client(struct net_backend *backend, const struct net_client *client);

/**
 * net_mac_address() - the Ethernet address of the adapter with the keys at @config
 *
 * Its key "mac"; where that is not set, one that is made from the machine's name and the adapter's
 * place in the tree, so that it stays the same from run to run.
 */
void net_mac_address(const struct config_view *config, uint8_t ret_mac[6]);

static inline void net_backend_send(struct net_backend *backend, const struct iovec *iov,
				    unsigned int count)
{
	backend->ops->send(backend, iov, count);
}

static inline void net_backend_ready(struct net_backend *backend)
{
	backend->ops->ready(backend);
}

#endif
