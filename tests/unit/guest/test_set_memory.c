/* SPDX-License-Identifier: MIT */
/* Memory types: what the direct map says when the host is asked, when TLBs are flushed, and when
 * the change fails. Host and page tables are the test's. */
#include "suites.h"

#include <stdbool.h>

#include "flush.h"
#include "pgtable.h"
#include "pin.h"
#include "set_memory.h"
#include "tlb.h"
#include "fake_host.h"
#include "fake_mmu.h"

enum { NR = 8, FIRST = 100 };

static pte_t leaves[NR]; /* of the direct map, for frames from FIRST on */
static unsigned unsplit; /* so many calls of walk_direct() until memory is short; ~0: never */
static bool refuses;     /* the host, the last of them */
static unsigned asks, flushes;
static struct pin_req asked_to, asked_back;
static pte_t when_asked[NR], when_flushed[NR];
static uint64_t flushed_from, flushed_to;
static const uint64_t pfns[] = {FIRST + 5, FIRST + 1, FIRST + 2};

enum { NR_PFNS = sizeof(pfns) / sizeof(pfns[0]) };

static pte_t leaf_of(uint64_t pfn, enum memory_type type)
{
	return make_pte(pfn, PTE_KERNEL | pte_of_memtype(type));
}

pte_t *walk_direct(uint64_t pfn)
{
	ck_assert_uint_lt(pfn - FIRST, NR);
	if (!unsplit)
		return NULL;
	unsplit -= unsplit != ~0u;
	return &leaves[pfn - FIRST];
}

/* All is asked in the order of `pfns`, and back in that order, too. */
static enum alias_status answer(const struct pin_req *req)
{
	bool back = asks >= NR_PFNS;

	ck_assert_uint_eq(req->pfn, pfns[asks++ % NR_PFNS]);
	ck_assert_uint_eq(flushes, 0);
	*(back ? &asked_back : &asked_to) = *req;
	for (unsigned i = 0; i < NR; i++)
		when_asked[i] = leaves[i];
	return refuses && asks == NR_PFNS ? ALIAS_HAS_ALIAS : ALIAS_OK;
}

static void set_up(void)
{
	fake_reset();
	for (unsigned i = 0; i < NR; i++)
		leaves[i] = leaf_of(FIRST + i, MEMORY_WB);
	unsplit = ~0u;
	refuses = false;
	asks = flushes = 0;
	fake_host_answers = answer;
}

void strategy_read_lock(void)
{
}

void strategy_read_unlock(void)
{
}

void flush_tlb_kernel_range(uint64_t start, uint64_t end)
{
	flushes++;
	flushed_from = start;
	flushed_to = end;
	for (unsigned i = 0; i < NR; i++)
		when_flushed[i] = leaves[i];
}

static bool is_one_of_them(unsigned i)
{
	for (unsigned n = 0; n < NR_PFNS; n++)
		if (pfns[n] == FIRST + i)
			return true;
	return false;
}

static void expect_types(const pte_t *of, enum memory_type type)
{
	for (unsigned i = 0; i < NR; i++)
		ck_assert_uint_eq(of[i], leaf_of(FIRST + i, is_one_of_them(i) ? type : MEMORY_WB));
}

/* The host is asked while the old type is there, the TLBs are flushed when the new one is, and
 * nothing but the type changes. */
START_TEST(the_order)
{
	static const enum memory_type types[] = {MEMORY_UC, MEMORY_WT, MEMORY_WC, MEMORY_WB};
	enum memory_type old = MEMORY_WB;

	for (unsigned t = 0; t < 4; t++) {
		asks = flushes = 0;
		ck_assert_int_eq(set_memory_type(pfns, NR_PFNS, types[t]), 0);
		ck_assert_uint_eq(asks, NR_PFNS);
		ck_assert_uint_eq(flushes, 1);
		ck_assert_uint_eq(asked_to.op, PIN_OP_MEMTYPE);
		ck_assert_uint_eq(asked_to.memtype, types[t]);
		expect_types(when_asked, old);
		expect_types(when_flushed, types[t]);
		ck_assert_uint_eq(flushed_from, (uint64_t)pfn_to_virt(FIRST + 1));
		ck_assert_uint_eq(flushed_to, (uint64_t)pfn_to_virt(FIRST + 6));
		old = types[t];
	}
}
END_TEST

START_TEST(refused)
{
	static const enum memory_type types[] = {MEMORY_WB, MEMORY_WT, MEMORY_WC};

	for (unsigned t = 0; t < 3; t++) {
		refuses = false;
		asks = flushes = 0;
		ck_assert_int_eq(set_memory_type(pfns, NR_PFNS, types[t]), 0);
		refuses = true;
		asks = flushes = 0;
		ck_assert_int_eq(set_memory_type(pfns, NR_PFNS, MEMORY_UC), -1);
		ck_assert_uint_eq(asks, 2 * NR_PFNS - 1);
		ck_assert_uint_eq(asked_back.op, PIN_OP_MEMTYPE);
		ck_assert_uint_eq(asked_back.memtype, types[t]);
		ck_assert_uint_eq(flushes, 0);
		expect_types(leaves, types[t]);
	}
}
END_TEST

/* The host is not asked for what could not be done. */
START_TEST(no_memory)
{
	unsplit = 2;
	ck_assert_int_eq(set_memory_type(pfns, NR_PFNS, MEMORY_UC), -1);
	ck_assert_uint_eq(asks, 0);
	ck_assert_uint_eq(flushes, 0);
	expect_types(leaves, MEMORY_WB);
}
END_TEST

START_TEST(nothing)
{
	ck_assert_int_eq(set_memory_type(pfns, 0, MEMORY_UC), 0);
	ck_assert_uint_eq(asks + flushes, 0);
}
END_TEST

Suite *set_memory_suite(void)
{
	Suite *suite = suite_create("set_memory");
	TCase *tc = tcase_create("set_memory");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, the_order);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, no_memory);
	tcase_add_test(tc, nothing);
	suite_add_tcase(suite, tc);
	return suite;
}
