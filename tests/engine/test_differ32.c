/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sequences of 32-bit integer instructions, run in compatibility mode on the host CPU and on
 * the software CPU: registers, flags, memory and faults must agree. It covers what 64-bit code does
 * not have (decimal adjustments, PUSHA, BOUND, one-byte INC, 16-bit addresses, LOOP by CX); the
 * rest is test_differ.c's, whose generator this one resembles.
 *
 * usage: test_differ32 [SEED [INSTRUCTIONS]]
 *
 * EBP always points to the data, ESP is the stack; nothing else writes them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <Zydis/Zydis.h>
#include <cmocka.h>

#include "lib_softrun.h"
#include "lib_vectorstate.h"
#include "softcpu/insn.h"

#define SEQUENCE_MAX 24
#define CODE_MAX 512
#define STACK_OFFSET 0x3800

struct differ {
	struct softrun *soft;
	struct random random;
	ZydisDecoder decoder;
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t code[CODE_MAX];
	size_t ends[SEQUENCE_MAX];
	unsigned int count;
	struct hostrun_state start;
	uint8_t data[RUN_DATA_SIZE];
};

static unsigned int seed = 1;
static uint64_t wanted = 100000;

static uint8_t *host_code(void)
{
	return (uint8_t *)RUN_CODE;
}

static uint8_t *host_data(void)
{
	return (uint8_t *)RUN_DATA;
}

/* ------- instructions ------- */

static bool is_memory_safe(const ZydisDecodedOperand *operand)
{
	const ZydisDecodedOperandMem *mem = &operand->mem;

	if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
		return true;
	}
	if (mem->segment == ZYDIS_REGISTER_FS || mem->segment == ZYDIS_REGISTER_GS) {
		return false;
	}
	/* Of 16-bit addresses none is mapped on either side: they fault. */
	return mem->type == ZYDIS_MEMOP_TYPE_AGEN ||
	       (mem->base >= ZYDIS_REGISTER_AX && mem->base <= ZYDIS_REGISTER_DI) ||
	       (mem->base == ZYDIS_REGISTER_EBP && mem->index == ZYDIS_REGISTER_NONE &&
		mem->disp.value >= -128 && mem->disp.value < RUN_DATA_SIZE);
}

static bool is_reserved(const ZydisDecodedOperand *operand)
{
	uint8_t gpr;

	if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    !(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
		return false;
	}
	gpr = soft_insn_gpr(operand->reg.value);
	return gpr == CPU_RBP || gpr == CPU_RSP ||
	       operand->reg.value == ZYDIS_REGISTER_ESP;
}

static bool is_category_fit(ZydisInstructionCategory category)
{
	switch (category) {
	case ZYDIS_CATEGORY_BINARY:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_BITBYTE:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_CMOV:
	case ZYDIS_CATEGORY_SETCC:
	case ZYDIS_CATEGORY_CONVERT:
	case ZYDIS_CATEGORY_DECIMAL:
	case ZYDIS_CATEGORY_FLAGOP:
	case ZYDIS_CATEGORY_MISC:
	case ZYDIS_CATEGORY_PUSH:
	case ZYDIS_CATEGORY_POP:
	case ZYDIS_CATEGORY_SEMAPHORE: return true;
	default: return false;
	}
}

static bool is_excluded(const struct differ *d)
{
	switch (d->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_LEAVE:
	case ZYDIS_MNEMONIC_XLAT:
	case ZYDIS_MNEMONIC_PUSHF: /* shows IF, which is clear in the one */
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPA: /* writes EBP */
	case ZYDIS_MNEMONIC_POPAD:
	case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_MONITORX:
	case ZYDIS_MNEMONIC_MWAITX:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_CLI:
	case ZYDIS_MNEMONIC_STI:
	case ZYDIS_MNEMONIC_STD:
	case ZYDIS_MNEMONIC_HLT: return true;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		       d->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
	default: return false;
	}
}

static bool is_fit(struct differ *d, const uint8_t *bytes, size_t size)
{
	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&d->decoder, bytes, size, &d->zydis, d->operands)) ||
	    d->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    !is_category_fit(d->zydis.meta.category) || is_excluded(d)) {
		return false;
	}
	for (unsigned int i = 0; i < d->zydis.operand_count; i++) {
		const ZydisDecodedOperand *operand = &d->operands[i];
		bool visible = i < d->zydis.operand_count_visible;

		if (visible && (is_reserved(operand) || !is_memory_safe(operand))) {
			return false;
		}
		/* segment, control and vector registers */
		if (visible && operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    soft_insn_gpr(operand->reg.value) == SOFT_REG_NONE) {
			return false;
		}
	}
	return true;
}

/* Random bytes, with a ModRM that often means [ebp + disp32], cut to one instruction. */
static size_t make_one(struct differ *d, uint8_t *p)
{
	struct random *random = &d->random;
	size_t at = 0;

	if (random_below(random, 4) == 0) {
		p[at++] = 0x66;
	}
	if (random_below(random, 24) == 0) {
		p[at++] = 0x67;
	}
	if (random_below(random, 24) == 0) {
		p[at++] = 0xf0;
	}
	if (random_below(random, 4) == 0) {
		p[at++] = 0x0f;
	}
	p[at++] = (uint8_t)random_next(random);
	if (random_below(random, 2)) {
		p[at++] = (uint8_t)(0x85 | random_below(random, 8) << 3);
		store_le32(p + at, 0x100 + random_below(random, 0x2000));
		at += 4;
	}
	store_le64(p + at, random_next(random));
	return is_fit(d, p, at + 8) ? d->zydis.length : 0;
}

