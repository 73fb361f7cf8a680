/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control transfers in real and 32-bit protected mode on the soft engine: frames of interrupts
 * with and without a change of privilege, error codes of faults on the way, double and triple
 * faults, call gates, far returns, IRET. Intel SDM vol. 3, chapters 5 and 6; vol. 2, CALL, RET,
 * INT n, IRET.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/engines.h"
#include "lib_guest.h"

#define FLAG_CF 0x1
#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_RF 0x10000
#define FLAG_NT 0x4000

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

/* ------- real mode ------- */

GUEST_CODE(real_int, 16, "sti; stc; int 0x21; out 0xf4, al");
GUEST_CODE(real_handler, 16, "push bp; mov bp, sp; mov ax, [bp+2]; mov bx, [bp+4]; mov cx, [bp+6]; "
			     "pushf; pop dx; pop bp; iret");

static void test_real_interrupt(void **state)
{
	struct guest *g = *state;

	guest_real(g);
	guest_write_u16(g, 0x21 * 4, 0x10);
	guest_write_u16(g, 0x21 * 4 + 2, 0x700);
	GUEST_LOAD(g, 0x7010, real_handler);
	GUEST_EXECUTE(g, real_int);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RAX] & 0xffff, GUEST_CODE_ADDR + 4);
	assert_int_equal(g->state->gpr[CPU_RBX] & 0xffff, 0);
	assert_int_equal(g->state->gpr[CPU_RCX] & 0xffff, 2 | FLAG_IF | FLAG_CF);
	assert_int_equal(g->state->gpr[CPU_RDX] & (FLAG_IF | FLAG_TF), 0);
	assert_int_equal(g->state->rflags & (FLAG_IF | FLAG_CF), FLAG_IF | FLAG_CF);
	assert_int_equal(g->state->seg[CPU_CS].selector, 0);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0);
}

GUEST_CODE(real_far, 16, ".byte 0x9a; .word 0, 0x700; out 0xf4, al");
GUEST_CODE(real_far_target, 16, "mov ax, cs; retf 4");

static void test_real_far(void **state)
{
	struct guest *g = *state;

	guest_real(g);
	GUEST_LOAD(g, 0x7000, real_far_target);
	GUEST_EXECUTE(g, real_far);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RAX] & 0xffff, 0x700);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 + 4);
}

GUEST_CODE(real_divide, 16, "xor cx, cx; div cx");
GUEST_CODE(real_limit, 16, "mov ax, [0xffff]");
GUEST_CODE(real_stack, 16, "mov sp, 1; push ax");

static void test_real_faults(void **state)
{
	struct guest *g = *state;

	guest_real(g);
	GUEST_EXECUTE(g, real_divide);
	assert_int_equal(g->trap.vector, 0);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 2);
	guest_real(g);
	GUEST_EXECUTE(g, real_limit);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	/* #SS needs the very stack: #DF, and that too: shutdown. */
	guest_real(g);
	GUEST_EXECUTE(g, real_stack);
	assert_int_equal(g->result, VCPU_EXIT_TRIPLE_FAULT);
}

/* Into protected mode, a flat DS, and back with its limit kept: "unreal mode". */
GUEST_CODE(real_to_unreal, 16,
	   "lgdt [0xc000]; mov eax, cr0; or al, 1; mov cr0, eax; mov bx, 0x10; mov ds, bx; "
	   "and al, 0xfe; mov cr0, eax; xor bx, bx; mov ds, bx; mov eax, 0x100000; "
	   "mov dword ptr [eax], 0x12345678; out 0xf4, al");
GUEST_CODE(real_to_protected, 16,
	   "lgdt [0xc000]; mov eax, cr0; or al, 1; mov cr0, eax; .byte 0x66, 0xea; .long 0x6800; "
	   ".word 8");
GUEST_CODE(protected_entry, 32, "mov eax, 0x10; mov ss, eax; mov esp, 0x8000; push 0x11223344; "
				"mov ecx, cs; out 0xf4, al");

static void write_real_gdt(struct guest *g)
{
	guest_protected(g, 0);
	guest_real(g);
	guest_write_u16(g, GUEST_DATA, GUEST_GDT_LIMIT);
	guest_write_u32(g, GUEST_DATA + 2, GUEST_GDT);
}

