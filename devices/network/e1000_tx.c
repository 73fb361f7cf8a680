/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Gigabit adapter's transmit side (SDM 3.3 and 3.4): the ring of descriptors, legacy ones and
 * the two extended kinds, from which packets are put together.
 *
 * A guest that fills its ring as fast as it is emptied would keep the lock for ever; so only so
 * much is sent at once, and the rest a little later on the main loop.
 */

#include "e1000.h"

#define TCTL_EN BIT(1)
#define TCTL_PSP BIT(3)

/* The command byte, and the upper bits of a legacy descriptor's (SDM 3.3.3, 3.3.6, 3.3.7). */
#define CMD_EOP 0x01
#define CMD_TSE 0x04 /* of extended descriptors */
#define CMD_IC 0x04  /* of legacy ones */
#define CMD_RS 0x08
#define CMD_RPS 0x10
#define CMD_EXTENDED 0x20
#define CMD_VLE 0x40

#define TYPE_CONTEXT 0
#define TYPE_DATA 1

#define STATUS_DD 0x01
#define STATUS_OFFSET 12

#define BUDGET 512 /* descriptors and frames at once */
#define FRAME_MIN 60
#define FRAME_MAX 16380
#define HEADER_SIZE 14
#define TYPE_OFFSET 12
#define TAG_SIZE 4

/* ------- frames ------- */

static size_t insert_tag(struct e1000 *e, uint8_t *frame, size_t size)
{
	uint32_t type = *e1000_reg(e, E1000_VET);

	memmove(frame + TYPE_OFFSET + TAG_SIZE, frame + TYPE_OFFSET, size - TYPE_OFFSET);
	frame[TYPE_OFFSET] = (uint8_t)(type >> 8);
	frame[TYPE_OFFSET + 1] = (uint8_t)type;
	frame[TYPE_OFFSET + 2] = (uint8_t)(e->packet.vlan >> 8);
	frame[TYPE_OFFSET + 3] = (uint8_t)e->packet.vlan;
	return size + TAG_SIZE;
}

static void count(struct e1000 *e, const uint8_t *mac, uint32_t size)
{
	static const uint16_t limits[5] = { 64, 127, 255, 511, 1023 };
	unsigned int bin = 0;

	while (bin < ARRAY_SIZE(limits) && size > limits[bin]) {
		bin++;
	}
	e1000_count(e, E1000_PTC64 + 4 * bin, 1);
	e1000_count(e, E1000_GPTC, 1);
	e1000_count(e, E1000_TPT, 1);
	e1000_count64(e, E1000_GOTC, size);
	e1000_count64(e, E1000_TOT, size);
	if (load_le32(mac) == UINT32_MAX && load_le16(mac + 4) == UINT16_MAX) {
		e1000_count(e, E1000_BPTC, 1);
	} else if (mac[0] & 1) {
		e1000_count(e, E1000_MPTC, 1);
	}
}

void e1000_emit(struct e1000 *e, uint8_t *frame, size_t size)
{
	struct iovec iov = { .iov_base = frame };

	if (size < HEADER_SIZE || size > FRAME_MAX - TAG_SIZE) {
		device_guest_error(&e->pci.dev, "a frame of %zu bytes", size);
		return;
	}
	if (e->packet.vlan_wanted && *e1000_reg(e, E1000_CTRL) & E1000_CTRL_VME) {
		size = insert_tag(e, frame, size);
	}
	if (size < FRAME_MIN && *e1000_reg(e, E1000_TCTL) & TCTL_PSP) {
		memset(frame + size, 0, FRAME_MIN - size);
		size = FRAME_MIN;
	}
	count(e, frame, (uint32_t)size + 4);
	if (e1000_loopback(e)) {
		e1000_receive(e, frame, size);
		return;
	}
	iov.iov_len = size;
	net_backend_send(e->net, &iov, 1);
}

/* ------- descriptors ------- */

static void add_data(struct e1000 *e, gpa_t gpa, uint32_t size)
{
	struct e1000_packet *p = &e->packet;

	if (p->overflow || size > E1000_PACKET_MAX - p->size ||
	    guest_mem_read(e->pci.dev.env.memory, gpa, e->buffer + p->size, size) < 0) {
		p->overflow = true;
		return;
	}
	p->size += size;
}

