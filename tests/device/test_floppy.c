/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floppy controller: the reset that drivers wait for, every command, data by DMA and without, what
 * cannot be read or written, the change line, a reset in the middle of a command, saved states.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_block.h"

#define IRQ 6
#define BUFFER 0x20000
#define SIZE_1440 1474560

#define DOR 0x3f2
#define MSR 0x3f4
#define FIFO 0x3f5
#define CCR 0x3f7

static struct fake_machine *fm;
static struct device *fdc;
static struct fake_disk disk;

static void plug(struct fake_machine *machine, struct device_env *env)
{
	env->peer[0] = fake_machine_create_device(machine, "isa-dma", NULL);
	env->drives[0] = disk.block;
}

static void make(size_t size, bool readonly)
{
	fm = fake_machine_create();
	fake_disk_open(&disk, size, readonly);
	if (size) {
		fake_disk_number(&disk);
	}
	fdc = fake_machine_create_device(fm, "floppy", plug);
}

static void unmake(void)
{
	fake_machine_check_device(fm, fdc, NULL);
	fake_machine_destroy(fm);
	fake_disk_close(&disk);
}

static bool irq(void)
{
	return fm->lines[IRQ].level;
}

static void put(unsigned int count, const uint8_t *bytes)
{
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(fake_inb(fm, MSR) & 0xc0, 0x80);
		fake_outb(fm, FIFO, bytes[i]);
	}
	fake_disk_wait(&disk);
}

#define PUT(...) put(sizeof((uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ })

static void expect(unsigned int count, const uint8_t *bytes)
{
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(fake_inb(fm, MSR), 0xd0);
		assert_int_equal(fake_inb(fm, FIFO), bytes[i]);
	}
	assert_int_equal(fake_inb(fm, MSR), 0x80);
	assert_false(irq());
}

#define EXPECT(...) expect(sizeof((uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ })

/* As a BIOS brings the controller up, for the data rate of 1.44 MB disks. */
static void bring_up(void)
{
	fake_outb(fm, DOR, 0x00);
	assert_int_equal(fake_inb(fm, MSR), 0);
	fake_outb(fm, DOR, 0x1c);
	assert_true(irq());
	for (uint8_t i = 0; i < 4; i++) {
		PUT(0x08);
		EXPECT(0xc0 | i, 0);
	}
	PUT(0x08);
	EXPECT(0x80);
	fake_outb(fm, CCR, 0);
	PUT(0x03, 0xaf, 0x02);
}

static void seek(uint8_t track)
{
	PUT(0x0f, 0x00, track);
	assert_true(irq());
	PUT(0x08);
	EXPECT(0x20, track);
}

/* Program DMA channel 2; @mode 46h: to memory, 4Ah: from memory. */
static void dma(uint8_t mode, size_t size)
{
	fake_outb(fm, 0x0a, 0x06);
	fake_outb(fm, 0x0c, 0);
	fake_outb(fm, 0x0b, mode);
	fake_outb(fm, 0x04, BUFFER & 0xff);
	fake_outb(fm, 0x04, BUFFER >> 8 & 0xff);
	fake_outb(fm, 0x81, BUFFER >> 16);
	fake_outb(fm, 0x05, (size - 1) & 0xff);
	fake_outb(fm, 0x05, (size - 1) >> 8);
	fake_outb(fm, 0x0a, 0x02);
}

static uint8_t *ram(void)
{
	return fake_ram(fm, BUFFER, 0x10000);
}

static void test_reset_and_identity(void **state)
{
	make(SIZE_1440, false);
	assert_int_equal(fake_inb(fm, MSR), 0);
	fake_outb(fm, FIFO, 0x10); /* dropped: in reset */
	bring_up();
	PUT(0x10);
	EXPECT(0x90);
	PUT(0x18); /* PART ID is of later chips */
	EXPECT(0x80);
	PUT(0x13, 0x00, 0x57, 0x11);
	PUT(0x94);
	EXPECT(0x10);
	PUT(0x12, 0x87);
	PUT(0x0e);
	EXPECT(0, 0, 0, 0, 0xaf, 0x02, 0, 0x87, 0x57, 0x11);
	fake_outb(fm, MSR, 0x80); /* reset by DSR keeps what is locked */
	assert_true(irq());
	fake_outb(fm, DOR, 0x14); /* the gate hides the interrupt */
	assert_false(irq());
	fake_outb(fm, DOR, 0x1c);
	assert_true(irq());
	PUT(0x0e);
	EXPECT(0, 0, 0, 0, 0xaf, 0x02, 0, 0x84, 0x07, 0x11);
	PUT(0x14);
	EXPECT(0x00);
	fake_outb(fm, MSR, 0x80);
	PUT(0x0e);
	EXPECT(0, 0, 0, 0, 0xaf, 0x02, 0, 0x04, 0x20, 0);
	unmake();
}

