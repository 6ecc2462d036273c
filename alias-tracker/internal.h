/* SPDX-License-Identifier: MIT */
/*
 * What the files of the tracker share.
 *
 * The tables that can be reached from the roots form a graph. A *table* is a frame and the last
 * known copy of its 512 entries. A *node* is one role in which a table is reached: its level, and
 * inside the direct map also where, since there a leaf is exempt by its virtual address. One table
 * may have several nodes (a hostile guest can have the same frame walked as L3 and as L1), all with
 * the same copy. As levels strictly decrease along an edge, the graph has no cycles, whatever loops
 * the guest builds, and reference counts are exact.
 *
 * At any time between two steps the graph means exactly what the copies say. An entry is updated
 * by adding its new meaning, then dropping the old one; adding can fail for want of memory and then
 * takes back what it did, dropping cannot. So a sync that fails leaves a graph that is whole and
 * merely old, and the next one finds the same differences again.
 */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <sys/queue.h>

#include "alias_tracker.h"
#include "entries.h"
#include "map.h"
#include "pack.h"
#include "pte.h"

/* 2^35 frames are 128 TiB, all that a direct map in one half of the address space can hold, and
 * what lets the name of a node fit into 64 bits. */
#define FRAMES_MAX (1ull << 35)

/* --- count.c: how many of something there is per unit of 4 KiB, 2 MiB or 1 GiB ---------------- */

#define COUNT_BLOCK (64u * PACK_ITEMS) /* units of a block */
#define COUNT_DEPTH 4u

/* Of 4096 units: which have any; and, unless NULL, which of them have more than that, and so on. */
struct count_block {
	struct pack any; /* a bit a unit */
	struct count_block *more;
};

struct count {
	uint64_t units;
	uint64_t end; /* units from this one on never had any */
	struct count_block *blocks;
	struct map spill; /* unit -> how many more, where there are more than COUNT_DEPTH */
	size_t bytes;     /* of the blocks */
};

bool count_init(struct count *count, uint64_t units, uint64_t seed);
void count_free(struct count *count);
/* Units beyond the last are ignored: nothing is ever in them. */
bool count_add(struct count *count, uint64_t unit);  /* false: out of memory, unchanged */
bool count_drop(struct count *count, uint64_t unit); /* true: that was the last */
uint64_t count_of(const struct count *count, uint64_t unit);
size_t count_bytes(const struct count *count);

static inline bool block_has(const struct count_block *block, uint64_t unit)
{
	const uint64_t *word = pack_find(&block->any, unit / 64 % PACK_ITEMS, 1);

	return word && *word >> unit % 64 & 1;
}

static inline bool count_any(const struct count *count, uint64_t unit)
{
	return unit < count->end && block_has(&count->blocks[unit / COUNT_BLOCK], unit);
}

/* --- limbo.c: what may still be in a TLB ------------------------------------------------------ */

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

struct limbo {
	struct map cleared;   /* unit name -> `cleared` of its stamp */
	struct map now;       /* unit name -> 1 + `now` of its stamp */
	struct stamp newest;  /* of all stamps, by each clock */
	struct stamp floor;   /* what is in no map may be as young as this (a map overflowed) */
	uint64_t flushed;     /* the guest's clock, as last read */
	uint64_t flushed_all; /* what was found gone when `now` was lower is out of all TLBs */
	/* Of any unit, as to leaves of any kind; or nothing. */
	struct stamp uncounted; /* it may have lost one by then, before all were counted */
	struct stamp lost_one;  /* it had lost one by then, and kept another */
	/* Lost their last leaf since the clock was last read: */
	uint64_t *pending;
	size_t nr_pending, max_pending;
	bool overflow; /* and more than fit here */
	bool losing;   /* or lost one and kept another */
};

void limbo_init(struct limbo *limbo, uint64_t seed);
void limbo_free(struct limbo *limbo);
/* A unit lost its last leaf. Never fails: what doesn't fit makes everything suspect. */
void limbo_add(struct limbo *limbo, uint64_t name);
/* Forgets what was added since the clock was last read: it was never granted. */
void limbo_cancel(struct limbo *limbo);
/* A unit lost a leaf, and has others. */
void limbo_lose_one(struct limbo *limbo);
/* From now on leaves of any kind are counted. */
void limbo_count_all(struct alias_tracker *at);
/* Every TLB was flushed since `now` was `since`. */
void limbo_flushed(struct limbo *limbo, uint64_t since);
/* Reads the clock, now that tables have been read, and stamps what is still without leaf. */
void limbo_settle(struct alias_tracker *at);
/* The frame's stamp, as to leaves of any kind if `all`, is no higher than this. */
void limbo_lower(struct alias_tracker *at, uint64_t pfn, bool all, uint64_t cleared);
/* May a TLB hold what is in the way of that transition? *gone_at is the highest `now` at which such
 * was found gone, or 0. */
