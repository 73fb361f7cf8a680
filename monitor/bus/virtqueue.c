/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What both ring layouts of virtio 1.2 (sections 2.6 to 2.8) have in common: finding a ring in
 * guest memory, turning the buffers of a chain into host addresses, and the calls that devices
 * make.
 *
 * The driver is hostile. It can change every byte of a ring at any time, so each value is loaded
 * once and checked after that; what makes no sense breaks the queue and the device needs a reset
 * (2.1.2). A chain can be no longer than its ring or its indirect table, and no more chains can be
 * in flight than a ring has entries, so nothing here needs memory or time without bound.
 */

#include <unistd.h>

#include "bus/virtio_impl.h"

void virtqueue_reset(struct virtqueue *vq)
{
	vq->r = (struct virtqueue_registers){
		.size = vq->max_size,
		.msix_vector = VIRTIO_NO_VECTOR,
		.avail_wrap = true,
		.used_wrap = true,
	};
	vq->avail_seen = 0;
	vq->descriptors = 0;
	vq->unsignalled = false;
	vq->unpublished = false;
	vq->event_valid = false;
	vq->ops = NULL;
}

int virtqueue_break(struct virtqueue *vq, const char *why)
{
	vq->r.broken = true;
	virtio_needs_reset(vq->vdev, why);
	return 0;
}

/* ------- setting up ------- */

static int find_area(struct virtqueue *vq, gpa_t gpa, size_t size, size_t align,
		     struct virtqueue_area *ret_area)
{
	struct guest_memory *memory = vq->vdev->pci.dev.env.memory;
	struct mem_slot slot;

	if (gpa & (align - 1)) {
		return -EINVAL;
	}
	if (!guest_memory_find(memory, gpa, &slot) || slot.readonly ||
	    (slot.region->flags & MEM_REGION_ROM) || size > slot.gpa + slot.size - gpa) {
		return -EFAULT;
	}
	ret_area->region = slot.region;
	ret_area->offset = slot.offset + (gpa - slot.gpa);
	ret_area->host = slot.region->host + ret_area->offset;
	ret_area->size = size;
	return 0;
}

int virtqueue_enable(struct virtqueue *vq)
{
	bool packed = virtio_has_feature(vq->vdev, VIRTIO_F_RING_PACKED);
	const struct virtqueue_ops *ops = packed ? &virtqueue_packed_ops : &virtqueue_split_ops;
	size_t desc;
	size_t driver;
	size_t device;

	if (vq->r.size == 0 || vq->r.size > vq->max_size ||
	    (!packed && (vq->r.size & (vq->r.size - 1))) ||
	    (packed && (vq->r.last_avail >= vq->r.size || vq->r.used_index >= vq->r.size))) {
		return -EINVAL;
	}
	ops->areas(vq->r.size, &desc, &driver, &device);
	if (find_area(vq, vq->r.desc, desc, 16, &vq->desc) < 0 ||
	    find_area(vq, vq->r.driver, driver, packed ? 4 : 2, &vq->driver) < 0 ||
	    find_area(vq, vq->r.device, device, 4, &vq->device) < 0) {
		return -EFAULT;
	}
	vq->ops = ops;
	vq->avail_seen = vq->r.last_avail;
	vq->r.enabled = true;
	return 0;
}

bool virtqueue_ready(const struct virtqueue *vq)
{
	const struct virtio_device *vdev = vq->vdev;

	return vq->r.enabled && !vq->r.broken && !vdev->reset_pending &&
	       (vdev->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
		       VIRTIO_STATUS_DRIVER_OK &&
	       pci_dma_enabled(&vdev->pci);
}

/* ------- buffers ------- */

bool virtqueue_add_segment(struct virtqueue *vq, struct virtqueue_chain *chain, gpa_t gpa,
			   uint32_t size, bool writable)
{
	struct guest_memory *memory = vq->vdev->pci.dev.env.memory;
	unsigned int n = chain->out_count + chain->in_count;
	struct mem_slot slot;

	if (!writable && chain->in_count > 0) {
		virtqueue_break(vq, "a readable buffer follows a writable one");
		return false;
	}
	/* A buffer is in one piece but where it crosses from one slot to the next. */
	while (size > 0) {
		uint64_t piece;

		if (n == VIRTQUEUE_SEGMENTS_MAX) {
			virtqueue_break(vq, "a chain has too many buffers");
			return false;
		}
		if (!guest_memory_find(memory, gpa, &slot) ||
		    (writable && (slot.readonly || (slot.region->flags & MEM_REGION_ROM)))) {
			virtqueue_break(vq, "a buffer is not in memory");
			return false;
		}
		piece = MIN((uint64_t)size, slot.gpa + slot.size - gpa);
		vq->iov[n].iov_base = slot.region->host + slot.offset + (gpa - slot.gpa);
		vq->iov[n].iov_len = piece;
		vq->gpa[n] = gpa;
		n++;
		if (writable) {
			chain->in_count++;
			chain->in_size += piece;
		} else {
			chain->out_count++;
			chain->out_size += piece;
		}
		gpa += piece;
		size -= piece;
	}
	return true;
}

bool virtqueue_open_table(struct virtqueue *vq, gpa_t gpa, uint32_t size,
			  struct virtqueue_table *ret_table)
{
	struct guest_memory *memory = vq->vdev->pci.dev.env.memory;

	if (!virtio_has_feature(vq->vdev, VIRTIO_F_INDIRECT_DESC)) {
		virtqueue_break(vq, "an indirect table was not negotiated");
		return false;
	}
	if (size == 0 || size % 16 || size / 16 > VIRTQUEUE_SEGMENTS_MAX) {
		virtqueue_break(vq, "an indirect table of a wrong size");
		return false;
	}
	ret_table->gpa = gpa;
	ret_table->count = size / 16;
	ret_table->host = gpa & 7 ? NULL : guest_mem_map(memory, gpa, size, false);
	return true;
}

bool virtqueue_read_table(struct virtqueue *vq, const struct virtqueue_table *table,
			  unsigned int n, struct virtqueue_raw *ret_raw)
{
	struct guest_memory *memory = vq->vdev->pci.dev.env.memory;

	if (LIMEN_LIKELY(table->host)) {
		*ret_raw = raw_at(table->host + 16 * n);
		return true;
	}
	if (guest_mem_read(memory, table->gpa + 16 * n, ret_raw, sizeof(*ret_raw)) < 0) {
		virtqueue_break(vq, "an indirect table is not in memory");
		return false;
	}
	return true;
}

/* ------- what devices call ------- */

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *ret_chain)
{
	struct virtqueue_chain chain = { .out = vq->iov, .descriptors = 1 };

	if (!virtqueue_ready(vq) || vq->ops->pop(vq, &chain) <= 0) {
		return 0;
	}
	chain.in = vq->iov + chain.out_count;
	chain.in_gpa = vq->gpa + chain.out_count;
	vq->in_flight++;
	*ret_chain = chain;
	return 1;
}

