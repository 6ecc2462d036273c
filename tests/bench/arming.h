/* SPDX-License-Identifier: MIT */
/*
 * Arming frames of a world for real: an armed frame is write-protected in this process, and the
 * first write raises a signal. That is what a host does, without the exits: arming is a system call
 * that has to tell the processors, and a write a fault.
 */
#ifndef ARMING_H
#define ARMING_H

#include "../unit/tracker/world.h"

/* From now on, until the world is gone. Before the first frame is armed. */
void arming_start(struct world *w);
bool arming_is_real(const struct world *w);
/* Forgets a world that has been closed; one that was never armed is fine. */
void arming_stop(struct world *w);

#endif
