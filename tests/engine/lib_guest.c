/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of the system snippets: see lib_guest.h.
 *
 * A handler is "push VECTOR; out END_PORT, al": the run ends with the vector on top of the
 * exception's frame, which guest_run() then takes apart.
 */

#include "lib_guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engines.h"

#define ATTR_CODE32 0xc09b
#define ATTR_DATA32 0xc093
#define ATTR_CODE64 0xa09b
#define ATTR_TSS_BUSY 0x8b
#define ATTR_LDT 0x82
#define DPL(n) ((uint32_t)(n) << 5)

#define CR0_PE 1
#define CR0_NE 0x20
#define CR0_PG 0x80000000
#define CR4_PAE 0x20

#define TSS_LIMIT 0x7ff

static void end_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct guest *g = opaque;

	(void)size;
	if (offset == 0) {
		g->ended = true;
		g->engine->ops->vcpu_kick(g->vcpu);
	} else {
		g->io_writes = value;
	}
}

static uint64_t end_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0x5a5a5a5a;
}

static const struct io_ops end_ops = { .read = end_read, .write = end_write };

static int pic_intack(void *opaque)
{
	struct guest *g = opaque;
	int vector = g->pic_vector;

	g->pic_vector = -1;
	g->engine->ops->set_extint(g->engine, false);
	return vector;
}

static void ioapic_eoi(void *opaque, uint8_t vector)
{
	struct guest *g = opaque;

	g->eoi_vector = vector;
}

static void leaf(struct cpu_model *model, uint32_t number, const uint32_t regs[4])
{
	struct cpuid_entry *entry = &model->leaves[model->leaf_count++];

	entry->leaf = number;
	entry->eax = regs[0];
	entry->ebx = regs[1];
	entry->ecx = regs[2];
	entry->edx = regs[3];
}

/* An Intel processor with every system feature that the tests look at. */
static void build_model(struct cpu_model *model, unsigned int cpus)
{
	static const uint32_t vendor[4] = { 7, 0x756e6547, 0x6c65746e, 0x49656e69 };
	/* SSE3, CX16, PCID, x2APIC, POPCNT, TSC deadline, XSAVE, AVX; FPU .. SSE2 */
	static const uint32_t features[4] = { 0x000306a9, 0, 0x15b22001, 0x078bfbff };
	/* FSGSBASE, TSC_ADJUST, SMEP, INVPCID, SMAP; UMIP, RDPID */
	static const uint32_t extended[4] = { 0, 0x00100483, 0x00400004, 0 };
	static const uint32_t kvm[4] = { 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d };
	static const uint32_t kvm_features[4] = { 0x01000009, 0, 0, 0 };
	static const uint32_t amd_last[4] = { 0x80000008, 0, 0, 0 };
	/* LAHF64; SYSCALL, NX, RDTSCP, long mode */
	static const uint32_t amd[4] = { 0, 0, 1, 0x28100800 };
	static const uint32_t sizes[4] = { 0x3028, 0, 0, 0 };

	leaf(model, 0, vendor);
	leaf(model, 1, features);
	leaf(model, 7, extended);
	leaf(model, 0x40000000, kvm);
	leaf(model, 0x40000001, kvm_features);
	leaf(model, 0x80000000, amd_last);
	leaf(model, 0x80000001, amd);
	leaf(model, 0x80000008, sizes);
	model->tsc_hz = 2 * NS_PER_S;
	model->xcr0_mask = 7;
	model->phys_bits = 40;
	model->virt_bits = 48;
	model->cpus = cpus;
}

