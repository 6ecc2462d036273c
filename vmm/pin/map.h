/* SPDX-License-Identifier: MIT */
/* What each frame of a guest is, as a letter. */
#ifndef VMM_PIN_MAP_H
#define VMM_PIN_MAP_H

/* The least remarkable first. */
enum pin_frame {
	FRAME_NONE,     /* no memory */
	FRAME_ORDINARY, /* memory without a writable mapping, but for the direct map */
	FRAME_MAPPED,   /* by a writable mapping */
	FRAME_BALLOONED,
	FRAME_TYPED, /* of a memory type other than 0 */
	FRAME_L1,    /* pinned as page table */
	FRAME_L2,
	FRAME_L3,
	FRAME_L4,
	FRAME_STALE,   /* its mapping was unmapped, by the guest's records */
	FRAME_ALIASED, /* a page table with a writable mapping */
	FRAME_NR_KINDS,
};

#define FRAME_LETTERS "-.mbt1234SA"

_Static_assert(sizeof(FRAME_LETTERS) - 1 == FRAME_NR_KINDS, "a letter each");

#endif
