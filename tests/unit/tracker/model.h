/* SPDX-License-Identifier: MIT */
/*
 * What a tracker should say, by brute force and code of its own: whenever something happens, all
 * that can be reached from the roots is listed anew, level by level, and every leaf is counted for
 * every frame it spans. Nothing is kept from one time to the next but the last seen content of the
 * tables, the pins, and for each frame when it may last have lost an alias.
 *
 * To be quick at it, only some frames are ever written (the pool) and only some of their entries.
 * What a large leaf counts as is noted once, for the unit that it maps, and added up for a frame
 * when that is asked for.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "alias_tracker.h"

#define M_FRAMES_MAX     1600u
#define M_PLACES         40u /* addresses of tables with some of an exempt window; 0: none */
#define M_WINDOWS        3u
#define M_POOL           40u
#define M_ENTRIES        14u
#define M_ROOTS_MAX      M_POOL
#define M_ROLES_MAX      65536u
#define M_VIOLATIONS_MAX 65536u

extern const uint16_t m_index[M_ENTRIES];

/* A frame in the part it plays as a table. A leaf counts once for each frame and level, whatever
 * the number of places at which the table is reached, if it is an alias at one of them. */
struct m_role {
	uint64_t pfn;
	unsigned level;
	unsigned place; /* 0, or which address of those with some of a window */
	uint64_t va;    /* that address */
	bool writable;
	bool judged;      /* reached from a pinned root */
	bool of_root;     /* reached from the root that model_mark_root() was given */
	unsigned another; /* 1 + index of another role of the same frame and level, or 0 */
};

struct m_violation {
	enum at_violation_kind kind;
	uint64_t pfn;
	uint64_t table;
	unsigned level, entry; /* entry: into m_index */
	bool of_root;
};

/* Something of each memory type. */
typedef uint16_t m_types __attribute__((vector_size(16)));

#define M_LEAF_LEVELS 3u

/* Leaves that map something, by their level and what they map: units of 4 KiB, 2 MiB, 1 GiB. */
struct m_count {
	m_types of_type[M_LEAF_LEVELS][M_FRAMES_MAX]; /* of any kind */
	uint16_t writable[M_LEAF_LEVELS][M_FRAMES_MAX];
};

/* The same for entries that might do so, as bits. */
enum { M_MAPPED = 1, M_WRITABLE = 2 };
struct m_maybe {
	uint8_t bits[M_LEAF_LEVELS][M_FRAMES_MAX];
};

/* By the guest's clock, and the owner's. */
struct m_stamp {
	uint64_t cleared, now;
};

struct model {
	uint64_t frames, hole_begin, hole_end;
	unsigned levels;
	struct m_window {
		uint64_t base, size, first; /* bytes as far as there is memory; its first frame */
	} windows[M_WINDOWS];
	unsigned nr_windows;
	uint64_t place_va[M_PLACES];
	unsigned nr_places;
	const uint64_t *live; /* memory */
	uint64_t pool[M_POOL];
	int16_t in_pool[M_FRAMES_MAX];
	uint8_t pinned[M_FRAMES_MAX];
	bool ballooned[M_FRAMES_MAX];
	uint8_t type[M_FRAMES_MAX];
	bool counts_all; /* what the tracker was told; the model always does */
	uint64_t roots[M_ROOTS_MAX];
	unsigned nr_roots;
	uint64_t follows[M_FRAMES_MAX]; /* pinned or not, of the pool or not */
	unsigned nr_follows;

	bool followed[M_POOL];
	uint64_t seen[M_POOL][M_ENTRIES];

	struct m_role roles[M_ROLES_MAX];
	unsigned nr_roles;
	int32_t role_of[4][M_PLACES][M_FRAMES_MAX]; /* 1 + index, or 0 */
	unsigned any_role[5][M_FRAMES_MAX]; /* the same, of the last one at whatever place */
	struct m_count count;
	uint16_t next_ruled[M_FRAMES_MAX + 1]; /* from there on: a frame that not all may map */
	struct m_violation violations[M_VIOLATIONS_MAX];
	unsigned nr_violations;

