/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_NETWORK_E1000_H
#define LIMEN_DEVICES_NETWORK_E1000_H

/*
 * The Gigabit adapter from inside: e1000.c is the PCI function, its life and its saved state,
 * e1000_regs.c the registers and interrupts, e1000_phy.c the EEPROM and the PHY, e1000_rx.c and
 * e1000_tx.c the two rings, e1000_segment.c checksums and segmentation.
 *
 * "SDM" in all of them is Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual" (317453).
 */

#include "bus/pci.h"
#include "net/net.h"

#define E1000_MMIO_SIZE KIB(128)
#define E1000_REG_SPACE 0x6000 /* what lies beyond are the packet buffers, which are not there */
#define E1000_EEPROM_WORDS 64
#define E1000_PHY_REGS 32
#define E1000_MAC_SIZE 6
#define E1000_DESCRIPTOR 16

/* Registers, SDM table 13-2. */
enum {
	E1000_CTRL = 0x0000,
	E1000_STATUS = 0x0008,
	E1000_EECD = 0x0010,
	E1000_EERD = 0x0014,
	E1000_CTRL_EXT = 0x0018,
	E1000_MDIC = 0x0020,
	E1000_VET = 0x0038,
	E1000_ICR = 0x00c0,
	E1000_ITR = 0x00c4,
	E1000_ICS = 0x00c8,
	E1000_IMS = 0x00d0,
	E1000_IMC = 0x00d8,
	E1000_RCTL = 0x0100,
	E1000_TCTL = 0x0400,
	E1000_TIPG = 0x0410,
	E1000_LEDCTL = 0x0e00,
	E1000_PBA = 0x1000,
	E1000_RDBAL = 0x2800,
	E1000_RDBAH = 0x2804,
	E1000_RDLEN = 0x2808,
	E1000_RDH = 0x2810,
	E1000_RDT = 0x2818,
	E1000_TDBAL = 0x3800,
	E1000_TDBAH = 0x3804,
	E1000_TDLEN = 0x3808,
	E1000_TDH = 0x3810,
	E1000_TDT = 0x3818,
	E1000_STATS = 0x4000,
	E1000_STATS_END = 0x4100,
	E1000_MTA = 0x5200,
	E1000_RAL = 0x5400,
	E1000_RAH = 0x5404,
	E1000_VFTA = 0x5600,
};

/* Statistics that are counted, SDM 13.7. Those of 64 bits have their high half behind. */
enum {
	E1000_MPC = 0x4010,
	E1000_PRC64 = 0x405c, /* and five more sizes */
	E1000_GPRC = 0x4074,
	E1000_BPRC = 0x4078,
	E1000_MPRC = 0x407c,
	E1000_GPTC = 0x4080,
	E1000_GORC = 0x4088,
	E1000_GOTC = 0x4090,
	E1000_TOR = 0x40c0,
	E1000_TOT = 0x40c8,
	E1000_TPR = 0x40d0,
	E1000_TPT = 0x40d4,
	E1000_PTC64 = 0x40d8,
	E1000_MPTC = 0x40f0,
	E1000_BPTC = 0x40f4,
	E1000_TSCTC = 0x40f8,
};

#define E1000_CTRL_FD BIT(0)
#define E1000_CTRL_SLU BIT(6)
#define E1000_CTRL_SPEED_1000 BIT(9)
#define E1000_CTRL_RST BIT(26)
#define E1000_CTRL_VME BIT(30)
#define E1000_CTRL_PHY_RST BIT(31)

/* Interrupt causes, SDM 13.4.17. */
#define E1000_ICR_TXDW BIT(0)
#define E1000_ICR_TXQE BIT(1)
#define E1000_ICR_LSC BIT(2)
#define E1000_ICR_RXDMT0 BIT(4)
#define E1000_ICR_RXT0 BIT(7)
#define E1000_ICR_MDAC BIT(9)

/**
 * struct e1000_context - what a context descriptor says (SDM 3.3.6)
 * @*_start, @*_end: of the checksummed bytes (@end inclusive, 0: the last byte); @*_offset: where
 *          the sum goes
 * @command: TUCMD
 */
struct e1000_context {
	uint8_t ip_start, ip_offset;
	uint16_t ip_end;
	uint8_t l4_start, l4_offset;
	uint16_t l4_end;
	uint8_t command;
	uint8_t header_size;
	uint16_t mss;
};

/**
 * struct e1000_packet - the frame that is being put together from transmit descriptors
 * @size: bytes in the adapter's buffer; @overflow: there would have been more than fit
 * @options: POPTS of the first data descriptor
 * @vlan: tag to insert, if @vlan_wanted
 * @sum_start, @sum_offset: of a legacy descriptor's checksum, if @sum_wanted
 * @started: @options and @segment have been taken from its first descriptor
 */
