/* SPDX-License-Identifier: MIT */
/*
 * The guest's log (alias_abi.h), read for the tracker: a ring of each vCPU, in memory that the
 * guest may change at any time in any way. Everything is read once. What makes no sense counts as
 * lost: the tracker then does without.
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

/* The ring of one vCPU. */
struct log_ring {
	struct alias_log *log;                  /* the guest's, but for `tail` */
	const struct alias_log_record *records; /* the guest's, ALIAS_LOG_RECORDS */
	uint64_t tail;                          /* records taken; `log` is told */
	uint64_t end;                           /* this look takes those before it */
	uint64_t lost;                          /* the guest's, by the last look */
};

struct guest_log {
	unsigned nr; /* of vCPUs, at most AT_CHANGING_MAX */
	struct log_ring *ring;
	unsigned next; /* ring that log_next() goes on with */
};

/* From now on: what was written until now is of no interest. */
void guest_log_start(struct guest_log *log);
/* As at_ops in alias_tracker.h asks. */
void guest_log_begin(struct guest_log *log, struct at_log_look *look);
size_t guest_log_next(struct guest_log *log, struct at_record *records, size_t max);
bool guest_log_pending(const struct guest_log *log, uint64_t *entries, size_t *nr);

#endif
