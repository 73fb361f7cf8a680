/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_CHIPSET_ICH9_H
#define LIMEN_DEVICES_CHIPSET_ICH9_H

/*
 * The power-management block of ICH9's LPC bridge, a part of that device: its 128 ports at PMBASE
 * and the SCI. Everything but the PM timer's port is guarded by the LPC device's lock.
 */

#include "bus/device.h"

/**
 * struct ich9_pm - ACPI's fixed hardware
 * @set_sci: level of the SCI; called with the device's lock held
 * @overflow_epoch: half-turns of the PM timer up to which TMROF_STS was seen
 */
struct ich9_pm {
	struct device *dev;
	void (*set_sci)(struct device *dev, bool level);
	uint16_t pm1_status;
	uint16_t pm1_enable;
	uint16_t pm1_control;
	uint64_t gpe_status;
	uint64_t gpe_enable;
	uint64_t gpe_levels;
	uint32_t smi_enable;
	uint8_t pm2_control;
	uint64_t overflow_epoch;
	struct timer overflow;
	struct io_region region;
	struct io_region timer_region;
};

/** ich9_pm_init() - in the LPC device's create; @dev's env must hold clock, ports and power. */
void ich9_pm_init(struct ich9_pm *pm, struct device *dev,
		  void (*set_sci)(struct device *dev, bool level));
void ich9_pm_finish(struct ich9_pm *pm);

/* The device's lock held: */
void ich9_pm_reset(struct ich9_pm *pm);

/** ich9_pm_map() - show the block at @base; 0: nowhere. */
void ich9_pm_map(struct ich9_pm *pm, uint16_t base);

/** ich9_pm_set_sci_enable() - what firmware's SMI handler does for the ACPI enable commands. */
void ich9_pm_set_sci_enable(struct ich9_pm *pm, bool on);

/** ich9_pm_event() - set @bits of PM1 status. */
void ich9_pm_event(struct ich9_pm *pm, uint16_t bits);

/** ich9_pm_gpe() - general-purpose event @n goes to @level. */
void ich9_pm_gpe(struct ich9_pm *pm, unsigned int n, bool level);

bool ich9_pm_button_enabled(const struct ich9_pm *pm);

#define PM1_TIMER_OVERFLOW BIT(0)
#define PM1_GLOBAL BIT(5)
#define PM1_POWER_BUTTON BIT(8)
#define PM1_RTC BIT(10)
#define PM1_WAKE BIT(15)

extern const struct state_table ich9_pm_state;

#endif
