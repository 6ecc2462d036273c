/* SPDX-License-Identifier: MIT */
/*
 * The hypercall (alias_abi.h): the guest's registration, pins and other calls. The tracker checks
 * them, and the answer goes into the shared page of the calling vCPU, with an upcall if there is a
 * stale alias.
 *
 * Threads: vCPUs call in through the hypercall port, the main thread for the control socket. One
 * mutex guards the tracker and everything else.
 */
#ifndef VMM_PIN_PIN_H
#define VMM_PIN_PIN_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "options.h"

struct machine;
struct pin;

/* Sets up the tracker and write tracking as the machine's options say, handles stores to page
 * tables if these are write-protected, and adds the hypercall to the port bus. Before vCPUs run;
 * the machine must outlive it. Returns NULL after a message. */
struct pin *pin_create(struct machine *machine);
/* After the vCPUs have ended. `pin` may be NULL. */
void pin_free(struct pin *pin);

/* A last audit, after the vCPUs have ended, which reports the violations since the last pin.
 * Returns false if there has been any violation and --on-violation stop was given. */
bool pin_final_audit(struct pin *pin);

/* Adds "pins", "transitions", "tracker" and "guest" (the sum of the guest's own counters) to the
 * statistics. While vCPUs run, the guest's counters are not all of the same moment. */
void pin_stats(struct pin *pin, json_t *root);

/* Requests while the guest runs, from any thread but a vCPU's. Each adds its answer to `answer` and
 * returns NULL, or returns why it was refused (static string). */

/* Asks the guest for this strategy. Answer: "wanted", and "strategy", the guest's present one. */
const char *pin_want_strategy(struct pin *pin, enum alias_strategy flush, json_t *answer);
/* Changes --track. Answer: "track", "write_tracking". */
const char *pin_set_track_mode(struct pin *pin, enum track_mode track, json_t *answer);
/* Syncs, and describes the frame. Answer: "pfn", "pinned_level", "memtype", "ballooned",
 * "alias_count", "mapping_count", "aliases", "mappings" (if all mappings are counted), "more". */
const char *pin_describe_frame(struct pin *pin, uint64_t pfn, json_t *answer);
/* Syncs, and tells what each frame is. Answer: "frames", "frames_per_cell", "cells" (a string of
 * FRAME_LETTERS, of what is most remarkable in each cell). Takes the lock for about a second for
 * each 64 GiB. */
const char *pin_map_frames(struct pin *pin, json_t *answer);
/* The name of the strategy that the guest reports, or before it has begun that of --flush;
 * "unknown" if there is no such strategy. */
const char *pin_guest_strategy(const struct pin *pin);

#endif
