/* SPDX-License-Identifier: MIT */
/* Numbers that assembler and C share. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* The image is linked at this plus its physical address (guest.ld says so too). */
#define IMAGE_BASE 0xffffffff80000000

/* The same in the boot GDT and in each CPU's own, so that nothing is reloaded between them. */
#define SELECTOR_CODE32 0x08
#define SELECTOR_CODE   0x10
#define SELECTOR_DATA   0x18
#define SELECTOR_TSS    0x20

/* Free low memory, a page that a SIPI can name. */
#define TRAMPOLINE_GPA 0x8000

#define STACK_SIZE 20480 /* of each CPU, without the IST stacks */
#define IST_SIZE   4096
#define NR_IST     3

/* How much memory the boot tables map; the array that describes all frames must lie there. */
#define BOOT_MAPPED 0x100000000

#endif
