/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engine table: faults and their error codes, segmentation, paging with accessed and dirty
 * bits, far transfers, task switches, system registers, interrupts, debugging, x87 and SSE
 * rounding.
 */

#define TABLE_FILE system
#include "lib_table.h"

#define CR4_PSE 0x10
#define CR4_SSE 0x600
#define CR0_WP 0x10000
#define CR0_AM 0x40000

/* ------- faults ------- */

LONG3(0, "ud2");
LONG3(0, "int3");
LONG3(0, ".byte 0xf1");
LONG3(0, "int 0x41");
LONG3(0, "hlt");
LONG3(0, "cli");
LONG3(0, "in al, dx");
LONG3(0, "out 0x80, al");
LONG3(0, "mov rax, cr0");
LONG3(0, "mov dr7, rax");
LONG3(0, "mov ecx, 0xc0000080; rdmsr");
LONG3(0, "invlpg [rbx]");
LONG3(0, "lgdt [rbx]");
LONG3(0, "ltr ax");
LONG3(0, "swapgs");
LONG3(0, "sysretq");
LONG3(0, "iretq");
LONG3(0, "clts");
LONG3(0, "wbinvd");
LONG3(0, "mov rax, 0x8000000000000000; mov rcx, qword ptr [rax]");
LONG3(0, "mov rsp, 0x8000000000000000; push rax");
LONG3(0, "mov rax, 0x8000000000000000; jmp rax");
LONG3(0, "mov eax, 0x7fffffff; mov ecx, dword ptr [rax]");
LONG3(0, "mov eax, 0x7fffffff; mov dword ptr [rax], ecx");
LONG3(0, "mov eax, 0x7ffff000; jmp rax");
LONG3(0, ".byte 0xf0; nop");
LONG3(0, ".byte 0x0f, 0xff");
LONG3(0, ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, "
	 "0x66, 0x66, "
	 "0x90");
LONG3(0, ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, "
	 "0x66, 0x66, "
	 "0x66, 0x90");
LONG3(0, ".byte 0x0e");
PROT3(0, "into");
PROT3(0, "mov al, 0x7f; inc al; into");
PROT3(0, "mov eax, 100; mov dword ptr [ebx], 0; mov dword ptr [ebx + 4], 50; bound eax, [ebx]");
PROT3(0, "mov eax, 50; mov dword ptr [ebx], 0; mov dword ptr [ebx + 4], 50; bound eax, [ebx]");
PROT3(0, "int 0x41");
PROT3(0, "cli");
PROT3(0, "sti");
PROT3(0, "in eax, dx");
PROT3(0, "hlt");
PROT3(0, "smsw eax");
PROT3(0, "str ax");
PROT3(0, "sgdt [ebx]");
V86(0, "pushf");
V86(0, "int 0x41");
V86(0, "cli");
V86(0, "mov eax, cr0");
V86(0, "mov ax, 0x1234; mov es, ax; mov bx, es");
REAL(0, "mov eax, cr0");
REAL(0, "mov eax, 0x12345; mov cl, byte ptr [eax]");
REAL(0, "mov bx, 0xffff; mov ax, word ptr [bx]");
REAL(0, "int 0x41");
REAL(0, "xor cx, cx; div cx");
REAL(0, "lldt ax");
REAL(0, "arpl ax, cx");

/* ------- segmentation ------- */

#define LOAD(seg, selector) PROT0(0, "mov eax, " #selector "; mov " #seg ", eax; mov ecx, " #seg)

