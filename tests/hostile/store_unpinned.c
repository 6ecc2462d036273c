/* SPDX-License-Identifier: MIT */
/*
 * One vCPU stores to a page table while another unpins it. (vmm-broken stops within the unpin, with
 * the table still write-protected, until that store has got to the host.)
 *
 * strict: the store is allowed before and after, and so it is done. The others have nothing to do
 * with stores.
 */
#include "hostile.h"

static uint64_t *const table = spare[2];
static uint8_t stack[8192] __attribute__((aligned(16))); /* of vCPU 1: the others' is one */
static volatile bool done;

static void store(void)
{
	bool ok = false;

	wait_turn(2);
	TRY(ok, "movq %2, (%1)", "r"(&table[5]), "r"(0x5550ull));
	done = ok;
	next_turn(3);
	for (;;)
		relax();
}

static void begin(void)
{
	next_turn(1);
	__asm__ volatile("mov %0, %%rsp; call *%1"
			 :
			 : "r"(stack + sizeof(stack)), "r"(store)
			 : "memory");
}

static void release(void)
{
	step_wait();
	next_turn(2);
	while (!stores_met())
		relax();
	step_go();
}

static void hostile_main(void)
{
	if (!tables_write_protected())
		return;
	require(pin(table, 1) == ALIAS_OK);
	start_cpu1(begin);
	wait_turn(1);
	start_cpu(2, release);
	step_arm();
	require(unpin(table) == ALIAS_OK);
	wait_turn(3);
	check(done && table[5] == 0x5550);
}
