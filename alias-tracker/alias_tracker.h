/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * libaliastracker: does this guest frame still have another mapping?
 *
 * A tracker follows the page tables (x86-64, four or five levels) that are reachable from the pinned
 * and the followed roots of one guest. For each guest frame it knows how many writable leaves outside
 * the exempt windows (most often one: the direct map) map it. Pinning a frame as a page table is
 * refused while there are any, and while a TLB may still hold one that is gone (the frame is
 * TLB-pending). After at_count_all() it also knows how many leaves of any kind map a frame, which
 * decides about the other transitions.
 *
 * The library knows no KVM and no ABI. It sees memory through one callback, so it runs on a live
 * guest, on a core file and in a unit test alike. It trusts nothing that it reads: every entry is
 * loaded once and judged on the copy.
 *
 * What counts as writable: R/W is combined over all levels of a path, as the processor does; a
 * table reached by several paths counts as writable if one of them is. A large leaf counts for
 * every frame that it maps. Tables reachable from a root are followed whether they are pinned or
 * not (an unpinned one is a violation, except where only followed roots lead to it; its leaves
 * count all the same). A table has a role for each level at which it is walked, and a leaf counts
 * once in each role. A leaf in an exempt window is exempt only if it maps what belongs there; a large
 * one is judged by its first address. In a table that is reached at several virtual addresses no leaf
 * is exempt. So a root can be refused because another root reaches a table of its tree by a writable
 * path at another address.
 *
 * A sync brings this up to date with the tables. An audit is a sync that compares all tables that
 * may have changed, whatever the log says. Entries that may break a rule go to a recheck queue, and
 * are judged when all tables have been read.
 *
 * Threads: a tracker is not locked. One call at a time, by its owner. Guest memory may change
 * meanwhile: a change that is complete before a sync begins is seen by that sync.
 *
 * Trust in the log: in AT_LOGGED a record only says where to look. Entries are read from memory,
 * and the values in the log are compared with them. If each change is logged as at_ops says, a sync
 * in AT_LOGGED sees all that a sync in AT_CHANGES would see. It may miss changes that are not
 * logged. The next audit sees them, and reports them as log mismatches.
 *
 * Memory on the heap. But for the first, it is taken only where something is to be kept, and freed
 * afterwards:
 *
 *   8 bytes       for each 2 MiB of frames, and 18 for each GiB; of many frames these are pages that
 *                 the kernel gives only where the following is kept
 *   160 bytes     for each region of 2 MiB in which a frame is mapped, pinned or a table; 128 of
 *                 them are two bits for each frame, the number of its writable leaves. After
 *                 at_count_all() 144 bytes more. 144 also for each GiB with a leaf of 2 MiB, and for
 *                 each 512 GiB with one of 1 GiB; twice that after at_count_all().
 *   256 bytes     for each run of 64 frames of which one has, or had, more than two writable leaves. After
 *                 at_count_all() the same again, for leaves of any kind. 64 bytes more for each
 *                 region that has such runs.
 *   256 bytes     for each run of 32 frames of which one is pinned, a table, ballooned or of a
 *                 memory type other than 0; 192 bytes more for each region that has such runs
 *   1 KiB         for each table that is followed. Half of it is for the entries of 4 of its 32 groups
 *                 of 16, and doubles once more than 4, 8 and 16 groups have had any: 5.1 KiB at
 *                 most, with its region and runs if tables lie far apart. 160 bytes for each further
 *                 level at which it is walked.
 *   32 KiB at most for tables that were followed: the next ones take that memory. It is more if
 *                 at_config.reserve_tables asks for it.
 *   after at_survey(), until the next: 1 KiB for each region of 2 MiB in which a 4 KiB leaf maps a
 *                 frame, 5 KiB for each GiB in which a leaf of any size does, and 96 bytes for each
 *                 finding. During the call 144 bytes more for each level at which a table is walked,
 *                 and 136 for each finding.
 *   2 MiB at most for violations that were reported and still stand, of which 65,536 are remembered
 *   4 MiB at most for log mismatches that are not judged yet, of which 65,536 are kept at once
 *   224 KiB at most for the TLB-pending frames, of which there are 4096 at most. If there are more,
 *                 all frames count as pending until all TLBs are known to have been flushed.
 */
