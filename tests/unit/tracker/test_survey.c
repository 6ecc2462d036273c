/* SPDX-License-Identifier: MIT */
/* Surveys: aliases of tables that nobody has pinned, W and X, memory types, and what of it is new.
 */
#include "fault.h"
#include "suites.h"
#include "world.h"

#define FRAMES     4096ull
#define ROOT       1
#define ROOT_2     2
#define DATA       2000ull
#define USER       0x7f0012345000ull
#define RX(pfn)    (R(pfn) | E_US)
#define RW_NX(pfn) (W(pfn) | E_US | E_NX)

static struct world w;
static struct at_finding found[64];
static unsigned nr_found;

static void setup(void)
{
	world_open(&w, FRAMES);
	nr_found = 0;
}

static void teardown(void)
{
	world_close(&w);
}

static void survey(void)
{
	world_sync(&w);
	ck_assert(at_survey(w.at));
}

/* The number of events, which are taken into found[]. */
static unsigned events(void)
{
	for (nr_found = 0; nr_found < 64 && at_next_finding(w.at, &found[nr_found]); nr_found++)
		;
	return nr_found;
}

static bool count_finding(void *ctx, const struct at_finding *finding)
{
	(void)finding;
	++*(unsigned *)ctx;
	return true;
}

static unsigned held(void)
{
	unsigned nr = 0;

	ck_assert(at_for_each_finding(w.at, count_finding, &nr));
	return nr;
}

static void expect_uses(uint64_t pfn, struct at_uses expected)
{
	struct at_uses uses = at_uses(w.at, pfn), oracle = at_oracle_uses(w.at, pfn);

	ck_assert_int_eq(uses.kernel_exec, expected.kernel_exec);
	ck_assert_int_eq(uses.user_exec, expected.user_exec);
	ck_assert_int_eq(uses.writable, expected.writable);
	ck_assert_int_eq(uses.exempt_writable, expected.exempt_writable);
	ck_assert_uint_eq(uses.memtypes, expected.memtypes);
	ck_assert_mem_eq(&uses, &oracle, sizeof(uses));
	ck_assert_uint_eq(at_executable(w.at, pfn, 1), expected.kernel_exec || expected.user_exec);
}

START_TEST(nothing)
{
	ck_assert(!at_next_finding(w.at, &found[0]));
	ck_assert_uint_eq(held(), 0);
	ck_assert_uint_eq(at_uses(w.at, DATA).memtypes, 0);
	ck_assert_uint_eq(at_executable(w.at, 0, UINT64_MAX), 0);
	survey();
	ck_assert_uint_eq(events(), 0);
	expect_uses(DATA, (struct at_uses){0});
	expect_uses(FRAMES, (struct at_uses){0});
	expect_uses(UINT64_MAX, (struct at_uses){0});
}
END_TEST

/* A followed table counts as one: its aliases come and go, each told once. */
START_TEST(alias_of_a_table)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, RX(DATA)), by;

	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 0);
	by = world_map(&w, ROOT, VMALLOC + 0x3000, 1, W(l1) | E_NX);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_int_eq(found[0].kind, AT_F_ALIAS);
	ck_assert(!found[0].gone);
	ck_assert_uint_eq(found[0].pfn, l1);
	ck_assert_uint_eq(found[0].frames, 1);
	ck_assert_uint_eq(found[0].one.va, VMALLOC + 0x3000);
	ck_assert_uint_eq(found[0].one.pte_gpa, FRAME(by) + 3 * 8);
	ck_assert_uint_eq(found[0].one.pte, W(l1) | E_NX);
	ck_assert_uint_eq(found[0].one.level, 1);
	ck_assert(!found[0].one.user && !found[0].one.exec);
	survey();
	ck_assert_uint_eq(events(), 0);
	ck_assert_uint_eq(held(), 1);
	/* one goes and another comes in one sync: the number is the same */
	world_set(&w, by, 3, 0);
	world_set(&w, by, 4, W(l1) | E_NX);
	survey();
	ck_assert_uint_eq(events(), 2);
	ck_assert_uint_eq(found[0].gone + 2 * found[1].gone, 1);
	ck_assert_uint_eq(found[0].one.va, VMALLOC + 0x3000);
	ck_assert_uint_eq(found[1].one.va, VMALLOC + 0x4000);
	/* read-only it is none, and there it isn't in the direct map */
	world_set(&w, by, 4, R(l1) | E_NX);
	world_map(&w, ROOT, DIRECT_BASE + FRAME(l1), 1, W(l1) | E_NX);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert(found[0].gone);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

