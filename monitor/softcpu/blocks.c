/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of decoded blocks: one for each CPU, so nothing here is shared but the write counters
 * of memory pages.
 *
 * Before a page's bytes are decoded it is marked MEM_PAGE_CODE. From then on whoever writes to it
 * raises its counter after the write: devices through mem_region_written(), CPUs because their TLB
 * gives no direct write entry for such a page. The gap is a CPU that has one from before. It is
 * told by SOFT_REQUEST_CODE and drops its entries at its next block boundary; nobody waits for it.
 * Until all have (each publishes the epoch it has seen), blocks of the page are provisional: their
 * bytes are compared each time they are entered. A CPU that sleeps or is not running counts as
 * having seen everything, and catches up before it runs.
 *
 * A page that is written often but seldom executed loses its mark again. That raises its
 * counter, so every block of it is looked at when next entered, and then marks the page anew.
 *
 * Memory is bounded by dropping everything when the arena is full.
 */

#include "softcpu/blocks.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "softcpu/threaded.h"

#define ARENA_TOTAL MIB(256) /* for all CPUs together */
#define ARENA_LEAST MIB(8)
#define ARENA_MOST  MIB(96)

/* Writes to a page of code after which the mark is taken off. */
#define WRITES_TO_UNMARK 64

#define BLOCK_ROOM                                                                                \
	(sizeof(struct soft_block) + (SOFT_BLOCK_MAX_OPS + 1) * sizeof(struct soft_op) +          \
	 (SOFT_BLOCK_MAX_OPS * SOFT_MAX_INSN))

/* A counter that a block never agrees with, since its gen is then 1. */
static const _Atomic uint32_t never;

