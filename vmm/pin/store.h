/* SPDX-License-Identifier: MIT */
/* For the files store*.c: one store of a vCPU to page tables. */
#ifndef VMM_PIN_STORE_H
#define VMM_PIN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>
#include "kvm/memory.h"
#include "kvm/upcall.h"
#include "kvm/vcpu.h"
#include "pin/insn.h"
#include "pin/internal.h"

#define STORE_BYTES 16u /* size of the longest known store */
#define PIECES_MAX  2u

/* The registers of a vCPU that is out of the guest. */
struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct insn_segments segments;
	bool long_mode;
};

/* Bytes to be stored, all in one frame. */
struct piece {
	uint64_t gpa;
	unsigned len;
	uint8_t bytes[STORE_BYTES];
};

/* Where an instruction loads or stores: a piece for each page that it reaches. */
struct access {
	unsigned nr;
	struct piece pieces[PIECES_MAX];
};

/* An exception that a processor would raise for the store, before it does any of it. */
struct store_fault {
	unsigned vector; /* VECTOR_PF, or VECTOR_GP */
	unsigned error_code;
	uint64_t va; /* of VECTOR_PF */
};

/* The instruction of a store that KVM has emulated. */
enum emulated {
	EMULATED_UNKNOWN, /* no known instruction makes just this store */
	EMULATED_WHOLE,   /* an instruction that has stored nothing else */
	EMULATED_HALF,    /* an instruction that may have stored to the adjacent page, too */
};

/* --- store_decode.c: the guest's code and addresses; the vCPU's own thread -------------------- */

/* Reads the registers. Returns false after a message. */
bool vcpu_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
/* Reads up to `max` bytes of memory at `va`, as far as they are mapped. Returns how many. */
size_t guest_read(const struct vcpu *vcpu, uint64_t va, void *to, size_t max);
/* Reads the FPU's registers. Returns false after a message; the machine then ends. */
bool vcpu_get_fpu(const struct vcpu *vcpu, struct kvm_fpu *fpu);
/* Decodes the instruction at RIP. Returns false if it is not a known one; *nr_read is the number of
 * its code bytes that could be read. */
bool decode_next(const struct vcpu *vcpu, const struct vcpu_state *state, struct insn *insn,
		 size_t *nr_read);
/* Finds where the instruction stores, without the values, and what it loads if it loads anything:
 * for INSN_MOVS its source, otherwise the old value. Returns false if the guest's own tables don't
 * allow it, with the exception in *fault. */
bool locate_store(const struct vcpu *vcpu, const struct vcpu_state *state, const struct insn *insn,
		  struct access *store, struct access *load, struct store_fault *fault);
/*
 * Finds the instruction that KVM has just emulated, and that has stored these `nr` pieces: from the
 * bytes that end at RIP, and the registers after it. With EMULATED_WHOLE, *again says whether it
 * may be executed again with the same result; *before are then the registers for that.
 */
enum emulated decode_emulated(const struct vcpu *vcpu, const struct vcpu_state *after,
			      const struct piece *pieces, unsigned nr, bool *again,
			      struct kvm_regs *before);

/* --- store_commit.c: judging a store, and doing it; the pin lock is held ---------------------- */

/* Returns how many of these pieces lie in write-protected frames. */
unsigned count_write_protected(const struct memory *mem, const struct piece *pieces, unsigned nr);
/* Judges a store and does all of it or nothing. The answer is ALIAS_BAD_STATE if a piece is not in
 * a write-protected frame. */
enum served commit_store(struct batch *batch, const struct piece *pieces, unsigned nr,
			 enum alias_status *status);
/* The same for a store that KVM has emulated; the protection of its frames, or of one of them, may
 * have been lifted since. */
enum served commit_emulated(struct batch *batch, const struct piece *pieces, unsigned nr,
			    enum alias_status *status);

#endif
