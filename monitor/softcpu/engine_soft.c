/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine: software CPUs, one on each vCPU's thread, with the monitor's own local
 * APICs. It needs nothing of the host but its processor's user mode, so it can always be used.
 *
 * A vCPU's neutral state is all there is between two instructions. What another engine had
 * begun (an exception raised, an interrupt acknowledged, but not delivered) is delivered when
 * the vCPU runs next; this engine itself never stops in between.
 */

#include <stdio.h>
#include <stdlib.h>

#include "softcpu/engine_soft.h"

#include "engine/engines.h"
#include "softcpu/blocks.h"
#include "softcpu/system.h"

/**
 * struct soft_engine - the engine of one machine
 * @peers: its CPUs by index; NULL before they are created
 * @listener: changes of guest memory are dropped from every TLB
 */
struct soft_engine {
	struct engine base;
	struct soft_shared shared;
	struct lapic_bus *bus;
	struct softcpu **peers;
	struct guest_memory_listener listener;
};

/**
 * struct soft_vcpu - one vCPU
 * @refresh_clock: a state was loaded: the paravirtual clock's page is to be written anew
 * @inject_*: what the loaded state left undelivered
 */
struct soft_vcpu {
	struct vcpu base;
	struct softcpu cpu;
	bool refresh_clock;
	bool inject_exception;
	bool inject_interrupt;
	uint8_t inject_vector;
};

static struct soft_engine *soft_engine_from(struct engine *engine)
{
	return container_of(engine, struct soft_engine, base);
}

static struct soft_vcpu *soft_vcpu_from(struct vcpu *vcpu)
{
	return container_of(vcpu, struct soft_vcpu, base);
}

/* ------- guest memory ------- */

static void flush_all(struct soft_engine *engine)
{
	for (unsigned int i = 0; i < engine->base.env.cpus; i++) {
		if (engine->peers[i]) {
			soft_request(engine->peers[i], SOFT_REQUEST_FLUSH);
		}
	}
}

static struct soft_engine *engine_from_listener(struct guest_memory_listener *l)
{
	return container_of(l, struct soft_engine, listener);
}

static void on_slot(struct guest_memory_listener *l, const struct mem_slot *slot)
{
	(void)slot;
	flush_all(engine_from_listener(l));
}

static void on_tracking(struct guest_memory_listener *l, struct mem_region *region)
{
	(void)region;
	flush_all(engine_from_listener(l));
}

/* Direct writes of pages that were dirty go on until the CPU sees this; it then notes them. */
static void on_dirty_cleared(struct guest_memory_listener *l, struct mem_region *region,
			     uint64_t offset, uint64_t size)
{
	(void)region;
	(void)offset;
	(void)size;
	flush_all(engine_from_listener(l));
}

/* ------- the local APIC's CPU ------- */

/* A CPU that signals itself is awake. */
static void request(struct soft_vcpu *v, enum soft_request bits)
{
	if (pthread_equal(pthread_self(), v->base.thread)) {
		atomic_fetch_or(&v->cpu.requests, (uint32_t)bits);
	} else {
		soft_request(&v->cpu, bits);
	}
}

static void on_signal(void *opaque, enum lapic_signal signal, unsigned int arg)
{
	struct soft_vcpu *v = opaque;

	switch (signal) {
	case LAPIC_SIGNAL_INTERRUPT: request(v, SOFT_REQUEST_INTERRUPT); break;
	case LAPIC_SIGNAL_EXTINT: request(v, SOFT_REQUEST_EXTINT); break;
	case LAPIC_SIGNAL_NMI: request(v, SOFT_REQUEST_NMI); break;
	case LAPIC_SIGNAL_INIT: request(v, SOFT_REQUEST_INIT); break;
	case LAPIC_SIGNAL_SIPI:
		atomic_store(&v->cpu.sipi_vector, (uint8_t)arg);
		request(v, SOFT_REQUEST_SIPI);
		break;
	case LAPIC_SIGNAL_SMI: break;
	}
}

