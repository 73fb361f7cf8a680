/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Gigabit adapter's receive side (SDM 3.2 and 13.5): which frames are wanted, and how they get
 * into the ring of descriptors. A frame for which there are no descriptors waits in the back end
 * instead of being lost, so there is no receiver overrun.
 */

#include "e1000.h"

#define RCTL_EN BIT(1)
#define RCTL_UPE BIT(3)
#define RCTL_MPE BIT(4)
#define RCTL_LPE BIT(5)
#define RCTL_BAM BIT(15)
#define RCTL_VFE BIT(18)
#define RCTL_BSEX BIT(25)
#define RCTL_SECRC BIT(26)

#define STATUS_DD 0x01
#define STATUS_EOP 0x02
#define STATUS_IXSM 0x04 /* checksums were not judged */
#define STATUS_VP 0x08
#define STATUS_PIF 0x80 /* perhaps not for us: only the hash matched */

#define RAH_VALID BIT(31)
#define ADDRESSES 16
#define HEADER_SIZE 14
#define TYPE_OFFSET 12
#define TAG_SIZE 4
#define FCS_SIZE 4
#define FRAME_MIN 60
#define FRAME_NORMAL_MAX 1518 /* with a VLAN tag, without FCS */
#define FRAME_LONG_MAX 16380

