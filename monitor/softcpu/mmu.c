/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory as instructions see it: segment checks (Intel SDM vol. 3, 5.3, 5.4 and vol. 1, 3.3.7.1
 * for canonical addresses), then paging through the TLB, then host memory, ROM, I/O or the local
 * APIC's page.
 *
 * This is the slow path and the path of rare instructions; threaded.h has the fast one. Operands
 * that cross a page are checked on both before anything is written. Plain aligned accesses are
 * single accesses of the host, so the guest's memory order is the host's own. The A20 gate is
 * always open.
 */

#include "softcpu/mmu.h"

#include "softcpu/blocks.h"
#include "softcpu/host.h"

#define SEG_TYPE_CODE	 8
#define SEG_TYPE_EXPAND	 4 /* data: expands down */
#define SEG_TYPE_CONFORM 4
#define SEG_TYPE_RW	 2 /* data: writable; code: readable */

#define CR0_AM BIT(18)

/* ------- segments ------- */

static _Noreturn void raise_segment(struct softcpu *cpu, unsigned int seg)
{
	soft_raise_error(cpu, seg == CPU_SS ? SOFT_SS : SOFT_GP, 0);
}

static bool is_canonical(gva_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool within_limit(const struct cpu_segment *segment, uint64_t offset, size_t size)
{
	uint64_t last = offset + size - 1;

	if ((CPU_SEG_TYPE(segment->attr) & (SEG_TYPE_CODE | SEG_TYPE_EXPAND)) == SEG_TYPE_EXPAND) {
		return offset > segment->limit &&
		       last <= (segment->attr & CPU_SEG_DB ? UINT32_MAX : 0xffff);
	}
	return last <= segment->limit;
}

static bool has_rights(const struct softcpu *cpu, const struct cpu_segment *segment, bool write)
{
	unsigned int type = CPU_SEG_TYPE(segment->attr);

	if (!cpu->protected_mode || cpu->v8086) {
		return true;
	}
	if (segment->attr & CPU_SEG_UNUSABLE) {
		return false;
	}
	if (type & SEG_TYPE_CODE) {
		return !write && (type & SEG_TYPE_RW);
	}
	return !write || (type & SEG_TYPE_RW);
}

gva_t soft_linear(struct softcpu *cpu, unsigned int seg, uint64_t offset, size_t size, bool write)
{
	const struct cpu_segment *segment = &cpu->seg[seg];

	if (cpu->mode == SOFT_MODE_64) {
		gva_t address = offset;

		if (seg >= CPU_FS) {
			address += segment->base;
		}
		if (!is_canonical(address) || !is_canonical(address + size - 1)) {
			raise_segment(cpu, seg);
		}
		return address;
	}
	if (!has_rights(cpu, segment, write) || !within_limit(segment, offset, size)) {
		raise_segment(cpu, seg);
	}
	return (uint32_t)(segment->base + offset);
}

/* ------- one piece within a page ------- */

/* The local APIC's registers are 32 bits wide, 16 bytes apart. */
static uint64_t load_lapic(struct softcpu *cpu, unsigned int offset, unsigned int size)
{
	uint64_t value = lapic_read(cpu->lapic, offset & ~3u);

	if (size == 8) {
		return value | (uint64_t)lapic_read(cpu->lapic, (offset & ~3u) + 4) << 32;
	}
	return value >> (offset & 3) * 8;
}

static uint64_t load_piece(struct softcpu *cpu, gva_t address, unsigned int size,
			   enum soft_tlb_class class)
{
	unsigned int index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_READ, class);
	const struct soft_tlb_entry *entry = &cpu->mmu->sets[class][index];
	const struct soft_tlb_page *page = &cpu->mmu->pages[class][index];
	unsigned int offset = address & GUEST_PAGE_MASK;

	if (page->region) {
		return soft_host_load((void *)(address + entry->addend), size);
	}
	if (page->kind == SOFT_PAGE_LAPIC) {
		return load_lapic(cpu, offset, size);
	}
	return io_read(cpu->env->mmio, page->gpa + offset, size);
}

uint8_t soft_fetch_byte(struct softcpu *cpu, gva_t address)
{
	enum soft_tlb_class class = soft_tlb_class(cpu);
	unsigned int index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_FETCH, class);
	const struct soft_tlb_page *page = &cpu->mmu->pages[class][index];
	unsigned int offset = address & GUEST_PAGE_MASK;

	if (page->region) {
		return page->region->host[page->offset + offset];
	}
	if (page->kind == SOFT_PAGE_LAPIC) {
		return (uint8_t)load_lapic(cpu, offset, 1);
	}
	return (uint8_t)io_read(cpu->env->mmio, page->gpa + offset, 1);
}

