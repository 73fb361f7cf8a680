/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MACHINE_MACHINE_IMPL_H
#define LIMEN_MACHINE_MACHINE_IMPL_H

/*
 * The machine from inside: shared by machine.c (its life), board.c (the chipset), board_devices.c
 * (what the configuration asks for) and firmware.c (what the first CPU runs).
 */

#include <stdatomic.h>

#include "block/block.h"
#include "bus/chipset.h"
#include "bus/fw_cfg.h"
#include "bus/pci.h"
#include "guestlink/char_backend.h"
#include "machine/acpi/acpi.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"
#include "machine/memory_map.h"
#include "net/net.h"

#define MACHINE_IRQS 24
#define MACHINE_MAX_BLOCKS 20
#define MACHINE_MAX_NETS 8
#define MACHINE_MAX_CHARS 8
#define MACHINE_MAX_SERIALS 4
#define MACHINE_IDE_DRIVES 4
#define MACHINE_FLOPPY_DRIVES 2
#define MACHINE_BOOT_ORDER_MAX 2048

/* What other threads asked for; bits of machine.requests, served on the main loop. */
enum machine_request {
	MACHINE_REQUEST_RESET = 1 << 0,
	MACHINE_REQUEST_SHUTDOWN = 1 << 1,
	MACHINE_REQUEST_SUSPEND = 1 << 2,
	MACHINE_REQUEST_EXIT = 1 << 3,
	MACHINE_REQUEST_FAILED = 1 << 4,
};

/**
 * struct machine - one machine
 * @requests: set of enum machine_request; written by any thread
 * @exit_request: status that goes with MACHINE_REQUEST_EXIT
 * @failure: text that goes with MACHINE_REQUEST_FAILED; written once, before the bit
 * @irqs: what devices drive: ISA lines 0-15, PIRQ A-H as 16-23
 * @boot_order: lines of fw_cfg's bootorder file so far
 */
struct machine {
	struct config_tree *config;
	struct event_loop *loop;
	struct machine_options options;
	struct machine_clock *clock;
	struct guest_memory *memory;
	struct mem_region *ram;
	struct mem_region *bios;
	struct memory_map map;
	struct io_space *ports;
	struct io_space *mmio;
	struct cpu_model model;
	struct engine *engine;
	struct pci_bus *pci;
	struct power_sink power;
	struct irq_line irqs[MACHINE_IRQS];
	struct list devices;
	struct device *pic, *ioapic, *hpet, *pit, *rtc, *dma, *host, *lpc, *fw_cfg, *vga;
	struct block_device *blocks[MACHINE_MAX_BLOCKS];
	unsigned int block_count;
	struct net_backend *nets[MACHINE_MAX_NETS];
	unsigned int net_count;
	struct char_backend *chars[MACHINE_MAX_CHARS];
	unsigned int char_count;
	struct io_thread *block_thread;
	struct display *display;
	struct input_router *input;
	unsigned int acpi_present;
	struct acpi_tables *acpi;
	char boot_order[MACHINE_BOOT_ORDER_MAX];
	bool direct_boot;
	bool threads_started;
	enum machine_status status;
	bool resume_after_reset;
	int exit_status;
	struct event_task task;
	_Atomic unsigned int requests;
	_Atomic int exit_request;
	_Atomic bool failure_set;
	char failure[512];
};

/** machine_request() - any thread: have @request served on the main loop. */
void machine_request(struct machine *machine, enum machine_request request);

/** machine_add_device() - create device @name at @path in @env (completed with what all devices
 *  get). */
int machine_add_device(struct machine *machine, const char *name, const char *path,
		       const struct device_env *env, struct device **ret_device, struct error *err);

/** board_create() - the chipset, wired. board_add_devices() - what the configuration asks for. */
int board_create(struct machine *machine, struct error *err);
int board_add_devices(struct machine *machine, struct error *err);

/** board_boot_entry() - append "@format" as a line of the firmware's boot order. */
void board_boot_entry(struct machine *machine, const char *format, ...) LIMEN_PRINTF(2, 3);

/** firmware_create() - load ROMs and fill fw_cfg, or nothing for a direct boot; after all
 * devices. */
int firmware_create(struct machine *machine, struct error *err);

/** firmware_enter() - after a reset: what must be in place before the first instruction. */
int firmware_enter(struct machine *machine, struct error *err);

/** pci_assign_resources() - give BARs addresses as firmware would; for direct boot. */
void pci_assign_resources(struct pci_bus *bus);

/** boot_video_start() - show a linear framebuffer on the VGA at @devfn; false without one. */
bool boot_video_start(struct machine *machine, struct boot_video *ret_video);

/** smbios_build() - the structure table; its anchor for direct boot is placed by smbios_place(). */
int smbios_publish(struct machine *machine, struct error *err);
int smbios_place(struct machine *machine, uint64_t base, size_t size, struct error *err);

#endif
