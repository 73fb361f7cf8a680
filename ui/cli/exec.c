/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of arguments, and becoming limen-vmm with one. The monitor is looked for beside this
 * program, as it is built and installed, and then where distributions put what users do not call
 * themselves.
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static _Noreturn void out_of_memory(void)
{
	exit(cli_error(CLI_FAILED, "out of memory"));
}

void cli_list_add(struct cli_list *list, const char *fmt, ...)
{
	va_list args;
	char **items;
	int n;

	items = realloc(list->items, (list->count + 2) * sizeof(items[0]));
	if (items == NULL) {
		out_of_memory();
	}
	list->items = items;
	va_start(args, fmt);
	n = vasprintf(&items[list->count], fmt, args);
	va_end(args);
	if (n < 0) {
		out_of_memory();
	}
	items[++list->count] = NULL;
}

void cli_list_finish(struct cli_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i]);
	}
	free(list->items);
	*list = (struct cli_list){ 0 };
}

void cli_set(struct cli_list *list, const char *key, const char *value)
{
	cli_list_add(list, "--set");
	cli_list_add(list, "%s=%s", key, value);
}

int cli_exec_monitor(struct cli_list *list)
{
	static const char *const places[] = { "limen-vmm", "../libexec/limen/limen-vmm" };
	char self[PATH_MAX];
	char path[PATH_MAX + 64];
	int status = CLI_FAILED;
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0) {
		return cli_error(CLI_FAILED, "cannot find this program's folder: %s",
				 strerror(errno));
	}
	self[n] = '\0';
	*(strrchr(self, '/') + 1) = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s%s", self, places[i]);
		if (access(path, F_OK) < 0) {
			continue;
		}
		free(list->items[0]);
		list->items[0] = strdup(path);
		execv(path, list->items);
		status = cli_error(CLI_FAILED, "cannot run %s: %s", path, strerror(errno));
		cli_list_finish(list);
		return status;
	}
	cli_list_finish(list);
	return cli_error(CLI_FAILED,
			 "the monitor, limen-vmm, is not in %s; is Limen installed whole?", self);
}
