/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A virtio driver for tests; see fake_virtio_driver.h.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/fake_virtio_driver.h"

#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4
#define DESC_AVAIL 0x80
#define DESC_USED 0x8000

#define COMMON_DEVICE_FEATURE_SELECT 0
#define COMMON_DEVICE_FEATURE 4
#define COMMON_DRIVER_FEATURE_SELECT 8
#define COMMON_DRIVER_FEATURE 12
#define COMMON_CONFIG_VECTOR 16
#define COMMON_STATUS 20
#define COMMON_QUEUE_SELECT 22
#define COMMON_QUEUE_SIZE 24
#define COMMON_QUEUE_VECTOR 26
#define COMMON_QUEUE_ENABLE 28
#define COMMON_QUEUE_DESC 32
#define COMMON_QUEUE_DRIVER 40
#define COMMON_QUEUE_DEVICE 48

static bool has(const struct virtio_driver *drv, unsigned int feature)
{
	return (drv->features >> feature) & 1;
}

static void *ram(struct virtio_driver *drv, gpa_t gpa, size_t size)
{
	return fake_ram(drv->fm, gpa, size);
}

static uint16_t ram16(struct virtio_driver *drv, gpa_t gpa)
{
	return __atomic_load_n((uint16_t *)ram(drv, gpa, 2), __ATOMIC_ACQUIRE);
}

static void set_ram16(struct virtio_driver *drv, gpa_t gpa, uint16_t value)
{
	__atomic_store_n((uint16_t *)ram(drv, gpa, 2), value, __ATOMIC_SEQ_CST);
}

uint32_t virtio_driver_read(struct virtio_driver *drv, unsigned int offset, unsigned int size)
{
	return fake_mmio_read(drv->fm, drv->common + offset, size);
}

void virtio_driver_write(struct virtio_driver *drv, unsigned int offset, uint32_t value,
			 unsigned int size)
{
	fake_mmio_write(drv->fm, drv->common + offset, value, size);
}

uint64_t virtio_driver_config(struct virtio_driver *drv, unsigned int offset, unsigned int size)
{
	return fake_mmio_read(drv->fm, drv->config + offset, size);
}

void virtio_driver_set_config(struct virtio_driver *drv, unsigned int offset, uint32_t value,
			      unsigned int size)
{
	fake_mmio_write(drv->fm, drv->config + offset, value, size);
}

static void find_structures(struct virtio_driver *drv)
{
	unsigned int at = fake_pci_find_capability(drv->fm, drv->dev, PCI_CAPABILITY_VENDOR, 0);

	while (at) {
		uint8_t type = fake_pci_read(drv->fm, drv->dev, at + 3, 1);
		uint8_t bar = fake_pci_read(drv->fm, drv->dev, at + 4, 1);
		uint64_t where = fake_pci_read(drv->fm, drv->dev, at + 8, 4);

		if (type >= 1 && type <= 4) {
			where += fake_pci_bar(drv->fm, drv->dev, bar);
		}
		switch (type) {
		case 1: drv->common = where; break;
		case 2:
			drv->notify = where;
			drv->notify_multiplier = fake_pci_read(drv->fm, drv->dev, at + 16, 4);
			break;
		case 3: drv->isr = where; break;
		case 4: drv->config = where; break;
		}
		at = fake_pci_read(drv->fm, drv->dev, at + 1, 1);
		at = at ? fake_pci_find_capability(drv->fm, drv->dev, PCI_CAPABILITY_VENDOR, at) :
			  0;
	}
	if (!drv->common || !drv->notify || !drv->isr) {
		fail_msg("a virtio structure is missing");
	}
}

uint64_t virtio_driver_offered(struct virtio_driver *drv)
{
	uint64_t features;

	virtio_driver_write(drv, COMMON_DEVICE_FEATURE_SELECT, 1, 4);
	features = (uint64_t)virtio_driver_read(drv, COMMON_DEVICE_FEATURE, 4) << 32;
	virtio_driver_write(drv, COMMON_DEVICE_FEATURE_SELECT, 0, 4);
	return features | virtio_driver_read(drv, COMMON_DEVICE_FEATURE, 4);
}

