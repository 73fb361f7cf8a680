/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A machine without CPUs for tests of devices; see fake_machine.h.
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "device/fake_machine.h"

/** struct fake_device - how a device was made, so that another can be made like it. */
struct fake_device {
	struct device *dev;
	const char *kind;
	fake_tweak_fn tweak;
	struct list node;
};

static void set_line(struct fake_line *line, bool level)
{
	if (level && !atomic_exchange(&line->level, true)) {
		atomic_fetch_add(&line->edges, 1);
	} else if (!level) {
		atomic_store(&line->level, false);
	}
}

static void handle_irq(void *opaque, unsigned int n, bool level)
{
	struct fake_machine *fm = opaque;

	set_line(&fm->lines[n], level);
}

static void handle_intx(void *opaque, unsigned int slot, unsigned int pin, bool level)
{
	struct fake_machine *fm = opaque;

	set_line(&fm->intx[slot][pin], level);
}

static void handle_msi(struct msi_sink *sink, const struct msi_message *msg)
{
	struct fake_msi *msi = container_of(sink, struct fake_msi, sink);

	pthread_mutex_lock(&msi->lock);
	msi->messages[msi->count++ % FAKE_MSI_MAX] = *msg;
	pthread_mutex_unlock(&msi->lock);
}

static void handle_reset(struct power_sink *sink)
{
	atomic_fetch_add(&container_of(sink, struct fake_power, sink)->resets, 1);
}

static void handle_shutdown(struct power_sink *sink)
{
	atomic_fetch_add(&container_of(sink, struct fake_power, sink)->shutdowns, 1);
}

static void handle_suspend(struct power_sink *sink)
{
	atomic_fetch_add(&container_of(sink, struct fake_power, sink)->suspends, 1);
}

static void handle_exit(struct power_sink *sink, int status)
{
	struct fake_power *power = container_of(sink, struct fake_power, sink);

	atomic_store(&power->exit_status, status);
	atomic_fetch_add(&power->exits, 1);
}

static void must(int ret, const struct error *err, const char *what)
{
	if (ret < 0) {
		fail_msg("%s: %s (%d)", what, err->text, ret);
	}
}

struct fake_machine *fake_machine_create(void)
{
	struct fake_machine *fm = calloc(1, sizeof(*fm));
	struct error err = { 0 };

	if (!fm) {
		fail_msg("no memory");
		return NULL;
	}
	list_init(&fm->devices);
	must(io_space_create("port", 0x10000, &fm->ports, &err), &err, "ports");
	must(io_space_create("memory", UINT64_C(1) << 52, &fm->mmio, &err), &err, "mmio");
	must(guest_memory_create(&fm->memory, &err), &err, "memory");
	must(guest_memory_add_region(fm->memory, "ram", FAKE_RAM_SIZE, 0, &fm->ram, &err), &err,
	     "ram");
	must(guest_memory_map(fm->memory, 0, fm->ram, 0, FAKE_RAM_SIZE, false), &err, "ram slot");
	must(machine_clock_create(NULL, &fm->clock, &err), &err, "clock");
	must(event_loop_create(&fm->loop, &err), &err, "event loop");
	must(config_tree_create(&fm->config, &err), &err, "configuration");
	for (unsigned int i = 0; i < FAKE_IRQS; i++) {
		fm->irqs[i] = (struct irq_line){ handle_irq, fm, i };
	}
	fm->power.sink = (struct power_sink){ handle_reset, handle_shutdown, handle_suspend,
					      handle_exit };
	fm->msi.sink.deliver = handle_msi;
	pthread_mutex_init(&fm->msi.lock, NULL);
	return fm;
}

void fake_machine_destroy(struct fake_machine *fm)
{
	while (!list_empty(&fm->devices)) {
		fake_machine_destroy_device(
			fm, container_of(fm->devices.prev, struct fake_device, node)->dev);
	}
	if (fm->pci) {
		pci_bus_destroy(fm->pci);
	}
	for (unsigned int i = 0; i < fm->setting_count; i++) {
		free(fm->settings[i].value);
	}
	config_tree_destroy(fm->config);
	event_loop_destroy(fm->loop);
	machine_clock_destroy(fm->clock);
	guest_memory_destroy(fm->memory);
	io_space_destroy(fm->mmio);
	io_space_destroy(fm->ports);
	pthread_mutex_destroy(&fm->msi.lock);
	free(fm);
}

