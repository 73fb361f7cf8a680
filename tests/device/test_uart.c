/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 16550A: FIFO and triggers, each interrupt in its order, loopback, flow to the back end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_machine.h"
#include "guestlink/char_backend.h"

#define BASE 0x2f8
#define IRQ 3

static struct fake_machine *fm;
static struct device *uart;

/* A back end that keeps what it is given and sends what the test says. */
static struct pipe {
	struct char_backend backend;
	uint8_t out[64];
	size_t out_size;
	unsigned int ready;
} line;

static size_t line_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	(void)backend;
	for (size_t i = 0; i < size; i++) {
		line.out[line.out_size++ % sizeof(line.out)] = data[i];
	}
	return size;
}

static void line_ready(struct char_backend *backend)
{
	(void)backend;
	line.ready++;
}

static const struct char_backend_ops line_ops = {
	.name = "test",
	.write = line_write,
	.ready = line_ready,
};

/* Send as a back end does: no more than there is room for. Returns what was taken. */
static size_t send_bytes(const char *text)
{
	size_t room = line.backend.client.can_receive(line.backend.client.opaque);
	size_t size = MIN(room, strlen(text));

	if (size) {
		line.backend.client.receive(line.backend.client.opaque, (const uint8_t *)text,
					    size);
	}
	return size;
}

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->path = "serial.1";
	/* The instance that checks compare with has a line of its own: none. */
	env->chr = machine == fm ? &line.backend : NULL;
	if (machine != fm) {
		fake_machine_set(machine, "uart", "serial.1", "port", "0x2f8");
		fake_machine_set(machine, "uart", "serial.1", "irq", "3");
	}
}

static int set_up(void **state)
{
	(void)state;
	memset(&line, 0, sizeof(line));
	line.backend.ops = &line_ops;
	fm = fake_machine_create();
	fake_machine_set(fm, "uart", "serial.1", "port", "0x2f8");
	fake_machine_set(fm, "uart", "serial.1", "irq", "3");
	uart = fake_machine_create_device(fm, "uart", wire);
	line.ready = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, uart, NULL);
	fake_machine_destroy(fm);
	return 0;
}

static uint8_t reg(unsigned int n)
{
	return fake_inb(fm, BASE + n);
}

static void set_reg(unsigned int n, uint8_t value)
{
	fake_outb(fm, BASE + n, value);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(reg(5), 0x60);
	assert_int_equal(reg(6), 0xb0);
	assert_int_equal(reg(2), 0x01);
	set_reg(7, 0xa5);
	assert_int_equal(reg(7), 0xa5);
	set_reg(1, 0xff);
	assert_int_equal(reg(1), 0x0f);
	set_reg(3, 0x83);
	set_reg(0, 0x01);
	set_reg(1, 0x02);
	assert_int_equal(reg(0), 0x01);
	assert_int_equal(reg(1), 0x02);
	set_reg(3, 0x03);
	assert_int_equal(reg(1), 0x0f);
	set_reg(2, 0xff);
	assert_int_equal(reg(2) & 0xf0, 0xc0);
	set_reg(2, 0);
	assert_int_equal(reg(2) & 0xf0, 0);
}

static void test_transmit(void **state)
{
	(void)state;
	set_reg(4, 0x08);
	set_reg(1, 0x02);
	assert_true(fm->lines[IRQ].level); /* it is empty */
	assert_int_equal(reg(2), 0x02);
	assert_false(fm->lines[IRQ].level);
	assert_int_equal(reg(2), 0x01);
	set_reg(0, 'A');
	assert_true(fm->lines[IRQ].level);
	set_reg(0, 'B');
	assert_int_equal(line.out_size, 2);
	assert_memory_equal(line.out, "AB", 2);
	set_reg(1, 0);
	assert_false(fm->lines[IRQ].level);
	/* OUT2 gates the line. */
	set_reg(1, 2);
	assert_true(fm->lines[IRQ].level);
	set_reg(4, 0);
	assert_false(fm->lines[IRQ].level);
}

static void test_receive_without_fifo(void **state)
{
	(void)state;
	set_reg(4, 0x08);
	set_reg(1, 0x01);
	assert_int_equal(send_bytes("xyz"), 1);
	assert_int_equal(send_bytes("yz"), 0);
	assert_int_equal(reg(5), 0x61);
	assert_int_equal(reg(2), 0x04);
	assert_true(fm->lines[IRQ].level);
	assert_int_equal(line.ready, 0);
	assert_int_equal(reg(0), 'x');
	assert_int_equal(line.ready, 1); /* there is room again */
	assert_false(fm->lines[IRQ].level);
	assert_int_equal(reg(0), 0);
}

