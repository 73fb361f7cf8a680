/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of the floppy controller (82077AA datasheet, section 5): the table of all of them, and
 * those that move no data.
 *
 * The three SCAN commands, which compare sectors with the guest's memory, are answered as unknown:
 * no system for PCs has used them. So are those that only later chips have, by which drivers tell
 * this one from them.
 */

#include "floppy.h"

#define CHIP_VERSION 0x90
#define REVOLUTION_NS (NS_PER_S / 5)

#define ST3_WRITE_PROTECTED 0x40
#define ST3_TRACK_0 0x10
#define ST3_ALWAYS 0x28 /* ready, two sides */

#define PERPENDICULAR_OVERWRITE 0x80
#define RELATIVE_INWARDS 0x40
#define LOCK_SET 0x80

struct floppy_command {
	uint8_t mask;
	uint8_t value;
	uint8_t bytes;
	void (*execute)(struct floppy *floppy);
};

static void invalid(struct floppy *floppy)
{
	floppy->result[0] = FLOPPY_ST0_INVALID;
	floppy_reply(floppy, 1);
}

static void done(struct floppy *floppy)
{
	floppy->phase = FLOPPY_COMMAND;
	floppy->command_count = 0;
}

/* ------- seeking ------- */

/* A seek has ended: SENSE INTERRUPT will report it. */
static void seek_ended(struct floppy *floppy, uint8_t status)
{
	unsigned int unit = floppy_unit(floppy);

	done(floppy);
	floppy->sense |= (uint8_t)BIT(unit);
	floppy->sense_st0[unit] = (uint8_t)(FLOPPY_ST0_SEEK_END | status | unit);
	floppy_interrupt(floppy);
}

static void seek_to(struct floppy *floppy, uint8_t track)
{
	struct floppy_drive *drive = floppy_drive(floppy, floppy_unit(floppy));

	if (drive) {
		floppy_step(drive, track);
	}
	seek_ended(floppy, 0);
}

static void recalibrate(struct floppy *floppy)
{
	struct floppy_drive *drive = floppy_drive(floppy, floppy_unit(floppy));

	if (!drive) { /* its track-0 line never comes */
		seek_ended(floppy, FLOPPY_ST0_ABNORMAL | FLOPPY_ST0_EQUIPMENT);
		return;
	}
	seek_to(floppy, 0);
}

static void seek(struct floppy *floppy)
{
	seek_to(floppy, floppy->command[2]);
}

static void relative_seek(struct floppy *floppy)
{
	const struct floppy_drive *drive = floppy_drive(floppy, floppy_unit(floppy));
	int steps = floppy->command[2];
	int track = drive ? drive->track : 0;

	track += floppy->command[0] & RELATIVE_INWARDS ? steps : -steps;
	seek_to(floppy, (uint8_t)MIN(MAX(track, 0), 255));
}

static void sense_interrupt(struct floppy *floppy)
{
	unsigned int unit = 0;
	bool polling;

	floppy_set_interrupt(floppy, false);
	if (!floppy->sense) {
		invalid(floppy);
		return;
	}
	while (!(floppy->sense & BIT(unit))) {
		unit++;
	}
	floppy->sense &= (uint8_t)~BIT(unit);
	floppy->result[0] = floppy->sense_st0[unit];
	floppy->result[1] = unit < FLOPPY_DRIVES ? floppy->drives[unit].track : 0;
	floppy_reply(floppy, 2);
	/* After a reset one interrupt stands for all four units; two seeks have one each. */
	polling = (floppy->result[0] & FLOPPY_ST0_POLLING) == FLOPPY_ST0_POLLING;
	floppy_set_interrupt(floppy, floppy->sense && !polling);
}

/* ------- the drive and the disk ------- */

static void sense_drive(struct floppy *floppy)
{
	const struct floppy_drive *drive = floppy_drive(floppy, floppy_unit(floppy));
	uint8_t status = ST3_ALWAYS | (floppy->command[1] & 7);

	if (drive && !drive->track) {
		status |= ST3_TRACK_0;
	}
	if (drive && block_has_media(drive->block) && block_readonly(drive->block)) {
		status |= ST3_WRITE_PROTECTED;
	}
	floppy->result[0] = status;
	floppy_reply(floppy, 1);
}

