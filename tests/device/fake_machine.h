/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_FAKE_MACHINE_H
#define LIMEN_TESTS_FAKE_MACHINE_H

/*
 * A machine without CPUs, for tests of devices: address spaces, guest memory, a clock that moves
 * only when told, an event loop, and recorders in place of everything that a device can drive. All
 * of it runs on the calling thread. A test of a device reads as:
 *
 *	struct fake_machine *fm = fake_machine_create();
 *	struct device *dev = fake_machine_create_device(fm, "rtc", NULL);
 *
 *	fake_outb(fm, 0x70, 0x0a);
 *	assert_int_equal(fake_inb(fm, 0x71), 0x26);
 *	...
 *	fake_machine_check_device(fm, dev, kept_by_reset);
 *	fake_machine_destroy(fm);
 *
 * What goes wrong inside these helpers fails the test (or the fuzz target) at once.
 */

#include <pthread.h>

#include "bus/device.h"
#include "bus/pci.h"

#define FAKE_RAM_SIZE MIB(16)
#define FAKE_IRQS 24
#define FAKE_MSI_MAX 64
#define FAKE_PATHS_MAX 16
#define FAKE_SETTINGS_MAX 64

/** struct fake_line - an interrupt line: its level now, and how often it rose. */
struct fake_line {
	_Atomic bool level;
	_Atomic unsigned int edges;
};

/** struct fake_power - what was asked of the machine, counted. */
struct fake_power {
	struct power_sink sink;
	_Atomic unsigned int resets;
	_Atomic unsigned int shutdowns;
	_Atomic unsigned int suspends;
	_Atomic unsigned int exits;
	_Atomic int exit_status;
};

/** struct fake_msi - the messages delivered: how many, and the last ones (n % FAKE_MSI_MAX). */
struct fake_msi {
	struct msi_sink sink;
	pthread_mutex_t lock;
	unsigned int count;
	struct msi_message messages[FAKE_MSI_MAX];
};

struct fake_setting {
	char path[96];
	char *value;
};

/**
 * struct fake_machine - all members may be read by tests
 * @ram: FAKE_RAM_SIZE bytes at guest address 0, all zero
 * @irqs, @lines: what devices drive as env.irqs, and what came out
 * @intx: the PCI wires by slot and pin (0-3), as the bus routes them
 * @pci: NULL until the first PCI or virtio device; ECAM at FAKE_ECAM_BASE
 * @user: the test's own, for its tweak functions
 */
struct fake_machine {
	struct io_space *ports;
	struct io_space *mmio;
	struct guest_memory *memory;
	struct mem_region *ram;
	struct machine_clock *clock;
	struct event_loop *loop;
	struct config_tree *config;
	struct irq_line irqs[FAKE_IRQS];
	struct fake_line lines[FAKE_IRQS];
	struct fake_power power;
	struct fake_msi msi;
	struct fake_line intx[PCI_BUS_SLOTS][4];
	struct pci_bus *pci;
	struct list devices;
	const char *declared[FAKE_PATHS_MAX];
	unsigned int declared_count;
	struct fake_setting settings[FAKE_SETTINGS_MAX];
	unsigned int setting_count;
	void *user;
};

#define FAKE_ECAM_BASE UINT64_C(0xb0000000)

/** Changes to the environment of a device that is being created in @fm: its path, its peers and its
 *  back ends, devfn. It is called again for the second instance that checks compare with. */
typedef void (*fake_tweak_fn)(struct fake_machine *fm, struct device_env *env);

struct fake_machine *fake_machine_create(void);

/** fake_machine_destroy() - with its devices, last created first. */
void fake_machine_destroy(struct fake_machine *fm);

/**
 * fake_machine_set() - set @key of the device of kind @kind that will be created with path @path
 *
 * Before its creation; @path must outlive the machine (a literal).
 */
void fake_machine_set(struct fake_machine *fm, const char *kind, const char *path, const char *key,
		      const char *value);

/**
 * fake_machine_create_device() - an instance of the kind called @kind, reset
 * @tweak: may be NULL: the path is then the kind's name, the slot the first free one from 1
 */
struct device *fake_machine_create_device(struct fake_machine *fm, const char *kind,
					  fake_tweak_fn tweak);

/** fake_machine_try_create() - the same for a creation that may fail: 0 or -errno. */
int fake_machine_try_create(struct fake_machine *fm, const char *kind, fake_tweak_fn tweak,
			    struct device **ret_device, struct error *err);

