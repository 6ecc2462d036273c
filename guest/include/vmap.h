/* SPDX-License-Identifier: MIT */
/*
 * The lazy vmap allocator, as Linux has had it since 2.6.28: mappings of scattered frames in
 * vmalloc space, which are given back lazily. vunmap() only marks the area: its PTEs stay, and with
 * them a *stale alias* of every frame that was mapped, until a purge clears the PTEs of all lazy
 * areas, flushes the TLBs once, and frees the address space. A purge comes when more pages are
 * held lazily than the limit allows, when address space runs out, or when somebody who must not
 * have stale aliases asks for it: vm_unmap_aliases().
 *
 * Locks, from the outermost: the purge lock (vmap_purge.c), a block's, the space's. All are
 * held with interrupts on. None is held while page tables are pinned, since a pin can trap
 * back into vm_unmap_aliases().
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

/* Mistakes of Linux's, to be made again where somebody wants to see them caught. */
enum vmap_bug {
	VMAP_BUG_NONE,
	/* vm_unmap_aliases() overlooks blocks without free pages (mended by fc1e0d980037). */
	VMAP_BUG_FULL_BLOCKS,
	/* It flushes dirty pages of blocks time and again (mended by a09fad96ffb1). */
	VMAP_BUG_REFLUSH,
};

/* A range of kernel addresses and what is mapped there. There is one, but tests make small ones. */
struct vmap_space {
	struct spinlock lock;  /* of the fields up to the next comment, and all areas in them */
	struct vmap_tree tree; /* live and lazy areas */
	struct vmap_area_list lazy;
	uint64_t lazy_pages;  /* in them */
	uint64_t stale_pages; /* PTEs that nobody owns any more, those in blocks included */
	struct vmap_pending_list pending; /* blocks that may have dirty pages to flush */

	/* The strategy's; changed while nobody is at work in the space. */
	const struct vmap_ops *ops;

	/* Set once. */
	enum vmap_bug bug;
	uint64_t lazy_max;            /* pages held lazily before an unmap purges */
	unsigned block_pages;         /* of a vmap block */
	struct vmap_history *history; /* NULL: nobody asked for it */

	struct vmap_block_queue queues[MAX_CPUS];
};

extern struct vmap_space kernel_vmap;

/* An empty space [lo, hi), page-aligned, within vmalloc space, for a machine of `cpus` CPUs. */
void vmap_space_init(struct vmap_space *space, uint64_t lo, uint64_t hi, unsigned cpus,
		     uint64_t lazy_max);

/*
 * Maps `count` frames one after the other with the PTE flags `prot` and returns the address of the
 * first, or NULL: no memory, no address space even after a purge, or the host refused to pin a
 * table. May sleep in a pin; never from an interrupt or alias fault handler.
 */
void *vmap_in(struct vmap_space *space, const uint64_t *pfns, unsigned count, uint64_t prot);
/* The same at a multiple of `align`, a power of two, at least a page. */
void *vmap_aligned_in(struct vmap_space *space, const uint64_t *pfns, unsigned count,
		      uint64_t align, uint64_t prot);
/* Gives back what vmap() returned, lazily. The caller is free to free the frames. Panics if nothing
 * is mapped there, or no more. */
void vunmap_in(struct vmap_space *space, void *addr);

/* The same for short-lived mappings: up to VMAP_MAX_ALLOC pages come from a block of this CPU.
 * vm_unmap_ram() may be called on any CPU and needs the same count. */
void *vm_map_ram_in(struct vmap_space *space, const uint64_t *pfns, unsigned count, uint64_t prot);
void vm_unmap_ram_in(struct vmap_space *space, void *addr, unsigned count);

/* On return no stale alias is left that existed before the call: PTEs cleared, TLBs flushed (not
 * at all if nothing was lazy). Returns how many PTEs it cleared itself. */
uint64_t vm_unmap_aliases_in(struct vmap_space *space);

/* Purges only what holds one of the `nr` addresses lazily: that area, or that run of dirty pages in
 * a vmap block; all with one flush. A live mapping is left alone. found[i], unless `found` is NULL,
 * says what was at addrs[i]. Returns how many PTEs were cleared. */
uint64_t vm_purge_ranges_in(struct vmap_space *space, const uint64_t *addrs, unsigned nr,
			    enum vmap_purge_result *found);

/* For strategies. */

/* Clears the PTEs of pages that are being unmapped. The next purge flushes them; until then the
 * clock of alias_abi.h says that they may be in TLBs. */
void vmap_clear(struct vmap_space *space, uint64_t start, unsigned nr_pages);
/* The same, and flushes them before it returns. */
void vmap_clear_and_flush(struct vmap_space *space, uint64_t start, unsigned nr_pages);
/* On return the purge that was in flight, if there was one, is through. */
void vmap_purge_wait(void);
/* For each PTE that there is, while nobody maps or unmaps. */
void vmap_for_each_pte(struct vmap_space *space, void (*fn)(uint64_t pfn));

/* For the parts of the allocator, and for tests. */

/* A live area of `nr_pages` and a guard page behind them, or, for a block, without one. If there is
 * no room, purges and tries once more. NULL when out of memory or addresses. */
struct vmap_area *vmap_area_alloc(struct vmap_space *space, unsigned nr_pages, uint64_t align,
				  struct vmap_block *block);
/* The live area becomes a lazy one; purges if that makes them too many. What PTEs it has are
 * counted as stale already. */
void vmap_area_free_lazy(struct vmap_space *space, struct vmap_area *area);
/* The area and its block are gone: back to the slabs, and its range to the space. Its PTEs are
 * clear and flushed. By the purge in flight. */
void vmap_area_release(struct vmap_space *space, struct vmap_area *area);

/* The kernel's own space, by the strategy (flush.h). */

static inline void *vmap_aligned(const uint64_t *pfns, unsigned count, uint64_t align,
				 uint64_t prot)
{
	void *addr;

	strategy_read_lock();
	addr = vmap_aligned_in(&kernel_vmap, pfns, count, align, prot);
	strategy_read_unlock();
	return addr;
}

static inline void *vmap(const uint64_t *pfns, unsigned count, uint64_t prot)
{
	return vmap_aligned(pfns, count, PAGE_SIZE, prot);
}

static inline void vunmap(void *addr)
{
	strategy_read_lock();
	vunmap_in(&kernel_vmap, addr);
	strategy_read_unlock();
}

static inline void *vm_map_ram(const uint64_t *pfns, unsigned count, uint64_t prot)
{
	void *addr;

	strategy_read_lock();
	addr = vm_map_ram_in(&kernel_vmap, pfns, count, prot);
	strategy_read_unlock();
	return addr;
}

static inline void vm_unmap_ram(void *addr, unsigned count)
{
	strategy_read_lock();
	vm_unmap_ram_in(&kernel_vmap, addr, count);
	strategy_read_unlock();
}

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
