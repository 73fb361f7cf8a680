/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The PCI side of a device: its configuration space (PCI Local Bus 3.0, chapter 6), capabilities,
 * the wire interrupt, reset and saved state. Which bits the guest can change is data: the writable
 * and write-one-to-clear masks; code follows only where a register does something.
 *
 * Every function is an endpoint at the root complex without a link, so the PCI Express capability
 * has no link, slot or root registers that mean anything, and there are no extended capabilities.
 * A device that is not Express ends at 256 bytes. Power management, VPD and hot plug are not there:
 * no guest needs them of these devices.
 */

#include <stdlib.h>

#include "bus/device_layer.h"
#include "bus/pci_impl.h"

#define CONFIG_CONVENTIONAL_SIZE 256
#define CAPABILITIES_FIRST 0x40

#define STATUS_INTERRUPT 0x0008
#define STATUS_CAPABILITIES 0x0010
#define STATUS_WRITE1CLEAR 0xf900

#define COMMAND_WRITABLE 0x0547 /* I/O, memory, master, parity, SERR, INTx disable */

/* PCI Express Base 5.0, section 7.5.3. */
#define EXPRESS_SIZE 0x3c
#define EXPRESS_CAPABILITIES 0x02
#define EXPRESS_VERSION_2 0x0002
#define EXPRESS_INTEGRATED_ENDPOINT 0x0090
#define EXPRESS_DEVICE_CAPABILITIES 0x04
#define EXPRESS_ROLE_BASED_ERRORS 0x8000
#define EXPRESS_DEVICE_CONTROL 0x08
#define EXPRESS_DEVICE_CONTROL_WRITABLE 0x78ff
#define EXPRESS_DEVICE_STATUS 0x0a

static unsigned int config_size(const struct pci_device *pci)
{
	return pci_ops(pci)->express ? PCI_CONFIG_SIZE : CONFIG_CONVENTIONAL_SIZE;
}

/* ------- configuration accesses ------- */

uint32_t pci_device_config_read(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	uint32_t value = 0;

	if (pci_ops(pci)->config_reading) {
		pci_ops(pci)->config_reading(pci, offset, size);
	}
	for (unsigned int i = 0; i < size; i++) {
		uint32_t byte = offset + i < config_size(pci) ? pci->config[offset + i] : 0xff;

		value |= byte << (8 * i);
	}
	return value;
}

void pci_device_config_write(struct pci_device *pci, unsigned int offset, uint32_t value,
			     unsigned int size)
{
	if (offset + size > config_size(pci)) {
		return;
	}
	for (unsigned int i = 0; i < size; i++) {
		uint8_t byte = value >> (8 * i);
		uint8_t writable = pci->writable[offset + i];
		uint8_t *config = &pci->config[offset + i];

		*config = (*config & ~writable) | (byte & writable);
		*config &= ~(byte & pci->write1clear[offset + i]);
	}
	if (pci_overlaps(offset, size, PCI_CONFIG_COMMAND, 2) ||
	    pci_overlaps(offset, size, PCI_CONFIG_BAR0, 24) ||
	    pci_overlaps(offset, size, PCI_CONFIG_ROM, 4)) {
		pci_update_bars(pci);
	}
	pci_msi_config_written(pci, offset, size);
	pci_update_intx(pci);
	if (pci_ops(pci)->config_written) {
		pci_ops(pci)->config_written(pci, offset, size);
	}
}

bool pci_dma_enabled(const struct pci_device *pci)
{
	return load_le16(pci->config + PCI_CONFIG_COMMAND) & PCI_COMMAND_MASTER;
}

/* ------- interrupts ------- */

void pci_update_intx(struct pci_device *pci)
{
	uint16_t command = load_le16(pci->config + PCI_CONFIG_COMMAND);
	bool by_wire = !pci_msi_enabled(pci) && !pci_msix_enabled(pci);
	bool level = pci->irq_level && by_wire && !(command & PCI_COMMAND_INTX_DISABLE);

	/* The status bit tells what the device wants even while the wire is disabled. */
	if (pci->irq_level && by_wire) {
		pci->config[PCI_CONFIG_STATUS] |= STATUS_INTERRUPT;
	} else {
		pci->config[PCI_CONFIG_STATUS] &= ~STATUS_INTERRUPT;
	}
	if (level != pci->intx_level) {
		pci->intx_level = level;
		pci_bus_set_wire(pci->bus, pci, level);
	}
}

