/* SPDX-License-Identifier: MIT */
/* Setting up memory at boot, on the boot CPU: frames, then tables. */
#ifndef MEMORY_H
#define MEMORY_H

/* After platform_init(): makes the frame allocator and the kernel's tables from the platform's
 * memory, and leaves the boot tables. Panics if there is too little (or too much) of it. */
void memory_init(void);

#endif
