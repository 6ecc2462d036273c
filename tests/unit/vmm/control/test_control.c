/* SPDX-License-Identifier: MIT */
/* The control socket: who may use it, what it refuses, and clients that misbehave. A machine with
 * memory and a tracker, and but for one test without vCPUs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/kvm.h>
#include "control/control.h"
#include "control/map_svg.h"
#include "control/request.h"
#include "fake_kvm.h"
#include "kvm/vcpu.h"
#include "live_audit.h"
#include "machine.h"
#include "pin/pin.h"
#include "suites.h"

#define FRAMES (4ll << 20 >> 12)

static char folder[] = "/tmp/unit-vmm-XXXXXX";
static char path[64];
static struct options opt;
static struct machine machine;
static struct pin *pin;
static struct live_audit *audit;
static struct control_target target;
static struct control *control;

static void start_machine(enum alias_strategy flush, enum track_mode track)
{
	opt = (struct options){.flush = flush, .track = track, .guest = "g", .bootargs = ""};
	memset(&machine, 0, sizeof(machine));
	machine.opt = &opt;
	vcpu_pause_init(&machine.vm.pause);
	ck_assert_int_eq(memory_init(&machine.vm.mem, 4 << 20), 0);
	pin = pin_create(&machine);
	ck_assert_ptr_nonnull(pin);
	target = (struct control_target){&machine, pin, &audit};
}

static void end_machine(void)
{
	live_audit_free(audit);
	audit = NULL;
	pin_free(pin);
	memory_free(&machine.vm.mem);
	vcpu_pause_destroy(&machine.vm.pause);
}

static void set_up(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	start_machine(ALIAS_FLUSH_TRAP, TRACK_SCAN);
	control = NULL;
}

static void tear_down(void)
{
	control_close(control);
	end_machine();
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

/* --- requests --------------------------------------------------------------------------------- */

static json_t *ask(const char *line)
{
	json_t *answer = control_request(&target, line, strlen(line));

	ck_assert_ptr_nonnull(answer);
	return answer;
}

static void expect_refusal(const char *line, const char *part)
{
	json_t *answer = ask(line);
	const char *why = json_string_value(json_object_get(answer, "error"));

	ck_assert_msg(why && strstr(why, part) && json_object_size(answer) == 1,
		      "%s: refused by \"%s\", not \"%s\"", line, why ? why : "(nothing)", part);
	json_decref(answer);
}

static void expect_string(const char *line, const char *name, const char *value)
{
	json_t *answer = ask(line);

	ck_assert_ptr_null(json_object_get(answer, "error"));
	ck_assert_str_eq(json_string_value(json_object_get(answer, name)), value);
	json_decref(answer);
}

