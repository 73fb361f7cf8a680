/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * General-purpose instructions of the software CPU where the host cannot be asked: 16- and 32-bit
 * code, faults and what they leave behind, segment limits, string instructions across pages,
 * decimal adjustments. The comparison with the host is test_differ.c's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib_bare.h"

#define ARITH FLAGS_ARITH

static struct bare bare;

static int setup_real(void **state)
{
	bare_create(&bare, BARE_REAL);
	return 0;
}

static int setup_32(void **state)
{
	bare_create(&bare, BARE_32);
	return 0;
}

static int setup_paging32(void **state)
{
	bare_create(&bare, BARE_PAGING32);
	return 0;
}

static int setup_64(void **state)
{
	bare_create(&bare, BARE_64);
	return 0;
}

static int teardown(void **state)
{
	bare_destroy(&bare);
	return 0;
}

static uint64_t flags(void)
{
	return bare.cpu->rflags & ARITH;
}

/* ------- loops and calls ------- */

static void test_loop(void **state)
{
	/* mov ecx, 1000; xor eax, eax; l: add eax, ecx; dec ecx; jnz l */
	BARE_RUN(&bare, 0xb9, 0xe8, 3, 0, 0, 0x31, 0xc0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 500500);
	assert_int_equal(flags(), FLAG_ZF | FLAG_PF);
	/* what was retired: 2 + 3 * 1000 + the exit */
	assert_int_equal(bare.cpu->instructions, 3003);
}

static void test_loop_16(void **state)
{
	/* mov cx, 300; xor ax, ax; l: add ax, cx; loop l */
	BARE_RUN(&bare, 0xb9, 0x2c, 1, 0x31, 0xc0, 0x01, 0xc8, 0xe2, 0xfc);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 45150);
}

static void test_call_and_return_32(void **state)
{
	/* call 1f; jmp 2f; 1: mov eax, [esp]; ret; 2: */
	BARE_RUN(&bare, 0xe8, 2, 0, 0, 0, 0xeb, 4, 0x8b, 0x04, 0x24, 0xc3);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], BARE_CODE + 5);
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK);
}

static void test_near_call_with_16_bit_operand(void **state)
{
	/* 32-bit code: the target is cut to 16 bits, a word is pushed: call16 1f; hlt; 1: pop ax */
	BARE_RUN(&bare, 0x66, 0xe8, 1, 0, 0xf4, 0x66, 0x58);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xffff, BARE_CODE + 4);
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK);
}

static void test_jump_beyond_limit(void **state)
{
	bare.cpu->seg[CPU_CS].limit = 0xffff;
	bare_code(&bare, "\xe9\x00\x00\x01\x00", 5); /* jmp +0x10000 */
	bare.cpu->rip = BARE_CODE;
	assert_int_equal(soft_run(bare.cpu), VCPU_EXIT_KICKED);
	/* in the handler of #GP, the frame says which instruction */
	assert_int_equal(load_le32(bare.ram + bare.cpu->gpr[CPU_RSP] + 4), BARE_CODE);
}

/* ------- the stack ------- */

static void test_push_pop_sp(void **state)
{
	BARE_RUN(&bare, 0x54, 0x58); /* push esp; pop eax */
	assert_int_equal(bare.cpu->gpr[CPU_RAX], BARE_STACK);
	BARE_RUN(&bare, 0x68, 0x00, 0x70, 0, 0, 0x5c); /* push 0x7000; pop esp */
	assert_int_equal(bare.cpu->gpr[CPU_RSP], 0x7000);
	bare.cpu->gpr[CPU_RSP] = BARE_STACK;
	BARE_RUN(&bare, 0x6a, 0x55, 0x8f, 0x04, 0x24); /* push 0x55; pop [esp] */
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK);
	assert_int_equal(load_le32(bare.ram + BARE_STACK), 0x55);
}

