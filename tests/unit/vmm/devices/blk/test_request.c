/* SPDX-License-Identifier: MIT */
/* Decoding of requests, however a driver has cut them into buffers. */
#include <errno.h>
#include <string.h>
#include "driver.h"
#include "suites.h"

#define SECTORS 100

static const struct blk_disk disk = {.name = "test", .sectors = SECTORS, .id = "disk7"};
static const struct blk_disk readonly_disk = {.name = "test", .sectors = SECTORS, .readonly = true};

static const struct memory unguarded;
static struct virtio_blk_outhdr header;
static uint8_t data[8192];
static uint8_t status;
static struct blk_request request;

static void add(void *base, size_t len, bool in)
{
	struct virtqueue_chain *chain = &request.chain;

	chain->iov[chain->nr_out + chain->nr_in] = (struct iovec){.iov_base = base, .iov_len = len};
	if (in)
		chain->nr_in++;
	else
		chain->nr_out++;
}

/* A request as Linux lays it out. */
static int decode(const struct blk_disk *on, uint32_t type, uint64_t sector, size_t bytes)
{
	memset(&request, 0, sizeof(request));
	header = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	add(&header, sizeof(header), false);
	if (bytes)
		add(data, bytes, type != VIRTIO_BLK_T_OUT);
	add(&status, 1, true);
	return blk_request_decode(&request, on, &unguarded);
}

static void assert_answer(int action, uint8_t expected)
{
	ck_assert_int_eq(action, BLK_DO_ANSWER);
	ck_assert_uint_eq(request.answer, expected);
	ck_assert_ptr_eq(request.status, &status);
}

START_TEST(read_and_write)
{
	ck_assert_int_eq(decode(&disk, VIRTIO_BLK_T_IN, 3, 1024), BLK_DO_IO);
	ck_assert_int_eq(request.op.kind, BLK_READ);
	ck_assert_uint_eq(request.op.offset, 3 * 512);
	ck_assert_uint_eq(request.op.nr_iov, 1);
	ck_assert_ptr_eq(request.op.iov[0].iov_base, data);
	ck_assert_uint_eq(request.op.iov[0].iov_len, 1024);
	ck_assert_uint_eq(request.left, 1024);
	ck_assert_uint_eq(request.in_bytes, 1024);

	ck_assert_int_eq(decode(&disk, VIRTIO_BLK_T_OUT, SECTORS - 1, 512), BLK_DO_IO);
	ck_assert_int_eq(request.op.kind, BLK_WRITE);
	ck_assert_uint_eq(request.op.offset, (SECTORS - 1) * 512);
	ck_assert_uint_eq(request.in_bytes, 0);
	ck_assert_ptr_eq(request.status, &status);
}
END_TEST

static const struct {
	uint32_t type;
	uint64_t sector;
	size_t bytes;
} bad_ranges[] = {
	{VIRTIO_BLK_T_IN, 0, 0},
	{VIRTIO_BLK_T_IN, 0, 1},
	{VIRTIO_BLK_T_IN, 0, 511},
	{VIRTIO_BLK_T_IN, 0, 513},
	{VIRTIO_BLK_T_OUT, 0, 0},
	{VIRTIO_BLK_T_OUT, 0, 100},
	{VIRTIO_BLK_T_IN, SECTORS, 512},
	{VIRTIO_BLK_T_IN, SECTORS - 1, 1024},
	{VIRTIO_BLK_T_OUT, SECTORS, 512},
	{VIRTIO_BLK_T_OUT, UINT64_MAX, 512},
	{VIRTIO_BLK_T_IN, UINT64_MAX, 1024},
	{VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512}, /* times 512 it is 0 */
};

START_TEST(a_bad_range_is_an_error)
{
	assert_answer(
		decode(&disk, bad_ranges[_i].type, bad_ranges[_i].sector, bad_ranges[_i].bytes),
		VIRTIO_BLK_S_IOERR);
}
END_TEST

