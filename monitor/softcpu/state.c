/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU's state to and from the neutral form. A state that is loaded may have come
 * from another engine or from a file that somebody has edited: what the interpreter relies on
 * is checked as VM entry checks it (Intel SDM vol. 3, 27.3.1), the rest cannot harm anyone but
 * the guest.
 */

#include "softcpu/engine_soft.h"

#include "softcpu/system.h"

#define SEGMENT_ATTR UINT32_C(0x1f0ff)

/* Requests that are part of the CPU's state are carried out, now that it is not running. */
static void settle_requests(struct softcpu *cpu)
{
	uint32_t part = SOFT_REQUEST_INIT | SOFT_REQUEST_SIPI | SOFT_REQUEST_NMI;
	uint32_t requests = atomic_fetch_and(&cpu->requests, ~part);

	if (requests & SOFT_REQUEST_INIT) {
		soft_take_init(cpu);
		soft_state_loaded(cpu);
	}
	if ((requests & SOFT_REQUEST_SIPI) && cpu->mp_state == CPU_MP_WAIT_SIPI) {
		soft_take_sipi(cpu, atomic_load(&cpu->sipi_vector));
		soft_state_loaded(cpu);
	}
	if (requests & SOFT_REQUEST_NMI) {
		cpu->nmi_pending = true;
	}
}

void soft_state_save(struct softcpu *cpu, struct cpu_state *state)
{
	memset(state, 0, sizeof(*state));
	settle_requests(cpu);
	memcpy(state->gpr, cpu->gpr, sizeof(state->gpr));
	state->rip = cpu->rip;
	state->rflags = cpu->rflags;
	memcpy(state->seg, cpu->seg, sizeof(state->seg));
	state->ldt = cpu->ldt;
	state->tr = cpu->tr;
	state->gdt = cpu->gdt;
	state->idt = cpu->idt;
	state->cr0 = cpu->cr0;
	state->cr2 = cpu->cr2;
	state->cr3 = cpu->cr3;
	state->cr4 = cpu->cr4;
	state->cr8 = lapic_cr8(cpu->lapic);
	state->efer = cpu->efer;
	state->xcr0 = cpu->xcr0;
	memcpy(state->dr, cpu->dr, sizeof(state->dr));
	state->dr6 = cpu->dr6;
	state->dr7 = cpu->dr7;
	state->tsc = soft_tsc(cpu);
	memcpy(state->xsave, cpu->fpu, sizeof(state->xsave));
	soft_msr_save(cpu, state);
	state->mp_state = cpu->halted ? CPU_MP_HALTED : cpu->mp_state;
	state->sipi_vector = atomic_load(&cpu->sipi_vector);
	state->nmi_pending = cpu->nmi_pending;
	state->nmi_masked = cpu->nmi_masked;
	state->interrupt_shadow = cpu->interrupt_shadow;
	lapic_save(cpu->lapic, state);
}

static bool control_registers_valid(const struct softcpu *cpu, const struct cpu_state *state)
{
	bool paging = state->cr0 & CR0_PG;
	bool lma = state->efer & EFER_LMA;

	return !(state->cr0 >> 32) && (!paging || (state->cr0 & CR0_PE)) &&
	       (!(state->cr0 & CR0_NW) || (state->cr0 & CR0_CD)) &&
	       !(state->cr4 & ~soft_cr4_bits(cpu)) && !(state->efer & ~soft_efer_bits(cpu)) &&
	       lma == (paging && (state->efer & EFER_LME)) && (!lma || (state->cr4 & CR4_PAE)) &&
	       (!(state->cr4 & CR4_PCIDE) || lma) && !(state->cr3 >> cpu->model->phys_bits);
}

static bool mode_valid(const struct cpu_state *state)
{
	bool lma = state->efer & EFER_LMA;
	bool vm = state->rflags & FLAG_VM;
	uint32_t cs = state->seg[CPU_CS].attr;

	if ((state->rflags & ~(FLAGS_DEFINED | 2ull)) || (vm && (lma || !(state->cr0 & CR0_PE)))) {
		return false;
	}
	if (lma && (cs & CPU_SEG_L)) {
		return !(cs & CPU_SEG_DB) && soft_canonical(state->rip);
	}
	return !(state->rip >> 32);
}

