/* SPDX-License-Identifier: MIT */
/* The picture of `vmm ctl PATH map FILE`. */
#ifndef VMM_CONTROL_MAP_SVG_H
#define VMM_CONTROL_MAP_SVG_H

#include <jansson.h>

/* Writes the answer to "map" to `path`, as SVG; "-" is standard output. Returns 0, or a status of
 * status.h after a message. */
int map_svg_write(const json_t *answer, const char *path);

#endif
