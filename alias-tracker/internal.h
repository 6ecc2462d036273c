/* SPDX-License-Identifier: MIT */
/*
 * What the files of the tracker share.
 *
 * The tables that can be reached from the roots form a graph. A *table* is a frame and the last
 * known copy of its 512 entries. A *role* of a table is a level at which it is walked; it has as
 * many at most as there are levels (a hostile guest can have the same frame walked as L3 and as
 * L1), all with the same copy. As levels strictly decrease along a link, the graph has no cycles,
 * whatever loops the guest builds.
 *
 * A role has sums over the links that lead to it, and a *view*: what its entries count as, given
 * those links. An entry that changes moves only the sums of the role that it links to. A role whose
 * links have changed is queued, and roles_update() brings the views of queued roles up to date,
 * level by level from the top, so that each is looked at once, when all above it are done.
 *
 * Counts mean exactly what the copies and the views say, at any time between two steps. Each step
 * first does what needs memory (it takes that back if there is none), then what can't fail. So a
 * step that fails leaves a graph that is whole and merely old: the entry keeps its old copy, the
 * role stays queued, and the next sync tries again.
 */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <sys/queue.h>

#include "alias_tracker.h"
#include "copy.h"
#include "frames.h"
#include "links.h"
#include "map.h"
#include "pte.h"
#include "root_list.h"

/* --- tlb_pending.c: what may still be in a TLB ------------------------------------------------ */

/* Names a unit of some size in one number: frames are those of level 1. `all`: as to leaves of any
 * kind, else as to writable ones. */
static inline uint64_t unit_name(uint64_t unit, unsigned level, bool all)
{
	return unit << 3 | (uint64_t)all << 2 | level;
}

/* When a unit's last such leaf was found gone, by both clocks. It is out of all TLBs when either
 * says so. Where the last leaf of any kind was a writable one, the stamp of those stands for both.
 */
struct stamp {
	uint64_t cleared; /* the guest's `cleared` */
	uint64_t now;     /* the owner's `now` */
};

struct tlb_pending {
	struct map index;     /* unit name -> 1 + where its stamp is */
	struct stamp *stamps; /* as many as names are in `index` */
	size_t max_stamps;
	bool large;           /* some are of units of 2 MiB or 1 GiB */
	struct stamp newest;  /* of all stamps, by each clock */
	struct stamp floor;   /* what is in no map may be as young as this (a map overflowed) */
	uint64_t flushed;     /* the guest's clock, as last read */
	uint64_t flushed_all; /* what was found gone when `now` was lower is out of all TLBs */
	/* Of any unit, as to leaves of any kind; or nothing. */
	struct stamp uncounted; /* latest time a frame may have lost one that was not counted */
	struct stamp
		lost_one; /* latest time a frame that is still mapped lost one of several leaves */
	/* Lost their last leaf since the clock was last read: */
	uint64_t *pending;
	size_t nr_pending, max_pending;
	bool overflow; /* and more than fit here */
	bool losing;   /* or lost one and kept another */
	bool gaining;  /* Some leaf has begun to count since then: units may have one again */
};

void tlb_pending_init(struct tlb_pending *tlb, uint64_t seed);
void tlb_pending_free(struct tlb_pending *tlb);
void tlb_pending_add_more(struct tlb_pending *tlb, uint64_t name); /* where there is no room */
/* A unit lost its last leaf. Never fails: what doesn't fit makes all frames pending. */
static inline void tlb_pending_add(struct tlb_pending *tlb, uint64_t name)
{
	if (tlb->nr_pending < tlb->max_pending)
		tlb->pending[tlb->nr_pending++] = name;
	else
		tlb_pending_add_more(tlb, name);
}
/* Forgets what was added since the clock was last read: it was never granted. */
void tlb_pending_cancel(struct tlb_pending *tlb);
/* A unit lost a leaf, and has others. */
void tlb_pending_lose_one(struct tlb_pending *tlb);
/* From now on leaves of any kind are counted. */
void tlb_pending_count_all(struct alias_tracker *at);
/* Every TLB was flushed since `now` was `since`. */
void tlb_pending_flushed(struct tlb_pending *tlb, uint64_t since);
/* Reads the clock, now that tables have been read, and stamps what is still without leaf. */
void tlb_pending_settle(struct alias_tracker *at);
/* The frame's stamp, as to leaves of any kind if `all`, is no higher than this. */
void tlb_pending_lower(struct alias_tracker *at, uint64_t pfn, bool all, uint64_t cleared);
/* May a TLB hold a writable leaf of any frame that is gone? */
static inline bool tlb_pending_any(const struct tlb_pending *tlb)
{
	return tlb->flushed < tlb->newest.cleared;
}
/* May a TLB hold what is in the way of that transition? *gone_at is the highest `now` at which such
 * was found gone, or 0. */
