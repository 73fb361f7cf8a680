/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_LIB_ASM_H
#define LIMEN_TESTS_LIB_ASM_H

/*
 * Guest code in the test's source: assembled by the compiler's own assembler into read-only
 * data, copied into guest memory by the test. Jumps within a snippet work anywhere; absolute
 * addresses must be written as numbers.
 */

#include <stdint.h>

/** GUEST_CODE() - @name[] up to @name_end[]: Intel syntax; @bits 16, 32 or 64. */
#define GUEST_CODE(name, bits, ...)                                                                \
	extern const uint8_t name[];                                                               \
	extern const uint8_t name##_end[];                                                         \
	__asm__(".pushsection .rodata\n.code" #bits "\n.intel_syntax noprefix\n" #name ":\n"       \
		__VA_ARGS__ "\n" #name "_end:\n.att_syntax prefix\n.code64\n.popsection\n")

#define GUEST_CODE_SIZE(name) ((size_t)(name##_end - name))

#endif