struct guest *guest_create(const struct engine_ops *ops, unsigned int cpus)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct engine_env env = { .cpus = cpus };
	struct error err = { 0 };

	assert_non_null(g);
	assert_int_equal(guest_memory_create(&g->memory, &err), 0);
	assert_int_equal(guest_memory_add_region(g->memory, "ram", GUEST_MEMORY, 0, &g->ram, &err),
			 0);
	assert_int_equal(guest_memory_map(g->memory, 0, g->ram, 0, GUEST_MEMORY, false), 0);
	assert_int_equal(machine_clock_create(NULL, &g->clock, &err), 0);
	assert_int_equal(io_space_create("ports", 0x10000, &g->ports, &err), 0);
	assert_int_equal(io_space_create("memory", UINT64_C(1) << 52, &g->mmio, &err), 0);
	io_region_init(&g->end_port, "end", &end_ops, g, NULL, 4);
	assert_int_equal(io_region_map(&g->end_port, g->ports, GUEST_END_PORT), 0);
	build_model(&g->model, cpus);
	if (ops != &soft_engine_ops) {
		/* What runs on the host's own counter needs its rate. */
		struct cpu_model *host = calloc(1, sizeof(*host));

		assert_non_null(host);
		assert_int_equal(cpu_model_build(host, cpus, NULL, &err), 0);
		g->model.tsc_hz = host->tsc_hz;
		free(host);
	}
	g->pic_vector = -1;
	g->eoi_vector = -1;
	env.ports = g->ports;
	env.mmio = g->mmio;
	env.memory = g->memory;
	env.clock = g->clock;
	env.model = &g->model;
	env.pic_intack = pic_intack;
	env.ioapic_eoi = ioapic_eoi;
	env.opaque = g;
	if (engine_create(ops, &env, &g->engine, &err)) {
		fail_msg("%s", err.text);
	}
	g->vcpu = g->engine->vcpus[0];
	g->vcpu->thread = pthread_self();
	g->state = &g->vcpu->state;
	return g;
}

void guest_destroy(struct guest *g)
{
	engine_destroy(g->engine);
	io_region_unmap(&g->end_port);
	io_space_destroy(g->ports);
	io_space_destroy(g->mmio);
	machine_clock_destroy(g->clock);
	guest_memory_destroy(g->memory);
	free(g);
}

/* ------- memory ------- */

void guest_write(struct guest *g, gpa_t gpa, const void *data, size_t size)
{
	assert_int_equal(guest_mem_write(g->memory, gpa, data, size), 0);
}

void guest_write_u16(struct guest *g, gpa_t gpa, uint16_t value)
{
	guest_write(g, gpa, &value, sizeof(value));
}

void guest_write_u32(struct guest *g, gpa_t gpa, uint32_t value)
{
	guest_write(g, gpa, &value, sizeof(value));
}

void guest_write_u64(struct guest *g, gpa_t gpa, uint64_t value)
{
	guest_write(g, gpa, &value, sizeof(value));
}

static uint64_t read_memory(struct guest *g, gpa_t gpa, size_t size)
{
	uint64_t value = 0;

	assert_int_equal(guest_mem_read(g->memory, gpa, &value, size), 0);
	return value;
}

uint16_t guest_read_u16(struct guest *g, gpa_t gpa)
{
	return (uint16_t)read_memory(g, gpa, 2);
}

uint32_t guest_read_u32(struct guest *g, gpa_t gpa)
{
	return (uint32_t)read_memory(g, gpa, 4);
}

uint64_t guest_read_u64(struct guest *g, gpa_t gpa)
{
	return read_memory(g, gpa, 8);
}

/* ------- descriptors ------- */

static gpa_t table_entry(uint16_t selector)
{
	return (selector & 4 ? GUEST_LDT : GUEST_GDT) + (selector & 0xfff8u);
}

void guest_descriptor(struct guest *g, uint16_t selector, uint32_t base, uint32_t limit,
		      uint32_t attr)
{
	uint64_t raw = limit & 0xffff;

	raw |= (uint64_t)(base & 0xffffff) << 16;
	raw |= (uint64_t)(attr & 0xf0ff) << 40;
	raw |= (uint64_t)(limit >> 16 & 0xf) << 48;
	raw |= (uint64_t)(base >> 24) << 56;
	guest_write_u64(g, table_entry(selector), raw);
}

static uint64_t gate_bits(unsigned int type, unsigned int dpl, uint16_t target, uint64_t offset,
			  unsigned int count)
{
	return (offset & 0xffff) | (uint64_t)target << 16 | (uint64_t)count << 32 |
	       (uint64_t)(0x80 | dpl << 5 | type) << 40 | (offset >> 16 & 0xffff) << 48;
}

