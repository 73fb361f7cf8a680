/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Q35 host bridge: the four states of PAM, ECAM that moves, what is locked. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/chipset.h"
#include "device/fake_machine.h"

static struct fake_machine *fm;
static struct device *host;
static struct mem_region *bios;

static void at_slot_0(struct fake_machine *machine, struct device_env *env)
{
	(void)machine;
	env->devfn = 0;
}

static int set_up_with(uint64_t bios_size)
{
	struct error err = { 0 };

	fm = fake_machine_create();
	host = fake_machine_create_device(fm, "q35-host", at_slot_0);
	if (guest_memory_add_region(fm->memory, "bios", bios_size, MEM_REGION_ROM, &bios, &err)) {
		return -1;
	}
	for (uint64_t i = 0; i < bios_size; i++) {
		bios->host[i] = (uint8_t)(0x80 | i >> 12);
	}
	q35_host_set_memory(host, fm->ram, bios);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return set_up_with(KIB(256));
}

static int set_up_small(void **state)
{
	(void)state;
	return set_up_with(KIB(64));
}

static int tear_down(void **state)
{
	(void)state;
	fake_machine_check_device(fm, host, NULL);
	fake_machine_destroy(fm);
	return 0;
}

/* As a CPU sees it: memory where there is a slot, I/O elsewhere. */
static uint8_t peek(gpa_t gpa)
{
	uint8_t value;

	if (guest_mem_read(fm->memory, gpa, &value, 1) == 0) {
		return value;
	}
	return fake_mmio_read(fm, gpa, 1);
}

static void poke(gpa_t gpa, uint8_t value)
{
	if (guest_mem_write(fm->memory, gpa, &value, 1) < 0) {
		fake_mmio_write(fm, gpa, value, 1);
	}
}

static void pam(unsigned int n, uint8_t value)
{
	fake_pci_write(fm, host, 0x90 + n, value, 1);
}

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(fake_pci_read(fm, host, 0, 4), 0x29c08086);
	assert_int_equal(fake_pci_read(fm, host, 8, 4), 0x06000000);
	assert_int_equal(fake_pci_read(fm, host, 0x9d, 1), 0x12);
	fake_pci_write(fm, host, 0x9d, 0x48, 1);
	assert_int_equal(fake_pci_read(fm, host, 0x9d, 1), 0x12);
	q35_host_set_top(host, GIB(2), GIB(6));
	assert_int_equal(fake_pci_read(fm, host, 0xb0, 2), 0x8000);
	assert_int_equal(fake_pci_read(fm, host, 0xa2, 2), 0x1800);
	assert_int_equal(fake_pci_read(fm, host, 0xa0, 2), 0x60);
	q35_host_set_top(host, 0, 0);
}

static void test_bios_area(void **state)
{
	(void)state;
	assert_int_equal(peek(0xfffff), 0xbf);
	assert_int_equal(peek(0xf0000), 0xb0);
	assert_int_equal(peek(0xe0000), 0xa0);
	poke(0xf0000, 0x11); /* state 0: neither read nor written */
	assert_int_equal(peek(0xf0000), 0xb0);
	pam(0, 0x10); /* RAM, write-protected */
	assert_int_equal(peek(0xf0000), 0x00);
	poke(0xf0000, 0x22);
	assert_int_equal(peek(0xf0000), 0x00);
	pam(0, 0x20); /* reads ROM, writes RAM: how a BIOS copies itself in place */
	for (gpa_t gpa = 0xf0000; gpa < 0x100000; gpa++) {
		poke(gpa, peek(gpa));
	}
	pam(0, 0x30); /* RAM */
	assert_int_equal(peek(0xf0000), 0xb0);
	assert_int_equal(peek(0xfffff), 0xbf);
	poke(0xfffff, 0x33);
	assert_int_equal(peek(0xfffff), 0x33);
	pam(0, 0x00);
	assert_int_equal(peek(0xfffff), 0xbf);
}