static void on_eoi(void *opaque, uint8_t vector)
{
	struct soft_vcpu *v = opaque;
	const struct engine_env *env = &v->base.engine->env;

	if (env->ioapic_eoi) {
		env->ioapic_eoi(env->opaque, vector);
	}
}

static const struct lapic_ops lapic_callbacks = { .signal = on_signal, .eoi = on_eoi };

static void deliver_message(struct msi_sink *sink, const struct msi_message *msg)
{
	struct engine *engine = container_of(sink, struct engine, msi);

	lapic_bus_message(soft_engine_from(engine)->bus, msg);
}

/* ------- life cycle ------- */

static int soft_create(struct engine *engine, struct error *err)
{
	struct soft_engine *se = soft_engine_from(engine);
	const struct engine_env *env = &engine->env;
	int ret;

	se->peers = calloc(env->cpus, sizeof(se->peers[0]));
	if (!se->peers) {
		return error_set(err, ENOMEM, "not enough memory for %u CPUs", env->cpus);
	}
	ret = lapic_bus_create(env->cpus, env->clock, env->model->tsc_hz, &se->bus, err);
	if (ret) {
		free(se->peers);
		return ret;
	}
	soft_shared_init(&se->shared);
	engine->msi.deliver = deliver_message;
	se->listener.slot_added = on_slot;
	se->listener.slot_removed = on_slot;
	se->listener.tracking_changed = on_tracking;
	se->listener.dirty_cleared = on_dirty_cleared;
	guest_memory_add_listener(env->memory, &se->listener);
	return 0;
}

static void soft_destroy(struct engine *engine)
{
	struct soft_engine *se = soft_engine_from(engine);

	guest_memory_remove_listener(engine->env.memory, &se->listener);
	lapic_bus_destroy(se->bus);
	soft_shared_finish(&se->shared);
	free(se->peers);
}

static int soft_vcpu_create(struct vcpu *vcpu, struct error *err)
{
	struct soft_engine *se = soft_engine_from(vcpu->engine);
	struct soft_vcpu *v = soft_vcpu_from(vcpu);
	struct softcpu *cpu = &v->cpu;
	int ret;

	cpu->env = &vcpu->engine->env;
	cpu->model = vcpu->engine->env.model;
	cpu->shared = &se->shared;
	cpu->index = vcpu->index;
	cpu->vcpu = vcpu;
	cpu->peers = se->peers;
	cpu->peer_count = vcpu->engine->env.cpus;
	cpu->lapic = lapic_bus_attach(se->bus, vcpu->index, &lapic_callbacks, v);
	if (!cpu->lapic) {
		return error_set(err, ENOMEM, "not enough memory for a local APIC");
	}
	ret = soft_cpu_init(cpu, err);
	if (ret) {
		lapic_bus_detach(se->bus, vcpu->index);
		return ret;
	}
	soft_msr_reset(cpu);
	se->peers[vcpu->index] = cpu;
	return 0;
}

static void soft_vcpu_destroy(struct vcpu *vcpu)
{
	struct soft_engine *se = soft_engine_from(vcpu->engine);

	lapic_bus_detach(se->bus, vcpu->index);
	se->peers[vcpu->index] = NULL;
	soft_cpu_finish(&soft_vcpu_from(vcpu)->cpu);
}

/* ------- running ------- */

/* What another engine had begun to deliver. False: a triple fault. */
static bool deliver_injected(struct soft_vcpu *v)
{
	struct softcpu *cpu = &v->cpu;
	volatile bool alive = true;

	soft_code_enter(cpu);
	cpu->op = NULL;
	cpu->synced = true;
	if (sigsetjmp(cpu->fault, 0)) {
		v->inject_exception = true;
	}
	if (v->inject_exception) {
		v->inject_exception = false;
		alive = soft_take_fault(cpu);
	} else if (v->inject_interrupt) {
		v->inject_interrupt = false;
		soft_deliver(cpu, v->inject_vector, false, 0, false, true);
	}
	soft_code_leave(cpu);
	return alive;
}

static void refresh_clock(struct softcpu *cpu)
{
	const uint64_t *system_time = soft_msr_slot(cpu, MSR_KVM_SYSTEM_TIME);

	if (system_time) {
		soft_pvclock_update(cpu, *system_time);
	}
}

