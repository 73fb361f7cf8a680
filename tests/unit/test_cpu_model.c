/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU model: leaves that must agree with each other, feature texts, and moving to another
 * processor.
 */

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "engine/cpu_model_priv.h"

static void build(struct cpu_model *model, unsigned int cpus, const char *name,
		  const char *features)
{
	struct config_tree *tree = NULL;
	struct config_view view;
	struct error err = { 0 };

	assert_int_equal(config_tree_create(&tree, &err), 0);
	assert_int_equal(config_declare(tree, "cpu", cpu_model_keys, &err), 0);
	if (name) {
		assert_int_equal(config_set(tree, "cpu.model", name, &err), 0);
	}
	if (features) {
		assert_int_equal(config_set(tree, "cpu.features", features, &err), 0);
	}
	view = config_view_at(tree, "cpu");
	if (cpu_model_build(model, cpus, &view, &err) != 0) {
		fail_msg("%s", err.text);
	}
	config_tree_destroy(tree);
}

static void ask(const struct cpu_model *model, uint32_t leaf, uint32_t subleaf, uint32_t ret[4])
{
	cpu_model_cpuid(model, 0, leaf, subleaf, 0, 1, ret);
}

static bool has(const struct cpu_model *model, const char *name)
{
	const struct cpu_feature *f = &cpu_features[cpu_feature_find(name)];

	return cpu_model_has(model, f->leaf, f->subleaf, f->reg, f->bit);
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < cpu_feature_count; i++) {
		const struct cpu_feature *f = &cpu_features[i];

		assert_true(f->bit < 32 && f->reg <= CPUID_EDX);
		assert_int_equal(cpu_feature_find(f->name), i);
		if (f->needs) {
			assert_true(cpu_feature_find(f->needs) >= 0);
			/* What a baseline has, it has with all that this needs. */
			assert_true(cpu_features[cpu_feature_find(f->needs)].level <= f->level);
		}
		for (size_t j = 0; j < i; j++) {
			assert_false(f->leaf == cpu_features[j].leaf &&
				     f->subleaf == cpu_features[j].subleaf &&
				     f->reg == cpu_features[j].reg &&
				     f->bit == cpu_features[j].bit);
		}
	}
	assert_int_equal(cpu_feature_find("sse4_2"), cpu_feature_find("sse4.2"));
	assert_int_equal(cpu_feature_find("AVX2"), cpu_feature_find("avx2"));
	assert_int_equal(cpu_feature_find("vmx"), -1);
}

static void test_host(void **state)
{
	struct cpu_model model;
	uint32_t r[4];
	uint32_t host[4];

	(void)state;
	build(&model, 2, NULL, NULL);
	ask(&model, 0, 0, r);
	__cpuid(0, host[0], host[1], host[2], host[3]);
	assert_memory_equal(r + 1, host + 1, 12);
	assert_true(r[0] >= 0xd);
	ask(&model, 1, 0, r);
	__cpuid(1, host[0], host[1], host[2], host[3]);
	assert_int_equal(r[0], host[0]);
	/* No VMX, no MONITOR; no OSXSAVE before the guest turns it on. */
	assert_int_equal(r[2] & (BIT(5) | BIT(3) | BIT(27)), 0);
	assert_true(r[2] & BIT(31));
	assert_int_equal((r[1] >> 16) & 0xff, 2);
	cpu_model_cpuid(&model, 1, 1, 0, BIT(18), 7, r);
	assert_int_equal(r[1] >> 24, 1);
	assert_int_equal(!!(r[2] & BIT(27)), has(&model, "xsave"));
	/* No SVM, no AVX-512. */
	assert_false(cpu_model_has(&model, 0x80000001, 0, CPUID_ECX, 2));
	assert_false(cpu_model_has(&model, 7, 0, CPUID_EBX, 16));
	assert_false(cpu_model_has(&model, 7, 0, CPUID_EDX, 29));
	/* The brand is the host's. */
	for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
		ask(&model, leaf, 0, r);
		__cpuid(leaf, host[0], host[1], host[2], host[3]);
		assert_memory_equal(r, host, sizeof(r));
	}
	assert_in_range(model.tsc_hz, 500000000, 10000000000ULL);
	assert_in_range(model.phys_bits, 36, 52);
}