static void test_segments(void **state)
{
	(void)state;
	assert_int_equal(peek(0xc0000), 0xff);
	poke(0xc0000, 1);
	assert_int_equal(peek(0xc0000), 0xff);
	/* As SeaBIOS opens them: two 32-bit writes. */
	fake_pci_write(fm, host, 0x90, 0x33333330, 4);
	fake_pci_write(fm, host, 0x94, 0x00333333, 4);
	for (gpa_t gpa = 0xc0000; gpa < 0x100000; gpa += 0x1000) {
		poke(gpa, (uint8_t)(gpa >> 12));
	}
	pam(2, 0x13); /* C8000h rw, CC000h ro */
	pam(6, 0x01); /* E8000h ro, EC000h ROM */
	for (gpa_t gpa = 0xc0000; gpa < 0x100000; gpa += 0x1000) {
		bool rom = gpa >= 0xec000 && gpa < 0xf0000;

		assert_int_equal(peek(gpa), rom ? 0x80 | ((gpa >> 12) - 0xc0) :
						  (uint8_t)(gpa >> 12));
	}
	poke(0xcc000, 0x99);
	assert_int_equal(peek(0xcc000), 0xcc);
	poke(0xcbfff, 0x99);
	assert_int_equal(peek(0xcbfff), 0x99);
	pam(1, 0xff); /* reserved bits stay clear */
	assert_int_equal(fake_pci_read(fm, host, 0x91, 1), 0x33);
	device_reset(host, RESET_WAKE);
	assert_int_equal(fake_pci_read(fm, host, 0x90, 4), 0x33133330);
	assert_int_equal(fake_pci_read(fm, host, 0x94, 4) & 0xffffff, 0x013333);
	assert_int_equal(peek(0xc0000), 0xc0);
	device_reset(host, RESET_COLD);
	assert_int_equal(peek(0xc0000), 0xff);
	assert_int_equal(peek(0xf0000), 0xb0);
}

static void test_small_rom(void **state)
{
	(void)state;
	assert_int_equal(peek(0xe0000), 0xff);
	assert_int_equal(peek(0xf0000), 0x80);
	assert_int_equal(peek(0xfffff), 0x8f);
	pam(5, 0x22);
	poke(0xe0000, 0x44);
	assert_int_equal(peek(0xe0000), 0xff);
	pam(5, 0x33);
	assert_int_equal(peek(0xe0000), 0x44);
}

static void test_ecam(void **state)
{
	(void)state;
	assert_int_equal(fake_mmio_read(fm, 0xd0000000, 4), 0xffffffff);
	fake_pci_write(fm, host, 0x60, 0, 4);
	fake_pci_write(fm, host, 0x64, 0, 4);
	fake_pci_write(fm, host, 0x60, 0xd0000001, 4);
	assert_int_equal(fake_mmio_read(fm, 0xd0000000, 4), 0x29c08086);
	/* 64 MiB, at an address only its size is aligned to. */
	fake_pci_write(fm, host, 0x60, 0xd4000005, 4);
	assert_int_equal(fake_mmio_read(fm, 0xd0000000, 4), 0xffffffff);
	assert_int_equal(fake_mmio_read(fm, 0xd4000000, 4), 0x29c08086);
	device_reset(host, RESET_WAKE);
	assert_int_equal(fake_mmio_read(fm, 0xd4000000, 4), 0x29c08086);
	fake_pci_write(fm, host, 0x60, 0, 4); /* as SeaBIOS does, through the window itself */
	assert_int_equal(fake_mmio_read(fm, 0xd4000000, 4), 0x29c08086);
	device_reset(host, RESET_COLD);
	assert_int_equal(fake_mmio_read(fm, 0xd4000000, 4), 0xffffffff);
	fake_pci_write(fm, host, 0x60, 0xd4000007, 4);
	assert_int_equal(fake_mmio_read(fm, 0xd4000000, 4), 0xffffffff);
}

static void test_firmware_setup(void **state)
{
	(void)state;
	q35_host_firmware_setup(host);
	assert_int_equal(fake_mmio_read(fm, Q35_ECAM_BASE, 4), 0x29c08086);
	poke(0xc0000, 0x12);
	poke(0xfffff, 0x34);
	assert_int_equal(peek(0xc0000), 0x12);
	assert_int_equal(peek(0xfffff), 0x34);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bios_area, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_segments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_small_rom, set_up_small, tear_down),
		cmocka_unit_test_setup_teardown(test_ecam, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_firmware_setup, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
