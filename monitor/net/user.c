/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAT without privileges, by libslirp: the guest sees a network 10.0.2.0/24 with a gateway and DHCP
 * server at 10.0.2.2 and a name server at 10.0.2.3; its connections become the monitor's own.
 * Ports of the host can be forwarded to it ("net.N.forward.M": "tcp:HOSTADDR:PORT-GUESTPORT").
 *
 * libslirp is not thread-safe: after creation only the back end's thread calls it.
 */

#include <arpa/inet.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "net/net_impl.h"

#define TIMERS_MAX 8
#define FORWARDS_MAX 64

struct user_timer {
	bool used;
	int64_t expire_ms; /* 0: not armed */
	SlirpTimerCb fn;
	void *opaque;
};

struct user_backend {
	struct net_worker worker;
	Slirp *slirp;
	struct user_timer timers[TIMERS_MAX];
};

static struct user_backend *user_from_worker(struct net_worker *worker)
{
	return container_of(worker, struct user_backend, worker);
}

/* ------- what libslirp asks for ------- */

static ssize_t user_send_packet(const void *buf, size_t len, void *opaque)
{
	struct user_backend *user = opaque;

	net_worker_receive(&user->worker, buf, len);
	return (ssize_t)len;
}

static void user_guest_error(const char *msg, void *opaque)
{
	(void)opaque;
	log_debug(LOG_AREA_NET, "NAT: %s", msg);
}

static int64_t user_clock_get_ns(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec;
}

static void *user_timer_new(SlirpTimerCb fn, void *fn_opaque, void *opaque)
{
	struct user_backend *user = opaque;

	for (unsigned int i = 0; i < TIMERS_MAX; i++) {
		if (!user->timers[i].used) {
			user->timers[i] = (struct user_timer){ true, 0, fn, fn_opaque };
			return &user->timers[i];
		}
	}
	return NULL;
}

static void user_timer_free(void *timer, void *opaque)
{
	(void)opaque;
	((struct user_timer *)timer)->used = false;
}

static void user_timer_mod(void *timer, int64_t expire_time, void *opaque)
{
	(void)opaque;
	((struct user_timer *)timer)->expire_ms = expire_time;
}

/* Descriptors are collected anew before each wait, on the only thread there is. */
static void user_no_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void user_no_notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb user_callbacks = {
	.send_packet = user_send_packet,
	.guest_error = user_guest_error,
	.clock_get_ns = user_clock_get_ns,
	.timer_new = user_timer_new,
	.timer_free = user_timer_free,
	.timer_mod = user_timer_mod,
	.register_poll_fd = user_no_fd,
	.unregister_poll_fd = user_no_fd,
	.notify = user_no_notify,
};

/* ------- the thread ------- */

static int add_poll(int fd, int events, void *opaque)
{
	struct user_backend *user = opaque;
	short poll_events = 0;

	poll_events |= events & SLIRP_POLL_IN ? POLLIN : 0;
	poll_events |= events & SLIRP_POLL_OUT ? POLLOUT : 0;
	poll_events |= events & SLIRP_POLL_PRI ? POLLPRI : 0;
	return net_worker_poll_fd(&user->worker, fd, poll_events);
}

static int get_revents(int index, void *opaque)
{
	struct user_backend *user = opaque;
	int events = 0;
	short revents;

	if (index < 0) {
		return 0;
	}
	revents = user->worker.fds[index].revents;
	events |= revents & POLLIN ? SLIRP_POLL_IN : 0;
	events |= revents & POLLOUT ? SLIRP_POLL_OUT : 0;
	events |= revents & POLLPRI ? SLIRP_POLL_PRI : 0;
	events |= revents & POLLERR ? SLIRP_POLL_ERR : 0;
	events |= revents & POLLHUP ? SLIRP_POLL_HUP : 0;
	return events;
}

static void run_timers(struct user_backend *user)
{
	int64_t now_ms = user_clock_get_ns(user) / (int64_t)NS_PER_MS;

	for (unsigned int i = 0; i < TIMERS_MAX; i++) {
		struct user_timer *timer = &user->timers[i];

		if (timer->used && timer->expire_ms && timer->expire_ms <= now_ms) {
			timer->expire_ms = 0;
			timer->fn(timer->opaque);
		}
	}
}

static void user_transmit(struct net_worker *worker, const uint8_t *frame, size_t size)
{
	slirp_input(user_from_worker(worker)->slirp, frame, (int)size);
}

static void user_prepare(struct net_worker *worker, uint32_t *timeout_ms)
{
	slirp_pollfds_fill(user_from_worker(worker)->slirp, timeout_ms, add_poll, worker);
}

