/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two 8259A interrupt controllers of a PC: Intel's 8259A data sheet (order 231468) and ICH9's
 * datasheet, section 13.4. Master at ports 20h/21h, slave at A0h/A1h on the master's IR2,
 * edge/level control (ELCR) at 4D0h/4D1h.
 *
 * An edge is latched until it is acknowledged, also when the pin drops before: devices may signal
 * with a pulse. A level request follows its pin; when it goes away between INTR and the acknowledge
 * cycle, the CPU gets the spurious vector 7 (or 15 from the slave) and no in-service bit is set.
 *
 * Left out, because ICH9 leaves it out: single mode, the 8080/85 vector format, buffered mode, and
 * LTIM, which the ELCR replaces.
 */

#include "bus/chipset.h"

#include <assert.h>

#define ICW1_MARK BIT(4)
#define ICW1_IC4 BIT(0)
#define ICW4_AEOI BIT(1)
#define ICW4_SFNM BIT(4)
#define OCW3_MARK BIT(3)
#define OCW3_POLL BIT(2)

#define CASCADE 2
#define NOTHING 8 /* "no level": one past the lowest priority */

enum init_step {
	INIT_DONE,
	INIT_ICW2,
	INIT_ICW3,
	INIT_ICW4,
};

struct pic_chip {
	uint8_t lines; /* what the pins are at */
	uint8_t irr;
	uint8_t imr;
	uint8_t isr;
	uint8_t elcr;
	uint8_t highest; /* the level that has the highest priority now */
	uint8_t vector_base;
	uint8_t init_step;
	bool icw4_follows;
	bool read_isr;
	bool poll;
	bool special_mask;
	bool special_nested;
	bool auto_eoi;
	bool rotate_auto;
};

struct pic {
	struct device dev;
	struct pic_chip chips[2]; /* master, slave */
	bool intr;
	bool dropped; /* INTR fell with no acknowledge since it rose */
	struct io_region regions[3];
};

static const struct device_ops pic_ops;

static struct pic *pic_from_device(struct device *dev)
{
	assert(dev->ops == &pic_ops);
	return container_of(dev, struct pic, dev);
}

/* How many levels stand before the first of @set; NOTHING when it is empty. */
static unsigned int distance(const struct pic_chip *chip, uint8_t set)
{
	unsigned int turned = set >> chip->highest | (unsigned int)set << (8 - chip->highest);

	turned &= 0xff;
	return turned ? (unsigned int)__builtin_ctz(turned) : NOTHING;
}

/* The level that asks for service and is not held back, or -1. */
static int pending_level(const struct pic *pic, const struct pic_chip *chip)
{
	unsigned int wants = distance(chip, chip->irr & ~chip->imr);
	uint8_t holding = chip->isr;

	if (chip->special_mask) {
		holding &= ~chip->imr;
	}
	/* The master must let a higher request of the same slave through, 8259A "special fully
	 * nested mode". */
	if (chip->special_nested && chip == &pic->chips[0]) {
		holding &= ~BIT(CASCADE);
	}
	if (wants >= distance(chip, holding)) {
		return -1;
	}
	return (wants + chip->highest) & 7;
}

static void update_locked(struct pic *pic)
{
	bool intr;

	if (pending_level(pic, &pic->chips[1]) >= 0) {
		pic->chips[0].irr |= BIT(CASCADE);
	}
	intr = pending_level(pic, &pic->chips[0]) >= 0;
	if (intr == pic->intr) {
		return;
	}
	pic->intr = intr;
	pic->dropped = !intr;
	irq_set(&pic->dev.env.output, intr);
}

/* The first INTA cycle (or a poll) on @chip for @level. */
static void acknowledge(struct pic_chip *chip, unsigned int level)
{
	if (!(chip->elcr & BIT(level))) {
		chip->irr &= ~BIT(level);
	}
	if (!chip->auto_eoi) {
		chip->isr |= BIT(level);
	} else if (chip->rotate_auto) {
		chip->highest = (level + 1) & 7;
	}
}

static int intack_locked(struct pic *pic)
{
	struct pic_chip *master = &pic->chips[0];
	struct pic_chip *slave = &pic->chips[1];
	int level = pending_level(pic, master);
	bool spurious = level < 0 && pic->dropped;
	int vector;

	if (level < 0) {
		pic->dropped = false;
		return spurious ? master->vector_base + 7 : -1;
	}
	acknowledge(master, (unsigned int)level);
	vector = master->vector_base + level;
	if (level == CASCADE) {
		level = pending_level(pic, slave);
		if (level >= 0) {
			acknowledge(slave, (unsigned int)level);
		}
		vector = slave->vector_base + (level >= 0 ? level : 7);
	}
	update_locked(pic);
	/* An acknowledged request is no spurious one, though INTR has fallen. */
	pic->dropped = false;
	return vector;
}