/* The mapping stays, and its frame becomes a table, or ceases to be one. */
START_TEST(frame_that_becomes_a_table)
{
	uint64_t l2;

	world_map(&w, ROOT, VMALLOC, 2, W(3 * 512) | E_PS | E_NX);
	world_map(&w, ROOT, USER, 1, RX(3000));
	l2 = world_table(&w, ROOT, USER, 2);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 0);
	for (unsigned i = 0; i < 100; i++)
		world_set(&w, l2, i, W(3 * 512 + 100 + i));
	survey();
	ck_assert_uint_eq(events(), 64);
	ck_assert_uint_eq(found[7].pfn, 3 * 512 + 107);
	ck_assert_uint_eq(found[7].one.va, VMALLOC + FRAME(107));
	ck_assert_uint_eq(found[7].one.level, 2);
	ck_assert_uint_eq(events(), 100 - 64);
	ck_assert_uint_eq(held(), 100);
	world_set(&w, l2, 7, 0);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert(found[0].gone);
	ck_assert_uint_eq(found[0].pfn, 3 * 512 + 107);
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(pinned_tables_count_too)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, RX(DATA));

	world_map(&w, ROOT, USER + 0x1000, 1, W(l1) | E_US | E_NX);
	w.config.grant_aliased = true;
	at_free(w.at);
	world_start(&w);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_uint_eq(found[0].pfn, l1);
	ck_assert(found[0].one.user);
}
END_TEST

