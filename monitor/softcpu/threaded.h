/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_THREADED_H
#define LIMEN_SOFTCPU_THREADED_H

/*
 * For functions of hot instructions (SOFT_CALL_THREADED). Such a function ends by calling the next
 * op's, which an optimizing compiler makes a jump; so a block runs from its first op to its last
 * without a loop around it. In exchange it keeps the rules itself:
 *
 * - rip and next_rip are not kept; the instruction's address is soft_op_rip().
 * - The arithmetic flags are in cpu->flag_low and cpu->flag_of, not in cpu->rflags.
 * - Before anything that may raise, cpu->op = op, from which soft_run() makes the state whole. The
 *   slow paths of the accesses here do that.
 *
 * Memory operands come in two kinds: "flat" ones, whose segment does nothing in the block's
 * mode, so the offset is the linear address (SOFT_KEY_FLAT), and all others. A flat function
 * does the common case alone, a TLB hit, and leaves the rest to the function for all others,
 * which is right for both; so it calls nothing and needs no stack frame.
 */

#include "softcpu/blocks.h"
#include "softcpu/host.h"
#include "softcpu/mmu.h"
#include "softcpu/softcpu.h"

#define SOFT_INLINE static inline __attribute__((always_inline))

/* Whether calling the next op is a jump; else the depth is that of the block. */
#if defined(__OPTIMIZE__) && !defined(LIMEN_DEBUG)
#define SOFT_TAIL_CALLS 1
#else
#define SOFT_TAIL_CALLS 0
#endif

/** soft_next() - go on with the next op; the last thing that a threaded function does. */
#define soft_next(cpu, op) ((op)[1].fn((cpu), (op) + 1))

/** soft_op_stop() - leave the block before this op. */
void soft_op_stop(struct softcpu *cpu, const struct soft_op *op);

/** soft_op_rip() - the address of the instruction under way. */
static inline uint64_t soft_op_rip(const struct softcpu *cpu, const struct soft_op *op)
{
	return cpu->gpr[SOFT_REG_BLOCK] + op->offset;
}

static inline gva_t soft_code_address(const struct softcpu *cpu, uint64_t rip)
{
	gva_t address = cpu->seg[CPU_CS].base + rip;

	return cpu->mode == SOFT_MODE_64 ? rip : (uint32_t)address;
}

/* ------- flags ------- */

static inline uint64_t soft_flags_gather(const struct softcpu *cpu)
{
	return (cpu->rflags & ~(uint64_t)FLAGS_ARITH) | (cpu->flag_low & FLAGS_ARITH) |
	       (uint64_t)cpu->flag_of << 11;
}

static inline void soft_flags_scatter(struct softcpu *cpu)
{
	cpu->flag_low = (uint8_t)cpu->rflags;
	cpu->flag_of = (cpu->rflags >> 11) & 1;
}

/* ------- registers ------- */

/*
 * Byte registers are addressed within the register array: for the functions of this interface the
 * binding code has replaced op->reg and op->rm by soft_byte_register().
 */
static inline uint8_t soft_byte_register(uint8_t reg)
{
	return reg < CPU_GPR_COUNT ? reg * 8 : (reg - CPU_GPR_COUNT) * 8 + 1;
}

SOFT_INLINE uint64_t soft_get(const struct softcpu *cpu, uint8_t reg, unsigned int size)
{
	switch (size) {
	case 1: return ((const uint8_t *)cpu->gpr)[reg];
	case 2: return (uint16_t)cpu->gpr[reg];
	case 4: return (uint32_t)cpu->gpr[reg];
	default: return cpu->gpr[reg];
	}
}

SOFT_INLINE void soft_set(struct softcpu *cpu, uint8_t reg, uint64_t value, unsigned int size)
{
	switch (size) {
	case 1: ((uint8_t *)cpu->gpr)[reg] = (uint8_t)value; break;
	case 2: *(uint16_t *)&cpu->gpr[reg] = (uint16_t)value; break;
	case 4: cpu->gpr[reg] = (uint32_t)value; break;
	default: cpu->gpr[reg] = value; break;
	}
}

/** soft_address_mask() - the bits that count of an address, an index or a counter. */
static inline uint64_t soft_address_mask(unsigned int size)
{
	return size == 8 ? UINT64_MAX : BIT(size * 8) - 1;
}

/* ------- memory operands ------- */

/** soft_operand_address() - the linear address of an operand that is not flat; checked. */
gva_t soft_operand_address(struct softcpu *cpu, const struct soft_op *op, unsigned int size,
			   bool write);

/** soft_flat_address() - the same for a flat one. */
SOFT_INLINE gva_t soft_flat_address(const struct softcpu *cpu, const struct soft_op *op)
{
	return (cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) + op->disp) &
	       op->address_mask;
}

SOFT_INLINE const struct soft_tlb_entry *soft_tlb_entry(const struct softcpu *cpu, gva_t address)
{
	return &cpu->tlb[(address >> GUEST_PAGE_SHIFT) & (SOFT_TLB_ENTRIES - 1)];
}

/* Whether all @size bytes lie in the page that the tag is for; no other tag has its place. */
SOFT_INLINE bool soft_tlb_hit(const struct soft_tlb_entry *entry, gva_t address, unsigned int size,
			      enum soft_access access)
{
	return LIMEN_LIKELY(entry->tag[access] == ((address + size - 1) & ~GUEST_PAGE_MASK));
}

