/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executable memory of one software CPU and the thunks in it. The memory is one memfd mapped twice,
 * once writable and once executable, so that no page is both.
 *
 * A thunk is called as a C function with the CPU in RDI and the operand's bounce buffer in RSI. All
 * vector registers belong to the callee in the System V ABI, so nothing of the host's is saved; the
 * MMX registers are, with EMMS at the end. Instructions are encoded as Intel's SDM vol. 2 chapter 2
 * says.
 *
 * The cache is bounded and nothing in it is replaced. When it is full, the next instruction that
 * needs a thunk empties it, after every block that could name a thunk has been dropped
 * (soft_thunk_reset()).
 */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softcpu/fpu.h"
#include "softcpu/thunk.h"

#define THUNK_ARENA_SIZE MIB(1)
#define THUNK_MAX_COUNT 8192
#define THUNK_HASH_SIZE 4096
#define THUNK_MAX_CODE 512 /* the longest possible: 4 registers in and out, flags both ways */

/*
 * @write, @code: the two mappings; NULL when there is no executable memory
 * @hash: index + 1 into @thunks
 */
struct soft_thunks {
	uint8_t *write;
	uint8_t *code;
	size_t used;
	uint32_t count;
	uint32_t hash[THUNK_HASH_SIZE];
	struct soft_thunk thunks[THUNK_MAX_COUNT];
};

struct emitter {
	uint8_t *p;
};

static void emit8(struct emitter *e, uint8_t value)
{
	*e->p++ = value;
}

static void emit32(struct emitter *e, uint32_t value)
{
	store_le32(e->p, value);
	e->p += 4;
}

static void emit_bytes(struct emitter *e, const void *bytes, size_t size)
{
	memcpy(e->p, bytes, size);
	e->p += size;
}

/* ModRM for [rdi + disp32]. */
static void emit_cpu_operand(struct emitter *e, unsigned int reg, size_t offset)
{
	emit8(e, 0x80 | (reg & 7) << 3 | 7);
	emit32(e, (uint32_t)offset);
}

static size_t xmm_offset(unsigned int n)
{
	return offsetof(struct softcpu, fpu) + offsetof(struct soft_fpu, xmm) + 16 * n;
}

static size_t ymm_offset(unsigned int n)
{
	return offsetof(struct softcpu, fpu) + offsetof(struct soft_fpu, ymm_hi) + 16 * n;
}

static size_t mmx_offset(unsigned int n)
{
	return offsetof(struct softcpu, fpu) + offsetof(struct soft_fpu, st) + 16 * n;
}

/* MOVAPS between XMM @n and the CPU; @opcode 0x28 loads, 0x29 stores. */
static void emit_movaps(struct emitter *e, uint8_t opcode, unsigned int n)
{
	if (n >= 8) {
		emit8(e, 0x44);
	}
	emit8(e, 0x0f);
	emit8(e, opcode);
	emit_cpu_operand(e, n, xmm_offset(n));
}

static void emit_vex3(struct emitter *e, unsigned int reg, unsigned int map, uint8_t last)
{
	emit8(e, 0xc4);
	emit8(e, (reg >= 8 ? 0 : 0x80) | 0x60 | map);
	emit8(e, last);
}

static void emit_ymm_load(struct emitter *e, unsigned int n)
{
	emit_vex3(e, n, 1, 0x78); /* vmovaps xmm, [lo] */
	emit8(e, 0x28);
	emit_cpu_operand(e, n, xmm_offset(n));
	emit_vex3(e, n, 3, 0x05 | (~n & 0xf) << 3); /* vinsertf128 ymm, ymm, [hi], 1 */
	emit8(e, 0x18);
	emit_cpu_operand(e, n, ymm_offset(n));
	emit8(e, 1);
}

static void emit_ymm_store(struct emitter *e, unsigned int n)
{
	emit_vex3(e, n, 1, 0x78); /* vmovaps [lo], xmm */
	emit8(e, 0x29);
	emit_cpu_operand(e, n, xmm_offset(n));
	emit_vex3(e, n, 3, 0x7d); /* vextractf128 [hi], ymm, 1 */
	emit8(e, 0x19);
	emit_cpu_operand(e, n, ymm_offset(n));
	emit8(e, 1);
}

/* MOVQ between MMX register @n, which is ST(n) as TOP is 0, and the CPU. */
static void emit_mmx_load(struct emitter *e, unsigned int n)
{
	emit8(e, 0x0f);
	emit8(e, 0x6f);
	emit_cpu_operand(e, n, mmx_offset(n));
}

static void emit_mmx_store(struct emitter *e, unsigned int n)
{
	emit8(e, 0x0f);
	emit8(e, 0x7f);
	emit_cpu_operand(e, n, mmx_offset(n));
	emit8(e, 0x66); /* mov word [exponent], 0xffff */
	emit8(e, 0xc7);
	emit_cpu_operand(e, 0, mmx_offset(n) + 8);
	emit8(e, 0xff);
	emit8(e, 0xff);
}

