/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Character streams: files, UNIX sockets with clients that come and go, stdio on a terminal. */

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "guestlink/char_backend.h"

/* A client that takes @room bytes and then no more until it is told to. */
struct taker {
	size_t room;
	size_t got;
	uint8_t data[65536];
	int opens;
	int closes;
};

static size_t taker_room(void *opaque)
{
	struct taker *taker = opaque;

	return MIN(taker->room, sizeof(taker->data) - taker->got);
}

static void taker_receive(void *opaque, const uint8_t *data, size_t size)
{
	struct taker *taker = opaque;

	assert_true(size <= taker_room(taker));
	memcpy(taker->data + taker->got, data, size);
	taker->got += size;
	taker->room -= size;
}

static void taker_hangup(void *opaque, bool open)
{
	struct taker *taker = opaque;

	*(open ? &taker->opens : &taker->closes) += 1;
}

static struct event_loop *loop;
static struct taker taker;
static char folder[] = "/tmp/limen-char-XXXXXX";

static const struct char_client client = {
	.can_receive = taker_room,
	.receive = taker_receive,
	.hangup = taker_hangup,
	.opaque = &taker,
};

static int set_up(void **state)
{
	(void)state;
	memset(&taker, 0, sizeof(taker));
	return event_loop_create(&loop, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	event_loop_destroy(loop);
	return 0;
}

static struct char_backend *open_stream(const char *spec)
{
	struct char_backend *backend = NULL;
	struct error err = { 0 };

	if (char_backend_create(spec, loop, NULL, NULL, &backend, &err) < 0) {
		fail_msg("%s: %s", spec, err.text);
	}
	return backend;
}

static void settle(void)
{
	while (event_loop_iterate(loop, 20)) {
	}
}

static void write_text(struct char_backend *backend, const char *text)
{
	assert_int_equal(char_backend_write(backend, (const uint8_t *)text, strlen(text)),
			 strlen(text));
}

static void test_specifications(void **state)
{
	static const char *const bad[] = { "", "file:", "unix:", "tcp:1", "file:/nowhere/x" };
	struct char_backend *backend;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = { 0 };

		assert_true(char_backend_create(bad[i], loop, NULL, NULL, &backend, &err) < 0);
		assert_true(err.text[0] != '\0');
	}
	backend = open_stream("none");
	write_text(backend, "nobody hears this");
	char_backend_set_client(backend, &client);
	settle();
	char_backend_destroy(backend);
	char_backend_destroy(NULL);
}

