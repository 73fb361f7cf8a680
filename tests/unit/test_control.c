/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket with a machine that only takes notes: framing, negotiation, every command's
 * shape and errors, events, several clients, clients that misbehave, and the socket's own life.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "control/control.h"

struct fixture {
	char folder[32];
	char path[64];
	struct event_loop *loop;
	struct config_tree *config;
	struct control_server *server;
	bool running;
	pthread_mutex_t lock; /* guards @notes: a worker writes them too */
	char notes[16384];    /* what the machine was told */
};

static void note(void *opaque, const char *fmt, ...) LIMEN_PRINTF(2, 3);
static void note(void *opaque, const char *fmt, ...)
{
	struct fixture *fixture = opaque;
	size_t used;
	va_list args;

	pthread_mutex_lock(&fixture->lock);
	used = strlen(fixture->notes);
	va_start(args, fmt);
	vsnprintf(fixture->notes + used, sizeof(fixture->notes) - used, fmt, args);
	va_end(args);
	pthread_mutex_unlock(&fixture->lock);
}

static bool noted(struct fixture *fixture, const char *text)
{
	bool found;

	pthread_mutex_lock(&fixture->lock);
	found = strstr(fixture->notes, text) != NULL;
	pthread_mutex_unlock(&fixture->lock);
	return found;
}

static const char *fake_status(void *opaque)
{
	return ((struct fixture *)opaque)->running ? "running" : "paused";
}

static int fake_pause(void *opaque, struct error *err)
{
	struct fixture *fixture = opaque;

	(void)err;
	fixture->running = false;
	note(opaque, "pause;");
	control_server_event(fixture->server, CONTROL_EVENT_STOP, false, NULL);
	return 0;
}

static int fake_resume(void *opaque, struct error *err)
{
	(void)err;
	((struct fixture *)opaque)->running = true;
	note(opaque, "resume;");
	return 0;
}

static int fake_reset(void *opaque, struct error *err)
{
	note(opaque, "reset;");
	return error_set(err, EBUSY, "not now");
}

static int fake_powerdown(void *opaque, struct error *err)
{
	(void)err;
	note(opaque, "powerdown;");
	return 0;
}

static void fake_quit(void *opaque)
{
	note(opaque, "quit;");
}

static int fake_screendump(void *opaque, const char *file, struct error *err)
{
	struct timespec ts = { .tv_nsec = 20000000 };

	nanosleep(&ts, NULL);
	note(opaque, "screendump %s;", file);
	return strcmp(file, "bad") == 0 ? error_set(err, ENODATA, "there is no picture") : 0;
}

static int fake_save_state(void *opaque, const char *file, struct error *err)
{
	(void)err;
	note(opaque, "save %s;", file);
	return 0;
}

static int fake_set_config(void *opaque, const char *key, const char *value, struct error *err)
{
	(void)err;
	note(opaque, "set %s=%s;", key, value);
	return 0;
}

static void fake_counters(void *opaque, control_counter_fn fn, void *fn_opaque)
{
	(void)opaque;
	fn(fn_opaque, "exits", 7);
	fn(fn_opaque, "huge", UINT64_MAX);
}

static void fake_key(void *opaque, unsigned int code, bool down)
{
	note(opaque, "key %u %s;", code, down ? "down" : "up");
}

static void fake_button(void *opaque, enum input_button button, bool down)
{
	note(opaque, "button %d %s;", (int)button, down ? "down" : "up");
}

static void fake_relative(void *opaque, int dx, int dy)
{
	note(opaque, "rel %d %d;", dx, dy);
}

static void fake_absolute(void *opaque, unsigned int x, unsigned int y)
{
	note(opaque, "abs %u %u;", x, y);
}

static void fake_sync(void *opaque)
{
	note(opaque, "sync;");
}

static const struct control_target_ops fake_ops = {
	.status = fake_status,
	.pause = fake_pause,
	.resume = fake_resume,
	.reset = fake_reset,
	.powerdown = fake_powerdown,
	.quit = fake_quit,
	.screendump = fake_screendump,
	.save_state = fake_save_state,
	.set_config = fake_set_config,
	.counters = fake_counters,
	.key = fake_key,
	.button = fake_button,
	.relative = fake_relative,
	.absolute = fake_absolute,
	.sync = fake_sync,
};

