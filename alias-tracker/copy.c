/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

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
#define WORD_LINES     (WORD_ENTRIES / LINE_ENTRIES)

INLINE bool any_set(const vector *v)
{
	return (*v)[0] | (*v)[1] | (*v)[2] | (*v)[3];
}

/* Sets the bit in all of *zero where the vector is zero. */
INLINE void zero_add(vector *zero, const vector *v, uint64_t bit)
{
	*zero |= (vector)(*v == (vector){0}) & (vector){bit, bit, bit, bit};
}

/* Of `nr` bits, those that are not set in all of it. */
INLINE uint64_t not_zero(const vector *zero, unsigned nr)
{
	return ~((*zero)[0] & (*zero)[1] & (*zero)[2] & (*zero)[3]) & ((1u << nr) - 1);
}

/* --- room ------------------------------------------------------------------------------------- */

/* For so many groups. */
static bool copy_resize(struct copy *copy, unsigned max, size_t *bytes)
{
	void *group = realloc(copy->group, max * sizeof(*copy->group));

	if (!group)
		return false;
	*bytes += max * sizeof(*copy->group);
	*bytes -= copy->max * sizeof(*copy->group);
	copy->group = group;
	copy->max = (uint8_t)max;
	return true;
}

bool copy_prepare(struct copy *copy, size_t *bytes)
{
	if (!copy_resize(copy, FEW_GROUPS, bytes))
		return false;
	memset(copy->group, 0, FEW_GROUPS * sizeof(*copy->group));
	return true;
}

/* For that many at least. */
static bool copy_make_room(struct copy *copy, unsigned nr, size_t *bytes)
{
	unsigned max = copy->max ? copy->max : FEW_GROUPS;

	while (max < nr)
		max *= 2;
	return max == copy->max || copy_resize(copy, max, bytes);
}

bool copy_group_store(struct copy *copy, unsigned group, size_t *bytes)
{
	if (!copy_make_room(copy, copy->nr + 1u, bytes))
		return false;
	memset(copy->group[copy->nr], 0, sizeof(*copy->group));
	copy->place[group] = copy->nr++;
	copy->stored |= 1u << group;
	return true;
}

void copy_trim(struct copy *copy, size_t *bytes)
{
	copy->stored = 0;
	copy->nr = 0;
	if (copy->max > FEW_GROUPS)
		copy_resize(copy, FEW_GROUPS, bytes);
}

void copy_free(struct copy *copy, size_t *bytes)
{
	*bytes -= copy->max * sizeof(*copy->group);
	free(copy->group);
	copy_init(copy);
}

/* --- loading ---------------------------------------------------------------------------------- */

INLINE void entries_or(vector *any, const uint64_t *entry, unsigned nr)
{
	*any = (vector){0};
#pragma GCC unroll 16
	for (unsigned i = 0; i < nr; i += VECTOR_ENTRIES)
		*any |= *(const vector *)&entry[i];
}

/* Returns their PTE_P bits, of 64 entries at most. Volatile, so that what is judged is what is
 * kept: each entry is loaded once. (With one base for all loads, as the compiler doesn't find out.)
 */
INLINE uint64_t entries_load(uint64_t *copy, const uint64_t *now, unsigned nr)
{
	vector bits = {0};

	__asm__("" : "+r"(now));
#pragma GCC unroll 16
	for (unsigned i = 0; i < nr; i += VECTOR_ENTRIES) {
		vector entries = *(const volatile vector *)&now[i];

		*(vector *)&copy[i] = entries;
		bits |= (entries & PTE_P) << (vector){i, i + 1, i + 2, i + 3};
	}
	return bits[0] | bits[1] | bits[2] | bits[3];
}

/* Bit i: of the part i of the entries, which has `nr`, some are not zero. */
INLINE uint64_t parts_set(const uint64_t *entry, unsigned parts, unsigned nr)
{
	vector zero = {0}; /* bit i: these entries of part i are */

#pragma GCC unroll 8
	for (unsigned part = 0; part < parts; part++) {
		vector any;

		entries_or(&any, &entry[part * nr], nr);
		zero_add(&zero, &any, 1ull << part);
	}
	return not_zero(&zero, parts);
}