START_TEST(writable_here_executable_there)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, RX(DATA));

	world_map(&w, ROOT_2, 0x400000, 1, RW_NX(DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 0);
	expect_uses(DATA, (struct at_uses){.user_exec = true, .memtypes = 1});
	ck_assert_int_eq(at_follow(w.at, ROOT_2), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_int_eq(found[0].kind, AT_F_WX);
	ck_assert_uint_eq(found[0].pfn, DATA);
	ck_assert_uint_eq(found[0].one.va, USER);
	ck_assert(found[0].one.exec && found[0].one.user);
	ck_assert_uint_eq(found[0].other.va, 0x400000);
	ck_assert(!found[0].other.exec);
	expect_uses(DATA, (struct at_uses){.user_exec = true, .writable = true, .memtypes = 1});
	world_set(&w, l1, va_index(USER, 1), RX(DATA) | E_NX);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert(found[0].gone);
	expect_uses(DATA, (struct at_uses){.writable = true, .memtypes = 1});
}
END_TEST

static bool keep_finding(void *ctx, const struct at_finding *finding)
{
	*(struct at_finding *)ctx = *finding;
	return false;
}

/* Of the first finding, whether it was held before or not. */
static void expect_pair(uint64_t executable, uint64_t writable, uint64_t mappings)
{
	struct at_finding first = {0};

	survey();
	at_for_each_finding(w.at, keep_finding, &first);
	ck_assert_int_eq(first.kind, AT_F_WX);
	ck_assert_uint_eq(first.one.va, executable);
	ck_assert_uint_eq(first.other.va, writable);
	ck_assert_uint_eq(first.mappings, mappings);
}

/* What users map executable and writable is told with their own addresses, whatever else the kernel
 * maps, in whatever order, and whatever was found before. */
START_TEST(pair_of_the_same_rights)
{
	uint64_t rw = USER + (_i & 1 ? SLOT : 0), rx = USER + (_i & 1 ? 0 : SLOT), kernel, l1;

	world_map(&w, ROOT, rx, 1, RX(DATA));
	kernel = world_map(&w, ROOT, VMALLOC, 1, W(DATA) | E_NX);
	l1 = world_map(&w, ROOT, rw, 1, _i & 2 ? RW_NX(DATA) : 0);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	if (!(_i & 2))
		expect_pair(rx, VMALLOC, 2);
	world_set(&w, l1, va_index(rw, 1), RW_NX(DATA));
	expect_pair(rx, rw, 3);
	world_set(&w, l1, va_index(rw, 1) + 1, RX(DATA + 1)); /* another change */
	expect_pair(rx, rw, 3);
	world_set(&w, kernel, va_index(VMALLOC, 1) + 1, R(DATA)); /* of the kernel are two, too */
	world_set(&w, l1, va_index(rw, 1), 0);
	expect_pair(VMALLOC + 0x1000, VMALLOC, 2);
	world_set(&w, kernel, va_index(VMALLOC, 1) + 1, 0);
	expect_pair(rx, VMALLOC, 2);
	ck_assert_uint_eq(held(), 1);
}
END_TEST

/* One mapping that can do both is one. */
START_TEST(pair_that_is_one_mapping)
{
	world_map(&w, ROOT, USER, 1, W(DATA) | E_US);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	expect_pair(USER, USER, 1);
	world_map(&w, ROOT, VMALLOC, 1, W(DATA) | E_NX);
	expect_pair(USER, USER, 2);
}
END_TEST

/* What may be done is what all entries of a path allow. */
START_TEST(rights_are_combined)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, W(DATA) | E_US), l2, l3;

	l2 = world_table(&w, ROOT, USER, 2);
	l3 = world_table(&w, ROOT, USER, 3);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	expect_uses(DATA, (struct at_uses){.user_exec = true, .writable = true, .memtypes = 1});
	ck_assert_uint_eq(events(), 1);
	ck_assert_uint_eq(found[0].one.va, found[0].other.va);
	world_set(&w, l2, va_index(USER, 2), FRAME(l1) | E_TABLE | E_NX);
	survey();
	expect_uses(DATA, (struct at_uses){.writable = true, .memtypes = 1});
	world_set(&w, l2, va_index(USER, 2), FRAME(l1) | E_P | E_RW);
	survey();
	expect_uses(DATA, (struct at_uses){.kernel_exec = true, .writable = true, .memtypes = 1});
	world_set(&w, l3, va_index(USER, 3), FRAME(l2) | E_P | E_US);
	survey();
	expect_uses(DATA, (struct at_uses){.kernel_exec = true, .memtypes = 1});
	/* by another path to the same table all of it; each right by one path is not both by one */
	world_set(&w, ROOT, 9, FRAME(l3) | E_TABLE | E_NX);
	world_set(&w, l3, va_index(USER, 3), FRAME(l2) | E_TABLE);
	survey();
	expect_uses(DATA, (struct at_uses){.kernel_exec = true, .writable = true, .memtypes = 1});
	ck_assert_uint_eq(held(), 1);
}
END_TEST

/* A user's code is writable in the direct map by nature; the kernel's must not be. */
START_TEST(executable_and_in_the_direct_map)
{
	world_map(&w, ROOT, USER, 1, RX(DATA));
	world_map(&w, ROOT, DIRECT_BASE, 2, W(0) | E_PS | E_NX);
	world_map(&w, ROOT, DIRECT_BASE + FRAME(1536), 2, W(1536) | E_PS | E_NX);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 0);
	expect_uses(DATA,
		    (struct at_uses){.user_exec = true, .exempt_writable = true, .memtypes = 1});
	expect_uses(7, (struct at_uses){.exempt_writable = true, .memtypes = 1});
	world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_int_eq(found[0].kind, AT_F_WX);
	ck_assert_uint_eq(found[0].one.va, VMALLOC);
	ck_assert_uint_eq(found[0].other.va, DIRECT_BASE + FRAME(DATA));
	ck_assert_uint_eq(found[0].other.level, 2);
}
END_TEST

