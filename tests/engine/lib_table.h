/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_TABLE_H
#define LIMEN_TESTS_LIB_TABLE_H

/*
 * The engine table: snippets of guest code that must have one outcome on every engine. A snippet is
 * its assembly text (Intel syntax), the mode it runs in, and the flags it leaves undefined. Each
 * starts with registers that point at data (RBX, RSI, RDI) or hold boundary and random values
 * (the rest), and ends by itself or by the exception that it provokes.
 */

#include "lib_guest.h"

enum table_mode {
	TABLE_REAL,
	TABLE_V86,
	TABLE_PROT0,  /* 32-bit, level 0, no paging */
	TABLE_PROT3,
	TABLE_PAGED0, /* the same under 32-bit paging */
	TABLE_PAGED3,
	TABLE_LONG0,
	TABLE_LONG3,
	TABLE_COMPAT3,
	TABLE_MODES,
};

struct table_snippet {
	const char *text;
	enum table_mode mode;
	uint32_t undefined; /* flags */
	void (*prepare)(struct guest *g);
	const uint8_t *code;
	const uint8_t *end;
};

/* Where the data lies that RBX, RSI and RDI point into, from the segment's base. */
#define TABLE_DATA 0xc000
#define TABLE_DATA_SIZE 0x1800

#define TF_CF 0x001u
#define TF_PF 0x004u
#define TF_AF 0x010u
#define TF_ZF 0x040u
#define TF_SF 0x080u
#define TF_OF 0x800u
#define TF_ARITH (TF_CF | TF_PF | TF_AF | TF_ZF | TF_SF | TF_OF)

#define TABLE_CONCAT_(a, b) a##b
#define TABLE_CONCAT(a, b) TABLE_CONCAT_(a, b)

#define TABLE_DEFINE_(n, mode_, bits, undefined_, prepare_, asm_text)                              \
	extern const uint8_t n[] __attribute__((visibility("hidden")));                            \
	extern const uint8_t TABLE_CONCAT(n, _end)[] __attribute__((visibility("hidden")));        \
	__asm__(".pushsection .rodata\n.globl " #n "\n.globl " #n "_end\n.code" #bits              \
		"\n.intel_syntax noprefix\n" #n ":\n" asm_text "\n\tout 0xf4, al\n" #n "_end:\n"   \
		".att_syntax prefix\n.code64\n.popsection\n");                                     \
	static const struct table_snippet TABLE_CONCAT(n, _entry)                                  \
		__attribute__((used, section("table_snippets"), aligned(8))) = {                   \
			asm_text, mode_, undefined_, prepare_, n, TABLE_CONCAT(n, _end)            \
		}
#define TABLE_NAME_(c) TABLE_CONCAT(TABLE_CONCAT(snippet_, TABLE_FILE), TABLE_CONCAT(_, c))
#define REAL(undefined, text)                                                                      \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_REAL, 16, undefined, NULL, text)
#define PROT0(undefined, text)                                                                     \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_PROT0, 32, undefined, NULL, text)
#define LONG0(undefined, text)                                                                     \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_LONG0, 64, undefined, NULL, text)
#define LONG3(undefined, text)                                                                     \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_LONG3, 64, undefined, NULL, text)
#define PROT3(undefined, text)                                                                     \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_PROT3, 32, undefined, NULL, text)
#define PAGED0(undefined, prepare, text)                                                           \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_PAGED0, 32, undefined, prepare, text)
#define PAGED3(undefined, prepare, text)                                                           \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_PAGED3, 32, undefined, prepare, text)
#define COMPAT3(undefined, text)                                                                   \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_COMPAT3, 32, undefined, NULL, text)
#define V86(undefined, text)                                                                       \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_V86, 16, undefined, NULL, text)
#define PROT0_WITH(prepare, text) TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_PROT0, 32, 0, prepare, text)
#define LONG0_WITH(prepare, text) TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_LONG0, 64, 0, prepare, text)
#define LONG3_WITH(prepare, text)                                                                  \
	TABLE_DEFINE_2(TABLE_DEFINE_, TABLE_LONG3, 64, 0, prepare, text)

#define TABLE_DEFINE_2(define, mode_, bits, undefined_, prepare_, text)                            \
	TABLE_DEFINE_3(define, TABLE_NAME_(__COUNTER__), mode_, bits, undefined_, prepare_, text)
#define TABLE_DEFINE_3(define, n, mode_, bits, undefined_, prepare_, text)                         \
	TABLE_DEFINE_4(define, n, mode_, bits, undefined_, prepare_, text)
#define TABLE_DEFINE_4(define, n, mode_, bits, undefined_, prepare_, text)                         \
	define(n, mode_, bits, undefined_, prepare_, text)

#endif
