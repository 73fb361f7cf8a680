/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine table: each snippet of lib_table_*.c, with several sets of registers, on every engine
 * that this host has. Registers, flags, segment and control registers, the exception's frame, the
 * data, the stacks' owner structures (GDT, TSS) and the page tables with their accessed and
 * dirty bits must come out the same.
 *
 * The soft engine is also held against the recorded outcomes in table_expected.h, a hash each,
 * which test_table --record prints anew after a change that was looked at.
 */

#include <cpuid.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/engines.h"
#include "lib_table.h"
#include "table_expected.h"

#define SETS 3
#define SNIPPETS_MIN 400
#define REPORTS_MAX 40
/* A KVM below this emulates guest code and refuses or mistakes much of the table. */
#define HARDWARE_MIPS 100
#define FLAG_IF 0x200
#define FLAG_VM 0x20000

extern const struct table_snippet __start_table_snippets[];
extern const struct table_snippet __stop_table_snippets[];

/* What a run leaves behind; compared and hashed as bytes, so all of it is set. */
struct outcome {
	uint64_t gpr[CPU_GPR_COUNT];
	uint64_t rip, rflags;
	uint64_t selector[CPU_SEG_COUNT];
	uint64_t segment_base[CPU_SEG_COUNT];
	uint64_t cr0, cr2, cr3, cr4, dr6, efer;
	int64_t vector, exit;
	uint64_t error, trap_rip, trap_cs, trap_rflags, trap_rsp;
	uint64_t data, tables, descriptors, tss;
};

static const struct {
	const char *name;
	size_t offset;
} outcome_fields[] = {
#define FIELD(member)                                     \
	{                                                 \
#member, offsetof(struct outcome, member) \
	}
	FIELD(gpr[CPU_RAX]),
	FIELD(gpr[CPU_RCX]),
	FIELD(gpr[CPU_RDX]),
	FIELD(gpr[CPU_RBX]),
	FIELD(gpr[CPU_RSP]),
	FIELD(gpr[CPU_RBP]),
	FIELD(gpr[CPU_RSI]),
	FIELD(gpr[CPU_RDI]),
	FIELD(gpr[CPU_R8]),
	FIELD(gpr[CPU_R9]),
	FIELD(gpr[CPU_R10]),
	FIELD(gpr[CPU_R11]),
	FIELD(gpr[CPU_R12]),
	FIELD(gpr[CPU_R13]),
	FIELD(gpr[CPU_R14]),
	FIELD(gpr[CPU_R15]),
	FIELD(rip),
	FIELD(rflags),
	FIELD(selector[CPU_ES]),
	FIELD(selector[CPU_CS]),
	FIELD(selector[CPU_SS]),
	FIELD(selector[CPU_DS]),
	FIELD(selector[CPU_FS]),
	FIELD(selector[CPU_GS]),
	FIELD(segment_base[CPU_ES]),
	FIELD(segment_base[CPU_CS]),
	FIELD(segment_base[CPU_SS]),
	FIELD(segment_base[CPU_DS]),
	FIELD(segment_base[CPU_FS]),
	FIELD(segment_base[CPU_GS]),
	FIELD(cr0),
	FIELD(cr2),
	FIELD(cr3),
	FIELD(cr4),
	FIELD(dr6),
	FIELD(efer),
	FIELD(vector),
	FIELD(exit),
	FIELD(error),
	FIELD(trap_rip),
	FIELD(trap_cs),
	FIELD(trap_rflags),
	FIELD(trap_rsp),
	FIELD(data),
	FIELD(tables),
	FIELD(descriptors),
	FIELD(tss),
#undef FIELD
};

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	}
	return hash;
}

