/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio-console on a recording stream: bytes both ways, the control messages, a driver without
 * MULTIPORT, and bytes that wait.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "device/fake_virtio_driver.h"
#include "guestlink/char_backend.h"

enum { RX, TX, CONTROL_RX, CONTROL_TX };
enum { READY = 0, ADD = 1, PORT_READY = 3, CONSOLE = 4, OPEN = 6, NAME = 7 };

#define MULTIPORT BIT(1)

/** struct recorder - a stream; what the guest wrote. */
struct recorder {
	struct char_backend base;
	uint8_t data[256];
	size_t size;
	unsigned int ready;
};

static size_t recorder_write(struct char_backend *backend, const uint8_t *data, size_t size)
{
	struct recorder *recorder = (struct recorder *)backend;

	for (size_t i = 0; i < size && recorder->size < sizeof(recorder->data); i++) {
		recorder->data[recorder->size++] = data[i];
	}
	return size;
}

static void recorder_ready(struct char_backend *backend)
{
	((struct recorder *)backend)->ready++;
}

static const struct char_backend_ops recorder_ops = {
	.name = "recorder",
	.write = recorder_write,
	.ready = recorder_ready,
};

struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	struct virtio_driver drv;
	struct recorder *recorder;
	gpa_t control[4];
};

/** plug_stream() - a stream for each instance; fm->user is an array of two. */
static void plug_stream(struct fake_machine *fm, struct device_env *env)
{
	struct recorder *recorders = fm->user;

	env->chr = recorders[0].base.client.receive ? &recorders[1].base : &recorders[0].base;
}

static void setup(struct fixture *f, uint64_t features, const char *port)
{
	f->fm = fake_machine_create();
	f->recorder = calloc(2, sizeof(*f->recorder));
	f->recorder[0].base.ops = &recorder_ops;
	f->recorder[1].base.ops = &recorder_ops;
	f->fm->user = f->recorder;
	if (port) {
		fake_machine_set(f->fm, "virtio-console", "virtio-console", "port", port);
	}
	f->dev = fake_machine_create_device(f->fm, "virtio-console", plug_stream);
	virtio_driver_init(&f->drv, f->fm, f->dev, features);
	for (unsigned int i = 0; i < 4; i++) {
		virtio_driver_setup_queue(&f->drv, i, 16);
	}
	virtio_driver_start(&f->drv);
}

static void finish(struct fixture *f)
{
	fake_machine_check_device(f->fm, f->dev, NULL);
	fake_machine_destroy(f->fm);
	free(f->recorder);
}

static void from_host(struct fixture *f, const char *text, size_t size)
{
	const struct char_client *client = &f->recorder->base.client;

	assert_true(client->can_receive(client->opaque) >= size);
	client->receive(client->opaque, (const uint8_t *)text, size);
}

