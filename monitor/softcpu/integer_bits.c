/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits: BT, BTS, BTR, BTC, BSF, BSR, POPCNT, LZCNT, TZCNT and CRC32.
 *
 * The bit offset in a register reaches beyond a memory operand: it moves the address by whole
 * operands, as a signed number (SDM vol. 2, BT). What BSF and BSR do with a source of 0, and the
 * flags that are undefined, are left to the host.
 */

#include "softcpu/integer.h"

enum {
	BIT_TEST,
	BIT_SET,
	BIT_RESET,
	BIT_COMPLEMENT,
};

/* ------- BT and its kin ------- */

#define DEFINE_BIT_TEST(name, insn, sfx, type)                                                    \
	SOFT_INLINE type name##_##sfx(struct softcpu *cpu, type a, type b)                        \
	{                                                                                         \
		uint8_t of = cpu->flag_of;                                                        \
		uint32_t flags = (uint32_t)cpu->flag_low << 8;                                    \
                                                                                                  \
		__asm__(SOFT_WRITE_FLAGS insn #sfx " %[b], %[a]" SOFT_READ_FLAGS                  \
			: [a] "+r"(a), "+a"(flags), [of] "+q"(of)                                 \
			: [b] "r"(b)                                                              \
			: "cc");                                                                  \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
		return a;                                                                         \
	}

#define DEFINE_BIT_TESTS(name, insn)                                                              \
	DEFINE_BIT_TEST(name, insn, w, uint16_t)                                                  \
	DEFINE_BIT_TEST(name, insn, l, uint32_t)                                                  \
	DEFINE_BIT_TEST(name, insn, q, uint64_t)

DEFINE_BIT_TESTS(bt, "bt")
DEFINE_BIT_TESTS(bts, "bts")
DEFINE_BIT_TESTS(btr, "btr")
DEFINE_BIT_TESTS(btc, "btc")

#define BY_SIZE(name)                                                                             \
	(size == 2   ? name##_w(cpu, (uint16_t)a, (uint16_t)b)                                    \
	 : size == 4 ? name##_l(cpu, (uint32_t)a, (uint32_t)b)                                    \
		     : name##_q(cpu, a, b))

static uint64_t test_bit(struct softcpu *cpu, unsigned int kind, unsigned int size, uint64_t a,
			 uint64_t b)
{
	switch (kind) {
	case BIT_TEST: return BY_SIZE(bt);
	case BIT_SET: return BY_SIZE(bts);
	case BIT_RESET: return BY_SIZE(btr);
	default: return BY_SIZE(btc);
	}
}

static void bit_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t bit = op->rm == SOFT_REG_NONE ? op->imm : cpu->gpr[op->rm];
	uint64_t value;

	value = test_bit(cpu, (unsigned int)op->aux_value, op->opsize, cpu->gpr[op->reg], bit);
	if (op->aux_value != BIT_TEST) {
		if (op->opsize == 2) {
			soft_set(cpu, op->reg, value, 2);
		} else {
			cpu->gpr[op->reg] = value;
		}
	}
	soft_next(cpu, op);
}

/* The offset of the operand that holds the bit, and the bit's place in it. */
static uint64_t bit_operand(struct softcpu *cpu, const struct soft_op *op, unsigned int *ret_bit)
{
	unsigned int bits = op->opsize * 8;
	uint64_t offset = soft_ea(cpu, op);
	int64_t index;

	if (op->reg == SOFT_REG_NONE) {
		*ret_bit = (unsigned int)op->imm & (bits - 1);
		return offset;
	}
	switch (op->opsize) {
	case 2: index = (int16_t)cpu->gpr[op->reg]; break;
	case 4: index = (int32_t)cpu->gpr[op->reg]; break;
	default: index = (int64_t)cpu->gpr[op->reg]; break;
	}
	*ret_bit = (unsigned int)index & (bits - 1);
	offset += (uint64_t)((index >> __builtin_ctz(bits)) * op->opsize);
	return op->addrsize == 8 ? offset : op->addrsize == 4 ? (uint32_t)offset : (uint16_t)offset;
}

