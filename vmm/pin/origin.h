/* SPDX-License-Identifier: MIT */
/* Where a mapping comes from, by the guest's records (struct alias_origin). For messages only: it
 * is the guest's word. */
#ifndef VMM_PIN_ORIGIN_H
#define VMM_PIN_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "alias_abi.h"

#define ORIGIN_TEXT_MAX 480

struct machine;
struct pin;
struct trace_track;

struct origin {
	uint64_t va; /* of the area's first page */
	uint32_t nr_pages;
	uint16_t cpu;
	uint64_t caller;               /* return address of the call that mapped it */
	uint32_t purges_ago, pins_ago; /* since then; pins of that CPU */
	uint64_t unmapped_by;          /* return address of the call that unmapped it; 0: none */
	uint16_t unmapped_on;          /* on which CPU */
};

/* Reads what the guest has recorded since the last time: before one or many of those below, which
 * know what was read. All under the lock of `pin`. */
void origins_read(struct pin *pin);
/* Finds the last mapping that was made at `va`. Returns false if no record is known of it. */
bool origin_find(const struct pin *pin, uint64_t va, struct origin *origin);
/* The same as an object. Returns a new reference; null if there is no record. */
json_t *origin_json(const struct pin *pin, uint64_t va);
/* Records on the track, right after the event of an alias at `va`, what is known of its mapping. */
void origin_trace(const struct pin *pin, struct trace_track *track, uint64_t va);
/* Says on a line of its own what is known of the mapping at `va`, if anything is. */
void origin_say(const struct pin *pin, uint64_t va);
/* "mapped by f (a.c:1) on CPU 0 ...". Returns `text`. */
const char *origin_text(const struct machine *machine, const struct origin *origin,
			char text[ORIGIN_TEXT_MAX]);

#endif
