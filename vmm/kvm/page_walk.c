/* SPDX-License-Identifier: MIT */
#include "kvm/page_walk.h"

#include "kvm/memory.h"
#include "pte.h"

#define LEVELS    4u
#define CR0_WP    (1ull << 16)
#define CR4_SMAP  (1ull << 21)
#define RFLAGS_AC (1ull << 18)

/* Returns whether something is mapped there; then *gpa is where, and *rights are the bits that all
 * entries on the way have. Each entry is read once, since other vCPUs may change it. */
static bool find_page(const struct memory *mem, uint64_t cr3, uint64_t va, uint64_t *gpa,
		      uint64_t *rights)
{
	uint64_t table = cr3 & PTE_ADDR;

	*rights = UINT64_MAX;
	for (unsigned level = LEVELS; level > 0; level--) {
		uint64_t index = va >> pte_shift(level) & (PT_ENTRIES - 1);
		const uint64_t *entry =
			memory_ptr(mem, table + index * sizeof(*entry), sizeof(*entry));
		uint64_t pte = entry ? pte_load(entry) : 0;

		*rights &= pte;
		switch (pte_kind(pte, level)) {
		case PTE_NONE:
			return false;
		case PTE_TABLE:
			table = pte & PTE_ADDR;
			break;
		default: {
			uint64_t offset = (1ull << pte_shift(level)) - 1;

			*gpa = (pte & PTE_ADDR & ~offset) | (va & offset);
			return true;
		}
		}
	}
	return false; /* L1 has no PTE_TABLE */
}

/* Is it in ring 3? To page tables, all others are the kernel's. */
static bool is_user(const struct kvm_sregs *sregs)
{
	return (sregs->cs.selector & 3) == 3;
}

static bool allows(const struct kvm_sregs *sregs, uint64_t rflags, uint64_t rights, bool user,
		   bool write)
{
	bool smap = sregs->cr4 & CR4_SMAP && !(rflags & RFLAGS_AC);

	if (user ? !(rights & PTE_US) : smap && rights & PTE_US)
		return false;
	return !write || rights & PTE_RW || (!user && !(sregs->cr0 & CR0_WP));
}

enum page_walk page_walk(const struct memory *mem, const struct kvm_sregs *sregs, uint64_t rflags,
			 uint64_t va, bool write, uint64_t *gpa, unsigned *error_code)
{
	bool user = is_user(sregs), present;
	uint64_t rights;

	*error_code = (write ? PF_WRITE : 0) | (user ? PF_USER : 0);
	if (va != va_canonical(va, LEVELS))
		return PAGE_NOT_CANONICAL;
	present = find_page(mem, sregs->cr3, va, gpa, &rights);
	if (present && allows(sregs, rflags, rights, user, write))
		return PAGE_ALLOWED;
	*error_code |= present ? PF_PRESENT : 0;
	return PAGE_FAULTS;
}
