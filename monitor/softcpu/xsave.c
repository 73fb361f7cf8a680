/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FXSAVE, FXRSTOR and the XSAVE family, SDM vol. 1, 10.5 and chapter 13: state components x87, SSE
 * and AVX, for which the compacted and the standard format have the same layout. XINUSE is what the
 * registers hold: a component counts as in use when it is not in its initial configuration. The
 * modified optimization is not done, as software cannot rely on it. XSAVES and XRSTORS are not
 * offered.
 *
 * AMD's processors save the x87 pointers only while an exception is pending (AMD vol. 2, 11.4.4),
 * else zeros; and with EFER.FFXSR leave XMM out of FXSAVE and FXRSTOR in the kernel.
 */

#include "softcpu/fpu.h"

#define EFER_FFXSR BIT(14)
#define XCOMP_COMPACTED BIT(63)
#define LEGACY_SIZE 512
#define HEADER_SIZE 64
#define AVX_OFFSET 576
#define X87_HEAD 24	 /* before MXCSR */
#define X87_REGISTERS 32 /* their offset */

/* op->aux_value */
enum xsave_form {
	FORM_WIDE = 1 << 0,	 /* REX.W: 64-bit pointers */
	FORM_OPTIMIZED = 1 << 1, /* components in their initial configuration are not written */
	FORM_COMPACTED = 1 << 2,
};

static unsigned int register_count(const struct softcpu *cpu)
{
	return cpu->mode == SOFT_MODE_64 ? 16 : 8;
}

static bool all_zero(const void *p, size_t size)
{
	const uint8_t *bytes = p;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

uint64_t soft_fpu_in_use(struct softcpu *cpu)
{
	const struct soft_fpu *fpu = soft_fpu(cpu);
	uint64_t in_use = 0;

	if (fpu->fcw != FCW_INIT || fpu->fsw || fpu->ftw || fpu->fop || fpu->fip || fpu->fdp ||
	    !all_zero(fpu->st, sizeof(fpu->st))) {
		in_use |= FPU_XCR0_X87;
	}
	if (!all_zero(fpu->xmm, sizeof(fpu->xmm))) {
		in_use |= FPU_XCR0_SSE;
	}
	if (!all_zero(fpu->ymm_hi, sizeof(fpu->ymm_hi))) {
		in_use |= FPU_XCR0_AVX;
	}
	return in_use & cpu->xcr0;
}

/* ------- the x87 part ------- */

static void store_x87(struct softcpu *cpu, uint8_t *image, bool wide)
{
	const struct soft_fpu *fpu = soft_fpu(cpu);
	bool pointers = (fpu->fsw & FSW_ES) || !cpu_model_vendor_is_amd(cpu->model);
	bool selectors = pointers && !cpu_model_has(cpu->model, 7, 0, 1, 13);

	store_le16(image, fpu->fcw);
	store_le16(image + 2, fpu->fsw);
	image[4] = fpu->ftw;
	image[5] = 0;
	store_le16(image + 6, pointers ? fpu->fop & 0x7ff : 0);
	if (wide) {
		store_le64(image + 8, pointers ? fpu->fip : 0);
		store_le64(image + 16, pointers ? fpu->fdp : 0);
	} else {
		store_le32(image + 8, pointers ? (uint32_t)fpu->fip : 0);
		store_le32(image + 12, selectors ? cpu->fpu_cs : 0);
		store_le32(image + 16, pointers ? (uint32_t)fpu->fdp : 0);
		store_le32(image + 20, selectors ? cpu->fpu_ds : 0);
	}
	memcpy(image + X87_REGISTERS, fpu->st, sizeof(fpu->st));
}

/* Address bits that no processor has are not kept: 57 are. */
static uint64_t load_pointer(const uint8_t *image)
{
	return (uint64_t)((int64_t)(load_le64(image) << 7) >> 7);
}

static void load_x87(struct softcpu *cpu, const uint8_t *image, bool wide)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	fpu->fcw = soft_fcw_load(load_le16(image));
	fpu->fsw = soft_fsw_load(fpu->fcw, load_le16(image + 2));
	fpu->ftw = image[4];
	fpu->fop = load_le16(image + 6) & 0x7ff;
	if (wide) {
		fpu->fip = load_pointer(image + 8);
		fpu->fdp = load_pointer(image + 16);
	} else {
		fpu->fip = load_le32(image + 8);
		fpu->fdp = load_le32(image + 16);
	}
	cpu->fpu_cs = wide ? 0 : load_le16(image + 12);
	cpu->fpu_ds = wide ? 0 : load_le16(image + 20);
	memcpy(fpu->st, image + X87_REGISTERS, sizeof(fpu->st));
	for (unsigned int i = 0; i < 8; i++) {
		memset(fpu->st[i] + 10, 0, 6);
	}
}

