/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers of the software CPU. Intel SDM vol. 4; AMD APM vol. 2, appendix A;
 * KVM's own as its documentation (Documentation/virt/kvm/x86/msr.rst of Linux) describes them.
 *
 * Three kinds: those with an effect, those of the saved list (engine/msr.h) that are stored
 * after a check, and constants that kernels read without asking CPUID first (msr_constants).
 * Any other raises #GP. Memory types of PAT and MTRRs are checked and stored; there is no cache
 * for them to act on.
 */

#include "softcpu/system.h"

/**
 * struct msr_constant - a range that reads as @value; writes do nothing
 *
 * What is here is what Linux, Windows and the BSDs touch on such processors without protection.
 */
struct msr_constant {
	uint32_t index;
	uint32_t count;
	uint8_t vendor;
	bool read_only; /* a write raises #GP */
	uint64_t value;
};

static const struct msr_constant msr_constants[] = {
	{ MSR_PLATFORM_ID, 1, MSR_INTEL, true, 0 },
	{ MSR_EBL_CR_POWERON, 1, MSR_ANY, false, 0 },
	{ MSR_FEATURE_CONTROL, 1, MSR_INTEL, true, 1 }, /* locked, nothing enabled */
	{ MSR_UCODE_WRITE, 1, MSR_ANY, false, 0 },
	{ MSR_PERFCTR0, 2, MSR_ANY, false, 0 },
	{ MSR_FSB_FREQ, 1, MSR_INTEL, true, 0 },
	{ MSR_MTRR_CAP, 1, MSR_ANY, true, MSR_MTRR_CAP_VALUE },
	{ MSR_BBL_CR_CTL3, 1, MSR_INTEL, false, 0 },
	{ MSR_MISC_FEATURES_ENABLES, 1, MSR_INTEL, false, 0 },
	{ MSR_MCG_CAP, 1, MSR_ANY, true, MSR_MCG_CAP_VALUE },
	{ MSR_EVNTSEL0, 2, MSR_ANY, false, 0 },
	{ MSR_PERF_STATUS, 1, MSR_INTEL, true, 0 },
	{ MSR_PERF_CTL, 1, MSR_INTEL, false, 0 },
	{ MSR_THERM_INTERRUPT, 2, MSR_INTEL, false, 0 },
	{ MSR_LAST_BRANCH_FROM, 4, MSR_ANY, true, 0 },
	{ 0x1fc, 1, MSR_INTEL, false, 0 }, /* POWER_CTL */
	{ 0x606, 1, MSR_INTEL, true, 0 }, /* RAPL: units, package, DRAM, cores */
	{ 0x611, 1, MSR_INTEL, true, 0 },
	{ 0x619, 1, MSR_INTEL, true, 0 },
	{ 0x639, 1, MSR_INTEL, true, 0 },
	{ 0x641, 1, MSR_INTEL, true, 0 },
	{ MSR_AMD_EVNTSEL0, 8, MSR_AMD, false, 0 },
	{ MSR_AMD_TOP_MEM, 1, MSR_AMD, false, 0 },
	{ 0xc001001b, 1, MSR_AMD, false, 0x20000000 }, /* CLK_CTL */
	{ MSR_AMD_TOP_MEM2, 1, MSR_AMD, false, 0 },
	{ MSR_AMD_NB_CFG, 1, MSR_AMD, false, 0 },
	{ MSR_AMD_PATCH_LOADER, 1, MSR_AMD, false, 0 },
	{ MSR_AMD_INT_PENDING, 1, MSR_AMD, false, 0 },
	{ 0xc0010058, 1, MSR_AMD, false, 0 }, /* MMIO_CONF_BASE: none */
	{ MSR_AMD_PSTATE_LIMIT, 3, MSR_AMD, false, 0 },
	{ 0xc0010112, 2, MSR_AMD, false, 0 }, /* TSEG: none */
	{ MSR_AMD_VM_CR, 1, MSR_AMD, true, 0x18 }, /* SVM disabled and locked */
	{ MSR_AMD_VM_HSAVE_PA, 1, MSR_AMD, false, 0 },
	{ MSR_AMD_OSVW_LENGTH, 2, MSR_AMD, true, 0 },
	{ MSR_AMD_LS_CFG, 4, MSR_AMD, false, 0 },
	{ MSR_AMD_BU_CFG2, 1, MSR_AMD, false, 0 },
	{ 0xc001102c, 2, MSR_AMD, false, 0 }, /* EX_CFG, LS_CFG2 */
};

