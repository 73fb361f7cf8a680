/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sequences of user-mode instructions, run on the host CPU and on the software CPU from the
 * same random state: registers, flags, memory and faults must agree after each. The sequences mix
 * integer, string, x87, MMX, SSE and AVX instructions and short branches. When one differs it is
 * cut down to the first instruction after which the two disagree.
 *
 * usage: test_differ [SEED [INSTRUCTIONS]]
 *
 * R15 always points to the data, RSP is the stack; nothing else writes them.
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
#define INSTRUCTIONS 200000
#define SEQUENCE_MAX 48
#define CODE_MAX 1024
#define STACK_OFFSET 0x3800

struct piece {
	uint16_t offset;
	uint8_t length;
};

struct differ {
	struct softrun *soft;
	struct random random;
	ZydisDecoder decoder;
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t code[CODE_MAX];
	size_t size;
	struct piece pieces[SEQUENCE_MAX];
	unsigned int count;
	struct hostrun_state start;
	uint8_t data[RUN_DATA_SIZE];
	uint64_t instructions;
};

static unsigned int seed = SEED;
static uint64_t wanted = INSTRUCTIONS;

static uint8_t *host_code(void)
{
	return (uint8_t *)RUN_CODE;
}

static uint8_t *host_data(void)
{
	return (uint8_t *)RUN_DATA;
}

static unsigned int pick(struct differ *d, unsigned int limit)
{
	return random_below(&d->random, limit);
}

/* ------- instructions ------- */

/* Opcodes with ModRM of the one-byte map and, above 0xff, of the 0F map. */
static const uint16_t integer_opcodes[] = {
	0x00,  0x01,  0x02,  0x03,  0x08,  0x09,  0x0a,	 0x0b,	0x10,  0x11,  0x12,  0x13,  0x18,
	0x19,  0x1a,  0x1b,  0x20,  0x21,  0x22,  0x23,	 0x28,	0x29,  0x2a,  0x2b,  0x30,  0x31,
	0x32,  0x33,  0x38,  0x39,  0x3a,  0x3b,  0x63,	 0x69,	0x6b,  0x80,  0x81,  0x83,  0x84,
	0x85,  0x86,  0x87,  0x88,  0x89,  0x8a,  0x8b,	 0x8d,	0xc0,  0xc1,  0xc6,  0xc7,  0xd0,
	0xd1,  0xd2,  0xd3,  0xf6,  0xf7,  0xfe,  0xff,	 0x140, 0x141, 0x142, 0x143, 0x144, 0x145,
	0x146, 0x147, 0x148, 0x149, 0x14a, 0x14b, 0x14c, 0x14d, 0x14e, 0x14f, 0x190, 0x191, 0x192,
	0x193, 0x194, 0x195, 0x196, 0x197, 0x198, 0x199, 0x19a, 0x19b, 0x19c, 0x19d, 0x19e, 0x19f,
	0x1a3, 0x1a4, 0x1a5, 0x1ab, 0x1ac, 0x1ad, 0x1af, 0x1b0, 0x1b1, 0x1b3, 0x1b6, 0x1b7, 0x1ba,
	0x1bb, 0x1bc, 0x1bd, 0x1be, 0x1bf, 0x1c0, 0x1c1, 0x1c7,
};

/* Without ModRM: one byte, and an immediate where the opcode has one. */
static const uint8_t plain_opcodes[] = {
	0x04, 0x05, 0x0c, 0x0d, 0x14, 0x15, 0x1c, 0x1d, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c,
	0x3d, 0x50, 0x51, 0x52, 0x53, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x5b, 0x5d, 0x5e, 0x5f,
	0x68, 0x6a, 0x91, 0x92, 0x93, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9e, 0x9f, 0xa8, 0xa9, 0xb0,
	0xb1, 0xb3, 0xb5, 0xb8, 0xb9, 0xbb, 0xbd, 0xbe, 0xbf, 0xf5, 0xf8, 0xf9, 0xfc,
};

static size_t put_modrm(struct differ *d, uint8_t *p)
{
	unsigned int reg = pick(d, 8) << 3;
	unsigned int place = 0x100 + pick(d, 0x60) * 32;

	switch (pick(d, 4)) {
	case 0: /* [r15 + disp32], aligned */
		p[0] = (uint8_t)(0x87 | reg);
		store_le32(p + 1, place);
		return 5;
	case 1: /* [disp32], anywhere */
		p[0] = (uint8_t)(0x04 | reg);
		p[1] = 0x25;
		store_le32(p + 2, RUN_DATA + place + (pick(d, 2) ? pick(d, 64) : 0));
		return 6;
	default: p[0] = (uint8_t)(0xc0 | reg | pick(d, 8)); return 1;
	}
}

