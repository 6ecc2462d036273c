/* SPDX-License-Identifier: MIT */
/* Sets up memory at boot. */
#ifndef MEMORY_H
#define MEMORY_H

/* Initialises the frame allocator and the kernel's page tables from the platform's memory, and
 * switches from the boot tables to them. After platform_init(), on the boot CPU. Panics if there is
 * too little or too much memory. */
void memory_init(void);

#endif