static const struct config_key keys[] = {
	{ .name = "cpus", .type = CONFIG_INT, .def = "1" },
	{ .name = "name", .type = CONFIG_STRING },
	{ .name = NULL },
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct control_target target = { .ops = &fake_ops, .opaque = fixture, .name = "test" };
	struct error err = { 0 };

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/limen-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/control", fixture->folder);
	assert_int_equal(event_loop_create(&fixture->loop, NULL), 0);
	assert_int_equal(config_tree_create(&fixture->config, NULL), 0);
	assert_int_equal(config_declare(fixture->config, "", keys, NULL), 0);
	target.config = fixture->config;
	fixture->running = true;
	pthread_mutex_init(&fixture->lock, NULL);
	log_set_levels("error", NULL);
	if (control_server_create(fixture->path, fixture->loop, &target, &fixture->server, &err) <
	    0) {
		fail_msg("%s", err.text);
	}
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	control_server_destroy(fixture->server);
	pthread_mutex_destroy(&fixture->lock);
	config_tree_destroy(fixture->config);
	event_loop_destroy(fixture->loop);
	/* The socket has gone with the server. */
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture);
	return 0;
}

static void turn(struct fixture *fixture)
{
	while (event_loop_iterate(fixture->loop, 0)) {
	}
}

static int open_client(struct fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	turn(fixture);
	return fd;
}