void virtqueue_chain_copy(const struct virtqueue_chain *chain, struct virtqueue_chain *ret_copy,
			  struct iovec *iov_storage, gpa_t *gpa_storage)
{
	unsigned int count = chain->out_count + chain->in_count;

	/* Popped arrays lie one behind the other. */
	memcpy(iov_storage, chain->out, count * sizeof(iov_storage[0]));
	memcpy(gpa_storage, chain->in_gpa, chain->in_count * sizeof(gpa_storage[0]));
	*ret_copy = *chain;
	ret_copy->out = iov_storage;
	ret_copy->in = iov_storage + chain->out_count;
	ret_copy->in_gpa = gpa_storage;
}

void virtqueue_note_written(struct virtqueue *vq, const struct virtqueue_chain *chain,
			    size_t written)
{
	struct guest_memory *memory = vq->vdev->pci.dev.env.memory;

	for (unsigned int i = 0; i < chain->in_count && written > 0; i++) {
		size_t size = MIN(written, chain->in[i].iov_len);

		guest_mem_written(memory, chain->in_gpa[i], size);
		written -= size;
	}
}

void virtqueue_push_many(struct virtqueue *vq, const struct virtqueue_chain *chains,
			 const uint32_t *written, unsigned int count)
{
	bool live = vq->r.enabled && !vq->r.broken && !vq->vdev->reset_pending;

	if (count == 0) {
		return;
	}
	for (unsigned int i = 0; i < count; i++) {
		virtqueue_note_written(vq, &chains[i], written[i]);
		if (live) {
			vq->ops->push(vq, &chains[i], written[i]);
		}
	}
	if (live) {
		vq->ops->publish(vq);
		vq->unsignalled = true;
	}
	vq->in_flight -= count;
	virtio_chain_returned(vq);
}

void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
	virtqueue_push_many(vq, chain, &written, 1);
}

void virtqueue_unpop(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	vq->in_flight--;
	if (vq->r.enabled) {
		vq->ops->unpop(vq, chain);
	}
	virtio_chain_returned(vq);
}

void virtqueue_flush(struct virtqueue *vq)
{
	if (!vq->unsignalled || !virtqueue_ready(vq)) {
		return;
	}
	vq->unsignalled = false;
	virtqueue_barrier(vq);
	if (!vq->ops->wants_interrupt(vq)) {
		return;
	}
	if (vq->irq_attached) {
		const uint64_t one = 1;

		/* A counter at its limit refuses the write, and is signalled already. */
		if (write(vq->irq_fd, &one, sizeof(one)) == (ssize_t)sizeof(one) ||
		    errno == EAGAIN) {
			return;
		}
	}
	virtio_interrupt(vq->vdev, vq->r.msix_vector, VIRTIO_ISR_QUEUE);
}

bool virtqueue_set_notification(struct virtqueue *vq, bool on)
{
	if (!virtqueue_ready(vq)) {
		return false;
	}
	vq->r.notification_off = !on;
	vq->ops->set_notification(vq, on);
	if (!on) {
		return false;
	}
	virtqueue_barrier(vq);
	return vq->ops->has_available(vq);
}

void virtqueue_kick(struct virtqueue *vq)
{
	const uint64_t one = 1;

	/* It can only fail when it is rung already. */
	if (write(vq->notify_fd, &one, sizeof(one)) < 0 && errno != EAGAIN) {
		log_warn(LOG_AREA_DEVICE, "%s: queue %u cannot be notified: %s",
			 vq->vdev->pci.dev.path, vq->index, strerror(errno));
	}
}

static size_t iov_copy(const struct iovec *iov, unsigned int count, size_t offset, void *to,
		       const void *from, size_t size)
{
	size_t done = 0;

	for (unsigned int i = 0; i < count && done < size; i++) {
		size_t piece;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		piece = MIN(size - done, iov[i].iov_len - offset);
		if (to) {
			memcpy((char *)to + done, (char *)iov[i].iov_base + offset, piece);
		} else {
			memcpy((char *)iov[i].iov_base + offset, (const char *)from + done, piece);
		}
		done += piece;
		offset = 0;
	}
	return done;
}

size_t iov_to_buf(const struct iovec *iov, unsigned int count, size_t offset, void *buf,
		  size_t size)
{
	return iov_copy(iov, count, offset, buf, NULL, size);
}

size_t iov_from_buf(const struct iovec *iov, unsigned int count, size_t offset, const void *buf,
		    size_t size)
{
	return iov_copy(iov, count, offset, NULL, buf, size);
}
