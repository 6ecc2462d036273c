/* SPDX-License-Identifier: MIT */
/*
 * Page frames: a buddy allocator, and before it for each CPU a short list of single frames. The
 * frame freed last on a CPU is the first to be taken there again: it is hot in the cache, and it is
 * how the frame of an unmapped buffer becomes the next page table. (frame_set_order() can turn that
 * round.)
 *
 * Any CPU, interrupts on or off, but never from an interrupt handler (the lists have no lock).
 * Contents are whatever they were. Bad and double frees panic.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT      12
#define PAGE_SIZE       (1ul << PAGE_SHIFT)
#define FRAME_ORDER_MAX 18u /* blocks of 1 GiB: a large guest boots without touching its memory */
#define NO_FRAME        0ul /* frame 0 is never given out */

enum page_state {
	PAGE_NONE = 0,  /* not the first frame of a block; reserved; no memory */
	PAGE_FREE,      /* first frame of a free block of `order` */
	PAGE_CACHED,    /* free, on the list of a CPU */
	PAGE_ALLOCATED, /* first frame of a block of `order` that somebody owns */
};

/* Bits of page.flags: they survive free and reuse, whoever knows their meaning clears them. */
#define PAGE_WAS_VMAPPED 1u /* set by the vmap layer; read and cleared by alloc_table() */
#define PAGE_IS_TABLE    2u /* between alloc_table() and free_table() */
/* Of a table source (pgtable.h), which sets them. */
#define PAGE_FOR_TABLES    4u
#define PAGE_NEVER_VMAPPED 8u

/* One for each frame up to the end of memory, in an array that is touched where it is needed. */
struct page {
	uint32_t next, prev; /* pfns, neighbours on a free list: the zone lock's */
	uint8_t state;       /* enum page_state: the zone lock's, or the owner's */
	uint8_t order;
	uint16_t flags; /* PAGE_*: the owner's */
	/* Page of vmalloc space where it was vmapped last; when PAGE_WAS_VMAPPED: the owner's. */
	uint32_t vmapped_at;
};

_Static_assert(sizeof(struct page) == 16, "0.4 % of memory");

/* One frame, or NO_FRAME when memory is short (a few frames may then lie on the lists of other
 * CPUs). */
uint64_t alloc_frame(void);
void free_frame(uint64_t pfn);

/* 2^order frames, aligned to their size, order <= FRAME_ORDER_MAX. Free them with the same order.
 */
uint64_t alloc_frames(unsigned order);
void free_frames(uint64_t pfn, unsigned order);

/* Free frames, those on the lists included; exact when no other CPU allocates. */
uint64_t frames_free_count(void);
/* Frames that were given to the allocator at boot. */
uint64_t frames_total(void);
/* The first frame behind the end of memory. */
uint64_t frames_end(void);

/* Which of the frames on a CPU's list is taken first: the one freed last (as from the start), or
 * the one freed longest ago. While the other CPUs are idle. */
enum frame_order { FRAME_LIFO, FRAME_FIFO };
void frame_set_order(enum frame_order order);

/* The structure of a frame below the end of memory; panics above. */
struct page *pfn_to_page(uint64_t pfn);

/*
 * Boot. `pages` has `nr_pages` zeroed elements, for the frames 0 .. nr_pages - 1; it is kept.
 * Then the free memory is added, any ranges of frames [start, end) not added before.
 */
void frame_init(struct page *pages, uint64_t nr_pages);
void frame_add(uint64_t start, uint64_t end);

#endif
