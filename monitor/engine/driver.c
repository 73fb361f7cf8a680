/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine on limen.ko, the project's own kernel driver. The driver is not part of this
 * version; the engine is known by its name, so that asking for it gives the reason and not
 * "unknown engine".
 */

#include <stdio.h>

#include "engine/engines.h"

static const char driver_reason[] =
	"not part of this version of limen: the kernel driver limen.ko is not built yet; "
	"use --engine kvm or --engine soft";

static void driver_probe(struct engine_report *ret_report)
{
	*ret_report = (struct engine_report){ .usable = false };
	snprintf(ret_report->reason, sizeof(ret_report->reason), "%s", driver_reason);
}

static int driver_create(struct engine *engine, struct error *err)
{
	(void)engine;
	return error_set(err, ENOTSUP, "%s", driver_reason);
}

const struct engine_ops driver_engine_ops = {
	.name = "driver",
	.engine_size = sizeof(struct engine),
	.vcpu_size = sizeof(struct vcpu),
	.probe = driver_probe,
	.create = driver_create,
};
