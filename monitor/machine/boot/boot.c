/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct boot, the part that all formats share: reading files, placing initrd and command line,
 * telling the formats apart, and the CPU state of each protocol:
 *
 *   Linux 64-bit   Documentation/x86/boot.rst, "64-bit Boot Protocol"
 *   Linux 32-bit   the same, "32-bit Boot Protocol"
 *   PVH            Xen's docs/misc/pvh.pandoc, "PVH direct boot"
 *   Multiboot      Multiboot Specification 0.6.96, 3.2 "Machine state"
 */

#include "machine/boot/boot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CR0_PE BIT(0)
#define CR0_ET BIT(4)
#define CR0_PG BIT(31)
#define CR4_PAE BIT(5)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define MULTIBOOT_MAGIC 0x2badb002

#define SEG_CODE32 0xc09b /* present, ring 0, execute/read, 32-bit, 4 KiB granularity */
#define SEG_CODE64 0xa09b
#define SEG_DATA 0xc093
#define SEG_TSS32_BUSY 0x008b
#define SELECTOR_CODE 0x10 /* __BOOT_CS */
#define SELECTOR_DATA 0x18 /* __BOOT_DS */
#define SELECTOR_TSS 0x20

int boot_file_read(const char *name, size_t max, struct boot_file *ret_file, struct error *err)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data = NULL;
	size_t done = 0;
	int ret;

	if (fd < 0) {
		return error_set(err, errno, "cannot open '%s': %s", name, strerror(errno));
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		ret = error_set(err, EINVAL, "'%s' is %s, not a file", name,
				S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
		goto out_close;
	}
	if (st.st_size == 0 || (uint64_t)st.st_size > max) {
		ret = error_set(err, EFBIG, "'%s' is %s", name, st.st_size ? "too large" : "empty");
		goto out_close;
	}
	data = malloc((size_t)st.st_size);
	if (!data) {
		ret = error_set(err, ENOMEM, "no memory for '%s'", name);
		goto out_close;
	}
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, data + done, (size_t)st.st_size - done, (off_t)done);

		if (n <= 0) {
			ret = error_set(err, n < 0 ? errno : EIO, "cannot read '%s': %s", name,
					n < 0 ? strerror(errno) : "it became shorter");
			free(data);
			goto out_close;
		}
		done += (size_t)n;
	}
	*ret_file = (struct boot_file){ .name = name, .data = data, .size = done };
	ret = 0;
out_close:
	close(fd);
	return ret;
}

void boot_file_free(struct boot_file *file)
{
	free(file->data);
	file->data = NULL;
}

int boot_place_initrd(const struct boot_request *request, uint64_t floor, uint64_t limit,
		      uint64_t *ret_base, uint64_t *ret_size, struct error *err)
{
	uint64_t top = MIN(limit, request->map->low);
	struct boot_file file;
	uint64_t base;
	int ret;

	if (!request->initrd) {
		*ret_base = 0;
		*ret_size = 0;
		return 0;
	}
	ret = boot_file_read(request->initrd, GIB(3), &file, err);
	if (ret < 0) {
		error_prefix(err, "initrd");
		return ret;
	}
	if (top < floor || file.size > top - floor ||
	    ALIGN_DOWN(top - file.size, GUEST_PAGE_SIZE) < floor) {
		ret = error_set(err, ENOSPC,
				"initrd '%s' of %zu MiB does not fit beside the kernel in %llu MiB "
				"of memory; "
				"give the machine more with --memory",
				request->initrd, file.size >> 20, (unsigned long long)(top >> 20));
		goto out_free;
	}
	base = ALIGN_DOWN(top - file.size, GUEST_PAGE_SIZE);
	ret = guest_mem_write(request->memory, base, file.data, file.size);
	if (ret == 0) {
		*ret_base = base;
		*ret_size = file.size;
	}
out_free:
	boot_file_free(&file);
	return ret;
}

int boot_place_cmdline(const struct boot_request *request, size_t max, struct error *err)
{
	const char *text = request->append ? request->append : "";
	size_t size = strlen(text) + 1;

	max = MIN(max, (size_t)BOOT_CMDLINE_MAX);
	if (size > max) {
		return error_set(err, E2BIG,
				 "the command line has %zu characters; this kernel takes %zu",
				 size - 1, max - 1);
	}
	return guest_mem_write(request->memory, BOOT_CMDLINE, text, size);
}

