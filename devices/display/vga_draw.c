/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From video memory to the display surface. An update first gathers all that the picture depends on
 * beside the memory (struct vga_frame); if any of it changed, everything is drawn, else only the
 * lines whose pages were written.
 *
 * Not modelled: preset row scan, byte panning, and the overscan border; nothing that a person
 * would see in the systems of the last thirty years depends on them.
 */

#include "vga.h"

#define CRTC_OVERFLOW 0x07
#define CRTC_MAX_SCAN 0x09
#define CRTC_CURSOR_START 0x0a
#define CRTC_CURSOR_END 0x0b
#define CRTC_START_HIGH 0x0c
#define CRTC_START_LOW 0x0d
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW 0x0f
#define CRTC_DISPLAY_END 0x12
#define CRTC_OFFSET 0x13
#define CRTC_MODE 0x17
#define CRTC_LINE_COMPARE 0x18

#define ATTR_MODE 0x10
#define ATTR_PLANE_ENABLE 0x12
#define ATTR_PANNING 0x13
#define ATTR_COLOR_SELECT 0x14
#define ATTR_INDEX_VIDEO 0x20 /* palette address source: the screen is on */
#define BLINK_NS (NS_PER_S / 4)

uint32_t vga_cursor_offset(const struct vga *vga)
{
	if (vga->crtc[CRTC_CURSOR_START] & 0x20) {
		return UINT32_MAX;
	}
	return (uint32_t)vga->crtc[CRTC_CURSOR_HIGH] << 8 | vga->crtc[CRTC_CURSOR_LOW];
}

bool vga_blink_on(const struct vga *vga)
{
	return machine_clock_now(vga->pci.dev.env.clock) / BLINK_NS % 2 == 0;
}

/* ------- what the registers say ------- */

static void read_palette(const struct vga *vga, struct vga_frame *frame)
{
	unsigned int shift = vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? 0 : 2;

	for (unsigned int i = 0; i < 256; i++) {
		const uint8_t *c = &vga->dac[3 * (i & vga->dac_mask)];

		frame->palette[i] = (uint32_t)(c[0] << shift & 0xff) << 16 |
				    (uint32_t)(c[1] << shift & 0xff) << 8 |
				    (uint32_t)(c[2] << shift & 0xff);
	}
	for (unsigned int i = 0; i < 16; i++) {
		uint8_t select = vga->attribute[ATTR_COLOR_SELECT];
		uint8_t index = vga->attribute[i & vga->attribute[ATTR_PLANE_ENABLE]] & 0x3f;

		if (vga->attribute[ATTR_MODE] & 0x80) {
			index = (uint8_t)((index & 0x0f) | (select & 0x03) << 4);
		}
		frame->attribute[i] = (uint8_t)(index | (select & 0x0c) << 4);
	}
}

static void read_vbe_frame(const struct vga *vga, struct vga_frame *frame)
{
	uint32_t bytes = (vga->vbe[VBE_BPP] + 7U) / 8;

	frame->kind = VGA_VBE;
	frame->width = vga->vbe[VBE_XRES];
	frame->height = vga->vbe[VBE_YRES];
	frame->bpp = vga->vbe[VBE_BPP];
	frame->pitch = vga_vbe_pitch(vga);
	frame->start = vga->vbe[VBE_Y_OFFSET] * frame->pitch + vga->vbe[VBE_X_OFFSET] * bytes;
	frame->repeat = 1;
	frame->line_compare = UINT32_MAX;
}

static void read_text_frame(const struct vga *vga, struct vga_frame *frame, uint32_t lines)
{
	frame->kind = VGA_TEXT;
	frame->cell_width = vga->sequencer[1] & 1 ? 8 : 9;
	frame->columns = MIN(vga->crtc[1] + 1U, (uint32_t)VGA_TEXT_COLUMNS_MAX);
	frame->repeat = (vga->crtc[CRTC_MAX_SCAN] & 0x1f) + 1U;
	if (vga->crtc[CRTC_MAX_SCAN] & 0x80) {
		lines /= 2; /* each is scanned twice */
	}
	frame->rows = MIN(lines / frame->repeat, (uint32_t)VGA_TEXT_ROWS_MAX);
	frame->width = frame->columns * frame->cell_width;
	frame->height = frame->rows * frame->repeat;
	frame->blink = vga->attribute[ATTR_MODE] & 0x08;
	frame->font[0] = (uint8_t)((vga->sequencer[3] & 3) | (vga->sequencer[3] >> 2 & 4));
	frame->font[1] = (uint8_t)((vga->sequencer[3] >> 2 & 3) | (vga->sequencer[3] >> 3 & 4));
	frame->cursor_start = vga->crtc[CRTC_CURSOR_START] & 0x1f;
	frame->cursor_end = vga->crtc[CRTC_CURSOR_END] & 0x1f;
}

