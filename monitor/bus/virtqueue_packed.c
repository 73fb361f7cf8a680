/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Packed rings, virtio 1.2 section 2.8: one ring of descriptors, which the driver marks available
 * and the device overwrites as used. What a mark means flips each time around, which both sides
 * count by a wrap counter. Places in the ring are kept below its size, which need not be a power of
 * two.
 *
 * chain->token is the buffer's ID, chain->descriptors how many entries of the ring it took; that
 * many are skipped when it is given back.
 */

#include "bus/virtio_impl.h"

#define DESC_AVAIL 0x0080
#define DESC_USED 0x8000

#define EVENT_OFFSET_WRAP 0
#define EVENT_FLAGS 2
#define EVENT_SIZE 4
#define EVENT_ENABLE 0
#define EVENT_DISABLE 1
#define EVENT_AT_DESC 2
#define EVENT_WRAP 0x8000

static void packed_areas(unsigned int size, size_t *ret_desc, size_t *ret_driver,
			 size_t *ret_device)
{
	*ret_desc = 16 * size;
	*ret_driver = EVENT_SIZE;
	*ret_device = EVENT_SIZE;
}

static inline uint32_t raw_size(const struct virtqueue_raw *raw)
{
	return raw->rest;
}

static inline uint16_t raw_id(const struct virtqueue_raw *raw)
{
	return raw->rest >> 32;
}

static inline uint16_t raw_flags(const struct virtqueue_raw *raw)
{
	return raw->rest >> 48;
}

static uint16_t load_flags(const struct virtqueue *vq, unsigned int n)
{
	return area_load16(&vq->desc, 16 * n + 14);
}

static bool packed_has_available(struct virtqueue *vq)
{
	uint16_t flags = load_flags(vq, vq->r.last_avail);

	return !!(flags & DESC_AVAIL) == vq->r.avail_wrap &&
	       !!(flags & DESC_USED) != vq->r.avail_wrap;
}

/** walk_table() - the buffers of an indirect table; all of it is in use (2.8.7). */
static bool walk_table(struct virtqueue *vq, struct virtqueue_chain *chain, gpa_t gpa,
		       uint32_t size)
{
	struct virtqueue_table table;

	if (!virtqueue_open_table(vq, gpa, size, &table)) {
		return false;
	}
	for (unsigned int i = 0; i < table.count; i++) {
		struct virtqueue_raw raw;

		if (!virtqueue_read_table(vq, &table, i, &raw)) {
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
	}
	return true;
}

/** walk_chain() - the buffers from @vq's place on; sets token and descriptors. */
static bool walk_chain(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	unsigned int n = vq->r.last_avail;

	for (unsigned int i = 1; i + vq->descriptors <= vq->r.size; i++) {
		struct virtqueue_raw raw = raw_at(vq->desc.host + 16 * n);
		uint16_t flags = raw_flags(&raw);
		bool good;

		if ((flags & VIRTQ_DESC_INDIRECT) && (flags & VIRTQ_DESC_NEXT)) {
			virtqueue_break(vq, "a descriptor behind an indirect table");
			return false;
		}
		good = flags & VIRTQ_DESC_INDIRECT ?
			       walk_table(vq, chain, raw.address, raw_size(&raw)) :
			       virtqueue_add_segment(vq, chain, raw.address, raw_size(&raw),
						     flags & VIRTQ_DESC_WRITE);
		if (!good) {
			return false;
		}
		if (!(flags & VIRTQ_DESC_NEXT)) {
			chain->token = raw_id(&raw);
			chain->descriptors = i;
			return true;
		}
		n = n + 1 == vq->r.size ? 0 : n + 1;
	}
	virtqueue_break(vq, "more descriptors than the queue holds");
	return false;
}

static uint16_t next_event(const struct virtqueue *vq)
{
	return vq->r.last_avail | (vq->r.avail_wrap ? EVENT_WRAP : 0);
}

/** ask_for_next() - have the driver notify when the entry at our place becomes available; if it is,
 *  of all that follow. */
static void ask_for_next(struct virtqueue *vq)
{
	vq->event = next_event(vq);
	vq->event_valid = true;
	area_store16(&vq->device, EVENT_OFFSET_WRAP, vq->event);
	area_store16(&vq->device, EVENT_FLAGS,
		     packed_has_available(vq) ? EVENT_ENABLE : EVENT_AT_DESC);
}

/** drained() - nothing is left: have the driver notify of the next one, unless it came already. */
static bool drained(struct virtqueue *vq)
{
	if (vq->r.notification_off || !virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX) ||
	    (vq->event_valid && vq->event == next_event(vq))) {
		return true;
	}
	ask_for_next(vq);
	virtqueue_barrier(vq);
	return !packed_has_available(vq);
}

