/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MSRs that are part of a vCPU's saved state, for all engines.
 *
 * Names and reset values: Intel SDM vol. 4, chapter 2, and vol. 3, table 10-1; AMD APM vol. 2,
 * appendix A. Performance counters are not here because the CPU model has none; registers of
 * which guests only ever see a constant (MTRR_CAP, MCG_CAP, PLATFORM_INFO) are not state.
 */

#include "engine/msr.h"

#include "engine/cpu_state.h"

#define MC_BANK(n)                                                             \
	{ MSR_MC0_CTL + 4 * (n), MSR_ANY, "mc" #n "_ctl", 0 },                 \
	{ MSR_MC0_CTL + 4 * (n) + 1, MSR_ANY, "mc" #n "_status", 0 },          \
	{ MSR_MC0_CTL + 4 * (n) + 2, MSR_ANY, "mc" #n "_addr", 0 },            \
	{ MSR_MC0_CTL + 4 * (n) + 3, MSR_ANY, "mc" #n "_misc", 0 }

#define MTRR_RANGE(n)                                                          \
	{ MSR_MTRR_PHYS_BASE0 + 2 * (n), MSR_ANY, "mtrr_base" #n, 0 },         \
	{ MSR_MTRR_PHYS_BASE0 + 2 * (n) + 1, MSR_ANY, "mtrr_mask" #n, 0 }

#define MTRR_FIX4K(n, address)                                                 \
	{ MSR_MTRR_FIX4K_C0000 + (n), MSR_ANY, "mtrr_fix4k_" address, 0 }

const struct msr_info msr_saved[] = {
	{ MSR_TSC_ADJUST, MSR_ANY, "tsc_adjust", 0 },
	{ MSR_SPEC_CTRL, MSR_ANY, "spec_ctrl", 0 },
	{ MSR_SYSENTER_CS, MSR_ANY, "sysenter_cs", 0 },
	{ MSR_SYSENTER_ESP, MSR_ANY, "sysenter_esp", 0 },
	{ MSR_SYSENTER_EIP, MSR_ANY, "sysenter_eip", 0 },
	{ MSR_STAR, MSR_ANY, "star", 0 },
	{ MSR_LSTAR, MSR_ANY, "lstar", 0 },
	{ MSR_CSTAR, MSR_ANY, "cstar", 0 },
	{ MSR_SFMASK, MSR_ANY, "sfmask", 0 },
	{ MSR_KERNEL_GS_BASE, MSR_ANY, "kernel_gs_base", 0 },
	{ MSR_TSC_AUX, MSR_ANY, "tsc_aux", 0 },
	{ MSR_PAT, MSR_ANY, "pat", MSR_PAT_RESET },
	MTRR_RANGE(0), MTRR_RANGE(1), MTRR_RANGE(2), MTRR_RANGE(3),
	MTRR_RANGE(4), MTRR_RANGE(5), MTRR_RANGE(6), MTRR_RANGE(7),
	{ MSR_MTRR_FIX64K_00000, MSR_ANY, "mtrr_fix64k_00000", 0 },
	{ MSR_MTRR_FIX16K_80000, MSR_ANY, "mtrr_fix16k_80000", 0 },
	{ MSR_MTRR_FIX16K_A0000, MSR_ANY, "mtrr_fix16k_a0000", 0 },
	MTRR_FIX4K(0, "c0000"), MTRR_FIX4K(1, "c8000"), MTRR_FIX4K(2, "d0000"),
	MTRR_FIX4K(3, "d8000"), MTRR_FIX4K(4, "e0000"), MTRR_FIX4K(5, "e8000"),
	MTRR_FIX4K(6, "f0000"), MTRR_FIX4K(7, "f8000"),
	{ MSR_MTRR_DEF_TYPE, MSR_ANY, "mtrr_def_type", 0 },
	{ MSR_MISC_ENABLE, MSR_INTEL, "misc_enable", MSR_MISC_ENABLE_RESET },
	{ MSR_DEBUGCTL, MSR_ANY, "debugctl", 0 },
	{ MSR_MCG_STATUS, MSR_ANY, "mcg_status", 0 },
	{ MSR_MCG_CTL, MSR_ANY, "mcg_ctl", 0 },
	MC_BANK(0), MC_BANK(1), MC_BANK(2), MC_BANK(3),
	{ MSR_AMD_SYSCFG, MSR_AMD, "amd_syscfg", 0 },
	{ MSR_AMD_HWCR, MSR_AMD, "amd_hwcr", MSR_AMD_HWCR_RESET },
	{ MSR_AMD_DE_CFG, MSR_AMD, "amd_de_cfg", 0 },
	{ MSR_KVM_WALL_CLOCK, MSR_ANY, "kvm_wall_clock", 0 },
	{ MSR_KVM_SYSTEM_TIME, MSR_ANY, "kvm_system_time", 0 },
	{ MSR_TSC_DEADLINE, MSR_ANY, "tsc_deadline", 0 },
};

const size_t msr_saved_count = ARRAY_SIZE(msr_saved);

_Static_assert(ARRAY_SIZE(msr_saved) <= CPU_MSR_MAX, "cpu_state.msrs is too small");

const struct msr_info *msr_saved_find(uint32_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(msr_saved); i++) {
		if (msr_saved[i].index == index) {
			return &msr_saved[i];
		}
	}
	return NULL;
}
