/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The normal form in which thunks execute an instruction: as 64-bit code, without segment and
 * address-size prefixes, with a memory operand at [rsi], vector registers as they are and explicit
 * general registers renamed by their place in the encoding. The bytes are built anew from Zydis's
 * fields (prefixes, REX or VEX, opcode, ModRM, immediate: SDM vol. 2, 2.1 to 2.3), which is exact
 * where an assembler would have a choice (VEX.L and VEX.W of scalar instructions) and costs little:
 * it is done each time that guest code is decoded.
 *
 * Hidden general registers keep their names; only RAX, RCX and RDX occur, and none together with
 * explicit ones (MULX, which does, is not executed by a thunk).
 */

#include "softcpu/fpu.h"
#include "softcpu/thunk.h"

enum gpr_slot {
	SLOT_REG,  /* RAX */
	SLOT_VVVV, /* RCX */
	SLOT_RM,   /* RDX */
};

/* Where the registers of an encoding go: numbers in the normal form. */
struct places {
	unsigned int reg;
	unsigned int rm;
	unsigned int vvvv;
	bool has_vvvv;
	bool has_mem;
};

static bool slot_of_encoding(ZydisOperandEncoding encoding, enum gpr_slot *ret_slot)
{
	switch (encoding) {
	case ZYDIS_OPERAND_ENCODING_MODRM_REG: *ret_slot = SLOT_REG; return true;
	case ZYDIS_OPERAND_ENCODING_MODRM_RM: *ret_slot = SLOT_RM; return true;
	case ZYDIS_OPERAND_ENCODING_NDSNDD: *ret_slot = SLOT_VVVV; return true;
	default: return false;
	}
}

static void place(struct places *places, ZydisOperandEncoding encoding, unsigned int number)
{
	switch (encoding) {
	case ZYDIS_OPERAND_ENCODING_MODRM_REG: places->reg = number; break;
	case ZYDIS_OPERAND_ENCODING_MODRM_RM: places->rm = number; break;
	case ZYDIS_OPERAND_ENCODING_NDSNDD:
		places->vvvv = number;
		places->has_vvvv = true;
		break;
	default: break;
	}
}

static bool plan_gpr(const ZydisDecodedOperand *operand, struct thunk_key *key,
		     struct thunk_plan *plan, struct places *places)
{
	uint8_t gpr = soft_insn_gpr(operand->reg.value);
	enum gpr_slot slot;

	if (gpr >= CPU_GPR_COUNT) {
		return false;
	}
	if (!slot_of_encoding(operand->encoding, &slot)) {
		return false;
	}
	place(places, operand->encoding, slot);
	key->gpr[slot] = gpr;
	/* A destination is loaded too: 16-bit results leave the rest of the register. */
	plan->gpr_load |= BIT(slot);
	if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
		plan->gpr_store |= BIT(slot);
	}
	return true;
}

static void plan_vector(const ZydisDecodedOperand *operand, struct thunk_plan *plan,
			struct places *places)
{
	unsigned int n = (unsigned int)ZydisRegisterGetId(operand->reg.value) & 15;

	place(places, operand->encoding, n);
	plan->flags |= THUNK_XMM;
	/* What a legacy instruction does not write of its destination stays. */
	if (!(plan->flags & THUNK_VEX) || (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ)) {
		plan->load |= BIT(n);
	}
	if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
		plan->store |= BIT(n);
	}
}

static void plan_mmx(const ZydisDecodedOperand *operand, struct thunk_plan *plan,
		     struct places *places)
{
	unsigned int n = (unsigned int)ZydisRegisterGetId(operand->reg.value) & 7;

	place(places, operand->encoding, n);
	plan->flags |= THUNK_MMX;
	plan->mmx_load |= BIT(n);
	if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
		plan->mmx_store |= BIT(n);
	}
}

static bool plan_register(const ZydisDecodedOperand *operand, struct thunk_key *key,
			  struct thunk_plan *plan, struct places *places)
{
	switch (ZydisRegisterGetClass(operand->reg.value)) {
	case ZYDIS_REGCLASS_XMM:
	case ZYDIS_REGCLASS_YMM: plan_vector(operand, plan, places); return true;
	case ZYDIS_REGCLASS_MMX: plan_mmx(operand, plan, places); return true;
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64: return plan_gpr(operand, key, plan, places);
	case ZYDIS_REGCLASS_X87:
		plan->flags |= THUNK_X87;
		place(places, operand->encoding,
		      (unsigned int)ZydisRegisterGetId(operand->reg.value) & 7);
		return true;
	default: return true; /* flags and status words, hidden */
	}
}

static bool plan_operands(const struct soft_insn *insn, struct thunk_key *key,
			  struct thunk_plan *plan, struct places *places)
{
	for (unsigned int i = 0; i < insn->zydis.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &insn->operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
			if (!plan_register(operand, key, plan, places)) {
				return false;
			}
		} else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			if (operand->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM) {
				return false;
			}
			places->has_mem = true;
			plan->mem_size = operand->size / 8;
			if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ) {
				plan->flags |= THUNK_READS;
			}
			if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
				plan->flags |= THUNK_WRITES;
			}
		}
	}
	return true;
}

