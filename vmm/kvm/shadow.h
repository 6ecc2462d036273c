/* SPDX-License-Identifier: MIT */
/* Does KVM of this host run guests on shadow page tables? Only then can page tables be guarded. */
#ifndef VMM_KVM_SHADOW_H
#define VMM_KVM_SHADOW_H

#include <stdbool.h>
#include <stddef.h>

/* By the parameter of the module, and by a trial on a VM of its own: a guest whose page tables are
 * read-only in the host walks them, and is kept from writing them. `kvm_fd` is /dev/kvm. Else says
 * why not in `why`, one sentence that names the cure. */
bool shadow_check(int kvm_fd, char *why, size_t size);

#endif