/* Their PTE_P bits alone, of 64 entries. */
INLINE uint64_t entries_present(const uint64_t *now)
{
	vector bits = {0};

#pragma GCC unroll 16
	for (unsigned i = 0; i < WORD_ENTRIES; i += VECTOR_ENTRIES)
		bits |= (*(const vector *)&now[i] & PTE_P) << (vector){i, i + 1, i + 2, i + 3};
	return bits[0] | bits[1] | bits[2] | bits[3];
}

FOR_EACH_PROCESSOR
uint64_t table_present(uint64_t present[WORDS], const uint64_t *table)
{
	uint64_t words = parts_set(table, WORDS, WORD_ENTRIES);

	for (uint64_t left = words; left; left &= left - 1) {
		unsigned word = (unsigned)__builtin_ctzll(left);

		present[word] = entries_present(&table[word * WORD_ENTRIES]);
	}
	return words;
}

/* In functions of their own, so that what most tables take needs no room for registers. */
#define NOINLINE static __attribute__((noinline))

/* Into a copy that stores nothing, and has room for them. */
INLINE void groups_load(struct copy *copy, uint32_t groups, const uint64_t *table)
{
	unsigned nr = 0;

	copy->stored = groups;
	for (; groups; groups &= groups - 1) {
		unsigned group = (unsigned)__builtin_ctz(groups);

		copy->place[group] = (uint8_t)nr;
		copy->present_of[group] = (uint16_t)entries_load(
			copy->group[nr++], &table[group * GROUP_ENTRIES], GROUP_ENTRIES);
	}
	copy->nr = (uint8_t)nr;
}

FOR_EACH_PROCESSOR
NOINLINE bool many_load(struct copy *copy, uint32_t groups, const uint64_t *table, size_t *bytes)
{
	if (!copy_make_room(copy, (unsigned)__builtin_popcount(groups), bytes))
		return false;
	groups_load(copy, groups, table);
	return true;
}

/* The groups of these words that are not zero: most often one. (The owner may have written since
 * that was asked: then a group is stored that is zero.) */
FOR_EACH_PROCESSOR
NOINLINE bool some_load(struct copy *copy, uint64_t words, const uint64_t *table, size_t *bytes)
{
	uint32_t groups = 0;

	for (; words; words &= words - 1) {
		unsigned word = (unsigned)__builtin_ctzll(words);

		groups |=
			(uint32_t)parts_set(&table[word * WORD_ENTRIES], WORD_GROUPS, GROUP_ENTRIES)
			<< word * WORD_GROUPS;
	}
	if ((unsigned)__builtin_popcount(groups) > copy->max)
		return many_load(copy, groups, table, bytes);
	groups_load(copy, groups, table);
	return true;
}

/* Where no word is zero hardly any group is. */
FOR_EACH_PROCESSOR
NOINLINE bool all_load(struct copy *copy, const uint64_t *table, size_t *bytes)
{
	if (!copy_make_room(copy, GROUPS, bytes))
		return false;
	copy->stored = UINT32_MAX;
	copy->nr = GROUPS;
	for (unsigned group = 0; group < GROUPS; group++)
		copy->place[group] = (uint8_t)group;
	for (unsigned word = 0; word < WORDS; word++)
		copy->present[word] = entries_load((uint64_t *)copy->group + word * WORD_ENTRIES,
						   &table[word * WORD_ENTRIES], WORD_ENTRIES);
	return true;
}

FOR_EACH_PROCESSOR
bool copy_load(struct copy *copy, const uint64_t *table, size_t *bytes)
{
	uint64_t words = parts_set(table, WORDS, WORD_ENTRIES);

	copy->stored = 0;
	copy->nr = 0;
	memset(copy->present, 0, sizeof(copy->present));
	if (words == (1u << WORDS) - 1)
		return all_load(copy, table, bytes);
	return !words || some_load(copy, words, table, bytes);
}

