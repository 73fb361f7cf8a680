/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk images: what is written is read back through the ring and through an overlay, requests that
 * make no sense complete with an error, and images that cannot be used are refused with a line that
 * names them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"

#define IMAGE_SIZE MIB(1)

struct fixture {
	char folder[64];
	char image[96];
	struct io_thread *thread;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = { 0 };

	strcpy(f->folder, "/tmp/limen-block-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->image, sizeof(f->image), "%s/disk", f->folder);
	assert_int_equal(block_create_raw(f->image, IMAGE_SIZE, &err), 0);
	assert_int_equal(io_thread_create("block", &f->thread, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	io_thread_destroy(f->thread);
	unlink(f->image);
	rmdir(f->folder);
	free(f);
	return 0;
}

static struct block_device *open_image(struct fixture *f, bool snapshot)
{
	struct block_options options = { .file = f->image, .snapshot = snapshot };
	struct block_device *device = NULL;
	struct error err = { 0 };

	assert_int_equal(block_open(&options, io_thread_loop(f->thread), &device, &err), 0);
	return device;
}

struct waiter {
	struct block_request request;
	sem_t done;
	int result;
};

static void request_done(struct block_request *request, int result)
{
	struct waiter *w = container_of(request, struct waiter, request);

	w->result = result;
	sem_post(&w->done);
}

static int run(struct block_device *device, enum block_op op, uint64_t offset, void *buf,
	       uint64_t size)
{
	struct iovec iov[2] = { { buf, size / 2 }, { (uint8_t *)buf + size / 2, size - size / 2 } };
	struct waiter w = { .request = { .op = op,
					 .offset = offset,
					 .size = size,
					 .iov = iov,
					 .iov_count = buf ? 2 : 0,
					 .done = request_done } };

	sem_init(&w.done, 0, 0);
	block_submit(device, &w.request);
	sem_wait(&w.done);
	sem_destroy(&w.done);
	return w.result;
}

static void round_trip(struct block_device *device)
{
	static uint8_t out[200 * 1024], in[200 * 1024];
	static const uint8_t zeroes[4096];

	for (size_t i = 0; i < sizeof(out); i++) {
		out[i] = (uint8_t)(i * 7 + i / 251);
	}
	assert_int_equal(run(device, BLOCK_WRITE, 1536, out, sizeof(out)), 0);
	assert_int_equal(run(device, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(run(device, BLOCK_READ, 1536, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(run(device, BLOCK_WRITE_ZEROES, 4096, NULL, 4096), 0);
	assert_int_equal(run(device, BLOCK_READ, 4096, in, 4096), 0);
	assert_memory_equal(in, zeroes, 4096);
	assert_int_equal(run(device, BLOCK_READ, 8192, in, 512), 0);
	assert_memory_equal(in, out + 8192 - 1536, 512);
	assert_int_equal(run(device, BLOCK_DISCARD, 65536, NULL, 65536), 0);
}

static void test_round_trip(void **state)
{
	struct block_device *device = open_image(*state, false);
	struct block_stats stats;

	round_trip(device);
	block_get_stats(device, &stats);
	assert_int_equal(stats.writes, 1);
	assert_int_equal(stats.reads, 3);
	assert_int_equal(stats.errors, 0);
	block_close(device);
}

static void test_snapshot_leaves_the_image_alone(void **state)
{
	struct block_device *device = open_image(*state, true);
	uint8_t sector[512];

	round_trip(device);
	block_close(device);
	device = open_image(*state, false);
	assert_int_equal(run(device, BLOCK_READ, 2048, sector, 512), 0);
	for (size_t i = 0; i < sizeof(sector); i++) {
		assert_int_equal(sector[i], 0);
	}
	block_close(device);
}

static void test_bad_requests_complete(void **state)
{
	struct block_device *device = open_image(*state, false);
	uint8_t buf[1024];

	assert_int_equal(run(device, BLOCK_READ, 100, buf, 512), -EINVAL);
	assert_int_equal(run(device, BLOCK_READ, 0, buf, 100), -EINVAL);
	assert_int_equal(run(device, BLOCK_READ, IMAGE_SIZE, buf, 512), -EINVAL);
	assert_int_equal(run(device, BLOCK_READ, IMAGE_SIZE - 512, buf, 1024), -EINVAL);
	assert_int_equal(run(device, BLOCK_WRITE, UINT64_MAX - 511, buf, 512), -EINVAL);
	block_close(device);
}

static void expect_refused(struct fixture *f, const char *file, bool readonly, const char *text)
{
	struct block_options options = { .file = file, .readonly = readonly };
	struct block_device *device = NULL;
	struct error err = { 0 };

	assert_true(block_open(&options, io_thread_loop(f->thread), &device, &err) < 0);
	assert_null(device);
	assert_non_null(strstr(err.text, file));
	assert_non_null(strstr(err.text, text));
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct block_device *device = open_image(f, false);

	expect_refused(f, f->image, false, "in use by another machine");
	block_close(device);
	expect_refused(f, f->folder, false, "directory");
	expect_refused(f, f->folder, true, "directory");
	expect_refused(f, "/nonexistent/image", false, "No such file");
	assert_int_equal(truncate(f->image, 1000), 0);
	expect_refused(f, f->image, false, "512");
}

static void test_tail_reads_zeroes(void **state)
{
	struct fixture *f = *state;
	struct block_options options = { .file = f->image, .readonly = true };
	struct block_device *device;
	struct error err = { 0 };
	uint8_t buf[1024];

	assert_int_equal(truncate(f->image, 1000), 0);
	assert_int_equal(block_open(&options, io_thread_loop(f->thread), &device, &err), 0);
	assert_int_equal(block_size(device), 1024);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(run(device, BLOCK_READ, 0, buf, 1024), 0);
	assert_int_equal(buf[1023], 0);
	assert_int_equal(run(device, BLOCK_WRITE, 0, buf, 512), -EROFS);
	block_close(device);
}

static void test_empty_drive(void **state)
{
	struct fixture *f = *state;
	struct block_options none = { 0 }, disc = { .file = f->image, .readonly = true };
	struct block_device *device;
	struct error err = { 0 };
	uint8_t buf[512];

	assert_int_equal(block_open(&none, io_thread_loop(f->thread), &device, &err), 0);
	assert_false(block_has_media(device));
	assert_int_equal(run(device, BLOCK_READ, 0, buf, 512), -ENOMEDIUM);
	assert_int_equal(block_set_media(device, &disc, &err), 0);
	assert_int_equal(run(device, BLOCK_READ, 0, buf, 512), 0);
	assert_int_equal(block_set_media(device, NULL, &err), 0);
	assert_int_equal(run(device, BLOCK_READ, 0, buf, 512), -ENOMEDIUM);
	block_close(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_snapshot_leaves_the_image_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bad_requests_complete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail_reads_zeroes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_drive, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
