/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Gigabit adapter's EEPROM (SDM chapter 5; a 93C46 of 64 words on the Microwire pins of EECD,
 * or read through EERD) and its internal PHY (SDM 13.4.9 and chapter 11; IEEE 802.3 clause 22
 * for registers 0-15), whose partner always takes full duplex at 1000 Mbit/s.
 *
 * Microwire writes and erasures are not answered: nobody but the factory needs them.
 */

#include "e1000.h"

/* ------- EEPROM ------- */

#define EEPROM_SUM 0xbaba
#define EEPROM_SUM_WORD 0x3f

#define EECD_SK BIT(0)
#define EECD_CS BIT(1)
#define EECD_DI BIT(2)
#define EECD_DO BIT(3)
#define EECD_REQ BIT(6)
#define EECD_GNT BIT(7)
#define EECD_PRESENT BIT(8)
#define EECD_WRITABLE (EECD_SK | EECD_CS | EECD_DI | BIT(4) | BIT(5) | EECD_REQ)

#define EERD_START BIT(0)
#define EERD_DONE BIT(4)

/* A command: start bit, two bits of operation, six of address. */
#define MICROWIRE_COMMAND_BITS 9
#define MICROWIRE_READ 2

void e1000_eeprom_init(struct e1000 *e)
{
	uint8_t mac[E1000_MAC_SIZE];
	uint16_t sum = 0;

	memset(e->eeprom, 0, sizeof(e->eeprom));
	e->microwire = (struct e1000_microwire){ 0 };
	net_mac_address(&e->pci.dev.env.config, mac);
	for (unsigned int i = 0; i < 3; i++) {
		e->eeprom[i] = load_le16(mac + 2 * i);
	}
	e->eeprom[0x04] = 0xffff; /* LEDs by default */
	e->eeprom[0x08] = 0xffff; /* part number: none */
	e->eeprom[0x09] = 0xffff;
	e->eeprom[0x0a] = 0x4003; /* IDs are to be loaded from here */
	e->eeprom[0x0b] = load_le16(e->pci.config + PCI_CONFIG_SUBSYSTEM);
	e->eeprom[0x0c] = load_le16(e->pci.config + PCI_CONFIG_SUBSYSTEM_VENDOR);
	e->eeprom[0x0d] = load_le16(e->pci.config + PCI_CONFIG_DEVICE);
	e->eeprom[0x0e] = load_le16(e->pci.config + PCI_CONFIG_VENDOR);
	e->eeprom[0x0f] = 0x3040; /* autonegotiation, full duplex */
	for (unsigned int i = 0; i < EEPROM_SUM_WORD; i++) {
		sum = (uint16_t)(sum + e->eeprom[i]);
	}
	e->eeprom[EEPROM_SUM_WORD] = (uint16_t)(EEPROM_SUM - sum);
}

void e1000_write_eerd(struct e1000 *e, uint32_t value)
{
	if (value & EERD_START) {
		uint16_t word = e->eeprom[(value >> 8 & 0xff) % E1000_EEPROM_WORDS];

		value = (uint32_t)word << 16 | (value & 0xff00) | EERD_DONE;
	}
	*e1000_reg(e, E1000_EERD) = value;
}

/* Put out the next bit of what is being read; words follow each other. */
static void shift_out(struct e1000 *e, struct e1000_microwire *m)
{
	if (!m->out_bits) {
		m->out = e->eeprom[m->word];
		m->word = (uint8_t)((m->word + 1) % E1000_EEPROM_WORDS);
		m->out_bits = 16;
	}
	m->data_out = m->out & 0x8000;
	m->out = (uint16_t)(m->out << 1);
	m->out_bits--;
}

static void clock_rises(struct e1000 *e, bool in)
{
	struct e1000_microwire *m = &e->microwire;

	if (m->bits >= MICROWIRE_COMMAND_BITS) {
		if ((m->shift >> 6 & 3) == MICROWIRE_READ) {
			shift_out(e, m);
		}
		return;
	}
	if (!m->bits && !in) {
		return; /* before the start bit */
	}
	m->shift = (uint16_t)(m->shift << 1 | in);
	m->bits++;
	if (m->bits == MICROWIRE_COMMAND_BITS) {
		m->word = m->shift & 0x3f;
		m->out_bits = 0;
		m->data_out = false; /* a zero goes before the data */
	}
}

void e1000_write_eecd(struct e1000 *e, uint32_t value)
{
	uint32_t *eecd = e1000_reg(e, E1000_EECD);
	uint32_t old = *eecd;

	*eecd = value & EECD_WRITABLE;
	if (!(value & EECD_CS)) {
		e->microwire = (struct e1000_microwire){ .data_out = true };
	} else if (value & EECD_SK && !(old & EECD_SK)) {
		clock_rises(e, value & EECD_DI);
	}
}