/* Registers that the encoding does not name: the decoder leaves them to us. */
static void plan_hidden(ZydisMnemonic mnemonic, struct thunk_key *key, struct thunk_plan *plan)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_BLENDVPS:
	case ZYDIS_MNEMONIC_BLENDVPD:
	case ZYDIS_MNEMONIC_PBLENDVB:
	case ZYDIS_MNEMONIC_SHA256RNDS2: plan->load |= BIT(0); break;
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_VPCMPESTRI:
	case ZYDIS_MNEMONIC_VPCMPESTRM:
		key->gpr[SLOT_REG] = CPU_RAX;
		key->gpr[SLOT_RM] = CPU_RDX;
		plan->gpr_load |= BIT(SLOT_REG) | BIT(SLOT_RM);
		break;
	default: break;
	}
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_VPCMPESTRI:
	case ZYDIS_MNEMONIC_VPCMPISTRI:
		key->gpr[SLOT_VVVV] = CPU_RCX;
		plan->gpr_store |= BIT(SLOT_VVVV);
		break;
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRM:
	case ZYDIS_MNEMONIC_VPCMPESTRM:
	case ZYDIS_MNEMONIC_VPCMPISTRM: plan->store |= BIT(0); break;
	default: break;
	}
}

static bool is_unaligned_move(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM: return true;
	default: return false;
	}
}

/* SDM vol. 2, 2.4: the classes say which operands must be aligned and which instructions round. */
static void plan_class(const ZydisDecodedInstruction *zydis, struct thunk_plan *plan)
{
	switch (zydis->meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_SSE2:
		plan->flags |= THUNK_FP | THUNK_MISALIGN_OK;
		plan->align_mask = plan->mem_size == 16 ? 15 : 0;
		break;
	case ZYDIS_EXCEPTION_CLASS_SSE4:
		plan->flags |= THUNK_MISALIGN_OK;
		plan->align_mask =
			plan->mem_size == 16 && !is_unaligned_move(zydis->mnemonic) ? 15 : 0;
		break;
	case ZYDIS_EXCEPTION_CLASS_SSE1:
	case ZYDIS_EXCEPTION_CLASS_AVX1:
		plan->align_mask = plan->mem_size >= 16 ? (uint8_t)(plan->mem_size - 1) : 0;
		break;
	case ZYDIS_EXCEPTION_CLASS_SSE3:
	case ZYDIS_EXCEPTION_CLASS_AVX3:
		/* Of CVTSD2SI and its like with an operand in memory, none is a vector register. */
		plan->flags |= THUNK_FP | THUNK_XMM;
		break;
	case ZYDIS_EXCEPTION_CLASS_AVX2:
	case ZYDIS_EXCEPTION_CLASS_AVX11: plan->flags |= THUNK_FP; break;
	default: break;
	}
	/* AMD's processors do not check these, and no program relies on the fault of others. */
	if (zydis->meta.isa_set == ZYDIS_ISA_SET_SHA) {
		plan->align_mask = 0;
	}
	switch (zydis->mnemonic) {
	case ZYDIS_MNEMONIC_CVTPI2PS:
	case ZYDIS_MNEMONIC_CVTPS2PI:
	case ZYDIS_MNEMONIC_CVTPD2PI:
	case ZYDIS_MNEMONIC_CVTTPS2PI:
	case ZYDIS_MNEMONIC_CVTTPD2PI:
		plan->flags |= THUNK_FP;
		plan->align_mask = plan->mem_size == 16 ? 15 : 0;
		break;
	default: break;
	}
}

static void plan_flags(const ZydisDecodedInstruction *zydis, struct thunk_plan *plan)
{
	/* Zydis does not know all that these set. */
	switch (zydis->mnemonic) {
	case ZYDIS_MNEMONIC_VPTEST:
	case ZYDIS_MNEMONIC_VTESTPS:
	case ZYDIS_MNEMONIC_VTESTPD: plan->flags_out = FLAGS_ARITH; return;
	default: break;
	}
	if (!zydis->cpu_flags) {
		return;
	}
	plan->flags_in = zydis->cpu_flags->tested & FLAGS_ARITH;
	plan->flags_out = (zydis->cpu_flags->modified | zydis->cpu_flags->set_0 |
			   zydis->cpu_flags->set_1 | zydis->cpu_flags->undefined) &
			  FLAGS_ARITH;
	/* Some processors leave undefined flags alone. */
	if (plan->flags_in || zydis->cpu_flags->undefined) {
		plan->flags_in = FLAGS_ARITH;
	}
}

static uint8_t *put_opcode_map(uint8_t *p, ZydisOpcodeMap map)
{
	switch (map) {
	case ZYDIS_OPCODE_MAP_0F: *p++ = 0x0f; break;
	case ZYDIS_OPCODE_MAP_0F38:
		*p++ = 0x0f;
		*p++ = 0x38;
		break;
	case ZYDIS_OPCODE_MAP_0F3A:
		*p++ = 0x0f;
		*p++ = 0x3a;
		break;
	default: break;
	}
	return p;
}

