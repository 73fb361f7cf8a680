/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_KVM_KVM_HOST_H
#define LIMEN_ENGINE_KVM_KVM_HOST_H

/*
 * The host's /dev/kvm, asked without a machine: is it there, what can it do.
 */

#include "engine/cpu_model.h"

/**
 * kvm_host_open() - open /dev/kvm and check that it is recent enough
 *
 * Return: a descriptor, or -errno with a text that says what to do about it.
 */
int kvm_host_open(struct error *err);

/**
 * kvm_host_cpuid() - the CPUID leaves that this KVM supports
 *
 * Return: their number, at most @max; -errno without a usable KVM.
 */
int kvm_host_cpuid(struct cpuid_entry *ret_entries, unsigned int max);

/** kvm_host_tsc_khz() - the frequency at which this KVM's guests see the TSC; 0 when unknown. */
uint32_t kvm_host_tsc_khz(void);

/** kvm_host_has_cmpxchg16b() - whether a guest's kernel can execute LOCK CMPXCHG16B. */
bool kvm_host_has_cmpxchg16b(void);

/**
 * struct kvm_measured - what running a small guest has shown
 * @mips: ring-0 speed, million instructions a second
 * @detail: capabilities, for a person
 */
struct kvm_measured {
	double mips;
	bool cmpxchg16b;
	bool tsc_settable;
	char detail[160];
};

/** kvm_host_measure() - a few milliseconds. -errno with a text where KVM cannot be used. */
int kvm_host_measure(struct kvm_measured *ret_measured, struct error *err);

#endif