START_TEST(what_is_no_request)
{
	static const char *const lines[][2] = {
		{"", "not JSON"},
		{"\xff\xfe", "not JSON"},
		{"{", "not JSON"},
		{"{\"do\":\"pause\"} x", "not JSON"},
		{"{\"do\":\"pause\",\"do\":\"resume\"}", "not JSON"},
		{"[]", "an object with a member do"},
		{"{}", "an object with a member do"},
		{"{\"do\":7}", "an object with a member do"},
		{"{\"do\":\"dance\"}", "no such request"},
		{"{\"do\":\"pause\",\"name\":\"x\"}", "no further members"},
		{"{\"do\":\"audit\",\"name\":\"x\"}", "no further members"},
		{"{\"do\":\"report\",\"name\":\"x\"}", "no further members"},
		{"{\"do\":\"statistics\",\"pfn\":1}", "no further members"},
		{"{\"do\":\"strategy\"}", "name: a string"},
		{"{\"do\":\"strategy\",\"name\":7}", "name: a string"},
		{"{\"do\":\"strategy\",\"name\":\"trap\",\"x\":1}", "name: a string"},
		{"{\"do\":\"track\",\"nam\":\"scan\"}", "name: a string"},
		{"{\"do\":\"frame\",\"pfn\":\"1\"}", "a whole number"},
		{"{\"do\":\"map\",\"file\":\"x\"}", "no further members"},
		{"{\"do\":\"frame\",\"pfn\":1.5}", "a whole number"},
		{"{\"do\":\"frame\",\"pfn\":-1}", "no such frame"},
		{"{\"do\":\"frame\",\"pfn\":1024}", "no such frame"},
		{"{\"do\":\"frame\",\"pfn\":9223372036854775807}", "no such frame"},
		{"{\"do\":\"frame\",\"pfn\":9223372036854775808}", "not JSON"},
		{"{\"do\":\"track\",\"name\":\"off\"}", "at the start"},
		{"{\"do\":\"track\",\"name\":\"strict\"}",
		 "track strict can only be chosen at the start: vmm --track strict"},
		{"{\"do\":\"strategy\",\"name\":\"none\"}", "at the start"},
		{"{\"do\":\"strategy\",\"name\":\"lazy\"}", "no strategy of that name"},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_refusal(lines[i][0], lines[i][1]);
	ck_assert(!machine.vm.pause.held);
}
END_TEST

START_TEST(a_map_has_a_letter_for_each_frame)
{
	json_t *answer = ask("{\"do\":\"map\"}");
	const char *cells = json_string_value(json_object_get(answer, "cells"));

	ck_assert_int_eq(json_integer_value(json_object_get(answer, "frames")), FRAMES);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "frames_per_cell")), 1);
	ck_assert_uint_eq(strlen(cells), FRAMES);
	ck_assert_uint_eq(strspn(cells, "."), FRAMES);
	ck_assert_int_eq(map_svg_write(answer, path), 0);
	ck_assert_int_eq(unlink(path), 0);
	json_decref(answer);
}
END_TEST

/* A page table counts by its alias, stale or not; the letters are those of the picture. */
START_TEST(what_a_map_counts)
{
	json_t *answer = json_pack("{s:i, s:s}", "frames", 8, "cells", ".m1AASSS");
	char text[16384] = "";
	FILE *file;

	ck_assert_int_eq(map_svg_write(answer, path), 0);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, ">3 cells with page tables, 2 of them with an alias<"));
	ck_assert_ptr_nonnull(strstr(text, ">3 others with a stale alias<"));
	ck_assert_int_eq(unlink(path), 0);
	json_decref(answer);
}
END_TEST

START_TEST(what_is_no_map)
{
	static const char *const answers[] = {
		"{}",
		"{\"frames\": 2, \"cells\": \".\"}",
		"{\"frames\": 2, \"cells\": \".?\"}",
		"{\"frames\": -1, \"cells\": \".\"}",
		"{\"frames\": 9223372036854775807, \"cells\": \"\"}",
		"{\"frames\": \"2\", \"cells\": 7}",
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		json_t *answer = json_loads(answers[i], 0, NULL);

		ck_assert_int_ne(map_svg_write(answer, path), 0);
		ck_assert_int_lt(access(path, F_OK), 0);
		json_decref(answer);
	}
}
END_TEST

/* Not `none`, which is what a guest has stored that has not begun. */
START_TEST(the_strategy_before_the_guest_begins)
{
	json_t *answer = ask("{\"do\":\"statistics\"}");
	const json_t *guest = json_object_get(answer, "guest");

	ck_assert_str_eq(json_string_value(json_object_get(guest, "strategy")),
			 flush_name(opt.flush));
	json_decref(answer);
}
END_TEST