/* MOV between RAX, RCX or RDX (@slot) and guest register @gpr; 0x8b loads, 0x89 stores. */
static void emit_gpr(struct emitter *e, uint8_t opcode, unsigned int slot, unsigned int gpr)
{
	emit8(e, 0x48);
	emit8(e, opcode);
	emit_cpu_operand(e, slot, offsetof(struct softcpu, gpr) + 8 * gpr);
}

static void emit_flags_in(struct emitter *e, uint32_t mask)
{
	static const uint8_t push_popf[] = { 0x41, 0x50, 0x9d }; /* push r8; popfq */

	emit8(e, 0x4c); /* mov r8, [rflags] */
	emit8(e, 0x8b);
	emit_cpu_operand(e, 0, offsetof(struct softcpu, rflags));
	emit8(e, 0x41); /* and r8d, mask */
	emit8(e, 0x81);
	emit8(e, 0xe0);
	emit32(e, mask);
	emit_bytes(e, push_popf, sizeof(push_popf));
}

static void emit_flags_out(struct emitter *e, uint32_t mask)
{
	static const uint8_t pushf_pop[] = { 0x9c, 0x41, 0x58 }; /* pushfq; pop r8 */
	static const uint8_t or_r9_r8[] = { 0x4d, 0x09, 0xc1 };

	emit_bytes(e, pushf_pop, sizeof(pushf_pop));
	emit8(e, 0x41); /* and r8d, mask */
	emit8(e, 0x81);
	emit8(e, 0xe0);
	emit32(e, mask);
	emit8(e, 0x4c); /* mov r9, [rflags] */
	emit8(e, 0x8b);
	emit_cpu_operand(e, 1, offsetof(struct softcpu, rflags));
	emit8(e, 0x49); /* and r9, ~mask */
	emit8(e, 0x81);
	emit8(e, 0xe1);
	emit32(e, ~mask);
	emit_bytes(e, or_r9_r8, sizeof(or_r9_r8));
	emit8(e, 0x4c); /* mov [rflags], r9 */
	emit8(e, 0x89);
	emit_cpu_operand(e, 1, offsetof(struct softcpu, rflags));
}

/* FXRSTOR64 the CPU's state; FXSAVE64 it beside the operand. */
static void emit_x87_load(struct emitter *e)
{
	static const uint8_t fxrstor64[] = { 0x48, 0x0f, 0xae };

	emit_bytes(e, fxrstor64, sizeof(fxrstor64));
	emit_cpu_operand(e, 1, offsetof(struct softcpu, fpu));
}

static void emit_x87_save(struct emitter *e)
{
	static const uint8_t fxsave64[] = { 0x48, 0x0f, 0xae, 0x46, THUNK_X87_IMAGE };

	emit_bytes(e, fxsave64, sizeof(fxsave64));
}

static void emit_loads(struct emitter *e, const struct thunk_key *key,
		       const struct thunk_plan *plan)
{
	if (plan->flags & THUNK_X87) {
		emit_x87_load(e);
	}
	for (unsigned int n = 0; n < 16; n++) {
		if (!(plan->load & BIT(n))) {
			continue;
		}
		if (plan->flags & THUNK_VEX) {
			emit_ymm_load(e, n);
		} else {
			emit_movaps(e, 0x28, n);
		}
	}
	for (unsigned int n = 0; n < 8; n++) {
		if (plan->mmx_load & BIT(n)) {
			emit_mmx_load(e, n);
		}
	}
	if (plan->flags_in) {
		emit_flags_in(e, plan->flags_in);
	}
	for (unsigned int n = 0; n < THUNK_GPR_SLOTS; n++) {
		if (plan->gpr_load & BIT(n)) {
			emit_gpr(e, 0x8b, n, key->gpr[n]);
		}
	}
}

static void emit_stores(struct emitter *e, const struct thunk_key *key,
			const struct thunk_plan *plan)
{
	if (plan->flags_out) {
		emit_flags_out(e, plan->flags_out);
	}
	if (plan->flags & THUNK_X87) {
		emit_x87_save(e);
	}
	/* Of two registers of one instruction that are the same, the first operand's value stays.
	 */
	for (unsigned int n = THUNK_GPR_SLOTS; n-- > 0;) {
		if (plan->gpr_store & BIT(n)) {
			emit_gpr(e, 0x89, n, key->gpr[n]);
		}
	}
	for (unsigned int n = 0; n < 16; n++) {
		if (!(plan->store & BIT(n))) {
			continue;
		}
		if (plan->flags & THUNK_VEX) {
			emit_ymm_store(e, n);
		} else {
			emit_movaps(e, 0x29, n);
		}
	}
	for (unsigned int n = 0; n < 8; n++) {
		if (plan->mmx_store & BIT(n)) {
			emit_mmx_store(e, n);
		}
	}
}

