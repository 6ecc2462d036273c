/* SPDX-License-Identifier: MIT */
/* What a flush promises, and when. */
#include <errno.h>
#include "driver.h"
#include "suites.h"

#define INDIRECT 1ull << VIRTIO_RING_F_INDIRECT_DESC
#define FLUSH    1ull << VIRTIO_BLK_F_FLUSH

static struct driver drv;
static struct fake_io fake;
static struct blk_core core;

static void setup(void)
{
	const struct blk_disk disk = {.name = "test", .sectors = 4096};
	struct blk_io io = fake_io(&fake);

	driver_init(&drv, 256);
	fake = (struct fake_io){0};
	ck_assert_int_eq(blk_core_init(&core, &disk, &io), 0);
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, INDIRECT | FLUSH), 0);
}

static void teardown(void)
{
	blk_core_free(&core);
	driver_free(&drv);
}

static void flush(uint16_t id)
{
	driver_request(&drv, id, VIRTIO_BLK_T_FLUSH, 0, 0);
	blk_core_take(&core);
}

static void write_one(uint16_t id)
{
	driver_request(&drv, id, VIRTIO_BLK_T_OUT, id, 512);
	blk_core_take(&core);
}

static unsigned nr_syncs(void)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < fake.nr; i++)
		nr += fake.op[i]->kind == BLK_FLUSH;
	return nr;
}

START_TEST(a_flush_is_answered_when_the_sync_is_done)
{
	write_one(0);
	blk_core_done(&core, fake.op[0], 512);
	flush(1);
	ck_assert_uint_eq(fake.nr, 2);
	ck_assert_int_eq(fake.op[1]->kind, BLK_FLUSH);
	ck_assert_uint_eq(driver_status(&drv, 1), NOT_ANSWERED);
	blk_core_done(&core, fake.op[1], 0);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_OK);
}
END_TEST

/* A flush neither waits for writes that are in flight nor holds them up. */
START_TEST(a_flush_is_no_barrier)
{
	write_one(0);
	flush(1);
	write_one(2);
	ck_assert_uint_eq(fake.nr, 3);
	blk_core_done(&core, fake.op[2], 512);
	blk_core_done(&core, fake.op[1], 0);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 2), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 0), NOT_ANSWERED);
	blk_core_done(&core, fake.op[0], 512);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
}
END_TEST

/* A sync under way may have begun before a write was answered: a flush that comes after that answer
 * must have a sync of its own, which starts later. */
START_TEST(a_flush_does_not_ride_on_a_sync_under_way)
{
	flush(0);
	write_one(1);
	blk_core_done(&core, fake.op[1], 512);
	flush(2);
	flush(3);
	ck_assert_uint_eq(nr_syncs(), 1);
	blk_core_done(&core, fake.op[0], 0);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 2), NOT_ANSWERED);
	ck_assert_uint_eq(driver_status(&drv, 3), NOT_ANSWERED);

	/* Those two share the next. */
	ck_assert_uint_eq(nr_syncs(), 2);
	blk_core_done(&core, fake.op[2], 0);
	ck_assert_uint_eq(driver_status(&drv, 2), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 3), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(nr_syncs(), 2);
	ck_assert_uint_eq(core.stats.syncs, 2);
	ck_assert_uint_eq(core.stats.flushes, 3);
	ck_assert_uint_eq(core.in_flight, 0);
}
END_TEST

START_TEST(flushes_of_one_batch_share_a_sync)
{
	for (uint16_t i = 0; i < 10; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_FLUSH, 0, 0);
	blk_core_take(&core);
	ck_assert_uint_eq(fake.nr, 1);
	blk_core_done(&core, fake.op[0], 0);
	for (uint16_t i = 0; i < 10; i++)
		ck_assert_uint_eq(driver_status(&drv, i), VIRTIO_BLK_S_OK);
}
END_TEST

/* The kernel reports a failed write-back once. All that share the sync hear of it, and no later
 * flush may claim that the data is safe, before the driver has reset the device. */
START_TEST(a_failed_flush_is_never_made_good_by_a_later_one)
{
	static const int errors[] = {-EIO, -ENOSPC};

	flush(0);
	flush(1);
	blk_core_done(&core, fake.op[0], errors[_i]);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_IOERR);
	flush(2);
	ck_assert_uint_eq(driver_status(&drv, 2), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(fake.nr, 1);
	ck_assert_uint_eq(core.in_flight, 0);
	ck_assert_uint_eq(core.stats.flushes, 0);
	ck_assert_uint_eq(core.stats.io_errors, 3);

	drv.avail->idx = drv.used->idx = 0;
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, INDIRECT | FLUSH), 0);
	flush(3);
	ck_assert_uint_eq(fake.nr, 2);
	blk_core_done(&core, fake.op[1], 0);
	ck_assert_uint_eq(driver_status(&drv, 3), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(an_interrupted_sync_is_repeated)
{
	flush(0);
	blk_core_done(&core, fake.op[0], -EINTR);
	ck_assert_uint_eq(nr_syncs(), 2);
	ck_assert_uint_eq(driver_status(&drv, 0), NOT_ANSWERED);
	blk_core_done(&core, fake.op[1], 0);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(a_driver_that_cannot_flush_has_a_write_through_disk)
{
	write_one(0);
	ck_assert(!fake.op[0]->durable);
	blk_core_done(&core, fake.op[0], 512);

	drv.avail->idx = drv.used->idx = 0;
	ck_assert_int_eq(blk_core_start(&core, &drv.mem, &drv.layout, INDIRECT), 0);
	write_one(1);
	ck_assert(fake.op[1]->durable);
	/* So must be what remains of it after a short write. */
	blk_core_done(&core, fake.op[1], 100);
	ck_assert(fake.op[2]->durable);
	blk_core_done(&core, fake.op[2], 412);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_OK);
}
END_TEST

TCase *flush_tests(void)
{
	TCase *tests = tcase_create("flush");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_flush_is_answered_when_the_sync_is_done);
	tcase_add_test(tests, a_flush_is_no_barrier);
	tcase_add_test(tests, a_flush_does_not_ride_on_a_sync_under_way);
	tcase_add_test(tests, flushes_of_one_batch_share_a_sync);
	tcase_add_loop_test(tests, a_failed_flush_is_never_made_good_by_a_later_one, 0, 2);
	tcase_add_test(tests, an_interrupted_sync_is_repeated);
	tcase_add_test(tests, a_driver_that_cannot_flush_has_a_write_through_disk);
	return tests;
}
