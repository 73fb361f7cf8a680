/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * I/O regions: look-up, overlap, splitting and widening, moving from handlers, eventfds, and
 * look-ups that race with changes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "bus/io.h"

/** struct probe - a region that records what its handlers are called with. */
struct probe {
	struct io_region region;
	pthread_mutex_t lock;
	uint8_t bytes[64];
	unsigned int reads;
	unsigned int writes;
	uint64_t offset;
	uint64_t value;
	unsigned int size;
	void (*hook)(struct probe *probe);
};

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct probe *probe = opaque;
	uint64_t value = 0;

	probe->reads++;
	probe->offset = offset;
	probe->size = size;
	if (probe->hook) {
		probe->hook(probe);
	}
	if (offset + size <= sizeof(probe->bytes)) {
		memcpy(&value, probe->bytes + offset, size);
	}
	return value;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct probe *probe = opaque;

	probe->writes++;
	probe->offset = offset;
	probe->value = value;
	probe->size = size;
	if (probe->hook) {
		probe->hook(probe);
	}
	if (offset + size <= sizeof(probe->bytes)) {
		memcpy(probe->bytes + offset, &value, size);
	}
}

#define PROBE_OPS(...) { .read = probe_read, .write = probe_write, __VA_ARGS__ }

static const struct io_ops byte_ops = PROBE_OPS(.min_size = 1, .max_size = 1);
static const struct io_ops plain_ops = { .read = probe_read, .write = probe_write };
static const struct io_ops dword_ops = PROBE_OPS(.min_size = 4, .max_size = 4);
static const struct io_ops widen_ops =
	PROBE_OPS(.min_size = 4, .max_size = 4, .widen_writes = true);
static const struct io_ops loose_ops =
	PROBE_OPS(.min_size = 1, .max_size = 8, .unaligned = true);

static struct io_space *create_space(uint64_t size)
{
	struct io_space *space = NULL;

	assert_int_equal(io_space_create("test", size, &space, NULL), 0);
	return space;
}

static void probe_init(struct probe *probe, const struct io_ops *ops, uint64_t size)
{
	memset(probe, 0, sizeof(*probe));
	for (unsigned int i = 0; i < sizeof(probe->bytes); i++) {
		probe->bytes[i] = i;
	}
	pthread_mutex_init(&probe->lock, NULL);
	io_region_init(&probe->region, "probe", ops, probe, &probe->lock, size);
}

static void test_hole(void **state)
{
	struct io_space *space = create_space(0x10000);

	assert_int_equal(io_read(space, 0x80, 1), 0xff);
	assert_int_equal(io_read(space, 0x80, 4), 0xffffffff);
	assert_true(io_read(space, 0x80, 8) == UINT64_MAX);
	io_write(space, 0x80, 1, 4);
	assert_null(io_find(space, 0x80));
	io_space_destroy(space);
}

static void test_bounds(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe probe;

	probe_init(&probe, &plain_ops, 16);
	assert_int_equal(io_region_map(&probe.region, space, 0xfff1), -EINVAL);
	assert_int_equal(io_region_map(&probe.region, space, UINT64_MAX - 4), -EINVAL);
	assert_int_equal(io_region_map(&probe.region, space, 0xfff0), 0);
	assert_ptr_equal(io_find(space, 0xffff), &probe.region);
	assert_null(io_find(space, 0xffef));
	assert_int_equal(io_read(space, 0xffff, 4), 0xffffff0f);
	assert_int_equal(io_read(space, 0xffef, 2), 0x00ff);
	io_region_unmap(&probe.region);
	assert_null(io_find(space, 0xffff));
	io_region_unmap(&probe.region);
	io_space_destroy(space);
}

static void test_whole_address_space(void **state)
{
	struct io_space *space = create_space(0);
	struct probe probe;

	probe_init(&probe, &plain_ops, 16);
	assert_int_equal(io_region_map(&probe.region, space, UINT64_MAX - 15), 0);
	assert_ptr_equal(io_find(space, UINT64_MAX), &probe.region);
	assert_null(io_find(space, 0));
	assert_int_equal(io_read(space, UINT64_MAX - 15, 4), 0x03020100);
	io_region_unmap(&probe.region);
	io_space_destroy(space);
}

