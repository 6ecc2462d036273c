/* SPDX-License-Identifier: MIT */
/* Requests in flight with a back end that fails, delays and reorders as a test likes. */
#include <errno.h>
#include <string.h>
#include "driver.h"
#include "suites.h"

#define FEATURES (1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define SECTORS  4096
#define LARGE    (BLK_OP_BYTES + 512) /* of two parts */

static struct driver drv;
static struct fake_io fake;
static struct blk_core core;

static void setup(void)
{
	const struct blk_disk disk = {.name = "test", .sectors = SECTORS, .id = "disk0"};
	struct blk_io io = fake_io(&fake);

	driver_init(&drv, 256);
	fake = (struct fake_io){0};
	ck_assert_int_eq(blk_core_init(&core, &disk, &io), 0);
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, FEATURES), 0);
}

static void teardown(void)
{
	blk_core_free(&core);
	driver_free(&drv);
}

static void assert_answered(uint16_t id, uint8_t status, uint32_t len)
{
	struct vring_used_elem elem;

	blk_core_publish(&core);
	elem = driver_used(&drv);
	ck_assert_uint_eq(elem.id, id);
	ck_assert_uint_eq(elem.len, len);
	ck_assert_uint_eq(driver_status(&drv, id), status);
}

START_TEST(a_whole_transfer)
{
	driver_request(&drv, 4, VIRTIO_BLK_T_IN, 8, 2048);
	ck_assert(!blk_core_take(&core));
	ck_assert_uint_eq(fake.nr, 1);
	ck_assert_uint_eq(fake.op[0]->nr_iov, 2);
	ck_assert_uint_eq(fake.op[0]->offset, 8 * 512);
	ck_assert_ptr_eq(fake.op[0]->iov[0].iov_base, driver_data(&drv, 4));
	ck_assert_uint_eq(driver_status(&drv, 4), NOT_ANSWERED);
	ck_assert_uint_eq(core.in_flight, 1);
	blk_core_done(&core, fake.op[0], 2048);
	assert_answered(4, VIRTIO_BLK_S_OK, 2049);
	ck_assert_uint_eq(core.in_flight, 0);
}
END_TEST

/* One byte short, over and over, until the end. */
START_TEST(short_transfers_go_on)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT};
	uint32_t left = 2048;

	driver_request(&drv, 0, types[_i], 8, left);
	blk_core_take(&core);
	for (unsigned i = 0; left; i++) {
		uint32_t part = left > 700 ? 699 : left > 1 ? left - 1 : 1;

		ck_assert_uint_eq(fake.nr, i + 1);
		ck_assert_uint_eq(fake.op[i]->offset, 8 * 512 + 2048 - left);
		ck_assert_uint_eq(driver_status(&drv, 0), NOT_ANSWERED);
		left -= part;
		blk_core_done(&core, fake.op[i], part);
	}
	assert_answered(0, VIRTIO_BLK_S_OK, types[_i] == VIRTIO_BLK_T_IN ? 2049 : 1);
	ck_assert_uint_ge(core.stats.continued, 2);
	ck_assert_uint_eq(core.stats.io_errors, 0);
}
END_TEST

static const struct {
	uint32_t type;
	int64_t error;
} failures[] = {
	{VIRTIO_BLK_T_IN, -EIO},     {VIRTIO_BLK_T_IN, 0}, /* end of file */
	{VIRTIO_BLK_T_IN, -EFAULT},  {VIRTIO_BLK_T_OUT, -EIO},
	{VIRTIO_BLK_T_OUT, -ENOSPC}, {VIRTIO_BLK_T_OUT, 0},
};

START_TEST(an_error_reaches_the_guest)
{
	driver_request(&drv, 0, failures[_i].type, 0, 1024);
	blk_core_take(&core);
	blk_core_done(&core, fake.op[0], failures[_i].error);
	assert_answered(0, VIRTIO_BLK_S_IOERR, failures[_i].type == VIRTIO_BLK_T_IN ? 0 : 1);
	ck_assert_uint_eq(fake.nr, 1);
	ck_assert_uint_eq(core.stats.io_errors, 1);
}
END_TEST

/* The first half is done: the request as a whole has failed all the same. */
START_TEST(an_error_after_a_short_transfer)
{
	driver_request(&drv, 0, failures[_i].type, 0, 1024);
	blk_core_take(&core);
	blk_core_done(&core, fake.op[0], 512);
	ck_assert_uint_eq(fake.nr, 2);
	blk_core_done(&core, fake.op[1], failures[_i].error);
	assert_answered(0, VIRTIO_BLK_S_IOERR, failures[_i].type == VIRTIO_BLK_T_IN ? 512 : 1);
	ck_assert_uint_eq(core.stats.reads + core.stats.writes, 0);
}
END_TEST

