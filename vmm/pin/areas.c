/* SPDX-License-Identifier: MIT */
#include "pin/areas.h"

#include <stdlib.h>
#include "machine.h"
#include "pin/internal.h"
#include "pin/origin_records.h"

/* A slot is of a page at which an area, or a part of it, begins: that of the page's number modulo
 * SLOTS. A large area has several parts, so that few slots before a page can be of the area in
 * which it lies; of a very large one the rest isn't known. */
#define SLOTS      (1u << 13)
#define PART_PAGES 16u
#define PARTS      256u

struct slot {
	uint64_t page; /* its number */
	struct area area;
};

struct reader {
	struct origin_records records; /* at the last read */
	uint64_t taken;                /* number of records that were read */
};

struct areas {
	struct slot slots[SLOTS];
	uint32_t longest; /* in pages, of all parts */
	unsigned nr_cpus;
	struct reader readers[]; /* by CPU */
};

struct areas *areas_new(unsigned nr_cpus)
{
	struct areas *areas = calloc(1, sizeof(*areas) + nr_cpus * sizeof(areas->readers[0]));

	if (areas)
		areas->nr_cpus = nr_cpus;
	return areas;
}

/* Was the area mapped after so many purges, at the earliest? */
static bool is_since(const struct area *area, uint32_t purges)
{
	return (int32_t)(area->purges - purges) >= 0;
}

static struct slot *slot_of(struct areas *areas, uint64_t page)
{
	return &areas->slots[page % SLOTS];
}

static unsigned nr_parts(uint32_t nr_pages)
{
	return nr_pages < PARTS * PART_PAGES ? (nr_pages + PART_PAGES - 1) / PART_PAGES : PARTS;
}

/* CPUs are read one after the other: the slot may be of a later area already. An address is used
 * again only after a purge. */
static void add(struct areas *areas, const struct alias_origin *record, unsigned cpu)
{
	struct area area = {
		.va = record->va,
		.caller = record->caller,
		.nr_pages = record->nr_pages,
		.purges = record->purges,
		.pins = record->pins,
		.cpu = (uint16_t)cpu,
	};
	uint32_t part = area.nr_pages < PART_PAGES ? area.nr_pages : PART_PAGES;

	if (part > areas->longest)
		areas->longest = part;
	for (unsigned i = 0; i < nr_parts(area.nr_pages); i++) {
		uint64_t page = area.va / ALIAS_PAGE_SIZE + i * PART_PAGES;
		struct slot *slot = slot_of(areas, page);

		if (!slot->area.nr_pages || !is_since(&slot->area, area.purges + 1))
			*slot = (struct slot){page, area};
	}
}

/* How many parts may have a slot? The first may have lost its own to another area. */
static unsigned parts_at(struct areas *areas, uint64_t first)
{
	const struct slot *slot = slot_of(areas, first);
	bool is_first = slot->page == first && slot->area.va / ALIAS_PAGE_SIZE == first;

	return is_first ? nr_parts(slot->area.nr_pages) : PARTS;
}

/* An area that is unmapped again is another, whose record was lost: then none is known. */
static void unmap(struct areas *areas, const struct alias_origin *record, unsigned cpu)
{
	uint64_t first = record->va / ALIAS_PAGE_SIZE;
	unsigned parts = parts_at(areas, first);

	for (unsigned i = 0; i < parts; i++) {
		struct slot *slot = slot_of(areas, first + i * PART_PAGES);

		if (slot->page != first + i * PART_PAGES || slot->area.va != record->va ||
		    is_since(&slot->area, record->purges + 1))
			continue;
		if (slot->area.unmapper)
			slot->area.nr_pages = 0;
		slot->area.unmapper = record->caller;
		slot->area.unmapped_cpu = (uint16_t)cpu;
	}
}

static void read_cpu(struct areas *areas, unsigned cpu, enum alias_origin_kind kind)
{
	const struct reader *reader = &areas->readers[cpu];
	uint64_t nr = origin_first(&reader->records, reader->taken);

	for (; nr != reader->records.nr; nr++) {
		struct alias_origin record;

		if (origin_kind(&reader->records, nr) != kind)
			continue;
		record = origin_read(&reader->records, nr);
		if (kind == ALIAS_ORIGIN_MAPPED)
			add(areas, &record, cpu);
		else
			unmap(areas, &record, cpu);
	}
}

void areas_read(struct areas *areas, const struct machine *machine)
{
	for (unsigned cpu = 0; cpu < areas->nr_cpus; cpu++)
		if (!origin_records(machine, pin_vcpu_page(machine, cpu),
				    &areas->readers[cpu].records))
			areas->readers[cpu].records.nr = areas->readers[cpu].taken;
	/* One CPU may have unmapped what another mapped. */
	for (unsigned cpu = 0; cpu < areas->nr_cpus; cpu++)
		read_cpu(areas, cpu, ALIAS_ORIGIN_MAPPED);
	for (unsigned cpu = 0; cpu < areas->nr_cpus; cpu++)
		read_cpu(areas, cpu, ALIAS_ORIGIN_UNMAPPED);
	for (unsigned cpu = 0; cpu < areas->nr_cpus; cpu++)
		areas->readers[cpu].taken = areas->readers[cpu].records.nr;
}

const struct area *areas_find(const struct areas *areas, uint64_t va)
{
	uint64_t page = va / ALIAS_PAGE_SIZE;
	const struct area *found = NULL;

	for (uint64_t first = page; page - first < areas->longest; first--) {
		const struct slot *slot = &areas->slots[first % SLOTS];
		const struct area *area = &slot->area;

		if (slot->page == first && page - area->va / ALIAS_PAGE_SIZE < area->nr_pages &&
		    (!found || is_since(area, found->purges + 1)))
			found = area;
	}
	return found;
}
