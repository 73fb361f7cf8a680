/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector instructions, executed by thunks: MMX, SSE to SSE4.2, AES, PCLMULQDQ, SHA, AVX, AVX2, FMA,
 * F16C and the general-register instructions of BMI and ADX. What every one of them needs around
 * its machine code is here: who may execute it, the alignment of its operand, the operand's way
 * through a bounce buffer (so that all faults come before any change), and floating-point
 * exceptions.
 *
 * SSE exceptions (SDM vol. 1, 11.5 and appendix E): the instruction runs with the guest's MXCSR but
 * all exceptions masked. If it raises a flag that the guest has unmasked, nothing that it stored
 * stays. Underflow differs between the two: masked, it needs an inexact result, unmasked, tininess
 * is enough. So where the guest has it unmasked, flush-to-zero is on, which reports every tiny
 * result.
 *
 * Not exact in three corners of unmasked exceptions: the precision flag beside an unmasked overflow
 * or underflow is that of the masked result, which can be inexact where the result with an
 * unbounded exponent is not; DPPS and DPPD, which round in several steps, report the flags of all
 * or none of the later ones; and VCVTPS2PH, which knows no flush-to-zero, underflows only when
 * inexact.
 */

#include <immintrin.h>

#include "softcpu/fpu.h"
#include "softcpu/thunk.h"

#define VECTOR_MAX_OPERAND 32
#define MXCSR_HOST 0x1f80 /* the monitor's own, everywhere */

/* Exceptions that are found before a result is computed: these alone are reported when one is
 * unmasked. */
#define MXCSR_BEFORE 0x07

static inline void read_operand(struct softcpu *cpu, const struct soft_op *op, uint64_t ea,
				uint8_t *mem, unsigned int size)
{
	switch (size) {
	case 4: store_le32(mem, soft_read_u32(cpu, op->seg, ea)); break;
	case 8: store_le64(mem, soft_read_u64(cpu, op->seg, ea)); break;
	default: soft_read_bytes(cpu, op->seg, ea, mem, size); break;
	}
}

static inline void write_operand(struct softcpu *cpu, const struct soft_op *op, uint64_t ea,
				 const uint8_t *mem, unsigned int size)
{
	switch (size) {
	case 4: soft_write_u32(cpu, op->seg, ea, load_le32(mem)); break;
	case 8: soft_write_u64(cpu, op->seg, ea, load_le64(mem)); break;
	default: soft_write_bytes(cpu, op->seg, ea, mem, size); break;
	}
}

static __attribute__((noinline)) void misaligned(struct softcpu *cpu,
						 const struct soft_thunk *thunk)
{
	if (!(thunk->flags & THUNK_MISALIGN_OK) || !(soft_fpu(cpu)->mxcsr & MXCSR_MISALIGNED)) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
}

/* Run once with all exceptions masked. Return: the flags that it raised. */
static uint32_t run_masked(struct softcpu *cpu, const struct soft_thunk *thunk, void *mem,
			   uint32_t control)
{
	uint32_t raised;

	_mm_setcsr((control | MXCSR_MASKS) & ~(uint32_t)MXCSR_FLAGS);
	thunk->code(cpu, mem);
	raised = _mm_getcsr() & MXCSR_FLAGS;
	_mm_setcsr(MXCSR_HOST);
	return raised;
}

/* What must be as it was when an exception is raised. */
struct saved_state {
	struct soft_fpu fpu;
	uint64_t gpr[CPU_GPR_COUNT];
	uint64_t rflags;
};

static void save_state(struct softcpu *cpu, struct saved_state *saved)
{
	saved->fpu = *soft_fpu(cpu);
	memcpy(saved->gpr, cpu->gpr, sizeof(saved->gpr));
	saved->rflags = cpu->rflags;
}

static void restore_state(struct softcpu *cpu, const struct saved_state *saved)
{
	*soft_fpu(cpu) = saved->fpu;
	memcpy(cpu->gpr, saved->gpr, sizeof(saved->gpr));
	cpu->rflags = saved->rflags;
}

