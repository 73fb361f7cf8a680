/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Saved state of the virtio core. Rings lie in guest memory and are saved with it; what is saved
 * here is where they are and how far both sides have come. It is saved while nothing is in flight
 * (a device's pause sees to that), so there are no chains in it. What is loaded must be something
 * that a driver could have brought about.
 */

#include "bus/virtio_impl.h"

static void virtio_pre_save(void *base)
{
	struct virtio_device *vdev = base;

	memset(vdev->saved, 0, sizeof(vdev->saved));
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		vdev->saved[i] = vdev->queues[i].r;
	}
}

static int load_queue(struct virtqueue *vq, const struct virtqueue_registers *r, struct error *err)
{
	const char *path = vq->vdev->pci.dev.path;

	if (vq->in_flight > 0) {
		return error_set(err, EBUSY, "%s: queue %u is in use", path, vq->index);
	}
	virtqueue_reset(vq);
	vq->r = *r;
	vq->r.enabled = false;
	if (r->size == 0 || r->size > vq->max_size) {
		return error_set(err, EINVAL, "%s: queue %u cannot have size %u", path, vq->index,
				 r->size);
	}
	if (r->enabled && (!(vq->vdev->status & VIRTIO_STATUS_FEATURES_OK) ||
			   virtqueue_enable(vq) < 0)) {
		return error_set(err, EINVAL, "%s: queue %u cannot be where it is said to be", path,
				 vq->index);
	}
	return 0;
}

static int virtio_post_load(void *base, struct error *err)
{
	struct virtio_device *vdev = base;

	if ((vdev->status & VIRTIO_STATUS_FEATURES_OK) &&
	    (vdev->driver_features & ~vdev->device_features)) {
		return error_set(err, EINVAL,
				 "%s: the guest uses features 0x%llx, this device has 0x%llx",
				 vdev->pci.dev.path, (unsigned long long)vdev->driver_features,
				 (unsigned long long)vdev->device_features);
	}
	if ((vdev->status & VIRTIO_STATUS_DRIVER_OK) &&
	    !(vdev->status & VIRTIO_STATUS_FEATURES_OK)) {
		return error_set(err, EINVAL, "%s: it cannot have status 0x%02x",
				 vdev->pci.dev.path, vdev->status);
	}
	vdev->reset_pending = false;
	for (unsigned int i = 0; i < vdev->queue_count; i++) {
		int ret = load_queue(&vdev->queues[i], &vdev->saved[i], err);

		if (ret < 0) {
			return ret;
		}
	}
	virtio_pci_update_irqfds(vdev);
	virtio_kick_all(vdev);
	return 0;
}

static const struct state_field queue_fields[] = {
	STATE_FIELD(struct virtqueue_registers, desc),
	STATE_FIELD(struct virtqueue_registers, driver),
	STATE_FIELD(struct virtqueue_registers, device),
	STATE_FIELD(struct virtqueue_registers, size),
	STATE_FIELD(struct virtqueue_registers, msix_vector),
	STATE_FIELD(struct virtqueue_registers, last_avail),
	STATE_FIELD(struct virtqueue_registers, used_index),
	STATE_FIELD(struct virtqueue_registers, signalled_used),
	STATE_FIELD_BOOL(struct virtqueue_registers, enabled),
	STATE_FIELD_BOOL(struct virtqueue_registers, broken),
	STATE_FIELD_BOOL(struct virtqueue_registers, signalled_valid),
	STATE_FIELD_BOOL(struct virtqueue_registers, avail_wrap),
	STATE_FIELD_BOOL(struct virtqueue_registers, used_wrap),
	STATE_FIELD_BOOL(struct virtqueue_registers, notification_off),
	STATE_FIELDS_END,
};

static const struct state_table queue_state_table = {
	.version = 1,
	.fields = queue_fields,
};

static const struct state_field virtio_device_fields[] = {
	STATE_FIELD(struct virtio_device, driver_features),
	STATE_FIELD(struct virtio_device, device_feature_select),
	STATE_FIELD(struct virtio_device, driver_feature_select),
	STATE_FIELD(struct virtio_device, queue_select),
	STATE_FIELD(struct virtio_device, config_msix_vector),
	STATE_FIELD(struct virtio_device, status),
	STATE_FIELD(struct virtio_device, isr),
	STATE_FIELD(struct virtio_device, config_generation),
	STATE_FIELD_STRUCT(struct virtio_device, saved, VIRTIO_QUEUE_MAX, &queue_state_table),
	STATE_FIELDS_END,
};

const struct state_table virtio_device_state_table = {
	.version = 1,
	.fields = virtio_device_fields,
	.pre_save = virtio_pre_save,
	.post_load = virtio_post_load,
};
