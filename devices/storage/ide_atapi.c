/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CD-ROM drives on the IDE controller: the PACKET command (ATA/ATAPI-7 volume 1, 6.24) and the
 * commands in packets (SFF-8020i, MMC-3, SPC-2) that operating systems and firmware use for data
 * discs. Discs are one data track of 2048-byte sectors; there is no audio.
 */

#include "ide.h"

#define SENSE_NOT_READY 2
#define SENSE_ILLEGAL_REQUEST 5
#define SENSE_UNIT_ATTENTION 6
#define CODE_INVALID_COMMAND 0x20
#define CODE_LBA_OUT_OF_RANGE 0x21
#define CODE_INVALID_FIELD 0x24
#define CODE_MEDIUM_CHANGED 0x28
#define CODE_NO_MEDIUM 0x3a

#define LEAD_OUT 0xaa
#define FEATURE_DMA 0x01
#define DMA_SECTORS (IDE_BUFFER_SIZE / ATAPI_SECTOR)

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	store_le32(p, __builtin_bswap32(v));
}

static void put_be16(uint8_t *p, uint16_t v)
{
	store_le16(p, __builtin_bswap16(v));
}

static uint32_t disc_sectors(const struct ide_drive *drive)
{
	return (uint32_t)MIN(block_size(drive->block) / ATAPI_SECTOR, (uint64_t)UINT32_MAX);
}

void ide_atapi_done(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);

	drive->count = ATAPI_REASON_IO | ATAPI_REASON_CD;
	ide_finish(channel, 0);
}

void ide_atapi_fail(struct ide_channel *channel, uint8_t key, uint8_t code)
{
	struct ide_drive *drive = ide_selected(channel);

	drive->sense_key = key;
	drive->sense_code = code;
	drive->count = ATAPI_REASON_IO | ATAPI_REASON_CD;
	ide_finish(channel, (uint8_t)(key << 4 | IDE_ERROR_ABRT));
}

/* Each block has at most as many bytes as the guest allows, which it finds in the registers. */
void ide_atapi_offer(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint32_t size = MIN(channel->chunk - channel->position, channel->byte_limit);

	channel->block_end = channel->position + size;
	drive->count = ATAPI_REASON_IO;
	drive->lba[1] = (uint8_t)size;
	drive->lba[2] = (uint8_t)(size >> 8);
	ide_interrupt(channel);
}

/* Answer with @size bytes of the buffer, cut to what the packet allows. */
static void reply(struct ide_channel *channel, uint32_t size, uint32_t allowed)
{
	struct ide_drive *drive = ide_selected(channel);

	size = MIN(size, allowed);
	channel->remaining = 0;
	if (!size) {
		ide_atapi_done(channel);
		return;
	}
	if (drive->features & FEATURE_DMA) {
		channel->transfer = IDE_DMA_IN;
		channel->chunk = size;
		ide_dma_begin(channel);
		return;
	}
	ide_offer(channel, IDE_PIO_IN, size);
	ide_atapi_offer(channel);
}

static void read_sectors(struct ide_channel *channel, uint32_t sector, uint32_t count)
{
	struct ide_drive *drive = ide_selected(channel);
	uint32_t total = disc_sectors(drive);
	bool dma = drive->features & FEATURE_DMA;

	if (sector > total || count > total - sector) {
		ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_LBA_OUT_OF_RANGE);
		return;
	}
	if (!count) {
		ide_atapi_done(channel);
		return;
	}
	channel->sector = sector;
	channel->remaining = count;
	channel->sector_size = ATAPI_SECTOR;
	channel->sectors_per_chunk =
		dma ? DMA_SECTORS : MAX(channel->byte_limit / ATAPI_SECTOR, 1U);
	channel->transfer = dma ? IDE_DMA_IN : IDE_PIO_IN;
	if (dma) {
		ide_dma_begin(channel);
	} else {
		ide_next_chunk(channel);
	}
}

