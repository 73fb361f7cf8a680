/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICH9's LPC bridge, 00:1f.0: datasheet (order 316972), chapters 10 and 13. The routing of PCI's
 * interrupt wires to PIRQ A-H and on to PIC and IOAPIC, the reset control register at CF9h, the APM
 * ports B2h/B3h, and where the power-management block (ich9_pm.c) lies.
 *
 * PIRQ n always reaches IOAPIC pin 16 + n, and the PIC line of its PIRQn_ROUT register unless that
 * says "not routed". The SCI shares PIC line and IOAPIC pin with whatever else is on them. Routing
 * has a lock of its own, the last before the interrupt controllers', because wires change with
 * other devices' locks held.
 *
 * Left out: GPIO (no pin is wired to anything, so GPIOBASE stays disabled), SPI flash, serial IRQ
 * timing, and of the root complex registers all but the interrupt routes and GCS.
 */

#include "bus/chipset.h"
#include "bus/pci.h"

#include <assert.h>

#include "ich9.h"

/* Configuration registers, section 13.1. */
#define PMBASE 0x40
#define ACPI_CONTROL 0x44
#define GPIOBASE 0x48
#define PIRQA_ROUTE 0x60
#define SERIRQ_CONTROL 0x64
#define PIRQE_ROUTE 0x68
#define LPC_DECODE 0x80
#define GEN_PMCON 0xa0
#define RCBA 0xf0

#define PMBASE_IO 1
#define PMBASE_ADDRESS 0xff80
#define ACPI_ENABLE BIT(7)
#define ACPI_SCI_SELECT 7
#define PIRQ_NOT_ROUTED BIT(7)
#define RCBA_ENABLE 1
#define RCBA_ADDRESS UINT32_C(0xffffc000)
#define RCBA_SIZE 0x4000

/* Root complex registers, section 10.1. */
#define RCBA_D31IR 0x3140
#define RCBA_GCS 0x3410
#define GCS_NO_REBOOT BIT(5)

#define RESET_CPU BIT(2)
#define RESET_KEPT 0x0a

#define APM_ACPI_ENABLE 2
#define APM_ACPI_DISABLE 3

#define PIRQS 8
#define FIRST_DIR_SLOT 25
#define DIR_COUNT (PCI_BUS_SLOTS - FIRST_DIR_SLOT)
#define DIR_DEFAULT 0x3210

/**
 * struct ich9 - the bridge
 * @route_lock: guards the interrupt wiring: @wires to @ioapic_pins
 * @wires: levels of each slot's INTA-INTD, a bit each; @extra: of ich9_pirq_input()
 * @routes: the PIC line of each PIRQ, 0 for none; a copy of what configuration space says
 * @dir: DnnIR, by slot - 25: a nibble for each pin
 * @sci_irq: the IOAPIC pin (and PIC line, below 16) of the SCI
 * @pic_lines, @ioapic_pins: what is driven now
 */
struct ich9 {
	struct pci_device pci;
	struct ich9_pm pm;
	pthread_mutex_t route_lock;
	uint8_t wires[PCI_BUS_SLOTS];
	uint8_t extra;
	uint8_t routes[PIRQS];
	uint16_t dir[DIR_COUNT];
	uint8_t sci_irq;
	bool sci;
	uint16_t pic_lines;
	uint32_t ioapic_pins;
	uint8_t apm[2];
	uint8_t reset_control;
	struct irq_line pic[16];
	struct irq_line ioapic[24];
	struct io_region apm_region;
	struct io_region rcba_region;
};

static const struct pci_device_ops ich9_ops;

static struct ich9 *ich9_from_device(struct device *dev)
{
	assert(dev->ops == &ich9_ops.base);
	return container_of(dev, struct ich9, pci.dev);
}

/* ---- interrupt routing ---- */

