/* SPDX-License-Identifier: MIT */
/* GDB's packets, read byte by byte from a peer that may send anything, and the table of registers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "gdb/gdb.h"
#include "gdb/internal.h"
#include "gdb/packet.h"
#include "fake_kvm.h"
#include "gdb/registers.h"
#include "gdb/target.h"
#include "kvm/vm.h"
#include "suites.h"

static struct gdb_reader reader;

static void set_up(void)
{
	memset(&reader, 0, sizeof(reader));
}

/* The event of the last byte; those before are nothing. */
static enum gdb_event feed(const char *bytes, size_t nr)
{
	enum gdb_event event = GDB_NOTHING;

	for (size_t i = 0; i < nr; i++) {
		ck_assert_int_eq(event, GDB_NOTHING);
		event = gdb_reader_feed(&reader, (uint8_t)bytes[i]);
	}
	return event;
}

static enum gdb_event feed_text(const char *text)
{
	return feed(text, strlen(text));
}

/* The packet that holds this data, whose checksum is right. */
static enum gdb_event feed_packet(const char *data)
{
	uint8_t sum = 0;
	char end[4];

	for (const char *c = data; *c; c++)
		sum += (uint8_t)*c;
	snprintf(end, sizeof(end), "#%02x", sum);
	ck_assert_int_eq(feed_text("$"), GDB_NOTHING);
	ck_assert_int_eq(feed_text(data), GDB_NOTHING);
	return feed_text(end);
}

START_TEST(a_packet_is_read)
{
	ck_assert_int_eq(feed_text("+"), GDB_NOTHING);
	ck_assert_int_eq(feed_packet("m100,4"), GDB_PACKET);
	ck_assert_str_eq(reader.data, "m100,4");
	ck_assert_int_eq(feed_packet(""), GDB_PACKET);
	ck_assert_uint_eq(reader.len, 0);
}
END_TEST

START_TEST(escaped_bytes_are_what_they_stand_for)
{
	ck_assert_int_eq(feed_packet("}\x03}]"), GDB_PACKET);
	ck_assert_uint_eq(reader.len, 2);
	ck_assert_mem_eq(reader.data, "#}", 2);
}
END_TEST

START_TEST(damage_is_noticed)
{
	ck_assert_int_eq(feed_text("$g#68"), GDB_DAMAGED);
	ck_assert_int_eq(feed_text("$g#6x"), GDB_DAMAGED);
	ck_assert_int_eq(feed_text("$g#67"), GDB_PACKET);
}
END_TEST

START_TEST(a_packet_that_is_too_long_is_damaged_and_forgotten)
{
	static char data[GDB_PACKET_MAX + 2];

	memset(data, 'a', GDB_PACKET_MAX);
	ck_assert_int_eq(feed_packet(data), GDB_PACKET);
	ck_assert_uint_eq(reader.len, GDB_PACKET_MAX);
	data[GDB_PACKET_MAX] = 'a';
	ck_assert_int_eq(feed_packet(data), GDB_DAMAGED);
	ck_assert_int_eq(feed_packet("g"), GDB_PACKET);
}
END_TEST

START_TEST(ctrl_c_counts_between_packets)
{
	ck_assert_int_eq(feed_text("\x03"), GDB_INTERRUPT);
	ck_assert_int_eq(feed_text("-"), GDB_NACK);
	ck_assert_int_eq(feed_packet("\x03"), GDB_PACKET);
}
END_TEST

START_TEST(a_reply_is_framed)
{
	static struct gdb_reply reply;
	static char out[GDB_PACKET_MAX + 4];

	reply = (struct gdb_reply){0};
	gdb_reply_text(&reply, "O%c", 'K');
	ck_assert_uint_eq(gdb_reply_frame(&reply, out), 6);
	ck_assert_mem_eq(out, "$OK#9a", 6);
	gdb_reply_hex(&reply, "\xff\x01", 2);
	gdb_reply_binary(&reply, "#a", 2);
	ck_assert_uint_eq(reply.len, 9);
	ck_assert_mem_eq(reply.data, "OKff01}\x03\x61", 9);
	ck_assert(!reply.overflow);
}
END_TEST