static uint8_t random_rex(struct differ *d, bool r15)
{
	return (uint8_t)(0x40 | (pick(d, 2) ? 8 : 0) | (pick(d, 3) ? 0 : 4) | (r15 ? 1 : 0));
}

/* Prefixes first, then REX, which must have B for [r15 + disp32] and may have it for registers. */
static size_t put_rex_and_modrm(struct differ *d, uint8_t *p, const uint8_t *opcode, size_t size)
{
	uint8_t modrm[8];
	size_t modrm_size = put_modrm(d, modrm);
	bool needs_b = (modrm[0] & 0xc7) == 0x87;
	size_t at = 0;

	if (needs_b || pick(d, 3) == 0) {
		p[at++] = random_rex(d, needs_b || (modrm_size == 1 && pick(d, 2)));
	}
	memcpy(p + at, opcode, size);
	memcpy(p + at + size, modrm, modrm_size);
	return at + size + modrm_size;
}

static size_t put_integer(struct differ *d, uint8_t *p)
{
	uint16_t opcode = integer_opcodes[pick(d, ARRAY_SIZE(integer_opcodes))];
	uint8_t bytes[2] = { 0x0f, (uint8_t)opcode };
	size_t at = 0;

	if (pick(d, 6) == 0) {
		p[at++] = 0x66;
	}
	if (pick(d, 16) == 0) {
		p[at++] = 0xf0;
	}
	if (opcode >= 0x100) {
		return at + put_rex_and_modrm(d, p + at, bytes, 2);
	}
	return at + put_rex_and_modrm(d, p + at, bytes + 1, 1);
}

static size_t put_plain(struct differ *d, uint8_t *p)
{
	size_t at = 0;

	if (pick(d, 6) == 0) {
		p[at++] = 0x66;
	}
	if (pick(d, 4) == 0) {
		p[at++] = 0x48;
	}
	p[at++] = plain_opcodes[pick(d, ARRAY_SIZE(plain_opcodes))];
	return at;
}

static size_t put_legacy_vector(struct differ *d, uint8_t *p)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	uint8_t prefix = prefixes[pick(d, 4)];
	uint8_t opcode[3] = { 0x0f };
	size_t size = 1;
	size_t at = 0;

	if (prefix) {
		p[at++] = prefix;
	}
	if (pick(d, 4) == 0) {
		opcode[size++] = pick(d, 2) ? 0x38 : 0x3a;
	}
	opcode[size] = (uint8_t)pick(d, 256);
	if (size == 1 && (opcode[1] == 0x38 || opcode[1] == 0x3a)) {
		opcode[1] = 0x10;
	}
	return at + put_rex_and_modrm(d, p + at, opcode, size + 1);
}

static size_t put_vex(struct differ *d, uint8_t *p)
{
	uint8_t modrm[8];
	size_t modrm_size = put_modrm(d, modrm);
	bool needs_b = (modrm[0] & 0xc7) == 0x87;

	p[0] = 0xc4;
	p[1] = (uint8_t)(0x41 | pick(d, 3) | (pick(d, 2) ? 0x80 : 0) |
			 (needs_b || pick(d, 2) ? 0 : 0x20));
	if ((p[1] & 3) == 0) {
		p[1] |= 1;
	}
	p[2] = (uint8_t)pick(d, 256);
	p[3] = (uint8_t)pick(d, 256);
	memcpy(p + 4, modrm, modrm_size);
	return 4 + modrm_size;
}

static size_t put_x87(struct differ *d, uint8_t *p)
{
	uint8_t opcode = (uint8_t)(0xd8 + pick(d, 8));

	return put_rex_and_modrm(d, p, &opcode, 1);
}

/* lea rsi; lea rdi; mov ecx, n; [rep] string */
static size_t put_string(struct differ *d, uint8_t *p)
{
	static const uint8_t opcodes[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa,
					   0xab, 0xac, 0xad, 0xae, 0xaf };
	uint8_t *start = p;

	*p++ = 0x49;
	*p++ = 0x8d;
	*p++ = 0xb7;
	store_le32(p, 0x100 + pick(d, 0x1800));
	p += 4;
	*p++ = 0x49;
	*p++ = 0x8d;
	*p++ = 0xbf;
	store_le32(p, 0x1900 + pick(d, 0x1800));
	p += 4;
	*p++ = 0xb9;
	store_le32(p, pick(d, 80));
	p += 4;
	if (pick(d, 4)) {
		*p++ = pick(d, 2) ? 0xf2 : 0xf3;
	}
	if (pick(d, 3) == 0) {
		*p++ = 0x48;
	}
	*p++ = opcodes[pick(d, ARRAY_SIZE(opcodes))];
	return (size_t)(p - start);
}

/* ------- which of them are fit ------- */

