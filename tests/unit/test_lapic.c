/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit test of the local APIC on a clock that is moved by hand. Expected values are the
 * manual's: Intel SDM vol. 3, chapter 11.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/types.h"
#include "engine/lapic.h"
#include "engine/msr.h"

#define CPUS 4
#define TSC_HZ UINT64_C(2000000000)

/* What a CPU was told. */
struct fake_cpu {
	unsigned int interrupts;
	unsigned int nmis;
	unsigned int inits;
	unsigned int sipis;
	unsigned int smis;
	unsigned int extints;
	unsigned int sipi_vector;
	int eoi_vector;
};

struct fixture {
	struct machine_clock *clock;
	struct lapic_bus *bus;
	struct lapic *lapic[CPUS];
	struct fake_cpu cpu[CPUS];
};

static void fake_signal(void *opaque, enum lapic_signal signal, unsigned int arg)
{
	struct fake_cpu *cpu = opaque;

	switch (signal) {
	case LAPIC_SIGNAL_INTERRUPT: cpu->interrupts++; break;
	case LAPIC_SIGNAL_INIT: cpu->inits++; break;
	case LAPIC_SIGNAL_SIPI:
		cpu->sipis++;
		cpu->sipi_vector = arg;
		break;
	case LAPIC_SIGNAL_NMI: cpu->nmis++; break;
	case LAPIC_SIGNAL_SMI: cpu->smis++; break;
	case LAPIC_SIGNAL_EXTINT: cpu->extints++; break;
	}
}

static void fake_eoi(void *opaque, uint8_t vector)
{
	struct fake_cpu *cpu = opaque;

	cpu->eoi_vector = vector;
}

static const struct lapic_ops fake_ops = { .signal = fake_signal, .eoi = fake_eoi };

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	assert_int_equal(machine_clock_create(NULL, &f->clock, NULL), 0);
	assert_int_equal(lapic_bus_create(CPUS, f->clock, TSC_HZ, &f->bus, NULL), 0);
	for (unsigned int i = 0; i < CPUS; i++) {
		f->lapic[i] = lapic_bus_attach(f->bus, i, &fake_ops, &f->cpu[i]);
		assert_non_null(f->lapic[i]);
		lapic_write(f->lapic[i], 0xf0, 0x1ff); /* software enable */
		f->cpu[i] = (struct fake_cpu){ .eoi_vector = -1 };
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lapic_bus_destroy(f->bus);
	machine_clock_destroy(f->clock);
	test_free(f);
	return 0;
}

static void message(struct fixture *f, uint8_t destination, bool logical, uint32_t data)
{
	struct msi_message msg = {
		.address = 0xfee00000 | (uint64_t)destination << 12 | (logical ? BIT(2) : 0),
		.data = data,
	};

	lapic_bus_message(f->bus, &msg);
}

static void enable_x2apic(struct lapic *lapic)
{
	assert_true(lapic_set_base(lapic, lapic_base(lapic) | APIC_BASE_X2APIC));
}

static void test_reset_values(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[1];

	lapic_reset(lapic);
	assert_int_equal(lapic_read(lapic, 0x20), 1 << 24);
	assert_int_equal(lapic_read(lapic, 0x30) & 0xff00ff, 0x50014);
	assert_int_equal(lapic_read(lapic, 0xe0), 0xffffffff);
	assert_int_equal(lapic_read(lapic, 0xf0), 0xff);
	for (unsigned int reg = 0x320; reg <= 0x370; reg += 0x10) {
		assert_int_equal(lapic_read(lapic, reg), 0x10000);
	}
	assert_int_equal(lapic_read(f->lapic[0], 0x350), 0x700);
	assert_int_equal(lapic_base(f->lapic[0]), 0xfee00900);
	assert_int_equal(lapic_base(f->lapic[1]), 0xfee00800);
}

