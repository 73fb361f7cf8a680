/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio block device, virtio 1.2 section 5.2: reads, writes, flushes, discards and zeroes of a
 * disk image, in one or several queues.
 *
 * Requests are popped on the I/O thread with the device's lock held, and submitted without it,
 * since the block layer may complete a bad one at once. A request object and the arrays that
 * describe its buffers come from a free list with one for each ring entry, so that nothing is
 * allocated while the guest runs.
 *
 * Whatever the guest asks for is answered: what is malformed or beyond the disk with IOERR, what
 * was not offered with UNSUPP. Where the driver did not agree on FLUSH, it does not know of a write
 * cache, and each write is followed by a flush (5.2.6.2). Not offered: toggling that cache, zoned
 * disks, secure erase, geometry, life time.
 */

#include <stdio.h>
#include <stdlib.h>

#include "block/block.h"
#include "bus/virtio.h"

#define VIRTIO_ID_BLOCK 2

#define QUEUES_MAX 8
#define QUEUE_SIZE 256

/* Feature bits, 5.2.3 */
#define BLK_F_SEG_MAX 2
#define BLK_F_RO 5
#define BLK_F_BLK_SIZE 6
#define BLK_F_FLUSH 9
#define BLK_F_TOPOLOGY 10
#define BLK_F_MQ 12
#define BLK_F_DISCARD 13
#define BLK_F_WRITE_ZEROES 14

/* Configuration, 5.2.4 */
#define BLK_CONFIG_CAPACITY 0
#define BLK_CONFIG_SEG_MAX 12
#define BLK_CONFIG_BLK_SIZE 20
#define BLK_CONFIG_PHYSICAL_BLOCK_EXP 24
#define BLK_CONFIG_ALIGNMENT_OFFSET 25
#define BLK_CONFIG_MIN_IO_SIZE 26
#define BLK_CONFIG_OPT_IO_SIZE 28
#define BLK_CONFIG_NUM_QUEUES 34
#define BLK_CONFIG_MAX_DISCARD_SECTORS 36
#define BLK_CONFIG_MAX_DISCARD_SEG 40
#define BLK_CONFIG_DISCARD_ALIGNMENT 44
#define BLK_CONFIG_MAX_WRITE_ZEROES_SECTORS 48
#define BLK_CONFIG_MAX_WRITE_ZEROES_SEG 52
#define BLK_CONFIG_WRITE_ZEROES_MAY_UNMAP 56
#define BLK_CONFIG_SIZE 60

/* Request types and status, 5.2.6 */
#define BLK_T_IN 0
#define BLK_T_OUT 1
#define BLK_T_FLUSH 4
#define BLK_T_GET_ID 8
#define BLK_T_DISCARD 11
#define BLK_T_WRITE_ZEROES 13

#define BLK_S_OK 0
#define BLK_S_IOERR 1
#define BLK_S_UNSUPP 2

#define SECTOR_SIZE 512
#define HEADER_SIZE 16
#define RANGE_SIZE 16
#define RANGE_UNMAP 1
#define SERIAL_SIZE 20
#define MAX_RANGE_SECTORS (GIB(1) / SECTOR_SIZE)

/* Data segments of a request, and one for each of header and status. */
#define SEG_MAX 254
#define REQUEST_SEGMENTS (SEG_MAX + 2)

/** struct blk_request - one request from pop to push. */
struct blk_request {
	struct block_request block;
	struct virtio_blk *blk;
	struct virtqueue *vq;
	struct virtqueue_chain chain;
	uint8_t *status;
	bool flush_after;
	struct blk_request *next;
	struct iovec iov[REQUEST_SEGMENTS];
	gpa_t gpa[REQUEST_SEGMENTS];
};

/**
 * struct virtio_blk
 * @requests: one for each ring entry of each queue, of which @free are not in use
 * @busy: how many are; @idle_cond tells of none
 */
struct virtio_blk {
	struct virtio_device vdev;
	struct block_device *block;
	struct blk_request *requests;
	struct blk_request *free;
	unsigned int busy;
	pthread_cond_t idle_cond;
	char serial[SERIAL_SIZE + 1];
};

