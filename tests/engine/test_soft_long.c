/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Long mode on the soft engine: entering and leaving it, the 64-bit IDT with interrupt stacks,
 * system calls, compatibility mode, 64-bit call gates, canonical checks. Intel SDM vol. 3,
 * 6.14, 9.8.5; vol. 2; AMD APM vol. 2, chapters 4 and 6.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/engines.h"
#include "engine/msr.h"
#include "lib_guest.h"

#define FLAG_CF 0x1
#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_RF 0x10000
#define CR4_FSGSBASE 0x10000
#define CR4_SMAP 0x200000

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

static void set_msr(struct guest *g, uint32_t index, uint64_t value)
{
	for (uint32_t i = 0; i < g->state->msr_count; i++) {
		if (g->state->msrs[i].index == index) {
			g->state->msrs[i].value = value;
		}
	}
}

/* ------- faults of single instructions ------- */

struct fault_case {
	const char *name;
	const uint8_t *code;
	const uint8_t *end;
	unsigned int cpl;
	bool compat;
	int vector;
	uint32_t error;
	uint32_t offset;
};

#define FAULT(cpl_, compat_, vector_, error_, offset_, name_)                                      \
	{                                                                                          \
		.name = #name_, .code = name_, .end = name_##_end, .cpl = (cpl_),                  \
		.compat = (compat_), .vector = (vector_), .error = (error_), .offset = (offset_)   \
	}

GUEST_CODE(load_null_ss, 64, "xor eax, eax; mov ss, eax; out 0xf4, al");
GUEST_CODE(load_null_ss_rpl3, 64, "mov eax, 3; mov ss, eax");
GUEST_CODE(user_null_ss, 64, "mov eax, 3; mov ss, eax");
GUEST_CODE(compat_null_ss, 32, "xor eax, eax; mov ss, eax");
GUEST_CODE(read_noncanonical, 64, "mov rax, 0x800000000000; mov eax, [rax]");
GUEST_CODE(stack_noncanonical, 64, "mov rbp, 0x800000000000; mov eax, [rbp]");
GUEST_CODE(push_noncanonical, 64, "mov rsp, 0x800000001000; push rax");
GUEST_CODE(lgdt_noncanonical, 64, "mov rax, 0x800000000000; mov [0xc002], rax; lgdt [0xc000]");
GUEST_CODE(jmp_noncanonical, 64, "mov rax, 0x800000000000; jmp rax");
GUEST_CODE(retf_noncanonical, 64, "push 8; mov rax, 0x800000000000; push rax; .byte 0x48, 0xcb");
GUEST_CODE(wrmsr_noncanonical, 64, "mov ecx, 0xc0000082; xor eax, eax; mov edx, 0x8000; wrmsr");
GUEST_CODE(wrfsbase_off, 64, "wrfsbase rax");
GUEST_CODE(user_swapgs, 64, "swapgs");
GUEST_CODE(user_sysret, 64, "sysretq");
GUEST_CODE(compat_syscall, 32, "syscall");
GUEST_CODE(compat_task, 32, ".byte 0xea; .long 0; .word 0x90");
GUEST_CODE(cr0_pg_off, 64, "mov eax, 0x11; mov cr0, rax");
GUEST_CODE(cr0_high, 64, "mov rax, 0x100000011; mov cr0, rax");
GUEST_CODE(cr3_high, 64, "mov rax, 0x10000000000000; mov cr3, rax");
GUEST_CODE(cr4_pae_off, 64, "xor eax, eax; mov cr4, rax");
GUEST_CODE(cr4_pcide_cr3, 64, "mov eax, 0x10005; mov cr3, rax; mov eax, 0x20020; mov cr4, rax");
GUEST_CODE(cr8_high, 64, "mov eax, 16; mov cr8, rax");
GUEST_CODE(dr7_high, 64, "mov rax, 0x100000000; mov dr7, rax");
GUEST_CODE(efer_lme, 64, "mov ecx, 0xc0000080; mov eax, 1; xor edx, edx; wrmsr");
GUEST_CODE(iret_nt, 64, "pushfq; or dword ptr [rsp], 0x4000; popfq; iretq");
GUEST_CODE(jmp_l_and_d, 64, "push 0xa0; push 0x6800; .byte 0x48, 0xcb");
GUEST_CODE(les_gone, 64, ".byte 0xc4, 0xc0, 0, 0");
GUEST_CODE(into_gone, 64, ".byte 0xce");
GUEST_CODE(ltr_64, 64, "mov ax, 0x28; ltr ax");

