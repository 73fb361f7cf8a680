/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables (ACPI 6.5, chapter 5): RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG, HPET, and the
 * DSDT that iasl compiled from dsdt.asl. The tables are laid out in one blob; where one points
 * to another, the offset within the blob is stored and noted as a pointer, and each table's
 * checksum is noted too. Firmware patches both by the script in etc/table-loader once it has
 * placed the blob (docs of QEMU's bios-linker-loader, spoken by SeaBIOS and OVMF); acpi_place()
 * does the same here for machines without firmware.
 */

#include "machine/acpi/acpi.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/fw_cfg.h"
#include "dsdt.hex.h"

#define TABLES_MAX KIB(32)
#define FIXUPS_MAX 48
#define RSDP_SIZE 36
#define RSDT_ENTRIES 4

#define FILE_TABLES "etc/acpi/tables"
#define FILE_RSDP "etc/acpi/rsdp"
#define FILE_LOADER "etc/table-loader"

/* Commands of the loader script; each entry is 128 bytes. */
#define LOADER_ENTRY_SIZE 128
#define LOADER_ALLOCATE 1
#define LOADER_ADD_POINTER 2
#define LOADER_ADD_CHECKSUM 3
#define ZONE_HIGH 1
#define ZONE_FSEG 2

#define PM_EVENT_BLOCK (MAP_PM_BASE + 0x00)
#define PM_CONTROL_BLOCK (MAP_PM_BASE + 0x04)
#define PM_TIMER_BLOCK (MAP_PM_BASE + 0x08)
#define PM_GPE0_BLOCK (MAP_PM_BASE + 0x20)
#define SMI_COMMAND_PORT 0xb2
#define ACPI_ENABLE 2
#define ACPI_DISABLE 3
#define SCI_IRQ 9

enum fixup_kind {
	FIXUP_POINTER,	/* @size bytes at @at hold an offset into the tables */
	FIXUP_CHECKSUM, /* the byte at @at makes [@start, @start + @size) sum to 0 */
};

struct fixup {
	enum fixup_kind kind;
	bool in_rsdp;
	uint32_t at, start, size;
};

struct acpi_tables {
	uint8_t data[TABLES_MAX];
	uint32_t size;
	uint8_t rsdp[RSDP_SIZE];
	struct fixup fixups[FIXUPS_MAX];
	unsigned int fixup_count;
};

static void add_fixup(struct acpi_tables *t, struct fixup fixup)
{
	t->fixups[t->fixup_count++] = fixup;
}

static void put8(struct acpi_tables *t, uint8_t v)
{
	t->data[t->size++] = v;
}

static void put16(struct acpi_tables *t, uint16_t v)
{
	store_le16(t->data + t->size, v);
	t->size += 2;
}

static void put32(struct acpi_tables *t, uint32_t v)
{
	store_le32(t->data + t->size, v);
	t->size += 4;
}

static void put64(struct acpi_tables *t, uint64_t v)
{
	store_le64(t->data + t->size, v);
	t->size += 8;
}

static void put_pointer32(struct acpi_tables *t, uint32_t target)
{
	add_fixup(t, (struct fixup){ FIXUP_POINTER, false, t->size, 0, 4 });
	put32(t, target);
}

static void put_pointer64(struct acpi_tables *t, uint32_t target)
{
	add_fixup(t, (struct fixup){ FIXUP_POINTER, false, t->size, 0, 8 });
	put64(t, target);
}

/* Generic Address Structure, 5.2.3.2; @space 0 memory, 1 ports. */
static void put_gas(struct acpi_tables *t, uint8_t space, uint8_t bits, uint8_t access,
		    uint64_t address)
{
	put8(t, space);
	put8(t, bits);
	put8(t, 0);
	put8(t, access);
	put64(t, address);
}

/* Start a table: its header (5.2.6) with length and checksum still open. Return: its offset. */
static uint32_t begin_table(struct acpi_tables *t, const char *signature, uint8_t revision)
{
	uint32_t start;

	t->size = ALIGN_UP(t->size, 16);
	start = t->size;
	memcpy(t->data + start, signature, 4);
	t->data[start + 8] = revision;
	memcpy(t->data + start + 10, "LIMEN LIMENPC ", 14);
	store_le32(t->data + start + 24, 1);
	memcpy(t->data + start + 28, "LIMN", 4);
	store_le32(t->data + start + 32, 1);
	t->size += 36;
	return start;
}

static uint32_t end_table(struct acpi_tables *t, uint32_t start)
{
	store_le32(t->data + start + 4, t->size - start);
	add_fixup(t, (struct fixup){ FIXUP_CHECKSUM, false, start + 9, start, t->size - start });
	return start;
}

/* Firmware ACPI Control Structure, 5.2.10: 64-byte aligned, no checksum. */
static uint32_t build_facs(struct acpi_tables *t)
{
	uint32_t start;

	t->size = ALIGN_UP(t->size, 64);
	start = t->size;
	memcpy(t->data + start, "FACS", 4);
	store_le32(t->data + start + 4, 64);
	t->data[start + 32] = 2; /* version */
	t->size += 64;
	return start;
}

/* The compiled DSDT, with the machine's set of devices put into its integer LCFG. */
static int build_dsdt(struct acpi_tables *t, unsigned int present, uint32_t *ret_start)
{
	/* NameOp, "LCFG", DWordPrefix (20.2.5, 20.2.3) */
	static const uint8_t pattern[] = { 0x08, 'L', 'C', 'F', 'G', 0x0c };
	size_t size = sizeof(dsdt_aml_code);
	uint32_t start;
	uint8_t *name;

	t->size = ALIGN_UP(t->size, 16);
	start = t->size;
	memcpy(t->data + start, dsdt_aml_code, size);
	name = memmem(t->data + start, size, pattern, sizeof(pattern));
	if (!name) {
		return -EINVAL;
	}
	store_le32(name + sizeof(pattern), present);
	t->data[start + 9] = 0;
	t->size += (uint32_t)size;
	*ret_start = end_table(t, start);
	return 0;
}

/* Fixed ACPI Description Table, 5.2.9, revision 5 (268 bytes). */
static uint32_t build_fadt(struct acpi_tables *t, const struct acpi_config *config, uint32_t facs,
			   uint32_t dsdt)
{
	uint32_t start = begin_table(t, "FACP", 5);

	put_pointer32(t, facs);
	put_pointer32(t, dsdt);
	put8(t, 0);
	put8(t, 1); /* preferred profile: desktop */
	put16(t, SCI_IRQ);
	put32(t, SMI_COMMAND_PORT);
	put8(t, ACPI_ENABLE);
	put8(t, ACPI_DISABLE);
	put8(t, 0);
	put8(t, 0);
	put32(t, PM_EVENT_BLOCK);
	put32(t, 0);
	put32(t, PM_CONTROL_BLOCK);
	put32(t, 0);
	put32(t, 0);
	put32(t, PM_TIMER_BLOCK);
	put32(t, PM_GPE0_BLOCK);
	put32(t, 0);
	put8(t, 4); /* PM1 event length */
	put8(t, 2); /* PM1 control length */
	put8(t, 0);
	put8(t, 4);  /* PM timer length */
	put8(t, 16); /* GPE0 length */
	put8(t, 0);
	put8(t, 0);
	put8(t, 0);
	put16(t, 0xfff); /* C2 and C3 latency: not there */
	put16(t, 0xfff);
	put16(t, 0);
	put16(t, 0);
	put8(t, 0);
	put8(t, 0);
	put8(t, 0);
	put8(t, 0);
	put8(t, 0x32); /* RTC century byte in CMOS */
	/* IA-PC boot flags: legacy devices, 8042 as present; VGA may be probed */
	put16(t, (uint16_t)(1 | (config->present & ACPI_HAS_PS2 ? 2 : 0)));
	put8(t, 0);
	/* WBINVD, PROC_C1, SLP_BUTTON absent, TMR_VAL_EXT, RESET_REG_SUP, flat logical APIC up
	 * to 8 CPUs */
	put32(t, BIT(0) | BIT(2) | BIT(5) | BIT(8) | BIT(10));
	put_gas(t, 1, 8, 1, 0xcf9);
	put8(t, 0x06); /* reset value: hard reset */
	put16(t, 0);
	put8(t, 0);
	put_pointer64(t, facs);
	put_pointer64(t, dsdt);
	put_gas(t, 1, 32, 2, PM_EVENT_BLOCK);
	put_gas(t, 0, 0, 0, 0);
	put_gas(t, 1, 16, 2, PM_CONTROL_BLOCK);
	put_gas(t, 0, 0, 0, 0);
	put_gas(t, 0, 0, 0, 0);
	put_gas(t, 1, 32, 3, PM_TIMER_BLOCK);
	put_gas(t, 1, 128, 1, PM_GPE0_BLOCK);
	put_gas(t, 0, 0, 0, 0);
	put_gas(t, 0, 0, 0, 0);
	put_gas(t, 0, 0, 0, 0);
	return end_table(t, start);
}

static void put_override(struct acpi_tables *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	put8(t, 2);
	put8(t, 10);
	put8(t, 0);
	put8(t, irq);
	put32(t, gsi);
	put16(t, flags);
}

/* Multiple APIC Description Table, 5.2.12. */
static uint32_t build_madt(struct acpi_tables *t, const struct acpi_config *config)
{
	uint32_t start = begin_table(t, "APIC", 3);

	put32(t, (uint32_t)MAP_LAPIC_BASE);
	put32(t, 1); /* PCAT_COMPAT: there are 8259s */
	for (unsigned int i = 0; i < config->cpus; i++) {
		put8(t, 0);
		put8(t, 8);
		put8(t, (uint8_t)i);
		put8(t, (uint8_t)i);
		put32(t, 1);
	}
	put8(t, 1); /* IOAPIC */
	put8(t, 12);
	put8(t, 0);
	put8(t, 0);
	put32(t, (uint32_t)MAP_IOAPIC_BASE);
	put32(t, 0);
	put_override(t, 0, 2, 0);		/* the timer comes in at pin 2 */
	put_override(t, SCI_IRQ, SCI_IRQ, 0xd); /* level, active high */
	put8(t, 4);				/* NMI at every CPU's LINT1 */
	put8(t, 6);
	put8(t, 0xff);
	put16(t, 0);
	put8(t, 1);
	return end_table(t, start);
}

/* PCI Firmware Specification 3.3, 4.1.2. */
static uint32_t build_mcfg(struct acpi_tables *t)
{
	uint32_t start = begin_table(t, "MCFG", 1);

	put64(t, 0);
	put64(t, MAP_ECAM_BASE);
	put16(t, 0);
	put8(t, 0);
	put8(t, MAP_ECAM_BUSES - 1);
	put32(t, 0);
	return end_table(t, start);
}

/* IA-PC HPET Specification 1.0a, 3.2.4. */
static uint32_t build_hpet(struct acpi_tables *t)
{
	uint32_t start = begin_table(t, "HPET", 1);

	put32(t, 0x8086a201);
	put_gas(t, 0, 0, 0, MAP_HPET_BASE);
	put8(t, 0);
	put16(t, 0);
	put8(t, 0);
	return end_table(t, start);
}

static uint32_t build_root(struct acpi_tables *t, const char *signature, const uint32_t *tables,
			   unsigned int n)
{
	uint32_t start = begin_table(t, signature, 1);

	for (unsigned int i = 0; i < n; i++) {
		if (signature[0] == 'X') {
			put_pointer64(t, tables[i]);
		} else {
			put_pointer32(t, tables[i]);
		}
	}
	return end_table(t, start);
}

/* Root System Description Pointer, 5.2.5.3: two checksums, of 20 and of 36 bytes. */
static void build_rsdp(struct acpi_tables *t, uint32_t rsdt, uint32_t xsdt)
{
	memcpy(t->rsdp, "RSD PTR ", 8);
	memcpy(t->rsdp + 9, "LIMEN ", 6);
	t->rsdp[15] = 2;
	store_le32(t->rsdp + 16, rsdt);
	store_le32(t->rsdp + 20, RSDP_SIZE);
	store_le64(t->rsdp + 24, xsdt);
	add_fixup(t, (struct fixup){ FIXUP_POINTER, true, 16, 0, 4 });
	add_fixup(t, (struct fixup){ FIXUP_POINTER, true, 24, 0, 8 });
	add_fixup(t, (struct fixup){ FIXUP_CHECKSUM, true, 8, 0, 20 });
	add_fixup(t, (struct fixup){ FIXUP_CHECKSUM, true, 32, 0, RSDP_SIZE });
}

int acpi_build(const struct acpi_config *config, struct acpi_tables **ret_tables, struct error *err)
{
	struct acpi_tables *t = calloc(1, sizeof(*t));
	uint32_t tables[RSDT_ENTRIES], facs, dsdt, rsdt;
	unsigned int n = 0;

	if (!t) {
		return error_set(err, ENOMEM, "no memory for ACPI tables");
	}
	if (config->cpus > 255 || sizeof(dsdt_aml_code) + KIB(6) > TABLES_MAX) {
		free(t);
		return error_set(err, EINVAL, "ACPI tables for %u CPUs do not fit", config->cpus);
	}
	facs = build_facs(t);
	if (build_dsdt(t, config->present, &dsdt) < 0) {
		free(t);
		return error_set(err, EINVAL, "the DSDT has no LCFG");
	}
	tables[n++] = build_fadt(t, config, facs, dsdt);
	tables[n++] = build_madt(t, config);
	tables[n++] = build_mcfg(t);
	if (config->present & ACPI_HAS_HPET) {
		tables[n++] = build_hpet(t);
	}
	rsdt = build_root(t, "RSDT", tables, n);
	build_rsdp(t, rsdt, build_root(t, "XSDT", tables, n));
	*ret_tables = t;
	return 0;
}

void acpi_free(struct acpi_tables *tables)
{
	free(tables);
}

static void loader_allocate(uint8_t *entry, const char *file, uint32_t align, uint8_t zone)
{
	store_le32(entry, LOADER_ALLOCATE);
	snprintf((char *)entry + 4, FW_CFG_NAME_SIZE, "%s", file);
	store_le32(entry + 60, align);
	entry[64] = zone;
}

static void loader_fixup(uint8_t *entry, const struct fixup *fixup)
{
	snprintf((char *)entry + 4, FW_CFG_NAME_SIZE, "%s",
		 fixup->in_rsdp ? FILE_RSDP : FILE_TABLES);
	if (fixup->kind == FIXUP_POINTER) {
		store_le32(entry, LOADER_ADD_POINTER);
		snprintf((char *)entry + 60, FW_CFG_NAME_SIZE, FILE_TABLES);
		store_le32(entry + 116, fixup->at);
		entry[120] = (uint8_t)fixup->size;
	} else {
		store_le32(entry, LOADER_ADD_CHECKSUM);
		store_le32(entry + 60, fixup->at);
		store_le32(entry + 64, fixup->start);
		store_le32(entry + 68, fixup->size);
	}
}

int acpi_publish(const struct acpi_tables *tables, struct device *fw_cfg, struct error *err)
{
	uint8_t script[(2 + FIXUPS_MAX) * LOADER_ENTRY_SIZE] = { 0 };
	size_t size = (2 + (size_t)tables->fixup_count) * LOADER_ENTRY_SIZE;
	unsigned int n = 2;
	int ret;

	loader_allocate(script, FILE_RSDP, 16, ZONE_FSEG);
	loader_allocate(script + LOADER_ENTRY_SIZE, FILE_TABLES, 64, ZONE_HIGH);
	/* A checksum covers pointers, so those come first. */
	for (int pass = FIXUP_POINTER; pass <= FIXUP_CHECKSUM; pass++) {
		for (unsigned int i = 0; i < tables->fixup_count; i++) {
			if ((int)tables->fixups[i].kind == pass) {
				loader_fixup(script + n++ * LOADER_ENTRY_SIZE, &tables->fixups[i]);
			}
		}
	}
	ret = fw_cfg_add_file(fw_cfg, FILE_RSDP, tables->rsdp, sizeof(tables->rsdp));
	if (ret == 0) {
		ret = fw_cfg_add_file(fw_cfg, FILE_TABLES, tables->data, tables->size);
	}
	if (ret == 0) {
		ret = fw_cfg_add_file(fw_cfg, FILE_LOADER, script, size);
	}
	return ret < 0 ? error_set(err, -ret, "cannot hand ACPI tables to the firmware: %s",
				   strerror(-ret))
		       : 0;
}

static void apply_fixup(uint8_t *data, const struct fixup *fixup, uint64_t base)
{
	uint8_t sum = 0;

	if (fixup->kind == FIXUP_POINTER && fixup->size == 8) {
		store_le64(data + fixup->at, load_le64(data + fixup->at) + base);
	} else if (fixup->kind == FIXUP_POINTER) {
		store_le32(data + fixup->at, load_le32(data + fixup->at) + (uint32_t)base);
	} else {
		for (uint32_t i = 0; i < fixup->size; i++) {
			sum = (uint8_t)(sum + data[fixup->start + i]);
		}
		data[fixup->at] = (uint8_t)(data[fixup->at] - sum);
	}
}

int acpi_place(const struct acpi_tables *tables, struct guest_memory *memory, uint64_t base,
	       size_t size, uint64_t *ret_rsdp, struct error *err)
{
	uint32_t tables_at = ALIGN_UP(RSDP_SIZE, 64);
	struct acpi_tables placed = *tables;
	int ret;

	if (tables_at + tables->size > size) {
		return error_set(err, ENOSPC, "ACPI tables of %u bytes do not fit", tables->size);
	}
	for (int pass = FIXUP_POINTER; pass <= FIXUP_CHECKSUM; pass++) {
		for (unsigned int i = 0; i < placed.fixup_count; i++) {
			const struct fixup *fixup = &placed.fixups[i];

			if ((int)fixup->kind == pass) {
				apply_fixup(fixup->in_rsdp ? placed.rsdp : placed.data, fixup,
					    base + tables_at);
			}
		}
	}
	ret = guest_mem_write_rom(memory, base, placed.rsdp, sizeof(placed.rsdp));
	if (ret == 0) {
		ret = guest_mem_write_rom(memory, base + tables_at, placed.data, placed.size);
	}
	if (ret < 0) {
		return error_set(err, -ret, "no memory for ACPI tables at 0x%llx",
				 (unsigned long long)base);
	}
	*ret_rsdp = base;
	return 0;
}
