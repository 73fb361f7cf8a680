/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The high-precision event timers: IA-PC HPET specification 1.0a, at FED00000h. A 64-bit counter of
 * 100 MHz that is the machine clock, and three 64-bit timers, each able to be periodic, with
 * interrupts by IOAPIC pins 20-23 or by legacy replacement routing (timer 0 for the PIT's IRQ 0,
 * timer 1 for the RTC's IRQ 8). The PIT's and the RTC's wires run through here, so that they are
 * cut while it is on.
 *
 * A timer arms the host's only while it is enabled. Where the host was late for several periods,
 * the guest gets one interrupt and the comparator moves past the counter: no storm. Periods below
 * MIN_PERIOD_NS are thinned out likewise.
 *
 * Left out: FSB (MSI) delivery, which is optional (2.3.8, Tn_FSB_INT_DEL_CAP).
 */

#include "bus/chipset.h"

#include <assert.h>

#define HPET_SIZE 0x400
#define HPET_TIMERS 3
#define TICK_NS 10
#define MIN_PERIOD_NS 20000

/* Register offsets, 2.3.2. */
#define REG_CAPABILITIES 0x000
#define REG_CONFIG 0x010
#define REG_STATUS 0x020
#define REG_COUNTER 0x0f0
#define REG_TIMERS 0x100
#define REG_TIMER_SIZE 0x20
#define TIMER_CONFIG 0x00
#define TIMER_COMPARATOR 0x08

#define CAP_ID (UINT64_C(0x8086) << 16 | BIT(15) | BIT(13) | (HPET_TIMERS - 1) << 8 | 1)
#define CAP_PERIOD_FS UINT64_C(10000000)

#define CONFIG_ENABLE BIT(0)
#define CONFIG_LEGACY BIT(1)

#define TN_LEVEL BIT(1)
#define TN_ENABLE BIT(2)
#define TN_PERIODIC BIT(3)
#define TN_SET_VALUE BIT(6)
#define TN_32BIT BIT(8)
#define TN_ROUTE(config) ((config) >> 9 & 0x1f)
#define TN_WRITABLE 0x3f4e
#define TN_ROUTES UINT64_C(0x00f00000)
#define TN_CAPABILITIES (TN_ROUTES << 32 | BIT(5) | BIT(4)) /* 64 bits wide, can be periodic */

#define LEGACY_IRQ(n) ((n) == 0 ? 0u : 8u)

struct hpet_timer {
	struct hpet *hpet;
	unsigned int n;
	uint64_t config; /* the guest's bits */
	uint64_t comparator;
	uint64_t period;
	struct timer timer;
};

/**
 * struct hpet - the block
 * @counter: the main counter while halted; while it runs, what to add to the clock's ticks
 * @inputs: levels of the PIT's and the RTC's wire, bit HPET_LEGACY_*
 */
struct hpet {
	struct device dev;
	uint64_t config;
	uint32_t status;
	uint64_t counter;
	uint8_t inputs;
	struct hpet_timer timers[HPET_TIMERS];
	struct io_region region;
};

static const struct device_ops hpet_ops;

static struct hpet *hpet_from_device(struct device *dev)
{
	assert(dev->ops == &hpet_ops);
	return container_of(dev, struct hpet, dev);
}

uint32_t hpet_id(struct device *dev)
{
	(void)hpet_from_device(dev);
	return (uint32_t)CAP_ID;
}

static bool is_running(const struct hpet *hpet)
{
	return hpet->config & CONFIG_ENABLE;
}

/*
 * Every operation looks at the clock once and works with that moment: a comparator that the counter
 * passes in the middle of it would otherwise count as a turn of the counter away.
 */
static uint64_t clock_now(const struct hpet *hpet)
{
	return machine_clock_now(hpet->dev.env.clock);
}

static uint64_t counter_at(const struct hpet *hpet, uint64_t now_ns)
{
	return is_running(hpet) ? hpet->counter + now_ns / TICK_NS : hpet->counter;
}

/* ---- timers ---- */

static uint64_t timer_mask(const struct hpet_timer *t)
{
	return t->config & TN_32BIT ? UINT32_MAX : UINT64_MAX;
}

/*
 * Ticks until @t's comparator is reached. A comparator up to half the counter's range behind counts
 * as passed for a periodic timer, which has then to be moved on.
 */
static uint64_t ticks_left(const struct hpet_timer *t, uint64_t now_ns)
{
	return (t->comparator - counter_at(t->hpet, now_ns)) & timer_mask(t);
}

static bool has_passed(const struct hpet_timer *t, uint64_t now_ns)
{
	uint64_t left = ticks_left(t, now_ns);

	return left == 0 || left > timer_mask(t) / 2;
}

/* Move a periodic comparator past the counter, as the hardware would have, one match at a time. */
static void settle(struct hpet_timer *t, uint64_t now_ns)
{
	uint64_t period = t->period & timer_mask(t);
	uint64_t behind;

	if (!is_running(t->hpet) || !(t->config & TN_PERIODIC) || period == 0 ||
	    !has_passed(t, now_ns)) {
		return;
	}
	behind = (counter_at(t->hpet, now_ns) - t->comparator) & timer_mask(t);
	t->comparator = (t->comparator + (behind / period + 1) * period) & timer_mask(t);
}

/* The line that @t drives, NULL when its route leads nowhere. */
static const struct irq_line *timer_line(const struct hpet_timer *t)
{
	const struct irq_line *irqs = t->hpet->dev.env.irqs;
	unsigned int route = TN_ROUTE(t->config);

	if (t->hpet->config & CONFIG_LEGACY && t->n < 2) {
		return &irqs[LEGACY_IRQ(t->n)];
	}
	return TN_ROUTES & BIT(route) ? &irqs[route] : NULL;
}

/* Show the level that status and configuration give a level-triggered timer. */
static void update_level(struct hpet_timer *t)
{
	const struct irq_line *line = timer_line(t);

	if (line && t->config & TN_LEVEL) {
		irq_set(line, t->config & TN_ENABLE && t->hpet->status & BIT(t->n));
	}
}

static void interrupt(struct hpet_timer *t)
{
	const struct irq_line *line = timer_line(t);

	if (t->config & TN_LEVEL) {
		t->hpet->status |= (uint32_t)BIT(t->n);
		update_level(t);
	} else if (line) {
		irq_pulse(line);
	}
}

/* @fired: the comparator has just matched, so the next match of a one-shot is a wrap away. */
static void arm_locked(struct hpet_timer *t, uint64_t now, bool fired)
{
	bool periodic = t->config & TN_PERIODIC && (t->period & timer_mask(t)) != 0;
	uint64_t left;

	if (!is_running(t->hpet) || !(t->config & TN_ENABLE)) {
		timer_cancel(&t->timer);
		return;
	}
	left = ticks_left(t, now);
	if (fired && !periodic && left == 0) {
		left = timer_mask(t) == UINT64_MAX ? UINT64_MAX : timer_mask(t) + 1;
	}
	if (left > (UINT64_MAX - now) / TICK_NS - 1) {
		timer_cancel(&t->timer);
		return;
	}
	/* From the start of the clock's current tick. */
	left = (now / TICK_NS + left) * TICK_NS;
	timer_arm(&t->timer, fired ? MAX(left, now + MIN_PERIOD_NS) : left);
}

static void timer_fired(void *opaque)
{
	struct hpet_timer *t = opaque;
	uint64_t now = clock_now(t->hpet);

	settle(t, now);
	interrupt(t);
	arm_locked(t, now, true);
}

/* ---- registers ---- */

/* What a write of @size bytes at the half that @offset names makes of @old. */
static uint64_t merged(uint64_t old, uint64_t offset, uint64_t value, unsigned int size)
{
	if (size == 8) {
		return value;
	}
	if (offset & 4) {
		return (old & UINT32_MAX) | value << 32;
	}
	return (old & ~(uint64_t)UINT32_MAX) | (value & UINT32_MAX);
}

static uint64_t timer_read(struct hpet_timer *t, uint64_t reg)
{
	switch (reg) {
	case TIMER_CONFIG:
		return t->config | TN_CAPABILITIES;
	case TIMER_COMPARATOR:
		settle(t, clock_now(t->hpet));
		return t->comparator;
	default:
		return 0;
	}
}

static void timer_config_write(struct hpet_timer *t, uint64_t value)
{
	const struct irq_line *old_line = timer_line(t);
	uint64_t now = clock_now(t->hpet);

	settle(t, now);
	if (t->config & TN_LEVEL && t->hpet->status & BIT(t->n) && old_line) {
		irq_set(old_line, false);
	}
	t->config = value & TN_WRITABLE;
	t->comparator &= timer_mask(t);
	if (!(t->config & TN_LEVEL)) {
		t->hpet->status &= ~(uint32_t)BIT(t->n);
	}
	update_level(t);
	arm_locked(t, now, false);
}

static void comparator_write(struct hpet_timer *t, uint64_t offset, uint64_t value,
			     unsigned int size)
{
	uint64_t now = clock_now(t->hpet);

	settle(t, now);
	/* 2.3.9.2.2: a periodic timer takes a period, and with Tn_VAL_SET_CNF a start too. */
	if (!(t->config & TN_PERIODIC) || t->config & TN_SET_VALUE) {
		t->comparator = merged(t->comparator, offset, value, size) & timer_mask(t);
	}
	t->period = merged(t->period, offset, value, size);
	t->config &= ~TN_SET_VALUE;
	arm_locked(t, now, false);
}

static void timer_write(struct hpet_timer *t, uint64_t reg, uint64_t offset, uint64_t value,
			unsigned int size)
{
	if (reg == TIMER_CONFIG) {
		timer_config_write(t, merged(t->config, offset, value, size));
	} else if (reg == TIMER_COMPARATOR) {
		comparator_write(t, offset, value, size);
	}
}

static void show_inputs(struct hpet *hpet)
{
	const struct irq_line *irqs = hpet->dev.env.irqs;

	irq_set(&irqs[0], hpet->inputs & BIT(HPET_LEGACY_PIT));
	irq_set(&irqs[8], hpet->inputs & BIT(HPET_LEGACY_RTC));
}

static void config_write(struct hpet *hpet, uint64_t value)
{
	uint64_t now = clock_now(hpet);
	uint64_t counter = counter_at(hpet, now);
	uint64_t changed = (hpet->config ^ value) & (CONFIG_ENABLE | CONFIG_LEGACY);

	if (changed & CONFIG_LEGACY) {
		irq_set(&hpet->dev.env.irqs[0], false);
		irq_set(&hpet->dev.env.irqs[8], false);
	}
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		settle(&hpet->timers[n], now);
	}
	hpet->config ^= changed;
	if (changed & CONFIG_ENABLE) {
		hpet->counter = is_running(hpet) ? counter - now / TICK_NS : counter;
	}
	if (changed & CONFIG_LEGACY && !(hpet->config & CONFIG_LEGACY)) {
		show_inputs(hpet);
	}
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		update_level(&hpet->timers[n]);
		arm_locked(&hpet->timers[n], now, false);
	}
}

