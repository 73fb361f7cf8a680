/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of cpu.features, a loaded CPU model, and CPUID asked of it. */

#include <stdlib.h>

#include "engine/cpu_model_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cpu_feature_set set = { .has = { false } };
	struct cpu_feature_set possible = { .has = { false } };
	struct cpu_model model = { .leaf_count = 0 };
	struct error err = { 0 };
	char text[256];
	uint32_t regs[4];

	for (size_t i = 0; i < cpu_feature_count; i++) {
		possible.has[i] = i % 5 != 0;
		set.has[i] = i % 3 == 0;
	}
	memcpy(text, data, MIN(size, sizeof(text) - 1));
	text[MIN(size, sizeof(text) - 1)] = '\0';
	cpu_features_edit(&set, &possible, text, &err);

	memcpy(&model, data, MIN(size, sizeof(model)));
	/* The stream's reader makes a bool of any byte. */
	for (size_t i = 0; i < CPU_MODEL_MAX_LEAVES; i++) {
		uint8_t byte;

		memcpy(&byte, &model.leaves[i].indexed, 1);
		model.leaves[i].indexed = byte != 0;
	}
	if (cpu_model_state_table.post_load(&model, &err) == 0) {
		struct cpu_model mine = model;

		for (size_t i = 0; i + 8 <= size; i += 8) {
			cpu_model_cpuid(&model, data[i], load_le32(data + i), data[i + 4],
					data[i + 5], data[i + 6], regs);
		}
		cpu_model_describe(&model, text, sizeof(text));
		cpu_model_adopt(&mine, &model, &err);
	}
	return 0;
}
