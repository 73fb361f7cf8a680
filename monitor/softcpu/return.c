/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far RET and IRET in all their forms: real and virtual-8086 mode, to the same and to an outer
 * privilege level, to virtual-8086 mode, out of a nested task, in 64-bit mode. Intel SDM vol.
 * 2, RET and IRET; vol. 3, 5.8.6, 6.14.3 and 21.2.2.
 */

#include "softcpu/insn.h"
#include "softcpu/system.h"

/* What IRET takes from the stack in any form, by operand size. */
#define FLAGS_ALWAYS (FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT)
#define FLAGS_WIDE (FLAG_RF | FLAG_AC | FLAG_ID)

/** struct frame - where a return goes. */
struct frame {
	uint64_t rip;
	uint16_t cs;
	uint64_t flags;
	struct soft_descriptor code;
	bool outer;
};

/* SDM vol. 2, RET, RETURN-TO-SAME- and -OUTER-PRIVILEGE-LEVEL: the code segment's checks. */
static void fetch_return_code(struct softcpu *cpu, struct frame *frame)
{
	struct soft_descriptor *code = &frame->code;
	unsigned int rpl = SELECTOR_RPL(frame->cs);

	if (SELECTOR_NULL(frame->cs)) {
		soft_raise_gp(cpu);
	}
	soft_fetch_descriptor(cpu, frame->cs, SOFT_GP, code);
	if (!soft_is_code(code->attr) || rpl < cpu->cpl ||
	    (soft_is_conforming(code->attr) ? soft_dpl(code->attr) > rpl :
					      soft_dpl(code->attr) != rpl) ||
	    (cpu->long_mode && (code->attr & CPU_SEG_L) && (code->attr & CPU_SEG_DB))) {
		soft_raise_selector(cpu, SOFT_GP, frame->cs);
	}
	if (!(code->attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, frame->cs);
	}
	frame->outer = rpl > cpu->cpl;
}

/* The stack segment that a return loads with it. */
static struct cpu_segment fetch_return_stack(struct softcpu *cpu, uint16_t selector,
					     const struct frame *frame)
{
	unsigned int rpl = SELECTOR_RPL(frame->cs);
	struct soft_descriptor desc;

	if (SELECTOR_NULL(selector)) {
		if (!cpu->long_mode || !(frame->code.attr & CPU_SEG_L) || rpl == 3) {
			soft_raise_gp(cpu);
		}
		return soft_null_segment(selector, rpl);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, &desc);
	if (SELECTOR_RPL(selector) != rpl || soft_dpl(desc.attr) != rpl ||
	    !soft_is_writable_data(desc.attr)) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(desc.attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_SS, selector);
	}
	soft_mark_accessed(cpu, &desc);
	return soft_segment(&desc, selector);
}

/*
 * Goes on at @frame; @stack has popped all but the outer SS:SP, which is there when @with_stack;
 * @release bytes of parameters are dropped from both stacks.
 */
static void commit_return(struct softcpu *cpu, struct frame *frame, struct soft_stack *stack,
			  unsigned int size, bool with_stack, uint16_t release)
{
	unsigned int cpl = SELECTOR_RPL(frame->cs);
	struct cpu_segment cs = soft_segment(&frame->code, frame->cs);
	struct soft_stack target = *stack;

	target.sp = (stack->sp & ~stack->mask) | ((stack->sp + release) & stack->mask);
	if (with_stack) {
		uint64_t sp = soft_pop(&target, size);
		uint16_t selector = (uint16_t)soft_pop(&target, size);
		struct cpu_segment ss = fetch_return_stack(cpu, selector, frame);

		target = soft_stack_fresh(cpu, &ss, sp + release,
					  cpu->long_mode && (cs.attr & CPU_SEG_L));
	}
	soft_check_target(cpu, &cs, frame->rip);
	soft_mark_accessed(cpu, &frame->code);
	cs.attr = frame->code.attr;
	soft_stack_commit(&target);
	soft_set_code(cpu, &cs, cpl);
	if (frame->outer) {
		soft_drop_inner_segments(cpu);
	}
	cpu->next_rip = frame->rip;
}

static void op_ret_far(struct softcpu *cpu, const struct soft_op *op)
{
	struct soft_stack stack = soft_stack_current(cpu);
	struct frame frame;

	frame.rip = soft_pop(&stack, op->opsize);
	frame.cs = (uint16_t)soft_pop(&stack, op->opsize);
	if (cpu->protected_mode && !cpu->v8086) {
		fetch_return_code(cpu, &frame);
		commit_return(cpu, &frame, &stack, op->opsize, frame.outer, (uint16_t)op->imm);
		return;
	}
	soft_check_target(cpu, &cpu->seg[CPU_CS], frame.rip);
	stack.sp = (stack.sp & ~stack.mask) | ((stack.sp + (uint16_t)op->imm) & stack.mask);
	soft_stack_commit(&stack);
	soft_real_segment(cpu, CPU_CS, frame.cs);
	soft_update_mode(cpu);
	cpu->next_rip = frame.rip;
}

static void unmask_nmi(struct softcpu *cpu)
{
	cpu->nmi_masked = false;
}

static void apply_flags(struct softcpu *cpu, uint64_t flags, uint64_t mask)
{
	soft_set_rflags(cpu, (cpu->rflags & ~mask) | (flags & mask) | 2);
}

static uint64_t wide_flags(unsigned int size)
{
	return size > 2 ? FLAGS_WIDE : 0;
}

