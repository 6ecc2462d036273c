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
#define INLINE static inline __attribute__((always_inline))

typedef uint64_t vector __attribute__((vector_size(32), aligned(8), may_alias));

#define VECTOR_ENTRIES (sizeof(vector) / sizeof(uint64_t))
#define GROUP_LINES    (GROUP_ENTRIES / LINE_ENTRIES)
#define ALL_LINES      ((1u << GROUP_LINES) - 1)

/* --- loading ---------------------------------------------------------------------------------- */

/* A group's PTE_P bits, in a word. */
INLINE uint64_t present_in(const uint64_t *entry)
{
	uint64_t present = 0;

#pragma GCC unroll 16
	for (unsigned i = 0; i < GROUP_ENTRIES; i++)
		present |= (entry[i] & PTE_P) << i;
	return present;
}

FOR_EACH_PROCESSOR
void snapshot_take(struct snapshot *snapshot, const uint64_t *table)
{
	for (unsigned group = 0; group < GROUPS; group++) {
		uint64_t *copy = &snapshot->entry[group * GROUP_ENTRIES];
		const uint64_t *now = &table[group * GROUP_ENTRIES];
		vector any = {0};

#pragma GCC unroll 16
		for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES) {
			vector some = *(const volatile vector *)&now[i];

			*(vector *)&copy[i] = some;
			any |= some;
		}
		snapshot->present[group] =
			((any[0] | any[1] | any[2] | any[3]) & PTE_P) ? present_in(copy) : 0;
	}
}

bool entries_load(struct entries *entries, const uint64_t *table, size_t *bytes)
{
	static const struct entries none;
	struct snapshot now;

	*entries = none;
	snapshot_take(&now, table);
	if (!pack_init(&entries->lines, entries_differ(entries, now.entry), LINE_ENTRIES, bytes))
		return false;
	memcpy(entries->present, now.present, sizeof(now.present));
	for (unsigned line = 0; line < PACK_ITEMS; line++) {
		uint64_t *stored = pack_find(&entries->lines, line, LINE_ENTRIES);

		if (stored)
			memcpy(stored, &now.entry[line * LINE_ENTRIES],
			       LINE_ENTRIES * sizeof(*stored));
	}
	return true;
}

void entries_free(struct entries *entries, size_t *bytes)
{
	pack_free(&entries->lines, LINE_ENTRIES, bytes);
}

void entries_set_line(struct entries *entries, unsigned line,
		      const uint64_t values[static LINE_ENTRIES], size_t *bytes)
{
	unsigned shift = line % GROUP_LINES * LINE_ENTRIES;
	uint64_t *present = &entries->present[line / GROUP_LINES], bits = 0, any = 0;
	uint64_t *stored = pack_find(&entries->lines, line, LINE_ENTRIES);

	for (unsigned i = 0; i < LINE_ENTRIES; i++) {
		bits |= (values[i] & PTE_P) << i;
		any |= values[i];
	}
	*present = (*present & ~(0xffull << shift)) | bits << shift;
	if (!stored)
		return;
	memcpy(stored, values, LINE_ENTRIES * sizeof(*values));
	if (!any)
		pack_drop(&entries->lines, line, LINE_ENTRIES, bytes);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* The two halves of a line, now, less those of its copy. Volatile, so that the compiler doesn't
 * move the loads of a group to where they are not wanted. */
INLINE void line_differs(bool is_stored, const uint64_t *copy, const uint64_t *now, vector *any)
{
	vector low = *(const volatile vector *)now;
	vector high = *(const volatile vector *)(now + VECTOR_ENTRIES);

	if (is_stored) {
		low ^= *(const vector *)copy;
		high ^= *(const vector *)(copy + VECTOR_ENTRIES);
	}
	*any |= low | high;
}

/* Which lines of a group differ from the copy, of which those in `stored` are one behind the other.
 */
INLINE uint64_t lines_differ(uint64_t stored, const uint64_t *copy, const uint64_t *now)
{
	uint64_t lines = 0;

	for (unsigned line = 0; line < GROUP_LINES; line++) {
		bool is_stored = stored >> line & 1;
		vector any = {0};

		line_differs(is_stored, copy, now + line * LINE_ENTRIES, &any);
		if (any[0] | any[1] | any[2] | any[3])
			lines |= 1ull << line;
		if (is_stored)
			copy += LINE_ENTRIES;
	}
	return lines;
}

INLINE bool some_stored_differ(uint64_t stored, const uint64_t *copy, const uint64_t *now)
{
	vector any = {0};

#pragma GCC unroll 8
	for (unsigned line = 0; line < GROUP_LINES; line++) {
		bool is_stored = stored >> line & 1;

		line_differs(is_stored, copy, now + line * LINE_ENTRIES, &any);
		copy += is_stored ? LINE_ENTRIES : 0;
	}
	return any[0] | any[1] | any[2] | any[3];
}

INLINE bool all_stored_differ(const uint64_t *copy, const uint64_t *now)
{
	vector any = {0};

#pragma GCC unroll 16
	for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
		any |= *(const vector *)&copy[i] ^ *(const volatile vector *)&now[i];
	return any[0] | any[1] | any[2] | any[3];
}

INLINE bool none_stored_differ(const uint64_t *now)
{
	vector any = {0};

#pragma GCC unroll 16
	for (unsigned i = 0; i < GROUP_ENTRIES; i += VECTOR_ENTRIES)
		any |= *(const vector *)&now[i];
	return any[0] | any[1] | any[2] | any[3];
}

/* A group that is all stored, or not at all, needs no look at each line. What is found here is
 * looked at once more, entry by entry, when the difference is acted on. */
FOR_EACH_PROCESSOR
uint64_t entries_differ(const struct entries *entries, const uint64_t *table)
{
	const uint64_t *copy = entries->lines.items;
	uint64_t left = entries->lines.stored, lines = 0;

	for (unsigned group = 0; group < GROUPS; group++, left >>= GROUP_LINES) {
		uint64_t stored = left & ALL_LINES;
		const uint64_t *now = &table[group * GROUP_ENTRIES], *from = copy;
		bool differs;

		if (!stored) {
			differs = none_stored_differ(now);
		} else if (stored == ALL_LINES) {
			differs = all_stored_differ(copy, now);
			copy += GROUP_ENTRIES;
		} else {
			differs = some_stored_differ(stored, copy, now);
			copy += pack_count(stored) * LINE_ENTRIES;
		}
		if (differs)
			lines |= lines_differ(stored, from, now) << group * GROUP_LINES;
	}
	return lines;
}
