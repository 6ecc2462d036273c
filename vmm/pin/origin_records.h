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

/* Returns false if that CPU has none. */
bool origin_records(const struct machine *machine, unsigned cpu, struct origin_records *records);
/* Returns the number of the first record that is still there, and comes after the first `taken`. */
uint64_t origin_first(const struct origin_records *records, uint64_t taken);
/* Of the record of this number, one of the last ALIAS_ORIGINS, the kind, or a copy; the guest may
 * have written anything. */
uint32_t origin_kind(const struct origin_records *records, uint64_t nr);
struct alias_origin origin_read(const struct origin_records *records, uint64_t nr);

#endif