/* Large leaves make one finding of all their frames; small ones add theirs. */
START_TEST(runs_of_frames)
{
	world_map(&w, ROOT, VMALLOC, 2, W(1536) | E_PS);
	world_map(&w, ROOT, VMALLOC + SLOT, 2, W(1024) | E_PS | E_NX);
	world_map(&w, ROOT, USER, 1, RX(1024 + 5));
	world_map(&w, ROOT, USER + 0x1000, 1, RX(1536 + 5));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 2);
	ck_assert_uint_eq(found[0].pfn, 1024 + 5);
	ck_assert_uint_eq(found[0].frames, 1);
	ck_assert_uint_eq(found[0].one.va, USER);
	ck_assert_uint_eq(found[0].other.va, VMALLOC + SLOT + FRAME(5));
	ck_assert_uint_eq(found[1].pfn, 1536);
	ck_assert_uint_eq(found[1].frames, 512);
	ck_assert_uint_eq(found[1].one.va, VMALLOC);
	ck_assert_uint_eq(found[1].other.va, VMALLOC);
	ck_assert_uint_eq(at_executable(w.at, 0, FRAMES), 512 + 1);
	ck_assert_uint_eq(at_executable(w.at, 1536 + 500, 100), 12);
	ck_assert_uint_eq(at_executable(w.at, 1024 + 5, 1), 1);
	ck_assert_uint_eq(at_executable(w.at, 1024 + 6, 1536 - 1030), 0);
	/* all memory, and no more: a run ends with it */
	world_map(&w, ROOT, VMALLOC + 2 * SLOT, 3, W(0) | E_PS | E_US);
	survey();
	ck_assert_uint_eq(events(), 1 + world_stats(&w).tables + 2);
	ck_assert_int_eq(found[0].kind, AT_F_WX);
	ck_assert_uint_eq(found[0].frames, FRAMES);
	ck_assert_uint_eq(at_executable(w.at, 3, UINT64_MAX), FRAMES - 3);
	ck_assert_int_eq(found[1].kind, AT_F_ALIAS);
	ck_assert_uint_eq(held(), 1 + world_stats(&w).tables);
}
END_TEST

#define PWT 8ull
#define PCD 16ull

START_TEST(several_memory_types)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, R(DATA) | PCD);

	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 0);
	expect_uses(DATA, (struct at_uses){.kernel_exec = true, .memtypes = 4});
	/* the direct map is no exception; the PAT bit of a large leaf is another one */
	world_map(&w, ROOT, DIRECT_BASE + FRAME(1536), 2, R(1536 + 1) | E_PS | PWT);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_int_eq(found[0].kind, AT_F_MEMTYPE);
	ck_assert_uint_eq(found[0].pfn, DATA);
	ck_assert_uint_eq(found[0].one.va, DIRECT_BASE + FRAME(DATA));
	ck_assert_uint_eq(found[0].other.va, USER);
	expect_uses(DATA, (struct at_uses){.kernel_exec = true, .memtypes = 4 | 32});
	world_set(&w, l1, va_index(USER, 1), R(DATA) | PWT | E_PS);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert(found[0].gone);
	expect_uses(DATA, (struct at_uses){.kernel_exec = true, .memtypes = 32});
}
END_TEST

/* A table has its own window in one root and is linked elsewhere by others: three addresses, of
 * which two are kept. */
START_TEST(addresses_outside_of_the_window)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, RX(DATA)), direct;

	direct = world_map(&w, ROOT, DIRECT_BASE + FRAME(l1), 1, W(l1) | E_NX);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 0);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t root = 1000 + i;

		world_map(&w, root, VMALLOC + i * SLOT, 2, W(direct));
		ck_assert_int_eq(at_follow(w.at, root), AT_OK);
	}
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_uint_eq((found[0].one.va & (SLOT - 1)), FRAME(l1) + (VMALLOC & (SLOT - 1)));
	ck_assert_uint_ge(found[0].one.va, VMALLOC);
}
END_TEST

