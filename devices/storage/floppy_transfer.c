/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of the floppy controller that move data (82077AA datasheet, sections 5.1 and 7): READ
 * and WRITE DATA, READ TRACK, VERIFY, FORMAT TRACK.
 *
 * A command works on the sectors of one side at a time, in one request: from the first sector
 * wanted to the last one (EOT). The DMA controller's terminal count ends it earlier; without DMA
 * nothing does, and the command ends with "end of cylinder", as on PCs, whose TC pin belongs to
 * DMA.
 */

#include "floppy.h"

#define DMA_CHANNEL 2
#define DOR_GATE 0x08
#define SPECIFY_NON_DMA 0x01
#define MULTI_TRACK 0x80
#define VERIFY_COUNT 0x80
#define SIZE_512 2
#define HEADER_SIZE 4 /* of a sector in FORMAT TRACK: cylinder, head, sector, size */

static void next_side(struct floppy *floppy);

static struct floppy_drive *current_drive(struct floppy *floppy)
{
	return floppy_drive(floppy, floppy_unit(floppy));
}

static bool is_format(const struct floppy *floppy)
{
	return (floppy->command[0] & 0x1f) == FLOPPY_FORMAT_TRACK;
}

static bool multi_track(const struct floppy *floppy)
{
	return floppy->command[0] & MULTI_TRACK && !is_format(floppy);
}

static bool uses_dma(const struct floppy *floppy)
{
	return !(floppy->specify[1] & SPECIFY_NON_DMA);
}

/* ------- the result phase ------- */

/* Where the next sector is when the last one of a side has been moved, table 5-9. */
static void wrap_position(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;

	if (t->sector <= t->last) {
		return;
	}
	t->sector = 1;
	if (multi_track(floppy)) {
		t->head ^= 1;
	}
	if (!multi_track(floppy) || !t->head) {
		t->cylinder++;
	}
}

void floppy_end(struct floppy *floppy, uint8_t st0, uint8_t st1, uint8_t st2)
{
	struct floppy_transfer *t = &floppy->transfer;
	uint8_t *r = floppy->result;

	r[0] = (uint8_t)(st0 | (floppy->command[1] & 7));
	r[1] = st1;
	r[2] = st2;
	r[3] = t->cylinder;
	r[4] = t->head;
	r[5] = t->sector;
	r[6] = SIZE_512;
	floppy->size = 0;
	floppy->position = 0;
	floppy_reply(floppy, 7);
	floppy_interrupt(floppy);
}

static void fail(struct floppy *floppy, uint8_t st1, uint8_t st2)
{
	floppy_end(floppy, FLOPPY_ST0_ABNORMAL, st1, st2);
}

static void succeed(struct floppy *floppy)
{
	wrap_position(floppy);
	floppy_end(floppy, 0, 0, 0);
}

bool floppy_can_read(struct floppy *floppy)
{
	const struct floppy_geometry *g = floppy_geometry(current_drive(floppy));

	if (!g || !(g->rates >> floppy->rate & 1) || floppy_head(floppy) >= g->heads ||
	    current_drive(floppy)->track >= g->cylinders) {
		fail(floppy, FLOPPY_ST1_MISSING_ADDRESS, 0);
		return false;
	}
	return true;
}

/* ------- requests to the image ------- */

static uint64_t image_offset(struct floppy *floppy, uint8_t head, uint8_t sector)
{
	const struct floppy_drive *drive = current_drive(floppy);
	const struct floppy_geometry *g = floppy_geometry(drive);

	return (((uint64_t)drive->track * g->heads + head) * g->sectors + sector - 1) *
	       FLOPPY_SECTOR;
}

/* All sectors of a side have been moved, and the command wants more. */
static void side_done(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;
	const struct floppy_geometry *g = floppy_geometry(current_drive(floppy));

	if (!g || t->last > g->sectors) {
		fail(floppy, FLOPPY_ST1_NO_DATA, 0);
	} else if (multi_track(floppy) && !t->head && g->heads > 1) {
		t->head = 1;
		t->sector = 1;
		next_side(floppy);
	} else {
		wrap_position(floppy);
		fail(floppy, FLOPPY_ST1_END_OF_CYLINDER, 0);
	}
}

static void chunk_done(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;

	t->sector = (uint8_t)(t->sector + t->count);
	if (t->terminal) {
		succeed(floppy);
	} else if (t->overrun) {
		fail(floppy, FLOPPY_ST1_OVERRUN, 0);
	} else {
		side_done(floppy);
	}
}

/* The sectors that the guest wants are in the buffer. */
static void chunk_read(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;
	size_t size = (size_t)t->count * FLOPPY_SECTOR;
	size_t moved = 0;

	if (!uses_dma(floppy)) {
		floppy->phase = FLOPPY_PIO_IN;
		floppy->size = (uint32_t)size;
		floppy->position = 0;
		floppy_set_interrupt(floppy, true);
		return;
	}
	if (floppy->dor & DOR_GATE) {
		moved = isa_dma_to_guest(floppy->dma, DMA_CHANNEL, floppy->buffer, size,
					 &t->terminal);
	}
	t->overrun = moved < size && !t->terminal;
	t->count = (uint8_t)((moved + FLOPPY_SECTOR - 1) / FLOPPY_SECTOR);
	chunk_done(floppy);
}

