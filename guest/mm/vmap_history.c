/* SPDX-License-Identifier: MIT */
#include "vmap_history.h"

#include "cpu.h"

static void thin_out(struct vmap_history *history)
{
	for (unsigned i = 0; i < VMAP_HISTORY_MAX / 2; i++)
		history->samples[i] = history->samples[2 * i];
	history->nr = VMAP_HISTORY_MAX / 2;
	history->every *= 2;
}

void vmap_history_note(struct vmap_history *history, uint64_t pages)
{
	if (history->left--)
		return;
	if (history->nr == VMAP_HISTORY_MAX)
		thin_out(history);
	history->left = history->every - 1;
	history->samples[history->nr++] = (struct vmap_sample){.tsc = rdtsc(), .pages = pages};
}
