/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "pgtable.h"
#include "rng.h"
#include "selftest.h"
#include "small_space.h"
#include "vmap.h"

#define LO VMALLOC_START

static void areas_lowest_gap(struct selftest_result *r)
{
	struct vmap_area a, b, c, d;
	struct vmap_tree tree;

	vmap_tree_init(&tree, LO, LO + 64 * PAGE_SIZE);
	EXPECT(r, vmap_tree_take(&tree, &a, 4 * PAGE_SIZE, PAGE_SIZE) && a.start == LO);
	EXPECT(r, vmap_tree_take(&tree, &b, 2 * PAGE_SIZE, PAGE_SIZE));
	EXPECT(r, vmap_tree_take(&tree, &c, 4 * PAGE_SIZE, PAGE_SIZE));
	vmap_tree_remove(&tree, &a);
	EXPECT(r, vmap_tree_take(&tree, &d, 5 * PAGE_SIZE, PAGE_SIZE) && d.start == c.end);
	EXPECT(r, vmap_tree_take(&tree, &a, 3 * PAGE_SIZE, PAGE_SIZE) && a.start == LO);
	EXPECT(r, vmap_tree_find(&tree, LO + 3 * PAGE_SIZE - 1) == &a);
	EXPECT(r, vmap_tree_find(&tree, LO + 3 * PAGE_SIZE) == NULL);
	EXPECT(r, !vmap_tree_check(&tree));
}
SELFTEST(areas_lowest_gap, areas_lowest_gap);

static void areas_aligned(struct selftest_result *r)
{
	struct vmap_area a, b;
	struct vmap_tree tree;

	vmap_tree_init(&tree, LO, LO + 64 * PAGE_SIZE);
	EXPECT(r, vmap_tree_take(&tree, &a, PAGE_SIZE, PAGE_SIZE));
	EXPECT(r, vmap_tree_take(&tree, &b, 32 * PAGE_SIZE, 32 * PAGE_SIZE));
	EXPECT(r, b.start == LO + 32 * PAGE_SIZE);
	vmap_tree_remove(&tree, &b);
	EXPECT(r, !vmap_tree_take(&tree, &b, 33 * PAGE_SIZE, 32 * PAGE_SIZE));
}
SELFTEST(areas_aligned, areas_aligned);

static void areas_know_their_gaps(struct selftest_result *r)
{
	static struct vmap_area areas[128];
	struct rng rng = rng_init(1, 0);
	struct vmap_tree tree;

	vmap_tree_init(&tree, LO, LO + 800 * PAGE_SIZE);
	for (unsigned i = 0; i < 128; i++)
		areas[i].end = 0;
	for (unsigned step = 0; step < 4000; step++) {
		struct vmap_area *va = &areas[rng_below(&rng, 128)];

		if (va->end) {
			vmap_tree_remove(&tree, va);
			va->end = 0;
		} else if (!vmap_tree_take(&tree, va, (1 + rng_below(&rng, 16)) * PAGE_SIZE,
					   PAGE_SIZE << rng_below(&rng, 4))) {
			va->end = 0;
		}
		if (step % 16 == 0)
			EXPECT(r, !vmap_tree_check(&tree));
	}
}
SELFTEST(areas_know_their_gaps, areas_know_their_gaps);

static void areas_exhaustion(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	const uint64_t *pfns = small_pfns();
	void *addrs[8];

	EXPECT(r, space);
	for (unsigned i = 0; i < 8; i++) {
		addrs[i] = vmap_in(space, pfns, SMALL_PAGES / 8 - 1, PTE_KERNEL);
		EXPECT(r, addrs[i]);
	}
	EXPECT(r, !vmap_in(space, pfns, 1, PTE_KERNEL));
	/* With something lazy a purge makes room, for one more try. */
	vunmap_in(space, addrs[3]);
	EXPECT(r, space->lazy_pages == SMALL_PAGES / 8 - 1);
	EXPECT(r, vmap_in(space, pfns, 1, PTE_KERNEL) == addrs[3]);
	EXPECT(r, space->lazy_pages == 0);
	vunmap_in(space, addrs[3]);
	for (unsigned i = 0; i < 8; i++)
		if (i != 3)
			vunmap_in(space, addrs[i]);
	vm_unmap_aliases_in(space);
	EXPECT(r, vmap_tree_count(&space->tree) == 0);
}
SELFTEST(areas_exhaustion, areas_exhaustion);
