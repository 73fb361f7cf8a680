/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_DISPLAY_VGA_H
#define LIMEN_DEVICES_DISPLAY_VGA_H

/*
 * The VGA from inside. Its memory is 4 planes of bytes; they are stored interleaved, the byte of
 * plane P at planar offset N being vram[4 * N + P], so that the linear modes (chained 256 colours,
 * VBE) see the same memory as plain bytes.
 *
 * vga.c is the device, vga_ports.c its registers, vga_window.c the memory at A0000h, vga_vbe.c the
 * Bochs VBE registers, vga_draw.c the picture, with vga_text.c for text.
 */

#include "bus/pci.h"
#include "display/display.h"

#define VGA_VRAM_DEFAULT MIB(16)
#define VGA_TEXT_COLUMNS_MAX 256
#define VGA_TEXT_ROWS_MAX 128

enum vga_vbe_register {
	VBE_ID,
	VBE_XRES,
	VBE_YRES,
	VBE_BPP,
	VBE_ENABLE,
	VBE_BANK,
	VBE_VIRT_WIDTH,
	VBE_VIRT_HEIGHT,
	VBE_X_OFFSET,
	VBE_Y_OFFSET,
	VBE_VRAM_64K,
	VBE_REGISTERS,
};

#define VBE_ENABLED 0x01
#define VBE_GETCAPS 0x02
#define VBE_8BIT_DAC 0x20
#define VBE_LFB 0x40
#define VBE_NOCLEAR 0x80

enum vga_kind {
	VGA_BLANK,
	VGA_TEXT,
	VGA_PLANAR, /* 16 colours, and 4 or 2 as CGA had them */
	VGA_PACKED, /* 256 colours, chained or not */
	VGA_VBE,    /* Bochs VBE, 8 to 32 bits */
};

/**
 * struct vga_frame - all that the picture depends on beside the memory; a change means drawing anew
 */
struct vga_frame {
	enum vga_kind kind;
	uint32_t width, height;
	uint32_t start;	 /* planar offset, or byte for VBE */
	uint32_t pitch;	 /* likewise, of a line */
	uint32_t repeat; /* scan lines of each row of pixels or characters */
	uint32_t line_compare;
	uint32_t bpp;
	uint32_t cell_width;
	uint32_t columns, rows;
	uint8_t interleave_bits; /* CRTC mode: row scan bits 0, 1 replace address bits */
	uint8_t shift_mode;	 /* GC mode bits 6-5 */
	uint8_t panning;
	bool word_mode;
	bool blink;
	bool double_pixels;
	uint8_t font[2]; /* map select */
	uint8_t cursor_start, cursor_end;
	uint64_t glyphs;       /* hash of the fonts in use */
	uint32_t palette[256]; /* by DAC index */
	uint8_t attribute[16]; /* colour number to DAC index */
};

struct vga {
	struct pci_device pci;
	struct io_region ports;
	struct io_region mono_ports;
	struct io_region color_ports;
	struct io_region vbe_ports;
	struct io_region window;
	struct io_region mmio;
	struct mem_region *vram;
	struct mem_region *rom;

	uint8_t misc;
	uint8_t feature;
	uint8_t sequencer_index, sequencer[8];
	uint8_t graphics_index, graphics[16];
	uint8_t crtc_index, crtc[32];
	uint8_t attribute_index, attribute[32];
	bool attribute_flip_flop;
	uint8_t dac_mask, dac_state, dac_read_index, dac_write_index, dac_component;
	uint8_t dac[768];
	uint8_t latch[4];
	uint16_t vbe_index;
	uint16_t vbe[VBE_REGISTERS];

	/* What is on the surface; not saved, rebuilt by drawing. */
	struct vga_frame frame;
	bool redraw;
	uint32_t cells[VGA_TEXT_ROWS_MAX * VGA_TEXT_COLUMNS_MAX];
	uint64_t *dirty; /* a bit a page of vram */
};

/* vga_ports.c */
extern const struct io_ops vga_port_ops;  /* 3c0h-3cfh */
extern const struct io_ops vga_mono_ops;  /* 3b0h-3bfh */
extern const struct io_ops vga_color_ops; /* 3d0h-3dfh */
void vga_ports_reset(struct vga *vga);
uint8_t vga_port_read(struct vga *vga, uint16_t port);
void vga_port_write(struct vga *vga, uint16_t port, uint8_t value);

/* vga_vbe.c */
extern const struct io_ops vga_vbe_ops;	 /* 1ceh-1d1h */
extern const struct io_ops vga_mmio_ops; /* BAR 2 */
void vga_vbe_reset(struct vga *vga);
static inline bool vga_vbe_enabled(const struct vga *vga)
{
	return vga->vbe[VBE_ENABLE] & VBE_ENABLED;
}
uint32_t vga_vbe_pitch(const struct vga *vga);
static inline bool vga_vbe_depth_valid(unsigned int bits)
{
	return bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

/* vga_window.c */
extern const struct io_ops vga_window_ops; /* a0000h-bffffh */

/* vga_draw.c, vga_text.c: device lock held */
void vga_update_locked(struct vga *vga);
void vga_draw_text(struct vga *vga, struct display_surface *surface, bool all);
uint64_t vga_hash_fonts(const struct vga *vga, const struct vga_frame *frame);

/** vga_cursor_offset() - planar offset of the text cursor; vga_blink_on() - phase of blinking. */
uint32_t vga_cursor_offset(const struct vga *vga);
bool vga_blink_on(const struct vga *vga);

#endif
