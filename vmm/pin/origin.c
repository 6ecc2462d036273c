/* SPDX-License-Identifier: MIT */
#include "pin/origin.h"

#include <stdio.h>
#include "boot/symbols.h"
#include "json_object.h"
#include "machine.h"
#include "pin/areas.h"
#include "pin/internal.h"
#include "say.h"
#include "trace.h"

/* The low half of a count that the guest may be changing. */
static uint32_t load_count(const uint64_t *from)
{
	return (uint32_t)__atomic_load_n(from, __ATOMIC_RELAXED);
}

void origins_read(struct pin *pin)
{
	if (!pin->areas)
		pin->areas = areas_new(pin->machine->vm.nr_vcpus);
	if (pin->areas)
		areas_read(pin->areas, pin->machine);
}

bool origin_find(const struct pin *pin, uint64_t va, struct origin *origin)
{
	const struct area *area = pin->areas ? areas_find(pin->areas, va) : NULL;
	const struct alias_vcpu_page *page;

	if (!area)
		return false;
	page = pin_vcpu_page(pin->machine, area->cpu);
	*origin = (struct origin){
		.va = area->va,
		.nr_pages = area->nr_pages,
		.cpu = area->cpu,
		.caller = area->caller,
		.purges_ago = load_count(&common_page(pin->machine)->purges) - area->purges,
		.pins_ago = load_count(&page->stats.pins) - area->pins,
		.unmapped_by = area->unmapper,
		.unmapped_on = area->unmapped_cpu,
	};
	return true;
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

void origin_trace(const struct pin *pin, struct trace_track *track, uint64_t va)
{
	struct origin origin;

	if (track && origin_find(pin, va, &origin))
		trace_record(track,
			     &(struct trace_event){
				     .kind = TRACE_ORIGIN,
				     .a = origin.caller,
				     .b = origin.unmapped_by,
				     .origin = {.purges_ago = origin.purges_ago,
						.pins_ago = origin.pins_ago,
						.page = (uint32_t)(va / ALIAS_PAGE_SIZE -
								   origin.va / ALIAS_PAGE_SIZE),
						.cpu = origin.cpu,
						.unmapped_on = origin.unmapped_on},
				     .nr_pages = origin.nr_pages,
			     });
}

void origin_say(const struct pin *pin, uint64_t va)
{
	char text[ORIGIN_TEXT_MAX];
	struct origin origin;

	if (origin_find(pin, va, &origin))
		say("  %s", origin_text(pin->machine, &origin, text));
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

json_t *origin_json(const struct pin *pin, uint64_t va)
{
	struct origin origin;
	json_t *object, *mapped;

	if (!origin_find(pin, va, &origin))
		return json_null();
	object = json_object();
	object_add_hex(object, "va", origin.va);
	object_add_number(object, "pages", origin.nr_pages);
	mapped = caller_json(pin->machine, origin.caller, origin.cpu);
	object_add_number(mapped, "purges_ago", origin.purges_ago);
	object_add_number(mapped, "pins_ago", origin.pins_ago);
	json_object_set_new(object, "mapped", mapped);
	json_object_set_new(object, "unmapped",
			    origin.unmapped_by ? caller_json(pin->machine, origin.unmapped_by,
							     origin.unmapped_on)
					       : json_null());
	return object;
}
