/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM engine on this host's /dev/kvm, with guests of a few instructions. Skipped where there
 * is none.
 *
 * Each guest is one of the code blocks below, put at CODE_AT and entered in real or long mode. It
 * tells what it does by writes to REPORT_PORT, which the tests wait for.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/cpu_model.h"
#include "engine/engines.h"
#include "engine/kvm/kvm_host.h"
#include "engine/msr.h"

#define CODE_AT 0x8000
#define AP_CODE_AT 0x9000
#define STACK_AT 0x7000
#define IDT_AT 0x4000
#define GDT_AT 0x5000
#define PML4_AT 0x10000
#define PDPT_AT 0x11000
#define PD_AT 0x12000 /* four pages: 4 GiB in pages of 2 MiB */
#define RAM_SIZE MIB(1)
#define MMIO_AT 0xa0000
#define ROM_AT 0xc0000
#define REPORT_PORT 0x80
#define BELL_PORT 0x90
#define WAIT_MS 10000

/* The guests. Labels end in _end so that their size is known. */
#define CODE(name, bits, text)                                                                  \
	__asm__(".pushsection .rodata\n.code" bits "\n.globl " #name "\n" #name ":\n" text     \
		"\n.globl " #name "_end\n" #name "_end:\n.code64\n.popsection\n");              \
	extern const uint8_t name[];                                                            \
	extern const uint8_t name##_end[]

CODE(code_ports, "16",
     "movb $0x11, %al; outb %al, $0x80;"
     "movw $0x2233, %ax; outw %ax, $0x80;"
     "inb $0x81, %al; outb %al, $0x80;"
     "cld; movw $0x6000, %si; movw $3, %cx; movw $0x80, %dx; rep outsb;"
     "movw $0x6100, %di; movw $4, %cx; movw $0x82, %dx; rep insb;"
     "movb $0x77, %al; outb %al, $0x80; 1: hlt; jmp 1b");

CODE(code_mmio, "16",
     "movw $0xa000, %ax; movw %ax, %ds;"
     "movb 0x10, %al; outb %al, $0x80;"
     "movb $0x5a, 0x20; movw $0x1234, 0x30;"
     "movw $0xc000, %ax; movw %ax, %ds; movb $0xee, 0x0; movb 0x0, %al; outb %al, $0x80;"
     "1: hlt; jmp 1b");

CODE(code_triple_fault, "64", "lidt 0x6000; ud2; 1: jmp 1b");

/* Jumps to where no code is. */
CODE(code_nowhere, "16", ".byte 0xea; .word 0x0000, 0xa000");

CODE(code_pic, "16",
     "cli; movb $0x01, %al; outb %al, $0x80;"
     "movw $0xffff, %cx; 1: loop 1b; movb $0x02, %al; outb %al, $0x80;"
     "sti; 2: hlt; jmp 2b");
CODE(code_pic_handler, "16", "movb $0x30, %al; outb %al, $0x80; iret");

CODE(code_spin, "16", "movb $0x01, %al; outb %al, $0x80; 1: incl %ecx; jmp 1b");

CODE(code_dirty, "16",
     "1: inb $0x81, %al; movw $0x6000, %ax; movw %ax, %ds; movb $0x55, 0x8;"
     "movw $0x6200, %ax; movw %ax, %ds; movb $0x55, 0x8;"
     "outb %al, $0x80; jmp 1b");

CODE(code_bell, "16", "outw %ax, $0x90; outb %al, $0x80; 1: hlt; jmp 1b");

CODE(code_interrupts, "64",
     "movb $0x01, %al; outb %al, $0x80; sti; 1: hlt; jmp 1b");
/* One handler for all vectors, reporting its own number; ends the interrupt at the APIC. */
CODE(code_vector_41, "64",
     "push %rax; movb $0x41, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax); pop "
     "%rax; iretq");
CODE(code_vector_42, "64",
     "push %rax; movb $0x42, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax); pop "
     "%rax; iretq");
CODE(code_vector_43, "64",
     "push %rax; movb $0x43, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax); pop "
     "%rax; iretq");
CODE(code_vector_nmi, "64", "push %rax; movb $0x02, %al; outb %al, $0x80; pop %rax; iretq");

/* Turns XSAVE and AVX on, and reports CPUID's size of the state in 16 bits. */
CODE(code_xsave, "64",
     "mov %cr4, %rax; bts $18, %rax; mov %rax, %cr4;"
     "xorl %ecx, %ecx; xorl %edx, %edx; movl $7, %eax; xsetbv;"
     "movl $13, %eax; xorl %ecx, %ecx; cpuid; movl %ebx, %eax; outw %ax, $0x80;"
     "movl $1, %eax; cpuid; shrl $24, %ecx; movl %ecx, %eax; outb %al, $0x80;"
     "1: hlt; jmp 1b");

/* INIT and SIPI to all but self; then waits. */
CODE(code_start_aps, "64",
     "movl $0xfee00300, %ebx; movl $0xc4500, (%rbx);"
     "movl $100000, %ecx; 1: dec %ecx; jnz 1b;"
     "movl $0xc4609, (%rbx); 2: hlt; jmp 2b");
CODE(code_ap, "16", "movb $0xab, %al; outb %al, $0x80; 1: hlt; jmp 1b");

/* Counts in registers, for state that goes from one engine to another. */
CODE(code_count, "64",
     "movq $0x1122334455667788, %r15; xorl %ecx, %ecx;"
     "1: incq %rcx; testl $0xffff, %ecx; jnz 1b; movb $0x01, %al; outb %al, $0x80; jmp 1b");

struct board {
	struct guest_memory *memory;
	struct mem_region *ram;
	struct mem_region *rom;
	struct io_space *ports;
	struct io_space *mmio;
	struct io_region report;
	struct io_region device;
	struct machine_clock *clock;
	struct cpu_model model;
	struct config_tree *config;
	struct engine *engine;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t reports[256];
	unsigned int report_count;
	uint64_t device_writes[8];
	unsigned int device_write_count;
	unsigned int input;
	int eoi;
	unsigned int acks;
	bool lower_after_ack;
	unsigned int triple_faults;
	unsigned int failures;
	char text[512];
};

static void put_report(struct board *b, uint8_t value)
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
	struct board *b = opaque;

	(void)size;
	return offset == 1 ? 0x99 : 0xa0 + b->input++;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct board *b = opaque;

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
	struct board *b = opaque;

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
	struct board *b = opaque;

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
	struct board *b = opaque;

	pthread_mutex_lock(&b->lock);
	b->eoi = vector;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void on_event(void *opaque, struct vcpu *vcpu, enum engine_event event, const char *text)
{
	struct board *b = opaque;

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

static void fill_tables(struct board *b)
{
	uint8_t *ram = b->ram->host;

	store_le64(ram + PML4_AT, PDPT_AT | 3);
	for (uint64_t i = 0; i < 4; i++) {
		store_le64(ram + PDPT_AT + 8 * i, (PD_AT + i * 4096) | 3);
	}
	for (uint64_t i = 0; i < 2048; i++) {
		store_le64(ram + PD_AT + 8 * i, i << 21 | 0x83);
	}
	store_le64(ram + GDT_AT + 8, 0x00af9b000000ffff);
	store_le64(ram + GDT_AT + 16, 0x00cf93000000ffff);
}

static void put_handler(struct board *b, unsigned int vector, const uint8_t *code,
			const uint8_t *end, uint32_t at)
{
	uint8_t *gate = b->ram->host + IDT_AT + 16 * vector;

	memcpy(b->ram->host + at, code, (size_t)(end - code));
	memset(gate, 0, 16);
	store_le16(gate, (uint16_t)at);
	store_le16(gate + 2, 8);
	store_le16(gate + 4, 0x8e00);
	store_le16(gate + 6, (uint16_t)(at >> 16));
}

static struct board *board_create(unsigned int cpus)
{
	struct board *b = calloc(1, sizeof(*b));
	struct error err = { 0 };
	struct engine_env env = { .cpus = cpus };

	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->eoi = -1;
	assert_int_equal(guest_memory_create(&b->memory, &err), 0);
	assert_int_equal(guest_memory_add_region(b->memory, "ram", RAM_SIZE, 0, &b->ram, &err), 0);
	assert_int_equal(
		guest_memory_add_region(b->memory, "rom", 0x1000, MEM_REGION_ROM, &b->rom, &err),
		0);
	b->rom->host[0] = 0x66;
	assert_int_equal(guest_memory_map(b->memory, 0, b->ram, 0, MMIO_AT, false), 0);
	assert_int_equal(guest_memory_map(b->memory, ROM_AT, b->rom, 0, 0x1000, true), 0);
	assert_int_equal(io_space_create("ports", 0x10000, &b->ports, &err), 0);
	assert_int_equal(io_space_create("memory", BIT(52), &b->mmio, &err), 0);
	io_region_init(&b->report, "report", &port_ops, b, NULL, 4);
	assert_int_equal(io_region_map(&b->report, b->ports, REPORT_PORT), 0);
	io_region_init(&b->device, "device", &device_ops, b, NULL, 0x1000);
	assert_int_equal(io_region_map(&b->device, b->mmio, MMIO_AT), 0);
	assert_int_equal(machine_clock_create(NULL, &b->clock, &err), 0);
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
	if (engine_create(&kvm_engine_ops, &env, &b->engine, &err) != 0) {
		fail_msg("%s", err.text);
	}
	fill_tables(b);
	return b;
}

static void board_destroy(struct board *b)
{
	engine_destroy(b->engine);
	io_region_unmap(&b->report);
	io_region_unmap(&b->device);
	io_space_destroy(b->ports);
	io_space_destroy(b->mmio);
	guest_memory_destroy(b->memory);
	machine_clock_destroy(b->clock);
	config_tree_destroy(b->config);
	free(b);
}

static void put_code(struct board *b, const uint8_t *code, const uint8_t *end)
{
	memcpy(b->ram->host + CODE_AT, code, (size_t)(end - code));
}

static void enter_real_mode(struct board *b)
{
	struct cpu_state *s = &b->engine->vcpus[0]->state;

	s->seg[CPU_CS].base = 0;
	s->seg[CPU_CS].selector = 0;
	s->rip = CODE_AT;
	s->gpr[CPU_RSP] = STACK_AT;
}

static void enter_long_mode(struct board *b)
{
	struct cpu_state *s = &b->engine->vcpus[0]->state;
	struct cpu_segment data = { .limit = 0xffffffff, .attr = 0xc093, .selector = 16 };

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		s->seg[i] = data;
	}
	s->seg[CPU_CS] = (struct cpu_segment){ .limit = 0xffffffff, .attr = 0xa09b, .selector = 8 };
	s->gdt = (struct cpu_table){ .base = GDT_AT, .limit = 23 };
	s->idt = (struct cpu_table){ .base = IDT_AT, .limit = 0xfff };
	s->cr0 = 0x80050033;
	s->cr3 = PML4_AT;
	s->cr4 = 0x620;
	s->efer = EFER_LME | EFER_LMA;
	s->rip = CODE_AT;
	s->gpr[CPU_RSP] = STACK_AT;
	/* The APIC on: bit 8 of the spurious vector register. */
	store_le32(s->lapic + 0xf0, 0x1ff);
}

static void start(struct board *b)
{
	struct error err = { 0 };

	if (vcpus_load(b->engine, &err) != 0 || vcpus_start(b->engine, &err) != 0) {
		fail_msg("%s", err.text);
	}
	vcpus_resume(b->engine);
}

#define WAIT_UNTIL(b, condition)                                                                 \
	do {                                                                                     \
		struct timespec until_;                                                          \
		bool ok_ = true;                                                                 \
		clock_gettime(CLOCK_REALTIME, &until_);                                          \
		until_.tv_sec += WAIT_MS / 1000;                                                 \
		pthread_mutex_lock(&(b)->lock);                                                  \
		while (!(condition) && ok_ && !(b)->failures) {                                  \
			ok_ = pthread_cond_timedwait(&(b)->changed, &(b)->lock, &until_) == 0;   \
		}                                                                                \
		ok_ = (condition);                                                               \
		pthread_mutex_unlock(&(b)->lock);                                                \
		if (!ok_) {                                                                      \
			fail_msg("waited for %s; %u reports, last 0x%x, '%s'", #condition,       \
				 (b)->report_count,                                              \
				 (b)->report_count ? (b)->reports[(b)->report_count - 1] : 0,    \
				 (b)->text);                                                     \
		}                                                                                \
	} while (0)

static void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* ------- tests ------- */

static void test_ports(void **state)
{
	static const uint8_t expected[] = { 0x11, 0x33, 0x22, 0x99, 'a', 'b', 'c', 0x77 };
	struct board *b = board_create(1);

	(void)state;
	put_code(b, code_ports, code_ports_end);
	memcpy(b->ram->host + 0x6000, "abc", 3);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= sizeof(expected));
	vcpus_pause(b->engine);
	assert_memory_equal(b->reports, expected, sizeof(expected));
	assert_memory_equal(b->ram->host + 0x6100, "\xa0\xa1\xa2\xa3", 4);
	board_destroy(b);
}

