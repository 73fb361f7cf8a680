/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's clocks under KVM: the TSC and kvm-clock, and the CPU model that tells of them.
 *
 * While the machine is paused its time stands still. KVM's clocks follow the host's TSC, so the
 * pause is taken out when the vCPUs go on: each TSC's offset is lowered by the length of the
 * pause, the same amount for each, so that they stay in step; kvm-clock is set to what it was.
 * kvm-clock can differ a little from the machine's clock, as one follows the TSC and the other
 * the host's adjusted clock; a guest must not see it go back, so it keeps its own value as long
 * as the machine lives, and starts from the machine's clock when a state was loaded.
 */

#include <stdlib.h>
#include <sys/ioctl.h>

#include "engine/cpu_model.h"
#include "engine/kvm/kvm_engine.h"

/*
 * SDM vol. 3, 18.17.4: what a TSC's nominal frequency may be off. As the kernel's default
 * tolerance.
 */
#define TSC_TOLERANCE_PPM 250

static int set_cpuid(struct kvm_vcpu *vcpu, struct error *err)
{
	const struct cpu_model *model = vcpu->vcpu.engine->env.model;
	struct kvm_cpuid2 *list;
	int ret = 0;

	list = calloc(1, sizeof(*list) + model->leaf_count * sizeof(list->entries[0]));
	if (!list) {
		return error_set(err, ENOMEM, "not enough memory for the CPU model");
	}
	for (unsigned int i = 0; i < model->leaf_count; i++) {
		const struct cpuid_entry *from = &model->leaves[i];
		struct kvm_cpuid_entry2 *to = &list->entries[i];
		uint32_t regs[4];

		/* OSXSAVE and sizes that follow XCR0 are KVM's to fill in. */
		cpu_model_cpuid(model, vcpu->vcpu.index, from->leaf, from->subleaf, 0,
				model->xcr0_mask, regs);
		to->function = from->leaf;
		to->index = from->subleaf;
		to->flags = from->indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
		to->eax = regs[0];
		to->ebx = regs[1];
		to->ecx = regs[2];
		to->edx = regs[3];
	}
	list->nent = model->leaf_count;
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, list) < 0) {
		ret = error_set(err, errno, "KVM refuses the CPU model: %s", strerror(errno));
	}
	free(list);
	return ret;
}

static int set_tsc_khz(struct kvm_vcpu *vcpu, struct error *err)
{
	struct kvm_engine *kvm = kvm_from_engine(vcpu->vcpu.engine);
	uint64_t wanted = kvm->engine.env.model->tsc_hz / 1000;
	int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	uint64_t host = khz > 0 ? (uint64_t)khz : wanted;
	uint64_t difference = host > wanted ? host - wanted : wanted - host;

	if (difference * 1000000 <= wanted * TSC_TOLERANCE_PPM) {
		return 0;
	}
	if (!kvm->tsc_control || ioctl(vcpu->fd, KVM_SET_TSC_KHZ, wanted) < 0) {
		return error_set(
			err, ENOTSUP,
			"the guest's time stamp counter runs at %llu kHz, this host's at %llu kHz, "
			"and its processor cannot scale it",
			(unsigned long long)wanted, (unsigned long long)host);
	}
	return 0;
}

int kvm_set_model(struct kvm_vcpu *vcpu, struct error *err)
{
	int ret = set_cpuid(vcpu, err);

	return ret ? ret : set_tsc_khz(vcpu, err);
}

/* ------- the TSC ------- */

static uint64_t host_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

static struct kvm_device_attr offset_attr(uint64_t *value)
{
	return (struct kvm_device_attr){
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)value,
	};
}

static int get_msr(struct kvm_vcpu *vcpu, uint32_t index, uint64_t *ret_value)
{
	uint8_t buffer[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)]
		__attribute__((aligned(8))) = { 0 };
	struct kvm_msrs header = { .nmsrs = 1 };
	struct kvm_msr_entry entry = { .index = index };

	memcpy(buffer, &header, sizeof(header));
	memcpy(buffer + sizeof(header), &entry, sizeof(entry));
	if (ioctl(vcpu->fd, KVM_GET_MSRS, buffer) != 1) {
		return -EIO;
	}
	memcpy(&entry, buffer + sizeof(header), sizeof(entry));
	*ret_value = entry.data;
	return 0;
}