static unsigned int pirq_of(const struct ich9 *ich9, unsigned int slot, unsigned int pin)
{
	if (slot < FIRST_DIR_SLOT) {
		return 4 + (slot + pin) % 4;
	}
	return ich9->dir[slot - FIRST_DIR_SLOT] >> (4 * pin) & 7;
}

static uint8_t pirq_levels(const struct ich9 *ich9)
{
	uint8_t levels = ich9->extra;

	for (unsigned int slot = 0; slot < PCI_BUS_SLOTS; slot++) {
		for (unsigned int pin = 0; ich9->wires[slot] >> pin; pin++) {
			if (ich9->wires[slot] & BIT(pin)) {
				levels |= BIT(pirq_of(ich9, slot, pin));
			}
		}
	}
	return levels;
}

static void drive_changes(const struct irq_line *lines, uint32_t old, uint32_t levels)
{
	for (uint32_t changed = old ^ levels; changed; changed &= changed - 1) {
		unsigned int n = (unsigned int)__builtin_ctz(changed);

		irq_set(&lines[n], levels & BIT(n));
	}
}

/* Compute what the controllers' pins should be at, and drive what differs. */
static void update_routing_locked(struct ich9 *ich9)
{
	uint8_t pirqs = pirq_levels(ich9);
	uint32_t pins = (uint32_t)pirqs << 16;
	uint32_t lines = 0;
	uint32_t old;

	for (unsigned int n = 0; n < PIRQS; n++) {
		if (pirqs & BIT(n) && ich9->routes[n]) {
			lines |= BIT(ich9->routes[n]);
		}
	}
	if (ich9->sci) {
		pins |= BIT(ich9->sci_irq);
		lines |= ich9->sci_irq < 16 ? BIT(ich9->sci_irq) : 0;
	}
	old = ich9->pic_lines;
	ich9->pic_lines = (uint16_t)lines;
	drive_changes(ich9->pic, old, lines);
	old = ich9->ioapic_pins;
	ich9->ioapic_pins = pins;
	drive_changes(ich9->ioapic, old, pins);
}

void ich9_route_irq(void *opaque, unsigned int slot, unsigned int pin, bool level)
{
	struct ich9 *ich9 = ich9_from_device(opaque);

	assert(slot < PCI_BUS_SLOTS && pin < 4);
	pthread_mutex_lock(&ich9->route_lock);
	ich9->wires[slot] = level ? ich9->wires[slot] | BIT(pin) : ich9->wires[slot] & ~BIT(pin);
	update_routing_locked(ich9);
	pthread_mutex_unlock(&ich9->route_lock);
}

static void set_pirq(void *opaque, unsigned int n, bool level)
{
	struct ich9 *ich9 = opaque;

	pthread_mutex_lock(&ich9->route_lock);
	ich9->extra = level ? ich9->extra | BIT(n) : ich9->extra & ~BIT(n);
	update_routing_locked(ich9);
	pthread_mutex_unlock(&ich9->route_lock);
}

struct irq_line ich9_pirq_input(struct device *dev, unsigned int n)
{
	assert(n < PIRQS);
	return (struct irq_line){ .set = set_pirq, .opaque = ich9_from_device(dev), .n = n };
}

static void set_sci(struct device *dev, bool level)
{
	struct ich9 *ich9 = ich9_from_device(dev);

	pthread_mutex_lock(&ich9->route_lock);
	if (ich9->sci != level) {
		ich9->sci = level;
		update_routing_locked(ich9);
	}
	pthread_mutex_unlock(&ich9->route_lock);
}

/* A PIC line that PIRQn_ROUT may select (13.1.11): not those of the board's own devices. */
static uint8_t route_of(uint8_t value)
{
	static const uint16_t usable = 0xdef8;
	uint8_t line = value & 0xf;

	return value & PIRQ_NOT_ROUTED || !(usable & BIT(line)) ? 0 : line;
}

/* SCI_IRQ_SEL, 13.1.4. */
static uint8_t sci_irq_of(uint8_t acpi_control)
{
	static const uint8_t irqs[8] = { 9, 10, 11, 9, 20, 21, 22, 23 };

	return irqs[acpi_control & ACPI_SCI_SELECT];
}