/* ------- devices ------- */

static void declare_keys(struct fake_machine *fm, const struct device_ops *ops, const char *path)
{
	struct error err = { 0 };

	if (!ops->keys) {
		return;
	}
	for (unsigned int i = 0; i < fm->declared_count; i++) {
		if (strcmp(fm->declared[i], path) == 0) {
			return;
		}
	}
	if (fm->declared_count == FAKE_PATHS_MAX) {
		fail_msg("more than %d device paths", FAKE_PATHS_MAX);
	}
	fm->declared[fm->declared_count++] = path;
	must(config_declare(fm->config, path, ops->keys, &err), &err, path);
}

static const struct device_ops *find_kind(const char *kind)
{
	const struct device_ops *ops = device_ops_find(kind);

	if (!ops) {
		fail_msg("there is no device '%s'", kind);
	}
	return ops;
}

void fake_machine_set(struct fake_machine *fm, const char *kind, const char *path, const char *key,
		      const char *value)
{
	struct fake_setting *setting = &fm->settings[fm->setting_count];
	struct error err = { 0 };

	if (fm->setting_count == FAKE_SETTINGS_MAX) {
		fail_msg("more than %d settings", FAKE_SETTINGS_MAX);
	}
	declare_keys(fm, find_kind(kind), path);
	snprintf(setting->path, sizeof(setting->path), "%s.%s", path, key);
	setting->value = strdup(value);
	must(config_set(fm->config, setting->path, value, &err), &err, setting->path);
	fm->setting_count++;
}

static void need_pci_bus(struct fake_machine *fm)
{
	const struct pci_bus_env env = {
		.ports = fm->ports,
		.mmio = fm->mmio,
		.memory = fm->memory,
		.msi = &fm->msi.sink,
		.route_irq = handle_intx,
		.opaque = fm,
	};
	struct error err = { 0 };

	if (!fm->pci) {
		must(pci_bus_create(&env, &fm->pci, &err), &err, "PCI bus");
		must(pci_bus_set_ecam(fm->pci, FAKE_ECAM_BASE, 256), &err, "ECAM");
	}
}

int fake_machine_try_create(struct fake_machine *fm, const char *kind, fake_tweak_fn tweak,
			    struct device **ret_device, struct error *err)
{
	const struct device_ops *ops = find_kind(kind);
	struct fake_device *made = calloc(1, sizeof(*made));
	struct device_env env = {
		.ports = fm->ports,
		.mmio = fm->mmio,
		.memory = fm->memory,
		.irqs = fm->irqs,
		.clock = fm->clock,
		.loop = fm->loop,
		.io_loop = fm->loop,
		.power = &fm->power.sink,
		.path = kind,
	};
	int ret;

	if (ops->bus != DEVICE_BUS_SYSTEM) {
		need_pci_bus(fm);
		env.pci = fm->pci;
		env.devfn = PCI_DEVFN(pci_bus_free_slot(fm->pci, 1), 0);
	}
	if (tweak) {
		tweak(fm, &env);
	}
	declare_keys(fm, ops, env.path);
	env.config = config_view_at(fm->config, env.path);
	ret = made ? device_create(ops, &env, &made->dev, err) : -ENOMEM;
	if (ret < 0) {
		free(made);
		return ret;
	}
	made->kind = kind;
	made->tweak = tweak;
	list_append(&fm->devices, &made->node);
	*ret_device = made->dev;
	return 0;
}

struct device *fake_machine_create_device(struct fake_machine *fm, const char *kind,
					  fake_tweak_fn tweak)
{
	struct device *dev = NULL;
	struct error err = { 0 };

	must(fake_machine_try_create(fm, kind, tweak, &dev, &err), &err, kind);
	return dev;
}

