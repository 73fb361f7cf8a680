/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU's memory: page walks and their error codes in every paging mode, accessed and
 * dirty bits, instructions that span pages, code that changes (by itself, by a device, by another
 * CPU), ROM, I/O memory, dirty tracking.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib_bare.h"

#define PTE_P 1
#define PTE_W 2
#define PTE_U 4
#define PTE_A 0x20
#define PTE_D 0x40
#define PTE_NX BIT(63)

#define CR0_WP BIT(16)
#define CR4_PSE BIT(4)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)

static struct bare bare;

static int setup_32(void **state)
{
	bare_create(&bare, BARE_32);
	return 0;
}

static int setup_paging32(void **state)
{
	bare_create(&bare, BARE_PAGING32);
	return 0;
}

static int setup_pae(void **state)
{
	bare_create(&bare, BARE_PAE);
	return 0;
}

static int setup_64(void **state)
{
	bare_create(&bare, BARE_64);
	return 0;
}

static int teardown(void **state)
{
	bare_destroy(&bare);
	return 0;
}

/* ------- page walks ------- */

static uint64_t get_pte(uint64_t address)
{
	void *pte = bare_pte(&bare, address);

	return bare.mode == BARE_PAGING32 ? load_le32(pte) : load_le64(pte);
}

static void set_pte(uint64_t address, uint64_t value)
{
	void *pte = bare_pte(&bare, address);

	if (bare.mode == BARE_PAGING32) {
		store_le32(pte, (uint32_t)value);
	} else {
		store_le64(pte, value);
	}
	bare_flush(&bare);
}

static void load(uint64_t address)
{
	bare.cpu->gpr[CPU_RBX] = address;
	BARE_RUN(&bare, 0x8b, 0x03); /* mov eax, [ebx] */
}

static void store(uint64_t address)
{
	bare.cpu->gpr[CPU_RBX] = address;
	bare.cpu->gpr[CPU_RAX] = 0x12345678;
	BARE_RUN(&bare, 0x89, 0x03); /* mov [ebx], eax */
}

static void expect_page_fault(uint64_t address, uint32_t error)
{
	assert_int_equal(bare.exit_vector, SOFT_PF);
	assert_int_equal(bare.cpu->cr2, address);
	assert_int_equal(bare.error_code, error);
}

static void test_not_present(void **state)
{
	set_pte(BARE_DATA, 0);
	load(BARE_DATA + 4);
	expect_page_fault(BARE_DATA + 4, 0);
	store(BARE_DATA + 8);
	expect_page_fault(BARE_DATA + 8, 2);
	load(BARE_DATA - 2); /* the second page's fault, at its first byte */
	expect_page_fault(BARE_DATA, 0);
}

static void test_accessed_and_dirty(void **state)
{
	set_pte(BARE_DATA, BARE_DATA | PTE_P | PTE_W);
	load(BARE_DATA);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(get_pte(BARE_DATA) & 0xfff, PTE_P | PTE_W | PTE_A);
	store(BARE_DATA);
	assert_int_equal(get_pte(BARE_DATA) & 0xfff, PTE_P | PTE_W | PTE_A | PTE_D);
	assert_int_equal(load_le32(bare.ram + BARE_DATA), 0x12345678);
	set_pte(BARE_DATA, BARE_DATA | PTE_P);
	bare.cpu->cr0 |= CR0_WP;
	bare_flush(&bare);
	store(BARE_DATA);
	expect_page_fault(BARE_DATA, 3);
	assert_int_equal(get_pte(BARE_DATA) & 0xfff, PTE_P); /* a fault leaves them alone */
	bare.cpu->cr0 &= ~CR0_WP;
	bare_flush(&bare);
	store(BARE_DATA);
	assert_int_equal(bare.exit_vector, -1);
}

static void test_moved_page(void **state)
{
	store_le32(bare.ram + BARE_DATA + 0x5000, 0xabcd);
	set_pte(BARE_DATA, (BARE_DATA + 0x5000) | PTE_P);
	load(BARE_DATA);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0xabcd);
}

