/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes between instructions on the soft engine: interrupts and their shadows, NMIs, HLT,
 * debug traps and breakpoints, INIT and start-up IPIs, saving and loading in the middle, and
 * the probe. Intel SDM vol. 3, 6.7 to 6.9, 9.4, 11 and 17.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "engine/engines.h"
#include "engine/msr.h"
#include "lib_guest.h"

#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_RF 0x10000
#define LAPIC_SVR 0xf0
#define LAPIC_IRR 0x200

static int setup(void **state)
{
	*state = guest_create(&soft_engine_ops, 1);
	return 0;
}

static int teardown(void **state)
{
	guest_destroy(*state);
	return 0;
}

/* An interrupt that waits in the local APIC. */
static void pend_interrupt(struct guest *g, uint8_t vector)
{
	uint8_t *page = g->state->lapic;

	store_le32(page + LAPIC_SVR, 0x1ff);
	store_le32(page + LAPIC_IRR + vector / 32 * 16, 1u << vector % 32);
}

/* ------- interrupts ------- */

GUEST_CODE(sti_nop, 32, "sti; nop; nop; hlt");
GUEST_CODE(mov_ss, 32, "mov eax, ss; sti; mov ss, eax; nop; nop");
GUEST_CODE(popf_if, 32, "push 0x202; popfd; nop");
GUEST_CODE(iret_if, 32, "push 0x202; push 8; push 0x6100; iretd");
GUEST_CODE(nops, 32, "nop; nop; nop; nop; out 0xf4, al");
GUEST_CODE(halts, 32, "hlt; nop");
GUEST_CODE(lapic_eoi, 32, "mov dword ptr [0xfee000b0], 0; mov ebx, [0xfee00020]; "
			  "mov ecx, [0xfee00100+0x30]; out 0xf4, al");

static void test_interrupt_windows(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	pend_interrupt(g, 0x60);
	GUEST_EXECUTE(g, sti_nop);
	assert_int_equal(g->trap.vector, 0x60);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 2); /* one instruction after STI */
	assert_int_equal(g->trap.rflags, 0x202);
	guest_protected(g, 0);
	pend_interrupt(g, 0x60);
	GUEST_EXECUTE(g, mov_ss);
	assert_int_equal(g->trap.vector, 0x60);
	assert_in_range(g->trap.rip, GUEST_CODE_ADDR + 5, GUEST_CODE_ADDR + 6);
	guest_protected(g, 0);
	pend_interrupt(g, 0x60);
	GUEST_EXECUTE(g, popf_if);
	assert_int_equal(g->trap.vector, 0x60);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 6); /* POPF has no shadow */
	guest_protected(g, 0);
	pend_interrupt(g, 0x60);
	GUEST_LOAD(g, 0x6100, nops);
	GUEST_EXECUTE(g, iret_if);
	assert_int_equal(g->trap.vector, 0x60);
	assert_int_equal(g->trap.rip, 0x6100);
	/* HLT: the return address is behind it. */
	guest_protected(g, 0);
	pend_interrupt(g, 0x60);
	g->state->rflags = 0x202;
	g->state->mp_state = CPU_MP_HALTED;
	GUEST_EXECUTE(g, nops);
	assert_int_equal(g->trap.vector, 0x60);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
}

GUEST_CODE(lapic_self, 32, "mov dword ptr [0xfee000f0], 0x1ff; "
			   "mov dword ptr [0xfee00300], 0x44071; "
			   "sti; hlt; nop");

static void test_local_apic(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	GUEST_EXECUTE(g, lapic_self);
	assert_int_equal(g->trap.vector, 0x71);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 22);
	assert_int_equal(load_le32(g->state->lapic + 0x100 + 0x30), 1 << 17); /* in service */
	/* Its end, and what a read of the page gives. */
	g->state->rip = GUEST_CODE_ADDR;
	GUEST_EXECUTE(g, lapic_eoi);
	assert_int_equal(g->state->gpr[CPU_RBX], 0);
	assert_int_equal(g->state->gpr[CPU_RCX], 0);
	assert_int_equal(load_le32(g->state->lapic + 0x100 + 0x30), 0);
}

static void test_extint(void **state)
{
	struct guest *g = *state;

	/* LINT0 is in ExtINT mode after a reset. */
	guest_protected(g, 0);
	g->pic_vector = 0x48;
	g->engine->ops->set_extint(g->engine, true);
	GUEST_EXECUTE(g, sti_nop);
	assert_int_equal(g->trap.vector, 0x48);
	assert_int_equal(g->pic_vector, -1);
}

