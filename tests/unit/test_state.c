/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saved states: a round trip through every type of field and through memory, refusal of every
 * truncation and every flipped byte of a small file, and of files that are well-formed but not of
 * this machine.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "state/state.h"

struct inner {
	uint32_t value;
	uint8_t bytes[3];
};

static const struct state_table inner_table = {
	.version = 3,
	.fields =
		(const struct state_field[]){
			STATE_FIELD(struct inner, value),
			STATE_FIELD_BYTES(struct inner, bytes),
			STATE_FIELDS_END,
		},
};

struct part {
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	bool flag;
	uint16_t array[5];
	uint8_t bytes[7];
	struct inner inner;
	struct inner inners[3];
	struct timer timer;
	struct timer idle;
	char *blob;
	unsigned int saved;
	unsigned int loaded;
};

static void part_pre_save(void *base)
{
	((struct part *)base)->saved++;
}

static int part_post_load(void *base, struct error *err)
{
	struct part *part = base;

	part->loaded++;
	/* Timers are armed only when the values have been accepted. */
	assert_true(timer_deadline(&part->timer) == TIMER_NEVER);
	return part->u8 == 0xff ? error_set(err, EINVAL, "u8 cannot be 255") : 0;
}

static int part_save_blob(void *base, void **ret_data, size_t *ret_size)
{
	struct part *part = base;

	*ret_data = strdup(part->blob);
	*ret_size = strlen(part->blob);
	return *ret_data != NULL ? 0 : -ENOMEM;
}

static int part_load_blob(void *base, const void *data, size_t size, struct error *err)
{
	struct part *part = base;

	if (size > 0 && memchr(data, '!', size) != NULL) {
		return error_set(err, EINVAL, "a bad letter");
	}
	free(part->blob);
	part->blob = strndup(data, size);
	return 0;
}

#define PART_FIELDS                                                                          \
	STATE_FIELD(struct part, u8), STATE_FIELD(struct part, u16),                         \
		STATE_FIELD(struct part, u32), STATE_FIELD(struct part, u64),                \
		STATE_FIELD_BOOL(struct part, flag), STATE_FIELD_ARRAY(struct part, array),  \
		STATE_FIELD_BYTES(struct part, bytes),                                       \
		STATE_FIELD_STRUCT(struct part, inner, 1, &inner_table),                     \
		STATE_FIELD_STRUCT(struct part, inners, 3, &inner_table),                    \
		STATE_FIELD_TIMER(struct part, timer), STATE_FIELD_TIMER(struct part, idle), \
	{                                                                                    \
		.name = "blob", .type = STATE_BLOB, .save_blob = part_save_blob,             \
		.load_blob = part_load_blob, .max_size = 16                                  \
	}

static const struct state_table part_table = {
	.version = 7,
	.fields = (const struct state_field[]){ PART_FIELDS, STATE_FIELDS_END },
	.pre_save = part_pre_save,
	.post_load = part_post_load,
};

#define MEMORY_SIZE (16 * GUEST_PAGE_SIZE)

struct fixture {
	char folder[32];
	char file[64];
	struct machine_clock *clock;
	uint8_t *memory;
};

static void on_timer(void *opaque)
{
	(void)opaque;
}

static void part_init(struct part *part, struct machine_clock *clock)
{
	memset(part, 0, sizeof(*part));
	timer_init(&part->timer, clock, NULL, on_timer, NULL);
	timer_init(&part->idle, clock, NULL, on_timer, NULL);
	part->blob = strdup("");
}

static void part_fill(struct part *part)
{
	part->u8 = 0x12;
	part->u16 = 0x3456;
	part->u32 = 0x789abcde;
	part->u64 = UINT64_C(0x0123456789abcdef);
	part->flag = true;
	memcpy(part->bytes, "\0\1\2\3\4\5\6", 7);
	for (uint16_t i = 0; i < 5; i++) {
		part->array[i] = (uint16_t)(1000 + i);
	}
	part->inner = (struct inner){ 42, { 1, 2, 3 } };
	for (uint32_t i = 0; i < 3; i++) {
		part->inners[i] = (struct inner){ i, { 9, 8, 7 } };
	}
	timer_arm(&part->timer, 123456789);
	free(part->blob);
	part->blob = strdup("some blob");
}

