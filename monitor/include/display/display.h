/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DISPLAY_DISPLAY_H
#define LIMEN_DISPLAY_DISPLAY_H

/*
 * The display surface: what a guest's screen shows, with damage, between the display device that
 * draws it and whoever looks (the screenshot now; the display socket's clients). A display belongs
 * to a head; device and viewers meet only here.
 *
 * Nobody looking costs nothing: the device draws when a viewer asks for an update.
 */

#include <pthread.h>

#include "base/error.h"
#include "base/list.h"
#include "base/types.h"

struct display;

#define DISPLAY_MAX_WIDTH  8192
#define DISPLAY_MAX_HEIGHT 8192

struct display_rect {
	uint32_t x, y, width, height;
};

/**
 * struct display_surface - pixels, 32 bits each as 0x00RRGGBB in native order, in a sealed-size
 * memfd so that they can be shared with another process
 * @generation: raised whenever the surface is replaced (new size)
 */
struct display_surface {
	uint32_t width;
	uint32_t height;
	uint32_t stride; /* bytes */
	uint32_t *pixels;
	size_t size;
	int fd;
	uint64_t generation;
};

/** struct display_cursor - a hardware cursor's shape; pixels are 0xAARRGGBB. */
struct display_cursor {
	uint32_t width, height, hot_x, hot_y;
	const uint32_t *pixels;
};

/**
 * struct display_source - the device that draws; its callbacks run on the thread that calls
 * display_update(), and take the device's own lock
 * @update: bring the surface up to date and report damage by display_damage()
 * @resize_hint: a viewer would like this size (EDID); optional
 */
struct display_source {
	void (*update)(void *opaque);
	void (*resize_hint)(void *opaque, uint32_t width, uint32_t height);
	void *opaque;
};

/**
 * struct display_listener - a viewer; callbacks run on the thread that draws, with the display's
 * lock held, and must be short
 */
struct display_listener {
	void (*surface_changed)(struct display_listener *l, const struct display_surface *surface);
	void (*damaged)(struct display_listener *l, const struct display_rect *rect);
	void (*cursor_changed)(struct display_listener *l, const struct display_cursor *cursor);
	void (*cursor_moved)(struct display_listener *l, int32_t x, int32_t y, bool visible);
	struct list node;
};

int display_create(struct display **ret_display, struct error *err);
void display_destroy(struct display *display);

/* ------- the device's side ------- */

void display_set_source(struct display *display, const struct display_source *source);

/** display_resize() - a surface of this size (unchanged when it has it already); contents black.
 *  -EINVAL beyond the limits. Return: 0; *@ret_surface stays valid until the next resize. */
int display_resize(struct display *display, uint32_t width, uint32_t height,
		   struct display_surface **ret_surface);

/** display_surface() - the present one, or NULL. */
struct display_surface *display_surface(struct display *display);

/** display_lock()/unlock() - around drawing into and reading from the surface. */
void display_lock(struct display *display);
void display_unlock(struct display *display);

/** display_damage() - @rect (clipped) has new pixels; display locked. */
void display_damage(struct display *display, const struct display_rect *rect);

void display_set_cursor(struct display *display, const struct display_cursor *cursor);
void display_move_cursor(struct display *display, int32_t x, int32_t y, bool visible);

/* ------- the viewers' side ------- */

/** display_update() - let the device draw what has changed; not with the display locked. */
void display_update(struct display *display);

void display_add_listener(struct display *display, struct display_listener *listener);
void display_remove_listener(struct display *display, struct display_listener *listener);

/** display_resize_hint() - tell the device which size a viewer would like. */
void display_resize_hint(struct display *display, uint32_t width, uint32_t height);

/** display_write_png() - update, then write the surface to @file as PNG, atomically. -ENODATA when
 *  the guest has not set up a screen. */
int display_write_png(struct display *display, const char *file, struct error *err);

#endif
