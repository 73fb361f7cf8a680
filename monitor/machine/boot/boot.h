/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MACHINE_BOOT_BOOT_H
#define LIMEN_MACHINE_BOOT_BOOT_H

/*
 * Direct boot: put a kernel, its initrd and command line into guest memory without firmware, and
 * say in which state the first CPU enters it. Each format's specification decides registers and
 * memory map.
 */

#include "base/error.h"
#include "engine/cpu_state.h"
#include "machine/memory_map.h"
#include "memory/guest_memory.h"

/* Guest-physical addresses of what is handed to the kernel, all in conventional memory. */
#define BOOT_GDT 0x1000
#define BOOT_START_INFO 0x6000	/* PVH, Multiboot */
#define BOOT_PARAMS 0x7000	/* Linux "zero page" */
#define BOOT_PAGE_TABLES 0x9000 /* PML4, PDPT, four page directories */
#define BOOT_STACK 0x8ff0
#define BOOT_CMDLINE 0x20000
#define BOOT_CMDLINE_MAX 0x10000
#define BOOT_ACPI_BASE 0xe0000 /* ACPI tables of a machine without firmware */
#define BOOT_ACPI_SIZE 0x10000

enum boot_protocol {
	BOOT_LINUX64,	/* long mode, RSI = boot_params */
	BOOT_LINUX32,	/* protected mode, ESI = boot_params */
	BOOT_PVH,	/* protected mode, EBX = start info */
	BOOT_MULTIBOOT, /* protected mode, EAX = magic, EBX = info */
};

/** struct boot_entry - how the first CPU starts. */
struct boot_entry {
	enum boot_protocol protocol;
	uint64_t address;
	uint64_t params;
};

/**
 * struct boot_video - a linear framebuffer that is already showing (width 0: none)
 * @size: in units of 64 KiB; @stride: bytes
 */
struct boot_video {
	uint64_t base;
	uint32_t size;
	uint16_t width;
	uint16_t height;
	uint16_t stride;
};

#define BOOT_MODULES_MAX 32

/** struct boot_module - a file and its command line (may be NULL). */
struct boot_module {
	const char *file;
	const char *args;
};

/**
 * struct boot_request - what to boot
 * @initrd: for Linux and PVH; for Multiboot the first module; NULL for none
 * @modules: further Multiboot modules
 * @guest_decompress: enter a bzImage at its own decompressor
 * @rsdp: address of the ACPI root pointer
 */
struct boot_request {
	const char *kernel;
	const char *initrd;
	const char *append;
	struct boot_module modules[BOOT_MODULES_MAX];
	unsigned int module_count;
	bool guest_decompress;
	uint64_t rsdp;
	struct boot_video video;
	struct guest_memory *memory;
	const struct memory_map *map;
};

/** struct boot_file - a file in memory. */
struct boot_file {
	const char *name;
	uint8_t *data;
	size_t size;
};

/** boot_file_read() - a regular file of at most @max bytes, whole; released by boot_file_free(). */
int boot_file_read(const char *name, size_t max, struct boot_file *ret_file, struct error *err);
void boot_file_free(struct boot_file *file);

/**
 * boot_load() - recognise @request->kernel and load it
 *
 * Return: 0 with *@ret_entry; -errno with a line that names the file and what is wrong with it.
 */
int boot_load(const struct boot_request *request, struct boot_entry *ret_entry, struct error *err);

/** boot_enter() - put the first CPU (already reset) into the state that @entry's protocol asks
 * for, and the  tables it needs into memory. */
int boot_enter(const struct boot_entry *entry, struct guest_memory *memory,
	       struct cpu_state *state);

/* ------- the formats ------- */

bool boot_is_bzimage(const struct boot_file *file);
int boot_load_bzimage(const struct boot_request *request, const struct boot_file *file,
		      struct boot_entry *ret_entry, struct error *err);

bool boot_is_multiboot(const struct boot_file *file);
int boot_load_multiboot(const struct boot_request *request, const struct boot_file *file,
			struct boot_entry *ret_entry, struct error *err);

bool boot_is_elf(const struct boot_file *file);
int boot_load_pvh(const struct boot_request *request, const struct boot_file *file,
		  struct boot_entry *ret_entry, struct error *err);

/**
 * struct elf_image - what elf_load() found
 * @entry: e_entry; @is64: ELFCLASS64
 * @start, @end: physical range of the loaded segments
 * @pvh_entry: from the PVH note; 0 without one
 */
struct elf_image {
	uint64_t entry;
	bool is64;
	uint64_t start;
	uint64_t end;
	uint64_t pvh_entry;
};

/** elf_load() - check an x86 ELF executable and copy its segments to their physical addresses. */
int elf_load(const struct boot_file *file, struct guest_memory *memory, struct elf_image *ret_image,
	     struct error *err);

/** boot_decompress() - unpack a kernel payload (gzip, xz, lzma, zstd, lz4 by its magic).
 *  @ret_data: malloc'd. -EPROTO for an unknown format, which the caller leaves to the guest. */
int boot_decompress(const uint8_t *data, size_t size, uint8_t **ret_data, size_t *ret_size,
		    struct error *err);

/** boot_place_initrd() - load request->initrd as high as possible below @limit and clear of [0,
 * @floor). */
int boot_place_initrd(const struct boot_request *request, uint64_t floor, uint64_t limit,
		      uint64_t *ret_base, uint64_t *ret_size, struct error *err);

/** boot_place_cmdline() - put the command line at BOOT_CMDLINE; @max: bytes that the kernel
 * takes. */
int boot_place_cmdline(const struct boot_request *request, size_t max, struct error *err);

#endif