static void test_split(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe probe;

	probe_init(&probe, &byte_ops, 16);
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	assert_int_equal(io_read(space, 0x102, 4), 0x05040302);
	assert_int_equal(probe.reads, 4);
	io_write(space, 0x104, 0xaabb, 2);
	assert_int_equal(probe.writes, 2);
	assert_int_equal(probe.bytes[4], 0xbb);
	assert_int_equal(probe.bytes[5], 0xaa);
	/* The last byte is there, the next ones are nobody's. */
	assert_int_equal(io_read(space, 0x10f, 4), 0xffffff0f);
	io_space_destroy(space);
}

static void test_split_wide_and_unaligned(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe probe;

	probe_init(&probe, &plain_ops, 32);
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	assert_true(io_read(space, 0x108, 8) == UINT64_C(0x0f0e0d0c0b0a0908));
	assert_int_equal(probe.reads, 2);
	probe.reads = 0;
	assert_int_equal(io_read(space, 0x101, 4), 0x04030201);
	assert_int_equal(probe.reads, 3); /* 1 + 2 + 1 */
	probe_init(&probe, &loose_ops, 32);
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	assert_int_equal(io_read(space, 0x101, 4), 0x04030201);
	assert_int_equal(probe.reads, 1);
	io_space_destroy(space);
}

static void test_widen(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe probe;

	probe_init(&probe, &dword_ops, 16);
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	assert_int_equal(io_read(space, 0x106, 1), 0x06);
	assert_int_equal(probe.offset, 4);
	assert_int_equal(probe.size, 4);
	assert_int_equal(io_read(space, 0x106, 2), 0x0706);
	assert_int_equal(io_read(space, 0x103, 2), 0x0403);
	io_write(space, 0x106, 0xee, 1);
	assert_int_equal(probe.writes, 0);
	io_region_unmap(&probe.region);

	probe_init(&probe, &widen_ops, 16);
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	io_write(space, 0x106, 0xffee, 1);
	assert_int_equal(probe.writes, 1);
	assert_int_equal(probe.offset, 4);
	assert_int_equal(probe.value, 0xee0000);
	io_space_destroy(space);
}

static void test_priority(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe low;
	struct probe high;
	struct probe same;

	probe_init(&low, &plain_ops, 0x100);
	probe_init(&high, &plain_ops, 0x10);
	probe_init(&same, &plain_ops, 0x20);
	high.region.priority = 1;
	assert_int_equal(io_region_map(&high.region, space, 0x180), 0);
	assert_int_equal(io_region_map(&low.region, space, 0x100), 0);
	assert_ptr_equal(io_find(space, 0x17f), &low.region);
	assert_ptr_equal(io_find(space, 0x180), &high.region);
	assert_ptr_equal(io_find(space, 0x18f), &high.region);
	assert_ptr_equal(io_find(space, 0x190), &low.region);
	/* Of equal ones, the one mapped last. */
	assert_int_equal(io_region_map(&same.region, space, 0x180), 0);
	assert_ptr_equal(io_find(space, 0x180), &high.region);
	assert_ptr_equal(io_find(space, 0x190), &same.region);
	assert_ptr_equal(io_find(space, 0x1a0), &low.region);
	/* The offset is the region's own wherever it shows. */
	io_read(space, 0x1a0, 1);
	assert_int_equal(low.offset, 0xa0);
	io_region_unmap(&same.region);
	io_region_unmap(&high.region);
	assert_ptr_equal(io_find(space, 0x188), &low.region);
	io_space_destroy(space);
}

