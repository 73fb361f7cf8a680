/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limen run: options into configuration keys, and then into the monitor. A table says for each
 * option whether it takes a value and what becomes of it; everything else about a machine is the
 * monitor's knowledge.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum option_kind {
	OPTION_KEY,    /* its value is that of a key */
	OPTION_CHOICE, /* the same, one of @choices */
	OPTION_FLAG,   /* handed to the monitor as it is */
	OPTION_PASS,   /* handed to the monitor with its value */
	OPTION_ADD,    /* @add does it */
};

struct option {
	const char *name;
	enum option_kind kind;
	const char *key;
	const char *choices;
	int (*add)(struct cli_list *list, struct cli_devices *devices, const char *value);
};

static int add_cpus(struct cli_list *list, struct cli_devices *devices, const char *value);
static int add_memory(struct cli_list *list, struct cli_devices *devices, const char *value);
static int add_display(struct cli_list *list, struct cli_devices *devices, const char *value);
static int add_set(struct cli_list *list, struct cli_devices *devices, const char *value);

static const struct option options[] = {
	{ "--engine", OPTION_CHOICE, "engine", "auto|kvm|driver|soft", NULL },
	{ "--cpus", OPTION_ADD, NULL, NULL, add_cpus },
	{ "--memory", OPTION_ADD, NULL, NULL, add_memory },
	{ "--firmware", OPTION_KEY, "firmware", NULL, NULL },
	{ "--kernel", OPTION_KEY, "boot.kernel", NULL, NULL },
	{ "--initrd", OPTION_KEY, "boot.initrd", NULL, NULL },
	{ "--append", OPTION_KEY, "boot.append", NULL, NULL },
	{ "--disk", OPTION_ADD, NULL, NULL, cli_add_disk },
	{ "--cdrom", OPTION_ADD, NULL, NULL, cli_add_cdrom },
	{ "--floppy", OPTION_ADD, NULL, NULL, cli_add_floppy },
	{ "--boot", OPTION_CHOICE, "boot.order", "disk|cdrom|floppy|network", NULL },
	{ "--net", OPTION_ADD, NULL, NULL, cli_add_net },
	{ "--serial", OPTION_ADD, NULL, NULL, cli_add_serial },
	{ "--display", OPTION_ADD, NULL, NULL, add_display },
	{ "--control", OPTION_PASS, NULL, NULL, NULL },
	{ "--load-state", OPTION_PASS, NULL, NULL, NULL },
	{ "--save-state", OPTION_KEY, "state.save", NULL, NULL },
	{ "--no-reboot", OPTION_FLAG, NULL, NULL, NULL },
	{ "--test-device", OPTION_FLAG, NULL, NULL, NULL },
	{ "--set", OPTION_ADD, NULL, NULL, add_set },
};

/* ---- values ---- */

static int add_cpus(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	(void)devices;
	if (value[strspn(value, "0123456789")] != '\0' || strtoul(value, NULL, 10) == 0) {
		return cli_error(CLI_USAGE, "--cpus: '%s' is not a number of processors", value);
	}
	cli_set(list, "cpus", value);
	return CLI_OK;
}

static int add_memory(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	const char *suffix = value + digits;

	(void)devices;
	if (digits == 0 ||
	    (*suffix != '\0' && (strchr("KMGTkmgt", *suffix) == NULL || suffix[1] != '\0'))) {
		return cli_error(CLI_USAGE, "--memory: '%s' is not a size, such as 512, 512M or 2G",
				 value);
	}
	cli_set(list, "memory", value);
	return CLI_OK;
}

static int add_display(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	(void)devices;
	if (strcmp(value, "gtk") == 0 || strcmp(value, "vnc") == 0 ||
	    strncmp(value, "vnc=", 4) == 0) {
		return cli_error(CLI_USAGE, "--display: %.3s is not built yet; auto and none are",
				 value);
	}
	if (!cli_is_choice(value, "auto|none")) {
		return cli_error(CLI_USAGE, "--display: '%s' is not one of auto, gtk, vnc and none",
				 value);
	}
	cli_set(list, "display", value);
	return CLI_OK;
}

static int add_set(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	const char *equals = strchr(value, '=');

	(void)devices;
	if (strcmp(value, "help") == 0) {
		cli_list_add(list, "--set");
		cli_list_add(list, "help");
		return CLI_OK;
	}
	if (equals == NULL || equals == value) {
		return cli_error(CLI_USAGE, "--set: '%s' is not of the form KEY=VALUE", value);
	}
	cli_list_add(list, "--set");
	cli_list_add(list, "%s", value);
	return CLI_OK;
}

