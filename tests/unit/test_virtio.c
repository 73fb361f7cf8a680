/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The virtio core and its PCI transport, with a device made for it that echoes: what a chain lets
 * it read is written to what the chain lets it write. Each test of rings runs for split and packed
 * rings, with and without event indexes and indirect tables.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "device/fake_virtio_driver.h"

#define QUEUES 3
#define QUEUE_SIZE 64
#define HOLD_MAX 64

/** struct echo - queue 0 echoes at once, queue 1 when told, queue 2 not at all. */
struct echo {
	struct virtio_device vdev;
	uint8_t config[8];
	struct virtqueue_chain held[HOLD_MAX];
	struct iovec held_iov[HOLD_MAX][16];
	gpa_t held_gpa[HOLD_MAX][16];
	unsigned int held_count;
	unsigned int notifications;
	unsigned int resets;
	unsigned int pops_per_notify; /* 0: all */
};

static uint64_t echo_features(struct virtio_device *vdev)
{
	return BIT(5);
}

static void echo_get_config(struct virtio_device *vdev, uint8_t *ret_config)
{
	memcpy(ret_config, ((struct echo *)vdev)->config, 8);
}

static void echo_set_config(struct virtio_device *vdev, size_t offset, const uint8_t *data,
			    size_t size)
{
	memcpy(((struct echo *)vdev)->config + offset, data, size);
}

static void echo_chain(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	uint8_t data[8192];
	size_t size = iov_to_buf(chain->out, chain->out_count, 0, data, sizeof(data));

	size = iov_from_buf(chain->in, chain->in_count, 0, data, size);
	virtqueue_push(vq, chain, size);
}

static void echo_notify(struct virtio_device *vdev, unsigned int n)
{
	struct echo *echo = (struct echo *)vdev;
	struct virtqueue *vq = &vdev->queues[n];
	struct virtqueue_chain chain;

	echo->notifications++;
	while (n == 0 && virtqueue_pop(vq, &chain) > 0) {
		echo_chain(vq, &chain);
	}
	while (n == 1 && echo->held_count < HOLD_MAX && virtqueue_pop(vq, &chain) > 0) {
		virtqueue_chain_copy(&chain, &echo->held[echo->held_count],
				     echo->held_iov[echo->held_count],
				     echo->held_gpa[echo->held_count]);
		echo->held_count++;
	}
	virtqueue_flush(vq);
}

static void echo_status_changed(struct virtio_device *vdev, uint8_t status)
{
	((struct echo *)vdev)->resets += status == 0;
}

static int echo_create(struct device *dev, struct error *err)
{
	return 0;
}

static void echo_destroy(struct device *dev)
{
}

static void echo_reset(struct device *dev, enum reset_kind kind)
{
	memcpy(((struct echo *)dev)->config, "limen\1\2\3", 8);
}

static const struct config_key echo_keys[] = {
	VIRTIO_CONFIG_KEYS,
	{ 0 },
};

static const struct state_field echo_fields[] = {
	STATE_FIELD_BYTES(struct echo, config),
	STATE_FIELDS_END,
};

static const struct state_table echo_state = { .version = 1, .fields = echo_fields };

static const struct virtio_device_ops echo_ops = {
	.pci = {
		.base = {
			.name = "test-virtio-echo",
			.bus = DEVICE_BUS_VIRTIO,
			.instance_size = sizeof(struct echo),
			.keys = echo_keys,
			.state = &echo_state,
			.create = echo_create,
			.destroy = echo_destroy,
			.reset = echo_reset,
		},
		VIRTIO_PCI_IDS(30, 0xff0000),
	},
	.type = 30,
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_size = 8,
	.features = echo_features,
	.get_config = echo_get_config,
	.set_config = echo_set_config,
	.notify = echo_notify,
	.status_changed = echo_status_changed,
};
DEVICE_REGISTER(echo_ops.pci.base);

static const uint64_t ring_kinds[] = {
	BIT(VIRTIO_F_INDIRECT_DESC),
	BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX),
	BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_RING_PACKED),
	BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_EVENT_IDX),
};

/** struct fixture - a machine with an echo device and a driver for it. */
struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	struct echo *echo;
	struct virtio_driver drv;
};

static void setup_device(struct fixture *f)
{
	f->fm = fake_machine_create();
	fake_machine_set(f->fm, "test-virtio-echo", "test-virtio-echo", "packed", "on");
	f->dev = fake_machine_create_device(f->fm, "test-virtio-echo", NULL);
	f->echo = (struct echo *)f->dev;
}

static void setup(struct fixture *f, uint64_t features, uint16_t size)
{
	setup_device(f);
	virtio_driver_init(&f->drv, f->fm, f->dev, features);
	virtio_driver_setup_queue(&f->drv, 0, size);
	virtio_driver_setup_queue(&f->drv, 1, size);
	virtio_driver_start(&f->drv);
	assert_int_equal(virtio_driver_status(&f->drv), 15);
}

