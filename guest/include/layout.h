/* SPDX-License-Identifier: MIT */
/* Constants for assembler and C. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* The image is linked at IMAGE_BASE + its physical address. guest.ld has the same number. */
#define IMAGE_BASE 0xffffffff80000000

/* The same selectors in the boot GDT and in each CPU's own, so that no segment has to be reloaded
 * when the GDT changes. */
#define SELECTOR_CODE32 0x08
#define SELECTOR_CODE   0x10
#define SELECTOR_DATA   0x18
#define SELECTOR_TSS    0x20

/* The page where other CPUs start: free low memory, which a SIPI can address. */
#define TRAMPOLINE_GPA 0x8000

#define STACK_SIZE 20480 /* of each CPU, besides the IST stacks */
#define IST_SIZE   4096
#define NR_IST     3

/* Number of bytes that the boot tables map. The array of struct page must lie in them. */
#define BOOT_MAPPED 0x100000000

#endif
