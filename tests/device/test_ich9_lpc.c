/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICH9's LPC bridge: interrupt routing, power management, reset control, APM commands. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

#define INTR 20 /* the recorder that the PIC's INTR is wired to */
#define PM ICH9_PM_BASE

static struct fake_machine *fm;
static struct device *lpc;
static struct device *pic;
static struct device *ioapic;

static void wire_pic(struct fake_machine *machine, struct device_env *env)
{
	env->output = machine->irqs[INTR];
}

static void wire_ioapic(struct fake_machine *machine, struct device_env *env)
{
	env->msi = &machine->msi.sink;
}

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->devfn = PCI_DEVFN(31, 0);
	env->peer[ICH9_PEER_PIC] = fake_machine_create_device(machine, "pic", wire_pic);
	env->peer[ICH9_PEER_IOAPIC] = fake_machine_create_device(machine, "ioapic", wire_ioapic);
	if (machine == fm) {
		pic = env->peer[ICH9_PEER_PIC];
		ioapic = env->peer[ICH9_PEER_IOAPIC];
	}
}

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	lpc = fake_machine_create_device(fm, "ich9-lpc", wire);
	/* PIC: vectors 20h and 28h, IRQ 9 to 11 by level; IOAPIC pins 16-23 and 9 unmasked. */
	for (unsigned int i = 0; i < 2; i++) {
		uint16_t port = i ? 0xa0 : 0x20;

		fake_outb(fm, port, 0x11);
		fake_outb(fm, port + 1, 0x20 + 8 * i);
		fake_outb(fm, port + 1, i ? 2 : 4);
		fake_outb(fm, port + 1, 1);
	}
	fake_outb(fm, 0x4d1, 0x0e);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const kept[] = { "wires", "extra", "pic_lines", "ioapic_pins",
					    "pm.gpe_levels", NULL };

	(void)state;
	fake_machine_check_device(fm, lpc, kept);
	fake_machine_destroy(fm);
	return 0;
}

static void unmask(unsigned int pin)
{
	fake_mmio_write(fm, 0xfec00000, 0x10 + 2 * pin, 4);
	fake_mmio_write(fm, 0xfec00010, 0x8040 + pin, 4);
}

static uint16_t irr(void)
{
	fake_outb(fm, 0x20, 0x0a);
	fake_outb(fm, 0xa0, 0x0a);
	return fake_inb(fm, 0x20) | fake_inb(fm, 0xa0) << 8;
}

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(fake_pci_read(fm, lpc, 0, 4), 0x29188086);
	assert_int_equal(fake_pci_read(fm, lpc, 8, 4), 0x06010002);
	assert_int_equal(fake_pci_read(fm, lpc, 4, 2), 7);
	assert_int_equal(fake_pci_read(fm, lpc, 0x40, 4), 1);
	assert_int_equal(fake_pci_read(fm, lpc, 0x60, 4), 0x80808080);
}

static void test_routing(void **state)
{
	(void)state;
	for (unsigned int pin = 16; pin < 24; pin++) {
		unmask(pin);
	}
	ich9_route_irq(lpc, 1, 0, true); /* PIRQ F */
	assert_int_equal(fake_machine_last_msi(fm).data & 0xff, 0x40 + 21);
	assert_int_equal(irr(), 0);
	fake_pci_write(fm, lpc, 0x69, 10, 1);
	assert_int_equal(irr() & 0x0c00, 0x0400);
	/* The same wire twice, and another on the same line. */
	ich9_route_irq(lpc, 5, 0, true);
	fake_pci_write(fm, lpc, 0x60, 10, 1);
	ich9_route_irq(lpc, 31, 0, true); /* PIRQ A */
	assert_int_equal(fake_machine_last_msi(fm).data & 0xff, 0x40 + 16);
	ich9_route_irq(lpc, 1, 0, false);
	assert_int_equal(irr() & 0x0400, 0x0400);
	ich9_route_irq(lpc, 5, 0, false);
	assert_int_equal(irr() & 0x0400, 0x0400);
	ich9_route_irq(lpc, 31, 0, false);
	assert_int_equal(irr() & 0x0400, 0);
	/* Lines that belong to the board cannot be selected. */
	ich9_route_irq(lpc, 31, 0, true);
	fake_pci_write(fm, lpc, 0x60, 8, 1);
	assert_int_equal(irr() & 0xfffb, 0);
	ich9_route_irq(lpc, 31, 0, false);
}

static void test_other_wires(void **state)
{
	struct irq_line line = ich9_pirq_input(lpc, 4);

	(void)state;
	unmask(20);
	irq_set(&line, true);
	assert_int_equal(fm->msi.count, 1);
	ich9_route_irq(lpc, 4, 0, true); /* shares it */
	irq_set(&line, false);
	ioapic_eoi(ioapic, 0x40 + 20);
	assert_int_equal(fm->msi.count, 2);
	ich9_route_irq(lpc, 4, 0, false);
	ioapic_eoi(ioapic, 0x40 + 20);
	assert_int_equal(fm->msi.count, 2);
}

static void test_root_complex(void **state)
{
	const uint64_t base = 0xfed1c000;

	(void)state;
	fake_pci_write(fm, lpc, 0xf0, base | 1, 4);
	assert_int_equal(fake_mmio_read(fm, base + 0x3140, 2), 0x3210);
	assert_int_equal(fake_mmio_read(fm, base + 0x3410, 4), 0x20);
	unmask(23);
	ich9_route_irq(lpc, 31, 1, true);
	assert_int_equal(fm->msi.count, 0);
	fake_mmio_write(fm, base + 0x3140, 0x3270, 2);
	assert_int_equal(fm->msi.count, 1);
	ich9_route_irq(lpc, 31, 1, false);
	fake_pci_write(fm, lpc, 0xf0, 0, 4);
	assert_int_equal(fake_mmio_read(fm, base + 0x3140, 2), 0xffff);
}