static void bit_memory(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int kind = (unsigned int)op->aux_value;
	unsigned int bit;
	uint64_t offset = bit_operand(cpu, op, &bit);
	gva_t address;
	uint64_t value;

	cpu->op = op;
	address = soft_linear(cpu, op->seg, offset, op->opsize, kind != BIT_TEST);
	if (kind == BIT_TEST) {
		value = soft_load(cpu, op, address, op->opsize);
		test_bit(cpu, kind, op->opsize, value, bit);
	} else {
		soft_check_rmw(cpu, op, address, op->opsize);
		value = soft_load_slow(cpu, op, address, op->opsize);
		value = test_bit(cpu, kind, op->opsize, value, bit);
		soft_store_slow(cpu, op, address, value, op->opsize);
	}
	soft_next(cpu, op);
}

/* With LOCK: exchange until nobody has come between. */
static uint64_t exchange_bit(struct softcpu *cpu, const struct soft_op *op, void *host,
			     uint64_t bit)
{
	unsigned int kind = (unsigned int)op->aux_value;
	uint8_t low = cpu->flag_low;
	uint8_t of = cpu->flag_of;
	uint64_t old;
	uint64_t new;

	do {
		cpu->flag_low = low;
		cpu->flag_of = of;
		old = soft_host_load(host, op->opsize);
		new = test_bit(cpu, kind, op->opsize, old, bit);
	} while (!soft_host_exchange(host, &old, new, op->opsize));
	return old;
}

static void bit_locked(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int bit;
	uint64_t offset = bit_operand(cpu, op, &bit);
	gva_t address;
	uint64_t value;
	void *host;

	cpu->op = op;
	host = soft_map_rmw(cpu, op->seg, offset, op->opsize);
	if (host) {
		exchange_bit(cpu, op, host, bit);
		soft_rmw_done(cpu);
	} else {
		address = soft_linear(cpu, op->seg, offset, op->opsize, true);
		soft_check_rmw(cpu, op, address, op->opsize);
		pthread_mutex_lock(&cpu->shared->split_lock);
		value = soft_load_slow(cpu, op, address, op->opsize);
		value = test_bit(cpu, (unsigned int)op->aux_value, op->opsize, value, bit);
		soft_store_slow(cpu, op, address, value, op->opsize);
		pthread_mutex_unlock(&cpu->shared->split_lock);
	}
	soft_next(cpu, op);
}

/* ------- counting and searching ------- */

/* The destination keeps its value if the processor does not write it, so all 64 bits go in. */
#define DEFINE_SEARCH(name, insn)                                                                 \
	static uint64_t name(struct softcpu *cpu, unsigned int size, uint64_t a, uint64_t b)      \
	{                                                                                         \
		uint8_t of = cpu->flag_of;                                                        \
		uint32_t flags = (uint32_t)cpu->flag_low << 8;                                    \
                                                                                                  \
		if (size == 2) {                                                                  \
			__asm__(SOFT_WRITE_FLAGS insn " %w[b], %w[a]" SOFT_READ_FLAGS             \
				: [a] "+r"(a), "+a"(flags), [of] "+q"(of)                         \
				: [b] "r"(b)                                                      \
				: "cc");                                                          \
		} else if (size == 4) {                                                           \
			__asm__(SOFT_WRITE_FLAGS insn " %k[b], %k[a]" SOFT_READ_FLAGS             \
				: [a] "+r"(a), "+a"(flags), [of] "+q"(of)                         \
				: [b] "r"(b)                                                      \
				: "cc");                                                          \
		} else {                                                                          \
			__asm__(SOFT_WRITE_FLAGS insn " %q[b], %q[a]" SOFT_READ_FLAGS             \
				: [a] "+r"(a), "+a"(flags), [of] "+q"(of)                         \
				: [b] "r"(b)                                                      \
				: "cc");                                                          \
		}                                                                                 \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
		return a;                                                                         \
	}

