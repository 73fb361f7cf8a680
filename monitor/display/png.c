/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Screenshots: the surface as an 8-bit RGB PNG (ISO/IEC 15948) by libpng. The pixels are copied
 * first, so that the guest's screen is locked for a copy and not for a compression.
 */

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file_replace.h"
#include "display/display.h"

/* struct picture - a copy of the pixels, rows without padding. */
struct picture {
	uint32_t width;
	uint32_t height;
	uint32_t *pixels;
};

static int copy_surface(struct display *display, struct picture *ret)
{
	const struct display_surface *surface;
	int status = -ENODATA;

	display_update(display);
	display_lock(display);
	surface = display_surface(display);
	if (surface) {
		size_t size = (size_t)surface->width * 4 * surface->height;

		*ret = (struct picture){ surface->width, surface->height, malloc(size) };
		status = ret->pixels ? 0 : -ENOMEM;
		for (uint32_t y = 0; status == 0 && y < surface->height; y++) {
			memcpy(ret->pixels + (size_t)y * surface->width,
			       (uint8_t *)surface->pixels + (size_t)y * surface->stride,
			       (size_t)surface->width * 4);
		}
	}
	display_unlock(display);
	return status;
}

/* The PNG of @picture to @file. Return: 0 or -EIO. libpng reports errors by longjmp. */
static int write_picture(const struct picture *picture, FILE *file)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;

	if (!info || setjmp(png_jmpbuf(png))) {
		png_destroy_write_struct(&png, &info);
		return -EIO;
	}
	png_init_io(png, file);
	png_set_IHDR(png, info, picture->width, picture->height, 8, PNG_COLOR_TYPE_RGB,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_set_compression_level(png, 3);
	png_write_info(png, info);
	/* Pixels are 0x00RRGGBB, little-endian: blue, green, red, filler. */
	png_set_bgr(png);
	png_set_filler(png, 0, PNG_FILLER_AFTER);
	for (uint32_t y = 0; y < picture->height; y++) {
		png_write_row(png, (png_const_bytep)(picture->pixels + (size_t)y * picture->width));
	}
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	return 0;
}

int display_write_png(struct display *display, const char *file, struct error *err)
{
	struct file_replace output;
	struct picture picture;
	FILE *stream;
	int ret;

	ret = copy_surface(display, &picture);
	if (ret < 0) {
		return error_set(err, -ret,
				 ret == -ENODATA ? "the guest has not set up a screen yet"
						 : "no memory for a screenshot");
	}
	ret = file_replace_begin(&output, file, 0666, err);
	if (ret < 0) {
		goto out_free;
	}
	stream = fdopen(dup(output.fd), "wb");
	ret = stream ? write_picture(&picture, stream) : -EIO;
	if (stream && fclose(stream) != 0) {
		ret = -EIO;
	}
	if (ret < 0) {
		error_set(err, -ret, "cannot write '%s'", file);
		file_replace_abort(&output);
		goto out_free;
	}
	ret = file_replace_commit(&output, err);
out_free:
	free(picture.pixels);
	return ret;
}