static struct virtio_blk *blk_from_virtio(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

static struct virtio_blk *blk_from_device(struct device *dev)
{
	return blk_from_virtio(virtio_device_from_device(dev));
}

/* ------- completion ------- */

static uint8_t status_of(int result)
{
	return result == 0 ? BLK_S_OK : result == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
}

/** finish_request() - tell the guest and free the request; lock held. */
static void finish_request(struct blk_request *request, uint8_t status)
{
	struct virtio_blk *blk = request->blk;
	struct iovec *last = &request->chain.in[request->chain.in_count - 1];

	*request->status = status;
	/* A read took the status byte off. It lies behind the data, so all counts as written. */
	last->iov_len = request->status + 1 - (uint8_t *)last->iov_base;
	virtqueue_push(request->vq, &request->chain, request->chain.in_size);
	request->next = blk->free;
	blk->free = request;
	if (--blk->busy == 0) {
		pthread_cond_broadcast(&blk->idle_cond);
	}
}

/** wait_idle() - until no request is between pop and push; without the lock, and not on the I/O
 *  thread. */
static void wait_idle(struct virtio_blk *blk)
{
	pthread_mutex_lock(&blk->vdev.pci.dev.lock);
	while (blk->busy > 0) {
		pthread_cond_wait(&blk->idle_cond, &blk->vdev.pci.dev.lock);
	}
	pthread_mutex_unlock(&blk->vdev.pci.dev.lock);
}

static void handle_done(struct block_request *block, int result)
{
	struct blk_request *request = container_of(block, struct blk_request, block);
	struct virtio_blk *blk = request->blk;
	struct virtqueue *vq = request->vq;

	if (result == 0 && request->flush_after) {
		request->flush_after = false;
		block->op = BLOCK_FLUSH;
		block->offset = 0;
		block->size = 0;
		block_submit(blk->block, block);
		return;
	}
	pthread_mutex_lock(&blk->vdev.pci.dev.lock);
	finish_request(request, status_of(result));
	virtqueue_flush(vq);
	pthread_mutex_unlock(&blk->vdev.pci.dev.lock);
}

/* ------- requests; each function either prepares request->block or returns a status ------- */

#define SUBMIT (-1)

/** trim() - take @front bytes off the start of @iov; returns the rest's first element. */
static unsigned int trim(struct iovec *iov, unsigned int count, size_t front)
{
	unsigned int first = 0;

	while (first < count && front >= iov[first].iov_len) {
		front -= iov[first].iov_len;
		first++;
	}
	if (first < count) {
		iov[first].iov_base = (char *)iov[first].iov_base + front;
		iov[first].iov_len -= front;
	}
	return first;
}

static bool range_is_good(const struct virtio_blk *blk, uint64_t sector, uint64_t size)
{
	uint64_t capacity = block_size(blk->block);

	return size % SECTOR_SIZE == 0 && sector <= capacity / SECTOR_SIZE &&
	       size <= capacity - sector * SECTOR_SIZE;
}

static int prepare_read(struct blk_request *request, uint64_t sector)
{
	struct virtqueue_chain *chain = &request->chain;
	uint64_t size = chain->in_size - 1;
	unsigned int count = chain->in_count;

	if (!range_is_good(request->blk, sector, size)) {
		return BLK_S_IOERR;
	}
	/* The status byte is alone in the last segment, or at its end. */
	if (--chain->in[count - 1].iov_len == 0) {
		count--;
	}
	request->block.op = BLOCK_READ;
	request->block.offset = sector * SECTOR_SIZE;
	request->block.size = size;
	request->block.iov = chain->in;
	request->block.iov_count = count;
	return size == 0 ? BLK_S_OK : SUBMIT;
}

static int prepare_write(struct blk_request *request, uint64_t sector)
{
	struct virtqueue_chain *chain = &request->chain;
	uint64_t size = chain->out_size - HEADER_SIZE;
	unsigned int first;

	if (!range_is_good(request->blk, sector, size) || block_readonly(request->blk->block)) {
		return BLK_S_IOERR;
	}
	first = trim(chain->out, chain->out_count, HEADER_SIZE);
	request->block.op = BLOCK_WRITE;
	request->block.offset = sector * SECTOR_SIZE;
	request->block.size = size;
	request->block.iov = chain->out + first;
	request->block.iov_count = chain->out_count - first;
	request->flush_after = !virtio_has_feature(&request->blk->vdev, BLK_F_FLUSH);
	return size == 0 ? BLK_S_OK : SUBMIT;
}

static int prepare_flush(struct blk_request *request)
{
	request->block.op = BLOCK_FLUSH;
	request->block.offset = 0;
	request->block.size = 0;
	return SUBMIT;
}

/** prepare_range() - discard or write zeroes; one range, as the configuration says. */
static int prepare_range(struct blk_request *request, enum block_op op, unsigned int feature)
{
	const struct virtqueue_chain *chain = &request->chain;
	struct virtio_blk *blk = request->blk;
	uint8_t range[RANGE_SIZE];
	uint32_t flags;
	uint64_t size;

	if (!virtio_has_feature(&blk->vdev, feature)) {
		return BLK_S_UNSUPP;
	}
	if (chain->out_size != HEADER_SIZE + RANGE_SIZE ||
	    iov_to_buf(chain->out, chain->out_count, HEADER_SIZE, range, sizeof(range)) !=
		    sizeof(range)) {
		return BLK_S_IOERR;
	}
	flags = load_le32(range + 12);
	if (flags & ~(op == BLOCK_WRITE_ZEROES ? RANGE_UNMAP : 0)) {
		return BLK_S_UNSUPP;
	}
	size = (uint64_t)load_le32(range + 8) * SECTOR_SIZE;
	if (!range_is_good(blk, load_le64(range), size) || size > GIB(1)) {
		return BLK_S_IOERR;
	}
	request->block.op = op;
	request->block.offset = load_le64(range) * SECTOR_SIZE;
	request->block.size = size;
	request->block.unmap = flags & RANGE_UNMAP;
	return size == 0 ? BLK_S_OK : SUBMIT;
}

static int answer_id(struct blk_request *request)
{
	const struct virtqueue_chain *chain = &request->chain;
	size_t size = MIN(chain->in_size - 1, (size_t)SERIAL_SIZE);

	return iov_from_buf(chain->in, chain->in_count, 0, request->blk->serial, size) == size ?
		       BLK_S_OK :
		       BLK_S_IOERR;
}

static int prepare_request(struct blk_request *request)
{
	const struct virtqueue_chain *chain = &request->chain;
	uint8_t header[HEADER_SIZE];

	if (iov_to_buf(chain->out, chain->out_count, 0, header, sizeof(header)) !=
	    sizeof(header)) {
		return BLK_S_IOERR;
	}
	switch (load_le32(header)) {
	case BLK_T_IN: return prepare_read(request, load_le64(header + 8));
	case BLK_T_OUT: return prepare_write(request, load_le64(header + 8));
	case BLK_T_FLUSH: return prepare_flush(request);
	case BLK_T_GET_ID: return answer_id(request);
	case BLK_T_DISCARD: return prepare_range(request, BLOCK_DISCARD, BLK_F_DISCARD);
	case BLK_T_WRITE_ZEROES:
		return prepare_range(request, BLOCK_WRITE_ZEROES, BLK_F_WRITE_ZEROES);
	default: return BLK_S_UNSUPP;
	}
}

/* ------- the queues ------- */

/** take_chain() - a request object for a chain; NULL for one that was answered here. */
static struct blk_request *take_chain(struct virtio_blk *blk, struct virtqueue *vq,
				      const struct virtqueue_chain *chain)
{
	struct blk_request *request = blk->free;
	uint8_t status = BLK_S_IOERR;

	if (chain->in_size == 0 || !request) {
		device_guest_error(&blk->vdev.pci.dev, "a request without room for its status");
		virtqueue_push(vq, chain, 0);
		return NULL;
	}
	if (chain->in_count + chain->out_count > REQUEST_SEGMENTS) {
		iov_from_buf(chain->in, chain->in_count, chain->in_size - 1, &status, 1);
		virtqueue_push(vq, chain, chain->in_size);
		return NULL;
	}
	blk->free = request->next;
	blk->busy++;
	request->vq = vq;
	request->flush_after = false;
	request->block.unmap = false;
	virtqueue_chain_copy(chain, &request->chain, request->iov, request->gpa);
	request->status = (uint8_t *)request->chain.in[chain->in_count - 1].iov_base +
			  request->chain.in[chain->in_count - 1].iov_len - 1;
	return request;
}

/** take_all() - the requests of a queue that are to be submitted, as a list in their order. */
static struct blk_request *take_all(struct virtio_blk *blk, struct virtqueue *vq)
{
	struct blk_request *first = NULL;
	struct blk_request **last = &first;
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		struct blk_request *request = take_chain(blk, vq, &chain);
		int status;

		if (!request) {
			continue;
		}
		status = prepare_request(request);
		if (status == SUBMIT) {
			request->next = NULL;
			*last = request;
			last = &request->next;
		} else {
			finish_request(request, status);
		}
	}
	virtqueue_flush(vq);
	return first;
}

