/* SPDX-License-Identifier: MIT */
/*
 * Four-level page tables, and the kernel's part of them.
 *
 *   0xffff888000000000  the direct map: all memory at base + gpa (also devices, uncached)
 *   0xffffc90000000000  vmalloc space, one L4 slot: 512 GiB
 *   0xffffffff80000000  the image, at base + gpa
 *
 * Leaves of the direct map are changed by set_memory_type() alone.
 *
 * The L4 slots of these three are filled at boot and never change: a root made later copies them
 * (kernel_root_copy) and never goes stale. Nothing else of the kernel's half is ever mapped.
 */
#ifndef PGTABLE_H
#define PGTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cpu.h>
#include <frame.h>
#include <layout.h> /* IMAGE_BASE */

#define DIRECT_BASE   0xffff888000000000ul
#define VMALLOC_START 0xffffc90000000000ul
#define VMALLOC_END   (VMALLOC_START + L4_SLOT_SIZE)

#define L4_SLOT_SIZE (1ul << 39)
#define PTRS         512u

typedef uint64_t pte_t;

#define PTE_P    (1ul << 0)
#define PTE_RW   (1ul << 1)
#define PTE_US   (1ul << 2)
#define PTE_PWT  (1ul << 3)
#define PTE_PCD  (1ul << 4)
#define PTE_A    (1ul << 5)
#define PTE_D    (1ul << 6)
#define PTE_PS   (1ul << 7) /* in L2 and L3: a leaf */
#define PTE_PAT  (1ul << 7) /* in L1 */
#define PTE_G    (1ul << 8)
#define PTE_NX   (1ul << 63)
#define PTE_ADDR 0x000ffffffffff000ul

/* Accessed and dirty are set beforehand: the processor then has no reason to write to tables. */
#define PTE_KERNEL (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G | PTE_NX) /* data, read and write */
#define PTE_USER   (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_NX)
#define PTE_TABLE                                                                                  \
	(PTE_P | PTE_RW | PTE_A) /* an entry that points to a table; user half: | PTE_US */

/* The bits of an L1 leaf that stand for an index into the PAT. */
#define PTE_TYPE (PTE_PWT | PTE_PCD | PTE_PAT)

static inline uint64_t pte_of_type(unsigned type)
{
	return (type & 1 ? PTE_PWT : 0) | (type & 2 ? PTE_PCD : 0) | (type & 4 ? PTE_PAT : 0);
}

static inline pte_t make_pte(uint64_t pfn, uint64_t flags)
{
	return pfn << PAGE_SHIFT | flags;
}

static inline uint64_t pte_pfn(pte_t pte)
{
	return (pte & PTE_ADDR) >> PAGE_SHIFT;
}

/* Index into a table of `level` (1..4) on the way to va. */
static inline unsigned pte_index(uint64_t va, unsigned level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1)) & (PTRS - 1);
}

/* One 8-byte load or store, seen whole by walks and other CPUs. */
static inline pte_t get_pte(const pte_t *pte)
{
	return __atomic_load_n(pte, __ATOMIC_ACQUIRE);
}

static inline void set_pte(pte_t *pte, pte_t value)
{
	__atomic_store_n(pte, value, __ATOMIC_RELEASE);
}

/* Through the direct map; for memory (and mapped devices) only. */
static inline void *phys_to_virt(uint64_t gpa)
{
	return (void *)(DIRECT_BASE + gpa);
}

static inline void *pfn_to_virt(uint64_t pfn)
{
	return phys_to_virt(pfn << PAGE_SHIFT);
}

/* Of an address in the direct map or in the image; what vmap returned is not one. */
static inline uint64_t virt_to_phys(const void *va)
{
	uint64_t a = (uint64_t)va;

	return a >= IMAGE_BASE ? a - IMAGE_BASE : a - DIRECT_BASE;
}

static inline uint64_t virt_to_pfn(const void *va)
{
	return virt_to_phys(va) >> PAGE_SHIFT;
}

/*
 * Takes a frame to be a page table: zeroed; counts it in tables_recycled if it had been vmapped,
 * and in tables_aliased if that mapping is still there. It is not pinned yet. Every table, the
 * kernel's and an address space's, is taken and given back here. NO_FRAME when memory is short.
 */
uint64_t alloc_table(void);
/* The caller has unpinned it, and no entry points to it any more. */
void free_table(uint64_t pfn);

/* Where the frames of tables come from, for those who want to say which frame is the next; given
 * back is what has PAGE_FOR_TABLES. prepare() is called before each alloc_table(), whatever the
 * strategy then takes. On this CPU; may map and purge. */
struct table_source {
	void (*prepare)(void);
	uint64_t (*take)(void); /* NO_FRAME when memory is short */
	void (*give)(uint64_t pfn);
};

/* While the other CPUs are idle. */
void set_table_source(const struct table_source *source);

/* For strategies: a frame from there, or as alloc_frame() and free_frame(). */
uint64_t take_table_frame(void);
void give_table_frame(uint64_t pfn);

/*
 * The L1 entry for va in the tree of this root; NULL if there is no L1 table. With `alloc` missing
 * tables are taken, pinned by pin_table(), and only then linked, one by one from the top: the tree
 * is taken to be live. Then NULL means that memory was short, or that the host refused a pin (the
 * frame goes back). The entry itself is the caller's to write.
 *
 * Any CPU at any time, without a lock: of two CPUs that need the same table one links its own, the
 * other gives its back. With `alloc` an upcall may come from within: hold no lock that
 * vm_unmap_aliases() takes.
 */
pte_t *walk_tables(uint64_t root_pfn, uint64_t va, bool alloc);

/* The same in the kernel's tree, for va in vmalloc space. */
pte_t *walk_kernel(uint64_t va, bool alloc);

/* The L1 entry that maps the frame in the direct map, its 2 MiB leaf being split for good if need
 * be. NULL if it has none, when memory is short, or if the host refused a pin. As with `alloc`. */
pte_t *walk_direct(uint64_t pfn);

/* What va is mapped to in the tree of this root, leaf of whatever size: the entry, or 0. The frame
 * of va itself is in *pfn (may be NULL). */
pte_t lookup_leaf(uint64_t root_pfn, uint64_t va, uint64_t *pfn);

uint64_t kernel_root_pfn(void);
/* Gives a new root, by its pfn, the kernel's half. */
void kernel_root_copy(uint64_t root_pfn);
/* Makes this CPU walk from that root; its TLB keeps global entries only. */
void load_root(uint64_t root_pfn);

/* fn(arg, pfn, level) for each table of the kernel's tree, those below a table before the table
 * itself, the root last. While no other CPU adds tables. */
void for_each_kernel_table(void (*fn)(void *arg, uint64_t pfn, unsigned level), void *arg);

/* Boot: builds the kernel's tree and switches to it. From then on all memory is in the direct
 * map. */
void pgtable_init(void);
/* Boot, before the tree is pinned: maps the pages of a device uncached in the direct map and
 * returns their address there. */
void *map_device(uint64_t gpa, uint64_t size);

#endif
