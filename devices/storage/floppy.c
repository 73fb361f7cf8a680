/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floppy disk controller: Intel 82077AA (datasheet 290166) in AT mode, at ports 3F0h-3F5h and 3F7h,
 * IRQ 6, DMA channel 2, with two drives. This file holds the registers (section 2 of the
 * datasheet) and the device.
 *
 * A disk's format follows from the size of its image; one that was cut short reads as zeroes
 * behind its end. Sectors have 512 bytes and no deleted data marks, since an image holds
 * nothing else.
 *
 * Mechanical delays are not modelled: a seek has ended when its last byte was written. Status
 * registers A and B do not answer, as the chip has it in AT mode.
 */

#include "floppy.h"

#include <assert.h>
#include <stdlib.h>

#define FLOPPY_IRQ 6
#define PORTS_BASE 0x3f0
#define CHANGE_PORT 0x3f7

enum {
	REG_DOR = 2,
	REG_TDR = 3,
	REG_STATUS = 4, /* written: DSR, data rate select */
	REG_FIFO = 5,
	PORTS,
};

#define DOR_NOT_RESET 0x04
#define DOR_GATE 0x08 /* lets INT and DRQ out */

#define DSR_RESET 0x80
#define RATE_MASK 0x03
#define RATE_250K 2

#define STATUS_BUSY 0x10
#define STATUS_NON_DMA 0x20
#define STATUS_TO_GUEST 0x40
#define STATUS_REQUEST 0x80

#define DIR_CHANGED 0x80

static const struct device_ops floppy_ops;

static struct floppy *floppy_from_device(struct device *dev)
{
	assert(dev->ops == &floppy_ops);
	return container_of(dev, struct floppy, dev);
}

/* ------- drives and disks ------- */

/* By size; 250 and 300 kbit/s are both in use for what 5.25" drives of 40 tracks wrote. */
static const struct floppy_geometry geometries[] = {
	{ 40, 1, 8, 0x06, 1 },	{ 40, 1, 9, 0x06, 1 },	{ 40, 2, 8, 0x06, 1 },
	{ 40, 2, 9, 0x06, 1 },	{ 80, 2, 9, 0x04, 4 },	{ 80, 2, 15, 0x01, 2 },
	{ 80, 2, 18, 0x01, 4 }, { 80, 2, 21, 0x01, 4 }, { 82, 2, 21, 0x01, 4 },
	{ 80, 2, 36, 0x08, 5 },
};

const struct floppy_geometry *floppy_geometry(const struct floppy_drive *drive)
{
	uint64_t sectors;

	if (!drive || !block_has_media(drive->block)) {
		return NULL;
	}
	sectors = block_size(drive->block) / FLOPPY_SECTOR;
	for (size_t i = 0; i < ARRAY_SIZE(geometries) - 1; i++) {
		const struct floppy_geometry *g = &geometries[i];

		if (sectors <= (uint64_t)g->cylinders * g->heads * g->sectors) {
			return g;
		}
	}
	return &geometries[ARRAY_SIZE(geometries) - 1];
}

struct floppy_drive *floppy_drive(struct floppy *floppy, unsigned int unit)
{
	return unit < FLOPPY_DRIVES && floppy->drives[unit].block ? &floppy->drives[unit] : NULL;
}

void floppy_step(struct floppy_drive *drive, uint8_t track)
{
	if (drive->track != track && block_has_media(drive->block)) {
		drive->changed = false;
	}
	drive->track = track;
}

/* The change line, brought up to date with what became of the medium. */
static bool disk_changed(struct floppy_drive *drive)
{
	uint32_t generation = block_media_generation(drive->block);

	if (generation != drive->generation || !block_has_media(drive->block)) {
		drive->generation = generation;
		drive->changed = true;
	}
	return drive->changed;
}

unsigned int floppy_drive_type(struct device *dev, unsigned int n)
{
	struct floppy *floppy = floppy_from_device(dev);
	unsigned int type = 0;

	pthread_mutex_lock(&dev->lock);
	if (floppy_drive(floppy, n)) {
		const struct floppy_geometry *g = floppy_geometry(&floppy->drives[n]);

		type = g ? g->drive_type : 4;
	}
	pthread_mutex_unlock(&dev->lock);
	return type;
}

/* ------- registers ------- */

void floppy_set_interrupt(struct floppy *floppy, bool level)
{
	floppy->interrupt = level;
	irq_set(&floppy->dev.env.irqs[FLOPPY_IRQ], level && floppy->dor & DOR_GATE);
}

