/* SPDX-License-Identifier: MIT */
/* Statistics files: whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "fatal.h"
#include "kvm/host.h"
#include "machine.h"
#include "options.h"
#include "output_file.h"
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
	static char full[512];

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

static int write_sample(const char *to, int wait_ms)
{
	char *text = json_dumps(sample, JSON_INDENT(2));
	int err = output_file_write(
		&(struct output){.what = "statistics", .path = to, .text = text}, wait_ms);

	free(text);
	return err;
}

START_TEST(a_new_file)
{
	struct stat st;

	umask(022);
	ck_assert_int_eq(write_sample(path("stats.json"), -1), 0);
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
	ck_assert_int_eq(write_sample(path("stats.json"), -1), 0);
	expect_written(path("stats.json"));
	ck_assert_int_eq(pread(fd, old, 3, 0), 3);
	ck_assert_str_eq(old, "old");
	close(fd);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(a_link_is_written_through)
{
	char target[512];

	snprintf(target, sizeof(target), "%s", path("target"));
	ck_assert_int_eq(symlink(target, path("stats.json")), 0);
	ck_assert_int_eq(write_sample(path("stats.json"), -1), 0);
	expect_written(target);
}
END_TEST

START_TEST(a_socket_is_no_output)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/stats.json", folder);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(write_sample(path("stats.json"), -1), -EOPNOTSUPP);
	close(fd);
}
END_TEST

START_TEST(where_it_cannot_be_written)
{
	ck_assert_int_eq(write_sample(path("no/stats.json"), -1), -ENOENT);
	ck_assert_int_eq(mkdir(path("folder"), 0700), 0);
	ck_assert_int_eq(write_sample(path("folder"), -1), -EISDIR);
	ck_assert_int_eq(write_sample("/dev/full", -1), -ENOSPC);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

static void expect_refused(const char *target)
{
	ck_assert_msg(output_file_check("--stats", target) < 0, "%s is taken", target);
}

/* What a run would end with is told before it. */
START_TEST(a_target_without_a_chance)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char too_long[300];
	int fd;

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	expect_refused(path("no/stats.json"));
	expect_refused(folder);
	expect_refused(path(too_long));
	expect_refused("/dev/null/stats.json");
	ck_assert_int_eq(symlink("no/target", path("stats.json")), 0);
	expect_refused(path("stats.json"));
	unlink(path("stats.json"));
	ck_assert_int_eq(symlink("stats.json", path("stats.json")), 0);
	expect_refused(path("stats.json"));
	unlink(path("stats.json"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(addr.sun_path, path("stats.json"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	expect_refused(path("stats.json"));
	close(fd);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

static void make_file(const char *name, const char *content)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0666);

	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

/* In a sticky folder all may write another user's file, but none may put another in its place. */
START_TEST(a_target_that_cannot_be_replaced)
{
	if (geteuid() != 0)
		return;
	make_file(path("target"), "old");
	ck_assert_int_eq(chmod(path("target"), 0666), 0);
	ck_assert_int_eq(chmod(folder, 01777), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	expect_refused(path("target"));
	ck_assert_int_eq(output_file_check("--stats", path("stats.json")), 0);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

/* Returns false if it may not. */
static bool set_flags(const char *name, int flags)
{
	int fd = open(name, O_RDONLY);
	bool set = ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;

	close(fd);
	return set;
}

START_TEST(a_target_that_cannot_be_changed)
{
	make_file(path("target"), "old");
	if (set_flags(path("target"), FS_IMMUTABLE_FL)) {
		expect_refused(path("target"));
		ck_assert(set_flags(path("target"), 0));
	}
	if (set_flags(folder, FS_APPEND_FL)) {
		expect_refused(path("stats.json"));
		ck_assert(set_flags(folder, 0));
	}
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

/* <sys/mount.h> and <linux/fs.h> don't go together everywhere. */
static int mount_at(const char *from, const char *to, unsigned long flags)
{
	return (int)syscall(SYS_mount, from, to, NULL, flags, NULL);
}

/* As a container's runtime mounts a file that it was given. Nothing can take its place. */
START_TEST(a_mounted_file_is_written_in_place)
{
	char target[512];

	snprintf(target, sizeof(target), "%s", path("target"));
	make_file(target, "old");
	make_file(path("stats.json"), "hidden");
	if (unshare(CLONE_NEWNS) || mount_at(NULL, "/", MS_REC | MS_PRIVATE) ||
	    mount_at(target, path("stats.json"), MS_BIND))
		return;
	ck_assert_int_eq(output_file_check("--stats", path("stats.json")), 0);
	ck_assert_int_eq(write_sample(path("stats.json"), -1), 0);
	expect_written(target);
	ck_assert_int_eq(mount_at(NULL, path("stats.json"), MS_REMOUNT | MS_BIND | MS_RDONLY), 0);
	expect_refused(path("stats.json"));
	ck_assert_int_eq((int)syscall(SYS_umount2, path("stats.json"), 0), 0);
	ck_assert_uint_eq(nr_files(), 2);
}
END_TEST

START_TEST(a_name_as_long_as_can_be)
{
	char name[NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[NAME_MAX] = '\0';
	ck_assert_int_eq(output_file_check("--stats", path(name)), 0);
	ck_assert_int_eq(write_sample(path(name), -1), 0);
	expect_written(path(name));
	ck_assert_int_eq(unlink(path(name)), 0);
	memset(name, 'x', sizeof(name) - 1);
	name[NAME_MAX + 1] = '\0';
	expect_refused(path(name));
	ck_assert_uint_eq(nr_files(), 0);
}
END_TEST

START_TEST(two_names_of_one_file)
{
	char a[512], b[512];

	snprintf(a, sizeof(a), "%s/new", folder);
	snprintf(b, sizeof(b), "%s/../%s/new", folder, strrchr(folder, '/') + 1);
	ck_assert(output_file_replaces(a, b));
	ck_assert(output_file_replaces("new", "./new"));
	ck_assert(output_file_replaces("-", "-"));
	ck_assert(!output_file_replaces(a, "new"));
	ck_assert(!output_file_replaces(a, path("other")));
	make_file(path("target"), "");
	ck_assert(!output_file_replaces(a, path("target")));
	ck_assert_int_eq(link(path("target"), a), 0);
	ck_assert(output_file_replaces(a, path("target")));
	ck_assert_int_eq(unlink(a), 0);
}
END_TEST

/* A link makes the file that it names, so that is one file with what is made there. */
START_TEST(a_link_to_what_is_not_there_yet)
{
	char new[512], link[512], link_to_link[512];

	snprintf(new, sizeof(new), "%s", path("new"));
	snprintf(link, sizeof(link), "%s", path("link"));
	snprintf(link_to_link, sizeof(link_to_link), "%s", path("link-to-link"));
	ck_assert_int_eq(symlink("new", link), 0);
	ck_assert_int_eq(symlink(link, link_to_link), 0);
	ck_assert(output_file_replaces(new, link));
	ck_assert(output_file_replaces(link, new));
	ck_assert(output_file_replaces(new, link_to_link));
	ck_assert(output_file_replaces(link_to_link, link));
	ck_assert(!output_file_replaces(path("other"), link));
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(symlink("link-to-link", link), 0); /* for ever */
	ck_assert(!output_file_replaces(new, link));
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(unlink(link_to_link), 0);
}
END_TEST

static void expect_mode(mode_t mode)
{
	struct stat st;

	ck_assert_int_eq(write_sample(path("target"), -1), 0);
	expect_written(path("target"));
	ck_assert_int_eq(stat(path("target"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, mode);
}

/* A file that comes in the place of another one has no more readers. */
START_TEST(a_private_file_stays_private)
{
	make_file(path("target"), "old");
	ck_assert_int_eq(chmod(path("target"), 0640), 0);
	expect_mode(0640);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(path("target"), 65534, 65534), 0);
	expect_mode(0600);
	ck_assert_int_eq(chmod(path("target"), 0664), 0);
	ck_assert_int_eq(chown(path("target"), 65534, 65534), 0);
	ck_assert_int_eq(chmod(path("target"), 0664), 0);
	expect_mode(0644);
}
END_TEST

/* Neither there, nor by a link, a file that is not ours may be touched. */
START_TEST(a_target_without_the_right)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(symlink("/etc/passwd", path("target")), 0);
	ck_assert_int_eq(mkfifo(path("stats.json"), 0600), 0);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	expect_refused(path("new"));
	expect_refused(path("target"));
	expect_refused(path("stats.json"));
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_uint_eq(nr_files(), 2);
}
END_TEST

START_TEST(a_trial_leaves_nothing)
{
	int fd = open(path("target"), O_CREAT | O_WRONLY, 0600);
	struct stat st;

	ck_assert_int_eq(write(fd, "old", 3), 3);
	close(fd);
	ck_assert_int_eq(output_file_check("--stats", "-"), 0);
	ck_assert_int_eq(output_file_check("--stats", path("stats.json")), 0);
	ck_assert_int_eq(output_file_check("--stats", path("target")), 0);
	ck_assert_int_eq(stat(path("target"), &st), 0);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_uint_eq(nr_files(), 1);
	unlink(path("target"));
	ck_assert_int_eq(symlink("target", path("stats.json")), 0);
	ck_assert_int_eq(output_file_check("--stats", path("stats.json")), 0);
	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(a_fifo_that_nobody_reads)
{
	char text[4096] = "";
	int fd;

	ck_assert_int_eq(mkfifo(path("stats.json"), 0600), 0);
	ck_assert_int_eq(output_file_check("--stats", path("stats.json")), 0);
	ck_assert_int_eq(write_sample(path("stats.json"), 0), -ENXIO);
	ck_assert_int_eq(write_sample(path("stats.json"), 50), -ENXIO);
	fd = open(path("stats.json"), O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(write_sample(path("stats.json"), 0), 0);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "answer"));
	close(fd);
}
END_TEST

/* Where all may make files, the kernel refuses to open another user's FIFO if it were made, were it
 * not there (fs.protected_fifos). */
START_TEST(a_fifo_of_another_user)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	char got[4096] = "";
	int fd;

	ck_assert_int_eq(mkfifo(path("stats.json"), 0600), 0);
	fd = open(path("stats.json"), O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1,
					  SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT)),
			 0);
	ck_assert_int_eq(seccomp_load(ctx), 0);
	ck_assert_int_eq(write_sample(path("stats.json"), -1), 0);
	ck_assert_int_gt(read(fd, got, sizeof(got) - 1), 0);
	close(fd);
	seccomp_release(ctx);
}
END_TEST

static volatile sig_atomic_t nr_delays;

static void delay(int signal)
{
	const struct timespec time = {.tv_nsec = 100000000};

	(void)signal;
	nr_delays++;
	(void)nanosleep(&time, NULL);
	ualarm(10000, 0);
}

/* Each look for a reader takes 100 ms, so there's time for five, where there would be for 25. */
START_TEST(a_fifo_on_a_busy_machine)
{
	ck_assert_int_eq(mkfifo(path("stats.json"), 0600), 0);
	signal(SIGALRM, delay);
	ualarm(10000, 0);
	ck_assert_int_eq(write_sample(path("stats.json"), 500), -ENXIO);
	signal(SIGALRM, SIG_IGN);
	ck_assert_int_lt(nr_delays, 15);
}
END_TEST

START_TEST(beyond_the_limit_of_a_file)
{
	const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};

	fatal_install(NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_eq(write_sample(path("stats.json"), -1), -EFBIG);
	ck_assert_uint_eq(nr_files(), 0);
}
END_TEST

/* Its time begins with it. */
START_TEST(a_guest_that_never_ran)
{
	static const struct options opt = {.timeout = 100};
	static struct machine machine = {.opt = &opt};

	ck_assert(machine_seconds(&machine) == 0);
	ck_assert_int_eq(machine_time_left(&machine), 100000);
	machine.end_ns = 1;
	ck_assert(machine_seconds(&machine) == 0);
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
	tcase_add_test(tc, a_socket_is_no_output);
	tcase_add_test(tc, where_it_cannot_be_written);
	tcase_add_test(tc, a_target_without_a_chance);
	tcase_add_test(tc, a_target_without_the_right);
	tcase_add_test(tc, a_target_that_cannot_be_replaced);
	tcase_add_test(tc, a_target_that_cannot_be_changed);
	tcase_add_test(tc, a_mounted_file_is_written_in_place);
	tcase_add_test(tc, a_name_as_long_as_can_be);
	tcase_add_test(tc, two_names_of_one_file);
	tcase_add_test(tc, a_link_to_what_is_not_there_yet);
	tcase_add_test(tc, a_private_file_stays_private);
	tcase_add_test(tc, a_trial_leaves_nothing);
	tcase_add_test(tc, a_fifo_that_nobody_reads);
	tcase_add_test(tc, a_fifo_of_another_user);
	tcase_add_test(tc, a_fifo_on_a_busy_machine);
	tcase_add_test(tc, beyond_the_limit_of_a_file);
	tcase_add_test(tc, a_guest_that_never_ran);
	tcase_add_test(tc, small_files_of_the_kernel);
	return tc;
}
