/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8254 interval timer, ports 40h-43h, and port 61h, which has counter 2's gate and output:
 * Intel's 8254 data sheet (order 231164), ICH9 datasheet sections 13.3 and 13.7.1. All six modes,
 * BCD, counter latch and read-back. Counter 0's output is the pin env.output (IRQ 0); the gates of
 * counters 0 and 1 are tied high.
 *
 * Nothing counts: a counter's value and output are computed from the machine clock when somebody
 * looks, and only counter 0 has a timer, for the next rise of its output. Missed ticks: where the
 * host was too late for one or more rises, the guest gets one interrupt for all of them and no
 * storm afterwards, so a guest that counts ticks falls behind as on a machine that masks interrupts
 * too long. Rises closer than MIN_PERIOD_NS are thinned out for the same reason.
 *
 * A new count without a new control word takes effect, in modes 2 and 3, at the end of the period
 * (in mode 3 the chip would do so at the end of the half period).
 */

#include "bus/chipset.h"

#include <assert.h>

#include "ticks.h"

#define PIT_HZ 1193182
#define PIT_COUNTERS 3
#define MIN_PERIOD_NS 20000
#define REFRESH_HALF_PERIOD_NS 15085

/* Control word, 8254 figure 7. */
#define CONTROL_COUNTER(v) ((v) >> 6 & 3)
#define CONTROL_ACCESS(v) ((v) >> 4 & 3)
#define CONTROL_MODE(v) ((v) >> 1 & 7)
#define CONTROL_BCD BIT(0)
#define READ_BACK 3
#define READ_BACK_NO_COUNT BIT(5)
#define READ_BACK_NO_STATUS BIT(4)

#define STATUS_OUT BIT(7)
#define STATUS_NULL_COUNT BIT(6)

enum access {
	ACCESS_LATCH,
	ACCESS_LOW,
	ACCESS_HIGH,
	ACCESS_BOTH,
};

/* Port 61h. */
#define PORT61_GATE2 BIT(0)
#define PORT61_WRITABLE 0x0f
#define PORT61_REFRESH BIT(4)
#define PORT61_OUT2 BIT(5)

/**
 * struct pit_counter - one counter; times in ticks since the clock's 0
 * @start: when @count was loaded into the counting element
 * @frozen: ticks that had passed when the gate went low
 * @next_count: replaces @count at @next_at (modes 2 and 3) or at the next trigger (1 and 5); 0 none
 * @loaded: a count was written since the control word; @counting: it was also started
 */
struct pit_counter {
	uint32_t count;
	uint32_t next_count;
	uint64_t next_at;
	uint64_t start;
	uint64_t frozen;
	uint16_t latch;
	uint8_t status;
	uint8_t mode;
	uint8_t access;
	uint8_t low_byte;
	bool bcd;
	bool gate;
	bool loaded;
	bool counting;
	bool read_high;
	bool write_high;
	bool count_latched;
	bool status_latched;
};

struct pit {
	struct device dev;
	struct pit_counter counters[PIT_COUNTERS];
	uint8_t port61;
	struct timer timer;
	struct io_region regions[2];
};

static const struct device_ops pit_ops;

static struct pit *pit_from_device(struct device *dev)
{
	assert(dev->ops == &pit_ops);
	return container_of(dev, struct pit, dev);
}

static uint64_t ticks_now(struct pit *pit)
{
	return ticks_from_ns(machine_clock_now(pit->dev.env.clock), PIT_HZ);
}

/* ---- a counter ---- */

static bool is_periodic(const struct pit_counter *c)
{
	return c->mode == 2 || c->mode == 3;
}

static bool is_triggered_by_gate(const struct pit_counter *c)
{
	return c->mode == 1 || c->mode == 5;
}

static uint64_t elapsed(const struct pit_counter *c, uint64_t now)
{
	if (!c->gate && !is_triggered_by_gate(c)) {
		return c->frozen;
	}
	return now > c->start ? now - c->start : 0;
}

/* Bring a count that has become due into effect. */
static void settle(struct pit_counter *c, uint64_t now)
{
	if (c->next_count && is_periodic(c) && now >= c->next_at) {
		c->count = c->next_count;
		c->start = c->next_at;
		c->next_count = 0;
	}
}