static void test_mmio(void **state)
{
	struct board *b = board_create(1);

	(void)state;
	put_code(b, code_mmio, code_mmio_end);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 2);
	vcpus_pause(b->engine);
	assert_int_equal(b->reports[0], 0xe0);
	/* The write to ROM is dropped. */
	assert_int_equal(b->reports[1], 0x66);
	assert_int_equal(b->device_write_count, 2);
	assert_int_equal(b->device_writes[0], UINT64_C(0x20) << 32 | 1 << 24 | 0x5a);
	assert_int_equal(b->device_writes[1], UINT64_C(0x30) << 32 | 2 << 24 | 0x1234);
	board_destroy(b);
}

static void test_triple_fault(void **state)
{
	struct board *b = board_create(1);
	struct error err = { 0 };

	(void)state;
	put_code(b, code_triple_fault, code_triple_fault_end);
	enter_long_mode(b);
	start(b);
	WAIT_UNTIL(b, b->triple_faults == 1);
	/* And runs again after a reset. */
	vcpus_pause(b->engine);
	assert_int_equal(vcpus_reset(b->engine, &err), 0);
	put_code(b, code_spin, code_spin_end);
	enter_real_mode(b);
	assert_int_equal(vcpus_load(b->engine, &err), 0);
	vcpus_resume(b->engine);
	WAIT_UNTIL(b, b->report_count == 1);
	assert_int_equal(b->triple_faults, 1);
	board_destroy(b);
}

