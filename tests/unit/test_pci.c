/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The PCI core, with a device made for it: configuration mechanisms, BARs, wires, MSI and MSI-X,
 * reset and saved state.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_machine.h"

#define VECTORS 5

enum { BAR_PORTS, BAR_REGS, BAR_VRAM, BAR_VRAM_HIGH, BAR_MSIX };

/** struct probe - a PCI device with every kind of BAR and interrupt. */
struct probe {
	struct pci_device pci;
	struct io_region ports;
	struct io_region regs;
	struct mem_region *vram;
	uint32_t reg;
	unsigned int config_writes;
	unsigned int moves;
	unsigned int vector_changes;
};

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned int size)
{
	return ((struct probe *)opaque)->reg + offset;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	((struct probe *)opaque)->reg = value;
}

static const struct io_ops probe_io_ops = { .read = probe_read, .write = probe_write };

static void probe_vector_changed(struct pci_device *pci, unsigned int vector)
{
	((struct probe *)pci)->vector_changes++;
}

static void probe_bar_moved(struct pci_device *pci, unsigned int bar)
{
	((struct probe *)pci)->moves++;
}

static int probe_create(struct device *dev, struct error *err)
{
	struct probe *probe = (struct probe *)dev;
	struct pci_device *pci = &probe->pci;

	io_region_init(&probe->ports, "ports", &probe_io_ops, probe, &dev->lock, 32);
	io_region_init(&probe->regs, "regs", &probe_io_ops, probe, &dev->lock, 0x1000);
	assert_int_equal(guest_memory_add_region(dev->env.memory, "vram", MIB(1), 0, &probe->vram,
						 err), 0);
	assert_int_equal(pci_bar_set_io(pci, BAR_PORTS, PCI_BAR_IO, &probe->ports), 0);
	assert_int_equal(pci_bar_set_io(pci, BAR_REGS, PCI_BAR_MEM32, &probe->regs), 0);
	assert_int_equal(pci_bar_set_memory(pci, BAR_VRAM, PCI_BAR_PREFETCH64, probe->vram), 0);
	assert_int_equal(pci_msix_init(pci, BAR_MSIX, VECTORS), 0);
	assert_int_equal(pci_msi_init(pci), 0);
	assert_int_equal(pci_rom_set(pci, probe->vram), 0);
	/* What cannot be is refused. */
	assert_int_equal(pci_bar_set_io(pci, BAR_REGS, PCI_BAR_MEM32, &probe->regs), -EINVAL);
	assert_int_equal(pci_bar_set_io(pci, BAR_VRAM_HIGH, PCI_BAR_MEM32, &probe->regs), -EINVAL);
	pci_msix_set_listener(pci, probe_vector_changed);
	pci_bar_set_listener(pci, probe_bar_moved);
	return 0;
}

static void probe_destroy(struct device *dev)
{
}

static void probe_reset(struct device *dev, enum reset_kind kind)
{
	((struct probe *)dev)->reg = 0;
}

static void probe_config_written(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	((struct probe *)pci)->config_writes++;
}

static const struct state_field probe_fields[] = {
	STATE_FIELD(struct probe, reg),
	STATE_FIELDS_END,
};

static const struct state_table probe_state = { .version = 1, .fields = probe_fields };

static const struct pci_device_ops probe_ops = {
	.base = {
		.name = "test-pci-probe",
		.bus = DEVICE_BUS_PCI,
		.instance_size = sizeof(struct probe),
		.state = &probe_state,
		.create = probe_create,
		.destroy = probe_destroy,
		.reset = probe_reset,
	},
	.vendor_id = 0x1234,
	.device_id = 0x5678,
	.subsystem_vendor_id = 0x9abc,
	.subsystem_id = 0xdef0,
	.class_code = 0x020304,
	.revision = 7,
	.interrupt_pin = 2,
	.express = true,
	.config_written = probe_config_written,
};
DEVICE_REGISTER(probe_ops.base);

static void at_slot_3(struct fake_machine *fm, struct device_env *env)
{
	env->devfn = PCI_DEVFN(3, 0);
	env->path = "probe.0";
}