void pci_irq_set(struct pci_device *pci, bool level)
{
	bool rises = level && !pci->irq_level;

	pci->irq_level = level;
	if (rises && pci_msi_enabled(pci)) {
		pci_msi_edge(pci);
	}
	pci_update_intx(pci);
}

/* ------- capabilities ------- */

int pci_add_capability(struct pci_device *pci, uint8_t id, unsigned int size)
{
	unsigned int offset = ALIGN_UP(pci->next_capability, 4);

	if (size < 2 || offset + size > CONFIG_CONVENTIONAL_SIZE) {
		return -ENOSPC;
	}
	if (pci->last_capability) {
		pci->config[pci->last_capability + 1] = offset;
	} else {
		pci->config[PCI_CONFIG_CAPABILITIES] = offset;
		pci->config[PCI_CONFIG_STATUS] |= STATUS_CAPABILITIES;
	}
	pci->config[offset] = id;
	for (unsigned int i = offset; i < offset + size; i++) {
		pci->capability_bytes[i / 64] |= BIT(i % 64);
	}
	pci->last_capability = offset;
	pci->next_capability = offset + size;
	return offset;
}

static int add_express_capability(struct pci_device *pci)
{
	int offset = pci_add_capability(pci, PCI_CAPABILITY_EXPRESS, EXPRESS_SIZE);

	if (offset < 0) {
		return offset;
	}
	store_le16(pci->config + offset + EXPRESS_CAPABILITIES,
		   EXPRESS_VERSION_2 | EXPRESS_INTEGRATED_ENDPOINT);
	store_le32(pci->config + offset + EXPRESS_DEVICE_CAPABILITIES, EXPRESS_ROLE_BASED_ERRORS);
	store_le16(pci->writable + offset + EXPRESS_DEVICE_CONTROL,
		   EXPRESS_DEVICE_CONTROL_WRITABLE);
	pci->write1clear[offset + EXPRESS_DEVICE_STATUS] = 0x0f;
	return 0;
}

/* ------- life ------- */

static void fill_header(struct pci_device *pci, const struct pci_device_ops *ops)
{
	store_le16(pci->config + PCI_CONFIG_VENDOR, ops->vendor_id);
	store_le16(pci->config + PCI_CONFIG_DEVICE, ops->device_id);
	pci->config[PCI_CONFIG_REVISION] = ops->revision;
	pci->config[PCI_CONFIG_CLASS] = ops->class_code;
	store_le16(pci->config + PCI_CONFIG_CLASS + 1, ops->class_code >> 8);
	store_le16(pci->config + PCI_CONFIG_SUBSYSTEM_VENDOR, ops->subsystem_vendor_id);
	store_le16(pci->config + PCI_CONFIG_SUBSYSTEM, ops->subsystem_id);
	pci->config[PCI_CONFIG_INTERRUPT_PIN] = ops->interrupt_pin;

	store_le16(pci->writable + PCI_CONFIG_COMMAND, COMMAND_WRITABLE);
	store_le16(pci->write1clear + PCI_CONFIG_STATUS, STATUS_WRITE1CLEAR);
	pci->writable[0x0c] = 0xff; /* cache line size */
	pci->writable[PCI_CONFIG_INTERRUPT_LINE] = 0xff;
}

static int pci_layer_attach(struct device *dev, struct error *err)
{
	struct pci_device *pci = pci_device_from_device(dev);
	int ret;

	if (!dev->env.pci) {
		return error_set(err, EINVAL, "%s: this machine has no PCI bus", dev->path);
	}
	pci->bus = dev->env.pci;
	pci->devfn = dev->env.devfn;
	pci->next_capability = CAPABILITIES_FIRST;
	fill_header(pci, pci_ops(pci));
	ret = pci_ops(pci)->express ? add_express_capability(pci) : 0;
	return ret < 0 ? ret : pci_bus_add(pci->bus, pci, err);
}

