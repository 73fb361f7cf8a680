/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log. Levels and the descriptor belong to the process, as stderr does, and are therefore the
 * one piece of state here that hangs off no struct of a machine. Each line goes out in one write(),
 * so that lines of several threads do not mix and none is lost when the process dies; there is no
 * buffer.
 */

#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define LOG_LINE_MAX	1024
#define LOG_LIMIT_BURST 8

static const char *const area_names[LOG_AREA_COUNT] = {
	[LOG_AREA_BASE] = "base",	[LOG_AREA_MEMORY] = "memory",
	[LOG_AREA_BUS] = "bus",		[LOG_AREA_ENGINE] = "engine",
	[LOG_AREA_CPU] = "cpu",		[LOG_AREA_DEVICE] = "device",
	[LOG_AREA_BLOCK] = "block",	[LOG_AREA_NET] = "net",
	[LOG_AREA_DISPLAY] = "display", [LOG_AREA_MACHINE] = "machine",
	[LOG_AREA_STATE] = "state",	[LOG_AREA_CONTROL] = "control",
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",	  [LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
};

static struct {
	/* How far each area's level lies above LOG_LEVEL_WARN, so that zero is the default. */
	_Atomic int above_warn[LOG_AREA_COUNT];
	_Atomic int fd_plus_one; /* 0: stderr */
} log_state;

bool log_enabled(enum log_area area, enum log_level level)
{
	return (int)level - LOG_LEVEL_WARN <=
	       atomic_load_explicit(&log_state.above_warn[area], memory_order_relaxed);
}

static void write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return;
		}
		text += n;
		size -= (size_t)n;
	}
}

void log_write(enum log_area area, enum log_level level, const char *fmt, ...)
{
	int fd = atomic_load_explicit(&log_state.fd_plus_one, memory_order_relaxed);
	int saved_errno = errno;
	char line[LOG_LINE_MAX];
	va_list args;
	int head;
	int body;
	size_t end;

	(void)level;
	head = snprintf(line, sizeof(line), "limen: %s: ", area_names[area]);
	va_start(args, fmt);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, args);
	va_end(args);
	end = MIN((size_t)head + (size_t)MAX(body, 0), sizeof(line) - 1);
	for (size_t i = (size_t)head; i < end; i++) {
		/* What guests and files provide must not steer the terminal. */
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
			line[i] = '?';
		}
	}
	line[end] = '\n';
	write_all(fd == 0 ? STDERR_FILENO : fd - 1, line, end + 1);
	errno = saved_errno;
}

static int find_name(const char *const *names, size_t count, const char *name, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) {
			return (int)i;
		}
	}
	return -1;
}

/* One "level" or "area=level" of a specification. */
static int parse_item(const char *item, size_t size, int *levels, struct error *err)
{
	const char *equals = memchr(item, '=', size);
	const char *level_text = equals != NULL ? equals + 1 : item;
	size_t level_size = size - (size_t)(level_text - item);
	int level = find_name(level_names, ARRAY_SIZE(level_names), level_text, level_size);
	int area;

	if (level < 0) {
		return error_set(
			err, EINVAL,
			"unknown log level '%.*s' (error, warn, info, debug and trace exist)",
			(int)level_size, level_text);
	}
	if (equals == NULL) {
		for (size_t i = 0; i < LOG_AREA_COUNT; i++) {
			levels[i] = level;
		}
		return 0;
	}
	area = find_name(area_names, LOG_AREA_COUNT, item, (size_t)(equals - item));
	if (area < 0) {
		return error_set(
			err, EINVAL,
			"unknown log area '%.*s' (base, memory, bus, engine, cpu, device, block, "
			"net, display, machine, state and control exist)",
			(int)(equals - item), item);
	}
	levels[area] = level;
	return 0;
}

int log_set_levels(const char *spec, struct error *err)
{
	int levels[LOG_AREA_COUNT];

	for (size_t i = 0; i < LOG_AREA_COUNT; i++) {
		levels[i] = LOG_LEVEL_WARN + atomic_load(&log_state.above_warn[i]);
	}
	for (const char *item = spec;;) {
		size_t size = strcspn(item, ",");
		int r = parse_item(item, size, levels, err);

		if (r < 0) {
			return r;
		}
		if (item[size] == '\0') {
			break;
		}
		item += size + 1;
	}
	for (size_t i = 0; i < LOG_AREA_COUNT; i++) {
		atomic_store(&log_state.above_warn[i], levels[i] - LOG_LEVEL_WARN);
	}
	return 0;
}

void log_set_fd(int fd)
{
	atomic_store(&log_state.fd_plus_one, fd == STDERR_FILENO ? 0 : fd + 1);
}

static uint64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

bool log_limit_pass(struct log_limit *limit)
{
	uint64_t now = host_ns();
	uint64_t last = atomic_load(&limit->last_ns);
	uint32_t dropped;

	if (atomic_load(&limit->spent) < LOG_LIMIT_BURST &&
	    atomic_fetch_add(&limit->spent, 1) < LOG_LIMIT_BURST) {
		atomic_store(&limit->last_ns, now);
		return true;
	}
	/*
	 * Of several threads that come here in one moment, the one whose exchange succeeds may
	 * write.
	 */
	if (now - last < NS_PER_S || now < last ||
	    !atomic_compare_exchange_strong(&limit->last_ns, &last, now)) {
		atomic_fetch_add(&limit->dropped, 1);
		return false;
	}
	dropped = atomic_exchange(&limit->dropped, 0);
	if (dropped > 0) {
		log_warn(LOG_AREA_BASE, "%u lines like the next one were dropped", dropped);
	}
	return true;
}
