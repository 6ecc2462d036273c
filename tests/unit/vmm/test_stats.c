/* SPDX-License-Identifier: MIT */
/* Statistics files: whole or not at all. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kvm/host.h"
#include "stats.h"
#include "status.h"
#include "suites.h"

static char folder[] = "/tmp/unit-vmm-XXXXXX";
static json_t *sample;

static void set_up(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	sample = json_pack("{s:i, s:s}", "answer", 42, "name", "x");
	ck_assert_ptr_nonnull(sample);
}

static const char *path(const char *name)
{
	static char full[64];

	snprintf(full, sizeof(full), "%s/%s", folder, name);
	return full;
}

static unsigned nr_files(void)
{
	DIR *dir = opendir(folder);
	unsigned nr = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

static void tear_down(void)
{
	json_decref(sample);
	unlink(path("stats.json"));
	unlink(path("target"));
	rmdir(path("folder"));
	ck_assert_int_eq(rmdir(folder), 0);
}

static void expect_written(const char *file)
{
	json_t *read = json_load_file(file, 0, NULL);

	ck_assert_ptr_nonnull(read);
	ck_assert(json_equal(read, sample));
	json_decref(read);
}

START_TEST(a_new_file)
{
	struct stat st;

	umask(022);
	ck_assert_int_eq(stats_write(sample, path("stats.json")), 0);
	expect_written(path("stats.json"));
	ck_assert_int_eq(stat(path("stats.json"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

/* Whoever has the old one open goes on reading the old one. */
START_TEST(an_old_file_is_replaced)
{
	int fd = open(path("stats.json"), O_CREAT | O_RDWR, 0600);
	char old[4] = "";

	ck_assert_int_eq(write(fd, "old", 3), 3);
	ck_assert_int_eq(stats_write(sample, path("stats.json")), 0);
	expect_written(path("stats.json"));
	ck_assert_int_eq(pread(fd, old, 3, 0), 3);
	ck_assert_str_eq(old, "old");
	close(fd);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(a_link_is_written_through)
{
	char target[64];

	snprintf(target, sizeof(target), "%s", path("target"));
	ck_assert_int_eq(symlink(target, path("stats.json")), 0);
	ck_assert_int_eq(stats_write(sample, path("stats.json")), 0);
	expect_written(target);
}
END_TEST

START_TEST(where_it_cannot_be_written)
{
	ck_assert_int_eq(stats_write(sample, path("no/stats.json")), VMM_EX_IOERR);
	ck_assert_int_eq(mkdir(path("folder"), 0700), 0);
	ck_assert_int_eq(stats_write(sample, path("folder")), VMM_EX_IOERR);
	ck_assert_int_eq(stats_write(sample, "/dev/full"), VMM_EX_IOERR);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(small_files_of_the_kernel)
{
	json_t *host = host_describe();
	int fd;

	fd = open("/proc/self/status", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_gt(host_read_kb(fd, "VmHWM"), 0);
	ck_assert_uint_gt(host_read_kb(fd, "VmHWM"), 0); /* from its beginning again */
	ck_assert_uint_eq(host_read_kb(fd, "VmHW"), 0);
	close(fd);
	ck_assert_uint_eq(host_read_kb(-1, "VmHWM"), 0);
	ck_assert(json_is_string(json_object_get(host, "kernel")));
	json_decref(host);
}
END_TEST

TCase *stats_tests(void)
{
	TCase *tc = tcase_create("stats");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_new_file);
	tcase_add_test(tc, an_old_file_is_replaced);
	tcase_add_test(tc, a_link_is_written_through);
	tcase_add_test(tc, where_it_cannot_be_written);
	tcase_add_test(tc, small_files_of_the_kernel);
	return tc;
}
