/* SPDX-License-Identifier: MIT */
/*
 * libaliastracker: does this guest frame still have another mapping?
 *
 * A tracker follows the page tables (x86-64, four levels) that are reachable from the pinned roots
 * of one guest. For each guest frame it knows how many writable leaves outside the direct map map
 * it. Pinning a frame as a page table is refused while there are any, and while a TLB may still
 * hold one that is gone (the frame is TLB-pending). After at_count_all() it also knows how many
 * leaves of any kind map a frame, which decides about the other transitions.
 *
 * The library knows no KVM and no ABI. It sees memory through one callback, so it runs on a live
 * guest, on a core file and in a unit test alike. It trusts nothing that it reads: every entry is
 * loaded once and judged on the copy.
 *
 * What counts as writable: R/W is combined over all levels of a path, as the processor does; a
 * table reached by several paths counts as writable if one of them is. A large leaf counts for
 * every frame it spans. Tables reachable from a root are followed whether they are pinned or not
 * (an unpinned one is a violation, and its leaves count all the same). A table has a role for each
 * level at which it is walked, and a leaf counts once in each role. A leaf in the direct map is
 * exempt only where it maps its own place; in a table that is reached at several places none is
 * exempt. So a root can be refused because a table of its tree is reached writably at another
 * root's place.
 *
 * A sync brings this up to date with the tables. An audit is a sync that compares all tables that
 * may have changed, whatever the log says. Entries that may break a rule go to a recheck queue, and
 * are judged when all tables have been read.
 *
 * Threads: a tracker is not locked. One call at a time, by its owner. Guest memory may change
 * meanwhile: a change that is complete before a sync begins is seen by that sync.
 *
 * Trust in the log: in AT_LOGGED a record only says where to look. Entries are read from memory,
 * and the values in the log are held against them. If each change is logged as at_ops says, a sync
 * sees all that one of AT_CHANGES would see. If some are not, it may miss them until the next
 * audit, which reports them as log mismatches.
 *
 * Memory is taken only where something is, and given back:
 * - 160 bytes for a region of 2 MiB with a leaf, a pin or a table, of which 128 are two bits a
 * frame for the number of writable leaves; 144 more after at_count_all().
 * - 4 bytes a frame in runs of 64 of which one has more than two leaves; twice after
 * at_count_all().
 * - 8 bytes a frame in runs of 32 of which one is pinned, a table, ballooned or of a memory type.
 * - 5 KiB at most for a table that is followed, with its share of the above where tables lie far
 * apart; 160 bytes for each further level at which it is walked.
 * - 40 bytes for a TLB-pending frame, of 4096 at most. With more, all frames are taken to be
 * pending until all TLBs are known to have been flushed.
 */
#ifndef ALIAS_TRACKER_H
#define ALIAS_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alias_tracker;

/* Where an alias is. */
struct at_alias {
	uint64_t va;      /* canonical, start of the 4 KiB page that maps the frame */
	uint64_t pte_gpa; /* the leaf entry itself */
	uint64_t pte;     /* its value */
	uint8_t level;    /* of the table that holds it: 1, 2 (2 MiB leaf) or 3 (1 GiB leaf) */
	bool user;        /* U/S combined over the path */
	bool exec;        /* NX clear on the whole path */
};

/* The guest's (or the host's own) evidence about TLBs. An entry found gone by a sync that read
 * `cleared` = c is out of every TLB once `flushed` >= c. A clock that never gives evidence
 * returns {1, 0}: then only at_flushed() does. `now` is the owner's own time, which the tracker
 * gives back by at_gone_at(); it never goes down, and may stay 0. */
struct at_clock {
	uint64_t cleared;
	uint64_t flushed;
	uint64_t now;
};

/* A change of an entry, as the log of the guest has it. */
struct at_record {
	uint64_t pte_gpa;  /* the entry */
	uint64_t from, to; /* its values; what the processor itself sets in them doesn't matter */
};

#define AT_CHANGING_MAX 64
#define AT_PENDING_MAX  256