static void test_no_execute(void **state)
{
	uint64_t pte = get_pte(BARE_DATA);

	bare.ram[BARE_DATA] = 0xc3; /* ret */
	bare.cpu->gpr[CPU_RBX] = BARE_DATA;
	BARE_RUN(&bare, 0xff, 0xd3); /* call ebx */
	assert_int_equal(bare.exit_vector, -1);
	set_pte(BARE_DATA, pte | PTE_NX);
	bare.cpu->gpr[CPU_RSP] = BARE_STACK;
	BARE_RUN(&bare, 0xff, 0xd3);
	expect_page_fault(BARE_DATA, 0x11);
	assert_int_equal(bare.fault_rip, BARE_DATA);
	load(BARE_DATA);
	assert_int_equal(bare.exit_vector, -1);
	bare.cpu->efer &= ~BIT(11);
	bare_flush(&bare);
	load(BARE_DATA);
	expect_page_fault(BARE_DATA, 9); /* then the bit is reserved */
}

static void test_reserved_bits(void **state)
{
	set_pte(BARE_DATA, get_pte(BARE_DATA) | BIT(51));
	load(BARE_DATA);
	expect_page_fault(BARE_DATA, 9);
	store(BARE_DATA);
	expect_page_fault(BARE_DATA, 11);
}

static void test_user_pages(void **state)
{
	bare.cpu->cr4 |= CR4_SMEP | CR4_SMAP;
	for (uint64_t page = 0; page < 0x10000; page += 0x1000) {
		set_pte(page, page | PTE_P | PTE_W);
	}
	load(BARE_DATA); /* still a user page */
	expect_page_fault(BARE_DATA, 1);
	bare.cpu->rflags |= FLAG_AC;
	load(BARE_DATA);
	assert_int_equal(bare.exit_vector, -1);
	bare.ram[BARE_DATA] = 0xc3;
	bare.cpu->gpr[CPU_RBX] = BARE_DATA;
	BARE_RUN(&bare, 0xff, 0xd3); /* call rbx */
	expect_page_fault(BARE_DATA, 0x11);
}

static void test_large_page(void **state)
{
	uint8_t *directory = bare.ram + BARE_TABLES;

	bare.cpu->cr4 |= CR4_PSE;
	store_le32(directory + 8, PTE_P | PTE_W | 0x80); /* 8 MiB -> 0 */
	bare_flush(&bare);
	store_le32(bare.ram + BARE_DATA + 0x20, 0x5151);
	load(0x800000 + BARE_DATA + 0x20);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0x5151);
	assert_int_equal(load_le32(directory + 8) & 0xfff, PTE_P | PTE_W | 0x80 | PTE_A);
	store_le32(directory + 8, PTE_P | PTE_W | 0x80 | BIT(21));
	bare_flush(&bare);
	load(0x800000);
	expect_page_fault(0x800000, 9);
}

static void test_pdptes_are_registers(void **state)
{
	load(BARE_DATA);
	store_le64(bare.ram + BARE_TABLES, 0);
	soft_flush_page(bare.cpu, BARE_DATA); /* the table is read again, the PDPTE is not */
	load(BARE_DATA);
	assert_int_equal(bare.exit_vector, -1);
}

static void test_invlpg(void **state)
{
	load(BARE_DATA);
	store_le64(bare_pte(&bare, BARE_DATA), 0);
	bare.cpu->gpr[CPU_RBX] = BARE_DATA;
	BARE_RUN(&bare, 0x0f, 0x01, 0x3b); /* invlpg [rbx] */
	load(BARE_DATA);
	expect_page_fault(BARE_DATA, 0);
}

/* After a change of page tables the very next instruction comes from the new page. */
static void test_code_page_is_replaced(void **state)
{
	/* mov [rbx], ecx; mov rax, cr3; mov cr3, rax; nop; mov al, 1 */
	static const uint8_t code[] = { 0x89, 0x0b, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x90, 0xb0,
					1 };
	static const uint8_t other[] = { 0x90, 0xb0, 2, 0xe6, BARE_EXIT, 0xf4 };
	uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A;

	set_pte(BARE_DATA + 0x1000, (BARE_TABLES + 0x3000) | flags);
	memcpy(bare.ram + BARE_DATA + 8, other, sizeof(other));
	bare_code(&bare, code, sizeof(code));
	bare.cpu->gpr[CPU_RBX] = BARE_DATA + 0x1000 + (BARE_CODE >> 12) * 8;
	bare.cpu->gpr[CPU_RCX] = BARE_CODE | flags; /* once without a change, for links to form */
	bare_run(&bare);
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 1);
	bare.cpu->gpr[CPU_RCX] = BARE_DATA | flags;
	bare_run(&bare);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 2);
}