#define FNV_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_memory(struct guest *g, gpa_t gpa, size_t size)
{
	return fnv(FNV_START, g->ram->host + gpa, size);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Boundary values first, then anything. */
static uint64_t interesting(uint64_t *random)
{
	static const uint64_t values[] = {
		0,
		1,
		0x7f,
		0x80,
		0xff,
		0x7fff,
		0x8000,
		0xffff,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		INT64_MAX,
		(uint64_t)INT64_MIN,
		UINT64_MAX,
	};
	uint64_t r = next_random(random);

	return r & 1 ? values[(r >> 8) % ARRAY_SIZE(values)] : next_random(random);
}

static void enter_mode(struct guest *g, enum table_mode mode)
{
	switch (mode) {
	case TABLE_REAL: guest_real(g); break;
	case TABLE_V86: guest_v86(g, 0); break;
	case TABLE_PROT0: guest_protected(g, 0); break;
	case TABLE_PROT3: guest_protected(g, 3); break;
	case TABLE_PAGED0:
		guest_protected(g, 0);
		guest_paging(g);
		break;
	case TABLE_PAGED3:
		guest_protected(g, 3);
		guest_paging(g);
		break;
	case TABLE_LONG0: guest_long(g, 0, false); break;
	case TABLE_LONG3: guest_long(g, 3, false); break;
	default: guest_long(g, 3, true); break;
	}
}

/* User code may write the port that ends the run, and no other. */
static void allow_end_port(struct guest *g)
{
	memset(g->ram->host + GUEST_TSS + 0x68, 0xff, 0x798);
	g->ram->host[GUEST_TSS + 0x68 + GUEST_END_PORT / 8] = 0x0f;
	guest_write_u16(g, GUEST_TSS + 0x66, 0x68);
}

/* The same start on every engine, from @seed alone. */
static void prepare(struct guest *g, const struct table_snippet *snippet, uint64_t seed)
{
	uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	struct cpu_state *s = g->state;
	uint64_t base = snippet->mode == TABLE_V86 ? GUEST_V86 : 0;
	bool wide = snippet->mode == TABLE_LONG0 || snippet->mode == TABLE_LONG3;

	memset(g->ram->host, 0, 0x40000);
	enter_mode(g, snippet->mode);
	allow_end_port(g);
	for (gpa_t at = 0; at < TABLE_DATA_SIZE; at += 8) {
		guest_write_u64(g, base + TABLE_DATA + at, next_random(&random));
	}
	for (unsigned int i = 0; i < CPU_GPR_COUNT; i++) {
		if (i != CPU_RSP) {
			s->gpr[i] = interesting(&random) & (wide ? UINT64_MAX : UINT32_MAX);
		}
	}
	if (!wide) {
		memset(&s->gpr[CPU_R8], 0, 8 * sizeof(s->gpr[0]));
	}
	s->gpr[CPU_RBX] = TABLE_DATA + 0x200;
	s->gpr[CPU_RSI] = TABLE_DATA + 0x108;
	s->gpr[CPU_RDI] = TABLE_DATA + 0x810;
	s->gpr[CPU_RBP] = s->gpr[CPU_RSP] - 0x80;
	s->rflags |= next_random(&random) & TF_ARITH;
	if (s->seg[CPU_CS].selector % 4 == 3 && snippet->mode != TABLE_V86) {
		/* A KVM that runs user code on the processor itself cannot hide that this is on. */
		s->rflags |= FLAG_IF;
	}
	if (snippet->prepare) {
		snippet->prepare(g);
	}
	guest_write(g, s->seg[CPU_CS].base + s->rip, snippet->code,
		    (size_t)(snippet->end - snippet->code));
	/* The kernel stacks' contents are looked at through the frame only. */
	mem_region_written(g->ram, 0, 0x40000);
}

static void take_outcome(struct guest *g, const struct table_snippet *snippet, struct outcome *ret)
{
	const struct cpu_state *s = g->state;
	uint64_t base = snippet->mode == TABLE_V86 ? GUEST_V86 : 0;
	uint64_t flags = ~(uint64_t)(snippet->undefined | FLAG_VM);

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->gpr, s->gpr, sizeof(ret->gpr));
	ret->rip = s->rip;
	ret->rflags = s->rflags & flags;
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		ret->selector[i] = s->seg[i].selector;
		if (!(s->seg[i].attr & CPU_SEG_UNUSABLE) && s->seg[i].selector & ~3) {
			ret->segment_base[i] = s->seg[i].base;
		}
	}
	ret->cr0 = s->cr0;
	ret->cr2 = s->cr2;
	ret->cr3 = s->cr3;
	ret->cr4 = s->cr4;
	ret->dr6 = s->dr6;
	ret->efer = s->efer;
	ret->exit = (int)g->result;
	ret->vector = g->trap.vector;
	ret->error = g->trap.error;
	ret->trap_rip = g->trap.rip;
	ret->trap_cs = g->trap.cs;
	ret->trap_rflags = g->trap.rflags & flags;
	ret->trap_rsp = g->trap.rsp;
	ret->data = hash_memory(g, base + TABLE_DATA, TABLE_DATA_SIZE);
	ret->tables = hash_memory(g, GUEST_TABLES, 0x4000);
	ret->descriptors = hash_memory(g, GUEST_GDT, 0x100);
	ret->tss = hash_memory(g, GUEST_TSS2, 0x68);
}

static void run(struct guest *g, const struct table_snippet *snippet, unsigned int set,
		struct outcome *ret)
{
	size_t index = (size_t)(snippet - __start_table_snippets);

	prepare(g, snippet, index * SETS + set + 1);
	guest_run(g);
	take_outcome(g, snippet, ret);
}

static unsigned int differences(const struct table_snippet *snippet, unsigned int set,
				const struct outcome *soft, const struct outcome *other,
				bool report)
{
	unsigned int count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(outcome_fields); i++) {
		uint64_t a, b;

		memcpy(&a, (const char *)soft + outcome_fields[i].offset, sizeof(a));
		memcpy(&b, (const char *)other + outcome_fields[i].offset, sizeof(b));
		if (a == b) {
			continue;
		}
		if (report && !count) {
			print_message("mode %d, set %u: %s\n", (int)snippet->mode, set,
				      snippet->text);
		}
		count++;
		if (report) {
			print_message("    %-14s soft %#llx, kvm %#llx\n", outcome_fields[i].name,
				      (unsigned long long)a, (unsigned long long)b);
		}
	}
	return count;
}

