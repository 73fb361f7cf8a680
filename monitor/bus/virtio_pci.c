/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio over PCI, virtio 1.2 section 4.1. One memory BAR holds the four structures, a page each,
 * named by vendor capabilities; a fifth capability (4.1.4.9) reaches the BAR through configuration
 * space for firmware that cannot map it. MSI-X has a BAR of its own.
 *
 * The notification structure has an address for each queue, so that the engine can turn a write
 * into an eventfd without asking us; interrupts go the other way through an eventfd (irqfd) while
 * their vector is unmasked, where the engine can.
 */

#include "bus/pci_impl.h"
#include "bus/virtio_impl.h"

#define BAR_MSIX 1
#define BAR_VIRTIO 4

#define COMMON_OFFSET 0x0000
#define ISR_OFFSET 0x1000
#define CONFIG_OFFSET 0x2000
#define NOTIFY_OFFSET 0x3000
#define BAR_SIZE 0x4000
#define AREA_SIZE 0x1000
#define NOTIFY_MULTIPLIER 4

/* Capability types, 4.1.4 */
#define CAP_COMMON 1
#define CAP_NOTIFY 2
#define CAP_ISR 3
#define CAP_DEVICE 4
#define CAP_WINDOW 5

#define CAP_SIZE 16
#define CAP_LENGTH 2
#define CAP_TYPE 3
#define CAP_BAR 4
#define CAP_OFFSET 8
#define CAP_AREA_LENGTH 12
#define CAP_EXTRA 16 /* notify: multiplier; window: data */

#define CONFIG_MAX 256

/* Common configuration structure, 4.1.4.3 */
#define COMMON_SIZE 56

/* ------- common configuration ------- */

static struct virtqueue *selected_queue(struct virtio_device *vdev)
{
	return vdev->queue_select < vdev->queue_count ? &vdev->queues[vdev->queue_select] : NULL;
}

static uint32_t feature_half(uint64_t features, uint32_t select)
{
	return select == 0 ? features : select == 1 ? features >> 32 : 0;
}

static void fill_common(struct virtio_device *vdev, uint8_t *ret_common)
{
	const struct virtqueue *vq = selected_queue(vdev);

	memset(ret_common, 0, COMMON_SIZE);
	store_le32(ret_common, vdev->device_feature_select);
	store_le32(ret_common + 4,
		   feature_half(vdev->device_features, vdev->device_feature_select));
	store_le32(ret_common + 8, vdev->driver_feature_select);
	store_le32(ret_common + 12,
		   feature_half(vdev->driver_features, vdev->driver_feature_select));
	store_le16(ret_common + 16, vdev->config_msix_vector);
	store_le16(ret_common + 18, vdev->queue_count);
	ret_common[20] = vdev->status;
	ret_common[21] = vdev->config_generation;
	store_le16(ret_common + 22, vdev->queue_select);
	/* A size of 0 says that there is no such queue. */
	if (vq) {
		store_le16(ret_common + 24, vq->r.size);
		store_le16(ret_common + 26, vq->r.msix_vector);
		store_le16(ret_common + 28, vq->r.enabled);
		store_le16(ret_common + 30, vq->index);
		store_le64(ret_common + 32, vq->r.desc);
		store_le64(ret_common + 40, vq->r.driver);
		store_le64(ret_common + 48, vq->r.device);
	}
}

static void write_device_feature_select(struct virtio_device *vdev, uint32_t value)
{
	vdev->device_feature_select = value;
}

static void write_driver_feature_select(struct virtio_device *vdev, uint32_t value)
{
	vdev->driver_feature_select = value;
}

static void write_driver_feature(struct virtio_device *vdev, uint32_t value)
{
	uint64_t *features = &vdev->driver_features;

	/* They are settled once FEATURES_OK is set (3.1.1). */
	if (vdev->status & VIRTIO_STATUS_FEATURES_OK) {
		return;
	}
	if (vdev->driver_feature_select == 0) {
		*features = (*features & ~UINT64_C(0xffffffff)) | value;
	} else if (vdev->driver_feature_select == 1) {
		*features = (uint32_t)*features | (uint64_t)value << 32;
	}
}

/** usable_vector() - a vector the device does not have reads back as none (4.1.5.1.2). */
static uint16_t usable_vector(const struct virtio_device *vdev, uint32_t vector)
{
	return vector < vdev->pci.msix_vectors ? vector : VIRTIO_NO_VECTOR;
}

static void write_config_vector(struct virtio_device *vdev, uint32_t value)
{
	vdev->config_msix_vector = usable_vector(vdev, value);
}

static void write_status(struct virtio_device *vdev, uint32_t value)
{
	virtio_set_status(vdev, value);
}

static void write_queue_select(struct virtio_device *vdev, uint32_t value)
{
	vdev->queue_select = value;
}

