/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI as firmware leaves it, for machines that boot without: every BAR of bus 0 gets an address and
 * decoding is switched on. Large BARs are placed first, so that their natural alignment wastes
 * nothing (PCI Local Bus 3.0, 6.2.5.1).
 */

#include "machine/machine_impl.h"

#define PCI_BAR0 0x10
#define PCI_BAR_IS_IO 1
#define PCI_BAR_IS_64 4
#define MEMORY_BARS 6

/* struct window - addresses still to be given out. */
struct window {
	uint64_t next;
	uint64_t end;
};

static uint64_t take(struct window *window, uint64_t size)
{
	uint64_t base = ALIGN_UP(window->next, size);

	if (base + size > window->end) {
		return 0;
	}
	window->next = base + size;
	return base;
}

static void write_config(struct pci_bus *bus, unsigned int devfn, unsigned int offset,
			 uint32_t value, unsigned int size)
{
	pci_bus_config_write(bus, devfn, offset, value, size);
}

/* Size of the BAR at @offset by the all-ones probe, 0 for none. */
static uint64_t probe_bar(struct pci_bus *bus, unsigned int devfn, unsigned int offset,
			  bool *ret_io, bool *ret_64)
{
	uint32_t old = pci_bus_config_read(bus, devfn, offset, 4);
	uint32_t mask;

	write_config(bus, devfn, offset, UINT32_MAX, 4);
	mask = pci_bus_config_read(bus, devfn, offset, 4);
	write_config(bus, devfn, offset, old, 4);
	*ret_io = mask & PCI_BAR_IS_IO;
	*ret_64 = !*ret_io && mask & PCI_BAR_IS_64;
	if (*ret_io) {
		return mask & 0xfffc ? (~(mask & 0xfffc) & 0xffff) + 1 : 0;
	}
	return mask & ~0xfU ? (uint64_t)(~(mask & ~0xfU)) + 1 : 0;
}

/* Place the BARs of one device whose size is within (@below, @upto]. */
static void place_bars(struct pci_bus *bus, unsigned int devfn, struct window *io,
		       struct window *memory, uint64_t below, uint64_t upto)
{
	bool is_io, is_64;

	for (unsigned int i = 0; i < MEMORY_BARS; i++) {
		unsigned int offset = PCI_BAR0 + 4 * i;
		uint64_t size = probe_bar(bus, devfn, offset, &is_io, &is_64);
		uint64_t base;

		if (size > below && size <= upto) {
			base = take(is_io ? io : memory, size);
			write_config(bus, devfn, offset, (uint32_t)base, 4);
		}
		if (is_64) {
			i++;
		}
	}
}

void pci_assign_resources(struct pci_bus *bus)
{
	static const uint64_t classes[] = { 0, KIB(64), MIB(1), BIT(32) };
	struct window io = { MAP_PCI_IO_BASE, 0x10000 };
	struct window memory = { MAP_PCI_BASE, MAP_PCI_END };

	for (size_t c = ARRAY_SIZE(classes) - 1; c > 0; c--) {
		for (unsigned int devfn = 0; devfn < 8 * PCI_BUS_SLOTS; devfn++) {
			if (pci_bus_find(bus, devfn)) {
				place_bars(bus, devfn, &io, &memory, classes[c - 1], classes[c]);
			}
		}
	}
	for (unsigned int devfn = 0; devfn < 8 * PCI_BUS_SLOTS; devfn++) {
		if (pci_bus_find(bus, devfn)) {
			uint32_t command = pci_bus_config_read(bus, devfn, PCI_CONFIG_COMMAND, 2);

			write_config(bus, devfn, PCI_CONFIG_COMMAND,
				     command | PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
		}
	}
}