static void test_fixed_priorities(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	message(f, 0, false, 0x41);
	message(f, 0, false, 0x52);
	assert_int_equal(f->cpu[0].interrupts, 2);
	assert_int_equal(f->cpu[1].interrupts, 0);
	assert_int_equal(lapic_pending(lapic), 0x52);
	lapic_accept(lapic, 0x52);
	assert_int_equal(lapic_read(lapic, 0xa0), 0x50);
	assert_int_equal(lapic_pending(lapic), -1);
	message(f, 0, false, 0x5f); /* same class: must wait */
	assert_int_equal(lapic_pending(lapic), -1);
	message(f, 0, false, 0x60);
	assert_int_equal(lapic_pending(lapic), 0x60);
	lapic_accept(lapic, 0x60);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(lapic_read(lapic, 0xa0), 0x50);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(lapic_read(lapic, 0xa0), 0);
	assert_int_equal(lapic_pending(lapic), 0x5f);
	assert_int_equal(f->cpu[0].eoi_vector, -1); /* edges are not broadcast */
}

static void test_tpr(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];
	unsigned int before;

	lapic_set_cr8(lapic, 5);
	assert_int_equal(lapic_read(lapic, 0x80), 0x50);
	message(f, 0, false, 0x55);
	assert_int_equal(lapic_pending(lapic), -1);
	before = f->cpu[0].interrupts;
	lapic_write(lapic, 0x80, 0x4f);
	assert_int_equal(f->cpu[0].interrupts, before + 1);
	assert_int_equal(lapic_cr8(lapic), 4);
	assert_int_equal(lapic_pending(lapic), 0x55);
}

static void test_level_eoi(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[2];

	message(f, 2, false, 0xc033 & ~0x4000);
	assert_int_equal(lapic_read(lapic, 0x180 + 0x10), 1 << (0x33 - 32));
	lapic_accept(lapic, 0x33);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(f->cpu[2].eoi_vector, 0x33);
	/* Suppressed by SVR bit 12. */
	f->cpu[2].eoi_vector = -1;
	lapic_write(lapic, 0xf0, 0x11ff);
	message(f, 2, false, 0xc033);
	lapic_accept(lapic, 0x33);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(f->cpu[2].eoi_vector, -1);
	/* An edge on the same vector clears TMR again. */
	message(f, 2, false, 0x33);
	assert_int_equal(lapic_read(lapic, 0x180 + 0x10), 0);
}

static void test_destinations(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < CPUS; i++) {
		lapic_write(f->lapic[i], 0xd0, 1u << (24 + i));
	}
	message(f, 0x6, true, 0x40);
	assert_int_equal(lapic_pending(f->lapic[0]), -1);
	assert_int_equal(lapic_pending(f->lapic[1]), 0x40);
	assert_int_equal(lapic_pending(f->lapic[2]), 0x40);
	assert_int_equal(lapic_pending(f->lapic[3]), -1);
	/* Cluster model: CPUs 0 and 1 in cluster 0, 2 and 3 in cluster 1. */
	for (unsigned int i = 0; i < CPUS; i++) {
		lapic_write(f->lapic[i], 0xe0, 0x0fffffff);
		lapic_write(f->lapic[i], 0xd0, ((i / 2) << 4 | 1u << (i % 2)) << 24);
	}
	message(f, 0x12, true, 0x70);
	assert_int_equal(lapic_pending(f->lapic[2]), 0x40);
	assert_int_equal(lapic_pending(f->lapic[3]), 0x70);
	message(f, 0xf1, true, 0x80);
	assert_int_equal(lapic_pending(f->lapic[0]), 0x80);
	assert_int_equal(lapic_pending(f->lapic[2]), 0x80);
	assert_int_equal(lapic_pending(f->lapic[3]), 0x70);
	message(f, 0xff, false, 0x90);
	for (unsigned int i = 0; i < CPUS; i++) {
		assert_int_equal(lapic_pending(f->lapic[i]), 0x90);
	}
	message(f, 0x77, false, 0xa0); /* nobody */
	for (unsigned int i = 0; i < CPUS; i++) {
		assert_int_equal(lapic_pending(f->lapic[i]), 0x90);
	}
}

