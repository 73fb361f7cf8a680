/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG and NOT: a function for each
 * operation, size and operand form. With LOCK they are one host instruction with LOCK, or, where
 * an operand crosses a cache line or is not memory, done under the machine's split lock.
 */

#include "softcpu/integer.h"

/* ------- two operands ------- */

/* Whether @alu has a result beside the flags. */
SOFT_INLINE bool writes_back(enum soft_alu alu)
{
	return alu != SOFT_CMP && alu != SOFT_TEST;
}

SOFT_INLINE void change_register(struct softcpu *cpu, const struct soft_op *op, enum soft_alu alu,
				 soft_alu_fn fn, unsigned int size, uint64_t value)
{
	uint64_t result = fn(cpu, soft_get(cpu, op->reg, size), value);

	if (writes_back(alu)) {
		soft_set(cpu, op->reg, result, size);
	}
}

/* A destination in memory: with any segment ... */
SOFT_INLINE void change_memory(struct softcpu *cpu, const struct soft_op *op, enum soft_alu alu,
			       soft_alu_fn fn, unsigned int size, uint64_t value)
{
	gva_t address = soft_operand_address(cpu, op, size, writes_back(alu));
	uint64_t result;
	void *host;

	if (!writes_back(alu)) {
		fn(cpu, soft_load(cpu, op, address, size), value);
		return;
	}
	host = soft_begin_rmw(cpu, op, address, size);
	if (host) {
		result = fn(cpu, soft_host_load(host, size), value);
		soft_host_store(host, result, size);
	} else {
		result = fn(cpu, soft_load_slow(cpu, op, address, size), value);
		soft_store_slow(cpu, op, address, result, size);
	}
}

/* ... and flat and in the TLB. */
SOFT_INLINE bool try_change_memory(struct softcpu *cpu, const struct soft_op *op,
				   enum soft_alu alu, soft_alu_fn fn, unsigned int size,
				   uint64_t value)
{
	gva_t address = soft_flat_address(cpu, op);
	uint64_t old;
	void *host;

	if (!writes_back(alu)) {
		if (!soft_try_load(cpu, address, size, &old)) {
			return false;
		}
		fn(cpu, old, value);
		return true;
	}
	host = soft_try_rmw(cpu, address, size);
	if (!host) {
		return false;
	}
	soft_host_store(host, fn(cpu, soft_host_load(host, size), value), size);
	return true;
}

SOFT_INLINE bool alu_form(struct softcpu *cpu, const struct soft_op *op, enum soft_alu alu,
			  soft_alu_fn fn, unsigned int size, enum soft_form form)
{
	uint64_t value;

	switch (form) {
	case SOFT_FORM_RR:
		change_register(cpu, op, alu, fn, size, soft_get(cpu, op->rm, size));
		return true;
	case SOFT_FORM_RI:
		change_register(cpu, op, alu, fn, size, op->imm);
		return true;
	case SOFT_FORM_RM_SEG:
		value = soft_load(cpu, op, soft_operand_address(cpu, op, size, false), size);
		change_register(cpu, op, alu, fn, size, value);
		return true;
	case SOFT_FORM_RM:
		if (!soft_try_load(cpu, soft_flat_address(cpu, op), size, &value)) {
			return false;
		}
		change_register(cpu, op, alu, fn, size, value);
		return true;
	case SOFT_FORM_MR_SEG:
		change_memory(cpu, op, alu, fn, size, soft_get(cpu, op->reg, size));
		return true;
	case SOFT_FORM_MI_SEG:
		change_memory(cpu, op, alu, fn, size, op->imm);
		return true;
	case SOFT_FORM_MR:
		return try_change_memory(cpu, op, alu, fn, size, soft_get(cpu, op->reg, size));
	default:
		return try_change_memory(cpu, op, alu, fn, size, op->imm);
	}
}

