/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page walks: 32-bit paging with 4 MiB pages (PSE, PSE-36), PAE paging, and 4-level paging with
 * 2 MiB and 1 GiB pages. Intel SDM vol. 3, chapter 4; error codes 4.7; accessed and dirty flags
 * 4.8.
 *
 * A and D bits are set by compare-and-exchange on the entry that was read, so a change made by
 * another CPU in between is seen and the walk starts again. Tables in I/O memory read as not
 * present. 5-level paging and protection keys are not part of the CPU model.
 *
 * The PDPTEs of PAE paging are registers (4.4.1). They are loaded by soft_load_pdptes(), or, when a
 * flush has dropped them, by the next walk.
 */

#include "softcpu/mmu.h"

enum {
	PTE_P = 1 << 0,
	PTE_W = 1 << 1,
	PTE_U = 1 << 2,
	PTE_A = 1 << 5,
	PTE_D = 1 << 6,
	PTE_PS = 1 << 7,
	PTE_G = 1 << 8,
};
#define PTE_NX	    BIT(63)
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)

enum {
	ERROR_P = 1 << 0,
	ERROR_W = 1 << 1,
	ERROR_U = 1 << 2,
	ERROR_RSVD = 1 << 3,
	ERROR_I = 1 << 4,
};

#define CR0_WP	 BIT(16)
#define CR0_PG	 BIT(31)
#define CR4_PSE	 BIT(4)
#define CR4_PAE	 BIT(5)
#define CR4_PGE	 BIT(7)
#define CR4_SMEP BIT(20)
#define EFER_NXE BIT(11)

#define PDPTE_RESERVED (BIT(1) | BIT(2) | UINT64_C(0x1e0))

/**
 * struct walk - a walk under way
 * @levels: of tables still to visit, @bits of index each, @size bytes an entry
 * @entry: host address of the present entry, NULL when it is not RAM
 * @slot, @slot_offset: where that is
 */
struct walk {
	gva_t address;
	enum soft_access access;
	enum soft_tlb_class class;
	unsigned int level;
	unsigned int bits;
	unsigned int size;
	gpa_t table;
	uint64_t pte;
	void *entry;
	struct mem_slot slot;
	uint64_t slot_offset;
	bool user;
	bool write;
	bool no_execute;
};

bool soft_find_slot(struct softcpu *cpu, gpa_t gpa, struct mem_slot *ret_slot)
{
	struct soft_mmu *mmu = cpu->mmu;

	for (unsigned int i = 0; i < SOFT_SLOT_CACHE; i++) {
		if (gpa - mmu->slots[i].gpa < mmu->slots[i].size) {
			*ret_slot = mmu->slots[i];
			return true;
		}
	}
	if (!guest_memory_find(cpu->env->memory, gpa, ret_slot)) {
		return false;
	}
	mmu->slots[mmu->next_slot] = *ret_slot;
	mmu->next_slot = (mmu->next_slot + 1) % SOFT_SLOT_CACHE;
	return true;
}

static void read_entry(struct softcpu *cpu, struct walk *walk)
{
	unsigned int shift = 12 + (walk->level - 1) * walk->bits;
	uint64_t index = (walk->address >> shift) & (BIT(walk->bits) - 1);
	gpa_t gpa = walk->table + index * walk->size;

	walk->entry = NULL;
	walk->pte = 0;
	if (!soft_find_slot(cpu, gpa, &walk->slot)) {
		return;
	}
	walk->slot_offset = gpa - walk->slot.gpa + walk->slot.offset;
	walk->entry = walk->slot.region->host + walk->slot_offset;
	if (walk->size == 8) {
		walk->pte = atomic_load_explicit((_Atomic uint64_t *)walk->entry,
						 memory_order_relaxed);
	} else {
		walk->pte = atomic_load_explicit((_Atomic uint32_t *)walk->entry,
						 memory_order_relaxed);
	}
}

