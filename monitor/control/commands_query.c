/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that only ask: QMP's query-* and Limen's own. Results have QMP's shapes ("QEMU QMP
 * Reference Manual"). There is no query of devices or objects: the machine's parts are described by
 * its configuration tree, which limen-config-get shows, and not by an object model.
 * Counters are 64 bits without sign, JSON's integers here have one: what is larger is cut to the
 * largest that can be said.
 */

#include "control_priv.h"

/* Hand @result over as what the command returns. */
static int finish(struct control_call *call, json_t *result)
{
	if (result == NULL) {
		return error_set(&call->error, ENOMEM, "out of memory");
	}
	call->result = result;
	return 0;
}

static int run_query_status(struct control_call *call)
{
	const struct control_target *target = &call->server->target;
	const char *status = target->ops->status(target->opaque);

	return finish(call, json_pack("{s:b,s:b,s:s}", "running", strcmp(status, "running") == 0,
				      "singlestep", 0, "status", status));
}

static int run_query_version(struct control_call *call)
{
	return finish(call, control_version_object());
}

static int run_query_name(struct control_call *call)
{
	const char *name = call->server->target.name;

	return finish(call, name != NULL ? json_pack("{s:s}", "name", name) : json_object());
}

static void add_command(void *opaque, const struct control_command *command)
{
	json_array_append_new(opaque, json_pack("{s:s}", "name", command->name));
}

static int run_query_commands(struct control_call *call)
{
	json_t *list = json_array();

	if (list != NULL) {
		json_array_append_new(list, json_pack("{s:s}", "name", "qmp_capabilities"));
		control_commands_for_each(add_command, list);
	}
	return finish(call, list);
}

static void add_counter(void *opaque, const char *name, uint64_t value)
{
	json_array_append_new(opaque, json_pack("{s:s,s:I}", "name", name, "value",
						(json_int_t)MIN(value, (uint64_t)INT64_MAX)));
}

static int run_query_counters(struct control_call *call)
{
	const struct control_target *target = &call->server->target;
	json_t *list = json_array();

	if (list != NULL && target->ops->counters != NULL) {
		target->ops->counters(target->opaque, add_counter, list);
	}
	return finish(call, list);
}

static void add_value(void *opaque, const char *path, const char *text)
{
	/* A value that is not UTF-8 (a file's name) cannot be said in JSON and is left out. */
	json_object_set_new(opaque, path, json_string(text));
}

static int run_config_get(struct control_call *call)
{
	const char *key = json_string_value(json_object_get(call->arguments, "key"));
	struct config_tree *config = call->server->target.config;
	const char *text = NULL;
	int r;

	if (config == NULL) {
		return error_set(&call->error, ENOTSUP, "this machine has no configuration");
	}
	if (key == NULL) {
		json_t *all = json_object();

		if (all != NULL) {
			config_for_each_value(config, add_value, all);
		}
		return finish(call, all);
	}
	r = config_get_text(config, key, &text, &call->error);
	if (r < 0) {
		return r;
	}
	return finish(call, json_pack("{s:s?}", key, text));
}

static const struct control_argument config_get_arguments[] = {
	{ "key", JSON_STRING, false },
	{ NULL, JSON_NULL, false },
};

const struct control_command control_query_commands[] = {
	{ "query-status", run_query_status, NULL },
	{ "query-version", run_query_version, NULL },
	{ "query-name", run_query_name, NULL },
	{ "query-commands", run_query_commands, NULL },
	{ "limen-config-get", run_config_get, config_get_arguments },
	{ "limen-query-counters", run_query_counters, NULL },
	{ NULL, NULL, NULL },
};
