/* SPDX-License-Identifier: MIT */
#include "pin/origin_records.h"

#include <stddef.h>
#include "machine.h"
#include "pin/internal.h"

static uint64_t load_u64(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static uint32_t load_u32(const uint32_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

uint32_t origin_kind(const struct origin_records *records, uint64_t nr)
{
	return load_u32(&records->records[nr % ALIAS_ORIGINS].kind);
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

uint64_t origin_first(const struct origin_records *records, uint64_t taken)
{
	if (records->nr < taken) /* the guest's word: it begins anew */
		return records->nr;
	return records->nr - taken > ALIAS_ORIGINS ? records->nr - ALIAS_ORIGINS : taken;
}
