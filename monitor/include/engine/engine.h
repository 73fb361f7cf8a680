/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_ENGINE_H
#define LIMEN_ENGINE_ENGINE_H

/*
 * struct engine_ops is the only thing that the rest of the monitor knows of what runs the guest's
 * code. Three engines stand behind it: kvm, driver (limen.ko), soft. The monitor creates one
 * engine, one vCPU for each of the machine's CPUs, and lets engine/vcpu.c run each on a thread of
 * its own.
 *
 * Locks: the engine's are the last in the order device, irq router, engine; nothing of the machine
 * is called with them held.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "bus/io.h"
#include "bus/irq.h"
#include "engine/cpu_state.h"
#include "memory/guest_memory.h"

struct engine;
struct vcpu;
struct cpu_model;

enum engine_event {
	ENGINE_EVENT_TRIPLE_FAULT, /* the machine resets, as PCs do */
	ENGINE_EVENT_FAILED,	   /* the engine cannot go on; the text says why */
};

/**
 * struct engine_env - what the machine gives its engine; outlives it
 * @ports, @mmio, @memory: the guest's address spaces
 * @model: CPUID and MSR model (engine/cpu_model.h)
 * @pic_intack: the PIC's answer to an interrupt-acknowledge cycle: a vector, or -1 when it has
 *              none. vCPU threads, no engine lock held
 * @ioapic_eoi: a local APIC has ended a level-triggered interrupt with @vector. vCPU threads
 * @event: from a vCPU thread; returns at once
 */
struct engine_env {
	struct io_space *ports;
	struct io_space *mmio;
	struct guest_memory *memory;
	struct machine_clock *clock;
	struct cpu_model *model;
	struct config_view config; /* "engine.*" keys */
	unsigned int cpus;
	int (*pic_intack)(void *opaque);
	void (*ioapic_eoi)(void *opaque, uint8_t vector);
	void (*event)(void *opaque, struct vcpu *vcpu, enum engine_event event, const char *text);
	void *opaque;
};

enum vcpu_exit {
	VCPU_EXIT_KICKED,      /* vcpu_kick() or a signal: look at requests and call again */
	VCPU_EXIT_TRIPLE_FAULT,
	VCPU_EXIT_FAILED,      /* vcpu->error says why */
};

/** struct engine_report - what a probe found, for `auto` and `limen info`. */
struct engine_report {
	bool usable;
	char reason[256];	/* why not, and what to do; or a remark */
	double mips; /* measured ring-0 speed, million instructions a second; 0 when not measured */
	char detail[256];	/* capabilities, for a person */
};

/** struct engine_counter - one statistic, for `limen info --vm`. */
struct engine_counter {
	const char *name;
	uint64_t value;
};

/**
 * struct engine_ops - an engine
 * @name: "kvm", "driver", "soft"
 * @probe: can it be used here, and how fast is it; a few milliseconds; process-wide effects none
 * @create, @destroy: @engine is allocated with @engine_size and zeroed. create registers its memory
 *                    and eventfd listeners and fills engine->msi. Main thread
 * @vcpu_create: @vcpu is allocated with @vcpu_size; main thread. @vcpu_destroy its undoing
 * @vcpu_start, @vcpu_stop: on the vCPU's own thread, before its first and after its last run;
 *         optional
 * @vcpu_run: on the vCPU's thread: run guest code until something needs the monitor; port and
 *            memory accesses go to io_read()/io_write() from here. HLT sleeps in here until an
 *            interrupt or a kick
 * @vcpu_kick: any thread, async-signal-safe: make vcpu_run() return soon with VCPU_EXIT_KICKED,
 *             also when it is about to start
 * @vcpu_save: into vcpu->state; the vCPU is not running. @vcpu_load: out of it
 * @paused, @resuming: around the time in which no vCPU runs, which the guest's clocks must not see;
 *            optional. Main thread
 * @set_extint: level of the PIC's INTR output, wired to the BSP's LINT0; any thread
 * @nmi: to one vCPU; any thread
 * @counters: up to @max of them; returns the number; any thread
 */
