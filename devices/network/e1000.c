/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gigabit Ethernet adapter: Intel 82540EM (PCI 8086:100e), as its Software Developer's Manual (SDM)
 * describes it, for guests without virtio drivers: every system of the last twenty years has one
 * for this adapter.
 *
 * The link is always up at 1000 Mbit/s. Checksums and large sends are done in software, since the
 * back ends take plain frames. Received checksums are not judged; the descriptors say so, and the
 * guest's stack does it. Interrupt delays (RDTR, RADV, TIDV, TADV) are upper bounds, and none is
 * waited for; the throttle (ITR) is. Not there: flow control, wake-up, flash, writing the EEPROM,
 * ten-bit interfaces, and management.
 */

#include "e1000.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_BAR_SIZE 64
#define ROM_MAX KIB(512)
#define ROM_DEFAULT "/usr/lib/ipxe/qemu/pxe-e1000.rom"

static struct e1000 *e1000_from_device(struct device *dev)
{
	return container_of(dev, struct e1000, pci.dev);
}

/* ------- between back end and device ------- */

static bool receive(void *opaque, const uint8_t *frame, size_t size)
{
	struct e1000 *e = opaque;
	bool taken;

	pthread_mutex_lock(&e->pci.dev.lock);
	taken = e1000_receive(e, frame, size);
	pthread_mutex_unlock(&e->pci.dev.lock);
	return taken;
}

static void go_on_sending(void *opaque)
{
	struct e1000 *e = opaque;

	pthread_mutex_lock(&e->pci.dev.lock);
	if (!e->paused) {
		e1000_transmit(e);
	}
	pthread_mutex_unlock(&e->pci.dev.lock);
}

static void throttle_over(void *opaque)
{
	e1000_update_irq(opaque);
}

/* ------- the boot ROM ------- */

static int read_rom(struct e1000 *e, const char *file, int fd, struct error *err)
{
	struct device *dev = &e->pci.dev;
	uint64_t size = KIB(4);
	char name[64];
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > ROM_MAX) {
		return error_set(err, EINVAL, "%s.rom: '%s' is no boot ROM", dev->path, file);
	}
	while (size < (uint64_t)st.st_size) {
		size *= 2;
	}
	snprintf(name, sizeof(name), "%s.rom", dev->path);
	ret = guest_memory_add_region(dev->env.memory, name, size, MEM_REGION_ROM, &e->rom, err);
	if (ret == 0 && pread(fd, e->rom->host, (size_t)st.st_size, 0) != st.st_size) {
		ret = error_set(err, EIO, "%s.rom: cannot read '%s'", dev->path, file);
	}
	return ret < 0 ? ret : pci_rom_set(&e->pci, e->rom);
}

/* The default one need not be there; one that was asked for must. */
static int load_rom(struct e1000 *e, struct error *err)
{
	struct device *dev = &e->pci.dev;
	const char *file = config_get_string(&dev->env.config, "rom");
	int fd, ret;

	if (!strcmp(file, "none")) {
		return 0;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && !config_is_set(&dev->env.config, "rom")) {
		log_info(LOG_AREA_DEVICE, "%s: no '%s', so no network boot", dev->path, file);
		return 0;
	}
	if (fd < 0) {
		return error_set(err, errno, "%s.rom: cannot open '%s': %s", dev->path, file,
				 strerror(errno));
	}
	ret = read_rom(e, file, fd, err);
	close(fd);
	return ret;
}

/* ------- life ------- */

static void free_all(struct e1000 *e)
{
	timer_finish(&e->throttle);
	free(e->buffer);
	free(e->segment);
}

static void destroy(struct device *dev)
{
	struct e1000 *e = e1000_from_device(dev);

	net_backend_set_client(e->net, &(struct net_client){ 0 });
	event_loop_cancel(dev->env.loop, &e->task);
	free_all(e);
}

static int set_bars(struct e1000 *e, struct error *err)
{
	int ret = pci_bar_set_io(&e->pci, 0, PCI_BAR_MEM32, &e->mmio);

	if (ret == 0) {
		ret = pci_bar_set_io(&e->pci, 1, PCI_BAR_IO, &e->ports);
	}
	return ret < 0 ? error_set(err, -ret, "cannot build a network adapter: %s", strerror(-ret))
		       : 0;
}

static int create(struct device *dev, struct error *err)
{
	struct e1000 *e = e1000_from_device(dev);
	const struct net_client client = { .receive = receive, .opaque = e };
	int ret;

	if (!dev->env.net) {
		return error_set(err, EINVAL, "%s: it has no network", dev->path);
	}
	e->net = dev->env.net;
	e->task = (struct event_task){ .fn = go_on_sending, .opaque = e };
	timer_init(&e->throttle, dev->env.clock, &dev->lock, throttle_over, e);
	io_region_init(&e->mmio, "e1000", &e1000_mmio_ops, e, &dev->lock, E1000_MMIO_SIZE);
	io_region_init(&e->ports, "e1000-io", &e1000_port_ops, e, &dev->lock, IO_BAR_SIZE);
	e->buffer = calloc(1, E1000_PACKET_MAX);
	e->segment = calloc(1, E1000_PACKET_MAX);
	ret = e->buffer && e->segment ? set_bars(e, err)
				      : error_set(err, ENOMEM, "no memory for a network adapter");
	if (ret == 0) {
		ret = load_rom(e, err);
	}
	if (ret < 0) {
		free_all(e);
		return ret;
	}
	net_backend_set_client(e->net, &client);
	return 0;
}

