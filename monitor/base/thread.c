/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thread creation. A new thread inherits the signal mask of its creator, so the mask is set around
 * the creation: there is then no moment in which the new thread could take a signal of the process.
 * The signals of faults stay open, because a blocked one would kill the process without its
 * handler.
 */

#include "base/thread.h"

#include <signal.h>
#include <stdio.h>

int thread_start(const char *name, void *(*fn)(void *opaque), void *opaque, pthread_t *ret_thread)
{
	static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	sigset_t blocked;
	sigset_t before;
	pthread_t thread;
	char short_name[16];
	int r;

	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(fault_signals); i++) {
		sigdelset(&blocked, fault_signals[i]);
	}
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	r = pthread_create(&thread, NULL, fn, opaque);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0) {
		return -r;
	}
	snprintf(short_name, sizeof(short_name), "%s", name);
	pthread_setname_np(thread, short_name);
	*ret_thread = thread;
	return 0;
}
