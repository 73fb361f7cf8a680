/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_STATE_MACHINE_STATE_H
#define LIMEN_STATE_MACHINE_STATE_H

/*
 * Saving and loading of a whole machine: configuration, processor model, clock, vCPUs, devices and
 * memory, on whichever engine. Main thread.
 */

#include "machine/machine.h"

/**
 * machine_state_save() - freeze @machine and write it to @file
 *
 * Return: 0, the machine staying frozen (paused); or -errno with a line, the machine thawed and
 * still paused. Whoever called resumes or ends it.
 */
int machine_state_save(struct machine *machine, const char *file, struct error *err);

/**
 * machine_state_read_config() - set the keys that the machine in @file was made with, but those
 * that are set already (the caller's own have precedence); before the machine is made
 */
int machine_state_read_config(const char *file, struct config_tree *config, struct error *err);

/**
 * machine_state_load() - put a machine that was powered on and never ran into the state of @file
 *
 * After a failure the machine is only fit for destruction.
 */
int machine_state_load(struct machine *machine, const char *file, struct error *err);

#endif