static void test_failure(void **state)
{
	struct board *b = board_create(1);

	(void)state;
	put_code(b, code_nowhere, code_nowhere_end);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->failures || b->triple_faults);
	if (b->failures) {
		assert_non_null(strstr(b->text, "0xa0000"));
	}
	board_destroy(b);
}

static void test_pic(void **state)
{
	struct board *b = board_create(1);
	uint8_t *ivt = b->ram->host;

	(void)state;
	b->lower_after_ack = true;
	put_code(b, code_pic, code_pic_end);
	memcpy(b->ram->host + AP_CODE_AT, code_pic_handler,
	       (size_t)(code_pic_handler_end - code_pic_handler));
	store_le32(ivt + 4 * 0x30, AP_CODE_AT);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	b->engine->ops->set_extint(b->engine, true);
	/* Not taken, and the PIC not asked, before STI. */
	WAIT_UNTIL(b, b->report_count >= 3);
	assert_int_equal(b->reports[1], 0x02);
	assert_int_equal(b->reports[2], 0x30);
	for (unsigned int i = 0; i < 50; i++) {
		b->engine->ops->set_extint(b->engine, true);
		WAIT_UNTIL(b, b->report_count >= 4 + i);
	}
	assert_int_equal(b->acks, 51);
	/* Interrupts and pauses in the way of each other: none gets lost, none comes twice. */
	for (unsigned int i = 0; i < 50; i++) {
		b->engine->ops->set_extint(b->engine, true);
		vcpus_pause(b->engine);
		vcpus_resume(b->engine);
		WAIT_UNTIL(b, b->report_count >= 54 + i);
	}
	sleep_ms(5);
	assert_int_equal(b->acks, 101);
	assert_int_equal(b->report_count, 103);
	board_destroy(b);
}

