/* SPDX-License-Identifier: MIT */
/*
 * What may be done with each frame, by any leaf that maps it.
 *
 * Few leaves can be executed, or have a memory type other than 0, and all others are of no interest
 * but where these map the same frame. So a survey begins with these, and asks of the frames that
 * they map alone whether they can be written: outside the exempt windows the tracker has counted
 * the leaves by which they can.
 */
#include <stdlib.h>
#include <string.h>

#include "survey.h"

#define GIB_FRAMES ((uint64_t)PT_ENTRIES * PT_ENTRIES)

/* --- the radix -------------------------------------------------------------------------------- */

static void *rights_alloc(struct rights *rights, size_t size)
{
	void *p = calloc(1, size);

	rights->bytes += p ? size : 0;
	return p;
}

void rights_free(struct rights *rights)
{
	for (size_t i = 0; rights->gib && i < rights->nr; i++) {
		for (unsigned j = 0; rights->gib[i] && j < PT_ENTRIES; j++)
			free(rights->gib[i]->region[j]);
		free(rights->gib[i]);
	}
	free(rights->gib);
	*rights = (struct rights){0};
}

static struct rights_gib *gib_make(struct rights *rights, uint64_t pfn)
{
	struct rights_gib **gib = &rights->gib[pfn / GIB_FRAMES];

	if (!*gib)
		*gib = rights_alloc(rights, sizeof(**gib));
	return *gib;
}

static struct rights_region *region_make(struct rights *rights, uint64_t pfn)
{
	struct rights_gib *gib = gib_make(rights, pfn);
	struct rights_region **region = gib ? &gib->region[pfn / PT_ENTRIES % PT_ENTRIES] : NULL;

	if (region && !*region)
		*region = rights_alloc(rights, sizeof(**region));
	return region ? *region : NULL;
}

static inline struct rights_gib *gib_of(const struct rights *rights, uint64_t pfn)
{
	return pfn / GIB_FRAMES < rights->nr ? rights->gib[pfn / GIB_FRAMES] : NULL;
}

static inline struct rights_region *region_of(const struct rights *rights, uint64_t pfn)
{
	const struct rights_gib *gib = gib_of(rights, pfn);

	return gib ? gib->region[pfn / PT_ENTRIES % PT_ENTRIES] : NULL;
}

static struct frame_rights rights_union(struct frame_rights a, struct frame_rights b)
{
	return (struct frame_rights){a.can | b.can, a.types | b.types};
}

static bool can_execute(struct frame_rights of)
{
	return of.can & CAN_EXEC;
}

struct frame_rights rights_of(const struct rights *rights, uint64_t pfn)
{
	const struct rights_gib *gib = gib_of(rights, pfn);
	const struct rights_region *region = region_of(rights, pfn);
	struct frame_rights of = {0};

	if (gib)
		of = rights_union(gib->huge, gib->large[pfn / PT_ENTRIES % PT_ENTRIES]);
	if (region)
		of = rights_union(of, (struct frame_rights){region->can[pfn % PT_ENTRIES],
							    region->types[pfn % PT_ENTRIES]});
	of.can &= ~IS_WANTED;
	return of;
}

/* Of the frames [pfn, end), which are in one region of a gib that is there. */
static uint64_t region_executable(const struct rights *rights, uint64_t pfn, uint64_t end)
{
	const struct rights_gib *gib = gib_of(rights, pfn);
	const struct rights_region *region = region_of(rights, pfn);
	uint64_t nr = 0;

	if (can_execute(rights_union(gib->large[pfn / PT_ENTRIES % PT_ENTRIES], gib->huge)))
		return end - pfn;
	if (!region || !can_execute(region->any))
		return 0;
	for (; pfn < end; pfn++)
		nr += (region->can[pfn % PT_ENTRIES] & CAN_EXEC) != 0;
	return nr;
}

