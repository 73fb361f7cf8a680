/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_MMU_H
#define LIMEN_SOFTCPU_MMU_H

/*
 * The software TLB, for the interpreter's inner files. Entries are direct-mapped by page number and
 * hold a tag for reads, writes and fetches each: the page's linear address when that access may go
 * straight to host memory, with SOFT_TLB_SLOW added when it is allowed but not plain memory (I/O,
 * ROM, a page of code, a page whose dirty bit is not set), SOFT_TLB_INVALID otherwise.
 *
 * Privilege is not part of the tag: there is one set of entries for each class of privilege, so
 * that a system call flushes nothing.
 */

#include "softcpu/softcpu.h"

#define SOFT_TLB_BITS	 10
#define SOFT_TLB_ENTRIES (1 << SOFT_TLB_BITS)
#define SOFT_TLB_INVALID UINT64_MAX
#define SOFT_TLB_SLOW	 1

enum soft_access {
	SOFT_ACCESS_READ,
	SOFT_ACCESS_WRITE,
	SOFT_ACCESS_FETCH,
	SOFT_ACCESS_COUNT,
};

enum soft_tlb_class {
	SOFT_TLB_USER,	     /* CPL 3 */
	SOFT_TLB_SUPERVISOR, /* below, with SMAP in force */
	SOFT_TLB_ANYWHERE,   /* below, without */
	SOFT_TLB_SETS,
	SOFT_TLB_CHECKED = SOFT_TLB_SETS, /* never filled: each access takes the slow path */
};

/**
 * struct soft_tlb_entry - one page
 * @tag: by enum soft_access
 * @addend: host address minus linear address
 */
struct soft_tlb_entry {
	uint64_t tag[SOFT_ACCESS_COUNT];
	uintptr_t addend;
};

enum soft_page_kind {
	SOFT_PAGE_RAM,
	SOFT_PAGE_ROM,
	SOFT_PAGE_IO,
	SOFT_PAGE_LAPIC,
};

/** struct soft_tlb_page - what the slow path needs of an entry; @region only for RAM and ROM. */
struct soft_tlb_page {
	struct mem_region *region;
	uint64_t offset; /* of the page in @region */
	gpa_t gpa;
	uint8_t kind;
	bool global;
};

#define SOFT_TLB_LOG 512

/** struct soft_tlb_log - which entries were filled, so that flushing need not visit all. */
struct soft_tlb_log {
	uint16_t entries[SOFT_TLB_LOG];
	unsigned int count; /* above SOFT_TLB_LOG: visit all */
};

#define SOFT_SLOT_CACHE 4

/**
 * struct soft_mmu - a CPU's view of memory
 * @sets: entries by class; the last set stays empty
 * @local_log, @global_log: by the G bit of the page
 * @large: entries were filled from large pages, in the lower and upper half of the address space
 * @pdpte: the four registers of PAE paging; @pdpte_valid
 * @slots: last used memory slots
 * @address_bits: a mask of the physical address bits that the model has
 * @gigabyte_pages: the model has them
 * @seen_epoch: the code epoch (struct soft_shared) up to which this CPU has dropped its direct
 *              write entries; UINT64_MAX while it is not running
 * @left_epoch: what it was when the CPU stopped running
 * @rmw, @rmw_offset, @rmw_size: what soft_rmw_done() has to note
 */
struct soft_mmu {
	struct soft_tlb_entry sets[SOFT_TLB_SETS + 1][SOFT_TLB_ENTRIES];
	struct soft_tlb_page pages[SOFT_TLB_SETS][SOFT_TLB_ENTRIES];
	struct soft_tlb_log local_log;
	struct soft_tlb_log global_log;
	bool large[2];
	bool pdpte_valid;
	uint64_t pdpte[4];
	struct mem_slot slots[SOFT_SLOT_CACHE];
	unsigned int next_slot;
	uint64_t address_bits;
	bool gigabyte_pages;
	_Atomic uint64_t seen_epoch;
	uint64_t left_epoch;
	const struct soft_tlb_page *rmw;
	unsigned int rmw_offset;
	unsigned int rmw_size;
};

/**
 * struct soft_translation - where a linear address leads
 * @gpa: of its page
 * @writable: a write needs no other walk (allowed, and the D bit is set)
 */