static void test_real_to_protected(void **state)
{
	struct guest *g = *state;

	write_real_gdt(g);
	GUEST_EXECUTE(g, real_to_unreal);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(guest_read_u32(g, 0x100000), 0x12345678);
	write_real_gdt(g);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, protected_entry);
	GUEST_EXECUTE(g, real_to_protected);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RCX], 8);
	assert_int_equal(guest_read_u32(g, 0x7ffc), 0x11223344);
	assert_int_equal(g->state->seg[CPU_CS].attr, 0xc09b);
}

/* ------- interrupts through gates ------- */

GUEST_CODE(user_int, 32, "stc; int 0x40");
GUEST_CODE(user_fault, 32, "stc; hlt");
GUEST_CODE(kernel_int3, 32, "int3; nop");

static void test_interrupt_from_user(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3);
	g->state->rflags = 0x202;
	GUEST_EXECUTE(g, user_int);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 3);
	assert_int_equal(g->trap.cs, GUEST_SEL_CODE3);
	assert_int_equal(g->trap.rflags, 2 | FLAG_CF | FLAG_IF);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
	assert_int_equal(g->trap.ss, GUEST_SEL_DATA3);
	assert_int_equal(g->state->seg[CPU_SS].selector, GUEST_SEL_DATA0);
	assert_int_equal(g->state->seg[CPU_CS].selector, GUEST_SEL_CODE0);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 24);
	assert_int_equal(g->state->rflags & FLAG_IF, 0);
	/* A trap gate leaves IF; a fault pushes RF and its error code. */
	guest_protected(g, 3);
	guest_idt_gate(g, 13, 15, 0, GUEST_SEL_CODE0, GUEST_HANDLERS + 13 * 16, 0);
	g->state->rflags = 0x202;
	GUEST_EXECUTE(g, user_fault);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 0);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 1);
	assert_int_equal(g->trap.rflags, 2 | FLAG_CF | FLAG_IF | FLAG_RF);
	assert_int_equal(g->state->rflags & (FLAG_IF | FLAG_RF), FLAG_IF);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 28);
}

static void test_interrupt_same_level(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	GUEST_EXECUTE(g, kernel_int3);
	assert_int_equal(g->trap.vector, 3);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 1);
	assert_int_equal(g->trap.rflags, 2);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 16);
	/* Through a 16-bit gate: 2-byte words, a 16-bit offset. */
	guest_protected(g, 0);
	guest_idt_gate(g, 3, 6, 0, GUEST_SEL_CODE0, GUEST_HANDLERS + 3 * 16, 0);
	GUEST_EXECUTE(g, kernel_int3);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 10);
	assert_int_equal(guest_read_u16(g, GUEST_STACK0 - 6), GUEST_CODE_ADDR + 1);
	assert_int_equal(guest_read_u16(g, GUEST_STACK0 - 4), GUEST_SEL_CODE0);
	assert_int_equal(guest_read_u16(g, GUEST_STACK0 - 2), 2);
	/* A conforming handler runs at the caller's level, on its stack. */
	guest_protected(g, 3);
	guest_idt_gate(g, GUEST_END_VECTOR, 14, 3, GUEST_SEL_CONFORMING, GUEST_HANDLERS + 0x400, 0);
	g->state->rflags = 0x3002;
	GUEST_EXECUTE(g, user_int);
	assert_int_equal(g->state->seg[CPU_CS].selector, GUEST_SEL_CONFORMING | 3);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK3 - 16);
}

GUEST_CODE(undefined, 32, "ud2");
GUEST_CODE(divide, 32, "xor ecx, ecx; div ecx");

static void absent_gate(struct guest *g, uint8_t vector)
{
	gpa_t entry = GUEST_IDT + vector * 8;

	guest_write_u64(g, entry, guest_read_u64(g, entry) & ~BIT(47));
}