struct engine_ops {
	const char *name;
	size_t engine_size;
	size_t vcpu_size;
	void (*probe)(struct engine_report *ret_report);
	int (*create)(struct engine *engine, struct error *err);
	void (*destroy)(struct engine *engine);
	int (*vcpu_create)(struct vcpu *vcpu, struct error *err);
	void (*vcpu_destroy)(struct vcpu *vcpu);
	int (*vcpu_start)(struct vcpu *vcpu);
	void (*vcpu_stop)(struct vcpu *vcpu);
	enum vcpu_exit (*vcpu_run)(struct vcpu *vcpu);
	void (*vcpu_kick)(struct vcpu *vcpu);
	int (*vcpu_save)(struct vcpu *vcpu, struct error *err);
	int (*vcpu_load)(struct vcpu *vcpu, struct error *err);
	void (*paused)(struct engine *engine);
	void (*resuming)(struct engine *engine);
	void (*set_extint)(struct engine *engine, bool level);
	void (*nmi)(struct vcpu *vcpu);
	size_t (*counters)(struct vcpu *vcpu, struct engine_counter *ret_counters, size_t max);
};

/**
 * struct engine - base of every engine, first member of its struct
 * @msi: where interrupt messages go (MSI, IOAPIC)
 */
struct engine {
	const struct engine_ops *ops;
	struct engine_env env;
	struct msi_sink msi;
	struct vcpu **vcpus;
	unsigned int vcpu_count;
};

/**
 * struct vcpu - base of every engine's vCPU, first member of its struct
 * @index: also its APIC id
 * @state: the neutral state; valid after vcpu_save(), read by vcpu_load()
 * @error: text of VCPU_EXIT_FAILED
 */
struct vcpu {
	struct engine *engine;
	unsigned int index;
	pthread_t thread;
	struct cpu_state state;
	struct error error;
	void *run; /* engine/vcpu.c's */
};

/** engine_find() - by name, or NULL. engine_all() - every engine in probing order, NULL-ended. */
const struct engine_ops *engine_find(const char *name);
const struct engine_ops *const *engine_all(void);

/**
 * engine_select() - resolve `--engine`
 * @name: "auto", "kvm", "driver" or "soft"
 * @ret_remark: 256 bytes: for auto, why something better was passed over; "" when there is nothing
 *              to say
 *
 * Return: the engine; NULL with @err when it cannot be used here.
 */
const struct engine_ops *engine_select(const char *name, char *ret_remark, struct error *err);

/** engine_create() - make the engine and its vCPUs, each reset but not running. */
int engine_create(const struct engine_ops *ops, const struct engine_env *env,
		  struct engine **ret_engine, struct error *err);
void engine_destroy(struct engine *engine);

/* ------- the vCPUs' threads (engine/vcpu.c); main thread ------- */

/** vcpus_start() - create the threads, paused. */
int vcpus_start(struct engine *engine, struct error *err);

/** vcpus_resume() - let them run. */
void vcpus_resume(struct engine *engine);

/** vcpus_pause() - return when none runs guest code; states can then be saved and loaded. Handlers
 *  called by a vCPU may be waiting for the main thread: nothing here waits on the main loop. */
void vcpus_pause(struct engine *engine);

/** vcpus_reset() - put all to the power-on state; they must be paused. */
int vcpus_reset(struct engine *engine, struct error *err);

/** vcpus_stop() - end and join the threads. */
void vcpus_stop(struct engine *engine);

/** vcpus_save()/load() - all states, while paused. */
int vcpus_save(struct engine *engine, struct error *err);
int vcpus_load(struct engine *engine, struct error *err);

/** vcpu_should_return() - for engines: whether a pause or stop was asked for; one relaxed load. */
bool vcpu_should_return(struct vcpu *vcpu);

#endif
