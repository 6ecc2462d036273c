/* SPDX-License-Identifier: MIT */
/* A machine without KVM: memory, vCPUs that run nothing, and the host's side of pins as it is. */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include "fuzz.h"
#include "machine.h"
#include "options.h"

#define MACHINE_MEM    (1ull << 20)
#define MACHINE_FRAMES (MACHINE_MEM / ALIAS_PAGE_SIZE)
#define MACHINE_VCPUS  2u
#define MACHINE_LOG    0xc0000ull /* gpa of the logs, a ring for each vCPU */

struct fuzz_machine {
	struct options opt;
	struct machine machine;
	struct pin *pin;
	struct alias_tracker *tracker; /* the pin's */
	struct vcpu vcpus[MACHINE_VCPUS];
	struct kvm_run runs[MACHINE_VCPUS];
	struct kvm_regs regs; /* of all vCPUs; addresses are those of memory, again and again */
	unsigned raised;      /* exceptions, since the start */
	unsigned
		delivering; /* the exception that a vCPU is on the way to a handler with; 0: none */
	unsigned nr_parts;  /* KVM_RUN goes on with so many more parts of a store */
	uint64_t next_part; /* gpa of these; 0: each where the last ends */
};

/* A machine with empty memory, by fm->opt. One at a time. */
void fuzz_machine_start(struct fuzz_machine *fm);
void fuzz_machine_end(struct fuzz_machine *fm);

/* The pages that guest and host share. */
struct alias_common_page *fuzz_machine_common(const struct fuzz_machine *fm);
struct alias_vcpu_page *fuzz_machine_page(const struct fuzz_machine *fm, unsigned vcpu);
/* A number of the pin's statistics, such as "pins", "waits"; of a boolean 1 or 0. */
uint64_t fuzz_machine_figure(const struct fuzz_machine *fm, const char *part, const char *name);

/* A store of the guest, of 8 bytes at a multiple of 8; one to a write-protected frame does nothing.
 */
void fuzz_machine_store(struct fuzz_machine *fm, uint64_t gpa, uint64_t value);
uint64_t fuzz_machine_load(const struct fuzz_machine *fm, uint64_t gpa);
/* An entry of a page table from two bytes: what it allows, and the frame. */
uint64_t fuzz_machine_pte(struct bytes *in);
/* An index into a page table, of which few are used. */
unsigned fuzz_machine_index(uint8_t choice);

#endif
