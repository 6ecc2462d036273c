/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <stddef.h>

#include "cpu.h"
#include "panic.h"
#include "percpu.h"
#include "spinlock.h"

#define LIST_FRAMES 64u /* maximum length of a CPU's list */
#define LIST_BATCH  16u /* frames moved at once between a list and the zone */

/* Set by frame_init(), constant afterwards. */
static struct page *pages;
static uint64_t nr_pages;

/* Free blocks by order. The lists are linked by pfn and end with 0, since frame 0 is never free. */
static struct {
	struct spinlock lock;
	uint32_t first[FRAME_ORDER_MAX + 1]; /* guarded by the lock */
	uint64_t free;                       /* free frames of the zone; written under the lock */
	uint64_t total;                      /* written at boot */
} zone;

/* One for each CPU; others read `count` for frames_free_count() only. It is a ring, with the frame
 * freed first at `first`. */
static struct free_list {
	__cacheline uint32_t count;
	uint32_t first;
	uint32_t pfns[LIST_FRAMES];
} lists[MAX_CPUS];

/* Which end of the lists to take from; written while the other CPUs are idle. */
static enum frame_order list_order;

struct page *pfn_to_page(uint64_t pfn)
{
	if (pfn >= nr_pages)
		panic("frame %#lx is beyond the end of memory", pfn);
	return &pages[pfn];
}

static void push_block(uint64_t pfn, unsigned order)
{
	struct page *page = &pages[pfn];

	page->state = PAGE_FREE;
	page->order = order;
	page->prev = 0;
	page->next = zone.first[order];
	if (page->next)
		pages[page->next].prev = pfn;
	zone.first[order] = pfn;
}

static void remove_block(uint64_t pfn)
{
	struct page *page = &pages[pfn];

	if (page->next)
		pages[page->next].prev = page->prev;
	if (page->prev)
		pages[page->prev].next = page->next;
	else
		zone.first[page->order] = page->next;
	page->state = PAGE_NONE;
}

/* Takes a block: splits the smallest that is large enough. Under the lock. */
static uint64_t take_block(unsigned order)
{
	unsigned have = order;
	uint64_t pfn;

	while (have <= FRAME_ORDER_MAX && !zone.first[have])
		have++;
	if (have > FRAME_ORDER_MAX)
		return NO_FRAME;
	pfn = zone.first[have];
	remove_block(pfn);
	while (have-- > order)
		push_block(pfn + (1ul << have), have);
	zone.free -= 1ul << order;
	return pfn;
}

/* Frees a block: merges it with its buddy as long as that is free. Under the lock. */
static void give_block(uint64_t pfn, unsigned order)
{
	zone.free += 1ul << order;
	pages[pfn].state = PAGE_NONE;
	for (; order < FRAME_ORDER_MAX; order++) {
		uint64_t buddy = pfn ^ (1ul << order);

		if (buddy >= nr_pages || pages[buddy].state != PAGE_FREE ||
		    pages[buddy].order != order)
			break;
		remove_block(buddy);
		pfn &= ~(1ul << order);
	}
	push_block(pfn, order);
}

static void mark_allocated(uint64_t pfn, unsigned order)
{
	pages[pfn].state = PAGE_ALLOCATED;
	pages[pfn].order = order;
}

static struct page *check_owned(uint64_t pfn, unsigned order)
{
	struct page *page = pfn_to_page(pfn);

	if (page->state == PAGE_FREE || page->state == PAGE_CACHED)
		panic("frame %#lx is freed twice", pfn);
	if (page->state != PAGE_ALLOCATED)
		panic("frame %#lx is freed, but was never allocated", pfn);
	if (page->order != order)
		panic("frame %#lx is freed with order %u, but has order %u", pfn, order,
		      page->order);
	return page;
}

static void put_newest(struct free_list *list, uint64_t pfn)
{
	list->pfns[(list->first + list->count++) % LIST_FRAMES] = pfn;
}

static uint64_t take_newest(struct free_list *list)
{
	return list->pfns[(list->first + --list->count) % LIST_FRAMES];
}

static uint64_t take_oldest(struct free_list *list)
{
	uint64_t pfn = list->pfns[list->first];

	list->first = (list->first + 1) % LIST_FRAMES;
	list->count--;
	return pfn;
}

static void refill(struct free_list *list)
{
	spin_lock(&zone.lock);
	while (list->count < LIST_BATCH) {
		uint64_t pfn = take_block(0);

		if (pfn == NO_FRAME)
			break;
		pages[pfn].state = PAGE_CACHED;
		put_newest(list, pfn);
	}
	spin_unlock(&zone.lock);
}

uint64_t alloc_frame(void)
{
	struct free_list *list = &lists[this_cpu()->id];
	uint64_t pfn;

	if (!list->count)
		refill(list);
	if (!list->count)
		return NO_FRAME;
	pfn = list_order == FRAME_FIFO ? take_oldest(list) : take_newest(list);
	mark_allocated(pfn, 0);
	return pfn;
}

void free_frame(uint64_t pfn)
{
	struct free_list *list = &lists[this_cpu()->id];

	check_owned(pfn, 0)->state = PAGE_CACHED;
	if (list->count == LIST_FRAMES) { /* those unused for longest go back to the zone */
		spin_lock(&zone.lock);
		for (unsigned i = 0; i < LIST_BATCH; i++)
			give_block(take_oldest(list), 0);
		spin_unlock(&zone.lock);
	}
	put_newest(list, pfn);
}

void frame_set_order(enum frame_order order)
{
	list_order = order;
}

uint64_t alloc_frames(unsigned order)
{
	uint64_t pfn;

	if (order == 0)
		return alloc_frame();
	BUG_ON(order > FRAME_ORDER_MAX);
	spin_lock(&zone.lock);
	pfn = take_block(order);
	if (pfn != NO_FRAME)
		mark_allocated(pfn, order);
	spin_unlock(&zone.lock);
	return pfn;
}

void free_frames(uint64_t pfn, unsigned order)
{
	if (order == 0) {
		free_frame(pfn);
		return;
	}
	spin_lock(&zone.lock);
	check_owned(pfn, order);
	give_block(pfn, order);
	spin_unlock(&zone.lock);
}

uint64_t frames_free_count(void)
{
	uint64_t n = __atomic_load_n(&zone.free, __ATOMIC_RELAXED);

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		n += __atomic_load_n(&lists[cpu].count, __ATOMIC_RELAXED);
	return n;
}

uint64_t frames_total(void)
{
	return zone.total;
}

uint64_t frames_end(void)
{
	return nr_pages;
}

void frame_init(struct page *array, uint64_t nr)
{
	pages = array;
	nr_pages = nr;
}

void frame_add(uint64_t start, uint64_t end)
{
	BUG_ON(start == NO_FRAME || start > end || end > nr_pages);
	zone.total += end - start;
	while (start < end) {
		unsigned order = __builtin_ctzl(start);

		if (order > FRAME_ORDER_MAX)
			order = FRAME_ORDER_MAX;
		while (1ul << order > end - start)
			order--;
		give_block(start, order);
		start += 1ul << order;
	}
}