static void submit_all(struct virtio_blk *blk, struct blk_request *request)
{
	while (request) {
		/* It may be done, and in use again, before this returns. */
		struct blk_request *next = request->next;

		block_submit(blk->block, &request->block);
		request = next;
	}
}

static void blk_notify(struct virtio_device *vdev, unsigned int n)
{
	struct virtio_blk *blk = blk_from_virtio(vdev);
	struct virtqueue *vq = &vdev->queues[n];

	do {
		struct blk_request *requests;

		virtqueue_set_notification(vq, false);
		requests = take_all(blk, vq);
		pthread_mutex_unlock(&vdev->pci.dev.lock);
		submit_all(blk, requests);
		pthread_mutex_lock(&vdev->pci.dev.lock);
	} while (!vdev->paused && virtqueue_set_notification(vq, true));
}

/* ------- configuration ------- */

static uint64_t blk_features(struct virtio_device *vdev)
{
	struct virtio_blk *blk = blk_from_virtio(vdev);
	uint64_t features = BIT(BLK_F_SEG_MAX) | BIT(BLK_F_BLK_SIZE) | BIT(BLK_F_FLUSH) |
			    BIT(BLK_F_TOPOLOGY);

	if (vdev->queue_count > 1) {
		features |= BIT(BLK_F_MQ);
	}
	if (block_readonly(blk->block)) {
		return features | BIT(BLK_F_RO);
	}
	return features | BIT(BLK_F_DISCARD) | BIT(BLK_F_WRITE_ZEROES);
}