static void finish(struct fixture *f)
{
	fake_machine_destroy(f->fm);
}

/** send() - a chain of @out and @in buffers of 100 bytes each. */
static uint16_t send(struct fixture *f, unsigned int n, unsigned int out, unsigned int in,
		     bool indirect, gpa_t *ret_in)
{
	struct driver_buffer buffers[16];

	for (unsigned int i = 0; i < out + in; i++) {
		buffers[i].gpa = virtio_driver_alloc(&f->drv, 100);
		buffers[i].size = 100;
		buffers[i].writable = i >= out;
		if (i < out) {
			memset(fake_ram(f->fm, buffers[i].gpa, 100), 'a' + i, 100);
		}
	}
	*ret_in = buffers[out].gpa;
	return virtio_driver_add(&f->drv, n, buffers, out + in, indirect);
}

static void test_transport(void **state)
{
	struct fixture f = { 0 };

	setup_device(&f);
	virtio_driver_init(&f.drv, f.fm, f.dev, 0);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 0, 4), 0x105e1af4);
	assert_true(virtio_driver_offered(&f.drv) ==
		    (BIT(5) | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) |
		     BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED)));
	assert_int_equal(virtio_driver_read(&f.drv, 18, 2), QUEUES);
	assert_int_equal(virtio_driver_read(&f.drv, 24, 2), QUEUE_SIZE);
	virtio_driver_write(&f.drv, 22, QUEUES, 2);
	assert_int_equal(virtio_driver_read(&f.drv, 24, 2), 0);
	virtio_driver_write(&f.drv, 22, 0xffff, 2);
	virtio_driver_write(&f.drv, 24, 8, 2);
	virtio_driver_write(&f.drv, 28, 1, 2);
	assert_int_equal(virtio_driver_read(&f.drv, 28, 2), 0);
	assert_true(virtio_driver_config(&f.drv, 0, 4) == 0x656d696c);
	virtio_driver_set_config(&f.drv, 5, 0x99, 1);
	assert_true(virtio_driver_config(&f.drv, 5, 1) == 0x99);
	assert_true(virtio_driver_config(&f.drv, 8, 4) == 0);
	virtio_driver_set_config(&f.drv, 6, 0x99999999, 4);
	/* Sizes that no register has, registers that cannot be written, and the BAR's end. */
	virtio_driver_write(&f.drv, 20, 0, 2);
	virtio_driver_write(&f.drv, 18, 0, 2);
	assert_int_equal(virtio_driver_status(&f.drv), 11);
	assert_int_equal(virtio_driver_read(&f.drv, 0xffc, 4), 0);
	fake_mmio_write(f.fm, f.drv.notify + 0xffc, 1, 4);
	finish(&f);
}

static void test_window(void **state)
{
	struct fixture f = { 0 };
	unsigned int at;

	setup_device(&f);
	virtio_driver_init(&f.drv, f.fm, f.dev, 0);
	at = fake_pci_find_capability(f.fm, f.dev, PCI_CAPABILITY_VENDOR, 0);
	while (fake_pci_read(f.fm, f.dev, at + 3, 1) != 5) {
		at = fake_pci_find_capability(f.fm, f.dev, PCI_CAPABILITY_VENDOR,
					      fake_pci_read(f.fm, f.dev, at + 1, 1));
		assert_true(at > 0);
	}
	fake_pci_write(f.fm, f.dev, at + 4, 4, 1);
	fake_pci_write(f.fm, f.dev, at + 8, 18, 4);
	fake_pci_write(f.fm, f.dev, at + 12, 2, 4);
	assert_int_equal(fake_pci_read(f.fm, f.dev, at + 16, 2), QUEUES);
	fake_pci_write(f.fm, f.dev, at + 8, 22, 4);
	fake_pci_write(f.fm, f.dev, at + 16, 2, 2);
	assert_int_equal(virtio_driver_read(&f.drv, 22, 2), 2);
	/* Nothing of this may do harm. */
	fake_pci_write(f.fm, f.dev, at + 8, 0xfffffffe, 4);
	fake_pci_read(f.fm, f.dev, at + 16, 4);
	fake_pci_write(f.fm, f.dev, at + 12, 0xffffffff, 4);
	fake_pci_read(f.fm, f.dev, at + 16, 4);
	fake_pci_write(f.fm, f.dev, at + 16, 0, 4);
	finish(&f);
}

