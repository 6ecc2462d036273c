/* SPDX-License-Identifier: MIT */
/* Entries of write-protected page tables, which the host alone writes. */
#ifndef VMM_PIN_STRICT_PTE_H
#define VMM_PIN_STRICT_PTE_H

#include <stdbool.h>
#include <stdint.h>

struct memory;

/* An entry, whole. `gpa` is in memory that is mapped twice, and a multiple of 8. */
uint64_t strict_read_pte(const struct memory *mem, uint64_t gpa);
void strict_write_pte(const struct memory *mem, uint64_t gpa, uint64_t pte);

/* The value that a present entry of a write-protected table gets instead of `pte`: accessed, and
 * dirty if it is a writable leaf. */
uint64_t pte_preset_accessed(uint64_t pte, unsigned level);

/* What has to be zapped when an entry of a table that some vCPU may use is changed. */
enum zap {
	ZAP_NOTHING, /* it had no meaning, or has lost nothing of it */
	ZAP_GFN,     /* what maps the one frame of the old entry, by whichever address */
	ZAP_ALL,     /* everything */
};
/* Pure; `mem` says what is memory. */
enum zap zap_scope(const struct memory *mem, unsigned level, uint64_t old, uint64_t pte);

#endif
