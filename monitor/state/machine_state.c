/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole machine to a file and back. Sections: "cpu-model", "clock", "cpu.N" for each vCPU, then
 * the tables of each device under its path; memory regions by their names. Order of loading: memory
 * first (devices remap it), then the clock (timers refer to it), devices, and last the vCPUs, whose
 * local APICs look at the lines that the devices drive.
 *
 * The machine goes on with the saved processor model, with the frequency of its TSC too: a guest
 * that has seen a feature must find it again, so a host that lacks one refuses the state.
 */

#include "state/machine_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "state/state.h"

/* struct clock_state - the machine clock's section. */
struct clock_state {
	uint64_t now_ns;
};

static const struct state_field clock_fields[] = {
	STATE_FIELD(struct clock_state, now_ns),
	STATE_FIELDS_END,
};
static const struct state_table clock_table = { .version = 1, .fields = clock_fields };

/* ------- saving ------- */

struct save_context {
	struct state_writer *writer;
	struct error *err;
	int result;
};

static int save_device(void *opaque, struct device *dev)
{
	const struct state_table *tables[DEVICE_STATE_TABLES_MAX];
	unsigned int count = device_state_tables(dev, tables);
	struct save_context *context = opaque;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = 0; ret == 0 && i < count; i++) {
		ret = state_write_section(context->writer, dev->path, i, tables[i], dev,
					  context->err);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static void save_region(void *opaque, struct mem_region *region)
{
	struct save_context *context = opaque;

	if (context->result == 0) {
		context->result = state_write_memory(context->writer, region->name, region->host,
						     region->size, region->fd, context->err);
	}
}

static void save_key(void *opaque, const char *path, const char *text)
{
	struct save_context *context = opaque;

	if (context->result == 0) {
		context->result = state_write_config(context->writer, path, text, context->err);
	}
}

static int save_cpus(struct machine *machine, struct state_writer *writer, struct error *err)
{
	struct cpu_model model = *machine_cpu_model(machine);
	struct engine *engine = machine_engine(machine);
	int ret;

	ret = state_write_section(writer, "cpu-model", 0, &cpu_model_state_table, &model, err);
	for (unsigned int i = 0; ret == 0 && i < engine->vcpu_count; i++) {
		char path[16];

		snprintf(path, sizeof(path), "cpu.%u", i);
		ret = state_write_section(writer, path, 0, &cpu_state_table,
					  &engine->vcpus[i]->state, err);
	}
	return ret;
}

static int save_all(struct machine *machine, struct state_writer *writer, struct error *err)
{
	struct clock_state clock = { machine_clock_now(machine_clock_of(machine)) };
	struct save_context context = { .writer = writer, .err = err };
	int ret;

	config_for_each_value(machine_config(machine), save_key, &context);
	if (context.result < 0) {
		return context.result;
	}
	ret = state_write_section(writer, "clock", 0, &clock_table, &clock, err);
	if (ret == 0) {
		ret = save_cpus(machine, writer, err);
	}
	if (ret == 0) {
		ret = machine_for_each_device(machine, save_device, &context);
	}
	if (ret == 0) {
		guest_memory_for_each_region(machine_memory(machine), save_region, &context);
		ret = context.result;
	}
	return ret;
}

int machine_state_save(struct machine *machine, const char *file, struct error *err)
{
	struct state_writer *writer;
	int ret;

	ret = machine_freeze(machine, err);
	if (ret < 0) {
		return ret;
	}
	ret = state_writer_create(file, &writer, err);
	if (ret == 0) {
		ret = save_all(machine, writer, err);
		if (ret < 0) {
			state_writer_abort(writer);
		} else {
			ret = state_writer_commit(writer, err);
		}
	}
	if (ret < 0) {
		struct error ignored;

		machine_thaw(machine, &ignored);
	}
	return ret;
}

/* ------- loading ------- */

struct load_context {
	struct state_reader *reader;
	struct config_tree *config;
	struct error *err;
	int result;
};

static int load_key(void *opaque, const char *key, const char *value)
{
	struct load_context *context = opaque;
	struct config_view root = config_view_at(context->config, "");

	return config_is_set(&root, key) ? 0
					 : config_set(context->config, key, value, context->err);
}

int machine_state_read_config(const char *file, struct config_tree *config, struct error *err)
{
	struct load_context context = { .config = config, .err = err };
	int ret;

	ret = state_reader_open(file, &context.reader, err);
	if (ret == 0) {
		ret = state_reader_for_each_config(context.reader, load_key, &context, err);
		state_reader_close(context.reader);
	}
	return ret;
}

static int load_device(void *opaque, struct device *dev)
{
	const struct state_table *tables[DEVICE_STATE_TABLES_MAX];
	unsigned int count = device_state_tables(dev, tables);
	struct load_context *context = opaque;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = 0; ret == 0 && i < count; i++) {
		ret = state_read_section(context->reader, dev->path, i, tables[i], dev,
					 context->err);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static void load_region(void *opaque, struct mem_region *region)
{
	struct load_context *context = opaque;

	if (context->result == 0) {
		context->result = state_read_memory(context->reader, region->name, region->host,
						    region->size, region->fd, context->err);
	}
}

static int load_model(struct machine *machine, struct state_reader *reader, const char *file,
		      struct error *err)
{
	struct cpu_model *saved = calloc(1, sizeof(*saved));
	int ret;

	if (!saved) {
		return error_set(err, ENOMEM, "no memory to load '%s'", file);
	}
	ret = state_read_section(reader, "cpu-model", 0, &cpu_model_state_table, saved, err);
	if (ret == 0) {
		ret = machine_adopt_cpu_model(machine, saved, err);
		if (ret < 0) {
			error_prefix(err, "'%s'", file);
		}
	}
	free(saved);
	return ret;
}

static int load_cpus(struct machine *machine, struct state_reader *reader, struct error *err)
{
	struct engine *engine = machine_engine(machine);
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < engine->vcpu_count; i++) {
		char path[16];

		snprintf(path, sizeof(path), "cpu.%u", i);
		ret = state_read_section(reader, path, 0, &cpu_state_table,
					 &engine->vcpus[i]->state, err);
	}
	return ret;
}

static int load_all(struct machine *machine, struct state_reader *reader, const char *file,
		    struct error *err)
{
	struct load_context context = { .reader = reader, .err = err };
	struct clock_state clock;
	int ret;

	ret = load_model(machine, reader, file, err);
	if (ret < 0) {
		return ret;
	}
	guest_memory_for_each_region(machine_memory(machine), load_region, &context);
	ret = context.result;
	if (ret == 0) {
		ret = state_read_section(reader, "clock", 0, &clock_table, &clock, err);
	}
	if (ret == 0) {
		machine_clock_set(machine_clock_of(machine), clock.now_ns);
		ret = machine_for_each_device(machine, load_device, &context);
	}
	if (ret == 0) {
		ret = load_cpus(machine, reader, err);
	}
	return ret < 0 ? ret : state_reader_finish(reader, err);
}

int machine_state_load(struct machine *machine, const char *file, struct error *err)
{
	struct state_reader *reader;
	int ret;

	ret = state_reader_open(file, &reader, err);
	if (ret < 0) {
		return ret;
	}
	ret = load_all(machine, reader, file, err);
	state_reader_close(reader);
	return ret < 0 ? ret : machine_thaw(machine, err);
}
