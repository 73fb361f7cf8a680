/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_IO_H
#define LIMEN_BUS_IO_H

/*
 * One region API for ports and memory-mapped I/O. A struct io_space is an address space of regions
 * that trap: the machine has two, "port" (64 KiB) and "memory" (everything of guest-physical memory
 * that no RAM slot covers). A region is embedded in its device and lives as long; adding, moving
 * and removing only change the sorted array that look-ups search, under a sequence count, so
 * look-up is lock-free.
 *
 * Handlers get an offset relative to their region and an access that fits what their io_ops
 * declares: the core splits wider accesses and widens narrower reads. Where regions overlap, an
 * access belongs to the one that is seen where it starts, as far as that reaches. A region with a
 * lock is called with it held. Nobody's addresses read as all-ones and drop writes, logged once per
 * address.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/types.h"

struct io_space;

/**
 * struct io_ops - handlers of a region
 * @read: value in the low @size bytes; offset + size lies within the region
 * @write: never NULL; @read never NULL
 * @min_size, @max_size: access sizes in bytes (1, 2, 4, 8) that the handlers take; 0 means 1 and 4.
 *            Wider guest accesses are split in ascending order; narrower ones read the containing
 *            min_size and pick, and for writes are passed on at min_size only when @widen_writes,
 *            else dropped.
 * @unaligned: the handlers take accesses that are not aligned to their size; else those are split
 */
struct io_ops {
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned int size);
	void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned int size);
	uint8_t min_size;
	uint8_t max_size;
	bool unaligned;
	bool widen_writes;
};

/**
 * struct io_region - addresses that call handlers; embedded in its owner; members private after
 * init
 */
struct io_region {
	const char *name;
	const struct io_ops *ops;
	void *opaque;
	pthread_mutex_t *lock;
	struct io_space *space; /* NULL while not mapped */
	uint64_t base;
	uint64_t size;
	int priority; /* where regions overlap the higher one is seen; default 0 */
};

int io_space_create(const char *name, uint64_t size, struct io_space **ret_space,
		    struct error *err);
void io_space_destroy(struct io_space *space);

/**
 * io_region_init() - prepare a region that is not mapped
 * @name: for logs; must outlive it
 * @lock: held around handler calls; NULL when the handlers are thread-safe themselves
 */
void io_region_init(struct io_region *region, const char *name, const struct io_ops *ops,
		    void *opaque, pthread_mutex_t *lock, uint64_t size);

/** io_region_map() - show it at @base of @space (moves it when it is mapped). Any thread, also from
 *  a handler, its own too. Return: 0 or -ENOSPC (space full), -EINVAL (beyond the space). */
int io_region_map(struct io_region *region, struct io_space *space, uint64_t base);

/** io_region_unmap() - on return no new call starts; one already under way on another thread may
 *  finish, which the region's lock orders. */
void io_region_unmap(struct io_region *region);

/** io_read()/io_write() - an access by a vCPU (any thread). @size 1, 2, 4 or 8. */
uint64_t io_read(struct io_space *space, uint64_t address, unsigned int size);
void io_write(struct io_space *space, uint64_t address, uint64_t value, unsigned int size);

/** io_find() - the region seen at @address, or NULL; for tests and `info`. */
struct io_region *io_find(struct io_space *space, uint64_t address);

/**
 * struct io_eventfd - a write to an address that only has to ring a bell (virtio notify)
 *
 * Registered with the space; an engine that can (kvm) watches it in hardware or the kernel and
 * never calls the region; otherwise the core writes the eventfd itself, without the region's lock.
 */
struct io_eventfd {
	uint64_t address;
	unsigned int size; /* 0: any */
	int fd;
};

struct io_eventfd_listener {
	int (*add)(struct io_eventfd_listener *l, struct io_space *space,
		   const struct io_eventfd *e);
	void (*remove)(struct io_eventfd_listener *l, struct io_space *space,
		       const struct io_eventfd *e);
};

int io_eventfd_add(struct io_space *space, const struct io_eventfd *e);
void io_eventfd_remove(struct io_space *space, const struct io_eventfd *e);
void io_space_set_eventfd_listener(struct io_space *space, struct io_eventfd_listener *listener);

#endif
