/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_SYSTEM_H
#define LIMEN_SOFTCPU_SYSTEM_H

/*
 * What the files of the system half share: descriptors, control transfers between segments,
 * privilege levels and tasks, control registers. Intel SDM vol. 3, chapters 2, 3, 5, 6 and 8.
 *
 * In a transfer everything is read and checked before a register changes; what is written meanwhile
 * are stack words below the stack pointer and accessed bits, which a restart writes again.
 */

#include "engine/msr.h"
#include "softcpu/softcpu.h"

struct soft_insn;

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)

#define DR6_B_MASK 0xf
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR6_BT BIT(15)
#define DR6_FIXED 0xffff0ff0
#define DR6_WRITABLE 0xe00f
#define DEBUGCTL_LBR BIT(0)
#define DEBUGCTL_BTF BIT(1)
#define DR7_LOCAL 0x155 /* L0-L3 and LE */
#define DR7_GD BIT(13)
#define DR7_FIXED 0x400
#define DR7_WRITABLE 0xffff23ff

#define SELECTOR_RPL(sel) ((unsigned int)(sel) & 3)
#define SELECTOR_TI 4
#define SELECTOR_NULL(sel) (((sel) & ~3u) == 0)

/* Types of system descriptors, SDM vol. 3, table 3-2. */
enum soft_system_type {
	TYPE_TSS16 = 1,
	TYPE_LDT = 2,
	TYPE_TSS16_BUSY = 3,
	TYPE_CALL16 = 4,
	TYPE_TASK_GATE = 5,
	TYPE_INTERRUPT16 = 6,
	TYPE_TRAP16 = 7,
	TYPE_TSS32 = 9, /* 64-bit in long mode, as all that follow */
	TYPE_TSS32_BUSY = 11,
	TYPE_CALL32 = 12,
	TYPE_INTERRUPT32 = 14,
	TYPE_TRAP32 = 15,
	TYPE_BUSY = 2, /* the bit that makes a TSS busy */
};

/* Types of code and data segments, SDM vol. 3, table 3-1. */
#define TYPE_ACCESSED 1
#define TYPE_WRITABLE 2 /* data */
#define TYPE_READABLE 2 /* code */
#define TYPE_EXPAND_DOWN 4
#define TYPE_CONFORMING 4
#define TYPE_CODE 8

/**
 * struct soft_descriptor - one entry of a descriptor table
 * @raw: its 8 bytes; @address: linear address of them
 * @attr: as in struct cpu_segment
 */
struct soft_descriptor {
	uint64_t raw;
	gva_t address;
	uint64_t base;
	uint32_t limit;
	uint32_t attr;
	uint16_t selector;
};

/** struct soft_gate - a descriptor seen as a gate; @count: parameters, or IST. */
struct soft_gate {
	uint16_t selector;
	uint64_t offset;
	uint8_t count;
};

static inline unsigned int soft_dpl(uint32_t attr)
{
	return CPU_SEG_DPL(attr);
}

static inline bool soft_is_code(uint32_t attr)
{
	return (attr & CPU_SEG_S) && (attr & TYPE_CODE);
}