uint64_t rights_executable(const struct rights *rights, uint64_t pfn, uint64_t end)
{
	uint64_t nr = 0, next;

	for (end = end < rights->frames ? end : rights->frames; pfn < end; pfn = next) {
		bool known = gib_of(rights, pfn) != NULL;
		uint64_t size = known ? PT_ENTRIES : GIB_FRAMES;

		next = (pfn / size + 1) * size;
		next = next < end ? next : end;
		nr += known ? region_executable(rights, pfn, next) : 0;
	}
	return nr;
}

bool rights_set_wanted(struct rights *rights, uint64_t pfn)
{
	struct rights_region *region = region_make(rights, pfn);

	if (region)
		region->can[pfn % PT_ENTRIES] |= IS_WANTED;
	return region;
}

bool rights_is_wanted(const struct rights *rights, uint64_t pfn)
{
	const struct rights_region *region = region_of(rights, pfn);

	return region && region->can[pfn % PT_ENTRIES] & IS_WANTED;
}

/* --- finding them ----------------------------------------------------------------------------- */

/* What leaves of the role give, by their own rights; but CAN_WRITE may be CAN_WRITE_EXEMPT where
 * the role is reached in an exempt window. */
static void role_rights(const struct reach *reach, uint8_t can[NR_WAYS])
{
	memset(can, 0, NR_WAYS);
	for (unsigned ways = reach->ways; ways; ways &= ways - 1) {
		unsigned way = (unsigned)__builtin_ctz(ways);

		for (unsigned leaf = 0; leaf < NR_WAYS; leaf++) {
			unsigned rights = way & leaf;

			if (rights & MAY_WRITE)
				can[leaf] |= CAN_WRITE;
			if (rights & MAY_EXEC)
				can[leaf] |= rights & MAY_USER ? CAN_EXEC_USER : CAN_EXEC_KERNEL;
		}
	}
}

/* The leaf's rights as in role_rights(). */
static inline unsigned leaf_index(uint64_t pte)
{
	return (pte >> 1 & (MAY_WRITE | MAY_USER)) | (pte & PTE_NX ? 0 : MAY_EXEC);
}

static inline struct frame_rights leaf_rights(const struct alias_tracker *at,
					      const struct reach *reach, const uint8_t can[NR_WAYS],
					      unsigned index, uint64_t pte)
{
	struct frame_rights rights = {
		.can = can[leaf_index(pte)],
		.types = 1u << pte_type(pte, reach->role->level),
	};
	struct at_alias out;

	if (reach->exempt && rights.can & CAN_WRITE &&
	    !reach_leaf(at, reach, index, WAY_ALIAS, &out))
		rights.can ^= CAN_WRITE | CAN_WRITE_EXEMPT;
	return rights;
}

static bool large_leaf_note(struct rights *rights, unsigned level, uint64_t pfn,
			    struct frame_rights of)
{
	struct rights_gib *gib = gib_make(rights, pfn);
	struct frame_rights *to;

	if (!gib)
		return false;
	to = level == 2 ? &gib->large[pfn / PT_ENTRIES % PT_ENTRIES] : &gib->huge;
	*to = rights_union(*to, of);
	return true;
}

static bool large_role_note(struct alias_tracker *at, struct rights *rights,
			    const struct reach *reach)
{
	const struct copy *copy = &reach->role->table->copy;
	unsigned level = reach->role->level;
	uint8_t can[NR_WAYS];

	role_rights(reach, can);
	FOREACH_PRESENT (i, copy) {
		uint64_t pte = *copy_entry(copy, i), pfn = pte_pfn(pte, level, PTE_LEAF);

		if (pte_kind(pte, level) != PTE_LEAF || pfn >= at->config.frames)
			continue;
		if (!large_leaf_note(rights, level, pfn, leaf_rights(at, reach, can, i, pte)))
			return false;
	}
	return true;
}

