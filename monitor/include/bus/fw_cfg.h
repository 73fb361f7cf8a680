/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_FW_CFG_H
#define LIMEN_BUS_FW_CFG_H

/*
 * What the machine hands its firmware through the fw_cfg device: numbered items and named files.
 * All of it is added before the machine starts; main thread.
 */

#include "bus/device.h"

#define FW_CFG_MAX_FILES 48
#define FW_CFG_NAME_SIZE 56

/* Selector keys that firmware asks for by number (docs/specs/fw_cfg of QEMU, "Selector
 * Register"). */
#define FW_CFG_SIGNATURE 0x00
#define FW_CFG_ID 0x01
#define FW_CFG_NB_CPUS 0x05
#define FW_CFG_NUMA 0x0d
#define FW_CFG_BOOT_MENU 0x0e
#define FW_CFG_MAX_CPUS 0x0f
#define FW_CFG_FILE_DIR 0x19
#define FW_CFG_IRQ0_OVERRIDE 0x8002

/** fw_cfg_add_item() - the item of selector @key (not a file's) holds a copy of @size bytes.
 *  -EEXIST, -ENOSPC. */
int fw_cfg_add_item(struct device *fw_cfg, uint16_t key, const void *data, size_t size);

/** fw_cfg_add_u16() - a little-endian 16-bit item. */
int fw_cfg_add_u16(struct device *fw_cfg, uint16_t key, uint16_t value);

/** fw_cfg_add_file() - the file @name ("etc/e820") holds a copy of @size bytes. */
int fw_cfg_add_file(struct device *fw_cfg, const char *name, const void *data, size_t size);

/** fw_cfg_find_file() - contents of @name, or NULL. */
const void *fw_cfg_find_file(struct device *fw_cfg, const char *name, size_t *ret_size);

#endif
