/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every vector, x87 and BMI instruction that the software CPU executes, compared with the host CPU:
 * all encodings are gone through (prefixes, opcode maps, opcodes, ModRM forms, VEX.W and VEX.L),
 * those that belong to an instruction set on offer are run on both with random registers and
 * memory, and all registers, flags, memory and faults must agree.
 *
 * Arguments: a seed and the number of states for each form, to run it longer.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib_softrun.h"
#include "lib_vectorstate.h"
#include "softcpu/fpu.h"

#define SEED 1
#define STATES 6
#define COMPARED_DATA 0x400 /* of the data area, at its end and around the operand */

struct context {
	struct softrun *soft;
	struct random random;
	unsigned int states;
	ZydisDecoder decoder;
	unsigned int forms;
	unsigned int failures;
	struct {
		ZydisDecodedInstruction zydis;
		ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
		uint8_t bytes[16];
	} insn;
};

static unsigned int seed = SEED;
static unsigned int state_count = STATES;

static uint8_t *host_code(void)
{
	return (uint8_t *)RUN_CODE;
}

static uint8_t *host_data(void)
{
	return (uint8_t *)RUN_DATA;
}

static int setup(void **state)
{
	struct context *context = calloc(1, sizeof(*context));
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	assert_non_null(context);
	context->random.state = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
	context->states = state_count;
	context->soft = softrun_create();
	ZydisDecoderInit(&context->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	assert_ptr_equal(
		mmap(host_code(), RUN_CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0),
		host_code());
	assert_ptr_equal(mmap(host_data(), RUN_DATA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0),
			 host_data());
	*state = context;
	return 0;
}

static int teardown(void **state)
{
	struct context *context = *state;

	munmap(host_code(), RUN_CODE_SIZE);
	munmap(host_data(), RUN_DATA_SIZE);
	softrun_destroy(context->soft);
	free(context);
	return 0;
}

/* ------- one instruction, one state ------- */

static void place_code(struct context *context, const uint8_t *bytes, size_t size)
{
	memcpy(host_code(), bytes, size);
	host_code()[size] = 0xcc;
	softrun_set_code(context->soft, host_code(), size + 1);
}

static void random_data(struct context *context)
{
	for (size_t i = 0; i < RUN_DATA_SIZE; i += 8) {
		store_le64(host_data() + i, random_lane(&context->random));
	}
	memcpy(softrun_data(context->soft), host_data(), RUN_DATA_SIZE);
}

static void print_failure(struct context *context, const struct hostrun_exit *host,
			  const struct hostrun_exit *soft)
{
	fprintf(stderr, "%s:", ZydisMnemonicGetString(context->insn.zydis.mnemonic));
	for (unsigned int i = 0; i < context->insn.zydis.length; i++) {
		fprintf(stderr, " %02x", context->insn.bytes[i]);
	}
	fprintf(stderr,
		"\n  vector %u, %u; error %#llx, %#llx; address %#llx, %#llx (host, soft)\n",
		host->vector, soft->vector, (unsigned long long)host->error_code,
		(unsigned long long)soft->error_code, (unsigned long long)host->address,
		(unsigned long long)soft->address);
}

static void print_memory(struct context *context)
{
	const uint8_t *soft = softrun_data(context->soft);

	for (size_t i = 0; i < RUN_DATA_SIZE; i++) {
		if (host_data()[i] != soft[i]) {
			fprintf(stderr, "  memory %#zx: %02x, %02x\n", RUN_DATA + i, host_data()[i],
				soft[i]);
		}
	}
}

static bool exits_differ(const struct hostrun_exit *host, const struct hostrun_exit *soft)
{
	if (host->vector != soft->vector) {
		return true;
	}
	return host->vector == SOFT_PF &&
	       (host->error_code != soft->error_code || host->address != soft->address);
}

/*
 * The known differences (vector.c): the precision flag beside an unmasked overflow or underflow,
 * and the flags of instructions that round in several steps.
 */
static void forgive_flags(const struct context *context, const struct hostrun_exit *host,
			  struct hostrun_state *a, struct hostrun_state *b)
{
	struct soft_fpu *host_fpu = (struct soft_fpu *)a->fpu;
	struct soft_fpu *soft_fpu = (struct soft_fpu *)b->fpu;
	uint32_t unmasked = host_fpu->mxcsr & ~(host_fpu->mxcsr >> 7);
	uint32_t forgiven = 0;

	if (host->vector != SOFT_XM) {
		return;
	}
	if (unmasked & (MXCSR_UNDERFLOW | MXCSR_OVERFLOW)) {
		forgiven = MXCSR_PRECISION;
	}
	switch (context->insn.zydis.mnemonic) {
	case ZYDIS_MNEMONIC_DPPS:
	case ZYDIS_MNEMONIC_DPPD:
	case ZYDIS_MNEMONIC_VDPPS:
	case ZYDIS_MNEMONIC_VDPPD: forgiven = MXCSR_FLAGS; break;
	default: break;
	}
	host_fpu->mxcsr |= forgiven;
	soft_fpu->mxcsr |= forgiven;
}

/* MXCSR_MASK in a saved image is the model's, which does not offer all that the host has. */
static void forgive_mask(struct context *context, uint64_t address)
{
	uint64_t at = address + offsetof(struct soft_fpu, mxcsr_mask) - RUN_DATA;

	if (at <= RUN_DATA_SIZE - 4 && load_le32(softrun_data(context->soft) + at) == 0xffff &&
	    load_le32(host_data() + at) == (0xffff | MXCSR_MISALIGNED)) {
		store_le32(host_data() + at, 0xffff);
	}
}

static bool run_both(struct context *context, const struct hostrun_state *start)
{
	struct hostrun_state host_state = *start;
	struct hostrun_state soft_state = *start;
	struct hostrun_exit host_exit = { 0 };
	struct hostrun_exit soft_exit = { 0 };
	FILE *quiet;
	bool differs;

	softrun(context->soft, &soft_state, &soft_exit);
	hostrun(&host_state, &host_exit);
	forgive_flags(context, &host_exit, &host_state, &soft_state);
	forgive_mask(context, start->gpr[CPU_RSI]);
	quiet = fopen("/dev/null", "w");
	differs = exits_differ(&host_exit, &soft_exit) ||
		  state_differs(&host_state, &soft_state, quiet) ||
		  memcmp(host_data(), softrun_data(context->soft), RUN_DATA_SIZE) != 0;
	fclose(quiet);
	if (differs) {
		context->failures++;
		if (context->failures < 40) {
			print_failure(context, &host_exit, &soft_exit);
			state_differs(&host_state, &soft_state, stderr);
			print_memory(context);
			fprintf(stderr, "  start: fcw %#x fsw %#x ftw %#x mxcsr %#x rsi %#llx\n",
				load_le16(start->fpu), load_le16(start->fpu + 2), start->fpu[4],
				load_le32(start->fpu + 24),
				(unsigned long long)start->gpr[CPU_RSI]);
		}
		memcpy(softrun_data(context->soft), host_data(), RUN_DATA_SIZE);
	}
	return host_exit.vector != SOFT_UD;
}

static unsigned int memory_size(const struct context *context)
{
	for (unsigned int i = 0; i < context->insn.zydis.operand_count; i++) {
		if (context->insn.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			return context->insn.operands[i].size / 8;
		}
	}
	return 0;
}

/* Aligned, anywhere, the last bytes of the data area, or one byte over its end. */
static uint64_t operand_place(struct context *context, unsigned int size)
{
	uint64_t end = RUN_DATA + RUN_DATA_SIZE;

	/* Processors differ in whether they check the alignment of these. */
	if (context->insn.zydis.meta.isa_set == ZYDIS_ISA_SET_SHA) {
		return RUN_DATA;
	}
	switch (random_below(&context->random, 8)) {
	case 0: return RUN_DATA + 0x100 + random_below(&context->random, 64);
	case 1: return end - size;
	case 2: return end - size + 1;
	case 3: return RUN_DATA + 0xff8;
	default: return RUN_DATA + 0x200 + 64 * random_below(&context->random, 16);
	}
}

static bool run_state(struct context *context, unsigned int i)
{
	unsigned int size = memory_size(context);
	struct hostrun_state start = { .rip = RUN_CODE, .rflags = 0x202 };

	random_fpu(&context->random, start.fpu, i % 2);
	if (context->insn.zydis.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PH) {
		((struct soft_fpu *)start.fpu)->mxcsr |= MXCSR_UNDERFLOW << 7;
	}
	random_gprs(&context->random, start.gpr);
	start.rflags |= random_next(&context->random) & FLAGS_ARITH;
	start.gpr[CPU_RSI] = operand_place(context, size);
	start.gpr[CPU_R14] = start.gpr[CPU_RSI]; /* [rsi] with REX.B */
	/* MASKMOVDQU: processors differ in faults of bytes that the mask leaves out. */
	start.gpr[CPU_RDI] = RUN_DATA + random_below(&context->random, 256);
	return run_both(context, &start);
}

/* Whether the bytes mean the same in 32-bit code. */
static bool is_same_in_32_bits(const struct context *context)
{
	const ZydisDecodedInstruction *zydis = &context->insn.zydis;

	for (unsigned int i = 0; i < zydis->operand_count_visible; i++) {
		/* Of a register in the immediate, 32-bit code ignores the top bit. */
		if (context->insn.operands[i].encoding == ZYDIS_OPERAND_ENCODING_IS4 &&
		    (context->insn.bytes[zydis->length - 1] & 0x80)) {
			return false;
		}
	}
	if (zydis->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
		return (context->insn.bytes[1] & 0xe0) == 0xe0 &&
		       (context->insn.bytes[2] & 0xc0) == 0x40;
	}
	return !(zydis->attributes & ZYDIS_ATTRIB_HAS_REX);
}

static bool run_states(struct context *context)
{
	bool bound = false;

	place_code(context, context->insn.bytes, context->insn.zydis.length);
	for (unsigned int i = 0; i < context->states; i++) {
		bound |= run_state(context, i);
	}
	if (is_same_in_32_bits(context)) {
		softrun_set_compatibility(context->soft, true);
		for (unsigned int i = 0; i < context->states / 2; i++) {
			run_state(context, i);
		}
		softrun_set_compatibility(context->soft, false);
	}
	return bound;
}

/* ------- all encodings ------- */

/* What is tested apart: their operand is not at [rsi], or larger than a vector. */
static bool is_excluded(const ZydisDecodedInstruction *zydis)
{
	switch (zydis->meta.isa_set) {
	case ZYDIS_ISA_SET_XSAVE:
	case ZYDIS_ISA_SET_XSAVEOPT:
	case ZYDIS_ISA_SET_XSAVEC:
	case ZYDIS_ISA_SET_FXSAVE:
	case ZYDIS_ISA_SET_FXSAVE64:
	case ZYDIS_ISA_SET_AVX2GATHER: return true;
	default: break;
	}
	switch (zydis->mnemonic) {
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_NOP: /* 0F 0D with a register: not the same on all processors */
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2: return true;
	default: return false;
	}
}

static void try_encoding(struct context *context, const uint8_t *bytes, size_t size)
{
	memset(context->insn.bytes, 0, sizeof(context->insn.bytes));
	memcpy(context->insn.bytes, bytes, size);
	context->insn.bytes[size] = (uint8_t)random_next(&context->random); /* an immediate */
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&context->decoder, context->insn.bytes, size + 2,
						 &context->insn.zydis, context->insn.operands)) ||
	    context->insn.zydis.length < size || is_excluded(&context->insn.zydis) ||
	    !soft_isa_allowed(softrun_cpu(context->soft), context->insn.zydis.meta.isa_set)) {
		return;
	}
	if (run_states(context)) {
		context->forms++;
	}
}

