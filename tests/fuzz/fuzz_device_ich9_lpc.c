/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the LPC bridge and its power management. */

#include "bus/chipset.h"
#include "fuzz/device_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire(struct fake_machine *fm, struct device_env *env)
{
	env->devfn = PCI_DEVFN(31, 0);
	env->peer[ICH9_PEER_PIC] = fake_machine_create_device(fm, "pic", NULL);
	env->peer[ICH9_PEER_IOAPIC] = fake_machine_create_device(fm, "ioapic", NULL);
}

static void prepare(struct fake_machine *fm, struct device *dev)
{
	(void)fm;
	ich9_lpc_firmware_setup(dev);
}

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	struct irq_line line = ich9_pirq_input(dev, b & 7);

	switch (a & 7) {
	case 0:
		ich9_power_button(dev);
		break;
	case 1:
		ich9_wake(dev, b & 1);
		break;
	case 2:
		ich9_gpe_set(dev, b & 63, b & 64);
		break;
	case 3:
		irq_set(&line, b & 8);
		break;
	case 4:
		fake_pci_write(fm, dev, 0x40 + (a >> 3), b, 1);
		break;
	default:
		ich9_route_irq(dev, b & 31, b >> 5 & 3, a & 8);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_fuzz fuzz = {
		.kind = "ich9-lpc",
		.tweak = wire,
		.ranges = {
			{ .mmio = false, .base = 0x600, .size = 0x80 },
			{ .mmio = false, .base = 0xcf8, .size = 0x8 },
			{ .mmio = false, .base = 0xb2, .size = 0x2 },
			{ .mmio = true, .base = 0xfed1f000, .size = 0x500 },
		},
		.prepare = prepare,
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