START_TEST(an_interrupted_transfer_is_repeated)
{
	driver_request(&drv, 0, VIRTIO_BLK_T_OUT, 0, 512);
	blk_core_take(&core);
	blk_core_done(&core, fake.op[0], -EINTR);
	ck_assert_uint_eq(fake.nr, 2);
	blk_core_done(&core, fake.op[1], 512);
	assert_answered(0, VIRTIO_BLK_S_OK, 1);
}
END_TEST

START_TEST(a_back_end_that_takes_nothing)
{
	fake.refuse = EAGAIN;
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	driver_request(&drv, 1, VIRTIO_BLK_T_FLUSH, 0, 0);
	blk_core_take(&core);
	assert_answered(0, VIRTIO_BLK_S_IOERR, 0);
	assert_answered(1, VIRTIO_BLK_S_IOERR, 1);
	ck_assert_uint_eq(core.in_flight, 0);
}
END_TEST

START_TEST(a_full_queue_in_any_order)
{
	for (uint16_t i = 0; i < 256; i++)
		driver_request(&drv, i, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, i * 8, 512);
	ck_assert(blk_core_take(&core)); /* as many as it holds: there may be more */
	ck_assert(!blk_core_take(&core));
	ck_assert_uint_eq(fake.nr, 256);
	ck_assert_uint_eq(core.in_flight, 256);
	ck_assert_uint_eq(core.stats.max_in_flight, 256);
	ck_assert_uint_eq(core.stats.batches, 1);
	ck_assert(!core.broken);
	/* 37 is prime to 256, so this is each of them once. */
	for (unsigned i = 0; i < 256; i++) {
		uint16_t id = (i * 37 + 11) % 256;

		blk_core_done(&core, fake.op[id], id % 5 ? 512 : -EIO);
		assert_answered(id, id % 5 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
				id % 2 == 0 ? 1
				: id % 5    ? 513
					    : 0);
	}
	ck_assert_uint_eq(core.in_flight, 0);
	ck_assert_uint_eq(driver_nr_used(&drv), 0);
}
END_TEST

/* Small rings around more often than 16-bit indices can count, always some in flight, ended in
 * changing order. (Check's assertions are too slow for so many.) */
START_TEST(the_ring_wraps_with_requests_in_flight)
{
	const unsigned rounds = 65536 / 4 + 3;
	unsigned wrong = 0;

	drv.layout.num = 4;
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, FEATURES), 0);
	for (uint16_t i = 0; i < 4; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_OUT, i, 512);
	for (unsigned round = 0; round < rounds; round++) {
		fake.nr = 0;
		blk_core_take(&core);
		wrong += fake.nr != 4 || core.in_flight != 4;
		for (unsigned i = 0; i < 4; i++) {
			uint16_t id = (i + round) % 4;
			const struct vring_used_elem *elem = &drv.used->ring[i];

			wrong += fake.op[id]->offset != drv.avail->ring[id] * 512u;
			blk_core_done(&core, fake.op[id], 512);
			blk_core_publish(&core);
			wrong += elem->id != drv.avail->ring[id] || elem->len != 1;
			wrong += drv.used->idx != (uint16_t)(round * 4 + i + 1);
		}
		/* As they came back, so they go again. */
		for (unsigned i = 0; i < 4; i++)
			drv.avail->ring[i] = (uint16_t)drv.used->ring[i].id;
		drv.avail->idx += 4;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert(!core.broken);
	ck_assert_uint_eq(core.stats.writes, rounds * 4);
}
END_TEST

START_TEST(answers_that_need_no_io)
{
	driver_request(&drv, 0, 77, 0, 512);
	driver_request(&drv, 1, VIRTIO_BLK_T_GET_ID, 0, 20);
	driver_request(&drv, 2, VIRTIO_BLK_T_IN, SECTORS, 512);
	blk_core_take(&core);
	ck_assert_uint_eq(fake.nr, 0);
	assert_answered(0, VIRTIO_BLK_S_UNSUPP, 0);
	assert_answered(1, VIRTIO_BLK_S_OK, 21);
	ck_assert_str_eq((char *)driver_data(&drv, 1), "disk0");
	assert_answered(2, VIRTIO_BLK_S_IOERR, 0);
	ck_assert_uint_eq(core.stats.unsupported, 1);
	ck_assert_uint_eq(core.stats.io_errors, 1);
}
END_TEST

