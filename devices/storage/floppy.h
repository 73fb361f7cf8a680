/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_STORAGE_FLOPPY_H
#define LIMEN_DEVICES_STORAGE_FLOPPY_H

/*
 * The floppy controller from inside: floppy.c is the device with its ports, floppy_command.c the
 * commands without data, floppy_transfer.c those that move data between disk and guest.
 */

#include "block/block.h"
#include "bus/chipset.h"

#define FLOPPY_DRIVES 2 /* that can be there; */
#define FLOPPY_UNITS 4	/* that commands can name */
#define FLOPPY_SECTOR 512
#define FLOPPY_SECTORS_MAX 36
#define FLOPPY_BUFFER_SIZE (FLOPPY_SECTORS_MAX * FLOPPY_SECTOR)
#define FLOPPY_COMMAND_MAX 9
#define FLOPPY_RESULT_MAX 10

/* Status register 0, 82077AA datasheet section 4.1. The low three bits are head and unit. */
#define FLOPPY_ST0_ABNORMAL 0x40
#define FLOPPY_ST0_INVALID 0x80
#define FLOPPY_ST0_POLLING 0xc0
#define FLOPPY_ST0_SEEK_END 0x20
#define FLOPPY_ST0_EQUIPMENT 0x10

/* Status registers 1 and 2, sections 4.2 and 4.3. */
#define FLOPPY_ST1_MISSING_ADDRESS 0x01
#define FLOPPY_ST1_NOT_WRITABLE 0x02
#define FLOPPY_ST1_NO_DATA 0x04
#define FLOPPY_ST1_OVERRUN 0x10
#define FLOPPY_ST1_DATA_ERROR 0x20
#define FLOPPY_ST1_END_OF_CYLINDER 0x80
#define FLOPPY_ST2_WRONG_CYLINDER 0x10
#define FLOPPY_ST2_DATA_ERROR 0x20

/* CONFIGURE, section 5.2.7: its second parameter. */
#define FLOPPY_CONFIG_IMPLIED_SEEK 0x40
#define FLOPPY_CONFIG_FIFO_OFF 0x20
#define FLOPPY_CONFIG_POLL_OFF 0x10
#define FLOPPY_CONFIG_THRESHOLD 0x0f

/** FLOPPY_FORMAT_TRACK - the command whose data are sector headers; without its MFM bit. */
#define FLOPPY_FORMAT_TRACK 0x0d

enum floppy_phase {
	FLOPPY_COMMAND, /* command and parameter bytes; idle while there are none */
	FLOPPY_EXECUTE, /* the disk is at work */
	FLOPPY_PIO_IN,	/* the guest reads data through the FIFO */
	FLOPPY_PIO_OUT, /* the guest writes data through the FIFO */
	FLOPPY_RESULT,
};

/**
 * struct floppy_geometry - a format of disks
 * @rates: bit for each data rate (as in CCR) at which it can be read
 * @drive_type: the drive that PCs had for it, as in byte 10h of CMOS memory
 */
struct floppy_geometry {
	uint8_t cylinders;
	uint8_t heads;
	uint8_t sectors;
	uint8_t rates;
	uint8_t drive_type;
};

/**
 * struct floppy_drive - one drive
 * @track: where its head is
 * @changed: the disk change line, until the head steps with a disk in the drive
 * @generation: of the medium when the line was last set
 */
struct floppy_drive {
	struct block_device *block;
	uint8_t track;
	bool changed;
	uint32_t generation;
};

/**
 * struct floppy_transfer - how far a command that moves data has got
 * @cylinder, @head, @sector: of the next sector, as its header has them
 * @last: the number of the last sector of a track (EOT)
 * @count: sectors in the buffer
 * @terminal: the DMA controller has signalled terminal count
 * @overrun: it did not keep up
 */
struct floppy_transfer {
	uint8_t cylinder, head, sector, last;
	uint8_t count;
	bool terminal;
	bool overrun;
};

/**
 * struct floppy - the controller
 * @rate: data rate, as last written to CCR or DSR
 * @sense: units that SENSE INTERRUPT has to report, a bit each, with their @sense_st0
 * @interrupt: the INT pin; it reaches the line through the gate in DOR
 * @size, @position: of the data phase, in the buffer
 * @active: a block request is under way; @reset_pending: the guest reset the controller meanwhile
 */
struct floppy {
	struct device dev;
	struct device *dma;
	struct floppy_drive drives[FLOPPY_DRIVES];
	uint8_t dor, tdr, rate;
	uint8_t config, precompensation;
	uint8_t perpendicular;
	bool locked;
	uint8_t specify[2];
	uint8_t phase; /* enum floppy_phase */
	uint8_t command[FLOPPY_COMMAND_MAX];
	uint8_t command_count;
	uint8_t result[FLOPPY_RESULT_MAX];
	uint8_t result_count, result_position;
	uint8_t sense;
	uint8_t sense_st0[FLOPPY_UNITS];
	bool interrupt;
	struct floppy_transfer transfer;
	uint32_t size, position;
	bool active;
	bool reset_pending;
	uint8_t *buffer;
	struct iovec iov;
	struct block_request request;
	struct io_region ports;
	struct io_region change_port;
};

/* The unit and the side that the command under way names. */
static inline unsigned int floppy_unit(const struct floppy *floppy)
{
	return floppy->command[1] & 3;
}

static inline uint8_t floppy_head(const struct floppy *floppy)
{
	return floppy->command[1] >> 2 & 1;
}

/* floppy.c; like all that follows, with the device's lock held */

/** floppy_drive() - drive @unit, or NULL where there is none. */
struct floppy_drive *floppy_drive(struct floppy *floppy, unsigned int unit);

/** floppy_geometry() - of the disk in @drive, or NULL without one. */
const struct floppy_geometry *floppy_geometry(const struct floppy_drive *drive);

/** floppy_step() - move the head of @drive. */
void floppy_step(struct floppy_drive *drive, uint8_t track);

/** floppy_set_interrupt() - drive the INT pin. */
void floppy_set_interrupt(struct floppy *floppy, bool level);

/** floppy_interrupt() - an edge on it, for the end of a command. What is left to be said of a reset
 *  is forgotten then: nobody has asked. */
void floppy_interrupt(struct floppy *floppy);

/** floppy_reset_core() - what a reset by DOR or DSR does. */
void floppy_reset_core(struct floppy *floppy);

/** floppy_reply() - enter the result phase with @count bytes of floppy->result. */
void floppy_reply(struct floppy *floppy, unsigned int count);

/* floppy_command.c */

/** floppy_command_byte() - the guest wrote a byte of a command. */
void floppy_command_byte(struct floppy *floppy, uint8_t byte);

/* floppy_transfer.c */

/** floppy_end() - end a command that moves data (or could): seven result bytes and an interrupt. */
void floppy_end(struct floppy *floppy, uint8_t st0, uint8_t st1, uint8_t st2);

/** floppy_can_read() - whether the drive that the command names can find sectors on its disk; ends
 *  the command if not. */
bool floppy_can_read(struct floppy *floppy);

void floppy_read_data(struct floppy *floppy);
void floppy_write_data(struct floppy *floppy);
void floppy_read_deleted(struct floppy *floppy);
void floppy_read_track(struct floppy *floppy);
void floppy_verify(struct floppy *floppy);
void floppy_format_track(struct floppy *floppy);

/** floppy_data_moved() - the guest has moved all of a data phase through the FIFO. */
void floppy_data_moved(struct floppy *floppy);

#endif