static const struct fault_case fault_cases[] = {
	FAULT(0, false, -1, 0, 0, load_null_ss),
	FAULT(0, false, 13, 0, 5, load_null_ss_rpl3),
	FAULT(3, false, 13, 0, 5, user_null_ss),
	FAULT(0, true, 13, 0, 2, compat_null_ss),
	FAULT(0, false, 13, 0, 10, read_noncanonical),
	FAULT(0, false, 12, 0, 10, stack_noncanonical),
	FAULT(3, false, 12, 0, 10, push_noncanonical),
	FAULT(0, false, 13, 0, 18, lgdt_noncanonical),
	FAULT(0, false, 13, 0, 10, jmp_noncanonical),
	FAULT(0, false, 13, 0, 13, retf_noncanonical),
	FAULT(0, false, 13, 0, 12, wrmsr_noncanonical),
	FAULT(0, false, 6, 0, 0, wrfsbase_off),
	FAULT(3, false, 13, 0, 0, user_swapgs),
	FAULT(3, false, 13, 0, 0, user_sysret),
	FAULT(3, true, 6, 0, 0, compat_syscall),
	FAULT(0, true, 13, 0x90, 0, compat_task),
	FAULT(0, false, 13, 0, 5, cr0_pg_off),
	FAULT(0, false, 13, 0, 10, cr0_high),
	FAULT(0, false, 13, 0, 10, cr3_high),
	FAULT(0, false, 13, 0, 2, cr4_pae_off),
	FAULT(0, false, 13, 0, 13, cr4_pcide_cr3),
	FAULT(0, false, 13, 0, 5, cr8_high),
	FAULT(0, false, 13, 0, 10, dr7_high),
	FAULT(0, false, 13, 0, 12, efer_lme),
	FAULT(0, false, 13, 0, 9, iret_nt),
	FAULT(0, false, 13, 0xa0, 10, jmp_l_and_d),
	FAULT(0, false, 6, 0, 0, les_gone),
	FAULT(0, false, 6, 0, 0, into_gone),
	FAULT(0, false, 13, 0x28, 4, ltr_64),
};

static bool check_fault(struct guest *g, const struct fault_case *c)
{
	int vector = g->trap.vector == GUEST_END_VECTOR ? -1 : g->trap.vector;

	if (vector == c->vector &&
	    (vector == -1 || (g->trap.error == c->error &&
			      g->trap.rip == GUEST_CODE_ADDR + c->offset &&
			      (g->trap.cs & 3) == c->cpl))) {
		return true;
	}
	print_error("%s: vector %d error 0x%llx at +0x%llx, expected %d error 0x%x at +0x%x\n",
		    c->name, vector, (unsigned long long)g->trap.error,
		    (unsigned long long)g->trap.rip - GUEST_CODE_ADDR, c->vector, c->error,
		    c->offset);
	return false;
}

static void test_faults(void **state)
{
	struct guest *g = *state;
	unsigned int failures = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fault_cases); i++) {
		const struct fault_case *c = &fault_cases[i];

		guest_long(g, c->cpl, c->compat);
		guest_descriptor(g, GUEST_SEL_FREE, 0, 0xfffff, 0xe09b); /* L and D */
		/* #SS must not need the stack that was bad. */
		guest_idt_gate(g, 12, 14, 0, GUEST_SEL_CODE0, GUEST_HANDLERS + 12 * 16, 1);
		guest_write(g, GUEST_CODE_ADDR, c->code, (size_t)(c->end - c->code));
		guest_run(g);
		failures += !check_fault(g, c);
	}
	assert_int_equal(failures, 0);
}