/* clang-format on */
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

/* Evidence about TLBs: the guest's, or the host's own. An entry found gone by a sync that read
 * `cleared` = c is out of every TLB once `flushed` >= c. A clock that never gives evidence
 * returns {1, 0, 0}; then only at_flushed() gives any. `now` is the owner's own time: at_gone_at()
 * returns it, and at_flushed() compares with it. It never goes down, and may stay 0. */
struct at_clock {
	uint64_t cleared;
	uint64_t flushed;
	uint64_t now;
};

/* A change of an entry, as the log of the guest has it. */
struct at_record {
	uint64_t pte_gpa;  /* the entry */
	uint64_t from, to; /* its value before and after; accessed and dirty bits don't matter */
};

#define AT_CHANGING_MAX 64
#define AT_PENDING_MAX  256

/* What a sync learns of the log before it takes the records. */
struct at_log_state {
	bool lost; /* since the last sync, entries were changed of which no record tells */
	/* This sync is to be an audit: the owner has found something else wrong with the log. */
	bool audit;
	/* Entries that the guest is about to change, or has changed without having written the
	 * record yet. */
	size_t nr_changing;
	uint64_t changing[AT_CHANGING_MAX];
};

/* How the tracker reaches the guest. All are called from within the at_* calls, by that thread. */
struct at_ops {
	/* Returns the 512 entries of the frame, or NULL if there is no memory. For a pfn it must
	 * be either always NULL or never. The pointer stays valid until the next call of an at_*
	 * function; the entries may change at any time. */
	const uint64_t *(*table)(void *ctx, uint64_t pfn);
	/* The clock. Called after the tables have been read, `cleared` must be loaded before
	 * `flushed` (acquire). NULL: no evidence, like {1, 0, 0}. */
	struct at_clock (*clock)(void *ctx);
	/* clang-format off */
	/*
	 * Write tracking of single frames. If all are NULL, every table is compared at every sync.
	 *
	 *   arm      From the return on, the first write to the frame makes dirtied() report it,
	 *            before that write can be seen in memory. Returns false if it could not.
	 *   disarm   Ends that. Only for armed frames.
	 *   dirtied  Fills in up to `max` frames that were written since they were armed, and disarms
	 *            each of them. Returns how many. It is called at every sync, so it must be cheap
	 *            if there are none.
	 */
	/* clang-format on */
	bool (*arm)(void *ctx, uint64_t pfn);
	void (*disarm)(void *ctx, uint64_t pfn);
	size_t (*dirtied)(void *ctx, uint64_t *pfns, size_t max);
	/* clang-format off */
	/*
	 * The log of the guest. If all are NULL, there is no AT_LOGGED.
	 *
	 * For each change the guest names the entry, makes the change, writes the record (or counts
	 * it as lost), and takes the name back. Each step is visible before the next. So if a
	 * change is visible, its entry is still named, or who reads the log after that finds the
	 * record or the loss.
	 *
	 *   log_begin    Takes the names. *After* that it fixes what log_next() hands out: all
	 *                records written by then. At last it checks whether any were lost.
	 *   log_next     Hands out up to `max` of these records, each once, and those of one
	 *                processor in their order. Returns how many; 0: there are no more.
	 *   log_pending  Fills in the entries that are named now, and, looked at after that, the
	 *                entries of records that were not handed out. May leave out the name of a
	 *                processor if the owner knows that it isn't at that change. `entries` has
	 *                room for AT_PENDING_MAX. Returns false if there are more, or if records
	 *                were lost since log_begin().
	 */
	/* clang-format on */
	void (*log_begin)(void *ctx, struct at_log_state *state);
	size_t (*log_next)(void *ctx, struct at_record *records, size_t max);
	bool (*log_pending)(void *ctx, uint64_t *entries, size_t *nr);
};