static void test_access_belongs_to_its_start(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe address;
	struct probe reset;

	/* Ports 0xcf8, a register of 32 bits, and 0xcf9, one of 8. */
	probe_init(&address, &dword_ops, 4);
	probe_init(&reset, &byte_ops, 1);
	reset.region.priority = 1;
	assert_int_equal(io_region_map(&address.region, space, 0xcf8), 0);
	assert_int_equal(io_region_map(&reset.region, space, 0xcf9), 0);
	io_write(space, 0xcf8, 0x80001234, 4);
	assert_int_equal(address.value, 0x80001234);
	assert_int_equal(address.writes, 1);
	assert_int_equal(reset.writes, 0);
	io_write(space, 0xcf9, 6, 1);
	assert_int_equal(address.writes, 1);
	assert_int_equal(reset.value, 6);
	io_space_destroy(space);
}

static void move_away(struct probe *probe)
{
	assert_int_equal(io_region_map(&probe->region, probe->region.space, 0x800), 0);
}

static void test_move_from_own_handler(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct probe probe;

	probe_init(&probe, &plain_ops, 16);
	probe.hook = move_away;
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	io_write(space, 0x100, 1, 1);
	assert_null(io_find(space, 0x100));
	assert_ptr_equal(io_find(space, 0x800), &probe.region);
	io_space_destroy(space);
}

static void test_full(void **state)
{
	struct io_space *space = create_space(0x100000);
	struct probe *probes = calloc(257, sizeof(*probes));

	for (unsigned int i = 0; i < 256; i++) {
		probe_init(&probes[i], &plain_ops, 16);
		assert_int_equal(io_region_map(&probes[i].region, space, i * 32), 0);
	}
	probe_init(&probes[256], &plain_ops, 16);
	assert_int_equal(io_region_map(&probes[256].region, space, 0x8000), -ENOSPC);
	for (unsigned int i = 0; i < 256; i++) {
		assert_ptr_equal(io_find(space, i * 32 + 15), &probes[i].region);
		assert_null(io_find(space, i * 32 + 16));
	}
	io_space_destroy(space);
	free(probes);
}

static void test_spaces_do_not_share_hits(void **state)
{
	struct probe probe;

	/* A freed space's memory is likely to be used again by the next one. */
	for (unsigned int i = 0; i < 16; i++) {
		struct io_space *space = create_space(0x10000);

		assert_null(io_find(space, 0x100));
		probe_init(&probe, &plain_ops, 16);
		assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
		assert_ptr_equal(io_find(space, 0x100), &probe.region);
		io_space_destroy(space);
		assert_null(probe.region.space);
	}
}

static void test_unclaimed_is_logged_once(void **state)
{
	struct io_space *space = create_space(0x10000);
	char path[] = "/tmp/limen-test-io.XXXXXX";
	int fd = mkstemp(path);
	char text[4096] = "";
	unsigned int lines = 0;

	assert_true(fd >= 0);
	unlink(path);
	log_set_fd(fd);
	assert_int_equal(log_set_levels("bus=info", NULL), 0);
	for (unsigned int i = 0; i < 5; i++) {
		io_read(space, 0x1234, 2);
		io_write(space, 0x5678, 1, 1);
	}
	for (unsigned int i = 0; i < 0x8000; i++) {
		io_read(space, i, 1); /* more addresses than it can remember: bounded */
	}
	log_set_fd(2);
	assert_int_equal(log_set_levels("bus=warn", NULL), 0);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	for (char *at = strstr(text, "0x1234"); at; at = strstr(at + 1, "0x1234")) {
		lines++;
	}
	assert_int_equal(lines, 1);
	assert_non_null(strstr(text, "0x5678"));
	assert_true(lseek(fd, 0, SEEK_END) < 64 * 1024);
	close(fd);
	io_space_destroy(space);
}

/** struct watcher - an engine that watches eventfds. */
struct watcher {
	struct io_eventfd_listener listener;
	unsigned int added;
	unsigned int removed;
};

static int watcher_add(struct io_eventfd_listener *l, struct io_space *space,
		       const struct io_eventfd *e)
{
	container_of(l, struct watcher, listener)->added++;
	return 0;
}

static void watcher_remove(struct io_eventfd_listener *l, struct io_space *space,
			   const struct io_eventfd *e)
{
	container_of(l, struct watcher, listener)->removed++;
}