	/* TLB-pending stamps: what must be respected, and what may be. */
	uint64_t must[M_FRAMES_MAX], may[M_FRAMES_MAX];
	uint64_t must_now[M_FRAMES_MAX], may_now[M_FRAMES_MAX]; /* by the owner's clock */
	/* As to leaves of any kind: of each type; and those that may be respected for the frame,
	 * for any frame, or for any that is still mapped. */
	struct m_stamp must_type[M_FRAMES_MAX][8], may_all[M_FRAMES_MAX], may_any, may_mapped;
	uint64_t flushed; /* as last read */
};

bool model_has_memory(const struct model *m, uint64_t pfn);
/* The value a table was last seen with. */
uint64_t model_entry(const struct model *m, uint64_t pfn, unsigned entry);

/* The unit of this level that the frame is in. */
static inline uint64_t m_unit(uint64_t pfn, unsigned level)
{
	return pfn >> 9 * (level - 1);
}

/* Units of this level in which there is memory. */
static inline uint64_t m_nr_units(const struct model *m, unsigned level)
{
	return m_unit(m->frames - 1, level) + 1;
}

/* Leaves that map the frame: of each type, and the writable ones. */
static inline m_types m_of_type(const struct m_count *count, uint64_t pfn)
{
	return count->of_type[0][pfn] + count->of_type[1][m_unit(pfn, 2)] +
	       count->of_type[2][m_unit(pfn, 3)];
}

static inline unsigned m_writable(const struct m_count *count, uint64_t pfn)
{
	return count->writable[0][pfn] + count->writable[1][m_unit(pfn, 2)] +
	       count->writable[2][m_unit(pfn, 3)];
}

/* Entries that might map the frame, as bits. */
static inline unsigned m_maybe(const struct m_maybe *maybe, uint64_t pfn)
{
	return maybe->bits[0][pfn] | maybe->bits[1][m_unit(pfn, 2)] |
	       maybe->bits[2][m_unit(pfn, 3)];
}

/* By the last model_compute(): writable leaves that map the frame, and all. */
unsigned model_count(const struct model *m, uint64_t pfn);
unsigned model_mapped(const struct model *m, uint64_t pfn);

/* Everything anew. Tables that were followed keep what was seen of them; new ones are read. */
void model_compute(struct model *m);
/* A sync: everything is read. */
void model_read_all(struct model *m);

void model_pin(struct model *m, uint64_t pfn, unsigned level);
void model_unpin(struct model *m, uint64_t pfn);
void model_follow(struct model *m, uint64_t pfn);
void model_unfollow(struct model *m, uint64_t pfn);
bool model_is_followed(const struct model *m, uint64_t pfn);
/* An exempt window of so many frames from `first` on; size 0: it would not do, or has no memory. */
void model_add_window(struct model *m, uint64_t base, uint64_t size, uint64_t first);
/* Is it linked under something reachable? */
bool model_linked(const struct model *m, uint64_t pfn);
/* Or a root? */
bool model_followed(const struct model *m, uint64_t pfn);
/* Leaves that are in the way of this transition. */
uint64_t model_in_the_way(const struct model *m, uint64_t pfn, struct at_transition to);
/* Marks roles and violations of the tree of this root. */
void model_mark_root(struct model *m, uint64_t root);

/* Does va lead to this entry of this table by what was last seen, writably if `writable`, with
 * these rights (not looked at if NULL)? */
bool model_leads(const struct model *m, uint64_t va, uint64_t table, unsigned level, unsigned index,
		 bool writable, const struct at_alias *rights);
/* Ways that lead to a leaf for pfn that is in the way of this transition, in live memory. */
uint64_t model_ways(const struct model *m, uint64_t pfn, struct at_transition to);
/* What at_uses() should say, by all paths in live memory. */
struct at_uses model_uses(const struct model *m, uint64_t pfn);
/* Is a frame that is executable and writable so by two mappings of users, or by two of the kernel?
 * Those in exempt windows count for the kernel if there are no others. */
bool model_has_pair(const struct model *m, uint64_t pfn);

/* Adds all that any entry in the pool might map, whatever its part. */
void model_maybe(const struct model *m, bool live, struct m_maybe *maybe);

#endif
