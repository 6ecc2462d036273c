/* SPDX-License-Identifier: MIT */
/* Address spaces of which a host with little memory refuses a part: no frame of a table that stays
 * pinned is used again. */
#include "suites.h"

#include <stdbool.h>
#include <string.h>

#include "aspace.h"
#include "console.h"
#include "frame.h"
#include "pgtable.h"
#include "pin.h"
#include "fake_host.h"
#include "fake_mmu.h"

enum { NR_TABLES = 8, NR_PAGES = 3, NR_FRAMES = NR_TABLES + NR_PAGES };

static const struct aspace_range ranges[] = {
	{.va = 0x400000, .nr_pages = 1},
	{.va = 0x7fffff000, .nr_pages = 2}, /* over the end of a 1 GiB region */
};

/* What the host knows, and of which request it answers that it has no memory: the n-th, from 1. */
static bool is_pinned[FAKE_PFNS], is_table[FAKE_PFNS];
static unsigned pins, unpins, refused_pin, refused_unpin, nr_pinned, nr_tables;

static bool is_linked(uint64_t pfn)
{
	for (uint64_t t = 0; t < FAKE_PFNS; t++) {
		const pte_t *table = pfn_to_virt(t);

		for (unsigned i = 0; is_pinned[t] && i < PTRS; i++)
			if (table[i] & PTE_P && pte_pfn(table[i]) == pfn)
				return true;
	}
	return false;
}

static enum alias_status answer(const struct pin_req *req)
{
	bool pin = req->op == PIN_OP_PIN;

	CHECK(is_table[req->pfn], "frame %lu is no table", req->pfn);
	if (pin ? ++pins == refused_pin : ++unpins == refused_unpin)
		return is_pinned[req->pfn] == pin ? ALIAS_BAD_STATE : ALIAS_NO_MEMORY;
	if (is_pinned[req->pfn] == pin || (!pin && is_linked(req->pfn)))
		return ALIAS_BAD_STATE;
	is_pinned[req->pfn] = pin;
	nr_pinned += pin ? 1 : -1u;
	return ALIAS_OK;
}

uint64_t alloc_table(void)
{
	uint64_t pfn = alloc_frame();

	CHECK(pfn != NO_FRAME && !is_pinned[pfn], "frame %lu", pfn);
	memset(pfn_to_virt(pfn), 0, PAGE_SIZE);
	is_table[pfn] = true;
	nr_tables++;
	return pfn;
}

void free_table(uint64_t pfn)
{
	CHECK(is_table[pfn] && !is_pinned[pfn], "frame %lu is pinned", pfn);
	is_table[pfn] = false;
	nr_tables--;
	free_frame(pfn);
}

void kernel_root_copy(uint64_t root_pfn)
{
	(void)root_pfn;
}

uint64_t kernel_root_pfn(void)
{
	return NO_FRAME;
}

void load_root(uint64_t root_pfn)
{
	ck_abort_msg("root %lu is loaded", root_pfn);
}

pte_t *walk_tables(uint64_t root_pfn, uint64_t va, bool alloc)
{
	(void)alloc;
	ck_abort_msg("%#lx is looked up from root %lu", va, root_pfn);
}

pte_t lookup_leaf(uint64_t root_pfn, uint64_t va, uint64_t *pfn)
{
	(void)pfn;
	ck_abort_msg("%#lx is looked up from root %lu", va, root_pfn);
}

void kprintf(const char *fmt, ...)
{
	(void)fmt;
}

static void set_up(void)
{
	fake_reset();
	fake_host_answers = answer;
	pins = unpins = refused_pin = refused_unpin = 0;
}

static int create(struct aspace *as)
{
	return aspace_create(as, ranges, 2);
}

START_TEST(comes_and_goes)
{
	uint64_t free = frames_free_count();
	struct aspace as;

	ck_assert_int_eq(create(&as), 0);
	ck_assert_uint_eq(nr_pinned, NR_TABLES);
	ck_assert_uint_eq(frames_free_count(), free - NR_FRAMES);
	fake_mmu.cpu = 1; /* which runs elsewhere */
	ck_assert_int_eq(aspace_destroy(&as), 0);
	ck_assert_uint_eq(nr_pinned + nr_tables, 0);
	ck_assert_uint_eq(frames_free_count(), free);
}
END_TEST

START_TEST(a_refused_pin_is_undone)
{
	uint64_t free = frames_free_count();
	struct aspace as;

	refused_pin = (unsigned)_i;
	ck_assert_int_eq(create(&as), -1);
	ck_assert_uint_eq(as.root_pfn, 0);
	ck_assert_uint_eq(nr_pinned + nr_tables, 0);
	ck_assert_uint_eq(frames_free_count(), free);
}
END_TEST

/* Whichever unpin of the undoing is refused: the frames of what stays pinned are not free. */
START_TEST(what_stays_pinned_is_kept)
{
	struct aspace as;

	for (refused_pin = 1; refused_pin <= NR_TABLES; refused_pin++) {
		uint64_t free = frames_free_count();
		unsigned pinned = nr_pinned;

		pins = unpins = 0;
		refused_unpin = (unsigned)_i;
		ck_assert_int_eq(create(&as), -1);
		ck_assert_uint_eq(as.root_pfn, 0);
		ck_assert_uint_eq(frames_free_count(),
				  nr_pinned > pinned ? free - NR_FRAMES : free);
	}
	ck_assert_uint_gt(nr_pinned, 0);
}
END_TEST

START_TEST(a_refused_unpin_keeps_it)
{
	struct aspace as;
	uint64_t free;

	ck_assert_int_eq(create(&as), 0);
	free = frames_free_count();
	refused_unpin = (unsigned)_i;
	ck_assert_int_eq(aspace_destroy(&as), -1);
	ck_assert_uint_gt(nr_pinned, 0);
	ck_assert_uint_eq(frames_free_count(), free);
}
END_TEST

Suite *aspace_suite(void)
{
	Suite *suite = suite_create("aspace");
	TCase *tc = tcase_create("aspace");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, comes_and_goes);
	tcase_add_loop_test(tc, a_refused_pin_is_undone, 1, NR_TABLES + 1);
	tcase_add_loop_test(tc, what_stays_pinned_is_kept, 1, NR_TABLES + 1);
	tcase_add_loop_test(tc, a_refused_unpin_keeps_it, 1, NR_TABLES + 1);
	suite_add_tcase(suite, tc);
	return suite;
}
