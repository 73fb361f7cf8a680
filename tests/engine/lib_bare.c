/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bare software CPU for tests; see the header.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib_bare.h"

#define HANDLER_SIZE 16
#define PAGES	     1024 /* mapped one to one */

#define EFER_64 UINT64_C(0xd00) /* LME, LMA, NXE */

static uint64_t exit_read(void *opaque, uint64_t offset, unsigned int size)
{
	return 0;
}

static void exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct bare *bare = opaque;

	soft_request(bare->peers[offset], SOFT_REQUEST_RETURN);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct bare *bare = opaque;

	bare->mmio_offset = offset;
	bare->mmio_size = size;
	return bare->mmio_value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct bare *bare = opaque;

	bare->mmio_offset = offset;
	bare->mmio_size = size;
	bare->mmio_value = value;
}

static const struct io_ops exit_ops = { .read = exit_read, .write = exit_write };
static const struct io_ops mmio_ops = {
	.read = mmio_read,
	.write = mmio_write,
	.min_size = 1,
	.max_size = 8,
	.unaligned = true,
};

static void build_machine(struct bare *bare)
{
	struct error err = { 0 };
	struct config_view view;

	assert_int_equal(config_tree_create(&bare->config, &err), 0);
	assert_int_equal(config_declare(bare->config, "cpu", cpu_model_keys, &err), 0);
	view = config_view_at(bare->config, "cpu");
	assert_int_equal(cpu_model_build(&bare->model, 1, &view, &err), 0);

	assert_int_equal(guest_memory_create(&bare->memory, &err), 0);
	assert_int_equal(guest_memory_add_region(bare->memory, "ram", BARE_RAM, 0, &bare->region,
						 &err), 0);
	assert_int_equal(guest_memory_map(bare->memory, 0, bare->region, 0, BARE_RAM, false), 0);
	assert_int_equal(guest_memory_add_region(bare->memory, "rom", 0x10000, MEM_REGION_ROM,
						 &bare->rom, &err), 0);
	assert_int_equal(guest_memory_map(bare->memory, BARE_ROM, bare->rom, 0, 0x10000, true), 0);
	bare->ram = bare->region->host;

	assert_int_equal(io_space_create("ports", 0x10000, &bare->ports, &err), 0);
	assert_int_equal(io_space_create("mmio", BIT(40), &bare->mmio, &err), 0);
	io_region_init(&bare->exit_region, "exit", &exit_ops, bare, NULL, ARRAY_SIZE(bare->peers));
	io_region_init(&bare->mmio_region, "mmio", &mmio_ops, bare, NULL, 0x1000);
	assert_int_equal(io_region_map(&bare->exit_region, bare->ports, BARE_EXIT), 0);
	assert_int_equal(io_region_map(&bare->mmio_region, bare->mmio, BARE_MMIO), 0);
}

/* ------- the mode's tables ------- */

static void put_handlers(struct bare *bare)
{
	static const uint8_t handler[] = { 0xe6, BARE_EXIT, 0xf4 }; /* out BARE_EXIT, al; hlt */

	for (unsigned int i = 0; i < 32; i++) {
		uint64_t address = BARE_HANDLER + i * HANDLER_SIZE;

		memcpy(bare->ram + address, handler, sizeof(handler));
		if (bare->mode == BARE_REAL) {
			store_le32(bare->ram + BARE_IDT + 4 * i, (uint32_t)address);
		} else if (bare->mode == BARE_64) {
			store_le64(bare->ram + BARE_IDT + 16 * i,
				   address | 8 << 16 | UINT64_C(0x8e00) << 32);
		} else {
			store_le64(bare->ram + BARE_IDT + 8 * i,
				   address | 8 << 16 | UINT64_C(0x8e00) << 32);
		}
	}
	store_le64(bare->ram + BARE_GDT + 8,
		   bare->mode == BARE_64 ? UINT64_C(0x00af9b000000ffff)
					 : UINT64_C(0x00cf9b000000ffff));
	store_le64(bare->ram + BARE_GDT + 16, UINT64_C(0x00cf93000000ffff));
}

