/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 control instructions, which move the state or parts of it: FNINIT, FNCLEX, FLDCW, FNSTCW,
 * FNSTSW, FNSTENV, FLDENV, FNSAVE, FRSTOR, FWAIT, and the old no-operations FENI, FDISI and FSETPM.
 * SDM vol. 1, 8.1.10 has the four formats of the environment: 16 or 32 bits, protected or real
 * mode.
 */

#include "softcpu/x87.h"

#define ENV16_SIZE 14
#define ENV32_SIZE 28
#define REGISTERS_SIZE 80

enum tag { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static enum tag classify(const uint8_t *reg)
{
	uint64_t significand = load_le64(reg);
	unsigned int exponent = load_le16(reg + 8) & 0x7fff;

	if (exponent == 0) {
		return significand ? TAG_SPECIAL : TAG_ZERO;
	}
	return exponent == 0x7fff || !(significand >> 63) ? TAG_SPECIAL : TAG_VALID;
}

uint16_t x87_tags(const struct soft_fpu *fpu)
{
	unsigned int top = soft_fpu_top(fpu);
	uint16_t tags = 0;

	for (unsigned int i = 0; i < 8; i++) {
		enum tag tag = fpu->ftw & BIT(i) ? classify(fpu->st[(i - top) & 7]) : TAG_EMPTY;

		tags |= (uint16_t)(tag << (2 * i));
	}
	return tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
	uint8_t abridged = 0;

	for (unsigned int i = 0; i < 8; i++) {
		if ((tags >> (2 * i) & 3) != TAG_EMPTY) {
			abridged |= (uint8_t)BIT(i);
		}
	}
	return abridged;
}

/* ------- the environment ------- */

struct pointers {
	uint64_t fip;
	uint64_t fdp;
	uint16_t fcs;
	uint16_t fds;
	uint16_t fop;
};

static bool real_format(const struct softcpu *cpu)
{
	return !cpu->protected_mode || cpu->v8086;
}

static void store_environment16(struct softcpu *cpu, uint8_t *env, const struct pointers *p)
{
	const struct soft_fpu *fpu = soft_fpu(cpu);

	store_le16(env, fpu->fcw);
	store_le16(env + 2, fpu->fsw);
	store_le16(env + 4, x87_tags(fpu));
	if (real_format(cpu)) {
		uint32_t ip = (uint32_t)p->fip + ((uint32_t)p->fcs << 4);
		uint32_t dp = (uint32_t)p->fdp + ((uint32_t)p->fds << 4);

		store_le16(env + 6, (uint16_t)ip);
		store_le16(env + 8, (uint16_t)((ip >> 4 & 0xf000) | p->fop));
		store_le16(env + 10, (uint16_t)dp);
		store_le16(env + 12, (uint16_t)(dp >> 4 & 0xf000));
		return;
	}
	store_le16(env + 6, (uint16_t)p->fip);
	store_le16(env + 8, p->fcs);
	store_le16(env + 10, (uint16_t)p->fdp);
	store_le16(env + 12, p->fds);
}

static void store_environment32(struct softcpu *cpu, uint8_t *env, const struct pointers *p)
{
	const struct soft_fpu *fpu = soft_fpu(cpu);
	const uint32_t reserved = 0xffff0000;

	store_le32(env, reserved | fpu->fcw);
	store_le32(env + 4, reserved | fpu->fsw);
	store_le32(env + 8, reserved | x87_tags(fpu));
	if (real_format(cpu)) {
		uint32_t ip = (uint32_t)p->fip + ((uint32_t)p->fcs << 4);
		uint32_t dp = (uint32_t)p->fdp + ((uint32_t)p->fds << 4);

		store_le32(env + 12, reserved | (ip & 0xffff));
		store_le32(env + 16, (ip >> 4 & 0x0ffff000) | p->fop);
		store_le32(env + 20, reserved | (dp & 0xffff));
		store_le32(env + 24, dp >> 4 & 0x0ffff000);
		return;
	}
	store_le32(env + 12, (uint32_t)p->fip);
	store_le32(env + 16, (uint32_t)p->fop << 16 | p->fcs);
	store_le32(env + 20, (uint32_t)p->fdp);
	store_le32(env + 24, reserved | p->fds);
}

static size_t environment_size(const struct soft_op *op)
{
	return op->aux_value == 2 ? ENV16_SIZE : ENV32_SIZE;
}

static void store_environment(struct softcpu *cpu, const struct soft_op *op, uint8_t *env)
{
	const struct soft_fpu *fpu = soft_fpu(cpu);
	bool no_selectors = cpu_model_has(cpu->model, 7, 0, 1, 13);
	struct pointers p = {
		.fip = fpu->fip,
		.fdp = fpu->fdp,
		.fcs = no_selectors ? 0 : cpu->fpu_cs,
		.fds = no_selectors ? 0 : cpu->fpu_ds,
		.fop = fpu->fop & 0x7ff,
	};

	if (environment_size(op) == ENV16_SIZE) {
		store_environment16(cpu, env, &p);
	} else {
		store_environment32(cpu, env, &p);
	}
}

static void load_pointers16(struct softcpu *cpu, const uint8_t *env)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	if (real_format(cpu)) {
		fpu->fip = load_le16(env + 6) | (uint32_t)(load_le16(env + 8) & 0xf000) << 4;
		fpu->fop = load_le16(env + 8) & 0x7ff;
		fpu->fdp = load_le16(env + 10) | (uint32_t)(load_le16(env + 12) & 0xf000) << 4;
		cpu->fpu_cs = 0;
		cpu->fpu_ds = 0;
		return;
	}
	fpu->fip = load_le16(env + 6);
	cpu->fpu_cs = load_le16(env + 8);
	fpu->fdp = load_le16(env + 10);
	cpu->fpu_ds = load_le16(env + 12);
	fpu->fop = 0;
}

