/* SPDX-License-Identifier: MIT */
/*
 * Instructions that store, as far as page tables are written by them: what one would do, from its
 * bytes and the registers, and what it leaves behind. Pure, so tested without KVM. 64-bit mode
 * only.
 *
 * Known are mov, movnti, xchg, cmpxchg, xadd, add, or, and, sub, xor, inc, dec, not, neg, bts, btr,
 * btc, stos, movs (these two with rep, one round at a time) and the moves of 16 bytes from an SSE
 * register, in all their sizes and address forms (with the address size prefix the bit and string
 * instructions aren't). A lock prefix makes no difference, as whoever asks does one store at a
 * time. Of sgdt, sidt and fxsave the place is known. (No library of Debian that tells the operands
 * of an instruction can be linked statically, but for one of several MiB.)
 */
#ifndef VMM_PIN_INSN_H
#define VMM_PIN_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

#define INSN_MAX_LEN 15

enum insn_op {
	INSN_MOV,
	INSN_XCHG,
	INSN_CMPXCHG,
	INSN_XADD,
	INSN_ADD,
	INSN_OR,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_NEG,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_STOS,
	INSN_MOVS,
	INSN_MOV_XMM,
	INSN_LARGE, /* sgdt, sidt, fxsave: is not executed here */
};

struct insn {
	enum insn_op op;
	uint8_t len;   /* bytes of code */
	uint16_t size; /* bytes stored: 1, 2, 4, 8; 16 for INSN_MOV_XMM; 10 or 512 for INSN_LARGE */
	uint8_t reg;   /* the register operand, if there is one */
	bool high;     /* it is ah, ch, dh or bh */
	bool rep;      /* INSN_STOS, INSN_MOVS */
	uint64_t va;   /* where it stores */
	uint64_t
		operand; /* its value, zero-extended; of INSN_MOVS the address that it loads from */
};

/* What an address may be relative to, besides the general registers. */
struct insn_segments {
	uint64_t fs, gs;
};

/* The instruction at regs->rip, of which `nr` bytes are in `code`. False if it is none of the
 * above, or not all there. */
bool insn_decode(const uint8_t *code, size_t nr, const struct kvm_regs *regs,
		 const struct insn_segments *segments, struct insn *out);

/*
 * Does the instruction, but for the store itself: `old` is what lies at its address, registers,
 * flags and RIP become what they are after it. Returns whether it stores; then *value is what (of
 * INSN_MOV_XMM it is not looked at). For INSN_MOVS `old` is what was loaded.
 */
bool insn_execute(const struct insn *insn, uint64_t old, struct kvm_regs *regs, uint64_t *value);

#endif
