/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MACHINE_MEMORY_MAP_H
#define LIMEN_MACHINE_MEMORY_MAP_H

/*
 * Where things lie in guest-physical memory: RAM below and above the 32-bit hole, and the fixed
 * windows in the hole. The limits are those that SeaBIOS and OVMF assume of a Q35.
 */

#include "base/error.h"
#include "base/types.h"

#define MAP_ECAM_BASE UINT64_C(0xb0000000)
#define MAP_ECAM_BUSES 256
#define MAP_PCI_BASE UINT64_C(0xc0000000) /* 32-bit BARs: up to the IOAPIC */
#define MAP_PCI_END UINT64_C(0xfec00000)
#define MAP_IOAPIC_BASE UINT64_C(0xfec00000)
#define MAP_HPET_BASE UINT64_C(0xfed00000)
#define MAP_LAPIC_BASE UINT64_C(0xfee00000)
#define MAP_RAM_MAX GIB(64)
#define MAP_RAM_MIN MIB(1)

/* I/O ports that the chipset's firmware-programmed bases get. */
#define MAP_PM_BASE 0x600
#define MAP_PCI_IO_BASE 0xc000

/* BIOS e820 types, ACPI 6.5 table 15.4. */
enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3,
};

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

#define MEMORY_MAP_MAX_ENTRIES 8

/**
 * struct memory_map - RAM as placed
 * @low: bytes of RAM below 4 GiB, from 0; @high: bytes from 4 GiB
 */
struct memory_map {
	uint64_t low;
	uint64_t high;
};

/** memory_map_place() - lay out @ram bytes; -EINVAL with the limits when it is too much or too
 * little. */
int memory_map_place(struct memory_map *map, uint64_t ram, struct error *err);

/** memory_map_e820() - RAM ranges as firmware's tables list them; @legacy_hole: leave out
 * 640K-1M as a  directly booted kernel must see it. Return: number of entries (at most
 * MEMORY_MAP_MAX_ENTRIES). */
unsigned int memory_map_e820(const struct memory_map *map, bool legacy_hole,
			     struct e820_entry *ret_entries);

#endif