LOAD(es, 0x10);
LOAD(ds, 0x23);
LOAD(fs, 0x78);
LOAD(gs, 0);
LOAD(ss, 0);
LOAD(ss, 0x13);
LOAD(ss, 0x70);
LOAD(ss, 0x78);
LOAD(es, 0x70);
LOAD(ds, 0x08);
LOAD(ds, 0x68);
LOAD(es, 0x28);
LOAD(fs, 0x100);
LOAD(gs, 0x14);
LOAD(es, 0x3c);
PROT0(0, "mov eax, 0; mov gs, eax; mov cl, byte ptr gs:[ebx]");
PROT0(0, "mov eax, 0x78; mov es, eax; mov byte ptr es:[ebx], 1");
PROT0(0, "mov byte ptr cs:[ebx], 1");
PROT0(0, "mov eax, 0x50; mov es, eax; mov cl, byte ptr es:[0xffff]");
PROT0(0, "mov eax, 0x50; mov es, eax; mov cx, word ptr es:[0xffff]");
PROT0(0, "mov eax, 0x50; mov ss, eax; mov esp, 0x20000; push eax");
PROT0(TF_ARITH & ~TF_ZF, "mov ecx, 0x10; lar eax, ecx");
PROT0(TF_ARITH & ~TF_ZF, "mov ecx, 0x70; lar eax, ecx; lsl edx, ecx");
PROT0(TF_ARITH & ~TF_ZF, "mov ecx, 0x48; lsl eax, ecx");
PROT0(TF_ARITH & ~TF_ZF, "mov ecx, 0x200; lsl eax, ecx");
PROT0(TF_ARITH & ~TF_ZF, "mov ecx, 0x78; verr cx; setz al; verw cx; setz dl");
PROT0(TF_ARITH & ~TF_ZF, "mov ecx, 0x08; verr cx; setz al; verw cx; setz dl");
PROT3(TF_ARITH & ~TF_ZF, "mov ecx, 0x10; verr cx; setz al; lar edx, ecx");
PROT3(0, "mov eax, 0x10; mov ds, eax");
PROT3(0, "mov eax, 0x23; mov es, eax; mov ecx, es");
PROT3(0, "mov eax, 0x13; arpl ax, cx");
PROT3(0, "mov ax, 0x10; mov cx, 3; arpl ax, cx");
PROT0(0, "mov dword ptr [ebx], 0x1234; mov word ptr [ebx + 4], 0x23; les eax, [ebx]; mov ecx, es");
PROT0(0, "mov dword ptr [ebx], 0x1234; mov word ptr [ebx + 4], 0x70; lfs eax, [ebx]");
PROT0(0, "sldt ax; str cx");
PROT0(0, "sgdt [ebx]; sidt [ebx + 8]");
PROT0(0, "smsw ax");
LONG0(0, "mov eax, 0x23; mov ds, eax; mov ecx, ds");
LONG0(0, "xor eax, eax; mov ss, eax; mov ecx, ss");
LONG0(0, "mov eax, 0x70; mov ss, eax");
LONG0(0, "sgdt [rbx]; str ax; sldt cx");

/* ------- far transfers ------- */

PROT0(0, "ljmp 0x08, 0x4410");
PROT0(0, "push 0x08; .byte 0x8d, 0x05; .long 1f - 0f; call 2f; 0: nop; 2: pop ecx; add eax, ecx; "
	 "push eax; retf; "
	 "1: mov edx, 7");
PROT0(0, "push 0x70; push 0x6000; retf");
PROT0(0, "push 0x10; push 0x6000; retf");
PROT0(0, "push 0; push 0x6000; retf");
PROT0(0, "push 0x1b; push 0x6000; retf");
PROT0(0, "push 0x23; push 0x9000; push 0x1b; push 0x4400; retf");
PROT0(0, "push 0x23; push 0x9000; push 0x1b; push 0x4400; retf 4");
PROT0(0, "push 0x202; push 0x08; push 0x4410; iret");
PROT0(0, "push 0x23; push 0x9000; push 0x202; push 0x1b; push 0x4400; iret");
PROT0(0, "push 0x10; push 0x9000; push 0x202; push 0x1b; push 0x4400; iret");
PROT3(0, "push 0x08; push 0x6000; retf");
PROT3(0, "push 0x68; push 0x6000; retf");
LONG0(0, "push 0x08; lea rax, [rip + 1f]; push rax; .byte 0x48, 0xcb; ud2; 1: mov edx, 5");
LONG0(0, "push 0x10; push 0x9000; push 0x202; push 0x08; lea rax, [rip + 1f]; push rax; "
	 "iretq; ud2; "
	 "1: mov edx, 6");