/* What a sync learns of the log before it takes the records. */
struct at_log_look {
	bool lost; /* since the last look, entries were changed of which no record tells */
	/* This sync is to be an audit: the owner has found something else wrong with the log. */
	bool audit;
	/* Entries that the guest is about to change, or has changed without having written the
	 * record yet. */
	size_t nr_changing;
	uint64_t changing[AT_CHANGING_MAX];
};

/* How the tracker reaches the world. All are called from within the at_* calls, by that thread. */
struct at_ops {
	/* The 512 entries of the frame, or NULL if there is no memory: for a frame either always or
	 * never. The pointer must stay valid until the next call of an at_* function; what it
	 * points to may change at any time. */
	const uint64_t *(*table)(void *ctx, uint64_t pfn);
	/* The clock. Called after the tables have been read, `cleared` must be loaded before
	 * `flushed` (acquire). NULL: no evidence, like {1, 0, 0}. */
	struct at_clock (*clock)(void *ctx);
	/*
	 * Write tracking of single frames, or all NULL: then every table is compared at every sync.
	 * arm: from the return on, the first write to the frame makes dirtied() report it,
	 *      before that write can be seen in memory. Returns false if it could not.
	 * disarm: as if never armed. Only for armed frames.
	 * dirtied: fills up to `max` frames that were written since they were armed (each is then
	 *        disarmed), returns how many; must cost next to nothing when there are none.
	 */
	bool (*arm)(void *ctx, uint64_t pfn);
	void (*disarm)(void *ctx, uint64_t pfn);
	size_t (*dirtied)(void *ctx, uint64_t *pfns, size_t max);
	/*
	 * The log of the guest, or all NULL: then there is no AT_LOGGED. Of each change the guest
	 * first names the entry, then makes the change, then writes the record (or counts it as
	 * lost), then takes the name back; each can be seen before the next. So whoever sees a
	 * change sees the name, too, or else, if he looks after it, the record.
	 * log_begin: takes the names, and *after* that fixes what log_next() hands out: all records
	 *      that are written by then; at last looks if any were lost.
	 * log_next: up to `max` of these, those of one processor in their order; 0: no more. Each
	 *      is handed out once.
	 * log_pending: entries that are named now (but for those of a processor of which the owner
	 *      knows that it isn't at that change), and, looked at after that, those of records
	 * that were not handed out; `entries` has room for AT_PENDING_MAX. False: there are more,
	 *      or some were lost since log_begin().
	 */
	void (*log_begin)(void *ctx, struct at_log_look *look);
	size_t (*log_next)(void *ctx, struct at_record *records, size_t max);
	bool (*log_pending)(void *ctx, uint64_t *entries, size_t *nr);
};

enum at_mode {
	AT_CHANGES, /* a sync compares hot tables, and cold ones that were written */
	AT_SCAN,    /* a sync compares every table: the baseline */
	AT_LOGGED,  /* a sync looks where the log of the guest says; now and then, in an audit, it
		       does what one of AT_CHANGES does, too, and says if the log was wrong */
	AT_BLIND, /* pins are recorded and never checked; no table is followed: unsafe, lower bound
		   */
};

struct at_config {
	/* pfns are 0 .. frames - 1, 2^35 of them at most; entries that point above map nothing that
	 * we know. */
	uint64_t frames;
	enum at_mode mode;
	const struct at_ops *ops; /* must outlive the tracker */
	void *ctx;
	/* at_pin() and at_become() grant a frame in spite of what is in the way and of what a TLB
	 * may still hold, and do not judge the tree of a root: unsafe, to measure what following
	 * costs. at_check() and at_may() still tell. */
	bool grant_aliased;
	/* Cost of arming a table and being told that it was dirtied, in compares. A hot table is
	 * armed after so many syncs without a change. If it is dirtied later than that, it is armed
	 * again at once. If it is dirtied sooner without having changed (walks by the processor
	 * dirty it, too), its number doubles: the backoff. 0: default (96). */
	unsigned quiet_syncs;
	/* Of AT_LOGGED: every so many is an audit; a quiet one counts as 8 quiet syncs. 0: default
	 * (256). */
	unsigned audit_syncs;
	/* Frames that the owner itself writes as the guest runs: their entries, should the guest
	 * have one of them walked as a table, are never held against its log. 0 frames: none. */
	uint64_t shared_pfn, shared_frames;
	/* Mixed into the hashes, so that a guest cannot choose frames that collide: a random
	 * number. 0 makes runs repeatable. */
	uint64_t seed;
	/* While this is true, at_sync() stops between two tables and has failed, as if it had run
	 * out of memory; so do at_pin() of a root, at_unpin() and at_count_all(). Read atomically;
	 * any thread may set it at any time. NULL: nothing stops them. */
	const bool *stop;
};

