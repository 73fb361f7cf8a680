/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory window at A0000h: how the processor's bytes reach the four planes (IBM "PS/2 Video
 * Subsystem Technical Reference", graphics controller, 2-78 to 2-89): chained, odd/even and planar
 * addressing, read modes 0 and 1, write modes 0 to 3 with latches. In VBE modes the window shows a
 * bank of 64 KiB of linear memory.
 */

#include "vga.h"

#define GC_SET_RESET 0
#define GC_ENABLE_SET_RESET 1
#define GC_COLOR_COMPARE 2
#define GC_ROTATE 3
#define GC_READ_MAP 4
#define GC_MODE 5
#define GC_MISC 6
#define GC_DONT_CARE 7
#define GC_BIT_MASK 8
#define GC_MODE_READ1 0x08
#define GC_MODE_ODD_EVEN 0x10

#define SEQ_MAP_MASK 2
#define SEQ_MEMORY 4
#define SEQ_NOT_ODD_EVEN 0x04
#define SEQ_CHAIN4 0x08

#define OUTSIDE UINT32_MAX

/* Offset within the memory map that GC register 6 selects, or OUTSIDE. */
static uint32_t map_address(const struct vga *vga, uint32_t offset)
{
	switch (vga->graphics[GC_MISC] >> 2 & 3) {
	case 0: return offset;
	case 1: return offset < 0x10000 ? offset : OUTSIDE;
	case 2: return offset >= 0x10000 && offset < 0x18000 ? offset - 0x10000 : OUTSIDE;
	default: return offset >= 0x18000 ? offset - 0x18000 : OUTSIDE;
	}
}

/* Index into vram of a linear access (VBE or chained), or OUTSIDE when access is by planes. */
static uint32_t linear_index(const struct vga *vga, uint32_t address)
{
	if (vga_vbe_enabled(vga) && vga->vbe[VBE_BPP] >= 8) {
		uint64_t index = (uint64_t)vga->vbe[VBE_BANK] * KIB(64) + (address & 0xffff);

		return (uint32_t)(index % vga->vram->size);
	}
	return vga->sequencer[SEQ_MEMORY] & SEQ_CHAIN4 ? address : OUTSIDE;
}

static uint8_t *plane_bytes(struct vga *vga, uint32_t planar_offset)
{
	return vga->vram->host + (4 * (uint64_t)planar_offset) % vga->vram->size;
}

static uint8_t read_byte(struct vga *vga, uint32_t offset)
{
	uint32_t address = map_address(vga, offset);
	uint8_t plane = vga->graphics[GC_READ_MAP];
	const uint8_t *bytes;
	uint8_t differs = 0;
	uint32_t index;

	if (address == OUTSIDE) {
		return 0xff;
	}
	index = linear_index(vga, address);
	if (index != OUTSIDE) {
		return vga->vram->host[index];
	}
	if (vga->graphics[GC_MODE] & GC_MODE_ODD_EVEN) {
		plane = (uint8_t)((plane & 2) | (address & 1));
		address >>= 1;
	}
	bytes = plane_bytes(vga, address);
	memcpy(vga->latch, bytes, 4);
	if (!(vga->graphics[GC_MODE] & GC_MODE_READ1)) {
		return vga->latch[plane];
	}
	for (unsigned int i = 0; i < 4; i++) {
		if (vga->graphics[GC_DONT_CARE] >> i & 1) {
			uint8_t want = vga->graphics[GC_COLOR_COMPARE] >> i & 1 ? 0xff : 0;

			differs |= vga->latch[i] ^ want;
		}
	}
	return (uint8_t)~differs;
}

static uint8_t rotate(uint8_t value, unsigned int count)
{
	return (uint8_t)(value >> count | value << (8 - count));
}

/* What the logic unit makes of @data and a plane's latch (GC register 3 bits 4-3), under @mask. */
static uint8_t combine(const struct vga *vga, uint8_t data, uint8_t latch, uint8_t mask)
{
	switch (vga->graphics[GC_ROTATE] >> 3 & 3) {
	case 1: data &= latch; break;
	case 2: data |= latch; break;
	case 3: data ^= latch; break;
	default: break;
	}
	return (uint8_t)((data & mask) | (latch & ~mask));
}

/* The byte that @plane gets when the processor writes @value. */
static uint8_t write_value(const struct vga *vga, unsigned int plane, uint8_t value)
{
	uint8_t mask = vga->graphics[GC_BIT_MASK];
	uint8_t set = vga->graphics[GC_SET_RESET] >> plane & 1 ? 0xff : 0;
	uint8_t rotated = rotate(value, vga->graphics[GC_ROTATE] & 7);

	switch (vga->graphics[GC_MODE] & 3) {
	case 0:
		if (vga->graphics[GC_ENABLE_SET_RESET] >> plane & 1) {
			rotated = set;
		}
		return combine(vga, rotated, vga->latch[plane], mask);
	case 1: return vga->latch[plane];
	case 2: return combine(vga, value >> plane & 1 ? 0xff : 0, vga->latch[plane], mask);
	default: return combine(vga, set, vga->latch[plane], mask & rotated);
	}
}

static void write_byte(struct vga *vga, uint32_t offset, uint8_t value)
{
	uint32_t address = map_address(vga, offset);
	uint8_t planes = vga->sequencer[SEQ_MAP_MASK];
	uint8_t *bytes;
	uint32_t index;

	if (address == OUTSIDE) {
		return;
	}
	index = linear_index(vga, address);
	if (index != OUTSIDE) {
		if (vga_vbe_enabled(vga) || planes >> (address & 3) & 1) {
			vga->vram->host[index] = value;
			mem_region_written(vga->vram, index, 1);
		}
		return;
	}
	if (!(vga->sequencer[SEQ_MEMORY] & SEQ_NOT_ODD_EVEN)) {
		planes &= address & 1 ? 0x0a : 0x05;
		address >>= 1;
	}
	bytes = plane_bytes(vga, address);
	for (unsigned int i = 0; i < 4; i++) {
		if (planes >> i & 1) {
			bytes[i] = write_value(vga, i, value);
		}
	}
	mem_region_written(vga->vram, (uint64_t)(bytes - vga->vram->host), 4);
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		value |= (uint64_t)read_byte(opaque, (uint32_t)offset + i) << (8 * i);
	}
	return value;
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++) {
		write_byte(opaque, (uint32_t)offset + i, (uint8_t)(value >> (8 * i)));
	}
}

const struct io_ops vga_window_ops = {
	.read = window_read,
	.write = window_write,
	.min_size = 1,
	.max_size = 8,
	.unaligned = true,
};