GUEST_CODE(nmi_return, 32, "add esp, 4; iretd");

static void test_nmi(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	g->state->nmi_pending = true;
	GUEST_EXECUTE(g, nops);
	assert_int_equal(g->trap.vector, 2);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	assert_true(g->state->nmi_masked);
	/* A second one waits for IRET, and is then taken at once. */
	g->state->nmi_pending = true;
	g->state->rip = GUEST_CODE2_ADDR;
	GUEST_LOAD(g, GUEST_CODE2_ADDR, nmi_return);
	guest_run(g);
	assert_int_equal(g->trap.vector, 2);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	assert_true(g->state->nmi_masked);
	assert_false(g->state->nmi_pending);
}

/* ------- debugging ------- */

GUEST_CODE(set_tf, 32, "push 0x102; popfd; nop; nop");
GUEST_CODE(tf_int, 32, "push 0x102; popfd; int 0x40");
GUEST_CODE(tf_mov_ss, 32, "mov eax, ss; push 0x102; popfd; mov ss, eax; nop; nop");
GUEST_CODE(into_step, 32, "push 0x102; popfd; into; nop");
GUEST_CODE(icebp, 32, ".byte 0xf1");
GUEST_CODE(general_detect, 32, "mov eax, dr0");

static void test_single_step(void **state)
{
	struct guest *g = *state;

	/* The instruction after the one that sets TF is stepped. */
	guest_protected(g, 0);
	GUEST_EXECUTE(g, set_tf);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 7);
	assert_int_equal(g->trap.rflags, 0x102);
	assert_int_equal(g->state->rflags & FLAG_TF, 0);
	assert_int_equal(g->state->dr6, 0xffff4ff0);
	/* INT n clears TF: no trap. */
	guest_protected(g, 0);
	GUEST_EXECUTE(g, tf_int);
	assert_int_equal(g->trap.vector, GUEST_END_VECTOR);
	assert_int_equal(g->trap.rflags & FLAG_TF, FLAG_TF);
	/* INTO that is not taken is an instruction like any. */
	guest_protected(g, 0);
	GUEST_EXECUTE(g, into_step);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 7);
	/* MOV SS holds the trap back until after the next instruction. */
	guest_protected(g, 0);
	GUEST_EXECUTE(g, tf_mov_ss);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 11);
	/* INT1: no bit of DR6. */
	guest_protected(g, 0);
	GUEST_EXECUTE(g, icebp);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 1);
	assert_int_equal(g->state->dr6, 0xffff0ff0);
	/* General detect: a fault, which clears GD. */
	guest_protected(g, 0);
	g->state->dr7 = 0x2400;
	GUEST_EXECUTE(g, general_detect);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	assert_int_equal(g->trap.rflags, 2 | FLAG_RF);
	assert_int_equal(g->state->dr6, 0xffff2ff0);
	assert_int_equal(g->state->dr7, 0x400);
}

GUEST_CODE(branch_step, 32, "mov ecx, 0x1d9; mov eax, 2; xor edx, edx; wrmsr; push 0x102; "
			    "popfd; nop; nop; jmp 1f; nop; 1: nop");

/* DEBUGCTL.BTF: only taken branches are stepped, and #DB clears it. */
static void test_branch_step(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	GUEST_EXECUTE(g, branch_step);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 25);
	assert_int_equal(g->state->dr6, 0xffff4ff0);
	for (uint32_t i = 0; i < g->state->msr_count; i++) {
		if (g->state->msrs[i].index == MSR_DEBUGCTL) {
			assert_int_equal(g->state->msrs[i].value, 0);
		}
	}
}

GUEST_CODE(breakpoint_data, 32, "mov eax, [0xc004]; mov [0xc004], eax; nop");
GUEST_CODE(breakpoint_io, 32, "in al, 0xf6; nop");
GUEST_CODE(iret_rf, 32, "push 0x10002; push 8; push 0x6100; iretd");

