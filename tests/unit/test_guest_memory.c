/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: slots that split and replace each other, hostile ranges, dirty pages, look-up
 * while mapping.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "memory/guest_memory.h"

#define PAGE GUEST_PAGE_SIZE

/** struct mirror - a listener that keeps what it was told, and counts contradictions. */
struct mirror {
	struct guest_memory_listener listener;
	struct mem_slot slots[GUEST_MEMORY_MAX_SLOTS * 2];
	unsigned int count;
	unsigned int contradictions;
	unsigned int calls;
	unsigned int syncs;
	unsigned int clears;
	unsigned int tracking_changes;
	uint64_t dirty_on_sync; /* offset + 1 of a page that the "CPU" has written */
};

struct fixture {
	struct guest_memory *memory;
	struct mem_region *ram;
	struct mem_region *rom;
	struct mirror mirror;
};

static struct mirror *mirror_from(struct guest_memory_listener *l)
{
	return container_of(l, struct mirror, listener);
}

static void mirror_added(struct guest_memory_listener *l, const struct mem_slot *slot)
{
	struct mirror *m = mirror_from(l);

	m->calls++;
	for (unsigned int i = 0; i < m->count; i++) {
		if (slot->gpa < m->slots[i].gpa + m->slots[i].size &&
		    m->slots[i].gpa < slot->gpa + slot->size) {
			m->contradictions++;
		}
	}
	if (m->count < ARRAY_SIZE(m->slots)) {
		m->slots[m->count++] = *slot;
	}
}

static void mirror_removed(struct guest_memory_listener *l, const struct mem_slot *slot)
{
	struct mirror *m = mirror_from(l);

	m->calls++;
	for (unsigned int i = 0; i < m->count; i++) {
		if (m->slots[i].gpa == slot->gpa && m->slots[i].size == slot->size) {
			m->slots[i] = m->slots[--m->count];
			return;
		}
	}
	m->contradictions++;
}

static void mirror_tracking(struct guest_memory_listener *l, struct mem_region *region)
{
	(void)region;
	mirror_from(l)->tracking_changes++;
}

static void mirror_sync(struct guest_memory_listener *l, struct mem_region *region)
{
	struct mirror *m = mirror_from(l);

	m->syncs++;
	if (m->dirty_on_sync) {
		mem_region_written(region, m->dirty_on_sync - 1, 1);
		m->dirty_on_sync = 0;
	}
}

static void mirror_cleared(struct guest_memory_listener *l, struct mem_region *region,
			   uint64_t offset, uint64_t size)
{
	(void)region;
	(void)offset;
	(void)size;
	mirror_from(l)->clears++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = { 0 };

	assert_int_equal(guest_memory_create(&f->memory, &err), 0);
	assert_int_equal(guest_memory_add_region(f->memory, "ram", MIB(1), 0, &f->ram, &err), 0);
	assert_int_equal(
		guest_memory_add_region(f->memory, "rom", 5000, MEM_REGION_ROM, &f->rom, &err), 0);
	f->mirror.listener.slot_added = mirror_added;
	f->mirror.listener.slot_removed = mirror_removed;
	f->mirror.listener.tracking_changed = mirror_tracking;
	f->mirror.listener.dirty_sync = mirror_sync;
	f->mirror.listener.dirty_cleared = mirror_cleared;
	assert_int_equal(guest_memory_map(f->memory, 0, f->ram, 0, MIB(1), false), 0);
	guest_memory_add_listener(f->memory, &f->mirror.listener);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_memory_remove_listener(f->memory, &f->mirror.listener);
	guest_memory_destroy(f->memory);
	free(f);
	return 0;
}

/* What listeners were told must be what look-ups find, for every page of the first 2 MiB. */
static void check_mirror(struct fixture *f)
{
	assert_int_equal(f->mirror.contradictions, 0);
	for (gpa_t gpa = 0; gpa < MIB(2); gpa += PAGE) {
		struct mem_slot slot;
		const struct mem_slot *told = NULL;
		bool found = guest_memory_find(f->memory, gpa, &slot);

		for (unsigned int i = 0; i < f->mirror.count; i++) {
			if (gpa - f->mirror.slots[i].gpa < f->mirror.slots[i].size) {
				told = &f->mirror.slots[i];
			}
		}
		assert_int_equal(found, told != NULL);
		if (found) {
			assert_ptr_equal(slot.region, told->region);
			assert_int_equal(slot.gpa, told->gpa);
			assert_int_equal(slot.offset, told->offset);
			assert_int_equal(slot.readonly, told->readonly);
		}
	}
}