/** fake_machine_destroy_device() - before the machine itself. */
void fake_machine_destroy_device(struct fake_machine *fm, struct device *dev);

/** fake_machine_advance() - move the clock on, running timers that fall due, and then the loop. */
void fake_machine_advance(struct fake_machine *fm, uint64_t ns);

/** fake_machine_run() - run the event loop until it has nothing to do. */
void fake_machine_run(struct fake_machine *fm);

/** fake_machine_last_msi() - the message delivered last; fails when there was none. */
struct msi_message fake_machine_last_msi(struct fake_machine *fm);

/* ------- saved state and reset ------- */

/** struct fake_image - the state of a device as bytes, and which field each part belongs to. */
struct fake_image {
	uint8_t *data;
	size_t size;
	size_t capacity;
	struct fake_label {
		char name[64];
		size_t offset;
	} *labels;
	size_t label_count;
};

/** fake_state_save() - the state of @dev, by its tables. Free with fake_image_finish(). */
void fake_state_save(struct device *dev, struct fake_image *ret_image);
void fake_image_finish(struct fake_image *image);

/** fake_state_load() - load @image, with post_load and timers. Return: 0 or what post_load said;
 *  -EINVAL for an image that is not one of this kind of device. */
int fake_state_load(struct device *dev, const struct fake_image *image, struct error *err);

/** fake_image_field() - where field @name ("queues[1].size") lies in @image, to forge its value;
 *  fails when there is none. */
uint8_t *fake_image_field(struct fake_image *image, const char *name);

/**
 * fake_machine_check_device() - what every device test ends with
 * @kept: names of the fields ("cmos") whose value a cold reset keeps, ended by NULL; NULL for none
 *
 * Saves @dev, loads that into a second instance (in a second machine with the same memory contents
 * and time), saves that and compares. Then resets @dev, and compares with an instance that was just
 * created.
 */
void fake_machine_check_device(struct fake_machine *fm, struct device *dev,
			       const char *const *kept);

/* ------- accesses by the guest ------- */

static inline uint8_t fake_inb(struct fake_machine *fm, uint16_t port)
{
	return io_read(fm->ports, port, 1);
}

static inline uint16_t fake_inw(struct fake_machine *fm, uint16_t port)
{
	return io_read(fm->ports, port, 2);
}

static inline uint32_t fake_inl(struct fake_machine *fm, uint16_t port)
{
	return io_read(fm->ports, port, 4);
}

static inline void fake_outb(struct fake_machine *fm, uint16_t port, uint8_t value)
{
	io_write(fm->ports, port, value, 1);
}

static inline void fake_outw(struct fake_machine *fm, uint16_t port, uint16_t value)
{
	io_write(fm->ports, port, value, 2);
}

static inline void fake_outl(struct fake_machine *fm, uint16_t port, uint32_t value)
{
	io_write(fm->ports, port, value, 4);
}

static inline uint64_t fake_mmio_read(struct fake_machine *fm, gpa_t gpa, unsigned int size)
{
	return io_read(fm->mmio, gpa, size);
}

static inline void fake_mmio_write(struct fake_machine *fm, gpa_t gpa, uint64_t value,
				   unsigned int size)
{
	io_write(fm->mmio, gpa, value, size);
}

/** fake_ram() - host pointer to [@gpa, @gpa + @size) of RAM; fails beyond it. */
void *fake_ram(struct fake_machine *fm, gpa_t gpa, size_t size);

/** Configuration space of @dev, a PCI or virtio device. */
uint32_t fake_pci_read(struct fake_machine *fm, struct device *dev, unsigned int offset,
		       unsigned int size);
void fake_pci_write(struct fake_machine *fm, struct device *dev, unsigned int offset,
		    uint32_t value, unsigned int size);

/** fake_pci_enable() - as firmware does: size all BARs, give them addresses (memory from 0xe0000000
 *  up and ports from 0xc000 up, apart for each slot), and enable decoding and bus mastering. */
void fake_pci_enable(struct fake_machine *fm, struct device *dev);

/** fake_pci_bar() - the address that BAR @n has now. */
uint64_t fake_pci_bar(struct fake_machine *fm, struct device *dev, unsigned int n);

/** fake_pci_find_capability() - offset of the first capability @id at or after @from (0: from the
 *  start), or 0. */
unsigned int fake_pci_find_capability(struct fake_machine *fm, struct device *dev, uint8_t id,
				      unsigned int from);

#endif
