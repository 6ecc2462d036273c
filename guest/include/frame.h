/* SPDX-License-Identifier: MIT */
/*
 * The page frame allocator: a buddy allocator, and in front of it a short list of single frames for
 * each CPU. The frame that a CPU freed last is the first that it allocates again, since it is hot
 * in the cache. This is how the frame of an unmapped buffer becomes the next page table.
 * (frame_set_order() can reverse the order.)
 *
 * On any CPU, with interrupts on or off, but not from an interrupt handler, since the lists have no
 * lock. The content of an allocated frame is undefined. Freeing a frame that is not allocated
 * panics.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ul << PAGE_SHIFT)
#define NO_FRAME   0ul /* frame 0 is never allocated */
/* Blocks of 1 GiB, so that a large guest boots without touching its memory. */
#define FRAME_ORDER_MAX 18u

enum page_state {
	PAGE_NONE = 0,  /* not the first frame of a block, or reserved, or no memory */
	PAGE_FREE,      /* first frame of a free block of `order` */
	PAGE_CACHED,    /* free, on the list of a CPU */
	PAGE_ALLOCATED, /* first frame of an allocated block of `order` */
};

/* Bits of page.flags. They survive free and allocation; only the code that owns a bit clears it. */
#define PAGE_WAS_VMAPPED 1u /* set by the vmap layer, read and cleared by alloc_table() */
#define PAGE_IS_TABLE    2u /* set from alloc_table() to free_table() */
/* Owned by the table source (pgtable.h). */
#define PAGE_FOR_TABLES    4u
#define PAGE_NEVER_VMAPPED 8u

/* Describes one frame. There is one for each frame up to the end of memory; the array's own pages
 * are touched only as needed. */
struct page {
	uint32_t next, prev; /* pfns of the neighbours on a free list; by the zone lock */
	uint8_t state;       /* enum page_state; by the zone lock, or by the owner if allocated */
	uint8_t order;
	uint16_t flags; /* PAGE_*; by the owner */
	/* If PAGE_WAS_VMAPPED: the page of vmalloc space where it was vmapped last; by the
	 * owner. */
	uint32_t vmapped_at;
};

_Static_assert(sizeof(struct page) == 16, "0.4 % of memory");

/* Allocates one frame. Returns NO_FRAME if memory is short; a few free frames may then be left on
 * the lists of other CPUs. */
uint64_t alloc_frame(void);
void free_frame(uint64_t pfn);

/* Allocates 2^order frames, aligned to their size; order <= FRAME_ORDER_MAX. They are freed with
 * the same order. */
uint64_t alloc_frames(unsigned order);
void free_frames(uint64_t pfn, unsigned order);

/* Number of free frames, those on the CPUs' lists included. Exact while no other CPU allocates. */
uint64_t frames_free_count(void);
/* Number of frames added at boot. */
uint64_t frames_total(void);
/* The pfn behind the last frame. */
uint64_t frames_end(void);

/* Which frame of its list a CPU allocates first: the one freed last (the default), or the one freed
 * first. While the other CPUs are idle. */
enum frame_order { FRAME_LIFO, FRAME_FIFO };
void frame_set_order(enum frame_order order);

/* The struct page of a frame. Panics if the frame is above the end of memory. */
struct page *pfn_to_page(uint64_t pfn);

/*
 * At boot. `pages` has `nr_pages` zeroed elements, for the frames 0 .. nr_pages - 1, and stays in
 * use. frame_add() then adds the frames [start, end) as free; each frame at most once.
 */
void frame_init(struct page *pages, uint64_t nr_pages);
void frame_add(uint64_t start, uint64_t end);

#endif