static void test_seek(void **state)
{
	make(SIZE_1440, true);
	bring_up();
	seek(5);
	PUT(0xcf, 0x00, 3); /* relative, inwards */
	PUT(0x08);
	EXPECT(0x20, 8);
	PUT(0x8f, 0x00, 100);
	PUT(0x08);
	EXPECT(0x20, 0);
	PUT(0x04, 0x04);
	EXPECT(0x7c);
	seek(1);
	PUT(0x04, 0x00);
	EXPECT(0x68);
	PUT(0x07, 0x00);
	assert_true(irq());
	PUT(0x08);
	EXPECT(0x20, 0);
	PUT(0x07, 0x01); /* no drive there */
	PUT(0x08);
	EXPECT(0x71, 0);
	unmake();
}

static void test_two_seeks_have_two_interrupts(void **state)
{
	unsigned int edges;

	make(SIZE_1440, false);
	bring_up();
	PUT(0x0f, 0x00, 3);
	PUT(0x0f, 0x01, 4);
	edges = fm->lines[IRQ].edges;
	PUT(0x08);
	assert_int_equal(fm->lines[IRQ].edges, edges + 1);
	assert_int_equal(fake_inb(fm, FIFO), 0x20);
	assert_int_equal(fake_inb(fm, FIFO), 3);
	PUT(0x08);
	EXPECT(0x21, 0);
	unmake();
}

static void test_read_by_dma(void **state)
{
	make(SIZE_1440, false);
	bring_up();
	seek(2);
	/* Terminal count within the track: the next sector is named. */
	dma(0x46, 1024);
	PUT(0xe6, 0x00, 2, 0, 3, 2, 18, 0x1b, 0xff);
	assert_true(irq());
	EXPECT(0x00, 0, 0, 2, 0, 5, 2);
	assert_int_equal(load_le32(ram()), 2 * 36 + 2);
	assert_int_equal(load_le32(ram() + 512), 2 * 36 + 3);
	assert_int_equal(load_le32(ram() + 1024), 0);
	/* Over to the second side, to its very end. */
	dma(0x46, 20 * 512);
	PUT(0xe6, 0x00, 2, 0, 17, 2, 18, 0x1b, 0xff);
	EXPECT(0x00, 0, 0, 3, 0, 1, 2);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(load_le32(ram() + 512 * i), 2 * 36 + 16 + i);
	}
	/* Part of a sector. */
	memset(ram(), 0xee, 1024);
	dma(0x46, 100);
	PUT(0x46, 0x04, 2, 1, 18, 2, 18, 0x1b, 0xff);
	EXPECT(0x04, 0, 0, 3, 1, 1, 2);
	assert_int_equal(load_le32(ram()), 2 * 36 + 35);
	assert_int_equal(ram()[100], 0xee);
	unmake();
}

static void test_read_ends_without_terminal_count(void **state)
{
	make(SIZE_1440, false);
	bring_up();
	dma(0x46, 0x8000);
	PUT(0x46, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x80, 0, 1, 0, 1, 2);
	/* Sectors that the track does not have. */
	PUT(0x46, 0x00, 0, 0, 18, 2, 30, 0x1b, 0xff);
	EXPECT(0x40, 0x04, 0, 0, 0, 19, 2);
	/* The channel is masked. */
	fake_outb(fm, 0x0a, 0x06);
	PUT(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x10, 0, 0, 0, 1, 2);
	/* DRQ does not get through the gate. */
	dma(0x46, 512);
	fake_outb(fm, DOR, 0x14);
	PUT(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x10, 0, 0, 0, 1, 2);
	unmake();
}