static void at_slot_3_function_1(struct fake_machine *fm, struct device_env *env)
{
	env->devfn = PCI_DEVFN(3, 1);
	env->path = "probe.1";
}

/** struct fixture - a machine with one probe in slot 3. */
struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	struct probe *probe;
};

static struct fixture setup(void)
{
	struct fixture f;

	f.fm = fake_machine_create();
	f.dev = fake_machine_create_device(f.fm, "test-pci-probe", at_slot_3);
	f.probe = (struct probe *)f.dev;
	return f;
}

static void lock(struct fixture *f)
{
	pthread_mutex_lock(&f->dev->lock);
}

static void unlock(struct fixture *f)
{
	pthread_mutex_unlock(&f->dev->lock);
}

static void drive_irq(struct fixture *f, bool level)
{
	lock(f);
	pci_irq_set(&f->probe->pci, level);
	unlock(f);
}

static void notify(struct fixture *f, unsigned int vector)
{
	lock(f);
	pci_msix_notify(&f->probe->pci, vector);
	unlock(f);
}

static void test_mechanism_1(void **state)
{
	struct fixture f = setup();

	fake_outl(f.fm, 0xcf8, 0x80001800);
	assert_int_equal(fake_inl(f.fm, 0xcf8), 0x80001800);
	assert_int_equal(fake_inl(f.fm, 0xcfc), 0x56781234);
	assert_int_equal(fake_inw(f.fm, 0xcfe), 0x5678);
	assert_int_equal(fake_inb(f.fm, 0xcfd), 0x12);
	fake_outl(f.fm, 0xcf8, 0x80001808);
	assert_int_equal(fake_inl(f.fm, 0xcfc), 0x02030407);
	fake_outl(f.fm, 0xcf8, 0x8000182c);
	assert_int_equal(fake_inl(f.fm, 0xcfc), 0xdef09abc);
	/* Byte writes are not for the address register. */
	fake_outb(f.fm, 0xcf8, 0x00);
	assert_int_equal(fake_inl(f.fm, 0xcf8), 0x8000182c);
	fake_outl(f.fm, 0xcf8, 0x00001800);
	assert_int_equal(fake_inl(f.fm, 0xcfc), 0xffffffff);
	fake_outl(f.fm, 0xcf8, 0x8000183c);
	fake_outb(f.fm, 0xcfc, 11);
	assert_int_equal(fake_inw(f.fm, 0xcfc), 0x020b);
	fake_machine_destroy(f.fm);
}

static void test_absent(void **state)
{
	struct fixture f = setup();

	assert_int_equal(pci_bus_config_read(f.fm->pci, PCI_DEVFN(4, 0), 0, 4), 0xffffffff);
	assert_int_equal(pci_bus_config_read(f.fm->pci, PCI_DEVFN(4, 0), 0, 2), 0xffff);
	assert_int_equal(pci_bus_config_read(f.fm->pci, PCI_DEVFN(3, 1), 0, 1), 0xff);
	/* Another bus, by both mechanisms. */
	fake_outl(f.fm, 0xcf8, 0x80011800);
	assert_int_equal(fake_inl(f.fm, 0xcfc), 0xffffffff);
	assert_int_equal(fake_mmio_read(f.fm, FAKE_ECAM_BASE + 0x118000, 4), 0xffffffff);
	fake_outl(f.fm, 0xcfc, 0);
	fake_mmio_write(f.fm, FAKE_ECAM_BASE + 0x118000, 0, 4);
	fake_machine_destroy(f.fm);
}

static void test_ecam(void **state)
{
	struct fixture f = setup();
	const uint64_t base = FAKE_ECAM_BASE + 0x18000;

	assert_int_equal(fake_mmio_read(f.fm, base, 4), 0x56781234);
	assert_true(fake_mmio_read(f.fm, base, 8) == UINT64_C(0x0010000056781234));
	assert_int_equal(fake_mmio_read(f.fm, base + 0x100, 4), 0);
	assert_int_equal(fake_mmio_read(f.fm, base + 0xffc, 4), 0);
	fake_mmio_write(f.fm, base + 4, 0x0002, 2);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 4, 2), 2);
	assert_int_equal(pci_bus_set_ecam(f.fm->pci, 0, 0), 0);
	assert_int_equal(fake_mmio_read(f.fm, base, 4), 0xffffffff);
	fake_machine_destroy(f.fm);
}

