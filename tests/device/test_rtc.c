/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real-time clock: dates in each notation, setting, interrupts, alarm, UIP, the CMOS bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

#define IRQ 8

static struct fake_machine *fm;
static struct device *rtc;

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->output = machine->irqs[IRQ];
}

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	fake_machine_set(fm, "rtc", "rtc", "base", "1999-12-31T23:59:58");
	fake_machine_set(fm, "rtc", "rtc", "clock", "vm");
	rtc = fake_machine_create_device(fm, "rtc", wire);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const kept[] = { "cmos", "offset_s", "offset_ns", "checked_s",
					    "checked_tick", NULL };

	(void)state;
	fake_machine_check_device(fm, rtc, kept);
	fake_machine_destroy(fm);
	return 0;
}

static uint8_t reg(uint8_t index)
{
	fake_outb(fm, 0x70, index);
	return fake_inb(fm, 0x71);
}

static void set_reg(uint8_t index, uint8_t value)
{
	fake_outb(fm, 0x70, index);
	fake_outb(fm, 0x71, value);
}

static void check_date(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hour,
		       uint8_t minute, uint8_t second)
{
	assert_int_equal(reg(0x32), century);
	assert_int_equal(reg(9), year);
	assert_int_equal(reg(8), month);
	assert_int_equal(reg(7), day);
	assert_int_equal(reg(4), hour);
	assert_int_equal(reg(2), minute);
	assert_int_equal(reg(0), second);
}

