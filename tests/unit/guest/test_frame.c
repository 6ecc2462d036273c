/* SPDX-License-Identifier: MIT */
/* The frame allocator against a map that says for each frame who has it. */
#include "suites.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "panic.h"
#include "fake_mmu.h"

enum { NR_PFNS = 1 << 14, MAX_BLOCKS = 600 };

static struct {
	uint64_t pfn;
	unsigned order;
} blocks[MAX_BLOCKS];
static unsigned nr_blocks;
static uint8_t taken[NR_PFNS];

/* Memory with holes, none of whose pieces begins or ends at a round number. */
static const struct {
	uint64_t start, end;
} memory[] = {{3, 161}, {512, 8191}, {8193, 16383}};

static uint64_t start_memory(void)
{
	uint64_t total = 0;

	memset(taken, 1, sizeof(taken));
	frame_init(calloc(NR_PFNS, sizeof(struct page)), NR_PFNS);
	for (unsigned i = 0; i < 3; i++) {
		frame_add(memory[i].start, memory[i].end);
		memset(taken + memory[i].start, 0, memory[i].end - memory[i].start);
		total += memory[i].end - memory[i].start;
	}
	ck_assert_uint_eq(frames_total(), total);
	ck_assert_uint_eq(frames_free_count(), total);
	return total;
}

/* Returns false when there was nothing to be had. */
static bool take(unsigned order)
{
	uint64_t pfn = alloc_frames(order);

	if (pfn == NO_FRAME)
		return false;
	CHECK(!(pfn & ((1ul << order) - 1)), "%lu for order %u", pfn, order);
	for (uint64_t i = pfn; i < pfn + (1ul << order); i++) {
		CHECK(i < NR_PFNS && !taken[i], "frame %lu", i);
		taken[i] = 1;
	}
	blocks[nr_blocks].pfn = pfn;
	blocks[nr_blocks++].order = order;
	return true;
}

static void give(unsigned which)
{
	memset(taken + blocks[which].pfn, 0, 1ul << blocks[which].order);
	free_frames(blocks[which].pfn, blocks[which].order);
	blocks[which] = blocks[--nr_blocks];
}

static uint64_t count_taken(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < nr_blocks; i++)
		n += 1ul << blocks[i].order;
	return n;
}

START_TEST(random_operations)
{
	uint64_t rng = test_seed + (uint64_t)_i, total = start_memory();

	for (unsigned step = 0; step < 200000; step++) {
		bool filling = step / 5000 % 2 == 0;

		fake_mmu.cpu = (unsigned)test_below(&rng, FAKE_CPUS);
		if (nr_blocks < MAX_BLOCKS && test_below(&rng, 100) < (filling ? 65u : 35u))
			take((unsigned)test_below(&rng, test_below(&rng, 2) ? 1 : 9));
		else if (nr_blocks)
			give((unsigned)test_below(&rng, nr_blocks));
		if (step % 64 == 0)
			CHECK(frames_free_count() == total - count_taken(), "step %u", step);
	}
	while (nr_blocks)
		give(0);
	ck_assert_uint_eq(frames_free_count(), total);
}
END_TEST

/* Every frame can be had, none twice, and freed neighbours join to large blocks again. */
START_TEST(all_of_it_and_back)
{
	uint64_t total = start_memory(), pfn, got = 0;
	uint64_t *pfns = calloc(total, sizeof(*pfns));

	while ((pfn = alloc_frame()) != NO_FRAME) {
		CHECK(!taken[pfn], "frame %lu", pfn);
		taken[pfn] = 1;
		pfns[got++] = pfn;
	}
	ck_assert_uint_eq(got, total);
	ck_assert_uint_eq(alloc_frames(3), NO_FRAME);
	while (got)
		free_frame(pfns[--got]);
	memset(taken + 512, 0, NR_PFNS - 512);
	/* 512 .. 8190 holds one naturally aligned block of 4096 frames; but a stack may have kept
	 * some of it. One of 1024 must be there. */
	ck_assert(take(10));
	free(pfns);
}
END_TEST

START_TEST(last_freed_is_next)
{
	uint64_t a, b;

	start_memory();
	a = alloc_frame();
	b = alloc_frame();
	free_frame(a);
	free_frame(b);
	ck_assert_uint_eq(alloc_frame(), b);
	ck_assert_uint_eq(alloc_frame(), a);
}
END_TEST

START_TEST(double_free_panics)
{
	uint64_t pfn;

	start_memory();
	pfn = alloc_frame();
	free_frame(pfn);
	free_frame(pfn);
}
END_TEST

START_TEST(free_with_another_order_panics)
{
	start_memory();
	free_frames(alloc_frames(3), 2);
}
END_TEST

START_TEST(free_of_what_was_never_taken_panics)
{
	start_memory();
	free_frame(alloc_frames(4) + 1);
}
END_TEST

Suite *frame_suite(void)
{
	Suite *suite = suite_create("frames");
	TCase *tc = tcase_create("buddy");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, random_operations, 0, 4);
	tcase_add_test(tc, all_of_it_and_back);
	tcase_add_test(tc, last_freed_is_next);
	tcase_add_exit_test(tc, double_free_panics, EXIT_PANIC);
	tcase_add_exit_test(tc, free_with_another_order_panics, EXIT_PANIC);
	tcase_add_exit_test(tc, free_of_what_was_never_taken_panics, EXIT_PANIC);
	suite_add_tcase(suite, tc);
	return suite;
}