/* Real mode, and virtual-8086 mode with IOPL 3: VM, VIP, VIF stay, in the latter IOPL too. */
static void iret_real(struct softcpu *cpu, unsigned int size, uint64_t mask)
{
	struct soft_stack stack = soft_stack_current(cpu);
	uint64_t rip = soft_pop(&stack, size);
	uint16_t selector = (uint16_t)soft_pop(&stack, size);
	uint64_t flags = soft_pop(&stack, size);

	soft_check_target(cpu, &cpu->seg[CPU_CS], rip);
	soft_stack_commit(&stack);
	soft_real_segment(cpu, CPU_CS, selector);
	soft_update_mode(cpu);
	cpu->next_rip = rip;
	apply_flags(cpu, flags, mask);
}

/* SDM vol. 3, 21.3.3.4: with VME and IOPL below 3 the program's IF is VIF. */
static void iret_v8086_vme(struct softcpu *cpu)
{
	struct soft_stack stack = soft_stack_current(cpu);
	uint64_t rip = soft_pop(&stack, 2);
	uint16_t selector = (uint16_t)soft_pop(&stack, 2);
	uint64_t flags = soft_pop(&stack, 2);

	if ((flags & FLAG_TF) || ((flags & FLAG_IF) && (cpu->rflags & FLAG_VIP))) {
		soft_raise_gp(cpu);
	}
	soft_check_target(cpu, &cpu->seg[CPU_CS], rip);
	soft_stack_commit(&stack);
	soft_real_segment(cpu, CPU_CS, selector);
	cpu->next_rip = rip;
	if (flags & FLAG_IF) {
		flags |= FLAG_VIF;
	}
	apply_flags(cpu, flags, FLAGS_ALWAYS | FLAG_VIF);
}

static void iret_v8086(struct softcpu *cpu, unsigned int size)
{
	if (soft_iopl(cpu) == 3) {
		iret_real(cpu, size, FLAGS_ALWAYS | FLAG_IF | wide_flags(size));
	} else if ((cpu->cr4 & CR4_VME) && size == 2) {
		iret_v8086_vme(cpu);
	} else {
		soft_raise_gp(cpu);
	}
}

/* CPL 0 returns to a virtual-8086 task; nine 32-bit words in all. */
static void iret_to_v8086(struct softcpu *cpu, const struct frame *frame, struct soft_stack *stack)
{
	uint64_t sp = soft_pop(stack, 4);
	uint16_t ss = (uint16_t)soft_pop(stack, 4);
	uint16_t es = (uint16_t)soft_pop(stack, 4);
	uint16_t ds = (uint16_t)soft_pop(stack, 4);
	uint16_t fs = (uint16_t)soft_pop(stack, 4);
	uint16_t gs = (uint16_t)soft_pop(stack, 4);

	if (frame->rip > 0xffff) {
		soft_raise_gp(cpu);
	}
	cpu->v8086 = true;
	soft_real_segment(cpu, CPU_CS, frame->cs);
	soft_real_segment(cpu, CPU_SS, ss);
	soft_real_segment(cpu, CPU_ES, es);
	soft_real_segment(cpu, CPU_DS, ds);
	soft_real_segment(cpu, CPU_FS, fs);
	soft_real_segment(cpu, CPU_GS, gs);
	cpu->gpr[CPU_RSP] = (uint32_t)sp;
	cpu->next_rip = frame->rip;
	apply_flags(cpu, frame->flags, FLAGS_ALWAYS | FLAGS_WIDE | FLAG_IF | FLAG_IOPL | FLAG_VM |
						FLAG_VIF | FLAG_VIP);
	soft_update_mode(cpu);
	soft_check_virtual_interrupt(cpu);
}

static void iret_protected(struct softcpu *cpu, unsigned int size)
{
	struct soft_stack stack = soft_stack_current(cpu);
	uint64_t mask = FLAGS_ALWAYS | wide_flags(size);
	unsigned int cpl = cpu->cpl;
	struct frame frame;

	frame.rip = soft_pop(&stack, size);
	frame.cs = (uint16_t)soft_pop(&stack, size);
	frame.flags = soft_pop(&stack, size);
	if (size == 4 && (frame.flags & FLAG_VM) && cpl == 0 && !cpu->long_mode) {
		iret_to_v8086(cpu, &frame, &stack);
		return;
	}
	if (cpl <= soft_iopl(cpu)) {
		mask |= FLAG_IF;
	}
	if (cpl == 0) {
		mask |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
	}
	fetch_return_code(cpu, &frame);
	commit_return(cpu, &frame, &stack, size, frame.outer || soft_in_64bit(cpu), 0);
	apply_flags(cpu, frame.flags, mask);
	soft_check_virtual_interrupt(cpu);
}

static void iret_task(struct softcpu *cpu)
{
	uint16_t link;

	if (cpu->long_mode) {
		soft_raise_gp(cpu);
	}
	link = (uint16_t)soft_linear_read(cpu, cpu->tr.base, 2);
	soft_task_switch(cpu, link, TASK_IRET);
}

static void op_iret(struct softcpu *cpu, const struct soft_op *op)
{
	if (!cpu->protected_mode) {
		iret_real(cpu, op->opsize,
			  FLAGS_ALWAYS | FLAG_IF | FLAG_IOPL | wide_flags(op->opsize));
	} else if (cpu->v8086) {
		iret_v8086(cpu, op->opsize);
	} else if (cpu->rflags & FLAG_NT) {
		iret_task(cpu);
	} else {
		iret_protected(cpu, op->opsize);
	}
	unmask_nmi(cpu);
}

bool soft_bind_return(const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_RET:
		if (insn->zydis.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
			return false;
		}
		op->fn = op_ret_far;
		op->imm = insn->zydis.operand_count_visible ? insn->operands[0].imm.value.u : 0;
		break;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		op->fn = op_iret;
		break;
	default:
		return false;
	}
	op->opsize = (uint8_t)(insn->zydis.operand_width / 8);
	op->ends_block = true;
	return true;
}