START_TEST(a_readonly_disk_is_not_written)
{
	assert_answer(decode(&readonly_disk, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	ck_assert_int_eq(decode(&readonly_disk, VIRTIO_BLK_T_IN, 0, 512), BLK_DO_IO);
	ck_assert_int_eq(decode(&readonly_disk, VIRTIO_BLK_T_FLUSH, 0, 0), BLK_DO_FLUSH);
}
END_TEST

START_TEST(unknown_types_are_unsupported)
{
	static const uint32_t types[] = {2, 3, 5, 9, 11, 13, 0x80000000, UINT32_MAX};

	assert_answer(decode(&disk, types[_i], 0, 512), VIRTIO_BLK_S_UNSUPP);
}
END_TEST

START_TEST(a_flush_has_no_data)
{
	ck_assert_int_eq(decode(&disk, VIRTIO_BLK_T_FLUSH, 0, 0), BLK_DO_FLUSH);
	assert_answer(decode(&disk, VIRTIO_BLK_T_FLUSH, 0, 512), VIRTIO_BLK_S_IOERR);
}
END_TEST

START_TEST(the_id_is_written)
{
	static const char id[20] = "disk7";

	memset(data, 0xff, sizeof(data));
	assert_answer(decode(&disk, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	ck_assert_mem_eq(data, id, 20);
	ck_assert_uint_eq(data[20], 0xff);
	ck_assert_uint_eq(request.in_written, 20);

	/* A buffer that is longer stays untouched behind it, a shorter one gets what fits. */
	memset(data, 0xff, sizeof(data));
	assert_answer(decode(&disk, VIRTIO_BLK_T_GET_ID, 0, 64), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(data[20], 0xff);
	memset(data, 0xff, sizeof(data));
	assert_answer(decode(&disk, VIRTIO_BLK_T_GET_ID, 0, 3), VIRTIO_BLK_S_OK);
	ck_assert_mem_eq(data, "dis\xff", 4);
}
END_TEST

START_TEST(a_chain_without_status_or_header_has_no_answer)
{
	memset(&request, 0, sizeof(request));
	add(&header, sizeof(header), false);
	add(data, 512, false);
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), -EINVAL);

	memset(&request, 0, sizeof(request));
	add(data, 512, true);
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), -EINVAL);

	memset(&request, 0, sizeof(request));
	add(&header, sizeof(header) - 1, false);
	add(&status, 1, true);
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), -EINVAL);

	memset(&request, 0, sizeof(request));
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), -EINVAL);
}
END_TEST

START_TEST(data_in_the_wrong_direction)
{
	memset(&request, 0, sizeof(request));
	header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
	add(&header, sizeof(header), false);
	add(data, 512, false);
	add(&status, 1, true);
	assert_answer(blk_request_decode(&request, &disk, &unguarded), VIRTIO_BLK_S_IOERR);

	memset(&request, 0, sizeof(request));
	header.type = VIRTIO_BLK_T_OUT;
	add(&header, sizeof(header), false);
	add(data, 512, true);
	add(&status, 1, true);
	assert_answer(blk_request_decode(&request, &disk, &unguarded), VIRTIO_BLK_S_IOERR);
}
END_TEST

/* 16 bytes of header in 16 buffers, the last of which goes on with the data; status at the end of
 * the data's buffer. */
START_TEST(any_framing_will_do)
{
	uint8_t tail[1 + 512];

	memset(&request, 0, sizeof(request));
	header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_OUT, .sector = 2};
	for (unsigned i = 0; i < 15; i++)
		add((uint8_t *)&header + i, 1, false);
	tail[0] = ((uint8_t *)&header)[15];
	add(tail, sizeof(tail), false);
	add(&status, 1, true);
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), BLK_DO_IO);
	ck_assert_uint_eq(request.op.nr_iov, 1);
	ck_assert_ptr_eq(request.op.iov[0].iov_base, tail + 1);
	ck_assert_uint_eq(request.left, 512);

	memset(&request, 0, sizeof(request));
	header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 2};
	add(&header, sizeof(header), false);
	add(data, 512 + 1, true);
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), BLK_DO_IO);
	ck_assert_ptr_eq(request.status, data + 512);
	ck_assert_uint_eq(request.op.iov[0].iov_len, 512);
}
END_TEST

START_TEST(advancing_goes_over_buffers)
{
	memset(&request, 0, sizeof(request));
	header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 1};
	add(&header, sizeof(header), false);
	add(data, 100, true);
	add(data + 1000, 400, true);
	add(data + 2000, 12, true);
	add(&status, 1, true);
	ck_assert_int_eq(blk_request_decode(&request, &disk, &unguarded), BLK_DO_IO);

	blk_request_advance(&request, 99);
	ck_assert_ptr_eq(request.op.iov[0].iov_base, data + 99);
	ck_assert_uint_eq(request.op.iov[0].iov_len, 1);
	blk_request_advance(&request, 2);
	ck_assert_uint_eq(request.op.nr_iov, 2);
	ck_assert_ptr_eq(request.op.iov[0].iov_base, data + 1001);
	blk_request_advance(&request, 399);
	ck_assert_uint_eq(request.op.nr_iov, 1);
	ck_assert_ptr_eq(request.op.iov[0].iov_base, data + 2000);
	ck_assert_uint_eq(request.op.offset, 512 + 500);
	ck_assert_uint_eq(request.left, 12);
	ck_assert_uint_eq(request.in_written, 500);
}
END_TEST

TCase *request_tests(void)
{
	TCase *tests = tcase_create("request");

	tcase_add_test(tests, read_and_write);
	tcase_add_loop_test(tests, a_bad_range_is_an_error, 0,
			    sizeof(bad_ranges) / sizeof(bad_ranges[0]));
	tcase_add_test(tests, a_readonly_disk_is_not_written);
	tcase_add_loop_test(tests, unknown_types_are_unsupported, 0, 8);
	tcase_add_test(tests, a_flush_has_no_data);
	tcase_add_test(tests, the_id_is_written);
	tcase_add_test(tests, a_chain_without_status_or_header_has_no_answer);
	tcase_add_test(tests, data_in_the_wrong_direction);
	tcase_add_test(tests, any_framing_will_do);
	tcase_add_test(tests, advancing_goes_over_buffers);
	return tests;
}
