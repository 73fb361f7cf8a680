/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * General-register instructions beside the old integer set that are not executed by thunks: MULX,
 * whose hidden register stands beside explicit ones; CRC32 with its byte registers; MOVBE. The
 * other instructions of BMI1, BMI2 and ADX, POPCNT, TZCNT and LZCNT run in thunks (vector.c).
 *
 * op->aux_value: bits 7:0 the first operand's register, 15:8 the second's, 23:16 the third's.
 * Zero-extension of 32-bit results is as in 64-bit mode; outside it the upper halves mean nothing.
 */

#include <nmmintrin.h>

#include "softcpu/fpu.h"

#define REGISTER_OPERANDS 3

static inline uint8_t operand_register(const struct soft_op *op, unsigned int i)
{
	return (uint8_t)(op->aux_value >> (8 * i));
}

/* Operand @i, which is the memory operand when it is no register. */
static uint64_t read_source(struct softcpu *cpu, const struct soft_op *op, unsigned int i,
			    unsigned int size)
{
	uint8_t reg = operand_register(op, i);

	if (reg != SOFT_REG_NONE) {
		return reg >= 16 ? cpu->gpr[reg - 16] >> 8 : cpu->gpr[reg];
	}
	switch (size) {
	case 1: return soft_read_u8(cpu, op->seg, soft_ea(cpu, op));
	case 2: return soft_read_u16(cpu, op->seg, soft_ea(cpu, op));
	case 4: return soft_read_u32(cpu, op->seg, soft_ea(cpu, op));
	default: return soft_read_u64(cpu, op->seg, soft_ea(cpu, op));
	}
}

static void write_register(struct softcpu *cpu, uint8_t reg, unsigned int size, uint64_t value)
{
	if (size == 2) {
		cpu->gpr[reg] = (cpu->gpr[reg] & ~UINT64_C(0xffff)) | (uint16_t)value;
	} else {
		cpu->gpr[reg] = size == 4 ? (uint32_t)value : value;
	}
}

static void mulx(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t high;
	uint64_t low;

	if (op->opsize == 8) {
		unsigned __int128 product =
			(unsigned __int128)cpu->gpr[CPU_RDX] * read_source(cpu, op, 2, 8);

		high = (uint64_t)(product >> 64);
		low = (uint64_t)product;
	} else {
		uint64_t product = (uint64_t)(uint32_t)cpu->gpr[CPU_RDX] *
				   (uint32_t)read_source(cpu, op, 2, 4);

		high = product >> 32;
		low = (uint32_t)product;
	}
	/* The high half stays when both name one register. */
	cpu->gpr[operand_register(op, 1)] = low;
	cpu->gpr[operand_register(op, 0)] = high;
}

static __attribute__((target("sse4.2"))) uint64_t crc32(uint32_t crc, uint64_t value,
							unsigned int size)
{
	switch (size) {
	case 1: return _mm_crc32_u8(crc, (uint8_t)value);
	case 2: return _mm_crc32_u16(crc, (uint16_t)value);
	case 4: return _mm_crc32_u32(crc, (uint32_t)value);
	default: return _mm_crc32_u64(crc, value);
	}
}

/* op->imm: the source's size; immediate it has none. */
static void execute_crc32(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t dst = operand_register(op, 0);
	unsigned int size = (unsigned int)op->imm;
	uint64_t value = read_source(cpu, op, 1, size);

	cpu->gpr[dst] = crc32((uint32_t)cpu->gpr[dst], value, size);
}

static uint64_t swap(uint64_t value, unsigned int size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

static void movbe_load(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int size = (unsigned int)op->imm;

	write_register(cpu, operand_register(op, 0), size,
		       swap(read_source(cpu, op, 1, size), size));
}

static void movbe_store(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t ea = soft_ea(cpu, op);
	unsigned int size = (unsigned int)op->imm;
	uint64_t value = swap(cpu->gpr[operand_register(op, 1)], size);

	switch (size) {
	case 2: soft_write_u16(cpu, op->seg, ea, (uint16_t)value); break;
	case 4: soft_write_u32(cpu, op->seg, ea, (uint32_t)value); break;
	default: soft_write_u64(cpu, op->seg, ea, value); break;
	}
}

static soft_fn find_function(const struct soft_insn *insn)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_MULX: return mulx;
	case ZYDIS_MNEMONIC_CRC32: return execute_crc32;
	case ZYDIS_MNEMONIC_MOVBE:
		return insn->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? movbe_store
									   : movbe_load;
	default: return NULL;
	}
}

bool soft_bind_bmi(const struct soft_insn *insn, struct soft_op *op)
{
	soft_fn fn = find_function(insn);

	if (!fn) {
		return false;
	}
	op->fn = fn;
	op->kind = SOFT_CALL_PLAIN;
	op->opsize = (uint8_t)(insn->operands[0].size / 8);
	op->imm = insn->operands[1].size / 8;
	op->aux_value = 0;
	for (unsigned int i = 0; i < REGISTER_OPERANDS; i++) {
		uint8_t reg = SOFT_REG_NONE;

		if (i < insn->zydis.operand_count_visible &&
		    insn->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			reg = soft_insn_gpr(insn->operands[i].reg.value);
		}
		op->aux_value |= (uint64_t)reg << (8 * i);
	}
	return true;
}
