/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg: the firmware configuration device. Firmware selects an item by a 16-bit key and reads it
 * byte by byte from a data port, or by DMA: it writes the guest address of a control structure, and
 * the device copies (or skips) as that says and writes the outcome back. Key 0x19 is a directory of
 * named files.
 *
 * Specification: docs/specs/fw_cfg of the QEMU project, which defined the interface that SeaBIOS,
 * OVMF and Linux speak: ports 0x510 (selector, little-endian), 0x511 (data), 0x514 and 0x518 (DMA
 * address, big-endian; the write of the low half starts the transfer).
 *
 * Items are read-only to the guest: a DMA write answers with the error bit, as the specification
 * has it for files that the machine did not offer for writing. The items are made anew from the
 * machine's configuration when a state is loaded, so only the registers are saved.
 */

#include "bus/fw_cfg.h"

#include <stdlib.h>

#define FW_CFG_PORT 0x510
#define FW_CFG_FIRST_FILE_KEY 0x20
#define FW_CFG_MAX_ITEMS 16
#define FW_CFG_VERSION_DMA 3 /* traditional interface and DMA */

/* Port offsets from FW_CFG_PORT. */
#define REG_SELECT 0
#define REG_DATA 1
#define REG_DMA_HIGH 4
#define REG_DMA_LOW 8
#define REG_SIZE 12

/* Bits of the control field of the DMA structure. */
#define DMA_ERROR BIT(0)
#define DMA_READ BIT(1)
#define DMA_SKIP BIT(2)
#define DMA_SELECT BIT(3)
#define DMA_WRITE BIT(4)

static const uint8_t dma_signature[8] = "QEMU CFG";

/* The DMA control structure in guest memory; all fields big-endian. */
struct fw_cfg_dma {
	uint32_t control;
	uint32_t length;
	uint64_t address;
} __attribute__((packed));

struct fw_cfg_item {
	uint16_t key;
	uint8_t *data;
	size_t size;
	char name[FW_CFG_NAME_SIZE]; /* "" unless it is a file */
};

struct fw_cfg {
	struct device dev;
	struct io_region region;
	struct fw_cfg_item items[FW_CFG_MAX_ITEMS + FW_CFG_MAX_FILES];
	unsigned int item_count;
	unsigned int file_count;
	uint16_t selected;
	uint32_t offset; /* of the next byte within the selected item */
	uint64_t dma_address;
};

static struct fw_cfg *fw_cfg_from_device(struct device *dev)
{
	return container_of(dev, struct fw_cfg, dev);
}

static struct fw_cfg_item *find_item(struct fw_cfg *cfg, uint16_t key)
{
	for (unsigned int i = 0; i < cfg->item_count; i++) {
		if (cfg->items[i].key == key) {
			return &cfg->items[i];
		}
	}
	return NULL;
}

static int add_item(struct fw_cfg *cfg, uint16_t key, const char *name, const void *data,
		    size_t size)
{
	struct fw_cfg_item *item;
	uint8_t *copy;

	if (cfg->item_count == ARRAY_SIZE(cfg->items) || size > UINT32_MAX) {
		return -ENOSPC;
	}
	if (find_item(cfg, key)) {
		return -EEXIST;
	}
	copy = malloc(size ? size : 1);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, data, size);
	item = &cfg->items[cfg->item_count++];
	*item = (struct fw_cfg_item){ .key = key, .data = copy, .size = size };
	memcpy(item->name, name, strlen(name));
	return 0;
}

int fw_cfg_add_item(struct device *fw_cfg, uint16_t key, const void *data, size_t size)
{
	return add_item(fw_cfg_from_device(fw_cfg), key, "", data, size);
}

int fw_cfg_add_u16(struct device *fw_cfg, uint16_t key, uint16_t value)
{
	uint8_t bytes[2];

	store_le16(bytes, value);
	return fw_cfg_add_item(fw_cfg, key, bytes, sizeof(bytes));
}

