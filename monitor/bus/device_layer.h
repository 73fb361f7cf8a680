/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_DEVICE_LAYER_H
#define LIMEN_BUS_DEVICE_LAYER_H

/*
 * How the PCI and virtio layers wrap the life of a device. Private to the bus.
 */

#include "bus/device.h"

/**
 * struct device_layer - what a kind of bus does around its devices; all members optional
 * @attach: before the device's create: its base is ready for declarations
 * @publish: after it: the guest can see the device
 * @stop: before the device's destroy: on return nothing calls into the device; also after a
 *        @publish that failed
 * @detach: after the device's destroy, or to undo @attach when create failed
 * @reset: before the device's own; lock held
 * @pause: before the device's own; without the lock
 * @resume: after the device's own; without the lock
 */
struct device_layer {
	int (*attach)(struct device *dev, struct error *err);
	int (*publish)(struct device *dev, struct error *err);
	void (*stop)(struct device *dev);
	void (*detach)(struct device *dev);
	void (*reset)(struct device *dev, enum reset_kind kind);
	int (*pause)(struct device *dev);
	void (*resume)(struct device *dev);
};

extern const struct device_layer pci_device_layer;
extern const struct device_layer virtio_device_layer;

#endif