static void check_mxcsr(struct softcpu *cpu, const uint8_t *image)
{
	if (load_le32(image + X87_HEAD) & ~soft_mxcsr_mask(cpu)) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
}

static void store_mxcsr(struct softcpu *cpu, uint8_t *image)
{
	store_le32(image + X87_HEAD, soft_fpu(cpu)->mxcsr);
	store_le32(image + X87_HEAD + 4, soft_mxcsr_mask(cpu));
}

/* ------- FXSAVE, FXRSTOR ------- */

static void check_fxsave(struct softcpu *cpu, const struct soft_op *op, uint64_t ea)
{
	if (cpu->cr0 & (FPU_CR0_EM | FPU_CR0_TS)) {
		soft_raise(cpu, SOFT_NM);
	}
	soft_check_aligned(cpu, op, ea, 16);
}

static bool fast_fxsave(const struct softcpu *cpu)
{
	return (cpu->efer & EFER_FFXSR) && cpu->cpl == 0 && cpu->mode == SOFT_MODE_64;
}

static void fxsave(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);
	uint8_t image[LEGACY_SIZE];
	size_t xmm_size = fast_fxsave(cpu) ? 0 : 16 * register_count(cpu);

	check_fxsave(cpu, op, ea);
	store_x87(cpu, image, op->aux_value & FORM_WIDE);
	store_mxcsr(cpu, image);
	memcpy(image + offsetof(struct soft_fpu, xmm), soft_fpu(cpu)->xmm, xmm_size);
	soft_write_bytes(cpu, op->seg, ea, image, offsetof(struct soft_fpu, xmm) + xmm_size);
}

static void fxrstor(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);
	uint8_t image[LEGACY_SIZE];
	size_t xmm_size = fast_fxsave(cpu) ? 0 : 16 * register_count(cpu);

	check_fxsave(cpu, op, ea);
	soft_read_bytes(cpu, op->seg, ea, image, sizeof(image));
	check_mxcsr(cpu, image);
	load_x87(cpu, image, op->aux_value & FORM_WIDE);
	soft_fpu(cpu)->mxcsr = load_le32(image + X87_HEAD);
	memcpy(soft_fpu(cpu)->xmm, image + offsetof(struct soft_fpu, xmm), xmm_size);
}

/* ------- XSAVE, XSAVEOPT, XSAVEC ------- */

static void check_xsave(struct softcpu *cpu, const struct soft_op *op, uint64_t ea)
{
	if (!(cpu->cr4 & FPU_CR4_OSXSAVE)) {
		soft_raise(cpu, SOFT_UD);
	}
	if (cpu->cr0 & FPU_CR0_TS) {
		soft_raise(cpu, SOFT_NM);
	}
	soft_check_aligned(cpu, op, ea, 64);
}

static uint64_t requested(const struct softcpu *cpu)
{
	return ((uint32_t)cpu->gpr[CPU_RAX] | cpu->gpr[CPU_RDX] << 32) & cpu->xcr0;
}

