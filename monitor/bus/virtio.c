/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The virtio core, virtio 1.2 sections 2 and 3, whatever the transport: device status, feature
 * negotiation, interrupts, notifications, reset and saved state.
 *
 * A driver's notification is a write to an eventfd, which the device's I/O thread waits for: the
 * vCPU that notifies goes on at once. A reset while chains are in flight (a disk still writes into
 * the driver's buffers) is finished when the last one is back; until then the status reads as
 * before, which drivers wait for (2.4.2).
 *
 * Not offered: legacy and transitional devices, queue reset, in-order use, notification data,
 * platform access (there is no IOMMU).
 */

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/device_layer.h"
#include "bus/virtio_impl.h"

#define STATUS_SETTABLE                                                                  \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |    \
	 VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)

/* ------- interrupts ------- */

void virtio_interrupt(struct virtio_device *vdev, uint16_t vector, uint8_t isr_bit)
{
	if (pci_msix_enabled(&vdev->pci)) {
		pci_msix_notify(&vdev->pci, vector);
	} else {
		vdev->isr |= isr_bit;
		pci_irq_set(&vdev->pci, true);
	}
}

void virtio_config_changed(struct virtio_device *vdev)
{
	vdev->config_generation++;
	if (vdev->status & VIRTIO_STATUS_DRIVER_OK) {
		virtio_interrupt(vdev, vdev->config_msix_vector, VIRTIO_ISR_CONFIG);
	}
}

void virtio_needs_reset(struct virtio_device *vdev, const char *why)
{
	device_guest_error(&vdev->pci.dev, "%s; the device needs a reset", why);
	if (vdev->status & VIRTIO_STATUS_NEEDS_RESET) {
		return;
	}
	vdev->status |= VIRTIO_STATUS_NEEDS_RESET;
	virtio_config_changed(vdev);
}

/* ------- notifications ------- */

void virtio_kick_all(struct virtio_device *vdev)
{
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		if (virtqueue_ready(&vdev->queues[i])) {
			virtqueue_kick(&vdev->queues[i]);
		}
	}
}

static void handle_notify(void *opaque, int fd, unsigned int events)
{
	struct virtqueue *vq = opaque;
	struct virtio_device *vdev = vq->vdev;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0) {
		return;
	}
	pthread_mutex_lock(&vdev->pci.dev.lock);
	if (!vdev->paused && virtqueue_ready(vq)) {
		vdev->ops->notify(vdev, vq->index);
	}
	pthread_mutex_unlock(&vdev->pci.dev.lock);
}

/* ------- status and reset ------- */

static void finish_reset(struct virtio_device *vdev)
{
	vdev->reset_pending = false;
	vdev->driver_features = 0;
	vdev->device_feature_select = 0;
	vdev->driver_feature_select = 0;
	vdev->queue_select = 0;
	vdev->config_msix_vector = VIRTIO_NO_VECTOR;
	vdev->status = 0;
	vdev->isr = 0;
	vdev->config_generation = 0;
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		virtqueue_reset(&vdev->queues[i]);
	}
	virtio_pci_update_irqfds(vdev);
	pci_irq_set(&vdev->pci, false);
	if (vdev->ops->status_changed) {
		vdev->ops->status_changed(vdev, 0);
	}
}

void virtio_reset(struct virtio_device *vdev)
{
	vdev->reset_pending = true;
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		if (vdev->queues[i].in_flight > 0) {
			return;
		}
	}
	finish_reset(vdev);
}

void virtio_chain_returned(struct virtqueue *vq)
{
	if (LIMEN_UNLIKELY(vq->vdev->reset_pending) && vq->in_flight == 0) {
		virtio_reset(vq->vdev);
	}
}

void virtio_set_status(struct virtio_device *vdev, uint8_t status)
{
	uint8_t set;

	if (status == 0) {
		virtio_reset(vdev);
		return;
	}
	if (vdev->reset_pending) {
		return;
	}
	/* The driver only ever adds to it (2.1.1). */
	set = status & ~vdev->status & STATUS_SETTABLE;
	if ((set & VIRTIO_STATUS_FEATURES_OK) &&
	    ((vdev->driver_features & ~vdev->device_features) ||
	     !virtio_has_feature(vdev, VIRTIO_F_VERSION_1))) {
		device_guest_error(&vdev->pci.dev, "it accepts features 0x%llx of 0x%llx",
				   (unsigned long long)vdev->driver_features,
				   (unsigned long long)vdev->device_features);
		set &= ~VIRTIO_STATUS_FEATURES_OK;
	}
	if ((set & VIRTIO_STATUS_DRIVER_OK) &&
	    !((vdev->status | set) & VIRTIO_STATUS_FEATURES_OK)) {
		device_guest_error(&vdev->pci.dev, "it goes on without having agreed on features");
		set &= ~VIRTIO_STATUS_DRIVER_OK;
	}
	vdev->status |= set;
	if (set & VIRTIO_STATUS_DRIVER_OK) {
		if (vdev->ops->status_changed) {
			vdev->ops->status_changed(vdev, vdev->status);
		}
		/* What was made available before this is found without a notification. */
		virtio_kick_all(vdev);
	}
}