static int set_msr(struct kvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	uint8_t buffer[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)]
		__attribute__((aligned(8))) = { 0 };
	struct kvm_msrs header = { .nmsrs = 1 };
	struct kvm_msr_entry entry = { .index = index, .data = value };

	memcpy(buffer, &header, sizeof(header));
	memcpy(buffer + sizeof(header), &entry, sizeof(entry));
	return ioctl(vcpu->fd, KVM_SET_MSRS, buffer) == 1 ? 0 : -EIO;
}

/* A KVM that emulates may know the attribute and still show guests the host's TSC. */
static void check_offset(struct kvm_vcpu *vcpu, uint64_t wanted)
{
	struct kvm_engine *kvm = kvm_from_engine(vcpu->vcpu.engine);
	uint64_t value = wanted;
	struct kvm_device_attr attr = offset_attr(&value);
	uint64_t difference;

	if (kvm->tsc_fixed || ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr) < 0) {
		return;
	}
	/* Where the host's own TSC is not reliable, KVM corrects the offset by a little. */
	difference = value - wanted;
	if (MIN(difference, -difference) > kvm->engine.env.model->tsc_hz / 10) {
		kvm->tsc_fixed = true;
		log_info(LOG_AREA_ENGINE,
			 "kvm: guests see the host's time stamp counter, which goes on while the "
			 "machine is paused");
	}
}

/* Make the guest's TSC @tsc at the moment when the host's is @now. */
static int set_tsc(struct kvm_vcpu *vcpu, uint64_t tsc, uint64_t now)
{
	struct kvm_engine *kvm = kvm_from_engine(vcpu->vcpu.engine);
	uint64_t offset = tsc - now;
	struct kvm_device_attr attr = offset_attr(&offset);

	if (!kvm->tsc_offset) {
		return set_msr(vcpu, MSR_TSC, tsc);
	}
	if (ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr) < 0) {
		return -errno;
	}
	check_offset(vcpu, offset);
	return 0;
}

int kvm_load_tsc(struct kvm_vcpu *vcpu)
{
	vcpu->paused_tsc = vcpu->vcpu.state.tsc;
	return set_tsc(vcpu, vcpu->paused_tsc, host_tsc());
}

/* ------- pauses ------- */

/* With offsets, all TSCs are taken at one moment, after KVM has looked at each. */
static void read_tscs(struct engine *engine)
{
	struct kvm_engine *kvm = kvm_from_engine(engine);
	uint64_t now;

	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		struct kvm_vcpu *vcpu = kvm_from_vcpu(engine->vcpus[i]);

		if (kvm->tsc_offset) {
			struct kvm_device_attr attr = offset_attr(&vcpu->paused_tsc);

			ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr);
		} else {
			get_msr(vcpu, MSR_TSC, &vcpu->paused_tsc);
		}
	}
	now = host_tsc();
	for (unsigned int i = 0; kvm->tsc_offset && i < engine->vcpu_count; i++) {
		kvm_from_vcpu(engine->vcpus[i])->paused_tsc += now;
	}
}

void kvm_paused(struct engine *engine)
{
	struct kvm_engine *kvm = kvm_from_engine(engine);
	struct kvm_clock_data data = { .clock = 0 };

	read_tscs(engine);
	if (ioctl(kvm->vm_fd, KVM_GET_CLOCK, &data) == 0) {
		kvm->clock = data.clock;
	}
}

/* The kernel's timer for a TSC deadline was set by the host's TSC; setting it again corrects it. */
static void rearm_deadline(struct kvm_vcpu *vcpu)
{
	uint64_t deadline = 0;

	if (get_msr(vcpu, MSR_TSC_DEADLINE, &deadline) == 0 && deadline != 0) {
		set_msr(vcpu, MSR_TSC_DEADLINE, deadline);
	}
}

void kvm_resuming(struct engine *engine)
{
	struct kvm_engine *kvm = kvm_from_engine(engine);
	struct kvm_clock_data data = { .clock = kvm->clock };
	uint64_t now = host_tsc();

	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		struct kvm_vcpu *vcpu = kvm_from_vcpu(engine->vcpus[i]);

		set_tsc(vcpu, vcpu->paused_tsc, now);
		rearm_deadline(vcpu);
	}
	ioctl(kvm->vm_fd, KVM_SET_CLOCK, &data);
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		/* Fails where the guest does not use kvm-clock. */
		ioctl(kvm_from_vcpu(engine->vcpus[i])->fd, KVM_KVMCLOCK_CTRL, 0);
	}
}
