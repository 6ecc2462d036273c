/* SPDX-License-Identifier: MIT */
/* A 64-bit Linux bzImage: its boot header (Linux's Documentation/arch/x86/boot.rst, protocol 2.12
 * and later). The kernel decompresses itself. Called by image_parse(). */
#ifndef VMM_BOOT_BZIMAGE_H
#define VMM_BOOT_BZIMAGE_H

#include <stdbool.h>
#include <asm/bootparam.h>
#include "boot/image.h"

/* Does the file have the magic number of a bzImage? */
bool bzimage_is(const struct image *image);
/* Checks image->file and fills the rest of `image`, with one segment: the protected-mode code.
 * Returns NULL, or what is wrong (static string). */
const char *bzimage_parse(struct image *image);
/* Copies the boot header, for the guest's boot_params; what the file lacks of it is zero. After
 * bzimage_parse(). */
void bzimage_header(const struct image *image, struct setup_header *header);

#endif