static void inquiry(struct ide_channel *channel, const uint8_t *packet)
{
	uint8_t *p = channel->buffer;

	if (packet[1] & 1) { /* vital product data: none */
		ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_INVALID_FIELD);
		return;
	}
	memset(p, 0, 36);
	p[0] = 5;    /* CD-ROM */
	p[1] = 0x80; /* removable */
	p[3] = 0x21;
	p[4] = 31;
	memcpy(p + 8, "LIMEN   CD-ROM          1.0 ", 28);
	reply(channel, 36, packet[4]);
}

static void request_sense(struct ide_channel *channel, uint32_t allowed)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t *p = channel->buffer;

	memset(p, 0, 18);
	p[0] = 0x70;
	p[2] = drive->sense_key;
	p[7] = 10;
	p[12] = drive->sense_code;
	drive->sense_key = 0;
	drive->sense_code = 0;
	reply(channel, 18, allowed);
}

static void read_capacity(struct ide_channel *channel)
{
	put_be32(channel->buffer, disc_sectors(ide_selected(channel)) - 1);
	put_be32(channel->buffer + 4, ATAPI_SECTOR);
	reply(channel, 8, 8);
}

/* An address in a TOC, as a block or as minute, second, frame. */
static void put_address(uint8_t *p, uint32_t sector, bool msf)
{
	if (msf) {
		sector += 150;
		p[0] = 0;
		p[1] = (uint8_t)(sector / 75 / 60);
		p[2] = (uint8_t)(sector / 75 % 60);
		p[3] = (uint8_t)(sector % 75);
	} else {
		put_be32(p, sector);
	}
}

/* READ TOC: format 0, one data track and the lead-out; format 1, one session. */
static void read_toc(struct ide_channel *channel, const uint8_t *packet)
{
	uint32_t total = disc_sectors(ide_selected(channel));
	unsigned int format = (packet[2] & 0x0f) ? packet[2] & 0x0f : packet[9] >> 6;
	bool msf = packet[1] & 2;
	uint8_t *p = channel->buffer;
	uint32_t size = 12;

	memset(p, 0, 20);
	p[2] = 1;
	p[3] = 1;
	p[5] = 0x14; /* data track */
	p[6] = 1;
	put_address(p + 8, 0, msf);
	if (format == 0 && packet[6] == LEAD_OUT) {
		p[6] = LEAD_OUT;
		put_address(p + 8, total, msf);
	} else if (format == 0 && packet[6] <= 1) {
		p[13] = 0x16;
		p[14] = LEAD_OUT;
		put_address(p + 16, total, msf);
		size = 20;
	} else if (format != 1) {
		ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_INVALID_FIELD);
		return;
	}
	put_be16(p, (uint16_t)(size - 2));
	reply(channel, size, be16(packet + 7));
}

/* MODE SENSE(10): page 01h error recovery, 2Ah capabilities. */
static void mode_sense(struct ide_channel *channel, const uint8_t *packet)
{
	unsigned int page = packet[2] & 0x3f;
	uint8_t *p = channel->buffer;
	uint32_t size = 8;

	memset(p, 0, 64);
	p[2] = 0x70;
	if (page == 0x01 || page == 0x3f) {
		p[size] = 0x01;
		p[size + 1] = 6;
		p[size + 3] = 5;
		size += 8;
	}
	if (page == 0x2a || page == 0x3f) {
		p[size] = 0x2a;
		p[size + 1] = 18;
		p[size + 2] = 3; /* reads CD-R and CD-RW */
		p[size + 4] = 0x71;
		p[size + 6] = 0x29 | (ide_selected(channel)->locked ? 2 : 0);
		put_be16(p + size + 8, 706);
		put_be16(p + size + 12, 512);
		put_be16(p + size + 14, 706);
		size += 20;
	}
	if (size == 8) {
		ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_INVALID_FIELD);
		return;
	}
	put_be16(p, (uint16_t)(size - 2));
	reply(channel, size, be16(packet + 7));
}