static enum vcpu_exit soft_vcpu_run(struct vcpu *vcpu)
{
	struct soft_vcpu *v = soft_vcpu_from(vcpu);

	if (v->refresh_clock) {
		v->refresh_clock = false;
		refresh_clock(&v->cpu);
	}
	if ((v->inject_exception || v->inject_interrupt) && !deliver_injected(v)) {
		return VCPU_EXIT_TRIPLE_FAULT;
	}
	return soft_run(&v->cpu);
}

static void soft_vcpu_kick(struct vcpu *vcpu)
{
	soft_request(&soft_vcpu_from(vcpu)->cpu, SOFT_REQUEST_RETURN);
}

static void soft_set_extint(struct engine *engine, bool level)
{
	lapic_bus_set_extint(soft_engine_from(engine)->bus, level);
}

static void soft_nmi(struct vcpu *vcpu)
{
	soft_request(&soft_vcpu_from(vcpu)->cpu, SOFT_REQUEST_NMI);
}

static size_t soft_counters(struct vcpu *vcpu, struct engine_counter *ret_counters, size_t max)
{
	const struct softcpu *cpu = &soft_vcpu_from(vcpu)->cpu;
	const struct engine_counter all[] = {
		{ "instructions", cpu->instructions },
		{ "pauses", cpu->counters[SOFT_COUNTER_PAUSES] },
		{ "interrupts", cpu->counters[SOFT_COUNTER_INTERRUPTS] },
		{ "exceptions", cpu->counters[SOFT_COUNTER_EXCEPTIONS] },
		{ "halts", cpu->counters[SOFT_COUNTER_HALTS] },
	};
	size_t count = MIN(max, ARRAY_SIZE(all));

	memcpy(ret_counters, all, count * sizeof(all[0]));
	return count;
}

/* ------- state ------- */

static int soft_vcpu_save(struct vcpu *vcpu, struct error *err)
{
	struct soft_vcpu *v = soft_vcpu_from(vcpu);
	struct cpu_state *state = &vcpu->state;

	(void)err;
	soft_state_save(&v->cpu, state);
	state->exception_pending = v->inject_exception;
	state->exception_vector = v->cpu.fault_vector & 31;
	state->exception_has_error = v->cpu.fault_has_error;
	state->exception_error = v->cpu.fault_error;
	state->interrupt_pending = v->inject_interrupt;
	state->interrupt_vector = v->inject_vector;
	return 0;
}

static int soft_vcpu_load(struct vcpu *vcpu, struct error *err)
{
	struct soft_vcpu *v = soft_vcpu_from(vcpu);
	const struct cpu_state *state = &vcpu->state;
	int ret;

	lapic_bus_set_tsc_hz(soft_engine_from(vcpu->engine)->bus, v->cpu.model->tsc_hz);
	ret = soft_state_load(&v->cpu, state, err);
	if (ret) {
		return ret;
	}
	v->inject_exception = state->exception_pending;
	v->inject_interrupt = state->interrupt_pending && !state->exception_pending;
	v->inject_vector = state->interrupt_vector;
	v->cpu.fault_vector = state->exception_vector;
	v->cpu.fault_has_error = state->exception_has_error;
	v->cpu.fault_error = state->exception_error;
	v->refresh_clock = true;
	return 0;
}

const struct engine_ops soft_engine_ops = {
	.name = "soft",
	.engine_size = sizeof(struct soft_engine),
	.vcpu_size = sizeof(struct soft_vcpu),
	.probe = soft_probe,
	.create = soft_create,
	.destroy = soft_destroy,
	.vcpu_create = soft_vcpu_create,
	.vcpu_destroy = soft_vcpu_destroy,
	.vcpu_run = soft_vcpu_run,
	.vcpu_kick = soft_vcpu_kick,
	.vcpu_save = soft_vcpu_save,
	.vcpu_load = soft_vcpu_load,
	.set_extint = soft_set_extint,
	.nmi = soft_nmi,
	.counters = soft_counters,
};
