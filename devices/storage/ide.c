/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IDE controller: the PIIX3's two channels at the legacy ports with bus-master DMA (Intel 82371SB
 * datasheet, section 2.3; SFF-8038i revision 1.0 for the bus master; ATA/ATAPI-7 for the task
 * file), each with two drives, hard disks or ATAPI CD-ROMs.
 *
 * Requests are asynchronous: a command that needs the disk sets BSY, and the completion on the I/O
 * thread takes the device's lock and goes on. Guests see exactly one interrupt per DRQ block or
 * command.
 */

#include "ide.h"

#include <stdlib.h>

#define CONTROL_NIEN 0x02
#define CONTROL_SRST 0x04
#define CONTROL_HOB 0x80

#define BM_PORTS 16

#define SENSE_NOT_READY 2
#define SENSE_MEDIUM_ERROR 3
#define CODE_UNRECOVERED_READ 0x11
#define CODE_NO_MEDIUM 0x3a

#define PCI_IDE_TIMING 0x40
#define PCI_IDE_DECODE 0x80 /* in the high byte of each channel's timing register */

static const uint16_t command_ports[IDE_CHANNELS] = { 0x1f0, 0x170 };
static const uint16_t control_ports[IDE_CHANNELS] = { 0x3f6, 0x376 };
static const uint8_t irqs[IDE_CHANNELS] = { 14, 15 };

static struct ide *ide_from_device(struct device *dev)
{
	return container_of(dev, struct ide, pci.dev);
}

/* ------- interrupts, and the ends of commands ------- */

static void set_irq(struct ide_channel *channel, bool level)
{
	const struct irq_line *line = &channel->ide->pci.dev.env.irqs[irqs[channel->index]];

	channel->irq_level = level;
	irq_set(line, level && !(channel->control & CONTROL_NIEN));
}

void ide_interrupt(struct ide_channel *channel)
{
	channel->bm_status |= IDE_BM_IRQ;
	set_irq(channel, true);
}

void ide_finish(struct ide_channel *channel, uint8_t error)
{
	struct ide_drive *drive = ide_selected(channel);

	channel->transfer = IDE_IDLE;
	channel->waiting_dma = false;
	drive->status = IDE_STATUS_DRDY | IDE_STATUS_DSC;
	drive->error = error;
	if (error) {
		drive->status |= IDE_STATUS_ERR;
	}
	ide_interrupt(channel);
}

void ide_offer(struct ide_channel *channel, enum ide_transfer transfer, uint32_t size)
{
	struct ide_drive *drive = ide_selected(channel);

	channel->transfer = (uint8_t)transfer;
	channel->chunk = size;
	channel->block_end = size;
	channel->position = 0;
	drive->status = IDE_STATUS_DRDY | IDE_STATUS_DSC | IDE_STATUS_DRQ;
}

static void reset_drives(struct ide_channel *channel)
{
	for (unsigned int i = 0; i < IDE_UNITS; i++) {
		if (channel->drives[i].block) {
			ide_ata_reset(&channel->drives[i]);
		} else {
			channel->drives[i] = (struct ide_drive){ 0 };
		}
	}
	channel->selected = 0;
	channel->transfer = IDE_IDLE;
	channel->waiting_dma = false;
	channel->reset_pending = false;
	channel->chunk = 0;
	channel->block_end = 0;
	channel->position = 0;
	set_irq(channel, false);
}

/* A request that is under way still owns the buffer: then its completion ends the reset. */
static void reset_channel(struct ide_channel *channel)
{
	if (channel->active) {
		channel->reset_pending = true;
	} else {
		reset_drives(channel);
	}
}

/* ------- block requests ------- */

