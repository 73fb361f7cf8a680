/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_BLOCKS_H
#define LIMEN_SOFTCPU_BLOCKS_H

/*
 * Blocks of decoded instructions. A block is a straight run of code within a page (only its first
 * instruction may reach into the next one), kept for the host address of its first byte and the
 * key of the mode it was decoded in: so it survives changes of page tables, and each process that
 * maps a library finds the blocks of the others.
 *
 * A block is entered when its page's write counter (mem_region.code_gen) still stands where it
 * stood. Any doubt (a write to the page, an instruction that spans two pages, another CPU that may
 * still write past the counter) makes that test fail and soft_block_find() look closer.
 */

#include "softcpu/mmu.h"

#define SOFT_BLOCK_MAX_OPS   48
#define SOFT_BLOCK_HASH_BITS 15
#define SOFT_MAX_INSN	     15

/* What decoding depends on beside the bytes: softcpu.block_key. */
enum soft_block_key {
	SOFT_KEY_MODE = 3,	     /* enum soft_mode */
	SOFT_KEY_STACK32 = 1 << 2,   /* SS.B */
	SOFT_KEY_FLAT = 1 << 3,	     /* CS, DS, ES and SS cover everything from 0 */
	SOFT_KEY_SINGLE = 1 << 4,    /* blocks of one instruction */
	SOFT_KEY_PROTECTED = 1 << 5,
	SOFT_KEY_V8086 = 1 << 6,
	SOFT_KEY_LONG = 1 << 7,
};

/** struct soft_code_page - a page that a block has bytes of, and its counter when they were
 *  read. */
struct soft_code_page {
	struct mem_region *region;
	uint64_t page; /* index in @region */
	uint32_t gen;
};

/**
 * struct soft_block - a block
 * @counter, @gen: it may be entered while they agree
 * @host: of the first byte; @tail: of the rest of a first instruction that spans two pages
 * @epoch: the code epoch that all CPUs must have seen before @counter can be trusted; 0: they have
 * @count: instructions; ops[count] leads on to what follows
 * @bytes, @head: all bytes of it, and those before @tail
 * @code: a copy of the bytes
 */
struct soft_block {
	const _Atomic uint32_t *counter;
	uint32_t gen;
	uint16_t key;
	uint16_t count;
	const uint8_t *host;
	struct soft_block *next; /* in its hash chain */
	const uint8_t *tail;
	uint8_t *code;
	uint64_t epoch;
	uint16_t bytes;
	uint16_t head;
	struct soft_code_page pages[2];
	struct soft_op ops[];
};

/**
 * struct soft_blocks - a CPU's blocks
 * @table: hash chains
 * @arena, @used, @size: blocks are taken from its end and all dropped when it is full
 * @link: where the block that is found next shall be remembered; NULL for nowhere
 * @scratch: a block for code outside of memory, decoded anew each time
 * @bytes: the bytes of the block being decoded
 */
struct soft_blocks {
	struct soft_block *table[1 << SOFT_BLOCK_HASH_BITS];
	uint8_t *arena;
	size_t used;
	size_t size;
	void **link;
	struct soft_block *scratch;
	uint8_t bytes[SOFT_BLOCK_MAX_OPS * SOFT_MAX_INSN];
};

/** struct soft_code_bytes - where a block's first bytes lie. @host NULL: not in memory. */
struct soft_code_bytes {
	gva_t address;
	const uint8_t *host;
	struct mem_region *region;
	uint64_t page;
};

int soft_blocks_create(struct softcpu *cpu);
void soft_blocks_destroy(struct softcpu *cpu);

/** soft_blocks_drop() - forget all. No block may be running. */
void soft_blocks_drop(struct softcpu *cpu);

static inline bool soft_block_is_current(const struct soft_block *block)
{
	return atomic_load_explicit(block->counter, memory_order_relaxed) == block->gen;
}

static inline size_t soft_block_hash(const uint8_t *host)
{
	uintptr_t n = (uintptr_t)host;

	return (n ^ n >> SOFT_BLOCK_HASH_BITS) & ((1u << SOFT_BLOCK_HASH_BITS) - 1);
}

static inline struct soft_block *soft_block_of(const struct soft_op *op)
{
	return container_of(op - op->number, struct soft_block, ops[0]);
}

/** soft_block_key() - the key of the blocks to run now (SOFT_KEY_SINGLE is not in it). */
uint16_t soft_block_key(const struct softcpu *cpu);

/* Functions of ops (call.c): by enum soft_call, an op that ends its block, and the end of a block
 * that no jump ends. */
void soft_call_plain(struct softcpu *cpu, const struct soft_op *op);
void soft_call_full(struct softcpu *cpu, const struct soft_op *op);
void soft_call_last(struct softcpu *cpu, const struct soft_op *op);
void soft_op_go_on(struct softcpu *cpu, const struct soft_op *op);

/** soft_block_find() - the block at cpu->rip, decoded if need be; raises #PF and #GP of the
 *  fetch. */
struct soft_block *soft_block_find(struct softcpu *cpu);

/** soft_fetch() - where the code at @address lies; raises #PF. */
void soft_fetch(struct softcpu *cpu, gva_t address, struct soft_code_bytes *ret);

/** soft_decode_block() - (decode.c) decode from @from into @block, which has room for the most
 *  that a block can be. May raise; nothing is kept then. */
void soft_decode_block(struct softcpu *cpu, const struct soft_code_bytes *from,
		       struct soft_block *block);

/** soft_code_mark() - make @page a page of code, so that writes to it are counted from now on, and
 *  note the count. Return: the code epoch from which it can be trusted. */
uint64_t soft_code_mark(struct softcpu *cpu, struct soft_code_page *page);

/** soft_code_acknowledge() - do what SOFT_REQUEST_CODE asks for. */
void soft_code_acknowledge(struct softcpu *cpu);

/** soft_code_enter()/leave() - the CPU starts and stops running guest code (also to sleep). */
void soft_code_enter(struct softcpu *cpu);
void soft_code_leave(struct softcpu *cpu);

/**
 * soft_note_write() - after a write to memory that is tracked or holds code
 *
 * Ends the running block after the instruction under way if its own bytes have changed.
 */
void soft_note_write(struct softcpu *cpu, struct mem_region *region, uint64_t offset, size_t size);

#endif
