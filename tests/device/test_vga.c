/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VGA: the write and read modes of the window, what text, planar, 256-colour and VBE modes show,
 * damage, palettes, registers with limits, saved states.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_machine.h"
#include "display/display.h"

#define WINDOW 0xa0000
#define TEXT 0xb8000

static struct fake_machine *fm;
static struct device *vga;
static struct display *display, *spare;
static uint64_t lfb, mmio;

/* Each machine has a display of its own; the second one is that of the comparisons. */
static void plug(struct fake_machine *machine, struct device_env *env)
{
	env->display = machine == fm ? display : spare;
}

static int set_up(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(display_create(&display, &err), 0);
	assert_int_equal(display_create(&spare, &err), 0);
	fm = fake_machine_create();
	fake_machine_set(fm, "vga", "vga", "memory", "4M");
	fake_machine_set(fm, "vga", "vga", "rom", "/nonexistent");
	vga = fake_machine_create_device(fm, "vga", plug);
	fake_pci_enable(fm, vga);
	lfb = fake_pci_bar(fm, vga, 0);
	mmio = fake_pci_bar(fm, vga, 2);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, vga, NULL);
	fake_machine_destroy(fm);
	display_destroy(display);
	display_destroy(spare);
	return 0;
}

static void seq(uint8_t index, uint8_t value)
{
	fake_outw(fm, 0x3c4, (uint16_t)(value << 8 | index));
}

static void gc(uint8_t index, uint8_t value)
{
	fake_outw(fm, 0x3ce, (uint16_t)(value << 8 | index));
}

static void crtc(uint8_t index, uint8_t value)
{
	fake_outw(fm, 0x3d4, (uint16_t)(value << 8 | index));
}

static void attr(uint8_t index, uint8_t value)
{
	fake_inb(fm, 0x3da);
	fake_outb(fm, 0x3c0, index);
	fake_outb(fm, 0x3c0, value);
}

static void dac(uint8_t index, uint8_t r, uint8_t g, uint8_t b)
{
	fake_outb(fm, 0x3c8, index);
	fake_outb(fm, 0x3c9, r);
	fake_outb(fm, 0x3c9, g);
	fake_outb(fm, 0x3c9, b);
}

/* What a BIOS sets for every mode; then the mode's own registers differ. */
static void mode(uint8_t columns, uint16_t lines, uint8_t max_scan, uint8_t offset,
		 uint8_t crtc_mode)
{
	unsigned int last = lines - 1U;

	fake_outb(fm, 0x3c2, 0x63);
	crtc(0x11, 0);
	crtc(0x01, columns - 1);
	crtc(0x07, (uint8_t)((last >> 8 & 1) << 1 | (last >> 9 & 1) << 6 | 0x10));
	crtc(0x09, max_scan | 0x40);
	crtc(0x0a, 0x20);
	crtc(0x0c, 0);
	crtc(0x0d, 0);
	crtc(0x12, (uint8_t)last);
	crtc(0x13, offset);
	crtc(0x17, crtc_mode);
	crtc(0x18, 0xff);
	seq(1, 0x01);
	seq(2, 0x0f);
	gc(0, 0);
	gc(1, 0);
	gc(3, 0);
	gc(4, 0);
	gc(7, 0x0f);
	gc(8, 0xff);
	for (uint8_t i = 0; i < 16; i++) {
		attr(i, i);
		dac(i, (uint8_t)(i * 4), (uint8_t)(i * 2), i);
	}
	attr(0x12, 0x0f);
	attr(0x13, 0);
	attr(0x14, 0);
	fake_inb(fm, 0x3da);
	fake_outb(fm, 0x3c0, 0x20);
}

static void mode_12h(void)
{
	mode(80, 480, 0, 40, 0xe3);
	seq(4, 0x06);
	gc(5, 0);
	gc(6, 0x05);
	attr(0x10, 0x01);
	fake_outb(fm, 0x3c0, 0x20);
}

static void mode_03h(void)
{
	mode(80, 400, 15, 40, 0xa3);
	seq(4, 0x02);
	gc(5, 0x10);
	gc(6, 0x0e);
	attr(0x10, 0x0c);
	fake_inb(fm, 0x3da);
	fake_outb(fm, 0x3c0, 0x20);
}

