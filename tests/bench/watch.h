/* SPDX-License-Identifier: MIT */
/*
 * Watching frames of a world for real: an armed frame is write-protected in this process, and the
 * first write raises a signal. That is what a host does, without the exits: arming is a system call
 * that has to tell the processors, and a write a fault.
 */
#ifndef WATCH_H
#define WATCH_H

#include "../unit/tracker/world.h"

/* From now on, until the world is gone. Before the first frame is armed. */
void uffd_wp_start(struct world *w);
bool watch_is_on(const struct world *w);
/* Forgets a world that has been closed; one that was never watched is fine. */
void uffd_wp_stop(struct world *w);

#endif
