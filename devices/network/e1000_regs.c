/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Gigabit adapter's registers (SDM chapter 13) and its interrupts (13.4.17 to 13.4.22).
 *
 * Most registers only keep what is written, since nothing here depends on them; the others are
 * handled one by one. Statistics are cleared by reading; the two halves of a 64-bit one are cleared
 * together, by reading the high one.
 */

#include "e1000.h"

#define STATUS_LINK_1000_FULL 0x0283 /* full duplex, link, speed, and the same as detected */
#define CTRL_EXT_EE_RST BIT(13)
#define RAH_VALID BIT(31)
#define ITR_UNIT_NS 256
#define ITR_MASK 0xffff
#define RING_LENGTH_MASK 0xfff80
#define RING_INDEX_MASK 0xffff

/* ------- interrupts ------- */

static void set_wire(struct e1000 *e, bool level)
{
	e->irq_level = level;
	pci_irq_set(&e->pci, level);
}

void e1000_update_irq(struct e1000 *e)
{
	uint64_t interval = (uint64_t)(*e1000_reg(e, E1000_ITR) & ITR_MASK) * ITR_UNIT_NS;
	bool wanted = *e1000_reg(e, E1000_ICR) & *e1000_reg(e, E1000_IMS);

	if (!wanted) {
		set_wire(e, false);
		return;
	}
	if (e->irq_level || timer_deadline(&e->throttle) != TIMER_NEVER) {
		return;
	}
	set_wire(e, true);
	if (interval) {
		timer_arm(&e->throttle, machine_clock_now(e->pci.dev.env.clock) + interval);
	}
}

void e1000_interrupt(struct e1000 *e, uint32_t causes)
{
	*e1000_reg(e, E1000_ICR) |= causes;
	e1000_update_irq(e);
}

/* Reading tells the causes and forgets them. */
static uint32_t read_icr(struct e1000 *e)
{
	uint32_t *icr = e1000_reg(e, E1000_ICR);
	uint32_t value = *icr;

	*icr = 0;
	e1000_update_irq(e);
	return value;
}

/* ------- statistics ------- */

void e1000_count(struct e1000 *e, uint32_t offset, uint32_t n)
{
	uint32_t *value = e1000_reg(e, offset);

	*value = n > UINT32_MAX - *value ? UINT32_MAX : *value + n;
}

void e1000_count64(struct e1000 *e, uint32_t offset, uint64_t n)
{
	uint64_t value = load_le64(e1000_reg(e, offset));

	value = n > UINT64_MAX - value ? UINT64_MAX : value + n;
	store_le64(e1000_reg(e, offset), value);
}

static uint32_t read_statistic(struct e1000 *e, uint32_t offset)
{
	uint32_t value = *e1000_reg(e, offset);

	switch (offset) {
	case E1000_GORC:
	case E1000_GOTC:
	case E1000_TOR:
	case E1000_TOT: return value;
	case E1000_GORC + 4:
	case E1000_GOTC + 4:
	case E1000_TOR + 4:
	case E1000_TOT + 4: *e1000_reg(e, offset - 4) = 0; break;
	default: break;
	}
	*e1000_reg(e, offset) = 0;
	return value;
}

/* ------- resets ------- */

/* The address from the EEPROM becomes the first receive address. */
static void load_address(struct e1000 *e)
{
	*e1000_reg(e, E1000_RAL) = e->eeprom[0] | (uint32_t)e->eeprom[1] << 16;
	*e1000_reg(e, E1000_RAH) = e->eeprom[2] | (uint32_t)RAH_VALID;
}

void e1000_mac_reset(struct e1000 *e)
{
	memset(e->regs, 0, sizeof(e->regs));
	memset(e->contexts, 0, sizeof(e->contexts));
	e->packet = (struct e1000_packet){ 0 };
	*e1000_reg(e, E1000_CTRL) = E1000_CTRL_FD | E1000_CTRL_SLU | E1000_CTRL_SPEED_1000;
	*e1000_reg(e, E1000_VET) = 0x8100;
	*e1000_reg(e, E1000_TIPG) = 0x00602008;
	*e1000_reg(e, E1000_LEDCTL) = 0x07068302;
	*e1000_reg(e, E1000_PBA) = 0x00100030;
	load_address(e);
	timer_cancel(&e->throttle);
	event_loop_cancel(e->pci.dev.env.loop, &e->task);
	set_wire(e, false);
	e1000_receive_ready(e);
}

