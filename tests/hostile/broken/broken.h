/* SPDX-License-Identifier: MIT */
/*
 * vmm-broken: the product's own objects, linked once more with calls between rooms led through here
 * (the linker's --wrap). So it can be watched, stopped at a place, and have a defence switched off:
 *
 *   vmm-broken [--break NAME]... [--step PLACE] [--call THREAD:CALL] OPTIONS OF VMM...
 *
 * Without --break it does what vmm does; in any case it looks whether a vCPU runs while its TLB may
 * hold a writable entry of a pinned page table (observer.c), and ends the guest if so.
 *
 * Only functions are wrapped that a room offers to others: the tracker's API (tracker_calls.c), and
 * what kvm/, devices/ and the like offer to pin/ and to each other (vmm_calls.c). What goes on
 * within a room may change without a change here.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include <stdbool.h>
#include <stdint.h>

struct machine;

#define REAL(name) extern __typeof__(name) __real_##name
#define WRAP(type, name, ...)                                                                      \
	REAL(name), __wrap_##name;                                                                 \
	type __wrap_##name(__VA_ARGS__)

/* Defences that --break switches off. */
enum breaks {
	NO_UNSEEN,        /* a mapping that was made and removed between two syncs is forgotten */
	NO_PENDING,       /* so is one that a sync found gone: no frame is ever TLB-pending */
	NO_SECOND_SYNC,   /* once vCPUs are paused, there is no second sync */
	ANY_EXIT,         /* a vCPU that exits, for CR3 or whatever, counts as flushed */
	FLUSH_BY_CR3,     /* the host's flush loads CR3: global entries stay */
	EQUAL_IS_NEWER,   /* a stamp as old as the frame's counts as newer */
	SHARED_PINS,      /* a shared page may be pinned */
	NO_REPORT,        /* what a guest does after the grant goes unreported */
	NO_LINKED,        /* a table may be unpinned while it is linked */
	TRUST_HANDLER,    /* after an upcall the alias is taken to be gone */
	NO_RETRY,         /* each call is a new one: that an op had an upcall is forgotten */
	GRANT_ALL,        /* a pin is granted, whatever is wrong with the frame and below it */
	READ_TWICE,       /* the frame of a pin is read once more after it was judged */
	NO_BOUNDS,        /* addresses outside of memory read as zeros */
	NO_ENDS,          /* a range that begins in memory may end outside of it */
	ANY_STATE,        /* a frame that is pinned may be pinned */
	KEEP_STATE,       /* a frame that is unpinned stays pinned in the tracker */
	KEEP_TREE,        /* the tree of a root that was refused stays */
	ANY_BASE,         /* any direct map is accepted */
	ANY_TIME,         /* calls are served before the registration */
	BELIEVE_LOG,      /* that records were lost is forgotten */
	NO_MISMATCH,      /* log mismatches go unreported */
	OWN_CHANGES,      /* what the host itself writes is held against the log */
	NO_LOG_END,       /* a sync takes records as long as there are more to come */
	ANY_ACCESS,       /* an access of any size, anywhere at the hypercall port, is a call */
	OUTS_IS_OUT,      /* a string instruction is an `out` like any other */
	ANY_CODE,         /* of a call's code only the low byte counts */
	ANY_COUNT,        /* a batch that is too long is served as far as there is room for one */
	ANY_FLAGS,        /* unknown flags are ignored */
	ONE_AT_A_TIME,    /* after an upcall no other vCPU is served */
	SHUTDOWN_IS_OK,   /* a triple fault is a good end */
	CUT_CHAINS,       /* a chain that breaks a rule is taken up to there */
	ANY_INDIRECT,     /* an indirect table needs no negotiation */
	NO_WRITE_PROTECT, /* strict: a pinned frame can be written */
	ANY_STORE,        /* strict: every store is done */
	GO_ON,            /* strict: a guest whose store is half done is not ended */
	ANY_VA,           /* strict: a store's addresses are all taken to be mapped, and allowed */
	ANY_RIGHTS,       /* strict: the guest's own tables allow it every store */
	NO_ZAP,           /* strict: whatever a pte becomes, nothing is zapped for it */
	NR_BREAKS,
};

bool broken(enum breaks what);

/* Where --step can stop. */
enum place { AT_SYNC, AT_GRANT, AT_PAUSE, AT_UNPIN, AT_STORE, AT_JUDGE, NR_PLACES };

/* Waits there if so asked, once. */
void step_here(enum place place);

/* Set by pin_create(), before any vCPU runs. */
extern struct machine *the_machine;

/* forbidden.c: the thread of this kind ("main", "vcpu", "disk", "uffd") makes that call. */
bool choose_call(const char *by, const char *name);

/* observer.c */
void observer_start(struct machine *machine);
void observer_pinned(uint64_t pfn, bool is);
/* The frame was write-protected: no TLB maps it any more. */
void observer_write_protected(uint64_t pfn);

/* tracker_calls.c: the `now` of the last answer of at_gone_at(). Under the lock of pin/. */
uint64_t last_gone_at(void);

#endif
