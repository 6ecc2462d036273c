/* SPDX-License-Identifier: MIT */
/* --stats: the figures of a run as JSON; vmm(1) documents every member. */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <jansson.h>

struct machine;
struct pin;

/* After machine_start() and before anything is freed; `status` is the program's, or -1 while the
 * guest runs, and the figures are then as of no single moment. Main thread. NULL when out of
 * memory.
 */
json_t *stats_collect(struct machine *machine, struct pin *pin, int status);
/* Writes it to `path` whole or not at all (a new file takes the place of an old one), or to
 * standard output for "-". Returns 0, or VMM_EX_IOERR after saying why. */
int stats_write(const json_t *stats, const char *path);

#endif