enum at_mode {
	/* A sync compares the hot tables, and those that were dirtied. */
	AT_CHANGES,
	/* A sync compares every table: the baseline. */
	AT_SCAN,
	/* A sync reads the entries that the guest's log names. Each audit also does what a sync in
	 * AT_CHANGES does, and checks the log. */
	AT_LOGGED,
	/* Pins are recorded and not checked against mappings; no table is followed. Unsafe, to
	 * measure the lower bound of the cost. */
	AT_BLIND,
};

struct at_config {
	/* Of the page tables: 4 or, with CR4.LA57, 5; 0: 4. A root is a table of this level. */
	unsigned levels;
	/* pfns are 0 .. frames - 1; at most 2^35 frames. A leaf that maps addresses above them
	 * counts for no frame. */
	uint64_t frames;
	enum at_mode mode;
	const struct at_ops *ops; /* must outlive the tracker */
	void *ctx;
	/* at_pin() and at_become() grant a transition in spite of aliases, and of those that a TLB
	 * may still hold, and do not judge the tree of a root: unsafe, to measure what following
	 * tables costs. at_check() and at_may() still report aliases. */
	bool grant_aliased;
	/* What it costs to arm a table and to be told that it was dirtied, in compares of a table.
	 * A hot table is armed after this many syncs without a change. If it is dirtied after more
	 * syncs than that, it is armed again at once. If it is dirtied sooner and has not changed
	 * (page walks dirty it, too), the number is doubled for this table. 0: default (128). */
	unsigned quiet_syncs;
	/* In AT_LOGGED one sync in so many is an audit. An audit that finds a table unchanged
	 * counts for quiet_syncs as 4 syncs, or as audit_syncs if that is less. 0: default (256).
	 */
	unsigned audit_syncs;
	/* Frames that the owner itself writes while the guest runs. If the guest has one walked as
	 * a table, changes of its entries are no log mismatches. 0 frames: none. */
	uint64_t shared_pfn, shared_frames;
	/* A random number, mixed into the hashes, so that a guest cannot choose frames that
	 * collide. 0 makes runs repeatable. */
	uint64_t seed;
	/* Keep for each frame where it was mapped last for the kernel, so that one alias is found
	 * without a search in most cases: 8 bytes a frame. */
	bool keep_places;
	/* Memory for so many tables is taken, and written once, by at_new(), and kept: no pin waits
	 * until the kernel has given it. 1 KiB each; a table that has had entries all over takes
	 * more then. 0: none. */
	unsigned reserve_tables;
	/* While this is true, calls that take long stop between two tables, as if memory had run
	 * out: at_sync(), at_pin() of a root and at_count_all() fail, and at_unpin() of a root
	 * leaves the rest to the next sync. Read atomically; any thread may set it at any time.
	 * NULL: nothing stops them. */
	const bool *stop;
};

/* Returns NULL (errno set) when out of memory or when the configuration makes no sense. */
struct alias_tracker *at_new(const struct at_config *config);
/* Disarms what is armed. NULL is fine. */
void at_free(struct alias_tracker *at);

/* A part of the virtual address space in which the guest maps memory as a whole: the direct map,
 * the kernel image and the like. */
struct at_window {
	const char *name;    /* must outlive the tracker */
	uint64_t base, size; /* [base, base + size), in one half; multiples of 2 MiB, size not 0 */
	/* What `base` maps, a multiple of 2 MiB: a leaf at va that maps gpa + (va - base) belongs
	 * there. */
	uint64_t gpa;
	/* Leaves that belong there are no aliases, and count for nothing. Otherwise the window is
	 * a name for the mappings in it, no more. */
	bool exempt;
};

#define AT_WINDOWS_MAX 32

/* Adds a window; the struct is copied. Returns false if it makes no sense, or if there are
 * AT_WINDOWS_MAX. Exempt ones also only while no root is followed and no frame pinned, ballooned or
 * of a memory type other than 0, and no table is left of an unpin or unfollow that was stopped;
 * there are eight at most, and no two of them have an address, or what belongs there, in common (so
 * each frame belongs to one address in them at most). */
