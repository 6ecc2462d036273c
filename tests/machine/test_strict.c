/* SPDX-License-Identifier: MIT */
/* --track strict: refused where it cannot keep what it promises, and kept where it can. Which of
 * the two a host is for is told by the parameter of KVM's module. (All other suites can be run with
 * it, too: run.h.) */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "run.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define NEED_SHADOW_MMU()                                                                          \
	do {                                                                                       \
		if (!on_shadow_mmu()) {                                                            \
			printf("skip %s: it needs kvm_amd npt=0 or kvm_intel ept=0\n", __func__);  \
			return;                                                                    \
		}                                                                                  \
	} while (0)

START_TEST(refused_where_it_cannot_work)
{
	struct run run;

	if (on_shadow_mmu()) {
		printf("skip %s: nothing to refuse on a shadow MMU\n", __func__);
		return;
	}
	RUN(&run, "-t", "strict", path_guest());
	expect_status(&run, 69);
	expect_one_sentence(&run, "--track strict needs KVM's shadow MMU");
	ck_assert(strstr(run.err, "npt=0") || strstr(run.err, "ept=0"));
	ck_assert_str_eq(run.out, "");
	run_free(&run);
}
END_TEST

static const char *make_disk(void)
{
	const char *path = tmp_file("disk");
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 64 << 10; i++)
		fputc(0xff, file);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

/* The guest compares every kind of store with what it does to ordinary memory, tries what is
 * forbidden, by way of a disk, too, and links tables that are not pinned, with a stale alias. */
START_TEST(every_store_is_exact_or_refused)
{
	struct run run;

	NEED_SHADOW_MMU();
	RUN(&run, "-c", _i ? "4" : "1", "-t", "strict", "--verify", "-d", make_disk(), path_guest(),
	    "--", "workload=stores");
	expect_status(&run, 0);
	expect_contains(run.out, "5 were refused, links pin");
	ck_assert_int_eq(stat_of(&run, "pins.stores_refused"), 5);
	ck_assert_int_eq(stat_of(&run, "pins.violations"), 5);
	ck_assert_int_gt(stat_of(&run, "pins.stores"), 100);
	ck_assert_int_eq(stat_of(&run, "pins.upcalls"), 2);
	ck_assert_int_eq(stat_of(&run, "pins.upcalls_resolved"), 2);
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
	run_free(&run);
}
END_TEST

/* Half of a store goes to an address where nothing is, half to a table that another vCPU unpins
 * meanwhile: the host writes to no memory but the guest's. */
START_TEST(a_store_ends_where_memory_does)
{
	const char *const argv[] = {path_in_tests("vmm-broken"),
				    "--step",
				    "store",
				    "-m16M",
				    "-c2",
				    "--timeout=20",
				    "--track=strict",
				    path_in_tests("hostile/store_released.elf"),
				    NULL};
	struct run run;

	NEED_SHADOW_MMU();
	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	ck_assert_str_eq(run.out, "");
	run_free(&run);
}
END_TEST

/* Every store that is known, to tables and to ordinary memory. (make soak does many more.) */
START_TEST(random_stores_are_exact)
{
	const char *const argv[] = {path_vmm(),
				    "-m16M",
				    "--timeout=60",
				    "--track=strict",
				    path_in_tests("hostile/store_random.elf"),
				    "--",
				    "1-1500",
				    NULL};
	struct run run;

	NEED_SHADOW_MMU();
	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	ck_assert_str_eq(run.out, "");
	run_free(&run);
}
END_TEST

#define MAX_MAP_COUNT "/proc/sys/vm/max_map_count"
#define FEW_MAPPINGS  1500

/* -1 if it is not to be read or, with `set` > 0, changed. */
static int max_map_count(int set)
{
	FILE *file = fopen(MAX_MAP_COUNT, set > 0 ? "r+" : "r");
	int value = -1;
	bool ok = file && fscanf(file, "%d", &value) == 1;

	if (ok && set > 0) {
		rewind(file);
		ok = fprintf(file, "%d\n", set) > 0;
	}
	if (file)
		ok &= fclose(file) == 0;
	return ok ? value : -1;
}

/* A frame that the host can't make writable stays pinned, and the guest goes on. */
START_TEST(no_mapping_is_left_for_an_unpin)
{
	const char *const argv[] = {path_vmm(),
				    "-m16M",
				    "--timeout=60",
				    "--track=strict",
				    path_in_tests("hostile/unpin_at_limit.elf"),
				    NULL};
	struct run run;
	int before;

	NEED_SHADOW_MMU();
	before = max_map_count(FEW_MAPPINGS);
	if (before < 0) {
		printf("skip %s: " MAX_MAP_COUNT " can't be changed\n", __func__);
		return;
	}
	run_program(&run, NULL, argv);
	ck_assert_int_eq(max_map_count(before), FEW_MAPPINGS);
	expect_status(&run, 0);
	expect_one_sentence(&run, "vm.max_map_count");
	run_free(&run);
}
END_TEST

