/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XCHG, XADD, CMPXCHG, CMPXCHG8B and CMPXCHG16B. On memory they are host atomics whether they have
 * LOCK or not (XCHG always locks; for the others that is stronger than asked for); where one host
 * atomic will not do, they run under the machine's split lock.
 *
 * CMPXCHG and its wide forms write the destination in any case (SDM vol. 2), so a page that
 * cannot be written faults even if the comparison fails.
 */

#include "softcpu/integer.h"


static uint64_t get_any(const struct softcpu *cpu, const struct soft_op *op, uint8_t reg)
{
	return op->opsize == 1 ? ((const uint8_t *)cpu->gpr)[soft_byte_register(reg)]
			       : soft_get(cpu, reg, op->opsize);
}

static void set_any(struct softcpu *cpu, const struct soft_op *op, uint8_t reg, uint64_t value)
{
	if (op->opsize == 1) {
		soft_set(cpu, soft_byte_register(reg), value, 1);
	} else {
		soft_set(cpu, reg, value, op->opsize);
	}
}

/* Puts what @replace makes of the old value in its place. Return: the old value. */
static uint64_t exchange_memory(struct softcpu *cpu, const struct soft_op *op,
				uint64_t (*replace)(struct softcpu *cpu, const struct soft_op *op,
						    uint64_t old))
{
	uint64_t offset = soft_ea(cpu, op);
	gva_t address;
	uint64_t old;
	void *host;

	cpu->op = op;
	host = soft_map_rmw(cpu, op->seg, offset, op->opsize);
	if (host) {
		uint64_t seen;

		old = soft_host_load(host, op->opsize);
		do {
			seen = old;
		} while (!soft_host_exchange(host, &old, replace(cpu, op, seen), op->opsize));
		soft_rmw_done(cpu);
		return seen;
	}
	address = soft_linear(cpu, op->seg, offset, op->opsize, true);
	soft_check_rmw(cpu, op, address, op->opsize);
	pthread_mutex_lock(&cpu->shared->split_lock);
	old = soft_load_slow(cpu, op, address, op->opsize);
	soft_store_slow(cpu, op, address, replace(cpu, op, old), op->opsize);
	pthread_mutex_unlock(&cpu->shared->split_lock);
	return old;
}

/* The arithmetic flags of @a - @b or @a + @b. */
static uint64_t set_flags(struct softcpu *cpu, const struct soft_op *op, enum soft_alu alu,
			  uint64_t a, uint64_t b)
{
#define ALU_CASE(name)                                                                            \
	case SOFT_##name:                                                                         \
		switch (op->opsize) {                                                             \
		case 1: return soft_do_##name##_1(cpu, a, b);                               \
		case 2: return soft_do_##name##_2(cpu, a, b);                               \
		case 4: return soft_do_##name##_4(cpu, a, b);                               \
		default: return soft_do_##name##_8(cpu, a, b);                              \
		}
	switch (alu) {
		ALU_CASE(ADD)
		ALU_CASE(CMP)
	default:
		return 0;
	}
#undef ALU_CASE
}

/* ------- XCHG ------- */

static void xchg_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t first = get_any(cpu, op, op->reg);
	uint64_t second = get_any(cpu, op, op->rm);

	set_any(cpu, op, op->reg, second);
	set_any(cpu, op, op->rm, first);
	soft_next(cpu, op);
}

static uint64_t replace_by_register(struct softcpu *cpu, const struct soft_op *op, uint64_t old)
{
	return get_any(cpu, op, op->reg);
}

static void xchg_memory(struct softcpu *cpu, const struct soft_op *op)
{
	set_any(cpu, op, op->reg, exchange_memory(cpu, op, replace_by_register));
	soft_next(cpu, op);
}

/* ------- XADD ------- */

static void xadd_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t first = get_any(cpu, op, op->reg);
	uint64_t second = get_any(cpu, op, op->rm);
	uint64_t sum = set_flags(cpu, op, SOFT_ADD, first, second);

	set_any(cpu, op, op->rm, first);
	set_any(cpu, op, op->reg, sum);
	soft_next(cpu, op);
}

static uint64_t replace_by_sum(struct softcpu *cpu, const struct soft_op *op, uint64_t old)
{
	return old + get_any(cpu, op, op->reg);
}

static void xadd_memory(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t addend = get_any(cpu, op, op->reg);
	uint64_t old = exchange_memory(cpu, op, replace_by_sum);

	set_flags(cpu, op, SOFT_ADD, old, addend);
	set_any(cpu, op, op->reg, old);
	soft_next(cpu, op);
}

/* ------- CMPXCHG ------- */

/* All 64 bits go through the host, which knows what happens to the upper half of each. */
#define REGISTER_CMPXCHG(mod)                                                                     \
	__asm__("cmpxchg %" mod "[src], %" mod "[dst]"                                            \
		: [dst] "+r"(destination), "+a"(accumulator)                                      \
		: [src] "r"(source)                                                               \
		: "cc")

static void cmpxchg_byte_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint8_t accumulator = (uint8_t)cpu->gpr[CPU_RAX];
	uint8_t old = (uint8_t)get_any(cpu, op, op->reg);

	set_flags(cpu, op, SOFT_CMP, accumulator, old);
	if (old == accumulator) {
		set_any(cpu, op, op->reg, get_any(cpu, op, op->rm));
	} else {
		set_any(cpu, op, CPU_RAX, old);
	}
	soft_next(cpu, op);
}

