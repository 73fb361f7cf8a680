/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's /dev/kvm: whether it can be used, and what it offers to any machine. The interface
 * is the Linux kernel's Documentation/virt/kvm/api.rst.
 *
 * What is required goes back to Linux 4.17 (2018): a split interrupt controller, immediate_exit,
 * registers in the shared page, read-only memory slots, signal_msi, irqfd and ioeventfd. Nothing
 * is done for older ones than to say so.
 */

#include "engine/kvm/kvm_host.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"
#define LEAF1_ECX_TSC_DEADLINE BIT(24)
#define LEAF1_ECX_X2APIC BIT(21)
#define MAX_CPUID 256

static const struct {
	int capability;
	const char *name;
} required[] = {
	{ KVM_CAP_SPLIT_IRQCHIP, "split irqchip" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate_exit" },
	{ KVM_CAP_SYNC_REGS, "sync_regs" },
	{ KVM_CAP_READONLY_MEM, "read-only memory" },
	{ KVM_CAP_SIGNAL_MSI, "signal_msi" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_XSAVE, "xsave" },
	{ KVM_CAP_XCRS, "xcrs" },
	{ KVM_CAP_DEBUGREGS, "debugregs" },
	{ KVM_CAP_VCPU_EVENTS, "vcpu_events" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "TSC deadline timer" },
	{ KVM_CAP_ADJUST_CLOCK, "adjustable clock" },
};

static int open_failed(int code, struct error *err)
{
	switch (code) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return error_set(
			err, code,
			"there is no " KVM_DEVICE ": the processor's virtualization is off in "
			"the firmware's settings, or the module kvm_intel or kvm_amd is not "
			"loaded, or this is a virtual machine without nested virtualization");
	case EACCES:
	case EPERM:
		return error_set(err, code,
				 "no permission to open " KVM_DEVICE
				 ": add the user to its group ('sudo usermod -aG kvm $USER', then "
				 "log in again)");
	default:
		return error_set(err, code, "cannot open " KVM_DEVICE ": %s", strerror(code));
	}
}

int kvm_host_open(struct error *err)
{
	int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		return open_failed(errno, err);
	}
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		close(fd);
		return error_set(err, ENOTSUP,
				 KVM_DEVICE " speaks another version of its interface");
	}
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, required[i].capability) <= 0) {
			close(fd);
			return error_set(err, ENOTSUP,
					 "the kernel's KVM is too old (it lacks %s): Linux 4.17 or "
					 "newer is needed",
					 required[i].name);
		}
	}
	return fd;
}

static void take_entry(struct cpuid_entry *to, const struct kvm_cpuid_entry2 *from)
{
	to->leaf = from->function;
	to->subleaf = from->index;
	to->indexed = from->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	to->eax = from->eax;
	to->ebx = from->ebx;
	to->ecx = from->ecx;
	to->edx = from->edx;
	if (from->function == 1) {
		/* Older kernels do not list what they emulate together with the local APIC. */
		to->ecx |= (uint32_t)(LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_X2APIC);
	}
}

int kvm_host_cpuid(struct cpuid_entry *ret_entries, unsigned int max)
{
	struct kvm_cpuid2 *list;
	int count;
	int fd = kvm_host_open(NULL);

	if (fd < 0) {
		return fd;
	}
	list = calloc(1, sizeof(*list) + MAX_CPUID * sizeof(list->entries[0]));
	if (!list) {
		close(fd);
		return -ENOMEM;
	}
	list->nent = MAX_CPUID;
	count = ioctl(fd, KVM_GET_SUPPORTED_CPUID, list) < 0 ? -errno : (int)MIN(list->nent, max);
	for (int i = 0; i < count; i++) {
		take_entry(&ret_entries[i], &list->entries[i]);
	}
	free(list);
	close(fd);
	return count;
}
