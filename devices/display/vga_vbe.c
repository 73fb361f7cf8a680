/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Bochs VBE extension ("VBE DISPI" interface of the Bochs project's VGA BIOS, version 5):
 * index and data ports 1CEh and 1CFh (1D0h for aligned words), linear modes of 8 to 32 bits. BAR
 * 2 shows the same registers as memory: VGA ports 3C0h-3DFh at 400h, the VBE registers at 500h.
 *
 * Values are checked when a mode is switched on: a resolution that does not fit the video memory or
 * the display surface is cut down to what does, so drawing never has to check again.
 */

#include "vga.h"

#define VBE_ID5 0xb0c5
#define VBE_MAX_XRES 2560
#define VBE_MAX_YRES 1600
#define MMIO_VGA 0x400
#define MMIO_VBE 0x500
#define VBE_DATA_OFFSET 1

static unsigned int bytes_per_pixel(const struct vga *vga)
{
	return (vga->vbe[VBE_BPP] + 7U) / 8;
}

uint32_t vga_vbe_pitch(const struct vga *vga)
{
	return vga->vbe[VBE_VIRT_WIDTH] * bytes_per_pixel(vga);
}

/* Lines of the present pitch that the memory holds. */
static uint32_t lines_available(const struct vga *vga)
{
	uint32_t pitch = vga_vbe_pitch(vga);

	return pitch ? (uint32_t)(vga->vram->size / pitch) : 0;
}

static void set_virtual_width(struct vga *vga, uint16_t width)
{
	uint16_t limit =
		(uint16_t)MIN(vga->vram->size / bytes_per_pixel(vga) / MAX(vga->vbe[VBE_YRES], 1),
			      (uint64_t)0xfff8);

	vga->vbe[VBE_VIRT_WIDTH] = MIN(MAX(width, vga->vbe[VBE_XRES]), limit);
	vga->vbe[VBE_VIRT_HEIGHT] = (uint16_t)MIN(lines_available(vga), 0xffffU);
}

static bool fits(const struct vga *vga, unsigned int offset_reg, uint32_t value)
{
	bool x = offset_reg == VBE_X_OFFSET;
	uint32_t size = vga->vbe[x ? VBE_XRES : VBE_YRES];

	return value + size <= vga->vbe[x ? VBE_VIRT_WIDTH : VBE_VIRT_HEIGHT];
}

static void set_offset(struct vga *vga, unsigned int reg, uint16_t value)
{
	if (fits(vga, reg, value)) {
		vga->vbe[reg] = value;
	}
}

/* A picture that was moved within a larger one may lie outside of the new one. */
static void resize_virtual(struct vga *vga, uint16_t width)
{
	set_virtual_width(vga, width);
	for (unsigned int reg = VBE_X_OFFSET; reg <= VBE_Y_OFFSET; reg++) {
		if (!fits(vga, reg, vga->vbe[reg])) {
			vga->vbe[reg] = 0;
		}
	}
}

static void enable(struct vga *vga, uint16_t value)
{
	bool was = vga_vbe_enabled(vga);

	if (value & VBE_ENABLED && !was) {
		uint16_t *vbe = vga->vbe;

		vbe[VBE_XRES] = MIN(MAX(vbe[VBE_XRES], 8), VBE_MAX_XRES) & ~7;
		vbe[VBE_YRES] = MIN(MAX(vbe[VBE_YRES], 1), VBE_MAX_YRES);
		while ((uint64_t)vbe[VBE_XRES] * vbe[VBE_YRES] * bytes_per_pixel(vga) >
		       vga->vram->size) {
			vbe[VBE_YRES] /= 2;
		}
		set_virtual_width(vga, vbe[VBE_XRES]);
		vbe[VBE_X_OFFSET] = 0;
		vbe[VBE_Y_OFFSET] = 0;
		vbe[VBE_BANK] = 0;
		if (!(value & VBE_NOCLEAR)) {
			uint64_t size = (uint64_t)vga_vbe_pitch(vga) * vbe[VBE_YRES];

			memset(vga->vram->host, 0, size);
			mem_region_written(vga->vram, 0, size);
		}
	}
	vga->vbe[VBE_ENABLE] = value;
}

static void write_register(struct vga *vga, unsigned int reg, uint16_t value)
{
	switch (reg) {
	case VBE_ID:
		if (value >= 0xb0c0 && value <= VBE_ID5) {
			vga->vbe[VBE_ID] = value;
		}
		break;
	case VBE_XRES:
	case VBE_YRES:
		if (!vga_vbe_enabled(vga)) {
			vga->vbe[reg] = value;
		}
		break;
	case VBE_BPP:
		value = value ? value : 8;
		if (!vga_vbe_enabled(vga) && vga_vbe_depth_valid(value)) {
			vga->vbe[reg] = value;
		}
		break;
	case VBE_ENABLE: enable(vga, value); break;
	case VBE_BANK: vga->vbe[reg] = (uint16_t)(value % (vga->vram->size / KIB(64))); break;
	case VBE_VIRT_WIDTH:
		if (vga_vbe_enabled(vga)) {
			resize_virtual(vga, value);
		}
		break;
	case VBE_X_OFFSET:
	case VBE_Y_OFFSET: set_offset(vga, reg, value); break;
	default: break;
	}
}

static uint16_t read_register(struct vga *vga, unsigned int reg)
{
	if (vga->vbe[VBE_ENABLE] & VBE_GETCAPS) {
		switch (reg) {
		case VBE_XRES: return VBE_MAX_XRES;
		case VBE_YRES: return VBE_MAX_YRES;
		case VBE_BPP: return 32;
		default: break;
		}
	}
	if (reg == VBE_VRAM_64K) {
		return (uint16_t)(vga->vram->size / KIB(64));
	}
	return reg < VBE_REGISTERS ? vga->vbe[reg] : 0;
}

static uint64_t vbe_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;

	if (size == 1) {
		return 0xff;
	}
	return offset < VBE_DATA_OFFSET ? vga->vbe_index : read_register(vga, vga->vbe_index);
}

