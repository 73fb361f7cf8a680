/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 8254: its modes against the machine clock, latches, gates and the interrupt of counter 0. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_machine.h"

#define OUT0 0
#define TICK_NS(n) ((uint64_t)(n) * 1000000000 / 1193182 + 1)

static struct fake_machine *fm;
static struct device *pit;

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->output = machine->irqs[OUT0];
}

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	pit = fake_machine_create_device(fm, "pit", wire);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, pit, NULL);
	fake_machine_destroy(fm);
	return 0;
}

static void program(unsigned int counter, uint8_t control, uint16_t count)
{
	fake_outb(fm, 0x43, counter << 6 | control);
	fake_outb(fm, 0x40 + counter, count & 0xff);
	fake_outb(fm, 0x40 + counter, count >> 8);
}

static uint16_t read_count(unsigned int counter)
{
	uint8_t low;

	fake_outb(fm, 0x43, counter << 6);
	low = fake_inb(fm, 0x40 + counter);
	return low | fake_inb(fm, 0x40 + counter) << 8;
}

static uint8_t status(unsigned int counter)
{
	fake_outb(fm, 0x43, 0xe0 | 2u << counter);
	return fake_inb(fm, 0x40 + counter);
}

static void test_periodic(void **state)
{
	(void)state;
	program(0, 0x34, 1000);
	assert_true(fm->lines[OUT0].level);
	fm->lines[OUT0].edges = 0;
	for (unsigned int i = 1; i <= 50; i++) {
		fake_machine_advance(fm, TICK_NS(1000));
		assert_in_range(fm->lines[OUT0].edges, i - 1, i);
	}
	/* No storm after a long sleep of the host: each timer runs once. */
	program(0, 0x36, 1000);
	fm->lines[OUT0].edges = 0;
	fake_machine_advance(fm, TICK_NS(100500));
	assert_in_range(fm->lines[OUT0].edges, 99, 101);
	/* A stopped counter arms nothing. */
	fake_outb(fm, 0x43, 0x30);
	assert_false(fm->lines[OUT0].level);
	fm->lines[OUT0].edges = 0;
	fake_machine_advance(fm, NS_PER_S);
	assert_int_equal(fm->lines[OUT0].edges, 0);
}

static void test_tiny_period(void **state)
{
	(void)state;
	program(0, 0x34, 1);
	fm->lines[OUT0].edges = 0;
	fake_machine_advance(fm, NS_PER_MS);
	assert_in_range(fm->lines[OUT0].edges, 10, 50);
}

static void test_one_shot(void **state)
{
	(void)state;
	program(0, 0x30, 5000);
	assert_false(fm->lines[OUT0].level);
	fake_machine_advance(fm, TICK_NS(4990));
	assert_false(fm->lines[OUT0].level);
	fake_machine_advance(fm, TICK_NS(20));
	assert_true(fm->lines[OUT0].level);
	assert_in_range(read_count(0), 0xffe0, 0xffff); /* counts on through zero */
	assert_int_equal(status(0), 0xb0);
}

static void test_strobe(void **state)
{
	(void)state;
	program(0, 0x38, 100);
	assert_true(fm->lines[OUT0].level);
	fm->lines[OUT0].edges = 0;
	fake_machine_advance(fm, TICK_NS(200));
	assert_int_equal(fm->lines[OUT0].edges, 1);
	fake_machine_advance(fm, TICK_NS(200000));
	assert_int_equal(fm->lines[OUT0].edges, 1);
}

static void test_reading(void **state)
{
	uint16_t first;

	(void)state;
	program(0, 0x34, 0);
	fake_machine_advance(fm, TICK_NS(0x1000));
	first = read_count(0);
	assert_in_range(first, 0xeff0, 0xf001);
	/* A latched value stands until it is read; a second latch changes nothing. */
	fake_outb(fm, 0x43, 0x00);
	fake_machine_advance(fm, TICK_NS(0x800));
	fake_outb(fm, 0x43, 0x00);
	assert_int_equal(fake_inb(fm, 0x40), first & 0xff);
	assert_int_equal(fake_inb(fm, 0x40), first >> 8);
	/* Read-back: the status first, then the count. */
	fake_outb(fm, 0x43, 0xc2);
	assert_int_equal(fake_inb(fm, 0x40), 0xb4);
	first = fake_inb(fm, 0x40);
	first |= fake_inb(fm, 0x40) << 8;
	assert_in_range(first, 0xe7f0, 0xe801);
	assert_int_equal(fake_inb(fm, 0x43), 0);
}

static void test_null_count(void **state)
{
	(void)state;
	fake_outb(fm, 0x43, 0x34);
	assert_int_equal(status(0), 0xf4);
	fake_outb(fm, 0x40, 0x10);
	fake_outb(fm, 0x40, 0x27);
	fake_machine_advance(fm, TICK_NS(2));
	assert_int_equal(status(0), 0xb4);
	/* A new count waits for the end of the period. */
	fake_outb(fm, 0x40, 100);
	fake_outb(fm, 0x40, 0);
	assert_int_equal(status(0), 0xf4);
	fake_machine_advance(fm, TICK_NS(10010));
	assert_int_equal(status(0) & 0x40, 0);
	assert_in_range(read_count(0), 1, 100);
}