/* --- comparing -------------------------------------------------------------------------------- */

INLINE bool stores_any(const struct copy *copy, unsigned group, unsigned nr)
{
	return copy->stored & ((1u << nr) - 1) << group;
}

/* (Volatile keeps the compiler from moving the loads that both branches have in common in front of
 * them.) */
INLINE void group_differs(vector *any, const struct copy *copy, unsigned group, const uint64_t *now)
{
	if (stores_any(copy, group, 1)) {
		const uint64_t *from = copy->group[copy->place[group]];

#pragma GCC unroll 4
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&from[i] ^ *(const volatile vector *)&now[i];
	} else {
#pragma GCC unroll 4
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&now[i];
	}
}

INLINE void word_differs(vector *any, const struct copy *copy, unsigned word, const uint64_t *table)
{
	if (stores_any(copy, word * WORD_GROUPS, WORD_GROUPS)) {
#pragma GCC unroll 4
		for (unsigned i = 0; i < WORD_GROUPS; i++) {
			unsigned group = word * WORD_GROUPS + i;

			group_differs(any, copy, group, &table[group * GROUP_ENTRIES]);
		}
	} else {
#pragma GCC unroll 16
		for (unsigned i = 0; i < WORD_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&table[word * WORD_ENTRIES + i];
	}
}

INLINE uint64_t word_lines_differ(const struct copy *copy, unsigned word, const uint64_t *table)
{
	vector same = {0}; /* bit i: line i of the word is */

#pragma GCC unroll 8
	for (unsigned line = 0; line < WORD_LINES; line++) {
		unsigned first = word * WORD_ENTRIES + line * LINE_ENTRIES;
		const vector *now = (const vector *)&table[first], *was;
		vector any = now[0] | now[1];

		if (stores_any(copy, first / GROUP_ENTRIES, 1)) {
			was = (const vector *)copy_entry(copy, first);
			any = (now[0] ^ was[0]) | (now[1] ^ was[1]);
		}
		zero_add(&same, &any, 1ull << line);
	}
	return not_zero(&same, WORD_LINES);
}

FOR_EACH_PROCESSOR
bool copy_differs(const struct copy *copy, const uint64_t *table)
{
	vector all = {0};

#pragma GCC unroll 8
	for (unsigned word = 0; word < WORDS; word++)
		word_differs(&all, copy, word, table);
	return any_set(&all);
}

FOR_EACH_PROCESSOR
uint64_t copy_lines_differ(const struct copy *copy, const uint64_t *table)
{
	vector same = {0}; /* bit i: word i is */
	uint64_t words, lines = 0;

#pragma GCC unroll 8
	for (unsigned word = 0; word < WORDS; word++) {
		vector any = {0};

		word_differs(&any, copy, word, table);
		zero_add(&same, &any, 1ull << word);
	}
	words = not_zero(&same, WORDS);
	for (; words; words &= words - 1) {
		unsigned word = (unsigned)__builtin_ctzll(words);

		lines |= word_lines_differ(copy, word, table) << word * WORD_LINES;
	}
	return lines;
}

/* --- searching -------------------------------------------------------------------------------- */

/* Most tables have none: no branch within a group. */
FOR_EACH_PROCESSOR
bool copy_matches(const struct copy *copy, struct pattern pattern)
{
	const vector mask = {pattern.mask, pattern.mask, pattern.mask, pattern.mask};
	const vector want = {pattern.want, pattern.want, pattern.want, pattern.want};
	vector any = {0};

	for (uint32_t groups = copy->stored; groups; groups &= groups - 1) {
		const uint64_t *entry = copy->group[copy->place[__builtin_ctz(groups)]];

#pragma GCC unroll 4
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			any |= (vector)((*(const vector *)&entry[i] & mask) == want);
	}
	return any_set(&any);
}