/* Levels from the top: each table's first entry leads to the next, the last maps one to one. */
static void put_page_tables(struct bare *bare)
{
	uint8_t *table = bare->ram + BARE_TABLES;
	unsigned int size = bare->mode == BARE_PAGING32 ? 4 : 8;
	unsigned int levels = bare->mode == BARE_64 ? 3 : bare->mode == BARE_PAE ? 2 : 1;

	for (unsigned int i = 0; i < levels; i++) {
		uint64_t next = BARE_TABLES + (i + 1) * 0x1000;
		bool is_pdpt = bare->mode == BARE_PAE && i == 0;

		store_le32(table + i * 0x1000, (uint32_t)(next | (is_pdpt ? 1 : 7)));
	}
	for (unsigned int i = 0; i < PAGES; i++) {
		uint8_t *pte = table + levels * 0x1000 + (uint64_t)i * size;

		store_le32(pte, i << 12 | 7);
	}
	if (size == 8) { /* the second half of the pages is in a table of its own */
		store_le32(table + (levels - 1) * 0x1000 + 8,
			   (uint32_t)(BARE_TABLES + (levels + 1) * 0x1000) | 7);
	}
}

void *bare_pte(struct bare *bare, uint64_t address)
{
	unsigned int size = bare->mode == BARE_PAGING32 ? 4 : 8;
	unsigned int levels = bare->mode == BARE_64 ? 3 : bare->mode == BARE_PAE ? 2 : 1;

	return bare->ram + BARE_TABLES + levels * 0x1000 + (address >> 12) * size;
}

void bare_flush(struct bare *bare)
{
	soft_flush_tlb(bare->cpu, true);
}

static struct cpu_segment flat_segment(const struct bare *bare, bool code)
{
	struct cpu_segment segment = {
		.selector = code ? 8 : 16,
		.limit = UINT32_MAX,
		.attr = (code ? 0x9b : 0x93) | CPU_SEG_DB | CPU_SEG_G,
	};

	if (bare->mode == BARE_REAL) {
		segment = (struct cpu_segment){ .limit = 0xffff, .attr = 0x93 };
	} else if (bare->mode == BARE_64 && code) {
		segment.attr = 0x9b | CPU_SEG_L | CPU_SEG_G;
	}
	return segment;
}

static void put_registers(struct bare *bare)
{
	static const uint64_t cr0[] = { 0x10, 0x11, 0x80000011, 0x80000011, 0x80000011 };
	struct softcpu *cpu = bare->cpu;

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		cpu->seg[i] = flat_segment(bare, i == CPU_CS);
	}
	cpu->gdt = (struct cpu_table){ .base = BARE_GDT, .limit = 23 };
	cpu->idt = (struct cpu_table){ .base = BARE_IDT, .limit = 0x1ff };
	cpu->ldt = (struct cpu_segment){ .attr = CPU_SEG_UNUSABLE };
	cpu->tr = (struct cpu_segment){ .base = 0x7000, .limit = 0x67, .attr = 0x8b };
	cpu->cr0 = cr0[bare->mode];
	cpu->cr3 = BARE_TABLES;
	cpu->cr4 = bare->mode == BARE_PAE || bare->mode == BARE_64 ? BIT(5) : 0;
	cpu->efer = bare->mode == BARE_64 ? EFER_64 : bare->mode == BARE_PAE ? BIT(11) : 0;
	cpu->dr6 = 0xffff0ff0;
	cpu->dr7 = 0x400;
	cpu->rflags = 2;
	cpu->gpr[CPU_RSP] = BARE_STACK;
	soft_update_mode(cpu);
}

