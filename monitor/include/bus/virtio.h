/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_VIRTIO_H
#define LIMEN_BUS_VIRTIO_H

/*
 * virtio 1.2 over PCI, modern only: the core (feature negotiation, device status, split and packed
 * rings, indirect descriptors, event suppression) and the PCI transport (section 4.1). A virtio
 * device starts with a struct virtio_device, declares its queues and features in its
 * virtio_device_ops, and takes and completes chains of buffers.
 *
 * A ring that breaks the rules sets DEVICE_NEEDS_RESET (2.1.2): virtqueue_pop() then finds nothing
 * until the driver resets the device.
 */

#include <sys/uio.h>

#include "bus/pci.h"

#define VIRTIO_QUEUE_MAX 16
#define VIRTIO_QUEUE_SIZE_MAX 1024
#define VIRTQUEUE_SEGMENTS_MAX 1024

/* Device-independent feature bits, section 6. */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX 29
#define VIRTIO_F_VERSION_1 32
#define VIRTIO_F_ACCESS_PLATFORM 33
#define VIRTIO_F_RING_PACKED 34
#define VIRTIO_F_IN_ORDER 35

struct virtio_device;
struct virtqueue;

/* Device status, section 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER 2
#define VIRTIO_STATUS_DRIVER_OK 4
#define VIRTIO_STATUS_FEATURES_OK 8
#define VIRTIO_STATUS_NEEDS_RESET 64
#define VIRTIO_STATUS_FAILED 128

/** The keys that every virtio kind of device has; first in its keys, by this macro. */
#define VIRTIO_CONFIG_KEYS                                                              \
	{                                                                               \
		.name = "packed", .type = CONFIG_BOOL, .def = "off",                    \
		.help = "offer packed rings to the driver",                             \
	}

/**
 * struct virtqueue_chain - a chain of buffers that the driver made available
 * @in: what the device may write (device-writable); @out: what it may read; as host addresses. All
 *      of it was checked to be guest RAM
 * @in_gpa: guest addresses of @in, for noting writes (the core does this in virtqueue_push())
 * @token: which chain it is, for virtqueue_push()
 */
struct virtqueue_chain {
	struct iovec *out;
	struct iovec *in;
	unsigned int out_count;
	unsigned int in_count;
	size_t out_size;
	size_t in_size;
	gpa_t *in_gpa;
	uint32_t token;
	uint32_t descriptors; /* ring entries it took (packed) */
};

/**
 * struct virtio_device_ops - a virtio kind of device
 * @pci: its PCI identity: vendor 0x1af4 and device 0x1040 + @type are filled by VIRTIO_PCI_IDS
 * @type: virtio device type (section 5)
 * @queue_count, @queue_size: how many queues at most, and the largest size of each (power of two);
 *               create may lower virtio_device.queue_count
 * @features: offered device features beside the core's own
 * @get_config: fill the device-specific configuration space; called for every read
 * @set_config: the driver wrote there; optional
 * @config_size: bytes of it
 * @notify: the driver made buffers available in queue @n. On the device's io_loop thread (the
 *          notify register is an eventfd), the device's lock held
 * @status_changed: after the driver set status (DRIVER_OK, or 0 = reset); lock held; optional. A
 *          reset with chains in flight is finished, and status_changed(0) called, when the last of
 *          them was pushed
 */
struct virtio_device_ops {
	struct pci_device_ops pci;
	uint16_t type;
	unsigned int queue_count;
	unsigned int queue_size;
	size_t config_size;
	uint64_t (*features)(struct virtio_device *vdev);
	void (*get_config)(struct virtio_device *vdev, uint8_t *ret_config);
	void (*set_config)(struct virtio_device *vdev, size_t offset, const uint8_t *data,
			   size_t size);
	void (*notify)(struct virtio_device *vdev, unsigned int n);
	void (*status_changed)(struct virtio_device *vdev, uint8_t status);
};

#define VIRTIO_PCI_IDS(type_, class_)                                                      \
	.vendor_id = 0x1af4, .device_id = 0x1040 + (type_), .subsystem_vendor_id = 0x1af4, \
	.subsystem_id = 0x1100, .class_code = (class_), .revision = 1, .interrupt_pin = 1, \
	.express = true, .config_reading = virtio_pci_config_reading,                      \
	.config_written = virtio_pci_config_written
void virtio_pci_config_reading(struct pci_device *pci, unsigned int offset, unsigned int size);
void virtio_pci_config_written(struct pci_device *pci, unsigned int offset, unsigned int size);

/** struct virtqueue_area - one of the three parts of a ring, as host memory. */
struct virtqueue_area {
	uint8_t *host;
	struct mem_region *region;
	uint64_t offset;
	size_t size;
};

/**
 * struct virtqueue_registers - what the driver and the core know of a ring; all of it is saved
 * @driver: available ring; packed: driver event suppression
 * @device: used ring; packed: device event suppression
 * @last_avail: where the next chain is taken; split: counts on, packed: a place in the ring
 * @used_index: where the next one is given back
 * @signalled_used: @used_index when the driver was last interrupted
 */
struct virtqueue_registers {
	gpa_t desc;
	gpa_t driver;
	gpa_t device;
	uint16_t size;
	uint16_t msix_vector;
	uint16_t last_avail;
	uint16_t used_index;
	uint16_t signalled_used;
	bool enabled;
	bool broken;
	bool signalled_valid;
	bool avail_wrap;
	bool used_wrap;
	bool notification_off;
};