static void negotiate(struct virtio_driver *drv, uint64_t features)
{
	drv->features = virtio_driver_offered(drv) & (features | BIT(VIRTIO_F_VERSION_1));
	drv->packed = has(drv, VIRTIO_F_RING_PACKED);
	virtio_driver_write(drv, COMMON_STATUS, 1, 1);
	virtio_driver_write(drv, COMMON_STATUS, 3, 1);
	virtio_driver_write(drv, COMMON_DRIVER_FEATURE_SELECT, 0, 4);
	virtio_driver_write(drv, COMMON_DRIVER_FEATURE, drv->features, 4);
	virtio_driver_write(drv, COMMON_DRIVER_FEATURE_SELECT, 1, 4);
	virtio_driver_write(drv, COMMON_DRIVER_FEATURE, drv->features >> 32, 4);
	virtio_driver_write(drv, COMMON_STATUS, 11, 1);
	if (virtio_driver_status(drv) != 11) {
		fail_msg("the device refuses features 0x%llx", (unsigned long long)drv->features);
	}
}

void virtio_driver_init(struct virtio_driver *drv, struct fake_machine *fm, struct device *dev,
			uint64_t features)
{
	memset(drv, 0, sizeof(*drv));
	drv->fm = fm;
	drv->dev = dev;
	drv->memory_next = DRIVER_MEMORY_BASE;
	fake_pci_enable(fm, dev);
	find_structures(drv);
	virtio_driver_reset(drv);
	negotiate(drv, features);
}

uint8_t virtio_driver_status(struct virtio_driver *drv)
{
	return virtio_driver_read(drv, COMMON_STATUS, 1);
}

void virtio_driver_reset(struct virtio_driver *drv)
{
	virtio_driver_write(drv, COMMON_STATUS, 0, 1);
}

void virtio_driver_start(struct virtio_driver *drv)
{
	virtio_driver_write(drv, COMMON_STATUS, 15, 1);
	fake_machine_run(drv->fm);
}

void virtio_driver_enable_msix(struct virtio_driver *drv)
{
	unsigned int at = fake_pci_find_capability(drv->fm, drv->dev, PCI_CAPABILITY_MSIX, 0);
	unsigned int count = (fake_pci_read(drv->fm, drv->dev, at + 2, 2) & 0x7ff) + 1;
	uint64_t table = fake_pci_bar(drv->fm, drv->dev,
				      fake_pci_read(drv->fm, drv->dev, at + 4, 4) & 7);

	for (unsigned int i = 0; i < count; i++) {
		fake_mmio_write(drv->fm, table + 16 * i, 0xfee00000, 8);
		fake_mmio_write(drv->fm, table + 16 * i + 8, i + 1 < count ? 0x40 + i : 0x3f, 4);
		fake_mmio_write(drv->fm, table + 16 * i + 12, 0, 4);
	}
	fake_pci_write(drv->fm, drv->dev, at + 2, 0x8000, 2);
	virtio_driver_write(drv, COMMON_CONFIG_VECTOR, count - 1, 2);
	for (unsigned int i = 0; i + 1 < count; i++) {
		virtio_driver_write(drv, COMMON_QUEUE_SELECT, i, 2);
		virtio_driver_write(drv, COMMON_QUEUE_VECTOR, i, 2);
	}
}

gpa_t virtio_driver_alloc(struct virtio_driver *drv, size_t size)
{
	gpa_t gpa = ALIGN_UP(drv->memory_next, 16);

	memset(ram(drv, gpa, size), 0, size);
	drv->memory_next = gpa + size;
	return gpa;
}

static void write_address(struct virtio_driver *drv, unsigned int offset, gpa_t gpa)
{
	virtio_driver_write(drv, offset, gpa, 4);
	virtio_driver_write(drv, offset + 4, gpa >> 32, 4);
}

void virtio_driver_setup_queue(struct virtio_driver *drv, unsigned int n, uint16_t size)
{
	struct driver_queue *q = &drv->queues[n];

	q->size = size;
	q->free = size;
	q->next_wrap = true;
	q->taken_wrap = true;
	q->desc = virtio_driver_alloc(drv, 16 * size);
	q->driver = virtio_driver_alloc(drv, drv->packed ? 4 : 6 + 2 * size);
	q->device = virtio_driver_alloc(drv, drv->packed ? 4 : 6 + 8 * size);
	for (unsigned int i = 0; i < size; i++) {
		q->next_free[i] = i + 1;
	}
	virtio_driver_write(drv, COMMON_QUEUE_SELECT, n, 2);
	virtio_driver_write(drv, COMMON_QUEUE_SIZE, size, 2);
	write_address(drv, COMMON_QUEUE_DESC, q->desc);
	write_address(drv, COMMON_QUEUE_DRIVER, q->driver);
	write_address(drv, COMMON_QUEUE_DEVICE, q->device);
	virtio_driver_write(drv, COMMON_QUEUE_ENABLE, 1, 2);
	if (virtio_driver_read(drv, COMMON_QUEUE_ENABLE, 2) != 1) {
		fail_msg("queue %u cannot be enabled", n);
	}
}