/* Returns NULL (errno set) when out of memory or when the configuration makes no sense. */
struct alias_tracker *at_new(const struct at_config *config);
/* Disarms what is armed. NULL is fine. */
void at_free(struct alias_tracker *at);

/* The direct map [base, base + size): leaves in it that map va - base are no aliases. Multiples of
 * 512 GiB, canonical, kernel half. Only before the first pin. Returns false if refused. */
bool at_set_direct_map(struct alias_tracker *at, uint64_t base, uint64_t size);

enum at_verdict {
	AT_OK,
	AT_ALIAS,          /* a mapping is in the way: at_aliases(), at_in_the_way() say where */
	AT_STALE_TLB,      /* none exists, but one did and no evidence of a flush since */
	AT_BAD_FRAME,      /* no such frame, or no memory there */
	AT_BAD_LEVEL,      /* not 1..4 */
	AT_BAD_STATE,      /* already pinned; not pinned; still linked under a reachable table; has
			      a type; was not given away */
	AT_CHILD_UNPINNED, /* an entry of the table points to a table that is not pinned one level
			      below */
	AT_MAPS_TABLE,   /* the tree of this root maps a pinned table writable (violation queued) */
	AT_BAD_TABLE,    /* a table outside of memory, or reserved bits */
	AT_NO_MEMORY,    /* the host's, not the guest's */
	AT_BAD_MEMTYPE,  /* not 0..7 */
	AT_IS_BALLOONED, /* it was given away, and has not come back */
	AT_MAPS_BALLOONED,   /* the tree of this root maps a frame that was given away (violation
			      * queued)
			      */
	AT_MEMTYPE_CONFLICT, /* it maps a frame with a type with another type (violation queued) */
};

/* Changes the mode; nothing that is known is lost. From now on AT_SCAN has no table armed.
 * AT_LOGGED begins with an audit that judges nothing: from now on every change is in the log. It
 * ends with one that judges what was logged until now: at_audit().
 * False, and nothing is changed, for and in AT_BLIND, and for AT_LOGGED without a log. */
bool at_set_mode(struct alias_tracker *at, enum at_mode mode);

/* What a frame is to become, and which mappings of it outside the direct map are in the way. A
 * frame is at most one of these at a time. */
enum at_to {
	AT_TO_TABLE,   /* a page table: writable ones */
	AT_TO_MEMTYPE, /* memory of another type (write-back or not): those of all other types */
	AT_TO_BALLOON, /* given away: all */
};

struct at_transition {
	enum at_to to;
	/* The level, 1..4; or the type, an index into the PAT, 0..7, which must mean the same on
	 * all processors, and something else than the others: the tracker compares numbers. */
	unsigned arg;
};

/* From now on mappings of all kinds are counted: before the first transition to AT_TO_MEMTYPE or
 * AT_TO_BALLOON, which are refused (AT_NO_MEMORY) without, and give no violations. Whatever was not
 * counted before may still be in a TLB. Costs the second bit, a look at all tables, and then a
 * little with every mapping. Returns false when out of memory; true if it was done already, and in
 * AT_BLIND, which never counts. */
bool at_count_all(struct alias_tracker *at);

/* Brings the reverse map up to date with the tables. Returns false if out of memory; what could be
 * followed was, the rest is tried again by the next sync, and until one has succeeded the tracker
 * refuses every pin (AT_NO_MEMORY). */