static void after_io(struct softcpu *cpu)
{
	/* A device may have moved memory: the very next access must see it. */
	if (atomic_load_explicit(&cpu->requests, memory_order_relaxed) & SOFT_REQUEST_FLUSH) {
		atomic_fetch_and(&cpu->requests, ~(uint32_t)SOFT_REQUEST_FLUSH);
		soft_flush_request(cpu);
	}
}

static void store_piece(struct softcpu *cpu, gva_t address, uint64_t value, unsigned int size,
			enum soft_tlb_class class)
{
	unsigned int index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
	const struct soft_tlb_entry *entry = &cpu->mmu->sets[class][index];
	const struct soft_tlb_page *page = &cpu->mmu->pages[class][index];
	unsigned int offset = address & GUEST_PAGE_MASK;

	switch (page->kind) {
	case SOFT_PAGE_RAM:
		soft_host_store((void *)(address + entry->addend), value, size);
		if (entry->tag[SOFT_ACCESS_WRITE] & SOFT_TLB_SLOW) {
			soft_note_write(cpu, page->region, page->offset + offset, size);
			soft_tlb_update_write(cpu, class, index);
		}
		break;
	case SOFT_PAGE_ROM:
		break;
	case SOFT_PAGE_LAPIC:
		if (size >= 4 && !(offset & 3)) {
			lapic_write(cpu->lapic, offset, (uint32_t)value);
			atomic_fetch_or(&cpu->requests, SOFT_REQUEST_INTERRUPT);
		}
		break;
	default:
		io_write(cpu->env->mmio, page->gpa + offset, value, size);
		after_io(cpu);
		break;
	}
}

/* ------- values by linear address ------- */

static gva_t wrap(const struct softcpu *cpu, gva_t address)
{
	return cpu->long_mode ? address : (uint32_t)address;
}

static bool crosses_page(gva_t address, size_t size)
{
	return (address & GUEST_PAGE_MASK) + size > GUEST_PAGE_SIZE;
}

uint64_t soft_load_class(struct softcpu *cpu, gva_t address, unsigned int size,
			 enum soft_tlb_class class)
{
	uint64_t value = 0;

	if (!crosses_page(address, size)) {
		return load_piece(cpu, address, size, class);
	}
	for (unsigned int i = 0; i < size; i++) {
		value |= (load_piece(cpu, wrap(cpu, address + i), 1, class) & 0xff) << i * 8;
	}
	return value;
}

void soft_store_class(struct softcpu *cpu, gva_t address, uint64_t value, unsigned int size,
		      enum soft_tlb_class class)
{
	if (!crosses_page(address, size)) {
		store_piece(cpu, address, value, size, class);
		return;
	}
	soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
	soft_tlb_ensure(cpu, wrap(cpu, address + size - 1), SOFT_ACCESS_WRITE, class);
	for (unsigned int i = 0; i < size; i++) {
		store_piece(cpu, wrap(cpu, address + i), value >> i * 8 & 0xff, 1, class);
	}
}

/* ------- alignment checks and data breakpoints ------- */

static void check_breakpoints(struct softcpu *cpu, gva_t address, size_t size, bool write)
{
	static const uint8_t lengths[4] = { 1, 2, 8, 4 };

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int control = (unsigned int)(cpu->dr7 >> (16 + i * 4)) & 0xf;
		unsigned int kind = control & 3; /* 1: writes, 3: reads and writes */
		uint64_t length = lengths[control >> 2];
		gva_t first = cpu->dr[i] & ~(length - 1);

		if (!(cpu->dr7 >> i * 2 & 3) || !(kind & 1) || (kind == 1 && !write)) {
			continue;
		}
		if (address < first + length && first < address + size) {
			cpu->pending_db |= BIT(i);
		}
	}
}

void soft_check_access(struct softcpu *cpu, gva_t address, size_t size, bool write)
{
	if (cpu->cpl == 3 && (cpu->cr0 & CR0_AM) && (cpu->rflags & FLAG_AC) && size <= 8 &&
	    (address & (size - 1))) {
		soft_raise_error(cpu, SOFT_AC, 0);
	}
	if (cpu->dr7 & 0xff) {
		check_breakpoints(cpu, address, size, write);
	}
}

static void check_canonical(struct softcpu *cpu, const struct soft_op *op, gva_t address,
			    unsigned int size)
{
	if (cpu->mode == SOFT_MODE_64 &&
	    (!is_canonical(address) || !is_canonical(address + size - 1))) {
		raise_segment(cpu, op->seg);
	}
}