static void test_file(void **state)
{
	char spec[64], read_back[4096];
	struct char_backend *backend;
	FILE *file;
	size_t n;

	(void)state;
	snprintf(spec, sizeof(spec), "file:%s/out", folder);
	backend = open_stream(spec);
	for (unsigned int i = 0; i < 1000; i++) {
		write_text(backend, "abc\n");
	}
	char_backend_destroy(backend);
	file = fopen(spec + 5, "r");
	n = fread(read_back, 1, sizeof(read_back), file);
	fclose(file);
	assert_int_equal(n, 4000);
	assert_memory_equal(read_back + 3996, "abc\n", 4);
	unlink(spec + 5);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void test_unix(void **state)
{
	char spec[64], text[64] = { 0 };
	struct char_backend *backend;
	struct stat st;
	int first, second;

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s/sock", folder);
	backend = open_stream(spec);
	assert_int_equal(stat(spec + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	char_backend_set_client(backend, &client);
	assert_int_equal(taker.closes, 1);
	write_text(backend, "before");
	first = connect_to(spec + 5);
	settle();
	assert_int_equal(taker.opens, 1);
	assert_int_equal(read(first, text, sizeof(text)), 6);
	assert_string_equal(text, "before");
	/* A second one is turned away. */
	second = connect_to(spec + 5);
	settle();
	assert_int_equal(read(second, text, sizeof(text)), 0);
	close(second);
	/* No more is taken than there is room for, also after the sender has gone. */
	taker.room = 3;
	assert_int_equal(write(first, "0123456789", 10), 10);
	settle();
	assert_int_equal(taker.got, 3);
	close(first);
	settle();
	assert_int_equal(taker.closes, 1);
	taker.room = 100;
	char_backend_ready(backend);
	settle();
	assert_int_equal(taker.got, 10);
	assert_memory_equal(taker.data, "0123456789", 10);
	assert_int_equal(taker.closes, 2);
	/* The next one may come. */
	second = connect_to(spec + 5);
	settle();
	assert_int_equal(taker.opens, 2);
	write_text(backend, "hello");
	settle();
	assert_int_equal(read(second, text, sizeof(text)), 5);
	char_backend_destroy(backend);
	close(second);
	assert_int_equal(access(spec + 5, F_OK), -1);
}

static void test_unix_names(void **state)
{
	char spec[64];
	struct char_backend *backend;
	struct char_backend *other;
	struct error err = { 0 };
	int fd;

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s/sock", folder);
	backend = open_stream(spec);
	assert_int_equal(char_backend_create(spec, loop, NULL, NULL, &other, &err), -EADDRINUSE);
	char_backend_destroy(backend);
	/* A socket file of a process that died is replaced, another file is not. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&(struct sockaddr_un){ AF_UNIX, "" }, 2), 0);
	close(fd);
	fd = open(spec + 5, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_true(char_backend_create(spec, loop, NULL, NULL, &other, &err) < 0);
	unlink(spec + 5);
}

/* A reader that never reads costs a bounded buffer and no time. */
static void test_slow_reader(void **state)
{
	static uint8_t block[65536];
	char spec[64];
	struct char_backend *backend;
	size_t taken = 0;
	int fd;

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s/sock", folder);
	backend = open_stream(spec);
	fd = connect_to(spec + 5);
	settle();
	for (unsigned int i = 0; i < 64; i++) {
		taken += char_backend_write(backend, block, sizeof(block));
		settle();
	}
	assert_in_range(taken, 1 << 20, 2 << 20);
	close(fd);
	settle();
	char_backend_destroy(backend);
}

static void quit(void *opaque)
{
	*(bool *)opaque = true;
}

/* The other side of the terminal: passes what it gets back in upper case until it may quit. */
static void run_on_terminal(void)
{
	struct char_backend *backend;
	bool done = false;

	if (event_loop_create(&loop, NULL) < 0 ||
	    char_backend_create("stdio", loop, quit, &done, &backend, NULL) < 0) {
		_exit(1);
	}
	char_backend_set_client(backend, &client);
	taker.room = sizeof(taker.data);
	char_backend_write(backend, (const uint8_t *)"ready", 5);
	while (!done) {
		event_loop_iterate(loop, 1000);
		for (size_t i = 0; i < taker.got; i++) {
			taker.data[i] = taker.data[i] == 1 ? '*' : taker.data[i] ^ 0x20;
		}
		char_backend_write(backend, taker.data, taker.got);
		taker.got = 0;
	}
	char_backend_destroy(backend);
	event_loop_destroy(loop);
	_exit(42);
}

static void expect_output(int master, const char *text)
{
	char got[256] = { 0 };
	size_t size = 0;

	while (size < strlen(text)) {
		struct pollfd pfd = { .fd = master, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, 5000), 1);
		n = read(master, got + size, sizeof(got) - 1 - size);
		assert_true(n > 0);
		size += (size_t)n;
	}
	assert_string_equal(got, text);
}

static void test_terminal(void **state)
{
	struct termios before, during, after;
	int master, status;
	pid_t child;

	(void)state;
	child = forkpty(&master, NULL, NULL, NULL);
	assert_true(child >= 0);
	if (child == 0) {
		run_on_terminal();
	}
	expect_output(master, "ready");
	assert_int_equal(tcgetattr(master, &during), 0);
	assert_int_equal(during.c_lflag & (ECHO | ICANON | ISIG), 0);
	assert_int_equal(write(master, "abc\3", 4), 4);
	expect_output(master, "ABC#");
	assert_int_equal(write(master, "\1\1\1c\1", 5), 5);
	expect_output(master, "*");
	assert_int_equal(write(master, "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	close(master);

	/* A fatal signal leaves the terminal as it was, too. */
	child = forkpty(&master, NULL, NULL, NULL);
	if (child == 0) {
		run_on_terminal();
	}
	expect_output(master, "ready");
	tcgetattr(master, &before);
	kill(child, SIGTERM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(tcgetattr(master, &after), 0);
	assert_int_equal(before.c_lflag & (ECHO | ICANON | ISIG), 0);
	assert_int_not_equal(after.c_lflag & (ECHO | ICANON | ISIG), 0);
	close(master);
}

static void test_stdio_without_terminal(void **state)
{
	struct char_backend *backend;
	struct char_backend *other;
	struct error err = { 0 };
	char text[32] = { 0 };
	int saved_in = dup(0), saved_out = dup(1);
	int out[2];
	int fd;

	(void)state;
	fflush(stdout);
	assert_int_equal(pipe(out), 0);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, 0);
	dup2(out[1], 1);
	backend = open_stream("stdio");
	assert_int_equal(char_backend_create("stdio", loop, NULL, NULL, &other, &err), -EBUSY);
	char_backend_set_client(backend, &client);
	taker.room = 100;
	char_backend_ready(backend);
	write_text(backend, "to the pipe");
	settle();
	char_backend_destroy(backend);
	dup2(saved_in, 0);
	dup2(saved_out, 1);
	assert_int_equal(read(out[0], text, sizeof(text)), 11);
	assert_string_equal(text, "to the pipe");
	close(fd);
	close(out[0]);
	close(out[1]);
	close(saved_in);
	close(saved_out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_specifications, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unix, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unix_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_reader, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_terminal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stdio_without_terminal, set_up, tear_down),
	};
	int failed;

	if (!mkdtemp(folder)) {
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
