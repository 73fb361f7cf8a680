/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gigabit adapter: what a driver reads from EEPROM and PHY, both rings, every filter, checksums and
 * segmentation recomputed, VLAN tags, interrupts and their throttle, saved states.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/fake_machine.h"
#include "device/fake_net.h"

enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EECD = 0x0010,
	EERD = 0x0014,
	MDIC = 0x0020,
	ICR = 0x00c0,
	ITR = 0x00c4,
	ICS = 0x00c8,
	IMS = 0x00d0,
	IMC = 0x00d8,
	RCTL = 0x0100,
	TCTL = 0x0400,
	RDBAL = 0x2800,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	TDBAL = 0x3800,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
	GPRC = 0x4074,
	GPTC = 0x4080,
	GOTCL = 0x4090,
	GOTCH = 0x4094,
	MTA = 0x5200,
	RAL = 0x5400,
	RAH = 0x5404,
	VFTA = 0x5600,
};

#define TX_RING 0x10000
#define RX_RING 0x11000
#define RX_BUFFERS 0x20000
#define TX_DATA 0x80000
#define ENTRIES 8

static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static struct fake_machine *fm;
static struct device *nic;
static struct fake_net *net;
static uint64_t bar;

static void plug(struct fake_machine *machine, struct device_env *env)
{
	(void)machine;
	env->net = &net->base;
}

static int set_up(void **state)
{
	(void)state;
	net = malloc(sizeof(*net));
	fake_net_init(net);
	fm = fake_machine_create();
	fake_machine_set(fm, "e1000", "e1000", "mac", "52:54:00:12:34:56");
	fake_machine_set(fm, "e1000", "e1000", "rom", "none");
	nic = fake_machine_create_device(fm, "e1000", plug);
	fake_pci_enable(fm, nic);
	bar = fake_pci_bar(fm, nic, 0);
	return 0;
}

static int discard(void **state)
{
	(void)state;
	fake_machine_destroy(fm);
	fake_net_finish(net);
	free(net);
	return 0;
}

static int tear_down(void **state)
{
	fake_machine_check_device(fm, nic, NULL);
	return discard(state);
}

static uint32_t get(uint32_t reg)
{
	return (uint32_t)fake_mmio_read(fm, bar + reg, 4);
}

static void set(uint32_t reg, uint32_t value)
{
	fake_mmio_write(fm, bar + reg, value, 4);
}

static bool irq(void)
{
	return fm->intx[nic->env.devfn >> 3][0].level;
}

/* ------- EEPROM, PHY, registers ------- */

static void clock_bit(bool bit)
{
	uint32_t di = bit ? 4 : 0;

	set(EECD, 0x42 | di);
	set(EECD, 0x43 | di);
	set(EECD, 0x42 | di);
}

static uint16_t read_microwire(unsigned int word)
{
	uint16_t value = 0;

	set(EECD, 0x40);
	assert_int_equal(get(EECD) & 0x1c0, 0x1c0);
	set(EECD, 0x42);
	for (int i = 8; i >= 0; i--) {
		clock_bit((0x180 | word) >> i & 1);
	}
	for (unsigned int i = 0; i < 16; i++) {
		set(EECD, 0x43);
		value = (uint16_t)(value << 1 | (get(EECD) >> 3 & 1));
		set(EECD, 0x42);
	}
	set(EECD, 0x40);
	return value;
}

static uint16_t read_eerd(unsigned int word)
{
	set(EERD, word << 8 | 1);
	assert_int_equal(get(EERD) & 0x10, 0x10);
	return (uint16_t)(get(EERD) >> 16);
}

static void test_eeprom(void **state)
{
	uint16_t sum = 0;

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(read_microwire(i), read_eerd(i));
		sum = (uint16_t)(sum + read_eerd(i));
	}
	assert_int_equal(sum, 0xbaba);
	assert_int_equal(read_microwire(0), 0x5452);
	assert_int_equal(read_microwire(2), 0x5634);
	assert_int_equal(read_microwire(0x0d), 0x100e);
	assert_int_equal(get(RAL), 0x12005452);
	assert_int_equal(get(RAH), 0x80005634);
}