void guest_gate(struct guest *g, uint16_t selector, unsigned int type, unsigned int dpl,
		uint16_t target, uint64_t offset, unsigned int count)
{
	guest_write_u64(g, table_entry(selector), gate_bits(type, dpl, target, offset, count));
}

void guest_idt_gate(struct guest *g, uint8_t vector, unsigned int type, unsigned int dpl,
		    uint16_t target, uint64_t offset, unsigned int ist)
{
	gpa_t entry = GUEST_IDT + vector * (g->frame_slot == 8 ? 16u : 8u);

	guest_write_u64(g, entry, gate_bits(type, dpl, target, offset, ist));
	if (g->frame_slot == 8) {
		guest_write_u64(g, entry + 8, offset >> 32);
	}
}

/* ------- modes ------- */

static void write_handlers(struct guest *g)
{
	for (unsigned int i = 0; i < 256; i++) {
		/* push imm8; out END_PORT, al; jmp . */
		const uint8_t code[] = { 0x6a, (uint8_t)i, 0xe6, GUEST_END_PORT, 0xeb, 0xfe };

		guest_write(g, GUEST_HANDLERS + i * 16, code, sizeof(code));
	}
}

static struct cpu_segment segment(uint16_t selector, uint32_t base, uint32_t limit, uint32_t attr)
{
	return (struct cpu_segment){
		.base = base, .limit = limit, .attr = attr, .selector = selector
	};
}

static void reset(struct guest *g, unsigned int frame_slot)
{
	cpu_state_reset(g->state, 0, 0x306a9);
	g->frame_slot = frame_slot;
	write_handlers(g);
	g->state->rip = GUEST_CODE_ADDR;
	g->state->gpr[CPU_RSP] = GUEST_STACK0;
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		g->state->seg[i] = segment(0, 0, 0xffff, i == CPU_CS ? 0x9b : 0x93);
	}
}

void guest_real(struct guest *g)
{
	reset(g, 2);
	for (unsigned int i = 0; i < 256; i++) {
		guest_write_u16(g, i * 4, (uint16_t)(GUEST_HANDLERS + i * 16));
		guest_write_u16(g, i * 4 + 2, 0);
	}
	g->state->idt.limit = 0x3ff;
}

static void write_common_gdt(struct guest *g)
{
	guest_descriptor(g, 0, 0, 0, 0);
	guest_descriptor(g, GUEST_SEL_CODE0, 0, 0xfffff, ATTR_CODE32);
	guest_descriptor(g, GUEST_SEL_DATA0, 0, 0xfffff, ATTR_DATA32);
	guest_descriptor(g, GUEST_SEL_CODE3, 0, 0xfffff, ATTR_CODE32 | DPL(3));
	guest_descriptor(g, GUEST_SEL_DATA3, 0, 0xfffff, ATTR_DATA32 | DPL(3));
	guest_descriptor(g, GUEST_SEL_CODE16, 0, 0xffff, 0x9b);
	guest_descriptor(g, GUEST_SEL_DATA16, 0, 0xffff, 0x93);
	guest_descriptor(g, GUEST_SEL_CODE1, 0, 0xfffff, ATTR_CODE32 | DPL(1));
	guest_descriptor(g, GUEST_SEL_DATA1, 0, 0xfffff, ATTR_DATA32 | DPL(1));
	guest_descriptor(g, GUEST_SEL_CONFORMING, 0, 0xfffff, 0xc09f);
	guest_descriptor(g, GUEST_SEL_ABSENT, 0, 0xfffff, 0xc013);
	guest_descriptor(g, GUEST_SEL_READONLY, 0, 0xfffff, 0xc091);
	guest_descriptor(g, GUEST_SEL_COMPAT0, 0, 0xfffff, ATTR_CODE32);
	guest_descriptor(g, GUEST_SEL_COMPAT3, 0, 0xfffff, ATTR_CODE32 | DPL(3));
	g->state->gdt = (struct cpu_table){ .base = GUEST_GDT, .limit = GUEST_GDT_LIMIT };
}

