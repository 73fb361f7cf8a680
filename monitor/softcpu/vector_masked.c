/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector instructions whose memory accesses depend on a mask: VMASKMOVPS/PD, VPMASKMOVD/Q,
 * MASKMOVQ, MASKMOVDQU and AVX2's gathers. Elements that the mask leaves out are not accessed and
 * cannot fault, so these go element by element (SDM vol. 2, the instructions' operation sections).
 *
 * Stores are checked whole before the first byte is written. A gather that faults keeps what it has
 * gathered, with those elements' mask bits cleared, and goes on from there when it is executed
 * again.
 */

#include "softcpu/fpu.h"

/**
 * struct masked_form - what op->imm holds
 * @data: the register that is loaded or stored; @mask: the mask register
 * @base, @index, @scale: gathers: general and vector register of the address
 * @size: bytes of an element; @index_size: of an index
 * @count: elements
 */
struct masked_form {
	uint8_t data;
	uint8_t mask;
	uint8_t base;
	uint8_t index;
	uint8_t scale : 4;
	uint8_t size : 4;
	uint8_t index_size : 4;
	uint8_t count : 4;
	uint16_t narrow; /* bits of an address: 16, 32, 64 */
};

_Static_assert(sizeof(struct masked_form) == sizeof(uint64_t), "fits op->imm");

static struct masked_form form_of(const struct soft_op *op)
{
	struct masked_form form;

	memcpy(&form, &op->imm, sizeof(form));
	return form;
}

static uint64_t truncate_address(const struct masked_form *form, uint64_t address)
{
	return form->narrow == 64 ? address : address & (BIT(form->narrow) - 1);
}

static void get_vector(struct softcpu *cpu, unsigned int n, uint8_t *ret)
{
	memcpy(ret, soft_fpu(cpu)->xmm[n], 16);
	memcpy(ret + 16, soft_fpu(cpu)->ymm_hi[n], 16);
}

static void set_vector(struct softcpu *cpu, unsigned int n, const uint8_t *value)
{
	memcpy(soft_fpu(cpu)->xmm[n], value, 16);
	memcpy(soft_fpu(cpu)->ymm_hi[n], value + 16, 16);
}

static bool selected(const uint8_t *mask, unsigned int i, unsigned int size)
{
	return mask[i * size + size - 1] & 0x80;
}

static void read_element(struct softcpu *cpu, const struct soft_op *op, uint64_t ea, uint8_t *dst,
			 unsigned int size)
{
	if (size == 4) {
		store_le32(dst, soft_read_u32(cpu, op->seg, ea));
	} else {
		store_le64(dst, soft_read_u64(cpu, op->seg, ea));
	}
}

/* ------- VMASKMOV ------- */

static void masked_load(struct softcpu *cpu, const struct soft_op *op)
{
	struct masked_form form = form_of(op);
	uint64_t ea = soft_ea(cpu, op);
	uint8_t mask[32];
	uint8_t value[32] = { 0 };

	soft_check_avx(cpu);
	get_vector(cpu, form.mask, mask);
	for (unsigned int i = 0; i < form.count; i++) {
		if (selected(mask, i, form.size)) {
			read_element(cpu, op, truncate_address(&form, ea + i * form.size),
				     value + i * form.size, form.size);
		}
	}
	set_vector(cpu, form.data, value);
}

static void masked_store(struct softcpu *cpu, const struct soft_op *op)
{
	struct masked_form form = form_of(op);
	uint64_t ea = soft_ea(cpu, op);
	uint8_t mask[32];
	uint8_t value[32];

	soft_check_avx(cpu);
	get_vector(cpu, form.mask, mask);
	get_vector(cpu, form.data, value);
	for (unsigned int i = 0; i < form.count; i++) {
		if (selected(mask, i, form.size)) {
			soft_check_write(cpu, op->seg, truncate_address(&form, ea + i * form.size),
					 form.size);
		}
	}
	for (unsigned int i = 0; i < form.count; i++) {
		uint64_t address = truncate_address(&form, ea + i * form.size);

		if (!selected(mask, i, form.size)) {
			continue;
		}
		if (form.size == 4) {
			soft_write_u32(cpu, op->seg, address, load_le32(value + 4 * i));
		} else {
			soft_write_u64(cpu, op->seg, address, load_le64(value + 8 * i));
		}
	}
}

/* ------- MASKMOVQ, MASKMOVDQU: bytes to [rDI] ------- */

static void store_bytes(struct softcpu *cpu, const struct soft_op *op, const uint8_t *value,
			const uint8_t *mask, unsigned int count)
{
	struct masked_form form = form_of(op);
	uint64_t ea = cpu->gpr[CPU_RDI];

	for (unsigned int i = 0; i < count; i++) {
		if (mask[i] & 0x80) {
			soft_check_write(cpu, op->seg, truncate_address(&form, ea + i), 1);
		}
	}
	for (unsigned int i = 0; i < count; i++) {
		if (mask[i] & 0x80) {
			soft_write_u8(cpu, op->seg, truncate_address(&form, ea + i), value[i]);
		}
	}
}

static void maskmovq(struct softcpu *cpu, const struct soft_op *op)
{
	struct masked_form form = form_of(op);
	struct soft_fpu *fpu = soft_fpu(cpu);
	uint8_t value[8];
	uint8_t mask[8];
	unsigned int top;

	soft_check_mmx(cpu);
	top = soft_fpu_top(fpu);
	memcpy(value, fpu->st[(form.data - top) & 7], 8);
	memcpy(mask, fpu->st[(form.mask - top) & 7], 8);
	store_bytes(cpu, op, value, mask, 8);
	soft_mmx_enter(cpu);
}

static void maskmovdqu(struct softcpu *cpu, const struct soft_op *op)
{
	struct masked_form form = form_of(op);
	struct soft_fpu *fpu = soft_fpu(cpu);

	soft_check_sse(cpu);
	store_bytes(cpu, op, fpu->xmm[form.data], fpu->xmm[form.mask], 16);
}

static void vmaskmovdqu(struct softcpu *cpu, const struct soft_op *op)
{
	struct masked_form form = form_of(op);
	struct soft_fpu *fpu = soft_fpu(cpu);

	soft_check_avx(cpu);
	store_bytes(cpu, op, fpu->xmm[form.data], fpu->xmm[form.mask], 16);
}

/* ------- gathers ------- */

static uint64_t gather_address(struct softcpu *cpu, const struct soft_op *op,
			       const struct masked_form *form, const uint8_t *indices,
			       unsigned int i)
{
	uint64_t index = form->index_size == 4
				 ? (uint64_t)(int64_t)(int32_t)load_le32(indices + 4 * i)
				 : load_le64(indices + 8 * i);
	uint64_t base = form->base == SOFT_REG_NONE ? 0 : cpu->gpr[form->base];

	return truncate_address(form, base + index * form->scale + op->disp);
}

static void gather(struct softcpu *cpu, const struct soft_op *op)
{
	struct masked_form form = form_of(op);
	uint8_t indices[32];
	uint8_t mask[32];
	uint8_t value[32];

	soft_check_avx(cpu);
	get_vector(cpu, form.index, indices);
	get_vector(cpu, form.mask, mask);
	get_vector(cpu, form.data, value);
	for (unsigned int i = 0; i < form.count; i++) {
		if (selected(mask, i, form.size)) {
			set_vector(cpu, form.data, value);
			set_vector(cpu, form.mask, mask);
			read_element(cpu, op, gather_address(cpu, op, &form, indices, i),
				     value + i * form.size, form.size);
		}
		memset(mask + i * form.size, 0, form.size);
	}
	memset(value + form.count * form.size, 0, 32u - form.count * form.size);
	memset(mask, 0, sizeof(mask));
	set_vector(cpu, form.data, value);
	set_vector(cpu, form.mask, mask);
}

/* ------- binding ------- */

static uint8_t vector_number(const ZydisDecodedOperand *operand)
{
	return (uint8_t)ZydisRegisterGetId(operand->reg.value);
}

static bool bind_maskmov(const struct soft_insn *insn, struct soft_op *op, struct masked_form *form,
			 uint8_t size)
{
	bool load = insn->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
	const ZydisDecodedOperand *data = load ? &insn->operands[0] : &insn->operands[2];

	form->data = vector_number(data);
	form->mask = vector_number(&insn->operands[1]);
	form->size = size & 15;
	form->count = (data->size / 8 / size) & 15;
	op->fn = load ? masked_load : masked_store;
	return true;
}

/* The address is hidden: DS:rDI, or another segment by a prefix. */
static uint8_t segment_of(const ZydisDecodedInstruction *zydis)
{
	static const struct {
		uint64_t attribute;
		uint8_t segment;
	} prefixes[] = {
		{ ZYDIS_ATTRIB_HAS_SEGMENT_CS, CPU_CS }, { ZYDIS_ATTRIB_HAS_SEGMENT_SS, CPU_SS },
		{ ZYDIS_ATTRIB_HAS_SEGMENT_ES, CPU_ES }, { ZYDIS_ATTRIB_HAS_SEGMENT_FS, CPU_FS },
		{ ZYDIS_ATTRIB_HAS_SEGMENT_GS, CPU_GS },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (zydis->attributes & prefixes[i].attribute) {
			return prefixes[i].segment;
		}
	}
	return CPU_DS;
}

static bool bind_bytes(const struct soft_insn *insn, struct soft_op *op, struct masked_form *form,
		       soft_fn fn)
{
	form->data = vector_number(&insn->operands[0]);
	form->mask = vector_number(&insn->operands[1]);
	op->seg = segment_of(&insn->zydis);
	op->fn = fn;
	return true;
}

static bool bind_gather(const struct soft_insn *insn, struct soft_op *op, struct masked_form *form,
			uint8_t size, uint8_t index_size)
{
	const ZydisDecodedOperand *mem = &insn->operands[1];
	unsigned int length = insn->zydis.avx.vector_length / 8;

	form->data = vector_number(&insn->operands[0]);
	form->mask = vector_number(&insn->operands[2]);
	form->base =
		mem->mem.base == ZYDIS_REGISTER_NONE ? SOFT_REG_NONE : soft_insn_gpr(mem->mem.base);
	form->index = (uint8_t)ZydisRegisterGetId(mem->mem.index);
	form->scale = mem->mem.scale & 15;
	form->size = size & 15;
	form->index_size = index_size & 15;
	form->count = (length / MAX(size, index_size)) & 15;
	if (form->data == form->mask || form->data == form->index || form->mask == form->index) {
		return false;
	}
	op->seg = (uint8_t)(mem->mem.segment - ZYDIS_REGISTER_ES);
	op->disp = mem->mem.disp.has_displacement ? (uint64_t)mem->mem.disp.value : 0;
	op->fn = gather;
	return true;
}

static bool bind_form(const struct soft_insn *insn, struct soft_op *op, struct masked_form *form)
{
	switch (insn->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD: return bind_maskmov(insn, op, form, 4);
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ: return bind_maskmov(insn, op, form, 8);
	case ZYDIS_MNEMONIC_MASKMOVQ: return bind_bytes(insn, op, form, maskmovq);
	case ZYDIS_MNEMONIC_MASKMOVDQU: return bind_bytes(insn, op, form, maskmovdqu);
	case ZYDIS_MNEMONIC_VMASKMOVDQU: return bind_bytes(insn, op, form, vmaskmovdqu);
	case ZYDIS_MNEMONIC_VGATHERDPS:
	case ZYDIS_MNEMONIC_VPGATHERDD: return bind_gather(insn, op, form, 4, 4);
	case ZYDIS_MNEMONIC_VGATHERDPD:
	case ZYDIS_MNEMONIC_VPGATHERDQ: return bind_gather(insn, op, form, 8, 4);
	case ZYDIS_MNEMONIC_VGATHERQPS:
	case ZYDIS_MNEMONIC_VPGATHERQD: return bind_gather(insn, op, form, 4, 8);
	case ZYDIS_MNEMONIC_VGATHERQPD:
	case ZYDIS_MNEMONIC_VPGATHERQQ: return bind_gather(insn, op, form, 8, 8);
	default: return false;
	}
}

bool soft_bind_vector_masked(const struct soft_insn *insn, struct soft_op *op)
{
	struct masked_form form = { .narrow = insn->zydis.address_width };

	if (!bind_form(insn, op, &form)) {
		return false;
	}
	op->kind = SOFT_CALL_PLAIN;
	memcpy(&op->imm, &form, sizeof(form));
	return true;
}
