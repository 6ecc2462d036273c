/* SPDX-License-Identifier: MIT */
/* An unmodified Linux as guest, in few boots. Its kernel and initramfs are those of `make linux`.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"
#include "terminal.h"

/* "BUILD/kvm-machine/NAME"; never freed. */
static const char *path_of(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "../kvm-machine/%s", name);
	return path_in_tests(path);
}

static const char *vmlinuz(void)
{
	return path_of("vmlinuz");
}

static const char *initramfs(void)
{
	return path_of("linux/initramfs");
}

static void run_linux(struct run *run, const char *const args[])
{
	const char *argv[32] = {path_vmm(), "--stats", tmp_file("stats.json"), "--timeout", "100"};

	unlink(tmp_file("stats.json"));
	for (size_t i = 0; args[i]; i++)
		argv[5 + i] = args[i];
	run_program(run, NULL, argv);
	run->stats = json_load_file(tmp_file("stats.json"), 0, NULL);
}

#define RUN_LINUX(run, ...) run_linux(run, (const char *const[]){__VA_ARGS__, NULL})

/* The output of a shell command that succeeds, given as for printf(); never freed. */
__attribute__((format(printf, 1, 2))) static const char *output_of(const char *fmt, ...)
{
	char command[2048];
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	struct run run;
	va_list args;

	va_start(args, fmt);
	ck_assert_int_lt(vsnprintf(command, sizeof(command), fmt, args), (int)sizeof(command));
	va_end(args);
	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	return run.out;
}

/* vmlinuz, one vCPU. Its root is an ext4 on a disk, where what the guest wrote is found afterwards;
 * another disk is read as a whole. With all its messages it costs few exits, and the vmm takes
 * less than 3 MiB beside the guest's memory. */
START_TEST(root_on_a_disk)
{
	const char *root = tmp_file("root.img"), *data = tmp_file("data.img"), *sum;
	char disk[128];
	struct run run;

	output_of("cp '%s' '%s'", path_of("linux/root.img"), root);
	sum = output_of("head -c 3000320 /dev/urandom >%s && sha256sum <%s | head -c 64", data,
			data);
	snprintf(disk, sizeof(disk), "%s,ro", data);
	RUN_LINUX(&run, "-i", initramfs(), "-d", root, "-d", disk, vmlinuz(), "--",
		  "root=/dev/vda");
	expect_status(&run, 0);
	expect_contains(run.out, "Linux version");
	expect_contains(run.out, "root_on_a_disk: 1 CPU");
	expect_contains(run.out, sum);
	ck_assert_int_lt(stat_of(&run, "exits.mmio"), 1500);
	/* Ubuntu's kernel also looks for what kind of a 16550 it has. */
	ck_assert_int_lt(stat_of(&run, "exits.runs") - stat_of(&run, "exits.mmio"), 1200);
	if (!strstr(run.out, "Ubuntu"))
		ck_assert_int_lt(stat_of(&run, "exits.runs"), 2000);
	ck_assert_int_lt(stat_of(&run, "memory.vmm_beyond_guest_bytes"), 3 << 20);
	ck_assert_ptr_null(json_object_get(run.stats, "pins"));
	ck_assert_ptr_null(json_object_get(json_object_get(run.stats, "options"), "track"));
	output_of("PATH=$PATH:/usr/sbin:/sbin e2fsck -fn %s 2>&1", root);
	ck_assert_str_eq(
		output_of("PATH=$PATH:/usr/sbin:/sbin debugfs -R 'cat /written' %s 2>/dev/null",
			  root),
		"by a Linux under vmm\n");
	run_free(&run);
}
END_TEST

static void ctl(const char *socket, const char *request, const char *name, const char *answers)
{
	const char *const argv[] = {path_vmm(), "ctl", socket, request, name, NULL};
	struct run run;

	run_program(&run, NULL, argv);
	expect_contains(*run.out ? run.out : run.err, answers);
	run_free(&run);
}

/* vmlinux by its PVH entry, two vCPUs, a shell on a terminal that changes its size; then a reboot.
 */
START_TEST(a_shell)
{
	const char *socket = tmp_file("control");
	struct terminal t;

	START(&t, "-c2", "-m128M", "--timeout", "100", "--control", socket, "-i", initramfs(),
	      path_of("linux/vmlinux"), "--", "quiet");
	terminal_wait_for(&t, "Leave with");
	terminal_expect_raw(&t);
	terminal_expect(&t, "echo CPUs $(nproc) a''b\r", "CPUs 2 ab");
	terminal_expect(&t, "while ! stty size | grep -q '24 80'; do :; done; echo fi''rst\r",
			"first");
	terminal_resize(&t, 123, 45);
	terminal_expect(&t, "while ! stty size | grep -q '45 123'; do :; done; echo siz''ed\r",
			"sized");
	ctl(socket, "pause", NULL, "true");
	ctl(socket, "statistics", NULL, "\"mmio\"");
	ctl(socket, "audit", "--json", "direct_map");
	ctl(socket, "resume", NULL, "false");
	ctl(socket, "audit", "--json", "\"kind\": \"table\"");
	ctl(socket, "audit", NULL, " page tables have another mapping, and can be written");
	ctl(socket, "audit", NULL, " kernel, by a 2 MiB leaf in the kernel image's window");
	ctl(socket, "strategy", "trap", "the guest is Linux");
	terminal_expect(&t, "reboot -f\r", "the guest asks for a reset");
	ck_assert_int_eq(terminal_end(&t), 84);
}
END_TEST

/* Input that is there before the guest runs, and is more than all buffers on the way hold, arrives
 * whole. */
