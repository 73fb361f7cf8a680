/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_PCI_H
#define LIMEN_BUS_PCI_H

/*
 * PCI Express, bus 0: configuration space through ports 0xcf8/0xcfc and ECAM, BARs that move, INTx,
 * MSI and MSI-X. PCI Local Bus 3.0, PCI Express Base 5.0 (chapter 7), MSI-X in section 6.1 of the
 * former.
 *
 * A PCI device starts with a struct pci_device; it declares its identity in its pci_device_ops, its
 * BARs and capabilities in create, and is otherwise a plain device (bus/device.h). The core answers
 * configuration accesses, decodes and moves BARs, masks vectors, and saves and resets all of that.
 */

#include "bus/device.h"

#define PCI_BUS_SLOTS 32
#define PCI_DEVFN(slot, function) (((slot) << 3) | (function))
#define PCI_CONFIG_SIZE 4096
#define PCI_MSIX_MAX 64
#define PCI_ROM_BAR 6 /* index of the expansion ROM among a device's BARs */
#define PCI_BARS 7

/* Configuration space, PCI Local Bus 3.0 section 6.1 (type 0 header). */
#define PCI_CONFIG_VENDOR 0x00
#define PCI_CONFIG_DEVICE 0x02
#define PCI_CONFIG_COMMAND 0x04
#define PCI_CONFIG_STATUS 0x06
#define PCI_CONFIG_REVISION 0x08
#define PCI_CONFIG_CLASS 0x09
#define PCI_CONFIG_HEADER_TYPE 0x0e
#define PCI_CONFIG_BAR0 0x10
#define PCI_CONFIG_SUBSYSTEM_VENDOR 0x2c
#define PCI_CONFIG_SUBSYSTEM 0x2e
#define PCI_CONFIG_ROM 0x30
#define PCI_CONFIG_CAPABILITIES 0x34
#define PCI_CONFIG_INTERRUPT_LINE 0x3c
#define PCI_CONFIG_INTERRUPT_PIN 0x3d

#define PCI_COMMAND_IO 0x0001
#define PCI_COMMAND_MEMORY 0x0002
#define PCI_COMMAND_MASTER 0x0004
#define PCI_COMMAND_INTX_DISABLE 0x0400

/* Capability IDs. */
#define PCI_CAPABILITY_PM 0x01
#define PCI_CAPABILITY_MSI 0x05
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_EXPRESS 0x10
#define PCI_CAPABILITY_MSIX 0x11

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_IO,	   /* ports */
	PCI_BAR_MEM32,
	PCI_BAR_MEM64,	   /* takes the next BAR too */
	PCI_BAR_PREFETCH32,
	PCI_BAR_PREFETCH64,
};

struct pci_device;

/**
 * struct pci_device_ops - a PCI kind of device; its base.state covers what is the device's own
 * @class_code: 24 bits: class, subclass, programming interface
 * @interrupt_pin: 0 none, 1-4 INTA-INTD
 * @express: give it a PCI Express capability (root-complex integrated endpoint)
 * @config_reading: before the guest reads [@offset, @offset + @size) of configuration space: bring
 *                  @config up to date; optional; lock held
 * @config_written: after the guest changed [@offset, @offset + @size) of configuration space;
 *                  optional; lock held
 */
struct pci_device_ops {
	struct device_ops base;
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_id;
	uint32_t class_code;
	uint8_t revision;
	uint8_t interrupt_pin;
	bool express;
	void (*config_reading)(struct pci_device *pci, unsigned int offset, unsigned int size);
	void (*config_written)(struct pci_device *pci, unsigned int offset, unsigned int size);
};

/** struct pci_bar - one base address register; I/O (@region) or memory backed (@memory). */
struct pci_bar {
	enum pci_bar_kind kind;
	uint64_t size; /* power of two */
	struct io_region *region;
	struct mem_region *memory;
	uint64_t mapped_at; /* UINT64_MAX while not decoded */
};

/** struct pci_msix_entry - as the guest sees it in the table. */
struct pci_msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

/**
 * struct pci_device - base of every PCI device, first member of its struct
 * @config: configuration space as the guest reads it
 * @writable: which bits of it the guest can change; cleared before the device's own reset
 * @write1clear: which bits it clears by writing ones; cleared before the device's own reset
 */
struct pci_device {
	struct device dev;
	struct pci_bus *bus;
	uint8_t devfn;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	uint8_t write1clear[PCI_CONFIG_SIZE];
	struct pci_bar bars[PCI_BARS];
	bool irq_level; /* what the device drives */
	bool intx_level; /* what reaches the wire */
	uint16_t last_capability;
	uint16_t next_capability; /* where the next one goes */
	uint64_t capability_bytes[4]; /* which bytes belong to one */
	uint16_t msi_offset;
	uint16_t msix_offset;
	unsigned int msix_vectors;
	struct pci_msix_entry msix[PCI_MSIX_MAX];
	uint64_t msix_pending;
	struct io_region msix_region;
	/* See pci_msix_set_listener() and pci_bar_set_listener(). */
	void (*msix_vector_changed)(struct pci_device *pci, unsigned int vector);
	void (*bar_moved)(struct pci_device *pci, unsigned int bar);
};