static void use_segments(struct guest *g, unsigned int cpl, uint32_t code_attr, uint16_t code)
{
	uint32_t dpl = DPL(cpl);
	uint16_t data = cpl == 3 ? GUEST_SEL_DATA3 : GUEST_SEL_DATA0;

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		g->state->seg[i] = segment(data, 0, UINT32_MAX, ATTR_DATA32 | dpl);
	}
	g->state->seg[CPU_CS] = segment(code, 0, UINT32_MAX, code_attr | dpl);
	if (cpl == 3) {
		g->state->gpr[CPU_RSP] = GUEST_STACK3;
	}
}

void guest_protected(struct guest *g, unsigned int cpl)
{
	reset(g, 4);
	write_common_gdt(g);
	guest_descriptor(g, GUEST_SEL_TSS, GUEST_TSS, TSS_LIMIT, ATTR_TSS_BUSY);
	guest_descriptor(g, GUEST_SEL_LDT, GUEST_LDT, 0x3f, ATTR_LDT);
	guest_descriptor(g, GUEST_SEL_TSS2, GUEST_TSS2, 0x67, 0x89);
	guest_descriptor(g, GUEST_SEL_TSS3, GUEST_TSS3, 0x67, 0x89);
	for (unsigned int i = 0; i < 256; i++) {
		guest_idt_gate(g, (uint8_t)i, 14, i == GUEST_END_VECTOR ? 3 : 0, GUEST_SEL_CODE0,
			       GUEST_HANDLERS + i * 16, 0);
	}
	guest_write_u32(g, GUEST_TSS + 4, GUEST_STACK0);
	guest_write_u32(g, GUEST_TSS + 8, GUEST_SEL_DATA0);
	guest_write_u32(g, GUEST_TSS + 12, GUEST_STACK1);
	guest_write_u32(g, GUEST_TSS + 16, GUEST_SEL_DATA1);
	guest_write_u32(g, GUEST_TSS + 0x64, 0xffff0000);
	g->state->idt = (struct cpu_table){ .base = GUEST_IDT, .limit = 0x7ff };
	g->state->tr = segment(GUEST_SEL_TSS, GUEST_TSS, TSS_LIMIT, ATTR_TSS_BUSY);
	g->state->ldt = segment(GUEST_SEL_LDT, GUEST_LDT, 0x3f, ATTR_LDT);
	g->state->cr0 = 0x10 | CR0_PE | CR0_NE;
	use_segments(g, cpl, ATTR_CODE32, cpl == 3 ? GUEST_SEL_CODE3 : GUEST_SEL_CODE0);
}

void guest_paging(struct guest *g)
{
	guest_write_u32(g, GUEST_TABLES, (GUEST_TABLES + 0x1000) | 7);
	for (uint32_t i = 0; i < 1024; i++) {
		guest_write_u32(g, GUEST_TABLES + 0x1000 + i * 4, i << 12 | 7);
	}
	g->state->cr3 = GUEST_TABLES;
	g->state->cr0 |= CR0_PG;
}

static void long_tables(struct guest *g)
{
	guest_write_u64(g, GUEST_TABLES, (GUEST_TABLES + 0x1000) | 7);
	guest_write_u64(g, GUEST_TABLES + 0x1000, (GUEST_TABLES + 0x2000) | 7);
	for (uint64_t i = 0; i < 2; i++) {
		guest_write_u64(g, GUEST_TABLES + 0x2000 + i * 8, i << 21 | 0x87);
	}
	g->state->cr3 = GUEST_TABLES;
}