static void test_breakpoints(void **state)
{
	struct guest *g = *state;

	/* On code: a fault before the instruction. */
	guest_protected(g, 0);
	g->state->dr[1] = GUEST_CODE_ADDR + 2;
	g->state->dr7 = 0x404;
	GUEST_EXECUTE(g, nops);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 2);
	assert_int_equal(g->trap.rflags, 2);
	assert_int_equal(g->state->dr6, 0xffff0ff2);
	/* RF set by IRET lets it pass once. */
	guest_protected(g, 0);
	g->state->dr[0] = 0x6100;
	g->state->dr7 = 0x401;
	GUEST_LOAD(g, 0x6100, nops);
	GUEST_EXECUTE(g, iret_rf);
	assert_int_equal(g->trap.vector, -1);
	/* On writes of data: a trap after the instruction; reads do not count. */
	guest_protected(g, 0);
	g->state->dr[0] = GUEST_DATA + 6;
	g->state->dr7 = 0x401 | 0x50000; /* write, 2 bytes */
	GUEST_EXECUTE(g, breakpoint_data);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 10);
	assert_int_equal(g->state->dr6, 0xffff0ff1);
	guest_protected(g, 0);
	g->state->dr[3] = GUEST_DATA + 4;
	g->state->dr7 = 0x440 | 0xf0000000u; /* read or write, 4 bytes */
	GUEST_EXECUTE(g, breakpoint_data);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 5);
	assert_int_equal(g->state->dr6, 0xffff0ff8);
	/* On ports, with CR4.DE. */
	guest_protected(g, 0);
	g->state->cr4 = 8;
	g->state->dr[2] = 0xf6;
	g->state->dr7 = 0x410 | 0x02000000;
	GUEST_EXECUTE(g, breakpoint_io);
	assert_int_equal(g->trap.vector, 1);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 2);
	assert_int_equal(g->state->dr6, 0xffff0ff4);
}

/* ------- more than one CPU ------- */

static void *wake_later(void *opaque)
{
	struct guest *g = opaque;
	struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	const struct msi_message msg = { .address = 0xfee00000, .data = 0x62 };

	nanosleep(&pause, NULL);
	g->engine->msi.deliver(&g->engine->msi, &msg);
	return NULL;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* A halted CPU uses no time of the host's, and a message wakes it. */
static void test_halt_sleeps(void **state)
{
	struct guest *g = *state;
	pthread_t thread;
	uint64_t before;

	guest_protected(g, 0);
	g->state->rflags = 0x202;
	store_le32(g->state->lapic + LAPIC_SVR, 0x1ff);
	assert_int_equal(pthread_create(&thread, NULL, wake_later, g), 0);
	before = thread_cpu_ns();
	GUEST_EXECUTE(g, halts);
	assert_true(thread_cpu_ns() - before < 20 * NS_PER_MS);
	assert_int_equal(g->trap.vector, 0x62);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR + 1);
	pthread_join(thread, NULL);
}

/* The boot processor starts the other one, which stores a mark and halts. */
GUEST_CODE(start_ap, 32,
	   "mov dword ptr [0xfee00310], 0x01000000; mov dword ptr [0xfee00300], 0x4500; "
	   "mov dword ptr [0xfee00300], 0x4609; 1: pause; cmp dword ptr [0xc000], 0x1234; "
	   "jne 1b; lock inc dword ptr [0xc004]; out 0xf4, al");
GUEST_CODE(ap_code, 16, "mov ax, cs; mov word ptr [0xc008], ax; "
			"lock inc dword ptr [0xc004]; mov dword ptr [0xc000], 0x1234; "
			"2: hlt; jmp 2b");

static void *run_other(void *opaque)
{
	struct vcpu *vcpu = opaque;

	vcpu->thread = pthread_self();
	return (void *)(uintptr_t)vcpu->engine->ops->vcpu_run(vcpu);
}

static void test_startup(void **state)
{
	struct guest *g = guest_create(&soft_engine_ops, 2);
	struct vcpu *other = g->engine->vcpus[1];
	pthread_t thread;
	void *result;

	(void)state;
	guest_protected(g, 0);
	GUEST_LOAD(g, 0x9000, ap_code);
	assert_int_equal(pthread_create(&thread, NULL, run_other, other), 0);
	GUEST_EXECUTE(g, start_ap);
	g->engine->ops->vcpu_kick(other);
	pthread_join(thread, &result);
	assert_int_equal((uintptr_t)result, VCPU_EXIT_KICKED);
	assert_int_equal(guest_read_u32(g, 0xc004), 2);
	assert_int_equal(guest_read_u16(g, 0xc008), 0x900);
	assert_int_equal(g->engine->ops->vcpu_save(other, NULL), 0);
	assert_int_equal(other->state.mp_state, CPU_MP_HALTED);
	guest_destroy(g);
}

GUEST_CODE(init_self, 32, "mov dword ptr [0xfee00310], 0; mov dword ptr [0xfee00300], 0x4500; "
			  "nop; nop; nop");

