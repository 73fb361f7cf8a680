/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks of control transfers: pushing and popping a frame before SP moves, and the stacks of inner
 * privilege levels out of the TSS. Intel SDM vol. 3, 5.8.5, 6.12.1, 6.14 and 8.2.1.
 */

#include "softcpu/system.h"

#include "softcpu/mmu.h"

static uint64_t stack_mask(const struct cpu_segment *ss, bool wide)
{
	if (wide) {
		return UINT64_MAX;
	}
	return ss->attr & CPU_SEG_DB ? 0xffffffff : 0xffff;
}

struct soft_stack soft_stack_current(struct softcpu *cpu)
{
	const struct cpu_segment *ss = &cpu->seg[CPU_SS];

	return (struct soft_stack){
		.cpu = cpu,
		.sp = cpu->gpr[CPU_RSP],
		.mask = stack_mask(ss, soft_in_64bit(cpu)),
		.wide = soft_in_64bit(cpu),
	};
}

struct soft_stack soft_stack_fresh(struct softcpu *cpu, const struct cpu_segment *ss, uint64_t sp,
				   bool wide)
{
	return (struct soft_stack){
		.cpu = cpu,
		.ss = *ss,
		.sp = sp,
		.mask = stack_mask(ss, wide),
		.fresh = true,
		.wide = wide,
	};
}

struct soft_stack soft_stack_wide(struct softcpu *cpu)
{
	struct soft_stack stack =
		soft_stack_fresh(cpu, &cpu->seg[CPU_SS], cpu->gpr[CPU_RSP], true);

	stack.user = cpu->cpl == 3;
	return stack;
}

/* A push to a stack that is not current yet. */
static void push_fresh(struct soft_stack *stack, uint64_t sp, uint64_t value, unsigned int size)
{
	const struct cpu_segment *ss = &stack->ss;
	uint64_t last = sp + size - 1;
	bool inside;

	if (stack->wide) {
		inside = soft_canonical(sp) && soft_canonical(last);
	} else if ((ss->attr & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN) {
		inside = sp > ss->limit && last <= stack->mask;
	} else {
		inside = last <= ss->limit;
	}
	if (!inside) {
		/* In 64-bit mode the error code names no segment (SDM vol. 2, INT n). */
		soft_raise_selector(stack->cpu, SOFT_SS, stack->wide ? 0 : ss->selector);
	}
	if (stack->user) {
		soft_store_class(stack->cpu, sp, value, size, SOFT_TLB_USER);
	} else {
		soft_linear_write(stack->cpu, stack->wide ? sp : (uint32_t)(ss->base + sp), value,
				  size);
	}
}

void soft_push(struct soft_stack *stack, uint64_t value, unsigned int size)
{
	uint64_t sp = (stack->sp - size) & stack->mask;

	if (stack->fresh) {
		push_fresh(stack, sp, value, size);
	} else if (size == 2) {
		soft_write_u16(stack->cpu, CPU_SS, sp, (uint16_t)value);
	} else if (size == 4) {
		soft_write_u32(stack->cpu, CPU_SS, sp, (uint32_t)value);
	} else {
		soft_write_u64(stack->cpu, CPU_SS, sp, value);
	}
	stack->sp = (stack->sp & ~stack->mask) | sp;
}

uint64_t soft_pop(struct soft_stack *stack, unsigned int size)
{
	uint64_t sp = stack->sp & stack->mask;
	uint64_t value;

	if (size == 2) {
		value = soft_read_u16(stack->cpu, CPU_SS, sp);
	} else if (size == 4) {
		value = soft_read_u32(stack->cpu, CPU_SS, sp);
	} else {
		value = soft_read_u64(stack->cpu, CPU_SS, sp);
	}
	stack->sp = (stack->sp & ~stack->mask) | ((sp + size) & stack->mask);
	return value;
}

void soft_stack_commit(const struct soft_stack *stack)
{
	struct softcpu *cpu = stack->cpu;

	if (stack->fresh) {
		cpu->seg[CPU_SS] = stack->ss;
	}
	if (stack->mask == 0xffff) {
		cpu->gpr[CPU_RSP] = soft_merge(cpu->gpr[CPU_RSP], stack->sp, 2);
	} else {
		cpu->gpr[CPU_RSP] = stack->sp & stack->mask;
	}
}

static uint64_t read_tss(struct softcpu *cpu, unsigned int offset, unsigned int size)
{
	return soft_linear_read(cpu, cpu->tr.base + offset, size);
}

/* SS for level @cpl out of the TSS: SDM vol. 2, CALL, "more privilege". */
static struct cpu_segment inner_segment(struct softcpu *cpu, uint16_t selector, unsigned int cpl)
{
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_TS, &desc);
	if (SELECTOR_RPL(selector) != cpl || soft_dpl(desc.attr) != cpl ||
	    !soft_is_writable_data(desc.attr)) {
		soft_raise_selector(cpu, SOFT_TS, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_SS, selector);
	}
	soft_mark_accessed(cpu, &desc);
	return soft_segment(&desc, selector);
}

struct soft_stack soft_inner_stack(struct softcpu *cpu, unsigned int cpl)
{
	bool is32 = cpu->tr.attr & 8;
	unsigned int offset = is32 ? cpl * 8 + 4 : cpl * 4 + 2;
	struct cpu_segment ss;
	uint64_t sp;

	if (offset + (is32 ? 5 : 3) > cpu->tr.limit) {
		soft_raise_selector(cpu, SOFT_TS, cpu->tr.selector);
	}
	sp = read_tss(cpu, offset, is32 ? 4 : 2);
	ss = inner_segment(cpu, (uint16_t)read_tss(cpu, offset + (is32 ? 4 : 2), 2), cpl);
	return soft_stack_fresh(cpu, &ss, sp, false);
}

struct soft_stack soft_inner_stack64(struct softcpu *cpu, unsigned int cpl, unsigned int ist)
{
	unsigned int offset = ist ? ist * 8 + 28 : cpl * 8 + 4;
	struct cpu_segment ss = soft_null_segment((uint16_t)cpl, cpl);

	if (offset + 7 > cpu->tr.limit) {
		soft_raise_selector(cpu, SOFT_TS, cpu->tr.selector);
	}
	return soft_stack_fresh(cpu, &ss, read_tss(cpu, offset, 8), true);
}