static void test_pusha_popa(void **state)
{
	for (unsigned int i = 0; i < 8; i++) {
		if (i != CPU_RSP) {
			bare.cpu->gpr[i] = 0x1110 * (i + 1);
		}
	}
	BARE_RUN(&bare, 0x60); /* pusha */
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK - 16);
	for (unsigned int i = 0; i < 8; i++) {
		uint16_t expected = i == CPU_RSP ? BARE_STACK : (uint16_t)(0x1110 * (i + 1));

		assert_int_equal(load_le16(bare.ram + BARE_STACK - 2 - 2 * i), expected);
		bare.cpu->gpr[i] = i == CPU_RSP ? BARE_STACK - 16 : 0xffffffff;
	}
	BARE_RUN(&bare, 0x61); /* popa */
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK);
	assert_int_equal(bare.cpu->gpr[CPU_RDI], 0xffff8880);
}

static void test_enter_leave(void **state)
{
	bare.cpu->gpr[CPU_RBP] = 0x7f00;
	store_le32(bare.ram + 0x7efc, 0x11112222);
	BARE_RUN(&bare, 0xc8, 0x10, 0, 2); /* enter 16, 2 */
	assert_int_equal(bare.cpu->gpr[CPU_RBP], BARE_STACK - 4);
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK - 12 - 16);
	assert_int_equal(load_le32(bare.ram + BARE_STACK - 4), 0x7f00);
	assert_int_equal(load_le32(bare.ram + BARE_STACK - 8), 0x11112222);
	assert_int_equal(load_le32(bare.ram + BARE_STACK - 12), BARE_STACK - 4);
	BARE_RUN(&bare, 0xc9); /* leave */
	assert_int_equal(bare.cpu->gpr[CPU_RBP], 0x7f00);
	assert_int_equal(bare.cpu->gpr[CPU_RSP], BARE_STACK);
}

static void test_16_bit_stack_keeps_upper_half(void **state)
{
	bare.cpu->gpr[CPU_RSP] = 0x12340000 | BARE_STACK;
	BARE_RUN(&bare, 0x6a, 0x11, 0x58); /* push 0x11; pop ax */
	assert_int_equal(bare.cpu->gpr[CPU_RSP], 0x12340000 | BARE_STACK);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0x11);
}

/* ------- faults ------- */

static void test_divide_errors(void **state)
{
	BARE_RUN(&bare, 0x31, 0xc9, 0xf7, 0xf1); /* xor ecx, ecx; div ecx */
	assert_int_equal(bare.exit_vector, SOFT_DE);
	assert_int_equal(bare.fault_rip, BARE_CODE + 2);
	/* mov eax, 0x80000000; cdq; or ecx, -1; idiv ecx */
	BARE_RUN(&bare, 0xb8, 0, 0, 0, 0x80, 0x99, 0x83, 0xc9, 0xff, 0xf7, 0xf9);
	assert_int_equal(bare.exit_vector, SOFT_DE);
	assert_int_equal(bare.fault_rip, BARE_CODE + 9);
	BARE_RUN(&bare, 0xd4, 0x00); /* aam 0 */
	assert_int_equal(bare.exit_vector, SOFT_DE);
	/* mov eax, 0x80000001; cdq; or ecx, -1; idiv ecx: fits */
	BARE_RUN(&bare, 0xb8, 1, 0, 0, 0x80, 0x99, 0x83, 0xc9, 0xff, 0xf7, 0xf9);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0x7fffffff);
}

static void test_undefined(void **state)
{
	BARE_RUN(&bare, 0x90, 0x0f, 0x0b); /* nop; ud2 */
	assert_int_equal(bare.exit_vector, SOFT_UD);
	assert_int_equal(bare.fault_rip, BARE_CODE + 1);
	BARE_RUN(&bare, 0xf0, 0x01, 0xc8); /* lock add eax, ecx */
	assert_int_equal(bare.exit_vector, SOFT_UD);
	BARE_RUN(&bare, 0xf0, 0x8b, 0x00); /* lock mov eax, [eax] */
	assert_int_equal(bare.exit_vector, SOFT_UD);
}

