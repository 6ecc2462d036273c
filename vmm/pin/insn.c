/* SPDX-License-Identifier: MIT */
/* The opcodes are those of the Intel SDM, vol. 2, appendix A. */
#include "pin/insn.h"

#define FLAG_CF (1ull << 0)
#define FLAG_PF (1ull << 2)
#define FLAG_AF (1ull << 4)
#define FLAG_ZF (1ull << 6)
#define FLAG_SF (1ull << 7)
#define FLAG_DF (1ull << 10)
#define FLAG_OF (1ull << 11)

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

/* The code that is still to be read, and what was found so far. */
struct decoder {
	const uint8_t *at, *end;
	const struct kvm_regs *regs;
	const struct insn_segments *segments;
	bool operand16, address32, repeat, repne;
	uint8_t rex;
	uint64_t segment; /* its base */
	bool rip_relative;
	uint8_t digit; /* the reg field of ModRM, without REX.R */
};

static uint64_t *reg_of(struct kvm_regs *regs, unsigned number)
{
	__u64 *const order[] = {
		&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp,
		&regs->rsi, &regs->rdi, &regs->r8,  &regs->r9,  &regs->r10, &regs->r11,
		&regs->r12, &regs->r13, &regs->r14, &regs->r15,
	};

	return (uint64_t *)order[number];
}

static uint64_t reg_read(const struct kvm_regs *regs, unsigned number)
{
	return *reg_of((struct kvm_regs *)regs, number);
}

static uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}

/* As the processor does: 4 bytes clear the upper half, fewer leave the rest alone. */
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

/* --- decoding --------------------------------------------------------------------------------- */

/* The next `size` bytes, sign-extended. */
static bool take(struct decoder *d, unsigned size, uint64_t *value)
{
	unsigned unused = 64 - size * 8;

	if ((size_t)(d->end - d->at) < size)
		return false;
	*value = 0;
	for (unsigned i = 0; i < size; i++)
		*value |= (uint64_t)*d->at++ << i * 8;
	*value = (uint64_t)((int64_t)(*value << unused) >> unused);
	return true;
}

static bool take_byte(struct decoder *d, uint8_t *byte)
{
	if (d->at == d->end)
		return false;
	*byte = *d->at++;
	return true;
}

/* Returns the first byte of the opcode in *opcode. */
static bool take_prefixes(struct decoder *d, uint8_t *opcode)
{
	while (take_byte(d, opcode)) {
		switch (*opcode) {
		case 0x66:
			d->operand16 = true;
			break;
		case 0x67:
			d->address32 = true;
			break;
		case 0xf2:
			d->repne = true;
			break;
		case 0xf3:
			d->repeat = true;
			break;
		case 0x64:
			d->segment = d->segments->fs;
			break;
		case 0x65:
			d->segment = d->segments->gs;
			break;
		case 0xf0:
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			break;
		default:
			if ((*opcode & 0xf0) != 0x40)
				return true;
			d->rex = *opcode; /* must be the last */
			return take_byte(d, opcode) && (*opcode & 0xf0) != 0x40;
		}
	}
	return false;
}

static bool take_sib(struct decoder *d, unsigned mod, uint64_t *va, uint64_t *displacement)
{
	unsigned index, base;
	uint8_t sib;

	if (!take_byte(d, &sib))
		return false;
	index = (sib >> 3 & 7) | (d->rex & REX_X) << 2;
	base = sib & 7;
	if (index != RSP)
		*va += reg_read(d->regs, index) << (sib >> 6);
	if (base == RBP && mod == 0)
		return take(d, 4, displacement);
	*va += reg_read(d->regs, base | (d->rex & REX_B) << 3);
	return true;
}

/* ModRM and what belongs to it: a place in memory and the number of a register. Relative to RIP
 * means to the end of the instruction, which is not known yet. */
static bool take_place(struct decoder *d, struct insn *insn)
{
	uint64_t displacement = 0;
	unsigned mod, rm;
	uint8_t modrm;

	if (!take_byte(d, &modrm) || modrm >= 0xc0)
		return false;
	mod = modrm >> 6;
	rm = modrm & 7;
	d->digit = modrm >> 3 & 7;
	insn->reg = d->digit | (d->rex & REX_R) << 1;
	if (rm == RSP) {
		if (!take_sib(d, mod, &insn->va, &displacement))
			return false;
	} else if (rm == RBP && mod == 0) {
		d->rip_relative = true;
		if (!take(d, 4, &displacement))
			return false;
	} else {
		insn->va += reg_read(d->regs, rm | (d->rex & REX_B) << 3);
	}
	if (mod && !take(d, mod == 1 ? 1 : 4, &displacement))
		return false;
	insn->va += displacement;
	return true;
}

