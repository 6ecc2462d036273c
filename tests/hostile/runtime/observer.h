/* SPDX-License-Identifier: MIT */
/* What a hostile guest and the observer of the host (broken/) say to each other. */
#ifndef HOSTILE_OBSERVER_H
#define HOSTILE_OBSERVER_H

#include <stdint.h>

/* A 32-bit `out`: the vCPU's TLB holds a writable entry of frame value >> 1; global if bit 0. */
#define OBSERVER_PORT 0xa130

/* With --step NAME a thread of the host stops once at that place, if `armed`; it sets `there`, and
 * goes on when `go` is set. All three are 0 then, and it may be armed anew. `stores` counts the
 * exits made by stores to write-protected frames, and to where nothing is, even without --step. */
#define STEP_GPA 0x3f000ull

struct step {
	uint32_t armed, there, go, stores;
};

#endif