/* The directory is an item like any other; it is rebuilt whenever a file joins it. */
static int rebuild_directory(struct fw_cfg *cfg)
{
	struct fw_cfg_item *directory = find_item(cfg, FW_CFG_FILE_DIR);
	size_t size = 4 + 64 * (size_t)cfg->file_count;
	uint8_t *data = calloc(1, size);
	uint8_t *entry;

	if (!data) {
		return -ENOMEM;
	}
	store_le32(data, __builtin_bswap32(cfg->file_count));
	entry = data + 4;
	for (unsigned int i = 0; i < cfg->item_count; i++) {
		const struct fw_cfg_item *item = &cfg->items[i];

		if (!item->name[0]) {
			continue;
		}
		store_le32(entry, __builtin_bswap32((uint32_t)item->size));
		store_le16(entry + 4, __builtin_bswap16(item->key));
		memcpy(entry + 8, item->name, FW_CFG_NAME_SIZE);
		entry += 64;
	}
	free(directory->data);
	directory->data = data;
	directory->size = size;
	return 0;
}

int fw_cfg_add_file(struct device *fw_cfg, const char *name, const void *data, size_t size)
{
	struct fw_cfg *cfg = fw_cfg_from_device(fw_cfg);
	int ret;

	if (cfg->file_count == FW_CFG_MAX_FILES) {
		return -ENOSPC;
	}
	if (!name[0] || strlen(name) >= FW_CFG_NAME_SIZE) {
		return -EINVAL;
	}
	if (fw_cfg_find_file(fw_cfg, name, NULL)) {
		return -EEXIST;
	}
	ret = add_item(cfg, FW_CFG_FIRST_FILE_KEY + cfg->file_count, name, data, size);
	if (ret < 0) {
		return ret;
	}
	cfg->file_count++;
	return rebuild_directory(cfg);
}

const void *fw_cfg_find_file(struct device *fw_cfg, const char *name, size_t *ret_size)
{
	struct fw_cfg *cfg = fw_cfg_from_device(fw_cfg);

	for (unsigned int i = 0; i < cfg->item_count; i++) {
		if (cfg->items[i].name[0] && !strcmp(cfg->items[i].name, name)) {
			if (ret_size) {
				*ret_size = cfg->items[i].size;
			}
			return cfg->items[i].data;
		}
	}
	return NULL;
}

static void select_item(struct fw_cfg *cfg, uint16_t key)
{
	cfg->selected = key;
	cfg->offset = 0;
}

/* Copy the next @size bytes of the selected item; past its end there are zeroes. */
static void read_next(struct fw_cfg *cfg, uint8_t *buf, size_t size)
{
	const struct fw_cfg_item *item = find_item(cfg, cfg->selected);
	size_t n = 0;

	if (item && cfg->offset < item->size) {
		n = MIN(size, item->size - cfg->offset);
		memcpy(buf, item->data + cfg->offset, n);
		cfg->offset += (uint32_t)n;
	}
	memset(buf + n, 0, size - n);
}

static bool dma_transfer(struct fw_cfg *cfg, uint64_t address, uint32_t length)
{
	uint8_t chunk[4096];

	while (length > 0) {
		uint32_t n = MIN(length, (uint32_t)sizeof(chunk));

		read_next(cfg, chunk, n);
		if (guest_mem_write(cfg->dev.env.memory, address, chunk, n) < 0) {
			return false;
		}
		address += n;
		length -= n;
	}
	return true;
}

static void dma_run(struct fw_cfg *cfg)
{
	struct guest_memory *memory = cfg->dev.env.memory;
	uint64_t at = cfg->dma_address;
	struct fw_cfg_dma dma;
	uint32_t control, length;
	bool ok = true;

	cfg->dma_address = 0;
	if (guest_mem_read(memory, at, &dma, sizeof(dma)) < 0) {
		device_guest_error(&cfg->dev, "DMA structure at 0x%llx is not in memory",
				   (unsigned long long)at);
		return;
	}
	control = __builtin_bswap32(dma.control);
	length = __builtin_bswap32(dma.length);
	if (control & DMA_SELECT) {
		select_item(cfg, control >> 16);
	}
	if (control & DMA_READ) {
		ok = dma_transfer(cfg, __builtin_bswap64(dma.address), length);
	} else if (control & DMA_WRITE) {
		ok = false;
	} else if (control & DMA_SKIP) {
		const struct fw_cfg_item *item = find_item(cfg, cfg->selected);
		size_t left = item && cfg->offset < item->size ? item->size - cfg->offset : 0;

		cfg->offset += (uint32_t)MIN((size_t)length, left);
	}
	guest_mem_write_u32(memory, at, ok ? 0 : __builtin_bswap32(DMA_ERROR));
}

