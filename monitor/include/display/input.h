/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DISPLAY_INPUT_H
#define LIMEN_DISPLAY_INPUT_H

/*
 * Input from people to the guest: keys by evdev code (linux/input-event-codes.h), pointer buttons
 * and motion. Viewers and the control socket put events in; the keyboard and pointer devices that
 * the machine has take them out. The router remembers what is held down, so that it can be released
 * when a viewer goes.
 */

#include "base/error.h"
#include "base/types.h"

struct input_router;

enum input_button {
	INPUT_BUTTON_LEFT,
	INPUT_BUTTON_MIDDLE,
	INPUT_BUTTON_RIGHT,
	INPUT_BUTTON_WHEEL_UP,
	INPUT_BUTTON_WHEEL_DOWN,
	INPUT_BUTTON_SIDE,
	INPUT_BUTTON_EXTRA,
	INPUT_BUTTON_WHEEL_LEFT,
	INPUT_BUTTON_WHEEL_RIGHT,
	INPUT_BUTTON_COUNT,
};

#define INPUT_ABS_MAX 0x7fff

/**
 * struct input_sink - a keyboard or pointer device; callbacks take the device's own lock
 * @key: @code is a KEY_* of linux/input-event-codes.h; optional
 * @button, @relative, @absolute: pointer; absolute in 0..INPUT_ABS_MAX; optional
 * @sync: ends a group of pointer events; optional
 */
struct input_sink {
	void (*key)(void *opaque, unsigned int code, bool down);
	void (*button)(void *opaque, enum input_button button, bool down);
	void (*relative)(void *opaque, int dx, int dy);
	void (*absolute)(void *opaque, unsigned int x, unsigned int y);
	void (*sync)(void *opaque);
	void *opaque;
};

int input_router_create(struct input_router **ret_router, struct error *err);
void input_router_destroy(struct input_router *router);

/** input_router_add_sink() - devices, in create; the last one added that can take an event gets
 *  it. */
int input_router_add_sink(struct input_router *router, const struct input_sink *sink);
void input_router_remove_sink(struct input_router *router, void *opaque);

/* Any thread. Keys that are out of range, and events that no device takes, are dropped. */
void input_key(struct input_router *router, unsigned int code, bool down);
void input_button(struct input_router *router, enum input_button button, bool down);
void input_relative(struct input_router *router, int dx, int dy);
void input_absolute(struct input_router *router, unsigned int x, unsigned int y);
void input_sync(struct input_router *router);

/** input_release_all() - let go of every key and button that is held. */
void input_release_all(struct input_router *router);

/** input_takes_absolute() - whether a device takes absolute positions now. */
bool input_takes_absolute(struct input_router *router);

/** input_key_from_qcode() - evdev code of a QKeyCode name ("ret", "ctrl", "a", "f1" ...: QMP's
 *  send-key), or -ENOENT. */
int input_key_from_qcode(const char *name);

#endif
