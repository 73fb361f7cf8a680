/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hard disks on the IDE controller: the general feature set with 28- and 48-bit addresses, PIO,
 * MULTIPLE and DMA transfers, flush (ATA/ATAPI-7 volume 1, section 6).
 * Commands of optional feature sets (SMART, security, HPA) are aborted and IDENTIFY DEVICE
 * does not claim them.
 */

#include "ide.h"

#include <stdio.h>

#define DEVICE_LBA 0x40
#define LBA28_MAX UINT64_C(0x0fffffff)
#define DEFAULT_HEADS 16
#define DEFAULT_SECTORS 63

/* Transfer modes as SET FEATURES 03h and IDENTIFY name them. */
#define MODE_MULTIWORD 0x20
#define MODE_MULTIWORD_MAX 2
#define MODE_ULTRA 0x40
#define MODE_ULTRA_MAX 5

void ide_string(uint8_t *words, const char *text, unsigned int bytes)
{
	size_t length = strlen(text);

	for (unsigned int i = 0; i < bytes; i++) {
		words[i ^ 1] = i < length ? (uint8_t)text[i] : ' ';
	}
}

static uint64_t drive_sectors(const struct ide_drive *drive)
{
	return block_size(drive->block) / IDE_SECTOR;
}

static uint16_t default_cylinders(const struct ide_drive *drive)
{
	uint64_t cylinders = drive_sectors(drive) / (DEFAULT_HEADS * DEFAULT_SECTORS);

	return (uint16_t)MIN(MAX(cylinders, UINT64_C(1)), UINT64_C(16383));
}

void ide_ata_reset(struct ide_drive *drive)
{
	drive->features = 0;
	drive->features_hob = 0;
	drive->count = 1;
	drive->count_hob = 0;
	memset(drive->lba_hob, 0, sizeof(drive->lba_hob));
	/* The signature: zeroes for a disk, EB14h for a packet device. */
	drive->lba[0] = 1;
	drive->lba[1] = drive->cdrom ? 0x14 : 0;
	drive->lba[2] = drive->cdrom ? 0xeb : 0;
	drive->device = 0xa0;
	drive->error = 1;
	drive->status = drive->cdrom ? 0 : IDE_STATUS_DRDY | IDE_STATUS_DSC;
	drive->multiple = 0;
	drive->sense_key = 0;
	drive->sense_code = 0;
	drive->heads = DEFAULT_HEADS;
	drive->sectors = DEFAULT_SECTORS;
	drive->cylinders = default_cylinders(drive);
}

/* ------- IDENTIFY DEVICE ------- */

static void put_word(uint8_t *data, unsigned int word, uint32_t value)
{
	store_le16(data + 2 * word, (uint16_t)value);
}

static void put_capacity(uint8_t *data, const struct ide_drive *drive)
{
	uint64_t sectors = drive_sectors(drive);
	uint32_t chs = (uint32_t)drive->cylinders * drive->heads * drive->sectors;

	put_word(data, 1, default_cylinders(drive));
	put_word(data, 3, DEFAULT_HEADS);
	put_word(data, 6, DEFAULT_SECTORS);
	put_word(data, 54, drive->cylinders);
	put_word(data, 55, drive->heads);
	put_word(data, 56, drive->sectors);
	store_le32(data + 2 * 57, chs);
	store_le32(data + 2 * 60, (uint32_t)MIN(sectors, LBA28_MAX));
	store_le64(data + 2 * 100, sectors);
}

/* Words 63 and 88: the modes that there are, and the one in use. */
void ide_put_modes(const struct ide_drive *drive, uint8_t *data)
{
	uint32_t in_use = 0x100U << (drive->dma_mode & 7);
	uint32_t group = drive->dma_mode & 0xf8;

	put_word(data, 63, 0x07 | (group == MODE_MULTIWORD ? in_use : 0));
	put_word(data, 88, 0x3f | (group == MODE_ULTRA ? in_use : 0));
}

