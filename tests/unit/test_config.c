/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration tree: types and their limits, unknown keys, YAML with its line numbers, and
 * that a saved file loads as the same tree.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/config.h"

static const struct config_key root_keys[] = {
	{ .name = "cpus", .type = CONFIG_INT, .def = "1", .min = 1, .max = 64 },
	{ .name = "memory",
	  .type = CONFIG_SIZE,
	  .def = "512M",
	  .min = (int64_t)MIB(1),
	  .max = (int64_t)GIB(64),
	  .unit = MIB(1) },
	{ .name = "firmware", .type = CONFIG_PATH, .def = "bios", .choices = "bios|uefi" },
	{ .name = "engine", .type = CONFIG_ENUM, .def = "auto", .choices = "auto|kvm|soft" },
	{ .name = NULL },
};

static const struct config_key boot_keys[] = {
	{ .name = "kernel", .type = CONFIG_PATH },
	{ .name = "append", .type = CONFIG_STRING },
	{ .name = NULL },
};

static const struct config_key disk_keys[] = {
	{ .name = "file", .type = CONFIG_PATH },
	{ .name = "readonly", .type = CONFIG_BOOL },
	{ .name = "offset", .type = CONFIG_INT },
	{ .name = NULL },
};

static const struct config_key net_keys[] = {
	{ .name = "mac", .type = CONFIG_MAC },
	{ .name = NULL },
};

static const struct config_key forward_keys[] = {
	{ .name = "*", .type = CONFIG_STRING },
	{ .name = NULL },
};

/* A group with the name of a value. */
static const struct config_key engine_keys[] = {
	{ .name = "a", .type = CONFIG_STRING },
	{ .name = "b", .type = CONFIG_STRING },
	{ .name = NULL },
};

static int setup(void **state)
{
	struct config_tree *tree;

	assert_int_equal(config_tree_create(&tree, NULL), 0);
	assert_int_equal(config_declare(tree, "", root_keys, NULL), 0);
	assert_int_equal(config_declare(tree, "boot", boot_keys, NULL), 0);
	assert_int_equal(config_declare(tree, "disk.*", disk_keys, NULL), 0);
	assert_int_equal(config_declare(tree, "net.*", net_keys, NULL), 0);
	assert_int_equal(config_declare(tree, "net.*.forward", forward_keys, NULL), 0);
	assert_int_equal(config_declare(tree, "engine", engine_keys, NULL), 0);
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	config_tree_destroy(*state);
	return 0;
}

static void test_types(void **state)
{
	struct config_tree *tree = *state;
	struct config_view root = config_view_at(tree, "");
	struct config_view disk = config_view_at(tree, "disk.12");
	struct config_view net = config_view_at(tree, "net.0");
	uint8_t mac[6] = { 0 };

	assert_int_equal(config_get_int(&root, "cpus"), 1);
	assert_int_equal(config_get_size(&root, "memory"), MIB(512));
	assert_false(config_is_set(&root, "cpus"));
	assert_int_equal(config_set(tree, "cpus", "0x10", NULL), 0);
	assert_int_equal(config_get_int(&root, "cpus"), 16);
	assert_true(config_is_set(&root, "cpus"));
	assert_int_equal(config_set(tree, "memory", "64", NULL), 0);
	assert_int_equal(config_get_size(&root, "memory"), MIB(64));
	assert_int_equal(config_set_assignment(tree, "memory=3g", NULL), 0);
	assert_int_equal(config_get_size(&root, "memory"), GIB(3));
	assert_int_equal(config_set(tree, "engine", "soft", NULL), 0);
	assert_string_equal(config_get_string(&root, "engine"), "soft");
	assert_null(config_get_string(&disk, "file"));
	assert_int_equal(config_set(tree, "disk.12.readonly", "yes", NULL), 0);
	assert_true(config_get_bool(&disk, "readonly"));
	assert_int_equal(config_set(tree, "disk.12.offset", "-5", NULL), 0);
	assert_int_equal(config_get_int(&disk, "offset"), -5);
	assert_false(config_get_mac(&net, "mac", mac));
	assert_int_equal(config_set(tree, "net.0.mac", "52:54:00:Ab:cd:EF", NULL), 0);
	assert_true(config_get_mac(&net, "mac", mac));
	assert_memory_equal(mac, "\x52\x54\x00\xab\xcd\xef", 6);
	assert_int_equal(config_index_count(tree, "disk"), 13);
	assert_int_equal(config_index_count(tree, "net"), 1);
	assert_int_equal(config_index_count(tree, "boot"), 0);
	assert_int_equal(config_index_count(tree, "dis"), 0);
	assert_int_equal(config_set(tree, "net.0.forward.2", "x", NULL), 0);
	assert_string_equal(config_get_string(&net, "forward.2"), "x");
	assert_int_equal(config_index_count(tree, "net.0.forward"), 3);
}