static void write_ctrl(struct e1000 *e, uint32_t value)
{
	if (value & E1000_CTRL_PHY_RST) {
		e1000_phy_reset(e);
	}
	if (value & E1000_CTRL_RST) {
		e1000_mac_reset(e);
		return;
	}
	*e1000_reg(e, E1000_CTRL) = value & ~(uint32_t)E1000_CTRL_PHY_RST;
	if (value & E1000_CTRL_PHY_RST) {
		e1000_interrupt(e, E1000_ICR_LSC);
	}
}

/* ------- accesses ------- */

static uint32_t read_register(struct e1000 *e, uint32_t offset)
{
	if (offset >= E1000_REG_SPACE) {
		return 0;
	}
	if (offset >= E1000_STATS && offset < E1000_STATS_END) {
		return read_statistic(e, offset);
	}
	switch (offset) {
	case E1000_CTRL + 4: return *e1000_reg(e, E1000_CTRL);
	case E1000_STATUS: return STATUS_LINK_1000_FULL;
	case E1000_EECD: return e1000_read_eecd(e);
	case E1000_ICR: return read_icr(e);
	default: return *e1000_reg(e, offset);
	}
}

static bool write_interrupt(struct e1000 *e, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case E1000_ICR: *e1000_reg(e, E1000_ICR) &= ~value; break;
	case E1000_ICS: *e1000_reg(e, E1000_ICR) |= value; break;
	case E1000_IMS: *e1000_reg(e, E1000_IMS) |= value; break;
	case E1000_IMC: *e1000_reg(e, E1000_IMS) &= ~value; break;
	default: return false;
	}
	e1000_update_irq(e);
	return true;
}

static bool write_ring(struct e1000 *e, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case E1000_RDLEN:
	case E1000_TDLEN: *e1000_reg(e, offset) = value & RING_LENGTH_MASK; return true;
	case E1000_RDH:
	case E1000_TDH: *e1000_reg(e, offset) = value & RING_INDEX_MASK; return true;
	case E1000_RCTL:
		*e1000_reg(e, offset) = value;
		e1000_receive_ready(e);
		return true;
	case E1000_RDT:
		*e1000_reg(e, offset) = value & RING_INDEX_MASK;
		e1000_receive_ready(e);
		return true;
	case E1000_TCTL:
		*e1000_reg(e, offset) = value;
		e1000_transmit(e);
		return true;
	case E1000_TDT:
		*e1000_reg(e, offset) = value & RING_INDEX_MASK;
		e1000_transmit(e);
		return true;
	default: return false;
	}
}

static void write_register(struct e1000 *e, uint32_t offset, uint32_t value)
{
	if (offset >= E1000_REG_SPACE || (offset >= E1000_STATS && offset < E1000_STATS_END) ||
	    write_interrupt(e, offset, value) || write_ring(e, offset, value)) {
		return;
	}
	switch (offset) {
	case E1000_CTRL:
	case E1000_CTRL + 4: write_ctrl(e, value); break;
	case E1000_STATUS: break;
	case E1000_EECD: e1000_write_eecd(e, value); break;
	case E1000_EERD: e1000_write_eerd(e, value); break;
	case E1000_MDIC: e1000_write_mdic(e, value); break;
	case E1000_CTRL_EXT:
		if (value & CTRL_EXT_EE_RST) {
			load_address(e);
		}
		*e1000_reg(e, offset) = value & ~(uint32_t)CTRL_EXT_EE_RST;
		break;
	default: *e1000_reg(e, offset) = value; break;
	}
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)size;
	return read_register(opaque, (uint32_t)offset);
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)size;
	write_register(opaque, (uint32_t)offset, (uint32_t)value);
}

const struct io_ops e1000_mmio_ops = { mmio_read, mmio_write, .min_size = 4, .max_size = 4 };

/* I/O space: an address, and a window on what it names (SDM 13.2.2). */
static uint64_t port_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct e1000 *e = opaque;

	(void)size;
	switch (offset) {
	case 0: return e->io_address;
	case 4: return read_register(e, e->io_address & ~3U);
	default: return 0;
	}
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct e1000 *e = opaque;

	(void)size;
	if (offset == 0) {
		e->io_address = (uint32_t)value;
	} else if (offset == 4) {
		write_register(e, e->io_address & ~3U, (uint32_t)value);
	}
}

const struct io_ops e1000_port_ops = { port_read, port_write, .min_size = 4, .max_size = 4 };
