/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the configuration adds to the board: disks, drives, network adapters, serial ports,
 * consoles, display and input. A legacy device that no key asks for is not there at all, so a
 * modern guest finds a clean machine.
 *
 * PCI devices take slots from 1 up in the order of this file, so that adding a disk does not move
 * the network adapter: VGA, network, then storage.
 */

#include "machine/machine_impl.h"

#include <stdio.h>

/* An I/O port and interrupt for each serial port, as PCs have had them since 1987. */
static const struct {
	uint16_t port;
	uint8_t irq;
} serial_ports[MACHINE_MAX_SERIALS] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

static int next_slot(struct machine *machine, struct error *err)
{
	int slot = pci_bus_free_slot(machine->pci, 1);

	return slot < 0 ? error_set(err, ENOSPC, "all PCI slots are taken; remove a device") : slot;
}

static int add_pci(struct machine *machine, const char *name, const char *path,
		   struct device_env *env, struct device **ret_device, struct error *err)
{
	int slot = next_slot(machine, err);

	if (slot < 0) {
		return slot;
	}
	env->devfn = PCI_DEVFN(slot, 0);
	return machine_add_device(machine, name, path, env, ret_device, err);
}

/* All images complete their requests on one I/O thread, which exists only when there is one. */
static int open_block(struct machine *machine, const struct block_options *options,
		      struct block_device **ret_block, struct error *err)
{
	int ret = 0;

	if (machine->block_count == MACHINE_MAX_BLOCKS) {
		return error_set(err, ENOSPC, "more than %d disks and drives", MACHINE_MAX_BLOCKS);
	}
	if (!machine->block_thread) {
		ret = io_thread_create("block", &machine->block_thread, err);
	}
	if (ret == 0) {
		ret = block_open(options, io_thread_loop(machine->block_thread), ret_block, err);
	}
	if (ret == 0) {
		machine->blocks[machine->block_count++] = *ret_block;
	}
	return ret;
}

/* struct drive_set - the drives of one controller, collected before it is made. */
struct drive_set {
	struct device_env env;
	unsigned int count;
};

static int add_ide_drive(struct drive_set *ide, struct block_device *block, bool cdrom,
			 struct error *err)
{
	if (ide->count == MACHINE_IDE_DRIVES) {
		return error_set(err, ENOSPC, "more than %d IDE drives; put disks on bus=virtio",
				 MACHINE_IDE_DRIVES);
	}
	ide->env.cdroms |= cdrom ? 1U << ide->count : 0;
	ide->env.drives[ide->count++] = block;
	return 0;
}

static int add_disk(struct machine *machine, unsigned int index, struct drive_set *ide,
		    struct error *err)
{
	struct device_env env = { 0 };
	struct block_options options;
	struct block_device *block;
	char path[24];
	int ret;

	snprintf(path, sizeof(path), "disk.%u", index);
	env.config = config_view_at(machine->config, path);
	options = (struct block_options){
		.file = config_get_string(&env.config, "file"),
		.format = config_get_string(&env.config, "format"),
		.readonly = config_get_bool(&env.config, "readonly"),
		.snapshot = config_get_bool(&env.config, "snapshot"),
	};
	if (!options.file) {
		return error_set(err, EINVAL, "%s has no file; set %s.file", path, path);
	}
	ret = open_block(machine, &options, &block, err);
	if (ret < 0) {
		return ret;
	}
	if (!strcmp(config_get_string(&env.config, "bus"), "ide")) {
		return add_ide_drive(ide, block, false, err);
	}
	env.block = block;
	env.io_loop = io_thread_loop(machine->block_thread);
	ret = add_pci(machine, "virtio-blk", path, &env, NULL, err);
	if (ret == 0) {
		board_boot_entry(machine, "/pci@i0cf8/scsi@%x/disk@0,0\n", env.devfn >> 3);
	}
	return ret;
}

static int open_removable(struct machine *machine, const char *path, bool readonly,
			  struct block_device **ret_block, struct error *err)
{
	struct config_view view = config_view_at(machine->config, path);
	struct block_options options = { .file = config_get_string(&view, "file"),
					 .format = "raw",
					 .readonly = readonly };