static void test_too_long(void **state)
{
	uint8_t code[16];

	memset(code, 0x66, sizeof(code));
	code[14] = 0x90;
	bare_code(&bare, code, 15);
	bare_run(&bare);
	assert_int_equal(bare.exit_vector, -1);
	code[14] = 0x66;
	code[15] = 0x90;
	bare_code(&bare, code, 16);
	bare_run(&bare);
	assert_int_equal(bare.exit_vector, SOFT_GP);
}

static void test_bound(void **state)
{
	store_le32(bare.ram + BARE_DATA, (uint32_t)-5);
	store_le32(bare.ram + BARE_DATA + 4, 5);
	bare.cpu->gpr[CPU_RBX] = BARE_DATA;
	bare.cpu->gpr[CPU_RAX] = (uint32_t)-5;
	BARE_RUN(&bare, 0x62, 0x03); /* bound eax, [ebx] */
	assert_int_equal(bare.exit_vector, -1);
	bare.cpu->gpr[CPU_RAX] = 6;
	BARE_RUN(&bare, 0x62, 0x03);
	assert_int_equal(bare.exit_vector, SOFT_BR);
}

/* Flags and registers of a faulting read-modify-write are those before it. */
static void test_fault_changes_nothing(void **state)
{
	uint32_t *pte = bare_pte(&bare, BARE_DATA);

	*pte &= ~2u;
	bare.cpu->cr0 |= BIT(16);
	bare_flush(&bare);
	bare.cpu->gpr[CPU_RBX] = BARE_DATA;
	store_le32(bare.ram + BARE_DATA, 0xffffffff);
	/* stc; adc dword [ebx], 0 */
	BARE_RUN(&bare, 0xf9, 0x83, 0x13, 0x00);
	assert_int_equal(bare.exit_vector, SOFT_PF);
	assert_int_equal(bare.error_code, 3);
	assert_int_equal(bare.fault_flags & ARITH, FLAG_CF);
	assert_int_equal(load_le32(bare.ram + BARE_DATA), 0xffffffff);
}

/* ------- segments ------- */

static void test_limits(void **state)
{
	bare.cpu->seg[CPU_DS].limit = 0x1ffff;
	bare.cpu->gpr[CPU_RBX] = 0x1fffd;
	BARE_RUN(&bare, 0x8b, 0x03); /* mov eax, [ebx] */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	assert_int_equal(bare.error_code, 0);
	bare.cpu->gpr[CPU_RBX] = 0x1fffc;
	BARE_RUN(&bare, 0x8b, 0x03);
	assert_int_equal(bare.exit_vector, -1);
	bare.cpu->seg[CPU_SS].limit = 0x1ffff;
	bare.cpu->gpr[CPU_RBP] = 0x1fffd;
	BARE_RUN(&bare, 0x8b, 0x45, 0); /* mov eax, [ebp] */
	assert_int_equal(bare.exit_vector, SOFT_SS);
}

static void test_expand_down(void **state)
{
	bare.cpu->seg[CPU_DS].attr |= 4;
	bare.cpu->seg[CPU_DS].limit = 0xffff;
	bare.cpu->gpr[CPU_RBX] = 0xffff;
	BARE_RUN(&bare, 0x8b, 0x03); /* mov eax, [ebx] */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	bare.cpu->gpr[CPU_RBX] = 0x10000;
	BARE_RUN(&bare, 0x8b, 0x03);
	assert_int_equal(bare.exit_vector, -1);
}