/* ModRM.reg goes through all, as it may extend the opcode; the operand is [rsi] or a register. */
static void try_modrm(struct context *context, uint8_t *bytes, size_t size)
{
	for (unsigned int reg = 0; reg < 8; reg++) {
		bytes[size] = (uint8_t)(reg << 3 | 6);
		try_encoding(context, bytes, size + 1);
		bytes[size] = (uint8_t)(0xc0 | reg << 3 | random_below(&context->random, 8));
		try_encoding(context, bytes, size + 1);
	}
}

static size_t put_map(uint8_t *bytes, size_t size, unsigned int map)
{
	static const uint8_t second[] = { 0, 0, 0x38, 0x3a };

	bytes[size++] = 0x0f;
	if (map > 1) {
		bytes[size++] = second[map];
	}
	return size;
}

static void test_legacy(void **state)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	struct context *context = *state;

	random_data(context);
	for (unsigned int n = 0; n < 4 * 3 * 256 * 2; n++) {
		uint8_t prefix = prefixes[n & 3];
		unsigned int map = 1 + n / 4 % 3;
		uint8_t opcode = (uint8_t)(n / 12 % 256);
		uint8_t bytes[16];
		size_t size = 0;

		if (map == 1 && (opcode == 0x38 || opcode == 0x3a)) {
			continue;
		}
		if (prefix) {
			bytes[size++] = prefix;
		}
		if (n / (4 * 3 * 256)) {
			bytes[size++] =
				0x40 | (uint8_t)(8 | (random_below(&context->random, 8) & 5));
		}
		size = put_map(bytes, size, map);
		bytes[size++] = opcode;
		try_modrm(context, bytes, size);
	}
	printf("%u legacy forms\n", context->forms);
	assert_int_equal(context->failures, 0);
	assert_true(context->forms > 2000);
}