int pic_intack(struct device *dev)
{
	struct pic *pic = pic_from_device(dev);
	int vector;

	pthread_mutex_lock(&dev->lock);
	vector = intack_locked(pic);
	pthread_mutex_unlock(&dev->lock);
	return vector;
}

static void set_pin(void *opaque, unsigned int n, bool level)
{
	struct pic *pic = opaque;
	struct pic_chip *chip = &pic->chips[n >> 3];
	uint8_t bit = BIT(n & 7);

	pthread_mutex_lock(&pic->dev.lock);
	if (level && !(chip->lines & bit)) {
		chip->irr |= bit;
	} else if (!level && chip->elcr & bit) {
		chip->irr &= ~bit;
	}
	chip->lines = level ? chip->lines | bit : chip->lines & ~bit;
	update_locked(pic);
	pthread_mutex_unlock(&pic->dev.lock);
}

struct irq_line pic_input(struct device *dev, unsigned int n)
{
	struct pic *pic = pic_from_device(dev);

	assert(n < 16);
	if (n == CASCADE) {
		return (struct irq_line){ 0 };
	}
	return (struct irq_line){ .set = set_pin, .opaque = pic, .n = n };
}

/* ---- commands ---- */

static void write_icw1(struct pic_chip *chip, uint8_t value)
{
	/* Only a new edge counts from here on; level requests are still there. */
	chip->irr = chip->lines & chip->elcr;
	chip->imr = 0;
	chip->isr = 0;
	chip->highest = 0;
	chip->read_isr = false;
	chip->poll = false;
	chip->special_mask = false;
	chip->special_nested = false;
	chip->auto_eoi = false;
	chip->rotate_auto = false;
	chip->icw4_follows = value & ICW1_IC4;
	chip->init_step = INIT_ICW2;
}

/* The in-service level that an unspecific EOI ends, or -1. */
static int level_to_end(const struct pic_chip *chip)
{
	uint8_t ending = chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
	unsigned int n = distance(chip, ending);

	return n == NOTHING ? -1 : (int)((n + chip->highest) & 7);
}

static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
	bool rotate = value & BIT(7);
	bool specific = value & BIT(6);
	bool eoi = value & BIT(5);
	int level = value & 7;

	if (!eoi && !specific) {
		chip->rotate_auto = rotate;
		return;
	}
	if (!eoi && !rotate) {
		return; /* "no operation" */
	}
	if (!specific) {
		level = level_to_end(chip);
		if (level < 0) {
			return;
		}
	}
	if (eoi) {
		chip->isr &= ~BIT(level);
	}
	if (rotate) {
		chip->highest = (level + 1) & 7;
	}
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
	if (value & BIT(6)) {
		chip->special_mask = value & BIT(5);
	}
	chip->poll = value & OCW3_POLL;
	if (!chip->poll && value & BIT(1)) {
		chip->read_isr = value & BIT(0);
	}
}

static void write_data(struct pic_chip *chip, uint8_t value)
{
	switch (chip->init_step) {
	case INIT_ICW2:
		chip->vector_base = value & 0xf8;
		chip->init_step = INIT_ICW3;
		break;
	case INIT_ICW3:
		/* The cascade is wired to IR2, whatever is written. */
		chip->init_step = chip->icw4_follows ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW4:
		chip->special_nested = value & ICW4_SFNM;
		chip->auto_eoi = value & ICW4_AEOI;
		chip->init_step = INIT_DONE;
		break;
	default:
		chip->imr = value;
		break;
	}
}

static void chip_write(struct pic *pic, struct pic_chip *chip, uint64_t offset, uint8_t value)
{
	if (offset == 1) {
		write_data(chip, value);
	} else if (value & ICW1_MARK) {
		write_icw1(chip, value);
	} else if (value & OCW3_MARK) {
		write_ocw3(chip, value);
	} else {
		write_ocw2(chip, value);
	}
	update_locked(pic);
}

/* A read after a poll command acknowledges, as an INTA cycle would. */
static uint8_t chip_poll(struct pic *pic, struct pic_chip *chip)
{
	int level = pending_level(pic, chip);

	chip->poll = false;
	if (level < 0) {
		return 0;
	}
	acknowledge(chip, (unsigned int)level);
	update_locked(pic);
	pic->dropped = false;
	return 0x80 | level;
}

static uint8_t chip_read(struct pic *pic, struct pic_chip *chip, uint64_t offset)
{
	if (chip->poll) {
		return chip_poll(pic, chip);
	}
	if (offset == 1) {
		return chip->imr;
	}
	return chip->read_isr ? chip->isr : chip->irr;
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pic *pic = opaque;

	return chip_read(pic, &pic->chips[0], offset);
}

static void master_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pic *pic = opaque;

	chip_write(pic, &pic->chips[0], offset, (uint8_t)value);
}

static uint64_t slave_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pic *pic = opaque;

	return chip_read(pic, &pic->chips[1], offset);
}

