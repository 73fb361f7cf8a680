/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux bzImage (Documentation/x86/boot.rst and zero-page.rst, protocol 2.06 and later).
 *
 * The quick way: when the payload of the image unpacks on the host to an ELF file, that file's
 * segments are loaded and its entry point is called with the registers of the 64-bit (or 32-bit)
 * boot protocol, which is what the kernel's own decompressor would do after it has done the same
 * work at the guest's speed. The kernel then stays at the address it was linked for: no KASLR.
 * With boot.decompress=guest, and for images whose payload is something else (memtest86+), the
 * protected-mode part is loaded and entered by the same protocols.
 */

#include <stdlib.h>

#include "machine/boot/boot.h"

/* Offsets within boot_params, which begins with the image's first sectors. */
#define BP_SCREEN_INFO 0x000
#define BP_ACPI_RSDP 0x070
#define BP_E820_ENTRIES 0x1e8
#define BP_SETUP_HEADER 0x1f1
#define BP_SETUP_SECTS 0x1f1
#define BP_BOOT_FLAG 0x1fe
#define BP_JUMP 0x200
#define BP_MAGIC 0x202
#define BP_VERSION 0x206
#define BP_TYPE_OF_LOADER 0x210
#define BP_LOADFLAGS 0x211
#define BP_CODE32_START 0x214
#define BP_RAMDISK_IMAGE 0x218
#define BP_RAMDISK_SIZE 0x21c
#define BP_HEAP_END_PTR 0x224
#define BP_CMD_LINE_PTR 0x228
#define BP_INITRD_ADDR_MAX 0x22c
#define BP_XLOADFLAGS 0x236
#define BP_CMDLINE_SIZE 0x238
#define BP_PAYLOAD_OFFSET 0x248
#define BP_PAYLOAD_LENGTH 0x24c
#define BP_PREF_ADDRESS 0x258
#define BP_INIT_SIZE 0x260
#define BP_E820_TABLE 0x2d0
#define BP_SIZE 0x1000

#define HEADER_MAGIC 0x53726448 /* "HdrS" */
#define LOADED_HIGH BIT(0)
#define XLF_KERNEL_64 BIT(0)
#define LOADER_UNDEFINED 0xff
#define LOAD_ADDRESS UINT64_C(0x100000)
#define ENTRY_64_OFFSET 0x200
#define VIDEO_TYPE_VLFB 0x23

bool boot_is_bzimage(const struct boot_file *file)
{
	return file->size > 0x268 && load_le16(file->data + BP_BOOT_FLAG) == 0xaa55 &&
	       load_le32(file->data + BP_MAGIC) == HEADER_MAGIC;
}

/* Describe the framebuffer that is already showing: struct screen_info,
 * include/uapi/linux/screen_info.h. */
static void fill_screen_info(uint8_t *params, const struct boot_video *video)
{
	uint8_t *si = params + BP_SCREEN_INFO;

	if (!video->width) {
		return;
	}
	si[0x0f] = VIDEO_TYPE_VLFB;
	store_le16(si + 0x12, video->width);
	store_le16(si + 0x14, video->height);
	store_le16(si + 0x16, 32); /* depth */
	store_le32(si + 0x18, (uint32_t)video->base);
	store_le32(si + 0x1c, video->size);
	store_le16(si + 0x24, video->stride);
	si[0x26] = 8; /* red size and position, then green, blue, reserved */
	si[0x27] = 16;
	si[0x28] = 8;
	si[0x29] = 8;
	si[0x2a] = 8;
	si[0x2b] = 0;
	si[0x2c] = 8;
	si[0x2d] = 24;
	store_le32(si + 0x3a, (uint32_t)(video->base >> 32));
	store_le32(si + 0x36, video->base >> 32 ? 2 : 0); /* VIDEO_CAPABILITY_64BIT_BASE */
}