START_TEST(what_does_not_fit_is_noticed)
{
	static char bytes[GDB_PACKET_MAX];
	static struct gdb_reply reply;

	reply = (struct gdb_reply){0};
	gdb_reply_hex(&reply, bytes, GDB_PACKET_MAX / 2);
	ck_assert(!reply.overflow);
	gdb_reply_hex(&reply, bytes, 1);
	ck_assert(reply.overflow);
	reply = (struct gdb_reply){0};
	gdb_reply_binary(&reply, bytes, GDB_PACKET_MAX);
	ck_assert(reply.overflow);
}
END_TEST

START_TEST(numbers_have_16_digits_at_most)
{
	const char *text = "ffffffff81000000,10:", *bad = "11112222333344445";
	uint64_t n;

	ck_assert(gdb_parse_number(&text, &n));
	ck_assert_uint_eq(n, 0xffffffff81000000);
	ck_assert(gdb_parse_char(&text, ','));
	ck_assert(gdb_parse_number(&text, &n));
	ck_assert_uint_eq(n, 0x10);
	ck_assert(!gdb_parse_number(&text, &n));
	ck_assert(!gdb_parse_number(&bad, &n));
}
END_TEST

START_TEST(bytes_end_with_the_digits)
{
	uint8_t bytes[2];

	ck_assert(gdb_parse_bytes("0aF0", bytes, 2));
	ck_assert_uint_eq(bytes[0], 0x0a);
	ck_assert_uint_eq(bytes[1], 0xf0);
	ck_assert(!gdb_parse_bytes("0aF", bytes, 2));
	ck_assert(!gdb_parse_bytes("", bytes, 1));
}
END_TEST

START_TEST(registers_are_where_kvm_has_them)
{
	struct gdb_registers registers = {
		.regs = {.rax = 0x1122334455667788, .rip = 0xffffffff81000000, .rflags = 2},
		.sregs = {.cs.selector = 0x10, .cr3 = 0x5000, .fs.base = 7},
		.fpu = {.ftwx = 0x80, .mxcsr = 0x1f80},
	};
	uint8_t bytes[GDB_REGISTER_MAX];
	size_t total = 0;

	ck_assert_uint_eq(gdb_register_get(&registers, 0, bytes), 8);
	ck_assert_uint_eq(bytes[0], 0x88);
	ck_assert_uint_eq(gdb_register_get(&registers, 16, bytes), 8);
	ck_assert_uint_eq(bytes[7], 0xff);
	ck_assert_uint_eq(gdb_register_get(&registers, 18, bytes), 4);
	ck_assert_uint_eq(bytes[0], 0x10);
	/* Seven of the FPU's eight are empty. */
	ck_assert_uint_eq(gdb_register_get(&registers, 34, bytes), 4);
	ck_assert_uint_eq(bytes[0], 0xff);
	ck_assert_uint_eq(bytes[1], 0x3f);
	for (unsigned i = 0; i < gdb_nr_registers(); i++)
		total += gdb_register_get(&registers, i, bytes);
	ck_assert_uint_lt(2 * total, GDB_PACKET_MAX);
	ck_assert_uint_eq(gdb_register_get(&registers, gdb_nr_registers(), bytes), 0);
}
END_TEST

START_TEST(what_is_only_shown_is_not_set)
{
	const uint8_t bytes[GDB_REGISTER_MAX] = {1};
	struct gdb_registers registers;

	memset(&registers, 0, sizeof(registers));
	ck_assert(gdb_register_set(&registers, 0, bytes));
	ck_assert_uint_eq(registers.regs.rax, 1);
	ck_assert(!gdb_register_set(&registers, 18, bytes));
	ck_assert(!gdb_register_set(&registers, gdb_nr_registers() - 1, bytes));
	ck_assert(!gdb_register_set(&registers, gdb_nr_registers(), bytes));
}
END_TEST

