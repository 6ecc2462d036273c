/* SPDX-License-Identifier: MIT */
/* The guest's strategies: the same pins for all, what each promises, and changing them in mid-run.
 */
#include <stdio.h>
#include <string.h>
#include "run.h"
#include "suites.h"

static const char *const strategies[] = {
	"none",      "legacy",   "eager", "nolazy",     "eager-pte",
	"quicklist", "page-bit", "trap",  "trap-range",
};
static const char *const track_modes[] = {"dirty", "scan", "log"};
static const char *const cpus[] = {"1", "4"};
static const char *const loads[][2] = {
	{"workload=process", "iters=4"},
	{"workload=grow", "iters=10"},
	{"workload=nfs", "iters=1"},
};

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NR_MATRIX    (NR_OF(strategies) * NR_OF(track_modes) * NR_OF(cpus) * NR_OF(loads))

#define NONE 0
#define TRAP 7 /* the first of those that trap */

static const char *make_disk(void)
{
	static uint8_t bytes[512 << 10];
	const char *path = tmp_file("disk");
	FILE *file = fopen(path, "w");

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 >> 7);
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, sizeof(bytes), 1, file), 1);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

static void expect_right(const struct run *run, const char *flush)
{
	expect_status(run, 0);
	ck_assert_int_eq(stat_of(run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(run, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(run, "pins.verified"), stat_of(run, "pins.pins"));
	if (!strcmp(flush, "none"))
		return;
	ck_assert_int_eq(stat_of(run, "pins.let_through"), 0);
	ck_assert_int_eq(stat_of(run, "pins.violations"), 0);
	ck_assert_int_eq(stat_of(run, "pins.status.ok"),
			 stat_of(run, "pins.pins") + stat_of(run, "pins.unpins"));
}

/* Every strategy x --track x 1 and 4 vCPUs x load; after every pin the oracle looks. Only those
 * that trap are ever trapped; `none` is granted what was met. */
START_TEST(matrix)
{
	int i = _i;
	int s = i % NR_OF(strategies);
	const char *track = track_modes[(i /= NR_OF(strategies)) % NR_OF(track_modes)];
	const char *nr = cpus[(i /= NR_OF(track_modes)) % NR_OF(cpus)];
	const char *const *load = loads[i / NR_OF(cpus)];
	struct run run;

	RUN(&run, "-c", nr, "-m", "128M", "-f", strategies[s], "-t", track_or(track), "--verify",
	    "-d", make_disk(), path_guest(), "--", load[0], load[1], "seed=3");
	expect_right(&run, strategies[s]);
	if (s == NONE)
		ck_assert_int_eq(stat_of(&run, "pins.aliases_met"),
				 stat_of(&run, "pins.let_through"));
	else if (s < TRAP)
		ck_assert_int_eq(stat_of(&run, "pins.aliases_met"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.upcalls"),
			 s < TRAP ? 0 : stat_of(&run, "pins.aliases_met"));
	run_free(&run);
}
END_TEST

/* Small, as a shootdown of four busy vCPUs takes long where they share a processor. */
static const char *const same_loads[][3] = {
	{"workload=process", "iters=4", "alias=30"}, {"workload=process", "iters=4", "free=fifo"},
	{"workload=grow", "iters=12", "free=lifo"},  {"workload=xfs", "iters=4", "free=lifo"},
	{"workload=mixed", "iters=6", "free=lifo"},  {"workload=nfs", "iters=1", "free=lifo"},
};

/* What the guest does, and so what it pins, doesn't depend on the strategy: only then can they be
 * compared. */
START_TEST(same_pins_whatever_the_strategy)
{
	static const char *const same[] = {"guest.pins",  "guest.unpins",  "guest.pin_calls",
					   "guest.vmaps", "guest.vunmaps", "guest.address_spaces",
					   "guest.tables"};
	const char *const *load = same_loads[_i];
	int64_t expected[NR_OF(same)];

	for (int s = 0; s < NR_OF(strategies); s++) {
		struct run run;

		RUN(&run, "-c", "4", "-m", "128M", "-f", strategies[s], "-d", make_disk(),
		    path_guest(), "--", load[0], load[1], load[2]);
		expect_status(&run, 0);
		for (int i = 0; i < NR_OF(same); i++) {
			int64_t value = stat_of(&run, same[i]);

			if (s == 0)
				expected[i] = value;
			ck_assert_msg(value == expected[i], "%s: %s is %lld, not %lld",
				      strategies[s], same[i], (long long)value,
				      (long long)expected[i]);
		}
		run_free(&run);
	}
}
END_TEST

/* A workload's figures end with a vm_unmap_aliases(), whatever the strategy. */
#define AT_THE_END 1

static void run_process(struct run *run, const char *nr, const char *flush, const char *option)
{
	RUN(run, "-c", nr, "-m", "128M", "-f", flush, path_guest(), "--", "workload=process",
	    strcmp(nr, "1") ? "iters=8" : "iters=20", option);
	expect_status(run, 0);
}

/* What vmm --probe says of this host. */
static bool host_can_flush(void)
{
	const char *const argv[] = {path_vmm(), "--probe", "--json", NULL};
	struct run run;
	json_t *probe;
	bool usable;

	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	probe = json_loads(run.out, 0, NULL);
	usable = json_is_true(json_object_get(json_object_get(probe, "tlb_flush"), "usable"));
	json_decref(probe);
	run_free(&run);
	return usable;
}

/* Other CPUs' TLBs are flushed by one call of the host where the strategy is one that relies on it,
 * or that is asked for, and the host can; else by IPIs. */
START_TEST(shootdowns)
{
	static const struct {
		const char *flush, *option;
		bool by_host;
	} asked[] = {
		{"trap", "shootdown=auto", true},  {"trap-range", "seed=1", true},
		{"eager", "seed=1", false},        {"trap", "shootdown=ipi", false},
		{"eager", "shootdown=host", true}, {"legacy", "shootdown=host", true},
	};
	struct run run;
	int64_t all;

	RUN(&run, "-c", "4", "-m", "128M", "-f", asked[_i].flush, "--verify", path_guest(), "--",
	    "workload=process", "iters=8", "alias=20", asked[_i].option);
	expect_right(&run, asked[_i].flush);
	all = stat_of(&run, "guest.shootdowns");
	ck_assert_int_gt(all, 0);
	if (asked[_i].by_host && !track_is("strict") && host_can_flush()) {
		ck_assert_int_eq(stat_of(&run, "guest.host_shootdowns"), all);
		ck_assert_int_eq(stat_of(&run, "exits.flush_calls"), all);
		ck_assert_int_eq(stat_of(&run, "guest.shootdown_ipis"), 0);
	} else {
		ck_assert_int_eq(stat_of(&run, "guest.host_shootdowns"), 0);
		ck_assert_int_eq(stat_of(&run, "exits.flush_calls"), 0);
		ck_assert_int_eq(stat_of(&run, "guest.shootdown_ipis"), 3 * all);
	}
	run_free(&run);
}
END_TEST

START_TEST(legacy_shoots_down_at_every_unmap)
{
	struct run run;

	run_process(&run, "4", "legacy", "seed=1");
	ck_assert_int_gt(stat_of(&run, "guest.vunmaps"), 50);
	ck_assert_int_eq(stat_of(&run, "guest.shootdowns"), stat_of(&run, "guest.vunmaps"));
	ck_assert_int_eq(stat_of(&run, "guest.shootdown_ipis"), 3 * stat_of(&run, "guest.vunmaps"));
	ck_assert_int_eq(stat_of(&run, "guest.unmap_aliases"), AT_THE_END);
	/* Nothing but what other CPUs were about to unmap, 100 pages at most. */
	ck_assert_int_le(stat_of(&run, "guest.lazy_pages_max"), 3 * 100);
	run_free(&run);
}
END_TEST

/* With several CPUs one purge may do for the unmaps of two. */
START_TEST(nolazy_purges_at_every_unmap)
{
	struct run run;

	run_process(&run, cpus[_i], "nolazy", "seed=1");
	ck_assert_int_eq(stat_of(&run, "guest.unmap_aliases"),
			 stat_of(&run, "guest.vunmaps") + AT_THE_END);
	if (_i == 0)
		ck_assert_int_eq(stat_of(&run, "guest.purges"), stat_of(&run, "guest.vunmaps"));
	else
		ck_assert_int_le(stat_of(&run, "guest.purges"), stat_of(&run, "guest.vunmaps"));
	run_free(&run);
}
END_TEST

/* No PTE is left to purge; what TLBs may hold the host sees to, and flushes only if there is any.
 * (At the end the guest does the flush that is owed.) */
START_TEST(eager_pte_leaves_tlbs_to_the_host)
{
	struct run run, clean;

	run_process(&run, cpus[_i], "eager-pte", "seed=1");
	ck_assert_int_eq(stat_of(&run, "guest.purges"), AT_THE_END);
	ck_assert_int_eq(stat_of(&run, "guest.unmap_aliases"), AT_THE_END);
	ck_assert_int_eq(stat_of(&run, "guest.tables_aliased"), 0);
	ck_assert_int_gt(stat_of(&run, "guest.tables_recycled"), 0);
	if (!track_is("strict")) /* where write-protecting a frame has flushed it */
		ck_assert_int_gt(stat_of(&run, "pins.host_flushes"), 0);
	RUN(&clean, "-c", cpus[_i], "-f", "eager-pte", path_guest(), "--", "workload=cleanpin");
	expect_status(&clean, 0);
	ck_assert_int_eq(stat_of(&clean, "pins.host_flushes"), 0);
	run_free(&run);
	run_free(&clean);
}
END_TEST

/* A mapping that came and went since the last sync was never seen by the host, and may be in a TLB
 * all the same: the clock says that something went. Here it did before each of the pins. */
START_TEST(eager_pte_hides_nothing_from_the_host)
{
	struct run run;

	NOT_IF_STRICT("write-protecting a frame has flushed it");
	RUN(&run, "-m", "128M", "-t", track_or(track_modes[_i]), "-f", "eager-pte", path_guest(),
	    "--", "workload=grow", "iters=40", "alias=100");
	expect_status(&run, 0);
	ck_assert_int_ge(stat_of(&run, "pins.host_flushes"), 40);
	ck_assert_int_le(stat_of(&run, "pins.host_flushes"), stat_of(&run, "guest.pin_calls"));
	run_free(&run);
}
END_TEST

/* Above the limit the guest flushes itself, without a PTE to clear. */
START_TEST(eager_pte_flushes_at_the_limit)
{
	struct run run;

	run_process(&run, "4", "eager-pte", "lazy=100");
	ck_assert_int_gt(stat_of(&run, "guest.purges"), 0);
	ck_assert_int_lt(stat_of(&run, "guest.purges"), stat_of(&run, "guest.vunmaps"));
	run_free(&run);
}
END_TEST

START_TEST(quicklist_purges_once_for_many_tables)
{
	static const char *const options[] = {"quicklist=1", "quicklist=8", "quicklist=32"};
	static const int sizes[] = {1, 8, 32};
	struct run run;
	int64_t fills;

	run_process(&run, cpus[_i % 2], "quicklist", options[_i / 2]);
	fills = stat_of(&run, "guest.unmap_aliases");
	/* A list that isn't empty is not filled, so each CPU has used up all but its last fill. */
	ck_assert_int_gt(fills, 0);
	ck_assert_int_le(fills, stat_of(&run, "guest.tables") / sizes[_i / 2] + 4);
	ck_assert_int_le(stat_of(&run, "guest.purges"), fills);
	/* Tables that are freed are taken again as they are. */
	ck_assert_int_lt(fills * sizes[_i / 2], stat_of(&run, "guest.tables"));
	run_free(&run);
}
END_TEST

/* The guest alone finds out what the host finds out for it with `trap`. */
START_TEST(page_bit_purges_where_trap_would)
{
	static const char *const options[] = {"alias=0", "alias=5", "alias=60", "seed=4"};
	struct run bit, trap;

	run_process(&bit, "1", "page-bit", options[_i]);
	RUN(&trap, "-m", "128M", "-f", "trap", path_guest(), "--", "workload=process", "iters=20",
	    "ahead=0", options[_i]);
	expect_status(&trap, 0);
	ck_assert_int_eq(stat_of(&bit, "guest.purges"),
			 stat_of(&trap, "pins.aliases_met") + AT_THE_END);
	ck_assert_int_eq(stat_of(&bit, "guest.purges"), stat_of(&bit, "guest.unmap_aliases"));
	ck_assert_int_eq(stat_of(&bit, "guest.tables_aliased"),
			 stat_of(&trap, "guest.tables_aliased"));
	run_free(&bit);
	run_free(&trap);
}
END_TEST

START_TEST(page_bit_asks_nobody)
{
	struct run run;

	run_process(&run, "4", "page-bit", "alias=40");
	ck_assert_int_eq(stat_of(&run, "pins.aliases_met"), 0);
	ck_assert_int_gt(stat_of(&run, "guest.purges"), 0);
	ck_assert_int_le(stat_of(&run, "guest.purges"), stat_of(&run, "guest.unmap_aliases"));
	ck_assert_int_lt(stat_of(&run, "guest.unmap_aliases"), stat_of(&run, "guest.pin_calls"));
	run_free(&run);
}
END_TEST

/* Each CPU's tables come in hundreds, the last of which isn't full. */
START_TEST(alias_rate_is_kept)
{
	static const int rates[] = {0, 1, 10, 50, 99, 100};
	unsigned long taken, recycled, aliased;
	char option[16], *line;
	struct run run;

	snprintf(option, sizeof(option), "alias=%d", rates[_i]);
	run_process(&run, "4", "none", option);
	line = strstr(run.out, "tables taken");
	ck_assert_ptr_nonnull(line);
	while (line > run.out && line[-1] != '\n')
		line--;
	ck_assert_int_eq(
		sscanf(line,
		       "process: %lu tables taken, %lu (%*f %%) from frames vmapped before, "
		       "%lu",
		       &taken, &recycled, &aliased),
		3);
	ck_assert_uint_gt(taken, 200);
	ck_assert_uint_eq(recycled, aliased);
	ck_assert_uint_le(aliased, taken * rates[_i] / 100 + 4 * 25);
	ck_assert_uint_ge(aliased + 4 * 25, taken * rates[_i] / 100);
	if (rates[_i] == 0 || rates[_i] == 100)
		ck_assert_uint_eq(aliased, rates[_i] ? taken : 0);
	run_free(&run);
}
END_TEST

/* The first of the old mistakes leaves an alias behind: whoever relies on vm_unmap_aliases() is
 * refused, and `none` shows that it would have been harmful. */
START_TEST(bug_full_blocks_is_caught)
{
	static const char *const flushes[] = {"eager", "trap", "page-bit"};
	const char *flush = flushes[_i % NR_OF(flushes)];
	bool bug = _i / NR_OF(flushes);
	struct run run;

	RUN(&run, "-m", "128M", "-f", flush, "--verify", path_guest(), "--", "workload=xfs",
	    "iters=60", bug ? "bug=full-blocks" : "seed=1");
	if (!bug) {
		expect_right(&run, flush);
		run_free(&run);
		return;
	}
	expect_status(&run, 1);
	expect_contains(run.out, "it has a writable alias");
	ck_assert_int_ge(stat_of(&run, "pins.status.has_alias"), 1);
	ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	run_free(&run);
}
END_TEST

/* The second only costs. */
START_TEST(bug_reflush_flushes_again)
{
	struct run good, bad;

	run_process(&good, "1", "eager", "seed=1");
	run_process(&bad, "1", "eager", "bug=reflush");
	ck_assert_int_eq(stat_of(&bad, "guest.pins"), stat_of(&good, "guest.pins"));
	ck_assert_int_eq(stat_of(&bad, "guest.unmap_aliases"),
			 stat_of(&good, "guest.unmap_aliases"));
	ck_assert_int_gt(stat_of(&bad, "guest.purges"), 2 * stat_of(&good, "guest.purges"));
	ck_assert_int_gt(stat_of(&bad, "guest.local_flushes"),
			 stat_of(&good, "guest.local_flushes"));
	run_free(&good);
	run_free(&bad);
}
END_TEST

/* All CPUs change it while all are at work, from each to each. */
START_TEST(changing_loses_nothing)
{
	struct run run;

	RUN(&run, "-c", cpus[_i % 2], "-t", track_or(track_modes[_i / 2 % NR_OF(track_modes)]),
	    "-m", "128M", "--verify", path_guest(), "--", "workload=switch",
	    _i % 2 ? "iters=25" : "iters=100", "seed=5");
	expect_right(&run, "trap");
	for (int s = 1; s < NR_OF(strategies); s++) {
		char none[64];

		snprintf(none, sizeof(none), "switch: 0 steps with %s\n", strategies[s]);
		ck_assert_msg(!strstr(run.out, none), "%s", none);
	}
	run_free(&run);
}
END_TEST

/* The pins are still those of the seed. */
START_TEST(changing_changes_no_pins)
{
	struct run one, other;

	RUN(&one, "-c", "4", "-m", "128M", "-f", "trap", path_guest(), "--", "workload=switch",
	    "iters=10");
	RUN(&other, "-c", "4", "-m", "128M", "-f", "eager-pte", path_guest(), "--",
	    "workload=switch", "iters=10");
	expect_status(&one, 0);
	expect_status(&other, 0);
	ck_assert_int_eq(stat_of(&one, "guest.pins"), stat_of(&other, "guest.pins"));
	ck_assert_int_eq(stat_of(&one, "guest.unpins"), stat_of(&other, "guest.unpins"));
	run_free(&one);
	run_free(&other);
}
END_TEST

START_TEST(none_is_for_a_whole_run)
{
	struct run run;

	RUN(&run, "-f", "none", path_guest(), "--", "workload=switch");
	expect_status(&run, 1);
	expect_contains(run.out, "cannot be switched to or from while the guest runs");
	run_free(&run);
}
END_TEST

/* Linux's test_vmalloc, under those that differ most for it. */
START_TEST(cases_of_test_vmalloc)
{
	static const char *const flushes[] = {"legacy", "trap", "page-bit", "eager-pte"};
	static const char *const cases[] = {
		"fix_size",  "full_fit",          "long_busy_list", "random_size",
		"fix_align", "random_size_align", "align_shift",    "vm_map_ram",
	};
	struct run run;

	RUN(&run, "-c", cpus[_i % 2], "-m", "128M", "-f", flushes[_i], "--verify", path_guest(),
	    "--", "workload=test_vmalloc", "iters=20");
	expect_right(&run, flushes[_i]);
	for (int i = 0; i < NR_OF(cases); i++) {
		char line[64];

		snprintf(line, sizeof(line), "test_vmalloc: %s: ok\n", cases[i]);
		expect_contains(run.out, line);
	}
	run_free(&run);
}
END_TEST

Suite *strategies_suite(void)
{
	Suite *suite = suite_create("strategies");
	TCase *all = tcase_create("all strategies"), *each = tcase_create("each strategy");
	TCase *bugs = tcase_create("old bugs"), *changing = tcase_create("changing");

	tcase_set_timeout(all, 240);
	tcase_add_loop_test(all, matrix, 0, NR_MATRIX);
	tcase_add_loop_test(all, same_pins_whatever_the_strategy, 0, NR_OF(same_loads));
	tcase_add_loop_test(all, alias_rate_is_kept, 0, 6);
	tcase_add_loop_test(all, cases_of_test_vmalloc, 0, 4);
	suite_add_tcase(suite, all);

	tcase_set_timeout(each, 240);
	tcase_add_loop_test(each, shootdowns, 0, 6);
	tcase_add_test(each, legacy_shoots_down_at_every_unmap);
	tcase_add_loop_test(each, nolazy_purges_at_every_unmap, 0, 2);
	tcase_add_loop_test(each, eager_pte_leaves_tlbs_to_the_host, 0, 2);
	tcase_add_loop_test(each, eager_pte_hides_nothing_from_the_host, 0, NR_OF(track_modes));
	tcase_add_test(each, eager_pte_flushes_at_the_limit);
	tcase_add_loop_test(each, quicklist_purges_once_for_many_tables, 0, 6);
	tcase_add_loop_test(each, page_bit_purges_where_trap_would, 0, 4);
	tcase_add_test(each, page_bit_asks_nobody);
	suite_add_tcase(suite, each);

	tcase_set_timeout(bugs, 240);
	tcase_add_loop_test(bugs, bug_full_blocks_is_caught, 0, 6);
	tcase_add_test(bugs, bug_reflush_flushes_again);
	suite_add_tcase(suite, bugs);

	tcase_set_timeout(changing, 240);
	tcase_add_loop_test(changing, changing_loses_nothing, 0, 6);
	tcase_add_test(changing, changing_changes_no_pins);
	tcase_add_test(changing, none_is_for_a_whole_run);
	suite_add_tcase(suite, changing);
	return suite;
}
