/* SPDX-License-Identifier: MIT */
/* Ballooned frames: what becomes of the host's memory, and of write tracking. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "pin_figure.h"
#include "pin_guest.h"
#include "pin/tracking/uffd.h"
#include "suites.h"

#define MANY ALIAS_BATCH_MAX

/* Tables that are compared, and tables that are write-protected. */
static const enum track_mode track_modes[] = {TRACK_SCAN, TRACK_STRICT};

/* MANY frames with one call. */
static void ask_for_many(enum alias_opcode op)
{
	guest.page->count = MANY;
	guest.page->flags = 0;
	for (unsigned i = 0; i < MANY; i++)
		guest.page->ops[i] = (struct alias_op){.pfn = DATA + i, .op = op};
	guest_call(ALIAS_CALL_PIN);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_uint_eq(guest.page->ops[i].status, ALIAS_OK);
}

static bool is_of_guest(unsigned long address)
{
	const struct memory_slot *slot = &guest.machine.vm.mem.slot[0];

	return address - (uintptr_t)slot->hva < slot->size ||
	       (slot->back && address - (uintptr_t)slot->back < slot->size);
}

/* How much of the guest's memory this process has mapped, in bytes. (That of the whole process is
 * counted inexactly, and the allocator's is in it.) */
static uint64_t mapped_here(void)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long start, end, kb, sum = 0;
	bool counts = false;
	char line[512];

	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps))
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			counts = is_of_guest(start);
		else if (counts && sscanf(line, "Rss: %lu kB", &kb) == 1)
			sum += kb;
	fclose(smaps);
	return sum << 10;
}

/* Of the process's memory, by what the kernel says of it; and it comes back with nothing in it. */
START_TEST(what_is_given_away_is_released)
{
	uint64_t resident, mapped, all = MANY * PAGE;

	guest_start_track(track_modes[_i]);
	for (unsigned i = 0; i < MANY; i++)
		memset(guest_frame(DATA + i), 0x5a, PAGE);
	resident = memory_resident(&guest.machine.vm.mem);
	mapped = mapped_here();
	ask_for_many(ALIAS_OP_INFLATE);
	ck_assert_uint_eq(memory_resident(&guest.machine.vm.mem), resident - all);
	ck_assert_uint_le(mapped_here(), mapped - all);
	guest_frame(DATA)[3] = 0xbad; /* what the guest must not do */
	ask_for_many(ALIAS_OP_DEFLATE);
	ck_assert_uint_eq(memory_resident(&guest.machine.vm.mem), resident);
	for (unsigned i = 0; i < MANY * 512; i++)
		ck_assert(guest_frame(DATA)[i] == 0);
	guest_end();
}
END_TEST

/* The host clears a frame that the guest has as a table meanwhile: what else is asked for with the
 * same call is judged by that. */
START_TEST(a_table_cleared_within_a_call)
{
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	guest_frame(ROOT + 2)[1] = W(DATA);
	guest_frame(DATA)[0] = W(DATA + 1);
	ck_assert_uint_eq(guest_ask(DATA + 1, ALIAS_OP_PIN, 1), ALIAS_HAS_ALIAS);
	guest.page->count = 2;
	guest.page->ops[0] = (struct alias_op){.pfn = DATA, .op = ALIAS_OP_DEFLATE};
	guest.page->ops[1] = (struct alias_op){.pfn = DATA + 1, .op = ALIAS_OP_PIN, .level = 1};
	guest_call(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_OK);
	ck_assert_uint_eq(guest.page->ops[1].status, ALIAS_OK);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.disagreed"), 0);
}
END_TEST

/* A page that the system does not let go of stays the guest's. */
START_TEST(what_cannot_be_released)
{
	guest_frame(DATA)[0] = 0x1234;
	/* Not mlock(), which sanitizers make do nothing. */
	ck_assert_int_eq(syscall(SYS_mlock, guest_frame(DATA), PAGE), 0);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_NO_MEMORY);
	ck_assert_uint_eq(guest_frame(DATA)[0], 0x1234);
	ck_assert_int_eq(transition_figure("inflate", "refused"), 1);
	syscall(SYS_munlock, guest_frame(DATA), PAGE);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_MEMTYPE, 1), ALIAS_OK);
}
END_TEST

/* And where there is no page to be had, it stays away. */
START_TEST(what_cannot_come_back)
{
	char said[256];
	ssize_t nr;
	int fds[2];

	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	mprotect(guest_frame(DATA), PAGE, PROT_READ);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_NO_MEMORY);
	nr = read(fds[0], said, sizeof(said) - 1);
	said[nr > 0 ? nr : 0] = '\0';
	ck_assert_ptr_nonnull(strstr(said, "madvise of frame 0x200, for a balloon deflate: "));
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_PIN, 1), ALIAS_IS_BALLOONED);
	mprotect(guest_frame(DATA), PAGE, PROT_READ | PROT_WRITE);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_OK);
}
END_TEST