#define DEFINE_FORM(name, size, form)                                                             \
	SOFT_DEFINE_FORM(name##_##size, form,                                                     \
			 alu_form(cpu, op, SOFT_##name, soft_do_##name##_##size, size,           \
				  SOFT_FORM_##form))

SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, ADD)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, OR)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, ADC)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, SBB)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, AND)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, SUB)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, XOR)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, CMP)
SOFT_FOR_SIZES_AND_FORMS(DEFINE_FORM, TEST)

#define FORM_ENTRY(name, size, form) [SOFT_FORM_##form] = name##_##size##_##form,
#define FORM_TABLE(name)                                                                          \
	[SOFT_##name] = {                                                                         \
		{ SOFT_FOR_FORMS(FORM_ENTRY, name, 1) },                                          \
		{ SOFT_FOR_FORMS(FORM_ENTRY, name, 2) },                                          \
		{ SOFT_FOR_FORMS(FORM_ENTRY, name, 4) },                                          \
		{ SOFT_FOR_FORMS(FORM_ENTRY, name, 8) },                                          \
	},

static const soft_fn two_operands[][4][SOFT_FORM_COUNT] = {
	FORM_TABLE(ADD)
	FORM_TABLE(OR)
	FORM_TABLE(ADC)
	FORM_TABLE(SBB)
	FORM_TABLE(AND)
	FORM_TABLE(SUB)
	FORM_TABLE(XOR)
	FORM_TABLE(CMP)
	FORM_TABLE(TEST)
};

/* ------- one operand ------- */

SOFT_INLINE bool alu_unary(struct softcpu *cpu, const struct soft_op *op, enum soft_alu alu,
			   soft_alu_fn fn, unsigned int size, enum soft_form form)
{
	switch (form) {
	case SOFT_FORM_RR:
		change_register(cpu, op, alu, fn, size, 0);
		return true;
	case SOFT_FORM_MR_SEG:
		change_memory(cpu, op, alu, fn, size, 0);
		return true;
	default:
		return try_change_memory(cpu, op, alu, fn, size, 0);
	}
}

#define FOR_UNARY_FORMS(X, name, size)                                                            \
	X(name, size, RR)                                                                         \
	X(name, size, MR_SEG)                                                                     \
	X(name, size, MR)
#define FOR_UNARY(X, name)                                                                        \
	FOR_UNARY_FORMS(X, name, 1)                                                               \
	FOR_UNARY_FORMS(X, name, 2)                                                               \
	FOR_UNARY_FORMS(X, name, 4)                                                               \
	FOR_UNARY_FORMS(X, name, 8)

