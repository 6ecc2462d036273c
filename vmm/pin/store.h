/* SPDX-License-Identifier: MIT */
/* Shared by the files store*.c: one store of a vCPU to page tables. */
#ifndef VMM_PIN_STORE_H
#define VMM_PIN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>
#include "kvm/memory.h"
#include "kvm/vcpu.h"
#include "pin/insn.h"
#include "pin/internal.h"

#define STORE_BYTES 16u /* of the longest store that is known */
#define PIECES_MAX  2u

/* The registers of a vCPU that is out of the guest. */
struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct insn_segments segments;
	bool long_mode;
};

/* Bytes to be stored, in one frame. */
struct piece {
	uint64_t gpa;
	unsigned len;
	uint8_t bytes[STORE_BYTES];
};

/* What instruction an emulated store is of. */
enum emulated {
	EMULATED_UNKNOWN, /* none that is known does just this */
	EMULATED_WHOLE,   /* one that has stored nothing else */
	EMULATED_HALF,    /* one that may have stored to the page beside, too */
};

/* --- store_decode.c: the guest's code and addresses; the vCPU's own thread ---------------------
 */

/* False after saying why. */
bool vcpu_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
/* Up to `max` bytes of memory, as far as they are mapped. Returns how many. */
size_t guest_read(const struct vcpu *vcpu, uint64_t va, void *to, size_t max);
bool vcpu_get_fpu(const struct vcpu *vcpu, struct kvm_fpu *fpu);
/* The instruction at RIP. False if it is none that is known; *nr_read are the bytes of its code
 * that could be read. */
bool decode_next(const struct vcpu *vcpu, const struct vcpu_state *state, struct insn *insn,
		 size_t *nr_read);
/* Where the bytes lie that the instruction stores to, in one or two frames, without their values.
 * Returns how many pieces; 0: *unmapped is the first address that is not mapped. */
unsigned locate_store(const struct vcpu *vcpu, const struct insn *insn,
		      struct piece pieces[PIECES_MAX], uint64_t *unmapped);
/*
 * Finds the instruction that has just been emulated and has stored these `nr` pieces: by the bytes
 * that end at RIP, and by the registers as it has left them. With EMULATED_WHOLE, *again says
 * whether doing it once more is as doing it once; then *before are the registers for that.
 */
enum emulated decode_emulated(const struct vcpu *vcpu, const struct vcpu_state *after,
			      const struct piece *pieces, unsigned nr, bool *again,
			      struct kvm_regs *before);

/* --- store_commit.c: judging a store, and doing it; the pin lock is held -----------------------
 */

unsigned count_write_protected(const struct memory *mem, const struct piece *pieces, unsigned nr);
/* All or nothing. A store of which a piece lies in no write-protected frame is ALIAS_BAD_STATE. */
enum served commit_store(struct batch *batch, const struct piece *pieces, unsigned nr,
			 enum alias_status *status);
/* One that KVM has emulated: its frames may have been released on the way here. */
enum served commit_emulated(struct batch *batch, const struct piece *pieces, unsigned nr,
			    enum alias_status *status);

#endif
