/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software TLB: filling and flushing its entries.
 *
 * An entry lets writes go straight to host memory only if nobody wants to know of them: every
 * dirty client's bit of the page is set already and the page holds no decoded code. Both can change
 * behind its back. When dirty bits are cleared, SOFT_REQUEST_FLUSH comes; until this CPU sees
 * it, it may have written through the entry, so the flush notes every such page as dirty again,
 * once too often rather than once too few. When another CPU makes a page code, blocks.c waits
 * with trusting what it decoded until this CPU has acted on SOFT_REQUEST_CODE.
 *
 * Flushes come with every change of CR3, so the entries that were filled since the last one are
 * logged, and a flush visits only those while they are few. Pages with the G bit have a log of
 * their own. PCIDs are not distinguished: one address space is cached at a time.
 */

#include <stdlib.h>

#include "softcpu/blocks.h"
#include "softcpu/mmu.h"

#define CR4_SMAP BIT(21)
#define CR0_AM	 BIT(18)

#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2APIC BIT(10)

#define DR7_ENABLED 0xff

static const struct soft_tlb_entry empty_entry = {
	.tag = { SOFT_TLB_INVALID, SOFT_TLB_INVALID, SOFT_TLB_INVALID },
};

static void clear_all(struct soft_mmu *mmu)
{
	for (unsigned int class = 0; class <= SOFT_TLB_SETS; class++) {
		for (unsigned int i = 0; i < SOFT_TLB_ENTRIES; i++) {
			mmu->sets[class][i] = empty_entry;
		}
	}
	mmu->local_log.count = 0;
	mmu->global_log.count = 0;
	mmu->large[0] = false;
	mmu->large[1] = false;
}

int soft_mmu_create(struct softcpu *cpu)
{
	const struct cpu_model *model = cpu->model;
	struct soft_mmu *mmu = calloc(1, sizeof(*mmu));

	if (!mmu) {
		return -ENOMEM;
	}
	mmu->address_bits = (BIT(model->phys_bits) - 1) & ~GUEST_PAGE_MASK;
	mmu->gigabyte_pages = cpu_model_has(model, 0x80000001, 0, 3, 26);
	atomic_store(&mmu->seen_epoch, UINT64_MAX);
	clear_all(mmu);
	cpu->mmu = mmu;
	soft_select_tlb(cpu);
	return 0;
}

void soft_mmu_destroy(struct softcpu *cpu)
{
	free(cpu->mmu);
	cpu->mmu = NULL;
}

/* ------- privilege ------- */

enum soft_tlb_class soft_tlb_class(const struct softcpu *cpu)
{
	if (cpu->cpl == 3) {
		return SOFT_TLB_USER;
	}
	return (cpu->cr4 & CR4_SMAP) && !(cpu->rflags & FLAG_AC) ? SOFT_TLB_SUPERVISOR
								  : SOFT_TLB_ANYWHERE;
}

void soft_select_tlb(struct softcpu *cpu)
{
	enum soft_tlb_class class = soft_tlb_class(cpu);

	if ((cpu->dr7 & DR7_ENABLED) ||
	    (cpu->cpl == 3 && (cpu->cr0 & CR0_AM) && (cpu->rflags & FLAG_AC))) {
		class = SOFT_TLB_CHECKED;
	}
	cpu->tlb = cpu->mmu->sets[class];
}

/* ------- filling ------- */

static void log_entry(struct soft_tlb_log *log, enum soft_tlb_class class, unsigned int index)
{
	if (log->count < SOFT_TLB_LOG) {
		log->entries[log->count] = (uint16_t)(class << SOFT_TLB_BITS | index);
	}
	if (log->count <= SOFT_TLB_LOG) {
		log->count++;
	}
}

static bool is_lapic_page(struct softcpu *cpu, gpa_t gpa)
{
	uint64_t base;

	if (!cpu->lapic) {
		return false;
	}
	base = lapic_base(cpu->lapic);
	return (base & APIC_BASE_ENABLE) && !(base & APIC_BASE_X2APIC) &&
	       gpa == (base & cpu->mmu->address_bits);
}

