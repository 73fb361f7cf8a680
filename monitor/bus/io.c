/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Look-up and dispatch of accesses that trap. An address space keeps the regions mapped in it and,
 * derived from them, a flat view: sorted ranges that do not overlap, each naming the region that is
 * seen there. Writers rebuild the view under the space's mutex and publish it under a sequence
 * count; readers search it without a lock and try again when the count moved. Each thread remembers
 * the last range it hit per space.
 *
 * The count is unique in the process (every change of any space draws a new one), so a remembered
 * range can be checked by its count alone, even when a space was freed and another took its place.
 *
 * Readers use acquire loads throughout rather than fences: on x86 they are plain loads, and the
 * thread sanitizer understands them.
 */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "bus/io.h"

#define IO_REGIONS_MAX 256
#define IO_RANGES_MAX (2 * IO_REGIONS_MAX)
#define IO_EVENTFDS_MAX 256
#define IO_UNCLAIMED_MAX 256
#define IO_UNCLAIMED_PROBES 8
#define IO_CACHE_SLOTS 4

/** struct io_range - one range of the flat view, addresses inclusive; @base and @end are the
 *  region's own. */
struct io_range {
	_Atomic uint64_t first;
	_Atomic uint64_t last;
	_Atomic uint64_t base;
	_Atomic uint64_t end;
	struct io_region *_Atomic region;
};

/** struct io_bell - one eventfd of the flat view. */
struct io_bell {
	_Atomic uint64_t address;
	_Atomic unsigned int size;
	_Atomic int fd;
};

/**
 * struct io_space - an address space
 * @lock: guards everything but what the flat view publishes
 * @generation: count of the published view; odd while it is being rewritten
 * @unclaimed: addresses already logged, plus one; a hash table that never empties
 */
struct io_space {
	const char *name;
	uint64_t last;
	unsigned int cache_slot;
	pthread_mutex_t lock;
	_Atomic uint64_t generation;
	_Atomic unsigned int range_count;
	struct io_range ranges[IO_RANGES_MAX];
	_Atomic unsigned int bell_count;
	struct io_bell bells[IO_EVENTFDS_MAX];
	struct io_region *regions[IO_REGIONS_MAX]; /* in the order they were mapped */
	unsigned int region_count;
	struct io_eventfd eventfds[IO_EVENTFDS_MAX]; /* by address */
	unsigned int eventfd_count;
	struct io_eventfd_listener *listener;
	_Atomic uint64_t unclaimed[IO_UNCLAIMED_MAX];
};

/**
 * struct io_hit - what a look-up found
 * @first, @last: where it holds
 * @end: how far an access that starts there may reach: the end of the region, whatever overlaps it
 *       (a bus cycle is claimed by its start), or of the hole
 * @region: NULL: nobody's addresses
 */
struct io_hit {
	uint64_t generation;
	uint64_t first;
	uint64_t last;
	uint64_t base;
	uint64_t end;
	struct io_region *region;
};

static _Atomic uint64_t io_generations = 2;
static _Thread_local struct io_hit io_last_hit[IO_CACHE_SLOTS];

static uint64_t new_generation(void)
{
	return atomic_fetch_add_explicit(&io_generations, 2, memory_order_relaxed);
}

int io_space_create(const char *name, uint64_t size, struct io_space **ret_space,
		    struct error *err)
{
	struct io_space *space = calloc(1, sizeof(*space));

	if (!space) {
		return error_set(err, ENOMEM, "no memory for address space '%s'", name);
	}
	space->name = name;
	space->last = size - 1;
	pthread_mutex_init(&space->lock, NULL);
	atomic_init(&space->generation, new_generation());
	space->cache_slot = (atomic_load(&space->generation) >> 1) % IO_CACHE_SLOTS;
	*ret_space = space;
	return 0;
}

void io_space_destroy(struct io_space *space)
{
	if (!space) {
		return;
	}
	for (unsigned int i = 0; i < space->region_count; i++) {
		space->regions[i]->space = NULL;
	}
	pthread_mutex_destroy(&space->lock);
	free(space);
}

void io_region_init(struct io_region *region, const char *name, const struct io_ops *ops,
		    void *opaque, pthread_mutex_t *lock, uint64_t size)
{
	*region = (struct io_region){
		.name = name,
		.ops = ops,
		.opaque = opaque,
		.lock = lock,
		.size = size,
	};
}