/* GET CONFIGURATION: the profile list with CD-ROM, current while there is a disc. */
static void get_configuration(struct ide_channel *channel, const uint8_t *packet)
{
	bool media = block_has_media(ide_selected(channel)->block);
	uint8_t *p = channel->buffer;

	memset(p, 0, 32);
	put_be32(p, 28);
	put_be16(p + 6, media ? 8 : 0);
	p[10] = 3; /* feature 0: profile list, persistent and current */
	p[11] = 4;
	put_be16(p + 12, 8);
	p[14] = media;
	put_be16(p + 16, 1); /* feature 1: core, ATAPI */
	p[18] = 3;
	p[19] = 4;
	put_be32(p + 20, 2);
	put_be16(p + 24, 3); /* feature 3: removable medium, tray */
	p[26] = 3;
	p[27] = 4;
	p[28] = 0x29;
	reply(channel, 32, be16(packet + 7));
}

static void get_event_status(struct ide_channel *channel, const uint8_t *packet)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t *p = channel->buffer;

	if (!(packet[1] & 1)) {
		ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_INVALID_FIELD);
		return;
	}
	memset(p, 0, 8);
	p[3] = 0x10; /* media events are what there is */
	if (!(packet[4] & 0x10)) {
		put_be16(p, 2);
		p[2] = 0x80;
		reply(channel, 4, be16(packet + 7));
		return;
	}
	put_be16(p, 6);
	p[2] = 4;
	p[4] = drive->media_changed ? 2 : 0;
	p[5] = block_has_media(drive->block) ? 2 : 0;
	drive->media_changed = false;
	reply(channel, 8, be16(packet + 7));
}

static void read_disc_information(struct ide_channel *channel, const uint8_t *packet)
{
	uint8_t *p = channel->buffer;

	memset(p, 0, 34);
	put_be16(p, 32);
	p[2] = 0x0e; /* complete, last session complete */
	p[3] = 1;
	p[4] = 1;
	p[5] = 1;
	p[6] = 1;
	reply(channel, 34, be16(packet + 7));
}

static void mechanism_status(struct ide_channel *channel, const uint8_t *packet)
{
	memset(channel->buffer, 0, 8);
	channel->buffer[5] = 1;
	reply(channel, 8, be16(packet + 8));
}

/* READ CD: user data of data sectors only. */
static void read_cd(struct ide_channel *channel, const uint8_t *packet)
{
	uint32_t count = (uint32_t)packet[6] << 16 | be16(packet + 7);

	if (packet[9] == 0) {
		ide_atapi_done(channel);
	} else if (packet[9] == 0x10) {
		read_sectors(channel, be32(packet + 2), count);
	} else {
		ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_INVALID_FIELD);
	}
}

/* START STOP UNIT: the host owns the disc, so eject only unlocks. */
static void start_stop(struct ide_channel *channel, const uint8_t *packet)
{
	if ((packet[4] & 3) == 2) {
		ide_selected(channel)->locked = false;
	}
	ide_atapi_done(channel);
}

/* Whether @command may be executed without a disc, or while a change waits to be reported. */
static bool always_allowed(uint8_t command)
{
	switch (command) {
	case 0x03:
	case 0x12:
	case 0x46:
	case 0x4a:
	case 0x5a:
	case 0x1b:
	case 0x1e:
	case 0xbd: return true;
	default: return false;
	}
}

/* Another disc may have been put in since the last command. */
static void note_medium(struct ide_drive *drive)
{
	uint32_t generation = block_media_generation(drive->block);

	if (generation != drive->media_generation) {
		drive->media_generation = generation;
		drive->media_changed = block_has_media(drive->block);
		drive->locked = false;
	}
}

