/* SPDX-License-Identifier: MIT */
/*
 * vmm-broken: the product's own objects, linked once more with calls between them led through here
 * (the linker's --wrap). So it can be watched, stopped at a place, and have a defence switched off:
 *
 *   vmm-broken [--break NAME]... [--step PLACE] [--call THREAD:CALL] OPTIONS OF VMM...
 *
 * Without --break it does what vmm does; in any case it looks whether a vCPU runs while its TLB may
 * hold a writable entry of a pinned page table (observer.c), and ends the guest if so.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include <stdbool.h>
#include <stdint.h>

struct machine;

/* Defences that --break switches off. */
enum breaks {
	NO_UNSEEN,      /* what came and went between two looks is forgotten */
	NO_LIMBO,       /* nor is what was found gone remembered */
	NO_SECOND_LOOK, /* the tables are not looked at again once vCPUs are paused */
	ANY_EXIT,       /* a vCPU that exits, for CR3 or whatever, counts as flushed */
	FLUSH_BY_CR3,   /* the host's flush loads CR3: global entries stay */
	EQUAL_IS_NEWER, /* a stamp as old as the frame's counts as newer */
	NO_SHARED,      /* the shared pages are frames like any other */
	NO_REPORT,      /* what a guest does after the grant goes unreported */
	NO_LINKED,      /* a table may be unpinned while it is linked */
	TRUST_HANDLER,  /* after an upcall the alias is taken to be gone */
	NO_RETRY_MARK,  /* that an upcall was made is forgotten */
	GRANT_ALL,      /* a pin is granted, whatever is wrong with the frame and below it */
	READ_TWICE,     /* the frame of a pin is read once more after it was judged */
	NO_BOUNDS,      /* what is no memory reads as zeros */
	NO_ENDS,        /* what begins in memory may end outside of it */
	ANY_STATE,      /* a frame that is pinned may be pinned */
	KEEP_STATE,     /* one that is unpinned stays what it was */
	HALF_DONE,      /* the tree of a root that was refused stays */
	ANY_BASE,       /* any direct map is accepted */
	ANY_TIME,       /* calls are served before the registration */
	BELIEVE_LOG,    /* that records were lost is forgotten */
	NO_ACCUSE,      /* a log that lies goes unreported */
	OWN_CHANGES,    /* what the host itself writes is held against the log */
	NO_LOG_END,     /* a look takes records as long as there are more to come */
	ANY_ACCESS,     /* one of any size, anywhere at the hypercall, is a call */
	OUTS_IS_OUT,    /* a string instruction is an `out` like any other */
	ANY_CODE,       /* of its code only the low byte counts */
	ANY_COUNT,      /* a batch that is too long is served as far as there is room for one */
	ANY_FLAGS,      /* flags that mean nothing are overlooked */
	NO_GUARD_ASKED, /* updates are served where no table is guarded */
	ONE_AT_A_TIME,  /* after an upcall nobody else is served */
	ALL_IS_WELL,    /* a triple fault is a good end */
	CUT_CHAINS,     /* a chain that breaks a rule is taken up to there */
	ANY_INDIRECT,   /* an indirect table needs no negotiation */
	NO_GUARD,       /* strict: a pinned frame can be written */
	NO_JUDGE,       /* strict: every store is done */
	GO_ON,          /* strict: a guest whose store is half done is not ended */
	NO_LARGE,       /* strict: stores of more than a register are not known */
	NEVER_FLUSH,    /* strict: whatever an entry becomes, nothing is flushed for it */
	ALWAYS_FLUSH,   /* strict: or all is, whatever it becomes */
	NR_BREAKS,
};

bool broken(enum breaks what);

/* Where --step can stop. */
enum place { AT_LOOK, AT_GRANT, AT_PAUSE, AT_UNPIN, AT_FLUSH, AT_STORE, NR_PLACES };

/* Waits there if so asked, once. */
void step_here(enum place place);

/* Set by pin_create(), before any vCPU runs. */
extern struct machine *the_machine;

/* forbidden.c: the thread of this kind ("main", "vcpu", "disk", "uffd") makes that call. */
bool choose_call(const char *by, const char *name);

/* observer.c */
void observer_start(struct machine *machine);
void observer_pinned(uint64_t pfn, bool is);
/* The frame has become read-only in the host: no TLB maps it any more. */
void observer_guarded(uint64_t pfn);

#endif
