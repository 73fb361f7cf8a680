/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_IRQ_H
#define LIMEN_BUS_IRQ_H

/*
 * Interrupt wires and messages. A device sees a struct irq_line, one wire whose other end (PIC,
 * IOAPIC, PCI router) it does not know; and, for MSI, the msi_sink of its bus.
 */

#include "base/types.h"

/**
 * struct irq_line - one wire
 * @set: drives pin @n of whatever listens; any thread; may be called with a device lock held (lock
 *       order: device, then irq router, then engine)
 */
struct irq_line {
	void (*set)(void *opaque, unsigned int n, bool level);
	void *opaque;
	unsigned int n;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
	if (line->set) {
		line->set(line->opaque, line->n, level);
	}
}

/** irq_pulse() - an edge. */
static inline void irq_pulse(const struct irq_line *line)
{
	irq_set(line, true);
	irq_set(line, false);
}

/** struct msi_message - Intel SDM vol. 3, "Message Signalled Interrupts" (10.11 in the 2023
 *  edition). */
struct msi_message {
	uint64_t address;
	uint32_t data;
};

/**
 * struct msi_sink - where messages go: the local APICs, through the engine
 * @deliver: any thread
 * @irqfd_add: let the engine deliver @msg whenever @fd (an eventfd) is written, with no thread of
 *             ours in between; -ENOTSUP where it cannot, then the caller delivers. Optional.
 * @irqfd_remove: undo it
 */
struct msi_sink {
	void (*deliver)(struct msi_sink *sink, const struct msi_message *msg);
	int (*irqfd_add)(struct msi_sink *sink, int fd, const struct msi_message *msg);
	void (*irqfd_remove)(struct msi_sink *sink, int fd);
};

#endif
