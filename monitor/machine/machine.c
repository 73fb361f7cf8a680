/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a machine: built, powered on, run, paused, reset, ended. Devices and vCPUs ask for a
 * reset or a shutdown from whatever thread they are on; that only sets a bit, and the main loop
 * does the work with all vCPUs paused, so that nobody is reset under his own feet.
 */

#include "machine/machine_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define CMOS_SHUTDOWN_STATUS 0x0f
#define CMOS_SHUTDOWN_S3_RESUME 0xfe

void machine_request(struct machine *machine, enum machine_request request)
{
	atomic_fetch_or(&machine->requests, request);
	event_loop_post(machine->loop, &machine->task);
}

static struct machine *machine_from_power(struct power_sink *sink)
{
	return container_of(sink, struct machine, power);
}

static void power_reset(struct power_sink *sink)
{
	machine_request(machine_from_power(sink), MACHINE_REQUEST_RESET);
}

static void power_shutdown(struct power_sink *sink)
{
	machine_request(machine_from_power(sink), MACHINE_REQUEST_SHUTDOWN);
}

static void power_suspend(struct power_sink *sink)
{
	machine_request(machine_from_power(sink), MACHINE_REQUEST_SUSPEND);
}

static void power_exit_status(struct power_sink *sink, int status)
{
	struct machine *machine = machine_from_power(sink);

	atomic_store(&machine->exit_request, status);
	machine_request(machine, MACHINE_REQUEST_EXIT);
}

static void emit(struct machine *machine, enum machine_event event, bool guest)
{
	if (machine->options.event) {
		machine->options.event(machine->options.opaque, event, guest);
	}
}

static void engine_event(void *opaque, struct vcpu *vcpu, enum engine_event event, const char *text)
{
	struct machine *machine = opaque;
	bool first = false;

	if (event == ENGINE_EVENT_TRIPLE_FAULT) {
		log_info(LOG_AREA_MACHINE, "CPU %u: triple fault", vcpu->index);
		machine_request(machine, MACHINE_REQUEST_RESET);
		return;
	}
	if (atomic_compare_exchange_strong(&machine->failure_set, &first, true)) {
		snprintf(machine->failure, sizeof(machine->failure), "CPU %u: %s", vcpu->index,
			 text);
		machine_request(machine, MACHINE_REQUEST_FAILED);
	}
}

static int engine_pic_intack(void *opaque)
{
	struct machine *machine = opaque;

	return pic_intack(machine->pic);
}

static void engine_ioapic_eoi(void *opaque, uint8_t vector)
{
	struct machine *machine = opaque;

	ioapic_eoi(machine->ioapic, vector);
}

static void serve_reset(struct machine *machine)
{
	struct error err = { 0 };

	if (machine->options.no_reboot) {
		emit(machine, MACHINE_EVENT_SHUTDOWN, true);
		machine_quit(machine, 0);
	} else if (machine_reset(machine, &err) < 0) {
		snprintf(machine->failure, sizeof(machine->failure), "%s", err.text);
		atomic_store(&machine->failure_set, true);
		machine_quit(machine, 1);
	} else {
		emit(machine, MACHINE_EVENT_RESET, true);
	}
}

/* On the main loop, whenever a request was made. */
static void serve_requests(void *opaque)
{
	struct machine *machine = opaque;
	unsigned int requests = atomic_exchange(&machine->requests, 0);

	if (requests & MACHINE_REQUEST_FAILED) {
		emit(machine, MACHINE_EVENT_FAILED, true);
		machine_quit(machine, 1);
	} else if (requests & MACHINE_REQUEST_EXIT) {
		machine_quit(machine, atomic_load(&machine->exit_request));
	} else if (requests & MACHINE_REQUEST_SHUTDOWN) {
		emit(machine, MACHINE_EVENT_SHUTDOWN, true);
		machine_quit(machine, 0);
	} else if (requests & MACHINE_REQUEST_RESET) {
		serve_reset(machine);
	} else if (requests & MACHINE_REQUEST_SUSPEND) {
		machine_pause(machine);
		machine->status = MACHINE_SUSPENDED;
		emit(machine, MACHINE_EVENT_SUSPEND, true);
	}
}

/* Engine and CPU model; the vCPUs exist but have no threads yet. */
static int create_engine(struct machine *machine, struct error *err)
{
	struct config_view root = config_view_at(machine->config, "");
	struct config_view cpu = config_view_at(machine->config, "cpu");
	unsigned int cpus = (unsigned int)config_get_int(&root, "cpus");
	struct engine_env env = {
		.ports = machine->ports,
		.mmio = machine->mmio,
		.memory = machine->memory,
		.clock = machine->clock,
		.model = &machine->model,
		.config = config_view_at(machine->config, "engine"),
		.cpus = cpus,
		.pic_intack = engine_pic_intack,
		.ioapic_eoi = engine_ioapic_eoi,
		.event = engine_event,
		.opaque = machine,
	};
	const struct engine_ops *ops;
	char remark[256];
	int ret;

	ops = engine_select(config_get_string(&root, "engine"), remark, err);
	if (!ops) {
		return err ? -err->code : -ENOTSUP;
	}
	if (remark[0]) {
		log_info(LOG_AREA_MACHINE, "%s", remark);
	}
	ret = cpu_model_build_for(&machine->model, ops->name, cpus, &cpu, err);
	if (ret < 0) {
		return ret;
	}
	return engine_create(ops, &env, &machine->engine, err);
}

