/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limen info: what this computer offers for running machines. The monitor itself knows what it can
 * use, probes it and prints it, as text or as JSON; this sub-command only checks its own arguments
 * and becomes limen-vmm --info. So the answer is that of the very program that will run machines,
 * with its engines, its libraries and its permissions.
 */

#include <stdio.h>
#include <string.h>

#include "cli.h"

static void print_help(void)
{
	puts("Usage: limen info [--json]\n\n"
	     "Says what this computer offers for running machines: the engines with their "
	     "measured\n"
	     "speeds, processor features, and what is missing and how to get it.\n\n"
	     "  --json   the same as JSON, for programs");
}

int cli_info(int argc, char **argv)
{
	struct cli_list list = { 0 };
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help();
			return CLI_OK;
		}
		if (strcmp(argv[i], "--json") != 0) {
			return cli_error(CLI_USAGE,
					 "info: unknown argument '%s'; only --json is known",
					 argv[i]);
		}
		json = true;
	}
	cli_list_add(&list, "limen-vmm");
	cli_list_add(&list, json ? "--info=json" : "--info");
	return cli_exec_monitor(&list);
}