static void test_region(void **state)
{
	struct fixture *f = *state;
	struct mem_region *region = NULL;
	struct error err = { 0 };

	assert_int_equal(f->rom->size, 2 * PAGE);
	assert_int_equal(f->ram->host[MIB(1) - 1], 0);
	assert_true(f->ram->fd >= 0);
	assert_int_equal(guest_memory_add_region(f->memory, "none", 0, 0, &region, &err), -EINVAL);
	assert_true(guest_memory_add_region(f->memory, "much", GIB(3072), 0, &region, &err) < 0);
	assert_non_null(strstr(err.text, "much"));
	assert_true(guest_memory_add_region(f->memory, "all", GIB(64), 0, &region, &err) < 0);
	assert_true(guest_memory_add_region(f->memory, "wrap", UINT64_MAX, 0, &region, &err) < 0);
	assert_null(region);
}

static void test_split(void **state)
{
	struct fixture *f = *state;
	struct mem_slot slot;

	check_mirror(f);
	/* In the middle: three slots, the last with its offset moved on. */
	assert_int_equal(guest_memory_map(f->memory, 0x40000, f->rom, PAGE, PAGE, false), 0);
	check_mirror(f);
	assert_true(guest_memory_find(f->memory, 0x40fff, &slot));
	assert_ptr_equal(slot.region, f->rom);
	assert_true(slot.readonly);
	assert_true(guest_memory_find(f->memory, 0x41000, &slot));
	assert_ptr_equal(slot.region, f->ram);
	assert_int_equal(slot.offset, 0x41000);
	assert_true(guest_memory_find(f->memory, 0x3ffff, &slot));
	assert_int_equal(slot.size, 0x40000);

	/* The same again changes nothing and tells nobody. */
	f->mirror.calls = 0;
	assert_int_equal(guest_memory_map(f->memory, 0x40000, f->rom, PAGE, PAGE, false), 0);
	assert_int_equal(guest_memory_map(f->memory, 0x50000, f->ram, 0x50000, PAGE, false), 0);
	assert_int_equal(f->mirror.calls, 0);

	/* Over all of them, beginning and ending inside others. */
	assert_int_equal(guest_memory_map(f->memory, 0x3f000, f->ram, 0, 0x4000, true), 0);
	check_mirror(f);
	guest_memory_unmap(f->memory, 0x3e000, 0x2000);
	check_mirror(f);
	assert_false(guest_memory_find(f->memory, 0x3ffff, &slot));
	assert_true(guest_memory_find(f->memory, 0x40000, &slot));
	assert_int_equal(slot.offset, 0x1000);
	guest_memory_unmap(f->memory, 0, UINT64_MAX);
	check_mirror(f);
	assert_int_equal(f->mirror.count, 0);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_memory_map(f->memory, 1, f->ram, 0, PAGE, false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, 0, f->ram, 1, PAGE, false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, 0, f->ram, 0, 1, false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, 0, f->ram, 0, 0, false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, 0, f->ram, PAGE, MIB(1), false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, 0, f->ram, -PAGE, 2 * PAGE, false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, -PAGE, f->ram, 0, PAGE, false), -EINVAL);
	assert_int_equal(guest_memory_map(f->memory, -PAGE, f->ram, 0, 2 * PAGE, false), -EINVAL);
	check_mirror(f);
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	struct mem_slot slot;
	unsigned int made = 1;
	int ret = 0;

	for (gpa_t gpa = PAGE; ret == 0; gpa += 2 * PAGE) {
		ret = guest_memory_map(f->memory, gpa, f->rom, 0, PAGE, false);
		made += ret == 0 ? 2 : 0;
	}
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(made, GUEST_MEMORY_MAX_SLOTS - 1);
	check_mirror(f);
	assert_int_equal(guest_memory_map(f->memory, MIB(1), f->ram, 0, PAGE, false), 0);
	/* No room for the slot that is left over: it must still not be mapped. */
	guest_memory_unmap(f->memory, 0x80000, PAGE);
	assert_false(guest_memory_find(f->memory, 0x80000, &slot));
	check_mirror(f);
}

