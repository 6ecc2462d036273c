/* SPDX-License-Identifier: MIT */
/*
 * Powers off with a status that there is not, or by a port beside the one for it, by the word of
 * the command line.
 *
 * The guest ends, as one that has shut down without a status.
 */
#include "hostile.h"

static void hostile_main(void)
{
	require(word_is("status") || word_is("port"));
	if (word_is("status"))
		outl(POWEROFF_PORT, 200);
	else
		outb(POWEROFF_PORT + 1, 0);
	for (unsigned i = 0; i < 1000000; i++)
		relax();
	check(false);
}
