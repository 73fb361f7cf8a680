/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vCPUs' threads on an engine that only counts, and the choice of an engine. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/engines.h"

#define CPUS 4

/** struct fake_vcpu - what a test lets it do, and what happened to it. */
struct fake_vcpu {
	struct vcpu vcpu;
	_Atomic bool kicked;
	_Atomic unsigned long runs;
	_Atomic bool inside;
	_Atomic bool in_handler;
	_Atomic unsigned int
		handler_ms; /* the next run is a device's handler that takes this long */
	_Atomic int next_exit;		 /* an enum vcpu_exit + 1 */
	unsigned int starts, stops, loads, saves;
	char thread_name[16];
};

/** struct fake_engine - counts of what was made, which tests look at after it is gone. */
struct fake_engine {
	struct engine engine;
};

struct events {
	_Atomic unsigned int triple_faults;
	_Atomic unsigned int failures;
	char text[64];
};

static struct {
	int engines, vcpus, refuse_vcpu, refuse_start;
} fake;

static struct fake_vcpu *fake_from(struct vcpu *vcpu)
{
	return container_of(vcpu, struct fake_vcpu, vcpu);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static int fake_create(struct engine *engine, struct error *err)
{
	(void)engine;
	(void)err;
	fake.engines++;
	return 0;
}

static void fake_destroy(struct engine *engine)
{
	assert_int_equal(engine->vcpu_count, 0);
	fake.engines--;
}

static int fake_vcpu_create(struct vcpu *vcpu, struct error *err)
{
	if ((int)vcpu->index == fake.refuse_vcpu) {
		return error_set(err, EBUSY, "no vCPU %u", vcpu->index);
	}
	assert_int_equal((uintptr_t)vcpu % 64, 0);
	fake.vcpus++;
	return 0;
}

static void fake_vcpu_destroy(struct vcpu *vcpu)
{
	(void)vcpu;
	fake.vcpus--;
}

static int fake_vcpu_start(struct vcpu *vcpu)
{
	struct fake_vcpu *f = fake_from(vcpu);

	if ((int)vcpu->index == fake.refuse_start) {
		return -EPERM;
	}
	f->starts++;
	return 0;
}

static void fake_vcpu_stop(struct vcpu *vcpu)
{
	fake_from(vcpu)->stops++;
}

static enum vcpu_exit fake_vcpu_run(struct vcpu *vcpu)
{
	struct fake_vcpu *f = fake_from(vcpu);
	unsigned int ms = atomic_exchange(&f->handler_ms, 0);
	int exit;

	pthread_getname_np(pthread_self(), f->thread_name, sizeof(f->thread_name));
	atomic_store(&f->inside, true);
	atomic_fetch_add(&f->runs, 1);
	if (ms) {
		atomic_store(&f->in_handler, true);
		sleep_ms(ms);
		atomic_store(&f->in_handler, false);
	}
	while (!atomic_exchange(&f->kicked, false)) {
		exit = atomic_exchange(&f->next_exit, 0);
		if (exit) {
			snprintf(vcpu->error.text, sizeof(vcpu->error.text), "it broke");
			atomic_store(&f->inside, false);
			return (enum vcpu_exit)(exit - 1);
		}
		usleep(50);
	}
	atomic_store(&f->inside, false);
	return VCPU_EXIT_KICKED;
}

static void fake_vcpu_kick(struct vcpu *vcpu)
{
	atomic_store(&fake_from(vcpu)->kicked, true);
	vcpu_signal(vcpu);
}

static int fake_vcpu_save(struct vcpu *vcpu, struct error *err)
{
	(void)err;
	assert_false(fake_from(vcpu)->inside);
	fake_from(vcpu)->saves++;
	return 0;
}

static int fake_vcpu_load(struct vcpu *vcpu, struct error *err)
{
	(void)err;
	assert_false(fake_from(vcpu)->inside);
	fake_from(vcpu)->loads++;
	return 0;
}

static const struct engine_ops fake_ops = {
	.name = "fake",
	.engine_size = sizeof(struct fake_engine),
	.vcpu_size = sizeof(struct fake_vcpu),
	.create = fake_create,
	.destroy = fake_destroy,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu_destroy,
	.vcpu_start = fake_vcpu_start,
	.vcpu_stop = fake_vcpu_stop,
	.vcpu_run = fake_vcpu_run,
	.vcpu_kick = fake_vcpu_kick,
	.vcpu_save = fake_vcpu_save,
	.vcpu_load = fake_vcpu_load,
};

static void on_event(void *opaque, struct vcpu *vcpu, enum engine_event event, const char *text)
{
	struct events *events = opaque;

	(void)vcpu;
	if (event == ENGINE_EVENT_TRIPLE_FAULT) {
		atomic_fetch_add(&events->triple_faults, 1);
	} else {
		snprintf(events->text, sizeof(events->text), "%s", text);
		atomic_fetch_add(&events->failures, 1);
	}
}

static struct engine *make_engine(struct events *events)
{
	struct engine_env env = { .cpus = CPUS, .event = on_event, .opaque = events };
	struct engine *engine = NULL;
	struct error err = { 0 };

