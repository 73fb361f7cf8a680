/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CPU model is made from: the host's CPUID, KVM's, and the frequency of the TSC.
 *
 * User-mode instructions run as themselves on every engine, so the host's CPU must have them. Of
 * the rest, the soft engine can do what its table says whatever the host has, KVM what
 * KVM_GET_SUPPORTED_CPUID lists.
 *
 * The TSC's frequency: KVM's own figure where its limits count, as the guest's TSC then is the
 * host's; else CPUID leaf 0x15 (SDM vol. 3, 19.7.3); else the leaf 0x40000010 by which
 * hypervisors tell it; else it is measured against CLOCK_MONOTONIC.
 */

#include <cpuid.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/cpu_model_priv.h"
#include "engine/kvm/kvm_host.h"

#define MEASURE_NS (10 * NS_PER_MS)

void cpu_host_cpuid(const struct cpu_host *host, uint32_t leaf, uint32_t subleaf, uint32_t ret[4])
{
	uint32_t max = leaf & 0x80000000 ? host->max_extended : host->max_basic;

	memset(ret, 0, 4 * sizeof(ret[0]));
	if (leaf <= max) {
		__cpuid_count(leaf, subleaf, ret[CPUID_EAX], ret[CPUID_EBX], ret[CPUID_ECX],
			      ret[CPUID_EDX]);
	}
}

static bool host_has(const struct cpu_host *host, const struct cpu_feature *feature)
{
	uint32_t regs[4];

	cpu_host_cpuid(host, feature->leaf, feature->subleaf, regs);
	return regs[feature->reg] & BIT(feature->bit);
}

static const struct cpuid_entry *kvm_leaf(const struct cpu_host *host, uint32_t leaf,
					  uint32_t subleaf)
{
	for (unsigned int i = 0; i < host->kvm_leaf_count; i++) {
		const struct cpuid_entry *entry = &host->kvm_leaves[i];

		if (entry->leaf == leaf && (!entry->indexed || entry->subleaf == subleaf)) {
			return entry;
		}
	}
	return NULL;
}

static bool kvm_has(const struct cpu_host *host, const struct cpu_feature *feature)
{
	const struct cpuid_entry *entry = kvm_leaf(host, feature->leaf, feature->subleaf);
	uint32_t regs[4];

	if (!entry) {
		return false;
	}
	regs[CPUID_EAX] = entry->eax;
	regs[CPUID_EBX] = entry->ebx;
	regs[CPUID_ECX] = entry->ecx;
	regs[CPUID_EDX] = entry->edx;
	return regs[feature->reg] & BIT(feature->bit);
}

/*
 * A KVM that emulates instead of using the processor's virtualization also lacks most of the
 * processor's features. A machine is never better off there than on soft, so its lacks should not
 * be everybody's.
 */
static bool kvm_is_worth_it(const struct cpu_host *host)
{
	for (size_t i = 0; i < cpu_feature_count; i++) {
		const struct cpu_feature *feature = &cpu_features[i];

		if (feature->level <= CPU_LEVEL_V2 && !(feature->flags) &&
		    host_has(host, feature) && !kvm_has(host, feature)) {
			log_debug(LOG_AREA_ENGINE, "this KVM has no %s; its limits do not count",
				  feature->name);
			return false;
		}
	}
	return true;
}

static void find_possible(struct cpu_host *host)
{
	for (size_t i = 0; i < cpu_feature_count; i++) {
		const struct cpu_feature *feature = &cpu_features[i];
		bool possible = true;

		if (!(feature->flags & (CPU_FEATURE_OURS | CPU_FEATURE_TOPOLOGY))) {
			possible = host_has(host, feature);
		}
		if (host->kvm && !(feature->flags & CPU_FEATURE_TOPOLOGY)) {
			possible = possible && kvm_has(host, feature);
		}
		/* A KVM that emulates may list it and not know it. */
		if (possible && host->kvm && strcmp(feature->name, "cx16") == 0 &&
		    !kvm_is_worth_it(host)) {
			possible = kvm_host_has_cmpxchg16b();
		}
		if ((feature->flags & CPU_FEATURE_AMD) && !host->amd) {
			possible = false;
		}
		host->possible.has[i] = possible;
	}
	cpu_features_prune(&host->possible);
}