static int packed_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if ((!packed_has_available(vq) && drained(vq)) || !walk_chain(vq, chain)) {
		return 0;
	}
	vq->r.last_avail += chain->descriptors;
	if (vq->r.last_avail >= vq->r.size) {
		vq->r.last_avail -= vq->r.size;
		vq->r.avail_wrap = !vq->r.avail_wrap;
	}
	vq->descriptors += chain->descriptors;
	return 1;
}

static void packed_unpop(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	if (vq->r.last_avail < chain->descriptors) {
		vq->r.last_avail += vq->r.size;
		vq->r.avail_wrap = !vq->r.avail_wrap;
	}
	vq->r.last_avail -= chain->descriptors;
	vq->descriptors -= chain->descriptors;
}

/** packed_push() - the flags of the first of several are written last: the driver looks at them in
 *  order. */
static void packed_push(struct virtqueue *vq, const struct virtqueue_chain *chain,
			uint32_t written)
{
	size_t offset = 16 * vq->r.used_index;
	uint8_t *at = vq->desc.host + offset;
	uint16_t flags = vq->r.used_wrap ? DESC_AVAIL | DESC_USED : 0;

	if (written > 0) {
		flags |= VIRTQ_DESC_WRITE;
	}
	store_le32(at + 8, written);
	store_le16(at + 12, chain->token);
	if (!vq->unpublished) {
		vq->unpublished = true;
		vq->first_used = vq->r.used_index;
		vq->first_flags = flags;
	} else {
		store_le16(at + 14, flags);
	}
	mem_region_written(vq->desc.region, vq->desc.offset + offset, 16);

	vq->descriptors -= chain->descriptors;
	vq->r.used_index += chain->descriptors;
	if (vq->r.used_index >= vq->r.size) {
		vq->r.used_index -= vq->r.size;
		vq->r.used_wrap = !vq->r.used_wrap;
		/* It counts from the start of this round, and so is behind it now. */
		vq->r.signalled_used -= vq->r.size;
	}
}

static void packed_publish(struct virtqueue *vq)
{
	vq->unpublished = false;
	area_store16(&vq->desc, 16 * vq->first_used + 14, vq->first_flags);
}

static bool packed_wants_interrupt(struct virtqueue *vq)
{
	uint16_t flags = area_load16(&vq->driver, EVENT_FLAGS);
	uint16_t event = area_load16(&vq->driver, EVENT_OFFSET_WRAP);
	uint16_t old = vq->r.signalled_used;
	bool valid = vq->r.signalled_valid;
	bool wrap = event & EVENT_WRAP;

	vq->r.signalled_used = vq->r.used_index;
	vq->r.signalled_valid = true;
	if (flags == EVENT_DISABLE) {
		return false;
	}
	if (flags != EVENT_AT_DESC || !valid) {
		return true;
	}
	event &= ~EVENT_WRAP;
	if (wrap != vq->r.used_wrap) {
		event -= vq->r.size;
	}
	return virtqueue_passed(event, vq->r.used_index, old);
}

static void packed_set_notification(struct virtqueue *vq, bool on)
{
	if (!on) {
		area_store16(&vq->device, EVENT_FLAGS, EVENT_DISABLE);
	} else if (virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX)) {
		ask_for_next(vq);
	} else {
		area_store16(&vq->device, EVENT_FLAGS, EVENT_ENABLE);
	}
}

const struct virtqueue_ops virtqueue_packed_ops = {
	.areas = packed_areas,
	.pop = packed_pop,
	.unpop = packed_unpop,
	.push = packed_push,
	.publish = packed_publish,
	.wants_interrupt = packed_wants_interrupt,
	.set_notification = packed_set_notification,
	.has_available = packed_has_available,
};