/* Read what is there, be it nothing. */
static const char *read_reply(int fd)
{
	static char text[65536];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *ask(struct fixture *fixture, int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	turn(fixture);
	return read_reply(fd);
}

static int open_negotiated(struct fixture *fixture)
{
	int fd = open_client(fixture);

	assert_non_null(strstr(read_reply(fd), "{\"QMP\":{\"version\":{\"qemu\":{"));
	assert_string_equal(ask(fixture, fd, "{\"execute\":\"qmp_capabilities\"}\n"),
			    "{\"return\":{}}\r\n");
	return fd;
}

static void expect(struct fixture *fixture, int fd, const char *request, const char *reply)
{
	const char *text = ask(fixture, fd, request);

	if (strstr(text, reply) == NULL) {
		fail_msg("%s -> %s (expected %s)", request, text, reply);
	}
}

static void test_negotiation(void **state)
{
	struct fixture *fixture = *state;
	int fd = open_client(fixture);

	assert_non_null(strstr(read_reply(fd), "\"capabilities\":[]}}\r\n"));
	expect(fixture, fd, "{\"execute\":\"query-status\"}", "Expecting capabilities negotiation");
	expect(fixture, fd,
	       "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}",
	       "\"class\":\"GenericError\"");
	expect(fixture, fd, "{\"execute\":\"query-status\"}", "CommandNotFound");
	/* Nobody is told of events before. */
	control_server_event(fixture->server, CONTROL_EVENT_RESUME, false, NULL);
	assert_string_equal(
		ask(fixture, fd, "{\"execute\":\"qmp_capabilities\",\"id\":{\"a\":[1,\"x\"]}}"),
		"{\"return\":{},\"id\":{\"a\":[1,\"x\"]}}\r\n");
	expect(fixture, fd, "{\"execute\":\"qmp_capabilities\"}", "already complete");
	close(fd);
}

#define CALL(name, arguments) "{\"execute\":\"" name "\",\"arguments\":{" arguments "}}"

static const struct {
	const char *request;
	const char *reply; /* part of it */
	const char *notes; /* all of them */
} exchanges[] = {
	{ "{\"execute\":\"query-status\",\"id\":1}",
	  "{\"return\":{\"running\":true,\"singlestep\":false,\"status\":\"running\"},\"id\":1}",
	  "" },
	{ "{\"execute\":\"cont\"}", "{\"return\":{}}", "resume;" },
	{ CALL("system_powerdown", ""), "{\"return\":{}}", "powerdown;" },
	{ "{\"execute\":\"system_reset\",\"id\":null}",
	  "{\"error\":{\"class\":\"GenericError\",\"desc\":\"not now\"},\"id\":null}", "reset;" },
	{ CALL("system_wakeup", ""), "not supported", "" },
	{ CALL("query-name", ""), "{\"return\":{\"name\":\"test\"}}", "" },
	{ CALL("query-version", ""), "\"package\":\"limen ", "" },
	{ CALL("query-commands", ""), "{\"name\":\"limen-save-state\"}", "" },
	{ CALL("limen-save-state", "\"filename\":\"f\""), "{\"return\":{}}", "save f;" },
	{ CALL("limen-save-state", ""), "Parameter 'filename' is missing", "" },
	{ CALL("limen-save-state", "\"filename\":3"),
	  "Invalid parameter type for 'filename', expected: string", "" },
	{ CALL("limen-save-state", "\"filename\":\"f\",\"x\":1"), "Parameter 'x' is unexpected",
	  "" },
	{ CALL("limen-log", "\"levels\":\"error\""), "{\"return\":{}}", "" },
	{ CALL("limen-log", "\"levels\":\"loud\""), "unknown log level", "" },
	{ CALL("limen-config-get", "\"key\":\"cpus\""), "{\"return\":{\"cpus\":\"1\"}}", "" },
	{ CALL("limen-config-get", "\"key\":\"name\""), "{\"return\":{\"name\":null}}", "" },
	{ CALL("limen-config-get", "\"key\":\"cpu\""), "the nearest is 'cpus'", "" },
	{ CALL("limen-config-get", ""), "{\"return\":{}}", "" },
	{ CALL("limen-config-set", "\"key\":\"a\",\"value\":\"b\""), "{\"return\":{}}",
	  "set a=b;" },
	{ CALL("limen-query-counters", ""),
	  "[{\"name\":\"exits\",\"value\":7},{\"name\":\"huge\",\"value\":9223372036854775807}]",
	  "" },
	{ CALL("nonsense", ""),
	  "{\"class\":\"CommandNotFound\",\"desc\":\"The command nonsense has not been found\"}",
	  "" },
	{ "{}", "lacks member 'execute'", "" },
	{ "{\"execute\":1}", "must be a string", "" },
	{ "{\"execute\":\"cont\",\"arguments\":[]}", "must be an object", "" },
	{ "{\"execute\":\"cont\",\"exec\":1,\"id\":5}", "'exec' is unexpected\"},\"id\":5}", "" },
	{ "{\"execute\":\"cont\",\"execute\":\"stop\"}", "JSON parse error", "" },
	{ "{\"execute\":\"a\x80\"}", "JSON parse error", "" },
	{ "{\"execute\": x}", "JSON parse error", "" },
	{ "hello\n", "JSON parse error: an object was expected", "" },
	{ "]\n{\"execute\":\"cont\"}", "{\"return\":{}}", "resume;" },
	{ "{\"execute\":\"con\n{\"execute\":\"cont\"}", "{\"return\":{}}", "resume;" },
	{ "{{{\xff{\"execute\":\"cont\"}", "{\"return\":{}}", "resume;" },
	{ "{\"execute\":\n \"cont\",\n \"id\": \"}{\\\"\" }", "\"id\":\"}{\\\"\"}", "resume;" },
	{ CALL("screendump", "\"filename\":\"f\",\"format\":\"ppm\""), "only 'png'", "" },
	{ CALL("screendump", "\"filename\":\"f\",\"head\":1"), "only head 0", "" },
	{ CALL("input-send-event",
	       "\"events\":[{\"type\":\"abs\",\"data\":{\"axis\":\"x\",\"value\":100}},"
	       "{\"type\":\"abs\",\"data\":{\"axis\":\"y\",\"value\":32767}},"
	       "{\"type\":\"btn\",\"data\":{\"button\":\"left\",\"down\":true}},"
	       "{\"type\":\"rel\",\"data\":{\"axis\":\"y\",\"value\":-3}},"
	       "{\"type\":\"btn\",\"data\":{\"button\":\"wheel-right\",\"down\":false}},"
	       "{\"type\":\"abs\",\"data\":{\"axis\":\"y\",\"value\":0}},"
	       "{\"type\":\"key\",\"data\":{\"down\":true,\"key\":"
	       "{\"type\":\"number\",\"data\":28}}}]"),
	  "{\"return\":{}}",
	  "abs 100 32767;button 0 down;rel 0 -3;button 8 up;abs 100 0;key 28 down;sync;" },
	{ CALL("input-send-event",
	       "\"events\":[{\"type\":\"btn\",\"data\":{\"button\":\"left\",\"down\":true}},"
	       "{\"type\":\"btn\",\"data\":{\"button\":\"no\",\"down\":true}}]"),
	  "no button called 'no'", "" },
	{ CALL("input-send-event",
	       "\"events\":[{\"type\":\"abs\",\"data\":{\"axis\":\"x\",\"value\":32768}}]"),
	  "cannot be", "" },
	{ CALL("input-send-event",
	       "\"events\":[{\"type\":\"abs\",\"data\":{\"axis\":\"z\",\"value\":0}}]"),
	  "no axis", "" },
	{ CALL("input-send-event", "\"events\":[5]"), "must be an object", "" },
	{ CALL("input-send-event", "\"events\":[{\"type\":\"mtt\",\"data\":{}}]"),
	  "no event type 'mtt'", "" },
	{ CALL("send-key", "\"keys\":[]"), "1 to 64", "" },
	{ CALL("send-key", "\"keys\":[{\"type\":\"qcode\",\"data\":\"nokey\"}]"),
	  "no key called 'nokey'", "" },
	{ CALL("send-key", "\"keys\":[{\"type\":\"number\",\"data\":255}]"),
	  "no key with number 255", "" },
	{ CALL("send-key", "\"keys\":[3]"), "'type' and 'data'", "" },
	{ CALL("send-key", "\"keys\":[{\"type\":\"number\",\"data\":1}],\"hold-time\":-1"),
	  "hold-time", "" },
	{ CALL("quit", ""), "{\"return\":{}}", "quit;" },
};

static void test_commands(void **state)
{
	struct fixture *fixture = *state;
	int fd = open_negotiated(fixture);

	for (size_t i = 0; i < ARRAY_SIZE(exchanges); i++) {
		fixture->notes[0] = '\0';
		expect(fixture, fd, exchanges[i].request, exchanges[i].reply);
		assert_string_equal(fixture->notes, exchanges[i].notes);
	}
	close(fd);
}

static void test_bytewise(void **state)
{
	static const char request[] = "{\"execute\":\"query-name\"}{\"execute\":\"query-name\"";
	struct fixture *fixture = *state;
	int fd = open_negotiated(fixture);

	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		assert_int_equal(write(fd, request + i, 1), 1);
		turn(fixture);
	}
	assert_string_equal(read_reply(fd), "{\"return\":{\"name\":\"test\"}}\r\n");
	assert_string_equal(ask(fixture, fd, "}"), "{\"return\":{\"name\":\"test\"}}\r\n");
	close(fd);
}

