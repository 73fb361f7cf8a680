/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys and pointers from the control socket: QMP's send-key and input-send-event. A list is checked
 * as a whole before any of it reaches the guest. Key numbers are the PC's scan codes (set 1), with
 * 0x80 added to those that follow a 0xe0.
 */

#include <linux/input-event-codes.h>

#include "control_priv.h"

#define KEYS_MAX 64
#define HOLD_MS_DEFAULT 100
#define HOLD_MS_MAX 10000
#define EVENTS_MAX 256

/* The keys whose scan code follows a 0xe0; the others' are their evdev codes. */
static const struct {
	uint8_t number;
	uint8_t code;
} extended_keys[] = {
	{ 0x1c, KEY_KPENTER },	  { 0x1d, KEY_RIGHTCTRL }, { 0x20, KEY_MUTE },
	{ 0x2e, KEY_VOLUMEDOWN }, { 0x30, KEY_VOLUMEUP },  { 0x35, KEY_KPSLASH },
	{ 0x37, KEY_SYSRQ },	  { 0x38, KEY_RIGHTALT },  { 0x47, KEY_HOME },
	{ 0x48, KEY_UP },	  { 0x49, KEY_PAGEUP },	   { 0x4b, KEY_LEFT },
	{ 0x4d, KEY_RIGHT },	  { 0x4f, KEY_END },	   { 0x50, KEY_DOWN },
	{ 0x51, KEY_PAGEDOWN },	  { 0x52, KEY_INSERT },	   { 0x53, KEY_DELETE },
	{ 0x5b, KEY_LEFTMETA },	  { 0x5c, KEY_RIGHTMETA }, { 0x5d, KEY_COMPOSE },
	{ 0x5e, KEY_POWER },
};

static int key_from_number(json_int_t number)
{
	if (number > 0 && number <= KEY_F12) {
		return (int)number;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extended_keys); i++) {
		if (number == (extended_keys[i].number | 0x80)) {
			return extended_keys[i].code;
		}
	}
	return -ENOENT;
}

/* A KeyValue: {"type": "qcode", "data": "ret"} or {"type": "number", "data": 28}. */
static int parse_key(const json_t *key, struct error *err)
{
	const char *type = json_string_value(json_object_get(key, "type"));
	const json_t *data = json_object_get(key, "data");
	int code;

	if (type == NULL || data == NULL || json_object_size(key) != 2) {
		return error_set(err, EINVAL, "a key must have 'type' and 'data'");
	}
	if (strcmp(type, "qcode") == 0 && json_is_string(data)) {
		code = input_key_from_qcode(json_string_value(data));
		return code >= 0 ? code
				 : error_set(err, EINVAL, "there is no key called '%s'",
					     json_string_value(data));
	}
	if (strcmp(type, "number") == 0 && json_is_integer(data)) {
		code = key_from_number(json_integer_value(data));
		return code >= 0 ? code
				 : error_set(err, EINVAL, "there is no key with number %lld",
					     (long long)json_integer_value(data));
	}
	return error_set(err, EINVAL,
			 "a key's type must be 'qcode' or 'number', and its data match");
}

static int run_send_key(struct control_call *call)
{
	const json_t *keys = json_object_get(call->arguments, "keys");
	const json_t *hold = json_object_get(call->arguments, "hold-time");
	json_int_t hold_ms = hold != NULL ? json_integer_value(hold) : HOLD_MS_DEFAULT;
	size_t count = json_array_size(keys);
	unsigned int codes[KEYS_MAX];

	if (count == 0 || count > KEYS_MAX) {
		return error_set(&call->error, EINVAL, "'keys' must have 1 to %d elements",
				 KEYS_MAX);
	}
	if (hold_ms < 0 || hold_ms > HOLD_MS_MAX) {
		return error_set(&call->error, EINVAL, "'hold-time' must be 0 to %d ms",
				 HOLD_MS_MAX);
	}
	for (size_t i = 0; i < count; i++) {
		int code = parse_key(json_array_get(keys, i), &call->error);

		if (code < 0) {
			return code;
		}
		codes[i] = (unsigned int)code;
	}
	if (key_queue_press(call->server->keys, codes, count, (unsigned int)hold_ms) < 0) {
		return error_set(&call->error, ENOSPC, "too many keys wait for their turn");
	}
	return 0;
}

