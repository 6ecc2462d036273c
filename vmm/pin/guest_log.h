/* SPDX-License-Identifier: MIT */
/*
 * The guest's log (alias_abi.h), read for the tracker: a ring of each vCPU, in memory that the
 * guest may change at any time in any way. Everything is read once. More records than a ring has
 * room for count as lost: the tracker then does without. Who says that records were lost, and had
 * room for them, is not believed. Both are faults of a log, to be reported.
 *
 * Nor is an entry on its way for as long as the guest says so. A vCPU that makes a call has
 * finished what it was changing. One that makes none, names one entry, and writes no record for a
 * second of looks (of which each counts as 100 ms at most, however long this process slept) is not
 * at it either: a change is four stores.
 *
 * Threads: one at a time, the owner of the tracker; the vCPUs write meanwhile.
 */
#ifndef VMM_PIN_GUEST_LOG_H
#define VMM_PIN_GUEST_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "alias_abi.h"
#include "alias_tracker.h"

/* What the log of an honest guest never shows. */
enum log_fault {
	LOG_SOUND,
	LOG_FALSE_LOSS, /* records counted as lost, while the ring had room */
	LOG_OVERRUN,    /* more records than the ring has room for */
	LOG_STOPPED,    /* of all: ended while the host still wants it */
};

/* Since when a vCPU has been found at the same change. */
struct log_stall {
	uint64_t changing, head, lost; /* as found */
	uint64_t seen_ms;              /* when that was last */
	uint64_t age_ms;
};

/* The ring of one vCPU. */
struct log_ring {
	struct alias_log *log;                  /* the guest's, but for `tail` */
	const struct alias_log_record *records; /* the guest's, ALIAS_LOG_RECORDS */
	uint64_t tail;                          /* records taken; `log` is told */
	uint64_t end;                           /* this look takes those before it */
	uint64_t lost;                          /* the guest's, by the last look */
	uint64_t known_tail; /* the vCPU has known it, or a later one, at each loss still to be
				counted */
	uint64_t finished;   /* it named this entry when it made a call; 0: none */
	struct log_stall stall;
	enum log_fault fault; /* found by a look, and not handed out yet */
};

struct guest_log {
	unsigned nr; /* of vCPUs, at most AT_CHANGING_MAX */
	struct log_ring *ring;
	unsigned next;            /* ring that log_next() goes on with */
	bool stopped;             /* LOG_STOPPED is to be handed out */
	uint64_t (*now_ms)(void); /* a clock that never goes back */
};

/* From now on: what was written until now is of no interest. */
void guest_log_start(struct guest_log *log);
/* As at_ops in alias_tracker.h asks. */
void guest_log_begin(struct guest_log *log, struct at_log_look *look);
size_t guest_log_next(struct guest_log *log, struct at_record *records, size_t max);
bool guest_log_pending(struct guest_log *log, uint64_t *entries, size_t *nr);
/* The guest has ended its log unasked. */
void guest_log_stopped(struct guest_log *log);
/* This vCPU makes a call, or has ended with one: it is not in the middle of a change. */
void guest_log_called(struct guest_log *log, unsigned vcpu);
/* Hands out a fault that was found since this was last called, and whose (LOG_STOPPED: nobody's).
 * False: there is none. */
bool guest_log_next_fault(struct guest_log *log, unsigned *vcpu, enum log_fault *fault);
const char *log_fault_name(enum log_fault fault);

#endif
