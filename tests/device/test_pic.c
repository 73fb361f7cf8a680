/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two 8259A: initialisation, priorities, each end of interrupt, levels, spurious vectors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

#define INTR 20 /* the recorder that INTR is wired to */

static struct fake_machine *fm;
static struct device *pic;

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->output = machine->irqs[INTR];
}

static void init_chips(uint8_t icw4)
{
	fake_outb(fm, 0x20, 0x11);
	fake_outb(fm, 0x21, 0x20);
	fake_outb(fm, 0x21, 0x04);
	fake_outb(fm, 0x21, icw4);
	fake_outb(fm, 0xa0, 0x11);
	fake_outb(fm, 0xa1, 0x28);
	fake_outb(fm, 0xa1, 0x02);
	fake_outb(fm, 0xa1, icw4);
}

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	pic = fake_machine_create_device(fm, "pic", wire);
	init_chips(0x01);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, pic, (const char *const[]){ "chips[0].lines",
								   "chips[1].lines", NULL });
	fake_machine_destroy(fm);
	return 0;
}

static void pin(unsigned int n, bool level)
{
	struct irq_line line = pic_input(pic, n);

	irq_set(&line, level);
}

static void pulse(unsigned int n)
{
	pin(n, true);
	pin(n, false);
}

static void test_priority(void **state)
{
	(void)state;
	assert_false(fm->lines[INTR].level);
	assert_int_equal(pic_intack(pic), -1);
	pulse(5);
	pulse(3);
	assert_true(fm->lines[INTR].level);
	assert_int_equal(pic_intack(pic), 0x23);
	assert_false(fm->lines[INTR].level); /* 5 waits for 3's end */
	pulse(0);
	assert_int_equal(pic_intack(pic), 0x20);
	fake_outb(fm, 0x20, 0x0b);
	assert_int_equal(fake_inb(fm, 0x20), 0x09);
	fake_outb(fm, 0x20, 0x20); /* ends 0, the highest */
	assert_false(fm->lines[INTR].level);
	fake_outb(fm, 0x20, 0x63);
	assert_int_equal(pic_intack(pic), 0x25);
	fake_outb(fm, 0x20, 0x20);
	assert_int_equal(fake_inb(fm, 0x20), 0);
}

static void test_mask(void **state)
{
	(void)state;
	fake_outb(fm, 0x21, 0xfd);
	assert_int_equal(fake_inb(fm, 0x21), 0xfd);
	pulse(4);
	assert_false(fm->lines[INTR].level);
	assert_int_equal(fake_inb(fm, 0x20), 0x10);
	fake_outb(fm, 0x21, 0xef);
	assert_int_equal(pic_intack(pic), 0x24);
}

static void test_cascade(void **state)
{
	(void)state;
	pulse(12);
	pulse(8);
	assert_int_equal(pic_intack(pic), 0x28);
	/* Within the slave's service the master lets none of its lower ones through. */
	pulse(3);
	assert_false(fm->lines[INTR].level);
	pulse(1);
	assert_int_equal(pic_intack(pic), 0x21);
	fake_outb(fm, 0x20, 0x20);
	fake_outb(fm, 0xa0, 0x20);
	fake_outb(fm, 0x20, 0x20);
	assert_int_equal(pic_intack(pic), 0x2c);
	fake_outb(fm, 0xa0, 0x64);
	fake_outb(fm, 0x20, 0x62);
	assert_int_equal(pic_intack(pic), 0x23);
}

static void test_special_nested(void **state)
{
	(void)state;
	init_chips(0x11);
	pulse(12);
	assert_int_equal(pic_intack(pic), 0x2c);
	pulse(9);
	assert_int_equal(pic_intack(pic), 0x29);
}

static void test_levels(void **state)
{
	(void)state;
	fake_outb(fm, 0x4d0, 0xff);
	fake_outb(fm, 0x4d1, 0xff);
	assert_int_equal(fake_inw(fm, 0x4d0), 0xdef8);
	pin(10, true);
	assert_int_equal(pic_intack(pic), 0x2a);
	fake_outb(fm, 0xa0, 0x20);
	fake_outb(fm, 0x20, 0x20);
	assert_int_equal(pic_intack(pic), 0x2a); /* still asserted */
	pin(10, false);
	fake_outb(fm, 0xa0, 0x20);
	fake_outb(fm, 0x20, 0x20);
	assert_false(fm->lines[INTR].level);
}