static void test_what_is_not_on_the_disk(void **state)
{
	make(SIZE_1440, false);
	bring_up();
	dma(0x46, 512);
	PUT(0x46, 0x00, 1, 0, 1, 2, 18, 0x1b, 0xff); /* the head is elsewhere */
	EXPECT(0x40, 0x04, 0x10, 1, 0, 1, 2);
	PUT(0x46, 0x00, 0, 1, 1, 2, 18, 0x1b, 0xff); /* another side than selected */
	EXPECT(0x40, 0x04, 0, 0, 1, 1, 2);
	PUT(0x46, 0x00, 0, 0, 19, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x04, 0, 0, 0, 19, 2);
	PUT(0x46, 0x00, 0, 0, 0, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x04, 0, 0, 0, 0, 2);
	PUT(0x46, 0x00, 0, 0, 1, 3, 18, 0x1b, 0xff); /* 1024-byte sectors */
	EXPECT(0x40, 0x04, 0, 0, 0, 1, 2);
	PUT(0x46, 0x02, 0, 0, 1, 2, 18, 0x1b, 0xff); /* no drive */
	EXPECT(0x42, 0x01, 0, 0, 0, 1, 2);
	PUT(0x4c, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff); /* deleted data */
	EXPECT(0x40, 0x04, 0, 0, 0, 1, 2);
	fake_outb(fm, CCR, 2); /* 250 kbit/s */
	PUT(0x4a, 0x00);
	assert_int_equal(fake_inb(fm, FIFO), 0x40);
	assert_int_equal(fake_inb(fm, FIFO), 0x01);
	unmake();
}

static void test_implied_seek_and_ids(void **state)
{
	make(SIZE_1440, false);
	bring_up();
	PUT(0x13, 0x00, 0x4f, 0x00);
	dma(0x46, 512);
	PUT(0xe6, 0x04, 40, 1, 1, 2, 18, 0x1b, 0xff);
	EXPECT(0x04, 0, 0, 40, 1, 2, 2);
	assert_int_equal(load_le32(ram()), 40 * 36 + 18);
	for (unsigned int i = 0; i < 18; i++) {
		PUT(0x4a, 0x04);
		EXPECT(0x04, 0, 0, 40, 1, i + 1, 2);
		fake_machine_advance(fm, NS_PER_S / 5 / 18 + 1);
	}
	PUT(0xf6, 0x00, 40, 0, 1, 2, 18, 0x1b, 0xff); /* VERIFY, both sides */
	EXPECT(0x00, 0, 0, 41, 0, 1, 2);
	PUT(0x56, 0x80, 40, 0, 17, 2, 18, 0x1b, 3);
	EXPECT(0x40, 0x04, 0, 40, 0, 17, 2);
	unmake();
}

static void test_write_by_dma(void **state)
{
	make(SIZE_1440, false);
	bring_up();
	seek(79);
	for (unsigned int i = 0; i < 2048; i++) {
		ram()[i] = (uint8_t)(i * 3 + 1);
	}
	dma(0x4a, 1024);
	PUT(0xc5, 0x00, 79, 0, 18, 2, 18, 0x1b, 0xff);
	EXPECT(0x00, 0, 0, 79, 1, 2, 2);
	assert_memory_equal(disk.data + (79 * 36 + 17) * 512, ram(), 1024);
	assert_int_equal(load_le32(disk.data + (79 * 36 + 19) * 512), 79 * 36 + 19);
	/* A sector that was begun is filled up with zeroes. */
	memset(disk.data + 79 * 36 * 512, 0xee, 1024);
	dma(0x4a, 10);
	PUT(0x45, 0x00, 79, 0, 1, 2, 18, 0x1b, 0xff);
	EXPECT(0x00, 0, 0, 79, 0, 2, 2);
	assert_memory_equal(disk.data + 79 * 36 * 512, ram(), 10);
	assert_int_equal(disk.data[79 * 36 * 512 + 10], 0);
	assert_int_equal(disk.data[79 * 36 * 512 + 512], 0xee);
	unmake();
}

