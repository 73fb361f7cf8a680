/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ISA DMA: both directions and widths, terminal count, auto-init, wrap, what moves nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

static struct fake_machine *fm;
static struct device *dma;

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	dma = fake_machine_create_device(fm, "isa-dma", NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, dma, (const char *const[]){ "requests", NULL });
	fake_machine_destroy(fm);
	return 0;
}

/* As a floppy driver programs channel 2. */
static void program2(uint8_t mode, uint8_t page, uint16_t address, uint16_t count)
{
	fake_outb(fm, 0x0a, 0x06);
	fake_outb(fm, 0x0c, 0);
	fake_outb(fm, 0x04, address & 0xff);
	fake_outb(fm, 0x04, address >> 8);
	fake_outb(fm, 0x81, page);
	fake_outb(fm, 0x05, count & 0xff);
	fake_outb(fm, 0x05, count >> 8);
	fake_outb(fm, 0x0b, mode | 2);
	fake_outb(fm, 0x0a, 0x02);
}

static void test_to_guest(void **state)
{
	uint8_t data[600];
	bool terminal = true;

	(void)state;
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 512, NULL), 0); /* masked */
	program2(0x44, 0x03, 0x1000, 511);
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 100, &terminal), 100);
	assert_false(terminal);
	assert_int_equal(fake_inb(fm, 0x08) & 0x0f, 0);
	fake_outb(fm, 0x0c, 0);
	assert_int_equal(fake_inb(fm, 0x04), 100);
	assert_int_equal(fake_inb(fm, 0x04), 0x10);
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 500, &terminal), 412);
	assert_true(terminal);
	assert_memory_equal(fake_ram(fm, 0x31000, 512), data, 512);
	assert_int_equal(*(uint8_t *)fake_ram(fm, 0x31200, 1), 0);
	isa_dma_request(dma, 2, true);
	assert_int_equal(fake_inb(fm, 0x08), 0x44);
	assert_int_equal(fake_inb(fm, 0x08), 0x40);
	isa_dma_request(dma, 2, false);
	assert_int_equal(fake_inb(fm, 0x0f) & 4, 4); /* terminal count masks */
}

static void test_from_guest_and_auto_init(void **state)
{
	uint8_t data[8];
	bool terminal;

	(void)state;
	memcpy(fake_ram(fm, 0x20000, 4), "ABCD", 4);
	program2(0x58, 0x02, 0x0000, 3);
	assert_int_equal(isa_dma_from_guest(dma, 2, data, 8, &terminal), 4);
	assert_true(terminal);
	assert_memory_equal(data, "ABCD", 4);
	assert_int_equal(isa_dma_from_guest(dma, 2, data, 2, &terminal), 2);
	assert_false(terminal);
	assert_memory_equal(data, "AB", 2);
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 2, NULL), 0); /* the other way */
}

static void test_words(void **state)
{
	uint8_t data[6] = { 1, 2, 3, 4, 5, 6 };
	bool terminal;

	(void)state;
	fake_outb(fm, 0xd8, 0);
	fake_outb(fm, 0xc4, 0x00); /* channel 5: word 8000h of page 4 */
	fake_outb(fm, 0xc4, 0x80);
	fake_outb(fm, 0xc6, 2);
	fake_outb(fm, 0xc6, 0);
	fake_outb(fm, 0x8b, 0x05);
	fake_outb(fm, 0xd6, 0x45);
	fake_outb(fm, 0xd4, 0x01);
	assert_int_equal(isa_dma_to_guest(dma, 5, data, 6, &terminal), 6);
	assert_true(terminal);
	assert_memory_equal(fake_ram(fm, 0x50000, 6), data, 6);
	assert_int_equal(fake_inb(fm, 0xd0), 0x02);
}

static void test_wrap_and_decrement(void **state)
{
	uint8_t data[4] = { 1, 2, 3, 4 };

	(void)state;
	program2(0x44, 0x01, 0xfffe, 3);
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 4, NULL), 4);
	assert_memory_equal(fake_ram(fm, 0x1fffe, 2), "\1\2", 2);
	assert_memory_equal(fake_ram(fm, 0x10000, 2), "\3\4", 2);
	program2(0x64, 0x01, 0x0001, 3);
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 4, NULL), 4);
	assert_memory_equal(fake_ram(fm, 0x10000, 2), "\2\1", 2);
	assert_memory_equal(fake_ram(fm, 0x1fffe, 2), "\4\3", 2);
}

static void test_verify_and_no_memory(void **state)
{
	uint8_t data[4] = { 9, 9, 9, 9 };
	bool terminal;

	(void)state;
	program2(0x40, 0x01, 0x0000, 3);
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 4, &terminal), 4);
	assert_true(terminal);
	assert_int_equal(*(uint8_t *)fake_ram(fm, 0x10000, 1), 0);
	fake_outb(fm, 0x0d, 0);
	assert_int_equal(fake_inb(fm, 0x0f), 0xff);
	fake_outb(fm, 0x0e, 0);
	assert_int_equal(fake_inb(fm, 0x0f), 0xf0);
	fake_outb(fm, 0x08, 0x04); /* controller disabled */
	assert_int_equal(isa_dma_to_guest(dma, 2, data, 4, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_to_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_from_guest_and_auto_init, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrap_and_decrement, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_verify_and_no_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