/**
 * struct virtqueue - one ring; members are the core's
 * @avail_seen: split: the available index read last; what lies before it needs no look
 * @in_flight: chains popped and not yet pushed
 * @descriptors: packed: ring entries of those
 * @event: where the driver was asked to notify next
 * @unsignalled: something was pushed since the last flush
 * @unpublished: packed: the flags of entry @first_used are still to be written
 * @irq_fd: eventfd for the engine; @irq_attached while the engine delivers for it
 */
struct virtqueue {
	struct virtio_device *vdev;
	const struct virtqueue_ops *ops;
	unsigned int index;
	uint16_t max_size;
	struct virtqueue_registers r;
	struct virtqueue_area desc;
	struct virtqueue_area driver;
	struct virtqueue_area device;
	uint16_t avail_seen;
	uint16_t in_flight;
	uint16_t descriptors;
	uint16_t event;
	bool event_valid;
	bool unsignalled;
	bool unpublished;
	uint16_t first_used;
	uint16_t first_flags;
	int barrier;
	int notify_fd;
	uint64_t notify_address; /* where @notify_fd is watched for, or UINT64_MAX */
	struct event_source *notify_source;
	int irq_fd;
	bool irq_attached;
	struct msi_message irq_message;
	struct iovec iov[VIRTQUEUE_SEGMENTS_MAX];
	gpa_t gpa[VIRTQUEUE_SEGMENTS_MAX];
};

/**
 * struct virtio_device - base of every virtio device, first member of its struct
 * @driver_features: what was negotiated; valid from FEATURES_OK on
 * @reset_pending: the driver reset the device while chains were in flight: done when they are back
 * @paused: between pause and resume: notifications wait
 * @saved: the queues' registers on their way from and to a saved state
 */
struct virtio_device {
	struct pci_device pci;
	const struct virtio_device_ops *ops;
	uint64_t device_features;
	uint64_t driver_features;
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint16_t queue_select;
	uint16_t config_msix_vector;
	uint8_t status;
	uint8_t isr;
	uint8_t config_generation;
	bool reset_pending;
	bool paused;
	unsigned int queue_count;
	struct virtqueue *queues;
	struct virtqueue_registers saved[VIRTIO_QUEUE_MAX];
	struct io_region region;
	uint16_t window_offset; /* of the capability that reaches the BAR by configuration space */
};

static inline struct virtio_device *virtio_device_from_device(struct device *dev)
{
	return container_of(dev, struct virtio_device, pci.dev);
}

/** virtio_has_feature() - whether bit @bit was negotiated. */
static inline bool virtio_has_feature(const struct virtio_device *vdev, unsigned int bit)
{
	return (vdev->driver_features >> bit) & 1;
}

/**
 * virtqueue_pop() - take the next available chain; device lock held
 * @ret_chain: points into @vq: valid until the next pop of this queue. A device that keeps a chain
 *             longer copies what it needs (virtqueue_chain_copy())
 *
 * Return: 1 with a chain, 0 when there is none (or the queue is broken or not enabled).
 */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *ret_chain);

/** virtqueue_chain_copy() - a copy with arrays of its own in @storage, which holds
 *  VIRTQUEUE_SEGMENTS_MAX. */
void virtqueue_chain_copy(const struct virtqueue_chain *chain, struct virtqueue_chain *ret_copy,
			  struct iovec *iov_storage, gpa_t *gpa_storage);

/**
 * virtqueue_push() - give the chain back with @written bytes written to its in part
 *
 * Marks these as written. The push of the last chain in flight may finish a reset of the device,
 * and then calls status_changed().
 */
void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);

/** virtqueue_push_many() - the same for several, which the driver sees at once (parts of one
 *  frame). */
void virtqueue_push_many(struct virtqueue *vq, const struct virtqueue_chain *chains,
			 const uint32_t *written, unsigned int count);

/** virtqueue_note_written() - mark the first @written bytes of the in part as written, for a device
 *  that pushes the chain later without its arrays (in_count 0). */
void virtqueue_note_written(struct virtqueue *vq, const struct virtqueue_chain *chain,
			    size_t written);

/** virtqueue_ready() - whether the driver has set the queue up and the device is live. */
bool virtqueue_ready(const struct virtqueue *vq);

/** virtqueue_unpop() - put the chain just popped back; nothing may have been popped since. */
void virtqueue_unpop(struct virtqueue *vq, const struct virtqueue_chain *chain);

/** virtqueue_flush() - interrupt the driver if it wants to know about what was pushed. */
void virtqueue_flush(struct virtqueue *vq);

/**
 * virtqueue_set_notification() - ask the driver not to notify, or again to
 *
 * Notifications are on to begin with. When turned on, the driver notifies of what it makes
 * available from now on. Return: when turned on, whether something is available already.
 */
bool virtqueue_set_notification(struct virtqueue *vq, bool on);

/** virtqueue_kick() - have notify called for the queue, as if the driver had notified; any
 *  thread. */
void virtqueue_kick(struct virtqueue *vq);

/** virtio_config_changed() - tell the driver to read the configuration space again. */
void virtio_config_changed(struct virtio_device *vdev);

/** virtio_needs_reset() - the driver broke the rules: stop until it resets the device. */
void virtio_needs_reset(struct virtio_device *vdev, const char *why);

/** Copy between a flat buffer and an iovec array; return the bytes copied. */
size_t iov_to_buf(const struct iovec *iov, unsigned int count, size_t offset, void *buf,
		  size_t size);
size_t iov_from_buf(const struct iovec *iov, unsigned int count, size_t offset, const void *buf,
		    size_t size);

extern const struct state_table virtio_device_state_table;

#endif