static __attribute__((noinline)) void run_unmasked(struct softcpu *cpu,
						   const struct soft_thunk *thunk, void *mem)
{
	struct soft_fpu *fpu = soft_fpu(cpu);
	uint32_t control = fpu->mxcsr;
	uint32_t enabled = ~(control >> 7) & MXCSR_FLAGS;
	struct saved_state saved;
	uint32_t raised;

	save_state(cpu, &saved);
	if (enabled & MXCSR_UNDERFLOW) {
		raised = run_masked(cpu, thunk, mem, control | MXCSR_FTZ);
	} else {
		raised = run_masked(cpu, thunk, mem, control);
	}
	if (!(raised & enabled)) {
		fpu->mxcsr |= raised;
		return;
	}
	restore_state(cpu, &saved);
	if (raised & enabled & MXCSR_UNDERFLOW) {
		/* Flushing to zero is always inexact; what it would be without is not. */
		raised &= run_masked(cpu, thunk, mem, control & ~(uint32_t)MXCSR_FTZ) |
			  ~(uint32_t)MXCSR_PRECISION;
		restore_state(cpu, &saved);
	}
	fpu->mxcsr |= raised & enabled & MXCSR_BEFORE ? raised & MXCSR_BEFORE : raised;
	soft_raise(cpu, cpu->cr4 & FPU_CR4_OSXMMEXCPT ? SOFT_XM : SOFT_UD);
}

static inline void run_float(struct softcpu *cpu, const struct soft_thunk *thunk, void *mem)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	if (LIMEN_UNLIKELY((fpu->mxcsr & MXCSR_MASKS) != MXCSR_MASKS)) {
		run_unmasked(cpu, thunk, mem);
		return;
	}
	_mm_setcsr(fpu->mxcsr);
	thunk->code(cpu, mem);
	fpu->mxcsr = _mm_getcsr();
	_mm_setcsr(MXCSR_HOST);
}

static inline void check_allowed(struct softcpu *cpu, uint32_t flags)
{
	if (flags & THUNK_XMM) {
		if (flags & THUNK_VEX) {
			soft_check_avx(cpu);
		} else {
			soft_check_sse(cpu);
		}
	}
	if (flags & THUNK_MMX) {
		soft_check_mmx(cpu);
	}
}

/* @flags are those of the thunk; a constant where a function is made for them. */
static inline __attribute__((always_inline)) void execute(struct softcpu *cpu,
							  const struct soft_op *op, uint32_t flags)
{
	const struct soft_thunk *thunk = op->aux;
	uint8_t mem[VECTOR_MAX_OPERAND] __attribute__((aligned(32)));
	uint64_t ea = 0;

	check_allowed(cpu, flags);
	if (flags & (THUNK_READS | THUNK_WRITES)) {
		ea = soft_ea(cpu, op);
		if (thunk->align_mask &&
		    LIMEN_UNLIKELY(fpu_operand_address(cpu, op, ea) & thunk->align_mask)) {
			misaligned(cpu, thunk);
		}
	}
	if (flags & THUNK_READS) {
		read_operand(cpu, op, ea, mem, thunk->mem_size);
	}
	if ((flags & THUNK_WRITES) && (flags & (THUNK_FP | THUNK_MMX))) {
		soft_check_write(cpu, op->seg, ea, thunk->mem_size);
	}
	if (flags & THUNK_MMX) {
		soft_mmx_enter(cpu);
	}
	if (flags & THUNK_FP) {
		run_float(cpu, thunk, mem);
	} else {
		thunk->code(cpu, mem);
	}
	if (flags & THUNK_WRITES) {
		write_operand(cpu, op, ea, mem, thunk->mem_size);
	}
}

#define DEFINE_EXECUTE(name, flags)                                     \
	static void name(struct softcpu *cpu, const struct soft_op *op) \
	{                                                               \
		execute(cpu, op, flags);                                \
	}

