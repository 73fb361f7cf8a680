/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The declarations of the machine's configuration keys. The choices list what this monitor can do,
 * so that a value for something that is not there is refused with the list of what is.
 */

#include "machine/machine_config.h"

#include "bus/device.h"

static const struct config_key root_keys[] = {
	{ .name = "name", .type = CONFIG_STRING, .help = "the machine's name" },
	{ .name = "engine",
	  .type = CONFIG_ENUM,
	  .def = "auto",
	  .choices = "auto|kvm|driver|soft",
	  .help = "what runs the guest's code" },
	{ .name = "cpus",
	  .type = CONFIG_INT,
	  .def = "1",
	  .min = 1,
	  .max = MACHINE_MAX_CPUS,
	  .help = "number of virtual CPUs" },
	{ .name = "memory",
	  .type = CONFIG_SIZE,
	  .def = "512M",
	  .min = (int64_t)MIB(1),
	  .max = (int64_t)MACHINE_MAX_MEMORY,
	  .unit = MIB(1),
	  .help = "guest memory; a bare number counts MiB" },
	{ .name = "firmware",
	  .type = CONFIG_PATH,
	  .def = "bios",
	  .choices = "bios|uefi",
	  .help = "bios, uefi or the file of a raw ROM that ends at 4 GiB" },
	{ .name = "display",
	  .type = CONFIG_ENUM,
	  .def = "auto",
	  .choices = "auto|none",
	  .help = "where the guest's screen is shown" },
	{ .name = "log",
	  .type = CONFIG_STRING,
	  .help = "log levels, such as debug or block=trace,net=info" },
	{ .name = NULL },
};

static const struct config_key boot_keys[] = {
	{ .name = "kernel",
	  .type = CONFIG_PATH,
	  .help = "bzImage, ELF with a PVH note or Multiboot 1 ELF to start directly" },
	{ .name = "initrd",
	  .type = CONFIG_PATH,
	  .help = "initial RAM disk; for a Multiboot kernel its first module" },
	{ .name = "append", .type = CONFIG_STRING, .help = "the kernel's command line" },
	{ .name = "order",
	  .type = CONFIG_ENUM,
	  .choices = "disk|cdrom|floppy|network",
	  .help = "what the firmware starts first" },
	{ .name = "menu",
	  .type = CONFIG_BOOL,
	  .def = "off",
	  .help = "the firmware offers its boot menu" },
	{ .name = "decompress",
	  .type = CONFIG_ENUM,
	  .def = "host",
	  .choices = "host|guest",
	  .help = "who unpacks a bzImage; host is faster, guest leaves it to the kernel's own "
		  "code" },
	{ .name = NULL },
};

static const struct config_key module_keys[] = {
	{ .name = "file", .type = CONFIG_PATH, .help = "a further module of a Multiboot kernel" },
	{ .name = "args", .type = CONFIG_STRING, .help = "its command line" },
	{ .name = NULL },
};

static const struct config_key disk_keys[] = {
	{ .name = "file", .type = CONFIG_PATH, .help = "the disk's image, or a block device" },
	{ .name = "format",
	  .type = CONFIG_STRING,
	  .help = "the image's format; not set: probed by signature, else raw" },
	{ .name = "bus",
	  .type = CONFIG_ENUM,
	  .def = "virtio",
	  .choices = "virtio|ide",
	  .help = "how the guest sees the disk" },
	{ .name = "readonly",
	  .type = CONFIG_BOOL,
	  .def = "off",
	  .help = "the guest cannot write the disk" },
	{ .name = "snapshot",
	  .type = CONFIG_BOOL,
	  .def = "off",
	  .help = "writes go to a temporary file and are lost at the end" },
	{ .name = NULL },
};

static const struct config_key cdrom_keys[] = {
	{ .name = "file",
	  .type = CONFIG_PATH,
	  .help = "the disc's image; not set: an empty drive" },
	{ .name = NULL },
};

static const struct config_key floppy_keys[] = {
	{ .name = "file",
	  .type = CONFIG_PATH,
	  .help = "the diskette's image; not set: an empty drive" },
	{ .name = "readonly", .type = CONFIG_BOOL, .def = "off", .help = "write-protected" },
	{ .name = NULL },
};

static const struct config_key net_keys[] = {
	{ .name = "backend",
	  .type = CONFIG_ENUM,
	  .def = "user",
	  .choices = "user|tap|none",
	  .help = "NAT by the monitor itself, a TAP interface, or no adapter" },
	{ .name = "tap", .type = CONFIG_STRING, .help = "name of the TAP interface" },
	{ .name = "model",
	  .type = CONFIG_ENUM,
	  .def = "virtio",
	  .choices = "virtio|e1000",
	  .help = "the adapter that the guest sees" },
	{ .name = "mac",
	  .type = CONFIG_MAC,
	  .help = "its address; not set: made from the machine's name and the number" },
	{ .name = NULL },
};

