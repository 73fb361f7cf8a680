/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread of a network back end: it carries the guest's frames to the host and the host's to the
 * guest. While the guest has no room, the frames it has not taken wait in a queue; once that is
 * half full, nothing more is read from the host, whose senders then slow down by TCP's own means.
 */

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"
#include "net/net_impl.h"

#define IDLE_TIMEOUT_MS 1000
#define BACKLOG_MAX (NET_QUEUE_SIZE / 2)

static void wake(struct net_worker *worker)
{
	eventfd_write(worker->wake_fd, 1);
}

void net_worker_send(struct net_backend *backend, const struct iovec *iov, unsigned int count)
{
	struct net_worker *worker = container_of(backend, struct net_worker, base);

	if (net_queue_push(&worker->to_host, iov, count)) {
		atomic_fetch_add_explicit(&backend->stats.tx_frames, 1, memory_order_relaxed);
		wake(worker);
	} else {
		atomic_fetch_add_explicit(&backend->stats.dropped, 1, memory_order_relaxed);
	}
}

void net_worker_ready(struct net_backend *backend)
{
	wake(container_of(backend, struct net_worker, base));
}

int net_worker_poll_fd(struct net_worker *worker, int fd, short events)
{
	if (worker->fd_count == NET_POLL_MAX) {
		return -1;
	}
	worker->fds[worker->fd_count] = (struct pollfd){ .fd = fd, .events = events };
	return (int)worker->fd_count++;
}

void net_worker_receive(struct net_worker *worker, const uint8_t *frame, size_t size)
{
	struct iovec iov = { (void *)(uintptr_t)frame, size };

	if (!net_queue_push(&worker->to_guest, &iov, 1)) {
		atomic_fetch_add_explicit(&worker->base.stats.dropped, 1, memory_order_relaxed);
	}
}

/* Hand the guest what it takes. */
static void deliver(struct net_worker *worker)
{
	struct net_backend *backend = &worker->base;
	size_t size;

	pthread_mutex_lock(&backend->client_lock);
	while ((size = net_queue_peek(&worker->to_guest, worker->frame))) {
		if (!backend->client.receive ||
		    !backend->client.receive(backend->client.opaque, worker->frame, size)) {
			break;
		}
		net_queue_drop(&worker->to_guest);
		atomic_fetch_add_explicit(&backend->stats.rx_frames, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&backend->stats.rx_bytes, size, memory_order_relaxed);
	}
	pthread_mutex_unlock(&backend->client_lock);
}

static void transmit(struct net_worker *worker)
{
	size_t size;

	while ((size = net_queue_peek(&worker->to_host, worker->frame))) {
		net_queue_drop(&worker->to_host);
		atomic_fetch_add_explicit(&worker->base.stats.tx_bytes, size, memory_order_relaxed);
		worker->ops->transmit(worker, worker->frame, size);
	}
}

static void *run(void *opaque)
{
	struct net_worker *worker = opaque;

	while (!atomic_load(&worker->stop)) {
		uint32_t timeout = IDLE_TIMEOUT_MS;
		bool reading;
		eventfd_t count;
		int ret;

		transmit(worker);
		deliver(worker);
		worker->fd_count = 0;
		net_worker_poll_fd(worker, worker->wake_fd, POLLIN);
		reading = net_queue_used(&worker->to_guest) < BACKLOG_MAX;
		if (reading) {
			worker->ops->prepare(worker, &timeout);
		}
		ret = poll(worker->fds, worker->fd_count, (int)timeout);
		if (worker->fds[0].revents & POLLIN) {
			eventfd_read(worker->wake_fd, &count);
		}
		if (reading) {
			worker->ops->dispatch(worker, ret < 0);
		}
	}
	return NULL;
}

int net_worker_init(struct net_worker *worker, const struct net_backend_ops *backend_ops,
		    const struct net_worker_ops *ops, struct error *err)
{
	worker->base.ops = backend_ops;
	worker->ops = ops;
	pthread_mutex_init(&worker->base.client_lock, NULL);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0) {
		return error_set(err, errno, "cannot make an event descriptor: %s",
				 strerror(errno));
	}
	if (net_queue_init(&worker->to_host) < 0 || net_queue_init(&worker->to_guest) < 0) {
		return error_set(err, ENOMEM, "no memory for a network adapter's queues");
	}
	return 0;
}

int net_worker_start(struct net_worker *worker, struct error *err)
{
	int ret = thread_start("net", run, worker, &worker->thread);

	worker->started = ret == 0;
	return ret < 0 ? error_set(err, -ret, "cannot start a thread: %s", strerror(-ret)) : 0;
}

void net_worker_finish(struct net_worker *worker)
{
	if (worker->started) {
		atomic_store(&worker->stop, true);
		wake(worker);
		pthread_join(worker->thread, NULL);
	}
	net_queue_finish(&worker->to_host);
	net_queue_finish(&worker->to_guest);
	if (worker->wake_fd >= 0) {
		close(worker->wake_fd);
	}
	pthread_mutex_destroy(&worker->base.client_lock);
}