static bool counter_out(const struct pit_counter *c, uint64_t now)
{
	uint64_t d;

	if (!c->counting) {
		return c->mode != 0;
	}
	if (is_periodic(c) && !c->gate) {
		return true;
	}
	d = elapsed(c, now);
	switch (c->mode) {
	case 0:
	case 1:
		return d >= c->count;
	case 2:
		return d % c->count != c->count - 1;
	case 3:
		return d % c->count < (c->count + 1) / 2;
	default:
		return d != c->count;
	}
}

static uint16_t to_bcd(unsigned int value)
{
	return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static unsigned int from_bcd(unsigned int value)
{
	return (value & 0xf) + (value >> 4 & 0xf) * 10 + (value >> 8 & 0xf) * 100 +
	       (value >> 12 & 0xf) * 1000;
}

static uint16_t counter_value(const struct pit_counter *c, uint64_t now)
{
	uint64_t d = c->counting ? elapsed(c, now) : 0;
	unsigned int modulus = c->bcd ? 10000 : 0x10000;
	unsigned int half = (c->count + 1) / 2;
	unsigned int value;

	if (c->mode == 2) {
		value = c->count - d % c->count;
	} else if (c->mode == 3) {
		value = (c->count & ~1u) - 2 * (d % c->count % half);
	} else {
		value = c->count + modulus - d % modulus;
	}
	value %= modulus;
	return c->bcd ? to_bcd(value) : value;
}

static void counter_start(struct pit_counter *c, uint64_t now)
{
	if (c->next_count) {
		c->count = c->next_count;
		c->next_count = 0;
	}
	c->start = now + 1;
	c->frozen = 0;
	c->counting = true;
}

static void counter_load(struct pit_counter *c, uint16_t value, uint64_t now)
{
	uint32_t count = c->bcd ? from_bcd(value) % 10000 : value;

	if (count == 0) {
		count = c->bcd ? 10000 : 0x10000;
	}
	if (is_periodic(c) && c->counting && c->gate) {
		uint64_t d = elapsed(c, now);

		c->next_at = c->start + d - d % c->count + c->count;
		c->next_count = count;
	} else if (is_triggered_by_gate(c) && c->counting) {
		c->next_count = count;
	} else {
		c->next_count = 0;
		c->count = count;
		if (!is_triggered_by_gate(c)) {
			counter_start(c, now);
		}
	}
	c->loaded = true;
}

static void counter_set_gate(struct pit_counter *c, bool gate, uint64_t now)
{
	if (gate == c->gate) {
		return;
	}
	settle(c, now);
	if (!gate) {
		c->frozen = elapsed(c, now);
		c->gate = false;
		return;
	}
	c->gate = true;
	if (is_periodic(c) || is_triggered_by_gate(c)) {
		if (c->loaded) {
			counter_start(c, now);
		}
	} else {
		c->start = now - MIN(now, c->frozen);
	}
}

/* The tick of the next rise of OUT after @now, UINT64_MAX for none. */
static uint64_t counter_next_rise(const struct pit_counter *c, uint64_t now)
{
	uint64_t d = elapsed(c, now);

	if (!c->counting || !c->gate) {
		return UINT64_MAX;
	}
	switch (c->mode) {
	case 2:
	case 3:
		if (c->next_count) {
			return c->next_at;
		}
		return now < c->start ? c->start + c->count : now + c->count - d % c->count;
	case 4:
	case 5:
		return d <= c->count ? c->start + c->count + 1 : UINT64_MAX;
	default:
		return d < c->count ? c->start + c->count : UINT64_MAX;
	}
}

static void latch_count(struct pit_counter *c, uint64_t now)
{
	if (!c->count_latched) {
		c->latch = counter_value(c, now);
		c->count_latched = true;
	}
}

static void latch_status(struct pit_counter *c, uint64_t now)
{
	if (c->status_latched) {
		return;
	}
	c->status = c->access << 4 | c->mode << 1 | c->bcd;
	if (counter_out(c, now)) {
		c->status |= STATUS_OUT;
	}
	if (!c->loaded || c->next_count || (c->counting && now < c->start)) {
		c->status |= STATUS_NULL_COUNT;
	}
	c->status_latched = true;
}

static uint8_t counter_read(struct pit_counter *c, uint64_t now)
{
	uint16_t value = c->count_latched ? c->latch : counter_value(c, now);
	bool high = c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && c->read_high);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->access == ACCESS_BOTH) {
		c->read_high = !high;
	}
	if (c->access != ACCESS_BOTH || high) {
		c->count_latched = false;
	}
	return high ? value >> 8 : value & 0xff;
}

