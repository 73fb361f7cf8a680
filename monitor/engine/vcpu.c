/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPUs' threads. Each runs its engine's vcpu_run() until somebody wants something else, and
 * then parks.
 *
 * What is wanted of all of them (run, pause, end) is one word, guarded by the group's mutex. To
 * change it, the main thread writes it, raises each vCPU's return flag, kicks each once and waits
 * until all have parked. A kick is never lost, by the contract of vcpu_kick(): it also ends a run
 * that has not begun yet. So a vCPU that is in a device's handler at that moment finishes the
 * handler, finds its next run ended at once, and parks. Waiting holds no lock that a handler
 * could want, but a handler must not wait for the main thread's loop: nothing would run it.
 *
 * After a triple fault or a failure a vCPU stays parked, whatever is wanted, until it is reset.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"
#include "engine/cpu_model.h"
#include "engine/engines.h"

enum vcpus_wanted {
	VCPUS_PAUSE,
	VCPUS_RUN,
	VCPUS_END,
};

/**
 * struct vcpu_group - the threads of one engine
 * @mutex: guards every member, and those of struct vcpu_run that are not atomic
 * @wake: @wanted has changed, or a vCPU was reset
 * @parked: some vCPU has parked
 * @resumed: the main thread's: the last of resume and pause was resume
 */
struct vcpu_group {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_cond_t parked;
	enum vcpus_wanted wanted;
	bool resumed;
};

/**
 * struct vcpu_run - a vCPU's thread; lives as long as the vCPU, so that it can be kicked in any
 * moment
 * @stuck: it cannot go on before it is reset
 * @should_return: what vcpu_should_return() answers
 * @tid: the thread, 0 while there is none
 */
struct vcpu_run {
	struct vcpu_group *group;
	bool parked;
	bool stuck;
	bool start_failed;
	bool joinable;
	_Atomic bool should_return;
	_Atomic pid_t tid;
};

static void on_kick_signal(int signal)
{
	(void)signal;
}

/* The same for every machine of the process, so doing it again does no harm. */
static void install_kick_signal(void)
{
	struct sigaction action = { .sa_handler = on_kick_signal, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(VCPU_KICK_SIGNAL, &action, NULL);
}

static void open_kick_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void vcpu_signal(struct vcpu *vcpu)
{
	struct vcpu_run *run = vcpu->run;

	pid_t tid = run ? atomic_load(&run->tid) : 0;

	/* Not pthread_kill(): the thread may be ending, and a number is safe to use then. */
	if (tid) {
		tgkill(getpid(), tid, VCPU_KICK_SIGNAL);
	}
}

bool vcpu_should_return(struct vcpu *vcpu)
{
	struct vcpu_run *run = vcpu->run;

	return run && atomic_load_explicit(&run->should_return, memory_order_relaxed);
}

/* ------- the vCPU's own thread ------- */

static void report(struct vcpu *vcpu, enum vcpu_exit exit)
{
	const struct engine_env *env = &vcpu->engine->env;

	if (!env->event) {
		return;
	}
	if (exit == VCPU_EXIT_TRIPLE_FAULT) {
		env->event(env->opaque, vcpu, ENGINE_EVENT_TRIPLE_FAULT, "triple fault");
	} else {
		env->event(env->opaque, vcpu, ENGINE_EVENT_FAILED, vcpu->error.text);
	}
}

static void park_locked(struct vcpu_run *run)
{
	struct vcpu_group *group = run->group;

	while (group->wanted == VCPUS_PAUSE || (run->stuck && group->wanted != VCPUS_END)) {
		run->parked = true;
		pthread_cond_broadcast(&group->parked);
		pthread_cond_wait(&group->wake, &group->mutex);
	}
	run->parked = false;
}

static void run_until_ended(struct vcpu *vcpu)
{
	struct vcpu_run *run = vcpu->run;
	struct vcpu_group *group = run->group;

	pthread_mutex_lock(&group->mutex);
	for (;;) {
		enum vcpu_exit exit;

		park_locked(run);
		if (group->wanted == VCPUS_END) {
			break;
		}
		pthread_mutex_unlock(&group->mutex);
		exit = vcpu->engine->ops->vcpu_run(vcpu);
		if (exit != VCPU_EXIT_KICKED) {
			report(vcpu, exit);
		}
		pthread_mutex_lock(&group->mutex);
		run->stuck = exit != VCPU_EXIT_KICKED;
	}
	pthread_mutex_unlock(&group->mutex);
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vcpu_run *run = vcpu->run;
	const struct engine_ops *ops = vcpu->engine->ops;
	int ret = 0;

	open_kick_signal();
	atomic_store(&run->tid, gettid());
	if (ops->vcpu_start) {
		ret = ops->vcpu_start(vcpu);
	}
	if (ret) {
		error_set(&vcpu->error, -ret, "virtual CPU %u does not start: %s", vcpu->index,
			  strerror(-ret));
		pthread_mutex_lock(&run->group->mutex);
		run->stuck = true;
		run->start_failed = true;
		pthread_mutex_unlock(&run->group->mutex);
	}
	run_until_ended(vcpu);
	if (ret == 0 && ops->vcpu_stop) {
		ops->vcpu_stop(vcpu);
	}
	atomic_store(&run->tid, 0);
	return NULL;
}

/* ------- the main thread ------- */

static struct vcpu_run *run_of(struct engine *engine, unsigned int index)
{
	return engine->vcpus[index]->run;
}

static struct vcpu_group *group_of(struct engine *engine)
{
	return run_of(engine, 0)->group;
}

static void vcpus_free(struct engine *engine, struct vcpu_group *group)
{
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		free(engine->vcpus[i]->run);
		engine->vcpus[i]->run = NULL;
	}
	pthread_cond_destroy(&group->wake);
	pthread_cond_destroy(&group->parked);
	pthread_mutex_destroy(&group->mutex);
	free(group);
}

