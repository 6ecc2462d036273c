/* SPDX-License-Identifier: MIT */
/* A description of the host, for statistics and --probe. */
#ifndef VMM_KVM_HOST_H
#define VMM_KVM_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

/* The oldest kernel that has all that a run needs, beside what its configuration leaves out:
 * MADV_POPULATE_WRITE is the youngest of it. */
#define HOST_LINUX_FLOOR "Linux 5.14"

/* Returns {"kernel", "cpus", "kvm": {"kvm_amd.npt": "1", ...}}, with the readable parameters of
 * KVM's modules as the kernel prints them, or NULL when out of memory. */
json_t *host_describe(void);
/* Reads the line "NAME: N kB" of an open file such as /proc/self/status. Returns its current value
 * in bytes, or 0 if there is no such line. */
uint64_t host_read_kb(int fd, const char *name);

#endif