static void mode_13h(void)
{
	mode(80, 400, 1, 40, 0xa3);
	seq(4, 0x0e);
	gc(5, 0x40);
	gc(6, 0x05);
	attr(0x10, 0x41);
	fake_outb(fm, 0x3c0, 0x20);
}

static void vbe(uint16_t index, uint16_t value)
{
	fake_outw(fm, 0x1ce, index);
	fake_outw(fm, 0x1cf, value);
}

static uint16_t vbe_get(uint16_t index)
{
	fake_outw(fm, 0x1ce, index);
	return fake_inw(fm, 0x1d0);
}

static uint32_t color(unsigned int i)
{
	return i * 16 << 16 | i * 8 << 8 | i * 4;
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
	const struct display_surface *s = display_surface(display);

	assert_true(x < s->width && y < s->height);
	return s->pixels[y * s->stride / 4 + x];
}

static void expect_size(uint32_t width, uint32_t height)
{
	display_update(display);
	assert_int_equal(display_surface(display)->width, width);
	assert_int_equal(display_surface(display)->height, height);
}

static void poke(uint32_t address, uint8_t value)
{
	fake_mmio_write(fm, address, value, 1);
}

static uint8_t peek(uint32_t address)
{
	return (uint8_t)fake_mmio_read(fm, address, 1);
}

/* The four planes at @offset, plane 0 lowest, without touching the latches' use. */
static uint32_t planes(uint32_t offset)
{
	return load_le32(guest_mem_map(fm->memory, lfb + 4 * offset, 4, false));
}

/* ------- the window ------- */

static void test_write_modes(void **state)
{
	(void)state;
	mode_12h();
	poke(WINDOW, 0xc3);
	assert_int_equal(planes(0), 0xc3c3c3c3);
	seq(2, 0x05);
	poke(WINDOW + 1, 0xff);
	assert_int_equal(planes(1), 0x00ff00ff);
	seq(2, 0x0f);
	gc(0, 0x09); /* set/reset on planes 0-2 */
	gc(1, 0x07);
	poke(WINDOW + 2, 0x55);
	assert_int_equal(planes(2), 0x550000ff);
	gc(1, 0);
	gc(3, 0x04); /* rotate */
	poke(WINDOW + 3, 0x12);
	assert_int_equal(planes(3), 0x21212121);
	gc(3, 0x18); /* exclusive or with the latches, under a mask */
	gc(8, 0x0f);
	peek(WINDOW + 1);
	poke(WINDOW + 1, 0xff);
	assert_int_equal(planes(1), 0x0ff00ff0);
	gc(3, 0x08); /* and */
	gc(8, 0xff);
	peek(WINDOW);
	poke(WINDOW, 0x81);
	assert_int_equal(planes(0), 0x81818181);
	gc(3, 0x10); /* or */
	poke(WINDOW, 0x10);
	assert_int_equal(planes(0), 0xd3d3d3d3);
	gc(3, 0);
	gc(5, 1); /* copy by latches */
	peek(WINDOW + 1);
	poke(WINDOW + 4, 0xee);
	assert_int_equal(planes(4), 0x0ff00ff0);
	gc(5, 2); /* a colour under a mask */
	gc(8, 0xf0);
	peek(WINDOW + 4);
	poke(WINDOW + 4, 0x06);
	assert_int_equal(planes(4), 0x0ff0fff0 & ~0xf0000000U & ~0xf0U);
	gc(5, 3); /* set/reset under mask and data */
	gc(0, 0x0f);
	gc(8, 0x3c);
	peek(WINDOW + 5);
	poke(WINDOW + 5, 0xf0);
	assert_int_equal(planes(5), 0x30303030);
}

static void test_read_modes(void **state)
{
	(void)state;
	mode_12h();
	for (uint8_t i = 0; i < 4; i++) {
		seq(2, (uint8_t)(1 << i));
		poke(WINDOW, (uint8_t)(0x11 << i));
	}
	for (uint8_t i = 0; i < 4; i++) {
		gc(4, i);
		assert_int_equal(peek(WINDOW), 0x11 << i);
	}
	gc(5, 8); /* where is colour 2? */
	gc(2, 2);
	assert_int_equal(peek(WINDOW), 0x22);
	gc(7, 0x0d); /* plane 1 does not matter */
	assert_int_equal(peek(WINDOW), 0x22);
	gc(2, 0);
	assert_int_equal(peek(WINDOW), 0x22);
	gc(7, 0);
	assert_int_equal(peek(WINDOW), 0xff);
}

