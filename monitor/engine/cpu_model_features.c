/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The features that a guest's processor may have, and the text of cpu.features.
 *
 * The table is what the soft engine implements (Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix
 * E). Not in it, so never offered: virtualization (VMX, SVM), MONITOR, AVX-512, transactional
 * memory, the performance counters, and the bits that announce microcode for speculation (IBRS,
 * STIBP, SSBD, ARCH_CAPABILITIES): their MSRs would have to do on every engine what they promise.
 */

#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "engine/cpu_model_priv.h"

#define OURS CPU_FEATURE_OURS
#define P3 CPU_LEVEL_PENTIUM3
#define V2 CPU_LEVEL_V2
#define V3 CPU_LEVEL_V3
#define HOST CPU_LEVEL_HOST
#define EAX CPUID_EAX
#define EBX CPUID_EBX
#define ECX CPUID_ECX
#define EDX CPUID_EDX

const struct cpu_feature cpu_features[] = {
	{ "fpu", 1, 0, EDX, 0, P3, 0, NULL },
	{ "vme", 1, 0, EDX, 1, P3, OURS, NULL },
	{ "de", 1, 0, EDX, 2, P3, OURS, NULL },
	{ "pse", 1, 0, EDX, 3, P3, OURS, NULL },
	{ "tsc", 1, 0, EDX, 4, P3, OURS, NULL },
	{ "msr", 1, 0, EDX, 5, P3, OURS, NULL },
	{ "pae", 1, 0, EDX, 6, P3, OURS, NULL },
	{ "mce", 1, 0, EDX, 7, P3, OURS, NULL },
	{ "cx8", 1, 0, EDX, 8, P3, OURS, NULL },
	{ "apic", 1, 0, EDX, 9, P3, OURS, NULL },
	{ "sep", 1, 0, EDX, 11, P3, OURS, NULL },
	{ "mtrr", 1, 0, EDX, 12, P3, OURS, NULL },
	{ "pge", 1, 0, EDX, 13, P3, OURS, NULL },
	{ "mca", 1, 0, EDX, 14, P3, OURS, "mce" },
	{ "cmov", 1, 0, EDX, 15, P3, OURS, NULL },
	{ "pat", 1, 0, EDX, 16, P3, OURS, NULL },
	{ "pse36", 1, 0, EDX, 17, P3, OURS, NULL },
	{ "mmx", 1, 0, EDX, 23, P3, 0, "fpu" },
	{ "fxsr", 1, 0, EDX, 24, P3, 0, "fpu" },
	{ "sse", 1, 0, EDX, 25, P3, 0, "fxsr" },
	{ "clflush", 1, 0, EDX, 19, V2, OURS, NULL },
	{ "sse2", 1, 0, EDX, 26, V2, 0, "sse" },
	{ "ht", 1, 0, EDX, 28, P3, CPU_FEATURE_TOPOLOGY, NULL },
	{ "sse3", 1, 0, ECX, 0, V2, 0, "sse2" },
	{ "pclmulqdq", 1, 0, ECX, 1, HOST, 0, "sse2" },
	{ "ssse3", 1, 0, ECX, 9, V2, 0, "sse3" },
	{ "fma", 1, 0, ECX, 12, V3, 0, "avx" },
	{ "cx16", 1, 0, ECX, 13, V2, OURS, NULL },
	{ "pcid", 1, 0, ECX, 17, HOST, OURS, "lm" },
	{ "sse4.1", 1, 0, ECX, 19, V2, 0, "ssse3" },
	{ "sse4.2", 1, 0, ECX, 20, V2, 0, "sse4.1" },
	{ "x2apic", 1, 0, ECX, 21, V2, OURS, "apic" },
	{ "movbe", 1, 0, ECX, 22, V3, OURS, NULL },
	{ "popcnt", 1, 0, ECX, 23, V2, 0, NULL },
	{ "tsc_deadline_timer", 1, 0, ECX, 24, V2, OURS, "apic" },
	{ "aes", 1, 0, ECX, 25, HOST, 0, "sse2" },
	{ "xsave", 1, 0, ECX, 26, V3, OURS, "fxsr" },
	{ "avx", 1, 0, ECX, 28, V3, 0, "xsave" },
	{ "f16c", 1, 0, ECX, 29, V3, 0, "avx" },
	{ "rdrand", 1, 0, ECX, 30, HOST, 0, NULL },
	{ "arat", 6, 0, EAX, 2, V2, OURS, "apic" },
	{ "fsgsbase", 7, 0, EBX, 0, HOST, OURS, "lm" },
	{ "tsc_adjust", 7, 0, EBX, 1, HOST, OURS, "tsc" },
	{ "bmi1", 7, 0, EBX, 3, V3, 0, NULL },
	{ "avx2", 7, 0, EBX, 5, V3, 0, "avx" },
	{ "smep", 7, 0, EBX, 7, HOST, OURS, NULL },
	{ "bmi2", 7, 0, EBX, 8, V3, 0, NULL },
	{ "erms", 7, 0, EBX, 9, HOST, OURS, NULL },
	{ "invpcid", 7, 0, EBX, 10, HOST, OURS, NULL },
	{ "rdseed", 7, 0, EBX, 18, HOST, 0, NULL },
	{ "adx", 7, 0, EBX, 19, HOST, 0, NULL },
	{ "smap", 7, 0, EBX, 20, HOST, OURS, NULL },
	{ "clflushopt", 7, 0, EBX, 23, HOST, OURS, "clflush" },
	{ "sha", 7, 0, EBX, 29, HOST, 0, "sse2" },
	{ "umip", 7, 0, ECX, 2, HOST, OURS, NULL },
	{ "fsrm", 7, 0, EDX, 4, HOST, OURS, "erms" },
	{ "xsaveopt", 0xd, 1, EAX, 0, HOST, OURS, "xsave" },
	{ "xsavec", 0xd, 1, EAX, 1, HOST, OURS, "xsave" },
	{ "xgetbv1", 0xd, 1, EAX, 2, HOST, OURS, "xsave" },
	{ "syscall", 0x80000001, 0, EDX, 11, V2, OURS, NULL },
	{ "nx", 0x80000001, 0, EDX, 20, V2, OURS, "pae" },
	{ "pdpe1gb", 0x80000001, 0, EDX, 26, HOST, OURS, "lm" },
	{ "rdtscp", 0x80000001, 0, EDX, 27, V2, OURS, "tsc" },
	{ "lm", 0x80000001, 0, EDX, 29, V2, OURS, "pae" },
	{ "lahf_lm", 0x80000001, 0, ECX, 0, V2, OURS, "lm" },
	{ "cmp_legacy", 0x80000001, 0, ECX, 1, P3, CPU_FEATURE_TOPOLOGY | CPU_FEATURE_AMD, NULL },
	{ "lzcnt", 0x80000001, 0, ECX, 5, V3, 0, NULL },
	{ "prefetchw", 0x80000001, 0, ECX, 8, V2, OURS, NULL },
	{ "topoext", 0x80000001, 0, ECX, 22, V2, CPU_FEATURE_TOPOLOGY | CPU_FEATURE_AMD, NULL },
	{ "invtsc", 0x80000007, 0, EDX, 8, V2, OURS, "tsc" },
	{ "lfence_serializing", 0x80000021, 0, EAX, 2, V2, CPU_FEATURE_AMD | OURS, NULL },
};