/* INIT to the boot processor: it starts over at the reset vector, MSRs and x87 stay. */
static void test_init_of_bsp(void **state)
{
	struct guest *g = *state;
	static const uint8_t reset_code[] = { 0xe6, GUEST_END_PORT };
	struct mem_region *rom;

	assert_int_equal(guest_memory_add_region(g->memory, "rom", 0x10000, 0, &rom, NULL), 0);
	assert_int_equal(guest_memory_map(g->memory, 0xffff0000, rom, 0, 0x10000, false), 0);
	guest_protected(g, 0);
	guest_write(g, 0xfffffff0, reset_code, sizeof(reset_code));
	g->state->gpr[CPU_RBX] = 5;
	GUEST_EXECUTE(g, init_self);
	assert_int_equal(g->state->seg[CPU_CS].base, 0xffff0000);
	assert_int_equal(g->state->rip, 0xfff2);
	assert_int_equal(g->state->cr0 & 0x80000001, 0);
	assert_int_equal(g->state->gpr[CPU_RBX], 0);
	assert_int_equal(g->state->gpr[CPU_RDX], 0x306a9);
}

/* ------- states ------- */


/* What another engine left undelivered. */
static void test_injected(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	g->state->exception_pending = true;
	g->state->exception_vector = 13;
	g->state->exception_has_error = true;
	g->state->exception_error = 0x1230;
	GUEST_EXECUTE(g, nops);
	assert_int_equal(g->trap.vector, 13);
	assert_int_equal(g->trap.error, 0x1230);
	assert_int_equal(g->trap.rip, GUEST_CODE_ADDR);
	assert_false(g->state->exception_pending);
	guest_protected(g, 0);
	g->state->rflags = 0x202;
	g->state->interrupt_pending = true;
	g->state->interrupt_vector = 0x63;
	GUEST_EXECUTE(g, nops);
	assert_int_equal(g->trap.vector, 0x63);
	assert_int_equal(g->trap.rflags, 0x202);
	assert_false(g->state->interrupt_pending);
}

static void refuse(struct guest *g)
{
	struct error err = { 0 };

	assert_int_equal(g->engine->ops->vcpu_load(g->vcpu, &err), -EINVAL);
	assert_true(err.text[0] != '\0');
	guest_protected(g, 0);
}

/* States that no processor of this model can be in. */
static void test_bad_states(void **state)
{
	struct guest *g = *state;

	guest_protected(g, 0);
	g->state->cr0 = 0x80000010; /* PG without PE */
	refuse(g);
	g->state->cr0 |= UINT64_C(1) << 40;
	refuse(g);
	g->state->cr4 = 1u << 31;
	refuse(g);
	g->state->efer = EFER_LMA;
	refuse(g);
	g->state->efer = EFER_SVME;
	refuse(g);
	g->state->cr3 = UINT64_C(1) << 50;
	refuse(g);
	g->state->xcr0 = 5;
	refuse(g);
	g->state->rip = UINT64_C(1) << 32;
	refuse(g);
	g->state->rflags |= UINT64_C(1) << 40;
	refuse(g);
	g->state->apic_base = 0xfee00400;
	refuse(g);
	g->state->msrs[0].index = 0x12345678;
	g->state->msrs[0].value = 1;
	refuse(g);
	for (uint32_t i = 0; i < g->state->msr_count; i++) {
		if (g->state->msrs[i].index == MSR_LSTAR) {
			g->state->msrs[i].value = UINT64_C(1) << 60;
		}
	}
	refuse(g);
	GUEST_EXECUTE(g, nops);
	assert_int_equal(g->trap.vector, -1);
}

static void test_probe(void **state)
{
	struct engine_report report;

	(void)state;
	soft_engine_ops.probe(&report);
	assert_true(report.usable);
	print_message("soft engine: %.0f million instructions a second\n", report.mips);
	assert_true(report.mips > 0.1);
}

static void test_counters(void **state)
{
	struct engine_counter counters[16];
	struct guest *g = *state;
	size_t count;

	guest_protected(g, 0);
	GUEST_EXECUTE(g, nops);
	count = g->engine->ops->counters(g->vcpu, counters, ARRAY_SIZE(counters));
	assert_true(count >= 1);
	assert_string_equal(counters[0].name, "instructions");
	assert_int_equal(counters[0].value, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_interrupt_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_apic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_single_step, setup, teardown),
		cmocka_unit_test_setup_teardown(test_breakpoints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_branch_step, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt_sleeps, setup, teardown),
		cmocka_unit_test(test_startup),
		cmocka_unit_test_setup_teardown(test_init_of_bsp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_injected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
