/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels: loading of the program segments to their physical addresses (System V ABI,
 * "Program Header"), and PVH boot of those that carry the note XEN_ELFNOTE_PHYS32_ENTRY: the
 * kernel is entered in 32-bit protected mode with EBX at a struct hvm_start_info (Xen's
 * public/arch-x86/hvm/start_info.h, version 1 with memory map). Every offset and size of the
 * file is checked before it is used.
 */

#include <elf.h>

#include "machine/boot/boot.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define HVM_START_MAGIC 0x336ec578

bool boot_is_elf(const struct boot_file *file)
{
	return file->size >= sizeof(Elf32_Ehdr) && !memcmp(file->data, ELFMAG, SELFMAG);
}

/* One program header, widened from either class. */
struct segment {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz;
};

static int read_segment(const struct boot_file *file, bool is64, uint64_t at, struct segment *ret)
{
	size_t size = is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (at > file->size || file->size - at < size) {
		return -ENOEXEC;
	}
	if (is64) {
		Elf64_Phdr p;

		memcpy(&p, file->data + at, sizeof(p));
		*ret = (struct segment){ p.p_type, p.p_offset, p.p_paddr, p.p_filesz, p.p_memsz };
	} else {
		Elf32_Phdr p;

		memcpy(&p, file->data + at, sizeof(p));
		*ret = (struct segment){ p.p_type, p.p_offset, p.p_paddr, p.p_filesz, p.p_memsz };
	}
	if (ret->filesz && (ret->offset > file->size || ret->filesz > file->size - ret->offset)) {
		return -ENOEXEC;
	}
	return 0;
}

/* Look through a PT_NOTE segment for the PVH entry point. */
static uint64_t find_pvh_entry(const struct boot_file *file, const struct segment *seg)
{
	const uint8_t *p = file->data + seg->offset;
	uint64_t left = seg->filesz;

	while (left >= 12) {
		uint64_t name_size = ALIGN_UP((uint64_t)load_le32(p), 4);
		uint64_t desc_size = load_le32(p + 4);
		uint64_t need = 12 + name_size + ALIGN_UP(desc_size, 4);

		if (12 + name_size + desc_size > left) {
			return 0;
		}
		if (load_le32(p + 8) == XEN_ELFNOTE_PHYS32_ENTRY && name_size == 4 &&
		    !memcmp(p + 12, "Xen", 4) && desc_size >= 4) {
			return load_le32(p + 12 + name_size);
		}
		if (need > left) {
			return 0;
		}
		p += need;
		left -= need;
	}
	return 0;
}

static int load_segment(const struct boot_file *file, struct guest_memory *memory,
			const struct segment *seg, struct error *err)
{
	int ret;

	if (seg->filesz > seg->memsz || seg->memsz > MAP_RAM_MAX || seg->paddr > MAP_RAM_MAX) {
		return error_set(err, ENOEXEC, "kernel '%s' has a segment with impossible sizes",
				 file->name);
	}
	ret = guest_mem_write(memory, seg->paddr, file->data + seg->offset, seg->filesz);
	if (ret == 0) {
		ret = guest_mem_fill(memory, seg->paddr + seg->filesz, 0, seg->memsz - seg->filesz);
	}
	if (ret < 0) {
		return error_set(err, ENOSPC,
				 "kernel '%s' needs memory from 0x%llx to 0x%llx; give the machine "
				 "more with --memory",
				 file->name, (unsigned long long)seg->paddr,
				 (unsigned long long)(seg->paddr + seg->memsz));
	}
	return 0;
}