static void test_paths(void **state)
{
	struct config_tree *tree = *state;
	struct config_view root = config_view_at(tree, "");
	char expected[4096];

	assert_string_equal(config_get_string(&root, "firmware"), "bios");
	assert_int_equal(config_set(tree, "firmware", "uefi", NULL), 0);
	assert_string_equal(config_get_string(&root, "firmware"), "uefi");
	assert_int_equal(config_set(tree, "firmware", "rom.bin", NULL), 0);
	assert_non_null(getcwd(expected, sizeof(expected) - 16));
	strncat(expected, "/rom.bin", 9);
	assert_string_equal(config_get_string(&root, "firmware"), expected);
	assert_int_equal(config_set(tree, "firmware", "/x/rom.bin", NULL), 0);
	assert_string_equal(config_get_string(&root, "firmware"), "/x/rom.bin");
}

static const struct {
	const char *key;
	const char *value;
	int code;
	const char *text; /* part of the error */
} bad_values[] = {
	{ "cpus", "0", EINVAL, "too small" },
	{ "cpus", "65", EINVAL, "too large (1 to 64)" },
	{ "cpus", "2x", EINVAL, "not a number" },
	{ "cpus", "", EINVAL, "cpus" },
	{ "cpus", "+2", EINVAL, "not a number" },
	{ "cpus", " 2", EINVAL, "not a number" },
	{ "cpus", "99999999999999999999", EINVAL, "not a number" },
	{ "memory", "3T", EINVAL, "1M to 64G" },
	{ "memory", "18446744073709551615", EINVAL, "not a size" },
	{ "memory", "99999999T", EINVAL, "not a size" },
	{ "memory", "1KB", EINVAL, "not a size" },
	{ "memory", "-1", EINVAL, "not a size" },
	{ "engine", "kv", EINVAL, "auto, kvm, soft" },
	{ "engine", "auto|kvm", EINVAL, "auto, kvm, soft" },
	{ "disk.0.readonly", "maybe", EINVAL, "neither on nor off" },
	{ "net.0.mac", "52:54:00:ab:cd", EINVAL, "address" },
	{ "net.0.mac", "53:54:00:ab:cd:ef", EINVAL, "address" },
	{ "net.0.mac", "52:54:00:ab:cd:eg", EINVAL, "address" },
	{ "boot.kernel", "", EINVAL, "empty" },
	{ "cpu", "1", ENOENT, "nearest is 'cpus'" },
	{ "memroy", "1", ENOENT, "nearest is 'memory'" },
	{ "disk.7.fiel", "x", ENOENT, "nearest is 'disk.7.file'" },
	{ "disk.file", "x", ENOENT, "nearest is 'disk.0.file'" },
	{ "disk.07.file", "x", ENOENT, "disk.0.file" },
	{ "disk.256.file", "x", ENOENT, "disk.0.file" },
	{ "disk.*.file", "x", ENOENT, "disk.0.file" },
	{ "disk..file", "x", ENOENT, "disk" },
	{ "disk.0", "x", ENOENT, "disk.0.file" },
	{ "boot.kernel.x", "x", ENOENT, "boot.kernel" },
	{ ".cpus", "1", ENOENT, "cpus" },
	{ "cpus.", "1", ENOENT, "cpus" },
	{ "", "1", ENOENT, "no key" },
	{ "net.0.forward", "1", ENOENT, "nearest is 'net.0.forward.0'" },
	{ "net.0.forward.0.x", "1", ENOENT, "net.0.forward.0" },
	{ "net.0.forward.x", "1", ENOENT, "net.0.forward.0" },
};