static void test_window_maps(void **state)
{
	(void)state;
	mode_12h();
	poke(0xb0000, 1);
	poke(TEXT, 2);
	assert_int_equal(planes(0), 0);
	assert_int_equal(peek(0xb0000), 0xff);
	gc(6, 0x0d);
	poke(TEXT, 2);
	assert_int_equal(planes(0), 0x02020202);
	gc(6, 0x09);
	poke(0xb0000, 3);
	assert_int_equal(planes(0), 0x03030303);
	gc(6, 0x01);
	poke(0xb0001, 4);
	assert_int_equal(planes(0x10001), 0x04040404);
	fake_mmio_write(fm, WINDOW + 8, 0x4433221144332211, 8);
	assert_int_equal(planes(9), 0x22222222);
	assert_int_equal(fake_mmio_read(fm, WINDOW + 9, 4), 0x11443322);
}

/* ------- pictures ------- */

static void test_text(void **state)
{
	static const uint8_t glyph[16] = { 0x80, 0x01, 0x3c };

	(void)state;
	mode_03h();
	/* The glyph of 'A' into plane 2. */
	seq(2, 0x04);
	seq(4, 0x06);
	gc(5, 0);
	gc(6, 0x04);
	for (uint32_t i = 0; i < 16; i++) {
		poke(WINDOW + 'A' * 32 + i, glyph[i]);
	}
	mode_03h();
	seq(2, 0x03);
	fake_mmio_write(fm, TEXT + 2 * (80 * 2 + 3), 0x1e41, 2); /* row 2, column 3 */
	assert_int_equal(fake_mmio_read(fm, TEXT + 2 * (80 * 2 + 3), 2), 0x1e41);
	expect_size(640, 400);
	assert_int_equal(pixel(24, 32), color(14));
	assert_int_equal(pixel(25, 32), color(1));
	assert_int_equal(pixel(31, 33), color(14));
	assert_int_equal(pixel(26, 34), color(14));
	assert_int_equal(pixel(25, 34), color(1));
	assert_int_equal(pixel(24, 35), color(1));
	assert_int_equal(pixel(32, 32), color(0));
	/* A changed glyph shows, as does another page. */
	seq(2, 0x04);
	seq(4, 0x06);
	gc(5, 0);
	gc(6, 0x04);
	poke(WINDOW + 'A' * 32, 0);
	mode_03h();
	expect_size(640, 400);
	assert_int_equal(pixel(24, 32), color(1));
	crtc(0x0d, 160);
	expect_size(640, 400);
	assert_int_equal(pixel(31, 1), color(14));
	/* Nine dots: the ninth is background, but for line drawing characters. */
	seq(1, 0);
	crtc(0x0d, 0);
	expect_size(720, 400);
	assert_int_equal(pixel(3 * 9 + 7, 33), color(14));
	assert_int_equal(pixel(3 * 9 + 8, 33), color(1));
}

static void test_text_cursor_and_blink(void **state)
{
	(void)state;
	mode_03h();
	seq(2, 0x03);
	fake_mmio_write(fm, TEXT + 10, 0x0720, 2);
	crtc(0x0a, 13);
	crtc(0x0b, 14);
	crtc(0x0f, 5);
	expect_size(640, 400);
	assert_int_equal(pixel(40, 12), color(0));
	assert_int_equal(pixel(40, 13), color(7));
	assert_int_equal(pixel(47, 14), color(7));
	assert_int_equal(pixel(40, 15), color(0));
	assert_int_equal(pixel(48, 13), color(0));
	fake_machine_advance(fm, NS_PER_S / 4);
	display_update(display);
	assert_int_equal(pixel(40, 13), color(0));
	crtc(0x0a, 0x2d);
	fake_machine_advance(fm, NS_PER_S / 4);
	display_update(display);
	assert_int_equal(pixel(40, 13), color(0));
	fake_mmio_write(fm, TEXT + 10, 0xa720, 2); /* eight backgrounds while blinking */
	display_update(display);
	assert_int_equal(pixel(40, 0), color(2));
	attr(0x10, 0x04);
	fake_outb(fm, 0x3c0, 0x20);
	display_update(display);
	assert_int_equal(pixel(40, 0), color(10));
}