static uint16_t read_phy(unsigned int reg)
{
	set(MDIC, 0x08200000 | reg << 16);
	assert_int_equal(get(MDIC) & 0x50000000, 0x10000000);
	return (uint16_t)get(MDIC);
}

static void write_phy(unsigned int reg, uint16_t value)
{
	set(MDIC, 0x04200000 | reg << 16 | value);
}

static void test_phy_and_link(void **state)
{
	(void)state;
	assert_int_equal(read_phy(2), 0x0141);
	assert_int_equal(read_phy(3), 0x0c20);
	assert_int_equal(read_phy(1) & 0x24, 0x24);
	assert_int_equal(read_phy(17) & 0xec00, 0xac00);
	assert_int_equal(get(STATUS) & 0xc3, 0x83);
	set(MDIC, 0x08400000); /* no PHY at address 2 */
	assert_int_equal(get(MDIC) & 0x50000000, 0x50000000);
	set(IMS, 0x04);
	write_phy(0, 0x1340); /* restart the negotiation */
	assert_true(irq());
	assert_int_equal(get(ICR), 0x04);
	assert_false(irq());
	assert_int_equal(read_phy(0), 0x1140);
	write_phy(4, 0x01e1);
	write_phy(2, 0xffff);
	assert_int_equal(read_phy(4), 0x01e1);
	assert_int_equal(read_phy(2), 0x0141);
	write_phy(0, 0x8000);
	assert_int_equal(read_phy(4), 0x0de1);
}

static void test_reset_and_ports(void **state)
{
	uint16_t port = (uint16_t)fake_pci_bar(fm, nic, 1);

	(void)state;
	set(RAL, 0x11223344);
	set(RCTL, 0x8002);
	set(CTRL, get(CTRL) | 0x04000000);
	assert_int_equal(get(RCTL), 0);
	assert_int_equal(get(RAL), 0x12005452);
	assert_int_equal(get(CTRL) & 0x04000000, 0);
	fake_outl(fm, port, RAL);
	assert_int_equal(fake_inl(fm, port + 4), 0x12005452);
	fake_outl(fm, port + 4, 0xabcdef01);
	assert_int_equal(get(RAL), 0xabcdef01);
	fake_outl(fm, port, 0xfffffffc);
	fake_outl(fm, port + 4, 1);
	assert_int_equal(fake_inl(fm, port + 4), 0);
	assert_int_equal(fake_mmio_read(fm, bar + 0x1fffc, 4), 0);
}

static void test_interrupts(void **state)
{
	unsigned int edges;

	(void)state;
	set(ICS, 0x80);
	assert_false(irq());
	set(IMS, 0x80);
	assert_true(irq());
	set(IMC, 0x80);
	assert_false(irq());
	set(IMS, 0x90);
	assert_int_equal(get(IMS), 0x90);
	set(ICR, 0x80); /* writing ones clears as well */
	assert_false(irq());
	set(ITR, 1000); /* 256 us */
	set(ICS, 0x80);
	assert_true(irq());
	assert_int_equal(get(ICR), 0x80);
	edges = fm->intx[nic->env.devfn >> 3][0].edges;
	set(ICS, 0x80);
	assert_false(irq());
	fake_machine_advance(fm, 255999);
	assert_false(irq());
	fake_machine_advance(fm, 1);
	assert_true(irq());
	assert_int_equal(fm->intx[nic->env.devfn >> 3][0].edges, edges + 1);
}

/* ------- transmitting ------- */

static void start_tx(void)
{
	set(TDBAL, TX_RING);
	set(TDLEN, ENTRIES * 16);
	set(TDH, 0);
	set(TDT, 0);
	set(TCTL, 0x0a);
}

