/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_CPU_STATE_H
#define LIMEN_ENGINE_CPU_STATE_H

/*
 * The neutral state of a virtual CPU: what every engine can take in and give out, and what is
 * saved. A machine suspended on one engine resumes on another through this.
 */

#include "base/state_table.h"
#include "base/types.h"

enum cpu_gpr {
	CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI,
	CPU_R8, CPU_R9, CPU_R10, CPU_R11, CPU_R12, CPU_R13, CPU_R14, CPU_R15,
	CPU_GPR_COUNT,
};

enum cpu_seg {
	CPU_ES, CPU_CS, CPU_SS, CPU_DS, CPU_FS, CPU_GS,
	CPU_SEG_COUNT,
};

/*
 * Segment attributes as in VT-x's access-rights format, SDM vol. 3, 25.4.1: bits 0-3 type, 4 S, 5-6
 * DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable.
 */
#define CPU_SEG_TYPE(attr) ((attr) & 0xf)
#define CPU_SEG_S BIT(4)
#define CPU_SEG_DPL(attr) (((attr) >> 5) & 3)
#define CPU_SEG_P BIT(7)
#define CPU_SEG_L BIT(13)
#define CPU_SEG_DB BIT(14)
#define CPU_SEG_G BIT(15)
#define CPU_SEG_UNUSABLE BIT(16)

/** struct cpu_segment - a segment register with its hidden part; @limit in bytes (G already
 *  applied). */
struct cpu_segment {
	uint64_t base;
	uint32_t limit;
	uint32_t attr;
	uint16_t selector;
};

struct cpu_table {
	uint64_t base;
	uint16_t limit;
};

/** struct cpu_msr - one model-specific register. */
struct cpu_msr {
	uint32_t index;
	uint64_t value;
};

#define CPU_MSR_MAX 96
#define CPU_XSAVE_SIZE 4096

enum cpu_mp_state {
	CPU_MP_RUNNING,
	CPU_MP_HALTED,
	CPU_MP_WAIT_INIT, /* an application processor before INIT */
	CPU_MP_WAIT_SIPI,
};

/**
 * struct cpu_state - all that a vCPU is between two instructions
 * @xsave: standard-format XSAVE image (SDM vol. 1, 13.4): x87, SSE, AVX as xcr0 allows
 * @msrs: every MSR of the model's list (engine/msr.h) that is not a member of its own
 * @exception_*: an exception that was raised but not delivered yet
 * @interrupt_*: an external interrupt that was acknowledged but not delivered yet
 * @interrupt_shadow: the next instruction is shadowed (STI, MOV SS)
 * @tsc: value of the guest's TSC at machine-clock time of the save
 * @lapic: the local APIC's register page, one 32-bit register each 16 bytes (SDM vol. 3, table
 *         11-1)
 * @lapic_timer_deadline_ns: machine-clock time of the APIC timer's next expiry, TIMER_NEVER when
 *         idle
 */
struct cpu_state {
	uint64_t gpr[CPU_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	struct cpu_segment seg[CPU_SEG_COUNT];
	struct cpu_segment ldt;
	struct cpu_segment tr;
	struct cpu_table gdt;
	struct cpu_table idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t efer;
	uint64_t xcr0;
	uint64_t dr[4], dr6, dr7;
	uint64_t apic_base;
	uint64_t tsc;
	uint8_t xsave[CPU_XSAVE_SIZE] __attribute__((aligned(64)));
	struct cpu_msr msrs[CPU_MSR_MAX];
	uint32_t msr_count;
	uint8_t mp_state;
	uint8_t sipi_vector;
	bool exception_pending;
	uint8_t exception_vector;
	bool exception_has_error;
	uint32_t exception_error;
	bool interrupt_pending;
	uint8_t interrupt_vector;
	bool nmi_pending;
	bool nmi_masked;
	bool interrupt_shadow;
	uint8_t lapic[1024];
	uint64_t lapic_timer_deadline_ns;
};

extern const struct state_table cpu_state_table;

/** cpu_state_reset() - the state after power-on or INIT (SDM vol. 3, table 10-1), @index 0 being
 *  the BSP.
 *  @family_model_stepping: what EDX holds, CPUID.1:EAX. */
void cpu_state_reset(struct cpu_state *state, unsigned int index, uint32_t family_model_stepping);

#endif
