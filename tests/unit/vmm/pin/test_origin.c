/* SPDX-License-Identifier: MIT */
/* Where mappings come from, by records that a guest keeps as it should, or as it likes. */
#include <stdlib.h>
#include <string.h>
#include "machine.h"
#include "pin/internal.h"
#include "pin/origin.h"
#include "suites.h"
#include "trace.h"

#define RECORDS_GPA 0x100000u
#define VA          0xffffc90000000000u

static struct machine machine;
static struct pin pin;
static struct origin origin;

static void set_up(void)
{
	memset(&machine, 0, sizeof(machine));
	pin = (struct pin){.machine = &machine};
	machine.vm.nr_vcpus = 2;
	ck_assert_int_eq(memory_init(&machine.vm.mem, 4 << 20), 0);
	for (unsigned cpu = 0; cpu < 2; cpu++)
		pin_vcpu_page(&machine, cpu)->origins_gpa = RECORDS_GPA + cpu * 0x10000;
	common_page(&machine)->purges = 7;
}

static void tear_down(void)
{
	free(pin.areas);
	memory_free(&machine.vm.mem);
}

static void note(unsigned cpu, enum alias_origin_kind kind, uint64_t va, uint32_t nr_pages,
		 uint64_t caller)
{
	struct alias_vcpu_page *page = pin_vcpu_page(&machine, cpu);
	struct alias_origin *records =
		memory_ptr(&machine.vm.mem, page->origins_gpa, ALIAS_ORIGINS * sizeof(*records));

	records[page->nr_origins++ % ALIAS_ORIGINS] = (struct alias_origin){
		.va = va,
		.caller = caller,
		.nr_pages = nr_pages,
		.kind = kind,
		.purges = (uint32_t)common_page(&machine)->purges,
		.pins = (uint32_t)page->stats.pins,
	};
}

static bool find(uint64_t va)
{
	origins_read(&pin);
	return origin_find(&pin, va, &origin);
}

START_TEST(a_mapping_and_its_end)
{
	char text[ORIGIN_TEXT_MAX];

	note(1, ALIAS_ORIGIN_MAPPED, VA, 4, 0x1000);
	pin_vcpu_page(&machine, 1)->stats.pins += 3;
	common_page(&machine)->purges++;
	ck_assert(find(VA + 0x3000));
	ck_assert_str_eq(origin_text(&machine, &origin, text),
			 "4 pages at va 0xffffc90000000000, mapped by 0x1000 on CPU 1, 1 purge and "
			 "3 pins ago");
	note(0, ALIAS_ORIGIN_UNMAPPED, VA, 0, 0x2000);
	ck_assert(find(VA));
	ck_assert_str_eq(origin_text(&machine, &origin, text),
			 "4 pages at va 0xffffc90000000000, mapped by 0x1000 on CPU 1, 1 purge and "
			 "3 pins ago; unmapped by 0x2000 on CPU 0");
	ck_assert(!find(VA + 0x4000));
	ck_assert(!find(VA - 1));
}
END_TEST

/* An address is used again after a purge; that its first mapping was removed says nothing of the
 * second. */
START_TEST(the_newest_counts)
{
	note(0, ALIAS_ORIGIN_MAPPED, VA, 1, 0x1000);
	note(0, ALIAS_ORIGIN_UNMAPPED, VA, 1, 0x2000);
	common_page(&machine)->purges++;
	note(1, ALIAS_ORIGIN_MAPPED, VA, 2, 0x3000);
	ck_assert(find(VA));
	ck_assert_uint_eq(origin.caller, 0x3000);
	ck_assert_uint_eq(origin.purges_ago, 0);
	ck_assert_uint_eq(origin.unmapped_by, 0);
}
END_TEST

/* Of two areas at the address one after the other the record of the second mapping was lost. */
START_TEST(an_end_whose_mapping_was_lost)
{
	note(1, ALIAS_ORIGIN_MAPPED, VA, 20, 0x1000);
	note(1, ALIAS_ORIGIN_UNMAPPED, VA, 20, 0x2000);
	ck_assert(find(VA + 0x13000));
	common_page(&machine)->purges++;
	note(0, ALIAS_ORIGIN_UNMAPPED, VA, 20, 0x3000);
	ck_assert(!find(VA));
	ck_assert(!find(VA + 0x13000));
}
END_TEST

/* The first part's slot is of a later area far from it: the other parts are unmapped all the same.
 */
START_TEST(an_end_whose_first_part_was_forgotten)
{
	note(0, ALIAS_ORIGIN_MAPPED, VA, 20, 0x1000);
	note(0, ALIAS_ORIGIN_MAPPED, VA + (0x1000ull << 13), 1, 0x2000);
	note(0, ALIAS_ORIGIN_UNMAPPED, VA, 20, 0x3000);
	ck_assert(!find(VA));
	ck_assert(find(VA + 0x13000));
	ck_assert_uint_eq(origin.caller, 0x1000);
	ck_assert_uint_eq(origin.unmapped_by, 0x3000);
}
END_TEST

START_TEST(records_that_were_overwritten_unread_are_lost)
{
	note(0, ALIAS_ORIGIN_MAPPED, VA, 1, 0x1000);
	for (unsigned i = 1; i <= ALIAS_ORIGINS; i++)
		note(0, ALIAS_ORIGIN_MAPPED, VA + i * 0x1000, 1, 0x2000);
	ck_assert(!find(VA));
	ck_assert(find(VA + 0x1000));
	for (unsigned i = 1; i <= ALIAS_ORIGINS; i++)
		note(0, ALIAS_ORIGIN_MAPPED, VA + (ALIAS_ORIGINS + i) * 0x1000, 1, 0x2000);
	ck_assert(find(VA + 0x1000));
}
END_TEST

