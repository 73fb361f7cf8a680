/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPUID leaves of a model: Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E; the
 * hypervisor leaves by the Linux kernel's Documentation/virt/kvm/x86/cpuid.rst and VMware's
 * convention for leaf 0x40000010.
 *
 * One socket with a core for each CPU and one thread on each, the APIC id being the CPU's number.
 * Vendor, family, name and the geometry of the caches are the host's; who shares a cache is not.
 */

#include "engine/cpu_model_priv.h"

#define KVM_FEATURE_NOP_IO_DELAY BIT(1)
#define KVM_FEATURE_CLOCKSOURCE2 BIT(3)
#define KVM_FEATURE_CLOCKSOURCE_STABLE BIT(24)

/* The local APIC timer's input clock: nanoseconds, on every engine. */
#define APIC_BUS_KHZ 1000000

/* The bits of leaf 1 EDX that AMD repeats in leaf 0x80000001 EDX. */
#define AMD_REPEATED_EDX 0x0183f3ff

/* Pentium III "Coppermine", stepping 6. */
#define PENTIUM3_VERSION 0x686

/* Cache types in leaf 4 and 0x8000001d. */
#define CACHE_TYPE(eax) ((eax) & 0x1f)
#define CACHE_LEVEL(eax) (((eax) >> 5) & 7)

bool cpu_model_put(struct cpu_model *model, uint32_t leaf, int subleaf, const uint32_t regs[4])
{
	struct cpuid_entry *entry;

	if (model->leaf_count == CPU_MODEL_MAX_LEAVES) {
		return false;
	}
	entry = &model->leaves[model->leaf_count++];
	entry->leaf = leaf;
	entry->indexed = subleaf >= 0;
	entry->subleaf = subleaf >= 0 ? (uint32_t)subleaf : 0;
	entry->eax = regs[CPUID_EAX];
	entry->ebx = regs[CPUID_EBX];
	entry->ecx = regs[CPUID_ECX];
	entry->edx = regs[CPUID_EDX];
	return true;
}

/** struct filling - what the makers of leaves need. */
struct filling {
	struct cpu_model *model;
	const struct cpu_host *host;
	const struct cpu_feature_set *set;
	enum cpu_level level;
	bool hypervisor;
	bool ok;
};

static void put(struct filling *f, uint32_t leaf, int subleaf, uint32_t eax, uint32_t ebx,
		uint32_t ecx, uint32_t edx)
{
	uint32_t regs[4] = { eax, ebx, ecx, edx };

	for (size_t i = 0; i < cpu_feature_count; i++) {
		const struct cpu_feature *feature = &cpu_features[i];

		if (f->set->has[i] && feature->leaf == leaf &&
		    (subleaf < 0 || feature->subleaf == subleaf)) {
			regs[feature->reg] |= (uint32_t)BIT(feature->bit);
		}
	}
	f->ok = f->ok && cpu_model_put(f->model, leaf, subleaf, regs);
}

static void put_host_leaf(struct filling *f, uint32_t leaf)
{
	uint32_t r[4];

	cpu_host_cpuid(f->host, leaf, 0, r);
	put(f, leaf, -1, r[CPUID_EAX], r[CPUID_EBX], r[CPUID_ECX], r[CPUID_EDX]);
}

static bool has(const struct filling *f, const char *name)
{
	return f->set->has[cpu_feature_find(name)];
}

/* Bits that hold the APIC ids of @cpus CPUs. */
static unsigned int id_bits(unsigned int cpus)
{
	unsigned int bits = 0;

	while ((1U << bits) < cpus) {
		bits++;
	}
	return bits;
}

/*
 * Leaf 4 (Intel) and 0x8000001d (AMD): @share is how many APIC ids a cache of the last level
 * serves.
 */
static void put_caches(struct filling *f, uint32_t leaf)
{
	unsigned int ids = 1U << id_bits(f->model->cpus);
	uint32_t r[4];
	int subleaf;

	for (subleaf = 0; subleaf < 6; subleaf++) {
		uint32_t eax;

		cpu_host_cpuid(f->host, leaf, (uint32_t)subleaf, r);
		if (CACHE_TYPE(r[CPUID_EAX]) == 0) {
			break;
		}
		eax = r[CPUID_EAX] & 0x3ff;
		if (CACHE_LEVEL(eax) >= 3) {
			eax |= (ids - 1) << 14;
		}
		if (!f->host->amd) {
			eax |= MIN(ids - 1, 63U) << 26;
		}
		put(f, leaf, subleaf, eax, r[CPUID_EBX], r[CPUID_ECX], r[CPUID_EDX]);
	}
	put(f, leaf, subleaf, 0, 0, 0, 0);
}

static void put_topology(struct filling *f)
{
	unsigned int cpus = f->model->cpus;

	/* Subleaf 0: one thread a core; 1: the cores. EDX is the CPU's own APIC id. */
	put(f, 0xb, 0, 0, 1, 0x100, 0);
	put(f, 0xb, 1, id_bits(cpus), cpus, 0x201, 0);
	put(f, 0xb, 2, 0, 0, 2, 0);
}

uint32_t cpu_model_xsave_size(uint64_t xcr0)
{
	return xcr0 & BIT(2) ? 832 : 576;
}