static void test_topology(void **state)
{
	struct cpu_model model;
	uint32_t r[4];

	(void)state;
	build(&model, 6, NULL, NULL);
	for (unsigned int cpu = 0; cpu < 6; cpu++) {
		cpu_model_cpuid(&model, cpu, 0xb, 0, 0, 1, r);
		assert_int_equal(r[0], 0);
		assert_int_equal(r[1], 1);
		assert_int_equal(r[2], 0x100);
		assert_int_equal(r[3], cpu);
		cpu_model_cpuid(&model, cpu, 0xb, 1, 0, 1, r);
		assert_int_equal(r[0], 3);
		assert_int_equal(r[1], 6);
		assert_int_equal(r[2], 0x201);
		cpu_model_cpuid(&model, cpu, 0xb, 7, 0, 1, r);
		assert_int_equal(r[1], 0);
		assert_int_equal(r[2], 7);
		assert_int_equal(r[3], cpu);
	}
	if (cpu_model_vendor_is_amd(&model)) {
		ask(&model, 0x80000008, 0, r);
		assert_int_equal(r[2], 5 | 3 << 12);
		cpu_model_cpuid(&model, 4, 0x8000001e, 0, 0, 1, r);
		assert_int_equal(r[0], 4);
		assert_int_equal(r[1], 4);
	}
	assert_true(has(&model, "ht"));
	build(&model, 1, NULL, NULL);
	assert_false(has(&model, "ht"));
}

static void test_xsave(void **state)
{
	struct cpu_model model;
	uint32_t r[4];

	(void)state;
	build(&model, 1, NULL, NULL);
	if (!has(&model, "avx")) {
		skip();
	}
	assert_int_equal(model.xcr0_mask, 7);
	cpu_model_cpuid(&model, 0, 0xd, 0, BIT(18), 3, r);
	assert_int_equal(r[0], 7);
	assert_int_equal(r[1], 576);
	assert_int_equal(r[2], 832);
	cpu_model_cpuid(&model, 0, 0xd, 0, BIT(18), 7, r);
	assert_int_equal(r[1], 832);
	cpu_model_cpuid(&model, 0, 0xd, 2, BIT(18), 7, r);
	assert_int_equal(r[0], 256);
	assert_int_equal(r[1], 576);
	build(&model, 1, NULL, "-xsave");
	assert_int_equal(model.xcr0_mask, 1);
	assert_false(has(&model, "avx"));
	assert_false(has(&model, "avx2"));
	assert_false(has(&model, "fma"));
	assert_false(has(&model, "xsaveopt"));
	cpu_model_cpuid(&model, 0, 1, 0, BIT(18), 1, r);
	assert_int_equal(r[2] & BIT(27), 0);
}

static void test_out_of_range(void **state)
{
	struct cpu_model model;
	uint32_t r[4];
	uint32_t highest[4];
	static const uint32_t zero[4];

	(void)state;
	build(&model, 1, NULL, NULL);
	ask(&model, 0xd, 0, highest);
	for (uint32_t leaf = 0xe; leaf != 0; leaf = leaf == 0xe		 ? 0x40000099
						    : leaf == 0x40000099 ? 0x80000099
									 : 0) {
		ask(&model, leaf, 0, r);
		if (cpu_model_vendor_is_amd(&model)) {
			assert_memory_equal(r, zero, sizeof(r));
		} else {
			assert_memory_equal(r, highest, sizeof(r));
		}
	}
	ask(&model, 5, 0, r);
	assert_memory_equal(r, zero, sizeof(r));
}

