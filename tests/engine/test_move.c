/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running guest moves between engines, again and again: soft, kvm, soft ... What it computes,
 * its interrupts and its clocks go on. Where there is no KVM, it moves between two soft engines.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/kvm/kvm_host.h"
#include "lib_rig.h"

#define MOVES 6

/* A periodic APIC timer of 2 ms; waits in HLT and counts in R15. */
RIG_GUEST(code_ticks, "64",
	  "movl $0xfee00000, %ebx; movl $0xb, 0x3e0(%rbx); movl $0x20041, 0x320(%rbx);"
	  "movl $2000000, 0x380(%rbx); xorl %r15d, %r15d; sti; 1: hlt; incq %r15; jmp 1b");

/* The same by the TSC deadline, armed by each interrupt anew. */
RIG_GUEST(code_deadline, "64",
	  "movl $0xfee00000, %ebx; movl $0x40041, 0x320(%rbx); xorl %r15d, %r15d;"
	  "1: cli; rdtsc; shlq $32, %rdx; orq %rdx, %rax; addq $3000000, %rax; movq %rax, %rdx;"
	  "shrq $32, %rdx; movl $0x6e0, %ecx; wrmsr; sti; hlt; incq %r15; jmp 1b");

RIG_GUEST(code_tick, "64",
	  "push %rax; movb $0x41, %al; outb %al, $0x80; movl $0xfee000b0, %eax; movl $0, (%rax);"
	  "pop %rax; iretq");

/* Never waits: a checksum that depends on every step, and the TSC, which must not go back. */
RIG_GUEST(code_sum, "64",
	  "movq $0x9e3779b97f4a7c15, %r14; xorl %r13d, %r13d; xorl %r12d, %r12d;"
	  "1: incq %r13; movq %r13, %rax; imulq %r14, %rax; rolq $7, %r15; xorq %rax, %r15;"
	  "rdtsc; shlq $32, %rdx; orq %rdx, %rax; cmpq %r12, %rax; jae 2f; movb $0xbd, %al;"
	  "outb %al, $0x80; 2: movq %rax, %r12; testl $0xfff, %r13d; jnz 1b;"
	  "movb $0x01, %al; outb %al, $0x80; jmp 1b");

static bool have_kvm(void)
{
	int fd = kvm_host_open(NULL);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static struct cpu_state *state_of(struct rig *b)
{
	return &b->engine->vcpus[0]->state;
}

static unsigned int reports_of(struct rig *b)
{
	unsigned int count;

	pthread_mutex_lock(&b->lock);
	count = b->report_count;
	pthread_mutex_unlock(&b->lock);
	return count;
}

static void wait_for_reports(struct rig *b, unsigned int more)
{
	unsigned int wanted = reports_of(b) + more;

	RIG_WAIT(b, b->report_count >= wanted);
}

/* The guest of @from goes on in a new rig on @ops; @from is gone. */
static struct rig *move(struct rig *from, const struct engine_ops *ops)
{
	struct rig *to = rig_create(ops, 1);
	struct error err = { 0 };

	rig_pause(from);
	assert_int_equal(vcpus_save(from->engine, &err), 0);
	assert_int_equal(cpu_model_adopt(&to->model, &from->model, &err), 0);
	machine_clock_set(to->clock, machine_clock_now(from->clock));
	memcpy(to->ram->host, from->ram->host, RIG_RAM_SIZE);
	*state_of(to) = *state_of(from);
	rig_start(to);
	rig_destroy(from);
	return to;
}

static const struct engine_ops *other(const struct engine_ops *ops)
{
	return ops == &soft_engine_ops && have_kvm() ? &kvm_engine_ops : &soft_engine_ops;
}

static void check_ticks(const uint8_t *code, const uint8_t *end)
{
	const struct engine_ops *ops = &soft_engine_ops;
	struct rig *b = rig_create(ops, 1);
	struct error err = { 0 };
	uint64_t before = 0;

	rig_put_code(b, code, end);
	rig_put_handler(b, 0x41, code_tick, code_tick_end, 0x6000);
	rig_enter_long_mode(b);
	state_of(b)->dr[2] = 0x4321;
	rig_start(b);
	for (int i = 0; i < MOVES; i++) {
		wait_for_reports(b, 3);
		ops = other(ops);
		b = move(b, ops);
		wait_for_reports(b, 3);
		rig_pause(b);
		assert_int_equal(vcpus_save(b->engine, &err), 0);
		assert_true(state_of(b)->gpr[CPU_R15] >= before + 3);
		assert_int_equal(state_of(b)->dr[2], 0x4321);
		before = state_of(b)->gpr[CPU_R15];
		rig_resume(b);
	}
	rig_destroy(b);
}

static void test_periodic_timer(void **state)
{
	(void)state;
	check_ticks(code_ticks, code_ticks_end);
}

static void test_deadline_timer(void **state)
{
	(void)state;
	check_ticks(code_deadline, code_deadline_end);
}

static uint64_t sum_after(uint64_t steps)
{
	uint64_t sum = 0;

	for (uint64_t i = 1; i <= steps; i++) {
		sum = (sum << 7 | sum >> 57) ^ (i * UINT64_C(0x9e3779b97f4a7c15));
	}
	return sum;
}

static void test_computation(void **state)
{
	const struct engine_ops *ops = &soft_engine_ops;
	struct rig *b = rig_create(ops, 1);
	struct kvm_measured measured = { .tsc_settable = true };
	struct error err = { 0 };
	uint64_t steps = 0;

	(void)state;
	kvm_host_measure(&measured, NULL);
	rig_put_code(b, code_sum, code_sum_end);
	rig_enter_long_mode(b);
	state_of(b)->gpr[CPU_R15] = 0;
	rig_start(b);
	for (int i = 0; i < MOVES; i++) {
		wait_for_reports(b, 2);
		if (measured.tsc_settable) {
			pthread_mutex_lock(&b->lock);
			assert_null(memchr(b->reports, 0xbd, MIN(b->report_count, 256U)));
			pthread_mutex_unlock(&b->lock);
		}
		ops = other(ops);
		b = move(b, ops);
	}
	rig_pause(b);
	assert_int_equal(vcpus_save(b->engine, &err), 0);
	/* It may have stopped between the count and the sum. */
	steps = state_of(b)->gpr[CPU_R13];
	assert_true(state_of(b)->gpr[CPU_R15] == sum_after(steps) ||
		    state_of(b)->gpr[CPU_R15] == sum_after(steps - 1) ||
		    state_of(b)->gpr[CPU_R15] ==
			    (sum_after(steps - 1) << 7 | sum_after(steps - 1) >> 57));
	assert_true(steps > 4096 * 2 * MOVES);
	rig_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_periodic_timer),
		cmocka_unit_test(test_deadline_timer),
		cmocka_unit_test(test_computation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
