/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The binding function of the system half, software interrupts, and the permission to use a
 * port. Intel SDM vol. 2, INT n; vol. 3, 6.4.4 and 21.3.3; vol. 1, 19.5 (I/O permission
 * bitmap).
 *
 * Instructions of VMX, SVM, SMX, SGX and RSM are not bound by anyone: #UD, as on processors
 * without them or outside of SMM.
 */

#include "softcpu/system.h"

#include "softcpu/insn.h"

#define TSS32_IO_MAP 0x66
#define REDIRECTION_BYTES 32

static bool has_io_map(const struct softcpu *cpu)
{
	/* Only a 32- or 64-bit TSS that reaches so far has one. */
	return (cpu->tr.attr & 8) && cpu->tr.limit >= 0x67;
}

static bool io_map_allows(struct softcpu *cpu, uint16_t port, unsigned int size)
{
	unsigned int offset;
	uint16_t bits;

	if (!has_io_map(cpu)) {
		return false;
	}
	offset = (unsigned int)soft_linear_read(cpu, cpu->tr.base + TSS32_IO_MAP, 2) + port / 8;
	if (offset + 1 > cpu->tr.limit) {
		return false;
	}
	bits = (uint16_t)soft_linear_read(cpu, cpu->tr.base + offset, 2);
	return !(bits >> (port % 8) & ((1u << size) - 1));
}

void soft_check_io(struct softcpu *cpu, uint16_t port, unsigned int size)
{
	if (cpu->protected_mode && (cpu->v8086 || cpu->cpl > soft_iopl(cpu)) &&
	    !io_map_allows(cpu, port, size)) {
		soft_raise_gp(cpu);
	}
	soft_check_io_breakpoints(cpu, port, size);
}

/* SDM vol. 3, 21.3.3: whether INT @vector goes to the virtual-8086 task's own table. */
static bool is_redirected(struct softcpu *cpu, uint8_t vector)
{
	unsigned int offset;

	if (!(cpu->cr4 & CR4_VME) || !has_io_map(cpu)) {
		return false;
	}
	offset = (unsigned int)soft_linear_read(cpu, cpu->tr.base + TSS32_IO_MAP, 2);
	offset = offset - REDIRECTION_BYTES + vector / 8;
	if (offset > cpu->tr.limit) {
		return false;
	}
	return !(soft_linear_read(cpu, cpu->tr.base + offset, 1) >> (vector % 8) & 1);
}

static void op_int(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t vector = (uint8_t)op->imm;

	if (cpu->v8086) {
		if (is_redirected(cpu, vector)) {
			soft_deliver_redirected(cpu, vector);
			return;
		}
		if (soft_iopl(cpu) < 3) {
			soft_raise_gp(cpu);
		}
	}
	soft_deliver(cpu, vector, false, 0, true, false);
}

static void op_int3(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_deliver(cpu, SOFT_BP, false, 0, true, false);
}

static void op_into(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	if (cpu->rflags & FLAG_OF) {
		soft_deliver(cpu, SOFT_OF, false, 0, true, false);
	}
}

static void op_int1(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	soft_deliver_int1(cpu);
}

static bool bind_interrupt(const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_INT: op->fn = op_int; break;
	case ZYDIS_MNEMONIC_INT3: op->fn = op_int3; break;
	case ZYDIS_MNEMONIC_INTO: op->fn = op_into; break;
	case ZYDIS_MNEMONIC_INT1: op->fn = op_int1; break;
	default: return false;
	}
	op->ends_block = true;
	return true;
}

bool soft_bind_system(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	return bind_interrupt(insn, op) || soft_bind_far(insn, op) ||
	       soft_bind_return(insn, op) || soft_bind_flags(cpu, insn, op) ||
	       soft_bind_segment(cpu, insn, op) || soft_bind_control_regs(insn, op) ||
	       soft_bind_debug(insn, op) || soft_bind_tables(insn, op) ||
	       soft_bind_syscall(cpu, insn, op) || soft_bind_processor(cpu, insn, op);
}