START_TEST(typed_ahead)
{
	const char *const argv[] = {path_vmm(), "--timeout", "100",     "-c2",
				    "-i",       initramfs(), vmlinuz(), NULL};
	const char *input = output_of("echo 'stty -echo; cat >/sent'; seq 100000 116000;"
				      "printf '\\004'; echo 'md5sum </sent; poweroff -f'");
	const char *sum = output_of("seq 100000 116000 | md5sum | head -c 32");
	struct run run;

	run_program(&run, input, argv);
	expect_status(&run, 0);
	expect_contains(run.out, sum);
	run_free(&run);
}
END_TEST

/* A wanted reboot, which has nothing to print, is no reason to wonder where the output is. */
START_TEST(a_silent_reboot)
{
	struct run run;

	RUN_LINUX(&run, "-i", initramfs(), vmlinuz(), "--", "quiet", "cmd=\"reboot -f\"");
	expect_status(&run, 84);
	/* Some kernels have a driver of the console that still prints this line then. */
	if (*run.out)
		expect_contains(run.out, "reboot: Restarting system");
	ck_assert_ptr_eq(strchr(run.out, '\n'), strrchr(run.out, '\n'));
	expect_one_sentence(&run, "the guest asks for a reset");
	run_free(&run);
}
END_TEST

/* Told by pvpanic, whose driver is in the initramfs; and without a root, by the reset that follows.
 */
START_TEST(panics)
{
	struct run run;

	if (_i == 0)
		RUN_LINUX(&run, "-i", initramfs(), path_of("linux/vmlinux"), "--", "quiet",
			  "cmd=\"echo c >/proc/sysrq-trigger\"");
	else
		RUN_LINUX(&run, vmlinuz(), "--", "quiet");
	expect_status(&run, _i == 0 ? 85 : 84);
	if (_i == 0) {
		expect_one_sentence(&run, "reports a panic");
	} else {
		expect_contains(run.err, "asks for a reset");
		/* Where its console's driver is a module: */
		if (!*run.out)
			expect_contains(run.err, "has printed nothing: after -- console=ttyS0");
	}
	run_free(&run);
}
END_TEST

/* At once: it is seen before the guest has a console. */
START_TEST(leaving_early)
{
	struct terminal t;

	START(&t, "--timeout", _i == 0 ? "100" : "1", vmlinuz());
	if (_i == 0)
		terminal_expect(&t, "abc\001x", "ended from the console");
	ck_assert_int_eq(terminal_end(&t), _i == 0 ? 82 : 75);
}
END_TEST

static const struct {
	const char *what;
	const char *option, *value;
	int status;
	const char *says;
} refusals[] = {
	{"an option for guests that pin", "-t", "scan", 64, "--track is not for Linux"},
	{"a strategy", "-f", "trap", 64, "--flush is not for Linux"},
	{"too little memory", "-m", "64M", 65, "more than --mem gives"},
	{"no such initrd", "-i", "/nowhere", 66, "/nowhere"},
	{"a folder for an initrd", "-i", "/", 65, "not a regular file"},
	{"an empty initrd", "-i", "/dev/null", 65, "not a regular file"},
	{"no such names", "--symbols", "/nowhere", 66, "/nowhere"},
	{"a folder for names", "--symbols", "/", 66, "can't be read"},
	{"a file without names", "--symbols", "/dev/null", 65, "no addresses of a kernel"},
	{"names that are no text", "--symbols", "/dev/zero", 65, "no addresses of a kernel"},
};

START_TEST(refused)
{
	struct run run;

	RUN_LINUX(&run, refusals[_i].option, refusals[_i].value, vmlinuz());
	expect_status(&run, refusals[_i].status);
	expect_one_sentence(&run, refusals[_i].says);
	run_free(&run);
}
END_TEST

/* However much of the memory the kernel takes: the file is larger than all of it. */
START_TEST(initrd_too_large)
{
	const char *initrd = tmp_file("initrd");
	struct run run;

	output_of("truncate -s 129M '%s'", initrd);
	RUN_LINUX(&run, "-i", initrd, "-m", "128M", vmlinuz());
	expect_status(&run, 65);
	expect_one_sentence(&run, "does not fit");
	run_free(&run);
}
END_TEST

/* Of the real kernel's file: through the boot header, and in the middle of what it says it has. */
START_TEST(cut_short)
{
	static const off_t lengths[] = {0,     0x1f1, 0x202, 0x206,  0x236,
					0x250, 0x264, 20000, 1 << 20};
	const char *cut = tmp_file("cut");

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct run run;

		output_of("head -c %jd '%s' >'%s'", (intmax_t)lengths[i], vmlinuz(), cut);
		RUN_LINUX(&run, cut);
		expect_status(&run, 65);
		expect_one_sentence(&run, cut);
		run_free(&run);
	}
}
END_TEST

Suite *linux_suite(void)
{
	Suite *suite = suite_create("linux");
	TCase *disk = tcase_create("disk"), *shell = tcase_create("shell");
	TCase *ends = tcase_create("ends");

	tcase_set_timeout(disk, 150);
	tcase_add_test(disk, root_on_a_disk);
	suite_add_tcase(suite, disk);
	tcase_set_timeout(shell, 150);
	tcase_add_test(shell, a_shell);
	tcase_add_test(shell, typed_ahead);
	suite_add_tcase(suite, shell);
	tcase_set_timeout(ends, 150);
	tcase_add_test(ends, a_silent_reboot);
	tcase_add_loop_test(ends, panics, 0, 2);
	tcase_add_loop_test(ends, leaving_early, 0, 2);
	tcase_add_loop_test(ends, refused, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(ends, initrd_too_large);
	tcase_add_test(ends, cut_short);
	suite_add_tcase(suite, ends);
	return suite;
}
