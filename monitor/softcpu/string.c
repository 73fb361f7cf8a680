/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions: MOVS, STOS, LODS, CMPS, SCAS, with and without REP, in all address sizes.
 * Intel SDM vol. 1, 7.3.9 and vol. 2, REP.
 *
 * A repeated one works in pieces that lie within one page of each operand; after each piece the
 * registers stand where the next iteration begins, so a fault or an interrupt between pieces leaves
 * the instruction to be resumed. Forward MOVS and STOS on plain memory hand a piece to the host's
 * own string instruction of the same width, which treats overlapping operands as the guest expects.
 *
 * A fault in CMPS or SCAS leaves the flags as they were before the instruction; so they are set
 * only from a pair that was read, and kept aside until the end.
 */

#include "softcpu/integer.h"

/**
 * struct operand - a string operand
 * @reg: its index register
 * @offset: within @seg
 */
struct operand {
	unsigned int seg;
	uint8_t reg;
	uint64_t offset;
};

static struct operand source_of(const struct softcpu *cpu, const struct soft_op *op)
{
	return (struct operand){
		.seg = op->seg,
		.reg = CPU_RSI,
		.offset = cpu->gpr[CPU_RSI] & soft_address_mask(op->addrsize),
	};
}

static struct operand destination_of(const struct softcpu *cpu, const struct soft_op *op)
{
	return (struct operand){
		.seg = CPU_ES,
		.reg = CPU_RDI,
		.offset = cpu->gpr[CPU_RDI] & soft_address_mask(op->addrsize),
	};
}

static uint64_t count_left(const struct softcpu *cpu, const struct soft_op *op)
{
	return op->rep ? cpu->gpr[CPU_RCX] & soft_address_mask(op->addrsize) : 1;
}

static void advance(struct softcpu *cpu, const struct soft_op *op, const struct operand *operand,
		    uint64_t elements)
{
	uint64_t bytes = elements * op->opsize;

	if (cpu->rflags & FLAG_DF) {
		bytes = -bytes;
	}
	soft_set(cpu, operand->reg, operand->offset + bytes, op->addrsize);
}

static void count_down(struct softcpu *cpu, const struct soft_op *op, uint64_t elements)
{
	if (op->rep) {
		soft_set(cpu, CPU_RCX, cpu->gpr[CPU_RCX] - elements, op->addrsize);
	}
}

/* Something wants the CPU before the instruction is through. */
static bool must_pause(const struct softcpu *cpu)
{
	return (cpu->block_key & SOFT_KEY_SINGLE) ||
	       atomic_load_explicit(&cpu->requests, memory_order_relaxed);
}

static uint64_t most_at_once(const struct softcpu *cpu, uint64_t left)
{
	return cpu->block_key & SOFT_KEY_SINGLE ? 1 : left;
}

static uint64_t read_element(struct softcpu *cpu, const struct soft_op *op,
			     const struct operand *operand)
{
	switch (op->opsize) {
	case 1: return soft_read_u8(cpu, operand->seg, operand->offset);
	case 2: return soft_read_u16(cpu, operand->seg, operand->offset);
	case 4: return soft_read_u32(cpu, operand->seg, operand->offset);
	default: return soft_read_u64(cpu, operand->seg, operand->offset);
	}
}

static void write_element(struct softcpu *cpu, const struct soft_op *op,
			  const struct operand *operand, uint64_t value)
{
	switch (op->opsize) {
	case 1: soft_write_u8(cpu, operand->seg, operand->offset, (uint8_t)value); break;
	case 2: soft_write_u16(cpu, operand->seg, operand->offset, (uint16_t)value); break;
	case 4: soft_write_u32(cpu, operand->seg, operand->offset, (uint32_t)value); break;
	default: soft_write_u64(cpu, operand->seg, operand->offset, value); break;
	}
}

/* ------- pieces of plain memory ------- */

/* The linear address of @size bytes, if nothing about the segment needs a closer look. */
static bool is_simple(const struct softcpu *cpu, const struct operand *operand, uint64_t size,
		      gva_t *ret_address)
{
	const struct cpu_segment *segment = &cpu->seg[operand->seg];

	if (cpu->mode == SOFT_MODE_64) {
		*ret_address = operand->offset + (operand->seg >= CPU_FS ? segment->base : 0);
		return (uint64_t)((int64_t)(*ret_address << 16) >> 16) == *ret_address;
	}
	*ret_address = (uint32_t)(segment->base + operand->offset);
	return (segment->attr & (CPU_SEG_UNUSABLE | 0xe)) == 2 &&
	       operand->offset + size - 1 <= segment->limit;
}

static uint64_t elements_in_page(gva_t address, unsigned int size)
{
	return (GUEST_PAGE_SIZE - (address & GUEST_PAGE_MASK)) / size;
}

/*
 * The host address of the next up to *@count elements, forward, and how many of them can be reached
 * there. NULL: they must be taken one by one. May raise #PF.
 */
static void *piece_of(struct softcpu *cpu, const struct soft_op *op, const struct operand *operand,
		      enum soft_access access, uint64_t *count)
{
	gva_t address;
	uint64_t n;

