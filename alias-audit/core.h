/* SPDX-License-Identifier: MIT */
/*
 * A core of a whole machine: an ELF core of QEMU's dump-guest-memory or of kdump, or a compressed
 * one. Memory is read by libkdumpfile. The vCPUs' CR3s come from the notes that QEMU adds; without
 * them VMCOREINFO says where the kernel's own root is.
 */
#ifndef AUDIT_CORE_H
#define AUDIT_CORE_H

#include <stdint.h>
#include "notes.h"
#include "physmem.h"
#include "roots.h"

struct core;

/* Opens it; `path` must stay. `mem` is initialised in any case, and reads the core until it is
 * closed. What is missing or not understood is added to `doubts`. Returns NULL after a message,
 * with the kind of failure in *error: -ENOENT: the file can't be opened or is no plain file;
 * -EINVAL: it is no core, or corrupt; or another negated errno. */
struct core *core_open(const char *path, struct physmem *mem, struct notes *doubts, int *error);
void core_close(struct core *core);

/* The vCPUs, which are the core's; *nr may be 0. */
const struct cpu_state *core_cpus(const struct core *core, size_t *nr);
/* The address of the kernel's own root by VMCOREINFO, and its levels; 0 if it isn't told. */
uint64_t core_kernel_root(const struct core *core, unsigned *levels);
/* VMCOREINFO, to be freed; NULL if the core has none. */
char *core_vmcoreinfo(const struct core *core);
/* "elf", "diskdump"... */
const char *core_format(const struct core *core);

#endif
