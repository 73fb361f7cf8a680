/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of `limen run`'s options that are lists: "FILE,format=raw,readonly",
 * "user,model=e1000". Each becomes keys of the configuration tree ("disk.0.format"). What the
 * monitor checks anyway, such as whether a file exists, is left to it; what only this program can
 * explain is refused here.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool cli_is_choice(const char *value, const char *choices)
{
	size_t size = strlen(value);

	while (choices != NULL) {
		size_t n = strcspn(choices, "|");

		if (n == size && memcmp(choices, value, n) == 0) {
			return true;
		}
		choices = choices[n] == '|' ? choices + n + 1 : NULL;
	}
	return false;
}

const char *cli_choice_text(const char *choices)
{
	static char text[256];
	size_t used = 0;

	for (const char *p = choices; *p != '\0' && used < sizeof(text) - 5; p++) {
		const char *between = strchr(p + 1, '|') != NULL ? ", " : " or ";

		if (*p == '|') {
			memcpy(text + used, between, strlen(between));
			used += strlen(between);
		} else {
			text[used++] = *p;
		}
	}
	text[used] = '\0';
	return text;
}

/*
 * Take the next part of a list off *@list into @part, of the size of the whole list; of two commas
 * one belongs to the part. Return: whether there was one.
 */
static bool next_part(const char **list, char *part)
{
	const char *p = *list;

	if (p == NULL) {
		return false;
	}
	while (*p != '\0') {
		if (*p == ',' && p[1] != ',') {
			break;
		}
		p += *p == ',';
		*part++ = *p++;
	}
	*part = '\0';
	*list = *p == ',' ? p + 1 : NULL;
	return true;
}

/* What stands behind "@name=" in @part, or NULL. */
static const char *value_of(const char *part, const char *name)
{
	size_t n = strlen(name);

	return strncmp(part, name, n) == 0 && part[n] == '=' ? part + n + 1 : NULL;
}

static void set_numbered(struct cli_list *list, const char *group, unsigned int index,
			 const char *name, const char *value)
{
	char key[64];

	snprintf(key, sizeof(key), "%s.%u.%s", group, index, name);
	cli_set(list, key, value);
}

static int unknown_part(const char *option, const char *part, const char *const *names,
			size_t count)
{
	char name[64];
	const char *nearest;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(part, "="), part);
	nearest = cli_nearest(name, names, count);
	if (nearest != NULL) {
		return cli_error(CLI_USAGE, "%s: unknown part '%s'; did you mean '%s'?", option,
				 part, nearest);
	}
	return cli_error(CLI_USAGE, "%s: unknown part '%s'; 'limen run --help' lists them", option,
			 part);
}

/* A buffer for the parts of @value; ends the program when there is none. */
static char *part_buffer(const char *value)
{
	char *buffer = malloc(strlen(value) + 1);

	if (buffer == NULL) {
		exit(cli_error(CLI_FAILED, "out of memory"));
	}
	return buffer;
}

/* ---- disks ---- */

static int add_disk_part(struct cli_list *list, unsigned int index, const char *part)
{
	static const char *const names[] = { "format", "bus", "readonly", "snapshot" };
	const char *format = value_of(part, "format");
	const char *bus = value_of(part, "bus");

	if (format != NULL) {
		set_numbered(list, "disk", index, "format", format);
	} else if (bus != NULL && cli_is_choice(bus, "ahci|nvme|scsi")) {
		return cli_error(CLI_USAGE, "--disk: bus=%s is not built yet; virtio and ide are",
				 bus);
	} else if (bus != NULL && !cli_is_choice(bus, "virtio|ide")) {
		return cli_error(CLI_USAGE,
				 "--disk: '%s' is not a bus; virtio, ahci, nvme, ide and scsi are",
				 bus);
	} else if (bus != NULL) {
		set_numbered(list, "disk", index, "bus", bus);
	} else if (strcmp(part, "readonly") == 0 || strcmp(part, "snapshot") == 0) {
		set_numbered(list, "disk", index, part, "on");
	} else {
		return unknown_part("--disk", part, names, ARRAY_SIZE(names));
	}
	return CLI_OK;
}

int cli_add_disk(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	char *part = part_buffer(value);
	unsigned int index = devices->disks++;
	int status = CLI_OK;

	next_part(&value, part);
	if (part[0] == '\0') {
		status = cli_error(CLI_USAGE, "--disk: the file name is missing");
	}
	set_numbered(list, "disk", index, "file", part);
	while (status == CLI_OK && next_part(&value, part)) {
		status = add_disk_part(list, index, part);
	}
	free(part);
	return status;
}

int cli_add_cdrom(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	set_numbered(list, "cdrom", devices->cdroms++, "file", value);
	return CLI_OK;
}