static void request_done(struct block_request *request, int result)
{
	struct ide_channel *channel = request->opaque;
	struct ide_drive *drive = ide_selected(channel);

	pthread_mutex_lock(&channel->ide->pci.dev.lock);
	channel->active = false;
	if (channel->reset_pending) {
		reset_drives(channel);
	} else if (result < 0 && drive->cdrom) {
		bool empty = result == -ENOMEDIUM;

		ide_dma_done(channel, true);
		ide_atapi_fail(channel, empty ? SENSE_NOT_READY : SENSE_MEDIUM_ERROR,
			       empty ? CODE_NO_MEDIUM : CODE_UNRECOVERED_READ);
	} else if (result < 0) {
		ide_dma_done(channel, true);
		ide_finish(channel, request->op == BLOCK_READ ? IDE_ERROR_UNC : IDE_ERROR_ABRT);
	} else if (request->op == BLOCK_READ) {
		ide_chunk_read(channel);
	} else if (request->op == BLOCK_WRITE) {
		ide_chunk_written(channel);
	} else {
		ide_finish(channel, 0);
	}
	pthread_mutex_unlock(&channel->ide->pci.dev.lock);
}

void ide_start_request(struct ide_channel *channel, enum block_op op, uint64_t offset,
		       uint64_t size)
{
	struct ide_drive *drive = ide_selected(channel);

	drive->status = IDE_STATUS_BSY;
	channel->active = true;
	channel->iov = (struct iovec){ channel->buffer, size };
	channel->request = (struct block_request){
		.op = op,
		.offset = offset,
		.size = size,
		.iov = &channel->iov,
		.iov_count = size ? 1 : 0,
		.done = request_done,
		.opaque = channel,
	};
	block_submit(drive->block, &channel->request);
}

/* ------- task file ------- */

static bool drive_present(const struct ide_channel *channel)
{
	return channel->drives[channel->selected].block;
}

static bool channel_empty(const struct ide_channel *channel)
{
	return !channel->drives[0].block && !channel->drives[1].block;
}

static void write_control(struct ide_channel *channel, uint8_t value)
{
	bool was_reset = channel->control & CONTROL_SRST;

	channel->control = value;
	set_irq(channel, channel->irq_level);
	if (was_reset && !(value & CONTROL_SRST)) {
		reset_channel(channel);
	}
}

static void write_command(struct ide_channel *channel, uint8_t command)
{
	struct ide_drive *drive = ide_selected(channel);

	set_irq(channel, false);
	if (!drive->block || channel->active ||
	    (drive->status & (IDE_STATUS_BSY | IDE_STATUS_DRQ) && command != 0x08)) {
		return;
	}
	drive->error = 0;
	channel->command = command;
	if (drive->cdrom) {
		ide_atapi_command(channel, command);
	} else {
		ide_ata_command(channel, command);
	}
}

/* Registers 1-5 go to both drives; each keeps the previous value for 48-bit commands. */
static void write_task(struct ide_channel *channel, unsigned int reg, uint8_t value)
{
	channel->control &= (uint8_t)~CONTROL_HOB;
	for (unsigned int i = 0; i < IDE_UNITS; i++) {
		struct ide_drive *drive = &channel->drives[i];

		switch (reg) {
		case 1:
			drive->features_hob = drive->features;
			drive->features = value;
			break;
		case 2:
			drive->count_hob = drive->count;
			drive->count = value;
			break;
		case 6: drive->device = value | 0xa0; break;
		default:
			drive->lba_hob[reg - 3] = drive->lba[reg - 3];
			drive->lba[reg - 3] = value;
			break;
		}
	}
	if (reg == 6) {
		channel->selected = value >> 4 & 1;
	}
}

static uint64_t read_data(struct ide_channel *channel, unsigned int size)
{
	uint64_t value = 0;
	uint32_t n;

	if (channel->transfer != IDE_PIO_IN || channel->position >= channel->block_end) {
		return 0;
	}
	n = MIN(size, channel->block_end - channel->position);
	memcpy(&value, channel->buffer + channel->position, n);
	channel->position += n;
	if (channel->position == channel->chunk) {
		ide_pio_in_empty(channel);
	} else if (channel->position == channel->block_end) {
		ide_atapi_offer(channel);
	}
	return value;
}

static void write_data(struct ide_channel *channel, uint64_t value, unsigned int size)
{
	bool packet = channel->transfer == IDE_PACKET;
	uint32_t n;

	if ((!packet && channel->transfer != IDE_PIO_OUT) || channel->position >= channel->chunk) {
		return;
	}
	n = MIN(size, channel->chunk - channel->position);
	memcpy(channel->buffer + channel->position, &value, n);
	channel->position += n;
	if (channel->position < channel->chunk) {
		return;
	}
	if (packet) {
		ide_atapi_packet(channel);
	} else {
		ide_pio_out_full(channel);
	}
}

