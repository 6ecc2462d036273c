/* SPDX-License-Identifier: MIT */
/* Neither guest nor host acts on aliases: unsafe, the lower bound for the costs of the others. */
#include "flush.h"

FLUSH_STRATEGY(none, NONE, "none", "no check and no flush: unsafe");