int soft_blocks_create(struct softcpu *cpu)
{
	struct soft_blocks *blocks = calloc(1, sizeof(*blocks));
	uint64_t size = ARENA_TOTAL / MAX(cpu->peer_count, 1u);

	if (!blocks) {
		return -ENOMEM;
	}
	blocks->size = MIN(MAX(size, ARENA_LEAST), ARENA_MOST);
	blocks->arena = mmap(NULL, blocks->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (blocks->arena == MAP_FAILED) {
		free(blocks);
		return -ENOMEM;
	}
	madvise(blocks->arena, blocks->size, MADV_HUGEPAGE);
	blocks->scratch = (struct soft_block *)blocks->arena;
	blocks->used = ALIGN_UP(BLOCK_ROOM, 64);
	cpu->blocks = blocks;
	return 0;
}

void soft_blocks_destroy(struct softcpu *cpu)
{
	if (cpu->blocks) {
		munmap(cpu->blocks->arena, cpu->blocks->size);
		free(cpu->blocks);
		cpu->blocks = NULL;
	}
}

void soft_blocks_drop(struct softcpu *cpu)
{
	struct soft_blocks *blocks = cpu->blocks;

	memset(blocks->table, 0, sizeof(blocks->table));
	blocks->used = ALIGN_UP(BLOCK_ROOM, 64);
	blocks->link = NULL;
	cpu->op = NULL;
}

void soft_shared_init(struct soft_shared *shared)
{
	pthread_mutex_init(&shared->split_lock, NULL);
	pthread_mutex_init(&shared->code_lock, NULL);
	atomic_store(&shared->code_epoch, 1);
}

void soft_shared_finish(struct soft_shared *shared)
{
	pthread_mutex_destroy(&shared->split_lock);
	pthread_mutex_destroy(&shared->code_lock);
}

/* ------- pages of code ------- */

void soft_code_acknowledge(struct softcpu *cpu)
{
	uint64_t epoch = atomic_load(&cpu->shared->code_epoch);

	soft_drop_direct_writes(cpu, false);
	atomic_store(&cpu->mmu->seen_epoch, epoch);
}

void soft_code_enter(struct softcpu *cpu)
{
	uint64_t epoch;

	/* Either the marking CPU sees this store, or this CPU sees its new epoch. */
	do {
		epoch = atomic_load(&cpu->shared->code_epoch);
		atomic_store(&cpu->mmu->seen_epoch, epoch);
	} while (atomic_load(&cpu->shared->code_epoch) != epoch);
	if (epoch != cpu->mmu->left_epoch) {
		soft_drop_direct_writes(cpu, false);
	}
}

void soft_code_leave(struct softcpu *cpu)
{
	cpu->mmu->left_epoch = atomic_load(&cpu->mmu->seen_epoch);
	atomic_store(&cpu->mmu->seen_epoch, UINT64_MAX);
}

static uint64_t mark(struct softcpu *cpu, struct mem_region *region, uint64_t page)
{
	struct soft_shared *shared = cpu->shared;
	uint64_t epoch;
	bool is_new;

	/* The lock is for those who find the mark: its epoch must have been raised by then. */
	pthread_mutex_lock(&shared->code_lock);
	is_new = !(atomic_fetch_or(&region->page_flags[page], MEM_PAGE_CODE) & MEM_PAGE_CODE);
	if (is_new) {
		atomic_fetch_add(&shared->code_epoch, 1);
	}
	epoch = atomic_load(&shared->code_epoch);
	pthread_mutex_unlock(&shared->code_lock);
	if (is_new || atomic_load(&cpu->mmu->seen_epoch) < epoch) {
		soft_code_acknowledge(cpu);
	}
	if (!is_new) {
		return epoch;
	}
	for (unsigned int i = 0; i < cpu->peer_count; i++) {
		struct softcpu *peer = cpu->peers[i];

		if (peer != cpu && atomic_load(&peer->mmu->seen_epoch) < epoch) {
			soft_request(peer, SOFT_REQUEST_CODE);
		}
	}
	return epoch;
}

uint64_t soft_code_mark(struct softcpu *cpu, struct soft_code_page *page)
{
	uint64_t epoch;

	/* A page that lost its mark in between counts no writes, though its count was raised. */
	do {
		epoch = mark(cpu, page->region, page->page);
		page->gen = atomic_load(&page->region->code_gen[page->page]);
	} while (!(atomic_load(&page->region->page_flags[page->page]) & MEM_PAGE_CODE));
	return epoch;
}

static bool all_have_seen(const struct softcpu *cpu, uint64_t epoch)
{
	for (unsigned int i = 0; i < cpu->peer_count; i++) {
		const struct softcpu *peer = cpu->peers[i];

		if (peer != cpu && atomic_load(&peer->mmu->seen_epoch) < epoch) {
			return false;
		}
	}
	return true;
}

static void unmark(struct mem_region *region, uint64_t page)
{
	atomic_fetch_and(&region->page_flags[page], (uint8_t)~MEM_PAGE_CODE);
	atomic_fetch_add(&region->code_gen[page], 1);
}

static bool has_same_bytes(const struct soft_block *block)
{
	return memcmp(block->code, block->host, block->head) == 0 &&
	       (block->bytes == block->head || memcmp(block->code + block->head, block->tail,
						      block->bytes - block->head) == 0);
}

static void remove_block(struct softcpu *cpu, struct soft_block *block)
{
	struct soft_block **place = &cpu->blocks->table[soft_block_hash(block->host)];

	while (*place && *place != block) {
		place = &(*place)->next;
	}
	if (*place) {
		*place = block->next;
	}
	block->counter = &never;
	block->gen = 1;
}

void soft_note_write(struct softcpu *cpu, struct mem_region *region, uint64_t offset, size_t size)
{
	uint64_t page = offset >> GUEST_PAGE_SHIFT;
	struct soft_block *block;

	mem_region_written(region, offset, size);
	if (!(atomic_load_explicit(&region->page_flags[page], memory_order_relaxed) &
	      MEM_PAGE_CODE)) {
		return;
	}
	if (cpu->op) {
		block = soft_block_of(cpu->op);
		if (((block->pages[0].region == region && block->pages[0].page == page) ||
		     (block->pages[1].region == region && block->pages[1].page == page)) &&
		    !has_same_bytes(block)) {
			if (block != cpu->blocks->scratch) {
				remove_block(cpu, block);
			}
			for (unsigned int i = cpu->op->number + 1u; i <= block->count; i++) {
				block->ops[i].fn = soft_op_stop;
			}
		}
	}
	if (atomic_load_explicit(&region->code_gen[page], memory_order_relaxed) %
		    WRITES_TO_UNMARK == 0) {
		unmark(region, page);
	}
}

/* ------- finding ------- */

void soft_fetch(struct softcpu *cpu, gva_t address, struct soft_code_bytes *ret)
{
	enum soft_tlb_class class = soft_tlb_class(cpu);
	unsigned int index = soft_tlb_ensure(cpu, address, SOFT_ACCESS_FETCH, class);
	const struct soft_tlb_page *page = &cpu->mmu->pages[class][index];

	*ret = (struct soft_code_bytes){ .address = address };
	if (page->region) {
		ret->host = (const uint8_t *)(address + cpu->mmu->sets[class][index].addend);
		ret->region = page->region;
		ret->page = page->offset >> GUEST_PAGE_SHIFT;
	}
}

/* Where a block stands in its page's history, for the test on entry. */
static void trust_if_possible(struct softcpu *cpu, struct soft_block *block)
{
	if (block->epoch && all_have_seen(cpu, block->epoch)) {
		block->epoch = 0;
		/* What those CPUs wrote before they acknowledged is there now. */
		if (!has_same_bytes(block)) {
			remove_block(cpu, block);
			return;
		}
	}
	if (block->epoch || block->tail || (block->key & SOFT_KEY_SINGLE)) {
		block->counter = &never;
		block->gen = 1;
		return;
	}
	block->counter = &block->pages[0].region->code_gen[block->pages[0].page];
	block->gen = block->pages[0].gen;
}

/* A block whose test on entry failed: can it still be used? */
static bool revalidate(struct softcpu *cpu, struct soft_block *block)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(block->pages); i++) {
		struct soft_code_page *page = &block->pages[i];
		uint64_t epoch;

		if (!page->region) {
			continue;
		}
		epoch = soft_code_mark(cpu, page);
		if (!all_have_seen(cpu, epoch)) {
			block->epoch = epoch;
		}
	}
	if (block->tail) {
		struct soft_code_bytes next;

		soft_fetch(cpu, soft_code_address(cpu, cpu->rip + block->head), &next);
		if (next.host != block->tail) {
			return false;
		}
	}
	return has_same_bytes(block);
}

