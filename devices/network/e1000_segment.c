/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums and segmentation of what the Gigabit adapter sends (SDM 3.5 and 3.6), by what context
 * and data descriptors say. Nothing in them is believed: an offset beyond the frame is a checksum
 * that is not put in, and the frame goes out as it is.
 */

#include "e1000.h"

#define OPTION_IP 0x01 /* POPTS */
#define OPTION_L4 0x02

#define COMMAND_TCP 0x01 /* TUCMD */
#define COMMAND_IP4 0x02

#define IP4_LENGTH 2
#define IP4_ID 4
#define IP6_LENGTH 4
#define IP6_HEADER 40
#define TCP_SEQUENCE 4
#define TCP_FLAGS 13
#define TCP_FLAGS_LAST 0x09 /* FIN and PSH belong to the last segment */
#define UDP_LENGTH 4

/* struct frame - one frame with what its checksums cover. */
struct frame {
	uint8_t *data;
	size_t size;
};

static uint32_t get_be16(const struct frame *f, size_t at)
{
	return at + 2 <= f->size ? (uint32_t)f->data[at] << 8 | f->data[at + 1] : 0;
}

static void put_be16(struct frame *f, size_t at, uint32_t value)
{
	if (at + 2 <= f->size) {
		f->data[at] = (uint8_t)(value >> 8);
		f->data[at + 1] = (uint8_t)value;
	}
}

static void add_be32(struct frame *f, size_t at, uint32_t n)
{
	uint32_t value;

	if (at + 4 <= f->size) {
		memcpy(&value, f->data + at, 4);
		value = __builtin_bswap32(__builtin_bswap32(value) + n);
		memcpy(f->data + at, &value, 4);
	}
}

static uint32_t fold(uint64_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint32_t)sum;
}

/* Put the sum (RFC 1071) of [@start, @end] at @offset, whose own value takes part: it holds the sum
 * of the pseudo-header. @end 0 is the last byte. */
static void checksum(struct frame *f, size_t start, size_t end, size_t offset, bool udp)
{
	uint64_t sum = 0;
	uint32_t value;

	end = end && end < f->size ? end + 1 : f->size;
	if (start >= end || offset + 2 > f->size) {
		return;
	}
	for (size_t i = start; i < end; i++) {
		sum += (i - start) & 1 ? f->data[i] : (uint32_t)f->data[i] << 8;
	}
	value = ~fold(sum) & 0xffff;
	put_be16(f, offset, udp && !value ? 0xffff : value);
}

static void put_checksums(struct e1000 *e, const struct e1000_context *c, struct frame *f)
{
	if (e->packet.options & OPTION_IP) {
		checksum(f, c->ip_start, c->ip_end, c->ip_offset, false);
	}
	if (e->packet.options & OPTION_L4) {
		checksum(f, c->l4_start, c->l4_end, c->l4_offset, !(c->command & COMMAND_TCP));
	}
}

/* Make the copied headers those of segment @n, whose data begin at @at (SDM 3.5.7). */
static void fix_headers(const struct e1000_context *c, struct frame *f, unsigned int n, size_t at,
			bool last, bool l4_sum)
{
	size_t l4_size = f->size > c->l4_start ? f->size - c->l4_start : 0;

	if (c->command & COMMAND_IP4) {
		put_be16(f, c->ip_start + IP4_LENGTH, (uint32_t)(f->size - c->ip_start));
		put_be16(f, c->ip_start + IP4_ID, get_be16(f, c->ip_start + IP4_ID) + n);
	} else {
		put_be16(f, c->ip_start + IP6_LENGTH,
			 (uint32_t)(f->size - c->ip_start - IP6_HEADER));
	}
	if (c->command & COMMAND_TCP) {
		add_be32(f, c->l4_start + TCP_SEQUENCE, (uint32_t)at);
		if (!last && (size_t)c->l4_start + TCP_FLAGS < f->size) {
			f->data[c->l4_start + TCP_FLAGS] &= (uint8_t)~TCP_FLAGS_LAST;
		}
	} else {
		put_be16(f, c->l4_start + UDP_LENGTH, (uint32_t)l4_size);
	}
	if (l4_sum) {
		/* The guest's sum of the pseudo-header lacks the length, which differs. */
		put_be16(f, c->l4_offset, fold(get_be16(f, c->l4_offset) + fold(l4_size)));
	}
}

static unsigned int send_segments(struct e1000 *e, const struct e1000_context *c)
{
	struct e1000_packet *p = &e->packet;
	size_t header = c->header_size;
	unsigned int n = 0;
	size_t payload;

	if (!c->mss || p->size <= header || c->ip_start >= header || c->l4_start >= header) {
		device_guest_error(&e->pci.dev, "a large send without headers or segment size");
		return 0;
	}
	payload = p->size - header;
	for (size_t at = 0; at < payload; at += c->mss, n++) {
		size_t size = MIN((size_t)c->mss, payload - at);
		struct frame f = { e->segment, header + size };

		if (f.size > E1000_PACKET_MAX) {
			return n;
		}
		memcpy(f.data, e->buffer, header);
		memcpy(f.data + header, e->buffer + header + at, size);
		fix_headers(c, &f, n, at, at + size == payload, p->options & OPTION_L4);
		put_checksums(e, c, &f);
		e1000_emit(e, f.data, f.size);
	}
	e1000_count(e, E1000_TSCTC, 1);
	return n;
}

unsigned int e1000_send_packet(struct e1000 *e)
{
	struct e1000_packet *p = &e->packet;
	struct frame f = { e->buffer, p->size };

	if (p->segment) {
		return send_segments(e, &e->contexts[1]);
	}
	put_checksums(e, &e->contexts[0], &f);
	if (p->sum_wanted) {
		checksum(&f, p->sum_start, 0, p->sum_offset, false);
	}
	e1000_emit(e, f.data, f.size);
	return 1;
}