/* A guest gone astray has it as a table meanwhile: that the host has cleared it is not held against
 * the guest's log. */
START_TEST(a_table_that_cannot_come_back)
{
	guest_start_track(TRACK_LOG);
	guest.opt.audit = 1;
	common_page(&guest.machine)->logging = 1;
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	guest_log_change(&guest_frame(DATA)[0], R(DATA + 8));
	guest_log_change(&guest_frame(L1 - 1)[1], W(DATA));
	for (unsigned i = 0; i < 3; i++)
		guest_ask(DATA, ALIAS_OP_UNPIN, 0);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.violations"), 1); /* it is not pinned */
	mprotect(guest_frame(DATA), PAGE, PROT_READ);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_NO_MEMORY);
	mprotect(guest_frame(DATA), PAGE, PROT_READ | PROT_WRITE);
	ck_assert_uint_eq(guest_frame(DATA)[0], 0);
	audit_tables(guest.pin);
	audit_tables(guest.pin);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.violations"), 1);
	guest_end();
}
END_TEST

static size_t dirtied(struct uffd_wp *uffd, uint64_t *pfn)
{
	return uffd_wp_dirtied(uffd, pfn, 1);
}

/* Write tracking knows nothing of it, and need not: what comes and goes was not armed when it went,
 * is not write-protected when it is back, and can be armed again; what lies beside it stays armed.
 */
START_TEST(write_tracking_survives)
{
	const char *why;
	struct uffd_wp *uffd = uffd_wp_start(&guest.machine.vm, &why);
	uint64_t pfn;

	if (!uffd) {
		printf("skip write_tracking_survives: %s\n", why);
		return;
	}
	ck_assert(uffd_wp_arm(uffd, DATA));
	ck_assert(uffd_wp_arm(uffd, DATA + 1));
	uffd_wp_disarm(uffd, DATA);
	ck_assert_int_eq(memory_give_up(&guest.machine.vm.mem, DATA * PAGE), 0);
	guest_frame(DATA)[0] = 1;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 0);
	ck_assert_int_eq(memory_renew(&guest.machine.vm.mem, DATA * PAGE), 0);
	guest_frame(DATA)[0] = 1;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 0);
	ck_assert(uffd_wp_arm(uffd, DATA));
	guest_frame(DATA)[0] = 2;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 1);
	ck_assert_uint_eq(pfn, DATA);
	/* A write that was noted, and not asked for, when its frame goes. */
	guest_frame(DATA + 1)[0] = 2;
	ck_assert_int_eq(memory_give_up(&guest.machine.vm.mem, (DATA + 1) * PAGE), 0);
	guest_frame(DATA + 1)[0] = 3;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 1);
	ck_assert_uint_eq(pfn, DATA + 1);
	uffd_wp_stop(uffd);
}
END_TEST

/* A guest gone astray links a frame that it gave away as a table, and then takes it back: that the
 * table is another page now is not lost on write tracking. */
START_TEST(a_table_that_comes_back)
{
	uint64_t *table;

	guest_start_track(TRACK_DIRTY);
	table = guest_frame(DATA);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	table[0] = W(DATA + 8);
	guest_frame(L1 - 1)[1] = W(DATA);
	ck_assert_uint_eq(guest_ask(DATA + 8, ALIAS_OP_PIN, 1), ALIAS_HAS_ALIAS);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.violations"), 1);
	for (unsigned i = 0; i < 130; i++)
		guest_ask(DATA, ALIAS_OP_UNPIN,
			  0); /* the host syncs until it is quiet enough to be armed */
	ck_assert(!guest.pin->uffd || pin_figure(guest.pin, "tracker.arms") > 0);
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_OK);
	ck_assert_uint_eq(guest_ask(DATA + 8, ALIAS_OP_PIN, 1), ALIAS_OK);
	table[1] = W(DATA + 9);
	ck_assert_uint_eq(guest_ask(DATA + 9, ALIAS_OP_PIN, 1), ALIAS_HAS_ALIAS);
	guest_end();
}
END_TEST

TCase *balloon_tests(void)
{
	TCase *tc = tcase_create("balloon");

	tcase_add_loop_test(tc, what_is_given_away_is_released, 0, 2);
	tcase_add_test(tc, a_table_that_comes_back);
	tcase_add_test(tc, a_table_that_cannot_come_back);
	return tc;
}

TCase *balloon_request_tests(void)
{
	TCase *tc = tcase_create("balloon requests");

	tcase_add_checked_fixture(tc, guest_start, guest_end);
	tcase_add_test(tc, a_table_cleared_within_a_call);
	tcase_add_test(tc, what_cannot_be_released);
	tcase_add_test(tc, what_cannot_come_back);
	tcase_add_test(tc, write_tracking_survives);
	return tc;
}