const size_t cpu_feature_count = ARRAY_SIZE(cpu_features);

_Static_assert(ARRAY_SIZE(cpu_features) <= CPU_FEATURES_MAX, "enlarge CPU_FEATURES_MAX");

#define NAME_MAX_LENGTH 31

static void normalise(const char *name, char *ret)
{
	size_t n = strnlen(name, NAME_MAX_LENGTH);

	for (size_t i = 0; i < n; i++) {
		ret[i] = name[i] == '.' || name[i] == '-' ? '_' : name[i];
	}
	ret[n] = '\0';
}

int cpu_feature_find(const char *name)
{
	char wanted[NAME_MAX_LENGTH + 1];

	normalise(name, wanted);
	for (size_t i = 0; i < cpu_feature_count; i++) {
		char have[NAME_MAX_LENGTH + 1];

		normalise(cpu_features[i].name, have);
		if (strcasecmp(have, wanted) == 0) {
			return (int)i;
		}
	}
	return -1;
}

void cpu_features_prune(struct cpu_feature_set *set)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < cpu_feature_count; i++) {
			const char *needs = cpu_features[i].needs;

			if (set->has[i] && needs && !set->has[cpu_feature_find(needs)]) {
				set->has[i] = false;
				changed = true;
			}
		}
	}
}

static const char *nearest(const char *name)
{
	const char *best = cpu_features[0].name;
	unsigned int best_distance = UINT32_MAX;

	for (size_t i = 0; i < cpu_feature_count; i++) {
		unsigned int distance = text_distance(name, cpu_features[i].name);

		if (distance < best_distance) {
			best_distance = distance;
			best = cpu_features[i].name;
		}
	}
	return best;
}

static int edit_one(struct cpu_feature_set *set, const struct cpu_feature_set *possible,
		    const char *word, struct error *err)
{
	int index;

	if (word[0] != '+' && word[0] != '-') {
		return error_set(err, EINVAL, "cpu.features: write '+%s' or '-%s'", word, word);
	}
	index = cpu_feature_find(word + 1);
	if (index < 0) {
		return error_set(err, EINVAL,
				 "cpu.features: unknown feature '%s', the nearest is '%s'",
				 word + 1, nearest(word + 1));
	}
	if (word[0] == '-') {
		set->has[index] = false;
		return 0;
	}
	if (!possible->has[index]) {
		return error_set(err, ENOTSUP,
				 "cpu.features: '%s' cannot be had: the host's CPU or an engine "
				 "that the machine may run on lacks it",
				 cpu_features[index].name);
	}
	set->has[index] = true;
	if (cpu_features[index].needs && !set->has[cpu_feature_find(cpu_features[index].needs)]) {
		return error_set(err, EINVAL, "cpu.features: '%s' needs '%s'",
				 cpu_features[index].name, cpu_features[index].needs);
	}
	return 0;
}

int cpu_features_edit(struct cpu_feature_set *set, const struct cpu_feature_set *possible,
		      const char *text, struct error *err)
{
	const char *p = text;

	while (*p != '\0') {
		size_t length = strcspn(p, ", ");
		char word[NAME_MAX_LENGTH + 2];
		int ret;

		if (length > 0) {
			snprintf(word, sizeof(word), "%.*s", (int)MIN(length, sizeof(word)), p);
			ret = edit_one(set, possible, word, err);
			if (ret) {
				return ret;
			}
		}
		p += length;
		p += *p != '\0';
	}
	cpu_features_prune(set);
	return 0;
}