	if ((cpu->rflags & FLAG_DF) || cpu->tlb == cpu->mmu->sets[SOFT_TLB_CHECKED] ||
	    !is_simple(cpu, operand, op->opsize, &address)) {
		return NULL;
	}
	n = MIN(*count, elements_in_page(address, op->opsize));
	n = MIN(n, (soft_address_mask(op->addrsize) - operand->offset) / op->opsize + 1);
	if (n == 0 || !is_simple(cpu, operand, n * op->opsize, &address)) {
		return NULL;
	}
	*count = n;
	return soft_page_host(cpu, address, access);
}

static void host_movs(void *to, const void *from, uint64_t count, unsigned int size)
{
	switch (size) {
	case 1:
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		break;
	case 2:
		__asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		break;
	case 4:
		__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		break;
	default:
		__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		break;
	}
}

/* ------- MOVS, STOS, LODS: an iteration or a piece; the number of elements done ------- */

static uint64_t step_movs(struct softcpu *cpu, const struct soft_op *op, uint64_t count)
{
	struct operand from = source_of(cpu, op);
	struct operand to = destination_of(cpu, op);
	void *source = NULL;
	void *destination = NULL;

	if (count > 1) {
		source = piece_of(cpu, op, &from, SOFT_ACCESS_READ, &count);
	}
	if (source) {
		destination = piece_of(cpu, op, &to, SOFT_ACCESS_WRITE, &count);
	}
	if (destination) {
		host_movs(destination, source, count, op->opsize);
	} else {
		write_element(cpu, op, &to, read_element(cpu, op, &from));
		count = 1;
	}
	advance(cpu, op, &from, count);
	advance(cpu, op, &to, count);
	return count;
}

static uint64_t step_stos(struct softcpu *cpu, const struct soft_op *op, uint64_t count)
{
	struct operand to = destination_of(cpu, op);
	void *destination = NULL;

	if (count > 1) {
		destination = piece_of(cpu, op, &to, SOFT_ACCESS_WRITE, &count);
	}
	if (destination) {
		soft_host_fill(destination, cpu->gpr[CPU_RAX], count, op->opsize);
	} else {
		write_element(cpu, op, &to, cpu->gpr[CPU_RAX]);
		count = 1;
	}
	advance(cpu, op, &to, count);
	return count;
}

static uint64_t step_lods(struct softcpu *cpu, const struct soft_op *op, uint64_t count)
{
	struct operand from = source_of(cpu, op);

	soft_set(cpu, CPU_RAX, read_element(cpu, op, &from), op->opsize);
	advance(cpu, op, &from, 1);
	return 1;
}

typedef uint64_t (*step_fn)(struct softcpu *cpu, const struct soft_op *op, uint64_t count);

SOFT_INLINE void repeat(struct softcpu *cpu, const struct soft_op *op, step_fn step)
{
	uint64_t left = count_left(cpu, op);

	cpu->op = op;
	while (left > 0) {
		uint64_t done = step(cpu, op, most_at_once(cpu, left));

		count_down(cpu, op, done);
		left -= done;
		if (left > 0 && must_pause(cpu)) {
			soft_op_stop(cpu, op);
			return;
		}
	}
	soft_next(cpu, op);
}

static void movs(struct softcpu *cpu, const struct soft_op *op)
{
	repeat(cpu, op, step_movs);
}

static void stos(struct softcpu *cpu, const struct soft_op *op)
{
	repeat(cpu, op, step_stos);
}

static void lods(struct softcpu *cpu, const struct soft_op *op)
{
	repeat(cpu, op, step_lods);
}

/* ------- CMPS and SCAS ------- */

static void compare(struct softcpu *cpu, unsigned int size, uint64_t a, uint64_t b)
{
	switch (size) {
	case 1: soft_do_CMP_1(cpu, a, b); break;
	case 2: soft_do_CMP_2(cpu, a, b); break;
	case 4: soft_do_CMP_4(cpu, a, b); break;
	default: soft_do_CMP_8(cpu, a, b); break;
	}
}

/* Whether REPE or REPNE ends with this pair. */
static bool ends_repetition(const struct soft_op *op, bool equal)
{
	return op->rep == 0xf3 ? !equal : op->rep == 0xf2 ? equal : true;
}

/* Looks at up to *@count pairs; *@a and *@b are the last; true if the repetition ends there. */
static bool scan(const struct soft_op *op, const uint8_t *pa, const uint8_t *pb, uint64_t *count,
		 uint64_t *a, uint64_t *b)
{
	uint64_t n = *count;

	for (uint64_t i = 0; i < n; i++) {
		if (pa) {
			*a = soft_host_load(pa + i * op->opsize, op->opsize);
		}
		*b = soft_host_load(pb + i * op->opsize, op->opsize);
		if (ends_repetition(op, *a == *b)) {
			*count = i + 1;
			return true;
		}
	}
	return false;
}