START_TEST(levels_are_five)
{
	w.config.levels = 5;
	at_free(w.at);
	w.at = at_new(&w.config);
	world_map(&w, ROOT, USER, 1, W(DATA));
	world_set(&w, ROOT_2, 300, FRAME(ROOT) | E_TABLE);
	ck_assert_int_eq(at_follow(w.at, ROOT_2), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 1);
	ck_assert_uint_eq(found[0].one.va, 0xff00000000000000 + (44ull << 48) + USER);
}
END_TEST

/* Nothing has changed: no table is read, and nothing is told again. */
START_TEST(unchanged_costs_nothing)
{
	uint64_t calls;

	world_map(&w, ROOT, USER, 1, W(DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(events(), 1);
	calls = w.table_calls;
	ck_assert(at_survey(w.at));
	ck_assert(at_survey(w.at));
	ck_assert_uint_eq(w.table_calls, calls);
	ck_assert_uint_eq(events(), 0);
	ck_assert_uint_eq(held(), 1);
}
END_TEST

START_TEST(without_memory)
{
	uint64_t l1 = world_map(&w, ROOT, USER, 1, W(DATA));
	unsigned nth = 0;
	bool ok;

	world_map(&w, ROOT, USER + 0x1000, 1, W(l1));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	do {
		fault_set(++nth, true);
		ok = at_survey(w.at);
		fault_set(0, false);
		ck_assert(ok || (held() == 0 && at_executable(w.at, 0, FRAMES) == 0));
	} while (!ok);
	ck_assert_uint_gt(nth, 5);
	ck_assert_uint_eq(held(), 3);
	w.config.mode = AT_BLIND;
	at_free(w.at);
	world_start(&w);
	ck_assert(!at_survey(w.at));
}
END_TEST

static bool stop;

START_TEST(stopped)
{
	w.config.stop = &stop;
	at_free(w.at);
	world_start(&w);
	world_map(&w, ROOT, USER, 1, W(DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	stop = true;
	ck_assert(!at_survey(w.at));
	stop = false;
	ck_assert(at_survey(w.at));
}
END_TEST

/* As many findings as there can be: no more are kept, and the others are counted. */
START_TEST(too_many)
{
	const uint64_t frames = 4ull * AT_FINDINGS_MAX;
	struct at_stats stats;

	world_close(&w);
	world_open(&w, frames);
	for (uint64_t i = 0; i < AT_FINDINGS_MAX + 100; i++)
		world_map(&w, ROOT, USER + FRAME(i), 1, W(AT_FINDINGS_MAX + i) | E_US);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(held(), AT_FINDINGS_MAX);
	stats = world_stats(&w);
	ck_assert_uint_eq(stats.findings_dropped, 100);
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	survey();
	ck_assert_uint_eq(held(), 0);
}
END_TEST

Suite *survey_suite(void)
{
	Suite *suite = suite_create("survey");
	TCase *tcase = tcase_create("survey");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nothing);
	tcase_add_test(tcase, alias_of_a_table);
	tcase_add_test(tcase, frame_that_becomes_a_table);
	tcase_add_test(tcase, pinned_tables_count_too);
	tcase_add_test(tcase, writable_here_executable_there);
	tcase_add_loop_test(tcase, pair_of_the_same_rights, 0, 4);
	tcase_add_test(tcase, pair_that_is_one_mapping);
	tcase_add_test(tcase, rights_are_combined);
	tcase_add_test(tcase, executable_and_in_the_direct_map);
	tcase_add_test(tcase, runs_of_frames);
	tcase_add_test(tcase, several_memory_types);
	tcase_add_test(tcase, addresses_outside_of_the_window);
	tcase_add_test(tcase, levels_are_five);
	tcase_add_test(tcase, unchanged_costs_nothing);
	tcase_add_test(tcase, without_memory);
	tcase_add_test(tcase, stopped);
	tcase_add_test(tcase, too_many);
	suite_add_tcase(suite, tcase);
	return suite;
}