bool tlb_pending_holds(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		       uint64_t *gone_at);
size_t tlb_pending_bytes(const struct tlb_pending *tlb);

/* --- window.c: exempt windows ----------------------------------------------------------------- */

#define EXEMPT_MAX 8u

/* An exempt window. No two of them have an address or a gpa in common, so that no leaf is exempt at
 * two addresses. */
struct exempt {
	uint64_t base, gpa, size; /* as far as there is memory */
	uint64_t first;           /* address from which its places are counted */
};

struct windows {
	struct at_window named[AT_WINDOWS_MAX];
	struct exempt exempt[EXEMPT_MAX];
	unsigned nr_named, nr_exempt;
	uint64_t top[PT_ENTRIES / 64]; /* bit i: entry i of a root leads to some of an exempt one */
};

/* The place of a table of this level at va. */
uint32_t place_of(const struct alias_tracker *at, uint64_t va, unsigned level);
/* The address of a place that is neither PLACE_OUTSIDE nor PLACE_NONE. */
uint64_t place_va(const struct alias_tracker *at, uint32_t place);
/* Where the table is that entry `index` of one at `place`, of this level, links to. */
uint32_t child_place(const struct alias_tracker *at, unsigned level, uint32_t place,
		     unsigned index);
/* Does a leaf that maps this gpa at that address belong there? */
bool window_exempts(const struct alias_tracker *at, uint64_t va, uint64_t gpa);
/* The only address at which a leaf that maps this gpa is exempt; false: there is none. */
bool window_exempt_va(const struct alias_tracker *at, uint64_t gpa, uint64_t *va);
/* As what a leaf may count; bits. */
enum { LEAF_MAPPED = 1, LEAF_WRITABLE = 2 };

/* As what does this leaf of a table at this level count, by a view? LEAF_MAPPED only after
 * at_count_all(), and then what counts as writable counts as mapped, too: where all links to a role
 * agree, the writable ones do. */
unsigned leaf_counts_as(const struct alias_tracker *at, struct view view, unsigned level,
			unsigned index, uint64_t pte);
/* Is a part of [va, va + size) in an exempt window? */
bool window_touches(const struct alias_tracker *at, uint64_t va, uint64_t size);

/* --- table.c: tables and roles ---------------------------------------------------------------- */

struct table;

struct role {
	struct table *table; /* NULL: this one, which lies in its table, is not in use */
	uint8_t level;       /* 1..5 */
	bool queued;
	bool judged;    /* by follow.c: it is reached from a pinned root */
	uint16_t index; /* of the entry of `parent` that links here */
	struct view view;
	struct links all, writable; /* all links, and the writable ones by a writable path */
	struct role *parent;        /* one of those that link here, or NULL: path.c looks for one */
	STAILQ_ENTRY(role) queue;   /* in at->outdated[level - 1], if queued */
	uint32_t reach;             /* in a survey: 1 + its place in the list of roles, or 0 */
	uint64_t walk;              /* number of the last walk that came by (pin.c, follow.c) */
};

TAILQ_HEAD(table_queue, table);
STAILQ_HEAD(role_queue, role);

