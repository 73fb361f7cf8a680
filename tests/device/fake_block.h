/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_FAKE_BLOCK_H
#define LIMEN_TESTS_FAKE_BLOCK_H

/*
 * Disk images in memory for tests of storage devices: the block layer over a memfd, with an I/O
 * thread. What a test does not see coming fails it.
 */

#include "block/block.h"
#include "device/fake_machine.h"

/**
 * struct fake_disk - an image
 * @data: its contents, shared with the block layer; NULL while the drive is empty
 */
struct fake_disk {
	struct io_thread *thread;
	struct block_device *block;
	uint8_t *data;
	size_t size;
	int fd;
};

/** fake_disk_open() - an image of @size bytes, all zero; 0: an empty drive. */
void fake_disk_open(struct fake_disk *disk, size_t size, bool readonly);
void fake_disk_close(struct fake_disk *disk);

/** fake_disk_change() - put another, blank image into the drive (@size 0: empty it). */
void fake_disk_change(struct fake_disk *disk, size_t size, bool readonly);

/** fake_disk_number() - write each sector's number into its first four bytes. */
void fake_disk_number(struct fake_disk *disk);

/** fake_disk_wait() - until nothing is in flight. */
void fake_disk_wait(struct fake_disk *disk);

#endif
