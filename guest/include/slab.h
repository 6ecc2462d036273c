/* SPDX-License-Identifier: MIT */
/* Small objects of one size, cut from frames. Frames are kept for good. */
#ifndef SLAB_H
#define SLAB_H

#include <stddef.h>
#include <sys/queue.h>
#include <spinlock.h>

struct slab_object {
	SLIST_ENTRY(slab_object) next;
};

struct slab {
	size_t size; /* of an object, at most a page; multiple of 8 */
	struct spinlock lock;
	SLIST_HEAD(, slab_object) free; /* by `lock` */
};

#define SLAB_INIT(type)                                                                            \
	{                                                                                          \
		.size = sizeof(type)                                                               \
	}

/* A zeroed object, or NULL when out of memory. Any CPU, not from interrupt handlers. */
void *slab_alloc(struct slab *slab);
void slab_free(struct slab *slab, void *object);

#endif
