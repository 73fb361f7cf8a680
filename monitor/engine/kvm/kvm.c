/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine on the host kernel's KVM: making and undoing its virtual machine. The interface is
 * the Linux kernel's Documentation/virt/kvm/api.rst.
 *
 * The interrupt controller is split (KVM_CAP_SPLIT_IRQCHIP): local APICs in the kernel, where
 * interrupts between CPUs and the APIC timers need no exit; IOAPIC, PIC and PIT in the monitor,
 * where all engines share them.
 *
 * Not used: coalesced MMIO (every write of a device that matters must be seen at once), KVM's
 * dirty ring, nested virtualization (the CPU model has none).
 */

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/engines.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/kvm/kvm_host.h"

/*
 * Four pages that Intel CPUs without "unrestricted guest" need for real mode, where no PC has
 * anything: between the local APICs and the firmware.
 */
#define IDENTITY_MAP_ADDRESS 0xfeffc000
#define TSS_ADDRESS 0xfeffd000

static int enable(struct kvm_engine *kvm, uint32_t capability, uint64_t arg)
{
	struct kvm_enable_cap cap = { .cap = capability, .args = { arg } };

	return ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &cap) < 0 ? -errno : 0;
}

static int set_up_vm(struct kvm_engine *kvm, struct error *err)
{
	uint64_t identity = IDENTITY_MAP_ADDRESS;
	int ret;

	if (ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0) {
		return error_set(err, errno, "KVM refuses its real-mode pages: %s",
				 strerror(errno));
	}
	ret = enable(kvm, KVM_CAP_SPLIT_IRQCHIP, KVM_LEVEL_ROUTES);
	if (ret) {
		return error_set(err, -ret, "KVM makes no split interrupt controller: %s",
				 strerror(-ret));
	}
	/* APIC ids as x2APIC has them; of use for more than 255 CPUs, and to a saved state. */
	enable(kvm, KVM_CAP_X2APIC_API,
	       KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	kvm->tsc_control = ioctl(kvm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
	kvm->tsc_offset = ioctl(kvm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_VCPU_ATTRIBUTES) > 0;
	return 0;
}

static int kvm_create(struct engine *engine, struct error *err)
{
	struct kvm_engine *kvm = kvm_from_engine(engine);
	int max;
	int ret;

	kvm->kvm_fd = kvm_host_open(err);
	if (kvm->kvm_fd < 0) {
		return kvm->kvm_fd;
	}
	max = ioctl(kvm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (max > 0 && engine->env.cpus > (unsigned int)max) {
		ret = error_set(err, ENOTSUP, "KVM runs %d CPUs at most, not %u", max,
				engine->env.cpus);
		goto out_close_kvm;
	}
	kvm->vm_fd = ioctl(kvm->kvm_fd, KVM_CREATE_VM, 0);
	if (kvm->vm_fd < 0) {
		ret = error_set(err, errno, "KVM makes no virtual machine: %s", strerror(errno));
		goto out_close_kvm;
	}
	kvm->run_size = (size_t)ioctl(kvm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	ret = set_up_vm(kvm, err);
	if (ret) {
		goto out_close_vm;
	}
	kvm_irq_init(kvm);
	kvm_memory_init(kvm);
	return 0;

out_close_vm:
	close(kvm->vm_fd);
out_close_kvm:
	close(kvm->kvm_fd);
	return ret;
}

static void kvm_destroy(struct engine *engine)
{
	struct kvm_engine *kvm = kvm_from_engine(engine);

	kvm_memory_finish(kvm);
	kvm_irq_finish(kvm);
	close(kvm->vm_fd);
	close(kvm->kvm_fd);
}

static void kvm_probe(struct engine_report *ret_report)
{
	struct error err = { 0 };
	struct kvm_measured measured;

	memset(ret_report, 0, sizeof(*ret_report));
	if (kvm_host_measure(&measured, &err) < 0) {
		snprintf(ret_report->reason, sizeof(ret_report->reason), "%.255s", err.text);
		return;
	}
	ret_report->usable = true;
	ret_report->mips = measured.mips;
	snprintf(ret_report->detail, sizeof(ret_report->detail), "%s", measured.detail);
	if (!measured.cmpxchg16b) {
		snprintf(
			ret_report->reason, sizeof(ret_report->reason),
			"this KVM emulates guest code and does not know CMPXCHG16B; guests are not "
			"offered it");
	}
}

const struct engine_ops kvm_engine_ops = {
	.name = "kvm",
	.engine_size = sizeof(struct kvm_engine),
	.vcpu_size = sizeof(struct kvm_vcpu),
	.probe = kvm_probe,
	.create = kvm_create,
	.destroy = kvm_destroy,
	.vcpu_create = kvm_vcpu_create,
	.vcpu_destroy = kvm_vcpu_destroy,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_kick = kvm_vcpu_kick,
	.vcpu_save = kvm_vcpu_save,
	.vcpu_load = kvm_vcpu_load,
	.paused = kvm_paused,
	.resuming = kvm_resuming,
	.set_extint = kvm_set_extint,
	.nmi = kvm_nmi,
	.counters = kvm_vcpu_counters,
};