static void test_negotiation(void **state)
{
	struct fixture f = { 0 };

	setup_device(&f);
	virtio_driver_init(&f.drv, f.fm, f.dev, 0);
	/* Settled: cannot be changed, and queues can be set up. */
	virtio_driver_write(&f.drv, 12, 0, 4);
	assert_int_equal(virtio_driver_read(&f.drv, 12, 4), 1);
	virtio_driver_reset(&f.drv);
	assert_int_equal(virtio_driver_status(&f.drv), 0);
	/* What is not offered. */
	virtio_driver_write(&f.drv, 8, 0, 4);
	virtio_driver_write(&f.drv, 12, 0x2, 4);
	virtio_driver_write(&f.drv, 8, 1, 4);
	virtio_driver_write(&f.drv, 12, 1, 4);
	virtio_driver_write(&f.drv, 20, 11, 1);
	assert_int_equal(virtio_driver_status(&f.drv), 3);
	virtio_driver_write(&f.drv, 20, 15, 1);
	assert_int_equal(virtio_driver_status(&f.drv), 3);
	virtio_driver_write(&f.drv, 28, 1, 2);
	assert_int_equal(virtio_driver_read(&f.drv, 28, 2), 0);
	/* Without VERSION_1. */
	virtio_driver_write(&f.drv, 8, 0, 4);
	virtio_driver_write(&f.drv, 12, 0x20, 4);
	virtio_driver_write(&f.drv, 8, 1, 4);
	virtio_driver_write(&f.drv, 12, 0, 4);
	virtio_driver_write(&f.drv, 20, 11, 1);
	assert_int_equal(virtio_driver_status(&f.drv), 3);
	finish(&f);
}

static void check_echo(struct fixture *f, bool indirect)
{
	gpa_t in;
	uint16_t id;
	uint16_t got;
	uint32_t written;

	/* Often enough to go around the ring several times. */
	for (unsigned int i = 0; i < 50; i++) {
		unsigned int out = 1 + i % 3;

		id = send(f, 0, out, 2, indirect, &in);
		virtio_driver_notify(&f->drv, 0);
		assert_true(virtio_driver_take(&f->drv, 0, &got, &written));
		assert_int_equal(got, id);
		assert_int_equal(written, MIN(100 * out, 200u));
		assert_memory_equal(fake_ram(f->fm, in, 1), "a", 1);
		assert_memory_equal(fake_ram(f->fm, in + 99, 1), "a", 1);
		assert_false(virtio_driver_take(&f->drv, 0, &got, &written));
	}
	assert_int_equal(virtio_driver_status(&f->drv), 15);
}

static void test_echo(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ring_kinds); i++) {
		struct fixture f = { 0 };

		setup(&f, ring_kinds[i], 8);
		check_echo(&f, false);
		check_echo(&f, true);
		finish(&f);
	}
}

static void test_odd_packed_size(void **state)
{
	struct fixture f = { 0 };

	setup(&f, ring_kinds[3], 7);
	check_echo(&f, false);
	check_echo(&f, true);
	finish(&f);
}

static void test_many_in_flight(void **state)
{
	for (unsigned int kind = 0; kind < ARRAY_SIZE(ring_kinds); kind++) {
		struct fixture f = { 0 };
		uint16_t ids[8];
		uint16_t got;
		uint32_t written;
		gpa_t in;

		setup(&f, ring_kinds[kind], 16);
		for (unsigned int round = 0; round < 5; round++) {
			for (unsigned int i = 0; i < 8; i++) {
				ids[i] = send(&f, 1, 1, 1, false, &in);
			}
			virtio_driver_notify(&f.drv, 1);
			assert_int_equal(f.echo->held_count, 8);
			assert_int_equal(f.dev->ops == &echo_ops.pci.base, 1);
			assert_false(virtio_driver_take(&f.drv, 1, &got, &written));
			/* Given back in another order. */
			pthread_mutex_lock(&f.dev->lock);
			for (unsigned int i = 0; i < 8; i++) {
				echo_chain(&f.echo->vdev.queues[1], &f.echo->held[i ^ 5]);
			}
			virtqueue_flush(&f.echo->vdev.queues[1]);
			pthread_mutex_unlock(&f.dev->lock);
			f.echo->held_count = 0;
			for (unsigned int i = 0; i < 8; i++) {
				assert_true(virtio_driver_take(&f.drv, 1, &got, &written));
				assert_int_equal(got, ids[i ^ 5]);
				assert_int_equal(written, 100);
			}
		}
		finish(&f);
	}
}

