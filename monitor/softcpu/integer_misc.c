/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NOP in its forms, the instructions on cache lines, BOUND, RDRAND and RDSEED. Guest memory is
 * coherent, so flushing a line only checks that it could be read.
 */

#include <sys/random.h>

#include "softcpu/integer.h"

static void nop(struct softcpu *cpu, const struct soft_op *op)
{
	soft_next(cpu, op);
}

/* CLFLUSH and its kin fault as a load of one byte does. */
static void flush_line(struct softcpu *cpu, const struct soft_op *op)
{
	soft_read_u8(cpu, op->seg, soft_ea(cpu, op));
}

static void bound(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t offset = soft_ea(cpu, op);
	int32_t index;
	int32_t lower;
	int32_t upper;

	if (op->opsize == 2) {
		index = (int16_t)cpu->gpr[op->reg];
		lower = (int16_t)soft_read_u16(cpu, op->seg, offset);
		upper = (int16_t)soft_read_u16(cpu, op->seg, offset + 2);
	} else {
		index = (int32_t)cpu->gpr[op->reg];
		lower = (int32_t)soft_read_u32(cpu, op->seg, offset);
		upper = (int32_t)soft_read_u32(cpu, op->seg, offset + 4);
	}
	if (index < lower || index > upper) {
		soft_raise(cpu, SOFT_BR);
	}
}

/* CF says whether there was a number; all the other arithmetic flags are cleared. */
static void random_number(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t value = 0;
	bool done = getrandom(&value, op->opsize, GRND_NONBLOCK) == op->opsize;

	cpu->flag_low = done ? FLAG_CF : 0;
	cpu->flag_of = 0;
	if (op->opsize == 2) {
		soft_set(cpu, op->reg, done ? value : 0, 2);
	} else {
		cpu->gpr[op->reg] = done ? value : 0;
	}
	soft_next(cpu, op);
}

static bool bind_if(struct softcpu *cpu, uint32_t leaf, unsigned int reg, unsigned int bit,
		    struct soft_op *op, soft_fn fn)
{
	return cpu_model_has(cpu->model, leaf, 0, reg, bit) && soft_bind_threaded(op, fn);
}

bool soft_bind_misc(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_NOP:
		return soft_bind_threaded(op, nop);
	case ZYDIS_MNEMONIC_CLFLUSH:
		return cpu_model_has(cpu->model, 1, 0, 3, 19) && soft_bind_plain(op, flush_line);
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
		return cpu_model_has(cpu->model, 7, 0, 1, 23) && soft_bind_plain(op, flush_line);
	case ZYDIS_MNEMONIC_CLWB:
		return cpu_model_has(cpu->model, 7, 0, 1, 24) && soft_bind_plain(op, flush_line);
	case ZYDIS_MNEMONIC_BOUND:
		return soft_bind_plain(op, bound);
	case ZYDIS_MNEMONIC_RDRAND:
		return bind_if(cpu, 1, 2, 30, op, random_number);
	case ZYDIS_MNEMONIC_RDSEED:
		return bind_if(cpu, 7, 1, 18, op, random_number);
	default:
		return false;
	}
}
