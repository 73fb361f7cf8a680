/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio-blk on a raw image: each kind of request, every way in which one can be bad, several
 * queues, both kinds of ring, and that a reset waits for what is in flight.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/block.h"
#include "device/fake_virtio_driver.h"

#define DISK_SIZE MIB(1)
#define DISK_SECTORS (DISK_SIZE / 512)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK, S_IOERR, S_UNSUPP };

#define F_FLUSH BIT(9)
#define F_MQ BIT(12)
#define F_DISCARD BIT(13)
#define F_ZEROES BIT(14)
#define ALL_FEATURES (~UINT64_C(0) & ~BIT(VIRTIO_F_RING_PACKED))

/** struct fixture - a machine with a disk; @header, @data, @status: buffers of one request. */
struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	struct block_device *block;
	struct virtio_driver drv;
	char path[64];
	gpa_t header;
	gpa_t data;
	gpa_t status;
	struct io_thread *thread;
};

static void plug_disk(struct fake_machine *fm, struct device_env *env)
{
	struct fixture *f = fm->user;

	env->block = f->block;
	if (f->thread) {
		env->io_loop = io_thread_loop(f->thread);
	}
}

/** setup_on() - with the device on the machine's loop or on an I/O thread of its own. */
static void setup_on(struct fixture *f, uint64_t features, bool readonly, bool thread)
{
	struct block_options options = { .file = f->path, .format = "raw", .readonly = readonly };
	struct error err = { 0 };
	const char *tmp = getenv("LIMEN_TMP");

	f->fm = fake_machine_create();
	snprintf(f->path, sizeof(f->path), "%s/limen-disk-%d", tmp && strlen(tmp) < 40 ? tmp :
		 "/tmp", (int)getpid());
	unlink(f->path);
	assert_int_equal(block_create_raw(f->path, DISK_SIZE, &err), 0);
	if (thread) {
		assert_int_equal(io_thread_create("disk", &f->thread, &err), 0);
	}
	assert_int_equal(block_open(&options,
				    thread ? io_thread_loop(f->thread) : f->fm->loop, &f->block,
				    &err), 0);
	f->fm->user = f;
	fake_machine_set(f->fm, "virtio-blk", "virtio-blk", "packed", "on");
	fake_machine_set(f->fm, "virtio-blk", "virtio-blk", "queues", "2");
	fake_machine_set(f->fm, "virtio-blk", "virtio-blk", "serial", "12345678901234567890");
	f->dev = fake_machine_create_device(f->fm, "virtio-blk", plug_disk);
	virtio_driver_init(&f->drv, f->fm, f->dev, features);
	virtio_driver_setup_queue(&f->drv, 0, 16);
	virtio_driver_setup_queue(&f->drv, 1, 16);
	virtio_driver_start(&f->drv);
	f->header = virtio_driver_alloc(&f->drv, 64);
	f->data = virtio_driver_alloc(&f->drv, 65536);
	f->status = virtio_driver_alloc(&f->drv, 1);
}

static void setup(struct fixture *f, uint64_t features, bool readonly)
{
	setup_on(f, features, readonly, false);
}

static void finish(struct fixture *f)
{
	fake_machine_destroy_device(f->fm, f->dev);
	block_close(f->block);
	io_thread_destroy(f->thread);
	fake_machine_destroy(f->fm);
	unlink(f->path);
}

/** wait_taken() - until a request of queue @n is done; its bytes written. */
static uint32_t wait_taken(struct fixture *f, unsigned int n)
{
	uint16_t id;
	uint32_t written;

	for (unsigned int i = 0; i < 100; i++) {
		if (virtio_driver_take(&f->drv, n, &id, &written)) {
			return written;
		}
		event_loop_iterate(f->fm->loop, 100);
	}
	fail_msg("the request is not completed");
	return 0;
}

static void write_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	uint8_t *header = fake_ram(f->fm, f->header, 16);

	store_le32(header, type);
	store_le32(header + 4, 0);
	store_le64(header + 8, sector);
	memset(fake_ram(f->fm, f->status, 1), 0xee, 1);
}