static void test_interrupts(void **state)
{
	for (unsigned int kind = 0; kind < ARRAY_SIZE(ring_kinds); kind++) {
		struct fixture f = { 0 };
		gpa_t in;

		setup_device(&f);
		virtio_driver_init(&f.drv, f.fm, f.dev, ring_kinds[kind]);
		virtio_driver_setup_queue(&f.drv, 0, 8);
		virtio_driver_start(&f.drv);
		/* By the wire. */
		send(&f, 0, 1, 1, false, &in);
		virtio_driver_notify(&f.drv, 0);
		assert_true(f.fm->intx[1][0].level);
		assert_int_equal(fake_mmio_read(f.fm, f.drv.isr, 1), 1);
		assert_false(f.fm->intx[1][0].level);
		assert_int_equal(fake_mmio_read(f.fm, f.drv.isr, 1), 0);
		/* By message, for the queue and for the configuration. */
		virtio_driver_enable_msix(&f.drv);
		pthread_mutex_lock(&f.dev->lock);
		virtio_config_changed(&f.echo->vdev);
		pthread_mutex_unlock(&f.dev->lock);
		assert_int_equal(fake_machine_last_msi(f.fm).data, 0x3f);
		assert_int_equal(virtio_driver_read(&f.drv, 21, 1), 1);
		f.fm->msi.count = 0;
		assert_true(virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
		virtio_driver_set_event(&f.drv, 0, 1);
		send(&f, 0, 1, 1, false, &in);
		virtio_driver_notify(&f.drv, 0);
		assert_int_equal(fake_machine_last_msi(f.fm).data, 0x40);
		assert_int_equal(f.fm->intx[1][0].edges, 1);
		finish(&f);
	}
}

static void test_interrupts_suppressed(void **state)
{
	static const uint64_t plain[] = { 0, BIT(VIRTIO_F_RING_PACKED) };

	for (unsigned int kind = 0; kind < ARRAY_SIZE(plain); kind++) {
		struct fixture f = { 0 };
		gpa_t in;

		setup(&f, plain[kind], 8);
		virtio_driver_enable_msix(&f.drv);
		virtio_driver_set_interrupt(&f.drv, 0, false);
		send(&f, 0, 1, 1, false, &in);
		virtio_driver_notify(&f.drv, 0);
		assert_int_equal(f.fm->msi.count, 0);
		virtio_driver_set_interrupt(&f.drv, 0, true);
		send(&f, 0, 1, 1, false, &in);
		virtio_driver_notify(&f.drv, 0);
		assert_int_equal(f.fm->msi.count, 1);
		finish(&f);
	}
}

/** complete_one() - one chain, there and back, freeing it. */
static void complete_one(struct fixture *f)
{
	uint16_t id;
	uint32_t written;
	gpa_t in;

	send(f, 0, 0, 1, false, &in);
	virtio_driver_notify(&f->drv, 0);
	assert_true(virtio_driver_take(&f->drv, 0, &id, &written));
}

static void test_event_index(void **state)
{
	static const uint64_t kinds[] = { BIT(VIRTIO_F_EVENT_IDX),
					  BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED) };

	for (unsigned int kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		struct fixture f = { 0 };

		setup(&f, kinds[kind], 8);
		virtio_driver_enable_msix(&f.drv);
		complete_one(&f); /* the first one always */
		f.fm->msi.count = 0;
		/* Around the ring, with every distance. */
		for (unsigned int i = 0; i < 40; i++) {
			unsigned int after = 1 + i % 5;

			virtio_driver_set_event(&f.drv, 0, after);
			for (unsigned int j = 1; j <= after; j++) {
				assert_int_equal(f.fm->msi.count, i);
				complete_one(&f);
			}
			assert_int_equal(f.fm->msi.count, i + 1);
		}
		finish(&f);
	}
}

static void test_notification_suppressed(void **state)
{
	for (unsigned int kind = 0; kind < ARRAY_SIZE(ring_kinds); kind++) {
		struct fixture f = { 0 };
		struct virtqueue *vq;
		gpa_t in;

		setup(&f, ring_kinds[kind], 8);
		vq = &f.echo->vdev.queues[0];
		for (unsigned int i = 0; i < 20; i++) {
			assert_false(virtqueue_set_notification(vq, false));
			send(&f, 0, 0, 1, false, &in);
			/* The first after an event may be asked for: it had not passed it. */
			send(&f, 0, 0, 1, false, &in);
			assert_false(virtio_driver_wants_notify(&f.drv, 0, 1));
			assert_true(virtqueue_set_notification(vq, true));
			virtio_driver_notify(&f.drv, 0);
			assert_false(virtqueue_set_notification(vq, true));
			while (virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 },
						  &(uint32_t){ 0 })) {
			}
			send(&f, 0, 0, 1, false, &in);
			assert_true(virtio_driver_wants_notify(&f.drv, 0, 1));
			virtio_driver_notify(&f.drv, 0);
			assert_true(virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 },
						       &(uint32_t){ 0 }));
		}
		finish(&f);
	}
}

