/* SPDX-License-Identifier: MIT */
/* A slab of small objects of one size, cut from frames. The frames are never freed. */
#ifndef SLAB_H
#define SLAB_H

#include <stddef.h>
#include <sys/queue.h>
#include <spinlock.h>

struct slab_object {
	SLIST_ENTRY(slab_object) next;
};

struct slab {
	size_t size; /* of an object; at most a page, a multiple of 8 */
	struct spinlock lock;
	SLIST_HEAD(, slab_object) free; /* by `lock` */
};

#define SLAB_INIT(type)                                                                            \
	{                                                                                          \
		.size = sizeof(type)                                                               \
	}

/* Returns a zeroed object, or NULL when out of memory. On any CPU, not from interrupt handlers. */
void *slab_alloc(struct slab *slab);
void slab_free(struct slab *slab, void *object);

#endif
