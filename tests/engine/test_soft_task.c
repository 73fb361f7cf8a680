/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hardware task switches and virtual-8086 mode on the soft engine. Expected values: Intel SDM
 * vol. 3, chapter 8 (tables 8-1 and 8-2) and chapter 21.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/engines.h"
#include "lib_guest.h"

#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_NT 0x4000
#define FLAG_VM 0x20000
#define FLAG_VIF 0x80000
#define FLAG_VIP 0x100000
#define CR0_TS 8
#define CR4_VME 1

static int setup(void **state)
{
	*state = guest_create(&soft_engine_ops, 1);
	return 0;
}

static int teardown(void **state)
{
	guest_destroy(*state);
	return 0;
}

/* ------- tasks ------- */

/* A 32-bit TSS that starts at GUEST_CODE2_ADDR on level 0. */
static void write_tss(struct guest *g, gpa_t tss)
{
	static const uint16_t segs[] = { 0x10, 0x08, 0x10, 0x10, 0x10, 0x10 };

	for (gpa_t i = 0; i < 0x68; i += 4) {
		guest_write_u32(g, tss + i, 0);
	}
	guest_write_u32(g, tss + 0x1c, GUEST_TABLES);
	guest_write_u32(g, tss + 0x20, GUEST_CODE2_ADDR);
	guest_write_u32(g, tss + 0x24, 0x202);
	for (unsigned int i = 0; i < 8; i++) {
		guest_write_u32(g, tss + 0x28 + i * 4, 0x11111111 * (i + 1));
	}
	guest_write_u32(g, tss + 0x38, GUEST_STACK1);
	for (unsigned int i = 0; i < 6; i++) {
		guest_write_u32(g, tss + 0x48 + i * 4, segs[i]);
	}
	guest_write_u32(g, tss + 0x60, GUEST_SEL_LDT);
	guest_write_u32(g, tss + 0x64, 0xffff0000);
}

static uint8_t descriptor_type(struct guest *g, uint16_t selector)
{
	return guest_read_u64(g, GUEST_GDT + (selector & 0xfff8u)) >> 40 & 0x1f;
}

GUEST_CODE(jmp_task, 32, "mov eax, 0x55; .byte 0xea; .long 0; .word 0x90");
GUEST_CODE(call_task, 32, "mov eax, 0x55; .byte 0x9a; .long 0; .word 0x90; out 0xf4, al");
GUEST_CODE(end, 32, "out 0xf4, al");
GUEST_CODE(task_returns, 32, "mov eax, 0x77; iretd; mov eax, 0x88; iretd");

static void test_jmp_task(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	write_tss(g, GUEST_TSS2);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, end);
	g->state->dr7 = 0x455;
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->rip, GUEST_CODE2_ADDR + 2);
	assert_int_equal(g->state->gpr[CPU_RAX], 0x11111111);
	assert_int_equal(g->state->gpr[CPU_RDI], 0x88888888);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK1);
	assert_int_equal(g->state->rflags, 0x202);
	assert_int_equal(g->state->tr.selector, GUEST_SEL_TSS2);
	assert_int_equal(g->state->tr.attr & 0xf, 11);
	assert_int_equal(g->state->ldt.selector, GUEST_SEL_LDT);
	assert_int_equal(g->state->cr0 & CR0_TS, CR0_TS);
	assert_int_equal(g->state->dr7, 0x400);
	assert_int_equal(descriptor_type(g, GUEST_SEL_TSS), 9);
	assert_int_equal(descriptor_type(g, GUEST_SEL_TSS2), 11);
	assert_int_equal(guest_read_u32(g, GUEST_TSS + 0x20), GUEST_CODE_ADDR + 12);
	assert_int_equal(guest_read_u32(g, GUEST_TSS + 0x28), 0x55);
	assert_int_equal(guest_read_u16(g, GUEST_TSS + 0x4c), GUEST_SEL_CODE0);
	assert_int_equal(guest_read_u16(g, GUEST_TSS2), 0);
}

