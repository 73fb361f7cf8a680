/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keyboard controller with keyboard and mouse: commands, scan codes, packets, interrupts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <linux/input-event-codes.h>

#include "device/fake_machine.h"
#include "display/input.h"

static struct fake_machine *fm;
static struct device *ctl;
static struct input_router *router;

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->input = machine == fm ? router : NULL;
}

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	if (input_router_create(&router, NULL) < 0) {
		return -1;
	}
	ctl = fake_machine_create_device(fm, "i8042", wire);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, ctl, NULL);
	fake_machine_destroy(fm);
	input_router_destroy(router);
	return 0;
}

/* The next byte, waiting for it as a driver would; -1 when there is none. */
static int next_byte(bool *ret_aux)
{
	fake_machine_advance(fm, 300000);
	if (!(fake_inb(fm, 0x64) & 1)) {
		return -1;
	}
	if (ret_aux) {
		*ret_aux = fake_inb(fm, 0x64) & 0x20;
	}
	return fake_inb(fm, 0x60);
}

static void expect(const char *hex)
{
	while (*hex) {
		unsigned int value;
		int used;

		assert_int_equal(sscanf(hex, "%2x %n", &value, &used), 1);
		assert_int_equal(next_byte(NULL), value);
		hex += used;
	}
	assert_int_equal(next_byte(NULL), -1);
}

static void keyboard(uint8_t byte)
{
	fake_outb(fm, 0x60, byte);
}

static void mouse(uint8_t byte)
{
	fake_outb(fm, 0x64, 0xd4);
	fake_outb(fm, 0x60, byte);
}

static void set_mode(uint8_t mode)
{
	fake_outb(fm, 0x64, 0x60);
	fake_outb(fm, 0x60, mode);
}

static void press(unsigned int code)
{
	input_key(router, code, true);
	input_key(router, code, false);
}

static void test_controller(void **state)
{
	(void)state;
	assert_int_equal(fake_inb(fm, 0x64), 0x1c);
	fake_outb(fm, 0x64, 0xaa);
	expect("55");
	fake_outb(fm, 0x64, 0xab);
	expect("00");
	fake_outb(fm, 0x64, 0xa9);
	expect("00");
	fake_outb(fm, 0x64, 0x20);
	expect("47");
	set_mode(0x65);
	fake_outb(fm, 0x64, 0x20);
	expect("65");
	fake_outb(fm, 0x64, 0xa8);
	fake_outb(fm, 0x64, 0xad);
	fake_outb(fm, 0x64, 0x20);
	expect("55");
	fake_outb(fm, 0x64, 0xd2);
	fake_outb(fm, 0x60, 0xa7);
	assert_int_equal(fake_inb(fm, 0x64) & 0x21, 0x01);
	expect("a7");
	fake_outb(fm, 0x64, 0xd3);
	fake_outb(fm, 0x60, 0x5a);
	assert_int_equal(fake_inb(fm, 0x64) & 0x21, 0x21);
	expect("5a");
	fake_outb(fm, 0x64, 0xc0);
	expect("80");
	fake_outb(fm, 0x64, 0xa4);
	expect("f1");
}

static void test_reset_and_a20(void **state)
{
	(void)state;
	fake_outb(fm, 0x64, 0xd0);
	expect("c3");
	fake_outb(fm, 0x64, 0xdd);
	fake_outb(fm, 0x64, 0xd0);
	expect("c1");
	fake_outb(fm, 0x64, 0xd1);
	fake_outb(fm, 0x60, 0xdf);
	fake_outb(fm, 0x64, 0xd0);
	expect("c3");
	fake_outb(fm, 0x64, 0xff);
	assert_int_equal(fm->power.resets, 0);
	fake_outb(fm, 0x64, 0xfe);
	assert_int_equal(fm->power.resets, 1);
	fake_outb(fm, 0x64, 0xd1);
	fake_outb(fm, 0x60, 0x02);
	assert_int_equal(fm->power.resets, 2);
}

