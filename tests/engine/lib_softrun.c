/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one software CPU, 64-bit paging and nothing else. Its kernel is an IDT of gates to
 * handlers of one instruction, a write to a port that ends the run: which handler it was says which
 * exception, and the frame on the kernel's stack holds the rest.
 *
 * Physical memory: the kernel's tables and stack in the first 2 MiB (mapped one to one, supervisor
 * only), then the pages of the code and the data.
 */

#include <stdio.h>
#include <stdlib.h>

#include "bus/io.h"
#include "engine/cpu_model.h"
#include "lib_softrun.h"
#include "softcpu/fpu.h"

#define RAM_SIZE MIB(4)
#define PML4 0x1000
#define PDPT 0x2000
#define PD 0x3000
#define PT 0x4000
#define GDT 0x5000
#define IDT 0x6000
#define TSS 0x7000
#define HANDLERS 0x8000
#define HANDLER_SIZE 16
#define STACK_TOP 0xa000
#define CODE_FRAME MIB(2)
#define DATA_FRAME (MIB(2) + 0x10000)

#define CR4_PAE 0x20
#define EXIT_PORT 0xf4
#define KERNEL_CS 0x08
#define USER_CS 0x33
#define USER_CS32 0x23
#define USER_SS 0x2b

#define PTE_PRESENT 1
#define PTE_WRITE 2
#define PTE_USER 4
#define PTE_LARGE 0x80
#define PTE_ALL (PTE_PRESENT | PTE_WRITE | PTE_USER)

struct softrun {
	struct softcpu cpu;
	struct cpu_model model;
	struct config_tree *config;
	struct guest_memory *memory;
	struct io_space *ports;
	struct io_space *mmio;
	struct io_region exit_port;
	struct soft_shared shared;
	struct engine_env env;
	struct softcpu *peers[1];
	uint8_t *ram;
	bool compatibility;
};

static uint64_t exit_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct softrun *run = opaque;

	(void)offset;
	(void)value;
	(void)size;
	soft_request(&run->cpu, SOFT_REQUEST_RETURN);
}

static const struct io_ops exit_ops = {
	.read = exit_read,
	.write = exit_write,
};

static void require(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "softrun: %s\n", what);
		exit(1);
	}
}

static void build_model(struct softrun *run)
{
	struct error err = { 0 };
	struct config_view view;

	require(config_tree_create(&run->config, &err) == 0, err.text);
	require(config_declare(run->config, "cpu", cpu_model_keys, &err) == 0, err.text);
	require(config_set(run->config, "cpu.model", "host", &err) == 0, err.text);
	view = config_view_at(run->config, "cpu");
	require(cpu_model_build(&run->model, 1, &view, &err) == 0, err.text);
}

static void put_page_tables(uint8_t *ram)
{
	unsigned int code = (RUN_CODE >> 12) & 511;
	unsigned int data = (RUN_DATA >> 12) & 511;

	store_le64(ram + PML4, PDPT | PTE_ALL);
	store_le64(ram + PDPT, PD | PTE_ALL);
	store_le64(ram + PD, PTE_PRESENT | PTE_WRITE | PTE_LARGE);
	store_le64(ram + PD + 8 * (RUN_CODE >> 21), PT | PTE_ALL);
	for (unsigned int i = 0; i < RUN_CODE_SIZE >> 12; i++) {
		store_le64(ram + PT + 8 * (code + i), (CODE_FRAME + i * 0x1000) | PTE_ALL);
	}
	for (unsigned int i = 0; i < RUN_DATA_SIZE >> 12; i++) {
		store_le64(ram + PT + 8 * (data + i), (DATA_FRAME + i * 0x1000) | PTE_ALL);
	}
}

static void put_descriptors(uint8_t *ram)
{
	static const uint8_t handler[] = { 0xe6, EXIT_PORT, 0xf4 }; /* out EXIT_PORT, al; hlt */

	store_le64(ram + GDT + KERNEL_CS, UINT64_C(0x00af9b000000ffff));
	for (unsigned int i = 0; i < 32; i++) {
		uint64_t address = HANDLERS + i * HANDLER_SIZE;

		/* interrupt gate, DPL 3 */
		store_le64(ram + IDT + 16 * i, (address & 0xffff) | KERNEL_CS << 16 |
						       UINT64_C(0xee00) << 32 |
						       (address >> 16) << 48);
		memcpy(ram + address, handler, sizeof(handler));
	}
	store_le64(ram + TSS + 4, STACK_TOP);
}

static struct cpu_segment segment(uint16_t selector, uint32_t attr)
{
	return (struct cpu_segment){ .selector = selector, .limit = UINT32_MAX, .attr = attr };
}

/* What a run starts from besides what its caller gives. */
static void put_user_mode(struct softrun *run)
{
	struct softcpu *cpu = &run->cpu;
	const uint32_t data = 0xf3 | CPU_SEG_DB | CPU_SEG_G;

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		cpu->seg[i] = segment(0, data);
	}
	cpu->seg[CPU_CS] = run->compatibility ? segment(USER_CS32, 0xfb | CPU_SEG_DB | CPU_SEG_G)
					      : segment(USER_CS, 0xfb | CPU_SEG_L | CPU_SEG_G);
	cpu->seg[CPU_SS] = segment(USER_SS, data);
	cpu->interrupt_shadow = false;
	cpu->halted = false;
	soft_update_mode(cpu);
}