static int create_memory(struct machine *machine, struct error *err)
{
	struct config_view root = config_view_at(machine->config, "");
	int ret;

	ret = memory_map_place(&machine->map, config_get_size(&root, "memory"), err);
	if (ret == 0) {
		ret = guest_memory_create(&machine->memory, err);
	}
	if (ret == 0) {
		ret = guest_memory_add_region(machine->memory, "ram",
					      machine->map.low + machine->map.high, 0,
					      &machine->ram, err);
	}
	if (ret == 0) {
		ret = io_space_create("port", KIB(64), &machine->ports, err);
	}
	if (ret == 0) {
		ret = io_space_create("memory", BIT(52), &machine->mmio, err);
	}
	if (ret == 0) {
		ret = machine_clock_create(machine->loop, &machine->clock, err);
	}
	return ret;
}

int machine_create(struct config_tree *config, struct event_loop *loop,
		   const struct machine_options *options, struct machine **ret_machine,
		   struct error *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	int ret;

	if (!machine) {
		return error_set(err, ENOMEM, "no memory for a machine");
	}
	machine->config = config;
	machine->loop = loop;
	machine->options = *options;
	machine->power = (struct power_sink){ power_reset, power_shutdown, power_suspend,
					      power_exit_status };
	machine->task = (struct event_task){ .fn = serve_requests, .opaque = machine };
	list_init(&machine->task.node);
	list_init(&machine->devices);
	ret = create_memory(machine, err);
	if (ret == 0) {
		ret = create_engine(machine, err);
	}
	if (ret == 0) {
		ret = display_create(&machine->display, err);
	}
	if (ret == 0) {
		ret = input_router_create(&machine->input, err);
	}
	if (ret == 0) {
		ret = board_create(machine, err);
	}
	if (ret == 0) {
		ret = board_add_devices(machine, err);
	}
	if (ret == 0) {
		ret = firmware_create(machine, err);
	}
	if (ret < 0) {
		machine_destroy(machine);
		return ret;
	}
	*ret_machine = machine;
	return 0;
}

/* Devices go in reverse order of creation; the back ends outlive them. */
static void destroy_devices(struct machine *machine)
{
	while (!list_empty(&machine->devices)) {
		struct list *last = machine->devices.prev;

		list_remove(last);
		device_destroy(container_of(last, struct device, node));
	}
}

static void destroy_backends(struct machine *machine)
{
	for (unsigned int i = 0; i < machine->block_count; i++) {
		block_close(machine->blocks[i]);
	}
	for (unsigned int i = 0; i < machine->net_count; i++) {
		net_backend_destroy(machine->nets[i]);
	}
	for (unsigned int i = 0; i < machine->char_count; i++) {
		char_backend_destroy(machine->chars[i]);
	}
	io_thread_destroy(machine->block_thread);
}

static int pause_device(void *opaque, struct device *dev)
{
	(void)opaque;
	return device_pause(dev);
}

static int resume_device(void *opaque, struct device *dev)
{
	(void)opaque;
	device_resume(dev);
	return 0;
}

void machine_destroy(struct machine *machine)
{
	if (!machine) {
		return;
	}
	if (machine->threads_started) {
		vcpus_stop(machine->engine);
		machine_for_each_device(machine, pause_device, NULL);
	}
	destroy_devices(machine);
	destroy_backends(machine);
	pci_bus_destroy(machine->pci);
	engine_destroy(machine->engine);
	acpi_free(machine->acpi);
	input_router_destroy(machine->input);
	display_destroy(machine->display);
	machine_clock_destroy(machine->clock);
	io_space_destroy(machine->mmio);
	io_space_destroy(machine->ports);
	guest_memory_destroy(machine->memory);
	event_loop_cancel(machine->loop, &machine->task);
	free(machine);
}

static int reset_device(void *opaque, struct device *dev)
{
	const enum reset_kind *kind = opaque;

	device_reset(dev, *kind);
	return 0;
}

/* Everything to its power-on state and the firmware or kernel in place; vCPUs paused. */
static int cold_reset(struct machine *machine, struct error *err)
{
	enum reset_kind kind = RESET_COLD;
	int ret;

	machine_for_each_device(machine, reset_device, &kind);
	ret = vcpus_reset(machine->engine, err);
	if (ret == 0) {
		ret = firmware_enter(machine, err);
	}
	/* A device in reset may have asked for something; that belongs to the life before. */
	atomic_store(&machine->requests, 0);
	return ret;
}

int machine_power_on(struct machine *machine, struct error *err)
{
	int ret;

	if (!machine->threads_started) {
		ret = vcpus_start(machine->engine, err);
		if (ret < 0) {
			return ret;
		}
		machine->threads_started = true;
	}
	return cold_reset(machine, err);
}