static void test_call_task_and_return(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	write_tss(g, GUEST_TSS2);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, task_returns);
	GUEST_EXECUTE(g, call_task);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->rip, GUEST_CODE_ADDR + 14);
	assert_int_equal(g->state->gpr[CPU_RAX], 0x55);
	assert_int_equal(g->state->rflags & FLAG_NT, 0);
	assert_int_equal(g->state->tr.selector, GUEST_SEL_TSS);
	assert_int_equal(descriptor_type(g, GUEST_SEL_TSS), 11);
	assert_int_equal(descriptor_type(g, GUEST_SEL_TSS2), 9);
	assert_int_equal(guest_read_u16(g, GUEST_TSS2), GUEST_SEL_TSS);
	/* The other task was left after its IRET, with NT clear and EAX 0x77. */
	assert_int_equal(guest_read_u32(g, GUEST_TSS2 + 0x20), GUEST_CODE2_ADDR + 6);
	assert_int_equal(guest_read_u32(g, GUEST_TSS2 + 0x24) & FLAG_NT, 0);
	assert_int_equal(guest_read_u32(g, GUEST_TSS2 + 0x28), 0x77);
}

GUEST_CODE(undefined, 32, "ud2");
GUEST_CODE(page_fault, 32, "mov eax, [0x300000]");

static void test_task_gate_exception(void **state)
{
	struct guest *g = *state;

	/* With an error code, which goes onto the new task's stack. */
	guest_protected(g, 0);
	guest_paging(g);
	guest_write_u32(g, GUEST_TABLES + 0x1000 + 0x300 * 4, 0);
	write_tss(g, GUEST_TSS2);
	guest_idt_gate(g, 14, 5, 0, GUEST_SEL_TSS2, 0, 0);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, end);
	GUEST_EXECUTE(g, page_fault);
	assert_int_equal(g->state->rip, GUEST_CODE2_ADDR + 2);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK1 - 4);
	assert_int_equal(guest_read_u32(g, GUEST_STACK1 - 4), 0);
	assert_int_equal(g->state->cr2, 0x300000);
	assert_int_equal(g->state->rflags & FLAG_NT, FLAG_NT);
	assert_int_equal(guest_read_u16(g, GUEST_TSS2), GUEST_SEL_TSS);
	assert_int_equal(guest_read_u32(g, GUEST_TSS + 0x20), GUEST_CODE_ADDR);
	assert_int_equal(guest_read_u32(g, GUEST_TSS + 0x24) & 0x10000, 0x10000); /* RF */
	/* To a busy task: #GP with the TSS's selector. */
	guest_protected(g, 0);
	guest_idt_gate(g, 6, 5, 0, GUEST_SEL_TSS, 0, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_SEL_TSS + 1);
}

GUEST_CODE(iret_nested, 32, "pushfd; or dword ptr [esp], 0x4000; popfd; iretd");

/* Faults in the old task's context. */
static void test_task_faults_before(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0); /* too small */
	write_tss(g, GUEST_TSS2);
	guest_descriptor(g, GUEST_SEL_TSS2, GUEST_TSS2, 0x66, 0x89);
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->trap.vector, 10);
	assert_int_equal(g->trap.error, GUEST_SEL_TSS2);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 5);
	assert_int_equal(g->state->tr.selector, GUEST_SEL_TSS);
	guest_protected(g, 0); /* not present */
	guest_descriptor(g, GUEST_SEL_TSS2, GUEST_TSS2, 0x67, 0x09);
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->trap.vector, 11);
	assert_int_equal(g->trap.error, GUEST_SEL_TSS2);
	guest_protected(g, 0); /* IRET to a task that is not busy */
	guest_write_u16(g, GUEST_TSS, GUEST_SEL_TSS2);
	GUEST_EXECUTE(g, iret_nested);
	assert_int_equal(g->trap.vector, 10);
	assert_int_equal(g->trap.error, GUEST_SEL_TSS2);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 9);
}