static void test_lowest_priority(void **state)
{
	struct fixture *f = *state;
	unsigned int got[CPUS] = { 0 };

	for (unsigned int i = 0; i < CPUS; i++) {
		lapic_write(f->lapic[i], 0xd0, 1u << (24 + i));
		lapic_set_cr8(f->lapic[i], i == 2 ? 1 : 8);
	}
	message(f, 0xf, true, 0x145);
	assert_int_equal(lapic_pending(f->lapic[2]), 0x45);
	/* A software-disabled APIC is no target, and equals take turns. */
	lapic_write(f->lapic[2], 0xf0, 0xff);
	for (unsigned int i = 0; i < 30; i++) {
		message(f, 0xf, true, 0x191);
		for (unsigned int n = 0; n < CPUS; n++) {
			if (lapic_pending(f->lapic[n]) == 0x91) {
				got[n]++;
				lapic_accept(f->lapic[n], 0x91);
				lapic_write(f->lapic[n], 0xb0, 0);
			}
		}
	}
	assert_int_equal(got[0] + got[1] + got[3], 30);
	assert_true(got[0] && got[1] && got[3]);
}

static void test_ipi_shorthands(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[1];

	lapic_write(lapic, 0x300, 0x44041); /* self */
	assert_int_equal(lapic_pending(lapic), 0x41);
	assert_int_equal(lapic_pending(f->lapic[0]), -1);
	lapic_write(lapic, 0x300, 0xc4051); /* all but self */
	assert_int_equal(lapic_pending(lapic), 0x41);
	assert_int_equal(lapic_pending(f->lapic[3]), 0x51);
	lapic_write(lapic, 0x300, 0x84061); /* all */
	assert_int_equal(lapic_pending(lapic), 0x61);
	assert_int_equal(lapic_pending(f->lapic[3]), 0x61);
	lapic_write(lapic, 0x310, 3u << 24);
	lapic_write(lapic, 0x300, 0x4071);
	assert_int_equal(lapic_pending(f->lapic[3]), 0x71);
	assert_int_equal(lapic_pending(f->lapic[2]), 0x61);
	assert_int_equal(lapic_read(lapic, 0x300) & 0x1000, 0); /* idle */
}

static void test_init_sipi_nmi(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	lapic_write(lapic, 0x300, 0xcc500); /* INIT, level assert, all but self */
	assert_int_equal(f->cpu[0].inits, 0);
	assert_int_equal(f->cpu[1].inits, 1);
	assert_int_equal(f->cpu[3].inits, 1);
	lapic_write(lapic, 0x300, 0xc8500); /* de-assert */
	assert_int_equal(f->cpu[1].inits, 1);
	lapic_write(lapic, 0x310, 2u << 24);
	lapic_write(lapic, 0x300, 0x4699);
	assert_int_equal(f->cpu[2].sipis, 1);
	assert_int_equal(f->cpu[2].sipi_vector, 0x99);
	assert_int_equal(f->cpu[1].sipis, 0);
	/* NMIs reach a software-disabled APIC, fixed interrupts do not. */
	lapic_write(f->lapic[2], 0xf0, 0xff);
	lapic_write(lapic, 0x300, 0x4400);
	assert_int_equal(f->cpu[2].nmis, 1);
	lapic_write(lapic, 0x300, 0x4055);
	lapic_write(f->lapic[2], 0xf0, 0x1ff);
	assert_int_equal(lapic_pending(f->lapic[2]), -1);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	lapic_write(lapic, 0x370, 0xfe);
	lapic_write(lapic, 0x300, 0x4400f & ~0x400u);
	assert_int_equal(lapic_pending(lapic), 0xfe);
	assert_int_equal(lapic_read(lapic, 0x280), 0); /* latched only by a write */
	lapic_write(lapic, 0x280, 0);
	assert_int_equal(lapic_read(lapic, 0x280), 0x20);
	message(f, 0, false, 5);
	lapic_read(lapic, 0x40);
	lapic_write(lapic, 0x280, 0);
	assert_int_equal(lapic_read(lapic, 0x280), 0xc0);
	lapic_write(lapic, 0x280, 0);
	assert_int_equal(lapic_read(lapic, 0x280), 0);
	/* An illegal vector in the error entry must not recurse. */
	lapic_write(lapic, 0x370, 0x03);
	message(f, 0, false, 5);
	lapic_write(lapic, 0x280, 0);
	assert_int_equal(lapic_read(lapic, 0x280), 0x40);
}