static void test_keyboard_commands(void **state)
{
	(void)state;
	keyboard(0xff);
	expect("fa aa");
	keyboard(0xee);
	expect("ee");
	keyboard(0xf2);
	expect("fa ab 41"); /* translated */
	set_mode(0x05);
	keyboard(0xf2);
	expect("fa ab 83");
	keyboard(0xfe);
	expect("83");
	keyboard(0xed);
	expect("fa");
	keyboard(0x07);
	expect("fa");
	keyboard(0xf3);
	expect("fa");
	keyboard(0x20);
	expect("fa");
	keyboard(0xf0);
	expect("fa");
	keyboard(0x00);
	expect("fa 02");
	keyboard(0xe5);
	expect("fe");
	keyboard(0xf5);
	expect("fa");
	press(KEY_A);
	expect("");
	keyboard(0xf4);
	expect("fa");
	press(KEY_A);
	expect("1c f0 1c");
	/* A command that waits for a parameter is ended by another command. */
	keyboard(0xed);
	expect("fa");
	keyboard(0xf4);
	expect("fa");
}

static void test_translated_codes(void **state)
{
	(void)state;
	press(KEY_A);
	expect("1e 9e");
	press(KEY_F7);
	expect("41 c1");
	press(KEY_UP);
	expect("e0 48 e0 c8");
	press(KEY_SYSRQ);
	expect("e0 2a e0 37 e0 b7 e0 aa");
	press(KEY_PAUSE);
	expect("e1 1d 45 e1 9d c5");
	input_key(router, KEY_LEFTALT, true);
	press(KEY_SYSRQ);
	input_key(router, KEY_LEFTALT, false);
	expect("38 54 d4 b8");
	input_key(router, KEY_RIGHTCTRL, true);
	press(KEY_PAUSE);
	input_key(router, KEY_RIGHTCTRL, false);
	expect("e0 1d e0 46 e0 c6 e0 9d");
	press(KEY_RESERVED);
	press(0x2ff);
	expect("");
}

/* Every key that set 1 has comes out of set 2 through the translation as itself. */
static void test_all_keys(void **state)
{
	(void)state;
	for (unsigned int code = KEY_ESC; code <= KEY_F12; code++) {
		if (code == 84 || code == KEY_ZENKAKUHANKAKU) {
			continue;
		}
		press(code);
		assert_int_equal(next_byte(NULL), code);
		assert_int_equal(next_byte(NULL), code | 0x80);
	}
}

static void test_raw_sets(void **state)
{
	(void)state;
	set_mode(0x05);
	press(KEY_DELETE);
	expect("e0 71 e0 f0 71");
	press(KEY_PAUSE);
	expect("e1 14 77 e1 f0 14 f0 77");
	keyboard(0xf0);
	expect("fa");
	keyboard(0x01);
	expect("fa");
	press(KEY_RIGHT);
	expect("e0 4d e0 cd");
	keyboard(0xf0);
	expect("fa");
	keyboard(0x03);
	expect("fa");
	press(KEY_RIGHT);
	press(KEY_Q);
	press(KEY_PAUSE);
	expect("6a f0 6a 15 f0 15 62 f0 62");
	keyboard(0xf9);
	expect("fa");
	press(KEY_ENTER);
	expect("5a");
	keyboard(0xfc);
	expect("fa");
	keyboard(0x12);
	expect("fa");
	keyboard(0x59);
	expect("fa");
}

static void test_interrupts(void **state)
{
	(void)state;
	press(KEY_B);
	assert_true(fm->lines[1].level);
	assert_int_equal(fake_inb(fm, 0x60), 0x30);
	assert_false(fm->lines[1].level);
	/* A handler that reads twice finds the same byte; the next one comes a little later. */
	assert_int_equal(fake_inb(fm, 0x60), 0x30);
	assert_int_equal(fm->lines[1].edges, 1);
	fake_machine_advance(fm, 300000);
	assert_int_equal(fm->lines[1].edges, 2);
	assert_int_equal(fake_inb(fm, 0x60), 0xb0);
	fake_outb(fm, 0x64, 0xad);
	press(KEY_B);
	fake_machine_advance(fm, NS_PER_S);
	assert_int_equal(fm->lines[1].edges, 2);
	fake_outb(fm, 0x64, 0xae);
	assert_int_equal(fm->lines[1].edges, 3);
	set_mode(0x44);
	assert_false(fm->lines[1].level);
	expect("30 b0");
}

static void test_overflow(void **state)
{
	unsigned int count = 0;

	(void)state;
	for (unsigned int i = 0; i < 500; i++) {
		press(KEY_INSERT);
	}
	while (next_byte(NULL) >= 0) {
		count++;
	}
	assert_in_range(count, 20, 200);
	press(KEY_A);
	expect("1e 9e");
}

