/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power management of ICH9: datasheet (order 316972), section 13.8.3, which is the fixed hardware
 * of ACPI 6.5, section 4.8. PM1 event and control blocks, the PM timer, GPE0, SMI_EN.
 *
 * The PM timer is read more often than anything else here, so its port has a region of its own
 * without a lock. It is 32 bits wide, as the FADT says (TMR_VAL_EXT); its overflow status is
 * computed when somebody looks, and a timer waits for it only while its interrupt is enabled.
 *
 * There is no system management mode. SMI_EN reads with APMC_EN set, which is how firmware sees
 * that an SMI handler is installed, and the commands that such a handler would take (ACPI enable
 * and disable at port B2h) are carried out by the LPC bridge. SLP_TYP takes both the numbers of
 * ICH9 and those that PCs in virtual machines have come to use. The TCO watchdog is strapped off
 * (GCS.NO_REBOOT, which Linux honours), so its registers read as halted.
 */

#include "ich9.h"

#include "ticks.h"

#define PM_TIMER_HZ 3579545
#define PM_HALF_TURN_BITS 31

#define PM_SIZE 128
#define REG_PM1_STATUS 0x00
#define REG_PM1_ENABLE 0x02
#define REG_PM1_CONTROL 0x04
#define REG_PM1_TIMER 0x08
#define REG_GPE_STATUS 0x20
#define REG_GPE_ENABLE 0x28
#define REG_SMI_ENABLE 0x30
#define REG_PM2_CONTROL 0x50
#define REG_TCO1_CONTROL 0x68

#define PM1_ENABLES (PM1_TIMER_OVERFLOW | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_RTC)
#define PM1_STATUSES (PM1_ENABLES | PM1_WAKE | BIT(4) | BIT(11) | BIT(14))

#define CONTROL_SCI_ENABLE BIT(0)
#define CONTROL_SLEEP_TYPE(v) ((v) >> 10 & 7)
#define CONTROL_SLEEP_ENABLE BIT(13)
#define CONTROL_WRITABLE 0x1c03

#define SMI_APMC_ENABLE BIT(5)
#define TCO1_TIMER_HALT BIT(11)

/* ---- status and the SCI ---- */

static uint64_t timer_ticks(const struct ich9_pm *pm)
{
	return ticks_from_ns(machine_clock_now(pm->dev->env.clock), PM_TIMER_HZ);
}

static void look_at_timer(struct ich9_pm *pm)
{
	uint64_t epoch = timer_ticks(pm) >> PM_HALF_TURN_BITS;

	if (epoch != pm->overflow_epoch) {
		pm->overflow_epoch = epoch;
		pm->pm1_status |= PM1_TIMER_OVERFLOW;
	}
}

static void update(struct ich9_pm *pm)
{
	bool sci;

	look_at_timer(pm);
	sci = (pm->pm1_status & pm->pm1_enable & PM1_ENABLES) || pm->gpe_status & pm->gpe_enable;
	pm->set_sci(pm->dev, sci && pm->pm1_control & CONTROL_SCI_ENABLE);
	if (pm->pm1_enable & PM1_TIMER_OVERFLOW && !(pm->pm1_status & PM1_TIMER_OVERFLOW)) {
		uint64_t next = (pm->overflow_epoch + 1) << PM_HALF_TURN_BITS;

		timer_arm(&pm->overflow, ticks_to_ns(next, PM_TIMER_HZ));
	} else {
		timer_cancel(&pm->overflow);
	}
}

static void overflow_fired(void *opaque)
{
	update(opaque);
}

void ich9_pm_event(struct ich9_pm *pm, uint16_t bits)
{
	pm->pm1_status |= bits;
	update(pm);
}

void ich9_pm_gpe(struct ich9_pm *pm, unsigned int n, bool level)
{
	if (level && !(pm->gpe_levels & BIT(n))) {
		pm->gpe_status |= BIT(n);
	}
	pm->gpe_levels = level ? pm->gpe_levels | BIT(n) : pm->gpe_levels & ~BIT(n);
	update(pm);
}

bool ich9_pm_button_enabled(const struct ich9_pm *pm)
{
	return pm->pm1_control & CONTROL_SCI_ENABLE && pm->pm1_enable & PM1_POWER_BUTTON;
}

