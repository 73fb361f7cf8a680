/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to tell a person when KVM gives up: one line for the machine's error, and the registers in
 * the log. The line says what KVM was doing, at which address, and which instruction stands
 * there.
 */

#include <stdio.h>
#include <sys/ioctl.h>

#include <Zydis/Zydis.h>

#include "engine/kvm/kvm_engine.h"

#define MAX_INSTRUCTION 15
#define RFLAGS_VM BIT(17)
#define EFER_LMA_BIT BIT(10)

struct guest_code {
	uint64_t address; /* linear */
	uint8_t bytes[MAX_INSTRUCTION];
	size_t size;
	char text[96];
};

static ZydisMachineMode machine_mode(const struct kvm_sregs *sregs)
{
	if ((sregs->efer & EFER_LMA_BIT) && sregs->cs.l) {
		return ZYDIS_MACHINE_MODE_LONG_64;
	}
	if (!(sregs->cr0 & 1)) {
		return ZYDIS_MACHINE_MODE_REAL_16;
	}
	return sregs->cs.db ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
}

static void disassemble(struct guest_code *code, const struct kvm_sregs *sregs, uint64_t rip)
{
	ZydisDisassembledInstruction instruction;

	snprintf(code->text, sizeof(code->text), "unknown");
	if (code->size > 0 &&
	    ZYAN_SUCCESS(ZydisDisassembleIntel(machine_mode(sregs), rip, code->bytes, code->size,
					       &instruction))) {
		snprintf(code->text, sizeof(code->text), "%s", instruction.text);
	}
}

/* The bytes at CS:RIP, by the guest's own page tables; fewer where they end. */
static void read_code(struct kvm_vcpu *vcpu, const struct kvm_regs *regs,
		      const struct kvm_sregs *sregs, struct guest_code *code)
{
	code->address = machine_mode(sregs) == ZYDIS_MACHINE_MODE_LONG_64
				? regs->rip
				: sregs->cs.base + regs->rip;
	for (code->size = 0; code->size < MAX_INSTRUCTION; code->size++) {
		struct kvm_translation where = { .linear_address = code->address + code->size };

		if (ioctl(vcpu->fd, KVM_TRANSLATE, &where) < 0 || !where.valid ||
		    guest_mem_read(vcpu->vcpu.engine->env.memory, where.physical_address,
				   &code->bytes[code->size], 1) < 0) {
			break;
		}
	}
	disassemble(code, sregs, regs->rip);
}

static void log_state(struct kvm_vcpu *vcpu, const struct kvm_regs *regs,
		      const struct kvm_sregs *sregs, const struct guest_code *code)
{
	static const char *const names[] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp",
		"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"
	};
	const uint64_t values[] = { regs->rax, regs->rbx, regs->rcx, regs->rdx,
				    regs->rsi, regs->rdi, regs->rsp, regs->rbp,
				    regs->r8,  regs->r9,  regs->r10, regs->r11,
				    regs->r12, regs->r13, regs->r14, regs->r15 };
	char bytes[3 * MAX_INSTRUCTION + 1] = "";

	for (size_t i = 0; i < ARRAY_SIZE(values); i += 4) {
		log_error(LOG_AREA_ENGINE,
			  "kvm: %3s 0x%016llx %3s 0x%016llx %3s 0x%016llx %3s 0x%016llx", names[i],
			  (unsigned long long)values[i], names[i + 1],
			  (unsigned long long)values[i + 1], names[i + 2],
			  (unsigned long long)values[i + 2], names[i + 3],
			  (unsigned long long)values[i + 3]);
	}
	log_error(LOG_AREA_ENGINE,
		  "kvm: rip 0x%llx rflags 0x%llx cs 0x%x base 0x%llx ss 0x%x base 0x%llx",
		  (unsigned long long)regs->rip, (unsigned long long)regs->rflags,
		  sregs->cs.selector, (unsigned long long)sregs->cs.base, sregs->ss.selector,
		  (unsigned long long)sregs->ss.base);
	log_error(LOG_AREA_ENGINE, "kvm: cr0 0x%llx cr2 0x%llx cr3 0x%llx cr4 0x%llx efer 0x%llx",
		  (unsigned long long)sregs->cr0, (unsigned long long)sregs->cr2,
		  (unsigned long long)sregs->cr3, (unsigned long long)sregs->cr4,
		  (unsigned long long)sregs->efer);
	for (size_t i = 0; i < code->size; i++) {
		snprintf(bytes + 3 * i, 4, " %02x", code->bytes[i]);
	}
	log_error(LOG_AREA_ENGINE, "kvm: virtual CPU %u, code at 0x%llx:%s", vcpu->vcpu.index,
		  (unsigned long long)code->address, bytes);
}

static void describe(struct kvm_vcpu *vcpu, const struct guest_code *code)
{
	struct kvm_run *run = vcpu->run;
	struct error *err = &vcpu->vcpu.error;
	unsigned long long at = code->address;

	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
			error_set(err, EIO, "KVM cannot emulate the instruction '%s' at 0x%llx",
				  code->text, at);
			return;
		}
		error_set(
			err, EIO,
			"KVM reports internal error %u (1: emulation, 2: simultaneous exceptions, "
			"3: event delivery, 4: unexpected exit) at 0x%llx, '%s'",
			run->internal.suberror, at, code->text);
		return;
	case KVM_EXIT_FAIL_ENTRY:
		error_set(
			err, EIO,
			"the processor refuses to enter the guest (reason 0x%llx) at 0x%llx, '%s'",
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason, at,
			code->text);
		return;
	case KVM_EXIT_UNKNOWN:
		error_set(
			err, EIO,
			"the processor left the guest for an unknown reason 0x%llx at 0x%llx, '%s'",
			(unsigned long long)run->hw.hardware_exit_reason, at, code->text);
		return;
	default:
		error_set(err, EIO,
			  "KVM stops with exit reason %u, which is not expected, at 0x%llx, '%s'",
			  run->exit_reason, at, code->text);
		return;
	}
}

void kvm_report_failure(struct kvm_vcpu *vcpu)
{
	struct guest_code code = { .text = "unknown" };
	struct kvm_regs regs = { .rip = 0 };
	struct kvm_sregs sregs = { .cr0 = 0 };

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0 &&
	    ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) == 0) {
		read_code(vcpu, &regs, &sregs, &code);
		log_state(vcpu, &regs, &sregs, &code);
	}
	describe(vcpu, &code);
}