static bool vendor_has(const struct softcpu *cpu, uint8_t vendor)
{
	return vendor == MSR_ANY ||
	       (vendor == MSR_AMD) == cpu_model_vendor_is_amd(cpu->model);
}

static const struct msr_constant *find_constant(const struct softcpu *cpu, uint32_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(msr_constants); i++) {
		const struct msr_constant *c = &msr_constants[i];

		if (index - c->index < c->count && vendor_has(cpu, c->vendor)) {
			return c;
		}
	}
	return NULL;
}

/* ------- storage ------- */

static uint64_t *member_slot(struct softcpu *cpu, uint32_t index)
{
	switch (index) {
	case MSR_SYSENTER_CS: return &cpu->sysenter_cs;
	case MSR_SYSENTER_ESP: return &cpu->sysenter_esp;
	case MSR_SYSENTER_EIP: return &cpu->sysenter_eip;
	case MSR_STAR: return &cpu->star;
	case MSR_LSTAR: return &cpu->lstar;
	case MSR_CSTAR: return &cpu->cstar;
	case MSR_SFMASK: return &cpu->sfmask;
	case MSR_KERNEL_GS_BASE: return &cpu->kernel_gs_base;
	case MSR_TSC_AUX: return &cpu->tsc_aux;
	case MSR_PAT: return &cpu->pat;
	default: return NULL;
	}
}

uint64_t *soft_msr_slot(struct softcpu *cpu, uint32_t index)
{
	uint64_t *slot = member_slot(cpu, index);

	for (uint32_t i = 0; !slot && i < cpu->msr_count; i++) {
		if (cpu->msrs[i].index == index) {
			slot = &cpu->msrs[i].value;
		}
	}
	return slot;
}

void soft_msr_reset(struct softcpu *cpu)
{
	cpu->msr_count = 0;
	for (size_t i = 0; i < msr_saved_count; i++) {
		uint64_t *slot = member_slot(cpu, msr_saved[i].index);

		if (slot) {
			*slot = msr_saved[i].reset;
		} else {
			cpu->msrs[cpu->msr_count].index = msr_saved[i].index;
			cpu->msrs[cpu->msr_count].value = msr_saved[i].reset;
			cpu->msr_count++;
		}
	}
}

void soft_msr_save(struct softcpu *cpu, struct cpu_state *state)
{
	for (size_t i = 0; i < msr_saved_count; i++) {
		uint32_t index = msr_saved[i].index;
		const uint64_t *slot = soft_msr_slot(cpu, index);

		state->msrs[i].index = index;
		state->msrs[i].value = index == MSR_TSC_DEADLINE ? lapic_tsc_deadline(cpu->lapic) :
								   slot ? *slot : 0;
	}
	state->msr_count = (uint32_t)msr_saved_count;
}

/* ------- checks ------- */

/* SDM vol. 3, table 12-11: uncacheable, write-combining, -through, -protected, -back. */
static bool mtrr_type_valid(uint8_t type)
{
	return type < 7 && type != 2 && type != 3;
}

/* SDM vol. 3, table 12-12: 7 is UC-. */
static bool pat_valid(uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++) {
		uint8_t type = (uint8_t)(value >> (8 * i));

		if (type > 7 || type == 2 || type == 3) {
			return false;
		}
	}
	return true;
}

static bool fixed_mtrr_valid(uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++) {
		if (!mtrr_type_valid((uint8_t)(value >> (8 * i)))) {
			return false;
		}
	}
	return true;
}