static void run_bad_task(struct guest *g, gpa_t field, uint32_t value)
{
	guest_protected(g, 0);
	write_tss(g, GUEST_TSS2);
	/* A task of level 3, so that a fault finds a stack even before SS is loaded. */
	guest_write_u32(g, GUEST_TSS2 + 4, GUEST_STACK0);
	guest_write_u32(g, GUEST_TSS2 + 8, GUEST_SEL_DATA0);
	guest_write_u32(g, GUEST_TSS2 + 0x4c, GUEST_SEL_CODE3);
	guest_write_u32(g, GUEST_TSS2 + 0x50, GUEST_SEL_DATA3);
	for (gpa_t seg = 0x48; seg < 0x60; seg += 4) {
		if (seg != 0x4c && seg != 0x50) {
			guest_write_u32(g, GUEST_TSS2 + seg, GUEST_SEL_DATA3);
		}
	}
	guest_descriptor(g, GUEST_SEL_ABSENT, 0, 0xfffff, 0xc073);
	guest_write_u32(g, GUEST_TSS2 + field, value);
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->state->tr.selector, GUEST_SEL_TSS2);
	assert_int_equal(g->trap.rip, GUEST_CODE2_ADDR);
}

/* Faults that belong to the new task, at its first instruction. */
static void test_task_faults_after(void **state)
{
	struct guest *g = *state;

	run_bad_task(g, 0x60, GUEST_SEL_DATA0); /* LDT */
	assert_int_equal(g->trap.vector, 10);
	assert_int_equal(g->trap.error, GUEST_SEL_DATA0);
	run_bad_task(g, 0x54, GUEST_SEL_ABSENT); /* DS */
	assert_int_equal(g->trap.vector, 11);
	assert_int_equal(g->trap.error, GUEST_SEL_ABSENT);
	run_bad_task(g, 0x58, GUEST_SEL_LDT); /* FS */
	assert_int_equal(g->trap.vector, 10);
	assert_int_equal(g->trap.error, GUEST_SEL_LDT);
}

/* A bad CS or SS cannot take the fault on the new stack: it goes to a third task. */
static void test_task_bad_stack(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	write_tss(g, GUEST_TSS2);
	write_tss(g, GUEST_TSS3);
	guest_idt_gate(g, 10, 5, 0, GUEST_SEL_TSS3, 0, 0);
	guest_write_u32(g, GUEST_TSS2 + 0x50, GUEST_SEL_DATA3);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, end);
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->state->tr.selector, GUEST_SEL_TSS3);
	assert_int_equal(guest_read_u16(g, GUEST_TSS3), GUEST_SEL_TSS2);
	assert_int_equal(guest_read_u32(g, g->state->gpr[CPU_RSP]), GUEST_SEL_DATA3 & ~3);
}

GUEST_CODE(task_trap, 32, "nop; nop");

static void test_task_trap_bit(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	write_tss(g, GUEST_TSS2);
	guest_write_u32(g, GUEST_TSS2 + 0x64, 0xffff0001);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, task_trap);
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE2_ADDR);
	assert_int_equal(g->state->dr6 & 0xe00f, 0x8000);
}

static void test_task16(void **state)
{
	static const uint16_t fields[] = { 0, 0, 0, 0, 0, 0, 0, 0x6800, 0x202, 1, 2, 3, 4, 0x7000,
					   6, 7, 8, 0x10, 0x48, 0x10, 0x10, 0 };
	struct guest *g = *state;

	guest_protected(g, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		guest_write_u16(g, GUEST_TSS2 + i * 2, fields[i]);
	}
	guest_descriptor(g, GUEST_SEL_TSS2, GUEST_TSS2, 0x2b, 0x81);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, end);
	GUEST_EXECUTE(g, call_task);
	assert_int_equal(g->state->rip, 0x6802);
	assert_int_equal(g->state->gpr[CPU_RBX] & 0xffff, 4);
	assert_int_equal(g->state->gpr[CPU_RSP] & 0xffff, 0x7000);
	assert_int_equal(g->state->seg[CPU_CS].selector, GUEST_SEL_CODE16);
	assert_int_equal(g->state->rflags, 0x202 | FLAG_NT);
	assert_int_equal(guest_read_u16(g, GUEST_TSS2), GUEST_SEL_TSS);
	assert_int_equal(descriptor_type(g, GUEST_SEL_TSS2), 3);
}

