/* SPDX-License-Identifier: MIT */
/*
 * Which parts of the kernel's half are mappings of all memory, or of the kernel's image: windows,
 * in which an address and what it maps have a constant difference. They are found by that
 * difference, which most frames of memory share in the direct map, wherever KASLR has put it.
 */
#ifndef AUDIT_WINDOWS_H
#define AUDIT_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>
#include "notes.h"
#include "physmem.h"

/* [base, base + size) maps [gpa, gpa + size). All are multiples of 2 MiB. */
struct window {
	bool found;
	uint64_t base, size, gpa;
};

struct windows {
	struct window direct_map;
	struct window image;
	uint64_t direct_frames; /* frames of memory that the direct map does map */
	uint64_t image_low;     /* the image's lowest address that is mapped */
};

/* Where an address is. */
enum place {
	PLACE_USER,       /* the lower half, for user mode */
	PLACE_SUPERVISOR, /* the lower half, for the kernel: identity maps and the like */
	PLACE_DIRECT_MAP,
	PLACE_IMAGE,   /* in the window of the kernel's image */
	PLACE_MODULES, /* elsewhere in the upper 2 GiB */
	PLACE_CPU_ENTRY,
	PLACE_ESPFIX,
	PLACE_EFI,
	PLACE_KERNEL, /* elsewhere in the upper half: vmalloc, vmemmap */
	PLACES,
};

/* Finds the windows of the tree of the root in this frame. What is not found is noted. Returns 0,
 * or -ENOMEM. */
int windows_find(struct windows *windows, struct physmem *mem, uint64_t root_pfn, unsigned levels,
		 struct notes *notes);
/* Where the address is; `user`: its mapping is for user mode. */
enum place windows_place(const struct windows *windows, uint64_t va, bool user);
/* "kernel image" and the like; for JSON the same in one word. */
const char *place_name(enum place place);
const char *place_word(enum place place);

#endif