/* ---- following configuration space ---- */

static void update_config(struct ich9 *ich9)
{
	const uint8_t *config = ich9->pci.config;
	uint16_t pm_base = load_le16(config + PMBASE) & PMBASE_ADDRESS;
	uint32_t rcba = load_le32(config + RCBA);

	pthread_mutex_lock(&ich9->route_lock);
	for (unsigned int n = 0; n < 4; n++) {
		ich9->routes[n] = route_of(config[PIRQA_ROUTE + n]);
		ich9->routes[4 + n] = route_of(config[PIRQE_ROUTE + n]);
	}
	ich9->sci_irq = sci_irq_of(config[ACPI_CONTROL]);
	update_routing_locked(ich9);
	pthread_mutex_unlock(&ich9->route_lock);

	ich9_pm_map(&ich9->pm, config[ACPI_CONTROL] & ACPI_ENABLE ? pm_base : 0);
	if (!(rcba & RCBA_ENABLE)) {
		io_region_unmap(&ich9->rcba_region);
	} else if (!ich9->rcba_region.space || ich9->rcba_region.base != (rcba & RCBA_ADDRESS)) {
		io_region_map(&ich9->rcba_region, ich9->pci.dev.env.mmio, rcba & RCBA_ADDRESS);
	}
}

static void config_written(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	if (offset >= PMBASE) {
		update_config(container_of(pci, struct ich9, pci));
	}
}

/* ---- root complex registers ---- */

/* Offsets of DnnIR by slot - 25; not all of them are in a row. */
static const uint16_t dir_offsets[DIR_COUNT] = {
	0x3150, 0x314c, 0x3148, 0x3146, 0x3144, 0x3142, RCBA_D31IR,
};

static uint64_t rcba_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ich9 *ich9 = opaque;

	for (unsigned int i = 0; i < DIR_COUNT; i++) {
		if (offset == dir_offsets[i]) {
			return ich9->dir[i];
		}
	}
	return offset == RCBA_GCS ? GCS_NO_REBOOT : 0;
}

static void rcba_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ich9 *ich9 = opaque;

	pthread_mutex_lock(&ich9->route_lock);
	for (unsigned int i = 0; i < DIR_COUNT; i++) {
		if (offset == dir_offsets[i]) {
			ich9->dir[i] = (uint16_t)value & 0x7777;
			update_routing_locked(ich9);
		}
	}
	pthread_mutex_unlock(&ich9->route_lock);
}

static const struct io_ops rcba_io = {
	.read = rcba_read,
	.write = rcba_write,
	.min_size = 2,
	.max_size = 2,
};

/* ---- ports ---- */

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ich9 *ich9 = opaque;

	return ich9->apm[offset];
}

/* APM_CNT raises an SMI; these commands are what its handler would do. */
static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ich9 *ich9 = opaque;

	ich9->apm[offset] = (uint8_t)value;
	if (offset == 0 && (value == APM_ACPI_ENABLE || value == APM_ACPI_DISABLE)) {
		ich9_pm_set_sci_enable(&ich9->pm, value == APM_ACPI_ENABLE);
	}
}

static const struct io_ops apm_io = { .read = apm_read, .write = apm_write, .max_size = 1 };

static uint64_t reset_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ich9 *ich9 = opaque;
	uint8_t value;

	pthread_mutex_lock(&ich9->pci.dev.lock);
	value = ich9->reset_control;
	pthread_mutex_unlock(&ich9->pci.dev.lock);
	return value;
}

static void reset_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ich9 *ich9 = opaque;
	struct power_sink *power = ich9->pci.dev.env.power;

	pthread_mutex_lock(&ich9->pci.dev.lock);
	ich9->reset_control = value & RESET_KEPT;
	if (value & RESET_CPU) {
		power->reset(power);
	}
	pthread_mutex_unlock(&ich9->pci.dev.lock);
}

