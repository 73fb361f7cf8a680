/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_UI_CLI_CLI_H
#define LIMEN_UI_CLI_CLI_H

/*
 * The command `limen`. It knows the monitor by its command line only: a sub-command turns options
 * into keys of the configuration tree and becomes limen-vmm. All functions run on the one thread.
 */

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
	CLI_OK = 0,
	CLI_FAILED = 1, /* it could not be done */
	CLI_USAGE = 2,	/* it could not be understood */
};

/**
 * struct cli_command - a sub-command
 * @run: @argv[0] is the sub-command's name; returns the exit status. NULL: not built yet
 * @help: one line
 */
struct cli_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

int cli_run(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_help(int argc, char **argv);

/** cli_run_help() - `limen run --help`, to standard output. */
void cli_run_help(void);

/** cli_error() - "limen: text" on standard error. Return: @status, so that it can be returned. */
int cli_error(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * cli_nearest() - the name most like @name
 * @names: @count of them
 *
 * Return: one of @names, or NULL when none is near enough to be meant.
 */
const char *cli_nearest(const char *name, const char *const *names, size_t count);

/** struct cli_list - a growing list of arguments, ended by NULL once there is one */
struct cli_list {
	char **items;
	size_t count;
};

/** cli_list_add() - append a formatted argument. Running out of memory ends the program. */
void cli_list_add(struct cli_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void cli_list_finish(struct cli_list *list);

/**
 * cli_exec_monitor() - become limen-vmm with @list's arguments (its first item is replaced by the
 * program's path). Returns only when that fails.
 */
int cli_exec_monitor(struct cli_list *list);

/* ------- values of options (run_values.c); each adds "--set", "KEY=VALUE" pairs ------- */

/** struct cli_devices - how many of each numbered thing the options have named so far */
struct cli_devices {
	unsigned int disks;
	unsigned int cdroms;
	unsigned int floppies;
	unsigned int nets;
	unsigned int serials;
};

/** cli_set() - add "--set", "@key=@value". */
void cli_set(struct cli_list *list, const char *key, const char *value);

/* Each returns CLI_OK or, after an error line, CLI_USAGE. */
int cli_add_disk(struct cli_list *list, struct cli_devices *devices, const char *value);
int cli_add_cdrom(struct cli_list *list, struct cli_devices *devices, const char *value);
int cli_add_floppy(struct cli_list *list, struct cli_devices *devices, const char *value);
int cli_add_net(struct cli_list *list, struct cli_devices *devices, const char *value);
int cli_add_serial(struct cli_list *list, struct cli_devices *devices, const char *value);

/** cli_is_choice() - whether @value is one of "a|b|c". */
bool cli_is_choice(const char *value, const char *choices);

/** cli_choice_text() - "a|b|c" as "a, b or c", in a static buffer. */
const char *cli_choice_text(const char *choices);

#endif