static void test_spurious(void **state)
{
	(void)state;
	fake_outb(fm, 0x4d0, 0x08);
	fake_outb(fm, 0x4d1, 0x04);
	pin(3, true);
	pin(3, false);
	assert_int_equal(pic_intack(pic), 0x27);
	assert_int_equal(pic_intack(pic), -1);
	pin(10, true);
	pin(10, false);
	assert_int_equal(pic_intack(pic), 0x2f); /* the master still had its edge from the slave */
	fake_outb(fm, 0x20, 0x0b);
	fake_outb(fm, 0xa0, 0x0b);
	assert_int_equal(fake_inb(fm, 0x20), 0x04);
	assert_int_equal(fake_inb(fm, 0xa0), 0x00);
}

static void test_rotation(void **state)
{
	(void)state;
	fake_outb(fm, 0x20, 0xc2); /* 2 becomes the lowest */
	pulse(1);
	pulse(3);
	assert_int_equal(pic_intack(pic), 0x23);
	fake_outb(fm, 0x20, 0xa0); /* end and rotate: 3 the lowest */
	pulse(3);
	pulse(4);
	assert_int_equal(pic_intack(pic), 0x24);
	fake_outb(fm, 0x20, 0xe4); /* specific, rotate */
	assert_int_equal(pic_intack(pic), 0x21);
	fake_outb(fm, 0x20, 0x20);
	assert_int_equal(pic_intack(pic), 0x23);
}

static void test_auto_eoi(void **state)
{
	(void)state;
	init_chips(0x03);
	fake_outb(fm, 0x20, 0x80); /* rotate in automatic EOI */
	pulse(0);
	pulse(6);
	assert_int_equal(pic_intack(pic), 0x20);
	pulse(0);
	assert_int_equal(pic_intack(pic), 0x26);
	assert_int_equal(pic_intack(pic), 0x20);
}

static void test_special_mask(void **state)
{
	(void)state;
	pulse(1);
	assert_int_equal(pic_intack(pic), 0x21);
	fake_outb(fm, 0x21, 0x02);
	pulse(6);
	assert_false(fm->lines[INTR].level);
	fake_outb(fm, 0x20, 0x68);
	assert_int_equal(pic_intack(pic), 0x26);
	fake_outb(fm, 0x20, 0x20); /* not 1, which is masked */
	fake_outb(fm, 0x20, 0x0b);
	assert_int_equal(fake_inb(fm, 0x20), 0x02);
	fake_outb(fm, 0x20, 0x48);
}

static void test_poll(void **state)
{
	(void)state;
	fake_outb(fm, 0x20, 0x0c);
	assert_int_equal(fake_inb(fm, 0x20), 0x00);
	pulse(5);
	fake_outb(fm, 0x20, 0x0c);
	assert_int_equal(fake_inb(fm, 0x20), 0x85);
	assert_false(fm->lines[INTR].level);
	fake_outb(fm, 0x20, 0x0b);
	assert_int_equal(fake_inb(fm, 0x20), 0x20);
}

static void test_icw1_forgets_edges(void **state)
{
	(void)state;
	fake_outb(fm, 0x4d0, 0x20);
	pin(5, true);
	pulse(1);
	fake_outb(fm, 0x21, 0xff);
	init_chips(0x01);
	assert_int_equal(fake_inb(fm, 0x21), 0);
	assert_int_equal(pic_intack(pic), 0x25);
	pin(5, false);
}

static void test_forged_state(void **state)
{
	static const char *const fields[] = { "chips[1].highest", "chips[0].init_step", "intr" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct fake_image image;
		struct error err = { 0 };

		fake_state_save(pic, &image);
		*fake_image_field(&image, fields[i]) ^= i == 2 ? 1 : 8;
		assert_int_equal(fake_state_load(pic, &image, &err), -EINVAL);
		*fake_image_field(&image, fields[i]) ^= i == 2 ? 1 : 8;
		assert_int_equal(fake_state_load(pic, &image, &err), 0);
		fake_image_finish(&image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_priority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cascade, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_special_nested, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spurious, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_auto_eoi, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_special_mask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_poll, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_icw1_forgets_edges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged_state, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