/* Faults while an exception or interrupt is delivered: EXT and IDT bits. */
static void test_delivery_faults(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	absent_gate(g, 6);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 11);
	assert_int_equal(g->trap.error, 6 * 8 + 2 + 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	guest_protected(g, 0);
	absent_gate(g, 3);
	GUEST_EXECUTE(g, kernel_int3);
	assert_int_equal(g->trap.vector, 11);
	assert_int_equal(g->trap.error, 3 * 8 + 2);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	/* A gate of no such type; its selector null, of data, not present, beyond the table. */
	guest_protected(g, 0);
	guest_idt_gate(g, 6, 12, 0, GUEST_SEL_CODE0, 0, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 6 * 8 + 2 + 1);
	guest_protected(g, 0);
	guest_idt_gate(g, 6, 14, 0, 0, 0, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 1);
	guest_protected(g, 0);
	guest_idt_gate(g, 6, 14, 0, GUEST_SEL_DATA0, 0, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_SEL_DATA0 + 1);
	guest_protected(g, 0);
	guest_idt_gate(g, 6, 14, 0, 0x1000, 0, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 0x1001);
	/* Beyond the IDT's limit. */
	guest_protected(g, 0);
	g->state->idt.limit = 14 * 8 - 1;
	guest_write_u64(g, GUEST_IDT + 13 * 8, guest_read_u64(g, GUEST_IDT + 13 * 8));
	GUEST_EXECUTE(g, user_int);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_END_VECTOR * 8 + 2);
}

static void test_double_fault(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	absent_gate(g, 0);
	GUEST_EXECUTE(g, divide);
	assert_int_equal(g->trap.vector, 8);
	assert_int_equal(g->trap.error, 0);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 2);
	guest_protected(g, 0);
	absent_gate(g, 0);
	absent_gate(g, 8);
	GUEST_EXECUTE(g, divide);
	assert_int_equal(g->result, VCPU_EXIT_TRIPLE_FAULT);
	/* #UD is benign: #NP comes after it, whose own #NP makes a double fault. */
	guest_protected(g, 0);
	absent_gate(g, 6);
	absent_gate(g, 11);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 8);
}

/* ------- call gates ------- */

#define GATE GUEST_SEL_FREE

GUEST_CODE(call_gate, 32, "push 0x11; push 0x22; "
			  ".byte 0x9a; .long 0xdeadbeef; .word 0xa3; int 0x40");
GUEST_CODE(gate_target, 32, "mov eax, [esp]; mov ebx, [esp+4]; mov ecx, [esp+8]; "
			    "mov edx, [esp+12]; mov esi, [esp+16]; "
			    "mov edi, [esp+20]; mov ebp, esp; retf 8");
GUEST_CODE(gate_target16, 32, "mov ebp, esp; mov ax, [esp]; mov bx, [esp+2]; mov cx, [esp+4]; "
			      "mov dx, [esp+6]; mov si, [esp+8]; out 0xf4, al");

static void test_call_gate_inner(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3);
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 2);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, gate_target);
	GUEST_EXECUTE(g, call_gate);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rsp, GUEST_STACK3); /* RETF 8 dropped the parameters there too */
	assert_int_equal(g->state->gpr[CPU_RAX], GUEST_CODE_ADDR + 11);
	assert_int_equal(g->state->gpr[CPU_RBX], GUEST_SEL_CODE3);
	assert_int_equal(g->state->gpr[CPU_RCX], 0x22);
	assert_int_equal(g->state->gpr[CPU_RDX], 0x11);
	assert_int_equal(g->state->gpr[CPU_RSI], GUEST_STACK3 - 8);
	assert_int_equal(g->state->gpr[CPU_RDI], GUEST_SEL_DATA3);
	assert_int_equal(g->state->gpr[CPU_RBP], GUEST_STACK0 - 24);
	/* 16-bit gate: words of 2 bytes. */
	guest_protected(g, 3);
	guest_gate(g, GATE, 4, 3, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 1);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, gate_target16);
	GUEST_EXECUTE(g, call_gate);
	assert_int_equal(g->state->gpr[CPU_RBP], GUEST_STACK0 - 10);
	assert_int_equal(g->state->gpr[CPU_RAX] & 0xffff, GUEST_CODE_ADDR + 11);
	assert_int_equal(g->state->gpr[CPU_RCX] & 0xffff, 0x22);
	assert_int_equal(g->state->gpr[CPU_RDX] & 0xffff, GUEST_STACK3 - 8);
	assert_int_equal(g->state->gpr[CPU_RSI] & 0xffff, GUEST_SEL_DATA3);
}

static void expect_fault(struct guest *g, int vector, uint32_t error)
{
	assert_int_equal(g->trap.vector, vector);
	assert_int_equal(g->trap.error, error);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 4);
	assert_int_equal(g->trap.rsp, GUEST_STACK3 - 8);
}

