/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limen-vmm: one running machine. Started by `limen`, which has checked what a user typed; this
 * program checks again what it relies on. Everything about the machine is configuration keys;
 * the few options beside them say how it is run.
 */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "machine/machine_config.h"
#include "main_control.h"
#include "main_info.h"
#include "state/machine_state.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INTERRUPTED = 130,
};

/* struct run - one run of the program. */
struct run {
	struct config_tree *config;
	struct event_loop *loop;
	struct machine *machine;
	struct main_control *control;
	struct machine_options options;
	const char *control_path;
	const char *load_state;
};

static int fail(const struct error *err)
{
	fprintf(stderr, "limen: %s\n", err->text);
	return EXIT_FAILED;
}

static void usage(FILE *out)
{
	fputs("Usage: limen-vmm [OPTION...]\n"
	      "Runs one machine; people start it through 'limen run'.\n\n"
	      "  --config FILE       read configuration keys from a YAML file\n"
	      "  --set KEY=VALUE     set one key; may be repeated, and overrides --config\n"
	      "  --control PATH      listen for control commands on a UNIX socket\n"
	      "  --load-state FILE   go on with a saved machine\n"
	      "  --no-reboot         a reset by the guest ends the run\n"
	      "  --test-device       debug exit at port 0xf4 and the ports of pc-testdev\n"
	      "  --info[=json]       say which engines can run here, and how fast\n"
	      "  --keys              list the configuration keys\n",
	      out);
}

/* On SIGINT and SIGTERM: end the run as the guest's window would. */
static void on_signal(void *opaque, int fd, unsigned int events)
{
	struct signalfd_siginfo info;
	struct run *run = opaque;

	(void)events;
	if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		machine_quit(run->machine, EXIT_INTERRUPTED);
	}
}

static int watch_signals(struct run *run, struct event_source **ret_source, struct error *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		return error_set(err, errno, "cannot watch signals: %s", strerror(errno));
	}
	return event_loop_add_fd(run->loop, fd, EVENT_READ, on_signal, run, ret_source);
}

static void on_machine_event(void *opaque, enum machine_event event, bool guest)
{
	struct run *run = opaque;

	main_control_event(run->control, event, guest);
}

/* Build the machine and bring it to the first instruction it will execute. */
static int prepare(struct run *run, struct error *err)
{
	struct config_view root = config_view_at(run->config, "");
	const char *levels;
	int ret = 0;

	if (run->load_state) {
		ret = machine_state_read_config(run->load_state, run->config, err);
	}
	levels = config_get_string(&root, "log");
	if (ret == 0 && levels) {
		ret = log_set_levels(levels, err);
	}
	if (ret == 0) {
		run->options.event = on_machine_event;
		run->options.opaque = run;
		ret = machine_create(run->config, run->loop, &run->options, &run->machine, err);
	}
	if (ret == 0 && run->control_path) {
		ret = main_control_create(run->machine, run->loop, run->control_path, &run->control,
					  err);
	}
	if (ret == 0) {
		ret = machine_power_on(run->machine, err);
	}
	if (ret == 0 && run->load_state) {
		ret = machine_state_load(run->machine, run->load_state, err);
	}
	return ret;
}

static int run_machine(struct run *run)
{
	struct event_source *signals = NULL;
	struct error err = { 0 };
	int status;
	int ret;

	ret = event_loop_create(&run->loop, &err);
	if (ret == 0) {
		ret = watch_signals(run, &signals, &err);
	}
	if (ret == 0) {
		ret = prepare(run, &err);
	}
	if (ret < 0) {
		status = fail(&err);
	} else {
		machine_resume(run->machine);
		event_loop_run(run->loop);
		status = machine_exit_status(run->machine);
		if (machine_failure(run->machine)) {
			fprintf(stderr, "limen: %s\n", machine_failure(run->machine));
		}
	}
	main_control_destroy(run->control);
	machine_destroy(run->machine);
	event_source_remove(signals);
	event_loop_destroy(run->loop);
	return status;
}

enum option_id {
	OPTION_CONFIG = 1,
	OPTION_SET,
	OPTION_CONTROL,
	OPTION_LOAD_STATE,
	OPTION_NO_REBOOT,
	OPTION_TEST_DEVICE,
	OPTION_INFO,
	OPTION_KEYS,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "set", required_argument, NULL, OPTION_SET },
	{ "control", required_argument, NULL, OPTION_CONTROL },
	{ "load-state", required_argument, NULL, OPTION_LOAD_STATE },
	{ "no-reboot", no_argument, NULL, OPTION_NO_REBOOT },
	{ "test-device", no_argument, NULL, OPTION_TEST_DEVICE },
	{ "info", optional_argument, NULL, OPTION_INFO },
	{ "keys", no_argument, NULL, OPTION_KEYS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

/* Act on one option. Return: -1 to go on, else the exit status of the program. */
static int take_option(struct run *run, int id)
{
	struct error err = { 0 };

	switch (id) {
	case OPTION_CONFIG:
		return config_load_yaml(run->config, optarg, &err) < 0 ? fail(&err) : -1;
	case OPTION_SET:
		if (!strcmp(optarg, "help")) {
			machine_config_print_help(run->config, stdout);
			return 0;
		}
		if (config_set_assignment(run->config, optarg, &err) < 0) {
			fail(&err);
			return EXIT_USAGE;
		}
		return -1;
	case OPTION_CONTROL: run->control_path = optarg; return -1;
	case OPTION_LOAD_STATE: run->load_state = optarg; return -1;
	case OPTION_NO_REBOOT: run->options.no_reboot = true; return -1;
	case OPTION_TEST_DEVICE: run->options.test_device = true; return -1;
	case OPTION_INFO: return main_info(run->config, optarg && !strcmp(optarg, "json"));
	case OPTION_KEYS: machine_config_print_help(run->config, stdout); return 0;
	case OPTION_HELP: usage(stdout); return 0;
	default: usage(stderr); return EXIT_USAGE;
	}
}

int main(int argc, char **argv)
{
	struct run run = { 0 };
	struct error err = { 0 };
	int status = -1;
	int id;

	if (config_tree_create(&run.config, &err) < 0 ||
	    machine_config_declare(run.config, &err) < 0) {
		return fail(&err);
	}
	while (status < 0 && (id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		status = take_option(&run, id);
	}
	if (status < 0 && optind < argc) {
		fprintf(stderr, "limen: unexpected argument '%s'\n", argv[optind]);
		status = EXIT_USAGE;
	}
	if (status < 0) {
		status = run_machine(&run);
	}
	config_tree_destroy(run.config);
	return status;
}
