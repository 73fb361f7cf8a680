/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of threads for work that blocks. Threads are started one at a time, when a job is queued
 * and none is idle, and live until the pool goes: a machine whose disks are all asynchronous never
 * starts one.
 */

#include "base/worker_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"

struct worker_pool {
	char name[16];
	unsigned int max_threads;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wanted;
	struct list jobs;
	unsigned int queued;
	unsigned int idle;
	unsigned int started;
	bool closing;
	pthread_t threads[];
};

static void finish_job(void *opaque)
{
	struct worker_job *job = opaque;

	job->done(job);
}

static void run_job(struct worker_job *job)
{
	/* Without a completion the job may be freed by its own work. */
	bool has_done = job->done != NULL;

	job->work(job);
	if (has_done) {
		job->task = (struct event_task){ .fn = finish_job, .opaque = job };
		event_loop_post(job->loop, &job->task);
	}
}

static void *worker_main(void *opaque)
{
	struct worker_pool *pool = opaque;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct list *node = list_first(&pool->jobs);

		if (node != NULL) {
			list_remove(node);
			pool->queued--;
			pthread_mutex_unlock(&pool->lock);
			run_job(container_of(node, struct worker_job, node));
			pthread_mutex_lock(&pool->lock);
		} else if (pool->closing) {
			break;
		} else {
			pool->idle++;
			pthread_cond_wait(&pool->wanted, &pool->lock);
			pool->idle--;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int worker_pool_create(const char *name, unsigned int threads, struct worker_pool **ret_pool,
		       struct error *err)
{
	struct worker_pool *pool;

	pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
	if (pool == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	strncpy(pool->name, name, sizeof(pool->name) - 1);
	pool->max_threads = threads;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wanted, NULL);
	list_init(&pool->jobs);
	*ret_pool = pool;
	return 0;
}

/* Return: whether some thread will take the queued jobs. */
static bool ensure_worker_locked(struct worker_pool *pool)
{
	if (pool->queued > pool->idle && pool->started < pool->max_threads) {
		int r = thread_start(pool->name, worker_main, pool, &pool->threads[pool->started]);

		if (r == 0) {
			pool->started++;
		} else {
			log_warn(LOG_AREA_BASE, "cannot start thread '%s': %s", pool->name,
				 strerror(-r));
		}
	}
	return pool->started > 0;
}

void worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
	bool served;

	pthread_mutex_lock(&pool->lock);
	list_append(&pool->jobs, &job->node);
	pool->queued++;
	served = ensure_worker_locked(pool);
	if (!served) {
		list_remove(&job->node);
		pool->queued--;
	} else {
		pthread_cond_signal(&pool->wanted);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!served) {
		/* A host that has no thread left to give: slow, but every job completes. */
		run_job(job);
	}
}

void worker_pool_destroy(struct worker_pool *pool)
{
	if (pool == NULL) {
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->wanted);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->started; i++) {
		pthread_join(pool->threads[i], NULL);
	}
	pthread_cond_destroy(&pool->wanted);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
