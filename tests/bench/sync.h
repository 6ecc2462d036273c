/* SPDX-License-Identifier: MIT */
/*
 * Following tables that change. libaliastracker does it by at_sync(); for the others there is the
 * least that could do: it is told which tables were written, by the same write tracking,
 * compares each with its copy, tells the contender, and arms it again. It knows one flat window of
 * L1 tables that are always linked: no tree, no pins, no permissions, no report, no TLBs.
 */
#ifndef SYNC_H
#define SYNC_H

#include "contender.h"
#include "load.h"

struct follower {
	struct world world;
	const struct load *load;
	const struct contender *contender; /* NULL: the rescan, which follows nothing */
	void *self;                        /* the contender's; of `bits` the world's tracker */
	uint64_t *copies;                  /* 512 entries a table */
	uint64_t bytes;                    /* on the heap, for all of this but the world */
	uint64_t arms;                     /* frames that were armed (again) by syncs */
};

/* What it costs to arm a table. */
enum arming {
	ARMING_FREE, /* a store: the tracker is told so (quiet_syncs = 1) */
	ARMING_REAL, /* a page protection of this process, and a signal */
};

/* All the tables of the load as it is now, followed and quiet. */
void follower_open(struct follower *f, const struct load *load, const struct contender *contender,
		   enum arming arming);
void follower_close(struct follower *f);
/* What the guest does. */
void follower_write(struct follower *f, struct change change);
void follower_sync(struct follower *f);
/* By the state of the last sync; of the rescan by the tables as they are. */
bool follower_has(const struct follower *f, uint64_t pfn);
uint64_t follower_count(const struct follower *f, uint64_t pfn);
uint64_t follower_arms(const struct follower *f);

/* Bytes that malloc() has given out. */
uint64_t heap_bytes(void);

#endif