struct table {
	TAILQ_ENTRY(table) by_change; /* in at->by_change; or in at->spare */
	TAILQ_ENTRY(table) hot;       /* in at->hot[level - 1], unless armed */
	uint64_t pfn;
	uintptr_t *word;      /* the place of its frame's, which stays while it is not 0 */
	uint64_t state;       /* what its frame has become: see STATE_*; 0: an ordinary one */
	uint64_t quiet_since; /* the sync that last saw a reason to keep it hot; or that armed it */
	uint64_t log_born;    /* log.settled when it was read first */
	uint32_t backoff;     /* quiet syncs after which it is armed; 0: as soon as it is dirtied */
	uint8_t level;        /* as which it was first reached: parents are compared before it */
	bool armed;           /* cold: not compared before it is dirtied */
	bool dirtied;         /* and has not been compared since */
	bool in_recheck;
	bool followed; /* as a root */
	uint8_t roles; /* bit level - 1: it has the role of that level */
	LIST_HEAD(, mismatch) mismatches;
	size_t follow;                    /* if followed: where it is in at->follows */
	struct role *role[PT_LEVELS_MAX]; /* by level - 1; NULL: it isn't walked at that level */
	/* Only if in_recheck: where in at->recheck_queue it is, and which entries are to be judged
	 * at the end of the sync. */
	uint64_t to_recheck[PT_ENTRIES / 64];
	TAILQ_ENTRY(table) recheck;
	struct role first; /* most tables have but this one */
	struct copy copy;
};

/* Is it linked by an entry of a table that is reached? (A root need not be linked.) */
bool table_is_linked(const struct alias_tracker *at, const struct table *table);
/* A table of a frame that has none yet, read from its entries, with a role of this level. The role
 * is queued: if nothing links it by then, it goes again, and the table with it. `word` is the place
 * of the frame's word, or NULL if that is 0. NULL: out of memory. */
struct table *table_new(struct alias_tracker *at, uint64_t pfn, uintptr_t *word, unsigned level,
			const uint64_t *entries);
/* Makes the table hot; it is compared from the next sync on. */
void table_make_hot(struct alias_tracker *at, struct table *table);
/* Makes, and queues, the role of a table at a level at which it has none. NULL: out of memory. */
struct role *role_new(struct alias_tracker *at, struct table *table, unsigned level);
/* The role of a table at that level, made if need be. */
static inline struct role *role_of(struct alias_tracker *at, struct table *table, unsigned level)
{
	struct role *role = table->role[level - 1];

	return role ? role : role_new(at, table, level);
}
/* For each role of the table, from the top, of those that it had to begin with. */
#define FOREACH_ROLE(r, table)                                                                     \
	for (unsigned roles_ = (table)->roles, top_;                                               \
	     roles_ &&                                                                             \
	     (top_ = 31u ^ (unsigned)__builtin_clz(roles_), (r) = (table)->role[top_], true);      \
	     roles_ ^= 1u << top_)
/* The role is linked by nothing and not queued. Its table goes with its last role. */
void role_free(struct alias_tracker *at, struct role *role);
/* Takes memory for so many tables, at->max_spare at most. False: out of memory. */
bool tables_reserve(struct alias_tracker *at, unsigned nr);
/* All tables go, whatever links them; nothing is counted any more. */
void tables_free(struct alias_tracker *at);
size_t tables_bytes(const struct alias_tracker *at);

/* --- leaf.c: leaves that begin and cease to count --------------------------------------------- */

/* The leaf begins to count as `more`. False if out of memory, and then nothing changed. */
bool leaf_add(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
	      unsigned more);
/* Takes that back: never was. */
void leaf_take_back(struct alias_tracker *at, struct role *role, uint64_t pte, unsigned more);
/* The leaf ceases to count as that: it may still be in a TLB. */
void leaf_drop(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
	       unsigned less);

/* --- role.c: what entries do ------------------------------------------------------------------ */

/* An entry that is stored to, while that is judged: its new value is the copy's, and the old one
 * counts beside it. */
struct held {
	uint64_t pfn;
	unsigned index;
	uint64_t pte;        /* the new value */
	struct table *table; /* NULL: it isn't followed, and nothing in it counts */
	uint64_t old;
	bool counts; /* the old value does; it does not if the new one means the same */
};
/* Of a table that is followed, which goes into held->table. False if out of memory: then the entry
 * has but its old value. */
bool held_begin(struct alias_tracker *at, struct held *held, struct table *table);
/* It has but the new value from now on, or but the old one. It isn't in at->held any more. Can't
 * fail, nor can the next roles_update() for want of memory. */
