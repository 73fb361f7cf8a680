/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio-net against a back end that records: frames out and in, mergeable buffers, no room, the
 * receive filter and its control commands.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "device/fake_virtio_driver.h"
#include "net/net.h"

enum { RX, TX, CONTROL };

#define F_MRG BIT(15)
#define F_CTRL (BIT(17) | BIT(18) | BIT(20) | BIT(23))

/** struct recorder - a back end; the last frame sent, and how often it was told to go on. */
struct recorder {
	struct net_backend base;
	uint8_t frame[NET_FRAME_MAX];
	size_t size;
	unsigned int sent;
	unsigned int ready;
};

static void recorder_send(struct net_backend *backend, const struct iovec *iov, unsigned int count)
{
	struct recorder *recorder = (struct recorder *)backend;

	recorder->size = iov_to_buf(iov, count, 0, recorder->frame, sizeof(recorder->frame));
	recorder->sent++;
}

static void recorder_ready(struct net_backend *backend)
{
	((struct recorder *)backend)->ready++;
}

static const struct net_backend_ops recorder_ops = {
	.name = "recorder",
	.send = recorder_send,
	.ready = recorder_ready,
};

struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	struct virtio_driver drv;
	struct recorder *recorder;
};

/** plug_net - each machine's device gets a back end of its own, in fm->user's list of two. */
static void plug_net(struct fake_machine *fm, struct device_env *env)
{
	struct recorder *recorders = fm->user;

	env->net = recorders[0].base.client.receive ? &recorders[1].base : &recorders[0].base;
}

static void setup(struct fixture *f, uint64_t features)
{
	f->fm = fake_machine_create();
	f->recorder = calloc(2, sizeof(*f->recorder));
	for (unsigned int i = 0; i < 2; i++) {
		f->recorder[i].base.ops = &recorder_ops;
		pthread_mutex_init(&f->recorder[i].base.client_lock, NULL);
	}
	f->fm->user = f->recorder;
	fake_machine_set(f->fm, "virtio-net", "virtio-net", "packed", "on");
	fake_machine_set(f->fm, "virtio-net", "virtio-net", "mac", "52:54:00:01:02:03");
	f->dev = fake_machine_create_device(f->fm, "virtio-net", plug_net);
	virtio_driver_init(&f->drv, f->fm, f->dev, features);
	for (unsigned int i = 0; i < 3; i++) {
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

static bool receive(struct fixture *f, const uint8_t *frame, size_t size)
{
	const struct net_client *client = &f->recorder->base.client;
	bool taken = client->receive(client->opaque, frame, size);

	fake_machine_run(f->fm);
	return taken;
}

static void make_frame(uint8_t *frame, size_t size, const char *mac)
{
	for (size_t i = 0; i < size; i++) {
		frame[i] = i * 7;
	}
	memcpy(frame, mac, 6);
}

static gpa_t give_buffer(struct fixture *f, uint32_t size)
{
	const struct driver_buffer buffer = { virtio_driver_alloc(&f->drv, size), size, true };

	virtio_driver_add(&f->drv, RX, &buffer, 1, false);
	virtio_driver_notify(&f->drv, RX);
	return buffer.gpa;
}

static const uint64_t ring_kinds[] = { 0, BIT(VIRTIO_F_EVENT_IDX), BIT(VIRTIO_F_RING_PACKED),
				       BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_EVENT_IDX) };

static const char own[] = "\x52\x54\x00\x01\x02\x03";
static const char other[] = "\x52\x54\x00\x09\x09\x09";
static const char multicast[] = "\x01\x00\x5e\x01\x02\x03";
static const char broadcast[] = "\xff\xff\xff\xff\xff\xff";

static void test_config(void **state)
{
	struct fixture f = { 0 };

	setup(&f, ~UINT64_C(0));
	assert_int_equal(virtio_driver_config(&f.drv, 0, 4), 0x01005452);
	assert_int_equal(virtio_driver_config(&f.drv, 4, 2), 0x0302);
	assert_int_equal(virtio_driver_config(&f.drv, 6, 2), 1);
	assert_false(f.drv.features & (BIT(0) | BIT(1) | BIT(3) | BIT(7) | BIT(11)));
	finish(&f);
}

static void test_send(void **state)
{
	struct fixture f = { 0 };
	uint8_t frame[100];
	uint16_t id;
	uint32_t written;
	struct driver_buffer buffers[4];

	setup(&f, ~UINT64_C(0));
	make_frame(frame, sizeof(frame), own);
	/* Header and frame cut in odd places. */
	for (unsigned int i = 0; i < 4; i++) {
		static const uint32_t sizes[] = { 5, 7, 20, 80 };

		buffers[i] = (struct driver_buffer){ virtio_driver_alloc(&f.drv, 80), sizes[i],
						     false };
	}
	memcpy(fake_ram(f.fm, buffers[2].gpa, 20), frame, 20);
	memcpy(fake_ram(f.fm, buffers[3].gpa, 80), frame + 20, 80);
	virtio_driver_add(&f.drv, TX, buffers, 4, true);
	virtio_driver_notify(&f.drv, TX);
	assert_true(virtio_driver_take(&f.drv, TX, &id, &written));
	assert_int_equal(written, 0);
	assert_int_equal(f.recorder->size, 100);
	assert_memory_equal(f.recorder->frame, frame, 100);
	/* Too short, no header, empty: given back, not sent. */
	buffers[0].size = 11;
	virtio_driver_add(&f.drv, TX, buffers, 1, false);
	buffers[0].size = 25;
	virtio_driver_add(&f.drv, TX, buffers, 1, false);
	buffers[0].writable = true;
	virtio_driver_add(&f.drv, TX, buffers, 1, false);
	virtio_driver_notify(&f.drv, TX);
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(virtio_driver_take(&f.drv, TX, &id, &written));
	}
	assert_int_equal(f.recorder->sent, 1);
	buffers[0] = (struct driver_buffer){ MIB(4), 12 + NET_FRAME_MAX + 1, false };
	virtio_driver_add(&f.drv, TX, buffers, 1, false);
	virtio_driver_notify(&f.drv, TX);
	assert_true(virtio_driver_take(&f.drv, TX, &id, &written));
	assert_int_equal(f.recorder->sent, 1);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	finish(&f);
}