static void test_mouse_commands(void **state)
{
	bool aux;

	(void)state;
	mouse(0xff);
	assert_int_equal(next_byte(&aux), 0xfa);
	assert_true(aux);
	expect("aa 00");
	mouse(0xf2);
	expect("fa 00");
	mouse(0xe8);
	expect("fa");
	mouse(0x03);
	expect("fa");
	mouse(0xe9);
	expect("fa 00 03 64");
	mouse(0xee);
	expect("fa");
	mouse(0xe9);
	expect("e9");
	mouse(0xec);
	expect("fa");
	mouse(0x00);
	expect("fe");
	mouse(0xf0);
	expect("fa");
	input_button(router, INPUT_BUTTON_RIGHT, true);
	mouse(0xeb);
	expect("fa 0a 00 00");
	mouse(0xe9);
	expect("fa 41 03 64");
	input_button(router, INPUT_BUTTON_RIGHT, false);
}

static void move(int dx, int dy)
{
	input_relative(router, dx, dy);
	input_sync(router);
}

static void rate(uint8_t value)
{
	mouse(0xf3);
	expect("fa");
	mouse(value);
	expect("fa");
}

static void test_mouse_packets(void **state)
{
	(void)state;
	move(5, 5); /* nobody listens yet */
	mouse(0xf4);
	expect("fa");
	move(1, 2);
	expect("28 01 fe");
	assert_int_equal(fm->lines[1].edges, 0);
	assert_true(fm->lines[12].edges >= 3);
	input_button(router, INPUT_BUTTON_LEFT, true);
	input_sync(router);
	expect("09 00 00");
	move(300, 0);
	expect("09 ff 00 09 2d 00");
	input_button(router, INPUT_BUTTON_LEFT, false);
	move(-1, 0);
	expect("18 ff 00");
	/* A driver that is behind gets few packets with all of the way. */
	for (unsigned int i = 0; i < 100; i++) {
		move(2, 0);
	}
	{
		int sum = 0;

		for (;;) {
			int flags = next_byte(NULL);

			if (flags < 0) {
				break;
			}
			sum += next_byte(NULL);
			(void)next_byte(NULL);
		}
		assert_int_equal(sum, 200);
	}
	input_button(router, INPUT_BUTTON_WHEEL_UP, true);
	input_sync(router);
	expect("");
}

static void test_wheel_and_five_buttons(void **state)
{
	(void)state;
	rate(200);
	rate(100);
	rate(80);
	mouse(0xf2);
	expect("fa 03");
	mouse(0xf4);
	expect("fa");
	input_button(router, INPUT_BUTTON_WHEEL_UP, true);
	input_button(router, INPUT_BUTTON_WHEEL_UP, false);
	input_sync(router);
	expect("08 00 00 ff");
	rate(200);
	rate(200);
	rate(80);
	mouse(0xf2);
	expect("fa 04");
	input_button(router, INPUT_BUTTON_WHEEL_DOWN, true);
	input_button(router, INPUT_BUTTON_SIDE, true);
	input_sync(router);
	expect("08 00 00 11");
	input_button(router, INPUT_BUTTON_SIDE, false);
	input_sync(router);
	expect("08 00 00 00");
}

static void test_scaling(void **state)
{
	(void)state;
	mouse(0xe7);
	expect("fa");
	mouse(0xf4);
	expect("fa");
	move(4, -9);
	expect("08 06 12");
	mouse(0xe6);
	expect("fa");
	move(4, 0);
	expect("08 04 00");
}

static void test_forged_state(void **state)
{
	struct fake_image image;
	struct error err = { 0 };

	(void)state;
	fake_state_save(ctl, &image);
	*fake_image_field(&image, "kbd.port.data_head") = 0xff;
	assert_int_equal(fake_state_load(ctl, &image, &err), -EINVAL);
	*fake_image_field(&image, "kbd.port.data_head") = 0;
	*fake_image_field(&image, "mouse.port.reply_count") = 9;
	assert_int_equal(fake_state_load(ctl, &image, &err), -EINVAL);
	*fake_image_field(&image, "mouse.port.reply_count") = 0;
	*fake_image_field(&image, "kbd.set") = 4;
	assert_int_equal(fake_state_load(ctl, &image, &err), -EINVAL);
	*fake_image_field(&image, "kbd.set") = 2;
	assert_int_equal(fake_state_load(ctl, &image, &err), 0);
	fake_image_finish(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_controller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset_and_a20, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keyboard_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_translated_codes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_raw_sets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overflow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mouse_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mouse_packets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wheel_and_five_buttons, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_scaling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged_state, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