/* ---- options ---- */

static const struct option *find_option(const char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0) {
			return &options[i];
		}
	}
	return NULL;
}

static int unknown_option(const char *argument)
{
	const char *names[ARRAY_SIZE(options) + 1];
	const char *nearest;
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		names[i] = options[i].name;
	}
	names[ARRAY_SIZE(options)] = "--help";
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument, "="), argument);
	nearest = cli_nearest(name, names, ARRAY_SIZE(names));
	if (nearest != NULL) {
		return cli_error(CLI_USAGE, "run: unknown option '%s'; did you mean '%s'?", name,
				 nearest);
	}
	return cli_error(CLI_USAGE, "run: unknown option '%s'; 'limen run --help' lists them",
			 name);
}

static int apply_option(struct cli_list *list, struct cli_devices *devices,
			const struct option *option, const char *value)
{
	if (option->kind != OPTION_KEY && value[0] == '\0') {
		return cli_error(CLI_USAGE, "%s: the value is empty", option->name);
	}
	switch (option->kind) {
	case OPTION_CHOICE:
		if (!cli_is_choice(value, option->choices)) {
			return cli_error(CLI_USAGE, "%s: '%s' is not %s", option->name, value,
					 cli_choice_text(option->choices));
		}
		cli_set(list, option->key, value);
		return CLI_OK;
	case OPTION_PASS:
		cli_list_add(list, "%s", option->name);
		cli_list_add(list, "%s", value);
		return CLI_OK;
	case OPTION_ADD: return option->add(list, devices, value);
	default: cli_set(list, option->key, value); return CLI_OK;
	}
}

/* One option at argv[*@i]; *@i is then at its last argument. */
static int take_option(int argc, char **argv, int *i, struct cli_list *list,
		       struct cli_devices *devices)
{
	const char *argument = argv[*i];
	size_t size = strcspn(argument, "=");
	const struct option *option = find_option(argument, size);
	const char *value = argument[size] == '=' ? argument + size + 1 : NULL;

	if (option == NULL) {
		return unknown_option(argument);
	}
	if (option->kind == OPTION_FLAG) {
		if (value != NULL) {
			return cli_error(CLI_USAGE, "%s takes no value", option->name);
		}
		cli_list_add(list, "%s", option->name);
		return CLI_OK;
	}
	if (value == NULL) {
		if (*i + 1 >= argc) {
			return cli_error(CLI_USAGE, "%s needs a value", option->name);
		}
		value = argv[++*i];
	}
	return apply_option(list, devices, option, value);
}

/* ---- named machines ---- */

static bool is_name(const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && (p == name || strchr("-_.+", *p) == NULL)) {
			return false;
		}
	}
	return name[0] != '\0';
}

/* Let the monitor read machine NAME's file, before the options, which then override it. */
static int add_machine(struct cli_list *list, const char *name)
{
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	char path[4096];

	if (!is_name(name)) {
		return cli_error(CLI_USAGE, "run: '%s' is neither an option nor a machine's name",
				 name);
	}
	if (data != NULL && data[0] == '/') {
		snprintf(path, sizeof(path), "%s/limen/%s/machine.yaml", data, name);
	} else {
		snprintf(path, sizeof(path), "%s/.local/share/limen/%s/machine.yaml",
			 home != NULL ? home : "", name);
	}
	if (access(path, F_OK) < 0) {
		return cli_error(CLI_FAILED, "there is no machine '%s' (%s)", name, path);
	}
	cli_list_add(list, "--config");
	cli_list_add(list, "%s", path);
	cli_set(list, "name", name);
	return CLI_OK;
}

int cli_run(int argc, char **argv)
{
	struct cli_devices devices = { 0 };
	struct cli_list list = { 0 };
	int status = CLI_OK;
	bool named = false;

	cli_list_add(&list, "limen-vmm");
	for (int i = 1; i < argc && status == CLI_OK; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			cli_run_help();
			cli_list_finish(&list);
			return CLI_OK;
		}
		if (argv[i][0] == '-') {
			status = take_option(argc, argv, &i, &list, &devices);
		} else if (i == 1) {
			named = true;
			status = add_machine(&list, argv[i]);
		} else {
			status = cli_error(CLI_USAGE, "run: unexpected argument '%s'", argv[i]);
		}
	}
	if (status != CLI_OK) {
		cli_list_finish(&list);
		return status;
	}
	if (!named && devices.nets == 0) {
		cli_set(&list, "net.0.backend", "user");
	}
	return cli_exec_monitor(&list);
}
