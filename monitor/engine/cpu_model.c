/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor that guests see: building it from the configuration, asking it, saving it.
 *
 * The same struct answers CPUID in the soft engine and is given to KVM, so a guest sees the same
 * processor on either. The answers for leaves beyond the highest differ by vendor: Intel's CPUs
 * repeat the highest basic leaf, AMD's return zeros.
 */

#include "engine/cpu_model.h"

#include <stdio.h>

#include "engine/cpu_model_priv.h"

#define CR4_OSXSAVE BIT(18)
#define LEAF1_OSXSAVE BIT(27)

const struct config_key cpu_model_keys[] = {
	{ .name = "model",
	  .type = CONFIG_ENUM,
	  .def = "host",
	  .choices = "host|x86-64-v3|x86-64-v2|pentium3-like",
	  .help = "the processor: the host's, or a baseline that older systems and hosts know" },
	{ .name = "features",
	  .type = CONFIG_STRING,
	  .help = "features to add and to take away, as in '+aes,-avx2'" },
	{ .name = "hypervisor",
	  .type = CONFIG_BOOL,
	  .def = "on",
	  .help = "tell the guest that it runs under a hypervisor, and offer kvm-clock" },
	{ .name = NULL },
};

static int level_of(const char *model, enum cpu_level *ret_level, struct error *err)
{
	static const char *const names[] = {
		[CPU_LEVEL_PENTIUM3] = "pentium3-like",
		[CPU_LEVEL_V2] = "x86-64-v2",
		[CPU_LEVEL_V3] = "x86-64-v3",
		[CPU_LEVEL_HOST] = "host",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], model) == 0) {
			*ret_level = (enum cpu_level)i;
			return 0;
		}
	}
	return error_set(
		err, EINVAL,
		"cpu.model: unknown model '%s': host, x86-64-v3, x86-64-v2 or pentium3-like",
		model);
}

static void choose_features(const struct cpu_host *host, enum cpu_level level, unsigned int cpus,
			    struct cpu_feature_set *ret_set)
{
	for (size_t i = 0; i < cpu_feature_count; i++) {
		const struct cpu_feature *feature = &cpu_features[i];

		ret_set->has[i] = host->possible.has[i] && feature->level <= level;
		if ((feature->flags & CPU_FEATURE_TOPOLOGY) && cpus == 1 &&
		    strcmp(feature->name, "topoext") != 0) {
			ret_set->has[i] = false;
		}
	}
	cpu_features_prune(ret_set);
}

int cpu_model_build_for(struct cpu_model *model, const char *engine, unsigned int cpus,
			const struct config_view *config, struct error *err)
{
	const char *name = config ? config_get_string(config, "model") : "host";
	const char *edits = config ? config_get_string(config, "features") : NULL;
	bool hypervisor = config ? config_get_bool(config, "hypervisor") : true;
	enum cpu_level level = CPU_LEVEL_HOST;
	struct cpu_feature_set set = { .has = { false } };
	struct cpu_host host;
	int ret;

	if (cpus == 0 || cpus > 255) {
		return error_set(err, EINVAL, "%u CPUs: 1 to 255 are possible", cpus);
	}
	ret = level_of(name, &level, err);
	if (ret) {
		return ret;
	}
	cpu_host_query(&host, engine);
	choose_features(&host, level, cpus, &set);
	if (edits) {
		ret = cpu_features_edit(&set, &host.possible, edits, err);
		if (ret) {
			return ret;
		}
	}
	memset(model, 0, sizeof(*model));
	model->cpus = cpus;
	model->tsc_hz = cpu_host_tsc_hz(&host);
	model->phys_bits = level == CPU_LEVEL_PENTIUM3 ? 36 : MIN(host.phys_bits, 52);
	model->virt_bits = set.has[cpu_feature_find("lm")] ? 48 : 32;
	if (!cpu_model_fill(model, &host, &set, level, hypervisor)) {
		return error_set(err, ENOSPC, "the processor has more than %d CPUID leaves",
				 CPU_MODEL_MAX_LEAVES);
	}
	return 0;
}