static void reset(struct device *dev, enum reset_kind kind)
{
	struct e1000 *e = e1000_from_device(dev);

	(void)kind;
	e1000_eeprom_init(e);
	e1000_phy_reset(e);
	e->io_address = 0;
	e1000_mac_reset(e);
}

static int pause_device(struct device *dev)
{
	struct e1000 *e = e1000_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	e->paused = true;
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

static void resume_device(struct device *dev)
{
	struct e1000 *e = e1000_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	e->paused = false;
	e1000_receive_ready(e);
	e1000_transmit(e);
	pthread_mutex_unlock(&dev->lock);
}

/* ------- saved state ------- */

/* Registers may hold anything: what they say is checked where it is used. */
static int post_load(void *base, struct error *err)
{
	struct e1000 *e = base;

	if (e->packet.size > E1000_PACKET_MAX || e->microwire.word >= E1000_EEPROM_WORDS ||
	    e->microwire.out_bits > 16) {
		return error_set(err, EINVAL, "an adapter's registers contradict each other");
	}
	return 0;
}

static int save_buffer(void *base, void **ret_data, size_t *ret_size)
{
	const struct e1000 *e = base;
	void *copy = malloc(E1000_PACKET_MAX);

	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, e->buffer, e->packet.size);
	*ret_data = copy;
	*ret_size = e->packet.size;
	return 0;
}

static int load_buffer(void *base, const void *data, size_t size, struct error *err)
{
	struct e1000 *e = base;

	(void)err;
	memcpy(e->buffer, data, size);
	return 0;
}

static const struct state_field microwire_fields[] = {
	STATE_FIELD(struct e1000_microwire, bits),
	STATE_FIELD(struct e1000_microwire, shift),
	STATE_FIELD(struct e1000_microwire, out),
	STATE_FIELD(struct e1000_microwire, out_bits),
	STATE_FIELD(struct e1000_microwire, word),
	STATE_FIELD_BOOL(struct e1000_microwire, data_out),
	STATE_FIELDS_END,
};

static const struct state_table microwire_table = { .version = 1, .fields = microwire_fields };

static const struct state_field context_fields[] = {
	STATE_FIELD(struct e1000_context, ip_start),
	STATE_FIELD(struct e1000_context, ip_offset),
	STATE_FIELD(struct e1000_context, ip_end),
	STATE_FIELD(struct e1000_context, l4_start),
	STATE_FIELD(struct e1000_context, l4_offset),
	STATE_FIELD(struct e1000_context, l4_end),
	STATE_FIELD(struct e1000_context, command),
	STATE_FIELD(struct e1000_context, header_size),
	STATE_FIELD(struct e1000_context, mss),
	STATE_FIELDS_END,
};

static const struct state_table context_table = { .version = 1, .fields = context_fields };

static const struct state_field packet_fields[] = {
	STATE_FIELD(struct e1000_packet, size),
	STATE_FIELD(struct e1000_packet, options),
	STATE_FIELD(struct e1000_packet, sum_start),
	STATE_FIELD(struct e1000_packet, sum_offset),
	STATE_FIELD(struct e1000_packet, vlan),
	STATE_FIELD_BOOL(struct e1000_packet, started),
	STATE_FIELD_BOOL(struct e1000_packet, segment),
	STATE_FIELD_BOOL(struct e1000_packet, sum_wanted),
	STATE_FIELD_BOOL(struct e1000_packet, vlan_wanted),
	STATE_FIELD_BOOL(struct e1000_packet, overflow),
	STATE_FIELDS_END,
};

static const struct state_table packet_table = { .version = 1, .fields = packet_fields };

static const struct state_field e1000_fields[] = {
	STATE_FIELD_ARRAY(struct e1000, regs),
	STATE_FIELD(struct e1000, io_address),
	STATE_FIELD_ARRAY(struct e1000, eeprom),
	STATE_FIELD_ARRAY(struct e1000, phy),
	STATE_FIELD_STRUCT(struct e1000, microwire, 1, &microwire_table),
	STATE_FIELD_STRUCT(struct e1000, contexts, 2, &context_table),
	STATE_FIELD_STRUCT(struct e1000, packet, 1, &packet_table),
	STATE_FIELD_TIMER(struct e1000, throttle),
	STATE_FIELD_BOOL(struct e1000, irq_level),
	{ .name = "buffer",
	  .type = STATE_BLOB,
	  .save_blob = save_buffer,
	  .load_blob = load_buffer,
	  .max_size = E1000_PACKET_MAX },
	STATE_FIELDS_END,
};

static const struct state_table e1000_state = {
	.version = 1,
	.fields = e1000_fields,
	.post_load = post_load,
};

static const struct config_key e1000_keys[] = {
	{ .name = "mac", .type = CONFIG_MAC, .help = "the adapter's Ethernet address" },
	{ .name = "rom",
	  .type = CONFIG_PATH,
	  .def = ROM_DEFAULT,
	  .choices = "none",
	  .help = "e1000: boot ROM for starting from the network" },
	{ .name = NULL },
};

static const struct pci_device_ops e1000_ops = {
	.base = {
		.name = "e1000",
		.bus = DEVICE_BUS_PCI,
		.instance_size = sizeof(struct e1000),
		.keys = e1000_keys,
		.state = &e1000_state,
		.create = create,
		.destroy = destroy,
		.reset = reset,
		.pause = pause_device,
		.resume = resume_device,
	},
	.vendor_id = 0x8086,
	.device_id = 0x100e,
	.subsystem_vendor_id = 0x8086,
	.subsystem_id = 0x001e, /* PRO/1000 MT Desktop */
	.class_code = 0x020000,
	.revision = 3,
	.interrupt_pin = 1,
};

DEVICE_REGISTER(e1000_ops.base);
