/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_KVM_KVM_ENGINE_H
#define LIMEN_ENGINE_KVM_KVM_ENGINE_H

/*
 * The KVM engine, as its files see it. The interrupt controller is split: the local APICs are the
 * kernel's, IOAPIC, PIC and PIT the monitor's.
 */

#include <linux/kvm.h>
#include <pthread.h>

#include "engine/engine.h"
#include "engine/msr.h"

/*
 * GSIs of the routing table: the first are kept for level-triggered messages, the rest for
 * irqfds.
 */
#define KVM_LEVEL_ROUTES 24
#define KVM_IRQFD_ROUTES 512
#define KVM_ROUTES (KVM_LEVEL_ROUTES + KVM_IRQFD_ROUTES)

#define KVM_SLOTS 256

/**
 * struct kvm_route - a message that KVM knows by a number
 * @fd: of an irqfd route: the eventfd, -1 when the route is free
 * @stamp: of a level route: when it was last used; 0 when it is free
 */
struct kvm_route {
	struct msi_message msg;
	int fd;
	uint64_t stamp;
};

/**
 * struct kvm_slot - one of KVM's memory slots; free while region is NULL
 * @bitmap: room for its dirty log; NULL while nothing tracks the region
 */
struct kvm_slot {
	struct mem_slot mem;
	uint64_t *bitmap;
};

/**
 * struct kvm_engine - a machine under KVM
 * @run_size: of a vCPU's shared page
 * @routes_lock: guards the routes and their table in the kernel; the engine's only lock
 * @slots: guarded by the guest memory's mutex, with which its listeners are called
 * @memory_changes: raised before and after each change of the slots
 * @extint: level of the PIC's output
 * @clock: kvm-clock when they were paused, nanoseconds
 * @tsc_fixed: setting it has no effect
 * @tsc_offset: vCPUs take the TSC's offset as an attribute (Linux 5.16)
 */
struct kvm_engine {
	struct engine engine;
	int kvm_fd;
	int vm_fd;
	size_t run_size;

	pthread_mutex_t routes_lock;
	struct kvm_route routes[KVM_ROUTES];
	uint64_t route_stamp;

	struct guest_memory_listener memory_listener;
	struct kvm_slot slots[KVM_SLOTS];
	_Atomic unsigned int memory_changes;
	struct io_eventfd_listener eventfd_listener;

	_Atomic bool extint;

	uint64_t clock;
	bool tsc_offset;
	bool tsc_control;
	bool tsc_fixed;
	bool listening;
};

enum kvm_counter {
	KVM_COUNT_EXITS,
	KVM_COUNT_PIO,
	KVM_COUNT_MMIO,
	KVM_COUNT_EOI,
	KVM_COUNT_WINDOWS,
	KVM_COUNT_KICKS,
	KVM_COUNTERS,
};

/**
 * struct kvm_vcpu - a vCPU under KVM
 * @kicked: vcpu_kick() was called and not answered yet
 * @in_run: the thread is in KVM_RUN, or about to be
 * @extint_queued: a vector from the PIC was given to KVM_INTERRUPT since the last exit
 * @paused_tsc: the guest's TSC while the vCPUs are paused
 * @msrs: the MSRs of the saved list that this KVM has, by index in msr_saved
 */
struct kvm_vcpu {
	struct vcpu vcpu;
	int fd;
	struct kvm_run *run;
	_Atomic bool kicked;
	_Atomic bool in_run;
	bool extint_queued;
	bool has_run;
	uint64_t paused_tsc;
	uint8_t msrs[CPU_MSR_MAX];
	unsigned int msr_count;
	_Atomic uint64_t counters[KVM_COUNTERS];
};

static inline struct kvm_engine *kvm_from_engine(struct engine *engine)
{
	return container_of(engine, struct kvm_engine, engine);
}

static inline struct kvm_vcpu *kvm_from_vcpu(struct vcpu *vcpu)
{
	return container_of(vcpu, struct kvm_vcpu, vcpu);
}

static inline void kvm_count(struct kvm_vcpu *vcpu, enum kvm_counter counter)
{
	atomic_fetch_add_explicit(&vcpu->counters[counter], 1, memory_order_relaxed);
}

/* irq.c */
void kvm_irq_init(struct kvm_engine *kvm);
void kvm_irq_finish(struct kvm_engine *kvm);
void kvm_set_extint(struct engine *engine, bool level);
void kvm_nmi(struct vcpu *vcpu);
/*
 * kvm_inject_extint() - before KVM_RUN on the BSP: hand it the PIC's vector, or ask for a window.
 */
void kvm_inject_extint(struct kvm_vcpu *vcpu);
/** kvm_settle() - make all that is on its way part of the state that can be saved; no thread of the
 *  vCPU runs it. -errno */
int kvm_settle(struct kvm_vcpu *vcpu);

/* memory.c */
void kvm_memory_init(struct kvm_engine *kvm);
void kvm_memory_finish(struct kvm_engine *kvm);

/* vcpu.c */
int kvm_vcpu_create(struct vcpu *vcpu, struct error *err);
void kvm_vcpu_destroy(struct vcpu *vcpu);
enum vcpu_exit kvm_vcpu_run(struct vcpu *vcpu);
void kvm_vcpu_kick(struct vcpu *vcpu);
size_t kvm_vcpu_counters(struct vcpu *vcpu, struct engine_counter *ret_counters, size_t max);

/* state.c */
/** kvm_find_msrs() - which MSRs of the saved list the vCPU has. */
void kvm_find_msrs(struct kvm_vcpu *vcpu);
int kvm_vcpu_save(struct vcpu *vcpu, struct error *err);
int kvm_vcpu_load(struct vcpu *vcpu, struct error *err);

/* time.c */
/** kvm_set_model() - give the vCPU its CPUID and the frequency of its TSC. */
int kvm_set_model(struct kvm_vcpu *vcpu, struct error *err);
void kvm_paused(struct engine *engine);
void kvm_resuming(struct engine *engine);
/** kvm_load_tsc() - the TSC of the state. Saving it needs no more than paused_tsc. */
int kvm_load_tsc(struct kvm_vcpu *vcpu);

/* report.c */
/*
 * kvm_report_failure() - describe in vcpu->error, and at length in the log, why KVM_RUN gave up.
 */
void kvm_report_failure(struct kvm_vcpu *vcpu);

#endif
