/* SPDX-License-Identifier: MIT */
/* What the threads of a running machine may ask of the kernel, what becomes of one that asks for
 * more, and that all works for a user with nothing but the group of /dev/kvm. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NOBODY       65534
#define KVM_GROUP    4711

enum { OK = 0, NO_KVM = 69, SANDBOX = 83 };

static const char *make_disk(void)
{
	const char *path = tmp_file("disk");
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
	return path;
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* --- the state of threads --------------------------------------------------------------------- */

/* A line "NAME:\tN" of the file. */
static long status_of(const char *path, const char *name)
{
	char line[256];
	size_t len = strlen(name);
	long value = -1;
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	while (value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = atol(line + len + 1);
	fclose(file);
	return value;
}

/* linux/sched.h */
#define PF_IO_WORKER   0x10ul
#define PF_USER_WORKER 0x4000ul

/* Is it a thread of KVM's, which never comes to user space? Newer kernels make one for each VM.
 * (Those of io_uring have the filters of the thread that made them.) */
static bool is_of_kvm(const char *task)
{
	char path[PATH_MAX], line[512] = "";
	unsigned long flags = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/stat", task);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	ck_assert_ptr_nonnull(strrchr(line, ')')); /* its name is before that */
	ck_assert_int_eq(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %lu", &flags), 1);
	return flags & PF_USER_WORKER && !(flags & PF_IO_WORKER);
}

/* How many threads of vmm's the process has; each must be in this state. */
static unsigned expect_threads(pid_t pid, bool confined)
{
	long filters = status_of("/proc/self/status", "Seccomp_filters");
	char task[64], path[PATH_MAX];
	unsigned nr = 0;
	DIR *dir;

	snprintf(task, sizeof(task), "/proc/%d/task", pid);
	dir = opendir(task);
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(task, sizeof(task), "/proc/%d/task/%.20s", pid, entry->d_name);
		if (is_of_kvm(task))
			continue;
		snprintf(path, sizeof(path), "%s/status", task);
		/* One of ours, beside those that we are under ourselves. */
		ck_assert_int_eq(status_of(path, "Seccomp_filters"), filters + confined);
		if (confined) {
			ck_assert_int_eq(status_of(path, "Seccomp"), 2);
			ck_assert_int_eq(status_of(path, "NoNewPrivs"), 1);
		}
		nr++;
	}
	closedir(dir);
	return nr;
}

static pid_t start(const char *const argv[])
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (!freopen(tmp_file("vmm-stdout"), "w", stdout))
			_exit(127);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

/* Until it answers: the main thread is confined then, and all others were before. */
static void wait_for_answer(pid_t pid, const char *socket)
{
	const char *const argv[] = {path_vmm(), "ctl", socket, "statistics", NULL};
	struct run run;
	int status;

	do {
		usleep(10000);
		ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
		run_program(&run, NULL, argv);
		status = run.status;
		run_free(&run);
	} while (status);
}

START_TEST(every_thread)
{
	const char *socket = tmp_file("socket");
	const char *const argv[] = {path_vmm(),
				    _i ? "--no-sandbox" : "--verify",
				    "-c3",
				    "-d",
				    make_disk(),
				    "--control",
				    socket,
				    "--timeout",
				    "60",
				    path_guest(),
				    "--",
				    "workload=process",
				    "iters=1000000",
				    NULL};
	pid_t pid = start(argv);
	int status;

	wait_for_answer(pid, socket);
	/* main, three vCPUs, a disk, the watcher; the kernel may have some for io_uring */
	ck_assert_uint_ge(expect_threads(pid, !_i), 6);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGTERM);
}
END_TEST

/* --- what is forbidden ------------------------------------------------------------------------ */

static const char *const kinds[] = {"main", "vcpu", "disk", "uffd"};
static const char *const calls[] = {"execve", "openat", "socket", "ioctl", "mmap", "tgkill"};

static void run_broken(struct run *run, const char *kind, const char *call, const char *option,
		       const char *value)
{
	char *what;
	const char *argv[] = {path_in_tests("vmm-broken"),
			      "--call",
			      NULL,
			      "-m16M",
			      "-d",
			      make_disk(),
			      "--timeout",
			      "30",
			      path_guest(),
			      option,
			      value,
			      NULL};

	ck_assert_int_gt(asprintf(&what, "%s:%s", kind, call), 0);
	argv[2] = what;
	run_program(run, NULL, argv);
	free(what);
}

START_TEST(a_forbidden_call_is_named)
{
	const char *kind = kinds[_i / NR_OF(calls)], *call = calls[_i % NR_OF(calls)];
	char says[64];
	struct run run;

	run_broken(&run, kind, call, "--control", tmp_file("control"));
	expect_status(&run, SANDBOX);
	ck_assert_int_lt(access(tmp_file("control"), F_OK), 0);
	snprintf(says, sizeof(says), "a thread (%s) at a system call", kind);
	expect_one_sentence(&run, says);
	snprintf(says, sizeof(says), ": %s(", call);
	expect_one_sentence(&run, says);
	run_free(&run);
}
END_TEST