static void test_vex(void **state)
{
	struct context *context = *state;

	random_data(context);
	for (unsigned int n = 0; n < 3 * 256 * 16; n++) {
		unsigned int pp = n & 3;
		unsigned int l = n >> 2 & 1;
		unsigned int w = n >> 3 & 1;
		uint8_t bytes[16] = { 0xc4 };

		bytes[1] =
			(uint8_t)(0x40 | (random_next(&context->random) & 0xa0) | (1 + n / 4096));
		bytes[2] =
			(uint8_t)(w << 7 | random_below(&context->random, 16) << 3 | l << 2 | pp);
		bytes[3] = (uint8_t)(n >> 4);
		if (n & 16) {
			bytes[2] |= 0x78; /* no second source */
		}
		try_modrm(context, bytes, 4);
		bytes[2] ^= 0x78;
		try_modrm(context, bytes, 4);
	}
	printf("%u VEX forms\n", context->forms);
	assert_int_equal(context->failures, 0);
}

static void test_x87(void **state)
{
	struct context *context = *state;

	random_data(context);
	context->states *= 8;
	for (unsigned int opcode = 0xd8; opcode <= 0xdf; opcode++) {
		for (unsigned int modrm = 0; modrm < 256; modrm++) {
			uint8_t bytes[16] = { (uint8_t)opcode, (uint8_t)modrm };

			if (modrm >= 0xc0 || (modrm & 0xc7) == 6) {
				try_encoding(context, bytes, 2);
			}
		}
	}
	printf("%u x87 forms\n", context->forms);
	assert_int_equal(context->failures, 0);
}