void bare_create(struct bare *bare, enum bare_mode mode)
{
	struct error err = { 0 };
	struct softcpu *cpu;

	memset(bare, 0, sizeof(*bare));
	bare->mode = mode;
	build_machine(bare);
	put_handlers(bare);
	if (mode >= BARE_PAGING32) {
		put_page_tables(bare);
	}
	soft_shared_init(&bare->shared);
	bare->env = (struct engine_env){
		.ports = bare->ports,
		.mmio = bare->mmio,
		.memory = bare->memory,
		.model = &bare->model,
		.cpus = 1,
	};
	cpu = aligned_alloc(64, ALIGN_UP(sizeof(*cpu), 64));
	assert_non_null(cpu);
	memset(cpu, 0, sizeof(*cpu));
	bare->cpu = cpu;
	bare->peers[0] = cpu;
	cpu->env = &bare->env;
	cpu->shared = &bare->shared;
	cpu->model = &bare->model;
	cpu->peers = bare->peers;
	cpu->peer_count = 1;
	assert_int_equal(soft_cpu_init(cpu, &err), 0);
	put_registers(bare);
	soft_state_loaded(cpu);
}

void bare_destroy(struct bare *bare)
{
	soft_cpu_finish(bare->cpu);
	free(bare->cpu);
	soft_shared_finish(&bare->shared);
	io_region_unmap(&bare->exit_region);
	io_region_unmap(&bare->mmio_region);
	io_space_destroy(bare->ports);
	io_space_destroy(bare->mmio);
	guest_memory_destroy(bare->memory);
	config_tree_destroy(bare->config);
}

void bare_code(struct bare *bare, const void *code, size_t size)
{
	static const uint8_t end[] = { 0xe6, BARE_EXIT, 0xf4 };

	assert_int_equal(guest_mem_write(bare->memory, BARE_CODE, code, size), 0);
	assert_int_equal(guest_mem_write(bare->memory, BARE_CODE + size, end, sizeof(end)), 0);
}

static bool has_error_code(unsigned int vector)
{
	return vector == SOFT_DF || (vector >= SOFT_TS && vector <= SOFT_PF) || vector == SOFT_AC;
}

/* What the exception pushed, and the stack as it was before it. */
static void take_frame(struct bare *bare)
{
	struct softcpu *cpu = bare->cpu;
	unsigned int slot = bare->mode == BARE_64 ? 8 : bare->mode == BARE_REAL ? 2 : 4;
	uint8_t *frame = bare->ram + cpu->gpr[CPU_RSP];
	uint64_t values[5] = { 0 };

	if (bare->mode != BARE_REAL && has_error_code((unsigned int)bare->exit_vector)) {
		memcpy(&bare->error_code, frame, slot);
		frame += slot;
	}
	for (unsigned int i = 0; i < 5; i++) {
		memcpy(&values[i], frame + (uint64_t)i * slot, slot);
	}
	bare->fault_rip = values[0];
	bare->fault_flags = values[2];
	cpu->gpr[CPU_RSP] = bare->mode == BARE_64
				    ? values[3]
				    : (uint64_t)(frame - bare->ram) + (uint64_t)3 * slot;
}

void bare_run(struct bare *bare)
{
	struct softcpu *cpu = bare->cpu;
	uint64_t rip;

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		if (i == CPU_CS) {
			cpu->seg[i] = flat_segment(bare, true);
		}
	}
	soft_update_mode(cpu);
	cpu->rip = BARE_CODE;
	cpu->halted = false;
	bare->exit_vector = -1;
	bare->error_code = 0;
	assert_int_equal(soft_run(cpu), VCPU_EXIT_KICKED);
	rip = cpu->rip + cpu->seg[CPU_CS].base;
	if (rip >= BARE_HANDLER && rip < BARE_HANDLER + 32 * HANDLER_SIZE) {
		bare->exit_vector = (int)((rip - BARE_HANDLER) / HANDLER_SIZE);
		take_frame(bare);
	}
}
