/* SPDX-License-Identifier: MIT */
/*
 * A table maps a frame, no record tells of it, and then comes an excuse that would have the host
 * forget what it holds against the log. The word of the command line says which:
 *
 *   names    the entry is named as being changed, for good, by the vCPU that goes on to call
 *   spins    the same by another vCPU, which never calls; the host is to end this (VIOLATION_STOP)
 *   loses    records are counted as lost, with all the room for them in the ring
 *   stops    the log is stopped unasked, and begun again
 *
 * log: the missing record is reported with its entry all the same, at the end of the run at the
 * latest, and what is no excuse at all as such. dirty, scan, strict: no log is asked for, and the
 * frame is refused.
 */
#include "hostile.h"

static uint64_t *const hidden = &tree.vm_l1[5];

static void name_it_and_spin(void)
{
	page_of(1)->log.changing = gpa_of(hidden);
	next_turn(1);
	for (;;)
		relax();
}

static void find_an_excuse(char which)
{
	struct alias_log *log = &page_of(0)->log;

	switch (which) {
	case 'n':
		log->changing = gpa_of(hidden);
		break;
	case 's':
		start_cpu1(name_it_and_spin);
		wait_turn(1);
		break;
	case 'l':
		log->lost++;
		break;
	default:
		common()->logging = 0;
		host_sync();
		common()->logging = common()->log_wanted;
	}
}

static void hostile_main(void)
{
	const char *word = last_word();
	bool logged = common()->log_wanted;
	unsigned status;

	for (unsigned i = 0; i < 8; i++)
		host_sync();
	require(set_unlogged(hidden, entry(spare[0], P | RW)));
	find_an_excuse(word[1] == 't' ? 't' : word[0]);
	status = pin(spare[0], 1);
	check(status == ALIAS_HAS_ALIAS || (logged && status == ALIAS_OK));
	do
		host_sync();
	while (logged && word[1] == 'p');
}
