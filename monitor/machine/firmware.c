/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the first CPU runs after a reset. With firmware: a ROM image that ends at 4 GiB, SeaBIOS by
 * default, which finds the machine's description in fw_cfg. With a kernel named: no firmware at
 * all; the chipset, PCI and ACPI tables are set up here as firmware would leave them, and the
 * CPU enters the kernel by its boot protocol.
 */

#include "machine/machine_impl.h"

#include <stdio.h>
#include <unistd.h>

#define FIRMWARE_MAX MIB(16)
#define SMBIOS_BASE UINT64_C(0xf0000)
#define SMBIOS_SIZE 0x10000

static const char *const bios_files[] = {
	"/usr/share/seabios/bios-256k.bin",
	"/usr/share/qemu/bios-256k.bin",
	"/usr/share/seabios/bios.bin",
};

static int find_bios(const char **ret_file, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(bios_files); i++) {
		if (access(bios_files[i], R_OK) == 0) {
			*ret_file = bios_files[i];
			return 0;
		}
	}
	return error_set(err, ENOENT,
			 "SeaBIOS is not installed (looked for %s); install the package seabios",
			 bios_files[0]);
}

/* Load the ROM and show it below 4 GiB; its end also appears below 1 MiB through the host
 * bridge. */
static int load_rom(struct machine *machine, const char *name, struct error *err)
{
	struct boot_file file;
	uint64_t size;
	int ret;

	ret = boot_file_read(name, FIRMWARE_MAX, &file, err);
	if (ret < 0) {
		error_prefix(err, "firmware");
		return ret;
	}
	size = ALIGN_UP((uint64_t)file.size, GUEST_PAGE_SIZE);
	ret = guest_memory_add_region(machine->memory, "bios", size, MEM_REGION_ROM, &machine->bios,
				      err);
	if (ret == 0) {
		memcpy(machine->bios->host + (size - file.size), file.data, file.size);
		ret = guest_memory_map(machine->memory, GIB(4) - size, machine->bios, 0, size,
				       true);
		if (ret < 0) {
			error_set(err, -ret, "firmware '%s' cannot be mapped: %s", name,
				  strerror(-ret));
		}
	}
	boot_file_free(&file);
	return ret;
}

/* RAM ranges for firmware, which finds its own place for the legacy hole. */
static int add_e820(struct machine *machine)
{
	struct e820_entry entries[MEMORY_MAP_MAX_ENTRIES];
	unsigned int n = memory_map_e820(&machine->map, false, entries);

	return fw_cfg_add_file(machine->fw_cfg, "etc/e820", entries, n * sizeof(entries[0]));
}

static const char *boot_prefix(const char *order)
{
	if (!strcmp(order, "cdrom") || !strcmp(order, "disk")) {
		return order;
	}
	return !strcmp(order, "floppy") ? "/fdc@" : "/ethernet@";
}

/* Whether the boot-order @line names a device of the kind that --boot asks for. */
static bool line_matches(const struct machine *machine, const char *line, const char *order)
{
	const char *ide = strstr(line, "/ide@");
	const char *kind = boot_prefix(order);
	unsigned int slot, channel, unit;

	if (kind[0] == '/') {
		return strstr(line, kind) != NULL;
	}
	if (!ide) {
		return !strcmp(kind, "disk") && strstr(line, "/scsi@");
	}
	if (sscanf(ide, "/ide@%x/drive@%u/disk@%u", &slot, &channel, &unit) != 3) {
		return false;
	}
	for (struct list *node = machine->devices.next; node != &machine->devices;
	     node = node->next) {
		const struct device *dev = container_of(node, struct device, node);

		if (!strcmp(dev->ops->name, "ide")) {
			bool cdrom = dev->env.cdroms >> (2 * channel + unit) & 1;

			return cdrom == !strcmp(kind, "cdrom");
		}
	}
	return false;
}

/* Copy the lines that match @order (or do not) to @out. */
static void copy_lines(struct machine *machine, const char *order, bool matching, char *out)
{
	for (const char *p = machine->boot_order; *p;) {
		size_t n = strcspn(p, "\n") + 1;
		char line[128] = "";

		memcpy(line, p, MIN(n, sizeof(line) - 1));
		if (line_matches(machine, line, order) == matching) {
			strncat(out, line, MACHINE_BOOT_ORDER_MAX - 1 - strlen(out));
		}
		p += n;
	}
}

static int add_boot_order(struct machine *machine)
{
	struct config_view boot = config_view_at(machine->config, "boot");
	const char *order = config_get_string(&boot, "order");
	char sorted[MACHINE_BOOT_ORDER_MAX] = "";

	if (!machine->boot_order[0]) {
		return 0;
	}
	order = order ? order : "disk";
	copy_lines(machine, order, true, sorted);
	copy_lines(machine, order, false, sorted);
	return fw_cfg_add_file(machine->fw_cfg, "bootorder", sorted, strlen(sorted) + 1);
}