	fake.refuse_vcpu = -1;
	fake.refuse_start = -1;
	assert_int_equal(engine_create(&fake_ops, &env, &engine, &err), 0);
	return engine;
}

static struct fake_vcpu *vcpu_at(struct engine *engine, unsigned int index)
{
	return fake_from(engine->vcpus[index]);
}

static void wait_for(_Atomic bool *flag, bool value)
{
	for (int i = 0; i < 5000 && atomic_load(flag) != value; i++) {
		sleep_ms(1);
	}
	assert_int_equal(atomic_load(flag), value);
}

static void test_life(void **state)
{
	struct events events = { 0 };
	struct error err = { 0 };
	struct engine *engine = make_engine(&events);

	(void)state;
	assert_int_equal(fake.vcpus, CPUS);
	assert_int_equal(vcpu_at(engine, 1)->loads, 1);
	assert_int_equal(vcpu_at(engine, 1)->vcpu.state.mp_state, CPU_MP_WAIT_INIT);
	assert_int_equal(vcpu_at(engine, 0)->vcpu.state.mp_state, CPU_MP_RUNNING);
	/* Without threads, these are nothing to wait for. */
	vcpus_pause(engine);
	vcpus_stop(engine);

	assert_int_equal(vcpus_start(engine, &err), 0);
	assert_int_equal(atomic_load(&vcpu_at(engine, 3)->runs), 0);
	vcpus_resume(engine);
	for (unsigned int i = 0; i < CPUS; i++) {
		wait_for(&vcpu_at(engine, i)->inside, true);
		assert_false(vcpu_should_return(&vcpu_at(engine, i)->vcpu));
	}
	assert_string_equal(vcpu_at(engine, 3)->thread_name, "vcpu-3");
	vcpus_pause(engine);
	assert_true(vcpu_should_return(&vcpu_at(engine, 0)->vcpu));
	assert_int_equal(vcpus_save(engine, &err), 0);
	assert_int_equal(vcpus_load(engine, &err), 0);
	assert_int_equal(vcpus_reset(engine, &err), 0);
	assert_int_equal(vcpu_at(engine, 2)->loads, 3);
	vcpus_stop(engine);
	assert_int_equal(vcpu_at(engine, 2)->starts, 1);
	assert_int_equal(vcpu_at(engine, 2)->stops, 1);
	/* And again. */
	assert_int_equal(vcpus_start(engine, &err), 0);
	vcpus_resume(engine);
	wait_for(&vcpu_at(engine, 0)->inside, true);
	engine_destroy(engine);
	assert_int_equal(fake.vcpus, 0);
	assert_int_equal(fake.engines, 0);
	engine_destroy(NULL);
}

static void test_pause_storm(void **state)
{
	struct events events = { 0 };
	struct error err = { 0 };
	struct engine *engine = make_engine(&events);

	(void)state;
	assert_int_equal(vcpus_start(engine, &err), 0);
	for (int i = 0; i < 1000; i++) {
		vcpus_resume(engine);
		if (i % 7 == 0) {
			usleep((useconds_t)(i % 100));
		}
		vcpus_pause(engine);
		for (unsigned int n = 0; n < CPUS; n++) {
			assert_false(atomic_load(&vcpu_at(engine, n)->inside));
		}
	}
	engine_destroy(engine);
}

static void test_pause_in_handler(void **state)
{
	struct events events = { 0 };
	struct error err = { 0 };
	struct engine *engine = make_engine(&events);
	struct fake_vcpu *busy = vcpu_at(engine, 1);

	(void)state;
	atomic_store(&busy->handler_ms, 60);
	assert_int_equal(vcpus_start(engine, &err), 0);
	vcpus_resume(engine);
	wait_for(&busy->in_handler, true);
	vcpus_pause(engine);
	assert_false(atomic_load(&busy->in_handler));
	assert_false(atomic_load(&busy->inside));
	/* A kick of its own, while all run, only makes it come round. */
	vcpus_resume(engine);
	wait_for(&busy->inside, true);
	fake_vcpu_kick(&busy->vcpu);
	sleep_ms(5);
	wait_for(&busy->inside, true);
	engine_destroy(engine);
}

static void test_events(void **state)
{
	struct events events = { 0 };
	struct error err = { 0 };
	struct engine *engine = make_engine(&events);
	unsigned long runs;

	(void)state;
	assert_int_equal(vcpus_start(engine, &err), 0);
	atomic_store(&vcpu_at(engine, 0)->next_exit, VCPU_EXIT_TRIPLE_FAULT + 1);
	vcpus_resume(engine);
	for (int i = 0; i < 2000 && !atomic_load(&events.triple_faults); i++) {
		sleep_ms(1);
	}
	assert_int_equal(atomic_load(&events.triple_faults), 1);
	/* It stays where it is until it is reset, however often it is resumed. */
	runs = atomic_load(&vcpu_at(engine, 0)->runs);
	vcpus_pause(engine);
	vcpus_resume(engine);
	sleep_ms(5);
	assert_int_equal(atomic_load(&vcpu_at(engine, 0)->runs), runs);
	vcpus_pause(engine);
	assert_int_equal(vcpus_reset(engine, &err), 0);
	atomic_store(&vcpu_at(engine, 2)->next_exit, VCPU_EXIT_FAILED + 1);
	vcpus_resume(engine);
	for (int i = 0; i < 2000 && !atomic_load(&events.failures); i++) {
		sleep_ms(1);
	}
	assert_int_equal(atomic_load(&events.failures), 1);
	assert_string_equal(events.text, "it broke");
	wait_for(&vcpu_at(engine, 0)->inside, true);
	engine_destroy(engine);
}

static void test_refusals(void **state)
{
	struct events events = { 0 };
	struct engine_env env = { .cpus = CPUS };
	struct error err = { 0 };
	struct engine *engine = NULL;

	(void)state;
	fake.refuse_vcpu = 2;
	assert_int_equal(engine_create(&fake_ops, &env, &engine, &err), -EBUSY);
	assert_null(engine);
	assert_string_equal(err.text, "no vCPU 2");
	assert_int_equal(fake.vcpus, 0);
	assert_int_equal(fake.engines, 0);
	env.cpus = 0;
	assert_int_equal(engine_create(&fake_ops, &env, &engine, &err), -EINVAL);

	engine = make_engine(&events);
	fake.refuse_start = 3;
	assert_int_equal(vcpus_start(engine, &err), -EPERM);
	assert_non_null(strstr(err.text, "3"));
	fake.refuse_start = -1;
	assert_int_equal(vcpus_reset(engine, &err), 0);
	assert_int_equal(vcpus_start(engine, &err), 0);
	engine_destroy(engine);
}

/* ------- the choice ------- */

#define DEFINE_PROBE(fn, can, speed)                                                         \
	static void fn(struct engine_report *ret_report)                                     \
	{                                                                                    \
		*ret_report = (struct engine_report){ .usable = (can), .mips = (speed) };    \
		snprintf(ret_report->reason, sizeof(ret_report->reason), "because of " #fn); \
	}
DEFINE_PROBE(probe_fast, true, 3000)
DEFINE_PROBE(probe_slow, true, 4)
DEFINE_PROBE(probe_none, false, 0)
DEFINE_PROBE(probe_soft, true, 45)

static const struct engine_ops fast_ops = { .name = "fast", .probe = probe_fast };
static const struct engine_ops slow_ops = { .name = "slow", .probe = probe_slow };
static const struct engine_ops none_ops = { .name = "none", .probe = probe_none };
static const struct engine_ops soft_ops = { .name = "soft", .probe = probe_soft };
static const struct engine_ops no_soft_ops = { .name = "soft", .probe = probe_none };

static void test_choice(void **state)
{
	const struct engine_ops *good[] = { &none_ops, &fast_ops, &soft_ops, NULL };
	const struct engine_ops *nested[] = { &slow_ops, &none_ops, &soft_ops, NULL };
	const struct engine_ops *alone[] = { &slow_ops, &no_soft_ops, NULL };
	const struct engine_ops *nothing[] = { &none_ops, &no_soft_ops, NULL };
	struct error err = { 0 };
	char remark[256];

	(void)state;
	assert_ptr_equal(engine_choose(good, &soft_ops, remark, &err), &fast_ops);
	assert_string_equal(remark, "");
	assert_ptr_equal(engine_choose(nested, &soft_ops, remark, &err), &soft_ops);
	assert_non_null(strstr(remark, "slow is passed over"));
	assert_ptr_equal(engine_choose(alone, &no_soft_ops, remark, &err), &slow_ops);
	assert_string_equal(remark, "");
	assert_null(engine_choose(nothing, &no_soft_ops, remark, &err));
	assert_int_equal(err.code, ENOTSUP);
}

static void test_names(void **state)
{
	struct error err = { 0 };
	char remark[256] = "x";

	(void)state;
	assert_null(engine_select("xen", remark, &err));
	assert_non_null(strstr(err.text, "xen"));
	assert_string_equal(remark, "");
	assert_non_null(engine_find("driver"));
	assert_null(engine_select("driver", remark, &err));
	assert_int_equal(err.code, ENOTSUP);
	assert_non_null(strstr(err.text, "limen.ko"));
}

/* ------- the neutral state ------- */

static void test_cpu_state(void **state)
{
	static struct cpu_state cpu;
	struct error err = { 0 };

	(void)state;
	cpu_state_reset(&cpu, 0, 0x12345);
	assert_int_equal(cpu.gpr[CPU_RDX], 0x12345);
	assert_int_equal(cpu.seg[CPU_CS].base + cpu.rip, 0xfffffff0);
	assert_int_equal(cpu.apic_base, 0xfee00900);
	assert_int_equal(cpu_state_table.post_load(&cpu, &err), 0);
	cpu.msr_count = CPU_MSR_MAX + 1;
	assert_int_equal(cpu_state_table.post_load(&cpu, &err), -EINVAL);
	cpu_state_reset(&cpu, 1, 0);
	assert_int_equal(cpu.apic_base, 0xfee00800);
	assert_int_equal(load_le32(cpu.lapic + 0x20), 1 << 24);
	cpu.mp_state = 17;
	assert_int_equal(cpu_state_table.post_load(&cpu, &err), -EINVAL);
	cpu_state_reset(&cpu, 1, 0);
	cpu.rflags = 0;
	assert_int_equal(cpu_state_table.post_load(&cpu, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),	 cmocka_unit_test(test_pause_storm),
		cmocka_unit_test(test_pause_in_handler), cmocka_unit_test(test_events),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_choice),
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_cpu_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