static uint8_t read_status(struct ide_channel *channel)
{
	return drive_present(channel) ? ide_selected(channel)->status : 0;
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ide_channel *channel = opaque;
	struct ide_drive *drive = ide_selected(channel);
	bool hob = channel->control & CONTROL_HOB;

	if (channel_empty(channel)) {
		return UINT64_MAX;
	}
	if (offset == 0) {
		return read_data(channel, size);
	}
	switch (offset) {
	case 1: return hob ? drive->features_hob : drive->error;
	case 2: return hob ? drive->count_hob : drive->count;
	case 3:
	case 4:
	case 5: return hob ? drive->lba_hob[offset - 3] : drive->lba[offset - 3];
	case 6: return drive->device;
	default: set_irq(channel, false); return read_status(channel);
	}
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ide_channel *channel = opaque;

	if (channel_empty(channel)) {
		return;
	}
	if (offset == 0) {
		write_data(channel, value, size);
	} else if (offset == 7) {
		write_command(channel, (uint8_t)value);
	} else if (!(ide_selected(channel)->status & (IDE_STATUS_BSY | IDE_STATUS_DRQ))) {
		/* Nor can the other drive be selected before the command has ended. */
		write_task(channel, (unsigned int)offset, (uint8_t)value);
	}
}

static uint64_t control_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ide_channel *channel = opaque;

	(void)offset;
	(void)size;
	return channel_empty(channel) ? 0xff : read_status(channel);
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)offset;
	(void)size;
	write_control(opaque, (uint8_t)value);
}

/* Only the data port takes words and doublewords; a wider access elsewhere is split by nobody. */
static const struct io_ops command_ops = {
	.read = command_read,
	.write = command_write,
	.min_size = 1,
	.max_size = 4,
	.unaligned = true,
};
static const struct io_ops control_ops = { control_read, control_write, .min_size = 1,
					   .max_size = 1 };

/* ------- the device ------- */

static void drain(struct ide *ide)
{
	for (unsigned int c = 0; c < IDE_CHANNELS; c++) {
		for (unsigned int i = 0; i < IDE_UNITS; i++) {
			if (ide->channels[c].drives[i].block) {
				block_drain(ide->channels[c].drives[i].block);
			}
		}
	}
}

static void ide_destroy(struct device *dev)
{
	struct ide *ide = ide_from_device(dev);

	drain(ide);
	for (unsigned int c = 0; c < IDE_CHANNELS; c++) {
		struct ide_channel *channel = &ide->channels[c];

		io_region_unmap(&channel->command_ports);
		io_region_unmap(&channel->control_port);
		free(channel->buffer);
	}
}

static int create_channel(struct ide *ide, unsigned int index)
{
	struct ide_channel *channel = &ide->channels[index];
	struct device *dev = &ide->pci.dev;
	int ret;

	channel->ide = ide;
	channel->index = index;
	for (unsigned int i = 0; i < IDE_UNITS; i++) {
		unsigned int n = index * IDE_UNITS + i;

		channel->drives[i].block = dev->env.drives[n];
		channel->drives[i].cdrom = dev->env.cdroms >> n & 1;
	}
	channel->buffer = calloc(1, IDE_BUFFER_SIZE);
	if (!channel->buffer) {
		return -ENOMEM;
	}
	io_region_init(&channel->command_ports, "ide", &command_ops, channel, &dev->lock, 8);
	io_region_init(&channel->control_port, "ide-control", &control_ops, channel, &dev->lock, 1);
	ret = io_region_map(&channel->command_ports, dev->env.ports, command_ports[index]);
	return ret < 0 ? ret
		       : io_region_map(&channel->control_port, dev->env.ports,
				       control_ports[index]);
}

static int ide_create(struct device *dev, struct error *err)
{
	struct ide *ide = ide_from_device(dev);
	int ret = 0;

	for (unsigned int c = 0; ret == 0 && c < IDE_CHANNELS; c++) {
		ret = create_channel(ide, c);
	}
	io_region_init(&ide->bm_ports, "ide-bus-master", &ide_bm_ops, ide, &dev->lock, BM_PORTS);
	if (ret == 0) {
		ret = pci_bar_set_io(&ide->pci, 4, PCI_BAR_IO, &ide->bm_ports);
	}
	if (ret < 0) {
		ide_destroy(dev);
		return error_set(err, -ret, "cannot build the IDE controller: %s", strerror(-ret));
	}
	return 0;
}