static void to_control(struct fixture *f, uint32_t port, uint16_t event, uint16_t value)
{
	const struct driver_buffer buffer = { virtio_driver_alloc(&f->drv, 8), 8, false };
	uint8_t *message = fake_ram(f->fm, buffer.gpa, 8);

	store_le32(message, port);
	store_le16(message + 4, event);
	store_le16(message + 6, value);
	virtio_driver_add(&f->drv, CONTROL_TX, &buffer, 1, false);
	virtio_driver_notify(&f->drv, CONTROL_TX);
	assert_true(virtio_driver_take(&f->drv, CONTROL_TX, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
}

static gpa_t give(struct fixture *f, unsigned int n, uint32_t size)
{
	const struct driver_buffer buffer = { virtio_driver_alloc(&f->drv, size), size, true };

	virtio_driver_add(&f->drv, n, &buffer, 1, false);
	virtio_driver_notify(&f->drv, n);
	return buffer.gpa;
}

static void expect_control(struct fixture *f, gpa_t gpa, uint16_t event, uint16_t value,
			   const char *name)
{
	const uint8_t *message = fake_ram(f->fm, gpa, 8);
	uint16_t id;
	uint32_t written;

	assert_true(virtio_driver_take(&f->drv, CONTROL_RX, &id, &written));
	assert_int_equal(written, 8 + strlen(name));
	assert_int_equal(load_le32(message), 0);
	assert_int_equal(load_le16(message + 4), event);
	assert_int_equal(load_le16(message + 6), value);
	assert_memory_equal(message + 8, name, strlen(name));
}

static void test_console(void **state)
{
	struct fixture f = { 0 };
	gpa_t control[4];
	const struct driver_buffer text[] = { { MIB(4), 2, false }, { MIB(5), 3, false } };
	uint16_t id;
	uint32_t written;
	gpa_t gpa;

	setup(&f, ~UINT64_C(0), NULL);
	assert_int_equal(virtio_driver_config(&f.drv, 4, 4), 1);
	for (unsigned int i = 0; i < 4; i++) {
		control[i] = give(&f, CONTROL_RX, 64);
	}
	to_control(&f, 0xffffffff, READY, 1);
	expect_control(&f, control[0], ADD, 1, "");
	to_control(&f, 0, PORT_READY, 1);
	expect_control(&f, control[1], CONSOLE, 1, "");
	expect_control(&f, control[2], OPEN, 1, "");
	/* The guest has not opened it: bytes wait. */
	gpa = give(&f, RX, 4);
	from_host(&f, "hello", 5);
	assert_false(virtio_driver_take(&f.drv, RX, &id, &written));
	to_control(&f, 0, OPEN, 1);
	assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
	assert_int_equal(written, 4);
	assert_memory_equal(fake_ram(f.fm, gpa, 4), "hell", 4);
	gpa = give(&f, RX, 4);
	assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
	assert_int_equal(written, 1);
	assert_true(f.recorder->ready > 0);

	memcpy(fake_ram(f.fm, MIB(4), 2), "ab", 2);
	memcpy(fake_ram(f.fm, MIB(5), 3), "cde", 3);
	virtio_driver_add(&f.drv, TX, text, 2, false);
	virtio_driver_notify(&f.drv, TX);
	assert_int_equal(f.recorder->size, 5);
	assert_memory_equal(f.recorder->data, "abcde", 5);
	/* The other end goes. */
	f.recorder->base.client.hangup(f.recorder->base.client.opaque, false);
	expect_control(&f, control[3], OPEN, 0, "");
	finish(&f);
}

static void test_named_port(void **state)
{
	struct fixture f = { 0 };
	gpa_t control;

	/* Control buffers come late, and one by one. */
	setup(&f, MULTIPORT, "org.limen.test");
	to_control(&f, 0, READY, 1);
	to_control(&f, 0, PORT_READY, 1);
	control = give(&f, CONTROL_RX, 64);
	expect_control(&f, control, ADD, 1, "");
	control = give(&f, CONTROL_RX, 64);
	expect_control(&f, control, NAME, 1, "org.limen.test");
	control = give(&f, CONTROL_RX, 64);
	expect_control(&f, control, OPEN, 1, "");
	finish(&f);
}

static void test_without_multiport(void **state)
{
	struct fixture f = { 0 };
	uint16_t id;
	uint32_t written;

	setup(&f, 0, NULL);
	from_host(&f, "x", 1);
	give(&f, RX, 16);
	assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
	assert_int_equal(written, 1);
	virtio_driver_set_config(&f.drv, 8, 'E', 4);
	assert_int_equal(f.recorder->data[0], 'E');
	finish(&f);
}

static void test_backlog(void **state)
{
	struct fixture f = { 0 };
	const struct char_client *client;
	char text[4096];
	uint16_t id;
	uint32_t written;
	gpa_t gpa;

	setup(&f, 0, NULL);
	client = &f.recorder->base.client;
	for (unsigned int i = 0; i < sizeof(text); i++) {
		text[i] = i % 251;
	}
	from_host(&f, text, 3000);
	gpa = give(&f, RX, 2000);
	assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
	from_host(&f, text, 3000); /* around the end of the buffer */
	assert_int_equal(client->can_receive(client->opaque), 96);
	gpa = give(&f, RX, 4096);
	assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
	assert_int_equal(written, 4000);
	assert_memory_equal(fake_ram(f.fm, gpa, 1000), text + 2000, 1000);
	assert_memory_equal(fake_ram(f.fm, gpa + 1000, 3000), text, 3000);
	finish(&f);
}

static void test_bad_control(void **state)
{
	struct fixture f = { 0 };
	const struct driver_buffer bad = { MIB(4), 7, false };

	setup(&f, MULTIPORT, NULL);
	virtio_driver_add(&f.drv, CONTROL_TX, &bad, 1, false);
	virtio_driver_notify(&f.drv, CONTROL_TX);
	to_control(&f, 0, 0x777, 1);
	to_control(&f, 5, PORT_READY, 1);
	give(&f, CONTROL_RX, 4);
	to_control(&f, 0, READY, 1);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	finish(&f);
}

static void test_hostile_state(void **state)
{
	struct fixture f = { 0 };
	struct fake_image image;
	struct error err = { 0 };

	setup(&f, MULTIPORT, NULL);
	fake_state_save(f.dev, &image);
	store_le16(fake_image_field(&image, "rx_first"), 4096);
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	store_le16(fake_image_field(&image, "rx_first"), 0);
	store_le16(fake_image_field(&image, "rx_count"), 4097);
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	fake_image_finish(&image);
	device_reset(f.dev, RESET_COLD);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_named_port),
		cmocka_unit_test(test_without_multiport),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_bad_control),
		cmocka_unit_test(test_hostile_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