static void test_date(void **state)
{
	(void)state;
	check_date(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	assert_int_equal(reg(6), 6); /* a Friday */
	fake_machine_advance(fm, 2 * NS_PER_S);
	check_date(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
	assert_int_equal(reg(6), 7);
	assert_int_equal(reg(0xa), 0x26);
	assert_int_equal(reg(0xb), 0x02);
	assert_int_equal(reg(0xd), 0x80);
	assert_int_equal(fake_inb(fm, 0x70), 0xff);
}

static void test_notations(void **state)
{
	(void)state;
	set_reg(0xb, 0x06); /* binary */
	check_date(19, 99, 12, 31, 23, 59, 58);
	set_reg(0xb, 0x00); /* BCD, 12 hours */
	assert_int_equal(reg(4), 0x91);
	fake_machine_advance(fm, 2 * NS_PER_S);
	assert_int_equal(reg(4), 0x12); /* midnight */
	fake_machine_advance(fm, 12 * 3600 * NS_PER_S);
	assert_int_equal(reg(4), 0x92); /* noon */
	set_reg(0xb, 0x04);
	assert_int_equal(reg(4), 0x8c);
}

static void test_setting(void **state)
{
	(void)state;
	/* As Linux does: SET, divider reset, the date, divider on, SET off. */
	set_reg(0xb, 0x82);
	set_reg(0xa, 0x76);
	set_reg(9, 0x24);
	set_reg(0x32, 0x20);
	set_reg(8, 0x02);
	set_reg(7, 0x29);
	set_reg(4, 0x23);
	set_reg(2, 0x59);
	set_reg(0, 0x59);
	fake_machine_advance(fm, 5 * NS_PER_S);
	check_date(0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x59);
	set_reg(0xb, 0x02);
	set_reg(0xa, 0x26);
	fake_machine_advance(fm, 499 * NS_PER_MS);
	assert_int_equal(reg(0), 0x59);
	fake_machine_advance(fm, 2 * NS_PER_MS);
	check_date(0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
	/* One register at a time, while it runs. */
	set_reg(2, 0x30);
	check_date(0x20, 0x24, 0x03, 0x01, 0x00, 0x30, 0x00);
	/* What is no date is still survived. */
	set_reg(8, 0xff);
	set_reg(7, 0xff);
	set_reg(4, 0xff);
	(void)reg(8);
}

static void test_update_in_progress(void **state)
{
	(void)state;
	assert_int_equal(reg(0xa) & 0x80, 0);
	fake_machine_advance(fm, NS_PER_S - 200000);
	assert_int_equal(reg(0xa) & 0x80, 0x80);
	fake_machine_advance(fm, 300000);
	assert_int_equal(reg(0xa) & 0x80, 0);
	assert_int_equal(reg(0xc), 0x10 | 0x40);
	assert_int_equal(reg(0xc), 0);
}

static void test_update_interrupt(void **state)
{
	(void)state;
	set_reg(0xb, 0x12);
	assert_false(fm->lines[IRQ].level);
	fake_machine_advance(fm, NS_PER_S);
	assert_true(fm->lines[IRQ].level);
	/* Nobody looks: no more of them. */
	fake_machine_advance(fm, 10 * NS_PER_S);
	assert_int_equal(fm->lines[IRQ].edges, 1);
	assert_int_equal(reg(0xc) & 0x90, 0x90);
	assert_false(fm->lines[IRQ].level);
	fake_machine_advance(fm, NS_PER_S);
	assert_int_equal(fm->lines[IRQ].edges, 2);
}

static void test_periodic_interrupt(void **state)
{
	(void)state;
	set_reg(0xa, 0x26); /* 1024 Hz */
	set_reg(0xb, 0x42);
	(void)reg(0xc);
	for (unsigned int i = 0; i < 100; i++) {
		fake_machine_advance(fm, NS_PER_S / 1024 + 1);
		assert_true(reg(0xc) & 0x40);
	}
	assert_in_range(fm->lines[IRQ].edges, 99, 101);
	set_reg(0xa, 0x21); /* 256 Hz */
	(void)reg(0xc);
	fm->lines[IRQ].edges = 0;
	for (unsigned int i = 0; i < 1024; i++) {
		fake_machine_advance(fm, NS_PER_S / 1024);
		(void)reg(0xc);
	}
	assert_in_range(fm->lines[IRQ].edges, 254, 257);
	set_reg(0xb, 0x02);
	fm->lines[IRQ].edges = 0;
	fake_machine_advance(fm, NS_PER_S);
	assert_int_equal(fm->lines[IRQ].edges, 0);
}

static void test_alarm(void **state)
{
	(void)state;
	set_reg(5, 0x06);
	set_reg(3, 0x30);
	set_reg(1, 0x15);
	set_reg(0xb, 0x22);
	(void)reg(0xc);
	fake_machine_advance(fm, (2 + 6 * 3600 + 30 * 60 + 14) * NS_PER_S);
	assert_false(fm->lines[IRQ].level);
	fake_machine_advance(fm, NS_PER_S);
	assert_true(fm->lines[IRQ].level);
	assert_int_equal(reg(0xc) & 0xa0, 0xa0);
	/* Every hour at half past, in any second: sixty times within that minute. */
	set_reg(5, 0xff);
	set_reg(1, 0xc0);
	fm->lines[IRQ].edges = 0;
	for (unsigned int i = 0; i < 3600; i++) {
		fake_machine_advance(fm, NS_PER_S);
		(void)reg(0xc);
	}
	assert_int_equal(fm->lines[IRQ].edges, 60);
	/* One that no clock ever shows. */
	set_reg(1, 0x75);
	(void)reg(0xc);
	fake_machine_advance(fm, 86400 * NS_PER_S);
	assert_false(fm->lines[IRQ].level);
}

static void test_cmos(void **state)
{
	static const enum rtc_boot order[3] = { RTC_BOOT_CDROM, RTC_BOOT_DISK, RTC_BOOT_FLOPPY };

	(void)state;
	set_reg(0x0e, 0x55);
	fake_outb(fm, 0x72, 0x90);
	fake_outb(fm, 0x73, 0xaa);
	assert_int_equal(fake_inb(fm, 0x73), 0xaa);
	assert_int_equal(rtc_cmos_read(rtc, 0x90), 0xaa);
	device_reset(rtc, RESET_COLD);
	assert_int_equal(reg(0x0e), 0x55);
	rtc_cmos_write(rtc, 0x0f, 0xfe);
	assert_int_equal(reg(0x0f), 0xfe);
	rtc_set_memory(rtc, MIB(512), GIB(2));
	assert_int_equal(reg(0x15) | reg(0x16) << 8, 640);
	assert_int_equal(reg(0x30) | reg(0x31) << 8, 0xffff);
	assert_int_equal(reg(0x34) | reg(0x35) << 8, 496 * 16);
	assert_int_equal(reg(0x5b) | reg(0x5c) << 8 | reg(0x5d) << 16, 0x8000);
	rtc_set_boot_order(rtc, order);
	assert_int_equal(reg(0x3d), 0x23);
	assert_int_equal(reg(0x38), 0x11);
	rtc_set_floppies(rtc, 4, 0);
	assert_int_equal(reg(0x10), 0x40);
	assert_int_equal(reg(0x14), 0x07);
}

static void test_host_clock(void **state)
{
	struct fake_machine *own = fake_machine_create();
	time_t before = time(NULL);
	struct tm tm;
	int minute;

	(void)state;
	fake_machine_create_device(own, "rtc", wire);
	fake_outb(own, 0x70, 2);
	minute = fake_inb(own, 0x71);
	minute = (minute >> 4) * 10 + (minute & 0xf);
	gmtime_r(&before, &tm);
	assert_in_range((minute - tm.tm_min + 60) % 60, 0, 1);
	fake_machine_destroy(own);
}

static void test_bad_base(void **state)
{
	struct fake_machine *own = fake_machine_create();
	struct device *dev;
	struct error err = { 0 };

	(void)state;
	fake_machine_set(own, "rtc", "rtc", "base", "yesterday");
	assert_int_equal(fake_machine_try_create(own, "rtc", wire, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "yesterday"));
	fake_machine_destroy(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_date, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_notations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_setting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_update_in_progress, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_update_interrupt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_periodic_interrupt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_alarm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cmos, set_up, tear_down),
		cmocka_unit_test(test_host_clock),
		cmocka_unit_test(test_bad_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
