/* SPDX-License-Identifier: MIT */
#include "internal.h"

/* Nobody can foretell the answer for a page: no branch on it. Large leaves are few, if any. */
static inline bool any_of(const struct count *counts, uint64_t pfn)
{
	bool any = count_any(&counts[0], pfn);

	if (counts[1].end | counts[2].end) {
		any |= count_any(&counts[1], pfn >> 9);
		any |= count_any(&counts[2], pfn >> 18);
	}
	return any;
}

static uint64_t number_of(const struct count *counts, uint64_t pfn)
{
	return count_of(&counts[0], pfn) + count_of(&counts[1], pfn >> 9) +
	       count_of(&counts[2], pfn >> 18);
}

bool at_has_alias(const struct alias_tracker *at, uint64_t pfn)
{
	return any_of(at->aliases, pfn);
}

uint64_t at_alias_count(const struct alias_tracker *at, uint64_t pfn)
{
	return pfn < at->config.frames ? number_of(at->aliases, pfn) : 0;
}

bool at_is_mapped(const struct alias_tracker *at, uint64_t pfn)
{
	return any_of(at->mapped, pfn);
}

uint64_t at_mapping_count(const struct alias_tracker *at, uint64_t pfn)
{
	return pfn < at->config.frames ? number_of(at->mapped, pfn) : 0;
}

struct search {
	const struct alias_tracker *at;
	uint64_t pfn;
	struct at_transition to;
	struct at_alias *out; /* NULL: only their number is asked for */
	size_t nr, max;
	uint64_t left; /* of those that are counted, wanted or not: not met yet */
};

/* Bits of an entry that say: a leaf of this level, of this frame, a writable one if that matters.
 */
struct pattern {
	uint64_t mask, want;
};

static struct pattern pattern_of(uint64_t pfn, unsigned level, bool writable)
{
	uint64_t flags = PTE_P | (writable ? PTE_RW : 0) | (level > 1 ? PTE_PS : 0);
	uint64_t address = PTE_ADDR & ~((1ull << pte_shift(level)) - 1);

	return (struct pattern){
		.mask = address | flags,
		.want = (pfn << PAGE_SHIFT & address) | flags,
	};
}

/* Most tables don't map the frame: no branch in here, and nothing but what vectors can do, so that
 * the compiler makes some of it. (d - 1) & ~d has its highest bit set for d = 0 only. */
static bool any_match(const struct entries *entries, struct pattern pattern)
{
	const uint64_t *stored = entries->lines.items;
	unsigned nr = pack_nr(&entries->lines) * LINE_ENTRIES;
	uint64_t matches = 0;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t difference = (stored[i] & pattern.mask) ^ pattern.want;

		matches |= (difference - 1) & ~difference;
	}
	return matches >> 63;
}

/* Is this alias in the counts that say when a search is over? */
static bool is_counted(const struct search *s, const struct node *node, uint64_t pte)
{
	return s->to.to != AT_TO_TABLE || leaf_is_writable(node, pte);
}

/* Is it one of those that are looked for? */
static bool is_wanted(const struct search *s, const struct node *node, uint64_t pte)
{
	return s->to.to != AT_TO_MEMTYPE || pte_type(pte, node->level) != s->to.arg;
}

static void tell(const struct search *s, struct node *node, unsigned index)
{
	uint64_t pte = entries_get(&node->table->entries, index);
	uint64_t page = s->pfn - pte_pfn(pte, node->level, PTE_LEAF);
	struct path path = node_path(s->at, node, index);

	s->out[s->nr] = (struct at_alias){
		.va = path.va + (page << PAGE_SHIFT),
		.pte_gpa = (node->table->pfn << PAGE_SHIFT) + index * sizeof(pte),
		.pte = pte,
		.level = node->level,
		.user = path.user,
		.exec = path.exec,
	};
}

static bool is_over(const struct search *s)
{
	return s->nr == s->max || !s->left;
}

static void search_node(struct search *s, struct node *node, struct pattern pattern)
{
	FOREACH_PRESENT (i, &node->table->entries) {
		uint64_t pte = entries_get(&node->table->entries, i);

		if (is_over(s))
			return;
		if ((pte & pattern.mask) != pattern.want ||
		    pte_kind(pte, node->level) != PTE_LEAF || !is_counted(s, node, pte) ||
		    !leaf_is_alias(s->at, node, i, pte))
			continue;
		s->left--;
		if (!is_wanted(s, node, pte))
			continue;
		if (s->out)
			tell(s, node, i);
		s->nr++;
	}
}

static void search_table(struct search *s, const struct table *table, unsigned level)
{
	struct pattern pattern = pattern_of(s->pfn, level, s->to.to == AT_TO_TABLE);
	struct node *node;

	if (LIST_EMPTY(&table->nodes[level - 1]) || !any_match(&table->entries, pattern))
		return;
	LIST_FOREACH (node, &table->nodes[level - 1], of_table)
		if (node->leaves && (node->write_links || s->to.to != AT_TO_TABLE))
			search_node(s, node, pattern);
}

static size_t search(struct search *s)
{
	const struct table *table;

	s->left = s->to.to == AT_TO_TABLE ? at_alias_count(s->at, s->pfn)
					  : at_mapping_count(s->at, s->pfn);
	TAILQ_FOREACH (table, &s->at->by_change, by_change) {
		if (is_over(s))
			break;
		for (unsigned level = 1; level <= 3; level++)
			search_table(s, table, level);
	}
	return s->nr;
}

bool is_in_the_way(const struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	struct search s = {.at = at, .pfn = pfn, .to = to, .max = 1};

	if (to.to == AT_TO_TABLE)
		return at_has_alias(at, pfn);
	return at_is_mapped(at, pfn) && (to.to == AT_TO_BALLOON || search(&s));
}

size_t at_in_the_way(struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		     struct at_alias *out, size_t max)
{
	struct search s = {.at = at, .pfn = pfn, .to = to, .out = out, .max = max};

	return search(&s);
}

size_t at_aliases(struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max)
{
	return at_in_the_way(at, pfn, (struct at_transition){.to = AT_TO_TABLE}, out, max);
}
