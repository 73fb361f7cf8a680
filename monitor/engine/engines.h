/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_ENGINE_ENGINES_H
#define LIMEN_ENGINE_ENGINES_H

/*
 * The engines that exist, and what engine/vcpu.c does for them. Private to engines.
 */

#include <signal.h>

#include "engine/engine.h"

/* Ends a system call of a vCPU's thread, and has no other effect. */
#define VCPU_KICK_SIGNAL (SIGRTMIN + 1)

extern const struct engine_ops kvm_engine_ops;
extern const struct engine_ops driver_engine_ops;
extern const struct engine_ops soft_engine_ops;

/**
 * engine_choose() - what `auto` means: the first of @all that is usable and not slower than
 * @reference, which is one of them
 */
const struct engine_ops *engine_choose(const struct engine_ops *const *all,
				       const struct engine_ops *reference, char *ret_remark,
				       struct error *err);

/** vcpus_prepare() - what the vCPUs' threads need; -ENOMEM. vcpus_release() - its undoing. */
int vcpus_prepare(struct engine *engine);
void vcpus_release(struct engine *engine);

/**
 * vcpu_signal() - interrupt whatever system call the vCPU's thread is in (KVM_RUN)
 *
 * For an engine's vcpu_kick(), after it has set the flag that its vcpu_run() looks at. Any thread,
 * async-signal-safe; nothing happens while the vCPU has no thread.
 */
void vcpu_signal(struct vcpu *vcpu);

#endif
