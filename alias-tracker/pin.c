/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "internal.h"

/* --- who is pinned ---------------------------------------------------------------------------- */

static uint64_t pin_value(unsigned level, size_t root)
{
	return (uint64_t)root << 3 | level;
}

unsigned at_pinned_level(const struct alias_tracker *at, uint64_t pfn)
{
	return map_get(&at->pins, pfn) & 7;
}

static bool pin_in_2m(const struct alias_tracker *at, uint64_t pfn, uint64_t *pinned)
{
	if (pfn >= at->config.frames || !at->pins_2m[pfn >> 9])
		return false;
	for (*pinned = pfn; *pinned < pfn + PT_ENTRIES; ++*pinned)
		if (at_pinned_level(at, *pinned))
			return true;
	return false;
}

static bool pin_in_1g(const struct alias_tracker *at, uint64_t pfn, uint64_t *pinned)
{
	if (pfn >= at->config.frames || !at->pins_1g[pfn >> 18])
		return false;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (pin_in_2m(at, pfn + i * PT_ENTRIES, pinned))
			return true;
	return false;
}

bool pin_within(const struct alias_tracker *at, uint64_t pfn, unsigned level, uint64_t *pinned)
{
	if (level == 3)
		return pin_in_1g(at, pfn, pinned);
	if (level == 2)
		return pin_in_2m(at, pfn, pinned);
	*pinned = pfn;
	return at_pinned_level(at, pfn);
}

static bool root_append(struct alias_tracker *at, uint64_t pfn)
{
	if (at->nr_roots == at->max_roots) {
		size_t more = at->max_roots ? at->max_roots * 2 : 16;
		uint64_t *grown = realloc(at->roots, more * sizeof(*grown));

		if (!grown)
			return false;
		at->roots = grown;
		at->max_roots = more;
	}
	at->roots[at->nr_roots++] = pfn;
	return true;
}

static void root_remove(struct alias_tracker *at, size_t index)
{
	uint64_t moved = at->roots[--at->nr_roots];

	at->roots[index] = moved;
	map_put(&at->pins, moved, pin_value(PT_LEVELS, index)); /* replaces: cannot fail */
}

static void pin_forget(struct alias_tracker *at, uint64_t pfn)
{
	uint64_t value = map_get(&at->pins, pfn);

	if ((value & 7) == PT_LEVELS)
		root_remove(at, value >> 3);
	at->pins_2m[pfn >> 9]--;
	at->pins_1g[pfn >> 18]--;
	map_delete(&at->pins, pfn);
}

static bool pin_record(struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	if (!map_put(&at->pins, pfn, pin_value(level, at->nr_roots)))
		return false;
	if (level == PT_LEVELS && !root_append(at, pfn)) {
		map_delete(&at->pins, pfn);
		return false;
	}
	at->pins_2m[pfn >> 9]++;
	at->pins_1g[pfn >> 18]++;
	return true;
}

/* --- pin -------------------------------------------------------------------------------------- */

enum at_verdict at_check(const struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	if (!frame_entries(at, pfn))
		return AT_BAD_FRAME;
	if (level < 1 || level > PT_LEVELS)
		return AT_BAD_LEVEL;
	if (at_pinned_level(at, pfn))
		return AT_BAD_STATE;
	if (at->config.mode == AT_BLIND)
		return AT_OK;
	if (at->failed)
		return AT_NO_MEMORY;
	if (at_has_alias(at, pfn))
		return AT_ALIAS;
	return limbo_holds(&at->limbo, pfn) ? AT_STALE_TLB : AT_OK;
}

/* What is below an L2 or L3 table: only as far as its entries tell. */
static enum at_verdict check_children(const struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	struct entries entries;

	entries_load(&entries, frame_entries(at, pfn));
	FOREACH_PRESENT (i, &entries) {
		uint64_t pte = entries.copy[i];
		enum pte_kind kind = pte_kind(pte, level);
		uint64_t child = pte_pfn(pte, level, kind);

		if (kind == PTE_BAD)
			return AT_BAD_TABLE;
		if (kind != PTE_TABLE || at_pinned_level(at, child) == level - 1)
			continue;
		return frame_entries(at, child) ? AT_CHILD_UNPINNED : AT_BAD_TABLE;
	}
	return AT_OK;
}