static void put_xsave(struct filling *f)
{
	struct cpu_model *model = f->model;

	if (!has(f, "xsave")) {
		put(f, 0xd, 0, 0, 0, 0, 0);
		return;
	}
	/* EBX follows XCR0 and is made when asked for. */
	put(f, 0xd, 0, (uint32_t)model->xcr0_mask, 0, cpu_model_xsave_size(model->xcr0_mask),
	    (uint32_t)(model->xcr0_mask >> 32));
	put(f, 0xd, 1, 0, 0, 0, 0);
	if (has(f, "avx")) {
		put(f, 0xd, 2, 256, 576, 0, 0);
	}
}

static void put_basic(struct filling *f)
{
	struct cpu_model *model = f->model;
	bool old = f->level == CPU_LEVEL_PENTIUM3;
	uint32_t max = old ? 2 : 0xd;
	uint32_t version[4];
	uint32_t vendor[4];
	uint32_t logical = MIN(model->cpus, 255U);

	cpu_host_cpuid(f->host, 1, 0, version);
	cpu_host_cpuid(f->host, 0, 0, vendor);
	if (old) {
		/*
		 * Systems of its time know Intel's CPUs best, and NT 4 takes only small leaf
		 * numbers.
		 */
		put(f, 0, -1, max, 0x756e6547, 0x6c65746e, 0x49656e69);
	} else {
		put(f, 0, -1, max, vendor[CPUID_EBX], vendor[CPUID_ECX], vendor[CPUID_EDX]);
	}
	put(f, 1, -1, old ? PENTIUM3_VERSION : version[CPUID_EAX], 8 << 8 | logical << 16,
	    f->hypervisor ? (uint32_t)BIT(31) : 0, 0);
	if (old) {
		/* 16 KiB level 1 caches, 256 KiB level 2. */
		put(f, 2, -1, 0x03020101, 0, 0, 0x0c040882);
		return;
	}
	put_host_leaf(f, 2);
	put(f, 3, -1, 0, 0, 0, 0);
	put_caches(f, 4);
	put(f, 6, -1, 0, 0, 0, 0);
	put(f, 7, 0, 0, 0, 0, 0);
	put_topology(f);
	put_xsave(f);
}

static void put_hypervisor(struct filling *f)
{
	if (!f->hypervisor) {
		return;
	}
	/* "KVMKVMKVM": what is offered is KVM's interface, on every engine. */
	put(f, 0x40000000, -1, 0x40000010, 0x4b4d564b, 0x564b4d56, 0x4d);
	put(f, 0x40000001, -1,
	    KVM_FEATURE_NOP_IO_DELAY | KVM_FEATURE_CLOCKSOURCE2 | KVM_FEATURE_CLOCKSOURCE_STABLE, 0,
	    0, 0);
	put(f, 0x40000010, -1, (uint32_t)(f->model->tsc_hz / 1000), APIC_BUS_KHZ, 0, 0);
}

static void put_extended(struct filling *f)
{
	const struct cpu_host *host = f->host;
	struct cpu_model *model = f->model;
	uint32_t version[4];
	uint32_t repeated = 0;

	if (f->level == CPU_LEVEL_PENTIUM3) {
		return;
	}
	cpu_host_cpuid(host, 0x80000001, 0, version);
	if (host->amd) {
		for (unsigned int i = 0; i < model->leaf_count; i++) {
			if (model->leaves[i].leaf == 1) {
				repeated = model->leaves[i].edx & AMD_REPEATED_EDX;
			}
		}
	}
	put(f, 0x80000000, -1, host->amd ? 0x80000021 : 0x80000008, 0, 0, 0);
	if (host->amd) {
		uint32_t vendor[4];

		cpu_host_cpuid(host, 0, 0, vendor);
		model->leaves[model->leaf_count - 1].ebx = vendor[CPUID_EBX];
		model->leaves[model->leaf_count - 1].ecx = vendor[CPUID_ECX];
		model->leaves[model->leaf_count - 1].edx = vendor[CPUID_EDX];
	}
	put(f, 0x80000001, -1, host->amd ? version[CPUID_EAX] : 0,
	    host->amd ? version[CPUID_EBX] & 0xf0000000 : 0, 0, repeated);
	for (uint32_t leaf = 0x80000002; leaf <= 0x80000006; leaf++) {
		put_host_leaf(f, leaf);
	}
	put(f, 0x80000007, -1, 0, 0, 0, 0);
	put(f, 0x80000008, -1, model->phys_bits | (uint32_t)model->virt_bits << 8, 0,
	    host->amd ? (model->cpus - 1) | id_bits(model->cpus) << 12 : 0, 0);
	if (host->amd) {
		put_host_leaf(f, 0x8000001a);
		put_caches(f, 0x8000001d);
		put(f, 0x8000001e, -1, 0, 0, 0, 0);
		put(f, 0x80000021, -1, 0, 0, 0, 0);
	}
}

bool cpu_model_fill(struct cpu_model *model, const struct cpu_host *host,
		    const struct cpu_feature_set *set, enum cpu_level level, bool hypervisor)
{
	struct filling f = {
		.model = model,
		.host = host,
		.set = set,
		.level = level,
		.hypervisor = hypervisor,
		.ok = true,
	};

	model->leaf_count = 0;
	model->xcr0_mask = has(&f, "xsave") ? 3 | (has(&f, "avx") ? BIT(2) : 0) : 1;
	put_basic(&f);
	put_hypervisor(&f);
	put_extended(&f);
	return f.ok;
}