static void status_write(struct hpet *hpet, uint32_t value)
{
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		if (value & hpet->status & BIT(n)) {
			hpet->status &= ~(uint32_t)BIT(n);
			update_level(&hpet->timers[n]);
		}
	}
}

static void counter_write(struct hpet *hpet, uint64_t offset, uint64_t value, unsigned int size)
{
	uint64_t now = clock_now(hpet);
	uint64_t counter = merged(counter_at(hpet, now), offset, value, size);

	hpet->counter = is_running(hpet) ? counter - now / TICK_NS : counter;
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		arm_locked(&hpet->timers[n], now, false);
	}
}

static uint64_t register_read(struct hpet *hpet, uint64_t reg)
{
	if (reg >= REG_TIMERS) {
		unsigned int n = (reg - REG_TIMERS) / REG_TIMER_SIZE;

		return n < HPET_TIMERS ? timer_read(&hpet->timers[n], reg % REG_TIMER_SIZE) : 0;
	}
	switch (reg) {
	case REG_CAPABILITIES:
		return CAP_PERIOD_FS << 32 | CAP_ID;
	case REG_CONFIG:
		return hpet->config;
	case REG_STATUS:
		return hpet->status;
	case REG_COUNTER:
		return counter_at(hpet, clock_now(hpet));
	default:
		return 0;
	}
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned int size)
{
	uint64_t value = register_read(opaque, offset & ~UINT64_C(7));

	return offset & 4 ? value >> 32 : value;
}