static void test_unpop(void **state)
{
	for (unsigned int kind = 0; kind < ARRAY_SIZE(ring_kinds); kind++) {
		struct fixture f = { 0 };
		struct virtqueue_chain chain;
		struct virtqueue *vq;
		uint16_t id;
		uint32_t written;
		gpa_t in;

		setup(&f, ring_kinds[kind], 4);
		vq = &f.echo->vdev.queues[1];
		for (unsigned int i = 0; i < 20; i++) {
			send(&f, 1, 1, 2, false, &in);
			assert_int_equal(virtqueue_pop(vq, &chain), 1);
			virtqueue_unpop(vq, &chain);
			assert_int_equal(vq->in_flight, 0);
			assert_int_equal(virtqueue_pop(vq, &chain), 1);
			assert_int_equal(chain.in_size, 200);
			assert_int_equal(virtqueue_pop(vq, &chain), 0);
			virtqueue_push(vq, &chain, 0);
			virtqueue_flush(vq);
			assert_true(virtio_driver_take(&f.drv, 1, &id, &written));
		}
		finish(&f);
	}
}

/* ------- broken rings ------- */

/** breaks() - what was done to queue 0 makes the device ask for a reset; it works after that. */
static void breaks(struct fixture *f)
{
	gpa_t in;

	virtio_driver_notify(&f->drv, 0);
	assert_int_equal(virtio_driver_status(&f->drv), 15 | VIRTIO_STATUS_NEEDS_RESET);
	virtio_driver_notify(&f->drv, 0);
	virtio_driver_reset(&f->drv);
	assert_int_equal(virtio_driver_status(&f->drv), 0);
	virtio_driver_init(&f->drv, f->fm, f->dev, f->drv.features);
	virtio_driver_setup_queue(&f->drv, 0, 8);
	virtio_driver_start(&f->drv);
	send(f, 0, 1, 1, false, &in);
	virtio_driver_notify(&f->drv, 0);
	assert_true(virtio_driver_take(&f->drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	finish(f);
}

static void add_bad(struct fixture *f, gpa_t gpa, uint32_t size, bool writable, bool indirect)
{
	const struct driver_buffer bad = { gpa, size, writable };

	virtio_driver_add(&f->drv, 0, &bad, 1, indirect);
}

static void test_buffer_beyond_memory(void **state)
{
	static const gpa_t bad[] = { FAKE_RAM_SIZE, FAKE_RAM_SIZE - 50, UINT64_MAX - 50,
				     0xe0000000, UINT64_C(1) << 60 };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad) * ARRAY_SIZE(ring_kinds) * 2; i++) {
		struct fixture f = { 0 };

		setup(&f, ring_kinds[i / 2 % ARRAY_SIZE(ring_kinds)], 8);
		add_bad(&f, bad[i / 2 / ARRAY_SIZE(ring_kinds)], 100, i & 1, i & 2);
		breaks(&f);
	}
}

static void test_readonly_memory(void **state)
{
	struct fixture f = { 0 };
	struct mem_region *rom;

	setup(&f, ring_kinds[0], 8);
	assert_int_equal(guest_memory_add_region(f.fm->memory, "rom", 0x1000, MEM_REGION_ROM, &rom,
						 NULL), 0);
	assert_int_equal(guest_memory_map(f.fm->memory, 0xfffff000, rom, 0, 0x1000, true), 0);
	add_bad(&f, 0xfffff000, 100, false, false);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	add_bad(&f, 0xfffff000, 100, true, false);
	breaks(&f);
}

static void test_buffer_across_slots(void **state)
{
	struct fixture f = { 0 };
	struct mem_region *more;
	const struct driver_buffer buffers[] = { { FAKE_RAM_SIZE - 100, 200, false },
						 { FAKE_RAM_SIZE - 300, 200, true } };
	uint16_t id;
	uint32_t written;

	setup(&f, ring_kinds[0], 8);
	assert_int_equal(guest_memory_add_region(f.fm->memory, "more", 0x1000, 0, &more, NULL), 0);
	assert_int_equal(guest_memory_map(f.fm->memory, FAKE_RAM_SIZE, more, 0, 0x1000, false), 0);
	memset(fake_ram(f.fm, FAKE_RAM_SIZE - 100, 100), 'x', 100);
	memset(more->host, 'y', 100);
	virtio_driver_add(&f.drv, 0, buffers, 2, true);
	virtio_driver_notify(&f.drv, 0);
	assert_true(virtio_driver_take(&f.drv, 0, &id, &written));
	assert_int_equal(written, 200);
	assert_memory_equal(fake_ram(f.fm, FAKE_RAM_SIZE - 201, 2), "xy", 2);
	finish(&f);
}