/* Once the end of the instruction is known. */
static void finish_place(const struct decoder *d, struct insn *insn)
{
	if (d->rip_relative)
		insn->va += d->regs->rip + insn->len;
	if (d->address32)
		insn->va = (uint32_t)insn->va;
	insn->va += d->segment;
}

static unsigned operand_size(const struct decoder *d)
{
	return d->rex & REX_W ? 8 : d->operand16 ? 2 : 4;
}

static bool with_place(struct decoder *d, struct insn *insn, enum insn_op op, unsigned size)
{
	insn->op = op;
	insn->size = size;
	return take_place(d, insn);
}

/* A place and a register, whose value is the operand. */
static bool with_reg(struct decoder *d, struct insn *insn, enum insn_op op, unsigned size)
{
	if (!with_place(d, insn, op, size))
		return false;
	if (size == 1 && !d->rex && insn->reg >= 4) {
		insn->high = true;
		insn->reg -= 4;
	}
	insn->operand = reg_read(d->regs, insn->reg) >> (insn->high ? 8 : 0) & size_mask(size);
	return true;
}

static bool with_immediate(struct decoder *d, struct insn *insn, unsigned bytes)
{
	if (!take(d, bytes, &insn->operand))
		return false;
	insn->operand &= size_mask(insn->size);
	return true;
}

/* One of those that the digit of ModRM chooses; -1 for none. */
static bool with_digit(struct decoder *d, struct insn *insn, unsigned size, const int8_t ops[8])
{
	if (!with_place(d, insn, INSN_MOV, size) || ops[d->digit] < 0)
		return false;
	insn->op = (enum insn_op)ops[d->digit];
	return true;
}

/* The bit may lie before or behind the place that is named. */
static bool with_bit(struct decoder *d, struct insn *insn, enum insn_op op)
{
	unsigned size = operand_size(d), unused = 64 - size * 8;
	int64_t bit;

	if (d->address32 || !with_reg(d, insn, op, size))
		return false;
	bit = (int64_t)(insn->operand << unused) >> unused;
	insn->va += (uint64_t)((bit >> (size == 8 ? 6 : size == 4 ? 5 : 4)) * (int64_t)size);
	insn->operand = (uint64_t)bit & (size * 8 - 1);
	return true;
}

static bool decode_string(struct decoder *d, struct insn *insn, enum insn_op op, unsigned size)
{
	if (d->address32)
		return false;
	insn->op = op;
	insn->size = size;
	insn->rep = d->repeat || d->repne;
	insn->va = d->regs->rdi;
	insn->operand =
		op == INSN_STOS ? d->regs->rax & size_mask(size) : d->segment + d->regs->rsi;
	return true;
}

static bool decode_two_bytes(struct decoder *d, struct insn *insn)
{
	static const int8_t bits[8] = {-1, -1, -1, -1, -1, INSN_BTS, INSN_BTR, INSN_BTC};
	static const int8_t gdt_or_idt[8] = {INSN_LARGE, INSN_LARGE, -1, -1, -1, -1, -1, -1};
	static const int8_t fxsave[8] = {INSN_LARGE, -1, -1, -1, -1, -1, -1, -1};
	unsigned size = operand_size(d);
	uint8_t opcode;

	if (!take_byte(d, &opcode))
		return false;
	switch (opcode) {
	case 0x11: /* movups, movupd; not movss, movsd */
	case 0x29: /* movaps, movapd */
	case 0x2b: /* movntps, movntpd */
		return !d->repeat && !d->repne && with_place(d, insn, INSN_MOV_XMM, 16);
	case 0x7f: /* movdqa, movdqu; not movq */
		return (d->operand16 || d->repeat) && with_place(d, insn, INSN_MOV_XMM, 16);
	case 0xe7: /* movntdq; not movntq */
		return d->operand16 && with_place(d, insn, INSN_MOV_XMM, 16);
	case 0x01:
		return with_digit(d, insn, 10, gdt_or_idt);
	case 0xae:
		return !d->repeat && !d->repne && with_digit(d, insn, 512, fxsave);
	case 0xc3: /* movnti */
		return with_reg(d, insn, INSN_MOV, size);
	case 0xb0:
	case 0xb1:
		return with_reg(d, insn, INSN_CMPXCHG, opcode & 1 ? size : 1);
	case 0xc0:
	case 0xc1:
		return with_reg(d, insn, INSN_XADD, opcode & 1 ? size : 1);
	case 0xab:
		return with_bit(d, insn, INSN_BTS);
	case 0xb3:
		return with_bit(d, insn, INSN_BTR);
	case 0xbb:
		return with_bit(d, insn, INSN_BTC);
	case 0xba:
		if (!with_digit(d, insn, size, bits) || !with_immediate(d, insn, 1))
			return false;
		insn->operand &= size * 8 - 1;
		return true;
	default:
		return false;
	}
}