bool at_sync(struct alias_tracker *at);
/* The same; in AT_LOGGED it is an audit. */
bool at_audit(struct alias_tracker *at);

/* Could this frame be pinned at this level now? By the state of the last sync; changes nothing.
 * What the frame itself holds is not looked at: children and trees are judged by at_pin() alone. */
enum at_verdict at_check(const struct alias_tracker *at, uint64_t pfn, unsigned level);

/* at_check(), then the transition. At levels 2 and 3 the frame is read, and its first entry that is
 * bad or links to a table not pinned one level below decides. Level 4 makes the frame a root and
 * follows its tree: tables that are followed already are taken as of the last sync, new ones are
 * read now; one of the violations found, if any, decides, and the tracker is as before. In AT_BLIND
 * only frame, level and state are looked at. */
enum at_verdict at_pin(struct alias_tracker *at, uint64_t pfn, unsigned level);

/* AT_OK, AT_BAD_FRAME, or AT_BAD_STATE: it isn't pinned, or by the last sync still linked at any
 * level. A root's mappings go with it, and the clock is read for them. */
enum at_verdict at_unpin(struct alias_tracker *at, uint64_t pfn);

/* at_check() for any transition. */
enum at_verdict at_may(const struct alias_tracker *at, uint64_t pfn, struct at_transition to);
/* at_pin() for any transition. A frame whose type is 0 again is as if it never had another. */
enum at_verdict at_become(struct alias_tracker *at, uint64_t pfn, struct at_transition to);
/* A frame that was given away is an ordinary one again. AT_OK, AT_BAD_FRAME, or AT_BAD_STATE.
 * Whatever it holds now, the owner has put there: if the guest has it walked as a table, all that
 * is new in it by the next sync, which in AT_LOGGED is an audit, is not held against its log. */
enum at_verdict at_deflate(struct alias_tracker *at, uint64_t pfn);

/* The last 4 KiB leaf of this frame that was in the way went when `cleared` was no more than this:
 * for a caller that knows it better than by the syncs, as all changes of tables go through it. (Not
 * by the word of a guest: it may have mapped the frame elsewhere meanwhile, tests/model.) */
void at_gone_by(struct alias_tracker *at, uint64_t pfn, struct at_transition to, uint64_t cleared);

/* Every TLB was flushed, all of it, since the clock's `now` had become `since`: what was found gone
 * before that is forgotten. UINT64_MAX: after the last at_sync() returned. */
void at_flushed(struct alias_tracker *at, uint64_t since);

/* Of a frame for which at_may() says AT_STALE_TLB, or would if nothing else was the matter: the
 * highest `now` at which what is in the way was found gone that a TLB may still hold. Else 0. */
uint64_t at_gone_at(const struct alias_tracker *at, uint64_t pfn, struct at_transition to);

/* By the state of the last sync, O(1): one bit. False for frames outside of memory. */
bool at_has_alias(const struct alias_tracker *at, uint64_t pfn);
/* How many writable leaves outside the direct map, by the state of the last sync: each once for
 * each level at which its table is walked. Exact below 2^32 - 1; there it stays, so that it can't
 * wrap. */
uint64_t at_alias_count(const struct alias_tracker *at, uint64_t pfn);
/* The same with read-only ones: O(1) too, and false and 0 before at_count_all(). */
bool at_is_mapped(const struct alias_tracker *at, uint64_t pfn);
uint64_t at_mapping_count(const struct alias_tracker *at, uint64_t pfn);
/* 0 if not pinned, else 1..4. */
unsigned at_pinned_level(const struct alias_tracker *at, uint64_t pfn);
bool at_is_ballooned(const struct alias_tracker *at, uint64_t pfn);
/* 0 if it has none. */
unsigned at_memtype(const struct alias_tracker *at, uint64_t pfn);

/* Finds the writable aliases of a frame by the state of the last sync; fills up to `max` and
 * returns how many were filled. A leaf in a table that is reached by several paths is given once,
 * with one of its virtual addresses. Tables that changed most recently are searched first. */