static void load_pointers32(struct softcpu *cpu, const uint8_t *env)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	if (real_format(cpu)) {
		fpu->fip = load_le16(env + 12) | (load_le32(env + 16) & 0x0ffff000) << 4;
		fpu->fop = load_le32(env + 16) & 0x7ff;
		fpu->fdp = load_le16(env + 20) | (load_le32(env + 24) & 0x0ffff000) << 4;
		cpu->fpu_cs = 0;
		cpu->fpu_ds = 0;
		return;
	}
	fpu->fip = load_le32(env + 12);
	cpu->fpu_cs = load_le16(env + 16);
	fpu->fop = load_le16(env + 18) & 0x7ff;
	fpu->fdp = load_le32(env + 20);
	cpu->fpu_ds = load_le16(env + 24);
}

static void load_environment(struct softcpu *cpu, const struct soft_op *op, const uint8_t *env)
{
	struct soft_fpu *fpu = soft_fpu(cpu);
	unsigned int step = environment_size(op) == ENV16_SIZE ? 2 : 4;
	uint16_t fsw = load_le16(env + step);

	soft_fpu_set_top(fpu, (fsw & FSW_TOP) >> FSW_TOP_SHIFT);
	fpu->fcw = soft_fcw_load(load_le16(env));
	fpu->fsw = soft_fsw_load(fpu->fcw, fsw);
	fpu->ftw = abridged_tags(load_le16(env + 2 * step));
	if (step == 2) {
		load_pointers16(cpu, env);
	} else {
		load_pointers32(cpu, env);
	}
}

/* ------- instructions ------- */

static void fnstenv(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t env[ENV32_SIZE];

	soft_check_x87(cpu, false);
	store_environment(cpu, op, env);
	soft_write_bytes(cpu, op->seg, soft_ea(cpu, op), env, environment_size(op));
	soft_fpu(cpu)->fcw |= FSW_EXCEPTIONS;
	soft_fpu(cpu)->fsw = soft_fsw_load(soft_fpu(cpu)->fcw, soft_fpu(cpu)->fsw);
}

static void fldenv(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t env[ENV32_SIZE];

	soft_check_x87(cpu, true);
	soft_read_bytes(cpu, op->seg, soft_ea(cpu, op), env, environment_size(op));
	load_environment(cpu, op, env);
}

