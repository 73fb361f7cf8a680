/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The display adapter: a VGA with linear high-resolution modes, PCI 1234:1111, as the Bochs and
 * QEMU projects defined it, so that SeaVGABIOS, Linux (bochs-drm, vesafb) and Windows drive it
 * unchanged. BAR 0 is the video memory, BAR 2 the registers as memory, the option ROM SeaVGABIOS.
 *
 * The legacy ports and the window at A0000h always answer, whatever the command register says:
 * there is one VGA in a machine, and software for plain PCs does not know that it is on PCI.
 */

#include "vga.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MMIO_SIZE 0x1000
#define WINDOW_BASE 0xa0000
#define WINDOW_SIZE 0x20000
#define VBE_PORT 0x1ce
#define ROM_MAX KIB(256)

static const struct config_key vga_keys[] = {
	{ .name = "memory",
	  .type = CONFIG_SIZE,
	  .def = "16M",
	  .min = (int64_t)MIB(1),
	  .max = (int64_t)MIB(256),
	  .unit = MIB(1),
	  .help = "video memory, a power of two" },
	{ .name = "rom",
	  .type = CONFIG_PATH,
	  .def = "/usr/share/seabios/vgabios-stdvga.bin",
	  .help = "video BIOS" },
	{ .name = NULL },
};

static struct vga *vga_from_device(struct device *dev)
{
	return container_of(dev, struct vga, pci.dev);
}

static void vga_update(void *opaque)
{
	struct vga *vga = opaque;

	pthread_mutex_lock(&vga->pci.dev.lock);
	vga_update_locked(vga);
	pthread_mutex_unlock(&vga->pci.dev.lock);
}

/* The video BIOS into a region of its own; without the file there is no ROM, which is said once. */
static int load_rom(struct vga *vga, const char *file, struct error *err)
{
	struct device *dev = &vga->pci.dev;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint64_t size = KIB(4);
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || (uint64_t)st.st_size > ROM_MAX) {
		log_warn(LOG_AREA_DEVICE,
			 "no video BIOS in '%s'; the screen stays dark until an operating system "
			 "sets it up (package seabios)",
			 file);
		goto out_close;
	}
	while (size < (uint64_t)st.st_size) {
		size *= 2;
	}
	ret = guest_memory_add_region(dev->env.memory, "vga.rom", size, MEM_REGION_ROM, &vga->rom,
				      err);
	if (ret == 0 && pread(fd, vga->rom->host, (size_t)st.st_size, 0) != st.st_size) {
		ret = error_set(err, EIO, "cannot read '%s'", file);
	}
	if (ret == 0) {
		ret = pci_rom_set(&vga->pci, vga->rom);
	}
out_close:
	if (fd >= 0) {
		close(fd);
	}
	return ret;
}

static int map_legacy(struct vga *vga)
{
	const struct device_env *env = &vga->pci.dev.env;
	pthread_mutex_t *lock = &vga->pci.dev.lock;
	int ret;

	io_region_init(&vga->ports, "vga", &vga_port_ops, vga, lock, 0x10);
	io_region_init(&vga->mono_ports, "vga-mono", &vga_mono_ops, vga, lock, 0x0c);
	io_region_init(&vga->color_ports, "vga-color", &vga_color_ops, vga, lock, 0x10);
	io_region_init(&vga->vbe_ports, "vga-vbe", &vga_vbe_ops, vga, lock, 4);
	io_region_init(&vga->window, "vga-window", &vga_window_ops, vga, lock, WINDOW_SIZE);
	ret = io_region_map(&vga->ports, env->ports, 0x3c0);
	if (ret == 0) {
		ret = io_region_map(&vga->mono_ports, env->ports, 0x3b0);
	}
	if (ret == 0) {
		ret = io_region_map(&vga->color_ports, env->ports, 0x3d0);
	}
	if (ret == 0) {
		ret = io_region_map(&vga->vbe_ports, env->ports, VBE_PORT);
	}
	return ret < 0 ? ret : io_region_map(&vga->window, env->mmio, WINDOW_BASE);
}

static void unmap_legacy(struct vga *vga)
{
	io_region_unmap(&vga->ports);
	io_region_unmap(&vga->mono_ports);
	io_region_unmap(&vga->color_ports);
	io_region_unmap(&vga->vbe_ports);
	io_region_unmap(&vga->window);
}

static void vga_destroy(struct device *dev)
{
	const struct display_source none = { 0 };
	struct vga *vga = vga_from_device(dev);

	display_set_source(dev->env.display, &none);
	unmap_legacy(vga);
	free(vga->dirty);
}