/* Put a descriptor at the tail, as two quadwords. */
static void post(uint64_t low, uint64_t high)
{
	uint32_t tail = get(TDT);

	store_le64(fake_ram(fm, TX_RING + 16 * tail, 8), low);
	store_le64(fake_ram(fm, TX_RING + 16 * tail + 8, 8), high);
	set(TDT, (tail + 1) % ENTRIES);
}

#define EOP UINT64_C(0x01000000)
#define TSE UINT64_C(0x04000000)
#define RS UINT64_C(0x08000000)
#define DEXT UINT64_C(0x20100000) /* data descriptor */
#define VLE UINT64_C(0x40000000)
#define POPT(n) ((uint64_t)(n) << 40)

static const uint8_t *sent(unsigned int n)
{
	return net->frames[n % FAKE_NET_FRAMES].data;
}

static void fill(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		data[i] = (uint8_t)(i * 7 + i / 256);
	}
}

static void test_legacy_transmit(void **state)
{
	uint8_t *data = fake_ram(fm, TX_DATA, 2000);

	(void)state;
	fill(data, 2000);
	start_tx();
	set(IMS, 0x01);
	post(TX_DATA, EOP | RS | 100);
	assert_int_equal(net->sent, 1);
	assert_int_equal(net->frames[0].size, 100);
	assert_memory_equal(sent(0), data, 100);
	assert_int_equal(*(uint8_t *)fake_ram(fm, TX_RING + 12, 1), 1);
	assert_true(irq());
	assert_int_equal(get(ICR), 0x03);
	/* In two parts, and padded. */
	post(TX_DATA, 14);
	assert_int_equal(net->sent, 1);
	post(TX_DATA + 500, EOP | 3);
	assert_int_equal(net->frames[1].size, 60);
	assert_memory_equal(sent(1), data, 14);
	assert_memory_equal(sent(1) + 14, data + 500, 3);
	assert_int_equal(sent(1)[17], 0);
	assert_int_equal(*(uint8_t *)fake_ram(fm, TX_RING + 16 + 12, 1), 0);
	assert_int_equal(get(TDH), 3);
	assert_int_equal(get(GPTC), 2);
	assert_int_equal(get(GPTC), 0);
	assert_int_equal(get(GOTCL), 104 + 64);
	assert_int_equal(get(GOTCH), 0);
	assert_int_equal(get(GOTCL), 0);
}

static void test_transmit_off(void **state)
{
	(void)state;
	start_tx();
	set(TCTL, 0);
	post(TX_DATA, EOP | 100);
	assert_int_equal(net->sent, 0);
	set(TCTL, 0x0a);
	assert_int_equal(net->sent, 1);
	fake_pci_write(fm, nic, 4, 0x03, 2); /* no bus master */
	post(TX_DATA, EOP | 100);
	assert_int_equal(net->sent, 1);
	assert_int_equal(device_pause(nic), 0);
	fake_pci_write(fm, nic, 4, 0x07, 2);
	set(TCTL, 0x0a);
	assert_int_equal(net->sent, 1);
	device_resume(nic);
	assert_int_equal(net->sent, 2);
}

static uint32_t sum(const uint8_t *p, size_t size, uint32_t start)
{
	uint64_t s = start;

	for (size_t i = 0; i < size; i++) {
		s += i & 1 ? p[i] : p[i] << 8;
	}
	while (s >> 16) {
		s = (s & 0xffff) + (s >> 16);
	}
	return (uint32_t)s;
}