void cpu_host_query(struct cpu_host *host, const char *engine)
{
	uint32_t regs[4];
	const struct cpuid_entry *sizes;
	int count;

	memset(host, 0, sizeof(*host));
	host->max_basic = __get_cpuid_max(0, NULL);
	host->max_extended = __get_cpuid_max(0x80000000, NULL);
	cpu_host_cpuid(host, 0, 0, regs);
	/* "AuthenticAMD", "HygonGenuine": the same architecture */
	host->amd = regs[CPUID_ECX] == 0x444d4163 || regs[CPUID_ECX] == 0x656e6975;
	cpu_host_cpuid(host, 0x80000008, 0, regs);
	host->phys_bits = (uint8_t)(regs[CPUID_EAX] ? regs[CPUID_EAX] & 0xff : 36);

	count = kvm_host_cpuid(host->kvm_leaves, ARRAY_SIZE(host->kvm_leaves));
	if (count > 0) {
		host->kvm_leaf_count = (unsigned int)count;
		host->kvm = (engine && strcmp(engine, "kvm") == 0) || kvm_is_worth_it(host);
	}
	sizes = host->kvm ? kvm_leaf(host, 0x80000008, 0) : NULL;
	if (sizes && (sizes->eax & 0xff) != 0) {
		host->phys_bits = MIN(host->phys_bits, (uint8_t)(sizes->eax & 0xff));
	}
	find_possible(host);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/*
 * A time and the TSC at that time. Being preempted between the two readings shows as an interval
 * that is long, so the shortest of several is taken.
 */
static void read_both(uint64_t *ret_ns, uint64_t *ret_tsc)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = __builtin_ia32_rdtsc();
		uint64_t ns = now_ns();
		uint64_t after = __builtin_ia32_rdtsc();

		if (after - before < best) {
			best = after - before;
			*ret_ns = ns;
			*ret_tsc = before + (after - before) / 2;
		}
	}
}

static uint64_t measure_tsc_hz(void)
{
	struct timespec pause = { .tv_nsec = MEASURE_NS };
	uint64_t ns[2];
	uint64_t tsc[2];
	uint64_t hz;

	read_both(&ns[0], &tsc[0]);
	nanosleep(&pause, NULL);
	read_both(&ns[1], &tsc[1]);
	hz = (uint64_t)((unsigned __int128)(tsc[1] - tsc[0]) * NS_PER_S / (ns[1] - ns[0]));
	/* Nothing here is more precise than a kHz. */
	return (hz + 500) / 1000 * 1000;
}

uint64_t cpu_host_tsc_hz(const struct cpu_host *host)
{
	uint32_t regs[4];

	if (host->kvm) {
		uint32_t khz = kvm_host_tsc_khz();

		if (khz) {
			return (uint64_t)khz * 1000;
		}
	}
	cpu_host_cpuid(host, 0x15, 0, regs);
	if (regs[CPUID_EAX] && regs[CPUID_EBX] && regs[CPUID_ECX]) {
		return (uint64_t)regs[CPUID_ECX] * regs[CPUID_EBX] / regs[CPUID_EAX];
	}
	cpu_host_cpuid(host, 1, 0, regs);
	if (regs[CPUID_ECX] & BIT(31)) {
		__cpuid(0x40000000, regs[0], regs[1], regs[2], regs[3]);
		if (regs[CPUID_EAX] >= 0x40000010 && regs[CPUID_EAX] < 0x40010000) {
			__cpuid(0x40000010, regs[0], regs[1], regs[2], regs[3]);
			if (regs[CPUID_EAX] > 1000) {
				return (uint64_t)regs[CPUID_EAX] * 1000;
			}
		}
	}
	return measure_tsc_hz();
}