static void vbe_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	if (size == 1) {
		return;
	}
	if (offset < VBE_DATA_OFFSET) {
		vga->vbe_index = (uint16_t)value;
	} else {
		write_register(vga, vga->vbe_index, (uint16_t)value);
	}
}

const struct io_ops vga_vbe_ops = {
	.read = vbe_read,
	.write = vbe_write,
	.min_size = 1,
	.max_size = 2,
	.unaligned = true,
};

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;
	uint64_t value = 0;

	if (offset >= MMIO_VGA && offset + size <= MMIO_VGA + 0x20) {
		for (unsigned int i = 0; i < size; i++) {
			uint16_t port = (uint16_t)(0x3c0 + offset - MMIO_VGA + i);

			value |= (uint64_t)vga_port_read(vga, port) << (8 * i);
		}
	} else if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGISTERS && size == 2) {
		value = read_register(vga, (unsigned int)(offset - MMIO_VBE) / 2);
	}
	return value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	if (offset >= MMIO_VGA && offset + size <= MMIO_VGA + 0x20) {
		for (unsigned int i = 0; i < size; i++) {
			vga_port_write(vga, (uint16_t)(0x3c0 + offset - MMIO_VGA + i),
				       (uint8_t)(value >> (8 * i)));
		}
	} else if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGISTERS && size == 2) {
		write_register(vga, (unsigned int)(offset - MMIO_VBE) / 2, (uint16_t)value);
	}
}

const struct io_ops vga_mmio_ops = { mmio_read, mmio_write, .min_size = 1, .max_size = 4 };

void vga_vbe_reset(struct vga *vga)
{
	memset(vga->vbe, 0, sizeof(vga->vbe));
	vga->vbe[VBE_ID] = VBE_ID5;
	vga->vbe[VBE_BPP] = 8;
	vga->vbe_index = 0;
}
