/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MEMORY_MEMORY_IMPL_H
#define LIMEN_MEMORY_MEMORY_IMPL_H

/*
 * What the files of memory/ share: the published slot tables and the list of regions.
 */

#include <pthread.h>

#include "memory/guest_memory.h"

#define MEMORY_MAX_BYTES GIB(64)
#define MEMORY_MAX_REGIONS 64

/* Slots end below this: more than any x86 CPU's physical address width, and far from a wrap. */
#define MEMORY_GPA_LIMIT (UINT64_C(1) << 56)

/** struct published_slot - a struct mem_slot that may be read while it is written. */
struct published_slot {
	_Atomic gpa_t gpa;
	_Atomic uint64_t size;
	_Atomic(struct mem_region *) region;
	_Atomic uint64_t offset;
	_Atomic bool readonly;
};

struct slot_table {
	_Atomic unsigned int count;
	struct published_slot slots[GUEST_MEMORY_MAX_SLOTS];
};

/**
 * struct guest_memory - guest-physical address space
 * @tables: the one that look-ups read is tables[@sequence & 1]; the other is the writer's
 * @sequence: raised by one each time a new table is published
 * @mutex: guards everything below and the writing of tables
 * @slots: sorted by address, the writer's plain copy of the published table
 */
struct guest_memory {
	_Atomic unsigned int sequence;
	struct slot_table tables[2];

	pthread_mutex_t mutex;
	struct mem_slot slots[GUEST_MEMORY_MAX_SLOTS];
	unsigned int slot_count;
	struct list listeners;
	struct mem_region *regions[MEMORY_MAX_REGIONS];
	unsigned int region_count;
	uint64_t total_bytes;
};

/** mem_region_create() - a region of its own; @size is a multiple of 4 KiB. */
int mem_region_create(const char *name, uint64_t size, unsigned int flags,
		      struct mem_region **ret_region, struct error *err);
void mem_region_destroy(struct mem_region *region);

#endif
