/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IDE controller: IDENTIFY, PIO, MULTIPLE and DMA transfers with every shape of PRD table, 48-bit
 * addresses, errors, resets with a request in flight, and the packet commands of a CD-ROM drive.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_block.h"

#define DISK 0x1f0
#define CD 0x170
#define DATA 0
#define ERROR 1
#define COUNT 2
#define LBA 3
#define DEVICE 6
#define STATUS 7
#define CONTROL 0x206
#define SECTORS 20000
#define CD_SECTORS 1000

#define READY 0x50
#define DRQ 0x58
#define FAILED 0x51

#define PRD_TABLE 0x10000
#define BUFFER 0x20000

static struct fake_machine *fm;
static struct device *ide;
static struct fake_disk disk, second, disc;
static uint16_t bm;

static void plug(struct fake_machine *machine, struct device_env *env)
{
	(void)machine;
	env->drives[0] = disk.block;
	env->drives[1] = second.block;
	env->drives[2] = disc.block;
	env->cdroms = 4;
}

static int set_up_with(size_t cd_size)
{
	fm = fake_machine_create();
	fake_disk_open(&disk, SECTORS * 512, false);
	fake_disk_open(&second, 16 * 512, true);
	fake_disk_open(&disc, cd_size, true);
	fake_disk_number(&disk);
	fake_disk_number(&disc);
	ide = fake_machine_create_device(fm, "ide", plug);
	fake_pci_enable(fm, ide);
	bm = (uint16_t)fake_pci_bar(fm, ide, 4);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return set_up_with(CD_SECTORS * 2048);
}

static int set_up_empty(void **state)
{
	(void)state;
	return set_up_with(0);
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, ide, NULL);
	fake_machine_destroy(fm);
	fake_disk_close(&disk);
	fake_disk_close(&second);
	fake_disk_close(&disc);
	return 0;
}

static void wait(void)
{
	fake_disk_wait(&disk);
	fake_disk_wait(&second);
	fake_disk_wait(&disc);
}

static uint8_t in(uint16_t base, unsigned int reg)
{
	return fake_inb(fm, (uint16_t)(base + reg));
}

static void out(uint16_t base, unsigned int reg, uint8_t value)
{
	fake_outb(fm, (uint16_t)(base + reg), value);
}

static bool irq(uint16_t base)
{
	return fm->lines[base == DISK ? 14 : 15].level;
}

/* The status without taking the interrupt back. */
static uint8_t alt(uint16_t base)
{
	return in(base, CONTROL);
}

static void command28(uint8_t code, uint32_t sector, uint8_t count)
{
	out(DISK, DEVICE, (uint8_t)(0xe0 | sector >> 24));
	out(DISK, COUNT, count);
	for (unsigned int i = 0; i < 3; i++) {
		out(DISK, LBA + i, (uint8_t)(sector >> (8 * i)));
	}
	out(DISK, STATUS, code);
	wait();
}

static void command48(uint8_t code, uint64_t sector, uint16_t count)
{
	out(DISK, DEVICE, 0x40);
	out(DISK, COUNT, (uint8_t)(count >> 8));
	for (unsigned int i = 0; i < 3; i++) {
		out(DISK, LBA + i, (uint8_t)(sector >> (24 + 8 * i)));
	}
	command28(code, (uint32_t)(sector & 0xffffff), (uint8_t)count);
}

static void read_words(uint16_t base, void *buf, size_t words)
{
	for (size_t i = 0; i < words; i++) {
		store_le16((uint8_t *)buf + 2 * i, fake_inw(fm, base));
	}
}

static void write_words(uint16_t base, const void *buf, size_t words)
{
	for (size_t i = 0; i < words; i++) {
		fake_outw(fm, base, load_le16((const uint8_t *)buf + 2 * i));
	}
}

/* ------- hard disk ------- */

