/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU under KVM: KVM_RUN, and what it comes back with.
 *
 * KVM_RUN is left only where it was interrupted, never after an exit that it wants completed: it
 * finishes a port or memory access in the next call, so the vCPU's state is whole only when a
 * call returned EINTR. Whoever wants it back sets immediate_exit, which KVM looks at after
 * finishing that access, and sends a signal for the case that the guest is running. Both are
 * needed, and a flag of ours says who asked.
 *
 * A memory access that KVM hands out may be to RAM all the same: a write to a read-only slot, or
 * one that fell between the removal of a slot and its replacement. So guest memory is looked up
 * before I/O regions.
 */

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engines.h"
#include "engine/kvm/kvm_engine.h"

int kvm_vcpu_create(struct vcpu *base, struct error *err)
{
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);
	struct kvm_engine *kvm = kvm_from_engine(base->engine);
	uint64_t mce = 0;
	int ret;

	vcpu->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, base->index);
	if (vcpu->fd < 0) {
		return error_set(err, errno, "KVM makes no virtual CPU %u: %s", base->index,
				 strerror(errno));
	}
	vcpu->run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		ret = error_set(err, errno, "cannot map KVM's page of virtual CPU %u: %s",
				base->index, strerror(errno));
		goto out_close;
	}
	ret = kvm_set_model(vcpu, err);
	if (ret) {
		goto out_unmap;
	}
	/* Machine checks as the CPU model has them; without them the guest finds no banks. */
	if (ioctl(kvm->kvm_fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &mce) == 0) {
		mce = (mce & BIT(8)) | MSR_MCG_BANKS;
		ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &mce);
	}
	kvm_find_msrs(vcpu);
	return 0;

out_unmap:
	munmap(vcpu->run, kvm->run_size);
out_close:
	close(vcpu->fd);
	return ret;
}

void kvm_vcpu_destroy(struct vcpu *base)
{
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);

	munmap(vcpu->run, kvm_from_engine(base->engine)->run_size);
	close(vcpu->fd);
}

void kvm_vcpu_kick(struct vcpu *base)
{
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);

	atomic_store(&vcpu->kicked, true);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (atomic_load(&vcpu->in_run)) {
		vcpu_signal(base);
	}
}

static uint64_t load_value(const void *p, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, p, size);
	return value;
}

static void handle_io(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct io_space *ports = vcpu->vcpu.engine->env.ports;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned int size = run->io.size;

	kvm_count(vcpu, KVM_COUNT_PIO);
	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			io_write(ports, run->io.port, load_value(data, size), size);
		} else {
			uint64_t value = io_read(ports, run->io.port, size);

			memcpy(data, &value, size);
		}
	}
}

static void handle_mmio(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const struct engine_env *env = &vcpu->vcpu.engine->env;
	gpa_t gpa = run->mmio.phys_addr;
	unsigned int size = MIN(run->mmio.len, (uint32_t)sizeof(run->mmio.data));
	struct mem_slot slot;
	uint64_t value;

	kvm_count(vcpu, KVM_COUNT_MMIO);
	if (guest_memory_find(env->memory, gpa, &slot)) {
		if (run->mmio.is_write) {
			guest_mem_write(env->memory, gpa, run->mmio.data, size);
		} else {
			guest_mem_read(env->memory, gpa, run->mmio.data, size);
		}
	} else if (run->mmio.is_write) {
		io_write(env->mmio, gpa, load_value(run->mmio.data, size), size);
	} else {
		value = io_read(env->mmio, gpa, size);
		memcpy(run->mmio.data, &value, size);
	}
}

static enum vcpu_exit fail(struct kvm_vcpu *vcpu)
{
	kvm_report_failure(vcpu);
	return VCPU_EXIT_FAILED;
}

/* Return: whether the vCPU goes on; else *@ret_exit is set. */
static bool handle_exit(struct kvm_vcpu *vcpu, unsigned int changes, enum vcpu_exit *ret_exit)
{
	struct kvm_engine *kvm = kvm_from_engine(vcpu->vcpu.engine);
	const struct engine_env *env = &kvm->engine.env;
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		return true;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return true;
	case KVM_EXIT_IOAPIC_EOI:
		kvm_count(vcpu, KVM_COUNT_EOI);
		if (env->ioapic_eoi) {
			env->ioapic_eoi(env->opaque, run->eoi.vector);
		}
		return true;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		kvm_count(vcpu, KVM_COUNT_WINDOWS);
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_HLT:
	case KVM_EXIT_SET_TPR:
		return true;
	case KVM_EXIT_SHUTDOWN:
		*ret_exit = VCPU_EXIT_TRIPLE_FAULT;
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		/* An instruction that was not there for a moment. */
		if (atomic_load(&kvm->memory_changes) != changes) {
			return true;
		}
		*ret_exit = fail(vcpu);
		return false;
	default:
		*ret_exit = fail(vcpu);
		return false;
	}
}

/* KVM_RUN once. Return: 0, or a positive errno value. */
static int enter(struct kvm_vcpu *vcpu)
{
	int code = 0;

	atomic_store(&vcpu->in_run, true);
	if (vcpu->vcpu.index == 0) {
		kvm_inject_extint(vcpu);
	}
	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
		code = errno;
	} else {
		vcpu->extint_queued = false;
	}
	atomic_store(&vcpu->in_run, false);
	kvm_count(vcpu, KVM_COUNT_EXITS);
	return code;
}

enum vcpu_exit kvm_vcpu_run(struct vcpu *base)
{
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);
	struct kvm_engine *kvm = kvm_from_engine(base->engine);
	enum vcpu_exit exit;

	vcpu->has_run = true;
	for (;;) {
		unsigned int changes = atomic_load(&kvm->memory_changes);
		int code = enter(vcpu);

		if (code == 0) {
			if (!handle_exit(vcpu, changes, &exit)) {
				return exit;
			}
			continue;
		}
		if (code == EINTR) {
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			if (atomic_exchange(&vcpu->kicked, false)) {
				kvm_count(vcpu, KVM_COUNT_KICKS);
				return VCPU_EXIT_KICKED;
			}
			continue;
		}
		/* EAGAIN: an application processor has left its wait for INIT or SIPI. */
		if (code != EAGAIN) {
			error_set(&base->error, code, "KVM cannot run virtual CPU %u: %s",
				  base->index, strerror(code));
			return VCPU_EXIT_FAILED;
		}
	}
}

size_t kvm_vcpu_counters(struct vcpu *base, struct engine_counter *ret_counters, size_t max)
{
	static const char *const names[KVM_COUNTERS] = {
		[KVM_COUNT_EXITS] = "exits",
		[KVM_COUNT_PIO] = "port accesses",
		[KVM_COUNT_MMIO] = "memory-mapped accesses",
		[KVM_COUNT_EOI] = "IOAPIC interrupts ended",
		[KVM_COUNT_WINDOWS] = "interrupt windows",
		[KVM_COUNT_KICKS] = "kicks",
	};
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);
	size_t n = MIN(max, (size_t)KVM_COUNTERS);

	for (size_t i = 0; i < n; i++) {
		ret_counters[i].name = names[i];
		ret_counters[i].value =
			atomic_load_explicit(&vcpu->counters[i], memory_order_relaxed);
	}
	return n;
}
