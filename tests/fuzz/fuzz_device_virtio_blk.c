/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: virtio-blk on a small image in memory. Image and loop are made once: opening an
 * image for each input would take most of the time.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/block.h"
#include "fuzz/virtio_fuzz.h"

static struct event_loop *disk_loop;
static struct block_device *disk;

static void open_disk(void)
{
	struct block_options options = { .format = "raw" };
	int fd = memfd_create("fuzz-disk", MFD_CLOEXEC);
	struct error err = { 0 };
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	options.file = path;
	if (fd < 0 || ftruncate(fd, 64 * 1024) < 0 || event_loop_create(&disk_loop, &err) < 0 ||
	    block_open(&options, disk_loop, &disk, &err) < 0) {
		fprintf(stderr, "no disk: %s\n", err.text);
		abort();
	}
}

static void plug_disk(struct fake_machine *fm, struct device_env *env)
{
	env->block = disk;
	env->loop = disk_loop;
	env->io_loop = disk_loop;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_fuzz fuzz = {
		.kind = "virtio-blk",
		.tweak = plug_disk,
		.features = size & 1 ? ~UINT64_C(0) : ~BIT(VIRTIO_F_RING_PACKED),
		.queues = 1,
	};

	if (!disk) {
		open_disk();
	}
	fuzz.loop = disk_loop;
	return virtio_fuzz_run(&fuzz, data, size);
}
