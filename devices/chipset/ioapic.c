/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O APIC: Intel's 82093AA data sheet (order 290566), with the EOI register of the one in ICH9
 * (version 20h; ICH9 datasheet, section 13.5), at FEC00000h. 24 pins, each with a redirection entry
 * that turns its edges or level into a message for the local APICs (SDM vol. 3, 11.11).
 *
 * A level stays noted in Remote IRR from its message until a local APIC, or the guest through the
 * EOI register, ends the vector; if the pin is still high then, another message is sent. An edge on
 * a masked pin is lost, as the data sheet says.
 *
 * Polarity bits only remember: the wires of this board carry "asserted", not volts. There is no
 * APIC bus, so the arbitration id is but a register, and delivery is never pending.
 */

#include "bus/chipset.h"

#include <assert.h>

#define IOAPIC_BASE UINT64_C(0xfec00000)
#define IOAPIC_PINS 24
#define IOAPIC_VERSION (0x20 | (IOAPIC_PINS - 1) << 16)

/* Memory-mapped registers. */
#define IOREGSEL 0x00
#define IOWIN 0x10
#define EOIR 0x40

/* Redirection entry, 82093AA section 3.2.4. */
#define REDIR_VECTOR UINT64_C(0xff)
#define REDIR_LOGICAL BIT(11)
#define REDIR_STATUS BIT(12)
#define REDIR_REMOTE_IRR BIT(14)
#define REDIR_LEVEL BIT(15)
#define REDIR_MASKED BIT(16)
#define REDIR_WRITABLE (UINT64_C(0xff0000000001ffff) & ~(REDIR_STATUS | REDIR_REMOTE_IRR))

struct ioapic {
	struct device dev;
	uint32_t lines;
	uint8_t select;
	uint8_t id;
	uint64_t redir[IOAPIC_PINS];
	struct io_region region;
};

static const struct device_ops ioapic_ops;

static struct ioapic *ioapic_from_device(struct device *dev)
{
	assert(dev->ops == &ioapic_ops);
	return container_of(dev, struct ioapic, dev);
}

/* The message of an entry, SDM vol. 3, 11.11.1 and 11.11.2. */
static struct msi_message entry_message(uint64_t entry)
{
	struct msi_message msg = {
		.address = UINT64_C(0xfee00000) | (entry >> 56) << 12,
		.data = (uint32_t)(entry & 0x7ff),
	};

	if (entry & REDIR_LOGICAL) {
		msg.address |= BIT(2);
	}
	if (entry & REDIR_LEVEL) {
		msg.data |= BIT(15) | BIT(14);
	}
	return msg;
}

static void send_locked(struct ioapic *ioapic, unsigned int n)
{
	struct msi_message msg = entry_message(ioapic->redir[n]);
	struct msi_sink *sink = ioapic->dev.env.msi;

	if (sink) {
		sink->deliver(sink, &msg);
	}
}

/* Deliver the level of pin @n if it is up and nobody is serving it. */
static void service_level_locked(struct ioapic *ioapic, unsigned int n)
{
	uint64_t entry = ioapic->redir[n];

	if (!(ioapic->lines & BIT(n)) || !(entry & REDIR_LEVEL) ||
	    entry & (REDIR_MASKED | REDIR_REMOTE_IRR)) {
		return;
	}
	ioapic->redir[n] |= REDIR_REMOTE_IRR;
	send_locked(ioapic, n);
}

static void set_pin(void *opaque, unsigned int n, bool level)
{
	struct ioapic *ioapic = opaque;
	bool rises;

	pthread_mutex_lock(&ioapic->dev.lock);
	rises = level && !(ioapic->lines & BIT(n));
	ioapic->lines = level ? ioapic->lines | BIT(n) : ioapic->lines & ~BIT(n);
	if (ioapic->redir[n] & REDIR_LEVEL) {
		service_level_locked(ioapic, n);
	} else if (rises && !(ioapic->redir[n] & REDIR_MASKED)) {
		send_locked(ioapic, n);
	}
	pthread_mutex_unlock(&ioapic->dev.lock);
}

struct irq_line ioapic_input(struct device *dev, unsigned int n)
{
	struct ioapic *ioapic = ioapic_from_device(dev);

	assert(n < IOAPIC_PINS);
	return (struct irq_line){ .set = set_pin, .opaque = ioapic, .n = n };
}

static void end_vector_locked(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned int n = 0; n < IOAPIC_PINS; n++) {
		uint64_t entry = ioapic->redir[n];

		if (entry & REDIR_REMOTE_IRR && (entry & REDIR_VECTOR) == vector) {
			ioapic->redir[n] &= ~REDIR_REMOTE_IRR;
			service_level_locked(ioapic, n);
		}
	}
}

