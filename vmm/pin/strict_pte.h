/* SPDX-License-Identifier: MIT */
/* Entries of write-protected page tables, which only the host writes. */
#ifndef VMM_PIN_STRICT_PTE_H
#define VMM_PIN_STRICT_PTE_H

#include <stdbool.h>
#include <stdint.h>

struct memory;

/* Read and write an entry atomically. `gpa` is a multiple of 8, in memory that is mapped twice. */
uint64_t strict_read_pte(const struct memory *mem, uint64_t gpa);
void strict_write_pte(const struct memory *mem, uint64_t gpa, uint64_t pte);

/* Returns `pte` with the accessed bit set if it is present, and the dirty bit if it is a leaf: what
 * is really written to a write-protected table of `level`. (A read-only leaf, too: with CR0.WP
 * clear the kernel stores through it.) */
uint64_t pte_preset_accessed(uint64_t pte, unsigned level);

/* What must be zapped when an entry changes in a table that a vCPU may use. */
enum zap {
	ZAP_NOTHING, /* the entry was not present, or the change takes no right away */
	ZAP_GFN,     /* all translations of the one frame that the old entry maps */
	ZAP_ALL,     /* everything */
};
/* A pure function; `mem` says which addresses are memory. */
enum zap zap_scope(const struct memory *mem, unsigned level, uint64_t old, uint64_t pte);

#endif
