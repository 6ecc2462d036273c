/* SPDX-License-Identifier: MIT */
/* Where roles are reached, and the sums over the links that lead to one. */
#ifndef LINKS_H
#define LINKS_H

#include <stdbool.h>
#include <stdint.h>

/* Where a table is reached that has some of an exempt window in it: stands for the virtual address
 * (window.c). It matters as a leaf is exempt only at its own address. */
#define PLACE_OUTSIDE 0u /* elsewhere; or at several places, so that no leaf can be exempt */
#define PLACE_NONE    UINT32_MAX /* it is not reached */

/* What the entries of a role count as. */
struct view {
	uint32_t all;      /* where it is reached */
	uint32_t writable; /* where it is reached writably: R/W set in all entries of the path */
};

/* Links to a role, of one kind. They agree in one place if the places have no variance: then n *
 * sum of squares is the square of the sum. Exact below LINKS_EXACT of them; with more they are
 * taken to disagree. */
#define LINKS_EXACT (1ull << 32)
struct links {
	uint64_t outside; /* how many come from outside of exempt windows */
	uint64_t placed;  /* how many from within, and of their places: */
	uint64_t sum;
	unsigned __int128 squares;
};

static const struct view view_none = {PLACE_NONE, PLACE_NONE};

static inline bool view_is(struct view a, struct view b)
{
	return a.all == b.all && a.writable == b.writable;
}

static inline void links_add(struct links *links, uint32_t place)
{
	if (place == PLACE_OUTSIDE) {
		links->outside++;
		return;
	}
	links->placed++;
	links->sum += place;
	links->squares += (uint64_t)place * place;
}

static inline void links_drop(struct links *links, uint32_t place)
{
	if (place == PLACE_OUTSIDE) {
		links->outside--;
		return;
	}
	links->placed--;
	links->sum -= place;
	links->squares -= (uint64_t)place * place;
}

static inline bool links_any(const struct links *links)
{
	return links->outside || links->placed;
}

/* What the links agree in. */
static inline uint32_t links_place(const struct links *links)
{
	unsigned __int128 sum = links->sum;

	if (links->outside)
		return PLACE_OUTSIDE;
	if (!links->placed)
		return PLACE_NONE;
	if (links->placed == 1)
		return (uint32_t)links->sum;
	if (links->placed >= LINKS_EXACT || links->placed * links->squares != sum * sum)
		return PLACE_OUTSIDE;
	return (uint32_t)(links->sum / links->placed);
}

#endif
