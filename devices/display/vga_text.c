/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text modes: characters from plane 0, attributes from plane 1, glyphs of 32 bytes from plane 2.
 * Each cell is drawn when what it shows has changed: character, attribute, blink phase, cursor.
 *
 * Glyphs share their pages with the cells, so a written page does not tell which of them changed: a
 * hash of the fonts in use is part of struct vga_frame.
 */

#include "vga.h"

#define CELL_CURSOR BIT(16)
#define CELL_HIDDEN BIT(17) /* blinking, in the dark phase */
#define ATTRIBUTE_BLINK 0x80
#define ATTRIBUTE_FONT_B 0x08
#define MODE_LINE_GRAPHICS 0x04

/* Byte offset within plane 2 of the font that map-select value @n (sequencer register 3) names. */
static uint32_t font_base(uint8_t n)
{
	static const uint16_t bases[8] = { 0x0000, 0x4000, 0x8000, 0xc000,
					   0x2000, 0x6000, 0xa000, 0xe000 };

	return bases[n & 7];
}

uint64_t vga_hash_fonts(const struct vga *vga, const struct vga_frame *frame)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (unsigned int f = 0; f < 2; f++) {
		uint32_t base = font_base(frame->font[f]);

		for (uint32_t i = 0; i < 256 * 32; i++) {
			uint64_t at = (4 * (uint64_t)(base + i) + 2) % vga->vram->size;

			hash = (hash ^ vga->vram->host[at]) * UINT64_C(0x100000001b3);
		}
		if (frame->font[0] == frame->font[1]) {
			break;
		}
	}
	return hash;
}

static uint8_t glyph_row(const struct vga *vga, uint32_t cell, uint32_t row)
{
	uint8_t attribute = (uint8_t)(cell >> 8);
	uint32_t base = font_base(vga->frame.font[attribute & ATTRIBUTE_FONT_B ? 1 : 0]);
	uint64_t at = 4 * (uint64_t)(base + (cell & 0xff) * 32 + (row & 31)) + 2;

	return vga->vram->host[at % vga->vram->size];
}

/* Draw one cell with its top left corner at pixel (@x, @y). */
static void draw_cell(const struct vga *vga, struct display_surface *surface, uint32_t cell,
		      uint32_t x, uint32_t y)
{
	const struct vga_frame *frame = &vga->frame;
	uint8_t attribute = (uint8_t)(cell >> 8);
	uint8_t back = attribute >> 4 & (frame->blink ? 7 : 15);
	uint32_t fg = frame->palette[frame->attribute[attribute & 15]];
	uint32_t bg = frame->palette[frame->attribute[back]];
	bool line_char = (cell & 0xe0) == 0xc0 && vga->attribute[0x10] & MODE_LINE_GRAPHICS;

	for (uint32_t row = 0; row < frame->repeat && y + row < surface->height; row++) {
		uint32_t *pixels = (uint32_t *)((uint8_t *)surface->pixels +
						(size_t)(y + row) * surface->stride) +
				   x;
		uint32_t bits = (uint32_t)glyph_row(vga, cell, row) << 1;

		bits |= line_char ? bits >> 1 & 1 : 0;
		if (cell & CELL_HIDDEN) {
			bits = 0;
		}
		if (cell & CELL_CURSOR && row >= frame->cursor_start && row <= frame->cursor_end) {
			bits = 0x1ff;
		}
		for (uint32_t i = 0; i < frame->cell_width; i++) {
			pixels[i] = bits >> (8 - i) & 1 ? fg : bg;
		}
	}
}

static uint32_t read_cell(const struct vga *vga, uint32_t offset, uint32_t cursor, bool blink_on)
{
	const uint8_t *bytes = vga->vram->host + (4 * (uint64_t)offset) % vga->vram->size;
	uint32_t cell = bytes[0] | (uint32_t)bytes[1] << 8;

	if (vga->frame.blink && bytes[1] & ATTRIBUTE_BLINK && !blink_on) {
		cell |= CELL_HIDDEN;
	}
	if (offset == cursor && blink_on) {
		cell |= CELL_CURSOR;
	}
	return cell;
}

void vga_draw_text(struct vga *vga, struct display_surface *surface, bool all)
{
	const struct vga_frame *frame = &vga->frame;
	uint32_t cursor = vga_cursor_offset(vga);
	bool blink_on = vga_blink_on(vga);

	for (uint32_t r = 0; r < frame->rows; r++) {
		uint32_t first = frame->columns, last = 0;

		for (uint32_t c = 0; c < frame->columns; c++) {
			uint32_t offset = (frame->start + r * frame->pitch + c) & 0xffff;
			uint32_t cell = read_cell(vga, offset, cursor, blink_on);
			uint32_t *shown = &vga->cells[r * VGA_TEXT_COLUMNS_MAX + c];

			if (!all && *shown == cell) {
				continue;
			}
			*shown = cell;
			draw_cell(vga, surface, cell, c * frame->cell_width, r * frame->repeat);
			first = MIN(first, c);
			last = c;
		}
		if (first <= last && first < frame->columns) {
			const struct display_rect rect = { first * frame->cell_width,
							   r * frame->repeat,
							   (last - first + 1) * frame->cell_width,
							   frame->repeat };

			display_damage(vga->pci.dev.env.display, &rect);
		}
	}
}
