/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board: RAM in its place, the Q35/ICH9 chipset, and the interrupt wiring between its parts
 * (bus/chipset.h says who is wired to whom). What the configuration adds to it is in
 * board_devices.c.
 */

#include "machine/machine_impl.h"

#include <stdarg.h>
#include <stdio.h>

int machine_add_device(struct machine *machine, const char *name, const char *path,
		       const struct device_env *env, struct device **ret_device, struct error *err)
{
	const struct device_ops *ops = device_ops_find(name);
	struct device_env full = *env;
	struct device *dev;
	int ret;

	if (!ops) {
		return error_set(err, ENODEV, "this monitor was built without the device '%s'",
				 name);
	}
	full.ports = machine->ports;
	full.mmio = machine->mmio;
	full.memory = machine->memory;
	full.clock = machine->clock;
	full.loop = machine->loop;
	full.io_loop = full.io_loop ? full.io_loop : machine->loop;
	full.power = &machine->power;
	full.irqs = machine->irqs;
	full.msi = &machine->engine->msi;
	full.pci = machine->pci;
	full.path = path;
	if (!full.config.tree) {
		full.config = config_view_at(machine->config, path);
	}
	ret = device_create(ops, &full, &dev, err);
	if (ret < 0) {
		return ret;
	}
	list_append(&machine->devices, &dev->node);
	if (ret_device) {
		*ret_device = dev;
	}
	return 0;
}

void board_boot_entry(struct machine *machine, const char *format, ...)
{
	size_t used = strlen(machine->boot_order);
	va_list args;

	va_start(args, format);
	vsnprintf(machine->boot_order + used, sizeof(machine->boot_order) - used, format, args);
	va_end(args);
}

static void set_intr(void *opaque, unsigned int n, bool level)
{
	struct machine *machine = opaque;

	(void)n;
	machine->engine->ops->set_extint(machine->engine, level);
}

/* An ISA line reaches both controllers; the timer's is pin 2 of the IOAPIC. */
static void set_isa_irq(void *opaque, unsigned int n, bool level)
{
	struct machine *machine = opaque;
	struct irq_line pic = pic_input(machine->pic, n);
	struct irq_line ioapic = ioapic_input(machine->ioapic, n == 0 ? 2 : n);

	irq_set(&pic, level);
	irq_set(&ioapic, level);
}

static void route_pci_irq(void *opaque, unsigned int slot, unsigned int pin, bool level)
{
	struct machine *machine = opaque;

	if (machine->lpc) {
		ich9_route_irq(machine->lpc, slot, pin, level);
	}
}

static int create_interrupts(struct machine *machine, struct error *err)
{
	struct device_env env = { .output = { set_intr, machine, 0 } };
	int ret;

	for (unsigned int i = 0; i < 16; i++) {
		machine->irqs[i] = (struct irq_line){ set_isa_irq, machine, i };
	}
	ret = machine_add_device(machine, "pic", "pic", &env, &machine->pic, err);
	if (ret == 0) {
		ret = machine_add_device(machine, "ioapic", "ioapic", &(struct device_env){ 0 },
					 &machine->ioapic, err);
	}
	return ret;
}

static int create_timers(struct machine *machine, struct error *err)
{
	struct config_view pc = config_view_at(machine->config, "pc");
	struct device_env pit = { .output = machine->irqs[0] };
	struct device_env rtc = { .output = machine->irqs[8],
				  .peer = { [RTC_PEER_LPC] = machine->lpc } };
	int ret = 0;

	if (config_get_bool(&pc, "hpet")) {
		ret = machine_add_device(machine, "hpet", "hpet", &(struct device_env){ 0 },
					 &machine->hpet, err);
		if (ret < 0) {
			return ret;
		}
		pit.output = hpet_legacy_input(machine->hpet, HPET_LEGACY_PIT);
		rtc.output = hpet_legacy_input(machine->hpet, HPET_LEGACY_RTC);
		machine->acpi_present |= ACPI_HAS_HPET;
	}
	ret = machine_add_device(machine, "pit", "pit", &pit, &machine->pit, err);
	if (ret == 0) {
		ret = machine_add_device(machine, "rtc", "rtc", &rtc, &machine->rtc, err);
	}
	if (ret == 0) {
		rtc_set_memory(machine->rtc, machine->map.low, machine->map.high);
	}
	return ret;
}

static int create_bridges(struct machine *machine, struct error *err)
{
	struct pci_bus_env bus = {
		.ports = machine->ports,
		.mmio = machine->mmio,
		.memory = machine->memory,
		.msi = &machine->engine->msi,
		.route_irq = route_pci_irq,
		.opaque = machine,
	};
	struct device_env host = { .devfn = PCI_DEVFN(0, 0) };
	struct device_env lpc = { .devfn = PCI_DEVFN(31, 0) };
	int ret;

	ret = pci_bus_create(&bus, &machine->pci, err);
	if (ret < 0) {
		return ret;
	}
	ret = machine_add_device(machine, "q35-host", "q35-host", &host, &machine->host, err);
	if (ret < 0) {
		return ret;
	}
	lpc.peer[ICH9_PEER_PIC] = machine->pic;
	lpc.peer[ICH9_PEER_IOAPIC] = machine->ioapic;
	ret = machine_add_device(machine, "ich9-lpc", "ich9-lpc", &lpc, &machine->lpc, err);
	if (ret < 0) {
		return ret;
	}
	for (unsigned int i = 0; i < 8; i++) {
		machine->irqs[16 + i] = ich9_pirq_input(machine->lpc, i);
	}
	return 0;
}

/* RAM outside the range that the host bridge's PAM registers govern. */
static int map_ram(struct machine *machine, struct error *err)
{
	const struct memory_map *map = &machine->map;
	int ret;

	ret = guest_memory_map(machine->memory, 0, machine->ram, 0, 0xa0000, false);
	if (ret == 0 && map->low > MIB(1)) {
		ret = guest_memory_map(machine->memory, MIB(1), machine->ram, MIB(1),
				       map->low - MIB(1), false);
	}
	if (ret == 0 && map->high) {
		ret = guest_memory_map(machine->memory, GIB(4), machine->ram, map->low, map->high,
				       false);
	}
	return ret < 0 ? error_set(err, -ret, "cannot map guest memory: %s", strerror(-ret)) : 0;
}

int board_create(struct machine *machine, struct error *err)
{
	static const char *const fixed[] = { "port92", "post" };
	int ret;

	ret = map_ram(machine, err);
	if (ret == 0) {
		ret = create_interrupts(machine, err);
	}
	if (ret == 0) {
		ret = create_bridges(machine, err);
	}
	if (ret == 0) {
		ret = create_timers(machine, err);
	}
	if (ret == 0) {
		ret = machine_add_device(machine, "isa-dma", "isa-dma", &(struct device_env){ 0 },
					 &machine->dma, err);
	}
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(fixed); i++) {
		ret = machine_add_device(machine, fixed[i], fixed[i], &(struct device_env){ 0 },
					 NULL, err);
	}
	if (ret == 0) {
		ret = machine_add_device(machine, "fw-cfg", "fw-cfg", &(struct device_env){ 0 },
					 &machine->fw_cfg, err);
	}
	if (ret == 0) {
		q35_host_set_top(machine->host, machine->map.low,
				 machine->map.high ? GIB(4) + machine->map.high : 0);
	}
	return ret;
}