/* ------- split rings ------- */

static void write_split(struct virtio_driver *drv, gpa_t at, const struct driver_buffer *buffer,
			uint16_t flags, uint16_t next)
{
	uint8_t *desc = ram(drv, at, 16);

	store_le64(desc, buffer->gpa);
	store_le32(desc + 8, buffer->size);
	store_le16(desc + 12, flags | (buffer->writable ? DESC_WRITE : 0));
	store_le16(desc + 14, next);
}

static uint16_t add_split(struct virtio_driver *drv, struct driver_queue *q,
			  const struct driver_buffer *buffers, unsigned int count, bool indirect)
{
	uint16_t head = q->first_free;
	uint16_t at = head;

	for (unsigned int i = 0; i < count; i++) {
		uint16_t next = q->next_free[at];
		uint16_t flags = indirect ? DESC_INDIRECT : i + 1 < count ? DESC_NEXT : 0;

		write_split(drv, q->desc + 16 * at, &buffers[i], flags, next);
		q->first_free = next;
		at = next;
	}
	q->entries[head] = count;
	set_ram16(drv, q->driver + 4 + 2 * (q->next % q->size), head);
	q->next++;
	set_ram16(drv, q->driver + 2, q->next);
	return head;
}

static bool take_split(struct virtio_driver *drv, struct driver_queue *q, uint16_t *ret_id,
		       uint32_t *ret_written)
{
	gpa_t at = q->device + 4 + 8 * (q->taken % q->size);
	uint16_t last;

	if (ram16(drv, q->device + 2) == q->taken) {
		return false;
	}
	*ret_id = load_le32(ram(drv, at, 8));
	*ret_written = load_le32((uint8_t *)ram(drv, at, 8) + 4);
	if (*ret_id >= q->size || q->entries[*ret_id] == 0) {
		fail_msg("the device gives back a chain that it does not have");
	}
	q->taken++;
	last = *ret_id;
	for (unsigned int i = 1; i < q->entries[*ret_id]; i++) {
		last = q->next_free[last];
	}
	q->next_free[last] = q->first_free;
	q->first_free = *ret_id;
	return true;
}

/* ------- packed rings ------- */

static void write_packed(struct virtio_driver *drv, gpa_t at, const struct driver_buffer *buffer,
			 uint16_t id)
{
	uint8_t *desc = ram(drv, at, 16);

	store_le64(desc, buffer->gpa);
	store_le32(desc + 8, buffer->size);
	store_le16(desc + 12, id);
}

static uint16_t add_packed(struct virtio_driver *drv, struct driver_queue *q,
			   const struct driver_buffer *buffers, unsigned int count, bool indirect)
{
	uint16_t id = q->first_free;
	uint16_t head = q->next;
	uint16_t head_flags = 0;

	q->first_free = q->next_free[id];
	q->entries[id] = count;
	for (unsigned int i = 0; i < count; i++) {
		uint16_t flags = (i + 1 < count ? DESC_NEXT : 0) |
				 (buffers[i].writable ? DESC_WRITE : 0) |
				 (indirect ? DESC_INDIRECT : 0) |
				 (q->next_wrap ? DESC_AVAIL : DESC_USED);

		write_packed(drv, q->desc + 16 * q->next, &buffers[i], id);
		if (i == 0) {
			head_flags = flags;
		} else {
			set_ram16(drv, q->desc + 16 * q->next + 14, flags);
		}
		if (++q->next == q->size) {
			q->next = 0;
			q->next_wrap = !q->next_wrap;
		}
	}
	set_ram16(drv, q->desc + 16 * head + 14, head_flags);
	return id;
}