/* ------- the flat view ------- */

static int compare_points(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/** region_seen_at() - of the regions that hold @address the one of highest priority; of equals the
 *  one mapped last. */
static struct io_region *region_seen_at(const struct io_space *space, uint64_t address)
{
	struct io_region *best = NULL;

	for (unsigned int i = 0; i < space->region_count; i++) {
		struct io_region *region = space->regions[i];

		if (address - region->base < region->size &&
		    (!best || region->priority >= best->priority)) {
			best = region;
		}
	}
	return best;
}

/** publish_range() - append to the view, or lengthen its last range by what continues it. */
static void publish_range(struct io_space *space, unsigned int *count, uint64_t first,
			  uint64_t last, struct io_region *region)
{
	struct io_range *range = &space->ranges[*count];

	if (*count > 0) {
		struct io_range *before = range - 1;

		if (atomic_load_explicit(&before->region, memory_order_relaxed) == region &&
		    atomic_load_explicit(&before->last, memory_order_relaxed) + 1 == first) {
			atomic_store_explicit(&before->last, last, memory_order_release);
			return;
		}
	}
	atomic_store_explicit(&range->first, first, memory_order_release);
	atomic_store_explicit(&range->last, last, memory_order_release);
	atomic_store_explicit(&range->base, region->base, memory_order_release);
	atomic_store_explicit(&range->end, region->base + region->size - 1, memory_order_release);
	atomic_store_explicit(&range->region, region, memory_order_release);
	(*count)++;
}

/** publish_locked() - bring the flat view up to date with regions and eventfds. */
static void publish_locked(struct io_space *space)
{
	uint64_t points[IO_RANGES_MAX];
	unsigned int point_count = 0;
	unsigned int count = 0;
	uint64_t generation = new_generation();

	/* Where a region starts, or the byte after one ends, what is seen may change. A region at
	 * the top of a 64-bit space ends at 0, where nothing changes that matters. */
	for (unsigned int i = 0; i < space->region_count; i++) {
		points[point_count++] = space->regions[i]->base;
		points[point_count++] = space->regions[i]->base + space->regions[i]->size;
	}
	qsort(points, point_count, sizeof(points[0]), compare_points);

	atomic_store_explicit(&space->generation, generation | 1, memory_order_relaxed);
	for (unsigned int i = 0; i < point_count; i++) {
		struct io_region *region;
		bool is_last = i + 1 == point_count;

		if (!is_last && points[i] == points[i + 1]) {
			continue;
		}
		region = region_seen_at(space, points[i]);
		if (region) {
			publish_range(space, &count, points[i],
				      is_last ? UINT64_MAX : points[i + 1] - 1, region);
		}
	}
	atomic_store_explicit(&space->range_count, count, memory_order_release);
	for (unsigned int i = 0; i < space->eventfd_count; i++) {
		const struct io_eventfd *e = &space->eventfds[i];

		atomic_store_explicit(&space->bells[i].address, e->address, memory_order_release);
		atomic_store_explicit(&space->bells[i].size, e->size, memory_order_release);
		atomic_store_explicit(&space->bells[i].fd, e->fd, memory_order_release);
	}
	atomic_store_explicit(&space->bell_count, space->eventfd_count, memory_order_release);
	atomic_store_explicit(&space->generation, generation, memory_order_release);
}

/** search() - the range that holds @address or the hole around it; the view may be changing. */
static void search(struct io_space *space, uint64_t address, struct io_hit *hit)
{
	unsigned int low = 0;
	unsigned int high = atomic_load_explicit(&space->range_count, memory_order_acquire);

	hit->first = 0;
	hit->last = UINT64_MAX;
	hit->region = NULL;
	while (low < high) {
		unsigned int middle = low + (high - low) / 2;
		struct io_range *range = &space->ranges[middle];
		uint64_t first = atomic_load_explicit(&range->first, memory_order_acquire);
		uint64_t last = atomic_load_explicit(&range->last, memory_order_acquire);

		if (address < first) {
			high = middle;
			hit->last = first - 1;
		} else if (address > last) {
			low = middle + 1;
			hit->first = last + 1;
		} else {
			hit->first = first;
			hit->last = last;
			hit->base = atomic_load_explicit(&range->base, memory_order_acquire);
			hit->end = atomic_load_explicit(&range->end, memory_order_acquire);
			hit->region = atomic_load_explicit(&range->region, memory_order_acquire);
			return;
		}
	}
	hit->end = hit->last;
}

static struct io_hit *look_up(struct io_space *space, uint64_t address)
{
	struct io_hit *hit = &io_last_hit[space->cache_slot];
	uint64_t generation = atomic_load_explicit(&space->generation, memory_order_acquire);

	if (LIMEN_LIKELY(hit->generation == generation && address >= hit->first &&
			 address <= hit->last)) {
		return hit;
	}
	for (;;) {
		if (!(generation & 1)) {
			search(space, address, hit);
			if (atomic_load_explicit(&space->generation, memory_order_relaxed) ==
			    generation) {
				hit->generation = generation;
				return hit;
			}
		}
		generation = atomic_load_explicit(&space->generation, memory_order_acquire);
	}
}

struct io_region *io_find(struct io_space *space, uint64_t address)
{
	return look_up(space, address)->region;
}

/* ------- mapping ------- */

static void forget_region_locked(struct io_space *space, const struct io_region *region)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < space->region_count; i++) {
		if (space->regions[i] != region) {
			space->regions[kept++] = space->regions[i];
		}
	}
	space->region_count = kept;
}