static void counter_write(struct pit_counter *c, uint8_t value, uint64_t now)
{
	switch (c->access) {
	case ACCESS_LOW:
		counter_load(c, value, now);
		break;
	case ACCESS_HIGH:
		counter_load(c, value << 8, now);
		break;
	default:
		if (c->write_high) {
			counter_load(c, c->low_byte | value << 8, now);
		} else {
			c->low_byte = value;
			if (c->mode == 0) {
				c->counting = false;
			}
		}
		c->write_high = !c->write_high;
		break;
	}
}

static void counter_control(struct pit_counter *c, uint8_t value, uint64_t now)
{
	if (CONTROL_ACCESS(value) == ACCESS_LATCH) {
		latch_count(c, now);
		return;
	}
	c->access = CONTROL_ACCESS(value);
	c->mode = CONTROL_MODE(value);
	if (c->mode > 5) {
		c->mode &= 3; /* bit 2 is "don't care" for modes 2 and 3 */
	}
	c->bcd = value & CONTROL_BCD;
	c->loaded = false;
	c->counting = false;
	c->next_count = 0;
	c->read_high = false;
	c->write_high = false;
	c->count_latched = false;
	c->status_latched = false;
	c->frozen = 0;
	/* A count of the other base could lie beyond it. */
	c->count = 1;
}

/* ---- counter 0's interrupt ---- */

/* @now: the moment of the whole operation, so that no rise can fall between two looks. */
static void arm_locked(struct pit *pit, uint64_t now)
{
	uint64_t rise = counter_next_rise(&pit->counters[0], now);
	uint64_t soonest = machine_clock_now(pit->dev.env.clock) + MIN_PERIOD_NS;
	uint64_t ns = ticks_to_ns(rise, PIT_HZ);

	if (rise == UINT64_MAX || ns == UINT64_MAX) {
		timer_cancel(&pit->timer);
	} else {
		timer_arm(&pit->timer, is_periodic(&pit->counters[0]) ? MAX(ns, soonest) : ns);
	}
}

static void timer_fired(void *opaque)
{
	struct pit *pit = opaque;
	uint64_t now = ticks_now(pit);

	settle(&pit->counters[0], now);
	irq_set(&pit->dev.env.output, false);
	irq_set(&pit->dev.env.output, true);
	arm_locked(pit, now);
}

/* After a write: the output may have changed at once, and when it will rise next. */
static void counter0_changed(struct pit *pit, uint64_t now)
{
	irq_set(&pit->dev.env.output, counter_out(&pit->counters[0], now));
	arm_locked(pit, now);
}

/* ---- ports ---- */

static void read_back(struct pit *pit, uint8_t value, uint64_t now)
{
	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		struct pit_counter *c = &pit->counters[i];

		if (!(value & BIT(i + 1))) {
			continue;
		}
		if (!(value & READ_BACK_NO_COUNT)) {
			latch_count(c, now);
		}
		if (!(value & READ_BACK_NO_STATUS)) {
			latch_status(c, now);
		}
	}
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t now = ticks_now(pit);

	if (offset == PIT_COUNTERS) {
		return 0; /* the control word cannot be read */
	}
	settle(&pit->counters[offset], now);
	return counter_read(&pit->counters[offset], now);
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t now = ticks_now(pit);
	unsigned int n = offset;

	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		settle(&pit->counters[i], now);
	}
	if (offset < PIT_COUNTERS) {
		counter_write(&pit->counters[n], (uint8_t)value, now);
	} else if (CONTROL_COUNTER(value) == READ_BACK) {
		read_back(pit, (uint8_t)value, now);
		return;
	} else {
		n = CONTROL_COUNTER(value);
		counter_control(&pit->counters[n], (uint8_t)value, now);
	}
	if (n == 0) {
		counter0_changed(pit, now);
	}
}

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t now_ns = machine_clock_now(pit->dev.env.clock);
	uint64_t now = ticks_from_ns(now_ns, PIT_HZ);
	uint8_t value = pit->port61;

	settle(&pit->counters[2], now);
	if (now_ns / REFRESH_HALF_PERIOD_NS & 1) {
		value |= PORT61_REFRESH;
	}
	if (counter_out(&pit->counters[2], now)) {
		value |= PORT61_OUT2;
	}
	return value;
}

static void port61_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pit *pit = opaque;

	pit->port61 = value & PORT61_WRITABLE;
	counter_set_gate(&pit->counters[2], value & PORT61_GATE2, ticks_now(pit));
}