/* READ ID: whichever sector comes past the head now. */
static void read_id(struct floppy *floppy)
{
	const struct floppy_drive *drive = floppy_drive(floppy, floppy_unit(floppy));
	const struct floppy_geometry *g;
	uint64_t angle;

	if (!floppy_can_read(floppy)) {
		return;
	}
	g = floppy_geometry(drive);
	angle = machine_clock_now(floppy->dev.env.clock) % REVOLUTION_NS;
	floppy->transfer.cylinder = drive->track;
	floppy->transfer.head = floppy_head(floppy);
	floppy->transfer.sector = (uint8_t)(angle * g->sectors / REVOLUTION_NS + 1);
	floppy_end(floppy, 0, 0, 0);
}

/* ------- the controller itself ------- */

static void specify(struct floppy *floppy)
{
	memcpy(floppy->specify, floppy->command + 1, sizeof(floppy->specify));
	done(floppy);
}

static void version(struct floppy *floppy)
{
	floppy->result[0] = CHIP_VERSION;
	floppy_reply(floppy, 1);
}

static void configure(struct floppy *floppy)
{
	floppy->config = floppy->command[2] & 0x7f;
	floppy->precompensation = floppy->command[3];
	done(floppy);
}

static void perpendicular(struct floppy *floppy)
{
	uint8_t value = floppy->command[1];

	/* Without OW the drives' own bits stay. */
	floppy->perpendicular =
		value & PERPENDICULAR_OVERWRITE
			? value & 0x3f
			: (uint8_t)((floppy->perpendicular & 0x3c) | (value & 0x03));
	done(floppy);
}

static void lock(struct floppy *floppy)
{
	floppy->locked = floppy->command[0] & LOCK_SET;
	floppy->result[0] = floppy->locked ? 0x10 : 0;
	floppy_reply(floppy, 1);
}

static void dump_registers(struct floppy *floppy)
{
	uint8_t *r = floppy->result;

	for (unsigned int i = 0; i < FLOPPY_UNITS; i++) {
		r[i] = i < FLOPPY_DRIVES ? floppy->drives[i].track : 0;
	}
	r[4] = floppy->specify[0];
	r[5] = floppy->specify[1];
	r[6] = floppy->transfer.last;
	r[7] = (uint8_t)(floppy->locked << 7 | floppy->perpendicular);
	r[8] = floppy->config;
	r[9] = floppy->precompensation;
	floppy_reply(floppy, 10);
}

static const struct floppy_command commands[] = {
	{ 0x1f, 0x06, 9, floppy_read_data },
	{ 0x3f, 0x05, 9, floppy_write_data },
	{ 0x1f, 0x0c, 9, floppy_read_deleted },
	{ 0x3f, 0x09, 9, floppy_write_data }, /* WRITE DELETED DATA, without the mark */
	{ 0xbf, 0x02, 9, floppy_read_track },
	{ 0x1f, 0x16, 9, floppy_verify },
	{ 0xbf, FLOPPY_FORMAT_TRACK, 6, floppy_format_track },
	{ 0xbf, 0x0a, 2, read_id },
	{ 0xff, 0x07, 2, recalibrate },
	{ 0xff, 0x0f, 3, seek },
	{ 0xbf, 0x8f, 3, relative_seek },
	{ 0xff, 0x08, 1, sense_interrupt },
	{ 0xff, 0x04, 2, sense_drive },
	{ 0xff, 0x03, 3, specify },
	{ 0xff, 0x10, 1, version },
	{ 0xff, 0x13, 4, configure },
	{ 0xff, 0x12, 2, perpendicular },
	{ 0x7f, 0x14, 1, lock },
	{ 0xff, 0x0e, 1, dump_registers },
	{ 0x00, 0x00, 1, invalid },
};

void floppy_command_byte(struct floppy *floppy, uint8_t byte)
{
	const struct floppy_command *command = commands;

	floppy->command[floppy->command_count++] = byte;
	while ((floppy->command[0] & command->mask) != command->value) {
		command++;
	}
	if (floppy->command_count >= command->bytes) {
		floppy->phase = FLOPPY_EXECUTE;
		command->execute(floppy);
	}
}
