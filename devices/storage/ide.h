/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_STORAGE_IDE_H
#define LIMEN_DEVICES_STORAGE_IDE_H

/*
 * The IDE controller from inside: ide.c is the PCI function with its ports, ide_dma.c
 * its bus master, ide_ata.c the commands of hard disks, ide_atapi.c those of CD-ROM drives.
 *
 * A channel executes one command at a time. Data moves in chunks through the channel's buffer:
 * between disk and buffer asynchronously, between buffer and guest by the data port or by the
 * bus master.
 */

#include "block/block.h"
#include "bus/pci.h"

#define IDE_CHANNELS 2
#define IDE_UNITS 2
#define IDE_SECTOR 512
#define IDE_BUFFER_SIZE KIB(128)
#define IDE_MULTIPLE_MAX 16
#define ATAPI_PACKET_SIZE 12
#define ATAPI_SECTOR 2048
#define ATAPI_COMMAND_PACKET 0xa0

/* Status register, ATA/ATAPI-7 volume 1, 5.17. */
#define IDE_STATUS_ERR 0x01
#define IDE_STATUS_DRQ 0x08
#define IDE_STATUS_DSC 0x10
#define IDE_STATUS_DF 0x20
#define IDE_STATUS_DRDY 0x40
#define IDE_STATUS_BSY 0x80

/* Error register, the same, 5.11. */
#define IDE_ERROR_ABRT 0x04
#define IDE_ERROR_IDNF 0x10
#define IDE_ERROR_UNC 0x40

/* Interrupt, in the bus master's status register. */
#define IDE_BM_IRQ 0x04

/* Interrupt reason of PACKET commands, in the sector-count register. */
#define ATAPI_REASON_CD 0x01
#define ATAPI_REASON_IO 0x02

enum ide_transfer {
	IDE_IDLE,
	IDE_PIO_IN,  /* disk to guest by the data port */
	IDE_PIO_OUT, /* guest to disk by the data port */
	IDE_DMA_IN,  /* the same two by the bus master */
	IDE_DMA_OUT,
	IDE_PACKET, /* the guest writes a command packet */
	IDE_WAIT,   /* flush or trim: no data for the guest */
};

/**
 * struct ide_drive - one drive; registers of the task file are kept per drive, as drives do
 * @*_hob: previous contents, the high-order bytes of 48-bit commands
 * @media_generation: of the medium that the guest knows of; @media_changed: it is to be told
 */
struct ide_drive {
	struct block_device *block;
	bool cdrom;
	uint8_t features, features_hob;
	uint8_t count, count_hob;
	uint8_t lba[3], lba_hob[3];
	uint8_t device;
	uint8_t status;
	uint8_t error;
	uint8_t multiple; /* sectors per DRQ block of the MULTIPLE commands, 0: off */
	uint8_t dma_mode; /* as SET FEATURES 03h set it */
	uint8_t sense_key, sense_code;
	uint32_t media_generation;
	bool media_changed;
	bool locked;
	uint16_t cylinders, heads, sectors;
};

/**
 * struct ide_prd - where the bus master is in its table
 */
struct ide_prd {
	uint32_t next; /* address of the next entry */
	uint32_t address;
	uint32_t left;
	bool last;
};

/**
 * struct ide_channel - one cable
 * @sector, @remaining: in device sectors of @sector_size: what is still to be moved
 * @chunk: bytes in @buffer; @position: how many of them the guest has moved; @block_end: where the
 *         present DRQ block ends
 * @byte_limit: bytes in each DRQ block of a PACKET command's PIO transfers
 * @waiting_dma: a DMA command waits for the guest to start the bus master
 * @active: a block request is under way
 * @reset_pending: the guest reset the channel meanwhile
 */
struct ide_channel {
	struct ide *ide;
	unsigned int index;
	struct ide_drive drives[IDE_UNITS];
	uint8_t selected;
	uint8_t control;
	uint8_t command;
	uint8_t transfer; /* enum ide_transfer */
	uint64_t sector;
	uint32_t remaining;
	uint32_t sector_size;
	uint32_t sectors_per_chunk;
	uint32_t chunk;
	uint32_t position;
	uint32_t block_end;
	uint32_t byte_limit;
	bool waiting_dma;
	bool active;
	bool reset_pending;
	bool irq_level;
	uint8_t bm_command;
	uint8_t bm_status;
	uint32_t bm_table;
	struct ide_prd prd;
	uint8_t *buffer;
	struct iovec iov;
	struct block_request request;
	struct io_region command_ports;
	struct io_region control_port;
};

struct ide {
	struct pci_device pci;
	struct ide_channel channels[IDE_CHANNELS];
	struct io_region bm_ports;
};

static inline struct ide_drive *ide_selected(struct ide_channel *channel)
{
	return &channel->drives[channel->selected];
}

/* ide.c: helpers of the command sets; the device's lock held */

/** ide_interrupt() - raise the channel's interrupt, unless nIEN forbids it. */
void ide_interrupt(struct ide_channel *channel);

/** ide_finish() - end the command: status DRDY, with @error in the error register if not 0. */
void ide_finish(struct ide_channel *channel, uint8_t error);

/** ide_offer() - @size bytes of the buffer are for the guest (@in) or wanted from it. */
void ide_offer(struct ide_channel *channel, enum ide_transfer transfer, uint32_t size);

/** ide_start_request() - block I/O of the chunk at channel->sector, or a flush. */
void ide_start_request(struct ide_channel *channel, enum block_op op, uint64_t offset,
		       uint64_t size);

/* ide_dma.c */

extern const struct io_ops ide_bm_ops;

/** ide_dma_copy() - between buffer and guest by the PRD table. Return: false when the table is too
 *  short or names no memory, or the guest has stopped the bus master. */
bool ide_dma_copy(struct ide_channel *channel, bool to_guest, uint32_t size);

/** ide_dma_fail() - end the command after ide_dma_copy() did not do it. */
void ide_dma_fail(struct ide_channel *channel);

/** ide_dma_begin() - move data as soon as the guest has started the bus master. */
void ide_dma_begin(struct ide_channel *channel);

/** ide_dma_done() - end of a bus-master transfer. */
void ide_dma_done(struct ide_channel *channel, bool failed);

/* ide_ata.c */
void ide_ata_command(struct ide_channel *channel, uint8_t command);
void ide_ata_reset(struct ide_drive *drive);
/** ide_put_modes() - the transfer modes into what IDENTIFY answers. */
void ide_put_modes(const struct ide_drive *drive, uint8_t *data);
void ide_next_chunk(struct ide_channel *channel);
void ide_chunk_read(struct ide_channel *channel);
void ide_chunk_written(struct ide_channel *channel);
void ide_pio_out_full(struct ide_channel *channel);
void ide_pio_in_empty(struct ide_channel *channel);

/* ide_atapi.c */
void ide_atapi_command(struct ide_channel *channel, uint8_t command);
void ide_atapi_packet(struct ide_channel *channel);
void ide_atapi_fail(struct ide_channel *channel, uint8_t key, uint8_t code);
void ide_atapi_done(struct ide_channel *channel);
/** ide_atapi_offer() - the next DRQ block of what is in the buffer. */
void ide_atapi_offer(struct ide_channel *channel);
/** ide_string() - an IDENTIFY string: padded with blanks, bytes swapped in each word. */
void ide_string(uint8_t *words, const char *text, unsigned int bytes);

#endif
