/* SPDX-License-Identifier: MIT */
/*
 * Windows: parts of the virtual address space in which a guest maps memory as a whole. In an exempt
 * one a leaf that belongs where it is counts for nothing.
 *
 * The place of a table that has some of an exempt window in it names its virtual address: 1 + the
 * window's number, and the distance from an address that all tables with a part of that window come
 * after. (If it has some of several, the first of them.)
 */
#include <string.h>

#include "internal.h"

#define UNIT        (1ull << pte_shift(2))
#define PLACE_SHIFT 28 /* units that the tables of a window can span: 2^49 bytes and more */
/* What the largest table that isn't a root spans: places of a window begin at a multiple of it. */
#define SPAN_MAX (1ull << pte_shift(PT_LEVELS_MAX))

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return b - a < a_size || a - b < b_size;
}

/* --- places ----------------------------------------------------------------------------------- */

uint32_t place_of(const struct alias_tracker *at, uint64_t va, unsigned level)
{
	uint64_t span = 1ull << pte_shift(level + 1);

	for (unsigned i = 0; i < at->windows.nr_exempt; i++) {
		const struct exempt *w = &at->windows.exempt[i];

		if (overlaps(w->base, w->size, va, span))
			return 1 + (i << PLACE_SHIFT | (uint32_t)((va - w->first) / UNIT));
	}
	return PLACE_OUTSIDE;
}

uint64_t place_va(const struct alias_tracker *at, uint32_t place)
{
	const struct exempt *w = &at->windows.exempt[(place - 1) >> PLACE_SHIFT];

	return w->first + ((place - 1) & ((1u << PLACE_SHIFT) - 1)) * UNIT;
}

uint32_t child_place(const struct alias_tracker *at, unsigned level, uint32_t place, unsigned index)
{
	uint64_t va = (uint64_t)index << pte_shift(level);

	if (level == at->levels)
		va = va_canonical(va, level);
	else if (place == PLACE_OUTSIDE)
		return PLACE_OUTSIDE;
	else
		va += place_va(at, place);
	return place_of(at, va, level - 1);
}

/* --- as what leaves count --------------------------------------------------------------------- */

bool window_exempts(const struct alias_tracker *at, uint64_t va, uint64_t gpa)
{
	for (unsigned i = 0; i < at->windows.nr_exempt; i++) {
		const struct exempt *w = &at->windows.exempt[i];

		if (va - w->base < w->size)
			return gpa == w->gpa + (va - w->base);
	}
	return false;
}

/* Is this leaf exempt, where its table is reached at that place? */
static inline bool is_exempt(const struct alias_tracker *at, uint32_t place, unsigned level,
			     unsigned index, uint64_t pfn)
{
	return place != PLACE_OUTSIDE &&
	       window_exempts(at, place_va(at, place) + ((uint64_t)index << pte_shift(level)),
			      pfn << PAGE_SHIFT);
}

unsigned leaf_counts_as(const struct alias_tracker *at, struct view view, unsigned level,
			unsigned index, uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, level, PTE_LEAF);
	unsigned counts = 0;

	if (pfn >= at->config.frames)
		return 0;
	if (at->counts_all && view.all != PLACE_NONE && !is_exempt(at, view.all, level, index, pfn))
		counts |= LEAF_MAPPED;
	if ((pte & PTE_RW) && view.writable != PLACE_NONE &&
	    !is_exempt(at, view.writable, level, index, pfn))
		counts |= LEAF_WRITABLE;
	return counts;
}

bool window_exempt_va(const struct alias_tracker *at, uint64_t gpa, uint64_t *va)
{
	for (unsigned i = 0; i < at->windows.nr_exempt; i++) {
		const struct exempt *w = &at->windows.exempt[i];

		*va = w->base + (gpa - w->gpa);
		if (gpa - w->gpa < w->size)
			return true;
	}
	return false;
}

bool window_touches(const struct alias_tracker *at, uint64_t va, uint64_t size)
{
	for (unsigned i = 0; i < at->windows.nr_exempt; i++)
		if (overlaps(at->windows.exempt[i].base, at->windows.exempt[i].size, va, size))
			return true;
	return false;
}

/* --- setting them ----------------------------------------------------------------------------- */

static bool window_makes_sense(const struct alias_tracker *at, const struct at_window *w)
{
	uint64_t last = w->base + (w->size - 1);

	return w->name && w->size && !(w->base % UNIT) && !(w->size % UNIT) && !(w->gpa % UNIT) &&
	       last >= w->base && w->gpa + (w->size - 1) >= w->gpa &&
	       va_canonical(w->base, at->levels) == w->base &&
	       va_canonical(last, at->levels) == last && (int64_t)(w->base ^ last) >= 0;
}

/* What becomes exempt by the window: where there is no memory, no leaf counts anyway. */
static struct exempt exempt_part(const struct alias_tracker *at, const struct at_window *w)
{
	uint64_t memory = at->config.frames << PAGE_SHIFT;
	uint64_t there = w->gpa < memory ? memory - w->gpa : 0;

	return (struct exempt){
		.base = w->base,
		.gpa = w->gpa,
		.size = w->size < there ? w->size : there,
		.first = w->base & ~(SPAN_MAX - 1),
	};
}

/* Tables may still be followed where an unpin, or an unfollow, was stopped. */
static bool is_in_use(const struct alias_tracker *at)
{
	return at->nr_states || at->follows.nr || at->nr_tables;
}

/* Which entries of a root lead to some of an exempt window. */
static void note_tops(struct alias_tracker *at)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t va = va_canonical((uint64_t)i << pte_shift(at->levels), at->levels);
		uint64_t touches = window_touches(at, va, 1ull << pte_shift(at->levels));

		at->windows.top[i / 64] |= touches << i % 64;
	}
}

static bool exempt_add(struct alias_tracker *at, const struct at_window *w)
{
	struct windows *all = &at->windows;
	struct exempt more = exempt_part(at, w);

	if (is_in_use(at) || all->nr_exempt == EXEMPT_MAX)
		return false;
	for (unsigned i = 0; i < all->nr_exempt; i++) {
		const struct exempt *other = &all->exempt[i];

		if (overlaps(other->base, other->size, more.base, more.size) ||
		    overlaps(other->gpa, other->size, more.gpa, more.size))
			return false;
	}
	if (more.size)
		all->exempt[all->nr_exempt++] = more;
	note_tops(at);
	return true;
}

bool at_add_window(struct alias_tracker *at, const struct at_window *w)
{
	struct windows *all = &at->windows;

	if (!window_makes_sense(at, w) || all->nr_named == AT_WINDOWS_MAX ||
	    (w->exempt && !exempt_add(at, w)))
		return false;
	all->named[all->nr_named++] = *w;
	return true;
}

bool at_set_direct_map(struct alias_tracker *at, uint64_t base, uint64_t size)
{
	struct at_window w = {"direct map", base, size, 0, true};
	uint64_t unit = 1ull << pte_shift(at->levels);
	struct windows before = at->windows;

	if (base % unit || size % unit || !(base >> 63) || is_in_use(at))
		return false;
	memset(&at->windows, 0, sizeof(at->windows));
	if (at_add_window(at, &w))
		return true;
	at->windows = before;
	return false;
}

const struct at_window *at_window_of(const struct alias_tracker *at, uint64_t va)
{
	for (unsigned i = 0; i < at->windows.nr_named; i++) {
		const struct at_window *w = &at->windows.named[i];

		if (va - w->base < w->size)
			return w;
	}
	return NULL;
}