/* What is found afterwards elsewhere never comes into being here. */
START_TEST(a_later_alias_is_prevented)
{
	struct run run;

	NEED_SHADOW_MMU();
	RUN(&run, "-t", "strict", "--on-violation", _i ? "stop" : "report", path_guest(), "--",
	    "workload=violate");
	expect_status(&run, _i ? 81 : 0);
	expect_contains(run.err, "violation: writable mapping of a page table");
	expect_contains(run.err, "not done");
	if (!_i)
		expect_contains(run.out, "the host does not let it be mapped writable");
	ck_assert_int_eq(stat_of(&run, "pins.stores_refused"), 1);
	run_free(&run);
}
END_TEST

static const char *const strategies[] = {"none", "eager-pte", "page-bit", "trap-range"};

/* Many entries for one exit, and no flush is taken on the guest's word. */
START_TEST(strategies_work)
{
	const char *flush = strategies[_i];
	struct run run;

	NEED_SHADOW_MMU();
	RUN(&run, "-c", "4", "-m", "128M", "-t", "strict", "-f", flush, "--verify", path_guest(),
	    "--", "workload=process", "iters=2", "seed=3");
	expect_status(&run, 0);
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.stores_refused"), 0);
	ck_assert_int_gt(stat_of(&run, "pins.updates"), 4 * stat_of(&run, "pins.update_calls"));
	ck_assert_int_gt(stat_of(&run, "tracker.entries_changed"), 0);
	if (strcmp(flush, "none"))
		ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
	run_free(&run);
}
END_TEST

static int count_of(const char *text, const char *part)
{
	int nr = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		nr++;
	}
	return nr;
}

/* As often as is counted, and as a full walk finds. */
START_TEST(each_alias_let_through_is_told)
{
	struct run run;
	int nr;

	NEED_SHADOW_MMU();
	RUN(&run, "-v", "-t", "strict", "-f", "none", "--verify", path_guest());
	expect_status(&run, 0);
	nr = count_of(run.err, "): let through");
	ck_assert_int_gt(nr, 0);
	ck_assert_int_eq(stat_of(&run, "pins.aliases_met"), nr);
	ck_assert_int_eq(stat_of(&run, "pins.let_through"), nr);
	run_free(&run);
}
END_TEST

/* Memory types and give-away, with no word of the guest's about flushes; and what is mapped after
 * the grant is prevented. */
START_TEST(transitions_work)
{
	static const char *const loads[] = {"workload=pat", "workload=balloon"};
	static const char *const whats[] = {"what=memtype", "what=ballooned"};
	static const char *const kinds[] = {"with another memory type", "in the balloon"};
	struct run run;

	NEED_SHADOW_MMU();
	for (int i = 0; i < 2; i++) {
		RUN(&run, "-c", i ? "1" : "4", "-m", "128M", "-t", "strict", "-f",
		    i ? "eager-pte" : "trap-range", "--verify", path_guest(), "--", loads[_i],
		    "iters=6", "ahead=0");
		expect_status(&run, 0);
		ck_assert_int_gt(stat_of(&run, _i ? "transitions.inflate.granted"
						  : "transitions.memtype.granted"),
				 10);
		ck_assert_int_eq(stat_of(&run, "pins.upcalls") > 0, !i);
		ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
		ck_assert_int_eq(stat_of(&run, "pins.looked_again"), 0);
		ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
		ck_assert_int_eq(stat_of(&run, "pins.stores_refused"), 0);
		run_free(&run);
	}
	RUN(&run, "-t", "strict", path_guest(), "--", "workload=violate", whats[_i]);
	expect_status(&run, 0);
	expect_contains(run.err, kinds[_i]);
	expect_contains(run.err, "not done");
	expect_contains(run.out, "the host does not let it be mapped");
	ck_assert_int_eq(stat_of(&run, "pins.stores_refused"), 1);
	run_free(&run);
}
END_TEST

/* What vmm --probe says must be what happens. */
START_TEST(the_probe_knows)
{
	const char *const argv[] = {path_vmm(), "--probe", NULL};
	struct run run;

	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	expect_contains(run.out, on_shadow_mmu()
					 ? "strict                     yes: page tables are"
					 : "strict                     no: --track strict needs");
	run_free(&run);
}
END_TEST

START_TEST(selftests_pass)
{
	struct run run;

	NEED_SHADOW_MMU();
	RUN(&run, "-m", "256M", "-t", "strict", "--verify", path_guest(), "--",
	    "workload=selftest");
	expect_status(&run, 0);
	expect_contains(run.out, " 0 failed");
	run_free(&run);
}
END_TEST

Suite *strict_suite(void)
{
	Suite *suite = suite_create("strict");
	TCase *tc = tcase_create("strict"), *transitions = tcase_create("transitions");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, refused_where_it_cannot_work);
	tcase_add_test(tc, the_probe_knows);
	tcase_add_loop_test(tc, every_store_is_exact_or_refused, 0, 2);
	tcase_add_test(tc, a_store_ends_where_memory_does);
	tcase_add_test(tc, random_stores_are_exact);
	tcase_add_test(tc, no_mapping_is_left_for_an_unpin);
	tcase_add_loop_test(tc, a_later_alias_is_prevented, 0, 2);
	tcase_add_loop_test(tc, strategies_work, 0, NR_OF(strategies));
	tcase_add_test(tc, each_alias_let_through_is_told);
	tcase_add_test(tc, selftests_pass);
	suite_add_tcase(suite, tc);
	tcase_set_timeout(transitions, 120);
	tcase_add_loop_test(transitions, transitions_work, 0, 2);
	suite_add_tcase(suite, transitions);
	return suite;
}