/* An IPv4 TCP frame at TX_DATA: 14 + 20 + 20 bytes of headers, then @payload. */
static uint8_t *make_tcp(size_t payload, bool with_length)
{
	uint8_t *f = fake_ram(fm, TX_DATA, 54 + payload);
	uint32_t pseudo;

	fill(f, 54 + payload);
	memcpy(f + 12, "\x08\x00\x45\x00", 4);
	f[16] = (uint8_t)((40 + payload) >> 8);
	f[17] = (uint8_t)(40 + payload);
	memcpy(f + 18, "\x12\xff\x00\x00\x40\x06\x00\x00", 8);
	memcpy(f + 38, "\xff\xff\xff\x00", 4); /* sequence number */
	f[46] = 0x50;
	f[47] = 0x19; /* FIN, PSH, ACK */
	pseudo = sum(f + 26, 8, 6 + (with_length ? 20 + (uint32_t)payload : 0));
	f[50] = (uint8_t)(pseudo >> 8);
	f[51] = (uint8_t)pseudo;
	return f;
}

static void check_tcp(const uint8_t *f, size_t size)
{
	assert_int_equal(sum(f + 14, 20, 0), 0xffff);
	assert_int_equal(sum(f + 34, size - 34, sum(f + 26, 8, 6 + (uint32_t)size - 34)), 0xffff);
	assert_int_equal(f[16] << 8 | f[17], size - 14);
}

static void test_checksums(void **state)
{
	(void)state;
	start_tx();
	make_tcp(101, true);

	/* IPCSS 14, IPCSO 24, IPCSE 33; TUCSS 34, TUCSO 50 */
	post(14 | 24 << 8 | UINT64_C(33) << 16 | UINT64_C(34) << 32 | UINT64_C(50) << 40,
	     UINT64_C(0x23000000));
	post(TX_DATA, DEXT | EOP | RS | POPT(3) | 155);
	assert_int_equal(net->sent, 1);
	check_tcp(sent(0), 155);
	/* A legacy descriptor sums from CSS (byte 13) to the end, at CSO (byte 10). */
	make_tcp(30, true);
	post(TX_DATA, EOP | TSE | 84 | UINT64_C(50) << 16 | UINT64_C(34) << 40);
	assert_int_equal(sum(sent(1) + 34, 50, sum(sent(1) + 26, 8, 6 + 50)), 0xffff);
	/* Offsets beyond the frame leave it alone. */
	post(UINT64_C(0xff) | 0xff << 8 | UINT64_C(0xffffffff) << 32, UINT64_C(0x23000000));
	post(TX_DATA, DEXT | EOP | POPT(3) | 84);
	assert_memory_equal(sent(2), fake_ram(fm, TX_DATA, 84), 84);
}

static void test_segmentation(void **state)
{
	uint8_t *data;
	uint32_t at = 0;

	(void)state;
	start_tx();
	data = make_tcp(3500, false);
	post(14 | 24 << 8 | UINT64_C(33) << 16 | UINT64_C(34) << 32 | UINT64_C(50) << 40,
	     UINT64_C(3500) | UINT64_C(0x27000000) | UINT64_C(54) << 40 | UINT64_C(1460) << 48);
	post(TX_DATA, DEXT | TSE | POPT(3) | 54);
	post(TX_DATA + 54, DEXT | TSE | 1000);
	post(TX_DATA + 1054, DEXT | TSE | EOP | RS | 2500);
	assert_int_equal(net->sent, 3);
	for (unsigned int i = 0; i < 3; i++) {
		size_t size = i < 2 ? 1460 : 580;

		assert_int_equal(net->frames[i].size, 54 + size);
		check_tcp(sent(i), 54 + size);
		assert_memory_equal(sent(i) + 54, data + 54 + at, size);
		assert_int_equal(sent(i)[18] << 8 | sent(i)[19], 0x12ff + i);
		assert_int_equal(__builtin_bswap32(load_le32(sent(i) + 38)), 0xffffff00 + at);
		assert_int_equal(sent(i)[47], i < 2 ? 0x10 : 0x19);
		at += (uint32_t)size;
	}
	assert_int_equal(get(TDH), 4);
	/* Without a segment size or with too long headers nothing goes out. */
	post(14, UINT64_C(0x27000000) | UINT64_C(54) << 40);
	post(TX_DATA, DEXT | TSE | EOP | POPT(3) | 500);
	post(14, UINT64_C(0x27000000) | UINT64_C(255) << 40 | UINT64_C(1) << 48);
	post(TX_DATA, DEXT | TSE | EOP | POPT(3) | 200);
	assert_int_equal(net->sent, 3);
}