static void identify(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t *data = channel->buffer;
	char serial[21];

	memset(data, 0, IDE_SECTOR);
	snprintf(serial, sizeof(serial), "LM%05u", channel->index * IDE_UNITS + channel->selected);
	put_word(data, 0, 0x0040);
	ide_string(data + 20, serial, 20);
	ide_string(data + 46, "1.0", 8);
	ide_string(data + 54, "Limen hard disk", 40);
	put_word(data, 47, 0x8000 | IDE_MULTIPLE_MAX);
	put_word(data, 49, 0x0f00); /* DMA, LBA, IORDY */
	put_word(data, 50, 0x4000);
	put_word(data, 53, 7);
	put_word(data, 59, drive->multiple ? 0x100U | drive->multiple : 0);
	put_word(data, 64, 0x03);
	for (unsigned int i = 65; i <= 68; i++) {
		put_word(data, i, 120);
	}
	put_word(data, 80, 0xf0);   /* ATA/ATAPI-4 to -7 */
	put_word(data, 82, 0x4020); /* NOP, write cache */
	put_word(data, 83, 0x7400); /* FLUSH EXT, FLUSH, 48-bit */
	put_word(data, 84, 0x4000);
	put_word(data, 85, 0x4020);
	put_word(data, 86, 0x3400);
	put_word(data, 87, 0x4000);
	ide_put_modes(drive, data);
	put_word(data, 93, channel->selected ? 0x6a00 : 0x600b);
	put_word(data, 217, 1); /* not rotating */
	put_capacity(data, drive);
	ide_offer(channel, IDE_PIO_IN, IDE_SECTOR);
	channel->remaining = 0;
	channel->sector = 0;
	ide_interrupt(channel);
}

/* ------- reading and writing ------- */

static uint64_t start_sector(const struct ide_drive *drive, bool ext)
{
	uint64_t low = drive->lba[0] | (uint64_t)drive->lba[1] << 8 | (uint64_t)drive->lba[2] << 16;

	if (ext) {
		return low | (uint64_t)drive->lba_hob[0] << 24 | (uint64_t)drive->lba_hob[1] << 32 |
		       (uint64_t)drive->lba_hob[2] << 40;
	}
	if (drive->device & DEVICE_LBA) {
		return low | (uint64_t)(drive->device & 0x0f) << 24;
	}
	if (!drive->lba[0]) {
		return UINT64_MAX; /* CHS sectors count from 1 */
	}
	return ((uint64_t)(low >> 8) * drive->heads + (drive->device & 0x0f)) * drive->sectors +
	       drive->lba[0] - 1;
}

static uint32_t sector_count(const struct ide_drive *drive, bool ext)
{
	uint32_t count = drive->count | (ext ? (uint32_t)drive->count_hob << 8 : 0);

	return count ? count : ext ? 65536 : 256;
}

/* Leave the address of the last sector moved in the task file, as drives do. */
static void note_position(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint64_t at = channel->sector - 1;

	if (drive->cdrom || !(drive->device & DEVICE_LBA)) {
		return;
	}
	for (unsigned int i = 0; i < 3; i++) {
		drive->lba[i] = (uint8_t)(at >> (8 * i));
		drive->lba_hob[i] = (uint8_t)(at >> (24 + 8 * i));
	}
}

static uint32_t chunk_sectors(const struct ide_channel *channel)
{
	return MIN(channel->remaining, channel->sectors_per_chunk);
}

/* What a packet command answers lies in the buffer already. */
static void move_reply(struct ide_channel *channel)
{
	if (ide_dma_copy(channel, true, channel->chunk)) {
		ide_dma_done(channel, false);
		ide_atapi_done(channel);
	} else {
		ide_dma_fail(channel);
	}
}

/* Begin the next chunk of a read or write, or end the command. */
void ide_next_chunk(struct ide_channel *channel)
{
	uint32_t size = chunk_sectors(channel) * channel->sector_size;
	uint64_t offset = channel->sector * channel->sector_size;

	switch (channel->transfer) {
	case IDE_DMA_IN:
		if (!channel->remaining) {
			move_reply(channel);
			break;
		}
		ide_start_request(channel, BLOCK_READ, offset, size);
		break;
	case IDE_PIO_IN: ide_start_request(channel, BLOCK_READ, offset, size); break;
	case IDE_PIO_OUT: ide_offer(channel, IDE_PIO_OUT, size); break;
	case IDE_DMA_OUT:
		if (ide_dma_copy(channel, false, size)) {
			ide_start_request(channel, BLOCK_WRITE, offset, size);
		} else {
			ide_dma_fail(channel);
		}
		break;
	default: break;
	}
}

