/* SPDX-License-Identifier: MIT */
/* virtio-blk from the guest's file system of one file to the image on the host. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "run.h"
#include "suites.h"

#define SECTOR 512u

static unsigned long image_crc(const char *path)
{
	unsigned char buffer[65536];
	unsigned long crc = crc32(0, NULL, 0);
	FILE *file = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(file);
	while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		crc = crc32(crc, buffer, n);
	fclose(file);
	return crc;
}

/* An image of noise, the same for the same size. */
static const char *make_image(const char *name, size_t size)
{
	const char *path = tmp_file(name);
	FILE *file = fopen(path, "w");
	uint32_t x = size | 1;

	ck_assert_ptr_nonnull(file);
	for (size_t i = 0; i < size; i += 4) {
		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		ck_assert_uint_eq(fwrite(&x, 4, 1, file), 1);
	}
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

static const struct {
	size_t size;
	const char *cpus;
	const char *flush;
} reads[] = {
	{SECTOR, "1", "trap"},  {4096, "1", "trap"},     {1000 * SECTOR, "1", "trap-range"},
	{1 << 20, "4", "trap"}, {1 << 20, "4", "eager"}, {(1 << 20) + SECTOR, "4", "trap"},
};

/* The guest's checksum of the disk, read through vm_map_ram on all CPUs, is the host's. */
START_TEST(checksum_through_vm_map_ram)
{
	const char *image = make_image("image", reads[_i].size);
	char expected[64];
	struct run run;

	snprintf(expected, sizeof(expected), "nfs: crc32 0x%08lx over %zu bytes", image_crc(image),
		 reads[_i].size);
	RUN(&run, "-m", "128M", "-c", reads[_i].cpus, "-f", reads[_i].flush, "--verify", "-d",
	    image, path_guest(), "--", "workload=nfs");
	expect_status(&run, 0);
	expect_contains(run.out, expected);
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.looked_again"), 0);
	run_free(&run);
}
END_TEST

/* All that the guest was told is written is in the image when the program has ended. */
START_TEST(writes_arrive)
{
	const size_t size = 2 << 20;
	const char *image = make_image("image", size);
	unsigned char sector[SECTOR];
	struct run run;
	FILE *file;

	RUN(&run, "-c", _i ? "4" : "1", "-d", image, path_guest(), "--", "workload=disk", "seed=9");
	expect_status(&run, 0);
	file = fopen(image, "r");
	ck_assert_ptr_nonnull(file);
	for (uint64_t s = 0; s < size / SECTOR; s++) {
		uint64_t first;

		ck_assert_uint_eq(fread(sector, SECTOR, 1, file), 1);
		memcpy(&first, sector, sizeof(first));
		ck_assert_uint_eq(first, s ^ 9);
	}
	fclose(file);
	run_free(&run);
}
END_TEST

START_TEST(read_only_stays_as_it_was)
{
	const char *image = make_image("image", 1 << 20);
	unsigned long before = image_crc(image);
	char option[4200];
	struct run run;

	snprintf(option, sizeof(option), "%s,ro", image);
	ck_assert_int_eq(chmod(image, 0400), 0);
	RUN(&run, "-d", option, path_guest(), "--", "workload=nfs");
	expect_status(&run, 0);
	run_free(&run);
	RUN(&run, "-d", option, path_guest(), "--", "workload=disk");
	expect_status(&run, 1);
	expect_contains(run.out, "read only");
	ck_assert_uint_eq(image_crc(image), before);
	run_free(&run);
	unlink(image);
}
END_TEST

/* A host that runs out of space: the guest is told, and what it was told is written is there. */
START_TEST(a_full_disk_is_an_io_error)
{
	const char *folder = tmp_file("small");
	char image[4200];
	struct run run;
	int fd;

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=1m")) {
		printf("skip a_full_disk_is_an_io_error: a small tmpfs can't be mounted here\n");
		rmdir(folder);
		return;
	}
	snprintf(image, sizeof(image), "%s/image", folder);
	fd = open(image, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 8 << 20), 0);
	close(fd);
	RUN(&run, "-d", image, path_guest(), "--", "workload=disk");
	umount2(folder, MNT_DETACH);
	rmdir(folder);
	expect_status(&run, 1);
	expect_contains(run.out, "I/O error");
	run_free(&run);
}
END_TEST

/* 248 GiB of reads are queued: neither a reset nor the end waits for it. */
START_TEST(a_flood_is_left_off)
{
	const char *image = tmp_file("large"), *word = _i ? "off" : "reset";
	char option[4200];
	struct run run;
	int fd = open(image, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2l << 30), 0);
	close(fd);
	snprintf(option, sizeof(option), "%s,ro", image);
	RUN(&run, "-m", "32M", "-t", track_or("scan"), "-d", option,
	    path_in_tests("hostile/disk_flood.elf"), "--", word);
	expect_status(&run, 0);
	run_free(&run);
	unlink(image);
}
END_TEST

START_TEST(no_such_image)
{
	struct run run;

	RUN(&run, "-d", "/no/such/image", path_guest());
	expect_status(&run, 66);
	expect_one_sentence(&run, "/no/such/image");
	run_free(&run);
}
END_TEST

Suite *disk_suite(void)
{
	Suite *suite = suite_create("disk");
	TCase *tc = tcase_create("disk");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, checksum_through_vm_map_ram, 0, sizeof(reads) / sizeof(reads[0]));
	tcase_add_loop_test(tc, writes_arrive, 0, 2);
	tcase_add_test(tc, read_only_stays_as_it_was);
	tcase_add_test(tc, a_full_disk_is_an_io_error);
	tcase_add_loop_test(tc, a_flood_is_left_off, 0, 2);
	tcase_add_test(tc, no_such_image);
	suite_add_tcase(suite, tc);
	return suite;
}