void held_end(struct alias_tracker *at, const struct held *held, bool keep);
/* Gives one entry of a followed table a new value. False if out of memory: then it has the old. */
bool table_update(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte);
/* Brings the views of all queued roles of this level and those above up to date. False if some
 * could not be (out of memory, or the owner wants it to stop): they stay queued. */
static inline bool roles_update(struct alias_tracker *at, unsigned lowest);
bool roles_update_some(struct alias_tracker *at, unsigned lowest); /* where there are some */
/* The frame, which has these entries, becomes a root, and its tree is followed. NULL if out of
 * memory, and then nothing changed but what has been noted as lost and for a recheck. */
struct role *root_add(struct alias_tracker *at, uint64_t pfn, const uint64_t *entries);
/* The opposite. If it can't be done at once (only a sync that failed, or a stop, makes that so),
 * at->failed is set. */
void root_drop(struct alias_tracker *at, struct role *root);
/* Counts all leaves as LEAF_MAPPED, as which none is counted. False if out of memory. */
bool roles_count_all(struct alias_tracker *at);

/* --- survey.c --------------------------------------------------------------------------------- */

struct survey;

void survey_free(struct survey *survey);
size_t survey_bytes(const struct survey *survey);
uint64_t survey_dropped(const struct survey *survey);

/* --- follow.c: roots that are followed unjudged ----------------------------------------------- */

/* Finds out which roles are judged, where some are not. If `recheck`, links of those that are
 * judged from now on go to the recheck queue. */
void judged_update(struct alias_tracker *at, bool recheck);

/* --- path.c: how a role is reached ------------------------------------------------------------ */

struct path {
	uint64_t va;
	bool user, exec;
};

/* Where entry `index` of the role begins, by a path by which it counts: a writable one if it counts
 * as writable, and for a leaf one at which it isn't exempt. */
struct path role_path(const struct alias_tracker *at, struct role *role, unsigned index);

/* --- violation.c ------------------------------------------------------------------------------ */

#define VIOLATIONS_MAX 256u
#define REPORTED_MAX   65536u

struct violations {
	/* entry_name() of those that were -> 1 + kind, until the entry changes; REPORTED_MAX at
	 * most */
	struct map reported;
	struct at_violation ring[VIOLATIONS_MAX];
	unsigned first, nr;
	uint64_t total;
};

/* An entry may have become a violation: to be judged when all is up to date. */
void recheck_add(struct alias_tracker *at, struct table *table, unsigned index);
void recheck_forget_table(struct alias_tracker *at, struct table *table);
/* Judges them by the state as it is now, and queues what had not been reported yet. */
void recheck_report(struct alias_tracker *at);
/* Forgets them unjudged; false if there were none. */
bool recheck_clear(struct alias_tracker *at);
void reported_delete(struct alias_tracker *at, const struct role *role, unsigned index);
/* Is something wrong with this entry of a role now, and what? Fills all but the address. */
bool entry_violates(const struct alias_tracker *at, const struct role *role, unsigned index,
		    struct at_violation *out);
/* Counts it, and keeps it, with an address, if there is room. */
void violation_queue(struct alias_tracker *at, struct role *role, unsigned index,
		     const struct at_violation *violation);

/* --- state.c: what states forbid -------------------------------------------------------------- */

/* Is there a frame, among those that a leaf of `level` spans from `pfn` on, that must not be mapped
 * so? The first, and what is wrong with it. */
bool state_forbids(const struct alias_tracker *at, uint64_t pfn, unsigned level, bool writable,
		   uint64_t pte, struct at_violation *found);

/* The state of a frame: in the low three bits the level of a page table, or one of these. Above
 * them a root's index into at->roots, or the type. */
#define STATE_BALLOONED 6u
#define STATE_MEMTYPE   7u

/* The level of a page table in that state, or 0. */
static inline unsigned state_level(uint64_t state)
{
	return (state & 7) <= PT_LEVELS_MAX ? state & 7 : 0;
}

/* --- aliases.c -------------------------------------------------------------------------------- */

bool is_in_the_way(const struct alias_tracker *at, uint64_t pfn, struct at_transition to);
/* Where at->places are kept: notes what the stored entries of a table's line map at L1; what all of
 * its entries map; what the records say that entries map. */
