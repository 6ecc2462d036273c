/* SPDX-License-Identifier: MIT */
/* The PVH boot protocol. */
#ifndef PVH_H
#define PVH_H

#include <stdint.h>

struct platform;

/* Fills `to` (zeroed before) from the start_info at this physical address: from its device tree, or
 * if it has none (QEMU's PVH boot) from its memory map, with the devices of a PC. Panics with one
 * line that says what is wrong. On the boot CPU, with the boot tables in use. */
void pvh_parse(uint64_t start_info_gpa, struct platform *to);

#endif