int io_region_map(struct io_region *region, struct io_space *space, uint64_t base)
{
	int ret = 0;

	if (region->size == 0 || base > space->last || region->size - 1 > space->last - base) {
		return -EINVAL;
	}
	if (region->space && region->space != space) {
		io_region_unmap(region);
	}
	pthread_mutex_lock(&space->lock);
	if (region->space == space) {
		forget_region_locked(space, region);
	}
	if (space->region_count == IO_REGIONS_MAX) {
		ret = -ENOSPC;
	} else {
		space->regions[space->region_count++] = region;
		region->space = space;
		region->base = base;
		publish_locked(space);
	}
	pthread_mutex_unlock(&space->lock);
	return ret;
}

void io_region_unmap(struct io_region *region)
{
	struct io_space *space = region->space;

	if (!space) {
		return;
	}
	pthread_mutex_lock(&space->lock);
	forget_region_locked(space, region);
	region->space = NULL;
	publish_locked(space);
	pthread_mutex_unlock(&space->lock);
}

/* ------- accesses ------- */

static uint64_t size_mask(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : BIT(8 * size) - 1;
}

/** note_unclaimed() - log an address that nobody answers for, the first time it is seen. */
static void note_unclaimed(struct io_space *space, uint64_t address, unsigned int size,
			   const char *what)
{
	uint64_t hash = (address * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

	if (!log_enabled(LOG_AREA_BUS, LOG_LEVEL_INFO)) {
		return;
	}
	for (unsigned int i = 0; i < IO_UNCLAIMED_PROBES; i++) {
		_Atomic uint64_t *slot = &space->unclaimed[(hash + i) % IO_UNCLAIMED_MAX];
		uint64_t seen = 0;

		if (atomic_compare_exchange_strong(slot, &seen, address + 1)) {
			log_info(LOG_AREA_BUS, "%s of %u bytes at %s 0x%llx, where nothing is",
				 what, size, space->name, (unsigned long long)address);
			return;
		}
		if (seen == address + 1) {
			return;
		}
	}
}

static unsigned int ops_min_size(const struct io_ops *ops)
{
	return ops->min_size ? ops->min_size : 1;
}

static unsigned int ops_max_size(const struct io_ops *ops)
{
	return ops->max_size ? ops->max_size : 4;
}

static bool access_fits(const struct io_ops *ops, uint64_t offset, unsigned int size)
{
	return size >= ops_min_size(ops) && size <= ops_max_size(ops) &&
	       (ops->unaligned || (offset & (size - 1)) == 0);
}

/** lock_region() - false when the region was moved between look-up and lock: look up again. */
static bool lock_region(struct io_space *space, const struct io_hit *hit,
			struct io_region *region)
{
	if (!region->lock) {
		return true;
	}
	pthread_mutex_lock(region->lock);
	if (LIMEN_LIKELY(atomic_load_explicit(&space->generation, memory_order_acquire) ==
			 hit->generation)) {
		return true;
	}
	pthread_mutex_unlock(region->lock);
	return false;
}

static void unlock_region(struct io_region *region)
{
	if (region->lock) {
		pthread_mutex_unlock(region->lock);
	}
}

/**
 * struct io_piece - the part of an access that one handler call serves
 * @offset, @size: of the call
 * @skip: how many bytes of the call lie before the access
 * @bytes: how many bytes of the access it covers
 */
struct io_piece {
	uint64_t offset;
	unsigned int size;
	unsigned int skip;
	unsigned int bytes;
};

/** next_piece() - the first call of an access to @offset with @left bytes within the region. */
static struct io_piece next_piece(const struct io_ops *ops, uint64_t offset, unsigned int left)
{
	unsigned int min = ops_min_size(ops);
	unsigned int size = ops_max_size(ops);
	struct io_piece piece;

	while (size > left || (!ops->unaligned && (offset & (size - 1)))) {
		size /= 2;
	}
	if (size >= min) {
		return (struct io_piece){ offset, size, 0, size };
	}
	piece.offset = ALIGN_DOWN(offset, min);
	piece.size = min;
	piece.skip = offset - piece.offset;
	piece.bytes = MIN(left, min - piece.skip);
	return piece;
}

/** read_piece() - one call; returns the bytes it covered, 0 when the look-up has to be repeated. */
static unsigned int read_piece(struct io_space *space, uint64_t address, unsigned int left,
			       uint64_t *ret_value)
{
	const struct io_hit hit = *look_up(space, address);
	struct io_region *region = hit.region;
	struct io_piece piece;

	if (hit.end - address < left - 1) {
		left = hit.end - address + 1;
	}
	if (!region) {
		note_unclaimed(space, address, left, "read");
		*ret_value = UINT64_MAX;
		return left;
	}
	piece = next_piece(region->ops, address - hit.base, left);
	if (!lock_region(space, &hit, region)) {
		return 0;
	}
	*ret_value = region->ops->read(region->opaque, piece.offset, piece.size);
	unlock_region(region);
	*ret_value >>= 8 * piece.skip;
	return piece.bytes;
}

static unsigned int write_piece(struct io_space *space, uint64_t address, uint64_t value,
				unsigned int left)
{
	const struct io_hit hit = *look_up(space, address);
	struct io_region *region = hit.region;
	struct io_piece piece;

	if (hit.end - address < left - 1) {
		left = hit.end - address + 1;
	}
	if (!region) {
		note_unclaimed(space, address, left, "write");
		return left;
	}
	piece = next_piece(region->ops, address - hit.base, left);
	if (piece.bytes < piece.size && !region->ops->widen_writes) {
		return piece.bytes;
	}
	if (!lock_region(space, &hit, region)) {
		return 0;
	}
	region->ops->write(region->opaque, piece.offset,
			   (value & size_mask(piece.bytes)) << (8 * piece.skip), piece.size);
	unlock_region(region);
	return piece.bytes;
}

/** read_in_pieces() - an access that is split, widened, crosses regions or hits none. */
static uint64_t read_in_pieces(struct io_space *space, uint64_t address, unsigned int size)
{
	uint64_t value = 0;
	unsigned int done = 0;

	while (done < size) {
		uint64_t part;
		unsigned int bytes = read_piece(space, address + done, size - done, &part);

		if (bytes > 0) {
			value |= (part & size_mask(bytes)) << (8 * done);
			done += bytes;
		}
	}
	return value;
}

uint64_t io_read(struct io_space *space, uint64_t address, unsigned int size)
{
	const struct io_hit *hit = look_up(space, address);
	struct io_region *region = hit->region;
	uint64_t offset = address - hit->base;
	uint64_t value;

	if (LIMEN_UNLIKELY(!region || hit->end - address < size - 1 ||
			   !access_fits(region->ops, offset, size) ||
			   !lock_region(space, hit, region))) {
		return read_in_pieces(space, address, size);
	}
	value = region->ops->read(region->opaque, offset, size);
	unlock_region(region);
	return value & size_mask(size);
}

/** find_bell() - the eventfd for a write, or -1. */
static int find_bell(struct io_space *space, uint64_t address, unsigned int size)
{
	uint64_t generation;
	int fd;

	do {
		unsigned int low = 0;
		unsigned int high;

		generation = atomic_load_explicit(&space->generation, memory_order_acquire);
		high = atomic_load_explicit(&space->bell_count, memory_order_acquire);
		fd = -1;
		while (low < high) {
			unsigned int middle = low + (high - low) / 2;
			struct io_bell *bell = &space->bells[middle];
			uint64_t at = atomic_load_explicit(&bell->address, memory_order_acquire);
			unsigned int of = atomic_load_explicit(&bell->size, memory_order_acquire);

			if (at == address) {
				fd = of == 0 || of == size ?
					     atomic_load_explicit(&bell->fd, memory_order_acquire) :
					     -1;
				break;
			}
			if (address < at) {
				high = middle;
			} else {
				low = middle + 1;
			}
		}
	} while ((generation & 1) ||
		 atomic_load_explicit(&space->generation, memory_order_relaxed) != generation);
	return fd;
}

static bool ring_bell(struct io_space *space, uint64_t address, unsigned int size)
{
	const uint64_t one = 1;
	int fd = find_bell(space, address, size);

	/* A counter at its limit refuses the write, and is rung already. */
	return fd >= 0 && (write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN);
}

void io_write(struct io_space *space, uint64_t address, uint64_t value, unsigned int size)
{
	const struct io_hit *hit;
	struct io_region *region;
	uint64_t offset;

	if (atomic_load_explicit(&space->bell_count, memory_order_relaxed) > 0 &&
	    ring_bell(space, address, size)) {
		return;
	}
	hit = look_up(space, address);
	region = hit->region;
	offset = address - hit->base;
	if (LIMEN_LIKELY(region && hit->end - address >= size - 1 &&
			 access_fits(region->ops, offset, size) &&
			 lock_region(space, hit, region))) {
		region->ops->write(region->opaque, offset, value & size_mask(size), size);
		unlock_region(region);
		return;
	}
	for (unsigned int done = 0; done < size;) {
		done += write_piece(space, address + done, value >> (8 * done), size - done);
	}
}

/* ------- eventfds ------- */

int io_eventfd_add(struct io_space *space, const struct io_eventfd *e)
{
	unsigned int at = 0;
	int ret = 0;

	pthread_mutex_lock(&space->lock);
	while (at < space->eventfd_count && space->eventfds[at].address < e->address) {
		at++;
	}
	if (at < space->eventfd_count && space->eventfds[at].address == e->address) {
		ret = -EEXIST;
	} else if (space->eventfd_count == IO_EVENTFDS_MAX) {
		ret = -ENOSPC;
	} else {
		memmove(&space->eventfds[at + 1], &space->eventfds[at],
			(space->eventfd_count - at) * sizeof(space->eventfds[0]));
		space->eventfds[at] = *e;
		space->eventfd_count++;
		publish_locked(space);
		/* The core rings it too, so a listener that cannot loses speed, nothing else. */
		if (space->listener && space->listener->add(space->listener, space, e) < 0) {
			log_debug(LOG_AREA_BUS, "the engine does not watch %s 0x%llx", space->name,
				  (unsigned long long)e->address);
		}
	}
	pthread_mutex_unlock(&space->lock);
	return ret;
}

void io_eventfd_remove(struct io_space *space, const struct io_eventfd *e)
{
	pthread_mutex_lock(&space->lock);
	for (unsigned int i = 0; i < space->eventfd_count; i++) {
		if (space->eventfds[i].address == e->address && space->eventfds[i].fd == e->fd) {
			if (space->listener) {
				space->listener->remove(space->listener, space, e);
			}
			memmove(&space->eventfds[i], &space->eventfds[i + 1],
				(space->eventfd_count - i - 1) * sizeof(space->eventfds[0]));
			space->eventfd_count--;
			publish_locked(space);
			break;
		}
	}
	pthread_mutex_unlock(&space->lock);
}

void io_space_set_eventfd_listener(struct io_space *space, struct io_eventfd_listener *listener)
{
	pthread_mutex_lock(&space->lock);
	for (unsigned int i = 0; space->listener && i < space->eventfd_count; i++) {
		space->listener->remove(space->listener, space, &space->eventfds[i]);
	}
	space->listener = listener;
	for (unsigned int i = 0; listener && i < space->eventfd_count; i++) {
		listener->add(listener, space, &space->eventfds[i]);
	}
	pthread_mutex_unlock(&space->lock);
}
