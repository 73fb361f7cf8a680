/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's state between KVM and the neutral form.
 *
 * The order of loading matters to KVM: the APIC's base before the APIC, the special registers
 * (which read the page-directory pointers from memory) before the rest, the APIC before the TSC
 * deadline, and events last, because setting registers drops them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "engine/cpu_model.h"
#include "engine/kvm/kvm_engine.h"

#define XSAVE_SOFTWARE_BYTES 464 /* to 511: the kernel's, not the CPU's */

/* Local APIC registers, SDM vol. 3, table 11-1. */
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LVT_TIMER_PERIODIC(lvt) ((((lvt) >> 17) & 3) == 1)
#define LVT_TIMER_TSC_DEADLINE(lvt) ((((lvt) >> 17) & 3) == 2)

static int refused(struct error *err, const char *what)
{
	return error_set(err, errno, "KVM refuses the %s: %s", what, strerror(errno));
}

static int unavailable(struct error *err, const char *what)
{
	return error_set(err, errno, "KVM does not give out the %s: %s", what, strerror(errno));
}

/* ------- general registers ------- */

static void regs_to_state(const struct kvm_regs *r, struct cpu_state *s)
{
	const uint64_t values[CPU_GPR_COUNT] = {
		[CPU_RAX] = r->rax, [CPU_RCX] = r->rcx, [CPU_RDX] = r->rdx, [CPU_RBX] = r->rbx,
		[CPU_RSP] = r->rsp, [CPU_RBP] = r->rbp, [CPU_RSI] = r->rsi, [CPU_RDI] = r->rdi,
		[CPU_R8] = r->r8,   [CPU_R9] = r->r9,	[CPU_R10] = r->r10, [CPU_R11] = r->r11,
		[CPU_R12] = r->r12, [CPU_R13] = r->r13, [CPU_R14] = r->r14, [CPU_R15] = r->r15,
	};

	memcpy(s->gpr, values, sizeof(values));
	s->rip = r->rip;
	s->rflags = r->rflags;
}

static struct kvm_regs regs_from_state(const struct cpu_state *s)
{
	return (struct kvm_regs){
		.rax = s->gpr[CPU_RAX], .rcx = s->gpr[CPU_RCX], .rdx = s->gpr[CPU_RDX],
		.rbx = s->gpr[CPU_RBX], .rsp = s->gpr[CPU_RSP], .rbp = s->gpr[CPU_RBP],
		.rsi = s->gpr[CPU_RSI], .rdi = s->gpr[CPU_RDI], .r8 = s->gpr[CPU_R8],
		.r9 = s->gpr[CPU_R9],	.r10 = s->gpr[CPU_R10], .r11 = s->gpr[CPU_R11],
		.r12 = s->gpr[CPU_R12], .r13 = s->gpr[CPU_R13], .r14 = s->gpr[CPU_R14],
		.r15 = s->gpr[CPU_R15], .rip = s->rip,		.rflags = s->rflags,
	};
}

/* ------- segments and control registers ------- */

static struct cpu_segment segment_to_state(const struct kvm_segment *k)
{
	struct cpu_segment s = {
		.base = k->base,
		.limit = k->limit,
		.selector = k->selector,
		.attr = k->type | (uint32_t)k->s << 4 | (uint32_t)k->dpl << 5 |
			(uint32_t)k->present << 7 | (uint32_t)k->avl << 12 | (uint32_t)k->l << 13 |
			(uint32_t)k->db << 14 | (uint32_t)k->g << 15,
	};

	if (k->unusable) {
		s.attr |= (uint32_t)CPU_SEG_UNUSABLE;
	}
	return s;
}

static struct kvm_segment segment_from_state(const struct cpu_segment *s)
{
	bool unusable = s->attr & CPU_SEG_UNUSABLE;

	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = CPU_SEG_TYPE(s->attr),
		.s = (s->attr >> 4) & 1,
		.dpl = CPU_SEG_DPL(s->attr),
		.present = !unusable && (s->attr & CPU_SEG_P),
		.avl = (s->attr >> 12) & 1,
		.l = (s->attr >> 13) & 1,
		.db = (s->attr >> 14) & 1,
		.g = (s->attr >> 15) & 1,
		.unusable = unusable,
	};
}

