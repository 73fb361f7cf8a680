/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signal frames as a way to set and get all of a processor's user-mode state (Linux's sigcontext;
 * the floating-point part is an XSAVE image in standard format). What the breakpoint that enters
 * was interrupted with is put back when the run ends, so that hostrun() returns as if nothing had
 * happened.
 */

#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

#include "lib_hostrun.h"

#define ALT_STACK_SIZE 65536
#define X87_SSE 3
#define AVX 4

struct run {
	struct hostrun_state *state;
	struct hostrun_exit *exit;
	bool inside;
	gregset_t gregs;
	uint8_t fpu[HOSTRUN_FPU_SIZE] __attribute__((aligned(64)));
};

static const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };

static const int greg_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* Linux's selectors for user code of 32 bits and for data. */
#define USER_CS32 0x23
#define USER_DS	  0x2b

static struct run *current;
static bool compatibility;

/* What a frame's image holds of AVX depends on XSTATE_BV. */
static void get_fpu(const ucontext_t *context, uint8_t *image)
{
	const uint8_t *frame = (const uint8_t *)context->uc_mcontext.fpregs;

	memcpy(image, frame, HOSTRUN_FPU_SIZE);
	if (!(load_le64(frame + 512) & AVX)) {
		memset(image + 576, 0, 256);
	}
	if (!(load_le64(frame + 512) & 2)) {
		memset(image + 160, 0, 256);
	}
	memset(image + 416, 0, 96);
	memset(image + 512, 0, 64);
	store_le64(image + 512, X87_SSE | AVX);
}

static void set_fpu(ucontext_t *context, const uint8_t *image)
{
	uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;

	memcpy(frame, image, 416);
	memcpy(frame + 576, image + 576, 256);
	store_le64(frame + 512, load_le64(frame + 512) | X87_SSE | AVX);
}

static void enter(ucontext_t *context)
{
	greg_t *gregs = context->uc_mcontext.gregs;

	memcpy(current->gregs, gregs, sizeof(gregset_t));
	get_fpu(context, current->fpu);
	for (unsigned int i = 0; i < 16; i++) {
		gregs[greg_of[i]] = (greg_t)current->state->gpr[i];
	}
	gregs[REG_RIP] = (greg_t)current->state->rip;
	gregs[REG_EFL] = (greg_t)current->state->rflags;
	if (compatibility) {
		gregs[REG_CSGSFS] = (gregs[REG_CSGSFS] & ~(greg_t)0xffff) | USER_CS32;
	}
	set_fpu(context, current->state->fpu);
	current->inside = true;
}

static void leave(ucontext_t *context, const siginfo_t *info)
{
	greg_t *gregs = context->uc_mcontext.gregs;

	for (unsigned int i = 0; i < 16; i++) {
		current->state->gpr[i] = (uint64_t)gregs[greg_of[i]];
	}
	current->state->rip = (uint64_t)gregs[REG_RIP];
	current->state->rflags = (uint64_t)gregs[REG_EFL];
	get_fpu(context, current->state->fpu);
	current->exit->vector = (unsigned int)gregs[REG_TRAPNO];
	current->exit->error_code = (uint64_t)gregs[REG_ERR];
	current->exit->address = (uint64_t)info->si_addr;
	memcpy(gregs, current->gregs, sizeof(gregset_t));
	set_fpu(context, current->fpu);
	current->inside = false;
}

static void handle(int number, siginfo_t *info, void *context)
{
	(void)number;
	if (current->inside) {
		leave(context, info);
	} else {
		enter(context);
	}
}

void hostrun_set_compatibility(bool on)
{
	compatibility = on;
	/* 64-bit code does without them, 32-bit code does not. */
	__asm__ volatile("movl %0, %%ds\n\tmovl %0, %%es" : : "r"(on ? USER_DS : 0));
}

void hostrun(struct hostrun_state *state, struct hostrun_exit *ret_exit)
{
	static uint8_t stack[ALT_STACK_SIZE];
	struct sigaction old[ARRAY_SIZE(signals)];
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
	stack_t old_stack;
	struct run run = { .state = state, .exit = ret_exit };

	sigaltstack(&alternative, &old_stack);
	sigfillset(&action.sa_mask);
	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], &action, &old[i]);
	}
	current = &run;
	__asm__ volatile("int3" : : : "memory");
	current = NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], &old[i], NULL);
	}
	sigaltstack(&old_stack, NULL);
}