static void chunk_written(struct floppy *floppy)
{
	if (is_format(floppy)) {
		floppy_end(floppy, 0, 0, 0);
	} else {
		chunk_done(floppy);
	}
}

static void request_done(struct block_request *request, int result)
{
	struct floppy *floppy = request->opaque;

	pthread_mutex_lock(&floppy->dev.lock);
	floppy->active = false;
	if (floppy->reset_pending) {
		floppy_reset_core(floppy);
	} else if (result < 0) {
		fail(floppy, FLOPPY_ST1_DATA_ERROR, FLOPPY_ST2_DATA_ERROR);
	} else if (request->op == BLOCK_READ) {
		chunk_read(floppy);
	} else {
		chunk_written(floppy);
	}
	pthread_mutex_unlock(&floppy->dev.lock);
}

static void submit(struct floppy *floppy, enum block_op op, uint64_t offset, uint64_t size)
{
	floppy->phase = FLOPPY_EXECUTE;
	floppy->active = true;
	floppy->iov = (struct iovec){ floppy->buffer, size };
	floppy->request = (struct block_request){
		.op = op,
		.offset = offset,
		.size = size,
		.iov = &floppy->iov,
		.iov_count = 1,
		.done = request_done,
		.opaque = floppy,
	};
	block_submit(current_drive(floppy)->block, &floppy->request);
}

/* Read @size bytes; what the image lacks are zeroes. */
static void read_image(struct floppy *floppy, uint64_t offset, uint64_t size)
{
	uint64_t total = block_size(current_drive(floppy)->block);
	uint64_t there = offset < total ? MIN(size, total - offset) : 0;

	memset(floppy->buffer + there, 0, size - there);
	if (there) {
		submit(floppy, BLOCK_READ, offset, there);
	} else {
		chunk_read(floppy);
	}
}

/* Write @size bytes; beyond the end of the image the block layer refuses them. */
static void write_image(struct floppy *floppy, uint64_t offset, uint64_t size)
{
	submit(floppy, BLOCK_WRITE, offset, size);
}

/* ------- reading and writing ------- */

static bool writes(const struct floppy *floppy)
{
	uint8_t code = floppy->command[0] & 0x1f;

	return code == 0x05 || code == 0x09 || is_format(floppy);
}

/* Have @size bytes from the guest, by DMA at once or through the FIFO. Return: whether they are
 * there. */
static bool fetch(struct floppy *floppy, size_t size, size_t *ret_moved)
{
	if (!uses_dma(floppy)) {
		floppy->phase = FLOPPY_PIO_OUT;
		floppy->size = (uint32_t)size;
		floppy->position = 0;
		floppy_set_interrupt(floppy, true);
		return false;
	}
	*ret_moved = 0;
	if (floppy->dor & DOR_GATE) {
		*ret_moved = isa_dma_from_guest(floppy->dma, DMA_CHANNEL, floppy->buffer, size,
						&floppy->transfer.terminal);
	}
	return true;
}

static void write_chunk(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;

	write_image(floppy, image_offset(floppy, t->head, t->sector),
		    (uint64_t)t->count * FLOPPY_SECTOR);
}

static void start_write(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;
	size_t size = (size_t)t->count * FLOPPY_SECTOR;
	size_t moved;

	if (!fetch(floppy, size, &moved)) {
		return;
	}
	if (!moved) {
		fail(floppy, FLOPPY_ST1_OVERRUN, 0);
		return;
	}
	/* A sector that was begun is filled with zeroes. */
	t->overrun = moved < size && !t->terminal;
	t->count = (uint8_t)((moved + FLOPPY_SECTOR - 1) / FLOPPY_SECTOR);
	write_chunk(floppy);
}

/* Begin with the sectors of the side where the transfer has arrived. */
static void next_side(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;
	const struct floppy_geometry *g = floppy_geometry(current_drive(floppy));
	uint8_t last = g ? MIN(t->last, g->sectors) : 0;

	if (!t->sector || t->sector > last) {
		fail(floppy, FLOPPY_ST1_NO_DATA, 0);
		return;
	}
	t->count = (uint8_t)(last - t->sector + 1);
	t->terminal = false;
	t->overrun = false;
	if (writes(floppy)) {
		start_write(floppy);
	} else {
		read_image(floppy, image_offset(floppy, t->head, t->sector),
			   (uint64_t)t->count * FLOPPY_SECTOR);
	}
}

