/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ISA DMA: two 8237A controllers (Intel order 231466) and their page registers, as PCs have them:
 * ICH9 datasheet, section 13.2. Channels 0-3 move bytes, 5-7 words; 4 joins the two.
 *
 * A device moves a block by calling isa_dma_to_guest() or isa_dma_from_guest(): all of single,
 * demand and block mode is "as much as the device has and the channel takes". A channel that the
 * guest left masked, or pointed the other way, moves nothing. Addresses wrap within the channel's
 * 64 KiB (or 128 KiB) page, as the hardware's do.
 *
 * Left out: memory-to-memory transfer and software requests, which no PC's wiring supports; and
 * channel 4's mask does not hold back channels 0-3, since no system leaves it set.
 */

#include "bus/chipset.h"

#include <assert.h>

#define CHANNELS 8

/* Ports of a controller, in units of its port distance (1 for the first, 2 for the second). */
enum {
	DMA_COMMAND = 8, /* read: status */
	DMA_REQUEST,
	DMA_SINGLE_MASK,
	DMA_MODE,
	DMA_CLEAR_FLIP_FLOP,
	DMA_MASTER_CLEAR,
	DMA_CLEAR_MASK,
	DMA_ALL_MASKS,
};

#define COMMAND_DISABLE BIT(2)

#define MODE_TRANSFER(m) ((m) >> 2 & 3)
#define TRANSFER_VERIFY 0
#define TRANSFER_TO_MEMORY 1
#define TRANSFER_FROM_MEMORY 2
#define MODE_AUTO_INIT BIT(4)
#define MODE_DECREMENT BIT(5)

struct dma_channel {
	uint16_t base_address;
	uint16_t base_count;
	uint16_t address;
	uint16_t count;
	uint8_t mode;
};

/**
 * struct isa_dma - both controllers
 * @pages: 80h-8fh; 80h itself is the POST port, the ones of no channel are scratch bytes
 * @terminal, @requests, @masks: a bit for each channel
 */
struct isa_dma {
	struct device dev;
	struct dma_channel channels[CHANNELS];
	uint8_t pages[16];
	uint8_t command[2];
	uint8_t terminal;
	uint8_t requests;
	uint8_t masks;
	bool high_byte[2];
	struct io_region regions[3];
};

static const struct device_ops isa_dma_ops;

static struct isa_dma *isa_dma_from_device(struct device *dev)
{
	assert(dev->ops == &isa_dma_ops);
	return container_of(dev, struct isa_dma, dev);
}

/* ---- moving data ---- */

static unsigned int unit_of(unsigned int channel)
{
	return channel < 4 ? 1 : 2;
}

static gpa_t channel_address(const struct isa_dma *dma, unsigned int channel)
{
	static const uint8_t page_of[CHANNELS] = { 7, 3, 1, 2, 15, 11, 9, 10 };
	gpa_t page = dma->pages[page_of[channel]];
	gpa_t address = dma->channels[channel].address;

	if (channel < 4) {
		return page << 16 | address;
	}
	return (page & 0xfe) << 16 | address << 1;
}

/* How many units can move in one piece: up to the count, the page's end, and @units. */
static size_t piece_units(const struct dma_channel *c, size_t units)
{
	size_t left = MIN((size_t)c->count + 1, (size_t)0x10000 - c->address);

	return c->mode & MODE_DECREMENT ? 1 : MIN(units, left);
}

static bool advance(struct isa_dma *dma, unsigned int channel, size_t units)
{
	struct dma_channel *c = &dma->channels[channel];
	bool terminal = units > c->count;

	c->address = c->mode & MODE_DECREMENT ? c->address - units : c->address + units;
	c->count -= units;
	if (!terminal) {
		return false;
	}
	dma->terminal |= BIT(channel);
	if (c->mode & MODE_AUTO_INIT) {
		c->address = c->base_address;
		c->count = c->base_count;
	} else {
		dma->masks |= BIT(channel);
	}
	return true;
}

static bool can_move(const struct isa_dma *dma, unsigned int channel, unsigned int transfer)
{
	unsigned int programmed = MODE_TRANSFER(dma->channels[channel].mode);

	if (dma->masks & BIT(channel) || dma->command[channel / 4] & COMMAND_DISABLE) {
		return false;
	}
	return programmed == transfer || programmed == TRANSFER_VERIFY;
}