int cpu_model_build(struct cpu_model *model, unsigned int cpus, const struct config_view *config,
		    struct error *err)
{
	return cpu_model_build_for(model, NULL, cpus, config, err);
}

/* ------- asking ------- */

static const struct cpuid_entry *find_leaf(const struct cpu_model *model, uint32_t leaf,
					   uint32_t subleaf)
{
	for (unsigned int i = 0; i < model->leaf_count; i++) {
		const struct cpuid_entry *entry = &model->leaves[i];

		if (entry->leaf == leaf && (!entry->indexed || entry->subleaf == subleaf)) {
			return entry;
		}
	}
	return NULL;
}

static uint32_t highest_of(const struct cpu_model *model, uint32_t first)
{
	const struct cpuid_entry *entry = find_leaf(model, first, 0);

	return entry ? entry->eax : 0;
}

/* What the vendor's processors make of a leaf that they do not have. */
static uint32_t effective_leaf(const struct cpu_model *model, uint32_t leaf)
{
	uint32_t highest = highest_of(model, leaf & 0xf0000000);

	if (highest != 0 && leaf <= highest) {
		return leaf;
	}
	return cpu_model_vendor_is_amd(model) ? UINT32_MAX : highest_of(model, 0);
}

void cpu_model_cpuid(const struct cpu_model *model, unsigned int index, uint32_t leaf,
		     uint32_t subleaf, uint64_t cr4, uint64_t xcr0, uint32_t ret[4])
{
	uint32_t effective = effective_leaf(model, leaf);
	const struct cpuid_entry *entry = find_leaf(model, effective, subleaf);

	memset(ret, 0, 4 * sizeof(ret[0]));
	if (entry) {
		ret[CPUID_EAX] = entry->eax;
		ret[CPUID_EBX] = entry->ebx;
		ret[CPUID_ECX] = entry->ecx;
		ret[CPUID_EDX] = entry->edx;
	}
	switch (effective) {
	case 1:
		ret[CPUID_EBX] |= (uint32_t)index << 24;
		if ((cr4 & CR4_OSXSAVE) && (ret[CPUID_ECX] & BIT(26))) {
			ret[CPUID_ECX] |= LEAF1_OSXSAVE;
		}
		break;
	case 0xb:
		/* Subleaves beyond the last: only the id and what was asked for. */
		ret[CPUID_ECX] = (ret[CPUID_ECX] & ~0xffU) | (subleaf & 0xff);
		ret[CPUID_EDX] = index;
		break;
	case 0xd:
		if (ret[CPUID_EAX] && subleaf <= 1) {
			ret[CPUID_EBX] = cpu_model_xsave_size(xcr0);
		}
		break;
	case 0x8000001e:
		ret[CPUID_EAX] = index;
		ret[CPUID_EBX] = index & 0xff;
		break;
	default:
		break;
	}
}

bool cpu_model_has(const struct cpu_model *model, uint32_t leaf, uint32_t subleaf, unsigned int reg,
		   unsigned int bit)
{
	const struct cpuid_entry *entry = find_leaf(model, leaf, subleaf);
	uint32_t regs[4];

	if (!entry || reg > CPUID_EDX || bit > 31) {
		return false;
	}
	regs[CPUID_EAX] = entry->eax;
	regs[CPUID_EBX] = entry->ebx;
	regs[CPUID_ECX] = entry->ecx;
	regs[CPUID_EDX] = entry->edx;
	return regs[reg] & BIT(bit);
}

bool cpu_model_vendor_is_amd(const struct cpu_model *model)
{
	const struct cpuid_entry *entry = find_leaf(model, 0, 0);

	return entry && (entry->ecx == 0x444d4163 || entry->ecx == 0x656e6975);
}

static bool model_has_feature(const struct cpu_model *model, const struct cpu_feature *feature)
{
	return cpu_model_has(model, feature->leaf, feature->subleaf, feature->reg, feature->bit);
}