static void put_control(struct softcpu *cpu)
{
	cpu->tr =
		(struct cpu_segment){ .selector = 0x40, .base = TSS, .limit = 0x67, .attr = 0x8b };
	cpu->ldt = (struct cpu_segment){ .attr = CPU_SEG_UNUSABLE };
	cpu->gdt = (struct cpu_table){ .base = GDT, .limit = 0x7f };
	cpu->idt = (struct cpu_table){ .base = IDT, .limit = 32 * 16 - 1 };
	cpu->cr0 = 0x80010033;
	cpu->cr3 = PML4;
	cpu->cr4 = CR4_PAE | FPU_CR4_OSFXSR | FPU_CR4_OSXMMEXCPT | FPU_CR4_OSXSAVE;
	cpu->efer = 0xd01; /* SCE, LME, LMA, NXE */
	cpu->xcr0 = 7;
	cpu->dr6 = 0xffff0ff0;
	cpu->dr7 = 0x400;
}

static void build_memory(struct softrun *run)
{
	struct error err = { 0 };
	struct mem_region *region;

	require(guest_memory_create(&run->memory, &err) == 0, err.text);
	require(guest_memory_add_region(run->memory, "ram", RAM_SIZE, 0, &region, &err) == 0,
		err.text);
	require(guest_memory_map(run->memory, 0, region, 0, RAM_SIZE, false) == 0, "map");
	run->ram = region->host;
	require(io_space_create("ports", 0x10000, &run->ports, &err) == 0, err.text);
	require(io_space_create("mmio", BIT(40), &run->mmio, &err) == 0, err.text);
	io_region_init(&run->exit_port, "exit", &exit_ops, run, NULL, 1);
	require(io_region_map(&run->exit_port, run->ports, EXIT_PORT) == 0, "exit port");
}

struct softrun *softrun_create(void)
{
	struct softrun *run = aligned_alloc(64, ALIGN_UP(sizeof(*run), 64));
	struct error err = { 0 };

	require(run, "memory");
	memset(run, 0, sizeof(*run));
	build_model(run);
	build_memory(run);
	put_page_tables(run->ram);
	put_descriptors(run->ram);
	soft_shared_init(&run->shared);
	run->env = (struct engine_env){
		.ports = run->ports,
		.mmio = run->mmio,
		.memory = run->memory,
		.model = &run->model,
		.cpus = 1,
	};
	run->peers[0] = &run->cpu;
	run->cpu.env = &run->env;
	run->cpu.shared = &run->shared;
	run->cpu.model = &run->model;
	run->cpu.peers = run->peers;
	run->cpu.peer_count = 1;
	require(soft_cpu_init(&run->cpu, &err) == 0, err.text);
	put_control(&run->cpu);
	put_user_mode(run);
	soft_state_loaded(&run->cpu);
	return run;
}

void softrun_destroy(struct softrun *run)
{
	soft_cpu_finish(&run->cpu);
	soft_shared_finish(&run->shared);
	io_region_unmap(&run->exit_port);
	io_space_destroy(run->ports);
	io_space_destroy(run->mmio);
	guest_memory_destroy(run->memory);
	config_tree_destroy(run->config);
	free(run);
}

struct softcpu *softrun_cpu(struct softrun *run)
{
	return &run->cpu;
}

void softrun_set_compatibility(struct softrun *run, bool on)
{
	run->compatibility = on;
}

void softrun_set_code(struct softrun *run, const uint8_t *code, size_t size)
{
	require(guest_mem_write(run->memory, CODE_FRAME, code, size) == 0, "code");
}

uint8_t *softrun_data(struct softrun *run)
{
	return run->ram + DATA_FRAME;
}

static bool has_error_code(unsigned int vector)
{
	return vector == SOFT_DF || (vector >= SOFT_TS && vector <= SOFT_PF) || vector == SOFT_AC;
}

static void take_exit(struct softrun *run, struct hostrun_state *state,
		      struct hostrun_exit *ret_exit)
{
	const struct softcpu *cpu = &run->cpu;
	const uint8_t *frame = run->ram + cpu->gpr[CPU_RSP];
	unsigned int vector = (unsigned int)((cpu->rip - HANDLERS) / HANDLER_SIZE);

	require(cpu->rip >= HANDLERS && vector < 32 && cpu->gpr[CPU_RSP] < STACK_TOP,
		"the CPU is not in a handler");
	*ret_exit = (struct hostrun_exit){ .vector = vector };
	if (has_error_code(vector)) {
		ret_exit->error_code = load_le64(frame);
		frame += 8;
	}
	if (vector == SOFT_PF) {
		ret_exit->address = cpu->cr2;
	}
	memcpy(state->gpr, cpu->gpr, sizeof(state->gpr));
	state->rip = load_le64(frame);
	state->rflags = load_le64(frame + 16);
	state->gpr[CPU_RSP] = load_le64(frame + 24);
	memcpy(state->fpu, cpu->fpu, sizeof(state->fpu));
}

void softrun(struct softrun *run, struct hostrun_state *state, struct hostrun_exit *ret_exit)
{
	struct softcpu *cpu = &run->cpu;

	put_user_mode(run);
	memcpy(cpu->gpr, state->gpr, sizeof(state->gpr));
	cpu->rip = state->rip;
	cpu->rflags = state->rflags & ~(uint64_t)FLAG_IF; /* there is no interrupt controller */
	memcpy(cpu->fpu, state->fpu, sizeof(state->fpu));
	soft_fpu_import(cpu);
	require(soft_run(cpu) == VCPU_EXIT_KICKED, "triple fault");
	take_exit(run, state, ret_exit);
}
