/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multiboot 1 kernels (Multiboot Specification 0.6.96): the header in the first 8 KiB, loading
 * by its addresses or as ELF, modules, command line and memory map.
 *
 * A video mode that a kernel prefers (flag bit 2) is not set; the information structure says so
 * by leaving its flag clear, which the specification allows.
 */

#include <stdio.h>

#include "machine/boot/boot.h"

#define HEADER_MAGIC 0x1badb002
#define HEADER_SEARCH 8192
#define HEADER_ADDRESSES \
	BIT(16) /* bits 0-15 must be understood: 0 page-align, 1 memory map, 2 video */
#define HEADER_REQUIRED_UNKNOWN 0xfff8

#define INFO_MEMORY BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MMAP BIT(6)
#define INFO_LOADER BIT(9)

#define MODULES_MAX 32
#define MODULE_TEXT_MAX 256
#define MODULE_FLOOR MIB(1) /* modules lie above conventional memory */

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
};

struct multiboot_module {
	uint32_t start, end, string, reserved;
};

struct multiboot_mmap {
	uint32_t size; /* of the rest */
	struct e820_entry entry;
} __attribute__((packed));

/* All of it in one piece at BOOT_START_INFO; addresses within are computed from the offsets
 * here. */
struct multiboot_block {
	struct multiboot_info info;
	char loader[8];
	struct multiboot_mmap mmap[MEMORY_MAP_MAX_ENTRIES];
	struct multiboot_module modules[MODULES_MAX];
};

/* Module command lines: in conventional memory, above the kernel's own command line. */
#define MODULE_TEXT_BASE (BOOT_CMDLINE + BOOT_CMDLINE_MAX)

static const uint8_t *find_header(const struct boot_file *file)
{
	size_t end = MIN(file->size, (size_t)HEADER_SEARCH);

	for (size_t i = 0; i + 12 <= end; i += 4) {
		const uint8_t *h = file->data + i;

		if (load_le32(h) == HEADER_MAGIC &&
		    load_le32(h) + load_le32(h + 4) + load_le32(h + 8) == 0) {
			return h;
		}
	}
	return NULL;
}

bool boot_is_multiboot(const struct boot_file *file)
{
	return find_header(file) != NULL;
}

/* Load by the addresses in the header (the specification's "a.out kludge"). */
static int load_by_addresses(const struct boot_request *request, const struct boot_file *file,
			     const uint8_t *header, uint64_t *ret_entry, uint64_t *ret_end,
			     struct error *err)
{
	size_t at = (size_t)(header - file->data);
	uint64_t header_addr, load_addr, load_end, bss_end, offset, size;

	if (file->size - at < 32) {
		return error_set(err, ENOEXEC, "kernel '%s' is truncated", file->name);
	}
	header_addr = load_le32(header + 12);
	load_addr = load_le32(header + 16);
	load_end = load_le32(header + 20);
	bss_end = load_le32(header + 24);
	if (load_addr > header_addr || header_addr - load_addr > at) {
		return error_set(err, ENOEXEC,
				 "kernel '%s' has impossible Multiboot load addresses", file->name);
	}
	offset = at - (header_addr - load_addr);
	size = load_end ? load_end - load_addr : file->size - offset;
	if ((load_end && load_end < load_addr) || size > file->size - offset) {
		return error_set(err, ENOEXEC,
				 "kernel '%s' is shorter than its Multiboot header says",
				 file->name);
	}
	*ret_end = MAX(bss_end, load_addr + size);
	*ret_entry = load_le32(header + 28);
	if (guest_mem_write(request->memory, load_addr, file->data + offset, size) < 0 ||
	    guest_mem_fill(request->memory, load_addr + size, 0, *ret_end - load_addr - size) < 0) {
		return error_set(err, ENOSPC,
				 "kernel '%s' does not fit in the machine's memory; give it more "
				 "with --memory",
				 file->name);
	}
	return 0;
}

/* Load one module at *@at (page-aligned by the caller), its command line into the text area. */
static int load_module(const struct boot_request *request, const struct boot_module *module,
		       unsigned int index, uint64_t *at, struct multiboot_module *ret_module,
		       struct error *err)
{
	uint32_t text_at = MODULE_TEXT_BASE + index * MODULE_TEXT_MAX;
	char text[MODULE_TEXT_MAX];
	struct boot_file file;
	int ret;