static void test_call_gate_faults(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3); /* the gate's DPL */
	guest_gate(g, GATE, 12, 0, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 0);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 13, GATE);
	guest_protected(g, 3); /* not present */
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 0);
	guest_write_u64(g, GUEST_GDT + GATE, guest_read_u64(g, GUEST_GDT + GATE) & ~BIT(47));
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 11, GATE);
	guest_protected(g, 3); /* to data */
	guest_gate(g, GATE, 12, 3, GUEST_SEL_DATA0, GUEST_CODE2_ADDR, 0);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 13, GUEST_SEL_DATA0);
	guest_protected(g, 3); /* to null */
	guest_gate(g, GATE, 12, 3, 0, GUEST_CODE2_ADDR, 0);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 13, 0);
	/* To level 1, whose stack is bad: #TS names the stack, or a TSS that ends too soon. */
	guest_protected(g, 3);
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE1 & ~3, GUEST_CODE2_ADDR, 0);
	guest_write_u32(g, GUEST_TSS + 16, 0);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 10, 0);
	guest_protected(g, 3);
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE1 & ~3, GUEST_CODE2_ADDR, 0);
	guest_write_u32(g, GUEST_TSS + 16, GUEST_SEL_DATA0 | 1);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 10, GUEST_SEL_DATA0);
	guest_protected(g, 3);
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE1 & ~3, GUEST_CODE2_ADDR, 0);
	g->state->tr.limit = 15;
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 10, GUEST_SEL_TSS);
	guest_protected(g, 3); /* not present: #SS */
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE1 & ~3, GUEST_CODE2_ADDR, 0);
	guest_descriptor(g, GUEST_SEL_DATA1, 0, 0xfffff, 0xc033);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 12, GUEST_SEL_DATA1 & ~3u);
	guest_protected(g, 3); /* too small: #SS of the new stack */
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE1 & ~3, GUEST_CODE2_ADDR, 0);
	guest_descriptor(g, GUEST_SEL_DATA1, 0, 0x1000, 0x40b3);
	GUEST_EXECUTE(g, call_gate);
	expect_fault(g, 12, GUEST_SEL_DATA1 & ~3u);
}

GUEST_CODE(call_conforming, 32, ".byte 0x9a; .long 0x6800; .word 0x6b; int 0x40");
GUEST_CODE(conforming_target, 32, "mov eax, cs; retf");
GUEST_CODE(jmp_gate, 32, ".byte 0xea; .long 0; .word 0xa0");
GUEST_CODE(jmp_gate_target, 32, "mov eax, cs; out 0xf4, al");

static void test_same_level_transfers(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, conforming_target);
	GUEST_EXECUTE(g, call_conforming);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->state->gpr[CPU_RAX], GUEST_SEL_CONFORMING | 3);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
	guest_protected(g, 0);
	guest_gate(g, GATE, 12, 0, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 3);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, jmp_gate_target);
	GUEST_EXECUTE(g, jmp_gate);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RAX], GUEST_SEL_CODE0);
	/* JMP through a gate never goes inward. */
	guest_protected(g, 3);
	guest_gate(g, GATE, 12, 3, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 0);
	GUEST_EXECUTE(g, jmp_gate);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_SEL_CODE0);
}

/* ------- IRET and RETF outward ------- */

GUEST_CODE(iret_to_user, 32, "mov eax, 0x23; mov es, eax; push 0x23; push 0x9000; push 0x3202; "
			     "push 0x1b; push 0x6800; iretd");
GUEST_CODE(at_user, 32, "mov eax, ds; mov ebx, es; mov ecx, fs; int 0x40");
GUEST_CODE(iret_bad_ss, 32, "push 0x10; push 0x9000; push 2; push 0x1b; push 0x6800; iretd");
GUEST_CODE(iret_null_ss, 32, "push 0; push 0x9000; push 2; push 0x1b; push 0x6800; iretd");
GUEST_CODE(user_iret, 32, "push 0x3202; push 0x1b; push 0x6800; iretd");
GUEST_CODE(retf_to_user, 32, "push 0x23; push 0x9000; push 0; push 0x1b; push 0x6800; retf 4");