static uint8_t *put_legacy(uint8_t *p, const struct soft_insn *insn, const struct places *places,
			   bool word_operand)
{
	const ZydisDecodedInstruction *zydis = &insn->zydis;
	uint8_t repeat = 0;
	uint8_t size = 0;
	uint8_t rex;

	for (unsigned int i = 0; i < zydis->raw.prefix_count; i++) {
		uint8_t value = zydis->raw.prefixes[i].value;

		if (value == 0xf2 || value == 0xf3) {
			repeat = value;
		} else if (value == 0x66) {
			size = value;
		}
	}
	/* Beside a repeat prefix, 0x66 only ever means the operand size. */
	if (word_operand || (size && !repeat && zydis->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)) {
		*p++ = 0x66;
	}
	if (repeat) {
		*p++ = repeat;
	}
	rex = (insn->mode == SOFT_MODE_64 && zydis->raw.rex.W ? 8 : 0) |
	      (places->reg >= 8 ? 4 : 0) | (!places->has_mem && places->rm >= 8 ? 1 : 0);
	if (rex) {
		*p++ = 0x40 | rex;
	}
	return put_opcode_map(p, zydis->opcode_map);
}

static uint8_t *put_vex(uint8_t *p, const struct soft_insn *insn, const struct places *places,
			bool w)
{
	const ZydisDecodedInstruction *zydis = &insn->zydis;
	unsigned int vvvv = places->has_vvvv ? places->vvvv : 0;

	*p++ = 0xc4;
	*p++ = (places->reg >= 8 ? 0 : 0x80) | 0x40 |
	       (!places->has_mem && places->rm >= 8 ? 0 : 0x20) | zydis->raw.vex.m_mmmm;
	*p++ = (w ? 0x80 : 0) | (~vvvv & 15) << 3 | zydis->raw.vex.L << 2 | zydis->raw.vex.pp;
	return p;
}

/* POPCNT, LZCNT, TZCNT: only beside them is 0x66 an operand size and no part of the opcode. */
static bool is_word_operation(const struct soft_insn *insn, const struct thunk_plan *plan)
{
	return plan->gpr_load && !(plan->flags & (THUNK_XMM | THUNK_MMX)) &&
	       insn->operands[0].size == 16;
}

static void put_bytes(const struct soft_insn *insn, const struct places *places,
		      const struct thunk_plan *plan, struct thunk_key *key)
{
	const ZydisDecodedInstruction *zydis = &insn->zydis;
	bool gpr = plan->gpr_load != 0;
	uint8_t *p = key->bytes;

	if (plan->flags & THUNK_VEX) {
		/* Outside 64-bit mode W is ignored where it would choose a general register's size.
		 */
		p = put_vex(p, insn, places,
			    zydis->raw.vex.W && !(gpr && insn->mode != SOFT_MODE_64));
	} else {
		p = put_legacy(p, insn, places, is_word_operation(insn, plan));
	}
	*p++ = zydis->opcode;
	*p++ = (uint8_t)((places->has_mem ? 6 : 0xc0 | (places->rm & 7)) | (places->reg & 7) << 3);
	for (unsigned int i = 0; i < 2; i++) {
		if (zydis->raw.imm[i].size) {
			*p++ = insn->bytes[zydis->raw.imm[i].offset];
		}
	}
	key->length = (uint8_t)(p - key->bytes);
}

bool soft_thunk_plan(const struct soft_insn *insn, struct thunk_key *ret_key,
		     struct thunk_plan *ret_plan)
{
	const ZydisDecodedInstruction *zydis = &insn->zydis;
	struct thunk_key key = { .gpr = { SOFT_REG_NONE, SOFT_REG_NONE, SOFT_REG_NONE } };
	struct thunk_plan plan = { 0 };
	struct places places = {
		.reg = zydis->raw.modrm.reg,
		.rm = zydis->raw.modrm.rm,
	};

	if (zydis->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
		plan.flags |= THUNK_VEX;
	} else if (zydis->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
		return false;
	}
	if (!(zydis->attributes & ZYDIS_ATTRIB_HAS_MODRM) ||
	    !plan_operands(insn, &key, &plan, &places)) {
		return false;
	}
	plan_hidden(zydis->mnemonic, &key, &plan);
	plan_class(zydis, &plan);
	plan_flags(zydis, &plan);
	put_bytes(insn, &places, &plan, &key);
	/* Outside 64-bit mode the register in an immediate has three bits. */
	if (insn->mode != SOFT_MODE_64 && zydis->raw.imm[0].size) {
		for (unsigned int i = 0; i < zydis->operand_count_visible; i++) {
			if (insn->operands[i].encoding == ZYDIS_OPERAND_ENCODING_IS4) {
				key.bytes[key.length - 1] &= 0x7f;
			}
		}
	}
	*ret_key = key;
	*ret_plan = plan;
	return true;
}