static void test_receive(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		struct fixture f = { 0 };
		uint8_t frame[1514];
		uint16_t id;
		uint32_t written;
		gpa_t gpa;

		setup(&f, ring_kinds[i]);
		make_frame(frame, sizeof(frame), own);
		gpa = give_buffer(&f, 1526);
		assert_true(receive(&f, frame, sizeof(frame)));
		assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
		assert_int_equal(written, 1526);
		assert_memory_equal(fake_ram(f.fm, gpa + 12, 1514), frame, 1514);
		assert_int_equal(load_le16(fake_ram(f.fm, gpa + 10, 2)), 1);
		/* A buffer that is too small for a frame is kept for the next one. */
		give_buffer(&f, 100);
		assert_true(receive(&f, frame, 89));
		assert_false(virtio_driver_take(&f.drv, RX, &id, &written));
		assert_true(receive(&f, frame, 88));
		assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
		finish(&f);
	}
}

static void test_no_room(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		struct fixture f = { 0 };
		uint8_t frame[1000];
		uint16_t id;
		uint32_t written;

		setup(&f, ring_kinds[i] | F_MRG);
		make_frame(frame, sizeof(frame), own);
		for (unsigned int round = 1; round < 20; round++) {
			unsigned int needed = 1 + round % 4;
			uint32_t size = (sizeof(frame) + 12 + needed - 1) / needed;

			assert_false(receive(&f, frame, sizeof(frame)));
			/* Some, but not enough: each time it must be told of more. */
			for (unsigned int j = 1; j <= needed; j++) {
				const struct driver_buffer buffer = {
					virtio_driver_alloc(&f.drv, size), size, true,
				};

				f.recorder->ready = 0;
				virtio_driver_add(&f.drv, RX, &buffer, 1, false);
				assert_true(virtio_driver_wants_notify(&f.drv, RX, 1));
				virtio_driver_notify(&f.drv, RX);
				assert_int_equal(f.recorder->ready, 1);
				assert_int_equal(receive(&f, frame, sizeof(frame)), j == needed);
			}
			for (unsigned int j = 0; j < needed; j++) {
				assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
			}
			assert_false(virtio_driver_take(&f.drv, RX, &id, &written));
		}
		finish(&f);
	}
}

