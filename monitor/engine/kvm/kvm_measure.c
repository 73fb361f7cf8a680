/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How well this host's KVM runs guests. Its presence says little: where KVM itself runs in a
 * virtual machine without nested virtualization, it may emulate the kernel's instructions one by
 * one.
 *
 * So a guest of one page of code is run in long mode at privilege level 0, as kernels are: a
 * loop, whose length is doubled until it takes long enough to be timed, and one CMPXCHG16B, which
 * kernels use where CPUID offers it and which an emulating KVM may not know.
 */

#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/kvm/kvm_host.h"
#include "engine/msr.h"

/* The guest's memory: page tables, code, data. */
#define GUEST_SIZE (5 * GUEST_PAGE_SIZE)
#define PML4_AT UINT64_C(0x0000)
#define PDPT_AT UINT64_C(0x1000)
#define PD_AT UINT64_C(0x2000)
#define CODE_AT UINT64_C(0x3000)
#define DATA_AT UINT64_C(0x4000)

#define PAGE_PRESENT_WRITE 3
#define PAGE_LARGE BIT(7)

/* Port to which the guest writes when it has done its part. */
#define DONE_PORT 0x80

/* The first rounds also pay for page faults; the fastest round counts. */
#define LONG_ENOUGH_NS (6 * NS_PER_MS)
#define MIN_ROUNDS 4
#define FIRST_COUNT 256

/* Cycles by which KVM may correct an offset where the host's TSC is not reliable. */
#define OFFSET_TOLERANCE UINT64_C(100000000)
#define MAX_ROUNDS 20
#define INSTRUCTIONS_PER_TURN 4

struct test_vm {
	int kvm;
	int vm;
	int vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *memory;
};

/* 0: loop of RBX turns, out, double RBX, again. */
static const uint8_t loop_code[] = {
	0x48, 0x89, 0xd9,	  /* mov rcx, rbx */
	0x48, 0x01, 0xc8,	  /* again: add rax, rcx */
	0x48, 0x31, 0xc2,	  /* xor rdx, rax */
	0x48, 0xff, 0xc9,	  /* dec rcx */
	0x75, 0xf5,		  /* jnz again */
	0xe6, DONE_PORT,	  /* out DONE_PORT, al */
	0x48, 0x01, 0xdb,	  /* add rbx, rbx */
	0xeb, 0xeb,		  /* jmp start */
};

static const uint8_t cmpxchg16b_code[] = {
	0xf0, 0x48, 0x0f, 0xc7, 0x0c, 0x25, 0x00, 0x40, 0x00, 0x00, /* lock cmpxchg16b [DATA_AT] */
	0xe6, DONE_PORT,					    /* out DONE_PORT, al */
	0xeb, 0xfc,
};

static void fill_memory(struct test_vm *t, const uint8_t *code, size_t size)
{
	store_le64(t->memory + PML4_AT, PDPT_AT | PAGE_PRESENT_WRITE);
	store_le64(t->memory + PDPT_AT, PD_AT | PAGE_PRESENT_WRITE);
	store_le64(t->memory + PD_AT, PAGE_PRESENT_WRITE | PAGE_LARGE);
	memcpy(t->memory + CODE_AT, code, size);
}

static int set_long_mode(struct test_vm *t)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 11,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 16,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = {
		.rip = CODE_AT, .rsp = GUEST_SIZE, .rbx = FIRST_COUNT, .rflags = 2
	};
	struct kvm_sregs sregs;

	if (ioctl(t->vcpu, KVM_GET_SREGS, &sregs) < 0) {
		return -errno;
	}
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.cr0 = 0x80050033;
	sregs.cr3 = PML4_AT;
	sregs.cr4 = 0x20;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(t->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(t->vcpu, KVM_SET_REGS, &regs) < 0) {
		return -errno;
	}
	return 0;
}

/* The host's own CPUID, so that the guest may enter long mode. */
static int set_cpuid(struct test_vm *t)
{
	union {
		struct kvm_cpuid2 list;
		uint8_t room[sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2)];
	} all = { .list = { .nent = 256 } };

	if (ioctl(t->kvm, KVM_GET_SUPPORTED_CPUID, &all.list) < 0 ||
	    ioctl(t->vcpu, KVM_SET_CPUID2, &all.list) < 0) {
		return -errno;
	}
	return 0;
}

static void test_vm_finish(struct test_vm *t)
{
	if (t->run) {
		munmap(t->run, t->run_size);
	}
	if (t->vcpu >= 0) {
		close(t->vcpu);
	}
	if (t->vm >= 0) {
		close(t->vm);
	}
	if (t->memory) {
		munmap(t->memory, GUEST_SIZE);
	}
	if (t->kvm >= 0) {
		close(t->kvm);
	}
}

