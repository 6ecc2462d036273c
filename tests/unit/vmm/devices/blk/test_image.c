/* SPDX-License-Identifier: MIT */
/* Which files make a disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "devices/blk/image.h"
#include "suites.h"

static char dir[64];
static char path[96];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/unit-virtio.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/disk", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void make_file(off_t size)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static int try_open(bool readonly, struct blk_image *image)
{
	struct disk_option disk = {.path = path, .readonly = readonly};

	return blk_image_open(image, &disk);
}

START_TEST(a_file_of_whole_sectors)
{
	struct blk_image image;

	make_file(3 * 512);
	ck_assert_int_eq(try_open(_i, &image), 0);
	ck_assert_uint_eq(image.sectors, 3);
	/* io_uring must be able to wait for it. */
	ck_assert_int_eq(fcntl(image.fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(image.fd, F_GETFL) & O_ACCMODE, _i ? O_RDONLY : O_RDWR);
	blk_image_close(&image);
}
END_TEST

START_TEST(other_sizes_are_refused)
{
	static const off_t sizes[] = {0, 1, 511, 513, (1 << 20) + 100};
	struct blk_image image;

	make_file(sizes[_i]);
	ck_assert_int_eq(try_open(true, &image), -EINVAL);
}
END_TEST

START_TEST(what_is_no_disk_is_refused)
{
	struct blk_image image;

	ck_assert_int_eq(try_open(true, &image), -ENOENT);
	/* A FIFO without another end: this must not wait for one. */
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(try_open(true, &image), -EINVAL);
	ck_assert_int_eq(try_open(false, &image), -EINVAL);
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(try_open(true, &image), -EINVAL);
	unlink(path);
	ck_assert_int_eq(symlink("/", path), 0);
	ck_assert_int_eq(try_open(true, &image), -EINVAL);
	ck_assert_int_eq(try_open(false, &image), -EISDIR);
}
END_TEST

START_TEST(one_writer_or_many_readers)
{
	struct blk_image one, two;

	make_file(512);
	ck_assert_int_eq(try_open(false, &one), 0);
	ck_assert_int_eq(try_open(false, &two), -EWOULDBLOCK);
	ck_assert_int_eq(try_open(true, &two), -EWOULDBLOCK);
	blk_image_close(&one);
	ck_assert_int_eq(try_open(true, &one), 0);
	ck_assert_int_eq(try_open(true, &two), 0);
	blk_image_close(&two);
	ck_assert_int_eq(try_open(false, &two), -EWOULDBLOCK);
	blk_image_close(&one);
	ck_assert_int_eq(try_open(false, &two), 0);
	blk_image_close(&two);
}
END_TEST

static bool distinct(bool first_readonly, const char *second, bool second_readonly)
{
	const struct disk_option disks[] = {
		{.path = "/no/such/disk"},
		{.path = path, .readonly = first_readonly},
		{.path = second, .readonly = second_readonly},
	};

	return blk_images_are_distinct(disks, 3);
}

/* By whatever name; its own lock would be taken for another program's. */
START_TEST(the_same_disk_twice)
{
	char linked[128], other[128];

	snprintf(linked, sizeof(linked), "%s/linked", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	make_file(512);
	ck_assert_int_eq(symlink(path, linked), 0);
	ck_assert(!distinct(false, path, false));
	ck_assert(!distinct(false, path, true));
	ck_assert(!distinct(true, linked, false));
	ck_assert(distinct(true, linked, true));
	unlink(linked);
	ck_assert_int_eq(link(path, linked), 0);
	ck_assert(!distinct(false, linked, false));
	unlink(linked);
	ck_assert(distinct(false, other, false));
}
END_TEST

TCase *image_tests(void)
{
	TCase *tests = tcase_create("image");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, a_file_of_whole_sectors, 0, 2);
	tcase_add_loop_test(tests, other_sizes_are_refused, 0, 5);
	tcase_add_test(tests, what_is_no_disk_is_refused);
	tcase_add_test(tests, one_writer_or_many_readers);
	tcase_add_test(tests, the_same_disk_twice);
	return tests;
}