static void test_return_outward(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, at_user);
	GUEST_EXECUTE(g, iret_to_user);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.cs, GUEST_SEL_CODE3);
	assert_int_equal(g->trap.ss, GUEST_SEL_DATA3);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
	assert_int_equal(g->trap.rflags, 0x3202);
	assert_int_equal(g->state->gpr[CPU_RAX], 0); /* DS was too privileged to stay */
	assert_int_equal(g->state->gpr[CPU_RBX], GUEST_SEL_DATA3);
	assert_int_equal(g->state->gpr[CPU_RCX], 0);
	guest_protected(g, 0);
	GUEST_EXECUTE(g, iret_bad_ss);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_SEL_DATA0);
	guest_protected(g, 0);
	GUEST_EXECUTE(g, iret_null_ss);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 0);
	guest_protected(g, 0);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, at_user);
	GUEST_EXECUTE(g, retf_to_user);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rsp, GUEST_STACK3 + 4);
}

/* At level 3 with IOPL 0 an IRET changes neither IF nor IOPL. */
static void test_iret_flags(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, at_user);
	GUEST_EXECUTE(g, user_iret);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rflags, 2);
}

/* ------- ports ------- */

GUEST_CODE(user_ports, 32, "mov dx, 0xf5; out dx, al; mov dx, 0xf4; in ax, dx; int 0x40");

static void protected_with_map(struct guest *g)
{
	guest_protected(g, 3);
	guest_write_u16(g, GUEST_TSS + 0x66, 0x100);
}

static void test_io_permission(void **state)
{
	struct guest *g = *state;
	gpa_t map = GUEST_TSS + 0x100;

	protected_with_map(g);
	guest_write_u32(g, map + 0xf4 / 8, 0xffffffcf); /* 0xf4 and 0xf5 allowed */
	g->state->gpr[CPU_RAX] = 0x99;
	GUEST_EXECUTE(g, user_ports);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->io_writes, 0x99);
	protected_with_map(g);
	guest_write_u32(g, map + 0xf4 / 8, 0xffffffdf); /* 0xf5 allowed, 0xf4 not */
	GUEST_EXECUTE(g, user_ports);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 9);
	/* The second byte of the map lies beyond the limit. */
	protected_with_map(g);
	guest_write_u32(g, map + 0xf4 / 8, 0);
	g->state->tr.limit = 0x100 + 0xf4 / 8;
	GUEST_EXECUTE(g, user_ports);
	assert_int_equal(g->trap.vector, 13);
	protected_with_map(g);
	g->state->rflags |= 0x3000;
	guest_write_u32(g, map + 0xf4 / 8, UINT32_MAX);
	GUEST_EXECUTE(g, user_ports);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
}

/* ------- questions about selectors ------- */

GUEST_CODE(ask_selectors, 32,
	   "mov ecx, 0x1b; lar eax, ecx; setz byte ptr [0xc000]; "
	   "mov ecx, 0x23; lsl ebx, ecx; setz byte ptr [0xc001]; "
	   "mov ecx, 0x10; lar edx, ecx; setz byte ptr [0xc002]; "
	   "mov ecx, 0x28; lsl esi, ecx; setz byte ptr [0xc003]; "
	   "mov ecx, 0x23; verr cx; setz byte ptr [0xc004]; "
	   "mov ecx, 0x1b; verw cx; setz byte ptr [0xc005]; "
	   "xor ecx, ecx; verr cx; setz byte ptr [0xc006]; "
	   "mov ecx, 0x6b; verr cx; setz byte ptr [0xc007]; "
	   "mov ecx, 0x10; mov edi, 0x3; arpl cx, di; setz byte ptr [0xc008]; int 0x40");

static void test_selector_questions(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3);
	GUEST_EXECUTE(g, ask_selectors);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->state->gpr[CPU_RAX], 0x00c0fb00);
	assert_int_equal(g->state->gpr[CPU_RBX], 0xffffffff);
	assert_int_equal(g->state->gpr[CPU_RCX], 0x13);
	assert_int_equal(guest_read_u64(g, GUEST_DATA), UINT64_C(0x0100000100000101));
	assert_int_equal(guest_read_u16(g, GUEST_DATA + 8) & 0xff, 1);
}

GUEST_CODE(umip_probe, 32, "sgdt [0xc000]");

static void test_umip(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 3);
	g->state->cr4 = 0x800;
	GUEST_EXECUTE(g, umip_probe);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_real_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real_far, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real_to_protected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_from_user, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_same_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delivery_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_double_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_gate_inner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_gate_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_level_transfers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_return_outward, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iret_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_permission, setup, teardown),
		cmocka_unit_test_setup_teardown(test_selector_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_umip, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
