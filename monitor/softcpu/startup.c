/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INIT and start-up IPIs. Intel SDM vol. 3, 9.4 and 10.1.1 to 10.1.4 (table 10-1: what INIT
 * changes; caches, x87, SSE and AVX state, TSC and most MSRs it leaves alone).
 */

#include "softcpu/system.h"

static void init_segments(struct softcpu *cpu)
{
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		cpu->seg[i] = (struct cpu_segment){ .limit = 0xffff, .attr = 0x93 };
	}
	cpu->seg[CPU_CS] = (struct cpu_segment){
		.base = 0xffff0000,
		.limit = 0xffff,
		.attr = 0x9b,
		.selector = 0xf000,
	};
	cpu->ldt = (struct cpu_segment){ .limit = 0xffff, .attr = 0x82 };
	cpu->tr = (struct cpu_segment){ .limit = 0xffff, .attr = 0x8b };
	cpu->gdt = (struct cpu_table){ .limit = 0xffff };
	cpu->idt = (struct cpu_table){ .limit = 0xffff };
}

void soft_take_init(struct softcpu *cpu)
{
	bool bsp = lapic_base(cpu->lapic) & APIC_BASE_BSP;
	uint32_t regs[4];

	cpu_model_cpuid(cpu->model, cpu->index, 1, 0, 0, 1, regs);
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[CPU_RDX] = regs[0];
	cpu->rip = 0xfff0;
	cpu->next_rip = cpu->rip;
	cpu->rflags = 2;
	init_segments(cpu);
	cpu->cr0 = (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	cpu->cr2 = 0;
	cpu->cr3 = 0;
	cpu->cr4 = 0;
	cpu->efer = 0;
	memset(cpu->dr, 0, sizeof(cpu->dr));
	cpu->dr6 = DR6_FIXED;
	cpu->dr7 = DR7_FIXED;
	cpu->nmi_masked = false;
	cpu->nmi_pending = false;
	cpu->interrupt_shadow = false;
	cpu->halted = false;
	cpu->event_external = false;
	lapic_reset(cpu->lapic);
	cpu->mp_state = bsp ? CPU_MP_RUNNING : CPU_MP_WAIT_SIPI;
	soft_update_mode(cpu);
}

void soft_take_sipi(struct softcpu *cpu, uint8_t vector)
{
	cpu->seg[CPU_CS].selector = (uint16_t)(vector << 8);
	cpu->seg[CPU_CS].base = (uint64_t)vector << 12;
	cpu->rip = 0;
	cpu->next_rip = 0;
	cpu->mp_state = CPU_MP_RUNNING;
	soft_update_mode(cpu);
}
