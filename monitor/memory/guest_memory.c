/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest-physical address space: which addresses are memory, and of which region.
 *
 * Slots are kept sorted in a small array. Look-ups come from every vCPU and device thread,
 * changes are rare (firmware opening the PAM areas, a BAR that moves), so look-ups take no lock:
 * there are two tables, a change writes the one that is not being read and then raises the
 * sequence number, whose lowest bit names the table to read. A look-up that finds the number
 * unchanged afterwards has read a table that nobody was writing. Members of a table are atomics
 * read with acquire and written with release, which orders them against the number without
 * fences.
 *
 * Changes are published first and announced second: whoever drops what it has cached when told
 * (the soft engine's TLBs) can then only find the new mapping again.
 */

#include "memory/guest_memory.h"

#include <stdlib.h>

#include "memory/memory_impl.h"

/* One change splits at most one slot in three, so this holds any intermediate result. */
#define SLOTS_SCRATCH (GUEST_MEMORY_MAX_SLOTS + 2)

/**
 * struct slot_change - a change in the making
 * @slots: the table as it will be
 * @removed, @added: what listeners will be told
 */
struct slot_change {
	struct mem_slot slots[SLOTS_SCRATCH];
	unsigned int count;
	struct mem_slot removed[GUEST_MEMORY_MAX_SLOTS];
	unsigned int removed_count;
	struct mem_slot added[3];
	unsigned int added_count;
};

int guest_memory_create(struct guest_memory **ret_memory, struct error *err)
{
	struct guest_memory *memory = calloc(1, sizeof(*memory));

	if (!memory) {
		return error_set(err, ENOMEM, "not enough memory for the guest's address space");
	}
	pthread_mutex_init(&memory->mutex, NULL);
	list_init(&memory->listeners);
	*ret_memory = memory;
	return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	if (!memory) {
		return;
	}
	for (unsigned int i = 0; i < memory->region_count; i++) {
		mem_region_destroy(memory->regions[i]);
	}
	pthread_mutex_destroy(&memory->mutex);
	free(memory);
}

int guest_memory_add_region(struct guest_memory *memory, const char *name, uint64_t size,
			    unsigned int flags, struct mem_region **ret_region, struct error *err)
{
	struct mem_region *region;
	int ret = 0;

	if (size == 0 || size > MEMORY_MAX_BYTES) {
		return error_set(err, EINVAL, "%s: %llu MiB of memory: 1 to %llu MiB are possible",
				 name, (unsigned long long)(size >> 20),
				 (unsigned long long)(MEMORY_MAX_BYTES >> 20));
	}
	size = ALIGN_UP(size, GUEST_PAGE_SIZE);

	pthread_mutex_lock(&memory->mutex);
	if (memory->region_count == MEMORY_MAX_REGIONS) {
		ret = error_set(err, ENOSPC, "%s: more than %d memory regions", name,
				MEMORY_MAX_REGIONS);
		goto out_unlock;
	}
	if (memory->total_bytes + size > MEMORY_MAX_BYTES) {
		ret = error_set(err, ENOMEM, "%s: more than %llu MiB of guest memory in all", name,
				(unsigned long long)(MEMORY_MAX_BYTES >> 20));
		goto out_unlock;
	}
	ret = mem_region_create(name, size, flags, &region, err);
	if (ret) {
		goto out_unlock;
	}
	memory->regions[memory->region_count++] = region;
	memory->total_bytes += size;
	*ret_region = region;
out_unlock:
	pthread_mutex_unlock(&memory->mutex);
	return ret;
}

void guest_memory_for_each_region(struct guest_memory *memory,
				  void (*fn)(void *opaque, struct mem_region *region), void *opaque)
{
	struct mem_region *regions[MEMORY_MAX_REGIONS];
	unsigned int count;

	pthread_mutex_lock(&memory->mutex);
	count = memory->region_count;
	memcpy(regions, memory->regions, count * sizeof(regions[0]));
	pthread_mutex_unlock(&memory->mutex);
	for (unsigned int i = 0; i < count; i++) {
		fn(opaque, regions[i]);
	}
}

/* ------- changing the slots; memory->mutex held ------- */

static void publish_locked(struct guest_memory *memory)
{
	unsigned int sequence = atomic_load_explicit(&memory->sequence, memory_order_relaxed);
	struct slot_table *table = &memory->tables[(sequence + 1) & 1];

	atomic_store_explicit(&table->count, memory->slot_count, memory_order_release);
	for (unsigned int i = 0; i < memory->slot_count; i++) {
		struct published_slot *to = &table->slots[i];
		const struct mem_slot *from = &memory->slots[i];

		atomic_store_explicit(&to->gpa, from->gpa, memory_order_release);
		atomic_store_explicit(&to->size, from->size, memory_order_release);
		atomic_store_explicit(&to->region, from->region, memory_order_release);
		atomic_store_explicit(&to->offset, from->offset, memory_order_release);
		atomic_store_explicit(&to->readonly, from->readonly, memory_order_release);
	}
	atomic_store_explicit(&memory->sequence, sequence + 1, memory_order_release);
}

static void announce_locked(struct guest_memory *memory, const struct slot_change *change)
{
	list_for_each (node, &memory->listeners) {
		struct guest_memory_listener *l =
			container_of(node, struct guest_memory_listener, node);

		for (unsigned int i = 0; i < change->removed_count; i++) {
			l->slot_removed(l, &change->removed[i]);
		}
		for (unsigned int i = 0; i < change->added_count; i++) {
			l->slot_added(l, &change->added[i]);
		}
	}
}

static void change_keep(struct slot_change *change, const struct mem_slot *slot)
{
	change->slots[change->count++] = *slot;
}

static void change_add(struct slot_change *change, const struct mem_slot *slot)
{
	change->added[change->added_count++] = *slot;
	change_keep(change, slot);
}

/* The parts of @slot on either side of [@start, @end). */
static void change_keep_before(struct slot_change *change, const struct mem_slot *slot, gpa_t start)
{
	struct mem_slot part = *slot;

	if (slot->gpa < start) {
		part.size = start - slot->gpa;
		change_add(change, &part);
	}
}

static void change_keep_after(struct slot_change *change, const struct mem_slot *slot, gpa_t end)
{
	struct mem_slot part = *slot;

	if (slot->gpa + slot->size > end) {
		part.gpa = end;
		part.size = slot->gpa + slot->size - end;
		part.offset += end - slot->gpa;
		change_add(change, &part);
	}
}

/*
 * Put @fresh (or nothing) in place of whatever is in [@start, @end), and publish and announce it.
 */
static int replace_locked(struct guest_memory *memory, gpa_t start, gpa_t end,
			  const struct mem_slot *fresh)
{
	struct slot_change change = { .count = 0 };
	unsigned int i = 0;
	const struct mem_slot *slot = memory->slots;

	for (; i < memory->slot_count && slot->gpa + slot->size <= start; i++, slot++) {
		change_keep(&change, slot);
	}
	if (i < memory->slot_count && slot->gpa < end) {
		change_keep_before(&change, slot, start);
	}
	if (fresh) {
		change_add(&change, fresh);
	}
	for (; i < memory->slot_count && slot->gpa < end; i++, slot++) {
		change.removed[change.removed_count++] = *slot;
		change_keep_after(&change, slot, end);
	}
	for (; i < memory->slot_count; i++, slot++) {
		change_keep(&change, slot);
	}

	if (change.count > GUEST_MEMORY_MAX_SLOTS) {
		return -ENOSPC;
	}
	if (change.removed_count == 0 && change.added_count == 0) {
		return 0;
	}
	memory->slot_count = change.count;
	memcpy(memory->slots, change.slots, change.count * sizeof(change.slots[0]));
	publish_locked(memory);
	announce_locked(memory, &change);
	return 0;
}

static bool already_mapped_locked(struct guest_memory *memory, const struct mem_slot *wanted)
{
	for (unsigned int i = 0; i < memory->slot_count; i++) {
		const struct mem_slot *slot = &memory->slots[i];

		if (wanted->gpa >= slot->gpa && wanted->gpa - slot->gpa < slot->size) {
			return wanted->size <= slot->size - (wanted->gpa - slot->gpa) &&
			       wanted->region == slot->region &&
			       wanted->readonly == slot->readonly &&
			       wanted->offset == slot->offset + (wanted->gpa - slot->gpa);
		}
	}
	return false;
}

int guest_memory_map(struct guest_memory *memory, gpa_t gpa, struct mem_region *region,
		     uint64_t offset, uint64_t size, bool readonly)
{
	struct mem_slot slot = {
		.gpa = gpa,
		.size = size,
		.region = region,
		.offset = offset,
		.readonly = readonly || (region->flags & MEM_REGION_ROM),
	};
	int ret = 0;

	if (((gpa | offset | size) & GUEST_PAGE_MASK) || size == 0 || size > region->size ||
	    offset > region->size - size || gpa >= MEMORY_GPA_LIMIT ||
	    size > MEMORY_GPA_LIMIT - gpa) {
		return -EINVAL;
	}
	pthread_mutex_lock(&memory->mutex);
	if (!already_mapped_locked(memory, &slot)) {
		ret = replace_locked(memory, gpa, gpa + size, &slot);
	}
	pthread_mutex_unlock(&memory->mutex);
	return ret;
}

void guest_memory_unmap(struct guest_memory *memory, gpa_t gpa, uint64_t size)
{
	gpa_t end;

	if (size == 0 || gpa >= MEMORY_GPA_LIMIT) {
		return;
	}
	end = size > MEMORY_GPA_LIMIT - gpa ? MEMORY_GPA_LIMIT : gpa + size;
	/* Whole pages: what is mapped nowhere in part cannot be mapped for the CPU. */
	gpa = ALIGN_DOWN(gpa, GUEST_PAGE_SIZE);
	end = ALIGN_UP(end, GUEST_PAGE_SIZE);

	pthread_mutex_lock(&memory->mutex);
	if (replace_locked(memory, gpa, end, NULL) == -ENOSPC) {
		/*
		 * A hole in the middle of a slot of a full table would need one more. The caller
		 * cannot go on with memory where it wants none, so the upper part of that slot
		 * goes too.
		 */
		for (unsigned int i = 0; i < memory->slot_count; i++) {
			const struct mem_slot *slot = &memory->slots[i];

			if (slot->gpa < end && slot->gpa + slot->size > end) {
				replace_locked(memory, gpa, slot->gpa + slot->size, NULL);
				break;
			}
		}
	}
	pthread_mutex_unlock(&memory->mutex);
}

void guest_memory_add_listener(struct guest_memory *memory, struct guest_memory_listener *listener)
{
	pthread_mutex_lock(&memory->mutex);
	list_append(&memory->listeners, &listener->node);
	for (unsigned int i = 0; i < memory->slot_count; i++) {
		listener->slot_added(listener, &memory->slots[i]);
	}
	pthread_mutex_unlock(&memory->mutex);
}

void guest_memory_remove_listener(struct guest_memory *memory,
				  struct guest_memory_listener *listener)
{
	pthread_mutex_lock(&memory->mutex);
	list_remove(&listener->node);
	pthread_mutex_unlock(&memory->mutex);
}

/* ------- look-up ------- */

static bool find_in_table(struct slot_table *table, gpa_t gpa, struct mem_slot *ret_slot)
{
	unsigned int low = 0;
	unsigned int high = atomic_load_explicit(&table->count, memory_order_acquire);
	struct published_slot *slot;
	gpa_t start;
	uint64_t size;

	/* The first slot that begins above @gpa; the one before it is the only candidate. */
	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (atomic_load_explicit(&table->slots[middle].gpa, memory_order_acquire) <= gpa) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low == 0) {
		return false;
	}
	slot = &table->slots[low - 1];
	start = atomic_load_explicit(&slot->gpa, memory_order_acquire);
	size = atomic_load_explicit(&slot->size, memory_order_acquire);
	if (gpa - start >= size) {
		return false;
	}
	ret_slot->gpa = start;
	ret_slot->size = size;
	ret_slot->region = atomic_load_explicit(&slot->region, memory_order_acquire);
	ret_slot->offset = atomic_load_explicit(&slot->offset, memory_order_acquire);
	ret_slot->readonly = atomic_load_explicit(&slot->readonly, memory_order_acquire);
	return true;
}

bool guest_memory_find(struct guest_memory *memory, gpa_t gpa, struct mem_slot *ret_slot)
{
	unsigned int sequence = atomic_load_explicit(&memory->sequence, memory_order_acquire);

	for (;;) {
		struct mem_slot slot;
		bool found = find_in_table(&memory->tables[sequence & 1], gpa, &slot);
		unsigned int now = atomic_load_explicit(&memory->sequence, memory_order_acquire);

		if (now == sequence) {
			if (found) {
				*ret_slot = slot;
			}
			return found;
		}
		sequence = now;
	}
}