static void blk_get_config(struct virtio_device *vdev, uint8_t *ret_config)
{
	struct virtio_blk *blk = blk_from_virtio(vdev);
	uint32_t block = config_get_int(&vdev->pci.dev.env.config, "blk_size");

	store_le64(ret_config + BLK_CONFIG_CAPACITY, block_size(blk->block) / SECTOR_SIZE);
	store_le32(ret_config + BLK_CONFIG_SEG_MAX, SEG_MAX);
	store_le32(ret_config + BLK_CONFIG_BLK_SIZE, block);
	/* Host pages: what an image in a file is best written in. */
	ret_config[BLK_CONFIG_PHYSICAL_BLOCK_EXP] = block == SECTOR_SIZE ? 3 : 0;
	ret_config[BLK_CONFIG_ALIGNMENT_OFFSET] = 0;
	store_le16(ret_config + BLK_CONFIG_MIN_IO_SIZE, 4096 / block);
	store_le32(ret_config + BLK_CONFIG_OPT_IO_SIZE, 0);
	store_le16(ret_config + BLK_CONFIG_NUM_QUEUES, vdev->queue_count);
	store_le32(ret_config + BLK_CONFIG_MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS);
	store_le32(ret_config + BLK_CONFIG_MAX_DISCARD_SEG, 1);
	store_le32(ret_config + BLK_CONFIG_DISCARD_ALIGNMENT, 4096 / SECTOR_SIZE);
	store_le32(ret_config + BLK_CONFIG_MAX_WRITE_ZEROES_SECTORS, MAX_RANGE_SECTORS);
	store_le32(ret_config + BLK_CONFIG_MAX_WRITE_ZEROES_SEG, 1);
	ret_config[BLK_CONFIG_WRITE_ZEROES_MAY_UNMAP] = 1;
}