static uint64_t rung(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

static void test_eventfd(void **state)
{
	struct io_space *space = create_space(0x10000);
	struct watcher watcher = { .listener = { watcher_add, watcher_remove } };
	struct probe probe;
	struct io_eventfd two = { .address = 0x104, .size = 2, .fd = eventfd(0, EFD_NONBLOCK) };
	struct io_eventfd any = { .address = 0x100, .size = 0, .fd = eventfd(0, EFD_NONBLOCK) };

	probe_init(&probe, &plain_ops, 16);
	assert_int_equal(io_region_map(&probe.region, space, 0x100), 0);
	assert_int_equal(io_eventfd_add(space, &two), 0);
	io_space_set_eventfd_listener(space, &watcher.listener);
	assert_int_equal(io_eventfd_add(space, &any), 0);
	assert_int_equal(io_eventfd_add(space, &any), -EEXIST);
	assert_int_equal(watcher.added, 2);

	io_write(space, 0x104, 7, 2);
	io_write(space, 0x100, 7, 1);
	io_write(space, 0x100, 7, 4);
	assert_int_equal(probe.writes, 0);
	assert_int_equal(rung(two.fd), 1);
	assert_int_equal(rung(any.fd), 2);
	io_write(space, 0x104, 7, 4); /* another size: the region's */
	assert_int_equal(probe.writes, 1);
	assert_int_equal(rung(two.fd), 0);

	io_eventfd_remove(space, &any);
	assert_int_equal(watcher.removed, 1);
	io_write(space, 0x100, 7, 1);
	assert_int_equal(probe.writes, 2);
	io_space_set_eventfd_listener(space, NULL);
	assert_int_equal(watcher.removed, 2);
	close(two.fd);
	close(any.fd);
	io_space_destroy(space);
}

/** struct race - a thread that accesses while another moves regions. */
struct race {
	struct io_space *space;
	_Atomic bool stop;
	_Atomic unsigned int wrong;
	_Atomic unsigned int reads;
};

static uint64_t constant_read(void *opaque, uint64_t offset, unsigned int size)
{
	return (uintptr_t)opaque + offset;
}

static void ignore_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
}

static const struct io_ops constant_ops = {
	.read = constant_read,
	.write = ignore_write,
	.max_size = 4,
};

static void *race_main(void *opaque)
{
	struct race *race = opaque;

	while (!atomic_load(&race->stop)) {
		uint64_t moving = io_read(race->space, 0x1004, 4);
		uint64_t fixed = io_read(race->space, 0x2004, 4);

		if ((moving != 0xffffffff && moving != 0x11000004 && moving != 0x12000004) ||
		    fixed != 0x13000004) {
			atomic_fetch_add(&race->wrong, 1);
		}
		atomic_fetch_add(&race->reads, 1);
	}
	return NULL;
}

static void test_race(void **state)
{
	struct race race = { .space = create_space(0x10000) };
	struct io_region a;
	struct io_region b;
	struct io_region fixed;
	pthread_t thread;

	io_region_init(&a, "a", &constant_ops, (void *)0x11000000, NULL, 0x100);
	io_region_init(&b, "b", &constant_ops, (void *)0x12000000, NULL, 0x100);
	io_region_init(&fixed, "fixed", &constant_ops, (void *)0x13000000, NULL, 0x100);
	assert_int_equal(io_region_map(&fixed, race.space, 0x2000), 0);
	assert_int_equal(pthread_create(&thread, NULL, race_main, &race), 0);
	for (unsigned int i = 0; i < 20000 || atomic_load(&race.reads) < 1000; i++) {
		assert_int_equal(io_region_map(&a, race.space, i & 1 ? 0x1000 : 0x3000), 0);
		assert_int_equal(io_region_map(&b, race.space, i & 2 ? 0x1000 : 0x4000), 0);
	}
	atomic_store(&race.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&race.wrong), 0);
	io_space_destroy(race.space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_whole_address_space),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_wide_and_unaligned),
		cmocka_unit_test(test_widen),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_access_belongs_to_its_start),
		cmocka_unit_test(test_move_from_own_handler),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_spaces_do_not_share_hits),
		cmocka_unit_test(test_unclaimed_is_logged_once),
		cmocka_unit_test(test_eventfd),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