static bool decode_opcode(struct decoder *d, struct insn *insn, uint8_t opcode)
{
	static const int8_t only_mov[8] = {INSN_MOV, -1, -1, -1, -1, -1, -1, -1};
	static const int8_t arithmetic[8] = {INSN_ADD, INSN_OR,  -1,       -1,
					     INSN_AND, INSN_SUB, INSN_XOR, -1};
	static const int8_t unary[8] = {-1, -1, INSN_NOT, INSN_NEG, -1, -1, -1, -1};
	static const int8_t step[8] = {INSN_INC, INSN_DEC, -1, -1, -1, -1, -1, -1};
	unsigned full = operand_size(d), size = opcode & 1 ? full : 1;
	unsigned immediate = size == 8 ? 4 : size;

	switch (opcode) {
	case 0x0f:
		return decode_two_bytes(d, insn);
	case 0x00:
	case 0x01:
		return with_reg(d, insn, INSN_ADD, size);
	case 0x08:
	case 0x09:
		return with_reg(d, insn, INSN_OR, size);
	case 0x20:
	case 0x21:
		return with_reg(d, insn, INSN_AND, size);
	case 0x28:
	case 0x29:
		return with_reg(d, insn, INSN_SUB, size);
	case 0x30:
	case 0x31:
		return with_reg(d, insn, INSN_XOR, size);
	case 0x80:
	case 0x81:
		return with_digit(d, insn, size, arithmetic) && with_immediate(d, insn, immediate);
	case 0x83:
		return with_digit(d, insn, size, arithmetic) && with_immediate(d, insn, 1);
	case 0x86:
	case 0x87:
		return with_reg(d, insn, INSN_XCHG, size);
	case 0x88:
	case 0x89:
		return with_reg(d, insn, INSN_MOV, size);
	case 0xc6:
	case 0xc7:
		return with_digit(d, insn, size, only_mov) && with_immediate(d, insn, immediate);
	case 0xf6:
	case 0xf7:
		return with_digit(d, insn, size, unary);
	case 0xfe:
	case 0xff:
		return with_digit(d, insn, size, step);
	case 0xaa:
	case 0xab:
		return decode_string(d, insn, INSN_STOS, size);
	case 0xa4:
	case 0xa5:
		return decode_string(d, insn, INSN_MOVS, size);
	default:
		return false;
	}
}

bool insn_decode(const uint8_t *code, size_t nr, const struct kvm_regs *regs,
		 const struct insn_segments *segments, struct insn *out)
{
	struct decoder d = {
		.at = code,
		.end = code + (nr < INSN_MAX_LEN ? nr : INSN_MAX_LEN),
		.regs = regs,
		.segments = segments,
	};
	uint8_t opcode;

	*out = (struct insn){0};
	if (!take_prefixes(&d, &opcode) || !decode_opcode(&d, out, opcode))
		return false;
	out->len = (uint8_t)(d.at - code);
	if (out->op != INSN_STOS && out->op != INSN_MOVS)
		finish_place(&d, out);
	return true;
}

/* --- executing -------------------------------------------------------------------------------- */

static void set_flags(struct kvm_regs *regs, uint64_t which, uint64_t flags)
{
	regs->rflags = (regs->rflags & ~which) | (flags & which);
}

/* Of a result, as every arithmetic instruction sets them. */
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

/* a + b or a - b. With the operands at the top of 64 bits carry and overflow are the language's. */
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

static uint64_t logic(struct kvm_regs *regs, uint64_t result, unsigned size)
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

/* One round; RIP stays while there are more. Returns false if there was none to be done. */
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
		*value = logic(regs, old | operand, size);
		return true;
	case INSN_AND:
		*value = logic(regs, old & operand, size);
		return true;
	case INSN_XOR:
		*value = logic(regs, old ^ operand, size);
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
