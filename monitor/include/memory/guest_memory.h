/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MEMORY_GUEST_MEMORY_H
#define LIMEN_MEMORY_GUEST_MEMORY_H

/*
 * Guest-physical memory. A struct mem_region is a piece of host memory (RAM, ROM, video memory) in
 * a memfd; a struct guest_memory is the guest-physical address space: slots that map parts of
 * regions. Regions live until the machine is destroyed, so a pointer into one never dangles; only
 * slots come and go (PAM, BARs).
 *
 * Look-up is lock-free (a sequence count over a fixed array of slots). Changes are made under a
 * mutex and announced to listeners (the engines), which map them for the CPU.
 *
 * What is not RAM here is I/O: bus/io.h.
 */

#include <stdatomic.h>

#include "base/error.h"
#include "base/list.h"
#include "base/types.h"

/* Who wants to know which pages were written. Each has its own bit per page. */
enum mem_dirty_client {
	MEM_DIRTY_DISPLAY,
	MEM_DIRTY_MIGRATION,
	MEM_DIRTY_CLIENTS,
};

/* Per-page flag: the soft engine holds decoded instructions of this page; a write must raise
 * code_gen. */
#define MEM_PAGE_CODE 0x80

enum {
	MEM_REGION_ROM = 1 << 0, /* the guest never writes it, whatever the slot says */
};

/**
 * struct mem_region - host memory that can be mapped into the guest
 * @name: "ram", "vga.vram", "bios": names its section in a saved state
 * @host: its memory, page-aligned
 * @size: bytes, a multiple of 4 KiB
 * @fd: the memfd
 * @page_flags: one byte a page: BIT(client) when dirty for it, MEM_PAGE_CODE
 * @code_gen: one counter a page, raised by each write to a page with MEM_PAGE_CODE
 * @tracking: set of BIT(client) that collect dirty bits now
 */
struct mem_region {
	char name[32];
	uint8_t *host;
	uint64_t size;
	int fd;
	unsigned int flags;
	_Atomic uint8_t *page_flags;
	_Atomic uint32_t *code_gen;
	_Atomic uint8_t tracking;
	void *owner; /* implementation's */
};

struct guest_memory;

#define GUEST_MEMORY_MAX_SLOTS 64

/**
 * struct mem_slot - a range of guest-physical addresses backed by a region
 * @gpa, @size: multiples of 4 KiB
 * @offset: of @gpa within @region
 * @readonly: the guest's writes are dropped (ROM, PAM)
 */
struct mem_slot {
	gpa_t gpa;
	uint64_t size;
	struct mem_region *region;
	uint64_t offset;
	bool readonly;
};

/**
 * struct guest_memory_listener - told of each change, on the thread that makes it, with the
 * memory's mutex held
 * @slot_added, @slot_removed: mandatory
 * @dirty_cleared: pages of @region were marked clean: writes to them must be noticed again;
 *                 optional
 * @dirty_sync: bring @region's page_flags up to date with what the CPU has written; optional
 * @code_marked: pages of @region became code: writes must go through guest_mem_written(). Optional.
 */
struct guest_memory_listener {
	void (*slot_added)(struct guest_memory_listener *l, const struct mem_slot *slot);
	void (*slot_removed)(struct guest_memory_listener *l, const struct mem_slot *slot);
	void (*tracking_changed)(struct guest_memory_listener *l, struct mem_region *region);
	void (*dirty_cleared)(struct guest_memory_listener *l, struct mem_region *region,
			      uint64_t offset, uint64_t size);
	void (*dirty_sync)(struct guest_memory_listener *l, struct mem_region *region);
	struct list node;
};

int guest_memory_create(struct guest_memory **ret_memory, struct error *err);

/** guest_memory_destroy() - frees all regions and slots; no CPU may be running. NULL is allowed. */
void guest_memory_destroy(struct guest_memory *memory);

/**
 * guest_memory_add_region() - allocate a region (zeroed, unpopulated memfd pages); owned by @memory
 * @size: bytes, rounded up to 4 KiB; at most 64 GiB in all
 */
int guest_memory_add_region(struct guest_memory *memory, const char *name, uint64_t size,
			    unsigned int flags, struct mem_region **ret_region, struct error *err);

/** guest_memory_for_each_region() - in the order of their creation, for saving and loading. */
void guest_memory_for_each_region(struct guest_memory *memory,
				  void (*fn)(void *opaque, struct mem_region *region),
				  void *opaque);