/** request() - header, @size bytes of data, status; returns the status. */
static uint8_t request(struct fixture *f, unsigned int n, uint32_t type, uint64_t sector,
		       uint32_t size)
{
	const struct driver_buffer buffers[] = {
		{ f->header, 16, false },
		{ f->data, size, type == T_IN || type == T_GET_ID },
		{ f->status, 1, true },
	};

	write_header(f, type, sector);
	if (size > 0) {
		virtio_driver_add(&f->drv, n, buffers, 3, false);
	} else {
		const struct driver_buffer two[] = { buffers[0], buffers[2] };

		virtio_driver_add(&f->drv, n, two, 2, true);
	}
	virtio_driver_notify(&f->drv, n);
	wait_taken(f, n);
	return *(uint8_t *)fake_ram(f->fm, f->status, 1);
}

static void file_bytes(struct fixture *f, uint64_t offset, void *buf, size_t size)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, buf, size, offset), size);
	close(fd);
}

static void check_read_write(struct fixture *f, unsigned int n)
{
	uint8_t expected[4096];
	uint8_t got[4096];

	memset(expected, 0x5a + n, sizeof(expected));
	memcpy(fake_ram(f->fm, f->data, 4096), expected, 4096);
	assert_int_equal(request(f, n, T_OUT, 16, 4096), S_OK);
	file_bytes(f, 16 * 512, got, 4096);
	assert_memory_equal(got, expected, 4096);
	memset(fake_ram(f->fm, f->data, 4096), 0, 4096);
	assert_int_equal(request(f, n, T_IN, 16, 4096), S_OK);
	assert_memory_equal(fake_ram(f->fm, f->data, 4096), expected, 4096);
	assert_int_equal(request(f, n, T_FLUSH, 0, 0), S_OK);
	/* The last sector, and nothing of it behind the end. */
	assert_int_equal(request(f, n, T_IN, DISK_SECTORS - 1, 512), S_OK);
}

static void test_read_write(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct fixture f = { 0 };

		setup(&f, i ? ~UINT64_C(0) : ALL_FEATURES, false);
		check_read_write(&f, 0);
		check_read_write(&f, 1);
		fake_machine_check_device(f.fm, f.dev, NULL);
		finish(&f);
	}
}

static void test_config(void **state)
{
	struct fixture f = { 0 };

	setup(&f, ALL_FEATURES, false);
	assert_true(f.drv.features & F_MQ);
	assert_int_equal(virtio_driver_config(&f.drv, 0, 4), DISK_SECTORS);
	assert_int_equal(virtio_driver_config(&f.drv, 12, 4), 254);
	assert_int_equal(virtio_driver_config(&f.drv, 20, 4), 512);
	assert_int_equal(virtio_driver_config(&f.drv, 24, 1), 3);
	assert_int_equal(virtio_driver_config(&f.drv, 34, 2), 2);
	assert_int_equal(virtio_driver_config(&f.drv, 40, 4), 1);
	finish(&f);
}

static void test_id(void **state)
{
	struct fixture f = { 0 };

	setup(&f, ALL_FEATURES, false);
	assert_int_equal(request(&f, 0, T_GET_ID, 0, 20), S_OK);
	assert_memory_equal(fake_ram(f.fm, f.data, 20), "12345678901234567890", 20);
	assert_int_equal(request(&f, 0, T_GET_ID, 0, 5), S_OK);
	assert_int_equal(request(&f, 0, T_GET_ID, 0, 100), S_OK);
	finish(&f);
}

static void test_any_framing(void **state)
{
	struct fixture f = { 0 };
	/* Header in pieces, with the data's start; status at the end of the data. */
	struct driver_buffer write[] = {
		{ 0, 3, false }, { 0, 113, false }, { 0, 412, false }, { 0, 1, true },
	};
	struct driver_buffer read[] = { { 0, 16, false }, { 0, 100, true }, { 0, 413, true } };

	setup(&f, ALL_FEATURES, false);
	write_header(&f, T_OUT, 3);
	memcpy(fake_ram(f.fm, f.data, 16), fake_ram(f.fm, f.header, 16), 16);
	memset(fake_ram(f.fm, f.data + 16, 512), 0x77, 512);
	write[0].gpa = f.data;
	write[1].gpa = f.data + 3;
	write[2].gpa = f.data + 116;
	write[3].gpa = f.status;
	virtio_driver_add(&f.drv, 0, write, 4, true);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(wait_taken(&f, 0), 1);
	assert_int_equal(*(uint8_t *)fake_ram(f.fm, f.status, 1), S_OK);

	write_header(&f, T_IN, 3);
	memset(fake_ram(f.fm, f.data, 1024), 0xee, 1024);
	read[0].gpa = f.header;
	read[1].gpa = f.data;
	read[2].gpa = f.data + 100;
	virtio_driver_add(&f.drv, 0, read, 3, false);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(wait_taken(&f, 0), 513);
	for (unsigned int i = 0; i < 512; i++) {
		assert_int_equal(((uint8_t *)fake_ram(f.fm, f.data, 512))[i], 0x77);
	}
	assert_int_equal(*(uint8_t *)fake_ram(f.fm, f.data + 512, 1), S_OK);
	finish(&f);
}

