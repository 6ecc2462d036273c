/* SPDX-License-Identifier: MIT */
#include "pgtable.h"

#include <string.h>

#include "flush.h"
#include "log.h"
#include "panic.h"
#include "percpu.h"
#include "pin.h"
#include "platform.h"

#define LARGE_PAGE      (2ul << 20)
#define PTE_DEVICE      (PTE_KERNEL | PTE_PCD | PTE_PWT)
#define FIRST_KERNEL_L4 256u

/* From guest.ld: text, read-only data and data of the image, each page-aligned. */
extern const char image_start[], image_rodata[], image_data[], image_end[];

/* Written by pgtable_init(), constant afterwards. */
static uint64_t kernel_root;

/* Written while the other CPUs are idle; NULL: tables come from alloc_frame(). */
static const struct table_source *source;

uint64_t kernel_root_pfn(void)
{
	return kernel_root;
}

/* Is the frame still mapped where it was vmapped last? */
static bool page_is_aliased(const struct page *page, uint64_t pfn)
{
	uint64_t va = VMALLOC_START + ((uint64_t)page->vmapped_at << PAGE_SHIFT);
	uint64_t mapped;

	return lookup_leaf(kernel_root, va, &mapped) && mapped == pfn;
}

void set_table_source(const struct table_source *s)
{
	source = s;
}

uint64_t take_table_frame(void)
{
	return source ? source->take() : alloc_frame();
}

void give_table_frame(uint64_t pfn)
{
	if (source && pfn_to_page(pfn)->flags & PAGE_FOR_TABLES)
		source->give(pfn);
	else
		free_frame(pfn);
}

uint64_t alloc_table(void)
{
	struct page *page;
	uint64_t pfn;

	strategy_read_lock();
	if (source)
		source->prepare();
	pfn = flush_strategy()->take_table ? flush_strategy()->take_table() : take_table_frame();
	strategy_read_unlock();
	if (pfn == NO_FRAME)
		return NO_FRAME;
	page = pfn_to_page(pfn);
	count_stat(tables, 1);
	if (page->flags & PAGE_WAS_VMAPPED) {
		count_stat(tables_recycled, 1);
		count_stat(tables_aliased, page_is_aliased(page, pfn));
	}
	page->flags = (page->flags & ~PAGE_WAS_VMAPPED) | PAGE_IS_TABLE;
	memset(pfn_to_virt(pfn), 0, PAGE_SIZE);
	return pfn;
}

void free_table(uint64_t pfn)
{
	struct page *page = pfn_to_page(pfn);

	BUG_ON(!(page->flags & PAGE_IS_TABLE));
	page->flags &= ~PAGE_IS_TABLE;
	strategy_read_lock();
	if (flush_strategy()->give_table)
		flush_strategy()->give_table(pfn);
	else
		give_table_frame(pfn);
	strategy_read_unlock();
}

/* Fills an L1 table so that it maps what a 2 MiB leaf maps. */
static void fill_from_leaf(uint64_t table_pfn, pte_t leaf)
{
	pte_t *table = pfn_to_virt(table_pfn);

	for (unsigned i = 0; i < PTRS; i++)
		set_pte(&table[i], (leaf & ~PTE_PS) + i * PAGE_SIZE);
}

/* Links a new table of `level` in an entry that was empty, or in place of a 2 MiB leaf. Returns the
 * entry's value then, which another CPU may have written, or 0 on failure. */
static pte_t link_table(pte_t *entry, pte_t seen, unsigned level, uint64_t flags)
{
	uint64_t pfn = alloc_table();
	pte_t linked;

	if (pfn == NO_FRAME)
		return 0;
	if (seen)
		fill_from_leaf(pfn, seen);
	if (pin_table(pfn, level)) {
		free_table(pfn);
		return 0;
	}
	strategy_read_lock();
	linked = replace_pte(entry, seen, make_pte(pfn, flags));
	strategy_read_unlock();
	if (linked == make_pte(pfn, flags))
		return linked;
	if (!unpin_table(pfn)) /* else it is the host's, for good */
		free_table(pfn);
	return linked;
}

/* Returns the entry for `va` in the table of `level`, 1..4, or NULL. */
static pte_t *walk_to(uint64_t root_pfn, uint64_t va, unsigned level, bool alloc)
{
	uint64_t flags = va >> 63 ? PTE_TABLE : PTE_TABLE | PTE_US;
	pte_t *table = pfn_to_virt(root_pfn);

	for (unsigned at = 4; at > level; at--) {
		pte_t *entry = &table[pte_index(va, at)];
		pte_t pte = get_pte(entry);

		if (!(pte & PTE_P) && alloc)
			pte = link_table(entry, pte, at - 1, flags);
		if (!(pte & PTE_P) || pte & PTE_PS)
			return NULL;
		table = pfn_to_virt(pte_pfn(pte));
	}
	return &table[pte_index(va, level)];
}

pte_t *walk_tables(uint64_t root_pfn, uint64_t va, bool alloc)
{
	return walk_to(root_pfn, va, 1, alloc);
}