DEFINE_SEARCH(bsf, "bsf")
DEFINE_SEARCH(bsr, "bsr")
DEFINE_SEARCH(popcnt, "popcnt")
DEFINE_SEARCH(lzcnt, "lzcnt")
DEFINE_SEARCH(tzcnt, "tzcnt")

static void search(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t source;
	uint64_t *to = &cpu->gpr[op->reg];

	if (op->has_mem) {
		gva_t address = soft_operand_address(cpu, op, op->opsize, false);

		source = soft_load(cpu, op, address, op->opsize);
	} else {
		source = cpu->gpr[op->rm];
	}
	switch (op->mnemonic) {
	case ZYDIS_MNEMONIC_BSF: *to = bsf(cpu, op->opsize, *to, source); break;
	case ZYDIS_MNEMONIC_BSR: *to = bsr(cpu, op->opsize, *to, source); break;
	case ZYDIS_MNEMONIC_POPCNT: *to = popcnt(cpu, op->opsize, *to, source); break;
	case ZYDIS_MNEMONIC_LZCNT: *to = lzcnt(cpu, op->opsize, *to, source); break;
	default: *to = tzcnt(cpu, op->opsize, *to, source); break;
	}
	soft_next(cpu, op);
}

/* CRC-32C (polynomial 0x11edc6f41), bits reflected; @size bytes of @value, lowest first. */
static uint32_t crc32c(uint32_t crc, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++) {
		crc ^= (uint8_t)(value >> i * 8);
		for (unsigned int bit = 0; bit < 8; bit++) {
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
		}
	}
	return crc;
}

static void crc32(struct softcpu *cpu, const struct soft_op *op)
{
	unsigned int size = (unsigned int)op->aux_value;
	uint64_t source;

	if (op->has_mem) {
		gva_t address = soft_operand_address(cpu, op, size, false);

		source = soft_load(cpu, op, address, size);
	} else {
		source = size == 1 ? ((uint8_t *)cpu->gpr)[op->rm] : cpu->gpr[op->rm];
	}
	cpu->gpr[op->reg] = crc32c((uint32_t)cpu->gpr[op->reg], source, size);
	soft_next(cpu, op);
}

/* ------- binding ------- */

static bool bind_bit(struct soft_op *op, unsigned int kind)
{
	op->aux_value = kind;
	return soft_bind_threaded(op, op->lock	    ? bit_locked
				      : op->has_mem ? bit_memory
						    : bit_register);
}

static bool bind_search(struct soft_op *op, bool has_feature)
{
	return has_feature && soft_bind_threaded(op, search);
}

static bool bind_crc32(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	op->aux_value = insn->operands[1].size / 8;
	if (op->aux_value == 1 && !op->has_mem) {
		op->rm = soft_byte_register(op->rm);
	}
	return cpu_model_has(cpu->model, 1, 0, 2, 20) && soft_bind_threaded(op, crc32);
}

bool soft_bind_bits(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_BT: return bind_bit(op, BIT_TEST);
	case ZYDIS_MNEMONIC_BTS: return bind_bit(op, BIT_SET);
	case ZYDIS_MNEMONIC_BTR: return bind_bit(op, BIT_RESET);
	case ZYDIS_MNEMONIC_BTC: return bind_bit(op, BIT_COMPLEMENT);
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR: return bind_search(op, true);
	case ZYDIS_MNEMONIC_POPCNT:
		return bind_search(op, cpu_model_has(cpu->model, 1, 0, 2, 23));
	case ZYDIS_MNEMONIC_LZCNT:
		return bind_search(op, cpu_model_has(cpu->model, 0x80000001, 0, 2, 5));
	case ZYDIS_MNEMONIC_TZCNT:
		return bind_search(op, cpu_model_has(cpu->model, 7, 0, 1, 3));
	case ZYDIS_MNEMONIC_CRC32: return bind_crc32(cpu, insn, op);
	default: return false;
	}
}
