/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions about the processor itself: CPUID, MSRs, time-stamp counter, XCR0, HLT, PAUSE,
 * MONITOR and MWAIT, TLB and cache control, KVM's hypercalls. Intel SDM vol. 2, their pages;
 * vol. 3, 2.8.
 *
 * There are no performance counters, so RDPMC faults. MONITOR arms nothing and MWAIT gives the
 * host's CPU away once: an early wake-up is always allowed. The model says KVM to its guest, so
 * a hypercall is answered, with "no such call": none is part of the features that it offers.
 */

#include <sched.h>

#include "softcpu/insn.h"
#include "softcpu/system.h"

/* How many PAUSEs a guest may spin before another thread gets the host's CPU. */
#define PAUSES_A_YIELD 32
#define KVM_ENOSYS 1000
#define KVM_EPERM 1

static void set_pair(struct softcpu *cpu, uint64_t value)
{
	cpu->gpr[CPU_RAX] = (uint32_t)value;
	cpu->gpr[CPU_RDX] = value >> 32;
}

static uint64_t get_pair(const struct softcpu *cpu)
{
	return cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];
}

static void op_cpuid(struct softcpu *cpu, const struct soft_op *op)
{
	uint32_t leaf = (uint32_t)cpu->gpr[CPU_RAX];
	uint32_t regs[4];

	(void)op;
	cpu_model_cpuid(cpu->model, cpu->index, leaf, (uint32_t)cpu->gpr[CPU_RCX], cpu->cr4,
			cpu->xcr0, regs);
	if (leaf == 1 && !(lapic_base(cpu->lapic) & APIC_BASE_ENABLE)) {
		regs[3] &= ~(uint32_t)BIT(9);
	}
	cpu->gpr[CPU_RAX] = regs[0];
	cpu->gpr[CPU_RBX] = regs[1];
	cpu->gpr[CPU_RCX] = regs[2];
	cpu->gpr[CPU_RDX] = regs[3];
}

static void op_rdmsr(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = 0;

	(void)op;
	soft_require_cpl0(cpu);
	if (!soft_read_msr(cpu, (uint32_t)cpu->gpr[CPU_RCX], &value)) {
		soft_raise_gp(cpu);
	}
	set_pair(cpu, value);
}

static void op_wrmsr(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_require_cpl0(cpu);
	if (!soft_write_msr(cpu, (uint32_t)cpu->gpr[CPU_RCX], get_pair(cpu))) {
		soft_raise_gp(cpu);
	}
}

static void require_tsc(struct softcpu *cpu)
{
	if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0) {
		soft_raise_gp(cpu);
	}
}

static void op_rdtsc(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	require_tsc(cpu);
	set_pair(cpu, soft_tsc(cpu));
}

static void op_rdtscp(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	require_tsc(cpu);
	set_pair(cpu, soft_tsc(cpu));
	cpu->gpr[CPU_RCX] = (uint32_t)cpu->tsc_aux;
}

static void op_rdpid(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->gpr[op->reg] = cpu->tsc_aux;
}

static void op_rdpmc(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_raise_gp(cpu);
}

/* SDM vol. 1, 13.3. */
static void op_xgetbv(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	if (!(cpu->cr4 & CR4_OSXSAVE)) {
		soft_raise(cpu, SOFT_UD);
	}
	if ((uint32_t)cpu->gpr[CPU_RCX] == 0) {
		set_pair(cpu, cpu->xcr0);
	} else if ((uint32_t)cpu->gpr[CPU_RCX] == 1 && cpu_model_has(cpu->model, 0xd, 1, 0, 2)) {
		set_pair(cpu, cpu->xcr0 & soft_fpu_in_use(cpu));
	} else {
		soft_raise_gp(cpu);
	}
}

static void op_xsetbv(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = get_pair(cpu);

	(void)op;
	if (!(cpu->cr4 & CR4_OSXSAVE)) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_require_cpl0(cpu);
	if ((uint32_t)cpu->gpr[CPU_RCX] != 0 || !soft_xcr0_valid(cpu, value)) {
		soft_raise_gp(cpu);
	}
	cpu->xcr0 = value;
}

bool soft_xcr0_valid(const struct softcpu *cpu, uint64_t value)
{
	/* x87 is always on, AVX needs SSE. */
	return (value & 1) && !(value & ~cpu->model->xcr0_mask) && (value & 6) != 4;
}

static void op_hlt(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_require_cpl0(cpu);
	cpu->halted = true;
	cpu->counters[SOFT_COUNTER_HALTS]++;
}

static void op_pause(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	if (++cpu->counters[SOFT_COUNTER_PAUSES] % PAUSES_A_YIELD == 0) {
		sched_yield();
	}
}

static void op_monitor(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int seg = op->seg == SOFT_SEG_NONE ? CPU_DS : op->seg;

	if (cpu->cpl != 0) {
		soft_raise(cpu, SOFT_UD);
	}
	if ((uint32_t)cpu->gpr[CPU_RCX] != 0) {
		soft_raise_gp(cpu);
	}
	soft_read_u8(cpu, seg, soft_merge(0, cpu->gpr[CPU_RAX], op->addrsize));
}

static void op_mwait(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	if (cpu->cpl != 0) {
		soft_raise(cpu, SOFT_UD);
	}
	if ((uint32_t)cpu->gpr[CPU_RCX] > 1) {
		soft_raise_gp(cpu);
	}
	sched_yield();
}