static void test_planar(void **state)
{
	(void)state;
	mode_12h();
	seq(2, 0x0a);
	poke(WINDOW + 80 * 3 + 1, 0x81);
	expect_size(640, 480);
	assert_int_equal(pixel(8, 3), color(10));
	assert_int_equal(pixel(9, 3), color(0));
	assert_int_equal(pixel(15, 3), color(10));
	assert_int_equal(pixel(8, 4), color(0));
	attr(10, 5); /* by the palette */
	attr(0x13, 1);
	fake_outb(fm, 0x3c0, 0x20);
	display_update(display);
	assert_int_equal(pixel(7, 3), color(5));
	attr(0x13, 0);
	fake_outb(fm, 0x3c0, 0x20);
	crtc(0x07, 0x02); /* line compare: the picture begins anew at line 256 */
	crtc(0x09, 0);
	display_update(display);
	assert_int_equal(pixel(8, 259), color(5));
	seq(1, 0x21); /* screen off */
	expect_size(640, 480);
	assert_int_equal(pixel(8, 3), 0);
}

static void test_256_colours(void **state)
{
	(void)state;
	mode_13h();
	dac(200, 63, 0, 63);
	poke(WINDOW + 320 * 7 + 5, 200);
	poke(WINDOW + 320 * 199 + 319, 200);
	expect_size(320, 200);
	assert_int_equal(pixel(5, 7), 0xfc00fc);
	assert_int_equal(pixel(319, 199), 0xfc00fc);
	assert_int_equal(pixel(6, 7), color(0));
	assert_int_equal(peek(WINDOW + 320 * 7 + 5), 200);
	/* Unchained: plane 2 of offset 20 is pixel 82. */
	seq(4, 0x06);
	seq(2, 0x04);
	poke(WINDOW + 20, 9);
	display_update(display);
	assert_int_equal(pixel(82, 0), color(9));
	assert_int_equal(pixel(81, 0), color(0));
	fake_outb(fm, 0x3c6, 0x0f); /* the mask of DAC indices */
	display_update(display);
	assert_int_equal(pixel(5, 7), color(8));
	fake_outb(fm, 0x3c7, 200);
	assert_int_equal(fake_inb(fm, 0x3c9), 63);
	assert_int_equal(fake_inb(fm, 0x3c9), 0);
	assert_int_equal(fake_inb(fm, 0x3c9), 63);
}

static void test_cga(void **state)
{
	(void)state;
	mode(40, 400, 0x81, 20, 0xa2);
	seq(4, 0x02);
	gc(5, 0x30);
	gc(6, 0x0f);
	attr(0x10, 0x01);
	fake_outb(fm, 0x3c0, 0x20);
	seq(2, 0x03);
	poke(TEXT, 0x1b);	   /* 0 1 2 3 */
	poke(TEXT + 1, 0xe4);	   /* 3 2 1 0 */
	poke(TEXT + 0x2000, 0xff); /* line 1 */
	poke(TEXT + 80, 0xaa);	   /* line 2 */
	expect_size(320, 200);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(pixel(i, 0), color(i));
		assert_int_equal(pixel(4 + i, 0), color(3 - i));
		assert_int_equal(pixel(i, 1), color(3));
		assert_int_equal(pixel(i, 2), color(2));
	}
}

/* ------- VBE ------- */

struct watcher {
	struct display_listener listener;
	unsigned int resizes, damages;
	struct display_rect last;
};

static void watch_surface(struct display_listener *l, const struct display_surface *surface)
{
	(void)surface;
	container_of(l, struct watcher, listener)->resizes++;
}

static void watch_damage(struct display_listener *l, const struct display_rect *rect)
{
	struct watcher *w = container_of(l, struct watcher, listener);

	w->damages++;
	w->last = *rect;
}

