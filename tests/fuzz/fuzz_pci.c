/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the PCI core, by both configuration mechanisms and the BARs of a device that has
 * memory BARs, MSI-X, and capabilities (virtio-rng).
 */

#include "fuzz/device_fuzz.h"

static void prepare(struct fake_machine *fm, struct device *dev)
{
	fake_pci_enable(fm, dev);
}

static void event(struct fake_machine *fm, struct device *dev, uint8_t a, uint8_t b)
{
	struct pci_device *pci = pci_device_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	if (a & 1) {
		pci_irq_set(pci, b & 1);
	} else {
		pci_msix_notify(pci, b);
	}
	pthread_mutex_unlock(&dev->lock);
	fake_machine_run(fm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct device_fuzz fuzz = {
		.kind = "virtio-rng",
		.ranges = {
			{ .mmio = false, .base = 0xcf8, .size = 8 },
			{ .mmio = true, .base = FAKE_ECAM_BASE + 0x8000, .size = 0x100 },
			{ .mmio = true, .base = FAKE_ECAM_BASE + 0x8000, .size = 0x1000 },
			{ .mmio = true, .base = 0xe0800000, .size = 0x8000 },
			{ .mmio = true, .base = 0xe0804000, .size = 0x40 },
			{ .mmio = true, .base = 0xe0800000, .size = 0x40 },
		},
		.prepare = prepare,
		.event = event,
	};

	return device_fuzz_run(&fuzz, data, size);
}