static void test_identify(void **state)
{
	uint8_t data[512];

	(void)state;
	out(DISK, DEVICE, 0xa0);
	assert_int_equal(in(DISK, STATUS), READY);
	out(DISK, STATUS, 0xec);
	assert_true(irq(DISK));
	assert_int_equal(alt(DISK), DRQ);
	assert_true(irq(DISK));
	assert_int_equal(in(DISK, STATUS), DRQ);
	assert_false(irq(DISK));
	read_words(DISK, data, 256);
	assert_int_equal(in(DISK, STATUS), READY);
	assert_int_equal(load_le16(data + 2), 19);
	assert_int_equal(load_le16(data + 6), 16);
	assert_int_equal(load_le16(data + 12), 63);
	assert_memory_equal(data + 54, "iLem nahdrd si k", 16);
	assert_int_equal(load_le32(data + 120), SECTORS);
	assert_int_equal(load_le64(data + 200), SECTORS);
	assert_int_equal(load_le16(data + 2 * 88), 0x3f);
	/* Another translation changes the current words alone, a mode its bit. */
	out(DISK, DEVICE, 0xa7);
	out(DISK, COUNT, 32);
	out(DISK, STATUS, 0x91);
	assert_int_equal(in(DISK, STATUS), READY);
	out(DISK, ERROR, 3);
	out(DISK, COUNT, 0x44);
	out(DISK, STATUS, 0xef);
	assert_int_equal(in(DISK, STATUS), READY);
	out(DISK, COUNT, 0x46);
	out(DISK, STATUS, 0xef);
	assert_int_equal(in(DISK, STATUS), FAILED);
	assert_int_equal(in(DISK, ERROR), 4);
	out(DISK, STATUS, 0xec);
	read_words(DISK, data, 256);
	assert_int_equal(load_le16(data + 12), 63);
	assert_int_equal(load_le16(data + 2 * 54), SECTORS / (8 * 32));
	assert_int_equal(load_le16(data + 2 * 55), 8);
	assert_int_equal(load_le16(data + 2 * 56), 32);
	assert_int_equal(load_le16(data + 2 * 88), 0x103f);
}

static void test_presence(void **state)
{
	(void)state;
	out(CD, DEVICE, 0xb0); /* no slave on this channel */
	assert_int_equal(in(CD, STATUS), 0);
	out(CD, STATUS, 0xec);
	assert_int_equal(in(CD, STATUS), 0);
	out(CD, DEVICE, 0xa0);
	assert_int_equal(in(CD, LBA + 1), 0x14);
	assert_int_equal(in(CD, LBA + 2), 0xeb);
	assert_int_equal(in(DISK, LBA + 1), 0);
	out(DISK, STATUS, 0x90); /* diagnostics */
	assert_true(irq(DISK));
	assert_int_equal(in(DISK, ERROR), 1);
	out(DISK, DEVICE, 0xb0);
	assert_int_equal(in(DISK, STATUS), READY);
}

static void test_pio_read(void **state)
{
	uint8_t data[512];

	(void)state;
	command28(0x20, 1000, 3);
	for (uint32_t i = 0; i < 3; i++) {
		wait();
		assert_true(irq(DISK));
		assert_int_equal(in(DISK, STATUS), DRQ);
		read_words(DISK, data, 256);
		assert_int_equal(load_le32(data), 1000 + i);
	}
	assert_int_equal(in(DISK, STATUS), READY);
	assert_false(irq(DISK));
	assert_int_equal(fake_inw(fm, DISK), 0); /* no data */
	/* The same by doublewords and by CHS: cylinder 1, head 2, sector 3. */
	out(DISK, DEVICE, 0xa2);
	out(DISK, COUNT, 1);
	out(DISK, LBA, 3);
	out(DISK, LBA + 1, 1);
	out(DISK, LBA + 2, 0);
	out(DISK, STATUS, 0x20);
	wait();
	assert_int_equal(fake_inl(fm, DISK), (1 * 16 + 2) * 63 + 2);
	for (unsigned int i = 1; i < 128; i++) {
		fake_inl(fm, DISK);
	}
	assert_int_equal(in(DISK, STATUS), READY);
}