void floppy_interrupt(struct floppy *floppy)
{
	for (unsigned int i = 0; i < FLOPPY_UNITS; i++) {
		if ((floppy->sense_st0[i] & FLOPPY_ST0_POLLING) == FLOPPY_ST0_POLLING) {
			floppy->sense &= (uint8_t)~BIT(i);
		}
	}
	floppy_set_interrupt(floppy, false);
	floppy_set_interrupt(floppy, true);
}

void floppy_reply(struct floppy *floppy, unsigned int count)
{
	floppy->phase = FLOPPY_RESULT;
	floppy->result_count = (uint8_t)count;
	floppy->result_position = 0;
}

static void to_command_phase(struct floppy *floppy)
{
	floppy->phase = FLOPPY_COMMAND;
	floppy->command_count = 0;
	floppy->size = 0;
	floppy->position = 0;
}

/*
 * The controller comes up polling: it reports a change of each drive's ready line, which is the
 * interrupt that everybody waits for after a reset (section 6.0 of the datasheet).
 */
void floppy_reset_core(struct floppy *floppy)
{
	if (floppy->active) {
		floppy->reset_pending = true;
		return;
	}
	floppy->reset_pending = false;
	to_command_phase(floppy);
	memset(floppy->command, 0, sizeof(floppy->command));
	floppy->perpendicular &= 0x3c;
	if (!floppy->locked) {
		floppy->config = FLOPPY_CONFIG_FIFO_OFF;
		floppy->precompensation = 0;
	}
	floppy->config &= FLOPPY_CONFIG_FIFO_OFF | FLOPPY_CONFIG_THRESHOLD;
	for (unsigned int i = 0; i < FLOPPY_UNITS; i++) {
		floppy->sense_st0[i] = (uint8_t)(FLOPPY_ST0_POLLING | i);
	}
	floppy->sense = floppy->dor & DOR_NOT_RESET ? 0x0f : 0;
	floppy_set_interrupt(floppy, floppy->sense);
}

static void write_dor(struct floppy *floppy, uint8_t value)
{
	uint8_t changed = floppy->dor ^ value;

	floppy->dor = value;
	if (changed & DOR_NOT_RESET) {
		floppy_reset_core(floppy);
	} else {
		floppy_set_interrupt(floppy, floppy->interrupt);
	}
}

static void write_dsr(struct floppy *floppy, uint8_t value)
{
	floppy->rate = value & RATE_MASK;
	if (value & DSR_RESET) {
		floppy_reset_core(floppy);
	}
}

static uint8_t read_status(const struct floppy *floppy)
{
	if (!(floppy->dor & DOR_NOT_RESET) || floppy->reset_pending) {
		return 0;
	}
	switch (floppy->phase) {
	case FLOPPY_COMMAND: return STATUS_REQUEST | (floppy->command_count ? STATUS_BUSY : 0);
	case FLOPPY_PIO_IN:
		return STATUS_REQUEST | STATUS_TO_GUEST | STATUS_NON_DMA | STATUS_BUSY;
	case FLOPPY_PIO_OUT: return STATUS_REQUEST | STATUS_NON_DMA | STATUS_BUSY;
	case FLOPPY_RESULT: return STATUS_REQUEST | STATUS_TO_GUEST | STATUS_BUSY;
	default: return STATUS_BUSY;
	}
}

/*
 * A byte of a data phase was moved. INT drops and, every so many bytes as the FIFO was told to
 * gather, rises again.
 */
static void byte_moved(struct floppy *floppy)
{
	unsigned int gathered = floppy->config & FLOPPY_CONFIG_FIFO_OFF
					? 1
					: (floppy->config & FLOPPY_CONFIG_THRESHOLD) + 1U;

	floppy->position++;
	floppy_set_interrupt(floppy, false);
	if (floppy->position >= floppy->size) {
		floppy_data_moved(floppy);
	} else if (floppy->position % gathered == 0) {
		floppy_set_interrupt(floppy, true);
	}
}

static uint8_t read_fifo(struct floppy *floppy)
{
	uint8_t value = 0;

	if (floppy->phase == FLOPPY_PIO_IN) {
		value = floppy->buffer[floppy->position];
		byte_moved(floppy);
	} else if (floppy->phase == FLOPPY_RESULT) {
		floppy_set_interrupt(floppy, false);
		value = floppy->result[floppy->result_position++];
		if (floppy->result_position == floppy->result_count) {
			to_command_phase(floppy);
		}
	}
	return value;
}

