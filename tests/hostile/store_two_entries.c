/* SPDX-License-Identifier: MIT */
/*
 * One store to two entries, of which one breaks a rule: by 16 bytes, and by 8 bytes that are not
 * aligned.
 *
 * dirty, scan, log: reported with its address at the next sync. strict: neither half is done, so
 * the frame that the other half would have mapped can be pinned.
 */
#include "hostile.h"

static uint64_t *const e = &tree.vm_l1[0];

static void log_both(uint64_t first, uint64_t second)
{
	if (!common()->logging)
		return;
	log_change(gpa_of(&e[0]), first, *(volatile uint64_t *)&e[0]);
	log_change(gpa_of(&e[1]), second, *(volatile uint64_t *)&e[1]);
}

static void hostile_main(void)
{
	uint64_t values[] = {entry(spare[1], P | RW), entry(spare[0], P | RW)};
	uint64_t before, second;
	bool done = false;

	require(pin(spare[0], 1) == ALIAS_OK);
	TRY(done, "movups (%2), %%xmm0; movups %%xmm0, (%1)", "r"(e), "r"(values));
	log_both(0, 0);
	judge_forbidden(&e[1], 0, done);
	check(pin(spare[1], 1) == (tables_write_protected() ? ALIAS_OK : ALIAS_HAS_ALIAS));
	require(set(&e[0], 0) && set(&e[1], entry(spare[0], P)));
	host_sync();
	second = *(volatile uint64_t *)&e[1];
	before = (second << 32 | 0x1000) | RW << 32; /* the lower half of the second in its upper */
	TRY(done, "movq %2, 4(%1)", "r"(e), "r"(before));
	log_both(0, second);
	judge_forbidden(&e[1], second, done);
	check(!tables_write_protected() || *(volatile uint64_t *)&e[0] == 0);
}
