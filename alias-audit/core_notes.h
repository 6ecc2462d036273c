/* SPDX-License-Identifier: MIT */
/* The notes of a core, in which QEMU leaves the state of the vCPUs. libkdumpfile knows them not. */
#ifndef AUDIT_CORE_NOTES_H
#define AUDIT_CORE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "roots.h"

#define CORE_MAX_CPUS 4096u

/* Zeros are an empty one. Its owner frees `cpu`. */
struct core_cpus {
	struct cpu_state *cpu;
	size_t nr; /* CORE_MAX_CPUS at most */
};

/* Adds the vCPUs that the notes of the core in `fd` tell of: an ELF core, or a compressed one whose
 * blocks have `block_size` bytes. Notes of QEMU of another size or version than is known
 * are passed over. Returns 0, -ENOMEM, or -EIO: they
 * can't be read. */
int core_notes_read(struct core_cpus *cpus, int fd, bool is_elf, uint64_t block_size);
/* The same for notes in memory. */
int core_notes_parse(struct core_cpus *cpus, const uint8_t *notes, size_t size);

#endif