static void test_events(void **state)
{
	struct fixture *fixture = *state;
	int a = open_negotiated(fixture);
	int b = open_negotiated(fixture);
	const char *text;

	/* The machine sends the event from within the command. */
	expect(fixture, a, "{\"execute\":\"stop\"}", "\"event\":\"STOP\"}\r\n{\"return\":{}}\r\n");
	text = read_reply(b);
	assert_non_null(strstr(text, "{\"timestamp\":{\"seconds\":"));
	assert_non_null(strstr(text, "\"microseconds\":"));
	control_server_event(fixture->server, CONTROL_EVENT_SHUTDOWN, true, "guest-shutdown");
	turn(fixture);
	assert_non_null(strstr(read_reply(a), "\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,"
					      "\"reason\":\"guest-shutdown\"}}\r\n"));
	control_server_event(fixture->server, CONTROL_EVENT_GUEST_PANICKED, true, "poweroff");
	control_server_event(NULL, CONTROL_EVENT_STOP, false, NULL);
	turn(fixture);
	assert_non_null(strstr(read_reply(a), "\"data\":{\"action\":\"poweroff\"}}\r\n"));
	close(a);
	close(b);
}

/* A client that is gone when its machine sends it the event of its own command. */
static void test_gone_in_command(void **state)
{
	static const char request[] = "{\"execute\":\"stop\"}{\"execute\":\"query-status\"}";
	struct fixture *fixture = *state;
	int fd = open_negotiated(fixture);

	assert_true(write(fd, request, sizeof(request) - 1) > 0);
	close(fd);
	turn(fixture);
	assert_string_equal(fixture->notes, "pause;");
	fd = open_negotiated(fixture);
	close(fd);
}

