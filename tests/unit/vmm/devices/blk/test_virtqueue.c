/* SPDX-License-Identifier: MIT */
/* Rings, sound and broken. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "driver.h"
#include "suites.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static struct driver drv;
static struct virtqueue vq;
static struct virtqueue_chain chain;

static void setup(void)
{
	driver_init(&drv, 8);
	ck_assert_int_eq(virtqueue_init(&vq, &drv.mem, &drv.layout, true), 0);
}

static void teardown(void)
{
	driver_free(&drv);
}

static void assert_broken(const char *why)
{
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), -EINVAL);
	ck_assert_msg(strstr(vq.fault, why), "\"%s\" does not say \"%s\"", vq.fault, why);
	ck_assert_uint_eq(drv.used->idx, 0);
}

START_TEST(a_chain_is_taken_as_laid_out)
{
	driver_desc(&drv, 5, 0x5000, 16, NEXT, 2);
	driver_desc(&drv, 2, HIGH_GPA, 512, NEXT | WRITE, 7);
	driver_desc(&drv, 7, SLOT_SIZE - 1, 1, WRITE, 99);
	driver_offer(&drv, 5);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.head, 5);
	ck_assert_uint_eq(chain.nr_out, 1);
	ck_assert_uint_eq(chain.nr_in, 2);
	ck_assert_ptr_eq(chain.iov[0].iov_base, drv.mem.slot[0].hva + 0x5000);
	ck_assert_ptr_eq(chain.iov[1].iov_base, drv.mem.slot[1].hva);
	ck_assert_uint_eq(chain.iov[1].iov_len, 512);
	ck_assert_ptr_eq(chain.iov[2].iov_base, drv.mem.slot[0].hva + SLOT_SIZE - 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 0);
}
END_TEST

START_TEST(an_indirect_table_may_follow_plain_descriptors)
{
	struct vring_desc *table = driver_at(&drv, INDIRECT_GPA + 4);
	struct vring_desc one = {.addr = 0x6000, .len = 7, .flags = NEXT, .next = 1};
	struct vring_desc two = {.addr = 0x7000, .len = 9, .flags = WRITE};

	/* Nothing says that a table is aligned. */
	memcpy(table, &one, sizeof(one));
	memcpy(table + 1, &two, sizeof(two));
	driver_desc(&drv, 0, 0x5000, 16, NEXT, 1);
	driver_desc(&drv, 1, INDIRECT_GPA + 4, 32, INDIRECT | WRITE, 0);
	driver_offer(&drv, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.nr_out, 2);
	ck_assert_uint_eq(chain.nr_in, 1);
	ck_assert_uint_eq(chain.iov[2].iov_len, 9);
}
END_TEST