static void test_bad_requests(void **state)
{
	struct fixture f = { 0 };
	uint8_t *range;

	setup(&f, ALL_FEATURES, false);
	assert_int_equal(request(&f, 0, T_IN, DISK_SECTORS, 512), S_IOERR);
	assert_int_equal(request(&f, 0, T_IN, DISK_SECTORS - 1, 1024), S_IOERR);
	assert_int_equal(request(&f, 0, T_OUT, UINT64_MAX, 512), S_IOERR);
	assert_int_equal(request(&f, 0, T_OUT, UINT64_MAX / 512 + 1, 512), S_IOERR);
	assert_int_equal(request(&f, 0, T_IN, 0, 511), S_IOERR);
	assert_int_equal(request(&f, 0, T_OUT, 0, 513), S_IOERR);
	assert_int_equal(request(&f, 0, 2, 0, 512), S_UNSUPP);
	assert_int_equal(request(&f, 0, 0xffffffff, 0, 0), S_UNSUPP);
	assert_int_equal(request(&f, 0, T_IN, 0, 0), S_OK);
	range = fake_ram(f.fm, f.data, 16);
	store_le64(range, DISK_SECTORS);
	store_le32(range + 8, 1);
	store_le32(range + 12, 0);
	assert_int_equal(request(&f, 0, T_DISCARD, 0, 16), S_IOERR);
	store_le64(range, 0);
	store_le32(range + 12, 1);
	assert_int_equal(request(&f, 0, T_DISCARD, 0, 16), S_UNSUPP);
	store_le32(range + 12, 2);
	assert_int_equal(request(&f, 0, T_ZEROES, 0, 16), S_UNSUPP);
	assert_int_equal(request(&f, 0, T_ZEROES, 0, 15), S_IOERR);
	assert_int_equal(request(&f, 0, T_ZEROES, 0, 32), S_IOERR);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	finish(&f);
}

static void test_no_room(void **state)
{
	struct fixture f = { 0 };
	struct driver_buffer buffers[] = { { 0, 16, false }, { 0, 512, false } };
	struct driver_buffer many[16];

	setup(&f, ALL_FEATURES, false);
	write_header(&f, T_OUT, 0);
	buffers[0].gpa = f.header;
	buffers[1].gpa = f.data;
	virtio_driver_add(&f.drv, 0, buffers, 2, false);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(wait_taken(&f, 0), 0);
	/* No whole header. */
	buffers[0].size = 15;
	buffers[1] = (struct driver_buffer){ f.status, 1, true };
	virtio_driver_add(&f.drv, 0, buffers, 2, false);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(wait_taken(&f, 0), 1);
	assert_int_equal(*(uint8_t *)fake_ram(f.fm, f.status, 1), S_IOERR);
	/* In as many pieces as fit into the ring. */
	write_header(&f, T_IN, 0);
	many[0] = (struct driver_buffer){ f.header, 16, false };
	for (unsigned int i = 1; i < 15; i++) {
		many[i] = (struct driver_buffer){ f.data + 512 * i, 512, true };
	}
	many[15] = (struct driver_buffer){ f.status, 1, true };
	virtio_driver_add(&f.drv, 0, many, 16, false);
	virtio_driver_notify(&f.drv, 0);
	assert_int_equal(wait_taken(&f, 0), 14 * 512 + 1);
	assert_int_equal(*(uint8_t *)fake_ram(f.fm, f.status, 1), S_OK);
	finish(&f);
}

