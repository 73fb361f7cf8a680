/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_SOFTCPU_H
#define LIMEN_SOFTCPU_SOFTCPU_H

/*
 * The software CPU, seen from inside. Instructions are decoded by Zydis once (decode.c) into a
 * struct soft_op, which names the function that executes it; ops of a straight run of code form a
 * block that is kept until its page is written. Each topic (integer, string, control flow, system,
 * x87, vector ...) is a file that binds the mnemonics it knows to its functions.
 *
 * Precise faults: an instruction's function reads and checks everything before it changes anything
 * that the guest could see; soft_raise() leaves it by siglongjmp with cpu->rip still at the
 * instruction's start.
 *
 * Everything here belongs to one vCPU's thread; what other threads may touch is _Atomic.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "engine/cpu_model.h"
#include "engine/cpu_state.h"
#include "engine/engine.h"
#include "engine/lapic.h"
#include "memory/guest_memory.h"

struct softcpu;
struct soft_op;
struct soft_mmu;
struct soft_blocks;
struct soft_thunks;
struct soft_tlb_entry;

enum soft_vector {
	SOFT_DE = 0,
	SOFT_DB = 1,
	SOFT_NMI = 2,
	SOFT_BP = 3,
	SOFT_OF = 4,
	SOFT_BR = 5,
	SOFT_UD = 6,
	SOFT_NM = 7,
	SOFT_DF = 8,
	SOFT_TS = 10,
	SOFT_NP = 11,
	SOFT_SS = 12,
	SOFT_GP = 13,
	SOFT_PF = 14,
	SOFT_MF = 16,
	SOFT_AC = 17,
	SOFT_MC = 18,
	SOFT_XM = 19,
};

/* RFLAGS bits, SDM vol. 1, 3.4.3. */
enum soft_flags {
	FLAG_CF = 1 << 0,
	FLAG_PF = 1 << 2,
	FLAG_AF = 1 << 4,
	FLAG_ZF = 1 << 6,
	FLAG_SF = 1 << 7,
	FLAG_TF = 1 << 8,
	FLAG_IF = 1 << 9,
	FLAG_DF = 1 << 10,
	FLAG_OF = 1 << 11,
	FLAG_IOPL = 3 << 12,
	FLAG_NT = 1 << 14,
	FLAG_RF = 1 << 16,
	FLAG_VM = 1 << 17,
	FLAG_AC = 1 << 18,
	FLAG_VIF = 1 << 19,
	FLAG_VIP = 1 << 20,
	FLAG_ID = 1 << 21,
	FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

/* What the decoder depends on besides the bytes; a block belongs to one mode. */
enum soft_mode {
	SOFT_MODE_16,	   /* real, virtual-8086 or a 16-bit code segment */
	SOFT_MODE_32,
	SOFT_MODE_64,
};

/* Requests from other threads, in softcpu.requests. */
enum soft_request {
	SOFT_REQUEST_RETURN = 1 << 0,	  /* leave soft_run() */
	SOFT_REQUEST_INTERRUPT = 1 << 1,  /* look at the local APIC */
	SOFT_REQUEST_FLUSH = 1 << 2,	  /* drop the TLB (slots or dirty tracking changed) */
	SOFT_REQUEST_INIT = 1 << 3,
	SOFT_REQUEST_SIPI = 1 << 4,
	SOFT_REQUEST_NMI = 1 << 5,
	SOFT_REQUEST_EXTINT = 1 << 6,
	SOFT_REQUEST_CODE = 1 << 7, /* a page became code: drop write entries (blocks.c) */
	SOFT_REQUEST_THUNKS = 1 << 8, /* the thunk cache is full: drop all blocks, then
					 soft_thunk_reset() */
};

typedef void (*soft_fn)(struct softcpu *cpu, const struct soft_op *op);

#define SOFT_SEG_NONE 0xff
#define SOFT_REG_NONE 0xff

/* Two more places in the register array: an address is always base + index * scale + disp. */
enum {
	SOFT_REG_ZERO = CPU_GPR_COUNT, /* always 0: no base, no index */
	SOFT_REG_BLOCK,		       /* the block's first RIP: base of RIP-relative operands */
	SOFT_REG_COUNT,
};

/*
 * How an op's function is called. Binding functions write ordinary functions and leave it at
 * SOFT_CALL_FULL, or choose SOFT_CALL_PLAIN where that is allowed, which costs a third.
 */
enum soft_call {
	SOFT_CALL_FULL,	    /* with rip, next_rip and all of rflags right; it may change them */
	SOFT_CALL_PLAIN,    /* it neither reads nor writes rip, next_rip and the arithmetic flags */
	SOFT_CALL_THREADED, /* goes on to the next op by itself: threaded.h */
};

/**
 * struct soft_op - one decoded instruction
 * @fn: executes it
 * @call: filled by the decoder from @fn, which then leads to it (see enum soft_call)
 * @length: bytes
 * @opsize, @addrsize: bytes (1, 2, 4, 8)
 * @seg, @base, @index, @scale, @disp: the memory operand, for soft_ea(); @scale is a shift count
 * @reg, @rm: register operands (cpu_gpr numbers; for byte registers 16-19 mean AH, CH, DH, BH)
 * @imm: immediate, sign-extended
 * @rep: 0, 0xf2 or 0xf3; @lock: LOCK prefix present
 * @aux: what the binding file needs (a thunk, a condition, a sub-operation)
 * @ends_block: set by the binding function: it may change rip, or anything that decoding or running
 *        what follows depends on: mode, CPL, a segment register, RFLAGS other than the arithmetic
 *        ones (IF, TF, AC ...), control and debug registers, the TLB; or it sets interrupt_shadow,
 *        halted or pending_db. SOFT_CALL_FULL only
 * @offset: of the instruction in its block, bytes; @number: the op's place in it
 */
struct soft_op {
	soft_fn fn;
	uint64_t disp;
	uint64_t imm;
	union {
		void *aux;
		uint64_t aux_value;
	};
	union {
		soft_fn call;
		uint64_t address_mask; /* threaded.h's */
		void *link;	       /* control.c's */
	};
	uint16_t mnemonic; /* ZydisMnemonic, for reports */
	uint16_t offset;
	uint8_t length;
	uint8_t opsize;
	uint8_t addrsize;
	uint8_t seg;
	uint8_t base;
	uint8_t index;
	uint8_t scale;
	uint8_t reg;
	uint8_t rm;
	uint8_t rep;
	uint8_t kind; /* enum soft_call */
	uint8_t number;
	bool lock;
	bool has_mem;
	bool ends_block;
};

/**
 * struct soft_shared - what the CPUs of one machine share; owned by the engine
 * @split_lock: held by locked instructions that cannot be one host atomic
 * @code_lock: held while a page is marked as code
 * @code_epoch: raised whenever a page becomes a page of code (blocks.c)
 */
struct soft_shared {
	pthread_mutex_t split_lock;
	pthread_mutex_t code_lock;
	_Atomic uint64_t code_epoch;
};

/** soft_shared_init()/finish() - on the engine's memory. */
void soft_shared_init(struct soft_shared *shared);
void soft_shared_finish(struct soft_shared *shared);

/* softcpu.counters */
enum soft_counter {
	SOFT_COUNTER_PAUSES,
	SOFT_COUNTER_INTERRUPTS,
	SOFT_COUNTER_EXCEPTIONS,
	SOFT_COUNTER_HALTS,
};

/**
 * struct softcpu - a software CPU; embedded in the soft engine's vCPU
 * @gpr: the 16 registers, SOFT_REG_ZERO and SOFT_REG_BLOCK
 * @rip, @next_rip: of the instruction under way, in a SOFT_CALL_FULL function, which may change
 *        next_rip; between instructions rip is the next one
 * @rflags: complete in a SOFT_CALL_FULL function and between instructions
 * @flag_low, @flag_of: threaded.h's: the arithmetic flags while threaded ops run, as LAHF and SETO
 *        give them
 * @tlb: threaded.h's: the TLB entries for the present privilege
 * @op: the op under way
 * @synced: rip and rflags are right as they stand
 * @block_key: what blocks must have been decoded for (blocks.h)
 * @cpl, @mode: derived from cs, cr0, efer, rflags by soft_update_mode()
 * @fpu: the FXSAVE/XSAVE image (x87, MMX, SSE, AVX), standard format, as in cpu_state
 * @interrupt_shadow: set by STI and MOV/POP SS; soft_run() clears it after the next instruction
 * @halted: set by HLT; soft_run() sleeps until an interrupt and clears it. Saved as CPU_MP_HALTED
 * @mp_state: WAIT_INIT and WAIT_SIPI make soft_run() sleep too; HALTED is never here
 * @fault_*: what soft_raise() noted for soft_take_fault()
 */
struct softcpu {
	uint64_t gpr[SOFT_REG_COUNT];
	struct soft_tlb_entry *tlb;
	const struct soft_op *op;
	_Atomic uint32_t requests;
	uint8_t flag_low;
	uint8_t flag_of;
	bool synced;
	bool attention; /* leave the blocks: soft_run() has to look at the state */
	bool stepping;	/* RFLAGS.TF was set when the instruction under way began */
	bool nmi_pending; /* taken from requests, not delivered yet */
	bool check_interrupts; /* an interrupt may be waiting for RFLAGS.IF */
	uint16_t block_key;
	uint8_t cpl;
	uint8_t mode; /* enum soft_mode */
	bool long_mode; /* EFER.LMA */
	bool protected_mode;
	bool v8086;
	bool interrupt_shadow;
	bool nmi_masked;
	bool halted;
	uint64_t instructions; /* retired */
	uint64_t rip;
	uint64_t next_rip;
	uint64_t rflags;
	struct cpu_segment seg[CPU_SEG_COUNT];
	struct soft_mmu *mmu;
	struct soft_blocks *blocks;
	struct soft_thunks *thunks;
	uint64_t isa_allowed;	 /* feature.c's */
	uint16_t fpu_cs, fpu_ds; /* x87 pointers' selectors, which the image has no room for */
	void (*ferr)(struct softcpu *cpu); /* FERR# (CR0.NE clear), or NULL */

