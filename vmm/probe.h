/* SPDX-License-Identifier: MIT */
/* --probe: what this host's KVM offers, and which sources of change can run here. */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include <stdbool.h>

/* Prints a table, or JSON (vmm(1) documents it), on standard output. Returns 0, VMM_EX_NOKVM if
 * no guest could run here (all the same printed), or VMM_EX_IOERR after saying why. */
int probe_print(bool json);

#endif