/* ------- code across pages ------- */

static void test_fetch_across_pages(void **state)
{
	uint64_t end = BARE_DATA + 0x1000;

	/* mov eax, imm32 whose last byte is in the next page, and the way back */
	memcpy(bare.ram + end - 4, "\xb8\x11\x22\x33", 4);
	memcpy(bare.ram + end, "\x44\xc3", 2);
	bare.cpu->gpr[CPU_RBX] = end - 4;
	BARE_RUN(&bare, 0xff, 0xd3);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0x44332211);
	bare.ram[end] = 0x55; /* changed, and not by the CPU's knowing */
	guest_mem_written(bare.memory, end, 1);
	BARE_RUN(&bare, 0xff, 0xd3);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0x55332211);
	set_pte(end, 0);
	bare.cpu->gpr[CPU_RSP] = BARE_STACK;
	BARE_RUN(&bare, 0xff, 0xd3);
	expect_page_fault(end, bare.mode == BARE_64 ? 0x10 : 0);
	assert_int_equal(bare.fault_rip, end - 4);
	/* an instruction that ends with the page does not touch the next */
	memcpy(bare.ram + end - 1, "\xc3", 1);
	guest_mem_written(bare.memory, end - 1, 1);
	bare.cpu->gpr[CPU_RBX] = end - 1;
	bare.cpu->gpr[CPU_RSP] = BARE_STACK;
	BARE_RUN(&bare, 0xff, 0xd3);
	assert_int_equal(bare.exit_vector, -1);
}

/* ------- code that changes ------- */

static void test_writes_its_next_instruction(void **state)
{
	/* mov byte [BARE_CODE + 8], 2; mov al, 1: the immediate is at offset 8 */
	BARE_RUN(&bare, 0xc6, 0x05, 8, 0x90, 0, 0, 2, 0xb0, 1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 2);
	/* the same, by a string instruction */
	bare.cpu->gpr[CPU_RDI] = BARE_CODE + 3;
	bare.cpu->gpr[CPU_RAX] = 5;
	BARE_RUN(&bare, 0xaa, 0x90, 0xb3, 1); /* stosb; nop; mov bl, 1 */
	assert_int_equal(bare.cpu->gpr[CPU_RBX] & 0xff, 5);
}

static void test_counts_in_its_own_code(void **state)
{
	/* mov ecx, 300; l: inc dword [imm]; mov eax, imm; dec ecx; jnz l */
	BARE_RUN(&bare, 0xb9, 0x2c, 1, 0, 0, 0xff, 0x05, 12, 0x90, 0, 0, 0xb8, 0, 0, 0, 0, 0x49,
		 0x75, 0xf2);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 300);
}

static void test_written_by_a_device(void **state)
{
	static const uint8_t code[] = { 0xb0, 1 };

	BARE_RUN(&bare, 0xb0, 1); /* mov al, 1 */
	for (unsigned int i = 0; i < 200; i++) {
		uint8_t value = (uint8_t)i;

		bare_code(&bare, code, sizeof(code));
		assert_int_equal(guest_mem_write(bare.memory, BARE_CODE + 1, &value, 1), 0);
		bare_run(&bare);
		assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, value);
	}
}

/* Data beside code: the page loses and gains its mark, the code stays right. */
static void test_data_beside_code(void **state)
{
	/* mov ecx, 1000; l: inc dword [BARE_CODE + 0x100]; dec ecx; jnz l */
	store_le32(bare.ram + BARE_CODE + 0x100, 0);
	BARE_RUN(&bare, 0xb9, 0xe8, 3, 0, 0, 0xff, 0x05, 0, 0x91, 0, 0, 0x49, 0x75, 0xf7);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(load_le32(bare.ram + BARE_CODE + 0x100), 1000);
}

/* ------- two CPUs ------- */

static void *run_other(void *opaque)
{
	struct softcpu *cpu = opaque;

	assert_int_equal(soft_run(cpu), VCPU_EXIT_KICKED);
	return NULL;
}

static struct softcpu *create_other(const struct bare *b)
{
	struct softcpu *other = aligned_alloc(64, ALIGN_UP(sizeof(*other), 64));
	struct error err = { 0 };