static bool take_packed(struct virtio_driver *drv, struct driver_queue *q, uint16_t *ret_id,
			uint32_t *ret_written)
{
	gpa_t at = q->desc + 16 * q->taken;
	uint16_t flags = ram16(drv, at + 14);

	if (!!(flags & DESC_AVAIL) != q->taken_wrap || !!(flags & DESC_USED) != q->taken_wrap) {
		return false;
	}
	*ret_id = ram16(drv, at + 12);
	*ret_written = load_le32(ram(drv, at + 8, 4));
	if (*ret_id >= q->size || q->entries[*ret_id] == 0) {
		fail_msg("the device gives back a chain that it does not have");
	}
	q->taken += q->entries[*ret_id];
	if (q->taken >= q->size) {
		q->taken -= q->size;
		q->taken_wrap = !q->taken_wrap;
	}
	q->next_free[*ret_id] = q->first_free;
	q->first_free = *ret_id;
	return true;
}

/* ------- both ------- */

/** build_table() - an indirect table of @buffers. */
static struct driver_buffer build_table(struct virtio_driver *drv,
					const struct driver_buffer *buffers, unsigned int count)
{
	struct driver_buffer table = { virtio_driver_alloc(drv, 16 * count), 16 * count, false };

	for (unsigned int i = 0; i < count; i++) {
		gpa_t at = table.gpa + 16 * i;

		if (drv->packed) {
			write_packed(drv, at, &buffers[i], 0);
			set_ram16(drv, at + 14, buffers[i].writable ? DESC_WRITE : 0);
		} else {
			write_split(drv, at, &buffers[i], i + 1 < count ? DESC_NEXT : 0, i + 1);
		}
	}
	return table;
}

uint16_t virtio_driver_add(struct virtio_driver *drv, unsigned int n,
			   const struct driver_buffer *buffers, unsigned int count, bool indirect)
{
	struct driver_queue *q = &drv->queues[n];
	struct driver_buffer table;

	if (indirect) {
		table = build_table(drv, buffers, count);
		buffers = &table;
		count = 1;
	}
	if (count > q->free) {
		fail_msg("queue %u is full", n);
	}
	q->free -= count;
	if (drv->packed) {
		return add_packed(drv, q, buffers, count, indirect);
	}
	return add_split(drv, q, buffers, count, indirect);
}

void virtio_driver_notify(struct virtio_driver *drv, unsigned int n)
{
	fake_mmio_write(drv->fm, drv->notify + n * drv->notify_multiplier, n, 2);
	fake_machine_run(drv->fm);
}

bool virtio_driver_take(struct virtio_driver *drv, unsigned int n, uint16_t *ret_id,
			uint32_t *ret_written)
{
	struct driver_queue *q = &drv->queues[n];
	bool taken = drv->packed ? take_packed(drv, q, ret_id, ret_written) :
				   take_split(drv, q, ret_id, ret_written);

	if (taken) {
		q->free += q->entries[*ret_id];
		q->entries[*ret_id] = 0;
	}
	return taken;
}

static bool passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtio_driver_wants_notify(struct virtio_driver *drv, unsigned int n, uint16_t added)
{
	struct driver_queue *q = &drv->queues[n];
	uint16_t event;

	if (!drv->packed && !has(drv, VIRTIO_F_EVENT_IDX)) {
		return !(ram16(drv, q->device) & 1);
	}
	if (!drv->packed) {
		event = ram16(drv, q->device + 4 + 8 * q->size);
		return passed(event, q->next, q->next - added);
	}
	if (ram16(drv, q->device + 2) != 2) {
		return ram16(drv, q->device + 2) == 0;
	}
	event = ram16(drv, q->device);
	if (!!(event & 0x8000) != q->next_wrap) {
		return passed((event & 0x7fff) - q->size, q->next, q->next - added);
	}
	return passed(event & 0x7fff, q->next, q->next - added);
}

void virtio_driver_set_interrupt(struct virtio_driver *drv, unsigned int n, bool on)
{
	struct driver_queue *q = &drv->queues[n];

	set_ram16(drv, q->driver + (drv->packed ? 2 : 0), on ? 0 : 1);
}

void virtio_driver_set_event(struct virtio_driver *drv, unsigned int n, uint16_t after)
{
	struct driver_queue *q = &drv->queues[n];
	uint16_t at = q->taken + after - 1;
	bool wrap = q->taken_wrap;

	if (!drv->packed) {
		set_ram16(drv, q->driver + 4 + 2 * q->size, at);
		return;
	}
	if (at >= q->size) {
		at -= q->size;
		wrap = !wrap;
	}
	set_ram16(drv, q->driver, at | (wrap ? 0x8000 : 0));
	set_ram16(drv, q->driver + 2, 2);
}
