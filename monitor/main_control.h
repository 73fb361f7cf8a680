/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MAIN_CONTROL_H
#define LIMEN_MAIN_CONTROL_H

/*
 * The control socket of a running machine: binds control/ to machine/ and state/.
 */

#include "machine/machine.h"

struct main_control;

/** main_control_create() - listen at @path for commands to @machine. */
int main_control_create(struct machine *machine, struct event_loop *loop, const char *path,
			struct main_control **ret_control, struct error *err);
void main_control_destroy(struct main_control *control);

/** main_control_event() - tell clients what has happened; NULL @control: nobody listens. */
void main_control_event(struct main_control *control, enum machine_event event, bool guest);

#endif