	snprintf(text, sizeof(text), "%s%s%s", module->file, module->args ? " " : "",
		 module->args ? module->args : "");
	ret = boot_file_read(module->file, GIB(3), &file, err);
	if (ret < 0) {
		error_prefix(err, "module");
		return ret;
	}
	if (*at + file.size > request->map->low ||
	    guest_mem_write(request->memory, *at, file.data, file.size) < 0) {
		ret = error_set(err, ENOSPC, "module '%s' does not fit in the machine's memory",
				module->file);
	} else {
		*ret_module = (struct multiboot_module){ (uint32_t)*at, (uint32_t)(*at + file.size),
							 text_at, 0 };
		*at = ALIGN_UP(*at + file.size, GUEST_PAGE_SIZE);
		ret = guest_mem_write(request->memory, text_at, text, strlen(text) + 1);
	}
	boot_file_free(&file);
	return ret;
}

static int load_modules(const struct boot_request *request, uint64_t at,
			struct multiboot_block *block, struct error *err)
{
	const struct boot_module initrd = { .file = request->initrd };
	uint32_t n = 0;
	int ret = 0;

	at = ALIGN_UP(MAX(at, MODULE_FLOOR), GUEST_PAGE_SIZE);
	if (request->initrd) {
		ret = load_module(request, &initrd, n, &at, &block->modules[n], err);
		n++;
	}
	for (unsigned int i = 0; ret == 0 && i < request->module_count; i++) {
		if (n == MODULES_MAX) {
			return error_set(err, E2BIG, "more than %d Multiboot modules", MODULES_MAX);
		}
		ret = load_module(request, &request->modules[i], n, &at, &block->modules[n], err);
		n++;
	}
	block->info.mods_count = n;
	return ret;
}

static void fill_info(const struct boot_request *request, struct multiboot_block *block)
{
	struct e820_entry e820[MEMORY_MAP_MAX_ENTRIES];
	unsigned int n = memory_map_e820(request->map, true, e820);
	struct multiboot_info *info = &block->info;

	info->flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER;
	info->mem_lower = 639;
	info->mem_upper =
		request->map->low > MIB(1) ? (uint32_t)((request->map->low - MIB(1)) >> 10) : 0;
	info->cmdline = BOOT_CMDLINE;
	info->mods_addr = BOOT_START_INFO + offsetof(struct multiboot_block, modules);
	info->mmap_addr = BOOT_START_INFO + offsetof(struct multiboot_block, mmap);
	info->mmap_length = n * (uint32_t)sizeof(block->mmap[0]);
	info->boot_loader_name = BOOT_START_INFO + offsetof(struct multiboot_block, loader);
	memcpy(block->loader, "Limen", 6);
	for (unsigned int i = 0; i < n; i++) {
		block->mmap[i].size = sizeof(e820[i]);
		block->mmap[i].entry = e820[i];
	}
}

int boot_load_multiboot(const struct boot_request *request, const struct boot_file *file,
			struct boot_entry *ret_entry, struct error *err)
{
	const uint8_t *header = find_header(file);
	uint32_t flags = load_le32(header + 4);
	struct multiboot_block block = { 0 };
	struct elf_image image = { 0 };
	uint64_t entry = 0, end = 0;
	int ret;

	if (flags & HEADER_REQUIRED_UNKNOWN) {
		return error_set(err, ENOTSUP,
				 "kernel '%s' asks for Multiboot features (flags 0x%x) that do not "
				 "exist here",
				 file->name, flags & HEADER_REQUIRED_UNKNOWN);
	}
	if (flags & HEADER_ADDRESSES) {
		ret = load_by_addresses(request, file, header, &entry, &end, err);
	} else {
		ret = elf_load(file, request->memory, &image, err);
		entry = image.entry;
		end = image.end;
	}
	if (ret == 0) {
		ret = load_modules(request, end, &block, err);
	}
	if (ret == 0) {
		ret = boot_place_cmdline(request, BOOT_CMDLINE_MAX, err);
	}
	if (ret < 0) {
		return ret;
	}
	fill_info(request, &block);
	*ret_entry = (struct boot_entry){ BOOT_MULTIBOOT, entry, BOOT_START_INFO };
	return guest_mem_write(request->memory, BOOT_START_INFO, &block, sizeof(block));
}