static void cmpxchg_register(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t accumulator = cpu->gpr[CPU_RAX];
	uint64_t destination = cpu->gpr[op->reg];
	uint64_t source = cpu->gpr[op->rm];

	set_flags(cpu, op, SOFT_CMP, accumulator, destination);
	switch (op->opsize) {
	case 2: REGISTER_CMPXCHG("w"); break;
	case 4: REGISTER_CMPXCHG("k"); break;
	default: REGISTER_CMPXCHG("q"); break;
	}
	cpu->gpr[op->reg] = destination;
	if (op->reg != CPU_RAX) {
		cpu->gpr[CPU_RAX] = accumulator;
	}
	soft_next(cpu, op);
}

static uint64_t replace_if_equal(struct softcpu *cpu, const struct soft_op *op, uint64_t old)
{
	return old == get_any(cpu, op, CPU_RAX) ? get_any(cpu, op, op->reg) : old;
}

static void cmpxchg_memory(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t accumulator = get_any(cpu, op, CPU_RAX);
	uint64_t old = exchange_memory(cpu, op, replace_if_equal);

	set_flags(cpu, op, SOFT_CMP, accumulator, old);
	if (old != accumulator) {
		set_any(cpu, op, CPU_RAX, old);
	}
	soft_next(cpu, op);
}

/* ------- CMPXCHG8B, CMPXCHG16B ------- */

static void set_zero_flag(struct softcpu *cpu, bool set)
{
	cpu->flag_low = (uint8_t)((cpu->flag_low & ~FLAG_ZF) | (set ? FLAG_ZF : 0));
}

static void cmpxchg8b(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t expected = cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];
	uint64_t new = cpu->gpr[CPU_RCX] << 32 | (uint32_t)cpu->gpr[CPU_RBX];
	uint64_t offset = soft_ea(cpu, op);
	uint64_t old = expected;
	void *host;

	cpu->op = op;
	host = soft_map_rmw(cpu, op->seg, offset, 8);
	if (host) {
		soft_host_exchange(host, &old, new, 8);
		soft_rmw_done(cpu);
	} else {
		gva_t address = soft_linear(cpu, op->seg, offset, 8, true);

		soft_check_rmw(cpu, op, address, 8);
		pthread_mutex_lock(&cpu->shared->split_lock);
		old = soft_load_slow(cpu, op, address, 8);
		soft_store_slow(cpu, op, address, old == expected ? new : old, 8);
		pthread_mutex_unlock(&cpu->shared->split_lock);
	}
	set_zero_flag(cpu, old == expected);
	if (old != expected) {
		cpu->gpr[CPU_RAX] = (uint32_t)old;
		cpu->gpr[CPU_RDX] = old >> 32;
	}
	soft_next(cpu, op);
}

static void cmpxchg16b(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t offset = soft_ea(cpu, op);
	uint64_t *low = &cpu->gpr[CPU_RAX];
	uint64_t *high = &cpu->gpr[CPU_RDX];
	bool done;
	void *host;

	cpu->op = op;
	if (soft_linear(cpu, op->seg, offset, 16, true) & 15) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	host = soft_map_rmw(cpu, op->seg, offset, 16);
	if (host) {
		__asm__ volatile("lock cmpxchg16b %[m]"
				 : "=@ccz"(done), [m] "+m"(*(uint64_t(*)[2])host), "+a"(*low),
				   "+d"(*high)
				 : "b"(cpu->gpr[CPU_RBX]), "c"(cpu->gpr[CPU_RCX])
				 : "memory");
		soft_rmw_done(cpu);
	} else {
		uint64_t old[2];
		uint64_t new[2];

		soft_check_write(cpu, op->seg, offset, 16);
		pthread_mutex_lock(&cpu->shared->split_lock);
		soft_read_bytes(cpu, op->seg, offset, old, 16);
		done = old[0] == *low && old[1] == *high;
		new[0] = done ? cpu->gpr[CPU_RBX] : old[0];
		new[1] = done ? cpu->gpr[CPU_RCX] : old[1];
		soft_write_bytes(cpu, op->seg, offset, new, 16);
		pthread_mutex_unlock(&cpu->shared->split_lock);
		*low = done ? *low : old[0];
		*high = done ? *high : old[1];
	}
	set_zero_flag(cpu, done);
	soft_next(cpu, op);
}

bool soft_bind_exchange(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_XCHG:
		return soft_bind_threaded(op, op->has_mem ? xchg_memory : xchg_register);
	case ZYDIS_MNEMONIC_XADD:
		return soft_bind_threaded(op, op->has_mem ? xadd_memory : xadd_register);
	case ZYDIS_MNEMONIC_CMPXCHG:
		return soft_bind_threaded(op, op->has_mem	? cmpxchg_memory
					      : op->opsize == 1 ? cmpxchg_byte_register
								: cmpxchg_register);
	case ZYDIS_MNEMONIC_CMPXCHG8B:
		return soft_bind_threaded(op, cmpxchg8b);
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		return cpu_model_has(cpu->model, 1, 0, 2, 13) && soft_bind_threaded(op, cmpxchg16b);
	default:
		return false;
	}
}