static bool step_cmps(struct softcpu *cpu, const struct soft_op *op, uint64_t *count, uint64_t *a,
		      uint64_t *b)
{
	struct operand from = source_of(cpu, op);
	struct operand to = destination_of(cpu, op);
	const void *second = NULL;
	const void *first = NULL;
	bool ended;

	if (*count > 1) {
		first = piece_of(cpu, op, &from, SOFT_ACCESS_READ, count);
	}
	if (first) {
		second = piece_of(cpu, op, &to, SOFT_ACCESS_READ, count);
	}
	if (second) {
		ended = scan(op, first, second, count, a, b);
	} else {
		*a = read_element(cpu, op, &from);
		*b = read_element(cpu, op, &to);
		*count = 1;
		ended = ends_repetition(op, *a == *b);
	}
	advance(cpu, op, &from, *count);
	advance(cpu, op, &to, *count);
	return ended;
}

static bool step_scas(struct softcpu *cpu, const struct soft_op *op, uint64_t *count, uint64_t *a,
		      uint64_t *b)
{
	struct operand to = destination_of(cpu, op);
	const void *second = NULL;
	bool ended;

	*a = cpu->gpr[CPU_RAX] & soft_address_mask(op->opsize);
	if (*count > 1) {
		second = piece_of(cpu, op, &to, SOFT_ACCESS_READ, count);
	}
	if (second) {
		ended = scan(op, NULL, second, count, a, b);
	} else {
		*b = read_element(cpu, op, &to);
		*count = 1;
		ended = ends_repetition(op, *a == *b);
	}
	advance(cpu, op, &to, *count);
	return ended;
}

typedef bool (*scan_fn)(struct softcpu *cpu, const struct soft_op *op, uint64_t *count,
			uint64_t *a, uint64_t *b);

SOFT_INLINE void search(struct softcpu *cpu, const struct soft_op *op, scan_fn step)
{
	uint64_t left = count_left(cpu, op);
	bool ended = false;
	uint64_t a = 0;
	uint64_t b = 0;

	cpu->op = op;
	if (left == 0) {
		soft_next(cpu, op);
		return;
	}
	while (left > 0 && !ended) {
		uint64_t done = most_at_once(cpu, left);

		ended = step(cpu, op, &done, &a, &b);
		count_down(cpu, op, done);
		left -= done;
		if (left > 0 && !ended && must_pause(cpu)) {
			compare(cpu, op->opsize, a, b);
			soft_op_stop(cpu, op);
			return;
		}
	}
	compare(cpu, op->opsize, a, b);
	soft_next(cpu, op);
}

static void cmps(struct softcpu *cpu, const struct soft_op *op)
{
	search(cpu, op, step_cmps);
}

static void scas(struct softcpu *cpu, const struct soft_op *op)
{
	search(cpu, op, step_scas);
}

/* ------- INS and OUTS ------- */

/* A port's handler may change anything, and a CPU must not be kept by a long count. */
#define IO_ELEMENTS 1024

static void ins_element(struct softcpu *cpu, const struct soft_op *op)
{
	struct operand to = destination_of(cpu, op);
	uint16_t port = (uint16_t)cpu->gpr[CPU_RDX];

	/* Reading a port cannot be undone: the page must be there. */
	soft_check_write(cpu, to.seg, to.offset, op->opsize);
	write_element(cpu, op, &to, io_read(cpu->env->ports, port, op->opsize));
	advance(cpu, op, &to, 1);
}

static void outs_element(struct softcpu *cpu, const struct soft_op *op)
{
	struct operand from = source_of(cpu, op);
	uint16_t port = (uint16_t)cpu->gpr[CPU_RDX];

	io_write(cpu->env->ports, port, read_element(cpu, op, &from), op->opsize);
	advance(cpu, op, &from, 1);
}

static void port_string(struct softcpu *cpu, const struct soft_op *op)
{
	uint64_t left = count_left(cpu, op);

	if (left == 0) {
		return;
	}
	soft_check_io(cpu, (uint16_t)cpu->gpr[CPU_RDX], op->opsize);
	for (unsigned int i = 0; i < IO_ELEMENTS; i++) {
		if (op->aux_value) {
			ins_element(cpu, op);
		} else {
			outs_element(cpu, op);
		}
		count_down(cpu, op, 1);
		if (--left == 0) {
			return;
		}
		if (must_pause(cpu)) {
			break;
		}
	}
	cpu->next_rip = cpu->rip;
}

/* ------- binding ------- */

static bool bind_port_string(struct soft_op *op, bool is_in)
{
	op->aux_value = is_in;
	op->ends_block = true;
	if (op->opsize == 8) {
		op->opsize = 4;
	}
	return soft_bind_full(op, port_string);
}

bool soft_bind_string(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	if (insn->zydis.meta.category != ZYDIS_CATEGORY_STRINGOP &&
	    insn->zydis.meta.category != ZYDIS_CATEGORY_IOSTRINGOP) {
		return false;
	}
	op->seg = soft_insn_segment(insn);
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVSQ: return soft_bind_threaded(op, movs);
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ: return soft_bind_threaded(op, stos);
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ: return soft_bind_threaded(op, lods);
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ: return soft_bind_threaded(op, cmps);
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ: return soft_bind_threaded(op, scas);
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD: return bind_port_string(op, true);
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD: return bind_port_string(op, false);
	default: return false;
	}
}
