/* SPDX-License-Identifier: MIT */
#include "roots.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "entry.h"
#include "room.h"

#define CR0_PG   (1ull << 31)
#define CR4_PAE  (1ull << 5)
#define CR4_LA57 (1ull << 12)
#define EFER_LMA (1ull << 10)
#define CR3_FRAME                                                                                  \
	((uint64_t)PTE_ADDR) /* without PCID, PCD, PWT and the flag that keeps TLB entries */

/* What of an entry is the same in all roots: not the flags, of which the processor sets one. */
#define HALF_MASK (PTE_ADDR | PTE_P)

/* (What is behind the number of halves needs no zeros.) */
void roots_free(struct roots *roots)
{
	free(roots->root);
	roots->root = NULL;
	roots->nr = 0;
	roots->nr_halves = 0;
	roots->levels = 0;
	roots->kernel_root = 0;
	roots->overflow = false;
	roots->isolated = false;
}

static void half_of(struct root_half *half, const uint64_t *entries)
{
	half->present = 0;
	half->probe = KERNEL_HALF;
	for (unsigned i = 0; i < ENTRIES / 2; i++) {
		uint64_t entry = entries[KERNEL_HALF + i];

		half->whole[i] = entry;
		half->entries[i] = entry & PTE_P ? entry & HALF_MASK : 0;
		if (entry & PTE_P) {
			half->tables[half->present++] = entry & PTE_ADDR;
			half->probe = KERNEL_HALF + i;
			half->probed = entry;
		}
	}
}

/* Most frames are no root: this sees it of most of them. */
static inline bool may_have_half(const uint64_t *entries, const struct root_half *half)
{
	return !((entries[half->probe] ^ half->probed) & HALF_MASK);
}

/* Are the upper entries of the frame those of the half? */
static __attribute__((noinline)) bool has_half(const uint64_t *entries,
					       const struct root_half *half)
{
	const uint64_t *upper = entries + KERNEL_HALF;

	if (!memcmp(upper, half->whole, sizeof(half->whole)))
		return true;
	for (unsigned i = 0; i < ENTRIES / 2; i++) {
		uint64_t entry = upper[i] & PTE_P ? upper[i] & HALF_MASK : 0;

		if (entry != half->entries[i])
			return false;
	}
	return true;
}

/* Can this be a root: do all present entries of its upper half link tables in memory? */
static bool is_sound(const struct physmem *mem, const struct root_half *half)
{
	for (unsigned i = 0; i < half->present; i++)
		if (!physmem_has(mem, half->tables[i] >> FRAME_SHIFT))
			return false;
	return half->present > 0;
}

static bool knows_half(const struct roots *roots, const struct root_half *half)
{
	for (unsigned i = 0; i < roots->nr_halves; i++)
		if (!memcmp(roots->half[i].entries, half->entries, sizeof(half->entries)))
			return true;
	return false;
}

static bool knows_root(const struct roots *roots, uint64_t pfn)
{
	for (size_t i = 0; i < roots->nr; i++)
		if (roots->root[i].pfn == pfn)
			return true;
	return false;
}

static bool is_among(const uint64_t *tables, unsigned nr, uint64_t entry)
{
	for (unsigned i = 0; i < nr; i++)
		if (tables[i] == (entry & PTE_ADDR))
			return true;
	return false;
}

/* Is some entry of the lower half for the kernel alone, or one of the kernel's half once more? */
static bool maps_low(const uint64_t *entries, const struct root_half *half)
{
	for (unsigned i = 0; i < KERNEL_HALF; i += 8) {
		uint64_t any = 0;

#pragma GCC unroll 8
		for (unsigned k = i; k < i + 8; k++)
			any |= entries[k];
		for (unsigned k = i; any & PTE_P && k < i + 8; k++)
			if (entries[k] & PTE_P &&
			    (!(entries[k] & PTE_US) ||
			     is_among(half->tables, half->present, entries[k])))
				return true;
	}
	return false;
}

