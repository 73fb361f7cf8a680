/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The HPET: counter, one-shot and periodic timers, levels, legacy replacement routing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

#define CONFIG 0x10
#define STATUS 0x20
#define COUNTER 0xf0
#define TN(n) (0x100 + 0x20 * (n))
#define ROUTE(pin) ((pin) << 9)

static struct fake_machine *fm;
static struct device *hpet;

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	hpet = fake_machine_create_device(fm, "hpet", NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, hpet, (const char *const[]){ "inputs", NULL });
	fake_machine_destroy(fm);
	return 0;
}

static uint64_t reg(unsigned int offset)
{
	return fake_mmio_read(fm, HPET_BASE + offset, 8);
}

static void set_reg(unsigned int offset, uint64_t value)
{
	fake_mmio_write(fm, HPET_BASE + offset, value, 8);
}

static void test_counter(void **state)
{
	(void)state;
	assert_int_equal(reg(0), UINT64_C(0x009896808086a201));
	assert_int_equal(hpet_id(hpet), 0x8086a201);
	set_reg(COUNTER, 0x1fffffff0);
	fake_machine_advance(fm, NS_PER_S);
	assert_int_equal(reg(COUNTER), 0x1fffffff0);
	set_reg(CONFIG, 1);
	fake_machine_advance(fm, 1000);
	assert_int_equal(reg(COUNTER), UINT64_C(0x200000054));
	assert_int_equal(fake_mmio_read(fm, HPET_BASE + COUNTER, 4), 0x54);
	assert_int_equal(fake_mmio_read(fm, HPET_BASE + COUNTER + 4, 4), 2);
	set_reg(CONFIG, 0);
	fake_machine_advance(fm, 1000);
	assert_int_equal(reg(COUNTER), UINT64_C(0x200000054));
	fake_mmio_write(fm, HPET_BASE + COUNTER + 4, 7, 4);
	assert_int_equal(reg(COUNTER), UINT64_C(0x700000054));
}

static void test_one_shot(void **state)
{
	(void)state;
	set_reg(CONFIG, 1);
	set_reg(TN(2), 4 | ROUTE(20));
	assert_int_equal(reg(TN(2)), UINT64_C(0x00f0000000000034) | ROUTE(20));
	set_reg(TN(2) + 8, reg(COUNTER) + 100);
	fake_machine_advance(fm, 990);
	assert_int_equal(fm->lines[20].edges, 0);
	fake_machine_advance(fm, 20);
	assert_int_equal(fm->lines[20].edges, 1);
	fake_machine_advance(fm, 100 * NS_PER_S);
	assert_int_equal(fm->lines[20].edges, 1);
	/* In 32-bit mode the comparator matches again when the low half comes round. */
	set_reg(TN(2), 4 | 0x100 | ROUTE(20));
	set_reg(TN(2) + 8, (reg(COUNTER) + 100) & UINT32_MAX);
	fake_machine_advance(fm, 2000);
	assert_int_equal(fm->lines[20].edges, 2);
	fake_machine_advance(fm, 43 * NS_PER_S);
	assert_int_equal(fm->lines[20].edges, 3);
}

static void test_periodic(void **state)
{
	(void)state;
	set_reg(TN(0), 4 | 8 | 0x40 | ROUTE(21));
	set_reg(TN(0) + 8, 1000);
	assert_int_equal(reg(TN(0)) & 0x40, 0);
	set_reg(TN(0) + 8, 100000); /* 1 ms */
	set_reg(CONFIG, 1);
	fake_machine_advance(fm, 10000);
	assert_int_equal(fm->lines[21].edges, 1);
	assert_int_equal(reg(TN(0) + 8), 101000);
	for (unsigned int i = 0; i < 10; i++) {
		fake_machine_advance(fm, NS_PER_MS);
	}
	assert_int_equal(fm->lines[21].edges, 11);
	/* Disabled, the comparator moves on all the same. */
	set_reg(TN(0), 8 | ROUTE(21));
	fake_machine_advance(fm, 10 * NS_PER_MS);
	assert_int_equal(fm->lines[21].edges, 11);
	assert_int_equal(reg(TN(0) + 8), 2101000);
	/* A period that no host keeps up with is thinned out. */
	set_reg(TN(0), 4 | 8 | ROUTE(21));
	set_reg(TN(0) + 8, 1);
	fm->lines[21].edges = 0;
	fake_machine_advance(fm, 5 * NS_PER_MS);
	assert_in_range(fm->lines[21].edges, 10, 300);
}

static void test_level(void **state)
{
	(void)state;
	set_reg(CONFIG, 1);
	set_reg(TN(1), 2 | 4 | ROUTE(22));
	set_reg(TN(1) + 8, 10);
	fake_machine_advance(fm, 1000);
	assert_true(fm->lines[22].level);
	assert_int_equal(reg(STATUS), 2);
	set_reg(STATUS, 5);
	assert_true(fm->lines[22].level);
	set_reg(STATUS, 2);
	assert_false(fm->lines[22].level);
	assert_int_equal(reg(STATUS), 0);
}

static void test_legacy_routing(void **state)
{
	struct irq_line pit = hpet_legacy_input(hpet, HPET_LEGACY_PIT);
	struct irq_line rtc = hpet_legacy_input(hpet, HPET_LEGACY_RTC);

	(void)state;
	irq_set(&pit, true);
	irq_set(&rtc, true);
	assert_true(fm->lines[0].level && fm->lines[8].level);
	set_reg(TN(0), 4);
	set_reg(TN(0) + 8, 100);
	set_reg(CONFIG, 3);
	assert_false(fm->lines[0].level || fm->lines[8].level);
	fm->lines[0].edges = 0;
	irq_pulse(&pit);
	assert_int_equal(fm->lines[0].edges, 0);
	fake_machine_advance(fm, 2000);
	assert_int_equal(fm->lines[0].edges, 1);
	set_reg(CONFIG, 1);
	assert_false(fm->lines[0].level);
	assert_true(fm->lines[8].level);
	irq_set(&rtc, false);
	assert_false(fm->lines[8].level);
}

static void test_no_route(void **state)
{
	(void)state;
	set_reg(CONFIG, 1);
	set_reg(TN(2), 4 | ROUTE(3));
	set_reg(TN(2) + 8, 10);
	fake_machine_advance(fm, 1000);
	for (unsigned int n = 0; n < FAKE_IRQS; n++) {
		assert_int_equal(fm->lines[n].edges, 0);
	}
	assert_int_equal(reg(TN(3)), 0);
	set_reg(TN(3), UINT64_MAX);
	fake_mmio_write(fm, HPET_BASE + 0x3ff, 0xff, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_shot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_periodic, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_level, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_legacy_routing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_route, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