/* The CPUs are read one after the other, not in the order of time. */
START_TEST(areas_begin_anywhere)
{
	note(1, ALIAS_ORIGIN_MAPPED, VA + 0x5000, 3, 0x1000);
	note(0, ALIAS_ORIGIN_UNMAPPED, VA + 0x5000, 0, 0x2000);
	common_page(&machine)->purges++;
	note(0, ALIAS_ORIGIN_MAPPED, VA, 7, 0x3000);
	ck_assert(find(VA + 0x6000));
	ck_assert_uint_eq(origin.caller, 0x3000);
	ck_assert_uint_eq(origin.unmapped_by, 0);
	ck_assert(find(VA + 0x7000));
	ck_assert_uint_eq(origin.caller, 0x1000);
	ck_assert_uint_eq(origin.unmapped_by, 0x2000);
}
END_TEST

/* As the guest says, which may say anything. */
START_TEST(an_area_that_begins_within_a_page)
{
	struct trace_event event;
	struct trace_track track = {.events = &event};

	note(0, ALIAS_ORIGIN_MAPPED, VA + 8, 4, 0x1000);
	origins_read(&pin);
	origin_trace(&pin, &track, VA);
	ck_assert_uint_eq(track.nr, 1);
	ck_assert_uint_eq(event.origin.page, 0);
}
END_TEST

START_TEST(large_areas)
{
	note(0, ALIAS_ORIGIN_MAPPED, VA, 1000, 0x1000);
	for (unsigned i = 0; i < 1000; i += 9) {
		ck_assert(find(VA + i * 0x1000));
		ck_assert_uint_eq(origin.va, VA);
		ck_assert_uint_eq(origin.unmapped_by, 0);
	}
	ck_assert(!find(VA + 1000 * 0x1000));
	note(1, ALIAS_ORIGIN_UNMAPPED, VA, 1000, 0x2000);
	for (unsigned i = 0; i < 1000; i += 9) {
		ck_assert(find(VA + i * 0x1000));
		ck_assert_uint_eq(origin.unmapped_by, 0x2000);
	}
	note(0, ALIAS_ORIGIN_MAPPED, VA + 0x10000000, UINT32_MAX, 0x3000);
	ck_assert(find(VA + 0x10000000));
}
END_TEST

/* The guest's word, of how many there are, goes back. */
START_TEST(records_begin_anew)
{
	pin_vcpu_page(&machine, 0)->nr_origins = UINT64_MAX - 3;
	note(0, ALIAS_ORIGIN_MAPPED, VA, 1, 0x1000);
	ck_assert(find(VA));
	pin_vcpu_page(&machine, 0)->nr_origins = 5;
	ck_assert(find(VA));
	note(0, ALIAS_ORIGIN_MAPPED, VA + 0x1000, 1, 0x2000);
	ck_assert(find(VA + 0x1000));
	ck_assert_uint_eq(origin.caller, 0x2000);
}
END_TEST

START_TEST(records_that_are_nowhere)
{
	static const uint64_t gpas[] = {1, RECORDS_GPA + 4, (4 << 20) - 8, UINT64_MAX - 7,
					1ull << 40};

	for (size_t i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++) {
		pin_vcpu_page(&machine, 0)->origins_gpa = gpas[i];
		pin_vcpu_page(&machine, 0)->nr_origins = UINT64_MAX - i;
		ck_assert(!find(VA));
	}
}
END_TEST

START_TEST(records_of_nonsense)
{
	unsigned char *bytes = memory_ptr(&machine.vm.mem, RECORDS_GPA,
					  ALIAS_ORIGINS * sizeof(struct alias_origin));
	char text[ORIGIN_TEXT_MAX];

	for (unsigned round = 0; round < 100; round++) {
		for (size_t i = 0; i < ALIAS_ORIGINS * sizeof(struct alias_origin); i++)
			bytes[i] = (unsigned char)(round < 10 ? 0xff : rand());
		for (size_t i = 16; i < ALIAS_ORIGINS * sizeof(struct alias_origin); i += 32)
			bytes[i + 4] = 1, bytes[i + 5] = bytes[i + 6] = bytes[i + 7] = 0;
		pin_vcpu_page(&machine, 0)->nr_origins = (uint64_t)rand() << 33;
		if (find((uint64_t)rand() << 33))
			ck_assert_uint_lt(strlen(origin_text(&machine, &origin, text)),
					  ORIGIN_TEXT_MAX);
		json_decref(origin_json(&pin, UINT64_MAX));
	}
}
END_TEST

TCase *origin_tests(void)
{
	TCase *tc = tcase_create("origin");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_mapping_and_its_end);
	tcase_add_test(tc, the_newest_counts);
	tcase_add_test(tc, an_end_whose_mapping_was_lost);
	tcase_add_test(tc, an_end_whose_first_part_was_forgotten);
	tcase_add_test(tc, records_that_were_overwritten_unread_are_lost);
	tcase_add_test(tc, areas_begin_anywhere);
	tcase_add_test(tc, an_area_that_begins_within_a_page);
	tcase_add_test(tc, large_areas);
	tcase_add_test(tc, records_begin_anew);
	tcase_add_test(tc, records_that_are_nowhere);
	tcase_add_test(tc, records_of_nonsense);
	return tc;
}