void ich9_pm_set_sci_enable(struct ich9_pm *pm, bool on)
{
	pm->pm1_control &= ~CONTROL_SCI_ENABLE;
	pm->pm1_control |= on ? CONTROL_SCI_ENABLE : 0;
	update(pm);
}

/* ---- registers ---- */

static void enter_sleep(struct ich9_pm *pm, unsigned int type)
{
	struct power_sink *power = pm->dev->env.power;

	switch (type) {
	case 0: /* S5 and S4 of virtual PCs */
	case 2:
	case 6: /* S4 and S5 of ICH9 */
	case 7:
		power->shutdown(power);
		break;
	case 1: /* S3, likewise */
	case 5:
		power->suspend(power);
		break;
	default:
		device_guest_error(pm->dev, "sleep type %u is none that this machine has", type);
		break;
	}
}

static void control_write(struct ich9_pm *pm, uint16_t value)
{
	pm->pm1_control = value & CONTROL_WRITABLE;
	if (value & CONTROL_SLEEP_ENABLE) {
		enter_sleep(pm, CONTROL_SLEEP_TYPE(value));
	}
	update(pm);
}

static uint8_t byte_of(uint64_t value, uint64_t offset)
{
	return (uint8_t)(value >> (8 * offset));
}

static uint64_t with_byte(uint64_t value, uint64_t offset, uint8_t byte)
{
	return (value & ~(UINT64_C(0xff) << (8 * offset))) | (uint64_t)byte << (8 * offset);
}

/* Everything but the PM1 control register's sleep command is a matter of bytes. */
static uint8_t byte_read(struct ich9_pm *pm, uint64_t offset)
{
	if (offset < REG_PM1_ENABLE) {
		look_at_timer(pm);
		return byte_of(pm->pm1_status, offset);
	}
	if (offset < REG_PM1_CONTROL) {
		return byte_of(pm->pm1_enable, offset - REG_PM1_ENABLE);
	}
	if (offset < REG_PM1_CONTROL + 2) {
		return byte_of(pm->pm1_control, offset - REG_PM1_CONTROL);
	}
	if (offset >= REG_GPE_STATUS && offset < REG_GPE_ENABLE) {
		return byte_of(pm->gpe_status, offset - REG_GPE_STATUS);
	}
	if (offset >= REG_GPE_ENABLE && offset < REG_SMI_ENABLE) {
		return byte_of(pm->gpe_enable, offset - REG_GPE_ENABLE);
	}
	if (offset >= REG_SMI_ENABLE && offset < REG_SMI_ENABLE + 4) {
		return byte_of(pm->smi_enable, offset - REG_SMI_ENABLE);
	}
	if (offset == REG_PM2_CONTROL) {
		return pm->pm2_control;
	}
	if (offset == REG_TCO1_CONTROL + 1) {
		return TCO1_TIMER_HALT >> 8;
	}
	return 0;
}

static void byte_write(struct ich9_pm *pm, uint64_t offset, uint8_t value)
{
	if (offset < REG_PM1_ENABLE) {
		look_at_timer(pm);
		pm->pm1_status &= ~((uint16_t)value << (8 * offset));
	} else if (offset < REG_PM1_CONTROL) {
		pm->pm1_enable = PM1_ENABLES &
				 with_byte(pm->pm1_enable, offset - REG_PM1_ENABLE, value);
	} else if (offset < REG_PM1_CONTROL + 2) {
		control_write(pm, (uint16_t)with_byte(pm->pm1_control, offset - REG_PM1_CONTROL,
						      value));
	} else if (offset >= REG_GPE_STATUS && offset < REG_GPE_ENABLE) {
		pm->gpe_status &= ~((uint64_t)value << (8 * (offset - REG_GPE_STATUS)));
	} else if (offset >= REG_GPE_ENABLE && offset < REG_SMI_ENABLE) {
		pm->gpe_enable = with_byte(pm->gpe_enable, offset - REG_GPE_ENABLE, value);
	} else if (offset >= REG_SMI_ENABLE && offset < REG_SMI_ENABLE + 4) {
		pm->smi_enable = (uint32_t)with_byte(pm->smi_enable, offset - REG_SMI_ENABLE,
						     value);
	} else if (offset == REG_PM2_CONTROL) {
		pm->pm2_control = value & 1;
	}
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		value |= (uint64_t)byte_read(opaque, offset + i) << (8 * i);
	}
	return value;
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ich9_pm *pm = opaque;

	if (offset == REG_PM1_CONTROL && size >= 2) {
		control_write(pm, (uint16_t)value);
		return;
	}
	for (unsigned int i = 0; i < size; i++) {
		byte_write(pm, offset + i, byte_of(value, i));
	}
	update(pm);
}