static struct kvm_segment *segment_of(struct kvm_sregs *sregs, unsigned int seg)
{
	switch (seg) {
	case CPU_ES: return &sregs->es;
	case CPU_CS: return &sregs->cs;
	case CPU_SS: return &sregs->ss;
	case CPU_DS: return &sregs->ds;
	case CPU_FS: return &sregs->fs;
	default: return &sregs->gs;
	}
}

static void sregs_to_state(struct kvm_sregs *k, struct cpu_state *s)
{
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		s->seg[i] = segment_to_state(segment_of(k, i));
	}
	s->ldt = segment_to_state(&k->ldt);
	s->tr = segment_to_state(&k->tr);
	s->gdt = (struct cpu_table){ .base = k->gdt.base, .limit = k->gdt.limit };
	s->idt = (struct cpu_table){ .base = k->idt.base, .limit = k->idt.limit };
	s->cr0 = k->cr0;
	s->cr2 = k->cr2;
	s->cr3 = k->cr3;
	s->cr4 = k->cr4;
	s->cr8 = k->cr8;
	s->efer = k->efer;
	s->apic_base = k->apic_base;
}

static struct kvm_sregs sregs_from_state(const struct cpu_state *s)
{
	struct kvm_sregs k = {
		.ldt = segment_from_state(&s->ldt),
		.tr = segment_from_state(&s->tr),
		.gdt = { .base = s->gdt.base, .limit = s->gdt.limit },
		.idt = { .base = s->idt.base, .limit = s->idt.limit },
		.cr0 = s->cr0,
		.cr2 = s->cr2,
		.cr3 = s->cr3,
		.cr4 = s->cr4,
		.cr8 = s->cr8,
		.efer = s->efer,
		.apic_base = s->apic_base,
	};

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		*segment_of(&k, i) = segment_from_state(&s->seg[i]);
	}
	return k;
}

/* ------- MSRs ------- */

static struct kvm_msrs *msr_buffer(unsigned int count)
{
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + count * sizeof(msrs->entries[0]));

	if (msrs) {
		msrs->nmsrs = count;
	}
	return msrs;
}

void kvm_find_msrs(struct kvm_vcpu *vcpu)
{
	struct kvm_msrs *one = msr_buffer(1);

	for (size_t i = 0; one && i < msr_saved_count; i++) {
		one->entries[0].index = msr_saved[i].index;
		if (ioctl(vcpu->fd, KVM_GET_MSRS, one) == 1) {
			vcpu->msrs[vcpu->msr_count++] = (uint8_t)i;
		}
	}
	free(one);
}

static int save_msrs(struct kvm_vcpu *vcpu, struct error *err)
{
	struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_msrs *msrs = msr_buffer(vcpu->msr_count);
	int ret = 0;

	if (!msrs) {
		return error_set(err, ENOMEM, "not enough memory for the MSRs");
	}
	for (unsigned int i = 0; i < vcpu->msr_count; i++) {
		msrs->entries[i].index = msr_saved[vcpu->msrs[i]].index;
	}
	if (ioctl(vcpu->fd, KVM_GET_MSRS, msrs) != (int)vcpu->msr_count) {
		ret = unavailable(err, "model-specific registers");
		goto out_free;
	}
	s->msr_count = vcpu->msr_count;
	for (unsigned int i = 0; i < vcpu->msr_count; i++) {
		s->msrs[i].index = msrs->entries[i].index;
		s->msrs[i].value = msrs->entries[i].data;
	}
out_free:
	free(msrs);
	return ret;
}

/* A register that KVM does not have may be left at what it would be after a reset. */
static int msr_refused(const struct cpu_msr *msr, struct error *err)
{
	const struct msr_info *info = msr_saved_find(msr->index);

	if (info && info->reset == msr->value) {
		return 0;
	}
	return error_set(err, ENOTSUP, "KVM refuses the value 0x%llx of MSR 0x%x (%s)",
			 (unsigned long long)msr->value, msr->index, info ? info->name : "unknown");
}