static int add_root(struct roots *roots, uint64_t pfn, const uint64_t *entries, enum root_kind kind,
		    const struct root_half *half)
{
	struct root *root;

	if (roots->nr == ROOTS_MAX) {
		roots->overflow = true;
		return 0;
	}
	root = room_for_one(roots->root, roots->nr, sizeof(*root));
	if (!root)
		return -ENOMEM;
	roots->root = root;
	roots->root[roots->nr++] = (struct root){pfn, kind, maps_low(entries, half)};
	return 0;
}

/* Adds a root, and its upper half to those that are looked for. Returns 0, or -ENOMEM. */
static int take_root(struct roots *roots, uint64_t pfn, const uint64_t *entries,
		     enum root_kind kind, const struct root_half *half, struct notes *notes)
{
	const struct root_half *best = &roots->half[0];

	if (knows_root(roots, pfn))
		return 0;
	for (unsigned i = 1; i < roots->nr_halves; i++)
		if (roots->half[i].present > best->present)
			best = &roots->half[i];
	if (!roots->nr_halves || half->present > best->present)
		roots->kernel_root = pfn;
	if (!knows_half(roots, half)) {
		if (roots->nr_halves < ROOTS_MAX_HALVES)
			roots->half[roots->nr_halves++] = *half;
		else
			note(notes,
			     "the root at 0x%" PRIx64 " has yet another upper half: others that "
			     "share it were not looked for",
			     pfn << FRAME_SHIFT);
	}
	return add_root(roots, pfn, entries, kind, half);
}

/* With PTI the lower halves of a pair link the same tables, and the upper ones differ. */
static bool is_pair(const uint64_t *one, const uint64_t *other)
{
	for (unsigned i = 0; i < KERNEL_HALF; i++)
		if ((one[i] & HALF_MASK) != (other[i] & HALF_MASK))
			return false;
	return true;
}

/* Takes the neighbour of a root too, if the two are a pair. */
static int take_pair(struct roots *roots, struct physmem *mem, uint64_t pfn, struct notes *notes)
{
	const uint64_t *entries = physmem_table(mem, pfn);
	const uint64_t *other = physmem_table(mem, pfn ^ 1);
	struct root_half half, other_half;

	if (!entries || !other || !is_pair(entries, other))
		return 0;
	half_of(&half, entries);
	half_of(&other_half, other);
	if (!is_sound(mem, &other_half) || other_half.present == half.present)
		return 0;
	roots->isolated = true;
	return take_root(roots, pfn ^ 1, other, ROOT_PAIR, &other_half, notes);
}

static int take_root_at(struct roots *roots, struct physmem *mem, uint64_t gpa, unsigned levels,
			enum root_kind kind, struct notes *notes)
{
	uint64_t pfn = (gpa & CR3_FRAME) >> FRAME_SHIFT;
	const uint64_t *entries = physmem_table(mem, pfn);
	struct root_half half;
	int error;

	if (!entries) {
		note(notes, "the root at 0x%" PRIx64 " is not in memory: not walked",
		     gpa & CR3_FRAME);
		return mem->exhausted ? -ENOMEM : 0;
	}
	half_of(&half, entries);
	if (!is_sound(mem, &half)) {
		note(notes,
		     "the frame at 0x%" PRIx64 " is no root of a 64-bit kernel: its upper half %s",
		     gpa & CR3_FRAME, half.present ? "links what is not in memory" : "is empty");
		return 0;
	}
	if (roots->levels && roots->levels != levels) {
		note(notes,
		     "the root at 0x%" PRIx64 " has %u levels and others have %u: not walked",
		     gpa & CR3_FRAME, levels, roots->levels);
		return 0;
	}
	roots->levels = levels;
	error = take_root(roots, pfn, entries, kind, &half, notes);
	return error ? error : take_pair(roots, mem, pfn, notes);
}

