/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of a few ports: port 92h, POST and debug text, debug exit, kvm-unit-tests' device. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_machine.h"

static void test_port92(void **state)
{
	struct fake_machine *fm = fake_machine_create();
	struct device *dev = fake_machine_create_device(fm, "port92", NULL);

	(void)state;
	assert_int_equal(fake_inb(fm, 0x92), 2);
	fake_outb(fm, 0x92, 0xf0);
	assert_int_equal(fake_inb(fm, 0x92), 0);
	assert_int_equal(fm->power.resets, 0);
	fake_outb(fm, 0x92, 0x03);
	fake_outb(fm, 0x92, 0x03);
	assert_int_equal(fm->power.resets, 1);
	fake_machine_check_device(fm, dev, NULL);
	fake_machine_destroy(fm);
}

static void test_post(void **state)
{
	struct fake_machine *fm = fake_machine_create();
	struct device *dev = fake_machine_create_device(fm, "post", NULL);

	(void)state;
	fake_outb(fm, 0x80, 0x55);
	assert_int_equal(fake_inb(fm, 0x80), 0x55);
	assert_int_equal(fake_inb(fm, 0x402), 0xe9);
	log_set_levels("device=debug", NULL);
	for (unsigned int i = 0; i < 1000; i++) {
		fake_outb(fm, 0x402, (uint8_t)(i == 500 ? '\n' : 'x'));
	}
	log_set_levels("device=warn", NULL);
	fake_machine_check_device(fm, dev, NULL);
	fake_machine_destroy(fm);
}

static void test_debug_exit(void **state)
{
	struct fake_machine *fm = fake_machine_create();
	struct device *dev = fake_machine_create_device(fm, "debug-exit", NULL);

	(void)state;
	assert_int_equal(fake_inl(fm, 0xf4), 0);
	fake_outl(fm, 0xf4, 0x10);
	assert_int_equal(fm->power.exits, 1);
	assert_int_equal(fm->power.exit_status, 0x21);
	fake_outb(fm, 0xf4, 0);
	assert_int_equal(fm->power.exit_status, 1);
	fake_outl(fm, 0xf4, 0xffffffff);
	assert_int_equal(fm->power.exit_status, 0xff);
	fake_machine_check_device(fm, dev, NULL);
	fake_machine_destroy(fm);
}

static void test_pc_testdev(void **state)
{
	struct fake_machine *fm = fake_machine_create();
	struct device *dev = fake_machine_create_device(fm, "pc-testdev", NULL);

	(void)state;
	fake_outl(fm, 0xe0, 0x12345678);
	assert_int_equal(fake_inb(fm, 0xe1), 0x56);
	assert_int_equal(fake_inw(fm, 0xe2), 0x1234);
	fake_outw(fm, 0xe0, 0xaaaa);
	assert_int_equal(fake_inl(fm, 0xe8), 0x1234aaaa);
	fake_outb(fm, 0x2005, 1);
	assert_true(fm->lines[5].level);
	fake_outb(fm, 0x2017, 1);
	assert_true(fm->lines[23].level);
	fake_outb(fm, 0x2005, 0);
	assert_false(fm->lines[5].level);
	fake_mmio_write(fm, 0xff00ffff, 0x5a, 1);
	assert_int_equal(fake_mmio_read(fm, 0xff00ffff, 1), 0x5a);
	fake_mmio_write(fm, 0xff000001, UINT64_C(0x0102030405060708), 8);
	assert_int_equal(fake_mmio_read(fm, 0xff000003, 4), 0x03040506);
	fake_outl(fm, 0xe4, 0x1234);
	fake_outl(fm, 0xe4, 0xdeadbeef);
	assert_non_null(guest_mem_map(fm->memory, 0, FAKE_RAM_SIZE, true));
	fake_machine_check_device(fm, dev, NULL);
	fake_machine_destroy(fm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port92),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_debug_exit),
		cmocka_unit_test(test_pc_testdev),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