void machine_resume(struct machine *machine)
{
	if (machine->status == MACHINE_RUNNING || machine->status == MACHINE_SHUTDOWN ||
	    machine->status == MACHINE_SUSPENDED) {
		return;
	}
	machine_for_each_device(machine, resume_device, NULL);
	machine_clock_resume(machine->clock);
	vcpus_resume(machine->engine);
	if (machine->status == MACHINE_PAUSED) {
		emit(machine, MACHINE_EVENT_RESUME, false);
	}
	machine->status = MACHINE_RUNNING;
}

void machine_pause(struct machine *machine)
{
	if (machine->status != MACHINE_RUNNING) {
		return;
	}
	vcpus_pause(machine->engine);
	machine_clock_pause(machine->clock);
	machine->status = MACHINE_PAUSED;
	emit(machine, MACHINE_EVENT_STOP, false);
}

int machine_reset(struct machine *machine, struct error *err)
{
	bool running = machine->status == MACHINE_RUNNING;
	int ret;

	if (running) {
		vcpus_pause(machine->engine);
	}
	machine_for_each_device(machine, pause_device, NULL);
	ret = cold_reset(machine, err);
	machine_for_each_device(machine, resume_device, NULL);
	if (ret < 0) {
		return ret;
	}
	if (running) {
		vcpus_resume(machine->engine);
	} else if (machine->status == MACHINE_SUSPENDED) {
		machine->status = MACHINE_PAUSED;
		machine_resume(machine);
	}
	return 0;
}

void machine_power_button(struct machine *machine)
{
	emit(machine, MACHINE_EVENT_POWERDOWN, false);
	if (machine->status == MACHINE_SUSPENDED) {
		machine_wake(machine);
	} else {
		ich9_power_button(machine->lpc);
	}
}

void machine_wake(struct machine *machine)
{
	enum reset_kind kind = RESET_WAKE;
	struct error err = { 0 };

	if (machine->status != MACHINE_SUSPENDED) {
		return;
	}
	machine_for_each_device(machine, reset_device, &kind);
	rtc_cmos_write(machine->rtc, CMOS_SHUTDOWN_STATUS, CMOS_SHUTDOWN_S3_RESUME);
	if (vcpus_reset(machine->engine, &err) < 0) {
		log_error(LOG_AREA_MACHINE, "cannot wake: %s", err.text);
		return;
	}
	ich9_wake(machine->lpc, true);
	machine->status = MACHINE_PAUSED;
	machine_resume(machine);
	emit(machine, MACHINE_EVENT_WAKEUP, false);
}

void machine_nmi(struct machine *machine)
{
	for (unsigned int i = 0; i < machine->engine->vcpu_count; i++) {
		machine->engine->ops->nmi(machine->engine->vcpus[i]);
	}
}

void machine_quit(struct machine *machine, int status)
{
	machine->exit_status = status;
	if (machine->status == MACHINE_RUNNING) {
		vcpus_pause(machine->engine);
		machine_clock_pause(machine->clock);
	}
	machine->status = MACHINE_SHUTDOWN;
	event_loop_quit(machine->loop);
}

int machine_exit_status(const struct machine *machine)
{
	return machine->exit_status;
}

const char *machine_failure(const struct machine *machine)
{
	return atomic_load(&machine->failure_set) ? machine->failure : NULL;
}

enum machine_status machine_status(const struct machine *machine)
{
	return machine->status;
}

struct config_tree *machine_config(struct machine *machine)
{
	return machine->config;
}

struct engine *machine_engine(struct machine *machine)
{
	return machine->engine;
}

struct guest_memory *machine_memory(struct machine *machine)
{
	return machine->memory;
}

struct machine_clock *machine_clock_of(struct machine *machine)
{
	return machine->clock;
}

struct display *machine_display(struct machine *machine)
{
	return machine->display;
}

struct input_router *machine_input(struct machine *machine)
{
	return machine->input;
}

const struct cpu_model *machine_cpu_model(struct machine *machine)
{
	return &machine->model;
}

int machine_adopt_cpu_model(struct machine *machine, const struct cpu_model *saved,
			    struct error *err)
{
	return cpu_model_adopt(&machine->model, saved, err);
}

int machine_for_each_device(struct machine *machine, int (*fn)(void *opaque, struct device *dev),
			    void *opaque)
{
	list_for_each(node, &machine->devices)
	{
		int ret = fn(opaque, container_of(node, struct device, node));

		if (ret < 0) {
			return ret;
		}
	}
	return 0;
}

int machine_freeze(struct machine *machine, struct error *err)
{
	int ret;

	machine_pause(machine);
	ret = machine_for_each_device(machine, pause_device, NULL);
	if (ret < 0) {
		return error_set(err, -ret, "a device cannot be paused: %s", strerror(-ret));
	}
	return vcpus_save(machine->engine, err);
}

int machine_thaw(struct machine *machine, struct error *err)
{
	int ret = vcpus_load(machine->engine, err);

	machine_for_each_device(machine, resume_device, NULL);
	return ret;
}