	return open_block(machine, &options, ret_block, err);
}

static int add_disks(struct machine *machine, struct error *err)
{
	unsigned int disks = config_index_count(machine->config, "disk");
	unsigned int cdroms = config_index_count(machine->config, "cdrom");
	struct drive_set ide = { 0 };
	struct block_device *block;
	char path[24];
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < disks; i++) {
		ret = add_disk(machine, i, &ide, err);
	}
	for (unsigned int i = 0; ret == 0 && i < cdroms; i++) {
		snprintf(path, sizeof(path), "cdrom.%u", i);
		ret = open_removable(machine, path, true, &block, err);
		if (ret == 0) {
			ret = add_ide_drive(&ide, block, true, err);
		}
	}
	if (ret < 0 || !ide.count) {
		return ret;
	}
	ret = add_pci(machine, "ide", "ide", &ide.env, NULL, err);
	for (unsigned int i = 0; ret == 0 && i < ide.count; i++) {
		board_boot_entry(machine, "/pci@i0cf8/ide@%x/drive@%u/disk@%u\n",
				 ide.env.devfn >> 3, i / 2, i % 2);
	}
	return ret;
}

static int add_floppies(struct machine *machine, struct error *err)
{
	unsigned int count = config_index_count(machine->config, "floppy");
	struct device_env env = { .peer = { machine->dma } };
	struct device *floppy;
	int ret = 0;

	if (!count) {
		return 0;
	}
	if (count > MACHINE_FLOPPY_DRIVES) {
		return error_set(err, ENOSPC, "more than %d floppy drives", MACHINE_FLOPPY_DRIVES);
	}
	for (unsigned int i = 0; ret == 0 && i < count; i++) {
		struct config_view view;
		char path[24];

		snprintf(path, sizeof(path), "floppy.%u", i);
		view = config_view_at(machine->config, path);
		ret = open_removable(machine, path, config_get_bool(&view, "readonly"),
				     &env.drives[i], err);
	}
	if (ret == 0) {
		ret = machine_add_device(machine, "floppy", "fdc", &env, &floppy, err);
	}
	if (ret == 0) {
		board_boot_entry(machine, "/pci@i0cf8/isa@1f/fdc@03f0/floppy@0\n");
		rtc_set_floppies(machine->rtc, floppy_drive_type(floppy, 0),
				 floppy_drive_type(floppy, 1));
		machine->acpi_present |= ACPI_HAS_FLOPPY;
	}
	return ret;
}

static int add_net(struct machine *machine, unsigned int index, struct error *err)
{
	struct device_env env = { 0 };
	const char *model;
	char path[24];
	int ret;

	snprintf(path, sizeof(path), "net.%u", index);
	env.config = config_view_at(machine->config, path);
	if (!strcmp(config_get_string(&env.config, "backend"), "none")) {
		return 0;
	}
	if (machine->net_count == MACHINE_MAX_NETS) {
		return error_set(err, ENOSPC, "more than %d network adapters", MACHINE_MAX_NETS);
	}
	ret = net_backend_create(&env.config, machine->loop, &env.net, err);
	if (ret < 0) {
		return ret;
	}
	machine->nets[machine->net_count++] = env.net;
	model = config_get_string(&env.config, "model");
	ret = add_pci(machine, !strcmp(model, "virtio") ? "virtio-net" : model, path, &env, NULL,
		      err);
	if (ret == 0) {
		board_boot_entry(machine, "/pci@i0cf8/ethernet@%x/ethernet-phy@0\n",
				 env.devfn >> 3);
	}
	return ret;
}

/* Ctrl-A X on the terminal. */
static void console_quit(void *opaque)
{
	machine_quit(opaque, 0);
}

static int open_char(struct machine *machine, const char *spec, struct char_backend **ret_chr,
		     struct error *err)
{
	int ret;

	if (machine->char_count == MACHINE_MAX_CHARS) {
		return error_set(err, ENOSPC, "more than %d serial ports and consoles",
				 MACHINE_MAX_CHARS);
	}
	ret = char_backend_create(spec, machine->loop, console_quit, machine, ret_chr, err);
	if (ret == 0) {
		machine->chars[machine->char_count++] = *ret_chr;
	}
	return ret;
}

