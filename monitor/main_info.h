/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_MAIN_INFO_H
#define LIMEN_MAIN_INFO_H

#include "base/config.h"

/** main_info() - print what can run here, and how fast, to stdout; @config: its "cpu" keys count;
 *  @json: for programs. Return: the program's exit status. */
int main_info(struct config_tree *config, bool json);

#endif