static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct hpet *hpet = opaque;
	uint64_t reg = offset & ~UINT64_C(7);

	if (reg >= REG_TIMERS) {
		unsigned int n = (reg - REG_TIMERS) / REG_TIMER_SIZE;

		if (n < HPET_TIMERS) {
			timer_write(&hpet->timers[n], reg % REG_TIMER_SIZE, offset, value, size);
		}
	} else if (reg == REG_COUNTER) {
		counter_write(hpet, offset, value, size);
	} else if (offset == REG_CONFIG) {
		config_write(hpet, value);
	} else if (offset == REG_STATUS) {
		status_write(hpet, (uint32_t)value);
	}
}

static const struct io_ops hpet_io = {
	.read = hpet_read,
	.write = hpet_write,
	.min_size = 4,
	.max_size = 8,
};

/* ---- the wires of PIT and RTC ---- */

static void set_legacy_input(void *opaque, unsigned int n, bool level)
{
	struct hpet *hpet = opaque;

	pthread_mutex_lock(&hpet->dev.lock);
	hpet->inputs = level ? hpet->inputs | BIT(n) : hpet->inputs & ~BIT(n);
	if (!(hpet->config & CONFIG_LEGACY)) {
		irq_set(&hpet->dev.env.irqs[LEGACY_IRQ(n)], level);
	}
	pthread_mutex_unlock(&hpet->dev.lock);
}

