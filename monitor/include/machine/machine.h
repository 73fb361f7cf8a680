/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MACHINE_MACHINE_H
#define LIMEN_MACHINE_MACHINE_H

/*
 * A machine: the board with its devices, the engine with its CPUs, and what runs them. Everything
 * here is called on the main thread, which also runs the machine's event loop, unless it says
 * otherwise.
 */

#include "base/config.h"
#include "base/event_loop.h"
#include "bus/device.h"
#include "display/display.h"
#include "display/input.h"
#include "engine/cpu_model.h"
#include "engine/engine.h"

struct machine;

enum machine_status {
	MACHINE_PRELAUNCH, /* built, never run */
	MACHINE_RUNNING,
	MACHINE_PAUSED,
	MACHINE_SUSPENDED, /* the guest went to S3 */
	MACHINE_SHUTDOWN,  /* the run is over */
};

enum machine_event {
	MACHINE_EVENT_STOP,
	MACHINE_EVENT_RESUME,
	MACHINE_EVENT_RESET,
	MACHINE_EVENT_SHUTDOWN,
	MACHINE_EVENT_POWERDOWN,
	MACHINE_EVENT_SUSPEND,
	MACHINE_EVENT_WAKEUP,
	MACHINE_EVENT_FAILED,
};

/**
 * struct machine_options - what is not configuration of the machine itself
 * @no_reboot: a guest reset ends the run
 * @test_device: ports of the debug exit and of pc-testdev
 * @event: told of what happens, on the main thread; optional. @guest: the guest caused it
 */
struct machine_options {
	bool no_reboot;
	bool test_device;
	void (*event)(void *opaque, enum machine_event event, bool guest);
	void *opaque;
};

/**
 * machine_create() - build the machine that @config describes, powered off
 * @config: must outlive it
 * @loop: the main loop; must outlive it
 *
 * Return: 0, or -errno with a line for the user; nothing is then left behind.
 */
int machine_create(struct config_tree *config, struct event_loop *loop,
		   const struct machine_options *options, struct machine **ret_machine,
		   struct error *err);

/** machine_destroy() - power off, stop the vCPUs, close the back ends. NULL is allowed. */
void machine_destroy(struct machine *machine);

/** machine_power_on() - cold reset, load what is booted directly; the machine is then paused. */
int machine_power_on(struct machine *machine, struct error *err);

/** machine_resume()/pause() - let it run, stop it; idempotent. */
void machine_resume(struct machine *machine);
void machine_pause(struct machine *machine);

/** machine_reset() - as by the reset button. Return: -errno when a kernel can no longer be
 * loaded. */
int machine_reset(struct machine *machine, struct error *err);

/** machine_power_button() - ask the guest to shut down. */
void machine_power_button(struct machine *machine);

/** machine_wake() - end S3; nothing when it does not sleep. */
void machine_wake(struct machine *machine);

/** machine_nmi() - to all CPUs. */
void machine_nmi(struct machine *machine);

/** machine_quit() - end the run with exit status @status; the loop is asked to quit. */
void machine_quit(struct machine *machine, int status);

/** machine_exit_status() - of a run that is over. machine_failure() - why it failed, or NULL. */
int machine_exit_status(const struct machine *machine);
const char *machine_failure(const struct machine *machine);

enum machine_status machine_status(const struct machine *machine);

/* ------- what it is made of, for state/ and control/ ------- */

struct config_tree *machine_config(struct machine *machine);
struct engine *machine_engine(struct machine *machine);
struct guest_memory *machine_memory(struct machine *machine);
struct machine_clock *machine_clock_of(struct machine *machine);
struct display *machine_display(struct machine *machine);
struct input_router *machine_input(struct machine *machine);
const struct cpu_model *machine_cpu_model(struct machine *machine);

/** machine_adopt_cpu_model() - cpu_model_adopt() for a machine that has not run yet, before its
 *  vCPUs' states are loaded. */
int machine_adopt_cpu_model(struct machine *machine, const struct cpu_model *saved,
			    struct error *err);

/** machine_for_each_device() - in the order of their creation; stops at the first negative return,
 *  which it gives back. */
int machine_for_each_device(struct machine *machine, int (*fn)(void *opaque, struct device *dev),
			    void *opaque);

/**
 * machine_freeze() - make the whole state readable: vCPUs paused and saved, devices drained, clock
 * stopped. machine_thaw() - the reverse; the machine stays paused.
 */
int machine_freeze(struct machine *machine, struct error *err);
int machine_thaw(struct machine *machine, struct error *err);

#endif