static void fnsave(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t image[ENV32_SIZE + REGISTERS_SIZE];
	size_t env_size = environment_size(op);

	soft_check_x87(cpu, false);
	store_environment(cpu, op, image);
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(image + env_size + i * 10, soft_fpu(cpu)->st[i], 10);
	}
	soft_write_bytes(cpu, op->seg, soft_ea(cpu, op), image, env_size + REGISTERS_SIZE);
	soft_fpu_init(cpu);
}

static void frstor(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t image[ENV32_SIZE + REGISTERS_SIZE];
	size_t env_size = environment_size(op);

	soft_check_x87(cpu, true);
	soft_read_bytes(cpu, op->seg, soft_ea(cpu, op), image, env_size + REGISTERS_SIZE);
	load_environment(cpu, op, image);
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(soft_fpu(cpu)->st[i], image + env_size + i * 10, 10);
		memset(soft_fpu(cpu)->st[i] + 10, 0, 6);
	}
}

static void fninit(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_check_x87(cpu, false);
	soft_fpu_init(cpu);
}

static void fnclex(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_check_x87(cpu, false);
	soft_fpu(cpu)->fsw &= (uint16_t) ~(FSW_EXCEPTIONS | FSW_STACK_FAULT | FSW_ES | FSW_BUSY);
}

static void fldcw(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_fpu *fpu = soft_fpu(cpu);

	soft_check_x87(cpu, true);
	fpu->fcw = soft_fcw_load(soft_read_u16(cpu, op->seg, soft_ea(cpu, op)));
	fpu->fsw = soft_fsw_load(fpu->fcw, fpu->fsw);
	if (fpu->fsw & FSW_ES) {
		x87_raised(cpu);
	}
}

static void fnstcw(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_x87(cpu, false);
	soft_write_u16(cpu, op->seg, soft_ea(cpu, op), soft_fpu(cpu)->fcw);
}

static void fnstsw(struct softcpu *cpu, const struct soft_op *op)
{
	soft_check_x87(cpu, false);
	soft_write_u16(cpu, op->seg, soft_ea(cpu, op), soft_fpu(cpu)->fsw);
}

static void fnstsw_ax(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_check_x87(cpu, false);
	cpu->gpr[CPU_RAX] = (cpu->gpr[CPU_RAX] & ~UINT64_C(0xffff)) | soft_fpu(cpu)->fsw;
}

static void fwait(struct softcpu *cpu, const struct soft_op *op)
{
	const uint64_t both = FPU_CR0_MP | FPU_CR0_TS;

	(void)op;
	if ((cpu->cr0 & both) == both) {
		soft_raise(cpu, SOFT_NM);
	}
	if (soft_fpu(cpu)->fsw & FSW_ES) {
		soft_fpu_pending(cpu);
	}
}

static void old_nop(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_check_x87(cpu, false);
}

static soft_fn find_function(const struct soft_insn *insn)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_FNSTENV: return fnstenv;
	case ZYDIS_MNEMONIC_FLDENV: return fldenv;
	case ZYDIS_MNEMONIC_FNSAVE: return fnsave;
	case ZYDIS_MNEMONIC_FRSTOR: return frstor;
	case ZYDIS_MNEMONIC_FNINIT: return fninit;
	case ZYDIS_MNEMONIC_FNCLEX: return fnclex;
	case ZYDIS_MNEMONIC_FLDCW: return fldcw;
	case ZYDIS_MNEMONIC_FNSTCW: return fnstcw;
	case ZYDIS_MNEMONIC_FNSTSW:
		return insn->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? fnstsw : fnstsw_ax;
	case ZYDIS_MNEMONIC_FWAIT: return fwait;
	case ZYDIS_MNEMONIC_FENI8087_NOP:
	case ZYDIS_MNEMONIC_FDISI8087_NOP:
	case ZYDIS_MNEMONIC_FSETPM287_NOP: return old_nop;
	default: return NULL;
	}
}

bool x87_bind_control(const struct soft_insn *insn, struct soft_op *op)
{
	soft_fn fn = find_function(insn);

	if (!fn) {
		return false;
	}
	op->fn = fn;
	op->kind = SOFT_CALL_PLAIN;
	op->aux_value = insn->zydis.operand_width == 16 ? 2 : 4;
	return true;
}