static void test_without_dma(void **state)
{
	struct fake_image image;
	struct error err = { 0 };

	make(SIZE_1440, false);
	bring_up();
	PUT(0x03, 0xaf, 0x03);
	PUT(0x46, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff);
	for (unsigned int i = 0; i < 512; i++) {
		assert_true(irq());
		assert_int_equal(fake_inb(fm, MSR), 0xf0);
		assert_int_equal(fake_inb(fm, FIFO), disk.data[17 * 512 + i]);
	}
	assert_true(irq());
	EXPECT(0x40, 0x80, 0, 1, 0, 1, 2);
	PUT(0x13, 0x00, 0x0f, 0x00); /* FIFO of 16 bytes */
	PUT(0x45, 0x00, 0, 0, 17, 2, 17, 0x1b, 0xff);
	for (unsigned int i = 0; i < 512; i++) {
		assert_int_equal(irq(), i % 16 == 0);
		assert_int_equal(fake_inb(fm, MSR), 0xb0);
		if (i == 300) { /* saved in the middle, and gone on with */
			fake_state_save(fdc, &image);
			device_reset(fdc, RESET_COLD);
			assert_int_equal(fake_state_load(fdc, &image, &err), 0);
			fake_image_finish(&image);
		}
		fake_outb(fm, FIFO, (uint8_t)(i ^ 0x5a));
	}
	fake_disk_wait(&disk);
	EXPECT(0x40, 0x80, 0, 1, 0, 1, 2);
	for (unsigned int i = 0; i < 512; i++) {
		assert_int_equal(disk.data[16 * 512 + i], (uint8_t)(i ^ 0x5a));
	}
	unmake();
}

static void test_format(void **state)
{
	make(SIZE_1440, false);
	bring_up();
	seek(3);
	for (uint8_t i = 0; i < 18; i++) { /* interleaved */
		const uint8_t header[4] = { 3, 1, (uint8_t)(i % 2 * 9 + i / 2 + 1), 2 };

		memcpy(ram() + 4 * i, header, 4);
	}
	dma(0x4a, 18 * 4);
	PUT(0x4d, 0x04, 2, 18, 0x54, 0xf6);
	EXPECT(0x04, 0, 0, 3, 1, 1, 2);
	for (unsigned int i = 0; i < 18 * 512; i++) {
		assert_int_equal(disk.data[(3 * 36 + 18) * 512 + i], 0xf6);
	}
	assert_int_equal(load_le32(disk.data + (4 * 36) * 512), 4 * 36);
	assert_int_equal(load_le32(disk.data + (3 * 36 + 17) * 512), 3 * 36 + 17);
	/* A sector twice, and another kind of track. */
	ram()[2] = 2;
	dma(0x4a, 18 * 4);
	PUT(0x4d, 0x04, 2, 18, 0x54, 0xf6);
	EXPECT(0x44, 0x01, 0, 3, 1, 1, 2);
	PUT(0x4d, 0x04, 2, 9, 0x54, 0xf6);
	EXPECT(0x44, 0x01, 0, 3, 1, 1, 2);
	unmake();
}

static void test_write_protected(void **state)
{
	make(SIZE_1440, true);
	bring_up();
	dma(0x4a, 512);
	PUT(0x45, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x02, 0, 0, 0, 1, 2);
	PUT(0x4d, 0x00, 2, 18, 0x54, 0xf6);
	EXPECT(0x40, 0x02, 0, 0, 0, 1, 2);
	assert_int_equal(load_le32(disk.data), 0);
	unmake();
}

static void test_change_line(void **state)
{
	make(0, false);
	bring_up();
	assert_int_equal(fake_inb(fm, CCR), 0x80);
	seek(1);
	assert_int_equal(fake_inb(fm, CCR), 0x80); /* still no disk */
	PUT(0x46, 0x00, 1, 0, 1, 2, 18, 0x1b, 0xff);
	EXPECT(0x40, 0x01, 0, 1, 0, 1, 2);
	fake_disk_change(&disk, SIZE_1440, true);
	assert_int_equal(fake_inb(fm, CCR), 0x80);
	seek(1);
	assert_int_equal(fake_inb(fm, CCR), 0x80); /* no step */
	seek(0);
	assert_int_equal(fake_inb(fm, CCR), 0);
	fake_disk_change(&disk, SIZE_1440, false);
	assert_int_equal(fake_inb(fm, CCR), 0x80);
	fake_outb(fm, DOR, 0x1d);
	assert_int_equal(fake_inb(fm, CCR), 0); /* no second drive */
	unmake();
}

