/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_TYPES_H
#define LIMEN_BASE_TYPES_H

/*
 * The integer types of guest addresses and the few macros that every part uses.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/** A guest-physical address. */
typedef uint64_t gpa_t;

/** A guest-virtual (linear) address. */
typedef uint64_t gva_t;

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

#define GUEST_PAGE_SHIFT 12
#define GUEST_PAGE_SIZE (UINT64_C(1) << GUEST_PAGE_SHIFT)
#define GUEST_PAGE_MASK (GUEST_PAGE_SIZE - 1)

#define BIT(n) (UINT64_C(1) << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a) - 1), a)

#define MIN(a, b)                            \
	({                                   \
		__typeof__(a) min_a_ = (a);  \
		__typeof__(b) min_b_ = (b);  \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define MAX(a, b)                            \
	({                                   \
		__typeof__(a) max_a_ = (a);  \
		__typeof__(b) max_b_ = (b);  \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})

/** container_of() - the struct of @type whose @member @ptr points to. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define LIMEN_PRINTF(fmt_index, arg_index) __attribute__((format(printf, fmt_index, arg_index)))
#define LIMEN_LIKELY(x) __builtin_expect(!!(x), 1)
#define LIMEN_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Little-endian access to bytes that may be unaligned. The host is x86-64, so these are moves. */
#define LIMEN_DEFINE_LE(bits)                                                  \
	static inline uint##bits##_t load_le##bits(const void *p)              \
	{                                                                      \
		uint##bits##_t v;                                              \
                                                                               \
		memcpy(&v, p, sizeof(v));                                      \
		return v;                                                      \
	}                                                                      \
                                                                               \
	static inline void store_le##bits(void *p, uint##bits##_t v)           \
	{                                                                      \
		memcpy(p, &v, sizeof(v));                                      \
	}

LIMEN_DEFINE_LE(16)
LIMEN_DEFINE_LE(32)
LIMEN_DEFINE_LE(64)
#undef LIMEN_DEFINE_LE

#endif