int cli_add_floppy(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	if (devices->floppies >= 2) {
		return cli_error(CLI_USAGE, "--floppy: a machine has two floppy drives at most");
	}
	set_numbered(list, "floppy", devices->floppies++, "file", value);
	return CLI_OK;
}

/* ---- networks ---- */

/* Read a port number off *@text, which then stands behind it. */
static bool take_port(const char **text)
{
	unsigned long port;
	char *end;

	if (!isdigit((unsigned char)**text)) {
		return false;
	}
	port = strtoul(*text, &end, 10);
	*text = end;
	return port >= 1 && port <= 65535;
}

/* tcp:HOSTADDR:PORT-GUESTPORT */
static bool is_forward(const char *text)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr parsed;
	size_t n;

	if (strncmp(text, "tcp:", 4) != 0 && strncmp(text, "udp:", 4) != 0) {
		return false;
	}
	text += 4;
	n = strcspn(text, ":");
	if (n >= sizeof(address) || text[n] != ':') {
		return false;
	}
	memcpy(address, text, n);
	address[n] = '\0';
	if (n > 0 && inet_pton(AF_INET, address, &parsed) != 1) {
		return false;
	}
	text += n + 1;
	return take_port(&text) && *text++ == '-' && take_port(&text) && *text == '\0';
}

static int add_forward(struct cli_list *list, unsigned int index, unsigned int number,
		       const char *value)
{
	char name[32];

	if (!is_forward(value)) {
		return cli_error(
			CLI_USAGE,
			"--net: '%s' is not a port to forward, such as tcp:127.0.0.1:2222-22",
			value);
	}
	snprintf(name, sizeof(name), "forward.%u", number);
	set_numbered(list, "net", index, name, value);
	return CLI_OK;
}

static int add_net_part(struct cli_list *list, unsigned int index, unsigned int *forwards,
			const char *part)
{
	static const char *const names[] = { "model", "mac", "forward" };
	const char *model = value_of(part, "model");
	const char *mac = value_of(part, "mac");
	const char *forward = value_of(part, "forward");

	if (model != NULL && !cli_is_choice(model, "virtio|e1000")) {
		return cli_error(CLI_USAGE, "--net: '%s' is not a model; virtio and e1000 are",
				 model);
	}
	if (model != NULL) {
		set_numbered(list, "net", index, "model", model);
	} else if (mac != NULL) {
		set_numbered(list, "net", index, "mac", mac);
	} else if (forward != NULL) {
		return add_forward(list, index, (*forwards)++, forward);
	} else {
		return unknown_part("--net", part, names, ARRAY_SIZE(names));
	}
	return CLI_OK;
}

static int add_net_kind(struct cli_list *list, unsigned int index, const char *part)
{
	static const char *const names[] = { "user", "tap", "none" };
	const char *tap = value_of(part, "tap");

	if (tap != NULL && tap[0] != '\0') {
		set_numbered(list, "net", index, "backend", "tap");
		set_numbered(list, "net", index, "tap", tap);
	} else if (strcmp(part, "user") == 0 || strcmp(part, "none") == 0) {
		set_numbered(list, "net", index, "backend", part);
	} else if (strcmp(part, "tap") == 0 || tap != NULL) {
		return cli_error(CLI_USAGE, "--net: tap needs an interface, as in tap=tap0");
	} else {
		return unknown_part("--net", part, names, ARRAY_SIZE(names));
	}
	return CLI_OK;
}

int cli_add_net(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	char *part = part_buffer(value);
	unsigned int index = devices->nets++;
	unsigned int forwards = 0;
	bool user;
	int status;

	next_part(&value, part);
	user = strcmp(part, "user") == 0;
	status = add_net_kind(list, index, part);
	while (status == CLI_OK && next_part(&value, part)) {
		if (!user && value_of(part, "forward") != NULL) {
			status = cli_error(CLI_USAGE, "--net: only 'user' forwards ports");
		} else {
			status = add_net_part(list, index, &forwards, part);
		}
	}
	free(part);
	return status;
}

/* ---- serial ports ---- */

int cli_add_serial(struct cli_list *list, struct cli_devices *devices, const char *value)
{
	bool file = strncmp(value, "file:", 5) == 0 || strncmp(value, "unix:", 5) == 0;

	if (file && value[5] == '\0') {
		return cli_error(CLI_USAGE, "--serial: '%s' lacks the file's name", value);
	}
	if (!file && !cli_is_choice(value, "stdio|none")) {
		return cli_error(CLI_USAGE,
				 "--serial: '%s' is not stdio, none, file:PATH or unix:PATH",
				 value);
	}
	if (devices->serials >= 4) {
		return cli_error(CLI_USAGE, "--serial: a machine has four serial ports at most");
	}
	set_numbered(list, "serial", devices->serials++, "backend", value);
	return CLI_OK;
}
