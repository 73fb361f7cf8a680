/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running: blocks one after the other, and between them whatever else a processor looks at between
 * two instructions, in the order of Intel SDM vol. 3, 6.9 (table 6-2): traps of the last
 * instruction, INIT, NMI, interrupts, code breakpoints.
 *
 * Other threads speak through the bits of cpu->requests, which every way from block to block looks
 * at; the same word is the futex that a halted CPU sleeps on. What they ask for and the CPU cannot
 * take yet (an interrupt while IF is clear) is kept in the CPU's own fields, and looked at again
 * after each instruction that ends its block because it may have changed that.
 *
 * With TF set or breakpoints armed, blocks have one instruction each.
 */

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "softcpu/insn.h"

#include "softcpu/blocks.h"
#include "softcpu/threaded.h"

#define DR7_ENABLED 0xff
#define DR6_BS	    BIT(14)

#define FLAT_ATTR_MASK (CPU_SEG_UNUSABLE | CPU_SEG_DB | CPU_SEG_P | CPU_SEG_S | 0xe)
#define FLAT_DATA_ATTR (CPU_SEG_DB | CPU_SEG_P | CPU_SEG_S | 2)
#define FLAT_CODE_ATTR (CPU_SEG_DB | CPU_SEG_P | CPU_SEG_S | 0xa)

enum {
	RUN_ON = -1, /* no reason to return */
};

int soft_cpu_init(struct softcpu *cpu, struct error *err)
{
	int ret = soft_mmu_create(cpu);

	if (!ret) {
		ret = soft_blocks_create(cpu);
	}
	if (ret) {
		soft_mmu_destroy(cpu);
		return error_set(err, ENOMEM, "not enough memory for a software CPU");
	}
	return 0;
}

void soft_cpu_finish(struct softcpu *cpu)
{
	soft_thunk_destroy(cpu);
	soft_blocks_destroy(cpu);
	soft_mmu_destroy(cpu);
}

void soft_state_loaded(struct softcpu *cpu)
{
	memset(cpu->mmu->slots, 0, sizeof(cpu->mmu->slots));
	soft_flush_tlb(cpu, true);
	cpu->gpr[SOFT_REG_ZERO] = 0;
	cpu->check_interrupts = true;
	cpu->pending_db = 0;
	cpu->stepping = false;
	cpu->exception_active = false;
	cpu->op = NULL;
	cpu->synced = true;
}

/* ------- requests ------- */