static void op_invlpg(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t address = soft_ea(cpu, op);

	soft_require_cpl0(cpu);
	if (soft_in_64bit(cpu)) {
		if (op->seg == CPU_FS || op->seg == CPU_GS) {
			address += cpu->seg[op->seg].base;
		}
		/* SDM vol. 2: INVLPG of a non-canonical address does nothing. */
		if (!soft_canonical(address)) {
			return;
		}
	} else {
		address = (uint32_t)(address + cpu->seg[op->seg].base);
	}
	soft_flush_page(cpu, address);
}

/* The TLB holds one PCID, the current one: each kind flushes at least what it must. */
static void op_invpcid(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t kind = soft_merge(0, cpu->gpr[op->reg], soft_in_64bit(cpu) ? 8 : 4);
	uint8_t bytes[16];
	uint64_t pcid;

	if (!cpu->protected_mode) {
		soft_raise(cpu, SOFT_UD);
	}
	soft_require_cpl0(cpu);
	soft_read_bytes(cpu, op->seg, soft_ea(cpu, op), bytes, sizeof(bytes));
	pcid = load_le64(bytes);
	if (kind > 3 || pcid > 0xfff ||
	    (kind < 2 && pcid != 0 && !(cpu->cr4 & CR4_PCIDE)) ||
	    (kind == 0 && !soft_canonical(load_le64(bytes + 8)))) {
		soft_raise_gp(cpu);
	}
	if (kind == 0) {
		soft_flush_page(cpu, load_le64(bytes + 8));
	} else {
		soft_flush_tlb(cpu, kind == 2);
	}
}

static void op_cache_control(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_require_cpl0(cpu);
}

static void op_clzero(struct softcpu *cpu, const struct soft_op *op)
{
	static const uint8_t zeroes[64];
	uint64_t address = soft_merge(0, cpu->gpr[CPU_RAX], op->addrsize) & ~UINT64_C(63);

	soft_write_bytes(cpu, op->seg == SOFT_SEG_NONE ? CPU_DS : op->seg, address, zeroes,
			 sizeof(zeroes));
}

static void op_hypercall(struct softcpu *cpu, const struct soft_op *op)
{
	int64_t result = cpu->cpl == 0 ? -KVM_ENOSYS : -KVM_EPERM;

	(void)op;
	if (!cpu->protected_mode || cpu->v8086) {
		soft_raise(cpu, SOFT_UD);
	}
	cpu->gpr[CPU_RAX] = soft_in_64bit(cpu) ? (uint64_t)result : (uint32_t)result;
}

static bool says_kvm(const struct softcpu *cpu)
{
	uint32_t regs[4];

	cpu_model_cpuid(cpu->model, 0, 0x40000000, 0, 0, 1, regs);
	return regs[1] == 0x4b4d564b; /* "KVMK" */
}

/* Those that end a block, since what follows depends on what they change. */
static soft_fn ending_function(struct softcpu *cpu, ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_WRMSR: return op_wrmsr;
	case ZYDIS_MNEMONIC_XSETBV: return soft_has(cpu, 1, 2, 26) ? op_xsetbv : NULL;
	case ZYDIS_MNEMONIC_HLT: return op_hlt;
	case ZYDIS_MNEMONIC_PAUSE: return op_pause;
	case ZYDIS_MNEMONIC_MWAIT: return soft_has(cpu, 1, 2, 3) ? op_mwait : NULL;
	case ZYDIS_MNEMONIC_INVLPG: return op_invlpg;
	case ZYDIS_MNEMONIC_INVPCID: return soft_has(cpu, 7, 1, 10) ? op_invpcid : NULL;
	case ZYDIS_MNEMONIC_INVD:
	case ZYDIS_MNEMONIC_WBINVD: return op_cache_control;
	default: return NULL;
	}
}

static soft_fn plain_function(struct softcpu *cpu, ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_CPUID: return op_cpuid;
	case ZYDIS_MNEMONIC_RDMSR: return op_rdmsr;
	case ZYDIS_MNEMONIC_RDTSC: return op_rdtsc;
	case ZYDIS_MNEMONIC_RDTSCP: return soft_has(cpu, 0x80000001, 3, 27) ? op_rdtscp : NULL;
	case ZYDIS_MNEMONIC_RDPID: return soft_has(cpu, 7, 2, 22) ? op_rdpid : NULL;
	case ZYDIS_MNEMONIC_RDPMC: return op_rdpmc;
	case ZYDIS_MNEMONIC_XGETBV: return soft_has(cpu, 1, 2, 26) ? op_xgetbv : NULL;
	case ZYDIS_MNEMONIC_MONITOR: return soft_has(cpu, 1, 2, 3) ? op_monitor : NULL;
	case ZYDIS_MNEMONIC_CLZERO: return soft_has(cpu, 0x80000008, 1, 0) ? op_clzero : NULL;
	case ZYDIS_MNEMONIC_VMCALL:
	case ZYDIS_MNEMONIC_VMMCALL: return says_kvm(cpu) ? op_hypercall : NULL;
	default: return NULL;
	}
}

bool soft_bind_processor(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	op->fn = ending_function(cpu, insn->zydis.mnemonic);
	if (op->fn) {
		op->ends_block = true;
		return true;
	}
	op->fn = plain_function(cpu, insn->zydis.mnemonic);
	return op->fn;
}