LONG0(0, "push 0x23; push 0x9000; push 0x202; push 0x1b; push 0x4400; iretq");
LONG0(0, "push 0x23; push 0x9000; push 0x202; push 0x8b; push 0x4400; iretq");
LONG0(0, "push 0; push 0x9000; push 0x202; push 0x08; mov rax, 0x8000000000000000; push "
	 "rax; iretq");
LONG0(0, "push 0x80; push 0x4400; .byte 0x48, 0xcb");
REAL(0, "push 0; push 0x4410; retf");

static void call_gate(struct guest *g)
{
	guest_gate(g, GUEST_SEL_FREE, 12, 3, GUEST_SEL_CODE0, GUEST_HANDLERS + 0x420, 2);
}

static void task_gate(struct guest *g)
{
	guest_gate(g, GUEST_SEL_FREE, 5, 3, GUEST_SEL_TSS2, 0, 0);
	guest_write_u32(g, GUEST_TSS2 + 0x20, GUEST_HANDLERS + 0x430);
	guest_write_u32(g, GUEST_TSS2 + 0x24, 2);
	guest_write_u32(g, GUEST_TSS2 + 0x38, GUEST_STACK1);
	for (unsigned int i = 0; i < 6; i++) {
		guest_write_u32(g, GUEST_TSS2 + 0x48 + 4 * i, i == 1 ? 0x08 : 0x10);
	}
	guest_write_u32(g, GUEST_TSS2 + 0x60, 0);
}

static void bad_task(struct guest *g)
{
	task_gate(g);
	guest_write_u32(g, GUEST_TSS2 + 0x50, GUEST_SEL_ABSENT); /* SS */
}

PROT0_WITH(call_gate, "lcall 0xa0, 0");
PROT0_WITH(call_gate, "ljmp 0xa0, 0");
PROT0_WITH(task_gate, "ljmp 0x90, 0");
PROT0_WITH(task_gate, "lcall 0x90, 0");
PROT0_WITH(task_gate, "ljmp 0xa0, 0");
PROT0_WITH(task_gate, "lcall 0xa0, 0");
PROT0_WITH(bad_task, "ljmp 0x90, 0");
PROT0(0, "ljmp 0x28, 0");
PROT0(0, "ljmp 0x70, 0");
PROT0(0, "lcall 0x38, 0");
PROT0(0, "lcall 0x10, 0");

/* ------- paging ------- */

static void wp(struct guest *g)
{
	g->state->cr0 |= CR0_WP;
}

/* Page 0xd000: not present; 0xe000: read-only; 0xf000: supervisor. */
static void pages(struct guest *g)
{
	guest_write_u32(g, GUEST_TABLES + 0x1000 + 0xd * 4, 0xd006);
	guest_write_u32(g, GUEST_TABLES + 0x1000 + 0xe * 4, 0xe005);
	guest_write_u32(g, GUEST_TABLES + 0x1000 + 0xf * 4, 0xf003);
}

static void pages_wp(struct guest *g)
{
	pages(g);
	wp(g);
}

static void large(struct guest *g)
{
	guest_write_u32(g, GUEST_TABLES + 4, 0x87);
	g->state->cr4 |= CR4_PSE;
}

static void large_reserved(struct guest *g)
{
	guest_write_u32(g, GUEST_TABLES + 4, 0x200087);
	g->state->cr4 |= CR4_PSE;
}