static int check_state(const struct softcpu *cpu, const struct cpu_state *state, struct error *err)
{
	if (!control_registers_valid(cpu, state)) {
		return error_set(err, EINVAL,
				 "CPU %u cannot have CR0 0x%llx, CR3 0x%llx, CR4 0x%llx, "
				 "EFER 0x%llx",
				 cpu->index, (unsigned long long)state->cr0,
				 (unsigned long long)state->cr3, (unsigned long long)state->cr4,
				 (unsigned long long)state->efer);
	}
	if (!mode_valid(state)) {
		return error_set(err, EINVAL, "CPU %u cannot be at RIP 0x%llx with RFLAGS 0x%llx",
				 cpu->index, (unsigned long long)state->rip,
				 (unsigned long long)state->rflags);
	}
	if (!soft_xcr0_valid(cpu, state->xcr0)) {
		return error_set(err, EINVAL, "CPU %u cannot have XCR0 0x%llx", cpu->index,
				 (unsigned long long)state->xcr0);
	}
	if (state->mp_state > CPU_MP_WAIT_SIPI || state->exception_vector > 31) {
		return error_set(err, EINVAL, "CPU %u is in no state that exists", cpu->index);
	}
	return 0;
}

static struct cpu_segment load_segment(const struct cpu_segment *from)
{
	struct cpu_segment seg = *from;

	seg.attr &= SEGMENT_ATTR;
	return seg;
}

static void load_registers(struct softcpu *cpu, const struct cpu_state *state)
{
	memcpy(cpu->gpr, state->gpr, sizeof(state->gpr));
	cpu->rip = state->rip;
	cpu->next_rip = state->rip;
	cpu->rflags = state->rflags | 2;
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		cpu->seg[i] = load_segment(&state->seg[i]);
	}
	cpu->ldt = load_segment(&state->ldt);
	cpu->tr = load_segment(&state->tr);
	cpu->gdt = state->gdt;
	cpu->idt = state->idt;
	cpu->cr0 = state->cr0 | CR0_ET;
	cpu->cr2 = state->cr2;
	cpu->cr3 = state->cr3;
	cpu->cr4 = state->cr4;
	cpu->efer = state->efer;
	cpu->xcr0 = state->xcr0;
	memcpy(cpu->dr, state->dr, sizeof(cpu->dr));
	cpu->dr6 = (state->dr6 & DR6_WRITABLE) | DR6_FIXED;
	cpu->dr7 = (state->dr7 & DR7_WRITABLE) | DR7_FIXED;
	memcpy(cpu->fpu, state->xsave, sizeof(state->xsave));
	soft_fpu_import(cpu);
}

static void load_activity(struct softcpu *cpu, const struct cpu_state *state)
{
	uint32_t stale = SOFT_REQUEST_INIT | SOFT_REQUEST_SIPI | SOFT_REQUEST_NMI;

	atomic_fetch_and(&cpu->requests, ~stale);
	cpu->halted = state->mp_state == CPU_MP_HALTED;
	cpu->mp_state = cpu->halted ? CPU_MP_RUNNING : state->mp_state;
	atomic_store(&cpu->sipi_vector, state->sipi_vector);
	cpu->nmi_pending = state->nmi_pending;
	cpu->nmi_masked = state->nmi_masked;
	cpu->interrupt_shadow = state->interrupt_shadow;
	cpu->event_external = false;
}

static void load_deadline(struct softcpu *cpu, const struct cpu_state *state)
{
	for (uint32_t i = 0; i < state->msr_count; i++) {
		if (state->msrs[i].index == MSR_TSC_DEADLINE && state->msrs[i].value) {
			lapic_set_tsc_deadline(cpu->lapic, state->msrs[i].value, soft_tsc(cpu));
		}
	}
}

int soft_state_load(struct softcpu *cpu, const struct cpu_state *state, struct error *err)
{
	int ret = check_state(cpu, state, err);

	if (ret == 0) {
		ret = soft_msr_load(cpu, state, err);
	}
	if (ret == 0) {
		ret = lapic_load(cpu->lapic, state, err);
	}
	if (ret) {
		return ret;
	}
	load_registers(cpu, state);
	load_activity(cpu, state);
	soft_set_tsc(cpu, state->tsc);
	load_deadline(cpu, state);
	soft_update_mode(cpu);
	soft_state_loaded(cpu);
	return 0;
}
