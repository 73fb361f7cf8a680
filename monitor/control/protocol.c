/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests, replies and events in QMP's shapes ("QEMU Machine Protocol Specification", sections 2.2
 * to 2.6). Of it there is no out-of-band execution, so the greeting offers no capability.
 */

#include <time.h>

#include "control_priv.h"

static const struct control_command *const command_tables[] = {
	control_machine_commands,
	control_query_commands,
	control_input_commands,
};

void control_commands_for_each(void (*fn)(void *opaque, const struct control_command *command),
			       void *opaque)
{
	for (size_t i = 0; i < ARRAY_SIZE(command_tables); i++) {
		for (const struct control_command *c = command_tables[i]; c->name != NULL; c++) {
			fn(opaque, c);
		}
	}
}

static const struct control_command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(command_tables); i++) {
		for (const struct control_command *c = command_tables[i]; c->name != NULL; c++) {
			if (strcmp(c->name, name) == 0) {
				return c;
			}
		}
	}
	return NULL;
}

/* Send @value, which this consumes; NULL: out of memory, the client goes. */
static void send_and_drop(struct control_client *client, json_t *value)
{
	if (value == NULL) {
		client->dead = true;
	} else {
		control_client_send(client, value);
	}
	json_decref(value);
}

json_t *control_version_object(void)
{
	unsigned int major = 0;
	unsigned int minor = 0;
	unsigned int micro = 0;

	sscanf(LIMEN_VERSION, "%u.%u.%u", &major, &minor, &micro);
	return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", (int)micro, "minor", (int)minor,
			 "major", (int)major, "package", "limen " LIMEN_VERSION);
}

void control_greet(struct control_client *client)
{
	send_and_drop(client, json_pack("{s:{s:o,s:[]}}", "QMP", "version",
					control_version_object(), "capabilities"));
}

static void send_error(struct control_client *client, const json_t *id, const char *class,
		       const char *text)
{
	/* A text may quote a file name that is not UTF-8; the reply must be. */
	json_t *desc = json_string(text);
	json_t *reply;

	if (desc == NULL) {
		char plain[sizeof(((struct error *)0)->text)];

		snprintf(plain, sizeof(plain), "%s", text);
		for (char *p = plain; *p != '\0'; p++) {
			*p = (unsigned char)*p >= 0x80 ? '?' : *p;
		}
		desc = json_string(plain);
	}
	reply = json_pack("{s:{s:s,s:o}}", "error", "class", class, "desc", desc);
	if (reply != NULL && id != NULL) {
		json_object_set(reply, "id", (json_t *)id);
	}
	send_and_drop(client, reply);
}

void control_refuse(struct control_client *client, const char *text)
{
	send_error(client, NULL, "GenericError", text);
}

void control_reply(struct control_client *client, const json_t *id, int r,
		   struct control_call *call)
{
	json_t *reply;

	if (r < 0) {
		json_decref(call->result);
		send_error(client, id, "GenericError", call->error.text);
		return;
	}
	reply = json_pack("{s:o}", "return", call->result != NULL ? call->result : json_object());
	if (reply != NULL && id != NULL) {
		json_object_set(reply, "id", (json_t *)id);
	}
	send_and_drop(client, reply);
}

/* ---- arguments ---- */

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT: return "object";
	case JSON_ARRAY: return "array";
	case JSON_STRING: return "string";
	case JSON_INTEGER: return "integer";
	case JSON_TRUE: return "boolean";
	default: return "number";
	}
}

static bool has_type(const json_t *value, json_type type)
{
	return json_typeof(value) == type || (type == JSON_TRUE && json_is_false(value));
}

int control_check_object(const json_t *object, const struct control_argument *arguments,
			 struct error *err)
{
	static const struct control_argument none = { .name = NULL };
	size_t known = 0;
	const char *name;
	json_t *value;

	arguments = arguments != NULL ? arguments : &none;
	for (const struct control_argument *a = arguments; a->name != NULL; a++) {
		value = json_object_get(object, a->name);
		if (value == NULL) {
			if (a->required) {
				return error_set(err, EINVAL, "Parameter '%s' is missing", a->name);
			}
			continue;
		}
		if (!has_type(value, a->type)) {
			return error_set(err, EINVAL,
					 "Invalid parameter type for '%s', expected: %s", a->name,
					 type_name(a->type));
		}
		known++;
	}
	if (known == json_object_size(object)) {
		return 0;
	}
	json_object_foreach((json_t *)object, name, value)
	{
		const struct control_argument *a = arguments;

		while (a->name != NULL && strcmp(a->name, name) != 0) {
			a++;
		}
		if (a->name == NULL) {
			return error_set(err, EINVAL, "Parameter '%s' is unexpected", name);
		}
	}
	return 0;
}

/* ---- requests ---- */

static void run_command(struct control_client *client, const struct control_command *command,
			const json_t *arguments, const json_t *id)
{
	struct control_call call = {
		.server = client->server,
		.client = client,
		.arguments = arguments,
		.id = id,
	};
	int r;

	r = control_check_object(arguments, command->arguments, &call.error);
	r = r < 0 ? r : command->run(&call);
	if (r != CONTROL_PENDING) {
		control_reply(client, id, r, &call);
	}
}

