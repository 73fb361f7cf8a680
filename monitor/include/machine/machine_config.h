/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MACHINE_MACHINE_CONFIG_H
#define LIMEN_MACHINE_MACHINE_CONFIG_H

/*
 * The machine's own configuration keys: those that `limen run`'s options stand for, and those that
 * only machine.yaml and --set reach. Devices declare further ones in their device_ops.
 */

#include <stdio.h>

#include "base/config.h"

#define MACHINE_MAX_CPUS 64
#define MACHINE_MAX_MEMORY GIB(64)

/**
 * machine_config_declare() - declare the machine's keys in @tree
 *
 * Return: 0 or -ENOMEM.
 */
int machine_config_declare(struct config_tree *tree, struct error *err);

/** machine_config_print_help() - one line for each declared key, to @out. */
void machine_config_print_help(struct config_tree *tree, FILE *out);

#endif