static void test_pio_write(void **state)
{
	uint8_t data[1024];

	(void)state;
	for (unsigned int i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(i * 5 + i / 256);
	}
	command28(0x30, SECTORS - 2, 2);
	assert_false(irq(DISK)); /* none before the first block */
	assert_int_equal(in(DISK, STATUS), DRQ);
	write_words(DISK, data, 256);
	wait();
	assert_true(irq(DISK));
	assert_int_equal(in(DISK, STATUS), DRQ);
	write_words(DISK, data + 512, 256);
	wait();
	assert_true(irq(DISK));
	assert_int_equal(in(DISK, STATUS), READY);
	assert_memory_equal(disk.data + (SECTORS - 2) * 512, data, 1024);
	out(DISK, STATUS, 0xe7);
	wait();
	assert_true(irq(DISK));
	assert_int_equal(in(DISK, STATUS), READY);
}

static void test_multiple(void **state)
{
	uint8_t data[16 * 512];

	(void)state;
	command28(0xc4, 0, 4); /* not set up */
	assert_int_equal(in(DISK, STATUS), FAILED);
	out(DISK, COUNT, 32);
	out(DISK, STATUS, 0xc6);
	assert_int_equal(in(DISK, STATUS), FAILED);
	out(DISK, COUNT, 16);
	out(DISK, STATUS, 0xc6);
	assert_int_equal(in(DISK, STATUS), READY);
	command28(0xc4, 100, 20);
	read_words(DISK, data, 16 * 256);
	assert_int_equal(load_le32(data + 15 * 512), 115);
	wait();
	assert_true(irq(DISK));
	assert_int_equal(in(DISK, STATUS), DRQ);
	read_words(DISK, data, 4 * 256);
	assert_int_equal(load_le32(data + 3 * 512), 119);
	assert_int_equal(in(DISK, STATUS), READY);
	memset(data, 0xa5, sizeof(data));
	command48(0x39, 200, 16);
	write_words(DISK, data, 16 * 256);
	wait();
	assert_int_equal(in(DISK, STATUS), READY);
	assert_memory_equal(disk.data + 200 * 512, data, sizeof(data));
}

static void test_addresses(void **state)
{
	uint8_t data[512];

	(void)state;
	command48(0x24, SECTORS - 1, 1);
	read_words(DISK, data, 256);
	assert_int_equal(load_le32(data), SECTORS - 1);
	command48(0x24, SECTORS, 1);
	assert_int_equal(in(DISK, STATUS), FAILED);
	assert_int_equal(in(DISK, ERROR), 0x10);
	command48(0x24, UINT64_C(0xffffffffffff), 0);
	assert_int_equal(in(DISK, STATUS), FAILED);
	command28(0x20, SECTORS - 255, 0); /* 256 sectors, one too many */
	assert_int_equal(in(DISK, STATUS), FAILED);
	command28(0x40, SECTORS - 256, 0);
	assert_int_equal(in(DISK, STATUS), READY);
	command28(0x41, SECTORS - 255, 0);
	assert_int_equal(in(DISK, STATUS), FAILED);
	out(DISK, DEVICE, 0xa0);
	out(DISK, LBA, 0); /* CHS sectors count from 1 */
	out(DISK, STATUS, 0x20);
	assert_int_equal(in(DISK, ERROR), 0x10);
	/* The high-order bytes are read back through HOB. */
	out(DISK, COUNT, 0x12);
	out(DISK, COUNT, 0x34);
	out(DISK, CONTROL, 0x80);
	assert_int_equal(in(DISK, COUNT), 0x12);
	out(DISK, CONTROL, 0x00);
	assert_int_equal(in(DISK, COUNT), 0x34);
}

static void test_readonly_and_unknown(void **state)
{
	(void)state;
	out(DISK, DEVICE, 0xf0);
	out(DISK, COUNT, 1);
	out(DISK, LBA, 0);
	out(DISK, LBA + 1, 0);
	out(DISK, LBA + 2, 0);
	out(DISK, STATUS, 0x30);
	assert_int_equal(in(DISK, STATUS), FAILED);
	assert_int_equal(in(DISK, ERROR), 0x04);
	out(DISK, STATUS, 0xb0); /* SMART */
	assert_int_equal(in(DISK, STATUS), FAILED);
	out(DISK, STATUS, 0xe5);
	assert_int_equal(in(DISK, COUNT), 0xff);
	out(DISK, STATUS, 0x10);
	assert_int_equal(in(DISK, STATUS), READY);
}

