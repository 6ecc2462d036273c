/* SPDX-License-Identifier: MIT */
#include "slab.h"

#include <string.h>

#include "frame.h"
#include "pgtable.h"

/* Adds the objects of a new frame to the free list. Without the lock. */
static bool slab_grow(struct slab *slab)
{
	uint64_t pfn = alloc_frame();
	char *frame;

	if (pfn == NO_FRAME)
		return false;
	frame = pfn_to_virt(pfn);
	spin_lock(&slab->lock);
	for (size_t at = 0; at + slab->size <= PAGE_SIZE; at += slab->size) {
		struct slab_object *object = (struct slab_object *)(frame + at);

		SLIST_INSERT_HEAD(&slab->free, object, next);
	}
	spin_unlock(&slab->lock);
	return true;
}

void *slab_alloc(struct slab *slab)
{
	struct slab_object *object;

	do {
		spin_lock(&slab->lock);
		object = SLIST_FIRST(&slab->free);
		if (object)
			SLIST_REMOVE_HEAD(&slab->free, next);
		spin_unlock(&slab->lock);
	} while (!object && slab_grow(slab));

	return object ? memset(object, 0, slab->size) : NULL;
}

void slab_free(struct slab *slab, void *object)
{
	struct slab_object *freed = object;

	spin_lock(&slab->lock);
	SLIST_INSERT_HEAD(&slab->free, freed, next);
	spin_unlock(&slab->lock);
}
