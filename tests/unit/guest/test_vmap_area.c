/* SPDX-License-Identifier: MIT */
/* The area tree against a sorted array that is searched the slow way. */
#include "suites.h"
#include "vmap_area.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull
#define LO   0xffffc90000000000ull

enum { MAX_AREAS = 512 };

struct model {
	uint64_t lo, hi;
	unsigned nr;
	struct vmap_area *areas[MAX_AREAS]; /* by address */
	uint64_t start[MAX_AREAS], end[MAX_AREAS];
};

/* Where the lowest fit begins; `*at` is its place in the array. 0 if there is none. */
static uint64_t model_lowest(const struct model *m, uint64_t size, uint64_t align, unsigned *at)
{
	uint64_t low = m->lo;

	for (unsigned i = 0; i <= m->nr; i++) {
		uint64_t high = i < m->nr ? m->start[i] : m->hi;
		uint64_t start = (low + align - 1) / align * align;

		*at = i;
		if (start <= high && high - start >= size)
			return start;
		low = i < m->nr ? m->end[i] : high;
	}
	return 0;
}

static void model_insert(struct model *m, struct vmap_area *va, unsigned at)
{
	unsigned after = m->nr - at;

	memmove(&m->areas[at + 1], &m->areas[at], after * sizeof(m->areas[0]));
	memmove(&m->start[at + 1], &m->start[at], after * sizeof(m->start[0]));
	memmove(&m->end[at + 1], &m->end[at], after * sizeof(m->end[0]));
	m->areas[at] = va;
	m->start[at] = va->start;
	m->end[at] = va->end;
	m->nr++;
}

static void model_remove(struct model *m, unsigned at)
{
	unsigned after = m->nr - at - 1;

	memmove(&m->areas[at], &m->areas[at + 1], after * sizeof(m->areas[0]));
	memmove(&m->start[at], &m->start[at + 1], after * sizeof(m->start[0]));
	memmove(&m->end[at], &m->end[at + 1], after * sizeof(m->end[0]));
	m->nr--;
}

static struct vmap_area *model_find(const struct model *m, uint64_t addr)
{
	for (unsigned i = 0; i < m->nr; i++)
		if (addr >= m->start[i] && addr < m->end[i])
			return m->areas[i];
	return NULL;
}

static void step_take(struct vmap_tree *tree, struct model *m, uint64_t *rng)
{
	uint64_t size = (1 + test_below(rng, 40)) * PAGE;
	uint64_t align = PAGE << (test_below(rng, 3) ? 0 : test_below(rng, 7));
	struct vmap_area *va = calloc(1, sizeof(*va));
	unsigned at;
	uint64_t want = model_lowest(m, size, align, &at);
	bool got = vmap_tree_take(tree, va, size, align);

	CHECK(got == (want != 0), "size %#lx align %#lx: model %#lx", size, align, want);
	if (!got) {
		free(va);
		return;
	}
	CHECK(va->start == want && va->end == want + size, "%#lx, not %#lx", va->start, want);
	model_insert(m, va, at);
}

static void step_remove(struct vmap_tree *tree, struct model *m, uint64_t *rng)
{
	unsigned at = (unsigned)test_below(rng, m->nr);
	struct vmap_area *va = m->areas[at];

	vmap_tree_remove(tree, va);
	model_remove(m, at);
	free(va);
}

START_TEST(random_operations)
{
	struct model m = {.lo = LO, .hi = LO + 2048 * PAGE};
	uint64_t rng = test_seed + (uint64_t)_i;
	struct vmap_tree tree;

	vmap_tree_init(&tree, m.lo, m.hi);
	for (unsigned step = 0; step < 20000; step++) {
		/* Fill up and thin out in turns, so that full and nearly empty spaces are met. */
		bool filling = step / 1000 % 2 == 0;

		if (m.nr == 0 || (m.nr < MAX_AREAS && test_below(&rng, 100) < (filling ? 70 : 35)))
			step_take(&tree, &m, &rng);
		else
			step_remove(&tree, &m, &rng);

		uint64_t addr = m.lo - PAGE + test_below(&rng, m.hi - m.lo + 2 * PAGE);
		CHECK(vmap_tree_find(&tree, addr) == model_find(&m, addr), "%#lx", addr);
		if (step % 16 == 0) {
			const char *wrong = vmap_tree_check(&tree);

			CHECK(!wrong, "step %u: %s", step, wrong);
			CHECK(vmap_tree_count(&tree) == m.nr, "step %u", step);
		}
	}
	while (m.nr)
		step_remove(&tree, &m, &rng);
	ck_assert_ptr_null(vmap_tree_check(&tree));
	ck_assert_uint_eq(tree.last.gap, m.hi - m.lo);
}
END_TEST

START_TEST(whole_space_and_no_byte_more)
{
	struct vmap_area all, more;
	struct vmap_tree tree;

	vmap_tree_init(&tree, LO, LO + 16 * PAGE);
	ck_assert(!vmap_tree_take(&tree, &all, 17 * PAGE, PAGE));
	ck_assert(vmap_tree_take(&tree, &all, 16 * PAGE, PAGE));
	ck_assert(!vmap_tree_take(&tree, &more, PAGE, PAGE));
	vmap_tree_remove(&tree, &all);
	ck_assert(vmap_tree_take(&tree, &more, PAGE, PAGE));
	ck_assert_uint_eq(more.start, LO);
}
END_TEST

/* A gap that is as large as asked for but lies askew must be passed over, not ended at. */
START_TEST(alignment_looks_past_a_gap_that_lies_askew)
{
	struct vmap_area page, hole, block;
	struct vmap_tree tree;

	vmap_tree_init(&tree, LO, LO + 64 * PAGE);
	ck_assert(vmap_tree_take(&tree, &page, PAGE, PAGE));
	ck_assert(vmap_tree_take(&tree, &block, 16 * PAGE, 16 * PAGE));
	ck_assert_uint_eq(block.start, LO + 16 * PAGE);
	ck_assert(vmap_tree_take(&tree, &hole, 15 * PAGE, PAGE));
	ck_assert_uint_eq(hole.start, LO + PAGE);
}
END_TEST

START_TEST(a_wrong_maximum_is_noticed)
{
	struct vmap_area a, b;
	struct vmap_tree tree;

	vmap_tree_init(&tree, LO, LO + 64 * PAGE);
	ck_assert(vmap_tree_take(&tree, &a, PAGE, PAGE));
	ck_assert(vmap_tree_take(&tree, &b, PAGE, PAGE));
	ck_assert_ptr_null(vmap_tree_check(&tree));
	a.gap_max += PAGE;
	ck_assert_ptr_nonnull(vmap_tree_check(&tree));
}
END_TEST

Suite *vmap_area_suite(void)
{
	Suite *suite = suite_create("vmap areas");
	TCase *tc = tcase_create("tree");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, random_operations, 0, 8);
	tcase_add_test(tc, whole_space_and_no_byte_more);
	tcase_add_test(tc, alignment_looks_past_a_gap_that_lies_askew);
	tcase_add_test(tc, a_wrong_maximum_is_noticed);
	suite_add_tcase(suite, tc);
	return suite;
}
