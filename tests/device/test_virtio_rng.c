/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio-rng: bytes arrive, no more than the rate allows, and time brings more.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_virtio_driver.h"

struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	struct virtio_driver drv;
};

static void setup(struct fixture *f, const char *rate)
{
	f->fm = fake_machine_create();
	fake_machine_set(f->fm, "virtio-rng", "virtio-rng", "rate", rate);
	f->dev = fake_machine_create_device(f->fm, "virtio-rng", NULL);
	virtio_driver_init(&f->drv, f->fm, f->dev, BIT(VIRTIO_F_EVENT_IDX));
	virtio_driver_setup_queue(&f->drv, 0, 8);
	virtio_driver_start(&f->drv);
}

/** ask() - bytes written of a buffer of @size, or -1 while it waits. */
static int ask(struct fixture *f, uint32_t size)
{
	const struct driver_buffer buffer = { virtio_driver_alloc(&f->drv, size), size, true };
	uint16_t id;
	uint32_t written;

	virtio_driver_add(&f->drv, 0, &buffer, 1, false);
	virtio_driver_notify(&f->drv, 0);
	return virtio_driver_take(&f->drv, 0, &id, &written) ? (int)written : -1;
}

static void test_bytes(void **state)
{
	struct fixture f = { 0 };
	unsigned int differ = 0;
	uint8_t *bytes;

	setup(&f, "1M");
	assert_int_equal(ask(&f, 64), 64);
	bytes = fake_ram(f.fm, f.drv.memory_next - 64, 64);
	for (unsigned int i = 1; i < 64; i++) {
		differ += bytes[i] != bytes[0];
	}
	assert_true(differ > 32);
	fake_machine_check_device(f.fm, f.dev, NULL);
	fake_machine_destroy(f.fm);
}

static void test_rate(void **state)
{
	struct fixture f = { 0 };
	uint16_t id;
	uint32_t written;

	setup(&f, "10K");
	assert_int_equal(ask(&f, 1000), 1000);
	assert_int_equal(ask(&f, 1000), 24);
	assert_int_equal(ask(&f, 1000), -1);
	fake_machine_advance(f.fm, NS_PER_S / 10 - 1);
	assert_false(virtio_driver_take(&f.drv, 0, &id, &written));
	fake_machine_advance(f.fm, 1);
	assert_true(virtio_driver_take(&f.drv, 0, &id, &written));
	assert_int_equal(written, 1000);
	assert_int_equal(ask(&f, 1000), 24);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	fake_machine_check_device(f.fm, f.dev, NULL);
	fake_machine_destroy(f.fm);
}

static void test_readable_buffer(void **state)
{
	struct fixture f = { 0 };
	const struct driver_buffer buffer = { 0x200000, 16, false };
	uint16_t id;
	uint32_t written;

	setup(&f, "1M");
	virtio_driver_add(&f.drv, 0, &buffer, 1, false);
	virtio_driver_notify(&f.drv, 0);
	assert_true(virtio_driver_take(&f.drv, 0, &id, &written));
	assert_int_equal(written, 0);
	fake_machine_destroy(f.fm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_readable_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
