/* SPDX-License-Identifier: MIT */
/*
 * vmm is killed, told to end, and runs out of space: what the guest was told stays true. A process
 * is killed here, not a host: what was written to a file is in the page cache then. That a flush
 * goes further is seen where it is handed to the kernel.
 *
 * VMM_KILLS=N: how often vmm is killed (default 12), VMM_SEED=N: of when (default: the time).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"

#define SECTOR  512u
#define SECTORS 256u
#define WORDS   (SECTOR / sizeof(uint64_t))

/* What a sector holds, as guest/workload/ledger.c writes it; {0, 0} was never written. */
struct entry {
	uint64_t number, seed;
};

/* The disk, and what is known of it. */
struct ledger {
	const char *image;
	struct entry held[SECTORS]; /* when it was last looked at */
	uint64_t acked[SECTORS];    /* in this run: number of the last write said to be done */
	uint64_t seed;              /* of this run */
	unsigned long told;         /* writes said to be done, in all runs */
};

static unsigned number_from(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void ledger_init(struct ledger *ledger)
{
	int fd;

	*ledger = (struct ledger){.image = tmp_file("ledger")};
	fd = open(ledger->image, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SECTORS * SECTOR), 0);
	close(fd);
}

/* Starts vmm; its standard output is to be read from *out. */
static pid_t start(struct ledger *ledger, int *out)
{
	char seed[32];
	int ends[2];
	pid_t pid;

	memset(ledger->acked, 0, sizeof(ledger->acked));
	snprintf(seed, sizeof(seed), "seed=%llu", (unsigned long long)++ledger->seed);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(ends[1], 1);
		dup2(open(tmp_file("stderr"), O_CREAT | O_TRUNC | O_WRONLY, 0600), 2);
		execl(path_vmm(), "vmm", "-m", "24M", "--timeout", "100", "--stats",
		      tmp_file("stats.json"), "--disk", ledger->image, path_guest(), "--",
		      "workload=ledger", seed, NULL);
		_exit(127);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

/* One line of the guest's; false at the end, also for a line that has no end of its own. */
static bool read_line(FILE *file, struct ledger *ledger)
{
	unsigned long long number, sector;
	char line[256];

	if (!fgets(line, sizeof(line), file) || !strchr(line, '\n'))
		return false;
	ck_assert_msg(!strstr(line, "error"), "%s", line);
	if (sscanf(line, "ledger: %llu in %llu", &number, &sector) == 2) {
		ck_assert_uint_lt(sector, SECTORS);
		ledger->acked[sector] = number;
		ledger->told++;
	}
	return true;
}

/* Sends the signal at some moment after the first few writes; returns what waitpid() says. */
static int end_by(struct ledger *ledger, int signal, unsigned *seed)
{
	unsigned long lines = (unsigned long)rand_r(seed) % 200;
	struct timespec more = {.tv_nsec = rand_r(seed) % 3000000};
	int out, status;
	pid_t pid = start(ledger, &out);
	FILE *file = fdopen(out, "r");

	ck_assert_ptr_nonnull(file);
	for (unsigned long told = ledger->told; ledger->told <= told + lines;)
		ck_assert_msg(read_line(file, ledger), "vmm ended by itself");
	nanosleep(&more, NULL);
	ck_assert_int_eq(kill(pid, signal), 0);
	/* What it had printed until then. */
	while (read_line(file, ledger))
		continue;
	fclose(file);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static struct entry read_entry(const uint64_t *words, uint64_t sector)
{
	struct entry entry = {.number = words[0], .seed = words[1] ^ sector};
	bool zero = words[0] == 0 && words[1] == 0;

	for (unsigned i = 2; i < WORDS; i++)
		ck_assert_msg(words[i] ==
				      (zero ? 0 : (words[0] ^ words[1]) * 0x9e3779b97f4a7c15u + i),
			      "half of a write is in sector %llu", (unsigned long long)sector);
	if (zero)
		entry.seed = 0;
	return entry;
}

/* Each sector holds the last write that was said to be done, or a later one of this run. */
static void expect_all_there(struct ledger *ledger)
{
	FILE *file = fopen(ledger->image, "r");

	ck_assert_ptr_nonnull(file);
	for (unsigned s = 0; s < SECTORS; s++) {
		struct entry *held = &ledger->held[s], now;
		uint64_t words[WORDS];

		ck_assert_uint_eq(fread(words, SECTOR, 1, file), 1);
		now = read_entry(words, s);
		if (now.seed == ledger->seed)
			ck_assert_msg(now.number >= ledger->acked[s],
				      "sector %u has write %llu, and %llu was said to be done", s,
				      (unsigned long long)now.number,
				      (unsigned long long)ledger->acked[s]);
		else
			ck_assert_msg(!ledger->acked[s] && now.seed == held->seed &&
					      now.number == held->number,
				      "sector %u lost write %llu", s,
				      (unsigned long long)ledger->acked[s]);
		*held = now;
	}
	fclose(file);
}

START_TEST(killed_in_the_middle_of_writes)
{
	unsigned kills = number_from("VMM_KILLS", 12);
	unsigned seed = number_from("VMM_SEED", (unsigned)time(NULL)), first = seed;
	struct ledger ledger;

	ledger_init(&ledger);
	printf("# killed %u times, VMM_SEED=%u\n", kills, first);
	fflush(stdout);
	for (unsigned i = 0; i < kills; i++) {
		int status = end_by(&ledger, SIGKILL, &seed);

		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		expect_all_there(&ledger);
	}
	printf("# %lu writes were said to be done, and all of them are there\n", ledger.told);
	fflush(stdout);
}
END_TEST

/* The end in order: status, one sentence, statistics, disk. */
START_TEST(told_to_end_in_the_middle_of_writes)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	unsigned seed = (unsigned)_i + 1;
	struct ledger ledger;

	ledger_init(&ledger);
	for (unsigned i = 0; i < 3; i++) {
		int status = end_by(&ledger, signals[_i], &seed);
		json_t *stats = json_load_file(tmp_file("stats.json"), 0, NULL);
		const json_t *disk = json_array_get(json_object_get(stats, "disks"), 0);

		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 128 + signals[_i]);
		expect_all_there(&ledger);
		ck_assert_msg(stats != NULL, "no statistics");
		ck_assert_int_eq(json_integer_value(json_object_get(stats, "status")),
				 128 + signals[_i]);
		ck_assert_int_gt(json_integer_value(json_object_get(disk, "writes")), 0);
		ck_assert_int_eq(json_integer_value(json_object_get(disk, "io_errors")), 0);
		json_decref(stats);
		unlink(tmp_file("stats.json"));
	}
}
END_TEST

