/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VGA's register files: miscellaneous output, sequencer, graphics controller, CRTC, attribute
 * controller and DAC (IBM "PS/2 Video Subsystem Technical Reference", 2-41 to 2-108).
 *
 * Timing exists only where software waits for it: the retrace bits of input status 1 follow the
 * machine's clock at 60 frames a second.
 */

#include "vga.h"

#define STATUS_DISPLAY_DISABLED 0x01
#define STATUS_VERTICAL_RETRACE 0x08
#define FRAME_NS (NS_PER_S / 60)
#define LINES_PER_FRAME 525
#define RETRACE_LINES 35

#define MISC_COLOR 0x01
#define CRTC_PROTECT 0x80 /* of register 11h: registers 0-7 are read-only */
#define CRTC_OVERFLOW_LINE_COMPARE 0x10

/* Which bits of each register can be written. */
static const uint8_t sequencer_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t graphics_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };

static uint8_t input_status_1(struct vga *vga)
{
	uint64_t phase = machine_clock_now(vga->pci.dev.env.clock) % FRAME_NS;
	uint64_t line_ns = FRAME_NS / LINES_PER_FRAME;
	uint8_t status = 0;

	vga->attribute_flip_flop = false;
	if (phase / line_ns >= LINES_PER_FRAME - RETRACE_LINES) {
		status |= STATUS_VERTICAL_RETRACE | STATUS_DISPLAY_DISABLED;
	} else if (phase % line_ns >= line_ns * 4 / 5) {
		status |= STATUS_DISPLAY_DISABLED;
	}
	return status;
}

static uint8_t read_dac(struct vga *vga)
{
	uint8_t value = vga->dac[vga->dac_read_index * 3 + vga->dac_component];

	if (++vga->dac_component == 3) {
		vga->dac_component = 0;
		vga->dac_read_index++;
	}
	return value;
}

static void write_dac(struct vga *vga, uint8_t value)
{
	bool wide = vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC;

	vga->dac[vga->dac_write_index * 3 + vga->dac_component] = wide ? value : value & 0x3f;
	if (++vga->dac_component == 3) {
		vga->dac_component = 0;
		vga->dac_write_index++;
	}
}

uint8_t vga_port_read(struct vga *vga, uint16_t port)
{
	switch (port) {
	case 0x3c0: return vga->attribute_flip_flop ? 0 : vga->attribute_index;
	case 0x3c1: return vga->attribute[vga->attribute_index & 0x1f];
	case 0x3c2: return 0;
	case 0x3c4: return vga->sequencer_index;
	case 0x3c5: return vga->sequencer[vga->sequencer_index];
	case 0x3c6: return vga->dac_mask;
	case 0x3c7: return vga->dac_state;
	case 0x3c8: return vga->dac_write_index;
	case 0x3c9: return read_dac(vga);
	case 0x3ca: return vga->feature;
	case 0x3cc: return vga->misc;
	case 0x3ce: return vga->graphics_index;
	case 0x3cf: return vga->graphics[vga->graphics_index];
	case 0x3b4:
	case 0x3d4: return vga->crtc_index;
	case 0x3b5:
	case 0x3d5: return vga->crtc[vga->crtc_index];
	case 0x3ba:
	case 0x3da: return input_status_1(vga);
	default: return 0xff;
	}
}

static void write_attribute(struct vga *vga, uint8_t value)
{
	uint8_t index = vga->attribute_index & 0x1f;

	vga->attribute_flip_flop = !vga->attribute_flip_flop;
	if (vga->attribute_flip_flop) {
		vga->attribute_index = value & 0x3f;
	} else if (index < 16) {
		vga->attribute[index] = value & 0x3f;
	} else if (index <= 0x14) {
		vga->attribute[index] = value;
	}
}

