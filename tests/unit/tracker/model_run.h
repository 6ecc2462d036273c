/* SPDX-License-Identifier: MIT */
/* One run of the tracker beside the model, and what is compared on the way. */
#ifndef MODEL_RUN_H
#define MODEL_RUN_H

#include <check.h>
#include <stdint.h>

#include "model.h"
#include "world.h"

struct run {
	struct world w;
	struct model m;
	uint64_t random_state;
	uint64_t op_number;
	bool no_faults;   /* no allocation fails */
	bool stop;        /* the tracker's owner wants it to stop: */
	unsigned stop_in; /* when it has asked for so many tables; 0: not at all */
	int64_t held;     /* findings, by what was told of them */
	unsigned manners; /* percent of the guest's writes that keep to the rules */
	struct {
		uint64_t pins, pins_ok, roots_ok, unpins_ok, syncs, faults, aliases, reports, stale,
			maps, roles, ballooned, memtyped, follows, findings;
	} tally;
};

/* Check notes each of its assertions for its parent process, which here would take most of the
 * time: it is told of failures only. */
#define must(condition) must_be(condition, "not so")
#define must_be(condition, what)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("operation %llu: %s: %s", (unsigned long long)r->op_number,   \
				     #condition, what);                                            \
	} while (0)

uint64_t rnd(struct run *r, uint64_t n); /* below n */
bool percent(struct run *r, unsigned p);
/* fault_set(), unless no allocation is to fail. */
void fault_maybe(struct run *r, unsigned nth, bool for_good);
uint64_t some_frame(struct run *r); /* one of those that are mapped often, or any */

/* Memory of tables is not kept for the next: each is an allocation, which may fail. */
void spare_nothing(struct world *w);

/* The state of the last sync: of one frame, of those of the pool and some more, of all. */
void compare_frame(struct run *r, uint64_t pfn);
void compare_some(struct run *r);
void compare_all(struct run *r);
/* Verdicts that a check of this frame may give now, as bits. */
unsigned check_allows(struct run *r, uint64_t pfn, struct at_transition to);
void compare_check(struct run *r, uint64_t pfn, struct at_transition to);
void compare_aliases(struct run *r, uint64_t pfn, struct at_transition to);
/* The oracle reads live memory: only right after a sync it says the same as the bits. */
void compare_oracle(struct run *r, uint64_t pfn, struct at_transition to);

/* Any, with sense or without. */
struct at_transition some_transition(struct run *r);
/* at_pin(), and all that follows. */
enum at_verdict pin(struct run *r, uint64_t pfn, unsigned level);
/* The same for another transition. */
void become(struct run *r, uint64_t pfn, struct at_transition to);
void op_become(struct run *r);
void op_take_back(struct run *r);
void op_count_all(struct run *r); /* early, late or never */
void op_follow(struct run *r);
void op_unfollow(struct run *r);
void follow_meanwhile(struct run *r);
/* A survey, right after a sync. */
void op_survey(struct run *r);
/* No direct map, one, or some windows anywhere. */
void start_windows(struct run *r);

/* What was mapped before something happened to the mappings. */
struct before {
	struct m_count count;
	struct m_maybe maybe;
};

void remember(struct run *r, struct before *before);
struct m_stamp stamp_now(const struct run *r);
/* TLB-pending frames, after it happened and the clock was read. */
void stamp(struct run *r, const struct before *before);

/* Right after mappings went, before a sync comes: asks for some of the frames that they mapped. */
void ask_for_lost(struct run *r, const struct before *before);

/* All was flushed since: those of leaves of any kind that this takes care of. */
void forget_stamps(struct run *r, uint64_t since);

/* Marks of one sync, by frame of the pool, entry and level. */
struct marks {
	bool was[M_POOL][M_ENTRIES][6];      /* a violation before */
	bool reported[M_POOL][M_ENTRIES][6]; /* now */
	uint64_t seen[M_POOL][M_ENTRIES];    /* value before */
	unsigned nr_reported;
	bool linked; /* tables were linked anew, whatever their content */
};

void mark_before(struct run *r, struct marks *marks);
/* Takes what is queued. If `judge`, each report must be true, and new. */
void take_reports(struct run *r, struct marks *marks, bool judge);
/* All that is new must have been reported; what was there before need not be, and is not again
 * unless tables were linked anew. */
void check_reports_complete(struct run *r, const struct marks *marks);
/* A report must be true, with an address that leads there; of_root: in the marked tree. */
void check_report(struct run *r, const struct at_violation *v, bool of_root);

#endif