static int add_serial(struct machine *machine, unsigned int index, struct error *err)
{
	struct device_env env = { 0 };
	char path[24], number[16];
	const char *spec;
	int ret;

	snprintf(path, sizeof(path), "serial.%u", index);
	env.config = config_view_at(machine->config, path);
	spec = config_get_string(&env.config, "backend");
	if (!strcmp(spec, "none")) {
		return 0;
	}
	if (index >= MACHINE_MAX_SERIALS) {
		return error_set(err, ENOSPC, "%s: a PC has %d serial ports", path,
				 MACHINE_MAX_SERIALS);
	}
	ret = open_char(machine, spec, &env.chr, err);
	if (ret < 0) {
		return ret;
	}
	if (!config_is_set(&env.config, "port")) {
		char key[40];

		snprintf(key, sizeof(key), "%s.port", path);
		snprintf(number, sizeof(number), "0x%x", serial_ports[index].port);
		ret = config_set(machine->config, key, number, err);
		snprintf(key, sizeof(key), "%s.irq", path);
		snprintf(number, sizeof(number), "%u", serial_ports[index].irq);
		if (ret == 0) {
			ret = config_set(machine->config, key, number, err);
		}
	}
	if (ret == 0) {
		ret = machine_add_device(machine, "uart", path, &env, NULL, err);
	}
	machine->acpi_present |= (unsigned int)ACPI_HAS_COM1 << index;
	return ret;
}

static int add_console(struct machine *machine, unsigned int index, struct error *err)
{
	struct device_env env = { 0 };
	const char *spec;
	char path[24];
	int ret;

	snprintf(path, sizeof(path), "console.%u", index);
	env.config = config_view_at(machine->config, path);
	spec = config_get_string(&env.config, "backend");
	if (!strcmp(spec, "none")) {
		return 0;
	}
	ret = open_char(machine, spec, &env.chr, err);
	return ret < 0 ? ret : add_pci(machine, "virtio-console", path, &env, NULL, err);
}

static int add_many(struct machine *machine, const char *prefix, unsigned int at_least,
		    int (*add)(struct machine *machine, unsigned int index, struct error *err),
		    struct error *err)
{
	unsigned int count = MAX(config_index_count(machine->config, prefix), at_least);
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < count; i++) {
		ret = add(machine, i, err);
	}
	return ret;
}

/* The ports that test programs report through; machine.options.test_device. */
static int add_test_devices(struct machine *machine, struct error *err)
{
	int ret = machine_add_device(machine, "debug-exit", "debug-exit", &(struct device_env){ 0 },
				     NULL, err);

	if (ret == 0) {
		ret = machine_add_device(machine, "pc-testdev", "pc-testdev",
					 &(struct device_env){ 0 }, NULL, err);
	}
	return ret;
}

int board_add_devices(struct machine *machine, struct error *err)
{
	struct config_view pc = config_view_at(machine->config, "pc");
	struct device_env vga = { .display = machine->display };
	struct device_env input = { .input = machine->input };
	int ret = 0;

	if (config_get_bool(&pc, "vga")) {
		ret = add_pci(machine, "vga", "vga", &vga, &machine->vga, err);
	}
	if (ret == 0 && config_get_bool(&pc, "i8042")) {
		ret = machine_add_device(machine, "i8042", "i8042", &input, NULL, err);
		machine->acpi_present |= ACPI_HAS_PS2;
	}
	if (ret == 0) {
		ret = add_many(machine, "net", 1, add_net, err);
	}
	if (ret == 0) {
		ret = add_disks(machine, err);
	}
	if (ret == 0) {
		ret = add_floppies(machine, err);
	}
	if (ret == 0) {
		ret = add_many(machine, "serial", 0, add_serial, err);
	}
	if (ret == 0) {
		ret = add_many(machine, "console", 0, add_console, err);
	}
	if (ret == 0 && config_get_bool(&pc, "rng")) {
		ret = add_pci(machine, "virtio-rng", "rng", &(struct device_env){ 0 }, NULL, err);
	}
	if (ret == 0 && machine->options.test_device) {
		ret = add_test_devices(machine, err);
	}
	return ret;
}