START_TEST(a_crash_leaves_no_socket)
{
	struct run run;

	run_broken(&run, kinds[_i], "crash", "--control", tmp_file("control"));
	expect_status(&run, 128 + SIGILL);
	ck_assert_int_lt(access(tmp_file("control"), F_OK), 0);
	run_free(&run);
}
END_TEST

START_TEST(without_a_sandbox)
{
	struct run run;

	for (int i = 0; i < NR_OF(kinds); i++) {
		char says[64];

		run_broken(&run, kinds[i], "openat", "--no-sandbox", NULL);
		expect_status(&run, OK);
		snprintf(says, sizeof(says), "openat in %s: done", kinds[i]);
		expect_contains(run.err, says);
		run_free(&run);
	}
}
END_TEST

/* The main thread, which may open a file to write statistics, opens no other. */
START_TEST(no_other_file)
{
	const char *stats = tmp_file("stats.json");
	struct run run;

	if (!has_landlock()) {
		printf("skip no_other_file: this kernel has no Landlock\n");
		return;
	}
	run_broken(&run, "main", "openat", "--stats", stats);
	expect_status(&run, OK);
	expect_contains(run.err, "openat in main: Permission denied");
	run.stats = json_load_file(stats, 0, NULL);
	ck_assert_int_eq(stat_of(&run, "status"), 0);
	run_free(&run);
}
END_TEST

/* --- what is allowed -------------------------------------------------------------------------- */

/* Under whatever name: a file that is there, a link to one or to none, and standard output. */
START_TEST(statistics_are_written)
{
	static const char *const targets[] = {NULL, "target", "new-target", "/dev/stdout"};
	const char *stats = tmp_file("stats"), *target = targets[_i];
	struct run run;

	if (!target || !strcmp(target, "target"))
		fclose(fopen(tmp_file(target ? target : "stats"), "w"));
	if (target)
		ck_assert_int_eq(symlink(target, stats), 0);
	RUN(&run, "-s", stats, path_guest(), "--", "workload=process", "iters=1");
	expect_status(&run, OK);
	if (target && *target == '/')
		run.stats = json_loads(run.out, JSON_DISABLE_EOF_CHECK, NULL);
	else
		run.stats = json_load_file(stats, 0, NULL);
	ck_assert_int_eq(stat_of(&run, "status"), 0);
	run_free(&run);
	unlink(stats);
	unlink(tmp_file("target"));
	unlink(tmp_file("new-target"));
}
END_TEST

/* A link of another folder leads back to what is not there yet. */
START_TEST(statistics_by_two_links)
{
	char link[512];
	struct run run;

	snprintf(link, sizeof(link), "%s", tmp_file("folder/link"));
	ck_assert_int_eq(mkdir(tmp_file("folder"), 0700), 0);
	ck_assert_int_eq(symlink("other", link), 0);
	ck_assert_int_eq(symlink("../new-target", tmp_file("folder/other")), 0);
	RUN(&run, "-s", link, path_guest(), "--", "workload=process", "iters=1");
	expect_status(&run, OK);
	run.stats = json_load_file(tmp_file("new-target"), 0, NULL);
	ck_assert_int_eq(stat_of(&run, "status"), 0);
	run_free(&run);
	unlink(tmp_file("new-target"));
	unlink(tmp_file("folder/other"));
	unlink(link);
	ck_assert_int_eq(rmdir(tmp_file("folder")), 0);
}
END_TEST

START_TEST(it_is_said)
{
	const char *const probe[] = {path_vmm(), "--probe", "--json", NULL};
	struct run run;
	json_t *root;

	RUN(&run, "-v", path_guest(), "--", "workload=process", "iters=1");
	expect_contains(run.err, "vmm: sandbox: seccomp on each thread");
	run_free(&run);
	RUN(&run, "-v", "--no-sandbox", path_guest(), "--", "workload=process", "iters=1");
	expect_contains(run.err, "vmm: no sandbox");
	run_free(&run);
	run_program(&run, NULL, probe);
	root = json_loads(run.out, 0, NULL);
	ck_assert(json_is_true(json_object_get(json_object_get(root, "seccomp"), "usable")));
	ck_assert_int_eq(json_is_true(json_object_get(json_object_get(root, "landlock"), "usable")),
			 has_landlock());
	json_decref(root);
	run_free(&run);
}
END_TEST

/* --- as an ordinary user ---------------------------------------------------------------------- */

static void copy(const char *from, const char *to)
{
	char command[2 * PATH_MAX];

	snprintf(command, sizeof(command), "cp '%s' '%s' && chmod 755 '%s'", from, to, to);
	ck_assert_int_eq(system(command), 0);
}

