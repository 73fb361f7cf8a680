/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the control socket's commands do to the machine: thin functions from control/'s vtable to
 * machine/, display/ and state/. All but screendump run on the main thread.
 */

#include "main_control.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/control.h"
#include "state/machine_state.h"

#define COUNTERS_MAX 64

struct main_control {
	struct machine *machine;
	struct control_server *server;
	struct control_target target;
};

static const char *target_status(void *opaque)
{
	struct main_control *control = opaque;

	switch (machine_status(control->machine)) {
	case MACHINE_PRELAUNCH: return "prelaunch";
	case MACHINE_RUNNING: return "running";
	case MACHINE_PAUSED: return "paused";
	case MACHINE_SUSPENDED: return "suspended";
	case MACHINE_SHUTDOWN:
		return machine_failure(control->machine) ? "internal-error" : "shutdown";
	}
	return "internal-error";
}

static int target_pause(void *opaque, struct error *err)
{
	struct main_control *control = opaque;

	(void)err;
	machine_pause(control->machine);
	return 0;
}

static int target_resume(void *opaque, struct error *err)
{
	struct main_control *control = opaque;

	if (machine_status(control->machine) == MACHINE_SUSPENDED) {
		return error_set(err, EBUSY, "the guest sleeps; wake it with system_wakeup");
	}
	machine_resume(control->machine);
	return 0;
}

static int target_reset(void *opaque, struct error *err)
{
	struct main_control *control = opaque;
	int ret = machine_reset(control->machine, err);

	if (ret == 0) {
		control_server_event(control->server, CONTROL_EVENT_RESET, false,
				     "host-qmp-system-reset");
	}
	return ret;
}

static int target_powerdown(void *opaque, struct error *err)
{
	struct main_control *control = opaque;

	(void)err;
	machine_power_button(control->machine);
	return 0;
}

static int target_wakeup(void *opaque, struct error *err)
{
	struct main_control *control = opaque;

	if (machine_status(control->machine) != MACHINE_SUSPENDED) {
		return error_set(err, EINVAL, "the guest does not sleep");
	}
	machine_wake(control->machine);
	return 0;
}

static void target_quit(void *opaque)
{
	struct main_control *control = opaque;

	control_server_event(control->server, CONTROL_EVENT_SHUTDOWN, false, "host-qmp-quit");
	machine_quit(control->machine, 0);
}

static int target_screendump(void *opaque, const char *file, struct error *err)
{
	struct main_control *control = opaque;

	return display_write_png(machine_display(control->machine), file, err);
}

static int target_save_state(void *opaque, const char *file, struct error *err)
{
	struct main_control *control = opaque;
	bool running = machine_status(control->machine) == MACHINE_RUNNING;
	int ret = machine_state_save(control->machine, file, err);

	if (ret < 0) {
		if (running) {
			machine_resume(control->machine);
		}
		return ret;
	}
	control_server_event(control->server, CONTROL_EVENT_SHUTDOWN, false, "host-qmp-quit");
	machine_quit(control->machine, 0);
	return 0;
}

static void target_counters(void *opaque, control_counter_fn fn, void *fn_opaque)
{
	struct main_control *control = opaque;
	struct engine *engine = machine_engine(control->machine);
	struct engine_counter counters[COUNTERS_MAX];

	for (unsigned int i = 0; i < engine->vcpu_count; i++) {
		size_t n = engine->ops->counters
				   ? engine->ops->counters(engine->vcpus[i], counters, COUNTERS_MAX)
				   : 0;

		for (size_t c = 0; c < n; c++) {
			char name[96];

			snprintf(name, sizeof(name), "cpu.%u.%s", i, counters[c].name);
			fn(fn_opaque, name, counters[c].value);
		}
	}
}

static void target_key(void *opaque, unsigned int code, bool down)
{
	struct main_control *control = opaque;

	input_key(machine_input(control->machine), code, down);
}

static void target_button(void *opaque, enum input_button button, bool down)
{
	struct main_control *control = opaque;

	input_button(machine_input(control->machine), button, down);
}

static void target_relative(void *opaque, int dx, int dy)
{
	struct main_control *control = opaque;

	input_relative(machine_input(control->machine), dx, dy);
}

static void target_absolute(void *opaque, unsigned int x, unsigned int y)
{
	struct main_control *control = opaque;

	input_absolute(machine_input(control->machine), x, y);
}

static void target_sync(void *opaque)
{
	struct main_control *control = opaque;

	input_sync(machine_input(control->machine));
}

static const struct control_target_ops target_ops = {
	.status = target_status,
	.pause = target_pause,
	.resume = target_resume,
	.reset = target_reset,
	.powerdown = target_powerdown,
	.wakeup = target_wakeup,
	.quit = target_quit,
	.screendump = target_screendump,
	.save_state = target_save_state,
	.counters = target_counters,
	.key = target_key,
	.button = target_button,
	.relative = target_relative,
	.absolute = target_absolute,
	.sync = target_sync,
};

int main_control_create(struct machine *machine, struct event_loop *loop, const char *path,
			struct main_control **ret_control, struct error *err)
{
	struct main_control *control = calloc(1, sizeof(*control));
	struct config_view root = config_view_at(machine_config(machine), "");
	int ret;

	if (!control) {
		return error_set(err, ENOMEM, "no memory for the control socket");
	}
	control->machine = machine;
	control->target = (struct control_target){
		.ops = &target_ops,
		.opaque = control,
		.name = config_get_string(&root, "name"),
		.config = machine_config(machine),
	};
	ret = control_server_create(path, loop, &control->target, &control->server, err);
	if (ret < 0) {
		free(control);
		return ret;
	}
	*ret_control = control;
	return 0;
}

void main_control_destroy(struct main_control *control)
{
	if (!control) {
		return;
	}
	control_server_destroy(control->server);
	free(control);
}

void main_control_event(struct main_control *control, enum machine_event event, bool guest)
{
	static const struct {
		enum control_event event;
		const char *guest_reason;
	} events[] = {
		[MACHINE_EVENT_STOP] = { CONTROL_EVENT_STOP, NULL },
		[MACHINE_EVENT_RESUME] = { CONTROL_EVENT_RESUME, NULL },
		[MACHINE_EVENT_RESET] = { CONTROL_EVENT_RESET, "guest-reset" },
		[MACHINE_EVENT_SHUTDOWN] = { CONTROL_EVENT_SHUTDOWN, "guest-shutdown" },
		[MACHINE_EVENT_POWERDOWN] = { CONTROL_EVENT_POWERDOWN, NULL },
		[MACHINE_EVENT_SUSPEND] = { CONTROL_EVENT_SUSPEND, NULL },
		[MACHINE_EVENT_WAKEUP] = { CONTROL_EVENT_WAKEUP, NULL },
		[MACHINE_EVENT_FAILED] = { CONTROL_EVENT_SHUTDOWN, "host-error" },
	};

	if (control) {
		control_server_event(control->server, events[event].event, guest,
				     events[event].guest_reason);
	}
}