pte_t *walk_kernel(uint64_t va, bool alloc)
{
	return walk_to(kernel_root, va, 1, alloc);
}

/* No TLB flush is needed: the table maps what the leaf maps. */
pte_t *walk_direct(uint64_t pfn)
{
	uint64_t va = DIRECT_BASE + (pfn << PAGE_SHIFT);
	pte_t *entry = walk_to(kernel_root, va, 2, false);
	pte_t pte = entry ? get_pte(entry) : 0;

	if (pte & PTE_P && pte & PTE_PS)
		pte = link_table(entry, pte, 1, PTE_TABLE);
	if (!(pte & PTE_P))
		return NULL;
	return (pte_t *)pfn_to_virt(pte_pfn(pte)) + pte_index(va, 1);
}

pte_t lookup_leaf(uint64_t root_pfn, uint64_t va, uint64_t *pfn)
{
	const pte_t *table = pfn_to_virt(root_pfn);

	for (unsigned level = 4; level > 0; level--) {
		pte_t pte = get_pte(&table[pte_index(va, level)]);
		uint64_t low = (1ul << 9 * (level - 1)) -
			       1; /* frames that a leaf of this level spans, minus 1 */

		if (!(pte & PTE_P))
			return 0;
		if (level == 1 || pte & PTE_PS) {
			if (pfn)
				*pfn = (pte_pfn(pte) & ~low) | (va >> PAGE_SHIFT & low);
			return pte;
		}
		table = pfn_to_virt(pte_pfn(pte));
	}
	return 0;
}

void kernel_root_copy(uint64_t root_pfn)
{
	const pte_t *from = pfn_to_virt(kernel_root);
	pte_t *to = pfn_to_virt(root_pfn);

	for (unsigned i = FIRST_KERNEL_L4; i < PTRS; i++)
		set_pte(&to[i], get_pte(&from[i]));
}

void load_root(uint64_t root_pfn)
{
	this_cpu()->root_pfn = root_pfn;
	write_cr3(root_pfn << PAGE_SHIFT);
}

static void visit_tables(uint64_t pfn, unsigned level, unsigned first,
			 void (*fn)(void *arg, uint64_t pfn, unsigned level), void *arg)
{
	const pte_t *table = pfn_to_virt(pfn);

	for (unsigned i = first; level > 1 && i < PTRS; i++) {
		pte_t pte = get_pte(&table[i]);

		if (pte & PTE_P && !(pte & PTE_PS))
			visit_tables(pte_pfn(pte), level - 1, 0, fn, arg);
	}
	fn(arg, pfn, level);
}

void for_each_kernel_table(void (*fn)(void *arg, uint64_t pfn, unsigned level), void *arg)
{
	visit_tables(kernel_root, 4, FIRST_KERNEL_L4, fn, arg);
}

/* At boot: writes one leaf of `level` 1 or 2. */
static void map_leaf(uint64_t va, uint64_t gpa, unsigned level, uint64_t flags)
{
	pte_t *entry = walk_to(kernel_root, va, level, true);

	if (!entry)
		panic("no memory for the kernel's page tables");
	BUG_ON(*entry);
	set_pte(entry, gpa | flags | (level > 1 ? PTE_PS : 0));
}

static void map_direct(uint64_t gpa, uint64_t end)
{
	while (gpa < end) {
		bool large = gpa % LARGE_PAGE == 0 && end - gpa >= LARGE_PAGE;

		map_leaf(DIRECT_BASE + gpa, gpa, large ? 2 : 1, PTE_KERNEL);
		gpa += large ? LARGE_PAGE : PAGE_SIZE;
	}
}

static void map_image(const char *start, const char *end, uint64_t flags)
{
	for (uint64_t va = (uint64_t)start; va < (uint64_t)end; va += PAGE_SIZE)
		map_leaf(va, va - IMAGE_BASE, 1, flags);
}

void pgtable_init(void)
{
	kernel_root = alloc_table();
	if (kernel_root == NO_FRAME || !walk_to(kernel_root, VMALLOC_START, 3, true))
		panic("no memory for the kernel's page tables");
	for (unsigned i = 0; i < platform.nr_memory; i++)
		map_direct(platform.memory[i].start, platform.memory[i].end);
	map_image(image_start, image_rodata, PTE_KERNEL & ~(PTE_RW | PTE_NX | PTE_D));
	map_image(image_rodata, image_data, PTE_KERNEL & ~(PTE_RW | PTE_D));
	map_image(image_data, image_end, PTE_KERNEL);
	load_root(kernel_root);
}

void *map_device(uint64_t gpa, uint64_t size)
{
	uint64_t first = gpa & -PAGE_SIZE;

	for (uint64_t page = first; page < gpa + size; page += PAGE_SIZE) {
		pte_t *entry = walk_kernel(DIRECT_BASE + page, true);

		if (!entry || (*entry && *entry != (page | PTE_DEVICE)))
			panic("cannot map the device at %#lx", gpa);
		set_pte(entry, page | PTE_DEVICE);
	}
	return phys_to_virt(gpa);
}
