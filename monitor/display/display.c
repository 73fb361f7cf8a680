/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The display surface: pixels in a memfd, who draws them and who looks at them. The lock is held
 * while the device draws and while a viewer reads; the device's own lock is taken before it
 * (the device calls in here from its update callback).
 */

#include "display/display.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct display {
	pthread_mutex_t lock;
	struct display_source source;
	struct display_surface surface;
	bool present;
	struct list listeners;
};

int display_create(struct display **ret_display, struct error *err)
{
	struct display *display = calloc(1, sizeof(*display));

	if (!display) {
		return error_set(err, ENOMEM, "no memory for a display");
	}
	pthread_mutex_init(&display->lock, NULL);
	list_init(&display->listeners);
	display->surface.fd = -1;
	*ret_display = display;
	return 0;
}

static void free_surface(struct display_surface *surface)
{
	if (surface->pixels) {
		munmap(surface->pixels, surface->size);
		close(surface->fd);
	}
	surface->pixels = NULL;
	surface->fd = -1;
}

void display_destroy(struct display *display)
{
	if (!display) {
		return;
	}
	free_surface(&display->surface);
	pthread_mutex_destroy(&display->lock);
	free(display);
}

void display_set_source(struct display *display, const struct display_source *source)
{
	display_lock(display);
	display->source = *source;
	display_unlock(display);
}

void display_lock(struct display *display)
{
	pthread_mutex_lock(&display->lock);
}

void display_unlock(struct display *display)
{
	pthread_mutex_unlock(&display->lock);
}

/* A surface of its own memfd, which can neither shrink nor grow under whoever maps it. */
static int allocate_surface(uint32_t width, uint32_t height, struct display_surface *ret_surface)
{
	struct display_surface surface = {
		.width = width,
		.height = height,
		.stride = width * 4,
		.size = ALIGN_UP((size_t)width * 4 * height, (size_t)GUEST_PAGE_SIZE),
	};

	surface.fd = memfd_create("limen-surface", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (surface.fd < 0) {
		return -errno;
	}
	if (ftruncate(surface.fd, (off_t)surface.size) < 0) {
		goto fail;
	}
	surface.pixels =
		mmap(NULL, surface.size, PROT_READ | PROT_WRITE, MAP_SHARED, surface.fd, 0);
	if (surface.pixels == MAP_FAILED) {
		goto fail;
	}
	*ret_surface = surface;
	return 0;
fail:
	close(surface.fd);
	return -ENOMEM;
}

int display_resize(struct display *display, uint32_t width, uint32_t height,
		   struct display_surface **ret_surface)
{
	struct display_surface surface;
	int ret;

	if (!width || !height || width > DISPLAY_MAX_WIDTH || height > DISPLAY_MAX_HEIGHT) {
		return -EINVAL;
	}
	if (display->present && display->surface.width == width &&
	    display->surface.height == height) {
		*ret_surface = &display->surface;
		return 0;
	}
	ret = allocate_surface(width, height, &surface);
	if (ret < 0) {
		return ret;
	}
	surface.generation = display->surface.generation + 1;
	free_surface(&display->surface);
	display->surface = surface;
	display->present = true;
	list_for_each(node, &display->listeners)
	{
		struct display_listener *l = container_of(node, struct display_listener, node);

		l->surface_changed(l, &display->surface);
	}
	*ret_surface = &display->surface;
	return 0;
}

struct display_surface *display_surface(struct display *display)
{
	return display->present ? &display->surface : NULL;
}

void display_damage(struct display *display, const struct display_rect *rect)
{
	const struct display_surface *surface = &display->surface;
	struct display_rect clipped = *rect;

	if (!display->present || rect->x >= surface->width || rect->y >= surface->height) {
		return;
	}
	clipped.width = MIN(rect->width, surface->width - rect->x);
	clipped.height = MIN(rect->height, surface->height - rect->y);
	list_for_each(node, &display->listeners)
	{
		struct display_listener *l = container_of(node, struct display_listener, node);

		l->damaged(l, &clipped);
	}
}

void display_set_cursor(struct display *display, const struct display_cursor *cursor)
{
	display_lock(display);
	list_for_each(node, &display->listeners)
	{
		struct display_listener *l = container_of(node, struct display_listener, node);

		if (l->cursor_changed) {
			l->cursor_changed(l, cursor);
		}
	}
	display_unlock(display);
}

void display_move_cursor(struct display *display, int32_t x, int32_t y, bool visible)
{
	display_lock(display);
	list_for_each(node, &display->listeners)
	{
		struct display_listener *l = container_of(node, struct display_listener, node);

		if (l->cursor_moved) {
			l->cursor_moved(l, x, y, visible);
		}
	}
	display_unlock(display);
}

void display_update(struct display *display)
{
	struct display_source source;

	display_lock(display);
	source = display->source;
	display_unlock(display);
	if (source.update) {
		source.update(source.opaque);
	}
}

void display_add_listener(struct display *display, struct display_listener *listener)
{
	display_lock(display);
	list_append(&display->listeners, &listener->node);
	if (display->present) {
		listener->surface_changed(listener, &display->surface);
	}
	display_unlock(display);
}

void display_remove_listener(struct display *display, struct display_listener *listener)
{
	display_lock(display);
	list_remove(&listener->node);
	display_unlock(display);
}

void display_resize_hint(struct display *display, uint32_t width, uint32_t height)
{
	struct display_source source;

	display_lock(display);
	source = display->source;
	display_unlock(display);
	if (source.resize_hint) {
		source.resize_hint(source.opaque, width, height);
	}
}