static void wait_note(struct fixture *fixture, const char *note_text)
{
	for (unsigned int i = 0; i < 10000 && !noted(fixture, note_text); i++) {
		event_loop_iterate(fixture->loop, 1);
	}
}

static void test_send_key(void **state)
{
	struct fixture *fixture = *state;
	int fd = open_negotiated(fixture);

	expect(fixture, fd,
	       CALL("send-key", "\"keys\":[{\"type\":\"qcode\",\"data\":\"ctrl\"},"
				"{\"type\":\"qcode\",\"data\":\"a\"}],\"hold-time\":50")
		       CALL("send-key",
			    "\"keys\":[{\"type\":\"number\",\"data\":200}],\"hold-time\":0"),
	       "{\"return\":{}}\r\n{\"return\":{}}\r\n");
	assert_string_equal(fixture->notes, "key 29 down;key 30 down;");
	wait_note(fixture, "key 103 up;");
	assert_string_equal(fixture->notes, "key 29 down;key 30 down;key 30 up;key 29 up;"
					    "key 103 down;key 103 up;");
	for (unsigned int i = 0; i < 600; i++) {
		ask(fixture, fd,
		    CALL("send-key",
			 "\"keys\":[{\"type\":\"number\",\"data\":1}],\"hold-time\":10000"));
	}
	expect(fixture, fd, CALL("send-key", "\"keys\":[{\"type\":\"number\",\"data\":1}]"),
	       "too many keys");
	close(fd);
}

/* The picture is made on a worker; its client's next request waits, other clients do not. */
static void test_screendump(void **state)
{
	struct fixture *fixture = *state;
	int a = open_negotiated(fixture);
	int b = open_negotiated(fixture);

	assert_string_equal(
		ask(fixture, a,
		    "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"good\",\"format\":"
		    "\"png\",\"device\":\"vga\",\"head\":0},\"id\":1}"
		    "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"bad\"},\"id\":2}"
		    "{\"execute\":\"cont\",\"id\":3}"),
		"");
	expect(fixture, b, "{\"execute\":\"query-name\"}", "test");
	wait_note(fixture, "resume;");
	assert_string_equal(read_reply(a),
			    "{\"return\":{},\"id\":1}\r\n{\"error\":{\"class\":\"GenericError\","
			    "\"desc\":\"there is no picture\"},\"id\":2}\r\n"
			    "{\"return\":{},\"id\":3}\r\n");
	assert_string_equal(fixture->notes, "screendump good;screendump bad;resume;");
	/* A client may go meanwhile, and so may the server, in teardown. */
	ask(fixture, a, CALL("screendump", "\"filename\":\"x\""));
	close(a);
	turn(fixture);
	ask(fixture, b,
	    CALL("screendump", "\"filename\":\"y\"") CALL("screendump", "\"filename\":\"z\""));
	close(b);
}

/* Requests sent together with the end of the input are still answered. */
static void test_half_close(void **state)
{
	static const char requests[] = "{\"execute\":\"qmp_capabilities\"}\n" CALL(
		"screendump", "\"filename\":\"good\"") "\n" CALL("query-name", "") "\n";
	struct fixture *fixture = *state;
	int fd = open_client(fixture);
	char text[4096] = "";
	size_t used = 0;

	read_reply(fd);
	assert_true(write(fd, requests, sizeof(requests) - 1) > 0);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (unsigned int i = 0; i < 10000; i++) {
		ssize_t n;

		event_loop_iterate(fixture->loop, 1);
		n = read(fd, text + used, sizeof(text) - 1 - used);
		if (n == 0) {
			break;
		}
		used += n > 0 ? (size_t)n : 0;
	}
	assert_string_equal(text, "{\"return\":{}}\r\n{\"return\":{}}\r\n"
				  "{\"return\":{\"name\":\"test\"}}\r\n");
	close(fd);
}

