/* SPDX-License-Identifier: MIT */
/*
 * Write tracking of single frames by userfaultfd; it costs nothing while a frame is not written. An
 * armed frame is write-protected in the host's page tables. The first write to it waits in the
 * kernel until the uffd thread has noted the frame and lifted the protection. Writes by page walks,
 * which set accessed and dirty bits, count, too (on AMD every walk does). So if a write is visible
 * in memory, the frame is noted, with or without PML.
 *
 * Threads: the owner of the tracker calls arm, disarm and dirtied, one at a time; the uffd thread
 * runs beside it.
 */
#ifndef VMM_PIN_TRACKING_UFFD_H
#define VMM_PIN_TRACKING_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uffd_wp;
struct vm;

/* Returns a userfaultfd that can write-protect memory which KVM uses, or -1 and why not (static
 * string). */
int uffd_open(const char **why);

/* Starts the uffd thread, in its sandbox, for all of the VM's memory, with nothing armed.
 * Returns NULL and why not; the caller can do without. If later a protection can't be lifted, the
 * machine ends with VMM_EX_OSERR, all armed frames count as written, and none can be armed. */
struct uffd_wp *uffd_wp_start(const struct vm *vm, const char **why);
void uffd_wp_stop(struct uffd_wp *uffd);

/* The functions of at_ops (alias_tracker.h). */
bool uffd_wp_arm(struct uffd_wp *uffd, uint64_t pfn);
void uffd_wp_disarm(struct uffd_wp *uffd, uint64_t pfn);
size_t uffd_wp_dirtied(struct uffd_wp *uffd, uint64_t *pfns, size_t max);
/* Notes the frame as written. For before its page is replaced, which the kernel does not report. */
void uffd_wp_mark_dirtied(struct uffd_wp *uffd, uint64_t pfn);

#endif
