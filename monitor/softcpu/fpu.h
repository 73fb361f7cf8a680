/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_FPU_H
#define LIMEN_SOFTCPU_FPU_H

/*
 * The x87, SSE and AVX registers of a software CPU, as they lie in softcpu.fpu (standard-format
 * XSAVE image, SDM vol. 1, 13.4), and what the files of the vector and x87 instructions share.
 * Inside the engine the image is always whole: a state component that a header says is in its
 * initial configuration is written out as such when a state is loaded (soft_fpu_import()).
 */

#include "softcpu/insn.h"
#include "softcpu/softcpu.h"

struct soft_thunk;

/** struct soft_fpu - softcpu.fpu; @st in the order of the stack, ST(0) first. */
struct soft_fpu {
	uint16_t fcw;
	uint16_t fsw;
	uint8_t ftw; /* one bit for each physical register that is not empty */
	uint8_t reserved;
	uint16_t fop;
	uint64_t fip;
	uint64_t fdp;
	uint32_t mxcsr;
	uint32_t mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t unused[96];
	uint64_t xstate_bv;
	uint64_t xcomp_bv;
	uint64_t header[6];
	uint8_t ymm_hi[16][16];
};

_Static_assert(offsetof(struct soft_fpu, xmm) == 160, "FXSAVE: XMM0");
_Static_assert(offsetof(struct soft_fpu, xstate_bv) == 512, "XSAVE: header");
_Static_assert(offsetof(struct soft_fpu, ymm_hi) == 576, "XSAVE: component 2");

/* Control registers and XCR0 as far as these instructions depend on them. */
enum {
	FPU_CR0_PE = 1 << 0,
	FPU_CR0_MP = 1 << 1,
	FPU_CR0_EM = 1 << 2,
	FPU_CR0_TS = 1 << 3,
	FPU_CR0_NE = 1 << 5,
	FPU_CR4_OSFXSR = 1 << 9,
	FPU_CR4_OSXMMEXCPT = 1 << 10,
	FPU_CR4_OSXSAVE = 1 << 18,
	FPU_XCR0_X87 = 1 << 0,
	FPU_XCR0_SSE = 1 << 1,
	FPU_XCR0_AVX = 1 << 2,
};

/* x87 status and control words, SDM vol. 1, 8.1.3 and 8.1.5; MXCSR, 10.2.3. */
enum {
	FSW_EXCEPTIONS = 0x3f,
	FSW_STACK_FAULT = 1 << 6,
	FSW_ES = 1 << 7,
	FSW_C0 = 1 << 8,
	FSW_C1 = 1 << 9,
	FSW_C2 = 1 << 10,
	FSW_TOP_SHIFT = 11,
	FSW_TOP = 7 << FSW_TOP_SHIFT,
	FSW_C3 = 1 << 14,
	FSW_BUSY = 1 << 15,
	FCW_INIT = 0x37f,
	MXCSR_FLAGS = 0x3f,
	MXCSR_DAZ = 1 << 6,
	MXCSR_MASKS = 0x1f80,
	MXCSR_INIT = 0x1f80,
	MXCSR_OVERFLOW = 1 << 3,
	MXCSR_UNDERFLOW = 1 << 4,
	MXCSR_PRECISION = 1 << 5,
	MXCSR_FTZ = 1 << 15,
	MXCSR_MISALIGNED = 1 << 17, /* AMD: misaligned operands are allowed */
};

static inline struct soft_fpu *soft_fpu(struct softcpu *cpu)
{
	return (struct soft_fpu *)cpu->fpu;
}

static inline unsigned int soft_fpu_top(const struct soft_fpu *fpu)
{
	return (fpu->fsw & FSW_TOP) >> FSW_TOP_SHIFT;
}

/* ------- who may execute (fpu.c); each raises #UD, #NM or #MF ------- */

_Noreturn void soft_refuse_sse(struct softcpu *cpu);
_Noreturn void soft_refuse_avx(struct softcpu *cpu);

static inline void soft_check_sse(struct softcpu *cpu)
{
	if (LIMEN_UNLIKELY((cpu->cr0 & (FPU_CR0_EM | FPU_CR0_TS)) ||
			   !(cpu->cr4 & FPU_CR4_OSFXSR))) {
		soft_refuse_sse(cpu);
	}
}

static inline void soft_check_avx(struct softcpu *cpu)
{
	uint64_t needed = FPU_XCR0_SSE | FPU_XCR0_AVX;

	if (LIMEN_UNLIKELY((cpu->cr0 & FPU_CR0_TS) || !(cpu->cr4 & FPU_CR4_OSXSAVE) ||
			   (cpu->xcr0 & needed) != needed)) {
		soft_refuse_avx(cpu);
	}
}

/** soft_check_x87() - @waiting: a pending exception is raised. soft_check_mmx() also refuses CR0.EM
 * with #UD. */
void soft_check_x87(struct softcpu *cpu, bool waiting);
void soft_check_mmx(struct softcpu *cpu);
/** soft_fpu_pending() - #MF, or FERR# with CR0.NE clear; the status word has ES set. */
void soft_fpu_pending(struct softcpu *cpu);

/** soft_mmx_enter() - TOP 0 and every register valid, as each MMX instruction leaves them.
 */
void soft_mmx_enter(struct softcpu *cpu);

/** soft_fpu_set_top() - change TOP; the registers, which lie in the order of the stack, move. */
void soft_fpu_set_top(struct soft_fpu *fpu, unsigned int top);

/** soft_fpu_init() - FNINIT. */
void soft_fpu_init(struct softcpu *cpu);

/** soft_fcw_load()/soft_fsw_load() - the words as a processor keeps them: fixed bits, ES and B by
 * the masks. */
uint16_t soft_fcw_load(uint16_t value);
uint16_t soft_fsw_load(uint16_t fcw, uint16_t value);

/** soft_mxcsr_mask() - the bits of MXCSR that exist. */
uint32_t soft_mxcsr_mask(struct softcpu *cpu);

/** fpu_operand_address() - linear address of the memory operand, for alignment checks. */
uint64_t fpu_operand_address(struct softcpu *cpu, const struct soft_op *op, uint64_t ea);

/** soft_check_aligned() - #GP unless the memory operand is aligned to @size, a power of two. */
void soft_check_aligned(struct softcpu *cpu, const struct soft_op *op, uint64_t ea, size_t size);

/* ------- features (feature.c) ------- */

/** soft_isa_allowed() - whether the model offers an instruction set and the host can execute it. */
bool soft_isa_allowed(struct softcpu *cpu, ZydisISASet isa_set);

/* ------- binding: each file its mnemonics; false: not one of its own ------- */

bool soft_bind_x87(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_xsave(const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_bmi(const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_vector_move(const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_vector_masked(const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_vector_state(const struct soft_insn *insn, struct soft_op *op);

#endif
