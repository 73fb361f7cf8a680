/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which engines there are, which one is used, and how an engine and its vCPUs come and go.
 *
 * `auto` takes the first engine that can be used, but does not trust in a name: a KVM that is
 * itself a guest of a hypervisor without nested virtualization may emulate each instruction of
 * ring 0, and be slower than the soft engine. So a probe measures, and an engine that is slower
 * than soft is passed over with a remark that says so.
 */

#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu_model.h"
#include "engine/engines.h"

/*
 * Faster than this, in million instructions a second, no software CPU needs to be measured
 * against.
 */
#define CERTAINLY_FAST_MIPS 500.0

#define REMARK_SIZE 256

/* An engine's structs may hold vector registers. */
#define ENGINE_ALIGNMENT 64

static const struct engine_ops *const engines[] = {
	&kvm_engine_ops,
	&driver_engine_ops,
	&soft_engine_ops,
	NULL,
};

const struct engine_ops *const *engine_all(void)
{
	return engines;
}

const struct engine_ops *engine_find(const char *name)
{
	for (const struct engine_ops *const *ops = engines; *ops; ops++) {
		if (strcmp((*ops)->name, name) == 0) {
			return *ops;
		}
	}
	return NULL;
}

static const struct engine_ops *select_named(const char *name, struct error *err)
{
	const struct engine_ops *ops = engine_find(name);
	struct engine_report report;

	if (!ops) {
		error_set(err, EINVAL, "unknown engine '%s': auto, kvm, driver or soft", name);
		return NULL;
	}
	ops->probe(&report);
	if (!report.usable) {
		error_set(err, ENOTSUP, "engine %s cannot be used: %s", name, report.reason);
		return NULL;
	}
	return ops;
}

const struct engine_ops *engine_choose(const struct engine_ops *const *all,
				       const struct engine_ops *reference, char *ret_remark,
				       struct error *err)
{
	struct engine_report soft = { .usable = false };
	struct engine_report report;
	bool soft_probed = false;

	ret_remark[0] = '\0';
	for (; *all; all++) {
		if (*all == reference && soft_probed) {
			report = soft;
		} else {
			(*all)->probe(&report);
		}
		if (!report.usable) {
			log_debug(LOG_AREA_ENGINE, "%s: %s", (*all)->name, report.reason);
			continue;
		}
		if (*all == reference || report.mips >= CERTAINLY_FAST_MIPS) {
			return *all;
		}
		if (!soft_probed) {
			reference->probe(&soft);
			soft_probed = true;
		}
		if (!soft.usable || report.mips >= soft.mips) {
			return *all;
		}
		snprintf(ret_remark, REMARK_SIZE,
			 "%s is passed over: it runs ring 0 at %.0f million instructions a second "
			 "here, "
			 "%s at %.0f",
			 (*all)->name, report.mips, reference->name, soft.mips);
	}
	error_set(err, ENOTSUP, "no engine can be used here; 'limen info' says why");
	return NULL;
}

const struct engine_ops *engine_select(const char *name, char *ret_remark, struct error *err)
{
	ret_remark[0] = '\0';
	if (strcmp(name, "auto") != 0) {
		return select_named(name, err);
	}
	return engine_choose(engines, &soft_engine_ops, ret_remark, err);
}

static void *zeroed(size_t size)
{
	void *p;

	size = ALIGN_UP(size, (size_t)ENGINE_ALIGNMENT);
	p = aligned_alloc(ENGINE_ALIGNMENT, size);
	if (p) {
		memset(p, 0, size);
	}
	return p;
}

static int create_vcpu(struct engine *engine, unsigned int index, struct error *err)
{
	struct vcpu *vcpu = zeroed(engine->ops->vcpu_size);
	int ret;

	if (!vcpu) {
		return error_set(err, ENOMEM, "not enough memory for a virtual CPU");
	}
	vcpu->engine = engine;
	vcpu->index = index;
	ret = engine->ops->vcpu_create(vcpu, err);
	if (ret) {
		free(vcpu);
		return ret;
	}
	engine->vcpus[engine->vcpu_count++] = vcpu;
	return 0;
}

static void destroy_vcpus(struct engine *engine)
{
	while (engine->vcpu_count > 0) {
		struct vcpu *vcpu = engine->vcpus[--engine->vcpu_count];

		engine->ops->vcpu_destroy(vcpu);
		free(vcpu);
	}
}

int engine_create(const struct engine_ops *ops, const struct engine_env *env,
		  struct engine **ret_engine, struct error *err)
{
	struct engine *engine;
	int ret;

	if (env->cpus == 0) {
		return error_set(err, EINVAL, "a machine needs at least one CPU");
	}
	engine = zeroed(ops->engine_size);
	if (!engine) {
		return error_set(err, ENOMEM, "not enough memory for engine %s", ops->name);
	}
	engine->ops = ops;
	engine->env = *env;
	engine->vcpus = calloc(env->cpus, sizeof(engine->vcpus[0]));
	if (!engine->vcpus) {
		ret = error_set(err, ENOMEM, "not enough memory for %u CPUs", env->cpus);
		goto out_free;
	}
	ret = ops->create(engine, err);
	if (ret) {
		goto out_free;
	}
	for (unsigned int i = 0; i < env->cpus; i++) {
		ret = create_vcpu(engine, i, err);
		if (ret) {
			goto out_destroy;
		}
	}
	ret = vcpus_prepare(engine);
	if (ret) {
		error_set(err, -ret, "not enough memory for the virtual CPUs' threads");
		goto out_destroy;
	}
	ret = vcpus_reset(engine, err);
	if (ret) {
		goto out_release;
	}
	*ret_engine = engine;
	return 0;

out_release:
	vcpus_release(engine);
out_destroy:
	destroy_vcpus(engine);
	ops->destroy(engine);
out_free:
	free(engine->vcpus);
	free(engine);
	return ret;
}

void engine_destroy(struct engine *engine)
{
	if (!engine) {
		return;
	}
	vcpus_stop(engine);
	vcpus_release(engine);
	destroy_vcpus(engine);
	engine->ops->destroy(engine);
	free(engine->vcpus);
	free(engine);
}
