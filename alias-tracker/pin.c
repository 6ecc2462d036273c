/* SPDX-License-Identifier: MIT */
/* How frames become page tables and other things, and back. */
#include "internal.h"

/* --- may it? ---------------------------------------------------------------------------------- */

/* A frame that is to become something. */
struct candidate {
	uint64_t pfn;
	uintptr_t word;          /* as it was before */
	const uint64_t *entries; /* NULL: there is no such frame */
	struct at_transition to;
	bool unmapped; /* no writable leaf maps it; false: perhaps one does */
};

static struct candidate candidate_find(const struct alias_tracker *at, uint64_t pfn,
				       struct at_transition to)
{
	const struct region *region = region_find(&at->frames, pfn);
	const uintptr_t *word = region ? region_word(region, pfn) : NULL;
	bool mapped = region && count_any(&region->writable, pfn % RADIX);

	return (struct candidate){pfn, word ? *word : 0, frame_entries(at, pfn), to,
				  !mapped && !at->frames.nr_large};
}

/* Is it a frame that could become that, whatever maps it? */
static enum at_verdict check_frame(const struct alias_tracker *at, const struct candidate *frame)
{
	uint64_t state = state_of_word(frame->word);
	struct at_transition to = frame->to;

	if (!frame->entries)
		return AT_BAD_FRAME;
	if (to.to == AT_TO_TABLE && (to.arg < 1 || to.arg > at->levels))
		return AT_BAD_LEVEL;
	if (to.to == AT_TO_MEMTYPE && to.arg >= TYPES)
		return AT_BAD_MEMTYPE;
	if (to.to == AT_TO_TABLE && !state)
		return AT_OK;
	if (state == STATE_BALLOONED)
		return AT_IS_BALLOONED;
	if (to.to == AT_TO_TABLE)
		return AT_BAD_STATE;
	/* A frame that is walked as a table, pinned or not, makes no transition but a pin. */
	if (state_level(state) || table_of_word(frame->word))
		return AT_BAD_STATE;
	return to.to == AT_TO_BALLOON && state ? AT_BAD_STATE : AT_OK;
}

/* May it become that? If `aliased`, mappings that are known to be in the way don't matter. */
static enum at_verdict check(const struct alias_tracker *at, const struct candidate *frame,
			     bool aliased)
{
	enum at_verdict verdict = check_frame(at, frame);
	uint64_t gone_at;

	if (verdict != AT_OK || at->config.mode == AT_BLIND)
		return verdict;
	if (at->failed || (frame->to.to != AT_TO_TABLE && !at->counts_all))
		return AT_NO_MEMORY;
	if (aliased ||
	    (frame->to.to == AT_TO_TABLE && frame->unmapped && !tlb_pending_any(&at->tlb_pending)))
		return AT_OK;
	if (is_in_the_way(at, frame->pfn, frame->to))
		return AT_ALIAS;
	return tlb_pending_holds(at, frame->pfn, frame->to, &gone_at) ? AT_STALE_TLB : AT_OK;
}

enum at_verdict at_may(const struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	struct candidate frame = candidate_find(at, pfn, to);

	return check(at, &frame, false);
}

enum at_verdict at_check(const struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	return at_may(at, pfn, (struct at_transition){AT_TO_TABLE, level});
}

/* --- states ----------------------------------------------------------------------------------- */

static uint64_t state_value(const struct alias_tracker *at, struct at_transition to)
{
	switch (to.to) {
	case AT_TO_TABLE:
		return (uint64_t)at->roots.nr << 3 | to.arg;
	case AT_TO_MEMTYPE:
		return (uint64_t)to.arg << 3 | STATE_MEMTYPE;
	default:
		return STATE_BALLOONED;
	}
}

/* The frame's word is this, and its state is to be another. Replacing one that is not 0, and
 * setting it to 0, can't fail. */
static bool frame_set_state(struct alias_tracker *at, uint64_t pfn, uintptr_t word, uint64_t state)
{
	if (word && !(word & WORD_STATE))
		((struct table *)word)->state = state;
	else if (state)
		return frame_word_put(&at->frames, pfn, word_of_state(state));
	else
		frame_word_clear(&at->frames, pfn);
	return true;
}

static void root_remove(struct alias_tracker *at, size_t index)
{
	uint64_t moved = root_list_remove(&at->roots, index);

	frame_set_state(at, moved, frame_word(&at->frames, moved),
			(uint64_t)index << 3 | at->levels);
}