bool limbo_holds(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		 uint64_t *gone_at);
size_t limbo_bytes(const struct limbo *limbo);

/* --- node.c: the graph ------------------------------------------------------------------------ */

struct table;

struct node {
	struct table *table;
	LIST_ENTRY(node) of_table;
	struct node *parent;  /* one of its parents, or NULL if that link is gone; see node_va() */
	uint16_t index;       /* the entry of `parent` that links here */
	uint8_t level;        /* 1..4 */
	uint32_t leaves;      /* outside of the direct map, not of its place */
	uint64_t place;       /* in the direct map: 1 + (va - base) / 2 MiB; 0 outside */
	uint64_t links;       /* entries of reachable tables that link here; a root's pin is one */
	uint64_t write_links; /* of them those by which it is reached writably; its leaves count
				 as aliases while there are any */
	uint64_t walk;        /* number of the last walk that came by (pin.c) */
};

LIST_HEAD(node_list, node);
TAILQ_HEAD(table_queue, table);

struct table {
	TAILQ_ENTRY(table) by_change; /* in at->by_change */
	TAILQ_ENTRY(table) hot;       /* in at->hot[level - 1], unless armed */
	uint64_t pfn;
	uint64_t quiet_since; /* the sync that last saw a reason to keep it hot; or that armed it */
	uint32_t patience;    /* quiet syncs after which it is armed; 0: as soon as it is dirtied */
	uint8_t level;        /* as which it was first reached: parents are compared before it */
	bool armed;           /* cold: not compared before it is dirtied */
	bool dirtied;         /* and has not been compared since */
	bool is_suspect;
	uint64_t log_born; /* log.settled when it was read first */
	LIST_HEAD(, doubt) doubts;
	TAILQ_ENTRY(table) suspects; /* in at->suspects, if is_suspect */
	unsigned nr_nodes;           /* with those that are being made */
	struct node_list nodes[PT_LEVELS];
	uint64_t suspect[PT_ENTRIES / 64]; /* entries to be judged at the end of the sync */
	struct entries entries;
};

struct table *table_find(const struct alias_tracker *at, uint64_t pfn);
/* Does some reachable entry link to it? (A root need not be linked.) */
bool table_is_linked(const struct table *table);
/* The node of a root; follows its whole tree. NULL when out of memory, and then nothing changed but
 * what is in limbo->pending and the suspects. */
struct node *node_new_root(struct alias_tracker *at, uint64_t pfn);
void node_drop_root(struct alias_tracker *at, struct node *root);
/* The child that this entry, of kind PTE_TABLE, links to; NULL if there is no memory there. */
struct node *node_child(const struct alias_tracker *at, const struct node *node, unsigned index,
			uint64_t pte);
/* Gives one entry of a followed table a new value. False if out of memory: then it has the old. */
bool table_update(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte);
/* The same for a line of entries; those for which there is no memory keep what they had. */
bool table_update_line(struct alias_tracker *at, struct table *table, unsigned line,
		       const uint64_t *values);
/* Does this entry, of kind PTE_LEAF, map known frames other than as part of the direct map? */
bool leaf_is_alias(const struct alias_tracker *at, const struct node *node, unsigned index,
		   uint64_t pte);
/* And can they be written through it, by some path? */
static inline bool leaf_is_writable(const struct node *node, uint64_t pte)
{
	return node->write_links && (pte & PTE_RW);
}
/* Counts the leaves of all tables for at->mapped, which is empty. False if out of memory. */
bool nodes_count_all(struct alias_tracker *at);

/* --- path.c: how a node is reached ------------------------------------------------------------ */

struct path {
	uint64_t va;
	bool user, exec;
};

/* Where entry `index` of the node begins, by a path that is writable if the node has such. Only
 * while nothing is being updated. */
struct path node_path(const struct alias_tracker *at, struct node *node, unsigned index);

/* --- violation.c ------------------------------------------------------------------------------ */

#define VIOLATIONS_MAX 256u

struct violations {
	/* entry_name() of those that were -> 1 + kind, until the entry changes */
	struct map reported;
	struct at_violation ring[VIOLATIONS_MAX];
	unsigned first, nr;
	uint64_t total;
};

/* An entry may have become a violation: to be judged when all is up to date. */
void suspect_add(struct alias_tracker *at, struct table *table, unsigned index);
void suspect_forget_table(struct alias_tracker *at, struct table *table);
/* Judges them by the state as it is now, and queues what had not been reported yet. */
void suspects_report(struct alias_tracker *at);
/* Forgets them unjudged; false if there were none. */
bool suspects_clear(struct alias_tracker *at);
/* The entry lost the meaning that it had for this node: should it come back, that is news. */
void reported_forget(struct alias_tracker *at, const struct node *node, unsigned index);
/* Is something wrong with this entry of a node now, and what? Fills all but the address. */
bool entry_violates(const struct alias_tracker *at, const struct node *node, unsigned index,
		    struct at_violation *out);