static void test_software_disable_masks_lvt(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	lapic_write(lapic, 0x320, 0x20040);
	message(f, 0, false, 0x45);
	lapic_write(lapic, 0xf0, 0xff);
	assert_int_equal(lapic_pending(lapic), 0x45); /* what had arrived stays */
	assert_int_equal(lapic_read(lapic, 0x320), 0x30040);
	lapic_write(lapic, 0x320, 0x20040); /* the mask cannot be cleared now */
	assert_int_equal(lapic_read(lapic, 0x320), 0x30040);
}

static void test_lint0(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	lapic_write(lapic, 0x350, 0x700);
	lapic_bus_set_extint(f->bus, true);
	assert_true(f->cpu[0].extints > 0);
	assert_true(lapic_extint_pending(lapic));
	assert_false(lapic_extint_pending(f->lapic[1]));
	lapic_write(lapic, 0x350, 0x10700);
	assert_false(lapic_extint_pending(lapic));
	lapic_bus_set_extint(f->bus, false);
	/* Fixed, edge: the rising edge is an interrupt. */
	lapic_write(lapic, 0x350, 0x39);
	lapic_bus_set_extint(f->bus, true);
	assert_int_equal(lapic_pending(lapic), 0x39);
	assert_false(lapic_extint_pending(lapic));
	lapic_accept(lapic, 0x39);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(lapic_pending(lapic), -1);
	lapic_bus_set_extint(f->bus, false);
	/* Fixed, level: again after the EOI for as long as it is high. */
	lapic_write(lapic, 0x350, 0x8039);
	lapic_bus_set_extint(f->bus, true);
	assert_int_equal(lapic_read(lapic, 0x350), 0xc039);
	lapic_accept(lapic, 0x39);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(lapic_pending(lapic), 0x39);
	lapic_bus_set_extint(f->bus, false);
	lapic_accept(lapic, 0x39);
	lapic_write(lapic, 0xb0, 0);
	assert_int_equal(lapic_pending(lapic), -1);
	assert_int_equal(lapic_read(lapic, 0x350), 0x8039);
	/* NMI mode, and the APIC switched off: the pin is INTR. */
	lapic_write(lapic, 0x350, 0x400);
	lapic_bus_set_extint(f->bus, true);
	assert_int_equal(f->cpu[0].nmis, 1);
	assert_true(lapic_set_base(lapic, 0xfee00100));
	assert_true(lapic_extint_pending(lapic));
}

static void test_extint_message(void **state)
{
	struct fixture *f = *state;

	message(f, 3, false, 0x700);
	assert_true(lapic_extint_pending(f->lapic[3]));
	lapic_extint_accept(f->lapic[3]);
	assert_false(lapic_extint_pending(f->lapic[3]));
}

static void test_timer_one_shot(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	lapic_write(lapic, 0x3e0, 0x3); /* divide by 16 */
	lapic_write(lapic, 0x320, 0xd1);
	lapic_write(lapic, 0x380, 1000);
	assert_int_equal(lapic_read(lapic, 0x390), 1000);
	machine_clock_advance(f->clock, 8000);
	assert_int_equal(lapic_read(lapic, 0x390), 500);
	assert_int_equal(lapic_pending(lapic), -1);
	machine_clock_advance(f->clock, 8000);
	assert_int_equal(lapic_pending(lapic), 0xd1);
	assert_int_equal(lapic_read(lapic, 0x390), 0);
	lapic_accept(lapic, 0xd1);
	lapic_write(lapic, 0xb0, 0);
	machine_clock_advance(f->clock, NS_PER_S);
	assert_int_equal(lapic_pending(lapic), -1);
	/* Divisors: 11 = 1, 0 = 2, 10 = 128. */
	lapic_write(lapic, 0x3e0, 0xb);
	lapic_write(lapic, 0x380, 1000);
	machine_clock_advance(f->clock, 10);
	assert_int_equal(lapic_read(lapic, 0x390), 990);
	lapic_write(lapic, 0x3e0, 0xa);
	lapic_write(lapic, 0x380, 1000);
	machine_clock_advance(f->clock, 1280);
	assert_int_equal(lapic_read(lapic, 0x390), 990);
	lapic_write(lapic, 0x380, 0); /* stops */
	machine_clock_advance(f->clock, NS_PER_S);
	assert_int_equal(lapic_pending(lapic), -1);
}

