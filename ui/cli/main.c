/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limen: the command line of Limen. This file knows the sub-commands and what is said when none of
 * them is meant; each is a file of its own.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct cli_command commands[] = {
	{ "run", cli_run, "run a machine in the foreground" },
	{ "info", cli_info, "what this computer offers: engines, their speeds, what is missing" },
	{ "help", cli_help, "explain a command" },
	{ "create", NULL, "make a named machine" },
	{ "list", NULL, "list the named machines" },
	{ "show", NULL, "show a machine's configuration" },
	{ "set", NULL, "change a machine's configuration" },
	{ "start", NULL, "start a machine in the background" },
	{ "stop", NULL, "ask a machine's guest to power off" },
	{ "kill", NULL, "end a machine at once" },
	{ "pause", NULL, "let a machine stand still" },
	{ "resume", NULL, "let it go on" },
	{ "reset", NULL, "press a machine's reset button" },
	{ "delete", NULL, "remove a machine and its disks" },
	{ "clone", NULL, "copy a machine" },
	{ "snapshot", NULL, "take, list and restore snapshots" },
	{ "suspend", NULL, "save a machine to its folder and end it" },
	{ "screenshot", NULL, "write a machine's screen to a file" },
	{ "console", NULL, "connect to a machine's serial console" },
	{ "usb", NULL, "plug USB devices in and out" },
	{ "disk", NULL, "make, inspect and convert disk images" },
	{ "import", NULL, "make a machine from another hypervisor's" },
	{ "export", NULL, "write a machine for another hypervisor" },
};

int cli_error(int status, const char *fmt, ...)
{
	va_list args;

	fputs("limen: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

static void print_usage(FILE *out)
{
	fputs("Usage: limen COMMAND [ARGUMENT...]\n\n"
	      "Runs other operating systems in virtual machines.\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].run != NULL) {
			fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
		}
	}
	fputs("\n'limen run --help' lists the options of a machine.\n"
	      "'limen --version' prints the version.\n",
	      out);
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			return &commands[i];
		}
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[ARRAY_SIZE(commands)];
	const char *nearest;

	if (name[0] == '-') {
		return cli_error(CLI_USAGE,
				 "unknown option '%s'; a machine's options follow 'limen run'",
				 name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		names[i] = commands[i].name;
	}
	nearest = cli_nearest(name, names, ARRAY_SIZE(names));
	if (nearest != NULL) {
		return cli_error(CLI_USAGE, "unknown command '%s'; did you mean '%s'?", name,
				 nearest);
	}
	return cli_error(CLI_USAGE, "unknown command '%s'; 'limen --help' lists them", name);
}

int cli_help(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 2) {
		print_usage(stdout);
		return CLI_OK;
	}
	command = find_command(argv[1]);
	if (command == NULL) {
		return unknown_command(argv[1]);
	}
	if (command->run == cli_help) {
		puts("Usage: limen help [COMMAND]\n\nExplains a command.");
		return CLI_OK;
	}
	if (command->run != NULL) {
		char *arguments[] = { argv[1], (char *)"--help", NULL };

		return command->run(2, arguments);
	}
	return cli_error(CLI_USAGE, "'%s' is not built yet", command->name);
}

int main(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 2) {
		print_usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("limen " LIMEN_VERSION);
		return CLI_OK;
	}
	command = find_command(argv[1]);
	if (command == NULL) {
		return unknown_command(argv[1]);
	}
	if (command->run == NULL) {
		return cli_error(CLI_USAGE, "'%s' is not built yet", command->name);
	}
	return command->run(argc - 1, argv + 1);
}