static void test_access(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[3 * PAGE];
	uint8_t back[3 * PAGE];

	for (size_t i = 0; i < sizeof(buf); i++) {
		buf[i] = (uint8_t)(i * 7 + i / 256);
	}
	/* RAM, ROM, RAM in one write: the ROM's part is dropped. */
	assert_int_equal(guest_memory_map(f->memory, 0x2000, f->rom, 0, PAGE, false), 0);
	assert_int_equal(guest_mem_write(f->memory, 0x1000, buf, sizeof(buf)), 0);
	assert_int_equal(guest_mem_read(f->memory, 0x1000, back, sizeof(back)), 0);
	assert_memory_equal(back, buf, PAGE);
	assert_int_equal(back[PAGE], 0);
	assert_int_equal(f->rom->host[0], 0);
	assert_memory_equal(back + 2 * PAGE, buf + 2 * PAGE, PAGE);
	assert_int_equal(guest_mem_write_rom(f->memory, 0x1000, buf, sizeof(buf)), 0);
	assert_memory_equal(f->rom->host, buf + PAGE, PAGE);
	assert_int_equal(guest_mem_fill(f->memory, 0x1ff0, 0xaa, PAGE), 0);
	assert_int_equal(f->ram->host[0x1ff0], 0xaa);
	assert_int_equal(f->ram->host[0x2000], 0);
	assert_int_equal(f->rom->host[0], buf[PAGE]);

	/* Ends outside: what lies before it is written, nothing beyond. */
	assert_int_equal(guest_mem_write(f->memory, MIB(1) - 2, buf, 4), -EFAULT);
	assert_int_equal(f->ram->host[MIB(1) - 1], buf[1]);
	assert_int_equal(guest_mem_read(f->memory, MIB(1) - 2, back, 4), -EFAULT);
	assert_int_equal(guest_mem_read(f->memory, UINT64_MAX - 1, back, 4), -EFAULT);
	assert_int_equal(guest_mem_write(f->memory, UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(guest_mem_fill(f->memory, 0, 0, SIZE_MAX), -EFAULT);
	assert_int_equal(guest_mem_read(f->memory, UINT64_MAX, back, 0), 0);
	guest_mem_written(f->memory, UINT64_MAX - 3, SIZE_MAX);
}

static void test_map(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_memory_map(f->memory, 0x2000, f->rom, 0, PAGE, false), 0);
	assert_ptr_equal(guest_mem_map(f->memory, 0x1000, PAGE, true), f->ram->host + 0x1000);
	assert_null(guest_mem_map(f->memory, 0x1000, PAGE + 1, false));
	assert_null(guest_mem_map(f->memory, 0x2000, 4, true));
	assert_ptr_equal(guest_mem_map(f->memory, 0x2004, 4, false), f->rom->host + 4);
	assert_null(guest_mem_map(f->memory, MIB(1), 1, false));
	assert_null(guest_mem_map(f->memory, MIB(1) - 1, SIZE_MAX, false));
	assert_null(guest_mem_map(f->memory, UINT64_MAX, 2, false));
}

static void test_small(void **state)
{
	struct fixture *f = *state;
	uint16_t v16 = 0;
	uint32_t v32 = 0;
	uint64_t v64 = 0;

	assert_int_equal(guest_mem_write_u64(f->memory, 0x1000, 0x1122334455667788), 0);
	assert_int_equal(guest_mem_read_u16(f->memory, 0x1002, &v16), 0);
	assert_int_equal(v16, 0x5566);
	assert_int_equal(guest_mem_read_u32(f->memory, 0x1003, &v32), 0);
	assert_int_equal(v32, 0x22334455);
	assert_int_equal(guest_mem_write_u32(f->memory, 0x1ffe, 0xcafef00d), 0);
	assert_int_equal(guest_mem_read_u32(f->memory, 0x1ffe, &v32), 0);
	assert_int_equal(v32, 0xcafef00d);
	assert_int_equal(guest_mem_read_u64(f->memory, MIB(1) - 4, &v64), -EFAULT);
	assert_int_equal(v64, 0);
	assert_int_equal(guest_mem_read_u64(f->memory, MIB(1), &v64), -EFAULT);
	assert_int_equal(guest_mem_write_u16(f->memory, MIB(1) - 1, 0xffff), -EFAULT);
	assert_int_equal(guest_memory_map(f->memory, 0x2000, f->rom, 0, PAGE, false), 0);
	assert_int_equal(guest_mem_write_u16(f->memory, 0x2000, 0xffff), 0);
	assert_int_equal(guest_mem_read_u16(f->memory, 0x2000, &v16), 0);
	assert_int_equal(v16, 0);
}

static void test_dirty(void **state)
{
	struct fixture *f = *state;
	uint64_t bits[4] = { 0 };

	mem_region_set_tracking(f->memory, f->ram, MEM_DIRTY_DISPLAY, true);
	mem_region_set_tracking(f->memory, f->ram, MEM_DIRTY_DISPLAY, true);
	assert_int_equal(f->mirror.tracking_changes, 1);
	assert_true(
		mem_region_collect_dirty(f->memory, f->ram, MEM_DIRTY_DISPLAY, 0, MIB(1), bits));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(bits[i], UINT64_MAX);
	}
	assert_int_equal(f->mirror.clears, 1);
	assert_false(
		mem_region_collect_dirty(f->memory, f->ram, MEM_DIRTY_DISPLAY, 0, MIB(1), bits));
	assert_int_equal(f->mirror.clears, 1);
	assert_int_equal(bits[0], 0);

	/* A write by a device, one by the CPU that only the engine knows of, one across pages. */
	assert_int_equal(guest_mem_write_u32(f->memory, 0x41000, 1), 0);
	assert_int_equal(guest_mem_fill(f->memory, 0x7fff, 1, 2), 0);
	f->mirror.dirty_on_sync = 0x3000 + 1;
	mem_region_set_tracking(f->memory, f->ram, MEM_DIRTY_MIGRATION, true);
	assert_true(
		mem_region_collect_dirty(f->memory, f->ram, MEM_DIRTY_DISPLAY, 0, MIB(1), bits));
	assert_int_equal(bits[0], BIT(3) | BIT(7) | BIT(8));
	assert_int_equal(bits[1], BIT(1));
	/* Collecting for one leaves the other's. */
	assert_true(mem_region_collect_dirty(f->memory, f->ram, MEM_DIRTY_MIGRATION, 0x41000, PAGE,
					     bits));
	assert_int_equal(bits[0], 1);
	assert_int_equal(f->mirror.syncs, 4);
	assert_false(
		mem_region_collect_dirty(f->memory, f->ram, MEM_DIRTY_DISPLAY, MIB(1), 1, bits));

	mem_region_set_tracking(f->memory, f->ram, MEM_DIRTY_DISPLAY, false);
	assert_int_equal(guest_mem_write_u32(f->memory, 0x1000, 1), 0);
	assert_false(mem_region_collect_dirty(f->memory, f->ram, MEM_DIRTY_DISPLAY, 0, PAGE * 8,
					      bits));
}