static size_t move_locked(struct isa_dma *dma, unsigned int channel, uint8_t *data, size_t size,
			  unsigned int transfer, bool *ret_terminal)
{
	struct guest_memory *memory = dma->dev.env.memory;
	struct dma_channel *c = &dma->channels[channel];
	unsigned int unit = unit_of(channel);
	size_t done = 0;
	bool terminal = false;

	while (!terminal && size - done >= unit && can_move(dma, channel, transfer)) {
		size_t units = piece_units(c, (size - done) / unit);
		gpa_t gpa = channel_address(dma, channel);
		int rc = 0;

		if (MODE_TRANSFER(c->mode) == TRANSFER_TO_MEMORY) {
			rc = guest_mem_write(memory, gpa, data + done, units * unit);
		} else if (MODE_TRANSFER(c->mode) == TRANSFER_FROM_MEMORY) {
			rc = guest_mem_read(memory, gpa, data + done, units * unit);
		}
		if (rc < 0) {
			device_guest_error(&dma->dev, "channel %u: no memory at 0x%llx", channel,
					   (unsigned long long)gpa);
		}
		terminal = advance(dma, channel, units);
		done += units * unit;
	}
	if (ret_terminal) {
		*ret_terminal = terminal;
	}
	return done;
}

size_t isa_dma_to_guest(struct device *dev, unsigned int channel, const void *data, size_t size,
			bool *ret_terminal)
{
	struct isa_dma *dma = isa_dma_from_device(dev);
	size_t done;

	assert(channel < CHANNELS && channel != 4);
	pthread_mutex_lock(&dev->lock);
	done = move_locked(dma, channel, (uint8_t *)(uintptr_t)data, size, TRANSFER_TO_MEMORY,
			   ret_terminal);
	pthread_mutex_unlock(&dev->lock);
	return done;
}

size_t isa_dma_from_guest(struct device *dev, unsigned int channel, void *data, size_t size,
			  bool *ret_terminal)
{
	struct isa_dma *dma = isa_dma_from_device(dev);
	size_t done;

	assert(channel < CHANNELS && channel != 4);
	memset(data, 0, size);
	pthread_mutex_lock(&dev->lock);
	done = move_locked(dma, channel, data, size, TRANSFER_FROM_MEMORY, ret_terminal);
	pthread_mutex_unlock(&dev->lock);
	return done;
}

void isa_dma_request(struct device *dev, unsigned int channel, bool level)
{
	struct isa_dma *dma = isa_dma_from_device(dev);

	assert(channel < CHANNELS && channel != 4);
	pthread_mutex_lock(&dev->lock);
	dma->requests = level ? dma->requests | BIT(channel) : dma->requests & ~BIT(channel);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- registers ---- */

static void master_clear(struct isa_dma *dma, unsigned int n)
{
	dma->command[n] = 0;
	dma->high_byte[n] = false;
	dma->masks |= 0xf << (4 * n);
	dma->terminal &= ~(0xf << (4 * n));
}

static void set_byte(uint16_t *value, bool high, uint8_t byte)
{
	*value = high ? (*value & 0xff) | byte << 8 : (*value & 0xff00) | byte;
}

static void write_channel(struct isa_dma *dma, unsigned int n, unsigned int reg, uint8_t value)
{
	struct dma_channel *c = &dma->channels[4 * n + reg / 2];
	bool high = dma->high_byte[n];

	if (reg & 1) {
		set_byte(&c->base_count, high, value);
		c->count = c->base_count;
	} else {
		set_byte(&c->base_address, high, value);
		c->address = c->base_address;
	}
	dma->high_byte[n] = !high;
}

static void write_command(struct isa_dma *dma, unsigned int n, unsigned int reg, uint8_t value)
{
	unsigned int channel = 4 * n + (value & 3);

	switch (reg) {
	case DMA_COMMAND:
		dma->command[n] = value;
		break;
	case DMA_SINGLE_MASK:
		dma->masks &= ~BIT(channel);
		dma->masks |= value & BIT(2) ? BIT(channel) : 0;
		break;
	case DMA_MODE:
		dma->channels[channel].mode = value & 0xfc;
		break;
	case DMA_CLEAR_FLIP_FLOP:
		dma->high_byte[n] = false;
		break;
	case DMA_MASTER_CLEAR:
		master_clear(dma, n);
		break;
	case DMA_CLEAR_MASK:
		dma->masks &= ~(0xf << (4 * n));
		break;
	case DMA_ALL_MASKS:
		dma->masks &= ~(0xf << (4 * n));
		dma->masks |= (value & 0xf) << (4 * n);
		break;
	default:
		break;
	}
}

static void controller_write(struct isa_dma *dma, unsigned int n, unsigned int reg, uint8_t value)
{
	if (reg < DMA_COMMAND) {
		write_channel(dma, n, reg, value);
	} else {
		write_command(dma, n, reg, value);
	}
}

static uint8_t read_channel(struct isa_dma *dma, unsigned int n, unsigned int reg)
{
	const struct dma_channel *c = &dma->channels[4 * n + reg / 2];
	uint16_t value = reg & 1 ? c->count : c->address;
	bool high = dma->high_byte[n];

	dma->high_byte[n] = !high;
	return high ? value >> 8 : value & 0xff;
}

static uint8_t controller_read(struct isa_dma *dma, unsigned int n, unsigned int reg)
{
	uint8_t value;

	switch (reg) {
	case DMA_COMMAND: /* status: reading it clears the terminal counts */
		value = (dma->terminal >> (4 * n) & 0xf) | (dma->requests >> (4 * n) & 0xf) << 4;
		dma->terminal &= ~(0xf << (4 * n));
		return value;
	case DMA_ALL_MASKS:
		return 0xf0 | (dma->masks >> (4 * n) & 0xf);
	default:
		return reg < DMA_COMMAND ? read_channel(dma, n, reg) : 0;
	}
}

static uint64_t first_read(void *opaque, uint64_t offset, unsigned int size)
{
	return controller_read(opaque, 0, offset);
}

static void first_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	controller_write(opaque, 0, offset, (uint8_t)value);
}