size_t at_aliases(struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max);
/* The same for any transition; finds nothing before at_count_all() but for AT_TO_TABLE. */
size_t at_in_the_way(struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		     struct at_alias *out, size_t max);

/* What a guest did against the rules after its pins were granted, found by a sync. */
enum at_violation_kind {
	AT_V_WRITABLE,  /* a writable leaf maps a frame pinned as table */
	AT_V_UNPINNED,  /* a table was linked that is not pinned at that level */
	AT_V_BAD_TABLE, /* an entry of a followed table points outside of memory, or reserved bits
			 */
	AT_V_UNLOGGED,  /* an entry was changed, and no record tells of it */
	AT_V_MISLOGGED, /* records of an entry lead elsewhere than it went: left out, invented, or
			   of other values */
	AT_V_BALLOONED, /* a leaf outside the direct map maps a frame that was given away */
	AT_V_MEMTYPE,   /* the same of a frame that has another type */
};

struct at_violation {
	enum at_violation_kind kind;
	uint8_t level;    /* of the table that holds the entry */
	uint64_t pfn;     /* the frame that is mapped or linked (now, if at all) */
	uint64_t va;      /* first virtual address through that entry */
	uint64_t pte_gpa; /* the entry */
};

/*
 * Judges a store to the entry at `pte_gpa` of a pinned table before it is done, for a source that
 * holds stores back and so misses none: the copies are taken to be up to date. AT_OK: it breaks no
 * rule, is known from now on, and the caller does it before anything else happens. Else nothing has
 * changed and the caller does not do it: AT_CHILD_UNPINNED (why->pfn is the table it would link,
 * which may be pinned and the store judged again), AT_MAPS_TABLE (it would map, or make reachable
 * writably, the pinned frame why->pfn), AT_BAD_TABLE, AT_BAD_STATE (the frame is not pinned),
 * AT_NO_MEMORY.
 */
enum at_verdict at_store(struct alias_tracker *at, uint64_t pte_gpa, uint64_t pte,
			 struct at_violation *why);

/* Takes the oldest violation not yet taken; false when none. At most 256 are kept; at_stats counts
 * all. The same entry is reported once, until it changes or what leads to it does. (If its table is
 * reached at several levels, once for each.) */
bool at_next_violation(struct alias_tracker *at, struct at_violation *out);
/* "writable mapping of a page table" and the like; for any value, never NULL. */
const char *at_violation_name(enum at_violation_kind kind);
const char *at_verdict_name(enum at_verdict verdict);

struct at_stats {
	uint64_t frames;
	uint64_t pinned; /* frames pinned now */
	uint64_t roots;  /* of them roots */
	uint64_t given;  /* frames that are given away now */
	uint64_t typed;  /* frames that have a type now */
	uint64_t tables; /* tables followed now */
	uint64_t hot;    /* of them compared at each sync */
	uint64_t syncs;
	uint64_t tables_compared; /* sum over all syncs */
	uint64_t tables_changed;  /* of them with a change */
	uint64_t entries_changed;
	uint64_t arms, wakes;
	uint64_t records;       /* of the log, taken */
	uint64_t stray_records; /* of them of entries that are not followed: left alone */
	uint64_t log_losses;    /* syncs that found records lost, and looked at all that changed */
	uint64_t audits;
	uint64_t log_mismatches; /* violations of the two kinds that are the log's */
	uint64_t violations;
	uint64_t memory_bytes; /* held now by this tracker, all included */
};
void at_get_stats(const struct alias_tracker *at, struct at_stats *out);

/*
 * The oracle: a second opinion that shares no state with the above. Walks everything reachable
 * from the tracker's roots in memory as it is now and finds all writable leaves outside the direct
 * map that map `pfn`. Fills up to `max`, returns how many there are (each path counts). Linear in
 * the number of tables. Loops cannot hang it: levels only go down. Works in every mode.
 */
size_t at_oracle(const struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max);
/* The same for what is in the way of any transition, on paths of any kind. */
size_t at_oracle_of(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		    struct at_alias *out, size_t max);

#endif
