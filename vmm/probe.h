/* SPDX-License-Identifier: MIT */
/* --probe: what this host's KVM offers, and which values of --track can be used here. */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include <stdbool.h>

/* Prints a table, or JSON (described in vmm(1)), on standard output. Returns 0, VMM_EX_NOKVM if no
 * guest could run here (after printing all the same), or VMM_EX_IOERR after a message. */
int probe_print(bool json);

#endif
