/* SPDX-License-Identifier: MIT */
#include "devices/unassigned.h"

#include <inttypes.h>
#include "say.h"

void nobody_init(struct nobody *nobody, bool verbose)
{
	*nobody = (struct nobody){.verbose = verbose, .lock = PTHREAD_MUTEX_INITIALIZER};
}

static bool is_new(struct nobody *nobody, const char *space, uint64_t addr)
{
	for (unsigned i = 0; i < nobody->nr; i++)
		if (nobody->said[i].addr == addr && nobody->said[i].space == space)
			return false;
	if (nobody->nr == NOBODY_MAX)
		return false;
	nobody->said[nobody->nr].space = space;
	nobody->said[nobody->nr++].addr = addr;
	return true;
}

void nobody_note(struct nobody *nobody, const char *space, uint64_t addr, bool write)
{
	bool tell;

	pthread_mutex_lock(&nobody->lock);
	nobody->accesses++;
	tell = nobody->verbose && is_new(nobody, space, addr);
	pthread_mutex_unlock(&nobody->lock);
	if (tell)
		say("nobody is at %s 0x%" PRIx64 ": %s", space, addr,
		    write ? "write dropped" : "read gives all ones");
}
