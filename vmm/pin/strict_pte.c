/* SPDX-License-Identifier: MIT */
#include "pin/strict_pte.h"

#include "alias_abi.h"
#include "kvm/memory.h"
#include "pte.h"

/* Ignored by processors: bits 9-11 and 52-58. */
#define PTE_SOFT (0xe00ull | 0x07f0000000000000ull)

uint64_t strict_read_pte(const struct memory *mem, uint64_t gpa)
{
	const uint64_t *entry = memory_back(mem, gpa);

	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

void strict_write_pte(const struct memory *mem, uint64_t gpa, uint64_t pte)
{
	uint64_t *entry = memory_back(mem, gpa);

	__atomic_store_n(entry, pte, __ATOMIC_RELEASE);
}

uint64_t pte_preset_accessed(uint64_t pte, unsigned level)
{
	bool leaf = level == 1 || pte & PTE_PS;

	if (!(pte & PTE_P))
		return pte;
	return pte | PTE_A | (leaf ? PTE_D : 0);
}

/* A gained right needs no zap: KVM takes a fault for lack of it, and walks again. But above L1 the
 * rights are part of the shadow table's role, so any change of them needs one. */
enum zap zap_scope(const struct memory *mem, unsigned level, uint64_t old, uint64_t pte)
{
	uint64_t ignored = PTE_SOFT | PTE_A | PTE_D;
	uint64_t gained = (pte & ~old & PTE_RW) | (old & ~pte & PTE_NX);

	if (!(old & PTE_P))
		return ZAP_NOTHING;
	if (level == 1)
		ignored |= gained;
	if (!((old ^ pte) & ~ignored))
		return ZAP_NOTHING;
	if (level == 1 && memory_ptr(mem, old & PTE_ADDR, ALIAS_PAGE_SIZE))
		return ZAP_GFN;
	return ZAP_ALL;
}