/* ---- input-send-event ---- */

enum event_kind {
	EVENT_KIND_KEY,
	EVENT_KIND_BUTTON,
	EVENT_KIND_RELATIVE,
	EVENT_KIND_ABSOLUTE,
};

struct input_event {
	enum event_kind kind;
	unsigned int code; /* key or button; of an axis 0 for x, 1 for y */
	bool down;
	int value;
};

static const char *const button_names[INPUT_BUTTON_COUNT] = {
	[INPUT_BUTTON_LEFT] = "left",
	[INPUT_BUTTON_MIDDLE] = "middle",
	[INPUT_BUTTON_RIGHT] = "right",
	[INPUT_BUTTON_WHEEL_UP] = "wheel-up",
	[INPUT_BUTTON_WHEEL_DOWN] = "wheel-down",
	[INPUT_BUTTON_SIDE] = "side",
	[INPUT_BUTTON_EXTRA] = "extra",
	[INPUT_BUTTON_WHEEL_LEFT] = "wheel-left",
	[INPUT_BUTTON_WHEEL_RIGHT] = "wheel-right",
};

static int parse_key_event(const json_t *data, struct input_event *event, struct error *err)
{
	static const struct control_argument members[] = {
		{ "key", JSON_OBJECT, true },
		{ "down", JSON_TRUE, true },
		{ NULL, JSON_NULL, false },
	};
	int r = control_check_object(data, members, err);

	if (r < 0) {
		return r;
	}
	r = parse_key(json_object_get(data, "key"), err);
	event->kind = EVENT_KIND_KEY;
	event->code = (unsigned int)r;
	event->down = json_is_true(json_object_get(data, "down"));
	return r < 0 ? r : 0;
}

static int parse_button_event(const json_t *data, struct input_event *event, struct error *err)
{
	static const struct control_argument members[] = {
		{ "button", JSON_STRING, true },
		{ "down", JSON_TRUE, true },
		{ NULL, JSON_NULL, false },
	};
	const char *name;
	int r = control_check_object(data, members, err);

	if (r < 0) {
		return r;
	}
	name = json_string_value(json_object_get(data, "button"));
	event->kind = EVENT_KIND_BUTTON;
	event->down = json_is_true(json_object_get(data, "down"));
	for (event->code = 0; event->code < INPUT_BUTTON_COUNT; event->code++) {
		if (strcmp(name, button_names[event->code]) == 0) {
			return 0;
		}
	}
	return error_set(err, EINVAL, "there is no button called '%s'", name);
}

static int parse_move_event(const json_t *data, bool absolute, struct input_event *event,
			    struct error *err)
{
	static const struct control_argument members[] = {
		{ "axis", JSON_STRING, true },
		{ "value", JSON_INTEGER, true },
		{ NULL, JSON_NULL, false },
	};
	json_int_t least = absolute ? 0 : -INPUT_ABS_MAX;
	const char *axis;
	json_int_t value;
	int r = control_check_object(data, members, err);

	if (r < 0) {
		return r;
	}
	axis = json_string_value(json_object_get(data, "axis"));
	value = json_integer_value(json_object_get(data, "value"));
	if (strcmp(axis, "x") != 0 && strcmp(axis, "y") != 0) {
		return error_set(err, EINVAL, "there is no axis '%s', only x and y", axis);
	}
	if (value < least || value > INPUT_ABS_MAX) {
		return error_set(err, EINVAL, "a position or movement of %lld cannot be",
				 (long long)value);
	}
	event->kind = absolute ? EVENT_KIND_ABSOLUTE : EVENT_KIND_RELATIVE;
	event->code = axis[0] == 'y';
	event->value = (int)value;
	return 0;
}

