/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "entry.h"

static const char *plural(uint64_t nr)
{
	return nr == 1 ? "" : "s";
}

/* "12 of 34 page tables have another mapping that is writable." */
static void print_answer(FILE *out, const struct findings *findings)
{
	uint64_t tables = findings->of_kind[FINDING_TABLE];

	if (!findings->tables)
		fprintf(out, "No page table was found: there is no answer.\n");
	else if (tables)
		fprintf(out,
			"Yes: %" PRIu64 " of %" PRIu64 " page tables %s another mapping, and "
			"can be written through it.\n",
			tables, findings->tables, tables == 1 ? "has" : "have");
	else
		fprintf(out,
			"No: none of %" PRIu64 " page table%s has another mapping that can be "
			"written.\n",
			findings->tables, plural(findings->tables));
}

static void print_size(FILE *out, uint64_t bytes)
{
	if (bytes >> 30 && !(bytes & ((1u << 30) - 1)))
		fprintf(out, "%" PRIu64 " GiB", bytes >> 30);
	else if (bytes >> 20)
		fprintf(out, "%" PRIu64 " MiB", bytes >> 20);
	else
		fprintf(out, "%" PRIu64 " KiB", bytes >> 10);
}

static void print_roots(FILE *out, const struct findings *findings)
{
	static const char *const kinds[] = {
		[ROOT_CR3] = "in CR3",
		[ROOT_PAIR] = "beside one in CR3 (PTI)",
		[ROOT_GIVEN] = "named",
		[ROOT_SHARED] = "by the kernel's half that they share",
	};
	size_t all = 0, told = 0;

	for (size_t i = 0; i <= ROOT_SHARED; i++)
		all += findings->roots[i];
	fprintf(out, "  roots       %zu", all);
	for (size_t i = 0; i <= ROOT_SHARED; i++)
		if (findings->roots[i])
			fprintf(out, "%s%zu %s", told++ ? ", " : ": ", findings->roots[i],
				kinds[i]);
	fprintf(out, "\n");
}

static void print_tables(FILE *out, const struct findings *findings)
{
	unsigned told = 0;

	fprintf(out, "  tables      %" PRIu64, findings->tables);
	for (unsigned level = findings->levels; level; level--)
		fprintf(out, "%s%" PRIu64 " at L%u", told++ ? ", " : ": ", findings->walked[level],
			level);
	fprintf(out, "\n");
}

static void print_window(FILE *out, const char *name, const struct window *window)
{
	if (!window->found)
		return;
	fprintf(out, "  %-11s 0x%016" PRIx64 ", ", name, window->base);
	print_size(out, window->size);
	fprintf(out, ", maps 0x%" PRIx64 "\n", window->gpa);
}

static void print_looked_at(FILE *out, const struct findings *findings)
{
	fprintf(out, "\nLooked at:\n  source      %s\n  memory      ", findings->source);
	print_size(out, findings->memory);
	fprintf(out, ", %zu vCPU%s, %u levels%s\n", findings->cpus, plural(findings->cpus),
		findings->levels, findings->isolated ? ", isolated page tables (PTI)" : "");
	print_roots(out, findings);
	print_tables(out, findings);
	print_window(out, "direct map", &findings->windows.direct_map);
	print_window(out, "image", &findings->windows.image);
	fprintf(out, "  time        %.1f ms", findings->look_ms);
	if (findings->paused_ms > 0)
		fprintf(out, ", of which the guest stood still for %.1f ms", findings->paused_ms);
	fprintf(out, "\n");
}

static void print_levels(FILE *out, uint8_t levels)
{
	unsigned told = 0;

	for (unsigned level = 1; level <= LEVELS_MAX; level++)
		if (levels & 1u << level)
			fprintf(out, "%sL%u", told++ ? "+" : "", level);
}

static const char *leaf_size(const struct mapping *mapping)
{
	static const char *const sizes[] = {"?", "4 KiB", "2 MiB", "1 GiB"};

	return sizes[mapping->level <= 3 ? mapping->level : 0];
}

/* "rwx kernel, by a 2 MiB leaf in the kernel image's window" */
static void print_mapping_kind(FILE *out, const struct mapping *mapping, bool memtype)
{
	fprintf(out, "r%c%c %s, by a %s leaf in %s", mapping->writable ? 'w' : '-',
		mapping->exec ? 'x' : '-', mapping->user ? "user" : "kernel", leaf_size(mapping),
		place_name(mapping->place));
	if (memtype)
		fprintf(out, ", memory type %u of the PAT", mapping->memtype);
}

static void print_mapping(FILE *out, const struct mapping *mapping, const struct names *names)
{
	char name[160];

	names_of(names, mapping->va, name, sizeof(name));
	fprintf(out, "0x%016" PRIx64 "%s%s%s, entry 0x%016" PRIx64 " at 0x%" PRIx64, mapping->va,
		name[0] ? " (" : "", name, name[0] ? ")" : "", mapping->pte, mapping->pte_gpa);
}

/* One line for so many frames, of which the first are in this finding, and one for each mapping of
 * it. */
static void print_group(FILE *out, const struct finding *finding, uint64_t frames,
			const struct names *names)
{
	fprintf(out, "  %6" PRIu64 " ", frames);
	if (finding->kind == FINDING_TABLE)
		print_levels(out, finding->levels);
	fprintf(out, "%s%s%s 0x%" PRIx64 "\n", finding->kind == FINDING_TABLE ? " table" : "frame",
		plural(frames), frames == 1 ? ":" : ", the first of them", finding->pfn);
	for (unsigned i = 0; i < finding->nr_at && i < FINDING_MAPPINGS; i++) {
		fprintf(out, "         ");
		print_mapping_kind(out, &finding->at[i], finding->kind == FINDING_MEMTYPE);
		fprintf(out, "\n           ");
		print_mapping(out, &finding->at[i], names);
		fprintf(out, "\n");
	}
	if (finding->nr > finding->nr_at)
		fprintf(out, "           and %" PRIu64 " more\n", finding->nr - finding->nr_at);
}