static void test_timer_periodic(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];
	unsigned int shots = 0;

	lapic_write(lapic, 0x3e0, 0xb);
	lapic_write(lapic, 0x320, 0x200d1);
	lapic_write(lapic, 0x380, 1000000);
	for (unsigned int i = 0; i < 20; i++) {
		machine_clock_advance(f->clock, 500000);
		if (lapic_pending(lapic) == 0xd1) {
			shots++;
			lapic_accept(lapic, 0xd1);
			lapic_write(lapic, 0xb0, 0);
		}
	}
	assert_int_equal(shots, 10);
	/* Masked it counts on, but interrupts no more. */
	lapic_write(lapic, 0x320, 0x300d1);
	machine_clock_advance(f->clock, 10 * NS_PER_MS);
	assert_int_equal(lapic_pending(lapic), -1);
	assert_in_range(lapic_read(lapic, 0x390), 1, 1000000);
}

static void test_timer_tsc_deadline(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	lapic_set_tsc_deadline(lapic, 5000, 1000); /* another mode: ignored */
	assert_int_equal(lapic_tsc_deadline(lapic), 0);
	lapic_write(lapic, 0x320, 0x400d1);
	lapic_set_tsc_deadline(lapic, 5000, 1000);
	assert_int_equal(lapic_tsc_deadline(lapic), 5000);
	lapic_write(lapic, 0x380, 77); /* ignored in this mode */
	assert_int_equal(lapic_read(lapic, 0x390), 0);
	machine_clock_advance(f->clock, 1999);
	assert_int_equal(lapic_pending(lapic), -1);
	machine_clock_advance(f->clock, 2);
	assert_int_equal(lapic_pending(lapic), 0xd1);
	assert_int_equal(lapic_tsc_deadline(lapic), 0);
	lapic_accept(lapic, 0xd1);
	lapic_write(lapic, 0xb0, 0);
	lapic_set_tsc_deadline(lapic, 9000, 1000);
	lapic_set_tsc_deadline(lapic, 0, 1000); /* disarms */
	machine_clock_advance(f->clock, NS_PER_S);
	assert_int_equal(lapic_pending(lapic), -1);
	lapic_set_tsc_deadline(lapic, UINT64_MAX, 1000);
	machine_clock_advance(f->clock, NS_PER_S);
	assert_int_equal(lapic_pending(lapic), -1);
}

static void test_x2apic(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[3];
	uint64_t value = 0;

	assert_false(lapic_read_msr(lapic, 0x802, &value));
	enable_x2apic(lapic);
	assert_true(lapic_read_msr(lapic, 0x802, &value));
	assert_int_equal(value, 3);
	assert_true(lapic_read_msr(lapic, 0x80d, &value));
	assert_int_equal(value, 8);
	assert_false(lapic_read_msr(lapic, 0x80e, &value)); /* no DFR */
	assert_false(lapic_read_msr(lapic, 0x80b, &value));
	assert_false(lapic_write_msr(lapic, 0x80b, 1));
	assert_true(lapic_write_msr(lapic, 0x80b, 0));
	assert_false(lapic_write_msr(lapic, 0x802, 0));
	assert_false(lapic_write_msr(lapic, 0x808, 0x100));
	assert_false(lapic_write_msr(lapic, 0x831, 0));
	assert_true(lapic_write_msr(lapic, 0x83f, 0x44));
	assert_int_equal(lapic_pending(lapic), 0x44);
	assert_false(lapic_read_msr(lapic, 0x83f, &value));
	/* A 64-bit ICR: physical to CPU 0, logical to the cluster's CPUs, broadcast. */
	assert_true(lapic_write_msr(lapic, 0x830, 0x4051));
	assert_int_equal(lapic_pending(f->lapic[0]), 0x51);
	enable_x2apic(f->lapic[1]);
	enable_x2apic(f->lapic[2]);
	assert_true(lapic_write_msr(lapic, 0x830, UINT64_C(0x600004861)));
	assert_int_equal(lapic_pending(f->lapic[1]), 0x61);
	assert_int_equal(lapic_pending(f->lapic[2]), 0x61);
	assert_int_equal(lapic_pending(lapic), 0x44);
	assert_true(lapic_write_msr(lapic, 0x830, UINT64_C(0xffffffff00004071)));
	assert_int_equal(lapic_pending(f->lapic[0]), 0x71);
	assert_int_equal(lapic_pending(lapic), 0x71);
	/* A device's broadcast reaches x2APICs too. */
	message(f, 0xff, false, 0x81);
	assert_int_equal(lapic_pending(lapic), 0x81);
}