static void test_receive_with_fifo(void **state)
{
	(void)state;
	set_reg(2, 0x81); /* trigger at 8 */
	set_reg(4, 0x08);
	set_reg(1, 0x01);
	assert_int_equal(send_bytes("1234567"), 7);
	assert_int_equal(reg(2), 0xc1);
	/* Below the trigger for four characters: time-out. */
	fake_machine_advance(fm, NS_PER_MS);
	assert_int_equal(reg(2), 0xcc);
	assert_true(fm->lines[IRQ].level);
	assert_int_equal(reg(0), '1');
	assert_int_equal(reg(2), 0xc1);
	assert_int_equal(send_bytes("89abcdefghijkl"), 10); /* full */
	assert_int_equal(reg(2), 0xc4);
	assert_int_equal(send_bytes("i"), 0);
	for (const char *c = "23456789abcdefgh"; *c; c++) {
		assert_int_equal(reg(5), 0x61);
		assert_int_equal(reg(0), *c);
	}
	assert_int_equal(reg(5), 0x60);
	assert_int_equal(line.ready, 1);
	/* Clearing it makes room too. */
	assert_int_equal(send_bytes("0123456789abcdef"), 16);
	assert_int_equal(send_bytes("x"), 0);
	set_reg(2, 0x83);
	assert_int_equal(reg(5), 0x60);
	assert_int_equal(line.ready, 2);
}

static void test_loopback(void **state)
{
	(void)state;
	set_reg(4, 0x10);
	assert_int_equal(reg(6) & 0xf0, 0);
	set_reg(4, 0x1a);
	assert_int_equal(reg(6) & 0xf0, 0x90);
	assert_int_equal(send_bytes("x"), 0); /* the wire is cut */
	set_reg(0, 'L');
	assert_int_equal(line.out_size, 0);
	assert_int_equal(reg(5), 0x61);
	set_reg(0, 'M');
	assert_int_equal(reg(5), 0x63); /* overrun */
	assert_int_equal(reg(5), 0x61);
	assert_int_equal(reg(0), 'L');
	set_reg(1, 0x0f);
	set_reg(0, 'N');
	set_reg(0, 'O');
	(void)reg(6);
	set_reg(4, 0x18);
	/* All of them at once, in their order. */
	assert_int_equal(reg(2), 0x06);
	(void)reg(5);
	assert_int_equal(reg(2), 0x04);
	(void)reg(0);
	assert_int_equal(reg(2), 0x02);
	assert_int_equal(reg(2), 0x00);
	assert_int_equal(reg(6) & 0x0f, 0x01);
	assert_int_equal(reg(2), 0x01);
	line.ready = 0;
	set_reg(4, 0x08);
	assert_int_equal(line.ready, 1);
}

static void test_carrier(void **state)
{
	(void)state;
	set_reg(4, 0x08);
	set_reg(1, 0x08);
	line.backend.client.hangup(line.backend.client.opaque, false);
	assert_true(fm->lines[IRQ].level);
	assert_int_equal(reg(2), 0x00);
	assert_int_equal(reg(6), 0x38);
	assert_false(fm->lines[IRQ].level);
	line.backend.client.hangup(line.backend.client.opaque, true);
	assert_int_equal(reg(6), 0xb8);
}

static void test_forged_state(void **state)
{
	struct fake_image image;
	struct error err = { 0 };

	(void)state;
	fake_state_save(uart, &image);
	*fake_image_field(&image, "rx_count") = 2;
	assert_int_equal(fake_state_load(uart, &image, &err), -EINVAL);
	*fake_image_field(&image, "rx_count") = 0;
	*fake_image_field(&image, "rx_head") = 16;
	assert_int_equal(fake_state_load(uart, &image, &err), -EINVAL);
	*fake_image_field(&image, "rx_head") = 0;
	assert_int_equal(fake_state_load(uart, &image, &err), 0);
	fake_image_finish(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_transmit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_receive_without_fifo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_receive_with_fifo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_loopback, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_carrier, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged_state, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
