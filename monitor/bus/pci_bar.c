/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Base address registers: PCI Local Bus 3.0, section 6.2.5, and the expansion ROM, 6.2.5.2. Their
 * sizes are told by which bits can be written, so sizing needs no code; what is here maps and
 * unmaps as the addresses and the command register say.
 *
 * A BAR is not decoded at address 0, nor a 32-bit one where it ends at 4 GiB: those are what
 * software leaves there between sizing a BAR and placing it, and the firmware lies there. Memory
 * that the guest accesses directly is not decoded over RAM or ROM either, which would take that
 * away for good.
 */

#include "bus/pci_impl.h"

#define BAR_IO 0x1
#define BAR_MEM64 0x4
#define BAR_PREFETCH 0x8
#define ROM_ENABLE 0x1

static unsigned int bar_offset(unsigned int n)
{
	return n == PCI_ROM_BAR ? PCI_CONFIG_ROM : PCI_CONFIG_BAR0 + 4 * n;
}

static bool is_wide(enum pci_bar_kind kind)
{
	return kind == PCI_BAR_MEM64 || kind == PCI_BAR_PREFETCH64;
}

static uint8_t kind_bits(enum pci_bar_kind kind)
{
	switch (kind) {
	case PCI_BAR_IO: return BAR_IO;
	case PCI_BAR_MEM64: return BAR_MEM64;
	case PCI_BAR_PREFETCH32: return BAR_PREFETCH;
	case PCI_BAR_PREFETCH64: return BAR_MEM64 | BAR_PREFETCH;
	default: return 0;
	}
}

static int declare_bar(struct pci_device *pci, unsigned int n, enum pci_bar_kind kind,
		       uint64_t size, uint64_t min_size)
{
	uint64_t mask = ~(size - 1);

	if (n >= PCI_BARS || pci->bars[n].kind != PCI_BAR_NONE || size < min_size ||
	    (size & (size - 1)) || (!is_wide(kind) && size > GIB(2)) ||
	    (is_wide(kind) && (n >= 5 || pci->bars[n + 1].kind != PCI_BAR_NONE)) ||
	    (n > 0 && n < PCI_ROM_BAR && is_wide(pci->bars[n - 1].kind))) {
		return -EINVAL;
	}
	pci->bars[n] = (struct pci_bar){ .kind = kind, .size = size, .mapped_at = UINT64_MAX };
	pci->config[bar_offset(n)] |= kind_bits(kind);
	store_le32(pci->writable + bar_offset(n), mask);
	if (is_wide(kind)) {
		store_le32(pci->writable + bar_offset(n + 1), mask >> 32);
	}
	return 0;
}

int pci_bar_set_io(struct pci_device *pci, unsigned int n, enum pci_bar_kind kind,
		   struct io_region *region)
{
	int ret = n == PCI_ROM_BAR ? -EINVAL : declare_bar(pci, n, kind, region->size,
							   kind == PCI_BAR_IO ? 4 : 16);

	if (ret == 0) {
		pci->bars[n].region = region;
	}
	return ret;
}

int pci_bar_set_memory(struct pci_device *pci, unsigned int n, enum pci_bar_kind kind,
		       struct mem_region *memory)
{
	int ret = n == PCI_ROM_BAR || kind == PCI_BAR_IO ?
			  -EINVAL :
			  declare_bar(pci, n, kind, memory->size, GUEST_PAGE_SIZE);

	if (ret == 0) {
		pci->bars[n].memory = memory;
	}
	return ret;
}

int pci_rom_set(struct pci_device *pci, struct mem_region *memory)
{
	int ret = declare_bar(pci, PCI_ROM_BAR, PCI_BAR_MEM32, memory->size, GUEST_PAGE_SIZE);

	if (ret == 0) {
		pci->bars[PCI_ROM_BAR].memory = memory;
		pci->writable[PCI_CONFIG_ROM] |= ROM_ENABLE;
	}
	return ret;
}

void pci_bar_set_listener(struct pci_device *pci,
			  void (*moved)(struct pci_device *pci, unsigned int bar))
{
	pci->bar_moved = moved;
}

/** wanted_address() - where BAR @n is to be decoded now, or UINT64_MAX. */
static uint64_t wanted_address(const struct pci_device *pci, unsigned int n)
{
	const struct pci_bar *bar = &pci->bars[n];
	uint16_t command = load_le16(pci->config + PCI_CONFIG_COMMAND);
	uint32_t low = load_le32(pci->config + bar_offset(n));
	uint64_t address = low & ~(uint32_t)(bar->size - 1);

	if (!(command & (bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) ||
	    (n == PCI_ROM_BAR && !(low & ROM_ENABLE))) {
		return UINT64_MAX;
	}
	if (is_wide(bar->kind)) {
		address |= (uint64_t)load_le32(pci->config + bar_offset(n + 1)) << 32;
	} else if (address + bar->size == GIB(4)) {
		return UINT64_MAX;
	}
	return address == 0 ? UINT64_MAX : address;
}

/** is_free() - whether no RAM or ROM is mapped anywhere in the range. */
static bool is_free(struct guest_memory *memory, uint64_t address, uint64_t size)
{
	struct mem_slot slot;

	for (uint64_t at = 0; at < size; at += GUEST_PAGE_SIZE) {
		if (guest_memory_find(memory, address + at, &slot)) {
			return false;
		}
	}
	return true;
}

static int map_bar(struct pci_device *pci, unsigned int n, uint64_t address)
{
	const struct pci_bus_env *env = &pci->bus->env;
	struct pci_bar *bar = &pci->bars[n];

	if (bar->region) {
		return io_region_map(bar->region,
				     bar->kind == PCI_BAR_IO ? env->ports : env->mmio, address);
	}
	if (address > UINT64_MAX - bar->size || !is_free(env->memory, address, bar->size)) {
		return -EBUSY;
	}
	return guest_memory_map(env->memory, address, bar->memory, 0, bar->size,
				n == PCI_ROM_BAR);
}

static void unmap_bar(struct pci_device *pci, unsigned int n)
{
	struct pci_bar *bar = &pci->bars[n];

	if (bar->region) {
		io_region_unmap(bar->region);
	} else {
		guest_memory_unmap(pci->bus->env.memory, bar->mapped_at, bar->size);
	}
}

void pci_update_bars(struct pci_device *pci)
{
	for (unsigned int n = 0; n < PCI_BARS; n++) {
		struct pci_bar *bar = &pci->bars[n];
		uint64_t address;

		if (bar->kind == PCI_BAR_NONE) {
			continue;
		}
		address = wanted_address(pci, n);
		if (address == bar->mapped_at) {
			continue;
		}
		if (bar->mapped_at != UINT64_MAX) {
			unmap_bar(pci, n);
			bar->mapped_at = UINT64_MAX;
		}
		if (address != UINT64_MAX && map_bar(pci, n, address) == 0) {
			bar->mapped_at = address;
		}
		if (pci->bar_moved) {
			pci->bar_moved(pci, n);
		}
	}
}