int vcpus_prepare(struct engine *engine)
{
	struct vcpu_group *group = calloc(1, sizeof(*group));

	if (!group) {
		return -ENOMEM;
	}
	pthread_mutex_init(&group->mutex, NULL);
	pthread_cond_init(&group->wake, NULL);
	pthread_cond_init(&group->parked, NULL);
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		struct vcpu_run *run = calloc(1, sizeof(*run));

		if (!run) {
			vcpus_free(engine, group);
			return -ENOMEM;
		}
		run->group = group;
		engine->vcpus[i]->run = run;
	}
	return 0;
}

void vcpus_release(struct engine *engine)
{
	if (engine->vcpus[0]->run) {
		vcpus_free(engine, group_of(engine));
	}
}

static int wait_until_started(struct engine *engine, struct vcpu_group *group, struct error *err)
{
	int ret = 0;

	pthread_mutex_lock(&group->mutex);
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		while (!run_of(engine, i)->parked) {
			pthread_cond_wait(&group->parked, &group->mutex);
		}
		if (run_of(engine, i)->start_failed && ret == 0) {
			const struct error *why = &engine->vcpus[i]->error;

			ret = error_set(err, why->code, "%s", why->text);
		}
	}
	pthread_mutex_unlock(&group->mutex);
	return ret;
}

static int start_thread(struct vcpu *vcpu, struct error *err)
{
	struct vcpu_run *run = vcpu->run;
	char name[16];
	int ret;

	run->start_failed = false;
	snprintf(name, sizeof(name), "vcpu-%u", vcpu->index);
	ret = thread_start(name, vcpu_thread, vcpu, &vcpu->thread);
	if (ret) {
		return error_set(err, -ret, "cannot start the thread of virtual CPU %u: %s",
				 vcpu->index, strerror(-ret));
	}
	run->joinable = true;
	return 0;
}