static void find_page(struct softcpu *cpu, gpa_t gpa, struct soft_tlb_page *ret_page)
{
	struct mem_slot slot;

	*ret_page = (struct soft_tlb_page){ .gpa = gpa, .kind = SOFT_PAGE_IO };
	if (is_lapic_page(cpu, gpa)) {
		ret_page->kind = SOFT_PAGE_LAPIC;
		return;
	}
	if (!soft_find_slot(cpu, gpa, &slot)) {
		return;
	}
	ret_page->kind = slot.readonly || (slot.region->flags & MEM_REGION_ROM) ? SOFT_PAGE_ROM
										 : SOFT_PAGE_RAM;
	ret_page->region = slot.region;
	ret_page->offset = gpa - slot.gpa + slot.offset;
}

static bool may_write_directly(const struct soft_tlb_page *page)
{
	struct mem_region *region = page->region;
	uint8_t wanted = atomic_load_explicit(&region->tracking, memory_order_relaxed);
	uint8_t flags = atomic_load(&region->page_flags[page->offset >> GUEST_PAGE_SHIFT]);

	return (flags & (wanted | MEM_PAGE_CODE)) == wanted;
}

static uint64_t write_tag(const struct soft_tlb_page *page, gva_t address)
{
	return page->kind == SOFT_PAGE_RAM && may_write_directly(page) ? address
									: address | SOFT_TLB_SLOW;
}

/* An entry for reading: if someone asks what was written, it must not look as if this page was. */
static uint64_t write_tag_unwritten(const struct soft_tlb_page *page, gva_t address)
{
	if (page->region &&
	    atomic_load_explicit(&page->region->tracking, memory_order_relaxed)) {
		return address | SOFT_TLB_SLOW;
	}
	return write_tag(page, address);
}

void soft_tlb_update_write(struct softcpu *cpu, enum soft_tlb_class class, unsigned int index)
{
	struct soft_tlb_entry *entry = &cpu->mmu->sets[class][index];
	uint64_t tag = entry->tag[SOFT_ACCESS_WRITE];

	entry->tag[SOFT_ACCESS_WRITE] =
		write_tag(&cpu->mmu->pages[class][index], tag & ~GUEST_PAGE_MASK);
}

bool soft_tlb_fill(struct softcpu *cpu, gva_t address, enum soft_access access,
		   enum soft_tlb_class class, uint32_t *ret_error)
{
	struct soft_mmu *mmu = cpu->mmu;
	unsigned int index = (address >> GUEST_PAGE_SHIFT) & (SOFT_TLB_ENTRIES - 1);
	struct soft_tlb_entry *entry = &mmu->sets[class][index];
	struct soft_tlb_page *page = &mmu->pages[class][index];
	struct soft_translation to;
	uint64_t tag;

	if (!soft_walk(cpu, address, access, class, &to, ret_error)) {
		return false;
	}
	address &= ~GUEST_PAGE_MASK;
	/* What other accesses were granted holds on only for the very same translation. */
	if (page->gpa != to.gpa || page->global != to.global ||
	    ((entry->tag[0] & ~GUEST_PAGE_MASK) != address &&
	     (entry->tag[1] & ~GUEST_PAGE_MASK) != address &&
	     (entry->tag[2] & ~GUEST_PAGE_MASK) != address)) {
		*entry = empty_entry;
		find_page(cpu, to.gpa, page);
		page->global = to.global;
		log_entry(to.global ? &mmu->global_log : &mmu->local_log, class, index);
		if (page->region) {
			entry->addend = (uintptr_t)page->region->host + page->offset - address;
		}
	}
	mmu->large[address >> 63] |= to.large;
	tag = page->region ? address : address | SOFT_TLB_SLOW;
	if (access == SOFT_ACCESS_FETCH) {
		entry->tag[SOFT_ACCESS_FETCH] = tag;
		return true;
	}
	entry->tag[SOFT_ACCESS_READ] = tag;
	if (to.writable) {
		entry->tag[SOFT_ACCESS_WRITE] = access == SOFT_ACCESS_WRITE
							? write_tag(page, address)
							: write_tag_unwritten(page, address);
	}
	return true;
}

