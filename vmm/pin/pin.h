/* SPDX-License-Identifier: MIT */
/*
 * The hypercall: registration and pin requests of the guest, checked by the tracker, answered in
 * the shared page of the calling vCPU, with an upcall where a stale alias is met (alias_abi.h).
 *
 * Threads: vCPU threads call in through the hypercall port, the main thread for the control socket;
 * one mutex inside guards the tracker and everything else here.
 */
#ifndef VMM_PIN_PIN_H
#define VMM_PIN_PIN_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "options.h"

struct machine;
struct pin;

/* Sets up tracker and write tracking by the options of the machine, takes the exits of stores to
 * page tables where these are write-protected, and puts the hypercall on the port bus. Before vCPUs
 * run; the machine outlives it. NULL after saying why. */
struct pin *pin_create(struct machine *machine);
/* After the vCPUs have ended. NULL is allowed. */
void pin_free(struct pin *pin);

/* A last sync, after the vCPUs have ended: reports what the guest did against the rules since its
 * last pin. Returns false if --on-violation stop was asked for and something was found. */
bool pin_final_audit(struct pin *pin);

/* Adds "pins", "transitions", "tracker" and "guest" (sum of the guest's own counters) to the
 * statistics.
 * While vCPUs run, the guest's are as of no single moment. */
void pin_stats(struct pin *pin, json_t *root);

/* What can be asked for while the guest runs, by any thread but a vCPU's. Each adds to `answer` and
 * returns NULL, or else why not, in static storage. */

/* Stores the wish where the guest looks for it: "wanted", "strategy" (which it still has). */
const char *pin_want_strategy(struct pin *pin, enum alias_strategy flush, json_t *answer);
/* "source", "write_tracking". */
const char *pin_set_track_mode(struct pin *pin, enum track_mode source, json_t *answer);
/* After a sync: "pfn", "pinned_level", "type", "given", "alias_count", "mapping_count", "aliases",
 * "mappings" (if all are counted), "more". */
const char *pin_describe_frame(struct pin *pin, uint64_t pfn, json_t *answer);
/* The name of the strategy that the guest says it has; "unknown" if there is none. */
const char *pin_guest_strategy(const struct pin *pin);

#endif