static struct soft_block *decode(struct softcpu *cpu, const struct soft_code_bytes *from)
{
	struct soft_blocks *blocks = cpu->blocks;
	struct soft_block *block;
	struct soft_block **head;

	if (blocks->used + BLOCK_ROOM > blocks->size) {
		soft_blocks_drop(cpu);
	}
	block = (struct soft_block *)(blocks->arena + blocks->used);
	memset(block, 0, sizeof(*block));
	block->pages[0].region = from->region;
	block->pages[0].page = from->page;
	block->epoch = soft_code_mark(cpu, &block->pages[0]);
	soft_decode_block(cpu, from, block);
	block->code = (uint8_t *)&block->ops[block->count + 1];
	memcpy(block->code, blocks->bytes, block->bytes);
	trust_if_possible(cpu, block);
	blocks->used += ALIGN_UP((size_t)(block->code + block->bytes - (uint8_t *)block), 64);
	head = &blocks->table[soft_block_hash(block->host)];
	block->next = *head;
	*head = block;
	return block;
}

static struct soft_block *decode_outside_memory(struct softcpu *cpu,
						const struct soft_code_bytes *from)
{
	struct soft_block *block = cpu->blocks->scratch;

	memset(block, 0, sizeof(*block));
	soft_decode_block(cpu, from, block);
	block->counter = &never;
	block->gen = 1;
	cpu->blocks->link = NULL;
	return block;
}

struct soft_block *soft_block_find(struct softcpu *cpu)
{
	struct soft_code_bytes from;
	struct soft_block *block;

	soft_fetch(cpu, soft_code_address(cpu, cpu->rip), &from);
	if (!from.host) {
		return decode_outside_memory(cpu, &from);
	}
	block = cpu->blocks->table[soft_block_hash(from.host)];
	while (block && (block->host != from.host || block->key != cpu->block_key)) {
		block = block->next;
	}
	if (block && !soft_block_is_current(block)) {
		if (revalidate(cpu, block)) {
			trust_if_possible(cpu, block);
		} else {
			remove_block(cpu, block);
			block = NULL;
		}
	}
	if (!block) {
		block = decode(cpu, &from);
	}
	if (cpu->blocks->link) {
		*cpu->blocks->link = block;
		cpu->blocks->link = NULL;
	}
	return block;
}