static void part_finish(struct part *part)
{
	timer_finish(&part->timer);
	timer_finish(&part->idle);
	free(part->blob);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/limen-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->file, sizeof(fixture->file), "%s/state", fixture->folder);
	assert_int_equal(machine_clock_create(NULL, &fixture->clock, NULL), 0);
	fixture->memory = calloc(1, MEMORY_SIZE);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->file);
	/* Fails when something else was left behind. */
	assert_int_equal(rmdir(fixture->folder), 0);
	machine_clock_destroy(fixture->clock);
	free(fixture->memory);
	free(fixture);
	return 0;
}

static void save(struct fixture *fixture, struct part *part)
{
	struct state_writer *writer;
	struct error err = { 0 };

	assert_int_equal(state_writer_create(fixture->file, &writer, &err), 0);
	assert_int_equal(state_write_config(writer, "cpus", "2", &err), 0);
	assert_int_equal(state_write_config(writer, "boot.append", "", &err), 0);
	assert_int_equal(state_write_section(writer, "part", 0, &part_table, part, &err), 0);
	assert_int_equal(state_write_section(writer, "part", 1, &inner_table, &part->inner, &err),
			 0);
	assert_int_equal(state_write_memory(writer, "ram", fixture->memory, MEMORY_SIZE, -1, &err),
			 0);
	assert_int_equal(state_writer_commit(writer, &err), 0);
}

static int load(struct fixture *fixture, struct part *part, struct error *err)
{
	struct state_reader *reader;
	int r;

	r = state_reader_open(fixture->file, &reader, err);
	if (r < 0) {
		return r;
	}
	r = state_read_section(reader, "part", 0, &part_table, part, err);
	r = r < 0 ? r : state_read_section(reader, "part", 1, &inner_table, &part->inner, err);
	r = r < 0 ? r : state_read_memory(reader, "ram", fixture->memory, MEMORY_SIZE, -1, err);
	r = r < 0 ? r : state_reader_finish(reader, err);
	state_reader_close(reader);
	return r;
}

static int check_config(void *opaque, const char *key, const char *value)
{
	unsigned int *count = opaque;

	assert_string_equal(key, *count == 0 ? "cpus" : "boot.append");
	assert_string_equal(value, *count == 0 ? "2" : "");
	(*count)++;
	return 0;
}

static int stop_at_once(void *opaque, const char *key, const char *value)
{
	(void)key;
	(void)value;
	(*(unsigned int *)opaque)++;
	return -ECANCELED;
}

