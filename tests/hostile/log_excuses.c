/* SPDX-License-Identifier: MIT */
/*
 * A table maps a frame, no record tells of it, and then comes an excuse that would have the host
 * forget what it holds against the log. The word of the command line says which:
 *
 *   names    the entry is named as being changed, for good, by the vCPU that goes on to call
 *   spins    the same by another vCPU, which never calls; the host is to end this (VIOLATION_STOP)
 *   lingers  likewise, and the host syncs only a few times
 *   sleeps   the same by a vCPU that does not run meanwhile: that one may be at it
 *   swaps    one that runs and one that sleeps name it and another such entry in turn; the one that
 *            runs is told of, so that what it names just then has no excuse
 *   loses    records are counted as lost, with all the room for them in the ring
 *   half     the same, where the records of two syncs together would have filled it
 *   stops    the log is stopped unasked, and begun again
 *
 * log: the missing record is reported with its entry all the same, at the end of the run at the
 * latest (not with `sleeps`, and with `swaps` one of two), and what is no excuse at all as such.
 * dirty, scan, strict: no log is asked for, and the frame is refused.
 */
#include "hostile.h"

#define PAUSE      (1ull << 30) /* ticks of the TSC */
#define SYNCS_FEW  8u
#define SYNCS_MANY 40u

static uint64_t *const hidden = &tree.vm_l1[5];

static void spin(void)
{
	next_turn(turn + 1);
	for (;;)
		relax();
}

static void name_it_and_spin(void)
{
	page_of(1)->log.changing = gpa_of(hidden);
	spin();
}

static void sleep(void)
{
	next_turn(turn + 1);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void name_it_and_sleep(void)
{
	page_of(1)->log.changing = gpa_of(hidden);
	sleep();
}

static void start_and_wait(void (*fn)(void))
{
	start_cpu1(fn);
	wait_turn(1);
}

static void sync_times(unsigned times, uint64_t pause)
{
	for (; times; times--) {
		uint64_t start = rdtsc();

		host_sync();
		while (rdtsc() - start < pause)
			relax();
	}
}

static void swap_names(void)
{
	static unsigned times;

	page_of(1 + times % 2)->log.changing = gpa_of(hidden);
	page_of(2 - times % 2)->log.changing = gpa_of(hidden + 1);
	times++;
}

static void write_records(unsigned nr)
{
	for (; nr; nr--)
		log_change(gpa_of(hidden + 1), 0, 0);
}

static void start_two(void)
{
	require(set_unlogged(hidden + 1, entry(spare[1], P | RW)));
	start_cpu(1, spin);
	wait_turn(1);
	start_cpu(2, sleep);
	wait_turn(2);
	swap_names();
}

static void find_an_excuse(void)
{
	struct alias_log *log = &page_of(0)->log;

	if (word_is("names")) {
		log->changing = gpa_of(hidden);
	} else if (word_is("spins") || word_is("lingers")) {
		start_and_wait(name_it_and_spin);
	} else if (word_is("sleeps")) {
		start_and_wait(name_it_and_sleep);
	} else if (word_is("swaps")) {
		start_two();
	} else if (word_is("half")) {
		write_records(ALIAS_LOG_RECORDS / 2);
		log->lost++;
	} else if (word_is("loses")) {
		log->lost++;
	} else {
		common()->logging = 0;
		host_sync();
		common()->logging = common()->log_wanted;
	}
}

static void hostile_main(void)
{
	bool logged = common()->log_wanted;
	unsigned status;

	for (unsigned i = 0; i < 8; i++)
		host_sync();
	if (logged && word_is("half")) {
		write_records(ALIAS_LOG_RECORDS / 2);
		host_sync();
	}
	require(set_unlogged(hidden, entry(spare[0], P | RW)));
	find_an_excuse();
	status = pin(spare[0], 1);
	check(status == ALIAS_HAS_ALIAS || (logged && status == ALIAS_OK));
	if (logged && word_is("lingers"))
		sync_times(SYNCS_FEW, PAUSE);
	if (logged && word_is("sleeps"))
		sync_times(SYNCS_MANY, PAUSE / 8);
	while (logged && word_is("swaps")) {
		swap_names();
		sync_times(1, PAUSE / 2);
	}
	while (logged && word_is("lingers"))
		relax();
	while (logged && word_is("spins"))
		host_sync();
}