static bool is_vector_excluded(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_LDMXCSR:
	case ZYDIS_MNEMONIC_VLDMXCSR:
	case ZYDIS_MNEMONIC_FLDCW:
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
	case ZYDIS_MNEMONIC_NOP: /* 0F 0D with a register: not the same on all processors */
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2: return true;
	default: return false;
	}
}

/* State areas hold what the model offers, gathers index memory with random numbers. */
static bool is_set_excluded(ZydisISASet isa_set)
{
	switch (isa_set) {
	case ZYDIS_ISA_SET_XSAVE:
	case ZYDIS_ISA_SET_XSAVEOPT:
	case ZYDIS_ISA_SET_XSAVEC:
	case ZYDIS_ISA_SET_XSAVES:
	case ZYDIS_ISA_SET_FXSAVE:
	case ZYDIS_ISA_SET_FXSAVE64:
	case ZYDIS_ISA_SET_AVX2GATHER: return true;
	default: return false;
	}
}

static bool writes_reserved(const struct differ *d)
{
	for (unsigned int i = 0; i < d->zydis.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &d->operands[i];
		uint8_t gpr;

		if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
			continue;
		}
		gpr = soft_insn_gpr(operand->reg.value);
		if (gpr == CPU_RSP || gpr == CPU_R15) {
			return true;
		}
	}
	return false;
}

/* BT with a register reaches far beyond its operand; some do not give the same twice. */
static bool is_integer_excluded(const struct differ *d)
{
	switch (d->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_RDRAND:
	case ZYDIS_MNEMONIC_RDSEED:
	case ZYDIS_MNEMONIC_RDPID:
	case ZYDIS_MNEMONIC_RDSSPD:
	case ZYDIS_MNEMONIC_RDSSPQ: return true;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return d->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		       d->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
	default: return false;
	}
}

static bool is_control_flow(ZydisInstructionCategory category)
{
	switch (category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_SYSCALL: return true;
	default: return false;
	}
}

static bool is_fit(struct differ *d, const uint8_t *bytes, size_t size, bool vector)
{
	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&d->decoder, bytes, size, &d->zydis, d->operands))) {
		return false;
	}
	if (writes_reserved(d) || is_integer_excluded(d) ||
	    is_set_excluded(d->zydis.meta.isa_set) || is_control_flow(d->zydis.meta.category)) {
		return false;
	}
	return !vector || (soft_isa_allowed(softrun_cpu(d->soft), d->zydis.meta.isa_set) &&
			   !is_vector_excluded(d->zydis.mnemonic));
}

/* One instruction with a random immediate. Return: its length, 0 if it is not fit. */
static size_t make_one(struct differ *d, uint8_t *p)
{
	unsigned int kind = pick(d, 16);
	bool vector = kind >= 6;
	size_t size;

	switch (kind) {
	case 0:
	case 1:
	case 2:
	case 3: size = put_integer(d, p); break;
	case 4:
	case 5: size = put_plain(d, p); break;
	case 6:
	case 7:
	case 8: size = put_x87(d, p); break;
	case 9:
	case 10:
	case 11:
	case 12: size = put_legacy_vector(d, p); break;
	default: size = put_vex(d, p); break;
	}
	store_le64(p + size, random_next(&d->random));
	return is_fit(d, p, size + 8, vector) && d->zydis.length >= size ? d->zydis.length : 0;
}

static void append(struct differ *d, const uint8_t *bytes, size_t size)
{
	memcpy(d->code + d->size, bytes, size);
	d->pieces[d->count++] = (struct piece){ (uint16_t)d->size, (uint8_t)size };
	d->size += size;
}

static void make_sequence(struct differ *d)
{
	unsigned int target = 1 + pick(d, SEQUENCE_MAX - 2);

	d->size = 0;
	d->count = 0;
	while (d->count < target) {
		uint8_t bytes[40];
		size_t size;

		if (pick(d, 40) == 0) {
			append(d, bytes, put_string(d, bytes));
			continue;
		}
		size = make_one(d, bytes);
		if (!size) {
			continue;
		}
		if (pick(d, 12) == 0) {
			uint8_t branch[2] = { (uint8_t)(0x70 | pick(d, 16)), (uint8_t)size };

			append(d, branch, sizeof(branch));
		}
		append(d, bytes, size);
	}
}

/* ------- running ------- */

static void make_state(struct differ *d)
{
	struct random *random = &d->random;

	d->start = (struct hostrun_state){ .rip = RUN_CODE, .rflags = 0x202 };
	random_fpu(random, d->start.fpu, false);
	random_gprs(random, d->start.gpr);
	d->start.rflags |= random_next(random) & FLAGS_ARITH;
	d->start.gpr[CPU_R15] = RUN_DATA;
	d->start.gpr[CPU_RSP] = RUN_DATA + STACK_OFFSET;
	for (unsigned int i = 0; i < 64; i++) {
		store_le64(d->data + pick(d, RUN_DATA_SIZE / 8) * 8, random_lane(random));
	}
}

