/* SPDX-License-Identifier: MIT */
/*
 * What the files of a survey share. A survey reads the tracker's copies of all tables, in three
 * steps:
 *
 *   reach.c    from the roots down: with which rights is each role reached, and where
 *   rights.c   of all leaves: what may be done with each frame, by any of them
 *   survey.c   what of that is a finding, which leaves make it one, and whether it is new
 */
#ifndef SURVEY_H
#define SURVEY_H

#include "internal.h"

/* --- reach.c ---------------------------------------------------------------------------------- */

/* The rights of a path, as bits: what all its entries allow. */
enum { MAY_WRITE = 1, MAY_USER = 2, MAY_EXEC = 4, NR_WAYS = 8 };

/* How a role is reached. Two addresses for each set of rights are as good as all: what matters of
 * the others is whether there is any but the one at which a leaf is exempt. */
struct reach {
	struct role *role;
	uint8_t ways;    /* bit w: by a path with the rights w */
	uint8_t several; /* bit w: at two addresses at least */
	bool exempt;     /* at one of them it has some of an exempt window in it */
	bool searched;   /* survey.c has looked at its leaves */
	uint64_t va[NR_WAYS][2];
};

/* Roles by level from the top; in each level what changed last comes last. */
struct reaches {
	struct reach *reach;
	size_t nr;
};

/* False if out of memory. The caller frees reaches->reach. */
bool reach_find(struct alias_tracker *at, struct reaches *reaches);

/* Which of the ways to a leaf is asked for, as bits: MAY_WRITE, MAY_USER, MAY_EXEC, and these. */
enum {
	WAY_ANY = 0,
	WAY_KERNEL = NR_WAYS,         /* not for users */
	WAY_NOT_EXEMPT = 2 * NR_WAYS, /* outside the exempt windows */
	WAY_ALIAS = MAY_WRITE | WAY_NOT_EXEMPT,
};

/* Is there such a way to a leaf of the role? Fills in out (by the leaf's first address). */
bool reach_leaf(const struct alias_tracker *at, const struct reach *reach, unsigned index,
		unsigned wanted, struct at_alias *out);

/* --- rights.c --------------------------------------------------------------------------------- */

/* What may be done with a frame by some leaf, as bits. CAN_WRITE_EXEMPT is for leaves that are
 * exempt wherever they are reached. */
enum {
	CAN_EXEC_KERNEL = 1,
	CAN_EXEC_USER = 2,
	CAN_WRITE = 4,
	CAN_WRITE_EXEMPT = 8,
	CAN_EXEC = CAN_EXEC_KERNEL | CAN_EXEC_USER,
	IS_WANTED = 128, /* survey.c looks for leaves that map it */
};

/* Of frames that are mapped in the same way. */
struct frame_rights {
	uint8_t can;
	uint8_t types; /* bit t: with memory type t */
};

struct rights_region {
	uint8_t can[PT_ENTRIES], types[PT_ENTRIES]; /* by 4 KiB leaves */
	struct frame_rights any;
};

struct rights_gib {
	struct rights_region *region[PT_ENTRIES];
	struct frame_rights large[PT_ENTRIES]; /* by 2 MiB leaves */
	struct frame_rights huge;              /* by a 1 GiB leaf */
};

struct rights {
	struct rights_gib **gib; /* by pfn >> 18; NULL: nothing is known */
	uint64_t frames;
	size_t nr, bytes;
};

/* Finds the rights of all frames anew. False if out of memory, and then nothing is known. */
bool rights_find(struct alias_tracker *at, struct rights *rights, const struct reaches *reaches);
/* Only what is to be known of conflicts, and of what can be executed: the rights of other frames
 * are not all there. */
bool rights_find_conflicting(struct alias_tracker *at, struct rights *rights,
			     const struct reaches *reaches);
void rights_free(struct rights *rights);
struct frame_rights rights_of(const struct rights *rights, uint64_t pfn);
/* How many of the frames [pfn, end) can be executed. */
uint64_t rights_executable(const struct rights *rights, uint64_t pfn, uint64_t end);
/* Conflicts, as bits. */
enum { CONFLICT_WX = 1, CONFLICT_TYPES = 2 };

typedef void conflict_fn(void *ctx, uint64_t pfn, unsigned level, unsigned conflicts,
			 struct frame_rights of);
/* Calls fn for each run of frames that leaves of that level and larger ones make a conflict of. A
 * conflict is told once, for the largest run. */
void rights_conflicts(const struct rights *rights, conflict_fn *fn, void *ctx);
/* False if out of memory. */
bool rights_set_wanted(struct rights *rights, uint64_t pfn);
bool rights_is_wanted(const struct rights *rights, uint64_t pfn);

/* --- survey.c --------------------------------------------------------------------------------- */

struct findings {
	struct at_finding *list;
	size_t nr, max;
};

struct survey {
	bool done;
	uint64_t changes;       /* survey_changes() when it was done */
	struct rights rights;   /* what is remarkable of them */
	struct rights uses;     /* all of them; empty: nobody has asked for them since */
	struct findings held;   /* sorted */
	struct findings events; /* not taken yet, from `first` on */
	size_t first;
	uint64_t dropped;
};

#endif
