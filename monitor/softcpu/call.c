/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How threaded code calls ordinary functions (enum soft_call), and the ops that only lead on.
 *
 * What ends a block seldom needs more than a look: CLI, OUT or a segment load change little that
 * running on depends on. So after such an instruction this file tests whether anything wants the
 * loop of soft_run() (a request, a trap, an interrupt that IF now lets in), adopts what may have
 * changed (the blocks' key, the TLB's class), and if nothing does, goes on to the next block
 * itself.
 */

#include "softcpu/blocks.h"
#include "softcpu/threaded.h"

#define DR7_ENABLED 0xff

void soft_op_stop(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->instructions -= (uint64_t)(soft_block_of(op)->count - op->number);
	soft_leave(cpu, soft_op_rip(cpu, op), NULL);
}

static uint64_t wrap_rip(const struct softcpu *cpu, uint64_t rip)
{
	return cpu->mode == SOFT_MODE_64 ? rip : (uint32_t)rip;
}

void soft_op_go_on(struct softcpu *cpu, const struct soft_op *op)
{
	soft_goto(cpu, wrap_rip(cpu, soft_op_rip(cpu, op)), (void **)&op->aux, op->scale);
}

void soft_call_plain(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->op = op;
	op->call(cpu, op);
	soft_next(cpu, op);
}

SOFT_INLINE void call_synced(struct softcpu *cpu, const struct soft_op *op)
{
	cpu->op = op;
	cpu->rip = soft_op_rip(cpu, op);
	cpu->next_rip = wrap_rip(cpu, cpu->rip + op->length);
	cpu->rflags = soft_flags_gather(cpu);
	cpu->synced = true;
	op->call(cpu, op);
}

void soft_call_full(struct softcpu *cpu, const struct soft_op *op)
{
	call_synced(cpu, op);
	cpu->synced = false;
	soft_flags_scatter(cpu);
	soft_next(cpu, op);
}

/* Whether soft_run() has nothing to do before the next instruction. */
static bool is_quiet(const struct softcpu *cpu)
{
	if (atomic_load_explicit(&cpu->requests, memory_order_relaxed) || cpu->interrupt_shadow ||
	    cpu->halted || cpu->pending_db || cpu->nmi_pending || cpu->stepping) {
		return false;
	}
	if ((cpu->check_interrupts && (cpu->rflags & FLAG_IF)) ||
	    (cpu->rflags & (FLAG_TF | FLAG_RF))) {
		return false;
	}
	return !(cpu->dr7 & DR7_ENABLED) && !(cpu->block_key & SOFT_KEY_SINGLE) &&
	       cpu->mp_state == CPU_MP_RUNNING;
}

void soft_call_last(struct softcpu *cpu, const struct soft_op *op)
{
	call_synced(cpu, op);
	cpu->rip = cpu->next_rip;
	soft_flags_scatter(cpu);
	if (!is_quiet(cpu)) {
		cpu->attention = true;
		return;
	}
	cpu->synced = false;
	soft_select_tlb(cpu);
	cpu->block_key = soft_block_key(cpu);
	/* Not by a link, even if the next instruction follows: it may be another page by now. */
	soft_goto_any(cpu, cpu->rip);
}
