/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_CPU_MODEL_H
#define LIMEN_ENGINE_CPU_MODEL_H

/*
 * The processor that guests see, one model for all engines: CPUID leaves and the list of MSRs.
 * Built from what the host CPU has, what every engine present can do, and the configuration; so a
 * machine can move between engines, and a saved state names a model that the loading side must be
 * able to build.
 */

#include "base/config.h"
#include "base/error.h"
#include "base/state_table.h"
#include "base/types.h"

struct cpuid_entry {
	uint32_t leaf;
	uint32_t subleaf;
	bool indexed; /* @subleaf matters */
	uint32_t eax, ebx, ecx, edx;
};

#define CPU_MODEL_MAX_LEAVES 80

/**
 * struct cpu_model - what a guest can find out about its processor; constant once built
 * @tsc_hz: the guest's TSC frequency, the host's own where it is invariant
 * @xcr0_mask: what XSETBV may set
 */
struct cpu_model {
	struct cpuid_entry leaves[CPU_MODEL_MAX_LEAVES];
	unsigned int leaf_count;
	uint64_t tsc_hz;
	uint64_t xcr0_mask;
	uint8_t phys_bits;
	uint8_t virt_bits;
	unsigned int cpus;
};

/** cpu_model_keys - what is declared under "cpu": model, features, hypervisor. */
extern const struct config_key cpu_model_keys[];

/**
 * cpu_model_build() - the processor of a machine
 * @engine: name of the engine that will run it, or NULL when that is not known yet. Features that
 *          KVM lacks are left out when it is "kvm", and otherwise when there is a KVM that is worth
 *          moving to: one without even the x86-64-v2 features that the host's CPU has is not.
 * @config: the "cpu.*" keys; NULL for their defaults
 *
 * Measures the TSC for some 10 ms where nothing tells its frequency.
 */
int cpu_model_build_for(struct cpu_model *model, const char *engine, unsigned int cpus,
			const struct config_view *config, struct error *err);

/** cpu_model_build() - cpu_model_build_for() an engine that is not known yet. */
int cpu_model_build(struct cpu_model *model, unsigned int cpus, const struct config_view *config,
		    struct error *err);

/** cpu_model_state_table - saves a model. */
extern const struct state_table cpu_model_state_table;

/**
 * cpu_model_adopt() - go on with the processor of a saved machine
 * @saved: loaded through cpu_model_state_table
 *
 * Before any vCPU's state is loaded. -ENOTSUP with a text that names the missing feature when this
 * host's engines cannot be that processor, -EINVAL for another number of CPUs.
 */
int cpu_model_adopt(struct cpu_model *model, const struct cpu_model *saved, struct error *err);

/** cpu_model_describe() - the names of its features, separated by spaces, cut to @size. */
void cpu_model_describe(const struct cpu_model *model, char *buf, size_t size);

/**
 * cpu_model_cpuid() - CPUID as vCPU @index executes it
 * @xcr0, @cr4: for the bits that follow them (OSXSAVE, leaf 0xd size)
 * @ret: eax, ebx, ecx, edx
 *
 * Out-of-range leaves answer as the vendor's manual says. Any thread; no locks.
 */
void cpu_model_cpuid(const struct cpu_model *model, unsigned int index, uint32_t leaf,
		     uint32_t subleaf, uint64_t cr4, uint64_t xcr0, uint32_t ret[4]);

/** cpu_model_has() - whether a CPUID bit is set: register @reg 0-3 of @leaf/@subleaf, bit @bit. */
bool cpu_model_has(const struct cpu_model *model, uint32_t leaf, uint32_t subleaf, unsigned int reg,
		   unsigned int bit);

/** cpu_model_vendor_is_amd() - decides SYSENTER/SYSCALL corners. */
bool cpu_model_vendor_is_amd(const struct cpu_model *model);

#endif
