/* SPDX-License-Identifier: MIT */
#include "copy.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/* The loader chooses by the processor it finds. Left to itself the compiler regroups the ORs into a
 * tree, whose loads then can't be part of them. ThreadSanitizer isn't up by then; and that these
 * race with the owner is what they are made for. Clang names the choice so that other files don't
 * find it. */
#if defined(__SANITIZE_THREAD__)
#define FOR_EACH_PROCESSOR __attribute__((no_sanitize("thread")))
#elif defined(__clang__)
#define FOR_EACH_PROCESSOR
#else
#define FOR_EACH_PROCESSOR                                                                         \
	__attribute__((target_clones("arch=x86-64-v4", "avx2", "default"),                         \
		       optimize("no-tree-reassoc")))
#endif
#define INLINE static inline __attribute__((always_inline))

typedef uint64_t vector __attribute__((vector_size(32), aligned(8), may_alias));

#define VECTOR_ENTRIES (sizeof(vector) / sizeof(uint64_t))
#define GROUP_LINES    (GROUP_ENTRIES / LINE_ENTRIES)

INLINE bool any_set(const vector *v)
{
	return (*v)[0] | (*v)[1] | (*v)[2] | (*v)[3];
}

/* --- loading ---------------------------------------------------------------------------------- */

INLINE void group_or(vector *any, const uint64_t *entry)
{
	*any = (vector){0};
#pragma GCC unroll 16
	for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
		*any |= *(const vector *)&entry[i];
}

/* Volatile, so that what is judged is what is kept: each entry is loaded once. */
INLINE void group_load(uint64_t *copy, const uint64_t *now)
{
#pragma GCC unroll 16
	for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
		*(vector *)&copy[i] = *(const volatile vector *)&now[i];
}

/* A group's PTE_P bits, in a word. */
INLINE uint64_t present_in(const uint64_t *entry)
{
	vector bits = {0};

#pragma GCC unroll 16
	for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
		bits |= (*(const vector *)&entry[i] & PTE_P) << (vector){i, i + 1, i + 2, i + 3};
	return bits[0] | bits[1] | bits[2] | bits[3];
}

/* Bit i: in group i something is not zero. */
INLINE uint64_t groups_set(const uint64_t *table)
{
	vector zero = {0}; /* bit i: these entries of group i are */

#pragma GCC unroll 8
	for (unsigned group = 0; group < GROUPS; group++) {
		uint64_t bit = 1ull << group;
		vector any;

		group_or(&any, &table[group * GROUP_ENTRIES]);
		zero |= (vector)(any == (vector){0}) & (vector){bit, bit, bit, bit};
	}
	return ~(zero[0] & zero[1] & zero[2] & zero[3]) & ((1u << GROUPS) - 1);
}

FOR_EACH_PROCESSOR
void copy_load(struct copy *copy, const uint64_t *table)
{
	uint64_t stored = groups_set(table);

	copy->stored = stored;
	memset(copy->present, 0, sizeof(copy->present));
	for (; stored; stored &= stored - 1) {
		unsigned group = (unsigned)__builtin_ctzll(stored);
		uint64_t *entry = &copy->entry[group * GROUP_ENTRIES];

		group_load(entry, &table[group * GROUP_ENTRIES]);
		copy->present[group] = present_in(entry);
	}
}

FOR_EACH_PROCESSOR
void copy_group_store(struct copy *copy, unsigned group)
{
	memset(&copy->entry[group * GROUP_ENTRIES], 0, GROUP_ENTRIES * sizeof(*copy->entry));
	copy->stored |= 1ull << group;
}

FOR_EACH_PROCESSOR
void copy_group_drop(struct copy *copy, unsigned group)
{
	vector any;

	group_or(&any, &copy->entry[group * GROUP_ENTRIES]);
	if (!any_set(&any))
		copy->stored &= ~(1ull << group);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* (Volatile keeps the compiler from moving the loads that both branches have in common in front of
 * them.) */
INLINE void group_differs(vector *any, bool is_stored, const uint64_t *from, const uint64_t *now)
{
	if (is_stored) {
#pragma GCC unroll 16
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&from[i] ^ *(const volatile vector *)&now[i];
	} else {
#pragma GCC unroll 16
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&now[i];
	}
}

INLINE uint64_t group_lines_differ(bool is_stored, const uint64_t *from, const uint64_t *now)
{
	uint64_t lines = 0;

	for (unsigned line = 0; line < GROUP_LINES; line++) {
		const vector *half = (const vector *)&now[line * LINE_ENTRIES];
		const vector *was = (const vector *)&from[line * LINE_ENTRIES];
		vector any =
			is_stored ? (half[0] ^ was[0]) | (half[1] ^ was[1]) : half[0] | half[1];

		if (any_set(&any))
			lines |= 1ull << line;
	}
	return lines;
}

FOR_EACH_PROCESSOR
bool copy_differs(const struct copy *copy, const uint64_t *table)
{
	vector all = {0};

#pragma GCC unroll 8
	for (unsigned group = 0; group < GROUPS; group++)
		group_differs(&all, copy->stored >> group & 1, &copy->entry[group * GROUP_ENTRIES],
			      &table[group * GROUP_ENTRIES]);
	return any_set(&all);
}

FOR_EACH_PROCESSOR
uint64_t copy_lines_differ(const struct copy *copy, const uint64_t *table)
{
	uint64_t lines = 0;

	for (unsigned group = 0; group < GROUPS; group++) {
		const uint64_t *from = &copy->entry[group * GROUP_ENTRIES];
		const uint64_t *now = &table[group * GROUP_ENTRIES];
		bool is_stored = copy->stored >> group & 1;
		vector any = {0};

		group_differs(&any, is_stored, from, now);
		if (any_set(&any))
			lines |= group_lines_differ(is_stored, from, now) << group * GROUP_LINES;
	}
	return lines;
}
