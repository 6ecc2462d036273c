/* SPDX-License-Identifier: MIT */
/* Does this host's KVM use shadow page tables? --track strict needs them: only then can page tables
 * be write-protected. */
#ifndef VMM_KVM_SHADOW_H
#define VMM_KVM_SHADOW_H

#include <stdbool.h>
#include <stddef.h>

/* Checks the module's parameter, and then tries it: a guest in a probe VM, whose page tables are
 * read-only in the host, must be able to walk them and unable to write them. `kvm_fd` is /dev/kvm.
 * Returns false with a sentence in `why` that names the cure. */
bool shadow_check(int kvm_fd, char *why, size_t size);

#endif
