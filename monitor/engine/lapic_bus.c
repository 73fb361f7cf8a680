/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between local APICs, and to them from the IOAPIC and from devices (MSI): destination
 * matching, lowest-priority arbitration, delivery. Intel SDM vol. 3, 11.6 and 11.11.
 *
 * A message is matched against every APIC of the machine, without a lock: what matching reads
 * is atomic, and a guest that changes an APIC's mode or logical ID while messages fly has as
 * little certainty here as on hardware. Real buses also know "accept errors" and a focus
 * processor; both are gone from current processors, and so they are here.
 */

#include <stdlib.h>

#include "engine/lapic_internal.h"

int lapic_bus_create(unsigned int cpus, struct machine_clock *clock, uint64_t tsc_hz,
		     struct lapic_bus **ret_bus, struct error *err)
{
	struct lapic_bus *bus = calloc(1, sizeof(*bus));

	if (!bus) {
		return error_set(err, ENOMEM, "not enough memory for the interrupt bus");
	}
	bus->lapics = calloc(cpus, sizeof(struct lapic *));
	if (!bus->lapics) {
		free(bus);
		return error_set(err, ENOMEM, "not enough memory for %u local APICs", cpus);
	}
	bus->clock = clock;
	bus->tsc_hz = tsc_hz;
	bus->cpus = cpus;
	*ret_bus = bus;
	return 0;
}

void lapic_bus_detach(struct lapic_bus *bus, unsigned int index)
{
	struct lapic *lapic = bus->lapics[index];

	if (lapic) {
		bus->lapics[index] = NULL;
		timer_finish(&lapic->timer);
		pthread_mutex_destroy(&lapic->timer_lock);
		free(lapic);
	}
}

void lapic_bus_set_tsc_hz(struct lapic_bus *bus, uint64_t tsc_hz)
{
	bus->tsc_hz = tsc_hz;
}

void lapic_bus_destroy(struct lapic_bus *bus)
{
	if (!bus) {
		return;
	}
	for (unsigned int i = 0; i < bus->cpus; i++) {
		lapic_bus_detach(bus, i);
	}
	free(bus->lapics);
	free(bus);
}

struct lapic *lapic_bus_attach(struct lapic_bus *bus, unsigned int index,
			       const struct lapic_ops *ops, void *opaque)
{
	struct lapic *lapic;

	if (index >= bus->cpus || bus->lapics[index]) {
		return NULL;
	}
	lapic = calloc(1, sizeof(*lapic));
	if (!lapic) {
		return NULL;
	}
	lapic->bus = bus;
	lapic->index = index;
	lapic->ops = ops;
	lapic->opaque = opaque;
	lapic->base = APIC_BASE_RESET | APIC_BASE_ENABLE | (index == 0 ? APIC_BASE_BSP : 0);
	lapic_timer_init(lapic);
	lapic_reset(lapic);
	bus->lapics[index] = lapic;
	return lapic;
}

/* SDM vol. 3, 11.6.2.1; x2APIC: 11.12.9. */
static bool match_physical(struct lapic *lapic, const struct lapic_message *msg)
{
	return msg->destination == lapic->index;
}

/* SDM vol. 3, 11.6.2.2; x2APIC: 11.12.10. */
static bool match_logical(struct lapic *lapic, const struct lapic_message *msg)
{
	uint32_t ldr = lapic_ldr(lapic);

	if (lapic_is_x2apic(lapic)) {
		return (msg->destination ^ ldr) >> 16 == 0 && (msg->destination & ldr & 0xffff);
	}
	if (msg->destination > 0xff) {
		return false;
	}
	ldr >>= 24;
	if (atomic_load(&lapic->dfr) >> 28 == 0xf) {
		return msg->destination & ldr;
	}
	/* Cluster model: cluster 15 means every cluster. */
	return (msg->destination >> 4 == 0xf || msg->destination >> 4 == ldr >> 4) &&
	       (msg->destination & ldr & 0xf);
}

static bool match(struct lapic *lapic, const struct lapic_message *msg)
{
	if (!lapic || !lapic_enabled(lapic)) {
		return false;
	}
	if (msg->destination == (msg->wide ? UINT32_MAX : 0xff)) {
		return true;
	}
	return msg->logical ? match_logical(lapic, msg) : match_physical(lapic, msg);
}

static void signal_cpu(struct lapic *lapic, enum lapic_signal signal, unsigned int arg)
{
	lapic->ops->signal(lapic->opaque, signal, arg);
}

