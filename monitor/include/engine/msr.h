/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_MSR_H
#define LIMEN_ENGINE_MSR_H

/*
 * Numbers of model-specific registers (Intel SDM vol. 4; AMD APM vol. 2, appendix A) and the
 * list of those that are saved in cpu_state.msrs, one list for all engines so that a machine
 * can move between them.
 *
 * Not in the list, because cpu_state has members of their own for them: TSC, APIC_BASE, EFER,
 * FS_BASE and GS_BASE (the segments' bases), the x2APIC registers.
 *
 * An engine saves every MSR of the list that it has, in the list's order, and loads what it
 * finds: the order is one in which they can be set (TSC_ADJUST before TSC_DEADLINE, MTRR ranges
 * before DEF_TYPE). A saved MSR that the engine does not have may be dropped when its value is
 * the list's reset value, else the load fails.
 */

#include "base/types.h"

enum msr_index {
	MSR_TSC = 0x10,
	MSR_PLATFORM_ID = 0x17,
	MSR_APIC_BASE = 0x1b,
	MSR_EBL_CR_POWERON = 0x2a,
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_TSC_ADJUST = 0x3b,
	MSR_SPEC_CTRL = 0x48,
	MSR_PRED_CMD = 0x49,
	MSR_UCODE_WRITE = 0x79,
	MSR_UCODE_REV = 0x8b,
	MSR_PERFCTR0 = 0xc1,
	MSR_FSB_FREQ = 0xcd,
	MSR_PLATFORM_INFO = 0xce,
	MSR_MPERF = 0xe7,
	MSR_APERF = 0xe8,
	MSR_MTRR_CAP = 0xfe,
	MSR_ARCH_CAPABILITIES = 0x10a,
	MSR_FLUSH_CMD = 0x10b,
	MSR_BBL_CR_CTL3 = 0x11e,
	MSR_MISC_FEATURES_ENABLES = 0x140,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP = 0x175,
	MSR_SYSENTER_EIP = 0x176,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MCG_CTL = 0x17b,
	MSR_EVNTSEL0 = 0x186,
	MSR_PERF_STATUS = 0x198,
	MSR_PERF_CTL = 0x199,
	MSR_THERM_INTERRUPT = 0x19b,
	MSR_THERM_STATUS = 0x19c,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_ENERGY_PERF_BIAS = 0x1b0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_LAST_BRANCH_FROM = 0x1db,
	MSR_LAST_BRANCH_TO = 0x1dc,
	MSR_LAST_INT_FROM = 0x1dd,
	MSR_LAST_INT_TO = 0x1de,
	MSR_MTRR_PHYS_BASE0 = 0x200, /* base and mask of 8 ranges: 0x200-0x20f */
	MSR_MTRR_FIX64K_00000 = 0x250,
	MSR_MTRR_FIX16K_80000 = 0x258,
	MSR_MTRR_FIX16K_A0000 = 0x259,
	MSR_MTRR_FIX4K_C0000 = 0x268, /* to 0x26f */
	MSR_PAT = 0x277,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MSR_MC0_CTL = 0x400, /* CTL, STATUS, ADDR, MISC of each bank */
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC_FIRST = 0x800,
	MSR_X2APIC_LAST = 0x8ff,
	MSR_XSS = 0xda0,
	MSR_KVM_WALL_CLOCK_OLD = 0x11,
	MSR_KVM_SYSTEM_TIME_OLD = 0x12,
	MSR_KVM_WALL_CLOCK = 0x4b564d00,
	MSR_KVM_SYSTEM_TIME = 0x4b564d01,
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_CSTAR = 0xc0000083,
	MSR_SFMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,
	MSR_AMD_EVNTSEL0 = 0xc0010000, /* 4 selectors and 4 counters */
	MSR_AMD_SYSCFG = 0xc0010010,
	MSR_AMD_HWCR = 0xc0010015,
	MSR_AMD_TOP_MEM = 0xc001001a,
	MSR_AMD_TOP_MEM2 = 0xc001001d,
	MSR_AMD_NB_CFG = 0xc001001f,
	MSR_AMD_PATCH_LOADER = 0xc0010020,
	MSR_AMD_INT_PENDING = 0xc0010055,
	MSR_AMD_PSTATE_LIMIT = 0xc0010061,
	MSR_AMD_PSTATE_CTL = 0xc0010062,
	MSR_AMD_PSTATE_STATUS = 0xc0010063,
	MSR_AMD_VM_CR = 0xc0010114,
	MSR_AMD_VM_HSAVE_PA = 0xc0010117,
	MSR_AMD_OSVW_LENGTH = 0xc0010140,
	MSR_AMD_OSVW_STATUS = 0xc0010141,
	MSR_AMD_LS_CFG = 0xc0011020,
	MSR_AMD_IC_CFG = 0xc0011021,
	MSR_AMD_DC_CFG = 0xc0011022,
	MSR_AMD_BU_CFG = 0xc0011023,
	MSR_AMD_DE_CFG = 0xc0011029,
	MSR_AMD_BU_CFG2 = 0xc001102a,
};

/* EFER, SDM vol. 3, 2.2.1; APM vol. 2, 3.1.7. */
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define EFER_LMSLE BIT(13)
#define EFER_FFXSR BIT(14)

/* APIC_BASE, SDM vol. 3, 11.4.4 and 11.12.1. */
#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_RESET UINT64_C(0xfee00000)

/* Machine check: this many banks, with MCG_CTL; an engine whose unit can be set sets it to this. */
#define MSR_MCG_BANKS 4
#define MSR_MCG_CAP_VALUE (BIT(8) | MSR_MCG_BANKS)
/* 8 variable ranges, fixed ranges, write combining; no SMRR. */
#define MSR_MTRR_RANGES 8
#define MSR_MTRR_CAP_VALUE (BIT(10) | BIT(8) | MSR_MTRR_RANGES)
#define MSR_PAT_RESET UINT64_C(0x0007040600070406)
/* Fast strings; BTS and PEBS unavailable. */
#define MSR_MISC_ENABLE_RESET (BIT(0) | BIT(11) | BIT(12))
/* TscFreqSel: the TSC counts at the P0 frequency. */
#define MSR_AMD_HWCR_RESET BIT(24)
/* What a hypervisor's guest is told as microcode revision, by either vendor's convention. */
#define MSR_UCODE_REV_INTEL UINT64_C(0x100000000)
#define MSR_UCODE_REV_AMD UINT64_C(0x01000065)

/* Which models have an MSR. */
enum msr_vendor {
	MSR_ANY,
	MSR_INTEL,
	MSR_AMD,
};

/** struct msr_info - one MSR of the saved state; @reset: at power-on (INIT changes none). */
struct msr_info {
	uint32_t index;
	uint8_t vendor; /* enum msr_vendor */
	const char *name;
	uint64_t reset;
};

/** msr_saved - the list; msr_saved_count entries, at most CPU_MSR_MAX. */
extern const struct msr_info msr_saved[];
extern const size_t msr_saved_count;

/** msr_saved_find() - the list's entry for @index, or NULL. */
const struct msr_info *msr_saved_find(uint32_t index);

#endif