static void test_rights(void **state)
{
	bare.cpu->gpr[CPU_RBX] = BARE_DATA;
	BARE_RUN(&bare, 0x2e, 0x8b, 0x03); /* mov eax, cs:[ebx] */
	assert_int_equal(bare.exit_vector, -1);
	BARE_RUN(&bare, 0x2e, 0x89, 0x03); /* mov cs:[ebx], eax */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	bare.cpu->seg[CPU_DS].attr &= ~2u;
	BARE_RUN(&bare, 0x89, 0x03); /* mov [ebx], eax */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	bare.cpu->seg[CPU_ES].attr = CPU_SEG_UNUSABLE;
	BARE_RUN(&bare, 0x26, 0x8b, 0x03); /* mov eax, es:[ebx] */
	assert_int_equal(bare.exit_vector, SOFT_GP);
}

static void test_real_mode_wrap(void **state)
{
	bare.cpu->gpr[CPU_RBX] = 0xffff;
	bare.ram[0xffff] = 0x77;
	BARE_RUN(&bare, 0x8a, 0x07); /* mov al, [bx] */
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 0x77);
	BARE_RUN(&bare, 0x8b, 0x07); /* mov ax, [bx] */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	bare.cpu->gpr[CPU_RSI] = 0x8000; /* [bx + si] wraps at 64 KiB */
	bare.cpu->gpr[CPU_RBX] = 0x8010;
	bare.ram[0x10] = 0x66;
	BARE_RUN(&bare, 0x8a, 0x00); /* mov al, [bx + si] */
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 0x66);
	bare.cpu->seg[CPU_ES].base = 0xffff0; /* beyond 1 MiB: A20 is open */
	bare.ram[0x100000] = 0x55;
	bare.cpu->gpr[CPU_RBX] = 0x10;
	BARE_RUN(&bare, 0x26, 0x8a, 0x07); /* mov al, es:[bx] */
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 0x55);
}

static void test_non_canonical(void **state)
{
	bare.cpu->gpr[CPU_RBX] = UINT64_C(0x0000800000000000);
	bare.cpu->gpr[CPU_RBP] = UINT64_C(0x0000800000000000);
	BARE_RUN(&bare, 0x8b, 0x03); /* mov eax, [rbx] */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	BARE_RUN(&bare, 0x8b, 0x45, 0); /* mov eax, [rbp] */
	assert_int_equal(bare.exit_vector, SOFT_SS);
	bare.cpu->gpr[CPU_RBX] = UINT64_C(0x00007fffffffffff);
	BARE_RUN(&bare, 0x8b, 0x03);
	assert_int_equal(bare.exit_vector, SOFT_GP);
	bare.cpu->gpr[CPU_RBX] = UINT64_C(0x8000000000000000);
	BARE_RUN(&bare, 0xff, 0xe3); /* jmp rbx */
	assert_int_equal(bare.exit_vector, SOFT_GP);
	assert_int_equal(bare.fault_rip, BARE_CODE);
}

/* ------- string instructions ------- */

static void test_rep_movs_fault(void **state)
{
	uint32_t *pte = bare_pte(&bare, BARE_DATA + 0x3000);

	*pte = 0;
	bare_flush(&bare);
	for (unsigned int i = 0; i < 0x2000; i++) {
		bare.ram[BARE_DATA + i] = (uint8_t)(i * 7);
	}
	bare.cpu->gpr[CPU_RSI] = BARE_DATA + 0x10;
	bare.cpu->gpr[CPU_RDI] = BARE_DATA + 0x2ff0;
	bare.cpu->gpr[CPU_RCX] = 0x20;
	BARE_RUN(&bare, 0xf3, 0xa5); /* rep movsd */
	assert_int_equal(bare.exit_vector, SOFT_PF);
	assert_int_equal(bare.error_code, 2);
	assert_int_equal(bare.cpu->cr2, BARE_DATA + 0x3000);
	assert_int_equal(bare.fault_rip, BARE_CODE);
	assert_int_equal(bare.cpu->gpr[CPU_RCX], 0x20 - 4);
	assert_int_equal(bare.cpu->gpr[CPU_RSI], BARE_DATA + 0x20);
	assert_int_equal(bare.cpu->gpr[CPU_RDI], BARE_DATA + 0x3000);
	assert_memory_equal(bare.ram + BARE_DATA + 0x2ff0, bare.ram + BARE_DATA + 0x10, 16);
}