static void state_clear(struct alias_tracker *at, uint64_t pfn, uintptr_t word)
{
	uint64_t state = state_of_word(word);

	if ((state & 7) == at->levels)
		root_remove(at, state >> 3);
	at->nr_in_state[state & 7]--;
	at->nr_states--;
	frame_set_state(at, pfn, word, 0);
}

/* False if out of memory, and then nothing changed. The frame is an ordinary one, or gets another
 * type, which cannot fail. */
static bool state_set(struct alias_tracker *at, const struct candidate *frame)
{
	bool root = frame->to.to == AT_TO_TABLE && frame->to.arg == at->levels;
	bool replaces = state_of_word(frame->word) != 0;
	uint64_t state = state_value(at, frame->to);

	if ((root && !root_list_reserve(&at->roots)) ||
	    !frame_set_state(at, frame->pfn, frame->word, state))
		return false;
	if (replaces)
		return true;
	if (root)
		root_list_append(&at->roots, frame->pfn);
	at->nr_in_state[state & 7]++;
	at->nr_states++;
	return true;
}

/* --- becoming --------------------------------------------------------------------------------- */

/* What is below a table that is neither L1 nor a root: only as far as its entries tell. */
static enum at_verdict check_child(const struct alias_tracker *at, uint64_t pte, unsigned level)
{
	enum pte_kind kind = pte_kind(pte, level);
	uint64_t child = pte_pfn(pte, level, kind);

	if (kind == PTE_BAD)
		return AT_BAD_TABLE;
	if (kind != PTE_TABLE || state_level(frame_state(at, child)) == level - 1)
		return AT_OK;
	return frame_entries(at, child) ? AT_CHILD_UNPINNED : AT_BAD_TABLE;
}

static enum at_verdict check_children(const struct alias_tracker *at, const uint64_t *entries,
				      unsigned level)
{
	uint64_t present[WORDS];

	for (uint64_t words = table_present(present, entries); words; words &= words - 1) {
		unsigned word = (unsigned)__builtin_ctzll(words);

		for (uint64_t bits = present[word]; bits; bits &= bits - 1) {
			unsigned i = word * WORD_ENTRIES + (unsigned)__builtin_ctzll(bits);
			enum at_verdict verdict = check_child(at, pte_load(&entries[i]), level);

			if (verdict != AT_OK)
				return verdict;
		}
	}
	return AT_OK;
}

static bool is_of_mapping(const struct at_violation *violation)
{
	return violation->kind != AT_V_UNPINNED && violation->kind != AT_V_BAD_TABLE;
}

/* Finds a violation at or below the role, each role looked at once. A forbidden mapping is
 * reported even though the pin is refused. */
static bool tree_violates(struct alias_tracker *at, struct role *role, struct at_violation *out)
{
	role->walk = at->walks;
	role->judged = true;
	if (wants_stop(at))
		return false;
	FOREACH_PRESENT (i, &role->table->copy) {
		uint64_t pte = copy_get(&role->table->copy, i);
		struct role *child;

		if (entry_violates(at, role, i, out)) {
			if (is_of_mapping(out))
				violation_queue(at, role, i, out);
			return true;
		}
		if (pte_kind(pte, role->level) != PTE_TABLE)
			continue;
		child = role_child(at, role, pte);
		if (child && child->walk != at->walks && tree_violates(at, child, out))
			return true;
	}
	return false;
}

enum at_verdict verdict_of(const struct at_violation *violation)
{
	switch (violation->kind) {
	case AT_V_WRITABLE:
		return AT_MAPS_TABLE;
	case AT_V_UNPINNED:
		return AT_CHILD_UNPINNED;
	case AT_V_BALLOONED:
		return AT_MAPS_BALLOONED;
	case AT_V_MEMTYPE:
		return AT_MEMTYPE_CONFLICT;
	default:
		return AT_BAD_TABLE;
	}
}

/* Where nothing that is new is to be rechecked, and this guest never did anything wrong, and all of
 * it was judged so far, the tree is sound. Otherwise all of it is looked at, with what it shares
 * with other roots. */
static enum at_verdict root_attach(struct alias_tracker *at, const struct candidate *frame)
{
	struct role *root = root_add(at, frame->pfn, frame->entries);
	bool recheck = recheck_clear(at) || at->violations.total || at->judges_some;
	struct at_violation violation;
	enum at_verdict verdict = AT_OK;

