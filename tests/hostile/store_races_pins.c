/* SPDX-License-Identifier: MIT */
/*
 * One vCPU stores to a frame while another pins and unpins it, again and again.
 *
 * strict: each store is allowed, whether the frame is a table or not, and so it is done. The others
 * have nothing to do with stores.
 */
#include "hostile.h"

#define ROUNDS 3000u /* at least */
#define MET    100u  /* stores that have met a pinned frame, at least */

static uint64_t *const table = spare[2];
static volatile bool stop;
static unsigned long refused;

static void other(void)
{
	while (!stop) {
		bool done = false;

		TRY(done, "movq %2, (%1)", "r"(&table[5]), "r"(0x5550ull));
		refused += !done;
	}
	next_turn(1);
}

static void hostile_main(void)
{
	if (!tables_write_protected())
		return;
	start_cpu1(other);
	for (unsigned i = 0; i < ROUNDS || stores_met() < MET; i++)
		require(pin(table, 1) == ALIAS_OK && unpin(table) == ALIAS_OK);
	stop = true;
	wait_turn(1);
	check(refused == 0);
}