/* ------- interrupts ------- */

GUEST_CODE(user_int, 64, "stc; int 0x40");
GUEST_CODE(kernel_int3, 64, "sub rsp, 8; int3");

static void test_interrupt(void **state)
{
	struct guest *g = *state;

	guest_long(g, 3, false);
	g->state->rflags = 0x202;
	GUEST_EXECUTE(g, user_int);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 3);
	assert_int_equal(g->trap.cs, GUEST_SEL_CODE3);
	assert_int_equal(g->trap.rflags, 0x203);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
	assert_int_equal(g->trap.ss, GUEST_SEL_DATA3);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 48);
	/* SS is null with the new CPL. */
	assert_int_equal(g->state->seg[CPU_SS].selector, 0);
	assert_true(g->state->seg[CPU_SS].attr & CPU_SEG_UNUSABLE);
	/* The same level: SS:RSP all the same, on an aligned stack. */
	guest_long(g, 0, false);
	GUEST_EXECUTE(g, kernel_int3);
	assert_int_equal(g->trap.vector, 3);
	assert_int_equal(g->trap.rsp, GUEST_STACK0 - 8);
	assert_int_equal(g->trap.ss, GUEST_SEL_DATA0);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_STACK0 - 16 - 48);
	assert_int_equal(g->state->seg[CPU_SS].selector, GUEST_SEL_DATA0);
	/* With an interrupt stack. */
	guest_long(g, 0, false);
	guest_idt_gate(g, 3, 14, 0, GUEST_SEL_CODE0, GUEST_HANDLERS + 3 * 16, 1);
	GUEST_EXECUTE(g, kernel_int3);
	assert_int_equal(g->state->gpr[CPU_RSP], GUEST_IST1 - 48);
	assert_int_equal(g->trap.rsp, GUEST_STACK0 - 8);
	/* From compatibility mode. */
	guest_long(g, 3, true);
	GUEST_EXECUTE(g, user_int);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.cs, GUEST_SEL_COMPAT3);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
}

GUEST_CODE(undefined, 64, "ud2");

static void test_delivery_faults(void **state)
{
	struct guest *g = *state;

	/* The handler's segment is no 64-bit code. */
	guest_long(g, 0, false);
	guest_idt_gate(g, 6, 14, 0, GUEST_SEL_COMPAT0, GUEST_HANDLERS + 6 * 16, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, GUEST_SEL_COMPAT0 + 1);
	/* A type that long mode does not know. */
	guest_long(g, 0, false);
	guest_idt_gate(g, 6, 5, 0, GUEST_SEL_TSS2, 0, 0);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 6 * 8 + 2 + 1);
	/* An interrupt stack that is not canonical. */
	guest_long(g, 0, false);
	guest_write_u64(g, GUEST_TSS + 36, UINT64_C(0x800000001000));
	guest_idt_gate(g, 6, 14, 0, GUEST_SEL_CODE0, GUEST_HANDLERS + 6 * 16, 1);
	GUEST_EXECUTE(g, undefined);
	assert_int_equal(g->trap.vector, 12);
	assert_int_equal(g->trap.error, 1);
}

/* ------- system calls ------- */

GUEST_CODE(do_syscall, 64, "stc; syscall; int 0x40");
GUEST_CODE(syscall_entry, 64, "mov ebx, cs; mov edx, ss; mov rsi, rcx; mov rdi, r11; pushfq; "
			      "pop rbp; swapgs; mov r8, gs:[0]; swapgs; sysretq");
GUEST_CODE(syscall_compat, 64, "mov ecx, 0x6100; mov r11d, 0x202; .byte 0x0f, 0x07");
GUEST_CODE(in_compat, 32, "mov ebx, cs; mov edx, ss; int 0x40");

