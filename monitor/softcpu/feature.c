/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which instruction sets a guest may use: those that its processor model shows in CPUID and that
 * the host executes too, as vector instructions run as themselves. The names are Zydis's, the bits
 * those of Intel's SDM vol. 2 (CPUID) and AMD's manual vol. 3, appendix E. What is not in the table
 * is not offered: 3DNow!, SSE4A, XOP, FMA4, TBM and AVX-512 raise #UD.
 */

#include <cpuid.h>

#include "softcpu/fpu.h"

enum feature_reg { EAX, EBX, ECX, EDX };

struct feature {
	ZydisISASet isa_set;
	uint32_t leaf;
	uint32_t subleaf;
	uint8_t reg;
	uint8_t bit;
	bool host; /* executed as itself: the host must have it */
};

static const struct feature features[] = {
	{ ZYDIS_ISA_SET_X87, 1, 0, EDX, 0, false },
	{ ZYDIS_ISA_SET_FCMOV, 1, 0, EDX, 15, false },
	{ ZYDIS_ISA_SET_PPRO, 1, 0, EDX, 15, false },
	{ ZYDIS_ISA_SET_PENTIUMMMX, 1, 0, EDX, 23, false },
	{ ZYDIS_ISA_SET_FXSAVE, 1, 0, EDX, 24, false },
	{ ZYDIS_ISA_SET_FXSAVE64, 1, 0, EDX, 24, false },
	{ ZYDIS_ISA_SET_SSE, 1, 0, EDX, 25, false },
	{ ZYDIS_ISA_SET_SSEMXCSR, 1, 0, EDX, 25, false },
	{ ZYDIS_ISA_SET_SSE_PREFETCH, 1, 0, EDX, 25, false },
	{ ZYDIS_ISA_SET_SSE2, 1, 0, EDX, 26, false },
	{ ZYDIS_ISA_SET_SSE2MMX, 1, 0, EDX, 26, false },
	{ ZYDIS_ISA_SET_SSE3, 1, 0, ECX, 0, true },
	{ ZYDIS_ISA_SET_SSE3X87, 1, 0, ECX, 0, true },
	{ ZYDIS_ISA_SET_PCLMULQDQ, 1, 0, ECX, 1, true },
	{ ZYDIS_ISA_SET_SSSE3, 1, 0, ECX, 9, true },
	{ ZYDIS_ISA_SET_SSSE3MMX, 1, 0, ECX, 9, true },
	{ ZYDIS_ISA_SET_FMA, 1, 0, ECX, 12, true },
	{ ZYDIS_ISA_SET_SSE4, 1, 0, ECX, 19, true },
	{ ZYDIS_ISA_SET_SSE42, 1, 0, ECX, 20, true },
	{ ZYDIS_ISA_SET_MOVBE, 1, 0, ECX, 22, false },
	{ ZYDIS_ISA_SET_POPCNT, 1, 0, ECX, 23, true },
	{ ZYDIS_ISA_SET_AES, 1, 0, ECX, 25, true },
	{ ZYDIS_ISA_SET_XSAVE, 1, 0, ECX, 26, false },
	{ ZYDIS_ISA_SET_AVX, 1, 0, ECX, 28, true },
	{ ZYDIS_ISA_SET_AVXAES, 1, 0, ECX, 25, true },
	{ ZYDIS_ISA_SET_F16C, 1, 0, ECX, 29, true },
	{ ZYDIS_ISA_SET_BMI1, 7, 0, EBX, 3, true },
	{ ZYDIS_ISA_SET_AVX2, 7, 0, EBX, 5, true },
	{ ZYDIS_ISA_SET_AVX2GATHER, 7, 0, EBX, 5, false },
	{ ZYDIS_ISA_SET_BMI2, 7, 0, EBX, 8, true },
	{ ZYDIS_ISA_SET_ADOX_ADCX, 7, 0, EBX, 19, true },
	{ ZYDIS_ISA_SET_SHA, 7, 0, EBX, 29, true },
	{ ZYDIS_ISA_SET_GFNI, 7, 0, ECX, 8, true },
	{ ZYDIS_ISA_SET_AVX_GFNI, 7, 0, ECX, 8, true },
	{ ZYDIS_ISA_SET_VAES, 7, 0, ECX, 9, true },
	{ ZYDIS_ISA_SET_VPCLMULQDQ, 7, 0, ECX, 10, true },
	{ ZYDIS_ISA_SET_AVX_VNNI, 7, 1, EAX, 4, true },
	{ ZYDIS_ISA_SET_XSAVEOPT, 0xd, 1, EAX, 0, false },
	{ ZYDIS_ISA_SET_XSAVEC, 0xd, 1, EAX, 1, false },
	{ ZYDIS_ISA_SET_LZCNT, 0x80000001, 0, ECX, 5, true },
	{ ZYDIS_ISA_SET_PREFETCH_NOP, 0x80000001, 0, ECX, 8, false },
};

static bool host_has(const struct feature *feature)
{
	uint32_t regs[4];

	return __get_cpuid_count(feature->leaf, feature->subleaf, &regs[EAX], &regs[EBX],
				 &regs[ECX], &regs[EDX]) &&
	       (regs[feature->reg] & BIT(feature->bit));
}

static void find_features(struct softcpu *cpu)
{
	uint64_t allowed = 0;

	_Static_assert(ARRAY_SIZE(features) < 64, "one bit for each");
	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *feature = &features[i];

		if (cpu_model_has(cpu->model, feature->leaf, feature->subleaf, feature->reg,
				  feature->bit) &&
		    (!feature->host || host_has(feature))) {
			allowed |= BIT(i);
		}
	}
	cpu->isa_allowed = allowed | BIT(63);
}

bool soft_isa_allowed(struct softcpu *cpu, ZydisISASet isa_set)
{
	if (!cpu->isa_allowed) {
		find_features(cpu);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		if (features[i].isa_set == isa_set) {
			return cpu->isa_allowed & BIT(i);
		}
	}
	return false;
}