static void write_fifo(struct floppy *floppy, uint8_t value)
{
	if (!(floppy->dor & DOR_NOT_RESET) || floppy->reset_pending) {
		return;
	}
	if (floppy->phase == FLOPPY_PIO_OUT) {
		floppy->buffer[floppy->position] = value;
		byte_moved(floppy);
	} else if (floppy->phase == FLOPPY_COMMAND) {
		floppy_command_byte(floppy, value);
	}
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct floppy *floppy = opaque;

	(void)size;
	switch (offset) {
	case REG_DOR: return floppy->dor;
	case REG_TDR: return floppy->tdr;
	case REG_STATUS: return read_status(floppy);
	case REG_FIFO: return read_fifo(floppy);
	default: return 0xff;
	}
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct floppy *floppy = opaque;
	uint8_t byte = (uint8_t)value;

	(void)size;
	switch (offset) {
	case REG_DOR: write_dor(floppy, byte); break;
	case REG_TDR: floppy->tdr = byte & 3; break;
	case REG_STATUS: write_dsr(floppy, byte); break;
	case REG_FIFO: write_fifo(floppy, byte); break;
	default: break;
	}
}

static uint64_t change_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct floppy *floppy = opaque;
	struct floppy_drive *drive = floppy_drive(floppy, floppy->dor & 3);

	(void)offset;
	(void)size;
	return drive && disk_changed(drive) ? DIR_CHANGED : 0;
}

static void change_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct floppy *floppy = opaque;

	(void)offset;
	(void)size;
	floppy->rate = value & RATE_MASK;
}

static const struct io_ops ports_ops = { ports_read, ports_write, .min_size = 1, .max_size = 1 };
static const struct io_ops change_ops = { change_read, change_write, .min_size = 1, .max_size = 1 };

/* ------- the device ------- */

static void destroy(struct device *dev)
{
	struct floppy *floppy = floppy_from_device(dev);

	io_region_unmap(&floppy->ports);
	io_region_unmap(&floppy->change_port);
	free(floppy->buffer);
}

static int create(struct device *dev, struct error *err)
{
	struct floppy *floppy = floppy_from_device(dev);
	int ret;

	floppy->dma = dev->env.peer[0];
	for (unsigned int i = 0; i < FLOPPY_DRIVES; i++) {
		floppy->drives[i].block = dev->env.drives[i];
	}
	floppy->buffer = calloc(1, FLOPPY_BUFFER_SIZE);
	if (!floppy->buffer) {
		return error_set(err, ENOMEM, "no memory for the floppy controller");
	}
	io_region_init(&floppy->ports, "floppy", &ports_ops, floppy, &dev->lock, PORTS);
	io_region_init(&floppy->change_port, "floppy-change", &change_ops, floppy, &dev->lock, 1);
	ret = io_region_map(&floppy->ports, dev->env.ports, PORTS_BASE);
	if (ret == 0) {
		ret = io_region_map(&floppy->change_port, dev->env.ports, CHANGE_PORT);
	}
	if (ret < 0) {
		destroy(dev);
		return error_set(err, -ret, "cannot build the floppy controller: %s",
				 strerror(-ret));
	}
	return 0;
}

static void reset(struct device *dev, enum reset_kind kind)
{
	struct floppy *floppy = floppy_from_device(dev);

	(void)kind;
	floppy->dor = 0;
	floppy->tdr = 0;
	floppy->rate = RATE_250K;
	floppy->locked = false;
	floppy->perpendicular = 0;
	memset(floppy->specify, 0, sizeof(floppy->specify));
	memset(floppy->result, 0, sizeof(floppy->result));
	floppy->result_count = 0;
	floppy->result_position = 0;
	floppy->transfer = (struct floppy_transfer){ 0 };
	for (unsigned int i = 0; i < FLOPPY_DRIVES; i++) {
		floppy->drives[i].track = 0;
		floppy->drives[i].changed = true;
	}
	floppy_reset_core(floppy);
}

static int pause_device(struct device *dev)
{
	struct floppy *floppy = floppy_from_device(dev);

	for (unsigned int i = 0; i < FLOPPY_DRIVES; i++) {
		if (floppy->drives[i].block) {
			block_drain(floppy->drives[i].block);
		}
	}
	return 0;
}

/* ------- saved state ------- */

