/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_PCI_IMPL_H
#define LIMEN_BUS_PCI_IMPL_H

/*
 * What the files of the PCI core share.
 */

#include "bus/pci.h"

/**
 * struct pci_bus - bus 0
 * @devices: by slot and function; set on the main thread before any vCPU runs
 * @config_address: the register at port 0xcf8
 * @reset_ops, @reset_opaque: who answers at port 0xcf9
 * @wire_lock: guards @wires and orders route_irq calls; taken with device locks held
 * @wires: how many functions of a slot pull each pin
 */
struct pci_bus {
	struct pci_bus_env env;
	struct pci_device *_Atomic devices[PCI_BUS_SLOTS * 8];
	_Atomic uint32_t config_address;
	const struct io_ops *reset_ops;
	void *reset_opaque;
	struct io_region address_region;
	struct io_region data_region;
	struct io_region ecam_region;
	pthread_mutex_t wire_lock;
	uint8_t wires[PCI_BUS_SLOTS][4];
};

/* pci_bus.c */
int pci_bus_add(struct pci_bus *bus, struct pci_device *pci, struct error *err);
void pci_bus_remove(struct pci_bus *bus, struct pci_device *pci);

/** pci_bus_set_wire() - @pci starts or stops pulling its pin; its lock held. */
void pci_bus_set_wire(struct pci_bus *bus, struct pci_device *pci, bool level);

/** pci_bus_mark_functions() - say in the header of each function of @slot whether it has others. */
void pci_bus_mark_functions(struct pci_bus *bus, unsigned int slot);

/* pci_device.c; the device's lock held */
uint32_t pci_device_config_read(struct pci_device *pci, unsigned int offset, unsigned int size);
void pci_device_config_write(struct pci_device *pci, unsigned int offset, uint32_t value,
			     unsigned int size);

/** pci_update_intx() - drive the wire as irq_level and the enables say. */
void pci_update_intx(struct pci_device *pci);

/* pci_bar.c; the device's lock held */

/** pci_update_bars() - map and unmap as command register and base addresses say. */
void pci_update_bars(struct pci_device *pci);

/* pci_msi.c; the device's lock held */
bool pci_msi_enabled(const struct pci_device *pci);
void pci_msi_edge(struct pci_device *pci);

/** pci_msi_config_written() - deliver what became unmasked, tell the listener. */
void pci_msi_config_written(struct pci_device *pci, unsigned int offset, unsigned int size);
void pci_msi_reset(struct pci_device *pci);

/** pci_msi_owns() - whether the byte at @offset is a pending bit, which the core changes. */
bool pci_msi_owns(const struct pci_device *pci, unsigned int offset);
int pci_msi_post_load(struct pci_device *pci, struct error *err);

extern const struct state_table pci_msix_entry_state_table;

static inline bool pci_overlaps(unsigned int offset, unsigned int size, unsigned int first,
				unsigned int count)
{
	return offset < first + count && first < offset + size;
}

static inline const struct pci_device_ops *pci_ops(const struct pci_device *pci)
{
	return container_of(pci->dev.ops, struct pci_device_ops, base);
}

#endif