	assert_non_null(other);
	memcpy(other, b->cpu, sizeof(*other));
	other->index = 1;
	other->gpr[CPU_RSP] = BARE_STACK - 0x800;
	assert_int_equal(soft_cpu_init(other, &err), 0);
	soft_state_loaded(other);
	return other;
}

/*
 * One CPU calls a function over and over until it answers 100; the other counts its immediate up.
 * However the mark on the page and the writer's TLB entry meet, the caller sees the end of it.
 */
static void test_code_written_by_another_cpu(void **state)
{
	/* mov ecx, 100; l: inc byte [BARE_DATA + 1]; pause; dec ecx; jnz l; exit */
	static const uint8_t writer[] = {
		0xb9, 100, 0, 0, 0, 0xfe, 0x05, 1, 0, 1, 0, 0xf3, 0x90, 0x49, 0x75, 0xf5,
		0xe6, BARE_EXIT + 1, 0xf4,
	};
	/* l: call BARE_DATA; cmp al, 100; jne l; exit */
	static const uint8_t caller[] = { 0xe8, 0xfb, 0x6f, 0,	  0,	     0x3c, 100,
					  0x75, 0xf7, 0xe6, BARE_EXIT, 0xf4 };
	struct softcpu *other;

	bare.peers[0] = bare.cpu;
	bare.cpu->peer_count = 2;
	other = create_other(&bare);
	bare.peers[1] = other;
	for (unsigned int round = 0; round < 50; round++) {
		pthread_t thread;

		memcpy(bare.ram + BARE_DATA, "\xb0\x00\xc3", 3); /* mov al, 0; ret */
		guest_mem_written(bare.memory, BARE_DATA, 3);
		bare_code(&bare, caller, sizeof(caller));
		memcpy(bare.ram + BARE_CODE + 0x1000, writer, sizeof(writer));
		guest_mem_written(bare.memory, BARE_CODE + 0x1000, sizeof(writer));
		other->rip = BARE_CODE + 0x1000;
		assert_int_equal(pthread_create(&thread, NULL, run_other, other), 0);
		bare.cpu->rip = BARE_CODE;
		run_other(bare.cpu);
		assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 100);
		pthread_join(thread, NULL);
	}
	soft_cpu_finish(other);
	free(other);
}

static void test_locked_add_by_two_cpus(void **state)
{
	/* mov ecx, 100000; l: lock inc dword [BARE_DATA + 0x3d]; dec ecx; jnz l; exit */
	static const uint8_t code[] = {
		0xb9, 0xa0, 0x86, 1, 0, 0xf0, 0xff, 0x05, 0x3d, 0, 1, 0, 0x49, 0x75, 0xf6,
		0xe6, BARE_EXIT, 0xf4,
	};
	struct softcpu *other;
	pthread_t thread;

	bare.cpu->peer_count = 2;
	other = create_other(&bare);
	bare.peers[1] = other;
	store_le32(bare.ram + BARE_DATA + 0x3d, 0);
	bare_code(&bare, code, sizeof(code));
	memcpy(bare.ram + BARE_CODE + 0x1000, code, sizeof(code));
	bare.ram[BARE_CODE + 0x1000 + sizeof(code) - 2]++;
	other->rip = BARE_CODE + 0x1000;
	bare.cpu->rip = BARE_CODE;
	assert_int_equal(pthread_create(&thread, NULL, run_other, other), 0);
	run_other(bare.cpu);
	pthread_join(thread, NULL);
	assert_int_equal(load_le32(bare.ram + BARE_DATA + 0x3d), 200000);
	soft_cpu_finish(other);
	free(other);
}

/* ------- other memory ------- */

static void test_rom(void **state)
{
	store_le32(bare.rom->host + 0x10, 0xfeedbeef);
	load(BARE_ROM + 0x10);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0xfeedbeef);
	store(BARE_ROM + 0x10);
	assert_int_equal(bare.exit_vector, -1);
	assert_int_equal(load_le32(bare.rom->host + 0x10), 0xfeedbeef);
}

