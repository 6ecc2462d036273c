/* SPDX-License-Identifier: MIT */
/* Tables, and the roles in which they are walked: how they come and go. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* --- tables ----------------------------------------------------------------------------------- */

/* With a copy that may have memory, and stores nothing. */
static struct table *table_alloc(struct alias_tracker *at)
{
	struct table *table = TAILQ_FIRST(&at->spare);

	if (table) {
		TAILQ_REMOVE(&at->spare, table, by_change);
		at->nr_spare--;
		return table;
	}
	table = malloc(sizeof(*table));
	if (table)
		copy_init(&table->copy);
	return table;
}

static void table_destroy(struct alias_tracker *at, struct table *table)
{
	copy_free(&table->copy, &at->copy_bytes);
	free(table);
}

static void table_release(struct alias_tracker *at, struct table *table)
{
	if (at->nr_spare >= at->max_spare) {
		table_destroy(at, table);
		return;
	}
	copy_trim(&table->copy, &at->copy_bytes);
	TAILQ_INSERT_HEAD(&at->spare, table, by_change);
	at->nr_spare++;
}

bool tables_reserve(struct alias_tracker *at, unsigned nr)
{
	while (at->nr_spare < nr) {
		struct table *table = malloc(sizeof(*table));

		if (!table)
			return false;
		/* (The compiler would make calloc() of both, which leaves new memory untouched.) */
		__asm__("" : "+r"(table));
		memset(table, 0, sizeof(*table));
		if (!copy_prepare(&table->copy, &at->copy_bytes)) {
			free(table);
			return false;
		}
		table_release(at, table);
	}
	return true;
}

static void role_init(struct alias_tracker *at, struct role *role, struct table *table,
		      unsigned level)
{
	role->table = table;
	role->level = (uint8_t)level;
	role->queued = role->judged = false;
	role->view = view_none;
	role->all = role->writable = (struct links){0};
	role->parent = NULL;
	role->reach = 0;
	role->walk = 0;
	table->role[level - 1] = role;
	table->roles |= (uint8_t)(1u << (level - 1));
	role_queue(at, role);
}

/* All but its places in lists, and what lies in it. */
static void table_init(struct table *table, uint64_t pfn, unsigned level, uint64_t state)
{
	table->pfn = pfn;
	table->state = state;
	table->level = (uint8_t)level;
	table->armed = table->dirtied = table->in_recheck = table->followed = false;
	table->roles = 0;
	LIST_INIT(&table->mismatches);
	memset(table->role, 0, sizeof(table->role));
}

void table_make_hot(struct alias_tracker *at, struct table *table)
{
	table->quiet_since = at->syncs;
	table->backoff = at->config.quiet_syncs;
	hot_insert(at, table);
}

struct table *table_new(struct alias_tracker *at, uint64_t pfn, uintptr_t *word, unsigned level,
			const uint64_t *entries)
{
	struct table *table = table_alloc(at);

	if (!table)
		return NULL;
	if (!copy_load(&table->copy, entries, &at->copy_bytes)) {
		table_release(at, table);
		return NULL;
	}
	table_init(table, pfn, level, word ? state_of_word(*word) : 0);
	if (word)
		*word = (uintptr_t)table;
	else
		word = frame_word_put(&at->frames, pfn, (uintptr_t)table);
	if (!word) {
		table_release(at, table);
		return NULL;
	}
	table->word = word;
	role_init(at, &table->first, table, level);
	at->nr_tables++;
	TAILQ_INSERT_HEAD(&at->by_change, table, by_change);
	table_make_hot(at, table);
	log_add_table(at, table);
	return table;
}

static void table_free(struct alias_tracker *at, struct table *table)
{
	if (table->armed)
		at->ops.disarm(at->config.ctx, table->pfn);
	else
		hot_remove(at, table);
	if (table->in_recheck)
		recheck_forget_table(at, table);
	if (!LIST_EMPTY(&table->mismatches))
		log_forget_table(at, table);
	TAILQ_REMOVE(&at->by_change, table, by_change);
	at->nr_tables--;
	/* Replaces, or becomes zero: can't fail. */
	if (table->state)
		*table->word = word_of_state(table->state);
	else
		frame_word_clear(&at->frames, table->pfn);
	table_release(at, table);
}

bool table_is_linked(const struct alias_tracker *at, const struct table *table)
{
	for (unsigned level = 1; level < at->levels; level++) {
		const struct role *role = table->role[level - 1];

		if (role && (links_any(&role->all) || role->view.all != PLACE_NONE))
			return true;
	}
	return false;
}

/* --- roles ------------------------------------------------------------------------------------ */

struct role *role_new(struct alias_tracker *at, struct table *table, unsigned level)
{
	bool more = table->first.table != NULL;
	struct role *role = more ? malloc(sizeof(*role)) : &table->first;

	if (!role)
		return NULL;
	role_init(at, role, table, level);
	at->nr_more_roles += more;
	return role;
}

void role_free(struct alias_tracker *at, struct role *role)
{
	struct table *table = role->table;

	table->role[role->level - 1] = NULL;
	table->roles &= (uint8_t) ~(1u << (role->level - 1));
	if (role == &table->first) {
		role->table = NULL;
	} else {
		at->nr_more_roles--;
		free(role);
	}
	if (!table->roles)
		table_free(at, table);
}

void tables_free(struct alias_tracker *at)
{
	struct table *table;

	while ((table = TAILQ_FIRST(&at->by_change))) {
		for (unsigned level = 1; level <= PT_LEVELS_MAX; level++) {
			struct role *role = table->role[level - 1];

			if (role && role != &table->first)
				free(role);
		}
		table_free(at, table);
	}
	while ((table = TAILQ_FIRST(&at->spare))) {
		TAILQ_REMOVE(&at->spare, table, by_change);
		table_destroy(at, table);
	}
}

size_t tables_bytes(const struct alias_tracker *at)
{
	return (at->nr_tables + at->nr_spare) * sizeof(struct table) + at->copy_bytes +
	       at->nr_more_roles * sizeof(struct role);
}