struct soft_translation {
	gpa_t gpa;
	bool writable;
	bool global;
	bool large;
	bool user; /* the page is a user page */
	bool no_execute;
};

int soft_mmu_create(struct softcpu *cpu);
void soft_mmu_destroy(struct softcpu *cpu);

/** soft_tlb_class() - the class of explicit accesses now. */
enum soft_tlb_class soft_tlb_class(const struct softcpu *cpu);

/** soft_select_tlb() - point cpu->tlb at the entries for the present privilege. */
void soft_select_tlb(struct softcpu *cpu);

/**
 * soft_walk() - translate by the page tables (walk.c)
 *
 * Sets A and D bits. Return: whether the access is allowed; else *@ret_error is the error code.
 */
bool soft_walk(struct softcpu *cpu, gva_t address, enum soft_access access,
	       enum soft_tlb_class class, struct soft_translation *ret, uint32_t *ret_error);

/**
 * soft_load_pdptes() - read the four PDPTEs that @cr3 points to into the CPU
 *
 * For MOV to CR3, CR0 and CR4 when PAE paging is or becomes active. Return: false when a reserved
 * bit is set (#GP); they are unchanged then.
 */
bool soft_load_pdptes(struct softcpu *cpu, uint64_t cr3);

/** soft_find_slot() - guest_memory_find() with a small cache. */
bool soft_find_slot(struct softcpu *cpu, gpa_t gpa, struct mem_slot *ret_slot);

/** soft_tlb_fill() - walk and fill an entry. False: *@ret_error is the page fault's error code. */
bool soft_tlb_fill(struct softcpu *cpu, gva_t address, enum soft_access access,
		   enum soft_tlb_class class, uint32_t *ret_error);

/** soft_tlb_update_write() - after a write was noted: may the next one go directly? */
void soft_tlb_update_write(struct softcpu *cpu, enum soft_tlb_class class, unsigned int index);

/** soft_tlb_ensure() - the index of an entry that allows the access; raises #PF. */
unsigned int soft_tlb_ensure(struct softcpu *cpu, gva_t address, enum soft_access access,
			     enum soft_tlb_class class);

/** soft_page_host() - the host address of @address if it may be accessed directly up to the end of
 *  its page, NULL if only the slow path may; raises #PF. Explicit accesses. */
void *soft_page_host(struct softcpu *cpu, gva_t address, enum soft_access access);

/** soft_drop_direct_writes() - each next write takes the slow path once; note them as written if
 *  @note_dirty. */
void soft_drop_direct_writes(struct softcpu *cpu, bool note_dirty);

/** soft_flush_request() - do what SOFT_REQUEST_FLUSH asks for. */
void soft_flush_request(struct softcpu *cpu);

/** soft_linear() - segment checks: the linear address of an operand. Raises #GP, #SS. */
gva_t soft_linear(struct softcpu *cpu, unsigned int seg, uint64_t offset, size_t size, bool write);

/** soft_load_slow()/store_slow() - by linear address with all checks; sizes 1, 2, 4, 8. */
uint64_t soft_load_slow(struct softcpu *cpu, const struct soft_op *op, gva_t address,
			unsigned int size);
void soft_store_slow(struct softcpu *cpu, const struct soft_op *op, gva_t address, uint64_t value,
		     unsigned int size);

/** soft_fetch_byte() - a byte of code that is not in memory. */
uint8_t soft_fetch_byte(struct softcpu *cpu, gva_t address);

/** soft_check_rmw() - raise what writing there would raise, before an operand is read and
 *  written. */
void soft_check_rmw(struct softcpu *cpu, const struct soft_op *op, gva_t address,
		    unsigned int size);

/** soft_check_access() - alignment checks (#AC) and data breakpoints. */
void soft_check_access(struct softcpu *cpu, gva_t address, size_t size, bool write);

/** soft_load_class()/store_class() - the same at a given privilege. */
uint64_t soft_load_class(struct softcpu *cpu, gva_t address, unsigned int size,
			 enum soft_tlb_class class);
void soft_store_class(struct softcpu *cpu, gva_t address, uint64_t value, unsigned int size,
		      enum soft_tlb_class class);

#endif
