/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MACHINE_ACPI_ACPI_H
#define LIMEN_MACHINE_ACPI_ACPI_H

/*
 * The machine's ACPI tables: built once, then either handed to firmware through fw_cfg's table
 * loader or put straight into the memory of a machine that boots without firmware.
 */

#include "base/error.h"
#include "bus/device.h"
#include "machine/memory_map.h"
#include "memory/guest_memory.h"

/* Devices whose presence the DSDT asks for; bits of the integer LCFG in dsdt.asl. */
enum acpi_present {
	ACPI_HAS_COM1 = 1 << 0,
	ACPI_HAS_COM2 = 1 << 1,
	ACPI_HAS_COM3 = 1 << 2,
	ACPI_HAS_COM4 = 1 << 3,
	ACPI_HAS_PS2 = 1 << 4,
	ACPI_HAS_FLOPPY = 1 << 5,
	ACPI_HAS_HPET = 1 << 6,
};

/** struct acpi_config - what the tables describe; @present: set of enum acpi_present. */
struct acpi_config {
	unsigned int cpus;
	unsigned int present;
	const struct memory_map *map;
};

struct acpi_tables;

int acpi_build(const struct acpi_config *config, struct acpi_tables **ret_tables,
	       struct error *err);
void acpi_free(struct acpi_tables *tables);

/** acpi_publish() - add the files etc/acpi/tables, etc/acpi/rsdp and etc/table-loader. */
int acpi_publish(const struct acpi_tables *tables, struct device *fw_cfg, struct error *err);

/** acpi_place() - put the tables at @base (below 4 GiB, @size bytes of room), as firmware would.
 *  *@ret_rsdp: address of the root pointer, 16-aligned. */
int acpi_place(const struct acpi_tables *tables, struct guest_memory *memory, uint64_t base,
	       size_t size, uint64_t *ret_rsdp, struct error *err);

#endif
