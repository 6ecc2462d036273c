/* SPDX-License-Identifier: MIT */
#include "aspace.h"

#include <stdbool.h>

#include "console.h"
#include "flush.h"
#include "frame.h"
#include "log.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"

#define USER_L4 256u /* entries of a root for the user's half */

/* Returns the L1 entry for `va` in a tree that is not in use or pinned yet; NULL if memory is
 * short. */
static pte_t *build_to(struct aspace *as, uint64_t va)
{
	pte_t *table = pfn_to_virt(as->root_pfn);

	for (unsigned level = 4; level > 1; level--) {
		pte_t *entry = &table[pte_index(va, level)];

		if (!(*entry & PTE_P)) {
			uint64_t pfn = alloc_table();

			if (pfn == NO_FRAME)
				return NULL;
			set_pte(entry, make_pte(pfn, PTE_TABLE | PTE_US));
		}
		table = pfn_to_virt(pte_pfn(*entry));
	}
	return &table[pte_index(va, 1)];
}

static bool map_page(struct aspace *as, pte_t *pte, uint64_t va,
		     void (*set)(pte_t *pte, pte_t value))
{
	uint64_t pfn;

	if (!pte)
		return false;
	if (get_pte(pte) & PTE_P)
		panic("aspace: something is mapped at %#lx already", va);
	pfn = alloc_frame();
	if (pfn == NO_FRAME)
		return false;
	set(pte, make_pte(pfn, PTE_USER));
	as->nr_pages++;
	return true;
}

static bool build_ranges(struct aspace *as, const struct aspace_range *ranges, unsigned nr_ranges)
{
	for (unsigned i = 0; i < nr_ranges; i++) {
		for (unsigned n = 0; n < ranges[i].nr_pages; n++) {
			uint64_t va = ranges[i].va + n * PAGE_SIZE;

			if (!map_page(as, build_to(as, va), va, set_pte))
				return false;
		}
	}
	return true;
}

/* What to do with each table of a tree, top down or bottom up. */
struct visitor {
	void (*table)(struct visitor *v, uint64_t pfn, unsigned level);
	bool top_down;
	struct pin_list *list; /* for pin_one() and unpin_one() */
	unsigned freed_pages;  /* counted by free_one() */
	unsigned kept;         /* counted by unpin_quietly(): tables that stay pinned */
};

static void visit_tables(struct visitor *v, uint64_t pfn, unsigned level)
{
	const pte_t *table = pfn_to_virt(pfn);
	unsigned nr = level == 4 ? USER_L4 : PTRS;

	if (v->top_down)
		v->table(v, pfn, level);
	for (unsigned i = 0; level > 1 && i < nr; i++) {
		pte_t pte = get_pte(&table[i]);

		if (pte & PTE_P)
			visit_tables(v, pte_pfn(pte), level - 1);
	}
	if (!v->top_down)
		v->table(v, pfn, level);
}

static void pin_one(struct visitor *v, uint64_t pfn, unsigned level)
{
	pin_list_add(v->list, pfn, level, PIN_OP_PIN);
}

static void unpin_one(struct visitor *v, uint64_t pfn, unsigned level)
{
	pin_list_add(v->list, pfn, level, PIN_OP_UNPIN);
}

/* After a batch that was refused in part. A table that was never pinned is in the wrong state for
 * it, and so is one that a table which stays pinned links. */
static void unpin_quietly(struct visitor *v, uint64_t pfn, unsigned level)
{
	struct pin_req req = {.pfn = pfn, .op = PIN_OP_UNPIN};
	struct pin_refusal why;

	(void)level;
	if (!pin_batch_try(&req, 1, &why) || why.status == ALIAS_BAD_STATE)
		return;
	kprintf("guest: table %#lx stays pinned: it %s\n", pfn, pin_status_name(why.status));
	v->kept++;
}

static void free_one(struct visitor *v, uint64_t pfn, unsigned level)
{
	const pte_t *table = pfn_to_virt(pfn);

	for (unsigned i = 0; level == 1 && i < PTRS; i++) {
		pte_t pte = get_pte(&table[i]);

		if (pte & PTE_P) {
			free_frame(pte_pfn(pte));
			v->freed_pages++;
		}
	}
	free_table(pfn);
}

static void free_tree(struct aspace *as)
{
	struct visitor v = {.table = free_one};

	visit_tables(&v, as->root_pfn, 4);
	BUG_ON(v.freed_pages != as->nr_pages);
	*as = (struct aspace){0};
}

int aspace_create(struct aspace *as, const struct aspace_range *ranges, unsigned nr_ranges)
{
	struct pin_list list;
	struct visitor pin = {.table = pin_one, .list = &list};
	struct visitor undo = {.table = unpin_quietly, .top_down = true};

	*as = (struct aspace){.root_pfn = alloc_table()};
	if (as->root_pfn == NO_FRAME)
		return -1;
	kernel_root_copy(as->root_pfn);
	if (!build_ranges(as, ranges, nr_ranges)) {
		free_tree(as);
		return -1;
	}
	pin_list_init(&list);
	visit_tables(&pin, as->root_pfn, 4);
	if (pin_list_submit(&list)) {
		visit_tables(&undo, as->root_pfn, 4);
		if (undo.kept)
			*as = (struct aspace){0}; /* the tree is the host's, for good */
		else
			free_tree(as);
		return -1;
	}
	count_stat(address_spaces, 1);
	return 0;
}

int aspace_grow(struct aspace *as, uint64_t va)
{
	pte_t *pte = walk_tables(as->root_pfn, va, true);
	bool mapped;

	strategy_read_lock();
	mapped = map_page(as, pte, va, change_pte);
	strategy_read_unlock();
	return mapped ? 0 : -1;
}

void aspace_enter(const struct aspace *as)
{
	load_root(as->root_pfn);
}

void aspace_leave(void)
{
	load_root(kernel_root_pfn());
}

int aspace_destroy(struct aspace *as)
{
	struct pin_list list;
	struct visitor unpin = {.table = unpin_one, .top_down = true, .list = &list};

	/* No clock is needed: leaving the address space has flushed its translations from this
	 * CPU's TLB, and no other CPU has had any. */
	BUG_ON(this_cpu()->root_pfn == as->root_pfn);
	pin_list_init(&list);
	visit_tables(&unpin, as->root_pfn, 4);
	if (pin_list_submit(&list))
		return -1;
	free_tree(as);
	return 0;
}

uint64_t aspace_frame(const struct aspace *as, uint64_t va)
{
	uint64_t pfn;

	return lookup_leaf(as->root_pfn, va, &pfn) ? pfn : NO_FRAME;
}