static const struct io_ops pm_io = { .read = pm_read, .write = pm_write };

static uint64_t timer_read(void *opaque, uint64_t offset, unsigned int size)
{
	return (uint32_t)timer_ticks(opaque);
}

static void timer_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct ich9_pm *pm = opaque;

	device_guest_error(pm->dev, "write of 0x%llx to the PM timer, which is read-only",
			   (unsigned long long)value);
}

static const struct io_ops timer_io = {
	.read = timer_read,
	.write = timer_write,
	.min_size = 4,
	.max_size = 4,
};

/* ---- life ---- */

void ich9_pm_map(struct ich9_pm *pm, uint16_t base)
{
	if (base == 0) {
		io_region_unmap(&pm->timer_region);
		io_region_unmap(&pm->region);
	} else if (pm->region.space == NULL || pm->region.base != base) {
		io_region_map(&pm->region, pm->dev->env.ports, base);
		io_region_map(&pm->timer_region, pm->dev->env.ports, base + REG_PM1_TIMER);
	}
}

void ich9_pm_reset(struct ich9_pm *pm)
{
	pm->pm1_status = 0;
	pm->pm1_enable = 0;
	pm->pm1_control = 0;
	pm->gpe_status = 0;
	pm->gpe_enable = 0;
	pm->smi_enable = SMI_APMC_ENABLE;
	pm->pm2_control = 0;
	pm->overflow_epoch = timer_ticks(pm) >> PM_HALF_TURN_BITS;
	update(pm);
}

void ich9_pm_init(struct ich9_pm *pm, struct device *dev,
		  void (*set_sci)(struct device *dev, bool level))
{
	pm->dev = dev;
	pm->set_sci = set_sci;
	timer_init(&pm->overflow, dev->env.clock, &dev->lock, overflow_fired, pm);
	io_region_init(&pm->region, "ich9-pm", &pm_io, pm, &dev->lock, PM_SIZE);
	io_region_init(&pm->timer_region, "pm-timer", &timer_io, pm, NULL, 4);
	pm->timer_region.priority = 1;
}

void ich9_pm_finish(struct ich9_pm *pm)
{
	ich9_pm_map(pm, 0);
	timer_finish(&pm->overflow);
}

static int pm_post_load(void *base, struct error *err)
{
	struct ich9_pm *pm = base;

	if (pm->pm1_status & ~PM1_STATUSES || pm->pm1_enable & ~PM1_ENABLES ||
	    pm->pm1_control & ~CONTROL_WRITABLE || pm->pm2_control > 1) {
		return error_set(err, EINVAL, "power management with reserved bits set");
	}
	return 0;
}

static const struct state_field pm_fields[] = {
	STATE_FIELD(struct ich9_pm, pm1_status),
	STATE_FIELD(struct ich9_pm, pm1_enable),
	STATE_FIELD(struct ich9_pm, pm1_control),
	STATE_FIELD(struct ich9_pm, gpe_status),
	STATE_FIELD(struct ich9_pm, gpe_enable),
	STATE_FIELD(struct ich9_pm, gpe_levels),
	STATE_FIELD(struct ich9_pm, smi_enable),
	STATE_FIELD(struct ich9_pm, pm2_control),
	STATE_FIELD(struct ich9_pm, overflow_epoch),
	STATE_FIELD_TIMER(struct ich9_pm, overflow),
	STATE_FIELDS_END,
};

const struct state_table ich9_pm_state = {
	.version = 1,
	.fields = pm_fields,
	.post_load = pm_post_load,
};
