/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Disk images in memory for tests of storage devices; see fake_block.h.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/fake_block.h"

#define SECTOR 512

static void make_image(struct fake_disk *disk, size_t size, char *ret_file, size_t file_size)
{
	disk->size = size;
	disk->fd = memfd_create("disk", MFD_CLOEXEC);
	if (disk->fd < 0 || ftruncate(disk->fd, (off_t)size) < 0) {
		fail_msg("no memory for an image of %zu bytes", size);
	}
	disk->data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, disk->fd, 0);
	if (disk->data == MAP_FAILED) {
		fail_msg("cannot map an image of %zu bytes", size);
	}
	snprintf(ret_file, file_size, "/proc/self/fd/%d", disk->fd);
}

static void drop_image(struct fake_disk *disk)
{
	if (disk->data) {
		munmap(disk->data, disk->size);
		close(disk->fd);
	}
	disk->data = NULL;
	disk->size = 0;
}

void fake_disk_open(struct fake_disk *disk, size_t size, bool readonly)
{
	struct block_options options = { .readonly = readonly };
	struct error err = { 0 };
	char file[32];

	*disk = (struct fake_disk){ 0 };
	if (size) {
		make_image(disk, size, file, sizeof(file));
		options.file = file;
	}
	if (io_thread_create("disk", &disk->thread, &err) < 0 ||
	    block_open(&options, io_thread_loop(disk->thread), &disk->block, &err) < 0) {
		fail_msg("%s", err.text);
	}
}

void fake_disk_close(struct fake_disk *disk)
{
	block_close(disk->block);
	io_thread_destroy(disk->thread);
	drop_image(disk);
}

void fake_disk_change(struct fake_disk *disk, size_t size, bool readonly)
{
	struct block_options options = { .readonly = readonly };
	struct error err = { 0 };
	char file[32];

	fake_disk_wait(disk);
	drop_image(disk);
	if (size) {
		make_image(disk, size, file, sizeof(file));
		options.file = file;
	}
	if (block_set_media(disk->block, &options, &err) < 0) {
		fail_msg("%s", err.text);
	}
}

void fake_disk_number(struct fake_disk *disk)
{
	for (size_t i = 0; i < disk->size / SECTOR; i++) {
		store_le32(disk->data + i * SECTOR, (uint32_t)i);
	}
}

void fake_disk_wait(struct fake_disk *disk)
{
	block_drain(disk->block);
}