/* Two sound requests before the broken one are still answered; nothing after it is looked at. */
START_TEST(a_broken_queue_answers_what_it_has_taken)
{
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	driver_request(&drv, 1, VIRTIO_BLK_T_OUT, 8, 512);
	driver_offer(&drv, 999);
	driver_request(&drv, 2, VIRTIO_BLK_T_IN, 0, 512);
	ck_assert(!blk_core_take(&core));
	ck_assert(core.broken);
	ck_assert_uint_eq(fake.nr, 2);
	ck_assert(!blk_core_take(&core));
	ck_assert_uint_eq(fake.nr, 2);
	ck_assert_uint_eq(core.stats.broken, 1);
	blk_core_done(&core, fake.op[1], 512);
	assert_answered(1, VIRTIO_BLK_S_OK, 1);
	blk_core_done(&core, fake.op[0], 512);
	assert_answered(0, VIRTIO_BLK_S_OK, 513);
	ck_assert_uint_eq(core.in_flight, 0);

	/* A reset mends it. */
	drv.avail->idx = drv.used->idx = drv.seen = 0;
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, FEATURES), 0);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	blk_core_take(&core);
	ck_assert_uint_eq(fake.nr, 3);
	blk_core_done(&core, fake.op[2], 512);
	assert_answered(0, VIRTIO_BLK_S_OK, 513);
}
END_TEST

START_TEST(a_request_without_room_for_a_status_breaks_the_queue)
{
	driver_desc(&drv, 0, HEADER_GPA, 16, 0, 0);
	driver_offer(&drv, 0);
	blk_core_take(&core);
	ck_assert(core.broken);
	ck_assert_ptr_nonnull(strstr(core.vq.fault, "no room for a status"));
	ck_assert_uint_eq(core.in_flight, 0);
	ck_assert(!blk_core_publish(&core));
}
END_TEST

/* All 256 that can be, and a driver that reuses a descriptor all the same. */
START_TEST(more_in_flight_than_descriptors)
{
	for (uint16_t i = 0; i < 256; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_IN, 0, 512);
	blk_core_take(&core);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	blk_core_take(&core);
	ck_assert(core.broken);
	ck_assert_uint_eq(fake.nr, 256);
	for (unsigned i = 0; i < 256; i++)
		blk_core_done(&core, fake.op[i], 512);
	ck_assert_uint_eq(core.in_flight, 0);
}
END_TEST

/* Refuses every op, and while at it has the driver offer another. */
static int offer_another(void *ctx, struct blk_op *op)
{
	uint16_t id = op->offset == 0;

	(void)ctx;
	driver_request(&drv, id, VIRTIO_BLK_T_IN, id, 512);
	return -EIO;
}

/* A hostile guest refills the queue as fast as it is emptied: it must not keep the thread from
 * looking at anything else. */
START_TEST(a_driver_that_never_stops_offering)
{
	core.io.start = offer_another;
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	ck_assert(blk_core_take(&core));
	ck_assert_uint_eq(core.stats.requests, 256);
	ck_assert(!core.broken);
}
END_TEST

static uint64_t op_bytes(const struct blk_op *op)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < op->nr_iov; i++)
		bytes += op->iov[i].iov_len;
	return bytes;
}

/* The second part begins amid a buffer, where the first one, and it was short, has ended. */
START_TEST(a_large_transfer_goes_in_parts)
{
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 8, LARGE);
	blk_core_take(&core);
	ck_assert_uint_eq(fake.nr, 1);
	ck_assert_uint_eq(op_bytes(fake.op[0]), BLK_OP_BYTES);
	blk_core_done(&core, fake.op[0], 500);
	ck_assert_uint_eq(fake.nr, 2);
	ck_assert_uint_eq(op_bytes(fake.op[1]), BLK_OP_BYTES);
	ck_assert_uint_eq(fake.op[1]->offset, 8 * 512 + 500);
	blk_core_done(&core, fake.op[1], BLK_OP_BYTES);
	ck_assert_uint_eq(fake.nr, 3);
	ck_assert_uint_eq(op_bytes(fake.op[2]), 12);
	ck_assert_uint_eq(fake.op[2]->nr_iov, 1);
	ck_assert_ptr_eq(fake.op[2]->iov->iov_base, driver_data(&drv, 0) + BLK_OP_BYTES + 500);
	blk_core_done(&core, fake.op[2], 12);
	assert_answered(0, VIRTIO_BLK_S_OK, LARGE + 1);
	ck_assert_uint_eq(core.stats.continued, 1); /* a part is no short transfer */
}
END_TEST