/* Take the parameters of a command, seek where that is implied, and check them against the disk. */
static bool prepare(struct floppy *floppy)
{
	struct floppy_drive *drive = current_drive(floppy);
	const uint8_t *p = floppy->command;

	floppy->transfer = (struct floppy_transfer){
		.cylinder = p[2], .head = p[3], .sector = p[4], .last = p[6]
	};
	if (drive && floppy->config & FLOPPY_CONFIG_IMPLIED_SEEK) {
		floppy_step(drive, p[2]);
	}
	if (!floppy_can_read(floppy)) {
		return false;
	}
	if (p[5] != SIZE_512 || p[3] != floppy_head(floppy)) {
		fail(floppy, FLOPPY_ST1_NO_DATA, 0);
		return false;
	}
	if (p[2] != drive->track) {
		fail(floppy, FLOPPY_ST1_NO_DATA, FLOPPY_ST2_WRONG_CYLINDER);
		return false;
	}
	if (writes(floppy) && block_readonly(drive->block)) {
		fail(floppy, FLOPPY_ST1_NOT_WRITABLE, 0);
		return false;
	}
	return true;
}

void floppy_read_data(struct floppy *floppy)
{
	if (prepare(floppy)) {
		next_side(floppy);
	}
}

void floppy_write_data(struct floppy *floppy)
{
	if (prepare(floppy)) {
		next_side(floppy);
	}
}

/* READ DELETED DATA finds none. */
void floppy_read_deleted(struct floppy *floppy)
{
	if (prepare(floppy)) {
		fail(floppy, FLOPPY_ST1_NO_DATA, 0);
	}
}

/* READ TRACK: from the index on, whatever the sector wanted. */
void floppy_read_track(struct floppy *floppy)
{
	if (prepare(floppy)) {
		floppy->transfer.sector = 1;
		next_side(floppy);
	}
}

/* VERIFY: the sectors must be there; the image is as readable as it will ever be. */
void floppy_verify(struct floppy *floppy)
{
	struct floppy_transfer *t = &floppy->transfer;
	const struct floppy_geometry *g;
	unsigned int last;

	if (!prepare(floppy)) {
		return;
	}
	g = floppy_geometry(current_drive(floppy));
	last = t->last;
	if (floppy->command[1] & VERIFY_COUNT && !multi_track(floppy)) {
		last = t->sector + MAX(floppy->command[8], 1) - 1U;
	}
	if (!t->sector || t->sector > last || last > g->sectors) {
		fail(floppy, FLOPPY_ST1_NO_DATA, 0);
		return;
	}
	if (multi_track(floppy) && g->heads > 1) {
		t->head = 1;
	}
	t->sector = (uint8_t)(last + 1);
	succeed(floppy);
}

/* ------- formatting ------- */

/* The headers of a track's sectors are in the buffer. */
static void format(struct floppy *floppy)
{
	const struct floppy_geometry *g = floppy_geometry(current_drive(floppy));
	const struct floppy_drive *drive = current_drive(floppy);
	uint64_t found = 0;

	for (unsigned int i = 0; g && i < g->sectors; i++) {
		const uint8_t *header = floppy->buffer + (size_t)HEADER_SIZE * i;

		if (header[0] == drive->track && header[1] == floppy_head(floppy) && header[2] &&
		    header[2] <= g->sectors && header[3] == SIZE_512) {
			found |= BIT(header[2] - 1);
		}
	}
	if (!g || found != BIT(g->sectors) - 1) {
		/* An image has no room for tracks of another kind. */
		fail(floppy, FLOPPY_ST1_MISSING_ADDRESS, 0);
		return;
	}
	memset(floppy->buffer, floppy->command[5], (size_t)g->sectors * FLOPPY_SECTOR);
	write_image(floppy, image_offset(floppy, floppy_head(floppy), 1),
		    (uint64_t)g->sectors * FLOPPY_SECTOR);
}

void floppy_format_track(struct floppy *floppy)
{
	struct floppy_drive *drive = current_drive(floppy);
	uint8_t sectors = floppy->command[3];
	size_t moved;

	floppy->transfer = (struct floppy_transfer){
		.cylinder = drive ? drive->track : 0,
		.head = floppy_head(floppy),
		.sector = 1,
		.last = sectors,
	};
	if (!floppy_can_read(floppy)) {
		return;
	}
	if (block_readonly(drive->block)) {
		fail(floppy, FLOPPY_ST1_NOT_WRITABLE, 0);
		return;
	}
	if (floppy->command[2] != SIZE_512 || sectors != floppy_geometry(drive)->sectors) {
		fail(floppy, FLOPPY_ST1_MISSING_ADDRESS, 0);
		return;
	}
	if (!fetch(floppy, (size_t)sectors * HEADER_SIZE, &moved)) {
		return;
	}
	if (moved < (size_t)sectors * HEADER_SIZE) {
		fail(floppy, FLOPPY_ST1_OVERRUN, 0);
		return;
	}
	format(floppy);
}

void floppy_data_moved(struct floppy *floppy)
{
	bool out = floppy->phase == FLOPPY_PIO_OUT;

	floppy->size = 0;
	floppy->position = 0;
	if (out && is_format(floppy)) {
		format(floppy);
	} else if (!floppy_can_read(floppy)) {
		return; /* the disk was taken out meanwhile */
	} else if (out) {
		write_chunk(floppy);
	} else {
		chunk_done(floppy);
	}
}
