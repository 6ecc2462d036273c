/* SPDX-License-Identifier: MIT */
#include "around_sync.h"

#include <stddef.h>
#include "alias_tracker.h"

void (*around_sync)(void);

bool __real_at_sync(struct alias_tracker *at);
bool __wrap_at_sync(struct alias_tracker *at);
bool __real_at_audit(struct alias_tracker *at);
bool __wrap_at_audit(struct alias_tracker *at);

static bool run(bool (*sync)(struct alias_tracker *at), struct alias_tracker *at)
{
	bool ok;

	if (around_sync)
		around_sync();
	ok = sync(at);
	if (around_sync)
		around_sync();
	return ok;
}

bool __wrap_at_sync(struct alias_tracker *at)
{
	return run(__real_at_sync, at);
}

bool __wrap_at_audit(struct alias_tracker *at)
{
	return run(__real_at_audit, at);
}
