/* SPDX-License-Identifier: MIT */
/* A picture of memory: a cell a frame, or a power of two of them, in the colour of what is most
 * remarkable in it. */
#ifndef AUDIT_MAP_SVG_H
#define AUDIT_MAP_SVG_H

#include <stdio.h>
#include "audit.h"
#include "findings.h"
#include "physmem.h"

/* Prints an SVG of the last look. Errors stay in the stream; returns 0, or -ENOMEM. */
int map_svg_print(FILE *out, const struct audit *audit, const struct physmem *mem,
		  const struct findings *findings);

#endif