static void put_handlers(struct board *b)
{
	put_handler(b, 2, code_vector_nmi, code_vector_nmi_end, 0x6200);
	put_handler(b, 0x41, code_vector_41, code_vector_41_end, 0x6000);
	put_handler(b, 0x42, code_vector_42, code_vector_42_end, 0x6080);
	put_handler(b, 0x43, code_vector_43, code_vector_43_end, 0x6100);
}

static void forget_eoi(struct board *b)
{
	pthread_mutex_lock(&b->lock);
	b->eoi = -1;
	pthread_mutex_unlock(&b->lock);
}

static int last_eoi(struct board *b)
{
	int eoi;

	pthread_mutex_lock(&b->lock);
	eoi = b->eoi;
	pthread_mutex_unlock(&b->lock);
	return eoi;
}

static void test_messages(void **state)
{
	struct board *b = board_create(1);
	struct msi_sink *sink = &b->engine->msi;
	struct msi_message msg = { .address = 0xfee00000, .data = 0x41 };
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	put_code(b, code_interrupts, code_interrupts_end);
	put_handlers(b);
	enter_long_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	sink->deliver(sink, &msg);
	WAIT_UNTIL(b, b->report_count >= 2);
	assert_int_equal(b->reports[1], 0x41);
	assert_int_equal(last_eoi(b), -1);

	/* Level-triggered: its end is reported. */
	msg.data = 0xc042;
	sink->deliver(sink, &msg);
	WAIT_UNTIL(b, b->report_count >= 3 && b->eoi == 0x42);
	assert_int_equal(b->reports[2], 0x42);
	forget_eoi(b);
	sink->deliver(sink, &msg);
	WAIT_UNTIL(b, b->report_count >= 4 && b->eoi == 0x42);

	/* Through an eventfd. */
	msg.data = 0x43;
	assert_int_equal(sink->irqfd_add(sink, fd, &msg), 0);
	eventfd_write(fd, 1);
	WAIT_UNTIL(b, b->report_count >= 5);
	assert_int_equal(b->reports[4], 0x43);
	sink->irqfd_remove(sink, fd);
	eventfd_write(fd, 1);
	sleep_ms(5);
	assert_int_equal(b->report_count, 5);
	msg.data = 0xc043;
	assert_int_equal(sink->irqfd_add(sink, fd, &msg), -ENOTSUP);

	b->engine->ops->nmi(b->engine->vcpus[0]);
	WAIT_UNTIL(b, b->report_count >= 6);
	assert_int_equal(b->reports[5], 0x02);
	close(fd);
	board_destroy(b);
}