static int parse_event(const json_t *object, struct input_event *event, struct error *err)
{
	static const struct control_argument members[] = {
		{ "type", JSON_STRING, true },
		{ "data", JSON_OBJECT, true },
		{ NULL, JSON_NULL, false },
	};
	const char *type;
	const json_t *data;
	int r;

	if (!json_is_object(object)) {
		return error_set(err, EINVAL, "an event must be an object");
	}
	r = control_check_object(object, members, err);
	if (r < 0) {
		return r;
	}
	type = json_string_value(json_object_get(object, "type"));
	data = json_object_get(object, "data");
	if (strcmp(type, "key") == 0) {
		return parse_key_event(data, event, err);
	}
	if (strcmp(type, "btn") == 0) {
		return parse_button_event(data, event, err);
	}
	if (strcmp(type, "rel") == 0 || strcmp(type, "abs") == 0) {
		return parse_move_event(data, type[0] == 'a', event, err);
	}
	return error_set(err, EINVAL, "there is no event type '%s'", type);
}

/* Both axes of a position in one list arrive as one position. */
static void apply_absolute(struct control_server *server, const struct input_event *events,
			   size_t count, size_t i)
{
	const struct control_target *target = &server->target;

	if (events[i].code == 0) {
		server->pointer_x = (unsigned int)events[i].value;
	} else {
		server->pointer_y = (unsigned int)events[i].value;
	}
	if (i + 1 == count || events[i + 1].kind != EVENT_KIND_ABSOLUTE) {
		target->ops->absolute(target->opaque, server->pointer_x, server->pointer_y);
	}
}

static void apply_events(struct control_server *server, const struct input_event *events,
			 size_t count)
{
	const struct control_target *target = &server->target;

	for (size_t i = 0; i < count; i++) {
		const struct input_event *event = &events[i];

		switch (event->kind) {
		case EVENT_KIND_KEY:
			target->ops->key(target->opaque, event->code, event->down);
			break;
		case EVENT_KIND_BUTTON:
			target->ops->button(target->opaque, (enum input_button)event->code,
					    event->down);
			break;
		case EVENT_KIND_RELATIVE:
			target->ops->relative(target->opaque, event->code == 0 ? event->value : 0,
					      event->code == 1 ? event->value : 0);
			break;
		case EVENT_KIND_ABSOLUTE: apply_absolute(server, events, count, i); break;
		}
	}
	target->ops->sync(target->opaque);
}

static int run_input_send_event(struct control_call *call)
{
	const json_t *list = json_object_get(call->arguments, "events");
	size_t count = json_array_size(list);
	struct input_event events[EVENTS_MAX];

	if (count > EVENTS_MAX) {
		return error_set(&call->error, EINVAL, "'events' can have %d elements", EVENTS_MAX);
	}
	for (size_t i = 0; i < count; i++) {
		int r = parse_event(json_array_get(list, i), &events[i], &call->error);

		if (r < 0) {
			return r;
		}
	}
	apply_events(call->server, events, count);
	return 0;
}

static const struct control_argument send_key_arguments[] = {
	{ "keys", JSON_ARRAY, true },
	{ "hold-time", JSON_INTEGER, false },
	{ NULL, JSON_NULL, false },
};

static const struct control_argument input_send_event_arguments[] = {
	{ "events", JSON_ARRAY, true },
	{ "device", JSON_STRING, false },
	{ "head", JSON_INTEGER, false },
	{ NULL, JSON_NULL, false },
};

const struct control_command control_input_commands[] = {
	{ "send-key", run_send_key, send_key_arguments },
	{ "input-send-event", run_input_send_event, input_send_event_arguments },
	{ NULL, NULL, NULL },
};