static void test_udp6_segmentation(void **state)
{
	uint8_t *f = fake_ram(fm, TX_DATA, 4096);

	(void)state;
	start_tx();
	fill(f, 4096);
	post(14 | 24 << 8 | UINT64_C(0) << 16 | UINT64_C(54) << 32 | UINT64_C(60) << 40,
	     UINT64_C(0x24000000) | UINT64_C(62) << 40 | UINT64_C(100) << 48);
	post(TX_DATA, DEXT | TSE | EOP | 212);
	assert_int_equal(net->sent, 2);
	assert_int_equal(sent(0)[18] << 8 | sent(0)[19], 108);
	assert_int_equal(sent(0)[58] << 8 | sent(0)[59], 108);
	assert_int_equal(sent(1)[18] << 8 | sent(1)[19], 58);
	assert_int_equal(sent(1)[58] << 8 | sent(1)[59], 58);
}

/* Much work is done in portions, the rest on the loop. */
static void test_long_ring(void **state)
{
	(void)state;
	set(TDBAL, TX_RING);
	set(TDLEN, 1024 * 16);
	set(TCTL, 0x0a);
	for (unsigned int i = 0; i < 1000; i++) {
		store_le64(fake_ram(fm, TX_RING + 16 * i, 8), TX_DATA);
		store_le64(fake_ram(fm, TX_RING + 16 * i + 8, 8), EOP | 64);
	}
	set(TDT, 1000);
	assert_true(net->sent > 0 && net->sent < 1000);
	fake_machine_run(fm);
	assert_int_equal(net->sent, 1000);
	set(TDT, 500);
	set(CTRL, 0x04000000); /* what was left is forgotten */
	fake_machine_run(fm);
	assert_true(net->sent < 1500);
}

static void test_hostile_transmit(void **state)
{
	(void)state;
	start_tx();
	post(UINT64_C(0xfffffffffffff000), EOP | RS | 1000); /* no memory there */
	assert_int_equal(net->sent, 0);
	for (unsigned int i = 0; i < 70; i++) { /* longer than anything */
		post(0, DEXT | 0xfffff);
	}
	post(0, DEXT | EOP | 10);
	assert_int_equal(net->sent, 0);
	post(0, UINT64_C(0x20f00000) | EOP); /* unknown type */
	post(TX_DATA, EOP | 13);	     /* less than a header */
	assert_int_equal(net->sent, 0);
	post(TX_DATA, EOP | 100);
	assert_int_equal(net->sent, 1);
	set(TDH, 0xffff);
	set(TDT, 3);
	set(TDLEN, 0);
	set(TDT, 0xffffffff);
	set(TDBAL + 4, 0xffffffff);
	set(TDLEN, 0xffffffff);
	set(TDH, 1);
	set(TDT, 0xffff);
	fake_machine_run(fm);
	assert_int_equal(net->sent, 1);
}

/* ------- receiving ------- */

static void start_rx(uint32_t rctl)
{
	for (unsigned int i = 0; i < ENTRIES; i++) {
		store_le64(fake_ram(fm, RX_RING + 16 * i, 8), RX_BUFFERS + 0x4000 * i);
		store_le64(fake_ram(fm, RX_RING + 16 * i + 8, 8), 0);
	}
	set(RDBAL, RX_RING);
	set(RDLEN, ENTRIES * 16);
	set(RDH, 0);
	set(RDT, ENTRIES - 1);
	set(RCTL, rctl | 0x02);
}

static uint64_t rx_status(unsigned int n)
{
	return load_le64(fake_ram(fm, RX_RING + 16 * n + 8, 8));
}