/* ------- instructions that move the state ------- */

struct sequence {
	const char *name;
	uint8_t bytes[24];
	uint8_t size;
	uint16_t operand; /* bytes at [rsi] */
};

static const struct sequence environments[] = {
	{ "fld1; fnstenv", { 0xd9, 0xe8, 0xd9, 0x36 }, 4, 28 },
	{ "fld m32; fnstenv", { 0xd9, 0x86, 0x40, 0, 0, 0, 0xd9, 0x36 }, 8, 28 },
	{ "fadd m64 [rsp]; fnstenv", { 0xdc, 0x04, 0x24, 0xd9, 0x36 }, 5, 28 },
	{ "fnstenv", { 0xd9, 0x36 }, 2, 28 },
	{ "fnstenv16", { 0x66, 0xd9, 0x36 }, 3, 14 },
	{ "fld1; fnstenv16", { 0xd9, 0xe8, 0x66, 0xd9, 0x36 }, 5, 14 },
	{ "fldenv", { 0xd9, 0x26 }, 2, 28 },
	{ "fldenv16", { 0x66, 0xd9, 0x26 }, 3, 14 },
	{ "fldenv; fnstenv", { 0xd9, 0x26, 0xd9, 0x36 }, 4, 28 },
	{ "fldenv16; fnstenv", { 0x66, 0xd9, 0x26, 0xd9, 0x36 }, 5, 28 },
	{ "fldcw; fld1; fnstcw", { 0xd9, 0x2e, 0xd9, 0xe8, 0xd9, 0x3e }, 6, 2 },
	{ "fnsave", { 0xdd, 0x36 }, 2, 108 },
	{ "fnsave16", { 0x66, 0xdd, 0x36 }, 3, 94 },
	{ "frstor", { 0xdd, 0x26 }, 2, 108 },
	{ "frstor16", { 0x66, 0xdd, 0x26 }, 3, 94 },
	{ "frstor; fnsave", { 0xdd, 0x26, 0xdd, 0x36 }, 4, 108 },
	{ "movq mm0, mm1; fnsave", { 0x0f, 0x6f, 0xc1, 0xdd, 0x36 }, 5, 108 },
	{ "emms; fnstenv", { 0x0f, 0x77, 0xd9, 0x36 }, 4, 28 },
	{ "fninit; fnsave", { 0xdb, 0xe3, 0xdd, 0x36 }, 4, 108 },
	{ "fxsave", { 0x0f, 0xae, 0x06 }, 3, 512 },
	{ "fxsave64", { 0x48, 0x0f, 0xae, 0x06 }, 4, 512 },
	{ "fld1; fxsave", { 0xd9, 0xe8, 0x0f, 0xae, 0x06 }, 5, 512 },
	{ "fxrstor", { 0x0f, 0xae, 0x0e }, 3, 512 },
	{ "fxrstor64", { 0x48, 0x0f, 0xae, 0x0e }, 4, 512 },
	{ "fxrstor; fnstenv", { 0x0f, 0xae, 0x0e, 0xd9, 0x36 }, 5, 512 },
	{ "xsave", { 0x0f, 0xae, 0x26 }, 3, 832 },
	{ "xsave64", { 0x48, 0x0f, 0xae, 0x26 }, 4, 832 },
	{ "fninit; xsave", { 0xdb, 0xe3, 0x0f, 0xae, 0x26 }, 5, 832 },
	{ "vzeroall; xsave", { 0xc5, 0xfc, 0x77, 0x0f, 0xae, 0x26 }, 6, 832 },
	{ "vzeroupper; xsaveopt", { 0xc5, 0xf8, 0x77, 0x0f, 0xae, 0x36 }, 6, 832 },
	{ "xsaveopt", { 0x0f, 0xae, 0x36 }, 3, 832 },
	{ "xsavec", { 0x0f, 0xc7, 0x26 }, 3, 832 },
	{ "vzeroall; xsavec64", { 0xc5, 0xfc, 0x77, 0x48, 0x0f, 0xc7, 0x26 }, 7, 832 },
	{ "xrstor", { 0x0f, 0xae, 0x2e }, 3, 832 },
	{ "xrstor64", { 0x48, 0x0f, 0xae, 0x2e }, 4, 832 },
	{ "xsavec; xrstor", { 0x0f, 0xc7, 0x26, 0x0f, 0xae, 0x2e }, 6, 832 },
};