void cpu_model_describe(const struct cpu_model *model, char *buf, size_t size)
{
	size_t used = 0;

	if (size > 0) {
		buf[0] = '\0';
	}
	for (size_t i = 0; i < cpu_feature_count && used < size; i++) {
		if (model_has_feature(model, &cpu_features[i])) {
			int n = snprintf(buf + used, size - used, "%s%s", used ? " " : "",
					 cpu_features[i].name);

			used += n > 0 ? (size_t)n : 0;
		}
	}
}

/* ------- saving ------- */

static const struct state_field leaf_fields[] = {
	STATE_FIELD(struct cpuid_entry, leaf),
	STATE_FIELD(struct cpuid_entry, subleaf),
	STATE_FIELD_BOOL(struct cpuid_entry, indexed),
	STATE_FIELD(struct cpuid_entry, eax),
	STATE_FIELD(struct cpuid_entry, ebx),
	STATE_FIELD(struct cpuid_entry, ecx),
	STATE_FIELD(struct cpuid_entry, edx),
	STATE_FIELDS_END,
};

static const struct state_table leaf_table = { .version = 1, .fields = leaf_fields };

static const struct state_field model_fields[] = {
	STATE_FIELD_STRUCT(struct cpu_model, leaves, CPU_MODEL_MAX_LEAVES, &leaf_table),
	STATE_FIELD(struct cpu_model, leaf_count),
	STATE_FIELD(struct cpu_model, tsc_hz),
	STATE_FIELD(struct cpu_model, xcr0_mask),
	STATE_FIELD(struct cpu_model, phys_bits),
	STATE_FIELD(struct cpu_model, virt_bits),
	STATE_FIELD(struct cpu_model, cpus),
	STATE_FIELDS_END,
};

static int model_post_load(void *base, struct error *err)
{
	const struct cpu_model *model = base;

	if (model->leaf_count > CPU_MODEL_MAX_LEAVES) {
		return error_set(err, EINVAL, "leaf_count is %u", model->leaf_count);
	}
	if (model->tsc_hz < 1000000 || model->tsc_hz > UINT64_C(100000000000)) {
		return error_set(err, EINVAL, "tsc_hz is %llu", (unsigned long long)model->tsc_hz);
	}
	if (!(model->xcr0_mask & 1) || (model->xcr0_mask & ~UINT64_C(7))) {
		return error_set(err, EINVAL, "xcr0_mask is 0x%llx",
				 (unsigned long long)model->xcr0_mask);
	}
	if (model->phys_bits < 32 || model->phys_bits > 52 ||
	    (model->virt_bits != 32 && model->virt_bits != 48)) {
		return error_set(err, EINVAL, "phys_bits is %u, virt_bits is %u", model->phys_bits,
				 model->virt_bits);
	}
	return 0;
}

const struct state_table cpu_model_state_table = {
	.version = 1,
	.fields = model_fields,
	.post_load = model_post_load,
};

int cpu_model_adopt(struct cpu_model *model, const struct cpu_model *saved, struct error *err)
{
	if (saved->cpus != model->cpus) {
		return error_set(err, EINVAL, "the machine was saved with %u CPUs, this one has %u",
				 saved->cpus, model->cpus);
	}
	for (size_t i = 0; i < cpu_feature_count; i++) {
		if (model_has_feature(saved, &cpu_features[i]) &&
		    !model_has_feature(model, &cpu_features[i])) {
			return error_set(
				err, ENOTSUP,
				"the machine was saved on a processor with %s, which this one "
				"lacks; save it with --set cpu.features=-%s",
				cpu_features[i].name, cpu_features[i].name);
		}
	}
	if (saved->phys_bits > model->phys_bits || (saved->xcr0_mask & ~model->xcr0_mask)) {
		return error_set(
			err, ENOTSUP,
			"the machine was saved on a processor with %u address bits and XCR0 "
			"0x%llx, this one has %u and 0x%llx",
			saved->phys_bits, (unsigned long long)saved->xcr0_mask, model->phys_bits,
			(unsigned long long)model->xcr0_mask);
	}
	*model = *saved;
	return 0;
}
