/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random states and their comparison. The proportions favour what goes wrong: half of all lanes are
 * special numbers, registers of the x87 may be empty, and every rounding mode occurs.
 */

#include "lib_vectorstate.h"
#include "softcpu/fpu.h"

#define RFLAGS_COMPARED 0x8d5 /* the arithmetic flags */

uint64_t random_next(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

unsigned int random_below(struct random *random, unsigned int limit)
{
	return (unsigned int)((random_next(random) >> 33) % limit);
}

static uint32_t random_single(struct random *random)
{
	static const uint32_t specials[] = {
		0,	    0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
		0x7fc00000, 0xffc00000, 0x7f800001, 0x7fa00000, 0x00000001, 0x807fffff,
		0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x5f000000, 0x3f000000,
		0x40490fdb, 0x4b7fffff, 0x33800000, 0x20000000,
	};

	return specials[random_below(random, ARRAY_SIZE(specials))];
}

static uint64_t random_double(struct random *random)
{
	static const uint64_t specials[] = {
		0,
		0x8000000000000000,
		0x3ff0000000000000,
		0xbff0000000000000,
		0x7ff0000000000000,
		0xfff0000000000000,
		0x7ff8000000000000,
		0xfff8000000000001,
		0x7ff0000000000001,
		0x7ff4000000000000,
		0x0000000000000001,
		0x800fffffffffffff,
		0x0010000000000000,
		0x7fefffffffffffff,
		0x41e0000000000000,
		0xc1e0000000000000,
		0x43e0000000000000,
		0x3fe0000000000000,
		0x400921fb54442d18,
		0x3810000000000000,
		0x47efffffe0000000,
		0x36a0000000000000,
	};

	return specials[random_below(random, ARRAY_SIZE(specials))];
}

uint64_t random_lane(struct random *random)
{
	switch (random_below(random, 6)) {
	case 0: return random_double(random);
	case 1: return random_single(random) | (uint64_t)random_single(random) << 32;
	case 2:
		return (random_next(random) & UINT64_C(0x800fffffffffffff)) |
		       UINT64_C(0x3fe0000000000000);
	case 3:
		return (random_next(random) & UINT64_C(0x807fffff807fffff)) |
		       UINT64_C(0x3f0000003f800000);
	case 4: return random_next(random) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	default: return random_next(random);
	}
}

static void random_extended(struct random *random, uint8_t *reg)
{
	static const uint16_t exponents[] = { 0,      0x7fff, 0x3fff, 0x4000, 1,
					      0x7ffe, 0x3c01, 0x43fe, 0x403e };
	static const uint64_t significands[] = {
		0,
		1,
		0x8000000000000000,
		0xc000000000000000,
		0xffffffffffffffff,
		0x4000000000000000,
		0x8000000000000001,
		0x8000000000000400,
	};
	uint16_t exponent = exponents[random_below(random, ARRAY_SIZE(exponents))];
	uint64_t significand = significands[random_below(random, ARRAY_SIZE(significands))];

	switch (random_below(random, 4)) {
	case 0: break;
	case 1:
		exponent = (uint16_t)(0x3ff0 + random_below(random, 80));
		significand = random_next(random) | BIT(63);
		break;
	case 2:
		exponent = 0x3fff;
		significand = (random_next(random) & ~BIT(62)) | BIT(63);
		break;
	default: significand |= BIT(63); break;
	}
	store_le64(reg, significand);
	store_le16(reg + 8, (uint16_t)(exponent | (random_below(random, 2) << 15)));
	memset(reg + 10, 0, 6);
}

static void random_x87(struct random *random, struct soft_fpu *fpu, bool unmasked)
{
	static const uint8_t tags[] = { 0xff, 0xff, 0xff, 0, 0x55 };

	fpu->fcw = (uint16_t)(0x40 | random_below(random, 16) << 8);
	fpu->fcw |= unmasked && random_below(random, 2) ? (uint16_t)random_below(random, 64) : 0x3f;
	fpu->fsw = (uint16_t)(random_next(random) & (FSW_TOP | FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3 |
						     FSW_STACK_FAULT | FSW_EXCEPTIONS));
	fpu->fsw &= (uint16_t)(fpu->fcw | ~FSW_EXCEPTIONS);
	if (random_below(random, 2)) {
		fpu->fsw &= FSW_TOP;
	}
	fpu->ftw = tags[random_below(random, ARRAY_SIZE(tags))];
	if (random_below(random, 4) == 0) {
		fpu->ftw = (uint8_t)random_next(random);
	}
	for (unsigned int i = 0; i < 8; i++) {
		random_extended(random, fpu->st[i]);
		if (random_below(random, 8) == 0) {
			store_le64(fpu->st[i], random_lane(random));
			store_le16(fpu->st[i] + 8, 0xffff);
		}
	}
}

void random_fpu(struct random *random, uint8_t *image, bool unmasked)
{
	struct soft_fpu *fpu = (struct soft_fpu *)image;

	memset(fpu, 0, sizeof(*fpu));
	random_x87(random, fpu, unmasked);
	fpu->mxcsr = MXCSR_INIT;
	if (random_below(random, 2)) {
		fpu->mxcsr |= (uint32_t)random_next(random) & 0xe07f;
	}
	if (unmasked && random_below(random, 2)) {
		fpu->mxcsr &= (uint32_t)random_next(random) | ~(uint32_t)MXCSR_MASKS;
	}
	fpu->mxcsr_mask = 0xffff;
	for (unsigned int i = 0; i < 32; i++) {
		store_le64(fpu->xmm[i / 2] + i % 2 * 8, random_lane(random));
		store_le64(fpu->ymm_hi[i / 2] + i % 2 * 8, random_lane(random));
	}
	fpu->xstate_bv = 7;
}

void random_gprs(struct random *random, uint64_t *gpr)
{
	for (unsigned int i = 0; i < 16; i++) {
		switch (random_below(random, 4)) {
		case 0: gpr[i] = random_next(random); break;
		case 1: gpr[i] = random_below(random, 256); break;
		case 2: gpr[i] = random_lane(random); break;
		default: gpr[i] = (uint64_t) - (int64_t)random_below(random, 100000); break;
		}
	}
}

static bool report(FILE *out, const char *name, unsigned int i, uint64_t a, uint64_t b)
{
	if (a == b) {
		return false;
	}
	fprintf(out, "  %s%u: %#llx, %#llx\n", name, i, (unsigned long long)a,
		(unsigned long long)b);
	return true;
}

static bool registers_differ(const char *name, const uint8_t (*a)[16], const uint8_t (*b)[16],
			     unsigned int count, FILE *out)
{
	bool differs = false;

	for (unsigned int i = 0; i < count; i++) {
		differs |= report(out, name, i, load_le64(a[i]), load_le64(b[i]));
		differs |= report(out, name, i, load_le64(a[i] + 8), load_le64(b[i] + 8));
	}
	return differs;
}

static bool fpu_differs(const struct soft_fpu *a, const struct soft_fpu *b, FILE *out)
{
	bool differs = false;

	differs |= report(out, "fcw", 0, a->fcw, b->fcw);
	differs |= report(out, "fsw", 0, a->fsw, b->fsw);
	differs |= report(out, "ftw", 0, a->ftw, b->ftw);
	if (a->fsw & b->fsw & FSW_ES) {
		differs |= report(out, "fop", 0, a->fop, b->fop);
		differs |= report(out, "fip", 0, a->fip, b->fip);
		differs |= report(out, "fdp", 0, a->fdp, b->fdp);
	}
	differs |= report(out, "mxcsr", 0, a->mxcsr, b->mxcsr);
	differs |= registers_differ("st", a->st, b->st, 8, out);
	differs |= registers_differ("xmm", a->xmm, b->xmm, 16, out);
	differs |= registers_differ("ymm_hi", a->ymm_hi, b->ymm_hi, 16, out);
	return differs;
}

bool state_differs(const struct hostrun_state *a, const struct hostrun_state *b, FILE *out)
{
	bool differs = false;

	for (unsigned int i = 0; i < 16; i++) {
		differs |= report(out, "gpr", i, a->gpr[i], b->gpr[i]);
	}
	differs |= report(out, "rip", 0, a->rip, b->rip);
	differs |=
		report(out, "rflags", 0, a->rflags & RFLAGS_COMPARED, b->rflags & RFLAGS_COMPARED);
	differs |=
		fpu_differs((const struct soft_fpu *)a->fpu, (const struct soft_fpu *)b->fpu, out);
	return differs;
}