/* Returns the levels of a vCPU's paging, or 0 if it is in a mode that is not read. */
static unsigned levels_of(const struct cpu_state *cpu, size_t index, struct notes *notes)
{
	const char *mode = NULL;

	if (!(cpu->cr0 & CR0_PG))
		mode = "has paging off";
	else if (!(cpu->cr4 & CR4_PAE))
		mode = "is in 32-bit paging";
	else if (cpu->knows_efer && !(cpu->efer & EFER_LMA))
		mode = "is in PAE paging";
	if (mode) {
		note(notes, "CPU %zu %s, which is not read", index, mode);
		return 0;
	}
	return cpu->cr4 & CR4_LA57 ? 5 : 4;
}

int roots_from_cpus(struct roots *roots, struct physmem *mem, const struct cpu_state *cpus,
		    size_t nr, struct notes *notes)
{
	roots_free(roots);
	for (size_t i = 0; i < nr; i++) {
		unsigned levels = levels_of(&cpus[i], i, notes);
		int error;

		if (!levels)
			continue;
		error = take_root_at(roots, mem, cpus[i].cr3, levels, ROOT_CR3, notes);
		if (error)
			return error;
	}
	return 0;
}

int roots_add_given(struct roots *roots, struct physmem *mem, uint64_t gpa, unsigned levels,
		    struct notes *notes)
{
	return take_root_at(roots, mem, gpa, levels, ROOT_GIVEN, notes);
}

bool roots_look_alike(const struct roots *a, const struct roots *b)
{
	for (unsigned i = 0; i < a->nr_halves; i++)
		if (!knows_half(b, &a->half[i]))
			return false;
	return a->levels == b->levels && a->nr_halves == b->nr_halves;
}

struct scan {
	struct roots *roots;
	size_t nr_known; /* the roots that were there before the scan */
	int error;
};

static __attribute__((noinline)) bool
take_frame(struct scan *scan, uint64_t pfn, const uint64_t *entries, const struct root_half *half)
{
	struct roots *roots = scan->roots;

	for (size_t k = 0; k < scan->nr_known; k++)
		if (roots->root[k].pfn == pfn)
			return true;
	scan->error = add_root(roots, pfn, entries, ROOT_SHARED, half);
	return !scan->error && !roots->overflow;
}

static bool look_at_frame(void *ctx, uint64_t pfn, const uint64_t *entries)
{
	struct scan *scan = ctx;
	const struct root_half *half = scan->roots->half, *end = half + scan->roots->nr_halves;

	for (; half < end; half++)
		if (may_have_half(entries, half) && has_half(entries, half))
			return take_frame(scan, pfn, entries, half);
	return true;
}

static size_t nr_not_shared(const struct roots *roots)
{
	size_t nr = 0;

	while (nr < roots->nr && roots->root[nr].kind != ROOT_SHARED)
		nr++;
	return nr;
}

int roots_keep(struct roots *roots, struct physmem *mem, const struct roots *earlier, uint64_t from,
	       uint64_t to)
{
	struct scan scan = {.roots = roots, .nr_known = nr_not_shared(roots)};

	for (size_t i = 0; i < earlier->nr; i++) {
		uint64_t pfn = earlier->root[i].pfn;
		const uint64_t *entries;

		if (pfn >= from && pfn < to)
			continue;
		entries = physmem_frame(mem, pfn);
		if (entries && !look_at_frame(&scan, pfn, entries))
			break;
	}
	return scan.error;
}

int roots_scan(struct roots *roots, struct physmem *mem, uint64_t from, uint64_t to,
	       struct notes *notes)
{
	struct scan scan = {.roots = roots, .nr_known = nr_not_shared(roots)};
	int error = 0;

	if (roots->nr_halves)
		error = physmem_scan(mem, from, to, look_at_frame, &scan);
	if (roots->overflow)
		note(notes, "more than %u frames look like roots: the others were not walked",
		     ROOTS_MAX);
	return error ? error : scan.error;
}
