/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS structures (DMTF DSP0134, version 3.6): BIOS (type 0), system (1), enclosure (3),
 * processors (4), memory array (16) and device (17), end (127), with the 64-bit entry point of
 * 5.2.2. Firmware gets table and anchor through fw_cfg; a machine without firmware finds the
 * anchor at F0000h, where operating systems scan for it.
 */

#include "machine/machine_impl.h"

#include <stdarg.h>
#include <stdio.h>

#define ANCHOR_SIZE 24
#define TABLE_MAX 4096

struct smbios {
	uint8_t table[TABLE_MAX];
	size_t size;
	uint16_t next_handle;
	uint8_t anchor[ANCHOR_SIZE];
};

/*
 * Append a structure: @size bytes of @formatted follow the 4-byte header; then its strings,
 * ended by NULL in the argument list, which the formatted part names by number from 1.
 */
static void add(struct smbios *s, uint8_t type, const void *formatted, size_t size, ...)
{
	uint8_t *p = s->table + s->size;
	const char *text;
	bool any = false;
	va_list args;

	p[0] = type;
	p[1] = (uint8_t)(4 + size);
	store_le16(p + 2, s->next_handle++);
	memcpy(p + 4, formatted, size);
	p += 4 + size;
	va_start(args, size);
	while ((text = va_arg(args, const char *))) {
		size_t n = strlen(text) + 1;

		memcpy(p, text, n);
		p += n;
		any = true;
	}
	va_end(args);
	p += any ? 1 : 2;
	s->size = (size_t)(p - s->table);
}

static void add_bios(struct smbios *s)
{
	uint8_t f[20] = { 1, 2, 0x00, 0xe8, 3 };

	f[6] = 0x08;  /* characteristics: not supported list */
	f[15] = 0x14; /* virtual machine, targeted content distribution */
	f[16] = 0xff;
	f[17] = 0xff;
	f[18] = 0xff;
	f[19] = 0xff;
	add(s, 0, f, sizeof(f), "Limen", LIMEN_VERSION, "01/01/2026", NULL);
}

static void add_system(struct smbios *s)
{
	uint8_t f[23] = { 1, 2, 3, 0 };

	f[20] = 6; /* wake-up: power switch */
	add(s, 1, f, sizeof(f), "Limen", "Limen PC (Q35)", LIMEN_VERSION, NULL);
}

static void add_enclosure(struct smbios *s)
{
	const uint8_t f[9] = { 1, 1, 0, 0, 0, 3, 3, 3, 2 };

	add(s, 3, f, sizeof(f), "Limen", NULL);
}

static void add_processor(struct smbios *s, unsigned int index)
{
	uint8_t f[38] = { 1, 3, 0x01, 2 }; /* socket, central processor, family other */
	char socket[16];

	snprintf(socket, sizeof(socket), "CPU %u", index);
	f[20] = 0x41; /* populated, enabled */
	f[21] = 1;
	store_le16(f + 22, 0xffff); /* no cache information */
	store_le16(f + 24, 0xffff);
	store_le16(f + 26, 0xffff);
	f[31] = 1;
	f[32] = 1;
	f[33] = 1;
	store_le16(f + 34, 4); /* 64-bit capable */
	add(s, 4, f, sizeof(f), socket, "Limen", NULL);
}

static void add_memory(struct smbios *s, uint64_t bytes)
{
	uint32_t mib = (uint32_t)(bytes >> 20);
	uint16_t array = s->next_handle;
	uint8_t f16[19] = { 1, 3, 6 }; /* on board, system memory, multi-bit ECC */
	uint8_t f17[36] = { 0 };

	store_le32(f16 + 3, 0x80000000);
	store_le16(f16 + 7, 0xfffe);
	store_le16(f16 + 9, 1);
	store_le64(f16 + 11, bytes);
	add(s, 16, f16, sizeof(f16), NULL);
	store_le16(f17, array);
	store_le16(f17 + 2, 0xfffe);
	store_le16(f17 + 4, 0xffff);
	store_le16(f17 + 6, 0xffff);
	store_le16(f17 + 8, mib < 0x7fff ? (uint16_t)mib : 0x7fff);
	f17[10] = 9; /* DIMM */
	f17[12] = 1;
	f17[14] = 7; /* RAM */
	store_le16(f17 + 15, 2);
	store_le32(f17 + 24, mib);
	add(s, 17, f17, sizeof(f17), "DIMM 0", NULL);
}

static void build(struct machine *machine, struct smbios *s)
{
	memset(s, 0, sizeof(*s));
	add_bios(s);
	add_system(s);
	add_enclosure(s);
	for (unsigned int i = 0; i < MIN(machine->engine->vcpu_count, 32U); i++) {
		add_processor(s, i);
	}
	add_memory(s, machine->map.low + machine->map.high);
	add(s, 127, "", 0, NULL);
}

/* The 64-bit (3.0) entry point; @address of the table is filled in by firmware where there is
 * one. */
static void build_anchor(struct smbios *s, uint64_t address)
{
	uint8_t sum = 0;

	memcpy(s->anchor, "_SM3_", 5);
	s->anchor[6] = ANCHOR_SIZE;
	s->anchor[7] = 3;
	s->anchor[8] = 6;
	s->anchor[10] = 1;
	store_le32(s->anchor + 12, (uint32_t)s->size);
	store_le64(s->anchor + 16, address);
	for (size_t i = 0; i < ANCHOR_SIZE; i++) {
		sum = (uint8_t)(sum + s->anchor[i]);
	}
	s->anchor[5] = (uint8_t)-sum;
}

int smbios_publish(struct machine *machine, struct error *err)
{
	struct smbios s;
	int ret;

	build(machine, &s);
	build_anchor(&s, 0);
	ret = fw_cfg_add_file(machine->fw_cfg, "etc/smbios/smbios-tables", s.table, s.size);
	if (ret == 0) {
		ret = fw_cfg_add_file(machine->fw_cfg, "etc/smbios/smbios-anchor", s.anchor,
				      sizeof(s.anchor));
	}
	return ret < 0 ? error_set(err, -ret, "cannot hand SMBIOS to the firmware: %s",
				   strerror(-ret))
		       : 0;
}

int smbios_place(struct machine *machine, uint64_t base, size_t size, struct error *err)
{
	struct smbios s;
	int ret;

	build(machine, &s);
	build_anchor(&s, base + 32);
	if (32 + s.size > size) {
		return error_set(err, ENOSPC, "SMBIOS tables do not fit");
	}
	ret = guest_mem_write(machine->memory, base, s.anchor, sizeof(s.anchor));
	if (ret == 0) {
		ret = guest_mem_write(machine->memory, base + 32, s.table, s.size);
	}
	return ret < 0 ? error_set(err, -ret, "no memory for SMBIOS") : 0;
}
