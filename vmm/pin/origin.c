/* SPDX-License-Identifier: MIT */
#include "pin/origin.h"

#include <stdio.h>
#include "boot/symbols.h"
#include "json_object.h"
#include "machine.h"
#include "pin/internal.h"
#include "say.h"
#include "trace.h"

static uint64_t load_u64(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static uint32_t load_u32(const uint32_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

struct alias_origin origin_read(const struct origin_records *records, uint64_t nr)
{
	const struct alias_origin *record = &records->records[nr % ALIAS_ORIGINS];

	return (struct alias_origin){
		.va = load_u64(&record->va),
		.caller = load_u64(&record->caller),
		.nr_pages = load_u32(&record->nr_pages),
		.kind = load_u32(&record->kind),
		.purges = load_u32(&record->purges),
		.pins = load_u32(&record->pins),
	};
}

bool origin_records(const struct machine *machine, unsigned cpu, struct origin_records *records)
{
	const struct alias_vcpu_page *page = pin_vcpu_page(machine, cpu);
	uint64_t gpa = load_u64(&page->origins_gpa);

	records->nr = __atomic_load_n(&page->nr_origins, __ATOMIC_ACQUIRE);
	records->records = gpa % 8 || !gpa
				   ? NULL
				   : memory_ptr(&machine->vm.mem, gpa,
						ALIAS_ORIGINS * sizeof(struct alias_origin));
	return records->records != NULL;
}

/* What is looked for, and the newest mapping so far. Ages are in purges, since an address is used
 * again only after a purge. */
struct search {
	uint64_t va;
	uint32_t purges; /* now */
	bool mapped;
	struct origin *found;
};

static bool is_mapping_of(const struct search *search, const struct alias_origin *record)
{
	return record->kind == ALIAS_ORIGIN_MAPPED && search->va >= record->va &&
	       (search->va - record->va) / ALIAS_PAGE_SIZE < record->nr_pages;
}

static void take_mapping(struct search *search, const struct alias_origin *record, unsigned cpu,
			 uint32_t pins)
{
	search->mapped = true;
	*search->found = (struct origin){
		.va = record->va,
		.nr_pages = record->nr_pages,
		.cpu = cpu,
		.caller = record->caller,
		.purges_ago = search->purges - record->purges,
		.pins_ago = pins - record->pins,
	};
}

/* Goes through the records of a CPU, the newest first, to the first that is of the mapping; not to
 * those that are older than the mapping that was found. */
static void search_cpu(struct search *search, const struct machine *machine, unsigned cpu,
		       enum alias_origin_kind kind)
{
	const struct alias_vcpu_page *page = pin_vcpu_page(machine, cpu);
	struct origin_records records;
	bool any = origin_records(machine, cpu, &records);

	for (uint64_t i = 1; any && i <= ALIAS_ORIGINS; i++) {
		struct alias_origin record = origin_read(&records, records.nr - i);

		if (record.kind == ALIAS_ORIGIN_NONE ||
		    (search->mapped && search->purges - record.purges > search->found->purges_ago))
			return;
		if (kind == ALIAS_ORIGIN_MAPPED && is_mapping_of(search, &record)) {
			take_mapping(search, &record, cpu, (uint32_t)load_u64(&page->stats.pins));
			return;
		}
		if (kind == ALIAS_ORIGIN_UNMAPPED && record.kind == kind &&
		    record.va == search->found->va) {
			search->found->unmapped_by = record.caller;
			search->found->unmapped_on = cpu;
			return;
		}
	}
}

bool origin_find(const struct machine *machine, uint64_t va, struct origin *origin)
{
	struct search search = {
		.va = va,
		.purges = (uint32_t)load_u64(&common_page(machine)->purges),
		.found = origin,
	};

	for (unsigned cpu = 0; cpu < machine->vm.nr_vcpus; cpu++)
		search_cpu(&search, machine, cpu, ALIAS_ORIGIN_MAPPED);
	for (unsigned cpu = 0; search.mapped && cpu < machine->vm.nr_vcpus; cpu++)
		search_cpu(&search, machine, cpu, ALIAS_ORIGIN_UNMAPPED);
	return search.mapped;
}

const char *origin_text(const struct machine *machine, const struct origin *origin,
			char text[ORIGIN_TEXT_MAX])
{
	char mapper[SYMBOLS_MAX_NAME], unmapper[SYMBOLS_MAX_NAME];
	int len = snprintf(
		text, ORIGIN_TEXT_MAX,
		"%u page%s at va 0x%llx, mapped by %s on CPU %u, %u purge%s and %u pin%s ago",
		origin->nr_pages, origin->nr_pages == 1 ? "" : "s", (unsigned long long)origin->va,
		symbols_caller(machine->symbols, origin->caller, mapper), origin->cpu,
		origin->purges_ago, origin->purges_ago == 1 ? "" : "s", origin->pins_ago,
		origin->pins_ago == 1 ? "" : "s");

	if (len > 0 && len < ORIGIN_TEXT_MAX && origin->unmapped_by)
		snprintf(text + len, (size_t)(ORIGIN_TEXT_MAX - len), "; unmapped by %s on CPU %u",
			 symbols_caller(machine->symbols, origin->unmapped_by, unmapper),
			 origin->unmapped_on);
	return text;
}

void origin_trace(const struct machine *machine, struct trace_track *track, uint64_t va)
{
	struct origin origin;

	if (track && origin_find(machine, va, &origin))
		trace_record(track, &(struct trace_event){
					    .kind = TRACE_ORIGIN,
					    .a = origin.caller,
					    .b = origin.unmapped_by,
					    .origin = {origin.purges_ago, origin.pins_ago,
						       origin.cpu, origin.unmapped_on},
				    });
}

void origin_say(const struct machine *machine, uint64_t va)
{
	char text[ORIGIN_TEXT_MAX];
	struct origin origin;

	if (origin_find(machine, va, &origin))
		say("  %s", origin_text(machine, &origin, text));
}

static json_t *caller_json(const struct machine *machine, uint64_t caller, unsigned cpu)
{
	char name[SYMBOLS_MAX_NAME];
	json_t *object = json_object();

	object_add_text(object, "by", symbols_caller(machine->symbols, caller, name));
	object_add_hex(object, "return_address", caller);
	object_add_number(object, "cpu", cpu);
	return object;
}

json_t *origin_json(const struct machine *machine, uint64_t va)
{
	struct origin origin;
	json_t *object, *mapped;

	if (!origin_find(machine, va, &origin))
		return json_null();
	object = json_object();
	object_add_hex(object, "va", origin.va);
	object_add_number(object, "pages", origin.nr_pages);
	mapped = caller_json(machine, origin.caller, origin.cpu);
	object_add_number(mapped, "purges_ago", origin.purges_ago);
	object_add_number(mapped, "pins_ago", origin.pins_ago);
	json_object_set_new(object, "mapped", mapped);
	json_object_set_new(object, "unmapped",
			    origin.unmapped_by
				    ? caller_json(machine, origin.unmapped_by, origin.unmapped_on)
				    : json_null());
	return object;
}
