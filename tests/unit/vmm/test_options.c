/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "options.h"
#include "status.h"
#include "suites.h"

#define NR_OF(array)    ((int)(sizeof(array) / sizeof((array)[0])))
#define PARSE(opt, ...) parse(opt, (const char *const[]){"vmm", __VA_ARGS__, NULL})

/* options_parse() may write into its arguments, so they are copies. */
static void parse(struct options *opt, const char *const argv[])
{
	static char *copy[64];
	int argc = 0;

	for (int i = 0; copy[i]; i++)
		free(copy[i]);
	for (; argv[argc]; argc++)
		copy[argc] = strdup(argv[argc]);
	copy[argc] = NULL;
	options_parse(opt, argc, copy);
}

/* What the options of a guest of ours end the process with, and what it says; 0 if they are good.
 */
static int end_of(const char *const argv[], char *text, size_t size)
{
	struct options opt;
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		parse(&opt, argv);
		_exit(options_for_guest(&opt) ? VMM_EX_USAGE : 0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, size - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(defaults)
{
	struct options opt;

	PARSE(&opt, "g.elf");
	ck_assert_str_eq(opt.guest, "g.elf");
	ck_assert_uint_eq(opt.cpus, 1);
	ck_assert_uint_eq(opt.mem, 64 << 20);
	ck_assert_uint_eq(opt.nr_disks, 0);
	ck_assert_int_eq(opt.flush, ALIAS_FLUSH_TRAP);
	ck_assert_int_eq(opt.track, TRACK_DIRTY);
	ck_assert_uint_eq(opt.audit, 256);
	ck_assert_int_eq(opt.on_violation, VIOLATION_REPORT);
	ck_assert_int_eq(opt.flush_proof, PROOF_GUEST);
	ck_assert_ptr_null(opt.stats);
	ck_assert_uint_eq(opt.timeout, 0);
	ck_assert(!opt.verify && !opt.verbose && !opt.probe && !opt.json);
	ck_assert(opt.sandbox);
	ck_assert_str_eq(opt.bootargs, "flush=trap");
	options_free(&opt);
}
END_TEST

START_TEST(everything_at_once)
{
	struct options opt;

	PARSE(&opt, "-c64", "g.elf", "--mem", "1G", "-d", "a,ro", "--disk=b", "-d", "c,rw", "-f",
	      "trap-range", "-t", "scan", "-s", "-", "--on-violation", "stop", "--flush-proof",
	      "host", "--timeout", "7", "--watch", "250", "--symbols", "map", "--verify=9", "-v",
	      "--no-sandbox", "--", "a=1", "-c", "--", "b");
	ck_assert_uint_eq(opt.cpus, 64);
	ck_assert_uint_eq(opt.mem, 1ull << 30);
	ck_assert_uint_eq(opt.nr_disks, 3);
	ck_assert_str_eq(opt.disk[0].path, "a");
	ck_assert(opt.disk[0].readonly);
	ck_assert_str_eq(opt.disk[1].path, "b");
	ck_assert(!opt.disk[1].readonly);
	ck_assert_str_eq(opt.disk[2].path, "c,rw");
	ck_assert(!opt.disk[2].readonly);
	ck_assert_int_eq(opt.flush, ALIAS_FLUSH_TRAP_RANGE);
	ck_assert_int_eq(opt.track, TRACK_SCAN);
	ck_assert_str_eq(opt.stats, "-");
	ck_assert_int_eq(opt.on_violation, VIOLATION_STOP);
	ck_assert_int_eq(opt.flush_proof, PROOF_HOST);
	ck_assert_uint_eq(opt.timeout, 7);
	ck_assert_uint_eq(opt.watch, 250);
	ck_assert_uint_eq(opt.verify, 9);
	ck_assert(opt.verbose && !opt.sandbox);
	ck_assert_str_eq(opt.bootargs, "flush=trap-range a=1 -c -- b");
	options_free(&opt);
}
END_TEST

START_TEST(log_and_its_audits)
{
	struct options opt;

	PARSE(&opt, "-t", "log", "--audit", "7", "-c", "64", "-m", "24M", "g.elf");
	ck_assert_int_eq(opt.track, TRACK_LOG);
	ck_assert_uint_eq(opt.audit, 7);
	options_free(&opt);
}
END_TEST

/* Its N is optional, so it belongs to the same word. */
START_TEST(verify_every_pin)
{
	struct options opt;

	PARSE(&opt, "--verify", "g.elf");
	ck_assert_uint_eq(opt.verify, 1);
	ck_assert_str_eq(opt.guest, "g.elf");
	options_free(&opt);
}
END_TEST

/* The strategy is the last one given, wherever it stands. */
START_TEST(option_after_the_guest)
{
	struct options opt;

	PARSE(&opt, "-f", "none", "g.elf", "-f", "eager", "--", "x");
	ck_assert_str_eq(opt.bootargs, "flush=eager x");
	options_free(&opt);
}
END_TEST

START_TEST(guest_behind_the_dashes)
{
	struct options opt;

	PARSE(&opt, "--", "-g.elf", "x", "y");
	ck_assert_str_eq(opt.guest, "-g.elf");
	ck_assert_str_eq(opt.bootargs, "flush=trap x y");
	options_free(&opt);
}
END_TEST

START_TEST(probe_needs_no_guest)
{
	struct options opt;

	PARSE(&opt, "--probe", "--json");
	ck_assert(opt.probe && opt.json);
	options_free(&opt);
}
END_TEST

static const struct {
	const char *args[6];
	const char *says;
} wrong[] = {
	{{"vmm"}, "GUEST"},
	{{"vmm", "--what", "g"}, "--what"},
	{{"vmm", "-c", "0", "g"}, "\"0\""},
	{{"vmm", "-c", "65", "g"}, "65"},
	{{"vmm", "-c", "-1", "g"}, "-1"},
	{{"vmm", "-c", "4x", "g"}, "4x"},
	{{"vmm", "-c", "", "g"}, "--cpus"},
	{{"vmm", "-m", "3M", "g"}, "4M"},
	{{"vmm", "-m", "513G", "g"}, "512G"},
	{{"vmm", "-m", "4x", "g"}, "4x"},
	{{"vmm", "-m", "64MB", "g"}, "64MB"},
	{{"vmm", "-m", "4097K", "g"}, "4 KiB"},
	{{"vmm", "-f", "lazy", "g"},
	 "none, legacy, eager, nolazy, eager-pte, quicklist, page-bit, trap, trap-range"},
	{{"vmm", "-t", "logs", "g"}, "dirty, log, scan"},
	{{"vmm", "-tlog", "-c64", "-m23M", "g"}, "96 KiB"},
	{{"vmm", "--audit", "0", "g"}, "--audit"},
	{{"vmm", "--on-violation", "ignore", "g"}, "report, stop"},
	{{"vmm", "--flush-proof", "me", "g"}, "guest, host"},
	{{"vmm", "--timeout", "0", "g"}, "--timeout"},
	{{"vmm", "--watch", "0", "g"}, "--watch"},
	{{"vmm", "--timeout", "1.5", "g"}, "1.5"},
	{{"vmm", "-s", "", "g"}, "--stats"},
	{{"vmm", "-i", "", "g"}, "--initrd"},
	{{"vmm", "--symbols", "", "g"}, "--symbols"},
	{{"vmm", ""}, "GUEST"},
	{{"vmm", "-d", "", "g"}, "--disk"},
	{{"vmm", "-d", ",ro", "g"}, "--disk"},
	{{"vmm", "g", "more"}, "more"},
	{{"vmm", "--json", "g"}, "--probe"},
	{{"vmm", "--probe", "g"}, "GUEST"},
	{{"vmm", "-m"}, "'m'"},
};

START_TEST(refused)
{
	char text[4096];

	ck_assert_int_eq(end_of(wrong[_i].args, text, sizeof(text)), VMM_EX_USAGE);
	ck_assert_msg(strstr(text, wrong[_i].says) != NULL, "%s", text);
	ck_assert_msg(!strncmp(text, "vmm: ", 5), "%s", text);
}
END_TEST

START_TEST(too_many_disks)
{
	const char *argv[2 * OPTIONS_MAX_DISKS + 5] = {"vmm", "g"};
	char text[4096];

	for (int i = 0; i < OPTIONS_MAX_DISKS; i++) {
		argv[2 + 2 * i] = "-d";
		argv[3 + 2 * i] = "disk";
	}
	ck_assert_int_eq(end_of(argv, text, sizeof(text)), 0);
	argv[2 + 2 * OPTIONS_MAX_DISKS] = "-d";
	argv[3 + 2 * OPTIONS_MAX_DISKS] = "disk";
	ck_assert_int_eq(end_of(argv, text, sizeof(text)), VMM_EX_USAGE);
}
END_TEST

/* What the guest has room for, the ending NUL included, fits; one more does not. */
START_TEST(longest_command_line)
{
	const size_t fits = ALIAS_CMDLINE_SIZE - 1 - strlen("flush=trap ");
	char *word = malloc(fits + 2), text[4096];
	struct options opt;
	const char *const argv[] = {"vmm", "g", "--", word, NULL};

	memset(word, 'x', fits + 1);
	word[fits] = '\0';
	ck_assert_int_eq(end_of(argv, text, sizeof(text)), 0);
	word[fits] = 'x';
	word[fits + 1] = '\0';
	ck_assert_int_eq(end_of(argv, text, sizeof(text)), VMM_EX_USAGE);
	ck_assert_ptr_nonnull(strstr(text, "2048 characters, and at most 2047"));
	/* That of a Linux is another. */
	PARSE(&opt, "vmlinuz", "--", word);
	ck_assert_int_eq(options_for_linux(&opt, 4095), 0);
	options_free(&opt);
	free(word);
}
END_TEST

START_TEST(help_lists_all_statuses)
{
	static const char *const statuses[] = {"0..63", "64 ", "65 ", "66 ", "69 ", "70 ",  "71 ",
					       "74 ",   "75 ", "80 ", "81 ", "82 ", "128+N"};
	const char *const argv[] = {"vmm", "--help", NULL};
	char text[8192];

	ck_assert_int_eq(end_of(argv, text, sizeof(text)), 0);
	for (int i = 0; i < NR_OF(statuses); i++)
		ck_assert_msg(strstr(text, statuses[i]) != NULL, "%s", statuses[i]);
}
END_TEST

START_TEST(version)
{
	const char *const argv[] = {"vmm", "-V", NULL};
	char text[256], expected[64];

	ck_assert_int_eq(end_of(argv, text, sizeof(text)), 0);
	snprintf(expected, sizeof(expected), "vmm %s\n", options_version());
	ck_assert_str_eq(text, expected);
}
END_TEST

static const struct {
	const char *text;
	bool valid;
	uint64_t bytes;
} sizes[] = {
	{"64", true, 64ull << 20},
	{"1K", true, 1ull << 10},
	{"1M", true, 1ull << 20},
	{"3G", true, 3ull << 30},
	{"2T", true, 2ull << 40},
	{"0", true, 0},
	{"16777215T", true, 16777215ull << 40},
	{"16777216T", false, 0},
	{"17592186044415", true, 17592186044415ull << 20},
	{"17592186044416", false, 0},
	{"18446744073709551616", false, 0},
	{"", false, 0},
	{"M", false, 0},
	{"1k", false, 0},
	{"1m", false, 0},
	{"1MB", false, 0},
	{"1 M", false, 0},
	{" 1M", false, 0},
	{"+1M", false, 0},
	{"-1M", false, 0},
	{"0x10M", false, 0},
	{"1.5G", false, 0},
	{"1P", false, 0},
};

START_TEST(size_suffixes)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(parse_size(sizes[_i].text, &bytes), sizes[_i].valid);
	if (sizes[_i].valid)
		ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

START_TEST(a_linux_gets_its_own)
{
	struct options opt;

	PARSE(&opt, "-i", "initrd", "vmlinuz", "--", "quiet", "cmd=\"a b\"");
	ck_assert_str_eq(opt.initrd, "initrd");
	ck_assert_int_eq(options_for_linux(&opt, 2047), 0);
	ck_assert_str_eq(opt.bootargs, OPTIONS_LINUX_CMDLINE " quiet cmd=\"a b\"");
	ck_assert_uint_eq(opt.mem, 256 << 20);
	options_free(&opt);
	PARSE(&opt, "-m", "64M", "vmlinuz");
	ck_assert_int_eq(options_for_linux(&opt, 2047), 0);
	ck_assert_str_eq(opt.bootargs, OPTIONS_LINUX_CMDLINE);
	ck_assert_uint_eq(opt.mem, 64 << 20);
	options_free(&opt);
}
END_TEST

START_TEST(a_linux_command_line_has_an_end)
{
	struct options opt;
	uint32_t length = strlen(OPTIONS_LINUX_CMDLINE " abc");

	PARSE(&opt, "vmlinuz", "--", "abc");
	ck_assert_int_eq(options_for_linux(&opt, length), 0);
	options_free(&opt);
	PARSE(&opt, "vmlinuz", "--", "abc");
	ck_assert_int_eq(options_for_linux(&opt, length - 1), -EINVAL);
	options_free(&opt);
}
END_TEST

/* What a Linux has no use for is refused, and so is what a guest of ours has none for. */
START_TEST(options_that_do_not_fit)
{
	static const char *const own[][2] = {
		{"-f", "trap"},
		{"-t", "dirty"},
		{"--audit", "9"},
		{"--on-violation", "report"},
		{"--flush-proof", "guest"},
		{"--verify", "-v"},
	};
	struct options opt;

	for (int i = 0; i < NR_OF(own); i++) {
		PARSE(&opt, own[i][0], own[i][1], "vmlinuz");
		ck_assert_int_eq(options_for_linux(&opt, 2047), -EINVAL);
		ck_assert_int_eq(options_for_guest(&opt), 0);
		options_free(&opt);
	}
	PARSE(&opt, "-i", "initrd", "g.elf");
	ck_assert_int_eq(options_for_guest(&opt), -EINVAL);
	options_free(&opt);
}
END_TEST

TCase *options_tests(void)
{
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, defaults);
	tcase_add_test(tc, everything_at_once);
	tcase_add_test(tc, log_and_its_audits);
	tcase_add_test(tc, verify_every_pin);
	tcase_add_test(tc, option_after_the_guest);
	tcase_add_test(tc, guest_behind_the_dashes);
	tcase_add_test(tc, probe_needs_no_guest);
	tcase_add_loop_test(tc, refused, 0, NR_OF(wrong));
	tcase_add_test(tc, too_many_disks);
	tcase_add_test(tc, longest_command_line);
	tcase_add_test(tc, help_lists_all_statuses);
	tcase_add_test(tc, version);
	tcase_add_test(tc, a_linux_gets_its_own);
	tcase_add_test(tc, a_linux_command_line_has_an_end);
	tcase_add_test(tc, options_that_do_not_fit);
	tcase_add_loop_test(tc, size_suffixes, 0, NR_OF(sizes));
	return tc;
}