static void make_sequence(struct differ *d)
{
	unsigned int target = 1 + random_below(&d->random, SEQUENCE_MAX);
	size_t at = 0;

	d->count = 0;
	while (d->count < target) {
		uint8_t bytes[32];
		size_t size = make_one(d, bytes);

		memcpy(d->code + at, bytes, size);
		at += size;
		if (size > 0) {
			d->ends[d->count++] = at;
		}
	}
}

static void make_state(struct differ *d)
{
	d->start = (struct hostrun_state){ .rip = RUN_CODE, .rflags = 0x202 };
	random_fpu(&d->random, d->start.fpu, false);
	random_gprs(&d->random, d->start.gpr);
	for (unsigned int i = 0; i < 16; i++) {
		d->start.gpr[i] = i < 8 ? (uint32_t)d->start.gpr[i] : 0;
	}
	d->start.rflags |= random_next(&d->random) & FLAGS_ARITH;
	d->start.gpr[CPU_RBP] = RUN_DATA;
	d->start.gpr[CPU_RSP] = RUN_DATA + STACK_OFFSET;
	for (unsigned int i = 0; i < 64; i++) {
		store_le64(d->data + (size_t)random_below(&d->random, RUN_DATA_SIZE / 8) * 8,
			   random_next(&d->random));
	}
}

/* ------- running ------- */

static bool run_part(struct differ *d, size_t size, FILE *out)
{
	struct hostrun_state host = d->start;
	struct hostrun_state soft = d->start;
	struct hostrun_exit host_exit;
	struct hostrun_exit soft_exit;
	bool agree;

	memcpy(host_code(), d->code, size);
	host_code()[size] = 0xcc;
	softrun_set_code(d->soft, host_code(), size + 1);
	memcpy(host_data(), d->data, RUN_DATA_SIZE);
	memcpy(softrun_data(d->soft), d->data, RUN_DATA_SIZE);
	hostrun_set_compatibility(true);
	hostrun(&host, &host_exit);
	hostrun_set_compatibility(false);
	softrun(d->soft, &soft, &soft_exit);
	memcpy(soft.fpu, host.fpu, sizeof(soft.fpu));
	/* Low addresses: nothing on the host, the kernel's here. Both fault. */
	agree = host_exit.vector == soft_exit.vector &&
		(host_exit.vector != SOFT_PF ||
		 (host_exit.address == soft_exit.address &&
		  (host_exit.error_code | 1) == (soft_exit.error_code | 1))) &&
		memcmp(host_data(), softrun_data(d->soft), RUN_DATA_SIZE) == 0;
	if (!agree) {
		fprintf(out, "  vector %u, %u; address %#llx, %#llx (host, soft), or memory\n",
			host_exit.vector, soft_exit.vector,
			(unsigned long long)host_exit.address,
			(unsigned long long)soft_exit.address);
	}
	return !state_differs(&host, &soft, out) && agree;
}

static void report(struct differ *d, FILE *quiet)
{
	unsigned int cut = 0;
	ZydisFormatter formatter;
	char text[128];
	size_t start;

	while (cut < d->count - 1 && run_part(d, d->ends[cut], quiet)) {
		cut++;
	}
	start = cut ? d->ends[cut - 1] : 0;
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	ZydisDecoderDecodeFull(&d->decoder, d->code + start, d->ends[cut] - start, &d->zydis,
			       d->operands);
	ZydisFormatterFormatInstruction(&formatter, &d->zydis, d->operands,
					d->zydis.operand_count_visible, text, sizeof(text), 0,
					NULL);
	printf("after %u instructions: %s\n", cut + 1, text);
	run_part(d, d->ends[cut], stdout);
}

static void test_sequences(void **state)
{
	struct differ *d = calloc(1, sizeof(*d));
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	FILE *quiet = fopen("/dev/null", "w");
	unsigned int failures = 0;
	uint64_t before;

	(void)state;
	assert_non_null(d);
	assert_non_null(quiet);
	assert_ptr_equal(
		mmap(host_code(), RUN_CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0),
		host_code());
	assert_ptr_equal(mmap(host_data(), RUN_DATA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0),
			 host_data());
	d->random.state = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
	d->soft = softrun_create();
	softrun_set_compatibility(d->soft, true);
	ZydisDecoderInit(&d->decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	before = softrun_cpu(d->soft)->instructions;
	while (softrun_cpu(d->soft)->instructions - before < wanted && failures < 20) {
		make_sequence(d);
		make_state(d);
		if (!run_part(d, d->ends[d->count - 1], quiet)) {
			failures++;
			report(d, quiet);
		}
	}
	softrun_destroy(d->soft);
	munmap(host_code(), RUN_CODE_SIZE);
	munmap(host_data(), RUN_DATA_SIZE);
	fclose(quiet);
	free(d);
	assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
	};

	if (argc > 1) {
		seed = (unsigned int)strtoul(argv[1], NULL, 0);
	}
	if (argc > 2) {
		wanted = strtoull(argv[2], NULL, 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