bool at_add_window(struct alias_tracker *at, const struct at_window *window);
/* The window that holds this address, or NULL. Where several do, the one that was added first. */
const struct at_window *at_window_of(const struct alias_tracker *at, uint64_t va);
/* Makes [base, base + size), gpa 0 and on, an exempt window "direct map", in place of all windows
 * that there were. Both are multiples of what an entry of a root maps (512 GiB; with five levels
 * 256 TiB), in the kernel's half. Returns false if refused, as at_add_window() does. */
bool at_set_direct_map(struct alias_tracker *at, uint64_t base, uint64_t size);

enum at_verdict {
	AT_OK,
	AT_ALIAS,     /* it has an alias; at_aliases() and at_in_the_way() say where */
	AT_STALE_TLB, /* it is TLB-pending: a TLB may still hold an alias that is gone */
	AT_BAD_FRAME, /* no such frame, or no memory there */
	AT_BAD_LEVEL, /* not 1..4 (1..5 with five levels) */
	/* Pin: it is pinned, or of a memory type other than 0. Other transitions: it is pinned or
	 * walked as a table; to the balloon also: it is of a memory type other than 0. Unpin: it is
	 * not pinned, or still linked. Deflate: it is not ballooned. */
	AT_BAD_STATE,
	/* It links a table that is not pinned one level below; or, for a root, a table of its tree
	 * does. */
	AT_CHILD_UNPINNED,
	AT_MAPS_TABLE,       /* the tree of this root maps a pinned table writable */
	AT_BAD_TABLE,        /* in it or its tree: a link outside of memory, or reserved bits */
	AT_NO_MEMORY,        /* the host is out of memory, or the last sync has failed */
	AT_BAD_MEMTYPE,      /* not 0..7 */
	AT_IS_BALLOONED,     /* it is ballooned */
	AT_MAPS_BALLOONED,   /* the tree of this root maps a ballooned frame */
	AT_MEMTYPE_CONFLICT, /* the tree maps a frame with another memory type than it has */
};

/* Changes the mode; nothing that is known is lost. With AT_SCAN no table is armed any more. To
 * AT_LOGGED: from now on the guest logs every change; the next sync compares as an audit does, and
 * reports no log mismatch. From AT_LOGGED: makes a last audit first, at_audit(). Returns false, and
 * changes nothing, if the mode is or would be AT_BLIND, and for AT_LOGGED without a log. */
bool at_set_mode(struct alias_tracker *at, enum at_mode mode);

/* What a frame is to become, and which mappings of it outside the exempt windows are *in the way*:
 * its aliases. A frame is at most one of these at a time. */
enum at_to {
	AT_TO_TABLE,   /* a page table: writable mappings */
	AT_TO_MEMTYPE, /* memory of a type: mappings with any other type */
	AT_TO_BALLOON, /* the host's (*ballooned*): all mappings */
};

struct at_transition {
	enum at_to to;
	/* AT_TO_TABLE: the level, 1..4 (or 5). AT_TO_MEMTYPE: the type, an index into the PAT,
	 * 0..7. The tracker compares indices: each must mean the same type on all processors, and
	 * no two of those in use the same. */
	unsigned arg;
};

/* From now on mappings of all kinds are counted. Without this, transitions to AT_TO_MEMTYPE and
 * AT_TO_BALLOON are refused (AT_NO_MEMORY). A TLB may hold any mapping that went before this call,
 * so for these transitions each frame is TLB-pending at first. The call reads all tables; then it
 * costs memory (above), and a little with every change of a mapping. Returns false when out of
 * memory; true if it was done already, and in AT_BLIND, which never counts. */
bool at_count_all(struct alias_tracker *at);