static void test_base_transitions(void **state)
{
	struct fixture *f = *state;
	struct lapic *lapic = f->lapic[0];

	assert_false(lapic_set_base(lapic, 0xfee00400));
	assert_false(lapic_set_base(lapic, 0xfee00901));
	assert_true(lapic_set_base(lapic, 0xfee00d00));
	assert_false(lapic_set_base(lapic, 0xfee00900));
	assert_true(lapic_set_base(lapic, 0xfee00100));
	assert_false(lapic_set_base(lapic, 0xfee00d00));
	assert_true(lapic_set_base(lapic, 0xfee00900));
	assert_int_equal(lapic_read(lapic, 0xf0), 0xff); /* as after power-on */
	message(f, 0, false, 0x55);
	assert_int_equal(lapic_pending(lapic), -1);
}

static void test_save_load(void **state)
{
	struct fixture *f = *state;
	/* Its alignment is more than malloc gives. */
	struct cpu_state *saved = aligned_alloc(_Alignof(struct cpu_state), sizeof(*saved));
	struct error err;

	assert_non_null(saved);
	memset(saved, 0, sizeof(*saved));
	enable_x2apic(f->lapic[1]);
	assert_true(lapic_write_msr(f->lapic[1], 0x83e, 0xb));
	assert_true(lapic_write_msr(f->lapic[1], 0x832, 0x200d1));
	assert_true(lapic_write_msr(f->lapic[1], 0x838, 1000000));
	assert_true(lapic_write_msr(f->lapic[1], 0x83f, 0x44));
	message(f, 1, false, 0xc055);
	lapic_accept(f->lapic[1], 0x55);
	machine_clock_advance(f->clock, 250000);
	lapic_save(f->lapic[1], saved);
	assert_int_equal(saved->lapic_timer_deadline_ns, 1000000);
	lapic_reset(f->lapic[1]);
	assert_int_equal(lapic_load(f->lapic[1], saved, &err), 0);
	assert_int_equal(lapic_pending(f->lapic[1]), -1);
	assert_true(lapic_write_msr(f->lapic[1], 0x80b, 0));
	assert_int_equal(f->cpu[1].eoi_vector, 0x55);
	assert_int_equal(lapic_pending(f->lapic[1]), 0x44);
	machine_clock_advance(f->clock, 750000);
	assert_int_equal(lapic_pending(f->lapic[1]), 0xd1);
	/* Another CPU's state is refused, and so are impossible modes. */
	assert_int_equal(lapic_load(f->lapic[2], saved, &err), -EINVAL);
	saved->apic_base = 0xfee00400;
	assert_int_equal(lapic_load(f->lapic[1], saved, &err), -EINVAL);
	/* A blank page is a reset APIC. */
	memset(saved, 0, sizeof(*saved));
	saved->apic_base = 0xfee00800;
	assert_int_equal(lapic_load(f->lapic[2], saved, &err), 0);
	assert_int_equal(lapic_read(f->lapic[2], 0xf0), 0xff);
	assert_int_equal(lapic_read(f->lapic[2], 0x20), 2 << 24);
	free(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fixed_priorities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tpr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_eoi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destinations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lowest_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipi_shorthands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_sipi_nmi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_software_disable_masks_lvt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lint0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extint_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_one_shot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_tsc_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_x2apic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base_transitions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_load, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