static void test_too_many_segments(void **state)
{
	struct fixture f = { 0 };
	struct driver_buffer *many = calloc(300, sizeof(*many));

	setup(&f, ALL_FEATURES, false);
	write_header(&f, T_IN, 0);
	many[0] = (struct driver_buffer){ f.header, 16, false };
	for (unsigned int i = 1; i < 299; i++) {
		many[i] = (struct driver_buffer){ f.data + 512 * (i % 100), 512, true };
	}
	many[299] = (struct driver_buffer){ f.status, 1, true };
	virtio_driver_add(&f.drv, 0, many, 300, true);
	virtio_driver_notify(&f.drv, 0);
	wait_taken(&f, 0);
	assert_int_equal(*(uint8_t *)fake_ram(f.fm, f.status, 1), S_IOERR);
	free(many);
	finish(&f);
}

static void test_discard_and_zeroes(void **state)
{
	struct fixture f = { 0 };
	uint8_t *range;
	uint8_t got[512];

	setup(&f, ALL_FEATURES, false);
	range = fake_ram(f.fm, f.data, 16);
	for (unsigned int i = 0; i < 2; i++) {
		memset(range, 0x33, 512 * 16);
		assert_int_equal(request(&f, 0, T_OUT, 0, 512 * 16), S_OK);
		store_le64(range, 8);
		store_le32(range + 8, 8);
		store_le32(range + 12, i);
		assert_int_equal(request(&f, 0, T_ZEROES, 0, 16), S_OK);
		file_bytes(&f, 512 * 8, got, 512);
		assert_int_equal(got[0] | got[511], 0);
		file_bytes(&f, 512 * 7, got, 512);
		assert_int_equal(got[0], 0x33);
	}
	store_le64(range, 0);
	store_le32(range + 12, 0);
	assert_int_equal(request(&f, 0, T_DISCARD, 0, 16), S_OK);
	finish(&f);
	/* Not agreed on. */
	setup(&f, F_FLUSH, false);
	store_le32(fake_ram(f.fm, f.data + 8, 4), 8);
	assert_int_equal(request(&f, 0, T_DISCARD, 0, 16), S_UNSUPP);
	assert_int_equal(request(&f, 0, T_ZEROES, 0, 16), S_UNSUPP);
	finish(&f);
}

static void test_readonly(void **state)
{
	struct fixture f = { 0 };

	setup(&f, ALL_FEATURES, true);
	assert_true(f.drv.features & BIT(5));
	assert_false(f.drv.features & F_DISCARD);
	assert_int_equal(request(&f, 0, T_OUT, 0, 512), S_IOERR);
	assert_int_equal(request(&f, 0, T_IN, 0, 512), S_OK);
	finish(&f);
}

static void test_write_through(void **state)
{
	struct fixture f = { 0 };
	struct block_stats stats;

	setup(&f, ALL_FEATURES & ~F_FLUSH, false);
	assert_int_equal(request(&f, 0, T_OUT, 0, 512), S_OK);
	block_get_stats(f.block, &stats);
	assert_int_equal(stats.flushes, 1);
	finish(&f);
	setup(&f, ALL_FEATURES, false);
	assert_int_equal(request(&f, 0, T_OUT, 0, 512), S_OK);
	block_get_stats(f.block, &stats);
	assert_int_equal(stats.flushes, 0);
	finish(&f);
}

static void test_many(void **state)
{
	struct fixture f = { 0 };
	gpa_t headers;
	gpa_t status;

	/* Full rings in both queues, over and over. */
	setup(&f, ALL_FEATURES, false);
	headers = virtio_driver_alloc(&f.drv, 16 * 16);
	status = virtio_driver_alloc(&f.drv, 16);
	for (unsigned int i = 0; i < 16; i++) {
		uint8_t *header = fake_ram(f.fm, headers + 16 * i, 16);

		store_le32(header, T_IN);
		store_le64(header + 8, i);
	}
	for (unsigned int round = 0; round < 20; round++) {
		memset(fake_ram(f.fm, status, 16), 0xee, 16);
		for (unsigned int i = 0; i < 16; i++) {
			const struct driver_buffer buffers[] = {
				{ headers + 16 * i, 16, false },
				{ f.data + 512 * i, 512, true },
				{ status + i, 1, true },
			};

			virtio_driver_add(&f.drv, i & 1, buffers, 3, true);
		}
		virtio_driver_notify(&f.drv, 0);
		virtio_driver_notify(&f.drv, 1);
		for (unsigned int i = 0; i < 16; i++) {
			wait_taken(&f, i & 1);
		}
		for (unsigned int i = 0; i < 16; i++) {
			assert_int_equal(*(uint8_t *)fake_ram(f.fm, status + i, 1), S_OK);
		}
	}
	finish(&f);
}

