/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small machine for tests of engines. */

#include "lib_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void put_report(struct rig *b, uint8_t value)
{
	pthread_mutex_lock(&b->lock);
	if (b->report_count < sizeof(b->reports)) {
		b->reports[b->report_count] = value;
	}
	b->report_count++;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct rig *b = opaque;

	(void)size;
	return offset == 1 ? 0x99 : 0xa0 + b->input++;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct rig *b = opaque;

	if (offset == 0) {
		for (unsigned int i = 0; i < size; i++) {
			put_report(b, (uint8_t)(value >> (8 * i)));
		}
	}
}

static const struct io_ops port_ops = {
	.read = port_read,
	.write = port_write,
	.min_size = 1,
	.max_size = 4,
	.unaligned = true,
};

static uint64_t device_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)size;
	return 0xd0 + offset;
}

static void device_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct rig *b = opaque;

	if (b->device_write_count < ARRAY_SIZE(b->device_writes)) {
		b->device_writes[b->device_write_count++] =
			offset << 32 | (uint64_t)size << 24 | value;
	}
}

static const struct io_ops device_ops = {
	.read = device_read,
	.write = device_write,
	.min_size = 1,
	.max_size = 8,
	.unaligned = true,
};

static int on_intack(void *opaque)
{
	struct rig *b = opaque;

	pthread_mutex_lock(&b->lock);
	b->acks++;
	pthread_mutex_unlock(&b->lock);
	if (b->lower_after_ack) {
		b->engine->ops->set_extint(b->engine, false);
	}
	return 0x30;
}