struct outcome {
	struct hostrun_state host;
	struct hostrun_state soft;
	struct hostrun_exit host_exit;
	struct hostrun_exit soft_exit;
};

static bool exits_agree(const struct outcome *o)
{
	if (o->host_exit.vector != o->soft_exit.vector) {
		return false;
	}
	return o->host_exit.vector != SOFT_PF ||
	       (o->host_exit.address == o->soft_exit.address &&
		o->host_exit.error_code == o->soft_exit.error_code);
}

/* The first @size bytes of the sequence. Return: whether both agree. */
static bool run_once(struct differ *d, size_t size, struct outcome *o, FILE *out)
{
	memcpy(host_code(), d->code, size);
	host_code()[size] = 0xcc;
	softrun_set_code(d->soft, host_code(), size + 1);
	memcpy(host_data(), d->data, RUN_DATA_SIZE);
	memcpy(softrun_data(d->soft), d->data, RUN_DATA_SIZE);
	o->host = d->start;
	o->soft = d->start;
	hostrun(&o->host, &o->host_exit);
	softrun(d->soft, &o->soft, &o->soft_exit);
	return exits_agree(o) && !state_differs(&o->host, &o->soft, out) &&
	       memcmp(host_data(), softrun_data(d->soft), RUN_DATA_SIZE) == 0;
}

/* A process switch makes an AMD host forget the x87 pointers: what counts is what happens twice. */
static bool run_part(struct differ *d, size_t size, struct outcome *o, FILE *out)
{
	return run_once(d, size, o, out) || run_once(d, size, o, out);
}

static void print_memory(struct differ *d)
{
	for (size_t i = 0; i < RUN_DATA_SIZE; i++) {
		if (host_data()[i] != softrun_data(d->soft)[i]) {
			printf("  memory %#zx: %02x, %02x\n", RUN_DATA + i, host_data()[i],
			       softrun_data(d->soft)[i]);
		}
	}
}

static void print_piece(struct differ *d, unsigned int i)
{
	const uint8_t *bytes = d->code + d->pieces[i].offset;
	size_t left = d->pieces[i].length;
	ZydisFormatter formatter;
	char text[128] = "?";

	for (size_t n = 0; n < left; n++) {
		printf(" %02x", bytes[n]);
	}
	printf("\n");
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	while (left && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d->decoder, bytes, left, &d->zydis,
							   d->operands))) {
		ZydisFormatterFormatInstruction(&formatter, &d->zydis, d->operands,
						d->zydis.operand_count_visible, text, sizeof(text),
						RUN_CODE, NULL);
		printf("  %s\n", text);
		bytes += d->zydis.length;
		left -= d->zydis.length;
	}
}

static void report(struct differ *d, FILE *quiet)
{
	struct outcome o;
	unsigned int cut = 0;

	while (cut < d->count) {
		size_t end = d->pieces[cut].offset + d->pieces[cut].length;

		cut++;
		/* A branch is cut together with what it jumps over. */
		if (d->pieces[cut - 1].length == 2 && (d->code[end - 2] & 0xf0) == 0x70) {
			continue;
		}
		if (!run_part(d, end, &o, quiet)) {
			break;
		}
	}
	printf("after %u instructions, the last ones:\n", cut);
	for (unsigned int i = cut > 3 ? cut - 3 : 0; i < cut; i++) {
		print_piece(d, i);
	}
	printf("  vector %u, %u; rip %#llx, %#llx; address %#llx, %#llx (host, soft)\n",
	       o.host_exit.vector, o.soft_exit.vector, (unsigned long long)o.host.rip,
	       (unsigned long long)o.soft.rip, (unsigned long long)o.host_exit.address,
	       (unsigned long long)o.soft_exit.address);
	state_differs(&o.host, &o.soft, stdout);
	print_memory(d);
}

static void test_sequences(void **state)
{
	struct differ *d = calloc(1, sizeof(*d));
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	FILE *quiet = fopen("/dev/null", "w");
	unsigned int failures = 0;
	uint64_t sequences = 0;
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
	ZydisDecoderInit(&d->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (size_t i = 0; i < RUN_DATA_SIZE; i += 8) {
		store_le64(d->data + i, random_lane(&d->random));
	}
	before = softrun_cpu(d->soft)->instructions;
	while (softrun_cpu(d->soft)->instructions - before < wanted && failures < 20) {
		struct outcome o;

		make_sequence(d);
		make_state(d);
		sequences++;
		if (!run_part(d, d->size, &o, quiet)) {
			failures++;
			report(d, quiet);
		}
	}
	printf("%llu sequences, %llu instructions\n", (unsigned long long)sequences,
	       (unsigned long long)(softrun_cpu(d->soft)->instructions - before));
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