static void test_round_trip(void **state)
{
	struct fixture *fixture = *state;
	struct state_reader *reader;
	struct error err = { 0 };
	unsigned int count = 0;
	struct part from;
	struct part to;
	struct stat st;

	part_init(&from, fixture->clock);
	part_fill(&from);
	part_init(&to, fixture->clock);
	timer_arm(&to.idle, 55);
	for (size_t i = 0; i < MEMORY_SIZE; i++) {
		/* Pages 0, 1, 5 and the last. */
		size_t page = i / GUEST_PAGE_SIZE;

		if (page < 2 || page == 5 || page == 15) {
			fixture->memory[i] = (uint8_t)(i * 7 + page);
		}
	}
	save(fixture, &from);
	assert_int_equal(from.saved, 1);
	assert_int_equal(stat(fixture->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	memset(fixture->memory, 0xee, MEMORY_SIZE);
	if (load(fixture, &to, &err) < 0) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(to.loaded, 1);
	assert_memory_equal(&from, &to, offsetof(struct part, timer));
	assert_int_equal(timer_deadline(&to.timer), 123456789);
	assert_true(timer_deadline(&to.idle) == TIMER_NEVER);
	assert_string_equal(to.blob, "some blob");
	for (size_t i = 0; i < MEMORY_SIZE; i++) {
		size_t page = i / GUEST_PAGE_SIZE;
		bool saved = page < 2 || page == 5 || page == 15;

		assert_int_equal(fixture->memory[i], saved ? (uint8_t)(i * 7 + page) : 0);
	}
	assert_int_equal(state_reader_open(fixture->file, &reader, &err), 0);
	assert_int_equal(state_reader_for_each_config(reader, check_config, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(state_reader_for_each_config(reader, stop_at_once, &count, &err),
			 -ECANCELED);
	assert_int_equal(count, 3);
	assert_true(state_reader_has_section(reader, "part", 1));
	assert_false(state_reader_has_section(reader, "part", 2));
	state_reader_close(reader);
	part_finish(&from);
	part_finish(&to);
}

static uint8_t *read_all(const char *file, size_t *ret_size)
{
	FILE *stream = fopen(file, "rb");
	uint8_t *data = malloc(1 << 20);

	assert_non_null(stream);
	*ret_size = fread(data, 1, 1 << 20, stream);
	fclose(stream);
	return data;
}

static void write_all(const char *file, const uint8_t *data, size_t size)
{
	FILE *stream = fopen(file, "wb");

	assert_non_null(stream);
	assert_int_equal(fwrite(data, 1, size, stream), size);
	fclose(stream);
}

static void expect_refusal(struct fixture *fixture, const char *what, size_t where)
{
	struct error err = { 0 };
	struct part part;
	struct part before;

	part_init(&part, fixture->clock);
	before = part;
	if (load(fixture, &part, &err) >= 0) {
		fail_msg("%s at %zu was accepted", what, where);
	}
	if (strncmp(err.text, fixture->file, strlen(fixture->file)) != 0) {
		fail_msg("%s at %zu: %s", what, where, err.text);
	}
	assert_memory_equal(&part, &before, offsetof(struct part, timer));
	part_finish(&part);
}

static void test_damage(void **state)
{
	struct fixture *fixture = *state;
	struct part part;
	uint8_t *data;
	size_t size;

	part_init(&part, fixture->clock);
	part_fill(&part);
	memset(fixture->memory + 3 * GUEST_PAGE_SIZE, 1, 100);
	save(fixture, &part);
	data = read_all(fixture->file, &size);
	assert_in_range(size, 500, 5000);
	for (size_t i = 0; i < size; i++) {
		write_all(fixture->file, data, i);
		expect_refusal(fixture, "an end", i);
	}
	for (size_t i = 0; i < size; i++) {
		data[i] ^= (uint8_t)(1 << (i % 8));
		write_all(fixture->file, data, size);
		expect_refusal(fixture, "a flipped bit", i);
		data[i] ^= (uint8_t)(1 << (i % 8));
	}
	data = realloc(data, size + 1);
	data[size] = 0;
	write_all(fixture->file, data, size + 1);
	expect_refusal(fixture, "a byte too many", size);
	free(data);
	part_finish(&part);
}

/* Well-formed states of other machines: tables that differ in one thing each. */
static const struct state_field shorter[] = { STATE_FIELD(struct part, u8), STATE_FIELDS_END };
static const struct state_field longer[] = { PART_FIELDS, STATE_FIELD(struct part, saved),
					     STATE_FIELDS_END };
static const struct state_field reordered[] = { STATE_FIELD(struct part, u16),
						STATE_FIELD(struct part, u8), STATE_FIELDS_END };
static const struct state_field renamed[] = {
	{ .name = "other", .type = STATE_U8, .offset = 0, .size = 1, .count = 1 }, STATE_FIELDS_END
};
static const struct state_field retyped[] = {
	{ .name = "u8", .type = STATE_BOOL, .offset = 0, .size = 1, .count = 1 }, STATE_FIELDS_END
};
static const struct state_field widened[] = {
	{ .name = "u8", .type = STATE_U8, .offset = 0, .size = 2, .count = 1 }, STATE_FIELDS_END
};
static const struct state_field repeated[] = {
	{ .name = "u8", .type = STATE_U8, .offset = 0, .size = 1, .count = 3 }, STATE_FIELDS_END
};

static const struct {
	struct state_table table;
	const char *text;
} other_tables[] = {
	{ { .version = 8, .fields = shorter }, "version 8" },
	{ { .version = 7, .fields = shorter }, "section 'part': field 'u16' is missing" },
	{ { .version = 7, .fields = longer }, "unknown field" },
	{ { .version = 7, .fields = reordered }, "field 'u8' is missing" },
	{ { .version = 7, .fields = renamed }, "field 'other' is unknown" },
	{ { .version = 7, .fields = retyped }, "field 'u8' has another type" },
	{ { .version = 7, .fields = widened }, "field 'u8' has a wrong size" },
	{ { .version = 7, .fields = repeated }, "field 'u8' has 3 elements, not 1" },
};

static void expect_error(struct fixture *fixture, const char *text)
{
	struct error err = { 0 };
	struct part part;

	part_init(&part, fixture->clock);
	assert_true(load(fixture, &part, &err) < 0);
	if (strstr(err.text, text) == NULL) {
		fail_msg("'%s' is not in: %s", text, err.text);
	}
	part_finish(&part);
}

static void test_other_tables(void **state)
{
	struct fixture *fixture = *state;
	struct part part;

	part_init(&part, fixture->clock);
	part_fill(&part);
	for (size_t i = 0; i < ARRAY_SIZE(other_tables); i++) {
		struct state_writer *writer;

		assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
		assert_int_equal(
			state_write_section(writer, "part", 0, &other_tables[i].table, &part, NULL),
			0);
		assert_int_equal(state_writer_commit(writer, NULL), 0);
		expect_error(fixture, other_tables[i].text);
	}
	part_finish(&part);
}

static void test_bad_values(void **state)
{
	struct fixture *fixture = *state;
	struct part part;
	uint8_t not_bool = 2;

	part_init(&part, fixture->clock);
	part_fill(&part);
	part.u8 = 0xff;
	save(fixture, &part);
	expect_error(fixture, "section 'part': u8 cannot be 255");
	part.u8 = 0;
	memcpy(&part.flag, &not_bool, 1);
	save(fixture, &part);
	expect_error(fixture, "field 'flag' is neither 0 nor 1");
	part.flag = false;
	part.blob[0] = '!';
	save(fixture, &part);
	expect_error(fixture, "field 'blob': a bad letter");
	part.blob[0] = 'x';
	timer_arm(&part.timer, (uint64_t)INT64_MAX + 1);
	save(fixture, &part);
	expect_error(fixture, "field 'timer' has a deadline that cannot be");
	part_finish(&part);
}

static void test_long_blob(void **state)
{
	struct fixture *fixture = *state;
	struct state_writer *writer;
	struct error err = { 0 };
	struct part part;

	part_init(&part, fixture->clock);
	free(part.blob);
	part.blob = strdup("longer than the sixteen");
	assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
	assert_int_equal(state_write_section(writer, "part", 0, &part_table, &part, &err),
			 -EOVERFLOW);
	state_writer_abort(writer);
	assert_int_equal(access(fixture->file, F_OK), -1);
	part_finish(&part);
}

static void test_sections(void **state)
{
	struct fixture *fixture = *state;
	struct state_writer *writer;
	struct part part;

	part_init(&part, fixture->clock);
	assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
	assert_int_equal(state_writer_commit(writer, NULL), 0);
	expect_error(fixture, "section 'part' is missing");

	assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
	state_write_section(writer, "part", 0, &part_table, &part, NULL);
	state_write_section(writer, "part", 1, &inner_table, &part.inner, NULL);
	state_write_section(writer, "part", 1, &inner_table, &part.inner, NULL);
	assert_int_equal(state_writer_commit(writer, NULL), 0);
	expect_error(fixture, "a record is there twice");

	assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
	state_write_section(writer, "part", 0, &part_table, &part, NULL);
	state_write_section(writer, "part", 1, &inner_table, &part.inner, NULL);
	state_write_memory(writer, "ram", fixture->memory, GUEST_PAGE_SIZE, -1, NULL);
	assert_int_equal(state_writer_commit(writer, NULL), 0);
	expect_error(fixture, "memory 'ram' was of 4 KiB, but is of 64 KiB now");

	assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
	state_write_section(writer, "part", 0, &part_table, &part, NULL);
	state_write_section(writer, "part", 1, &inner_table, &part.inner, NULL);
	state_write_section(writer, "more", 0, &inner_table, &part.inner, NULL);
	state_write_memory(writer, "ram", fixture->memory, MEMORY_SIZE, -1, NULL);
	assert_int_equal(state_writer_commit(writer, NULL), 0);
	expect_error(fixture, "section 'more' belongs to nothing");
	part_finish(&part);
}

/* Of a sparse memfd, what is not there is neither written nor made by saving or loading. */
static void test_sparse(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t size = MIB(256);
	struct state_writer *writer;
	struct state_reader *reader;
	struct stat st;
	uint8_t *host;
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(host != MAP_FAILED);
	memset(host + MIB(3), 0x55, MIB(2) + GUEST_PAGE_SIZE);
	memset(host + size - 1, 0x66, 1);
	assert_int_equal(state_writer_create(fixture->file, &writer, NULL), 0);
	assert_int_equal(state_write_memory(writer, "ram", host, size, fd, NULL), 0);
	assert_int_equal(state_writer_commit(writer, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)MIB(8));

	memset(host, 0x77, MIB(16));
	assert_int_equal(state_reader_open(fixture->file, &reader, NULL), 0);
	assert_int_equal(state_read_memory(reader, "ram", host, size, fd, NULL), 0);
	assert_int_equal(state_reader_finish(reader, NULL), 0);
	state_reader_close(reader);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)MIB(8));
	assert_int_equal(host[MIB(3)], 0x55);
	assert_int_equal(host[MIB(5) + GUEST_PAGE_SIZE - 1], 0x55);
	assert_int_equal(host[MIB(5) + GUEST_PAGE_SIZE], 0);
	assert_int_equal(host[0], 0);
	assert_int_equal(host[size - 1], 0x66);
	munmap(host, size);
	close(fd);
}

static void test_bad_files(void **state)
{
	struct fixture *fixture = *state;
	struct state_reader *reader;
	struct state_writer *writer;
	struct error err = { 0 };

	assert_int_equal(state_reader_open(fixture->file, &reader, &err), -ENOENT);
	assert_int_equal(state_reader_open(fixture->folder, &reader, &err), -EINVAL);
	write_all(fixture->file, (const uint8_t *)"LIMENSAV\2\0\0\0\0\0\0\0", 16);
	assert_int_equal(state_reader_open(fixture->file, &reader, &err), -EINVAL);
	assert_non_null(strstr(err.text, "format 2"));
	write_all(fixture->file, (const uint8_t *)"#!/bin/sh\necho hello\n", 21);
	assert_int_equal(state_reader_open(fixture->file, &reader, &err), -EINVAL);
	assert_non_null(strstr(err.text, "this is not a saved state"));
	assert_int_equal(state_writer_create(fixture->folder, &writer, &err), -EINVAL);
	assert_int_equal(state_writer_create("/dev/full", &writer, &err), -EINVAL);
	assert_int_equal(state_writer_create("/nonexistent/state", &writer, &err), -ENOENT);
	state_reader_close(NULL);
	state_writer_abort(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_blob, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sparse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
