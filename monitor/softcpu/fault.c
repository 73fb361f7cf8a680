/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions: leaving an instruction with one, and what becomes of an exception that meets another
 * on its way to a handler. Intel SDM vol. 3, 6.5, 6.9 and 6.15 (interrupt 8, table 6-5: benign,
 * contributory, page fault, double fault, shutdown).
 *
 * soft_raise() only notes the exception and jumps; soft_run() makes the architectural state that of
 * the instruction's start and calls soft_take_fault(). Delivery can raise again, and then ends here
 * a second time with exception_active still set.
 */

#include "softcpu/system.h"

_Noreturn static void raise_fault(struct softcpu *cpu, enum soft_vector vector, bool has_error,
				  uint32_t error_code)
{
	cpu->fault_vector = vector;
	cpu->fault_has_error = has_error;
	cpu->fault_error = error_code;
	cpu->event_external = false;
	siglongjmp(cpu->fault, 1);
}

_Noreturn void soft_raise(struct softcpu *cpu, enum soft_vector vector)
{
	raise_fault(cpu, vector, false, 0);
}

_Noreturn void soft_raise_error(struct softcpu *cpu, enum soft_vector vector, uint32_t error_code)
{
	/* EXT: the program is not to blame (SDM vol. 3, 6.13). */
	if (cpu->event_external && vector >= SOFT_TS && vector <= SOFT_GP) {
		error_code |= 1;
	}
	raise_fault(cpu, vector, true, error_code);
}

_Noreturn void soft_raise_page_fault(struct softcpu *cpu, gva_t address, uint32_t error_code)
{
	cpu->cr2 = address;
	raise_fault(cpu, SOFT_PF, true, error_code);
}

_Noreturn void soft_raise_gp(struct softcpu *cpu)
{
	soft_raise_error(cpu, SOFT_GP, 0);
}

_Noreturn void soft_raise_selector(struct softcpu *cpu, enum soft_vector vector, uint16_t selector)
{
	soft_raise_error(cpu, vector, selector & 0xfffc);
}

void soft_require_cpl0(struct softcpu *cpu)
{
	if (cpu->cpl != 0) {
		soft_raise_gp(cpu);
	}
}

static bool is_contributory(uint8_t vector)
{
	return vector == SOFT_DE || (vector >= SOFT_TS && vector <= SOFT_GP);
}

/* Replaces the noted exception by #DF where the two do not go one after the other. */
static bool combine_exceptions(struct softcpu *cpu)
{
	uint8_t first = cpu->exception_vector;
	uint8_t second = cpu->fault_vector;

	if (first == SOFT_DF) {
		return !is_contributory(second) && second != SOFT_PF;
	}
	if ((is_contributory(first) && is_contributory(second)) ||
	    (first == SOFT_PF && (is_contributory(second) || second == SOFT_PF))) {
		cpu->fault_vector = SOFT_DF;
		cpu->fault_has_error = true;
		cpu->fault_error = 0;
	}
	return true;
}

/* SDM vol. 3, 17.3.1.1: faults push RF set, so that a code breakpoint there is not hit again. */
static void prepare_flags(struct softcpu *cpu)
{
	if (cpu->fault_vector == SOFT_DB) {
		uint64_t *debugctl = soft_msr_slot(cpu, MSR_DEBUGCTL);

		cpu->dr7 &= ~DR7_GD;
		if (debugctl) {
			*debugctl &= ~(DEBUGCTL_LBR | DEBUGCTL_BTF);
		}
	} else {
		cpu->rflags |= FLAG_RF;
	}
	/* The instruction was not executed: data breakpoints that it has met will be met again. */
	cpu->pending_db = 0;
}

bool soft_take_fault(struct softcpu *cpu)
{
	if (cpu->exception_active && !combine_exceptions(cpu)) {
		cpu->exception_active = false;
		return false;
	}
	cpu->exception_active = true;
	cpu->exception_vector = cpu->fault_vector;
	cpu->counters[SOFT_COUNTER_EXCEPTIONS]++;
	prepare_flags(cpu);
	soft_deliver(cpu, cpu->fault_vector, cpu->fault_has_error, cpu->fault_error, false, true);
	cpu->exception_active = false;
	return true;
}
