/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast the soft engine is here: a loop of simple instructions in ring 0 of 32-bit protected
 * mode, on a machine that has nothing but a page of memory and a port that ends the run.
 */

#include "softcpu/engine_soft.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "softcpu/system.h"

#define PROBE_CODE 0x1000
#define PROBE_DATA 0x2000
#define PROBE_MEMORY 0x4000
#define PROBE_PORT 0x80
#define PROBE_ROUNDS 100000

/*
 *	mov	ecx, PROBE_ROUNDS
 * 1:	mov	eax, [PROBE_DATA]
 *	add	eax, ecx
 *	xor	edx, eax
 *	mov	[PROBE_DATA], eax
 *	dec	ecx
 *	jnz	1b
 *	out	PROBE_PORT, al
 *	hlt
 */
static const uint8_t probe_code[] = {
	0xb9, PROBE_ROUNDS & 0xff, PROBE_ROUNDS >> 8 & 0xff, PROBE_ROUNDS >> 16, 0x00,
	0xa1, 0x00, 0x20, 0x00, 0x00,
	0x01, 0xc8,
	0x31, 0xc2,
	0xa3, 0x00, 0x20, 0x00, 0x00,
	0x49,
	0x75, 0xef,
	0xe6, PROBE_PORT,
	0xf4,
};

struct probe {
	struct guest_memory *memory;
	struct machine_clock *clock;
	struct io_space *ports;
	struct io_space *mmio;
	struct io_region port;
	struct lapic_bus *bus;
	struct soft_shared shared;
	struct softcpu *peer;
	struct engine_env env;
	struct cpu_model model;
	struct softcpu cpu;
};

static void end_run(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct probe *probe = opaque;

	(void)offset;
	(void)value;
	(void)size;
	soft_request(&probe->cpu, SOFT_REQUEST_RETURN);
}

static uint64_t read_nothing(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static const struct io_ops port_ops = { .read = read_nothing, .write = end_run };

static void ignore_signal(void *opaque, enum lapic_signal signal, unsigned int arg)
{
	(void)opaque;
	(void)signal;
	(void)arg;
}

static const struct lapic_ops no_lapic = { .signal = ignore_signal };

static int build_machine(struct probe *probe)
{
	struct mem_region *region;
	int ret = guest_memory_create(&probe->memory, NULL);

	ret = ret ? ret : guest_memory_add_region(probe->memory, "probe", PROBE_MEMORY, 0, &region,
						  NULL);
	ret = ret ? ret : guest_memory_map(probe->memory, 0, region, 0, PROBE_MEMORY, false);
	ret = ret ? ret : guest_mem_write(probe->memory, PROBE_CODE, probe_code,
					  sizeof(probe_code));
	ret = ret ? ret : machine_clock_create(NULL, &probe->clock, NULL);
	ret = ret ? ret : io_space_create("probe-ports", 0x10000, &probe->ports, NULL);
	ret = ret ? ret : io_space_create("probe-memory", UINT64_C(1) << 52, &probe->mmio, NULL);
	if (ret == 0) {
		io_region_init(&probe->port, "probe", &port_ops, probe, NULL, 1);
		ret = io_region_map(&probe->port, probe->ports, PROBE_PORT);
	}
	return ret;
}

static int build_cpu(struct probe *probe)
{
	struct softcpu *cpu = &probe->cpu;
	int ret;

	probe->model = (struct cpu_model){ .tsc_hz = NS_PER_S, .xcr0_mask = 3, .phys_bits = 36,
					   .virt_bits = 48, .cpus = 1 };
	probe->env.ports = probe->ports;
	probe->env.mmio = probe->mmio;
	probe->env.memory = probe->memory;
	probe->env.clock = probe->clock;
	probe->env.model = &probe->model;
	probe->env.cpus = 1;
	ret = lapic_bus_create(1, probe->clock, NS_PER_S, &probe->bus, NULL);
	if (ret) {
		return ret;
	}
	soft_shared_init(&probe->shared);
	probe->peer = cpu;
	cpu->env = &probe->env;
	cpu->model = &probe->model;
	cpu->shared = &probe->shared;
	cpu->peers = &probe->peer;
	cpu->peer_count = 1;
	cpu->lapic = lapic_bus_attach(probe->bus, 0, &no_lapic, probe);
	ret = cpu->lapic ? soft_cpu_init(cpu, NULL) : -ENOMEM;
	if (ret) {
		soft_shared_finish(&probe->shared);
		lapic_bus_destroy(probe->bus);
		probe->bus = NULL;
	}
	return ret;
}

static void prepare_run(struct softcpu *cpu)
{
	soft_msr_reset(cpu);
	soft_take_init(cpu);
	for (unsigned int i = 0; i < CPU_SEG_COUNT; i++) {
		cpu->seg[i] = (struct cpu_segment){
			.limit = UINT32_MAX,
			.attr = i == CPU_CS ? 0xc09b : 0xc093,
			.selector = i == CPU_CS ? 8 : 16,
		};
	}
	cpu->cr0 = CR0_PE | CR0_ET;
	cpu->xcr0 = 1;
	cpu->rip = PROBE_CODE;
	soft_update_mode(cpu);
	soft_state_loaded(cpu);
}

/* Million instructions a second. */
static double time_run(struct softcpu *cpu)
{
	struct timespec before;
	struct timespec after;
	uint64_t instructions = cpu->instructions;
	double ns;

	prepare_run(cpu);
	clock_gettime(CLOCK_MONOTONIC, &before);
	soft_run(cpu);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ns = (double)(after.tv_sec - before.tv_sec) * 1e9 +
	     (double)(after.tv_nsec - before.tv_nsec);
	return ns > 0 ? (double)(cpu->instructions - instructions) * 1e3 / ns : 0;
}

/* The best of three: what the engine can do, not what else the host was doing. */
static double measure(struct softcpu *cpu)
{
	double best = 0;

	for (unsigned int i = 0; i < 3; i++) {
		double mips = time_run(cpu);

		best = MAX(best, mips);
	}
	return best;
}

static void destroy(struct probe *probe)
{
	if (probe->bus) {
		soft_cpu_finish(&probe->cpu);
		soft_shared_finish(&probe->shared);
		lapic_bus_destroy(probe->bus);
	}
	if (probe->port.space) {
		io_region_unmap(&probe->port);
	}
	io_space_destroy(probe->ports);
	io_space_destroy(probe->mmio);
	machine_clock_destroy(probe->clock);
	guest_memory_destroy(probe->memory);
	free(probe);
}

void soft_probe(struct engine_report *ret_report)
{
	struct probe *probe;
	int ret;

	memset(ret_report, 0, sizeof(*ret_report));
	probe = aligned_alloc(64, ALIGN_UP(sizeof(*probe), 64));
	if (!probe) {
		snprintf(ret_report->reason, sizeof(ret_report->reason), "not enough memory");
		return;
	}
	memset(probe, 0, sizeof(*probe));
	ret = build_machine(probe);
	if (ret == 0) {
		ret = build_cpu(probe);
	}
	if (ret == 0) {
		ret_report->usable = true;
		ret_report->mips = measure(&probe->cpu);
		snprintf(ret_report->detail, sizeof(ret_report->detail),
			 "interpreter; x87, SSE and AVX run on the host's units");
	} else {
		snprintf(ret_report->reason, sizeof(ret_report->reason),
			 "cannot build a machine to measure: %s", strerror(-ret));
	}
	destroy(probe);
}