/* Mostly what the instructions accept: the rest of the area is as random as before. */
static void prepare_area(struct context *context, uint8_t *area, uint16_t size)
{
	struct random *random = &context->random;

	for (size_t i = 0; i < 1024; i += 8) {
		store_le64(area + i, random_lane(random));
	}
	if (size >= 512) {
		uint8_t fpu[HOSTRUN_FPU_SIZE] __attribute__((aligned(64)));

		random_fpu(random, fpu, true);
		memcpy(area, fpu, 512);
		store_le32(area + 24,
			   load_le32(area + 24) | (random_below(random, 8) ? 0 : BIT(16)));
		memset(area + 512, 0, 64);
		area[512] = (uint8_t)random_below(random, random_below(random, 8) ? 8 : 16);
		if (random_below(random, 4) == 0) {
			area[519 + random_below(random, 17)] = 0x80;
			area[520] |= (uint8_t)random_below(random, 8);
		}
	}
	memcpy(softrun_data(context->soft) + (area - host_data()), area, 1024);
}

static void run_sequence(struct context *context, const struct sequence *sequence)
{
	uint8_t *area = host_data() + 0x800;
	unsigned int before = context->failures;

	place_code(context, sequence->bytes, sequence->size);
	memset(&context->insn, 0, sizeof(context->insn));
	for (unsigned int i = 0; i < context->states * 8; i++) {
		struct hostrun_state start = { .rip = RUN_CODE, .rflags = 0x202 };
		struct random *random = &context->random;

		prepare_area(context, area, sequence->operand);
		random_fpu(random, start.fpu, i % 2);
		if (random_below(random, 4) == 0) {
			memset(start.fpu + 576, 0, 256);
		}
		random_gprs(random, start.gpr);
		start.gpr[CPU_RSI] = RUN_DATA + 0x800;
		start.gpr[CPU_RSP] = RUN_DATA + 0x400;
		start.gpr[CPU_RAX] = random_below(random, 4) ? 7 : random_below(random, 16);
		start.gpr[CPU_RDX] = 0;
		if (random_below(random, 8) == 0) {
			start.gpr[CPU_RSI] += 1u << random_below(random, 7);
		} else if (random_below(random, 8) == 0) {
			start.gpr[CPU_RSI] = (RUN_DATA + RUN_DATA_SIZE - sequence->operand) & ~63ul;
		}
		run_both(context, &start);
	}
	if (context->failures != before) {
		fprintf(stderr, "%s: %u failures\n", sequence->name, context->failures - before);
	}
}