/* Brings the tracker up to date with the tables. Returns false if out of memory, or if `stop` was
 * set. Then some changes may not have been followed; the next sync tries them again. Until one has
 * succeeded, the tracker refuses every transition (AT_NO_MEMORY), and at_has_alias() and the like
 * may miss what it would have found. */
bool at_sync(struct alias_tracker *at);
/* The same, and in AT_LOGGED this sync is an audit. */
bool at_audit(struct alias_tracker *at);

/* Could this frame be pinned at this level now? By the state of the last sync; changes nothing.
 * Does not look at the content of the frame: only at_pin() judges children and trees. */
enum at_verdict at_check(const struct alias_tracker *at, uint64_t pfn, unsigned level);

/* Pins the frame if at_check() says AT_OK and its content is sound. Between level 1 and that of
 * roots its entries are read, and the first one that is bad, or links a table not pinned one level
 * below, decides. Level 4 (or 5) makes the frame a root and follows its tree: tables that are
 * followed already are taken as of the last sync, new ones are read now. If the tree has
 * violations, one of them decides; if that is a forbidden mapping, it is also queued for
 * at_next_violation(). If the answer is not AT_OK, the frame is not pinned. In AT_BLIND only frame,
 * level and state are looked at. */
enum at_verdict at_pin(struct alias_tracker *at, uint64_t pfn, unsigned level);

/* Unpins the frame. Answers AT_OK, AT_BAD_FRAME, or AT_BAD_STATE: it isn't pinned, or by the last
 * sync a table still links it, at any level. The mappings of a root's tree go with the root; the
 * clock is read to tell which TLBs may still hold them. */
enum at_verdict at_unpin(struct alias_tracker *at, uint64_t pfn);

/* Follows the tree of this root, whatever it holds, and does not pin it; it may be pinned as well,
 * before or after. Tables of that tree need not be pinned. For its mappings all the rules hold:
 * they are aliases like those of pinned roots, and violations, for at_next_violation(), where
 * they break a granted transition. Tables that are followed already are taken as of the last sync,
 * new ones are read now. Answers AT_OK; AT_BAD_FRAME; AT_BAD_STATE: it is followed already, or the
 * mode is AT_BLIND; or AT_NO_MEMORY (or `stop`), and then nothing has changed. Linear in what is
 * new. */
enum at_verdict at_follow(struct alias_tracker *at, uint64_t pfn);
/* The opposite; if the root is pinned, its tree stays followed. Answers AT_OK; AT_BAD_FRAME; or
 * AT_BAD_STATE: it isn't followed. The clock is read, as by at_unpin(). */
enum at_verdict at_unfollow(struct alias_tracker *at, uint64_t pfn);
/* Is this root followed by at_follow()? */
bool at_is_followed(const struct alias_tracker *at, uint64_t pfn);

/* A table that is reached from a root, by the state of the last sync. */
struct at_table {
	uint64_t pfn;
	uint8_t levels; /* at which it is walked: bit 0 is level 1 */
	bool followed;  /* at_follow() made it a root */
};

/* Calls fn for each of them, until it returns false; what changed last comes first. In it only
 * functions that take the tracker as const may be called. Returns false if fn did. */
bool at_for_each_table(const struct alias_tracker *at,
		       bool (*fn)(void *ctx, const struct at_table *table), void *ctx);

/* at_check() for any transition. */
enum at_verdict at_may(const struct alias_tracker *at, uint64_t pfn, struct at_transition to);
/* at_pin() for any transition. A frame whose type is 0 again is as if it never had another. */
enum at_verdict at_become(struct alias_tracker *at, uint64_t pfn, struct at_transition to);
/* Makes a ballooned frame an ordinary one again. Answers AT_OK, AT_BAD_FRAME, or AT_BAD_STATE. The
 * owner has filled it, as after at_owner_wrote(). */
enum at_verdict at_deflate(struct alias_tracker *at, uint64_t pfn);
/* The owner itself has changed this frame, whatever its state is. So if the guest has it walked as
 * a table in AT_LOGGED, the next sync is an audit, and what has changed in the frame by then is no
 * log mismatch. */