static uint8_t *rx_data(unsigned int n)
{
	return fake_ram(fm, RX_BUFFERS + 0x4000 * n, 0x4000);
}

static void arrive(const uint8_t *to, size_t size)
{
	uint8_t frame[4000];

	fill(frame, sizeof(frame));
	memcpy(frame, to, 6);
	assert_true(fake_net_arrive(net, frame, size));
}

static bool arrived(const uint8_t *to)
{
	uint32_t head = get(RDH);

	arrive(to, 100);
	set(RDT, (get(RDH) + ENTRIES - 1) % ENTRIES);
	return get(RDH) != head;
}

static void test_receive(void **state)
{
	(void)state;
	arrive(mac, 100); /* before the driver is there: lost */
	start_rx(0);
	set(IMS, 0x80);
	arrive(mac, 100);
	assert_int_equal(rx_status(0), UINT64_C(0x700000068)); /* with FCS */
	assert_memory_equal(rx_data(0), mac, 6);
	assert_int_equal(rx_data(0)[99], (uint8_t)(99 * 7));
	assert_true(irq());
	assert_int_equal(get(ICR), 0x80);
	set(RCTL, 0x04000002); /* strip the FCS */
	arrive(mac, 20);
	assert_int_equal(rx_status(1), UINT64_C(0x70000003c));
	assert_int_equal(rx_data(1)[59], 0);
	arrive(mac, 1518);
	assert_int_equal(rx_status(2) & 0xffff, 1518);
	arrive(mac, 1519); /* long ones are not wanted */
	assert_int_equal(get(RDH), 3);
	set(RCTL, 0x04000022);
	arrive(mac, 3000);
	assert_int_equal(rx_status(3), UINT64_C(0x100000800));
	assert_int_equal(rx_status(4), UINT64_C(0x7000003b8));
	assert_int_equal(rx_data(4)[0], (uint8_t)(2048 * 7 + 8));
	assert_int_equal(get(GPRC), 4);
	assert_int_equal(get(ICR), 0x90); /* few are left */
	set(RCTL, 0x04030022);		  /* buffers of 256 bytes */
	arrive(mac, 300);
	assert_int_equal(rx_status(5) & 0xffff, 256);
	assert_int_equal(rx_status(6) & 0xffff, 44);
}

static void test_receive_waits_for_room(void **state)
{
	uint8_t frame[100];

	(void)state;
	start_rx(0);
	memcpy(frame, mac, 6);
	for (unsigned int i = 0; i < ENTRIES - 1; i++) {
		arrive(mac, 100);
	}
	assert_false(fake_net_arrive(net, frame, 100));
	net->ready = 0;
	set(RDT, 0);
	assert_int_equal(net->ready, 1);
	assert_true(fake_net_arrive(net, frame, 100));
	assert_false(fake_net_arrive(net, frame, 100));
	set(RCTL, 0); /* off: let it be dropped */
	assert_int_equal(net->ready, 2);
	assert_true(fake_net_arrive(net, frame, 100));
	set(RCTL, 2);
	assert_false(fake_net_arrive(net, frame, 100));
	set(CTRL, 0x04000000);
	assert_int_equal(net->ready, 3);
	start_rx(0);
	assert_int_equal(device_pause(nic), 0);
	assert_false(fake_net_arrive(net, frame, 100));
	device_resume(nic);
	assert_int_equal(net->ready, 4);
	assert_true(fake_net_arrive(net, frame, 100));
}