DEFINE_EXECUTE(execute_sse, THUNK_XMM)
DEFINE_EXECUTE(execute_sse_load, THUNK_XMM | THUNK_READS)
DEFINE_EXECUTE(execute_sse_store, THUNK_XMM | THUNK_WRITES)
DEFINE_EXECUTE(execute_sse_float, THUNK_XMM | THUNK_FP)
DEFINE_EXECUTE(execute_sse_float_load, THUNK_XMM | THUNK_FP | THUNK_READS)
DEFINE_EXECUTE(execute_avx, THUNK_VEX | THUNK_XMM)
DEFINE_EXECUTE(execute_avx_load, THUNK_VEX | THUNK_XMM | THUNK_READS)
DEFINE_EXECUTE(execute_avx_store, THUNK_VEX | THUNK_XMM | THUNK_WRITES)
DEFINE_EXECUTE(execute_avx_float, THUNK_VEX | THUNK_XMM | THUNK_FP)
DEFINE_EXECUTE(execute_avx_float_load, THUNK_VEX | THUNK_XMM | THUNK_FP | THUNK_READS)
DEFINE_EXECUTE(execute_mmx, THUNK_MMX)
DEFINE_EXECUTE(execute_mmx_load, THUNK_MMX | THUNK_READS)
DEFINE_EXECUTE(execute_gpr, 0)

static void execute_any(struct softcpu *cpu, const struct soft_op *op)
{
	execute(cpu, op, ((const struct soft_thunk *)op->aux)->flags);
}

static soft_fn function_for(uint32_t flags)
{
	static const struct {
		uint32_t flags;
		soft_fn fn;
	} table[] = {
		{ THUNK_XMM, execute_sse },
		{ THUNK_XMM | THUNK_READS, execute_sse_load },
		{ THUNK_XMM | THUNK_WRITES, execute_sse_store },
		{ THUNK_XMM | THUNK_FP, execute_sse_float },
		{ THUNK_XMM | THUNK_FP | THUNK_READS, execute_sse_float_load },
		{ THUNK_VEX | THUNK_XMM, execute_avx },
		{ THUNK_VEX | THUNK_XMM | THUNK_READS, execute_avx_load },
		{ THUNK_VEX | THUNK_XMM | THUNK_WRITES, execute_avx_store },
		{ THUNK_VEX | THUNK_XMM | THUNK_FP, execute_avx_float },
		{ THUNK_VEX | THUNK_XMM | THUNK_FP | THUNK_READS, execute_avx_float_load },
		{ THUNK_MMX, execute_mmx },
		{ THUNK_MMX | THUNK_READS, execute_mmx_load },
		{ 0, execute_gpr },
		{ THUNK_VEX, execute_gpr },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].flags == (flags & ~(uint32_t)THUNK_MISALIGN_OK)) {
			return table[i].fn;
		}
	}
	return execute_any;
}

static bool is_legacy_gpr(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_POPCNT:
	case ZYDIS_MNEMONIC_LZCNT:
	case ZYDIS_MNEMONIC_TZCNT:
	case ZYDIS_MNEMONIC_ADCX:
	case ZYDIS_MNEMONIC_ADOX: return true;
	default: return false;
	}
}

static bool bind_thunk(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	struct thunk_key key;
	struct thunk_plan plan;

	if (!soft_thunk_plan(insn, &key, &plan) || (plan.flags & THUNK_X87) ||
	    plan.mem_size > VECTOR_MAX_OPERAND) {
		return false;
	}
	if (!(plan.flags & (THUNK_XMM | THUNK_MMX | THUNK_VEX)) &&
	    !is_legacy_gpr(insn->zydis.mnemonic)) {
		return false;
	}
	if (!soft_thunk_bind(cpu, &key, &plan, op)) {
		return false;
	}
	if (op->aux) {
		op->fn = function_for(plan.flags);
		op->kind = plan.flags_in | plan.flags_out ? SOFT_CALL_FULL : SOFT_CALL_PLAIN;
	}
	return true;
}

bool soft_bind_vector(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	if (!soft_isa_allowed(cpu, insn->zydis.meta.isa_set)) {
		return false;
	}
	if (insn->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
	    insn->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) {
		return false;
	}
	return soft_bind_vector_move(insn, op) || soft_bind_vector_state(insn, op) ||
	       soft_bind_x87(cpu, insn, op) || soft_bind_bmi(insn, op) ||
	       soft_bind_xsave(insn, op) || soft_bind_vector_masked(insn, op) ||
	       bind_thunk(cpu, insn, op);
}