/* Most leaves are in these. */
static bool small_role_note(struct alias_tracker *at, struct rights *rights,
			    const struct reach *reach)
{
	const struct copy *copy = &reach->role->table->copy;
	uint8_t can[NR_WAYS];

	role_rights(reach, can);
	FOREACH_PRESENT (i, copy) {
		uint64_t pte = *copy_entry(copy, i), pfn = pte_pfn(pte, 1, PTE_LEAF);
		struct rights_region *region = region_of(rights, pfn);
		struct frame_rights of;

		if (pfn >= at->config.frames)
			continue;
		if (!region && !(region = region_make(rights, pfn)))
			return false;
		of = leaf_rights(at, reach, can, i, pte);
		region->can[pfn % PT_ENTRIES] |= of.can;
		region->types[pfn % PT_ENTRIES] |= of.types;
		region->any = rights_union(region->any, of);
	}
	return true;
}

static bool all_note(struct alias_tracker *at, struct rights *rights, const struct reaches *reaches)
{
	for (size_t i = 0; i < reaches->nr; i++) {
		const struct reach *reach = &reaches->reach[i];
		unsigned level = reach->role->level;
		bool ok = true;

		if (wants_stop(at))
			return false;
		if (level == 1)
			ok = small_role_note(at, rights, reach);
		else if (level <= LEAF_LEVELS)
			ok = large_role_note(at, rights, reach);
		if (!ok)
			return false;
	}
	return true;
}

static bool rights_begin(const struct alias_tracker *at, struct rights *rights)
{
	rights_free(rights);
	rights->frames = at->config.frames;
	rights->nr = (at->config.frames + GIB_FRAMES - 1) / GIB_FRAMES;
	rights->gib = rights_alloc(rights, rights->nr * sizeof(*rights->gib));
	return rights->gib;
}

bool rights_find(struct alias_tracker *at, struct rights *rights, const struct reaches *reaches)
{
	if (rights_begin(at, rights) && all_note(at, rights, reaches))
		return true;
	rights_free(rights);
	return false;
}

/* --- those of what is remarkable -------------------------------------------------------------- */

/* May some entry be a leaf that can be executed, or that has a type? Written so that the compiler
 * makes few instructions of it. */
static bool group_is_special(const uint64_t *entry, unsigned level)
{
	unsigned pat = level == 1 ? 7 : 12;
	uint64_t special = 0;

	for (unsigned i = 0; i < GROUP_ENTRIES; i++)
		special |= (~entry[i] >> 63 | entry[i] >> 3 | entry[i] >> 4 | entry[i] >> pat) &
			   entry[i];
	return special & PTE_P;
}

static bool copy_is_special(const struct copy *copy, unsigned level)
{
	for (unsigned group = 0; group < GROUPS; group++)
		if (copy->present_of[group] &&
		    group_is_special(copy->group[copy->place[group]], level))
			return true;
	return false;
}

static inline bool leaf_note(struct rights *rights, unsigned level, uint64_t pfn,
			     struct frame_rights of)
{
	struct rights_region *region;

	if (level > 1)
		return large_leaf_note(rights, level, pfn, of);
	region = region_of(rights, pfn);
	if (!region && !(region = region_make(rights, pfn)))
		return false;
	region->can[pfn % PT_ENTRIES] |= of.can;
	region->types[pfn % PT_ENTRIES] |= of.types;
	region->any.can |= of.can;
	region->any.types |= of.types;
	return true;
}

/* What is known of any of the frames that such a leaf maps, or by larger ones, so far. */
static inline struct frame_rights known_of(const struct rights *rights, unsigned level,
					   uint64_t pfn)
{
	const struct rights_gib *gib = gib_of(rights, pfn);
	const struct rights_region *region;
	struct frame_rights of = {0};

	if (!gib)
		return of;
	if (level == 3) /* too many to ask: as if all were known of some */
		return (struct frame_rights){.can = 0xff, .types = 0xff};
	of = rights_union(gib->huge, gib->large[pfn / PT_ENTRIES % PT_ENTRIES]);
	region = gib->region[pfn / PT_ENTRIES % PT_ENTRIES];
	if (!region)
		return of;
	return rights_union(of, level == 1 ? (struct frame_rights){region->can[pfn % PT_ENTRIES],
								   region->types[pfn % PT_ENTRIES]}
					   : region->any);
}