static int fill_fw_cfg(struct machine *machine, struct error *err)
{
	struct config_view boot = config_view_at(machine->config, "boot");
	uint16_t cpus = (uint16_t)machine->engine->vcpu_count;
	struct device *fw_cfg = machine->fw_cfg;
	int ret;

	ret = fw_cfg_add_u16(fw_cfg, FW_CFG_NB_CPUS, cpus);
	if (ret == 0) {
		ret = fw_cfg_add_u16(fw_cfg, FW_CFG_MAX_CPUS, cpus);
	}
	if (ret == 0) {
		ret = fw_cfg_add_u16(fw_cfg, FW_CFG_BOOT_MENU, config_get_bool(&boot, "menu"));
	}
	if (ret == 0) {
		ret = fw_cfg_add_item(fw_cfg, FW_CFG_IRQ0_OVERRIDE, "\1\0\0", 4);
	}
	if (ret == 0) {
		ret = add_e820(machine);
	}
	if (ret == 0) {
		ret = add_boot_order(machine);
	}
	if (ret < 0) {
		return error_set(err, -ret, "cannot describe the machine to its firmware: %s",
				 strerror(-ret));
	}
	ret = acpi_publish(machine->acpi, fw_cfg, err);
	return ret < 0 ? ret : smbios_publish(machine, err);
}

int firmware_create(struct machine *machine, struct error *err)
{
	struct config_view root = config_view_at(machine->config, "");
	struct config_view boot = config_view_at(machine->config, "boot");
	const char *firmware = config_get_string(&root, "firmware");
	const struct acpi_config acpi = { machine->engine->vcpu_count, machine->acpi_present,
					  &machine->map };
	int ret;

	ret = acpi_build(&acpi, &machine->acpi, err);
	if (ret < 0) {
		return ret;
	}
	machine->direct_boot = config_is_set(&boot, "kernel");
	if (!machine->direct_boot) {
		if (!strcmp(firmware, "uefi")) {
			return error_set(err, ENOTSUP,
					 "UEFI firmware is not built yet; use --firmware bios");
		}
		ret = !strcmp(firmware, "bios") ? find_bios(&firmware, err) : 0;
		if (ret == 0) {
			ret = load_rom(machine, firmware, err);
		}
		if (ret == 0) {
			ret = fill_fw_cfg(machine, err);
		}
	}
	if (ret == 0) {
		q35_host_set_memory(machine->host, machine->ram, machine->bios);
	}
	return ret;
}

static void read_boot_request(struct machine *machine, struct boot_request *request)
{
	unsigned int modules = config_index_count(machine->config, "boot.module");
	struct config_view boot = config_view_at(machine->config, "boot");

	*request = (struct boot_request){
		.kernel = config_get_string(&boot, "kernel"),
		.initrd = config_get_string(&boot, "initrd"),
		.append = config_get_string(&boot, "append"),
		.guest_decompress = !strcmp(config_get_string(&boot, "decompress"), "guest"),
		.memory = machine->memory,
		.map = &machine->map,
	};
	for (unsigned int i = 0; i < MIN(modules, (unsigned int)BOOT_MODULES_MAX); i++) {
		struct config_view module;
		char path[32];

		snprintf(path, sizeof(path), "boot.module.%u", i);
		module = config_view_at(machine->config, path);
		if (config_is_set(&module, "file")) {
			request->modules[request->module_count++] =
				(struct boot_module){ config_get_string(&module, "file"),
						      config_get_string(&module, "args") };
		}
	}
}

int firmware_enter(struct machine *machine, struct error *err)
{
	struct boot_request request;
	struct boot_entry entry;
	int ret;

	if (!machine->direct_boot) {
		return 0;
	}
	q35_host_firmware_setup(machine->host);
	ich9_lpc_firmware_setup(machine->lpc);
	pci_assign_resources(machine->pci);
	read_boot_request(machine, &request);
	boot_video_start(machine, &request.video);
	ret = acpi_place(machine->acpi, machine->memory, BOOT_ACPI_BASE, BOOT_ACPI_SIZE,
			 &request.rsdp, err);
	if (ret == 0) {
		ret = smbios_place(machine, SMBIOS_BASE, SMBIOS_SIZE, err);
	}
	if (ret == 0) {
		ret = boot_load(&request, &entry, err);
	}
	if (ret < 0) {
		return ret;
	}
	ret = boot_enter(&entry, machine->memory, &machine->engine->vcpus[0]->state);
	if (ret < 0) {
		return error_set(err, -ret, "the machine has too little memory to boot a kernel");
	}
	return vcpus_load(machine->engine, err);
}