static void ide_reset(struct device *dev, enum reset_kind kind)
{
	struct ide *ide = ide_from_device(dev);

	(void)kind;
	for (unsigned int i = 0; i < 4; i++) {
		ide->pci.writable[PCI_IDE_TIMING + i] = 0xff;
		ide->pci.config[PCI_IDE_TIMING + i] = i & 1 ? PCI_IDE_DECODE : 0;
	}
	for (unsigned int c = 0; c < IDE_CHANNELS; c++) {
		struct ide_channel *channel = &ide->channels[c];

		channel->control = 0;
		channel->bm_command = 0;
		channel->bm_status = 0;
		channel->bm_table = 0;
		channel->prd = (struct ide_prd){ 0 };
		channel->command = 0;
		channel->sector = 0;
		channel->remaining = 0;
		channel->sector_size = 0;
		channel->sectors_per_chunk = 0;
		channel->byte_limit = 0;
		for (unsigned int i = 0; i < IDE_UNITS; i++) {
			channel->drives[i].dma_mode = 0;
			channel->drives[i].locked = false;
		}
		reset_channel(channel);
	}
}

/* A command goes on from chunk to chunk by itself, so draining ends it. */
static int ide_pause(struct device *dev)
{
	drain(ide_from_device(dev));
	return 0;
}

static bool drive_valid(const struct ide_drive *drive)
{
	return drive->multiple <= IDE_MULTIPLE_MAX && !(drive->status & IDE_STATUS_BSY) &&
	       (!drive->block || drive->cdrom || (drive->heads && drive->sectors));
}

/* What is under way, in a machine at rest: the guest moves data, or is to start the bus master. */
static bool transfer_valid(const struct ide_channel *channel)
{
	const struct ide_drive *drive = &channel->drives[channel->selected];
	uint32_t sector_size = drive->cdrom ? ATAPI_SECTOR : IDE_SECTOR;

	if (channel->transfer == IDE_IDLE) {
		return !channel->waiting_dma;
	}
	if (!drive->block ||
	    (channel->remaining &&
	     (channel->sector_size != sector_size || !channel->sectors_per_chunk))) {
		return false;
	}
	switch (channel->transfer) {
	case IDE_PIO_IN:
		return !channel->waiting_dma && channel->position < channel->block_end &&
		       channel->block_end <= channel->chunk &&
		       (!drive->cdrom || channel->command != ATAPI_COMMAND_PACKET ||
			channel->byte_limit);
	case IDE_PIO_OUT:
	case IDE_PACKET: return !channel->waiting_dma && channel->position < channel->chunk;
	case IDE_DMA_IN: return channel->waiting_dma;
	case IDE_DMA_OUT: return channel->waiting_dma && channel->remaining;
	default: return false;
	}
}

static int channel_post_load(void *base, struct error *err)
{
	struct ide_channel *channel = base;

	if (channel->selected >= IDE_UNITS || channel->chunk > IDE_BUFFER_SIZE ||
	    channel->sectors_per_chunk > IDE_BUFFER_SIZE / IDE_SECTOR ||
	    (uint64_t)channel->sectors_per_chunk * channel->sector_size > IDE_BUFFER_SIZE ||
	    !drive_valid(&channel->drives[0]) || !drive_valid(&channel->drives[1]) ||
	    !transfer_valid(channel)) {
		return error_set(err, EINVAL, "an IDE channel's registers contradict each other");
	}
	return 0;
}

