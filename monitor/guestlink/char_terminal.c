/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal in raw mode, so that a serial console works as one: no echo, no line editing, and
 * Ctrl-C is the guest's. The person's settings come back on every way out: char_terminal_leave(),
 * exit(3), and the signals that end a process by default. Handlers that others have installed stay;
 * they lead to one of the other ways.
 *
 * A process has one controlling terminal, and handlers have no argument, so this is one of the few
 * parts whose state is the process's and not a machine's.
 */

#include "guestlink/char_stream.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Written before @entered is set, and then only read. */
static struct {
	_Atomic bool entered;
	_Atomic bool hooked;
	int fd;
	struct termios saved;
} terminal;

/* Async-signal-safe. A background process must not be stopped for setting the terminal. */
static void restore(void)
{
	sigset_t ttou;
	sigset_t old;

	if (!atomic_exchange(&terminal.entered, false)) {
		return;
	}
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	tcsetattr(terminal.fd, TCSADRAIN, &terminal.saved);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* SA_RESETHAND has put the default action back: the signal, raised again, ends the process. */
static void on_fatal_signal(int number)
{
	restore();
	raise(number);
}

static void hook_exits(void)
{
	static const int fatal[] = { SIGHUP, SIGQUIT, SIGILL, SIGABRT, SIGFPE,
				     SIGSEGV, SIGBUS, SIGSYS, SIGALRM, SIGTERM, SIGINT };
	struct sigaction action = { .sa_handler = on_fatal_signal, .sa_flags = SA_RESETHAND };

	if (atomic_exchange(&terminal.hooked, true)) {
		return;
	}
	atexit(restore);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		struct sigaction now;

		if (sigaction(fatal[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
		    now.sa_handler == SIG_DFL) {
			sigaction(fatal[i], &action, NULL);
		}
	}
}

int char_terminal_enter(int fd)
{
	struct termios raw;

	if (atomic_load(&terminal.entered)) {
		return -EBUSY;
	}
	if (tcgetattr(fd, &terminal.saved) < 0) {
		return -errno;
	}
	raw = terminal.saved;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL |
				   IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal.fd = fd;
	hook_exits();
	atomic_store(&terminal.entered, true);
	if (tcsetattr(fd, TCSANOW, &raw) < 0) {
		atomic_store(&terminal.entered, false);
		return -errno;
	}
	return 0;
}

void char_terminal_leave(void)
{
	restore();
}
