/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_GUEST_H
#define LIMEN_TESTS_LIB_GUEST_H

/*
 * A small machine for system-level snippets: 4 MiB of memory, one or more vCPUs of an engine,
 * descriptor tables for each mode, and a handler for each vector that ends the run, so that a
 * test sees which exception came with which frame.
 *
 * A run ends when the guest writes GUEST_END_PORT; user code does it through INT GUEST_END_VECTOR.
 */

#include "engine/cpu_model.h"
#include "engine/engine.h"
#include "lib_asm.h"

#define GUEST_END_PORT 0xf4
#define GUEST_END_VECTOR 0x40

/* The map of memory. */
enum guest_address {
	GUEST_GDT = 0x1000,
	GUEST_IDT = 0x2000,	/* 256 entries of 8 or 16 bytes */
	GUEST_TSS = 0x3000,	/* of the selector GUEST_SEL_TSS; I/O map at its end */
	GUEST_LDT = 0x3800,
	GUEST_TSS2 = 0x3a00,	/* a second task */
	GUEST_TSS3 = 0x3c00,
	GUEST_HANDLERS = 0x4000, /* 16 bytes a vector */
	GUEST_CODE_ADDR = 0x6000,
	GUEST_CODE2_ADDR = 0x6800,
	GUEST_STACK0 = 0x8000,	/* tops of stacks that grow down */
	GUEST_STACK3 = 0x9000,
	GUEST_STACK1 = 0xa000,
	GUEST_IST1 = 0xb000,
	GUEST_DATA = 0xc000,
	GUEST_TABLES = 0x10000, /* page tables: identity map of the first 4 MiB */
	GUEST_V86 = 0x20000,	/* code of virtual-8086 tasks: segment 0x2000 */
	GUEST_MEMORY = 0x400000,
};

/* The GDT that guest_protected() and guest_long() set up. */
enum guest_selector {
	GUEST_SEL_CODE0 = 0x08, /* flat, 32-bit; 64-bit in long mode */
	GUEST_SEL_DATA0 = 0x10,
	GUEST_SEL_CODE3 = 0x1b,
	GUEST_SEL_DATA3 = 0x23,
	GUEST_SEL_TSS = 0x28, /* two entries in long mode */
	GUEST_SEL_LDT = 0x38, /* two entries in long mode */
	GUEST_SEL_CODE16 = 0x48,
	GUEST_SEL_DATA16 = 0x50,
	GUEST_SEL_CODE1 = 0x59,
	GUEST_SEL_DATA1 = 0x61,
	GUEST_SEL_CONFORMING = 0x68,
	GUEST_SEL_ABSENT = 0x70, /* data, not present */
	GUEST_SEL_READONLY = 0x78,
	GUEST_SEL_COMPAT0 = 0x80, /* long mode: 32-bit code */
	GUEST_SEL_COMPAT3 = 0x8b,
	GUEST_SEL_TSS2 = 0x90,
	GUEST_SEL_TSS3 = 0x98,
	GUEST_SEL_FREE = 0xa0, /* and what follows: the test's own */
	GUEST_GDT_LIMIT = 0xff,
};

/** struct guest_trap - the last exception; vector -1: the code ended the run itself. */
struct guest_trap {
	int vector;
	bool has_error;
	uint64_t error;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp; /* where the frame held them */
	uint64_t ss;
};

/**
 * struct guest - the machine
 * @state: the first vCPU's, as the next run starts and as the last one ended
 * @result: what vcpu_run() returned last
 * @wide: handlers push 8-byte frames
 */
struct guest {
	struct guest_memory *memory;
	struct mem_region *ram;
	struct machine_clock *clock;
	struct io_space *ports;
	struct io_space *mmio;
	struct io_region end_port;
	struct cpu_model model;
	struct engine *engine;
	struct vcpu *vcpu;
	struct cpu_state *state;
	struct guest_trap trap;
	enum vcpu_exit result;
	unsigned int frame_slot; /* bytes a pushed word takes */
	int pic_vector;
	int eoi_vector;
	int end_vector; /* what the handler that ended the run wrote; -1 when it was the code */
	uint64_t io_writes;
	bool ended;
};

/** guest_create() - @ops: the engine; its vCPUs are in the power-on state. Fails the test. */
struct guest *guest_create(const struct engine_ops *ops, unsigned int cpus);
void guest_destroy(struct guest *g);

/** guest_real() - real mode, with a table of handlers. Code at GUEST_CODE_ADDR, segments 0. */
void guest_real(struct guest *g);
/** guest_protected() - 32-bit protected mode without paging, at @cpl 0 or 3. */
void guest_protected(struct guest *g, unsigned int cpl);
/** guest_long() - long mode at @cpl 0 or 3; @compat: 32-bit code. */
void guest_long(struct guest *g, unsigned int cpl, bool compat);
/** guest_v86() - a virtual-8086 task with CS = SS = DS = ES = 0x2000, under guest_protected(). */
void guest_v86(struct guest *g, unsigned int iopl);
/** guest_paging() - turn paging on in protected mode: 32-bit tables, identity, user pages. */
void guest_paging(struct guest *g);

void guest_write(struct guest *g, gpa_t gpa, const void *data, size_t size);
void guest_write_u16(struct guest *g, gpa_t gpa, uint16_t value);
void guest_write_u32(struct guest *g, gpa_t gpa, uint32_t value);
void guest_write_u64(struct guest *g, gpa_t gpa, uint64_t value);
uint16_t guest_read_u16(struct guest *g, gpa_t gpa);
uint32_t guest_read_u32(struct guest *g, gpa_t gpa);
uint64_t guest_read_u64(struct guest *g, gpa_t gpa);

/** guest_descriptor() - an entry of the GDT (or the LDT by TI); @attr as in struct cpu_segment, the
 *  limit in the units that its G bit says. */
void guest_descriptor(struct guest *g, uint16_t selector, uint32_t base, uint32_t limit,
		      uint32_t attr);
/** guest_gate() - a call or task gate in the GDT; @type: 4, 5, 12. */
void guest_gate(struct guest *g, uint16_t selector, unsigned int type, unsigned int dpl,
		uint16_t target, uint64_t offset, unsigned int count);
/** guest_idt_gate() - replace an entry of the IDT. */
void guest_idt_gate(struct guest *g, uint8_t vector, unsigned int type, unsigned int dpl,
		    uint16_t target, uint64_t offset, unsigned int ist);

/** GUEST_LOAD() - copy a snippet to @address. */
#define GUEST_LOAD(g, address, name) guest_write(g, address, name, GUEST_CODE_SIZE(name))

/** guest_run() - load the state, run until the end, save it, fill g->trap. */
void guest_run(struct guest *g);
/** GUEST_EXECUTE() - put a snippet at RIP and run it. */
#define GUEST_EXECUTE(g, name)                                                                     \
	do {                                                                                       \
		guest_write(g, (g)->state->seg[CPU_CS].base + (g)->state->rip, name,               \
			    GUEST_CODE_SIZE(name));                                                \
		guest_run(g);                                                                      \
	} while (0)

#endif