static void on_eoi(void *opaque, uint8_t vector)
{
	struct rig *b = opaque;

	pthread_mutex_lock(&b->lock);
	b->eoi = vector;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void on_event(void *opaque, struct vcpu *vcpu, enum engine_event event, const char *text)
{
	struct rig *b = opaque;

	(void)vcpu;
	pthread_mutex_lock(&b->lock);
	if (event == ENGINE_EVENT_TRIPLE_FAULT) {
		b->triple_faults++;
	} else {
		b->failures++;
		snprintf(b->text, sizeof(b->text), "%s", text);
	}
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void fill_tables(struct rig *b)
{
	uint8_t *ram = b->ram->host;

	store_le64(ram + RIG_PML4, RIG_PDPT | 3);
	for (uint64_t i = 0; i < 4; i++) {
		store_le64(ram + RIG_PDPT + 8 * i, (RIG_PD + i * 4096) | 3);
	}
	for (uint64_t i = 0; i < 2048; i++) {
		store_le64(ram + RIG_PD + 8 * i, i << 21 | 0x83);
	}
	store_le64(ram + RIG_GDT + 8, 0x00af9b000000ffff);
	store_le64(ram + RIG_GDT + 16, 0x00cf93000000ffff);
}

void rig_put_handler(struct rig *b, unsigned int vector, const uint8_t *code,
			const uint8_t *end, uint32_t at)
{
	uint8_t *gate = b->ram->host + RIG_IDT + 16 * vector;

	memcpy(b->ram->host + at, code, (size_t)(end - code));
	memset(gate, 0, 16);
	store_le16(gate, (uint16_t)at);
	store_le16(gate + 2, 8);
	store_le16(gate + 4, 0x8e00);
	store_le16(gate + 6, (uint16_t)(at >> 16));
}

struct rig *rig_create(const struct engine_ops *ops, unsigned int cpus)
{
	struct rig *b = calloc(1, sizeof(*b));
	struct error err = { 0 };
	struct engine_env env = { .cpus = cpus };

	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->eoi = -1;
	assert_int_equal(guest_memory_create(&b->memory, &err), 0);
	assert_int_equal(
		guest_memory_add_region(b->memory, "ram", RIG_RAM_SIZE, 0, &b->ram, &err), 0);
	assert_int_equal(
		guest_memory_add_region(b->memory, "rom", 0x1000, MEM_REGION_ROM, &b->rom, &err),
		0);
	b->rom->host[0] = 0x66;
	assert_int_equal(guest_memory_map(b->memory, 0, b->ram, 0, RIG_MMIO, false), 0);
	assert_int_equal(guest_memory_map(b->memory, RIG_ROM, b->rom, 0, 0x1000, true), 0);
	assert_int_equal(io_space_create("ports", 0x10000, &b->ports, &err), 0);
	assert_int_equal(io_space_create("memory", BIT(52), &b->mmio, &err), 0);
	io_region_init(&b->report, "report", &port_ops, b, NULL, 4);
	assert_int_equal(io_region_map(&b->report, b->ports, RIG_REPORT_PORT), 0);
	io_region_init(&b->device, "device", &device_ops, b, NULL, 0x1000);
	assert_int_equal(io_region_map(&b->device, b->mmio, RIG_MMIO), 0);
	assert_int_equal(io_thread_create("clock", &b->clock_thread, &err), 0);
	assert_int_equal(machine_clock_create(io_thread_loop(b->clock_thread), &b->clock, &err), 0);
	assert_int_equal(config_tree_create(&b->config, &err), 0);
	assert_int_equal(cpu_model_build_for(&b->model, "kvm", cpus, NULL, &err), 0);

	env.ports = b->ports;
	env.mmio = b->mmio;
	env.memory = b->memory;
	env.clock = b->clock;
	env.model = &b->model;
	env.config = config_view_at(b->config, "engine");
	env.pic_intack = on_intack;
	env.ioapic_eoi = on_eoi;
	env.event = on_event;
	env.opaque = b;
	if (engine_create(ops, &env, &b->engine, &err) != 0) {
		fail_msg("%s", err.text);
	}
	fill_tables(b);
	return b;
}

/* A clock ends on its own thread. */
static void destroy_clock(void *opaque)
{
	struct rig *b = opaque;

	machine_clock_destroy(b->clock);
	pthread_mutex_lock(&b->lock);
	b->clock = NULL;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

void rig_destroy(struct rig *b)
{
	struct event_task task = { .fn = destroy_clock, .opaque = b };

	engine_destroy(b->engine);
	io_region_unmap(&b->report);
	io_region_unmap(&b->device);
	io_space_destroy(b->ports);
	io_space_destroy(b->mmio);
	guest_memory_destroy(b->memory);
	event_loop_post(io_thread_loop(b->clock_thread), &task);
	pthread_mutex_lock(&b->lock);
	while (b->clock) {
		pthread_cond_wait(&b->changed, &b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	io_thread_destroy(b->clock_thread);
	config_tree_destroy(b->config);
	free(b);
}

void rig_put_code(struct rig *b, const uint8_t *code, const uint8_t *end)
{
	memcpy(b->ram->host + RIG_CODE, code, (size_t)(end - code));
}

void rig_enter_real_mode(struct rig *b)
{
	struct cpu_state *s = &b->engine->vcpus[0]->state;

	s->seg[CPU_CS].base = 0;
	s->seg[CPU_CS].selector = 0;
	s->rip = RIG_CODE;
	s->gpr[CPU_RSP] = RIG_STACK;
}

void rig_enter_long_mode(struct rig *b)
{
	struct cpu_state *s = &b->engine->vcpus[0]->state;
	struct cpu_segment data = { .limit = 0xffffffff, .attr = 0xc093, .selector = 16 };

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		s->seg[i] = data;
	}
	s->seg[CPU_CS] = (struct cpu_segment){ .limit = 0xffffffff, .attr = 0xa09b, .selector = 8 };
	s->gdt = (struct cpu_table){ .base = RIG_GDT, .limit = 23 };
	s->idt = (struct cpu_table){ .base = RIG_IDT, .limit = 0xfff };
	s->cr0 = 0x80050033;
	s->cr3 = RIG_PML4;
	s->cr4 = 0x620;
	s->efer = EFER_LME | EFER_LMA;
	s->rip = RIG_CODE;
	s->gpr[CPU_RSP] = RIG_STACK;
	/* The APIC on: bit 8 of the spurious vector register. */
	store_le32(s->lapic + 0xf0, 0x1ff);
}

void rig_start(struct rig *b)
{
	struct error err = { 0 };

	if (vcpus_load(b->engine, &err) != 0 || vcpus_start(b->engine, &err) != 0) {
		fail_msg("%s", err.text);
	}
	rig_resume(b);
}

void rig_pause(struct rig *b)
{
	vcpus_pause(b->engine);
	machine_clock_pause(b->clock);
}

void rig_resume(struct rig *b)
{
	machine_clock_resume(b->clock);
	vcpus_resume(b->engine);
}