static inline struct pci_device *pci_device_from_device(struct device *dev)
{
	return container_of(dev, struct pci_device, dev);
}

/* ------- the bus; built by the host bridge's owner (machine) ------- */

/**
 * struct pci_bus_env - what the root complex needs
 * @route_irq: INTx of (@slot, @pin 0-3) is now @level, after the OR of all devices that share the
 *             wire was taken by the bus; the chipset maps it to a PIRQ
 * @msi: where messages go
 */
struct pci_bus_env {
	struct io_space *ports;
	struct io_space *mmio;
	struct guest_memory *memory;
	struct msi_sink *msi;
	void (*route_irq)(void *opaque, unsigned int slot, unsigned int pin, bool level);
	void *opaque;
};

int pci_bus_create(const struct pci_bus_env *env, struct pci_bus **ret_bus, struct error *err);
void pci_bus_destroy(struct pci_bus *bus);

/** pci_bus_set_ecam() - show configuration space (1 MiB per bus, @buses of them) at @base; 0 size:
 *  nowhere. */
int pci_bus_set_ecam(struct pci_bus *bus, uint64_t base, unsigned int buses);

/**
 * pci_bus_set_reset_port() - who answers byte accesses at port CF9h, the chipset's reset control
 *
 * The port lies within CONFIG_ADDRESS (CF8h-CFBh), which takes 32-bit accesses alone, so the bus
 * passes it on: @ops with offset 0 and size 1, and no lock held. @ops NULL: nobody. Main thread, no
 * vCPU runs.
 */
void pci_bus_set_reset_port(struct pci_bus *bus, const struct io_ops *ops, void *opaque);

/** pci_bus_find() - the device at @devfn of bus 0, or NULL. */
struct pci_device *pci_bus_find(struct pci_bus *bus, unsigned int devfn);

/** pci_bus_free_slot() - the first free slot number from @first, or -ENOSPC. */
int pci_bus_free_slot(struct pci_bus *bus, unsigned int first);

/** Access to configuration space by the guest; for the chipset's own registers and tests. */
uint32_t pci_bus_config_read(struct pci_bus *bus, unsigned int bdf, unsigned int offset,
			     unsigned int size);
void pci_bus_config_write(struct pci_bus *bus, unsigned int bdf, unsigned int offset,
			  uint32_t value, unsigned int size);

/* ------- by devices, in create ------- */

/** pci_bar_set_io()/set_memory() - declare BAR @n; @kind MEM for handlers in @region (initialised
 *  by the caller, size a power of two), or memory the guest accesses directly. */
int pci_bar_set_io(struct pci_device *pci, unsigned int n, enum pci_bar_kind kind,
		   struct io_region *region);
int pci_bar_set_memory(struct pci_device *pci, unsigned int n, enum pci_bar_kind kind,
		       struct mem_region *memory);

/** pci_bar_set_listener() - be told (lock held) after bars[bar].mapped_at has changed. */
void pci_bar_set_listener(struct pci_device *pci,
			  void (*moved)(struct pci_device *pci, unsigned int bar));

/** pci_rom_set() - expansion ROM from @memory (size a power of two). */
int pci_rom_set(struct pci_device *pci, struct mem_region *memory);

/** pci_add_capability() - append a capability of @size bytes (ID and next pointer included).
 *  Return: its offset, or -ENOSPC. */
int pci_add_capability(struct pci_device *pci, uint8_t id, unsigned int size);

/** pci_msi_init() - an MSI capability of one vector, 64-bit, maskable. */
int pci_msi_init(struct pci_device *pci);

/** pci_msix_init() - @vectors entries with table and pending bits in BAR @bar, a BAR of its own. */
int pci_msix_init(struct pci_device *pci, unsigned int bar, unsigned int vectors);

/* ------- by devices, at run time; the device's lock held ------- */

/** pci_irq_set() - drive INTx; or, with MSI enabled, send a message on each rising edge. */
void pci_irq_set(struct pci_device *pci, bool level);

/** pci_msix_enabled() - whether the guest uses MSI-X now. */
bool pci_msix_enabled(const struct pci_device *pci);

/** pci_msix_notify() - signal @vector; kept pending while masked; out of range is ignored. */
void pci_msix_notify(struct pci_device *pci, unsigned int vector);

/**
 * pci_msix_set_listener() - be told (lock held) when @vector's message, mask or the function mask
 * changed, so that an irqfd can be attached or detached
 */
void pci_msix_set_listener(struct pci_device *pci,
			   void (*changed)(struct pci_device *pci, unsigned int vector));

/** pci_msix_message() - @vector's message; false while it is masked or MSI-X is off. */
bool pci_msix_message(const struct pci_device *pci, unsigned int vector,
		      struct msi_message *ret_message);

/** pci_dma_enabled() - Bus Master Enable; devices must not touch guest memory without it. */
bool pci_dma_enabled(const struct pci_device *pci);

extern const struct state_table pci_device_state_table;

#endif
