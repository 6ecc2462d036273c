/* SPDX-License-Identifier: MIT */
/* Syncs: the tracker is brought up to date with the tables, in the way of its mode. */
#include "internal.h"

bool at_sync(struct alias_tracker *at)
{
	bool ok;

	at->syncs++;
	ok = at->config.mode == AT_LOGGED ? log_sync(at) : tables_compare(at);
	if (ok) {
		judged_update(at, true);
		if (!TAILQ_EMPTY(&at->recheck_queue))
			recheck_report(at);
	}
	tlb_pending_settle(at);
	at->failed = !ok;
	return ok;
}

bool at_audit(struct alias_tracker *at)
{
	at->log.audit = true;
	return at_sync(at);
}

bool at_set_mode(struct alias_tracker *at, enum at_mode mode)
{
	struct table *table;

	if (at->config.mode == AT_BLIND ||
	    (mode != AT_CHANGES && mode != AT_SCAN && !(mode == AT_LOGGED && at->ops.log_begin)))
		return false;
	if (at->config.mode == AT_LOGGED)
		at_audit(at); /* if it fails, the next sync does what is left */
	at->config.mode = mode;
	if (mode == AT_LOGGED)
		log_start(at);
	else
		mismatches_drop(at);
	if (mode != AT_SCAN)
		return true;
	TAILQ_FOREACH (table, &at->by_change, by_change) {
		if (!table->armed)
			continue;
		at->ops.disarm(at->config.ctx, table->pfn);
		table->armed = false;
		table_make_hot(at, table);
	}
	return true;
}
