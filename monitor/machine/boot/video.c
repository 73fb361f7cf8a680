/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A screen for kernels that boot without firmware: the VGA is switched to a linear framebuffer of
 * 1024x768 with 32 bits a pixel through the Bochs VBE registers (ports 0x1ce and 0x1cf), as a video
 * BIOS would, and described to the kernel, which then has a console from its first message.
 */

#include "machine/machine_impl.h"

#define VBE_INDEX_PORT 0x1ce
#define VBE_DATA_PORT 0x1cf
#define VBE_XRES 1
#define VBE_YRES 2
#define VBE_BPP 3
#define VBE_ENABLE 4
#define VBE_ENABLED_LFB 0x41
#define VIDEO_WIDTH 1024
#define VIDEO_HEIGHT 768
#define PCI_BAR0 0x10

static void vbe_write(struct machine *machine, uint16_t index, uint16_t value)
{
	io_write(machine->ports, VBE_INDEX_PORT, index, 2);
	io_write(machine->ports, VBE_DATA_PORT, value, 2);
}

static uint16_t vbe_read(struct machine *machine, uint16_t index)
{
	io_write(machine->ports, VBE_INDEX_PORT, index, 2);
	return (uint16_t)io_read(machine->ports, VBE_DATA_PORT, 2);
}

bool boot_video_start(struct machine *machine, struct boot_video *ret_video)
{
	uint16_t height;
	uint64_t base;

	if (!machine->vga) {
		return false;
	}
	base = pci_bus_config_read(machine->pci, (unsigned int)machine->vga->env.devfn, PCI_BAR0,
				   4) &
	       ~0xfU;
	if (!base) {
		return false;
	}
	vbe_write(machine, VBE_ENABLE, 0);
	vbe_write(machine, VBE_XRES, VIDEO_WIDTH);
	vbe_write(machine, VBE_YRES, VIDEO_HEIGHT);
	vbe_write(machine, VBE_BPP, 32);
	vbe_write(machine, VBE_ENABLE, VBE_ENABLED_LFB);
	/* An adapter with little memory shows fewer lines. */
	height = vbe_read(machine, VBE_YRES);
	*ret_video = (struct boot_video){ .base = base,
					  .size = VIDEO_WIDTH * height * 4 / KIB(64),
					  .width = VIDEO_WIDTH,
					  .height = height,
					  .stride = VIDEO_WIDTH * 4 };
	return true;
}