static void test_split_loops(void **state)
{
	for (unsigned int i = 0; i < 6; i++) {
		struct fixture f = { 0 };
		struct driver_buffer buffers[3];
		uint8_t *desc;
		gpa_t table;

		setup(&f, BIT(VIRTIO_F_INDIRECT_DESC), 8);
		for (unsigned int j = 0; j < 3; j++) {
			buffers[j] = (struct driver_buffer){ 0x100000, 10, i != 5 || j == 0 };
		}
		virtio_driver_add(&f.drv, 0, buffers, 3, i >= 2 && i < 5);
		desc = fake_ram(f.fm, f.drv.queues[0].desc, 128);
		table = load_le64(desc);
		switch (i) {
		case 0: store_le16(desc + 32 + 12, 3); store_le16(desc + 32 + 14, 0); break;
		case 1: store_le16(desc + 14, 8); break;
		case 2: store_le16(fake_ram(f.fm, table + 32 + 12, 4), 3); break; /* loop */
		case 3: store_le16(fake_ram(f.fm, table + 12, 4), 4); break; /* table in table */
		case 4: store_le16(fake_ram(f.fm, table + 14, 2), 3); break;
		case 5: break; /* readable behind writable */
		}
		breaks(&f);
	}
}

static void test_split_indexes(void **state)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		gpa_t in;

		setup(&f, i < 3 ? BIT(VIRTIO_F_INDIRECT_DESC) : 0, 8);
		send(&f, 0, 1, 1, i >= 2, &in);
		switch (i) {
		case 0: store_le16(fake_ram(f.fm, f.drv.queues[0].driver + 2, 2), 100); break;
		case 1: store_le16(fake_ram(f.fm, f.drv.queues[0].driver + 4, 2), 8); break;
		case 2: store_le32(fake_ram(f.fm, f.drv.queues[0].desc + 8, 4), 17); break;
		case 3: break; /* an indirect table that was not negotiated */
		}
		breaks(&f);
	}
}

static void test_same_chain_twice(void **state)
{
	struct fixture f = { 0 };
	gpa_t in;

	/* Queue 1 keeps chains: more of them than the ring has entries cannot be. */
	setup(&f, 0, 4);
	send(&f, 1, 0, 1, false, &in);
	for (unsigned int i = 2; i <= 6; i++) {
		store_le16(fake_ram(f.fm, f.drv.queues[1].driver + 2, 2), i);
		virtio_driver_notify(&f.drv, 1);
	}
	assert_int_equal(f.echo->held_count, 4);
	assert_int_equal(virtio_driver_status(&f.drv), 15 | VIRTIO_STATUS_NEEDS_RESET);
	finish(&f);
}

static void test_packed_broken(void **state)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		gpa_t in;
		uint8_t *desc;

		setup(&f, ring_kinds[2], 4);
		send(&f, 0, 1, 1, i >= 2, &in);
		desc = fake_ram(f.fm, f.drv.queues[0].desc, 64);
		switch (i) {
		case 0: /* every descriptor has a next one */
			for (unsigned int j = 0; j < 4; j++) {
				store_le64(desc + 16 * j, 0x100000);
				store_le16(desc + 16 * j + 14, 0x83);
			}
			break;
		case 1: store_le16(desc + 14, 0x85); break; /* a table with a next one */
		case 2: store_le32(desc + 8, 0); break;
		case 3: store_le16(fake_ram(f.fm, load_le64(desc) + 14, 2), 4); break;
		}
		breaks(&f);
	}
}

