/* SPDX-License-Identifier: MIT */
/*
 * Reads the guest's log (alias_abi.h) for the tracker. There is one ring for each vCPU, in memory
 * that the guest may change at any time in any way, so everything is read once. If there are more
 * records than a ring has room for, they count as lost, and the tracker does without. A loss that
 * the guest reports while there was room is not believed. Both are faults of the log, and are
 * reported.
 *
 * Nor is an entry "being changed" for as long as the guest claims. A vCPU that makes a call has
 * finished its change. A vCPU that makes no call, always names an entry and writes no record for a
 * second is not changing it either, since a change is four stores: that is a fault, too. The second
 * is the vCPU's own, in which it runs: not while the host has stopped it, or runs something else.
 * From one sync to the next 250 ms count at most.
 *
 * While no vCPU runs a ring stays as it is. What else the guest can have written there, a disk for
 * one, keeps no log: that is a fault, and nothing that it writes excuses an entry.
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

/* Faults of a log, which a correct guest's log never shows. */
enum log_fault {
	LOG_SOUND,
	LOG_FALSE_LOSS, /* records were counted as lost while the ring had room */
	LOG_OVERRUN,    /* more records than the ring has room for */
	LOG_NAME_KEPT,  /* a running vCPU names the same entry for longer than any change takes */
	LOG_MOVED,      /* a ring was written to while no vCPU ran */
	LOG_STOPPED,    /* all rings: the log ended although the host still wants it */
};

/* How long a vCPU has been naming the same entry. */
struct log_stall {
	uint64_t changing, head, lost; /* as read */
	uint64_t ran_ms;               /* how long the vCPU had run when it was read last */
	uint64_t age_ms;
	bool renamed; /* it named another entry before, with the same head */
	bool told;    /* LOG_NAME_KEPT was found */
};

/* The ring of one vCPU. */
struct log_ring {
	struct alias_log *log; /* written by the guest, but for `tail` */
	/* Written by the guest; ALIAS_LOG_RECORDS of them. */
	const struct alias_log_record *records;
	uint64_t tail;        /* number of records read; stored in `log` when a sync has read all */
	uint64_t stored_tail; /* the one in `log` */
	uint64_t head_then;   /* a head loaded after it was stored */
	uint64_t end;         /* this sync reads the records before it */
	uint64_t lost;        /* the guest's count at the last sync */
	uint64_t changing;    /* what the vCPU named when the last sync began */
	uint64_t known_tail;  /* the change under way then knew this `tail` or a later one */
	uint64_t tail_before; /* `tail` when the last sync began: later changes knew it at least */
	uint64_t finished;    /* the entry that the vCPU named when it made a call; 0: none */
	bool at_rest;         /* the last sync found it idle, and had no records of it to read */
	struct log_stall stall;
	enum log_fault fault; /* found, and not handed out yet */
};

struct guest_log {
	unsigned nr; /* of vCPUs, at most AT_CHANGING_MAX */
	struct log_ring *ring;
	uint64_t unread;  /* bit i: ring i has records that log_next() has not handed out */
	bool faulty;      /* a ring may have a fault that is not handed out */
	bool stopped;     /* LOG_STOPPED is still to be handed out */
	bool quiet;       /* set by the owner: no vCPU runs during this sync */
	unsigned put_off; /* so often in a row it could not be told what is pending */
	/* How long this vCPU has run so far, in milliseconds of processor time. */
	uint64_t (*ran_ms)(void *ctx, unsigned vcpu);
	void *ctx;
};

/* Starts: ignores what was written before. */
void guest_log_start(struct guest_log *log);
/* As at_ops in alias_tracker.h asks. */
void guest_log_begin(struct guest_log *log, struct at_log_state *state);
size_t guest_log_next(struct guest_log *log, struct at_record *records, size_t max);
bool guest_log_pending(struct guest_log *log, uint64_t *entries, size_t *nr);
/* Do vCPUs write so many records during each sync that what they have written can't be judged? Then
 * the next sync is to be made while they are paused. */
bool guest_log_needs_pause(const struct guest_log *log);
/* The guest has ended its log without being asked. */
void guest_log_stopped(struct guest_log *log);
/* This vCPU makes a call, or has ended with one: it is not changing an entry. */
void guest_log_called(struct guest_log *log, unsigned vcpu);
/* May there be a fault to hand out? */
static inline bool guest_log_is_faulty(const struct guest_log *log)
{
	return log->faulty || log->stopped;
}
/* Hands out the next fault and its vCPU (none for LOG_STOPPED). Returns false if there is none. */
bool guest_log_next_fault(struct guest_log *log, unsigned *vcpu, enum log_fault *fault);
const char *log_fault_name(enum log_fault fault);

#endif