static void test_read_only(void **state)
{
	struct fixture f = setup();

	for (unsigned int i = 0; i < 0x40; i += 4) {
		fake_pci_write(f.fm, f.dev, i, 0xffffffff, 4);
	}
	assert_int_equal(fake_pci_read(f.fm, f.dev, 0, 4), 0x56781234);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 8, 4), 0x02030407);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 4, 2), 0x0547);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 6, 2), 0x0010);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 0x3c, 4), 0x02ff);
	assert_true(f.probe->config_writes > 0);
	fake_machine_destroy(f.fm);
}

static void test_bar_sizes(void **state)
{
	struct fixture f = setup();
	static const uint32_t expected[] = { 0xffffffe1, 0xfffff000, 0xfff0000c,
					     0xffffffff, 0xfffff000, 0 };

	for (unsigned int i = 0; i < 6; i++) {
		fake_pci_write(f.fm, f.dev, 0x10 + 4 * i, 0xffffffff, 4);
		assert_int_equal(fake_pci_read(f.fm, f.dev, 0x10 + 4 * i, 4), expected[i]);
	}
	fake_pci_write(f.fm, f.dev, 0x30, 0xfffff800, 4);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 0x30, 4), 0xfff00000);
	fake_machine_destroy(f.fm);
}

static void test_bars_move(void **state)
{
	struct fixture f = setup();
	struct mem_slot slot;

	f.probe->reg = 0x100;
	fake_pci_write(f.fm, f.dev, 0x10, 0xc000, 4);
	fake_pci_write(f.fm, f.dev, 0x14, 0xe0000000, 4);
	fake_pci_write(f.fm, f.dev, 0x18, 0x00000000, 4);
	fake_pci_write(f.fm, f.dev, 0x1c, 0x00000012, 4);
	assert_int_equal(fake_inl(f.fm, 0xc004), 0xffffffff);
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_IO, 2);
	assert_int_equal(fake_inl(f.fm, 0xc004), 0x104);
	assert_int_equal(fake_mmio_read(f.fm, 0xe0000008, 4), 0xffffffff);
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(fake_inl(f.fm, 0xc004), 0xffffffff);
	assert_int_equal(fake_mmio_read(f.fm, 0xe0000008, 4), 0x108);
	assert_true(guest_memory_find(f.fm->memory, UINT64_C(0x1200000000), &slot));
	assert_ptr_equal(slot.region, f.probe->vram);
	/* Move, by halves as guests do. */
	fake_pci_write(f.fm, f.dev, 0x14, 0xe1000000, 4);
	assert_int_equal(fake_mmio_read(f.fm, 0xe0000008, 4), 0xffffffff);
	assert_int_equal(fake_mmio_read(f.fm, 0xe1000008, 4), 0x108);
	fake_pci_write(f.fm, f.dev, 0x1c, 0x13, 4);
	assert_false(guest_memory_find(f.fm->memory, UINT64_C(0x1200000000), &slot));
	assert_true(guest_memory_find(f.fm->memory, UINT64_C(0x13000fffff), &slot));
	assert_true(f.probe->moves >= 4);
	fake_pci_write(f.fm, f.dev, 4, 0, 2);
	assert_false(guest_memory_find(f.fm->memory, UINT64_C(0x1300000000), &slot));
	fake_machine_destroy(f.fm);
}