static void read_graphics_frame(const struct vga *vga, struct vga_frame *frame, uint32_t lines)
{
	uint32_t units = vga->crtc[1] + 1U;

	frame->shift_mode = vga->graphics[5] >> 5 & 3;
	frame->kind = frame->shift_mode & 2 ? VGA_PACKED : VGA_PLANAR;
	frame->repeat = (vga->crtc[CRTC_MAX_SCAN] & 0x1f) + 1U;
	if (vga->crtc[CRTC_MAX_SCAN] & 0x80) {
		frame->repeat *= 2;
	}
	frame->word_mode = !(vga->crtc[CRTC_MODE] & 0x40);
	frame->interleave_bits = ~vga->crtc[CRTC_MODE] & 3;
	if (frame->interleave_bits & 1) {
		/* Row scan bits select memory instead of repeating the row. */
		frame->repeat = MAX(frame->repeat / 2, 1U);
	}
	frame->height = lines / frame->repeat;
	frame->width = units * (frame->kind == VGA_PACKED ? 4 : 8);
	frame->panning = vga->attribute[ATTR_PANNING] & 7;
}

/* Fill @frame, all of it, since it is compared as bytes. */
static void read_frame(const struct vga *vga, struct vga_frame *frame)
{
	const uint8_t *crtc = vga->crtc;
	uint32_t lines = (crtc[CRTC_DISPLAY_END] | (crtc[CRTC_OVERFLOW] & 0x02) << 7 |
			  (crtc[CRTC_OVERFLOW] & 0x40) << 3) +
			 1U;

	memset(frame, 0, sizeof(*frame));
	read_palette(vga, frame);
	if (vga_vbe_enabled(vga)) {
		read_vbe_frame(vga, frame);
		return;
	}
	if (!(vga->attribute_index & ATTR_INDEX_VIDEO) || vga->sequencer[1] & 0x20 || crtc[1] < 4) {
		return;
	}
	frame->start = (uint32_t)crtc[CRTC_START_HIGH] << 8 | crtc[CRTC_START_LOW];
	frame->pitch = crtc[CRTC_OFFSET] * 2U;
	frame->line_compare = crtc[CRTC_LINE_COMPARE] | (crtc[CRTC_OVERFLOW] & 0x10U) << 4 |
			      (crtc[CRTC_MAX_SCAN] & 0x40U) << 3;
	if (vga->graphics[6] & 1) {
		read_graphics_frame(vga, frame, lines);
	} else {
		read_text_frame(vga, frame, lines);
	}
	if (!frame->width || !frame->height) {
		frame->kind = VGA_BLANK;
	}
}

/* ------- lines of pixels ------- */

/* Planar offset where line @y of the picture begins. */
static uint32_t line_offset(const struct vga_frame *frame, uint32_t y)
{
	uint32_t row = y, start = frame->start;

	if (y * frame->repeat > frame->line_compare) {
		row = y - frame->line_compare / frame->repeat - 1;
		start = 0;
	}
	if (frame->interleave_bits & 1) {
		uint32_t bit = frame->word_mode ? 12 : 13;

		return ((start + row / 2 * frame->pitch) & ~(1U << bit)) | (row & 1) << bit;
	}
	return start + row * frame->pitch;
}

/* One unit of four plane bytes as 8 pixels of 4 bits: by planes, or two bits a pixel (CGA). */
static void unpack_unit(const uint8_t *bytes, bool interleaved, uint8_t ret[8])
{
	for (unsigned int i = 0; i < 8; i++) {
		if (interleaved) {
			unsigned int plane = i / 4, shift = 6 - 2 * (i % 4);

			ret[i] = (uint8_t)((bytes[plane] >> shift & 3) |
					   (bytes[plane + 2] >> shift & 3) << 2);
		} else {
			unsigned int shift = 7 - i;

			ret[i] = (uint8_t)((bytes[0] >> shift & 1) | (bytes[1] >> shift & 1) << 1 |
					   (bytes[2] >> shift & 1) << 2 |
					   (bytes[3] >> shift & 1) << 3);
		}
	}
}

static void draw_planar_line(const struct vga *vga, uint32_t y, uint32_t *pixels)
{
	const struct vga_frame *frame = &vga->frame;
	uint32_t offset = line_offset(frame, y);
	uint8_t unit[8];

	for (uint32_t x = 0; x < frame->width; x++) {
		uint32_t at = x + frame->panning;

		if (x == 0 || at % 8 == 0) {
			uint64_t index = 4 * (uint64_t)(offset + at / 8) % vga->vram->size;

			unpack_unit(vga->vram->host + index, frame->shift_mode & 1, unit);
		}
		pixels[x] = frame->palette[frame->attribute[unit[at % 8]]];
	}
}

static void draw_packed_line(const struct vga *vga, uint32_t y, uint32_t *pixels)
{
	const struct vga_frame *frame = &vga->frame;
	uint64_t base = 4 * (uint64_t)line_offset(frame, y) + frame->panning / 2;

	for (uint32_t x = 0; x < frame->width; x++) {
		pixels[x] = frame->palette[vga->vram->host[(base + x) % vga->vram->size]];
	}
}