/* Neither code, nor of a type. */
static inline bool leaf_is_common(uint64_t pte, unsigned level)
{
	uint64_t type = PTE_PWT | PTE_PCD | (level == 1 ? PTE_PS : PTE_LARGE_PAT);

	return (pte & (PTE_NX | type)) == PTE_NX;
}

/* A pass over the leaves of a role, which notes some of them. */
enum pass {
	PASS_SPECIAL,       /* those that can be executed, or have a type */
	PASS_TYPE_0,        /* those of type 0, of frames that others of another type map */
	PASS_EXEMPT_WRITES, /* writable ones in exempt windows, of what the kernel can execute */
};

struct noting {
	struct alias_tracker *at;
	struct rights *rights;
	bool typed; /* some leaf has a type other than 0 */
};

/* What of a leaf is to be noted in this pass. */
static inline struct frame_rights leaf_notable(const struct noting *n, enum pass pass,
					       const struct reach *reach, unsigned level,
					       const uint8_t can[NR_WAYS], unsigned index,
					       uint64_t pte, uint64_t pfn)
{
	struct frame_rights of = {0};
	unsigned type = pte_type(pte, level);

	switch (pass) {
	case PASS_SPECIAL:
		of.can = can[leaf_index(pte)] & CAN_EXEC;
		of.types = type ? 1u << type : 0;
		break;
	case PASS_TYPE_0:
		of.types = !type && known_of(n->rights, level, pfn).types;
		break;
	case PASS_EXEMPT_WRITES:
		if (pte & PTE_RW && known_of(n->rights, level, pfn).can & CAN_EXEC_KERNEL)
			of.can = leaf_rights(n->at, reach, can, index, pte).can &
				 (CAN_WRITE | CAN_WRITE_EXEMPT);
		break;
	}
	return of;
}

/* The same for all levels, but the compiler makes one of it for each. */
static inline __attribute__((always_inline)) bool
leaves_note(struct noting *n, enum pass pass, const struct reach *reach, unsigned level)
{
	const struct copy *copy = &reach->role->table->copy;
	uint8_t can[NR_WAYS];

	role_rights(reach, can);
	FOREACH_PRESENT (i, copy) {
		uint64_t pte = *copy_entry(copy, i), pfn = pte_pfn(pte, level, PTE_LEAF);
		struct frame_rights of;

		if ((pass == PASS_SPECIAL && leaf_is_common(pte, level)) ||
		    pte_kind(pte, level) != PTE_LEAF || pfn >= n->rights->frames)
			continue;
		of = leaf_notable(n, pass, reach, level, can, i, pte, pfn);
		n->typed |= pass == PASS_SPECIAL && of.types;
		if ((of.can || of.types) && !leaf_note(n->rights, level, pfn, of))
			return false;
	}
	return true;
}

static bool role_note(struct noting *n, enum pass pass, const struct reach *reach)
{
	unsigned level = reach->role->level;

	if (level > LEAF_LEVELS || (pass == PASS_EXEMPT_WRITES && !reach->exempt) ||
	    (pass == PASS_SPECIAL && !copy_is_special(&reach->role->table->copy, level)))
		return true;
	if (level > 1)
		return leaves_note(n, pass, reach, level);
	if (pass == PASS_SPECIAL)
		return leaves_note(n, PASS_SPECIAL, reach, 1);
	return leaves_note(n, pass, reach, 1);
}

static bool roles_note(struct noting *n, enum pass pass, const struct reaches *reaches)
{
	for (size_t i = 0; i < reaches->nr; i++)
		if (wants_stop(n->at) || !role_note(n, pass, &reaches->reach[i]))
			return false;
	return true;
}

/* --- what can be written of what can be executed, outside the exempt windows --- */

/* Of the 512 frames from pfn on. */
static bool region_writes_note(const struct noting *n, uint64_t pfn, struct frame_rights above)
{
	static const struct frame_rights write = {.can = CAN_WRITE};
	const struct region *frames = region_find(&n->at->frames, pfn);
	const struct rights_region *region = region_of(n->rights, pfn);

	if (!frames || !frames->writable.nr || (!region && !can_execute(above)))
		return true;
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		bool asked = can_execute(above) || (region->can[i] & CAN_EXEC);

		if (asked && count_any(&frames->writable, i) &&
		    !leaf_note(n->rights, 1, pfn + i, write))
			return false;
	}
	return true;
}

