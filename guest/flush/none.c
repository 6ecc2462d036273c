/* SPDX-License-Identifier: MIT */
/* Nobody looks for aliases: unsafe, and what the others' cost is measured against. */
#include "flush.h"

FLUSH_STRATEGY(none, NONE, "none", "no check and no flush: unsafe");