/* ------- virtual-8086 mode ------- */

GUEST_CODE(v86_int, 16, "int 0x40");
GUEST_CODE(v86_hlt, 16, "hlt");
GUEST_CODE(v86_cli, 16, "cli; int 0x40");
GUEST_CODE(v86_sti, 16, "sti; int 0x40");
GUEST_CODE(v86_segments, 16, "mov ax, 0x2100; mov ds, ax; mov byte ptr [5], 0x77; "
			     ".byte 0x9a; .word 0, 0x2200");
GUEST_CODE(v86_callee, 16, "pop ax; pop bx; mov cx, cs; int 0x40");
GUEST_CODE(v86_lldt, 16, ".byte 0x0f, 0x00, 0xd0");

static void test_v86_interrupt(void **state)
{
	struct guest *g = *state;

	guest_v86(g, 3);
	GUEST_EXECUTE(g, v86_int);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rip, 2);
	assert_int_equal(g->trap.cs, 0x2000);
	assert_int_equal(g->trap.rflags, 0x23202);
	assert_int_equal(g->trap.rsp, 0x1000);
	assert_int_equal(g->trap.ss, 0x2000);
	/* ES, DS, FS, GS lie above it; the registers are null. */
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 40);
	assert_int_equal(guest_read_u32(g, GUEST_STACK0 - 4), 0x2000);
	assert_int_equal(g->state->seg[CPU_DS].selector, 0);
	assert_true(g->state->seg[CPU_DS].attr & CPU_SEG_UNUSABLE);
	assert_int_equal(g->state->rflags & FLAG_VM, 0);
	/* IOPL below 3: #GP(0). A handler that is not of level 0: #GP(selector). */
	guest_v86(g, 0);
	GUEST_EXECUTE(g, v86_int);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 0);
	assert_int_equal(g->trap.rip, 0);
	guest_v86(g, 3);
	guest_idt_gate(g, GUEST_END_VECTOR, 14, 3, GUEST_SEL_CODE1 & ~3, GUEST_HANDLERS, 0);
	GUEST_EXECUTE(g, v86_int);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_SEL_CODE1 & ~3);
}

static void test_v86_faults(void **state)
{
	struct guest *g = *state;

	guest_v86(g, 3);
	GUEST_EXECUTE(g, v86_hlt);
	assert_int_equal(g->trap.vector, 13);
	guest_v86(g, 0);
	GUEST_EXECUTE(g, v86_cli);
	assert_int_equal(g->trap.vector, 13);
	guest_v86(g, 3);
	GUEST_EXECUTE(g, v86_cli);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rflags & FLAG_IF, 0);
	guest_v86(g, 3);
	GUEST_EXECUTE(g, v86_lldt);
	assert_int_equal(g->trap.vector, 6);
	guest_v86(g, 3);
	GUEST_LOAD(g, 0x22000, v86_callee);
	GUEST_EXECUTE(g, v86_segments);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(guest_read_u16(g, 0x21005) & 0xff, 0x77);
	assert_int_equal(g->state->gpr[CPU_RAX] & 0xffff, 15);
	assert_int_equal(g->state->gpr[CPU_RBX] & 0xffff, 0x2000);
	assert_int_equal(g->state->gpr[CPU_RCX] & 0xffff, 0x2200);
}

/* VME: CLI and STI act on VIF, STI with VIP set faults. */
static void test_v86_vme_flags(void **state)
{
	struct guest *g = *state;

	guest_v86(g, 0);
	g->state->cr4 = CR4_VME;
	guest_idt_gate(g, GUEST_END_VECTOR, 14, 3, GUEST_SEL_CODE0, GUEST_HANDLERS + 0x400, 0);
	GUEST_EXECUTE(g, v86_sti); /* the INT then faults: IOPL 0, no redirection map */
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.rip, 1);
	assert_int_equal(g->trap.rflags & (FLAG_VIF | FLAG_IF), FLAG_VIF | FLAG_IF);
	guest_v86(g, 0);
	g->state->cr4 = CR4_VME;
	g->state->rflags |= FLAG_VIF;
	GUEST_EXECUTE(g, v86_cli);
	assert_int_equal(g->trap.rip, 1);
	assert_int_equal(g->trap.rflags & (FLAG_VIF | FLAG_IF), FLAG_IF);
	guest_v86(g, 0);
	g->state->cr4 = CR4_VME;
	g->state->rflags |= FLAG_VIP;
	GUEST_EXECUTE(g, v86_sti);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.rip, 0);
}

