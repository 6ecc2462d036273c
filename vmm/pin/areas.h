/* SPDX-License-Identifier: MIT */
/*
 * The areas of the guest's lazy vmap allocator, as its records tell of them (struct alias_origin).
 * The records are read when somebody asks, each once: so what was written since the last question
 * is known, but for what the guest had overwritten by then. All of it is the guest's word.
 */
#ifndef VMM_PIN_AREAS_H
#define VMM_PIN_AREAS_H

#include <stdbool.h>
#include <stdint.h>

struct areas;
struct machine;

struct area {
	uint64_t va;       /* of its first page */
	uint64_t caller;   /* return address of the call that mapped it */
	uint64_t unmapper; /* the same of the call that unmapped it; 0: none */
	uint32_t nr_pages;
	uint32_t purges;            /* before it was mapped, modulo 2^32 */
	uint32_t pins;              /* before it was mapped, on its CPU, modulo 2^32 */
	uint16_t cpu, unmapped_cpu; /* where it was mapped, and unmapped */
};

/* Returns NULL if out of memory; freed by free(). */
struct areas *areas_new(unsigned nr_cpus);
/* Reads what the guest has recorded since the last time. One thread at a time, as for the next. */
void areas_read(struct areas *areas, const struct machine *machine);
/* Returns the last area that is known to have been mapped at `va`, or NULL. */
const struct area *areas_find(const struct areas *areas, uint64_t va);

#endif