void ioapic_eoi(struct device *dev, uint8_t vector)
{
	struct ioapic *ioapic = ioapic_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	end_vector_locked(ioapic, vector);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- registers ---- */

static uint32_t window_read(const struct ioapic *ioapic)
{
	unsigned int n = (ioapic->select - 0x10u) / 2;

	switch (ioapic->select) {
	case 0x00:
	case 0x02: /* the arbitration id follows the id */
		return (uint32_t)ioapic->id << 24;
	case 0x01:
		return IOAPIC_VERSION;
	default:
		if (ioapic->select < 0x10 || n >= IOAPIC_PINS) {
			return 0xffffffff;
		}
		return (uint32_t)(ioapic->redir[n] >> (ioapic->select & 1 ? 32 : 0));
	}
}

static void redir_write(struct ioapic *ioapic, unsigned int n, bool high, uint32_t value)
{
	uint64_t old = ioapic->redir[n];
	uint64_t entry = high ? (old & 0xffffffff) | (uint64_t)value << 32 :
				(old & ~UINT64_C(0xffffffff)) | value;

	entry = (entry & REDIR_WRITABLE) | (old & REDIR_REMOTE_IRR);
	if (!(entry & REDIR_LEVEL)) {
		/* Systems clear a stuck Remote IRR by a turn through edge mode. */
		entry &= ~REDIR_REMOTE_IRR;
	}
	ioapic->redir[n] = entry;
	service_level_locked(ioapic, n);
}

static void window_write(struct ioapic *ioapic, uint32_t value)
{
	unsigned int n = (ioapic->select - 0x10u) / 2;

	if (ioapic->select == 0x00) {
		ioapic->id = value >> 24 & 0xf;
	} else if (ioapic->select >= 0x10 && n < IOAPIC_PINS) {
		redir_write(ioapic, n, ioapic->select & 1, value);
	}
}

static uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ioapic *ioapic = opaque;

	switch (offset) {
	case IOREGSEL:
		return ioapic->select;
	case IOWIN:
		return window_read(ioapic);
	default:
		return 0;
	}
}

static void ioapic_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ioapic *ioapic = opaque;

	switch (offset) {
	case IOREGSEL:
		ioapic->select = (uint8_t)value;
		break;
	case IOWIN:
		window_write(ioapic, (uint32_t)value);
		break;
	case EOIR:
		end_vector_locked(ioapic, (uint8_t)value);
		break;
	default:
		break;
	}
}

static const struct io_ops ioapic_io = {
	.read = ioapic_read,
	.write = ioapic_write,
	.min_size = 4,
	.max_size = 4,
	.widen_writes = true,
};

/* ---- life ---- */

static int ioapic_create(struct device *dev, struct error *err)
{
	struct ioapic *ioapic = ioapic_from_device(dev);
	int rc;

	io_region_init(&ioapic->region, "ioapic", &ioapic_io, ioapic, &dev->lock, 0x1000);
	rc = io_region_map(&ioapic->region, dev->env.mmio, IOAPIC_BASE);
	if (rc < 0) {
		return error_set(err, -rc, "cannot map the I/O APIC");
	}
	return 0;
}

static void ioapic_destroy(struct device *dev)
{
	io_region_unmap(&ioapic_from_device(dev)->region);
}

/* The pins stay what the devices that drive them say. */
static void ioapic_reset(struct device *dev, enum reset_kind kind)
{
	struct ioapic *ioapic = ioapic_from_device(dev);

	ioapic->select = 0;
	ioapic->id = 0;
	for (unsigned int n = 0; n < IOAPIC_PINS; n++) {
		ioapic->redir[n] = REDIR_MASKED;
	}
}

static int ioapic_post_load(void *base, struct error *err)
{
	struct ioapic *ioapic = base;

	for (unsigned int n = 0; n < IOAPIC_PINS; n++) {
		if (ioapic->redir[n] & ~(REDIR_WRITABLE | REDIR_REMOTE_IRR)) {
			return error_set(err, EINVAL, "redirection entry %u has reserved bits set",
					 n);
		}
	}
	if (ioapic->lines >> IOAPIC_PINS || ioapic->id > 0xf) {
		return error_set(err, EINVAL, "pins or an id that the I/O APIC does not have");
	}
	return 0;
}

static const struct state_field ioapic_fields[] = {
	STATE_FIELD(struct ioapic, lines),
	STATE_FIELD(struct ioapic, select),
	STATE_FIELD(struct ioapic, id),
	STATE_FIELD_ARRAY(struct ioapic, redir),
	STATE_FIELDS_END,
};

static const struct state_table ioapic_state = {
	.version = 1,
	.fields = ioapic_fields,
	.post_load = ioapic_post_load,
};

static const struct device_ops ioapic_ops = {
	.name = "ioapic",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct ioapic),
	.state = &ioapic_state,
	.create = ioapic_create,
	.destroy = ioapic_destroy,
	.reset = ioapic_reset,
};
DEVICE_REGISTER(ioapic_ops);
