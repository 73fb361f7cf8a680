/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_DEVICE_H
#define LIMEN_BUS_DEVICE_H

/*
 * The device contract. A device is one .c file that ends in `static const struct device_ops
 * foo_ops` and DEVICE_REGISTER(foo_ops). It receives only what its hardware's pins had: address
 * spaces, interrupt lines, guest memory for DMA, the machine's clock, its back end and its place in
 * the configuration tree.
 *
 * Its own lock (dev->lock) is held by the core around its I/O handlers, timers, reset, pause,
 * resume and state tables; back-end callbacks take it themselves. PCI and virtio devices wrap this
 * contract with pci.h and virtio.h.
 */

#include <pthread.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/state_table.h"
#include "bus/io.h"
#include "bus/irq.h"
#include "memory/guest_memory.h"

struct device;
struct pci_bus;
struct block_device;
struct net_backend;
struct char_backend;
struct display;
struct input_router;

enum device_bus {
	DEVICE_BUS_SYSTEM, /* chipset parts at fixed addresses, ISA devices */
	DEVICE_BUS_PCI,	   /* instances start with struct pci_device */
	DEVICE_BUS_VIRTIO, /* instances start with struct virtio_device */
};

enum reset_kind {
	RESET_COLD, /* power on, system reset: everything */
	RESET_BUS,  /* a reset of the bus it sits on */
	RESET_WAKE, /* back from S3: as cold, but firmware is in shadow RAM as it left it */
};

/**
 * struct power_sink - what chipset parts ask of the machine; each returns at once and acts later on
 * the main loop; any thread
 * @reset: all of the machine (port 92, 0xcf9, keyboard controller)
 * @shutdown: soft power off
 * @suspend: S3
 * @exit_status: --test-device's debug exit: the run ends with @status
 */
struct power_sink {
	void (*reset)(struct power_sink *sink);
	void (*shutdown)(struct power_sink *sink);
	void (*suspend)(struct power_sink *sink);
	void (*exit_status)(struct power_sink *sink, int status);
};

/**
 * struct device_env - what a device is plugged into; outlives it
 * @ports, @mmio: where its regions go
 * @irqs: the ISA interrupt lines 0-15 and further IOAPIC pins 16-23, as they reach the interrupt
 *        controllers
 * @config: its keys
 * @path: unique, "rtc", "disk.0", "pci.0.3.0": log prefix and section name of its saved state
 * @output: a device's own output pin (PIC INTR, PIT OUT0, RTC IRQ; bus/chipset.h says which)
 * @msi: where the IOAPIC's messages go
 * @pci, @devfn: for PCI and virtio devices, where it sits
 * @io_loop: the loop of the I/O thread it was given, or the main loop
 * @drives, @cdroms: for controllers of several drives: their back ends (NULL: no drive there), and
 *                   which of them are CD-ROM drives, a bit each
 * Back ends are NULL unless the device asked for one; they outlive it.
 */
struct device_env {
	struct io_space *ports;
	struct io_space *mmio;
	struct guest_memory *memory;
	const struct irq_line *irqs;
	struct irq_line output;
	struct msi_sink *msi;
	struct machine_clock *clock;
	struct event_loop *loop;
	struct event_loop *io_loop;
	struct power_sink *power;
	struct config_view config;
	const char *path;
	struct pci_bus *pci;
	int devfn;
	struct block_device *block;
	struct block_device *drives[4];
	unsigned int cdroms;
	struct net_backend *net;
	struct char_backend *chr;
	struct display *display;
	struct input_router *input;
	/* Other devices that this one is wired to on the board, by role; see the device's own
	 * header. */
	struct device *peer[4];
};