static int vga_create(struct device *dev, struct error *err)
{
	struct vga *vga = vga_from_device(dev);
	const struct display_source source = { .update = vga_update, .opaque = vga };
	uint64_t size = config_get_size(&dev->env.config, "memory");
	int ret;

	if (size & (size - 1)) {
		return error_set(err, EINVAL, "%s.memory must be a power of two", dev->path);
	}
	ret = guest_memory_add_region(dev->env.memory, "vga.vram", size, 0, &vga->vram, err);
	if (ret < 0) {
		return ret;
	}
	vga->dirty = calloc((size >> GUEST_PAGE_SHIFT) / 64 + 1, sizeof(*vga->dirty));
	if (!vga->dirty) {
		return error_set(err, ENOMEM, "no memory for the display adapter");
	}
	mem_region_set_tracking(dev->env.memory, vga->vram, MEM_DIRTY_DISPLAY, true);
	io_region_init(&vga->mmio, "vga-mmio", &vga_mmio_ops, vga, &dev->lock, MMIO_SIZE);
	ret = pci_bar_set_memory(&vga->pci, 0, PCI_BAR_PREFETCH32, vga->vram);
	if (ret == 0) {
		ret = pci_bar_set_io(&vga->pci, 2, PCI_BAR_MEM32, &vga->mmio);
	}
	if (ret == 0) {
		ret = map_legacy(vga);
	}
	if (ret < 0) {
		error_set(err, -ret, "cannot place the display adapter: %s", strerror(-ret));
	} else {
		ret = load_rom(vga, config_get_string(&dev->env.config, "rom"), err);
	}
	if (ret < 0) {
		vga_destroy(dev);
		return ret;
	}
	display_set_source(dev->env.display, &source);
	return 0;
}

static void vga_reset(struct device *dev, enum reset_kind kind)
{
	struct vga *vga = vga_from_device(dev);

	(void)kind;
	vga_ports_reset(vga);
	vga_vbe_reset(vga);
	vga->redraw = true;
}

/* Registers whose values index arrays or bound drawing. */
static int vga_post_load(void *base, struct error *err)
{
	struct vga *vga = base;
	const uint16_t *vbe = vga->vbe;
	uint64_t bytes = (vbe[VBE_BPP] + 7U) / 8;

	vga->redraw = true;
	if (vga->sequencer_index > 7 || vga->graphics_index > 15 || vga->crtc_index > 31 ||
	    vga->attribute_index > 0x3f || vga->dac_component > 2 || vga->graphics[4] > 3) {
		return error_set(err, EINVAL, "an index register is out of range");
	}
	if (!vga_vbe_depth_valid(vbe[VBE_BPP]) || vbe[VBE_BANK] >= vga->vram->size / KIB(64)) {
		return error_set(err, EINVAL, "a VBE register is out of range");
	}
	if (vga_vbe_enabled(vga) &&
	    (vbe[VBE_XRES] > vbe[VBE_VIRT_WIDTH] || !vbe[VBE_XRES] || !vbe[VBE_YRES] ||
	     (uint64_t)(vbe[VBE_YRES] + vbe[VBE_Y_OFFSET]) * vbe[VBE_VIRT_WIDTH] * bytes >
		     vga->vram->size ||
	     vbe[VBE_XRES] + vbe[VBE_X_OFFSET] > vbe[VBE_VIRT_WIDTH])) {
		return error_set(err, EINVAL, "the VBE mode does not fit the video memory");
	}
	return 0;
}

static const struct state_field vga_fields[] = {
	STATE_FIELD(struct vga, misc),
	STATE_FIELD(struct vga, feature),
	STATE_FIELD(struct vga, sequencer_index),
	STATE_FIELD_BYTES(struct vga, sequencer),
	STATE_FIELD(struct vga, graphics_index),
	STATE_FIELD_BYTES(struct vga, graphics),
	STATE_FIELD(struct vga, crtc_index),
	STATE_FIELD_BYTES(struct vga, crtc),
	STATE_FIELD(struct vga, attribute_index),
	STATE_FIELD_BYTES(struct vga, attribute),
	STATE_FIELD_BOOL(struct vga, attribute_flip_flop),
	STATE_FIELD(struct vga, dac_mask),
	STATE_FIELD(struct vga, dac_state),
	STATE_FIELD(struct vga, dac_read_index),
	STATE_FIELD(struct vga, dac_write_index),
	STATE_FIELD(struct vga, dac_component),
	STATE_FIELD_BYTES(struct vga, dac),
	STATE_FIELD_BYTES(struct vga, latch),
	STATE_FIELD(struct vga, vbe_index),
	STATE_FIELD_ARRAY(struct vga, vbe),
	STATE_FIELDS_END,
};

static const struct state_table vga_state = {
	.version = 1,
	.fields = vga_fields,
	.post_load = vga_post_load,
};

static const struct pci_device_ops vga_ops = {
	.base = {
		.name = "vga",
		.bus = DEVICE_BUS_PCI,
		.instance_size = sizeof(struct vga),
		.keys = vga_keys,
		.state = &vga_state,
		.create = vga_create,
		.destroy = vga_destroy,
		.reset = vga_reset,
	},
	.vendor_id = 0x1234,
	.device_id = 0x1111,
	.subsystem_vendor_id = 0x1af4,
	.subsystem_id = 0x1100,
	.class_code = 0x030000,
	.revision = 2,
};

DEVICE_REGISTER(vga_ops.base);