#define DEFINE_UNARY(name, size, form)                                                            \
	SOFT_DEFINE_FORM(name##_##size, form,                                                     \
			 alu_unary(cpu, op, SOFT_##name, soft_do_##name##_##size, size,          \
				   SOFT_FORM_##form))

FOR_UNARY(DEFINE_UNARY, INC)
FOR_UNARY(DEFINE_UNARY, DEC)
FOR_UNARY(DEFINE_UNARY, NEG)
FOR_UNARY(DEFINE_UNARY, NOT)

#define UNARY_TABLE(name)                                                                         \
	[SOFT_##name - SOFT_INC] = {                                                              \
		{ FOR_UNARY_FORMS(FORM_ENTRY, name, 1) },                                         \
		{ FOR_UNARY_FORMS(FORM_ENTRY, name, 2) },                                         \
		{ FOR_UNARY_FORMS(FORM_ENTRY, name, 4) },                                         \
		{ FOR_UNARY_FORMS(FORM_ENTRY, name, 8) },                                         \
	},

static const soft_fn one_operand[][4][SOFT_FORM_COUNT] = {
	UNARY_TABLE(INC)
	UNARY_TABLE(DEC)
	UNARY_TABLE(NEG)
	UNARY_TABLE(NOT)
};

/* ------- with LOCK ------- */

/* One atomic instruction with LOCK, and the flags it leaves. */
#define LOCKED_BINARY(insn, sfx, type, reg)                                                       \
	do {                                                                                      \
		type b_ = (type)value;                                                            \
                                                                                                  \
		__asm__ volatile("btl $0, %[low]\n\tlock " insn #sfx " %[b], %[m]" SOFT_READ_FLAGS \
				 : [m] "+m"(*(type *)host), "=&a"(flags), [of] "=&q"(of)          \
				 : [b] reg(b_), [low] "r"(low)                                    \
				 : "cc", "memory");                                               \
	} while (0)

#define LOCKED_UNARY(insn, sfx, type)                                                             \
	__asm__ volatile("btl $0, %[low]\n\tlock " insn #sfx " %[m]" SOFT_READ_FLAGS              \
			 : [m] "+m"(*(type *)host), "=&a"(flags), [of] "=&q"(of)                  \
			 : [low] "r"(low)                                                         \
			 : "cc", "memory")

#define DEFINE_LOCKED(name, statement)                                                            \
	static void locked_##name(struct softcpu *cpu, void *host, uint64_t value,                \
				  unsigned int size)                                              \
	{                                                                                         \
		uint32_t low = cpu->flag_low;                                                     \
		uint32_t flags = 0;                                                               \
		uint8_t of = 0;                                                                   \
                                                                                                  \
		(void)value;                                                                      \
		switch (size) {                                                                   \
			statement                                                                 \
		}                                                                                 \
		cpu->flag_low = (uint8_t)(flags >> 8);                                            \
		cpu->flag_of = of;                                                                \
	}
#define LOCKED_BINARY_SIZES(insn)                                                                 \
	case 1: LOCKED_BINARY(insn, b, uint8_t, "q"); break;                                      \
	case 2: LOCKED_BINARY(insn, w, uint16_t, "r"); break;                                     \
	case 4: LOCKED_BINARY(insn, l, uint32_t, "r"); break;                                     \
	default: LOCKED_BINARY(insn, q, uint64_t, "r"); break;
#define LOCKED_UNARY_SIZES(insn)                                                                  \
	case 1: LOCKED_UNARY(insn, b, uint8_t); break;                                            \
	case 2: LOCKED_UNARY(insn, w, uint16_t); break;                                           \
	case 4: LOCKED_UNARY(insn, l, uint32_t); break;                                           \
	default: LOCKED_UNARY(insn, q, uint64_t); break;

DEFINE_LOCKED(add, LOCKED_BINARY_SIZES("add"))
DEFINE_LOCKED(or, LOCKED_BINARY_SIZES("or"))
DEFINE_LOCKED(adc, LOCKED_BINARY_SIZES("adc"))
DEFINE_LOCKED(sbb, LOCKED_BINARY_SIZES("sbb"))
DEFINE_LOCKED(and, LOCKED_BINARY_SIZES("and"))
DEFINE_LOCKED(sub, LOCKED_BINARY_SIZES("sub"))
DEFINE_LOCKED(xor, LOCKED_BINARY_SIZES("xor"))
DEFINE_LOCKED(inc, LOCKED_UNARY_SIZES("inc"))
DEFINE_LOCKED(dec, LOCKED_UNARY_SIZES("dec"))
DEFINE_LOCKED(neg, LOCKED_UNARY_SIZES("neg"))

static void locked_not(struct softcpu *cpu, void *host, uint64_t value, unsigned int size)
{
	switch (size) {
	case 1: __asm__ volatile("lock notb %0" : "+m"(*(uint8_t *)host) : : "memory"); break;
	case 2: __asm__ volatile("lock notw %0" : "+m"(*(uint16_t *)host) : : "memory"); break;
	case 4: __asm__ volatile("lock notl %0" : "+m"(*(uint32_t *)host) : : "memory"); break;
	default: __asm__ volatile("lock notq %0" : "+m"(*(uint64_t *)host) : : "memory"); break;
	}
}

typedef void (*locked_fn)(struct softcpu *cpu, void *host, uint64_t value, unsigned int size);

static const locked_fn locked_functions[] = {
	[SOFT_ADD] = locked_add, [SOFT_OR] = locked_or,	  [SOFT_ADC] = locked_adc,
	[SOFT_SBB] = locked_sbb, [SOFT_AND] = locked_and, [SOFT_SUB] = locked_sub,
	[SOFT_XOR] = locked_xor, [SOFT_INC] = locked_inc, [SOFT_DEC] = locked_dec,
	[SOFT_NEG] = locked_neg, [SOFT_NOT] = locked_not,
};

/* Any of them where one host atomic will not do. */
static void split_locked(struct softcpu *cpu, const struct soft_op *op, enum soft_alu alu,
			 uint64_t value)
{
	uint64_t offset = soft_ea(cpu, op);
	gva_t address = soft_linear(cpu, op->seg, offset, op->opsize, true);
	uint64_t old;

	soft_check_rmw(cpu, op, address, op->opsize);
	pthread_mutex_lock(&cpu->shared->split_lock);
	old = soft_load_slow(cpu, op, address, op->opsize);
	locked_functions[alu](cpu, &old, value, op->opsize);
	soft_store_slow(cpu, op, address, old, op->opsize);
	pthread_mutex_unlock(&cpu->shared->split_lock);
}

static void alu_locked(struct softcpu *cpu, const struct soft_op *op)
{
	enum soft_alu alu = (enum soft_alu)op->aux_value;
	uint64_t value = op->imm;
	void *host;

	cpu->op = op;
	if (op->reg != SOFT_REG_NONE) {
		value = op->opsize == 1 ? ((uint8_t *)cpu->gpr)[soft_byte_register(op->reg)]
					: cpu->gpr[op->reg];
	}
	host = soft_map_rmw(cpu, op->seg, soft_ea(cpu, op), op->opsize);
	if (host) {
		locked_functions[alu](cpu, host, value, op->opsize);
		soft_rmw_done(cpu);
	} else {
		split_locked(cpu, op, alu, value);
	}
	soft_next(cpu, op);
}

/* ------- binding ------- */

static int find_alu(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ADD: return SOFT_ADD;
	case ZYDIS_MNEMONIC_OR: return SOFT_OR;
	case ZYDIS_MNEMONIC_ADC: return SOFT_ADC;
	case ZYDIS_MNEMONIC_SBB: return SOFT_SBB;
	case ZYDIS_MNEMONIC_AND: return SOFT_AND;
	case ZYDIS_MNEMONIC_SUB: return SOFT_SUB;
	case ZYDIS_MNEMONIC_XOR: return SOFT_XOR;
	case ZYDIS_MNEMONIC_CMP: return SOFT_CMP;
	case ZYDIS_MNEMONIC_TEST: return SOFT_TEST;
	case ZYDIS_MNEMONIC_INC: return SOFT_INC;
	case ZYDIS_MNEMONIC_DEC: return SOFT_DEC;
	case ZYDIS_MNEMONIC_NEG: return SOFT_NEG;
	case ZYDIS_MNEMONIC_NOT: return SOFT_NOT;
	default: return -1;
	}
}

bool soft_bind_alu(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	int alu = find_alu(insn->zydis.mnemonic);
	enum soft_form form;
	unsigned int row;

	if (alu < 0) {
		return false;
	}
	if (op->lock) {
		op->aux_value = (uint64_t)alu;
		return soft_bind_threaded(op, alu_locked);
	}
	row = soft_size_index(op->opsize);
	if (op->opsize == 1) {
		soft_use_byte_registers(op);
	}
	if (alu < SOFT_INC) {
		form = soft_insn_form(cpu, insn, op);
		return soft_bind_threaded(op, two_operands[alu][row][form]);
	}
	form = !op->has_mem ? SOFT_FORM_RR : soft_is_flat(cpu, op) ? SOFT_FORM_MR
								   : SOFT_FORM_MR_SEG;
	return soft_bind_threaded(op, one_operand[alu - SOFT_INC][row][form]);
}
