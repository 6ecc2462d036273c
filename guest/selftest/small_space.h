/* SPDX-License-Identifier: MIT */
/* A small vmap space within the kernel's own, so that tests can fill it. */
#ifndef SELFTEST_SMALL_SPACE_H
#define SELFTEST_SMALL_SPACE_H

#include <stdint.h>
#include <vmap.h>

#define SMALL_PAGES 1024u
#define SMALL_PFNS  128u

/*
 * Returns the space, empty, with this lazy limit; NULL when out of memory. There is only one. No
 * strategy knows it, so purge it before you free frames that were mapped in it.
 */
struct vmap_space *small_space(uint64_t lazy_max);
/* SMALL_PFNS frames to map there; they are never freed. */
const uint64_t *small_pfns(void);

#endif
