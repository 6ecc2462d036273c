/* SPDX-License-Identifier: MIT */
/*
 * Four-level page tables, and the kernel's address space.
 *
 *   0xffff888000000000  the direct map: all memory, at base + gpa (devices too, uncached)
 *   0xffffc90000000000  vmalloc space: one L4 slot, 512 GiB
 *   0xffffffff80000000  the image, at base + gpa
 *
 * The kernel maps nothing else in its half. The L4 entries of these three are made at boot and
 * never change, so the copy of them in a root made later (kernel_root_copy()) stays correct. Only
 * set_memory_type() changes leaves of the direct map.
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
#define PTE_PS   (1ul << 7) /* in L2 and L3: the entry is a leaf */
#define PTE_PAT  (1ul << 7) /* in L1 */
#define PTE_G    (1ul << 8)
#define PTE_NX   (1ul << 63)
#define PTE_ADDR 0x000ffffffffff000ul

/* Accessed and dirty bits are set from the start, so that the processor need not write to
 * tables. */
#define PTE_KERNEL (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G | PTE_NX) /* data, read-write */
#define PTE_USER   (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_NX)
#define PTE_TABLE  (PTE_P | PTE_RW | PTE_A) /* links a table; for the user's half | PTE_US */

/* The bits of an L1 leaf that hold its memory type, an index into the PAT. */
#define PTE_MEMTYPE (PTE_PWT | PTE_PCD | PTE_PAT)

static inline uint64_t pte_of_memtype(unsigned memtype)
{
	return (memtype & 1 ? PTE_PWT : 0) | (memtype & 2 ? PTE_PCD : 0) |
	       (memtype & 4 ? PTE_PAT : 0);
}

static inline pte_t make_pte(uint64_t pfn, uint64_t flags)
{
	return pfn << PAGE_SHIFT | flags;
}

static inline uint64_t pte_pfn(pte_t pte)
{
	return (pte & PTE_ADDR) >> PAGE_SHIFT;
}

/* The index of va's entry in a table of `level` (1..4). */
static inline unsigned pte_index(uint64_t va, unsigned level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1)) & (PTRS - 1);
}

/* One 8-byte load or store: page walks and other CPUs never see half of an entry. */
static inline pte_t get_pte(const pte_t *pte)
{
	return __atomic_load_n(pte, __ATOMIC_ACQUIRE);
}

static inline void set_pte(pte_t *pte, pte_t value)
{
	__atomic_store_n(pte, value, __ATOMIC_RELEASE);
}

/* The address in the direct map. For memory and mapped devices only. */
static inline void *phys_to_virt(uint64_t gpa)
{
	return (void *)(DIRECT_BASE + gpa);
}

static inline void *pfn_to_virt(uint64_t pfn)
{
	return phys_to_virt(pfn << PAGE_SHIFT);
}

/* The gpa of an address in the direct map or in the image; not of one that vmap() returned. */
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
 * Allocates a zeroed page table, not yet pinned, or returns NO_FRAME if memory is short. All
 * tables, the kernel's and those of address spaces, are allocated and freed here. Counts the frame
 * in tables_recycled if it had been vmapped before, and in tables_aliased if that mapping still
 * exists.
 */
uint64_t alloc_table(void);
/* Frees a table that is not pinned and that no entry links. */
void free_table(uint64_t pfn);

/* A table source decides which frames become page tables. Frames with PAGE_FOR_TABLES go back to
 * it. prepare() is called before each alloc_table(), whether the strategy then takes a frame
 * from the source or not. All three are called on the CPU that allocates; prepare() may map and
 * purge. */
struct table_source {
	void (*prepare)(void);
	uint64_t (*take)(void); /* returns NO_FRAME if memory is short */
	void (*give)(uint64_t pfn);
};

/* Sets the table source, while the other CPUs are idle. */
void set_table_source(const struct table_source *source);

/* Allocate and free a frame for a table, from the table source or by alloc_frame() and
 * free_frame(). For strategies. */
uint64_t take_table_frame(void);
void give_table_frame(uint64_t pfn);

/*
 * Returns the L1 entry for `va` in the tree of this root, or NULL if there is no L1 table. With
 * `alloc`, missing tables are allocated, pinned by pin_table(), and only then linked, from the top
 * down, since the tree may be live. NULL then means that memory was short or that the host refused
 * a pin; the frame is freed. The caller writes the entry itself.
 *
 * On any CPU at any time, without a lock: if two CPUs need the same table, one links its own and
 * the other frees its own. With `alloc`, a pin may raise an upcall: hold no lock that
 * vm_unmap_aliases() takes.
 */
pte_t *walk_tables(uint64_t root_pfn, uint64_t va, bool alloc);

/* The same in the kernel's tree, for `va` in vmalloc space. */
pte_t *walk_kernel(uint64_t va, bool alloc);

/* Returns the L1 entry that maps the frame in the direct map. A 2 MiB leaf is split for it, for
 * good. NULL if the direct map does not map the frame, if memory is short, or if the host refused a
 * pin. The rules of walk_tables() with `alloc` apply. */
pte_t *walk_direct(uint64_t pfn);

/* Returns the leaf, of any size, that maps `va` in the tree of this root, or 0. *pfn, unless NULL,
 * gets the frame of `va` itself. */
pte_t lookup_leaf(uint64_t root_pfn, uint64_t va, uint64_t *pfn);

uint64_t kernel_root_pfn(void);
/* Copies the kernel's half into the new root `root_pfn`. */
void kernel_root_copy(uint64_t root_pfn);
/* Loads CR3 of this CPU. Its TLB keeps only global entries. */
void load_root(uint64_t root_pfn);

/* Calls fn(arg, pfn, level) for each table of the kernel's tree: a table after the tables below it,
 * the root last. While no other CPU adds tables. */
void for_each_kernel_table(void (*fn)(void *arg, uint64_t pfn, unsigned level), void *arg);

/* At boot: builds the kernel's tree and loads it. From then on the direct map maps all memory. */
void pgtable_init(void);
/* At boot, before the tree is pinned: maps the pages of a device uncached in the direct map.
 * Returns their address. */
void *map_device(uint64_t gpa, uint64_t size);

#endif