/* struct e1000_arrival - a frame on its way into the ring. */
struct e1000_arrival {
	uint8_t data[FRAME_LONG_MAX + FCS_SIZE];
	uint32_t size;
	uint8_t status;
	uint16_t vlan;
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

void e1000_receive_ready(struct e1000 *e)
{
	if (e->rx_waiting) {
		e->rx_waiting = false;
		net_backend_ready(e->net);
	}
}

/* ------- filters ------- */

static bool exact_match(struct e1000 *e, const uint8_t *mac)
{
	for (unsigned int i = 0; i < ADDRESSES; i++) {
		uint32_t low = *e1000_reg(e, E1000_RAL + 8 * i);
		uint32_t high = *e1000_reg(e, E1000_RAH + 8 * i);

		if (high & RAH_VALID && low == load_le32(mac) &&
		    (high & 0xffff) == load_le16(mac + 4)) {
			return true;
		}
	}
	return false;
}

/* The multicast table: 4096 bits, chosen by 12 bits of the address (SDM 13.5.1). */
static bool hash_match(struct e1000 *e, const uint8_t *mac)
{
	static const uint8_t shifts[4] = { 4, 3, 2, 0 };
	uint32_t rctl = *e1000_reg(e, E1000_RCTL);
	uint32_t hash = (uint32_t)(load_le16(mac + 4) >> shifts[rctl >> 12 & 3]) & 0xfff;

	return *e1000_reg(e, E1000_MTA + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

static bool is_tagged(struct e1000 *e, const uint8_t *frame, size_t size)
{
	return size >= HEADER_SIZE + TAG_SIZE &&
	       be16(frame + TYPE_OFFSET) == (*e1000_reg(e, E1000_VET) & 0xffff);
}

static bool vlan_wanted(struct e1000 *e, const uint8_t *frame, size_t size)
{
	uint32_t id;

	if (!(*e1000_reg(e, E1000_RCTL) & RCTL_VFE) || !is_tagged(e, frame, size)) {
		return true;
	}
	id = be16(frame + HEADER_SIZE) & 0xfff;
	return *e1000_reg(e, E1000_VFTA + 4 * (id >> 5)) >> (id & 31) & 1;
}

static bool is_broadcast(const uint8_t *mac)
{
	return load_le32(mac) == UINT32_MAX && load_le16(mac + 4) == UINT16_MAX;
}

/* Whether a frame to @mac is wanted; *@ret_inexact when only the hash says so. */
static bool address_wanted(struct e1000 *e, const uint8_t *mac, bool *ret_inexact)
{
	uint32_t rctl = *e1000_reg(e, E1000_RCTL);

	if (is_broadcast(mac) && rctl & RCTL_BAM) {
		return true;
	}
	if (exact_match(e, mac) || rctl & (mac[0] & 1 ? RCTL_MPE : RCTL_UPE)) {
		return true;
	}
	if (mac[0] & 1 && !is_broadcast(mac) && hash_match(e, mac)) {
		*ret_inexact = true;
		return true;
	}
	return false;
}

/* ------- into the ring ------- */

static uint32_t buffer_size(uint32_t rctl)
{
	unsigned int bsize = rctl >> 16 & 3;

	if (rctl & RCTL_BSEX && bsize) {
		return 32768U >> bsize;
	}
	return 2048U >> bsize;
}

/* Take the tag out where the guest wants that, pad, and leave room for the FCS if it wants one. */
static void prepare(struct e1000 *e, const uint8_t *frame, size_t size,
		    struct e1000_arrival *ret_arrival)
{
	struct e1000_arrival *a = ret_arrival;
	size_t skip = 0;

	a->status = STATUS_DD | STATUS_IXSM;
	a->vlan = 0;
	if (*e1000_reg(e, E1000_CTRL) & E1000_CTRL_VME && is_tagged(e, frame, size)) {
		a->status |= STATUS_VP;
		a->vlan = be16(frame + HEADER_SIZE);
		skip = TAG_SIZE;
	}
	memcpy(a->data, frame, TYPE_OFFSET);
	memcpy(a->data + TYPE_OFFSET, frame + TYPE_OFFSET + skip, size - TYPE_OFFSET - skip);
	a->size = (uint32_t)(size - skip);
	if (a->size < FRAME_MIN) {
		memset(a->data + a->size, 0, FRAME_MIN - a->size);
		a->size = FRAME_MIN;
	}
	if (!(*e1000_reg(e, E1000_RCTL) & RCTL_SECRC)) {
		memset(a->data + a->size, 0, FCS_SIZE);
		a->size += FCS_SIZE;
	}
}

static void fill_descriptor(struct e1000 *e, gpa_t gpa, const uint8_t *data, uint32_t size,
			    uint8_t status, uint16_t vlan)
{
	struct guest_memory *memory = e->pci.dev.env.memory;
	uint64_t address;

	if (guest_mem_read_u64(memory, gpa, &address) < 0 ||
	    guest_mem_write(memory, address, data, size) < 0 ||
	    guest_mem_write_u64(memory, gpa + 8,
				size | (uint64_t)status << 32 | (uint64_t)vlan << 48) < 0) {
		device_guest_error(&e->pci.dev, "a receive buffer is no memory");
	}
}

/* Ring entries, of which @ret_free are the adapter's; 0 for a ring that makes no sense. */
static uint32_t ring_size(struct e1000 *e, uint32_t *ret_free)
{
	uint32_t entries = *e1000_reg(e, E1000_RDLEN) / E1000_DESCRIPTOR;
	uint32_t head = *e1000_reg(e, E1000_RDH);
	uint32_t tail = *e1000_reg(e, E1000_RDT);

	if (head >= entries || tail >= entries) {
		return 0;
	}
	*ret_free = (tail + entries - head) % entries;
	return entries;
}

static void put(struct e1000 *e, const struct e1000_arrival *a, uint32_t entries, uint32_t piece)
{
	uint32_t *head = e1000_reg(e, E1000_RDH);

	for (uint32_t done = 0; done < a->size; done += piece) {
		uint32_t size = MIN(piece, a->size - done);
		bool last = done + size == a->size;

		fill_descriptor(e, e1000_ring_base(e, E1000_RDBAL) + *head * E1000_DESCRIPTOR,
				a->data + done, size,
				last ? a->status | STATUS_EOP : STATUS_DD, last ? a->vlan : 0);
		*head = (*head + 1) % entries;
	}
}

static void count(struct e1000 *e, const uint8_t *mac, uint32_t size)
{
	static const uint16_t limits[5] = { 64, 127, 255, 511, 1023 };
	unsigned int bin = 0;

	while (bin < ARRAY_SIZE(limits) && size > limits[bin]) {
		bin++;
	}
	e1000_count(e, E1000_PRC64 + 4 * bin, 1);
	e1000_count(e, E1000_GPRC, 1);
	e1000_count(e, E1000_TPR, 1);
	e1000_count64(e, E1000_GORC, size);
	e1000_count64(e, E1000_TOR, size);
	if (is_broadcast(mac)) {
		e1000_count(e, E1000_BPRC, 1);
	} else if (mac[0] & 1) {
		e1000_count(e, E1000_MPRC, 1);
	}
}

static bool deliver(struct e1000 *e, const uint8_t *frame, size_t size, bool inexact)
{
	uint32_t rctl = *e1000_reg(e, E1000_RCTL);
	uint32_t piece = buffer_size(rctl);
	uint32_t entries, wanted, free = 0;
	struct e1000_arrival arrival;
	bool few;

	prepare(e, frame, size, &arrival);
	arrival.status |= inexact ? STATUS_PIF : 0;
	entries = ring_size(e, &free);
	wanted = (arrival.size + piece - 1) / piece;
	if (wanted >= entries) {
		e1000_count(e, E1000_MPC, 1);
		return true; /* it never will fit */
	}
	if (wanted > free) {
		e->rx_waiting = true;
		return false;
	}
	put(e, &arrival, entries, piece);
	count(e, frame, (uint32_t)MAX(size, (size_t)FRAME_MIN) + FCS_SIZE);
	free -= wanted;
	few = free <= entries >> ((rctl >> 8 & 3) + 1);
	e1000_interrupt(e, E1000_ICR_RXT0 | (few ? E1000_ICR_RXDMT0 : 0));
	return true;
}

bool e1000_receive(struct e1000 *e, const uint8_t *frame, size_t size)
{
	uint32_t rctl = *e1000_reg(e, E1000_RCTL);
	bool inexact = false;

	if (e->paused) {
		e->rx_waiting = true;
		return false;
	}
	if (!(rctl & RCTL_EN) || !pci_dma_enabled(&e->pci) || size < HEADER_SIZE ||
	    size > (rctl & RCTL_LPE ? FRAME_LONG_MAX : FRAME_NORMAL_MAX) ||
	    !address_wanted(e, frame, &inexact) || !vlan_wanted(e, frame, size)) {
		return true;
	}
	return deliver(e, frame, size, inexact);
}
