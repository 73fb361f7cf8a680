/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_THREAD_H
#define LIMEN_BASE_THREAD_H

/*
 * Threads with a name and no signals. Every thread of the monitor but the first is started here, so
 * that signals meant for the process (SIGINT, SIGTERM, SIGCHLD) arrive on the main thread only.
 */

#include <pthread.h>

#include "base/types.h"

/**
 * thread_start() - run @fn(@opaque) on a new thread
 * @name: shown by ps and debuggers, cut to 15 bytes
 * @ret_thread: to be joined by the caller
 *
 * The thread starts with every signal blocked but those that a fault of its own raises. Return: 0
 * or -errno.
 */
int thread_start(const char *name, void *(*fn)(void *opaque), void *opaque, pthread_t *ret_thread);

#endif
