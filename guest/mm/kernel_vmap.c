/* SPDX-License-Identifier: MIT */
/* vmap() and the like: the kernel's own vmap space, and the records of who maps and unmaps in it.
 */
#include <stddef.h>

#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "smp.h"
#include "vmap.h"
#include "workload.h"

#define ORIGINS_ORDER  2u /* of the frames that hold one CPU's records */
#define ORIGINS_SHARE  64 /* they take at most this part of memory */
#define RETURN_ADDRESS ((uint64_t)__builtin_return_address(0))

_Static_assert(ALIAS_ORIGINS * sizeof(struct alias_origin) == PAGE_SIZE << ORIGINS_ORDER, "");

void origins_init(void)
{
	uint64_t all = (uint64_t)nr_cpus_online() << ORIGINS_ORDER;

	if (!this_cpu()->vcpu_page || all > frames_total() / ORIGINS_SHARE)
		return;
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		uint64_t pfn = alloc_frames(ORIGINS_ORDER);

		if (pfn != NO_FRAME)
			cpu_by_id(cpu)->vcpu_page->origins_gpa = pfn << PAGE_SHIFT;
	}
}

/* A record of this CPU. Nothing else on it writes one: neither interrupt handlers nor the upcall's
 * map or unmap. */
static void note_origin(enum alias_origin_kind kind, void *addr, unsigned nr_pages, uint64_t caller)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;
	struct alias_origin *origin;

	if (!page || !page->origins_gpa || !addr)
		return;
	origin = phys_to_virt(page->origins_gpa);
	origin[page->nr_origins % ALIAS_ORIGINS] = (struct alias_origin){
		.va = (uint64_t)addr,
		.caller = caller,
		.nr_pages = nr_pages,
		.kind = kind,
		.purges = (uint32_t)__atomic_load_n(&kernel_vmap.common->purges, __ATOMIC_RELAXED),
		.pins = (uint32_t)page->stats.pins,
	};
	__atomic_store_n(&page->nr_origins, page->nr_origins + 1, __ATOMIC_RELEASE);
}

static void *map_frames(const uint64_t *pfns, unsigned count, uint64_t align, uint64_t prot,
			uint64_t caller)
{
	void *addr;

	strategy_read_lock();
	addr = vmap_aligned_in(&kernel_vmap, pfns, count, align, prot);
	note_origin(ALIAS_ORIGIN_MAPPED, addr, count, caller);
	strategy_read_unlock();
	return addr;
}

void *vmap_aligned(const uint64_t *pfns, unsigned count, uint64_t align, uint64_t prot)
{
	return map_frames(pfns, count, align, prot, RETURN_ADDRESS);
}

void *vmap(const uint64_t *pfns, unsigned count, uint64_t prot)
{
	return map_frames(pfns, count, PAGE_SIZE, prot, RETURN_ADDRESS);
}

void vunmap(void *addr)
{
	strategy_read_lock();
	note_origin(ALIAS_ORIGIN_UNMAPPED, addr, 0, RETURN_ADDRESS);
	vunmap_in(&kernel_vmap, addr);
	strategy_read_unlock();
}

void *vm_map_ram(const uint64_t *pfns, unsigned count, uint64_t prot)
{
	void *addr;

	strategy_read_lock();
	addr = vm_map_ram_in(&kernel_vmap, pfns, count, prot);
	note_origin(ALIAS_ORIGIN_MAPPED, addr, count, RETURN_ADDRESS);
	strategy_read_unlock();
	return addr;
}

void vm_unmap_ram(void *addr, unsigned count)
{
	strategy_read_lock();
	note_origin(ALIAS_ORIGIN_UNMAPPED, addr, count, RETURN_ADDRESS);
	vm_unmap_ram_in(&kernel_vmap, addr, count);
	strategy_read_unlock();
}