static void take_context(struct e1000 *e, const uint8_t *d)
{
	struct e1000_context *c = &e->contexts[d[11] & CMD_TSE ? 1 : 0];

	*c = (struct e1000_context){
		.ip_start = d[0],
		.ip_offset = d[1],
		.ip_end = load_le16(d + 2),
		.l4_start = d[4],
		.l4_offset = d[5],
		.l4_end = load_le16(d + 6),
		.command = d[11],
		.header_size = d[13],
		.mss = load_le16(d + 14),
	};
}

static void take_data(struct e1000 *e, const uint8_t *d, bool extended)
{
	struct e1000_packet *p = &e->packet;
	uint8_t command = d[11];

	if (extended && !p->started) {
		p->segment = command & CMD_TSE;
		p->options = d[13];
	} else if (!extended && command & CMD_IC) {
		p->sum_wanted = true;
		p->sum_offset = d[10];
		p->sum_start = d[13];
	}
	p->started = true;
	if (command & CMD_VLE) {
		p->vlan_wanted = true;
		p->vlan = load_le16(d + 14);
	}
	add_data(e, load_le64(d), extended ? load_le32(d + 8) & 0xfffff : load_le16(d + 8));
}

/* Do what one descriptor says. Return: the frames that were sent. */
static unsigned int take(struct e1000 *e, const uint8_t *d)
{
	bool extended = d[11] & CMD_EXTENDED;
	unsigned int sent = 0;

	if (extended && d[10] >> 4 == TYPE_CONTEXT) {
		take_context(e, d);
		return 0;
	}
	if (extended && d[10] >> 4 != TYPE_DATA) {
		device_guest_error(&e->pci.dev, "a transmit descriptor of type %u", d[10] >> 4);
		return 0;
	}
	take_data(e, d, extended);
	if (d[11] & CMD_EOP) {
		if (e->packet.overflow) {
			device_guest_error(&e->pci.dev, "a packet that is too long or no memory");
		} else {
			sent = e1000_send_packet(e);
		}
		e->packet = (struct e1000_packet){ 0 };
	}
	return sent;
}

/* Return: whether the guest wanted to be told. */
static bool write_back(struct e1000 *e, gpa_t gpa, const uint8_t *d)
{
	uint8_t status = d[STATUS_OFFSET] | STATUS_DD;

	if (!(d[11] & (CMD_RS | CMD_RPS))) {
		return false;
	}
	guest_mem_write(e->pci.dev.env.memory, gpa + STATUS_OFFSET, &status, 1);
	return true;
}

void e1000_transmit(struct e1000 *e)
{
	uint32_t entries = *e1000_reg(e, E1000_TDLEN) / E1000_DESCRIPTOR;
	uint32_t *head = e1000_reg(e, E1000_TDH);
	uint32_t tail = *e1000_reg(e, E1000_TDT);
	unsigned int budget = BUDGET;
	uint32_t causes = 0;

	if (!(*e1000_reg(e, E1000_TCTL) & TCTL_EN) || !pci_dma_enabled(&e->pci) || e->paused ||
	    *head >= entries || tail >= entries || *head == tail) {
		return;
	}
	while (*head != tail && budget) {
		gpa_t gpa = e1000_ring_base(e, E1000_TDBAL) + *head * E1000_DESCRIPTOR;
		uint8_t d[E1000_DESCRIPTOR];

		budget--;
		*head = (*head + 1) % entries;
		if (guest_mem_read(e->pci.dev.env.memory, gpa, d, sizeof(d)) < 0) {
			device_guest_error(&e->pci.dev, "the transmit ring is no memory");
			continue;
		}
		budget -= MIN(budget, take(e, d));
		causes |= write_back(e, gpa, d) ? E1000_ICR_TXDW : 0;
	}
	if (*head == tail) {
		causes |= E1000_ICR_TXQE;
	} else {
		event_loop_post(e->pci.dev.env.loop, &e->task);
	}
	e1000_interrupt(e, causes);
}