static uint64_t fw_cfg_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct fw_cfg *cfg = opaque;
	uint64_t value = 0;
	uint8_t byte;

	for (unsigned int i = 0; i < size; i++) {
		uint64_t reg = offset + i;

		if (reg == REG_DATA) {
			read_next(cfg, &byte, 1);
		} else if (reg >= REG_DMA_HIGH && reg < REG_SIZE) {
			byte = dma_signature[reg - REG_DMA_HIGH];
		} else {
			byte = 0;
		}
		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

static void fw_cfg_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct fw_cfg *cfg = opaque;

	if (offset == REG_SELECT && size == 2) {
		select_item(cfg, (uint16_t)value);
	} else if (offset == REG_DMA_HIGH && size == 4) {
		cfg->dma_address = (uint64_t)__builtin_bswap32((uint32_t)value) << 32;
	} else if (offset == REG_DMA_LOW && size == 4) {
		cfg->dma_address |= __builtin_bswap32((uint32_t)value);
		dma_run(cfg);
	}
}

static const struct io_ops fw_cfg_io_ops = {
	.read = fw_cfg_read,
	.write = fw_cfg_write,
	.min_size = 1,
	.max_size = 4,
	.unaligned = true,
};

static void fw_cfg_destroy(struct device *dev)
{
	struct fw_cfg *cfg = fw_cfg_from_device(dev);

	io_region_unmap(&cfg->region);
	for (unsigned int i = 0; i < cfg->item_count; i++) {
		free(cfg->items[i].data);
	}
}

static int fw_cfg_create(struct device *dev, struct error *err)
{
	struct fw_cfg *cfg = fw_cfg_from_device(dev);
	uint8_t id[4];
	int ret;

	store_le32(id, FW_CFG_VERSION_DMA);
	ret = fw_cfg_add_item(dev, FW_CFG_SIGNATURE, "QEMU", 4);
	if (ret == 0) {
		ret = fw_cfg_add_item(dev, FW_CFG_ID, id, sizeof(id));
	}
	if (ret == 0) {
		ret = fw_cfg_add_item(dev, FW_CFG_FILE_DIR, "\0\0\0", 4);
	}
	if (ret < 0) {
		fw_cfg_destroy(dev);
		return error_set(err, -ret, "fw_cfg: cannot add its own items");
	}
	io_region_init(&cfg->region, "fw_cfg", &fw_cfg_io_ops, cfg, &dev->lock, REG_SIZE);
	return io_region_map(&cfg->region, dev->env.ports, FW_CFG_PORT);
}

static void fw_cfg_reset(struct device *dev, enum reset_kind kind)
{
	struct fw_cfg *cfg = fw_cfg_from_device(dev);

	select_item(cfg, 0);
	cfg->dma_address = 0;
}

/* An offset past the item's end reads zeroes and never grows, so any loaded value is harmless. */
static const struct state_field fw_cfg_fields[] = {
	STATE_FIELD(struct fw_cfg, selected),
	STATE_FIELD(struct fw_cfg, offset),
	STATE_FIELD(struct fw_cfg, dma_address),
	STATE_FIELDS_END,
};

static const struct state_table fw_cfg_state = { .version = 1, .fields = fw_cfg_fields };

static const struct device_ops fw_cfg_ops = {
	.name = "fw-cfg",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct fw_cfg),
	.state = &fw_cfg_state,
	.create = fw_cfg_create,
	.destroy = fw_cfg_destroy,
	.reset = fw_cfg_reset,
};

DEVICE_REGISTER(fw_cfg_ops);