static void write_part(struct softcpu *cpu, const struct soft_op *op, uint64_t ea,
		       const uint8_t *image, size_t offset, size_t size)
{
	soft_write_bytes(cpu, op->seg, ea + offset, image + offset, size);
}

static void write_components(struct softcpu *cpu, const struct soft_op *op, uint64_t ea,
			     uint64_t components, bool mxcsr)
{
	const struct soft_fpu *fpu = soft_fpu(cpu);
	size_t vector_size = 16 * register_count(cpu);
	uint8_t image[LEGACY_SIZE];

	if (components & FPU_XCR0_X87) {
		store_x87(cpu, image, op->aux_value & FORM_WIDE);
		write_part(cpu, op, ea, image, 0, X87_HEAD);
		write_part(cpu, op, ea, image, X87_REGISTERS, sizeof(fpu->st));
	}
	if (mxcsr) {
		store_mxcsr(cpu, image);
		write_part(cpu, op, ea, image, X87_HEAD, 8);
	}
	if (components & FPU_XCR0_SSE) {
		soft_write_bytes(cpu, op->seg, ea + offsetof(struct soft_fpu, xmm), fpu->xmm,
				 vector_size);
	}
	if (components & FPU_XCR0_AVX) {
		soft_write_bytes(cpu, op->seg, ea + AVX_OFFSET, fpu->ymm_hi, vector_size);
	}
}

static void xsave(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);
	uint64_t mask = requested(cpu);
	uint64_t in_use = soft_fpu_in_use(cpu) & mask;
	bool mxcsr = mask & (FPU_XCR0_SSE | FPU_XCR0_AVX);
	uint64_t components = mask;
	uint8_t header[16];
	size_t header_size = 8;

	check_xsave(cpu, op, ea);
	if (op->aux_value & FORM_COMPACTED) {
		if ((mask & FPU_XCR0_SSE) && soft_fpu(cpu)->mxcsr != MXCSR_INIT) {
			in_use |= FPU_XCR0_SSE;
		}
		mxcsr = in_use & FPU_XCR0_SSE;
		header_size = 16;
	}
	soft_check_write(cpu, op->seg, ea,
			 AVX_OFFSET + (mask & FPU_XCR0_AVX ? 16 * register_count(cpu) : 0));
	soft_read_bytes(cpu, op->seg, ea + LEGACY_SIZE, header, 8);
	if (op->aux_value & FORM_OPTIMIZED) {
		components = in_use;
	}
	store_le64(header,
		   (op->aux_value & FORM_COMPACTED ? 0 : load_le64(header) & ~mask) | in_use);
	store_le64(header + 8, mask | XCOMP_COMPACTED);
	write_components(cpu, op, ea, components, mxcsr);
	soft_write_bytes(cpu, op->seg, ea + LEGACY_SIZE, header, header_size);
}

/* ------- XRSTOR ------- */

/* SDM vol. 1, 13.8.1 and 13.8.2: what the header must not hold. */
static bool header_valid(const struct softcpu *cpu, const uint8_t *header)
{
	uint64_t xstate_bv = load_le64(header);
	uint64_t xcomp_bv = load_le64(header + 8);

	if (!(xcomp_bv & XCOMP_COMPACTED)) {
		return !(xstate_bv & ~cpu->xcr0) && all_zero(header + 8, 16);
	}
	if (!cpu_model_has(cpu->model, 0xd, 1, 0, 1)) {
		return false;
	}
	return !(xcomp_bv & ~XCOMP_COMPACTED & ~cpu->xcr0) && !(xstate_bv & ~xcomp_bv) &&
	       all_zero(header + 16, HEADER_SIZE - 16);
}

static void load_sse(struct softcpu *cpu, const uint8_t *image, bool present)
{
	size_t size = 16 * register_count(cpu);

	if (present) {
		memcpy(soft_fpu(cpu)->xmm, image + offsetof(struct soft_fpu, xmm), size);
	} else {
		memset(soft_fpu(cpu)->xmm, 0, size);
	}
}

