/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * PCI bus 0: configuration mechanism #1 (PCI Local Bus 3.0, section 3.2.2.3.2: ports 0xcf8 and
 * 0xcfc), the memory-mapped mechanism of PCI Express Base 5.0 (section 7.2.2, ECAM), and the
 * interrupt wires, which the functions of a slot share.
 *
 * There are no bridges: what is not on bus 0 reads as all-ones (master abort), and so does an
 * absent device, which is how software finds out what there is.
 */

#include <stdlib.h>

#include "base/log.h"
#include "bus/pci_impl.h"

#define PORT_ADDRESS 0xcf8
#define PORT_RESET 0xcf9
#define PORT_DATA 0xcfc

#define ADDRESS_ENABLE UINT32_C(0x80000000)
#define ADDRESS_MASK UINT32_C(0x80fffffc)

#define HEADER_MULTI_FUNCTION 0x80

struct pci_device *pci_bus_find(struct pci_bus *bus, unsigned int devfn)
{
	if (devfn >= ARRAY_SIZE(bus->devices)) {
		return NULL;
	}
	return atomic_load_explicit(&bus->devices[devfn], memory_order_acquire);
}

int pci_bus_free_slot(struct pci_bus *bus, unsigned int first)
{
	for (unsigned int slot = first; slot < PCI_BUS_SLOTS; slot++) {
		bool free = true;

		for (unsigned int function = 0; function < 8; function++) {
			free = free && !pci_bus_find(bus, PCI_DEVFN(slot, function));
		}
		if (free) {
			return slot;
		}
	}
	return -ENOSPC;
}

uint32_t pci_bus_config_read(struct pci_bus *bus, unsigned int bdf, unsigned int offset,
			     unsigned int size)
{
	struct pci_device *pci = pci_bus_find(bus, bdf);
	uint32_t value;

	if (!pci || offset + size > PCI_CONFIG_SIZE) {
		return UINT32_MAX >> (32 - 8 * size);
	}
	pthread_mutex_lock(&pci->dev.lock);
	value = pci_device_config_read(pci, offset, size);
	pthread_mutex_unlock(&pci->dev.lock);
	return value;
}

void pci_bus_config_write(struct pci_bus *bus, unsigned int bdf, unsigned int offset,
			  uint32_t value, unsigned int size)
{
	struct pci_device *pci = pci_bus_find(bus, bdf);

	if (!pci || offset + size > PCI_CONFIG_SIZE) {
		return;
	}
	pthread_mutex_lock(&pci->dev.lock);
	pci_device_config_write(pci, offset, value, size);
	pthread_mutex_unlock(&pci->dev.lock);
}

/* ------- configuration mechanism #1 ------- */

static uint64_t address_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_bus *bus = opaque;

	if (size < 4) {
		return offset == PORT_RESET - PORT_ADDRESS && size == 1 && bus->reset_ops ?
			       bus->reset_ops->read(bus->reset_opaque, 0, 1) :
			       UINT64_MAX;
	}
	return atomic_load(&bus->config_address);
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_bus *bus = opaque;

	if (size == 4) {
		atomic_store(&bus->config_address, value & ADDRESS_MASK);
	} else if (offset == PORT_RESET - PORT_ADDRESS && size == 1 && bus->reset_ops) {
		bus->reset_ops->write(bus->reset_opaque, 0, value, 1);
	}
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_bus *bus = opaque;
	uint32_t address = atomic_load(&bus->config_address);

	if (!(address & ADDRESS_ENABLE)) {
		return UINT64_MAX;
	}
	return pci_bus_config_read(bus, (address >> 8) & 0xffff, (address & 0xfc) + offset, size);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_bus *bus = opaque;
	uint32_t address = atomic_load(&bus->config_address);

	if (address & ADDRESS_ENABLE) {
		pci_bus_config_write(bus, (address >> 8) & 0xffff, (address & 0xfc) + offset,
				     value, size);
	}
}

/* Only whole 32-bit accesses are configuration cycles; a byte at 0xcf9 is the chipset's. */
static const struct io_ops address_ops = {
	.read = address_read,
	.write = address_write,
	.min_size = 1,
	.max_size = 4,
};

static const struct io_ops data_ops = {
	.read = data_read,
	.write = data_write,
	.min_size = 1,
	.max_size = 4,
	.unaligned = true,
};

/* ------- ECAM: 4 KiB for each function ------- */

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned int size)
{
	return pci_bus_config_read(opaque, offset >> 12, offset & 0xfff, size);
}

