/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Message-signalled interrupts: MSI (PCI Local Bus 3.0, section 6.8.1), one vector, 64-bit address,
 * with mask and pending bit; and MSI-X (section 6.8.2), whose table and pending bits share a BAR.
 *
 * What is signalled while masked stays pending and is sent when it is unmasked. A message is a
 * write to memory by the device, so none is sent while the guest has bus mastering off.
 */

#include "bus/pci_impl.h"

/* MSI, 64-bit with masking */
#define MSI_SIZE 24
#define MSI_CONTROL 2
#define MSI_CONTROL_64BIT 0x0080
#define MSI_CONTROL_MASKABLE 0x0100
#define MSI_ENABLE 0x0001
#define MSI_ADDRESS 4
#define MSI_DATA 12
#define MSI_MASK 16
#define MSI_PENDING 20

/* MSI-X */
#define MSIX_SIZE 12
#define MSIX_CONTROL 2
#define MSIX_ENABLE 0x8000
#define MSIX_FUNCTION_MASK 0x4000
#define MSIX_TABLE 4
#define MSIX_PBA 8
#define MSIX_ENTRY_MASKED 0x1

#define MSIX_BAR_SIZE 4096
#define MSIX_PBA_OFFSET 2048

static void deliver(struct pci_device *pci, const struct msi_message *msg)
{
	struct msi_sink *sink = pci->bus->env.msi;

	if (pci_dma_enabled(pci) && sink) {
		sink->deliver(sink, msg);
	}
}

/* ------- MSI ------- */

int pci_msi_init(struct pci_device *pci)
{
	int offset = pci_add_capability(pci, PCI_CAPABILITY_MSI, MSI_SIZE);

	if (offset < 0) {
		return offset;
	}
	pci->msi_offset = offset;
	store_le16(pci->config + offset + MSI_CONTROL, MSI_CONTROL_64BIT | MSI_CONTROL_MASKABLE);
	store_le16(pci->writable + offset + MSI_CONTROL, MSI_ENABLE);
	store_le64(pci->writable + offset + MSI_ADDRESS, ~UINT64_C(3));
	store_le16(pci->writable + offset + MSI_DATA, 0xffff);
	pci->writable[offset + MSI_MASK] = 1;
	return 0;
}

bool pci_msi_enabled(const struct pci_device *pci)
{
	return pci->msi_offset && (pci->config[pci->msi_offset + MSI_CONTROL] & MSI_ENABLE);
}

static void send_msi(struct pci_device *pci)
{
	const uint8_t *msi = pci->config + pci->msi_offset;
	const struct msi_message msg = {
		.address = load_le64(msi + MSI_ADDRESS),
		.data = load_le16(msi + MSI_DATA),
	};

	deliver(pci, &msg);
}

void pci_msi_edge(struct pci_device *pci)
{
	uint8_t *msi = pci->config + pci->msi_offset;

	if (msi[MSI_MASK] & 1) {
		msi[MSI_PENDING] |= 1;
	} else {
		send_msi(pci);
	}
}

static void msi_written(struct pci_device *pci)
{
	uint8_t *msi = pci->config + pci->msi_offset;

	if (pci_msi_enabled(pci) && (msi[MSI_PENDING] & 1) && !(msi[MSI_MASK] & 1)) {
		msi[MSI_PENDING] &= ~1;
		send_msi(pci);
	}
}

/* ------- MSI-X ------- */

static uint16_t msix_control(const struct pci_device *pci)
{
	return pci->msix_offset ? load_le16(pci->config + pci->msix_offset + MSIX_CONTROL) : 0;
}

bool pci_msix_enabled(const struct pci_device *pci)
{
	return msix_control(pci) & MSIX_ENABLE;
}

bool pci_msix_message(const struct pci_device *pci, unsigned int vector,
		      struct msi_message *ret_message)
{
	if (vector >= pci->msix_vectors || !pci_dma_enabled(pci) ||
	    (msix_control(pci) & (MSIX_ENABLE | MSIX_FUNCTION_MASK)) != MSIX_ENABLE ||
	    (pci->msix[vector].control & MSIX_ENTRY_MASKED)) {
		return false;
	}
	ret_message->address = pci->msix[vector].address;
	ret_message->data = pci->msix[vector].data;
	return true;
}

void pci_msix_notify(struct pci_device *pci, unsigned int vector)
{
	struct msi_message msg;

	if (vector >= pci->msix_vectors || !pci_msix_enabled(pci)) {
		return;
	}
	if (pci_msix_message(pci, vector, &msg)) {
		deliver(pci, &msg);
	} else {
		pci->msix_pending |= BIT(vector);
	}
}

/** vector_changed() - @vector's entry or what masks it changed: send what was pending. */
static void vector_changed(struct pci_device *pci, unsigned int vector)
{
	struct msi_message msg;

	if ((pci->msix_pending & BIT(vector)) && pci_msix_message(pci, vector, &msg)) {
		pci->msix_pending &= ~BIT(vector);
		deliver(pci, &msg);
	}
	if (pci->msix_vector_changed) {
		pci->msix_vector_changed(pci, vector);
	}
}

static void all_vectors_changed(struct pci_device *pci)
{
	for (unsigned int i = 0; i < pci->msix_vectors; i++) {
		vector_changed(pci, i);
	}
}

