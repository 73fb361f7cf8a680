/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest-physical memory map: how much RAM lies below the 32-bit hole, and the list of ranges
 * (e820) that firmware and directly booted kernels get.
 *
 * Q35 firmware puts the ECAM window at 0xb0000000, so RAM below 4 GiB ends there; a machine with
 * more gets 2 GiB below and the rest from 4 GiB up, which leaves a hole that large BARs fit in.
 */

#include "machine/memory_map.h"

int memory_map_place(struct memory_map *map, uint64_t ram, struct error *err)
{
	if (ram < MAP_RAM_MIN || ram > MAP_RAM_MAX) {
		return error_set(
			err, EINVAL,
			"memory of %llu MiB is not possible; choose between 1 MiB and 64 GiB",
			(unsigned long long)(ram >> 20));
	}
	ram = ALIGN_DOWN(ram, MIB(1));
	map->low = ram < MAP_ECAM_BASE ? ram : GIB(2);
	map->high = ram - map->low;
	return 0;
}

unsigned int memory_map_e820(const struct memory_map *map, bool legacy_hole,
			     struct e820_entry *ret_entries)
{
	unsigned int n = 0;

	if (legacy_hole) {
		ret_entries[n++] = (struct e820_entry){ 0, 0x9fc00, E820_RAM };
		ret_entries[n++] = (struct e820_entry){ 0x9fc00, 0x400, E820_RESERVED };
		ret_entries[n++] = (struct e820_entry){ 0xe0000, 0x20000, E820_RESERVED };
		if (map->low > MIB(1)) {
			ret_entries[n++] =
				(struct e820_entry){ MIB(1), map->low - MIB(1), E820_RAM };
		}
		ret_entries[n++] = (struct e820_entry){ MAP_ECAM_BASE, MIB(1) * MAP_ECAM_BUSES,
							E820_RESERVED };
	} else {
		ret_entries[n++] = (struct e820_entry){ 0, map->low, E820_RAM };
	}
	if (map->high) {
		ret_entries[n++] = (struct e820_entry){ GIB(4), map->high, E820_RAM };
	}
	return n;
}