static struct fake_device *find_made(struct fake_machine *fm, const struct device *dev)
{
	list_for_each(node, &fm->devices) {
		struct fake_device *made = container_of(node, struct fake_device, node);

		if (made->dev == dev) {
			return made;
		}
	}
	fail_msg("a device of another machine");
	return NULL;
}

void fake_machine_destroy_device(struct fake_machine *fm, struct device *dev)
{
	struct fake_device *made = find_made(fm, dev);

	list_remove(&made->node);
	device_destroy(dev);
	free(made);
}

void fake_machine_run(struct fake_machine *fm)
{
	while (event_loop_iterate(fm->loop, 0)) {
	}
}

void fake_machine_advance(struct fake_machine *fm, uint64_t ns)
{
	machine_clock_advance(fm->clock, ns);
	fake_machine_run(fm);
}

struct msi_message fake_machine_last_msi(struct fake_machine *fm)
{
	struct msi_message msg;

	pthread_mutex_lock(&fm->msi.lock);
	if (fm->msi.count == 0) {
		fail_msg("no message was delivered");
	}
	msg = fm->msi.messages[(fm->msi.count - 1) % FAKE_MSI_MAX];
	pthread_mutex_unlock(&fm->msi.lock);
	return msg;
}

/* ------- checks that compare with a second instance ------- */

/** create_twin() - another machine like @fm (configuration, memory, time) with one like @dev. */
static struct fake_machine *create_twin(struct fake_machine *fm, const struct device *dev,
					struct device **ret_device)
{
	const struct fake_device *made = find_made(fm, dev);
	struct fake_machine *twin = fake_machine_create();
	struct error err = { 0 };

	for (unsigned int i = 0; i < fm->declared_count; i++) {
		list_for_each(node, &fm->devices) {
			const struct device *other =
				container_of(node, struct fake_device, node)->dev;

			if (strcmp(other->path, fm->declared[i]) == 0) {
				declare_keys(twin, other->ops, fm->declared[i]);
			}
		}
	}
	for (unsigned int i = 0; i < fm->setting_count; i++) {
		must(config_set(twin->config, fm->settings[i].path, fm->settings[i].value, &err),
		     &err, fm->settings[i].path);
	}
	memcpy(twin->ram->host, fm->ram->host, FAKE_RAM_SIZE);
	twin->user = fm->user;
	machine_clock_advance(twin->clock, machine_clock_now(fm->clock));
	*ret_device = fake_machine_create_device(twin, made->kind, made->tweak);
	return twin;
}

static bool is_kept(const char *label, const char *const *kept)
{
	for (; kept && *kept; kept++) {
		size_t length = strlen(*kept);

		/* A whole struct or array by its name too; strchr() finds the end of text also. */
		if (strncmp(label, *kept, length) == 0 && strchr(".[", label[length])) {
			return true;
		}
	}
	return false;
}

static size_t label_size(const struct fake_image *image, size_t n)
{
	size_t end = n + 1 < image->label_count ? image->labels[n + 1].offset : image->size;

	return end - image->labels[n].offset;
}

static void compare_images(const char *what, const struct fake_image *a,
			   const struct fake_image *b, const char *const *kept)
{
	for (size_t i = 0; i < a->label_count && i < b->label_count; i++) {
		const uint8_t *of_a = a->data + a->labels[i].offset;
		const uint8_t *of_b = b->data + b->labels[i].offset;
		size_t size = MIN(label_size(a, i), label_size(b, i));
		size_t differs = 0;

		if (is_kept(a->labels[i].name, kept)) {
			continue;
		}
		while (differs < size && of_a[differs] == of_b[differs]) {
			differs++;
		}
		if (differs < size || label_size(a, i) != label_size(b, i)) {
			fail_msg("%s: field '%s' differs from byte %zu on", what,
				 a->labels[i].name, differs);
		}
	}
	if (a->label_count != b->label_count) {
		fail_msg("%s: other fields", what);
	}
}