static void test_merge(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		struct fixture f = { 0 };
		uint8_t frame[1000];
		gpa_t gpas[3];
		uint16_t id;
		uint32_t written;

		setup(&f, ring_kinds[i] | F_MRG);
		make_frame(frame, sizeof(frame), own);
		for (unsigned int j = 0; j < 3; j++) {
			gpas[j] = give_buffer(&f, 400);
		}
		assert_true(receive(&f, frame, sizeof(frame)));
		assert_int_equal(load_le16(fake_ram(f.fm, gpas[0] + 10, 2)), 3);
		assert_memory_equal(fake_ram(f.fm, gpas[0] + 12, 388), frame, 388);
		assert_memory_equal(fake_ram(f.fm, gpas[1], 400), frame + 388, 400);
		assert_memory_equal(fake_ram(f.fm, gpas[2], 212), frame + 788, 212);
		for (unsigned int j = 0; j < 3; j++) {
			assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
			assert_int_equal(written, j < 2 ? 400 : 212);
		}
		finish(&f);
	}
}

static void test_odd_buffers(void **state)
{
	struct fixture f = { 0 };
	uint8_t frame[64];
	struct driver_buffer buffers[15];
	uint16_t id;
	uint32_t written;
	gpa_t gpa;

	setup(&f, F_MRG | BIT(VIRTIO_F_INDIRECT_DESC));
	make_frame(frame, sizeof(frame), own);
	gpa = virtio_driver_alloc(&f.drv, 128);
	/* The header byte by byte. */
	for (unsigned int i = 0; i < 15; i++) {
		buffers[i] = (struct driver_buffer){ gpa + i, i < 14 ? 1 : 64, true };
	}
	virtio_driver_add(&f.drv, RX, buffers, 15, true);
	assert_true(receive(&f, frame, sizeof(frame)));
	assert_true(virtio_driver_take(&f.drv, RX, &id, &written));
	assert_int_equal(load_le16(fake_ram(f.fm, gpa + 10, 2)), 1);
	assert_memory_equal(fake_ram(f.fm, gpa + 12, 64), frame, 64);
	/* Too small for a header, and nothing to write into at all. */
	give_buffer(&f, 11);
	assert_true(receive(&f, frame, sizeof(frame)));
	virtio_driver_reset(&f.drv);
	assert_int_equal(virtio_driver_status(&f.drv), 0);
	finish(&f);
}

static void test_not_ready(void **state)
{
	struct fixture f = { 0 };
	uint8_t frame[64];

	setup(&f, 0);
	make_frame(frame, sizeof(frame), own);
	assert_false(receive(&f, frame, sizeof(frame)));
	f.recorder->ready = 0;
	virtio_driver_reset(&f.drv);
	assert_int_equal(f.recorder->ready, 1);
	assert_true(receive(&f, frame, sizeof(frame)));
	finish(&f);
}

static uint8_t control(struct fixture *f, const void *command, size_t size)
{
	gpa_t gpa = virtio_driver_alloc(&f->drv, size);
	gpa_t ack = virtio_driver_alloc(&f->drv, 1);
	const struct driver_buffer buffers[] = { { gpa, size, false }, { ack, 1, true } };
	uint16_t id;
	uint32_t written;

	memcpy(fake_ram(f->fm, gpa, size), command, size);
	memset(fake_ram(f->fm, ack, 1), 0xee, 1);
	virtio_driver_add(&f->drv, CONTROL, buffers, 2, false);
	virtio_driver_notify(&f->drv, CONTROL);
	assert_true(virtio_driver_take(&f->drv, CONTROL, &id, &written));
	assert_int_equal(written, 1);
	return *(uint8_t *)fake_ram(f->fm, ack, 1);
}

