/* SPDX-License-Identifier: MIT */
/* What the host is: for statistics and --probe. */
#ifndef VMM_KVM_HOST_H
#define VMM_KVM_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

/* {"kernel", "cpus", "kvm": {"kvm_amd.npt": "1", ...}}: the parameters of KVM's modules that can be
 * read, as the kernel prints them. NULL when out of memory. */
json_t *host_describe(void);
/* A line "NAME: N kB" of an open file such as /proc/self/status, as of now, in bytes; 0 if there is
 * none. */
uint64_t host_read_kb(int fd, const char *name);

#endif