/* More level-triggered messages than there are routes for them: the latest always works. */
static void test_many_levels(void **state)
{
	struct board *b = board_create(1);
	struct msi_sink *sink = &b->engine->msi;
	unsigned int reports = 1;

	(void)state;
	put_code(b, code_interrupts, code_interrupts_end);
	put_handlers(b);
	enter_long_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	for (unsigned int i = 0; i < 60; i++) {
		struct msi_message msg = { .address = 0xfee00000 | (i % 30) << 4, .data = 0xc042 };

		reports++;
		forget_eoi(b);
		sink->deliver(sink, &msg);
		WAIT_UNTIL(b, b->report_count >= reports && b->eoi == 0x42);
	}
	board_destroy(b);
}

static void test_bell(void **state)
{
	struct board *b = board_create(1);
	struct io_eventfd e = { .address = BELL_PORT, .size = 2, .fd = eventfd(0, EFD_NONBLOCK) };
	eventfd_t value = 0;

	(void)state;
	assert_int_equal(io_eventfd_add(b->ports, &e), 0);
	put_code(b, code_bell, code_bell_end);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	assert_int_equal(eventfd_read(e.fd, &value), 0);
	assert_int_equal(value, 1);
	vcpus_pause(b->engine);
	io_eventfd_remove(b->ports, &e);
	close(e.fd);
	board_destroy(b);
}

