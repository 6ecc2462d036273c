/* SPDX-License-Identifier: MIT */
/* The notes of a core, in which QEMU leaves the state of the vCPUs. libkdumpfile knows them not. */
#ifndef AUDIT_CORE_NOTES_H
#define AUDIT_CORE_NOTES_H

#include <stddef.h>
#include <stdint.h>
#include "notes.h"
#include "roots.h"

#define CORE_MAX_CPUS 4096u

/* Zeros are an empty one. Its owner frees `cpu`. */
struct core_cpus {
	struct cpu_state *cpu;
	size_t nr; /* CORE_MAX_CPUS at most */
};

/* Adds the vCPUs that the notes in this part of the file tell of. Notes of QEMU of another size or
 * version than is known are passed over. That, and what can't be read, becomes a doubt. Returns 0,
 * or -ENOMEM. */
int core_notes_read(struct core_cpus *cpus, int fd, uint64_t offset, uint64_t size,
		    struct notes *doubts);
/* The same for notes in memory. */
int core_notes_parse(struct core_cpus *cpus, const uint8_t *notes, size_t size,
		     struct notes *doubts);

#endif
