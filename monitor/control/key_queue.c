/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Key presses with a duration: send-key presses keys, holds them for a while of the host's time and
 * releases them, and the next combination waits for its turn. A queue of steps with a timerfd
 * between them.
 */

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "control_priv.h"

#define STEPS_MAX 1024
#define GAP_MS 10 /* between two combinations, so that a guest can tell them apart */

struct step {
	unsigned int code;
	bool down;
	unsigned int wait_ms; /* after it */
};

struct key_queue {
	struct event_loop *loop;
	struct control_target target;
	int timer_fd;
	struct event_source *source;
	bool waiting;
	size_t first;
	size_t count;
	struct step steps[STEPS_MAX]; /* a ring */
};

static void wait_ms(struct key_queue *queue, unsigned int ms)
{
	struct itimerspec spec = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 },
	};

	queue->waiting = true;
	timerfd_settime(queue->timer_fd, 0, &spec, NULL);
}

static void run_steps(struct key_queue *queue)
{
	const struct control_target *target = &queue->target;

	while (queue->count > 0 && !queue->waiting) {
		struct step step = queue->steps[queue->first];

		queue->first = (queue->first + 1) % STEPS_MAX;
		queue->count--;
		target->ops->key(target->opaque, step.code, step.down);
		if (step.wait_ms > 0) {
			wait_ms(queue, step.wait_ms);
		}
	}
}

static void on_timer(void *opaque, int fd, unsigned int events)
{
	struct key_queue *queue = opaque;
	uint64_t expirations;

	(void)events;
	if (read(fd, &expirations, sizeof(expirations)) == (ssize_t)sizeof(expirations)) {
		queue->waiting = false;
		run_steps(queue);
	}
}

static void put_step(struct key_queue *queue, unsigned int code, bool down, unsigned int wait)
{
	queue->steps[(queue->first + queue->count) % STEPS_MAX] =
		(struct step){ .code = code, .down = down, .wait_ms = wait };
	queue->count++;
}

int key_queue_press(struct key_queue *queue, const unsigned int *codes, size_t count,
		    unsigned int hold_ms)
{
	if (count == 0 || 2 * count > STEPS_MAX - queue->count) {
		return -ENOSPC;
	}
	for (size_t i = 0; i < count; i++) {
		put_step(queue, codes[i], true, i + 1 == count ? MAX(hold_ms, 1u) : 0);
	}
	for (size_t i = count; i-- > 0;) {
		put_step(queue, codes[i], false, i == 0 ? GAP_MS : 0);
	}
	run_steps(queue);
	return 0;
}

int key_queue_create(struct event_loop *loop, const struct control_target *target,
		     struct key_queue **ret_queue, struct error *err)
{
	struct key_queue *queue = calloc(1, sizeof(*queue));
	int r;

	if (queue == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	queue->loop = loop;
	queue->target = *target;
	queue->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (queue->timer_fd < 0) {
		r = error_set(err, errno, "cannot create a timerfd: %s", strerror(errno));
		goto out_destroy;
	}
	r = event_loop_add_fd(loop, queue->timer_fd, EVENT_READ, on_timer, queue, &queue->source);
	if (r < 0) {
		error_set(err, -r, "cannot watch a timerfd: %s", strerror(-r));
		goto out_destroy;
	}
	*ret_queue = queue;
	return 0;

out_destroy:
	key_queue_destroy(queue);
	return r;
}

void key_queue_destroy(struct key_queue *queue)
{
	if (queue == NULL) {
		return;
	}
	event_source_remove(queue->source);
	if (queue->timer_fd >= 0) {
		close(queue->timer_fd);
	}
	free(queue);
}
