/* SPDX-License-Identifier: MIT */
/*
 * The doorbell: registration and pin requests of the guest, checked by the tracker, answered in the
 * shared page of the calling vCPU, with an upcall where a stale alias is met (alias_abi.h).
 *
 * Threads: vCPU threads call in through the doorbell port; one mutex inside guards the tracker and
 * everything else here.
 */
#ifndef VMM_PIN_H
#define VMM_PIN_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

struct machine;
struct pin;

/* Sets up tracker and source by the options of the machine and puts the doorbell on its port bus.
 * Returns 0, or a negated errno after saying why. */
int pin_init(struct machine *machine);
void pin_free(struct machine *machine);

/* A last sync, after the vCPUs have ended: reports what the guest did against the rules since its
 * last pin. Returns false if --on-violation stop was asked for and something was found. */
bool pin_final_audit(struct machine *machine);

/* Adds "pins", "tracker" and "guest" (sum of the guest's own counters) to the statistics.
 * After the vCPUs have ended. */
void pin_stats(struct machine *machine, json_t *root);

#endif