static int load_msr(struct kvm_vcpu *vcpu, struct kvm_msrs *one, const struct cpu_msr *msr,
		    struct error *err)
{
	one->entries[0].index = msr->index;
	/* What it is already is not set: kernels write a line about some registers. */
	if (ioctl(vcpu->fd, KVM_GET_MSRS, one) == 1 && one->entries[0].data == msr->value) {
		return 0;
	}
	one->entries[0].data = msr->value;
	return ioctl(vcpu->fd, KVM_SET_MSRS, one) == 1 ? 0 : msr_refused(msr, err);
}

static int load_msrs(struct kvm_vcpu *vcpu, bool deadline, struct error *err)
{
	const struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_msrs *one = msr_buffer(1);
	int ret = 0;

	if (!one) {
		return error_set(err, ENOMEM, "not enough memory for the MSRs");
	}
	for (uint32_t i = 0; i < MIN(s->msr_count, (uint32_t)CPU_MSR_MAX) && ret == 0; i++) {
		/* The deadline follows the APIC, in whose mode it counts. */
		if ((s->msrs[i].index == MSR_TSC_DEADLINE) == deadline) {
			ret = load_msr(vcpu, one, &s->msrs[i], err);
		}
	}
	free(one);
	return ret;
}

/* ------- x87 and vectors ------- */

static int save_fpu(struct kvm_vcpu *vcpu, struct error *err)
{
	struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs = { .nr_xcrs = 0 };

	_Static_assert(sizeof(xsave) == CPU_XSAVE_SIZE, "KVM's image is the neutral one");
	if (ioctl(vcpu->fd, KVM_GET_XSAVE, &xsave) < 0) {
		return unavailable(err, "x87 and vector registers");
	}
	if (ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs) < 0) {
		return unavailable(err, "extended control registers");
	}
	memcpy(s->xsave, &xsave, sizeof(s->xsave));
	memset(s->xsave + XSAVE_SOFTWARE_BYTES, 0, 512 - XSAVE_SOFTWARE_BYTES);
	s->xcr0 = 1;
	for (unsigned int i = 0; i < MIN(xcrs.nr_xcrs, (uint32_t)KVM_MAX_XCRS); i++) {
		if (xcrs.xcrs[i].xcr == 0) {
			s->xcr0 = xcrs.xcrs[i].value;
		}
	}
	return 0;
}

static int load_fpu(struct kvm_vcpu *vcpu, struct error *err)
{
	const struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = s->xcr0 } } };

	memcpy(&xsave, s->xsave, sizeof(xsave));
	if (ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs) < 0 && s->xcr0 != 1) {
		return refused(err, "extended control register");
	}
	if (ioctl(vcpu->fd, KVM_SET_XSAVE, &xsave) < 0) {
		return refused(err, "x87 and vector registers");
	}
	return 0;
}

/* ------- the local APIC ------- */

static unsigned int timer_shift(const struct cpu_state *s)
{
	uint32_t divide = load_le32(s->lapic + LAPIC_TIMER_DIVIDE);

	return (((divide & 3) | ((divide >> 1) & 4)) + 1) & 7;
}

static uint64_t saved_msr(const struct cpu_state *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->msr_count; i++) {
		if (s->msrs[i].index == index) {
			return s->msrs[i].value;
		}
	}
	return 0;
}

static uint64_t tsc_to_ns(uint64_t cycles, uint64_t hz)
{
	return (uint64_t)((unsigned __int128)cycles * NS_PER_S / hz);
}