/* /dev/kvm as distributions have it, for this process alone: root:kvm, 0660. Our folder becomes one
 * that everybody may use, with vmm and the guest in it. False after saying why not. */
static bool enter_distribution(void)
{
	const char *node = tmp_file("kvm");
	struct stat st;

	if (geteuid() != 0) {
		printf("skip ordinary user: all the suites are run by one already\n");
		return false;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("skip ordinary user: no mounts can be made here: %s\n", strerror(errno));
		return false;
	}
	ck_assert_int_eq(stat("/dev/kvm", &st), 0);
	ck_assert_int_eq(mount("none", path_tmp(), "tmpfs", 0, "mode=1777"), 0);
	copy(path_vmm(), tmp_file("vmm"));
	copy(path_guest(), tmp_file("guest.elf"));
	ck_assert_int_eq(mknod(node, S_IFCHR, st.st_rdev), 0);
	ck_assert_int_eq(chown(node, 0, KVM_GROUP), 0);
	ck_assert_int_eq(chmod(node, 0660), 0);
	ck_assert_int_eq(mount(node, "/dev/kvm", NULL, MS_BIND, NULL), 0);
	return true;
}

/* As where vm.unprivileged_userfaultfd is 0. */
static void forbid_userfaultfd(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = NR_OF(code), .filter = code};

	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void become_user(bool in_group)
{
	gid_t group = KVM_GROUP;

	ck_assert_int_eq(setgroups(in_group, &group), 0);
	ck_assert_int_eq(setgid(NOBODY), 0);
	ck_assert_int_eq(setuid(NOBODY), 0);
}

#define AS_USER(run, ...)                                                                          \
	run_program(run, NULL,                                                                     \
		    (const char *const[]){tmp_file("vmm"), "-s", tmp_file("stats.json"),           \
					  "--timeout", "30", __VA_ARGS__, NULL})

START_TEST(ordinary_user)
{
	struct run run;

	if (!enter_distribution())
		return;
	if (_i)
		forbid_userfaultfd();
	become_user(true);
	AS_USER(&run, tmp_file("guest.elf"));
	expect_status(&run, OK);
	run.stats = json_load_file(tmp_file("stats.json"), 0, NULL);
	ck_assert_int_gt(stat_of(&run, "pins.upcalls_resolved"), 0);
	/* Without userfaultfd every table is compared. */
	if (_i)
		ck_assert_int_eq(stat_of(&run, "tracker.arms"), 0);
	run_free(&run);
	AS_USER(&run, "-d", make_disk(), tmp_file("guest.elf"), "--", "workload=nfs", "iters=4");
	expect_status(&run, OK);
	run_free(&run);
}
END_TEST

START_TEST(ordinary_user_in_control)
{
	static const char script[] =
		"cd $0; ./vmm --timeout 30 --control s guest.elf -- workload=process iters=1000000 &\n"
		"until ./vmm ctl s pause 2>/dev/null; do usleep 10000 2>/dev/null || sleep 1; done\n"
		"ls -l s; kill $!; wait $!";
	const char *const argv[] = {"sh", "-c", script, path_tmp(), NULL};
	struct run run;

	if (!enter_distribution())
		return;
	become_user(true);
	run_program(&run, NULL, argv);
	expect_status(&run, 128 + SIGTERM);
	expect_contains(run.out, "\"paused\": true");
	expect_contains(run.out, "srw-------");
	run_free(&run);
}
END_TEST

START_TEST(not_in_the_group)
{
	struct run run;

	if (!enter_distribution())
		return;
	become_user(false);
	AS_USER(&run, tmp_file("guest.elf"));
	expect_status(&run, NO_KVM);
	expect_one_sentence(&run, "add yourself to its group (sudo usermod -aG kvm $USER");
	run_free(&run);
}
END_TEST

Suite *sandbox_suite(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_set_timeout(tc, 90);
	tcase_add_loop_test(tc, every_thread, 0, 2);
	tcase_add_loop_test(tc, a_crash_leaves_no_socket, 0, NR_OF(kinds));
	tcase_add_loop_test(tc, a_forbidden_call_is_named, 0, NR_OF(kinds) * NR_OF(calls));
	tcase_add_test(tc, without_a_sandbox);
	tcase_add_test(tc, no_other_file);
	tcase_add_loop_test(tc, statistics_are_written, 0, 4);
	tcase_add_test(tc, statistics_by_two_links);
	tcase_add_test(tc, it_is_said);
	tcase_add_loop_test(tc, ordinary_user, 0, 2);
	tcase_add_test(tc, ordinary_user_in_control);
	tcase_add_test(tc, not_in_the_group);
	suite_add_tcase(suite, tc);
	return suite;
}