void places_keep_line(struct alias_tracker *at, const struct table *table, unsigned first);
void places_keep_table(struct alias_tracker *at, const struct table *table);
void places_keep_recorded(struct alias_tracker *at, const struct at_record *records, size_t n);

/* --- pin.c ------------------------------------------------------------------------------------ */

/* Of a pin, or a store, that would bring this about. */
enum at_verdict verdict_of(const struct at_violation *violation);

/* --- compare.c -------------------------------------------------------------------------------- */

/* Compares hot tables, and cold ones that were written, with their copies. */
bool tables_compare(struct alias_tracker *at);

/* --- mismatch.c ------------------------------------------------------------------------------- */

/* Open at once. Those that log_pending() names are beyond that, AT_PENDING_MAX at most. */
#define MISMATCHES_MAX 65536u

struct mismatch;
TAILQ_HEAD(mismatch_queue, mismatch);

struct log {
	bool rescan;      /* the next sync looks at all that changed, and judges nothing */
	bool audit;       /* the next sync is an audit */
	bool fresh;       /* there may be tables whose records are not judged yet */
	bool no_room;     /* for a mismatch, in this sync */
	uint64_t settled; /* times when all that was read agreed with what was logged by then */
	uint64_t base;    /* `settled` when records were lost last */
	unsigned since;   /* syncs since the last audit */
	uint64_t nr_open; /* mismatches that are not judged yet */
	struct mismatch_queue mismatches;
	uint64_t records, strays, losses, audits, nr_mismatches;
};

void log_init(struct alias_tracker *at);
size_t log_bytes(const struct alias_tracker *at);
/* All are forgotten: what was logged until now doesn't matter. */
void mismatches_drop(struct alias_tracker *at);
/* Is it known since when the table's records and its entries agree? Else nothing is noted of it. */
bool log_judges(const struct alias_tracker *at, const struct table *table);
/* A table's entry was found changed by a comparison. */
void log_note_change(struct alias_tracker *at, struct table *table, unsigned index, uint64_t from,
		     uint64_t to);
/* The same, by a record if there is one, which says something else. */
void log_note_step(struct alias_tracker *at, struct table *table, unsigned index, uint64_t was,
		   uint64_t now, const struct at_record *record);
/* The table is new, has just been read; it goes. */
void log_add_table(struct alias_tracker *at, struct table *table);
void log_forget_table(struct alias_tracker *at, struct table *table);
/* All is read that was to be read: mismatches are judged, but those that are pending. */
void log_settle(struct alias_tracker *at);

/* --- log.c ------------------------------------------------------------------------------------ */

/* A sync of AT_LOGGED, but for what all have in common. */
bool log_sync(struct alias_tracker *at);
/* From now on every change is in the log. */
void log_start(struct alias_tracker *at);

/* --- tracker.c -------------------------------------------------------------------------------- */

struct alias_tracker {
	struct at_config config;
	struct at_ops ops;
	unsigned levels; /* of the tables: a root is one of that level */
	struct windows windows;
	bool failed; /* the last sync did: pins are refused */

	struct frames frames; /* words: see below */
	/* By frame: the last entry for the kernel alone that was seen to map it, as PT_ENTRIES *
	 * pfn of the table + index; it may never have been a leaf. NULL: not kept. */
	uint64_t *places;
	struct root_list roots;   /* those that are pinned */
	struct root_list follows; /* those that are followed, pinned or not */
	bool judges_some;         /* some may be followed, or were: see follow.c */
	uint64_t nr_states;       /* frames that are not ordinary ones; */
	uint64_t nr_in_state[8];  /* of these, by the low three bits of their state */

	uint64_t nr_tables, nr_more_roles; /* roles beyond the first of each table */
	size_t copy_bytes;                 /* what copies have taken beyond their tables */
	struct table_queue spare;          /* memory of tables that are gone, by by_change */
	unsigned nr_spare, max_spare;
	struct role_queue
		outdated[PT_LEVELS_MAX]; /* roles whose links have changed, by level - 1 */
	unsigned outdated_levels;        /* bit i: outdated[i] isn't empty */
	struct table_queue by_change;    /* all tables, last changed first */
	struct table_queue hot[PT_LEVELS_MAX];
	uint64_t nr_hot;
	uint64_t walks;