	if (!root) {
		tlb_pending_cancel(&at->tlb_pending);
		return AT_NO_MEMORY;
	}
	at->walks++;
	if (recheck && !at->config.grant_aliased && tree_violates(at, root, &violation))
		verdict = verdict_of(&violation);
	else if (wants_stop(at))
		verdict = AT_NO_MEMORY;
	if (verdict != AT_OK) {
		root_drop(at, root);
		tlb_pending_cancel(&at->tlb_pending);
	}
	return verdict;
}

static enum at_verdict become_root(struct alias_tracker *at, const struct candidate *frame)
{
	enum at_verdict verdict = root_attach(at, frame);

	if (verdict != AT_OK)
		state_clear(at, frame->pfn, frame_word(&at->frames, frame->pfn));
	judged_update(at, false);
	return verdict;
}

static enum at_verdict become_table(struct alias_tracker *at, const struct candidate *frame)
{
	bool blind = at->config.mode == AT_BLIND;
	unsigned level = frame->to.arg;
	enum at_verdict verdict = AT_OK;

	if (!blind && level > 1 && level < at->levels)
		verdict = check_children(at, frame->entries, level);
	if (verdict != AT_OK)
		return verdict;
	if (!state_set(at, frame))
		return AT_NO_MEMORY;
	return level < at->levels || blind ? AT_OK : become_root(at, frame);
}

enum at_verdict at_become(struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	struct candidate frame = candidate_find(at, pfn, to);
	enum at_verdict verdict = check(at, &frame, at->config.grant_aliased);

	if (verdict != AT_OK)
		return verdict;
	if (to.to == AT_TO_TABLE)
		return become_table(at, &frame);
	if (to.to == AT_TO_MEMTYPE && !to.arg) {
		if (frame.word)
			state_clear(at, pfn, frame.word);
		return AT_OK;
	}
	return state_set(at, &frame) ? AT_OK : AT_NO_MEMORY;
}

enum at_verdict at_pin(struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	return at_become(at, pfn, (struct at_transition){AT_TO_TABLE, level});
}

/* --- and back --------------------------------------------------------------------------------- */

enum at_verdict at_unpin(struct alias_tracker *at, uint64_t pfn)
{
	uintptr_t word = frame_word(&at->frames, pfn);
	unsigned level = state_level(state_of_word(word));
	struct table *table = table_of_word(word);

	if (pfn >= at->config.frames)
		return AT_BAD_FRAME;
	if (!level || (table && table_is_linked(at, table)))
		return AT_BAD_STATE;
	if (table && level == at->levels) {
		root_drop(at, table->role[at->levels - 1]);
		tlb_pending_settle(at);
		word = frame_word(&at->frames, pfn);
	}
	state_clear(at, pfn, word);
	if (level == at->levels)
		judged_update(at, false);
	return AT_OK;
}

enum at_verdict at_deflate(struct alias_tracker *at, uint64_t pfn)
{
	if (pfn >= at->config.frames)
		return AT_BAD_FRAME;
	if (!at_is_ballooned(at, pfn))
		return AT_BAD_STATE;
	state_clear(at, pfn, frame_word(&at->frames, pfn));
	at_owner_wrote(at, pfn);
	return AT_OK;
}

const char *at_verdict_name(enum at_verdict verdict)
{
	switch (verdict) {
	case AT_OK:
		return "ok";
	case AT_ALIAS:
		return "it has an alias";
	case AT_STALE_TLB:
		return "a TLB may still hold an alias";
	case AT_BAD_FRAME:
		return "no such frame";
	case AT_BAD_LEVEL:
		return "no such level";
	case AT_BAD_STATE:
		return "pinned already, not pinned, still linked, of a memory type, or not in the balloon";
	case AT_CHILD_UNPINNED:
		return "a table below it is not pinned";
	case AT_MAPS_TABLE:
		return "its tree maps a pinned table writable";
	case AT_BAD_TABLE:
		return "its tree holds reserved bits or a table outside of memory";
	case AT_NO_MEMORY:
		return "out of memory";
	case AT_BAD_MEMTYPE:
		return "no such memory type";
	case AT_IS_BALLOONED:
		return "in the balloon";
	case AT_MAPS_BALLOONED:
		return "its tree maps a frame in the balloon";
	case AT_MEMTYPE_CONFLICT:
		return "its tree maps a frame with another memory type than it has";
	}
	return "unknown verdict";
}