static void test_rep_movs_overlap(void **state)
{
	memset(bare.ram + BARE_DATA, 0, 64);
	bare.ram[BARE_DATA] = 0xab;
	bare.cpu->gpr[CPU_RSI] = BARE_DATA;
	bare.cpu->gpr[CPU_RDI] = BARE_DATA + 1;
	bare.cpu->gpr[CPU_RCX] = 20;
	BARE_RUN(&bare, 0xf3, 0xa4); /* rep movsb */
	for (unsigned int i = 0; i <= 20; i++) {
		assert_int_equal(bare.ram[BARE_DATA + i], 0xab);
	}
	assert_int_equal(bare.ram[BARE_DATA + 21], 0);
}

static void test_rep_backward(void **state)
{
	for (unsigned int i = 0; i < 16; i++) {
		bare.ram[BARE_DATA + i] = (uint8_t)i;
	}
	bare.cpu->gpr[CPU_RSI] = BARE_DATA + 14;
	bare.cpu->gpr[CPU_RDI] = BARE_DATA + 0x1000; /* crosses into the page below */
	bare.cpu->gpr[CPU_RCX] = 8;
	BARE_RUN(&bare, 0xfd, 0xf3, 0x66, 0xa5, 0xfc); /* std; rep movsw; cld */
	assert_int_equal(bare.cpu->gpr[CPU_RSI], BARE_DATA - 2);
	assert_int_equal(bare.cpu->gpr[CPU_RDI], BARE_DATA + 0xff0);
	assert_memory_equal(bare.ram + BARE_DATA + 0xff2, bare.ram + BARE_DATA, 16);
}

static void test_scan(void **state)
{
	memset(bare.ram + BARE_DATA, 'x', 0x3000);
	bare.ram[BARE_DATA + 0x2345] = 0;
	bare.cpu->gpr[CPU_RDI] = BARE_DATA;
	bare.cpu->gpr[CPU_RCX] = 0xffffffff;
	BARE_RUN(&bare, 0x31, 0xc0, 0xf2, 0xae); /* xor eax, eax; repne scasb */
	assert_int_equal(bare.cpu->gpr[CPU_RDI], BARE_DATA + 0x2346);
	assert_int_equal(bare.cpu->gpr[CPU_RCX], 0xffffffff - 0x2346);
	assert_int_equal(flags(), FLAG_ZF | FLAG_PF);

	bare.cpu->gpr[CPU_RSI] = BARE_DATA;
	bare.cpu->gpr[CPU_RDI] = BARE_DATA + 0x1000;
	bare.cpu->gpr[CPU_RCX] = 0x1800;
	BARE_RUN(&bare, 0xf3, 0xa6); /* repe cmpsb */
	assert_int_equal(bare.cpu->gpr[CPU_RSI], BARE_DATA + 0x1346);
	assert_int_equal(bare.cpu->gpr[CPU_RCX], 0x1800 - 0x1346);
	assert_int_equal(flags() & (FLAG_ZF | FLAG_CF), 0);
}

static void test_string_16_bit_addresses(void **state)
{
	bare.cpu->gpr[CPU_RDI] = 0xabcdfffe;
	bare.cpu->gpr[CPU_RCX] = 0x12340004;
	bare.cpu->gpr[CPU_RAX] = 0x5a;
	bare.ram[0] = 0;
	bare.ram[0x10000] = 0;
	BARE_RUN(&bare, 0xf3, 0xaa); /* rep stosb */
	assert_int_equal(bare.cpu->gpr[CPU_RDI], 0xabcd0002);
	assert_int_equal(bare.cpu->gpr[CPU_RCX], 0x12340000);
	assert_int_equal(bare.ram[0xffff], 0x5a);
	assert_int_equal(bare.ram[0], 0x5a);
	assert_int_equal(bare.ram[0x10000], 0);
}