static void test_dirty(void **state)
{
	struct board *b = board_create(1);
	uint64_t bits[4] = { 0 };
	unsigned int reports;

	(void)state;
	put_code(b, code_dirty, code_dirty_end);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	vcpus_pause(b->engine);
	mem_region_set_tracking(b->memory, b->ram, MEM_DIRTY_DISPLAY, true);
	assert_true(
		mem_region_collect_dirty(b->memory, b->ram, MEM_DIRTY_DISPLAY, 0, RAM_SIZE, bits));
	for (unsigned int round = 0; round < 3; round++) {
		reports = b->report_count;
		vcpus_resume(b->engine);
		WAIT_UNTIL(b, b->report_count >= reports + 2);
		vcpus_pause(b->engine);
		assert_true(mem_region_collect_dirty(b->memory, b->ram, MEM_DIRTY_DISPLAY, 0,
						     RAM_SIZE, bits));
		assert_int_equal(bits[1], BIT(0x60 - 64) | BIT(0x62 - 64));
		assert_int_equal(bits[2], 0);
	}
	/* What was written before a slot goes away is not forgotten. */
	reports = b->report_count;
	vcpus_resume(b->engine);
	WAIT_UNTIL(b, b->report_count >= reports + 2);
	vcpus_pause(b->engine);
	guest_memory_unmap(b->memory, 0x62000, 0x1000);
	assert_true(
		mem_region_collect_dirty(b->memory, b->ram, MEM_DIRTY_DISPLAY, 0, RAM_SIZE, bits));
	assert_int_equal(bits[1], BIT(0x60 - 64) | BIT(0x62 - 64));
	mem_region_set_tracking(b->memory, b->ram, MEM_DIRTY_DISPLAY, false);
	board_destroy(b);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void test_kick(void **state)
{
	struct board *b = board_create(1);
	uint64_t worst = 0;
	uint64_t sum = 0;

	(void)state;
	put_code(b, code_spin, code_spin_end);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	for (int i = 0; i < 100; i++) {
		uint64_t before = now_us();
		uint64_t took;

		vcpus_pause(b->engine);
		took = now_us() - before;
		sum += took;
		worst = MAX(worst, took);
		vcpus_resume(b->engine);
		if (i % 3 == 0) {
			usleep(500);
		}
	}
	print_message("kick: %llu us on average, %llu us at worst\n",
		      (unsigned long long)(sum / 100), (unsigned long long)worst);
	assert_true(sum / 100 < 50000);
	board_destroy(b);
}

static void test_time_stands_still(void **state)
{
	struct board *b = board_create(2);
	struct error err = { 0 };
	uint64_t before[2];
	uint64_t limit = b->model.tsc_hz / 5;
	struct kvm_measured measured;

	(void)state;
	assert_int_equal(kvm_host_measure(&measured, &err), 0);
	put_code(b, code_spin, code_spin_end);
	enter_real_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	vcpus_pause(b->engine);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	for (int i = 0; i < 2; i++) {
		before[i] = b->engine->vcpus[i]->state.tsc;
	}
	sleep_ms(300);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	assert_in_range(b->engine->vcpus[0]->state.tsc - before[0], 0, limit / 100);
	vcpus_resume(b->engine);
	vcpus_pause(b->engine);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(b->engine->vcpus[i]->state.tsc > before[i]);
		assert_true(!measured.tsc_settable ||
			    b->engine->vcpus[i]->state.tsc - before[i] < limit);
	}
	board_destroy(b);
}

static void test_save_load(void **state)
{
	struct board *b = board_create(1);
	struct board *c = board_create(1);
	struct error err = { 0 };
	struct cpu_state saved;
	struct cpu_state *again = &c->engine->vcpus[0]->state;

	(void)state;
	put_code(b, code_count, code_count_end);
	enter_long_mode(b);
	/* What only a full load and save keeps. */
	store_le64(b->engine->vcpus[0]->state.xsave + 160 + 3 * 16, 0x1122334455667788);
	b->engine->vcpus[0]->state.dr[1] = 0x1234;
	b->engine->vcpus[0]->state.tsc = 1000000;
	start(b);
	WAIT_UNTIL(b, b->report_count >= 2);
	vcpus_pause(b->engine);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	saved = b->engine->vcpus[0]->state;
	assert_int_equal(saved.gpr[CPU_R15], 0x1122334455667788);
	assert_int_equal(load_le64(saved.xsave + 160 + 3 * 16), 0x1122334455667788);
	assert_int_equal(saved.dr[1], 0x1234);
	assert_true(saved.tsc > 1000000);
	assert_int_equal(saved.seg[CPU_CS].attr & 0x2000, 0x2000);
	assert_true(saved.gpr[CPU_RCX] >= 0x20000);

	/* Into another machine: the same, bit for bit, and it goes on. */
	memcpy(c->ram->host, b->ram->host, RAM_SIZE);
	*again = saved;
	if (vcpus_load(c->engine, &err) != 0) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(vcpus_save(c->engine, &err), 0);
	assert_memory_equal(again->gpr, saved.gpr, sizeof(saved.gpr));
	assert_int_equal(again->rip, saved.rip);
	assert_int_equal(again->rflags, saved.rflags);
	assert_memory_equal(again->seg, saved.seg, sizeof(saved.seg));
	assert_memory_equal(again->xsave, saved.xsave, 576);
	assert_memory_equal(again->msrs, saved.msrs, sizeof(saved.msrs));
	assert_memory_equal(again->lapic, saved.lapic, sizeof(saved.lapic));
	assert_int_equal(again->cr3, saved.cr3);
	assert_int_equal(again->efer, saved.efer);
	assert_int_equal(again->dr[1], 0x1234);
	assert_int_equal(vcpus_start(c->engine, &err), 0);
	vcpus_resume(c->engine);
	WAIT_UNTIL(c, c->report_count >= 1);
	vcpus_pause(c->engine);
	assert_int_equal(vcpus_save(c->engine, &err), 0);
	assert_true(again->gpr[CPU_RCX] >= 0x30000);
	assert_int_equal(again->gpr[CPU_R15], 0x1122334455667788);
	board_destroy(b);
	board_destroy(c);
}