static uint32_t expand(uint32_t value, unsigned int bits)
{
	return bits == 5 ? value << 3 | value >> 2 : value << 2 | value >> 4;
}

static uint32_t vbe_pixel(const struct vga_frame *frame, const uint8_t *p)
{
	uint16_t v;

	if (frame->bpp == 8) {
		return frame->palette[p[0]];
	}
	v = load_le16(p);
	switch (frame->bpp) {
	case 15:
		return expand(v >> 10 & 31, 5) << 16 | expand(v >> 5 & 31, 5) << 8 |
		       expand(v & 31, 5);
	case 16:
		return expand(v >> 11 & 31, 5) << 16 | expand(v >> 5 & 63, 6) << 8 |
		       expand(v & 31, 5);
	default: return (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
	}
}

static void draw_vbe_line(const struct vga *vga, uint32_t y, uint32_t *pixels)
{
	const struct vga_frame *frame = &vga->frame;
	uint32_t bytes = (frame->bpp + 7) / 8;
	uint64_t at = frame->start + (uint64_t)y * frame->pitch;
	const uint8_t *p = vga->vram->host + at;

	if (at + (uint64_t)frame->width * bytes > vga->vram->size) {
		memset(pixels, 0, (size_t)frame->width * 4);
		return;
	}
	for (uint32_t x = 0; x < frame->width; x++, p += bytes) {
		pixels[x] = vbe_pixel(frame, p);
	}
}

static void draw_line(const struct vga *vga, uint32_t y, struct display_surface *surface)
{
	uint32_t *pixels = (uint32_t *)((uint8_t *)surface->pixels + (size_t)y * surface->stride);

	switch (vga->frame.kind) {
	case VGA_PLANAR: draw_planar_line(vga, y, pixels); break;
	case VGA_PACKED: draw_packed_line(vga, y, pixels); break;
	case VGA_VBE: draw_vbe_line(vga, y, pixels); break;
	default: memset(pixels, 0, (size_t)surface->width * 4); break;
	}
}

/* Whether a page that line @y shows was written. */
static bool line_dirty(const struct vga *vga, uint32_t y)
{
	const struct vga_frame *frame = &vga->frame;
	uint64_t first, last;

	if (frame->kind == VGA_VBE) {
		first = frame->start + (uint64_t)y * frame->pitch;
		last = first + (uint64_t)frame->width * ((frame->bpp + 7) / 8);
	} else {
		first = 4 * (uint64_t)line_offset(frame, y);
		last = first + 4 * ((uint64_t)frame->width / 4 + 2);
	}
	first %= vga->vram->size;
	last = MIN(last, vga->vram->size - 1);
	for (uint64_t page = first >> GUEST_PAGE_SHIFT; page <= last >> GUEST_PAGE_SHIFT; page++) {
		if (vga->dirty[page / 64] >> (page % 64) & 1) {
			return true;
		}
	}
	return false;
}

static void draw_lines(struct vga *vga, struct display_surface *surface, bool all)
{
	struct display_rect rect = { 0, 0, surface->width, 0 };

	for (uint32_t y = 0; y <= surface->height; y++) {
		bool draw = y < surface->height && (all || line_dirty(vga, y));

		if (draw) {
			draw_line(vga, y, surface);
			rect.y = rect.height ? rect.y : y;
			rect.height++;
		} else if (rect.height) {
			display_damage(vga->pci.dev.env.display, &rect);
			rect.height = 0;
		}
	}
}

void vga_update_locked(struct vga *vga)
{
	struct display *display = vga->pci.dev.env.display;
	struct display_surface *surface;
	struct vga_frame frame;
	bool all, written;

	written = mem_region_collect_dirty(vga->pci.dev.env.memory, vga->vram, MEM_DIRTY_DISPLAY, 0,
					   vga->vram->size, vga->dirty);
	read_frame(vga, &frame);
	if (frame.kind == VGA_TEXT) {
		frame.glyphs = written ? vga_hash_fonts(vga, &frame) : vga->frame.glyphs;
	}
	all = vga->redraw || memcmp(&frame, &vga->frame, sizeof(frame)) != 0;
	memcpy(&vga->frame, &frame, sizeof(frame));
	display_lock(display);
	if (frame.kind == VGA_BLANK) {
		surface = display_surface(display);
		all = all && surface;
	} else if (display_resize(display, frame.width, frame.height, &surface) < 0) {
		display_unlock(display);
		return;
	}
	vga->redraw = false;
	if (frame.kind == VGA_TEXT) {
		vga_draw_text(vga, surface, all);
	} else if (all || (written && frame.kind != VGA_BLANK)) {
		draw_lines(vga, surface, all);
	}
	display_unlock(display);
}