void at_owner_wrote(struct alias_tracker *at, uint64_t pfn);

/* Tells the tracker that the last 4 KiB leaf in the way of this transition went when `cleared` was
 * no more than this. For an owner that knows it better than the syncs do, since it makes all
 * changes of tables itself. Not on the word of a guest: it may have mapped the frame elsewhere
 * meanwhile (tests/model). */
void at_gone_by(struct alias_tracker *at, uint64_t pfn, struct at_transition to, uint64_t cleared);

/* Tells the tracker that each TLB was flushed as a whole after the clock's `now` had become
 * `since`. It forgets the mappings found gone at an earlier `now`. UINT64_MAX: the flushes began
 * after the last at_sync() returned. */
void at_flushed(struct alias_tracker *at, uint64_t since);

/* Returns the `now` of the sync that found the last of a TLB-pending frame's aliases gone: a flush
 * that began at a later `now` is evidence enough. 0 if the frame is not TLB-pending for this
 * transition. */
uint64_t at_gone_at(const struct alias_tracker *at, uint64_t pfn, struct at_transition to);

/* Has the frame a writable leaf outside the exempt windows? By the state of the last sync, O(1).
 * False for frames outside of memory. */
bool at_has_alias(const struct alias_tracker *at, uint64_t pfn);
/* How many writable leaves outside the exempt windows the frame has, by the state of the last sync:
 * each once for each level at which its table is walked. Exact while there are fewer than 2^32 - 1
 * of one size (4 KiB, 2 MiB, 1 GiB). The count of a size stops there for good, so that it can't
 * wrap. */
uint64_t at_alias_count(const struct alias_tracker *at, uint64_t pfn);
/* The same for leaves of any kind. False and 0 before at_count_all(). */
bool at_is_mapped(const struct alias_tracker *at, uint64_t pfn);
uint64_t at_mapping_count(const struct alias_tracker *at, uint64_t pfn);
/* 0 if not pinned, else 1..4 (or 5). */
unsigned at_pinned_level(const struct alias_tracker *at, uint64_t pfn);
bool at_is_ballooned(const struct alias_tracker *at, uint64_t pfn);
/* The frame's memory type; 0 unless AT_TO_MEMTYPE gave it another. */
unsigned at_memtype(const struct alias_tracker *at, uint64_t pfn);

/* Finds the writable aliases of a frame by the state of the last sync; fills up to `max` and
 * returns how many were filled. A leaf in a table that is reached by several paths is filled in
 * once (for each level), with one of its virtual addresses. Tables that changed most recently are
 * searched first; but if `max` is 1 and places are kept, that which was kept comes first,
 * if it is still there. */
size_t at_aliases(struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max);
/* The same for what is in the way of any transition. Before at_count_all() finds nothing, except
 * for AT_TO_TABLE. */
size_t at_in_the_way(struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		     struct at_alias *out, size_t max);

/* What a guest did against the rules after transitions were granted, found by a sync or by at_pin()
 * of a root. */
enum at_violation_kind {
	AT_V_WRITABLE,  /* a writable leaf maps a frame pinned as table */
	AT_V_UNPINNED,  /* a table was linked that is not pinned at that level */
	AT_V_BAD_TABLE, /* an entry links a frame outside of memory, or has reserved bits */
	AT_V_UNLOGGED,  /* an entry was changed, and it has no record */
	AT_V_MISLOGGED, /* the records of an entry don't add up to its change: one is missing,
			   invented or wrong */
	AT_V_BALLOONED, /* a leaf outside the exempt windows maps a ballooned frame */
	AT_V_MEMTYPE,   /* such a leaf maps a frame with another memory type than it has */
};

struct at_violation {
	enum at_violation_kind kind;
	uint8_t level;    /* of the table that holds the entry */
	uint64_t pfn;     /* the frame that the entry maps or links now, if any */
	uint64_t va;      /* its first virtual address, on one path; 0: no root leads there */
	uint64_t pte_gpa; /* the entry */
};

