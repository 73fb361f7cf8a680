/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_TESTS_ENGINE_LIB_RIG_H
#define LIMEN_TESTS_ENGINE_LIB_RIG_H

/*
 * A small machine on any engine, with the vCPUs' threads as a real machine has them: 640 KiB of
 * RAM, a page of ROM, a port to which the guest reports, ports that give it numbers, a device in
 * memory, and a machine clock that runs. Tests put a few instructions at RIG_CODE and wait for
 * reports.
 */

#include <pthread.h>

#include "base/event_loop.h"
#include "engine/cpu_model.h"
#include "engine/engines.h"
#include "engine/msr.h"

#define RIG_CODE 0x8000
#define RIG_STACK 0x7000
#define RIG_IDT 0x4000
#define RIG_GDT 0x5000
#define RIG_PML4 0x10000
#define RIG_PDPT 0x11000
#define RIG_PD 0x12000 /* four pages: 4 GiB in pages of 2 MiB */
#define RIG_RAM_SIZE MIB(1)
#define RIG_MMIO 0xa0000
#define RIG_ROM 0xc0000
#define RIG_REPORT_PORT 0x80

/* Guest code. The labels are name and name_end. */
#define RIG_GUEST(name, bits, text)                                                      \
	__asm__(".pushsection .rodata\n.code" bits "\n.globl " #name "\n" #name ":\n" text \
		"\n.globl " #name "_end\n" #name "_end:\n.code64\n.popsection\n");         \
	extern const uint8_t name[];                                                       \
	extern const uint8_t name##_end[]

/**
 * struct rig - the machine
 * @lock: guards what vCPU threads write: all members from @reports on
 * @changed: one of them has changed
 * @reports: bytes that the guest wrote to RIG_REPORT_PORT
 */
struct rig {
	struct guest_memory *memory;
	struct mem_region *ram;
	struct mem_region *rom;
	struct io_space *ports;
	struct io_space *mmio;
	struct io_region report;
	struct io_region device;
	struct io_thread *clock_thread;
	struct machine_clock *clock;
	struct cpu_model model;
	struct config_tree *config;
	struct engine *engine;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t reports[256];
	unsigned int report_count;
	uint64_t device_writes[8];
	unsigned int device_write_count;
	unsigned int input;
	int eoi;
	unsigned int acks;
	bool lower_after_ack;
	unsigned int triple_faults;
	unsigned int failures;
	char text[512];
};

/** rig_create() - fails the test where the engine cannot be used. */
struct rig *rig_create(const struct engine_ops *ops, unsigned int cpus);
void rig_destroy(struct rig *b);

/** rig_put_code() - at RIG_CODE. rig_put_handler() - at @at, for @vector in long mode. */
void rig_put_code(struct rig *b, const uint8_t *code, const uint8_t *end);
void rig_put_handler(struct rig *b, unsigned int vector, const uint8_t *code,
		       const uint8_t *end, uint32_t at);

/** rig_enter_real_mode()/long_mode() - in the first vCPU's state: code at RIG_CODE. */
void rig_enter_real_mode(struct rig *b);
void rig_enter_long_mode(struct rig *b);

/** rig_start() - load the states, start the threads, let them run. */
void rig_start(struct rig *b);
void rig_pause(struct rig *b);
void rig_resume(struct rig *b);

#define RIG_WAIT(b, condition)                                                                 \
	do {                                                                                     \
		struct timespec until_;                                                          \
		bool ok_ = true;                                                                 \
		clock_gettime(CLOCK_REALTIME, &until_);                                          \
		until_.tv_sec += 10;                                                 \
		pthread_mutex_lock(&(b)->lock);                                                  \
		while (!(condition) && ok_ && !(b)->failures) {                                  \
			ok_ = pthread_cond_timedwait(&(b)->changed, &(b)->lock, &until_) == 0;   \
		}                                                                                \
		ok_ = (condition);                                                               \
		pthread_mutex_unlock(&(b)->lock);                                                \
		if (!ok_) {                                                                      \
			fail_msg("waited for %s; %u reports, last 0x%x, '%s'", #condition,       \
				 (b)->report_count,                                              \
				 (b)->report_count ? (b)->reports[(b)->report_count - 1] : 0,    \
				 (b)->text);                                                     \
		}                                                                                \
	} while (0)

#endif