void vcpus_stop(struct engine *engine)
{
	struct vcpu_group *group = group_of(engine);

	pthread_mutex_lock(&group->mutex);
	group->wanted = VCPUS_END;
	pthread_cond_broadcast(&group->wake);
	pthread_mutex_unlock(&group->mutex);
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		atomic_store(&run_of(engine, i)->should_return, true);
		if (run_of(engine, i)->joinable) {
			engine->ops->vcpu_kick(engine->vcpus[i]);
		}
	}
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		struct vcpu_run *run = run_of(engine, i);

		if (run->joinable) {
			pthread_join(engine->vcpus[i]->thread, NULL);
			run->joinable = false;
			run->parked = false;
		}
	}
}

int vcpus_start(struct engine *engine, struct error *err)
{
	struct vcpu_group *group = group_of(engine);
	int ret = 0;

	group->wanted = VCPUS_PAUSE;
	install_kick_signal();
	for (unsigned int i = 0; i < engine->vcpu_count && ret == 0; i++) {
		ret = start_thread(engine->vcpus[i], err);
	}
	if (ret == 0) {
		ret = wait_until_started(engine, group, err);
	}
	if (ret) {
		vcpus_stop(engine);
	}
	return ret;
}

void vcpus_resume(struct engine *engine)
{
	struct vcpu_group *group = group_of(engine);

	if (!group->resumed && engine->ops->resuming) {
		engine->ops->resuming(engine);
	}
	group->resumed = true;
	pthread_mutex_lock(&group->mutex);
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		atomic_store(&run_of(engine, i)->should_return, false);
	}
	group->wanted = VCPUS_RUN;
	pthread_cond_broadcast(&group->wake);
	pthread_mutex_unlock(&group->mutex);
}

void vcpus_pause(struct engine *engine)
{
	struct vcpu_group *group = group_of(engine);

	pthread_mutex_lock(&group->mutex);
	group->wanted = VCPUS_PAUSE;
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		atomic_store(&run_of(engine, i)->should_return, true);
		if (!run_of(engine, i)->parked) {
			engine->ops->vcpu_kick(engine->vcpus[i]);
		}
	}
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		while (run_of(engine, i)->joinable && !run_of(engine, i)->parked) {
			pthread_cond_wait(&group->parked, &group->mutex);
		}
	}
	pthread_mutex_unlock(&group->mutex);
	if (group->resumed && engine->ops->paused) {
		engine->ops->paused(engine);
	}
	group->resumed = false;
}

/* They have a new state, in which they can run. */
static void unstick(struct engine *engine)
{
	struct vcpu_group *group = group_of(engine);

	pthread_mutex_lock(&group->mutex);
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		run_of(engine, i)->stuck = false;
	}
	pthread_cond_broadcast(&group->wake);
	pthread_mutex_unlock(&group->mutex);
}

/* Family, model and stepping: what EDX holds after a reset. */
static uint32_t cpu_version(const struct cpu_model *model)
{
	for (unsigned int i = 0; model && i < model->leaf_count; i++) {
		if (model->leaves[i].leaf == 1) {
			return model->leaves[i].eax;
		}
	}
	return 0;
}

int vcpus_reset(struct engine *engine, struct error *err)
{
	uint32_t version = cpu_version(engine->env.model);

	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		struct vcpu *vcpu = engine->vcpus[i];
		int ret;

		cpu_state_reset(&vcpu->state, i, version);
		ret = engine->ops->vcpu_load(vcpu, err);
		if (ret) {
			return ret;
		}
	}
	unstick(engine);
	return 0;
}

int vcpus_save(struct engine *engine, struct error *err)
{
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		int ret = engine->ops->vcpu_save(engine->vcpus[i], err);

		if (ret) {
			error_prefix(err, "virtual CPU %u", i);
			return ret;
		}
	}
	return 0;
}

int vcpus_load(struct engine *engine, struct error *err)
{
	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		int ret = engine->ops->vcpu_load(engine->vcpus[i], err);

		if (ret) {
			error_prefix(err, "virtual CPU %u", i);
			return ret;
		}
	}
	unstick(engine);
	return 0;
}
