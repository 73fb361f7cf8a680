/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of x87, MMX, SSE and AVX: who may execute what (SDM vol. 3, table 2-2 and 13.1), the
 * words whose bits a processor keeps or derives, MMX's aliasing of the x87 registers (SDM vol.
 * 1, 9.5), and taking the state in from outside.
 */

#include "softcpu/fpu.h"

void soft_refuse_sse(struct softcpu *cpu)
{
	if ((cpu->cr0 & FPU_CR0_EM) || !(cpu->cr4 & FPU_CR4_OSFXSR)) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_raise(cpu, SOFT_NM);
}

void soft_refuse_avx(struct softcpu *cpu)
{
	uint64_t needed = FPU_XCR0_SSE | FPU_XCR0_AVX;

	if (!(cpu->cr4 & FPU_CR4_OSXSAVE) || (cpu->xcr0 & needed) != needed) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_raise(cpu, SOFT_NM);
}

void soft_fpu_pending(struct softcpu *cpu)
{
	if (cpu->cr0 & FPU_CR0_NE) {
		soft_raise(cpu, SOFT_MF);
	}
	/*
	 * As on a PC, FERR# becomes IRQ 13. Its handler runs before the next instruction when
	 * interrupts are on; a real CPU would wait for it here for ever when they are off.
	 */
	if (cpu->ferr) {
		cpu->ferr(cpu);
	}
}

void soft_check_x87(struct softcpu *cpu, bool waiting)
{
	if (LIMEN_UNLIKELY(cpu->cr0 & (FPU_CR0_EM | FPU_CR0_TS))) {
		soft_raise(cpu, SOFT_NM);
	}
	if (waiting && LIMEN_UNLIKELY(soft_fpu(cpu)->fsw & FSW_ES)) {
		soft_fpu_pending(cpu);
	}
}

void soft_check_mmx(struct softcpu *cpu)
{
	if (LIMEN_UNLIKELY(cpu->cr0 & (FPU_CR0_EM | FPU_CR0_TS))) {
		soft_raise(cpu, cpu->cr0 & FPU_CR0_EM ? SOFT_UD : SOFT_NM);
	}
	if (LIMEN_UNLIKELY(soft_fpu(cpu)->fsw & FSW_ES)) {
		soft_fpu_pending(cpu);
	}
}

void soft_fpu_set_top(struct soft_fpu *fpu, unsigned int top)
{
	unsigned int shift = (top - soft_fpu_top(fpu)) & 7;
	uint8_t st[8][16];

	for (unsigned int i = 0; i < 8; i++) {
		memcpy(st[i], fpu->st[(i + shift) & 7], 16);
	}
	memcpy(fpu->st, st, sizeof(st));
	fpu->fsw = (uint16_t)((fpu->fsw & ~FSW_TOP) | top << FSW_TOP_SHIFT);
}

void soft_mmx_enter(struct softcpu *cpu)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	if (fpu->fsw & FSW_TOP) {
		soft_fpu_set_top(fpu, 0);
	}
	fpu->ftw = 0xff;
}

void soft_fpu_init(struct softcpu *cpu)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	soft_fpu_set_top(fpu, 0);
	fpu->fcw = FCW_INIT;
	fpu->fsw = 0;
	fpu->ftw = 0;
	fpu->fop = 0;
	fpu->fip = 0;
	fpu->fdp = 0;
	cpu->fpu_cs = 0;
	cpu->fpu_ds = 0;
}

uint16_t soft_fcw_load(uint16_t value)
{
	return (value & 0x1f3f) | 0x40;
}

uint16_t soft_fsw_load(uint16_t fcw, uint16_t value)
{
	value &= (uint16_t) ~(FSW_ES | FSW_BUSY);
	if (value & ~fcw & FSW_EXCEPTIONS) {
		value |= FSW_ES | FSW_BUSY;
	}
	return value;
}

uint32_t soft_mxcsr_mask(struct softcpu *cpu)
{
	uint32_t mask = 0xffff;

	if (cpu_model_has(cpu->model, 0x80000001, 0, 2, 7)) {
		mask |= MXCSR_MISALIGNED;
	}
	return mask;
}

uint64_t fpu_operand_address(struct softcpu *cpu, const struct soft_op *op, uint64_t ea)
{
	if (cpu->mode == SOFT_MODE_64 || op->seg >= CPU_SEG_COUNT) {
		return op->seg == CPU_FS || op->seg == CPU_GS ? cpu->seg[op->seg].base + ea : ea;
	}
	return (uint32_t)(cpu->seg[op->seg].base + ea);
}

void soft_check_aligned(struct softcpu *cpu, const struct soft_op *op, uint64_t ea, size_t size)
{
	if (fpu_operand_address(cpu, op, ea) & (size - 1)) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
}

void soft_fpu_import(struct softcpu *cpu)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	if (!(fpu->xstate_bv & FPU_XCR0_X87)) {
		soft_fpu_init(cpu);
		memset(fpu->st, 0, sizeof(fpu->st));
	}
	if (!(fpu->xstate_bv & FPU_XCR0_SSE)) {
		memset(fpu->xmm, 0, sizeof(fpu->xmm));
	}
	if (!(fpu->xstate_bv & FPU_XCR0_AVX)) {
		memset(fpu->ymm_hi, 0, sizeof(fpu->ymm_hi));
	}
	fpu->fcw = soft_fcw_load(fpu->fcw);
	fpu->fsw = soft_fsw_load(fpu->fcw, fpu->fsw);
	fpu->reserved = 0;
	fpu->mxcsr_mask = soft_mxcsr_mask(cpu);
	fpu->mxcsr &= fpu->mxcsr_mask;
	for (unsigned int i = 0; i < 8; i++) {
		memset(fpu->st[i] + 10, 0, 6);
	}
	fpu->xstate_bv = FPU_XCR0_X87 | FPU_XCR0_SSE | FPU_XCR0_AVX;
	fpu->xcomp_bv = 0;
	cpu->fpu_cs = 0;
	cpu->fpu_ds = 0;
}