uint64_t soft_load_slow(struct softcpu *cpu, const struct soft_op *op, gva_t address,
			unsigned int size)
{
	cpu->op = op;
	check_canonical(cpu, op, address, size);
	soft_check_access(cpu, address, size, false);
	return soft_load_class(cpu, address, size, soft_tlb_class(cpu));
}

void soft_store_slow(struct softcpu *cpu, const struct soft_op *op, gva_t address, uint64_t value,
		     unsigned int size)
{
	cpu->op = op;
	check_canonical(cpu, op, address, size);
	soft_check_access(cpu, address, size, true);
	soft_store_class(cpu, address, value, size, soft_tlb_class(cpu));
}

void soft_check_rmw(struct softcpu *cpu, const struct soft_op *op, gva_t address,
		    unsigned int size)
{
	enum soft_tlb_class class = soft_tlb_class(cpu);

	cpu->op = op;
	check_canonical(cpu, op, address, size);
	soft_check_access(cpu, address, size, true);
	soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
	if (crosses_page(address, size)) {
		soft_tlb_ensure(cpu, wrap(cpu, address + size - 1), SOFT_ACCESS_WRITE, class);
	}
}

/* ------- operands by segment and offset ------- */

static uint64_t load(struct softcpu *cpu, unsigned int seg, uint64_t offset, unsigned int size)
{
	gva_t address = soft_linear(cpu, seg, offset, size, false);

	soft_check_access(cpu, address, size, false);
	return soft_load_class(cpu, address, size, soft_tlb_class(cpu));
}

static void store(struct softcpu *cpu, unsigned int seg, uint64_t offset, uint64_t value,
		  unsigned int size)
{
	gva_t address = soft_linear(cpu, seg, offset, size, true);

	soft_check_access(cpu, address, size, true);
	soft_store_class(cpu, address, value, size, soft_tlb_class(cpu));
}

#define DEFINE_ACCESS(bits)                                                                       \
	uint##bits##_t soft_read_u##bits(struct softcpu *cpu, unsigned int seg, uint64_t offset)  \
	{                                                                                         \
		return (uint##bits##_t)load(cpu, seg, offset, bits / 8);                          \
	}                                                                                         \
                                                                                                  \
	void soft_write_u##bits(struct softcpu *cpu, unsigned int seg, uint64_t offset,           \
				uint##bits##_t value)                                             \
	{                                                                                         \
		store(cpu, seg, offset, value, bits / 8);                                         \
	}

DEFINE_ACCESS(8)
DEFINE_ACCESS(16)
DEFINE_ACCESS(32)
DEFINE_ACCESS(64)

/* The largest power of two up to 8 that is aligned at @address and within @left. */
static unsigned int piece_size(gva_t address, size_t left)
{
	unsigned int size = 8;

	while (size > left || (address & (size - 1))) {
		size /= 2;
	}
	return size;
}

static void copy_from_page(struct softcpu *cpu, gva_t address, uint8_t *buf, size_t size,
			   enum soft_tlb_class class)
{
	unsigned int index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_READ, class);

	if (cpu->mmu->pages[class][index].region) {
		soft_host_copy(buf, (void *)(address + cpu->mmu->sets[class][index].addend), size);
		return;
	}
	while (size > 0) {
		unsigned int n = piece_size(address, size);
		uint64_t value = load_piece(cpu, address, n, class);

		memcpy(buf, &value, n);
		buf += n;
		address += n;
		size -= n;
	}
}

static void copy_to_page(struct softcpu *cpu, gva_t address, const uint8_t *buf, size_t size,
			 enum soft_tlb_class class)
{
	unsigned int index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
	const struct soft_tlb_entry *entry = &cpu->mmu->sets[class][index];
	const struct soft_tlb_page *page = &cpu->mmu->pages[class][index];

	if (page->kind == SOFT_PAGE_RAM) {
		soft_host_copy((void *)(address + entry->addend), buf, size);
		if (entry->tag[SOFT_ACCESS_WRITE] & SOFT_TLB_SLOW) {
			soft_note_write(cpu, page->region,
					page->offset + (address & GUEST_PAGE_MASK), size);
			soft_tlb_update_write(cpu, class, index);
		}
		return;
	}
	while (size > 0) {
		unsigned int n = piece_size(address, size);
		uint64_t value = 0;

		memcpy(&value, buf, n);
		store_piece(cpu, address, value, n, class);
		buf += n;
		address += n;
		size -= n;
	}
}