static void set_syscall_msrs(struct guest *g)
{
	set_msr(g, MSR_STAR, UINT64_C(0x001b000800000000));
	set_msr(g, MSR_LSTAR, GUEST_CODE2_ADDR);
	set_msr(g, MSR_SFMASK, FLAG_IF | FLAG_TF);
	set_msr(g, MSR_KERNEL_GS_BASE, GUEST_DATA);
	guest_write_u64(g, GUEST_DATA, UINT64_C(0x1122334455667788));
}

static void test_syscall(void **state)
{
	struct guest *g = *state;

	guest_long(g, 3, false);
	set_syscall_msrs(g);
	g->state->rflags = 0x202;
	GUEST_LOAD(g, GUEST_CODE2_ADDR, syscall_entry);
	GUEST_EXECUTE(g, do_syscall);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 5);
	assert_int_equal(g->trap.cs, 0x2b); /* STAR[63:48] + 16, RPL 3 */
	assert_int_equal(g->trap.ss, 0x23);
	assert_int_equal(g->trap.rflags, 0x203);
	assert_int_equal(g->state->gpr[CPU_RBX], 8);
	assert_int_equal(g->state->gpr[CPU_RDX], 0x10);
	assert_int_equal(g->state->gpr[CPU_RSI], GUEST_CODE_ADDR + 3);
	assert_int_equal(g->state->gpr[CPU_RDI], 0x203);
	assert_int_equal(g->state->gpr[CPU_RBP], 3);
	assert_int_equal(g->state->gpr[CPU_R8], UINT64_C(0x1122334455667788));
	/* To compatibility mode. */
	guest_long(g, 0, false);
	set_syscall_msrs(g);
	GUEST_LOAD(g, 0x6100, in_compat);
	GUEST_EXECUTE(g, syscall_compat);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->state->gpr[CPU_RBX], 0x1b);
	assert_int_equal(g->state->gpr[CPU_RDX], 0x23);
}

GUEST_CODE(do_sysenter, 32, "sysenter");
GUEST_CODE(sysenter_entry, 64, "mov ebx, cs; mov esi, ss; mov rdi, rsp; mov edx, 0x6100; "
			       "mov ecx, 0x9000; .byte 0x0f, 0x35");

static void test_sysenter(void **state)
{
	struct guest *g = *state;

	guest_long(g, 3, true);
	g->state->rflags = 0x202;
	set_msr(g, MSR_SYSENTER_CS, 8);
	set_msr(g, MSR_SYSENTER_ESP, GUEST_STACK0);
	set_msr(g, MSR_SYSENTER_EIP, GUEST_CODE2_ADDR);
	/* SYSEXIT's CS is MSR + 16, SS + 24. */
	guest_descriptor(g, 0x18, 0, 0xfffff, 0xc0fb);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, sysenter_entry);
	GUEST_LOAD(g, 0x6100, in_compat);
	GUEST_EXECUTE(g, do_sysenter);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.cs, 0x1b);
	assert_int_equal(g->trap.ss, 0x23);
	assert_int_equal(g->trap.rsp, 0x9000);
	assert_int_equal(g->trap.rflags & FLAG_IF, 0);
	assert_int_equal(g->state->gpr[CPU_RSI], 0x10);
	assert_int_equal(g->state->gpr[CPU_RDI], GUEST_STACK0);
}

/* ------- other transfers ------- */

GUEST_CODE(call_gate64, 64, "call fword ptr [0xc000]; int 0x40");
GUEST_CODE(gate_target64, 64, "mov rax, [rsp]; mov rbx, [rsp+8]; mov rcx, [rsp+16]; "
			      "mov rdx, [rsp+24]; mov esi, ss; .byte 0x48, 0xcb");