static void test_code(void **state)
{
	struct fixture *f = *state;
	uint32_t before = atomic_load(&f->ram->code_gen[1]);

	atomic_fetch_or(&f->ram->page_flags[1], MEM_PAGE_CODE);
	assert_int_equal(guest_mem_write_u16(f->memory, 0x0ff0, 1), 0);
	assert_int_equal(atomic_load(&f->ram->code_gen[1]), before);
	assert_int_equal(guest_mem_write_u16(f->memory, 0x0fff, 1), 0);
	assert_int_equal(atomic_load(&f->ram->code_gen[1]), before + 1);
	assert_int_equal(atomic_load(&f->ram->code_gen[0]), 0);
	mem_region_written(f->ram, UINT64_MAX, UINT64_MAX);
	mem_region_written(f->ram, MIB(1) - 1, UINT64_MAX);
}

#define FLIPS 20000

static void *flip_thread(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < FLIPS; i++) {
		struct mem_region *region = i % 2 ? f->ram : f->rom;

		guest_memory_map(f->memory, 0x40000, region, i % 2 ? 0x40000 : 0, 2 * PAGE, false);
		if (i % 64 == 0) {
			guest_memory_unmap(f->memory, 0x60000, PAGE);
			guest_memory_map(f->memory, 0x60000, f->ram, 0x60000, PAGE, false);
		}
	}
	return NULL;
}

/*
 * A page that is always mapped is found in every moment, and as one of the two things that it can
 * be.
 */
static void test_concurrent(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	unsigned int wrong = 0;
	unsigned int seen_rom = 0;

	assert_int_equal(pthread_create(&thread, NULL, flip_thread, f), 0);
	for (int i = 0; i < FLIPS * 10; i++) {
		struct mem_slot slot;
		uint8_t byte;

		if (!guest_memory_find(f->memory, 0x41000, &slot)) {
			wrong++;
		} else if (slot.region == f->rom) {
			seen_rom++;
			wrong += slot.gpa != 0x40000 || slot.offset != 0 || !slot.readonly;
		} else {
			wrong += slot.region != f->ram || slot.readonly || slot.offset != slot.gpa;
		}
		wrong += guest_mem_read(f->memory, 0x80000 - 1, &byte, 1) != 0;
	}
	pthread_join(thread, NULL);
	assert_int_equal(wrong, 0);
	(void)seen_rom;
	check_mirror(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_region, setup, teardown),
		cmocka_unit_test_setup_teardown(test_split, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_code, setup, teardown),
		cmocka_unit_test_setup_teardown(test_concurrent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