GUEST_CODE(v86_redirected, 16, "int 0x21; int 0x40");
GUEST_CODE(v86_handler, 16, "push bp; mov bp, sp; mov ax, [bp+6]; mov bx, [bp+2]; pop bp; iret");

static void test_v86_redirection(void **state)
{
	struct guest *g = *state;
	gpa_t map = GUEST_TSS + 0x200 - 32;

	for (unsigned int iopl = 0; iopl <= 3; iopl += 3) {
		guest_v86(g, iopl);
		g->state->cr4 = CR4_VME;
		g->state->rflags |= iopl == 3 ? 0 : FLAG_VIF;
		guest_write_u16(g, GUEST_TSS + 0x66, 0x200);
		for (unsigned int i = 0; i < 32; i += 4) {
			guest_write_u32(g, map + i, UINT32_MAX);
		}
		guest_write_u32(g, map + 4, ~(1u << 1)); /* vector 0x21 */
		guest_write_u32(g, 0x21 * 4, 0x20000100); /* 2000:0100 */
		GUEST_LOAD(g, GUEST_V86 + 0x100, v86_handler);
		GUEST_EXECUTE(g, v86_redirected);
		assert_int_equal(g->trap.vector, iopl == 3 ? GUEST_END_VECTOR : 13);
		assert_int_equal(g->trap.cs, 0x2000);
		/* Flags as the program is to see them: IOPL 3, IF from VIF. */
		assert_int_equal(g->state->gpr[CPU_RAX] & 0xffff, 0x3202);
		assert_int_equal(g->state->gpr[CPU_RBX] & 0xffff, 2);
		assert_int_equal(g->trap.rflags & FLAG_IF, FLAG_IF);
	}
}

GUEST_CODE(iret_to_v86, 32, "push 0x2004; push 0x2003; push 0x2002; push 0x2001; push 0x2000; "
			    "push 0x1000; push 0x23202; push 0x2000; push 0; iretd");
GUEST_CODE(v86_report, 16, "mov ax, es; mov bx, ds; mov cx, fs; mov dx, gs; int 0x40");

static void test_iret_to_v86(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	GUEST_LOAD(g, GUEST_V86, v86_report);
	GUEST_EXECUTE(g, iret_to_v86);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rflags, 0x23202);
	assert_int_equal(g->trap.ss, 0x2000);
	assert_int_equal(g->trap.rsp, 0x1000);
	assert_int_equal(g->state->gpr[CPU_RAX], 0x2001);
	assert_int_equal(g->state->gpr[CPU_RBX], 0x2002);
	assert_int_equal(g->state->gpr[CPU_RCX], 0x2003);
	assert_int_equal(g->state->gpr[CPU_RDX] & 0xffff, 0x2004);
}

static void test_v86_task(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	write_tss(g, GUEST_TSS2);
	guest_write_u32(g, GUEST_TSS2 + 0x20, 0);
	guest_write_u32(g, GUEST_TSS2 + 0x24, 0x23202);
	guest_write_u32(g, GUEST_TSS2 + 4, GUEST_STACK1);
	guest_write_u32(g, GUEST_TSS2 + 8, GUEST_SEL_DATA0);
	for (unsigned int i = 0; i < 6; i++) {
		guest_write_u32(g, GUEST_TSS2 + 0x48 + i * 4, 0x2000);
	}
	GUEST_LOAD(g, GUEST_V86, v86_int);
	GUEST_EXECUTE(g, jmp_task);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rflags, 0x23202);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK1 - 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_jmp_task, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_task_and_return, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task_gate_exception, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task_faults_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task_faults_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task_bad_stack, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task_trap_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task16, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v86_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v86_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v86_vme_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v86_redirection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iret_to_v86, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v86_task, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
