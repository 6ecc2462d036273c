/* SPDX-License-Identifier: MIT */
/* Opcodes: Intel SDM, volume 2, appendix A. */
#include "pin/insn.h"
#include "pin/insn_regs.h"

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

/* The code still to be read, and what is decoded so far. */
struct decoder {
	const uint8_t *at, *end;
	const struct kvm_regs *regs;
	const struct insn_segments *segments;
	bool operand16, address32, lock, repeat, repne;
	uint8_t rex;
	uint64_t segment; /* base of the segment */
	bool rip_relative;
	uint8_t digit; /* the reg field of ModRM, without REX.R */
};

/* --- decoding --------------------------------------------------------------------------------- */

/* Reads the next `size` bytes, sign-extended. */
static bool take_code(struct decoder *d, unsigned size, uint64_t *value)
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

/* Reads the prefixes, and the first byte of the opcode into *opcode. */
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
			d->lock = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			break;
		default:
			if ((*opcode & 0xf0) != 0x40)
				return true;
			d->rex = *opcode; /* must be the last prefix */
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
		return take_code(d, 4, displacement);
	*va += reg_read(d->regs, base | (d->rex & REX_B) << 3);
	return true;
}

/* Reads ModRM and what belongs to it: an address in memory and a register. An address relative to
 * RIP is relative to the end of the instruction, which is not known yet. */
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
		if (!take_code(d, 4, &displacement))
			return false;
	} else {
		insn->va += reg_read(d->regs, rm | (d->rex & REX_B) << 3);
	}
	if (mod && !take_code(d, mod == 1 ? 1 : 4, &displacement))
		return false;
	insn->va += displacement;
	return true;
}

/* Completes the address, once the end of the instruction is known. */
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

/* A memory operand, and a register whose value is the operand. */
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
	if (!take_code(d, bytes, &insn->operand))
		return false;
	insn->operand &= size_mask(insn->size);
	return true;
}

/* One of these, chosen by the reg field of ModRM; -1: none. */
static bool with_digit(struct decoder *d, struct insn *insn, unsigned size, const int8_t ops[8])
{
	if (!with_place(d, insn, INSN_MOV, size) || ops[d->digit] < 0)
		return false;
	insn->op = (enum insn_op)ops[d->digit];
	return true;
}

/* A bit operand; the bit may be before or after the address. */
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
		return (d->operand16 || d->repeat) && !d->repne &&
		       with_place(d, insn, INSN_MOV_XMM, 16);
	case 0xe7: /* movntdq; not movntq */
		return d->operand16 && !d->repeat && !d->repne &&
		       with_place(d, insn, INSN_MOV_XMM, 16);
	case 0x01:
		return with_digit(d, insn, 10, gdt_or_idt);
	case 0xae:
		return !d->repeat && !d->repne && with_digit(d, insn, 512, fxsave);
	case 0xc3: /* movnti */
		return !d->operand16 && !d->repeat && !d->repne &&
		       with_reg(d, insn, INSN_MOV, size);
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

/* With a lock prefix the others are #UD. */
static bool may_be_locked(enum insn_op op)
{
	switch (op) {
	case INSN_MOV:
	case INSN_STOS:
	case INSN_MOVS:
	case INSN_MOV_XMM:
	case INSN_LARGE:
		return false;
	default:
		return true;
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
	if (d.lock && !may_be_locked(out->op))
		return false;
	out->len = (uint8_t)(d.at - code);
	if (out->op != INSN_STOS && out->op != INSN_MOVS)
		finish_place(&d, out);
	return true;
}

/* --- afterwards ------------------------------------------------------------------------------- */

bool insn_decode_done(const uint8_t *code, size_t nr, bool round, const struct kvm_regs *after,
		      const struct insn_segments *segments, struct insn *out)
{
	struct kvm_regs before = *after;
	uint64_t step;
	bool is_string;

	if (!round)
		before.rip -= nr;
	if (!insn_decode(code, nr, &before, segments, out))
		return false;
	is_string = out->op == INSN_STOS || out->op == INSN_MOVS;
	if (round != out->rep || (round ? !is_string : out->len != nr))
		return false;
	if (!is_string)
		return true;
	step = after->rflags & FLAG_DF ? -(uint64_t)out->size : out->size;
	out->va -= step;
	if (out->op == INSN_MOVS)
		out->operand -= step;
	return true;
}