static void test_pm_timer(void **state)
{
	(void)state;
	assert_int_equal(fake_inl(fm, PM + 8), 0xffffffff);
	fake_pci_write(fm, lpc, 0x40, PM | 1, 4);
	fake_pci_write(fm, lpc, 0x44, 0x80, 1);
	fake_machine_advance(fm, NS_PER_S);
	assert_int_equal(fake_inl(fm, PM + 8), 3579545);
	assert_int_equal(fake_inw(fm, PM + 8), 3579545 & 0xffff);
	assert_int_equal(fake_inb(fm, PM + 9), 3579545 >> 8 & 0xff);
	/* Past half a turn: the overflow status, and with its enable an SCI. */
	fake_machine_advance(fm, 600 * NS_PER_S);
	assert_int_equal(fake_inw(fm, PM), 1);
	fake_outw(fm, PM, 1);
	assert_int_equal(fake_inw(fm, PM), 0);
	fake_outw(fm, PM + 4, 1);
	fake_outw(fm, PM + 2, 1);
	assert_int_equal(irr() & 0x200, 0);
	fake_machine_advance(fm, 600 * NS_PER_S);
	assert_int_equal(irr() & 0x200, 0x200);
	fake_outw(fm, PM, 1);
	assert_int_equal(irr() & 0x200, 0);
}

static void test_power_button(void **state)
{
	(void)state;
	ich9_lpc_firmware_setup(lpc);
	unmask(9);
	assert_int_equal(fake_inw(fm, PM + 4), 1);
	assert_false(ich9_power_button(lpc));
	assert_int_equal(fake_inw(fm, PM), 0x100);
	fake_outw(fm, PM, 0x100);
	fake_outw(fm, PM + 2, 0x120);
	assert_true(ich9_power_button(lpc));
	assert_int_equal(irr() & 0x200, 0x200);
	assert_int_equal(fm->msi.count, 1);
	fake_outw(fm, PM, 0x100);
	assert_int_equal(irr() & 0x200, 0);
	/* Without ACPI there is no SCI. */
	fake_outb(fm, 0xb2, 3);
	assert_int_equal(fake_inw(fm, PM + 4), 0);
	assert_false(ich9_power_button(lpc));
	assert_int_equal(irr() & 0x200, 0);
	fake_outb(fm, 0xb2, 2);
	assert_int_equal(irr() & 0x200, 0x200);
	fake_outb(fm, 0xb3, 0x77);
	assert_int_equal(fake_inw(fm, 0xb2), 0x7702);
}

static void test_rtc_event(void **state)
{
	(void)state;
	ich9_lpc_firmware_setup(lpc);
	ich9_rtc_event(lpc);
	assert_int_equal(fake_inw(fm, PM), 0x400);
	assert_int_equal(irr() & 0x200, 0);
	fake_outw(fm, PM + 2, 0x400);
	assert_int_equal(irr() & 0x200, 0x200);
	fake_outw(fm, PM, 0x400);
	assert_int_equal(irr() & 0x200, 0);
}

static void test_gpe(void **state)
{
	(void)state;
	ich9_lpc_firmware_setup(lpc);
	ich9_gpe_set(lpc, 33, true);
	assert_int_equal(fake_inb(fm, PM + 0x24), 2);
	assert_int_equal(irr() & 0x200, 0);
	fake_outb(fm, PM + 0x2c, 2);
	assert_int_equal(irr() & 0x200, 0x200);
	fake_outl(fm, PM + 0x24, 2);
	assert_int_equal(irr() & 0x200, 0);
	ich9_gpe_set(lpc, 33, false);
}

static void test_sleep(void **state)
{
	(void)state;
	ich9_lpc_firmware_setup(lpc);
	assert_int_equal(fake_inl(fm, PM + 0x30), 0x20);
	assert_int_equal(fake_inw(fm, PM + 0x68), 0x800);
	fake_outw(fm, PM + 4, 0x0401);
	assert_int_equal(fm->power.suspends, 0);
	fake_outw(fm, PM + 4, 0x2401);
	assert_int_equal(fm->power.suspends, 1);
	assert_int_equal(fake_inw(fm, PM + 4), 0x0401);
	fake_outw(fm, PM + 4, 0x2000);
	assert_int_equal(fm->power.shutdowns, 1);
	fake_outb(fm, PM + 5, 0x3c);
	assert_int_equal(fm->power.shutdowns, 2);
	fake_outl(fm, PM + 4, 0x2c00);
	assert_int_equal(fm->power.shutdowns, 2);
	ich9_wake(lpc, false);
	assert_int_equal(fake_inw(fm, PM), 0x8000);
}

static void test_reset_control(void **state)
{
	(void)state;
	fake_outb(fm, 0xcf9, 0x02);
	assert_int_equal(fake_inb(fm, 0xcf9), 0x02);
	assert_int_equal(fm->power.resets, 0);
	fake_outb(fm, 0xcf9, 0x06);
	assert_int_equal(fm->power.resets, 1);
	assert_int_equal(fake_inb(fm, 0xcf9), 0x02);
	/* The register lies within CONFIG_ADDRESS, which must not mind. */
	fake_outl(fm, 0xcf8, 0x8000f800);
	assert_int_equal(fake_inl(fm, 0xcf8), 0x8000f800);
	assert_int_equal(fake_inl(fm, 0xcfc), 0x29188086);
	assert_int_equal(fm->power.resets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_routing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_wires, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_root_complex, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pm_timer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_power_button, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rtc_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gpe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sleep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset_control, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