START_TEST(the_description_names_each_register)
{
	char *xml = gdb_registers_xml();
	unsigned nr = 0;

	ck_assert_ptr_nonnull(xml);
	for (const char *at = xml; (at = strstr(at, "<reg ")); at++)
		nr++;
	ck_assert_uint_eq(nr, gdb_nr_registers());
	free(xml);
}
END_TEST

/* --- breakpoints ------------------------------------------------------------------------------ */

static struct gdb_target target;
static struct vm vm;
static struct vcpu vcpu;

/* Long mode with four levels, and the tables at 0x1000 to 0x4000; addresses are translated as they
 * are. */
static int play_kvm(int fd, unsigned long request, void *arg)
{
	struct kvm_translation *translation = arg;

	(void)fd;
	if (request == KVM_GET_SREGS) {
		*(struct kvm_sregs *)arg =
			(struct kvm_sregs){.cr0 = 0x80000001, .cr3 = 0x1000, .efer = 0x500};
		return 0;
	}
	if (request != KVM_TRANSLATE)
		return FAKE_PASS;
	translation->physical_address = translation->linear_address;
	translation->valid = 1;
	return 0;
}

/* Page 0x8000 at its own address; the entry of `level` without the user bit. */
static void map_page(unsigned level)
{
	for (unsigned at = 4; at >= 1; at--) {
		uint64_t *table = memory_ptr(&vm.mem, (5 - at) * 0x1000, 4096);

		table[at == 1 ? 8 : 0] =
			(at == 1 ? 0x8000 : (6 - at) * 0x1000u) | (at == level ? 3 : 7);
	}
}

/* Where breakpoints are instructions that user code can't do, whatever has stopped. */
START_TEST(no_breakpoint_in_user_code)
{
	const uint8_t *code;

	vm = (struct vm){.nr_vcpus = 1, .vcpus = &vcpu};
	target = (struct gdb_target){.vm = &vm};
	ck_assert_int_eq(memory_init(&vm.mem, 1 << 20), 0);
	code = memory_ptr(&vm.mem, 0x8010, 2);
	fake_kvm = play_kvm;
	map_page(0);
	ck_assert_int_eq(gdb_insert(&target, 0, GDB_SOFTWARE, 0x8010, 1), GDB_FAILED);
	ck_assert_uint_eq(code[0], 0);
	for (unsigned level = 1; level <= 4; level++) {
		map_page(level);
		ck_assert_int_eq(gdb_insert(&target, 0, GDB_SOFTWARE, 0x8010, 1), GDB_OK);
		ck_assert_uint_ne(code[0], 0);
		ck_assert_int_eq(gdb_remove(&target, GDB_SOFTWARE, 0x8010, 1), GDB_OK);
		ck_assert_uint_eq(code[0], 0);
	}
	map_page(0);
	target.int3 = true;
	ck_assert_int_eq(gdb_insert(&target, 0, GDB_SOFTWARE, 0x8010, 1), GDB_OK);
	fake_kvm = NULL;
	memory_free(&vm.mem);
}
END_TEST

/* As a kernel does that uses its init code's pages for other things. */
START_TEST(a_byte_that_the_guest_has_put_over_a_breakpoint_stays)
{
	uint8_t *code, seen;

	vm = (struct vm){.nr_vcpus = 1, .vcpus = &vcpu};
	target = (struct gdb_target){.vm = &vm, .int3 = true};
	ck_assert_int_eq(memory_init(&vm.mem, 1 << 20), 0);
	code = memory_ptr(&vm.mem, 0x8010, 1);
	fake_kvm = play_kvm;
	*code = 0x55;
	ck_assert_int_eq(gdb_insert(&target, 0, GDB_SOFTWARE, 0x8010, 1), GDB_OK);
	ck_assert_uint_eq(gdb_read_memory(&target, 0, 0x8010, &seen, 1), 1);
	ck_assert_uint_eq(seen, 0x55);
	*code = 0x90;
	ck_assert_uint_eq(gdb_read_memory(&target, 0, 0x8010, &seen, 1), 1);
	ck_assert_uint_eq(seen, 0x90);
	ck_assert_int_eq(gdb_remove(&target, GDB_SOFTWARE, 0x8010, 1), GDB_OK);
	ck_assert_uint_eq(*code, 0x90);
	ck_assert_uint_eq(target.nr_software, 0);
	fake_kvm = NULL;
	memory_free(&vm.mem);
}
END_TEST