/* The timer counts nanoseconds before its divider, as the CPU model tells guests. */
static uint64_t apic_timer_deadline(struct kvm_vcpu *vcpu)
{
	const struct engine_env *env = &vcpu->vcpu.engine->env;
	const struct cpu_state *s = &vcpu->vcpu.state;
	uint64_t now = env->clock ? machine_clock_now(env->clock) : 0;
	uint32_t current = load_le32(s->lapic + LAPIC_TIMER_CURRENT);

	if (LVT_TIMER_TSC_DEADLINE(load_le32(s->lapic + LAPIC_LVT_TIMER))) {
		uint64_t deadline = saved_msr(s, MSR_TSC_DEADLINE);

		if (deadline == 0) {
			return TIMER_NEVER;
		}
		/* One that has passed but was not seen to pass is due now. */
		return now +
		       (deadline <= s->tsc ? 0 : tsc_to_ns(deadline - s->tsc, env->model->tsc_hz));
	}
	if (current == 0 && LVT_TIMER_PERIODIC(load_le32(s->lapic + LAPIC_LVT_TIMER))) {
		/* Between two periods. */
		current = load_le32(s->lapic + LAPIC_TIMER_INITIAL);
	}
	return current ? now + ((uint64_t)current << timer_shift(s)) : TIMER_NEVER;
}

static int save_lapic(struct kvm_vcpu *vcpu, struct error *err)
{
	struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_lapic_state lapic;

	_Static_assert(sizeof(lapic.regs) == sizeof(s->lapic), "KVM's page is the neutral one");
	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic) < 0) {
		return unavailable(err, "local APIC");
	}
	memcpy(s->lapic, lapic.regs, sizeof(s->lapic));
	s->lapic_timer_deadline_ns = apic_timer_deadline(vcpu);
	return 0;
}

static int load_lapic(struct kvm_vcpu *vcpu, struct error *err)
{
	const struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_lapic_state lapic;

	memcpy(lapic.regs, s->lapic, sizeof(lapic.regs));
	if (ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic) < 0) {
		return refused(err, "local APIC");
	}
	return 0;
}

/* ------- events, debug registers, activity ------- */

static int save_events(struct kvm_vcpu *vcpu, struct error *err)
{
	struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_vcpu_events e;
	struct kvm_debugregs d;
	struct kvm_mp_state mp;

	/* The activity first: asking for it makes KVM take a pending INIT or SIPI. */
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &e) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &d) < 0) {
		return unavailable(err, "pending events");
	}
	switch (mp.mp_state) {
	case KVM_MP_STATE_HALTED: s->mp_state = CPU_MP_HALTED; break;
	case KVM_MP_STATE_UNINITIALIZED: s->mp_state = CPU_MP_WAIT_INIT; break;
	case KVM_MP_STATE_INIT_RECEIVED: s->mp_state = CPU_MP_WAIT_SIPI; break;
	default: s->mp_state = CPU_MP_RUNNING; break;
	}
	s->exception_pending = e.exception.injected || e.exception.pending;
	s->exception_vector = e.exception.nr;
	s->exception_has_error = e.exception.has_error_code;
	s->exception_error = e.exception.error_code;
	/*
	 * RIP still stands at an INT n whose delivery was cut short: it is simply executed again.
	 */
	s->interrupt_pending = e.interrupt.injected && !e.interrupt.soft;
	s->interrupt_vector = e.interrupt.nr;
	s->interrupt_shadow = e.interrupt.shadow != 0;
	s->nmi_pending = e.nmi.pending || e.nmi.injected;
	s->nmi_masked = e.nmi.masked && !e.nmi.injected;
	s->sipi_vector = (uint8_t)e.sipi_vector;
	memcpy(s->dr, d.db, sizeof(s->dr));
	s->dr6 = d.dr6;
	s->dr7 = d.dr7;
	return 0;
}

static int load_events(struct kvm_vcpu *vcpu, struct error *err)
{
	const struct cpu_state *s = &vcpu->vcpu.state;
	struct kvm_vcpu_events e = {
		.exception = { .injected = s->exception_pending,
			       .nr = s->exception_vector,
			       .has_error_code = s->exception_has_error,
			       .error_code = s->exception_error },
		.interrupt = { .injected = s->interrupt_pending,
			       .nr = s->interrupt_vector,
			       .shadow = s->interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0 },
		.nmi = { .pending = s->nmi_pending, .masked = s->nmi_masked },
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
	};
	struct kvm_debugregs d = { .dr6 = s->dr6, .dr7 = s->dr7 };

	memcpy(d.db, s->dr, sizeof(d.db));
	if (ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &d) < 0) {
		return refused(err, "debug registers");
	}
	if (ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &e) < 0) {
		return refused(err, "pending events");
	}
	return 0;
}