uint32_t e1000_read_eecd(struct e1000 *e)
{
	uint32_t value = *e1000_reg(e, E1000_EECD) | EECD_PRESENT;

	value |= value & EECD_REQ ? EECD_GNT : 0;
	return value | (e->microwire.data_out ? EECD_DO : 0);
}

/* ------- PHY ------- */

enum {
	PHY_CONTROL,
	PHY_STATUS,
	PHY_ID1,
	PHY_ID2,
	PHY_ADVERTISE,
	PHY_PARTNER,
	PHY_EXPANSION,
	PHY_NEXT_PAGE,
	PHY_GIGABIT_CONTROL = 9,
	PHY_GIGABIT_STATUS,
	PHY_EXTENDED_STATUS = 15,
	PHY_SPECIFIC_CONTROL,
	PHY_SPECIFIC_STATUS,
};

#define PHY_CONTROL_RESET 0x8000
#define PHY_CONTROL_LOOPBACK 0x4000
#define PHY_CONTROL_RESTART 0x0200

#define MDIC_DATA 0xffff
#define MDIC_WRITE 1
#define MDIC_READ 2
#define MDIC_READY BIT(28)
#define MDIC_INTERRUPT BIT(29)
#define MDIC_ERROR BIT(30)
#define PHY_ADDRESS 1

/* Registers that keep what is written: control, advertisements, and the maker's own settings. */
#define PHY_WRITABLE                                                                             \
	(BIT(PHY_CONTROL) | BIT(PHY_ADVERTISE) | BIT(PHY_NEXT_PAGE) | BIT(PHY_GIGABIT_CONTROL) | \
	 BIT(PHY_SPECIFIC_CONTROL) | BIT(18) | BIT(20) | BIT(24) | BIT(29) | BIT(30))

void e1000_phy_reset(struct e1000 *e)
{
	memset(e->phy, 0, sizeof(e->phy));
	e->phy[PHY_CONTROL] = 0x1140; /* autonegotiation, 1000 Mbit/s, full duplex */
	e->phy[PHY_STATUS] = 0x796d;  /* all speeds, negotiated, link */
	e->phy[PHY_ID1] = 0x0141;     /* Marvell 88E1011 */
	e->phy[PHY_ID2] = 0x0c20;
	e->phy[PHY_ADVERTISE] = 0x0de1;
	e->phy[PHY_PARTNER] = 0x45e1;
	e->phy[PHY_EXPANSION] = 0x0001;
	e->phy[PHY_GIGABIT_CONTROL] = 0x0300;
	e->phy[PHY_GIGABIT_STATUS] = 0x3c00;
	e->phy[PHY_EXTENDED_STATUS] = 0x3000;
	e->phy[PHY_SPECIFIC_CONTROL] = 0x0068;
	e->phy[PHY_SPECIFIC_STATUS] = 0xac00; /* 1000 Mbit/s, full duplex, resolved, link */
}

bool e1000_loopback(struct e1000 *e)
{
	return e->phy[PHY_CONTROL] & PHY_CONTROL_LOOPBACK;
}

static void write_phy(struct e1000 *e, unsigned int reg, uint16_t value)
{
	if (reg != PHY_CONTROL) {
		e->phy[reg] = BIT(reg) & PHY_WRITABLE ? value : e->phy[reg];
		return;
	}
	if (value & PHY_CONTROL_RESET) {
		e1000_phy_reset(e);
	} else {
		e->phy[reg] = value & (uint16_t)~PHY_CONTROL_RESTART;
	}
	if (value & (PHY_CONTROL_RESET | PHY_CONTROL_RESTART)) {
		/* The partner has agreed already. */
		e1000_interrupt(e, E1000_ICR_LSC);
	}
}

void e1000_write_mdic(struct e1000 *e, uint32_t value)
{
	unsigned int reg = value >> 16 & 31;
	unsigned int phy = value >> 21 & 31;
	unsigned int op = value >> 26 & 3;

	value &= ~(uint32_t)(MDIC_READY | MDIC_ERROR);
	if (phy != PHY_ADDRESS || (op != MDIC_READ && op != MDIC_WRITE)) {
		value |= MDIC_ERROR;
	} else if (op == MDIC_READ) {
		value = (value & ~(uint32_t)MDIC_DATA) | e->phy[reg];
	} else {
		write_phy(e, reg, (uint16_t)value);
	}
	*e1000_reg(e, E1000_MDIC) = value | MDIC_READY;
	if (value & MDIC_INTERRUPT) {
		e1000_interrupt(e, E1000_ICR_MDAC);
	}
}
