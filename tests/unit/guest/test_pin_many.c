/* SPDX-License-Identifier: MIT */
/* Requests for many frames: all or none, and what is done if even the way back is refused. */
#include "suites.h"

#include <string.h>

#include "panic.h"
#include "fake_host.h"
#include "fake_mmu.h"

enum { NR = 2 * ALIAS_BATCH_MAX + 10 };

static const struct pin_req give = {.op = PIN_OP_INFLATE}, take = {.op = PIN_OP_DEFLATE};
static uint64_t pfns[NR];
static bool away[NR + 1]; /* by pfn */
static uint64_t stays_here, stays_away;
static unsigned asked[PIN_OP_DEFLATE + 1];

static enum alias_status answer(const struct pin_req *req)
{
	bool goes = req->op == PIN_OP_INFLATE;

	CHECK(req->pfn > 0 && req->pfn <= NR, "frame %lu", req->pfn);
	asked[req->op]++;
	CHECK(away[req->pfn] != goes, "frame %lu is asked for what it is", req->pfn);
	if (req->pfn == (goes ? stays_here : stays_away))
		return ALIAS_NO_MEMORY;
	away[req->pfn] = goes;
	return ALIAS_OK;
}

static void set_up(void)
{
	fake_reset();
	fake_host_answers = answer;
	for (unsigned i = 0; i < NR; i++)
		pfns[i] = i + 1;
	memset(away, 0, sizeof(away));
	memset(asked, 0, sizeof(asked));
	stays_here = stays_away = 0;
}

static void expect_away(unsigned nr)
{
	unsigned found = 0;

	for (unsigned i = 1; i <= NR; i++)
		found += away[i];
	ck_assert_uint_eq(found, nr);
}

START_TEST(all)
{
	for (unsigned n = 0; n <= NR; n += NR / 10) {
		set_up();
		ck_assert_int_eq(pin_frames(pfns, n, give, take), 0);
		expect_away(n);
		ck_assert_uint_eq(asked[PIN_OP_DEFLATE], 0);
	}
}
END_TEST

/* Only those that had gone are asked back: none is asked for what it is already. */
START_TEST(none)
{
	for (unsigned i = 1; i <= NR; i++) {
		set_up();
		stays_here = i;
		ck_assert_int_eq(pin_frames(pfns, NR, give, take), -1);
		expect_away(0);
		ck_assert_uint_eq(asked[PIN_OP_DEFLATE], asked[PIN_OP_INFLATE] - 1);
	}
}
END_TEST

/* The caller would go on using a frame that is the host's. */
START_TEST(no_way_back)
{
	static const uint64_t stay[] = {1, ALIAS_BATCH_MAX, NR - 1};

	stays_here = NR;
	stays_away = stay[_i];
	pin_frames(pfns, NR, give, take);
}
END_TEST

Suite *pin_many_suite(void)
{
	Suite *suite = suite_create("pin_many");
	TCase *tc = tcase_create("pin_many");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, all);
	tcase_add_test(tc, none);
	tcase_add_loop_exit_test(tc, no_way_back, EXIT_PANIC, 0, 3);
	suite_add_tcase(suite, tc);
	return suite;
}
