/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real-time clock and its battery-backed bytes: Motorola MC146818A data sheet, ICH9 datasheet
 * section 13.6; the century at index 32h as ACPI's FADT names it. Ports 70h/71h and, for the second
 * 128 bytes, 72h/73h.
 *
 * The date is the host's wall clock plus an offset that the guest makes by setting the clock, so it
 * stays right across a pause or a saved state; with rtc.clock=vm it is the machine clock instead,
 * which repeats in tests. Nothing ticks: flags are computed when register C is read, from what has
 * passed since the last look, and a timer is armed only while an enabled interrupt is not pending.
 * While it is pending nothing can change that the guest would see, so a guest that does not answer
 * costs nothing and gets one interrupt for all that it missed.
 *
 * Left out: daylight saving (DSE; nobody's clock knows today's rules), the square-wave pin, and the
 * 1.9 ms of the update cycle itself: UIP is up for the 244 us before each second.
 */

#include "bus/chipset.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "ticks.h"

#define RTC_HZ 32768
#define UIP_NS 244000
#define ALARM_CHECK_NS (60 * NS_PER_S)
#define SECONDS_PER_DAY 86400
#define OFFSET_LIMIT INT64_C(1000000000000) /* 30,000 years: arithmetic stays far from overflow */

enum {
	RTC_SECONDS,
	RTC_SECONDS_ALARM,
	RTC_MINUTES,
	RTC_MINUTES_ALARM,
	RTC_HOURS,
	RTC_HOURS_ALARM,
	RTC_WEEKDAY,
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_A,
	RTC_B,
	RTC_C,
	RTC_D,
	RTC_FIRST_RAM,
	RTC_CENTURY = 0x32,
};

#define A_UIP BIT(7)
#define A_DIVIDER(a) ((a) >> 4 & 7)
#define A_DIVIDER_RESET 6 /* 6 and 7 hold the divider chain */
#define A_RATE(a) ((a) & 0xf)

#define B_SET BIT(7)
#define B_INTERRUPTS 0x70 /* PIE, AIE, UIE; the flags of register C at the same places */
#define B_BINARY BIT(2)
#define B_24H BIT(1)

#define C_IRQF BIT(7)
#define C_PF BIT(6)
#define C_AF BIT(5)
#define C_UF BIT(4)

#define D_VALID BIT(7)
#define ALARM_ANY 0xc0

/**
 * struct rtc - the clock
 * @cmos: all bytes; the date's are only valid while the clock is held (SET or divider reset)
 * @offset_s, @offset_ns: what is added to the source; offset_ns is below one second
 * @checked_s, @checked_tick: up to which second and 32768 Hz tick flags were computed
 */
struct rtc {
	struct device dev;
	uint8_t cmos[256];
	uint8_t index[2];
	uint64_t offset_s;
	uint32_t offset_ns;
	uint64_t checked_s;
	uint64_t checked_tick;
	bool from_host;
	struct timer timer;
	struct io_region region;
};

/** struct rtc_time - a moment of the guest's clock; @s counts seconds since 1970. */
struct rtc_time {
	int64_t s;
	uint32_t ns;
};

static const struct device_ops rtc_ops;

static struct rtc *rtc_from_device(struct device *dev)
{
	assert(dev->ops == &rtc_ops);
	return container_of(dev, struct rtc, dev);
}

/* ---- the time ---- */

