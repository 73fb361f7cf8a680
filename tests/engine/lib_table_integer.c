/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engine table: every form of the integer instructions, in long mode for all sizes, and what only
 * 16- and 32-bit code has in its own modes.
 */

#define TABLE_FILE integer
#include "lib_table.h"

/* ------- two operands: register, immediate and memory forms of each size ------- */

#define BINARY(op, undefined)                                                                      \
	LONG3(undefined, #op " al, cl");                                                           \
	LONG3(undefined, #op " ah, dl");                                                           \
	LONG3(undefined, #op " ax, cx");                                                           \
	LONG3(undefined, #op " eax, ecx");                                                         \
	LONG3(undefined, #op " rax, r9");                                                          \
	LONG3(undefined, #op " dl, -0x80");                                                        \
	LONG3(undefined, #op " dx, 0x7fff");                                                       \
	LONG3(undefined, #op " edx, -1");                                                          \
	LONG3(undefined, #op " r10, 0x7fffffff");                                                  \
	LONG3(undefined, #op " byte ptr [rbx], al");                                               \
	LONG3(undefined, #op " word ptr [rbx + 8], dx");                                           \
	LONG3(undefined, #op " dword ptr [rbx + rsi - 0xc105], edx");                              \
	LONG3(undefined, #op " qword ptr [rsi + 0x41], r12");                                      \
	LONG3(undefined, #op " dword ptr [rdi], 0x12345678");                                      \
	PROT0(undefined, #op " eax, edx");                                                         \
	PROT0(undefined, #op " byte ptr [esi], cl");                                               \
	REAL(undefined, #op " ax, word ptr [bx + si - 0xc000]")

BINARY(add, 0);
BINARY(or, TF_AF);
BINARY(adc, 0);
BINARY(sbb, 0);
BINARY(and, TF_AF);
BINARY(sub, 0);
BINARY(xor, TF_AF);
BINARY(cmp, 0);
BINARY(test, TF_AF);
BINARY(mov, 0);

#define UNARY(op, undefined)                                                                       \
	LONG3(undefined, #op " al");                                                               \
	LONG3(undefined, #op " dx");                                                               \
	LONG3(undefined, #op " r8d");                                                              \
	LONG3(undefined, #op " rdx");                                                              \
	LONG3(undefined, #op " byte ptr [rbx]");                                                   \
	LONG3(undefined, #op " qword ptr [rsi + 5]");                                              \
	PROT0(undefined, #op " ecx");                                                              \
	REAL(undefined, #op " word ptr [si]")

UNARY(inc, 0);
UNARY(dec, 0);
UNARY(neg, 0);
UNARY(not, 0);

#define LOCKED(text, undefined) LONG3(undefined, "lock " text)

LOCKED("add dword ptr [rbx], eax", 0);
LOCKED("sub byte ptr [rbx + 1], cl", 0);
LOCKED("xadd qword ptr [rbx], rdx", 0);
LOCKED("inc word ptr [rsi]", 0);
LOCKED("xor qword ptr [rbx + 0x3d], r9", TF_AF);
LOCKED("cmpxchg dword ptr [rbx], ecx", 0);
LOCKED("bts dword ptr [rbx], 5", TF_OF | TF_SF | TF_AF | TF_PF);
LONG3(0, ".byte 0xf0; mov dword ptr [rbx], eax");
LONG3(0, ".byte 0xf0; add eax, ecx");

/* ------- shifts ------- */

#define SHIFT(op, undefined)                                                                       \
	LONG3(TF_AF, #op " al, 1");                                                                \
	LONG3((undefined) | TF_OF | TF_AF, #op " dl, 5");                                          \
	LONG3(TF_AF, #op " ax, 1");                                                                \
	LONG3((undefined) | TF_OF | TF_AF, #op " dx, cl");                                         \
	LONG3((undefined) | TF_OF | TF_AF, #op " eax, cl");                                        \
	LONG3((undefined) | TF_OF | TF_AF, #op " rdx, 33");                                        \
	LONG3((undefined) | TF_OF | TF_AF, #op " rax, cl");                                        \
	LONG3((undefined) | TF_OF | TF_AF, #op " dword ptr [rbx + 2], 7");                         \
	LONG3(TF_AF, #op " qword ptr [rbx], 1")

SHIFT(rol, 0);
SHIFT(ror, 0);
SHIFT(rcl, 0);
SHIFT(rcr, 0);
SHIFT(shl, TF_CF);
SHIFT(shr, TF_CF);
SHIFT(sar, 0);

LONG3(TF_OF | TF_AF, "shld eax, edx, 9");
LONG3(TF_OF | TF_AF, "shld qword ptr [rbx], rdx, cl");
LONG3(TF_OF | TF_AF, "shrd edx, eax, 17");
LONG3(TF_OF | TF_AF, "and cl, 15; shrd dx, ax, cl");

/* ------- multiplication and division ------- */

#define MUL_UNDEFINED (TF_SF | TF_ZF | TF_AF | TF_PF)

LONG3(MUL_UNDEFINED, "mul cl");
LONG3(MUL_UNDEFINED, "mul dx");
LONG3(MUL_UNDEFINED, "mul r9d");
LONG3(MUL_UNDEFINED, "mul qword ptr [rbx]");
LONG3(MUL_UNDEFINED, "imul dl");
LONG3(MUL_UNDEFINED, "imul ecx");
LONG3(MUL_UNDEFINED, "imul rax, r9");
LONG3(MUL_UNDEFINED, "imul dx, cx, -7");
LONG3(MUL_UNDEFINED, "imul r10, qword ptr [rbx], 0x12345");
LONG3(TF_ARITH, "movzx eax, ax; mov cl, 0xff; and ax, 0x7eff; div cl");
LONG3(TF_ARITH, "xor edx, edx; or ecx, 1; div ecx");
LONG3(TF_ARITH, "xor edx, edx; or r9, 1; div r9");
LONG3(TF_ARITH, "cdq; mov ecx, 77; idiv ecx");
LONG3(TF_ARITH, "cqo; mov rcx, -1234567; idiv rcx");
LONG3(TF_ARITH, "xor ecx, ecx; div ecx");
LONG3(TF_ARITH, "mov eax, 0x80000000; cdq; mov ecx, -1; idiv ecx");
LONG3(TF_ARITH, "mov ax, 0xffff; mov cl, 1; div cl");
LONG3(TF_ARITH, "mov ax, 0x8000; mov cl, -1; idiv cl");

/* ------- bits ------- */

#define BIT_UNDEFINED (TF_OF | TF_SF | TF_AF | TF_PF)

#define BITS(op)                                                                                   \
	LONG3(BIT_UNDEFINED, #op " eax, ecx");                                                     \
	LONG3(BIT_UNDEFINED, #op " rax, 40");                                                      \
	LONG3(BIT_UNDEFINED, #op " word ptr [rbx], 13");                                           \
	LONG3(BIT_UNDEFINED, "movsx rcx, cl; " #op " qword ptr [rbx + 0x100], rcx")

BITS(bt);
BITS(bts);
BITS(btr);
BITS(btc);
LONG3(TF_ARITH & ~TF_ZF, "or eax, 0x100; bsf ecx, eax");
LONG3(TF_ARITH & ~TF_ZF, "or rdx, 0x1000; bsr rax, rdx");
LONG3(TF_ARITH & ~TF_ZF, "xor edx, edx; bsf edx, edx");
LONG3(0, "popcnt rax, rdx");
LONG3(0, "popcnt cx, word ptr [rbx]");

/* ------- exchanges, moves, conversions ------- */

LONG3(0, "xchg al, ch");
LONG3(0, "xchg dword ptr [rbx], edx");
LONG3(0, "xadd ax, dx");
LONG3(0, "xadd qword ptr [rbx + 1], r9");
LONG3(0, "cmpxchg cl, dl");
LONG3(0, "cmpxchg qword ptr [rbx], r9");
LONG3(0, "mov rax, qword ptr [rbx]; cmpxchg qword ptr [rbx], r9");
LONG3(0, "cmpxchg8b qword ptr [rbx]");
LONG3(0, "mov eax, dword ptr [rbx]; mov edx, dword ptr [rbx + 4]; cmpxchg8b qword ptr [rbx]");
LONG3(0, "bswap eax");
LONG3(0, "bswap r9");
LONG3(0, "movzx eax, cl");
LONG3(0, "movzx rdx, word ptr [rbx]");
LONG3(0, "movsx ax, dl");
LONG3(0, "movsx r9, byte ptr [rbx]");
LONG3(0, "movsxd rax, ecx");
LONG3(0, "cbw; cwd");
LONG3(0, "cwde; cdq");
LONG3(0, "cdqe; cqo");
LONG3(0, "lahf");
LONG3(0, "sahf; lahf");
LONG3(0, "lea rax, [rbx + rcx * 8 - 5]");
LONG3(0, "lea ax, [ebx + ecx * 2 + 0x1234]");
LONG3(0, "lea r8d, [rip + 0x10]");
LONG3(0, "and eax, 0xff; xlatb");
LONG3(0, "movbe eax, dword ptr [rbx]");
LONG3(0, "movnti qword ptr [rbx], rax");

#define CONDITION(cc)                                                                              \
	LONG3(0, "set" #cc " al; set" #cc " byte ptr [rbx]");                                      \
	LONG3(0, "cmov" #cc " rax, r9; cmov" #cc " ecx, dword ptr [rbx]");                         \
	LONG3(0, "j" #cc " 1f; mov eax, 0x1111; 1: mov edx, 0x2222")

CONDITION(o);
CONDITION(no);
CONDITION(b);
CONDITION(ae);
CONDITION(e);
CONDITION(ne);
CONDITION(be);
CONDITION(a);
CONDITION(s);
CONDITION(ns);
CONDITION(p);
CONDITION(np);
CONDITION(l);
CONDITION(ge);
CONDITION(le);
CONDITION(g);

/* ------- BCD, in 32-bit code only ------- */

PROT3(TF_OF | TF_SF | TF_ZF | TF_PF, "aaa");
PROT3(TF_OF | TF_SF | TF_ZF | TF_PF, "aas");
PROT3(TF_OF, "daa");
PROT3(TF_OF, "das");
PROT3(TF_OF | TF_AF | TF_CF, "aam");
PROT3(TF_OF | TF_AF | TF_CF, "aad");
PROT3(TF_OF | TF_AF | TF_CF, ".byte 0xd4, 7");
PROT3(TF_ARITH, ".byte 0xd4, 0");
PROT3(0, ".byte 0xd6");
LONG3(0, ".byte 0x27");

/* ------- strings, also across pages and with 0 and large counts ------- */

#define STRING(text) LONG3(0, text)
STRING("movsb");
STRING("std; movsq; cld");
STRING("mov ecx, 37; rep movsb");
STRING("mov ecx, 300; lea rdi, [rsi + 1]; rep movsb");
STRING("mov ecx, 300; std; rep movsw; cld");
STRING("mov rcx, 0; rep movsd");
STRING("mov edi, 0xcffb; mov ecx, 5; rep movsd");
STRING("mov esi, 0xcff9; mov ecx, 4; rep movsq");
STRING("mov edi, 0xcffd; mov ecx, 9; rep stosb");
STRING("mov ecx, 130; rep stosq");
STRING("mov ecx, 33; rep stosw");
STRING("lodsb; lodsw; lodsd");
STRING("lodsq");
STRING("mov ecx, 7; rep lodsw");
STRING("cmpsb");
STRING("mov rdi, rsi; mov ecx, 64; repe cmpsb");
STRING("mov ecx, 64; repe cmpsd");
STRING("mov ecx, 64; repne cmpsw");
STRING("scasb");
STRING("mov ecx, 500; repne scasb");
STRING("mov ecx, 50; repe scasq");
STRING("xor ecx, ecx; repe scasb");
PROT0(0, "mov ecx, 21; rep movsd");
PROT0(0, "mov cx, 6; addr16 rep stosb");
PROT0(0, "mov edi, 0xcffe; mov ecx, 3; rep stosw");
REAL(0, "mov cx, 9; rep movsw");
REAL(0, "mov di, 0xcfff; mov cx, 4; rep stosd");

/* ------- flags and control ------- */

LONG3(0, "stc; cmc; setc al");
LONG3(0, "clc; std; pushfq; pop rax; cld");
LONG3(0, "pushfq; pop rax");
LONG3(0, "push 0xcd5; popfq; pushfq; pop rax; cld");
LONG3(0, ".byte 0x66, 0x68; .word 0x8d5; .byte 0x66; popf");
LONG3(0, "mov ecx, 5; 1: inc eax; loop 1b");
LONG3(0, "mov ecx, 5; 1: dec eax; loopne 1b");
LONG3(0, "xor ecx, ecx; jrcxz 1f; inc eax; 1: nop");
LONG3(0, "call 1f; mov eax, 1; jmp 2f; 1: mov edx, 2; ret; 2: nop");
LONG3(0, "lea rax, [rip + 1f]; push 5; call rax; jmp 2f; 1: ret 8; 2: nop");
LONG3(0, "lea rax, [rip + 1f]; jmp rax; ud2; 1: nop");
PROT0(0, "mov ecx, 3; 1: inc eax; loope 1b");
PROT0(0, "jecxz 1f; inc eax; 1: nop");
REAL(0, "call 1f; jmp 2f; 1: inc ax; ret; 2: nop");

/* ------- the stack ------- */

LONG3(0, "push rax; pop r9");
LONG3(0, "push -5; pop rax");
LONG3(0, ".byte 0x66, 0x68; .word 0x1234; pop ax");
LONG3(0, "push qword ptr [rbx]; pop qword ptr [rbx + 8]");
LONG3(0, "push rsp; pop rax; pop rsp");
LONG3(0, "enter 32, 0; leave");
LONG3(0, "mov rbp, rsp; enter 16, 3");
LONG0(0, "push fs; pop rax");
PROT0(0, "pushad; popad");
PROT0(0, "pusha; mov eax, dword ptr [esp + 12]; popa");
PROT0(0, "pushaw; popaw");
PROT0(0, "enter 8, 2; leave");
PROT0(0, "push 0x77; pop dword ptr [ebx]");
PROT0(0, "push esp; pop dword ptr [esp + 4]");
REAL(0, "pusha; popa");
REAL(0, "push sp; pop ax");
REAL(0, "pushf; pop ax; push ax; popf");
V86(0, "mov ax, 0x1234; push ax; pop bx");
COMPAT3(0, "push eax; pop ecx; inc edx");