/* ------- life ------- */

static int blk_create(struct device *dev, struct error *err)
{
	struct virtio_blk *blk = blk_from_device(dev);
	const char *serial = config_get_string(&dev->env.config, "serial");
	unsigned int count;

	if (!dev->env.block) {
		return error_set(err, EINVAL, "%s: it has no disk image", dev->path);
	}
	blk->block = dev->env.block;
	blk->vdev.queue_count = config_get_int(&dev->env.config, "queues");
	snprintf(blk->serial, sizeof(blk->serial), "%.*s", SERIAL_SIZE,
		 serial ? serial : dev->path);
	if (serial && strlen(serial) > SERIAL_SIZE) {
		return error_set(err, EINVAL, "%s: a serial number has at most %d characters",
				 dev->path, SERIAL_SIZE);
	}
	if (config_get_int(&dev->env.config, "blk_size") != SECTOR_SIZE &&
	    config_get_int(&dev->env.config, "blk_size") != 4096) {
		return error_set(err, EINVAL, "%s: blk_size is 512 or 4096", dev->path);
	}
	count = blk->vdev.queue_count * QUEUE_SIZE;
	blk->requests = calloc(count, sizeof(blk->requests[0]));
	if (!blk->requests) {
		return error_set(err, ENOMEM, "%s: no memory for %u requests", dev->path, count);
	}
	pthread_cond_init(&blk->idle_cond, NULL);
	for (unsigned int i = count; i-- > 0;) {
		struct blk_request *request = &blk->requests[i];

		request->blk = blk;
		request->block.done = handle_done;
		request->next = blk->free;
		blk->free = request;
	}
	return 0;
}

static void blk_destroy(struct device *dev)
{
	struct virtio_blk *blk = blk_from_device(dev);

	wait_idle(blk);
	/* The block layer lets go of a request only after its done() has returned. */
	block_drain(blk->block);
	pthread_cond_destroy(&blk->idle_cond);
	free(blk->requests);
}

static void blk_reset(struct device *dev, enum reset_kind kind)
{
	/* The virtio core waits for the requests in flight; there is no other state. */
}

static int blk_pause(struct device *dev)
{
	wait_idle(blk_from_device(dev));
	return 0;
}

static const struct config_key blk_keys[] = {
	VIRTIO_CONFIG_KEYS,
	{ .name = "queues",
	  .type = CONFIG_INT,
	  .def = "1",
	  .help = "request queues",
	  .min = 1,
	  .max = QUEUES_MAX },
	{ .name = "serial",
	  .type = CONFIG_STRING,
	  .help = "serial number that the guest sees; not set: the disk's path" },
	{ .name = "blk_size",
	  .type = CONFIG_INT,
	  .def = "512",
	  .help = "bytes of a block as the guest sees it, 512 or 4096",
	  .min = SECTOR_SIZE,
	  .max = 4096 },
	{ .name = NULL },
};

/* Nothing but what the virtio core saves: it is paused with no request in flight. */
static const struct state_field blk_fields[] = {
	STATE_FIELDS_END,
};

static const struct state_table blk_state = {
	.version = 1,
	.fields = blk_fields,
};

static const struct virtio_device_ops virtio_blk_ops = {
	.pci = {
		.base = {
			.name = "virtio-blk",
			.bus = DEVICE_BUS_VIRTIO,
			.instance_size = sizeof(struct virtio_blk),
			.keys = blk_keys,
			.state = &blk_state,
			.create = blk_create,
			.destroy = blk_destroy,
			.reset = blk_reset,
			.pause = blk_pause,
		},
		VIRTIO_PCI_IDS(VIRTIO_ID_BLOCK, 0x010000),
	},
	.type = VIRTIO_ID_BLOCK,
	.queue_count = QUEUES_MAX,
	.queue_size = QUEUE_SIZE,
	.config_size = BLK_CONFIG_SIZE,
	.features = blk_features,
	.get_config = blk_get_config,
	.notify = blk_notify,
};
DEVICE_REGISTER(virtio_blk_ops.pci.base);