/** settable_queue() - the selected queue, if it can still be set up. */
static struct virtqueue *settable_queue(struct virtio_device *vdev)
{
	struct virtqueue *vq = selected_queue(vdev);

	return vq && !vq->r.enabled && !vdev->reset_pending ? vq : NULL;
}

static void write_queue_size(struct virtio_device *vdev, uint32_t value)
{
	struct virtqueue *vq = settable_queue(vdev);

	if (vq && value > 0 && value <= vq->max_size) {
		vq->r.size = value;
	}
}

static void write_queue_vector(struct virtio_device *vdev, uint32_t value)
{
	struct virtqueue *vq = selected_queue(vdev);

	if (vq) {
		vq->r.msix_vector = usable_vector(vdev, value);
		virtio_pci_update_irqfds(vdev);
	}
}

static void write_queue_enable(struct virtio_device *vdev, uint32_t value)
{
	struct virtqueue *vq = settable_queue(vdev);

	if (!vq || value != 1) {
		return;
	}
	if (!(vdev->status & VIRTIO_STATUS_FEATURES_OK)) {
		device_guest_error(&vdev->pci.dev,
				   "it enables a queue before agreeing on features");
		return;
	}
	if (virtqueue_enable(vq) < 0) {
		virtio_needs_reset(vdev, "a queue of a wrong size or not in memory");
	} else if (virtqueue_ready(vq)) {
		virtqueue_kick(vq);
	}
}

static void write_half(struct virtio_device *vdev, size_t member, bool high, uint32_t value)
{
	struct virtqueue *vq = settable_queue(vdev);
	uint64_t *address;

	if (!vq) {
		return;
	}
	address = (uint64_t *)((char *)&vq->r + member);
	*address = high ? (uint32_t)*address | (uint64_t)value << 32 :
			  (*address & ~UINT64_C(0xffffffff)) | value;
}

#define DEFINE_HALF_WRITES(member)                                                        \
	static void write_##member##_low(struct virtio_device *vdev, uint32_t value)      \
	{                                                                                 \
		write_half(vdev, offsetof(struct virtqueue_registers, member), false,     \
			   value);                                                        \
	}                                                                                 \
	static void write_##member##_high(struct virtio_device *vdev, uint32_t value)     \
	{                                                                                 \
		write_half(vdev, offsetof(struct virtqueue_registers, member), true,      \
			   value);                                                        \
	}

DEFINE_HALF_WRITES(desc)
DEFINE_HALF_WRITES(driver)
DEFINE_HALF_WRITES(device)

/** struct common_field - a register that the driver can write, with accesses of its size only. */
struct common_field {
	uint8_t offset;
	uint8_t size;
	void (*write)(struct virtio_device *vdev, uint32_t value);
};

static const struct common_field common_fields[] = {
	{ 0, 4, write_device_feature_select },
	{ 8, 4, write_driver_feature_select },
	{ 12, 4, write_driver_feature },
	{ 16, 2, write_config_vector },
	{ 20, 1, write_status },
	{ 22, 2, write_queue_select },
	{ 24, 2, write_queue_size },
	{ 26, 2, write_queue_vector },
	{ 28, 2, write_queue_enable },
	{ 32, 4, write_desc_low },
	{ 36, 4, write_desc_high },
	{ 40, 4, write_driver_low },
	{ 44, 4, write_driver_high },
	{ 48, 4, write_device_low },
	{ 52, 4, write_device_high },
};

static void common_write(struct virtio_device *vdev, uint64_t offset, uint32_t value,
			 unsigned int size)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(common_fields); i++) {
		const struct common_field *field = &common_fields[i];

		if (field->offset == offset && field->size == size) {
			field->write(vdev, value);
			return;
		}
	}
	device_guest_error(&vdev->pci.dev, "it writes %u bytes to common configuration 0x%llx",
			   size, (unsigned long long)offset);
}

/* ------- the BAR ------- */

static uint32_t pick(const uint8_t *bytes, size_t length, uint64_t offset, unsigned int size)
{
	uint32_t value = 0;

	if (offset + size <= length) {
		memcpy(&value, bytes + offset, size);
	}
	return value;
}

static uint32_t common_read(struct virtio_device *vdev, uint64_t offset, unsigned int size)
{
	uint8_t common[COMMON_SIZE];

	fill_common(vdev, common);
	return pick(common, sizeof(common), offset, size);
}

static uint32_t config_read(struct virtio_device *vdev, uint64_t offset, unsigned int size)
{
	uint8_t config[CONFIG_MAX] = { 0 };

	if (!vdev->ops->get_config) {
		return 0;
	}
	vdev->ops->get_config(vdev, config);
	return pick(config, vdev->ops->config_size, offset, size);
}

