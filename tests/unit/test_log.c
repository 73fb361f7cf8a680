/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors and the log: texts are one line whatever they quote, levels change all or not at all, and
 * the budget of a log_limit holds.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"

static void test_error_text(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, ENOENT, "no %s", "disk"), -ENOENT);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "no disk");
	error_prefix(&err, "disk.%d", 3);
	assert_string_equal(err.text, "disk.3: no disk");
	error_set(&err, EINVAL, "again: %s", err.text);
	assert_string_equal(err.text, "again: disk.3: no disk");
	error_set(&err, EINVAL, "a\nb\033[1m");
	assert_string_equal(err.text, "a?b?[1m");
	assert_int_equal(error_set(NULL, EIO, "nobody reads"), -EIO);
	error_prefix(NULL, "nobody reads");
}

static void test_error_long(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, EINVAL, "%0600d", 0);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_prefix(&err, "%0600d", 1);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_levels(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_true(log_enabled(LOG_AREA_BLOCK, LOG_LEVEL_WARN));
	assert_false(log_enabled(LOG_AREA_BLOCK, LOG_LEVEL_INFO));
	assert_int_equal(log_set_levels("block=trace,net=error", &err), 0);
	assert_true(log_enabled(LOG_AREA_BLOCK, LOG_LEVEL_TRACE));
	assert_false(log_enabled(LOG_AREA_NET, LOG_LEVEL_WARN));
	assert_false(log_enabled(LOG_AREA_CPU, LOG_LEVEL_INFO));
	assert_int_equal(log_set_levels("debug,block=nonsense", &err), -EINVAL);
	assert_non_null(strstr(err.text, "nonsense"));
	assert_false(log_enabled(LOG_AREA_CPU, LOG_LEVEL_DEBUG));
	assert_int_equal(log_set_levels("blocks=trace", &err), -EINVAL);
	assert_non_null(strstr(err.text, "blocks"));
	assert_int_equal(log_set_levels("", &err), -EINVAL);
	assert_int_equal(log_set_levels("warn", &err), 0);
	assert_false(log_enabled(LOG_AREA_BLOCK, LOG_LEVEL_INFO));
}

static void test_line(void **state)
{
	char text[2048] = { 0 };
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	log_set_fd(pipe_fds[1]);
	log_warn(LOG_AREA_NET, "guest says %s", "x\r\ny");
	log_info(LOG_AREA_NET, "not written");
	log_error(LOG_AREA_CPU, "%02000d", 0);
	log_set_fd(STDERR_FILENO);
	assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
	assert_memory_equal(text, "limen: net: guest says x??y\nlimen: cpu: 000", 43);
	assert_int_equal(strlen(text), 28 + 1024);
	assert_int_equal(text[strlen(text) - 1], '\n');
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_limit(void **state)
{
	struct log_limit limit = { 0 };
	unsigned int passed = 0;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		passed += log_limit_pass(&limit);
	}
	assert_in_range(passed, 8, 9);
	assert_in_range(limit.dropped, 900, 992);
	/* A second later one more passes, and says how many did not. */
	limit.last_ns -= NS_PER_S;
	log_set_levels("error", NULL);
	assert_true(log_limit_pass(&limit));
	log_set_levels("warn", NULL);
	assert_int_equal(limit.dropped, 0);
	assert_false(log_limit_pass(&limit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_text), cmocka_unit_test(test_error_long),
		cmocka_unit_test(test_levels),	   cmocka_unit_test(test_line),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