static bool range_mtrr_valid(const struct softcpu *cpu, uint32_t index, uint64_t value)
{
	uint64_t address = (BIT(cpu->model->phys_bits) - 1) & ~GUEST_PAGE_MASK;

	if (index & 1) { /* mask: the valid bit and an address */
		return !(value & ~(address | BIT(11)));
	}
	return !(value & ~(address | 0xff)) && mtrr_type_valid((uint8_t)value);
}

/* CTL: all or nothing; STATUS can only be cleared, unless HWCR.McStatusWrEn. SDM vol. 3, 16.3.2. */
static bool mc_bank_valid(struct softcpu *cpu, uint32_t index, uint64_t value)
{
	const uint64_t *hwcr = soft_msr_slot(cpu, MSR_AMD_HWCR);

	if ((index & 3) == 0) {
		return value == 0 || value == UINT64_MAX || (uint32_t)~value == 0x400;
	}
	return (index & 3) != 1 || value == 0 ||
	       (cpu_model_vendor_is_amd(cpu->model) && hwcr && (*hwcr & BIT(18)));
}

static bool has_spec_ctrl(const struct softcpu *cpu)
{
	return soft_has(cpu, 7, 3, 26) || soft_has(cpu, 0x80000008, 1, 14) ||
	       soft_has(cpu, 0x80000008, 1, 15);
}

/* Whether this processor has the MSR of the saved list at all. */
static bool present(const struct softcpu *cpu, const struct msr_info *info)
{
	switch (info->index) {
	case MSR_SPEC_CTRL: return has_spec_ctrl(cpu);
	case MSR_TSC_ADJUST: return soft_has(cpu, 7, 1, 1);
	case MSR_TSC_AUX: return soft_has(cpu, 0x80000001, 3, 27) || soft_has(cpu, 7, 2, 22);
	case MSR_TSC_DEADLINE: return soft_has(cpu, 1, 2, 24);
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME: return soft_has(cpu, 0x40000001, 0, 3);
	default: return vendor_has(cpu, info->vendor);
	}
}

/* Whether a WRMSR of @value to an MSR of the saved list would be taken. */
static bool value_valid(struct softcpu *cpu, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_KERNEL_GS_BASE: return soft_canonical(value);
	case MSR_TSC_AUX: return !(value >> 32);
	case MSR_PAT: return pat_valid(value);
	case MSR_MTRR_DEF_TYPE:
		return !(value & ~UINT64_C(0xcff)) && mtrr_type_valid((uint8_t)value);
	case MSR_MTRR_FIX64K_00000:
	case MSR_MTRR_FIX16K_80000 ... MSR_MTRR_FIX16K_A0000:
	case MSR_MTRR_FIX4K_C0000 ... MSR_MTRR_FIX4K_C0000 + 7: return fixed_mtrr_valid(value);
	case MSR_MTRR_PHYS_BASE0 ... MSR_MTRR_PHYS_BASE0 + 2 * MSR_MTRR_RANGES - 1:
		return range_mtrr_valid(cpu, index, value);
	case MSR_DEBUGCTL: return !(value & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
	case MSR_SPEC_CTRL: return !(value & ~UINT64_C(7));
	case MSR_MCG_CTL: return value == 0 || value == UINT64_MAX;
	case MSR_MCG_STATUS: return !(value & ~UINT64_C(7));
	case MSR_MC0_CTL ... MSR_MC0_CTL + 4 * MSR_MCG_BANKS - 1:
		return mc_bank_valid(cpu, index, value);
	default: return true;
	}
}

int soft_msr_load(struct softcpu *cpu, const struct cpu_state *state, struct error *err)
{
	soft_msr_reset(cpu);
	for (uint32_t i = 0; i < state->msr_count; i++) {
		const struct cpu_msr *msr = &state->msrs[i];
		const struct msr_info *info = msr_saved_find(msr->index);
		uint64_t *slot = soft_msr_slot(cpu, msr->index);
		/* A status that the machine check unit has set is more than a guest may write. */
		bool is_status = msr->index - MSR_MC0_CTL < 4 * MSR_MCG_BANKS;

		if (info && msr->value == info->reset) {
			continue;
		}
		if (!info || !present(cpu, info) ||
		    (!is_status && !value_valid(cpu, msr->index, msr->value))) {
			return error_set(err, EINVAL, "CPU %u cannot have 0x%llx in MSR 0x%x",
					 cpu->index, (unsigned long long)msr->value, msr->index);
		}
		*slot = msr->value;
	}
	return 0;
}

