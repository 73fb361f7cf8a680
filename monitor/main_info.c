/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `limen info`: which engines can run guests on this host and how fast each was just measured to
 * be, which of them `auto` takes and why, what the processor offers to guests, and which files
 * of other packages are missing.
 */

#include "main_info.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/cpu_model.h"
#include "engine/engine.h"

#define ENGINES_MAX 8

/* struct info - all that was found out. */
struct info {
	const struct engine_ops *engines[ENGINES_MAX];
	struct engine_report reports[ENGINES_MAX];
	unsigned int count;
	const struct engine_ops *automatic;
	char remark[sizeof(((struct error *)0)->text)];
};

/* Files of other packages that a machine may want. */
static const struct {
	const char *file;
	const char *package;
	const char *purpose;
} files[] = {
	{ "/usr/share/seabios/bios-256k.bin", "seabios", "BIOS firmware" },
	{ "/usr/share/seabios/vgabios-stdvga.bin", "seabios", "text on the screen before an OS" },
};

/* CPUID bits worth naming to a person: leaf, subleaf, register (0 eax ...), bit. */
static const struct {
	const char *name;
	uint32_t leaf, subleaf;
	uint8_t reg, bit;
} features[] = {
	{ "sse4.2", 1, 0, 2, 20 }, { "aes", 1, 0, 2, 25 },  { "avx", 1, 0, 2, 28 },
	{ "avx2", 7, 0, 1, 5 },	   { "bmi2", 7, 0, 1, 8 },  { "sha", 7, 0, 1, 29 },
	{ "x2apic", 1, 0, 2, 21 }, { "pcid", 1, 0, 2, 17 }, { "smap", 7, 0, 1, 20 },
};

static void gather(struct info *info)
{
	const struct engine_ops *const *all = engine_all();
	struct error err = { 0 };

	for (unsigned int i = 0; all[i] && i < ENGINES_MAX; i++) {
		info->engines[i] = all[i];
		all[i]->probe(&info->reports[i]);
		info->count++;
	}
	info->automatic = engine_select("auto", info->remark, &err);
	if (!info->automatic) {
		snprintf(info->remark, sizeof(info->remark), "%s", err.text);
	}
}

static void print_features(const struct cpu_model *model)
{
	fputs("Guests see:", stdout);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (cpu_model_has(model, features[i].leaf, features[i].subleaf, features[i].reg,
				  features[i].bit)) {
			printf(" %s", features[i].name);
		}
	}
	printf("; TSC at %.0f MHz\n", (double)model->tsc_hz / 1e6);
}

static void print_text(const struct info *info, const struct cpu_model *model)
{
	puts("Engines:");
	for (unsigned int i = 0; i < info->count; i++) {
		const struct engine_report *report = &info->reports[i];

		printf("  %-7s %s", info->engines[i]->name,
		       report->usable ? "usable" : "not usable");
		if (report->mips > 0) {
			printf(", %.0f million instructions a second", report->mips);
		}
		putchar('\n');
		if (report->reason[0]) {
			printf("          %s\n", report->reason);
		}
		if (report->detail[0]) {
			printf("          %s\n", report->detail);
		}
	}
	printf("'auto' takes %s%s%s\n", info->automatic ? info->automatic->name : "none",
	       info->remark[0] ? ": " : "", info->remark);
	if (model) {
		print_features(model);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (access(files[i].file, R_OK) < 0) {
			printf("Missing: %s, for %s; install the package %s\n", files[i].file,
			       files[i].purpose, files[i].package);
		}
	}
}

static void print_json(const struct info *info, const struct cpu_model *model)
{
	json_t *root = json_object(), *engines = json_array(), *missing = json_array();
	json_t *seen = json_array();

	for (unsigned int i = 0; i < info->count; i++) {
		const struct engine_report *report = &info->reports[i];

		json_array_append_new(engines,
				      json_pack("{s:s, s:b, s:f, s:s, s:s}", "name",
						info->engines[i]->name, "usable", report->usable,
						"mips", report->mips, "reason", report->reason,
						"detail", report->detail));
	}
	for (size_t i = 0; model && i < ARRAY_SIZE(features); i++) {
		if (cpu_model_has(model, features[i].leaf, features[i].subleaf, features[i].reg,
				  features[i].bit)) {
			json_array_append_new(seen, json_string(features[i].name));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (access(files[i].file, R_OK) < 0) {
			json_array_append_new(missing,
					      json_pack("{s:s, s:s}", "file", files[i].file,
							"package", files[i].package));
		}
	}
	json_object_set_new(root, "engines", engines);
	json_object_set_new(root, "auto",
			    info->automatic ? json_string(info->automatic->name) : json_null());
	json_object_set_new(root, "remark", json_string(info->remark));
	json_object_set_new(root, "features", seen);
	json_object_set_new(root, "missing", missing);
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

int main_info(struct config_tree *config, bool json)
{
	struct config_view cpu = config_view_at(config, "cpu");
	struct cpu_model model = { 0 };
	struct info info = { 0 };
	struct error err = { 0 };
	bool have_model;

	gather(&info);
	have_model = cpu_model_build(&model, 1, &cpu, &err) == 0;
	if (json) {
		print_json(&info, have_model ? &model : NULL);
	} else {
		print_text(&info, have_model ? &model : NULL);
	}
	return info.automatic ? 0 : 1;
}