static inline bool soft_is_writable_data(uint32_t attr)
{
	return (attr & CPU_SEG_S) && (attr & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_WRITABLE;
}

static inline bool soft_is_data_or_readable(uint32_t attr)
{
	return (attr & CPU_SEG_S) && (attr & (TYPE_CODE | TYPE_READABLE)) != TYPE_CODE;
}

static inline bool soft_is_conforming(uint32_t attr)
{
	return (attr & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING);
}

static inline bool soft_in_64bit(const struct softcpu *cpu)
{
	return cpu->mode == SOFT_MODE_64;
}

static inline unsigned int soft_iopl(const struct softcpu *cpu)
{
	return (cpu->rflags >> 12) & 3;
}

/** soft_canonical() - bits 63 to 47 all equal; the model has no five-level paging. */
static inline bool soft_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/** soft_merge() - @value of @size bytes into the low part of @old; 32-bit writes clear the rest. */
static inline uint64_t soft_merge(uint64_t old, uint64_t value, unsigned int size)
{
	switch (size) {
	case 1: return (old & ~UINT64_C(0xff)) | (uint8_t)value;
	case 2: return (old & ~UINT64_C(0xffff)) | (uint16_t)value;
	case 4: return (uint32_t)value;
	default: return value;
	}
}

/* ------- fault.c ------- */

/** soft_raise_gp() - #GP(0). soft_require_cpl0() - #GP(0) unless CPL is 0. */
_Noreturn void soft_raise_gp(struct softcpu *cpu);
void soft_require_cpl0(struct softcpu *cpu);
/** soft_raise_selector() - an exception whose error code is a selector's (RPL dropped). */
_Noreturn void soft_raise_selector(struct softcpu *cpu, enum soft_vector vector, uint16_t selector);

/* ------- descriptor.c ------- */

/** soft_decode_descriptor() - take 8 bytes of a descriptor table apart. */
struct soft_descriptor soft_decode_descriptor(uint64_t raw, gva_t address, uint16_t selector);
/** soft_find_descriptor() - read the entry that @selector names; false when it is outside its
 *  table. A null selector is not looked at specially. */
bool soft_find_descriptor(struct softcpu *cpu, uint16_t selector, struct soft_descriptor *ret);
/** soft_fetch_descriptor() - the same; raises @vector(@selector) instead of answering false. */
void soft_fetch_descriptor(struct softcpu *cpu, uint16_t selector, enum soft_vector vector,
			   struct soft_descriptor *ret);
/** soft_extend_descriptor() - in long mode: the upper 8 bytes of a system descriptor, for its base.
 *  False when they are outside the table or not of type 0. */
bool soft_extend_descriptor(struct softcpu *cpu, struct soft_descriptor *desc);
/** soft_decode_gate() - @wide: a 16-byte gate, whose upper half is read too. */
bool soft_decode_gate(struct softcpu *cpu, const struct soft_descriptor *desc, bool wide,
		      struct soft_gate *ret);
/** soft_mark_accessed() - set the accessed bit of a code or data descriptor in memory. */
void soft_mark_accessed(struct softcpu *cpu, struct soft_descriptor *desc);
/** soft_set_busy() - set or clear a TSS descriptor's busy bit in memory. */
void soft_set_busy(struct softcpu *cpu, struct soft_descriptor *desc, bool busy);
/** soft_segment() - what a segment register holds after loading @desc with @selector. */
struct cpu_segment soft_segment(const struct soft_descriptor *desc, uint16_t selector);

/* ------- segment.c ------- */

/** soft_null_segment() - a segment register with a null selector; @dpl counts for SS. */
struct cpu_segment soft_null_segment(uint16_t selector, unsigned int dpl);
/** soft_real_segment() - load @seg as real and virtual-8086 mode do. */
void soft_real_segment(struct softcpu *cpu, enum cpu_seg seg, uint16_t selector);
/** soft_set_code() - make @cs current with @cpl: RPL, mode. SS must be right already. */
void soft_set_code(struct softcpu *cpu, const struct cpu_segment *cs, unsigned int cpl);
/** soft_set_cpl() - CPL is kept as the DPL of SS. */
void soft_set_cpl(struct softcpu *cpu, unsigned int cpl);
/** soft_drop_inner_segments() - on a return to an outer level: null what it may not use. */
void soft_drop_inner_segments(struct softcpu *cpu);
/** soft_check_target() - #GP(0) unless @offset lies in @cs. */
void soft_check_target(struct softcpu *cpu, const struct cpu_segment *cs, uint64_t offset);
/** soft_load_ldt() - as LLDT does; faults are @vector(@selector). */
void soft_load_ldt(struct softcpu *cpu, uint16_t selector, enum soft_vector vector);

/* ------- stack.c ------- */

/**
 * struct soft_stack - a stack that is pushed to or popped from without moving SP yet
 * @ss: of a fresh stack
 * @sp, @mask: running stack pointer and its width
 * @fresh: not the current stack, but one of an inner level: pushes are a supervisor's, faults name
 *         its selector
 * @wide: 64-bit mode: no segment checks
 * @user: fresh, but no inner level (a 64-bit frame on CPL 3's own stack)
 */
struct soft_stack {
	struct softcpu *cpu;
	struct cpu_segment ss;
	uint64_t sp;
	uint64_t mask;
	bool fresh;
	bool wide;
	bool user;
};

/** soft_stack_current() - the stack of SS:SP. */
struct soft_stack soft_stack_current(struct softcpu *cpu);
/** soft_stack_fresh() - another stack. */
struct soft_stack soft_stack_fresh(struct softcpu *cpu, const struct cpu_segment *ss, uint64_t sp,
				   bool wide);
/** soft_stack_wide() - the current stack for a frame of 8-byte slots, from any of long mode. */
struct soft_stack soft_stack_wide(struct softcpu *cpu);
void soft_push(struct soft_stack *stack, uint64_t value, unsigned int size);
uint64_t soft_pop(struct soft_stack *stack, unsigned int size);
/** soft_stack_commit() - SP becomes the running one (its low half for a 16-bit stack); SS too for
 *  a fresh stack. */
void soft_stack_commit(const struct soft_stack *stack);

/** soft_inner_stack() - SS:SP for level @cpl out of the TSS, checked: #TS, #SS. Legacy modes. */
struct soft_stack soft_inner_stack(struct softcpu *cpu, unsigned int cpl);
/** soft_inner_stack64() - the same out of a 64-bit TSS; @ist 0: RSP of @cpl. */
struct soft_stack soft_inner_stack64(struct softcpu *cpu, unsigned int cpl, unsigned int ist);

/* ------- interrupt.c ------- */

/** soft_deliver_int1() - INT1: as soft_deliver() of #DB, but with next_rip and no DR6 bits. */
void soft_deliver_int1(struct softcpu *cpu);
/** soft_deliver_redirected() - INT n in virtual-8086 mode by the task's own table (VME). */
void soft_deliver_redirected(struct softcpu *cpu, uint8_t vector);

/* ------- far.c, return.c ------- */

bool soft_bind_far(const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_return(const struct soft_insn *insn, struct soft_op *op);

/* ------- task.c ------- */

enum soft_task_reason {
	TASK_JMP,
	TASK_CALL,
	TASK_INTERRUPT,
	TASK_IRET,
};

/** soft_task_switch() - to the TSS that @selector names; from next_rip. Sets next_rip. */
void soft_task_switch(struct softcpu *cpu, uint16_t selector, enum soft_task_reason reason);
/** soft_task_gate() - through a task gate whose checks of privilege were made. */
void soft_task_gate(struct softcpu *cpu, const struct soft_descriptor *gate,
		    enum soft_task_reason reason);

/* ------- control_regs.c ------- */

void soft_set_cr0(struct softcpu *cpu, uint64_t value);
void soft_set_cr3(struct softcpu *cpu, uint64_t value);
void soft_set_cr4(struct softcpu *cpu, uint64_t value);
bool soft_set_efer(struct softcpu *cpu, uint64_t value);
/** soft_cr4_bits(), soft_efer_bits() - which bits the model has. */
uint64_t soft_cr4_bits(const struct softcpu *cpu);
uint64_t soft_efer_bits(const struct softcpu *cpu);
/** soft_has() - a CPUID feature of the model: register 0 is EAX, 1 EBX, 2 ECX, 3 EDX. */
bool soft_has(const struct softcpu *cpu, uint32_t leaf, unsigned int reg, unsigned int bit);
bool soft_bind_control_regs(const struct soft_insn *insn, struct soft_op *op);

/* ------- flags.c ------- */

/* Every flag that exists. */
#define FLAGS_DEFINED                                                                              \
	(FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM |     \
	 FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID)

/** soft_set_rflags() - any flag may change: what derives from VM and AC follows. */
void soft_set_rflags(struct softcpu *cpu, uint64_t value);
/** soft_check_virtual_interrupt() - at the end of a transfer: the #GP of VIF and VIP both set. */
void soft_check_virtual_interrupt(struct softcpu *cpu);
bool soft_bind_flags(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);

/* ------- debug.c ------- */

/** soft_debug_trap() - note DR6 bits of a #DB to raise after this instruction. */
void soft_debug_trap(struct softcpu *cpu, uint64_t bits);
/** soft_check_io_breakpoints() - breakpoints on ports (CR4.DE). */
void soft_check_io_breakpoints(struct softcpu *cpu, uint16_t port, unsigned int size);
bool soft_bind_debug(const struct soft_insn *insn, struct soft_op *op);

/* ------- tables.c, segment_ops.c, syscall.c, processor.c ------- */

/** soft_check_umip() - #GP(0) where CR4.UMIP hides system registers from user code. */
void soft_check_umip(struct softcpu *cpu);
bool soft_bind_tables(const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_segment(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_syscall(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_processor(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
/** soft_xcr0_valid() - whether XSETBV would take @value. */
bool soft_xcr0_valid(const struct softcpu *cpu, uint64_t value);

/* ------- msr.c ------- */

/** soft_msr_slot() - where a plain MSR of the saved list is stored; NULL when not in the list. */
uint64_t *soft_msr_slot(struct softcpu *cpu, uint32_t index);
/** soft_msr_reset() - the values of power-on. */
void soft_msr_reset(struct softcpu *cpu);
/** soft_msr_save()/load() - those that are members here, and the rest; load refuses bad values. */
void soft_msr_save(struct softcpu *cpu, struct cpu_state *state);
int soft_msr_load(struct softcpu *cpu, const struct cpu_state *state, struct error *err);

/** soft_set_tsc() - the TSC reads @value now; TSC_ADJUST stays. */
void soft_set_tsc(struct softcpu *cpu, uint64_t value);

/* ------- pvclock.c ------- */

/** soft_pvclock_update() - write the page that KVM's system time MSR with @value names. False:
 *  #GP. */
bool soft_pvclock_update(struct softcpu *cpu, uint64_t value);
/** soft_pvclock_wall_clock() - the same for the wall clock. */
bool soft_pvclock_wall_clock(struct softcpu *cpu, uint64_t value);

#endif
