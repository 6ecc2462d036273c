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

/* Loads the groups of a word that are not zero: most often one. */
INLINE void word_load(struct copy *copy, unsigned word, const uint64_t *table)
{
	unsigned first = word * WORD_ENTRIES, group = word * WORD_GROUPS;
	uint64_t groups = parts_set(&table[first], WORD_GROUPS, GROUP_ENTRIES);

	if (groups & (groups - 1)) {
		copy->present[word] =
			entries_load(&copy->entry[first], &table[first], WORD_ENTRIES);
		/* Those that were loaded: the owner may have written since it was asked. */
		groups = parts_set(&copy->entry[first], WORD_GROUPS, GROUP_ENTRIES);
	} else if (groups) {
		group += (unsigned)__builtin_ctzll(groups);
		first = group * GROUP_ENTRIES;
		copy->present_of[group] =
			(uint16_t)entries_load(&copy->entry[first], &table[first], GROUP_ENTRIES);
	}
	copy->stored |= groups << word * WORD_GROUPS;
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

/* In functions of their own, so that a table of zeroes needs no room for registers. */
#define NOINLINE static __attribute__((noinline))

FOR_EACH_PROCESSOR
NOINLINE void some_load(struct copy *copy, uint64_t words, const uint64_t *table)
{
	for (; words; words &= words - 1)
		word_load(copy, (unsigned)__builtin_ctzll(words), table);
}

/* Is one of the four groups without a present entry? */
INLINE bool lacks_some(uint64_t present)
{
	return (present - 0x0001000100010001) & ~present & 0x8000800080008000;
}

/* Where no word is zero hardly any group is. */
FOR_EACH_PROCESSOR
NOINLINE void all_load(struct copy *copy, const uint64_t *table)
{
	for (unsigned word = 0; word < WORDS; word++) {
		uint64_t groups = (1u << WORD_GROUPS) - 1;
		unsigned first = word * WORD_ENTRIES;

		copy->present[word] =
			entries_load(&copy->entry[first], &table[first], WORD_ENTRIES);
		if (lacks_some(copy->present[word]))
			groups = parts_set(&copy->entry[first], WORD_GROUPS, GROUP_ENTRIES);
		copy->stored |= groups << word * WORD_GROUPS;
	}
}

FOR_EACH_PROCESSOR
void copy_load(struct copy *copy, const uint64_t *table)
{
	uint64_t words = parts_set(table, WORDS, WORD_ENTRIES);

	copy->stored = 0;
	memset(copy->present, 0, sizeof(copy->present));
	if (words == (1u << WORDS) - 1)
		all_load(copy, table);
	else if (words)
		some_load(copy, words, table);
}

FOR_EACH_PROCESSOR
void copy_group_store(struct copy *copy, unsigned group)
{
#pragma GCC unroll 4
	for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
		*(vector *)&copy->entry[group * GROUP_ENTRIES + i] = (vector){0};
	copy->stored |= 1ull << group;
}

FOR_EACH_PROCESSOR
void copy_group_drop(struct copy *copy, unsigned group)
{
	vector any;

	entries_or(&any, &copy->entry[group * GROUP_ENTRIES], GROUP_ENTRIES);
	if (!any_set(&any))
		copy->stored &= ~(1ull << group);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* (Volatile keeps the compiler from moving the loads that both branches have in common in front of
 * them.) */
INLINE void group_differs(vector *any, bool is_stored, const uint64_t *from, const uint64_t *now)
{
	if (is_stored) {
#pragma GCC unroll 4
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&from[i] ^ *(const volatile vector *)&now[i];
	} else {
#pragma GCC unroll 4
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			*any |= *(const vector *)&now[i];
	}
}

INLINE bool stores_any(const struct copy *copy, unsigned group, unsigned nr)
{
	return copy->stored & ((1ull << nr) - 1) << group;
}

INLINE void word_differs(vector *any, const struct copy *copy, unsigned word, const uint64_t *table)
{
	if (stores_any(copy, word * WORD_GROUPS, WORD_GROUPS)) {
#pragma GCC unroll 4
		for (unsigned i = 0; i < WORD_GROUPS; i++) {
			unsigned group = word * WORD_GROUPS + i, first = group * GROUP_ENTRIES;

			group_differs(any, stores_any(copy, group, 1), &copy->entry[first],
				      &table[first]);
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
		const vector *now = (const vector *)&table[first];
		const vector *was = (const vector *)&copy->entry[first];
		bool is_stored = stores_any(copy, first / GROUP_ENTRIES, 1);
		vector any = is_stored ? (now[0] ^ was[0]) | (now[1] ^ was[1]) : now[0] | now[1];

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

	for (uint64_t groups = copy->stored; groups; groups &= groups - 1) {
		const uint64_t *entry =
			&copy->entry[GROUP_ENTRIES * (unsigned)__builtin_ctzll(groups)];

#pragma GCC unroll 4
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
			any |= (vector)((*(const vector *)&entry[i] & mask) == want);
	}
	return any_set(&any);
}
