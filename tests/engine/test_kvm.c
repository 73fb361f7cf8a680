/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM engine on this host's /dev/kvm, with guests of a few instructions. Skipped where there
 * is none.
 *
 * Each guest is one of the code blocks below, put at RIG_CODE and entered in real or long mode.
 * It tells what it does by writes to RIG_REPORT_PORT, which the tests wait for.
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

#include "engine/kvm/kvm_host.h"
#include "lib_rig.h"

#define AP_CODE_AT 0x9000
#define BELL_PORT 0x90

RIG_GUEST(code_ports, "16",
     "movb $0x11, %al; outb %al, $0x80;"
     "movw $0x2233, %ax; outw %ax, $0x80;"
     "inb $0x81, %al; outb %al, $0x80;"
     "cld; movw $0x6000, %si; movw $3, %cx; movw $0x80, %dx; rep outsb;"
     "movw $0x6100, %di; movw $4, %cx; movw $0x82, %dx; rep insb;"
     "movb $0x77, %al; outb %al, $0x80; 1: hlt; jmp 1b");

RIG_GUEST(code_mmio, "16",
     "movw $0xa000, %ax; movw %ax, %ds;"
     "movb 0x10, %al; outb %al, $0x80;"
     "movb $0x5a, 0x20; movw $0x1234, 0x30;"
     "movw $0xc000, %ax; movw %ax, %ds; movb $0xee, 0x0; movb 0x0, %al; outb %al, $0x80;"
     "1: hlt; jmp 1b");

RIG_GUEST(code_triple_fault, "64", "lidt 0x6000; ud2; 1: jmp 1b");

/* Jumps to where no code is. */
RIG_GUEST(code_nowhere, "16", ".byte 0xea; .word 0x0000, 0xa000");

RIG_GUEST(code_pic, "16",
     "cli; movb $0x01, %al; outb %al, $0x80;"
     "movw $0xffff, %cx; 1: loop 1b; movb $0x02, %al; outb %al, $0x80;"
     "sti; 2: hlt; jmp 2b");
RIG_GUEST(code_pic_handler, "16", "movb $0x30, %al; outb %al, $0x80; iret");

RIG_GUEST(code_spin, "16", "movb $0x01, %al; outb %al, $0x80; 1: incl %ecx; jmp 1b");

RIG_GUEST(code_dirty, "16",
     "1: inb $0x81, %al; movw $0x6000, %ax; movw %ax, %ds; movb $0x55, 0x8;"
     "movw $0x6200, %ax; movw %ax, %ds; movb $0x55, 0x8;"
     "outb %al, $0x80; jmp 1b");

RIG_GUEST(code_bell, "16", "outw %ax, $0x90; outb %al, $0x80; 1: hlt; jmp 1b");

RIG_GUEST(code_interrupts, "64",
     "movb $0x01, %al; outb %al, $0x80; sti; 1: hlt; jmp 1b");
/* One handler for all vectors, reporting its own number; ends the interrupt at the APIC. */
RIG_GUEST(code_vector_41, "64",
     "push %rax; movb $0x41, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax); pop "
     "%rax; iretq");
RIG_GUEST(code_vector_42, "64",
     "push %rax; movb $0x42, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax); pop "
     "%rax; iretq");
RIG_GUEST(code_vector_43, "64",
     "push %rax; movb $0x43, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax); pop "
     "%rax; iretq");
RIG_GUEST(code_vector_nmi, "64", "push %rax; movb $0x02, %al; outb %al, $0x80; pop %rax; iretq");

/* Turns XSAVE and AVX on, and reports CPUID's size of the state in 16 bits. */
RIG_GUEST(code_xsave, "64",
     "mov %cr4, %rax; bts $18, %rax; mov %rax, %cr4;"
     "xorl %ecx, %ecx; xorl %edx, %edx; movl $7, %eax; xsetbv;"
     "movl $13, %eax; xorl %ecx, %ecx; cpuid; movl %ebx, %eax; outw %ax, $0x80;"
     "movl $1, %eax; cpuid; shrl $24, %ecx; movl %ecx, %eax; outb %al, $0x80;"
     "1: hlt; jmp 1b");

/* INIT and SIPI to all but self; then waits. */
RIG_GUEST(code_start_aps, "64",
     "movl $0xfee00300, %ebx; movl $0xc4500, (%rbx);"
     "movl $100000, %ecx; 1: dec %ecx; jnz 1b;"
     "movl $0xc4609, (%rbx); 2: hlt; jmp 2b");
RIG_GUEST(code_ap, "16", "movb $0xab, %al; outb %al, $0x80; 1: hlt; jmp 1b");