static void test_call_gate(void **state)
{
	struct guest *g = *state;

	guest_long(g, 3, false);
	guest_gate(g, GUEST_SEL_FREE, 12, 3, GUEST_SEL_CODE0, GUEST_CODE2_ADDR, 0);
	guest_write_u64(g, GUEST_GDT + GUEST_SEL_FREE + 8, 0);
	guest_write_u32(g, GUEST_DATA, 0);
	guest_write_u16(g, GUEST_DATA + 4, GUEST_SEL_FREE | 3);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, gate_target64);
	GUEST_EXECUTE(g, call_gate64);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->state->gpr[CPU_RAX], GUEST_CODE_ADDR + 7);
	assert_int_equal(g->state->gpr[CPU_RBX], GUEST_SEL_CODE3);
	assert_int_equal(g->state->gpr[CPU_RCX], GUEST_STACK3);
	assert_int_equal(g->state->gpr[CPU_RDX], GUEST_SEL_DATA3);
	assert_int_equal(g->state->gpr[CPU_RSI], 0);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
}

GUEST_CODE(iretq_to_compat, 64, "push 0x23; push 0x9000; push 0x202; push 0x8b; push 0x6100; "
				"iretq");
GUEST_CODE(iretq_same, 64, "push 0; push 0x7000; push 2; push 8; push 0x6100; iretq");
GUEST_CODE(in_long, 64, "mov rbx, rsp; mov edx, ss; out 0xf4, al");

static void test_iretq(void **state)
{
	struct guest *g = *state;

	guest_long(g, 0, false);
	GUEST_LOAD(g, 0x6100, in_compat);
	GUEST_EXECUTE(g, iretq_to_compat);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.cs, GUEST_SEL_COMPAT3);
	assert_int_equal(g->trap.rsp, GUEST_STACK3);
	/* IRETQ loads SS:RSP also at the same level, where SS may be null. */
	guest_long(g, 0, false);
	GUEST_LOAD(g, 0x6100, in_long);
	GUEST_EXECUTE(g, iretq_same);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RBX], 0x7000);
	assert_int_equal(g->state->gpr[CPU_RDX], 0);
}

/* From protected mode into long mode and back, as SDM vol. 3, 9.8.5 has it. */
GUEST_CODE(enter_long, 32,
	   "mov eax, 0x20; mov cr4, eax; mov eax, 0x10000; mov cr3, eax; "
	   "mov ecx, 0xc0000080; rdmsr; or eax, 0x100; wrmsr; "
	   "mov eax, cr0; or eax, 0x80000000; mov cr0, eax; rdmsr; mov edi, eax; "
	   ".byte 0xea; .long 0x6800; .word 0xa0");
GUEST_CODE(leave_long, 64, "mov rbx, 0x123456789abcdef0; push 8; push 0x6900; .byte 0x48, 0xcb");
GUEST_CODE(left_long, 32, "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; mov ecx, 0xc0000080; "
			  "rdmsr; mov esi, eax; and eax, 0xfffffeff; wrmsr; xor eax, eax; "
			  "mov cr4, eax; out 0xf4, al");

static void test_enter_and_leave(void **state)
{
	struct guest *g = *state;

	guest_long(g, 0, false); /* for the page tables */
	guest_protected(g, 0);
	guest_descriptor(g, GUEST_SEL_FREE, 0, 0xfffff, 0xa09b);
	GUEST_LOAD(g, GUEST_CODE2_ADDR, leave_long);
	GUEST_LOAD(g, 0x6900, left_long);
	GUEST_EXECUTE(g, enter_long);
	assert_int_equal(g->result, VCPU_EXIT_KICKED);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RDI], EFER_LME | EFER_LMA);
	assert_int_equal(g->state->gpr[CPU_RSI], EFER_LME);
	assert_int_equal(g->state->efer, 0);
	assert_int_equal(g->state->seg[CPU_CS].selector, 8);
	assert_int_equal((uint32_t)g->state->gpr[CPU_RBX], 0x9abcdef0);
}

GUEST_CODE(bases, 64, "mov rax, 0x1122334455; wrfsbase rax; rdfsbase rbx; mov eax, 0xc000; "
		      "wrgsbase rax; mov rdx, gs:[8]; rdgsbase ecx; xor eax, eax; mov fs, eax; "
		      "rdfsbase rsi; out 0xf4, al");

