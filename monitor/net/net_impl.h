/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_NET_NET_IMPL_H
#define LIMEN_NET_NET_IMPL_H

/*
 * Network back ends from inside. Each has a thread of its own (thread.c): bulk traffic never stalls
 * the machine's main loop, and a device that sends with its lock held only copies the frame into a
 * bounded queue, so back end and device can never wait for each other.
 */

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/net.h"

#define NET_QUEUE_SIZE MIB(4)
#define NET_POLL_MAX 1024

/**
 * struct net_queue - frames in order, in a ring of bytes; any thread
 * @head, @tail: bytes ever taken out and put in
 */
struct net_queue {
	pthread_mutex_t lock;
	uint8_t *ring;
	uint64_t head;
	uint64_t tail;
};

int net_queue_init(struct net_queue *queue);
void net_queue_finish(struct net_queue *queue);

/** net_queue_push() - append a frame; false when it does not fit (or is longer than a frame may
 * be). */
bool net_queue_push(struct net_queue *queue, const struct iovec *iov, unsigned int count);

/** net_queue_peek() - copy the oldest frame to @buf (NET_FRAME_MAX bytes); 0 when there is none. */
size_t net_queue_peek(struct net_queue *queue, uint8_t *buf);

/** net_queue_drop() - remove the oldest frame. net_queue_used() - bytes held. */
void net_queue_drop(struct net_queue *queue);
uint64_t net_queue_used(struct net_queue *queue);

struct net_worker;

/**
 * struct net_worker_ops - what a kind of back end does on its thread
 * @transmit: a frame from the guest
 * @prepare: add descriptors to wait for by net_worker_poll_fd(); may lower *@timeout_ms; not called
 *           while the guest takes nothing, so that the host's senders feel it
 * @dispatch: after the wait, when @prepare was called before it
 */
struct net_worker_ops {
	void (*transmit)(struct net_worker *worker, const uint8_t *frame, size_t size);
	void (*prepare)(struct net_worker *worker, uint32_t *timeout_ms);
	void (*dispatch)(struct net_worker *worker, bool failed);
};

/**
 * struct net_worker - a back end with a thread
 * @to_host: frames that the guest sent; @to_guest: frames that it has not taken yet
 * @frame: the thread's buffer
 */
struct net_worker {
	struct net_backend base;
	const struct net_worker_ops *ops;
	struct net_queue to_host;
	struct net_queue to_guest;
	struct pollfd fds[NET_POLL_MAX];
	unsigned int fd_count;
	int wake_fd;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	uint8_t frame[NET_FRAME_MAX];
};

/** net_worker_init() - queues and wake-up; net_worker_start() - the thread, last of all. */
int net_worker_init(struct net_worker *worker, const struct net_backend_ops *backend_ops,
		    const struct net_worker_ops *ops, struct error *err);
int net_worker_start(struct net_worker *worker, struct error *err);

/** net_worker_finish() - stop the thread and free what init made; a half-built one too. */
void net_worker_finish(struct net_worker *worker);

/** net_worker_poll_fd() - in prepare: wait for @events; returns the index in fds, or -1. */
int net_worker_poll_fd(struct net_worker *worker, int fd, short events);

/** net_worker_receive() - on the thread: a frame for the guest. */
void net_worker_receive(struct net_worker *worker, const uint8_t *frame, size_t size);

/** The base's operations, for the kinds' tables. */
void net_worker_send(struct net_backend *backend, const struct iovec *iov, unsigned int count);
void net_worker_ready(struct net_backend *backend);

/** The kinds. */
int net_user_create(const struct config_view *config, struct net_backend **ret_backend,
		    struct error *err);
int net_tap_create(const struct config_view *config, struct net_backend **ret_backend,
		   struct error *err);

#endif