/* Counts in registers, for state that goes from one engine to another. */
RIG_GUEST(code_count, "64",
     "movq $0x1122334455667788, %r15; xorl %ecx, %ecx;"
     "1: incq %rcx; testl $0xffff, %ecx; jnz 1b; movb $0x01, %al; outb %al, $0x80; jmp 1b");

static void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* ------- tests ------- */

static void test_ports(void **state)
{
	static const uint8_t expected[] = { 0x11, 0x33, 0x22, 0x99, 'a', 'b', 'c', 0x77 };
	struct rig *b = rig_create(&kvm_engine_ops, 1);

	(void)state;
	rig_put_code(b, code_ports, code_ports_end);
	memcpy(b->ram->host + 0x6000, "abc", 3);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= sizeof(expected));
	rig_pause(b);
	assert_memory_equal(b->reports, expected, sizeof(expected));
	assert_memory_equal(b->ram->host + 0x6100, "\xa0\xa1\xa2\xa3", 4);
	rig_destroy(b);
}

static void test_mmio(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);

	(void)state;
	rig_put_code(b, code_mmio, code_mmio_end);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 2);
	rig_pause(b);
	assert_int_equal(b->reports[0], 0xe0);
	/* The write to ROM is dropped. */
	assert_int_equal(b->reports[1], 0x66);
	assert_int_equal(b->device_write_count, 2);
	assert_int_equal(b->device_writes[0], UINT64_C(0x20) << 32 | 1 << 24 | 0x5a);
	assert_int_equal(b->device_writes[1], UINT64_C(0x30) << 32 | 2 << 24 | 0x1234);
	rig_destroy(b);
}

static void test_triple_fault(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	struct error err = { 0 };

	(void)state;
	rig_put_code(b, code_triple_fault, code_triple_fault_end);
	rig_enter_long_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->triple_faults == 1);
	/* And runs again after a reset. */
	rig_pause(b);
	assert_int_equal(vcpus_reset(b->engine, &err), 0);
	rig_put_code(b, code_spin, code_spin_end);
	rig_enter_real_mode(b);
	assert_int_equal(vcpus_load(b->engine, &err), 0);
	rig_resume(b);
	RIG_WAIT(b, b->report_count == 1);
	assert_int_equal(b->triple_faults, 1);
	rig_destroy(b);
}

static void test_failure(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);

	(void)state;
	rig_put_code(b, code_nowhere, code_nowhere_end);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->failures || b->triple_faults);
	if (b->failures) {
		assert_non_null(strstr(b->text, "0xa0000"));
	}
	rig_destroy(b);
}

static void test_pic(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	uint8_t *ivt = b->ram->host;

	(void)state;
	b->lower_after_ack = true;
	rig_put_code(b, code_pic, code_pic_end);
	memcpy(b->ram->host + AP_CODE_AT, code_pic_handler,
	       (size_t)(code_pic_handler_end - code_pic_handler));
	store_le32(ivt + 4 * 0x30, AP_CODE_AT);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	b->engine->ops->set_extint(b->engine, true);
	/* Not taken, and the PIC not asked, before STI. */
	RIG_WAIT(b, b->report_count >= 3);
	assert_int_equal(b->reports[1], 0x02);
	assert_int_equal(b->reports[2], 0x30);
	for (unsigned int i = 0; i < 50; i++) {
		b->engine->ops->set_extint(b->engine, true);
		RIG_WAIT(b, b->report_count >= 4 + i);
	}
	assert_int_equal(b->acks, 51);
	/* Interrupts and pauses in the way of each other: none gets lost, none comes twice. */
	for (unsigned int i = 0; i < 50; i++) {
		b->engine->ops->set_extint(b->engine, true);
		rig_pause(b);
		rig_resume(b);
		RIG_WAIT(b, b->report_count >= 54 + i);
	}
	sleep_ms(5);
	assert_int_equal(b->acks, 101);
	assert_int_equal(b->report_count, 103);
	rig_destroy(b);
}

static void put_handlers(struct rig *b)
{
	rig_put_handler(b, 2, code_vector_nmi, code_vector_nmi_end, 0x6200);
	rig_put_handler(b, 0x41, code_vector_41, code_vector_41_end, 0x6000);
	rig_put_handler(b, 0x42, code_vector_42, code_vector_42_end, 0x6080);
	rig_put_handler(b, 0x43, code_vector_43, code_vector_43_end, 0x6100);
}

static void forget_eoi(struct rig *b)
{
	pthread_mutex_lock(&b->lock);
	b->eoi = -1;
	pthread_mutex_unlock(&b->lock);
}

static int last_eoi(struct rig *b)
{
	int eoi;

	pthread_mutex_lock(&b->lock);
	eoi = b->eoi;
	pthread_mutex_unlock(&b->lock);
	return eoi;
}

