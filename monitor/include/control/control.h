/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_CONTROL_CONTROL_H
#define LIMEN_CONTROL_CONTROL_H

/*
 * The control socket: a UNIX stream socket that speaks QMP's framing (JSON objects; greeting,
 * qmp_capabilities, execute/arguments/id, events) and QMP's commands where QMP has one for the
 * thing. What it controls it knows by a vtable alone. The commands are listed in
 * docs/control-protocol.md.
 *
 * Everything here is called on the thread of the server's loop, and calls the target there, but for
 * what says otherwise.
 */

#include "base/config.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/types.h"
#include "display/input.h"

struct control_server;

/** control_counter_fn - takes one counter of the machine. */
typedef void (*control_counter_fn)(void *opaque, const char *name, uint64_t value);

/**
 * struct control_target_ops - what can be done with a machine
 *
 * Those that return int return 0 or -errno with @err. All are mandatory unless it says otherwise.
 *
 * @status: QMP's word for its state: "running", "paused", "suspended", "shutdown",
 *          "internal-error", "guest-panicked"
 * @pause, @resume: vCPUs, devices and clock; pausing a paused machine succeeds
 * @reset, @powerdown: press the button
 * @wakeup: from S3; optional
 * @quit: end the run with status 0, soon; the call returns
 * @screendump: write the screen to @file as PNG. On a worker thread
 * @save_state: write the machine to @file; then the run ends, soon. On failure the machine goes on
 *              as before
 * @set_config: change a key of a running machine that can be changed (a CD in its drive); optional
 * @counters: call @fn for each counter; optional
 * @key, @button, @relative, @absolute, @sync: input; see display/input.h
 */
struct control_target_ops {
	const char *(*status)(void *opaque);
	int (*pause)(void *opaque, struct error *err);
	int (*resume)(void *opaque, struct error *err);
	int (*reset)(void *opaque, struct error *err);
	int (*powerdown)(void *opaque, struct error *err);
	int (*wakeup)(void *opaque, struct error *err);
	void (*quit)(void *opaque);
	int (*screendump)(void *opaque, const char *file, struct error *err);
	int (*save_state)(void *opaque, const char *file, struct error *err);
	int (*set_config)(void *opaque, const char *key, const char *value, struct error *err);
	void (*counters)(void *opaque, control_counter_fn fn, void *fn_opaque);
	void (*key)(void *opaque, unsigned int code, bool down);
	void (*button)(void *opaque, enum input_button button, bool down);
	void (*relative)(void *opaque, int dx, int dy);
	void (*absolute)(void *opaque, unsigned int x, unsigned int y);
	void (*sync)(void *opaque);
};

/**
 * struct control_target - a machine, as the control socket sees it; outlives the server
 * @name: for query-name; may be NULL
 * @config: read by limen-config-get; may be NULL
 */
struct control_target {
	const struct control_target_ops *ops;
	void *opaque;
	const char *name;
	struct config_tree *config;
};

/**
 * control_server_create() - listen at @path
 *
 * The socket is the user's alone (mode 0600). One that is there already is replaced when nobody
 * listens to it; anything else in its place is an error.
 */
int control_server_create(const char *path, struct event_loop *loop,
			  const struct control_target *target, struct control_server **ret_server,
			  struct error *err);

/** control_server_destroy() - finish commands under way, say goodbye, remove the socket. NULL is
 *  allowed. */
void control_server_destroy(struct control_server *server);

enum control_event {
	CONTROL_EVENT_STOP,
	CONTROL_EVENT_RESUME,
	CONTROL_EVENT_RESET,
	CONTROL_EVENT_SHUTDOWN,
	CONTROL_EVENT_POWERDOWN,
	CONTROL_EVENT_SUSPEND,
	CONTROL_EVENT_WAKEUP,
	CONTROL_EVENT_GUEST_PANICKED,
};

/**
 * control_server_event() - tell every client
 * @server: NULL is allowed: nobody is told
 * @guest: RESET, SHUTDOWN: whether the guest caused it
 * @reason: RESET, SHUTDOWN: QMP's ShutdownCause ("guest-reset", "guest-shutdown", "host-qmp-quit",
 *          "host-qmp-system-reset", "host-signal", "host-error" ...). GUEST_PANICKED: the action,
 *          "pause" or "poweroff". Else NULL
 *
 * The commands stop, cont, system_reset, quit and system_powerdown do not send events by
 * themselves: the machine does, when the thing has happened.
 */
void control_server_event(struct control_server *server, enum control_event event, bool guest,
			  const char *reason);

#endif
