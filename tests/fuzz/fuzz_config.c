/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target of machine.yaml and of configuration values: whatever loads must be readable through
 * its declared types, and a tree that a file failed to load into must be empty.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_key root_keys[] = {
	{ .name = "count", .type = CONFIG_INT, .min = 1, .max = 64 },
	{ .name = "size", .type = CONFIG_SIZE, .unit = MIB(1) },
	{ .name = "text", .type = CONFIG_STRING },
	{ .name = NULL },
};

static const struct config_key disk_keys[] = {
	{ .name = "file", .type = CONFIG_PATH },
	{ .name = "on", .type = CONFIG_BOOL },
	{ .name = "kind", .type = CONFIG_ENUM, .choices = "a|b" },
	{ .name = "mac", .type = CONFIG_MAC },
	{ .name = NULL },
};

static void count_value(void *opaque, const char *path, const char *text)
{
	(void)path;
	(void)text;
	(*(unsigned int *)opaque)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_tree *tree;
	struct config_view root;
	unsigned int count = 0;
	uint8_t mac[6];

	if (config_tree_create(&tree, NULL) < 0) {
		return 0;
	}
	config_declare(tree, "", root_keys, NULL);
	config_declare(tree, "disk.*", disk_keys, NULL);
	if (config_load_yaml_text(tree, (const char *)data, size, "fuzz", "/", NULL) < 0) {
		config_for_each_value(tree, count_value, &count);
		assert(count == 0);
	}
	root = config_view_at(tree, "");
	config_get_int(&root, "count");
	config_get_size(&root, "size");
	config_get_string(&root, "text");
	for (unsigned int i = 0; i < config_index_count(tree, "disk"); i++) {
		struct config_view disk;
		char prefix[16];

		snprintf(prefix, sizeof(prefix), "disk.%u", i);
		disk = config_view_at(tree, prefix);
		config_get_string(&disk, "file");
		config_get_bool(&disk, "on");
		config_get_string(&disk, "kind");
		config_get_mac(&disk, "mac", mac);
	}
	config_tree_destroy(tree);
	return 0;
}
