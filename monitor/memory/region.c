/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory regions: host memory in a memfd, so that it can be handed to other processes
 * (vhost-user, display clients) and is not counted before it is touched; and the notes that are
 * taken per page of it.
 *
 * Two things are noted about a page: which clients have not yet seen its latest contents (a dirty
 * bit for each), and whether the soft engine holds decoded instructions of it. Both are one byte
 * that writers and collectors change with read-modify-write operations only. Those are full
 * barriers on x86, and that is relied on: a writer stores its data and then sets the bit; a
 * collector clears the bit and then reads the data; so either the collector sees the data or the
 * bit is set again after it. A plain load to see whether the bit is set already would let the
 * processor pass the data's store by it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/memory_impl.h"

#define HUGE_PAGE MIB(2)

static void *map_anonymous(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int mem_region_create(const char *name, uint64_t size, unsigned int flags,
		      struct mem_region **ret_region, struct error *err)
{
	uint64_t pages = size >> GUEST_PAGE_SHIFT;
	struct mem_region *region = calloc(1, sizeof(*region));
	int ret;

	if (!region) {
		return error_set(err, ENOMEM, "%s: not enough memory", name);
	}
	snprintf(region->name, sizeof(region->name), "%s", name);
	region->size = size;
	region->flags = flags;
	region->fd = memfd_create(name, MFD_CLOEXEC);
	if (region->fd < 0 || ftruncate(region->fd, (off_t)size) < 0) {
		ret = error_set(err, errno, "%s: cannot allocate %llu MiB: %s", name,
			  (unsigned long long)(size >> 20), strerror(errno));
		goto out_destroy;
	}
	region->host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	if (region->host == MAP_FAILED) {
		region->host = NULL;
		ret = error_set(err, errno, "%s: cannot map %llu MiB: %s", name,
			  (unsigned long long)(size >> 20), strerror(errno));
		goto out_destroy;
	}
	region->page_flags = map_anonymous(pages * sizeof(*region->page_flags));
	region->code_gen = map_anonymous(pages * sizeof(*region->code_gen));
	if (!region->page_flags || !region->code_gen) {
		ret = error_set(err, ENOMEM, "%s: no memory to track %llu pages", name,
			  (unsigned long long)pages);
		goto out_destroy;
	}
	/* Wishes; a kernel without them serves as well. */
	if (size >= HUGE_PAGE) {
		madvise(region->host, size, MADV_HUGEPAGE);
	}
	madvise(region->host, size, MADV_DONTDUMP);
	*ret_region = region;
	return 0;

out_destroy:
	mem_region_destroy(region);
	return ret;
}

void mem_region_destroy(struct mem_region *region)
{
	uint64_t pages;

	if (!region) {
		return;
	}
	pages = region->size >> GUEST_PAGE_SHIFT;
	if (region->code_gen) {
		munmap((void *)region->code_gen, pages * sizeof(*region->code_gen));
	}
	if (region->page_flags) {
		munmap((void *)region->page_flags, pages * sizeof(*region->page_flags));
	}
	if (region->host) {
		munmap(region->host, region->size);
	}
	if (region->fd >= 0) {
		close(region->fd);
	}
	free(region);
}

void mem_region_written(struct mem_region *region, uint64_t offset, uint64_t size)
{
	uint8_t tracking = atomic_load_explicit(&region->tracking, memory_order_relaxed);
	uint64_t page = offset >> GUEST_PAGE_SHIFT;
	uint64_t end;

	if (size == 0 || offset >= region->size) {
		return;
	}
	end = (offset + MIN(size, region->size - offset) - 1) >> GUEST_PAGE_SHIFT;
	for (; page <= end; page++) {
		uint8_t flags = atomic_fetch_or(&region->page_flags[page], tracking);

		if (flags & MEM_PAGE_CODE) {
			atomic_fetch_add(&region->code_gen[page], 1);
		}
	}
}

/* ------- dirty tracking ------- */

void mem_region_set_tracking(struct guest_memory *memory, struct mem_region *region,
			     enum mem_dirty_client client, bool on)
{
	uint8_t bit = (uint8_t)BIT(client);
	bool was_on;

	pthread_mutex_lock(&memory->mutex);
	was_on = atomic_load(&region->tracking) & bit;
	if (was_on == on) {
		goto out_unlock;
	}
	if (on) {
		atomic_fetch_or(&region->tracking, bit);
	} else {
		atomic_fetch_and(&region->tracking, (uint8_t)~bit);
	}
	list_for_each (node, &memory->listeners) {
		struct guest_memory_listener *l =
			container_of(node, struct guest_memory_listener, node);

		if (l->tracking_changed) {
			l->tracking_changed(l, region);
		}
	}
	if (on) {
		for (uint64_t page = 0; page < region->size >> GUEST_PAGE_SHIFT; page++) {
			atomic_fetch_or(&region->page_flags[page], bit);
		}
	}
out_unlock:
	pthread_mutex_unlock(&memory->mutex);
}

/* Moves the bits of @client from the pages' flags to @ret_bitmap. */
static bool take_dirty_bits(struct mem_region *region, uint8_t bit, uint64_t first, uint64_t pages,
			    uint64_t *ret_bitmap)
{
	bool any = false;

	memset(ret_bitmap, 0, (pages + 63) / 64 * sizeof(*ret_bitmap));
	for (uint64_t i = 0; i < pages; i++) {
		_Atomic uint8_t *flags = &region->page_flags[first + i];

		if (!(atomic_load_explicit(flags, memory_order_relaxed) & bit)) {
			continue;
		}
		atomic_fetch_and(flags, (uint8_t)~bit);
		ret_bitmap[i / 64] |= BIT(i % 64);
		any = true;
	}
	return any;
}

bool mem_region_collect_dirty(struct guest_memory *memory, struct mem_region *region,
			      enum mem_dirty_client client, uint64_t offset, uint64_t size,
			      uint64_t *ret_bitmap)
{
	uint64_t first = offset >> GUEST_PAGE_SHIFT;
	uint64_t pages;
	bool any;

	if (size == 0 || offset >= region->size) {
		return false;
	}
	size = MIN(size, region->size - offset);
	pages = ((offset + size + GUEST_PAGE_MASK) >> GUEST_PAGE_SHIFT) - first;

	pthread_mutex_lock(&memory->mutex);
	list_for_each (node, &memory->listeners) {
		struct guest_memory_listener *l =
			container_of(node, struct guest_memory_listener, node);

		if (l->dirty_sync) {
			l->dirty_sync(l, region);
		}
	}
	any = take_dirty_bits(region, (uint8_t)BIT(client), first, pages, ret_bitmap);
	if (any) {
		list_for_each (node, &memory->listeners) {
			struct guest_memory_listener *l =
				container_of(node, struct guest_memory_listener, node);

			if (l->dirty_cleared) {
				l->dirty_cleared(l, region, first << GUEST_PAGE_SHIFT,
						 pages << GUEST_PAGE_SHIFT);
			}
		}
	}
	pthread_mutex_unlock(&memory->mutex);
	return any;
}
