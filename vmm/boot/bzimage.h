/* SPDX-License-Identifier: MIT */
/* A Linux bzImage of 64 bits, by the boot header at its start (Linux's
 * Documentation/arch/x86/boot.rst, protocol 2.12 and later). It unpacks itself. Called by
 * image_parse(). */
#ifndef VMM_BOOT_BZIMAGE_H
#define VMM_BOOT_BZIMAGE_H

#include <stdbool.h>
#include <asm/bootparam.h>
#include "boot/image.h"

/* Does it say that it is one? */
bool bzimage_is(const struct image *image);
/* Checks image->file, and fills the rest of it: one segment, what runs in protected mode. Returns
 * NULL, or what is wrong with it (static string). */
const char *bzimage_parse(struct image *image);
/* The boot header, for the guest's boot_params: as much as the file has of it, then zeroes. `image`
 * has been parsed. */
void bzimage_header(const struct image *image, struct setup_header *header);

#endif
