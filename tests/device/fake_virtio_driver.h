/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_FAKE_VIRTIO_DRIVER_H
#define LIMEN_TESTS_FAKE_VIRTIO_DRIVER_H

/*
 * The driver's side of virtio over PCI, for tests of virtio devices in a fake machine: it finds the
 * structures by their capabilities, negotiates, sets up split or packed rings, and exchanges
 * buffers. Rings and buffers lie in the fake machine's RAM, from 1 MiB up.
 */

#include "bus/virtio.h"
#include "device/fake_machine.h"

#define DRIVER_QUEUES_MAX VIRTIO_QUEUE_MAX
#define DRIVER_QUEUE_SIZE_MAX 256
#define DRIVER_MEMORY_BASE MIB(1)

/** struct driver_buffer - one buffer of a chain; @writable: by the device. */
struct driver_buffer {
	gpa_t gpa;
	uint32_t size;
	bool writable;
};

/**
 * struct driver_queue - a ring as the driver sees it
 * @next: split: avail index; packed: place of the next descriptor
 * @taken: split: used index; packed: place of the next used one
 * @free: ring entries that are free
 * @entries: by ID, how many ring entries the chain took
 */
struct driver_queue {
	uint16_t size;
	gpa_t desc;
	gpa_t driver;
	gpa_t device;
	uint16_t next;
	uint16_t taken;
	bool next_wrap;
	bool taken_wrap;
	uint16_t free;
	uint16_t next_free[DRIVER_QUEUE_SIZE_MAX];
	uint16_t first_free;
	uint16_t entries[DRIVER_QUEUE_SIZE_MAX];
};

struct virtio_driver {
	struct fake_machine *fm;
	struct device *dev;
	uint64_t common;
	uint64_t notify;
	uint64_t isr;
	uint64_t config;
	uint32_t notify_multiplier;
	uint64_t features;
	bool packed;
	gpa_t memory_next;
	struct driver_queue queues[DRIVER_QUEUES_MAX];
};

/** virtio_driver_init() - enable the PCI device, reset it, and agree on what it offers of
 *  @features (VERSION_1 is added). Fails the test when the device refuses. */
void virtio_driver_init(struct virtio_driver *drv, struct fake_machine *fm, struct device *dev,
			uint64_t features);

/** virtio_driver_offered() - the features that the device offers. */
uint64_t virtio_driver_offered(struct virtio_driver *drv);

void virtio_driver_setup_queue(struct virtio_driver *drv, unsigned int n, uint16_t size);

/** virtio_driver_start() - set DRIVER_OK. virtio_driver_status(), _reset(): read, write 0. */
void virtio_driver_start(struct virtio_driver *drv);
uint8_t virtio_driver_status(struct virtio_driver *drv);
void virtio_driver_reset(struct virtio_driver *drv);

/** virtio_driver_enable_msix() - message n with data 0x40 + n for queue n, and 0x3f for the
 *  configuration. Before the queues are set up. */
void virtio_driver_enable_msix(struct virtio_driver *drv);

/** virtio_driver_alloc() - @size bytes of RAM, zeroed, aligned to 16. */
gpa_t virtio_driver_alloc(struct virtio_driver *drv, size_t size);

/**
 * virtio_driver_add() - make a chain available
 * @indirect: through an indirect table
 *
 * Return: its ID.
 */
uint16_t virtio_driver_add(struct virtio_driver *drv, unsigned int n,
			   const struct driver_buffer *buffers, unsigned int count, bool indirect);

/** virtio_driver_notify() - write the notification, and run the machine's loop. */
void virtio_driver_notify(struct virtio_driver *drv, unsigned int n);

/** virtio_driver_wants_notify() - whether the device asks to be notified of what was added last. */
bool virtio_driver_wants_notify(struct virtio_driver *drv, unsigned int n, uint16_t added);

/** virtio_driver_take() - the next chain that the device gave back; false when there is none. */
bool virtio_driver_take(struct virtio_driver *drv, unsigned int n, uint16_t *ret_id,
			uint32_t *ret_written);

/** virtio_driver_set_interrupt() - turn the queue's interrupts off (always) or on (always), or with
 *  EVENT_IDX ask for one when @after more chains (packed: entries) were given back. */
void virtio_driver_set_interrupt(struct virtio_driver *drv, unsigned int n, bool on);
void virtio_driver_set_event(struct virtio_driver *drv, unsigned int n, uint16_t after);

/** Registers, of common configuration and of the device's own. */
uint32_t virtio_driver_read(struct virtio_driver *drv, unsigned int offset, unsigned int size);
void virtio_driver_write(struct virtio_driver *drv, unsigned int offset, uint32_t value,
			 unsigned int size);
uint64_t virtio_driver_config(struct virtio_driver *drv, unsigned int offset, unsigned int size);
void virtio_driver_set_config(struct virtio_driver *drv, unsigned int offset, uint32_t value,
			      unsigned int size);

#endif