/* ------- life ------- */

static bool has_key(const struct config_key *keys, const char *name)
{
	for (; keys && keys->name; keys++) {
		if (strcmp(keys->name, name) == 0) {
			return true;
		}
	}
	return false;
}

static int virtio_layer_attach(struct device *dev, struct error *err)
{
	struct virtio_device *vdev = virtio_device_from_device(dev);

	vdev->ops = virtio_ops(vdev);
	vdev->queue_count = vdev->ops->queue_count;
	vdev->queues = calloc(vdev->ops->queue_count, sizeof(vdev->queues[0]));
	if (!vdev->queues) {
		return error_set(err, ENOMEM, "%s: no memory for its queues", dev->path);
	}
	for (unsigned int i = 0; i < vdev->ops->queue_count; i++) {
		struct virtqueue *vq = &vdev->queues[i];

		vq->vdev = vdev;
		vq->index = i;
		vq->max_size = vdev->ops->queue_size;
		vq->notify_fd = -1;
		vq->irq_fd = -1;
		vq->notify_address = UINT64_MAX;
		virtqueue_reset(vq);
	}
	return 0;
}

static int publish_queue(struct virtqueue *vq, struct error *err)
{
	struct device *dev = &vq->vdev->pci.dev;
	int ret;

	vq->notify_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vq->irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vq->notify_fd < 0 || vq->irq_fd < 0) {
		return error_set(err, errno, "%s: no eventfd: %s", dev->path, strerror(errno));
	}
	ret = event_loop_add_fd(dev->env.io_loop, vq->notify_fd, EVENT_READ, handle_notify, vq,
				&vq->notify_source);
	if (ret < 0) {
		return error_set(err, -ret, "%s: the event loop takes no more: %s", dev->path,
				 strerror(-ret));
	}
	return 0;
}

static int virtio_layer_publish(struct device *dev, struct error *err)
{
	struct virtio_device *vdev = virtio_device_from_device(dev);
	int ret;

	vdev->device_features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) |
				BIT(VIRTIO_F_EVENT_IDX) | vdev->ops->features(vdev);
	if (has_key(dev->ops->keys, "packed") && config_get_bool(&dev->env.config, "packed")) {
		vdev->device_features |= BIT(VIRTIO_F_RING_PACKED);
	}
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		ret = publish_queue(&vdev->queues[i], err);
		if (ret < 0) {
			return ret;
		}
	}
	return virtio_pci_publish(vdev, err);
}

static void virtio_layer_stop(struct device *dev)
{
	struct virtio_device *vdev = virtio_device_from_device(dev);

	for (unsigned int i = 0; i < vdev->ops->queue_count; i++) {
		event_source_remove_wait(vdev->queues[i].notify_source);
		vdev->queues[i].notify_source = NULL;
	}
	virtio_pci_stop(vdev);
}

static void virtio_layer_detach(struct device *dev)
{
	struct virtio_device *vdev = virtio_device_from_device(dev);

	for (unsigned int i = 0; i < vdev->ops->queue_count; i++) {
		if (vdev->queues[i].notify_fd >= 0) {
			close(vdev->queues[i].notify_fd);
		}
		if (vdev->queues[i].irq_fd >= 0) {
			close(vdev->queues[i].irq_fd);
		}
	}
	free(vdev->queues);
}

static void virtio_layer_reset(struct device *dev, enum reset_kind kind)
{
	virtio_reset(virtio_device_from_device(dev));
}

static int virtio_layer_pause(struct device *dev)
{
	struct virtio_device *vdev = virtio_device_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	vdev->paused = true;
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

static void virtio_layer_resume(struct device *dev)
{
	struct virtio_device *vdev = virtio_device_from_device(dev);

	/* Notifications that came while it was paused were dropped. */
	pthread_mutex_lock(&dev->lock);
	vdev->paused = false;
	virtio_kick_all(vdev);
	pthread_mutex_unlock(&dev->lock);
}

const struct device_layer virtio_device_layer = {
	.attach = virtio_layer_attach,
	.publish = virtio_layer_publish,
	.stop = virtio_layer_stop,
	.detach = virtio_layer_detach,
	.reset = virtio_layer_reset,
	.pause = virtio_layer_pause,
	.resume = virtio_layer_resume,
};