static void test_hypervisor(void **state)
{
	struct config_tree *tree = NULL;
	struct config_view view;
	struct cpu_model model;
	struct error err = { 0 };
	uint32_t r[4];

	(void)state;
	build(&model, 1, NULL, NULL);
	ask(&model, 0x40000000, 0, r);
	assert_memory_equal(r + 1, "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(r[0], 0x40000010);
	ask(&model, 0x40000001, 0, r);
	assert_true(r[0] & BIT(3));
	ask(&model, 0x40000010, 0, r);
	assert_int_equal(r[0], model.tsc_hz / 1000);

	assert_int_equal(config_tree_create(&tree, &err), 0);
	assert_int_equal(config_declare(tree, "cpu", cpu_model_keys, &err), 0);
	assert_int_equal(config_set(tree, "cpu.hypervisor", "off", &err), 0);
	view = config_view_at(tree, "cpu");
	assert_int_equal(cpu_model_build(&model, 1, &view, &err), 0);
	assert_false(cpu_model_has(&model, 1, 0, CPUID_ECX, 31));
	ask(&model, 0x40000000, 0, r);
	assert_memory_not_equal(r + 1, "KVMKVMKVM\0\0\0", 12);
	config_tree_destroy(tree);
}

static void test_baselines(void **state)
{
	struct cpu_model model;
	uint32_t r[4];

	(void)state;
	build(&model, 1, "pentium3-like", NULL);
	ask(&model, 0, 0, r);
	assert_int_equal(r[0], 2);
	assert_true(has(&model, "sse"));
	assert_false(has(&model, "sse2"));
	assert_false(has(&model, "lm"));
	assert_false(cpu_model_has(&model, 0x80000000, 0, CPUID_EAX, 0));
	build(&model, 1, "x86-64-v2", NULL);
	assert_true(has(&model, "lm"));
	assert_false(has(&model, "avx"));
	assert_false(has(&model, "smap"));
}

static void expect_refusal(const char *features, const char *text)
{
	struct config_tree *tree = NULL;
	struct config_view view;
	struct cpu_model model;
	struct error err = { 0 };

	assert_int_equal(config_tree_create(&tree, &err), 0);
	assert_int_equal(config_declare(tree, "cpu", cpu_model_keys, &err), 0);
	assert_int_equal(config_set(tree, "cpu.features", features, &err), 0);
	view = config_view_at(tree, "cpu");
	assert_true(cpu_model_build(&model, 1, &view, &err) < 0);
	if (!strstr(err.text, text)) {
		fail_msg("'%s' is not in '%s'", text, err.text);
	}
	config_tree_destroy(tree);
}

static void test_features(void **state)
{
	struct cpu_model model;
	struct cpu_model with;
	struct error err = { 0 };
	char text[2048];

	(void)state;
	build(&model, 1, NULL, "-smap,-invpcid");
	assert_false(has(&model, "smap"));
	assert_false(has(&model, "invpcid"));
	build(&with, 1, "x86-64-v2", "+smap -popcnt");
	assert_true(has(&with, "smap"));
	assert_false(has(&with, "popcnt"));
	expect_refusal("+smapp", "'smap'");
	expect_refusal("smap", "'+smap'");
	expect_refusal("-movbe,-avx512f", "avx512f");
	expect_refusal("+cmp_legacyy,", "'cmp_legacy'");
	cpu_model_describe(&with, text, sizeof(text));
	assert_non_null(strstr(text, " smap"));
	assert_null(strstr(text, "popcnt"));
	cpu_model_describe(&with, text, 10);
	assert_true(strlen(text) < 10);

	/* Moving: to a processor that has more it goes, back it does not. */
	build(&with, 1, NULL, NULL);
	assert_int_equal(cpu_model_adopt(&with, &model, &err), 0);
	assert_false(has(&with, "smap"));
	build(&with, 1, NULL, NULL);
	assert_int_equal(cpu_model_adopt(&model, &with, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "smap") ? strstr(err.text, "smap")
						 : strstr(err.text, "invpcid"));
	build(&with, 2, NULL, NULL);
	assert_int_equal(cpu_model_adopt(&model, &with, &err), -EINVAL);
}

static void test_loaded(void **state)
{
	struct cpu_model model;
	struct error err = { 0 };

	(void)state;
	build(&model, 1, NULL, NULL);
	assert_int_equal(cpu_model_state_table.post_load(&model, &err), 0);
	model.leaf_count = CPU_MODEL_MAX_LEAVES + 1;
	assert_int_equal(cpu_model_state_table.post_load(&model, &err), -EINVAL);
	build(&model, 1, NULL, NULL);
	model.xcr0_mask = 0xe7;
	assert_int_equal(cpu_model_state_table.post_load(&model, &err), -EINVAL);
	assert_int_equal(cpu_model_build(&model, 0, NULL, &err), -EINVAL);
	assert_int_equal(cpu_model_build(&model, 256, NULL, &err), -EINVAL);
	assert_int_equal(cpu_model_build(&model, 255, NULL, &err), 0);
	assert_int_equal(cpu_model_build_for(&model, "kvm", 4, NULL, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_host),
		cmocka_unit_test(test_topology),     cmocka_unit_test(test_xsave),
		cmocka_unit_test(test_out_of_range), cmocka_unit_test(test_hypervisor),
		cmocka_unit_test(test_baselines),    cmocka_unit_test(test_features),
		cmocka_unit_test(test_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