/* More rounds than 16-bit indices can count. (Check's assertions are too slow for so many.) */
START_TEST(indices_wrap)
{
	unsigned wrong = 0;

	driver_desc(&drv, 3, 0x5000, 16, 0, 0);
	for (unsigned i = 0; i < 65536 + 5; i++) {
		const struct vring_used_elem *elem = &drv.used->ring[i % 8];

		drv.avail->ring[i % 8] = 3;
		drv.avail->idx++;
		wrong += virtqueue_pop(&vq, &chain) != 1;
		virtqueue_push(&vq, chain.head, i);
		wrong += !virtqueue_publish(&vq);
		wrong += drv.used->idx != (uint16_t)(i + 1) || elem->id != 3 || elem->len != i;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(vq.next_avail, 5);
}
END_TEST

START_TEST(nothing_is_seen_before_it_is_published)
{
	driver_desc(&drv, 0, 0x5000, 16, 0, 0);
	driver_offer(&drv, 0);
	ck_assert(!virtqueue_publish(&vq));
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_push(&vq, 0, 0);
	ck_assert_uint_eq(driver_nr_used(&drv), 0);
	ck_assert(virtqueue_publish(&vq));
	ck_assert_uint_eq(driver_nr_used(&drv), 1);
	ck_assert(!virtqueue_publish(&vq));
}
END_TEST

START_TEST(the_driver_can_ask_for_no_interrupt)
{
	driver_desc(&drv, 0, 0x5000, 16, 0, 0);
	driver_offer(&drv, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_push(&vq, 0, 0);
	drv.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	ck_assert(!virtqueue_publish(&vq));
	ck_assert_uint_eq(driver_nr_used(&drv), 1);
}
END_TEST

static const struct {
	const char *why;
	struct virtqueue_layout layout;
} bad_layouts[] = {
	{"size is 0", {0, DESC_GPA, AVAIL_GPA, USED_GPA}},
	{"size is 7", {7, DESC_GPA, AVAIL_GPA, USED_GPA}},
	{"size is 512", {512, DESC_GPA, AVAIL_GPA, USED_GPA}},
	{"size is 65544", {65544, DESC_GPA, AVAIL_GPA, USED_GPA}},
	{"descriptor table", {8, DESC_GPA + 8, AVAIL_GPA, USED_GPA}},
	{"descriptor table", {8, SLOT_SIZE - 16, AVAIL_GPA, USED_GPA}},
	{"descriptor table", {8, UINT64_MAX - 15, AVAIL_GPA, USED_GPA}},
	{"available ring", {8, DESC_GPA, AVAIL_GPA + 1, USED_GPA}},
	{"available ring", {8, DESC_GPA, SLOT_SIZE - 20, USED_GPA}},
	{"available ring", {8, DESC_GPA, 3ull << 30, USED_GPA}},
	{"used ring", {8, DESC_GPA, AVAIL_GPA, USED_GPA + 2}},
	{"used ring", {8, DESC_GPA, AVAIL_GPA, HIGH_GPA + SLOT_SIZE - 68}},
	{"used ring", {8, DESC_GPA, AVAIL_GPA, HIGH_GPA - 4}},
};

START_TEST(a_queue_in_a_wrong_place_is_refused)
{
	ck_assert_int_eq(virtqueue_init(&vq, &drv.mem, &bad_layouts[_i].layout, true), -EINVAL);
	ck_assert_msg(strstr(vq.fault, bad_layouts[_i].why), "%s", vq.fault);
}
END_TEST

/* The last place where each ring just fits. */
START_TEST(a_queue_may_end_where_memory_ends)
{
	struct virtqueue_layout layout = {8, SLOT_SIZE - 128, HIGH_GPA + SLOT_SIZE - 22, USED_GPA};

	ck_assert_int_eq(virtqueue_init(&vq, &drv.mem, &layout, false), 0);
}
END_TEST

static const struct {
	const char *why;
	struct vring_desc desc;
} bad_buffers[] = {
	{"outside of memory", {SLOT_SIZE - 8, 16, 0, 0}}, /* over the end of a slot */
	{"outside of memory", {SLOT_SIZE, 1, 0, 0}},
	{"outside of memory", {HIGH_GPA - 1, 2, 0, 0}},
	{"outside of memory", {HIGH_GPA + SLOT_SIZE, 1, WRITE, 0}},
	{"outside of memory", {UINT64_MAX - 3, 8, WRITE, 0}}, /* wraps around */
	{"outside of memory", {0, UINT32_MAX, WRITE, 0}},
	{"empty buffer", {0x5000, 0, 0, 0}},
	{"leads to 8", {0x5000, 16, NEXT, 8}},
	{"leads to 65535", {0x5000, 16, NEXT, 65535}},
	{"or loops", {0x5000, 16, NEXT, 0}}, /* itself */
	{"goes on after", {INDIRECT_GPA, 16, INDIRECT | NEXT, 1}},
	{"0 bytes", {INDIRECT_GPA, 0, INDIRECT, 0}},
	{"17 bytes", {INDIRECT_GPA, 17, INDIRECT, 0}},
	{"table of descriptor 0 is outside", {SLOT_SIZE - 16, 32, INDIRECT, 0}},
	{"table of descriptor 0 is outside", {UINT64_MAX - 15, 32, INDIRECT, 0}},
	{"empty buffer", {INDIRECT_GPA, 16, INDIRECT, 0}}, /* a table of zeroes */
};

START_TEST(a_broken_descriptor_breaks_the_queue)
{
	const struct vring_desc *desc = &bad_buffers[_i].desc;

	driver_desc(&drv, 0, desc->addr, desc->len, desc->flags, desc->next);
	driver_offer(&drv, 0);
	assert_broken(bad_buffers[_i].why);
}
END_TEST

START_TEST(a_long_loop_ends)
{
	for (unsigned i = 0; i < 8; i++)
		driver_desc(&drv, i, 0x5000, 16, NEXT, (i + 1) % 8);
	driver_offer(&drv, 6);
	assert_broken("more than 8 buffers, or loops");
}
END_TEST

START_TEST(an_out_buffer_after_an_in_buffer)
{
	driver_desc(&drv, 0, 0x5000, 16, WRITE | NEXT, 1);
	driver_desc(&drv, 1, 0x6000, 16, 0, 0);
	driver_offer(&drv, 0);
	assert_broken("out buffer after an in buffer");
}
END_TEST

START_TEST(an_indirect_table_within_a_table)
{
	struct vring_desc *table = driver_at(&drv, INDIRECT_GPA);

	table[0] = (struct vring_desc){INDIRECT_GPA, 16, INDIRECT, 0};
	driver_desc(&drv, 0, INDIRECT_GPA, 16, INDIRECT, 0);
	driver_offer(&drv, 0);
	assert_broken("another inside");
}
END_TEST

START_TEST(an_indirect_chain_that_leaves_its_table)
{
	struct vring_desc *table = driver_at(&drv, INDIRECT_GPA);

	table[0] = (struct vring_desc){0x5000, 16, NEXT, 2};
	driver_desc(&drv, 0, INDIRECT_GPA, 32, INDIRECT, 0);
	driver_offer(&drv, 0);
	assert_broken("leads to 2, of 2");
}
END_TEST

START_TEST(an_indirect_table_that_was_not_negotiated)
{
	ck_assert_int_eq(virtqueue_init(&vq, &drv.mem, &drv.layout, false), 0);
	driver_desc(&drv, 0, INDIRECT_GPA, 16, INDIRECT, 0);
	driver_offer(&drv, 0);
	assert_broken("not negotiated");
}
END_TEST

/* A chain is no longer than the queue, wherever its descriptors lie, nor than VIRTQUEUE_MAX_SEGS.
 */
START_TEST(an_indirect_chain_that_is_too_long)
{
	static const unsigned limits[][2] = {{8, 8}, {256, VIRTQUEUE_MAX_SEGS}};
	struct vring_desc *table = driver_at(&drv, INDIRECT_GPA);
	unsigned limit = limits[_i][1];

	drv.layout.num = limits[_i][0];
	ck_assert_int_eq(virtqueue_init(&vq, &drv.mem, &drv.layout, true), 0);
	for (uint16_t i = 0; i <= limit; i++)
		table[i] = (struct vring_desc){0x5000, 16, i == limit ? 0 : NEXT, i + 1};
	driver_desc(&drv, 0, INDIRECT_GPA, (limit + 1) * 16, INDIRECT, 0);
	driver_offer(&drv, 0);
	assert_broken("or loops");

	/* One less is fine. */
	table[limit - 1].flags = 0;
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.nr_out, limit);
}
END_TEST

START_TEST(a_chain_of_more_than_4_gib)
{
	/* One slot that is as large as it need be; nothing of it is touched. */
	drv.mem.slot[1].size = 3ull << 30;
	driver_desc(&drv, 0, HIGH_GPA, 3u << 30, NEXT, 1);
	driver_desc(&drv, 1, HIGH_GPA, 3u << 30, 0, 0);
	driver_offer(&drv, 0);
	assert_broken("longer than 4 GiB");
}
END_TEST

START_TEST(a_head_that_is_no_descriptor)
{
	driver_offer(&drv, 8);
	assert_broken("descriptor 8 was made available, of 8");
}
END_TEST

START_TEST(a_head_that_is_in_use)
{
	driver_desc(&drv, 2, 0x5000, 16, 0, 0);
	driver_offer(&drv, 2);
	driver_offer(&drv, 2);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	assert_broken("while in use");
}
END_TEST

START_TEST(an_index_that_jumps)
{
	static const uint16_t indices[] = {9, 32768, 65535};

	drv.avail->idx = indices[_i];
	assert_broken("further than its size");
}
END_TEST

TCase *virtqueue_tests(void)
{
	TCase *tests = tcase_create("virtqueue");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_chain_is_taken_as_laid_out);
	tcase_add_test(tests, an_indirect_table_may_follow_plain_descriptors);
	tcase_add_test(tests, indices_wrap);
	tcase_add_test(tests, nothing_is_seen_before_it_is_published);
	tcase_add_test(tests, the_driver_can_ask_for_no_interrupt);
	tcase_add_loop_test(tests, a_queue_in_a_wrong_place_is_refused, 0,
			    sizeof(bad_layouts) / sizeof(bad_layouts[0]));
	tcase_add_test(tests, a_queue_may_end_where_memory_ends);
	tcase_add_loop_test(tests, a_broken_descriptor_breaks_the_queue, 0,
			    sizeof(bad_buffers) / sizeof(bad_buffers[0]));
	tcase_add_test(tests, a_long_loop_ends);
	tcase_add_test(tests, an_out_buffer_after_an_in_buffer);
	tcase_add_test(tests, an_indirect_table_within_a_table);
	tcase_add_test(tests, an_indirect_chain_that_leaves_its_table);
	tcase_add_test(tests, an_indirect_table_that_was_not_negotiated);
	tcase_add_loop_test(tests, an_indirect_chain_that_is_too_long, 0, 2);
	tcase_add_test(tests, a_chain_of_more_than_4_gib);
	tcase_add_test(tests, a_head_that_is_no_descriptor);
	tcase_add_test(tests, a_head_that_is_in_use);
	tcase_add_loop_test(tests, an_index_that_jumps, 0, 3);
	return tests;
}