static void test_filters(void **state)
{
	static const uint8_t other[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x57 };
	static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x7f, 0x12, 0xa5 };
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const unsigned int shifts[4] = { 4, 3, 2, 0 };

	(void)state;
	start_rx(0);
	assert_true(arrived(mac));
	assert_false(arrived(other));
	assert_false(arrived(group));
	assert_false(arrived(all));
	set(RCTL, 0x8002);
	assert_true(arrived(all));
	set(RCTL, 0x0a);
	assert_true(arrived(other));
	assert_false(arrived(group));
	set(RCTL, 0x12);
	assert_true(arrived(group));
	assert_false(arrived(other));
	for (unsigned int mo = 0; mo < 4; mo++) {
		uint32_t hash = 0xa512 >> shifts[mo] & 0xfff;

		set(RCTL, 0x02 | mo << 12);
		assert_false(arrived(group));
		set(MTA + 4 * (hash >> 5), 1U << (hash & 31));
		assert_true(arrived(group));
		assert_int_equal(rx_status((get(RDH) + ENTRIES - 1) % ENTRIES) >> 32 & 0x80, 0x80);
		set(MTA + 4 * (hash >> 5), 0);
	}
	set(RAL + 8 * 15, load_le32(other));
	set(RAH + 8 * 15, load_le16(other + 4));
	assert_false(arrived(other));
	set(RAH + 8 * 15, 0x80000000 | load_le16(other + 4));
	assert_true(arrived(other));
}

static void test_vlan(void **state)
{
	uint8_t frame[100];

	(void)state;
	fill(frame, sizeof(frame));
	memcpy(frame, mac, 6);
	memcpy(frame + 12, "\x81\x00\x20\x64", 4); /* VLAN 100 */
	start_rx(0x04040000);
	assert_true(fake_net_arrive(net, frame, 100));
	assert_int_equal(get(RDH), 0);
	set(VFTA + 4 * (100 / 32), 1U << (100 % 32));
	assert_true(fake_net_arrive(net, frame, 100));
	assert_memory_equal(rx_data(0), frame, 100);
	set(CTRL, 0x40000241);
	assert_true(fake_net_arrive(net, frame, 100));
	assert_int_equal(rx_status(1), UINT64_C(0x2064000f00000060));
	assert_memory_equal(rx_data(1), frame, 12);
	assert_memory_equal(rx_data(1) + 12, frame + 16, 84);
	start_tx();
	memcpy(fake_ram(fm, TX_DATA, 96), rx_data(1), 96);
	post(TX_DATA, EOP | VLE | 96 | UINT64_C(0x2064) << 48);
	assert_int_equal(net->frames[0].size, 100);
	assert_memory_equal(sent(0), frame, 100);
}

static void test_loopback(void **state)
{
	(void)state;
	start_rx(0);
	start_tx();
	write_phy(0, 0x4140);
	fill(fake_ram(fm, TX_DATA, 100), 100);
	memcpy(fake_ram(fm, TX_DATA, 6), mac, 6);
	post(TX_DATA, EOP | 100);
	assert_int_equal(net->sent, 0);
	assert_int_equal(get(RDH), 1);
	assert_memory_equal(rx_data(0), fake_ram(fm, TX_DATA, 100), 100);
}

static void test_hostile_receive(void **state)
{
	(void)state;
	start_rx(0);
	store_le64(fake_ram(fm, RX_RING, 8), UINT64_C(0xffffffffffffff00));
	arrive(mac, 100);
	assert_int_equal(get(RDH), 1);
	set(RDT, 0xffff);
	arrive(mac, 100);
	set(RDLEN, 0);
	arrive(mac, 100);
	set(RDLEN, 0x80);
	set(RDH, 0xffff);
	arrive(mac, 100);
	set(RDBAL + 4, 0xffffffff);
	set(RDLEN, 0xffffffff);
	set(RDH, 0xfff0);
	set(RDT, 0);
	arrive(mac, 100);
	set(RCTL, 0x3022a);
	set(RDLEN, 0x80);
	set(RDH, 0);
	set(RDT, 7);
	arrive(mac, 3000); /* never fits a ring of 8 x 256 bytes */
	assert_int_equal(get(RDH), 0);
}

/* ------- state and configuration ------- */

