/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <errno.h>
#include <stdlib.h>

/* One per process, as the allocator is; tests run in one thread. */
static struct {
	unsigned left;
	bool for_good, fired;
	size_t live;
} fault;

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

void fault_set(unsigned nth, bool for_good)
{
	fault.left = nth;
	fault.for_good = for_good;
	fault.fired = false;
}

bool fault_fired(void)
{
	return fault.fired;
}

size_t fault_live(void)
{
	return fault.live;
}

static bool fails(void)
{
	if (!(fault.fired && fault.for_good)) {
		if (!fault.left || --fault.left)
			return false;
		fault.fired = true;
	}
	errno = ENOMEM;
	return true;
}

static void *counted(void *p)
{
	fault.live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
	void *q = realloc(p, size);

	return p ? q : counted(q);
}

void __wrap_free(void *p)
{
	fault.live -= p != NULL;
	free(p);
}
