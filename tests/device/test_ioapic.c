/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The I/O APIC: registers, edges, levels and their end, messages. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

#define BASE UINT64_C(0xfec00000)

static struct fake_machine *fm;
static struct device *ioapic;

static void wire(struct fake_machine *machine, struct device_env *env)
{
	env->msi = &machine->msi.sink;
}

static int set_up(void **state)
{
	(void)state;
	fm = fake_machine_create();
	ioapic = fake_machine_create_device(fm, "ioapic", wire);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, ioapic, (const char *const[]){ "lines", NULL });
	fake_machine_destroy(fm);
	return 0;
}

static uint32_t reg_read(uint8_t reg)
{
	fake_mmio_write(fm, BASE, reg, 4);
	return fake_mmio_read(fm, BASE + 0x10, 4);
}

static void reg_write(uint8_t reg, uint32_t value)
{
	fake_mmio_write(fm, BASE, reg, 4);
	fake_mmio_write(fm, BASE + 0x10, value, 4);
}

static void pin(unsigned int n, bool level)
{
	struct irq_line line = ioapic_input(ioapic, n);

	irq_set(&line, level);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(reg_read(1), 0x00170020);
	reg_write(0, 0xffffffff);
	assert_int_equal(reg_read(0), 0x0f000000);
	assert_int_equal(reg_read(2), 0x0f000000);
	assert_int_equal(reg_read(0x10), 0x00010000);
	reg_write(0x3f, 0xffffffff);
	assert_int_equal(reg_read(0x3f), 0xff000000);
	reg_write(0x3e, 0xffffffff);
	assert_int_equal(reg_read(0x3e), 0x0001afff);
	assert_int_equal(reg_read(0x40), 0xffffffff);
	reg_write(0x40, 0);
	assert_int_equal(fm->msi.count, 0);
}

static void test_edges(void **state)
{
	(void)state;
	pin(4, true);
	pin(4, false);
	reg_write(0x19, 0x03000000);
	reg_write(0x18, 0x00000834);
	assert_int_equal(fm->msi.count, 0); /* an edge while masked is lost */
	pin(4, true);
	pin(4, true);
	assert_int_equal(fm->msi.count, 1);
	assert_int_equal(fake_machine_last_msi(fm).address, 0xfee03004);
	assert_int_equal(fake_machine_last_msi(fm).data, 0x34);
	pin(4, false);
	pin(4, true);
	assert_int_equal(fm->msi.count, 2);
	assert_int_equal(reg_read(0x18), 0x834);
	pin(4, false);
}

static void test_levels(void **state)
{
	(void)state;
	pin(16, true);
	reg_write(0x30, 0x0000a051);
	assert_int_equal(fm->msi.count, 1);
	assert_int_equal(fake_machine_last_msi(fm).data, 0xc051);
	assert_int_equal(reg_read(0x30), 0xe051);
	pin(16, false);
	pin(16, true);
	assert_int_equal(fm->msi.count, 1);
	ioapic_eoi(ioapic, 0x52);
	assert_int_equal(fm->msi.count, 1);
	ioapic_eoi(ioapic, 0x51);
	assert_int_equal(fm->msi.count, 2); /* still up: again */
	pin(16, false);
	fake_mmio_write(fm, BASE + 0x40, 0x51, 4);
	assert_int_equal(fm->msi.count, 2);
	assert_int_equal(reg_read(0x30), 0xa051);
}

static void test_mask_while_in_service(void **state)
{
	(void)state;
	reg_write(0x30, 0x8060);
	pin(16, true);
	reg_write(0x30, 0x18060);
	ioapic_eoi(ioapic, 0x60);
	assert_int_equal(fm->msi.count, 1);
	reg_write(0x30, 0x8060);
	assert_int_equal(fm->msi.count, 2);
	/* A turn through edge mode forgets the one in service. */
	reg_write(0x30, 0x10060);
	assert_int_equal(reg_read(0x30), 0x10060);
	reg_write(0x30, 0x8060);
	assert_int_equal(fm->msi.count, 3);
	pin(16, false);
}

static void test_forged_state(void **state)
{
	struct fake_image image;
	struct error err = { 0 };

	(void)state;
	fake_state_save(ioapic, &image);
	fake_image_field(&image, "lines")[3] = 1;
	assert_int_equal(fake_state_load(ioapic, &image, &err), -EINVAL);
	fake_image_field(&image, "lines")[3] = 0;
	fake_image_field(&image, "redir")[4] = 1;
	assert_int_equal(fake_state_load(ioapic, &image, &err), -EINVAL);
	fake_image_field(&image, "redir")[4] = 0;
	assert_int_equal(fake_state_load(ioapic, &image, &err), 0);
	fake_image_finish(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_edges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mask_while_in_service, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged_state, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