	struct held held[AT_STORE_MAX]; /* within at_store() */
	unsigned nr_held;
	bool counts_all; /* frames keep COUNT_MAPPED, too */
	struct tlb_pending tlb_pending;
	struct table_queue recheck_queue;
	struct violations violations;
	struct log log;
	struct survey *survey; /* NULL: there was none */

	uint64_t roots_changed; /* how often one was added or dropped */
	uint64_t syncs, tables_compared, tables_changed, entries_changed, arms, dirtied;
};

/* The word of a frame is 0; or its state, shifted, with WORD_STATE; or its table, which holds the
 * state. */
#define WORD_STATE 1u

static inline uintptr_t word_of_state(uint64_t state)
{
	return state ? state << 1 | WORD_STATE : 0;
}

static inline uint64_t state_of_word(uintptr_t word)
{
	if (word & WORD_STATE)
		return word >> 1;
	return word ? ((const struct table *)word)->state : 0;
}

static inline struct table *table_of_word(uintptr_t word)
{
	return word & WORD_STATE ? NULL : (struct table *)word;
}

static inline uint64_t frame_state(const struct alias_tracker *at, uint64_t pfn)
{
	return state_of_word(frame_word(&at->frames, pfn));
}

static inline struct table *table_find(const struct alias_tracker *at, uint64_t pfn)
{
	return table_of_word(frame_word(&at->frames, pfn));
}

/* The table with the entry at that address; NULL if it is none, or of no table that is followed. */
static inline struct table *entry_table(const struct alias_tracker *at, uint64_t gpa)
{
	return gpa % sizeof(uint64_t) ? NULL : table_find(at, gpa >> PAGE_SHIFT);
}

static inline unsigned entry_index(uint64_t gpa)
{
	return gpa / sizeof(uint64_t) % PT_ENTRIES;
}

/* The role in which the frame is walked at that level, or NULL. */
static inline struct role *role_find(const struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	const struct table *table = table_find(at, pfn);

	return table ? table->role[level - 1] : NULL;
}

/* Are the links of this role judged? Not where only followed roots lead to it. */
static inline bool role_is_judged(const struct alias_tracker *at, const struct role *role)
{
	return !at->judges_some || role->judged;
}

/* The role that this entry, of kind PTE_TABLE, links to; NULL if there is no memory there. */
static inline struct role *role_child(const struct alias_tracker *at, const struct role *role,
				      uint64_t pte)
{
	return role_find(at, pte_pfn(pte, role->level, PTE_TABLE), role->level - 1);
}

/* The entry lost the meaning that it had for this role: should it come back, that is news. */
static inline void reported_forget(struct alias_tracker *at, const struct role *role,
				   unsigned index)
{
	if (at->violations.reported.used)
		reported_delete(at, role, index);
}

/* Into the list of hot tables, and out of it. */
static inline void hot_insert(struct alias_tracker *at, struct table *table)
{
	/* At the head, where a running sync doesn't come by any more. */
	TAILQ_INSERT_HEAD(&at->hot[table->level - 1], table, hot);
	at->nr_hot++;
}

static inline void hot_remove(struct alias_tracker *at, struct table *table)
{
	TAILQ_REMOVE(&at->hot[table->level - 1], table, hot);
	at->nr_hot--;
}

/* The links to the role have changed. */
static inline void role_queue(struct alias_tracker *at, struct role *role)
{
	if (role->queued)
		return;
	role->queued = true;
	STAILQ_INSERT_TAIL(&at->outdated[role->level - 1], role, queue);
	at->outdated_levels |= 1u << (role->level - 1);
}

static inline bool roles_update(struct alias_tracker *at, unsigned lowest)
{
	return !(at->outdated_levels >> (lowest - 1)) || roles_update_some(at, lowest);
}

/* Does the owner want the running call to leave off? */
static inline bool wants_stop(const struct alias_tracker *at)
{
	return __atomic_load_n(at->config.stop, __ATOMIC_RELAXED);
}

/* The entries of a frame, or NULL. */
static inline const uint64_t *frame_entries(const struct alias_tracker *at, uint64_t pfn)
{
	return pfn < at->config.frames ? at->ops.table(at->config.ctx, pfn) : NULL;
}

#endif
