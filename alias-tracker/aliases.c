/* SPDX-License-Identifier: MIT */
#include "internal.h"

bool at_has_alias(const struct alias_tracker *at, uint64_t pfn)
{
	return count_any(&at->aliases[0], pfn) || count_any(&at->aliases[1], pfn >> 9) ||
	       count_any(&at->aliases[2], pfn >> 18);
}

uint64_t at_alias_count(const struct alias_tracker *at, uint64_t pfn)
{
	if (pfn >= at->config.frames)
		return 0;
	return count_of(&at->aliases[0], pfn) + count_of(&at->aliases[1], pfn >> 9) +
	       count_of(&at->aliases[2], pfn >> 18);
}

struct search {
	struct alias_tracker *at;
	uint64_t pfn;
	struct at_alias *out;
	size_t nr, max;
};

/* Bits of an entry that say: a writable leaf of this level, of this frame. */
struct pattern {
	uint64_t mask, want;
};

static struct pattern pattern_of(uint64_t pfn, unsigned level)
{
	uint64_t flags = PTE_P | PTE_RW | (level > 1 ? PTE_PS : 0);
	uint64_t address = PTE_ADDR & ~((1ull << pte_shift(level)) - 1);

	return (struct pattern){
		.mask = address | flags,
		.want = (pfn << PAGE_SHIFT & address) | flags,
	};
}

/* Most tables don't map the frame: no branch in here, and nothing but what vectors can do, so that
 * the compiler makes some of it. (d - 1) & ~d has its highest bit set for d = 0 only. */
static bool any_match(const uint64_t *copy, struct pattern pattern)
{
	uint64_t matches = 0;

	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t difference = (copy[i] & pattern.mask) ^ pattern.want;

		matches |= (difference - 1) & ~difference;
	}
	return matches >> 63;
}

static void search_node(struct search *s, struct node *node, struct pattern pattern)
{
	const uint64_t *copy = node->table->entries.copy;

	for (unsigned i = 0; i < PT_ENTRIES && s->nr < s->max; i++) {
		uint64_t pte = copy[i];

		if ((pte & pattern.mask) != pattern.want ||
		    pte_kind(pte, node->level) != PTE_LEAF || !leaf_is_alias(s->at, node, i, pte))
			continue;
		struct path path = node_path(s->at, node, i);
		uint64_t page = s->pfn - pte_pfn(pte, node->level, PTE_LEAF);

		s->out[s->nr++] = (struct at_alias){
			.va = path.va + (page << PAGE_SHIFT),
			.pte_gpa = (node->table->pfn << PAGE_SHIFT) + i * sizeof(pte),
			.pte = pte,
			.level = node->level,
			.user = path.user,
			.exec = path.exec,
		};
	}
}

static void search_table(struct search *s, struct table *table, unsigned level)
{
	struct pattern pattern = pattern_of(s->pfn, level);
	struct node *node;

	if (LIST_EMPTY(&table->nodes[level - 1]) || !any_match(table->entries.copy, pattern))
		return;
	LIST_FOREACH (node, &table->nodes[level - 1], of_table)
		if (node->write_links && node->leaves)
			search_node(s, node, pattern);
}

size_t at_aliases(struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max)
{
	uint64_t count = at_alias_count(at, pfn);
	struct search s = {.at = at, .pfn = pfn, .out = out, .max = max < count ? max : count};
	struct table *table;

	TAILQ_FOREACH (table, &at->by_change, by_change) {
		if (s.nr == s.max)
			break;
		for (unsigned level = 1; level <= 3; level++)
			search_table(&s, table, level);
	}
	return s.nr;
}
