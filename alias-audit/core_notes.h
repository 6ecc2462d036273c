/* SPDX-License-Identifier: MIT */
/* The notes of a core, in which QEMU leaves the state of the vCPUs. libkdumpfile knows them not. */
#ifndef AUDIT_CORE_NOTES_H
#define AUDIT_CORE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "roots.h"

#define CORE_MAX_CPUS 4096u

struct core_cpus {
	struct cpu_state *cpu;
	size_t nr;
	size_t odd; /* notes of QEMU that are not of the size or version that is known */
};

/* Reads the notes of the core in `fd`: of an ELF core, or of a compressed one whose blocks have
 * `block_size` bytes. Returns 0, -ENOMEM, or -EIO: they can't be read. Frees nothing. */
int core_notes_read(struct core_cpus *cpus, int fd, bool is_elf, uint64_t block_size);
/* The same for notes in memory. */
int core_notes_parse(struct core_cpus *cpus, const uint8_t *notes, size_t size);

#endif