static void user_dispatch(struct net_worker *worker, bool failed)
{
	struct user_backend *user = user_from_worker(worker);

	slirp_pollfds_poll(user->slirp, failed, get_revents, user);
	run_timers(user);
}

static const struct net_worker_ops user_worker_ops = {
	.transmit = user_transmit,
	.prepare = user_prepare,
	.dispatch = user_dispatch,
};

/* ------- set-up ------- */

/* One forwarding, "tcp|udp:HOSTADDR:PORT-GUESTPORT". */
static int add_forward(struct user_backend *user, const char *key, const char *text,
		       struct error *err)
{
	char protocol[4], address[40];
	struct in_addr host, guest = { 0 };
	unsigned int port, guest_port;
	int used = 0;

	if (sscanf(text, "%3[a-z]:%39[0-9.]:%u-%u%n", protocol, address, &port, &guest_port,
		   &used) != 4) {
		address[0] = '\0';
		if (sscanf(text, "%3[a-z]::%u-%u%n", protocol, &port, &guest_port, &used) != 3) {
			used = 0;
		}
	}
	if (!used || text[used] || (strcmp(protocol, "tcp") && strcmp(protocol, "udp")) || !port ||
	    port > 65535 || !guest_port || guest_port > 65535 ||
	    inet_pton(AF_INET, address[0] ? address : "127.0.0.1", &host) != 1) {
		return error_set(err, EINVAL,
				 "%s: '%s' is no forwarding; write tcp:HOSTADDR:PORT-GUESTPORT, "
				 "such as tcp:127.0.0.1:2222-22",
				 key, text);
	}
	if (slirp_add_hostfwd(user->slirp, protocol[0] == 'u', host, (int)port, guest,
			      (int)guest_port) < 0) {
		return error_set(err, EADDRINUSE,
				 "%s: cannot listen on %s port %u of %s: %s; choose another port",
				 key, protocol, port, address[0] ? address : "127.0.0.1",
				 strerror(errno));
	}
	return 0;
}

static int add_forwards(struct user_backend *user, const struct config_view *config,
			struct error *err)
{
	struct config_view view;
	unsigned int count;
	char path[112];

	snprintf(path, sizeof(path), "%s.forward", config->prefix);
	view = config_view_at(config->tree, path);
	count = config_index_count(config->tree, path);
	for (unsigned int i = 0; i < count && i < FORWARDS_MAX; i++) {
		char name[16], key[160];
		int ret;

		snprintf(name, sizeof(name), "%u", i);
		snprintf(key, sizeof(key), "%s.%s", path, name);
		if (!config_is_set(&view, name)) {
			continue;
		}
		ret = add_forward(user, key, config_get_string(&view, name), err);
		if (ret < 0) {
			return ret;
		}
	}
	return 0;
}

static void user_destroy(struct net_backend *backend)
{
	struct user_backend *user = container_of(backend, struct user_backend, worker.base);

	net_worker_finish(&user->worker);
	if (user->slirp) {
		slirp_cleanup(user->slirp);
	}
	free(user);
}

static const struct net_backend_ops user_ops = {
	.name = "user",
	.destroy = user_destroy,
	.send = net_worker_send,
	.ready = net_worker_ready,
};

static Slirp *start_slirp(struct user_backend *user)
{
	SlirpConfig config = { .version = 1, .in_enabled = true, .in6_enabled = true };

	inet_pton(AF_INET, "10.0.2.0", &config.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &config.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &config.vhost);
	inet_pton(AF_INET, "10.0.2.15", &config.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &config.vnameserver);
	inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	config.vprefix_len = 64;
	inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	return slirp_new(&config, &user_callbacks, user);
}

int net_user_create(const struct config_view *config, struct net_backend **ret_backend,
		    struct error *err)
{
	struct user_backend *user = calloc(1, sizeof(*user));
	int ret;

	if (!user) {
		return error_set(err, ENOMEM, "no memory for a network adapter");
	}
	ret = net_worker_init(&user->worker, &user_ops, &user_worker_ops, err);
	if (ret == 0) {
		user->slirp = start_slirp(user);
		ret = user->slirp ? add_forwards(user, config, err)
				  : error_set(err, ENOMEM, "libslirp does not start");
	}
	if (ret == 0) {
		ret = net_worker_start(&user->worker, err);
	}
	if (ret < 0) {
		user_destroy(&user->worker.base);
		return ret;
	}
	*ret_backend = &user->worker.base;
	return 0;
}
