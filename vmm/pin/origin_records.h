/* SPDX-License-Identifier: MIT */
/* The guest's records of who maps, unmaps, purges and flushes (struct alias_origin). */
#ifndef VMM_PIN_ORIGIN_RECORDS_H
#define VMM_PIN_ORIGIN_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include "alias_abi.h"

struct machine;

/* A CPU's records, which the guest may be writing. */
struct origin_records {
	const struct alias_origin *records;
	uint64_t nr; /* recorded so far */
};

/* Returns false if the CPU with that page has none. */
bool origin_records(const struct machine *machine, const struct alias_vcpu_page *page,
		    struct origin_records *records);
/* Returns the number of the first record that is still there, and comes after the first `taken`. */
uint64_t origin_first(const struct origin_records *records, uint64_t taken);
/* Of the record of this number, one of the last ALIAS_ORIGINS, the kind, or a copy; the guest may
 * have written anything. Inline, since a trace reads several records a pin. */
static inline uint32_t origin_kind(const struct origin_records *records, uint64_t nr)
{
	return __atomic_load_n(&records->records[nr % ALIAS_ORIGINS].kind, __ATOMIC_RELAXED);
}

static inline struct alias_origin origin_read(const struct origin_records *records, uint64_t nr)
{
	const struct alias_origin *record = &records->records[nr % ALIAS_ORIGINS];

	return (struct alias_origin){
		.va = __atomic_load_n(&record->va, __ATOMIC_RELAXED),
		.caller = __atomic_load_n(&record->caller, __ATOMIC_RELAXED),
		.nr_pages = __atomic_load_n(&record->nr_pages, __ATOMIC_RELAXED),
		.kind = __atomic_load_n(&record->kind, __ATOMIC_RELAXED),
		.cpus = __atomic_load_n(&record->cpus, __ATOMIC_RELAXED),
		.purges = __atomic_load_n(&record->purges, __ATOMIC_RELAXED),
		.pins = __atomic_load_n(&record->pins, __ATOMIC_RELAXED),
	};
}

#endif
