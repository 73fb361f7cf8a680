/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Delivery of interrupts and exceptions: the real-mode table, interrupt, trap and task gates, the
 * 64-bit table with its interrupt stacks; from every mode, virtual-8086 included. Intel SDM vol. 3,
 * chapter 6 and 21.1.4; vol. 2, INT n.
 *
 * Which interrupt comes next is asked of the local APIC and, through it, of the PIC.
 */

#include "softcpu/system.h"

#include "softcpu/mmu.h"

/**
 * struct event - what is delivered
 * @return_rip: pushed as the return address
 * @check_dpl: INT n, INT3, INTO: the gate's DPL counts
 */
struct event {
	uint8_t vector;
	bool has_error;
	bool check_dpl;
	uint32_t error;
	uint64_t return_rip;
};

/* SDM vol. 3, figure 6-6: the error code that names an entry of the IDT. */
_Noreturn static void raise_idt(struct softcpu *cpu, enum soft_vector fault, uint8_t vector)
{
	soft_raise_error(cpu, fault, vector * 8u + 2);
}

static void finish(struct softcpu *cpu, uint64_t rip, uint64_t clear)
{
	cpu->rip = rip;
	cpu->next_rip = rip;
	cpu->interrupt_shadow = false;
	cpu->stepping = false;
	soft_set_rflags(cpu, cpu->rflags & ~clear);
}