static uint64_t second_read(void *opaque, uint64_t offset, unsigned int size)
{
	return controller_read(opaque, 1, offset / 2);
}

static void second_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	controller_write(opaque, 1, offset / 2, (uint8_t)value);
}

static uint64_t pages_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct isa_dma *dma = opaque;

	return dma->pages[offset];
}

static void pages_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct isa_dma *dma = opaque;

	dma->pages[offset] = (uint8_t)value;
}

static const struct io_ops first_io = { .read = first_read, .write = first_write, .max_size = 1 };
static const struct io_ops second_io = {
	.read = second_read,
	.write = second_write,
	.max_size = 1,
};
static const struct io_ops pages_io = { .read = pages_read, .write = pages_write, .max_size = 1 };

/* ---- life ---- */

static void isa_dma_destroy(struct device *dev)
{
	struct isa_dma *dma = isa_dma_from_device(dev);

	for (size_t i = 0; i < ARRAY_SIZE(dma->regions); i++) {
		io_region_unmap(&dma->regions[i]);
	}
}

static int isa_dma_create(struct device *dev, struct error *err)
{
	static const struct {
		const char *name;
		const struct io_ops *ops;
		uint16_t port;
		uint16_t size;
	} places[3] = {
		{ "dma1", &first_io, 0x00, 16 },
		{ "dma2", &second_io, 0xc0, 32 },
		{ "dma-pages", &pages_io, 0x80, 16 },
	};
	struct isa_dma *dma = isa_dma_from_device(dev);

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int rc;

		io_region_init(&dma->regions[i], places[i].name, places[i].ops, dma, &dev->lock,
			       places[i].size);
		rc = io_region_map(&dma->regions[i], dev->env.ports, places[i].port);
		if (rc < 0) {
			isa_dma_destroy(dev);
			return error_set(err, -rc, "cannot map %s", places[i].name);
		}
	}
	return 0;
}

static void isa_dma_reset(struct device *dev, enum reset_kind kind)
{
	struct isa_dma *dma = isa_dma_from_device(dev);

	memset(dma->channels, 0, sizeof(dma->channels));
	memset(dma->pages, 0, sizeof(dma->pages));
	master_clear(dma, 0);
	master_clear(dma, 1);
}

static const struct state_field channel_fields[] = {
	STATE_FIELD(struct dma_channel, base_address),
	STATE_FIELD(struct dma_channel, base_count),
	STATE_FIELD(struct dma_channel, address),
	STATE_FIELD(struct dma_channel, count),
	STATE_FIELD(struct dma_channel, mode),
	STATE_FIELDS_END,
};

static const struct state_table channel_state = {
	.version = 1,
	.fields = channel_fields,
};

/* No value of these can lead astray: what is used as an index is masked where it is used. */
static const struct state_field isa_dma_fields[] = {
	STATE_FIELD_STRUCT(struct isa_dma, channels, CHANNELS, &channel_state),
	STATE_FIELD_BYTES(struct isa_dma, pages),
	STATE_FIELD_BYTES(struct isa_dma, command),
	STATE_FIELD(struct isa_dma, terminal),
	STATE_FIELD(struct isa_dma, requests),
	STATE_FIELD(struct isa_dma, masks),
	{ .name = "high_byte", .type = STATE_BOOL, .offset = offsetof(struct isa_dma, high_byte),
	  .size = sizeof(bool), .count = 2 },
	STATE_FIELDS_END,
};

static const struct state_table isa_dma_state = {
	.version = 1,
	.fields = isa_dma_fields,
};

static const struct device_ops isa_dma_ops = {
	.name = "isa-dma",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct isa_dma),
	.state = &isa_dma_state,
	.create = isa_dma_create,
	.destroy = isa_dma_destroy,
	.reset = isa_dma_reset,
};
DEVICE_REGISTER(isa_dma_ops);