static void check_round_trip(struct fake_machine *fm, struct device *dev)
{
	struct device *other;
	struct fake_machine *twin = create_twin(fm, dev, &other);
	struct fake_image before;
	struct fake_image after;
	struct error err = { 0 };

	fake_state_save(dev, &before);
	must(fake_state_load(other, &before, &err), &err, "loading what was saved");
	fake_state_save(other, &after);
	compare_images("after save and load", &before, &after, NULL);
	fake_image_finish(&before);
	fake_image_finish(&after);
	fake_machine_destroy(twin);
}

static void check_reset(struct fake_machine *fm, struct device *dev, const char *const *kept)
{
	struct device *other;
	struct fake_machine *twin = create_twin(fm, dev, &other);
	struct fake_image fresh;
	struct fake_image reset;

	device_reset(dev, RESET_COLD);
	fake_state_save(dev, &reset);
	fake_state_save(other, &fresh);
	compare_images("after reset", &reset, &fresh, kept);
	fake_image_finish(&reset);
	fake_image_finish(&fresh);
	fake_machine_destroy(twin);
}

void fake_machine_check_device(struct fake_machine *fm, struct device *dev,
			       const char *const *kept)
{
	check_round_trip(fm, dev);
	check_reset(fm, dev, kept);
}

/* ------- accesses by the guest ------- */

void *fake_ram(struct fake_machine *fm, gpa_t gpa, size_t size)
{
	if (gpa > FAKE_RAM_SIZE || size > FAKE_RAM_SIZE - gpa) {
		fail_msg("0x%llx is beyond the RAM", (unsigned long long)gpa);
	}
	return fm->ram->host + gpa;
}

uint32_t fake_pci_read(struct fake_machine *fm, struct device *dev, unsigned int offset,
		       unsigned int size)
{
	return pci_bus_config_read(fm->pci, dev->env.devfn, offset, size);
}

void fake_pci_write(struct fake_machine *fm, struct device *dev, unsigned int offset,
		    uint32_t value, unsigned int size)
{
	pci_bus_config_write(fm->pci, dev->env.devfn, offset, value, size);
}

void fake_pci_enable(struct fake_machine *fm, struct device *dev)
{
	unsigned int slot = dev->env.devfn >> 3;
	uint32_t memory = 0xe0000000 + slot * 0x800000;
	uint32_t port = 0xc000 + slot * 0x100;

	for (unsigned int n = 0; n < 6; n++) {
		unsigned int offset = 0x10 + 4 * n;
		uint32_t low;

		fake_pci_write(fm, dev, offset, 0xffffffff, 4);
		low = fake_pci_read(fm, dev, offset, 4);
		if (low == 0) {
			continue;
		}
		if (low & 1) {
			uint32_t size = -(low & 0xfffffffc);

			port = ALIGN_UP(port, size);
			fake_pci_write(fm, dev, offset, port, 4);
			port += size;
		} else {
			uint32_t size = -(low & 0xfffffff0);

			memory = ALIGN_UP(memory, size);
			fake_pci_write(fm, dev, offset, memory, 4);
			memory += size;
			if ((low & 6) == 4) {
				fake_pci_write(fm, dev, offset + 4, 0, 4);
				n++;
			}
		}
	}
	fake_pci_write(fm, dev, 0x04, fake_pci_read(fm, dev, 0x04, 2) | 7, 2);
}

uint64_t fake_pci_bar(struct fake_machine *fm, struct device *dev, unsigned int n)
{
	uint32_t low = fake_pci_read(fm, dev, 0x10 + 4 * n, 4);

	if (low & 1) {
		return low & ~UINT32_C(3);
	}
	if ((low & 6) == 4) {
		return (uint64_t)fake_pci_read(fm, dev, 0x14 + 4 * n, 4) << 32 |
		       (low & ~UINT32_C(15));
	}
	return low & ~UINT32_C(15);
}

unsigned int fake_pci_find_capability(struct fake_machine *fm, struct device *dev, uint8_t id,
				      unsigned int from)
{
	unsigned int at = from ? from : fake_pci_read(fm, dev, 0x34, 1);

	for (unsigned int i = 0; at >= 0x40 && i < 48; i++) {
		if (fake_pci_read(fm, dev, at, 1) == id) {
			return at;
		}
		at = fake_pci_read(fm, dev, at + 1, 1);
	}
	return 0;
}
