/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System behaviour of the soft engine in real and 32-bit protected mode: every fault of the
 * system instructions and segment loads, gates and privilege changes, IRET. Expected values are
 * from Intel SDM vol. 2 (the instructions' "Exceptions") and vol. 3, chapters 5 and 6.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/engines.h"
#include "lib_guest.h"

#define FLAG_IF 0x200
#define FLAG_TF 0x100

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

/* ------- faults of single instructions ------- */

/**
 * struct fault_case - a snippet whose last instruction faults, as "system instruction: exception"
 * @offset: of the faulting instruction in the snippet
 * @vector: -1 when it must not fault; @error: its error code
 */
struct fault_case {
	const char *name;
	const uint8_t *code;
	const uint8_t *end;
	unsigned int cpl;
	int vector;
	uint32_t error;
	uint32_t offset;
};

#define FAULT(cpl_, vector_, error_, offset_, name_)                                               \
	{                                                                                          \
		.name = #name_, .code = name_, .end = name_##_end, .cpl = (cpl_),                  \
		.vector = (vector_), .error = (error_), .offset = (offset_)                        \
	}

GUEST_CODE(load_absent_ds, 32, "mov eax, 0x70; mov ds, eax");
GUEST_CODE(load_absent_ss, 32, "mov eax, 0x70; mov ss, eax");
GUEST_CODE(load_null_ss, 32, "xor eax, eax; mov ss, eax");
GUEST_CODE(load_null_ds, 32, "xor eax, eax; mov ds, eax; int 0x40");
GUEST_CODE(use_null_ds, 32, "xor eax, eax; mov ds, eax; mov eax, [0xc000]");
GUEST_CODE(load_rpl_ss, 32, "mov eax, 0x23; mov ss, eax");
GUEST_CODE(load_dpl_ss, 32, "mov eax, 0x20; mov ss, eax");
GUEST_CODE(load_readonly_ss, 32, "mov eax, 0x78; mov ss, eax");
GUEST_CODE(load_code_ss, 32, "mov eax, 0x08; mov ss, eax");
GUEST_CODE(load_beyond_gdt, 32, "mov eax, 0x100; mov es, eax");
GUEST_CODE(load_beyond_ldt, 32, "mov eax, 0x44; mov fs, eax");
GUEST_CODE(load_tss_ds, 32, "mov eax, 0x28; mov gs, eax");
GUEST_CODE(load_code_ds, 32, "mov eax, 0x08; mov ds, eax; int 0x40");
GUEST_CODE(load_dpl0_ds, 32, "mov eax, 0x10; mov ds, eax");
GUEST_CODE(load_conforming_ds, 32, "mov eax, 0x6b; mov ds, eax; int 0x40");
GUEST_CODE(write_code, 32, "mov eax, 8; mov ds, eax; mov [0xc000], eax");
GUEST_CODE(write_readonly, 32, "mov eax, 0x78; mov ds, eax; mov [0xc000], eax");
GUEST_CODE(pop_absent_ds, 32, "push 0x70; pop ds");
GUEST_CODE(lds_absent, 32, "push 0x70; push 0; lds eax, [esp]");
GUEST_CODE(jmp_data, 32, ".byte 0xea; .long 0x6000; .word 0x10");
GUEST_CODE(jmp_null, 32, ".byte 0xea; .long 0x6000; .word 0");
GUEST_CODE(jmp_beyond, 32, ".byte 0xea; .long 0x6000; .word 0x100");
GUEST_CODE(jmp_dpl3, 32, ".byte 0xea; .long 0x6000; .word 0x18");
GUEST_CODE(jmp_rpl3, 32, ".byte 0xea; .long 0x6000; .word 0x0b");
GUEST_CODE(jmp_busy_tss, 32, ".byte 0xea; .long 0; .word 0x28");
GUEST_CODE(jmp_ldt, 32, ".byte 0xea; .long 0; .word 0x38");
GUEST_CODE(jmp_limit, 32, ".byte 0xea; .long 0x10000; .word 0x48");
GUEST_CODE(call_data, 32, ".byte 0x9a; .long 0x6000; .word 0x10");
GUEST_CODE(call_inner, 32, ".byte 0x9a; .long 0x6000; .word 0x08");
GUEST_CODE(retf_null, 32, "push 0; push 0; retf");
GUEST_CODE(retf_inner, 32, "push 8; push 0x6000; retf");
GUEST_CODE(iret_null, 32, "push 2; push 0; push 0; iretd");
GUEST_CODE(iret_data, 32, "push 2; push 0x10; push 0x6000; iretd");
GUEST_CODE(int_dpl0, 32, "int 0x30");
GUEST_CODE(user_cli, 32, "cli");
GUEST_CODE(user_sti, 32, "sti");
GUEST_CODE(user_hlt, 32, "hlt");
GUEST_CODE(user_lgdt, 32, "lgdt [0xc000]");
GUEST_CODE(user_lidt, 32, "lidt [0xc000]");
GUEST_CODE(user_lldt, 32, "lldt ax");
GUEST_CODE(user_ltr, 32, "ltr ax");
GUEST_CODE(user_clts, 32, "clts");
GUEST_CODE(user_lmsw, 32, "lmsw ax");
GUEST_CODE(user_invd, 32, "invd");
GUEST_CODE(user_wbinvd, 32, "wbinvd");
GUEST_CODE(user_invlpg, 32, "invlpg [0xc000]");
GUEST_CODE(user_mov_cr, 32, "mov eax, cr0");
GUEST_CODE(user_set_cr, 32, "mov cr3, eax");
GUEST_CODE(user_mov_dr, 32, "mov eax, dr7");
GUEST_CODE(user_rdmsr, 32, "mov ecx, 0x10; rdmsr");
GUEST_CODE(user_wrmsr, 32, "mov ecx, 0x10; wrmsr");
GUEST_CODE(user_rdpmc, 32, "rdpmc");
GUEST_CODE(user_in, 32, "in al, 0xf6");
GUEST_CODE(user_out, 32, "mov dx, 0xf4; out dx, eax");
GUEST_CODE(user_xsetbv, 32, "xsetbv");
GUEST_CODE(user_sysexit, 32, "sysexit");
GUEST_CODE(user_swapgs, 32, ".byte 0x0f, 0x01, 0xf8");
GUEST_CODE(user_clac, 32, "clac");
GUEST_CODE(user_rdtsc, 32, "rdtsc; int 0x40");
GUEST_CODE(user_sldt, 32, "sldt ax; str bx; smsw cx; sgdt [0xc000]; int 0x40");
GUEST_CODE(lldt_data, 32, "mov ax, 0x10; lldt ax");
GUEST_CODE(lldt_ti, 32, "mov ax, 0x0c; lldt ax");
GUEST_CODE(ltr_null, 32, "xor eax, eax; ltr ax");
GUEST_CODE(ltr_busy, 32, "mov ax, 0x28; ltr ax");
GUEST_CODE(ltr_ti, 32, "mov ax, 0x0c; ltr ax");
GUEST_CODE(ltr_ldt, 32, "mov ax, 0x38; ltr ax");
GUEST_CODE(cr0_pg_no_pe, 32, "mov eax, 0x80000010; mov cr0, eax");
GUEST_CODE(cr0_nw_no_cd, 32, "mov eax, 0x20000011; mov cr0, eax");
GUEST_CODE(cr4_reserved, 32, "mov eax, 0x80000000; mov cr4, eax");
GUEST_CODE(cr4_pcide, 32, "mov eax, 0x20000; mov cr4, eax");
GUEST_CODE(cr1_undefined, 32, ".byte 0x0f, 0x20, 0xc8");
GUEST_CODE(msr_unknown, 32, "mov ecx, 0x12345; rdmsr");
GUEST_CODE(msr_pat_bad, 32, "mov ecx, 0x277; mov eax, 2; xor edx, edx; wrmsr");
GUEST_CODE(msr_efer_bad, 32, "mov ecx, 0xc0000080; mov eax, 0x1000; xor edx, edx; wrmsr");
GUEST_CODE(msr_apic_bad, 32, "mov ecx, 0x1b; mov eax, 0xfee00401; xor edx, edx; wrmsr");
GUEST_CODE(xgetbv_off, 32, "xor ecx, ecx; xgetbv");
GUEST_CODE(xsetbv_x87, 32, "mov eax, 0x40000; mov cr4, eax; xor ecx, ecx; xor edx, edx; "
			   "xor eax, eax; xsetbv");
GUEST_CODE(xsetbv_avx, 32, "mov eax, 0x40000; mov cr4, eax; xor ecx, ecx; xor edx, edx; "
			   "mov eax, 5; xsetbv");
GUEST_CODE(dr4_extended, 32, "mov eax, 8; mov cr4, eax; mov eax, dr4");
GUEST_CODE(dr4_alias, 32, "mov eax, dr4; out 0xf4, al");
GUEST_CODE(rsm_outside, 32, "rsm");
GUEST_CODE(vmx_absent, 32, "vmxoff");
GUEST_CODE(svm_absent, 32, ".byte 0x0f, 0x01, 0xd8");
GUEST_CODE(monitor_absent, 32, "monitor");
GUEST_CODE(syscall_legacy, 32, "syscall");
GUEST_CODE(sysenter_null, 32, "sysenter");
GUEST_CODE(into_clear, 32, "xor eax, eax; into; out 0xf4, al");
GUEST_CODE(into_set, 32, "mov al, 0x7f; inc al; into; nop");
GUEST_CODE(invpcid_type, 32, "mov eax, 4; invpcid eax, [0xc000]");

static const struct fault_case fault_cases[] = {
	FAULT(0, 11, 0x70, 5, load_absent_ds),
	FAULT(0, 12, 0x70, 5, load_absent_ss),
	FAULT(0, 13, 0, 2, load_null_ss),
	FAULT(3, -1, 0, 0, load_null_ds),
	FAULT(0, 13, 0, 4, use_null_ds),
	FAULT(0, 13, 0x20, 5, load_rpl_ss),
	FAULT(0, 13, 0x20, 5, load_dpl_ss),
	FAULT(0, 13, 0x78, 5, load_readonly_ss),
	FAULT(0, 13, 0x08, 5, load_code_ss),
	FAULT(0, 13, 0x100, 5, load_beyond_gdt),
	FAULT(0, 13, 0x44, 5, load_beyond_ldt),
	FAULT(0, 13, 0x28, 5, load_tss_ds),
	FAULT(0, -1, 0, 0, load_code_ds),
	FAULT(3, 13, 0x10, 5, load_dpl0_ds),
	FAULT(3, -1, 0, 0, load_conforming_ds),
	FAULT(0, 13, 0, 7, write_code),
	FAULT(0, 13, 0, 7, write_readonly),
	FAULT(0, 11, 0x70, 2, pop_absent_ds),
	FAULT(0, 11, 0x70, 4, lds_absent),
	FAULT(0, 13, 0x10, 0, jmp_data),
	FAULT(0, 13, 0, 0, jmp_null),
	FAULT(0, 13, 0x100, 0, jmp_beyond),
	FAULT(0, 13, 0x18, 0, jmp_dpl3),
	FAULT(0, 13, 0x08, 0, jmp_rpl3),
	FAULT(0, 13, 0x28, 0, jmp_busy_tss),
	FAULT(0, 13, 0x38, 0, jmp_ldt),
	FAULT(0, 13, 0, 0, jmp_limit),
	FAULT(0, 13, 0x10, 0, call_data),
	FAULT(3, 13, 0x08, 0, call_inner),
	FAULT(0, 13, 0, 4, retf_null),
	FAULT(3, 13, 0x08, 7, retf_inner),
	FAULT(0, 13, 0, 6, iret_null),
	FAULT(0, 13, 0x10, 9, iret_data),
	FAULT(3, 13, 0x182, 0, int_dpl0),
	FAULT(3, 13, 0, 0, user_cli),
	FAULT(3, 13, 0, 0, user_sti),
	FAULT(3, 13, 0, 0, user_hlt),
	FAULT(3, 13, 0, 0, user_lgdt),
	FAULT(3, 13, 0, 0, user_lidt),
	FAULT(3, 13, 0, 0, user_lldt),
	FAULT(3, 13, 0, 0, user_ltr),
	FAULT(3, 13, 0, 0, user_clts),
	FAULT(3, 13, 0, 0, user_lmsw),
	FAULT(3, 13, 0, 0, user_invd),
	FAULT(3, 13, 0, 0, user_wbinvd),
	FAULT(3, 13, 0, 0, user_invlpg),
	FAULT(3, 13, 0, 0, user_mov_cr),
	FAULT(3, 13, 0, 0, user_set_cr),
	FAULT(3, 13, 0, 0, user_mov_dr),
	FAULT(3, 13, 0, 5, user_rdmsr),
	FAULT(3, 13, 0, 5, user_wrmsr),
	FAULT(3, 13, 0, 0, user_rdpmc),
	FAULT(3, 13, 0, 0, user_in),
	FAULT(3, 13, 0, 4, user_out),
	FAULT(3, 6, 0, 0, user_xsetbv),
	FAULT(3, 13, 0, 0, user_sysexit),
	FAULT(3, 6, 0, 0, user_swapgs),
	FAULT(3, 6, 0, 0, user_clac),
	FAULT(3, -1, 0, 0, user_rdtsc),
	FAULT(3, -1, 0, 0, user_sldt),
	FAULT(0, 13, 0x10, 4, lldt_data),
	FAULT(0, 13, 0x0c, 4, lldt_ti),
	FAULT(0, 13, 0, 2, ltr_null),
	FAULT(0, 13, 0x28, 4, ltr_busy),
	FAULT(0, 13, 0x0c, 4, ltr_ti),
	FAULT(0, 13, 0x38, 4, ltr_ldt),
	FAULT(0, 13, 0, 5, cr0_pg_no_pe),
	FAULT(0, 13, 0, 5, cr0_nw_no_cd),
	FAULT(0, 13, 0, 5, cr4_reserved),
	FAULT(0, 13, 0, 5, cr4_pcide),
	FAULT(0, 6, 0, 0, cr1_undefined),
	FAULT(0, 13, 0, 5, msr_unknown),
	FAULT(0, 13, 0, 12, msr_pat_bad),
	FAULT(0, 13, 0, 12, msr_efer_bad),
	FAULT(0, 13, 0, 12, msr_apic_bad),
	FAULT(0, 6, 0, 2, xgetbv_off),
	FAULT(0, 13, 0, 14, xsetbv_x87),
	FAULT(0, 13, 0, 17, xsetbv_avx),
	FAULT(0, 6, 0, 8, dr4_extended),
	FAULT(0, -1, 0, 0, dr4_alias),
	FAULT(0, 6, 0, 0, rsm_outside),
	FAULT(0, 6, 0, 0, vmx_absent),
	FAULT(0, 6, 0, 0, svm_absent),
	FAULT(0, 6, 0, 0, monitor_absent),
	FAULT(0, 6, 0, 0, syscall_legacy),
	FAULT(0, 13, 0, 0, sysenter_null),
	FAULT(0, -1, 0, 0, into_clear),
	FAULT(0, 4, 0, 5, into_set),
	FAULT(0, 13, 0, 5, invpcid_type),
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

		guest_protected(g, c->cpl);
		guest_write(g, GUEST_CODE_ADDR, c->code, (size_t)(c->end - c->code));
		guest_run(g);
		failures += !check_fault(g, c);
	}
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