/* False: the entry has changed meanwhile. */
static bool set_bits(struct walk *walk, uint64_t bits)
{
	bool done;

	if ((walk->pte & bits) == bits || walk->slot.readonly ||
	    (walk->slot.region->flags & MEM_REGION_ROM)) {
		return true;
	}
	if (walk->size == 8) {
		uint64_t old = walk->pte;

		done = atomic_compare_exchange_strong((_Atomic uint64_t *)walk->entry, &old,
						      old | bits);
	} else {
		uint32_t old = (uint32_t)walk->pte;

		done = atomic_compare_exchange_strong((_Atomic uint32_t *)walk->entry, &old,
						      old | (uint32_t)bits);
	}
	if (done) {
		walk->pte |= bits;
		mem_region_written(walk->slot.region, walk->slot_offset, walk->size);
	}
	return done;
}

static bool is_large(const struct softcpu *cpu, const struct walk *walk)
{
	if (walk->level == 1 || !(walk->pte & PTE_PS)) {
		return false;
	}
	return walk->size == 8 || (cpu->cr4 & CR4_PSE);
}

static bool has_reserved_bits(const struct softcpu *cpu, const struct walk *walk, bool large)
{
	uint64_t reserved;

	if (walk->size == 4) {
		/* PSE-36: bits 20:13 are address bits 39:32. */
		reserved = large ? (~(cpu->mmu->address_bits >> 32 << 13) & 0x1fe000) | BIT(21) : 0;
		return walk->pte & reserved;
	}
	reserved = ~cpu->mmu->address_bits & PTE_ADDRESS;
	if (!(cpu->efer & EFER_NXE)) {
		reserved |= PTE_NX;
	}
	if (!cpu->long_mode) {
		reserved |= UINT64_C(0x7ff0000000000000);
	}
	if (large) {
		if (walk->level == 4 || (walk->level == 3 && !cpu->mmu->gigabyte_pages)) {
			reserved |= PTE_PS;
		} else {
			reserved |= (BIT(12 + (walk->level - 1) * 9) - 1) & ~UINT64_C(0x1fff);
		}
	}
	return walk->pte & reserved;
}

/* The rights of the translation against the access, 4.6. */
static bool is_allowed(const struct softcpu *cpu, const struct walk *walk)
{
	switch (walk->access) {
	case SOFT_ACCESS_FETCH:
		if (walk->no_execute) {
			return false;
		}
		if (walk->class != SOFT_TLB_USER) {
			return !(walk->user && (cpu->cr4 & CR4_SMEP));
		}
		break;
	case SOFT_ACCESS_WRITE:
		if (!walk->write && (walk->class == SOFT_TLB_USER || (cpu->cr0 & CR0_WP))) {
			return false;
		}
		break;
	default:
		break;
	}
	if (walk->class == SOFT_TLB_USER) {
		return walk->user;
	}
	return !(walk->class == SOFT_TLB_SUPERVISOR && walk->user);
}

static uint32_t error_code(const struct softcpu *cpu, const struct walk *walk, uint32_t error)
{
	if (walk->access == SOFT_ACCESS_WRITE) {
		error |= ERROR_W;
	}
	if (walk->class == SOFT_TLB_USER) {
		error |= ERROR_U;
	}
	if (walk->access == SOFT_ACCESS_FETCH &&
	    ((cpu->cr4 & CR4_SMEP) || ((cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE)))) {
		error |= ERROR_I;
	}
	return error;
}

/* The loaded PDPTEs, or what memory holds when a flush has dropped them. */
static bool start_pae(struct softcpu *cpu, struct walk *walk)
{
	struct soft_mmu *mmu = cpu->mmu;
	uint64_t pdpte;

	if (!mmu->pdpte_valid && !soft_load_pdptes(cpu, cpu->cr3)) {
		return false;
	}
	pdpte = mmu->pdpte[(walk->address >> 30) & 3];
	walk->level = 2;
	walk->bits = 9;
	walk->size = 8;
	walk->table = pdpte & PTE_ADDRESS;
	return pdpte & PTE_P;
}

static bool start(struct softcpu *cpu, struct walk *walk)
{
	walk->user = true;
	walk->write = true;
	walk->no_execute = false;
	if (cpu->long_mode) {
		walk->level = 4;
		walk->bits = 9;
		walk->size = 8;
		walk->table = cpu->cr3 & PTE_ADDRESS;
		return true;
	}
	walk->address = (uint32_t)walk->address;
	if (cpu->cr4 & CR4_PAE) {
		return start_pae(cpu, walk);
	}
	walk->level = 2;
	walk->bits = 10;
	walk->size = 4;
	walk->table = cpu->cr3 & 0xfffff000;
	return true;
}