static void test_bars_keep_off_ram(void **state)
{
	struct fixture f = setup();
	struct mem_slot slot;

	/* Onto RAM, and on being sized while decoded. */
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
	fake_pci_write(f.fm, f.dev, 0x18, 0x00f00000, 4);
	assert_true(guest_memory_find(f.fm->memory, 0x00f00000, &slot));
	assert_ptr_equal(slot.region, f.fm->ram);
	fake_pci_write(f.fm, f.dev, 0x18, 0xffffffff, 4);
	fake_pci_write(f.fm, f.dev, 0x1c, 0xffffffff, 4);
	fake_pci_write(f.fm, f.dev, 0x10, 0xffffffff, 4);
	fake_pci_write(f.fm, f.dev, 0x14, 0xffffffff, 4);
	assert_null(io_find(f.fm->mmio, 0xfffff000));
	fake_machine_destroy(f.fm);
}

static void test_rom(void **state)
{
	struct fixture f = setup();
	struct mem_slot slot;

	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY, 2);
	fake_pci_write(f.fm, f.dev, 0x30, 0xe8000000, 4);
	assert_false(guest_memory_find(f.fm->memory, 0xe8000000, &slot));
	fake_pci_write(f.fm, f.dev, 0x30, 0xe8000001, 4);
	assert_true(guest_memory_find(f.fm->memory, 0xe8000000, &slot));
	assert_true(slot.readonly);
	fake_machine_destroy(f.fm);
}

static void test_intx(void **state)
{
	struct fixture f = setup();
	struct fake_line *wire = &f.fm->intx[3][1];

	drive_irq(&f, true);
	assert_true(wire->level);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 6, 2) & 8, 8);
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_INTX_DISABLE, 2);
	assert_false(wire->level);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 6, 2) & 8, 8);
	fake_pci_write(f.fm, f.dev, 4, 0, 2);
	assert_true(wire->level);
	drive_irq(&f, false);
	assert_false(wire->level);
	assert_int_equal(fake_pci_read(f.fm, f.dev, 6, 2) & 8, 0);
	drive_irq(&f, true);
	device_reset(f.dev, RESET_COLD);
	assert_false(wire->level);
	fake_machine_destroy(f.fm);
}

static void test_shared_wire(void **state)
{
	struct fixture f = setup();
	struct fixture g = { .fm = f.fm };
	struct fake_line *wire = &f.fm->intx[3][1];

	assert_int_equal(fake_pci_read(f.fm, f.dev, 0x0e, 1), 0);
	g.dev = fake_machine_create_device(f.fm, "test-pci-probe", at_slot_3_function_1);
	g.probe = (struct probe *)g.dev;
	assert_int_equal(fake_pci_read(f.fm, f.dev, 0x0e, 1), 0x80);
	assert_int_equal(pci_bus_free_slot(f.fm->pci, 3), 4);
	drive_irq(&f, true);
	drive_irq(&g, true);
	drive_irq(&f, false);
	assert_true(wire->level);
	drive_irq(&g, false);
	assert_false(wire->level);
	assert_int_equal(wire->edges, 1);
	fake_machine_destroy(f.fm);
}

static void test_slot_taken(void **state)
{
	struct fixture f = setup();
	struct device *other;
	struct error err = { 0 };

	assert_int_equal(fake_machine_try_create(f.fm, "test-pci-probe", at_slot_3, &other, &err),
			 -EBUSY);
	assert_non_null(strstr(err.text, "probe.0"));
	assert_ptr_equal(pci_bus_find(f.fm->pci, PCI_DEVFN(3, 0)), &f.probe->pci);
	fake_machine_destroy(f.fm);
}

