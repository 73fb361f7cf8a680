/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's memory slots and dirty logs (api.rst, KVM_SET_USER_MEMORY_REGION and KVM_GET_DIRTY_LOG),
 * kept equal to the guest memory's slots by its listener, and its eventfds for writes that only
 * ring a bell.
 *
 * KVM cannot replace a slot in one step. Where guest memory changes under a running vCPU there is
 * a moment without memory, in which its accesses come out as MMIO; those find the memory in
 * vcpu.c. A dirty log ends with its slot, so it is fetched before a slot goes.
 */

#include <stdlib.h>
#include <sys/ioctl.h>

#include "engine/kvm/kvm_engine.h"

static struct kvm_engine *kvm_from_listener(struct guest_memory_listener *l)
{
	return container_of(l, struct kvm_engine, memory_listener);
}

static size_t bitmap_size(const struct kvm_slot *slot)
{
	uint64_t pages = slot->mem.size >> GUEST_PAGE_SHIFT;

	return (size_t)((pages + 63) / 64 * 8);
}

static bool logs(const struct kvm_slot *slot)
{
	return slot->bitmap != NULL;
}

static int set_slot(struct kvm_engine *kvm, const struct kvm_slot *slot, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)(slot - kvm->slots),
		.flags = (slot->mem.readonly ? KVM_MEM_READONLY : 0) |
			 (logs(slot) ? KVM_MEM_LOG_DIRTY_PAGES : 0),
		.guest_phys_addr = slot->mem.gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)slot->mem.region->host + slot->mem.offset,
	};

	return ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static void start_log(struct kvm_slot *slot)
{
	if (!slot->bitmap && !slot->mem.readonly) {
		slot->bitmap = calloc(1, bitmap_size(slot));
	}
}