	struct cpu_segment ldt;
	struct cpu_segment tr;
	struct cpu_table gdt;
	struct cpu_table idt;
	uint64_t cr0, cr2, cr3, cr4;
	uint64_t efer;
	uint64_t xcr0;
	uint64_t dr[4], dr6, dr7;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat;
	int64_t tsc_offset; /* guest TSC = scaled machine clock + offset */
	uint8_t fpu[CPU_XSAVE_SIZE] __attribute__((aligned(64)));
	struct cpu_msr msrs[CPU_MSR_MAX]; /* the rest: plain storage */
	uint32_t msr_count;

	uint8_t mp_state; /* enum cpu_mp_state */
	_Atomic uint8_t sipi_vector;
	uint64_t pending_db; /* DR6 bits of a #DB trap to raise after this instruction */
	bool exception_active; /* an exception is being delivered: for #DF */
	uint8_t exception_vector;
	bool event_external; /* what is being delivered sets EXT in error codes */
	uint8_t fault_vector;
	bool fault_has_error;
	uint32_t fault_error;
	sigjmp_buf fault;
	struct lapic *lapic;
	struct soft_shared *shared;
	struct softcpu **peers; /* all CPUs of the machine, by index */
	unsigned int peer_count;
	unsigned int index;
	const struct cpu_model *model;
	const struct engine_env *env;
	struct vcpu *vcpu;
	uint64_t counters[16];
	struct log_limit msr_errors; /* budget of log lines for MSRs that do not exist */
};

/* ------- exceptions (fault.c) ------- */

/** soft_raise() - leave the instruction with an exception; the state is that of the instruction's
 *  start. Notes it in cpu->fault_* and does siglongjmp(cpu->fault, 1); soft_run() then makes rip
 *  and rflags right and calls soft_take_fault(). */
_Noreturn void soft_raise(struct softcpu *cpu, enum soft_vector vector);
_Noreturn void soft_raise_error(struct softcpu *cpu, enum soft_vector vector, uint32_t error_code);
/** soft_raise_page_fault() - sets CR2. */
_Noreturn void soft_raise_page_fault(struct softcpu *cpu, gva_t address, uint32_t error_code);

/**
 * soft_take_fault() - deliver the exception that soft_raise() noted, or #DF
 *
 * rip is the faulting instruction (for a #DB trap the next one). May itself soft_raise(), and is
 * then called again. Return: false on a triple fault.
 */
bool soft_take_fault(struct softcpu *cpu);

/* ------- memory (mmu.c): @offset within segment @seg, checked; then paging ------- */

uint8_t soft_read_u8(struct softcpu *cpu, unsigned int seg, uint64_t offset);
uint16_t soft_read_u16(struct softcpu *cpu, unsigned int seg, uint64_t offset);
uint32_t soft_read_u32(struct softcpu *cpu, unsigned int seg, uint64_t offset);
uint64_t soft_read_u64(struct softcpu *cpu, unsigned int seg, uint64_t offset);
void soft_write_u8(struct softcpu *cpu, unsigned int seg, uint64_t offset, uint8_t value);
void soft_write_u16(struct softcpu *cpu, unsigned int seg, uint64_t offset, uint16_t value);
void soft_write_u32(struct softcpu *cpu, unsigned int seg, uint64_t offset, uint32_t value);
void soft_write_u64(struct softcpu *cpu, unsigned int seg, uint64_t offset, uint64_t value);

/** soft_read_bytes()/write_bytes() - up to 4096 bytes as one operand: all of it is checked before
 *  any of it is written (FXSAVE, XSAVE, vector and x87 operands). */
void soft_read_bytes(struct softcpu *cpu, unsigned int seg, uint64_t offset, void *buf,
		     size_t size);
void soft_write_bytes(struct softcpu *cpu, unsigned int seg, uint64_t offset, const void *buf,
		      size_t size);

/** soft_check_write() - raise what a write of @size bytes there would raise. */
void soft_check_write(struct softcpu *cpu, unsigned int seg, uint64_t offset, size_t size);

/**
 * soft_map_rmw() - host address of an aligned operand for an atomic read-modify-write
 *
 * Return: NULL when it is I/O memory or crosses a page: the caller then takes the machine-wide
 * split lock (cpu->shared->split_lock) and does a read and a write.
 */
void *soft_map_rmw(struct softcpu *cpu, unsigned int seg, uint64_t offset, size_t size);
/** soft_rmw_done() - after the read-modify-write: notes it for dirty tracking and code pages. */
void soft_rmw_done(struct softcpu *cpu);

/** soft_linear_read/write() - system structures (descriptors, TSS) at supervisor privilege, by
 *  linear address. */
uint64_t soft_linear_read(struct softcpu *cpu, gva_t address, unsigned int size);
void soft_linear_write(struct softcpu *cpu, gva_t address, uint64_t value, unsigned int size);

/** soft_flush_tlb() - all entries (@global: also global ones); soft_flush_page() - one page. */
void soft_flush_tlb(struct softcpu *cpu, bool global);
void soft_flush_page(struct softcpu *cpu, gva_t address);

/** soft_ea() - the offset of the memory operand, truncated to the address size. */
static inline uint64_t soft_ea(const struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) + op->disp;

