/* SPDX-License-Identifier: MIT */
/* Compressed cores as QEMU and makedumpfile -F write them where they cannot seek: pieces, each with
 * its place in the core. libkdumpfile 0.5.1 reads none of these. */
#ifndef AUDIT_FLATTENED_H
#define AUDIT_FLATTENED_H

#include <stdbool.h>

bool flattened_is(int fd);
/* Puts the pieces into a file without a name, in $TMPDIR or /var/tmp. Returns its descriptor, or a
 * negated errno: -EINVAL if the pieces make no sense or there is no end. */
int flattened_unpack(int fd);

#endif
