/* SPDX-License-Identifier: MIT */
/* Write tracking of frames, on the system's own userfaultfd. */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "alias_abi.h"
#include "fake_kvm.h"
#include "kvm/vm.h"
#include "stop.h"
#include "pin/tracking/uffd.h"
#include "status.h"
#include "suites.h"

#define PFN 3u

static struct vm vm;
static struct stop stop;
static struct uffd_wp *uffd;
static atomic_bool hold, lifting, armed_again, stuck;

/* Keeps the watcher's thread for a while from lifting the protection; `stuck`: for good. */
static int play_uffd(int fd, unsigned long request, void *arg)
{
	const struct uffdio_writeprotect *wp = arg;

	(void)fd;
	if (request != UFFDIO_WRITEPROTECT || wp->mode)
		return FAKE_PASS;
	if (atomic_load(&stuck)) {
		errno = EINVAL;
		return -1;
	}
	if (!atomic_exchange(&hold, false))
		return FAKE_PASS;
	atomic_store(&lifting, true);
	for (unsigned ms = 0; ms < 200 && !atomic_load(&armed_again); ms++)
		usleep(1000);
	return FAKE_PASS;
}

static void *write_frame(void *unused)
{
	volatile uint64_t *frame = memory_ptr(&vm.mem, PFN * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);

	++*frame;
	return unused;
}

static void set_up(void)
{
	const char *why;

	stop = (struct stop){.status = -1, .fd = eventfd(0, 0)};
	vm = (struct vm){.stop = &stop};
	ck_assert_int_eq(memory_init(&vm.mem, 1 << 20), 0);
	atomic_store(&hold, false);
	atomic_store(&lifting, false);
	atomic_store(&armed_again, false);
	atomic_store(&stuck, false);
	fake_kvm = play_uffd; /* the watcher's thread reads it, so before there is one */
	uffd = uffd_wp_start(&vm, &why);
	if (!uffd)
		printf("skip tracking: %s\n", why);
}

static void tear_down(void)
{
	uffd_wp_stop(uffd);
	fake_kvm = NULL;
	memory_free(&vm.mem);
	close(stop.fd);
}

static size_t dirtied(void)
{
	uint64_t pfns[4];
	size_t n = uffd_wp_dirtied(uffd, pfns, 4);

	ck_assert(n == 0 || (n == 1 && pfns[0] == PFN));
	return n;
}

START_TEST(written_once)
{
	if (!uffd)
		return;
	ck_assert(uffd_wp_arm(uffd, PFN));
	ck_assert_uint_eq(dirtied(), 0);
	write_frame(NULL);
	write_frame(NULL);
	ck_assert_uint_eq(dirtied(), 1);
	write_frame(NULL);
	ck_assert_uint_eq(dirtied(), 0);
	ck_assert(uffd_wp_arm(uffd, PFN));
	uffd_wp_disarm(uffd, PFN);
	write_frame(NULL);
	ck_assert_uint_eq(dirtied(), 0);
}
END_TEST

/* The note of a write is taken, and the frame armed again, before the write has been let through:
 * the protection of the second time must not be lifted with that of the first. */
START_TEST(armed_again_too_early)
{
	pthread_t writer;

	if (!uffd)
		return;
	ck_assert(uffd_wp_arm(uffd, PFN));
	atomic_store(&hold, true);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_frame, NULL), 0);
	while (!atomic_load(&lifting))
		usleep(100);
	ck_assert_uint_eq(dirtied(), 1);
	ck_assert(uffd_wp_arm(uffd, PFN));
	atomic_store(&armed_again, true);
	pthread_join(writer, NULL);
	/* It wrote before that, or was noted once more; and so is the next. */
	if (dirtied())
		ck_assert(uffd_wp_arm(uffd, PFN));
	write_frame(NULL);
	ck_assert_uint_eq(dirtied(), 1);
}
END_TEST

/* The protection can't be lifted any more: the machine ends, who waits for that is let go, and
 * nothing that was armed counts as quiet. Seen by the watcher, and by who disarms another frame. */
START_TEST(protection_that_stays)
{
	uint64_t pfns[4];
	pthread_t writer;

	if (!uffd)
		return;
	ck_assert(uffd_wp_arm(uffd, PFN));
	ck_assert(uffd_wp_arm(uffd, PFN + 1));
	ck_assert_int_eq(atomic_load(&stop.status), -1);
	atomic_store(&stuck, true);
	if (_i)
		uffd_wp_disarm(uffd, PFN + 1);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_frame, NULL), 0);
	pthread_join(writer, NULL);
	ck_assert_int_eq(atomic_load(&stop.status), VMM_EX_OSERR);
	ck_assert_uint_eq(uffd_wp_dirtied(uffd, pfns, 4), _i ? 1 : 2);
	ck_assert(pfns[0] == PFN || (pfns[0] == PFN + 1 && pfns[1] == PFN));
	ck_assert(!uffd_wp_arm(uffd, PFN));
	write_frame(NULL);
	ck_assert_uint_eq(dirtied(), 0);
}
END_TEST

TCase *tracking_tests(void)
{
	TCase *tc = tcase_create("tracking");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, written_once);
	tcase_add_test(tc, armed_again_too_early);
	tcase_add_loop_test(tc, protection_that_stays, 0, 2);
	return tc;
}
