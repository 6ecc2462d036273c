/* SPDX-License-Identifier: MIT */
/*
 * Instructions that store, as far as guests write page tables with them: decodes one from its bytes
 * and the registers, and computes its result. Pure functions, tested without KVM. 64-bit mode only.
 *
 * Known are mov, movnti, xchg, cmpxchg, xadd, add, or, and, sub, xor, inc, dec, not, neg, bts, btr,
 * btc, stos, movs (with rep one iteration at a time), and the 16-byte moves from an SSE register,
 * in all sizes and addressing modes (the bit and string instructions not with an address size
 * prefix). What a processor refuses by the bytes alone is not known, such as a lock prefix before a
 * mov; before the others it makes no difference, since the caller does one store at a time. For
 * sgdt, sidt and fxsave only the address is known. (None of Debian's libraries that decode operands
 * can be linked statically, except one of several MiB.)
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
	INSN_LARGE, /* sgdt, sidt, fxsave: not executed here */
};

struct insn {
	enum insn_op op;
	uint8_t len;   /* bytes */
	uint16_t size; /* bytes stored: 1, 2, 4, 8; 16 for INSN_MOV_XMM; 10 or 512 for INSN_LARGE */
	uint8_t reg;   /* the register operand, if any */
	bool high;     /* `reg` is ah, ch, dh or bh */
	bool rep;      /* INSN_STOS, INSN_MOVS */
	uint64_t va;   /* address of the store */
	uint64_t operand; /* value of `reg`, zero-extended; for INSN_MOVS the address of the load */
};

/* Segment bases that an address may be relative to. */
struct insn_segments {
	uint64_t fs, gs;
};

/* Decodes the instruction at regs->rip, of which `nr` bytes are in `code`. Returns false if it is
 * not one of the above or not complete. */
bool insn_decode(const uint8_t *code, size_t nr, const struct kvm_regs *regs,
		 const struct insn_segments *segments, struct insn *out);

/*
 * Executes the instruction, but for the store itself: registers, flags and RIP become what they are
 * after it. `old` is the content of memory at its address (for INSN_MOVS at the address of the
 * load). Returns whether it stores; then *value is the value (not set for INSN_MOV_XMM).
 */
bool insn_execute(const struct insn *insn, uint64_t old, struct kvm_regs *regs, uint64_t *value);

/*
 * The instruction that was done last, by the registers that it has left: the one whose `nr` bytes
 * end at after->rip, or, with `round`, one round of a repeated string instruction, which lies at
 * after->rip. False if the bytes are not exactly one instruction of that kind.
 */
bool insn_decode_done(const uint8_t *code, size_t nr, bool round, const struct kvm_regs *after,
		      const struct insn_segments *segments, struct insn *out);

/* Has it stored this value over `old` (for INSN_MOVS: after loading `old`)? xchg and xadd leave no
 * register that tells what they stored, so for these only the loaded value is checked. Returns
 * false for INSN_MOV_XMM and INSN_LARGE. */
bool insn_has_stored(const struct insn *insn, uint64_t old, const struct kvm_regs *after,
		     uint64_t value);

#endif