void soft_request(struct softcpu *cpu, enum soft_request request)
{
	atomic_fetch_or(&cpu->requests, (uint32_t)request);
	syscall(SYS_futex, &cpu->requests, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static uint32_t take_requests(struct softcpu *cpu)
{
	uint32_t requests = atomic_load_explicit(&cpu->requests, memory_order_relaxed);

	return requests ? atomic_exchange(&cpu->requests, 0) : 0;
}

/* Start-up IPIs are heard only by a CPU that waits for one. */
static void take_startup(struct softcpu *cpu, uint32_t requests)
{
	if (requests & SOFT_REQUEST_INIT) {
		soft_take_init(cpu);
		cpu->halted = false;
		soft_state_loaded(cpu);
	}
	if ((requests & SOFT_REQUEST_SIPI) && cpu->mp_state == CPU_MP_WAIT_SIPI) {
		soft_take_sipi(cpu, atomic_load(&cpu->sipi_vector));
		soft_state_loaded(cpu);
	}
}

static void handle_requests(struct softcpu *cpu, uint32_t requests)
{
	if (requests & SOFT_REQUEST_THUNKS) {
		soft_blocks_drop(cpu);
		soft_thunk_reset(cpu);
	}
	if (requests & SOFT_REQUEST_CODE) {
		soft_code_acknowledge(cpu);
	}
	if (requests & SOFT_REQUEST_FLUSH) {
		soft_flush_request(cpu);
	}
	if (requests & (SOFT_REQUEST_INIT | SOFT_REQUEST_SIPI)) {
		take_startup(cpu, requests);
	}
	if (requests & SOFT_REQUEST_NMI) {
		cpu->nmi_pending = true;
	}
	if (requests & (SOFT_REQUEST_INTERRUPT | SOFT_REQUEST_EXTINT)) {
		cpu->check_interrupts = true;
	}
}

/* ------- between instructions ------- */

static bool can_run(struct softcpu *cpu)
{
	if (cpu->mp_state == CPU_MP_WAIT_INIT || cpu->mp_state == CPU_MP_WAIT_SIPI) {
		return false;
	}
	if (!cpu->halted) {
		return true;
	}
	if ((cpu->nmi_pending && !cpu->nmi_masked) ||
	    ((cpu->rflags & FLAG_IF) && cpu->check_interrupts && soft_interrupt_pending(cpu))) {
		cpu->halted = false;
	}
	return !cpu->halted;
}

static void sleep_until_request(struct softcpu *cpu)
{
	soft_code_leave(cpu);
	while (!atomic_load(&cpu->requests)) {
		syscall(SYS_futex, &cpu->requests, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	}
	soft_code_enter(cpu);
}

static bool take_nmi(struct softcpu *cpu)
{
	if (!cpu->nmi_pending || cpu->nmi_masked) {
		return false;
	}
	cpu->nmi_pending = false;
	cpu->nmi_masked = true;
	soft_deliver(cpu, SOFT_NMI, false, 0, false, true);
	return true;
}

static bool take_interrupt(struct softcpu *cpu)
{
	int vector;

	if (!cpu->check_interrupts || !(cpu->rflags & FLAG_IF)) {
		return false;
	}
	vector = soft_interrupt_vector(cpu);
	if (vector < 0) {
		cpu->check_interrupts = false;
		return false;
	}
	soft_deliver(cpu, (uint8_t)vector, false, 0, false, true);
	return true;
}

/* The traps that the last instruction has left; MOV SS holds them back for one more. */
static void take_traps(struct softcpu *cpu)
{
	if (cpu->stepping) {
		cpu->stepping = false;
		cpu->pending_db |= DR6_BS;
	}
	if (cpu->pending_db && !cpu->interrupt_shadow) {
		cpu->dr6 |= cpu->pending_db;
		cpu->pending_db = 0;
		soft_raise(cpu, SOFT_DB);
	}
}

static void check_code_breakpoints(struct softcpu *cpu)
{
	gva_t address = soft_code_address(cpu, cpu->rip);
	uint64_t hits = 0;

	if (cpu->rflags & FLAG_RF) {
		return;
	}
	for (unsigned int i = 0; i < 4; i++) {
		bool is_code = !(cpu->dr7 >> (16 + i * 4) & 3);

		if ((cpu->dr7 >> i * 2 & 3) && is_code && cpu->dr[i] == address) {
			hits |= BIT(i);
		}
	}
	if (hits) {
		cpu->dr6 |= hits;
		soft_raise(cpu, SOFT_DB);
	}
}

/* ------- the key of the blocks to run ------- */

static bool is_flat_segment(const struct cpu_segment *segment, uint32_t attr)
{
	return segment->base == 0 && segment->limit == UINT32_MAX &&
	       (segment->attr & FLAT_ATTR_MASK) == attr;
}

static bool is_flat(const struct softcpu *cpu)
{
	switch (cpu->mode) {
	case SOFT_MODE_64:
		return true;
	case SOFT_MODE_32:
		return cpu->protected_mode &&
		       is_flat_segment(&cpu->seg[CPU_SS], FLAT_DATA_ATTR) &&
		       is_flat_segment(&cpu->seg[CPU_DS], FLAT_DATA_ATTR) &&
		       is_flat_segment(&cpu->seg[CPU_ES], FLAT_DATA_ATTR) &&
		       cpu->seg[CPU_CS].base == 0 && cpu->seg[CPU_CS].limit == UINT32_MAX &&
		       (cpu->seg[CPU_CS].attr & 2);
	default:
		return false;
	}
}

uint16_t soft_block_key(const struct softcpu *cpu)
{
	uint16_t key = cpu->mode;

	if (cpu->mode != SOFT_MODE_64) {
		key |= cpu->seg[CPU_SS].attr & CPU_SEG_DB ? SOFT_KEY_STACK32 : 0;
	}
	key |= is_flat(cpu) ? SOFT_KEY_FLAT : 0;
	key |= cpu->protected_mode ? SOFT_KEY_PROTECTED : 0;
	key |= cpu->v8086 ? SOFT_KEY_V8086 : 0;
	key |= cpu->long_mode ? SOFT_KEY_LONG : 0;
	return key;
}

/* ------- the loop ------- */

/* What must be seen to before the next instruction. Return: an exit, or RUN_ON. */
static int attend(struct softcpu *cpu)
{
	bool single;

	for (;;) {
		uint32_t requests;

		take_traps(cpu); /* before requests are taken: it may not come back here */
		requests = take_requests(cpu);
		if (requests) {
			handle_requests(cpu, requests);
		}
		if (requests & SOFT_REQUEST_RETURN) {
			return VCPU_EXIT_KICKED;
		}
		if (!can_run(cpu)) {
			sleep_until_request(cpu);
			continue;
		}
		if (cpu->interrupt_shadow || !(take_nmi(cpu) || take_interrupt(cpu))) {
			break;
		}
	}
	single = cpu->interrupt_shadow &&
		 (cpu->nmi_pending || cpu->check_interrupts || cpu->pending_db);
	cpu->interrupt_shadow = false;
	if ((cpu->dr7 & DR7_ENABLED) || (cpu->rflags & (FLAG_TF | FLAG_RF))) {
		single = true;
		check_code_breakpoints(cpu);
		cpu->rflags &= ~(uint64_t)FLAG_RF;
		cpu->stepping = cpu->rflags & FLAG_TF;
	}
	cpu->block_key = soft_block_key(cpu) | (single ? SOFT_KEY_SINGLE : 0);
	soft_select_tlb(cpu);
	return RUN_ON;
}

void soft_leave(struct softcpu *cpu, uint64_t rip, void **link)
{
	cpu->rip = rip;
	cpu->blocks->link = link;
}

/* With DEBUGCTL.BTF, TF traps only after a branch was taken (SDM vol. 3, 17.4.2). */
static bool is_step_over(const struct softcpu *cpu, uint64_t from, unsigned int length)
{
	return (cpu->rip == from || cpu->rip == from + length) && soft_steps_branches(cpu);
}

/* Blocks until something needs attention. */
static void run_blocks(struct softcpu *cpu)
{
	bool single = cpu->block_key & SOFT_KEY_SINGLE;

	cpu->attention = false;
	cpu->blocks->link = NULL;
	soft_flags_scatter(cpu);
	do {
		const struct soft_block *block = soft_block_find(cpu);
		unsigned int length = block->ops[0].length;
		uint64_t from = cpu->rip;

		cpu->synced = false;
		soft_enter_block(cpu, block, from);
		cpu->rflags = soft_flags_gather(cpu);
		cpu->synced = true;
		cpu->op = NULL;
		if (cpu->stepping && is_step_over(cpu, from, length)) {
			cpu->stepping = false;
		}
	} while (!cpu->attention && !single &&
		 !atomic_load_explicit(&cpu->requests, memory_order_relaxed));
}

/* After siglongjmp: the state of the instruction's start. */
static void make_whole(struct softcpu *cpu)
{
	const struct soft_op *op = cpu->op;

	if (!cpu->synced) {
		cpu->rip = soft_op_rip(cpu, op);
		cpu->rflags = soft_flags_gather(cpu);
		cpu->synced = true;
	}
	if (op) {
		cpu->instructions -= (uint64_t)(soft_block_of(op)->count - op->number);
		cpu->op = NULL;
	}
	cpu->stepping = false;
	cpu->interrupt_shadow = false;
}

enum vcpu_exit soft_run(struct softcpu *cpu)
{
	int exit;

	soft_code_enter(cpu);
	cpu->synced = true;
	cpu->op = NULL;
	if (sigsetjmp(cpu->fault, 0)) {
		make_whole(cpu);
		if (!soft_take_fault(cpu)) {
			soft_code_leave(cpu);
			return VCPU_EXIT_TRIPLE_FAULT;
		}
	}
	while ((exit = attend(cpu)) == RUN_ON) {
		run_blocks(cpu);
	}
	soft_code_leave(cpu);
	return (enum vcpu_exit)exit;
}