static void test_messages(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	struct msi_sink *sink = &b->engine->msi;
	struct msi_message msg = { .address = 0xfee00000, .data = 0x41 };
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	rig_put_code(b, code_interrupts, code_interrupts_end);
	put_handlers(b);
	rig_enter_long_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	sink->deliver(sink, &msg);
	RIG_WAIT(b, b->report_count >= 2);
	assert_int_equal(b->reports[1], 0x41);
	assert_int_equal(last_eoi(b), -1);

	/* Level-triggered: its end is reported. */
	msg.data = 0xc042;
	sink->deliver(sink, &msg);
	RIG_WAIT(b, b->report_count >= 3 && b->eoi == 0x42);
	assert_int_equal(b->reports[2], 0x42);
	forget_eoi(b);
	sink->deliver(sink, &msg);
	RIG_WAIT(b, b->report_count >= 4 && b->eoi == 0x42);

	/* Through an eventfd. */
	msg.data = 0x43;
	assert_int_equal(sink->irqfd_add(sink, fd, &msg), 0);
	eventfd_write(fd, 1);
	RIG_WAIT(b, b->report_count >= 5);
	assert_int_equal(b->reports[4], 0x43);
	sink->irqfd_remove(sink, fd);
	eventfd_write(fd, 1);
	sleep_ms(5);
	assert_int_equal(b->report_count, 5);
	msg.data = 0xc043;
	assert_int_equal(sink->irqfd_add(sink, fd, &msg), -ENOTSUP);

	b->engine->ops->nmi(b->engine->vcpus[0]);
	RIG_WAIT(b, b->report_count >= 6);
	assert_int_equal(b->reports[5], 0x02);
	close(fd);
	rig_destroy(b);
}

/* More level-triggered messages than there are routes for them: the latest always works. */
static void test_many_levels(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	struct msi_sink *sink = &b->engine->msi;
	unsigned int reports = 1;

	(void)state;
	rig_put_code(b, code_interrupts, code_interrupts_end);
	put_handlers(b);
	rig_enter_long_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	for (unsigned int i = 0; i < 60; i++) {
		struct msi_message msg = { .address = 0xfee00000 | (i % 30) << 4, .data = 0xc042 };

		reports++;
		forget_eoi(b);
		sink->deliver(sink, &msg);
		RIG_WAIT(b, b->report_count >= reports && b->eoi == 0x42);
	}
	rig_destroy(b);
}

static void test_bell(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	struct io_eventfd e = { .address = BELL_PORT, .size = 2, .fd = eventfd(0, EFD_NONBLOCK) };
	eventfd_t value = 0;

	(void)state;
	assert_int_equal(io_eventfd_add(b->ports, &e), 0);
	rig_put_code(b, code_bell, code_bell_end);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	assert_int_equal(eventfd_read(e.fd, &value), 0);
	assert_int_equal(value, 1);
	rig_pause(b);
	io_eventfd_remove(b->ports, &e);
	close(e.fd);
	rig_destroy(b);
}

static void test_dirty(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	uint64_t bits[4] = { 0 };
	unsigned int reports;

	(void)state;
	rig_put_code(b, code_dirty, code_dirty_end);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	rig_pause(b);
	mem_region_set_tracking(b->memory, b->ram, MEM_DIRTY_DISPLAY, true);
	assert_true(mem_region_collect_dirty(b->memory, b->ram, MEM_DIRTY_DISPLAY, 0,
					     RIG_RAM_SIZE, bits));
	for (unsigned int round = 0; round < 3; round++) {
		reports = b->report_count;
		rig_resume(b);
		RIG_WAIT(b, b->report_count >= reports + 2);
		rig_pause(b);
		assert_true(mem_region_collect_dirty(b->memory, b->ram, MEM_DIRTY_DISPLAY, 0,
						     RIG_RAM_SIZE, bits));
		assert_int_equal(bits[1], BIT(0x60 - 64) | BIT(0x62 - 64));
		assert_int_equal(bits[2], 0);
	}
	/* What was written before a slot goes away is not forgotten. */
	reports = b->report_count;
	rig_resume(b);
	RIG_WAIT(b, b->report_count >= reports + 2);
	rig_pause(b);
	guest_memory_unmap(b->memory, 0x62000, 0x1000);
	assert_true(mem_region_collect_dirty(b->memory, b->ram, MEM_DIRTY_DISPLAY, 0,
					     RIG_RAM_SIZE, bits));
	assert_int_equal(bits[1], BIT(0x60 - 64) | BIT(0x62 - 64));
	mem_region_set_tracking(b->memory, b->ram, MEM_DIRTY_DISPLAY, false);
	rig_destroy(b);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void test_kick(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	uint64_t worst = 0;
	uint64_t sum = 0;

	(void)state;
	rig_put_code(b, code_spin, code_spin_end);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	for (int i = 0; i < 100; i++) {
		uint64_t before = now_us();
		uint64_t took;

		rig_pause(b);
		took = now_us() - before;
		sum += took;
		worst = MAX(worst, took);
		rig_resume(b);
		if (i % 3 == 0) {
			usleep(500);
		}
	}
	print_message("kick: %llu us on average, %llu us at worst\n",
		      (unsigned long long)(sum / 100), (unsigned long long)worst);
	assert_true(sum / 100 < 50000);
	rig_destroy(b);
}

static void test_time_stands_still(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 2);
	struct error err = { 0 };
	uint64_t before[2];
	uint64_t limit = b->model.tsc_hz / 5;
	struct kvm_measured measured;

	(void)state;
	assert_int_equal(kvm_host_measure(&measured, &err), 0);
	rig_put_code(b, code_spin, code_spin_end);
	rig_enter_real_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	rig_pause(b);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	for (int i = 0; i < 2; i++) {
		before[i] = b->engine->vcpus[i]->state.tsc;
	}
	sleep_ms(300);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	assert_in_range(b->engine->vcpus[0]->state.tsc - before[0], 0, limit / 100);
	rig_resume(b);
	rig_pause(b);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(b->engine->vcpus[i]->state.tsc > before[i]);
		assert_true(!measured.tsc_settable ||
			    b->engine->vcpus[i]->state.tsc - before[i] < limit);
	}
	rig_destroy(b);
}