static void slave_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pic *pic = opaque;

	chip_write(pic, &pic->chips[1], offset, (uint8_t)value);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pic *pic = opaque;

	return pic->chips[offset].elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	/* ICH9 13.4.9/10: IRQ 0, 1, 2, 8 and 13 are always edges. */
	static const uint8_t changeable[2] = { 0xf8, 0xde };
	struct pic *pic = opaque;
	struct pic_chip *chip = &pic->chips[offset];

	chip->elcr = (uint8_t)value & changeable[offset];
	chip->irr = (chip->irr & ~chip->elcr) | (chip->lines & chip->elcr);
	update_locked(pic);
}

static const struct io_ops master_io = {
	.read = master_read,
	.write = master_write,
	.max_size = 1,
};
static const struct io_ops slave_io = { .read = slave_read, .write = slave_write, .max_size = 1 };
static const struct io_ops elcr_io = { .read = elcr_read, .write = elcr_write, .max_size = 1 };

/* ---- life ---- */

static void pic_destroy(struct device *dev)
{
	struct pic *pic = pic_from_device(dev);

	for (size_t i = 0; i < ARRAY_SIZE(pic->regions); i++) {
		io_region_unmap(&pic->regions[i]);
	}
}

static int pic_create(struct device *dev, struct error *err)
{
	static const struct {
		const char *name;
		const struct io_ops *ops;
		uint16_t port;
	} places[3] = {
		{ "pic-master", &master_io, 0x20 },
		{ "pic-slave", &slave_io, 0xa0 },
		{ "pic-elcr", &elcr_io, 0x4d0 },
	};
	struct pic *pic = pic_from_device(dev);

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct io_region *region = &pic->regions[i];
		int rc;

		io_region_init(region, places[i].name, places[i].ops, pic, &dev->lock, 2);
		rc = io_region_map(region, dev->env.ports, places[i].port);
		if (rc < 0) {
			pic_destroy(dev);
			return error_set(err, -rc, "cannot map the ports of %s", places[i].name);
		}
	}
	return 0;
}

/* The pins stay what the devices that drive them say. */
static void pic_reset(struct device *dev, enum reset_kind kind)
{
	struct pic *pic = pic_from_device(dev);

	for (size_t i = 0; i < ARRAY_SIZE(pic->chips); i++) {
		pic->chips[i] = (struct pic_chip){ .lines = pic->chips[i].lines };
	}
	update_locked(pic);
	pic->dropped = false;
}

/* ---- saved state ---- */

static int chip_post_load(void *base, struct error *err)
{
	struct pic_chip *chip = base;

	if (chip->highest > 7 || chip->init_step > INIT_ICW4 || chip->vector_base & 7) {
		return error_set(err, EINVAL, "an interrupt controller chip in no possible state");
	}
	return 0;
}

static int pic_post_load(void *base, struct error *err)
{
	struct pic *pic = base;

	if (pic->chips[0].elcr & ~0xf8 || pic->chips[1].elcr & ~0xde ||
	    pic->intr != (pending_level(pic, &pic->chips[0]) >= 0)) {
		return error_set(err, EINVAL, "the interrupt controllers contradict each other");
	}
	irq_set(&pic->dev.env.output, pic->intr);
	return 0;
}

static const struct state_field chip_fields[] = {
	STATE_FIELD(struct pic_chip, lines),
	STATE_FIELD(struct pic_chip, irr),
	STATE_FIELD(struct pic_chip, imr),
	STATE_FIELD(struct pic_chip, isr),
	STATE_FIELD(struct pic_chip, elcr),
	STATE_FIELD(struct pic_chip, highest),
	STATE_FIELD(struct pic_chip, vector_base),
	STATE_FIELD(struct pic_chip, init_step),
	STATE_FIELD_BOOL(struct pic_chip, icw4_follows),
	STATE_FIELD_BOOL(struct pic_chip, read_isr),
	STATE_FIELD_BOOL(struct pic_chip, poll),
	STATE_FIELD_BOOL(struct pic_chip, special_mask),
	STATE_FIELD_BOOL(struct pic_chip, special_nested),
	STATE_FIELD_BOOL(struct pic_chip, auto_eoi),
	STATE_FIELD_BOOL(struct pic_chip, rotate_auto),
	STATE_FIELDS_END,
};

static const struct state_table chip_state = {
	.version = 1,
	.fields = chip_fields,
	.post_load = chip_post_load,
};

static const struct state_field pic_fields[] = {
	STATE_FIELD_STRUCT(struct pic, chips, 2, &chip_state),
	STATE_FIELD_BOOL(struct pic, intr),
	STATE_FIELD_BOOL(struct pic, dropped),
	STATE_FIELDS_END,
};

static const struct state_table pic_state = {
	.version = 1,
	.fields = pic_fields,
	.post_load = pic_post_load,
};

static const struct device_ops pic_ops = {
	.name = "pic",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct pic),
	.state = &pic_state,
	.create = pic_create,
	.destroy = pic_destroy,
	.reset = pic_reset,
};
DEVICE_REGISTER(pic_ops);