/* A drive that is waiting for the guest keeps the channel: no other can be selected meanwhile. */
static void test_selection_waits(void **state)
{
	uint8_t data[512];

	(void)state;
	command28(0x20, 5, 2);
	out(DISK, DEVICE, 0xf0);
	out(DISK, LBA, 0x77);
	assert_int_equal(in(DISK, DEVICE), 0xe0);
	out(DISK, STATUS, 0xec);
	read_words(DISK, data, 256);
	assert_int_equal(load_le32(data), 5);
	wait();
	read_words(DISK, data, 256);
	assert_int_equal(load_le32(data), 6);
	out(DISK, DEVICE, 0xf0);
	assert_int_equal(in(DISK, DEVICE), 0xf0);
}

static void test_interrupt_enable(void **state)
{
	(void)state;
	out(DISK, CONTROL, 0x02);
	out(DISK, STATUS, 0xec);
	assert_false(irq(DISK));
	assert_int_equal(fake_inb(fm, bm + 2) & 4, 4);
	out(DISK, CONTROL, 0x00);
	assert_true(irq(DISK));
	in(DISK, STATUS);
	assert_false(irq(DISK));
	fake_outb(fm, bm + 2, 4);
	assert_int_equal(fake_inb(fm, bm + 2) & 4, 0);
}

/* ------- bus master ------- */

static void prd(unsigned int n, uint32_t address, uint32_t size, bool last)
{
	store_le32(fake_ram(fm, PRD_TABLE + 8 * n, 4), address);
	store_le32(fake_ram(fm, PRD_TABLE + 8 * n + 4, 4),
		   (size & 0xffff) | (last ? 0x80000000 : 0));
}

static void bm_start(uint16_t port, uint8_t direction)
{
	fake_outl(fm, port + 4, PRD_TABLE);
	fake_outb(fm, port, direction);
	fake_outb(fm, port + 2, 6);
	fake_outb(fm, port, direction | 1);
	wait();
}

static void test_dma_read(void **state)
{
	(void)state;
	/* Regions that cut sectors. */
	prd(0, BUFFER, 100, false);
	prd(1, BUFFER + 0x1000, 0xfffe, false);
	prd(2, BUFFER + 0x20000, 0xff9e, true);
	assert_int_equal(fake_inl(fm, bm + 4), 0);
	command28(0xc8, 50, 0);
	assert_int_equal(alt(DISK), DRQ);
	bm_start(bm, 8);
	assert_true(irq(DISK));
	assert_int_equal(fake_inb(fm, bm + 2), 0x64);
	assert_int_equal(fake_inl(fm, bm), 0x00640009);
	assert_int_equal(in(DISK, STATUS), READY);
	fake_outb(fm, bm, 0);
	assert_memory_equal(fake_ram(fm, BUFFER, 100), disk.data + 50 * 512, 100);
	assert_memory_equal(fake_ram(fm, BUFFER + 0x1000, 0xfffe), disk.data + 50 * 512 + 100,
			    0xfffe);
	assert_memory_equal(fake_ram(fm, BUFFER + 0x20000, 0xff9e),
			    disk.data + 50 * 512 + 100 + 0xfffe, 0xff9e);
}