/**
 * guest_memory_map() - map @size bytes of @region from @offset at @gpa
 *
 * A part of an existing slot that it overlaps is replaced (the old slot is split), in one step as
 * seen by look-ups. Any thread; takes the memory's mutex. Return: 0, -ENOSPC when there would be
 * too many slots, -EINVAL for a range beyond the region or not page-aligned.
 */
int guest_memory_map(struct guest_memory *memory, gpa_t gpa, struct mem_region *region,
		     uint64_t offset, uint64_t size, bool readonly);

/** guest_memory_unmap() - leave nothing mapped in [@gpa, @gpa + @size). */
void guest_memory_unmap(struct guest_memory *memory, gpa_t gpa, uint64_t size);

/** guest_memory_add_listener() - and call its slot_added for each present slot. */
void guest_memory_add_listener(struct guest_memory *memory, struct guest_memory_listener *listener);
void guest_memory_remove_listener(struct guest_memory *memory,
				  struct guest_memory_listener *listener);

/**
 * guest_memory_find() - the slot that holds @gpa
 *
 * Lock-free, any thread. Return: whether there is one; *@ret_slot is a copy.
 */
bool guest_memory_find(struct guest_memory *memory, gpa_t gpa, struct mem_slot *ret_slot);

/* ------- access by devices and loaders; any thread, lock-free ------- */

/** guest_mem_read() - copy from the guest. Return: 0, or -EFAULT when a byte of it is not RAM or
 *  ROM (@buf is then unspecified). The range may span slots. */
int guest_mem_read(struct guest_memory *memory, gpa_t gpa, void *buf, size_t size);

/** guest_mem_write() - copy to the guest and note the write. -EFAULT when a byte is not RAM
 *  (nothing past it is written); bytes in read-only slots are dropped. */
int guest_mem_write(struct guest_memory *memory, gpa_t gpa, const void *buf, size_t size);

/** guest_mem_write_rom() - as guest_mem_write(), but also into read-only slots: for loaders. */
int guest_mem_write_rom(struct guest_memory *memory, gpa_t gpa, const void *buf, size_t size);

/** guest_mem_fill() - set @size bytes to @value. */
int guest_mem_fill(struct guest_memory *memory, gpa_t gpa, uint8_t value, size_t size);

/**
 * guest_mem_map() - the host address of [@gpa, @gpa + @size)
 * @write: it will be written; read-only memory then answers NULL. Call guest_mem_written()
 *         afterwards.
 *
 * Return: NULL unless the whole range lies in one slot. Valid as long as the machine.
 */
void *guest_mem_map(struct guest_memory *memory, gpa_t gpa, size_t size, bool write);

/** guest_mem_written() - note that [@gpa, @gpa + @size) was written through guest_mem_map(). */
void guest_mem_written(struct guest_memory *memory, gpa_t gpa, size_t size);

/* Small loads and stores, atomic when aligned; for rings and tables. */
int guest_mem_read_u16(struct guest_memory *memory, gpa_t gpa, uint16_t *ret_value);
int guest_mem_read_u32(struct guest_memory *memory, gpa_t gpa, uint32_t *ret_value);
int guest_mem_read_u64(struct guest_memory *memory, gpa_t gpa, uint64_t *ret_value);
int guest_mem_write_u16(struct guest_memory *memory, gpa_t gpa, uint16_t value);
int guest_mem_write_u32(struct guest_memory *memory, gpa_t gpa, uint32_t value);
int guest_mem_write_u64(struct guest_memory *memory, gpa_t gpa, uint64_t value);

/* ------- dirty tracking and code pages ------- */

/** mem_region_set_tracking() - start or stop collecting dirty pages for @client; starting marks all
 *  dirty. */
void mem_region_set_tracking(struct guest_memory *memory, struct mem_region *region,
			     enum mem_dirty_client client, bool on);

/**
 * mem_region_collect_dirty() - which pages of [@offset, @offset + @size) were written since the
 * last call
 * @ret_bitmap: one bit a page, from @offset's page; written whole
 *
 * Syncs with the engine, then clears the bits for @client. Return: whether any page was dirty.
 */
bool mem_region_collect_dirty(struct guest_memory *memory, struct mem_region *region,
			      enum mem_dirty_client client, uint64_t offset, uint64_t size,
			      uint64_t *ret_bitmap);

/** mem_region_written() - note a write by page flags: dirty bits for all clients that track,
 *  code_gen. Any thread, lock-free; safe against concurrent calls. */
void mem_region_written(struct mem_region *region, uint64_t offset, uint64_t size);

#endif
