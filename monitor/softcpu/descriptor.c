/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptor tables: reading the entries of the GDT and the LDT, gates, accessed and busy bits.
 * Intel SDM vol. 3, 3.4.5, 3.5, 5.8.3 and 8.2.
 *
 * Bits are set by writing the one byte that holds them: the manual has the processor lock the bus
 * for that, which only software that rewrites a descriptor in use could notice.
 */

#include "softcpu/system.h"

struct soft_descriptor soft_decode_descriptor(uint64_t raw, gva_t address, uint16_t selector)
{
	struct soft_descriptor desc = {
		.raw = raw,
		.address = address,
		.base = ((raw >> 16) & 0xffffff) | ((raw >> 32) & 0xff000000),
		.limit = (uint32_t)((raw & 0xffff) | ((raw >> 32) & 0xf0000)),
		.attr = (uint32_t)(raw >> 40) & 0xf0ff,
		.selector = selector,
	};

	if (desc.attr & CPU_SEG_G) {
		desc.limit = desc.limit << 12 | 0xfff;
	}
	return desc;
}

/* The linear address of @size bytes at the entry, or false where the table ends before. */
static bool table_entry(struct softcpu *cpu, uint16_t selector, unsigned int size, gva_t *ret)
{
	unsigned int offset = selector & 0xfff8;

	if (selector & SELECTOR_TI) {
		if ((cpu->ldt.attr & CPU_SEG_UNUSABLE) || offset + size - 1 > cpu->ldt.limit) {
			return false;
		}
		*ret = cpu->ldt.base + offset;
	} else {
		if (offset + size - 1 > cpu->gdt.limit) {
			return false;
		}
		*ret = cpu->gdt.base + offset;
	}
	if (!cpu->long_mode) {
		*ret = (uint32_t)*ret;
	}
	return true;
}

bool soft_find_descriptor(struct softcpu *cpu, uint16_t selector, struct soft_descriptor *ret)
{
	gva_t address;

	if (!table_entry(cpu, selector, 8, &address)) {
		return false;
	}
	*ret = soft_decode_descriptor(soft_linear_read(cpu, address, 8), address, selector);
	return true;
}

void soft_fetch_descriptor(struct softcpu *cpu, uint16_t selector, enum soft_vector vector,
			   struct soft_descriptor *ret)
{
	if (!soft_find_descriptor(cpu, selector, ret)) {
		soft_raise_selector(cpu, vector, selector);
	}
}

bool soft_extend_descriptor(struct softcpu *cpu, struct soft_descriptor *desc)
{
	gva_t address;
	uint64_t high;

	if (!cpu->long_mode) {
		return true;
	}
	if (!table_entry(cpu, desc->selector, 16, &address)) {
		return false;
	}
	high = soft_linear_read(cpu, address + 8, 8);
	if ((high >> 40) & 0x1f) {
		return false;
	}
	desc->base = (uint32_t)desc->base | high << 32;
	return true;
}

bool soft_decode_gate(struct softcpu *cpu, const struct soft_descriptor *desc, bool wide,
		      struct soft_gate *ret)
{
	uint64_t raw = desc->raw;

	ret->selector = (uint16_t)(raw >> 16);
	ret->offset = (raw & 0xffff) | ((raw >> 32) & 0xffff0000);
	ret->count = (raw >> 32) & 0x1f;
	if (wide) {
		uint64_t high = soft_linear_read(cpu, desc->address + 8, 8);

		if ((high >> 40) & 0x1f) {
			return false;
		}
		ret->offset |= high << 32;
	} else if (!(desc->attr & 8)) {
		ret->offset &= 0xffff;
	}
	return true;
}

static void write_type(struct softcpu *cpu, struct soft_descriptor *desc)
{
	soft_linear_write(cpu, desc->address + 5, desc->attr & 0xff, 1);
}

void soft_mark_accessed(struct softcpu *cpu, struct soft_descriptor *desc)
{
	if (!(desc->attr & TYPE_ACCESSED)) {
		desc->attr |= TYPE_ACCESSED;
		write_type(cpu, desc);
	}
}

void soft_set_busy(struct softcpu *cpu, struct soft_descriptor *desc, bool busy)
{
	desc->attr = busy ? desc->attr | TYPE_BUSY : desc->attr & ~(uint32_t)TYPE_BUSY;
	write_type(cpu, desc);
}

struct cpu_segment soft_segment(const struct soft_descriptor *desc, uint16_t selector)
{
	return (struct cpu_segment){
		.base = desc->base,
		.limit = desc->limit,
		.attr = desc->attr,
		.selector = selector,
	};
}