static void test_save_load(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	struct rig *c = rig_create(&kvm_engine_ops, 1);
	struct error err = { 0 };
	struct cpu_state saved;
	struct cpu_state *again = &c->engine->vcpus[0]->state;

	(void)state;
	rig_put_code(b, code_count, code_count_end);
	rig_enter_long_mode(b);
	/* What only a full load and save keeps. */
	store_le64(b->engine->vcpus[0]->state.xsave + 160 + 3 * 16, 0x1122334455667788);
	b->engine->vcpus[0]->state.dr[1] = 0x1234;
	b->engine->vcpus[0]->state.tsc = 1000000;
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 2);
	rig_pause(b);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	saved = b->engine->vcpus[0]->state;
	assert_int_equal(saved.gpr[CPU_R15], 0x1122334455667788);
	assert_int_equal(load_le64(saved.xsave + 160 + 3 * 16), 0x1122334455667788);
	assert_int_equal(saved.dr[1], 0x1234);
	assert_true(saved.tsc > 1000000);
	assert_int_equal(saved.seg[CPU_CS].attr & 0x2000, 0x2000);
	assert_true(saved.gpr[CPU_RCX] >= 0x20000);

	/* Into another machine: the same, bit for bit, and it goes on. */
	memcpy(c->ram->host, b->ram->host, RIG_RAM_SIZE);
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
	rig_resume(c);
	RIG_WAIT(c, c->report_count >= 1);
	rig_pause(c);
	assert_int_equal(vcpus_save(c->engine, &err), 0);
	assert_true(again->gpr[CPU_RCX] >= 0x30000);
	assert_int_equal(again->gpr[CPU_R15], 0x1122334455667788);
	rig_destroy(b);
	rig_destroy(c);
}

static void test_refused_state(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);
	struct cpu_state *s = &b->engine->vcpus[0]->state;
	struct error err = { 0 };

	(void)state;
	rig_enter_long_mode(b);
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
	rig_destroy(b);
}

static void test_two_cpus(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 2);
	struct error err = { 0 };

	(void)state;
	rig_put_code(b, code_start_aps, code_start_aps_end);
	put_handlers(b);
	memcpy(b->ram->host + AP_CODE_AT, code_ap, (size_t)(code_ap_end - code_ap));
	rig_enter_long_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 1);
	assert_int_equal(b->reports[0], 0xab);
	rig_pause(b);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	assert_int_equal(b->engine->vcpus[1]->state.seg[CPU_CS].selector, AP_CODE_AT >> 4);
	assert_int_equal(vcpus_reset(b->engine, &err), 0);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	assert_int_equal(b->engine->vcpus[1]->state.mp_state, CPU_MP_WAIT_INIT);
	rig_destroy(b);
}

static void test_xsave(void **state)
{
	struct rig *b = rig_create(&kvm_engine_ops, 1);

	(void)state;
	/* QEMU's software CPU, on which the lab runs, does not let KVM see the guest's XSETBV. */
	if (!cpu_model_has(&b->model, 1, 0, 2, 28) || getenv("LIMEN_LAB")) {
		rig_destroy(b);
		skip();
	}
	rig_put_code(b, code_xsave, code_xsave_end);
	rig_enter_long_mode(b);
	rig_start(b);
	RIG_WAIT(b, b->report_count >= 3);
	assert_int_equal(load_le16(b->reports), 832);
	/* OSXSAVE */
	assert_true(b->reports[2] & BIT(27 - 24));
	rig_destroy(b);
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
