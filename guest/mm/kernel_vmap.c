/* SPDX-License-Identifier: MIT */
/* vmap() and the like: the kernel's own vmap space. */
#include <stddef.h>

#include "origin.h"
#include "pgtable.h"
#include "vmap.h"

#define RETURN_ADDRESS ((uint64_t)__builtin_return_address(0))

static void *map_frames(const uint64_t *pfns, unsigned count, uint64_t align, uint64_t prot,
			uint64_t caller)
{
	void *addr;

	strategy_read_lock();
	addr = vmap_aligned_in(&kernel_vmap, pfns, count, align, prot);
	origin_note(ALIAS_ORIGIN_MAPPED, addr, count, caller);
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
	origin_note(ALIAS_ORIGIN_UNMAPPED, addr, 0, RETURN_ADDRESS);
	vunmap_in(&kernel_vmap, addr);
	strategy_read_unlock();
}

void *vm_map_ram(const uint64_t *pfns, unsigned count, uint64_t prot)
{
	void *addr;

	strategy_read_lock();
	addr = vm_map_ram_in(&kernel_vmap, pfns, count, prot);
	origin_note(ALIAS_ORIGIN_MAPPED, addr, count, RETURN_ADDRESS);
	strategy_read_unlock();
	return addr;
}

void vm_unmap_ram(void *addr, unsigned count)
{
	strategy_read_lock();
	origin_note(ALIAS_ORIGIN_UNMAPPED, addr, count, RETURN_ADDRESS);
	vm_unmap_ram_in(&kernel_vmap, addr, count);
	strategy_read_unlock();
}