static void test_msi(void **state)
{
	struct fixture f = setup();
	unsigned int msi = fake_pci_find_capability(f.fm, f.dev, PCI_CAPABILITY_MSI, 0);

	assert_true(msi >= 0x40);
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MASTER, 2);
	fake_pci_write(f.fm, f.dev, msi + 4, 0xfee01000, 4);
	fake_pci_write(f.fm, f.dev, msi + 8, 1, 4);
	fake_pci_write(f.fm, f.dev, msi + 12, 0x4041, 2);
	fake_pci_write(f.fm, f.dev, msi + 2, 1, 2);
	drive_irq(&f, true);
	assert_false(f.fm->intx[3][1].level);
	assert_int_equal(f.fm->msi.count, 1);
	assert_true(fake_machine_last_msi(f.fm).address == UINT64_C(0x1fee01000));
	assert_int_equal(fake_machine_last_msi(f.fm).data, 0x4041);
	drive_irq(&f, true);
	drive_irq(&f, false);
	assert_int_equal(f.fm->msi.count, 1);
	/* Masked: pending, and sent when unmasked. */
	fake_pci_write(f.fm, f.dev, msi + 16, 1, 4);
	drive_irq(&f, true);
	assert_int_equal(f.fm->msi.count, 1);
	assert_int_equal(fake_pci_read(f.fm, f.dev, msi + 20, 4), 1);
	fake_pci_write(f.fm, f.dev, msi + 16, 0, 4);
	assert_int_equal(f.fm->msi.count, 2);
	assert_int_equal(fake_pci_read(f.fm, f.dev, msi + 20, 4), 0);
	/* Turned off again, the level shows on the wire. */
	fake_pci_write(f.fm, f.dev, msi + 2, 0, 2);
	assert_true(f.fm->intx[3][1].level);
	fake_machine_destroy(f.fm);
}

static uint64_t enable_msix(struct fixture *f)
{
	unsigned int msix;

	fake_pci_enable(f->fm, f->dev);
	msix = fake_pci_find_capability(f->fm, f->dev, PCI_CAPABILITY_MSIX, 0);
	assert_int_equal(fake_pci_read(f->fm, f->dev, msix + 2, 2), VECTORS - 1);
	assert_int_equal(fake_pci_read(f->fm, f->dev, msix + 4, 4), BAR_MSIX);
	assert_int_equal(fake_pci_read(f->fm, f->dev, msix + 8, 4), 0x800 | BAR_MSIX);
	fake_pci_write(f->fm, f->dev, msix + 2, 0x8000, 2);
	return fake_pci_bar(f->fm, f->dev, BAR_MSIX);
}

static void test_msix(void **state)
{
	struct fixture f = setup();
	uint64_t table = enable_msix(&f);
	unsigned int msix = fake_pci_find_capability(f.fm, f.dev, PCI_CAPABILITY_MSIX, 0);

	assert_int_equal(fake_mmio_read(f.fm, table + 16 + 12, 4), 1);
	fake_mmio_write(f.fm, table + 16, UINT64_C(0x1fee02004), 8);
	fake_mmio_write(f.fm, table + 16 + 8, 0x31, 4);
	assert_true(fake_mmio_read(f.fm, table + 16, 8) == UINT64_C(0x1fee02004));
	notify(&f, 1);
	assert_int_equal(f.fm->msi.count, 0);
	assert_int_equal(fake_mmio_read(f.fm, table + 0x800, 4), 2);
	assert_true(fake_mmio_read(f.fm, table + 0x800, 8) == 2);
	fake_mmio_write(f.fm, table + 16 + 12, 0, 4);
	assert_int_equal(f.fm->msi.count, 1);
	assert_int_equal(fake_mmio_read(f.fm, table + 0x800, 4), 0);
	assert_int_equal(fake_machine_last_msi(f.fm).data, 0x31);
	/* The function's mask. */
	fake_pci_write(f.fm, f.dev, msix + 2, 0xc000, 2);
	notify(&f, 1);
	notify(&f, 1);
	assert_int_equal(f.fm->msi.count, 1);
	fake_pci_write(f.fm, f.dev, msix + 2, 0x8000, 2);
	assert_int_equal(f.fm->msi.count, 2);
	/* Not without bus mastering. */
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY, 2);
	notify(&f, 1);
	assert_int_equal(f.fm->msi.count, 2);
	fake_pci_write(f.fm, f.dev, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_int_equal(f.fm->msi.count, 3);
	/* What is not there. */
	notify(&f, VECTORS);
	notify(&f, 1000);
	fake_mmio_write(f.fm, table + 16 * VECTORS, 0xffffffff, 4);
	assert_int_equal(fake_mmio_read(f.fm, table + 16 * VECTORS, 4), 0);
	fake_mmio_write(f.fm, table + 0x800, 0xffffffff, 4);
	assert_int_equal(fake_mmio_read(f.fm, table + 0x800, 4), 0);
	fake_mmio_write(f.fm, table + 16 + 2, 0xffff, 2);
	assert_true(fake_mmio_read(f.fm, table + 16, 8) == UINT64_C(0x1fee02004));
	assert_true(f.probe->vector_changes > 0);
	fake_machine_destroy(f.fm);
}