static void test_refused_state(void **state)
{
	struct board *b = board_create(1);
	struct cpu_state *s = &b->engine->vcpus[0]->state;
	struct error err = { 0 };

	(void)state;
	enter_long_mode(b);
	s->msrs[0] = (struct cpu_msr){ .index = 0x12345678, .value = 1 };
	assert_true(vcpus_load(b->engine, &err) < 0);
	assert_non_null(strstr(err.text, "0x12345678"));
	assert_int_equal(vcpus_reset(b->engine, &err), 0);
	s->xcr0 = 0xffffffff;
	assert_true(vcpus_load(b->engine, &err) < 0);
	assert_int_equal(vcpus_reset(b->engine, &err), 0);
	/* Paging without protection. */
	s->cr0 = 0x80000000;
	assert_true(vcpus_load(b->engine, &err) < 0);
	board_destroy(b);
}

static void test_two_cpus(void **state)
{
	struct board *b = board_create(2);
	struct error err = { 0 };

	(void)state;
	put_code(b, code_start_aps, code_start_aps_end);
	put_handlers(b);
	memcpy(b->ram->host + AP_CODE_AT, code_ap, (size_t)(code_ap_end - code_ap));
	enter_long_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 1);
	assert_int_equal(b->reports[0], 0xab);
	vcpus_pause(b->engine);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	assert_int_equal(b->engine->vcpus[1]->state.seg[CPU_CS].selector, AP_CODE_AT >> 4);
	assert_int_equal(vcpus_reset(b->engine, &err), 0);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	assert_int_equal(b->engine->vcpus[1]->state.mp_state, CPU_MP_WAIT_INIT);
	board_destroy(b);
}

static void test_xsave(void **state)
{
	struct board *b = board_create(1);

	(void)state;
	/* QEMU's software CPU, on which the lab runs, does not let KVM see the guest's XSETBV. */
	if (!cpu_model_has(&b->model, 1, 0, 2, 28) || getenv("LIMEN_LAB")) {
		board_destroy(b);
		skip();
	}
	put_code(b, code_xsave, code_xsave_end);
	enter_long_mode(b);
	start(b);
	WAIT_UNTIL(b, b->report_count >= 3);
	assert_int_equal(load_le16(b->reports), 832);
	/* OSXSAVE */
	assert_true(b->reports[2] & BIT(27 - 24));
	board_destroy(b);
}

static void test_probe(void **state)
{
	struct engine_report report;

	(void)state;
	kvm_engine_ops.probe(&report);
	assert_true(report.usable);
	assert_true(report.mips > 0.01);
	print_message("ring 0: %.1f million instructions a second; %s; %s\n", report.mips,
		      report.detail, report.reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_xsave),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_triple_fault),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_pic),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_many_levels),
		cmocka_unit_test(test_bell),
		cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_time_stands_still),
		cmocka_unit_test(test_save_load),
		cmocka_unit_test(test_refused_state),
		cmocka_unit_test(test_two_cpus),
	};
	struct error err = { 0 };
	int fd = kvm_host_open(&err);

	if (fd < 0) {
		printf("%s\n", err.text);
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