static uint64_t read_entry_dword(const struct pci_msix_entry *entry, unsigned int dword)
{
	switch (dword) {
	case 0: return (uint32_t)entry->address;
	case 1: return entry->address >> 32;
	case 2: return entry->data;
	default: return entry->control;
	}
}

static void write_entry_dword(struct pci_msix_entry *entry, unsigned int dword, uint32_t value)
{
	switch (dword) {
	case 0:
		entry->address = (entry->address & ~UINT64_C(0xffffffff)) | (value & ~3u);
		break;
	case 1:
		entry->address = (uint32_t)entry->address | (uint64_t)value << 32;
		break;
	case 2:
		entry->data = value;
		break;
	default:
		entry->control = value & MSIX_ENTRY_MASKED;
		break;
	}
}

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_device *pci = opaque;
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i += 4) {
		uint64_t at = offset + i;
		uint64_t part = 0;

		if (at >= MSIX_PBA_OFFSET && at < MSIX_PBA_OFFSET + 8) {
			part = (uint32_t)(pci->msix_pending >> (8 * (at - MSIX_PBA_OFFSET)));
		} else if (at / 16 < pci->msix_vectors) {
			part = read_entry_dword(&pci->msix[at / 16], at % 16 / 4);
		}
		value |= part << (8 * i);
	}
	return value;
}

static void msix_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_device *pci = opaque;
	uint64_t vector = offset / 16;

	if (vector >= pci->msix_vectors) {
		return;
	}
	for (unsigned int i = 0; i < size; i += 4) {
		write_entry_dword(&pci->msix[vector], offset % 16 / 4 + i / 4, value >> (8 * i));
	}
	vector_changed(pci, vector);
}

static const struct io_ops msix_ops = {
	.read = msix_read,
	.write = msix_write,
	.min_size = 4,
	.max_size = 8,
};

int pci_msix_init(struct pci_device *pci, unsigned int bar, unsigned int vectors)
{
	int offset;
	int ret;

	if (vectors == 0 || vectors > PCI_MSIX_MAX) {
		return -EINVAL;
	}
	io_region_init(&pci->msix_region, "msi-x", &msix_ops, pci, &pci->dev.lock, MSIX_BAR_SIZE);
	ret = pci_bar_set_io(pci, bar, PCI_BAR_MEM32, &pci->msix_region);
	if (ret < 0) {
		return ret;
	}
	offset = pci_add_capability(pci, PCI_CAPABILITY_MSIX, MSIX_SIZE);
	if (offset < 0) {
		return offset;
	}
	pci->msix_offset = offset;
	pci->msix_vectors = vectors;
	store_le16(pci->config + offset + MSIX_CONTROL, vectors - 1);
	store_le16(pci->writable + offset + MSIX_CONTROL, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	store_le32(pci->config + offset + MSIX_TABLE, bar);
	store_le32(pci->config + offset + MSIX_PBA, MSIX_PBA_OFFSET | bar);
	return 0;
}

void pci_msix_set_listener(struct pci_device *pci,
			   void (*changed)(struct pci_device *pci, unsigned int vector))
{
	pci->msix_vector_changed = changed;
}

/* ------- both ------- */

void pci_msi_config_written(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	if (pci->msi_offset && pci_overlaps(offset, size, pci->msi_offset, MSI_SIZE)) {
		msi_written(pci);
	}
	/* Bus mastering is part of whether a message can be sent. */
	if (pci->msix_offset && (pci_overlaps(offset, size, pci->msix_offset, MSIX_SIZE) ||
				 pci_overlaps(offset, size, PCI_CONFIG_COMMAND, 2))) {
		all_vectors_changed(pci);
	}
}

bool pci_msi_owns(const struct pci_device *pci, unsigned int offset)
{
	return pci->msi_offset && offset == (unsigned int)pci->msi_offset + MSI_PENDING;
}

void pci_msi_reset(struct pci_device *pci)
{
	if (pci->msi_offset) {
		pci->config[pci->msi_offset + MSI_PENDING] = 0;
	}
	pci->msix_pending = 0;
	for (unsigned int i = 0; i < PCI_MSIX_MAX; i++) {
		pci->msix[i] = (struct pci_msix_entry){ .control = MSIX_ENTRY_MASKED };
	}
	all_vectors_changed(pci);
}

int pci_msi_post_load(struct pci_device *pci, struct error *err)
{
	for (unsigned int i = 0; i < PCI_MSIX_MAX; i++) {
		if ((pci->msix[i].control & ~MSIX_ENTRY_MASKED) || (pci->msix[i].address & 3)) {
			return error_set(err, EINVAL, "%s: MSI-X vector %u cannot be like that",
					 pci->dev.path, i);
		}
	}
	if (pci->msix_vectors < 64 && pci->msix_pending >> pci->msix_vectors) {
		return error_set(err, EINVAL, "%s: pending MSI-X vectors that it does not have",
				 pci->dev.path);
	}
	all_vectors_changed(pci);
	return 0;
}

static const struct state_field msix_entry_fields[] = {
	STATE_FIELD(struct pci_msix_entry, address),
	STATE_FIELD(struct pci_msix_entry, data),
	STATE_FIELD(struct pci_msix_entry, control),
	STATE_FIELDS_END,
};

const struct state_table pci_msix_entry_state_table = {
	.version = 1,
	.fields = msix_entry_fields,
};