/**
 * struct device_ops - one kind of device
 * @name: "rtc", "virtio-blk": configuration value and log prefix
 * @instance_size: of the struct that starts with struct device (or pci_device, virtio_device);
 *                 zeroed
 * @keys: configuration keys that an instance understands; may be NULL
 * @state: what is saved of it; mandatory
 * @create: mandatory. The base is initialised; on failure it undoes what it did itself
 * @destroy: mandatory; no vCPU runs
 * @reset: mandatory; lock held
 * @pause: no vCPU runs; finish requests in flight so that the state is complete; optional. Called
 *         without the lock
 * @resume: optional
 */
struct device_ops {
	const char *name;
	enum device_bus bus;
	size_t instance_size;
	const struct config_key *keys;
	const struct state_table *state;
	int (*create)(struct device *dev, struct error *err);
	void (*destroy)(struct device *dev);
	void (*reset)(struct device *dev, enum reset_kind kind);
	int (*pause)(struct device *dev);
	void (*resume)(struct device *dev);
};

/**
 * struct device - base of every device, first member of its struct
 * @lock: a plain mutex; guards all of the device's state
 * @guest_errors: budget of log lines that the guest can provoke
 */
struct device {
	const struct device_ops *ops;
	struct device_env env;
	char path[48];
	pthread_mutex_t lock;
	struct log_limit guest_errors;
	struct list node; /* the machine's list of devices */
};

/** DEVICE_REGISTER() - make a kind of device known by its name: DEVICE_REGISTER(foo_ops), of a PCI
 *  kind DEVICE_REGISTER(foo_ops.base), of a virtio kind DEVICE_REGISTER(foo_ops.pci.base). */
#define DEVICE_REGISTER(kind_ops)                                                  \
	static const struct device_ops *const DEVICE_REGISTER_NAME_(__LINE__)      \
		__attribute__((used, section("limen_devices"))) = &kind_ops
#define DEVICE_REGISTER_NAME_(line) DEVICE_REGISTER_NAME__(line)
#define DEVICE_REGISTER_NAME__(line) device_register_##line

/** device_ops_find() - the kind called @name, or NULL. */
const struct device_ops *device_ops_find(const char *name);

/** device_ops_for_each() - visit every kind known. */
void device_ops_for_each(void (*fn)(void *opaque, const struct device_ops *ops), void *opaque);

/**
 * device_create() - make an instance of @ops in @env (copied), calling its create and then a cold
 * reset
 *
 * For PCI and virtio kinds, the wrapping layer is set up before create. Main thread.
 */
int device_create(const struct device_ops *ops, const struct device_env *env,
		  struct device **ret_device, struct error *err);

/** device_destroy() - main thread; no vCPU runs. The loops it uses are still there; one that
 *  another thread runs is waited for. NULL is allowed. */
void device_destroy(struct device *dev);

/** device_reset() - any thread. A device with requests in flight finishes its reset when they are
 *  done; a system reset pauses devices before it, so that there are none. */
void device_reset(struct device *dev, enum reset_kind kind);

/**
 * device_pause() - finish what is in flight; no vCPU runs. Return: 0, or -errno when a request
 * cannot be finished
 */
int device_pause(struct device *dev);
void device_resume(struct device *dev);

#define DEVICE_STATE_TABLES_MAX 3

/**
 * device_state_tables() - what is saved of @dev: its wrapping layers' tables, then its own
 *
 * Every table describes the struct that starts at @dev. Loading applies them in this order, each
 * with its post_load (which calls none of the device's locks: the caller holds it). Return: how
 * many.
 */
unsigned int device_state_tables(const struct device *dev,
				 const struct state_table *ret_tables[DEVICE_STATE_TABLES_MAX]);

/** device_guest_error() - log, rate-limited, that the guest did something wrong. */
#define device_guest_error(dev, ...)                                               \
	do {                                                                       \
		if (log_enabled(LOG_AREA_DEVICE, LOG_LEVEL_WARN) &&                \
		    log_limit_pass(&(dev)->guest_errors)) {                        \
			device_log_guest_error(dev, __VA_ARGS__);                  \
		}                                                                  \
	} while (0)
void device_log_guest_error(struct device *dev, const char *fmt, ...) LIMEN_PRINTF(2, 3);

#endif