static int compare_alike(const void *a, const void *b)
{
	const struct finding *const *one = a, *const *other = b;
	int order = finding_compare_alike(*one, *other);

	return order ? order : ((*one)->pfn > (*other)->pfn) - ((*one)->pfn < (*other)->pfn);
}

/* The findings of one kind are `nr` at `first`. */
static void print_groups(FILE *out, const struct finding *first, size_t nr,
			 const struct names *names)
{
	const struct finding **sorted = malloc(nr * sizeof(*sorted));
	uint64_t frames;
	size_t end;

	if (!sorted) {
		fprintf(out, "  (out of memory)\n");
		return;
	}
	for (size_t i = 0; i < nr; i++)
		sorted[i] = &first[i];
	qsort(sorted, nr, sizeof(*sorted), compare_alike);
	for (size_t i = 0; i < nr; i = end) {
		frames = sorted[i]->frames;
		for (end = i + 1; end < nr; end++) {
			if (finding_compare_alike(sorted[i], sorted[end]))
				break;
			frames += sorted[end]->frames;
		}
		print_group(out, sorted[i], frames, names);
	}
	free(sorted);
}

static void print_low_maps(FILE *out, const struct findings *findings)
{
	if (!findings->nr_low)
		return;
	fprintf(out,
		"\nRoots that map low addresses for the kernel alone, and were not followed: "
		"%zu\n",
		findings->nr_low);
	for (size_t i = 0; i < findings->nr_low && i < LOW_MAPS_MAX; i++) {
		const struct low_map *low = &findings->low[i];

		fprintf(out,
			"  the one at 0x%" PRIx64 " maps %" PRIu64 " frames writable%s, among "
			"them %" PRIu64 " of the page tables\n",
			low->pfn << FRAME_SHIFT, low->frames,
			low->identity ? ", each at its physical address" : "", low->tables);
	}
}

static void print_kind(FILE *out, const struct findings *findings, enum finding_kind kind,
		       const struct names *names, bool all)
{
	static const char *const titles[FINDING_KINDS] = {
		[FINDING_TABLE] = "Page tables that have another, writable mapping",
		[FINDING_WX] = "Frames that are executable by one mapping and writable by another",
		[FINDING_MEMTYPE] = "Frames that are mapped with two memory types",
	};
	size_t nr = findings->of_kind[kind], first = 0;

	for (unsigned before = 0; before < kind; before++)
		first += findings->of_kind[before];
	fprintf(out, "\n%s: %" PRIu64 "\n", titles[kind], findings->frames[kind]);
	if (all)
		for (size_t i = first; i < first + nr; i++)
			print_group(out, &findings->all[i], findings->all[i].frames, names);
	else if (nr)
		print_groups(out, &findings->all[first], nr, names);
}

static void print_notes(FILE *out, const struct notes *notes)
{
	if (!notes->nr && !notes->dropped)
		return;
	fprintf(out, "\nNot looked at, or in doubt:\n");
	for (size_t i = 0; i < notes->nr; i++)
		fprintf(out, "  %s.\n", notes->text[i]);
	if (notes->dropped)
		fprintf(out, "  And %zu more.\n", notes->dropped);
}

void report_print(FILE *out, const struct findings *findings, const struct names *names, bool all)
{
	print_answer(out, findings);
	print_looked_at(out, findings);
	for (unsigned kind = 0; kind < FINDING_KINDS; kind++)
		print_kind(out, findings, kind, names, all);
	print_low_maps(out, findings);
	print_notes(out, &findings->notes);
}

/* One line: what it is, and the first of its mappings. */
static void print_change(FILE *out, const char *before, char sign, const struct finding *finding,
			 const struct names *names)
{
	static const char *const whats[FINDING_KINDS] = {
		[FINDING_TABLE] = "page table with another mapping",
		[FINDING_WX] = "frame executable and writable",
		[FINDING_MEMTYPE] = "frame with two memory types",
	};

	fprintf(out, "%s%c %s: 0x%" PRIx64, before, sign, whats[finding->kind], finding->pfn);
	for (unsigned i = 0; i < finding->nr_at && i < FINDING_MAPPINGS; i++) {
		fprintf(out, "%s", i ? " and " : " at ");
		print_mapping(out, &finding->at[i], names);
	}
	fprintf(out, "\n");
}

static int compare_order(const struct finding *a, const struct finding *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->pfn > b->pfn) - (a->pfn < b->pfn);
}

void report_changes(FILE *out, const struct findings *last, const struct findings *findings,
		    const struct names *names, const char *before)
{
	/* Names are of where the kernel is now. */
	bool moved = findings->windows.image.found &&
		     last->windows.image_low != findings->windows.image_low;
	size_t i = 0, k = 0;

	while (i < last->nr || k < findings->nr) {
		int order = i == last->nr       ? 1
			    : k == findings->nr ? -1
						: compare_order(&last->all[i], &findings->all[k]);

		if (order < 0)
			print_change(out, before, '-', &last->all[i], moved ? NULL : names);
		else if (order > 0)
			print_change(out, before, '+', &findings->all[k], names);
		i += order <= 0;
		k += order >= 0;
	}
}
