/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_SOFTCPU_ENGINE_SOFT_H
#define LIMEN_SOFTCPU_ENGINE_SOFT_H

/*
 * What the files of the soft engine share: engine_soft.c (the engine), state.c (the neutral state),
 * probe.c (how fast it is).
 */

#include "softcpu/softcpu.h"

/** soft_state_save() - all of a CPU that is not running, but what is undelivered. */
void soft_state_save(struct softcpu *cpu, struct cpu_state *state);

/** soft_state_load() - out of a state that may hold anything. -EINVAL for what no CPU of this model
 *  can be in; the CPU is then to be loaded again before it runs. */
int soft_state_load(struct softcpu *cpu, const struct cpu_state *state, struct error *err);

/** soft_probe() - struct engine_ops.probe: runs a loop on a CPU of its own for some ms. */
void soft_probe(struct engine_report *ret_report);

#endif
