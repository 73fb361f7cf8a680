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

/** cpu_model_build() - @config: the "cpu.*" keys (cpu.model, cpu.features "+x,-y",
 *  cpu.hypervisor). */
int cpu_model_build(struct cpu_model *model, unsigned int cpus, const struct config_view *config,
		    struct error *err);

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
