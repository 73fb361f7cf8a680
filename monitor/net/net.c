/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network back ends by name, and the queue of frames between a device and its back end: a ring of
 * bytes in which each frame is preceded by its length. Bounded; what does not fit is dropped and
 * counted by the caller, as a cable without a listener drops it.
 */

#include <stdlib.h>

#include "net/net_impl.h"

#define LENGTH_SIZE sizeof(uint32_t)

int net_queue_init(struct net_queue *queue)
{
	queue->ring = malloc(NET_QUEUE_SIZE);
	if (!queue->ring) {
		return -ENOMEM;
	}
	pthread_mutex_init(&queue->lock, NULL);
	return 0;
}

void net_queue_finish(struct net_queue *queue)
{
	if (!queue->ring) {
		return;
	}
	free(queue->ring);
	queue->ring = NULL;
	pthread_mutex_destroy(&queue->lock);
}

static void put(struct net_queue *queue, const void *data, size_t size)
{
	size_t at = queue->tail % NET_QUEUE_SIZE;
	size_t first = MIN(size, NET_QUEUE_SIZE - at);

	memcpy(queue->ring + at, data, first);
	memcpy(queue->ring, (const uint8_t *)data + first, size - first);
	queue->tail += size;
}

static void get(const struct net_queue *queue, uint64_t from, void *data, size_t size)
{
	size_t at = from % NET_QUEUE_SIZE;
	size_t first = MIN(size, NET_QUEUE_SIZE - at);

	memcpy(data, queue->ring + at, first);
	memcpy((uint8_t *)data + first, queue->ring, size - first);
}

bool net_queue_push(struct net_queue *queue, const struct iovec *iov, unsigned int count)
{
	size_t size = 0;
	uint32_t length;
	bool fits;

	for (unsigned int i = 0; i < count; i++) {
		size += iov[i].iov_len;
	}
	if (size == 0 || size > NET_FRAME_MAX) {
		return false;
	}
	length = (uint32_t)size;
	pthread_mutex_lock(&queue->lock);
	fits = queue->tail - queue->head + LENGTH_SIZE + size <= NET_QUEUE_SIZE;
	if (fits) {
		put(queue, &length, LENGTH_SIZE);
		for (unsigned int i = 0; i < count; i++) {
			put(queue, iov[i].iov_base, iov[i].iov_len);
		}
	}
	pthread_mutex_unlock(&queue->lock);
	return fits;
}

size_t net_queue_peek(struct net_queue *queue, uint8_t *buf)
{
	uint32_t length = 0;

	pthread_mutex_lock(&queue->lock);
	if (queue->tail != queue->head) {
		get(queue, queue->head, &length, LENGTH_SIZE);
		get(queue, queue->head + LENGTH_SIZE, buf, length);
	}
	pthread_mutex_unlock(&queue->lock);
	return length;
}

void net_queue_drop(struct net_queue *queue)
{
	uint32_t length;

	pthread_mutex_lock(&queue->lock);
	if (queue->tail != queue->head) {
		get(queue, queue->head, &length, LENGTH_SIZE);
		queue->head += LENGTH_SIZE + length;
	}
	pthread_mutex_unlock(&queue->lock);
}

uint64_t net_queue_used(struct net_queue *queue)
{
	uint64_t used;

	pthread_mutex_lock(&queue->lock);
	used = queue->tail - queue->head;
	pthread_mutex_unlock(&queue->lock);
	return used;
}

/* FNV-1a */
static uint32_t hash_text(uint32_t hash, const char *text)
{
	for (; *text; text++) {
		hash = (hash ^ (uint8_t)*text) * 0x01000193;
	}
	return hash;
}

void net_mac_address(const struct config_view *config, uint8_t ret_mac[6])
{
	const char *name = NULL;
	uint32_t hash = 0x811c9dc5;

	if (config_get_mac(config, "mac", ret_mac)) {
		return;
	}
	if (config_get_text(config->tree, "name", &name, NULL) == 0 && name) {
		hash = hash_text(hash, name);
	}
	hash = hash_text(hash, config->prefix);
	memcpy(ret_mac, "\x52\x54\x00", 3); /* locally administered */
	memcpy(ret_mac + 3, &hash, 3);
}

int net_backend_create(const struct config_view *config, struct event_loop *loop,
		       struct net_backend **ret_backend, struct error *err)
{
	const char *kind = config_get_string(config, "backend");

	(void)loop;
	if (!strcmp(kind, "user")) {
		return net_user_create(config, ret_backend, err);
	}
	if (!strcmp(kind, "tap")) {
		return net_tap_create(config, ret_backend, err);
	}
	return error_set(err, EINVAL, "%s.backend: '%s' is not a network back end", config->prefix,
			 kind);
}

void net_backend_destroy(struct net_backend *backend)
{
	if (backend) {
		backend->ops->destroy(backend);
	}
}

void net_backend_set_client(struct net_backend *backend, const struct net_client *client)
{
	pthread_mutex_lock(&backend->client_lock);
	backend->client = *client;
	pthread_mutex_unlock(&backend->client_lock);
	net_backend_ready(backend);
}