/* ------- time ------- */

static uint64_t scaled_clock(const struct softcpu *cpu)
{
	uint64_t now = machine_clock_now(cpu->env->clock);
	uint64_t hz = cpu->model->tsc_hz;

	/* Seconds apart, so that no product needs more than 64 bits. */
	return now / NS_PER_S * hz + now % NS_PER_S * hz / NS_PER_S;
}

uint64_t soft_tsc(struct softcpu *cpu)
{
	return scaled_clock(cpu) + (uint64_t)cpu->tsc_offset;
}

void soft_set_tsc(struct softcpu *cpu, uint64_t value)
{
	cpu->tsc_offset = (int64_t)(value - scaled_clock(cpu));
}

/* TSC and TSC_ADJUST move together, SDM vol. 3, 18.17.3. */
static void move_tsc(struct softcpu *cpu, uint64_t delta)
{
	uint64_t deadline = lapic_tsc_deadline(cpu->lapic);
	uint64_t *adjust = soft_msr_slot(cpu, MSR_TSC_ADJUST);

	cpu->tsc_offset += (int64_t)delta;
	if (adjust) {
		*adjust += delta;
	}
	if (deadline) {
		lapic_set_tsc_deadline(cpu->lapic, deadline, soft_tsc(cpu));
	}
}

/* ------- RDMSR ------- */

static bool read_listed(struct softcpu *cpu, uint32_t index, uint64_t *ret_value)
{
	const struct msr_info *info = msr_saved_find(index);
	const struct msr_constant *constant;
	const uint64_t *slot;

	if (info) {
		slot = soft_msr_slot(cpu, index);
		if (!slot || !present(cpu, info)) {
			return false;
		}
		*ret_value = *slot;
		return true;
	}
	constant = find_constant(cpu, index);
	if (constant) {
		*ret_value = constant->value;
	}
	return constant;
}

bool soft_read_msr(struct softcpu *cpu, uint32_t index, uint64_t *ret_value)
{
	switch (index) {
	case MSR_TSC: *ret_value = soft_tsc(cpu); return true;
	case MSR_APIC_BASE: *ret_value = lapic_base(cpu->lapic); return true;
	case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
		return lapic_read_msr(cpu->lapic, index, ret_value);
	case MSR_EFER: *ret_value = cpu->efer; return true;
	case MSR_FS_BASE: *ret_value = cpu->seg[CPU_FS].base; return true;
	case MSR_GS_BASE: *ret_value = cpu->seg[CPU_GS].base; return true;
	case MSR_TSC_DEADLINE:
		*ret_value = lapic_tsc_deadline(cpu->lapic);
		return soft_has(cpu, 1, 2, 24);
	case MSR_UCODE_REV:
		*ret_value = cpu_model_vendor_is_amd(cpu->model) ? MSR_UCODE_REV_AMD :
								   MSR_UCODE_REV_INTEL;
		return true;
	case MSR_PLATFORM_INFO:
		/* The ratio of TSC to a 100 MHz bus. */
		*ret_value = (cpu->model->tsc_hz / 100000000 & 0xff) << 8;
		return vendor_has(cpu, MSR_INTEL);
	case MSR_XSS:
		*ret_value = 0;
		return cpu_model_has(cpu->model, 0xd, 1, 0, 3);
	case MSR_ARCH_CAPABILITIES:
		/* Nothing here speculates: RDCL_NO, SSB_NO, MDS_NO, TAA_NO, no L1D flush. */
		*ret_value = BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8);
		return soft_has(cpu, 7, 3, 29);
	case MSR_KVM_WALL_CLOCK_OLD:
	case MSR_KVM_SYSTEM_TIME_OLD:
		index += MSR_KVM_WALL_CLOCK - MSR_KVM_WALL_CLOCK_OLD;
		return soft_has(cpu, 0x40000001, 0, 0) && read_listed(cpu, index, ret_value);
	default:
		if (read_listed(cpu, index, ret_value)) {
			return true;
		}
		if (log_limit_pass(&cpu->msr_errors)) {
			log_info(LOG_AREA_CPU, "cpu %u: RDMSR of 0x%x: #GP", cpu->index, index);
		}
		return false;
	}
}

