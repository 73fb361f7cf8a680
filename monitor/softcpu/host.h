/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_HOST_H
#define LIMEN_SOFTCPU_HOST_H

/*
 * Single accesses to guest memory at its host address. They are written as instructions because
 * that is what they stand for: each is one access of the host CPU, whatever its alignment, ordered
 * as x86 orders it; and what guests do to each other's memory without locks is their affair, not a
 * race of ours for a sanitizer to find.
 */

#include "base/types.h"

static inline uint8_t soft_host_load8(const void *p)
{
	uint8_t value;

	__asm__ volatile("movb %1, %0" : "=q"(value) : "m"(*(const uint8_t *)p));
	return value;
}

static inline uint16_t soft_host_load16(const void *p)
{
	uint16_t value;

	__asm__ volatile("movw %1, %0" : "=r"(value) : "m"(*(const uint16_t *)p));
	return value;
}

static inline uint32_t soft_host_load32(const void *p)
{
	uint32_t value;

	__asm__ volatile("movl %1, %0" : "=r"(value) : "m"(*(const uint32_t *)p));
	return value;
}

static inline uint64_t soft_host_load64(const void *p)
{
	uint64_t value;

	__asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(const uint64_t *)p));
	return value;
}

static inline void soft_host_store8(void *p, uint8_t value)
{
	__asm__ volatile("movb %1, %0" : "=m"(*(uint8_t *)p) : "q"(value));
}

static inline void soft_host_store16(void *p, uint16_t value)
{
	__asm__ volatile("movw %1, %0" : "=m"(*(uint16_t *)p) : "r"(value));
}

static inline void soft_host_store32(void *p, uint32_t value)
{
	__asm__ volatile("movl %1, %0" : "=m"(*(uint32_t *)p) : "r"(value));
}

static inline void soft_host_store64(void *p, uint64_t value)
{
	__asm__ volatile("movq %1, %0" : "=m"(*(uint64_t *)p) : "r"(value));
}

static inline uint64_t soft_host_load(const void *p, unsigned int size)
{
	switch (size) {
	case 1: return soft_host_load8(p);
	case 2: return soft_host_load16(p);
	case 4: return soft_host_load32(p);
	default: return soft_host_load64(p);
	}
}

static inline void soft_host_store(void *p, uint64_t value, unsigned int size)
{
	switch (size) {
	case 1: soft_host_store8(p, (uint8_t)value); break;
	case 2: soft_host_store16(p, (uint16_t)value); break;
	case 4: soft_host_store32(p, (uint32_t)value); break;
	default: soft_host_store64(p, value); break;
	}
}

/** soft_host_exchange() - compare and exchange with LOCK; on failure *@old is what was found. */
static inline bool soft_host_exchange(void *p, uint64_t *old, uint64_t value, unsigned int size)
{
	bool done;

#define SOFT_HOST_CMPXCHG(sfx, type, reg)                                                         \
	__asm__ volatile("lock cmpxchg" #sfx " %[v], %[m]"                                        \
			 : "=@ccz"(done), [m] "+m"(*(type *)p), "+a"(*(type *)old)                \
			 : [v] reg((type)value)                                                   \
			 : "memory")
	switch (size) {
	case 1: SOFT_HOST_CMPXCHG(b, uint8_t, "q"); break;
	case 2: SOFT_HOST_CMPXCHG(w, uint16_t, "r"); break;
	case 4: SOFT_HOST_CMPXCHG(l, uint32_t, "r"); break;
	default: SOFT_HOST_CMPXCHG(q, uint64_t, "r"); break;
	}
#undef SOFT_HOST_CMPXCHG
	return done;
}

/** soft_host_swap() - exchange (XCHG, which always locks). Return: what was there. */
static inline uint64_t soft_host_swap(void *p, uint64_t value, unsigned int size)
{
#define SOFT_HOST_XCHG(sfx, type, reg)                                                            \
	__asm__ volatile("xchg" #sfx " %[v], %[m]"                                                \
			 : [m] "+m"(*(type *)p), [v] "+" reg(*(type *)&value)                     \
			 :                                                                        \
			 : "memory")
	switch (size) {
	case 1: SOFT_HOST_XCHG(b, uint8_t, "q"); return (uint8_t)value;
	case 2: SOFT_HOST_XCHG(w, uint16_t, "r"); return (uint16_t)value;
	case 4: SOFT_HOST_XCHG(l, uint32_t, "r"); return (uint32_t)value;
	default: SOFT_HOST_XCHG(q, uint64_t, "r"); return value;
	}
#undef SOFT_HOST_XCHG
}

/** soft_host_copy() - bytes to or from guest memory, in ascending order. */
static inline void soft_host_copy(void *to, const void *from, size_t size)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	/* A string instruction takes long to get going. */
	if (size > 64) {
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(size) : : "memory");
		return;
	}
	for (; size >= 8; size -= 8, d += 8, s += 8) {
		soft_host_store64(d, soft_host_load64(s));
	}
	for (; size > 0; size--, d++, s++) {
		soft_host_store8(d, soft_host_load8(s));
	}
}

/** soft_host_fill() - @count times the low @unit bytes of @value. */
static inline void soft_host_fill(void *to, uint64_t value, size_t count, unsigned int unit)
{
#define SOFT_HOST_STOS(sfx) \
	__asm__ volatile("rep stos" #sfx : "+D"(to), "+c"(count) : "a"(value) : "memory")
	switch (unit) {
	case 1: SOFT_HOST_STOS(b); break;
	case 2: SOFT_HOST_STOS(w); break;
	case 4: SOFT_HOST_STOS(l); break;
	default: SOFT_HOST_STOS(q); break;
	}
#undef SOFT_HOST_STOS
}

#endif