static const struct io_ops pit_io = { .read = pit_read, .write = pit_write, .max_size = 1 };
static const struct io_ops port61_io = {
	.read = port61_read,
	.write = port61_write,
	.max_size = 1,
};

/* ---- life ---- */

static void pit_destroy(struct device *dev)
{
	struct pit *pit = pit_from_device(dev);

	io_region_unmap(&pit->regions[0]);
	io_region_unmap(&pit->regions[1]);
	timer_finish(&pit->timer);
}

static int pit_create(struct device *dev, struct error *err)
{
	struct pit *pit = pit_from_device(dev);
	int rc;

	timer_init(&pit->timer, dev->env.clock, &dev->lock, timer_fired, pit);
	io_region_init(&pit->regions[0], "pit", &pit_io, pit, &dev->lock, 4);
	io_region_init(&pit->regions[1], "port61", &port61_io, pit, &dev->lock, 1);
	rc = io_region_map(&pit->regions[0], dev->env.ports, 0x40);
	if (rc == 0) {
		rc = io_region_map(&pit->regions[1], dev->env.ports, 0x61);
	}
	if (rc < 0) {
		pit_destroy(dev);
		return error_set(err, -rc, "cannot map the interval timer's ports");
	}
	return 0;
}

static void pit_reset(struct device *dev, enum reset_kind kind)
{
	struct pit *pit = pit_from_device(dev);

	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		pit->counters[i] = (struct pit_counter){
			.count = 1,
			.access = ACCESS_BOTH,
			.gate = i != 2,
		};
	}
	pit->port61 = 0;
	counter0_changed(pit, ticks_now(pit));
}

/* ---- saved state ---- */

static int counter_post_load(void *base, struct error *err)
{
	struct pit_counter *c = base;
	uint32_t limit = c->bcd ? 10000 : 0x10000;

	if (c->mode > 5 || c->access < ACCESS_LOW || c->access > ACCESS_BOTH || c->count == 0 ||
	    c->count > limit || c->next_count > limit) {
		return error_set(err, EINVAL, "a timer counter in no possible state");
	}
	return 0;
}

static int pit_post_load(void *base, struct error *err)
{
	struct pit *pit = base;

	if (!pit->counters[0].gate || !pit->counters[1].gate ||
	    pit->counters[2].gate != !!(pit->port61 & PORT61_GATE2) ||
	    pit->port61 & ~PORT61_WRITABLE) {
		return error_set(err, EINVAL, "the timer's gates contradict port 61h");
	}
	return 0;
}

static const struct state_field counter_fields[] = {
	STATE_FIELD(struct pit_counter, count),
	STATE_FIELD(struct pit_counter, next_count),
	STATE_FIELD(struct pit_counter, next_at),
	STATE_FIELD(struct pit_counter, start),
	STATE_FIELD(struct pit_counter, frozen),
	STATE_FIELD(struct pit_counter, latch),
	STATE_FIELD(struct pit_counter, status),
	STATE_FIELD(struct pit_counter, mode),
	STATE_FIELD(struct pit_counter, access),
	STATE_FIELD(struct pit_counter, low_byte),
	STATE_FIELD_BOOL(struct pit_counter, bcd),
	STATE_FIELD_BOOL(struct pit_counter, gate),
	STATE_FIELD_BOOL(struct pit_counter, loaded),
	STATE_FIELD_BOOL(struct pit_counter, counting),
	STATE_FIELD_BOOL(struct pit_counter, read_high),
	STATE_FIELD_BOOL(struct pit_counter, write_high),
	STATE_FIELD_BOOL(struct pit_counter, count_latched),
	STATE_FIELD_BOOL(struct pit_counter, status_latched),
	STATE_FIELDS_END,
};

static const struct state_table counter_state = {
	.version = 1,
	.fields = counter_fields,
	.post_load = counter_post_load,
};

static const struct state_field pit_fields[] = {
	STATE_FIELD_STRUCT(struct pit, counters, PIT_COUNTERS, &counter_state),
	STATE_FIELD(struct pit, port61),
	STATE_FIELD_TIMER(struct pit, timer),
	STATE_FIELDS_END,
};

static const struct state_table pit_state = {
	.version = 1,
	.fields = pit_fields,
	.post_load = pit_post_load,
};

static const struct device_ops pit_ops = {
	.name = "pit",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct pit),
	.state = &pit_state,
	.create = pit_create,
	.destroy = pit_destroy,
	.reset = pit_reset,
};
DEVICE_REGISTER(pit_ops);