static void test_ring_beyond_memory(void **state)
{
	static const struct {
		gpa_t desc, driver, device;
		uint16_t size;
	} bad[] = {
		{ FAKE_RAM_SIZE, 0x100000, 0x110000, 8 },
		{ FAKE_RAM_SIZE - 16, 0x100000, 0x110000, 8 },
		{ 0x100000, FAKE_RAM_SIZE - 2, 0x110000, 8 },
		{ 0x100000, 0x100400, UINT64_MAX - 3, 8 },
		{ 0x100008, 0x100400, 0x110000, 8 },
		{ 0x100000, 0x100401, 0x110000, 8 },
		{ 0x100000, 0x100400, 0x110002, 8 },
		{ 0x100000, 0x100400, 0x110000, 7 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture f = { 0 };

		setup_device(&f);
		virtio_driver_init(&f.drv, f.fm, f.dev, 0);
		virtio_driver_write(&f.drv, 24, bad[i].size, 2);
		virtio_driver_write(&f.drv, 32, bad[i].desc, 4);
		virtio_driver_write(&f.drv, 36, bad[i].desc >> 32, 4);
		virtio_driver_write(&f.drv, 40, bad[i].driver, 4);
		virtio_driver_write(&f.drv, 44, bad[i].driver >> 32, 4);
		virtio_driver_write(&f.drv, 48, bad[i].device, 4);
		virtio_driver_write(&f.drv, 52, bad[i].device >> 32, 4);
		virtio_driver_write(&f.drv, 28, 1, 2);
		assert_int_equal(virtio_driver_read(&f.drv, 28, 2), 0);
		assert_true(virtio_driver_status(&f.drv) & VIRTIO_STATUS_NEEDS_RESET);
		finish(&f);
	}
}

/* ------- life ------- */

static void test_reset_waits(void **state)
{
	struct fixture f = { 0 };
	unsigned int resets;
	gpa_t in;

	setup(&f, ring_kinds[1], 8);
	send(&f, 1, 1, 1, false, &in);
	virtio_driver_notify(&f.drv, 1);
	assert_int_equal(f.echo->held_count, 1);
	resets = f.echo->resets;
	virtio_driver_reset(&f.drv);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	virtio_driver_write(&f.drv, 20, 1, 1);
	assert_int_equal(f.echo->resets, resets);
	pthread_mutex_lock(&f.dev->lock);
	echo_chain(&f.echo->vdev.queues[1], &f.echo->held[0]);
	virtqueue_flush(&f.echo->vdev.queues[1]);
	pthread_mutex_unlock(&f.dev->lock);
	assert_int_equal(virtio_driver_status(&f.drv), 0);
	assert_int_equal(f.echo->resets, resets + 1);
	assert_false(virtio_driver_take(&f.drv, 1, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	finish(&f);
}

static void test_pause(void **state)
{
	struct fixture f = { 0 };
	gpa_t in;

	setup(&f, ring_kinds[1], 8);
	assert_int_equal(device_pause(f.dev), 0);
	send(&f, 0, 1, 1, false, &in);
	virtio_driver_notify(&f.drv, 0);
	assert_false(virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	device_resume(f.dev);
	fake_machine_run(f.fm);
	assert_true(virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	finish(&f);
}

static void test_bus_master(void **state)
{
	struct fixture f = { 0 };
	gpa_t in;

	setup(&f, ring_kinds[1], 8);
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY, 2);
	send(&f, 0, 1, 1, false, &in);
	virtio_driver_notify(&f.drv, 0);
	assert_false(virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	fake_machine_run(f.fm);
	assert_true(virtio_driver_take(&f.drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	finish(&f);
}

static void test_state(void **state)
{
	for (unsigned int kind = 0; kind < ARRAY_SIZE(ring_kinds); kind++) {
		struct fixture f = { 0 };
		struct fixture g = { 0 };
		struct fake_image image;
		struct error err = { 0 };
		gpa_t in;

		setup(&f, ring_kinds[kind], 8);
		check_echo(&f, false);
		/* A chain waits in the ring; it is found after the load. */
		f.echo->vdev.paused = true;
		send(&f, 0, 1, 1, true, &in);
		virtio_driver_notify(&f.drv, 0);
		fake_state_save(f.dev, &image);
		setup_device(&g);
		memcpy(g.fm->ram->host, f.fm->ram->host, FAKE_RAM_SIZE);
		assert_int_equal(fake_state_load(g.dev, &image, &err), 0);
		g.drv = f.drv;
		g.drv.fm = g.fm;
		g.drv.dev = g.dev;
		fake_machine_run(g.fm);
		assert_true(virtio_driver_take(&g.drv, 0, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
		check_echo(&g, true);
		fake_image_finish(&image);
		finish(&g);
		f.echo->vdev.paused = false;
		fake_machine_check_device(f.fm, f.dev, NULL);
		finish(&f);
	}
}

static void test_hostile_state(void **state)
{
	static const struct {
		const char *field;
		uint8_t byte;
	} forged[] = {
		{ "saved[0].size", 65 },   { "saved[0].size", 7 },   { "saved[0].desc", 1 },
		{ "driver_features", 2 },  { "status", 4 },	     { "saved[0].driver", 1 },
	};
	struct fixture f = { 0 };
	struct fake_image image;
	struct error err = { 0 };

	setup(&f, BIT(5), 8);
	fake_state_save(f.dev, &image);
	for (unsigned int i = 0; i < ARRAY_SIZE(forged); i++) {
		uint8_t *at = fake_image_field(&image, forged[i].field);
		uint8_t was = *at;

		*at = forged[i].byte;
		assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
		*at = was;
	}
	assert_int_equal(fake_state_load(f.dev, &image, &err), 0);
	fake_image_finish(&image);
	finish(&f);
}

/* ------- irqfd ------- */

/** struct engine_sink - a sink that takes irqfds. */
struct engine_sink {
	struct msi_sink sink;
	unsigned int delivered;
	int fd[QUEUES];
	uint32_t data[QUEUES];
	unsigned int count;
};

static void engine_deliver(struct msi_sink *sink, const struct msi_message *msg)
{
	container_of(sink, struct engine_sink, sink)->delivered++;
}

static int engine_irqfd_add(struct msi_sink *sink, int fd, const struct msi_message *msg)
{
	struct engine_sink *engine = container_of(sink, struct engine_sink, sink);

	assert_true(engine->count < QUEUES);
	engine->fd[engine->count] = fd;
	engine->data[engine->count++] = msg->data;
	return 0;
}

static void engine_irqfd_remove(struct msi_sink *sink, int fd)
{
	struct engine_sink *engine = container_of(sink, struct engine_sink, sink);

	for (unsigned int i = 0; i < engine->count; i++) {
		if (engine->fd[i] == fd) {
			engine->count--;
			engine->fd[i] = engine->fd[engine->count];
			engine->data[i] = engine->data[engine->count];
			return;
		}
	}
	fail_msg("an irqfd that is not there");
}

static void plug_into(struct fake_machine *fm, struct device_env *env)
{
	env->pci = fm->user;
}

static void test_irqfd(void **state)
{
	struct fixture f = { .fm = fake_machine_create() };
	struct engine_sink engine = {
		.sink = { engine_deliver, engine_irqfd_add, engine_irqfd_remove },
	};
	struct pci_bus_env env = { .mmio = f.fm->mmio, .memory = f.fm->memory,
				   .msi = &engine.sink };
	struct pci_bus *bus;
	struct io_space *ports;
	uint64_t count;
	uint64_t table;
	gpa_t in;

	assert_int_equal(io_space_create("ports", 0x10000, &ports, NULL), 0);
	env.ports = ports;
	assert_int_equal(pci_bus_create(&env, &bus, NULL), 0);
	f.fm->user = bus;
	f.dev = fake_machine_create_device(f.fm, "test-virtio-echo", plug_into);
	pci_bus_destroy(f.fm->pci);
	f.fm->pci = bus;
	virtio_driver_init(&f.drv, f.fm, f.dev, 0);
	virtio_driver_enable_msix(&f.drv);
	assert_int_equal(engine.count, QUEUES);
	virtio_driver_setup_queue(&f.drv, 0, 8);
	virtio_driver_start(&f.drv);
	send(&f, 0, 1, 1, false, &in);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(engine.delivered, 0);
	for (unsigned int i = 0; i < QUEUES; i++) {
		ssize_t got = read(engine.fd[i], &count, sizeof(count));

		assert_int_equal(got > 0, engine.data[i] == 0x40);
	}
	/* Masked: taken from the engine, pending, and sent when unmasked. */
	table = fake_pci_bar(f.fm, f.dev, 1);
	fake_mmio_write(f.fm, table + 12, 1, 4);
	assert_int_equal(engine.count, QUEUES - 1);
	send(&f, 0, 1, 1, false, &in);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(fake_mmio_read(f.fm, table + 0x800, 4), 1);
	fake_mmio_write(f.fm, table + 12, 0, 4);
	assert_int_equal(engine.delivered, 1);
	assert_int_equal(engine.count, QUEUES);
	device_reset(f.dev, RESET_COLD);
	assert_int_equal(engine.count, 0);
	fake_machine_destroy(f.fm);
	io_space_destroy(ports);
}

static void test_iov(void **state)
{
	char a[4];
	char b[3];
	const struct iovec iov[] = { { a, 4 }, { NULL, 0 }, { b, 3 } };
	char buf[10] = "";

	assert_int_equal(iov_from_buf(iov, 3, 0, "abcdefghij", 10), 7);
	assert_memory_equal(a, "abcd", 4);
	assert_memory_equal(b, "efg", 3);
	assert_int_equal(iov_to_buf(iov, 3, 2, buf, 4), 4);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(iov_to_buf(iov, 3, 7, buf, 4), 0);
	assert_int_equal(iov_from_buf(iov, 3, 6, "z", 1), 1);
	assert_memory_equal(b, "efz", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_odd_packed_size),
		cmocka_unit_test(test_many_in_flight),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_interrupts_suppressed),
		cmocka_unit_test(test_event_index),
		cmocka_unit_test(test_notification_suppressed),
		cmocka_unit_test(test_unpop),
		cmocka_unit_test(test_buffer_beyond_memory),
		cmocka_unit_test(test_readonly_memory),
		cmocka_unit_test(test_buffer_across_slots),
		cmocka_unit_test(test_split_loops),
		cmocka_unit_test(test_split_indexes),
		cmocka_unit_test(test_same_chain_twice),
		cmocka_unit_test(test_packed_broken),
		cmocka_unit_test(test_ring_beyond_memory),
		cmocka_unit_test(test_reset_waits),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_bus_master),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_hostile_state),
		cmocka_unit_test(test_irqfd),
		cmocka_unit_test(test_iov),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