static bool is_closed(struct fixture *fixture, int fd)
{
	char bytes[65536];
	ssize_t n;

	turn(fixture);
	do {
		n = read(fd, bytes, sizeof(bytes));
	} while (n > 0);
	return n == 0 || (errno != EAGAIN);
}

static void test_long_request(void **state)
{
	struct fixture *fixture = *state;
	int fd = open_negotiated(fixture);
	char block[4096];

	memset(block, ' ', sizeof(block));
	block[0] = '{';
	for (unsigned int i = 0; i < 255; i++) {
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
		turn(fixture);
		block[0] = ' ';
	}
	assert_false(is_closed(fixture, fd));
	for (unsigned int i = 0; i < 2; i++) {
		(void)!send(fd, block, sizeof(block), MSG_NOSIGNAL);
		turn(fixture);
	}
	assert_true(is_closed(fixture, fd));
	close(fd);
}

static void test_silent_reader(void **state)
{
	struct fixture *fixture = *state;
	int fd = open_negotiated(fixture);
	int other = open_negotiated(fixture);

	for (unsigned int i = 0; i < 40000; i++) {
		control_server_event(fixture->server, CONTROL_EVENT_RESUME, false, NULL);
		if (i % 100 == 0) {
			read_reply(other);
			turn(fixture);
		}
	}
	assert_true(is_closed(fixture, fd));
	assert_false(is_closed(fixture, other));
	close(fd);
	close(other);
}

static void test_many_clients(void **state)
{
	struct fixture *fixture = *state;
	int fds[17];

	for (size_t i = 0; i < 17; i++) {
		fds[i] = open_client(fixture);
	}
	assert_false(is_closed(fixture, fds[15]));
	assert_true(is_closed(fixture, fds[16]));
	for (size_t i = 0; i < 17; i++) {
		close(fds[i]);
	}
	turn(fixture);
	fds[0] = open_negotiated(fixture);
	close(fds[0]);
}

static int create_at(struct fixture *fixture, const char *path, struct control_server **ret_server)
{
	struct control_target target = { .ops = &fake_ops, .opaque = fixture };

	return control_server_create(path, fixture->loop, &target, ret_server, NULL);
}

static void make_file(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fclose(file);
}

static void make_stale_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, path, MIN(strlen(path), sizeof(address.sun_path) - 1));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void test_socket(void **state)
{
	struct fixture *fixture = *state;
	struct control_server *server = NULL;
	char path[200];
	struct stat st;

	assert_int_equal(stat(fixture->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
	/* One that is in use stays. */
	assert_int_equal(create_at(fixture, fixture->path, &server), -EADDRINUSE);
	assert_int_equal(stat(fixture->path, &st), 0);
	/* One that nobody listens to is replaced. */
	snprintf(path, sizeof(path), "%s/other", fixture->folder);
	make_stale_socket(path);
	assert_int_equal(create_at(fixture, path, &server), 0);
	control_server_destroy(server);
	assert_int_equal(stat(path, &st), -1);
	/* What is no socket is not touched. */
	make_file(path);
	assert_int_equal(create_at(fixture, path, &server), -EEXIST);
	assert_int_equal(unlink(path), 0);
	/* Nor is what has taken the socket's place meanwhile. */
	assert_int_equal(create_at(fixture, path, &server), 0);
	assert_int_equal(unlink(path), 0);
	make_file(path);
	control_server_destroy(server);
	assert_int_equal(unlink(path), 0);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(create_at(fixture, path, &server), -ENAMETOOLONG);
	assert_int_equal(create_at(fixture, "/nonexistent/x", &server), -ENOENT);
	control_server_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_negotiation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytewise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_in_command, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_screendump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