static const struct state_field drive_fields[] = {
	STATE_FIELD(struct ide_drive, features),
	STATE_FIELD(struct ide_drive, features_hob),
	STATE_FIELD(struct ide_drive, count),
	STATE_FIELD(struct ide_drive, count_hob),
	STATE_FIELD_BYTES(struct ide_drive, lba),
	STATE_FIELD_BYTES(struct ide_drive, lba_hob),
	STATE_FIELD(struct ide_drive, device),
	STATE_FIELD(struct ide_drive, status),
	STATE_FIELD(struct ide_drive, error),
	STATE_FIELD(struct ide_drive, multiple),
	STATE_FIELD(struct ide_drive, dma_mode),
	STATE_FIELD(struct ide_drive, sense_key),
	STATE_FIELD(struct ide_drive, sense_code),
	STATE_FIELD_BOOL(struct ide_drive, media_changed),
	STATE_FIELD_BOOL(struct ide_drive, locked),
	STATE_FIELD(struct ide_drive, cylinders),
	STATE_FIELD(struct ide_drive, heads),
	STATE_FIELD(struct ide_drive, sectors),
	STATE_FIELDS_END,
};

static const struct state_table drive_table = { .version = 1, .fields = drive_fields };

static const struct state_field prd_fields[] = {
	STATE_FIELD(struct ide_prd, next),
	STATE_FIELD(struct ide_prd, address),
	STATE_FIELD(struct ide_prd, left),
	STATE_FIELD_BOOL(struct ide_prd, last),
	STATE_FIELDS_END,
};

static const struct state_table prd_table = { .version = 1, .fields = prd_fields };

static int save_buffer(void *base, void **ret_data, size_t *ret_size)
{
	const struct ide_channel *channel = base;
	void *copy = malloc(IDE_BUFFER_SIZE);

	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, channel->buffer, IDE_BUFFER_SIZE);
	*ret_data = copy;
	*ret_size = channel->chunk;
	return 0;
}

static int load_buffer(void *base, const void *data, size_t size, struct error *err)
{
	struct ide_channel *channel = base;

	(void)err;
	memcpy(channel->buffer, data, size);
	return 0;
}

static const struct state_field channel_fields[] = {
	STATE_FIELD_STRUCT(struct ide_channel, drives, IDE_UNITS, &drive_table),
	STATE_FIELD(struct ide_channel, selected),
	STATE_FIELD(struct ide_channel, control),
	STATE_FIELD(struct ide_channel, command),
	STATE_FIELD(struct ide_channel, transfer),
	STATE_FIELD(struct ide_channel, sector),
	STATE_FIELD(struct ide_channel, remaining),
	STATE_FIELD(struct ide_channel, sector_size),
	STATE_FIELD(struct ide_channel, sectors_per_chunk),
	STATE_FIELD(struct ide_channel, chunk),
	STATE_FIELD(struct ide_channel, position),
	STATE_FIELD(struct ide_channel, block_end),
	STATE_FIELD(struct ide_channel, byte_limit),
	STATE_FIELD_BOOL(struct ide_channel, waiting_dma),
	STATE_FIELD_BOOL(struct ide_channel, irq_level),
	STATE_FIELD(struct ide_channel, bm_command),
	STATE_FIELD(struct ide_channel, bm_status),
	STATE_FIELD(struct ide_channel, bm_table),
	STATE_FIELD_STRUCT(struct ide_channel, prd, 1, &prd_table),
	{ .name = "buffer",
	  .type = STATE_BLOB,
	  .save_blob = save_buffer,
	  .load_blob = load_buffer,
	  .max_size = IDE_BUFFER_SIZE },
	STATE_FIELDS_END,
};

static const struct state_table channel_table = {
	.version = 1,
	.fields = channel_fields,
	.post_load = channel_post_load,
};

static const struct state_field ide_fields[] = {
	STATE_FIELD_STRUCT(struct ide, channels, IDE_CHANNELS, &channel_table),
	STATE_FIELDS_END,
};

static const struct state_table ide_state = { .version = 1, .fields = ide_fields };

static const struct pci_device_ops ide_ops = {
	.base = {
		.name = "ide",
		.bus = DEVICE_BUS_PCI,
		.instance_size = sizeof(struct ide),
		.state = &ide_state,
		.create = ide_create,
		.destroy = ide_destroy,
		.reset = ide_reset,
		.pause = ide_pause,
	},
	.vendor_id = 0x8086,
	.device_id = 0x7010,
	.subsystem_vendor_id = 0x1af4,
	.subsystem_id = 0x1100,
	.class_code = 0x010180,
};

DEVICE_REGISTER(ide_ops.base);