/* Moves the kernel's dirty log to the region's page flags. */
static void fetch_log(struct kvm_engine *kvm, struct kvm_slot *slot)
{
	struct kvm_dirty_log log = {
		.slot = (uint32_t)(slot - kvm->slots),
		.dirty_bitmap = slot->bitmap,
	};
	size_t words = bitmap_size(slot) / 8;

	if (!logs(slot) || ioctl(kvm->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0) {
		return;
	}
	for (size_t i = 0; i < words; i++) {
		uint64_t word = slot->bitmap[i];

		while (word) {
			uint64_t page = i * 64 + (unsigned int)__builtin_ctzll(word);

			mem_region_written(slot->mem.region,
					   slot->mem.offset + (page << GUEST_PAGE_SHIFT), 1);
			word &= word - 1;
		}
	}
}

static struct kvm_slot *find_slot(struct kvm_engine *kvm, const struct mem_slot *mem)
{
	for (unsigned int i = 0; i < KVM_SLOTS; i++) {
		struct kvm_slot *slot = &kvm->slots[i];

		if (slot->mem.region && slot->mem.gpa == mem->gpa && slot->mem.size == mem->size) {
			return slot;
		}
	}
	return NULL;
}

static struct kvm_slot *free_slot(struct kvm_engine *kvm)
{
	for (unsigned int i = 0; i < KVM_SLOTS; i++) {
		if (!kvm->slots[i].mem.region) {
			return &kvm->slots[i];
		}
	}
	return NULL;
}

static void on_slot_added(struct guest_memory_listener *l, const struct mem_slot *mem)
{
	struct kvm_engine *kvm = kvm_from_listener(l);
	struct kvm_slot *slot = free_slot(kvm);
	int ret = -ENOSPC;

	if (slot) {
		slot->mem = *mem;
		if (atomic_load(&mem->region->tracking)) {
			start_log(slot);
		}
		ret = set_slot(kvm, slot, mem->size);
	}
	atomic_fetch_add(&kvm->memory_changes, 1);
	if (ret) {
		/* The guest finds nothing there but what vcpu.c does for it, slowly. */
		log_error(LOG_AREA_ENGINE, "kvm: cannot map %s at 0x%llx: %s", mem->region->name,
			  (unsigned long long)mem->gpa, strerror(-ret));
		if (slot) {
			free(slot->bitmap);
			*slot = (struct kvm_slot){ .bitmap = NULL };
		}
	}
}

static void on_slot_removed(struct guest_memory_listener *l, const struct mem_slot *mem)
{
	struct kvm_engine *kvm = kvm_from_listener(l);
	struct kvm_slot *slot = find_slot(kvm, mem);

	if (!slot) {
		return;
	}
	atomic_fetch_add(&kvm->memory_changes, 1);
	fetch_log(kvm, slot);
	set_slot(kvm, slot, 0);
	free(slot->bitmap);
	*slot = (struct kvm_slot){ .bitmap = NULL };
}

static void on_tracking_changed(struct guest_memory_listener *l, struct mem_region *region)
{
	struct kvm_engine *kvm = kvm_from_listener(l);
	bool wanted = atomic_load(&region->tracking) != 0;

	for (unsigned int i = 0; i < KVM_SLOTS; i++) {
		struct kvm_slot *slot = &kvm->slots[i];

		if (slot->mem.region != region || wanted == logs(slot)) {
			continue;
		}
		if (wanted) {
			start_log(slot);
		} else {
			free(slot->bitmap);
			slot->bitmap = NULL;
		}
		set_slot(kvm, slot, slot->mem.size);
	}
}

static void on_dirty_sync(struct guest_memory_listener *l, struct mem_region *region)
{
	struct kvm_engine *kvm = kvm_from_listener(l);

	for (unsigned int i = 0; i < KVM_SLOTS; i++) {
		if (kvm->slots[i].mem.region == region) {
			fetch_log(kvm, &kvm->slots[i]);
		}
	}
}

/* ------- eventfds ------- */

static int set_eventfd(struct io_eventfd_listener *l, struct io_space *space,
		       const struct io_eventfd *e, uint32_t flags)
{
	struct kvm_engine *kvm = container_of(l, struct kvm_engine, eventfd_listener);
	struct kvm_ioeventfd watch = {
		.addr = e->address,
		.len = e->size,
		.fd = e->fd,
		.flags = flags,
	};

	if (space == kvm->engine.env.ports) {
		watch.flags |= KVM_IOEVENTFD_FLAG_PIO;
	}
	return ioctl(kvm->vm_fd, KVM_IOEVENTFD, &watch) < 0 ? -errno : 0;
}

static int on_eventfd_add(struct io_eventfd_listener *l, struct io_space *space,
			  const struct io_eventfd *e)
{
	return set_eventfd(l, space, e, 0);
}

static void on_eventfd_remove(struct io_eventfd_listener *l, struct io_space *space,
			      const struct io_eventfd *e)
{
	set_eventfd(l, space, e, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

void kvm_memory_init(struct kvm_engine *kvm)
{
	const struct engine_env *env = &kvm->engine.env;

	kvm->memory_listener.slot_added = on_slot_added;
	kvm->memory_listener.slot_removed = on_slot_removed;
	kvm->memory_listener.tracking_changed = on_tracking_changed;
	kvm->memory_listener.dirty_sync = on_dirty_sync;
	guest_memory_add_listener(env->memory, &kvm->memory_listener);

	kvm->eventfd_listener.add = on_eventfd_add;
	kvm->eventfd_listener.remove = on_eventfd_remove;
	io_space_set_eventfd_listener(env->mmio, &kvm->eventfd_listener);
	io_space_set_eventfd_listener(env->ports, &kvm->eventfd_listener);
	kvm->listening = true;
}

void kvm_memory_finish(struct kvm_engine *kvm)
{
	const struct engine_env *env = &kvm->engine.env;

	if (!kvm->listening) {
		return;
	}
	io_space_set_eventfd_listener(env->mmio, NULL);
	io_space_set_eventfd_listener(env->ports, NULL);
	guest_memory_remove_listener(env->memory, &kvm->memory_listener);
	for (unsigned int i = 0; i < KVM_SLOTS; i++) {
		free(kvm->slots[i].bitmap);
	}
	kvm->listening = false;
}