/* --- stops ------------------------------------------------------------------------------------ */

static struct gdb gdb;
static struct vcpu vcpus[2];
static struct kvm_guest_debug debug; /* what KVM was told last */

static int play_debug(int fd, unsigned long request, void *arg)
{
	if (request == KVM_SET_GUEST_DEBUG) {
		debug = *(struct kvm_guest_debug *)arg;
		return 0;
	}
	if (request == KVM_CREATE_VM)
		return -1;
	return request == KVM_ENABLE_CAP ? 0 : play_kvm(fd, request, arg);
}

/* A debugger at one end of a socket, whose other end is returned, and two vCPUs. */
static int attach_debugger(void)
{
	static const struct image image;
	static struct kvm_run runs[2];
	int fds[2];

	for (unsigned i = 0; i < 2; i++)
		vcpus[i] = (struct vcpu){.index = i, .vm = &vm, .run = &runs[i]};
	vm = (struct vm){.nr_vcpus = 2, .vcpus = vcpus};
	vcpu_pause_init(&vm.pause);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	memset(&gdb, 0, sizeof(gdb));
	gdb.fd = fds[0];
	gdb.listener.fd = -1;
	gdb.hit_fd = eventfd(0, EFD_NONBLOCK);
	fake_kvm = play_debug;
	gdb_attach(&gdb, &vm, &image, -1);
	gdb.target.int3 = true;
	return fds[1];
}

static void detach_debugger(int debugger)
{
	fake_kvm = NULL;
	close(gdb.fd);
	close(gdb.hit_fd);
	close(debugger);
	vcpu_pause_destroy(&vm.pause);
}

static void serve_once(void)
{
	struct pollfd fds[GDB_NR_FDS];

	gdb_poll(&gdb, fds);
	ck_assert_int_eq(poll(fds, GDB_NR_FDS, 0), 1);
	gdb_serve(&gdb, fds);
}

/* KVM does not make the step in which it exits for an INT3. */
START_TEST(a_step_goes_on_when_the_guests_own_int3_is_passed_on)
{
	int debugger = attach_debugger();

	for (uint32_t step = 0; step <= KVM_GUESTDBG_SINGLESTEP; step += KVM_GUESTDBG_SINGLESTEP) {
		gdb_resume(&gdb, 1, step ? 1 : 0);
		ck_assert_uint_eq(debug.control & KVM_GUESTDBG_SINGLESTEP, step);
		vcpus[0].run->exit_reason = KVM_EXIT_DEBUG;
		vcpus[0].run->debug.arch.exception = GDB_EXCEPTION_INT3;
		ck_assert(vm.debug_ops->exit(&gdb, &vcpus[0]));
		ck_assert(vm.pause.stopped & 1);
		serve_once();
		ck_assert(!(vm.pause.stopped & 1));
		ck_assert(debug.control & KVM_GUESTDBG_INJECT_BP);
		ck_assert_uint_eq(debug.control & KVM_GUESTDBG_SINGLESTEP, step);
	}
	detach_debugger(debugger);
}
END_TEST

static void debugger_sends(int debugger, const char *bytes)
{
	ck_assert_int_eq(write(debugger, bytes, strlen(bytes)), strlen(bytes));
	serve_once();
}