	if (op->addrsize == 8) {
		return ea;
	}
	return op->addrsize == 4 ? (uint32_t)ea : (uint16_t)ea;
}

/* ------- mode and segments (segment.c) ------- */

/** soft_update_mode() - derive cpl, mode and the flags beside them after CS, CR0, EFER or VM
 *  changed; ends the current block's validity. */
void soft_update_mode(struct softcpu *cpu);
/** soft_load_segment() - MOV/POP to a segment register with all checks of the mode. */
void soft_load_segment(struct softcpu *cpu, enum cpu_seg seg, uint16_t selector);

/* ------- decoding (decode.c) and binding ------- */

/**
 * struct soft_insn - what a binding function sees: Zydis's decoded form, and how the code segment
 * stands
 */
struct soft_insn;

/** Each binds the mnemonics of its topic: fills op->fn and op->aux (the operand fields are filled
 *  already) and returns true; false when the mnemonic is not its own or the model lacks the feature
 *  (#UD then). */
bool soft_bind_integer(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_control(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_string(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_system(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);
bool soft_bind_vector(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op);

/* ------- x87 and vector state (fpu.c, xsave.c) ------- */

/** soft_fpu_import() - after an XSAVE image was copied to cpu->fpu: makes it whole (components that
 *  its header says are in their initial state) and valid. */
void soft_fpu_import(struct softcpu *cpu);
/** soft_fpu_in_use() - XINUSE: the components not in their initial configuration (XGETBV with
 *  ECX 1). */
uint64_t soft_fpu_in_use(struct softcpu *cpu);

/* ------- machine code of vector and x87 instructions (thunk.c) ------- */

/** soft_thunk_create() - executable memory; soft_bind_vector() does it when the first is needed.
 *  Return: 0 or -errno. */
int soft_thunk_create(struct softcpu *cpu);
void soft_thunk_destroy(struct softcpu *cpu);

/**
 * soft_thunk_reset() - forget all thunks
 *
 * op->aux of vector, x87 and BMI instructions points into the cache: the caller has dropped every
 * block first. Whoever drops all blocks may call this. When the cache is full, soft_bind_vector()
 * binds an op that ends its block, sets SOFT_REQUEST_THUNKS and executes its instruction anew.
 */
void soft_thunk_reset(struct softcpu *cpu);

/* ------- the engine's side (run.c, interrupt.c, msr.c) ------- */

/** soft_cpu_init() - allocate the TLB and the block cache; env, shared, model, index, peers and
 *  lapic are set already. Return: 0 or -ENOMEM. soft_cpu_finish() - free them. */
int soft_cpu_init(struct softcpu *cpu, struct error *err);
void soft_cpu_finish(struct softcpu *cpu);

/** soft_state_loaded() - after registers were set from outside (load, reset): the TLB and whatever
 *  else derives from them is dropped. The CPU is not running. */
void soft_state_loaded(struct softcpu *cpu);

/** soft_run() - on the vCPU's thread, until SOFT_REQUEST_RETURN, a triple fault or a failure. */
enum vcpu_exit soft_run(struct softcpu *cpu);

/** soft_request() - any thread, async-signal-safe; wakes a halted CPU. */
void soft_request(struct softcpu *cpu, enum soft_request request);

/** soft_take_init(), soft_take_sipi() - (interrupt.c) what INIT and start-up IPIs do to the CPU's
 *  state; called between instructions. They set mp_state. */
void soft_take_init(struct softcpu *cpu);
void soft_take_sipi(struct softcpu *cpu, uint8_t vector);

/**
 * soft_interrupt_vector() - (interrupt.c) acknowledge the interrupt that would be taken now
 *
 * From the PIC by ExtINT, or from the local APIC. Return: its vector, or -1 when there is none.
 */
int soft_interrupt_vector(struct softcpu *cpu);

/** soft_interrupt_pending() - (interrupt.c) whether it would return one; for HLT. */
bool soft_interrupt_pending(struct softcpu *cpu);

/** soft_steps_branches() - (debug.c) whether DEBUGCTL.BTF is set. */
bool soft_steps_branches(const struct softcpu *cpu);

/** soft_check_io() - (system.c) raise #GP where IOPL and the TSS's bitmap forbid the port. */
void soft_check_io(struct softcpu *cpu, uint16_t port, unsigned int size);

/**
 * soft_deliver() - take an exception or interrupt now: push the frame, switch stacks and tasks
 *
 * The return address is rip; with @software (INT n, INT3, INTO) it is next_rip. Leaves both rip and
 * next_rip at the handler. @external: not caused by the instruction, for the error code's EXT bit.
 */
void soft_deliver(struct softcpu *cpu, uint8_t vector, bool has_error, uint32_t error_code,
		  bool software, bool external);
/** soft_read_msr()/write_msr() - false: #GP. */
bool soft_read_msr(struct softcpu *cpu, uint32_t index, uint64_t *ret_value);
bool soft_write_msr(struct softcpu *cpu, uint32_t index, uint64_t value);
uint64_t soft_tsc(struct softcpu *cpu);

#endif
