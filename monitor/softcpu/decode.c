/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding: Zydis turns bytes into an instruction, this file turns that into a struct soft_op and
 * asks the binding functions in turn who executes it. What nobody binds raises #UD.
 *
 * Only the first instruction of a block may span two pages, so the second page is touched (and can
 * fault) only when the instruction that the CPU is about to execute needs it. Likewise an
 * instruction beyond the code segment's limit raises #GP only as the first of a block; before it
 * a block just ends. An instruction of more than 15 bytes raises #GP (Intel SDM vol. 2, 2.3.11).
 *
 * Zydis is told to decode as a processor without MPX and CET, where their encodings are NOPs, and
 * LZCNT and TZCNT as BSR and BSF where the CPU model lacks them.
 */

#include "softcpu/insn.h"

#include "softcpu/blocks.h"
#include "softcpu/threaded.h"

/**
 * struct decoding - a block in the making
 * @from: its first byte; @left: bytes from there to the end of the page or segment
 * @at: bytes decoded so far
 * @insn: the present instruction
 */
struct decoding {
	ZydisDecoder decoder;
	struct soft_code_bytes from;
	size_t left;
	size_t at;
	struct soft_block *block;
	struct soft_insn insn;
	uint8_t bytes[SOFT_MAX_INSN + 1];
};

/* ------- ops that stand for no instruction of their own ------- */

static void raise_undefined(struct softcpu *cpu, const struct soft_op *op)
{
	soft_raise(cpu, SOFT_UD);
}

static void raise_protection(struct softcpu *cpu, const struct soft_op *op)
{
	soft_raise_error(cpu, SOFT_GP, 0);
}

/* ------- operands ------- */

uint8_t soft_insn_gpr(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
		return (uint8_t)(reg - ZYDIS_REGISTER_RAX);
	}
	if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
		return (uint8_t)(reg - ZYDIS_REGISTER_EAX);
	}
	if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
		return (uint8_t)(reg - ZYDIS_REGISTER_AX);
	}
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
		return (uint8_t)(reg - ZYDIS_REGISTER_AL);
	}
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		return (uint8_t)(reg - ZYDIS_REGISTER_AH + CPU_GPR_COUNT);
	}
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
		return (uint8_t)(reg - ZYDIS_REGISTER_SPL + CPU_RSP);
	}
	return SOFT_REG_NONE;
}

static uint8_t address_register(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE ? SOFT_REG_ZERO : soft_insn_gpr(reg);
}

static void fill_memory(struct decoding *d, struct soft_op *op, const ZydisDecodedOperand *operand)
{
	const ZydisDecodedOperandMem *mem = &operand->mem;

	op->has_mem = true;
	op->seg = (uint8_t)(mem->segment - ZYDIS_REGISTER_ES);
	op->disp = (uint64_t)mem->disp.value;
	op->index = address_register(mem->index);
	op->scale = mem->scale ? (uint8_t)__builtin_ctz(mem->scale) : 0;
	if (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP) {
		op->base = SOFT_REG_BLOCK;
		op->disp += d->at + op->length;
	} else {
		op->base = address_register(mem->base);
	}
	if (op->index == SOFT_REG_NONE) { /* a vector index, which its binding reads from @insn */
		op->index = SOFT_REG_ZERO;
	}
}

static void fill_operands(struct decoding *d, struct soft_op *op)
{
	const ZydisDecodedInstruction *zydis = &d->insn.zydis;
	bool has_imm = false;

	for (unsigned int i = 0; i < zydis->operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &d->insn.operands[i];

		switch (operand->type) {
		case ZYDIS_OPERAND_TYPE_REGISTER:
			if (op->reg == SOFT_REG_NONE) {
				op->reg = soft_insn_gpr(operand->reg.value);
			} else if (op->rm == SOFT_REG_NONE) {
				op->rm = soft_insn_gpr(operand->reg.value);
			}
			break;
		case ZYDIS_OPERAND_TYPE_MEMORY:
			fill_memory(d, op, operand);
			break;
		case ZYDIS_OPERAND_TYPE_IMMEDIATE:
			if (!has_imm) {
				op->imm = operand->imm.value.u;
				has_imm = true;
			}
			break;
		default:
			break;
		}
	}
}

static void fill_prefixes(const ZydisDecodedInstruction *zydis, struct soft_op *op)
{
	for (unsigned int i = 0; i < zydis->raw.prefix_count; i++) {
		uint8_t value = zydis->raw.prefixes[i].value;

		if (value == 0xf2 || value == 0xf3) {
			op->rep = value;
		}
	}
	op->lock = zydis->attributes & ZYDIS_ATTRIB_HAS_LOCK;
}