struct e1000_packet {
	uint32_t size;
	uint8_t options;
	uint8_t sum_start, sum_offset;
	uint16_t vlan;
	bool started, segment, sum_wanted, vlan_wanted, overflow;
};

/* What a guest's large send may have at most: 64 KiB and its headers. */
#define E1000_PACKET_MAX (KIB(64) + 512)

/**
 * struct e1000_microwire - the EEPROM's serial interface as EECD's pins drive it
 * @bits: taken in since chip select, from the start bit on; @shift: those
 * @out: what remains of the word being read, next bit on top; @out_bits: how many
 * @word: that is read next
 */
struct e1000_microwire {
	uint8_t bits;
	uint16_t shift;
	uint16_t out;
	uint8_t out_bits;
	uint8_t word;
	bool data_out;
};

/**
 * struct e1000 - the adapter
 * @regs: by offset / 4, as far as they keep what is written
 * @contexts: last context descriptors: for checksums, and for segmentation
 * @throttle: the end of the interval in which there is no further interrupt
 * @task: goes on with a transmit ring that was left for others' sake
 * @rx_waiting: the back end holds a frame back until there are descriptors
 * @buffer: of the packet; @segment: one frame cut from it
 */
struct e1000 {
	struct pci_device pci;
	struct net_backend *net;
	struct mem_region *rom;
	struct io_region mmio;
	struct io_region ports;
	uint32_t regs[E1000_REG_SPACE / 4];
	uint32_t io_address;
	uint16_t eeprom[E1000_EEPROM_WORDS];
	uint16_t phy[E1000_PHY_REGS];
	struct e1000_microwire microwire;
	struct e1000_context contexts[2];
	struct e1000_packet packet;
	struct timer throttle;
	struct event_task task;
	bool irq_level;
	bool rx_waiting;
	bool paused;
	uint8_t *buffer;
	uint8_t *segment;
};

static inline uint32_t *e1000_reg(struct e1000 *e, uint32_t offset)
{
	return &e->regs[offset / 4];
}

/** e1000_ring_base() - of the ring whose low base register is @base. */
static inline gpa_t e1000_ring_base(struct e1000 *e, uint32_t base)
{
	return (uint64_t)*e1000_reg(e, base + 4) << 32 | (*e1000_reg(e, base) & ~15U);
}

/* All that follows with the device's lock held. */

/* e1000_regs.c */
extern const struct io_ops e1000_mmio_ops;
extern const struct io_ops e1000_port_ops;
void e1000_mac_reset(struct e1000 *e);

/** e1000_interrupt() - note @causes and interrupt, if the guest wants to know now. */
void e1000_interrupt(struct e1000 *e, uint32_t causes);

/** e1000_update_irq() - the wire, by causes, mask and throttle. */
void e1000_update_irq(struct e1000 *e);

/** e1000_count() - add to a statistic of 32 bits; e1000_count64() - of 64. They stick at the
 *  end. */
void e1000_count(struct e1000 *e, uint32_t offset, uint32_t n);
void e1000_count64(struct e1000 *e, uint32_t offset, uint64_t n);

/* e1000_phy.c */
void e1000_eeprom_init(struct e1000 *e);
void e1000_phy_reset(struct e1000 *e);
void e1000_write_eecd(struct e1000 *e, uint32_t value);
uint32_t e1000_read_eecd(struct e1000 *e);
void e1000_write_eerd(struct e1000 *e, uint32_t value);
void e1000_write_mdic(struct e1000 *e, uint32_t value);

/** e1000_loopback() - whether the PHY gives back what is sent. */
bool e1000_loopback(struct e1000 *e);

/* e1000_rx.c */

/** e1000_receive() - false when the frame has to wait for descriptors. */
bool e1000_receive(struct e1000 *e, const uint8_t *frame, size_t size);

/** e1000_receive_ready() - let the back end try again, if it waits. */
void e1000_receive_ready(struct e1000 *e);

/* e1000_tx.c */

/** e1000_transmit() - send what the ring holds; goes on later when it is much. */
void e1000_transmit(struct e1000 *e);

/** e1000_emit() - send one frame, or loop it back. @frame has room for a VLAN tag and padding. */
void e1000_emit(struct e1000 *e, uint8_t *frame, size_t size);

/* e1000_segment.c */

/** e1000_send_packet() - the finished packet, in as many frames as it takes; returns how many. */
unsigned int e1000_send_packet(struct e1000 *e);

#endif