/* Finds a violation at or below the node, each node looked at once. A writable mapping of a table
 * is reported even though the pin is refused. */
static bool tree_violates(struct alias_tracker *at, struct node *node, struct at_violation *out)
{
	node->walk = at->walks;
	FOREACH_PRESENT (i, &node->table->entries) {
		uint64_t pte = node->table->entries.copy[i];
		struct node *child;

		if (entry_violates(at, node, i, out)) {
			if (out->kind == AT_V_WRITABLE)
				violation_queue(at, node, i, out);
			return true;
		}
		if (pte_kind(pte, node->level) != PTE_TABLE)
			continue;
		child = node_child(at, node, i, pte);
		if (child && child->walk != at->walks && tree_violates(at, child, out))
			return true;
	}
	return false;
}

static enum at_verdict verdict_of(const struct at_violation *violation)
{
	switch (violation->kind) {
	case AT_V_WRITABLE:
		return AT_MAPS_TABLE;
	case AT_V_UNPINNED:
		return AT_CHILD_UNPINNED;
	default:
		return AT_BAD_TABLE;
	}
}

/* Where nothing of what is new looks suspect, and this guest never did anything wrong, the tree is
 * sound. Otherwise all of it is looked at, with what it shares with other roots. */
static enum at_verdict root_attach(struct alias_tracker *at, uint64_t pfn)
{
	struct node *root = node_new_root(at, pfn);
	bool suspect = (suspects_clear(at) || at->violations.total) && !at->config.grant_aliased;
	struct at_violation violation;
	enum at_verdict verdict = AT_OK;

	if (!root) {
		limbo_cancel(&at->limbo);
		return AT_NO_MEMORY;
	}
	at->walks++;
	if (suspect && tree_violates(at, root, &violation)) {
		verdict = verdict_of(&violation);
		node_drop_root(at, root);
		limbo_cancel(&at->limbo);
	}
	return verdict;
}

enum at_verdict at_pin(struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	enum at_verdict verdict = at_check(at, pfn, level);

	if (at->config.grant_aliased && (verdict == AT_ALIAS || verdict == AT_STALE_TLB))
		verdict = AT_OK;
	if (verdict != AT_OK)
		return verdict;
	if (at->config.mode != AT_BLIND && (level == 2 || level == 3))
		verdict = check_children(at, pfn, level);
	if (verdict != AT_OK)
		return verdict;
	if (!pin_record(at, pfn, level))
		return AT_NO_MEMORY;
	if (at->config.mode != AT_BLIND && level == PT_LEVELS)
		verdict = root_attach(at, pfn);
	if (verdict != AT_OK)
		pin_forget(at, pfn);
	return verdict;
}

/* --- unpin ------------------------------------------------------------------------------------ */

enum at_verdict at_unpin(struct alias_tracker *at, uint64_t pfn)
{
	unsigned level = at_pinned_level(at, pfn);
	struct table *table = table_find(at, pfn);

	if (pfn >= at->config.frames)
		return AT_BAD_FRAME;
	if (!level || (table && table_is_linked(table)))
		return AT_BAD_STATE;
	if (table && level == PT_LEVELS) {
		node_drop_root(at, LIST_FIRST(&table->nodes[PT_LEVELS - 1]));
		limbo_settle(at);
	}
	pin_forget(at, pfn);
	return AT_OK;
}

const char *at_verdict_name(enum at_verdict verdict)
{
	switch (verdict) {
	case AT_OK:
		return "ok";
	case AT_ALIAS:
		return "a writable alias exists";
	case AT_STALE_TLB:
		return "a TLB may still hold a writable alias";
	case AT_BAD_FRAME:
		return "no such frame";
	case AT_BAD_LEVEL:
		return "no such level";
	case AT_BAD_STATE:
		return "pinned already, not pinned, or still linked";
	case AT_CHILD_UNPINNED:
		return "a table below it is not pinned";
	case AT_MAPS_TABLE:
		return "its tree maps a pinned table writable";
	case AT_BAD_TABLE:
		return "its tree holds reserved bits or a table outside of memory";
	case AT_NO_MEMORY:
		return "out of memory";
	}
	return "unknown verdict";
}