static void test_dma_table_ends(void **state)
{
	(void)state;
	/* Exactly as long as the transfer: no longer active. */
	prd(0, BUFFER, 1024, true);
	command48(0x25, 3, 2);
	bm_start(bm, 8);
	assert_int_equal(fake_inb(fm, bm + 2), 0x64);
	fake_outb(fm, bm, 0);
	/* Longer: still active, with its interrupt. */
	command48(0x25, 3, 1);
	bm_start(bm, 8);
	assert_int_equal(fake_inb(fm, bm + 2), 0x65);
	fake_outb(fm, bm, 0);
	assert_int_equal(fake_inb(fm, bm + 2), 0x64);
	/* Shorter: an error, and the command ends. */
	command48(0x25, 3, 3);
	bm_start(bm, 8);
	assert_int_equal(fake_inb(fm, bm + 2), 0x66);
	assert_int_equal(in(DISK, STATUS), FAILED);
	fake_outb(fm, bm, 0);
	/* No memory, for data and for the table. */
	prd(0, 0xf0000000, 1024, true);
	command48(0x25, 3, 2);
	bm_start(bm, 8);
	assert_int_equal(fake_inb(fm, bm + 2), 0x66);
	fake_outb(fm, bm, 0);
	command48(0x35, 3, 2);
	fake_outl(fm, bm + 4, 0xf0000000);
	fake_outb(fm, bm, 1);
	wait();
	assert_int_equal(in(DISK, STATUS), FAILED);
	fake_outb(fm, bm, 0);
	/* Bus mastering is off. */
	prd(0, BUFFER, 1024, true);
	fake_pci_write(fm, ide, 4, 3, 2);
	command48(0x25, 3, 2);
	bm_start(bm, 8);
	assert_int_equal(in(DISK, STATUS), FAILED);
}

static void test_dma_write(void **state)
{
	uint8_t *data = fake_ram(fm, BUFFER, 0x30000);

	(void)state;
	for (unsigned int i = 0; i < 0x30000; i++) {
		data[i] = (uint8_t)(i ^ i >> 8);
	}
	prd(0, BUFFER, 0, false);
	prd(1, BUFFER + 0x10000, 0, false);
	prd(2, BUFFER + 0x20000, 0, true);
	/* Started before the command, and longer than the controller's buffer. */
	bm_start(bm, 0);
	command48(0x35, 1000, 0x180);
	assert_int_equal(in(DISK, STATUS), READY);
	assert_int_equal(fake_inb(fm, bm + 2), 0x64);
	assert_memory_equal(disk.data + 1000 * 512, data, 0x30000);
	assert_int_equal(load_le32(disk.data + (1000 + 0x180) * 512), 1000 + 0x180);
}

/* The guest stops the bus master: nothing is copied any more. */
static void test_dma_stopped(void **state)
{
	uint32_t before;

	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		prd(0, BUFFER, 512, true);
		store_le32(fake_ram(fm, BUFFER, 4), 0xdeadbeef);
		out(DISK, DEVICE, 0xe0);
		out(DISK, COUNT, 1);
		out(DISK, LBA, 9);
		out(DISK, LBA + 1, 0);
		out(DISK, LBA + 2, 0);
		out(DISK, STATUS, 0xc8);
		fake_outl(fm, bm + 4, PRD_TABLE);
		fake_outb(fm, bm, 9);
		fake_outb(fm, bm, 8);
		before = load_le32(fake_ram(fm, BUFFER, 4));
		wait();
		assert_int_equal(load_le32(fake_ram(fm, BUFFER, 4)), before);
		assert_int_equal(alt(DISK) & 0x88, 0);
		in(DISK, STATUS);
	}
}

/* ------- resets and states ------- */

static void test_reset_in_flight(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		out(DISK, DEVICE, 0xe0);
		out(DISK, COUNT, 200);
		out(DISK, LBA, 0);
		out(DISK, STATUS, 0x20);
		out(DISK, CONTROL, 0x04);
		out(DISK, CONTROL, 0x00);
		wait();
		assert_int_equal(in(DISK, STATUS), READY);
		assert_int_equal(in(DISK, ERROR), 1);
		assert_int_equal(in(DISK, LBA), 1);
		assert_int_equal(fake_inw(fm, DISK), 0);
		assert_false(irq(DISK));
	}
	/* And of the device itself. */
	out(DISK, DEVICE, 0xe0);
	out(DISK, STATUS, 0x20);
	device_reset(ide, RESET_BUS);
	wait();
	assert_int_equal(in(DISK, STATUS), READY);
}

