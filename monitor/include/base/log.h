/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_LOG_H
#define LIMEN_BASE_LOG_H

/*
 * Logging by category, each with a level that can be changed while the machine runs. Lines go to
 * stderr (or the machine's log file) as "limen: area: text". All functions may be called from any
 * thread.
 */

#include "base/types.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
};

enum log_area {
	LOG_AREA_BASE,
	LOG_AREA_MEMORY,
	LOG_AREA_BUS,
	LOG_AREA_ENGINE,
	LOG_AREA_CPU,
	LOG_AREA_DEVICE,
	LOG_AREA_BLOCK,
	LOG_AREA_NET,
	LOG_AREA_DISPLAY,
	LOG_AREA_MACHINE,
	LOG_AREA_STATE,
	LOG_AREA_CONTROL,
	LOG_AREA_COUNT,
};

/** log_enabled() - whether a line of this area and level would be written; one relaxed load. */
bool log_enabled(enum log_area area, enum log_level level);

/** log_write() - write one line; use the log_* macros, which skip the formatting when it is off. */
void log_write(enum log_area area, enum log_level level, const char *fmt, ...) LIMEN_PRINTF(3, 4);

/**
 * log_set_levels() - change levels, as `--log` and the control socket do
 * @spec: "debug" (all areas) or "block=trace,net=warn"
 * @err: names the unknown area or level
 *
 * Return: 0 or -EINVAL; on failure no level has changed.
 */
struct error;
int log_set_levels(const char *spec, struct error *err);

/** log_set_fd() - where lines go from now on (default 2); the descriptor stays the caller's. */
void log_set_fd(int fd);

#define log_at(area, level, ...)                                       \
	do {                                                           \
		if (log_enabled(area, level)) {                        \
			log_write(area, level, __VA_ARGS__);           \
		}                                                      \
	} while (0)
#define log_error(area, ...) log_at(area, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(area, ...) log_at(area, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(area, ...) log_at(area, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(area, ...) log_at(area, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(area, ...) log_at(area, LOG_LEVEL_TRACE, __VA_ARGS__)

/**
 * struct log_limit - a budget of lines for what a guest can provoke
 *
 * Zero-initialised, it lets 8 lines through and then one a second, each saying how many were
 * dropped.
 */
struct log_limit {
	_Atomic uint64_t last_ns;
	_Atomic uint32_t spent;
	_Atomic uint32_t dropped;
};

/** log_limit_pass() - whether a line may be written now; thread-safe. */
bool log_limit_pass(struct log_limit *limit);

#endif
