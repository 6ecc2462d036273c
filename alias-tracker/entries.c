/* SPDX-License-Identifier: MIT */
#include "entries.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/* The loader chooses by the processor it finds. ThreadSanitizer isn't up by then; and that these
 * race with the owner is what they are made for. Clang names the choice so that other files don't
 * find it. */
#if defined(__SANITIZE_THREAD__)
#define FOR_EACH_PROCESSOR __attribute__((no_sanitize("thread")))
#elif defined(__clang__)
#define FOR_EACH_PROCESSOR
#else
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#endif

typedef uint64_t vector __attribute__((vector_size(32), aligned(8), may_alias));

#define VECTOR_ENTRIES (sizeof(vector) / sizeof(uint64_t))

/* A group's PTE_P bits, in a word. */
static inline __attribute__((always_inline)) uint64_t present_in(const uint64_t *copy)
{
	uint64_t present = 0;

#pragma GCC unroll 16
	for (unsigned i = 0; i < ENTRIES_GROUP; i++)
		present |= (copy[i] & PTE_P) << i;
	return present;
}

FOR_EACH_PROCESSOR
void entries_load(struct entries *entries, const uint64_t *table)
{
	for (unsigned group = 0; group < ENTRIES_GROUPS; group++) {
		uint64_t *copy = &entries->copy[group * ENTRIES_GROUP];
		const uint64_t *now = &table[group * ENTRIES_GROUP];
		vector any = {0};

#pragma GCC unroll 16
		for (unsigned i = 0; i < ENTRIES_GROUP; i += VECTOR_ENTRIES) {
			vector some = *(const volatile vector *)&now[i];

			*(vector *)&copy[i] = some;
			any |= some;
		}
		entries->present[group] =
			((any[0] | any[1] | any[2] | any[3]) & PTE_P) ? present_in(copy) : 0;
	}
}

/* What is found here is looked at once more, entry by entry, when the difference is acted on. */
FOR_EACH_PROCESSOR
unsigned entries_differ(const struct entries *entries, const uint64_t *table)
{
	unsigned groups = 0;

	for (unsigned group = 0; group < ENTRIES_GROUPS; group++) {
		const uint64_t *copy = &entries->copy[group * ENTRIES_GROUP];
		const uint64_t *now = &table[group * ENTRIES_GROUP];
		vector any = {0};

#pragma GCC unroll 16
		for (unsigned i = 0; i < ENTRIES_GROUP; i += VECTOR_ENTRIES)
			any |= *(const vector *)&copy[i] ^ *(const vector *)&now[i];
		if (any[0] | any[1] | any[2] | any[3])
			groups |= 1u << group;
	}
	return groups;
}