static bool phase_valid(const struct floppy *floppy)
{
	switch (floppy->phase) {
	case FLOPPY_COMMAND: return floppy->command_count < FLOPPY_COMMAND_MAX;
	case FLOPPY_PIO_IN:
	case FLOPPY_PIO_OUT:
		return floppy->position < floppy->size && floppy_unit(floppy) < FLOPPY_DRIVES &&
		       floppy->drives[floppy_unit(floppy)].block;
	case FLOPPY_RESULT: return floppy->result_position < floppy->result_count;
	default: return false; /* nothing is under way in a machine at rest */
	}
}

static int post_load(void *base, struct error *err)
{
	struct floppy *floppy = base;

	for (unsigned int i = 0; i < FLOPPY_DRIVES; i++) {
		/* Another disk may be in the drive than where the state was saved. */
		floppy->drives[i].generation =
			floppy->drives[i].block ? block_media_generation(floppy->drives[i].block)
						: 0;
	}
	if (floppy->size > FLOPPY_BUFFER_SIZE || floppy->command_count > FLOPPY_COMMAND_MAX ||
	    floppy->result_count > FLOPPY_RESULT_MAX || floppy->rate > RATE_MASK ||
	    floppy->transfer.count > FLOPPY_SECTORS_MAX || floppy->sense > 0x0f ||
	    !phase_valid(floppy)) {
		return error_set(err, EINVAL,
				 "the floppy controller's registers contradict each other");
	}
	return 0;
}

static int save_buffer(void *base, void **ret_data, size_t *ret_size)
{
	const struct floppy *floppy = base;
	void *copy = malloc(FLOPPY_BUFFER_SIZE);

	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, floppy->buffer, floppy->size);
	*ret_data = copy;
	*ret_size = floppy->size;
	return 0;
}

static int load_buffer(void *base, const void *data, size_t size, struct error *err)
{
	struct floppy *floppy = base;

	(void)err;
	memcpy(floppy->buffer, data, size);
	return 0;
}

static const struct state_field drive_fields[] = {
	STATE_FIELD(struct floppy_drive, track),
	STATE_FIELD_BOOL(struct floppy_drive, changed),
	STATE_FIELDS_END,
};

static const struct state_table drive_table = { .version = 1, .fields = drive_fields };

static const struct state_field transfer_fields[] = {
	STATE_FIELD(struct floppy_transfer, cylinder),
	STATE_FIELD(struct floppy_transfer, head),
	STATE_FIELD(struct floppy_transfer, sector),
	STATE_FIELD(struct floppy_transfer, last),
	STATE_FIELD(struct floppy_transfer, count),
	STATE_FIELD_BOOL(struct floppy_transfer, terminal),
	STATE_FIELD_BOOL(struct floppy_transfer, overrun),
	STATE_FIELDS_END,
};

static const struct state_table transfer_table = { .version = 1, .fields = transfer_fields };

static const struct state_field floppy_fields[] = {
	STATE_FIELD_STRUCT(struct floppy, drives, FLOPPY_DRIVES, &drive_table),
	STATE_FIELD(struct floppy, dor),
	STATE_FIELD(struct floppy, tdr),
	STATE_FIELD(struct floppy, rate),
	STATE_FIELD(struct floppy, config),
	STATE_FIELD(struct floppy, precompensation),
	STATE_FIELD(struct floppy, perpendicular),
	STATE_FIELD_BOOL(struct floppy, locked),
	STATE_FIELD_BYTES(struct floppy, specify),
	STATE_FIELD(struct floppy, phase),
	STATE_FIELD_BYTES(struct floppy, command),
	STATE_FIELD(struct floppy, command_count),
	STATE_FIELD_BYTES(struct floppy, result),
	STATE_FIELD(struct floppy, result_count),
	STATE_FIELD(struct floppy, result_position),
	STATE_FIELD(struct floppy, sense),
	STATE_FIELD_BYTES(struct floppy, sense_st0),
	STATE_FIELD_BOOL(struct floppy, interrupt),
	STATE_FIELD_STRUCT(struct floppy, transfer, 1, &transfer_table),
	STATE_FIELD(struct floppy, size),
	STATE_FIELD(struct floppy, position),
	{ .name = "buffer",
	  .type = STATE_BLOB,
	  .save_blob = save_buffer,
	  .load_blob = load_buffer,
	  .max_size = FLOPPY_BUFFER_SIZE },
	STATE_FIELDS_END,
};

static const struct state_table floppy_state = {
	.version = 1,
	.fields = floppy_fields,
	.post_load = post_load,
};

static const struct device_ops floppy_ops = {
	.name = "floppy",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct floppy),
	.state = &floppy_state,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.pause = pause_device,
};

DEVICE_REGISTER(floppy_ops);