/* Where the program headers are; -ENOEXEC unless it is a little-endian x86 executable. */
static int read_header(const struct boot_file *file, struct elf_image *image, uint64_t *ret_phoff,
		       unsigned int *ret_phnum, unsigned int *ret_phentsize)
{
	if (file->data[EI_DATA] != ELFDATA2LSB) {
		return -ENOEXEC;
	}
	if (file->data[EI_CLASS] == ELFCLASS64 && file->size >= sizeof(Elf64_Ehdr)) {
		Elf64_Ehdr h;

		memcpy(&h, file->data, sizeof(h));
		*image = (struct elf_image){ .entry = h.e_entry, .is64 = true };
		*ret_phoff = h.e_phoff;
		*ret_phnum = h.e_phnum;
		*ret_phentsize = h.e_phentsize;
		return h.e_machine == EM_X86_64 && h.e_phentsize >= sizeof(Elf64_Phdr) ? 0
										       : -ENOEXEC;
	}
	if (file->data[EI_CLASS] == ELFCLASS32) {
		Elf32_Ehdr h;

		memcpy(&h, file->data, sizeof(h));
		*image = (struct elf_image){ .entry = h.e_entry };
		*ret_phoff = h.e_phoff;
		*ret_phnum = h.e_phnum;
		*ret_phentsize = h.e_phentsize;
		return h.e_machine == EM_386 && h.e_phentsize >= sizeof(Elf32_Phdr) ? 0 : -ENOEXEC;
	}
	return -ENOEXEC;
}

int elf_load(const struct boot_file *file, struct guest_memory *memory, struct elf_image *ret_image,
	     struct error *err)
{
	struct elf_image image;
	unsigned int phnum, phentsize;
	uint64_t phoff;

	if (!boot_is_elf(file) || read_header(file, &image, &phoff, &phnum, &phentsize) < 0) {
		return error_set(err, ENOEXEC, "kernel '%s' is not an ELF file for x86",
				 file->name);
	}
	image.start = UINT64_MAX;
	for (unsigned int i = 0; i < phnum; i++) {
		struct segment seg;
		int ret;

		if (phoff > file->size ||
		    read_segment(file, image.is64, phoff + (uint64_t)i * phentsize, &seg) < 0) {
			return error_set(err, ENOEXEC, "kernel '%s' is truncated", file->name);
		}
		if (seg.type == PT_NOTE && !image.pvh_entry) {
			image.pvh_entry = find_pvh_entry(file, &seg);
		}
		if (seg.type != PT_LOAD || !seg.memsz) {
			continue;
		}
		ret = load_segment(file, memory, &seg, err);
		if (ret < 0) {
			return ret;
		}
		image.start = MIN(image.start, seg.paddr);
		image.end = MAX(image.end, seg.paddr + seg.memsz);
	}
	if (!image.end) {
		return error_set(err, ENOEXEC, "kernel '%s' has nothing to load", file->name);
	}
	*ret_image = image;
	return 0;
}

struct hvm_start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct hvm_module {
	uint64_t address, size, cmdline, reserved;
};

struct hvm_memory {
	uint64_t address, size;
	uint32_t type, reserved;
};

int boot_load_pvh(const struct boot_request *request, const struct boot_file *file,
		  struct boot_entry *ret_entry, struct error *err)
{
	struct {
		struct hvm_start_info info;
		struct hvm_module module;
		struct hvm_memory map[MEMORY_MAP_MAX_ENTRIES];
	} block = { .info = { .magic = HVM_START_MAGIC, .version = 1, .cmdline = BOOT_CMDLINE } };
	struct e820_entry e820[MEMORY_MAP_MAX_ENTRIES];
	struct elf_image image;
	int ret;

	ret = elf_load(file, request->memory, &image, err);
	if (ret < 0) {
		return ret;
	}
	if (!image.pvh_entry) {
		return error_set(err, ENOEXEC,
				 "ELF kernel '%s' has neither a PVH note nor a Multiboot header",
				 file->name);
	}
	ret = boot_place_initrd(request, image.end, UINT32_MAX, &block.module.address,
				&block.module.size, err);
	if (ret == 0) {
		ret = boot_place_cmdline(request, BOOT_CMDLINE_MAX, err);
	}
	if (ret < 0) {
		return ret;
	}
	block.info.module_count = block.module.size ? 1 : 0;
	block.info.modules = BOOT_START_INFO + sizeof(block.info);
	block.info.rsdp = request->rsdp;
	block.info.memory_map = block.info.modules + sizeof(block.module);
	block.info.memory_map_entries = memory_map_e820(request->map, true, e820);
	for (unsigned int i = 0; i < block.info.memory_map_entries; i++) {
		block.map[i] = (struct hvm_memory){ e820[i].base, e820[i].size, e820[i].type, 0 };
	}
	*ret_entry = (struct boot_entry){ BOOT_PVH, image.pvh_entry, BOOT_START_INFO };
	return guest_mem_write(request->memory, BOOT_START_INFO, &block, sizeof(block));
}