static void test_state_in_the_middle(void **state)
{
	struct fake_image image;
	struct error err = { 0 };
	uint8_t data[512];

	(void)state;
	command28(0x20, 70, 3);
	read_words(DISK, data, 100);
	assert_int_equal(device_pause(ide), 0);
	fake_state_save(ide, &image);
	device_reset(ide, RESET_COLD);
	assert_int_equal(fake_state_load(ide, &image, &err), 0);
	device_resume(ide);
	read_words(DISK, data + 200, 156);
	assert_memory_equal(data, disk.data + 70 * 512, 512);
	for (unsigned int i = 71; i < 73; i++) {
		wait();
		read_words(DISK, data, 256);
		assert_int_equal(load_le32(data), i);
	}
	fake_image_finish(&image);
}

static void expect_refused(const char *field, size_t offset, uint8_t value)
{
	struct fake_image image;
	struct error err = { 0 };

	command28(0x20, 70, 3);
	fake_state_save(ide, &image);
	fake_image_field(&image, field)[offset] = value;
	assert_int_equal(fake_state_load(ide, &image, &err), -EINVAL);
	assert_non_null(strstr(err.text, "IDE"));
	fake_image_finish(&image);
	device_reset(ide, RESET_COLD);
}

static void test_states_that_could_not_be(void **state)
{
	(void)state;
	expect_refused("channels[0].selected", 0, 2);
	expect_refused("channels[1].selected", 0, 255);
	expect_refused("channels[0].transfer", 0, 3);
	expect_refused("channels[0].transfer", 0, 6);
	expect_refused("channels[0].transfer", 0, 7);
	expect_refused("channels[0].chunk", 3, 1);
	expect_refused("channels[0].position", 3, 1);
	expect_refused("channels[0].block_end", 3, 1);
	expect_refused("channels[0].sectors_per_chunk", 0, 0);
	expect_refused("channels[0].sectors_per_chunk", 3, 0xff);
	expect_refused("channels[0].sector_size", 1, 8);
	expect_refused("channels[0].drives[0].multiple", 0, 17);
	expect_refused("channels[0].drives[0].status", 0, 0x80);
	expect_refused("channels[0].drives[0].heads", 0, 0);
	expect_refused("channels[0].waiting_dma", 0, 1);
	expect_refused("channels[1].transfer", 0, 5);
}

/* ------- CD-ROM ------- */

/* Send a packet; @limit bytes in a block. Features bit 0: by DMA. */
static void packet(uint8_t features, uint16_t limit, const char *bytes)
{
	out(CD, DEVICE, 0xa0);
	out(CD, ERROR, features);
	out(CD, LBA + 1, (uint8_t)limit);
	out(CD, LBA + 2, (uint8_t)(limit >> 8));
	out(CD, STATUS, 0xa0);
	assert_int_equal(in(CD, COUNT), 1);
	assert_int_equal(in(CD, STATUS), DRQ);
	write_words(CD, bytes, 6);
	wait();
}

/* Read a reply of @size bytes, in blocks; then the command has ended well. */
static void read_reply(void *buf, size_t size)
{
	uint8_t *at = buf;

	while (size) {
		size_t block;

		assert_true(irq(CD));
		assert_int_equal(in(CD, STATUS), DRQ);
		assert_int_equal(in(CD, COUNT), 2);
		block = in(CD, LBA + 1) | (size_t)in(CD, LBA + 2) << 8;
		assert_in_range(block, 1, size);
		read_words(CD, at, (block + 1) / 2);
		wait();
		at += block;
		size -= block;
	}
	assert_true(irq(CD));
	assert_int_equal(in(CD, STATUS), READY);
	assert_int_equal(in(CD, COUNT), 3);
}

static void expect_sense(uint8_t key, uint8_t code)
{
	uint8_t data[18];

	assert_int_equal(in(CD, STATUS), FAILED);
	assert_int_equal(in(CD, ERROR) >> 4, key);
	packet(0, 18, "\x03\0\0\0\x12\0\0\0\0\0\0");
	read_reply(data, 18);
	assert_int_equal(data[0], 0x70);
	assert_int_equal(data[2], key);
	assert_int_equal(data[12], code);
}