static void test_vbe_32(void **state)
{
	struct watcher w = { .listener = { .surface_changed = watch_surface,
					   .damaged = watch_damage } };

	(void)state;
	display_add_listener(display, &w.listener);
	assert_int_equal(vbe_get(0), 0xb0c5);
	assert_int_equal(vbe_get(10), 64);
	vbe(1, 640);
	vbe(2, 480);
	vbe(3, 32);
	vbe(4, 0x41);
	guest_mem_write_u32(fm->memory, lfb + (640 * 10 + 20) * 4, 0xff123456);
	expect_size(640, 480);
	assert_int_equal(w.resizes, 1);
	assert_int_equal(pixel(20, 10), 0x123456);
	w.damages = 0;
	display_update(display);
	assert_int_equal(w.damages, 0);
	guest_mem_write_u32(fm->memory, lfb + 640 * 4 * 32, 0x00abcdef); /* page 20 */
	display_update(display);
	assert_int_equal(w.damages, 1);
	assert_true(w.last.y <= 32 && w.last.y + w.last.height > 32 && w.last.height < 5);
	assert_int_equal(pixel(0, 32), 0xabcdef);
	/* Page flipping and panning. */
	vbe(6, 800);
	assert_int_equal(vbe_get(7), MIB(4) / 3200);
	vbe(8, 160);
	vbe(9, 100);
	guest_mem_write_u32(fm->memory, lfb + (800 * 101 + 162) * 4, 0x00777777);
	display_update(display);
	assert_int_equal(pixel(2, 1), 0x777777);
	vbe(8, 161); /* no further */
	assert_int_equal(vbe_get(8), 160);
	vbe(6, 640); /* what no longer fits is taken back */
	assert_int_equal(vbe_get(8), 0);
	vbe(9, 1000);
	vbe(6, 0xffff);
	assert_int_equal(vbe_get(9), 0);
	assert_int_equal(vbe_get(6), MIB(4) / 4 / 480);
	display_update(display);
	display_remove_listener(display, &w.listener);
}

static void test_vbe_depths(void **state)
{
	uint8_t *memory = guest_mem_map(fm->memory, lfb, MIB(4), true);

	(void)state;
	vbe(1, 16);
	vbe(2, 4);
	vbe(3, 16);
	vbe(4, 0x41);
	store_le16(memory, 0xf81f);
	expect_size(16, 4);
	assert_int_equal(pixel(0, 0), 0xff00ff);
	vbe(4, 0);
	vbe(3, 15);
	vbe(4, 0xc1);
	store_le16(memory, 0x7fe0);
	guest_mem_written(fm->memory, lfb, 2);
	display_update(display);
	assert_int_equal(pixel(0, 0), 0xffff00);
	vbe(4, 0);
	vbe(3, 24);
	vbe(4, 0xc1);
	memcpy(memory + 3, "\x01\x02\x03", 3);
	guest_mem_written(fm->memory, lfb, 6);
	display_update(display);
	assert_int_equal(pixel(1, 0), 0x030201);
	vbe(4, 0);
	vbe(3, 8);
	vbe(4, 0xe1); /* with a DAC of 8 bits */
	dac(7, 0xff, 0x80, 0x01);
	memory[0] = 7;
	guest_mem_written(fm->memory, lfb, 1);
	display_update(display);
	assert_int_equal(pixel(0, 0), 0xff8001);
	vbe(4, 0);
	vbe(3, 9);
	assert_int_equal(vbe_get(3), 8);
}

/* The last line of the memory is shown too, and nothing behind it. */
static void test_vbe_end_of_memory(void **state)
{
	uint8_t *memory = guest_mem_map(fm->memory, lfb, MIB(4), true);

	(void)state;
	dac(3, 63, 63, 63);
	vbe(1, 1024);
	vbe(2, 768);
	vbe(3, 8);
	vbe(4, 0x41);
	vbe(9, 4096 - 768);
	assert_int_equal(vbe_get(9), 4096 - 768);
	memory[MIB(4) - 1] = 3;
	guest_mem_written(fm->memory, lfb + MIB(4) - 1, 1);
	expect_size(1024, 768);
	assert_int_equal(pixel(1023, 767), 0xfcfcfc);
}