static uint64_t source_now(const struct rtc *rtc)
{
	struct timespec ts;

	if (!rtc->from_host) {
		return machine_clock_now(rtc->dev.env.clock);
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct rtc_time time_now(const struct rtc *rtc)
{
	uint64_t ns = source_now(rtc) + rtc->offset_ns;

	return (struct rtc_time){
		.s = (int64_t)(ns / NS_PER_S + rtc->offset_s),
		.ns = ns % NS_PER_S,
	};
}

/* Let the clock show @time now. */
static void set_time(struct rtc *rtc, struct rtc_time time)
{
	uint64_t source = source_now(rtc);
	int64_t s = time.s - (int64_t)(source / NS_PER_S);
	int64_t ns = (int64_t)time.ns - (int64_t)(source % NS_PER_S);

	if (ns < 0) {
		ns += (int64_t)NS_PER_S;
		s--;
	}
	rtc->offset_s = (uint64_t)s;
	rtc->offset_ns = (uint32_t)ns;
	rtc->checked_s = (uint64_t)time.s;
}

static bool divider_held(const struct rtc *rtc)
{
	return A_DIVIDER(rtc->cmos[RTC_A]) >= A_DIVIDER_RESET;
}

static bool is_held(const struct rtc *rtc)
{
	return rtc->cmos[RTC_B] & B_SET || divider_held(rtc);
}

/* ---- the registers' notation: binary or BCD, 12 or 24 hours ---- */

static uint8_t encode(const struct rtc *rtc, int value)
{
	if (rtc->cmos[RTC_B] & B_BINARY) {
		return (uint8_t)value;
	}
	return (uint8_t)(value % 10 | value / 10 % 10 << 4);
}

static int decode(const struct rtc *rtc, uint8_t value)
{
	if (rtc->cmos[RTC_B] & B_BINARY) {
		return value;
	}
	return (value & 0xf) + (value >> 4) * 10;
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->cmos[RTC_B] & B_24H) {
		return encode(rtc, hour);
	}
	return encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0);
}

