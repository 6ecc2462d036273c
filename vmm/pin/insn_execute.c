/* SPDX-License-Identifier: MIT */
/* The results of instructions that store; insn.c decodes them. */
#include "pin/insn.h"
#include "pin/insn_regs.h"

/* As the processor does: 4 bytes clear the upper half of the register, fewer leave the rest as it
 * is. */
static void reg_write(struct kvm_regs *regs, unsigned number, bool high, unsigned size,
		      uint64_t value)
{
	uint64_t *reg = reg_of(regs, number);
	uint64_t mask = size_mask(size);

	if (size >= 4)
		*reg = value & mask;
	else if (high)
		*reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
	else
		*reg = (*reg & ~mask) | (value & mask);
}

static void set_flags(struct kvm_regs *regs, uint64_t which, uint64_t flags)
{
	regs->rflags = (regs->rflags & ~which) | (flags & which);
}

/* The flags of a result, as every arithmetic instruction sets them. */
static uint64_t result_flags(uint64_t result, unsigned size)
{
	uint64_t flags = 0;

	result &= size_mask(size);
	if (!result)
		flags |= FLAG_ZF;
	if (result >> (size * 8 - 1) & 1)
		flags |= FLAG_SF;
	if (!__builtin_parityll(result & 0xff))
		flags |= FLAG_PF;
	return flags;
}

#define ALL_FLAGS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* a + b or a - b. With the operands in the top bits of 64, carry and overflow are those of C's
 * arithmetic. */
static uint64_t add_or_sub(struct kvm_regs *regs, bool sub, uint64_t a, uint64_t b, unsigned size,
			   uint64_t which)
{
	unsigned shift = 64 - size * 8;
	uint64_t high_a = a << shift, high_b = b << shift, result, flags;
	int64_t ignored;
	bool carry, overflow;

	if (sub) {
		carry = __builtin_sub_overflow(high_a, high_b, &result);
		overflow = __builtin_sub_overflow((int64_t)high_a, (int64_t)high_b, &ignored);
	} else {
		carry = __builtin_add_overflow(high_a, high_b, &result);
		overflow = __builtin_add_overflow((int64_t)high_a, (int64_t)high_b, &ignored);
	}
	result >>= shift;
	flags = result_flags(result, size) | ((a ^ b ^ result) & FLAG_AF);
	flags |= (carry ? FLAG_CF : 0) | (overflow ? FLAG_OF : 0);
	set_flags(regs, which, flags);
	return result;
}

static uint64_t do_logic(struct kvm_regs *regs, uint64_t result, unsigned size)
{
	set_flags(regs, ALL_FLAGS, result_flags(result, size));
	return result;
}

static bool compare_exchange(const struct insn *insn, uint64_t old, struct kvm_regs *regs,
			     uint64_t *value)
{
	uint64_t expected = regs->rax & size_mask(insn->size);

	add_or_sub(regs, true, expected, old, insn->size, ALL_FLAGS);
	*value = insn->operand;
	if (expected == old)
		return true;
	reg_write(regs, RAX, false, insn->size, old);
	return false;
}

static uint64_t change_bit(const struct insn *insn, uint64_t old, struct kvm_regs *regs)
{
	uint64_t bit = 1ull << insn->operand;

	set_flags(regs, FLAG_CF, old & bit ? FLAG_CF : 0);
	switch (insn->op) {
	case INSN_BTS:
		return old | bit;
	case INSN_BTR:
		return old & ~bit;
	default:
		return old ^ bit;
	}
}

/* One iteration; RIP stays while there are more. Returns false if there was none to do. */
static bool string_round(const struct insn *insn, struct kvm_regs *regs)
{
	uint64_t step = regs->rflags & FLAG_DF ? -(uint64_t)insn->size : insn->size;

	if (insn->rep && regs->rcx == 0)
		return false;
	regs->rdi += step;
	if (insn->op == INSN_MOVS)
		regs->rsi += step;
	if (insn->rep && --regs->rcx)
		regs->rip -= insn->len;
	return true;
}

bool insn_execute(const struct insn *insn, uint64_t old, struct kvm_regs *regs, uint64_t *value)
{
	unsigned size = insn->size;
	uint64_t operand = insn->operand;

	regs->rip += insn->len;
	*value = operand;
	switch (insn->op) {
	case INSN_MOV:
	case INSN_MOV_XMM:
		return true;
	case INSN_XCHG:
		reg_write(regs, insn->reg, insn->high, size, old);
		return true;
	case INSN_CMPXCHG:
		return compare_exchange(insn, old, regs, value);
	case INSN_XADD:
		*value = add_or_sub(regs, false, old, operand, size, ALL_FLAGS);
		reg_write(regs, insn->reg, insn->high, size, old);
		return true;
	case INSN_ADD:
	case INSN_SUB:
		*value = add_or_sub(regs, insn->op == INSN_SUB, old, operand, size, ALL_FLAGS);
		return true;
	case INSN_OR:
		*value = do_logic(regs, old | operand, size);
		return true;
	case INSN_AND:
		*value = do_logic(regs, old & operand, size);
		return true;
	case INSN_XOR:
		*value = do_logic(regs, old ^ operand, size);
		return true;
	case INSN_INC:
	case INSN_DEC:
		*value = add_or_sub(regs, insn->op == INSN_DEC, old, 1, size, ALL_FLAGS & ~FLAG_CF);
		return true;
	case INSN_NOT:
		*value = ~old & size_mask(size);
		return true;
	case INSN_NEG:
		*value = add_or_sub(regs, true, 0, old, size, ALL_FLAGS);
		return true;
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		*value = change_bit(insn, old, regs);
		return true;
	case INSN_MOVS:
		*value = old;
		return string_round(insn, regs);
	case INSN_STOS:
		return string_round(insn, regs);
	case INSN_LARGE:
		break;
	}
	return false;
}

bool insn_has_stored(const struct insn *insn, uint64_t old, const struct kvm_regs *after,
		     uint64_t value)
{
	struct kvm_regs regs = *after;
	uint64_t mask = size_mask(insn->size), stored;

	switch (insn->op) {
	case INSN_MOV_XMM:
	case INSN_LARGE:
		return false;
	case INSN_MOVS:
		return value == (old & mask);
	case INSN_STOS:
		return value == insn->operand;
	case INSN_XCHG: /* the stored value is in the register that holds the old value now */
	case INSN_XADD:
		return insn->operand == (old & mask);
	case INSN_CMPXCHG: /* a cmpxchg that fails stores the old value */
		return (after->rax & mask) == (old & mask) &&
		       value == (after->rflags & FLAG_ZF ? insn->operand : old & mask);
	default:
		return insn_execute(insn, old & mask, &regs, &stored) && stored == value;
	}
}