static const struct config_key forward_keys[] = {
	{ .name = "*",
	  .type = CONFIG_STRING,
	  .help = "a forwarded port, tcp|udp:HOSTADDR:PORT-GUESTPORT" },
	{ .name = NULL },
};

static const struct config_key serial_keys[] = {
	{ .name = "backend",
	  .type = CONFIG_STRING,
	  .def = "none",
	  .help = "stdio, none, file:PATH or unix:PATH" },
	{ .name = NULL },
};

static const struct config_key cpu_keys[] = {
	{ .name = "model",
	  .type = CONFIG_STRING,
	  .def = "host",
	  .help = "processor that the guest sees: host, or an older one" },
	{ .name = "features",
	  .type = CONFIG_STRING,
	  .help = "features to add or remove, such as +aes,-avx2" },
	{ .name = "hypervisor",
	  .type = CONFIG_BOOL,
	  .def = "on",
	  .help = "tell the guest that it runs in a virtual machine" },
	{ .name = NULL },
};

static const struct config_key console_keys[] = {
	{ .name = "backend",
	  .type = CONFIG_STRING,
	  .def = "none",
	  .help = "a virtio console: stdio, none, file:PATH or unix:PATH" },
	{ .name = NULL },
};

static const struct config_key pc_keys[] = {
	{ .name = "hpet", .type = CONFIG_BOOL, .def = "on", .help = "high-precision event timer" },
	{ .name = "i8042", .type = CONFIG_BOOL, .def = "on", .help = "PS/2 keyboard and mouse" },
	{ .name = "rng",
	  .type = CONFIG_BOOL,
	  .def = "on",
	  .help = "virtio source of random numbers" },
	{ .name = "vga", .type = CONFIG_BOOL, .def = "on", .help = "VGA display adapter" },
	{ .name = NULL },
};

static const struct config_key state_keys[] = {
	{ .name = "save",
	  .type = CONFIG_PATH,
	  .help = "where limen-save-state puts the state if it is not told" },
	{ .name = NULL },
};

static const struct {
	const char *pattern;
	const struct config_key *keys;
} declarations[] = {
	{ "", root_keys },
	{ "boot", boot_keys },
	{ "boot.module.*", module_keys },
	{ "disk.*", disk_keys },
	{ "cdrom.*", cdrom_keys },
	{ "floppy.*", floppy_keys },
	{ "net.*", net_keys },
	{ "net.*.forward", forward_keys },
	{ "serial.*", serial_keys },
	{ "console.*", console_keys },
	{ "cpu", cpu_keys },
	{ "pc", pc_keys },
	{ "state", state_keys },
};

/* Where in the tree the instances of a kind of device have their keys, if not at its own name. */
static const struct {
	const char *device;
	const char *pattern;
} instances[] = {
	{ "uart", "serial.*" },	 { "virtio-blk", "disk.*" }, { "virtio-net", "net.*" },
	{ "e1000", "net.*" },	 { "floppy", "fdc" },	     { "virtio-console", "console.*" },
	{ "virtio-rng", "rng" },
};

struct declare_context {
	struct config_tree *tree;
	struct error *err;
	int result;
};

static void declare_device(void *opaque, const struct device_ops *ops)
{
	struct declare_context *context = opaque;
	const char *pattern = ops->name;

	if (!ops->keys || context->result < 0) {
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(instances); i++) {
		if (!strcmp(instances[i].device, ops->name)) {
			pattern = instances[i].pattern;
		}
	}
	context->result = config_declare(context->tree, pattern, ops->keys, context->err);
}

int machine_config_declare(struct config_tree *tree, struct error *err)
{
	struct declare_context context = { .tree = tree, .err = err };

	for (size_t i = 0; i < ARRAY_SIZE(declarations); i++) {
		int r = config_declare(tree, declarations[i].pattern, declarations[i].keys, err);

		if (r < 0) {
			return r;
		}
	}
	device_ops_for_each(declare_device, &context);
	return context.result;
}

static void print_key(void *opaque, const char *pattern, const struct config_key *key)
{
	const char *def = key->def != NULL ? key->def : "";
	FILE *out = opaque;
	char name[128];

	snprintf(name, sizeof(name), "%s%s%s", pattern, *pattern != '\0' ? "." : "", key->name);
	fprintf(out, "  %-24s %-10s %s", name, def, key->help != NULL ? key->help : "");
	if (key->choices != NULL) {
		fprintf(out, " (%s)", key->choices);
	}
	fputc('\n', out);
}

void machine_config_print_help(struct config_tree *tree, FILE *out)
{
	fprintf(out, "  %-24s %-10s %s\n", "KEY", "DEFAULT", "MEANING");
	config_for_each_key(tree, print_key, out);
}