static void fill_params(uint8_t *params, const struct boot_request *request,
			const struct boot_file *file)
{
	struct e820_entry e820[MEMORY_MAP_MAX_ENTRIES];
	unsigned int n = memory_map_e820(request->map, true, e820);
	size_t header_end =
		0x202 + file->data[0x201]; /* the jump's operand says how long the header is */

	memset(params, 0, BP_SIZE);
	memcpy(params + BP_SETUP_HEADER, file->data + BP_SETUP_HEADER,
	       MIN(header_end, (size_t)0x290) - BP_SETUP_HEADER);
	params[BP_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	store_le32(params + BP_CMD_LINE_PTR, BOOT_CMDLINE);
	store_le64(params + BP_ACPI_RSDP, request->rsdp);
	memcpy(params + BP_E820_TABLE, e820, n * sizeof(e820[0]));
	params[BP_E820_ENTRIES] = (uint8_t)n;
	fill_screen_info(params, &request->video);
}

/* Load the unpacked vmlinux. Return: 1 when that is how to boot, 0 when it is not an ELF file. */
static int load_unpacked(const struct boot_request *request, const struct boot_file *file,
			 size_t setup_size, struct boot_entry *ret_entry, uint64_t *ret_end,
			 struct error *err)
{
	uint64_t offset = setup_size + (uint64_t)load_le32(file->data + BP_PAYLOAD_OFFSET);
	uint64_t length = load_le32(file->data + BP_PAYLOAD_LENGTH);
	struct boot_file elf = { .name = file->name };
	struct elf_image image;
	int ret;

	if (!length || offset > file->size || length > file->size - offset) {
		return 0;
	}
	ret = boot_decompress(file->data + offset, length, &elf.data, &elf.size, err);
	if (ret == -EPROTO) {
		return 0;
	}
	if (ret < 0) {
		error_prefix(err, "kernel '%s'", file->name);
		return ret;
	}
	ret = 0;
	if (boot_is_elf(&elf)) {
		ret = elf_load(&elf, request->memory, &image, err);
		if (ret == 0) {
			*ret_entry = (struct boot_entry){ image.is64 ? BOOT_LINUX64 : BOOT_LINUX32,
							  image.entry, BOOT_PARAMS };
			*ret_end = image.start + MAX((uint64_t)load_le32(file->data + BP_INIT_SIZE),
						     image.end - image.start);
			ret = 1;
		}
	}
	free(elf.data);
	return ret;
}

/* Load the protected-mode part as a boot loader does. */
static int load_packed(const struct boot_request *request, const struct boot_file *file,
		       size_t setup_size, struct boot_entry *ret_entry, uint64_t *ret_end,
		       struct error *err)
{
	bool is64 = load_le16(file->data + BP_VERSION) >= 0x20c &&
		    load_le16(file->data + BP_XLOADFLAGS) & XLF_KERNEL_64;
	uint64_t size = file->size - setup_size;
	uint64_t need = load_le16(file->data + BP_VERSION) >= 0x20a
				? load_le32(file->data + BP_INIT_SIZE)
				: 0;
	int ret;

	if (!(file->data[BP_LOADFLAGS] & LOADED_HIGH)) {
		return error_set(
			err, ENOEXEC,
			"kernel '%s' is a zImage, which loads low; only bzImages are booted",
			file->name);
	}
	ret = guest_mem_write(request->memory, LOAD_ADDRESS, file->data + setup_size, size);
	if (ret < 0) {
		return error_set(err, ENOSPC,
				 "kernel '%s' does not fit in the machine's memory; give it more "
				 "with --memory",
				 file->name);
	}
	size = MAX(size, need);
	*ret_end = MAX(LOAD_ADDRESS + size, load_le64(file->data + BP_PREF_ADDRESS) + need);
	*ret_entry = is64 ? (struct boot_entry){ BOOT_LINUX64, LOAD_ADDRESS + ENTRY_64_OFFSET,
						 BOOT_PARAMS }
			  : (struct boot_entry){ BOOT_LINUX32, LOAD_ADDRESS, BOOT_PARAMS };
	return 0;
}

int boot_load_bzimage(const struct boot_request *request, const struct boot_file *file,
		      struct boot_entry *ret_entry, struct error *err)
{
	size_t setup_size =
		512 * ((file->data[BP_SETUP_SECTS] ? file->data[BP_SETUP_SECTS] : 4) + 1);
	uint32_t initrd_limit = load_le32(file->data + BP_INITRD_ADDR_MAX);
	uint8_t params[BP_SIZE];
	uint64_t end = 0, initrd_base, initrd_size;
	int ret;

	if (load_le16(file->data + BP_VERSION) < 0x206) {
		return error_set(
			err, ENOEXEC,
			"kernel '%s' has boot protocol %u.%02u; 2.06 (Linux 2.6.22) is the oldest",
			file->name, file->data[BP_VERSION + 1], file->data[BP_VERSION]);
	}
	if (setup_size >= file->size) {
		return error_set(err, ENOEXEC, "kernel '%s' is truncated", file->name);
	}
	ret = request->guest_decompress
		      ? 0
		      : load_unpacked(request, file, setup_size, ret_entry, &end, err);
	if (ret == 0) {
		ret = load_packed(request, file, setup_size, ret_entry, &end, err);
	}
	if (ret < 0) {
		return ret;
	}
	fill_params(params, request, file);
	ret = boot_place_cmdline(request, load_le32(file->data + BP_CMDLINE_SIZE) + 1, err);
	if (ret == 0) {
		ret = boot_place_initrd(request, ALIGN_UP(end, GUEST_PAGE_SIZE),
					(uint64_t)initrd_limit + 1, &initrd_base, &initrd_size,
					err);
	}
	if (ret < 0) {
		return ret;
	}
	store_le32(params + BP_RAMDISK_IMAGE, (uint32_t)initrd_base);
	store_le32(params + BP_RAMDISK_SIZE, (uint32_t)initrd_size);
	return guest_mem_write(request->memory, BOOT_PARAMS, params, sizeof(params));
}