/** arrives() - whether a frame to @mac reaches the guest. */
static bool arrives(struct fixture *f, const char *mac)
{
	uint8_t frame[64];
	uint16_t id;
	uint32_t written;

	make_frame(frame, sizeof(frame), mac);
	assert_true(receive(f, frame, sizeof(frame)));
	if (!virtio_driver_take(&f->drv, RX, &id, &written)) {
		return false;
	}
	give_buffer(f, 128);
	return true;
}

static void test_filter(void **state)
{
	struct fixture f = { 0 };

	setup(&f, F_CTRL);
	give_buffer(&f, 128);
	assert_true(arrives(&f, other)); /* promiscuous to begin with */
	assert_int_equal(control(&f, "\0\0\0", 3), 0);
	assert_false(arrives(&f, other));
	assert_true(arrives(&f, own));
	assert_true(arrives(&f, broadcast));
	assert_false(arrives(&f, multicast));
	assert_int_equal(control(&f, "\0\1\1", 3), 0);
	assert_true(arrives(&f, multicast));
	assert_int_equal(control(&f, "\0\1\0", 3), 0);
	assert_int_equal(control(&f, "\1\0\1\0\0\0\x52\x54\x00\x09\x09\x09"
				     "\1\0\0\0\x01\x00\x5e\x01\x02\x03", 22), 0);
	assert_true(arrives(&f, other));
	assert_true(arrives(&f, multicast));
	assert_int_equal(control(&f, "\0\5\1", 3), 0);
	assert_false(arrives(&f, broadcast));
	assert_int_equal(control(&f, "\0\4\1", 3), 0);
	assert_false(arrives(&f, own));
	assert_int_equal(control(&f, "\0\4\0", 3), 0);
	assert_int_equal(control(&f, "\0\2\1", 3), 0);
	assert_true(arrives(&f, own));
	assert_int_equal(control(&f, "\1\1\x02\x02\x02\x02\x02\x02", 8), 0);
	assert_int_equal(virtio_driver_config(&f.drv, 0, 4), 0x02020202);
	/* A reset brings the defaults back. */
	virtio_driver_reset(&f.drv);
	assert_int_equal(virtio_driver_config(&f.drv, 0, 4), 0x01005452);
	finish(&f);
}

static void test_bad_control(void **state)
{
	struct fixture f = { 0 };
	uint8_t many[2 + 4 + 65 * 6 + 4] = { 1, 0, 65 };

	setup(&f, F_CTRL);
	assert_int_equal(control(&f, "\0", 1), 1);
	assert_int_equal(control(&f, "\0\0", 2), 1);
	assert_int_equal(control(&f, "\0\6\1", 3), 1);
	assert_int_equal(control(&f, "\7\0\1", 3), 1);
	assert_int_equal(control(&f, "\1\1\1", 3), 1);
	assert_int_equal(control(&f, "\1\0\xff\xff\xff\xff", 6), 1);
	assert_int_equal(control(&f, "\1\0\0\0\0\0", 6), 1);
	assert_int_equal(control(&f, "\1\0\0\0\0\0\0\0\0\0\0", 11), 1);
	/* More than the table holds: all of them. */
	assert_int_equal(control(&f, "\0\0\0", 3), 0);
	assert_int_equal(control(&f, many, sizeof(many)), 0);
	give_buffer(&f, 128);
	assert_true(arrives(&f, other));
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	finish(&f);
}

static void test_hostile_state(void **state)
{
	struct fixture f = { 0 };
	struct fake_image image;
	struct error err = { 0 };

	setup(&f, 0);
	fake_state_save(f.dev, &image);
	fake_image_field(&image, "unicast.count")[0] = 65;
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	fake_image_finish(&image);
	device_reset(f.dev, RESET_COLD);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_odd_buffers),
		cmocka_unit_test(test_not_ready),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_bad_control),
		cmocka_unit_test(test_hostile_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