static const struct io_ops reset_io = { .read = reset_read, .write = reset_write, .max_size = 1 };

/* ---- for the machine ---- */

bool ich9_power_button(struct device *dev)
{
	struct ich9 *ich9 = ich9_from_device(dev);
	bool heard;

	pthread_mutex_lock(&dev->lock);
	heard = ich9_pm_button_enabled(&ich9->pm);
	ich9_pm_event(&ich9->pm, PM1_POWER_BUTTON);
	pthread_mutex_unlock(&dev->lock);
	return heard;
}

void ich9_rtc_event(struct device *dev)
{
	struct ich9 *ich9 = ich9_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	ich9_pm_event(&ich9->pm, PM1_RTC);
	pthread_mutex_unlock(&dev->lock);
}

void ich9_wake(struct device *dev, bool by_button)
{
	struct ich9 *ich9 = ich9_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	ich9_pm_event(&ich9->pm, PM1_WAKE | (by_button ? PM1_POWER_BUTTON : 0));
	pthread_mutex_unlock(&dev->lock);
}

void ich9_gpe_set(struct device *dev, unsigned int n, bool level)
{
	struct ich9 *ich9 = ich9_from_device(dev);

	assert(n < 64);
	pthread_mutex_lock(&dev->lock);
	ich9_pm_gpe(&ich9->pm, n, level);
	pthread_mutex_unlock(&dev->lock);
}