static void test_msix_keeps_wire_quiet(void **state)
{
	struct fixture f = setup();

	enable_msix(&f);
	drive_irq(&f, true);
	assert_false(f.fm->intx[3][1].level);
	fake_machine_destroy(f.fm);
}

static void test_state_and_reset(void **state)
{
	struct fixture f = setup();
	uint64_t table = enable_msix(&f);

	fake_mmio_write(f.fm, table + 32, 0xfee00000, 4);
	notify(&f, 2);
	drive_irq(&f, true);
	f.probe->reg = 77;
	fake_machine_check_device(f.fm, f.dev, NULL);
	assert_null(io_find(f.fm->mmio, table));
	fake_machine_destroy(f.fm);
}

static void test_load_maps_bars(void **state)
{
	struct fixture f = setup();
	struct fixture g = setup();
	uint64_t table = enable_msix(&f);
	struct fake_image image;
	struct error err = { 0 };

	fake_state_save(f.dev, &image);
	assert_null(io_find(g.fm->mmio, table));
	assert_int_equal(fake_state_load(g.dev, &image, &err), 0);
	assert_non_null(io_find(g.fm->mmio, table));
	fake_image_finish(&image);
	fake_machine_destroy(f.fm);
	fake_machine_destroy(g.fm);
}

static void test_hostile_state(void **state)
{
	struct fixture f = setup();
	struct fake_image image;
	struct error err = { 0 };

	fake_state_save(f.dev, &image);
	fake_image_field(&image, "config")[8] ^= 1; /* behind the length: the vendor */
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	fake_image_field(&image, "config")[8] ^= 1;
	fake_image_field(&image, "config")[8 + 0x41] ^= 1; /* a capability's next pointer */
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	fake_image_field(&image, "config")[8 + 0x41] ^= 1;
	fake_image_field(&image, "msix[2].control")[0] = 0xf0;
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	fake_image_field(&image, "msix[2].control")[0] = 1;
	fake_image_field(&image, "msix_pending")[0] = BIT(VECTORS);
	assert_int_equal(fake_state_load(f.dev, &image, &err), -EINVAL);
	fake_image_field(&image, "msix_pending")[0] = 0;
	assert_int_equal(fake_state_load(f.dev, &image, &err), 0);
	fake_image_finish(&image);
	fake_machine_destroy(f.fm);
}

static void test_capabilities(void **state)
{
	struct fixture f = setup();
	unsigned int express = fake_pci_find_capability(f.fm, f.dev, PCI_CAPABILITY_EXPRESS, 0);

	assert_true(express >= 0x40);
	assert_int_equal(fake_pci_read(f.fm, f.dev, express + 2, 2), 0x92);
	assert_int_equal(fake_pci_find_capability(f.fm, f.dev, PCI_CAPABILITY_VENDOR, 0), 0);
	lock(&f);
	assert_int_equal(pci_add_capability(&f.probe->pci, PCI_CAPABILITY_VENDOR, 200), -ENOSPC);
	unlock(&f);
	fake_machine_destroy(f.fm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mechanism_1),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_ecam),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_bar_sizes),
		cmocka_unit_test(test_bars_move),
		cmocka_unit_test(test_bars_keep_off_ram),
		cmocka_unit_test(test_rom),
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_shared_wire),
		cmocka_unit_test(test_slot_taken),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_msix_keeps_wire_quiet),
		cmocka_unit_test(test_state_and_reset),
		cmocka_unit_test(test_load_maps_bars),
		cmocka_unit_test(test_hostile_state),
		cmocka_unit_test(test_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