void guest_long(struct guest *g, unsigned int cpl, bool compat)
{
	uint16_t code = cpl == 3 ? GUEST_SEL_CODE3 : GUEST_SEL_CODE0;

	reset(g, 8);
	write_common_gdt(g);
	guest_descriptor(g, GUEST_SEL_CODE0, 0, 0xfffff, ATTR_CODE64);
	guest_descriptor(g, GUEST_SEL_CODE3, 0, 0xfffff, ATTR_CODE64 | DPL(3));
	guest_descriptor(g, GUEST_SEL_CONFORMING, 0, 0xfffff, 0xa09f);
	guest_descriptor(g, GUEST_SEL_TSS, GUEST_TSS, TSS_LIMIT, ATTR_TSS_BUSY);
	guest_write_u64(g, GUEST_GDT + GUEST_SEL_TSS + 8, 0);
	guest_descriptor(g, GUEST_SEL_LDT, GUEST_LDT, 0x3f, ATTR_LDT);
	guest_write_u64(g, GUEST_GDT + GUEST_SEL_LDT + 8, 0);
	for (unsigned int i = 0; i < 256; i++) {
		guest_idt_gate(g, (uint8_t)i, 14, i == GUEST_END_VECTOR ? 3 : 0, GUEST_SEL_CODE0,
			       GUEST_HANDLERS + i * 16, 0);
	}
	guest_write_u64(g, GUEST_TSS + 4, GUEST_STACK0);
	guest_write_u64(g, GUEST_TSS + 12, GUEST_STACK1);
	guest_write_u64(g, GUEST_TSS + 36, GUEST_IST1);
	guest_write_u32(g, GUEST_TSS + 0x64, 0xffff0000);
	long_tables(g);
	g->state->idt = (struct cpu_table){ .base = GUEST_IDT, .limit = 0xfff };
	g->state->tr = segment(GUEST_SEL_TSS, GUEST_TSS, TSS_LIMIT, ATTR_TSS_BUSY);
	g->state->ldt = segment(GUEST_SEL_LDT, GUEST_LDT, 0x3f, ATTR_LDT);
	g->state->cr0 = 0x10 | CR0_PE | CR0_NE | CR0_PG;
	g->state->cr4 = CR4_PAE;
	g->state->efer = 0xd01;
	if (compat) {
		code = cpl == 3 ? GUEST_SEL_COMPAT3 : GUEST_SEL_COMPAT0;
	}
	use_segments(g, cpl, compat ? ATTR_CODE32 : ATTR_CODE64, code);
}

void guest_v86(struct guest *g, unsigned int iopl)
{
	guest_protected(g, 3);
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		g->state->seg[i] = segment(0x2000, GUEST_V86, 0xffff, 0xf3);
	}
	g->state->rflags = 0x20202 | iopl << 12;
	g->state->rip = 0;
	g->state->gpr[CPU_RSP] = 0x1000;
}

/* ------- running ------- */

static bool vector_has_error(int vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

static uint64_t pop_word(struct guest *g, uint64_t *sp)
{
	uint64_t value = read_memory(g, g->state->seg[CPU_SS].base + *sp, g->frame_slot);

	*sp += g->frame_slot;
	return value;
}

static void read_trap(struct guest *g)
{
	struct guest_trap *trap = &g->trap;
	uint64_t sp = g->state->gpr[CPU_RSP];
	uint64_t at = g->state->rip - GUEST_HANDLERS;

	memset(trap, 0, sizeof(*trap));
	trap->vector = -1;
	/* Past "push; out" of some handler? */
	if (at >= 256 * 16 || at % 16 != 4) {
		return;
	}
	trap->vector = (int)(at / 16);
	pop_word(g, &sp);
	/* Real mode and INT n push none. */
	if (g->frame_slot > 2 && vector_has_error(trap->vector)) {
		trap->has_error = true;
		trap->error = pop_word(g, &sp);
	}
	trap->rip = pop_word(g, &sp);
	trap->cs = pop_word(g, &sp);
	trap->rflags = pop_word(g, &sp);
	trap->rsp = pop_word(g, &sp);
	trap->ss = pop_word(g, &sp);
}

void guest_run(struct guest *g)
{
	struct error err = { 0 };

	if (g->engine->ops->vcpu_load(g->vcpu, &err)) {
		fail_msg("%s", err.text);
	}
	g->ended = false;
	/* A snippet that goes astray would run for ever. */
	alarm(20);
	do {
		g->result = g->engine->ops->vcpu_run(g->vcpu);
	} while (g->result == VCPU_EXIT_KICKED && !g->ended);
	alarm(0);
	assert_int_equal(g->engine->ops->vcpu_save(g->vcpu, &err), 0);
	read_trap(g);
}