static uint32_t isr_read(struct virtio_device *vdev)
{
	uint32_t isr = vdev->isr;

	vdev->isr = 0;
	pci_irq_set(&vdev->pci, false);
	return isr;
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct virtio_device *vdev = opaque;

	switch (ALIGN_DOWN(offset, AREA_SIZE)) {
	case COMMON_OFFSET: return common_read(vdev, offset - COMMON_OFFSET, size);
	case ISR_OFFSET: return offset == ISR_OFFSET ? isr_read(vdev) : 0;
	case CONFIG_OFFSET: return config_read(vdev, offset - CONFIG_OFFSET, size);
	default: return 0;
	}
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct virtio_device *vdev = opaque;
	uint8_t data[4];

	switch (ALIGN_DOWN(offset, AREA_SIZE)) {
	case COMMON_OFFSET:
		common_write(vdev, offset - COMMON_OFFSET, value, size);
		break;
	case CONFIG_OFFSET:
		store_le32(data, value);
		if (vdev->ops->set_config &&
		    offset - CONFIG_OFFSET + size <= vdev->ops->config_size) {
			vdev->ops->set_config(vdev, offset - CONFIG_OFFSET, data, size);
		}
		break;
	case NOTIFY_OFFSET:
		/* Notifications of an unusual size, or through the window. */
		if ((offset - NOTIFY_OFFSET) / NOTIFY_MULTIPLIER < vdev->queue_count) {
			virtqueue_kick(vdev->queues +
				       (offset - NOTIFY_OFFSET) / NOTIFY_MULTIPLIER);
		}
		break;
	}
}

static const struct io_ops bar_ops = {
	.read = bar_read,
	.write = bar_write,
	.min_size = 1,
	.max_size = 4,
};

/* ------- the window in configuration space ------- */

/** window_access() - where the window points, when the guest accesses its data. */
static bool window_access(struct virtio_device *vdev, unsigned int offset, unsigned int size,
			  uint32_t *ret_offset, unsigned int *ret_size)
{
	const uint8_t *cap = vdev->pci.config + vdev->window_offset;
	uint32_t at = load_le32(cap + CAP_OFFSET);
	uint32_t length = load_le32(cap + CAP_AREA_LENGTH);
	unsigned int data = vdev->window_offset + CAP_EXTRA;

	if (!vdev->window_offset || offset >= data + 4 || offset + size <= data ||
	    cap[CAP_BAR] != BAR_VIRTIO || (length != 1 && length != 2 && length != 4) ||
	    at % length || at > BAR_SIZE - length) {
		return false;
	}
	*ret_offset = at;
	*ret_size = length;
	return true;
}

void virtio_pci_config_reading(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	struct virtio_device *vdev = container_of(pci, struct virtio_device, pci);
	unsigned int length;
	uint32_t at;

	if (window_access(vdev, offset, size, &at, &length)) {
		store_le32(pci->config + vdev->window_offset + CAP_EXTRA,
			   bar_read(vdev, at, length));
	}
}

void virtio_pci_config_written(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	struct virtio_device *vdev = container_of(pci, struct virtio_device, pci);
	unsigned int length;
	uint32_t at;

	if (window_access(vdev, offset, size, &at, &length)) {
		bar_write(vdev, at,
			  pick(pci->config + vdev->window_offset + CAP_EXTRA, 4, 0, length),
			  length);
	}
	/* A driver that notified before it turned on bus mastering. */
	if (offset <= PCI_CONFIG_COMMAND && offset + size > PCI_CONFIG_COMMAND &&
	    pci_dma_enabled(pci)) {
		virtio_kick_all(vdev);
	}
}

/* ------- eventfds ------- */

static void unwatch_notify(struct virtqueue *vq)
{
	const struct io_eventfd e = { vq->notify_address, 2, vq->notify_fd };

	if (vq->notify_address != UINT64_MAX) {
		io_eventfd_remove(vq->vdev->pci.dev.env.mmio, &e);
		vq->notify_address = UINT64_MAX;
	}
}

static void handle_bar_moved(struct pci_device *pci, unsigned int bar)
{
	struct virtio_device *vdev = container_of(pci, struct virtio_device, pci);
	uint64_t base = pci->bars[BAR_VIRTIO].mapped_at;

	if (bar != BAR_VIRTIO) {
		return;
	}
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		struct virtqueue *vq = &vdev->queues[i];
		struct io_eventfd e = { 0, 2, vq->notify_fd };

		unwatch_notify(vq);
		if (base == UINT64_MAX) {
			continue;
		}
		/* Where this fails the region's handler rings it. */
		e.address = base + NOTIFY_OFFSET + i * NOTIFY_MULTIPLIER;
		if (io_eventfd_add(pci->dev.env.mmio, &e) == 0) {
			vq->notify_address = e.address;
		}
	}
}