static void test_cd_identify(void **state)
{
	uint8_t data[512];
	unsigned int edges;

	(void)state;
	out(CD, STATUS, 0xec);
	assert_int_equal(in(CD, STATUS), FAILED);
	assert_int_equal(in(CD, LBA + 1), 0x14);
	out(CD, STATUS, 0xa1);
	edges = fm->lines[15].edges;
	assert_int_equal(in(CD, STATUS), DRQ);
	read_words(CD, data, 256);
	assert_int_equal(in(CD, STATUS), READY);
	assert_int_equal(fm->lines[15].edges, edges); /* no packet, so no interrupt at its end */
	assert_int_equal(load_le16(data), 0x85c0);
	packet(0, 36, "\x12\0\0\0\x24\0\0\0\0\0\0");
	read_reply(data, 36);
	assert_int_equal(data[0], 5);
	assert_memory_equal(data + 8, "LIMEN   CD-ROM          1.0 ", 28);
	packet(0, 10, "\x12\0\0\0\x24\0\0\0\0\0\0"); /* in blocks of 10 */
	read_reply(data, 36);
	assert_memory_equal(data + 8, "LIMEN   CD-ROM          1.0 ", 28);
	packet(0, 36, "\x12\1\x80\0\x24\0\0\0\0\0\0");
	expect_sense(5, 0x24);
	out(CD, STATUS, 0x08); /* DEVICE RESET: no interrupt, the signature */
	assert_false(irq(CD));
	assert_int_equal(in(CD, LBA + 2), 0xeb);
	assert_int_equal(in(CD, STATUS), 0);
}

static void test_cd_read(void **state)
{
	uint8_t *data = fake_ram(fm, BUFFER, 0x50000);

	(void)state;
	packet(0, 0xffff, "\x28\0\0\0\0\x0a\0\0\x28\0\0"); /* 40 from sector 10 */
	read_reply(data, 40 * 2048);
	assert_memory_equal(data, disc.data + 10 * 2048, 40 * 2048);
	packet(0, 2048, "\xa8\0\0\0\0\x14\0\0\0\x03\0");
	read_reply(data, 3 * 2048);
	assert_memory_equal(data, disc.data + 20 * 2048, 3 * 2048);
	packet(0, 0xfffe, "\xbe\0\0\0\0\x01\0\0\x01\x10\0");
	read_reply(data, 2048);
	assert_memory_equal(data, disc.data + 2048, 2048);
	packet(0, 100, "\x28\0\0\0\0\x0a\0\0\x01\0\0"); /* blocks smaller than sectors */
	read_reply(data, 2048);
	assert_memory_equal(data, disc.data + 10 * 2048, 2048);
	/* By DMA, longer than the buffer. */
	for (unsigned int i = 0; i < 4; i++) {
		prd(i, BUFFER + 0x10000 * i, 0, i == 3);
	}
	packet(1, 0, "\x28\0\0\0\x02\0\0\0\x80\0\0");
	bm_start(bm + 8, 8);
	assert_true(irq(CD));
	assert_int_equal(in(CD, STATUS), READY);
	assert_int_equal(fake_inb(fm, bm + 10), 0x64);
	assert_memory_equal(data, disc.data + 512 * 2048, 128 * 2048);
	fake_outb(fm, bm + 8, 0);
	prd(0, 0xf0000000, 0, true);
	packet(1, 0, "\x28\0\0\0\x02\0\0\0\x80\0\0");
	bm_start(bm + 8, 8);
	assert_int_equal(fake_inb(fm, bm + 10), 0x66);
	expect_sense(4, 0x08);
	packet(0, 2048, "\x28\0\0\0\x03\xe8\0\0\x01\0\0");
	expect_sense(5, 0x21);
	packet(0, 2048, "\x28\0\xff\xff\xff\xff\0\xff\xff\0\0");
	expect_sense(5, 0x21);
	packet(0, 2048, "\xbe\0\0\0\0\x01\0\0\x01\xf8\0");
	expect_sense(5, 0x24);
	packet(0, 2048, "\x28\0\0\0\0\x0a\0\0\0\0\0"); /* none at all */
	assert_int_equal(in(CD, STATUS), READY);
}

