/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "broken.h"
#include "machine.h"
#include "observer.h"
#include "status.h"

#define STEP_LIMIT_MS 20000u

/* vmm's own main(). */
int vmm_main(int argc, char **argv);

static const char *const break_names[NR_BREAKS] = {
	[NO_UNSEEN] = "no-unseen",
	[NO_PENDING] = "no-pending",
	[NO_SECOND_SYNC] = "no-second-sync",
	[ANY_EXIT] = "any-exit",
	[FLUSH_BY_CR3] = "flush-by-cr3",
	[EQUAL_IS_NEWER] = "equal-is-newer",
	[SHARED_PINS] = "shared-pins",
	[NO_REPORT] = "no-report",
	[NO_LINKED] = "no-linked",
	[TRUST_HANDLER] = "trust-handler",
	[NO_RETRY] = "no-retry",
	[GRANT_ALL] = "grant-all",
	[READ_TWICE] = "read-twice",
	[NO_BOUNDS] = "no-bounds",
	[NO_ENDS] = "no-ends",
	[ANY_STATE] = "any-state",
	[KEEP_STATE] = "keep-state",
	[KEEP_TREE] = "keep-tree",
	[ANY_BASE] = "any-base",
	[ANY_TIME] = "any-time",
	[BELIEVE_LOG] = "believe-log",
	[NO_MISMATCH] = "no-mismatch",
	[OWN_CHANGES] = "own-changes",
	[NO_LOG_END] = "no-log-end",
	[ANY_ACCESS] = "any-access",
	[OUTS_IS_OUT] = "outs-is-out",
	[ANY_CODE] = "any-code",
	[ANY_COUNT] = "any-count",
	[ANY_FLAGS] = "any-flags",
	[ONE_AT_A_TIME] = "one-at-a-time",
	[SHUTDOWN_IS_OK] = "shutdown-is-ok",
	[CUT_CHAINS] = "cut-chains",
	[ANY_INDIRECT] = "any-indirect",
	[NO_WRITE_PROTECT] = "no-write-protect",
	[ANY_STORE] = "any-store",
	[GO_ON] = "go-on",
	[ANY_VA] = "any-va",
	[ANY_RIGHTS] = "any-rights",
	[NO_ZAP] = "no-zap",
};

static const char *const place_names[NR_PLACES] = {
	[AT_SYNC] = "sync",   [AT_GRANT] = "grant", [AT_PAUSE] = "pause",
	[AT_UNPIN] = "unpin", [AT_STORE] = "store", [AT_JUDGE] = "judge",
};

/* Written by main() alone, before there are other threads. */
static bool is_broken[NR_BREAKS], stops[NR_PLACES];

bool broken(enum breaks what)
{
	return is_broken[what];
}

void step_here(enum place place)
{
	struct step *step = memory_ptr(&the_machine->vm.mem, STEP_GPA, sizeof(*step));

	if (!stops[place] || !__atomic_exchange_n(&step->armed, 0, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&step->there, 1, __ATOMIC_SEQ_CST);
	for (unsigned ms = 0;
	     !__atomic_load_n(&step->go, __ATOMIC_SEQ_CST) && !stop_requested(&the_machine->stop);
	     ms++) {
		if (ms > STEP_LIMIT_MS) {
			fprintf(stderr, "vmm-broken: the guest did not go on\n");
			_exit(VMM_EX_SOFTWARE);
		}
		poll(NULL, 0, 1); /* no thread may sleep by other means */
	}
	__atomic_store_n(&step->go, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&step->there, 0, __ATOMIC_SEQ_CST);
}

static bool choose(const char *name, const char *const names[], unsigned nr, bool chosen[])
{
	for (unsigned i = 0; i < nr; i++) {
		if (strcmp(name, names[i]))
			continue;
		chosen[i] = true;
		return true;
	}
	fprintf(stderr, "vmm-broken: %s: no such break or place\n", name);
	return false;
}

int main(int argc, char **argv)
{
	int at = 1;

	for (; at + 1 < argc; at += 2) {
		char *call;
		bool ok;

		if (!strcmp(argv[at], "--break"))
			ok = choose(argv[at + 1], break_names, NR_BREAKS, is_broken);
		else if (!strcmp(argv[at], "--step"))
			ok = choose(argv[at + 1], place_names, NR_PLACES, stops);
		else if (!strcmp(argv[at], "--call") && (call = strchr(argv[at + 1], ':')))
			ok = (*call = '\0', choose_call(argv[at + 1], call + 1));
		else
			break;
		if (!ok)
			return VMM_EX_USAGE;
	}
	argv[at - 1] = argv[0];
	return vmm_main(argc - at + 1, argv + at - 1);
}
