/* SPDX-License-Identifier: MIT */
/*
 * The lazy vmap allocator, as in Linux since 2.6.28. vmap() maps scattered frames one after the
 * other in vmalloc space. vunmap() is lazy: it only marks the area. The PTEs stay, and with them a
 * *stale alias* of each frame, until a *purge* clears the PTEs of all lazy areas, flushes the TLBs
 * once, and frees the address space. A purge comes when more pages are held lazily than lazy_max,
 * when address space runs out, and from vm_unmap_aliases(), for code that must not have stale
 * aliases.
 *
 * Order of locks, from the outermost: the purge lock (vmap_purge.c), the lock of a block, the lock
 * of the space. All are held with interrupts on. None is held during a pin, since the pin can raise
 * an upcall that calls vm_unmap_aliases().
 */
#ifndef VMAP_H
#define VMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cpu.h>
#include <flush.h>
#include <frame.h>
#include <spinlock.h>
#include <vmap_area.h>
#include <vmap_block.h>
#include <vmap_history.h>
#include <vmap_ops.h>

/* Old bugs of Linux that can be switched on, to see that they are found. */
enum vmap_bug {
	VMAP_BUG_NONE,
	/* vm_unmap_aliases() misses blocks without free pages (fixed in fc1e0d980037). */
	VMAP_BUG_FULL_BLOCKS,
	/* It flushes dirty pages of blocks again and again (fixed in a09fad96ffb1). */
	VMAP_BUG_REFLUSH,
};

/* A range of kernel addresses, and the areas that are mapped in it. The kernel has one; tests make
 * small ones. */
struct vmap_space {
	struct spinlock lock;  /* guards the fields up to the next comment, and all areas in them */
	struct vmap_tree tree; /* live and lazy areas */
	struct vmap_area_list lazy;
	uint64_t lazy_pages;  /* pages of the areas in `lazy` */
	uint64_t stale_pages; /* stale PTEs: of lazy areas, and of dirty pages of blocks */
	struct vmap_pending_list pending; /* blocks that may have dirty pages to purge */

	/* The strategy's hooks; changed only while no CPU uses the space. */
	const struct vmap_ops *ops;

	/* Set once. */
	enum vmap_bug bug;
	uint64_t lazy_max;                /* an unmap purges if more pages are held lazily */
	unsigned block_pages;             /* size of a vmap block */
	struct vmap_history *history;     /* NULL: not recorded */
	struct alias_common_page *common; /* tells the host of lazy pages; NULL: not this space */

	struct vmap_block_queue queues[MAX_CPUS];
};

extern struct vmap_space kernel_vmap;

/* Initialises an empty space [lo, hi), page-aligned, within vmalloc space, for a machine of `cpus`
 * CPUs. */
void vmap_space_init(struct vmap_space *space, uint64_t lo, uint64_t hi, unsigned cpus,
		     uint64_t lazy_max);

/*
 * Maps `count` frames one after the other, with the PTE flags `prot`. Returns the address of the
 * first, or NULL if memory is short, if there is no address space even after a purge, or if the
 * host refused to pin a table. It may pin, so never from an interrupt handler or the upcall's.
 */
void *vmap_in(struct vmap_space *space, const uint64_t *pfns, unsigned count, uint64_t prot);
/* The same, at a multiple of `align`: a power of two, at least a page. */
void *vmap_aligned_in(struct vmap_space *space, const uint64_t *pfns, unsigned count,
		      uint64_t align, uint64_t prot);
/* Unmaps, lazily, what vmap() returned. The caller may free the frames. Panics if nothing is mapped
 * at `addr`. */
void vunmap_in(struct vmap_space *space, void *addr);

/* The same for short-lived mappings: up to VMAP_MAX_ALLOC pages come from a vmap block of this CPU.
 * vm_unmap_ram() may be called on any CPU, with the same count. */
void *vm_map_ram_in(struct vmap_space *space, const uint64_t *pfns, unsigned count, uint64_t prot);
void vm_unmap_ram_in(struct vmap_space *space, void *addr, unsigned count);

/* On return no stale alias is left that existed before the call: its PTE is cleared and the TLBs
 * are flushed (unless nothing was held lazily). Returns how many PTEs this call cleared. */
uint64_t vm_unmap_aliases_in(struct vmap_space *space);

/* Purges only the lazy areas, or the runs of dirty pages in vmap blocks, that hold one of the `nr`
 * addresses, with one flush for all. Live mappings are left alone. found[i], unless `found` is
 * NULL, says what was at addrs[i]. Returns how many PTEs were cleared. */
uint64_t vm_purge_ranges_in(struct vmap_space *space, const uint64_t *addrs, unsigned nr,
			    enum vmap_purge_result *found);

/* For strategies. */

/* Clears the PTEs of pages that are being unmapped. The next purge flushes them; until then the
 * clock of alias_abi.h says that TLBs may hold them. */
void vmap_clear(struct vmap_space *space, uint64_t start, unsigned nr_pages);
/* The same, and flushes them from all TLBs before it returns. */
void vmap_clear_and_flush(struct vmap_space *space, uint64_t start, unsigned nr_pages);
/* Waits until the purge that is in flight, if any, is complete. */
void vmap_purge_wait(void);
/* Calls fn(pfn) for each PTE of the space. While no CPU maps or unmaps in it. */
void vmap_for_each_pte(struct vmap_space *space, void (*fn)(uint64_t pfn));

/* For the parts of the allocator, and for tests. */

/* Returns a live area of `nr_pages` and a guard page; for a block (`block` not NULL) without guard
 * page. If there is no room, purges and tries again. NULL when out of memory or addresses. */
struct vmap_area *vmap_area_alloc(struct vmap_space *space, unsigned nr_pages, uint64_t align,
				  struct vmap_block *block);
/* Makes a live area lazy; purges if too many pages are lazy then. stale_pages counts its PTEs
 * already. */
void vmap_area_free_lazy(struct vmap_space *space, struct vmap_area *area);
/* Frees an area that is purged: the area and its block to the slabs, its range to the space. Its
 * PTEs are cleared and flushed. Called by the purge in flight. */
void vmap_area_release(struct vmap_space *space, struct vmap_area *area);

/* The same for the kernel's space, with the strategy lock held for reading. Those that map and
 * unmap record their callers for the host (struct alias_origin). */

void *vmap_aligned(const uint64_t *pfns, unsigned count, uint64_t align, uint64_t prot);
void *vmap(const uint64_t *pfns, unsigned count, uint64_t prot);
void vunmap(void *addr);
void *vm_map_ram(const uint64_t *pfns, unsigned count, uint64_t prot);
void vm_unmap_ram(void *addr, unsigned count);

static inline uint64_t vm_unmap_aliases(void)
{
	uint64_t cleared;

	strategy_read_lock();
	cleared = vm_unmap_aliases_in(&kernel_vmap);
	strategy_read_unlock();
	return cleared;
}

static inline uint64_t vm_purge_ranges(const uint64_t *addrs, unsigned nr)
{
	uint64_t cleared;

	strategy_read_lock();
	cleared = vm_purge_ranges_in(&kernel_vmap, addrs, nr, NULL);
	strategy_read_unlock();
	return cleared;
}

#endif