static bool gib_writes_note(const struct noting *n, struct rights_gib *gib, uint64_t pfn)
{
	const struct frames *frames = &n->at->frames;

	if (leaf_count(frames, COUNT_WRITABLE, 3, pfn))
		gib->huge.can |= CAN_WRITE;
	for (unsigned i = 0; i < PT_ENTRIES && pfn < n->rights->frames; i++, pfn += PT_ENTRIES) {
		struct frame_rights above = rights_union(gib->large[i], gib->huge);

		if (!gib->region[i] && !can_execute(above))
			continue;
		if (leaf_count(frames, COUNT_WRITABLE, 2, pfn))
			gib->large[i].can |= CAN_WRITE;
		if (!region_writes_note(n, pfn, above))
			return false;
	}
	return true;
}

static bool writes_note(const struct noting *n)
{
	for (size_t i = 0; i < n->rights->nr; i++) {
		struct rights_gib *gib = n->rights->gib[i];

		if (gib && !gib_writes_note(n, gib, i * GIB_FRAMES))
			return false;
	}
	return true;
}

bool rights_find_conflicting(struct alias_tracker *at, struct rights *rights,
			     const struct reaches *reaches)
{
	struct noting n = {.at = at, .rights = rights};

	if (rights_begin(at, rights) && roles_note(&n, PASS_SPECIAL, reaches) &&
	    (!n.typed || roles_note(&n, PASS_TYPE_0, reaches)) && writes_note(&n) &&
	    roles_note(&n, PASS_EXEMPT_WRITES, reaches))
		return true;
	rights_free(rights);
	return false;
}

/* --- conflicts -------------------------------------------------------------------------------- */

static bool is_wx(unsigned can)
{
	return ((can & CAN_EXEC_KERNEL) && (can & (CAN_WRITE | CAN_WRITE_EXEMPT))) ||
	       ((can & CAN_EXEC_USER) && (can & CAN_WRITE));
}

static unsigned conflicts_of(struct frame_rights of)
{
	return (is_wx(of.can) ? CONFLICT_WX : 0) | (of.types & (of.types - 1) ? CONFLICT_TYPES : 0);
}

struct search {
	conflict_fn *fn;
	void *ctx;
};

/* What is so for more frames at once has been told. */
static void conflict_tell(const struct search *s, uint64_t pfn, unsigned level,
			  struct frame_rights of, unsigned told)
{
	unsigned conflicts = conflicts_of(of) & ~told;

	if (conflicts)
		s->fn(s->ctx, pfn, level, conflicts, of);
}

static void region_search(const struct search *s, const struct rights_region *region,
			  struct frame_rights above, uint64_t pfn)
{
	unsigned told = conflicts_of(above);

	if (!(conflicts_of(rights_union(region->any, above)) & ~told))
		return;
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		struct frame_rights own = {region->can[i], region->types[i]};

		conflict_tell(s, pfn + i, 1, rights_union(own, above), told);
	}
}

static void gib_search(const struct search *s, const struct rights_gib *gib, uint64_t pfn)
{
	unsigned told = conflicts_of(gib->huge);

	conflict_tell(s, pfn, 3, gib->huge, 0);
	for (unsigned i = 0; i < PT_ENTRIES; i++, pfn += PT_ENTRIES) {
		struct frame_rights of = rights_union(gib->large[i], gib->huge);

		conflict_tell(s, pfn, 2, of, told);
		if (gib->region[i])
			region_search(s, gib->region[i], of, pfn);
	}
}

void rights_conflicts(const struct rights *rights, conflict_fn *fn, void *ctx)
{
	struct search s = {fn, ctx};

	for (size_t i = 0; i < rights->nr; i++)
		if (rights->gib[i])
			gib_search(&s, rights->gib[i], i * GIB_FRAMES);
}