static int load_activity(struct kvm_vcpu *vcpu, struct error *err)
{
	static const uint32_t states[] = {
		[CPU_MP_RUNNING] = KVM_MP_STATE_RUNNABLE,
		[CPU_MP_HALTED] = KVM_MP_STATE_HALTED,
		[CPU_MP_WAIT_INIT] = KVM_MP_STATE_UNINITIALIZED,
		[CPU_MP_WAIT_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
	};
	uint8_t state = vcpu->vcpu.state.mp_state;
	struct kvm_mp_state mp;

	if (state >= ARRAY_SIZE(states)) {
		return error_set(err, EINVAL, "mp_state is %u", state);
	}
	mp.mp_state = states[state];
	if (ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp) < 0) {
		return refused(err, "processor's activity");
	}
	return 0;
}

/* ------- all of it ------- */

/*
 * Without a running guest a timer's last moment may come between any two questions to KVM. A
 * timer that is set but has run out was perhaps not seen to; the second time it is certain.
 */
static int settle(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	const uint8_t *page = (const uint8_t *)lapic.regs;
	int ret = kvm_settle(vcpu);

	if (ret || ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic) < 0) {
		return ret ? ret : -errno;
	}
	if (load_le32(page + LAPIC_TIMER_INITIAL) != 0 &&
	    load_le32(page + LAPIC_TIMER_CURRENT) == 0) {
		ret = kvm_settle(vcpu);
	}
	return ret;
}

int kvm_vcpu_save(struct vcpu *base, struct error *err)
{
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);
	struct cpu_state *s = &base->state;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int ret;

	ret = vcpu->has_run ? settle(vcpu) : 0;
	if (ret) {
		return error_set(err, -ret, "KVM does not settle the pending events: %s",
				 strerror(-ret));
	}
	memset(s, 0, sizeof(*s));
	ret = save_events(vcpu, err);
	if (ret) {
		return ret;
	}
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
		return unavailable(err, "registers");
	}
	regs_to_state(&regs, s);
	sregs_to_state(&sregs, s);
	ret = save_fpu(vcpu, err);
	if (ret) {
		return ret;
	}
	ret = save_msrs(vcpu, err);
	if (ret) {
		return ret;
	}
	s->tsc = vcpu->paused_tsc;
	return save_lapic(vcpu, err);
}

static int load_registers(struct kvm_vcpu *vcpu, struct error *err)
{
	struct kvm_regs regs = regs_from_state(&vcpu->vcpu.state);
	struct kvm_sregs sregs = sregs_from_state(&vcpu->vcpu.state);

	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0) {
		return refused(err, "segment and control registers");
	}
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0) {
		return refused(err, "general registers");
	}
	return load_fpu(vcpu, err);
}

int kvm_vcpu_load(struct vcpu *base, struct error *err)
{
	struct kvm_vcpu *vcpu = kvm_from_vcpu(base);
	struct kvm_engine *kvm = kvm_from_engine(base->engine);
	int ret = 0;

	if (!vcpu->has_run) {
		/* A saved machine brings its own model. */
		ret = kvm_set_model(vcpu, err);
	}
	if (ret == 0) {
		ret = load_registers(vcpu, err);
	}
	if (ret == 0) {
		ret = load_msrs(vcpu, false, err);
	}
	if (ret) {
		return ret;
	}
	ret = kvm_load_tsc(vcpu);
	if (ret) {
		return error_set(err, -ret, "KVM refuses the time stamp counter: %s",
				 strerror(-ret));
	}
	ret = load_activity(vcpu, err);
	if (ret == 0) {
		ret = load_lapic(vcpu, err);
	}
	if (ret == 0) {
		ret = load_msrs(vcpu, true, err);
	}
	if (ret == 0) {
		ret = load_events(vcpu, err);
	}
	if (ret == 0 && base->index == 0 && base->engine->env.clock) {
		kvm->clock = machine_clock_now(base->engine->env.clock);
	}
	return ret;
}