/* ------- WRMSR ------- */

static bool write_apic_base(struct softcpu *cpu, uint64_t value)
{
	if (value >> cpu->model->phys_bits ||
	    ((value & APIC_BASE_X2APIC) && !soft_has(cpu, 1, 2, 21)) ||
	    !lapic_set_base(cpu->lapic, value)) {
		return false;
	}
	/* Its page may have moved. */
	soft_flush_tlb(cpu, true);
	return true;
}

static bool write_base(struct softcpu *cpu, enum cpu_seg seg, uint64_t value)
{
	if (!soft_canonical(value)) {
		return false;
	}
	cpu->seg[seg].base = value;
	return true;
}

/* An MSR of the saved list: checked, stored, and for two of them acted upon. */
static bool write_listed(struct softcpu *cpu, uint32_t index, uint64_t value)
{
	const struct msr_info *info = msr_saved_find(index);
	const struct msr_constant *constant;
	uint64_t *slot = soft_msr_slot(cpu, index);

	if (!info || !slot) {
		constant = find_constant(cpu, index);
		return constant && !constant->read_only;
	}
	if (!present(cpu, info) || !value_valid(cpu, index, value)) {
		return false;
	}
	if (index == MSR_KVM_SYSTEM_TIME && !soft_pvclock_update(cpu, value)) {
		return false;
	}
	if (index == MSR_KVM_WALL_CLOCK && !soft_pvclock_wall_clock(cpu, value)) {
		return false;
	}
	*slot = value;
	return true;
}

bool soft_write_msr(struct softcpu *cpu, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_TSC: move_tsc(cpu, value - soft_tsc(cpu)); return true;
	case MSR_TSC_ADJUST:
		if (!soft_has(cpu, 7, 1, 1)) {
			return false;
		}
		move_tsc(cpu, value - *soft_msr_slot(cpu, MSR_TSC_ADJUST));
		return true;
	case MSR_APIC_BASE: return write_apic_base(cpu, value);
	case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
		return lapic_write_msr(cpu->lapic, index, value);
	case MSR_EFER: return soft_set_efer(cpu, value);
	case MSR_FS_BASE: return write_base(cpu, CPU_FS, value);
	case MSR_GS_BASE: return write_base(cpu, CPU_GS, value);
	case MSR_TSC_DEADLINE:
		lapic_set_tsc_deadline(cpu->lapic, value, soft_tsc(cpu));
		return soft_has(cpu, 1, 2, 24);
	case MSR_UCODE_REV: return true;
	case MSR_PRED_CMD: return has_spec_ctrl(cpu) && value <= 1;
	case MSR_FLUSH_CMD: return soft_has(cpu, 7, 3, 28) && value <= 1;
	case MSR_XSS: return cpu_model_has(cpu->model, 0xd, 1, 0, 3) && value == 0;
	case MSR_KVM_WALL_CLOCK_OLD:
	case MSR_KVM_SYSTEM_TIME_OLD:
		index += MSR_KVM_WALL_CLOCK - MSR_KVM_WALL_CLOCK_OLD;
		return soft_has(cpu, 0x40000001, 0, 0) && write_listed(cpu, index, value);
	default:
		if (write_listed(cpu, index, value)) {
			return true;
		}
		if (log_limit_pass(&cpu->msr_errors)) {
			log_info(LOG_AREA_CPU, "cpu %u: WRMSR of 0x%llx to 0x%x: #GP", cpu->index,
				 (unsigned long long)value, index);
		}
		return false;
	}
}