static void test_bad_values(void **state)
{
	struct config_tree *tree = *state;
	struct config_view root = config_view_at(tree, "");

	assert_int_equal(config_set(tree, "cpus", "3", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
		struct error err = { 0 };
		int r = config_set(tree, bad_values[i].key, bad_values[i].value, &err);

		if (r != -bad_values[i].code || strstr(err.text, bad_values[i].text) == NULL) {
			fail_msg("%s=%s: %d: %s", bad_values[i].key, bad_values[i].value, r,
				 err.text);
		}
	}
	assert_int_equal(config_get_int(&root, "cpus"), 3);
	assert_int_equal(config_set_assignment(tree, "cpus", NULL), -EINVAL);
	assert_int_equal(config_set_assignment(tree, "=3", NULL), -EINVAL);
}

static int load(struct config_tree *tree, const char *text, struct error *err)
{
	return config_load_yaml_text(tree, text, strlen(text), "m.yaml", "/vm", err);
}

static void test_yaml(void **state)
{
	struct config_tree *tree = *state;
	struct config_view root = config_view_at(tree, "");
	struct config_view boot = config_view_at(tree, "boot");
	struct config_view disk0 = config_view_at(tree, "disk.0");
	struct config_view disk1 = config_view_at(tree, "disk.1");
	struct config_view disk4 = config_view_at(tree, "disk.4");
	struct error err = { 0 };

	assert_int_equal(load(tree, "", &err), 0);
	assert_int_equal(load(tree, "# nothing\n", &err), 0);
	assert_int_equal(load(tree, "---\n", &err), 0);
	assert_int_equal(load(tree,
			      "cpus: 2\nmemory: 1G\nboot:\n  kernel: k/vmlinuz\n"
			      "  append: \"a b\"\nnet:\n"
			      "disk:\n - file: one.img\n   readonly: yes\n - file: /two.img\n"
			      "disk.4.file: three.img\n",
			      &err),
			 0);
	assert_int_equal(config_get_int(&root, "cpus"), 2);
	assert_string_equal(config_get_string(&boot, "kernel"), "/vm/k/vmlinuz");
	assert_string_equal(config_get_string(&boot, "append"), "a b");
	assert_string_equal(config_get_string(&disk0, "file"), "/vm/one.img");
	assert_true(config_get_bool(&disk0, "readonly"));
	assert_string_equal(config_get_string(&disk1, "file"), "/two.img");
	assert_string_equal(config_get_string(&disk4, "file"), "/vm/three.img");
}

static const struct {
	const char *yaml;
	const char *text;
} bad_yaml[] = {
	{ "cpus: 2\nmemry: 1G\n", "m.yaml:2: there is no key 'memry'; the nearest is 'memory'" },
	{ "cpus: 2\n\nboot:\n  append: x\n  kernel: [a]\n", "m.yaml:5:" },
	{ "cpus: 2\ncpus: 3\n", "m.yaml:2: cpus is set twice" },
	{ "cpus: 2\nmemory: [\n", "m.yaml:" },
	{ "cpus: two\n", "m.yaml:1: cpus: 'two' is not a number" },
	{ "cpus: &a 2\nmemory: *a\n", "m.yaml:2: aliases" },
	{ "cpus: 2\n---\ncpus: 3\n", "m.yaml:2: the file has more than one document" },
	{ "- 1\n", "m.yaml:1:" },
	{ "hello\n", "m.yaml:1:" },
	{ "? [a]\n: b\n", "m.yaml:1: a key must be a word" },
	{ "boot: {append: \"a\\0b\"}\n", "m.yaml:1: a value contains a zero byte" },
	{ "\"cpus\\0\": 2\n", "m.yaml:1: a key must be a word" },
	{ "nothing:\n", "m.yaml:1: there is no key 'nothing'" },
	{ "a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}\n", "m.yaml:1: nested too deeply" },
	{ "cpus: \x01\n", "m.yaml:" },
};

static void test_bad_yaml(void **state)
{
	struct config_tree *tree = *state;
	struct config_view root = config_view_at(tree, "");

	for (size_t i = 0; i < ARRAY_SIZE(bad_yaml); i++) {
		struct error err = { 0 };
		int r = load(tree, bad_yaml[i].yaml, &err);

		if (r != -EINVAL && r != -ENOENT) {
			fail_msg("'%s' was loaded", bad_yaml[i].yaml);
		}
		if (strncmp(err.text, bad_yaml[i].text, strlen(bad_yaml[i].text)) != 0) {
			fail_msg("'%s': %s", bad_yaml[i].yaml, err.text);
		}
		assert_false(config_is_set(&root, "cpus"));
	}
}

static void compare_value(void *opaque, const char *path, const char *text)
{
	struct config_tree *other = opaque;
	const char *other_text = NULL;

	assert_int_equal(config_get_text(other, path, &other_text, NULL), 0);
	assert_non_null(other_text);
	assert_string_equal(text, other_text);
}

static void count_value(void *opaque, const char *path, const char *text)
{
	unsigned int *count = opaque;

	assert_non_null(path);
	assert_non_null(text);
	(*count)++;
}

static void test_save(void **state)
{
	static const char *const assignments[] = {
		"cpus=4",
		"boot.append=x: y # 'z' \"\\",
		"boot.kernel=/elsewhere/k",
		"disk.0.file=/d0",
		"disk.1.file=/tmp/../a b",
		"disk.1.readonly=on",
		"net.3.mac=52:54:00:00:00:01",
		"net.3.forward.0=tcp::1-2",
		"net.3.forward.1=tcp::3-4",
		"engine=soft",
		"engine.a=1",
		"engine.b=2",
		"firmware=uefi",
	};
	char folder[] = "/tmp/limen-test-XXXXXX";
	struct config_tree *tree = *state;
	struct config_tree *copy;
	struct error err = { 0 };
	void *copy_state;
	unsigned int count = 0;
	char file[64];
	char value[64];
	struct stat st;

	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/machine.yaml", folder);
	for (size_t i = 0; i < ARRAY_SIZE(assignments); i++) {
		assert_int_equal(config_set_assignment(tree, assignments[i], &err), 0);
	}
	snprintf(value, sizeof(value), "%s/sub/disk.img", folder);
	assert_int_equal(config_set(tree, "disk.10.file", value, &err), 0);
	assert_int_equal(config_save_yaml(tree, file, &err), 0);
	assert_int_equal(config_save_yaml(tree, file, &err), 0);
	assert_int_equal(setup(&copy_state), 0);
	copy = copy_state;
	if (config_load_yaml(copy, file, &err) < 0) {
		fail_msg("%s", err.text);
	}
	config_for_each_value(tree, compare_value, copy);
	config_for_each_value(copy, count_value, &count);
	assert_int_equal(count, ARRAY_SIZE(assignments) + 1);
	config_tree_destroy(copy);

	assert_int_equal(unlink(file), 0);
	assert_int_equal(config_load_yaml(tree, file, &err), -ENOENT);
	assert_int_equal(config_load_yaml(tree, folder, &err), -EISDIR);
	assert_int_equal(config_save_yaml(tree, folder, &err), -EINVAL);
	assert_int_equal(config_save_yaml(tree, "/nonexistent/x.yaml", &err), -ENOENT);
	/* Nothing is left behind, not even a temporary file. */
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(stat(folder, &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_yaml, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_yaml, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