#define PAGING(define)                                                                             \
	define(0, pages, "mov eax, dword ptr [0xc000]");                                           \
	define(0, pages, "mov dword ptr [0xc000], eax");                                           \
	define(0, pages, "mov eax, dword ptr [0xd010]");                                           \
	define(0, pages, "mov dword ptr [0xd010], eax");                                           \
	define(0, pages, "mov eax, dword ptr [0xcffe]");                                           \
	define(0, pages, "mov dword ptr [0xcffe], eax");                                           \
	define(0, pages, "mov dword ptr [0xe000], eax");                                           \
	define(0, pages_wp, "mov dword ptr [0xe000], eax");                                        \
	define(0, pages, "mov eax, dword ptr [0xf000]");                                           \
	define(0, pages, "mov dword ptr [0xf000], eax");                                           \
	define(0, pages, "add dword ptr [0xdfff], eax");                                           \
	define(0, pages, "push dword ptr [0xd000]");                                               \
	define(0, pages, "pop dword ptr [0xd000]");                                                \
	define(0, pages, "mov ecx, 20; mov esi, 0xc800; mov edi, 0xcff0; rep movsb");              \
	define(0, pages, "mov ecx, 20; mov esi, 0xcff0; mov edi, 0xc000; rep movsd");              \
	define(0, pages, "mov eax, 0xd000; jmp eax");                                              \
	define(0, pages, "mov eax, 0xf000; jmp eax");                                              \
	define(0, pages, "mov eax, dword ptr [0x500000]");                                         \
	define(0, large, "mov eax, dword ptr [0x400000 + 0xc000]");                                \
	define(0, large, "mov dword ptr [0x400000 + 0xc000], eax");                                \
	define(0, large_reserved, "mov eax, dword ptr [0x400000]");                                \
	define(0, pages, "lock xadd dword ptr [0xe000], eax");                                     \
	define(0, pages_wp, "bts dword ptr [0xe000], 3");                                          \
	define(0, pages_wp, "cmpxchg dword ptr [0xe000], ecx")

PAGING(PAGED0);
PAGING(PAGED3);

PAGED0(0, pages, "mov eax, cr3; or dword ptr [0x11034], 1; mov cr3, eax; mov ecx, dword "
	 "ptr [0xd000]");
PAGED0(0, pages, "or dword ptr [0x11034], 1; invlpg [0xd000]; mov ecx, dword ptr [0xd000]");

static void no_execute(struct guest *g)
{
	guest_write_u64(g, GUEST_TABLES + 0x2008, UINT64_C(0x8000000000200087));
}

static void reserved64(struct guest *g)
{
	guest_write_u64(g, GUEST_TABLES + 0x2008, UINT64_C(0x0008000000200087));
}

LONG0_WITH(no_execute, "mov eax, 0x200000; jmp rax");
LONG0_WITH(no_execute, "mov eax, 0x200000; mov rcx, qword ptr [rax]");
LONG0_WITH(no_execute, "mov eax, 0x200000; mov qword ptr [rax], rcx");
LONG0_WITH(reserved64, "mov eax, 0x200000; mov rcx, qword ptr [rax]");
LONG3_WITH(no_execute, "mov eax, 0x200000; jmp rax");

/* ------- system registers ------- */

LONG0(0, "mov rax, cr0; mov rcx, cr4; mov rdx, cr3");
LONG0(0, "mov rax, cr0; btr rax, 0; mov cr0, rax");
LONG0(0, "mov rax, cr0; btr rax, 31; mov cr0, rax");
LONG0(0, "mov rax, cr0; bts rax, 29; mov cr0, rax");
LONG0(0, "mov rax, cr0; bts rax, 32; mov cr0, rax");
LONG0(0, "mov rax, cr4; btr rax, 5; mov cr4, rax");
LONG0(0, "mov rax, cr4; bts rax, 31; mov cr4, rax");
LONG0(0, "mov rax, 0x0010000000010000; mov cr3, rax");
LONG0(0, "mov eax, 5; mov cr8, rax; mov rcx, cr8");
LONG0(0, "mov eax, 0x100; mov cr8, rax");
LONG0(0, ".byte 0x0f, 0x20, 0xc8"); /* mov rax, cr1 */
LONG0(0, "mov eax, 0x12340; mov dr0, rax; mov rcx, dr0");
LONG0(0, "mov rax, 0x100000000; mov dr7, rax");
LONG0(0, "mov dr4, rax");
LONG0(0, "mov ecx, 0xc0000080; rdmsr");
LONG0(0, "mov ecx, 0xc0000080; mov eax, 0xd01; xor edx, edx; wrmsr; rdmsr");
LONG0(0, "mov ecx, 0xc0000080; mov eax, 0xc01; xor edx, edx; wrmsr");
LONG0(0, "mov ecx, 0xc0000080; mov eax, 0x80000d01; xor edx, edx; wrmsr");
LONG0(0, "mov ecx, 0xc0000081; mov eax, 0x1234; mov edx, 0x230008; wrmsr; xor eax, eax; rdmsr");
LONG0(0, "mov ecx, 0xc0000082; xor eax, eax; mov edx, 0x80000000; wrmsr");
LONG0(0, "mov ecx, 0xc0000100; mov eax, 0xc000; xor edx, edx; wrmsr; mov rcx, qword ptr fs:[8]");
LONG0(0, "mov ecx, 0xc0000101; mov eax, 0xc000; xor edx, edx; wrmsr; swapgs; mov ecx, 0xc0000102; "
	 "rdmsr");