unsigned int soft_tlb_ensure(struct softcpu *cpu, gva_t address, enum soft_access access,
			     enum soft_tlb_class class)
{
	unsigned int index = (address >> GUEST_PAGE_SHIFT) & (SOFT_TLB_ENTRIES - 1);
	uint64_t tag = cpu->mmu->sets[class][index].tag[access];
	uint32_t error;

	if ((tag & ~(uint64_t)SOFT_TLB_SLOW) == (address & ~GUEST_PAGE_MASK)) {
		return index;
	}
	if (!soft_tlb_fill(cpu, address, access, class, &error)) {
		soft_raise_page_fault(cpu, address, error);
	}
	return index;
}

/* ------- flushing ------- */

static void flush_log(struct soft_mmu *mmu, struct soft_tlb_log *log, bool global)
{
	if (log->count <= SOFT_TLB_LOG) {
		for (unsigned int i = 0; i < log->count; i++) {
			unsigned int class = log->entries[i] >> SOFT_TLB_BITS;
			unsigned int index = log->entries[i] & (SOFT_TLB_ENTRIES - 1);

			/* An entry of the other kind may have taken the place since. */
			if (mmu->pages[class][index].global == global) {
				mmu->sets[class][index] = empty_entry;
			}
		}
		log->count = 0;
		return;
	}
	for (unsigned int class = 0; class < SOFT_TLB_SETS; class++) {
		for (unsigned int i = 0; i < SOFT_TLB_ENTRIES; i++) {
			if (mmu->pages[class][i].global == global) {
				mmu->sets[class][i] = empty_entry;
			}
		}
	}
	log->count = 0;
}

void soft_flush_tlb(struct softcpu *cpu, bool global)
{
	struct soft_mmu *mmu = cpu->mmu;

	flush_log(mmu, &mmu->local_log, false);
	if (global) {
		flush_log(mmu, &mmu->global_log, true);
		mmu->large[0] = false;
		mmu->large[1] = false;
	}
	mmu->pdpte_valid = false;
}

void soft_flush_page(struct softcpu *cpu, gva_t address)
{
	struct soft_mmu *mmu = cpu->mmu;
	unsigned int index = (address >> GUEST_PAGE_SHIFT) & (SOFT_TLB_ENTRIES - 1);

	/* The page may be one of many entries that were filled from one large page. */
	if (mmu->large[address >> 63]) {
		soft_flush_tlb(cpu, true);
		return;
	}
	for (unsigned int class = 0; class < SOFT_TLB_SETS; class++) {
		struct soft_tlb_entry *entry = &mmu->sets[class][index];

		for (unsigned int access = 0; access < SOFT_ACCESS_COUNT; access++) {
			if (((entry->tag[access] ^ address) & ~GUEST_PAGE_MASK) == 0) {
				entry->tag[access] = SOFT_TLB_INVALID;
			}
		}
	}
}

void soft_drop_direct_writes(struct softcpu *cpu, bool note_dirty)
{
	struct soft_mmu *mmu = cpu->mmu;

	for (unsigned int class = 0; class < SOFT_TLB_SETS; class++) {
		for (unsigned int i = 0; i < SOFT_TLB_ENTRIES; i++) {
			uint64_t *tag = &mmu->sets[class][i].tag[SOFT_ACCESS_WRITE];
			const struct soft_tlb_page *page = &mmu->pages[class][i];

			if (*tag & SOFT_TLB_SLOW) { /* so has SOFT_TLB_INVALID */
				continue;
			}
			if (note_dirty) {
				mem_region_written(page->region, page->offset, 1);
			}
			*tag |= SOFT_TLB_SLOW;
		}
	}
}

void soft_flush_request(struct softcpu *cpu)
{
	struct soft_mmu *mmu = cpu->mmu;

	soft_drop_direct_writes(cpu, true);
	memset(mmu->slots, 0, sizeof(mmu->slots));
	soft_flush_tlb(cpu, true);
}