int boot_load(const struct boot_request *request, struct boot_entry *ret_entry, struct error *err)
{
	struct boot_file file;
	int ret;

	ret = boot_file_read(request->kernel, GIB(1), &file, err);
	if (ret < 0) {
		error_prefix(err, "kernel");
		return ret;
	}
	if (boot_is_bzimage(&file)) {
		ret = boot_load_bzimage(request, &file, ret_entry, err);
	} else if (boot_is_multiboot(&file)) {
		ret = boot_load_multiboot(request, &file, ret_entry, err);
	} else if (boot_is_elf(&file)) {
		ret = boot_load_pvh(request, &file, ret_entry, err);
	} else {
		ret = error_set(err, ENOEXEC,
				"kernel '%s' is neither a bzImage, nor an ELF file with a PVH "
				"note, nor Multiboot 1",
				request->kernel);
	}
	boot_file_free(&file);
	return ret;
}

/* Descriptor of a flat segment with the attributes of @attr (in access-rights format). */
static uint64_t flat_descriptor(uint32_t attr)
{
	return 0x000f00000000ffff | (uint64_t)(attr & 0xff) << 40 |
	       (uint64_t)(attr >> 12 & 0xf) << 52;
}

static int write_gdt(struct guest_memory *memory, struct cpu_state *state, uint32_t code_attr)
{
	const uint64_t gdt[] = {
		0,
		0,
		flat_descriptor(code_attr),
		flat_descriptor(SEG_DATA),
		UINT64_C(0x00008b0000000067), /* 32-bit TSS, busy, at 0 */
	};

	state->gdt.base = BOOT_GDT;
	state->gdt.limit = sizeof(gdt) - 1;
	return guest_mem_write(memory, BOOT_GDT, gdt, sizeof(gdt));
}

/* Identity-map the first 4 GiB with 2 MiB pages, as the 64-bit protocols ask. */
static int write_page_tables(struct guest_memory *memory)
{
	uint64_t table[512];
	int ret;

	memset(table, 0, sizeof(table));
	table[0] = (BOOT_PAGE_TABLES + 0x1000) | 3;
	ret = guest_mem_write(memory, BOOT_PAGE_TABLES, table, sizeof(table));
	for (uint64_t i = 0; i < 4; i++) {
		table[i] = (BOOT_PAGE_TABLES + 0x2000 + i * 0x1000) | 3;
	}
	if (ret == 0) {
		ret = guest_mem_write(memory, BOOT_PAGE_TABLES + 0x1000, table, sizeof(table));
	}
	for (uint64_t i = 0; ret == 0 && i < 4; i++) {
		for (uint64_t j = 0; j < 512; j++) {
			table[j] = (i << 30) | (j << 21) | 0x83;
		}
		ret = guest_mem_write(memory, BOOT_PAGE_TABLES + 0x2000 + i * 0x1000, table,
				      sizeof(table));
	}
	return ret;
}

int boot_enter(const struct boot_entry *entry, struct guest_memory *memory, struct cpu_state *state)
{
	bool long_mode = entry->protocol == BOOT_LINUX64;
	uint32_t code_attr = long_mode ? SEG_CODE64 : SEG_CODE32;
	int ret;

	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		state->seg[i] =
			(struct cpu_segment){ 0, UINT32_MAX, i == CPU_CS ? code_attr : SEG_DATA,
					      i == CPU_CS ? SELECTOR_CODE : SELECTOR_DATA };
	}
	state->tr = (struct cpu_segment){ 0, 0x67, SEG_TSS32_BUSY, SELECTOR_TSS };
	state->cr0 = CR0_PE | CR0_ET;
	state->rip = entry->address;
	state->rflags = 2;
	state->gpr[CPU_RSP] = BOOT_STACK;
	ret = write_gdt(memory, state, code_attr);
	if (ret < 0) {
		return ret;
	}
	switch (entry->protocol) {
	case BOOT_LINUX64:
		state->gpr[CPU_RSI] = entry->params;
		state->cr3 = BOOT_PAGE_TABLES;
		state->cr4 = CR4_PAE;
		state->efer = EFER_LME | EFER_LMA;
		state->cr0 |= CR0_PG;
		return write_page_tables(memory);
	case BOOT_LINUX32: state->gpr[CPU_RSI] = entry->params; break;
	case BOOT_PVH: state->gpr[CPU_RBX] = entry->params; break;
	case BOOT_MULTIBOOT:
		state->gpr[CPU_RAX] = MULTIBOOT_MAGIC;
		state->gpr[CPU_RBX] = entry->params;
		break;
	}
	return 0;
}