static void advance(struct ide_channel *channel)
{
	uint32_t n = chunk_sectors(channel);

	channel->sector += n;
	channel->remaining -= n;
}

static void end_transfer(struct ide_channel *channel)
{
	note_position(channel);
	ide_dma_done(channel, false);
	if (ide_selected(channel)->cdrom) {
		ide_atapi_done(channel);
	} else {
		ide_finish(channel, 0);
	}
}

/* A chunk has come from the disk. */
void ide_chunk_read(struct ide_channel *channel)
{
	uint32_t size = chunk_sectors(channel) * channel->sector_size;

	advance(channel);
	if (channel->transfer == IDE_PIO_IN) {
		ide_offer(channel, IDE_PIO_IN, size);
		if (ide_selected(channel)->cdrom) {
			ide_atapi_offer(channel);
		} else {
			ide_interrupt(channel);
		}
		return;
	}
	if (!ide_dma_copy(channel, true, size)) {
		ide_dma_fail(channel);
	} else if (channel->remaining) {
		ide_next_chunk(channel);
	} else {
		end_transfer(channel);
	}
}

/* The guest has read all of a chunk. */
void ide_pio_in_empty(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);

	if (channel->remaining) {
		ide_next_chunk(channel);
	} else if (channel->command == ATAPI_COMMAND_PACKET) {
		ide_atapi_done(channel);
	} else {
		if (channel->sector) {
			note_position(channel);
		}
		channel->transfer = IDE_IDLE;
		drive->status = IDE_STATUS_DRDY | IDE_STATUS_DSC;
	}
}

/* The guest has written all of a chunk. */
void ide_pio_out_full(struct ide_channel *channel)
{
	uint32_t size = chunk_sectors(channel) * channel->sector_size;

	ide_start_request(channel, BLOCK_WRITE, channel->sector * channel->sector_size, size);
}

/* A chunk has reached the disk. */
void ide_chunk_written(struct ide_channel *channel)
{
	advance(channel);
	if (!channel->remaining) {
		end_transfer(channel);
		return;
	}
	ide_next_chunk(channel);
	if (channel->transfer == IDE_PIO_OUT) {
		ide_interrupt(channel);
	}
}

static void start_transfer(struct ide_channel *channel, enum ide_transfer transfer, bool ext,
			   uint32_t sectors_per_chunk)
{
	struct ide_drive *drive = ide_selected(channel);
	uint64_t sector = start_sector(drive, ext);
	uint32_t count = sector_count(drive, ext);
	uint64_t total = drive_sectors(drive);
	bool out = transfer == IDE_PIO_OUT || transfer == IDE_DMA_OUT;

	if (sector > total || count > total - sector) {
		ide_finish(channel, IDE_ERROR_IDNF);
		return;
	}
	if ((out && block_readonly(drive->block)) || !sectors_per_chunk) {
		ide_finish(channel, IDE_ERROR_ABRT);
		return;
	}
	channel->transfer = (uint8_t)transfer;
	channel->sector = sector;
	channel->remaining = count;
	channel->sector_size = IDE_SECTOR;
	channel->sectors_per_chunk = sectors_per_chunk;
	if (transfer == IDE_DMA_IN || transfer == IDE_DMA_OUT) {
		ide_dma_begin(channel);
	} else {
		ide_next_chunk(channel);
	}
}

/* READ VERIFY: check the address; the image is as readable as it will ever be. */
static void verify(struct ide_channel *channel, bool ext)
{
	struct ide_drive *drive = ide_selected(channel);
	uint64_t sector = start_sector(drive, ext);
	uint64_t total = drive_sectors(drive);

	ide_finish(channel, sector > total || sector_count(drive, ext) > total - sector
				    ? IDE_ERROR_IDNF
				    : 0);
}

/* ------- the other commands ------- */

/* SET TRANSFER MODE: PIO modes (below 10h) only have their timing. */
static void set_mode(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t mode = drive->count;
	uint8_t group = mode & 0xf8;
	uint8_t n = mode & 7;

	if ((group == MODE_MULTIWORD && n <= MODE_MULTIWORD_MAX) ||
	    (group == MODE_ULTRA && n <= MODE_ULTRA_MAX)) {
		drive->dma_mode = mode;
	} else if (mode >= 0x10) {
		ide_finish(channel, IDE_ERROR_ABRT);
		return;
	}
	ide_finish(channel, 0);
}

