/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT, with what differs by vendor. Intel SDM
 * vol. 2, their pages; AMD APM vol. 2, 6.1, and vol. 3.
 *
 * Intel has SYSCALL in 64-bit mode only and SYSENTER in every protected mode; AMD has SYSCALL
 * also in compatibility and legacy mode, and no SYSENTER in long mode. Intel's SYSRET checks
 * the target before it leaves CPL 0, AMD's lets it fault at CPL 3.
 *
 * AMD's SYSRET leaves the attributes of SS as they were; here they are those of a flat segment on
 * both, which software cannot rely on being otherwise.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

/* R11 to RFLAGS, SDM vol. 2, SYSRET: all but RF, VM and reserved bits. */
#define SYSRET_FLAGS UINT64_C(0x3c7fd7)

static struct cpu_segment flat_code(uint16_t selector, unsigned int cpl, bool is64)
{
	return (struct cpu_segment){
		.limit = UINT32_MAX,
		.attr = 0x9b | cpl << 5 | (uint32_t)CPU_SEG_G |
			(uint32_t)(is64 ? CPU_SEG_L : CPU_SEG_DB),
		.selector = (uint16_t)((selector & ~3u) | cpl),
	};
}

static struct cpu_segment flat_stack(uint16_t selector, unsigned int cpl)
{
	return (struct cpu_segment){
		.limit = UINT32_MAX,
		.attr = 0x93 | cpl << 5 | (uint32_t)(CPU_SEG_G | CPU_SEG_DB),
		.selector = (uint16_t)((selector & ~3u) | cpl),
	};
}

/* Flat segments, no descriptors read. */
static void enter(struct softcpu *cpu, uint16_t cs, uint16_t ss, unsigned int cpl, bool is64)
{
	struct cpu_segment code = flat_code(cs, cpl, is64);

	cpu->seg[CPU_SS] = flat_stack(ss, cpl);
	soft_set_code(cpu, &code, cpl);
}

static void op_syscall(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = (uint16_t)(cpu->star >> 32);

	(void)op;
	if (!(cpu->efer & EFER_SCE) || !cpu->protected_mode ||
	    (!soft_in_64bit(cpu) && !cpu_model_vendor_is_amd(cpu->model))) {
		soft_raise(cpu, SOFT_UD);
	}
	cpu->gpr[CPU_RCX] = cpu->next_rip;
	if (cpu->long_mode) {
		cpu->gpr[CPU_R11] = cpu->rflags & ~(uint64_t)FLAG_RF;
		cpu->next_rip = soft_in_64bit(cpu) ? cpu->lstar : cpu->cstar;
		cpu->rflags = (cpu->rflags & ~(cpu->sfmask | FLAG_RF)) | 2;
	} else {
		cpu->next_rip = (uint32_t)cpu->star;
		cpu->rflags &= ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF);
	}
	enter(cpu, selector, (uint16_t)((selector & ~3u) + 8), 0, cpu->long_mode);
	/* A trap by TF is for the caller only if the kernel did not mask TF. */
	cpu->stepping = cpu->rflags & FLAG_TF;
}

static void op_sysret(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = (uint16_t)(cpu->star >> 48);
	bool amd = cpu_model_vendor_is_amd(cpu->model);
	bool to64 = op->opsize == 8;
	uint64_t rip = to64 ? cpu->gpr[CPU_RCX] : (uint32_t)cpu->gpr[CPU_RCX];

	if (!(cpu->efer & EFER_SCE) || !cpu->protected_mode || (!amd && !soft_in_64bit(cpu))) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_require_cpl0(cpu);
	if (to64 && !amd && !soft_canonical(rip)) {
		soft_raise_gp(cpu);
	}
	if (cpu->long_mode) {
		cpu->rflags = (cpu->gpr[CPU_R11] & SYSRET_FLAGS) | 2;
	} else {
		cpu->rflags |= FLAG_IF;
	}
	enter(cpu, (uint16_t)(selector + (to64 ? 16 : 0)), (uint16_t)(selector + 8), 3, to64);
	cpu->next_rip = rip;
	cpu->stepping = cpu->rflags & FLAG_TF;
}

static bool sysenter_exists(const struct softcpu *cpu)
{
	return !cpu->long_mode || !cpu_model_vendor_is_amd(cpu->model);
}

static void op_sysenter(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = (uint16_t)(cpu->sysenter_cs & 0xfffc);

	(void)op;
	if (!sysenter_exists(cpu)) {
		soft_raise(cpu, SOFT_UD);
	}
	if (!cpu->protected_mode || selector == 0) {
		soft_raise_gp(cpu);
	}
	cpu->rflags &= ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF);
	if (cpu->long_mode) {
		cpu->gpr[CPU_RSP] = cpu->sysenter_esp;
		cpu->next_rip = cpu->sysenter_eip;
	} else {
		cpu->gpr[CPU_RSP] = (uint32_t)cpu->sysenter_esp;
		cpu->next_rip = (uint32_t)cpu->sysenter_eip;
	}
	enter(cpu, selector, (uint16_t)(selector + 8), 0, cpu->long_mode);
}

static void op_sysexit(struct softcpu *cpu, const struct soft_op *op)
{
	uint16_t selector = (uint16_t)(cpu->sysenter_cs & 0xfffc);
	bool to64 = op->opsize == 8;
	uint64_t rip = cpu->gpr[CPU_RDX];
	uint64_t rsp = cpu->gpr[CPU_RCX];

	if (!sysenter_exists(cpu)) {
		soft_raise(cpu, SOFT_UD);
	}
	if (!cpu->protected_mode || selector == 0 || cpu->cpl != 0 ||
	    (to64 && !(soft_canonical(rip) && soft_canonical(rsp)))) {
		soft_raise_gp(cpu);
	}
	selector = (uint16_t)(selector + (to64 ? 32 : 16));
	cpu->gpr[CPU_RSP] = to64 ? rsp : (uint32_t)rsp;
	cpu->next_rip = to64 ? rip : (uint32_t)rip;
	enter(cpu, selector, (uint16_t)(selector + 8), 3, to64);
}

bool soft_bind_syscall(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	bool sysenter = soft_has(cpu, 1, 3, 11);
	bool syscall = soft_has(cpu, 0x80000001, 3, 11);

	op->opsize = (uint8_t)(insn->zydis.operand_width / 8);
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL: op->fn = op_syscall; break;
	case ZYDIS_MNEMONIC_SYSRET: op->fn = op_sysret; break;
	case ZYDIS_MNEMONIC_SYSENTER:
		op->fn = op_sysenter;
		syscall = sysenter;
		break;
	case ZYDIS_MNEMONIC_SYSEXIT:
		op->fn = op_sysexit;
		syscall = sysenter;
		break;
	default: return false;
	}
	op->ends_block = true;
	return syscall;
}