static void test_cd_information(void **state)
{
	uint8_t data[64];

	(void)state;
	packet(0, 0xfffe, "\x25\0\0\0\0\0\0\0\0\0\0");
	read_reply(data, 8);
	assert_memory_equal(data, "\0\0\x03\xe7\0\0\x08\0", 8);
	packet(0, 0xfffe, "\x43\0\0\0\0\0\0\0\x40\0\0");
	read_reply(data, 20);
	assert_memory_equal(data, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x16\xaa\0\0\0\x03\xe8", 20);
	packet(0, 0xfffe, "\x43\2\0\0\0\0\xaa\0\x40\0\0");
	read_reply(data, 12);
	assert_memory_equal(data, "\0\x0a\1\1\0\x14\xaa\0\0\0\x0f\x19", 12);
	packet(0, 0xfffe, "\x43\0\0\0\0\0\0\0\x0c\x40\0"); /* sessions, by the old field */
	read_reply(data, 12);
	packet(0, 0xfffe, "\x43\0\0\0\0\0\x05\0\x40\0\0");
	expect_sense(5, 0x24);
	packet(0, 0xfffe, "\x46\2\0\0\0\0\0\0\x20\0\0");
	read_reply(data, 32);
	assert_int_equal(data[7], 8);
	packet(0, 0xfffe, "\x5a\0\x2a\0\0\0\0\0\x40\0\0");
	read_reply(data, 28);
	assert_int_equal(data[8], 0x2a);
	assert_int_equal(data[1], 26);
	packet(0, 0xfffe, "\x5a\0\x0e\0\0\0\0\0\x40\0\0");
	expect_sense(5, 0x24);
	packet(0, 0xfffe, "\xff\0\0\0\0\0\0\0\0\0\0");
	expect_sense(5, 0x20);
	packet(0, 0xfffe, "\x4a\1\0\0\x10\0\0\0\x08\0\0");
	read_reply(data, 8);
	assert_int_equal(data[5], 2);
	/* A reply by DMA. */
	prd(0, BUFFER, 8, true);
	packet(1, 0, "\x25\0\0\0\0\0\0\0\0\0\0");
	bm_start(bm + 8, 8);
	assert_int_equal(in(CD, STATUS), READY);
	assert_memory_equal(fake_ram(fm, BUFFER, 8), "\0\0\x03\xe7\0\0\x08\0", 8);
}

static void test_cd_without_disc(void **state)
{
	uint8_t data[32];

	(void)state;
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
	expect_sense(2, 0x3a);
	packet(0, 2048, "\x28\0\0\0\0\x0a\0\0\x01\0\0");
	expect_sense(2, 0x3a);
	packet(0, 36, "\x12\0\0\0\x20\0\0\0\0\0\0"); /* this it can always answer */
	read_reply(data, 32);
}

static void test_cd_change(void **state)
{
	uint8_t data[8];

	(void)state;
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
	expect_sense(2, 0x3a);
	fake_disk_change(&disc, 64 * 2048, true);
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
	expect_sense(6, 0x28);
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
	assert_int_equal(in(CD, STATUS), READY);
	packet(0, 8, "\x25\0\0\0\0\0\0\0\0\0\0");
	read_reply(data, 8);
	assert_int_equal(data[3], 63);
	fake_disk_change(&disc, 0, true);
	packet(0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
	expect_sense(2, 0x3a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identify),
		TEST(test_presence),
		TEST(test_pio_read),
		TEST(test_pio_write),
		TEST(test_multiple),
		TEST(test_addresses),
		TEST(test_readonly_and_unknown),
		TEST(test_selection_waits),
		TEST(test_interrupt_enable),
		TEST(test_dma_read),
		TEST(test_dma_table_ends),
		TEST(test_dma_write),
		TEST(test_dma_stopped),
		TEST(test_reset_in_flight),
		TEST(test_state_in_the_middle),
		TEST(test_states_that_could_not_be),
		TEST(test_cd_identify),
		TEST(test_cd_read),
		TEST(test_cd_information),
		cmocka_unit_test_setup_teardown(test_cd_without_disc, set_up_empty, tear_down),
		cmocka_unit_test_setup_teardown(test_cd_change, set_up_empty, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