static void test_state_moves(void **state)
{
	struct context *context = *state;

	random_data(context);
	for (unsigned int i = 0; i < ARRAY_SIZE(environments); i++) {
		run_sequence(context, &environments[i]);
	}
	assert_int_equal(context->failures, 0);
}

/* ------- gathers ------- */

static void test_gathers(void **state)
{
	struct context *context = *state;

	random_data(context);
	for (unsigned int n = 0; n < 4 * 4; n++) {
		/* vex.w/l, opcode 0x90-0x93: ymm1, [rsi + ymm2 * 4 + 16], ymm3 */
		uint8_t bytes[] = { 0xc4, 0xe2, 0x61, (uint8_t)(0x90 + n % 4), 0x4c, 0x96, 0x10 };

		bytes[2] |= (uint8_t)((n & 4) << 5 | (n & 8) >> 1);
		place_code(context, bytes, sizeof(bytes));
		memset(&context->insn, 0, sizeof(context->insn));
		for (unsigned int i = 0; i < context->states * 16; i++) {
			struct hostrun_state start = { .rip = RUN_CODE, .rflags = 0x202 };
			struct soft_fpu *fpu = (struct soft_fpu *)start.fpu;

			random_fpu(&context->random, start.fpu, false);
			random_gprs(&context->random, start.gpr);
			start.gpr[CPU_RSI] = RUN_DATA + RUN_DATA_SIZE - 0x200;
			for (unsigned int j = 0; j < 16; j += 4) {
				bool qword = n & 1; /* sign-extended halves would be far away */

				store_le32(fpu->xmm[2] + j, random_below(&context->random, 128));
				store_le32(fpu->ymm_hi[2] + j, random_below(&context->random, 128));
				if (qword && j % 8) {
					store_le32(fpu->xmm[2] + j, 0);
					store_le32(fpu->ymm_hi[2] + j, 0);
				}
			}
			run_both(context, &start);
		}
	}
	assert_int_equal(context->failures, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_legacy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vex, setup, teardown),
		cmocka_unit_test_setup_teardown(test_x87, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gathers, setup, teardown),
	};

	if (argc > 1) {
		seed = (unsigned int)strtoul(argv[1], NULL, 0);
	}
	if (argc > 2) {
		state_count = (unsigned int)strtoul(argv[2], NULL, 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
