/* SPDX-License-Identifier: MIT */
/*
 * Write tracking of single guest frames by userfaultfd: what lets a page table stay quiet at no
 * cost. An armed frame is write-protected in the host's own tables; the first write to it, by
 * whomever (a walk by the processor sets bits and counts as well, FACTS: on AMD always), waits in
 * the kernel until the watcher's thread has noted the frame and lifted the protection. So whoever
 * sees the write in memory also finds the frame noted, with or without PML.
 *
 * Threads: arm, disarm and dirtied are called by the owner of the tracker, one at a time; the
 * watcher's own thread runs beside them.
 */
#ifndef VMM_PIN_TRACKING_UFFD_H
#define VMM_PIN_TRACKING_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct uffd_wp;

/* A userfaultfd that can write-protect memory which KVM uses, or -1 and why not (static string). */
int uffd_open(const char **why);

/* Watches all of the machine's memory, nothing armed yet, by a thread in its sandbox. NULL and why
 * not; the caller can do without. Where a protection can't be lifted any more the machine ends with
 * VMM_EX_OSERR, every armed frame counts as written, and nothing can be armed. */
struct uffd_wp *uffd_wp_start(struct machine *machine, const char **why);
void uffd_wp_stop(struct uffd_wp *uffd);

/* As at_ops in alias_tracker.h asks. */
bool uffd_wp_arm(struct uffd_wp *uffd, uint64_t pfn);
void uffd_wp_disarm(struct uffd_wp *uffd, uint64_t pfn);
size_t uffd_wp_dirtied(struct uffd_wp *uffd, uint64_t *pfns, size_t max);
/* As if the frame was written now: before its page is replaced, of which the kernel says nothing.
 */
void uffd_wp_mark_dirtied(struct uffd_wp *uffd, uint64_t pfn);

#endif