/* GDB looks at the registers of all vCPUs before it lets them run. */
START_TEST(ctrl_c_is_of_the_vcpu_that_has_stopped_last)
{
	char got[100] = "";
	int debugger = attach_debugger();

	debugger_sends(debugger, "$vCont;c#a8");
	vcpus[1].run->exit_reason = KVM_EXIT_DEBUG;
	vcpus[1].run->debug.arch.exception = GDB_EXCEPTION_DEBUG;
	ck_assert(vm.debug_ops->exit(&gdb, &vcpus[1]));
	serve_once();
	debugger_sends(debugger, "$Hg1#e0");
	debugger_sends(debugger, "$vCont;c#a8");
	debugger_sends(debugger, "\3");
	ck_assert_int_gt(read(debugger, got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, "+$T05thread:2;#d8+$OK#9a+$T02thread:2;#d5");
	detach_debugger(debugger);
}
END_TEST

/* A step that completes within an exit's handler, while another vCPU's stop stops them all. */
START_TEST(what_a_stopped_vcpu_meets_is_forgotten)
{
	char got[100] = "";
	int debugger = attach_debugger();

	debugger_sends(debugger, "$vCont;c#a8");
	for (unsigned i = 0; i < 2; i++) {
		vcpus[i].run->exit_reason = KVM_EXIT_DEBUG;
		vcpus[i].run->debug.arch.exception = GDB_EXCEPTION_DEBUG;
	}
	ck_assert(vm.debug_ops->exit(&gdb, &vcpus[1]));
	serve_once();
	ck_assert(vm.debug_ops->exit(&gdb, &vcpus[0]));
	ck_assert_uint_eq(gdb.hits, 0);
	debugger_sends(debugger, "$vCont;c#a8");
	debugger_sends(debugger, "\3");
	ck_assert_int_gt(read(debugger, got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, "+$T05thread:2;#d8+$T02thread:2;#d5");
	detach_debugger(debugger);
}
END_TEST

/* The answer is the data, as gdbserver and QEMU give it. */
START_TEST(no_bytes_of_memory_are_an_empty_answer)
{
	char got[100] = "";
	int debugger = attach_debugger();

	debugger_sends(debugger, "$m0,0#f9");
	ck_assert_int_gt(read(debugger, got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, "+$#00");
	detach_debugger(debugger);
}
END_TEST

static void serve_what_is_there(void)
{
	struct pollfd fds[GDB_NR_FDS];

	gdb_poll(&gdb, fds);
	ck_assert_int_ge(poll(fds, GDB_NR_FDS, 0), 0);
	gdb_serve(&gdb, fds);
}

/* Signals, the time limit and the control socket are served between two pieces. */
START_TEST(a_debugger_that_never_stops_sending_does_not_keep_the_main_thread)
{
	static char bytes[64 * 1024];
	int debugger = attach_debugger();

	memset(bytes, 'a', sizeof(bytes));
	ck_assert_int_eq(write(debugger, bytes, sizeof(bytes)), sizeof(bytes));
	serve_once();
	ck_assert_int_eq(recv(gdb.fd, bytes, 1, MSG_PEEK | MSG_DONTWAIT), 1);
	detach_debugger(debugger);
}
END_TEST

/* Of each the answer is larger than what the socket takes at once. */
START_TEST(packets_that_come_together_are_all_answered)
{
	static const char packet[] = "$qXfer:features:read:target.xml:0,fff#7d";
	static char xml[8000], got[16384];
	const int small = 1;
	int debugger = attach_debugger();
	unsigned answers = 0;
	ssize_t n;

	memset(xml, 'a', sizeof(xml) - 1);
	gdb.xml = xml;
	setsockopt(gdb.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_gt(write(debugger, packet, strlen(packet)), 0);
	for (unsigned tries = 0; answers < 20 && tries < 1000; tries++) {
		serve_what_is_there();
		n = recv(debugger, got, sizeof(got), MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++)
			answers += got[i] == '$';
	}
	ck_assert_uint_eq(answers, 20);
	gdb.xml = NULL;
	detach_debugger(debugger);
}
END_TEST

/* A debugger that has connected to gdb.listener. */
static int connect_debugger(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(addr.sun_family); /* the kernel finds a name */
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (gdb.listener.fd < 0) {
		gdb.listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ck_assert_int_eq(bind(gdb.listener.fd, (struct sockaddr *)&addr, size), 0);
		ck_assert_int_eq(listen(gdb.listener.fd, 4), 0);
	}
	size = sizeof(addr);
	ck_assert_int_eq(getsockname(gdb.listener.fd, (struct sockaddr *)&addr, &size), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, size), 0);
	return fd;
}

START_TEST(a_second_debugger_is_turned_away_and_the_first_not_disturbed)
{
	char got[100] = "";
	int debugger = attach_debugger(), second = connect_debugger();

	serve_once();
	ck_assert_int_eq(recv(second, got, 1, MSG_DONTWAIT), 0);
	debugger_sends(debugger, "$m0,0#f9");
	ck_assert_int_gt(read(debugger, got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, "+$#00");
	close(second);
	close(gdb.listener.fd);
	detach_debugger(debugger);
}
END_TEST

/* It may have left more than is read at once. */
START_TEST(who_comes_when_the_first_has_gone_is_not_turned_away)
{
	static const char bytes[16384];
	int debugger = attach_debugger(), second, first_fd = gdb.fd;
	char got[100] = "";

	ck_assert_int_eq(write(debugger, bytes, sizeof(bytes)), sizeof(bytes));
	close(debugger);
	second = connect_debugger();
	serve_what_is_there();
	ck_assert_int_ge(gdb.fd, 0);
	ck_assert_int_lt(fcntl(first_fd, F_GETFD), 0);
	debugger_sends(second, "$m0,0#f9");
	ck_assert_int_gt(recv(second, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
	ck_assert_str_eq(got, "+$#00");
	close(gdb.listener.fd);
	detach_debugger(second);
}
END_TEST

TCase *gdb_tests(void)
{
	TCase *tc = tcase_create("gdb");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, a_packet_is_read);
	tcase_add_test(tc, escaped_bytes_are_what_they_stand_for);
	tcase_add_test(tc, damage_is_noticed);
	tcase_add_test(tc, a_packet_that_is_too_long_is_damaged_and_forgotten);
	tcase_add_test(tc, ctrl_c_counts_between_packets);
	tcase_add_test(tc, a_reply_is_framed);
	tcase_add_test(tc, what_does_not_fit_is_noticed);
	tcase_add_test(tc, numbers_have_16_digits_at_most);
	tcase_add_test(tc, bytes_end_with_the_digits);
	tcase_add_test(tc, registers_are_where_kvm_has_them);
	tcase_add_test(tc, what_is_only_shown_is_not_set);
	tcase_add_test(tc, the_description_names_each_register);
	tcase_add_test(tc, no_breakpoint_in_user_code);
	tcase_add_test(tc, a_step_goes_on_when_the_guests_own_int3_is_passed_on);
	tcase_add_test(tc, ctrl_c_is_of_the_vcpu_that_has_stopped_last);
	tcase_add_test(tc, what_a_stopped_vcpu_meets_is_forgotten);
	tcase_add_test(tc, no_bytes_of_memory_are_an_empty_answer);
	tcase_add_test(tc, a_debugger_that_never_stops_sending_does_not_keep_the_main_thread);
	tcase_add_test(tc, packets_that_come_together_are_all_answered);
	tcase_add_test(tc, a_second_debugger_is_turned_away_and_the_first_not_disturbed);
	tcase_add_test(tc, who_comes_when_the_first_has_gone_is_not_turned_away);
	tcase_add_test(tc, a_byte_that_the_guest_has_put_over_a_breakpoint_stays);
	return tc;
}
