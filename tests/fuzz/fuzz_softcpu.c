/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: bytes as guest code in every mode and privilege level of the soft engine, with
 * descriptors and a task that the input has changed. What the guest does to itself does not
 * matter; the monitor must survive, and the state that comes out must be one that can be loaded
 * again.
 *
 * A thread ends runs that loop.
 */

#include <stdlib.h>
#include <time.h>

#include "engine/engines.h"
#include "lib_guest.h"

#define RUN_NS 3000000
#define HEADER 32

static struct guest *guest;
static _Atomic bool time_is_up;

static void *end_runs(void *opaque)
{
	const struct timespec pause = { .tv_nsec = RUN_NS };

	(void)opaque;
	for (;;) {
		nanosleep(&pause, NULL);
		atomic_store(&time_is_up, true);
		guest->engine->ops->vcpu_kick(guest->vcpu);
	}
	return NULL;
}

static void create_guest(void)
{
	pthread_t thread;

	guest = guest_create(&soft_engine_ops, 1);
	if (pthread_create(&thread, NULL, end_runs, NULL)) {
		abort();
	}
}

static void choose_mode(struct guest *g, uint8_t mode)
{
	unsigned int cpl = mode & 8 ? 3 : 0;

	switch (mode & 7) {
	case 0: guest_real(g); break;
	case 1: guest_protected(g, cpl); break;
	case 2:
		guest_protected(g, cpl);
		guest_paging(g);
		break;
	case 3: guest_v86(g, cpl); break;
	case 4: guest_long(g, cpl, true); break;
	default: guest_long(g, cpl, false); break;
	}
	if (mode & 16) {
		g->state->rflags |= 0x100; /* TF */
	}
	if (mode & 32) {
		g->state->rflags |= 0x3200;
	}
	if (mode & 64) {
		g->state->cr4 |= 0x1f | 0x300000;
	}
}

/* Two descriptors, a gate and a word of each TSS are the input's. */
static void change_tables(struct guest *g, const uint8_t *data)
{
	guest_write(g, GUEST_GDT + GUEST_SEL_FREE, data, 8);
	guest_write(g, GUEST_GDT + (data[8] & 0xf8), data + 8, 8);
	guest_write(g, GUEST_IDT + data[16] * 8u, data + 16, 8);
	guest_write(g, GUEST_TSS + (data[24] & 0x7c), data + 24, 4);
	guest_write(g, GUEST_TSS2 + (data[28] & 0x7c), data + 28, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };

	if (size < HEADER + 9 || size > 512) {
		return 0;
	}
	if (!guest) {
		create_guest();
	}
	choose_mode(guest, data[0]);
	for (unsigned int i = 0; i < 8; i++) {
		guest->state->gpr[i == CPU_RSP ? CPU_R8 : i] = load_le64(data + i * 4);
	}
	change_tables(guest, data + 1);
	guest_write(guest, guest->state->seg[CPU_CS].base + guest->state->rip, data + HEADER + 8,
		    size - HEADER - 8);
	if (guest->engine->ops->vcpu_load(guest->vcpu, &err)) {
		abort();
	}
	guest->ended = false;
	atomic_store(&time_is_up, false);
	do {
		guest->result = guest->engine->ops->vcpu_run(guest->vcpu);
	} while (guest->result == VCPU_EXIT_KICKED && !guest->ended && !atomic_load(&time_is_up));
	if (guest->engine->ops->vcpu_save(guest->vcpu, &err) ||
	    guest->engine->ops->vcpu_load(guest->vcpu, &err)) {
		abort();
	}
	return 0;
}