static void ecam_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	pci_bus_config_write(opaque, offset >> 12, offset & 0xfff, value, size);
}

static const struct io_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
	.min_size = 1,
	.max_size = 4,
};

int pci_bus_set_ecam(struct pci_bus *bus, uint64_t base, unsigned int buses)
{
	io_region_unmap(&bus->ecam_region);
	if (buses == 0) {
		return 0;
	}
	io_region_init(&bus->ecam_region, "ecam", &ecam_ops, bus, NULL, MIB(buses));
	return io_region_map(&bus->ecam_region, bus->env.mmio, base);
}

void pci_bus_set_reset_port(struct pci_bus *bus, const struct io_ops *ops, void *opaque)
{
	bus->reset_ops = ops;
	bus->reset_opaque = opaque;
}

/* ------- interrupt wires ------- */

void pci_bus_set_wire(struct pci_bus *bus, struct pci_device *pci, bool level)
{
	unsigned int slot = pci->devfn >> 3;
	unsigned int pin = pci->config[PCI_CONFIG_INTERRUPT_PIN];
	uint8_t *count;

	if (pin < 1 || pin > 4) {
		return;
	}
	pthread_mutex_lock(&bus->wire_lock);
	count = &bus->wires[slot][pin - 1];
	*count += level ? 1 : -1;
	if (*count == (level ? 1 : 0) && bus->env.route_irq) {
		bus->env.route_irq(bus->env.opaque, slot, pin - 1, level);
	}
	pthread_mutex_unlock(&bus->wire_lock);
}

/* ------- the bus itself ------- */

void pci_bus_mark_functions(struct pci_bus *bus, unsigned int slot)
{
	bool several = false;

	for (unsigned int function = 1; function < 8; function++) {
		several = several || pci_bus_find(bus, PCI_DEVFN(slot, function));
	}
	for (unsigned int function = 0; several && function < 8; function++) {
		struct pci_device *pci = pci_bus_find(bus, PCI_DEVFN(slot, function));

		if (pci) {
			pci->config[PCI_CONFIG_HEADER_TYPE] |= HEADER_MULTI_FUNCTION;
		}
	}
}

int pci_bus_add(struct pci_bus *bus, struct pci_device *pci, struct error *err)
{
	const struct pci_device *other;

	if (pci->dev.env.devfn < 0 || pci->dev.env.devfn >= PCI_BUS_SLOTS * 8) {
		return error_set(err, ENOSPC, "%s: there is no free PCI slot", pci->dev.path);
	}
	other = pci_bus_find(bus, pci->dev.env.devfn);
	if (other) {
		return error_set(err, EBUSY, "%s: PCI slot %u function %u is taken by %s",
				 pci->dev.path, pci->devfn >> 3, pci->devfn & 7, other->dev.path);
	}
	atomic_store_explicit(&bus->devices[pci->devfn], pci, memory_order_release);
	return 0;
}

void pci_bus_remove(struct pci_bus *bus, struct pci_device *pci)
{
	atomic_store_explicit(&bus->devices[pci->devfn], NULL, memory_order_release);
}

int pci_bus_create(const struct pci_bus_env *env, struct pci_bus **ret_bus, struct error *err)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	int ret;

	if (!bus) {
		return error_set(err, ENOMEM, "no memory for the PCI bus");
	}
	bus->env = *env;
	pthread_mutex_init(&bus->wire_lock, NULL);
	io_region_init(&bus->address_region, "pci-address", &address_ops, bus, NULL, 4);
	io_region_init(&bus->data_region, "pci-data", &data_ops, bus, NULL, 4);
	io_region_init(&bus->ecam_region, "ecam", &ecam_ops, bus, NULL, MIB(1));
	ret = io_region_map(&bus->address_region, env->ports, PORT_ADDRESS);
	if (ret == 0) {
		ret = io_region_map(&bus->data_region, env->ports, PORT_DATA);
	}
	if (ret < 0) {
		pci_bus_destroy(bus);
		return error_set(err, -ret, "the PCI configuration ports cannot be mapped");
	}
	*ret_bus = bus;
	return 0;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus) {
		return;
	}
	io_region_unmap(&bus->ecam_region);
	io_region_unmap(&bus->data_region);
	io_region_unmap(&bus->address_region);
	pthread_mutex_destroy(&bus->wire_lock);
	free(bus);
}
