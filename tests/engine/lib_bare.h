/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_BARE_H
#define LIMEN_TESTS_LIB_BARE_H

/*
 * A software CPU on 16 MiB of memory, in 16-, 32- or 64-bit code at CPL 0 with flat segments (in
 * 16-bit code those of real mode), for tests of single instructions and of the MMU. Code ends by
 * writing to port BARE_EXIT (a second CPU's to the one behind it); every exception leads to a
 * handler that does just that.
 */

#include "base/types.h"
#include "bus/io.h"
#include "engine/cpu_model.h"
#include "softcpu/softcpu.h"

#define BARE_RAM MIB(16)

/* Where things lie in physical memory, and, unless a test maps otherwise, in linear memory. */
#define BARE_IDT     0x1000
#define BARE_GDT     0x2000
#define BARE_HANDLER 0x3000
#define BARE_STACK   0x8000 /* its top */
#define BARE_CODE    0x9000
#define BARE_DATA    0x10000
#define BARE_TABLES  0x400000 /* page tables; each 4 KiB */
#define BARE_ROM     UINT64_C(0x1000000)
#define BARE_MMIO    UINT64_C(0x2000000)

#define BARE_EXIT 0xf4

enum bare_mode {
	BARE_REAL,
	BARE_32,
	BARE_PAGING32, /* with 4 KiB pages, one to one for 4 MiB */
	BARE_PAE,
	BARE_64,
};

/** struct bare - the machine; @exit_vector: of the exception that ended a run, -1 for the port. */
struct bare {
	struct softcpu *cpu;
	struct softcpu *peers[2];
	struct cpu_model model;
	struct config_tree *config;
	struct guest_memory *memory;
	struct mem_region *region;
	struct mem_region *rom;
	struct io_space *ports;
	struct io_space *mmio;
	struct io_region exit_region;
	struct io_region mmio_region;
	uint64_t mmio_value;
	uint64_t mmio_offset;
	unsigned int mmio_size;
	struct soft_shared shared;
	struct engine_env env;
	uint8_t *ram;
	enum bare_mode mode;
	int exit_vector;
	uint64_t error_code;
	uint64_t fault_rip;
	uint64_t fault_flags;
};

void bare_create(struct bare *bare, enum bare_mode mode);
void bare_destroy(struct bare *bare);

/** bare_code() - put code at BARE_CODE; it is followed by the exit. */
void bare_code(struct bare *bare, const void *code, size_t size);

/** bare_run() - from BARE_CODE until the exit or an exception. */
void bare_run(struct bare *bare);

/** bare_pte() - the entry that maps @address at the lowest level, in the paging modes. */
void *bare_pte(struct bare *bare, uint64_t address);

/** bare_flush() - after changing an entry. */
void bare_flush(struct bare *bare);

/** BARE_RUN() - run the bytes given. */
#define BARE_RUN(bare, ...)                                                                       \
	do {                                                                                      \
		static const uint8_t code_[] = { __VA_ARGS__ };                                   \
		bare_code(bare, code_, sizeof(code_));                                            \
		bare_run(bare);                                                                   \
	} while (0)

#endif