/* Counts it, and keeps it, with an address, if there is room. */
void violation_queue(struct alias_tracker *at, struct node *node, unsigned index,
		     const struct at_violation *violation);

/* --- state.c: what frames have become --------------------------------------------------------- */

/* False if out of memory, and then nothing changed. The frame is an ordinary one, or gets another
 * type, which cannot fail. */
bool state_set(struct alias_tracker *at, uint64_t pfn, struct at_transition to);
void state_clear(struct alias_tracker *at, uint64_t pfn);
bool state_is_ordinary(const struct alias_tracker *at, uint64_t pfn);
/* Is there a frame, among those that a leaf of `level` spans from `pfn` on, that must not be mapped
 * so? The first, and what is wrong with it. */
bool state_forbids(const struct alias_tracker *at, uint64_t pfn, unsigned level, bool writable,
		   uint64_t pte, struct at_violation *found);

/* --- aliases.c -------------------------------------------------------------------------------- */

bool is_in_the_way(const struct alias_tracker *at, uint64_t pfn, struct at_transition to);

/* --- pin.c ------------------------------------------------------------------------------------ */

/* Of a pin, or a store, that would bring this about. */
enum at_verdict verdict_of(const struct at_violation *violation);

/* --- sync.c ----------------------------------------------------------------------------------- */

/* Compares hot tables, and cold ones that were written, with their copies. */
bool tables_compare(struct alias_tracker *at);
/* Makes the table hot; it is compared from the next sync on. */
void table_heat(struct alias_tracker *at, struct table *table);
/* Takes the table out of all that sync.c knows. */
void table_forget(struct alias_tracker *at, struct table *table);

/* --- log.c ------------------------------------------------------------------------------------ */

struct doubt;
TAILQ_HEAD(doubt_queue, doubt);

struct log {
	bool rescan;        /* the next sync looks at all that changed, and judges nothing */
	bool audit;         /* the next sync is an audit */
	bool fresh;         /* there may be tables whose records are not judged yet */
	uint64_t settled;   /* times when all that was read agreed with what was logged by then */
	uint64_t base;      /* `settled` when records were lost last */
	unsigned since;     /* syncs since the last audit */
	struct map by_name; /* name of an entry -> struct doubt * */
	struct doubt_queue doubts;
	uint64_t records, strays, losses, audits, lies;
};

void log_init(struct alias_tracker *at);
void log_free(struct alias_tracker *at);
size_t log_bytes(const struct alias_tracker *at);
/* A sync of AT_LOGGED, but for what all have in common. */
bool log_sync(struct alias_tracker *at);
/* From now on every change is in the log; or it doesn't matter any more if it is. */
void log_start(struct alias_tracker *at);
void log_stop(struct alias_tracker *at);
/* A table's entry was found changed by a comparison. */
void log_note_change(struct alias_tracker *at, struct table *table, unsigned index, uint64_t from,
		     uint64_t to);
/* The table is new, has just been read; it goes. */
void log_add_table(struct alias_tracker *at, struct table *table);
void log_forget_table(struct alias_tracker *at, struct table *table);
/* The owner has changed this frame, which may be a table: that is not held against the log. */
void log_owner_wrote(struct alias_tracker *at, uint64_t pfn);

/* --- tracker.c -------------------------------------------------------------------------------- */

struct alias_tracker {
	struct at_config config;
	struct at_ops ops;
	uint64_t direct_base, direct_size;
	bool failed; /* the last sync did: pins are refused */

	struct map states;   /* pfn -> state_value(); ordinary frames have none */
	uint16_t *states_2m; /* how many frames in each 2 MiB have one, */
	uint32_t *states_1g; /* and in each 1 GiB */
	uint64_t *roots;
	size_t nr_roots, max_roots;
	uint64_t nr_given, nr_typed;

	struct map tables; /* pfn -> struct table * */
	struct map nodes;  /* node_key() -> struct node *, those below L4 */
	uint64_t nr_nodes;
	size_t entries_bytes;         /* what the entries of all tables hold on the heap */
	struct table_queue by_change; /* all tables, last changed first */
	struct table_queue hot[PT_LEVELS];
	struct table *next_hot; /* where a running sync goes on */
	uint64_t nr_hot;
	uint64_t walks;

	struct count aliases[3]; /* by writable leaves of L1, L2, L3: in their units */
	struct count mapped[3];  /* by all leaves, if counts_all; else unused */
	bool counts_all;
	struct limbo limbo;
	struct table_queue suspects;
	struct violations violations;
	struct log log;

	uint64_t syncs, tables_compared, tables_changed, entries_changed, arms, wakes;
};

/* The entries of a frame, or NULL. */
static inline const uint64_t *frame_entries(const struct alias_tracker *at, uint64_t pfn)
{
	return pfn < at->config.frames ? at->ops.table(at->config.ctx, pfn) : NULL;
}

#endif