static void test_vbe_limits_and_bank(void **state)
{
	(void)state;
	vbe(4, 0x02);
	assert_int_equal(vbe_get(1), 2560);
	assert_int_equal(vbe_get(2), 1600);
	assert_int_equal(vbe_get(3), 32);
	vbe(4, 0);
	vbe(1, 0xffff);
	vbe(2, 0xffff);
	vbe(3, 32);
	vbe(4, 0x41);
	assert_int_equal(vbe_get(1), 2560);
	assert_int_equal(vbe_get(2), 400);
	expect_size(2560, 400);
	vbe(1, 640); /* not while it is on */
	assert_int_equal(vbe_get(1), 2560);
	vbe(5, 3);
	fake_mmio_write(fm, WINDOW + 0x10, 0xa1b2c3d4, 4);
	assert_int_equal(planes((3 * 65536 + 0x10) / 4), 0xa1b2c3d4);
	vbe(5, 0xffff);
	fake_mmio_write(fm, WINDOW + 0x1fffc, 1, 4);
	vbe(4, 0);
	vbe(1, 0);
	vbe(2, 0);
	vbe(4, 0x41);
	assert_int_equal(vbe_get(1), 8);
	assert_int_equal(vbe_get(2), 1);
	expect_size(8, 1);
}

static void test_mmio_registers(void **state)
{
	(void)state;
	fake_outb(fm, 0x3c2, 0x01);
	fake_mmio_write(fm, mmio + 0x502, 320, 2);
	assert_int_equal(vbe_get(1), 320);
	assert_int_equal(fake_mmio_read(fm, mmio + 0x500, 2), 0xb0c5);
	fake_mmio_write(fm, mmio + 0x404, 0x0302, 2);
	fake_outb(fm, 0x3c4, 2);
	assert_int_equal(fake_inb(fm, 0x3c5), 3);
	assert_int_equal(fake_mmio_read(fm, mmio + 0x404, 2), 0x0302);
	assert_int_equal(fake_mmio_read(fm, mmio + 0xffc, 4), 0);
	/* The CRTC moves with the misc register. */
	fake_outw(fm, 0x3d4, 0x550c);
	assert_int_equal(fake_inb(fm, 0x3d5), 0x55);
	fake_outb(fm, 0x3c2, 0);
	assert_int_equal(fake_inb(fm, 0x3d5), 0xff);
	assert_int_equal(fake_inb(fm, 0x3b5), 0x55);
	fake_outb(fm, 0x3c2, 1);
	crtc(0x01, 0x4f);
	crtc(0x11, 0x80);
	crtc(0x01, 0x11);
	fake_outb(fm, 0x3d4, 1);
	assert_int_equal(fake_inb(fm, 0x3d5), 0x4f);
}

/* ------- saved state ------- */

static void expect_refused(const char *field, size_t offset, uint8_t value)
{
	struct fake_image image;
	struct error err = { 0 };

	vbe(1, 640);
	vbe(2, 480);
	vbe(3, 32);
	vbe(4, 0x41);
	fake_state_save(vga, &image);
	assert_int_equal(fake_state_load(vga, &image, &err), 0);
	fake_image_field(&image, field)[offset] = value;
	assert_int_equal(fake_state_load(vga, &image, &err), -EINVAL);
	fake_image_finish(&image);
	device_reset(vga, RESET_COLD);
}

static void test_states_that_could_not_be(void **state)
{
	(void)state;
	expect_refused("sequencer_index", 0, 8);
	expect_refused("graphics_index", 0, 16);
	expect_refused("crtc_index", 0, 32);
	expect_refused("dac_component", 0, 3);
	expect_refused("graphics", 4, 4);
	expect_refused("vbe", 2 * 3, 9);
	expect_refused("vbe", 2 * 3, 17);
	expect_refused("vbe", 2 * 1 + 1, 0xff);
	expect_refused("vbe", 2 * 9 + 1, 0xff);
	expect_refused("vbe", 2 * 5, 64);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write_modes),
		TEST(test_read_modes),
		TEST(test_window_maps),
		TEST(test_text),
		TEST(test_text_cursor_and_blink),
		TEST(test_planar),
		TEST(test_256_colours),
		TEST(test_cga),
		TEST(test_vbe_32),
		TEST(test_vbe_depths),
		TEST(test_vbe_end_of_memory),
		TEST(test_vbe_limits_and_bank),
		TEST(test_mmio_registers),
		TEST(test_states_that_could_not_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
