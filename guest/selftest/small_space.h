/* SPDX-License-Identifier: MIT */
/* A vmap space so small that it can be filled, within the kernel's own. */
#ifndef SELFTEST_SMALL_SPACE_H
#define SELFTEST_SMALL_SPACE_H

#include <stdint.h>
#include <vmap.h>

#define SMALL_PAGES 1024u
#define SMALL_PFNS  128u

/*
 * Empty, with this lazy limit; NULL when out of memory. There is one, which begins anew for each
 * test. Stale aliases in it are nobody's business but the test's: no strategy knows of this space,
 * so purge it before freeing frames that were mapped in it.
 */
struct vmap_space *small_space(uint64_t lazy_max);
/* SMALL_PFNS frames to be mapped there; they are kept. */
const uint64_t *small_pfns(void);

#endif