static void test_runs_in_rom(void **state)
{
	bare.rom->host[0x20] = 0xb0;
	bare.rom->host[0x21] = 0x42;
	bare.rom->host[0x22] = 0xc3;
	bare.cpu->gpr[CPU_RBX] = BARE_ROM + 0x20;
	BARE_RUN(&bare, 0xff, 0xd3);
	assert_int_equal(bare.cpu->gpr[CPU_RAX] & 0xff, 0x42);
}

static void test_io_memory(void **state)
{
	bare.mmio_value = 0x55aa1234;
	load(BARE_MMIO + 0x18);
	assert_int_equal(bare.mmio_offset, 0x18);
	assert_int_equal(bare.mmio_size, 4);
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0x55aa1234);
	store(BARE_MMIO + 0x20);
	assert_int_equal(bare.mmio_offset, 0x20);
	assert_int_equal(bare.mmio_value, 0x12345678);
	bare.cpu->gpr[CPU_RBX] = BARE_MMIO;
	BARE_RUN(&bare, 0xf0, 0xff, 0x03); /* lock inc dword [ebx] */
	assert_int_equal(bare.mmio_value, 0x12345679);
	load(BARE_MMIO + 0x100000); /* nobody's */
	assert_int_equal(bare.cpu->gpr[CPU_RAX], 0xffffffff);
}

static void test_dirty_tracking(void **state)
{
	uint64_t bitmap[BARE_RAM / 4096 / 64];

	store(BARE_DATA);
	mem_region_set_tracking(bare.memory, bare.region, MEM_DIRTY_DISPLAY, true);
	mem_region_collect_dirty(bare.memory, bare.region, MEM_DIRTY_DISPLAY, 0, BARE_RAM, bitmap);
	soft_request(bare.cpu, SOFT_REQUEST_FLUSH); /* as the engine's listener does */
	store(BARE_DATA);
	store(BARE_DATA + 0x2ffe);
	mem_region_collect_dirty(bare.memory, bare.region, MEM_DIRTY_DISPLAY, 0, BARE_RAM, bitmap);
	assert_true(bitmap[0] & BIT(BARE_DATA >> 12));
	assert_true(bitmap[0] & BIT((BARE_DATA >> 12) + 2));
	assert_true(bitmap[0] & BIT((BARE_DATA >> 12) + 3));
	assert_false(bitmap[0] & BIT((BARE_DATA >> 12) + 1));
	soft_request(bare.cpu, SOFT_REQUEST_FLUSH);
	load(BARE_DATA);
	mem_region_collect_dirty(bare.memory, bare.region, MEM_DIRTY_DISPLAY, 0, BARE_RAM, bitmap);
	/* What may have been written before the flush is reported once more ... */
	soft_request(bare.cpu, SOFT_REQUEST_FLUSH);
	load(BARE_DATA);
	mem_region_collect_dirty(bare.memory, bare.region, MEM_DIRTY_DISPLAY, 0, BARE_RAM, bitmap);
	/* ... and not for ever. */
	assert_false(bitmap[0] & BIT(BARE_DATA >> 12));
}

#define CASE(test, mode) cmocka_unit_test_setup_teardown(test, setup_##mode, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_not_present, paging32),
		CASE(test_not_present, pae),
		CASE(test_not_present, 64),
		CASE(test_accessed_and_dirty, paging32),
		CASE(test_accessed_and_dirty, pae),
		CASE(test_accessed_and_dirty, 64),
		CASE(test_moved_page, paging32),
		CASE(test_moved_page, 64),
		CASE(test_no_execute, pae),
		CASE(test_no_execute, 64),
		CASE(test_reserved_bits, pae),
		CASE(test_reserved_bits, 64),
		CASE(test_user_pages, 64),
		CASE(test_large_page, paging32),
		CASE(test_pdptes_are_registers, pae),
		CASE(test_invlpg, 64),
		CASE(test_code_page_is_replaced, 64),
		CASE(test_fetch_across_pages, paging32),
		CASE(test_fetch_across_pages, 64),
		CASE(test_writes_its_next_instruction, 32),
		CASE(test_counts_in_its_own_code, 32),
		CASE(test_written_by_a_device, 32),
		CASE(test_data_beside_code, 32),
		CASE(test_code_written_by_another_cpu, 32),
		CASE(test_locked_add_by_two_cpus, 32),
		CASE(test_rom, 32),
		CASE(test_runs_in_rom, 32),
		CASE(test_io_memory, 32),
		CASE(test_dirty_tracking, 32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
