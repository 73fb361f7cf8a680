/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TAP interface of the host (Documentation/networking/tuntap.rst): frames pass unchanged
 * between the guest and an interface that an administrator has made and given to the user
 * ("ip tuntap add NAME mode tap user USER"). The host's network configuration is never touched.
 */

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/net_impl.h"

struct tap_backend {
	struct net_worker worker;
	int fd;
	int index; /* of fd among the worker's descriptors */
	uint8_t frame[NET_FRAME_MAX];
};

static struct tap_backend *tap_from_worker(struct net_worker *worker)
{
	return container_of(worker, struct tap_backend, worker);
}

static void tap_transmit(struct net_worker *worker, const uint8_t *frame, size_t size)
{
	if (write(tap_from_worker(worker)->fd, frame, size) < 0) {
		atomic_fetch_add_explicit(&worker->base.stats.dropped, 1, memory_order_relaxed);
	}
}

static void tap_prepare(struct net_worker *worker, uint32_t *timeout_ms)
{
	struct tap_backend *tap = tap_from_worker(worker);

	(void)timeout_ms;
	tap->index = net_worker_poll_fd(worker, tap->fd, POLLIN);
}

static void tap_dispatch(struct net_worker *worker, bool failed)
{
	struct tap_backend *tap = tap_from_worker(worker);
	ssize_t size;

	if (failed || !(worker->fds[tap->index].revents & POLLIN)) {
		return;
	}
	while (net_queue_used(&worker->to_guest) < NET_QUEUE_SIZE / 2 &&
	       (size = read(tap->fd, tap->frame, sizeof(tap->frame))) > 0) {
		net_worker_receive(worker, tap->frame, (size_t)size);
	}
}

static const struct net_worker_ops tap_worker_ops = {
	.transmit = tap_transmit,
	.prepare = tap_prepare,
	.dispatch = tap_dispatch,
};

static void tap_destroy(struct net_backend *backend)
{
	struct tap_backend *tap = container_of(backend, struct tap_backend, worker.base);

	net_worker_finish(&tap->worker);
	if (tap->fd >= 0) {
		close(tap->fd);
	}
	free(tap);
}

static const struct net_backend_ops tap_ops = {
	.name = "tap",
	.destroy = tap_destroy,
	.send = net_worker_send,
	.ready = net_worker_ready,
};

static int open_tap(const char *name, int *ret_fd, struct error *err)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd;

	if (strlen(name) >= sizeof(request.ifr_name)) {
		return error_set(err, EINVAL, "'%s' is too long for an interface's name", name);
	}
	/* For root TUNSETIFF would make the interface, which nobody has configured. */
	if (!if_nametoindex(name)) {
		return error_set(err, ENODEV,
				 "there is no TAP interface '%s'; make it with: "
				 "ip tuntap add %s mode tap user $USER",
				 name, name);
	}
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		return error_set(err, errno, "cannot open /dev/net/tun: %s", strerror(errno));
	}
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int ret = error_set(err, errno,
				    "cannot use the TAP interface '%s': %s; make it with: "
				    "ip tuntap add %s mode tap user $USER",
				    name, strerror(errno), name);

		close(fd);
		return ret;
	}
	*ret_fd = fd;
	return 0;
}

int net_tap_create(const struct config_view *config, struct net_backend **ret_backend,
		   struct error *err)
{
	const char *name = config_get_string(config, "tap");
	struct tap_backend *tap;
	int ret;

	if (!name) {
		return error_set(err, EINVAL, "%s.tap names no interface; set it", config->prefix);
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap) {
		return error_set(err, ENOMEM, "no memory for a network adapter");
	}
	tap->fd = -1;
	ret = net_worker_init(&tap->worker, &tap_ops, &tap_worker_ops, err);
	if (ret == 0) {
		ret = open_tap(name, &tap->fd, err);
	}
	if (ret == 0) {
		ret = net_worker_start(&tap->worker, err);
	}
	if (ret < 0) {
		tap_destroy(&tap->worker.base);
		return ret;
	}
	*ret_backend = &tap->worker.base;
	return 0;
}