START_TEST(a_wish_is_stored)
{
	struct alias_common_page *page = memory_ptr(&machine.vm.mem, SHARED_GPA, ALIAS_PAGE_SIZE);

	expect_refusal("{\"do\":\"strategy\",\"name\":\"eager\"}", "not begun yet");
	ck_assert_uint_eq(page->wanted_strategy, 0);
	page->strategy = ALIAS_FLUSH_TRAP;
	expect_string("{\"do\":\"strategy\",\"name\":\"eager\"}", "strategy", "trap");
	ck_assert_uint_eq(page->wanted_strategy, ALIAS_FLUSH_EAGER);
	page->strategy = 12345; /* the guest's word: never trusted */
	expect_string("{\"do\":\"strategy\",\"name\":\"trap-range\"}", "strategy", "unknown");
}
END_TEST

START_TEST(who_does_not_read)
{
	struct alias_common_page *page;

	end_machine();
	start_machine(ALIAS_FLUSH_EAGER, TRACK_OFF);
	page = memory_ptr(&machine.vm.mem, SHARED_GPA, ALIAS_PAGE_SIZE);
	page->strategy = ALIAS_FLUSH_EAGER;
	expect_refusal("{\"do\":\"strategy\",\"name\":\"trap\"}", "needs the host's checks");
	expect_string("{\"do\":\"strategy\",\"name\":\"nolazy\"}", "wanted", "nolazy");
	expect_refusal("{\"do\":\"track\",\"name\":\"dirty\"}", "was started with --track off");
	expect_refusal("{\"do\":\"frame\",\"pfn\":1}", "was started with --track off");
	end_machine();
	start_machine(ALIAS_FLUSH_NONE, TRACK_SCAN);
	expect_refusal("{\"do\":\"strategy\",\"name\":\"trap\"}", "--flush none");
}
END_TEST

static void expect_text(const char *text, const char *begin, const char *has)
{
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(!strncmp(text, begin, strlen(begin)) && strstr(text, has), "%s", text);
}

START_TEST(what_is_done)
{
	json_t *answer;

	expect_string("{\"do\":\"track\",\"name\":\"dirty\"}", "track", "dirty");
	expect_string("{\"do\":\"track\",\"name\":\"scan\"}", "track", "scan");
	answer = ask("{\"do\":\"pause\"}");
	ck_assert(json_is_true(json_object_get(answer, "paused")));
	ck_assert(machine.vm.pause.held);
	json_decref(answer);
	answer = ask("{\"do\":\"resume\"}");
	ck_assert(json_is_false(json_object_get(answer, "paused")));
	ck_assert(!machine.vm.pause.held);
	json_decref(answer);
	/* Without vCPUs there are no roots, and that is said. */
	for (unsigned i = 0; i < 2; i++) {
		answer = ask("{\"do\":\"audit\"}");
		ck_assert(json_is_object(json_object_get(answer, "looked_at")));
		ck_assert_uint_eq(json_array_size(json_object_get(answer, "findings")), 0);
		ck_assert_uint_ge(json_array_size(json_object_get(answer, "doubts")), 1);
		ck_assert(!machine.vm.pause.held);
		json_decref(answer);
	}
	answer = ask("{\"do\":\"report\"}");
	ck_assert_uint_eq(json_object_size(answer), 1);
	expect_text(json_string_value(json_object_get(answer, "report")),
		    "No page table was found: there is no answer.\n", "Looked at:\n");
	ck_assert(!machine.vm.pause.held);
	json_decref(answer);
	answer = ask("{\"do\":\"frame\",\"pfn\":1023}");
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "pfn")), FRAMES - 1);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "pinned_level")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "aliases")), 0);
	json_decref(answer);
	answer = ask("{\"do\":\"statistics\"}");
	ck_assert(json_is_null(json_object_get(answer, "status")));
	ck_assert(json_is_object(json_object_get(answer, "pins")));
	json_decref(answer);
}
END_TEST

