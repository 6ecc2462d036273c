/* SPDX-License-Identifier: MIT */
/*
 * A look of alias-audit at a memory that the input makes up, and another after it has changed.
 * Bytes say which entry of which frame becomes what, as links and leaves of all kinds, and where
 * CR3 points.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "audit.h"
#include "fuzz.h"
#include "map_svg.h"
#include "report.h"

#define FRAMES   48u
#define HIGH_GPA (1ull << 30) /* of the second range */
#define HIGH     4u           /* its frames */
#define CPUS     3u

struct machine {
	uint64_t frame[FRAMES + HIGH][ENTRIES];
	struct cpu_state cpu[CPUS];
	bool fails; /* memory of the second range */
};

static size_t read_machine(void *source, uint64_t gpa, void *to, size_t size)
{
	const struct machine *machine = source;
	uint64_t from = gpa;

	if (gpa >= HIGH_GPA) {
		if (machine->fails)
			return 0;
		from = gpa - HIGH_GPA + FRAMES * FRAME_SIZE;
	}
	MUST(from <= sizeof(machine->frame) && size <= sizeof(machine->frame) - from);
	memcpy(to, (const uint8_t *)machine->frame + from, size);
	return size;
}

/* The machine of a run in which frames are read in place. */
static const uint64_t *frame_of(void *source, uint64_t pfn)
{
	const struct machine *machine = source;

	return machine->frame[pfn < FRAMES ? pfn : pfn - (HIGH_GPA >> FRAME_SHIFT) + FRAMES];
}

static const struct physmem_ops ops = {.read = read_machine};
static const struct physmem_ops ops_in_place = {.read = read_machine, .frame = frame_of};

/* Flags of an entry by the bits of a byte, and what it points to by another. */
static uint64_t entry_of(uint8_t flags, uint8_t what)
{
	static const uint64_t bits[] = {1, 2, 4, 8, 16, 128, 1ull << 12, 1ull << 63};
	uint64_t entry = 0;

	for (unsigned i = 0; i < 8; i++)
		if (flags & 1u << i)
			entry |= bits[i];
	if (what < FRAMES)
		return entry | (uint64_t)what << FRAME_SHIFT;
	if (what < FRAMES + HIGH)
		return entry | (HIGH_GPA + (uint64_t)(what - FRAMES) * FRAME_SIZE);
	return entry | (uint64_t)what << 30;
}

/* Indices at which roots and windows are: the ends, the direct map's, the image's. */
static unsigned index_of(uint8_t choice)
{
	static const unsigned indices[] = {0, 1, 255, 256, 257, 273, 400, 510, 511};

	return choice < sizeof(indices) / sizeof(indices[0]) ? indices[choice] : choice * 2u;
}

static void change(struct machine *machine, struct bytes *in, unsigned steps)
{
	for (unsigned i = 0; i < steps && in->left; i++) {
		unsigned frame = take1(in) % (FRAMES + HIGH), other;

		switch (take1(in) & 7) {
		case 0: /* another with the same upper half */
			other = take1(in) % (FRAMES + HIGH);
			memmove(&machine->frame[frame][256], &machine->frame[other][256], 2048);
			break;
		case 1: /* all entries alike */
			machine->frame[frame][0] = entry_of(take1(in), take1(in));
			for (unsigned k = 1; k < ENTRIES; k++)
				machine->frame[frame][k] = machine->frame[frame][0];
			break;
		case 2:
			machine->cpu[frame % CPUS].cr3 = (uint64_t)take1(in) << FRAME_SHIFT;
			machine->cpu[frame % CPUS].cr4 = 0x20 | (uint64_t)(take1(in) & 1) << 12;
			break;
		case 3:
			machine->fails = take1(in) & 1;
			break;
		default:
			other = index_of(take1(in));
			machine->frame[frame][other] = entry_of(take1(in), take1(in));
		}
	}
}

static void check(const struct audit *audit, const struct findings *findings,
		  const struct physmem *mem)
{
	MUST(findings->tables <= mem->size >> FRAME_SHIFT);
	MUST(findings->tables == audit_nr_tables(audit));
	if (!findings->levels) /* without a root, nothing of an earlier look is told */
		MUST(!findings->tables && !findings->executable && !findings->nr_low &&
		     !findings->windows.direct_map.found && !findings->windows.image.found);
	for (size_t i = 0; i < findings->nr; i++) {
		const struct finding *finding = &findings->all[i];

		MUST(finding->nr_at >= 1 && finding->nr_at <= FINDING_MAPPINGS);
		MUST(finding->kind != FINDING_TABLE || physmem_has(mem, finding->pfn));
		for (unsigned k = 0; k < finding->nr_at; k++)
			MUST(physmem_has(mem, finding->at[k].pte_gpa >> FRAME_SHIFT));
	}
}

static void report(const struct audit *audit, const struct findings *findings,
		   const struct physmem *mem)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *json = report_json(findings, NULL);

	MUST(out && json);
	report_print(out, findings, NULL, false);
	report_print(out, findings, NULL, true);
	MUST(map_svg_print(out, audit, mem, findings) == 0);
	fclose(out);
	free(text);
	json_decref(json);
}

/* Whatever looks there were before, one at everything finds what a first one does. */
static void check_against_first(struct audit *audit, struct physmem *mem, const struct look *look)
{
	struct audit *first = audit_new(mem);
	struct findings found = {0}, expected = {0};

	MUST(first && audit_look(first, look, &expected) == 0);
	MUST(audit_look(audit, look, &found) == 0);
	MUST(found.tables == expected.tables && found.nr == expected.nr);
	MUST(!memcmp(found.roots, expected.roots, sizeof(found.roots)));
	MUST(!memcmp(found.of_kind, expected.of_kind, sizeof(found.of_kind)));
	MUST(found.executable == expected.executable);
	findings_clear(&found);
	findings_clear(&expected);
	audit_free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine machine;
	struct bytes in = {data, size};
	struct findings findings = {0};
	struct physmem mem;
	struct audit *audit;
	struct look look = {.cpus = machine.cpu, .nr_cpus = CPUS};

	memset(&machine, 0, sizeof(machine));
	for (unsigned i = 0; i < CPUS; i++)
		machine.cpu[i] = (struct cpu_state){.cr0 = 1ull << 31, .cr4 = 0x20};
	physmem_init(&mem, size & 1 ? &ops_in_place : &ops, &machine);
	MUST(physmem_add(&mem, 0, FRAMES * FRAME_SIZE) == 0);
	MUST(physmem_add(&mem, HIGH_GPA, HIGH * FRAME_SIZE) == 0);
	audit = audit_new(&mem);
	MUST(audit);
	for (unsigned i = 0; i < 3 && in.left; i++) {
		look.roll = i * (size / 2 % FRAMES);
		change(&machine, &in, 40);
		MUST(audit_look(audit, &look, &findings) == 0);
		check(audit, &findings, &mem);
		report(audit, &findings, &mem);
	}
	look.roll = 0;
	check_against_first(audit, &mem, &look);
	findings_clear(&findings);
	audit_free(audit);
	physmem_free(&mem);
	return 0;
}