static bool make_small_folder(const char *folder, const char *test)
{
	ck_assert(mkdir(folder, 0700) == 0 || access(folder, F_OK) == 0);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=64k") == 0)
		return true;
	printf("skip %s: a small tmpfs can't be mounted here\n", test);
	return false;
}

/* Takes all space but `left` bytes. */
static void fill(const char *folder, size_t left)
{
	char path[4200], page[4096] = {1};
	int fd;

	snprintf(path, sizeof(path), "%s/filler", folder);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	for (size_t room = (64u << 10) - left; room >= sizeof(page); room -= sizeof(page))
		if (write(fd, page, sizeof(page)) < 0)
			break;
	close(fd);
}

/* Nothing is left of it but what was there before. */
static void expect_file(const char *folder, const char *content)
{
	char command[4300], path[4200], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/stats", folder);
	file = fopen(path, "r");
	if (content) {
		ck_assert_ptr_nonnull(file);
		ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
		ck_assert_str_eq(text, content);
	} else {
		ck_assert_ptr_null(file);
	}
	if (file)
		fclose(file);
	snprintf(command, sizeof(command), "ls '%s' | grep -q 'stats\\.'", folder);
	ck_assert_msg(system(command) != 0, "a temporary file is left behind");
}

/* With no space at all, and with too little; once where there are statistics of another run. */
START_TEST(statistics_on_a_full_disk)
{
	const char *folder = tmp_file("full");
	char path[4200];
	struct run run;

	if (!make_small_folder(folder, "statistics_on_a_full_disk"))
		return;
	snprintf(path, sizeof(path), "%s/stats", folder);
	if (_i == 1) {
		FILE *file = fopen(path, "w");

		ck_assert_ptr_nonnull(file);
		ck_assert_int_ge(fputs("old", file), 0);
		ck_assert_int_eq(fclose(file), 0);
	}
	fill(folder, _i == 2 ? 4096 : 0);
	RUN(&run, "-c", "4", "--stats", path, path_guest(), "--", "workload=process", "iters=2");
	/* What the guest did is whole; its status gives way to that of what went wrong. */
	expect_status(&run, 74);
	expect_contains(run.out, "tables taken");
	expect_one_sentence(&run, "No space left on device");
	expect_file(folder, _i == 1 ? "old" : NULL);
	umount2(folder, MNT_DETACH);
	rmdir(folder);
	run_free(&run);
}
END_TEST

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

#define TRACING "/sys/kernel/tracing"

static bool trace_submissions(const char *on)
{
	return write_to(TRACING "/events/io_uring/io_uring_submit_sqe/enable", on) ||
	       write_to(TRACING "/events/io_uring/io_uring_submit_req/enable", on);
}

static unsigned count_lines(const char *path, const char *with)
{
	char line[512];
	FILE *file = fopen(path, "r");
	unsigned nr = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		nr += strstr(line, with) != NULL;
	fclose(file);
	return nr;
}

/* Each flush that the guest asks for is an fsync in the kernel's ring, seen by the kernel. */
START_TEST(a_flush_reaches_the_kernel)
{
	const json_t *disk;
	struct ledger ledger;
	struct run run;
	unsigned syncs;

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (!trace_submissions("1")) {
		printf("skip a_flush_reaches_the_kernel: no tracefs with io_uring's events here\n");
		return;
	}
	ledger_init(&ledger);
	write_to(TRACING "/trace", "");
	RUN(&run, "--disk", ledger.image, path_guest(), "--", "workload=ledger", "iters=100");
	trace_submissions("0");
	syncs = count_lines(TRACING "/trace", "FSYNC");
	expect_status(&run, 0);
	expect_contains(run.out, "ledger: flushed, up to 100\n");
	disk = json_array_get(json_object_get(run.stats, "disks"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(disk, "flushes")), 4);
	ck_assert_uint_eq(syncs, 4);
	run_free(&run);
}
END_TEST

Suite *faults_suite(void)
{
	Suite *suite = suite_create("faults");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 1500);
	tcase_add_test(tc, killed_in_the_middle_of_writes);
	tcase_add_loop_test(tc, told_to_end_in_the_middle_of_writes, 0, 3);
	tcase_add_loop_test(tc, statistics_on_a_full_disk, 0, 3);
	tcase_add_test(tc, a_flush_reaches_the_kernel);
	suite_add_tcase(suite, tc);
	return suite;
}
