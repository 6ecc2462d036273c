/* SPDX-License-Identifier: MIT */
/* The flattened device tree of the machine. */
#ifndef FDT_PARSE_H
#define FDT_PARSE_H

#include <stdint.h>

struct platform;

/* Parses the device tree at `fdt`, where `size` bytes may be read, and adds to `to` (zeroed before)
 * what the tree says of memory, CPUs, devices, the host's interface and the boot arguments. Panics
 * with one line that says what is wrong with the tree. */
void fdt_parse(const void *fdt, uint64_t size, struct platform *to);

#endif