struct irq_line hpet_legacy_input(struct device *dev, unsigned int n)
{
	struct hpet *hpet = hpet_from_device(dev);

	assert(n <= HPET_LEGACY_RTC);
	return (struct irq_line){ .set = set_legacy_input, .opaque = hpet, .n = n };
}

/* ---- life ---- */

static void hpet_destroy(struct device *dev)
{
	struct hpet *hpet = hpet_from_device(dev);

	io_region_unmap(&hpet->region);
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		timer_finish(&hpet->timers[n].timer);
	}
}

static int hpet_create(struct device *dev, struct error *err)
{
	struct hpet *hpet = hpet_from_device(dev);
	int rc;

	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &hpet->timers[n];

		t->hpet = hpet;
		t->n = n;
		timer_init(&t->timer, dev->env.clock, &dev->lock, timer_fired, t);
	}
	io_region_init(&hpet->region, "hpet", &hpet_io, hpet, &dev->lock, HPET_SIZE);
	rc = io_region_map(&hpet->region, dev->env.mmio, HPET_BASE);
	if (rc < 0) {
		hpet_destroy(dev);
		return error_set(err, -rc, "cannot map the HPET");
	}
	return 0;
}

static void hpet_reset(struct device *dev, enum reset_kind kind)
{
	struct hpet *hpet = hpet_from_device(dev);

	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &hpet->timers[n];

		timer_config_write(t, 0);
		t->comparator = UINT64_MAX;
		t->period = 0;
	}
	config_write(hpet, 0);
	hpet->counter = 0;
	hpet->status = 0;
}

static int timer_post_load(void *base, struct error *err)
{
	struct hpet_timer *t = base;

	if (t->config & ~(uint64_t)TN_WRITABLE || t->comparator & ~timer_mask(t)) {
		return error_set(err, EINVAL, "a timer with reserved bits set");
	}
	return 0;
}

static int hpet_post_load(void *base, struct error *err)
{
	struct hpet *hpet = base;

	if (hpet->config & ~(CONFIG_ENABLE | CONFIG_LEGACY) || hpet->status >> HPET_TIMERS ||
	    hpet->inputs > 3) {
		return error_set(err, EINVAL, "event timers in no possible state");
	}
	return 0;
}

static const struct state_field timer_fields[] = {
	STATE_FIELD(struct hpet_timer, config),
	STATE_FIELD(struct hpet_timer, comparator),
	STATE_FIELD(struct hpet_timer, period),
	STATE_FIELD_TIMER(struct hpet_timer, timer),
	STATE_FIELDS_END,
};

static const struct state_table timer_state = {
	.version = 1,
	.fields = timer_fields,
	.post_load = timer_post_load,
};

static const struct state_field hpet_fields[] = {
	STATE_FIELD(struct hpet, config),
	STATE_FIELD(struct hpet, status),
	STATE_FIELD(struct hpet, counter),
	STATE_FIELD(struct hpet, inputs),
	STATE_FIELD_STRUCT(struct hpet, timers, HPET_TIMERS, &timer_state),
	STATE_FIELDS_END,
};

static const struct state_table hpet_state = {
	.version = 1,
	.fields = hpet_fields,
	.post_load = hpet_post_load,
};

static const struct device_ops hpet_ops = {
	.name = "hpet",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct hpet),
	.state = &hpet_state,
	.create = hpet_create,
	.destroy = hpet_destroy,
	.reset = hpet_reset,
};
DEVICE_REGISTER(hpet_ops);