void ich9_lpc_firmware_setup(struct device *dev)
{
	static const uint8_t routes[4] = { 10, 10, 11, 11 };
	struct ich9 *ich9 = ich9_from_device(dev);
	uint8_t *config = ich9->pci.config;

	pthread_mutex_lock(&dev->lock);
	store_le32(config + PMBASE, ICH9_PM_BASE | PMBASE_IO);
	config[ACPI_CONTROL] = ACPI_ENABLE;
	store_le32(config + RCBA, UINT32_C(0xfed1c000) | RCBA_ENABLE);
	memcpy(config + PIRQA_ROUTE, routes, sizeof(routes));
	memcpy(config + PIRQE_ROUTE, routes, sizeof(routes));
	update_config(ich9);
	ich9_pm_set_sci_enable(&ich9->pm, true);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- life ---- */

static void fill_config(struct pci_device *pci)
{
	store_le16(pci->config + 4, 0x0007); /* decodes and masters always, 13.1.3 */
	store_le16(pci->writable + 4, 0x0100);
	store_le16(pci->writable + PMBASE, PMBASE_ADDRESS);
	pci->config[PMBASE] = PMBASE_IO;
	pci->writable[ACPI_CONTROL] = ACPI_ENABLE | ACPI_SCI_SELECT;
	pci->config[GPIOBASE] = 1;
	memset(pci->writable + PIRQA_ROUTE, 0x8f, 4);
	memset(pci->writable + PIRQE_ROUTE, 0x8f, 4);
	pci->writable[SERIRQ_CONTROL] = 0xff;
	memset(pci->writable + LPC_DECODE, 0xff, 16);
	store_le32(pci->writable + RCBA, RCBA_ADDRESS | RCBA_ENABLE);
}

static void ich9_destroy(struct device *dev)
{
	struct ich9 *ich9 = ich9_from_device(dev);

	pci_bus_set_reset_port(ich9->pci.bus, NULL, NULL);
	io_region_unmap(&ich9->apm_region);
	io_region_unmap(&ich9->rcba_region);
	ich9_pm_finish(&ich9->pm);
	pthread_mutex_destroy(&ich9->route_lock);
}

static int ich9_create(struct device *dev, struct error *err)
{
	struct ich9 *ich9 = ich9_from_device(dev);
	int rc;

	for (unsigned int n = 0; n < 16; n++) {
		ich9->pic[n] = pic_input(dev->env.peer[ICH9_PEER_PIC], n);
	}
	for (unsigned int n = 0; n < 24; n++) {
		ich9->ioapic[n] = ioapic_input(dev->env.peer[ICH9_PEER_IOAPIC], n);
	}
	pthread_mutex_init(&ich9->route_lock, NULL);
	fill_config(&ich9->pci);
	ich9_pm_init(&ich9->pm, dev, set_sci);
	io_region_init(&ich9->rcba_region, "rcba", &rcba_io, ich9, &dev->lock, RCBA_SIZE);
	io_region_init(&ich9->apm_region, "apm", &apm_io, ich9, &dev->lock, 2);
	rc = io_region_map(&ich9->apm_region, dev->env.ports, 0xb2);
	if (rc < 0) {
		ich9_destroy(dev);
		return error_set(err, -rc, "cannot map the APM ports");
	}
	pci_bus_set_reset_port(ich9->pci.bus, &reset_io, ich9);
	return 0;
}

/* The wires stay what the devices that drive them say. */
static void ich9_reset(struct device *dev, enum reset_kind kind)
{
	struct ich9 *ich9 = ich9_from_device(dev);

	memset(ich9->pci.config + PIRQA_ROUTE, PIRQ_NOT_ROUTED, 4);
	memset(ich9->pci.config + PIRQE_ROUTE, PIRQ_NOT_ROUTED, 4);
	ich9->pci.config[SERIRQ_CONTROL] = 0x10;
	for (unsigned int i = 0; i < DIR_COUNT; i++) {
		ich9->dir[i] = DIR_DEFAULT;
	}
	memset(ich9->apm, 0, sizeof(ich9->apm));
	ich9->reset_control = 0;
	ich9_pm_reset(&ich9->pm);
	update_config(ich9);
}

static int ich9_post_load(void *base, struct error *err)
{
	struct ich9 *ich9 = base;

	for (unsigned int i = 0; i < DIR_COUNT; i++) {
		if (ich9->dir[i] & ~0x7777) {
			return error_set(err, EINVAL, "an interrupt route that cannot be");
		}
	}
	for (unsigned int slot = 0; slot < PCI_BUS_SLOTS; slot++) {
		if (ich9->wires[slot] > 0xf) {
			return error_set(err, EINVAL, "more interrupt wires than a slot has");
		}
	}
	if (ich9->reset_control & ~RESET_KEPT || ich9->ioapic_pins >> 24) {
		return error_set(err, EINVAL, "an LPC bridge in no possible state");
	}
	update_config(ich9);
	return 0;
}

static const struct state_field ich9_fields[] = {
	STATE_FIELD_STRUCT(struct ich9, pm, 1, &ich9_pm_state),
	STATE_FIELD_BYTES(struct ich9, wires),
	STATE_FIELD(struct ich9, extra),
	STATE_FIELD_ARRAY(struct ich9, dir),
	STATE_FIELD_BOOL(struct ich9, sci),
	STATE_FIELD(struct ich9, pic_lines),
	STATE_FIELD(struct ich9, ioapic_pins),
	STATE_FIELD_BYTES(struct ich9, apm),
	STATE_FIELD(struct ich9, reset_control),
	STATE_FIELDS_END,
};

static const struct state_table ich9_state = {
	.version = 1,
	.fields = ich9_fields,
	.post_load = ich9_post_load,
};

static const struct pci_device_ops ich9_ops = {
	.base = {
		.name = "ich9-lpc",
		.bus = DEVICE_BUS_PCI,
		.instance_size = sizeof(struct ich9),
		.state = &ich9_state,
		.create = ich9_create,
		.destroy = ich9_destroy,
		.reset = ich9_reset,
	},
	.vendor_id = 0x8086,
	.device_id = 0x2918,
	.subsystem_vendor_id = 0x1af4,
	.subsystem_id = 0x1100,
	.class_code = 0x060100,
	.revision = 2,
	.config_written = config_written,
};
DEVICE_REGISTER(ich9_ops.base);