static void test_reset_in_flight(void **state)
{
	struct fixture f = { 0 };
	const struct driver_buffer buffers[] = {
		{ MIB(8), 16, false }, { MIB(9), MIB(1), true }, { MIB(11), 1, true },
	};

	setup(&f, ALL_FEATURES, false);
	virtio_driver_add(&f.drv, 0, buffers, 3, false);
	fake_mmio_write(f.fm, f.drv.notify, 0, 2);
	event_loop_iterate(f.fm->loop, 0);
	virtio_driver_reset(&f.drv);
	for (unsigned int i = 0; i < 100 && virtio_driver_status(&f.drv) != 0; i++) {
		event_loop_iterate(f.fm->loop, 100);
	}
	assert_int_equal(virtio_driver_status(&f.drv), 0);
	finish(&f);
}

/** add_read() - a read of 512 bytes into slot @i of the buffers. */
static void add_read(struct fixture *f, gpa_t headers, gpa_t status, unsigned int i)
{
	const struct driver_buffer buffers[] = {
		{ headers + 16 * i, 16, false },
		{ f->data + 512 * i, 512, true },
		{ status + i, 1, true },
	};

	store_le32(fake_ram(f->fm, headers + 16 * i, 4), T_IN);
	virtio_driver_add(&f->drv, i & 1, buffers, 3, true);
}

static void test_io_thread(void **state)
{
	struct fixture f = { 0 };
	unsigned int done = 0;
	uint16_t id;
	uint32_t written;
	gpa_t headers;
	gpa_t status;

	setup_on(&f, ALL_FEATURES, false, true);
	virtio_driver_enable_msix(&f.drv);
	headers = virtio_driver_alloc(&f.drv, 16 * 16);
	status = virtio_driver_alloc(&f.drv, 16);
	for (unsigned int i = 0; i < 16; i++) {
		add_read(&f, headers, status, i);
	}
	/* Many at once, from another thread than the device's, paused now and then. */
	for (unsigned int round = 0; round < 3000 && done < 2000; round++) {
		virtio_driver_notify(&f.drv, 0);
		virtio_driver_notify(&f.drv, 1);
		if (round % 100 == 0) {
			assert_int_equal(device_pause(f.dev), 0);
			device_resume(f.dev);
		}
		for (unsigned int i = 0; i < 16; i++) {
			if (virtio_driver_take(&f.drv, i & 1, &id, &written)) {
				assert_int_equal(written, 513);
				done++;
				/* Its indirect table is free again. */
				f.drv.memory_next = status + 4096 + 64 * i;
				add_read(&f, headers, status, i);
			}
		}
		event_loop_iterate(f.fm->loop, 1);
	}
	assert_true(done >= 1000);
	assert_int_equal(virtio_driver_status(&f.drv), 15);
	/* Paused, nothing is in flight, and nothing is taken. */
	assert_int_equal(device_pause(f.dev), 0);
	fake_machine_check_device(f.fm, f.dev, NULL);
	finish(&f);
}

static void test_destroyed_while_busy(void **state)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct fixture f = { 0 };
		gpa_t headers;
		gpa_t status;

		setup_on(&f, ALL_FEATURES, false, true);
		headers = virtio_driver_alloc(&f.drv, 16 * 16);
		status = virtio_driver_alloc(&f.drv, 16);
		for (unsigned int j = 0; j < 16; j++) {
			add_read(&f, headers, status, j);
		}
		virtio_driver_notify(&f.drv, 0);
		virtio_driver_notify(&f.drv, 1);
		finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_any_framing),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_discard_and_zeroes),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_write_through),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_io_thread),
		cmocka_unit_test(test_destroyed_while_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
