/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands on the machine as a whole. Those that QMP has bear QMP's names, arguments and results;
 * Limen's own begin with "limen-". The screenshot is made on a worker, because compressing a
 * picture takes longer than timers may wait; saving happens here, because the machine stands still
 * for it anyway.
 */

#include <stdlib.h>

#include "base/log.h"
#include "control_priv.h"

#define TARGET_CALL(call, op) \
	((call)->server->target.ops->op((call)->server->target.opaque, &(call)->error))

static const struct control_argument save_state_arguments[] = {
	{ "filename", JSON_STRING, false },
	{ NULL, JSON_NULL, false },
};

static const char *string_argument(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->arguments, name));
}

static int run_stop(struct control_call *call)
{
	return TARGET_CALL(call, pause);
}

static int run_cont(struct control_call *call)
{
	return TARGET_CALL(call, resume);
}

static int run_reset(struct control_call *call)
{
	return TARGET_CALL(call, reset);
}

static int run_powerdown(struct control_call *call)
{
	return TARGET_CALL(call, powerdown);
}

static int run_wakeup(struct control_call *call)
{
	if (call->server->target.ops->wakeup == NULL) {
		return error_set(&call->error, ENOTSUP, "wake-up from suspend is not supported");
	}
	return TARGET_CALL(call, wakeup);
}

static int run_quit(struct control_call *call)
{
	const struct control_target *target = &call->server->target;

	target->ops->quit(target->opaque);
	return 0;
}

static int run_save_state(struct control_call *call)
{
	const struct control_target *target = &call->server->target;
	const char *file = string_argument(call, "filename");

	if (file == NULL && target->config != NULL) {
		config_get_text(target->config, "state.save", &file, NULL);
	}
	if (file == NULL) {
		return error_set(&call->error, EINVAL,
				 "Parameter 'filename' is missing, and so is the key state.save");
	}
	return target->ops->save_state(target->opaque, file, &call->error);
}

static int run_log(struct control_call *call)
{
	return log_set_levels(string_argument(call, "levels"), &call->error);
}

static int run_config_set(struct control_call *call)
{
	const struct control_target *target = &call->server->target;

	if (target->ops->set_config == NULL) {
		return error_set(&call->error, ENOTSUP,
				 "nothing can be changed while this machine runs");
	}
	return target->ops->set_config(target->opaque, string_argument(call, "key"),
				       string_argument(call, "value"), &call->error);
}

/* ---- the screenshot ---- */

struct screendump {
	struct worker_job job;
	struct control_server *server;
	uint64_t client_id;
	json_t *id;
	char *file;
	int result;
	struct error error;
	struct list node; /* in server->jobs */
};

static void screendump_free(struct screendump *dump)
{
	json_decref(dump->id);
	free(dump->file);
	free(dump);
}

static void screendump_work(struct worker_job *job)
{
	struct screendump *dump = container_of(job, struct screendump, job);
	const struct control_target *target = &dump->server->target;

	dump->result = target->ops->screendump(target->opaque, dump->file, &dump->error);
}

static void screendump_done(struct worker_job *job)
{
	struct screendump *dump = container_of(job, struct screendump, job);
	struct control_call call = { .error = dump->error };
	struct control_client *client;

	list_remove(&dump->node);
	client = control_server_find_client(dump->server, dump->client_id);
	if (client != NULL) {
		control_reply(client, dump->id, dump->result, &call);
		control_client_resume(client);
	}
	screendump_free(dump);
}

void control_jobs_finish(struct control_server *server)
{
	list_for_each(node, &server->jobs)
	{
		struct screendump *dump = container_of(node, struct screendump, node);

		event_loop_cancel(server->loop, &dump->job.task);
		screendump_done(&dump->job);
	}
}

static int run_screendump(struct control_call *call)
{
	const char *format = string_argument(call, "format");
	struct screendump *dump;

	if (format != NULL && strcmp(format, "png") != 0) {
		return error_set(&call->error, EINVAL, "format '%s' is not supported, only 'png'",
				 format);
	}
	if (json_integer_value(json_object_get(call->arguments, "head")) != 0) {
		return error_set(&call->error, ENODEV, "the machine has only head 0");
	}
	dump = calloc(1, sizeof(*dump));
	if (dump == NULL) {
		return error_set(&call->error, ENOMEM, "out of memory");
	}
	dump->server = call->server;
	dump->client_id = call->client->id;
	dump->id = json_deep_copy(call->id);
	dump->file = strdup(string_argument(call, "filename"));
	if (dump->file == NULL) {
		screendump_free(dump);
		return error_set(&call->error, ENOMEM, "out of memory");
	}
	dump->job.work = screendump_work;
	dump->job.done = screendump_done;
	dump->job.loop = call->server->loop;
	list_append(&call->server->jobs, &dump->node);
	call->client->busy = true;
	worker_pool_submit(call->server->workers, &dump->job);
	return CONTROL_PENDING;
}

static const struct control_argument screendump_arguments[] = {
	{ "filename", JSON_STRING, true }, { "format", JSON_STRING, false },
	{ "device", JSON_STRING, false },  { "head", JSON_INTEGER, false },
	{ NULL, JSON_NULL, false },
};

static const struct control_argument log_arguments[] = {
	{ "levels", JSON_STRING, true },
	{ NULL, JSON_NULL, false },
};

static const struct control_argument config_set_arguments[] = {
	{ "key", JSON_STRING, true },
	{ "value", JSON_STRING, true },
	{ NULL, JSON_NULL, false },
};

const struct control_command control_machine_commands[] = {
	{ "stop", run_stop, NULL },
	{ "cont", run_cont, NULL },
	{ "system_reset", run_reset, NULL },
	{ "system_powerdown", run_powerdown, NULL },
	{ "system_wakeup", run_wakeup, NULL },
	{ "quit", run_quit, NULL },
	{ "screendump", run_screendump, screendump_arguments },
	{ "limen-save-state", run_save_state, save_state_arguments },
	{ "limen-log", run_log, log_arguments },
	{ "limen-config-set", run_config_set, config_set_arguments },
	{ NULL, NULL, NULL },
};