LONG0(0, "mov ecx, 0x277; rdmsr");
LONG0(0, "mov ecx, 0x277; mov eax, 0x06060606; mov edx, eax; wrmsr; rdmsr");
LONG0(0, "mov ecx, 0x277; mov eax, 0x02020202; mov edx, eax; wrmsr");
LONG0(0, "mov ecx, 0x174; mov eax, 8; xor edx, edx; wrmsr; rdmsr");
LONG0(0, "mov ecx, 0x12345678; rdmsr");
LONG0(0, "mov ecx, 0x12345678; wrmsr");
LONG0(0, "xor ecx, ecx; xgetbv");
LONG0(0, "clts; mov rax, cr0; smsw ecx");
LONG0(0, "lgdt [rbx + 0x1000000]");
PROT0(0, "mov eax, cr0; and eax, 0xfffffffe; or eax, 0x80000000; mov cr0, eax");
PROT0(0, "mov eax, cr4; or eax, 0x10; mov cr4, eax; mov ecx, cr4");
PROT0(0, "mov ax, 0xf; lmsw ax; mov ecx, cr0");

/* ------- SYSCALL and interrupts ------- */

static void syscall_setup(struct guest *g)
{
	struct cpu_state *s = g->state;

	s->msrs[0] = (struct cpu_msr){ 0xc0000081, UINT64_C(0x0013000800000000) };
	s->msrs[1] = (struct cpu_msr){ 0xc0000082, GUEST_HANDLERS + 0x440 };
	s->msrs[2] = (struct cpu_msr){ 0xc0000084, 0x700 };
	s->msr_count = 3;
}

LONG3_WITH(syscall_setup, "syscall");
LONG0_WITH(syscall_setup, "mov ecx, 0x4400; mov r11, 0x202; sysretq");
LONG0(0, "int 0x42");
LONG0(0, "sti; nop; cli");
LONG0(0, "pushfq; or dword ptr [rsp], 0x100; popfq; nop; nop");
LONG0(0, "pushfq; or dword ptr [rsp], 0x100; popfq; mov eax, 0x10; mov ss, eax; nop; nop");
LONG3(0, "pushfq; or dword ptr [rsp], 0x100; popfq; inc rax; inc rax");
LONG3(0, "pushfq; or dword ptr [rsp], 0x40000; popfq; mov eax, dword ptr [rbx + 1]");
PROT0(0, "pushfd; or dword ptr [esp], 0x4000; popfd; iret");

static void data_breakpoint(struct guest *g)
{
	g->state->dr[0] = TABLE_DATA + 0x10;
	g->state->dr7 = 0x000d0402; /* write, 4 bytes, global */
}

static void code_breakpoint(struct guest *g)
{
	g->state->dr[1] = GUEST_CODE_ADDR + 2;
	g->state->dr7 = 0x00000408;
}

LONG0_WITH(data_breakpoint, "mov dword ptr [0xc010], eax; nop");
LONG0_WITH(data_breakpoint, "mov eax, dword ptr [0xc010]; nop");
LONG0_WITH(data_breakpoint, "mov byte ptr [0xc013], al; nop");
LONG0_WITH(code_breakpoint, "nop; nop; nop; nop");

