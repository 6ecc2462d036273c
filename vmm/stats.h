/* SPDX-License-Identifier: MIT */
/* The statistics of --stats and of the control socket: one JSON object, described in vmm(1). */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <jansson.h>

struct machine;
struct pin;

/* Returns the statistics, or NULL when out of memory. `status` is the program's exit status, or -1
 * while the guest runs; the figures are then not all of the same moment. On the main thread, from
 * machine_start() to machine_free(). */
json_t *stats_collect(struct machine *machine, struct pin *pin, int status);

#endif