START_TEST(a_long_report_is_cut_between_lines)
{
	char *whole, *text;
	size_t cut;

	audit = live_audit_new(&machine);
	whole = live_audit_text(audit, 1 << 20);
	cut = strlen(whole) - 1;
	text = live_audit_text(audit, cut);
	expect_text(text, "No page table was found", "\n(and more, which is left out)\n");
	ck_assert_uint_lt(strlen(text), cut);
	for (char *line = strtok(text, "\n"), *last = NULL; line; line = strtok(NULL, "\n")) {
		if (last && !strstr(last, "  time "))
			ck_assert_msg(strstr(whole, last), "%s", last);
		last = line;
	}
	free(text);
	free(whole);
}
END_TEST

static int in_long_mode(int fd, unsigned long request, void *arg)
{
	(void)fd;
	if (request != KVM_GET_SREGS)
		return FAKE_PASS;
	*(struct kvm_sregs *)arg =
		(struct kvm_sregs){.cr0 = 0x80050033, .cr3 = 0x1000, .cr4 = 0x20, .efer = 0xd01};
	return 0;
}

/* What the watch says when it looks now. */
static const char *watched(void)
{
	static char text[4096];
	int fds[2], kept = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	live_audit_say_changes(audit);
	dup2(kept, STDERR_FILENO);
	n = read(fds[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	close(fds[1]);
	close(kept);
	return text;
}

/* Of a page that is writable and executable. */
START_TEST(the_watch_tells_what_a_request_saw_first)
{
	struct vcpu vcpu = {.fd = -1, .vm = &machine.vm};
	uint64_t *leaf = memory_ptr(&machine.vm.mem, 0x4000 + 8 * 256, 8);

	machine.vm.vcpus = &vcpu;
	machine.vm.nr_vcpus = 1;
	for (uint64_t table = 0x1000; table < 0x4000; table += 0x1000)
		*(uint64_t *)memory_ptr(&machine.vm.mem, table + 8 * 256, 8) = (table + 0x1000) | 3;
	fake_kvm = in_long_mode;
	audit = live_audit_new(&machine);
	ck_assert_str_eq(watched(), "");
	*leaf = 0x5003;
	json_decref(ask("{\"do\":\"audit\"}"));
	ck_assert_ptr_nonnull(strstr(watched(), "watch: + frame executable and writable: 0x5 at "));
	ck_assert_str_eq(watched(), "");
	*leaf = 0;
	json_decref(ask("{\"do\":\"audit\"}"));
	ck_assert_ptr_nonnull(strstr(watched(), "watch: - frame executable and writable: 0x5 at "));
	fake_kvm = NULL;
}
END_TEST

/* --- the socket ------------------------------------------------------------------------------- */

static int connect_client(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* The main loop, until nothing is left to do. */
static void serve(void)
{
	struct pollfd fds[CONTROL_NR_FDS];

	for (;;) {
		control_poll(control, fds);
		if (poll(fds, CONTROL_NR_FDS, 0) <= 0)
			return;
		control_serve(control, &target, fds);
	}
}

static void send_text(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* What has been sent to the client by now. */
static const char *received(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(private_and_gone_afterwards)
{
	struct stat st;

	control = control_open(path);
	ck_assert_ptr_nonnull(control);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	control_close(control);
	control = NULL;
	ck_assert_int_lt(stat(path, &st), 0);
}
END_TEST

START_TEST(what_is_there_stays)
{
	FILE *file = fopen(path, "w");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	ck_assert_ptr_nonnull(file);
	fclose(file);
	ck_assert_ptr_null(control_open(path)); /* a file */
	ck_assert_int_eq(unlink(path), 0);
	control = control_open(path);
	ck_assert_ptr_nonnull(control);
	ck_assert_ptr_null(control_open(path)); /* in use */
	close(connect_client());
	control_close(control);
	/* One that nobody listens at any more gives way. */
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	control = control_open(path);
	ck_assert_ptr_nonnull(control);
	/* And what took our place is not ours to remove. */
	ck_assert_int_eq(unlink(path), 0);
	file = fopen(path, "w");
	fclose(file);
	control_close(control);
	control = NULL;
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(lines_in_pieces_and_many_at_once)
{
	int fd;

	control = control_open(path);
	fd = connect_client();
	send_text(fd, "{\"do\":\"pa");
	serve();
	ck_assert_str_eq(received(fd), "");
	send_text(fd, "use\"}\n{\"do\":\"resume\"}\n\nx\n{\"do\":\"pause\"");
	serve();
	ck_assert_str_eq(received(fd), "{\"paused\":true}\n{\"paused\":false}\n"
				       "{\"error\":\"this line is not JSON\"}\n"
				       "{\"error\":\"this line is not JSON\"}\n");
	close(fd); /* in the middle of a line */
	serve();
	ck_assert(!machine.vm.pause.held);
}
END_TEST

START_TEST(a_line_that_is_too_long)
{
	static char blank[CONTROL_MAX_LINE / 2];
	int fd;

	memset(blank, ' ', sizeof(blank));
	control = control_open(path);
	fd = connect_client();
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(write(fd, blank, sizeof(blank)), sizeof(blank));
		serve();
	}
	ck_assert_str_eq(received(fd), "{\"error\":\"this line is longer than 64 KiB\"}\n");
	send_text(fd, "\n{\"do\":\"resume\"}\n");
	serve();
	ck_assert_str_eq(received(fd), "{\"paused\":false}\n");
	close(fd);
}
END_TEST

START_TEST(four_clients_and_no_more)
{
	int fd[CONTROL_MAX_CLIENTS + 1];

	control = control_open(path);
	for (int i = 0; i <= CONTROL_MAX_CLIENTS; i++)
		fd[i] = connect_client();
	serve();
	ck_assert_str_eq(received(fd[CONTROL_MAX_CLIENTS]),
			 "{\"error\":\"there are four clients already\"}\n");
	close(fd[0]);
	close(fd[CONTROL_MAX_CLIENTS]);
	serve();
	fd[0] = connect_client();
	send_text(fd[0], "{\"do\":\"resume\"}\n");
	serve();
	ck_assert_str_eq(received(fd[0]), "{\"paused\":false}\n");
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fd[i]);
	serve();
}
END_TEST

/* A client that asks and asks and never reads is not read from any more; others don't notice. */
START_TEST(a_client_that_does_not_read)
{
	static const char line[] = "{\"do\":\"statistics\"}\n";
	int deaf, other;
	long sent = 0;

	control = control_open(path);
	deaf = connect_client();
	other = connect_client();
	while (send(deaf, line, sizeof(line) - 1, MSG_DONTWAIT) == sizeof(line) - 1) {
		ck_assert_int_lt(sent++, 1000000);
		serve();
	}
	ck_assert_int_eq(errno, EAGAIN);
	send_text(other, "{\"do\":\"resume\"}\n");
	serve();
	ck_assert_str_eq(received(other), "{\"paused\":false}\n");
	close(deaf);
	serve();
	close(other);
}
END_TEST

TCase *control_tests(void)
{
	TCase *tc = tcase_create("control");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_is_no_request);
	tcase_add_test(tc, a_map_has_a_letter_for_each_frame);
	tcase_add_test(tc, what_a_map_counts);
	tcase_add_test(tc, what_is_no_map);
	tcase_add_test(tc, the_strategy_before_the_guest_begins);
	tcase_add_test(tc, a_wish_is_stored);
	tcase_add_test(tc, who_does_not_read);
	tcase_add_test(tc, what_is_done);
	tcase_add_test(tc, a_long_report_is_cut_between_lines);
	tcase_add_test(tc, the_watch_tells_what_a_request_saw_first);
	tcase_add_test(tc, private_and_gone_afterwards);
	tcase_add_test(tc, what_is_there_stays);
	tcase_add_test(tc, lines_in_pieces_and_many_at_once);
	tcase_add_test(tc, a_line_that_is_too_long);
	tcase_add_test(tc, four_clients_and_no_more);
	tcase_add_test(tc, a_client_that_does_not_read);
	return tc;
}
