/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: sequences of register accesses, MSR accesses, messages, time and saved states on
 * two local APICs that are joined. What was saved must load again.
 */

#include <stdlib.h>

#include "base/clock.h"
#include "engine/lapic.h"

#define CPUS 2

static void ignore_signal(void *opaque, enum lapic_signal signal, unsigned int arg)
{
	(void)opaque;
	(void)signal;
	(void)arg;
}

static void ignore_eoi(void *opaque, uint8_t vector)
{
	(void)opaque;
	(void)vector;
}

static const struct lapic_ops ops = { .signal = ignore_signal, .eoi = ignore_eoi };

struct machine {
	struct machine_clock *clock;
	struct lapic_bus *bus;
	struct lapic *lapic[CPUS];
};

static void save_and_load(struct lapic *lapic)
{
	static struct cpu_state state;

	lapic_save(lapic, &state);
	if (lapic_load(lapic, &state, NULL)) {
		abort();
	}
}

static void accept(struct lapic *lapic)
{
	int vector = lapic_pending(lapic);

	if (vector > 255 || (vector >= 0 && vector < 16)) {
		abort();
	}
	if (vector >= 0) {
		lapic_accept(lapic, (uint8_t)vector);
	}
}

static void step(struct machine *m, const uint8_t *data)
{
	struct lapic *lapic = m->lapic[data[0] >> 7];
	uint32_t value = load_le32(data + 4);
	uint16_t reg = load_le16(data + 2);
	const struct msi_message msg = {
		.address = 0xfee00000 | (uint64_t)reg << 2,
		.data = value,
	};
	uint64_t ignored;

	switch (data[0] & 0xf) {
	case 0: lapic_read(lapic, reg & 0xfff); break;
	case 1:
	case 2: lapic_write(lapic, reg & 0xff0, value); break;
	case 3: lapic_read_msr(lapic, 0x800 + (reg & 0xff), &ignored); break;
	case 4:
	case 5:
		lapic_write_msr(lapic, 0x800 + (reg & 0xff), value | (uint64_t)data[1] << 32);
		break;
	case 6: lapic_bus_message(m->bus, &msg); break;
	case 7: accept(lapic); break;
	case 8: lapic_set_base(lapic, 0xfee00000 | (reg & 0xf00)); break;
	case 9: lapic_bus_set_extint(m->bus, reg & 1); break;
	case 10: machine_clock_advance(m->clock, value & 0xffffff); break;
	case 11: lapic_set_tsc_deadline(lapic, value, reg); break;
	case 12: lapic_set_cr8(lapic, reg & 0xf); break;
	case 13: lapic_reset(lapic); break;
	case 14: lapic_extint_pending(lapic); break;
	default: save_and_load(lapic); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m;

	if (machine_clock_create(NULL, &m.clock, NULL) ||
	    lapic_bus_create(CPUS, m.clock, 1000000000, &m.bus, NULL)) {
		abort();
	}
	for (unsigned int i = 0; i < CPUS; i++) {
		m.lapic[i] = lapic_bus_attach(m.bus, i, &ops, NULL);
		if (!m.lapic[i]) {
			abort();
		}
		lapic_write(m.lapic[i], 0xf0, 0x1ff);
	}
	for (size_t at = 0; at + 8 <= size && at < 8 * 256; at += 8) {
		step(&m, data + at);
	}
	lapic_bus_destroy(m.bus);
	machine_clock_destroy(m.clock);
	return 0;
}
