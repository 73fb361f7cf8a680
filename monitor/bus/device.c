/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The registry of device kinds and the life of a device. DEVICE_REGISTER places a pointer to each
 * kind's ops into the section limen_devices, whose bounds the linker provides, so that adding a
 * device touches no list. The order in that section means nothing.
 *
 * A PCI device is wrapped by the PCI layer, a virtio device by the virtio layer on top of it; the
 * wraps are called from outside in on the way to the device, and in reverse on the way back.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/device_layer.h"
#include "bus/pci.h"
#include "bus/virtio.h"

#define LAYERS_MAX 2

/* Weak: a program without any device has no such section. */
extern const struct device_ops *const __start_limen_devices[] __attribute__((weak));
extern const struct device_ops *const __stop_limen_devices[] __attribute__((weak));

static const struct device_layer *const bus_layers[][LAYERS_MAX] = {
	[DEVICE_BUS_SYSTEM] = { NULL },
	[DEVICE_BUS_PCI] = { &pci_device_layer },
	[DEVICE_BUS_VIRTIO] = { &pci_device_layer, &virtio_device_layer },
};

static unsigned int layer_count(const struct device *dev)
{
	unsigned int count = 0;

	while (count < LAYERS_MAX && bus_layers[dev->ops->bus][count]) {
		count++;
	}
	return count;
}

static const struct device_layer *layer(const struct device *dev, unsigned int n)
{
	return bus_layers[dev->ops->bus][n];
}

void device_ops_for_each(void (*fn)(void *opaque, const struct device_ops *ops), void *opaque)
{
	for (const struct device_ops *const *at = __start_limen_devices; at < __stop_limen_devices;
	     at++) {
		fn(opaque, *at);
	}
}

const struct device_ops *device_ops_find(const char *name)
{
	for (const struct device_ops *const *at = __start_limen_devices; at < __stop_limen_devices;
	     at++) {
		if (strcmp((*at)->name, name) == 0) {
			return *at;
		}
	}
	return NULL;
}

static void stop_layers(struct device *dev)
{
	for (unsigned int i = layer_count(dev); i-- > 0;) {
		if (layer(dev, i)->stop) {
			layer(dev, i)->stop(dev);
		}
	}
}

static void detach_layers(struct device *dev, unsigned int count)
{
	while (count-- > 0) {
		if (layer(dev, count)->detach) {
			layer(dev, count)->detach(dev);
		}
	}
}

static int attach_layers(struct device *dev, struct error *err)
{
	for (unsigned int i = 0; i < layer_count(dev); i++) {
		int ret = layer(dev, i)->attach ? layer(dev, i)->attach(dev, err) : 0;

		if (ret < 0) {
			detach_layers(dev, i);
			return ret;
		}
	}
	return 0;
}

static int publish_layers(struct device *dev, struct error *err)
{
	for (unsigned int i = layer_count(dev); i-- > 0;) {
		int ret = layer(dev, i)->publish ? layer(dev, i)->publish(dev, err) : 0;

		if (ret < 0) {
			return ret;
		}
	}
	return 0;
}

static struct device *device_alloc(const struct device_ops *ops, const struct device_env *env)
{
	struct device *dev = calloc(1, ops->instance_size);

	if (!dev) {
		return NULL;
	}
	dev->ops = ops;
	dev->env = *env;
	snprintf(dev->path, sizeof(dev->path), "%s", env->path);
	dev->env.path = dev->path;
	pthread_mutex_init(&dev->lock, NULL);
	list_init(&dev->node);
	return dev;
}

static void device_free(struct device *dev)
{
	list_remove(&dev->node);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

int device_create(const struct device_ops *ops, const struct device_env *env,
		  struct device **ret_device, struct error *err)
{
	struct device *dev = device_alloc(ops, env);
	int ret;

	if (!dev) {
		return error_set(err, ENOMEM, "%s: no memory", env->path);
	}
	ret = attach_layers(dev, err);
	if (ret < 0) {
		goto out_free;
	}
	ret = ops->create(dev, err);
	if (ret < 0) {
		goto out_detach;
	}
	ret = publish_layers(dev, err);
	if (ret < 0) {
		goto out_destroy;
	}
	device_reset(dev, RESET_COLD);
	*ret_device = dev;
	return 0;

out_destroy:
	stop_layers(dev);
	ops->destroy(dev);
out_detach:
	detach_layers(dev, layer_count(dev));
out_free:
	device_free(dev);
	return ret;
}

void device_destroy(struct device *dev)
{
	if (!dev) {
		return;
	}
	stop_layers(dev);
	dev->ops->destroy(dev);
	detach_layers(dev, layer_count(dev));
	device_free(dev);
}

void device_reset(struct device *dev, enum reset_kind kind)
{
	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = layer_count(dev); i-- > 0;) {
		if (layer(dev, i)->reset) {
			layer(dev, i)->reset(dev, kind);
		}
	}
	dev->ops->reset(dev, kind);
	pthread_mutex_unlock(&dev->lock);
}

int device_pause(struct device *dev)
{
	for (unsigned int i = layer_count(dev); i-- > 0;) {
		int ret = layer(dev, i)->pause ? layer(dev, i)->pause(dev) : 0;

		if (ret < 0) {
			return ret;
		}
	}
	return dev->ops->pause ? dev->ops->pause(dev) : 0;
}

void device_resume(struct device *dev)
{
	if (dev->ops->resume) {
		dev->ops->resume(dev);
	}
	for (unsigned int i = 0; i < layer_count(dev); i++) {
		if (layer(dev, i)->resume) {
			layer(dev, i)->resume(dev);
		}
	}
}

unsigned int device_state_tables(const struct device *dev,
				 const struct state_table *ret_tables[DEVICE_STATE_TABLES_MAX])
{
	unsigned int count = 0;

	if (dev->ops->bus != DEVICE_BUS_SYSTEM) {
		ret_tables[count++] = &pci_device_state_table;
	}
	if (dev->ops->bus == DEVICE_BUS_VIRTIO) {
		ret_tables[count++] = &virtio_device_state_table;
	}
	ret_tables[count++] = dev->ops->state;
	return count;
}

void device_log_guest_error(struct device *dev, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_write(LOG_AREA_DEVICE, LOG_LEVEL_WARN, "%s: the guest: %s", dev->path, text);
}