static void detach_irqfd(struct virtqueue *vq)
{
	struct msi_sink *sink = vq->vdev->pci.bus->env.msi;

	if (vq->irq_attached) {
		sink->irqfd_remove(sink, vq->irq_fd);
		vq->irq_attached = false;
	}
}

static void update_irqfd(struct virtqueue *vq)
{
	struct virtio_device *vdev = vq->vdev;
	struct msi_sink *sink = vdev->pci.bus->env.msi;
	struct msi_message msg;

	if (!sink || !sink->irqfd_add || vq->irq_fd < 0) {
		return;
	}
	if (!pci_msix_message(&vdev->pci, vq->r.msix_vector, &msg)) {
		detach_irqfd(vq);
		return;
	}
	if (vq->irq_attached && msg.address == vq->irq_message.address &&
	    msg.data == vq->irq_message.data) {
		return;
	}
	detach_irqfd(vq);
	vq->irq_message = msg;
	vq->irq_attached = sink->irqfd_add(sink, vq->irq_fd, &msg) == 0;
}

void virtio_pci_update_irqfds(struct virtio_device *vdev)
{
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		update_irqfd(&vdev->queues[i]);
	}
}

static void handle_vector_changed(struct pci_device *pci, unsigned int vector)
{
	struct virtio_device *vdev = container_of(pci, struct virtio_device, pci);

	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		if (vdev->queues[i].r.msix_vector == vector) {
			update_irqfd(&vdev->queues[i]);
		}
	}
}

/* ------- life ------- */

static int add_capability(struct virtio_device *vdev, uint8_t type, unsigned int size,
			  uint32_t offset, uint32_t length)
{
	struct pci_device *pci = &vdev->pci;
	int at = pci_add_capability(pci, PCI_CAPABILITY_VENDOR, size);

	if (at < 0) {
		return at;
	}
	pci->config[at + CAP_LENGTH] = size;
	pci->config[at + CAP_TYPE] = type;
	pci->config[at + CAP_BAR] = BAR_VIRTIO;
	store_le32(pci->config + at + CAP_OFFSET, offset);
	store_le32(pci->config + at + CAP_AREA_LENGTH, length);
	return at;
}

static int add_capabilities(struct virtio_device *vdev)
{
	struct pci_device *pci = &vdev->pci;
	int common = add_capability(vdev, CAP_COMMON, CAP_SIZE, COMMON_OFFSET, COMMON_SIZE);
	int isr = add_capability(vdev, CAP_ISR, CAP_SIZE, ISR_OFFSET, 1);
	int config = vdev->ops->config_size ?
			     add_capability(vdev, CAP_DEVICE, CAP_SIZE, CONFIG_OFFSET,
					    vdev->ops->config_size) :
			     0;
	int notify = add_capability(vdev, CAP_NOTIFY, CAP_SIZE + 4, NOTIFY_OFFSET,
				    vdev->queue_count * NOTIFY_MULTIPLIER);
	int window = add_capability(vdev, CAP_WINDOW, CAP_SIZE + 4, 0, 0);

	if (common < 0 || isr < 0 || config < 0 || notify < 0 || window < 0) {
		return -ENOSPC;
	}
	store_le32(pci->config + notify + CAP_EXTRA, NOTIFY_MULTIPLIER);
	pci->config[window + CAP_BAR] = 0;
	pci->writable[window + CAP_BAR] = 0xff;
	memset(pci->writable + window + CAP_OFFSET, 0xff, 12);
	vdev->window_offset = window;
	return 0;
}

int virtio_pci_publish(struct virtio_device *vdev, struct error *err)
{
	struct pci_device *pci = &vdev->pci;
	unsigned int vectors = MIN(vdev->queue_count + 1, (unsigned int)PCI_MSIX_MAX);
	int ret;

	io_region_init(&vdev->region, "virtio", &bar_ops, vdev, &pci->dev.lock, BAR_SIZE);
	ret = pci_msix_init(pci, BAR_MSIX, vectors);
	if (ret == 0) {
		ret = pci_bar_set_io(pci, BAR_VIRTIO, PCI_BAR_MEM64, &vdev->region);
	}
	if (ret == 0) {
		ret = add_capabilities(vdev);
	}
	if (ret < 0) {
		return error_set(err, -ret, "%s: its PCI capabilities do not fit", pci->dev.path);
	}
	pci_msix_set_listener(pci, handle_vector_changed);
	pci_bar_set_listener(pci, handle_bar_moved);
	return 0;
}

void virtio_pci_stop(struct virtio_device *vdev)
{
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		unwatch_notify(&vdev->queues[i]);
		detach_irqfd(&vdev->queues[i]);
	}
	pci_msix_set_listener(&vdev->pci, NULL);
	pci_bar_set_listener(&vdev->pci, NULL);
}
