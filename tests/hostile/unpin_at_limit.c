/* SPDX-License-Identifier: MIT */
/*
 * Pins frames that lie alone until the host has no more mappings to make one read-only by, then
 * unpins the middle one of a run, which takes mappings, too.
 *
 * Unpinned is writable: a frame that the host can't make so stays pinned, and says why.
 */
#include "hostile.h"

#define FRAMES 2048u /* from 8 MiB on */
#define RUN    5u

static char *const pages = (char *)(DIRECT + 0x800000);

static void *page(unsigned i)
{
	return pages + i * 4096ul;
}

static bool is_writable(void *at)
{
	return try_store((uint64_t)at, 7 * 0x1000) && *(volatile uint64_t *)at == 7 * 0x1000;
}

static void hostile_main(void)
{
	unsigned status, nr = RUN + 1;

	for (unsigned i = 0; i < RUN; i++)
		require(pin(page(i), 1) == ALIAS_OK);
	while (nr < FRAMES && pin(page(nr), 1) == ALIAS_OK)
		nr += 2;
	require(nr < FRAMES && answer(0) == ALIAS_NO_MEMORY);
	status = unpin(page(2));
	check(status == ALIAS_NO_MEMORY);
	check(is_writable(page(2))); /* the host does it */
	check(pin(page(2), 1) == ALIAS_BAD_STATE);
	for (unsigned i = RUN + 1; i < nr; i += 2)
		check(unpin(page(i)) == ALIAS_OK && is_writable(page(i)));
	check(unpin(page(2)) == ALIAS_OK && is_writable(page(2)));
	check(pin(page(2), 1) == ALIAS_OK && unpin(page(2)) == ALIAS_OK);
}