static struct outcome *run_all(const struct engine_ops *ops)
{
	size_t count = (size_t)(__stop_table_snippets - __start_table_snippets);
	struct outcome *outcomes = calloc(count * SETS, sizeof(*outcomes));

	assert_non_null(outcomes);
	for (size_t i = 0; i < count * SETS; i++) {
		/* A new machine each: the page tables are written behind the engine's back. */
		struct guest *g = guest_create(ops, 1);

		run(g, &__start_table_snippets[i / SETS], i % SETS, &outcomes[i]);
		guest_destroy(g);
	}
	return outcomes;
}

static void test_size(void **state)
{
	(void)state;
	assert_true(__stop_table_snippets - __start_table_snippets >= SNIPPETS_MIN);
}

/*
 * QEMU's software CPU gets flags, INT's error codes and some faults wrong: as a host it is neither
 * what the outcomes were recorded on nor a reference for KVM.
 */
static bool host_is_tcg(void)
{
	uint32_t eax, ebx, ecx, edx;

	__cpuid(0x40000000, eax, ebx, ecx, edx);
	return ebx == 0x54474354 && ecx == 0x43544743 && edx == 0x47435447;
}

static void test_soft_and_kvm(void **state)
{
	size_t count = (size_t)(__stop_table_snippets - __start_table_snippets);
	struct engine_report report = { 0 };
	struct outcome *soft, *kvm;
	unsigned int failed = 0, unable = 0;

	(void)state;
	if (host_is_tcg()) {
		print_message("QEMU's software CPU is no reference\n");
		skip();
	}
	kvm_engine_ops.probe(&report);
	if (!report.usable || report.mips < HARDWARE_MIPS) {
		print_message("no hardware-assisted KVM here: %s\n", report.reason);
		skip();
	}
	soft = run_all(&soft_engine_ops);
	/* A KVM that emulates guest code says at length what it cannot; it is counted below. */
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	kvm = run_all(&kvm_engine_ops);
	log_set_fd(STDERR_FILENO);
	for (size_t i = 0; i < count * SETS; i++) {
		if (kvm[i].exit == VCPU_EXIT_FAILED) {
			unable++;
			continue;
		}
		failed += differences(&__start_table_snippets[i / SETS], i % SETS, &soft[i],
				      &kvm[i], failed < REPORTS_MAX) != 0;
	}
	free(soft);
	free(kvm);
	print_message("%zu snippets, %zu outcomes, %u beyond this KVM, %u differ\n", count,
		      count * SETS, unable, failed);
	assert_true(unable < count * SETS / 10);
	assert_int_equal(failed, 0);
}

static uint64_t hash_outcome(const struct outcome *outcome)
{
	return fnv(FNV_START, outcome, sizeof(*outcome));
}

static void test_recorded(void **state)
{
	size_t count = (size_t)(__stop_table_snippets - __start_table_snippets);
	unsigned int failed = 0;
	struct outcome *soft;

	(void)state;
	if (host_is_tcg()) {
		skip();
	}
	soft = run_all(&soft_engine_ops);
	assert_int_equal(count * SETS, ARRAY_SIZE(table_expected));
	for (size_t i = 0; i < count * SETS; i++) {
		if (hash_outcome(&soft[i]) == table_expected[i]) {
			continue;
		}
		if (failed++ < REPORTS_MAX) {
			print_message("not as recorded: mode %d, set %zu: %s\n",
				      (int)__start_table_snippets[i / SETS].mode, i % SETS,
				      __start_table_snippets[i / SETS].text);
		}
	}
	free(soft);
	assert_int_equal(failed, 0);
}

static int record(void)
{
	size_t count = (size_t)(__stop_table_snippets - __start_table_snippets);
	struct outcome *soft = run_all(&soft_engine_ops);

	puts("/* SPDX-License-Identifier: GPL-2.0-or-later */");
	puts("#ifndef LIMEN_TESTS_TABLE_EXPECTED_H\n#define LIMEN_TESTS_TABLE_EXPECTED_H\n");
	puts("/* Printed by test_table --record: a hash of each outcome, in the table's order. */");
	puts("\n#include <stdint.h>\n\nstatic const uint64_t table_expected[] = {");
	for (size_t i = 0; i < count * SETS; i++) {
		printf("%s0x%016llx,%s", i % SETS ? "" : "\t",
		       (unsigned long long)hash_outcome(&soft[i]),
		       i % SETS == SETS - 1 ? "\n" : " ");
	}
	puts("};\n\n#endif");
	free(soft);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--record")) {
		return record();
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_soft_and_kvm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
