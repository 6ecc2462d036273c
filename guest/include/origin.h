/* SPDX-License-Identifier: MIT */
/* Records for the host: struct alias_origin. */
#ifndef GUEST_ORIGIN_H
#define GUEST_ORIGIN_H

#include <stdint.h>

#include "alias_abi.h"

struct tlb_flush;

/* Takes memory for the records of all CPUs, if there is enough, and tells the host where they are.
 * Called with all CPUs up and idle, before pin_init(). */
void origins_init(void);
/* From now on there are records of purges and flushes, too. */
void origins_trace(void);
/* This CPU has mapped or unmapped `nr_pages` at `addr`; NULL: nothing. */
void origin_note(enum alias_origin_kind kind, void *addr, unsigned nr_pages, uint64_t caller);
/* A purge of this CPU is over, which began at that time, cleared so many PTEs, and made that flush.
 */
void origin_note_purge(uint64_t since, uint64_t cleared, struct tlb_flush flush);
/* A flush of this CPU is over. Of its own TLB alone, where there is no other, there is no record:
 * that takes a few instructions. */
void origin_note_flush(struct tlb_flush flush);

#endif