static void test_32_bit_counter_in_64_bit_mode(void **state)
{
	bare.cpu->gpr[CPU_RDI] = UINT64_C(0xffffffff00000000) | BARE_DATA;
	bare.cpu->gpr[CPU_RCX] = UINT64_C(0x100000003);
	BARE_RUN(&bare, 0x67, 0xf3, 0xaa); /* addr32 rep stosb */
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RDI], BARE_DATA + 3);
	assert_int_equal(bare.cpu->gpr[CPU_RCX], 0);
}

/* ------- decimal ------- */

struct decimal_case {
	uint8_t code[2];
	uint8_t size;
	uint16_t ax;
	uint8_t flags;
	uint16_t result;
	uint8_t result_flags;
};

static void test_decimal(void **state)
{
	static const struct decimal_case cases[] = {
		/* daa: 79 + 35 = ae -> 14 carry */
		{ { 0x27 }, 1, 0xae, 0, 0x14, FLAG_AF | FLAG_CF | FLAG_PF },
		{ { 0x27 }, 1, 0x2e, 0, 0x34, FLAG_AF },
		/* das: 35 - 47 = ee, AF and CF -> 88, CF */
		{ { 0x2f }, 1, 0xee, FLAG_AF | FLAG_CF, 0x88,
		  FLAG_AF | FLAG_CF | FLAG_SF | FLAG_PF },
		{ { 0x37 }, 1, 0x000f, 0, 0x0105, FLAG_AF | FLAG_CF }, /* aaa */
		{ { 0x37 }, 1, 0x0004, 0, 0x0004, 0 },
		{ { 0x3f }, 1, 0x02ff, FLAG_AF, 0x0109, FLAG_AF | FLAG_CF | FLAG_PF }, /* aas */
		{ { 0xd4, 10 }, 2, 0x003f, 0, 0x0603, FLAG_PF }, /* aam */
		{ { 0xd5, 10 }, 2, 0x0603, 0, 0x003f, FLAG_PF }, /* aad */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bare.cpu->gpr[CPU_RAX] = cases[i].ax;
		bare.cpu->rflags = 2 | cases[i].flags;
		bare_code(&bare, cases[i].code, cases[i].size);
		bare_run(&bare);
		assert_int_equal(bare.cpu->gpr[CPU_RAX], cases[i].result);
		assert_int_equal(flags(), cases[i].result_flags);
	}
}

/* ------- single step ------- */

static void test_single_step(void **state)
{
	/* pushf; or dword [esp], 0x100; popf; nop; nop */
	BARE_RUN(&bare, 0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90);
	assert_int_equal(bare.exit_vector, SOFT_DB);
	assert_int_equal(bare.fault_rip, BARE_CODE + 10);
	assert_true(bare.cpu->dr6 & BIT(14));
	assert_true(bare.fault_flags & FLAG_TF);
	assert_false(bare.cpu->rflags & FLAG_TF);
}

static void test_step_of_repeated_string(void **state)
{
	bare.cpu->gpr[CPU_RDI] = BARE_DATA;
	bare.cpu->gpr[CPU_RCX] = 5;
	bare.cpu->rflags |= FLAG_TF;
	BARE_RUN(&bare, 0xf3, 0xaa); /* rep stosb */
	assert_int_equal(bare.exit_vector, SOFT_DB);
	assert_int_equal(bare.fault_rip, BARE_CODE);
	assert_int_equal(bare.cpu->gpr[CPU_RCX], 4);
}