static void fill_op(struct decoding *d, struct soft_op *op)
{
	const ZydisDecodedInstruction *zydis = &d->insn.zydis;

	op->mnemonic = (uint16_t)zydis->mnemonic;
	op->length = zydis->length;
	op->opsize = zydis->operand_width / 8;
	op->addrsize = zydis->address_width / 8;
	op->seg = SOFT_SEG_NONE;
	op->base = SOFT_REG_ZERO;
	op->index = SOFT_REG_ZERO;
	op->reg = SOFT_REG_NONE;
	op->rm = SOFT_REG_NONE;
	fill_prefixes(zydis, op);
	fill_operands(d, op);
}

/* ------- binding ------- */

/* VEX and EVEX exist only in protected mode (SDM vol. 2, 2.3.1). */
static bool is_encoding_allowed(const struct softcpu *cpu, const ZydisDecodedInstruction *zydis)
{
	if (zydis->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    zydis->encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW) {
		return true;
	}
	return cpu->protected_mode && !cpu->v8086;
}

static void bind_fault(struct soft_op *op, soft_fn fn)
{
	op->fn = fn;
	op->kind = SOFT_CALL_FULL;
	op->ends_block = true;
}

static void bind_op(struct softcpu *cpu, const struct soft_insn *insn, struct soft_op *op)
{
	if (!is_encoding_allowed(cpu, &insn->zydis) ||
	    !(soft_bind_integer(cpu, insn, op) || soft_bind_control(cpu, insn, op) ||
	      soft_bind_string(cpu, insn, op) || soft_bind_system(cpu, insn, op) ||
	      soft_bind_vector(cpu, insn, op))) {
		bind_fault(op, raise_undefined);
	}
}

static void wrap_call(struct soft_op *op)
{
	switch (op->kind) {
	case SOFT_CALL_THREADED:
		break;
	case SOFT_CALL_PLAIN:
		op->call = op->fn;
		op->fn = soft_call_plain;
		break;
	default:
		op->call = op->fn;
		op->fn = op->ends_block ? soft_call_last : soft_call_full;
		break;
	}
}

/* ------- bytes ------- */

static void init_decoder(const struct softcpu *cpu, ZydisDecoder *decoder)
{
	const struct cpu_model *model = cpu->model;
	ZydisMachineMode mode;

	switch (cpu->mode) {
	case SOFT_MODE_64: mode = ZYDIS_MACHINE_MODE_LONG_64; break;
	case SOFT_MODE_32: mode = ZYDIS_MACHINE_MODE_LEGACY_32; break;
	default:
		mode = cpu->protected_mode && !cpu->v8086 ? ZYDIS_MACHINE_MODE_LEGACY_16
							   : ZYDIS_MACHINE_MODE_REAL_16;
		break;
	}
	ZydisDecoderInit(decoder, mode,
			 cpu->mode == SOFT_MODE_64	      ? ZYDIS_STACK_WIDTH_64
			 : cpu->seg[CPU_SS].attr & CPU_SEG_DB ? ZYDIS_STACK_WIDTH_32
							      : ZYDIS_STACK_WIDTH_16);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES,
			       cpu_model_vendor_is_amd(model));
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_LZCNT,
			       cpu_model_has(model, 0x80000001, 0, 2, 5));
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_TZCNT, cpu_model_has(model, 7, 0, 1, 3));
}

static void read_bytes(struct softcpu *cpu, const struct soft_code_bytes *from, size_t at,
		       uint8_t *buf, size_t size)
{
	if (from->host) {
		soft_host_copy(buf, from->host + at, size);
		return;
	}
	for (size_t i = 0; i < size; i++) {
		buf[i] = soft_fetch_byte(cpu, from->address + at + i);
	}
}

/* How many bytes from cpu->rip on lie in the code segment, up to @most. */
static size_t within_segment(const struct softcpu *cpu, size_t most)
{
	const struct cpu_segment *cs = &cpu->seg[CPU_CS];

	if (cpu->mode == SOFT_MODE_64) {
		return most;
	}
	if (cpu->rip > cs->limit) {
		return 0;
	}
	return MIN((uint64_t)most, cs->limit - cpu->rip + 1);
}

static ZyanStatus decode_one(struct decoding *d, size_t size)
{
	struct soft_insn *insn = &d->insn;
	ZydisDecoderContext context;
	ZyanStatus status;

	status = ZydisDecoderDecodeInstruction(&d->decoder, &context, d->bytes, size, &insn->zydis);
	if (!ZYAN_SUCCESS(status)) {
		return status;
	}
	return ZydisDecoderDecodeOperands(&d->decoder, &context, &insn->zydis, insn->operands,
					  insn->zydis.operand_count_visible);
}