/* ------- x87 and SSE: rounding and its flags ------- */

static void sse(struct guest *g)
{
	g->state->cr4 |= CR4_SSE;
}

static void am(struct guest *g)
{
	g->state->cr0 |= CR0_AM;
}

LONG3_WITH(am, "pushfq; or dword ptr [rsp], 0x40000; popfq; mov eax, dword ptr [rbx + 1]");
LONG3_WITH(am, "pushfq; or dword ptr [rsp], 0x40000; popfq; mov ax, word ptr [rbx + 2]");

#define X87(text)                                                                                  \
	LONG3(0, "fninit; " text "; fstp qword ptr [rbx]; fnstsw ax; mov word ptr [rbx + 8], ax")
#define X87_ROUND(control, text)                                                                   \
	X87("mov word ptr [rbx], " #control "; fldcw word ptr [rbx]; " text)
#define X87_MODES(text)                                                                            \
	X87_ROUND(0x37f, text);                                                                    \
	X87_ROUND(0x77f, text);                                                                    \
	X87_ROUND(0xb7f, text);                                                                    \
	X87_ROUND(0xf7f, text);                                                                    \
	X87_ROUND(0x07f, text)

X87("fld1; fldpi; faddp");
X87_MODES("fldpi; fldl2e; fdivp");
X87_MODES("fldln2; fsqrt");
X87_MODES("fldpi; frndint");
X87_MODES("fldl2t; fldlg2; fmulp");
X87("fldz; fld1; fdivrp");
X87("fldz; fldz; fdivp");
X87("fld1; fchs; fsqrt");
X87("fldpi; fld1; fxch; fsubp");
X87("faddp");
X87("fld1; fld1; fcomip st, st(1); setz al");
LONG3(0, "fninit; fldpi; fistp dword ptr [rbx]; fldpi; fbstp tbyte ptr [rbx + 8]");
LONG3(0, "fninit; fldpi; fstp tbyte ptr [rbx]; fld tbyte ptr [rbx]; fld1; fcompp; fnstsw ax");

#define SSE(control, text)                                                                         \
	LONG3_WITH(sse, "mov dword ptr [rbx], " #control "; ldmxcsr [rbx]; " text                  \
			"; movups [rbx + 16], xmm0; stmxcsr [rbx + 4]")
#define SSE_MODES(text)                                                                            \
	SSE(0x1f80, text);                                                                         \
	SSE(0x3f80, text);                                                                         \
	SSE(0x5f80, text);                                                                         \
	SSE(0x7f80, text);                                                                         \
	SSE(0x9fc0, text)

#define ONE_THIRD "mov eax, 1; cvtsi2sd xmm0, eax; mov eax, 3; cvtsi2sd xmm1, eax; "
SSE_MODES(ONE_THIRD "divsd xmm0, xmm1");
SSE_MODES(ONE_THIRD "sqrtsd xmm0, xmm1");
SSE_MODES(ONE_THIRD "cvtsd2ss xmm0, xmm1; divss xmm0, xmm0");
SSE_MODES("mov rax, 0x3ff8000000000001; movq xmm0, rax; cvtsd2si rcx, xmm0; cvttsd2si edx, xmm0");
SSE_MODES("mov rax, 0x0008000000000001; movq xmm0, rax; addsd xmm0, xmm0; mulsd xmm0, xmm0");
SSE(0x1d80, ONE_THIRD "xorps xmm1, xmm1; divsd xmm0, xmm1");
SSE(0x0f80, ONE_THIRD "divsd xmm0, xmm1");
SSE(0x1f80, "movups xmm0, [rsi]; paddb xmm0, [rdi]; pmullw xmm0, xmm0");
SSE(0x1f80, "movups xmm0, [rsi]; movaps xmm1, [rsi + 1]");
SSE(0x12345678, "nop");
LONG3(0, "addps xmm0, xmm1");
