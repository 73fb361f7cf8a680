/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input router: events from viewers and the control socket to the devices that take them. What
 * is held down is remembered, so that nothing stays pressed in the guest when a viewer goes away in
 * mid-keystroke. Sinks are called with the router's lock held (order: router, then device).
 */

#include "display/input.h"

#include <pthread.h>
#include <stdlib.h>

#define SINKS_MAX 8
#define KEYS_MAX 0x300 /* KEY_CNT of linux/input-event-codes.h */

struct input_router {
	pthread_mutex_t lock;
	struct input_sink sinks[SINKS_MAX];
	unsigned int count;
	uint8_t held[KEYS_MAX / 8];
	unsigned int buttons;
};

int input_router_create(struct input_router **ret_router, struct error *err)
{
	struct input_router *router = calloc(1, sizeof(*router));

	if (!router) {
		return error_set(err, ENOMEM, "no memory for input");
	}
	pthread_mutex_init(&router->lock, NULL);
	*ret_router = router;
	return 0;
}

void input_router_destroy(struct input_router *router)
{
	if (!router) {
		return;
	}
	pthread_mutex_destroy(&router->lock);
	free(router);
}

int input_router_add_sink(struct input_router *router, const struct input_sink *sink)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&router->lock);
	if (router->count < SINKS_MAX) {
		router->sinks[router->count++] = *sink;
		ret = 0;
	}
	pthread_mutex_unlock(&router->lock);
	return ret;
}

void input_router_remove_sink(struct input_router *router, void *opaque)
{
	pthread_mutex_lock(&router->lock);
	for (unsigned int i = 0; i < router->count; i++) {
		if (router->sinks[i].opaque == opaque) {
			memmove(&router->sinks[i], &router->sinks[i + 1],
				(router->count - i - 1) * sizeof(router->sinks[0]));
			router->count--;
			break;
		}
	}
	pthread_mutex_unlock(&router->lock);
}

/* The last sink added that has the callback at @offset within struct input_sink, or NULL. */
static const struct input_sink *find_sink(const struct input_router *router, size_t offset)
{
	for (unsigned int i = router->count; i > 0; i--) {
		const struct input_sink *sink = &router->sinks[i - 1];
		void *callback;

		memcpy(&callback, (const char *)sink + offset, sizeof(callback));
		if (callback) {
			return sink;
		}
	}
	return NULL;
}

#define FIND_SINK(router, member) find_sink(router, offsetof(struct input_sink, member))

static void key_locked(struct input_router *router, unsigned int code, bool down)
{
	const struct input_sink *sink = FIND_SINK(router, key);
	uint8_t bit = (uint8_t)(1U << (code % 8));

	router->held[code / 8] =
		(uint8_t)(down ? router->held[code / 8] | bit : router->held[code / 8] & ~bit);
	if (sink) {
		sink->key(sink->opaque, code, down);
	}
}

void input_key(struct input_router *router, unsigned int code, bool down)
{
	if (code >= KEYS_MAX) {
		return;
	}
	pthread_mutex_lock(&router->lock);
	key_locked(router, code, down);
	pthread_mutex_unlock(&router->lock);
}

static void button_locked(struct input_router *router, enum input_button button, bool down)
{
	const struct input_sink *sink = FIND_SINK(router, button);

	router->buttons = down ? router->buttons | 1U << button : router->buttons & ~(1U << button);
	if (sink) {
		sink->button(sink->opaque, button, down);
	}
}

void input_button(struct input_router *router, enum input_button button, bool down)
{
	if (button >= INPUT_BUTTON_COUNT) {
		return;
	}
	pthread_mutex_lock(&router->lock);
	button_locked(router, button, down);
	pthread_mutex_unlock(&router->lock);
}

void input_relative(struct input_router *router, int dx, int dy)
{
	const struct input_sink *sink;

	pthread_mutex_lock(&router->lock);
	sink = FIND_SINK(router, relative);
	if (sink) {
		sink->relative(sink->opaque, dx, dy);
	}
	pthread_mutex_unlock(&router->lock);
}

void input_absolute(struct input_router *router, unsigned int x, unsigned int y)
{
	const struct input_sink *sink;

	pthread_mutex_lock(&router->lock);
	sink = FIND_SINK(router, absolute);
	if (sink) {
		sink->absolute(sink->opaque, MIN(x, (unsigned int)INPUT_ABS_MAX),
			       MIN(y, (unsigned int)INPUT_ABS_MAX));
	}
	pthread_mutex_unlock(&router->lock);
}

void input_sync(struct input_router *router)
{
	pthread_mutex_lock(&router->lock);
	for (unsigned int i = 0; i < router->count; i++) {
		if (router->sinks[i].sync) {
			router->sinks[i].sync(router->sinks[i].opaque);
		}
	}
	pthread_mutex_unlock(&router->lock);
}

void input_release_all(struct input_router *router)
{
	pthread_mutex_lock(&router->lock);
	for (unsigned int code = 0; code < KEYS_MAX; code++) {
		if (router->held[code / 8] >> (code % 8) & 1) {
			key_locked(router, code, false);
		}
	}
	for (unsigned int button = 0; button < INPUT_BUTTON_COUNT; button++) {
		if (router->buttons >> button & 1) {
			button_locked(router, button, false);
		}
	}
	pthread_mutex_unlock(&router->lock);
}

bool input_takes_absolute(struct input_router *router)
{
	bool ret;

	pthread_mutex_lock(&router->lock);
	ret = FIND_SINK(router, absolute) != NULL;
	pthread_mutex_unlock(&router->lock);
	return ret;
}
