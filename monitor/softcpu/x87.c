/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 arithmetic, executed by the host's x87: the thunk loads the guest's whole x87 state with its
 * own control word, executes the instruction and saves the state with FXSAVE, which does not wait.
 * An exception that the guest has unmasked is then pending in the saved state and in the host's
 * registers, from where it is cleared before anything waits for it; so results, status and stack
 * are the processor's own in every case (SDM vol. 1, 8.1 to 8.5). What an instruction stores to
 * memory goes through a buffer; with an unmasked exception other than precision there was no store.
 *
 * The instruction and data pointers are kept here, as in the host they are the thunk's: by every
 * instruction but control ones, except that newer Intel processors note them only with an unmasked
 * exception (CPUID.7.EBX[6] for the data pointer; SDM vol. 1, 8.1.8 and 8.1.9).
 */

#include "softcpu/thunk.h"
#include "softcpu/x87.h"

#define FSW_PRECISION 0x20
#define MXCSR_HOST 0x1f80

/* What a thunk's RSI points to: the memory operand, and where it saves the state (thunk.c). */
struct x87_frame {
	uint8_t mem[THUNK_X87_IMAGE];
	struct soft_fpu image; /* without AVX */
} __attribute__((aligned(64)));

void x87_note_pointers(struct softcpu *cpu, const struct soft_op *op, uint64_t ea, uint16_t fsw)
{
	struct soft_fpu *fpu = soft_fpu(cpu);
	bool always = (fsw & FSW_ES) || cpu_model_vendor_is_amd(cpu->model);

	fpu->fip = cpu->gpr[SOFT_REG_BLOCK] + op->offset;
	cpu->fpu_cs = cpu->seg[CPU_CS].selector;
	if (always) {
		fpu->fop = (uint16_t)op->imm;
	}
	if (op->has_mem && (always || !cpu_model_has(cpu->model, 7, 0, 1, 6))) {
		fpu->fdp = ea;
		cpu->fpu_ds = op->seg < CPU_SEG_COUNT ? cpu->seg[op->seg].selector : 0;
	}
}

void x87_raised(struct softcpu *cpu)
{
	if (!(cpu->cr0 & FPU_CR0_NE) && cpu->ferr) {
		cpu->ferr(cpu);
	}
}

/* Leave the host's x87 as C code expects it: empty, nothing pending. */
static void restore_host(const struct soft_fpu *image)
{
	uint16_t fcw = FCW_INIT;
	uint32_t mxcsr = MXCSR_HOST;

	if (image->fsw & FSW_ES) {
		__asm__ volatile("fnclex");
	}
	__asm__ volatile("emms\n\tfldcw %0\n\tldmxcsr %1" : : "m"(fcw), "m"(mxcsr));
}

static bool wrote_memory(const struct soft_fpu *image)
{
	return !(image->fsw & ~image->fcw & FSW_EXCEPTIONS & ~FSW_PRECISION);
}

/*
 * With CR0.NE clear an instruction may run while an exception is pending; the host must not see
 * that one.
 */
static void run(struct softcpu *cpu, const struct soft_thunk *thunk, struct x87_frame *frame)
{
	struct soft_fpu *fpu = soft_fpu(cpu);
	uint16_t fsw = fpu->fsw;

	if (fsw & FSW_ES) {
		fpu->fsw &= (uint16_t) ~(FSW_EXCEPTIONS | FSW_ES | FSW_BUSY);
	}
	thunk->code(cpu, frame);
	restore_host(&frame->image);
	fpu->fsw = fsw;
}

static void commit(struct softcpu *cpu, const struct soft_fpu *image)
{
	struct soft_fpu *fpu = soft_fpu(cpu);
	uint16_t pending = fpu->fsw & FSW_ES ? fpu->fsw & FSW_EXCEPTIONS : 0;

	fpu->fsw = soft_fsw_load(fpu->fcw, image->fsw | pending);
	fpu->ftw = image->ftw;
	memcpy(fpu->st, image->st, sizeof(fpu->st));
}

void x87_execute(struct softcpu *cpu, const struct soft_op *op)
{
	const struct soft_thunk *thunk = op->aux;
	struct x87_frame frame;
	const struct soft_fpu *image = &frame.image;
	uint64_t ea = 0;

	soft_check_x87(cpu, true);
	if (op->has_mem) {
		ea = soft_ea(cpu, op);
	}
	if (thunk->flags & THUNK_READS) {
		soft_read_bytes(cpu, op->seg, ea, frame.mem, thunk->mem_size);
	}
	if (thunk->flags & THUNK_WRITES) {
		soft_check_write(cpu, op->seg, ea, thunk->mem_size);
	}
	run(cpu, thunk, &frame);
	if ((thunk->flags & THUNK_WRITES) && wrote_memory(image)) {
		soft_write_bytes(cpu, op->seg, ea, frame.mem, thunk->mem_size);
	}
	commit(cpu, image);
	x87_note_pointers(cpu, op, ea, image->fsw);
	if (LIMEN_UNLIKELY(image->fsw & FSW_ES)) {
		x87_raised(cpu);
	}
}

static bool is_x87(const ZydisDecodedInstruction *zydis)
{
	return zydis->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
	       zydis->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
	       ((zydis->opcode >= 0xd8 && zydis->opcode <= 0xdf) || zydis->opcode == 0x9b);
}

bool soft_bind_x87(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	struct thunk_key key;
	struct thunk_plan plan;
	uint8_t modrm;

	if (!is_x87(&insn->zydis)) {
		return false;
	}
	if (x87_bind_control(insn, op)) {
		return true;
	}
	if (!soft_thunk_plan(insn, &key, &plan) || plan.mem_size > THUNK_X87_IMAGE) {
		return false;
	}
	plan.flags |= THUNK_X87;
	if (!soft_thunk_bind(cpu, &key, &plan, op)) {
		return false;
	}
	modrm = insn->bytes[insn->zydis.raw.modrm.offset];
	op->imm = (uint64_t)(insn->zydis.opcode & 7) << 8 | modrm;
	if (op->aux) {
		op->fn = x87_execute;
		op->kind = plan.flags_in | plan.flags_out ? SOFT_CALL_FULL : SOFT_CALL_PLAIN;
	}
	return true;
}