static void finish(const struct softcpu *cpu, const struct walk *walk, bool large,
		   struct soft_translation *ret)
{
	uint64_t page = walk->pte & PTE_ADDRESS;

	if (large && walk->size == 4) {
		page = (walk->pte & 0xffc00000) | (walk->pte & 0x1fe000) << 19 |
		       (walk->address & 0x3ff000);
	} else if (large) {
		uint64_t mask = BIT(12 + (walk->level - 1) * 9) - 1;

		page = (page & ~mask) | (walk->address & mask & ~GUEST_PAGE_MASK);
	}
	ret->gpa = page;
	ret->large = large;
	ret->global = (walk->pte & PTE_G) && (cpu->cr4 & CR4_PGE);
	ret->user = walk->user;
	ret->no_execute = walk->no_execute;
	ret->writable = (walk->pte & PTE_D) &&
			(walk->write || (walk->class != SOFT_TLB_USER && !(cpu->cr0 & CR0_WP)));
}

/* One attempt: 1 translated, 0 a fault with *@ret_error, -1 an entry has changed: again. */
static int walk_once(struct softcpu *cpu, struct walk *walk, struct soft_translation *ret,
		     uint32_t *ret_error)
{
	bool large;

	*ret_error = error_code(cpu, walk, 0);
	if (!start(cpu, walk)) {
		return 0;
	}
	for (;; walk->level--) {
		read_entry(cpu, walk);
		if (!(walk->pte & PTE_P)) {
			return 0;
		}
		large = is_large(cpu, walk);
		if (has_reserved_bits(cpu, walk, large)) {
			*ret_error |= ERROR_P | ERROR_RSVD;
			return 0;
		}
		walk->user &= !!(walk->pte & PTE_U);
		walk->write &= !!(walk->pte & PTE_W);
		walk->no_execute |= walk->size == 8 && (walk->pte & PTE_NX);
		if (walk->level == 1 || large) {
			break;
		}
		if (!set_bits(walk, PTE_A)) {
			return -1;
		}
		walk->table = walk->pte & PTE_ADDRESS;
	}
	if (!is_allowed(cpu, walk)) {
		*ret_error |= ERROR_P;
		return 0;
	}
	if (!set_bits(walk, walk->access == SOFT_ACCESS_WRITE ? PTE_A | PTE_D : PTE_A)) {
		return -1;
	}
	finish(cpu, walk, large, ret);
	return 1;
}

bool soft_walk(struct softcpu *cpu, gva_t address, enum soft_access access,
	       enum soft_tlb_class class, struct soft_translation *ret, uint32_t *ret_error)
{
	struct walk walk = { .address = address, .access = access, .class = class };
	uint32_t error = 0;
	int result;

	if (!(cpu->cr0 & CR0_PG)) {
		*ret = (struct soft_translation){
			.gpa = address & 0xfffff000,
			.writable = true,
			.user = true,
		};
		return true;
	}
	do {
		walk.address = address;
		result = walk_once(cpu, &walk, ret, &error);
	} while (result < 0);
	if (result == 0) {
		*ret_error = error;
	}
	return result > 0;
}

bool soft_load_pdptes(struct softcpu *cpu, uint64_t cr3)
{
	struct soft_mmu *mmu = cpu->mmu;
	uint64_t reserved = PDPTE_RESERVED | ~(mmu->address_bits | GUEST_PAGE_MASK);
	uint64_t entries[4];
	gpa_t gpa = cr3 & 0xffffffe0;

	for (unsigned int i = 0; i < 4; i++) {
		if (guest_mem_read_u64(cpu->env->memory, gpa + i * 8, &entries[i])) {
			entries[i] = 0;
		}
		if ((entries[i] & PTE_P) && (entries[i] & reserved)) {
			return false;
		}
	}
	memcpy(mmu->pdpte, entries, sizeof(entries));
	mmu->pdpte_valid = true;
	return true;
}
