/* SPDX-License-Identifier: MIT */
/* A hash multimap by GLib: frame -> how many. Keys and values are small integers, for which it
 * keeps 4 bytes each. */
#if __has_include(<glib.h>)

#include "contender.h"

#include <glib.h>

static void *ghash_open(uint64_t frames)
{
	(void)frames;
	return g_hash_table_new(NULL, NULL);
}

static void ghash_close(void *self)
{
	g_hash_table_destroy(self);
}

static uint64_t ghash_count(const void *self, uint64_t pfn)
{
	return GPOINTER_TO_SIZE(
		g_hash_table_lookup((GHashTable *)(uintptr_t)self, GSIZE_TO_POINTER(pfn)));
}

static bool ghash_has(const void *self, uint64_t pfn)
{
	return ghash_count(self, pfn) != 0;
}

static void ghash_add(void *self, uint64_t pfn, uint64_t gpa)
{
	(void)gpa;
	g_hash_table_insert(self, GSIZE_TO_POINTER(pfn),
			    GSIZE_TO_POINTER(ghash_count(self, pfn) + 1));
}

static void ghash_drop(void *self, uint64_t pfn, uint64_t gpa)
{
	uint64_t n = ghash_count(self, pfn);

	(void)gpa;
	if (n > 1)
		g_hash_table_insert(self, GSIZE_TO_POINTER(pfn), GSIZE_TO_POINTER(n - 1));
	else
		g_hash_table_remove(self, GSIZE_TO_POINTER(pfn));
}

const struct contender contender_ghash = {
	"ghashtable", ghash_open, ghash_close, ghash_add, ghash_drop, ghash_has, ghash_count,
};

#endif
