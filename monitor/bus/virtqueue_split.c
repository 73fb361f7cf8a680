/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Split rings, virtio 1.2 section 2.7: a table of descriptors, a ring in which the driver makes
 * chains available by their first descriptor, and a ring in which the device gives them back.
 * Indexes count on freely; the place in a ring is the index modulo its size, a power of two.
 */

#include "bus/virtio_impl.h"

#define AVAIL_FLAGS 0
#define AVAIL_INDEX 2
#define AVAIL_RING 4
#define AVAIL_NO_INTERRUPT 1

#define USED_FLAGS 0
#define USED_INDEX 2
#define USED_RING 4
#define USED_NO_NOTIFY 1

static void split_areas(unsigned int size, size_t *ret_desc, size_t *ret_driver,
			size_t *ret_device)
{
	*ret_desc = 16 * size;
	*ret_driver = AVAIL_RING + 2 * size + 2;
	*ret_device = USED_RING + 8 * size + 2;
}

/** used_event() - behind the available ring: what the driver wants to hear of. */
static uint16_t used_event(const struct virtqueue *vq)
{
	return area_load16(&vq->driver, AVAIL_RING + 2 * vq->r.size);
}

/** ask_for_next() - behind the used ring: tell us of what is made available after what was seen. */
static void ask_for_next(struct virtqueue *vq)
{
	vq->event = vq->avail_seen;
	vq->event_valid = true;
	area_store16(&vq->device, USED_RING + 8 * vq->r.size, vq->event);
}

static inline uint32_t raw_size(const struct virtqueue_raw *raw)
{
	return raw->rest;
}

static inline uint16_t raw_flags(const struct virtqueue_raw *raw)
{
	return raw->rest >> 32;
}

static inline uint16_t raw_next(const struct virtqueue_raw *raw)
{
	return raw->rest >> 48;
}

/** walk_table() - the buffers of an indirect table (2.7.5.3). */
static bool walk_table(struct virtqueue *vq, struct virtqueue_chain *chain, gpa_t gpa,
		       uint32_t size)
{
	struct virtqueue_table table;
	unsigned int n = 0;

	if (!virtqueue_open_table(vq, gpa, size, &table)) {
		return false;
	}
	for (unsigned int i = 0; i < table.count; i++) {
		struct virtqueue_raw raw;

		if (!virtqueue_read_table(vq, &table, n, &raw)) {
			return false;
		}
		if (raw_flags(&raw) & VIRTQ_DESC_INDIRECT) {
			virtqueue_break(vq, "an indirect table within an indirect table");
			return false;
		}
		if (!virtqueue_add_segment(vq, chain, raw.address, raw_size(&raw),
					   raw_flags(&raw) & VIRTQ_DESC_WRITE)) {
			return false;
		}
		if (!(raw_flags(&raw) & VIRTQ_DESC_NEXT)) {
			return true;
		}
		n = raw_next(&raw);
		if (n >= table.count) {
			virtqueue_break(vq, "a descriptor beyond its indirect table");
			return false;
		}
	}
	virtqueue_break(vq, "an indirect table with a loop");
	return false;
}

static bool walk_chain(struct virtqueue *vq, struct virtqueue_chain *chain, unsigned int head)
{
	unsigned int n = head;

	for (unsigned int i = 0; i < vq->r.size; i++) {
		struct virtqueue_raw raw = raw_at(vq->desc.host + 16 * n);
		uint16_t flags = raw_flags(&raw);

		if (flags & VIRTQ_DESC_INDIRECT) {
			if (flags & VIRTQ_DESC_NEXT) {
				virtqueue_break(vq, "a descriptor behind an indirect table");
				return false;
			}
			return walk_table(vq, chain, raw.address, raw_size(&raw));
		}
		if (!virtqueue_add_segment(vq, chain, raw.address, raw_size(&raw),
					   flags & VIRTQ_DESC_WRITE)) {
			return false;
		}
		if (!(flags & VIRTQ_DESC_NEXT)) {
			return true;
		}
		n = raw_next(&raw);
		if (n >= vq->r.size) {
			virtqueue_break(vq, "a descriptor beyond the queue");
			return false;
		}
	}
	virtqueue_break(vq, "a chain with a loop");
	return false;
}

static bool split_has_available(struct virtqueue *vq)
{
	if (vq->avail_seen == vq->r.last_avail) {
		vq->avail_seen = area_load16(&vq->driver, AVAIL_INDEX);
	}
	return vq->avail_seen != vq->r.last_avail;
}

/** drained() - nothing is left: have the driver notify of the next one, unless it came already. */
static bool drained(struct virtqueue *vq)
{
	if (vq->r.notification_off || !virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX) ||
	    (vq->event_valid && vq->event == vq->avail_seen)) {
		return true;
	}
	ask_for_next(vq);
	virtqueue_barrier(vq);
	return !split_has_available(vq);
}

static int split_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	unsigned int mask = vq->r.size - 1;
	uint16_t head;

	if (!split_has_available(vq) && drained(vq)) {
		return 0;
	}
	if ((uint16_t)(vq->avail_seen - vq->r.last_avail) > vq->r.size ||
	    vq->in_flight >= vq->r.size) {
		return virtqueue_break(vq, "more chains than the queue holds");
	}
	head = area_load16(&vq->driver, AVAIL_RING + 2 * (vq->r.last_avail & mask));
	if (head >= vq->r.size) {
		return virtqueue_break(vq, "a chain beyond the queue");
	}
	if (!walk_chain(vq, chain, head)) {
		return 0;
	}
	chain->token = head;
	vq->r.last_avail++;
	return 1;
}

static void split_unpop(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	vq->r.last_avail--;
}

static void split_push(struct virtqueue *vq, const struct virtqueue_chain *chain,
		       uint32_t written)
{
	size_t offset = USED_RING + 8 * (vq->r.used_index & (vq->r.size - 1));
	uint64_t element = chain->token | (uint64_t)written << 32;

	/* Elements are aligned to 4 bytes only. */
	store_le64(vq->device.host + offset, element);
	mem_region_written(vq->device.region, vq->device.offset + offset, sizeof(element));
	vq->r.used_index++;
}

static void split_publish(struct virtqueue *vq)
{
	area_store16(&vq->device, USED_INDEX, vq->r.used_index);
}

static bool split_wants_interrupt(struct virtqueue *vq)
{
	uint16_t old = vq->r.signalled_used;
	bool valid = vq->r.signalled_valid;

	vq->r.signalled_used = vq->r.used_index;
	vq->r.signalled_valid = true;
	if (!virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX)) {
		return !(area_load16(&vq->driver, AVAIL_FLAGS) & AVAIL_NO_INTERRUPT);
	}
	return !valid || virtqueue_passed(used_event(vq), vq->r.used_index, old);
}

static void split_set_notification(struct virtqueue *vq, bool on)
{
	if (!virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX)) {
		area_store16(&vq->device, USED_FLAGS, on ? 0 : USED_NO_NOTIFY);
	} else if (on) {
		/* While off, the event stays where it is and the driver soon is past it. */
		ask_for_next(vq);
	}
}

const struct virtqueue_ops virtqueue_split_ops = {
	.areas = split_areas,
	.pop = split_pop,
	.unpop = split_unpop,
	.push = split_push,
	.publish = split_publish,
	.wants_interrupt = split_wants_interrupt,
	.set_notification = split_set_notification,
	.has_available = split_has_available,
};
