/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_WORKER_POOL_H
#define LIMEN_BASE_WORKER_POOL_H

/*
 * Threads for work that blocks (file operations without an asynchronous form, compression).
 */

#include "base/event_loop.h"
#include "base/types.h"

struct worker_pool;

/**
 * struct worker_job - one piece of work, embedded in its owner
 * @work: runs on a worker thread
 * @done: runs afterwards on the thread of @loop; NULL when nobody waits
 */
struct worker_job {
	void (*work)(struct worker_job *job);
	void (*done)(struct worker_job *job);
	struct event_loop *loop;
	struct event_task task;
	struct list node;
};

/** worker_pool_create() - @threads workers, started when first needed. */
int worker_pool_create(const char *name, unsigned int threads, struct worker_pool **ret_pool,
		       struct error *err);

/** worker_pool_submit() - any thread; @job stays the caller's and must live until it is done. */
void worker_pool_submit(struct worker_pool *pool, struct worker_job *job);

/** worker_pool_destroy() - finishes what is queued, joins the threads. NULL is allowed. */
void worker_pool_destroy(struct worker_pool *pool);

#endif