static void test_square_wave(void **state)
{
	(void)state;
	fake_outb(fm, 0x61, 0x01);
	program(2, 0x36, 1001);
	fake_machine_advance(fm, TICK_NS(1));
	assert_int_equal(read_count(2) & 1, 0);
	assert_true(fake_inb(fm, 0x61) & 0x20);
	fake_machine_advance(fm, TICK_NS(498));
	assert_true(fake_inb(fm, 0x61) & 0x20);
	fake_machine_advance(fm, TICK_NS(10));
	assert_false(fake_inb(fm, 0x61) & 0x20);
	fake_machine_advance(fm, TICK_NS(500));
	assert_true(fake_inb(fm, 0x61) & 0x20);
}

/* As systems calibrate their TSC: gate on, mode 0, wait for OUT2. */
static void test_gate2_mode0(void **state)
{
	(void)state;
	program(2, 0x30, 10000);
	fake_machine_advance(fm, TICK_NS(20000));
	assert_int_equal(fake_inb(fm, 0x61) & 0x21, 0); /* the gate holds it */
	assert_int_equal(read_count(2), 10000);
	fake_outb(fm, 0x61, 0x01);
	fake_machine_advance(fm, TICK_NS(6000));
	fake_outb(fm, 0x61, 0x00);
	fake_machine_advance(fm, TICK_NS(6000));
	assert_in_range(read_count(2), 3990, 4000);
	fake_outb(fm, 0x61, 0x01);
	fake_machine_advance(fm, TICK_NS(3980));
	assert_int_equal(fake_inb(fm, 0x61) & 0x20, 0);
	fake_machine_advance(fm, TICK_NS(40));
	assert_int_equal(fake_inb(fm, 0x61) & 0x21, 0x21);
}

static void test_gate2_triggers(void **state)
{
	(void)state;
	program(2, 0x32, 1000);
	assert_true(fake_inb(fm, 0x61) & 0x20);
	fake_machine_advance(fm, TICK_NS(5000));
	fake_outb(fm, 0x61, 0x01);
	fake_machine_advance(fm, TICK_NS(500));
	assert_false(fake_inb(fm, 0x61) & 0x20);
	/* Retriggered, it starts over. */
	fake_outb(fm, 0x61, 0x00);
	fake_outb(fm, 0x61, 0x01);
	fake_machine_advance(fm, TICK_NS(900));
	assert_false(fake_inb(fm, 0x61) & 0x20);
	fake_machine_advance(fm, TICK_NS(110));
	assert_true(fake_inb(fm, 0x61) & 0x20);
}

static void test_bcd_and_bytes(void **state)
{
	(void)state;
	program(0, 0x35, 0x1000);
	fake_machine_advance(fm, TICK_NS(2));
	assert_int_equal(read_count(0), 0x0999);
	fake_outb(fm, 0x43, 0x15); /* low byte only, mode 2, BCD */
	fake_outb(fm, 0x40, 0x50);
	fake_machine_advance(fm, TICK_NS(2));
	assert_int_equal(fake_inb(fm, 0x40), 0x49);
	assert_int_equal(fake_inb(fm, 0x40), 0x49);
	fake_outb(fm, 0x43, 0x24); /* high byte only */
	fake_outb(fm, 0x40, 0x02);
	fake_machine_advance(fm, TICK_NS(2));
	assert_int_equal(fake_inb(fm, 0x40), 0x01);
}

static void test_refresh_toggles(void **state)
{
	uint8_t first;

	(void)state;
	first = fake_inb(fm, 0x61) & 0x10;
	fake_machine_advance(fm, 15085);
	assert_int_not_equal(fake_inb(fm, 0x61) & 0x10, first);
	fake_outb(fm, 0x61, 0xff);
	assert_int_equal(fake_inb(fm, 0x61) & 0xcf, 0x0f);
	fake_outb(fm, 0x61, 0);
}

static void test_forged_state(void **state)
{
	struct fake_image image;
	struct error err = { 0 };

	(void)state;
	fake_state_save(pit, &image);
	*fake_image_field(&image, "counters[1].count") ^= 1;
	assert_int_equal(fake_state_load(pit, &image, &err), -EINVAL);
	*fake_image_field(&image, "counters[1].count") ^= 1;
	*fake_image_field(&image, "counters[2].mode") = 6;
	assert_int_equal(fake_state_load(pit, &image, &err), -EINVAL);
	*fake_image_field(&image, "counters[2].mode") = 0;
	assert_int_equal(fake_state_load(pit, &image, &err), 0);
	fake_image_finish(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_periodic, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tiny_period, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_shot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strobe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_null_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_square_wave, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gate2_mode0, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gate2_triggers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bcd_and_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refresh_toggles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged_state, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