/* However many are offered, so much is under way; they take turns. */
START_TEST(what_is_under_way_is_bounded)
{
	unsigned nr = BLK_CORE_MOVING / BLK_OP_BYTES;

	for (uint16_t i = 0; i <= nr; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_IN, i, LARGE);
	blk_core_take(&core);
	ck_assert_uint_eq(core.in_flight, nr + 1);
	ck_assert_uint_eq(fake.nr, nr);
	blk_core_done(&core, fake.op[0], BLK_OP_BYTES);
	ck_assert_uint_eq(fake.nr, nr + 1);
	ck_assert_uint_eq(fake.op[nr]->offset, nr * 512);
	blk_core_done(&core, fake.op[1], -EIO);
	ck_assert_uint_eq(fake.nr, nr + 2);
	ck_assert_uint_eq(fake.op[nr + 1]->offset, BLK_OP_BYTES);
	for (unsigned i = 2; i < fake.nr; i++)
		blk_core_done(&core, fake.op[i], (int64_t)op_bytes(fake.op[i]));
	ck_assert_uint_eq(core.in_flight, 0);
	ck_assert_uint_eq(core.moving, 0);
	ck_assert_uint_eq(core.stats.reads, nr);
}
END_TEST

/* Nothing is started after a stop: not what has not been yet, not the other part of what was, nor
 * what was interrupted, nor a second flush. What the ops complete is complete. */
START_TEST(a_stop_leaves_off)
{
	unsigned nr = BLK_CORE_MOVING / BLK_OP_BYTES;

	driver_request(&drv, 100, VIRTIO_BLK_T_FLUSH, 0, 0);
	blk_core_take(&core);
	driver_request(&drv, 101, VIRTIO_BLK_T_FLUSH, 0, 0);
	driver_request(&drv, 0, VIRTIO_BLK_T_OUT, 0, 512);
	driver_request(&drv, 1, VIRTIO_BLK_T_OUT, 0, 512);
	for (uint16_t i = 2; i <= nr + 1; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_OUT, i, LARGE);
	blk_core_take(&core);
	ck_assert_uint_eq(fake.nr, nr + 2);
	blk_core_stop(&core);
	assert_answered((uint16_t)(nr + 1), VIRTIO_BLK_S_IOERR, 1);
	assert_answered(101, VIRTIO_BLK_S_IOERR, 1);
	blk_core_done(&core, fake.op[1], 512);
	assert_answered(0, VIRTIO_BLK_S_OK, 1);
	blk_core_done(&core, fake.op[2], -EINTR);
	assert_answered(1, VIRTIO_BLK_S_IOERR, 1);
	for (unsigned i = 3; i <= nr + 1; i++)
		blk_core_done(&core, fake.op[i], BLK_OP_BYTES);
	blk_core_stop(&core);
	ck_assert_uint_eq(core.in_flight, 1);
	blk_core_done(&core, fake.op[0], _i ? -EINTR : 0);
	for (uint16_t i = 2; i <= nr; i++)
		assert_answered(i, VIRTIO_BLK_S_IOERR, 1);
	assert_answered(100, _i ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK, 1);
	ck_assert_uint_eq(fake.nr, nr + 2);
	ck_assert_uint_eq(core.in_flight, 0);
	ck_assert_uint_eq(core.stats.writes, 1);
	ck_assert_uint_eq(core.stats.flushes, _i ? 0 : 1);

	/* A start begins anew. */
	drv.avail->idx = drv.used->idx = drv.seen = 0;
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, FEATURES), 0);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	blk_core_take(&core);
	ck_assert_uint_eq(fake.nr, nr + 3);
	blk_core_done(&core, fake.op[nr + 2], 512);
	assert_answered(0, VIRTIO_BLK_S_OK, 513);
}
END_TEST

TCase *core_tests(void)
{
	const int nr_failures = sizeof(failures) / sizeof(failures[0]);
	TCase *tests = tcase_create("core");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_whole_transfer);
	tcase_add_loop_test(tests, short_transfers_go_on, 0, 2);
	tcase_add_loop_test(tests, an_error_reaches_the_guest, 0, nr_failures);
	tcase_add_loop_test(tests, an_error_after_a_short_transfer, 0, nr_failures);
	tcase_add_test(tests, an_interrupted_transfer_is_repeated);
	tcase_add_test(tests, a_back_end_that_takes_nothing);
	tcase_add_test(tests, a_full_queue_in_any_order);
	tcase_add_test(tests, the_ring_wraps_with_requests_in_flight);
	tcase_add_test(tests, answers_that_need_no_io);
	tcase_add_test(tests, a_broken_queue_answers_what_it_has_taken);
	tcase_add_test(tests, a_request_without_room_for_a_status_breaks_the_queue);
	tcase_add_test(tests, more_in_flight_than_descriptors);
	tcase_add_test(tests, a_driver_that_never_stops_offering);
	tcase_add_test(tests, a_large_transfer_goes_in_parts);
	tcase_add_test(tests, what_is_under_way_is_bounded);
	tcase_add_loop_test(tests, a_stop_leaves_off, 0, 2);
	return tests;
}