static int pci_layer_publish(struct device *dev, struct error *err)
{
	struct pci_device *pci = pci_device_from_device(dev);

	pci_bus_mark_functions(pci->bus, pci->devfn >> 3);
	return 0;
}

static void pci_layer_detach(struct device *dev)
{
	struct pci_device *pci = pci_device_from_device(dev);

	store_le16(pci->config + PCI_CONFIG_COMMAND, 0);
	pci->bar_moved = NULL;
	pci_update_bars(pci);
	pci->irq_level = false;
	pci_update_intx(pci);
	pci_bus_remove(pci->bus, pci);
}

static void pci_layer_reset(struct device *dev, enum reset_kind kind)
{
	struct pci_device *pci = pci_device_from_device(dev);

	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++) {
		pci->config[i] &= ~(pci->writable[i] | pci->write1clear[i]);
	}
	pci->irq_level = false;
	pci_update_bars(pci);
	pci_msi_reset(pci);
	pci_update_intx(pci);
}

const struct device_layer pci_device_layer = {
	.attach = pci_layer_attach,
	.publish = pci_layer_publish,
	.detach = pci_layer_detach,
	.reset = pci_layer_reset,
};

/* ------- saved state ------- */

static int save_config(void *base, void **ret_data, size_t *ret_size)
{
	struct pci_device *pci = base;
	size_t size = config_size(pci);
	void *data = malloc(size);

	if (!data) {
		return -ENOMEM;
	}
	memcpy(data, pci->config, size);
	*ret_data = data;
	*ret_size = size;
	return 0;
}

/** fixed_bits() - which bits of a byte are the same for the life of a device: in the header and in
 *  capabilities, what the guest cannot change and the core does not. */
static uint8_t fixed_bits(const struct pci_device *pci, unsigned int offset)
{
	uint8_t moving = pci->writable[offset] | pci->write1clear[offset];

	if (offset == PCI_CONFIG_STATUS) {
		moving |= STATUS_INTERRUPT;
	}
	if (pci_msi_owns(pci, offset) ||
	    (offset >= CAPABILITIES_FIRST &&
	     (offset >= CONFIG_CONVENTIONAL_SIZE ||
	      !((pci->capability_bytes[offset / 64] >> (offset % 64)) & 1)))) {
		return 0;
	}
	return ~moving;
}

/** load_config() - refuses what is of another device. */
static int load_config(void *base, const void *data, size_t size, struct error *err)
{
	struct pci_device *pci = base;
	const uint8_t *bytes = data;

	if (size != config_size(pci)) {
		return error_set(err, EINVAL, "%s: configuration space of %zu bytes, not %u",
				 pci->dev.path, size, config_size(pci));
	}
	for (unsigned int i = 0; i < size; i++) {
		if ((bytes[i] ^ pci->config[i]) & fixed_bits(pci, i)) {
			return error_set(err, EINVAL,
					 "%s: byte 0x%02x of configuration space is 0x%02x, "
					 "which this device cannot have",
					 pci->dev.path, i, bytes[i]);
		}
	}
	memcpy(pci->config, bytes, size);
	return 0;
}

static int pci_post_load(void *base, struct error *err)
{
	struct pci_device *pci = base;
	int ret = pci_msi_post_load(pci, err);

	if (ret == 0) {
		pci_update_bars(pci);
		pci_update_intx(pci);
	}
	return ret;
}

static const struct state_field pci_device_fields[] = {
	{ .name = "config",
	  .type = STATE_BLOB,
	  .save_blob = save_config,
	  .load_blob = load_config,
	  .max_size = PCI_CONFIG_SIZE },
	STATE_FIELD_BOOL(struct pci_device, irq_level),
	STATE_FIELD_STRUCT(struct pci_device, msix, PCI_MSIX_MAX, &pci_msix_entry_state_table),
	STATE_FIELD(struct pci_device, msix_pending),
	STATE_FIELDS_END,
};

const struct state_table pci_device_state_table = {
	.version = 1,
	.fields = pci_device_fields,
	.post_load = pci_post_load,
};