static size_t first_part(gva_t address, size_t size)
{
	return MIN(size, (size_t)(GUEST_PAGE_SIZE - (address & GUEST_PAGE_MASK)));
}

void soft_read_bytes(struct softcpu *cpu, unsigned int seg, uint64_t offset, void *buf,
		     size_t size)
{
	gva_t address = soft_linear(cpu, seg, offset, size, false);
	enum soft_tlb_class class = soft_tlb_class(cpu);
	size_t first = first_part(address, size);

	soft_check_access(cpu, address, size, false);
	copy_from_page(cpu, address, buf, first, class);
	if (first < size) {
		copy_from_page(cpu, wrap(cpu, address + first), (uint8_t *)buf + first,
			       size - first, class);
	}
}

void soft_write_bytes(struct softcpu *cpu, unsigned int seg, uint64_t offset, const void *buf,
		      size_t size)
{
	gva_t address = soft_linear(cpu, seg, offset, size, true);
	enum soft_tlb_class class = soft_tlb_class(cpu);
	size_t first = first_part(address, size);

	soft_check_access(cpu, address, size, true);
	if (first < size) {
		soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
		soft_tlb_ensure(cpu, wrap(cpu, address + first), SOFT_ACCESS_WRITE, class);
	}
	copy_to_page(cpu, address, buf, first, class);
	if (first < size) {
		copy_to_page(cpu, wrap(cpu, address + first), (const uint8_t *)buf + first,
			     size - first, class);
	}
}

void soft_check_write(struct softcpu *cpu, unsigned int seg, uint64_t offset, size_t size)
{
	gva_t address = soft_linear(cpu, seg, offset, size, true);
	enum soft_tlb_class class = soft_tlb_class(cpu);

	soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
	if (crosses_page(address, size)) {
		soft_tlb_ensure(cpu, wrap(cpu, address + size - 1), SOFT_ACCESS_WRITE, class);
	}
}

/* ------- locked accesses ------- */

void *soft_map_rmw(struct softcpu *cpu, unsigned int seg, uint64_t offset, size_t size)
{
	gva_t address = soft_linear(cpu, seg, offset, size, true);
	enum soft_tlb_class class = soft_tlb_class(cpu);
	const struct soft_tlb_page *page;
	unsigned int index;

	soft_check_access(cpu, address, size, true);
	index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_WRITE, class);
	if (crosses_page(address, size)) {
		soft_tlb_ensure(cpu, wrap(cpu, address + size - 1), SOFT_ACCESS_WRITE, class);
		return NULL;
	}
	page = &cpu->mmu->pages[class][index];
	if (page->kind != SOFT_PAGE_RAM || (address & 63) + size > 64) {
		return NULL;
	}
	cpu->mmu->rmw = NULL;
	if (cpu->mmu->sets[class][index].tag[SOFT_ACCESS_WRITE] & SOFT_TLB_SLOW) {
		cpu->mmu->rmw = page;
		cpu->mmu->rmw_offset = address & GUEST_PAGE_MASK;
		cpu->mmu->rmw_size = (unsigned int)size;
	}
	return (void *)(address + cpu->mmu->sets[class][index].addend);
}

void soft_rmw_done(struct softcpu *cpu)
{
	struct soft_mmu *mmu = cpu->mmu;

	if (mmu->rmw) {
		soft_note_write(cpu, mmu->rmw->region, mmu->rmw->offset + mmu->rmw_offset,
				mmu->rmw_size);
		mmu->rmw = NULL;
	}
}

/* ------- system structures ------- */

static enum soft_tlb_class system_class(const struct softcpu *cpu)
{
	return cpu->cr4 & BIT(21) ? SOFT_TLB_SUPERVISOR : SOFT_TLB_ANYWHERE;
}

uint64_t soft_linear_read(struct softcpu *cpu, gva_t address, unsigned int size)
{
	return soft_load_class(cpu, wrap(cpu, address), size, system_class(cpu));
}

void soft_linear_write(struct softcpu *cpu, gva_t address, uint64_t value, unsigned int size)
{
	soft_store_class(cpu, wrap(cpu, address), value, size, system_class(cpu));
}

void *soft_page_host(struct softcpu *cpu, gva_t address, enum soft_access access)
{
	enum soft_tlb_class class = soft_tlb_class(cpu);
	unsigned int index = soft_tlb_ensure(cpu, address, access, class);
	const struct soft_tlb_entry *entry = &cpu->mmu->sets[class][index];

	if (entry->tag[access] & SOFT_TLB_SLOW) {
		return NULL;
	}
	return (void *)(address + entry->addend);
}