static void test_fsgsbase(void **state)
{
	struct guest *g = *state;

	guest_long(g, 0, false);
	g->state->cr4 |= CR4_FSGSBASE;
	guest_write_u64(g, GUEST_DATA + 8, 0x4242);
	GUEST_EXECUTE(g, bases);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RBX], UINT64_C(0x1122334455));
	assert_int_equal(g->state->gpr[CPU_RDX], 0x4242);
	assert_int_equal(g->state->gpr[CPU_RCX], GUEST_DATA);
	assert_int_equal(g->state->gpr[CPU_RSI], 0);
}

GUEST_CODE(smap_stac, 64, "stac; mov ebx, [0x300000]; clac; mov ecx, [0x300000]");

static void test_smap(void **state)
{
	struct guest *g = *state;

	/* Everything is a user page here, so only the part above 2 MiB is made one. */
	guest_long(g, 0, false);
	guest_write_u64(g, GUEST_TABLES + 0x2000, 0x83);
	g->state->cr4 |= CR4_SMAP;
	guest_write_u32(g, 0x300000, 0x5150);
	GUEST_EXECUTE(g, smap_stac);
	assert_int_equal(g->trap.vector, 14);
	assert_int_equal(g->trap.error, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 13);
	assert_int_equal(g->state->gpr[CPU_RBX], 0x5150);
	assert_int_equal(g->state->cr2, 0x300000);
}

GUEST_CODE(time_stamp, 64, "mov ecx, 0x10; mov eax, 0x1000; xor edx, edx; wrmsr; rdtscp; "
			   "mov esi, ecx; mov ecx, 0x3b; rdmsr; rdpid rdi; out 0xf4, al");

static void test_tsc(void **state)
{
	struct guest *g = *state;

	guest_long(g, 0, false);
	set_msr(g, MSR_TSC_AUX, 0x77);
	g->state->tsc = 0x5000;
	GUEST_EXECUTE(g, time_stamp);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RSI], 0x77);
	assert_int_equal(g->state->gpr[CPU_RDI], 0x77);
	assert_int_equal((uint32_t)g->state->gpr[CPU_RAX], (uint32_t)-0x4000);
	assert_int_equal(g->state->tsc, 0x1000);
	/* It follows the machine's clock: 2 GHz. */
	machine_clock_advance(g->clock, 1000);
	guest_run(g);
	assert_int_equal(g->state->tsc, 0x1000);
}

GUEST_CODE(kvm_clock, 64, "mov ecx, 0x4b564d01; mov eax, 0xc001; xor edx, edx; wrmsr; "
			  "mov ecx, 0x4b564d00; mov eax, 0xc100; wrmsr; mov eax, 7; vmcall; "
			  "out 0xf4, al");

static void test_kvm_clock(void **state)
{
	struct guest *g = *state;

	guest_long(g, 0, false);
	machine_clock_advance(g->clock, 5000);
	g->state->tsc = 0x123456;
	GUEST_EXECUTE(g, kvm_clock);
	assert_int_equal(g->trap.vector, -1);
	assert_int_equal(g->state->gpr[CPU_RAX], UINT64_MAX - 999); /* -KVM_ENOSYS */
	assert_int_equal(guest_read_u32(g, GUEST_DATA) & 1, 0);
	assert_int_not_equal(guest_read_u32(g, GUEST_DATA), 0);
	assert_int_equal(guest_read_u64(g, GUEST_DATA + 8), 0x123456);
	assert_int_equal(guest_read_u64(g, GUEST_DATA + 16), 5000);
	/* 2 GHz: half a nanosecond a tick. */
	assert_int_equal(guest_read_u32(g, GUEST_DATA + 24), 0x80000000);
	assert_int_equal(guest_read_u16(g, GUEST_DATA + 28), 0x100);
	assert_int_equal(guest_read_u32(g, GUEST_DATA + 0x100), 2);
	assert_true(guest_read_u32(g, GUEST_DATA + 0x104) > 1600000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delivery_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_syscall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sysenter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iretq, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enter_and_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fsgsbase, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tsc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kvm_clock, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