static void deliver_real(struct softcpu *cpu, const struct event *ev)
{
	unsigned int offset = ev->vector * 4u;
	struct soft_stack stack = soft_stack_current(cpu);
	uint32_t entry;

	if (offset + 3 > cpu->idt.limit) {
		raise_idt(cpu, SOFT_GP, ev->vector);
	}
	entry = (uint32_t)soft_linear_read(cpu, cpu->idt.base + offset, 4);
	soft_push(&stack, cpu->rflags, 2);
	soft_push(&stack, cpu->seg[CPU_CS].selector, 2);
	soft_push(&stack, ev->return_rip, 2);
	if ((entry & 0xffff) > cpu->seg[CPU_CS].limit) {
		soft_raise_gp(cpu);
	}
	soft_stack_commit(&stack);
	soft_real_segment(cpu, CPU_CS, (uint16_t)(entry >> 16));
	finish(cpu, entry & 0xffff, FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
	soft_update_mode(cpu);
}

/* The handler's code segment and the level it runs at. */
static unsigned int fetch_handler(struct softcpu *cpu, uint16_t selector,
				  struct soft_descriptor *ret)
{
	unsigned int cpl;

	if (SELECTOR_NULL(selector)) {
		soft_raise_gp(cpu);
	}
	soft_fetch_descriptor(cpu, selector, SOFT_GP, ret);
	if (!soft_is_code(ret->attr) || soft_dpl(ret->attr) > cpu->cpl) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (cpu->long_mode && (ret->attr & (CPU_SEG_L | CPU_SEG_DB)) != CPU_SEG_L) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	if (!(ret->attr & CPU_SEG_P)) {
		soft_raise_selector(cpu, SOFT_NP, selector);
	}
	cpl = soft_is_conforming(ret->attr) ? cpu->cpl : soft_dpl(ret->attr);
	if (cpu->v8086 && cpl != 0) {
		soft_raise_selector(cpu, SOFT_GP, selector);
	}
	return cpl;
}

static void enter_handler(struct softcpu *cpu, struct soft_stack *stack,
			  struct soft_descriptor *desc, unsigned int cpl)
{
	struct cpu_segment cs;

	soft_mark_accessed(cpu, desc);
	cs = soft_segment(desc, desc->selector);
	soft_stack_commit(stack);
	soft_set_code(cpu, &cs, cpl);
}

static void push_v8086_segments(struct softcpu *cpu, struct soft_stack *stack, unsigned int size)
{
	soft_push(stack, cpu->seg[CPU_GS].selector, size);
	soft_push(stack, cpu->seg[CPU_FS].selector, size);
	soft_push(stack, cpu->seg[CPU_DS].selector, size);
	soft_push(stack, cpu->seg[CPU_ES].selector, size);
}

static void leave_v8086(struct softcpu *cpu)
{
	cpu->rflags &= ~(uint64_t)FLAG_VM;
	cpu->v8086 = false;
	cpu->seg[CPU_GS] = soft_null_segment(0, 0);
	cpu->seg[CPU_FS] = soft_null_segment(0, 0);
	cpu->seg[CPU_DS] = soft_null_segment(0, 0);
	cpu->seg[CPU_ES] = soft_null_segment(0, 0);
}

/* SDM vol. 2, INT n: INTER-, INTRA-PRIVILEGE-LEVEL and INTERRUPT-FROM-VIRTUAL-8086-MODE. */
static void through_gate(struct softcpu *cpu, const struct event *ev,
			 const struct soft_descriptor *entry)
{
	unsigned int size = entry->attr & 8 ? 4 : 2;
	bool v8086 = cpu->v8086;
	struct soft_descriptor code;
	struct soft_stack stack;
	struct soft_gate gate;
	unsigned int cpl;

	soft_decode_gate(cpu, entry, false, &gate);
	cpl = fetch_handler(cpu, gate.selector, &code);
	if (cpl < cpu->cpl) {
		stack = soft_inner_stack(cpu, cpl);
		if (v8086) {
			push_v8086_segments(cpu, &stack, size);
		}
		soft_push(&stack, cpu->seg[CPU_SS].selector, size);
		soft_push(&stack, cpu->gpr[CPU_RSP], size);
	} else {
		stack = soft_stack_current(cpu);
	}
	soft_push(&stack, cpu->rflags, size);
	soft_push(&stack, cpu->seg[CPU_CS].selector, size);
	soft_push(&stack, ev->return_rip, size);
	if (ev->has_error) {
		soft_push(&stack, ev->error, size);
	}
	if (gate.offset > code.limit) {
		soft_raise_gp(cpu);
	}
	if (v8086) {
		leave_v8086(cpu);
	}
	enter_handler(cpu, &stack, &code, cpl);
	finish(cpu, gate.offset, FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM |
					 (entry->attr & 1 ? 0 : FLAG_IF));
}

/* SDM vol. 3, 6.14: always SS:RSP, 8-byte slots, an aligned frame. */
static void through_gate64(struct softcpu *cpu, const struct event *ev,
			   const struct soft_descriptor *entry)
{
	struct soft_descriptor code;
	struct soft_stack stack;
	struct soft_gate gate;
	unsigned int cpl;

	if (!soft_decode_gate(cpu, entry, true, &gate)) {
		raise_idt(cpu, SOFT_GP, ev->vector);
	}
	cpl = fetch_handler(cpu, gate.selector, &code);
	if (cpl < cpu->cpl) {
		stack = soft_inner_stack64(cpu, cpl, gate.count & 7);
	} else if (gate.count & 7) {
		stack = soft_inner_stack64(cpu, cpl, gate.count & 7);
		stack.ss = cpu->seg[CPU_SS];
		stack.user = cpl == 3;
	} else {
		stack = soft_stack_wide(cpu);
	}
	stack.sp &= ~UINT64_C(0xf);
	soft_push(&stack, cpu->seg[CPU_SS].selector, 8);
	soft_push(&stack, cpu->gpr[CPU_RSP], 8);
	soft_push(&stack, cpu->rflags, 8);
	soft_push(&stack, cpu->seg[CPU_CS].selector, 8);
	soft_push(&stack, ev->return_rip, 8);
	if (ev->has_error) {
		soft_push(&stack, ev->error, 8);
	}
	if (!soft_canonical(gate.offset)) {
		soft_raise_gp(cpu);
	}
	enter_handler(cpu, &stack, &code, cpl);
	finish(cpu, gate.offset, FLAG_TF | FLAG_NT | FLAG_RF | (entry->attr & 1 ? 0 : FLAG_IF));
}

static void through_task_gate(struct softcpu *cpu, const struct event *ev,
			      const struct soft_descriptor *entry)
{
	cpu->next_rip = ev->return_rip;
	soft_task_gate(cpu, entry, TASK_INTERRUPT);
	if (ev->has_error) {
		struct soft_stack stack = soft_stack_current(cpu);

		/* In the new task's context: a fault here is the new task's. */
		cpu->rip = cpu->next_rip;
		soft_push(&stack, ev->error, cpu->tr.attr & 8 ? 4 : 2);
		soft_stack_commit(&stack);
	}
	cpu->rip = cpu->next_rip;
	cpu->interrupt_shadow = false;
	cpu->stepping = false;
}

static void deliver_protected(struct softcpu *cpu, const struct event *ev)
{
	unsigned int size = cpu->long_mode ? 16 : 8;
	unsigned int offset = ev->vector * size;
	struct soft_descriptor entry;
	gva_t address = cpu->idt.base + offset;
	unsigned int type;

	if (offset + size - 1 > cpu->idt.limit) {
		raise_idt(cpu, SOFT_GP, ev->vector);
	}
	if (!cpu->long_mode) {
		address = (uint32_t)address;
	}
	entry = soft_decode_descriptor(soft_linear_read(cpu, address, 8), address, 0);
	type = entry.attr & (CPU_SEG_S | 0xf);
	if (type != TYPE_INTERRUPT32 && type != TYPE_TRAP32 &&
	    (cpu->long_mode || (type != TYPE_INTERRUPT16 && type != TYPE_TRAP16 &&
				type != TYPE_TASK_GATE))) {
		raise_idt(cpu, SOFT_GP, ev->vector);
	}
	if (ev->check_dpl && soft_dpl(entry.attr) < cpu->cpl) {
		raise_idt(cpu, SOFT_GP, ev->vector);
	}
	if (!(entry.attr & CPU_SEG_P)) {
		raise_idt(cpu, SOFT_NP, ev->vector);
	}
	if (type == TYPE_TASK_GATE) {
		through_task_gate(cpu, ev, &entry);
	} else if (cpu->long_mode) {
		through_gate64(cpu, ev, &entry);
	} else {
		through_gate(cpu, ev, &entry);
	}
}

static void deliver(struct softcpu *cpu, const struct event *ev, bool external)
{
	cpu->event_external = external;
	if (cpu->protected_mode) {
		deliver_protected(cpu, ev);
	} else {
		deliver_real(cpu, ev);
	}
	cpu->event_external = false;
}

void soft_deliver(struct softcpu *cpu, uint8_t vector, bool has_error, uint32_t error_code,
		  bool software, bool external)
{
	const struct event ev = {
		.vector = vector,
		.has_error = has_error,
		.error = error_code,
		.check_dpl = software,
		.return_rip = software ? cpu->next_rip : cpu->rip,
	};

	deliver(cpu, &ev, external);
	if (vector == SOFT_NMI && external && !has_error) {
		cpu->nmi_masked = true;
	}
}

void soft_deliver_int1(struct softcpu *cpu)
{
	const struct event ev = { .vector = SOFT_DB, .return_rip = cpu->next_rip };

	deliver(cpu, &ev, true);
}

void soft_deliver_redirected(struct softcpu *cpu, uint8_t vector)
{
	uint64_t clear = soft_iopl(cpu) == 3 ? FLAG_IF | FLAG_TF : FLAG_VIF | FLAG_TF;
	struct soft_stack stack = soft_stack_current(cpu);
	uint64_t flags = cpu->rflags;
	uint32_t entry;

	if (soft_iopl(cpu) < 3) {
		flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
		if (flags & FLAG_VIF) {
			flags |= FLAG_IF;
		}
	}
	/* The table of the virtual-8086 task, at linear address 0 (SDM vol. 3, 21.3.3.4). */
	entry = (uint32_t)soft_load_class(cpu, vector * 4u, 4, SOFT_TLB_USER);
	soft_push(&stack, flags, 2);
	soft_push(&stack, cpu->seg[CPU_CS].selector, 2);
	soft_push(&stack, cpu->next_rip, 2);
	soft_stack_commit(&stack);
	soft_real_segment(cpu, CPU_CS, (uint16_t)(entry >> 16));
	finish(cpu, entry & 0xffff, clear | FLAG_RF);
	soft_update_mode(cpu);
}

bool soft_interrupt_pending(struct softcpu *cpu)
{
	return lapic_pending(cpu->lapic) >= 0 || lapic_extint_pending(cpu->lapic);
}

static int acknowledge(struct softcpu *cpu)
{
	int vector;

	if (lapic_extint_pending(cpu->lapic)) {
		vector = cpu->env->pic_intack(cpu->env->opaque);
		lapic_extint_accept(cpu->lapic);
		if (vector >= 0) {
			return vector;
		}
	}
	vector = lapic_pending(cpu->lapic);
	if (vector >= 0) {
		lapic_accept(cpu->lapic, (uint8_t)vector);
	}
	return vector;
}

int soft_interrupt_vector(struct softcpu *cpu)
{
	int vector = acknowledge(cpu);

	if (vector >= 0) {
		cpu->counters[SOFT_COUNTER_INTERRUPTS]++;
	}
	return vector;
}
