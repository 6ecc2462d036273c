/* SPDX-License-Identifier: MIT */
#include "pin/origin_records.h"

#include <stddef.h>
#include "machine.h"
#include "pin/internal.h"

bool origin_records(const struct machine *machine, const struct alias_vcpu_page *page,
		    struct origin_records *records)
{
	uint64_t gpa = __atomic_load_n(&page->origins_gpa, __ATOMIC_RELAXED);

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
