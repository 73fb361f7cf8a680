/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IDE controller's bus master (SFF-8038i revision 1.0; Intel 82371SB datasheet, section 2.7):
 * its registers, and copying between a channel's buffer and the guest's memory by the table of
 * physical regions (PRD). The direction that the guest sets is not looked at: the command says
 * it.
 */

#include "ide.h"

#define BM_COMMAND_START 0x01
#define BM_COMMAND_READ 0x08 /* from disk to memory */
#define BM_STATUS_ACTIVE 0x01
#define BM_STATUS_ERROR 0x02
#define BM_STATUS_CAPABLE 0x60

#define SENSE_HARDWARE_ERROR 4
#define CODE_COMMUNICATION_FAILURE 0x08

/* Fetch the next entry of the table; false at its end. */
static bool next_prd(struct ide_channel *channel)
{
	struct ide_prd *prd = &channel->prd;
	uint64_t entry;

	if (prd->last || guest_mem_read(channel->ide->pci.dev.env.memory, prd->next, &entry,
					sizeof(entry)) < 0) {
		return false;
	}
	prd->next += 8;
	prd->address = (uint32_t)entry & ~1U;
	prd->left = (uint32_t)(entry >> 32) & 0xfffe;
	prd->left = prd->left ? prd->left : 0x10000;
	prd->last = entry >> 63;
	return true;
}

bool ide_dma_copy(struct ide_channel *channel, bool to_guest, uint32_t size)
{
	struct guest_memory *memory = channel->ide->pci.dev.env.memory;
	struct ide_prd *prd = &channel->prd;
	uint32_t done = 0;

	if (!pci_dma_enabled(&channel->ide->pci) || !(channel->bm_status & BM_STATUS_ACTIVE)) {
		return false;
	}
	while (done < size) {
		uint32_t n;
		int ret;

		if (!prd->left && !next_prd(channel)) {
			return false;
		}
		n = MIN(prd->left, size - done);
		ret = to_guest ? guest_mem_write(memory, prd->address, channel->buffer + done, n)
			       : guest_mem_read(memory, prd->address, channel->buffer + done, n);
		if (ret < 0) {
			return false;
		}
		prd->address += n;
		prd->left -= n;
		done += n;
	}
	return true;
}

void ide_dma_done(struct ide_channel *channel, bool failed)
{
	if (failed || (channel->prd.last && !channel->prd.left)) {
		channel->bm_status &= (uint8_t)~BM_STATUS_ACTIVE;
	}
	if (failed && (channel->transfer == IDE_DMA_IN || channel->transfer == IDE_DMA_OUT)) {
		channel->bm_status |= BM_STATUS_ERROR;
	}
}

void ide_dma_fail(struct ide_channel *channel)
{
	ide_dma_done(channel, true);
	if (ide_selected(channel)->cdrom) {
		ide_atapi_fail(channel, SENSE_HARDWARE_ERROR, CODE_COMMUNICATION_FAILURE);
	} else {
		ide_finish(channel, IDE_ERROR_ABRT);
	}
}

void ide_dma_begin(struct ide_channel *channel)
{
	ide_selected(channel)->status = IDE_STATUS_DRDY | IDE_STATUS_DSC | IDE_STATUS_DRQ;
	if (channel->bm_status & BM_STATUS_ACTIVE) {
		ide_next_chunk(channel);
	} else {
		channel->waiting_dma = true;
	}
}

static void write_bm_command(struct ide_channel *channel, uint8_t value)
{
	bool start = value & BM_COMMAND_START && !(channel->bm_command & BM_COMMAND_START);

	channel->bm_command = value & (BM_COMMAND_START | BM_COMMAND_READ);
	if (!(value & BM_COMMAND_START)) {
		channel->bm_status &= (uint8_t)~BM_STATUS_ACTIVE;
		return;
	}
	if (!start) {
		return;
	}
	channel->bm_status |= BM_STATUS_ACTIVE;
	channel->prd = (struct ide_prd){ .next = channel->bm_table };
	if (channel->waiting_dma) {
		channel->waiting_dma = false;
		ide_next_chunk(channel);
	}
}

static uint8_t bm_byte(const struct ide_channel *channel, unsigned int reg)
{
	switch (reg) {
	case 0: return channel->bm_command;
	case 2: return channel->bm_status | BM_STATUS_CAPABLE;
	case 4:
	case 5:
	case 6:
	case 7: return (uint8_t)(channel->bm_table >> (8 * (reg - 4)));
	default: return 0;
	}
}

static uint64_t bm_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ide *ide = opaque;
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		const struct ide_channel *channel = &ide->channels[(offset + i) / 8];

		value |= (uint64_t)bm_byte(channel, (offset + i) % 8) << (8 * i);
	}
	return value;
}

static void bm_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ide *ide = opaque;

	for (unsigned int i = 0; i < size; i++) {
		struct ide_channel *channel = &ide->channels[(offset + i) / 8];
		unsigned int reg = (offset + i) % 8;
		uint8_t byte = (uint8_t)(value >> (8 * i));

		if (reg == 0) {
			write_bm_command(channel, byte);
		} else if (reg == 2) {
			channel->bm_status &=
				(uint8_t) ~(byte & (BM_STATUS_ERROR | IDE_BM_IRQ));
		} else if (reg >= 4) {
			uint32_t mask = 0xffU << (8 * (reg - 4));

			channel->bm_table = (channel->bm_table & ~mask) |
					    ((uint32_t)byte << (8 * (reg - 4)) & ~3U);
		}
	}
}

const struct io_ops ide_bm_ops = { bm_read, bm_write, .min_size = 1, .max_size = 4 };
