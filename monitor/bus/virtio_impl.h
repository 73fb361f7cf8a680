/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_VIRTIO_IMPL_H
#define LIMEN_BUS_VIRTIO_IMPL_H

/*
 * What the files of the virtio core share. Everything here runs with the device's lock held.
 */

#include "bus/virtio.h"

#define VIRTIO_NO_VECTOR 0xffff

#define VIRTIO_ISR_QUEUE 1
#define VIRTIO_ISR_CONFIG 2

/** Flags of a descriptor, the same in both layouts (2.7.5, 2.8.1.1). */
#define VIRTQ_DESC_NEXT 1
#define VIRTQ_DESC_WRITE 2
#define VIRTQ_DESC_INDIRECT 4

/**
 * struct virtqueue_ops - a ring layout
 * @areas: bytes of the three parts for a ring of @size
 * @pop: as virtqueue_pop(), the queue being ready; a broken ring is reported by virtqueue_break()
 * @push: put a used element into the ring, unseen by the driver
 * @publish: show the driver what was pushed
 * @wants_interrupt: whether the driver wants to hear of what was pushed since it was asked last
 * @set_notification: write what the driver looks at before it notifies
 * @has_available: whether pop would find something
 */
struct virtqueue_ops {
	void (*areas)(unsigned int size, size_t *ret_desc, size_t *ret_driver, size_t *ret_device);
	int (*pop)(struct virtqueue *vq, struct virtqueue_chain *chain);
	void (*unpop)(struct virtqueue *vq, const struct virtqueue_chain *chain);
	void (*push)(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);
	void (*publish)(struct virtqueue *vq);
	bool (*wants_interrupt)(struct virtqueue *vq);
	void (*set_notification)(struct virtqueue *vq, bool on);
	bool (*has_available)(struct virtqueue *vq);
};

extern const struct virtqueue_ops virtqueue_split_ops;
extern const struct virtqueue_ops virtqueue_packed_ops;

/* virtqueue.c */

/** virtqueue_reset() - as after power on. */
void virtqueue_reset(struct virtqueue *vq);

/** virtqueue_enable() - find the ring in guest memory. Return: 0, or -EFAULT, -EINVAL. */
int virtqueue_enable(struct virtqueue *vq);

/** virtqueue_break() - the ring makes no sense: the device needs a reset. Return: 0, for pop. */
int virtqueue_break(struct virtqueue *vq, const char *why);

/** virtqueue_add_segment() - append a buffer to @chain. Return: whether it is one; else the queue
 *  is broken. */
bool virtqueue_add_segment(struct virtqueue *vq, struct virtqueue_chain *chain, gpa_t gpa,
			   uint32_t size, bool writable);

/** struct virtqueue_table - an indirect table: by host address where it lies in one piece. */
struct virtqueue_table {
	gpa_t gpa;
	const uint8_t *host;
	unsigned int count;
};

/** virtqueue_open_table() - check the indirect table that a descriptor names. */
bool virtqueue_open_table(struct virtqueue *vq, gpa_t gpa, uint32_t size,
			  struct virtqueue_table *ret_table);

/** struct virtqueue_raw - the 16 bytes of a descriptor, read once. */
struct virtqueue_raw {
	uint64_t address;
	uint64_t rest;
};

/** virtqueue_read_table() - entry @n < count. Return: false when it is not in memory (then the
 *  queue is broken). */
bool virtqueue_read_table(struct virtqueue *vq, const struct virtqueue_table *table,
			  unsigned int n, struct virtqueue_raw *ret_raw);

/** raw_at() - a descriptor in guest memory, each half in one load so that the guest cannot change
 *  it between check and use. */
static inline struct virtqueue_raw raw_at(const uint8_t *at)
{
	const uint64_t *words = (const uint64_t *)at;

	return (struct virtqueue_raw){
		.address = __atomic_load_n(&words[0], __ATOMIC_RELAXED),
		.rest = __atomic_load_n(&words[1], __ATOMIC_RELAXED),
	};
}

static inline uint16_t area_load16(const struct virtqueue_area *area, size_t offset)
{
	return __atomic_load_n((const uint16_t *)(area->host + offset), __ATOMIC_ACQUIRE);
}

static inline void area_store16(struct virtqueue_area *area, size_t offset, uint16_t value)
{
	__atomic_store_n((uint16_t *)(area->host + offset), value, __ATOMIC_RELEASE);
	mem_region_written(area->region, area->offset + offset, sizeof(value));
}

/** virtqueue_barrier() - what was stored is seen by the driver before what is loaded next. An
 *  exchange, since the thread sanitizer knows no fences. */
static inline void virtqueue_barrier(struct virtqueue *vq)
{
	__atomic_exchange_n(&vq->barrier, 1, __ATOMIC_SEQ_CST);
}

/** virtqueue_passed() - section 2.7.10: going from @old to @new passed @event. */
static inline bool virtqueue_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* virtio.c */

/** virtio_reset() - by the driver: at once, or when the chains in flight are back. */
void virtio_reset(struct virtio_device *vdev);

/** virtio_chain_returned() - one is not in flight any more. */
void virtio_chain_returned(struct virtqueue *vq);

/** virtio_interrupt() - for @vector, and by the wire with @isr_bit where there is no MSI-X. */
void virtio_interrupt(struct virtio_device *vdev, uint16_t vector, uint8_t isr_bit);

/** virtio_set_status() - by the driver. */
void virtio_set_status(struct virtio_device *vdev, uint8_t status);

void virtio_kick_all(struct virtio_device *vdev);

/* virtio_pci.c */
int virtio_pci_publish(struct virtio_device *vdev, struct error *err);

/** virtio_pci_update_irqfds() - attach to and detach from the engine as vectors are now. */
void virtio_pci_update_irqfds(struct virtio_device *vdev);

/** virtio_pci_stop() - take every eventfd away from the engine. */
void virtio_pci_stop(struct virtio_device *vdev);

static inline const struct virtio_device_ops *virtio_ops(const struct virtio_device *vdev)
{
	return container_of(vdev->pci.dev.ops, struct virtio_device_ops, pci.base);
}

#endif
