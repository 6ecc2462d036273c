/* SPDX-License-Identifier: MIT */
#include "findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "room.h"

void findings_clear(struct findings *findings)
{
	char source[sizeof(findings->source)];

	memcpy(source, findings->source, sizeof(source));
	free(findings->all);
	notes_clear(&findings->notes);
	*findings = (struct findings){0};
	memcpy(findings->source, source, sizeof(source));
}

int findings_add(struct findings *findings, const struct finding *finding)
{
	struct finding *all = room_for_one(findings->all, findings->nr, sizeof(*all));

	if (!all)
		return -ENOMEM;
	findings->all = all;
	findings->all[findings->nr++] = *finding;
	findings->of_kind[finding->kind]++;
	findings->frames[finding->kind] += finding->frames;
	return 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_by_frame(const void *a, const void *b)
{
	const struct finding *one = a, *other = b;
	int order = compare_numbers(one->kind, other->kind);

	return order ? order : compare_numbers(one->pfn, other->pfn);
}

void findings_sort(struct findings *findings)
{
	if (findings->nr)
		qsort(findings->all, findings->nr, sizeof(*findings->all), compare_by_frame);
}

const char *finding_kind_word(enum finding_kind kind)
{
	static const char *const words[FINDING_KINDS] = {
		[FINDING_TABLE] = "table",
		[FINDING_WX] = "wx",
		[FINDING_MEMTYPE] = "memtype",
	};

	return kind < FINDING_KINDS ? words[kind] : "unknown";
}

/* What of a mapping makes it one of a kind. */
static uint64_t kind_of_mapping(const struct mapping *mapping)
{
	return (uint64_t)mapping->place << 32 | (uint64_t)mapping->level << 16 |
	       (uint64_t)mapping->memtype << 8 | (uint64_t)mapping->writable << 2 |
	       (uint64_t)mapping->user << 1 | (uint64_t)mapping->exec;
}

int finding_compare_alike(const struct finding *a, const struct finding *b)
{
	int order = compare_numbers(a->kind, b->kind);

	order = order ? order : compare_numbers(a->levels, b->levels);
	order = order ? order : compare_numbers(a->nr_at, b->nr_at);
	for (unsigned i = 0; !order && i < a->nr_at && i < FINDING_MAPPINGS; i++)
		order = compare_numbers(kind_of_mapping(&a->at[i]), kind_of_mapping(&b->at[i]));
	return order;
}
