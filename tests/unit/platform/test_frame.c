/* SPDX-License-Identifier: MIT */
/* The frame allocator against a map of who owns which frame. */
#include "suites.h"

#include <string.h>

#include "frame.h"
#include "fake_platform.h"

/* Memory with a hole, and ends that are no powers of two. */
enum { FRAMES = 5000, FIRST = 3, HOLE = 1000, HOLE_END = 1300, LAST = 4999, MAX_BLOCKS = 600 };

static struct page pages[FRAMES];

struct block {
	uint64_t pfn;
	unsigned order;
};

/* Each test runs in a process of its own, so the allocator is fresh. */
static void set_up(void)
{
	frame_init(pages, FRAMES);
	frame_add(FIRST, HOLE);
	frame_add(HOLE_END, LAST);
}

static bool is_memory(uint64_t pfn)
{
	return (pfn >= FIRST && pfn < HOLE) || (pfn >= HOLE_END && pfn < LAST);
}

static void own(bool *owned, struct block b)
{
	ck_assert_uint_eq(b.pfn & ((1ul << b.order) - 1), 0);
	for (uint64_t pfn = b.pfn; pfn < b.pfn + (1ul << b.order); pfn++) {
		ck_assert_msg(is_memory(pfn), "frame %lu is no memory", pfn);
		ck_assert_msg(!owned[pfn], "frame %lu is given out twice", pfn);
		owned[pfn] = true;
	}
}

static void disown(bool *owned, struct block b)
{
	for (uint64_t pfn = b.pfn; pfn < b.pfn + (1ul << b.order); pfn++)
		owned[pfn] = false;
}

/* How many blocks of this order can be had at once; gives them back. */
static unsigned count_blocks(unsigned order)
{
	static uint64_t taken[FRAMES];
	unsigned n = 0;

	while ((taken[n] = alloc_frames(order)) != NO_FRAME)
		n++;
	for (unsigned i = 0; i < n; i++)
		free_frames(taken[i], order);
	return n;
}

START_TEST(random_operations)
{
	static bool owned[FRAMES];
	struct block blocks[MAX_BLOCKS];
	uint64_t rng = test_seed + (uint64_t)_i, total, used = 0;
	unsigned nr = 0, large;

	set_up();
	total = frames_total();
	ck_assert_uint_eq(total, HOLE - FIRST + LAST - HOLE_END);
	large = count_blocks(10);
	for (unsigned step = 0; step < 50000; step++) {
		fake.cpu = test_below(&rng, 3);
		if (nr < MAX_BLOCKS && test_below(&rng, 100) < (step / 5000 % 2 ? 40 : 60)) {
			struct block b = {.order = test_below(&rng, 4) ? 0 : test_below(&rng, 7)};

			b.pfn = alloc_frames(b.order);
			if (b.pfn == NO_FRAME)
				continue;
			own(owned, b);
			used += 1ul << b.order;
			blocks[nr++] = b;
		} else if (nr) {
			unsigned i = test_below(&rng, nr);
			struct block b = blocks[i];

			blocks[i] = blocks[--nr];
			disown(owned, b);
			free_frames(b.pfn, b.order);
			used -= 1ul << b.order;
		}
		ck_assert_uint_eq(frames_free_count(), total - used);
	}
	while (nr--)
		free_frames(blocks[nr].pfn, blocks[nr].order);
	ck_assert_uint_eq(frames_free_count(), total);
	ck_assert_uint_le(count_blocks(10), large);
}
END_TEST

/* Everything that was taken apart comes together again. */
START_TEST(buddies_join)
{
	static uint64_t taken[FRAMES];
	unsigned blocks[8], n = 0;

	set_up();
	for (unsigned order = 1; order < 8; order++)
		blocks[order] = count_blocks(order);
	while ((taken[n] = alloc_frames(1)) != NO_FRAME)
		n++;
	ck_assert_uint_eq(n, blocks[1]);
	for (unsigned i = 0; i < n; i++)
		free_frames(taken[i * 7919 % n], 1);
	for (unsigned order = 1; order < 8; order++)
		ck_assert_uint_eq(count_blocks(order), blocks[order]);
}
END_TEST

/* What makes recycled frames come back as page tables. */
START_TEST(last_freed_is_first_taken)
{
	uint64_t a, b;

	set_up();
	a = alloc_frame();
	b = alloc_frame();
	free_frame(a);
	free_frame(b);
	fake.cpu = 1;
	ck_assert_uint_ne(alloc_frame(), b); /* another CPU has its own */
	fake.cpu = 0;
	ck_assert_uint_eq(alloc_frame(), b);
	ck_assert_uint_eq(alloc_frame(), a);
}
END_TEST

START_TEST(exhaustion)
{
	static bool owned[FRAMES];
	uint64_t pfn, last = NO_FRAME, n = 0;

	set_up();
	for (; (pfn = alloc_frame()) != NO_FRAME; n++, last = pfn)
		own(owned, (struct block){.pfn = pfn});
	ck_assert_uint_eq(n, frames_total());
	ck_assert_uint_eq(frames_free_count(), 0);
	ck_assert_uint_eq(alloc_frames(3), NO_FRAME);
	free_frame(last);
	ck_assert_uint_eq(alloc_frame(), last);
}
END_TEST

START_TEST(what_cannot_be_freed)
{
	uint64_t single, block;

	set_up();
	single = alloc_frame();
	block = alloc_frames(3);
	ck_assert(ENDS(free_frames(block, 2)));
	ck_assert_ptr_nonnull(strstr(fake.console, "has order 3"));
	ck_assert(ENDS(free_frame(HOLE)));
	ck_assert_ptr_nonnull(strstr(fake.console, "never allocated"));
	ck_assert(ENDS(free_frame(FRAMES)));
	ck_assert_ptr_nonnull(strstr(fake.console, "beyond the end"));
	free_frame(single);
	ck_assert(ENDS(free_frame(single)));
	ck_assert_ptr_nonnull(strstr(fake.console, "freed twice"));
}
END_TEST

START_TEST(double_free_of_a_block)
{
	uint64_t block;

	set_up();
	block = alloc_frames(3);
	free_frames(block, 3);
	ck_assert(ENDS(free_frames(block, 3)));
	ck_assert_msg(strstr(fake.console, "freed twice") ||
			      strstr(fake.console, "never allocated"),
		      "%s", fake.console);
}
END_TEST

Suite *frame_suite(void)
{
	Suite *suite = suite_create("frame");
	TCase *tcase = tcase_create("frame");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, random_operations, 0, 4);
	tcase_add_test(tcase, buddies_join);
	tcase_add_test(tcase, last_freed_is_first_taken);
	tcase_add_test(tcase, exhaustion);
	tcase_add_test(tcase, what_cannot_be_freed);
	tcase_add_test(tcase, double_free_of_a_block);
	suite_add_tcase(suite, tcase);
	return suite;
}