static void set_features(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);

	switch (drive->features) {
	case 0x03: set_mode(channel); break;
	case 0x02: /* write cache on; off is honoured by flushes anyway */
	case 0x82:
	case 0x55: /* look-ahead */
	case 0xaa:
	case 0x66: /* keep settings over a reset */
	case 0xcc: ide_finish(channel, 0); break;
	default: ide_finish(channel, IDE_ERROR_ABRT); break;
	}
}

static void set_multiple(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t n = drive->count;

	if (n > IDE_MULTIPLE_MAX || (n & (n - 1))) {
		ide_finish(channel, IDE_ERROR_ABRT);
		return;
	}
	drive->multiple = n;
	ide_finish(channel, 0);
}

static void initialize_parameters(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint16_t heads = (drive->device & 0x0f) + 1U;

	if (!drive->count) {
		ide_finish(channel, IDE_ERROR_ABRT);
		return;
	}
	drive->heads = heads;
	drive->sectors = drive->count;
	drive->cylinders = (uint16_t)MIN(
		MAX(drive_sectors(drive) / ((uint64_t)heads * drive->sectors), UINT64_C(1)),
		UINT64_C(65535));
	ide_finish(channel, 0);
}

static void diagnose(struct ide_channel *channel)
{
	for (unsigned int i = 0; i < IDE_UNITS; i++) {
		if (channel->drives[i].block) {
			ide_ata_reset(&channel->drives[i]);
		}
	}
	channel->selected = 0;
	ide_interrupt(channel);
}

void ide_ata_command(struct ide_channel *channel, uint8_t command)
{
	struct ide_drive *drive = ide_selected(channel);
	uint32_t dma = IDE_BUFFER_SIZE / IDE_SECTOR;

	switch (command) {
	case 0x20:
	case 0x21: start_transfer(channel, IDE_PIO_IN, false, 1); break;
	case 0x24: start_transfer(channel, IDE_PIO_IN, true, 1); break;
	case 0x29: start_transfer(channel, IDE_PIO_IN, true, drive->multiple); break;
	case 0xc4: start_transfer(channel, IDE_PIO_IN, false, drive->multiple); break;
	case 0x30:
	case 0x31: start_transfer(channel, IDE_PIO_OUT, false, 1); break;
	case 0x34: start_transfer(channel, IDE_PIO_OUT, true, 1); break;
	case 0x39: start_transfer(channel, IDE_PIO_OUT, true, drive->multiple); break;
	case 0xc5: start_transfer(channel, IDE_PIO_OUT, false, drive->multiple); break;
	case 0xc8:
	case 0xc9: start_transfer(channel, IDE_DMA_IN, false, dma); break;
	case 0x25: start_transfer(channel, IDE_DMA_IN, true, dma); break;
	case 0xca:
	case 0xcb: start_transfer(channel, IDE_DMA_OUT, false, dma); break;
	case 0x35: start_transfer(channel, IDE_DMA_OUT, true, dma); break;
	case 0x40:
	case 0x41: verify(channel, false); break;
	case 0x42: verify(channel, true); break;
	case 0x90: diagnose(channel); break;
	case 0x91: initialize_parameters(channel); break;
	case 0xc6: set_multiple(channel); break;
	case 0xe5: /* CHECK POWER MODE: active */
	case 0x98:
		drive->count = 0xff;
		ide_finish(channel, 0);
		break;
	case 0xe0: /* STANDBY and IDLE, with and without timers */
	case 0xe1:
	case 0xe2:
	case 0xe3:
	case 0x94:
	case 0x95:
	case 0x96:
	case 0x97: ide_finish(channel, 0); break;
	case 0xe7:
	case 0xea:
		channel->transfer = IDE_WAIT;
		ide_start_request(channel, BLOCK_FLUSH, 0, 0);
		break;
	case 0xec: identify(channel); break;
	case 0xef: set_features(channel); break;
	default:
		/* RECALIBRATE and SEEK have the low digit free. */
		ide_finish(channel, (command & 0xf0) == 0x10 || (command & 0xf0) == 0x70
					    ? 0
					    : IDE_ERROR_ABRT);
		break;
	}
}