static size_t emit_thunk(uint8_t *buf, const struct thunk_key *key, const struct thunk_plan *plan)
{
	static const uint8_t vzeroupper[] = { 0xc5, 0xf8, 0x77 };
	static const uint8_t emms[] = { 0x0f, 0x77 };
	struct emitter e = { .p = buf };

	emit_loads(&e, key, plan);
	emit_bytes(&e, key->bytes, key->length);
	emit_stores(&e, key, plan);
	if ((plan->flags & THUNK_VEX) && (plan->flags & THUNK_XMM)) {
		emit_bytes(&e, vzeroupper, sizeof(vzeroupper));
	}
	if (plan->flags & THUNK_MMX) {
		emit_bytes(&e, emms, sizeof(emms));
	}
	emit8(&e, 0xc3);
	return (size_t)(e.p - buf);
}

/* ------- the cache ------- */

static int map_arena(struct soft_thunks *thunks)
{
	int fd = memfd_create("limen-thunks", MFD_CLOEXEC);
	void *write = MAP_FAILED;
	void *code = MAP_FAILED;

	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, THUNK_ARENA_SIZE) == 0) {
		write = mmap(NULL, THUNK_ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		code = mmap(NULL, THUNK_ARENA_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	}
	close(fd);
	if (write == MAP_FAILED || code == MAP_FAILED) {
		if (write != MAP_FAILED) {
			munmap(write, THUNK_ARENA_SIZE);
		}
		if (code != MAP_FAILED) {
			munmap(code, THUNK_ARENA_SIZE);
		}
		return -ENOMEM;
	}
	thunks->write = write;
	thunks->code = code;
	return 0;
}

int soft_thunk_create(struct softcpu *cpu)
{
	struct soft_thunks *thunks = calloc(1, sizeof(*thunks));
	int ret;

	if (!thunks) {
		return -ENOMEM;
	}
	ret = map_arena(thunks);
	if (ret < 0) {
		free(thunks);
		return ret;
	}
	cpu->thunks = thunks;
	return 0;
}

void soft_thunk_destroy(struct softcpu *cpu)
{
	struct soft_thunks *thunks = cpu->thunks;

	if (!thunks) {
		return;
	}
	munmap(thunks->write, THUNK_ARENA_SIZE);
	munmap(thunks->code, THUNK_ARENA_SIZE);
	free(thunks);
	cpu->thunks = NULL;
}

void soft_thunk_reset(struct softcpu *cpu)
{
	struct soft_thunks *thunks = cpu->thunks;

	if (thunks) {
		memset(thunks->hash, 0, sizeof(thunks->hash));
		thunks->used = 0;
		thunks->count = 0;
	}
}

static uint32_t *hash_slot(struct soft_thunks *thunks, const struct thunk_key *key)
{
	const uint8_t *p = (const uint8_t *)key;
	uint64_t h = 0;

	for (size_t i = 0; i < sizeof(*key); i += 8) {
		h = (h ^ load_le64(p + i)) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return &thunks->hash[h % THUNK_HASH_SIZE];
}

/* Find or make a thunk; NULL when there is no room for another. */
static struct soft_thunk *get_thunk(struct softcpu *cpu, const struct thunk_key *key,
				    const struct thunk_plan *plan)
{
	struct soft_thunks *thunks = cpu->thunks;
	struct soft_thunk *thunk;
	uint32_t *slot;

	slot = hash_slot(thunks, key);
	for (uint32_t i = *slot; i; i = thunks->thunks[i - 1].next) {
		if (memcmp(&thunks->thunks[i - 1].key, key, sizeof(*key)) == 0) {
			return &thunks->thunks[i - 1];
		}
	}
	if (thunks->count == THUNK_MAX_COUNT || thunks->used + THUNK_MAX_CODE > THUNK_ARENA_SIZE) {
		return NULL;
	}
	thunk = &thunks->thunks[thunks->count++];
	*thunk = (struct soft_thunk){
		.code = (void (*)(struct softcpu *, void *))(thunks->code + thunks->used),
		.flags = plan->flags,
		.mem_size = plan->mem_size,
		.align_mask = plan->align_mask,
		.key = *key,
		.next = *slot,
	};
	thunks->used += ALIGN_UP(emit_thunk(thunks->write + thunks->used, key, plan), 16);
	*slot = thunks->count;
	return thunk;
}

static void execute_full(struct softcpu *cpu, const struct soft_op *op)
{
	(void)op;
	atomic_fetch_or_explicit(&cpu->requests, SOFT_REQUEST_THUNKS, memory_order_relaxed);
	cpu->next_rip = cpu->rip;
}

bool soft_thunk_bind(struct softcpu *cpu, const struct thunk_key *key,
		     const struct thunk_plan *plan, struct soft_op *op)
{
	if (!cpu->thunks && soft_thunk_create(cpu) < 0) {
		return false;
	}
	op->aux = get_thunk(cpu, key, plan);
	if (!op->aux) {
		op->fn = execute_full;
		op->ends_block = true;
	}
	return true;
}