static void reset_x87(struct softcpu *cpu)
{
	soft_fpu_init(cpu);
	memset(soft_fpu(cpu)->st, 0, sizeof(soft_fpu(cpu)->st));
}

static void xrstor(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);
	uint64_t mask = requested(cpu);
	uint8_t image[AVX_OFFSET + 256] = { 0 };
	size_t vector_size = 16 * register_count(cpu);
	uint64_t present;
	bool compacted;
	bool load_mxcsr;

	check_xsave(cpu, op, ea);
	soft_read_bytes(cpu, op->seg, ea, image, AVX_OFFSET);
	if (!header_valid(cpu, image + LEGACY_SIZE)) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	present = load_le64(image + LEGACY_SIZE) & mask;
	compacted = load_le64(image + LEGACY_SIZE + 8) & XCOMP_COMPACTED;
	if (present & FPU_XCR0_AVX) {
		soft_read_bytes(cpu, op->seg, ea + AVX_OFFSET, image + AVX_OFFSET, vector_size);
	}
	load_mxcsr = compacted ? present & FPU_XCR0_SSE : mask & (FPU_XCR0_SSE | FPU_XCR0_AVX);
	if (load_mxcsr) {
		check_mxcsr(cpu, image);
	}
	if (present & FPU_XCR0_X87) {
		load_x87(cpu, image, op->aux_value & FORM_WIDE);
	} else if (mask & FPU_XCR0_X87) {
		reset_x87(cpu);
	}
	if (load_mxcsr) {
		soft_fpu(cpu)->mxcsr = load_le32(image + X87_HEAD);
	} else if (compacted && (mask & FPU_XCR0_SSE)) {
		soft_fpu(cpu)->mxcsr = MXCSR_INIT;
	}
	if (mask & FPU_XCR0_SSE) {
		load_sse(cpu, image, present & FPU_XCR0_SSE);
	}
	if (mask & FPU_XCR0_AVX) {
		memcpy(soft_fpu(cpu)->ymm_hi, image + AVX_OFFSET, vector_size);
	}
}

static const struct {
	ZydisMnemonic mnemonic;
	soft_fn fn;
	uint64_t form;
} instructions[] = {
	{ ZYDIS_MNEMONIC_FXSAVE, fxsave, 0 },
	{ ZYDIS_MNEMONIC_FXSAVE64, fxsave, FORM_WIDE },
	{ ZYDIS_MNEMONIC_FXRSTOR, fxrstor, 0 },
	{ ZYDIS_MNEMONIC_FXRSTOR64, fxrstor, FORM_WIDE },
	{ ZYDIS_MNEMONIC_XSAVE, xsave, 0 },
	{ ZYDIS_MNEMONIC_XSAVE64, xsave, FORM_WIDE },
	{ ZYDIS_MNEMONIC_XSAVEOPT, xsave, FORM_OPTIMIZED },
	{ ZYDIS_MNEMONIC_XSAVEOPT64, xsave, FORM_OPTIMIZED | FORM_WIDE },
	{ ZYDIS_MNEMONIC_XSAVEC, xsave, FORM_OPTIMIZED | FORM_COMPACTED },
	{ ZYDIS_MNEMONIC_XSAVEC64, xsave, FORM_OPTIMIZED | FORM_COMPACTED | FORM_WIDE },
	{ ZYDIS_MNEMONIC_XRSTOR, xrstor, 0 },
	{ ZYDIS_MNEMONIC_XRSTOR64, xrstor, FORM_WIDE },
};

bool soft_bind_xsave(const struct soft_insn *insn, struct soft_op *op)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (instructions[i].mnemonic == insn->zydis.mnemonic) {
			op->fn = instructions[i].fn;
			op->kind = SOFT_CALL_PLAIN;
			op->aux_value = instructions[i].form;
			return true;
		}
	}
	return false;
}
