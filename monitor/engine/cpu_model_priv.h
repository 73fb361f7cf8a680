/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_CPU_MODEL_PRIV_H
#define LIMEN_ENGINE_CPU_MODEL_PRIV_H

/*
 * What the files of the CPU model share: the table of features, and what the host offers.
 */

#include "engine/cpu_model.h"

enum cpuid_reg {
	CPUID_EAX,
	CPUID_EBX,
	CPUID_ECX,
	CPUID_EDX,
};

/* The oldest named baseline that has a feature; each includes those before it. */
enum cpu_level {
	CPU_LEVEL_PENTIUM3,
	CPU_LEVEL_V2,
	CPU_LEVEL_V3,
	CPU_LEVEL_HOST,
};

enum {
	CPU_FEATURE_OURS = 1 << 0,  /* soft does it without the host's CPU */
	CPU_FEATURE_TOPOLOGY = 1 << 1, /* follows from the number of CPUs; no engine has a say */
	CPU_FEATURE_AMD = 1 << 2,   /* only on AMD models */
};

/**
 * struct cpu_feature - one bit of CPUID that a guest may be offered
 * @name: as in /proc/cpuinfo, or the vendor's manual
 * @needs: the feature without which this one is not offered; NULL
 */
struct cpu_feature {
	const char *name;
	uint32_t leaf;
	uint8_t subleaf;
	uint8_t reg; /* enum cpuid_reg */
	uint8_t bit;
	uint8_t level; /* enum cpu_level */
	uint8_t flags;
	const char *needs;
};

extern const struct cpu_feature cpu_features[];
extern const size_t cpu_feature_count;

#define CPU_FEATURES_MAX 128

/** struct cpu_feature_set - a subset of cpu_features, by index. */
struct cpu_feature_set {
	bool has[CPU_FEATURES_MAX];
};

/** cpu_feature_find() - index in the table, or -1. '.', '_' and '-' are the same. */
int cpu_feature_find(const char *name);

/** cpu_features_prune() - drop those whose needs are not met. */
void cpu_features_prune(struct cpu_feature_set *set);

/**
 * cpu_features_edit() - apply the text of cpu.features
 * @possible: what may be added
 */
int cpu_features_edit(struct cpu_feature_set *set, const struct cpu_feature_set *possible,
		      const char *text, struct error *err);

/** struct cpu_host - what this host offers; leaves read once. */
struct cpu_host {
	uint32_t max_basic;
	uint32_t max_extended;
	bool amd;
	bool kvm; /* KVM's limits count */
	struct cpuid_entry kvm_leaves[256];
	unsigned int kvm_leaf_count;
	struct cpu_feature_set possible;
	uint8_t phys_bits;
};

/** cpu_host_query() - @engine: see cpu_model_build_for(). */
void cpu_host_query(struct cpu_host *host, const char *engine);

/** cpu_host_cpuid() - a leaf of the host's CPU; zeros when it has no such leaf. */
void cpu_host_cpuid(const struct cpu_host *host, uint32_t leaf, uint32_t subleaf, uint32_t ret[4]);

/** cpu_host_tsc_hz() - frequency of the host's TSC, from whoever knows it. */
uint64_t cpu_host_tsc_hz(const struct cpu_host *host);

/** cpu_model_put() - append a leaf; false when the model is full. */
bool cpu_model_put(struct cpu_model *model, uint32_t leaf, int subleaf, const uint32_t regs[4]);

/** cpu_model_fill() - make all leaves of @model from the features in @set. */
bool cpu_model_fill(struct cpu_model *model, const struct cpu_host *host,
		    const struct cpu_feature_set *set, enum cpu_level level, bool hypervisor);

/** cpu_model_xsave_size() - bytes of a standard-format XSAVE image with the components of @xcr0. */
uint32_t cpu_model_xsave_size(uint64_t xcr0);

#endif