/* The first instruction reaches into the next page: get the rest of it. */
static ZyanStatus decode_across_pages(struct softcpu *cpu, struct decoding *d, size_t have)
{
	size_t most = within_segment(cpu, SOFT_MAX_INSN);
	struct soft_block *block = d->block;
	struct soft_code_bytes next;

	if (most <= have) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	soft_fetch(cpu, soft_code_address(cpu, cpu->rip + have), &next);
	if (next.host && d->from.host) {
		uint64_t epoch;

		block->pages[1].region = next.region;
		block->pages[1].page = next.page;
		epoch = soft_code_mark(cpu, &block->pages[1]);
		block->epoch = MAX(block->epoch, epoch);
		block->tail = next.host;
	}
	read_bytes(cpu, &next, 0, d->bytes + have, most - have);
	d->left = most;
	return decode_one(d, most);
}

/* The next instruction's form into d->insn. False: it does not belong to this block. */
static bool decode_next(struct softcpu *cpu, struct decoding *d, ZyanStatus *ret_status)
{
	size_t have = MIN(d->left - d->at, (size_t)SOFT_MAX_INSN);

	read_bytes(cpu, &d->from, d->at, d->bytes, have);
	*ret_status = decode_one(d, have);
	if (*ret_status != ZYDIS_STATUS_NO_MORE_DATA || have == SOFT_MAX_INSN) {
		return true;
	}
	if (d->at > 0) {
		return false;
	}
	*ret_status = decode_across_pages(cpu, d, have);
	return true;
}

/* ------- blocks ------- */

static bool add_op(struct softcpu *cpu, struct decoding *d, ZyanStatus status)
{
	struct soft_block *block = d->block;
	struct soft_op *op = &block->ops[block->count];

	memset(op, 0, sizeof(*op));
	d->insn.bytes = d->bytes;
	d->insn.rip = cpu->rip + d->at;
	d->insn.mode = cpu->mode;
	op->offset = (uint16_t)d->at;
	op->number = (uint8_t)block->count;
	if (ZYAN_SUCCESS(status)) {
		fill_op(d, op);
		bind_op(cpu, &d->insn, op);
	} else {
		bool too_long = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ||
				status == ZYDIS_STATUS_NO_MORE_DATA;

		bind_fault(op, too_long ? raise_protection : raise_undefined);
		op->length = (uint8_t)MIN(d->left - d->at, (size_t)SOFT_MAX_INSN);
	}
	memcpy(cpu->blocks->bytes + d->at, d->bytes, op->length);
	wrap_call(op);
	d->at += op->length;
	block->count++;
	return !op->ends_block;
}

static void finish_block(struct decoding *d)
{
	struct soft_block *block = d->block;
	struct soft_op *op = &block->ops[block->count];

	memset(op, 0, sizeof(*op));
	op->fn = soft_op_go_on;
	op->offset = (uint16_t)d->at;
	op->number = (uint8_t)block->count;
	op->scale = (block->key & SOFT_KEY_FLAT) &&
		    (d->from.address & GUEST_PAGE_MASK) + d->at < GUEST_PAGE_SIZE;
	block->bytes = (uint16_t)d->at;
	block->head = (uint16_t)MIN(d->at, GUEST_PAGE_SIZE - (d->from.address & GUEST_PAGE_MASK));
	if (block->head == block->bytes) {
		block->tail = NULL;
		block->pages[1].region = NULL;
	}
}

void soft_decode_block(struct softcpu *cpu, const struct soft_code_bytes *from,
		       struct soft_block *block)
{
	struct decoding d = { .from = *from, .block = block };
	unsigned int most = cpu->block_key & SOFT_KEY_SINGLE ? 1 : SOFT_BLOCK_MAX_OPS;
	ZyanStatus status;
	bool more = true;

	block->host = from->host;
	block->key = cpu->block_key;
	block->count = 0;
	d.left = within_segment(cpu, GUEST_PAGE_SIZE - (from->address & GUEST_PAGE_MASK));
	if (d.left == 0) {
		soft_raise_error(cpu, SOFT_GP, 0);
	}
	init_decoder(cpu, &d.decoder);
	while (more && block->count < most && d.at < d.left && !block->pages[1].region) {
		if (!decode_next(cpu, &d, &status)) {
			break;
		}
		more = add_op(cpu, &d, status);
	}
	finish_block(&d);
}
