/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_STATE_STATE_H
#define LIMEN_STATE_STATE_H

/*
 * A machine's saved state as a file: the configuration it was made with, one section for each
 * device, bus and vCPU (named by path, described by its struct state_table), the contents of its
 * memory regions, and a checksum. The format is in docs/state-format.md.
 *
 * The writer makes a new file that takes its name only when it is complete. The reader believes
 * nothing: opening a file checks its structure and its checksum from end to end, reading a section
 * checks every field against the table before a byte is written into the machine. All of it runs on
 * the main thread, with the machine paused; nothing here takes a device's lock: the caller holds it
 * around each section.
 */

#include "base/error.h"
#include "base/state_table.h"
#include "base/types.h"

struct state_writer;
struct state_reader;

/* ------- saving ------- */

/**
 * state_writer_create() - begin to write @file (mode 0600: it holds the guest's memory)
 *
 * Return: 0 or -errno; the writer is then ended by state_writer_commit() or state_writer_abort().
 */
int state_writer_create(const char *file, struct state_writer **ret_writer, struct error *err);

/**
 * state_write_config() - note a configuration key that the machine was made with; before the
 * sections.
 */
int state_write_config(struct state_writer *writer, const char *key, const char *value,
		       struct error *err);

/**
 * state_write_section() - write what @table declares of the struct at @base
 * @path: of the device, unique together with @layer
 * @layer: 0; counts up where one device has several tables (device_state_tables())
 */
int state_write_section(struct state_writer *writer, const char *path, unsigned int layer,
			const struct state_table *table, void *base, struct error *err);

/**
 * state_write_memory() - write a memory region; pages of zeroes take no room
 * @size: bytes, a multiple of 4 KiB
 * @fd: the memfd behind @host, whose holes are then not even looked at, or -1
 */
int state_write_memory(struct state_writer *writer, const char *name, const void *host,
		       uint64_t size, int fd, struct error *err);

/**
 * state_writer_commit() - add the checksum, make the file durable, give it its name; frees @writer
 * in any case. On failure there is no file.
 */
int state_writer_commit(struct state_writer *writer, struct error *err);

/** state_writer_abort() - throw the file away and free @writer. NULL is allowed. */
void state_writer_abort(struct state_writer *writer);

/* ------- loading ------- */

/**
 * state_reader_open() - open @file and check its structure and checksum as a whole
 *
 * Return: 0, or -errno with one line that names the file and what is wrong with it.
 */
int state_reader_open(const char *file, struct state_reader **ret_reader, struct error *err);

/** state_reader_close() - NULL is allowed. */
void state_reader_close(struct state_reader *reader);

/**
 * state_reader_for_each_config() - visit the configuration that the machine was made with; a
 * negative return value of @fn ends the visit and is returned.
 */
int state_reader_for_each_config(struct state_reader *reader,
				 int (*fn)(void *opaque, const char *key, const char *value),
				 void *opaque, struct error *err);

/** state_reader_has_section() - whether there is one (for parts that a machine may have). */
bool state_reader_has_section(struct state_reader *reader, const char *path, unsigned int layer);

/**
 * state_read_section() - load a section
 *
 * The fields are compared with @table, then loaded, then @table's post_load judges them, then
 * timers are armed. Return: 0, -ENOENT when there is no such section, -EINVAL, or what post_load
 * returned; the text names the file, the section and the field. After a failure the struct at @base
 * is only fit for destruction or reset.
 */
int state_read_section(struct state_reader *reader, const char *path, unsigned int layer,
		       const struct state_table *table, void *base, struct error *err);

/**
 * state_read_memory() - load a memory region; what was not saved of it becomes zeroes
 * @size: must be the size that was saved
 * @fd: as in state_write_memory()
 *
 * Writes behind the back of dirty tracking and of engines: before any vCPU has run.
 */
int state_read_memory(struct state_reader *reader, const char *name, void *host, uint64_t size,
		      int fd, struct error *err);

/** state_reader_finish() - refuse a file of which something has not been read. */
int state_reader_finish(struct state_reader *reader, struct error *err);

#endif
