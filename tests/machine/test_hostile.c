/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests (tests/hostile/, one property each): what must happen under every mode of
 * tracking, and what happens with the defence switched off that the guest is there for. The guest
 * says by its exit status whether it was treated as it must be (runtime/hostile.h); the host ends
 * by itself with 81 when the observer of vmm-broken sees a vCPU run with a stale entry of a page
 * table.
 *
 * With VMM_TRACK=MODE only that mode is tried: so they are run on strict, where it works.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hostile_guests.h"
#include "run.h"
#include "suites.h"

#define MAX_ARGS   32
#define TIME_LIMIT "20"

static const char *const track_modes[] = {"dirty", "scan", "log"};

static bool is_strict(void)
{
	return track_is("strict");
}

static const char *make_disk(const char *what)
{
	const char *path = tmp_file("hostile-disk");
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	for (uint64_t i = 0, entry = strtoull(what, NULL, 0); i < 64; i++, entry += 4096)
		ck_assert_uint_eq(fwrite(&entry, sizeof(entry), 1, file), 1);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

struct command {
	const char *argv[MAX_ARGS];
	size_t n;
};

static void add(struct command *command, const char *arg)
{
	ck_assert_uint_lt(command->n, MAX_ARGS - 1);
	command->argv[command->n++] = arg;
}

/* The options of vmm-broken come first, whoever gives them. */
static void add_options(struct command *command, const char *const options[HOSTILE_OPTIONS],
			bool broken)
{
	for (size_t i = 0; i < HOSTILE_OPTIONS && options[i]; i++) {
		bool of_broken = !strcmp(options[i], "--break") || !strcmp(options[i], "--step");

		if (of_broken == broken) {
			add(command, options[i]);
			if (of_broken)
				add(command, options[i + 1]);
		}
		i += of_broken;
	}
}

/* `off` are the options that switch defences off. */
static void run_hostile(struct run *run, const struct hostile *hostile, const char *track,
			const char *const off[HOSTILE_OPTIONS])
{
	struct command command = {0};
	char *guest;

	ck_assert_int_gt(asprintf(&guest, "hostile/%s.elf", hostile->guest), 0);
	add(&command, path_in_tests("vmm-broken"));
	add_options(&command, hostile->with, true);
	add_options(&command, off, true);
	add(&command, "-m16M");
	add(&command, "--timeout=" TIME_LIMIT);
	add(&command, "-t");
	add(&command, track);
	add_options(&command, hostile->with, false);
	add_options(&command, off, false);
	if (hostile->disk) {
		add(&command, "-d");
		add(&command, make_disk(hostile->disk));
	}
	add(&command, "-s");
	add(&command, tmp_file("stats.json"));
	add(&command, path_in_tests(guest));
	if (hostile->word) {
		add(&command, "--");
		add(&command, hostile->word);
	}
	unlink(tmp_file("stats.json"));
	run_program(run, NULL, command.argv);
	run->stats = json_load_file(tmp_file("stats.json"), 0, NULL);
}

static void expect_stats(const struct run *run, const struct hostile *hostile,
			 const struct outcome *outcome)
{
	for (size_t i = 0; i < HOSTILE_STATS && outcome->stats[i].path; i++) {
		int value = (int)stat_of(run, outcome->stats[i].path);

		ck_assert_msg(value == outcome->stats[i].value, "%s: %s is %d, not %d",
			      hostile->guest, outcome->stats[i].path, value,
			      outcome->stats[i].value);
	}
}

static void expect(const struct run *run, const struct hostile *hostile,
		   const struct outcome *outcome)
{
	ck_assert_msg(run->status == outcome->status, "%s ended with %d, not %d:\n%s%s",
		      hostile->guest, run->status, outcome->status, run->out, run->err);
	ck_assert_msg(stat_of(run, "pins.violations") == outcome->violations,
		      "%s: %d violations, not %d:\n%s", hostile->guest,
		      (int)stat_of(run, "pins.violations"), outcome->violations, run->err);
	if (outcome->says)
		ck_assert_msg(strstr(run->err, outcome->says) != NULL, "%s: no \"%s\" in:\n%s",
			      hostile->guest, outcome->says, run->err);
	else if (!outcome->violations)
		ck_assert_str_eq(run->err, "");
	if (outcome->prints)
		ck_assert_str_eq(run->out, outcome->prints);
	expect_stats(run, hostile, outcome);
}

static const struct outcome *must(const struct hostile *hostile, const char *track)
{
	if (hostile->on_log && !strcmp(track, "log"))
		return hostile->on_log;
	if (hostile->on_strict && !strcmp(track, "strict"))
		return hostile->on_strict;
	return &hostile->must;
}

static void run_as_it_must(const struct hostile *hostile, const char *track)
{
	static const char *const nothing[HOSTILE_OPTIONS];
	struct run run;

	run_hostile(&run, hostile, track, nothing);
	expect(&run, hostile, must(hostile, track));
	run_free(&run);
}

START_TEST(what_must_happen)
{
	for (size_t i = 0; i < sizeof(track_modes) / sizeof(track_modes[0]); i++)
		if (!strcmp(track_or(track_modes[i]), track_modes[i]))
			run_as_it_must(&hostiles[_i], track_modes[i]);
}
END_TEST

START_TEST(what_must_happen_on_strict)
{
	run_as_it_must(&hostiles[_i], "strict");
}
END_TEST

START_TEST(defence_off)
{
	const struct hostile *hostile = &hostiles[_i];
	struct run run;

	run_hostile(&run, hostile, hostile->off_track ? hostile->off_track : "dirty", hostile->off);
	expect(&run, hostile, &hostile->then);
	run_free(&run);
}
END_TEST

START_TEST(defence_off_on_strict)
{
	const struct hostile *hostile = &hostiles[_i];
	struct run run;

	run_hostile(&run, hostile, "strict", hostile->strict_off);
	expect(&run, hostile, &hostile->strict_then);
	run_free(&run);
}
END_TEST

/* Does standard error have to be empty? */
static bool is_silent(const struct outcome *outcome)
{
	return !outcome->says && !outcome->violations;
}

/* Is there no run that is both? */
static bool exclude(const struct outcome *a, const struct outcome *b)
{
	return a->status != b->status || a->violations != b->violations ||
	       (a->prints && b->prints && strcmp(a->prints, b->prints) != 0) ||
	       (a->says && is_silent(b)) || (b->says && is_silent(a));
}

static const char *why_no_switch(const struct hostile *hostile);

/* What happens with the defence off can't happen with it: else the switch would show nothing. */
START_TEST(the_defence_makes_the_difference)
{
	const struct hostile *hostile = &hostiles[_i];
	const char *track = hostile->off_track ? hostile->off_track : "dirty";

	if (is_strict() && !why_no_switch(hostile))
		ck_assert_msg(exclude(must(hostile, "strict"), &hostile->strict_then), "%s %s",
			      hostile->guest, hostile->strict_off[1]);
	else if (!why_no_switch(hostile))
		ck_assert_msg(exclude(must(hostile, track), &hostile->then), "%s %s",
			      hostile->guest, hostile->off[1]);
}
END_TEST

static const char *why_not(const struct hostile *hostile)
{
	return is_strict() ? hostile->not_strict : hostile->only_strict;
}

/* Such a guest runs on what a TLB has kept of an entry that came and went. */
static bool needs_nested_paging(const struct hostile *hostile)
{
	return hostile->off[1] && !strcmp(hostile->off[1], "no-unseen");
}

static const char *why_no_switch(const struct hostile *hostile)
{
	if (why_not(hostile))
		return why_not(hostile);
	if (is_strict())
		return hostile->no_strict_switch;
	if (hostile->no_switch)
		return hostile->no_switch;
	if (on_shadow_mmu() && needs_nested_paging(hostile))
		return "it needs nested paging: with a shadow MMU no stale TLB entry was left";
	return NULL;
}

/* Once, before the checks. */
static void say_skipped(void)
{
	for (size_t i = 0; i < nr_hostiles; i++) {
		const struct hostile *hostile = &hostiles[i];

		if (why_not(hostile))
			printf("skip hostile %s: %s\n", hostile->guest, why_not(hostile));
		if (why_no_switch(hostile))
			printf("skip hostile %s, its defence off: %s\n", hostile->guest,
			       why_no_switch(hostile));
	}
	fflush(stdout);
}

Suite *hostile_suite(void)
{
	Suite *suite = suite_create("hostile");
	TCase *tc = tcase_create("must"), *off = tcase_create("off");
	TCase *table = tcase_create("table");

	tcase_set_timeout(tc, 60);
	tcase_set_timeout(off, 60);
	tcase_add_unchecked_fixture(off, say_skipped, NULL);
	for (int i = 0; i < (int)nr_hostiles; i++) {
		if (!why_not(&hostiles[i]) && is_strict())
			tcase_add_loop_test(tc, what_must_happen_on_strict, i, i + 1);
		else if (!why_not(&hostiles[i]))
			tcase_add_loop_test(tc, what_must_happen, i, i + 1);
		if (why_no_switch(&hostiles[i]))
			continue;
		if (is_strict())
			tcase_add_loop_test(off, defence_off_on_strict, i, i + 1);
		else
			tcase_add_loop_test(off, defence_off, i, i + 1);
	}
	tcase_add_loop_test(table, the_defence_makes_the_difference, 0, (int)nr_hostiles);
	suite_add_tcase(suite, table);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, off);
	return suite;
}
