/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access to guest memory by devices and loaders. Addresses and lengths come from the guest, so
 * each access is taken apart slot by slot and stops at the first byte that is no memory; nothing
 * here adds an address and a length before it knows that they lie within one slot.
 *
 * The guest may change memory while it is copied; what is copied must then be checked after the
 * copy, by the caller. Values of 2, 4 and 8 bytes that are aligned are read and written in one
 * piece.
 */

#include "memory/guest_memory.h"

#include "memory/memory_impl.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPY_UNSEEN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define COPY_UNSEEN 1
#endif

/**
 * struct chunk - a piece of a guest range that lies within one slot
 */
struct chunk {
	struct mem_region *region;
	uint64_t offset;
	uint8_t *host;
	size_t size;
	bool readonly;
};

/*
 * Guests race with devices on purpose (rings), and that is no error of ours: under the thread
 * sanitizer, the copy is made where it does not look.
 */
static void copy_bytes(void *to, const void *from, size_t size)
{
#ifdef COPY_UNSEEN
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
	memcpy(to, from, size);
#endif
}

static void fill_bytes(void *to, uint8_t value, size_t size)
{
#ifdef COPY_UNSEEN
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
#else
	memset(to, value, size);
#endif
}

static bool find_chunk(struct guest_memory *memory, gpa_t gpa, size_t size, struct chunk *ret_chunk)
{
	struct mem_slot slot;
	uint64_t into;

	if (!guest_memory_find(memory, gpa, &slot)) {
		return false;
	}
	into = gpa - slot.gpa;
	ret_chunk->region = slot.region;
	ret_chunk->offset = slot.offset + into;
	ret_chunk->host = slot.region->host + slot.offset + into;
	ret_chunk->size = MIN((uint64_t)size, slot.size - into);
	ret_chunk->readonly = slot.readonly;
	return true;
}

int guest_mem_read(struct guest_memory *memory, gpa_t gpa, void *buf, size_t size)
{
	uint8_t *to = buf;
	struct chunk chunk;

	while (size > 0) {
		if (!find_chunk(memory, gpa, size, &chunk)) {
			return -EFAULT;
		}
		copy_bytes(to, chunk.host, chunk.size);
		to += chunk.size;
		gpa += chunk.size;
		size -= chunk.size;
	}
	return 0;
}

static int write_range(struct guest_memory *memory, gpa_t gpa, const uint8_t *from, size_t size,
		       bool also_rom)
{
	struct chunk chunk;

	while (size > 0) {
		if (!find_chunk(memory, gpa, size, &chunk)) {
			return -EFAULT;
		}
		if (!chunk.readonly || also_rom) {
			copy_bytes(chunk.host, from, chunk.size);
			mem_region_written(chunk.region, chunk.offset, chunk.size);
		}
		from += chunk.size;
		gpa += chunk.size;
		size -= chunk.size;
	}
	return 0;
}

int guest_mem_write(struct guest_memory *memory, gpa_t gpa, const void *buf, size_t size)
{
	return write_range(memory, gpa, buf, size, false);
}

int guest_mem_write_rom(struct guest_memory *memory, gpa_t gpa, const void *buf, size_t size)
{
	return write_range(memory, gpa, buf, size, true);
}

int guest_mem_fill(struct guest_memory *memory, gpa_t gpa, uint8_t value, size_t size)
{
	struct chunk chunk;

	while (size > 0) {
		if (!find_chunk(memory, gpa, size, &chunk)) {
			return -EFAULT;
		}
		if (!chunk.readonly) {
			fill_bytes(chunk.host, value, chunk.size);
			mem_region_written(chunk.region, chunk.offset, chunk.size);
		}
		gpa += chunk.size;
		size -= chunk.size;
	}
	return 0;
}

void *guest_mem_map(struct guest_memory *memory, gpa_t gpa, size_t size, bool write)
{
	struct chunk chunk;

	if (!find_chunk(memory, gpa, size, &chunk) || chunk.size < size ||
	    (write && chunk.readonly)) {
		return NULL;
	}
	return chunk.host;
}

void guest_mem_written(struct guest_memory *memory, gpa_t gpa, size_t size)
{
	struct chunk chunk;

	while (size > 0 && find_chunk(memory, gpa, size, &chunk)) {
		mem_region_written(chunk.region, chunk.offset, chunk.size);
		gpa += chunk.size;
		size -= chunk.size;
	}
}

/* ------- small values ------- */

/*
 * A region's memory is page-aligned and slots are too, so a guest address that is aligned is so
 * on the host.
 */
#define DEFINE_SMALL_ACCESS(bits)                                                                 \
	int guest_mem_read_u##bits(struct guest_memory *memory, gpa_t gpa,                        \
				   uint##bits##_t *ret_value)                                     \
	{                                                                                         \
		struct chunk chunk;                                                               \
		uint##bits##_t value;                                                             \
		int ret;                                                                          \
                                                                                                  \
		if (gpa % sizeof(value) == 0) {                                                   \
			if (!find_chunk(memory, gpa, sizeof(value), &chunk)) {                    \
				return -EFAULT;                                                   \
			}                                                                         \
			*ret_value = __atomic_load_n((uint##bits##_t *)(void *)chunk.host,        \
						     __ATOMIC_ACQUIRE);                           \
			return 0;                                                                 \
		}                                                                                 \
		ret = guest_mem_read(memory, gpa, &value, sizeof(value));                         \
		if (ret == 0) {                                                                   \
			*ret_value = value;                                                       \
		}                                                                                 \
		return ret;                                                                       \
	}                                                                                         \
                                                                                                  \
	int guest_mem_write_u##bits(struct guest_memory *memory, gpa_t gpa, uint##bits##_t value) \
	{                                                                                         \
		struct chunk chunk;                                                               \
                                                                                                  \
		if (gpa % sizeof(value) != 0) {                                                   \
			return guest_mem_write(memory, gpa, &value, sizeof(value));               \
		}                                                                                 \
		if (!find_chunk(memory, gpa, sizeof(value), &chunk)) {                            \
			return -EFAULT;                                                           \
		}                                                                                 \
		if (!chunk.readonly) {                                                            \
			__atomic_store_n((uint##bits##_t *)(void *)chunk.host, value,             \
					 __ATOMIC_RELEASE);                                       \
			mem_region_written(chunk.region, chunk.offset, sizeof(value));            \
		}                                                                                 \
		return 0;                                                                         \
	}

DEFINE_SMALL_ACCESS(16)
DEFINE_SMALL_ACCESS(32)
DEFINE_SMALL_ACCESS(64)