static void test_state_in_the_middle(void **state)
{
	struct fake_image image;
	struct error err = { 0 };

	(void)state;
	fill(fake_ram(fm, TX_DATA, 100), 100);
	start_tx();
	post(TX_DATA, 50);
	fake_state_save(nic, &image);
	set(CTRL, 0x04000000);
	assert_int_equal(fake_state_load(nic, &image, &err), 0);
	post(TX_DATA + 50, EOP | 50);
	assert_int_equal(net->frames[0].size, 100);
	assert_memory_equal(sent(0), fake_ram(fm, TX_DATA, 100), 100);
	store_le32(fake_image_field(&image, "packet.size"), 0x7fffffff);
	assert_int_equal(fake_state_load(nic, &image, &err), -EINVAL);
	fake_image_finish(&image);
	device_reset(nic, RESET_COLD);
	fake_state_save(nic, &image);
	*fake_image_field(&image, "microwire.word") = 64;
	assert_int_equal(fake_state_load(nic, &image, &err), -EINVAL);
	fake_image_finish(&image);
	device_reset(nic, RESET_COLD);
}

static void other_path(struct fake_machine *machine, struct device_env *env)
{
	plug(machine, env);
	env->path = "net.1";
}

static void test_boot_rom(void **state)
{
	char file[] = "/tmp/limen-rom-XXXXXX";
	int fd = mkstemp(file);
	struct error err = { 0 };
	struct device *other;
	uint32_t low;

	(void)state;
	assert_int_equal(write(fd, "\x55\xaa rom", 6), 6);
	assert_int_equal(ftruncate(fd, 5000), 0);
	close(fd);
	fake_machine_set(fm, "e1000", "net.1", "rom", file);
	other = fake_machine_create_device(fm, "e1000", other_path);
	fake_pci_write(fm, other, 0x30, 0xfffff800, 4);
	low = fake_pci_read(fm, other, 0x30, 4);
	assert_int_equal(low, 0xffffe000);
	fake_pci_write(fm, other, 0x04, 2, 2);
	fake_pci_write(fm, other, 0x30, 0xe8000001, 4);
	assert_memory_equal(guest_mem_map(fm->memory, 0xe8000000, 6, false), "\x55\xaa rom", 6);
	fake_machine_destroy_device(fm, other);
	unlink(file);
	fake_machine_set(fm, "e1000", "net.1", "rom", "/nonexistent/rom");
	assert_int_equal(fake_machine_try_create(fm, "e1000", other_path, &other, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/rom"));
}

static void test_default_address(void **state)
{
	struct config_view view = config_view_at(fm->config, "net.1");
	uint8_t a[6], b[6];

	(void)state;
	fake_machine_set(fm, "e1000", "net.1", "rom", "none");
	net_mac_address(&view, a);
	assert_memory_equal(a, "\x52\x54\x00", 3);
	net_mac_address(&view, b);
	assert_memory_equal(a, b, 6);
	fake_machine_set(fm, "e1000", "net.2", "rom", "none");
	view = config_view_at(fm->config, "net.2");
	net_mac_address(&view, b);
	assert_memory_not_equal(a, b, 6);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_eeprom),
		TEST(test_phy_and_link),
		TEST(test_reset_and_ports),
		TEST(test_interrupts),
		TEST(test_legacy_transmit),
		TEST(test_transmit_off),
		TEST(test_checksums),
		TEST(test_segmentation),
		TEST(test_udp6_segmentation),
		TEST(test_long_ring),
		TEST(test_hostile_transmit),
		TEST(test_receive),
		TEST(test_receive_waits_for_room),
		TEST(test_filters),
		TEST(test_vlan),
		TEST(test_loopback),
		TEST(test_hostile_receive),
		TEST(test_state_in_the_middle),
		cmocka_unit_test_setup_teardown(test_boot_rom, set_up, discard),
		cmocka_unit_test_setup_teardown(test_default_address, set_up, discard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