static void deliver(struct lapic *lapic, const struct lapic_message *msg)
{
	switch (msg->delivery) {
	case DELIVERY_FIXED:
	case DELIVERY_LOWEST:
		lapic_raise(lapic, msg->vector, msg->level);
		break;
	case DELIVERY_SMI:
		signal_cpu(lapic, LAPIC_SIGNAL_SMI, 0);
		break;
	case DELIVERY_NMI:
		signal_cpu(lapic, LAPIC_SIGNAL_NMI, 0);
		break;
	case DELIVERY_INIT:
		/* De-assertion only set arbitration IDs, on processors long gone. */
		if (msg->assert || !msg->level) {
			signal_cpu(lapic, LAPIC_SIGNAL_INIT, 0);
		}
		break;
	case DELIVERY_SIPI:
		signal_cpu(lapic, LAPIC_SIGNAL_SIPI, msg->vector);
		break;
	case DELIVERY_EXTINT:
		atomic_store(&lapic->extint_message, true);
		signal_cpu(lapic, LAPIC_SIGNAL_EXTINT, 0);
		break;
	default:
		break;
	}
}

/* Among the matching APICs that take interrupts, the one of lowest processor priority. */
static void deliver_lowest(struct lapic_bus *bus, const struct lapic_message *msg)
{
	unsigned int start = atomic_fetch_add(&bus->next_lowest, 1);
	struct lapic *best = NULL;
	uint32_t best_priority = 0;

	for (unsigned int i = 0; i < bus->cpus; i++) {
		struct lapic *lapic = bus->lapics[(start + i) % bus->cpus];
		uint32_t priority;

		if (!lapic || !match(lapic, msg) || !lapic_software_enabled(lapic)) {
			continue;
		}
		priority = lapic_ppr(lapic);
		if (!best || priority < best_priority) {
			best = lapic;
			best_priority = priority;
		}
	}
	if (best) {
		deliver(best, msg);
	}
}

static void send_message(struct lapic_bus *bus, const struct lapic_message *msg)
{
	if (msg->delivery == DELIVERY_LOWEST) {
		deliver_lowest(bus, msg);
		return;
	}
	for (unsigned int i = 0; i < bus->cpus; i++) {
		if (match(bus->lapics[i], msg)) {
			deliver(bus->lapics[i], msg);
		}
	}
}

/* SDM vol. 3, 11.11.1 and 11.11.2. */
void lapic_bus_message(struct lapic_bus *bus, const struct msi_message *message)
{
	struct lapic_message msg = {
		.destination = (message->address >> 12) & 0xff,
		.vector = LAPIC_VECTOR(message->data),
		.delivery = LAPIC_DELIVERY(message->data),
		.logical = message->address & BIT(2),
		.level = message->data & ICR_LEVEL,
		.assert = message->data & ICR_ASSERT,
	};

	/* A redirection hint asks for one CPU of those that match, whatever the mode says. */
	if ((message->address & BIT(3)) && msg.logical && msg.delivery == DELIVERY_FIXED) {
		msg.delivery = DELIVERY_LOWEST;
	}
	if (message->address >> 20 == 0xfee) {
		send_message(bus, &msg);
	}
}

/* SDM vol. 3, 11.6.1, table 11-3: shorthands. */
void lapic_send_ipi(struct lapic *lapic, uint32_t icr_low, uint32_t destination)
{
	struct lapic_bus *bus = lapic->bus;
	unsigned int shorthand = (icr_low >> 18) & 3;
	struct lapic_message msg = {
		.destination = destination,
		.vector = LAPIC_VECTOR(icr_low),
		.delivery = LAPIC_DELIVERY(icr_low),
		.logical = icr_low & ICR_LOGICAL,
		.wide = lapic_is_x2apic(lapic),
		.level = icr_low & ICR_LEVEL,
		.assert = icr_low & ICR_ASSERT,
	};

	if (!lapic_enabled(lapic)) {
		return;
	}
	if (msg.delivery <= DELIVERY_LOWEST) {
		/* The trigger mode counts only for INIT de-assertion: other IPIs are edges. */
		msg.level = false;
		if (msg.vector < 16) {
			lapic_error(lapic, ESR_SEND_ILLEGAL);
			return;
		}
	}
	if (shorthand == 0) {
		send_message(bus, &msg);
		return;
	}
	if (shorthand == 1) {
		/* Only fixed interrupts can be sent to oneself. */
		if (msg.delivery == DELIVERY_FIXED) {
			deliver(lapic, &msg);
		}
		return;
	}
	for (unsigned int i = 0; i < bus->cpus; i++) {
		struct lapic *target = bus->lapics[i];

		if (target && lapic_enabled(target) && (shorthand == 2 || target != lapic)) {
			deliver(target, &msg);
		}
	}
}

void lapic_bus_set_extint(struct lapic_bus *bus, bool level)
{
	if (bus->lapics[0]) {
		lapic_set_lint0(bus->lapics[0], level);
	}
}