static int decode_hour(const struct rtc *rtc, uint8_t value)
{
	if (rtc->cmos[RTC_B] & B_24H) {
		return decode(rtc, value);
	}
	return decode(rtc, value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

/* Put the date of @time into the registers. */
static void registers_from_time(struct rtc *rtc, struct rtc_time time)
{
	time_t s = (time_t)time.s;
	struct tm tm = { 0 };

	gmtime_r(&s, &tm);
	rtc->cmos[RTC_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->cmos[RTC_MINUTES] = encode(rtc, tm.tm_min);
	rtc->cmos[RTC_HOURS] = encode_hour(rtc, tm.tm_hour);
	rtc->cmos[RTC_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->cmos[RTC_DAY] = encode(rtc, tm.tm_mday);
	rtc->cmos[RTC_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->cmos[RTC_YEAR] = encode(rtc, (tm.tm_year + 1900) % 100);
	rtc->cmos[RTC_CENTURY] = encode(rtc, (tm.tm_year + 1900) / 100 % 100);
}

/* The second that the registers show; what is no date carries over as in timegm(3). */
static int64_t registers_to_seconds(const struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->cmos[RTC_SECONDS]),
		.tm_min = decode(rtc, rtc->cmos[RTC_MINUTES]),
		.tm_hour = decode_hour(rtc, rtc->cmos[RTC_HOURS]),
		.tm_mday = decode(rtc, rtc->cmos[RTC_DAY]),
		.tm_mon = decode(rtc, rtc->cmos[RTC_MONTH]) - 1,
		.tm_year = decode(rtc, rtc->cmos[RTC_CENTURY]) * 100 +
			   decode(rtc, rtc->cmos[RTC_YEAR]) - 1900,
	};

	return timegm(&tm);
}

/* ---- flags and the interrupt ---- */

/* Whether alarm byte @value, which says @alarm, lets @now through. */
static bool alarm_field_matches(uint8_t value, int alarm, int now)
{
	return value >= ALARM_ANY || alarm == now;
}

/* The first second after @after at which the alarm goes off; INT64_MAX for never. */
static int64_t next_alarm(const struct rtc *rtc, int64_t after)
{
	uint8_t s_byte = rtc->cmos[RTC_SECONDS_ALARM];
	uint8_t m_byte = rtc->cmos[RTC_MINUTES_ALARM];
	uint8_t h_byte = rtc->cmos[RTC_HOURS_ALARM];
	int s_alarm = decode(rtc, s_byte);
	int m_alarm = decode(rtc, m_byte);
	int h_alarm = decode_hour(rtc, h_byte);
	int64_t t = after + 1;

	/* Each turn moves on to the next second, minute or hour: at most 60 + 60 + 25 turns. */
	for (unsigned int turn = 0; turn < 160; turn++) {
		int second = (int)(((t % SECONDS_PER_DAY) + SECONDS_PER_DAY) % SECONDS_PER_DAY);

		if (!alarm_field_matches(h_byte, h_alarm, second / 3600)) {
			t += 3600 - second % 3600;
		} else if (!alarm_field_matches(m_byte, m_alarm, second / 60 % 60)) {
			t += 60 - second % 60;
		} else if (!alarm_field_matches(s_byte, s_alarm, second % 60)) {
			t++;
		} else {
			return t;
		}
	}
	return INT64_MAX;
}

/* Ticks between periodic interrupts, 0 for none; MC146818A table 5. */
static unsigned int period_ticks(const struct rtc *rtc)
{
	unsigned int rate = A_RATE(rtc->cmos[RTC_A]);

	if (rate == 0 || divider_held(rtc)) {
		return 0;
	}
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static void update_irq(struct rtc *rtc)
{
	struct device *lpc = rtc->dev.env.peer[RTC_PEER_LPC];
	bool was_up = rtc->cmos[RTC_C] & C_IRQF;
	bool up = rtc->cmos[RTC_C] & rtc->cmos[RTC_B] & B_INTERRUPTS;

	rtc->cmos[RTC_C] = up ? rtc->cmos[RTC_C] | C_IRQF : rtc->cmos[RTC_C] & ~C_IRQF;
	irq_set(&rtc->dev.env.output, up);
	if (up && !was_up && lpc) {
		ich9_rtc_event(lpc);
	}
}

/* Set the flags of what has happened since the last look. */
static void look_locked(struct rtc *rtc)
{
	uint64_t tick = ticks_from_ns(machine_clock_now(rtc->dev.env.clock), RTC_HZ);
	unsigned int period = period_ticks(rtc);
	uint8_t flags = 0;

	if (period && tick / period != rtc->checked_tick / period) {
		flags |= C_PF;
	}
	rtc->checked_tick = tick;
	if (!is_held(rtc)) {
		int64_t now = time_now(rtc).s;
		int64_t checked = (int64_t)rtc->checked_s;

		if (now > checked) {
			flags |= C_UF;
			flags |= next_alarm(rtc, checked) <= now ? C_AF : 0;
		}
		/* Also when the host's clock was set back. */
		rtc->checked_s = (uint64_t)now;
	}
	rtc->cmos[RTC_C] |= flags;
	update_irq(rtc);
}

/* Nanoseconds until @second begins, in small steps for what is far away: the host's clock may be
 * set. */
static uint64_t ns_until(const struct rtc *rtc, int64_t second)
{
	struct rtc_time now = time_now(rtc);

	if (second <= now.s) {
		return 0;
	}
	if (second - now.s > (int64_t)(ALARM_CHECK_NS / NS_PER_S)) {
		return ALARM_CHECK_NS;
	}
	return (uint64_t)(second - now.s) * NS_PER_S - now.ns;
}

static void arm_locked(struct rtc *rtc)
{
	uint8_t wanted = rtc->cmos[RTC_B] & ~rtc->cmos[RTC_C];
	uint64_t now = machine_clock_now(rtc->dev.env.clock);
	unsigned int period = period_ticks(rtc);
	uint64_t deadline = TIMER_NEVER;

	if (rtc->cmos[RTC_C] & C_IRQF) {
		wanted = 0;
	}
	if (wanted & C_PF && period) {
		uint64_t next = (rtc->checked_tick / period + 1) * period;

		deadline = ticks_to_ns(next, RTC_HZ);
	}
	if (wanted & C_UF && !is_held(rtc)) {
		deadline = MIN(deadline, now + ns_until(rtc, (int64_t)rtc->checked_s + 1));
	}
	if (wanted & C_AF && !is_held(rtc)) {
		int64_t alarm = next_alarm(rtc, (int64_t)rtc->checked_s);

		if (alarm != INT64_MAX) {
			deadline = MIN(deadline, now + ns_until(rtc, alarm));
		}
	}
	if (deadline == TIMER_NEVER) {
		timer_cancel(&rtc->timer);
	} else {
		timer_arm(&rtc->timer, deadline);
	}
}

static void timer_fired(void *opaque)
{
	struct rtc *rtc = opaque;

	look_locked(rtc);
	arm_locked(rtc);
}

/* ---- registers ---- */

static bool is_date_register(unsigned int index)
{
	return index == RTC_CENTURY ||
	       (index <= RTC_YEAR && index != RTC_SECONDS_ALARM && index != RTC_MINUTES_ALARM &&
		index != RTC_HOURS_ALARM);
}

static uint8_t read_a(const struct rtc *rtc)
{
	if (!is_held(rtc) && time_now(rtc).ns >= NS_PER_S - UIP_NS) {
		return rtc->cmos[RTC_A] | A_UIP;
	}
	return rtc->cmos[RTC_A];
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t value;

	look_locked(rtc);
	value = rtc->cmos[RTC_C];
	rtc->cmos[RTC_C] = 0;
	irq_set(&rtc->dev.env.output, false);
	arm_locked(rtc);
	return value;
}

static uint8_t register_read(struct rtc *rtc, unsigned int index)
{
	if (is_date_register(index) && !is_held(rtc)) {
		registers_from_time(rtc, time_now(rtc));
	}
	switch (index) {
	case RTC_A:
		return read_a(rtc);
	case RTC_C:
		return read_c(rtc);
	case RTC_D:
		return D_VALID;
	default:
		return rtc->cmos[index];
	}
}

/* Registers A and B: the clock may stop, its registers then being the truth, or go on from them. */
static void control_write(struct rtc *rtc, unsigned int index, uint8_t value)
{
	bool was_held = is_held(rtc);
	bool divider_was_held = divider_held(rtc);
	struct rtc_time time = time_now(rtc);

	look_locked(rtc);
	if (!was_held) {
		registers_from_time(rtc, time);
	}
	rtc->cmos[index] = index == RTC_A ? value & ~A_UIP : value;
	if (was_held && !is_held(rtc)) {
		time.s = registers_to_seconds(rtc);
		if (divider_was_held) {
			/* The first update comes half a second after the divider starts. */
			time.ns = NS_PER_S / 2;
		}
		set_time(rtc, time);
	}
	look_locked(rtc);
	arm_locked(rtc);
}

static void date_write(struct rtc *rtc, unsigned int index, uint8_t value)
{
	struct rtc_time time = time_now(rtc);

	if (is_held(rtc)) {
		rtc->cmos[index] = value;
		return;
	}
	registers_from_time(rtc, time);
	rtc->cmos[index] = value;
	time.s = registers_to_seconds(rtc);
	set_time(rtc, time);
	arm_locked(rtc);
}

static void register_write(struct rtc *rtc, unsigned int index, uint8_t value)
{
	if (is_date_register(index)) {
		date_write(rtc, index, value);
	} else if (index == RTC_A || index == RTC_B) {
		control_write(rtc, index, value);
	} else if (index != RTC_C && index != RTC_D) {
		look_locked(rtc);
		rtc->cmos[index] = value;
		arm_locked(rtc);
	}
}

/* Even ports take an index, odd ones show what it selects; 72h and 73h the second bank. */
static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = opaque;
	unsigned int bank = offset >> 1;

	if (!(offset & 1)) {
		return 0xff;
	}
	return register_read(rtc, bank << 7 | rtc->index[bank]);
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct rtc *rtc = opaque;
	unsigned int bank = offset >> 1;

	if (offset & 1) {
		register_write(rtc, bank << 7 | rtc->index[bank], (uint8_t)value);
	} else {
		rtc->index[bank] = value & 0x7f;
	}
}

static const struct io_ops rtc_io = { .read = rtc_read, .write = rtc_write, .max_size = 1 };

/* ---- what the machine sets ---- */

static void cmos_set(struct rtc *rtc, unsigned int index, uint8_t value)
{
	pthread_mutex_lock(&rtc->dev.lock);
	rtc->cmos[index] = value;
	pthread_mutex_unlock(&rtc->dev.lock);
}

void rtc_cmos_write(struct device *dev, unsigned int index, uint8_t value)
{
	assert(index >= RTC_FIRST_RAM && index < 256);
	cmos_set(rtc_from_device(dev), index, value);
}

uint8_t rtc_cmos_read(struct device *dev, unsigned int index)
{
	struct rtc *rtc = rtc_from_device(dev);
	uint8_t value;

	assert(index >= RTC_FIRST_RAM && index < 256);
	pthread_mutex_lock(&dev->lock);
	value = rtc->cmos[index];
	pthread_mutex_unlock(&dev->lock);
	return value;
}

static void cmos_set_u16(struct rtc *rtc, unsigned int index, uint64_t value)
{
	value = MIN(value, UINT64_C(0xffff));
	cmos_set(rtc, index, value & 0xff);
	cmos_set(rtc, index + 1, (uint8_t)(value >> 8));
}

void rtc_set_memory(struct device *dev, uint64_t below_4g, uint64_t above_4g)
{
	struct rtc *rtc = rtc_from_device(dev);
	uint64_t extended = below_4g > MIB(1) ? below_4g - MIB(1) : 0;
	uint64_t above_16m = below_4g > MIB(16) ? below_4g - MIB(16) : 0;

	/* IBM PC AT: KiB of base and extended memory, the latter in two places. */
	cmos_set_u16(rtc, 0x15, MIN(below_4g, KIB(640)) / KIB(1));
	cmos_set_u16(rtc, 0x17, extended / KIB(1));
	cmos_set_u16(rtc, 0x30, extended / KIB(1));
	/* SeaBIOS: units of 64 KiB above 16 MiB and above 4 GiB. */
	cmos_set_u16(rtc, 0x34, above_16m / KIB(64));
	cmos_set(rtc, 0x5b, (uint8_t)(above_4g >> 16));
	cmos_set(rtc, 0x5c, (uint8_t)(above_4g >> 24));
	cmos_set(rtc, 0x5d, (uint8_t)(above_4g >> 32));
}

void rtc_set_boot_order(struct device *dev, const enum rtc_boot order[3])
{
	struct rtc *rtc = rtc_from_device(dev);

	/* SeaBIOS: first and second in 3dh, the third in the high half of 38h, whose bit 0 lets
	 * floppies without a signature boot. */
	cmos_set(rtc, 0x3d, (uint8_t)(order[0] | order[1] << 4));
	cmos_set(rtc, 0x38, (uint8_t)(order[2] << 4 | 1));
}

void rtc_set_floppies(struct device *dev, unsigned int first, unsigned int second)
{
	struct rtc *rtc = rtc_from_device(dev);
	uint8_t equipment = BIT(1) | BIT(2); /* coprocessor, pointing device */

	if (first || second) {
		equipment |= 1 | (first && second ? BIT(6) : 0);
	}
	cmos_set(rtc, 0x10, (uint8_t)(first << 4 | second));
	cmos_set(rtc, 0x14, equipment);
}

/* ---- life ---- */

static const struct config_key rtc_keys[] = {
	{ .name = "base",
	  .type = CONFIG_STRING,
	  .def = "utc",
	  .help = "what the guest's clock shows at first: utc, localtime or YYYY-MM-DDTHH:MM:SS" },
	{ .name = "clock",
	  .type = CONFIG_ENUM,
	  .def = "host",
	  .choices = "host|vm",
	  .help = "what drives it: the host's wall clock, or the time that the machine has run" },
	{ .name = NULL },
};

/* The second at which the clock starts, from the key rtc.base. */
static int base_seconds(const char *base, int64_t *ret_s, struct error *err)
{
	time_t now = time(NULL);
	struct tm tm = { 0 };
	char rest;

	if (strcmp(base, "utc") == 0) {
		*ret_s = now;
		return 0;
	}
	if (strcmp(base, "localtime") == 0) {
		localtime_r(&now, &tm);
		*ret_s = now + tm.tm_gmtoff;
		return 0;
	}
	if (sscanf(base, "%4d-%2d-%2dT%2d:%2d:%2d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &rest) != 6) {
		return error_set(err, EINVAL,
				 "rtc.base must be utc, localtime or YYYY-MM-DDTHH:MM:SS, not '%s'",
				 base);
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret_s = timegm(&tm);
	return 0;
}

static int rtc_create(struct device *dev, struct error *err)
{
	struct rtc *rtc = rtc_from_device(dev);
	const char *base = config_get_string(&dev->env.config, "base");
	struct rtc_time start = { 0 };
	int rc = base_seconds(base, &start.s, err);

	if (rc < 0) {
		return rc;
	}
	rtc->from_host = strcmp(config_get_string(&dev->env.config, "clock"), "host") == 0;
	if (rtc->from_host) {
		/* Whole seconds: the guest's seconds begin with the host's. */
		rtc->offset_s = (uint64_t)(start.s - time(NULL));
		rtc->checked_s = (uint64_t)time_now(rtc).s;
	} else {
		set_time(rtc, start);
	}
	rtc->cmos[RTC_A] = 0x26;
	rtc->cmos[RTC_B] = B_24H;
	timer_init(&rtc->timer, dev->env.clock, &dev->lock, timer_fired, rtc);
	io_region_init(&rtc->region, "rtc", &rtc_io, rtc, &dev->lock, 4);
	rc = io_region_map(&rtc->region, dev->env.ports, 0x70);
	if (rc < 0) {
		timer_finish(&rtc->timer);
		return error_set(err, -rc, "cannot map the real-time clock's ports");
	}
	return 0;
}

static void rtc_destroy(struct device *dev)
{
	struct rtc *rtc = rtc_from_device(dev);

	io_region_unmap(&rtc->region);
	timer_finish(&rtc->timer);
}

/* RESET# ends interrupts; the clock and the battery know nothing of it. */
static void rtc_reset(struct device *dev, enum reset_kind kind)
{
	struct rtc *rtc = rtc_from_device(dev);

	look_locked(rtc);
	rtc->cmos[RTC_B] &= ~B_INTERRUPTS;
	rtc->cmos[RTC_C] = 0;
	rtc->index[0] = 0;
	rtc->index[1] = 0;
	irq_set(&dev->env.output, false);
	timer_cancel(&rtc->timer);
}

static void rtc_resume(struct device *dev)
{
	struct rtc *rtc = rtc_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	look_locked(rtc);
	arm_locked(rtc);
	pthread_mutex_unlock(&dev->lock);
}

static int rtc_post_load(void *base, struct error *err)
{
	struct rtc *rtc = base;
	int64_t offset_s = (int64_t)rtc->offset_s;
	int64_t checked_s = (int64_t)rtc->checked_s;

	if (rtc->index[0] > 0x7f || rtc->index[1] > 0x7f || rtc->cmos[RTC_A] & A_UIP ||
	    rtc->offset_ns >= NS_PER_S || offset_s < -OFFSET_LIMIT || offset_s > OFFSET_LIMIT ||
	    checked_s < -OFFSET_LIMIT || checked_s > OFFSET_LIMIT) {
		return error_set(err, EINVAL, "a real-time clock in no possible state");
	}
	return 0;
}

static const struct state_field rtc_fields[] = {
	STATE_FIELD_BYTES(struct rtc, cmos),
	STATE_FIELD_BYTES(struct rtc, index),
	STATE_FIELD(struct rtc, offset_s),
	STATE_FIELD(struct rtc, offset_ns),
	STATE_FIELD(struct rtc, checked_s),
	STATE_FIELD(struct rtc, checked_tick),
	STATE_FIELD_TIMER(struct rtc, timer),
	STATE_FIELDS_END,
};

static const struct state_table rtc_state = {
	.version = 1,
	.fields = rtc_fields,
	.post_load = rtc_post_load,
};

static const struct device_ops rtc_ops = {
	.name = "rtc",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct rtc),
	.keys = rtc_keys,
	.state = &rtc_state,
	.create = rtc_create,
	.destroy = rtc_destroy,
	.reset = rtc_reset,
	.resume = rtc_resume,
};
DEVICE_REGISTER(rtc_ops);