void ide_atapi_packet(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t packet[ATAPI_PACKET_SIZE];

	memcpy(packet, channel->buffer, sizeof(packet));
	channel->transfer = IDE_IDLE;
	note_medium(drive);
	if (!always_allowed(packet[0]) && drive->media_changed) {
		drive->media_changed = false;
		ide_atapi_fail(channel, SENSE_UNIT_ATTENTION, CODE_MEDIUM_CHANGED);
		return;
	}
	if (!always_allowed(packet[0]) && !block_has_media(drive->block)) {
		ide_atapi_fail(channel, SENSE_NOT_READY, CODE_NO_MEDIUM);
		return;
	}
	switch (packet[0]) {
	case 0x00: /* TEST UNIT READY */
	case 0x2b: /* SEEK */
	case 0xbb: /* SET CD SPEED */ ide_atapi_done(channel); break;
	case 0x03: request_sense(channel, packet[4]); break;
	case 0x12: inquiry(channel, packet); break;
	case 0x1b: start_stop(channel, packet); break;
	case 0x1e: /* PREVENT ALLOW MEDIUM REMOVAL */
		drive->locked = packet[4] & 1;
		ide_atapi_done(channel);
		break;
	case 0x25: read_capacity(channel); break;
	case 0x28: read_sectors(channel, be32(packet + 2), be16(packet + 7)); break;
	case 0x43: read_toc(channel, packet); break;
	case 0x46: get_configuration(channel, packet); break;
	case 0x4a: get_event_status(channel, packet); break;
	case 0x51: read_disc_information(channel, packet); break;
	case 0x5a: mode_sense(channel, packet); break;
	case 0xa8: read_sectors(channel, be32(packet + 2), be32(packet + 6)); break;
	case 0xbd: mechanism_status(channel, packet); break;
	case 0xbe: read_cd(channel, packet); break;
	default: ide_atapi_fail(channel, SENSE_ILLEGAL_REQUEST, CODE_INVALID_COMMAND); break;
	}
}

static void identify_packet(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint8_t *data = channel->buffer;

	memset(data, 0, IDE_SECTOR);
	store_le16(data, 0x85c0); /* ATAPI CD-ROM, removable, 12-byte packets, DRQ within 50 us */
	ide_string(data + 20, "LM-CD", 20);
	ide_string(data + 46, "1.0", 8);
	ide_string(data + 54, "Limen CD-ROM", 40);
	store_le16(data + 2 * 49, 0x0f00);
	store_le16(data + 2 * 53, 7);
	store_le16(data + 2 * 64, 0x03);
	for (unsigned int i = 65; i <= 68; i++) {
		store_le16(data + 2 * i, 120);
	}
	store_le16(data + 2 * 80, 0xf0);
	store_le16(data + 2 * 82, 0x0210); /* PACKET, DEVICE RESET */
	store_le16(data + 2 * 85, 0x0210);
	ide_put_modes(drive, data);
	channel->remaining = 0;
	channel->sector = 0;
	ide_offer(channel, IDE_PIO_IN, IDE_SECTOR);
	ide_interrupt(channel);
}

static void start_packet(struct ide_channel *channel)
{
	struct ide_drive *drive = ide_selected(channel);
	uint32_t limit = drive->lba[1] | (uint32_t)drive->lba[2] << 8;

	/* No limit, or an odd one: the largest even number of bytes that it allows. */
	channel->byte_limit = limit < 2 || limit == 0xffff ? 0xfffe : limit & ~1U;
	drive->count = ATAPI_REASON_CD;
	ide_offer(channel, IDE_PACKET, ATAPI_PACKET_SIZE);
}

void ide_atapi_command(struct ide_channel *channel, uint8_t command)
{
	struct ide_drive *drive = ide_selected(channel);

	switch (command) {
	case 0x08: /* DEVICE RESET: no interrupt */
		ide_ata_reset(drive);
		channel->transfer = IDE_IDLE;
		break;
	case ATAPI_COMMAND_PACKET: start_packet(channel); break;
	case 0xa1: identify_packet(channel); break;
	case 0x90:
	case 0xef:
	case 0xe5:
	case 0xe0:
	case 0xe1: ide_ata_command(channel, command); break;
	case 0xec: /* IDENTIFY DEVICE: aborted, with the signature in the registers */
		drive->count = 1;
		drive->lba[0] = 1;
		drive->lba[1] = 0x14;
		drive->lba[2] = 0xeb;
		ide_finish(channel, IDE_ERROR_ABRT);
		break;
	default: ide_finish(channel, IDE_ERROR_ABRT); break;
	}
}
