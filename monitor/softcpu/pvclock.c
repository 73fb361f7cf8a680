/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's paravirtual clock: a page of guest memory that says how TSC and time belong together.
 * The CPU model offers it on every engine, so that a guest that uses it can move. Linux,
 * Documentation/virt/kvm/x86/msr.rst and cpuid.rst.
 *
 * TSC and system time both derive from the machine clock, so one page is right for as long as the
 * guest leaves its TSC alone, and it is the same on all CPUs ("stable").
 */

#include <time.h>

#include "softcpu/system.h"

/* struct pvclock_vcpu_time_info */
enum pvclock_layout {
	PVCLOCK_VERSION = 0,
	PVCLOCK_TSC = 8,
	PVCLOCK_SYSTEM_TIME = 16,
	PVCLOCK_MULTIPLIER = 24,
	PVCLOCK_SHIFT = 28,
	PVCLOCK_FLAGS = 29,
	PVCLOCK_SIZE = 32,
};

#define PVCLOCK_STABLE 1
#define WALL_CLOCK_SIZE 12

/* ns = (ticks << shift) * multiplier >> 32, with the multiplier's top bit set for precision. */
static void scale(uint64_t hz, uint32_t *ret_multiplier, int8_t *ret_shift)
{
	unsigned __int128 ns = NS_PER_S;
	unsigned __int128 ticks = hz;
	int shift = 0;

	while (ns >= ticks) {
		ticks <<= 1;
		shift++;
	}
	while (ns << 1 < ticks) {
		ns <<= 1;
		shift--;
	}
	*ret_multiplier = (uint32_t)((ns << 32) / ticks);
	*ret_shift = (int8_t)shift;
}

bool soft_pvclock_update(struct softcpu *cpu, uint64_t value)
{
	struct guest_memory *memory = cpu->env->memory;
	gpa_t gpa = value & ~UINT64_C(1);
	uint8_t page[PVCLOCK_SIZE] = { 0 };
	uint32_t multiplier;
	uint32_t version = 0;
	int8_t shift;

	if (!(value & 1)) {
		return true;
	}
	if (gpa & 3) {
		return false;
	}
	/* An odd version tells readers on other CPUs to wait. Outside of RAM nobody reads it. */
	if (guest_mem_read_u32(memory, gpa, &version) < 0) {
		return true;
	}
	version |= 1;
	guest_mem_write_u32(memory, gpa, version);
	scale(cpu->model->tsc_hz, &multiplier, &shift);
	store_le32(page + PVCLOCK_VERSION, version);
	store_le64(page + PVCLOCK_TSC, soft_tsc(cpu));
	store_le64(page + PVCLOCK_SYSTEM_TIME, machine_clock_now(cpu->env->clock));
	store_le32(page + PVCLOCK_MULTIPLIER, multiplier);
	page[PVCLOCK_SHIFT] = (uint8_t)shift;
	page[PVCLOCK_FLAGS] = PVCLOCK_STABLE;
	guest_mem_write(memory, gpa, page, sizeof(page));
	atomic_thread_fence(memory_order_release);
	guest_mem_write_u32(memory, gpa, version + 1);
	return true;
}

bool soft_pvclock_wall_clock(struct softcpu *cpu, uint64_t value)
{
	uint8_t clock[WALL_CLOCK_SIZE];
	struct timespec now;
	uint64_t booted;

	clock_gettime(CLOCK_REALTIME, &now);
	booted = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec -
		 machine_clock_now(cpu->env->clock);
	store_le32(clock, 2);
	store_le32(clock + 4, (uint32_t)(booted / NS_PER_S));
	store_le32(clock + 8, (uint32_t)(booted % NS_PER_S));
	guest_mem_write(cpu->env->memory, value, clock, sizeof(clock));
	return true;
}