static void negotiate(struct control_client *client, const json_t *arguments, const json_t *id)
{
	static const struct control_argument declared[] = {
		{ "enable", JSON_ARRAY, false },
		{ NULL, JSON_NULL, false },
	};
	struct control_call call = { .client = client };
	int r = control_check_object(arguments, declared, &call.error);

	if (r == 0 && json_array_size(json_object_get(arguments, "enable")) > 0) {
		r = error_set(&call.error, EINVAL, "There is no capability to enable");
	}
	client->negotiated = client->negotiated || r == 0;
	control_reply(client, id, r, &call);
}

static void execute(struct control_client *client, const char *name, const json_t *arguments,
		    const json_t *id)
{
	const struct control_command *command = find_command(name);
	char text[256];

	if (strcmp(name, "qmp_capabilities") == 0) {
		if (!client->negotiated) {
			negotiate(client, arguments, id);
			return;
		}
		send_error(client, id, "CommandNotFound",
			   "Capabilities negotiation is already complete, command ignored");
	} else if (!client->negotiated) {
		send_error(client, id, "CommandNotFound",
			   "Expecting capabilities negotiation with 'qmp_capabilities'");
	} else if (command == NULL) {
		snprintf(text, sizeof(text), "The command %s has not been found", name);
		send_error(client, id, "CommandNotFound", text);
	} else {
		run_command(client, command, arguments, id);
	}
}

void control_handle(struct control_client *client, const char *text, size_t size)
{
	const json_t *execute_name;
	json_error_t json_error;
	json_t *arguments;
	const char *member;
	const json_t *id;
	char line[256];
	json_t *request;
	json_t *value;

	request = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);
	if (request == NULL) {
		snprintf(line, sizeof(line), "JSON parse error: %s", json_error.text);
		control_refuse(client, line);
		return;
	}
	id = json_object_get(request, "id");
	execute_name = json_object_get(request, "execute");
	arguments = json_object_get(request, "arguments");
	json_object_foreach(request, member, value)
	{
		if (strcmp(member, "execute") != 0 && strcmp(member, "arguments") != 0 &&
		    strcmp(member, "id") != 0) {
			snprintf(line, sizeof(line), "QMP input member '%.100s' is unexpected",
				 member);
			send_error(client, id, "GenericError", line);
			goto out_drop;
		}
	}
	if (execute_name == NULL) {
		send_error(client, id, "GenericError", "QMP input lacks member 'execute'");
	} else if (!json_is_string(execute_name)) {
		send_error(client, id, "GenericError",
			   "QMP input member 'execute' must be a string");
	} else if (arguments != NULL && !json_is_object(arguments)) {
		send_error(client, id, "GenericError",
			   "QMP input member 'arguments' must be an object");
	} else {
		json_t *empty = json_object();

		execute(client, json_string_value(execute_name),
			arguments != NULL ? arguments : empty, id);
		json_decref(empty);
	}
out_drop:
	json_decref(request);
}

/* ---- events ---- */

static const char *const event_names[] = {
	[CONTROL_EVENT_STOP] = "STOP",		 [CONTROL_EVENT_RESUME] = "RESUME",
	[CONTROL_EVENT_RESET] = "RESET",	 [CONTROL_EVENT_SHUTDOWN] = "SHUTDOWN",
	[CONTROL_EVENT_POWERDOWN] = "POWERDOWN", [CONTROL_EVENT_SUSPEND] = "SUSPEND",
	[CONTROL_EVENT_WAKEUP] = "WAKEUP",	 [CONTROL_EVENT_GUEST_PANICKED] = "GUEST_PANICKED",
};

static json_t *event_object(enum control_event event, bool guest, const char *reason)
{
	struct timespec now;
	json_t *object;
	json_t *data = NULL;

	clock_gettime(CLOCK_REALTIME, &now);
	object = json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec,
			   "microseconds", (json_int_t)now.tv_nsec / 1000, "event",
			   event_names[event]);
	if (event == CONTROL_EVENT_RESET || event == CONTROL_EVENT_SHUTDOWN) {
		data = json_pack("{s:b,s:s}", "guest", (int)guest, "reason",
				 reason != NULL ? reason : "none");
	} else if (event == CONTROL_EVENT_GUEST_PANICKED) {
		data = json_pack("{s:s}", "action", reason != NULL ? reason : "pause");
	}
	if (object != NULL && data != NULL) {
		json_object_set(object, "data", data);
	}
	json_decref(data);
	return object;
}

void control_server_event(struct control_server *server, enum control_event event, bool guest,
			  const char *reason)
{
	json_t *object;

	if (server == NULL) {
		return;
	}
	object = event_object(event, guest, reason);
	list_for_each(node, &server->clients)
	{
		struct control_client *client = container_of(node, struct control_client, node);

		if (client->negotiated && object != NULL) {
			control_client_send(client, object);
			control_client_update(client);
		}
	}
	json_decref(object);
}