static void test_formats(void **state)
{
	static const struct {
		size_t size;
		uint8_t rate, track, head, sector;
		unsigned int type;
	} kinds[] = {
		{ 163840, 1, 39, 0, 8, 1 },    { 368640, 2, 39, 1, 9, 1 },
		{ 737280, 2, 79, 1, 9, 4 },    { 1228800, 0, 79, 1, 15, 2 },
		{ 1474560, 0, 79, 1, 18, 4 },  { 1720320, 0, 79, 1, 21, 4 },
		{ 1763328, 0, 81, 1, 21, 4 },  { 2949120, 3, 79, 1, 36, 5 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint8_t head = kinds[i].head, sector = kinds[i].sector, track = kinds[i].track;

		make(kinds[i].size, false);
		assert_int_equal(floppy_drive_type(fdc, 0), kinds[i].type);
		assert_int_equal(floppy_drive_type(fdc, 1), 0);
		bring_up();
		fake_outb(fm, CCR, kinds[i].rate);
		seek(track);
		dma(0x46, 512);
		PUT(0x46, (uint8_t)(head << 2), track, head, sector, 2, sector, 0x1b, 0xff);
		EXPECT((uint8_t)(head << 2), 0, 0, (uint8_t)(track + 1), head, 1, 2);
		assert_int_equal(load_le32(ram()), kinds[i].size / 512 - 1);
		unmake();
	}
}

/* An image that was cut short: zeroes behind its end, and nothing can be written there. */
static void test_short_image(void **state)
{
	make(1000 * 512, false);
	assert_int_equal(floppy_drive_type(fdc, 0), 4);
	bring_up();
	fake_outb(fm, CCR, 2);
	seek(55); /* sectors 990 to 1007 */
	memset(ram(), 0xee, 0x10000);
	dma(0x46, 18 * 512);
	PUT(0xe6, 0x00, 55, 0, 1, 2, 9, 0x1b, 0xff);
	EXPECT(0x00, 0, 0, 56, 0, 1, 2);
	assert_int_equal(load_le32(ram() + 9 * 512), 999);
	assert_int_equal(load_le32(ram() + 10 * 512), 0);
	assert_int_equal(load_le32(ram() + 18 * 512 - 4), 0);
	dma(0x4a, 512);
	PUT(0x45, 0x04, 55, 1, 2, 2, 9, 0x1b, 0xff);
	EXPECT(0x44, 0x20, 0x20, 55, 1, 2, 2);
	unmake();
}

/* A reset while the disk is at work is seen at once and ends with the request. */
static void test_reset_in_flight(void **state)
{
	static const uint8_t command[] = { 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff };

	make(SIZE_1440, false);
	bring_up();
	for (unsigned int round = 0; round < 50; round++) {
		dma(0x46, 18 * 512);
		for (size_t i = 0; i < sizeof(command); i++) {
			fake_outb(fm, FIFO, command[i]);
		}
		fake_outb(fm, DOR, 0x18);
		assert_int_equal(fake_inb(fm, MSR), 0);
		fake_outb(fm, DOR, 0x1c);
		fake_disk_wait(&disk);
		assert_int_equal(fake_inb(fm, MSR), 0x80);
		assert_true(irq());
		PUT(0x08);
		EXPECT(0xc0, 0);
	}
	unmake();
}

static void expect_refused(const char *field, size_t offset, uint8_t value)
{
	struct fake_image image;
	struct error err = { 0 };

	fake_state_save(fdc, &image);
	fake_image_field(&image, field)[offset] = value;
	assert_int_equal(fake_state_load(fdc, &image, &err), -EINVAL);
	assert_non_null(strstr(err.text, "floppy"));
	fake_image_finish(&image);
	device_reset(fdc, RESET_COLD);
}

static void test_states_that_could_not_be(void **state)
{
	make(SIZE_1440, false);
	expect_refused("phase", 0, 1);
	expect_refused("phase", 0, 2);
	expect_refused("phase", 0, 4);
	expect_refused("phase", 0, 5);
	expect_refused("size", 3, 1);
	expect_refused("command_count", 0, 9);
	expect_refused("command_count", 0, 10);
	expect_refused("result_count", 0, 11);
	expect_refused("rate", 0, 4);
	expect_refused("transfer.count", 0, 37);
	unmake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_and_identity),
		cmocka_unit_test(test_seek),
		cmocka_unit_test(test_two_seeks_have_two_interrupts),
		cmocka_unit_test(test_read_by_dma),
		cmocka_unit_test(test_read_ends_without_terminal_count),
		cmocka_unit_test(test_what_is_not_on_the_disk),
		cmocka_unit_test(test_implied_seek_and_ids),
		cmocka_unit_test(test_write_by_dma),
		cmocka_unit_test(test_without_dma),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_write_protected),
		cmocka_unit_test(test_change_line),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_short_image),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_states_that_could_not_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