static void test_data_breakpoint(void **state)
{
	bare.cpu->dr[0] = BARE_DATA;
	bare.cpu->dr7 = 0x400 | 1 | 0xdu << 16; /* writes of 4 bytes */
	bare.cpu->gpr[CPU_RBX] = BARE_DATA + 3;
	BARE_RUN(&bare, 0x8a, 0x03, 0x88, 0x03, 0x90); /* mov al, [ebx]; mov [ebx], al; nop */
	assert_int_equal(bare.exit_vector, SOFT_DB);
	assert_int_equal(bare.fault_rip, BARE_CODE + 4);
	assert_true(bare.cpu->dr6 & 1);
}

static void test_code_breakpoint(void **state)
{
	bare.cpu->dr[1] = BARE_CODE + 1;
	bare.cpu->dr7 = 0x400 | 4;
	BARE_RUN(&bare, 0x90, 0x90);
	assert_int_equal(bare.exit_vector, SOFT_DB);
	assert_int_equal(bare.fault_rip, BARE_CODE + 1);
	assert_true(bare.cpu->dr6 & 2);
	bare.cpu->rflags |= FLAG_RF;
	bare.cpu->dr[1] = BARE_CODE;
	BARE_RUN(&bare, 0x90, 0x90);
	assert_int_equal(bare.exit_vector, -1);
}

/* ------- locked ------- */

static void test_locked(void **state)
{
	bare.cpu->gpr[CPU_RBX] = BARE_DATA + 0xffe; /* across two pages */
	store_le32(bare.ram + BARE_DATA + 0xffe, 0xfffffffe);
	bare.cpu->gpr[CPU_RAX] = 3;
	BARE_RUN(&bare, 0xf0, 0x0f, 0xc1, 0x03); /* lock xadd [rbx], eax */
	assert_int_equal(load_le32(bare.ram + BARE_DATA + 0xffe), 1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0xfffffffe);
	assert_true(bare.cpu->rflags & FLAG_CF);
	bare.cpu->gpr[CPU_RAX] = 1;
	bare.cpu->gpr[CPU_RCX] = 0x99;
	BARE_RUN(&bare, 0xf0, 0x0f, 0xb1, 0x0b); /* lock cmpxchg [rbx], ecx */
	assert_int_equal(load_le32(bare.ram + BARE_DATA + 0xffe), 0x99);
	assert_true(bare.cpu->rflags & FLAG_ZF);
	BARE_RUN(&bare, 0x48, 0x0f, 0xc7, 0x0b); /* cmpxchg16b [rbx] */
	assert_int_equal(bare.exit_vector, SOFT_GP);
}

#define CASE(test, mode) cmocka_unit_test_setup_teardown(test, setup_##mode, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_loop, 32),
		CASE(test_loop, 64),
		CASE(test_loop_16, real),
		CASE(test_call_and_return_32, 32),
		CASE(test_near_call_with_16_bit_operand, 32),
		CASE(test_jump_beyond_limit, 32),
		CASE(test_push_pop_sp, 32),
		CASE(test_pusha_popa, real),
		CASE(test_enter_leave, 32),
		CASE(test_16_bit_stack_keeps_upper_half, real),
		CASE(test_divide_errors, 32),
		CASE(test_undefined, 32),
		CASE(test_too_long, 32),
		CASE(test_bound, 32),
		CASE(test_fault_changes_nothing, paging32),
		CASE(test_limits, 32),
		CASE(test_expand_down, 32),
		CASE(test_rights, 32),
		CASE(test_real_mode_wrap, real),
		CASE(test_non_canonical, 64),
		CASE(test_rep_movs_fault, paging32),
		CASE(test_rep_movs_overlap, 32),
		CASE(test_rep_backward, 32),
		CASE(test_scan, 32),
		CASE(test_string_16_bit_addresses, real),
		CASE(test_32_bit_counter_in_64_bit_mode, 64),
		CASE(test_decimal, 32),
		CASE(test_single_step, 32),
		CASE(test_step_of_repeated_string, 32),
		CASE(test_data_breakpoint, 32),
		CASE(test_code_breakpoint, 32),
		CASE(test_locked, 64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
