/* SPDX-License-Identifier: MIT */
#include "devices/unassigned.h"

#include <inttypes.h>
#include "say.h"

void unassigned_init(struct unassigned *unassigned, bool verbose)
{
	*unassigned = (struct unassigned){.verbose = verbose, .lock = PTHREAD_MUTEX_INITIALIZER};
}

static bool is_new(struct unassigned *unassigned, const char *space, uint64_t addr)
{
	for (unsigned i = 0; i < unassigned->nr; i++)
		if (unassigned->said[i].addr == addr && unassigned->said[i].space == space)
			return false;
	if (unassigned->nr == UNASSIGNED_MAX)
		return false;
	unassigned->said[unassigned->nr].space = space;
	unassigned->said[unassigned->nr++].addr = addr;
	return true;
}

uint64_t unassigned_count(struct unassigned *unassigned)
{
	uint64_t count;

	pthread_mutex_lock(&unassigned->lock);
	count = unassigned->accesses;
	pthread_mutex_unlock(&unassigned->lock);
	return count;
}

void unassigned_note(struct unassigned *unassigned, const char *space, uint64_t addr, bool write)
{
	bool tell;

	pthread_mutex_lock(&unassigned->lock);
	unassigned->accesses++;
	tell = unassigned->verbose && is_new(unassigned, space, addr);
	pthread_mutex_unlock(&unassigned->lock);
	if (tell)
		say("no device is at %s 0x%" PRIx64 ": %s", space, addr,
		    write ? "write dropped" : "read gives all ones");
}