#define AT_STORE_MAX 4u

/* An entry and its new value. */
struct at_entry {
	uint64_t pte_gpa; /* a multiple of 8 */
	uint64_t pte;
};

/* clang-format off */
/*
 * Judges one store to `nr` entries (at most AT_STORE_MAX), each another, before it is done. For an
 * owner that holds all stores to pinned tables back: the copies are taken to be up to date. If the
 * answer is AT_OK, the store breaks no rule, the tracker knows it from now on, and the caller does
 * all of it before anything else happens. With any other answer nothing has changed, whatever
 * memory there is, and the caller does none of it:
 *
 *   AT_CHILD_UNPINNED    it would link the table why->pfn, which is not pinned one level below. The
 *                        caller may pin that table and have the store judged again.
 *   AT_MAPS_TABLE        it would map the pinned frame why->pfn writable, or make a writable
 *                        mapping of it reachable
 *   AT_MAPS_BALLOONED    the same for any mapping of the ballooned frame why->pfn
 *   AT_MEMTYPE_CONFLICT  the same for a mapping of why->pfn with another memory type than it has
 *   AT_BAD_TABLE         it would link a frame outside of memory, or set reserved bits
 *   AT_BAD_STATE         an entry is not in a pinned table, or there twice, or the mode is AT_BLIND
 *   AT_NO_MEMORY
 */
/* clang-format on */
enum at_verdict at_store(struct alias_tracker *at, const struct at_entry *entries, unsigned nr,
			 struct at_violation *why);

/* Takes the oldest violation that was not taken yet; returns false if there is none. At most 256
 * are kept; at_stats counts all. An entry is reported once for each level of its table, and again
 * only if it, or a link that leads to it, has changed, or if it breaks another rule. */
bool at_next_violation(struct alias_tracker *at, struct at_violation *out);
/* "writable mapping of a page table" and the like; for any value, never NULL. */
const char *at_violation_name(enum at_violation_kind kind);
const char *at_verdict_name(enum at_verdict verdict);

/*
 * A survey takes stock of all mappings, in the exempt windows and outside of them, and of what is
 * remarkable about them, whether or not anything is pinned.
 */
enum at_finding_kind {
	/* `one` is a writable mapping, outside the exempt windows, of the page table `pfn`: of any
	 * that is reached from a root, pinned or not. Of one table 64 are told at most. */
	AT_F_ALIAS,
	/* The frame can be executed by `one` and written by `other`, which may be the same mapping.
	 * Rights are combined over all levels of a path: R/W, U/S, NX. What only users can execute
	 * may be writable in the exempt windows. Both are mappings of users, or both of the kernel,
	 * if there are two such, by leaves of the size that makes it one or larger. */
	AT_F_WX,
	/* The frame is mapped with one memory type by `one` and with another by `other`. */
	AT_F_MEMTYPE,
};

struct at_finding {
	enum at_finding_kind kind;
	bool gone; /* of at_next_finding(): it has ended */
	/* The first of so many frames in a row of which the same is true, by the same large leaves.
	 * Of AT_F_ALIAS always one. */
	uint64_t pfn, frames;
	/* The addresses are those that map `pfn`. (Accessed and dirty bits may be older.) */
	struct at_alias one, other;
	/* How many mappings of `pfn` that is true of. AT_F_ALIAS: its writable ones. AT_F_WX: the
	 * writable ones, and `one`. Those in exempt windows are not counted; of an AT_F_WX that is
	 * writable in these alone it is `one` and `other`. AT_F_MEMTYPE: always two. */
	uint64_t mappings;
};

#define AT_FINDINGS_MAX 65536

/* Makes a survey by the state of the last sync; reads no guest memory, so the guest may run
 * meanwhile. What was not found by the survey before, and what is not found any more, is queued for
 * at_next_finding(). (Of an alias the frame, the entry and its level say whether it is the same, of
 * the others kind and frames.) Linear in the number of entries; at once if nothing has changed
 * since. Returns false when out of memory, if the last sync has failed, if `stop` was set, and in
 * AT_BLIND. Then all is as after the survey before, but that at_executable() and at_uses() may know
 * nothing. At most AT_FINDINGS_MAX findings, and as many events, are kept; at_stats tells of
 * others. */