static void write_crtc(struct vga *vga, uint8_t value)
{
	uint8_t index = vga->crtc_index;

	if (index < 8 && vga->crtc[0x11] & CRTC_PROTECT) {
		if (index == 7) {
			vga->crtc[7] = (uint8_t)((vga->crtc[7] & ~CRTC_OVERFLOW_LINE_COMPARE) |
						 (value & CRTC_OVERFLOW_LINE_COMPARE));
		}
		return;
	}
	vga->crtc[index] = value;
}

void vga_port_write(struct vga *vga, uint16_t port, uint8_t value)
{
	switch (port) {
	case 0x3c0: write_attribute(vga, value); break;
	case 0x3c2: vga->misc = value & 0xef; break;
	case 0x3c4: vga->sequencer_index = value & 7; break;
	case 0x3c5:
		vga->sequencer[vga->sequencer_index] = value & sequencer_mask[vga->sequencer_index];
		break;
	case 0x3c6: vga->dac_mask = value; break;
	case 0x3c7:
		vga->dac_read_index = value;
		vga->dac_component = 0;
		vga->dac_state = 3;
		break;
	case 0x3c8:
		vga->dac_write_index = value;
		vga->dac_component = 0;
		vga->dac_state = 0;
		break;
	case 0x3c9: write_dac(vga, value); break;
	case 0x3ce: vga->graphics_index = value & 0xf; break;
	case 0x3cf:
		vga->graphics[vga->graphics_index] = value & graphics_mask[vga->graphics_index];
		break;
	case 0x3b4:
	case 0x3d4: vga->crtc_index = value & 0x1f; break;
	case 0x3b5:
	case 0x3d5: write_crtc(vga, value); break;
	case 0x3ba:
	case 0x3da: vga->feature = value & 0x10; break;
	default: break;
	}
}

/* The regions differ in their base only, and in whether the misc register lets them answer. */

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)size;
	return vga_port_read(opaque, (uint16_t)(0x3c0 + offset));
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)size;
	vga_port_write(opaque, (uint16_t)(0x3c0 + offset), (uint8_t)value);
}

static uint64_t mono_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;

	(void)size;
	return vga->misc & MISC_COLOR ? 0xff : vga_port_read(vga, (uint16_t)(0x3b0 + offset));
}

static void mono_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	(void)size;
	if (!(vga->misc & MISC_COLOR)) {
		vga_port_write(vga, (uint16_t)(0x3b0 + offset), (uint8_t)value);
	}
}

static uint64_t color_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;

	(void)size;
	return vga->misc & MISC_COLOR ? vga_port_read(vga, (uint16_t)(0x3d0 + offset)) : 0xff;
}

static void color_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	(void)size;
	if (vga->misc & MISC_COLOR) {
		vga_port_write(vga, (uint16_t)(0x3d0 + offset), (uint8_t)value);
	}
}

const struct io_ops vga_port_ops = { ports_read, ports_write, .min_size = 1, .max_size = 1 };
const struct io_ops vga_mono_ops = { mono_read, mono_write, .min_size = 1, .max_size = 1 };
const struct io_ops vga_color_ops = { color_read, color_write, .min_size = 1, .max_size = 1 };

void vga_ports_reset(struct vga *vga)
{
	memset(vga->sequencer, 0, sizeof(vga->sequencer));
	memset(vga->graphics, 0, sizeof(vga->graphics));
	memset(vga->crtc, 0, sizeof(vga->crtc));
	memset(vga->attribute, 0, sizeof(vga->attribute));
	memset(vga->dac, 0, sizeof(vga->dac));
	memset(vga->latch, 0, sizeof(vga->latch));
	vga->misc = 0;
	vga->feature = 0;
	vga->sequencer_index = 0;
	vga->graphics_index = 0;
	vga->crtc_index = 0;
	vga->attribute_index = 0;
	vga->attribute_flip_flop = false;
	vga->dac_mask = 0xff;
	vga->dac_state = 0;
	vga->dac_read_index = 0;
	vga->dac_write_index = 0;
	vga->dac_component = 0;
}