/* A vCPU without code; enough to ask it for the TSC's frequency. */
static int test_vm_init(struct test_vm *t, struct error *err)
{
	*t = (struct test_vm){ .kvm = -1, .vm = -1, .vcpu = -1 };
	t->kvm = kvm_host_open(err);
	if (t->kvm < 0) {
		return t->kvm;
	}
	t->vm = ioctl(t->kvm, KVM_CREATE_VM, 0);
	if (t->vm >= 0) {
		/* As in kvm.c: Intel's older CPUs want it before the first vCPU. */
		ioctl(t->vm, KVM_SET_TSS_ADDR, 0xfeffd000);
		t->vcpu = ioctl(t->vm, KVM_CREATE_VCPU, 0);
	}
	if (t->vcpu < 0) {
		int code = errno;

		test_vm_finish(t);
		return error_set(err, code, "KVM makes no virtual machine: %s", strerror(code));
	}
	return 0;
}

static int test_vm_load(struct test_vm *t, const uint8_t *code, size_t size)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_SIZE };
	void *p =
		mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ret;

	if (p == MAP_FAILED) {
		return -ENOMEM;
	}
	t->memory = p;
	fill_memory(t, code, size);
	region.userspace_addr = (uintptr_t)p;
	t->run_size = (size_t)ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	p = mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	if (p == MAP_FAILED) {
		return -ENOMEM;
	}
	t->run = p;
	if (ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
		return -errno;
	}
	ret = set_cpuid(t);
	return ret ? ret : set_long_mode(t);
}

/* Run to the next write to DONE_PORT. */
static int test_vm_run(struct test_vm *t)
{
	int ret;

	do {
		ret = ioctl(t->vcpu, KVM_RUN, 0);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0) {
		return -errno;
	}
	return t->run->exit_reason == KVM_EXIT_IO && t->run->io.port == DONE_PORT ? 0 : -EIO;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int measure_loop(double *ret_mips)
{
	struct test_vm t;
	uint64_t count = FIRST_COUNT;
	uint64_t total = 0;
	int ret = test_vm_init(&t, NULL);

	if (ret) {
		return ret;
	}
	ret = test_vm_load(&t, loop_code, sizeof(loop_code));
	for (int i = 0; ret == 0 && i < MAX_ROUNDS && (i < MIN_ROUNDS || total < LONG_ENOUGH_NS);
	     i++, count *= 2) {
		uint64_t start = now_ns();
		uint64_t took;

		ret = test_vm_run(&t);
		took = MAX(now_ns() - start, UINT64_C(1));
		total += took;
		if (ret == 0) {
			double mips =
				(double)(count * INSTRUCTIONS_PER_TURN) * 1000.0 / (double)took;

			*ret_mips = MAX(*ret_mips, mips);
		}
	}
	test_vm_finish(&t);
	return ret;
}

bool kvm_host_has_cmpxchg16b(void)
{
	struct test_vm t;
	bool ok;

	if (test_vm_init(&t, NULL) < 0) {
		return false;
	}
	ok = test_vm_load(&t, cmpxchg16b_code, sizeof(cmpxchg16b_code)) == 0 &&
	     test_vm_run(&t) == 0;
	test_vm_finish(&t);
	return ok;
}

/* Whether a guest's TSC can differ from the host's, as it must after a pause. */
static bool can_set_tsc(void)
{
	uint64_t wanted = -__builtin_ia32_rdtsc();
	uint64_t value = wanted;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&value,
	};
	struct test_vm t;
	bool ok;

	if (test_vm_init(&t, NULL) < 0) {
		return false;
	}
	if (ioctl(t.vcpu, KVM_HAS_DEVICE_ATTR, &attr) < 0) {
		ok = true; /* an older kernel: by the MSR */
	} else {
		ok = ioctl(t.vcpu, KVM_SET_DEVICE_ATTR, &attr) == 0 &&
		     ioctl(t.vcpu, KVM_GET_DEVICE_ATTR, &attr) == 0 &&
		     MIN(value - wanted, wanted - value) < OFFSET_TOLERANCE;
	}
	test_vm_finish(&t);
	return ok;
}

int kvm_host_measure(struct kvm_measured *ret_measured, struct error *err)
{
	struct kvm_measured m = { .mips = 0 };
	int fd = kvm_host_open(err);
	int ret;

	if (fd < 0) {
		return fd;
	}
	m.tsc_settable = can_set_tsc();
	snprintf(m.detail, sizeof(m.detail), "up to %d CPUs; %s the TSC's frequency, %s its value",
		 ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS),
		 ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0 ? "sets" : "cannot set",
		 m.tsc_settable ? "sets" : "cannot set");
	close(fd);
	ret = measure_loop(&m.mips);
	if (ret) {
		return error_set(err, -ret, "KVM does not run a test guest: %s", strerror(-ret));
	}
	m.cmpxchg16b = kvm_host_has_cmpxchg16b();
	*ret_measured = m;
	return 0;
}

uint32_t kvm_host_tsc_khz(void)
{
	struct test_vm t;
	int khz;

	if (test_vm_init(&t, NULL) < 0) {
		return 0;
	}
	khz = ioctl(t.vcpu, KVM_GET_TSC_KHZ, 0);
	test_vm_finish(&t);
	return khz > 0 ? (uint32_t)khz : 0;
}