bool at_survey(struct alias_tracker *at);
/* Takes the oldest event that was not taken yet; returns false if there is none. */
bool at_next_finding(struct alias_tracker *at, struct at_finding *out);
/* Calls fn for each finding of the last survey, by frame, until it returns false. In it only
 * functions that take the tracker as const may be called. Returns false if fn did. */
bool at_for_each_finding(const struct alias_tracker *at,
			 bool (*fn)(void *ctx, const struct at_finding *finding), void *ctx);
/* How many of the frames from `pfn` on, `nr` of them, can be executed by some mapping, in kernel or
 * in user mode, by the last survey. 0 if that knows nothing (see at_survey()), or there was none,
 * and of frames outside of memory. */
uint64_t at_executable(const struct alias_tracker *at, uint64_t pfn, uint64_t nr);
/* What may be done with a frame by any of its mappings. */
struct at_uses {
	bool kernel_exec, user_exec; /* executed: in kernel mode, in user mode */
	bool writable;               /* written, outside the exempt windows */
	bool exempt_writable;        /* written, but in exempt windows alone */
	uint8_t memtypes;            /* bit t: a mapping has memory type t */
};
/* By the state that the tracker was in when it was asked this first after the last survey; all
 * false if there was none, when out of memory, if `stop` was set, if the last sync has failed by
 * then, and for frames outside of memory. That first time, and after one that failed, it is linear
 * in the number of entries, as a survey is. */
struct at_uses at_uses(struct alias_tracker *at, uint64_t pfn);
/* For any value, never NULL. */
const char *at_finding_name(enum at_finding_kind kind);

struct at_stats {
	uint64_t frames;
	uint64_t pinned;    /* frames pinned now */
	uint64_t roots;     /* of these, roots */
	uint64_t followed;  /* roots followed now, pinned or not */
	uint64_t ballooned; /* frames ballooned now */
	uint64_t memtyped;  /* frames with a memory type other than 0 now */
	uint64_t tables;    /* tables followed now */
	uint64_t hot;       /* of these, hot */
	uint64_t syncs;
	uint64_t tables_compared; /* sum over all syncs */
	uint64_t tables_changed;  /* of these, with a change */
	uint64_t entries_changed;
	uint64_t arms, dirtied; /* times that a table was armed, and found dirtied */
	uint64_t records;       /* records taken from the log */
	uint64_t stray_records; /* of these, for entries of tables that are not followed: ignored */
	/* Syncs that found records lost, and compared as an audit does; or had no room for all
	 * mismatches. */
	uint64_t log_losses;
	uint64_t audits;
	uint64_t log_mismatches; /* violations AT_V_UNLOGGED and AT_V_MISLOGGED */
	uint64_t violations;
	uint64_t findings_dropped; /* findings and events for which there was no room */
	uint64_t memory_bytes;     /* held now by this tracker, all included */
};
void at_get_stats(const struct alias_tracker *at, struct at_stats *out);

/*
 * The oracle: a second opinion. Walks all tables reachable from the tracker's roots, in memory as
 * it is now, and finds all writable leaves outside the exempt windows that map `pfn`. Besides the
 * list of roots and the windows it uses no state of the tracker. Fills up to `max`, and returns how
 * many there are; each path counts. Linear in the number of tables (slower if there is no memory to
 * remember those already walked). Tables that link each other in a loop cannot hang it, since
 * levels only go down. Works in every mode.
 */
size_t at_oracle(const struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max);
/* The same for what is in the way of any transition, on paths of any kind. */
size_t at_oracle_of(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		    struct at_alias *out, size_t max);
/* What at_uses() would say after a sync and a survey now. */
struct at_uses at_oracle_uses(const struct alias_tracker *at, uint64_t pfn);

#endif