SOFT_INLINE uint64_t soft_load(struct softcpu *cpu, const struct soft_op *op, gva_t address,
			       unsigned int size)
{
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	if (soft_tlb_hit(entry, address, size, SOFT_ACCESS_READ)) {
		return soft_host_load((void *)(address + entry->addend), size);
	}
	return soft_load_slow(cpu, op, address, size);
}

SOFT_INLINE void soft_store(struct softcpu *cpu, const struct soft_op *op, gva_t address,
			    uint64_t value, unsigned int size)
{
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	if (soft_tlb_hit(entry, address, size, SOFT_ACCESS_WRITE)) {
		soft_host_store((void *)(address + entry->addend), value, size);
	} else {
		soft_store_slow(cpu, op, address, value, size);
	}
}

/** soft_try_load()/store() - only when the TLB has the page; else nothing is done. */
SOFT_INLINE bool soft_try_load(const struct softcpu *cpu, gva_t address, unsigned int size,
			       uint64_t *ret_value)
{
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	if (!soft_tlb_hit(entry, address, size, SOFT_ACCESS_READ)) {
		return false;
	}
	*ret_value = soft_host_load((void *)(address + entry->addend), size);
	return true;
}

SOFT_INLINE bool soft_try_store(const struct softcpu *cpu, gva_t address, uint64_t value,
				unsigned int size)
{
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	if (!soft_tlb_hit(entry, address, size, SOFT_ACCESS_WRITE)) {
		return false;
	}
	soft_host_store((void *)(address + entry->addend), value, size);
	return true;
}

/** soft_try_rmw() - the host address of an operand to be read and written, or NULL. */
SOFT_INLINE void *soft_try_rmw(const struct softcpu *cpu, gva_t address, unsigned int size)
{
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	return soft_tlb_hit(entry, address, size, SOFT_ACCESS_WRITE)
		       ? (void *)(address + entry->addend)
		       : NULL;
}

/**
 * soft_begin_rmw() - the host address of an operand that will be read and written
 *
 * Return: NULL when it must be done by soft_load_slow() and soft_store_slow(), which then do not
 * raise any more.
 */
SOFT_INLINE void *soft_begin_rmw(struct softcpu *cpu, const struct soft_op *op, gva_t address,
				 unsigned int size)
{
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	if (soft_tlb_hit(entry, address, size, SOFT_ACCESS_WRITE)) {
		return (void *)(address + entry->addend);
	}
	soft_check_rmw(cpu, op, address, size);
	return NULL;
}

/* ------- going to another block ------- */

/** soft_leave() - leave the blocks; soft_run() finds the block at @rip and remembers it in @link
 *  (NULL: nowhere). */
void soft_leave(struct softcpu *cpu, uint64_t rip, void **link);

SOFT_INLINE void soft_enter_block(struct softcpu *cpu, const struct soft_block *block, uint64_t rip)
{
	cpu->gpr[SOFT_REG_BLOCK] = rip;
	cpu->instructions += block->count;
	block->ops[0].fn(cpu, block->ops);
}

SOFT_INLINE bool soft_may_enter(const struct softcpu *cpu, const struct soft_block *block)
{
	return SOFT_TAIL_CALLS && LIMEN_LIKELY(soft_block_is_current(block)) &&
	       LIMEN_LIKELY(!atomic_load_explicit(&cpu->requests, memory_order_relaxed));
}

/**
 * soft_goto() - to the block at @rip, a target that does not change
 * @link: where the block found the first time is kept
 * @same_page: @rip lies in the page that the present block begins in, so the same bytes are there
 */
SOFT_INLINE void soft_goto(struct softcpu *cpu, uint64_t rip, void **link, bool same_page)
{
	const struct soft_block *block = *link;

	if (LIMEN_LIKELY(block) && soft_may_enter(cpu, block)) {
		const struct soft_tlb_entry *entry;
		gva_t address;

		if (same_page) {
			soft_enter_block(cpu, block, rip);
			return;
		}
		address = soft_code_address(cpu, rip);
		entry = soft_tlb_entry(cpu, address);
		if (soft_tlb_hit(entry, address, 1, SOFT_ACCESS_FETCH) &&
		    block->host == (uint8_t *)(address + entry->addend)) {
			soft_enter_block(cpu, block, rip);
			return;
		}
	}
	soft_leave(cpu, rip, link);
}

/** soft_goto_any() - to the block at @rip, wherever that is. */
SOFT_INLINE void soft_goto_any(struct softcpu *cpu, uint64_t rip)
{
	gva_t address = soft_code_address(cpu, rip);
	const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, address);

	if (soft_tlb_hit(entry, address, 1, SOFT_ACCESS_FETCH)) {
		const uint8_t *host = (uint8_t *)(address + entry->addend);
		const struct soft_block *block = cpu->blocks->table[soft_block_hash(host)];

		if (block && block->host == host && block->key == cpu->block_key &&
		    soft_may_enter(cpu, block)) {
			soft_enter_block(cpu, block, rip);
			return;
		}
	}
	soft_leave(cpu, rip, NULL);
}

#endif
